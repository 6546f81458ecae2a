//! Session queries and the template routes (routes.md, Query routes, Template routes).

use std::sync::Arc;

use actix_web::http::StatusCode;

use super::extract::body;
use super::{Answer, ApiError, Call, reply};
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
    let found = call.service.run(async move { directory.query(&query, &principal).await }).await?;
    let results = found.iter().map(|found| query::result(&found.candidate, found.xuid)).collect();
    Ok(reply::json(StatusCode::OK, query::results(results)).into())
}

/// GET …/sessiontemplates
pub fn templates(call: &Call, scid: &str) -> Answer {
    let service = call.service.directory.catalog().service(&Scid::parse(scid)?, &call.principal)?;
    Ok(reply::json(StatusCode::OK, query::results(service.template_names().into_iter().map(Json::from).collect())).into())
}

/// GET …/sessiontemplates/{template}
pub fn template(call: &Call, scid: &str, name: &str) -> Answer {
    let (scid, name) = (Scid::parse(scid)?, TemplateName::parse(name)?);
    let service = call.service.directory.catalog().service(&scid, &call.principal)?;
    Ok(reply::value(StatusCode::OK, service.template(name.as_str())?.published()).into())
}
