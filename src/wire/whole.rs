//! A session as an operator sees it: the whole document, also of a large one, and beside it what only the service knows.

use std::fmt::Write as _;
use std::sync::Arc;

use super::large;
use super::stored::body_of;
use crate::domain::instant::render_instant;
use crate::domain::names::Xuid;
use crate::domain::session::{Member, MemberState, Session};
use crate::domain::timers;
use crate::json::{Json, Object};

/// What is kept beside a session.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The token of compare-and-swap, which rises with every save.
    pub revision: i64,
    /// How often settling the session has failed in a row.
    pub failures: i16,
    /// Accepted members that left, where `locked` asks for them (M-87).
    pub former: Vec<Xuid>,
    /// How many handles lead to it, by the name of their type.
    pub handles: Vec<(&'static str, i64)>,
    /// Whether the connections of members live, by index, as far as they are known.
    pub alive: Vec<(u32, Option<bool>)>,
}

/// Renders `{"session": …, "service": …}`; a large session must have come with all its members, or is shown without any.
#[must_use]
pub fn render(session: &Session, kept: &Kept, with_crowd: bool) -> String {
    let is_large = session.is_large();
    if is_large && !with_crowd {
        let mut known = service(session, true, kept);
        known.shift_remove("members");
        return format!("{{\"session\":{},\"service\":{}}}", large::document(session, None), Json::from(known));
    }
    // Rendered like any other, which shows its members.
    let shown = Session { crowd: None, ..session.clone() };
    let mut out = String::from("{\"session\":");
    out.push_str(&body_of(&shown));
    let _ = write!(out, ",\"service\":{}}}", Json::from(service(&shown, is_large, kept)));
    out
}

fn service(session: &Session, is_large: bool, kept: &Kept) -> Object {
    let mut fields = Object::new();
    fields.insert("revision".into(), kept.revision.cast_unsigned().into());
    fields.insert("large".into(), is_large.into());
    if let Some(since) = session.empty_since {
        fields.insert("emptySince".into(), render_instant(since).into());
    }
    fields.insert("timerFailures".into(), u64::from(kept.failures.unsigned_abs()).into());
    let count = |(name, count): &(&'static str, i64)| ((*name).into(), Json::from(count.cast_unsigned()));
    fields.insert("handles".into(), kept.handles.iter().map(count).collect::<Object>().into());
    fields.insert("formerMembers".into(), kept.former.iter().map(|xuid| Json::from(xuid.to_string())).collect());
    let one = |member: &Arc<Member>| (member.index.to_string().as_str().into(), of_member(session, member, kept).into());
    fields.insert("members".into(), session.members.iter().map(one).collect::<Object>().into());
    fields
}

fn of_member(session: &Session, member: &Member, kept: &Kept) -> Object {
    let mut fields = Object::new();
    fields.insert("xuid".into(), member.xuid.to_string().into());
    let state = match member.state {
        MemberState::Reserved => "reserved",
        MemberState::Inactive => "inactive",
        MemberState::Ready => "ready",
        MemberState::Active { .. } => "active",
    };
    fields.insert("state".into(), state.into());
    fields.insert("since".into(), render_instant(member.since).into());
    if let Some(due) = timers::due_at(session, member) {
        fields.insert("endsAt".into(), render_instant(due).into());
    }
    if let Some(until) = member.grace_until {
        fields.insert("graceUntil".into(), render_instant(until).into());
    }
    if let Some(device) = &member.device_id {
        fields.insert("deviceId".into(), device.as_str().into());
    }
    if let Some(connection) = member.connection() {
        let known = kept.alive.binary_search_by_key(&member.index, |(index, _)| *index).ok().and_then(|at| kept.alive[at].1);
        let mut about = Object::new();
        about.insert("id".into(), connection.to_string().into());
        let state = match known {
            Some(true) => "alive",
            Some(false) => "lost",
            None => "unknown",
        };
        about.insert("state".into(), state.into());
        fields.insert("connection".into(), about.into());
    }
    fields
}
