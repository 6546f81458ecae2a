//! Administration of the social graph: edge by edge, and all edges as JSON lines.

use std::sync::Arc;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::http::{Method, StatusCode};
use actix_web::web;
use futures_util::stream;
use tracing::warn;

use super::audit::{Why, audited};
use super::extract::{body, each_chunk, says_json};
use super::parameters::Parameters;
use super::route::EdgeKind;
use super::{Answer, ApiError, Call, Service, reply};
use crate::directory::{Deed, DirectoryError, ExportKey};
use crate::domain::names::Xuid;
use crate::domain::refusal::Refusal;
use crate::json::{Json, Object};
use crate::store::StoreError;
use crate::wire::request::read_body;
use crate::wire::social::{EdgeReader, read_favorite};

/// The media type of JSON lines.
const LINES: &str = "application/x-ndjson";

/// PUT and DELETE `/admin/social/{xuid}/follows/{other}` and `…/blocks/{other}`
pub async fn edge(mut call: Call<'_>, kind: EdgeKind, xuid: &str, other: &str) -> Answer {
    let (xuid, other) = (Xuid::parse(xuid)?.0, Xuid::parse(other)?.0);
    let put = call.request.method() == Method::PUT;
    let action = match (kind, put) {
        (EdgeKind::Follow, true) => "follow.put",
        (EdgeKind::Follow, false) => "follow.delete",
        (EdgeKind::Block, true) => "block.put",
        (EdgeKind::Block, false) => "block.delete",
    };
    let deed = Why::optional(&call)?.deed(action, format!("{xuid}/{other}")).about([Xuid(xuid), Xuid(other)]);
    let deed = writable(&call, deed).await?;
    let favorite = if put { edge_body(&mut call, kind).await? } else { false };
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
    audited(&call, deed, work).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT).into())
}

/// Edges that come from a source are not written by hand: the source would not know.
async fn writable(call: &Call<'_>, deed: Deed) -> Result<Deed, ApiError> {
    if call.service.social.is_administered() {
        return Ok(deed);
    }
    let why = "edges come from an HTTP endpoint and cannot be written here: change them there";
    audited(call, deed, async move { Err(Refusal::conflict("social.source", why)) }).await
}

/// Reads the optional body `{"favorite": true}` of a follow; a block has none.
async fn edge_body(call: &mut Call<'_>, kind: EdgeKind) -> Result<bool, ApiError> {
    let fields = read_body(&body(call).await?, call.service.rules.json_depth)?;
    let mut favorite = false;
    for (name, value) in &fields {
        match (name.to_string().as_str(), kind) {
            ("favorite", EdgeKind::Follow) => favorite = read_favorite(value)?,
            (name, _) => return Err(Refusal::invalid(name, "this field does not exist").into()),
        }
    }
    Ok(favorite)
}

/// Exports every edge, a line each.
#[utoipa::path(get, path = "/admin/social/edges", operation_id = "exportEdges", tag = "administration",
    responses((status = 200, description = "JSON lines (docs/social.md)", body = String, content_type = "application/x-ndjson")))]
pub async fn export(call: Call<'_>) -> Answer {
    Parameters::read(call.request.query_string(), &[])?;
    let service = call.service.clone();
    // Before the first page is there, failing still has a status of its own.
    let (first, next) = page(&service, ExportKey::FIRST).await?;
    let rest = stream::try_unfold((service, next), |(service, next)| async move {
        let Some(key) = next else { return Ok(None) };
        match page(&service, key).await {
            Ok((lines, next)) => Ok(Some((web::Bytes::from(lines), (service, next)))),
            Err(error) => {
                warn!(%error, "failed to finish an export of the social graph");
                Err(error)
            }
        }
    });
    Ok(reply::stream(LINES, web::Bytes::from(first), rest).into())
}

async fn page(service: &web::Data<Service>, key: ExportKey) -> Result<(String, Option<ExportKey>), StoreError> {
    let directory = Arc::clone(&service.directory);
    service.run(async move { directory.export_edges(key).await }).await
}

/// POST and PUT /admin/social/edges: adds the edges of the body, or makes them the whole graph.
pub async fn import(mut call: Call<'_>) -> Answer {
    let replace = call.request.method() == Method::PUT;
    let deed = Why::optional(&call)?.deed(if replace { "edges.replace" } else { "edges.add" }, "edges");
    let deed = writable(&call, deed).await?;
    let kind = call.request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !says_json(kind) && !says_lines(kind) {
        return Err(ApiError::BadRequest(format!("Content-Type: {LINES} is expected, not {kind}")));
    }
    let mut reader = EdgeReader::new(call.service.rules.json_depth);
    let most = call.service.rules.import_bytes;
    each_chunk(&mut call, most, None, |chunk| Ok(reader.feed(chunk)?)).await?;
    let edges = reader.finish()?;
    let mut counts = Object::with_capacity(2);
    counts.insert("follows".into(), (edges.follows.len() as u64).into());
    counts.insert("blocks".into(), (edges.blocks.len() as u64).into());
    let deed = deed.with(Json::from(counts.clone()).to_string());
    let directory = Arc::clone(&call.service.directory);
    let work = async move {
        if directory.import_edges(&edges, replace).await? {
            return Ok(());
        }
        let why = "another import is under way, and nothing was done: try again when it has ended";
        Err(DirectoryError::from(Refusal::conflict("social.edges", why)))
    };
    audited(&call, deed, work).await?;
    Ok(reply::value(StatusCode::OK, &counts.into()).into())
}

/// Whether a media type is JSON lines, by one of its names.
fn says_lines(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(LINES) || kind.eq_ignore_ascii_case("application/jsonl")
}

/// What the routes of this file say of themselves, one function for each verb of each route; `edge` and `import` serve them.
pub mod documented {
    #![expect(dead_code, reason = "only the description reads these functions")]

    use super::super::openapi::params::{EdgeParts, Reason};
    use super::super::openapi::shapes::{EdgeCounts, FollowRequest};

    /// Lets a user follow another.
    #[utoipa::path(put, path = "/admin/social/{xuid}/follows/{other}", operation_id = "follow", tag = "administration",
        params(EdgeParts, Reason),
        request_body = Option<FollowRequest>,
        responses(
            (status = 204, description = "Done"),
            (status = 409, description = "Edges come from an endpoint and are not written here"),
        ))]
    pub fn follow() {}

    /// Ends that a user follows another.
    #[utoipa::path(delete, path = "/admin/social/{xuid}/follows/{other}", operation_id = "unfollow", tag = "administration",
        params(EdgeParts, Reason),
        responses(
            (status = 204, description = "Done"),
            (status = 409, description = "Edges come from an endpoint and are not written here"),
        ))]
    pub fn unfollow() {}

    /// Lets a user block another.
    #[utoipa::path(put, path = "/admin/social/{xuid}/blocks/{other}", operation_id = "block", tag = "administration",
        params(EdgeParts, Reason),
        responses(
            (status = 204, description = "Done"),
            (status = 409, description = "Edges come from an endpoint and are not written here"),
        ))]
    pub fn block() {}

    /// Ends that a user blocks another.
    #[utoipa::path(delete, path = "/admin/social/{xuid}/blocks/{other}", operation_id = "unblock", tag = "administration",
        params(EdgeParts, Reason),
        responses(
            (status = 204, description = "Done"),
            (status = 409, description = "Edges come from an endpoint and are not written here"),
        ))]
    pub fn unblock() {}

    /// Adds edges.
    #[utoipa::path(post, path = "/admin/social/edges", operation_id = "importEdges", tag = "administration",
        params(Reason),
        request_body(content = String, content_type = "application/x-ndjson", description = "An edge each line (docs/social.md)"),
        responses(
            (status = 200, description = "How many edges were given", body = EdgeCounts),
            (status = 409, description = "Edges come from an endpoint and are not written here, or another import is under way"),
        ))]
    pub fn import_edges() {}

    /// Makes the edges of the body the whole graph.
    #[utoipa::path(put, path = "/admin/social/edges", operation_id = "replaceEdges", tag = "administration",
        params(Reason),
        request_body(content = String, content_type = "application/x-ndjson", description = "An edge each line (docs/social.md)"),
        responses(
            (status = 200, description = "How many edges were given", body = EdgeCounts),
            (status = 409, description = "Edges come from an endpoint and are not written here, or another import is under way"),
        ))]
    pub fn replace_edges() {}
}
