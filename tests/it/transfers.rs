//! Transfer handles: from the members of one session to another (H).

use openmpsd::domain::names::TitleId;
use openmpsd::domain::principal::{Principal, User};
use rstest::rstest;
use serde_json::{Value, json};

use crate::acting::{acting, denied};
use crate::handles::{handle, id, through};
use crate::harness::{Actor, SCID, World, player};
use crate::story::{active, creating, leaving, open, reserving, sql};

fn reference(name: &str) -> Value {
    json!({"scid": SCID, "templateName": "Open", "name": name})
}

/// The body that leads members of one session of the open template to another.
fn leading(origin: &str, target: &str) -> Value {
    json!({"type": "transfer", "version": 1, "sessionRef": reference(target), "originSessionRef": reference(origin)})
}

/// A PUT that joins without being active.
fn here() -> Value {
    json!({"members": {"me": {}}})
}

/// Ada's lobby, which keeps whoever is not active, and her game with these constants and properties, and the handle from one to the
/// other.
async fn game(world: &World, constants: &Value, system: &Value) -> (Actor, String) {
    let ada = world.user(1);
    let patient = json!({"inactiveRemovalTimeout": null, "reservedRemovalTimeout": null});
    ada.put(&open("lobby"), &creating(&patient, &json!({}))).await.expect(201);
    ada.put(&open("game"), &creating(constants, system)).await.expect(201);
    let made = id(ada.post("/handles", &leading("lobby", "game")).await);
    (ada, made)
}

fn local() -> Value {
    json!({"joinRestriction": "local", "readRestriction": "local"})
}

#[tokio::test]
async fn h37_r50_the_whole_document_comes_back() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("Game"), &active()).await.expect(201);
    let etag = ada.get(&open("game")).await.etag();
    world.pass(5);
    let request = json!({
        "type": "Transfer", "sessionRef": {"scid": SCID, "templateName": "oPEN", "name": "game"}, "other": 1,
        "originSessionRef": {"scid": SCID.to_uppercase(), "templateName": "oPEN", "name": "Lobby"},
    });
    let made = ada.post("/handles", &request).await.expect(201).json();
    let a = made["id"].as_str().expect("an id is text");
    assert_eq!((a.len(), a.to_ascii_lowercase().as_str()), (36, a), "S-12");
    let mut expected = json!({
        "id": a, "type": "transfer", "version": 1, "sessionRef": reference("Game"), "originSessionRef": reference("Lobby"),
        "ownerXuid": "1", "createTime": "2031-04-05T18:00:00.1280000Z",
    });
    expected["originSessionRef"]["scid"] = json!(SCID.to_uppercase());
    assert_eq!(made, expected, "S-05: names keep their case, templates have their own");
    assert_eq!(ada.get(&handle(&a.to_uppercase())).await.expect(200).json(), expected, "R-51");
    assert_eq!(ada.get(&open("game")).await.etag(), etag, "a transfer handle is no change of the session");
    let all = "?include=relatedInfo,customProperties,roleInfo,activityInfo";
    let shown = ada.get(&format!("{}{all}", handle(a))).await.expect(200).json();
    assert_eq!(shown["relatedInfo"]["postedTime"], "2031-04-05T18:00:00.1280000Z");
    assert_eq!((&shown["customProperties"], &shown["roleInfo"]), (&json!({}), &json!({"roleTypes": {}})));
    world.end().await;
}

#[tokio::test]
async fn h02_h04_h37_bad_transfers() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("game"), &active()).await.expect(201);
    let origin = |origin: Value| {
        let mut body = leading("lobby", "game");
        body["originSessionRef"] = origin;
        body
    };
    for (body, named) in [
        (origin(Value::Null), "originSessionRef"),
        (origin(json!("lobby")), "originSessionRef"),
        (origin(json!({"templateName": "Open", "name": "lobby"})), "originSessionRef.scid"),
        (origin(json!({"scid": SCID, "name": "lobby"})), "originSessionRef.templateName"),
        (origin(json!({"scid": SCID, "templateName": "Open"})), "originSessionRef.name"),
        (origin(json!({"scid": SCID, "templateName": "Open", "name": "a b"})), "originSessionRef.name"),
        (json!({"type": "transfer", "sessionRef": reference("game")}), "originSessionRef"),
        (json!({"type": "transfer", "originSessionRef": reference("game")}), "sessionRef"),
    ] {
        let refused = ada.post("/handles", &body).await.expect(400);
        assert!(refused.text.starts_with(&format!("{named}: ")), "{body} {refused:?}");
    }
    // E-13: what does not exist in the catalog is 404 at either end.
    ada.post("/handles", &origin(json!({"scid": SCID, "templateName": "Nothing", "name": "lobby"}))).await.expect(404);
    let elsewhere = json!({"scid": "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a8", "templateName": "Open", "name": "lobby"});
    ada.post("/handles", &origin(elsewhere.clone())).await.expect(404);
    let mut body = leading("lobby", "game");
    body["sessionRef"] = elsewhere;
    ada.post("/handles", &body).await.expect(404);
    assert_eq!(sql(&world, "select count(*) from handles").await.as_deref(), Some("0"), "E-06");
    world.end().await;
}

#[tokio::test]
async fn h37_members_of_the_target_make_transfers() {
    let world = World::new().await;
    let (ada, bo, cy, eve) = (world.user(1), world.user(2), world.user(3), world.user(9));
    let patient = json!({"inactiveRemovalTimeout": null});
    ada.put(&open("game"), &creating(&patient, &json!({}))).await.expect(201);
    bo.put(&open("game"), &here()).await.expect(200);
    ada.put(&open("game"), &reserving(&[3])).await.expect(200);
    for actor in [&ada, &bo, &cy, &acting(&world, &[1]), &denied(&world, &[1])] {
        // H-03 in spirit: whether there is an origin shows when the handle is used.
        actor.post("/handles", &leading("nowhere", "game")).await.expect(201);
    }
    for actor in [&eve, &world.server(), &world.admin(), &acting(&world, &[1, 2]), &acting(&world, &[9])] {
        actor.post("/handles", &leading("lobby", "game")).await.expect(403);
    }
    bo.put(&open("game"), &leaving()).await.expect(200);
    bo.post("/handles", &leading("lobby", "game")).await.expect(403);
    // XSAPI expects 403 and tries again, also as long as the target does not exist.
    ada.post("/handles", &leading("game", "nowhere")).await.expect(403);
    let unnamed =
        json!({"type": "transfer", "sessionRef": {"scid": SCID, "templateName": "Open"}, "originSessionRef": reference("a")});
    ada.post("/handles", &unnamed).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn h43_accepted_members_of_the_origin_and_nobody_else() {
    let world = World::new().await;
    let (ada, made) = game(&world, &json!({}), &local()).await;
    let (bo, cy, dee, eve) = (world.user(2), world.user(3), world.user(4), world.user(9));
    bo.put(&open("lobby"), &active()).await.expect(200);
    cy.put(&open("lobby"), &here()).await.expect(200);
    ada.put(&open("lobby"), &reserving(&[4])).await.expect(200);
    for actor in [&dee, &eve] {
        actor.get(&handle(&made)).await.expect(403);
        actor.get(&through(&made)).await.expect(403);
        let refused = actor.put(&through(&made), &active()).await.expect(403);
        assert!(!refused.text.starts_with('{'), "A-11: {refused:?}");
    }
    for (actor, count) in [(&bo, 2), (&cy, 3)] {
        actor.get(&open("game")).await.expect(403);
        actor.put(&open("game"), &active()).await.expect(403);
        actor.get(&handle(&made)).await.expect(200);
        let read = actor.get(&through(&made)).await.expect(200);
        assert_eq!(read.json()["membersInfo"]["count"], count - 1);
        // H-48: the handle is not consumed.
        assert_eq!(actor.put(&through(&made), &active()).await.expect(200).json()["membersInfo"]["count"], count, "H-47");
    }
    // The right is one of the moment.
    dee.put(&open("lobby"), &here()).await.expect(200);
    dee.get(&through(&made)).await.expect(200);
    dee.put(&open("lobby"), &leaving()).await.expect(200);
    dee.get(&through(&made)).await.expect(403);
    dee.put(&through(&made), &active()).await.expect(403);
    // Where the lobby is over, nobody comes from it.
    for actor in [&ada, &bo, &cy] {
        actor.put(&open("lobby"), &leaving()).await;
    }
    ada.get(&open("lobby")).await.expect(204);
    eve.get(&through(&made)).await.expect(403);
    ada.get(&through(&made)).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn h43_r16_each_of_several_acting_users_by_its_own_membership() {
    let world = World::new().await;
    let (ada, made) = game(&world, &json!({}), &local()).await;
    world.user(2).put(&open("lobby"), &active()).await.expect(200);
    world.user(3).put(&open("lobby"), &here()).await.expect(200);
    ada.put(&open("lobby"), &reserving(&[4])).await.expect(200);
    let all = json!({"members": {"me_all": {"properties": {"system": {"active": true}}}}});
    denied(&world, &[4]).get(&through(&made)).await.expect(403);
    denied(&world, &[4, 9]).get(&through(&made)).await.expect(403);
    denied(&world, &[9, 2]).get(&through(&made)).await.expect(200);
    denied(&world, &[9, 2]).put(&through(&made), &all).await.expect(403);
    denied(&world, &[2, 4]).put(&through(&made), &all).await.expect(403);
    assert_eq!(denied(&world, &[2, 3]).put(&through(&made), &all).await.expect(200).json()["membersInfo"]["count"], 3);
    // A server's own rights need no handle.
    acting(&world, &[9, 4]).put(&through(&made), &all).await.expect(200);
    world.server().get(&through(&made)).await.expect(200);
    world.end().await;
}

/// What a member of the origin may do: read, and join.
#[rstest]
#[case::free(json!({}), json!({}), 200, 200)]
#[case::local(json!({}), local(), 200, 200)]
#[case::followed(json!({}), json!({"joinRestriction": "followed", "readRestriction": "followed"}), 200, 200)]
#[case::visible(json!({"visibility": "visible"}), local(), 200, 403)]
#[case::private(json!({"visibility": "private"}), json!({}), 403, 403)]
#[case::closed(json!({}), json!({"closed": true, "joinRestriction": "local", "readRestriction": "local"}), 200, 403)]
#[case::locked(json!({}), json!({"closed": true, "locked": true}), 200, 403)]
#[case::full(json!({"maxMembersCount": 1}), local(), 200, 400)]
#[case::blocked(json!({"capabilities": {"hasOwners": true}}), local(), 200, 403)]
#[tokio::test]
async fn h43_as_with_search(#[case] constants: Value, #[case] system: Value, #[case] reads: u16, #[case] joins: u16) {
    let world = World::new().await;
    let (_, made) = game(&world, &constants, &system).await;
    let bo = world.user(2);
    bo.put(&open("lobby"), &active()).await.expect(200);
    if constants.get("capabilities").is_some() {
        world.store.put_block(1, 2).await.expect("the edge is stored");
    }
    bo.get(&through(&made)).await.expect(reads);
    bo.get(&handle(&made)).await.expect(reads);
    let wrote = bo.put(&through(&made), &active()).await.expect(joins);
    assert_eq!(wrote.text.starts_with('{'), reads == 200 && joins != 400, "{wrote:?}");
    world.end().await;
}

#[rstest]
#[case::small(json!({"inactiveRemovalTimeout": 60_000}))]
#[case::large(json!({"inactiveRemovalTimeout": 60_000, "capabilities": {"large": true}, "maxMembersCount": 200}))]
#[tokio::test]
async fn h43_m24_who_is_due_to_go_comes_from_nowhere(#[case] lobby: Value) {
    let world = World::new().await;
    let (ada, bo, cy) = (world.user(1), world.user(2), world.user(3));
    ada.put(&open("lobby"), &creating(&lobby, &json!({}))).await.expect(201);
    ada.put(&open("game"), &creating(&json!({}), &local())).await.expect(201);
    for actor in [&bo, &cy] {
        actor.put(&open("lobby"), &here()).await.expect(200);
    }
    let made = id(ada.post("/handles", &leading("lobby", "game")).await);
    bo.get(&through(&made)).await.expect(200);
    world.pass(60_000);
    cy.get(&handle(&made)).await.expect(403);
    for answer in [bo.get(&through(&made)).await, cy.put(&through(&made), &active()).await] {
        answer.expect(403);
    }
    denied(&world, &[2, 3]).get(&through(&made)).await.expect(403);
    assert_eq!(ada.get(&open("lobby")).await.json()["membersInfo"]["count"], 1);
    world.end().await;
}

#[tokio::test]
async fn h38_h45_h46_a_transfer_lives_as_long_as_its_target() {
    let world = World::new().await;
    let (ada, made) = game(&world, &json!({}), &local()).await;
    let bo = world.user(2);
    bo.put(&open("lobby"), &active()).await.expect(200);
    bo.put(&through(&made), &active()).await.expect(200);
    // Its creator may go, and so may the origin.
    ada.put(&open("game"), &leaving()).await.expect(200);
    ada.get(&handle(&made)).await.expect(200);
    for actor in [&ada, &bo] {
        actor.put(&open("lobby"), &leaving()).await;
    }
    world.pass(30 * 86_400_000);
    assert_eq!(world.running.directory.drop_expired_handles().await.expect("the database answers"), 0);
    bo.get(&through(&made)).await.expect(200);
    bo.put_if(&through(&made), ("If-Match", "*"), &active()).await.expect(200);
    bo.put(&open("game"), &leaving()).await.expect(204);
    for actor in [&ada, &bo] {
        actor.get(&handle(&made)).await.expect(404);
        actor.get(&through(&made)).await.expect(404);
        actor.put_if(&through(&made), ("If-Match", "*"), &active()).await.expect(404);
        actor.put(&through(&made), &active()).await.expect(404);
        actor.delete(&handle(&made)).await.expect(404);
    }
    assert_eq!(sql(&world, "select count(*) from handles").await.as_deref(), Some("0"));
    world.end().await;
}

#[tokio::test]
async fn h38_m24_a_target_that_is_over_takes_its_transfers_along() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    world.server().put(&open("game"), &reserving(&[1])).await.expect(201);
    let made = id(ada.post("/handles", &leading("lobby", "game")).await);
    world.pass(30_000);
    bo.get(&through(&made)).await.expect(404);
    assert_eq!(sql(&world, "select count(*) from handles").await.as_deref(), Some("0"));
    world.end().await;
}

#[tokio::test]
async fn h08_only_its_creator_and_servers_delete_a_transfer() {
    let world = World::new().await;
    let (ada, made) = game(&world, &json!({"capabilities": {"hasOwners": true}}), &json!({})).await;
    let bo = world.user(2);
    bo.put(&open("game"), &active()).await.expect(200);
    bo.put(&open("lobby"), &active()).await.expect(200);
    let of_bo = id(bo.post("/handles", &leading("lobby", "game")).await);
    ada.delete(&handle(&of_bo)).await.expect(403);
    for actor in [&bo, &world.user(9), &world.admin(), &denied(&world, &[2, 9])] {
        actor.delete(&handle(&made)).await.expect(403);
    }
    let elsewhere = world.actor(Principal::User(User { title_id: Some(TitleId(7)), ..player(1) }));
    assert_eq!(elsewhere.delete(&handle(&made)).await.expect(204).text, "");
    ada.delete(&handle(&made)).await.expect(404);
    bo.get(&through(&made)).await.expect(404);
    world.server().delete(&handle(&of_bo)).await.expect(204);
    ada.get(&open("game")).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn a02_transfers_of_foreign_titles() {
    let world = World::new().await;
    let (ada, made) = game(&world, &json!({}), &json!({})).await;
    world.keeps_for_title(7).await;
    ada.get(&handle(&made)).await.expect(403);
    ada.delete(&handle(&made)).await.expect(403);
    ada.get(&through(&made)).await.expect(403);
    ada.put(&through(&made), &active()).await.expect(403);
    ada.post("/handles", &leading("lobby", "game")).await.expect(403);
    world.end().await;
}
