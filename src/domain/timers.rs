//! Time in the life of a session: what is due, what happens then, and when the next thing is (M-20 to M-29).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::session::{Member, MemberState, Record, Session};

/// The timeout of a state, by the name of its constant (M-20, M-21, M-22).
fn timeout(session: &Session, state: MemberState) -> Option<TimeDelta> {
    match state {
        MemberState::Reserved => session.timeout("reservedRemovalTimeout"),
        MemberState::Inactive => session.timeout("inactiveRemovalTimeout"),
        MemberState::Ready => session.timeout("readyRemovalTimeout"),
        MemberState::Active { .. } => None,
    }
}

/// When the member's state ends by itself, if ever.
fn due_at(session: &Session, member: &Member) -> Option<DateTime<Utc>> {
    member.since.checked_add_signed(timeout(session, member.state)?)
}

/// When the next timer of a session is due: the earliest of all pending ones (M-29).
#[must_use]
pub fn next(session: &Session) -> Option<DateTime<Utc>> {
    let empty =
        session.empty_since.zip(session.timeout("sessionEmptyTimeout")).and_then(|(since, wait)| since.checked_add_signed(wait));
    session.members.iter().filter_map(|member| due_at(session, member)).chain(empty).min()
}

/// Evaluates a record at one instant; `None` when nothing is due.
///
/// Every member makes at most one transition with a timeout above zero, and what follows starts at `now`, not at the theoretical
/// expiry (M-25); zero timeouts follow at once (M-26).
#[must_use]
pub fn settle(record: &Record, now: DateTime<Utc>) -> Option<Record> {
    let session = record.as_ref()?;
    if next(session)? > now {
        return None;
    }
    let mut after = session.clone();
    let was_empty = after.members.is_empty();
    for member in &session.members {
        if due_at(session, member).is_some_and(|due| due <= now) {
            expire(&mut after, member, now);
        }
    }
    if was_empty {
        return Some(None);
    }
    Some(finish(after, now))
}

/// What the end of a state does to its member (M-20, M-21, M-22).
fn expire(session: &mut Session, member: &Member, now: DateTime<Utc>) {
    match member.state {
        MemberState::Reserved | MemberState::Inactive => remove(session, member),
        MemberState::Ready => {
            if let Some(member) = session.member_mut(member.xuid) {
                member.state = MemberState::Inactive;
                member.since = now;
            }
        }
        MemberState::Active { .. } => {}
    }
}

/// Takes a member out; an accepted one is remembered as former (M-40, M-87).
pub fn remove(session: &mut Session, member: &Member) {
    session.members.retain(|other| other.index != member.index);
    if member.state.is_accepted() && !session.former.contains(&member.xuid) {
        session.former.push(member.xuid);
    }
}

/// The end of every change: zero timeouts (M-26), what depends on members (M-41), and whether anybody is left (W-60).
///
/// A zero `readyRemovalTimeout` is no matter here: who is ready for no time is inactive from the start (`member::Rules`).
#[must_use]
pub fn finish(mut session: Session, now: DateTime<Utc>) -> Record {
    for state in [MemberState::Reserved, MemberState::Inactive] {
        if timeout(&session, state).is_some_and(|timeout| timeout.is_zero()) {
            let gone: Vec<Arc<Member>> = session.members.iter().filter(|member| member.state == state).cloned().collect();
            for member in &gone {
                remove(&mut session, member);
            }
        }
    }
    derive(&mut session);
    if !session.members.is_empty() {
        session.empty_since = None;
        return Some(session);
    }
    session.empty_since.get_or_insert(now);
    if session.timeout("sessionEmptyTimeout").is_some_and(|timeout| timeout.is_zero()) { None } else { Some(session) }
}

/// Drops `turn` and `host` that no longer name a member (S-45, S-46, M-41).
fn derive(session: &mut Session) {
    let here: Vec<u32> = session.members.iter().map(|member| member.index).collect();
    if let Some(crate::json::Json::Array(turn)) = session.properties.system.get_mut("turn") {
        turn.retain(|index| index.as_u64().is_some_and(|index| here.iter().any(|known| u64::from(*known) == index)));
    }
    let host = session.properties.system.get("host").and_then(|host| host.as_str().map(|host| host.to_lowercase()));
    if host.is_some_and(|host| !session.members.iter().any(|member| member.device_token().is_some_and(|token| token == host))) {
        session.properties.system.shift_remove("host");
    }
}
