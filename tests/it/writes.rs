//! Writing sessions: merge, create, preconditions, deletion (W).

use std::collections::HashMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Actor, Answer, World, joining, session};

/// A PUT of text that no JSON library of ours has touched.
async fn put_text(actor: &Actor, path: &str, body: &str) -> Answer {
    actor.send(Method::PUT, path, &[], Some(body.to_owned())).await
}

/// Sends the same kind of request many times at once, and counts the statuses.
async fn storm<Sent: Future<Output = Answer> + Send + 'static>(requests: impl Iterator<Item = Sent>) -> HashMap<u16, usize> {
    let running: Vec<_> = requests.map(tokio::spawn).collect();
    let mut counts = HashMap::new();
    for request in running {
        *counts.entry(request.await.expect("the request is answered").status).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn w03_an_empty_body_is_an_empty_object_and_the_last_of_duplicate_keys_wins() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "empty");
    // Nobody is in it and its timeout is 0: nothing is made (W-22).
    ada.send(Method::PUT, &card, &[], None).await.expect(204);
    let created = ada.put(&card, &joining("active")).await.expect(201);
    for body in ["", " \r\n\t", "{}", "\u{feff}{}"] {
        assert_eq!(put_text(&ada, &card, body).await.expect(200).etag(), created.etag(), "{body:?}");
    }
    for body in ["[]", "null", "1", "\"{}\"", "{", "{}{}", "{'a':1}", "{\"members\":{},}", "// no\n{}", "nul"] {
        let refused = put_text(&ada, &card, body).await.expect(400);
        assert!(refused.text.starts_with("body: "), "{body}: {refused:?}");
    }
    let twice = r#"{"properties":{"custom":{"a":1,"a":2}},"properties":{"custom":{"b":1,"b":{"c":3,"c":4}}}}"#;
    let written = put_text(&ada, &card, twice).await.expect(200);
    assert_eq!(written.json()["properties"]["custom"], json!({"b": {"c": 4}}));
    world.end().await;
}

#[tokio::test]
async fn w10_w11_fields_are_replaced_whole_and_null_deletes_them() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "merge");
    let mut body = joining("active");
    body["properties"] = json!({"custom": {"a": {"x": 1, "y": null}, "b": [1, 2], "c": 3}});
    ada.put(&card, &body).await.expect(201);
    let body = json!({"properties": {"custom": {"a": {"z": null}, "b": [], "c": null, "d": null}}});
    let written = ada.put(&card, &body).await.expect(200);
    assert_eq!(written.json()["properties"]["custom"], json!({"a": {"z": null}, "b": []}));
    assert_eq!(ada.get(&card).await.expect(200).text, written.text);
    world.end().await;
}

#[tokio::test]
async fn w16_w17_custom_numbers_come_back_as_they_were_spelled() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "numbers");
    let custom = concat!(
        r#"{"z":18446744073709551616,"y":-9223372036854775809,"x":1.10,"w":1e400,"v":1E+2,"u":-0,"t":0.1000,"s":-0.0,"#,
        r#""r":[340282366920938463463374607431768211456,{"q":1e-999999999,"a":100000000000000000000000000000000000000001}],"b":1}"#
    );
    ada.put(&card, &joining("active")).await.expect(201);
    let body = format!(r#"{{"properties":{{"custom":{custom}}},"members":{{"me":{{"properties":{{"custom":{custom}}}}}}}}}"#);
    let written = put_text(&ada, &card, &body).await.expect(200);
    assert_eq!(written.text.matches(custom).count(), 2, "{written:?}");
    assert_eq!(ada.get(&card).await.expect(200).text, written.text);
    assert_eq!(put_text(&ada, &card, &body).await.expect(200).etag(), written.etag(), "W-34");
    let respelled = body.replace("1.10", "11e-1").replace("1E+2", "100").replace("1e400", "10e399");
    let same = put_text(&ada, &card, &respelled).await.expect(200);
    assert_eq!((same.etag(), &same.text), (written.etag(), &written.text), "the same numbers are no change");
    world.end().await;
}

#[tokio::test]
async fn w18_what_the_service_shows_may_be_written_back() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    for (template, name) in [("Lobby", "back"), ("Card", "back"), ("Open", "back"), ("Private", "back")] {
        let path = session(template, name);
        let mut body = joining("active");
        body["properties"] =
            json!({"system": {"turn": [0], "description": {"text": "t", "locale": "en"}}, "custom": {"a": {"b": null}}});
        let me = &mut body["members"]["me"];
        me["properties"]["system"]["subscription"] =
            json!({"id": "6A1D9C3E-0F4B-4E27-8F6D-1B2C3D4E5F01", "changeTypes": ["everything"]});
        me["properties"]["custom"] = json!({"ready": false});
        let created = ada.put(&path, &body).await.expect(201);
        let shown = created.json();
        let own = &shown["members"]["0"];
        for back in [
            json!({"properties": shown["properties"]}),
            json!({"members": {"me": {"properties": own["properties"]}}}),
            json!({"members": {"0": {"properties": own["properties"], "constants": own["constants"]}}}),
            json!({"constants": shown["constants"], "properties": shown["properties"], "members": {"me": {"constants": own["constants"]}}}),
        ] {
            let same = ada.put(&path, &back).await.expect(200);
            assert_eq!((same.etag(), &same.text), (created.etag(), &created.text), "{template}: {back}");
        }
        let properties = ada.put(&format!("{path}/properties"), &shown["properties"]).await.expect(200);
        assert_eq!(properties.etag(), created.etag(), "{template}");
    }
    bo.get(&session("Card", "back")).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn w20_w22_a_put_creates_and_an_empty_session_needs_a_timeout() {
    let world = World::new().await;
    let ada = world.user(1);
    let empty = |timeout: Value| json!({"constants": {"system": {"sessionEmptyTimeout": timeout}}});
    for body in [json!({}), empty(json!(0)), json!({"properties": {"custom": {"a": 1}}})] {
        let nothing = ada.put(&session("Open", "nobody"), &body).await.expect(204);
        assert_eq!((nothing.text.as_str(), nothing.header("etag")), ("", None));
        ada.get(&session("Open", "nobody")).await.expect(204);
    }
    let created = ada.put(&session("Open", "empty"), &empty(json!(5000))).await.expect(201).json();
    assert_eq!(created["membersInfo"], json!({"first": 0, "next": 0, "count": 0, "accepted": 0, "active": 0}));
    assert_eq!(created["nextTimer"], "2031-04-05T18:00:05.1230000Z");
    let forever = ada.put(&session("Open", "forever"), &empty(Value::Null)).await.expect(201).json();
    assert_eq!(forever.get("nextTimer"), None);
    world.pass(5000);
    ada.get(&session("Open", "empty")).await.expect(204);
    ada.get(&session("Open", "forever")).await.expect(200);

    let reserved = json!({"members": {"reserve_0": {"constants": {"system": {"xuid": "2"}}}}});
    let created = ada.put(&session("Card", "reserved"), &reserved).await.expect(201).json();
    assert_eq!(created["membersInfo"]["accepted"], 0);
    world.end().await;
}

#[tokio::test]
async fn w21_me_comes_before_reservations() {
    let world = World::new().await;
    let body = r#"{"members":{"reserve_1":{"constants":{"system":{"xuid":"3"}}},"reserve_0":{"constants":{"system":{"xuid":2}}},"me":{}}}"#;
    let created = put_text(&world.user(1), &session("Card", "order"), body).await.expect(201).json();
    let xuids: Vec<&Value> = (0..3).map(|n| &created["members"][n.to_string()]["constants"]["system"]["xuid"]).collect();
    assert_eq!(xuids, ["1", "2", "3"]);
    world.end().await;
}

#[tokio::test]
async fn w25_of_simultaneous_creates_exactly_one_is_201() {
    let world = World::new().await;
    let card = session("Open", "race");
    let counts = storm((1..=40).map(|n| {
        let (actor, card) = (world.user(n), card.clone());
        async move { actor.put_if(&card, ("If-None-Match", "*"), &joining("active")).await }
    }))
    .await;
    assert_eq!(counts, HashMap::from([(201, 1), (412, 39)]));
    let one = world.user(1).get(&card).await.expect(200).json();
    assert_eq!((&one["changeNumber"], &one["membersInfo"]["count"]), (&json!(1), &json!(1)));

    let card = session("Open", "race-2");
    let counts = storm((1..=40).map(|n| {
        let (actor, card) = (world.user(n), card.clone());
        async move { actor.put(&card, &joining("active")).await }
    }))
    .await;
    assert_eq!(counts, HashMap::from([(201, 1), (200, 39)]));
    let all = world.user(1).get(&card).await.expect(200).json();
    assert_eq!((&all["changeNumber"], &all["membersInfo"]["next"]), (&json!(40), &json!(40)));
    world.end().await;
}

#[tokio::test]
async fn w47_a_session_of_eight_takes_eight_of_forty() {
    let world = World::new().await;
    let open = session("Open", "eight");
    let body = json!({"constants": {"system": {"maxMembersCount": 8, "sessionEmptyTimeout": null}}});
    world.server().put(&open, &body).await.expect(201);
    let counts = storm((1..=40).map(|n| {
        let (actor, open) = (world.user(n), open.clone());
        async move { actor.put(&open, &joining("active")).await }
    }))
    .await;
    assert_eq!(counts, HashMap::from([(200, 8), (400, 32)]));
    let session = world.server().get(&open).await.expect(200).json();
    assert_eq!(session["membersInfo"], json!({"first": 0, "next": 8, "count": 8, "accepted": 8, "active": 8}));
    assert_eq!(session["changeNumber"], 9);
    world.end().await;
}

#[tokio::test]
async fn w47_of_forty_conditional_writes_with_one_tag_one_wins() {
    let world = World::new().await;
    let card = session("Card", "cas");
    let ada = world.user(1);
    let tag = ada.put(&card, &joining("active")).await.expect(201).etag();
    let counts = storm((1..=40).map(|n| {
        let (actor, card, tag) = (ada.clone(), card.clone(), tag.clone());
        async move { actor.put_if(&card, ("If-Match", &tag), &json!({"properties": {"custom": {"n": n}}})).await }
    }))
    .await;
    assert_eq!(counts, HashMap::from([(200, 1), (412, 39)]));
    assert_eq!(ada.get(&card).await.expect(200).json()["changeNumber"], 2);
    world.end().await;
}

#[tokio::test]
async fn w47_unconditional_writes_lose_no_field() {
    let world = World::new().await;
    let card = session("Card", "fields");
    let ada = world.user(1);
    ada.put(&card, &joining("active")).await.expect(201);
    let counts = storm((1..=40).map(|n| {
        let (actor, card) = (ada.clone(), card.clone());
        async move { actor.put(&card, &json!({"properties": {"custom": {format!("f{n}"): n}}})).await }
    }))
    .await;
    assert_eq!(counts, HashMap::from([(200, 40)]));
    let read = ada.get(&card).await.expect(200).json();
    assert_eq!(
        (read["properties"]["custom"].as_object().map(serde_json::Map::len), &read["changeNumber"]),
        (Some(40), &json!(41))
    );
    world.end().await;
}

#[tokio::test]
async fn w34_a_private_note_changes_neither_tag_nor_timers() {
    let world = World::new().await;
    let card = session("Card", "device");
    let created = world.user(1).put(&card, &joining("active")).await.expect(201);
    let mut moved = crate::harness::player(1);
    moved.device_id = Some("another".to_owned());
    let again = world.actor(openmpsd::domain::principal::Principal::User(moved)).put(&card, &joining("active")).await.expect(200);
    assert_eq!((again.etag(), &again.text), (created.etag(), &created.text));
    world.end().await;
}

#[tokio::test]
async fn w35_leaving_by_null() {
    let world = World::new().await;
    let (ada, bo, cy) = (world.user(1), world.user(2), world.user(3));
    let leaving = json!({"members": {"me": null}});
    let hidden = session("Private", "leave");
    let mut body = joining("active");
    body["members"]["reserve_0"] = json!({"constants": {"system": {"xuid": "2"}}});
    ada.put(&hidden, &body).await.expect(201);
    cy.put(&hidden, &leaving).await.expect(403);
    bo.put(&hidden, &joining("active")).await.expect(200);
    let left = bo.put(&hidden, &leaving).await.expect(200);
    assert_eq!(left.json()["membersInfo"]["count"], 1, "shown though it can no longer be read");
    bo.get(&hidden).await.expect(403);

    let card = session("Card", "leave");
    let created = ada.put(&card, &joining("active")).await.expect(201);
    let nothing = cy.put(&card, &leaving).await.expect(200);
    assert_eq!((nothing.etag(), &nothing.text), (created.etag(), &created.text));
    ada.put(&card, &json!({"members": {"0": null}})).await.expect(204);
    ada.get(&card).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn w40_the_tag_is_quoted_and_the_same_for_everybody() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let card = session("Card", "tag");
    let created = ada.put(&card, &joining("active")).await.expect(201);
    let tag = created.etag();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");
    for version in ["104", "105", "107"] {
        assert_eq!(bo.send(Method::GET, &card, &[("x-xbl-contract-version", version)], None).await.expect(200).etag(), tag);
    }
    let next = ada.put(&card, &json!({"properties": {"custom": {"a": 1}}})).await.expect(200).etag();
    assert_ne!(next, tag);
    let back = ada.put(&card, &json!({"properties": {"custom": {"a": null}}})).await.expect(200).etag();
    assert!(back != next && back != tag, "strong: no tag comes twice");
    world.end().await;
}

#[tokio::test]
async fn w41_to_w46_preconditions_row_by_row() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "conditions");
    let body = || Some(joining("active").to_string());
    // The session does not exist.
    for header in ["*", "\"x\"", "x", "W/\"x\"", "\"x\", \"y\""] {
        let refused = ada.send(Method::PUT, &card, &[("If-Match", header)], body()).await.expect(412);
        assert_eq!((refused.text.as_str(), refused.header("etag")), ("", None), "W-42: {header}");
        let both = [("If-Match", header), ("If-None-Match", "*")];
        ada.send(Method::PUT, &card, &both, body()).await.expect(412);
    }
    ada.get(&card).await.expect(204);
    let created = ada.send(Method::PUT, &card, &[("If-None-Match", "*")], body()).await.expect(201);
    // It exists.
    let tag = created.etag();
    let bare = tag.trim_matches('"').to_owned();
    let (weak, list, tail) = (format!("W/{tag}"), format!("\"x\", {tag}"), format!("{bare},y"));
    let weak_bare = format!("W/{bare}");
    for current in ["*", &tag, &bare, &weak, &weak_bare, &list, &tail, "", "\"\""] {
        ada.send(Method::PUT, &card, &[("If-Match", current)], body()).await.expect(200);
    }
    let upper = tag.to_uppercase();
    for stale in ["\"x\"", "x", "W/\"x\"", "\"x\", \"y\"", &format!("{bare}0"), &upper[..5]] {
        let refused = ada.send(Method::PUT, &card, &[("If-Match", stale)], body()).await.expect(412);
        assert_eq!((refused.etag(), &refused.text), (tag.clone(), &created.text), "W-43: {stale}");
        assert!(refused.header("content-location").is_some());
    }
    for exists in ["*", &tag, &bare, &weak, &list] {
        let refused = ada.send(Method::PUT, &card, &[("If-None-Match", exists)], body()).await.expect(412);
        assert_eq!(refused.text, "", "{exists}");
    }
    for none in ["", "\"x\"", "\"\""] {
        ada.send(Method::PUT, &card, &[("If-None-Match", none)], body()).await.expect(200);
    }
    // Both: both must hold (W-46).
    for (matches, none, status) in [("*", "*", 412), (&*tag, "\"x\"", 200), ("\"x\"", "\"y\"", 412), (&tag, &tag, 412)] {
        let headers = [("If-Match", matches), ("If-None-Match", none)];
        ada.send(Method::PUT, &card, &headers, body()).await.expect(status);
    }
    // Reading (W-44).
    for (header, value, status) in [
        ("If-None-Match", &*tag, 304),
        ("If-None-Match", &bare, 304),
        ("If-None-Match", &weak, 304),
        ("If-None-Match", &list, 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", "", 200),
        ("If-None-Match", "\"x\"", 200),
        ("If-Match", "\"x\"", 200),
    ] {
        let read = ada.send(Method::GET, &card, &[(header, value)], None).await.expect(status);
        assert_eq!(read.etag(), tag, "{header}: {value}");
        assert_eq!(read.text.is_empty(), status == 304);
    }
    assert_eq!(ada.get(&card).await.expect(200).text, created.text);
    world.end().await;
}

#[tokio::test]
async fn w43_a_stale_tag_shows_the_session_to_readers_only() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let hidden = session("Private", "stale");
    ada.put(&hidden, &joining("active")).await.expect(201);
    let refused = bo.put_if(&hidden, ("If-Match", "\"x\""), &joining("active")).await.expect(403);
    assert_eq!(refused.header("content-type"), Some("text/plain; charset=utf-8"));
    let exists = bo.put_if(&hidden, ("If-None-Match", "*"), &joining("active")).await.expect(412);
    assert_eq!(exists.text, "", "checked before access");
    world.end().await;
}

#[tokio::test]
async fn w45_the_four_write_modes_of_xsapi() {
    let world = World::new().await;
    let ada = world.user(1);
    let (card, body) = (session("Card", "modes"), joining("active"));
    let update = json!({"properties": {"custom": {"n": 1}}});
    ada.put_if(&card, ("If-Match", "*"), &body).await.expect(412);
    ada.put_if(&card, ("If-None-Match", "*"), &body).await.expect(201);
    ada.put_if(&card, ("If-None-Match", "*"), &body).await.expect(412);
    let updated = ada.put_if(&card, ("If-Match", "*"), &update).await.expect(200);
    ada.put_if(&card, ("If-Match", &updated.etag()), &json!({"properties": {"custom": {"n": 2}}})).await.expect(200);
    let behind = ada.put_if(&card, ("If-Match", &updated.etag()), &json!({"properties": {"custom": {"n": 3}}})).await.expect(412);
    ada.put_if(&card, ("If-Match", &behind.etag()), &json!({"properties": {"custom": {"n": 3}}})).await.expect(200);
    ada.put(&card, &json!({"properties": {"custom": {"n": 4}}})).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn w60_w61_w63_an_emptied_session_is_gone_and_starts_anew() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let card = session("Card", "anew");
    let first = ada.put(&card, &joining("active")).await.expect(201).json();
    bo.put(&card, &joining("active")).await.expect(200);
    ada.put(&card, &json!({"members": {"me": null}})).await.expect(200);
    let gone = bo.put(&card, &json!({"members": {"me": null}})).await.expect(204);
    assert_eq!((gone.text.as_str(), gone.header("etag")), ("", None), "W-63");
    world.pass(1000);
    let second = bo.put(&card, &joining("active")).await.expect(201).json();
    assert_eq!(second["correlationId"], first["correlationId"]);
    assert_ne!(second["branch"], first["branch"]);
    assert_eq!(second["startTime"], "2031-04-05T18:00:01.1230000Z");
    assert_eq!((&second["changeNumber"], &second["membersInfo"]["first"]), (&json!(1), &json!(0)));

    let lasting = session("Open", "lasting");
    let mut body = joining("active");
    body["constants"] = json!({"system": {"sessionEmptyTimeout": 60000}});
    ada.put(&lasting, &body).await.expect(201);
    let emptied = ada.put(&lasting, &json!({"members": {"me": null}})).await.expect(200);
    assert_eq!(emptied.json()["nextTimer"], "2031-04-05T18:01:01.1230000Z");
    world.pass(59_999);
    bo.get(&lasting).await.expect(200);
    world.pass(1);
    bo.get(&lasting).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn w62_a_session_takes_its_activities_with_it() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let card = session("Card", "activities");
    ada.put(&card, &joining("active")).await.expect(201);
    let body =
        json!({"type": "activity", "sessionRef": {"scid": crate::harness::SCID, "templateName": "Card", "name": "activities"}});
    let made = ada.post("/handles", &body).await.expect(201).json();
    let handle = format!("/handles/{}", made["id"].as_str().unwrap_or_default());
    bo.get(&handle).await.expect(200);
    ada.delete(&format!("{card}/members/me")).await.expect(204);
    ada.get(&handle).await.expect(404);
    ada.get(&format!("{handle}/session")).await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn w70_w71_old_names_for_old_requests_only() {
    let world = World::new().await;
    let ada = world.user(1);
    let old = json!({"timeouts": {"reserved": 1000, "inactive": 2000, "ready": 3000, "sessionEmpty": 4000}});
    let new = json!({"reservedRemovalTimeout": 1000, "inactiveRemovalTimeout": 2000, "readyRemovalTimeout": 3000, "sessionEmptyTimeout": 4000});
    let with = |system: &Value| {
        let mut body = joining("active");
        body["constants"] = json!({"system": system});
        body.to_string()
    };
    for version in ["104", "105", "106"] {
        let header = [("x-xbl-contract-version", version)];
        for (form, system) in [("old", &old), ("new", &new)] {
            let path = session("Open", &format!("v{version}-{form}"));
            ada.send(Method::PUT, &path, &header, Some(with(system))).await.expect(201);
            let read = ada.get(&path).await.expect(200).json();
            for (name, value) in new.as_object().expect("an object") {
                assert_eq!(&read["constants"]["system"][name], value, "{version} {form} {name}");
            }
            assert_eq!(read["constants"]["system"].get("timeouts"), None);
            let repeated = ada.send(Method::PUT, &path, &header, Some(with(system))).await.expect(200);
            assert_eq!(repeated.etag(), ada.get(&path).await.etag());
        }
        let both = json!({"timeouts": {"ready": 3000}, "readyRemovalTimeout": 3000});
        let refused = ada.send(Method::PUT, &session("Open", "both"), &header, Some(with(&both))).await.expect(400);
        assert!(refused.text.contains("constants.system"), "{refused:?}");
    }
    for system in [&old, &json!({"managedInitialization": {"joinTimeout": 1}}), &json!({"timeouts": {}})] {
        let refused = ada.send(Method::PUT, &session("Open", "new"), &[], Some(with(system))).await.expect(400);
        let name = system.as_object().and_then(|fields| fields.keys().next()).expect("a field");
        assert!(refused.text.starts_with(&format!("constants.system.{name}: ")), "{refused:?}");
        ada.get(&session("Open", "new")).await.expect(204);
    }
    world.end().await;
}
