//! Handles: small immutable documents that point to a session reference (handles.md).

use chrono::{DateTime, Utc};

use super::access::{self, Facts};
use super::authority;
use super::limits;
use super::listing::Listing;
use super::names::{HandleId, Scid, SessionReference, TitleId, Xuid};
use super::principal::{Principal, User};
use super::refusal::{Kind, Refusal};
use super::session::Session;
use crate::json::Object;

/// The kinds of handle (H-02).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandleType {
    /// "This user is now playing in this session."
    Activity,
    /// "Come and join us there."
    Invite,
    /// "Everybody can find this session."
    Search,
    /// "Who is here may go there."
    Transfer,
}

impl HandleType {
    /// All of them, in the order of their codes in the store.
    pub const ALL: [Self; 4] = [Self::Activity, Self::Invite, Self::Search, Self::Transfer];

    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Invite => "invite",
            Self::Search => "search",
            Self::Transfer => "transfer",
        }
    }
}

/// A handle, as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    /// Its name, made by the service (H-01).
    pub id: HandleId,
    /// What it points to, whether or not it exists (H-03).
    pub reference: SessionReference,
    /// Who made it: whose activity it is, who invites. A server leaves none.
    pub owner: Option<Xuid>,
    /// The title of the token that made it.
    pub title_id: Option<TitleId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Its kind, and what only that has.
    pub about: About,
}

/// What a handle is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// Shows where its owner plays.
    Activity,
    /// Invites one user (H-30).
    Invite(Invite),
    /// Leads the members of another session to this one (H-37).
    Transfer {
        /// The other session.
        origin: SessionReference,
    },
    /// Lets everybody find the session (H-61); its search attributes, as they were given.
    Search(Object),
}

/// What an invite says (H-30 to H-35).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// The invited user.
    pub invited: Xuid,
    /// Until when it can be followed (H-34).
    pub expires_at: DateTime<Utc>,
    /// `inviteAttributes`, if any were given.
    pub attributes: Option<Object>,
    /// `inviteProtocol` of the session, if it had one.
    pub protocol: Option<String>,
    /// The sender's gamertag; empty where it is unknown.
    pub sender: String,
}

impl Handle {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> HandleType {
        match self.about {
            About::Activity => HandleType::Activity,
            About::Invite(_) => HandleType::Invite,
            About::Transfer { .. } => HandleType::Transfer,
            About::Search(_) => HandleType::Search,
        }
    }

    /// Whether the caller is named in it: as its owner or sender, or as the invited user (H-07).
    #[must_use]
    pub fn names(&self, principal: &Principal) -> bool {
        principal.users().iter().any(|user| Some(user.xuid) == self.owner || self.invites(user.xuid))
    }

    /// Whether it invites this user.
    #[must_use]
    pub fn invites(&self, xuid: Xuid) -> bool {
        matches!(&self.about, About::Invite(invite) if invite.invited == xuid)
    }

    /// Whether the caller may delete it (H-08): an activity its owner, from the same title if the token names one; an invite its
    /// sender and the invited user; the others their creator; all of them a server. Owners of the session may delete its search
    /// handle as well, which only the session knows ([`may_unlist`]).
    #[must_use]
    pub fn may_delete(&self, principal: &Principal) -> bool {
        let same_title =
            |title: Option<TitleId>| self.kind() != HandleType::Activity || title.is_none() || title == self.title_id;
        principal.is_server_for(&self.reference.scid)
            || principal
                .users()
                .iter()
                .any(|user| (Some(user.xuid) == self.owner && same_title(user.title_id)) || self.invites(user.xuid))
    }

    /// Takes over what an invite says of the session that it leads to (H-35).
    pub fn learn(&mut self, session: &Session) {
        if let About::Invite(invite) = &mut self.about {
            invite.protocol = session.invite_protocol();
        }
    }

    /// Whether its owner is active in its session: what an activity with related data is shown by (H-21).
    #[must_use]
    pub fn is_lived(&self, session: &Session) -> bool {
        self.owner.and_then(|owner| session.member(owner)).is_some_and(|member| member.state.is_active())
    }
}

/// Only an active member may show a session as its activity; a session that does not exist yet may be shown (H-21, H-24).
///
/// # Errors
/// 403.
pub fn may_show(session: Option<&Session>, principal: &Principal) -> Result<(), Refusal> {
    let Principal::User(user) = principal else {
        return Err(Refusal::forbidden("only a user has an activity: a server posts none, not even for a user"));
    };
    access::may_play(user)?;
    match session {
        Some(session) if !session.member(user.xuid).is_some_and(|member| member.state.is_active()) => {
            Err(Refusal::forbidden("an activity needs its user to be an active member of the session"))
        }
        _ => Ok(()),
    }
}

/// Whether the caller may invite a user into a session (H-32, H-36): an accepted member, where there are owners one of those unless
/// the others may invite too, or a server; and nobody who blocks the other or is blocked.
///
/// # Errors
/// 404 without a session; 403.
pub fn may_invite(session: Option<&Session>, invited: Xuid, principal: &Principal, facts: &Facts) -> Result<(), Refusal> {
    let session = session.ok_or_else(|| missing("an invite needs a session that exists"))?;
    if !principal.is_server_for(&session.reference.scid) {
        let sender = one_user(principal, "an invite")?;
        let is_owner = session.is_owner(sender.xuid);
        if !session.member(sender.xuid).is_some_and(|member| member.state.is_accepted()) {
            return Err(Refusal::forbidden("only an accepted member of the session invites"));
        }
        if session.has_owners() && !is_owner && !authority::allows_invites(session) {
            return Err(Refusal::forbidden("only owners of the session invite (ownershipPolicies.allowNonOwnerInviteHandles)"));
        }
    }
    let blocks = |one: Xuid, other: Xuid| facts.blocks.contains(&(one, other));
    if principal.users().iter().any(|user| blocks(invited, user.xuid) || blocks(user.xuid, invited)) {
        return Err(Refusal::forbidden("invitedXuid: one of the two users blocks the other"));
    }
    Ok(())
}

/// Whether the caller may lead others to a session (H-37): its members.
///
/// # Errors
/// 403, also without a session.
pub fn may_transfer(session: Option<&Session>, principal: &Principal) -> Result<(), Refusal> {
    let user = one_user(principal, "a transfer handle")?;
    if session.is_some_and(|session| session.member(user.xuid).is_some()) {
        return Ok(());
    }
    Err(Refusal::forbidden("a transfer handle needs a session that exists, and its creator to be a member of it"))
}

/// Whether the caller may let everybody find a session (H-61): an owner, or any accepted member where there are no owners.
///
/// # Errors
/// 404 without a session; 403; 400 with too many roles to be found by.
pub fn may_list(session: Option<&Session>, principal: &Principal) -> Result<(), Refusal> {
    let session = session.ok_or_else(|| missing("a search handle needs a session that exists"))?;
    let user = one_user(principal, "a search handle")?;
    let roles: usize = session.role_types.iter().map(|(_, declared)| declared.roles.len()).sum();
    if roles > limits::MAX_LISTED_ROLES {
        let most = limits::MAX_LISTED_ROLES;
        return Err(Refusal::invalid(
            "sessionRef",
            format!("a session with more than {most} roles cannot be found by everybody"),
        ));
    }
    if !session.has("searchable") {
        return Err(Refusal::forbidden("the session lacks the capability searchable"));
    }
    if session.has_owners() && !session.is_owner(user.xuid) {
        return Err(Refusal::forbidden("only an owner of the session lets others find it"));
    }
    if !session.member(user.xuid).is_some_and(|member| member.state.is_accepted()) {
        return Err(Refusal::forbidden("only an accepted member of the session lets others find it"));
    }
    Ok(())
}

/// Whether the caller may take back the search handle of a session (H-08): its creator, an owner of the session, a server.
///
/// # Errors
/// 403.
pub fn may_unlist(session: &Session, listing: &Listing, principal: &Principal) -> Result<(), Refusal> {
    let may = |user: &User| user.xuid == listing.owner || session.is_owner(user.xuid);
    if principal.is_server_for(&session.reference.scid) || principal.users().iter().any(may) {
        return Ok(());
    }
    Err(Refusal::forbidden("only its creator, owners of the session and servers delete a search handle"))
}

/// The user that a handle is made by; a server that acts for several makes none.
fn one_user<'p>(principal: &'p Principal, what: &str) -> Result<&'p User, Refusal> {
    let user = principal.user().ok_or_else(|| Refusal::forbidden(format!("{what} is made by one user (A-03)")))?;
    access::may_play(user)?;
    Ok(user)
}

fn missing(why: &str) -> Refusal {
    Refusal::new(Kind::Missing, why)
}

/// A query for activities (H-50 to H-56).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityQuery {
    /// Only activities in this service config.
    pub scid: Option<Scid>,
    /// Whose.
    pub owners: Owners,
    /// The most results (H-56).
    pub take: usize,
}

/// Whose activities are asked for (H-54).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owners {
    /// These users'; results come in this order (H-59).
    Xuids(Vec<Xuid>),
    /// Those of the users that somebody follows.
    People(People),
}

impl Owners {
    /// The list of people that is meant, if one is.
    #[must_use]
    pub fn people(&self) -> Option<&People> {
        if let Self::People(people) = self { Some(people) } else { None }
    }
}

/// The users that somebody follows (H-53).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct People {
    /// Only favourites.
    pub favorites: bool,
    /// Whose list; absent = the caller's (H-55).
    pub of: Option<Xuid>,
}

/// What a request wants beside the handle itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own in the request")]
pub struct Include {
    /// What shows whether the session can be joined (H-70).
    pub related_info: bool,
    /// The session's custom properties (H-72).
    pub custom_properties: bool,
    /// The session's roles, and who has them (H-74).
    pub role_info: bool,
    /// The title that is played.
    pub activity_info: bool,
}
