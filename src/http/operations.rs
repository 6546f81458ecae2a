//! What operators and their machines ask: health, readiness, and the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, web};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::ExposeSecret as _;

use super::openapi::shapes::Health;
use super::{Service, reply};
use crate::metrics::{InUse, Limit, PoolState, level};

/// Whether the service is about to end: it still answers, but nobody should send it anything new.
#[derive(Debug, Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// From now on it is.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether the process runs (R-70).
#[utoipa::path(get, path = "/health", operation_id = "isAlive", tag = "operation", security(()),
    responses((status = 200, description = "It runs", body = Health)))]
pub async fn live() -> HttpResponse {
    reply::json(StatusCode::OK, r#"{"status":"live"}"#)
}

/// Whether requests can be answered: the catalog is loaded, the database is there, and the service does not end.
#[utoipa::path(get, path = "/health/ready", operation_id = "isReady", tag = "operation", security(()),
    responses(
        (status = 200, description = "They can", body = Health),
        (status = 503, description = "They cannot: the body says why", body = Health),
    ))]
pub async fn ready(service: web::Data<Service>) -> HttpResponse {
    if service.draining.has_begun() {
        return reply::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining","why":"the service is about to end"}"#);
    }
    let directory = Arc::clone(&service.directory);
    let answer = service.run(async move {
        directory.ready().await?;
        directory.store().ping().await
    });
    match answer.await {
        Ok(()) => reply::json(StatusCode::OK, r#"{"status":"ready"}"#),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            reply::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"not ready","why":"the database cannot be reached"}"#)
        }
    }
}

/// What is counted and measured, for Prometheus (docs/metrics.md).
#[utoipa::path(get, path = "/metrics", operation_id = "readMetrics", tag = "operation", security((), ("metrics" = [])),
    responses(
        (status = 200, description = "Figures in the OpenMetrics text format", body = String,
            content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (status = 401, description = "The installation has set `telemetry.metrics_bearer`, and the request is without it"),
    ))]
pub async fn metrics(service: web::Data<Service>, request: HttpRequest) -> HttpResponse {
    if let Some(bearer) = &service.rules.metrics_bearer {
        let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let bearer = bearer.expose_secret().as_bytes();
        if given.is_none_or(|given| verify_slices_are_equal(given.as_bytes(), bearer).is_err()) {
            let mut answer =
                reply::text(StatusCode::UNAUTHORIZED, "the metrics want the bearer token of telemetry.metrics_bearer");
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return answer;
        }
    }
    let metrics = service.directory.metrics();
    let pool = service.directory.store().pool();
    metrics.pool.get_or_create(&PoolState { state: InUse::idle }).set(level(pool.idle));
    metrics.pool.get_or_create(&PoolState { state: InUse::used }).set(level(pool.used));
    metrics.pool_max.set(level(pool.max));
    metrics.write_queue.set(level(service.directory.writes_waiting()));
    for (limit, count) in service.throttle.rejected() {
        // Set, not raised: the limiter counts by itself.
        metrics.throttled.get_or_create(&Limit { limit }).inner().store(count, Ordering::Relaxed);
    }
    metrics.feeds.set(level(service.feeds.open()));
    // Not asked anew: a scrape must not wait for a database that is away.
    metrics.ready.set(i64::from(!service.draining.has_begun() && metrics.database_up.get() == 1));
    let mut answer = reply::text(StatusCode::OK, metrics.render());
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
