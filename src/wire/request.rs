//! A session request object: its syntax and top-level shape (W-01, W-03; E-10 #8). Fields are judged where they are merged.

use super::stored::{BAG, DOCUMENT, ENTRY};
use crate::domain::command::{Delta, MemberKey};
use crate::domain::names::{MemberIndex, Xuid};
use crate::domain::refusal::Refusal;
use crate::json::{self, Json, Leave, Object};

/// Reads a JSON body; an empty one is `{}` (W-03).
///
/// # Errors
/// 400 with what is wrong and where.
pub fn read_body(bytes: &[u8], depth: usize) -> Result<Object, Refusal> {
    read_body_but(bytes, depth, &Leave::Nothing)
}

fn read_body_but(bytes: &[u8], depth: usize, leave: &'static Leave) -> Result<Object, Refusal> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Object::new());
    }
    match json::parse_foreign_but(bytes, depth, leave) {
        Ok(Json::Object(fields)) => Ok(fields),
        Ok(other) => Err(Refusal::invalid("body", format!("a JSON object is expected, not {}", other.kind()))),
        Err(error) => Err(Refusal::invalid("body", error.to_string())),
    }
}

/// Reads the body of a PUT on a session.
///
/// # Errors
/// 400 for bad syntax, unknown top-level keys and unknown keys of `members`.
pub fn read_delta(bytes: &[u8], depth: usize) -> Result<Delta, Refusal> {
    let mut delta = Delta::default();
    for (key, value) in read_body_but(bytes, depth, &DOCUMENT)? {
        match key.as_str() {
            "constants" => delta.constants = Some(value),
            "properties" => delta.properties = Some(value),
            "servers" => delta.servers = Some(value),
            "roleTypes" => delta.role_types = Some(value),
            "members" => delta.members = read_members(value)?,
            name => {
                return Err(Refusal::invalid(
                    name,
                    "a session request holds constants, properties, members, servers and roleTypes",
                ));
            }
        }
    }
    Ok(delta)
}

/// Reads the body of a PUT on a session's properties (R-25).
///
/// # Errors
/// 400 for bad syntax.
pub fn read_properties(bytes: &[u8], depth: usize) -> Result<Delta, Refusal> {
    Ok(Delta { properties: Some(Json::Object(read_body_but(bytes, depth, &BAG)?)), ..Delta::default() })
}

/// Reads the body of a PUT on a member's entry (R-27).
///
/// # Errors
/// 400 for bad syntax.
pub fn read_member(key: MemberKey, bytes: &[u8], depth: usize) -> Result<Delta, Refusal> {
    Ok(Delta { members: vec![(key, Some(read_body_but(bytes, depth, &ENTRY)?))], ..Delta::default() })
}

/// Reads the body of a PUT on a server's entry (R-27).
///
/// # Errors
/// 400 for bad syntax.
pub fn read_server(name: &str, bytes: &[u8], depth: usize) -> Result<Delta, Refusal> {
    Ok(server(name, read_body_but(bytes, depth, &ENTRY)?.into()))
}

/// The delta of leaving (R-28).
#[must_use]
pub fn leaving() -> Delta {
    Delta { members: vec![(MemberKey::Me, None)], ..Delta::default() }
}

/// The delta of removing another member (R-30).
#[must_use]
pub fn removing(index: MemberIndex) -> Delta {
    Delta { members: vec![(MemberKey::Index(index), None)], ..Delta::default() }
}

/// The delta of removing a server's entry (R-31).
#[must_use]
pub fn removing_server(name: &str) -> Delta {
    server(name, Json::Null)
}

fn server(name: &str, entry: Json) -> Delta {
    let mut servers = Object::new();
    servers.insert(name.into(), entry);
    Delta { servers: Some(servers.into()), ..Delta::default() }
}

/// Reads the entries of `members` and puts them in the order they take effect in (W-07, W-38).
fn read_members(value: Json) -> Result<Vec<(MemberKey, Option<Object>)>, Refusal> {
    let Json::Object(entries) = value else {
        return Err(Refusal::invalid("members", format!("an object is expected, not {}", value.kind())));
    };
    let mut members = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let at = format!("members.{key}");
        let key = read_key(key.as_str())
            .ok_or_else(|| Refusal::invalid(&at, "me, reserve_0, reserve_1 … or the index of a member is expected"))?;
        let entry = match value {
            Json::Null if !matches!(key, MemberKey::Reserve(_)) => None,
            Json::Object(entry) => Some(entry),
            other => return Err(Refusal::invalid(at, format!("an object is expected, not {}", other.kind()))),
        };
        members.push((key, entry));
    }
    members.sort_by_key(|(key, _)| *key);
    let reserved = members.iter().filter_map(|(key, _)| if let MemberKey::Reserve(n) = key { Some(*n) } else { None });
    if let Some((expected, found)) = (0..).zip(reserved).find(|(expected, found)| expected != found) {
        return Err(Refusal::invalid(
            format!("members.reserve_{found}"),
            format!("reservations are numbered from 0 without gaps: reserve_{expected} is missing"),
        ));
    }
    Ok(members)
}

fn read_key(key: &str) -> Option<MemberKey> {
    let number = |digits: &str| {
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        if plain { digits.parse().ok() } else { None }
    };
    match key.strip_prefix("reserve_") {
        Some(digits) => number(digits).map(MemberKey::Reserve),
        None => match key {
            "me" => Some(MemberKey::Me),
            "me_all" => Some(MemberKey::MeAll),
            "me_allInSession" => Some(MemberKey::MeAllInSession),
            key => match key.strip_prefix("me_") {
                Some(xuid) => Xuid::parse(xuid).ok().map(MemberKey::MeOf),
                None => number(key).map(MemberKey::Index),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::s09(r#"{"membersInfo":{}}"#, "membersInfo: ")]
    #[case::s10(r#"{"changeNumber":1}"#, "changeNumber: ")]
    #[case::w03("[]", "body: ")]
    #[case::w03("{", "body: ")]
    #[case::w07(r#"{"members":{"reserve_1":{}}}"#, "members.reserve_1: ")]
    #[case::w07(r#"{"members":{"reserve_0":{},"reserve_2":{}}}"#, "members.reserve_2: ")]
    #[case::w07(r#"{"members":{"reserve_0":null}}"#, "members.reserve_0: ")]
    #[case::w19(r#"{"members":{"me_nobody":{}}}"#, "members.me_nobody: ")]
    #[case::w04(r#"{"members":{"you":{}}}"#, "members.you: ")]
    #[case::w04(r#"{"members":{"05":{}}}"#, "members.05: ")]
    #[case::w04(r#"{"members":{"me":1}}"#, "members.me: ")]
    fn refuses_by_name(#[case] body: &str, #[case] start: &str) {
        let refusal = read_delta(body.as_bytes(), 32).unwrap_err();
        assert!(refusal.text.starts_with(start), "{refusal}");
    }

    #[test]
    fn w38_removals_come_before_me_and_me_before_reservations() {
        let body = r#"{"members":{"reserve_0":{},"me":{},"7":null}}"#;
        let keys: Vec<MemberKey> = read_delta(body.as_bytes(), 32).unwrap().members.into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [MemberKey::Index(7), MemberKey::Me, MemberKey::Reserve(0)]);
    }

    #[test]
    fn w03_an_empty_body_is_an_empty_object() {
        for body in ["", " \n", "{}"] {
            assert!(read_delta(body.as_bytes(), 32).unwrap().members.is_empty());
        }
    }
}
