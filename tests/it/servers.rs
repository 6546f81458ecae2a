//! The entries that servers keep in a session (S-90 to S-92, W-36).

use serde_json::{Value, json};

use crate::harness::{World, session};
use crate::story::active;

/// A PUT with the entry of one server.
fn entry(name: &str, entry: &Value) -> Value {
    json!({"servers": {name: entry}})
}

#[tokio::test]
async fn s90_w36_servers_write_and_members_read() {
    let world = World::new().await;
    let (ada, server) = (world.user(1), world.server());
    let card = session("Card", "entries");
    ada.put(&card, &entry("arena", &json!({}))).await.expect(403);
    ada.put(&card, &active()).await.expect(201);
    let first = json!({
        "constants": {"custom": {"map": "harbor"}},
        "properties": {"system": {"phase": {"n": 1, "of": 3}}, "custom": {"score": 1.10, "late": true}},
    });
    for path in [card.clone(), format!("{card}/servers/arena")] {
        let body = if path == card { entry("arena", &first) } else { first.clone() };
        assert!(ada.put(&path, &body).await.expect(403).text.starts_with('{'), "A-11");
        world.user(2).put(&path, &body).await.expect(403);
    }
    let written = server.put(&card, &entry("Arena", &first)).await.expect(200);
    assert!(written.text.contains(r#""score":1.1"#), "W-16: {written:?}");
    assert_eq!(ada.get(&card).await.expect(200).text, written.text);

    // Merging goes down to the fields and not deeper; a name in another case is the same entry.
    let second = json!({"properties": {"system": {"phase": {"n": 2}}, "custom": {"late": null, "next": 1}}});
    let merged = server.put(&card, &entry("ARENA", &second)).await.expect(200);
    assert_eq!(
        merged.json()["servers"],
        json!({"Arena": {
            "constants": {"system": {}, "custom": {"map": "harbor"}},
            "properties": {"system": {"phase": {"n": 2}}, "custom": {"score": 1.1, "next": 1}},
        }})
    );
    assert_eq!(server.put(&card, &entry("arena", &second)).await.expect(200).etag(), merged.etag(), "W-34");
    let canyon = server.put(&card, &entry("arena", &json!({"constants": {"custom": {"map": "canyon"}}}))).await.expect(200);
    assert_eq!(canyon.json()["servers"]["Arena"]["constants"]["custom"], json!({"map": "canyon"}), "W-36: all of it merges");
    server.put(&card, &json!({"servers": {"arena": null, "absent": null}})).await.expect(200);
    assert_eq!(ada.get(&card).await.expect(200).json()["servers"], json!({}), "S-02");
    world.end().await;
}

#[tokio::test]
async fn s90_s06_names_of_servers() {
    let world = World::new().await;
    let (card, server) = (session("Card", "names"), world.server());
    world.user(1).put(&card, &active()).await.expect(201);
    for good in ["a", "Match-Making_2.0(eu)", &"n".repeat(100)] {
        server.put(&card, &entry(good, &json!({}))).await.expect(200);
        server.get(&format!("{card}/servers/{good}")).await.expect(200);
    }
    for bad in ["", "a b", "-a", "a~b", &"n".repeat(101)] {
        let refused = server.put(&card, &entry(bad, &json!({}))).await.expect(400);
        assert!(refused.text.starts_with(&format!("servers.{bad}: ")), "{refused:?}");
    }
    server.put(&card, &json!({"servers": []})).await.expect(400);
    server.put(&card, &entry("a", &json!([]))).await.expect(400);
    server.put(&card, &entry("a", &json!({"members": {}}))).await.expect(400);
    world.end().await;
}

#[tokio::test]
async fn s91_matchmaking_has_a_schema() {
    let world = World::new().await;
    let (card, server) = (session("Card", "matchmaking"), world.server());
    world.user(1).put(&card, &active()).await.expect(201);
    let system = |fields: &Value| entry("matchmaking", &json!({"properties": {"system": fields}}));
    let fields = json!({
        "lockId": "l", "status": "searching", "statusDetails": "", "typicalWait": 30,
        "targetSessionRef": {"scid": "s", "templateName": "t", "name": "n"},
    });
    let written = server.put(&card, &system(&fields)).await.expect(200).json();
    assert_eq!(written["servers"]["matchmaking"]["properties"]["system"], fields);
    for (wrong, at) in [
        (json!({"colour": 1}), "colour"),
        (json!({"typicalWait": "30"}), "typicalWait"),
        (json!({"typicalWait": 1.5}), "typicalWait"),
        (json!({"typicalWait": -1}), "typicalWait"),
        (json!({"status": 1}), "status"),
        (json!({"targetSessionRef": "s"}), "targetSessionRef"),
    ] {
        let refused = server.put(&card, &system(&wrong)).await.expect(400);
        assert!(refused.text.starts_with(&format!("servers.matchmaking.properties.system.{at}: ")), "{refused:?}");
    }
    let unlocked = json!({"properties": {"system": {"lockId": null}}});
    let found = server.put(&format!("{card}/servers/MatchMaking"), &unlocked).await.expect(200).json();
    assert_eq!(found["servers"]["matchmaking"]["properties"]["system"].get("lockId"), None, "W-11");
    server.put(&format!("{card}/servers/MatchMaking"), &json!({"properties": {"system": {"colour": 1}}})).await.expect(400);
    world.end().await;
}

#[tokio::test]
async fn s92_other_servers_keep_what_they_like_but_nulls() {
    let world = World::new().await;
    let (card, server) = (session("Card", "others"), world.server());
    world.user(1).put(&card, &active()).await.expect(201);
    let body = json!({"servers": {
        "arbitration": {
            "constants": {"system": {"startTime": "2031-04-05T18:00:00Z"}},
            "properties": {"system": {"state": "started", "gone": null, "deep": {"a": [1, {"b": null}]}}},
        },
        "tournaments": {"properties": {"custom": {"kept": {"null": null}}}},
        "cloudcompute": {},
    }});
    let written = server.put(&card, &body).await.expect(200).json();
    let servers = &written["servers"];
    assert_eq!(servers["arbitration"]["constants"]["system"], json!({"startTime": "2031-04-05T18:00:00Z"}));
    assert_eq!(servers["arbitration"]["properties"]["system"], json!({"state": "started", "deep": {"a": [1, {}]}}), "S-03");
    assert_eq!(servers["tournaments"]["properties"]["custom"], json!({"kept": {"null": null}}), "S-03: custom keeps its nulls");
    assert_eq!(
        servers["cloudcompute"],
        json!({"constants": {"system": {}, "custom": {}}, "properties": {"system": {}, "custom": {}}})
    );
    let refused = server.put(&card, &entry("arbitration", &json!({"properties": {"system": {"a": [null]}}}))).await.expect(400);
    assert!(refused.text.starts_with("servers.arbitration.properties.system.a[0]: "), "{refused:?}");
    world.end().await;
}
