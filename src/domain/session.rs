//! The stored session: what a directory remembers of one, and the few questions everybody asks it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::initialization::{Failure, Initializing};
use super::limits;
use super::listing::Listing;
use super::names::{Branch, ConnectionId, ETag, MemberIndex, SessionReference, TitleId, Xuid};
use super::roles::{RoleTypes, Taken};
use crate::json::{Json, Object};

/// What is stored under one session reference: a session, or nothing.
pub type Record = Option<Session>;

/// `system` data of a fixed schema and `custom` data that is never interpreted (S-01).
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What a server keeps about a session under a name of its own (S-90).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerEntry {
    /// What servers settled first; nothing keeps them from changing it (W-36).
    pub constants: Bag,
    /// What servers report.
    pub properties: Bag,
}

/// The members of a large session that are not at hand (M-95): only their numbers, and what a decision may ask of them.
///
/// A large session is decided on with those members loaded that a command can concern: the callers, those it names, the owners,
/// those whose time has come, and the one who would inherit ownership. What is here is about all the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Crowd {
    /// How many they are; a large session has no reservations, so all are accepted.
    pub count: usize,
    /// How many of them are active.
    pub active: usize,
    /// How many of them have which role.
    pub taken: Taken,
    /// When the first of their timers is due.
    pub next_due: Option<DateTime<Utc>>,
}

/// One live session.
///
/// Invariants: members are in the order of their indices, all below `next_index`; no two have one xuid; `turn`, `host` and `owners`
/// name members that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name, in the case it was created with (S-05).
    pub reference: SessionReference,
    /// The scope of its change numbers (S-21).
    pub branch: Branch,
    /// How many changes this branch has seen (S-22).
    pub change_number: u64,
    /// When it was created (S-24).
    pub start_time: DateTime<Utc>,
    /// What was settled at creation, defaults filled in (T-41). Nothing changes it, so its states share it.
    pub constants: Arc<Bag>,
    /// What its members may change.
    pub properties: Bag,
    /// Its members, reservations included, by index; of a large session those that are loaded. Shared between the states of one
    /// session: what does not change is not copied.
    pub members: Vec<Arc<Member>>,
    /// The members of a large session that are not loaded; `None` for a session that is not large.
    pub crowd: Option<Crowd>,
    /// The index that the next member gets (S-30).
    pub next_index: MemberIndex,
    /// The search handle that shows it, if there is one (S-26). All but its id is known to the service only.
    pub listing: Option<Arc<Listing>>,
    /// Its role types, as they were declared (S-55).
    pub role_types: RoleTypes,
    /// The entries of its servers, by name (S-90).
    pub servers: IndexMap<String, ServerEntry>,
    /// The episode that is under way, or the first one after it failed (M-51, M-58).
    pub initializing: Option<Initializing>,
    /// Device tokens of those who would make good hosts, best first (M-70).
    pub host_candidates: Vec<String>,
    /// The number of the last episode that began (M-51). Known to the service only.
    pub episodes: u32,
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

/// The state of a member without what comes with it: a name in the tables of timers and transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// As [`MemberState::Reserved`].
    Reserved,
    /// As [`MemberState::Inactive`].
    Inactive,
    /// As [`MemberState::Ready`].
    Ready,
    /// As [`MemberState::Active`].
    Active,
}

/// A user's entry in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// When it becomes inactive because its connection is lost (N-40). Known to the service only.
    pub grace_until: Option<DateTime<Utc>>,
    /// The device of the member's last write. Known to the service only.
    pub device_id: Option<String>,
    /// What was settled when it was added, without `xuid` and `index`.
    pub constants: Bag,
    /// What its user may change, without `active` and `ready`.
    pub properties: Bag,
    /// The role it has in each role type (M-80).
    pub roles: BTreeMap<String, String>,
    /// The episode it belongs to, until that ends (M-51).
    pub episode: Option<u32>,
    /// Why it did not pass initialization (M-65).
    pub failure: Option<Failure>,
}

impl MemberState {
    /// Its name in the tables.
    #[must_use]
    pub fn standing(self) -> Standing {
        match self {
            Self::Reserved => Standing::Reserved,
            Self::Inactive => Standing::Inactive,
            Self::Ready => Standing::Ready,
            Self::Active { .. } => Standing::Active,
        }
    }

    /// Whether the member is active.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active { .. })
    }

    /// Whether the member is active or ready: what the loss of its connection ends (M-31).
    #[must_use]
    pub fn is_engaged(self) -> bool {
        matches!(self, Self::Ready | Self::Active { .. })
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
        Some(Uuid::from_slice(&hash[..16]).expect("16 bytes are taken").simple().to_string())
    }

    /// The text of a field of `properties.system`.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<String> {
        self.properties.system.get(name)?.as_str().map(std::borrow::Cow::into_owned)
    }

    /// The connection it has registered (N-30).
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        ConnectionId::parse(&self.property("connection")?)
    }

    /// Whether two entries show the same document.
    #[must_use]
    fn same_document(&self, other: &Self) -> bool {
        let bookkeeping =
            |member: &Self| (member.index, member.xuid, member.state, member.since, member.joined_at, member.grace_until);
        bookkeeping(self) == bookkeeping(other)
            && (self.episode, self.failure) == (other.episode, other.failure)
            && self.gamertag == other.gamertag
            && self.constants == other.constants
            && self.properties == other.properties
            && self.roles == other.roles
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

    /// Reads the system constants of a session: open unless they say otherwise.
    #[must_use]
    pub fn read(constants: &Object) -> Self {
        match constants.get("visibility").and_then(Json::as_str).as_deref() {
            Some("visible") => Self::Visible,
            Some("private") => Self::Private,
            _ => Self::Open,
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

    /// Reads a field of the system properties: none unless it says otherwise.
    #[must_use]
    pub fn read(fields: &Object, name: &str) -> Self {
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
        self.members.iter().find(|member| member.xuid == xuid).map(Arc::as_ref)
    }

    /// The member of a user, to be changed.
    pub fn member_mut(&mut self, xuid: Xuid) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.xuid == xuid).map(Arc::make_mut)
    }

    /// The loaded member with an index.
    #[must_use]
    pub fn member_at(&self, index: MemberIndex) -> Option<&Arc<Member>> {
        let at = self.members.binary_search_by_key(&index, |member| member.index).ok()?;
        self.members.get(at)
    }

    /// The loaded member with an index, to be changed.
    pub fn member_at_mut(&mut self, index: MemberIndex) -> Option<&mut Member> {
        let at = self.members.binary_search_by_key(&index, |member| member.index).ok()?;
        self.members.get_mut(at).map(Arc::make_mut)
    }

    /// How many members there are, reservations included (S-30).
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.members.len() + self.crowd.as_ref().map_or(0, |crowd| crowd.count)
    }

    /// How many members are more than reservations (S-30).
    #[must_use]
    pub fn accepted_count(&self) -> usize {
        let loaded = self.members.iter().filter(|member| member.state.is_accepted()).count();
        loaded + self.crowd.as_ref().map_or(0, |crowd| crowd.count)
    }

    /// How many members are active (S-30).
    #[must_use]
    pub fn active_count(&self) -> usize {
        let loaded = self.members.iter().filter(|member| member.state.is_active()).count();
        loaded + self.crowd.as_ref().map_or(0, |crowd| crowd.active)
    }

    /// How many members have which role (S-56).
    #[must_use]
    pub fn taken(&self) -> Taken {
        let mut taken = self.crowd.as_ref().map(|crowd| crowd.taken.clone()).unwrap_or_default();
        self.members.iter().for_each(|member| taken.add(&member.roles));
        taken
    }

    /// Whether it is a large session, whose members are hidden from each other (M-95).
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.crowd.is_some()
    }

    /// Whether members are its owners, with rights of their own (M-90).
    #[must_use]
    pub fn has_owners(&self) -> bool {
        self.has("hasOwners")
    }

    /// The indices of its owners (S-47).
    #[must_use]
    pub fn owners(&self) -> BTreeSet<MemberIndex> {
        self.indices("owners")
    }

    /// Whether a user is one of its owners.
    #[must_use]
    pub fn is_owner(&self, xuid: Xuid) -> bool {
        self.member(xuid).is_some_and(|member| self.owners().contains(&member.index))
    }

    fn indices(&self, name: &str) -> BTreeSet<MemberIndex> {
        let indices = self.properties.system.get(name).and_then(Json::as_array).unwrap_or_default();
        indices.iter().filter_map(|index| MemberIndex::try_from(index.as_u64()?).ok()).collect()
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
        Visibility::read(&self.constants.system)
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
        self.member_count() >= self.max_members()
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
    pub fn turn(&self) -> BTreeSet<MemberIndex> {
        self.indices("turn")
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

    /// Whether two states show the same document: then nothing changed that a reader, a tag or a tap may know of (W-34).
    #[must_use]
    pub fn same_document(&self, other: &Self) -> bool {
        let head = |session: &Self| {
            let listing = session.listing.as_ref().map(|listing| listing.id);
            (session.branch, session.start_time, session.next_index, listing, session.empty_since)
        };
        head(self) == head(other)
            && self.initializing == other.initializing
            && self.host_candidates == other.host_candidates
            && self.constants == other.constants
            && self.properties == other.properties
            && self.role_types == other.role_types
            && self.servers == other.servers
            && self.crowd == other.crowd
            && self.members.len() == other.members.len()
            && self.members.iter().zip(&other.members).all(|(one, two)| Arc::ptr_eq(one, two) || one.same_document(two))
    }
}

/// Whether a capability is set in `constants.system`.
#[must_use]
pub fn has_capability(system: &Object, capability: &str) -> bool {
    system.get("capabilities").and_then(|all| all.get(capability)).and_then(Json::as_bool).unwrap_or(false)
}
