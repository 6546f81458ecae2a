//! The stored session: what a directory remembers of one, and the few questions everybody asks it.

use std::collections::HashSet;
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::limits;
use super::names::{Branch, ETag, HandleId, MemberIndex, SessionReference, TitleId, Xuid};
use crate::json::{Json, Object};

/// What is stored under one session reference: a session, or nothing.
pub type Record = Option<Session>;

/// `system` data of a fixed schema and `custom` data that is never interpreted (S-01).
#[derive(Debug, Clone, PartialEq)]
pub struct Bag {
    /// Validated fields in the contract's spelling (see `system`).
    pub system: Object,
    /// The title's own data, any JSON value.
    pub custom: Json,
}

impl Default for Bag {
    fn default() -> Self {
        Self { system: Object::new(), custom: Json::object() }
    }
}

/// One live session.
///
/// Invariants: members are in the order of their indices, all below `next_index`; no two have one xuid; `turn` and `host` name
/// members that are there.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its name, in the case it was created with (S-05).
    pub reference: SessionReference,
    /// The scope of its change numbers (S-21).
    pub branch: Branch,
    /// How many changes this branch has seen (S-22).
    pub change_number: u64,
    /// When it was created (S-24).
    pub start_time: DateTime<Utc>,
    /// What was settled at creation, defaults filled in (T-41).
    pub constants: Bag,
    /// What its members may change.
    pub properties: Bag,
    /// Its members, reservations included, by index.
    pub members: Vec<Member>,
    /// The index that the next member gets (S-30).
    pub next_index: MemberIndex,
    /// The search handle that shows it, if there is one (S-26).
    pub search_handle: Option<HandleId>,
    /// Since when it has no members (M-23). Known to the service only.
    pub empty_since: Option<DateTime<Utc>>,
    /// Accepted members that left since the record was loaded (M-87): to be remembered beside the document. Known to the service only.
    pub former: Vec<Xuid>,
}

/// Where a member stands (members.md, States).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// Added by somebody else, has not written yet.
    Reserved,
    /// Accepted but not engaged.
    Inactive,
    /// The title is launching.
    Ready,
    /// The title is engaged.
    Active {
        /// The title of the write that made the member active (M-04).
        title: Option<TitleId>,
    },
}

/// A user's entry in a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its key; never used again in this branch (M-40).
    pub index: MemberIndex,
    /// The user.
    pub xuid: Xuid,
    /// Where it stands.
    pub state: MemberState,
    /// Since when it stands there: what its timers run from. Known to the service only.
    pub since: DateTime<Utc>,
    /// When it joined; while reserved, when it was reserved (S-64).
    pub joined_at: DateTime<Utc>,
    /// The user's name, once accepted.
    pub gamertag: Option<String>,
    /// The device of the member's last write. Known to the service only.
    pub device_id: Option<String>,
    /// What was settled when it was added, without `xuid` and `index`.
    pub constants: Bag,
    /// What its user may change, without `active` and `ready`.
    pub properties: Bag,
}

impl MemberState {
    /// Whether the member is active.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active { .. })
    }

    /// Whether the member is no mere reservation.
    #[must_use]
    pub fn is_accepted(self) -> bool {
        self != Self::Reserved
    }
}

impl Member {
    /// A stable hash of the member's secure device address (S-62): the first 16 bytes of its SHA-256 in lower-case hex.
    #[must_use]
    pub fn device_token(&self) -> Option<String> {
        let address = self.properties.system.get("secureDeviceAddress")?.as_str()?;
        let hash = Sha256::digest(address.as_bytes());
        let mut token = String::with_capacity(32);
        for byte in hash.iter().take(16) {
            let _ = write!(token, "{byte:02x}");
        }
        Some(token)
    }

    /// The text of a field of `properties.system`.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<String> {
        self.properties.system.get(name)?.as_str().map(std::borrow::Cow::into_owned)
    }

    /// Whether two entries show the same document.
    #[must_use]
    fn same_document(&self, other: &Self) -> bool {
        let bookkeeping = |member: &Self| (member.index, member.xuid, member.state, member.since, member.joined_at);
        bookkeeping(self) == bookkeeping(other)
            && self.gamertag == other.gamertag
            && self.constants == other.constants
            && self.properties == other.properties
    }
}

/// Who may find and read a session at all (S-33).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Anybody may find, read and, restrictions permitting, join it.
    Open,
    /// Anybody may find and read it; joining needs a reservation.
    Visible,
    /// Only members and reservations.
    Private,
}

impl Visibility {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Visible => "visible",
            Self::Private => "private",
        }
    }
}

/// How near a stranger has to be (S-40, S-41); ordered from the most to the least permissive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Restriction {
    /// Anybody.
    None,
    /// Followed by an accepted member, or local.
    Followed,
    /// On the device of an active member.
    Local,
}

impl Restriction {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Followed => "followed",
            Self::Local => "local",
        }
    }

    fn read(fields: &Object, name: &str) -> Self {
        match fields.get(name).and_then(Json::as_str).as_deref() {
            Some("followed") => Self::Followed,
            Some("local") => Self::Local,
            _ => Self::None,
        }
    }
}

impl Session {
    /// Its strong validator (W-40).
    #[must_use]
    pub fn etag(&self) -> ETag {
        ETag { branch: self.branch, change_number: self.change_number }
    }

    /// The member of a user.
    #[must_use]
    pub fn member(&self, xuid: Xuid) -> Option<&Member> {
        self.members.iter().find(|member| member.xuid == xuid)
    }

    /// The member of a user, to be changed.
    pub fn member_mut(&mut self, xuid: Xuid) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.xuid == xuid)
    }

    /// How many members are more than reservations (S-30).
    #[must_use]
    pub fn accepted_count(&self) -> usize {
        self.members.iter().filter(|member| member.state.is_accepted()).count()
    }

    /// How many members are active (S-30).
    #[must_use]
    pub fn active_count(&self) -> usize {
        self.members.iter().filter(|member| member.state.is_active()).count()
    }

    /// Whether a capability is set (T-30).
    #[must_use]
    pub fn has(&self, capability: &str) -> bool {
        has_capability(&self.constants.system, capability)
    }

    /// A timeout of the constants; `None` means never (S-36).
    #[must_use]
    pub fn timeout(&self, name: &str) -> Option<TimeDelta> {
        let ms = self.constants.system.get(name)?.as_u64()?;
        TimeDelta::try_milliseconds(i64::try_from(ms).ok()?)
    }

    /// Its visibility.
    #[must_use]
    pub fn visibility(&self) -> Visibility {
        match self.constants.system.get("visibility").and_then(Json::as_str).as_deref() {
            Some("visible") => Visibility::Visible,
            Some("private") => Visibility::Private,
            _ => Visibility::Open,
        }
    }

    /// How many members it takes.
    #[must_use]
    pub fn max_members(&self) -> usize {
        let count = self.constants.system.get("maxMembersCount").and_then(Json::as_u64).unwrap_or(limits::MAX_MEMBERS);
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// Whether every slot is taken, reservations included (M-88).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.members.len() >= self.max_members()
    }

    /// Its (major) version (S-31).
    #[must_use]
    pub fn version(&self) -> u64 {
        self.constants.system.get("version").and_then(Json::as_u64).unwrap_or(1)
    }

    /// Who may join (S-40).
    #[must_use]
    pub fn join_restriction(&self) -> Restriction {
        Restriction::read(&self.properties.system, "joinRestriction")
    }

    /// Who may read (S-41).
    #[must_use]
    pub fn read_restriction(&self) -> Restriction {
        Restriction::read(&self.properties.system, "readRestriction")
    }

    /// Whether a flag of `properties.system` is set.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.properties.system.get(name).and_then(Json::as_bool).unwrap_or(false)
    }

    /// The members whose turn it is (S-45).
    #[must_use]
    pub fn turn(&self) -> HashSet<MemberIndex> {
        let turn = self.properties.system.get("turn").and_then(Json::as_array).unwrap_or_default();
        turn.iter().filter_map(|index| MemberIndex::try_from(index.as_u64()?).ok()).collect()
    }

    /// Its keywords in the case they were written in (S-44).
    #[must_use]
    pub fn keywords(&self) -> Vec<String> {
        let keywords = self.properties.system.get("keywords").and_then(Json::as_array).unwrap_or_default();
        keywords.iter().filter_map(|keyword| Some(keyword.as_str()?.into_owned())).collect()
    }

    /// How it notifies invited users (S-35).
    #[must_use]
    pub fn invite_protocol(&self) -> Option<String> {
        self.constants.system.get("inviteProtocol")?.as_str().map(std::borrow::Cow::into_owned)
    }

    /// Whether two states show the same document: then nothing changed that a reader, a validator or a tap may know of (W-34).
    #[must_use]
    pub fn same_document(&self, other: &Self) -> bool {
        let head =
            |session: &Self| (session.branch, session.start_time, session.next_index, session.search_handle, session.empty_since);
        head(self) == head(other)
            && self.constants == other.constants
            && self.properties == other.properties
            && self.members.len() == other.members.len()
            && self.members.iter().zip(&other.members).all(|(one, two)| one.same_document(two))
    }
}

/// Whether a capability is set in `constants.system`.
#[must_use]
pub fn has_capability(system: &Object, capability: &str) -> bool {
    system.get("capabilities").and_then(|all| all.get(capability)).and_then(Json::as_bool).unwrap_or(false)
}
