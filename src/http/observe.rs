//! What is seen of a request from outside: its span in the log, its correlation headers, and what it counts as.
//!
//! A request has one root span, and everything that is logged while it is answered stands in it. The id that its answer carries as
//! `X-XblCorrelationId` is in the span, so that a player's report leads to the lines of the log.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::dev::ResponseHead;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use opentelemetry::global;
use opentelemetry::propagation::Extractor;
use tokio::time::Instant;
use tracing::{Span, debug, error_span, field, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

use super::Service;
use super::route::Route;
use crate::domain::principal::Principal;
use crate::metrics::{Metrics, Operation, Request};

/// The id of a request, as Xbox services name it.
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-xblcorrelationid");
/// The client's own: where in its doings the request belongs.
const CORRELATION_VECTOR: HeaderName = HeaderName::from_static("ms-cv");
/// Longer vectors are not taken over; the longest that the format allows has 127 characters.
const VECTOR_MAX: usize = 128;

/// A request that is being answered.
pub struct Observed<'a> {
    metrics: &'a Metrics,
    /// Whether spans are sent to a collector.
    exports: bool,
    begun: Instant,
    operation: Operation,
    span: Span,
    id: Uuid,
    vector: Option<HeaderValue>,
}

impl<'a> Observed<'a> {
    /// Begins to look. The caller's id is taken over if it is a GUID. What is known of the caller from the start is in the span from the
    /// start, because adding to it costs as much again.
    pub fn begin(
        service: &'a Service,
        method: &Method,
        route: Option<&Route>,
        headers: &HeaderMap,
        caller: Option<&Principal>,
    ) -> Self {
        let metrics = service.directory.metrics();
        metrics.in_flight.inc();
        let operation = Operation { route: route.map_or("none", Route::template), method: verb(method) };
        let given = headers.get(&CORRELATION_ID).and_then(|value| Uuid::try_parse_ascii(value.as_bytes()).ok());
        let id = given.unwrap_or_else(|| service.directory.ids().uuid());
        let vector = headers.get(&CORRELATION_VECTOR).filter(|value| is_vector(value.as_bytes())).cloned();
        // However little is logged, what is logged says of which request.
        let span = error_span!(
            "request",
            http.method = operation.method,
            http.route = operation.route,
            correlation.id = %id,
            correlation.vector = vector.as_ref().and_then(|vector| vector.to_str().ok()),
            principal.kind = caller.map(kind),
            principal.xuid = caller.and_then(Principal::xuid).map(field::display),
            http.status = field::Empty,
        );
        if service.rules.joins_traces && headers.contains_key("traceparent") {
            // Without an export there is nobody to belong to another trace.
            let _ = span.set_parent(global::get_text_map_propagator(|propagator| propagator.extract(&Carried(headers))));
        }
        Self { metrics, exports: service.rules.exports_spans, begun: Instant::now(), operation, span, id, vector }
    }

    /// The root span.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Puts the correlation headers on the answer, counts it, and logs it: each at debug, those that took longer than `slow` as warnings.
    pub fn end(self, answer: &mut HttpResponse, slow: Duration) {
        let id = HeaderValue::from_str(&self.id.to_string()).expect("a GUID is ASCII");
        answer.headers_mut().insert(CORRELATION_ID, id);
        if let Some(vector) = self.vector.clone() {
            answer.headers_mut().insert(CORRELATION_VECTOR, vector);
        }
        let status = answer.status().as_u16();
        let took = self.begun.elapsed();
        let Operation { route, method } = self.operation;
        self.metrics.requests.get_or_create(&Request { route, method, status }).inc();
        self.metrics.request_seconds.get_or_create(&self.operation).observe(took.as_secs_f64());
        if self.exports {
            self.span.record("http.status", status);
        }
        let _entered = self.span.enter();
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if !slow.is_zero() && took > slow {
            warn!(http.status = status, duration_ms, "answered slowly");
        } else {
            debug!(http.status = status, duration_ms, "answered");
        }
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
    }
}

/// What a caller is. Gamertags and devices stay out of the log.
fn kind(principal: &Principal) -> &'static str {
    match principal {
        Principal::User(_) => "user",
        Principal::Server(_) => "server",
        Principal::ServerFor(_) => "server for users",
        Principal::Admin { .. } => "admin",
    }
}

/// Lets the client take its next request elsewhere: the service is about to end.
pub fn say_goodbye(answer: &mut ResponseHead) {
    if answer.connection_type() != ConnectionType::Upgrade {
        answer.set_connection_type(ConnectionType::Close);
    }
}

/// A verb that some route has, or `other`: what clients make up must not become a label.
fn verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Whether this is a correlation vector, or something as harmless.
fn is_vector(text: &[u8]) -> bool {
    text.len() <= VECTOR_MAX && !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=.!-_".contains(b))
}

/// Headers that say which trace the request belongs to.
struct Carried<'a>(&'a HeaderMap);

impl Extractor for Carried<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("PmvzQKgYek6Sdk/T5sWaqw.0", true)]
    #[case("PmvzQKgYek6Sdk/T5sWaqw==.1.3!", true)]
    #[case("", false)]
    #[case("a b", false)]
    #[case("a\"b", false)]
    fn vectors_that_are_taken_over(#[case] text: &str, #[case] taken: bool) {
        assert_eq!(is_vector(text.as_bytes()), taken);
        assert!(!is_vector("a".repeat(VECTOR_MAX + 1).as_bytes()));
    }

    #[test]
    fn made_up_verbs_are_no_labels() {
        let made_up = Method::from_bytes(b"BREW").expect("it is a token");
        assert_eq!((verb(&Method::GET), verb(&made_up), verb(&Method::PATCH)), ("GET", "other", "other"));
    }
}
