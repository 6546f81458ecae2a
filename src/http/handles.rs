//! The handle routes (routes.md, Handle routes).

use std::sync::Arc;

use actix_web::http::StatusCode;

use super::extract::body;
use super::sessions::{show, submit};
use super::{Answer, ApiError, Call, reply};
use crate::domain::command::Target;
use crate::domain::handle::Owners;
use crate::domain::names::HandleId;
use crate::wire::{handle, query as wire_query, request};

/// A handle id that is no GUID is like an unknown one.
fn parse(id: &str) -> Result<HandleId, ApiError> {
    HandleId::parse(id).ok_or_else(|| ApiError::NotFound("the handle does not exist: its id is no GUID".to_owned()))
}

/// POST /handles
pub async fn create(mut call: Call<'_>) -> Answer {
    let body = body(&mut call).await?;
    let request = handle::read(&body, call.service.rules.json_depth)?;
    let include = handle::read_include(call.request.query_string());
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    let made = call.service.run(async move { directory.create_activity(request, &principal, include).await }).await?;
    Ok(reply::value(StatusCode::CREATED, &made).into())
}

/// GET /handles/{id}
pub async fn read(call: Call<'_>, id: &str) -> Answer {
    let id = parse(id)?;
    let include = handle::read_include(call.request.query_string());
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    let found = call.service.run(async move { directory.read_handle(id, &principal, include).await }).await?;
    Ok(reply::value(StatusCode::OK, &found).into())
}

/// DELETE /handles/{id}
pub async fn delete(call: Call<'_>, id: &str) -> Answer {
    let id = parse(id)?;
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    call.service.run(async move { directory.delete_handle(id, &principal).await }).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT).into())
}

/// GET /handles/{id}/session
pub async fn read_session(call: Call<'_>, id: &str) -> Answer {
    let found = call.service.directory.read_through(parse(id)?, &call.principal).await?;
    Ok(show(&call, found))
}

/// PUT /handles/{id}/session
pub async fn write_session(mut call: Call<'_>, id: &str) -> Answer {
    let id = parse(id)?;
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    let (reference, template) = call.service.run(async move { directory.follow(id, &principal).await }).await?;
    let body = body(&mut call).await?;
    let delta = request::read_delta(&body, call.service.rules.json_depth)?;
    Ok(reply::written(submit(&call, reference, template, delta, Target::Handle).await?))
}

/// POST /handles/query
pub async fn query(mut call: Call<'_>) -> Answer {
    let body = body(&mut call).await?;
    let parameters = call.request.query_string();
    let query = handle::read_query(&body, parameters, call.service.rules.json_depth)?;
    let include = handle::read_include(parameters);
    if let (Owners::People { of: Some(of), .. }, None) = (&query.owners, call.principal.xuid()) {
        // A server names whose people it means (H-55).
        call.service.know(&[*of]).await?;
    }
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    let found = call.service.run(async move { directory.query_activities(&query, &principal, include).await }).await?;
    Ok(reply::json(StatusCode::OK, wire_query::results(found)).into())
}
