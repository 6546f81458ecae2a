//! Handles of all types, as administrators see them.

use std::sync::Arc;

use actix_web::http::StatusCode;
use uuid::Uuid;

use super::super::openapi::administration::HandleList;
use super::super::openapi::params::{HandleFilters, PageParams};
use super::super::parameters::Parameters;
use super::super::{Answer, Call, reply};
use super::page;
use super::sessions::reference;
use crate::domain::instant::render_instant;
use crate::json::{Json, Object};
use crate::store::rows::handle_code;
use crate::store::{HandlesAsk, ListedHandle};

/// The types by their codes.
const TYPES: [(i16, &str); 4] = [
    (handle_code::ACTIVITY, "activity"),
    (handle_code::INVITE, "invite"),
    (handle_code::SEARCH, "search"),
    (handle_code::TRANSFER, "transfer"),
];

/// Lists handles of all types and service configs, page by page.
///
/// Those that have expired and are not removed yet are listed, too.
#[utoipa::path(get, path = "/admin/handles", operation_id = "listHandles", tag = "administration",
    params(HandleFilters, PageParams),
    responses((status = 200, description = "A page of handles, by id", body = HandleList)))]
pub async fn list(call: Call<'_>) -> Answer {
    let given = Parameters::read(call.request.query_string(), &["type", "xuid", "scid", "take", "continuationToken"])?;
    let kind = |word: &str| TYPES.into_iter().find(|(_, name)| name.eq_ignore_ascii_case(word)).map(|(code, _)| code);
    let ask = HandlesAsk {
        after: given.continuation(|token| Uuid::parse_str(token).ok())?,
        xuid: given.xuid()?.map(|xuid| xuid.0),
        scid: given.scid()?.map(|scid| scid.id()),
        kind: given.parsed("type", "activity, invite, search or transfer", kind)?,
        take: given.take()?,
    };
    let directory = Arc::clone(&call.service.directory);
    let found = call.service.run(async move { directory.store().list_handles(&ask).await }).await?;
    let next = found.next.map(|id| id.to_string());
    Ok(reply::value(StatusCode::OK, &page(found.items.iter().map(listed), next)).into())
}

fn listed(listed: &ListedHandle) -> Json {
    let handle = &listed.handle;
    let mut fields = Object::with_capacity(10);
    fields.insert("id".into(), handle.id.to_string().into());
    let kind = TYPES.into_iter().find(|(code, _)| *code == handle.kind).map_or("unknown", |(_, name)| name);
    fields.insert("type".into(), kind.into());
    fields.insert("sessionRef".into(), reference(&handle.reference));
    fields.insert("sessionExists".into(), listed.bound.into());
    for (name, value) in [
        ("ownerXuid", handle.owner.map(|xuid| xuid.to_string())),
        ("titleId", handle.title_id.map(|title| title.to_string())),
        ("invitedXuid", handle.invited.map(|xuid| xuid.to_string())),
        ("createTime", Some(render_instant(handle.created_at))),
        ("expiresAt", handle.expires_at.map(render_instant)),
    ] {
        if let Some(value) = value {
            fields.insert(name.into(), value.into());
        }
    }
    fields.into()
}
