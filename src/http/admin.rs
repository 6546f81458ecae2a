//! Administration: the edges of the social graph, and the development clock.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};

use super::extract::body;
use super::route::EdgeKind;
use super::{Answer, ApiError, Call, reply};
use crate::domain::names::Xuid;
use crate::domain::refusal::Refusal;
use crate::domain::system::render_instant;
use crate::json::{Json, Object};
use crate::wire::request::read_body;

/// How far one call may move the development clock: ten years.
const ADVANCE_MAX_MS: u64 = 10 * 365 * 86_400_000;

/// PUT and DELETE `/admin/social/{xuid}/follows/{other}` and `…/blocks/{other}`
pub async fn edge(mut call: Call<'_>, kind: EdgeKind, xuid: &str, other: &str) -> Answer {
    let (xuid, other) = (Xuid::parse(xuid)?.0, Xuid::parse(other)?.0);
    let put = call.request.method() == Method::PUT;
    let favorite = if put { read_favorite(&mut call, kind).await? } else { false };
    let directory = Arc::clone(&call.service.directory);
    let work = async move {
        let store = directory.store();
        match (kind, put) {
            (EdgeKind::Follow, true) => store.put_follow(xuid, other, favorite).await,
            (EdgeKind::Follow, false) => store.delete_follow(xuid, other).await.map(|_| ()),
            (EdgeKind::Block, true) => store.put_block(xuid, other).await,
            (EdgeKind::Block, false) => store.delete_block(xuid, other).await.map(|_| ()),
        }
    };
    call.service.run(work).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT).into())
}

/// Reads the optional body `{"favorite": true}` of a follow; a block has none.
async fn read_favorite(call: &mut Call<'_>, kind: EdgeKind) -> Result<bool, ApiError> {
    let fields = read_body(&body(call).await?, call.service.rules.json_depth)?;
    let mut favorite = false;
    for (name, value) in &fields {
        match (name.to_string().as_str(), kind) {
            ("favorite", EdgeKind::Follow) => {
                favorite = value.as_bool().ok_or_else(|| Refusal::invalid("favorite", "true or false is expected"))?;
            }
            (name, _) => return Err(Refusal::invalid(name, "this field does not exist").into()),
        }
    }
    Ok(favorite)
}

/// POST /admin/dev/clock `{"advanceMs": n}`: moves the service's clock, applies what is due, then says what time it is.
pub async fn advance_clock(mut call: Call<'_>) -> Answer {
    if !call.service.rules.dev {
        return Err(ApiError::NotFound("the development clock needs --dev".to_owned()));
    }
    let fields = read_body(&body(&mut call).await?, call.service.rules.json_depth)?;
    if let Some(name) = fields.keys().find(|name| name.to_string() != "advanceMs") {
        return Err(Refusal::invalid(name.to_string(), "this field does not exist").into());
    }
    let advance = fields.get("advanceMs").and_then(Json::as_u64).filter(|ms| *ms <= ADVANCE_MAX_MS);
    let Some(advance) = advance else {
        let why = format!("a whole number of milliseconds from 0 to {ADVANCE_MAX_MS} is expected");
        return Err(Refusal::invalid("advanceMs", why).into());
    };
    let directory = Arc::clone(&call.service.directory);
    let work = async move {
        let now = directory.clock().advance(Duration::from_millis(advance));
        directory.store().ensure_partitions(now).await?;
        directory.sweep().await.map(|_| directory.clock().now())
    };
    let now = call.service.run(work).await?;
    let mut fields = Object::new();
    fields.insert("now".into(), render_instant(now).into());
    Ok(reply::value(StatusCode::OK, &fields.into()).into())
}
