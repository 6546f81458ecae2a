//! What administrators do is written down: before it is done, and what came of it afterwards.

use std::sync::Arc;

use actix_web::http::StatusCode;
use chrono::DateTime;
use tracing::error;
use uuid::Uuid;

use super::openapi::administration::AuditList;
use super::openapi::params::{AuditFilters, PageParams};
use super::parameters::Parameters;
use super::{Answer, ApiError, Call, reply};
use crate::directory::{Deed, Unaudited};
use crate::domain::instant::render_instant;
use crate::domain::refusal::Refusal;
use crate::json::{Json, Object};
use crate::store::{AuditAsk, AuditKey, AuditRow};

/// The longest reason, in characters.
const REASON_MAX: usize = 500;

/// Why an administrator does something.
pub struct Why(Option<String>);

impl Why {
    /// From `?reason=`, which may be left out, and is the only parameter.
    pub fn optional(call: &Call) -> Result<Self, Refusal> {
        Self::among(&Parameters::read(call.request.query_string(), &["reason"])?)
    }

    /// From `reason` among other parameters, where it may be left out.
    pub fn among(parameters: &Parameters) -> Result<Self, Refusal> {
        Ok(Self(parameters.get("reason").map(checked).transpose()?))
    }

    /// From `?reason=`, which must be given, and is the only parameter.
    pub fn needed(call: &Call) -> Result<Self, Refusal> {
        let parameters = Parameters::read(call.request.query_string(), &["reason"])?;
        let reason = parameters.get("reason").ok_or_else(|| Refusal::invalid("reason", "?reason= is missing: say why"))?;
        Ok(Self(Some(checked(reason)?)))
    }

    /// A reason that was given elsewhere.
    pub fn given(reason: &str) -> Result<Self, Refusal> {
        Ok(Self(Some(checked(reason)?)))
    }

    /// An action for this reason.
    pub fn deed(self, action: &'static str, target: impl Into<String>) -> Deed {
        Deed { action, target: target.into(), reason: self.0, detail: None, xuids: Vec::new() }
    }
}

fn checked(reason: &str) -> Result<String, Refusal> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_MAX || reason.contains('\0') {
        return Err(Refusal::invalid("reason", format!("1 to {REASON_MAX} characters other than NUL are expected")));
    }
    Ok(reason.to_owned())
}

/// Writes down a deed, does it, and writes down what came of it, all of that even if the caller goes away meanwhile.
pub fn audited<'c, T, E>(
    call: &'c Call<'c>,
    deed: Deed,
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> impl Future<Output = Result<T, ApiError>> + 'c
where
    T: Send + 'static,
    E: std::fmt::Display + Send + 'static,
    ApiError: From<E>,
{
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    // Boxed: every request has room for the largest of all answers.
    let work = Box::pin(work);
    let work = Box::pin(async move { directory.audited(&principal, deed, work).await });
    async move {
        call.service.run(work).await.map_err(|error| match error {
            Unaudited::Deed(error) => error.into(),
            Unaudited::Audit(error) => {
                error!(%error, "failed to write down what an administrator is about to do: it is not done");
                ApiError::Crowded("nothing was done, because it cannot be written down just now: try again in a moment")
            }
        })
    }
}

/// Lists what administrators did, newest first, page by page.
#[utoipa::path(get, path = "/admin/audit", operation_id = "listAudit", tag = "administration",
    params(AuditFilters, PageParams),
    responses((status = 200, description = "A page of the audit", body = AuditList)))]
pub async fn list(call: Call<'_>) -> Answer {
    let known = &["actor", "action", "target", "xuid", "since", "take", "continuationToken"];
    let parameters = Parameters::read(call.request.query_string(), known)?;
    let ask = AuditAsk {
        after: parameters.continuation(read_key)?,
        target: parameters.text("target")?,
        xuid: parameters.xuid()?,
        since: parameters.instant("since")?,
        actor: parameters.text("actor")?,
        action: parameters.text("action")?,
        take: parameters.take()?,
    };
    let directory = Arc::clone(&call.service.directory);
    let page = call.service.run(async move { directory.store().list_audit(&ask).await }).await?;
    let next = page.next.map(|AuditKey { at, id }| format!("{}~{id}", at.timestamp_micros()));
    Ok(reply::value(StatusCode::OK, &super::admin::page(page.items.iter().map(action), next)).into())
}

fn read_key(token: &str) -> Option<AuditKey> {
    let (at, id) = token.split_once('~')?;
    Some(AuditKey { at: DateTime::from_timestamp_micros(at.parse().ok()?)?, id: Uuid::parse_str(id).ok()? })
}

fn action(row: &AuditRow) -> Json {
    let mut fields = Object::new();
    fields.insert("id".into(), row.id.to_string().into());
    fields.insert("at".into(), render_instant(row.at).into());
    fields.insert("actor".into(), row.actor.as_str().into());
    fields.insert("action".into(), row.action.as_str().into());
    for (name, value) in [("target", &row.target), ("reason", &row.reason), ("outcome", &row.outcome), ("detail", &row.detail)] {
        if let Some(value) = value {
            fields.insert(name.into(), value.as_str().into());
        }
    }
    if !row.xuids.is_empty() {
        fields.insert("xuids".into(), row.xuids.iter().map(|xuid| Json::from(xuid.to_string())).collect());
    }
    fields.into()
}
