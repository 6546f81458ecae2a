//! Sessions as administrators see and end them.

use std::sync::Arc;

use actix_web::http::StatusCode;
use chrono::DateTime;
use uuid::Uuid;

use super::super::audit::{Why, audited};
use super::super::openapi::administration::{InspectedSession, SessionList};
use super::super::openapi::params::{IndexPart, NeededReason, PageParams, SessionFilters, SessionParts, WithMembers};
use super::super::parameters::Parameters;
use super::super::route::SessionPath;
use super::super::{Answer, ApiError, Call, reply};
use super::page;
use crate::domain::instant::render_instant;
use crate::domain::limits::MAX_KEYWORD;
use crate::domain::names::{MemberIndex, Scid, SessionName, SessionReference, TemplateName, Xuid};
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::session::Visibility;
use crate::json::{Json, Object};
use crate::store::rows::ReferenceRow;
use crate::store::{ListedSession, SessionKey, SessionsAsk, projection};

/// The longest beginning of a name that is asked for.
const NAME_MAX: usize = 100;

/// Lists sessions of all service configs, page by page.
///
/// Parameters may be combined. A page is bounded in what it looks at, so it may hold fewer than `take` and still have a token.
#[utoipa::path(get, path = "/admin/sessions", operation_id = "listSessions", tag = "administration",
    params(SessionFilters, PageParams),
    responses((status = 200, description = "A page of sessions", body = SessionList)))]
pub async fn list(call: Call<'_>) -> Answer {
    let ask = read_ask(call.request.query_string())?;
    let directory = Arc::clone(&call.service.directory);
    let found = call.service.run(async move { directory.store().list_sessions(&ask).await }).await?;
    let next = found.next.as_ref().map(write_key);
    Ok(reply::value(StatusCode::OK, &page(found.items.iter().map(listed), next)).into())
}

/// Reads the parameters of the list.
fn read_ask(query: &str) -> Result<SessionsAsk, Refusal> {
    let known = &[
        "scid",
        "template",
        "name",
        "xuid",
        "keyword",
        "visibility",
        "closed",
        "large",
        "empty",
        "updatedSince",
        "take",
        "continuationToken",
    ];
    let given = Parameters::read(query, known)?;
    let visibility = |word: &str| {
        let all = [Visibility::Open, Visibility::Visible, Visibility::Private];
        all.into_iter().find(|visibility| visibility.as_str().eq_ignore_ascii_case(word)).map(projection::visibility_code)
    };
    let beginning = |text: &str| {
        let fits = (1..=NAME_MAX).contains(&text.chars().count()) && !text.contains('\0');
        fits.then(|| text.to_ascii_lowercase())
    };
    let keyword = |text: &str| {
        let fits = (1..=MAX_KEYWORD).contains(&text.chars().count()) && !text.contains('\0');
        fits.then(|| text.to_lowercase())
    };
    let mut ask = SessionsAsk {
        after: None,
        xuid: given.xuid()?.map(|xuid| xuid.0),
        keyword: given.parsed("keyword", "a keyword of 1 to 64 characters other than NUL", keyword)?,
        scid: given.scid()?.map(|scid| scid.id()),
        template_key: given
            .parsed("template", "the name of a template", |text| TemplateName::parse(text).ok())?
            .map(|name| name.key()),
        name_prefix: given.parsed("name", "the beginning of a name, 1 to 100 characters,", beginning)?,
        visibility: given.parsed("visibility", "open, visible or private", visibility)?,
        closed: given.flag("closed")?,
        large: given.flag("large")?,
        empty: given.flag("empty")?,
        updated_since: given.instant("updatedSince")?,
        take: given.take()?,
    };
    let by_keyword = ask.keyword.is_some() && ask.xuid.is_none();
    ask.after = given.continuation(|token| read_key(token, by_keyword))?;
    Ok(ask)
}

fn write_key(key: &SessionKey) -> String {
    match key {
        SessionKey::Sid(sid) => sid.to_string(),
        SessionKey::Keyword { scid, start_time, name, sid } => format!("{scid}~{}~{name}~{sid}", start_time.timestamp_micros()),
    }
}

/// Reads a key of the kind that the question is answered with.
fn read_key(token: &str, by_keyword: bool) -> Option<SessionKey> {
    if !by_keyword {
        return Uuid::parse_str(token).ok().map(SessionKey::Sid);
    }
    let parts: Vec<&str> = token.split('~').collect();
    let [service, micros, name, session] = parts.as_slice() else { return None };
    Some(SessionKey::Keyword {
        scid: Uuid::parse_str(service).ok()?,
        start_time: DateTime::from_timestamp_micros(micros.parse().ok()?)?,
        name: SessionName::parse(name).ok()?.as_str().to_owned(),
        sid: Uuid::parse_str(session).ok()?,
    })
}

/// A session's reference as lists show it.
pub fn reference(row: &ReferenceRow) -> Json {
    let mut fields = Object::with_capacity(3);
    fields.insert("scid".into(), row.scid_spelling.clone().unwrap_or_else(|| row.scid.to_string()).into());
    fields.insert("templateName".into(), row.template.as_str().into());
    fields.insert("name".into(), row.name.as_str().into());
    fields.into()
}

fn listed(session: &ListedSession) -> Json {
    let number = |number: i32| Json::from(number.cast_unsigned());
    let mut fields = Object::with_capacity(16);
    fields.insert("sessionRef".into(), reference(&session.reference));
    fields.insert("correlationId".into(), session.reference.sid.to_string().into());
    fields.insert("branch".into(), session.branch.to_string().into());
    fields.insert("changeNumber".into(), session.change_number.cast_unsigned().into());
    fields.insert("startTime".into(), render_instant(session.start_time).into());
    if let Some(next) = session.next_timer_at {
        fields.insert("nextTimer".into(), render_instant(next).into());
    }
    fields.insert("visibility".into(), projection::visibility_of(session.visibility).as_str().into());
    fields.insert("joinRestriction".into(), projection::restriction_of(session.join_restriction).as_str().into());
    fields.insert("readRestriction".into(), projection::restriction_of(session.read_restriction).as_str().into());
    fields.insert("closed".into(), session.closed.into());
    fields.insert("large".into(), session.large.into());
    fields.insert("membersCount".into(), number(session.member_count));
    fields.insert("acceptedCount".into(), number(session.accepted_count));
    fields.insert("maxMembersCount".into(), number(session.max_members));
    fields.insert("keywords".into(), session.keywords.iter().map(String::as_str).collect());
    fields.insert("bodyBytes".into(), number(session.body_bytes));
    fields.into()
}

/// Reads a session's path; whether its service config and template are served matters to nobody here.
fn named(path: &SessionPath) -> Result<SessionReference, ApiError> {
    Ok(SessionReference {
        scid: Scid::parse(&path.scid)?,
        template: TemplateName::parse(&path.template)?,
        name: SessionName::parse(&path.name)?,
    })
}

/// How the audit names a session, however it was typed, and the user of one of its members.
async fn spelled(
    call: &Call<'_>,
    reference: &SessionReference,
    member: Option<MemberIndex>,
) -> Result<(String, Option<Xuid>), ApiError> {
    let (directory, reference) = (Arc::clone(&call.service.directory), reference.clone());
    Ok(call.service.run(async move { directory.spelled(&reference, member).await }).await?)
}

/// Reads a session with all there is to see of it, whatever its visibility.
///
/// Of a large session all members are shown, or with `members=false` none. Timers that are due are evaluated before. A session whose
/// stored texts cannot be read is shown as it is stored.
#[utoipa::path(get, path = "/admin/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}",
    operation_id = "inspectSession", tag = "administration",
    params(SessionParts, WithMembers),
    responses(
        (status = 200, description = "The session, and what only the service knows of it", body = InspectedSession),
        (status = 404, description = "The session does not exist"),
    ))]
pub async fn read(call: Call<'_>, path: &SessionPath) -> Answer {
    let reference = named(path)?;
    let with_crowd = Parameters::read(call.request.query_string(), &["members"])?.flag("members")?.unwrap_or(true);
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    let found = call.service.run(async move { directory.inspect(reference.sid(), &principal, with_crowd).await }).await?;
    let text = found.ok_or_else(|| Refusal::new(Kind::Missing, "the session does not exist"))?;
    Ok(reply::json(StatusCode::OK, text).into())
}

/// Ends a session.
#[utoipa::path(delete, path = "/admin/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}",
    operation_id = "closeSession", tag = "administration",
    params(SessionParts, NeededReason),
    responses(
        (status = 204, description = "It has ended, for others as any session does (W-62)"),
        (status = 404, description = "The session does not exist"),
    ))]
pub async fn close(call: Call<'_>, path: &SessionPath) -> Answer {
    let reference = named(path)?;
    let why = Why::needed(&call)?;
    let (target, _) = spelled(&call, &reference, None).await?;
    let deed = why.deed("session.close", target);
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    audited(&call, deed, async move { directory.close_session(reference, &principal).await }).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT).into())
}

/// Takes a member out of a session.
///
/// Who may remove whom does not matter, and it works in large sessions, too. The user may join again.
#[utoipa::path(delete, path = "/admin/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/members/{index}",
    operation_id = "removeMember", tag = "administration",
    params(SessionParts, IndexPart, NeededReason),
    responses(
        (status = 204, description = "Done"),
        (status = 404, description = "The session does not exist, or has no such member"),
    ))]
pub async fn remove_member(call: Call<'_>, path: &SessionPath, index: &str) -> Answer {
    let reference = named(path)?;
    if index.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ApiError::NotFound("a member is named by its index, an unsigned integer".to_owned()));
    }
    // A number beyond all indices names nobody, but it is a number.
    let index: MemberIndex = index.parse().unwrap_or(MemberIndex::MAX);
    let why = Why::needed(&call)?;
    let (target, xuid) = spelled(&call, &reference, Some(index)).await?;
    let who = xuid.map(|xuid| format!(", xuid {xuid}")).unwrap_or_default();
    let deed = why.deed("member.remove", target).with(format!("member {index}{who}")).about(xuid);
    let (directory, principal) = (Arc::clone(&call.service.directory), Arc::clone(&call.principal));
    audited(&call, deed, async move { directory.remove_member(reference, index, &principal).await }).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT).into())
}
