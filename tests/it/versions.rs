//! Requests and answers of different contract versions on one session (T-50 to T-55, S-20, W-70, W-71).

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Actor, Answer, World, session};
use crate::story::{active, creating, open};

/// The same caller under another contract version.
fn under(actor: &Actor, version: &str) -> Actor {
    actor.clone().with("X-Xbl-Contract-Version", version)
}

/// What a session of 107 looks like under 105, as far as these tests fill it.
fn aged(new: &Value, version: u32) -> Value {
    let mut old = new.clone();
    old["contractVersion"] = json!(new["contractVersion"].as_u64().expect("a number") / 100 * 100 + u64::from(version));
    let system = old["constants"]["system"].as_object_mut().expect("constants.system");
    let mut timeouts = serde_json::Map::new();
    for (older, newer) in [
        ("reserved", "reservedRemovalTimeout"),
        ("inactive", "inactiveRemovalTimeout"),
        ("ready", "readyRemovalTimeout"),
        ("sessionEmpty", "sessionEmptyTimeout"),
    ] {
        if let Some(value) = system.remove(newer) {
            timeouts.insert(older.to_owned(), value);
        }
    }
    if !timeouts.is_empty() {
        system.insert("timeouts".to_owned(), timeouts.into());
    }
    if let Some(mut section) = system.remove("memberInitialization") {
        let fields = section.as_object_mut().expect("an object");
        let external = fields.remove("externalEvaluation").expect("it is filled in");
        fields.insert("autoEvaluate".to_owned(), json!(external == json!(false)));
        system.insert("managedInitialization".to_owned(), section);
    }
    for member in old["members"].as_object_mut().expect("members").values_mut() {
        let system = member["properties"]["system"].as_object_mut().expect("properties.system");
        if let Some(group) = system.remove("initializationGroup") {
            system.insert("group".to_owned(), group);
        }
    }
    old
}

/// A session with everything that has an old name.
fn everything() -> Value {
    json!({
        "constants": {"system": {
            "version": 2,
            "capabilities": {"connectivity": true},
            "inactiveRemovalTimeout": 7_200_000,
            "readyRemovalTimeout": null,
            "memberInitialization": {"membersNeededToStart": 1, "externalEvaluation": true},
        }, "custom": {"memberInitialization": 18_446_744_073_709_551_615_u64, "timeouts": 1.10}},
        "properties": {"custom": {"initializationGroup": [1.50], "group": "g"}},
        "members": {"me": {
            "constants": {"system": {"initialize": true}},
            "properties": {"system": {"active": true, "initializationGroup": [0]}, "custom": {"group": 1}},
        }},
    })
}

#[tokio::test]
async fn t52_s20_every_answer_with_a_session_speaks_the_requests_version() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let lobby = open("t52");
    let created = ada.put(&lobby, &everything()).await.expect(201);
    let new = created.json();
    assert_eq!(new["contractVersion"], 207);
    for (version, minor) in [("104", 4), ("105", 5), ("106", 5)] {
        let expected = aged(&new, minor);
        assert_eq!(expected["constants"]["system"]["managedInitialization"]["autoEvaluate"], false);
        assert_eq!(expected["members"]["0"]["properties"]["system"]["group"], json!([0]));
        let (ada, bo) = (under(&ada, version), under(&bo, version));
        let answers = [
            ada.get(&lobby).await.expect(200),
            ada.put(&lobby, &json!({})).await.expect(200),
            ada.put(&format!("{lobby}/properties"), &json!({})).await.expect(200),
            ada.put(&format!("{lobby}/members/me"), &json!({})).await.expect(200),
            ada.put_if(&lobby, ("If-Match", "\"x\""), &json!({})).await.expect(412),
            bo.put(&lobby, &json!({})).await.expect(403),
            bo.put(&format!("{lobby}/properties"), &json!({})).await.expect(403),
        ];
        for answer in answers {
            assert_eq!(answer.json(), expected, "{version}");
            assert_eq!(answer.etag(), created.etag(), "W-40: the tag does not depend on the version");
            assert_eq!(answer.header("content-location"), created.header("content-location"));
            assert!(answer.text.contains(r#""memberInitialization":18446744073709551615"#), "W-16");
        }
        let asked = ada.put(&format!("{lobby}?nocommit=true"), &json!({"properties": {"custom": {"a": 1}}})).await.expect(200);
        assert_eq!(asked.json()["constants"], expected["constants"], "R-24");
        for (part, value) in [
            ("constants", &expected["constants"]),
            ("properties", &expected["properties"]),
            ("members/me", &expected["members"]["0"]),
            ("members/0", &expected["members"]["0"]),
        ] {
            assert_eq!(ada.get(&format!("{lobby}/{part}")).await.expect(200).json(), *value, "R-26 {part}");
        }
        let tag = created.etag();
        ada.send(Method::GET, &lobby, &[("If-None-Match", &tag)], None).await.expect(304);
    }
    for version in ["107", "108", "199"] {
        assert_eq!(under(&ada, version).get(&lobby).await.expect(200).text, created.text, "R-03, T-53");
    }
    world.end().await;
}

#[tokio::test]
async fn t52_a_session_behind_a_handle_speaks_the_requests_version() {
    let world = World::new().await;
    let (ada, old) = (world.user(1), under(&world.user(1), "105"));
    let card = session("Card", "handle");
    let created = old.put(&card, &active()).await.expect(201).json();
    assert_eq!(created["contractVersion"], 105);
    let sample = json!({"reserved": 30_000, "inactive": 7_200_000, "ready": 180_000, "sessionEmpty": 0});
    assert_eq!(created["constants"]["system"]["timeouts"], sample);
    let reference = json!({"scid": crate::harness::SCID, "templateName": "Card", "name": "handle"});
    let activity = json!({"type": "activity", "version": 1, "sessionRef": reference});
    let handle = ada.post("/handles", &activity).await.expect(201).json();
    let path = format!("/handles/{}/session", handle["id"].as_str().expect("a handle has an id"));
    assert_eq!(old.get(&path).await.expect(200).json(), created);
    assert_eq!(old.put(&path, &json!({})).await.expect(200).json(), created);
    assert_eq!(aged(&ada.get(&path).await.expect(200).json(), 5), created);
    world.end().await;
}

/// Sends a document's constants and properties back under its own version, each by itself, and insists that nothing changes.
async fn sends_back(actor: &Actor, path: &str, shown: &Answer) {
    let document = shown.json();
    let own = &document["members"]["0"]["properties"];
    for body in [
        json!({"properties": document["properties"]}),
        json!({"constants": document["constants"]}),
        json!({"members": {"me": {"properties": own}}}),
        json!({"members": {"0": {"properties": own}}}),
        json!({"constants": document["constants"], "properties": document["properties"], "members": {"me": {"properties": own}}}),
    ] {
        let again = actor.put(path, &body).await.expect(200);
        assert_eq!(again.etag(), shown.etag(), "{body}");
        assert_eq!(again.text, shown.text, "{body}");
    }
    let again = actor.put(&format!("{path}/properties"), &document["properties"]).await.expect(200);
    assert_eq!(again.text, shown.text);
}

#[tokio::test]
async fn w18_t52_what_is_shown_can_be_sent_back() {
    let world = World::new().await;
    let ada = world.user(1);
    let samples = [
        (open("full"), everything()),
        (open("bare"), creating(&json!({}), &json!({}))),
        (open("unset"), creating(&json!({"inactiveRemovalTimeout": null, "sessionEmptyTimeout": 0}), &json!({"closed": true}))),
        (session("Card", "back"), active()),
    ];
    for (path, body) in &samples {
        ada.put(path, body).await.expect(201);
        for version in ["104", "105", "106", "107"] {
            let actor = under(&ada, version);
            sends_back(&actor, path, &actor.get(path).await.expect(200)).await;
        }
    }
    world.end().await;
}

#[tokio::test]
async fn w70_w71_an_old_request_makes_what_a_new_one_makes() {
    let world = World::new().await;
    let (ada, old) = (world.user(1), under(&world.user(1), "105"));
    let constants = json!({
        "timeouts": {"inactive": 5000, "reserved": null},
        "managedInitialization": {"membersNeededToStart": 1, "autoEvaluate": true},
    });
    let mut body = creating(&constants, &json!({}));
    body["members"]["me"]["constants"] = json!({"system": {"initialize": true}});
    body["members"]["me"]["properties"]["system"]["group"] = json!([0]);
    ada.put(&open("old"), &body).await.expect(400);
    let created = old.put(&open("old"), &body).await.expect(201).json();
    let system = &created["constants"]["system"];
    assert_eq!(system["timeouts"], json!({"inactive": 5000, "ready": 180_000, "sessionEmpty": 0}), "only those that are set");
    assert_eq!(system["managedInitialization"]["autoEvaluate"], true);
    assert_eq!(created["members"]["0"]["properties"]["system"]["group"], json!([0]));
    let read = ada.get(&open("old")).await.expect(200).json();
    assert_eq!(read["constants"]["system"]["inactiveRemovalTimeout"], 5000);
    assert_eq!(read["constants"]["system"]["memberInitialization"]["externalEvaluation"], false);
    assert_eq!(read["members"]["0"]["properties"]["system"]["initializationGroup"], json!([0]));
    assert_eq!(aged(&read, 5), created);

    let new = json!({"constants": {"system": {"inactiveRemovalTimeout": 5000}}});
    old.put(&open("old"), &new).await.expect(200);
    old.put(&open("old"), &json!({"constants": {"system": {"timeouts": {"inactive": 5001}}}})).await.expect(409);
    let own = format!("{}/members/me", open("old"));
    ada.put(&own, &json!({"properties": {"system": {"group": [0]}}})).await.expect(400);
    old.put(&own, &json!({"properties": {"system": {"group": null}}})).await.expect(200);
    assert_eq!(ada.get(&own).await.expect(200).json()["properties"]["system"].get("initializationGroup"), None);
    world.end().await;
}
