//! The session routes: read and write (routes.md, Session routes); those of its elements are in `elements`.

use std::sync::Arc;

use actix_web::http::StatusCode;

use super::extract::{body, form, preconditions};
use super::openapi::params::{ContractHeaders, Nocommit, ReadCondition, SessionParts, WriteConditions};
use super::openapi::session::Session;
use super::reply::{self, Reply};
use super::route::SessionPath;
use super::{Answer, ApiError, Call};
use crate::directory::{Document, WriteRequest, Written};
use crate::domain::access::Pass;
use crate::domain::command::{Delta, Target, Write};
use crate::domain::names::{ETag, Scid, SessionName, SessionReference, TemplateName};
use crate::domain::template::Template;
use crate::wire::query::switch;
use crate::wire::request;

/// Finds what a session's path names: 404 for malformed and unknown parts, 403 for a title's service config (E-10 #5 to #7).
pub fn locate(call: &Call, path: &SessionPath) -> Result<(SessionReference, Arc<Template>), ApiError> {
    let scid = Scid::parse(&path.scid)?;
    let template = TemplateName::parse(&path.template)?;
    let name = SessionName::parse(&path.name)?;
    let service = call.service.directory.catalog().service(&scid, &call.principal)?;
    let template = Arc::clone(service.template(template.as_str())?);
    Ok((SessionReference { scid, template: template.name.clone(), name }, template))
}

/// Reads a session.
///
/// Timers that are due are evaluated before.
#[utoipa::path(get, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}",
    operation_id = "readSession", tag = "sessions",
    params(SessionParts, ContractHeaders, ReadCondition),
    responses(
        (status = 200, description = "The session", body = Session),
        (status = 204, description = "The session does not exist (R-20)"),
        (status = 304, description = "The caller has the present state (W-44)"),
    ))]
pub async fn read(call: Call<'_>, path: &SessionPath) -> Answer {
    let (reference, _) = locate(&call, path)?;
    let found = call.service.directory.read_by(call.reader, &reference, &call.principal).await?;
    Ok(show(&call, found))
}

/// A session that was read, or that there is none, or that it has not changed (W-44).
pub fn show(call: &Call, found: Option<Document>) -> Reply {
    let Some(document) = found else { return reply::empty(StatusCode::NO_CONTENT).into() };
    if has(call, document.etag) { reply::not_modified(document.etag).into() } else { reply::session(StatusCode::OK, document) }
}

/// Whether the caller says that it has this state already (W-44).
pub fn has(call: &Call, etag: ETag) -> bool {
    preconditions(call.request.headers()).if_none_match.is_some_and(|tags| tags.match_tag(&etag.to_string()))
}

/// Creates, joins, updates or leaves a session.
///
/// The body is merged into the session field by field; `null` takes away (W-10, W-11). `members.me` is the caller; its presence joins, its
/// `null` leaves.
#[utoipa::path(put, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}",
    operation_id = "writeSession", tag = "sessions",
    params(SessionParts, ContractHeaders, WriteConditions, Nocommit),
    request_body = Session,
    responses(
        (status = 200, description = "Updated, or as it was before", body = Session),
        (status = 201, description = "Created", body = Session),
        (status = 204, description = "The write left no session (W-22, W-60)"),
        (status = 409, description = "In conflict with the session's constants or state (E-14)"),
        (status = 412, description = "A precondition does not hold (W-40)"),
    ))]
pub async fn write(mut call: Call<'_>, path: &SessionPath) -> Answer {
    let (reference, template) = locate(&call, path)?;
    let body = body(&mut call).await?;
    let delta = request::read_delta(&body, call.service.rules.json_depth)?;
    Ok(reply::written(submit(&call, reference, template, delta, (Target::Session, Pass::Nothing)).await?))
}

/// Hands a write to the directory: what it addresses, and what the handle adds that it came through.
pub async fn submit(
    call: &Call<'_>,
    reference: SessionReference,
    template: Arc<Template>,
    delta: Delta,
    (target, pass): (Target, Pass),
) -> Result<Written, ApiError> {
    let write = Write { delta, preconditions: preconditions(call.request.headers()), target, form: form(call.minor) };
    let nocommit = switch(call.request.query_string(), "nocommit");
    let request = WriteRequest { reference, template, principal: Arc::clone(&call.principal), write, nocommit, pass };
    Ok(call.service.directory.write(request).await?)
}
