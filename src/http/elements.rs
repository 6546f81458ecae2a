//! The routes of a session's elements: properties, constants, one member, one server.

use actix_web::http::StatusCode;
use actix_web::web::Bytes;

use super::extract::body;
use super::route::{Part, SessionPath};
use super::sessions::{has, locate, submit};
use super::{Answer, ApiError, Call, reply};
use crate::domain::access::Pass;
use crate::domain::command::{Delta, MemberKey, Target};
use crate::domain::names::{MemberIndex, is_name};
use crate::domain::principal::Principal;
use crate::domain::refusal::{Kind, Refusal};
use crate::wire::element::Element;
use crate::wire::request;

/// A part of a path, found well-formed.
enum Address<'a> {
    Constants,
    Properties,
    Member(MemberKey),
    Server(&'a str),
}

impl<'a> Address<'a> {
    fn parse(part: &'a Part) -> Result<Self, ApiError> {
        let unknown = |what: &str| Err(ApiError::NotFound(format!("the session has no such element: {what}")));
        match part {
            Part::Constants => Ok(Self::Constants),
            Part::Properties => Ok(Self::Properties),
            Part::Member(key) if key.eq_ignore_ascii_case("me") => Ok(Self::Member(MemberKey::Me)),
            // A number beyond all indices names nobody, but it is a number.
            Part::Member(key) if !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(Self::Member(MemberKey::Index(key.parse().unwrap_or(MemberIndex::MAX))))
            }
            Part::Member(_) => unknown("a member is me or an unsigned integer"),
            Part::Server(name) if is_name(name) => Ok(Self::Server(name)),
            Part::Server(_) => unknown("a server's name is 1 to 100 characters of A-Z a-z 0-9 - _ . ( )"),
        }
    }

    /// The element, for one who asks.
    fn element(&self, principal: &Principal) -> Result<Element<'a>, ApiError> {
        Ok(match self {
            Self::Constants => Element::Constants,
            Self::Properties => Element::Properties,
            Self::Member(MemberKey::Index(index)) => Element::Member(*index),
            Self::Member(_) => match principal.users() {
                [user] => Element::MemberOf(user.xuid),
                [] => return Err(Refusal::forbidden("members/me needs a user: a server is no member").into()),
                _ => return Err(Refusal::invalid("members/me", "the server acts for several users").into()),
            },
            Self::Server(name) => Element::Server(name),
        })
    }

    /// What writing `bytes` there means for the session.
    fn delta(&self, bytes: &Bytes, depth: usize) -> Result<Delta, Refusal> {
        match self {
            Self::Constants => unreachable!("the route of constants has no PUT"),
            Self::Properties => request::read_properties(bytes, depth),
            Self::Member(key) => request::read_member(*key, bytes, depth),
            Self::Server(name) => request::read_server(name, bytes, depth),
        }
    }

    /// What taking it away means for the session.
    fn removal(&self) -> Delta {
        match self {
            Self::Constants | Self::Properties => unreachable!("these routes have no DELETE"),
            Self::Member(MemberKey::Index(index)) => request::removing(*index),
            Self::Member(_) => request::leaving(),
            Self::Server(name) => request::removing_server(name),
        }
    }
}

/// GET {S}/properties, {S}/constants, {S}/members/{index|me}, {S}/servers/{name}
pub async fn read(call: Call<'_>, path: &SessionPath, part: &Part) -> Answer {
    let address = Address::parse(part)?;
    let (reference, _) = locate(&call, path)?;
    let found = call.service.directory.read_by(call.reader, &reference, &call.principal).await?;
    let document = found.ok_or_else(|| Refusal::new(Kind::Missing, "the session does not exist"))?;
    let element = address.element(&call.principal)?.rendered(&document.body, call.minor);
    let Some(text) = element.map_err(|error| ApiError::Corrupt(document.location, error))? else {
        return Ok(reply::empty(StatusCode::NO_CONTENT).into());
    };
    let answer = if has(&call, document.etag) { reply::not_modified(document.etag) } else { reply::element(document.etag, text) };
    Ok(answer.into())
}

/// PUT {S}/properties, {S}/members/{index|me}, {S}/servers/{name}
pub async fn write(mut call: Call<'_>, path: &SessionPath, part: &Part) -> Answer {
    let address = Address::parse(part)?;
    let (reference, template) = locate(&call, path)?;
    let body = body(&mut call).await?;
    let delta = address.delta(&body, call.service.rules.json_depth)?;
    let written = submit(&call, reference, template, delta, (Target::Element, Pass::Nothing)).await?;
    let gone = match (&address, &written.document) {
        (Address::Member(MemberKey::Index(_)), _) => written.lacks_named,
        (Address::Member(_) | Address::Server(_), Some(document)) => {
            let stays = address.element(&call.principal)?.is_in(&document.body);
            !stays.map_err(|error| ApiError::Corrupt(document.location.clone(), error))?
        }
        _ => false,
    };
    if gone { Ok(reply::empty(StatusCode::NO_CONTENT).into()) } else { Ok(reply::written(written)) }
}

/// DELETE {S}/members/me, {S}/members/{index}, {S}/servers/{name}; a body is ignored.
pub async fn delete(call: Call<'_>, path: &SessionPath, part: &Part) -> Answer {
    let address = Address::parse(part)?;
    let (reference, template) = locate(&call, path)?;
    submit(&call, reference, template, address.removal(), (Target::Element, Pass::Nothing)).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT).into())
}

/// What the routes of this file say of themselves, one function for each verb of each route; `read`, `write` and `delete` serve them.
pub mod documented {
    #![expect(dead_code, reason = "only the description reads these functions")]

    use super::super::openapi::params::{
        ContractHeaders, MemberPart, Nocommit, ReadCondition, ServerPart, SessionParts, WriteConditions,
    };
    use super::super::openapi::session::{Constants, Member, Properties, ServerEntry, Session};

    /// Reads the constants of a session.
    #[utoipa::path(get, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/constants",
        operation_id = "readConstants", tag = "elements",
        params(SessionParts, ContractHeaders, ReadCondition),
        responses(
            (status = 200, description = "The element", body = Constants),
            (status = 204, description = "The session has no such element"),
            (status = 304, description = "The caller has the present state (W-44)"),
            (status = 404,
                description = "The service config, the template or the session is unknown, or the lookup invalid (R-15, R-26)"),
        ))]
    pub fn read_constants() {}

    /// Reads the properties of a session.
    #[utoipa::path(get, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/properties",
        operation_id = "readProperties", tag = "elements",
        params(SessionParts, ContractHeaders, ReadCondition),
        responses(
            (status = 200, description = "The element", body = Properties),
            (status = 204, description = "The session has no such element"),
            (status = 304, description = "The caller has the present state (W-44)"),
            (status = 404,
                description = "The service config, the template or the session is unknown, or the lookup invalid (R-15, R-26)"),
        ))]
    pub fn read_properties() {}

    /// Writes the properties of a session and nothing else.
    #[utoipa::path(put, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/properties",
        operation_id = "writeProperties", tag = "elements",
        params(SessionParts, ContractHeaders, WriteConditions, Nocommit),
        request_body = Properties,
        responses(
            (status = 200, description = "The whole session", body = Session),
            (status = 204, description = "The element, or the session, is not there afterwards"),
            (status = 404,
                description = "The service config, the template or the session is unknown, or the lookup invalid (R-15, R-26)"),
            (status = 409, description = "In conflict with the session's constants or state (E-14)"),
            (status = 412, description = "A precondition does not hold (W-40)"),
        ))]
    pub fn write_properties() {}

    /// Reads a member.
    #[utoipa::path(get, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/members/{member}",
        operation_id = "readMember", tag = "elements",
        params(SessionParts, MemberPart, ContractHeaders, ReadCondition),
        responses(
            (status = 200, description = "The element", body = Member),
            (status = 204, description = "The session has no such element"),
            (status = 304, description = "The caller has the present state (W-44)"),
            (status = 404,
                description = "The service config, the template or the session is unknown, or the lookup invalid (R-15, R-26)"),
        ))]
    pub fn read_member() {}

    /// Writes a member, or joins.
    #[utoipa::path(put, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/members/{member}",
        operation_id = "writeMember", tag = "elements",
        params(SessionParts, MemberPart, ContractHeaders, WriteConditions, Nocommit),
        request_body = Member,
        responses(
            (status = 200, description = "The whole session", body = Session),
            (status = 204, description = "The element, or the session, is not there afterwards"),
            (status = 404,
                description = "The service config, the template or the session is unknown, or the lookup invalid (R-15, R-26)"),
            (status = 409, description = "In conflict with the session's constants or state (E-14)"),
            (status = 412, description = "A precondition does not hold (W-40)"),
        ))]
    pub fn write_member() {}

    /// Leaves a session, or removes another member.
    #[utoipa::path(delete, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/members/{member}",
        operation_id = "deleteMember", tag = "elements",
        params(SessionParts, MemberPart, ContractHeaders, WriteConditions, Nocommit),
        responses(
            (status = 204, description = "The element is not there any more, or was not"),
            (status = 404,
                description = "The service config, the template or the session is unknown, or the lookup invalid (R-15, R-26)"),
            (status = 409, description = "In conflict with the session's constants or state (E-14)"),
            (status = 412, description = "A precondition does not hold (W-40)"),
        ))]
    pub fn delete_member() {}

    /// Reads what a server put into a session.
    #[utoipa::path(get, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/servers/{server}",
        operation_id = "readServer", tag = "elements",
        params(SessionParts, ServerPart, ContractHeaders, ReadCondition),
        responses(
            (status = 200, description = "The element", body = ServerEntry),
            (status = 204, description = "The session has no such element"),
            (status = 304, description = "The caller has the present state (W-44)"),
            (status = 404,
                description = "The service config, the template or the session is unknown, or the lookup invalid (R-15, R-26)"),
        ))]
    pub fn read_server() {}

    /// Puts something of a server into a session; for servers only (S-90).
    #[utoipa::path(put, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/servers/{server}",
        operation_id = "writeServer", tag = "elements",
        params(SessionParts, ServerPart, ContractHeaders, WriteConditions, Nocommit),
        request_body = ServerEntry,
        responses(
            (status = 200, description = "The whole session", body = Session),
            (status = 204, description = "The element, or the session, is not there afterwards"),
            (status = 404,
                description = "The service config, the template or the session is unknown, or the lookup invalid (R-15, R-26)"),
            (status = 409, description = "In conflict with the session's constants or state (E-14)"),
            (status = 412, description = "A precondition does not hold (W-40)"),
        ))]
    pub fn write_server() {}

    /// Takes away what a server put into a session; for servers only.
    #[utoipa::path(delete, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/servers/{server}",
        operation_id = "deleteServer", tag = "elements",
        params(SessionParts, ServerPart, ContractHeaders, WriteConditions, Nocommit),
        responses(
            (status = 204, description = "The element is not there any more, or was not"),
            (status = 404,
                description = "The service config, the template or the session is unknown, or the lookup invalid (R-15, R-26)"),
            (status = 409, description = "In conflict with the session's constants or state (E-14)"),
            (status = 412, description = "A precondition does not hold (W-40)"),
        ))]
    pub fn delete_server() {}
}
