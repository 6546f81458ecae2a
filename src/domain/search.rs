//! Searches for search handles as data, and a listed session as a filter looks at it (H-71 to H-89).

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::filter::{Filter, Kind, List, Order, Scalar, Subject, Value};
use super::handle::People;
use super::listing::{Finding, Listing, Sought};
use super::names::{Scid, TemplateName, Xuid};
use super::principal::User;
use super::session::{Member, Session};

/// A query for search handles, its fields found sound.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchQuery {
    /// Only in this service config.
    pub scid: Option<Scid>,
    /// Only of this template.
    pub template: Option<TemplateName>,
    /// What sessions must meet; `None`: nothing.
    pub filter: Option<Filter>,
    /// The order of the results (H-76).
    pub order: Order,
    /// Only sessions with one of these as a member (H-77).
    pub members: Option<People>,
    /// Only sessions with one of these as an owner.
    pub owners: Option<Vec<Xuid>>,
    /// No session of an owner who blocks the caller (H-73).
    pub unblocked: bool,
    /// Where the page begins, as an earlier answer said it.
    pub continuation: Option<String>,
    /// The most results (H-56, H-78).
    pub take: u32,
}

/// Where a result stands in the order: the next page begins after it.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchKey {
    /// The value it is ordered by; results without one come last.
    pub value: KeyValue,
    /// When its search handle was made.
    pub posted_at: DateTime<Utc>,
    /// Its session.
    pub sid: Uuid,
}

/// A value that results are ordered by.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyValue {
    /// The order asks for none, or the result has none.
    None,
    /// A number.
    Number(f64),
    /// The beginning of a text.
    Text(String),
}

/// A session as a filter looks at it.
pub struct Listed<'a> {
    session: &'a Session,
    listing: &'a Listing,
    finding: Finding,
    callers: &'a [User],
}

impl<'a> Listed<'a> {
    /// Looks at a session for somebody; `None` without a search handle. Members of a large session are hidden from each other (M-95).
    #[must_use]
    pub fn of(session: &'a Session, callers: &'a [User]) -> Option<Self> {
        let listing = session.listing.as_deref()?;
        Some(Self { session, listing, finding: Finding::of(session)?, callers })
    }
}

impl Subject for Listed<'_> {
    fn scalar(&self, scalar: &Scalar) -> Option<Value<'_>> {
        match scalar {
            Scalar::Scid => Some(Value::Text(self.session.reference.scid.id().to_string().into())),
            Scalar::TemplateName => Some(Value::Text(self.session.reference.template.key().into())),
            Scalar::PostedTime => Some(Value::Instant(self.listing.posted_at)),
            Scalar::RegistrationState => None,
            other => match (self.finding.values.get(&other.key())?, other.kind()) {
                (Sought::Text(text), _) => Some(Value::Text(text.as_str().into())),
                (Sought::Number(number), Kind::Instant) => Some(Value::Instant(super::listing::instant(*number)?)),
                (Sought::Number(number), _) => Some(Value::Number(*number)),
            },
        }
    }

    fn list(&self, list: List) -> Vec<Cow<'_, str>> {
        let owners = self.session.owners();
        let known = |member: &Member| {
            let of_caller = self.callers.iter().any(|caller| caller.xuid == member.xuid);
            !self.session.is_large() || of_caller || owners.contains(&member.index)
        };
        let people = |of: &dyn Fn(&Member) -> bool| {
            let members = self.session.members.iter().filter(|member| of(member));
            members.map(|member| Cow::Owned(member.xuid.to_string())).collect()
        };
        match list {
            List::MemberXuids => people(&known),
            List::OwnerXuids => people(&|member| owners.contains(&member.index)),
            other => {
                let prefix = other.term("");
                self.finding.terms.iter().filter_map(|term| Some(Cow::Borrowed(term.strip_prefix(&prefix)?))).collect()
            }
        }
    }
}
