//! From every way to fail to the answer that says so: the only place that knows status codes of errors (E-01).

use actix_web::HttpResponse;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use tracing::{error, warn};

use super::allowance;
use super::reply::{self, Reply};
use super::throttle::Excess;
use crate::auth::AuthError;
use crate::directory::DirectoryError;
use crate::domain::limits::RETRY_AFTER_S;
use crate::domain::names::NotAName;
use crate::domain::refusal::{Kind, Refusal};
use crate::store::StoreError;
use crate::wire::stored::Corrupt;

/// Why a request is not answered as it wished.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No or no good credential.
    #[error(transparent)]
    Unauthenticated(#[from] AuthError),
    /// The caller is banned, or no administrator.
    #[error("{0}")]
    Forbidden(&'static str),
    /// No such path, or a part of it names nothing.
    #[error("{0}")]
    NotFound(String),
    /// The path has other verbs.
    #[error("this path knows {}", verbs(.0))]
    WrongVerb(&'static [Method]),
    /// A header or the transfer of the body is malformed.
    #[error("{0}")]
    BadRequest(String),
    /// The contract version is another one.
    #[error("X-Xbl-Contract-Version {0} is not supported: 104 to 107 and later minor versions of 1 are")]
    WrongVersion(u32),
    /// What came after the state that the caller has is not known any more.
    #[error("{0}")]
    Gone(String),
    /// The caller has called too often (W-80).
    #[error("{} requests in {} s are more than {}", .excess.count, .excess.window.period_s, .excess.window.max)]
    Throttled {
        /// What was too much.
        excess: Excess,
        /// In how many seconds a request comes through again.
        retry_after_s: u32,
    },
    /// As many requests of this kind are under way as the service takes.
    #[error("{0}")]
    Crowded(&'static str),
    /// The answer takes too long. Without `Retry-After`: what was asked for may be done, so repeating it is the caller's decision (E-06).
    #[error("the request took longer than this service allows: what it asked for may have been done")]
    Late,
    /// A socket is opened without what opens one.
    #[error(
        "a websocket is opened here: send Upgrade: websocket, Connection: Upgrade, Sec-WebSocket-Version: 13 and a Sec-WebSocket-Key ({0})"
    )]
    NoUpgrade(String),
    /// The headers are larger than the installation takes.
    #[error("the headers are larger than {0} bytes")]
    HeadersTooLarge(usize),
    /// The body did not come in time.
    #[error("body: it takes too long: {0}")]
    SlowBody(String),
    /// The body is larger than the installation takes (S-95).
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// What is stored cannot be read.
    #[error("the stored session {0} cannot be read: {1}")]
    Corrupt(String, Corrupt),
    /// The use case failed.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

fn verbs(methods: &[Method]) -> String {
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Directory(refusal.into())
    }
}

impl From<NotAName> for ApiError {
    /// A malformed part of a path is like an unknown one.
    fn from(error: NotAName) -> Self {
        Self::NotFound(error.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Directory(error.into())
    }
}

impl ApiError {
    /// The answer. Failures of our own are logged here, once, and keep their details to themselves.
    #[must_use]
    pub fn answer(self) -> Reply {
        let text = self.to_string();
        let status = match self {
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::WrongVerb(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NoUpgrade(_) => StatusCode::UPGRADE_REQUIRED,
            Self::WrongVersion(_) => StatusCode::NOT_ACCEPTABLE,
            Self::Gone(_) => StatusCode::GONE,
            Self::Throttled { excess, retry_after_s } => return allowance::refuse(excess, retry_after_s).into(),
            Self::Late => StatusCode::SERVICE_UNAVAILABLE,
            Self::Crowded(why) => return unavailable(why).into(),
            Self::HeadersTooLarge(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::SlowBody(_) => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Corrupt(..) => {
                error!(error = text, "failed to answer a request");
                return reply::broken().into();
            }
            Self::Directory(error) => return directory(error),
        };
        let mut answer = reply::text(status, text);
        match self {
            Self::Unauthenticated(_) => {
                answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("XBL3.0"));
            }
            Self::WrongVerb(methods) => {
                let allow = HeaderValue::from_str(&verbs(methods)).expect("verbs are ASCII");
                answer.headers_mut().insert(ALLOW, allow);
            }
            Self::NoUpgrade(_) => {
                answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
                answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            _ => {}
        }
        answer.into()
    }
}

fn directory(error: DirectoryError) -> Reply {
    let answer = match error {
        DirectoryError::Refused { refusal, shown } => {
            let status = match refusal.kind {
                Kind::Precondition => return reply::empty(StatusCode::PRECONDITION_FAILED).into(),
                Kind::Stale => StatusCode::PRECONDITION_FAILED,
                Kind::Missing => StatusCode::NOT_FOUND,
                Kind::Forbidden => StatusCode::FORBIDDEN,
                Kind::Invalid | Kind::Full => StatusCode::BAD_REQUEST,
                Kind::Conflict => StatusCode::CONFLICT,
            };
            match shown {
                Some(document) => return reply::session(status, *document),
                None => reply::text(status, refusal.text),
            }
        }
        DirectoryError::UnknownService(_) | DirectoryError::UnknownTemplate(_) | DirectoryError::UnknownHandle => {
            reply::text(StatusCode::NOT_FOUND, error.to_string())
        }
        DirectoryError::Busy => unavailable("the service is busy: try again in a moment"),
        DirectoryError::Store(_) if error.is_temporary() => {
            warn!(%error, "failed to reach the database");
            unavailable("the service cannot reach its database just now: try again in a moment")
        }
        DirectoryError::Broken | DirectoryError::Store(_) => {
            error!(%error, "failed to answer a request");
            reply::broken()
        }
    };
    answer.into()
}

fn unavailable(why: &'static str) -> HttpResponse {
    let mut answer = reply::text(StatusCode::SERVICE_UNAVAILABLE, why);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    answer
}
