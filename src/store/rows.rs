//! Rows as they are stored: plain values, one field per column. The projection from a session to its rows, and back, is not here, nor
//! how they are read from answers of the database (`decode`).
//!
//! The small numbers are codes, the same in the columns and here:
//!
//! | Code | 0 | 1 | 2 | 3 |
//! |---|---|---|---|---|
//! | visibility | open | visible | private | |
//! | join and read restriction | none | followed | local | |
//! | member state | reserved | inactive | ready | active |
//! | handle type | activity | invite | search | transfer |

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::search::SearchKey;

/// The stored form of a xuid: the signed number of the same 64 bits. The only place, with `xuid_from_column`, that knows.
pub(super) fn xuid_to_column(xuid: u64) -> i64 {
    xuid.cast_signed()
}

/// The xuid behind its stored form.
pub(super) fn xuid_from_column(column: i64) -> u64 {
    column.cast_unsigned()
}

/// The session that a row is about: the reference in its case, and the id made from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceRow {
    /// UUID v5 of the reference; equals `correlationId` (S-23).
    pub sid: Uuid,
    /// The service config.
    pub scid: Uuid,
    /// The service config as it was written, where that was not in lower case (S-05).
    pub scid_spelling: Option<String>,
    /// The template in its published case.
    pub template: String,
    /// The session name in the case of its creator.
    pub name: String,
}

/// A session: its state (`body` and `private`) and the columns that repeat parts of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Which session.
    pub reference: ReferenceRow,
    /// One life of the session, from creation to deletion.
    pub branch: Uuid,
    /// Counts changes of the document within the branch.
    pub change_number: i64,
    /// `startTime`.
    pub start_time: DateTime<Utc>,
    /// The earliest pending timer (M-29).
    pub next_timer_at: Option<DateTime<Utc>>,
    /// A code, see above.
    pub visibility: i16,
    /// A code, see above.
    pub join_restriction: i16,
    /// A code, see above.
    pub read_restriction: i16,
    /// `properties.system.closed`.
    pub closed: bool,
    /// `constants.system.version`.
    pub version: i32,
    /// `maxMembersCount`.
    pub max_members: i32,
    /// Members, reservations included.
    pub member_count: i32,
    /// Members without reservations.
    pub accepted_count: i32,
    /// In their spelling.
    pub keywords: Vec<String>,
    /// `inviteProtocol`.
    pub invite_protocol: Option<String>,
    /// The rendered 107 document, shared by the answers with it.
    pub body: Arc<String>,
    /// What only the service knows.
    pub private: String,
    /// Whether its members' documents stand in their rows (M-95).
    pub large: bool,
}

/// A session as it was loaded, with the token that a save must bring back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// Rises with every save of the branch.
    pub revision: i64,
    /// The session.
    pub session: SessionRow,
    /// Those of the callers that were accepted members of this branch earlier (M-87).
    pub former_members: Vec<u64>,
    /// Of a large session those members that the asked decisions can concern; empty for others.
    pub members: Vec<LoadedMember>,
    /// When the first of the members is due that are not among them.
    pub next_due: Option<DateTime<Utc>>,
}

/// A member of a large session, as it was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedMember {
    /// Its entry, without `next`.
    pub document: String,
    /// Since when it is in its state.
    pub since: DateTime<Utc>,
    /// Until when it has time to come back, if its connection is lost.
    pub grace_until: Option<DateTime<Utc>>,
    /// The device of its last write.
    pub device_id: Option<String>,
}

/// An edge of the social graph among the people a decision asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Edge {
    /// Who follows or blocks: a member, or a caller who may become one.
    pub from: u64,
    /// Who is followed or blocked: a caller.
    pub to: u64,
}

/// What a decision is made on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The session, if it exists.
    pub stored: Option<StoredSession>,
    /// Who follows the callers, where the restrictions of the session may ask for it.
    pub follows: Vec<Edge>,
    /// Who blocks the callers.
    pub blocks: Vec<Edge>,
    /// The connections that commands name or members have registered, as far as they are known.
    pub connections: Vec<KnownConnection>,
}

/// A connection id that the service has given out, and remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownConnection {
    /// The id.
    pub id: Uuid,
    /// The user of its socket.
    pub owner: u64,
    /// Whether the socket is still there.
    pub alive: bool,
    /// In how many other sessions its user is registered with it, counted up to 10.
    pub elsewhere: i64,
}

/// A connection that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostConnection {
    /// The id.
    pub id: Uuid,
    /// The user of its socket.
    pub owner: u64,
}

/// A member that is active or ready with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    /// The connection.
    pub connection: Uuid,
    /// The member.
    pub owner: u64,
    /// The session.
    pub sid: Uuid,
    /// The session's branch.
    pub branch: Uuid,
    /// The number of the session's last change.
    pub change_number: i64,
}

/// Another process on the same database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRow {
    /// Its id.
    pub id: Uuid,
    /// Rises while it is well.
    pub beat: i64,
    /// Whether its own connection to the database is there, or cannot be seen.
    pub attached: bool,
}

/// A change that somebody may have missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedRow {
    /// Its number.
    pub change_number: i64,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// Bit set of the change types of N-37.
    pub kinds: i32,
    /// The member who is not tapped for it (N-39), by index.
    pub exempt: Option<i32>,
    /// Members that left in it, with their connections and subscriptions, as JSON text.
    pub departed: Option<String>,
    /// Whether it ended the branch.
    pub deleted: bool,
}

/// A document for one caller, with what access and timers ask about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRow {
    /// Which session.
    pub reference: ReferenceRow,
    /// Part of the `ETag`.
    pub branch: Uuid,
    /// Part of the `ETag`.
    pub change_number: i64,
    /// When this has passed, the session must be settled before it is shown (M-24).
    pub next_timer_at: Option<DateTime<Utc>>,
    /// A code, see above.
    pub visibility: i16,
    /// A code, see above.
    pub read_restriction: i16,
    /// The caller's own state as a member, if it is one.
    pub caller_state: Option<i16>,
    /// The rendered 107 document; of a large session what all readers share of it.
    pub body: String,
    /// Of a large session what completes the document for every reader.
    pub private: Option<String>,
    /// Of a large session the caller's own entry, if it is a member.
    pub caller_document: Option<String>,
}

/// A handle behind its id and, in the same read, the session it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandleReadRow {
    /// The handle.
    pub handle: HandleRow,
    /// The session, if it exists.
    pub session: Option<ReadRow>,
    /// Whether the caller is an accepted member of the session that a transfer handle comes from (H-43).
    pub from_origin: bool,
    /// Whether something is due in that session.
    pub origin_due: bool,
}

/// What restricted sessions ask about a stranger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccessFacts {
    /// An accepted member follows the caller.
    pub followed: bool,
    /// An active member is on the caller's device.
    pub local: bool,
}

/// A member, as queries and connections look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// Its place in the session, never used again (M-40).
    pub index: i32,
    /// Who.
    pub xuid: u64,
    /// A code, see above.
    pub state: i16,
    /// The registered connection.
    pub connection: Option<Uuid>,
    /// The device of its last write.
    pub device_id: Option<String>,
    /// `turn: true`.
    pub turn: bool,
    /// Whether it is among the owners.
    pub owner: bool,
    /// What else is kept of a member of a large session.
    pub large: Option<LargeMember>,
}

impl MemberRow {
    /// The member of a large session, as a decision loads it.
    #[must_use]
    pub fn loaded(&self) -> Option<LoadedMember> {
        let large = self.large.as_ref()?;
        Some(LoadedMember {
            document: large.document.clone(),
            since: large.since,
            grace_until: large.grace_until,
            device_id: self.device_id.clone(),
        })
    }
}

/// What is kept in the row of a member of a large session, where its session's document does not hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LargeMember {
    /// Its entry, without `next`.
    pub document: String,
    /// Since when it is in its state.
    pub since: DateTime<Utc>,
    /// When that state ends by itself, if ever.
    pub due_at: Option<DateTime<Utc>>,
    /// `joinTime`.
    pub joined_at: DateTime<Utc>,
    /// Until when it has time to come back, if its connection is lost.
    pub grace_until: Option<DateTime<Utc>>,
}

/// A value that a listed session is found by.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchValueRow {
    /// Its path in the filter grammar, in lower case.
    pub attribute: String,
    /// The value, if it is a number.
    pub number: Option<f64>,
    /// The value, if it is a text, in lower case.
    pub text: Option<String>,
}

/// The codes of the types of handle, see above.
pub mod handle_code {
    /// Shows where its owner plays.
    pub const ACTIVITY: i16 = 0;
    /// Invites one user.
    pub const INVITE: i16 = 1;
    /// Lets everybody find the session.
    pub const SEARCH: i16 = 2;
    /// Leads the members of another session.
    pub const TRANSFER: i16 = 3;
}

/// A handle of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandleRow {
    /// The handle's own id.
    pub id: Uuid,
    /// A code, see above.
    pub kind: i16,
    /// The session it leads to, as its creator wrote it.
    pub reference: ReferenceRow,
    /// Who made it; a server leaves none.
    pub owner: Option<u64>,
    /// The title of its owner.
    pub title_id: Option<u32>,
    /// The invited user.
    pub invited: Option<u64>,
    /// `createTime`.
    pub created_at: DateTime<Utc>,
    /// When it dies; of an activity, when it dies unless its owner is active in the session (H-21).
    pub expires_at: Option<DateTime<Utc>>,
    /// Of a transfer handle the session it comes from, by id and service config.
    pub origin: Option<(Uuid, Uuid)>,
    /// What only its type knows, as JSON text.
    pub document: Option<String>,
}

/// One committed change of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// The branch it belongs to.
    pub branch: Uuid,
    /// Its number in the branch.
    pub change_number: i64,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub actor: String,
    /// Why it happened, as a code.
    pub cause: i16,
    /// What changed, in W-10's form.
    pub delta: Option<String>,
    /// Bit set of the change types of N-37.
    pub kinds: i32,
    /// Members that left in it, with their connections and subscriptions, as JSON text.
    pub departed: Option<String>,
    /// The member who only wrote how it is to be reached, by index: it is not tapped for that (N-39).
    pub exempt: Option<i32>,
    /// Whether it ended the branch.
    pub deleted: bool,
}

/// A change that may have touched who can read a session, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RightsRow {
    /// Its number in the branch.
    pub change_number: i64,
    /// What changed, in W-10's form.
    pub delta: Option<String>,
    /// Members that left in it, as JSON text.
    pub departed: Option<String>,
}

/// A session that a query may report, with what its filters ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateRow {
    /// Which session.
    pub reference: ReferenceRow,
    /// First key of the order, newest first.
    pub start_time: DateTime<Utc>,
    /// When this has passed, none of the rest counts before the session is settled.
    pub next_timer_at: Option<DateTime<Utc>>,
    /// `constants.system.version`.
    pub version: i32,
    /// Members without reservations.
    pub accepted_count: i32,
    /// In their spelling.
    pub keywords: Vec<String>,
    /// The rest; of a member where the session was found through one.
    pub codes: Codes,
}

/// What is small of a session: statements that find many give it as one number, because a column takes longer than most of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codes {
    /// A code, see above.
    pub visibility: i16,
    /// A code, see above.
    pub join_restriction: i16,
    /// A code, see above.
    pub read_restriction: i16,
    /// Whether every slot is taken, where that is asked for.
    pub full: bool,
    /// State of the user the session was found through.
    pub member_state: Option<i16>,
    /// Whether it is that user's turn.
    pub member_turn: bool,
    /// Whether a caller is a member; looked up only where not everybody may read.
    pub caller_is_member: bool,
    /// What a read restriction asks; looked up only for a restricted session that no caller is a member of.
    pub facts: AccessFacts,
}

impl Codes {
    /// Takes the number apart; the statements say how it is made.
    #[must_use]
    pub fn of(number: i32) -> Self {
        let field = |at: u32, mask: i32| i16::try_from((number >> at) & mask).expect("a field has a few bits");
        let flag = |at: u32| field(at, 1) == 1;
        Self {
            visibility: field(0, 3),
            join_restriction: field(2, 3),
            read_restriction: field(4, 3),
            full: flag(6),
            member_state: Some(field(7, 7)).filter(|state| *state > 0).map(|state| state - 1),
            member_turn: flag(10),
            caller_is_member: flag(11),
            facts: AccessFacts { followed: flag(12), local: flag(13) },
        }
    }
}

/// An activity and, if it exists, its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityRow {
    /// The handle.
    pub handle: HandleRow,
    /// The session.
    pub session: Option<ActivitySessionRow>,
}

/// The session behind an activity, as far as `relatedInfo` and `customProperties` tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivitySessionRow {
    /// Which session.
    pub reference: ReferenceRow,
    /// When this has passed, none of the rest counts before the session is settled.
    pub next_timer_at: Option<DateTime<Utc>>,
    /// `properties.system.closed`.
    pub closed: bool,
    /// `maxMembersCount`.
    pub max_members: i32,
    /// Members, reservations included.
    pub member_count: i32,
    /// Members without reservations.
    pub accepted_count: i32,
    /// Its member is the owner.
    pub codes: Codes,
    /// `inviteProtocol`.
    pub invite_protocol: Option<String>,
    /// The document, when it was asked for.
    pub body: Option<String>,
    /// What only the service knows of it, when it was asked for.
    pub private: Option<String>,
    /// Of a large session the owners, by index and xuid, when the document was asked for.
    pub owners: Vec<(i32, u64)>,
}

/// A search handle that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRow {
    /// Where it stands in the order.
    pub key: SearchKey,
    /// The handle.
    pub handle: HandleRow,
    /// When this has passed, the session must be settled before it is shown.
    pub next_timer_at: Option<DateTime<Utc>>,
    /// The document of the session, when it was asked for.
    pub body: Option<String>,
    /// What only the service knows of it, when it was asked for.
    pub private: Option<String>,
    /// Of a large session the owners, by index and xuid, when the document was asked for.
    pub owners: Vec<(i32, u64)>,
}

/// A timer that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueRow {
    /// The session to settle.
    pub sid: Uuid,
    /// Since when.
    pub due_at: DateTime<Utc>,
}

/// A service config, the titles that may use it, none meaning any, and what handles tell of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfigRow {
    /// The service config.
    pub scid: Uuid,
    /// Title ids.
    pub titles: Vec<u32>,
    /// What its title is called on each platform, as JSON in the form that handles show (H-33).
    pub game_types: Option<String>,
    /// How often users may call, where it differs from the installation: JSON, numbers by key (W-80).
    pub throttle: Option<String>,
}

/// A template as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateRow {
    /// The service config it belongs to.
    pub scid: Uuid,
    /// Its name in the published case; compared without case.
    pub name: String,
    /// The form of the document: 104, 105 or 107.
    pub contract_version: i32,
    /// The document as given.
    pub document: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_xuid_survives_its_column() {
        for xuid in [0, 1, 2_533_274_800_000_001, i64::MAX.cast_unsigned(), i64::MAX.cast_unsigned() + 1, u64::MAX] {
            assert_eq!(xuid_from_column(xuid_to_column(xuid)), xuid);
        }
    }
}
