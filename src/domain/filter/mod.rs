//! Search filters: what a query for search handles keeps (handles.md, H-80 to H-89).
//!
//! A filter is a text such as `tags/any(d:tolower(d) eq 'cooponly') and numbers/level ge 10`. [`parse`] makes a tree of it,
//! [`Filter`]; printing a tree gives a text that parses to it again; [`Filter::matches`] says what the tree means, one subject at a
//! time and as plainly as can be. [`Order`] is what `orderBy` asks for (H-76).
//!
//! There are two grammars. [`Grammar::Mpsd`] is the one of handles.md and says no to everything that page says no to.
//! [`Grammar::Extended`] takes all of that in the same meaning, and also `or` and parentheses anywhere, `not` (which binds tightest,
//! then `and`, then `or`), `path in ('a','b')`, `startswith(path,'x')` and `contains(path,'x')`, these three also of the variable of
//! `any(…)`.
//!
//! Trees from [`parse`] are in normal form, so that one meaning is not spelt in many ways: [`Filter::all`] and [`Filter::any`] are
//! flat and have two parts at least, [`Filter::not`] undoes itself, [`Predicate::one_of`] a single literal is `eq`. `tolower` leaves
//! no trace (H-82). A literal of a type that its attribute cannot have stands only under `strings/…` and `numbers/…` (H-84).
//!
//! What is *not* here: where the attributes of a subject come from, and SQL.

mod cursor;
mod evaluate;
mod order;
mod parse;
mod print;

#[cfg(test)]
pub(crate) mod laws;
#[cfg(test)]
mod tests;

use std::fmt;

use chrono::{DateTime, Utc};

pub use evaluate::{Subject, Value};
pub use order::{Order, OrderBy};
pub use parse::parse;

/// What a subject must be to be kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All of these.
    All(Vec<Filter>),
    /// One of these at least.
    Any(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// An attribute with one value passes a test, or is missing and the test is `ne` (H-83).
    Scalar(Scalar, Predicate),
    /// An element of a list passes a test, or none is equal if the test is `ne` (H-83).
    List(List, Predicate),
}

/// An attribute with at most one value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// `strings/{name}`, the name in lower case.
    Text(String),
    /// `numbers/{name}`, the name in lower case.
    Number(String),
    /// `language`.
    Language,
    /// `session/scid`.
    Scid,
    /// `session/templateName`.
    TemplateName,
    /// `session/titleId` (H-89).
    TitleId,
    /// `session/scheduledTime`.
    ScheduledTime,
    /// `session/postedTime`.
    PostedTime,
    /// `session/registrationState`, which nothing has.
    RegistrationState,
    /// `session/membersCount`.
    MembersCount,
    /// `session/maxMembersCount`.
    MaxMembersCount,
    /// `session/targetMembersCount`.
    TargetMembersCount,
    /// `session/maxMembersCountRemaining` (H-87).
    MaxMembersCountRemaining,
    /// `session/needs`, which is also `session/targetMembersCountRemaining` (H-87).
    Needs,
    /// `session/roles/{type}/{role}/…` (H-88).
    Role {
        /// The role type, in lower case.
        role_type: String,
        /// The role, in lower case.
        role: String,
        /// Which of its numbers.
        number: RoleNumber,
    },
}

/// A number of a role (H-88).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoleNumber {
    /// How many hold it.
    Count,
    /// How many should hold it: its target, or its maximum without one.
    Target,
    /// How many are missing.
    Needs,
}

/// An attribute with any number of values, all of them texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum List {
    /// `tags`.
    Tags,
    /// `achievementIds`.
    AchievementIds,
    /// `session/memberXuids`.
    MemberXuids,
    /// `session/ownerXuids`.
    OwnerXuids,
    /// `session/keywords`.
    Keywords,
}

/// A test of one value.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// The value compares so to the literal.
    Compare(Operator, Literal),
    /// The value is one of these: two at least.
    In(Vec<Literal>),
    /// The value begins with this text, which is not empty.
    StartsWith(String),
    /// The value has this text in it, which is not empty.
    Contains(String),
}

/// How a value compares to a literal. Texts compare by their bytes (H-84).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Different, or missing (H-83).
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
}

/// What a value is compared to.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// A text; of `session/scid`, `session/templateName` and `session/keywords` in lower case, otherwise as it was written (H-82).
    Text(String),
    /// A finite number, never the negative zero.
    Number(f64),
    /// `true` or `false`, which no attribute is.
    Truth(bool),
    /// A quoted timestamp, to the microsecond.
    Instant(DateTime<Utc>),
}

/// What values an attribute has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Texts.
    Text,
    /// Numbers.
    Number,
    /// Timestamps.
    Instant,
}

/// In which words a filter may be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Grammar {
    /// The grammar of handles.md.
    #[default]
    Mpsd,
    /// The same and more: `"grammar": "extended"`.
    Extended,
}

/// Why a text is no filter (H-85).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Where, counted in characters from 1; behind the last one if something is missing there.
    pub position: usize,
    /// What was expected there, and what was found.
    pub why: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.position, self.why)
    }
}

impl std::error::Error for Malformed {}

impl Filter {
    /// All of the parts, which are in normal form: flat, and a single part is itself. Of none it is always true, which no text says.
    #[must_use]
    pub fn all(parts: Vec<Self>) -> Self {
        let flat = parts.into_iter().flat_map(|part| if let Self::All(parts) = part { parts } else { vec![part] });
        single(flat.collect(), Self::All)
    }

    /// One of the parts at least, which are in normal form: flat, and a single part is itself. Of none it is always false, which no
    /// text says.
    #[must_use]
    pub fn any(parts: Vec<Self>) -> Self {
        let flat = parts.into_iter().flat_map(|part| if let Self::Any(parts) = part { parts } else { vec![part] });
        single(flat.collect(), Self::Any)
    }

    /// Not this part, which is in normal form: of what is negated already it is the part itself.
    #[expect(clippy::should_implement_trait, reason = "it stands beside all and any")]
    #[must_use]
    pub fn not(part: Self) -> Self {
        if let Self::Not(part) = part { *part } else { Self::Not(Box::new(part)) }
    }

    /// The smaller of the grammars that can say this.
    #[must_use]
    pub fn grammar(&self) -> Grammar {
        let compares = |predicate: &Predicate| matches!(predicate, Predicate::Compare(..));
        let is_term = |filter: &Self| match filter {
            Self::Scalar(_, predicate) | Self::List(_, predicate) => compares(predicate),
            Self::Not(part) => matches!(&**part, Self::List(_, predicate) if compares(predicate)),
            Self::All(_) | Self::Any(_) => false,
        };
        let is_conjunction = |filter: &Self| match filter {
            Self::All(parts) => parts.iter().all(is_term),
            other => is_term(other),
        };
        let is_mpsd = match self {
            Self::Any(parts) => parts.len() == 2 && parts.iter().all(is_conjunction),
            other => is_conjunction(other),
        };
        if is_mpsd { Grammar::Mpsd } else { Grammar::Extended }
    }
}

impl Predicate {
    /// The value is one of these; of a single one: the value is equal to it.
    #[must_use]
    pub fn one_of(literals: Vec<Literal>) -> Self {
        match <[Literal; 1]>::try_from(literals) {
            Ok([literal]) => Self::Compare(Operator::Eq, literal),
            Err(literals) => Self::In(literals),
        }
    }
}

/// A single part is itself, more are whatever they are together.
fn single(parts: Vec<Filter>, together: fn(Vec<Filter>) -> Filter) -> Filter {
    match <[Filter; 1]>::try_from(parts) {
        Ok([part]) => part,
        Err(parts) => together(parts),
    }
}

/// The scalars without names of their own, as handles.md spells their paths; where two paths are one scalar, the first prints.
static SCALARS: &[(&str, Scalar)] = &[
    ("language", Scalar::Language),
    ("session/scid", Scalar::Scid),
    ("session/templateName", Scalar::TemplateName),
    ("session/titleId", Scalar::TitleId),
    ("session/scheduledTime", Scalar::ScheduledTime),
    ("session/postedTime", Scalar::PostedTime),
    ("session/registrationState", Scalar::RegistrationState),
    ("session/membersCount", Scalar::MembersCount),
    ("session/maxMembersCount", Scalar::MaxMembersCount),
    ("session/targetMembersCount", Scalar::TargetMembersCount),
    ("session/maxMembersCountRemaining", Scalar::MaxMembersCountRemaining),
    ("session/needs", Scalar::Needs),
    ("session/targetMembersCountRemaining", Scalar::Needs),
];

/// The lists, as handles.md spells their paths; where two paths are one list, the first prints.
static LISTS: &[(&str, List)] = &[
    ("tags", List::Tags),
    ("achievementIds", List::AchievementIds),
    ("session/memberXuids", List::MemberXuids),
    ("memberXuids", List::MemberXuids),
    ("session/ownerXuids", List::OwnerXuids),
    ("ownerXuids", List::OwnerXuids),
    ("session/keywords", List::Keywords),
    ("keywords", List::Keywords),
];

impl Scalar {
    /// Its path in lower case, the same however it was written: `numbers/level`, `session/memberscount`,
    /// `session/roles/class/healer/needs`.
    #[must_use]
    pub fn key(&self) -> String {
        self.to_string().to_ascii_lowercase()
    }

    /// Whether every session that can be found has it.
    #[must_use]
    pub fn is_always_there(&self) -> bool {
        matches!(
            self,
            Self::Scid
                | Self::TemplateName
                | Self::PostedTime
                | Self::MembersCount
                | Self::MaxMembersCount
                | Self::TargetMembersCount
                | Self::MaxMembersCountRemaining
                | Self::Needs
        )
    }

    /// What values it has.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) | Self::Language | Self::Scid | Self::TemplateName | Self::RegistrationState => Kind::Text,
            Self::ScheduledTime | Self::PostedTime => Kind::Instant,
            Self::Number(_)
            | Self::TitleId
            | Self::MembersCount
            | Self::MaxMembersCount
            | Self::TargetMembersCount
            | Self::MaxMembersCountRemaining
            | Self::Needs
            | Self::Role { .. } => Kind::Number,
        }
    }
}

impl RoleNumber {
    const ALL: [Self; 3] = [Self::Count, Self::Target, Self::Needs];

    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Target => "target",
            Self::Needs => "needs",
        }
    }
}

impl Operator {
    const ALL: [Self; 6] = [Self::Eq, Self::Ne, Self::Gt, Self::Ge, Self::Lt, Self::Le];

    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }
}

impl Literal {
    /// Which attributes it can be compared to; `true` and `false` to none.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Text(_) => Some(Kind::Text),
            Self::Number(_) => Some(Kind::Number),
            Self::Instant(_) => Some(Kind::Instant),
            Self::Truth(_) => None,
        }
    }
}
