//! The handle routes (routes.md, Handle routes).

use std::sync::Arc;

use actix_web::http::StatusCode;

use super::allowance::admit_search;
use super::extract::body;
use super::openapi::params::{
    ContractHeaders, HandlePart, HandleQueryParams, Include, Nocommit, ReadCondition, Take, WriteConditions,
};
use super::openapi::session::Session;
use super::openapi::shapes;
use super::sessions::{show, submit};
use super::{Answer, ApiError, Call, reply, run_here};
use crate::directory::DirectoryError;
use crate::domain::command::Target;
use crate::domain::handle::{ActivityQuery, Owners, People};
use crate::domain::names::HandleId;
use crate::domain::throttle::Counted;
use crate::wire::handle_request::{HandleQuery, Wanted};
use crate::wire::{handle_request as handle, query as wire_query, request, search};

/// A handle id that is no GUID is like an unknown one.
fn parse(id: &str) -> Result<HandleId, ApiError> {
    HandleId::parse(id).ok_or_else(|| ApiError::NotFound("the handle does not exist: its id is no GUID".to_owned()))
}

/// Makes a handle.
#[utoipa::path(post, path = "/handles", operation_id = "createHandle", tag = "handles",
    params(ContractHeaders, Include),
    request_body = shapes::HandleRequest,
    responses((status = 201, description = "The handle", body = shapes::Handle)))]
pub async fn create(mut call: Call<'_>) -> Answer {
    let body = body(&mut call).await?;
    let request = handle::read(&body, call.service.rules.json_depth)?;
    if matches!(request.wanted, Wanted::Search(_)) {
        admit_search(&call, Counted::SearchWrites, Some(&request.scid))?;
    }
    let include = handle::read_include(call.request.query_string());
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    let made = call.service.run(async move { directory.create_handle(request, &principal, include).await }).await?;
    Ok(reply::value(StatusCode::CREATED, &made).into())
}

/// Reads a handle.
#[utoipa::path(get, path = "/handles/{handle}", operation_id = "readHandle", tag = "handles",
    params(HandlePart, ContractHeaders, Include),
    responses((status = 200, description = "The handle", body = shapes::Handle)))]
pub async fn read(call: Call<'_>, id: &str) -> Answer {
    let id = parse(id)?;
    let include = handle::read_include(call.request.query_string());
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    let found = call.service.run(async move { directory.read_handle(id, &principal, include).await }).await?;
    Ok(reply::value(StatusCode::OK, &found).into())
}

/// Deletes a handle.
#[utoipa::path(delete, path = "/handles/{handle}", operation_id = "deleteHandle", tag = "handles",
    params(HandlePart, ContractHeaders),
    responses((status = 204, description = "Deleted")))]
pub async fn delete(call: Call<'_>, id: &str) -> Answer {
    let id = parse(id)?;
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    call.service.run(async move { directory.delete_handle(id, &principal).await }).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT).into())
}

/// Reads a session through a handle.
#[utoipa::path(get, path = "/handles/{handle}/session", operation_id = "readHandleSession", tag = "handles",
    params(HandlePart, ContractHeaders, ReadCondition),
    responses(
        (status = 200, description = "The session; `Content-Location` tells where it is", body = Session),
        (status = 204, description = "The handle's session does not exist"),
        (status = 304, description = "The caller has the present state (W-44)"),
    ))]
pub async fn read_session(call: Call<'_>, id: &str) -> Answer {
    let found = call.service.directory.read_through(call.reader, parse(id)?, &call.principal).await?;
    Ok(show(&call, found))
}

/// Writes, or joins, a session through a handle.
///
/// As writing the session itself, with the rights that the handle gives (H-40 to H-43).
#[utoipa::path(put, path = "/handles/{handle}/session", operation_id = "writeHandleSession", tag = "handles",
    params(HandlePart, ContractHeaders, WriteConditions, Nocommit),
    request_body = Session,
    responses(
        (status = 200, description = "Updated, or as it was before; `Content-Location` tells where it is", body = Session),
        (status = 201, description = "Created", body = Session),
        (status = 204, description = "The write left no session (W-22, W-60)"),
        (status = 409, description = "In conflict with the session's constants or state (E-14)"),
        (status = 412, description = "A precondition does not hold (W-40)"),
    ))]
pub async fn write_session(mut call: Call<'_>, id: &str) -> Answer {
    let id = parse(id)?;
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    let (reference, template, pass) = call.service.run(async move { directory.follow(id, &principal).await }).await?;
    let body = body(&mut call).await?;
    let delta = request::read_delta(&body, call.service.rules.json_depth)?;
    Ok(reply::written(submit(&call, reference, template, delta, (Target::Handle, pass)).await?))
}

/// Finds activities of users, or searches.
#[utoipa::path(post, path = "/handles/query", operation_id = "queryHandles", tag = "handles",
    params(ContractHeaders, Include, HandleQueryParams),
    request_body = shapes::HandleQuery,
    responses((status = 200, description = "What was found, perhaps nothing (H-58)", body = shapes::HandleResults)))]
pub async fn query(mut call: Call<'_>) -> Answer {
    let body = body(&mut call).await?;
    let parameters = call.request.query_string();
    let query = handle::read_query(&body, parameters, call.service.rules.json_depth)?;
    if let HandleQuery::Search(query) = &query {
        admit_search(&call, Counted::SearchReads, query.scid.as_ref())?;
    }
    let include = handle::read_include(parameters);
    let people = match &query {
        HandleQuery::Activities(query) => query.owners.people(),
        HandleQuery::Search(query) => query.members.as_ref(),
    };
    if let (Some(People { of: Some(of), .. }), true) = (people, call.principal.manages()) {
        // A server names whose people it means (H-55).
        call.service.know(&[*of]).await;
    }
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    let own = match &query {
        HandleQuery::Activities(ActivityQuery { owners: Owners::Xuids(owners), .. }) => {
            call.reader.queries(owners.len()).cloned()
        }
        _ => None,
    };
    if let (HandleQuery::Activities(query), Some(own)) = (&query, own) {
        let query = query.clone();
        let work =
            async move { directory.query_activities_over(&own, &query, &principal, include).await.map(wire_query::results) };
        return Ok(reply::json(StatusCode::OK, run_here(work).await?).into());
    }
    let work = async move {
        Ok::<_, DirectoryError>(match query {
            HandleQuery::Activities(query) => wire_query::results(directory.query_activities(&query, &principal, include).await?),
            HandleQuery::Search(query) => {
                let found = directory.search(&query, &principal, include).await?;
                search::answer(found.results, found.continuation)
            }
        })
    };
    Ok(reply::json(StatusCode::OK, call.service.run(work).await?).into())
}

/// Lists the invites that the caller can follow, the newest first.
#[utoipa::path(get, path = "/users/me/invites", operation_id = "listInvites", tag = "handles",
    params(ContractHeaders, Take),
    responses((status = 200, description = "The invites", body = shapes::InviteResults)))]
pub async fn invites(call: Call<'_>) -> Answer {
    let take = handle::read_take(call.request.query_string())?;
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    let found = call.service.run(async move { directory.invites(&principal, take).await }).await?;
    Ok(reply::json(StatusCode::OK, wire_query::results(found)).into())
}

/// Takes an invite out of the caller's inbox.
#[utoipa::path(delete, path = "/users/me/invites/{handle}", operation_id = "deleteInvite", tag = "handles",
    params(HandlePart, ContractHeaders),
    responses((status = 204, description = "Taken out")))]
pub async fn delete_invite(call: Call<'_>, id: &str) -> Answer {
    let id = parse(id)?;
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    call.service.run(async move { directory.delete_invite(id, &principal).await }).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT).into())
}
