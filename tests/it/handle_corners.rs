//! Handles where two things meet: a session that changes its life, a title that may not look, a round of writes that makes both.

use futures_util::future::join3;
use openmpsd::domain::names::TitleId;
use openmpsd::domain::principal::{Principal, User};
use serde_json::{Value, json};

use crate::handles::{playing, pointing};
use crate::harness::{Answer, SCID, World, player, publish};
use crate::story::{active, creating, leaving, open, reserving, results};

fn id(answer: Answer) -> String {
    answer.expect(201).json()["id"].as_str().expect("an id is text").to_owned()
}

fn inviting(name: &str, xuid: u64) -> Value {
    let mut body = pointing(name);
    body["type"] = json!("invite");
    body["invitedXuid"] = json!(xuid.to_string());
    body
}

#[tokio::test]
async fn h07_h57_who_is_named_in_a_handle_of_a_private_session_learns_nothing_of_it() {
    let world = World::new().await;
    let (ada, eve) = (world.user(1), world.user(9));
    // Eve pointed to the session before it was there, and is no member of it.
    let hers = id(eve.post("/handles", &pointing("secret")).await);
    let body = creating(
        &json!({"visibility": "private", "inviteProtocol": "game"}),
        &json!({"description": {"text": "hush", "locale": "en"}}),
    );
    ada.put(&open("secret"), &body).await.expect(201);
    eve.get(&open("secret")).await.expect(403);
    let include = "?include=relatedInfo,customProperties,roleInfo";
    let shown = eve.get(&format!("/handles/{hers}{include}")).await.expect(200);
    assert!(!shown.text.contains("relatedInfo") && !shown.text.contains("game"), "{}", shown.text);
    assert_eq!(shown.json()["customProperties"], json!({}));
    // So does whoever invited and left.
    ada.put(&open("secret"), &reserving(&[2])).await.expect(200);
    let bo = world.user(2);
    bo.put(&open("secret"), &active()).await.expect(200);
    let sent = id(bo.post("/handles", &inviting("secret", 3)).await);
    bo.put(&open("secret"), &leaving()).await.expect(200);
    let shown = bo.get(&format!("/handles/{sent}{include}")).await.expect(200);
    assert!(!shown.text.contains("relatedInfo"), "{}", shown.text);
    let shown = ada.get(&format!("/handles/{sent}{include}")).await.expect(200);
    assert!(shown.text.contains("hush"), "{}", shown.text);
    world.end().await;
}

#[tokio::test]
async fn h41_an_invite_opens_no_private_session_of_a_later_life() {
    let world = World::new().await;
    let (ada, bo, eve) = (world.user(1), world.user(2), world.user(9));
    let private = creating(&json!({"visibility": "private"}), &json!({}));
    ada.put(&open("room"), &private).await.expect(201);
    let invite = id(ada.post("/handles", &inviting("room", 9)).await);
    let through = format!("/handles/{invite}/session");
    eve.get(&through).await.expect(200);
    ada.put(&open("room"), &leaving()).await.expect(204);
    eve.get(&through).await.expect(204);
    world.pass(1);
    bo.put(&open("room"), &private).await.expect(201);
    eve.get(&through).await.expect(403);
    eve.put(&through, &active()).await.expect(403);
    let told = eve.get(&format!("/handles/{invite}?include=relatedInfo")).await.expect(200);
    assert!(!told.text.contains("relatedInfo"), "{}", told.text);
    world.end().await;
}

#[tokio::test]
async fn h08_m24_what_ended_in_the_meantime_is_not_deleted() {
    let world = World::new().await;
    let (ada, eve) = (world.user(1), world.user(9));
    let activity = id(ada.post("/handles", &pointing("soon")).await);
    let body = json!({
        "constants": {"system": {"reservedRemovalTimeout": 1000}},
        "members": {"reserve_0": {"constants": {"system": {"xuid": "7"}}}},
    });
    world.server().put(&open("soon"), &body).await.expect(201);
    world.pass(1001);
    eve.delete(&format!("/handles/{activity}")).await.expect(404);
    ada.delete(&format!("/handles/{activity}")).await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn a02_foreign_invites_do_not_hide_others() {
    let world = World::new().await;
    let other = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a8";
    publish(&world, other, "titles = [\"7\"]", &[("Open", r#"{"constants": {"system": {}}}"#)]).await;
    openmpsd::services::import(&world.store, concat!(env!("CARGO_MANIFEST_DIR"), "/config/services").as_ref())
        .await
        .expect("the shipped service configs are valid");
    world.running.directory.refresh_catalog().await.expect("the catalog is read");
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("here"), &active()).await.expect(201);
    ada.post("/handles", &inviting("here", 2)).await.expect(201);
    world.pass(1);
    let seven = world.actor(Principal::User(User { title_id: Some(TitleId(7)), ..player(3) }));
    seven.put(&format!("/serviceconfigs/{other}/sessionTemplates/Open/sessions/there"), &active()).await.expect(201);
    let mut foreign = inviting("there", 2);
    foreign["sessionRef"]["scid"] = json!(other);
    seven.post("/handles", &foreign).await.expect(201);
    let found = results(bo.get("/users/me/invites?take=1").await);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["sessionRef"]["scid"], SCID);
    world.end().await;
}

/// An activity for a session that does not exist, and that session, may be decided in one round: whatever comes of that, a refusal
/// changes nothing.
#[tokio::test]
async fn e06_h21_a_refused_activity_leaves_the_former_one() {
    let world = World::new().await;
    let ada = world.user(1);
    let (nine, _) = playing(&world, 9, "old").await;
    for n in 0..40 {
        let former = id(nine.post("/handles", &pointing("old")).await);
        let name = format!("new{n}");
        let (path, pointer) = (open(&name), pointing(&name));
        let body = active();
        let nocommit = format!("{path}?nocommit=true");
        let (_, posted, created) = join3(ada.put(&nocommit, &body), nine.post("/handles", &pointer), ada.put(&path, &body)).await;
        created.expect(201);
        let kept = nine.get(&format!("/handles/{former}")).await.status;
        match posted.status {
            201 => assert_eq!(kept, 404, "H-20: it was replaced"),
            _ => assert_eq!((posted.status, kept), (403, 200), "E-06: {posted:?}"),
        }
    }
    world.end().await;
}
