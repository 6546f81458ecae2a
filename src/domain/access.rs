//! Who may read a session and who may join it (access.md, A-10 to A-28).

use chrono::{DateTime, Utc};

use super::command::{self, Command, Delta, MemberKey};
use super::connection::Known;
use super::names::{ConnectionId, Xuid};
use super::principal::{Principal, User};
use super::refusal::Refusal;
use super::session::{Member, Restriction, Session, Visibility, has_capability};
use crate::json::{Json, Object};

/// What the directory knows about the callers beyond the session itself.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Who follows whom, follower first: at least every member that follows a caller.
    pub follows: Vec<(Xuid, Xuid)>,
    /// Who blocks whom, blocker first: at least every member that blocks a caller.
    pub blocks: Vec<(Xuid, Xuid)>,
    /// The installation has everybody follow everybody.
    pub everybody_follows: bool,
    /// Callers that were accepted members of this branch before the record was loaded (M-87).
    pub former: Vec<Xuid>,
    /// The connections that the service knows among those that commands name and callers have registered.
    pub connections: Vec<Known>,
}

impl Facts {
    /// What is known about a user's connection; that of somebody else is unknown (M-33).
    #[must_use]
    pub fn connection(&self, id: ConnectionId, owner: Xuid) -> Option<Known> {
        self.connections.iter().find(|known| known.id == id && known.owner == owner).copied()
    }
}

/// Whether a decision on a session may depend on facts. Those of follows, blocks and former members are asked for by whoever comes from
/// outside, unless the session is open to all; those of connections by whoever registers one, or becomes active or ready with one.
#[must_use]
pub fn asks_facts(session: &Session, command: &Command, principal: &Principal) -> bool {
    let Command::Write(write) = command else { return true };
    let is_member = |user: &User| session.member(user.xuid).is_some();
    let is_open = || {
        session.visibility() == Visibility::Open
            && (session.join_restriction(), session.read_restriction()) == (Restriction::None, Restriction::None)
            && !session.has_owners()
            && !session.flag("closed")
    };
    (!principal.users().iter().all(is_member) && !is_open()) || asks_connections(session, &write.delta, principal)
}

/// Whether a write may depend on what is known of connections.
fn asks_connections(session: &Session, delta: &Delta, principal: &Principal) -> bool {
    let registers = delta.registrations().next().is_some();
    let engages = || delta.members.iter().filter_map(|(_, entry)| entry.as_ref()).any(command::engages);
    let named = delta.members.iter().filter_map(|(key, _)| match key {
        MemberKey::Index(index) => session.member_at(*index).map(AsRef::as_ref),
        _ => None,
    });
    let own = principal.users().iter().filter_map(|user| session.member(user.xuid));
    registers || (engages() && named.chain(own).any(|member| member.connection().is_some()))
}

/// How near the caller is to a session, as far as restrictions ask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Nearness {
    /// The caller is a member or has a reservation.
    pub member: bool,
    /// An accepted member follows the caller.
    pub followed: bool,
    /// An active member is on the caller's device.
    pub local: bool,
}

impl Nearness {
    /// Whether a restriction is met.
    #[must_use]
    pub fn meets(self, restriction: Restriction) -> bool {
        match restriction {
            Restriction::None => true,
            Restriction::Local => self.local,
            Restriction::Followed => self.local || self.followed,
        }
    }

    /// Whether a user so near may read a session.
    #[must_use]
    pub fn may_read(self, visibility: Visibility, read_restriction: Restriction) -> bool {
        self.member || (visibility != Visibility::Private && self.meets(read_restriction))
    }
}

/// What the handle that a caller comes through adds to the caller's own rights (H-40 to H-43).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pass {
    /// Nothing: the session's own path, and activities (H-40, H-44).
    #[default]
    Nothing,
    /// An invite, for the invited user (H-41).
    Invited {
        /// The invited user.
        invited: Xuid,
        /// When the invite was made: it shows a private session only if that existed by then.
        at: DateTime<Utc>,
    },
    /// A transfer handle, for those of the callers who are accepted members of its origin (H-43).
    Origin(Vec<Xuid>),
    /// A search handle, for everybody (H-42).
    Anybody,
}

impl Pass {
    /// Whether it is for this user.
    #[must_use]
    pub fn is_for(&self, xuid: Xuid) -> bool {
        match self {
            Self::Nothing => false,
            Self::Invited { invited, .. } => *invited == xuid,
            Self::Origin(members) => members.contains(&xuid),
            Self::Anybody => true,
        }
    }

    /// Whether it shows every session of this visibility to the caller.
    #[must_use]
    pub fn opens(&self, visibility: Visibility, principal: &Principal) -> bool {
        visibility != Visibility::Private && principal.users().iter().any(|user| self.is_for(user.xuid))
    }

    /// Whether it shows this session to the caller. A private session is shown by an invite only, and only by one that was sent when it
    /// was there: its sender might as well have reserved.
    #[must_use]
    pub fn shows(&self, session: &Session, principal: &Principal) -> bool {
        let sent_into = |invited: Xuid, at| session.start_time <= at && principal.users().iter().any(|user| user.xuid == invited);
        self.opens(session.visibility(), principal) || matches!(self, Self::Invited { invited, at } if sent_into(*invited, *at))
    }
}

/// How near a user is to a loaded session.
#[must_use]
pub fn nearness(session: &Session, user: &User, facts: &Facts) -> Nearness {
    let local = user.device_id.is_some()
        && session.members.iter().any(|member| member.state.is_active() && member.device_id == user.device_id);
    let follows = |member: Xuid| facts.everybody_follows || facts.follows.contains(&(member, user.xuid));
    let followed = session.members.iter().any(|member| member.state.is_accepted() && follows(member.xuid));
    Nearness { member: session.member(user.xuid).is_some(), followed, local }
}

/// How near several users are to a loaded session, taken together: what one of them may read, all may read.
#[must_use]
pub fn nearness_of_all(session: &Session, users: &[User], facts: &Facts) -> Nearness {
    users.iter().map(|user| nearness(session, user, facts)).fold(Nearness::default(), |one, other| Nearness {
        member: one.member || other.member,
        followed: one.followed || other.followed,
        local: one.local || other.local,
    })
}

/// Whether the caller may read the session: servers read everything in their service configs, and a server that acts
/// for users without rights of its own reads what one of them may read.
#[must_use]
pub fn may_read(session: &Session, principal: &Principal, facts: &Facts) -> bool {
    principal.is_server_for(&session.reference.scid) || principal.users().iter().any(|user| user_may_read(session, user, facts))
}

/// Whether a user may read the session: by membership and restriction, or as a viewer of a broadcast.
#[must_use]
pub fn user_may_read(session: &Session, user: &User, facts: &Facts) -> bool {
    nearness(session, user, facts).may_read(session.visibility(), session.read_restriction())
        || views_broadcast(&session.constants.system, user)
}

/// Whether the user's title is among those that may always look at a broadcast, by the system constants of the session.
#[must_use]
pub fn views_broadcast(constants: &Object, user: &User) -> bool {
    let viewers = constants.get("broadcastViewerTitleIds").and_then(Json::as_array).unwrap_or_default();
    let named = |title: &str| viewers.iter().any(|viewer| viewer.as_str().as_deref() == Some(title));
    has_capability(constants, "broadcast") && user.title_id.is_some_and(|title| named(&title.to_string()))
}

/// Judges a user who is not in the member list yet and wants to be, but for the free slot, which is judged last (E-10). A
/// pass meets any restriction of a session that is not closed (H-41, H-42).
///
/// # Errors
/// 403 with the first condition that does not hold.
pub fn admit(session: &Session, user: &User, facts: &Facts, pass: &Pass) -> Result<(), Refusal> {
    may_play(user)?;
    if session.visibility() != Visibility::Open {
        return Err(Refusal::forbidden("the session is not open: joining it needs a reservation"));
    }
    let owners = session.owners();
    let blocks = |member: &Member| owners.contains(&member.index) && facts.blocks.contains(&(member.xuid, user.xuid));
    if session.has_owners() && session.members.iter().any(|member| blocks(member)) {
        return Err(Refusal::forbidden("an owner of the session blocks the caller"));
    }
    let former = facts.former.contains(&user.xuid) || session.former.contains(&user.xuid);
    if session.flag("closed") && !(session.flag("locked") && former) {
        return Err(Refusal::forbidden("the session is closed: joining it needs a reservation"));
    }
    let restriction = session.join_restriction();
    let passes = pass.is_for(user.xuid) && !session.flag("closed");
    if !passes && !nearness(session, user, facts).meets(restriction) {
        return Err(Refusal::forbidden(match restriction {
            Restriction::Followed => {
                "joinRestriction is followed: joining needs a member that follows the caller, or a reservation"
            }
            _ => "joinRestriction is local: joining needs an active member on the caller's device, or a reservation",
        }));
    }
    Ok(())
}

/// Whether a user may play with others at all (A-20 #1).
///
/// # Errors
/// 403 without the multiplayer privilege.
pub fn may_play(user: &User) -> Result<(), Refusal> {
    if user.multiplayer { Ok(()) } else { Err(Refusal::forbidden("the caller lacks the multiplayer privilege")) }
}
