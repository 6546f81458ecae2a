//! Whom a server acts for: the headers that turn a server's call into one of its users.

use std::collections::HashSet;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;

use super::error::ApiError;
use crate::domain::limits::MAX_MEMBERS;
use crate::domain::names::{TitleId, Xuid};
use crate::domain::principal::{Principal, ServerFor, User};

const USERS: &str = "X-Xbl-OnBehalfOf-Users";
const TITLE: &str = "X-Xbl-OnBehalfOf-Title";
const DENY_SCOPE: &str = "X-Xbl-Deny-Scope";

/// The scope of a server's own rights.
const MANAGE: &str = "Multiplayer.Manage";

/// The principal of a request: that of its credential, or a server that acts for the users its headers name. For users and
/// administrators the headers do not count.
///
/// # Errors
/// 400 for malformed headers; 403 for a server that neither acts for anybody nor has rights of its own.
pub fn principal(verified: Arc<Principal>, headers: &HeaderMap) -> Result<Arc<Principal>, ApiError> {
    let Principal::Server(server) = &*verified else { return Ok(verified) };
    let title = read_title(headers)?;
    let users = read_users(headers, title)?;
    let manages = !denies_manage(headers);
    if users.is_empty() {
        let nothing_left = "without rights of its own (X-Xbl-Deny-Scope) a server has to act for users (X-Xbl-OnBehalfOf-Users)";
        return if manages { Ok(verified) } else { Err(ApiError::Forbidden(nothing_left)) };
    }
    Ok(Arc::new(Principal::ServerFor(ServerFor { server: server.clone(), users, manages })))
}

/// All values of a header as one list; `None` when there is none or nothing in it.
fn list(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<_> = headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    let text = lines.join(",");
    if lines.iter().all(|line| line.trim().is_empty()) { None } else { Some(text) }
}

fn bad(name: &str, why: &str) -> ApiError {
    ApiError::BadRequest(format!("{name}: {why}"))
}

/// The users in the order of the header; of one that is named twice the first entry counts.
fn read_users(headers: &HeaderMap, title_id: Option<TitleId>) -> Result<Vec<User>, ApiError> {
    let Some(text) = list(headers, USERS) else { return Ok(Vec::new()) };
    let mut users = Vec::new();
    let mut known = HashSet::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let Some((xuid, multiplayer)) = read_user(entry) else {
            return Err(bad(USERS, "a list of {xuid} or {xuid};priv=multiplayer, separated by commas, is expected"));
        };
        if known.insert(xuid) {
            users.push(User { xuid, gamertag: None, title_id, device_id: None, device_type: None, multiplayer });
        }
    }
    if users.is_empty() {
        return Err(bad(USERS, "the list names nobody"));
    }
    if users.len() as u64 > MAX_MEMBERS {
        return Err(bad(USERS, &format!("at most {MAX_MEMBERS} users are allowed")));
    }
    Ok(users)
}

/// Reads `{xuid}[;priv=multiplayer]`, perhaps in quotes: who, and whether with the multiplayer privilege.
fn read_user(entry: &str) -> Option<(Xuid, bool)> {
    let mut parts = unquoted(entry).split(';').map(str::trim);
    let xuid = Xuid::parse(parts.next()?).ok()?;
    let mut multiplayer = false;
    for part in parts {
        let (name, value) = part.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("priv") || !value.trim().eq_ignore_ascii_case("multiplayer") {
            return None;
        }
        multiplayer = true;
    }
    Some((xuid, multiplayer))
}

fn read_title(headers: &HeaderMap) -> Result<Option<TitleId>, ApiError> {
    let Some(text) = list(headers, TITLE) else { return Ok(None) };
    let title = TitleId::parse(unquoted(text.trim())).map_err(|_| bad(TITLE, "one decimal title id is expected"))?;
    Ok(Some(title))
}

fn denies_manage(headers: &HeaderMap) -> bool {
    let text = list(headers, DENY_SCOPE).unwrap_or_default();
    text.split([',', ' ']).any(|scope| unquoted(scope.trim()).eq_ignore_ascii_case(MANAGE))
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use rstest::rstest;

    use super::*;
    use crate::domain::principal::Server;

    fn principal_of(verified: Principal, lines: &[(&str, &str)]) -> Result<Principal, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::try_from(name.to_ascii_lowercase()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        principal(Arc::new(verified), &headers).map(|made| (*made).clone()).map_err(|error| error.to_string())
    }

    fn server() -> Principal {
        Principal::Server(Server { name: "arena".into(), scids: Vec::new() })
    }

    /// Users as `xuid` with `+` for the privilege.
    fn named(lines: &[(&str, &str)]) -> String {
        let made = principal_of(server(), lines).expect("the headers are well-formed");
        let users = made.users().iter().map(|user| format!("{}{}", user.xuid, if user.multiplayer { "+" } else { "" }));
        users.collect::<Vec<_>>().join(" ")
    }

    #[rstest]
    #[case("5", "5")]
    #[case("5;priv=multiplayer", "5+")]
    #[case("5;priv=multiplayer,6", "5+ 6")]
    #[case(" 7 ; Priv = Multiplayer , \"6\" ,\"5;priv=multiplayer\"", "7+ 6 5+")]
    #[case("5,5;priv=multiplayer,6,5", "5 6")]
    #[case("5,,6,", "5 6")]
    #[case("18446744073709551615", "18446744073709551615")]
    #[case("", "")]
    #[case("  ", "")]
    fn r16_users_are_named_in_order_and_once(#[case] value: &str, #[case] expected: &str) {
        assert_eq!(named(&[(USERS, value)]), expected);
    }

    #[test]
    fn r16_repeated_lines_are_one_list() {
        assert_eq!(named(&[(USERS, "5"), (USERS, "6;priv=multiplayer")]), "5 6+");
        assert_eq!(named(&[(USERS, ""), (USERS, "6")]), "6");
    }

    #[rstest]
    #[case(USERS, "ada")]
    #[case(USERS, "-5")]
    #[case(USERS, "18446744073709551616")]
    #[case(USERS, "5;6")]
    #[case(USERS, "5;priv")]
    #[case(USERS, "5;priv=chat")]
    #[case(USERS, "5;role=multiplayer")]
    #[case(USERS, "\"5")]
    #[case(USERS, "\"5,6\"")]
    #[case(USERS, "5 6")]
    #[case(USERS, "\"\"")]
    #[case(USERS, ",")]
    #[case(USERS, "5\u{e4}")]
    #[case(TITLE, "minesweeper")]
    #[case(TITLE, "1,2")]
    #[case(TITLE, "4294967296")]
    #[case(TITLE, "0x12")]
    fn r16_malformed_headers_are_named(#[case] name: &str, #[case] value: &str) {
        let text = principal_of(server(), &[(name, value)]).unwrap_err();
        assert!(text.starts_with(&format!("{name}: ")), "{text}");
    }

    #[test]
    fn r16_the_number_of_users_is_bounded() {
        let list = |most: u64| (1..=most).map(|xuid| xuid.to_string()).collect::<Vec<_>>().join(",");
        assert!(principal_of(server(), &[(USERS, &list(MAX_MEMBERS))]).is_ok());
        assert!(principal_of(server(), &[(USERS, &list(MAX_MEMBERS + 1))]).is_err());
    }

    #[rstest]
    #[case("Multiplayer.Manage", false)]
    #[case("multiplayer.MANAGE", false)]
    #[case("Other, Multiplayer.Manage", false)]
    #[case("Other", true)]
    #[case("", true)]
    fn r16_a_denied_scope_takes_the_servers_rights(#[case] value: &str, #[case] expected: bool) {
        let made = principal_of(server(), &[(USERS, "5"), (DENY_SCOPE, value)]).unwrap();
        let Principal::ServerFor(acting) = made else { panic!("{made:?}") };
        assert_eq!(acting.manages, expected);
        assert_eq!(principal_of(server(), &[(DENY_SCOPE, value)]).is_ok(), expected, "nothing is left without users");
    }

    #[test]
    fn r16_the_title_is_that_of_all_users_and_of_nobody_else() {
        let made = principal_of(server(), &[(USERS, "5,6"), (TITLE, " 1739200451 ")]).unwrap();
        assert!(made.users().iter().all(|user| user.title_id == Some(TitleId(1_739_200_451))));
        assert_eq!(principal_of(server(), &[(TITLE, "1739200451")]), Ok(server()));
    }

    #[test]
    fn r16_only_servers_act_for_others() {
        let user = User { xuid: Xuid(1), gamertag: None, title_id: None, device_id: None, device_type: None, multiplayer: true };
        for other in [Principal::User(user), Principal::Admin { name: "op".into() }] {
            let lines = [(USERS, "nonsense"), (TITLE, "nonsense"), (DENY_SCOPE, MANAGE)];
            assert_eq!(principal_of(other.clone(), &lines), Ok(other));
        }
    }
}
