//! The two texts a session is stored as: its document, which is what clients get under 107, and what only the service knows.
//!
//! Together they are the state, stored once. `render` and `read` are each other's inverse: nothing is lost between them.

use std::borrow::Borrow as _;
use std::fmt::{Display, Write as _};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::names::{Branch, HandleId, MemberIndex, SessionReference, TitleId, Xuid};
use crate::domain::session::{Bag, Member, MemberState, Session};
use crate::domain::system::render_instant;
use crate::domain::timers;
use crate::json::{self, Json, Object};

/// A session as two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The document in the 107 rendering.
    pub body: String,
    /// What only the service knows, as JSON.
    pub private: String,
}

/// Renders a session.
#[must_use]
pub fn render(session: &Session) -> Stored {
    Stored { body: document(session), private: private(session) }
}

/// The document as clients see it (S-20 to S-30).
fn document(session: &Session) -> String {
    let mut body = String::with_capacity(1024 + 512 * session.members.len());
    let mut fields = Fields::open(&mut body);
    fields.number("contractVersion", 100 * session.version() + 7);
    fields.plain("branch", &session.branch.to_string());
    fields.number("changeNumber", session.change_number);
    fields.plain("correlationId", &session.reference.sid().to_string());
    fields.plain("startTime", &render_instant(session.start_time));
    if let Some(next) = timers::next(session) {
        fields.plain("nextTimer", &render_instant(next));
    }
    if let Some(handle) = session.search_handle {
        fields.plain("searchHandle", &handle.to_string());
    }
    fields.bag("constants", &session.constants, |_| {});
    fields.bag("properties", &session.properties, |_| {});
    fields.value("servers", &Json::object());
    members_info(session, fields.key("membersInfo"));
    let turn = session.turn();
    let mut members = Fields::open(fields.key("members"));
    for (member, next) in linked(session) {
        entry(member, next, turn.contains(&member.index), members.key(&member.index.to_string()));
    }
    members.close();
    fields.close();
    body
}

/// Counts and ends of the member list (S-30).
pub(super) fn members_info(session: &Session, out: &mut String) {
    let mut info = Fields::open(out);
    info.number("first", session.members.first().map_or(session.next_index, |first| first.index));
    info.number("next", session.next_index);
    info.number("count", session.members.len());
    info.number("accepted", session.accepted_count());
    info.number("active", session.active_count());
    info.close();
}

/// The members, each with the index of the one after it (S-60).
pub(super) fn linked(session: &Session) -> impl Iterator<Item = (&Arc<Member>, MemberIndex)> {
    let after = session.members.iter().skip(1).map(|member| member.index).chain([session.next_index]);
    session.members.iter().zip(after)
}

/// One member's entry.
pub(super) fn entry(member: &Member, next: MemberIndex, turn: bool, out: &mut String) {
    let mut fields = Fields::open(out);
    fields.number("next", next);
    fields.plain("joinTime", &render_instant(member.joined_at));
    if member.state == MemberState::Reserved {
        fields.flag("reserved");
    }
    if turn {
        fields.flag("turn");
    }
    fields.bag("constants", &member.constants, |system| {
        system.plain("xuid", &member.xuid.to_string());
        system.number("index", member.index);
    });
    fields.bag("properties", &member.properties, |system| match member.state {
        MemberState::Active { .. } => system.flag("active"),
        MemberState::Ready => system.flag("ready"),
        MemberState::Reserved | MemberState::Inactive => {}
    });
    if let Some(gamertag) = &member.gamertag {
        fields.value("gamertag", &gamertag.as_str().into());
    }
    if let Some(token) = member.device_token() {
        fields.plain("deviceToken", &token);
    }
    if let MemberState::Active { title: Some(title) } = member.state {
        fields.plain("activeTitleId", &title.to_string());
    }
    fields.close();
}

/// An object that is being written, field by field.
pub(super) struct Fields<'a> {
    out: &'a mut String,
    begun: bool,
}

impl<'a> Fields<'a> {
    /// Begins an object.
    pub fn open(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, begun: false }
    }

    /// Writes a name that needs no escape; its value is written to what this returns.
    pub fn key(&mut self, name: &str) -> &mut String {
        if std::mem::replace(&mut self.begun, true) {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        self.out
    }

    /// Any value.
    pub fn value(&mut self, name: &str, value: &Json) {
        value.write(self.key(name));
    }

    /// A text that needs no escape.
    pub fn plain(&mut self, name: &str, text: &str) {
        let out = self.key(name);
        out.push('"');
        out.push_str(text);
        out.push('"');
    }

    /// A number.
    pub fn number(&mut self, name: &str, number: impl Display) {
        let _ = write!(self.key(name), "{number}");
    }

    /// A flag that is set.
    fn flag(&mut self, name: &str) {
        self.key(name).push_str("true");
    }

    /// A bag, its system fields behind those that stand apart.
    fn bag(&mut self, name: &str, bag: &Bag, apart: impl FnOnce(&mut Fields)) {
        let mut fields = Fields::open(self.key(name));
        let mut system = Fields::open(fields.key("system"));
        apart(&mut system);
        for (name, value) in &bag.system {
            system.value(name.borrow(), value);
        }
        system.close();
        fields.value("custom", &bag.custom);
        fields.close();
    }

    /// Ends the object.
    pub fn close(self) {
        self.out.push('}');
    }
}

/// What only the service knows: per member, in order, since when its state lasts (µs) and its device; since when it is empty.
fn private(session: &Session) -> String {
    let micros = |at: DateTime<Utc>| Json::from(u64::try_from(at.timestamp_micros()).unwrap_or(0));
    let members = session.members.iter().map(|member| {
        let device = member.device_id.as_deref().map_or(Json::Null, Json::from);
        Json::Array(vec![micros(member.since), device])
    });
    let mut fields = Object::new();
    fields.insert("members".into(), members.collect());
    if let Some(since) = session.empty_since {
        fields.insert("emptySince".into(), micros(since));
    }
    Json::Object(fields).to_string()
}

/// A stored text that is not what `render` writes; the message names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stored session: {0}")]
pub struct Corrupt(String);

impl Corrupt {
    /// A stored session that cannot be read for this reason.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

fn corrupt<T>(at: &str) -> Result<T, Corrupt> {
    Err(Corrupt(format!("{at} is missing or malformed")))
}

/// Reads a session back from its two texts.
///
/// # Errors
/// When a text is not of the form `render` gives it.
pub fn read(reference: &SessionReference, body: &str, private: &str) -> Result<Session, Corrupt> {
    let parse = |text: &str| json::parse(text.as_bytes(), json::STORED_DEPTH).map_err(|error| Corrupt(error.to_string()));
    let (mut body, private) = (parse(body)?, parse(private)?);
    let Json::Object(fields) = &mut body else { return corrupt("the document") };
    let mut take = |name: &str| fields.shift_remove(name).ok_or_else(|| Corrupt(format!("{name} is missing")));
    let mut constants = take_bag("constants", take("constants")?)?;
    let mut properties = take_bag("properties", take("properties")?)?;
    constants.system.shrink_to_fit();
    properties.system.shrink_to_fit();
    let entries = take("members")?;
    let Json::Object(entries) = entries else { return corrupt("members") };
    let known = private.get("members").and_then(Json::as_array).unwrap_or_default();
    if known.len() != entries.len() {
        return corrupt("private.members");
    }
    let members = entries
        .into_iter()
        .zip(known)
        .map(|((_, entry), known)| read_member(entry, known).map(Arc::new))
        .collect::<Result<_, _>>()?;
    let next = body.get("membersInfo").and_then(|info| info.get("next")).and_then(Json::as_u64);
    let Some(branch) = body.get("branch").and_then(Json::as_str).and_then(|text| Branch::parse(&text)) else {
        return corrupt("branch");
    };
    let (Some(change_number), Some(next_index)) =
        (body.get("changeNumber").and_then(Json::as_u64), next.and_then(|n| n.try_into().ok()))
    else {
        return corrupt("changeNumber or membersInfo.next");
    };
    Ok(Session {
        reference: reference.clone(),
        branch,
        change_number,
        start_time: read_instant("startTime", body.get("startTime"))?,
        constants,
        properties,
        members,
        next_index,
        search_handle: body.get("searchHandle").and_then(Json::as_str).and_then(|text| HandleId::parse(&text)),
        empty_since: private.get("emptySince").map(|at| read_micros("emptySince", at)).transpose()?,
        former: Vec::new(),
    })
}

/// Reads a session as its readers see it, from the document alone: what only the service knows is missing.
///
/// # Errors
/// When the document is not of the form `render` gives it.
pub fn read_shown(reference: &SessionReference, body: &str) -> Result<Session, Corrupt> {
    let document = json::parse(body.as_bytes(), json::STORED_DEPTH).map_err(|error| Corrupt(error.to_string()))?;
    let members = document.get("members").and_then(Json::as_object).map_or(0, Object::len);
    let unknown = vec!["[0,null]"; members].join(",");
    read(reference, body, &format!(r#"{{"members":[{unknown}]}}"#))
}

fn take_bag(at: &str, bag: Json) -> Result<Bag, Corrupt> {
    let Json::Object(mut fields) = bag else { return corrupt(at) };
    match (fields.shift_remove("system"), fields.shift_remove("custom")) {
        (Some(Json::Object(system)), Some(custom)) => Ok(Bag { system, custom }),
        _ => corrupt(at),
    }
}

fn read_instant(at: &str, value: Option<&Json>) -> Result<DateTime<Utc>, Corrupt> {
    let parsed = value.and_then(Json::as_str).and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
    parsed.map_or_else(|| corrupt(at), |instant| Ok(instant.with_timezone(&Utc)))
}

fn read_micros(at: &str, value: &Json) -> Result<DateTime<Utc>, Corrupt> {
    let micros = value.as_u64().and_then(|micros| i64::try_from(micros).ok());
    micros.and_then(DateTime::from_timestamp_micros).map_or_else(|| corrupt(at), Ok)
}

fn read_member(entry: Json, known: &Json) -> Result<Member, Corrupt> {
    let Json::Object(mut fields) = entry else { return corrupt("a member") };
    let mut take = |name: &str| fields.shift_remove(name).ok_or_else(|| Corrupt(format!("members.{name} is missing")));
    let mut constants = take_bag("members.constants", take("constants")?)?;
    let mut properties = take_bag("members.properties", take("properties")?)?;
    let xuid = constants.system.shift_remove("xuid").as_ref().and_then(Json::as_str).and_then(|text| Xuid::parse(&text).ok());
    let index = constants.system.shift_remove("index").as_ref().and_then(Json::as_u64).and_then(|index| index.try_into().ok());
    let (Some(xuid), Some(index)) = (xuid, index) else { return corrupt("members.constants.system") };
    let text = |name: &str| fields.get(name).and_then(Json::as_str).map(std::borrow::Cow::into_owned);
    let active = properties.system.shift_remove("active").is_some();
    let ready = properties.system.shift_remove("ready").is_some();
    let state = if fields.contains_key("reserved") {
        MemberState::Reserved
    } else if active {
        MemberState::Active { title: text("activeTitleId").and_then(|title| TitleId::parse(&title).ok()) }
    } else if ready {
        MemberState::Ready
    } else {
        MemberState::Inactive
    };
    let (since, device_id) = match known.as_array() {
        Some([since, device]) => (read_micros("private.members", since)?, device.as_str().map(std::borrow::Cow::into_owned)),
        _ => return corrupt("private.members"),
    };
    let joined_at = read_instant("members.joinTime", fields.get("joinTime"))?;
    Ok(Member { index, xuid, state, since, joined_at, gamertag: text("gamertag"), device_id, constants, properties })
}
