//! Users who are refused everything, because an administrator says so (A-43).

use std::time::Duration;

use openmpsd::domain::names::Scid;
use openmpsd::domain::principal::{Principal, Server};
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{SCID, World, eventually, session};
use crate::story::{active, open};

async fn list(world: &World, query: &str) -> Vec<Value> {
    let answer = world.admin().get(&format!("/admin/bans?{query}")).await.expect(200).json();
    answer["items"].as_array().expect("items is an array").clone()
}

#[tokio::test]
async fn a43_a_banned_user_is_refused_at_once_here_and_soon_elsewhere() {
    let world = World::new().await;
    let beside = world.beside().await;
    let (ada, op) = (world.user(1), world.admin());
    let path = open("stays");
    ada.put(&path, &active()).await.expect(201);

    let ban = op.put("/admin/bans/1", &json!({"reason": "cheats"})).await.expect(201).json();
    let expected = json!({"xuid": "1", "reason": "cheats", "createdAt": "2031-04-05T18:00:00.1230000Z", "createdBy": "admin:op"});
    assert_eq!(ban, expected);
    let refused = ada.get(&path).await.expect(403);
    assert!(refused.text.contains("banned"), "{refused:?}");
    world.dials("/connect").with("authorization", &format!("XBL3.0 x=*;{}", token(&world, 1))).refused(403).await;
    let elsewhere = beside.user(1);
    eventually("the other instance hears of it", async || elsewhere.get(&path).await.status == 403).await;

    // A server acts for nobody who is banned (R-16), and the session is as it was.
    let acting = world.server().with("x-xbl-onbehalfof-users", "1");
    let refused = acting.get(&path).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let shown = world.server().get(&path).await.expect(200).json();
    assert_eq!(shown["members"]["0"]["properties"]["system"]["active"], json!(true));

    op.delete("/admin/bans/1?reason=mistaken").await.expect(204);
    ada.get(&path).await.expect(200);
    eventually("the other instance hears of it", async || elsewhere.get(&path).await.status == 200).await;
    op.delete("/admin/bans/1?reason=mistaken").await.expect(404);
    let answer = op.get("/admin/audit").await.expect(200).json();
    let rows: Vec<(&str, &str)> = answer["items"]
        .as_array()
        .expect("items is an array")
        .iter()
        .map(|item| (item["action"].as_str().unwrap_or("-"), item["outcome"].as_str().unwrap_or("-")))
        .collect();
    // All of one instant.
    assert!(rows.contains(&("ban.put", "done")) && rows.contains(&("ban.delete", "done")), "{rows:?}");
    assert!(rows.contains(&("ban.delete", "the user is not banned by an administrator")), "{rows:?}");
    beside.end().await;
    world.end().await;
}

fn token(world: &World, xuid: u64) -> String {
    world.token(&Principal::User(crate::harness::player(xuid)), 3600)
}

#[tokio::test]
async fn a43_the_sockets_of_a_banned_user_are_closed_on_every_instance() {
    let world = World::new().await;
    let beside = world.beside().await;
    let (mut here, mut there, mut other) = (world.socket(1).await, beside.socket(1).await, world.socket(2).await);
    here.connects().await;
    world.admin().put("/admin/bans/1", &json!({"reason": "cheats"})).await.expect(201);
    assert_eq!(here.closed(1008).await, "banned");
    assert_eq!(there.closed(1008).await, "banned");
    other.connects().await;
    beside.end().await;
    world.end().await;
}

#[tokio::test]
async fn a43_a_ban_ends_by_itself_and_can_be_changed() {
    let world = World::new().await;
    let (ada, op) = (world.user(1), world.admin());
    let path = session("Card", "later");
    let until = |at: &str| json!({"reason": "a day off", "expiresAt": at});
    op.put("/admin/bans/1", &until("2031-04-05T18:10:00Z")).await.expect(201);
    ada.get(&path).await.expect(403);
    // The development clock moves the service's time, not that of bans.
    world.pass(3_600_000);
    ada.get(&path).await.expect(403);
    op.put("/admin/bans/1", &until("2031-04-05T18:20:00+00:00")).await.expect(200);
    world.clock.advance_real(Duration::from_mins(15));
    ada.get(&path).await.expect(403);
    world.clock.advance_real(Duration::from_mins(5));
    ada.get(&path).await.expect(204);
    assert_eq!(list(&world, "").await[0]["expiresAt"], "2031-04-05T18:20:00.0000000Z", "the list remembers");
    // A new instance does not even load it.
    let beside = world.beside().await;
    assert!(beside.running.directory.bans().is_empty());
    beside.end().await;
    op.put("/admin/bans/1", &json!({"reason": "for good", "expiresAt": null})).await.expect(200);
    ada.get(&path).await.expect(403);
    world.end().await;
}

#[rstest]
#[case("{}", "reason: ")]
#[case(r#"{"reason": ""}"#, "reason: ")]
#[case(r#"{"reason": 5}"#, "reason: ")]
#[case(r#"{"reason": "x", "expiresAt": 5}"#, "expiresAt: ")]
#[case(r#"{"reason": "x", "expiresAt": "tomorrow"}"#, "expiresAt: ")]
#[case(r#"{"reason": "x", "expiresAt": "2031-04-05T18:00:00Z"}"#, "expiresAt: ")]
#[case(r#"{"reason": "x", "until": "2041-04-05T18:00:00Z"}"#, "until: ")]
#[case("[]", "body: ")]
#[tokio::test]
async fn a43_e11_a_bad_ban_is_refused_by_its_field(#[case] body: &str, #[case] start: &str) {
    let world = World::new().await;
    let refused = world.admin().send(reqwest::Method::PUT, "/admin/bans/1", &[], Some(body.to_owned())).await.expect(400);
    assert!(refused.text.starts_with(start), "{refused:?}");
    assert_eq!(list(&world, "").await, Vec::<Value>::new());
    world.end().await;
}

#[tokio::test]
async fn a43_bans_are_listed_page_by_page_and_known_from_the_start() {
    let world = World::new().await;
    let op = world.admin();
    op.put("/admin/bans/x", &json!({"reason": "x"})).await.expect(404);
    for xuid in [3, 1, u64::MAX, 2] {
        op.put(&format!("/admin/bans/{xuid}"), &json!({"reason": "cheats"})).await.expect(201);
    }
    let (mut token, mut found) = (String::new(), Vec::new());
    loop {
        let answer = op.get(&format!("/admin/bans?take=1{token}")).await.expect(200).json();
        let items = answer["items"].as_array().expect("items is an array");
        found.extend(items.iter().map(|item| item["xuid"].as_str().expect("a xuid is text").to_owned()));
        let Some(next) = answer["continuationToken"].as_str() else { break };
        token = format!("&continuationToken={next}");
    }
    assert_eq!(found, ["18446744073709551615", "1", "2", "3"], "in the order of the column");
    let beside = world.beside().await;
    beside.user(u64::MAX).get(&open("x")).await.expect(403);
    beside.user(4).get(&open("x")).await.expect(204);
    // Whoever is no user is not banned.
    let scids = vec![Scid::parse(SCID).expect("a GUID")];
    beside.actor(Principal::Server(Server { name: "1".into(), scids })).get(&open("x")).await.expect(204);
    beside.end().await;
    world.end().await;
}

#[tokio::test]
async fn a43_bans_of_a_database_that_was_restored_are_taken_over() {
    let world = World::new().await;
    let (ada, bo, op) = (world.user(1), world.user(2), world.admin());
    for xuid in [1, 3, 4] {
        op.put(&format!("/admin/bans/{xuid}"), &json!({"reason": "cheats"})).await.expect(201);
    }
    ada.get(&open("x")).await.expect(403);
    // An earlier state of the database, with an earlier revision.
    crate::story::sql(&world, "update bans set xuid = 2 where xuid = 1; update ban_list set revision = 2").await;
    eventually("the earlier list holds", async || bo.get(&open("x")).await.status == 403).await;
    ada.get(&open("x")).await.expect(204);
    op.put("/admin/bans/1", &json!({"reason": "cheats"})).await.expect(201);
    ada.get(&open("x")).await.expect(403);
    op.delete("/admin/bans/2?reason=mistaken").await.expect(204);
    bo.get(&open("x")).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn a43_many_bans_at_once_all_hold_when_they_are_answered() {
    let world = World::new().await;
    let bans = (1..=40).map(|xuid| {
        let (op, user) = (world.admin(), world.user(xuid));
        async move {
            op.put(&format!("/admin/bans/{xuid}"), &json!({"reason": "cheats"})).await.expect(201);
            user.get(&open("x")).await.expect(403);
            op.delete(&format!("/admin/bans/{xuid}?reason=mistaken")).await.expect(204);
            user.get(&open("x")).await.expect(204);
        }
    });
    futures_util::future::join_all(bans).await;
    assert!(world.running.directory.bans().is_empty());
    world.end().await;
}

#[tokio::test]
async fn a43_one_ban_is_looked_up() {
    let world = World::new().await;
    let op = world.admin();
    op.put("/admin/bans/1", &json!({"reason": "a day off", "expiresAt": "2031-04-05T18:10:00Z"})).await.expect(201);
    let ban = op.get("/admin/bans/1").await.expect(200).json();
    assert_eq!((&ban["xuid"], &ban["reason"], &ban["expired"]), (&json!("1"), &json!("a day off"), &json!(false)));
    world.clock.advance_real(Duration::from_mins(10));
    assert_eq!(op.get("/admin/bans/1").await.expect(200).json()["expired"], json!(true));
    op.get("/admin/bans/2").await.expect(404);
    op.get("/admin/bans/x").await.expect(404);
    let refused = op.get("/admin/bans/1?take=1").await.expect(400);
    assert!(refused.text.starts_with("take: there are no parameters here"), "{refused:?}");
    world.end().await;
}

#[tokio::test]
async fn a43_there_is_an_end_to_bans() {
    let world = World::new().await;
    world.pass(1);
    let fill = "insert into bans (xuid, reason) select n, 'many' from generate_series(1, 200000) n;
        update ban_list set revision = revision + 1";
    crate::story::sql(&world, fill).await;
    let refused = world.admin().put("/admin/bans/200001", &json!({"reason": "one more"})).await.expect(409);
    assert!(refused.text.starts_with("bans: "), "{refused:?}");
    world.admin().put("/admin/bans/200000", &json!({"reason": "known already"})).await.expect(200);
    world.user(77).get(&open("x")).await.expect(403);
    world.end().await;
}
