//! Handles on the wire: requests, documents and queries (handles.md).

use super::query::session_ref;
use super::request::read_body;
use crate::domain::handle::{ActivityQuery, Handle, HandleType, Include, Owners};
use crate::domain::limits;
use crate::domain::names::{MemberIndex, Scid, SessionName, TemplateName, Xuid};
use crate::domain::query::Reported;
use crate::domain::refusal::Refusal;
use crate::domain::session::Session;
use crate::domain::system::{self, render_instant};
use crate::json::{Json, Object};

/// What a POST asks for; the name may be left to the service (H-04).
#[derive(Debug, Clone)]
pub struct HandleRequest {
    /// The kind of handle.
    pub kind: HandleType,
    /// The service config.
    pub scid: Scid,
    /// The template.
    pub template: TemplateName,
    /// The session, if it is named.
    pub name: Option<SessionName>,
}

/// Reads the body of `POST /handles` (H-02 to H-05); unknown fields are ignored.
///
/// # Errors
/// 400 naming the field.
pub fn read(bytes: &[u8], depth: usize) -> Result<HandleRequest, Refusal> {
    let body = read_body(bytes, depth)?;
    let kind = read_type(body.get("type"), &["activity", "invite", "search", "transfer"])?;
    if body.get("version").is_some_and(|version| version.as_u64() != Some(1)) {
        return Err(Refusal::invalid("version", "1 is expected"));
    }
    let Some(reference) = body.get("sessionRef").and_then(Json::as_object) else {
        return Err(Refusal::invalid("sessionRef", "an object of scid, templateName and name is expected"));
    };
    let text = |name: &str| reference.get(name).map(|value| system::text(&format!("sessionRef.{name}"), value, 100)).transpose();
    let missing = |name: &str| Refusal::invalid(format!("sessionRef.{name}"), "is missing");
    let scid = text("scid")?.ok_or_else(|| missing("scid"))?;
    let template = text("templateName")?.ok_or_else(|| missing("templateName"))?;
    Ok(HandleRequest {
        kind,
        scid: Scid::parse(&scid).map_err(|error| Refusal::invalid("sessionRef.scid", error.to_string()))?,
        template: TemplateName::parse(&template)
            .map_err(|error| Refusal::invalid("sessionRef.templateName", error.to_string()))?,
        name: match text("name")?.filter(|name| !name.is_empty()) {
            None => None,
            Some(name) => {
                Some(SessionName::parse(&name).map_err(|error| Refusal::invalid("sessionRef.name", error.to_string()))?)
            }
        },
    })
}

fn read_type(value: Option<&Json>, known: &[&str]) -> Result<HandleType, Refusal> {
    let Some(value) = value else { return Err(Refusal::invalid("type", format!("one of {} is expected", known.join(", ")))) };
    let kind = system::one_of("type", value, known)?;
    match kind.as_str().as_deref() {
        Some("activity") => Ok(HandleType::Activity),
        _ => Err(Refusal::invalid("type", "this version of the service serves activity handles only")),
    }
}

/// Reads `include`: a list without regard to order and case, unknown words ignored (R-56).
#[must_use]
pub fn read_include(query: &str) -> Include {
    let mut include = Include::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name.eq_ignore_ascii_case("include") {
            for word in value.split(',').map(str::trim) {
                include.related_info |= word.eq_ignore_ascii_case("relatedInfo");
                include.custom_properties |= word.eq_ignore_ascii_case("customProperties");
                include.activity_info |= word.eq_ignore_ascii_case("activityInfo");
            }
        }
    }
    include
}

/// Reads `POST /handles/query` (H-50 to H-56).
///
/// # Errors
/// 400 naming the field or parameter.
pub fn read_query(bytes: &[u8], query: &str, depth: usize) -> Result<ActivityQuery, Refusal> {
    let body = read_body(bytes, depth)?;
    read_type(body.get("type"), &["activity", "search"])?;
    let scid = match body.get("scid") {
        None | Some(Json::Null) => None,
        Some(scid) => {
            Some(Scid::parse(&system::text("scid", scid, 100)?).map_err(|error| Refusal::invalid("scid", error.to_string()))?)
        }
    };
    let parameter =
        |name: &str| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v);
    let take = match parameter("take") {
        None => limits::MAX_TAKE,
        Some(take) => match take.parse::<u32>() {
            Ok(take) if take <= limits::MAX_TAKE => take,
            _ => return Err(Refusal::invalid("take", "a whole number from 0 to 100 is expected")),
        },
    };
    let owners = match body.get("owners") {
        None | Some(Json::Null) => None,
        Some(Json::Object(owners)) => Some(owners),
        Some(other) => return Err(Refusal::invalid("owners", format!("an object is expected, not {}", other.kind()))),
    };
    let present = |name: &str| owners.and_then(|owners| owners.get(name)).filter(|value| **value != Json::Null);
    let owners = match (present("xuids"), present("people"), parameter("xuid")) {
        (Some(_), Some(_), _) => return Err(Refusal::invalid("owners", "either xuids or people is expected, not both")),
        (Some(xuids), None, _) => Owners::Xuids(read_xuids("owners.xuids", xuids)?),
        (None, Some(people), _) => read_people(people)?,
        (None, None, Some(xuid)) => {
            Owners::Xuids(vec![Xuid::parse(&xuid).map_err(|error| Refusal::invalid("xuid", error.to_string()))?])
        }
        (None, None, None) => return Err(Refusal::invalid("owners", "xuids or people is expected")),
    };
    Ok(ActivityQuery { scid, owners, take: take as usize })
}

/// Reads a list of 1 to 100 xuids, doubles collapsed (H-52, Q-38).
pub(super) fn read_xuids(at: &str, value: &Json) -> Result<Vec<Xuid>, Refusal> {
    let items = value.as_array().ok_or_else(|| Refusal::invalid(at, format!("an array is expected, not {}", value.kind())))?;
    if items.is_empty() || items.len() > limits::MAX_OWNERS {
        return Err(Refusal::invalid(at, format!("1 to {} xuids are expected", limits::MAX_OWNERS)));
    }
    let mut xuids = Vec::with_capacity(items.len());
    for (n, item) in items.iter().enumerate() {
        let xuid = system::xuid(&format!("{at}[{n}]"), item)?;
        if !xuids.contains(&xuid) {
            xuids.push(xuid);
        }
    }
    Ok(xuids)
}

fn read_people(people: &Json) -> Result<Owners, Refusal> {
    let at = "owners.people";
    if people.as_object().is_none() {
        return Err(Refusal::invalid(at, format!("an object is expected, not {}", people.kind())));
    }
    let Some(moniker) = people.get("moniker") else { return Err(Refusal::invalid(format!("{at}.moniker"), "is missing")) };
    let moniker = system::one_of(&format!("{at}.moniker"), moniker, &["people", "favorites", "friends"])?;
    let of = people.get("monikerXuid").filter(|xuid| **xuid != Json::Null);
    Ok(Owners::People {
        favorites: moniker.as_str().as_deref() == Some("favorites"),
        of: of.map(|xuid| system::xuid(&format!("{at}.monikerXuid"), xuid)).transpose()?,
    })
}

/// A handle together with what a reader is shown of its session.
pub struct Shown<'a> {
    /// The handle.
    pub handle: &'a Handle,
    /// Its session, if it exists.
    pub session: Option<&'a Session>,
    /// Whether the reader may read the session (H-57).
    pub readable: bool,
    /// Owners of the session whose entries are not loaded with it: a large one comes without members.
    pub owners: &'a [(MemberIndex, Xuid)],
}

/// Renders a handle (R-50, the table of the activity, H-70 to H-75).
#[must_use]
pub fn render(shown: &Shown, include: Include) -> Json {
    let handle = shown.handle;
    let mut fields = Object::with_capacity(12);
    let mut put = |name: &str, value: Json| drop(fields.insert(name.into(), value));
    put("id", handle.id.to_string().into());
    put("type", handle.kind.as_str().into());
    put("version", 1_u64.into());
    put("sessionRef", session_ref(&handle.reference));
    let title = handle.title_id.map_or_else(|| "0".to_owned(), |title| title.to_string());
    put("titleId", title.as_str().into());
    put("ownerXuid", handle.owner.to_string().into());
    put("createTime", render_instant(handle.created_at).into());
    if let Some(protocol) = shown.session.and_then(Session::invite_protocol) {
        put("inviteProtocol", protocol.into());
    }
    if let (true, Some(session)) = (include.related_info, shown.session) {
        put("relatedInfo", related_info(shown, session).into());
    }
    if include.custom_properties {
        let custom = shown.session.filter(|_| shown.readable).map(|session| session.properties.custom.clone());
        put("customProperties", custom.unwrap_or_else(Json::object));
    }
    if include.activity_info {
        let mut info = Object::new();
        info.insert("titleId".into(), title.into());
        put("activityInfo", info.into());
    }
    fields.into()
}

/// What shows whether a session can be joined (H-70).
fn related_info(shown: &Shown, session: &Session) -> Object {
    let mut fields = Object::with_capacity(10);
    let mut put = |name: &str, value: Json| drop(fields.insert(name.into(), value));
    let count = |n: usize| Json::from(n as u64);
    let reported = Reported::of(session.visibility(), session.member_count() as u64, session.max_members() as u64);
    put("visibility", reported.as_str().into());
    put("joinRestriction", session.join_restriction().as_str().into());
    put("closed", session.flag("closed").into());
    put("maxMembersCount", count(session.max_members()));
    put("membersCount", count(session.member_count()));
    put("postedTime", render_instant(shown.handle.created_at).into());
    if let Some(protocol) = session.invite_protocol() {
        put("inviteProtocol", protocol.into());
    }
    let set = |name: &str| session.properties.system.get(name);
    for name in ["keywords", "sessionOwners", "description", "scheduledTime", "searchHandleVisibility"] {
        let value = match name {
            "sessionOwners" => set("owners").map(|owners| owner_xuids(owners, session, shown.owners)),
            name => set(name).cloned(),
        };
        if let Some(value) = value {
            put(name, value);
        }
    }
    fields
}

/// The xuids of owners, in the order of their indices in the session's properties.
fn owner_xuids(owners: &Json, session: &Session, others: &[(MemberIndex, Xuid)]) -> Json {
    let xuid = |index: MemberIndex| {
        let loaded = session.member_at(index).map(|member| member.xuid);
        loaded.or_else(|| others.iter().find(|(other, _)| *other == index).map(|(_, xuid)| *xuid))
    };
    let indices = owners.as_array().unwrap_or_default().iter().filter_map(|index| MemberIndex::try_from(index.as_u64()?).ok());
    indices.filter_map(xuid).map(|xuid| Json::from(xuid.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::h02(r#"{"sessionRef":{}}"#, "type")]
    #[case::h02(r#"{"type":"gift","sessionRef":{}}"#, "type")]
    #[case::h02(r#"{"type":"activity","version":2,"sessionRef":{}}"#, "version")]
    #[case::h02(r#"{"type":"Activity"}"#, "sessionRef")]
    #[case::h02(r#"{"type":"activity","sessionRef":{"templateName":"Lobby"}}"#, "sessionRef.scid")]
    #[case::r15(r#"{"type":"activity","sessionRef":{"scid":"x","templateName":"Lobby"}}"#, "sessionRef.scid")]
    fn handle_requests_are_refused_by_name(#[case] body: &str, #[case] name: &str) {
        let refusal = read(body.as_bytes(), 32).unwrap_err();
        assert!(refusal.text.starts_with(&format!("{name}: ")), "{refusal}");
    }

    #[rstest]
    #[case::h50("{}", "", "type")]
    #[case::h50(r#"{"type":"invite"}"#, "", "type")]
    #[case::h54(r#"{"type":"activity"}"#, "", "owners")]
    #[case::h54(r#"{"type":"activity","owners":{"xuids":["1"],"people":{"moniker":"people"}}}"#, "", "owners")]
    #[case::h52(r#"{"type":"activity","owners":{"xuids":[]}}"#, "", "owners.xuids")]
    #[case::h53(r#"{"type":"activity","owners":{"people":{"moniker":"foes"}}}"#, "", "owners.people.moniker")]
    #[case::h56(r#"{"type":"activity","owners":{"xuids":["1"]}}"#, "take=101", "take")]
    fn handle_queries_are_refused_by_name(#[case] body: &str, #[case] query: &str, #[case] name: &str) {
        let refusal = read_query(body.as_bytes(), query, 32).unwrap_err();
        assert!(refusal.text.starts_with(&format!("{name}: ")), "{refusal}");
    }

    #[test]
    fn h54_the_xuid_parameter_stands_in_for_owners() {
        let query = read_query(br#"{"type":"activity"}"#, "xuid=12", 32).unwrap();
        assert_eq!(query.owners, Owners::Xuids(vec![Xuid(12)]));
    }

    #[test]
    fn h52_numbers_are_tolerated_and_doubles_collapse() {
        let query = read_query(br#"{"type":"ACTIVITY","owners":{"xuids":[1,"2","1"]}}"#, "", 32).unwrap();
        assert_eq!(query.owners, Owners::Xuids(vec![Xuid(1), Xuid(2)]));
    }

    #[test]
    fn r56_include_is_a_list_without_order_and_case() {
        let include = read_include("x=1&include=CUSTOMproperties,relatedinfo,unknown");
        assert!(include.related_info && include.custom_properties && !include.activity_info);
    }
}
