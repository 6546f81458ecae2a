//! Every number of the contract that bounds something, with its unit and rule.

use chrono::TimeDelta;

/// The largest member count a session may ask for (S-32).
pub const MAX_MEMBERS: u64 = 100;
/// The largest member count of a large session (S-32).
pub const MAX_MEMBERS_LARGE: u64 = 10_000;
/// The largest timeout, in milliseconds (T-42).
pub const MAX_TIMEOUT_MS: u64 = (1 << 31) - 1;
/// The longest `inviteProtocol`, in characters (S-35).
pub const MAX_INVITE_PROTOCOL: usize = 100;
/// The longest text of a `description`, in characters (S-51).
pub const MAX_DESCRIPTION: usize = 1024;
/// The longest `secureDeviceAddress`, in characters (S-80).
pub const MAX_DEVICE_ADDRESS: usize = 4096;
/// The longest keyword, in characters (S-44).
pub const MAX_KEYWORD: usize = 64;
/// Any other system text, in characters: the contract sets no bound, so this only keeps documents sane (S-95).
pub const MAX_TEXT: usize = 1024;
/// The longest name of an entry in a map of system data, such as the id of a subscription, in characters: taps carry it (S-95).
pub const MAX_ENTRY_NAME: usize = 100;
/// The most `subscriptions` and `secondarySubscriptions` of a member, each: every change is told to all of them (S-95).
pub const MAX_SUBSCRIPTIONS: usize = 32;
/// The most results of a query, and what `take` is when it is not given.
pub const MAX_TAKE: u32 = 100;
/// The most xuids one handle query or batch query may name (H-52, Q-38).
pub const MAX_OWNERS: usize = 100;
/// The most entries of each kind of search attribute (H-63).
pub const MAX_ATTRIBUTES: usize = 32;
/// What tags and names of search attributes must stay below, in characters (H-63).
pub const MAX_ATTRIBUTE_NAME: usize = 100;
/// The most roles of a session that everybody can find: it is found by each of them, and the contract sets no bound.
pub const MAX_LISTED_ROLES: usize = 256;
/// The longest `context` of an invite, in characters of its URI-encoded form (H-31).
pub const MAX_INVITE_CONTEXT: usize = 256;
/// The longest search filter, in characters: the contract sets no bound, nor the next two (H-85).
pub const MAX_FILTER: usize = 4096;
/// The most tests in a search filter, where every literal of `in (…)` is one (H-85).
pub const MAX_FILTER_TESTS: usize = 64;
/// How many parentheses and `not`s may stand around a test of a search filter (H-85).
pub const MAX_FILTER_DEPTH: usize = 16;
/// In how many sessions one connection may be registered (N-36, W-81).
pub const MAX_SESSIONS_OF_CONNECTION: usize = 10;
/// How long a request answered 503 is asked to wait, in seconds.
pub const RETRY_AFTER_S: u32 = 1;

/// What to do with a field of `system` data that the contract does not list (S-09).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownFields {
    /// 400, naming the field.
    Reject,
    /// As if it were not there.
    Ignore,
}

/// The sizes an installation may set (S-95), and the lifetimes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The stored `custom` data of a session, constants and properties each, in bytes.
    pub session_custom_bytes: usize,
    /// The stored `custom` data of a member, constants and properties each, in bytes.
    pub member_custom_bytes: usize,
    /// The whole document, in bytes.
    pub session_bytes: usize,
    /// The entries of an array in system data.
    pub array_entries: usize,
    /// The entries of `changeTypes`.
    pub change_types: usize,
    /// The keywords of a session (S-44).
    pub keywords: usize,
    /// What happens to unknown system fields (S-09).
    pub unknown_fields: UnknownFields,
    /// Kinds of device without a strong title identity, which need `userAuthorizationStyle`; none: not enforced.
    pub weak_device_types: Vec<String>,
    /// How long an activity lives whose session does not exist (H-21).
    pub unbound_activity: TimeDelta,
    /// How long an invite lives (H-34).
    pub invite: TimeDelta,
    /// How long a member stays active whose connection is lost (N-40).
    pub grace: TimeDelta,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            session_custom_bytes: 64 << 10,
            member_custom_bytes: 16 << 10,
            session_bytes: 1 << 20,
            array_entries: 128,
            change_types: 32,
            keywords: 16,
            unknown_fields: UnknownFields::Reject,
            weak_device_types: Vec::new(),
            unbound_activity: TimeDelta::hours(1),
            invite: TimeDelta::hours(24),
            grace: TimeDelta::seconds(30),
        }
    }
}
