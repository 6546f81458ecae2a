//! What happened between two states of a record: found by comparing them, never told by hand (W-62, M-43, H-22, N-37).

use std::sync::Arc;

use super::bag;
use super::names::{Branch, MemberIndex, Xuid};
use super::roles::RoleTypes;
use super::servers;
use super::session::{Member, Record, ServerEntry, Session};
use super::subscription::{self, Listener};
use crate::json::Json;

/// The change types of N-37 as a set of bits; `everything` is any change at all and has no bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(pub u32);

/// The bits of [`Kinds`], by the contract's names.
pub const KINDS: &[(&str, Kinds)] = &[
    ("host", Kinds(1)),
    ("initialization", Kinds(1 << 1)),
    ("matchmakingStatus", Kinds(1 << 2)),
    ("membersList", Kinds(1 << 3)),
    ("membersStatus", Kinds(1 << 4)),
    ("joinability", Kinds(1 << 5)),
    ("customProperty", Kinds(1 << 6)),
    ("membersCustomProperty", Kinds(1 << 7)),
    ("roles", Kinds(1 << 8)),
    ("scheduledtime", Kinds(1 << 9)),
    ("arbitrationPropertyChange", Kinds(1 << 10)),
    ("tournamentPropertyChange", Kinds(1 << 11)),
];

impl Kinds {
    fn add(&mut self, name: &str, happened: bool) {
        if happened {
            let (_, bit) = KINDS.iter().find(|(known, _)| *known == name).expect("the name is in the table");
            self.0 |= bit.0;
        }
    }

    /// Whether a change type is in the set, by its name.
    #[must_use]
    pub fn contains(self, name: &str) -> bool {
        KINDS.iter().any(|(known, bit)| known.eq_ignore_ascii_case(name) && self.0 & bit.0 != 0)
    }
}

/// Why a record changed, as the change log says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Somebody asked for it.
    Request,
    /// A timer was due.
    Timer,
    /// The connections of members were lost (N-40).
    Connection,
}

impl Cause {
    /// The code in the log.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Self::Request => 0,
            Self::Timer => 1,
            Self::Connection => 2,
        }
    }
}

/// A member that is there before a change and not after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departed {
    /// Its key.
    pub index: MemberIndex,
    /// The user.
    pub xuid: Xuid,
    /// Its subscriptions: each is tapped once more (N-56).
    pub listeners: Vec<Listener>,
}

/// The difference between two states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The change types that apply (N-37).
    pub kinds: Kinds,
    /// Who left or was removed.
    pub departed: Vec<Departed>,
    /// Users that were active and are not any more: their activity for the session ends (H-22, M-43).
    pub disengaged: Vec<Xuid>,
    /// The member who did nothing but write how it is to be reached: it is not tapped for that (N-39).
    pub exempt: Option<MemberIndex>,
}

/// Finds what happened between two states of one record.
#[must_use]
pub fn between(before: &Record, after: &Record) -> Change {
    let (old, new) = (members(before), members(after));
    let same_life = branch(before) == branch(after);
    // Nobody subscribes to a large session (N-35).
    let is_large = before.as_ref().is_some_and(Session::is_large);
    let find = |members: &[Arc<Member>], member: &Member| {
        let at = members.binary_search_by_key(&member.index, |other| other.index);
        at.ok().filter(|_| same_life)
    };
    let mut change = Change::default();
    let mut kinds = Kinds::default();
    for member in old {
        let now = find(new, member).map(|at| &new[at]);
        if now.is_some_and(|now| Arc::ptr_eq(now, member)) {
            continue;
        }
        if now.is_none() {
            change.departed.push(Departed {
                index: member.index,
                xuid: member.xuid,
                listeners: if is_large { Vec::new() } else { subscription::of_member(member) },
            });
        }
        if member.state.is_active() && !now.is_some_and(|now| now.state.is_active()) {
            change.disengaged.push(member.xuid);
        }
        kinds.add("membersList", now.is_none_or(|now| now.state.is_accepted() != member.state.is_accepted()));
        kinds.add("membersStatus", now.is_none_or(|now| now.state.standing() != member.state.standing()));
        kinds.add("roles", now.map_or(!member.roles.is_empty(), |now| now.roles != member.roles));
        if let Some(now) = now {
            kinds.add("initialization", (now.episode, now.failure) != (member.episode, member.failure));
            kinds.add("membersCustomProperty", now.properties.custom != member.properties.custom);
            let [now, then] = [now, member].map(|member| member.properties.system.get("arbitration"));
            kinds.add("arbitrationPropertyChange", now != then);
        }
    }
    for member in new.iter().filter(|member| find(old, member).is_none()) {
        kinds.add("membersList", true);
        kinds.add("membersStatus", member.state.is_accepted());
        kinds.add("membersCustomProperty", member.properties.custom != Json::object());
        kinds.add("initialization", member.episode.is_some());
        kinds.add("roles", !member.roles.is_empty());
    }
    let differs = |name: &str| field(before, name) != field(after, name);
    kinds.add("host", differs("host"));
    kinds.add("scheduledtime", differs("scheduledTime"));
    let full = |record: &Record| record.as_ref().is_some_and(Session::is_full);
    let gates = ["closed", "locked", "joinRestriction", "readRestriction"].into_iter().any(differs);
    kinds.add("joinability", gates || full(before) != full(after));
    let initializing = |record: &Record| record.as_ref().and_then(|session| session.initializing);
    kinds.add("initialization", initializing(before) != initializing(after));
    let none = RoleTypes::default();
    kinds.add("roles", role_types(before).unwrap_or(&none) != role_types(after).unwrap_or(&none));
    for (name, kind) in [
        ("matchmaking", "matchmakingStatus"),
        ("tournaments", "tournamentPropertyChange"),
        ("arbitration", "arbitrationPropertyChange"),
    ] {
        kinds.add(kind, server(before, name) != server(after, name));
    }
    let empty = Json::object();
    kinds.add("customProperty", custom(before).unwrap_or(&empty) != custom(after).unwrap_or(&empty));
    change.kinds = kinds;
    if kinds == Kinds::default()
        && let (Some(before), Some(after)) = (before, after)
    {
        change.exempt = only_registers(before, after);
    }
    change
}

/// The one member that differs between two states, if nothing but how it is to be reached does (N-39), and what follows from that.
fn only_registers(before: &Session, after: &Session) -> Option<MemberIndex> {
    let mut differing = after.members.iter().zip(&before.members).filter(|(one, two)| !Arc::ptr_eq(one, two));
    let (now, then) = differing.find(|(one, two)| one.properties != two.properties)?;
    let mut as_then = after.clone();
    let member = as_then.member_at_mut(now.index)?;
    for name in ["connection", "subscription", "secondarySubscriptions"] {
        match then.properties.system.get(name) {
            Some(value) => bag::replace(&mut member.properties.system, name, value.clone()),
            None => drop(member.properties.system.shift_remove(name)),
        }
    }
    member.grace_until = then.grace_until;
    as_then.same_document(before).then_some(now.index)
}

fn members(record: &Record) -> &[Arc<Member>] {
    record.as_ref().map_or(&[], |session| &session.members)
}

fn field<'r>(record: &'r Record, name: &str) -> Option<&'r Json> {
    record.as_ref()?.properties.system.get(name)
}

fn role_types(record: &Record) -> Option<&RoleTypes> {
    record.as_ref().map(|session| &session.role_types)
}

fn custom(record: &Record) -> Option<&Json> {
    record.as_ref().map(|session| &session.properties.custom)
}

fn server<'r>(record: &'r Record, name: &str) -> Option<&'r ServerEntry> {
    let session = record.as_ref()?;
    session.servers.get(servers::find(session, name)?)
}

fn branch(record: &Record) -> Option<Branch> {
    record.as_ref().map(|session| session.branch)
}
