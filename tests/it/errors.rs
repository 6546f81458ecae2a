//! Errors: statuses, texts, and which check comes first (E).

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Actor, SCID, World, joining, publish, session};

/// A service config that only another title may use, and no caller of these tests.
const CLOSED: &str = "0b5e6a10-0000-4000-8000-0000000000c1";

/// A request, and the status of the earliest of the checks that it fails.
struct Wrong<'a> {
    what: &'a str,
    by: &'a Actor,
    method: Method,
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
    status: u16,
    shows: bool,
}

/// A PUT that fails.
fn put<'a>(
    what: &'a str,
    by: &'a Actor,
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
    status: u16,
) -> Wrong<'a> {
    Wrong { what, by, method: Method::PUT, path, headers, body, status, shows: false }
}

impl Wrong<'_> {
    /// The answer's body is the session.
    fn shown(self) -> Self {
        Self { shows: true, ..self }
    }

    async fn check(self) {
        let what = self.what;
        let answer = self.by.send(self.method, self.path, self.headers, Some(self.body.to_owned())).await;
        assert_eq!(answer.status, self.status, "{what}: {answer:?}");
        let kind = answer.header("content-type").unwrap_or_default();
        if self.shows {
            assert_eq!(kind, "application/json; charset=utf-8", "{what}: {answer:?}");
            assert!(answer.json()["membersInfo"].is_object() && answer.header("etag").is_some(), "{what}: E-04: {answer:?}");
        } else if !answer.text.is_empty() {
            assert_eq!(kind, "text/plain; charset=utf-8", "{what}: E-02: {answer:?}");
            assert!(serde_json::from_str::<Value>(&answer.text).is_err(), "{what}: E-02: {answer:?}");
        }
    }
}

#[tokio::test]
async fn e10_the_earlier_check_answers() {
    let world = World::new().await;
    publish(&world, CLOSED, "titles = [77]", &[("Card", "{}")]).await;
    let (ada, bo, cy, nobody) = (world.user(1), world.user(2), world.user(3), world.nobody());
    let card = session("Card", "order");
    let mut body = joining("active");
    body["constants"] = json!({"custom": {"fixed": 1}});
    ada.put(&card, &body).await.expect(201);
    let full = session("Open", "full");
    let mut body = joining("active");
    body["constants"] = json!({"system": {"maxMembersCount": 1}});
    ada.put(&full, &body).await.expect(201);
    let closed = session("Card", "closed");
    let mut body = joining("active");
    body["properties"] = json!({"system": {"closed": true}});
    ada.put(&closed, &body).await.expect(201);

    let old = [("x-xbl-contract-version", "1")];
    let none = [("If-None-Match", "*")];
    let stale = [("If-Match", "\"stale\"")];
    let both = [("If-None-Match", "*"), ("If-Match", "\"stale\"")];
    let big = format!("{{\"x\":\"{}\"}}", "x".repeat(300_000));
    let unknown_scid = "/serviceconfigs/00000000-0000-0000-0000-000000000000/sessionTemplates/Card/sessions/a~b";
    let foreign = |template: &str, name: &str| format!("/serviceconfigs/{CLOSED}/sessionTemplates/{template}/sessions/{name}");
    let (foreign_card, foreign_name, foreign_malformed, foreign_template) =
        (foreign("Card", "x"), foreign("Card", "a~b"), foreign("a~b", "x"), foreign("Unknown", "x"));
    let malformed = session("Card", "a~b");
    let unknown = session("Unknown", "x");
    let unknown_malformed = session("Unknown", "a~b");
    let (bad_field, bad_constant) = (r#"{"properties":{"system":{"colour":1}}}"#, r#"{"constants":{"custom":{"fixed":2}}}"#);
    let bad_both = r#"{"properties":{"system":{"colour":1}},"constants":{"custom":{"fixed":2}}}"#;
    let me_and = |rest: &str| format!("{{\"members\":{{\"me\":{{}}}},{rest}}}");
    let join_and_conflict = me_and(r#""constants":{"system":{"maxMembersCount":2}}"#);
    let join_and_invalid = me_and(r#""properties":{"system":{"colour":1}}"#);

    let wrongs = [
        // 1 credential before 3 route and verb
        put("1 before 3", &nobody, "/nowhere", &[], "{}", 401),
        Wrong { method: Method::DELETE, ..put("1 before 3 verb", &nobody, &card, &old, "{}", 401) },
        put("1 before 8", &nobody, &card, &[], &big, 401),
        // 3 before 4 contract version
        put("3 before 4 path", &ada, "/nowhere", &old, "{}", 404),
        Wrong { method: Method::POST, ..put("3 before 4 verb", &ada, &card, &old, "{}", 405) },
        Wrong { method: Method::POST, ..put("3 verb before 5", &ada, &malformed, &[], "{}", 405) },
        // 4 before 5 path parts
        put("4 before 5", &ada, &malformed, &old, "{}", 406),
        put("4 before 8", &ada, &card, &old, "{", 406),
        // 5 before 6 scid, 6 before 7 template
        put("5 before 6 unknown", &ada, unknown_scid, &[], "{}", 404),
        put("5 before 6 title", &ada, &foreign_name, &[], "{}", 404),
        put("5 template before 6 title", &ada, &foreign_malformed, &[], "{}", 404),
        put("6 before 7", &ada, &foreign_template, &[], "{}", 403),
        put("5 before 7", &ada, &unknown_malformed, &[], "{}", 404),
        // 7 before 8 body
        put("6 before 8", &ada, &foreign_card, &[], "{", 403),
        put("7 before 8 syntax", &ada, &unknown, &[], "{", 404),
        put("7 before 8 size", &ada, &unknown, &[], &big, 404),
        put("7 before 8 handle", &ada, "/handles/00000000-0000-0000-0000-000000000001/session", &[], "{", 404),
        // 8 before 9 If-None-Match
        put("8 syntax before 9", &ada, &card, &none, "{", 400),
        put("8 size before 9", &ada, &card, &none, &big, 413),
        put("8 shape before 9", &ada, &card, &none, r#"{"colour":1}"#, 400),
        put("8 before 11", &cy, &card, &[], r#"{"colour":1}"#, 400),
        put("8 before 12", &ada, &card, &stale, r#"{"members":{"you":{}}}"#, 400),
        // 9 before 11 access
        put("9 before 11", &cy, &card, &none, r#"{"properties":{"custom":{}}}"#, 412),
        put("9 before 12", &ada, &card, &both, "{}", 412),
        put("9 before 13", &ada, &card, &none, bad_field, 412),
        put("9 before 14", &ada, &card, &none, bad_constant, 412),
        // 11 before 12 If-Match
        put("11 before 12", &cy, &card, &stale, r#"{"properties":{"custom":{}}}"#, 403).shown(),
        put("11 before 13", &cy, &card, &[], bad_field, 403).shown(),
        put("11 before 14", &cy, &card, &[], bad_constant, 403).shown(),
        put("11 join before 13", &bo, &closed, &[], &join_and_invalid, 403).shown(),
        // 12 before 13 validation
        put("12 before 13", &ada, &card, &stale, bad_field, 412).shown(),
        put("12 before 14", &ada, &card, &stale, bad_constant, 412).shown(),
        put("12 before 15", &bo, &full, &stale, r#"{"members":{"me":{}}}"#, 412).shown(),
        // 13 before 14 conflicts
        put("13 before 14", &ada, &card, &[], bad_both, 400),
        put("13 before 15", &bo, &full, &[], &join_and_invalid, 400),
        // 14 before 15 capacity
        put("14 before 15", &bo, &full, &[], &join_and_conflict, 409),
        put("14 alone", &ada, &card, &[], bad_constant, 409),
        put("15 alone", &bo, &full, &[], r#"{"members":{"me":{}}}"#, 400),
    ];
    let before = ada.get(&card).await.expect(200);
    for wrong in wrongs {
        wrong.check().await;
    }
    assert_eq!(ada.get(&card).await.expect(200).text, before.text, "E-06: errors change nothing");
    world.end().await;
}

#[tokio::test]
async fn e10_template_routes_and_queries_check_in_the_same_order() {
    let world = World::new().await;
    publish(&world, CLOSED, "titles = [77]", &[("Card", "{}")]).await;
    let ada = world.user(1);
    for (path, status) in [
        ("/serviceconfigs/nonsense/sessiontemplates".to_owned(), 404),
        ("/serviceconfigs/00000000-0000-0000-0000-000000000000/sessiontemplates".to_owned(), 404),
        (format!("/serviceconfigs/{CLOSED}/sessiontemplates"), 403),
        (format!("/serviceconfigs/{CLOSED}/sessiontemplates/Unknown"), 403),
        (format!("/serviceconfigs/{CLOSED}/sessiontemplates/a~b"), 404),
        (format!("/serviceconfigs/{CLOSED}/sessiontemplates/Unknown/sessions?keyword=a"), 403),
        (format!("/serviceconfigs/{CLOSED}/sessions"), 403),
        (format!("/serviceconfigs/{SCID}/sessiontemplates/Unknown"), 404),
        (format!("/serviceconfigs/{SCID}/sessiontemplates/Unknown/sessions"), 404),
        (format!("/serviceconfigs/{SCID}/sessiontemplates/Card/sessions"), 400),
    ] {
        let answer = ada.get(&path).await.expect(status);
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{path}");
        assert!(!answer.text.is_empty(), "{path}");
    }
    world.end().await;
}

#[tokio::test]
async fn e02_an_error_names_the_field() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "fields");
    ada.put(&card, &joining("active")).await.expect(201);
    for (body, field) in [
        (json!({"colour": 1}), "colour"),
        (json!({"branch": "x"}), "branch"),
        (json!({"properties": {"system": {"colour": 1}}}), "properties.system.colour"),
        (json!({"properties": {"colour": 1}}), "properties.colour"),
        (json!({"properties": {"system": {"closed": "yes"}}}), "properties.system.closed"),
        (json!({"properties": {"system": {"keywords": [1]}}}), "properties.system.keywords[0]"),
        (json!({"properties": {"system": {"turn": [7]}}}), "properties.system.turn"),
        (json!({"properties": {"system": {"locked": true}}}), "properties.system.locked"),
        (json!({"properties": 1}), "properties"),
        (json!({"constants": null}), "constants"),
        (json!({"members": {"me": {"properties": {"system": {"colour": 1}}}}}), "members.me.properties.system.colour"),
        (json!({"members": {"me": {"constants": {"system": {"xuid": "2"}}}}}), "members.me.constants.system.xuid"),
        (json!({"members": {"reserve_0": {"constants": {"system": {}}}}}), "members.reserve_0.constants.system.xuid"),
        (json!({"members": {"reserve_1": {}}}), "members.reserve_1"),
        (json!({"members": {"everybody": {}}}), "members.everybody"),
    ] {
        let refused = ada.put(&card, &body).await.expect(400);
        assert!(refused.text.starts_with(&format!("{field}: ")), "{body}: {refused:?}");
        assert_eq!(refused.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!((refused.header("etag"), refused.header("content-location")), (None, None));
    }
    world.end().await;
}

#[tokio::test]
async fn e06_timers_stay_applied_though_the_request_is_refused() {
    let world = World::new().await;
    let (ada, cy) = (world.user(1), world.user(3));
    let card = session("Card", "settled");
    ada.put(&card, &joining("active")).await.expect(201);
    let reserving = json!({"members": {"reserve_0": {"constants": {"system": {"xuid": "2"}}}}});
    let none: &[(&str, &str)] = &[];
    let refusals = [
        (&ada, none, json!({"properties": {"system": {"colour": 1}}}), 400),
        (&ada, &[("If-Match", "\"stale\"")], json!({}), 412),
        (&ada, &[("If-None-Match", "*")], json!({}), 412),
        (&cy, &[], json!({"properties": {"custom": {"a": 1}}}), 403),
        (&ada, &[], json!({"constants": {"system": {"maxMembersCount": 3}}}), 409),
        (&ada, &[], json!({}), 200),
    ];
    let mut number = 1;
    for (who, headers, body, status) in refusals {
        ada.put(&card, &reserving).await.expect(200);
        world.pass(30_000);
        who.send(Method::PUT, &card, headers, Some(body.to_string())).await.expect(status);
        number += 2;
        let rows = world.store.read_sessions(&[read_ask(&card)]).await.expect("the database answers");
        let row = rows[0].as_ref().expect("the session is stored");
        assert_eq!(row.change_number, number, "the reservation and its end are stored, and nothing else: {body}");
    }
    // The same for what would happen only.
    ada.put(&card, &reserving).await.expect(200);
    world.pass(30_000);
    ada.put(&format!("{card}?nocommit=true"), &json!({"properties": {"custom": {"a": 1}}})).await.expect(200);
    let rows = world.store.read_sessions(&[read_ask(&card)]).await.expect("the database answers");
    assert_eq!(rows[0].as_ref().map(|row| row.change_number), Some(number + 2), "R-24");
    world.end().await;
}

fn read_ask(path: &str) -> openmpsd::store::ReadAsk {
    use openmpsd::domain::names::{Scid, SessionName, SessionReference, TemplateName};
    let parts: Vec<&str> = path.split('/').collect();
    let reference = SessionReference {
        scid: Scid::parse(parts[2]).expect("a GUID"),
        template: TemplateName::parse(parts[4]).expect("a template's name"),
        name: SessionName::parse(parts[6]).expect("a session's name"),
    };
    openmpsd::store::ReadAsk { sid: reference.sid(), caller: None }
}

#[tokio::test]
async fn e13_unknown_things_are_404_but_a_missing_session_is_not() {
    let world = World::new().await;
    let ada = world.user(1);
    let unknown = "00000000-0000-0000-0000-000000000001";
    let elsewhere = format!("/serviceconfigs/{unknown}/sessionTemplates/Card/sessions/x");
    ada.get(&elsewhere).await.expect(404);
    let refused = ada.put(&elsewhere, &joining("active")).await.expect(404);
    assert!(refused.text.contains(unknown), "{refused:?}");
    let refused = ada.put(&session("Newly", "x"), &joining("active")).await.expect(404);
    assert!(refused.text.contains("Newly"), "{refused:?}");
    ada.get(&session("Newly", "x")).await.expect(404);
    ada.get(&session("Card", "x")).await.expect(204);
    ada.get(&format!("/handles/{unknown}/session")).await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn e14_contradictions_are_409() {
    let world = World::new().await;
    let ada = world.user(1);
    let with = |constants: Value| {
        let mut body = joining("active");
        body["constants"] = constants;
        body
    };
    let lobby = session("Lobby", "conflict");
    for constants in [
        json!({"system": {"maxMembersCount": 17}}),
        json!({"system": {"maxMembersCount": null}}),
        json!({"system": {"capabilities": {"gameplay": true}}}),
        json!({"system": {"capabilities": {"connectivity": false}}}),
        json!({"system": {"visibility": "private"}}),
    ] {
        let refused = ada.put(&lobby, &with(constants.clone())).await.expect(409);
        assert!(refused.text.starts_with("constants.system."), "{constants}: {refused:?}");
        ada.get(&lobby).await.expect(204);
    }
    let mut own = with(json!({"system": {"maxMembersCount": 16}}));
    own["members"]["me"]["constants"] = json!({"custom": {"side": "blue"}});
    ada.put(&lobby, &own).await.expect(201);
    own["members"]["me"]["constants"] = json!({"custom": {"side": "red"}});
    ada.put(&lobby, &own).await.expect(409);
    ada.put(&lobby, &json!({"constants": {"system": {"visibility": "OPEN"}}})).await.expect(200);
    ada.put(&lobby, &json!({"constants": {"custom": {"new": 1}}})).await.expect(409);
    world.end().await;
}

/// Every cause of a 403 has a text that says what is wrong, and none is a 401, which would make clients fetch a new token (E-05).
#[tokio::test]
async fn e01_e03_e05_e12_causes_of_403() {
    let world = World::new().await;
    publish(&world, CLOSED, "titles = [77]", &[("Card", "{}")]).await;
    let (ada, bo, server) = (world.user(1), world.user(2), world.server());
    let private = session("Private", "mine");
    ada.put(&private, &joining("active")).await.expect(201);
    let card = session("Card", "causes");
    let mut body = joining("active");
    body["properties"] = json!({"system": {"closed": true}});
    ada.put(&card, &body).await.expect(201);
    let owned = session("Browse", "owned");
    ada.put(&owned, &joining("active")).await.expect(201);
    let foreign = format!("/serviceconfigs/{CLOSED}/sessionTemplates/Card/sessions/x");
    let causes = [
        ("A-02", &ada, foreign.as_str(), json!({}), "service config"),
        ("A-10", &bo, private.as_str(), joining("active"), "not open"),
        ("A-20", &bo, card.as_str(), joining("active"), "closed"),
        ("W-30", &bo, card.as_str(), json!({"properties": {"custom": {"a": 1}}}), "not a member"),
        ("W-36", &ada, card.as_str(), json!({"servers": {"matchmaking": {}}}), "servers"),
        ("W-05", &ada, card.as_str(), json!({"members": {"7": null}}), "members.7"),
        ("W-04", &server, card.as_str(), json!({"members": {"me": {}}}), "members.me"),
        ("M-92", &bo, owned.as_str(), joining("active"), "joinRestriction"),
    ];
    for (rule, who, path, body, says) in causes {
        let answer = who.put(path, &body).await.expect(403);
        match answer.header("content-type") {
            Some("application/json; charset=utf-8") => assert!(answer.json()["membersInfo"].is_object(), "{rule}: A-11"),
            kind => {
                assert_eq!(kind, Some("text/plain; charset=utf-8"), "{rule}: E-03: no other JSON is sent");
                assert!(answer.text.contains(says), "{rule}: {answer:?}");
            }
        }
    }
    // E-01 in short: what else a session can be answered with.
    ada.get(&card).await.expect(200);
    ada.get(&session("Card", "missing")).await.expect(204);
    ada.put(&session("Card", "created"), &joining("active")).await.expect(201);
    world.nobody().get(&card).await.expect(401);
    ada.get(&session("Unknown", "x")).await.expect(404);
    ada.delete(&card).await.expect(405);
    world.end().await;
}
