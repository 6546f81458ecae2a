//! Bans: users who are refused everything.

use std::sync::Arc;

use actix_web::http::StatusCode;

use super::super::audit::{Why, audited};
use super::super::extract::body;
use super::super::openapi::administration::{Ban, BanList, BanRequest};
use super::super::openapi::params::{BanPart, NeededReason, PageParams};
use super::super::parameters::{Parameters, read_instant};
use super::super::{Answer, ApiError, Call, reply};
use super::page;
use crate::directory::{DirectoryError, actor};
use crate::domain::instant::render_instant;
use crate::domain::names::Xuid;
use crate::domain::refusal::{Kind, Refusal};
use crate::json::{Json, Object};
use crate::store::{BanPut, BanRow};
use crate::wire::request::read_body;

/// What is said of users who are not on the list; the settings may ban them all the same.
const NOT_BANNED: &str = "the user is not banned by an administrator";

/// Lists who is banned, page by page.
///
/// Those whose ban has expired are listed, too; users in `access.banned_xuids` of the settings are not.
#[utoipa::path(get, path = "/admin/bans", operation_id = "listBans", tag = "administration",
    params(PageParams),
    responses((status = 200, description = "A page of bans, by xuid", body = BanList)))]
pub async fn list(call: Call<'_>) -> Answer {
    let given = Parameters::read(call.request.query_string(), &["take", "continuationToken"])?;
    let after = given.continuation(|token| Xuid::parse(token).ok())?.map(|xuid| xuid.0);
    let take = given.take()?;
    let directory = Arc::clone(&call.service.directory);
    let found = call.service.run(async move { directory.store().list_bans(after, take).await }).await?;
    let next = found.next.map(|xuid| xuid.to_string());
    Ok(reply::value(StatusCode::OK, &page(found.items.iter().map(|ban| render(ban).into()), next)).into())
}

/// Reads the ban of a user, one that has expired, too.
#[utoipa::path(get, path = "/admin/bans/{xuid}", operation_id = "readBan", tag = "administration",
    params(BanPart),
    responses(
        (status = 200, description = "The ban, and whether it has expired", body = Ban),
        (status = 404, description = "The user is not banned by an administrator"),
    ))]
pub async fn read(call: Call<'_>, xuid: &str) -> Answer {
    let xuid = Xuid::parse(xuid)?;
    Parameters::read(call.request.query_string(), &[])?;
    let (directory, now) = (Arc::clone(&call.service.directory), call.service.clock.real());
    let found = call.service.run(async move { directory.store().find_ban(xuid.0).await }).await?;
    let ban = found.ok_or_else(|| Refusal::new(Kind::Missing, NOT_BANNED))?;
    let mut fields = render(&ban);
    fields.insert("expired".into(), ban.expires_at.is_some_and(|until| until <= now).into());
    Ok(reply::value(StatusCode::OK, &fields.into()).into())
}

fn render(ban: &BanRow) -> Object {
    let mut fields = Object::with_capacity(5);
    fields.insert("xuid".into(), ban.xuid.to_string().into());
    fields.insert("reason".into(), ban.reason.as_str().into());
    for (name, value) in [
        ("expiresAt", ban.expires_at.map(render_instant)),
        ("createdAt", ban.created_at.map(render_instant)),
        ("createdBy", ban.created_by.clone()),
    ] {
        if let Some(value) = value {
            fields.insert(name.into(), value.into());
        }
    }
    fields
}

/// Bans a user.
///
/// The user is answered 403 on every route from now on, open sockets and feeds are closed; sessions are not touched.
#[utoipa::path(put, path = "/admin/bans/{xuid}", operation_id = "banUser", tag = "administration",
    params(BanPart),
    request_body = BanRequest,
    responses(
        (status = 200, description = "Banned; this ban replaces another", body = Ban),
        (status = 201, description = "Banned", body = Ban),
        (status = 409, description = "As many users are banned as can be"),
    ))]
pub async fn put(mut call: Call<'_>, xuid: &str) -> Answer {
    let xuid = Xuid::parse(xuid)?;
    Parameters::read(call.request.query_string(), &[])?;
    let (mut reason, mut expires_at) = (None, None);
    for (name, value) in &read_body(&body(&mut call).await?, call.service.rules.json_depth)? {
        match (name.to_string().as_str(), value) {
            ("expiresAt", Json::Null) => {}
            ("reason", value) => reason = Some(value.as_str().map(std::borrow::Cow::into_owned).unwrap_or_default()),
            ("expiresAt", value) => expires_at = Some(read_end(&call, value)?),
            (name, _) => return Err(Refusal::invalid(name, "this field does not exist: a ban has reason and expiresAt").into()),
        }
    }
    let why = Why::given(&reason.ok_or_else(|| Refusal::invalid("reason", "is missing: say why"))?)?;
    let deed = why.deed("ban.put", xuid.to_string()).about([xuid]);
    let deed = match expires_at {
        Some(until) => deed.with(format!("expiresAt: {}", render_instant(until))),
        None => deed,
    };
    let ban = BanRow {
        xuid: xuid.0,
        reason: deed.reason.clone().unwrap_or_default(),
        expires_at,
        created_at: Some(call.service.clock.real()),
        created_by: Some(actor(&call.principal)),
    };
    let shown = render(&ban);
    let (directory, hub) = (Arc::clone(&call.service.directory), Arc::clone(&call.service.hub));
    let work = async move {
        let put = directory.ban(&ban).await?;
        hub.send_away(&directory);
        if put == BanPut::NoRoom {
            return Err(DirectoryError::from(Refusal::conflict(
                "bans",
                "as many users are banned as can be: end other bans first",
            )));
        }
        Ok(put)
    };
    let put = audited(&call, deed, work).await?;
    let status = if matches!(put, BanPut::Created(_)) { StatusCode::CREATED } else { StatusCode::OK };
    Ok(reply::value(status, &shown.into()).into())
}

fn read_end(call: &Call, value: &Json) -> Result<chrono::DateTime<chrono::Utc>, ApiError> {
    let at = value.as_str().and_then(|text| read_instant(&text));
    let at = at.ok_or_else(|| Refusal::invalid("expiresAt", "an instant like 2031-04-05T18:00:00Z is expected"))?;
    if at <= call.service.clock.real() {
        return Err(Refusal::invalid("expiresAt", "lies in the past").into());
    }
    Ok(at)
}

/// Ends a ban.
#[utoipa::path(delete, path = "/admin/bans/{xuid}", operation_id = "unbanUser", tag = "administration",
    params(BanPart, NeededReason),
    responses(
        (status = 204, description = "Done"),
        (status = 404, description = "The user is not banned by an administrator"),
    ))]
pub async fn delete(call: Call<'_>, xuid: &str) -> Answer {
    let xuid = Xuid::parse(xuid)?;
    let deed = Why::needed(&call)?.deed("ban.delete", xuid.to_string()).about([xuid]);
    let directory = Arc::clone(&call.service.directory);
    let work = async move {
        if directory.unban(xuid).await? {
            return Ok(());
        }
        Err(DirectoryError::from(Refusal::new(Kind::Missing, NOT_BANNED)))
    };
    audited(&call, deed, work).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT).into())
}
