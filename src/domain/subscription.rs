//! Who in a session is to be tapped for what (N-25, N-30 to N-39).

use std::sync::Arc;

use super::change::{KINDS, Kinds};
use super::names::{ConnectionId, MemberIndex, Xuid};
use super::session::{Member, Session};
use crate::json::Json;

/// The change types that a subscription names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wants {
    everything: bool,
    kinds: Kinds,
}

impl Wants {
    /// Any committed change.
    pub const EVERYTHING: Self = Self { everything: true, kinds: Kinds(0) };

    /// Reads `changeTypes`, in any case; unknown ones are ignored (N-37).
    fn read(types: Option<&Json>) -> Self {
        let mut wants = Self::default();
        for name in types.and_then(Json::as_array).unwrap_or_default().iter().filter_map(Json::as_str) {
            wants.add(&name);
        }
        wants
    }

    fn add(&mut self, name: &str) {
        self.everything |= name.eq_ignore_ascii_case("everything");
        self.kinds.0 |= KINDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or(0, |(_, kind)| kind.0);
    }

    /// What an older profile stands for (N-38); `None` for one that does not exist.
    fn of_profile(profile: &str) -> Option<Self> {
        let names: &[&str] = match profile {
            "party" | "roster" => &["membersList", "membersStatus", "joinability"],
            "matchmaking" | "queue" | "queuehost" => &["matchmakingStatus", "membersList"],
            "initialization" => &["initialization"],
            _ => return None,
        };
        let mut wants = Self::default();
        for name in names {
            wants.add(name);
        }
        Some(wants)
    }

    /// Whether nothing fires it.
    fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Whether a change of these kinds fires it.
    #[must_use]
    pub fn fires(self, kinds: Kinds) -> bool {
        self.everything || self.kinds.0 & kinds.0 != 0
    }
}

/// A subscription of an active member, and the connection that its taps go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The member.
    pub index: MemberIndex,
    /// Its user: a tap goes to the user's own socket only (M-33).
    pub xuid: Xuid,
    /// The socket.
    pub connection: ConnectionId,
    /// The id of the subscription, as the member wrote it (N-31).
    pub subscription: Arc<str>,
    /// What fires it.
    pub wants: Wants,
}

/// The subscriptions of one member; none unless it is active (N-25) and each has a connection (N-31).
pub fn of_member(member: &Member) -> Vec<Listener> {
    if !member.state.is_active() {
        return Vec::new();
    }
    let system = &member.properties.system;
    let mut found = Vec::new();
    let mut add = |connection: Option<ConnectionId>, subscription: &str, wants: Wants| {
        if let Some(connection) = connection.filter(|_| !wants.is_empty()) {
            found.push(Listener { index: member.index, xuid: member.xuid, connection, subscription: subscription.into(), wants });
        }
    };
    let own = member.connection();
    if let Some(subscription) = system.get("subscription")
        && let Some(id) = subscription.get("id").and_then(Json::as_str)
    {
        add(own, &id, Wants::read(subscription.get("changeTypes")));
    }
    for (id, older) in system.get("subscriptions").and_then(Json::as_object).into_iter().flatten() {
        let wants = older.get("profile").and_then(Json::as_str).and_then(|profile| Wants::of_profile(&profile));
        add(own, &id.to_string(), wants.unwrap_or_default());
    }
    for (id, secondary) in system.get("secondarySubscriptions").and_then(Json::as_object).into_iter().flatten() {
        let connection = secondary.get("rta").and_then(|rta| rta.get("connection")).and_then(Json::as_str);
        let connection = connection.and_then(|text| ConnectionId::parse(&text)).or(own);
        add(connection, &id.to_string(), Wants::read(secondary.get("changeTypes")));
    }
    found
}

/// All subscriptions of a session that taps may go to; members of large sessions have none (N-35).
#[must_use]
pub fn listeners(session: &Session) -> Vec<Listener> {
    if session.is_large() {
        return Vec::new();
    }
    session.members.iter().flat_map(|member| of_member(member)).collect()
}

/// Whether two states of a record have the same subscriptions.
#[must_use]
pub fn same_listeners(before: Option<&Session>, after: Option<&Session>) -> bool {
    fn members(session: Option<&Session>) -> &[Arc<Member>] {
        session.filter(|session| !session.is_large()).map_or(&[], |session| &session.members)
    }
    // Of most members nothing has changed: they are shared between the two states.
    let (one, two) = (members(before), members(after));
    let differ = |from: &[Arc<Member>], others: &[Arc<Member>]| -> Vec<Listener> {
        let shared = |member: &Arc<Member>| {
            others.binary_search_by_key(&member.index, |other| other.index).is_ok_and(|at| Arc::ptr_eq(&others[at], member))
        };
        from.iter().filter(|member| !shared(member)).flat_map(|member| of_member(member)).collect()
    };
    differ(one, two) == differ(two, one)
}
