//! Search handles as sessions carry them: their attributes, and all that a session is found by (H-61 to H-65 and the table of paths).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::filter::List;
use super::handle::{About, Handle};
use super::limits;
use super::names::{HandleId, TitleId, Xuid};
use super::refusal::{At, Refusal};
use super::session::Session;
use super::system;
use crate::json::{Json, Object, Text};

/// The search handle of a session (H-62).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The handle.
    pub id: HandleId,
    /// When it was made.
    pub posted_at: DateTime<Utc>,
    /// Who made it.
    pub owner: Xuid,
    /// The title of the token that made it.
    pub title_id: Option<TitleId>,
    /// `searchAttributes`, found sound by [`read_attributes`].
    pub attributes: Object,
}

impl Listing {
    /// The handle itself, as it is stored and shown.
    #[must_use]
    pub fn handle(&self, session: &Session) -> Handle {
        Handle {
            id: self.id,
            reference: session.reference.clone(),
            owner: Some(self.owner),
            title_id: self.title_id,
            created_at: self.posted_at,
            about: About::Search(self.attributes.clone()),
        }
    }
}

/// Reads `searchAttributes` (H-63, H-65): what is known of them in the case it was given in, empty parts left out. Unknown names are
/// ignored (H-05).
///
/// # Errors
/// 400 naming the field.
pub fn read_attributes(value: Option<&Json>) -> Result<Object, Refusal> {
    let at = format_args!("searchAttributes");
    let given = match value {
        None | Some(Json::Null) => return Ok(Object::new()),
        Some(Json::Object(given)) => given,
        Some(other) => return Err(wrong(at, "an object", other)),
    };
    let mut kept = Object::with_capacity(5);
    for (name, value) in given.iter().filter(|(_, value)| **value != Json::Null) {
        let at = format_args!("{at}.{name}");
        let read = match name.as_str() {
            "tags" => list(at, value, attribute_name)?,
            "achievementIds" => list(at, value, |at, item| filled(at, item, limits::MAX_ATTRIBUTE_NAME))?,
            "strings" => map(at, value, |at, item| Ok(system::text(at, item, limits::MAX_TEXT)?.as_str().into()))?,
            "numbers" => map(at, value, |at, item| match item {
                Json::Number(number) if number.as_f64().is_finite() => Ok(item.clone()),
                Json::Number(_) => Err(Refusal::invalid(at, "the number is too large for a double")),
                other => Err(wrong(at, "a number", other)),
            })?,
            "locale" | "language" => Some(filled(at, value, limits::MAX_ATTRIBUTE_NAME)?),
            _ => None,
        };
        if let Some(read) = read {
            kept.insert(name.clone(), read);
        }
    }
    Ok(kept)
}

fn wrong(at: At<'_>, wanted: &str, value: &Json) -> Refusal {
    Refusal::invalid(at, format!("{wanted} is expected, not {}", value.kind()))
}

/// A tag or the name of an attribute starts with a letter and has no spaces (H-63).
fn check_name(at: At<'_>, name: &str) -> Result<(), Refusal> {
    let starts = name.chars().next().is_some_and(char::is_alphabetic);
    if starts && !name.contains(char::is_whitespace) && name.chars().count() < limits::MAX_ATTRIBUTE_NAME {
        return Ok(());
    }
    let most = limits::MAX_ATTRIBUTE_NAME;
    Err(Refusal::invalid(at, format!("it must start with a letter and have no spaces and fewer than {most} characters")))
}

fn attribute_name(at: At<'_>, item: &Json) -> Result<Json, Refusal> {
    check_name(at, &system::text(at, item, limits::MAX_TEXT)?)?;
    Ok(item.clone())
}

fn filled(at: At<'_>, item: &Json, most: usize) -> Result<Json, Refusal> {
    if system::text(at, item, most)?.is_empty() {
        Err(Refusal::invalid(at, "an empty text is not allowed"))
    } else {
        Ok(item.clone())
    }
}

fn too_many(at: At<'_>, count: usize) -> Result<(), Refusal> {
    let most = limits::MAX_ATTRIBUTES;
    if count > most { Err(Refusal::invalid(at, format!("at most {most} entries are allowed"))) } else { Ok(()) }
}

/// Reads a list of texts; doubles, compared without case, are taken once.
fn list(at: At<'_>, value: &Json, read: impl Fn(At<'_>, &Json) -> Result<Json, Refusal>) -> Result<Option<Json>, Refusal> {
    let items = value.as_array().ok_or_else(|| wrong(at, "an array of texts", value))?;
    too_many(at, items.len())?;
    let mut seen = BTreeSet::new();
    let mut kept = Vec::with_capacity(items.len());
    for (n, item) in items.iter().enumerate() {
        let item = read(format_args!("{at}[{n}]"), item)?;
        if seen.insert(lower(&item)) {
            kept.push(item);
        }
    }
    Ok((!kept.is_empty()).then_some(Json::Array(kept)))
}

/// Reads an object of attributes; no two names may be equal without case, because filters could not tell them apart.
fn map(at: At<'_>, value: &Json, read: impl Fn(At<'_>, &Json) -> Result<Json, Refusal>) -> Result<Option<Json>, Refusal> {
    let entries = value.as_object().ok_or_else(|| wrong(at, "an object", value))?;
    too_many(at, entries.len())?;
    let mut seen = BTreeSet::new();
    let mut kept = Object::with_capacity(entries.len());
    for (name, item) in entries {
        let plain = name.decode().ok_or_else(|| Refusal::invalid(at, "a name has an unpaired surrogate"))?;
        let at = format_args!("{at}.{plain}");
        check_name(at, &plain)?;
        if plain.contains('\0') {
            return Err(Refusal::invalid(at, "NUL is not allowed in a name"));
        }
        if !seen.insert(plain.to_lowercase()) {
            return Err(Refusal::invalid(at, "another name differs by its case only"));
        }
        kept.insert(name.clone(), read(at, item)?);
    }
    Ok((!kept.is_empty()).then_some(kept.into()))
}

fn lower(text: &Json) -> String {
    text.as_str().map(|text| text.to_lowercase()).unwrap_or_default()
}

/// A value that sessions are compared and ordered by.
#[derive(Debug, Clone, PartialEq)]
pub enum Sought {
    /// Numbers; instants in microseconds since 1970.
    Number(f64),
    /// Texts in lower case.
    Text(String),
}

impl List {
    /// How an entry of a list is found: the path of the list and the entry, in lower case.
    #[must_use]
    pub fn term(self, entry: &str) -> String {
        let path = match self {
            Self::Tags => "tags",
            Self::AchievementIds => "achievementids",
            Self::Keywords => "session/keywords",
            Self::MemberXuids => "session/memberxuids",
            Self::OwnerXuids => "session/ownerxuids",
        };
        format!("{path}:{entry}")
    }
}

/// What a listed session is found by, beside its members, its reference and when it was posted: single values by the canonical path
/// of the filter grammar, and entries of lists as `{list}:{entry}` in lower case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Finding {
    /// `numbers/level`, `strings/map`, `session/memberscount` …
    pub values: BTreeMap<String, Sought>,
    /// `tags:cooponly`, `session/keywords:eu` …
    pub terms: BTreeSet<String>,
}

impl Finding {
    /// What a session is found by; `None` without a search handle.
    #[must_use]
    pub fn of(session: &Session) -> Option<Self> {
        let listing = session.listing.as_ref()?;
        let mut finding = Self::default();
        finding.add_attributes(listing);
        finding.add_counts(session);
        if let Some(at) = session.properties.system.get("scheduledTime").and_then(Json::as_str) {
            // System data holds instants in one form only (S-07).
            if let Ok(at) = DateTime::parse_from_rfc3339(&at) {
                finding.put("session/scheduledtime", Sought::Number(micros(at.with_timezone(&Utc))));
            }
        }
        finding.terms.extend(session.keywords().iter().map(|keyword| List::Keywords.term(&keyword.to_lowercase())));
        Some(finding)
    }

    fn put(&mut self, path: impl Into<String>, value: Sought) {
        self.values.insert(path.into(), value);
    }

    fn add_attributes(&mut self, listing: &Listing) {
        let attributes = &listing.attributes;
        let object = |name: &str| attributes.get(name).and_then(Json::as_object).into_iter().flatten();
        let name = |name: &Text| name.decode().unwrap_or_default().to_lowercase();
        for (key, value) in object("strings") {
            self.put(format!("strings/{}", name(key)), Sought::Text(lower(value)));
        }
        for (key, value) in object("numbers") {
            if let Json::Number(number) = value {
                self.put(format!("numbers/{}", name(key)), Sought::Number(number.as_f64()));
            }
        }
        let language = attributes.get("locale").map(lower).and_then(|locale| Some(locale.split('-').next()?.to_owned()));
        if let Some(language) = language.or_else(|| attributes.get("language").map(lower)) {
            self.put("language", Sought::Text(language));
        }
        if let Some(title) = listing.title_id {
            self.put("session/titleid", Sought::Number(title.0.into()));
        }
        for (name, list) in [("tags", List::Tags), ("achievementIds", List::AchievementIds)] {
            let entries = attributes.get(name).and_then(Json::as_array).unwrap_or_default();
            self.terms.extend(entries.iter().map(|entry| list.term(&lower(entry))));
        }
    }

    /// Counts of members and roles (H-87, H-88).
    fn add_counts(&mut self, session: &Session) {
        let taken = session.taken();
        let (count, most) = (session.member_count() as u64, session.max_members() as u64);
        let mut targets = None;
        for (role_type, declared) in session.role_types.iter() {
            for (role, limits) in &declared.roles {
                let path = format!("session/roles/{role_type}/{role}").to_lowercase();
                let held = taken.of(role_type, role) as u64;
                self.put(format!("{path}/count"), number(held));
                if let Some(target) = limits.target {
                    targets = Some(targets.unwrap_or(0) + target);
                }
                if let Some(target) = limits.target.or(limits.max) {
                    self.put(format!("{path}/target"), number(target));
                    self.put(format!("{path}/needs"), missing(target, held));
                }
            }
        }
        let target = targets.unwrap_or(most);
        self.put("session/memberscount", number(count));
        self.put("session/maxmemberscount", number(most));
        self.put("session/targetmemberscount", number(target));
        self.put("session/maxmemberscountremaining", missing(most, count));
        self.put("session/needs", missing(target, count));
    }
}

/// An instant as a number that orders and compares as it does.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "microseconds are exact until the year 2255, and as good as equal after that")]
pub fn micros(at: DateTime<Utc>) -> f64 {
    at.timestamp_micros() as f64
}

/// The instant of such a number, if there is one.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "made from whole microseconds; what is out of range is no instant")]
pub fn instant(micros: f64) -> Option<DateTime<Utc>> {
    micros.is_finite().then(|| DateTime::from_timestamp_micros(micros as i64)).flatten()
}

#[expect(clippy::cast_precision_loss, reason = "counts of members are small")]
fn number(count: u64) -> Sought {
    Sought::Number(count as f64)
}

/// How many are missing to a target; below zero when it is exceeded.
#[expect(clippy::cast_precision_loss, reason = "counts of members are small")]
fn missing(target: u64, count: u64) -> Sought {
    Sought::Number(target as f64 - count as f64)
}
