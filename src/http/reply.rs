//! Answers with the headers that the contract wants on them (routes.md, Headers on session responses), each rendered for the contract
//! version of its reader (T-52).

use std::sync::Arc;
use std::time::SystemTime;

use actix_web::HttpResponse;
use actix_web::body::{BodyStream, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, Stream, StreamExt as _};
use tracing::{Span, error};

use crate::directory::{Document, Written};
use crate::domain::decide::Outcome;
use crate::domain::names::ETag;
use crate::json::Json;
use crate::wire::view;

const JSON: &str = "application/json; charset=utf-8";

/// An answer that is not rendered for its reader yet.
pub enum Reply {
    /// One that is the same for all contract versions, or was made for this reader.
    Plain(HttpResponse),
    /// A session, whatever the status (R-09, E-04).
    Session {
        /// The status.
        status: StatusCode,
        /// The session.
        document: Document,
        /// The tag of what is stored, if anything is.
        etag: Option<ETag>,
    },
}

impl From<HttpResponse> for Reply {
    fn from(answer: HttpResponse) -> Self {
        Self::Plain(answer)
    }
}

impl Reply {
    /// Renders the answer for a reader of this minor contract version: the only place where sessions are (T-52, W-70).
    #[must_use]
    pub fn render(self, minor: u32) -> HttpResponse {
        let (status, document, etag) = match self {
            Self::Plain(answer) => return answer,
            Self::Session { status, document, etag } => (status, document, etag),
        };
        let body = if view::is_stored_form(minor) {
            shared(document.body)
        } else {
            match view::rendered(Arc::unwrap_or_clone(document.body), minor) {
                Ok(body) => body.into(),
                Err(error) => {
                    error!(session = document.location, %error, "a stored session cannot be rendered");
                    return broken();
                }
            }
        };
        let mut answer = with_body(status, JSON, body);
        let headers = answer.headers_mut();
        if let Some(etag) = etag {
            put(headers, ETAG, &quoted(etag));
        }
        put(headers, CONTENT_LOCATION, &document.location);
        if let Some(at) = document.next_timer_at {
            put(headers, EXPIRES, &http_date(at));
        }
        answer
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    headers.insert(name, HeaderValue::from_str(value).expect("names, tags and dates are ASCII"));
}

/// A text that others may answer with too, without a copy of it.
fn shared(text: Arc<String>) -> Bytes {
    struct Shared(Arc<String>);
    impl AsRef<[u8]> for Shared {
        fn as_ref(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }
    match Arc::try_unwrap(text) {
        Ok(text) => text.into(),
        Err(text) => Bytes::from_owner(Shared(text)),
    }
}

fn with_body(status: StatusCode, kind: &'static str, body: impl MessageBody + 'static) -> HttpResponse {
    let mut answer = empty(status).set_body(BoxBody::new(body));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// No body.
#[must_use]
pub fn empty(status: StatusCode) -> HttpResponse {
    let mut answer = HttpResponse::new(status);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

/// A message for people (E-02).
#[must_use]
pub fn text(status: StatusCode, message: impl Into<String>) -> HttpResponse {
    with_body(status, "text/plain; charset=utf-8", message.into())
}

/// Rendered JSON.
#[must_use]
pub fn json(status: StatusCode, body: impl Into<String>) -> HttpResponse {
    with_body(status, JSON, body.into())
}

/// A body whose rest is made while it is sent; when that fails, the connection breaks, so that nobody takes a part for the whole.
#[must_use]
pub fn stream<E>(kind: &'static str, first: Bytes, rest: impl Stream<Item = Result<Bytes, E>> + 'static) -> HttpResponse
where
    E: std::error::Error + 'static,
{
    // What goes wrong later is still told as of this request.
    let (span, mut rest) = (Span::current(), Box::pin(rest));
    let rest = stream::poll_fn(move |context| span.in_scope(|| rest.as_mut().poll_next(context)));
    let whole = stream::once(async move { Ok(first) }).chain(rest);
    let mut answer = empty(StatusCode::OK).set_body(BoxBody::new(BodyStream::new(whole)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// A JSON value.
#[must_use]
pub fn value(status: StatusCode, body: &Json) -> HttpResponse {
    json(status, body.to_string())
}

/// A session, whatever the status (R-09, E-04).
#[must_use]
pub fn session(status: StatusCode, document: Document) -> Reply {
    Reply::Session { status, etag: Some(document.etag), document }
}

/// An element of a session, rendered already, with the session's tag.
#[must_use]
pub fn element(etag: ETag, body: String) -> HttpResponse {
    let mut answer = json(StatusCode::OK, body);
    put(answer.headers_mut(), ETAG, &quoted(etag));
    answer
}

/// The service itself is at fault; the log says why.
#[must_use]
pub fn broken() -> HttpResponse {
    text(StatusCode::INTERNAL_SERVER_ERROR, "the service failed; its log says why")
}

/// The session has not changed (W-44).
#[must_use]
pub fn not_modified(etag: ETag) -> HttpResponse {
    let mut answer = empty(StatusCode::NOT_MODIFIED);
    put(answer.headers_mut(), ETAG, &quoted(etag));
    answer
}

/// What a PUT came to.
#[must_use]
pub fn written(written: Written) -> Reply {
    let status = match written.outcome {
        Outcome::Created => StatusCode::CREATED,
        Outcome::Updated | Outcome::Unchanged => StatusCode::OK,
        Outcome::Gone => StatusCode::NO_CONTENT,
    };
    match written.document {
        Some(document) if status != StatusCode::NO_CONTENT => Reply::Session { status, document, etag: written.etag },
        _ => empty(StatusCode::NO_CONTENT).into(),
    }
}

fn quoted(etag: ETag) -> String {
    format!("\"{etag}\"")
}

/// An instant as HTTP writes it, in whole seconds.
fn http_date(at: DateTime<Utc>) -> String {
    httpdate::fmt_http_date(SystemTime::from(at))
}
