//! Handles: small immutable documents that point to a session reference (handles.md).

use chrono::{DateTime, Utc};

use super::names::{HandleId, Scid, SessionReference, TitleId, Xuid};
use super::principal::Principal;
use super::session::Session;

/// The kinds of handle (H-02). Invite, search and transfer handles are not served yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandleType {
    /// "This user is now playing in this session."
    Activity,
}

impl HandleType {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activity => "activity",
        }
    }
}

/// A handle, as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    /// Its name, made by the service (H-01).
    pub id: HandleId,
    /// Its kind.
    pub kind: HandleType,
    /// What it points to, whether or not it exists (H-03).
    pub reference: SessionReference,
    /// Whose activity it is.
    pub owner: Xuid,
    /// The title of the token that made it.
    pub title_id: Option<TitleId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl Handle {
    /// Whether the caller may delete it: its owner, from the same title if the token names one, or a server (H-08).
    #[must_use]
    pub fn may_delete(&self, principal: &Principal) -> bool {
        match principal {
            Principal::User(user) => user.xuid == self.owner && (user.title_id.is_none() || user.title_id == self.title_id),
            Principal::Server(_) | Principal::ServerFor(_) => principal.is_server_for(&self.reference.scid),
            Principal::Admin { .. } => false,
        }
    }

    /// Whether its owner is active in its session: what an activity with related data is shown by (H-21).
    #[must_use]
    pub fn is_lived(&self, session: &Session) -> bool {
        session.member(self.owner).is_some_and(|member| member.state.is_active())
    }
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
    /// Those of the users that somebody follows (H-53).
    People {
        /// Only favourites.
        favorites: bool,
        /// Whose list; absent = the caller's (H-55).
        of: Option<Xuid>,
    },
}

/// What a request wants beside the handle itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Include {
    /// What shows whether the session can be joined (H-70).
    pub related_info: bool,
    /// The session's custom properties (H-72).
    pub custom_properties: bool,
    /// The title that is played.
    pub activity_info: bool,
}
