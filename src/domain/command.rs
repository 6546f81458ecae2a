//! A write request after parsing: shapes are sound, ids are resolved, nothing is judged yet.

use std::sync::Arc;

use super::listing::Listing;
use super::names::{ConnectionId, HandleId, MemberIndex, Xuid};
use super::template::Form;
use crate::json::{Json, Object};

/// What somebody, or the clock, wants done to the session behind one reference.
#[derive(Debug, Clone)]
pub enum Command {
    /// Evaluate what is due by now; run before every other command (M-24).
    Settle,
    /// Merge a delta, creating the session if it is missing (W-02).
    Write(Box<Write>),
    /// Make the session its caller's activity; changes nothing in the document (H-21).
    Show,
    /// Invite a user; changes nothing in the document (H-32).
    Invite(Xuid),
    /// Lead members of another session here; changes nothing in the document (H-37).
    Transfer,
    /// Let everybody find the session, by this search handle in place of the one it has (H-61, H-62).
    List(Arc<Listing>),
    /// Take back the search handle with this id (H-08).
    Unlist(HandleId),
    /// End the session, as an administrator.
    Close,
    /// Take out this member, as an administrator.
    Remove(MemberIndex),
}

/// A PUT or DELETE on a session or an element of it.
#[derive(Debug, Clone)]
pub struct Write {
    /// What is to change.
    pub delta: Delta,
    /// `If-Match` and `If-None-Match`.
    pub preconditions: Preconditions,
    /// What is addressed, which decides what a missing session means.
    pub target: Target,
    /// The names the request may use (W-71).
    pub form: Form,
}

/// What a write addresses (W-42).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The session by its own path: created when missing, 412 with any `If-Match`.
    Session,
    /// The session through a handle: created when missing, 404 with any `If-Match` (H-46).
    Handle,
    /// An element of the session: 404 when the session is missing.
    Element,
}

/// A session request object (W-01), taken apart down to its bags.
#[derive(Debug, Clone, Default)]
pub struct Delta {
    /// `constants`, if given.
    pub constants: Option<Json>,
    /// `properties`, if given.
    pub properties: Option<Json>,
    /// The entries of `members` in the order they take effect in; `None` removes.
    pub members: Vec<(MemberKey, Option<Object>)>,
    /// `servers`, if given.
    pub servers: Option<Json>,
    /// `roleTypes`, if given.
    pub role_types: Option<Json>,
}

impl Delta {
    /// The connections that entries of members register, well-formed ones.
    pub fn registrations(&self) -> impl Iterator<Item = ConnectionId> {
        let entries = self.members.iter().filter_map(|(_, entry)| entry.as_ref());
        entries.filter_map(|entry| ConnectionId::parse(&system_field(entry, "connection")?.as_str()?))
    }
}

/// Whether an entry makes its member active or ready.
#[must_use]
pub fn engages(entry: &Object) -> bool {
    ["active", "ready"].into_iter().any(|flag| system_field(entry, flag) == Some(&Json::Bool(true)))
}

fn system_field<'a>(entry: &'a Object, name: &str) -> Option<&'a Json> {
    entry.get("properties")?.get("system")?.get(name)
}

/// A key of `members` in a request (writes.md, Keys allowed in `members`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberKey {
    /// `"5"`: an existing member.
    Index(MemberIndex),
    /// `me`: the caller's own entry.
    Me,
    /// `me_{xuid}`: the entry of one of the users a server acts for (W-19).
    MeOf(Xuid),
    /// `me_all`: the entries of all users a server acts for.
    MeAll,
    /// `me_allInSession`: of those among them who are members already.
    MeAllInSession,
    /// `reserve_N`: an entry for somebody else.
    Reserve(u32),
}

/// The conditions of a request (W-40 table); both must hold (W-46).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// `If-Match`.
    pub if_match: Option<Tags>,
    /// `If-None-Match`.
    pub if_none_match: Option<Tags>,
}

/// A list of entity tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// `*`
    Any,
    /// These, without `W/` and quotes (W-41).
    These(Vec<String>),
}

impl Tags {
    /// Whether an existing session with this tag is among them.
    #[must_use]
    pub fn match_tag(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| tag == etag),
        }
    }
}
