//! Session queries for many users at once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Actor, Answer, Choices, SCID, World, session};
use crate::log::Log;
use crate::story::{active, create_all, creating, names, open, reserving, results, tagged};

/// The batch route over all templates.
fn batch(query: &str) -> String {
    format!("/serviceconfigs/{SCID}/batch?{query}")
}

fn users(xuids: &[u64]) -> Value {
    json!({"xuids": xuids.iter().map(u64::to_string).collect::<Vec<_>>()})
}

/// Who and where, of each result.
#[track_caller]
fn found(answer: Answer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    results(answer).iter().map(|item| (text(&item["xuid"]), text(&item["sessionRef"]["name"]))).collect()
}

fn pairs(expected: &[(u64, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(xuid, name)| (xuid.to_string(), (*name).to_owned())).collect()
}

#[tokio::test]
async fn q01_one_template_or_all_of_them() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("foo"), &active()).await.expect(201);
    ada.put(&session("Card", "bar"), &active()).await.expect(201);
    assert_eq!(names(ada.post(&batch(""), &users(&[1])).await), ["bar", "foo"]);
    let of = |template: &str| format!("/serviceconfigs/{SCID}/sessionTemplates/{template}/BATCH");
    assert_eq!(names(ada.post(&of("cARD"), &users(&[1, 2])).await), ["bar"]);
    ada.post(&of("Nothing"), &users(&[1])).await.expect(404);
    ada.post("/serviceconfigs/5f0c1a52-7c1e-4b52-9d0e-00007a11b0a8/batch", &users(&[1])).await.expect(404);
    ada.post("/serviceconfigs/nonsense/batch", &users(&[1])).await.expect(404);
    assert_eq!(ada.get(&batch("xuid=1")).await.expect(405).header("allow"), Some("POST"), "R-08");
    world.end().await;
}

#[tokio::test]
async fn q38_whom_a_batch_asks_for() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("a"), &tagged("eu")).await.expect(201);
    bo.put(&open("b"), &tagged("eu")).await.expect(201);
    for (query, body, expected) in [
        ("", json!({"xuids": ["2", 1]}), vec![(2, "b"), (1, "a")]),
        ("", json!({"xuids": ["1", "1", 1], "take": "ignored"}), vec![(1, "a")]),
        ("xuid=2&XUID=1&xuid=2", json!({}), vec![(2, "b"), (1, "a")]),
        ("xuid=2", json!({"xuids": []}), vec![(2, "b")]),
        ("xuid=2", json!({"xuids": null}), vec![(2, "b")]),
        ("xuid=2", json!({"xuids": ["1"]}), vec![(1, "a")]),
        ("keyword=EU", json!({"xuids": ["2"]}), vec![(2, "b")]),
        ("keyword=us", json!({"xuids": ["2"]}), vec![]),
        ("", json!({"xuids": ["7"]}), vec![]),
    ] {
        assert_eq!(found(ada.post(&batch(query), &body).await), pairs(&expected), "{query} {body}");
    }
    let by_keyword = results(ada.post(&batch("keyword=eu"), &json!({})).await);
    assert_eq!((by_keyword.len(), by_keyword[0].get("xuid")), (2, None), "as the GET would");
    let without = [("content-type", "")];
    ada.send(Method::POST, &batch("xuid=1"), &without, None).await.expect(200);

    let many = |count: u64| users(&(1..=count).collect::<Vec<_>>());
    let parameters = |count: u64| (1..=count).map(|xuid| format!("xuid={xuid}")).collect::<Vec<_>>().join("&");
    ada.post(&batch(""), &many(100)).await.expect(200);
    ada.post(&batch(&parameters(100)), &json!({})).await.expect(200);
    for (query, body, field) in [
        ("", json!({}), "query: "),
        ("", json!({"xuids": []}), "query: "),
        ("take=5", json!({"xuids": null}), "query: "),
        ("", many(101), "xuids: "),
        (&parameters(101), json!({}), "xuid: "),
        ("", json!({"xuids": ["1", "2", "3", "x"]}), "xuids[3]: "),
        ("", json!({"xuids": ["-1"]}), "xuids[0]: "),
        ("", json!({"xuids": "1"}), "xuids: "),
        ("", json!({"xuids": {"1": 1}}), "xuids: "),
        ("", json!(["1"]), "body: "),
        ("xuid=x", json!({"xuids": ["1"]}), "xuid: "),
        ("take=1&take=1", json!({"xuids": ["1"]}), "take: "),
        ("keyword=eu&reservations=true", json!({}), "reservations: "),
        ("take=x", json!({"xuids": "1"}), "take: "),
    ] {
        let answer = ada.post(&batch(query), &body).await.expect(400);
        assert!(answer.text.starts_with(field), "{query} {body} {answer:?}");
    }
    ada.send(Method::POST, &batch(""), &[("content-type", "text/xml")], Some(users(&[1]).to_string())).await.expect(400);
    ada.post(&batch(""), &json!({"xuids": "x".repeat(300_000)})).await.expect(413);
    world.end().await;
}

#[tokio::test]
async fn q39_a_session_of_two_users_appears_for_each() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let system = json!({"turn": [0]});
    let waiting = json!({"inactiveRemovalTimeout": 7_200_000});
    ada.put(&open("both"), &creating(&waiting, &system)).await.expect(201);
    bo.put(&open("both"), &json!({"members": {"me": {}}})).await.expect(200);
    world.pass(1);
    bo.put(&open("b"), &active()).await.expect(201);
    let answer = results(ada.post(&batch("inactive=true"), &users(&[1, 2])).await);
    let brief: Vec<Value> =
        answer.iter().map(|item| json!([item["xuid"], item["sessionRef"]["name"], item["status"], item.get("myTurn")])).collect();
    assert_eq!(json!(brief), json!([["1", "both", "active", true], ["2", "b", "active", null], ["2", "both", "inactive", null]]));
    let turned = found(ada.post(&batch("inactive=true"), &users(&[2, 1])).await);
    assert_eq!(turned, pairs(&[(2, "b"), (2, "both"), (1, "both")]), "in the order of the list");
    world.end().await;
}

#[tokio::test]
async fn q40_take_bounds_each_user_alone() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        world.user(1).put(&open(name), &active()).await.expect(201);
        world.user(2).put(&open(name), &active()).await.expect(200);
    }
    let ada = world.user(1);
    let ask = async |take: &str| found(ada.post(&batch(take), &users(&[1, 2])).await);
    assert_eq!(ask("take=2").await, pairs(&[(1, "a"), (1, "b"), (2, "a"), (2, "b")]));
    assert_eq!(ask("take=0").await, pairs(&[]));
    assert_eq!(ask("").await.len(), 6);
    world.end().await;
}

#[tokio::test]
async fn q20_private_and_reservations_need_that_every_xuid_is_the_callers() {
    let world = World::new().await;
    let (ada, server) = (world.user(1), world.server());
    ada.put(&open("foo"), &creating(&json!({"visibility": "private"}), &json!({}))).await.expect(201);
    for flag in ["private=true", "reservations=true"] {
        ada.post(&batch(flag), &users(&[1, 1])).await.expect(200);
        ada.post(&batch(&format!("{flag}&xuid=1")), &json!({})).await.expect(200);
        ada.post(&batch(flag), &users(&[1, 2])).await.expect(403);
        ada.post(&batch(&format!("{flag}&xuid=1")), &users(&[2])).await.expect(403);
        ada.post(&batch(&format!("{flag}&take=0")), &users(&[1, 2])).await.expect(403);
        server.post(&batch(flag), &users(&[1, 2])).await.expect(200);
    }
    assert_eq!(names(ada.post(&batch("private=true"), &users(&[1])).await), ["foo"]);
    assert_eq!(found(server.post(&batch("private=true"), &users(&[2, 1])).await), pairs(&[(1, "foo")]));
    ada.post(&batch("keyword=eu&private=true"), &json!({})).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn q22_checks_come_in_their_order() {
    let world = World::new().await;
    let eve = world.user(9);
    let old = [("X-Xbl-Contract-Version", "103")];
    let missing = "/serviceconfigs/5f0c1a52-7c1e-4b52-9d0e-00007a11b0a8/batch?take=x";
    world.nobody().send(Method::POST, missing, &old, Some("{".into())).await.expect(401);
    eve.send(Method::POST, missing, &old, Some("{".into())).await.expect(406);
    eve.send(Method::POST, missing, &[], Some("{".into())).await.expect(404);
    let says =
        async |query: &str, body: &str| eve.send(Method::POST, &batch(query), &[], Some(body.to_owned())).await.expect(400).text;
    assert!(says("take=x&private=true", "{").await.starts_with("take: "));
    assert!(says("private=true", "{").await.starts_with("body: "));
    assert!(says("private=true", "{}").await.starts_with("query: "), "Q-18 before Q-20");
    eve.post(&batch("private=true"), &users(&[1])).await.expect(403);
    world.end().await;
}

/// Every user is in `each` sessions of their own that anybody can read, and in one that all share.
async fn crowd(world: &World, count: u64, each: usize) -> Vec<u64> {
    let xuids: Vec<u64> = (1..=count).collect();
    for xuid in &xuids {
        let paths: Vec<String> = (0..each).map(|n| open(&format!("u{xuid}-{n}"))).collect();
        create_all(&world.user(*xuid), &paths, &active()).await;
    }
    xuids
}

async fn ask(actor: &Actor, log: &Log, query: &str, xuids: &[u64]) -> (Vec<(String, String)>, Vec<String>) {
    log.statements();
    let answer = actor.post(&batch(query), &users(xuids)).await;
    (found(answer), log.statements())
}

#[tokio::test]
async fn q38_a_hundred_users_are_one_statement() {
    let world = World::new().await;
    let xuids = crowd(&world, 100, 1).await;
    let log = Log::listen();
    let (found, statements) = ask(&world.user(1), &log, "", &xuids).await;
    assert_eq!(statements, ["db.query.by_xuid"]);
    let expected: Vec<(String, String)> = xuids.iter().map(|xuid| (xuid.to_string(), format!("u{xuid}-0"))).collect();
    assert_eq!(found, expected);
    world.end().await;
}

#[tokio::test]
async fn q38_lists_that_are_not_filled_go_on_together() {
    // What a worker reads for itself is not heard here.
    let world = World::with(Choices { readers: 0, ..Choices::default() }).await;
    let restricted = creating(&json!({}), &json!({"joinRestriction": "local", "readRestriction": "local"}));
    for xuid in [1, 2] {
        let user = world.user(xuid);
        create_all(&user, &[open(&format!("old-{xuid}"))], &active()).await;
        world.pass(1);
        // More than fit on the first page, and a stranger may read none of them.
        let paths: Vec<String> = (0..40).map(|n| open(&format!("u{xuid}-{n}"))).collect();
        create_all(&user, &paths, &restricted).await;
    }
    world.user(3).put(&open("three"), &active()).await.expect(201);
    let log = Log::listen();
    let (found, statements) = ask(&world.user(9), &log, "take=1", &[1, 3, 2]).await;
    assert_eq!(found, pairs(&[(1, "old-1"), (3, "three"), (2, "old-2")]));
    assert_eq!(statements, ["db.query.by_xuid"; 2], "a second page for those who need one");
    world.end().await;
}

#[tokio::test]
async fn m24_what_is_due_for_several_users_is_evaluated_once() {
    let world = World::new().await;
    let ada = world.user(1);
    for name in ["a", "b"] {
        ada.put(&open(name), &active()).await.expect(201);
        ada.put(&open(name), &reserving(&[2, 3])).await.expect(200);
    }
    let server = world.server();
    let ask = async || found(server.post(&batch("reservations=true"), &users(&[1, 2, 3])).await);
    assert_eq!(ask().await, pairs(&[(1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "a"), (3, "b")]));
    world.pass(30_000);
    assert_eq!(ask().await, pairs(&[(1, "a"), (1, "b")]));
    for name in ["a", "b"] {
        assert_eq!(ada.get(&open(name)).await.expect(200).json()["changeNumber"], 3, "Q-02");
    }
    world.end().await;
}
