//! Administration: sessions, handles, bans, what is published, and here the development clock.

pub mod bans;
pub mod catalog;
pub mod handles;
pub mod sessions;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;

use super::audit::{Why, audited};
use super::extract::body;
use super::openapi::params::Reason;
use super::openapi::shapes::{ClockAnswer, ClockRequest};
use super::{Answer, ApiError, Call, reply};
use crate::domain::instant::render_instant;
use crate::domain::refusal::Refusal;
use crate::json::{Json, Object};
use crate::wire::request::read_body;

/// How far one call may move the development clock: ten years.
const ADVANCE_MAX_MS: u64 = 10 * 365 * 86_400_000;

/// How long the development clock waits for lost connections to be recorded.
const PATIENCE: Duration = Duration::from_secs(2);

/// Moves the service's clock, applies what is due, then says what time it is.
///
/// It works with `--dev` only: without, 404.
#[utoipa::path(post, path = "/admin/dev/clock", operation_id = "advanceClock", tag = "administration",
    params(Reason),
    request_body = ClockRequest,
    responses(
        (status = 200, description = "The time now", body = ClockAnswer),
        (status = 404, description = "The service runs without `--dev`"),
    ))]
pub async fn advance_clock(mut call: Call<'_>) -> Answer {
    if !call.service.rules.dev {
        return Err(ApiError::NotFound("the development clock needs --dev".to_owned()));
    }
    let why = Why::optional(&call)?;
    let fields = read_body(&body(&mut call).await?, call.service.rules.json_depth)?;
    if let Some(name) = fields.keys().find(|name| name.to_string() != "advanceMs") {
        return Err(Refusal::invalid(name.to_string(), "this field does not exist").into());
    }
    let advance = fields.get("advanceMs").and_then(Json::as_u64).filter(|ms| *ms <= ADVANCE_MAX_MS);
    let Some(advance) = advance else {
        let why = format!("a whole number of milliseconds from 0 to {ADVANCE_MAX_MS} is expected");
        return Err(Refusal::invalid("advanceMs", why).into());
    };
    let deed = why.deed("clock.advance", "clock").with(format!("advanceMs: {advance}"));
    let directory = Arc::clone(&call.service.directory);
    let hub = Arc::clone(&call.service.hub);
    let work = async move {
        // Whoever was lost before the clock moves has the grace period from before that.
        hub.losses_recorded(PATIENCE).await;
        let now = directory.clock().advance(Duration::from_millis(advance));
        directory.store().ensure_partitions(now).await?;
        directory.sweep().await.map(|_| directory.clock().now())
    };
    let now = audited(&call, deed, work).await?;
    let mut fields = Object::new();
    fields.insert("now".into(), render_instant(now).into());
    Ok(reply::value(StatusCode::OK, &fields.into()).into())
}

/// A page of a list, with the way to the next one if there may be more.
pub fn page(items: impl Iterator<Item = Json>, next: Option<String>) -> Json {
    let mut fields = Object::with_capacity(2);
    fields.insert("items".into(), items.collect());
    fields.insert("continuationToken".into(), next.map_or(Json::Null, Json::from));
    fields.into()
}
