//! What handles of every type have in common (H), and the roles they tell of.

use openmpsd::domain::names::TitleId;
use openmpsd::domain::principal::{Principal, User};
use reqwest::Method;
use serde_json::{Value, json};

use crate::handles::{handle, id, pointing, through};
use crate::harness::{SCID, World, player, publish};
use crate::listings::{owned, searchable};
use crate::story::{active, creating, open};

#[tokio::test]
async fn h74_roles_and_who_has_them() {
    let world = World::new().await;
    let roles = json!({
        "class": {"mutableRoleSettings": ["max"], "roles": {"healer": {"max": 3, "target": 2}, "tank": {"max": 1}}},
        "rank": {"ownerManaged": true, "roles": {"leader": {"max": 1}}},
    });
    let constants = searchable(&owned());
    let template =
        json!({"contractVersion": 107, "constants": {"system": constants, "custom": {}}, "roleTypes": roles}).to_string();
    let scid = "0f0c1a52-7c1e-4b52-9d0e-00007a11b0aa";
    publish(&world, scid, "", &[("Roles", &template)]).await;
    let path = format!("/serviceconfigs/{scid}/sessionTemplates/Roles/sessions/foo");
    let (ada, bo, eve) = (world.user(1), world.user(2), world.user(9));
    let mut body = creating(&json!({}), &json!({"joinRestriction": "local", "readRestriction": "local"}));
    body["members"]["me"]["roles"] = json!({"class": "healer", "rank": "leader"});
    ada.put(&path, &body).await.expect(201);
    let reference = json!({"scid": scid, "templateName": "Roles", "name": "foo"});
    let expected = |healers: &[&str]| {
        json!({"roleTypes": {
            "class": {"roles": {
                "healer": {"max": 3, "target": 2, "count": healers.len(), "memberXuids": healers},
                "tank": {"max": 1, "count": 0, "memberXuids": []},
            }},
            "rank": {"roles": {"leader": {"max": 1, "count": 1, "memberXuids": ["1"]}}},
        }})
    };
    let activity = json!({"type": "activity", "sessionRef": reference});
    let activity = ada.post("/handles?include=roleInfo", &activity).await.expect(201).json();
    assert_eq!(activity["roleInfo"], expected(&["1"]), "H-05");
    let search =
        ada.post("/handles?include=ROLEinfo", &json!({"type": "search", "sessionRef": reference})).await.expect(201).json();
    assert_eq!(search["roleInfo"], expected(&["1"]));
    for absent in ["relatedInfo", "customProperties", "activityInfo"] {
        assert_eq!(search.get(absent), None, "H-75");
    }
    let made = search["id"].as_str().expect("an id is text");
    let healer = json!({"members": {"me": {"roles": {"class": "healer"}, "properties": {"system": {"active": true}}}}});
    bo.put(&through(made), &healer).await.expect(200);
    let found = eve.get(&format!("{}?include=roleInfo", handle(made))).await.expect(200).json();
    assert_eq!(found["roleInfo"], expected(&["1", "2"]), "H-42 grants reading");
    // Nobody who may not read the session is told through another handle.
    let found = eve.get(&format!("{}?include=roleInfo", handle(activity["id"].as_str().expect("an id is text")))).await;
    assert_eq!(found.status, 403);
    world.end().await;
}

/// The body of a POST for each type.
fn of_each_type(reference: &Value) -> [Value; 4] {
    let bare = |kind: &str| json!({"type": kind, "sessionRef": reference});
    let mut invite = bare("invite");
    invite["invitedXuid"] = json!("2");
    let mut transfer = bare("transfer");
    transfer["originSessionRef"] = json!({"scid": SCID, "templateName": "Open", "name": "origin"});
    [bare("activity"), invite, bare("search"), transfer]
}

#[tokio::test]
async fn h02_h04_e10_what_every_type_has_in_common() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("Foo"), &creating(&searchable(&json!({})), &json!({}))).await.expect(201);
    let reference = |scid: &str, template: &str, name: &str| json!({"scid": scid, "templateName": template, "name": name});
    for body in of_each_type(&reference(&SCID.to_uppercase(), "OPEN", "FOO")) {
        let kind = body["type"].as_str().expect("a type is text").to_owned();
        let mut loud = body.clone();
        loud["type"] = json!(kind.to_uppercase());
        let made = ada.post("/handles?include=customProperties", &loud).await.expect(201).json();
        assert_eq!((&made["type"], &made["version"], &made["customProperties"]), (&json!(kind), &json!(1), &json!({})), "R-50");
        assert_eq!(made["sessionRef"], reference(SCID, "Open", "Foo"), "S-05");
        let a = made["id"].as_str().expect("an id is text");
        assert_eq!(ada.get(&format!("{}?include=customProperties", handle(a))).await.expect(200).json(), made, "R-51");
        ada.get(&format!("{}/", through(a))).await.expect(200);
        assert_eq!(ada.put(&handle(a), &body).await.expect(405).header("allow"), Some("GET, DELETE"), "H-01: never updated");

        let with = |name: &str, value: Value| {
            let mut body = body.clone();
            body[name] = value;
            body
        };
        // E-10: the body tells where to, so it is read first; what it names, before anybody's rights are asked for.
        let unknown = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a8";
        for (body, status) in [
            (with("version", json!(1)), 201),
            (with("version", json!(2)), 400),
            (with("version", json!("1")), 400),
            (with("sessionRef", json!([])), 400),
            (with("sessionRef", reference("x", "Open", "foo")), 400),
            (with("sessionRef", reference(unknown, "a b", "foo")), 400),
            (with("sessionRef", reference(unknown, "Open", "(")), 400),
            (with("sessionRef", reference(unknown, "Open", "foo")), 404),
            (with("sessionRef", reference(SCID, "Nothing", "foo")), 404),
        ] {
            let answer = ada.post("/handles", &body).await;
            assert_eq!(answer.status, status, "{body} {answer:?}");
            world.nobody().post("/handles", &body).await.expect(401);
            let old = [("x-xbl-contract-version", "103")];
            ada.send(Method::POST, "/handles", &old, Some(body.to_string())).await.expect(406);
            if status == 404 {
                world.user(9).post("/handles", &body).await.expect(404);
            }
        }
        let stranger = world.user(9).post("/handles", &body).await.expect(403);
        assert_eq!(stranger.etag(), ada.get(&open("foo")).await.etag(), "A-11");
        let without = [("content-type", "")];
        ada.send(Method::POST, "/handles", &without, Some(body.to_string())).await.expect(201);
        ada.send(Method::POST, "/handles", &[("content-type", "text/xml")], Some(body.to_string())).await.expect(400);
        let big = with("more", json!("x".repeat(300 << 10)));
        ada.post("/handles", &big).await.expect(413);
    }
    world.end().await;
}

#[tokio::test]
async fn a02_handles_of_any_type_need_a_title_that_may() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("foo"), &creating(&searchable(&json!({})), &json!({}))).await.expect(201);
    let bodies = of_each_type(&json!({"scid": SCID, "templateName": "Open", "name": "foo"}));
    let mut made = Vec::new();
    for body in &bodies {
        made.push(id(ada.post("/handles", body).await));
    }
    world.keeps_for_title(7).await;
    let seven = world.actor(Principal::User(User { title_id: Some(TitleId(7)), ..player(1) }));
    for (body, made) in bodies.iter().zip(&made) {
        ada.post("/handles", body).await.expect(403);
        ada.get(&handle(made)).await.expect(403);
        ada.get(&through(made)).await.expect(403);
        ada.put(&through(made), &active()).await.expect(403);
        ada.delete(&handle(made)).await.expect(403);
        seven.get(&handle(made)).await.expect(200);
        seven.get(&through(made)).await.expect(200);
    }
    // A malformed body is malformed for everybody, an unknown handle unknown (E-10).
    ada.post("/handles", &json!({"type": "search"})).await.expect(400);
    ada.get("/handles/6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01").await.expect(404);
    ada.put("/handles/6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01/session", &json!([])).await.expect(404);
    ada.send(Method::PUT, &through(&made[2]), &[], Some("{".into())).await.expect(403);
    seven.send(Method::PUT, &through(&made[2]), &[], Some("{".into())).await.expect(400);
    world.end().await;
}

/// Who makes a handle is told of its session what the round knew that made it: nothing is loaded for that again.
#[tokio::test]
async fn r50_a_handle_takes_one_round() {
    let world = World::new().await;
    let ada = world.user(1);
    let constants = json!({"inviteProtocol": "game", "capabilities": {"searchable": true}});
    for name in ["foo", "bar"] {
        ada.put(&open(name), &creating(&constants, &json!({}))).await.expect(201);
    }
    let rounds = async || {
        let text = world.nobody().get("/metrics").await.expect(200).text;
        let line = text.lines().find_map(|line| line.strip_prefix("openmpsd_commit_commands_count "));
        line.expect("rounds are counted").parse::<u64>().expect("a count is a number")
    };
    let invite = json!({"invitedXuid": "2"});
    let transfer = json!({"originSessionRef": pointing("bar")["sessionRef"]});
    let search = json!({"searchAttributes": {"tags": ["a"]}});
    for (kind, more, name) in [
        ("activity", json!({}), "foo"),
        ("activity", json!({}), "nowhere"),
        ("invite", invite, "foo"),
        ("transfer", transfer, "foo"),
        ("search", search, "foo"),
    ] {
        let mut body = pointing(name);
        body["type"] = json!(kind);
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        for include in ["", "?include=relatedInfo,customProperties,roleInfo"] {
            let before = rounds().await;
            let made = ada.post(&format!("/handles{include}"), &body).await.expect(201);
            assert_eq!(rounds().await - before, 1, "{kind} {include}");
            let id = made.json()["id"].as_str().expect("an id is text").to_owned();
            // A handle that is read is read from what is stored.
            assert_eq!(made.text, ada.get(&format!("/handles/{id}{include}")).await.expect(200).text);
        }
    }
    world.end().await;
}
