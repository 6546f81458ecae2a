//! Time in the life of a session: what is due, what happens then, and when the next thing is (M-20 to M-29).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::bag;
use super::initialization;
use super::session::{Member, MemberState, Record, Session, Standing};
use crate::json::Json;

/// A member's timer, a row of the table of timers in members.md.
pub struct MemberTimer {
    /// The rule.
    pub rule: &'static str,
    /// The state it ends.
    pub of: Standing,
    /// The constant that sets it.
    pub timeout: &'static str,
    /// What the member is then; `None`: no member any more.
    pub then: Option<Standing>,
    /// Whether members of an episode wait for that instead (M-53).
    pub rests_in_episode: bool,
}

/// The timers of members. That of an empty session is M-23, those of episodes are in `initialization`.
pub const MEMBER_TIMERS: &[MemberTimer] = &[
    MemberTimer { rule: "M-20", of: Standing::Reserved, timeout: "reservedRemovalTimeout", then: None, rests_in_episode: true },
    MemberTimer { rule: "M-21", of: Standing::Inactive, timeout: "inactiveRemovalTimeout", then: None, rests_in_episode: false },
    MemberTimer {
        rule: "M-22",
        of: Standing::Ready,
        timeout: "readyRemovalTimeout",
        then: Some(Standing::Inactive),
        rests_in_episode: true,
    },
];

/// The timer that runs for a member, and how long it takes.
fn timer_of(session: &Session, member: &Member) -> Option<(&'static MemberTimer, TimeDelta)> {
    let timer = MEMBER_TIMERS.iter().find(|timer| timer.of == member.state.standing())?;
    if timer.rests_in_episode && member.episode.is_some() {
        return None;
    }
    Some((timer, session.timeout(timer.timeout)?))
}

/// When the member's state ends by itself, if ever: by its timer, or because its connection is lost (M-31).
#[must_use]
pub fn due_at(session: &Session, member: &Member) -> Option<DateTime<Utc>> {
    let timer = timer_of(session, member).and_then(|(_, timeout)| member.since.checked_add_signed(timeout));
    timer.into_iter().chain(member.grace_until).min()
}

/// When an empty session ends (M-23).
fn empty_due_at(session: &Session) -> Option<DateTime<Utc>> {
    session.empty_since?.checked_add_signed(session.timeout("sessionEmptyTimeout")?)
}

/// When the next timer of a session is due: the earliest of all pending ones (M-29).
#[must_use]
pub fn next(session: &Session) -> Option<DateTime<Utc>> {
    let members = session.members.iter().filter_map(|member| due_at(session, member));
    let crowd = session.crowd.as_ref().and_then(|crowd| crowd.next_due);
    members.chain(crowd).chain(initialization::due_at(session)).chain(empty_due_at(session)).min()
}

/// Evaluates a record at one instant; `None` when nothing is due.
///
/// Every member makes at most one transition with a timeout above zero, and what follows starts at `now`, not at the theoretical
/// expiry (M-25); zero timeouts follow at once (M-26). Of a large session only those members are moved that are loaded: then `next`
/// may be due still.
#[must_use]
pub fn settle(record: &Record, now: DateTime<Utc>) -> Option<Record> {
    let session = record.as_ref()?;
    if next(session)? > now {
        return None;
    }
    if empty_due_at(session).is_some_and(|due| due <= now) {
        return Some(None);
    }
    let due: Vec<&Arc<Member>> =
        session.members.iter().filter(|member| due_at(session, member).is_some_and(|due| due <= now)).collect();
    if due.is_empty() && initialization::due_at(session).is_none_or(|due| due > now) {
        return None;
    }
    let mut after = session.clone();
    for member in due {
        expire(&mut after, member, now);
    }
    Some(finish(after, Some(session), None, now))
}

/// What the end of a state does to its member (M-20, M-21, M-22, M-31).
fn expire(session: &mut Session, member: &Member, now: DateTime<Utc>) {
    match timer_of(session, member) {
        // Only who is active or ready has a connection to lose, and both become inactive.
        _ if member.grace_until.is_some_and(|until| until <= now) => become_inactive(session, member, now),
        Some((MemberTimer { then: None, .. }, _)) => remove(session, member),
        Some(_) => become_inactive(session, member, now),
        None => {}
    }
}

fn become_inactive(session: &mut Session, member: &Member, now: DateTime<Utc>) {
    if let Some(member) = session.member_at_mut(member.index) {
        member.state = MemberState::Inactive;
        member.since = now;
        member.grace_until = None;
    }
}

/// Takes a member out; an accepted one is remembered as former (M-40, M-87).
pub fn remove(session: &mut Session, member: &Member) {
    session.members.retain(|other| other.index != member.index);
    if member.state.is_accepted() && !session.former.contains(&member.xuid) {
        session.former.push(member.xuid);
    }
}

/// The end of every change (W-38): what depends on members (M-41), initialization (M-54), zero timeouts (M-26), ownership (M-93), and
/// whether anybody is left (W-60).
///
/// `before` is the session before the change, `judged` what the title says of the episode that it evaluates.
#[must_use]
pub fn finish(mut session: Session, before: Option<&Session>, mut judged: Option<bool>, now: DateTime<Utc>) -> Record {
    loop {
        derive(&mut session);
        let moved = initialization::advance(&mut session, judged.take(), now);
        if !expire_at_once(&mut session, now) && !moved {
            break;
        }
    }
    if !pass_on(&mut session, before, now) {
        return None;
    }
    if session.member_count() > 0 {
        session.empty_since = None;
        return Some(session);
    }
    session.empty_since.get_or_insert(now);
    if session.timeout("sessionEmptyTimeout").is_some_and(|timeout| timeout.is_zero()) { None } else { Some(session) }
}

/// Applies timeouts of zero (M-26) and says whether there were any.
///
/// Who gets ready in a session where that lasts no time is inactive from the start (`member::Rules`), but for members of an episode,
/// whose time begins when that ends.
fn expire_at_once(session: &mut Session, now: DateTime<Utc>) -> bool {
    let is_zero = |member: &Member| timer_of(session, member).is_some_and(|(_, timeout)| timeout.is_zero());
    let gone: Vec<Arc<Member>> = session.members.iter().filter(|member| is_zero(member)).cloned().collect();
    for member in &gone {
        expire(session, member, now);
    }
    !gone.is_empty()
}

/// Drops what no longer names a member, and computes what is computed (S-45, S-46, M-41, M-70, M-75).
fn derive(session: &mut Session) {
    let here: Vec<(u32, bool)> = session.members.iter().map(|member| (member.index, member.state.is_accepted())).collect();
    for (name, accepted) in [("turn", false), ("owners", true)] {
        let names = |index: u64| here.iter().any(|(known, is)| u64::from(*known) == index && (*is || !accepted));
        if let Some(Json::Array(list)) = session.properties.system.get_mut(name) {
            list.retain(|index| index.as_u64().is_some_and(names));
            if accepted && list.is_empty() {
                session.properties.system.shift_remove(name);
            }
        }
    }
    let host = session.properties.system.get("host").and_then(|host| host.as_str().map(|host| host.to_lowercase()));
    if host.is_some() || !session.host_candidates.is_empty() {
        let tokens: Vec<String> = session.members.iter().filter_map(|member| member.device_token()).collect();
        session.host_candidates.retain(|candidate| tokens.contains(candidate));
        if host.is_some_and(|host| !tokens.contains(&host)) {
            session.properties.system.shift_remove("host");
        }
        if session.properties.system.contains_key("host") {
            session.host_candidates.clear();
        }
    }
    if session.has("autoPopulateServerCandidates") {
        let name = "serverConnectionStringCandidates";
        match initialization::server_candidates(session) {
            Some(candidates) => bag::replace(&mut session.properties.system, name, candidates),
            None => drop(session.properties.system.shift_remove(name)),
        }
    }
}

/// Sees to it that a session with owners has one, and says whether it goes on (M-91, M-93).
///
/// The first accepted member of a session without owners becomes one. When the last owner has gone, the member that joined first
/// takes over, or the session ends, as its policy wants. Who takes over waits until nothing is due any more among the members of a
/// large session: nobody sees it before (M-24).
fn pass_on(session: &mut Session, before: Option<&Session>, now: DateTime<Utc>) -> bool {
    if !session.has_owners() || !session.owners().is_empty() {
        return true;
    }
    let owned = before.map(Session::owners).unwrap_or_default();
    let gone = !owned.is_empty() && !owned.iter().any(|index| session.member_at(*index).is_some());
    // Accepted members without an owner are those of a large session that waits for one to take over.
    let waits = owned.is_empty() && before.is_some_and(|before| before.accepted_count() > 0);
    let all_gone = gone || waits;
    let policy = session.constants.system.get("ownershipPolicies").and_then(|policies| policies.get("migration"));
    if all_gone && policy.and_then(Json::as_str).as_deref() != Some("oldest") {
        return false;
    }
    if session.crowd.as_ref().and_then(|crowd| crowd.next_due).is_some_and(|due| due <= now) {
        return true;
    }
    let accepted = session.members.iter().filter(|member| member.state.is_accepted());
    match accepted.min_by_key(|member| (member.joined_at, member.index)).map(|member| member.index) {
        Some(index) => {
            session.properties.system.insert("owners".into(), Json::Array(vec![index.into()]));
            true
        }
        // Of those who are not loaded somebody will take over.
        None => !all_gone || session.crowd.as_ref().is_some_and(|crowd| crowd.count > 0),
    }
}
