//! The paths this service knows, told apart without regard to case.

use std::borrow::Cow;

use actix_web::http::Method;

use crate::wire::percent::decode;

/// A path, its variable parts decoded but not judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}`
    Session(SessionPath),
    /// `{session}/changes`
    Changes(SessionPath),
    /// `{session}/properties` and the like
    Element(SessionPath, Part),
    /// `/serviceconfigs/{scid}/sessiontemplates`
    Templates(String),
    /// `/serviceconfigs/{scid}/sessiontemplates/{template}`
    Template(String, String),
    /// `/serviceconfigs/{scid}/sessions` and `/serviceconfigs/{scid}/sessiontemplates/{template}/sessions`
    Sessions(String, Option<String>),
    /// `/serviceconfigs/{scid}/batch` and `/serviceconfigs/{scid}/sessiontemplates/{template}/batch`
    Batch(String, Option<String>),
    /// `/handles`
    Handles,
    /// `/handles/query`
    HandlesQuery,
    /// `/handles/{id}`
    Handle(String),
    /// `/handles/{id}/session`
    HandleSession(String),
    /// `/users/me/invites`
    Invites,
    /// `/users/me/invites/{id}`
    Invite(String),
    /// `/admin/social/{xuid}/follows/{other}` and `…/blocks/{other}`
    Edge(EdgeKind, String, String),
    /// `/admin/social/edges`
    Edges,
    /// `/admin/dev/clock`
    DevClock,
    /// `/admin/sessions`
    AdminSessions,
    /// `/admin/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}`
    AdminSession(SessionPath),
    /// `/admin/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/members/{index}`
    AdminMember(SessionPath, String),
    /// `/admin/handles`
    AdminHandles,
    /// `/admin/bans`
    Bans,
    /// `/admin/bans/{xuid}`
    Ban(String),
    /// `/admin/audit`
    Audit,
    /// `/admin/serviceconfigs`
    AdminServices,
    /// `/admin/serviceconfigs/{scid}`
    AdminService(String),
    /// `/admin/serviceconfigs/{scid}/sessiontemplates/{template}`
    AdminTemplate(String, String),
    /// `/connect`
    Connect,
    /// `/nonce`
    Nonce,
}

/// An element of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// `{session}/constants`
    Constants,
    /// `{session}/properties`
    Properties,
    /// `{session}/members/me` and `{session}/members/{index}`
    Member(String),
    /// `{session}/servers/{name}`
    Server(String),
}

/// What one user may have to do with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeKind {
    /// Follows.
    Follow,
    /// Blocks.
    Block,
}

/// The three variable parts of a session's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPath {
    /// The service config id.
    pub scid: String,
    /// The template's name.
    pub template: String,
    /// The session's name.
    pub name: String,
}

impl Route {
    /// Finds the route of a path; one trailing slash is tolerated.
    #[must_use]
    pub fn find(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let parts: Vec<Cow<'_, str>> = path.split('/').map(decode).collect::<Option<_>>()?;
        if parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        let words: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let part = |at: usize| parts[at].clone().into_owned();
        let session_at = |at: usize| SessionPath { scid: part(at), template: part(at + 2), name: part(at + 4) };
        let session = || session_at(1);
        Some(match words.as_slice() {
            ["serviceconfigs", _, "sessions"] => Self::Sessions(part(1), None),
            ["serviceconfigs", _, "batch"] => Self::Batch(part(1), None),
            ["serviceconfigs", _, "sessiontemplates"] => Self::Templates(part(1)),
            ["serviceconfigs", _, "sessiontemplates", _] => Self::Template(part(1), part(3)),
            ["serviceconfigs", _, "sessiontemplates", _, "sessions"] => Self::Sessions(part(1), Some(part(3))),
            ["serviceconfigs", _, "sessiontemplates", _, "batch"] => Self::Batch(part(1), Some(part(3))),
            ["serviceconfigs", _, "sessiontemplates", _, "sessions", _] => Self::Session(session()),
            ["serviceconfigs", _, "sessiontemplates", _, "sessions", _, "changes"] => Self::Changes(session()),
            ["serviceconfigs", _, "sessiontemplates", _, "sessions", _, rest @ ..] => {
                let element = match rest {
                    ["constants"] => Part::Constants,
                    ["properties"] => Part::Properties,
                    ["members", _] => Part::Member(part(7)),
                    ["servers", _] => Part::Server(part(7)),
                    _ => return None,
                };
                Self::Element(session(), element)
            }
            ["handles"] => Self::Handles,
            ["handles", "query"] => Self::HandlesQuery,
            ["handles", _] => Self::Handle(part(1)),
            ["handles", _, "session"] => Self::HandleSession(part(1)),
            ["users", "me", "invites"] => Self::Invites,
            ["users", "me", "invites", _] => Self::Invite(part(3)),
            ["admin", "social", _, "follows", _] => Self::Edge(EdgeKind::Follow, part(2), part(4)),
            ["admin", "social", _, "blocks", _] => Self::Edge(EdgeKind::Block, part(2), part(4)),
            ["admin", "social", "edges"] => Self::Edges,
            ["admin", "dev", "clock"] => Self::DevClock,
            ["admin", "sessions"] => Self::AdminSessions,
            ["admin", "handles"] => Self::AdminHandles,
            ["admin", "bans"] => Self::Bans,
            ["admin", "bans", _] => Self::Ban(part(2)),
            ["admin", "audit"] => Self::Audit,
            ["admin", "serviceconfigs"] => Self::AdminServices,
            ["admin", "serviceconfigs", _] => Self::AdminService(part(2)),
            ["admin", "serviceconfigs", _, "sessiontemplates", _] => Self::AdminTemplate(part(2), part(4)),
            ["admin", "serviceconfigs", _, "sessiontemplates", _, "sessions", _] => Self::AdminSession(session_at(2)),
            ["admin", "serviceconfigs", _, "sessiontemplates", _, "sessions", _, "members", _] => {
                Self::AdminMember(session_at(2), part(8))
            }
            ["connect"] => Self::Connect,
            ["nonce"] => Self::Nonce,
            _ => return None,
        })
    }

    /// The verbs of the route, for `Allow`.
    #[must_use]
    pub fn verbs(&self) -> &'static [Method] {
        match self {
            Self::Session(_) | Self::HandleSession(_) | Self::Element(_, Part::Properties) | Self::AdminTemplate(..) => {
                &[Method::GET, Method::PUT]
            }
            Self::Element(_, Part::Member(_) | Part::Server(_)) | Self::Ban(_) => &[Method::GET, Method::PUT, Method::DELETE],
            Self::Templates(_)
            | Self::Template(..)
            | Self::Sessions(..)
            | Self::Changes(_)
            | Self::Element(_, Part::Constants)
            | Self::Invites
            | Self::AdminSessions
            | Self::AdminHandles
            | Self::Bans
            | Self::Audit
            | Self::AdminServices
            | Self::Connect
            | Self::Nonce => &[Method::GET],
            Self::Invite(_) | Self::AdminMember(..) => &[Method::DELETE],
            Self::AdminService(_) => &[Method::PUT],
            Self::Batch(..) | Self::Handles | Self::HandlesQuery | Self::DevClock => &[Method::POST],
            Self::Handle(_) | Self::AdminSession(_) => &[Method::GET, Method::DELETE],
            Self::Edge(..) => &[Method::PUT, Method::DELETE],
            Self::Edges => &[Method::GET, Method::POST, Method::PUT],
        }
    }

    /// The route as it is documented and counted, with the names of its variable parts.
    #[must_use]
    pub fn template(&self) -> &'static str {
        match self {
            Self::Session(_) => "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}",
            Self::Changes(_) => "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/changes",
            Self::Element(_, Part::Constants) => "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/constants",
            Self::Element(_, Part::Properties) => "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/properties",
            Self::Element(_, Part::Member(_)) => {
                "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/members/{member}"
            }
            Self::Element(_, Part::Server(_)) => {
                "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/servers/{server}"
            }
            Self::Templates(_) => "/serviceconfigs/{scid}/sessiontemplates",
            Self::Template(..) => "/serviceconfigs/{scid}/sessiontemplates/{template}",
            Self::Sessions(_, None) => "/serviceconfigs/{scid}/sessions",
            Self::Sessions(_, Some(_)) => "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions",
            Self::Batch(_, None) => "/serviceconfigs/{scid}/batch",
            Self::Batch(_, Some(_)) => "/serviceconfigs/{scid}/sessiontemplates/{template}/batch",
            Self::Handles => "/handles",
            Self::HandlesQuery => "/handles/query",
            Self::Handle(_) => "/handles/{handle}",
            Self::HandleSession(_) => "/handles/{handle}/session",
            Self::Invites => "/users/me/invites",
            Self::Invite(_) => "/users/me/invites/{handle}",
            Self::Edge(EdgeKind::Follow, ..) => "/admin/social/{xuid}/follows/{other}",
            Self::Edge(EdgeKind::Block, ..) => "/admin/social/{xuid}/blocks/{other}",
            Self::Edges => "/admin/social/edges",
            Self::DevClock => "/admin/dev/clock",
            Self::AdminSessions => "/admin/sessions",
            Self::AdminSession(_) => "/admin/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}",
            Self::AdminMember(..) => "/admin/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/members/{index}",
            Self::AdminHandles => "/admin/handles",
            Self::Bans => "/admin/bans",
            Self::Ban(_) => "/admin/bans/{xuid}",
            Self::Audit => "/admin/audit",
            Self::AdminServices => "/admin/serviceconfigs",
            Self::AdminService(_) => "/admin/serviceconfigs/{scid}",
            Self::AdminTemplate(..) => "/admin/serviceconfigs/{scid}/sessiontemplates/{template}",
            Self::Connect => "/connect",
            Self::Nonce => "/nonce",
        }
    }

    /// Whether the route belongs to administration, outside the contract and its version.
    #[must_use]
    pub fn is_administrative(&self) -> bool {
        self.template().starts_with("/admin/")
    }

    /// The service config that the path names, well-formed or not.
    #[must_use]
    pub fn scid(&self) -> Option<&str> {
        match self {
            Self::Session(path) | Self::Changes(path) | Self::Element(path, _) => Some(&path.scid),
            Self::Templates(scid) | Self::Template(scid, _) | Self::Sessions(scid, _) | Self::Batch(scid, _) => Some(scid),
            _ => None,
        }
    }

    /// Whether the route leads to a socket, which has no contract version (N-03, N-65).
    #[must_use]
    pub fn leads_to_socket(&self) -> bool {
        matches!(self, Self::Connect | Self::Nonce)
    }

    /// Whether an answer may depend on whom the caller follows and blocks.
    #[must_use]
    pub fn asks_for_edges(&self) -> bool {
        !self.is_administrative() && !self.leads_to_socket() && !matches!(self, Self::Templates(_) | Self::Template(..))
    }
}

#[cfg(test)]
impl Route {
    /// Every route, with some values for its variable parts. A variant that [`Route::following`] does not lead to is not among them: it
    /// matches without a wildcard, so that a new one is not forgotten.
    pub fn every() -> Vec<Self> {
        std::iter::successors(Some(Self::Templates("a".into())), Self::following).collect()
    }

    fn following(&self) -> Option<Self> {
        let text = || "a".to_owned();
        let path = || SessionPath { scid: text(), template: text(), name: text() };
        Some(match self {
            Self::Templates(_) => Self::Template(text(), text()),
            Self::Template(..) => Self::Sessions(text(), None),
            Self::Sessions(_, None) => Self::Sessions(text(), Some(text())),
            Self::Sessions(_, Some(_)) => Self::Batch(text(), None),
            Self::Batch(_, None) => Self::Batch(text(), Some(text())),
            Self::Batch(_, Some(_)) => Self::Session(path()),
            Self::Session(_) => Self::Changes(path()),
            Self::Changes(_) => Self::Element(path(), Part::Constants),
            Self::Element(_, Part::Constants) => Self::Element(path(), Part::Properties),
            Self::Element(_, Part::Properties) => Self::Element(path(), Part::Member(text())),
            Self::Element(_, Part::Member(_)) => Self::Element(path(), Part::Server(text())),
            Self::Element(_, Part::Server(_)) => Self::Handles,
            Self::Handles => Self::HandlesQuery,
            Self::HandlesQuery => Self::Handle(text()),
            Self::Handle(_) => Self::HandleSession(text()),
            Self::HandleSession(_) => Self::Invites,
            Self::Invites => Self::Invite(text()),
            Self::Invite(_) => Self::Edge(EdgeKind::Follow, text(), text()),
            Self::Edge(EdgeKind::Follow, ..) => Self::Edge(EdgeKind::Block, text(), text()),
            Self::Edge(EdgeKind::Block, ..) => Self::Edges,
            Self::Edges => Self::DevClock,
            Self::DevClock => Self::AdminSessions,
            Self::AdminSessions => Self::AdminSession(path()),
            Self::AdminSession(_) => Self::AdminMember(path(), text()),
            Self::AdminMember(..) => Self::AdminHandles,
            Self::AdminHandles => Self::Bans,
            Self::Bans => Self::Ban(text()),
            Self::Ban(_) => Self::Audit,
            Self::Audit => Self::AdminServices,
            Self::AdminServices => Self::AdminService(text()),
            Self::AdminService(_) => Self::AdminTemplate(text(), text()),
            Self::AdminTemplate(..) => Self::Connect,
            Self::Connect => Self::Nonce,
            Self::Nonce => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r04_every_route_is_found_by_the_path_it_is_documented_with() {
        for route in Route::every() {
            let found = Route::find(route.template());
            assert_eq!(found.as_ref().map(Route::template), Some(route.template()));
            assert_eq!(found.map(|found| found.verbs()), Some(route.verbs()));
        }
    }

    #[test]
    fn r04_literals_match_in_any_case_and_names_keep_theirs() {
        let route = Route::find("/ServiceConfigs/A/sessionTemplates/Lobby/Sessions/Foo%28x%29/");
        assert_eq!(
            route,
            Some(Route::Session(SessionPath { scid: "A".into(), template: "Lobby".into(), name: "Foo(x)".into() }))
        );
        let element = |path: &str| match Route::find(&format!("/serviceconfigs/a/sessiontemplates/t/sessions/s/{path}")) {
            Some(Route::Element(_, part)) => Some(part),
            _ => None,
        };
        assert_eq!(element("Constants/"), Some(Part::Constants));
        assert_eq!(element("Members/ME"), Some(Part::Member("ME".into())));
        assert_eq!(element("servers/Arena"), Some(Part::Server("Arena".into())));
        assert_eq!(element("members"), None);
        assert_eq!(Route::find("/HANDLES/Query"), Some(Route::HandlesQuery));
        assert_eq!(Route::find("/Connect/"), Some(Route::Connect));
        assert_eq!(Route::find("/nonce"), Some(Route::Nonce));
        assert_eq!(Route::find("/serviceconfigs/a/Batch"), Some(Route::Batch("a".into(), None)));
        let batch = Route::find("/serviceconfigs/a/sessionTemplates/Lobby/BATCH/");
        assert_eq!(batch, Some(Route::Batch("a".into(), Some("Lobby".into()))));
        let path = SessionPath { scid: "a".into(), template: "Lobby".into(), name: "Foo".into() };
        assert_eq!(Route::find("/serviceconfigs/a/sessionTemplates/Lobby/sessions/Foo/Changes"), Some(Route::Changes(path)));
        assert_eq!(Route::find("/serviceconfigs/a/SESSIONS"), Some(Route::Sessions("a".into(), None)));
        let path = SessionPath { scid: "a".into(), template: "t".into(), name: "Foo".into() };
        let member = Route::find("/Admin/ServiceConfigs/a/SessionTemplates/t/Sessions/Foo/Members/3/");
        assert_eq!(member, Some(Route::AdminMember(path, "3".into())));
        assert!(Route::Bans.is_administrative() && !Route::Handles.is_administrative());
    }

    #[test]
    fn r08_other_paths_are_unknown() {
        for path in ["/", "", "/handles//", "/serviceconfigs", "/serviceconfigs/a/b", "/x", "/handles/1/session/2", "/%ff"] {
            assert_eq!(Route::find(path), None, "{path}");
        }
    }
}
