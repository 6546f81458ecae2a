//! Session queries and the template routes (routes.md, Query routes, Template routes).

use std::sync::Arc;

use actix_web::http::StatusCode;

use super::extract::body;
use super::openapi::params::{ContractHeaders, ServiceParts, TemplateParts};
use super::openapi::shapes::{Template, TemplateNames};
use super::{Answer, ApiError, Call, reply, run_here};
use crate::directory::Found;
use crate::domain::names::{Scid, TemplateName};
use crate::domain::query::SessionQuery;
use crate::json::Json;
use crate::wire::query;

/// GET …/sessions: the sessions of a service config, or of one template.
pub async fn sessions(call: Call<'_>, scid: &str, template: Option<&str>) -> Answer {
    let (scid, template) = scope(&call, scid, template)?;
    let query = query::read(scid, template, call.request.query_string(), call.minor)?;
    answer(&call, query).await
}

/// POST …/batch: the same for many users.
pub async fn batch(mut call: Call<'_>, scid: &str, template: Option<&str>) -> Answer {
    let (scid, template) = scope(&call, scid, template)?;
    let body = body(&mut call).await?;
    let depth = call.service.rules.json_depth;
    let query = query::read_batch(scid, template, call.request.query_string(), call.minor, &body, depth)?;
    answer(&call, query).await
}

/// Where a query looks: a service config the caller may use, and perhaps one of its templates.
fn scope(call: &Call, scid: &str, template: Option<&str>) -> Result<(Scid, Option<TemplateName>), ApiError> {
    let scid = Scid::parse(scid)?;
    let template = template.map(TemplateName::parse).transpose()?;
    let service = call.service.directory.catalog().service(&scid, &call.principal)?;
    let template = template.map(|name| service.template(name.as_str()).map(|template| template.name.clone())).transpose()?;
    Ok((scid, template))
}

async fn answer(call: &Call<'_>, query: SessionQuery) -> Answer {
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    // What was found is rendered, and let go, by the thread that read it.
    let render = |found: Vec<Found>| query::found(found.iter().map(|found| (found.xuid, &found.candidates[..])));
    let answer = match call.reader.queries(query.results_max()).cloned() {
        Some(own) => run_here(async move { directory.query_over(&own, &query, &principal).await.map(render) }).await?,
        None => call.service.run(async move { directory.query(&query, &principal).await.map(render) }).await?,
    };
    Ok(reply::json(StatusCode::OK, answer).into())
}

/// Lists the names of a service config's templates.
#[utoipa::path(get, path = "/serviceconfigs/{scid}/sessiontemplates", operation_id = "listTemplates", tag = "templates",
    params(ServiceParts, ContractHeaders),
    responses((status = 200, description = "The names, sorted (T-03)", body = TemplateNames)))]
pub fn templates(call: &Call, scid: &str) -> Answer {
    let service = call.service.directory.catalog().service(&Scid::parse(scid)?, &call.principal)?;
    Ok(reply::json(StatusCode::OK, query::results(service.template_names().into_iter().map(Json::from).collect())).into())
}

/// Reads a template as it was published.
#[utoipa::path(get, path = "/serviceconfigs/{scid}/sessiontemplates/{template}", operation_id = "readTemplate", tag = "templates",
    params(TemplateParts, ContractHeaders),
    responses((status = 200, description = "The template (T-02)", body = Template)))]
pub fn template(call: &Call, scid: &str, name: &str) -> Answer {
    let (scid, name) = (Scid::parse(scid)?, TemplateName::parse(name)?);
    let service = call.service.directory.catalog().service(&scid, &call.principal)?;
    Ok(reply::value(StatusCode::OK, service.template(name.as_str())?.published()).into())
}

/// What the routes of this file say of themselves, one function for each verb of each route; `sessions` and `batch` serve them.
pub mod documented {
    #![expect(dead_code, reason = "only the description reads these functions")]

    use super::super::openapi::params::{ContractHeaders, ServiceParts, SessionQueryParams, TemplateParts};
    use super::super::openapi::shapes::{BatchRequest, SessionResults};

    /// Finds sessions of a service config, by user and keyword.
    #[utoipa::path(get, path = "/serviceconfigs/{scid}/sessions", operation_id = "findSessions", tag = "queries",
        params(ServiceParts, ContractHeaders, SessionQueryParams),
        responses(
            (status = 200, description = "What was found, perhaps nothing (Q-48)", body = SessionResults),
        ))]
    pub fn find_sessions() {}

    /// Finds sessions of a template, by user and keyword.
    #[utoipa::path(get, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions",
        operation_id = "findTemplateSessions", tag = "queries",
        params(TemplateParts, ContractHeaders, SessionQueryParams),
        responses(
            (status = 200, description = "What was found, perhaps nothing (Q-48)", body = SessionResults),
        ))]
    pub fn find_template_sessions() {}

    /// Finds sessions of a service config for many users at once.
    #[utoipa::path(post, path = "/serviceconfigs/{scid}/batch", operation_id = "findSessionsOfUsers", tag = "queries",
        params(ServiceParts, ContractHeaders, SessionQueryParams),
        request_body = BatchRequest,
        responses(
            (status = 200, description = "What was found for each user, one after the other (Q-39)", body = SessionResults),
        ))]
    pub fn find_sessions_of_users() {}

    /// Finds sessions of a template for many users at once.
    #[utoipa::path(post, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/batch",
        operation_id = "findTemplateSessionsOfUsers", tag = "queries",
        params(TemplateParts, ContractHeaders, SessionQueryParams),
        request_body = BatchRequest,
        responses(
            (status = 200, description = "What was found for each user, one after the other (Q-39)", body = SessionResults),
        ))]
    pub fn find_template_sessions_of_users() {}
}
