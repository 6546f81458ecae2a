//! Answers with the headers that the contract wants on them (routes.md, Headers on session responses).

use std::time::SystemTime;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, Utc};

use crate::directory::{Document, Written};
use crate::domain::decide::Outcome;
use crate::domain::names::ETag;
use crate::json::Json;

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    headers.insert(name, HeaderValue::from_str(value).expect("names, tags and dates are ASCII"));
}

fn with_body(status: StatusCode, kind: &'static str, body: String) -> HttpResponse {
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
    with_body(status, "application/json; charset=utf-8", body.into())
}

/// A JSON value.
#[must_use]
pub fn value(status: StatusCode, body: &Json) -> HttpResponse {
    json(status, body.to_string())
}

/// A session, whatever the status (R-09, E-04).
#[must_use]
pub fn session(status: StatusCode, document: Document) -> HttpResponse {
    let mut answer = json(status, document.body);
    let headers = answer.headers_mut();
    put(headers, ETAG, &quoted(document.etag));
    put(headers, CONTENT_LOCATION, &document.location);
    if let Some(at) = document.next_timer_at {
        put(headers, EXPIRES, &http_date(at));
    }
    answer
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
pub fn written(written: Written) -> HttpResponse {
    let status = match written.outcome {
        Outcome::Created => StatusCode::CREATED,
        Outcome::Updated | Outcome::Unchanged => StatusCode::OK,
        Outcome::Gone => StatusCode::NO_CONTENT,
    };
    let Some(document) = written.document.filter(|_| status != StatusCode::NO_CONTENT) else {
        return empty(StatusCode::NO_CONTENT);
    };
    let mut answer = session(status, document);
    match written.etag {
        Some(etag) => put(answer.headers_mut(), ETAG, &quoted(etag)),
        None => drop(answer.headers_mut().remove(ETAG)),
    }
    answer
}

fn quoted(etag: ETag) -> String {
    format!("\"{etag}\"")
}

/// An instant as HTTP writes it, in whole seconds.
fn http_date(at: DateTime<Utc>) -> String {
    httpdate::fmt_http_date(SystemTime::from(at))
}
