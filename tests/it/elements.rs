//! The routes of a session's elements.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Actor, Answer, World, session};
use crate::story::{active, creating, leaving, open, reserving};

/// A session with two members, its path and the last answer.
async fn two(world: &World, name: &str) -> (String, Answer) {
    let card = session("Card", name);
    world.user(1).put(&card, &active()).await.expect(201);
    let joined = world.user(2).put(&card, &active()).await.expect(200);
    (card, joined)
}

/// What an element's owner writes into it.
fn noted(note: &str) -> Value {
    json!({"properties": {"custom": {"note": note}}})
}

/// Insists on an element: its value, and the headers that it has and has not.
#[track_caller]
fn shows(answer: Answer, value: &Value, etag: &str) {
    let answer = answer.expect(200);
    assert_eq!(answer.json(), *value);
    assert_eq!(answer.etag(), etag, "the tag is the session's");
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!((answer.header("content-location"), answer.header("expires")), (None, None), "the body is no session");
}

#[tokio::test]
async fn r26_elements_are_read() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let (card, _) = two(&world, "read").await;
    let body = json!({"servers": {"Arena": {"properties": {"custom": {"a": 1.10}}}}, "properties": {"custom": {"big": 1}}});
    let written = world.server().put(&card, &body).await.expect(200);
    ada.put(&card, &reserving(&[9])).await.expect(200);
    let whole = ada.get(&card).await.expect(200);
    let (document, etag) = (whole.json(), whole.etag());
    assert_ne!(etag, written.etag());
    assert!(whole.header("expires").is_some(), "a reservation has a timer");
    for (actor, part, value) in [
        (&ada, "properties", &document["properties"]),
        (&ada, "CONSTANTS/", &document["constants"]),
        (&ada, "members/me", &document["members"]["0"]),
        (&bo, "Members/ME", &document["members"]["1"]),
        (&ada, "members/1", &document["members"]["1"]),
        (&ada, "members/2", &document["members"]["2"]),
        (&ada, "servers/aRENA", &document["servers"]["Arena"]),
        (&world.server(), "members/0", &document["members"]["0"]),
    ] {
        let path = format!("{card}/{part}");
        shows(actor.get(&path).await, value, &etag);
        for tag in [etag.as_str(), "*"] {
            let same = actor.send(Method::GET, &path, &[("If-None-Match", tag)], None).await.expect(304);
            assert_eq!((same.etag(), same.text.as_str()), (etag.clone(), ""), "{part}");
        }
        shows(actor.send(Method::GET, &path, &[("If-None-Match", "\"x\"")], None).await, value, &etag);
        shows(actor.send(Method::GET, &path, &[("If-Match", "\"x\"")], None).await, value, &etag);
    }
    world.end().await;
}

#[tokio::test]
async fn r26_r15_what_is_not_there() {
    let world = World::new().await;
    let ada = world.user(1);
    let (card, _) = two(&world, "absent").await;
    for part in ["members/7", "members/99999999999999999999", "servers/arena"] {
        let path = format!("{card}/{part}");
        let answer = ada.get(&path).await.expect(204);
        assert_eq!(answer.text, "");
        ada.send(Method::GET, &path, &[("If-None-Match", "*")], None).await.expect(204);
    }
    world.user(3).get(&format!("{card}/members/me")).await.expect(204);
    for part in
        ["members/abc", "members/-1", "members/1.0", "members/+1", "members/me_1", "members/%20", "servers/a~b", "servers/-"]
    {
        let path = format!("{card}/{part}");
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let answer = world.server().send(method, &path, &[], None).await.expect(404);
            assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        }
        ada.post(&path, &json!({})).await.expect(405);
    }
    for part in ["members", "servers", "members/0/properties", "servers/a/constants", "roleTypes", "membersInfo", "custom"] {
        ada.get(&format!("{card}/{part}")).await.expect(404);
    }
    let missing = session("Card", "missing");
    for part in ["properties", "constants", "members/me", "members/0", "servers/arena"] {
        for path in [format!("{missing}/{part}"), format!("{}/{part}", session("Unknown", "x"))] {
            let answer = ada.get(&path).await.expect(404);
            assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{path}");
            ada.send(Method::GET, &path, &[("If-None-Match", "*")], None).await.expect(404);
        }
    }
    world.server().get(&format!("{missing}/members/me")).await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn r26_a10_an_element_is_as_readable_as_its_session() {
    let world = World::new().await;
    let hidden = session("Private", "hidden");
    world.user(1).put(&hidden, &active()).await.expect(201);
    for part in ["properties", "constants", "members/me", "members/0", "servers/arena"] {
        let refused = world.user(2).get(&format!("{hidden}/{part}")).await.expect(403);
        assert_eq!(refused.header("content-type"), Some("text/plain; charset=utf-8"), "{part}");
        world.nobody().get(&format!("{hidden}/{part}")).await.expect(401);
    }
    world.server().get(&format!("{hidden}/properties")).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn r26_r21_timers_are_evaluated_before_an_element_is_read() {
    let world = World::new().await;
    let (card, _) = two(&world, "timers").await;
    world.user(1).put(&card, &reserving(&[9])).await.expect(200);
    let reserved = format!("{card}/members/2");
    world.user(1).get(&reserved).await.expect(200);
    world.pass(30_000);
    world.user(1).get(&reserved).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn r27_a_user_writes_its_own_entry() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let (card, joined) = two(&world, "own").await;
    for (part, note) in [("members/me", "one"), ("members/1", "two"), ("Members/Me/", "three")] {
        let path = format!("{card}/{part}");
        let written = bo.put(&path, &noted(note)).await.expect(200);
        assert_eq!(written.json()["members"]["1"]["properties"]["custom"], json!({ "note": note }), "the whole session");
        assert_eq!(written.text, bo.get(&card).await.expect(200).text);
        assert_eq!(written.header("content-location"), joined.header("content-location"));
        assert_eq!(bo.put(&path, &noted(note)).await.expect(200).etag(), written.etag(), "R-23");
        let refused = bo.put_if(&path, ("If-Match", &joined.etag()), &noted("stale")).await.expect(412);
        assert_eq!(refused.text, written.text, "R-09");
        bo.put_if(&path, ("If-None-Match", "*"), &noted("new")).await.expect(412);
        bo.put_if(&path, ("If-Match", &written.etag()), &noted(note)).await.expect(200);
    }
    let before = bo.get(&card).await.expect(200);
    let asked = bo.put(&format!("{card}/members/me?nocommit=true"), &noted("only asked")).await.expect(200);
    assert_eq!(asked.json()["members"]["1"]["properties"]["custom"]["note"], "only asked", "R-24");
    assert_eq!(asked.etag(), before.etag());
    assert_eq!(bo.get(&card).await.expect(200).text, before.text);

    let refused = ada.put(&format!("{card}/members/1"), &noted("not mine")).await.expect(403);
    assert_eq!(refused.text, before.text, "R-09");
    ada.put(&format!("{card}/members/7"), &noted("nobody's")).await.expect(403);
    ada.put(&format!("{card}/members/99999999999999999999"), &noted("nobody's")).await.expect(403);
    ada.put(&format!("{card}/members/me"), &json!({"members": {}})).await.expect(400);
    for (body, status) in [("[]", 400), ("null", 400), ("{", 400), ("", 200), ("{}", 200)] {
        ada.send(Method::PUT, &format!("{card}/members/me"), &[], Some(body.to_owned())).await.expect(status);
    }
    world.end().await;
}

#[tokio::test]
async fn r27_joining_through_the_element_and_being_gone_at_once() {
    let world = World::new().await;
    let (card, _) = two(&world, "join").await;
    let own = format!("{card}/members/me");
    let joined = world.user(3).put(&own, &json!({"properties": {"system": {"active": true}}})).await.expect(200).json();
    assert_eq!(joined["membersInfo"]["count"], 3);
    world.user(4).put(&format!("{}/members/me", session("Card", "none")), &json!({})).await.expect(404);

    // Who is inactive where nobody is for any time does not stay, and the last one takes the session along.
    let lobby = open("hasty");
    world.user(1).put(&lobby, &creating(&json!({}), &json!({}))).await.expect(201);
    let idle = json!({"properties": {"system": {"active": false}}});
    let own = format!("{lobby}/members/me");
    world.user(2).put(&own, &json!({})).await.expect(204);
    world.user(2).put(&format!("{own}?nocommit=true"), &json!({})).await.expect(204);
    assert_eq!(world.user(1).get(&lobby).await.expect(200).json()["membersInfo"]["count"], 1);
    world.user(2).put(&own, &json!({"properties": {"system": {"active": true}}})).await.expect(200);
    world.user(2).put(&format!("{lobby}/members/1?nocommit=true"), &idle).await.expect(204);
    world.user(2).put(&format!("{lobby}/members/1"), &idle).await.expect(204);
    assert_eq!(world.user(1).get(&lobby).await.expect(200).json()["membersInfo"]["count"], 1);
    world.user(1).put(&own, &idle).await.expect(204);
    world.user(1).get(&lobby).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn r27_w06_a_server_edits_a_member() {
    let world = World::new().await;
    let (card, _) = two(&world, "edit").await;
    let path = format!("{card}/members/1");
    let edited = world.server().put(&path, &json!({"properties": {"system": {"active": false}}})).await.expect(200).json();
    assert_eq!(edited["membersInfo"]["active"], 1);
    assert!(world.server().put(&path, &noted("no")).await.expect(403).text.starts_with('{'));
    world.server().put(&format!("{card}/members/7"), &json!({"properties": {"system": {"active": false}}})).await.expect(400);
    world.end().await;
}

#[tokio::test]
async fn r30_members_are_removed_by_servers_and_owners() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let (card, joined) = two(&world, "remove").await;
    let (first, second) = (format!("{card}/members/0"), format!("{card}/members/1"));
    let refused = ada.delete(&second).await.expect(403);
    assert_eq!(refused.text, joined.text, "R-09");
    ada.delete(&format!("{card}/members/7")).await.expect(403);
    world.server().send(Method::DELETE, &second, &[("If-Match", "\"x\"")], None).await.expect(412);
    let body = Some("a body nobody reads".to_owned());
    let gone = world.server().send(Method::DELETE, &second, &[("If-Match", &joined.etag())], body).await.expect(204);
    assert_eq!((gone.text.as_str(), gone.header("etag")), ("", None), "R-32");
    assert_eq!(ada.get(&card).await.expect(200).json()["membersInfo"]["count"], 1);
    let after = ada.get(&card).await.expect(200).etag();
    world.server().delete(&second).await.expect(204);
    world.server().delete(&format!("{card}/members/99999999999999999999")).await.expect(204);
    assert_eq!(ada.get(&card).await.expect(200).etag(), after, "it was gone already");
    world.server().delete(&format!("{}/members/0", session("Card", "none"))).await.expect(404);
    ada.delete(&first).await.expect(204);
    ada.get(&card).await.expect(204);

    let owned = open("owned");
    let constants = json!({"capabilities": {"hasOwners": true}});
    ada.put(&owned, &creating(&constants, &json!({}))).await.expect(201);
    bo.put(&owned, &active()).await.expect(200);
    world.user(3).put(&owned, &active()).await.expect(200);
    bo.delete(&format!("{owned}/members/2")).await.expect(403);
    bo.delete(&format!("{owned}/members/0")).await.expect(403);
    ada.delete(&format!("{owned}/members/2")).await.expect(204);
    ada.delete(&format!("{owned}/members/2")).await.expect(204);
    assert_eq!(ada.get(&owned).await.expect(200).json()["membersInfo"]["count"], 2);
    world.end().await;
}

#[tokio::test]
async fn r31_servers_are_removed_by_servers() {
    let world = World::new().await;
    let (card, _) = two(&world, "servers").await;
    let arena = format!("{card}/servers/Arena");
    let server = world.server();
    let written = server.put(&arena, &noted("one")).await.expect(200).json();
    assert_eq!(written["servers"]["Arena"]["properties"]["custom"], json!({"note": "one"}), "R-27");
    world.user(1).delete(&arena).await.expect(403);
    world.user(3).delete(&arena).await.expect(403);
    server.send(Method::DELETE, &arena, &[("If-Match", "\"x\"")], None).await.expect(412);
    server.send(Method::DELETE, &format!("{card}/servers/ARENA?nocommit=true"), &[], None).await.expect(204);
    server.get(&arena).await.expect(200);
    server.delete(&format!("{card}/servers/ARENA")).await.expect(204);
    server.get(&arena).await.expect(204);
    server.send(Method::DELETE, &arena, &[], Some("{".to_owned())).await.expect(204);
    world.user(1).delete(&arena).await.expect(403);
    server.delete(&format!("{}/servers/arena", session("Card", "none"))).await.expect(404);
    server.put(&format!("{}/servers/arena", session("Card", "none")), &json!({})).await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn r26_r27_the_elements_of_a_session_that_is_over() {
    let world = World::new().await;
    let (card, _) = two(&world, "over").await;
    let everybody: [Actor; 2] = [world.user(1), world.user(2)];
    for actor in &everybody {
        actor.put(&card, &leaving()).await;
    }
    for part in ["properties", "members/me", "members/0", "servers/arena"] {
        let path = format!("{card}/{part}");
        world.server().get(&path).await.expect(404);
        world.server().put(&path, &json!({})).await.expect(404);
        everybody[0].put_if(&path, ("If-Match", "*"), &json!({})).await.expect(404);
    }
    world.end().await;
}

#[tokio::test]
async fn r26_r27_r30_m95_a_large_session_shows_each_member_its_own_entry() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let arena = open("large");
    ada.put(&arena, &creating(&json!({"capabilities": {"large": true}}), &json!({}))).await.expect(201);
    let joined = bo.put(&arena, &active()).await.expect(200);
    let own = joined.json()["members"]["me"].clone();
    assert_eq!(own["constants"]["system"]["index"], 1, "M-96");
    for part in ["members/me", "members/1"] {
        let path = format!("{arena}/{part}");
        let etag = bo.get(&arena).await.expect(200).etag();
        shows(bo.get(&path).await, &own, &etag);
        bo.send(Method::GET, &path, &[("If-None-Match", &etag)], None).await.expect(304);
        let written = bo.put(&path, &noted(part)).await.expect(200).json();
        assert_eq!(written["members"]["me"]["properties"]["custom"], json!({ "note": part }));
        bo.put(&path, &json!({"properties": {"custom": null}})).await.expect(200);
    }
    bo.get(&format!("{arena}/members/0")).await.expect(204);
    world.server().get(&format!("{arena}/members/0")).await.expect(204);
    world.user(3).get(&format!("{arena}/members/me")).await.expect(204);
    bo.delete(&format!("{arena}/members/0")).await.expect(409);
    world.server().delete(&format!("{arena}/members/0")).await.expect(409);
    bo.delete(&format!("{arena}/members/1")).await.expect(204);
    assert_eq!(ada.get(&arena).await.expect(200).json()["membersInfo"]["count"], 1);

    let old = ada.send(Method::GET, &arena, &[("x-xbl-contract-version", "105")], None).await.expect(200).json();
    assert_eq!(old["contractVersion"], 105, "T-52");
    assert_eq!(old["constants"]["system"]["timeouts"]["ready"], 180_000);
    assert_eq!(old["members"], ada.get(&arena).await.expect(200).json()["members"]);
    world.end().await;
}
