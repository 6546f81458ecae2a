//! The routes and their headers (R).

use openmpsd::domain::instant::render_instant;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, SCID, World, joining, session};

/// A PUT that joins without saying more.
fn me() -> Value {
    json!({"members": {"me": {}}})
}

/// An activity of a session of the sample service config.
fn activity(template: &str, name: &str) -> Value {
    json!({"type": "activity", "version": 1, "sessionRef": {"scid": SCID, "templateName": template, "name": name}})
}

fn content_type(answer: &Answer) -> &str {
    answer.header("content-type").unwrap_or_default()
}

#[tokio::test]
async fn r20_r22_a_session_is_created_read_and_gone() {
    let world = World::new().await;
    let ada = world.user(1);
    let lobby = session("Lobby", "foo");
    ada.get(&lobby).await.expect(204);
    let created = ada.put(&lobby, &joining("active")).await.expect(201);
    assert_eq!(created.header("cache-control"), Some("no-cache"), "R-14");
    assert_eq!(
        created.header("content-location"),
        Some("/serviceconfigs/5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7/sessiontemplates/Lobby/sessions/foo"),
        "R-12"
    );
    let read = ada.get(&lobby).await.expect(200);
    assert_eq!((read.etag(), &read.text), (created.etag(), &created.text));
    ada.put(&lobby, &json!({"members": {"me": null}})).await.expect(204);
    ada.get(&lobby).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn r02_r03_every_request_names_its_contract_version() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "v");
    ada.put(&card, &me()).await.expect(201);
    let paths = [card.as_str(), &format!("/serviceconfigs/{SCID}/sessiontemplates"), "/handles/nonsense"];
    for path in paths {
        for (version, status) in [("", 400), ("1O7", 400), ("-107", 400), ("107.5", 400), ("103", 406), ("7", 406), ("207", 406)]
        {
            let answer = ada.send(Method::GET, path, &[("x-xbl-contract-version", version)], None).await.expect(status);
            assert_eq!(content_type(&answer), "text/plain; charset=utf-8", "{version}: E-02");
            assert!(answer.text.contains("X-Xbl-Contract-Version"), "{answer:?}");
        }
    }
    for version in ["104", "105", "106", "107", "108", "199"] {
        ada.send(Method::GET, &card, &[("x-xbl-CONTRACT-version", version)], None).await.expect(200);
    }
    world.end().await;
}

#[tokio::test]
async fn r04_s05_paths_in_any_case_and_with_a_trailing_slash() {
    let world = World::new().await;
    let ada = world.user(1);
    let created = ada.put(&session("Card", "Foo-Bar"), &joining("active")).await.expect(201);
    let upper = SCID.to_uppercase();
    for path in [
        format!("/serviceconfigs/{SCID}/sessiontemplates/card/sessions/foo-bar"),
        format!("/ServiceConfigs/{upper}/SESSIONTEMPLATES/CARD/Sessions/FOO-BAR"),
        format!("/serviceconfigs/{SCID}/sessionTemplates/Card/sessions/Foo-Bar/"),
        format!("/serviceconfigs/{SCID}/sessionTemplates/C%61rd/sessions/Foo%2DBar"),
    ] {
        let read = ada.get(&path).await.expect(200);
        assert_eq!(read.text, created.text, "{path}");
        assert_eq!(read.header("content-location"), created.header("content-location"), "{path}: the case of its creation");
        let written = ada.put(&path, &json!({})).await.expect(200);
        assert_eq!(written.etag(), created.etag(), "{path}");
    }
    let handle = ada.post("/HANDLES/", &activity("CARD", "FOO-BAR")).await.expect(201).json();
    assert_eq!(handle["sessionRef"], json!({"scid": SCID, "templateName": "Card", "name": "Foo-Bar"}));
    let id = handle["id"].as_str().expect("a handle has an id").to_uppercase();
    ada.get(&format!("/Handles/{id}/")).await.expect(200);
    ada.get(&format!("/Handles/{id}/Session")).await.expect(200);
    let query = json!({"type": "activity", "owners": {"xuids": ["1"]}});
    assert_eq!(ada.post("/handles/QUERY/", &query).await.expect(200).json()["results"][0]["id"], handle["id"]);
    ada.put(&format!("{}/PROPERTIES", session("card", "foo-bar")), &json!({"custom": {"a": 1}})).await.expect(200);
    ada.delete(&format!("{}/Members/ME/", session("card", "foo-bar"))).await.expect(204);
    ada.get(&format!("{}//", session("Card", "Foo-Bar"))).await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn r05_a_body_is_json_whatever_its_content_type_says_unless_it_says_otherwise() {
    let world = World::new().await;
    let ada = world.user(1);
    let body = || Some(json!({"type": "activity", "owners": {"xuids": ["1"]}}).to_string());
    for kind in ["", "application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8"] {
        ada.send(Method::POST, "/handles/query", &[("content-type", kind)], body()).await.expect(200);
    }
    for kind in ["text/xml", "application/xml; charset=utf-8", "multipart/form-data", "application/x-www-form-urlencoded"] {
        let refused = ada.send(Method::POST, "/handles/query", &[("content-type", kind)], body()).await.expect(400);
        assert!(refused.text.contains("Content-Type"), "{refused:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn r06_s02_a_session_has_its_keys_and_no_null() {
    let world = World::new().await;
    let ada = world.user(1);
    let created = ada.put(&session("Open", "bare"), &me()).await;
    assert_eq!(created.status, 204, "an inactive creator with no timeouts is gone at once: {created:?}");
    let mut body = joining("active");
    body["constants"] = json!({"system": {"sessionEmptyTimeout": null, "inviteProtocol": null}});
    let created = ada.put(&session("Open", "bare"), &body).await.expect(201);
    assert!(!created.text.contains("null"), "{created:?}");
    let document = created.json();
    for key in ["constants", "properties", "members", "membersInfo", "servers"] {
        assert!(document[key].is_object(), "{key}");
    }
    assert!(document["members"]["0"]["constants"]["system"].is_object());
    assert!(document["members"]["0"]["properties"]["system"].is_object());
    world.end().await;
}

#[tokio::test]
async fn r07_r14_every_answer_has_a_date_and_no_cache() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "d");
    let created = ada.put(&card, &me()).await.expect(201);
    let tag = created.etag();
    let answers = [
        created,
        ada.get(&card).await.expect(200),
        ada.send(Method::GET, &card, &[("If-None-Match", &tag)], None).await.expect(304),
        ada.get(&session("Card", "none")).await.expect(204),
        ada.put_if(&card, ("If-None-Match", "*"), &json!({})).await.expect(412),
        ada.put_if(&card, ("If-Match", "\"x\""), &json!({})).await.expect(412),
        ada.put(&card, &json!({"colour": 1})).await.expect(400),
        world.nobody().get(&card).await.expect(401),
        world.user(2).put(&card, &json!({})).await.expect(403),
        ada.get("/nowhere").await.expect(404),
        ada.delete(&card).await.expect(405),
        ada.send(Method::GET, &card, &[("x-xbl-contract-version", "1")], None).await.expect(406),
    ];
    for answer in answers {
        assert!(answer.header("date").is_some_and(|date| date.ends_with(" GMT")), "R-07: {answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "R-14: {answer:?}");
        let expected = match answer.text.chars().next() {
            None => "",
            Some('{') => "application/json; charset=utf-8",
            Some(_) => "text/plain; charset=utf-8",
        };
        assert_eq!(content_type(&answer), expected, "{answer:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn r08_a_wrong_verb_is_405_with_allow_and_an_unknown_path_404() {
    let world = World::new().await;
    let (ada, admin) = (world.user(1), world.admin());
    let card = session("Card", "verbs");
    ada.put(&card, &me()).await.expect(201);
    let id =
        ada.post("/handles", &activity("Card", "unborn")).await.expect(201).json()["id"].as_str().unwrap_or_default().to_owned();
    let routes = [
        (card.clone(), "GET, PUT"),
        (format!("{card}/constants"), "GET"),
        (format!("{card}/properties"), "GET, PUT"),
        (format!("{card}/members/me"), "GET, PUT, DELETE"),
        (format!("{card}/members/0"), "GET, PUT, DELETE"),
        (format!("{card}/servers/arena"), "GET, PUT, DELETE"),
        (format!("/serviceconfigs/{SCID}/sessions"), "GET"),
        (format!("/serviceconfigs/{SCID}/sessiontemplates"), "GET"),
        (format!("/serviceconfigs/{SCID}/sessiontemplates/Card"), "GET"),
        (format!("/serviceconfigs/{SCID}/sessiontemplates/Card/sessions"), "GET"),
        (format!("/serviceconfigs/{SCID}/batch"), "POST"),
        (format!("/serviceconfigs/{SCID}/sessiontemplates/Card/batch"), "POST"),
        ("/handles".to_owned(), "POST"),
        ("/handles/query".to_owned(), "POST"),
        (format!("/handles/{id}"), "GET, DELETE"),
        (format!("/handles/{id}/session"), "GET, PUT"),
        ("/admin/social/1/follows/2".to_owned(), "PUT, DELETE"),
        ("/admin/social/edges".to_owned(), "GET, POST, PUT"),
        ("/admin/dev/clock".to_owned(), "POST"),
        ("/admin/sessions".to_owned(), "GET"),
        (format!("/admin{card}"), "GET, DELETE"),
        (format!("/admin{card}/members/0"), "DELETE"),
        ("/admin/handles".to_owned(), "GET"),
        ("/admin/bans".to_owned(), "GET"),
        ("/admin/bans/1".to_owned(), "GET, PUT, DELETE"),
        ("/admin/audit".to_owned(), "GET"),
        ("/admin/serviceconfigs".to_owned(), "GET"),
        (format!("/admin/serviceconfigs/{SCID}"), "PUT"),
        (format!("/admin/serviceconfigs/{SCID}/sessiontemplates/Card"), "GET, PUT"),
    ];
    let verbs = [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH, Method::OPTIONS];
    for (path, allow) in &routes {
        for verb in verbs.iter().filter(|verb| !allow.split(", ").any(|allowed| allowed == verb.as_str())) {
            let actor = if path.starts_with("/admin") { &admin } else { &ada };
            let answer = actor.send(verb.clone(), path, &[], None).await.expect(405);
            assert_eq!(answer.header("allow"), Some(*allow), "{verb} {path}");
            assert_eq!(content_type(&answer), "text/plain; charset=utf-8", "{verb} {path}");
        }
    }
    for path in
        ["/", "/serviceconfigs", "/handles/1/2", "/debug", &format!("{card}/colour"), &format!("{card}/members/me/x"), "/%ff"]
    {
        let answer = ada.get(path).await.expect(404);
        assert_eq!(content_type(&answer), "text/plain; charset=utf-8", "{path}");
    }
    ada.get(&card).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn r10_r11_other_headers_and_the_host_do_not_matter() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "host");
    let created = ada.put(&card, &me()).await.expect(201);
    let headers = [
        "Host: sessiondirectory.xboxlive.com",
        "Accept: text/plain",
        "Accept-Language: de-DE, xx;q=0",
        "User-Agent: XboxServicesAPI/2021",
        "Signature: AAAAAQ==",
        "MS-CV: abc.1",
        "X-Whatever: ?",
        "Accept-Encoding: gzip",
        "X-Xbl-OnBehalfOf-Users: nonsense",
    ];
    let read = ada.raw(&format!("GET {card}"), &headers, b"").await.expect(200);
    assert_eq!(read.text, created.text);
    assert_eq!(read.header("content-location"), created.header("content-location"));
    world.end().await;
}

#[tokio::test]
async fn r12_r13_e04_whoever_gets_a_session_gets_its_headers() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "headers");
    let created = ada.put(&card, &me()).await.expect(201);
    let inactive = json!({"members": {"me": {}}});
    let shown = [
        ada.get(&card).await.expect(200),
        ada.put(&card, &inactive).await.expect(200),
        ada.put_if(&card, ("If-Match", "\"stale\""), &json!({})).await.expect(412),
        world.user(2).put(&card, &json!({"properties": {"custom": {"a": 1}}})).await.expect(403),
    ];
    let next_timer = created.json()["nextTimer"].as_str().expect("an inactive member has a timer").to_owned();
    assert_eq!(next_timer, "2031-04-05T20:00:00.1230000Z");
    for answer in shown {
        assert_eq!(answer.text, created.text, "R-09");
        assert_eq!(answer.etag(), created.etag());
        assert_eq!(answer.header("content-location"), Some(card.replace("sessionTemplates", "sessiontemplates").as_str()));
        assert_eq!(answer.header("expires"), Some("Sat, 05 Apr 2031 20:00:00 GMT"), "R-13");
        assert_eq!(content_type(&answer), "application/json; charset=utf-8");
    }
    let active = ada.put(&card, &joining("active")).await.expect(200);
    assert_eq!((active.header("expires"), &active.json()["nextTimer"]), (None, &Value::Null), "no timer, no Expires");
    world.end().await;
}

#[tokio::test]
async fn r15_r57_malformed_path_parts_are_404_like_unknown_ones() {
    let world = World::new().await;
    let ada = world.user(1);
    let long = |n: usize| "n".repeat(n);
    let (hundred, more) = (long(100), long(101));
    let names =
        ["a~b", "a%2Fb", "a%20b", "%00", "a%00", "-a", ".a", "_a", "%C3%A4", "a%25", "a+b", more.as_str(), "%ED%A0%80", "a*"];
    let scid = |scid: &str| format!("/serviceconfigs/{scid}/sessionTemplates/Card/sessions/x");
    let mut paths: Vec<String> = names.iter().map(|name| session("Card", name)).collect();
    paths.extend(names.iter().map(|name| session(name, "x")));
    paths.extend([
        scid("nonsense"),
        scid("00000000-0000-0000-0000-000000000000"),
        scid("5f0c1a527c1e4b529d0e00007a11b0a7"),
        scid(&format!("%7B{SCID}%7D")),
        session("Unknown", "x"),
    ]);
    for path in &paths {
        for method in [Method::GET, Method::PUT] {
            let body = (method == Method::PUT).then(|| me().to_string());
            let answer = ada.send(method, path, &[], body).await.expect(404);
            assert!(!answer.text.is_empty(), "{path}");
        }
    }
    for handle in ["nonsense", "5f0c1a52", "%7B00000000-0000-0000-0000-000000000001%7D", "00000000-0000-0000-0000-000000000001"] {
        ada.get(&format!("/handles/{handle}")).await.expect(404);
        ada.delete(&format!("/handles/{handle}")).await.expect(404);
        ada.get(&format!("/handles/{handle}/session")).await.expect(404);
        ada.put(&format!("/handles/{handle}/session"), &me()).await.expect(404);
    }
    ada.put(&session("Card", &hundred), &me()).await.expect(201);
    ada.put(&session("Card", "0(a).b_c-"), &me()).await.expect(201);
    world.end().await;
}

#[tokio::test]
async fn r15_the_same_defect_in_a_body_is_400() {
    let world = World::new().await;
    let ada = world.user(1);
    for (field, value) in [("scid", "nonsense"), ("templateName", "a~b"), ("name", "a b")] {
        let mut body = activity("Card", "x");
        body["sessionRef"][field] = json!(value);
        let refused = ada.post("/handles", &body).await.expect(400);
        assert!(refused.text.starts_with(&format!("sessionRef.{field}: ")), "{refused:?}");
    }
    ada.post("/handles", &activity("Unknown", "x")).await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn r21_timers_are_evaluated_before_a_read() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "read");
    let created = ada.put(&card, &joining("active")).await.expect(201);
    let reserving = json!({"members": {"reserve_0": {"constants": {"system": {"xuid": "2"}}}}});
    let reserved = ada.put(&card, &reserving).await.expect(200);
    world.pass(29_999);
    ada.send(Method::GET, &card, &[("If-None-Match", &reserved.etag())], None).await.expect(304);
    world.pass(1);
    let read = ada.send(Method::GET, &card, &[("If-None-Match", &reserved.etag())], None).await.expect(200);
    assert_eq!(read.json()["changeNumber"], 3);
    assert_eq!(read.json()["members"].as_object().expect("members").len(), 1);
    assert_ne!(read.etag(), created.etag(), "a timer's change is a change (W-40)");

    let idle = session("Card", "idle");
    let created = ada.put(&idle, &me()).await.expect(201);
    world.pass(7_200_000);
    ada.send(Method::GET, &idle, &[("If-None-Match", &created.etag())], None).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn r23_w34_a_repeated_put_changes_nothing() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "twice");
    let mut body = joining("active");
    body["properties"] = json!({"system": {"keywords": ["a"], "closed": true}, "custom": {"n": {"deep": [1, 2]}}});
    let created = ada.put(&card, &body).await.expect(201);
    world.pass(1000);
    let again = ada.put(&card, &body).await.expect(200);
    assert_eq!((again.etag(), &again.text), (created.etag(), &created.text));
    let reactivated =
        json!({"members": {"me": {"properties": {"system": {"connection": "9e2d4b77-6c0a-4a5f-b3f1-5d8c7a6e4b02"}}}}});
    let changed = ada.put(&card, &reactivated).await.expect(200);
    assert_ne!(changed.etag(), created.etag(), "a new connection is a change");
    world.end().await;
}

#[tokio::test]
async fn r24_nocommit_says_what_would_happen_and_stores_nothing() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "dry");
    let dry = format!("{card}?nocommit=true");
    let foretold = ada.put(&dry, &joining("active")).await.expect(201);
    assert_eq!(foretold.header("etag"), None, "there is none as long as the session does not exist");
    assert_eq!(foretold.json()["changeNumber"], 1);
    ada.get(&card).await.expect(204);

    let created = ada.put(&card, &joining("active")).await.expect(201);
    ada.post("/handles", &activity("Card", "dry")).await.expect(201);
    let updated = ada.put(&dry, &json!({"properties": {"custom": {"a": 1}}})).await.expect(200);
    assert_eq!(updated.etag(), created.etag(), "the stored one");
    assert_eq!((&updated.json()["properties"]["custom"], &updated.json()["changeNumber"]), (&json!({"a": 1}), &json!(2)));
    let inactive = json!({"members": {"me": {"properties": {"system": {"active": false}}}}});
    assert!(ada.put(&dry, &inactive).await.expect(200).json()["nextTimer"].is_string());
    ada.put(&dry, &json!({"members": {"me": null}})).await.expect(204);
    ada.put(&dry, &json!({"colour": 1})).await.expect(400);
    ada.send(Method::PUT, &dry, &[("If-None-Match", "*")], Some("{}".to_owned())).await.expect(412);
    ada.send(Method::PUT, &dry, &[("If-Match", "\"x\"")], Some("{}".to_owned())).await.expect(412);
    assert_eq!(
        ada.put(&format!("{card}?NoCommit=TRUE"), &json!({"properties": {"custom": {"b": 1}}})).await.expect(200).etag(),
        created.etag()
    );
    world.user(2).put(&dry, &json!({})).await.expect(403);
    world.user(2).put(&dry, &me()).await.expect(200);

    let query = json!({"type": "activity", "owners": {"xuids": ["1"]}});
    assert_eq!(ada.post("/handles/query", &query).await.expect(200).json()["results"].as_array().map(Vec::len), Some(1));
    let read = ada.get(&card).await.expect(200);
    assert_eq!((read.etag(), &read.text), (created.etag(), &created.text));
    let done = ada.put(&format!("{card}?nocommit=false"), &json!({"properties": {"custom": {"a": 1}}})).await.expect(200);
    assert_ne!(done.etag(), created.etag());
    world.end().await;
}

#[tokio::test]
async fn r24_nocommit_by_handle_stores_nothing_either() {
    let world = World::new().await;
    let ada = world.user(1);
    let handle = ada.post("/handles", &activity("Card", "later")).await.expect(201).json();
    let path = format!("/handles/{}/session", handle["id"].as_str().unwrap_or_default());
    ada.get(&path).await.expect(204);
    let foretold = ada.put(&format!("{path}?nocommit=true"), &joining("active")).await.expect(201);
    assert_eq!(foretold.header("etag"), None);
    ada.get(&path).await.expect(204);
    let created = ada.put(&path, &joining("active")).await.expect(201);
    assert_eq!(created.header("content-location"), Some(session("Card", "later").replace("sessionT", "sessiont").as_str()));
    world.end().await;
}

#[tokio::test]
async fn r25_properties_are_written_as_an_element() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "element");
    let properties = format!("{card}/properties");
    let body = json!({"system": {"closed": true}, "custom": {"a": 1}});
    ada.put(&properties, &body).await.expect(404);
    ada.put_if(&properties, ("If-Match", "*"), &body).await.expect(404);
    let created = ada.put(&card, &joining("active")).await.expect(201);
    let written = ada.put_if(&properties, ("If-Match", &created.etag()), &body).await.expect(200);
    assert_eq!(written.json()["properties"]["custom"], json!({"a": 1}));
    assert_eq!(written.json()["properties"]["system"]["closed"], true);
    assert!(written.header("content-location").is_some_and(|path| path.ends_with("/sessions/element")));
    let stale = ada.put_if(&properties, ("If-Match", &created.etag()), &json!({"custom": {"a": 2}})).await.expect(412);
    assert_eq!((stale.etag(), &stale.text), (written.etag(), &written.text));
    ada.put_if(&properties, ("If-None-Match", "*"), &body).await.expect(412);
    assert_eq!(ada.put(&properties, &body).await.expect(200).etag(), written.etag(), "W-34");
    assert_eq!(ada.put(&properties, &json!({})).await.expect(200).etag(), written.etag());
    let whole = ada.put(&properties, &json!({"properties": {}})).await.expect(400);
    assert!(whole.text.starts_with("properties.properties: "), "{whole:?}");
    ada.put(&properties, &json!({"system": null})).await.expect(400);
    world.user(2).put(&properties, &json!({"custom": {}})).await.expect(403);
    world.server().put(&properties, &json!({"custom": {"by": "server"}})).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn r28_r29_leaving_by_delete() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let card = session("Card", "leave");
    let own = format!("{card}/members/me");
    ada.delete(&own).await.expect(404);
    let created = ada.put(&card, &joining("active")).await.expect(201);
    bo.delete(&own).await.expect(204);
    assert_eq!(ada.get(&card).await.expect(200).etag(), created.etag(), "nobody left");
    bo.put(&card, &joining("active")).await.expect(200);
    let stale = bo.send(Method::DELETE, &own, &[("If-Match", &created.etag())], None).await.expect(412);
    assert_eq!(stale.json()["membersInfo"]["count"], 2, "the session as it is");
    world.server().delete(&own).await.expect(403);
    let left =
        bo.send(Method::DELETE, &own, &[("If-Match", &stale.etag())], Some("a body nobody reads".to_owned())).await.expect(204);
    assert_eq!((left.text.as_str(), left.header("etag")), ("", None), "R-32");
    let read = ada.get(&card).await.expect(200);
    assert_eq!(read.json()["membersInfo"], json!({"first": 0, "next": 2, "count": 1, "accepted": 1, "active": 1}));
    ada.delete(&own).await.expect(204);
    ada.get(&card).await.expect(204);
    ada.delete(&own).await.expect(404);

    // Nobody needs to be able to read what they are not in.
    let hidden = session("Private", "leave");
    ada.put(&hidden, &joining("active")).await.expect(201);
    bo.delete(&format!("{hidden}/members/me")).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn r50_r52_an_activity_is_made_read_replaced_and_deleted() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&session("Card", "one"), &joining("active")).await.expect(201);
    let made = ada.post("/handles?include=relatedInfo", &activity("Card", "one")).await.expect(201);
    assert_eq!(content_type(&made), "application/json; charset=utf-8");
    let document = made.json();
    assert_eq!(document["createTime"], render_instant(world.clock.now()));
    assert_eq!(document["relatedInfo"]["membersCount"], 1);
    let path = format!("/handles/{}", document["id"].as_str().unwrap_or_default());
    let read = ada.get(&format!("{path}?include=RELATEDINFO,unknown")).await.expect(200);
    assert_eq!(read.json(), document, "R-51, R-56");
    assert_eq!(ada.get(&path).await.expect(200).json().get("relatedInfo"), None);
    assert_eq!(world.user(2).get(&path).await.expect(200).json()["ownerXuid"], "1", "a reader of its session");
    world.user(2).delete(&path).await.expect(403);
    ada.post("/handles", &activity("Card", "two")).await.expect(201);
    ada.get(&path).await.expect(404);
    let second = ada.post("/handles", &activity("Card", "one")).await.expect(201).json();
    let path = format!("/handles/{}", second["id"].as_str().unwrap_or_default());
    let gone = ada.delete(&path).await.expect(204);
    assert_eq!(gone.text, "");
    ada.delete(&path).await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn r53_r54_a_session_is_read_and_written_through_its_handle() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let card = session("Card", "through");
    let created = ada.put(&card, &joining("active")).await.expect(201);
    let made = ada.post("/handles", &activity("Card", "through")).await.expect(201).json();
    let path = format!("/handles/{}/session", made["id"].as_str().unwrap_or_default());
    let read = bo.get(&path).await.expect(200);
    assert_eq!((read.etag(), &read.text), (created.etag(), &created.text));
    assert_eq!(read.header("content-location"), created.header("content-location"), "R-12");
    bo.send(Method::GET, &path, &[("If-None-Match", &read.etag())], None).await.expect(304);
    bo.put_if(&path, ("If-Match", "\"x\""), &me()).await.expect(412);
    bo.put_if(&path, ("If-None-Match", "*"), &me()).await.expect(412);
    let joined = bo.put_if(&path, ("If-Match", "*"), &joining("active")).await.expect(200);
    assert_eq!(joined.json()["membersInfo"]["count"], 2);
    assert_eq!(joined.header("content-location"), created.header("content-location"), "R-12");
    world.user(3).put(&path, &json!({})).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn r70_health_needs_no_credential() {
    let world = World::new().await;
    for path in ["/health", "/health/ready"] {
        world.nobody().send(Method::GET, path, &[("x-xbl-contract-version", "")], None).await.expect(200);
    }
    world.end().await;
}
