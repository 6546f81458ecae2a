//! What a member's connection means for it: registration, loss, and the time it is given to come back (M-30 to M-34, N-36, N-40 to
//! N-42).
//!
//! A connection is lost for good. Its member stays active through a grace period, a timer like the others, and becomes inactive unless
//! it registers another connection meanwhile. What is known about connections is a fact of the directory; a session only knows the ids.

use chrono::{DateTime, Utc};

use super::access::Facts;
use super::limits::{Limits, MAX_SESSIONS_OF_CONNECTION};
use super::names::{ConnectionId, Xuid};
use super::refusal::{At, Refusal};
use super::session::{Member, Record, Session};

/// A connection id that the service has given out, and remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The id.
    pub id: ConnectionId,
    /// The user of its socket.
    pub owner: Xuid,
    /// Whether the socket is still there.
    pub alive: bool,
    /// In how many other sessions its user is registered with it.
    pub elsewhere: usize,
}

/// A connection that was lost, with the user of its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lost {
    /// The id.
    pub id: ConnectionId,
    /// The user.
    pub owner: Xuid,
}

/// Judges the connection of a member that was just written (`before` is the same member as it was, if it was there).
///
/// Whoever is active or ready with a lost connection, or with an unknown one where connections are required, has the grace period from
/// now on (M-32); a living connection ends it (M-34). The id of another user's socket is unknown (M-33). What was registered before by
/// an active or ready member is not judged again: a write that repeats it changes nothing (W-34).
///
/// Returns the contradiction of a connection that is registered in too many sessions (N-36).
pub fn register(before: Option<&Member>, member: &mut Member, at: At<'_>, rules: &Registration) -> Option<Refusal> {
    let connection = member.connection();
    let is_new = connection.is_some() && before.and_then(Member::connection) != connection;
    let known = connection.and_then(|id| rules.facts.connection(id, member.xuid));
    let conflict = known.filter(|known| is_new && known.elsewhere >= MAX_SESSIONS_OF_CONNECTION).map(|_| {
        let why = format!("this connection is registered in {MAX_SESSIONS_OF_CONNECTION} sessions already");
        Refusal::conflict(format_args!("{at}.properties.system.connection"), why)
    });
    let was_engaged = before.is_some_and(|before| before.state.is_engaged());
    if connection.is_none() || !member.state.is_engaged() {
        member.grace_until = None;
    } else if is_new || !was_engaged {
        let stays = known.map_or(!rules.required, |known| known.alive);
        member.grace_until = if stays { None } else { rules.now.checked_add_signed(rules.limits.grace) };
    }
    conflict
}

/// What judging a registration depends on.
pub struct Registration<'a> {
    /// The instant of the request.
    pub now: DateTime<Utc>,
    /// The installation's bounds.
    pub limits: &'a Limits,
    /// What is known about connections.
    pub facts: &'a Facts,
    /// Capability `connectionRequiredForActiveMembers`.
    pub required: bool,
}

/// Records that connections are lost (N-40): members that are active or ready with one of them have the grace period from now on.
///
/// `None` when nobody is concerned. A loss that is recorded already is not recorded again.
#[must_use]
pub fn lose(record: &Record, lost: &[Lost], limits: &Limits, now: DateTime<Utc>) -> Option<Session> {
    let session = record.as_ref()?;
    let concerned = |member: &Member| {
        let registered = member.connection().is_some_and(|id| lost.contains(&Lost { id, owner: member.xuid }));
        registered && member.state.is_engaged() && member.grace_until.is_none()
    };
    let indices: Vec<_> = session.members.iter().filter(|member| concerned(member)).map(|member| member.index).collect();
    if indices.is_empty() {
        return None;
    }
    let mut after = session.clone();
    for index in indices {
        if let Some(member) = after.member_at_mut(index) {
            member.grace_until = now.checked_add_signed(limits.grace);
        }
    }
    Some(after)
}
