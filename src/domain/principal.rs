//! Who asks: the principals of the contract and the claims the service needs of them.

use super::names::{Scid, TitleId, Xuid};

/// The authenticated caller of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A player, with the title and device it plays on.
    User(User),
    /// A title's own server, for the service configs its credential names.
    Server(Server),
    /// An operator; has the administrative routes and nothing else.
    Admin {
        /// The operator's name, for the audit.
        name: String,
    },
}

/// A player's claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The player.
    pub xuid: Xuid,
    /// The name other players see.
    pub gamertag: Option<String>,
    /// The title that asks, if the token says so: decides `activeTitleId` and the `titleId` of handles.
    pub title_id: Option<TitleId>,
    /// The device that asks, if the token says so: decides what is local.
    pub device_id: Option<String>,
    /// Whether the player may play with others; granted when the token does not speak about privileges.
    pub multiplayer: bool,
}

/// A server's claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The service's name.
    pub name: String,
    /// The service configs it may act for.
    pub scids: Vec<Scid>,
}

impl Principal {
    /// The user, if this is one.
    #[must_use]
    pub fn user(&self) -> Option<&User> {
        match self {
            Self::User(user) => Some(user),
            Self::Server(_) | Self::Admin { .. } => None,
        }
    }

    /// The caller's xuid, if it is a user.
    #[must_use]
    pub fn xuid(&self) -> Option<Xuid> {
        self.user().map(|user| user.xuid)
    }

    /// Whether this is a server that may act for `scid`.
    #[must_use]
    pub fn is_server_for(&self, scid: &Scid) -> bool {
        matches!(self, Self::Server(server) if server.scids.contains(scid))
    }

    /// A word for logs and the change log: `user`, `server` or `admin`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Server(_) => "server",
            Self::Admin { .. } => "admin",
        }
    }
}
