//! Requests about handles: `POST /handles` and `POST /handles/query`, and what they want included (handles.md).

use std::borrow::Cow;

use super::request::read_body;
use super::search;
use crate::domain::handle::{ActivityQuery, HandleType, Include, Owners, People};
use crate::domain::limits;
use crate::domain::listing;
use crate::domain::names::{Scid, SessionName, SessionReference, TemplateName, Xuid};
use crate::domain::refusal::Refusal;
use crate::domain::search::SearchQuery;
use crate::domain::system;
use crate::json::{Json, Object};

/// What a POST asks for; the name may be left to the service (H-04).
#[derive(Debug, Clone)]
pub struct HandleRequest {
    /// The service config.
    pub scid: Scid,
    /// The template.
    pub template: TemplateName,
    /// The session, if it is named.
    pub name: Option<SessionName>,
    /// The kind of handle, and what it is about.
    pub wanted: Wanted,
}

/// The kind of handle that is wanted, and what only that has.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// An activity.
    Activity,
    /// An invite (H-30).
    Invite {
        /// For whom.
        invited: Xuid,
        /// `inviteAttributes`, if given.
        attributes: Option<Object>,
    },
    /// A transfer handle (H-37).
    Transfer {
        /// `originSessionRef`.
        origin: SessionReference,
    },
    /// A search handle; its attributes (H-63).
    Search(Object),
}

/// Reads the body of `POST /handles` (H-02 to H-06); unknown fields are ignored.
///
/// # Errors
/// 400 naming the field.
pub fn read(bytes: &[u8], depth: usize) -> Result<HandleRequest, Refusal> {
    let body = read_body(bytes, depth)?;
    let kind = read_type(body.get("type"), &HandleType::ALL)?;
    if body.get("version").is_some_and(|version| version.as_u64() != Some(1)) {
        return Err(Refusal::invalid("version", "1 is expected"));
    }
    let (scid, template, name) = read_reference("sessionRef", body.get("sessionRef"))?;
    let wanted = match kind {
        HandleType::Activity => Wanted::Activity,
        HandleType::Search => Wanted::Search(listing::read_attributes(body.get("searchAttributes"))?),
        HandleType::Invite => {
            let invited = body.get("invitedXuid").filter(|xuid| **xuid != Json::Null);
            let invited = invited.ok_or_else(|| Refusal::invalid("invitedXuid", "is missing"))?;
            let invited = system::xuid(format_args!("invitedXuid"), invited)?;
            Wanted::Invite { invited, attributes: read_invite_attributes(body.get("inviteAttributes"))? }
        }
        HandleType::Transfer => {
            let (scid, template, name) = read_reference("originSessionRef", body.get("originSessionRef"))?;
            let name = name.ok_or_else(|| Refusal::invalid("originSessionRef.name", "is missing"))?;
            Wanted::Transfer { origin: SessionReference { scid, template, name } }
        }
    };
    Ok(HandleRequest { scid, template, name, wanted })
}

fn read_reference(at: &str, value: Option<&Json>) -> Result<(Scid, TemplateName, Option<SessionName>), Refusal> {
    let Some(reference) = value.and_then(Json::as_object) else {
        return Err(Refusal::invalid(at, "an object of scid, templateName and name is expected"));
    };
    let text = |name: &str| reference.get(name).map(|value| system::text(format_args!("{at}.{name}"), value, 100)).transpose();
    let needed = |name: &str| text(name)?.ok_or_else(|| Refusal::invalid(format!("{at}.{name}"), "is missing"));
    let invalid = |name: &str, error: &dyn std::fmt::Display| Refusal::invalid(format!("{at}.{name}"), error.to_string());
    let scid = Scid::parse(&needed("scid")?).map_err(|error| invalid("scid", &error))?;
    let template = TemplateName::parse(&needed("templateName")?).map_err(|error| invalid("templateName", &error))?;
    let name = text("name")?.filter(|name| !name.is_empty());
    let name = name.map(|name| SessionName::parse(&name).map_err(|error| invalid("name", &error))).transpose()?;
    Ok((scid, template, name))
}

/// Reads `inviteAttributes` (H-30, H-31): the fields that clients know, `titleId` as a string (H-06).
fn read_invite_attributes(value: Option<&Json>) -> Result<Option<Object>, Refusal> {
    let at = "inviteAttributes";
    let given = match value {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Object(given)) => given,
        Some(other) => return Err(Refusal::invalid(at, format!("an object is expected, not {}", other.kind()))),
    };
    let mut kept = Object::with_capacity(4);
    for (name, value) in given.iter().filter(|(_, value)| **value != Json::Null) {
        let name = name.to_string();
        let at = format!("{at}.{name}");
        let value: Json = match name.as_str() {
            "titleId" => system::title_id(format_args!("{at}"), value)?.to_string().into(),
            "context" => {
                let text = system::text(format_args!("{at}"), value, limits::MAX_INVITE_CONTEXT)?;
                let most = limits::MAX_INVITE_CONTEXT;
                if encoded_length(&text) > most {
                    return Err(Refusal::invalid(at, format!("at most {most} characters are allowed in URI-encoded form")));
                }
                text.as_str().into()
            }
            "contextString" | "senderString" => system::text(format_args!("{at}"), value, limits::MAX_TEXT)?.as_str().into(),
            _ => continue,
        };
        kept.insert(name.as_str().into(), value);
    }
    Ok(Some(kept))
}

/// How many characters a text has in URI-encoded form: three for every byte that URIs escape. A `%XX` that is there already counts as
/// it stands (H-31).
fn encoded_length(text: &str) -> usize {
    const PLAIN: &[u8] = b"-._~:/?#[]@!$&'()*+,;=";
    let bytes = text.as_bytes();
    let escaped = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let one = |(at, byte): (usize, &u8)| {
        let plain = byte.is_ascii_alphanumeric() || PLAIN.contains(byte) || (*byte == b'%' && escaped(at));
        if plain { 1 } else { 3 }
    };
    bytes.iter().enumerate().map(one).sum()
}

fn read_type(value: Option<&Json>, known: &[HandleType]) -> Result<HandleType, Refusal> {
    let words: Vec<&str> = known.iter().map(|kind| kind.as_str()).collect();
    let Some(value) = value else { return Err(Refusal::invalid("type", format!("one of {} is expected", words.join(", ")))) };
    let word = system::one_of(format_args!("type"), value, &words)?;
    let kind = known.iter().find(|kind| word.as_str().as_deref() == Some(kind.as_str()));
    kind.copied().ok_or_else(|| Refusal::invalid("type", "is not known"))
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
                include.role_info |= word.eq_ignore_ascii_case("roleInfo");
                include.activity_info |= word.eq_ignore_ascii_case("activityInfo");
            }
        }
    }
    include
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Reads `take`, the most results (H-56).
///
/// # Errors
/// 400.
pub fn read_take(query: &str) -> Result<u32, Refusal> {
    match parameter(query, "take").map(|take| take.parse::<u32>()) {
        None => Ok(limits::MAX_TAKE),
        Some(Ok(take)) if take <= limits::MAX_TAKE => Ok(take),
        Some(_) => Err(Refusal::invalid("take", "a whole number from 0 to 100 is expected")),
    }
}

/// What `POST /handles/query` asks for (H-50).
#[derive(Debug, Clone, PartialEq)]
pub enum HandleQuery {
    /// Activities.
    Activities(ActivityQuery),
    /// Search handles.
    Search(Box<SearchQuery>),
}

/// Reads `POST /handles/query` (H-50 to H-56, H-71).
///
/// # Errors
/// 400 naming the field or parameter.
pub fn read_query(bytes: &[u8], query: &str, depth: usize) -> Result<HandleQuery, Refusal> {
    let body = read_body(bytes, depth)?;
    match read_type(body.get("type"), &[HandleType::Activity, HandleType::Search])? {
        HandleType::Search => search::read(&body, query).map(Box::new).map(HandleQuery::Search),
        _ => read_activities(&body, query).map(HandleQuery::Activities),
    }
}

fn read_activities(body: &Object, query: &str) -> Result<ActivityQuery, Refusal> {
    let scid = match body.get("scid") {
        None | Some(Json::Null) => None,
        Some(scid) => Some(
            Scid::parse(&system::text(format_args!("scid"), scid, 100)?)
                .map_err(|error| Refusal::invalid("scid", error.to_string()))?,
        ),
    };
    let take = read_take(query)?;
    let owners = match body.get("owners") {
        None | Some(Json::Null) => None,
        Some(Json::Object(owners)) => Some(owners),
        Some(other) => return Err(Refusal::invalid("owners", format!("an object is expected, not {}", other.kind()))),
    };
    let present = |name: &str| owners.and_then(|owners| owners.get(name)).filter(|value| **value != Json::Null);
    let owners = match (present("xuids"), present("people"), parameter(query, "xuid")) {
        (Some(_), Some(_), _) => return Err(Refusal::invalid("owners", "either xuids or people is expected, not both")),
        (Some(xuids), None, _) => Owners::Xuids(read_xuids("owners.xuids", xuids)?),
        (None, Some(people), _) => Owners::People(read_people("owners.people", people)?),
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
        let xuid = system::xuid(format_args!("{at}[{n}]"), item)?;
        if !xuids.contains(&xuid) {
            xuids.push(xuid);
        }
    }
    Ok(xuids)
}

/// Reads `{moniker, monikerXuid}` (H-53).
///
/// # Errors
/// 400 naming the field.
pub(super) fn read_people(at: &str, people: &Json) -> Result<People, Refusal> {
    if people.as_object().is_none() {
        return Err(Refusal::invalid(at, format!("an object is expected, not {}", people.kind())));
    }
    let Some(moniker) = people.get("moniker") else { return Err(Refusal::invalid(format!("{at}.moniker"), "is missing")) };
    let moniker = system::one_of(format_args!("{at}.moniker"), moniker, &["people", "favorites", "friends"])?;
    let of = people.get("monikerXuid").filter(|xuid| **xuid != Json::Null);
    Ok(People {
        favorites: moniker.as_str().as_deref() == Some("favorites"),
        of: of.map(|xuid| system::xuid(format_args!("{at}.monikerXuid"), xuid)).transpose()?,
    })
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

    fn activities(body: &[u8], query: &str) -> ActivityQuery {
        match read_query(body, query, 32) {
            Ok(HandleQuery::Activities(query)) => query,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn h54_the_xuid_parameter_stands_in_for_owners() {
        let query = activities(br#"{"type":"activity"}"#, "xuid=12");
        assert_eq!(query.owners, Owners::Xuids(vec![Xuid(12)]));
    }

    #[test]
    fn h52_numbers_are_tolerated_and_doubles_collapse() {
        let query = activities(br#"{"type":"ACTIVITY","owners":{"xuids":[1,"2","1"]}}"#, "");
        assert_eq!(query.owners, Owners::Xuids(vec![Xuid(1), Xuid(2)]));
    }

    #[test]
    fn r56_include_is_a_list_without_order_and_case() {
        let include = read_include("x=1&include=CUSTOMproperties,relatedinfo,unknown");
        assert!(include.related_info && include.custom_properties && !include.activity_info);
    }
}
