//! Who asks: the principals of the contract and the claims the service needs of them.

use super::names::{Scid, TitleId, Xuid};

/// The authenticated caller of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A player, with the title and device it plays on.
    User(User),
    /// A title's own server, for the service configs its credential names.
    Server(Server),
    /// A server that acts for users.
    ServerFor(ServerFor),
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
    /// The kind of device, if the token says so.
    pub device_type: Option<String>,
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

/// A server that acts for users: it is as if they called themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFor {
    /// The server.
    pub server: Server,
    /// The users in the order in which the header names them, each once; at least one.
    pub users: Vec<User>,
    /// Whether the server's own rights come on top; `X-Xbl-Deny-Scope: Multiplayer.Manage` takes them away.
    pub manages: bool,
}

impl Principal {
    /// The one user who asks: a player, or the only user a server acts for.
    #[must_use]
    pub fn user(&self) -> Option<&User> {
        match self.users() {
            [user] => Some(user),
            _ => None,
        }
    }

    /// The users who ask: one player, those a server acts for, or nobody.
    #[must_use]
    pub fn users(&self) -> &[User] {
        match self {
            Self::User(user) => std::slice::from_ref(user),
            Self::ServerFor(acting) => &acting.users,
            Self::Server(_) | Self::Admin { .. } => &[],
        }
    }

    /// The xuid of the one user who asks.
    #[must_use]
    pub fn xuid(&self) -> Option<Xuid> {
        self.user().map(|user| user.xuid)
    }

    /// The server's own credential, if this is one, whether or not it acts for users.
    #[must_use]
    pub fn server(&self) -> Option<&Server> {
        match self {
            Self::Server(server) => Some(server),
            Self::ServerFor(acting) => Some(&acting.server),
            Self::User(_) | Self::Admin { .. } => None,
        }
    }

    /// Whether this caller has the rights of a server anywhere.
    #[must_use]
    pub fn manages(&self) -> bool {
        self.server().is_some() && !matches!(self, Self::ServerFor(acting) if !acting.manages)
    }

    /// Whether this caller has the rights of a server in `scid`.
    #[must_use]
    pub fn is_server_for(&self, scid: &Scid) -> bool {
        self.manages() && self.server().is_some_and(|server| server.scids.contains(scid))
    }

    /// A word for logs and the change log: `user`, `server` or `admin`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Server(_) | Self::ServerFor(_) => "server",
            Self::Admin { .. } => "admin",
        }
    }
}
