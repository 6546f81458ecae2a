//! Templates: shown as published, merged with what creators ask for (T).

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{SCID, World, joining, publish, session};

const OWN: &str = "7e3a1a7e-0000-4000-8000-000000000007";

/// A PUT that joins and asks for constants.
fn asking(system: &Value, custom: &Value) -> Value {
    let mut body = joining("active");
    body["constants"] = json!({"system": system, "custom": custom});
    body
}

fn own(template: &str, name: &str) -> String {
    session(template, name).replace(SCID, OWN)
}

#[tokio::test]
async fn t02_t03_r40_r41_templates_are_shown_as_published() {
    let world = World::new().await;
    let given = json!({
        "contractVersion": 107,
        "constants": {"system": {"maxMembersCount": 4, "inviteProtocol": null, "sessionEmptyTimeout": null}, "custom": {"n": null}}
    });
    let older = r#"{"contractVersion":105,"constants":{"system":{"timeouts":{"ready":1000}}}}"#;
    publish(&world, OWN, "", &[("zeta", &given.to_string()), ("Alpha", older), ("mid", r#"{"constants":{}}"#)]).await;
    for actor in [world.user(1), world.user(2)] {
        for version in ["104", "105", "107"] {
            let header = [("x-xbl-contract-version", version)];
            let list =
                actor.send(Method::GET, &format!("/serviceconfigs/{OWN}/sessiontemplates"), &header, None).await.expect(200);
            assert_eq!(list.json(), json!({"results": ["Alpha", "mid", "zeta"]}), "T-03: names in published case, sorted");
            let one = format!("/serviceconfigs/{OWN}/sessiontemplates/ZETA");
            let shown = actor.send(Method::GET, &one, &header, None).await.expect(200);
            assert_eq!(shown.json(), given, "T-02: any version gets the published form, nulls and all");
            assert_eq!(shown.header("content-type"), Some("application/json; charset=utf-8"));
        }
    }
    let older = world.user(1).get(&format!("/serviceconfigs/{OWN}/sessiontemplates/Alpha")).await.expect(200).json();
    assert_eq!(older["contractVersion"], 105);
    assert_eq!((&older["constants"]["custom"], older.get("roleTypes")), (&json!({}), None));
    world.user(1).get(&format!("/serviceconfigs/{OWN}/sessiontemplates/unknown")).await.expect(404);
    let shipped = world.user(1).get(&format!("/serviceconfigs/{SCID}/sessiontemplates")).await.expect(200).json();
    assert_eq!(shipped, json!({"results": ["Arena", "Browse", "Card", "Lobby", "Match", "Open", "PeerHost", "Private"]}));
    world.end().await;
}

#[tokio::test]
async fn t04_clients_cannot_write_templates() {
    let world = World::new().await;
    for path in [format!("/serviceconfigs/{SCID}/sessiontemplates"), format!("/serviceconfigs/{SCID}/sessiontemplates/Card")] {
        for verb in [Method::PUT, Method::POST, Method::DELETE] {
            for actor in [world.user(1), world.server(), world.admin()] {
                let refused = actor.send(verb.clone(), &path, &[], Some("{}".to_owned())).await.expect(405);
                assert_eq!(refused.header("allow"), Some("GET"));
            }
        }
    }
    world.end().await;
}

#[tokio::test]
async fn t05_template_names_compare_without_case() {
    let world = World::new().await;
    publish(&world, OWN, "", &[("global(lfg)", r#"{"constants":{}}"#)]).await;
    let ada = world.user(1);
    let made = ada.put(&own("GLOBAL(LFG)", "a"), &joining("active")).await.expect(201);
    let expected = format!("/serviceconfigs/{OWN}/sessiontemplates/global(lfg)/sessions/a");
    assert_eq!(made.header("content-location"), Some(expected.as_str()));
    ada.get(&own("global%28lfg%29", "A")).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn t06_a_republished_template_is_for_sessions_to_come() {
    let world = World::new().await;
    let republish = async |most: u32| {
        let document = json!({"constants": {"system": {"maxMembersCount": most}}}).to_string();
        publish(&world, OWN, "", &[("Moving", &document)]).await;
    };
    let ada = world.user(1);
    republish(4).await;
    ada.put(&own("Moving", "old"), &joining("active")).await.expect(201);
    republish(5).await;
    let most = async |name: &str| {
        ada.get(&own("Moving", name)).await.expect(200).json()["constants"]["system"]["maxMembersCount"].clone()
    };
    ada.put(&own("Moving", "new"), &joining("active")).await.expect(201);
    ada.put(&own("Moving", "old"), &asking(&json!({"maxMembersCount": 4}), &json!({}))).await.expect(200);
    ada.put(&own("Moving", "old"), &asking(&json!({"maxMembersCount": 5}), &json!({}))).await.expect(409);
    assert_eq!((most("old").await, most("new").await), (json!(4), json!(5)));
    world.end().await;
}

#[tokio::test]
async fn t20_t21_t22_template_and_request_row_by_row() {
    let world = World::new().await;
    let template = json!({"constants": {
        "system": {"maxMembersCount": 4, "inviteProtocol": null, "capabilities": {"gameplay": true}},
        "custom": {"mode": {"ranked": 1.0}, "void": null}
    }});
    publish(&world, OWN, "", &[("Fixed", &template.to_string())]).await;
    let ada = world.user(1);
    let none = json!({});
    let rows: [(Value, Value, u16, &str, Value); 17] = [
        // template silent
        (json!({"readyRemovalTimeout": 5}), none.clone(), 201, "/constants/system/readyRemovalTimeout", json!(5)),
        (none.clone(), none.clone(), 201, "/constants/system/readyRemovalTimeout", json!(180_000)),
        (json!({"readyRemovalTimeout": null}), none.clone(), 201, "/constants/system/readyRemovalTimeout", Value::Null),
        (json!({"readyRemovalTimeout": -1}), none.clone(), 400, "", Value::Null),
        // template has a value
        (none.clone(), none.clone(), 201, "/constants/system/maxMembersCount", json!(4)),
        (json!({"maxMembersCount": 4}), none.clone(), 201, "/constants/system/maxMembersCount", json!(4)),
        (json!({"maxMembersCount": 5}), none.clone(), 409, "", Value::Null),
        (json!({"maxMembersCount": null}), none.clone(), 409, "", Value::Null),
        // template says unset
        (none.clone(), none.clone(), 201, "/constants/system/inviteProtocol", Value::Null),
        (json!({"inviteProtocol": null}), none.clone(), 201, "/constants/system/inviteProtocol", Value::Null),
        (json!({"inviteProtocol": "game"}), none.clone(), 409, "", Value::Null),
        // objects, member by member
        (
            json!({"capabilities": {"gameplay": true}}),
            none.clone(),
            201,
            "/constants/system/capabilities",
            json!({"gameplay": true}),
        ),
        (json!({"capabilities": {"crossPlay": true}}), none.clone(), 409, "", Value::Null),
        (
            json!({"capabilities": {"crossPlay": false}}),
            none.clone(),
            201,
            "/constants/system/capabilities",
            json!({"gameplay": true}),
        ),
        // custom, per top-level field
        (none.clone(), json!({"mode": {"ranked": 1}, "extra": [1]}), 201, "/constants/custom/extra", json!([1])),
        (none.clone(), json!({"mode": {"ranked": 2}}), 409, "", Value::Null),
        (none.clone(), json!({"void": 1}), 409, "", Value::Null),
    ];
    for (number, (system, custom, status, at, expected)) in rows.into_iter().enumerate() {
        let path = own("Fixed", &format!("row{number}"));
        let answer = ada.put(&path, &asking(&system, &custom)).await;
        assert_eq!(answer.status, status, "{system} {custom}: {answer:?}");
        if status == 201 {
            let document = answer.json();
            assert_eq!(document.pointer(at).unwrap_or(&Value::Null), &expected, "{system} {custom}");
        } else {
            assert!(answer.text.starts_with("constants."), "{system} {custom}: {answer:?}");
            ada.get(&path).await.expect(204);
        }
    }
    world.end().await;
}

#[tokio::test]
async fn t51_defaults_are_those_of_the_templates_version() {
    let world = World::new().await;
    let of = |version: u32| json!({"contractVersion": version, "constants": {"system": {}}}).to_string();
    publish(&world, OWN, "", &[("Old", &of(105)), ("New", &of(107)), ("Silent", r#"{"constants":{}}"#)]).await;
    let ada = world.user(1);
    for (template, inactive) in [("Old", 7_200_000), ("New", 0), ("Silent", 0)] {
        for version in ["105", "107"] {
            let path = own(template, version);
            let header = [("x-xbl-contract-version", version)];
            ada.send(Method::PUT, &path, &header, Some(joining("active").to_string())).await.expect(201);
            let read = ada.get(&path).await.expect(200).json();
            assert_eq!(read["constants"]["system"]["inactiveRemovalTimeout"], inactive, "{template} by {version}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn t53_from_107_on_everybody_reads_the_stored_names() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "names");
    let created = ada.put(&card, &joining("active")).await.expect(201);
    for version in ["107", "108"] {
        let read = ada.send(Method::GET, &card, &[("x-xbl-contract-version", version)], None).await.expect(200);
        assert_eq!((read.etag(), &read.text), (created.etag(), &created.text));
        assert_eq!(read.json()["constants"]["system"]["readyRemovalTimeout"], 180_000);
    }
    world.end().await;
}
