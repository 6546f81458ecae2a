//! Queries for search handles on the wire: requests, and the continuation by which the next page is asked for (H-71 to H-89).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::handle_request::{read_people, read_take};
use crate::domain::filter::{self, Grammar, Kind, Order, OrderBy, Scalar};
use crate::domain::limits;
use crate::domain::names::{Scid, TemplateName, Xuid};
use crate::domain::refusal::Refusal;
use crate::domain::search::{KeyValue, SearchKey, SearchQuery};
use crate::domain::system;
use crate::json::{self, Json, Object};

/// Reads a query for search handles; `body` is known to be of this type. Fields that mean nothing here are ignored.
///
/// # Errors
/// 400 naming the field or parameter, and the position in a filter (H-85).
pub fn read(body: &Object, query: &str) -> Result<SearchQuery, Refusal> {
    let given = |name: &str| body.get(name).filter(|value| **value != Json::Null);
    let text = |name: &str, most| given(name).map(|value| system::text(format_args!("{name}"), value, most)).transpose();
    let invalid = |name: &str, error: &dyn std::fmt::Display| Refusal::invalid(name, error.to_string());
    let scid = text("scid", 100)?.map(|scid| Scid::parse(&scid).map_err(|error| invalid("scid", &error))).transpose()?;
    let template = text("templateName", 100)?
        .map(|name| TemplateName::parse(&name).map_err(|error| invalid("templateName", &error)))
        .transpose()?;
    let grammar =
        match given("grammar").map(|word| system::one_of(format_args!("grammar"), word, &["mpsd", "extended"])).transpose()? {
            Some(word) if word.as_str().as_deref() == Some("extended") => Grammar::Extended,
            _ => Grammar::Mpsd,
        };
    let filter = match text("filter", usize::MAX)? {
        Some(filter) => filter::parse(&filter, grammar).map_err(|malformed| invalid("filter", &malformed))?,
        None => None,
    };
    let order = Order::parse(text("orderBy", limits::MAX_FILTER)?.as_deref());
    let members = match given("sessionMembers") {
        None => None,
        Some(Json::Object(members)) => members.get("people").filter(|people| **people != Json::Null),
        Some(other) => return Err(Refusal::invalid("sessionMembers", format!("an object is expected, not {}", other.kind()))),
    };
    let members = members.map(|people| read_people("sessionMembers.people", people)).transpose()?;
    let unblocked = match given("communicatePermissionRequired") {
        None => false,
        Some(value) => value.as_bool().ok_or_else(|| {
            Refusal::invalid("communicatePermissionRequired", format!("true or false is expected, not {}", value.kind()))
        })?,
    };
    if scid.is_none() && template.is_none() && filter.is_none() && members.is_none() {
        return Err(Refusal::invalid("scid", "at least one of scid, templateName, filter and sessionMembers is needed"));
    }
    Ok(SearchQuery {
        scid,
        template,
        filter,
        order,
        members,
        owners: given("sessionOwners").map(read_owners).transpose()?.filter(|owners| !owners.is_empty()),
        unblocked,
        continuation: text("continuation", usize::MAX)?,
        take: read_take(query)?,
    })
}

/// Reads `sessionOwners`: one xuid, or a list of them.
fn read_owners(value: &Json) -> Result<Vec<Xuid>, Refusal> {
    let at = "sessionOwners";
    let Some(items) = value.as_array() else { return Ok(vec![system::xuid(format_args!("{at}"), value)?]) };
    if items.len() > limits::MAX_OWNERS {
        return Err(Refusal::invalid(at, format!("at most {} xuids are allowed", limits::MAX_OWNERS)));
    }
    items.iter().enumerate().map(|(n, item)| system::xuid(format_args!("{at}[{n}]"), item)).collect()
}

/// What a continuation belongs to: another query has another one, and so has the same query in another order.
fn fingerprint(query: &SearchQuery) -> String {
    let place = (query.scid.as_ref().map(Scid::id), query.template.as_ref().map(TemplateName::key));
    let beside = (&query.members, &query.owners, query.unblocked);
    let text = format!("{place:?} {:?} {:?} {beside:?}", query.filter, query.order);
    Sha256::digest(text.as_bytes()).iter().take(6).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The text by which the page after a result is asked for.
#[must_use]
pub fn continuation(query: &SearchQuery, key: &SearchKey) -> String {
    let value = match &key.value {
        KeyValue::None => Json::Null,
        KeyValue::Number(number) => Json::Array(vec![number.to_string().into()]),
        KeyValue::Text(text) => text.as_str().into(),
    };
    let parts =
        vec![fingerprint(query).into(), value, key.posted_at.timestamp_micros().to_string().into(), key.sid.to_string().into()];
    URL_SAFE_NO_PAD.encode(Json::Array(parts).to_string())
}

/// Reads where the page of a query begins, if it is not the first.
///
/// # Errors
/// 400 for what no answer to this query said.
pub fn read_continuation(query: &SearchQuery) -> Result<Option<SearchKey>, Refusal> {
    let Some(text) = query.continuation.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
    let refuse = || Refusal::invalid("continuation", "is not one that an answer to this query gave");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refuse())?;
    let parts = json::parse(&bytes, 4).map_err(|_| refuse())?;
    let Some([fingerprinted, value, posted_at, sid]) = parts.as_array() else { return Err(refuse()) };
    if fingerprinted.as_str().as_deref() != Some(fingerprint(query).as_str()) {
        return Err(refuse());
    }
    let value = match value {
        Json::Null => KeyValue::None,
        Json::Array(number) => {
            let number = number.first().and_then(Json::as_str).and_then(|text| text.parse::<f64>().ok());
            KeyValue::Number(number.filter(|number| number.is_finite()).ok_or_else(refuse)?)
        }
        other => KeyValue::Text(other.as_str().filter(|text| !text.contains('\0')).ok_or_else(refuse)?.into_owned()),
    };
    let micros = posted_at.as_str().and_then(|text| text.parse::<i64>().ok());
    if !orders(&query.order, &value) {
        return Err(refuse());
    }
    // PostgreSQL knows fewer instants than this number can name.
    let posted_at = micros.and_then(DateTime::from_timestamp_micros).filter(|at| (1..9999).contains(&chrono::Datelike::year(at)));
    let sid = sid.as_str().and_then(|text| Uuid::try_parse(&text).ok());
    Ok(Some(SearchKey { value, posted_at: posted_at.ok_or_else(refuse)?, sid: sid.ok_or_else(refuse)? }))
}

/// Whether an order can have such a value.
fn orders(order: &Order, value: &KeyValue) -> bool {
    let OrderBy::Scalar(scalar) = &order.by else { return *value == KeyValue::None };
    match (scalar, value) {
        (Scalar::PostedTime | Scalar::RegistrationState, value) => *value == KeyValue::None,
        (scalar, KeyValue::None) => !scalar.is_always_there(),
        (scalar, KeyValue::Text(_)) => scalar.kind() == Kind::Text,
        (scalar, KeyValue::Number(_)) => scalar.kind() != Kind::Text,
    }
}

/// The body of an answer.
#[must_use]
pub fn answer(results: Vec<Json>, continuation: Option<String>) -> String {
    let mut fields = Object::new();
    fields.insert("results".into(), Json::Array(results));
    if let Some(continuation) = continuation {
        fields.insert("continuation".into(), continuation.into());
    }
    Json::Object(fields).to_string()
}
