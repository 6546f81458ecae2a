//! A user's inbox: the invites that can be followed (our extension; H-33, H-34).

use serde_json::json;

use crate::acting::{acting, denied};
use crate::handles::{handle, id};
use crate::harness::{SCID, World};
use crate::invites::{DAY, UNKNOWN, inbox, invite};
use crate::story::{active, open};

#[tokio::test]
async fn h34_the_inbox_lists_newest_first() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("foo"), &active()).await.expect(201);
    let mut sent = Vec::new();
    for _ in 0..3 {
        sent.push(invite(&ada, "foo", 2).await);
        world.pass(1000);
    }
    let from_cy = {
        let cy = world.user(3);
        cy.put(&open("foo"), &active()).await.expect(200);
        invite(&cy, "foo", 2).await
    };
    invite(&ada, "foo", 5).await;
    sent.push(from_cy.clone());
    sent.reverse();
    assert_eq!(inbox(&bo, "").await, sent);
    assert_eq!(inbox(&bo, "?take=2").await, sent[..2]);
    assert_eq!(inbox(&bo, "?take=0").await, Vec::<String>::new());
    for take in ["101", "x", "-1"] {
        bo.get(&format!("/users/me/invites?take={take}")).await.expect(400);
    }
    assert_eq!(inbox(&denied(&world, &[2]), "").await, sent, "a server that acts for one user");
    for actor in [&world.server(), &world.admin(), &acting(&world, &[2, 5])] {
        actor.get("/users/me/invites").await.expect(403);
        actor.delete(&format!("/users/me/invites/{from_cy}")).await.expect(403);
    }
    // Whoever is blocked since is not heard of.
    world.store.put_block(2, 3).await.expect("the edge is stored");
    assert_eq!(inbox(&bo, "").await, sent[1..]);
    world.store.put_block(1, 2).await.expect("the edge is stored");
    assert_eq!(inbox(&bo, "").await, sent[1..]);
    // The oldest is over first.
    world.pass(DAY - 3000);
    assert_eq!(inbox(&bo, "").await, sent[1..3]);
    bo.post("/users/me/invites", &json!({})).await.expect(405);
    assert_eq!(bo.get(&format!("/users/me/invites/{from_cy}")).await.expect(405).header("allow"), Some("DELETE"));
    world.end().await;
}

#[tokio::test]
async fn h08_an_invite_is_deleted_from_ones_own_inbox_only() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("foo"), &active()).await.expect(201);
    let a = invite(&ada, "foo", 2).await;
    for actor in [&ada, &world.user(9)] {
        actor.delete(&format!("/users/me/invites/{a}")).await.expect(404);
    }
    let activity = json!({"type": "activity", "sessionRef": {"scid": SCID, "templateName": "Open", "name": "foo"}});
    let activity = id(ada.post("/handles", &activity).await);
    ada.delete(&format!("/users/me/invites/{activity}")).await.expect(404);
    bo.delete(&format!("/users/ME/Invites/{}", a.to_uppercase())).await.expect(204);
    for gone in [a.as_str(), UNKNOWN, "nonsense"] {
        bo.delete(&format!("/users/me/invites/{gone}")).await.expect(404);
    }
    ada.get(&handle(&a)).await.expect(404);
    ada.get(&handle(&activity)).await.expect(200);
    world.end().await;
}
