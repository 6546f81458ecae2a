//! Connections of members: registered, lost, and come back in time or not (M-30 to M-34, N-22 to N-24, N-32 to N-44, W-81).

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Actor, World, eventually, session};
use crate::rta_client::CONNECTIONS;
use crate::story::{active, leaving, open, sql};
use crate::taps::{Bell, Player, STAYS, making, me, note, number, resource, subscription};

/// How long a member has to come back, in milliseconds.
const GRACE: u64 = 30_000;
/// An id that no socket has.
const UNKNOWN: &str = "3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01";

/// Constants of a session in which active members need a connection.
fn required() -> Value {
    json!({"capabilities": {"connectionRequiredForActiveMembers": true}})
}

/// An instant, so many milliseconds after every test began.
fn after(ms: u64) -> Value {
    let at = crate::harness::start_of_time() + std::time::Duration::from_millis(ms);
    json!(at.format("%Y-%m-%dT%H:%M:%S%.6f0Z").to_string())
}

/// What a member is: "active", "ready", "inactive", or "gone".
fn state(document: &Value, xuid: u64) -> &'static str {
    let members = document["members"].as_object().expect("members is an object");
    let Some(member) = members.values().find(|member| member["constants"]["system"]["xuid"] == json!(xuid.to_string())) else {
        return "gone";
    };
    let system = &member["properties"]["system"];
    match (&system["active"], &system["ready"]) {
        (Value::Bool(true), _) => "active",
        (_, Value::Bool(true)) => "ready",
        _ => "inactive",
    }
}

/// Waits until it is on record that a connection is lost.
async fn is_lost(world: &World, connection: &str) {
    let query = format!("select (lost_at is not null)::text from connections where id = '{connection}'");
    eventually("the loss is on record", async || sql(world, &query).await.as_deref() == Some("true")).await;
}

/// Ada makes a session and hears everything of it; the taps of making it are behind her.
async fn host(world: &World, name: &str, constants: &Value) -> Player {
    let mut ada = world.player(1).await;
    ada.writes(&open(name), &making(&ada.listens(&["everything"]), constants)).await;
    assert_eq!(ada.number().await, 1);
    ada
}

/// Ada and Bo in a session, both subscribed to everything, and all of that told.
async fn pair(world: &World, constants: &Value) -> (Player, Player) {
    let (mut ada, mut bo) = (host(world, "foo", constants).await, world.player(2).await);
    bo.joins(&open("foo"), &["everything"]).await;
    assert_eq!((ada.number().await, bo.number().await), (2, 2));
    (ada, bo)
}

#[tokio::test]
async fn m30_active_members_need_a_connection_where_it_is_required() {
    let world = World::new().await;
    let (ada, bo) = (host(&world, "foo", &required()).await, world.player(2).await);
    bo.actor.put(&open("foo"), &active()).await.expect(400);
    bo.writes(&open("foo"), &me(&json!({"connection": bo.connection}))).await;
    bo.writes(&open("foo"), &active()).await;
    assert_eq!(state(&ada.reads(&open("foo")).await, 2), "active", "the stored one will do");
    world.end().await;
}

#[tokio::test]
async fn m31_n40_a_socket_that_closes_makes_its_member_inactive_after_the_grace_period() {
    let world = World::new().await;
    let (mut ada, bo) = pair(&world, &required()).await;
    let mut cy = world.player(3).await;
    cy.joins(&open("foo"), &["membersStatus"]).await;
    assert_eq!((ada.number().await, cy.number().await), (3, 3));
    let before = ada.actor.get(&open("foo")).await.expect(200);
    assert_eq!(before.json().get("nextTimer"), None);
    let mut bell = Bell::new(&world).await;
    bell.invites(&cy).await;

    bo.socket.leaves().await;
    assert_eq!(ada.number().await, 4, "the loss is a change");
    let lost = ada.actor.get(&open("foo")).await.expect(200);
    assert_eq!(lost.json()["nextTimer"], after(GRACE), "M-29");
    assert_ne!(lost.etag(), before.etag());
    assert_eq!(state(&lost.json(), 2), "active");
    assert_eq!(bell.rings(&mut [&mut cy]).await, [[]], "only everything is tapped for it");

    world.pass(GRACE - 1);
    assert_eq!(world.sweeps().await, 0);
    assert_eq!(ada.actor.get(&open("foo")).await.etag(), lost.etag(), "not a millisecond early");
    world.pass(1);
    assert_eq!(world.sweeps().await, 1);
    assert_eq!((ada.number().await, cy.number().await), (5, 5), "an ordinary commit");
    let document = ada.reads(&open("foo")).await;
    assert_eq!((state(&document, 2), state(&document, 1)), ("inactive", "active"));
    assert_eq!(document["nextTimer"], after(GRACE + STAYS), "M-21");
    world.end().await;
}

#[tokio::test]
async fn n40_a_reader_finds_what_the_sweeper_would() {
    let world = World::new().await;
    let (mut ada, bo) = pair(&world, &json!({})).await;
    bo.socket.leaves().await;
    assert_eq!(ada.number().await, 3);
    world.pass(GRACE);
    assert_eq!(state(&ada.reads(&open("foo")).await, 2), "inactive", "N-42: required or not");
    assert_eq!(ada.number().await, 4);
    world.end().await;
}

#[tokio::test]
async fn n40_whoever_may_not_be_inactive_is_removed_in_the_same_step() {
    let world = World::new().await;
    let (mut ada, bo) = pair(&world, &json!({"inactiveRemovalTimeout": 0})).await;
    bo.socket.leaves().await;
    assert_eq!(ada.number().await, 3);
    world.pass(GRACE);
    assert_eq!(world.sweeps().await, 1);
    assert_eq!(ada.number().await, 4);
    let document = ada.reads(&open("foo")).await;
    assert_eq!((state(&document, 2), number(&document)), ("gone", 4));
    // The last one takes the session along.
    let other = world.user(9);
    ada.socket.leaves().await;
    eventually("the loss is recorded", async || other.get(&open("foo")).await.json().get("nextTimer").is_some()).await;
    world.pass(GRACE);
    assert_eq!(world.sweeps().await, 1);
    other.get(&open("foo")).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn m31_n33_a_loss_concerns_every_session_and_ready_members_too() {
    let world = World::new().await;
    let mut ada = world.player(1).await;
    let bo = world.player(2).await;
    let states = [
        ("one", json!({"active": true})),
        ("two", json!({"ready": true})),
        ("three", json!({})),
        ("four", json!({"active": true})),
    ];
    for (name, flag) in &states {
        ada.writes(&open(name), &making(&ada.listens(&["everything"]), &json!({"readyRemovalTimeout": 600_000}))).await;
        let mut system = flag.clone();
        system["connection"] = json!(bo.connection);
        let written = number(&bo.writes(&open(name), &me(&system)).await);
        ada.taps_until(&resource("Open", name), written).await;
    }
    bo.socket.leaves().await;
    let mut told: Vec<String> = Vec::new();
    while told.len() < 3 {
        told.extend(ada.event().await.into_iter().map(|tap| tap.resource));
    }
    told.sort();
    assert_eq!(told, ["four", "one", "two"].map(|name| resource("Open", name)));
    for (name, _) in &states {
        let timer = ada.reads(&open(name)).await.get("nextTimer").cloned();
        assert_eq!(timer, Some(after(if *name == "three" { STAYS } else { GRACE })), "{name}");
    }
    world.pass(GRACE);
    assert_eq!(world.sweeps().await, 3);
    for (name, _) in &states {
        assert_eq!(state(&ada.reads(&open(name)).await, 2), "inactive", "{name}");
    }
    world.end().await;
}

#[tokio::test]
async fn n24_n40_unsubscribing_is_a_disconnect() {
    let world = World::new().await;
    let (mut ada, mut bo) = pair(&world, &required()).await;
    // As long as one subscription to the connection is left, it is there.
    let second = bo.socket.subscribes(CONNECTIONS).await;
    assert_eq!(bo.socket.unsubscribes(bo.subscribed).await, 0);
    ada.writes(&open("foo"), &note(1)).await;
    assert_eq!(ada.number().await, 3);
    assert_eq!(bo.socket.next().await[1], json!(second.id));
    assert_eq!(bo.socket.unsubscribes(second.id).await, 0);
    assert_eq!(ada.number().await, 4);
    assert_eq!(ada.reads(&open("foo")).await["nextTimer"], after(GRACE));
    world.clock.advance_real(Duration::from_secs(1));
    // The socket may have another id, and the old one is dead: nothing of the session comes to it.
    let third = bo.socket.subscribes(CONNECTIONS).await;
    assert_ne!(third.data, second.data);
    ada.writes(&open("foo"), &note(2)).await;
    assert_eq!(ada.number().await, 5);
    bo.connection = third.data["ConnectionId"].as_str().expect("the id is a text").to_owned();
    bo.subscribed = third.id;
    let back = number(&bo.joins(&open("foo"), &["everything"]).await);
    assert_eq!(ada.number().await, back);
    ada.writes(&open("foo"), &note(3)).await;
    assert_eq!(bo.number().await, back + 1, "nothing in between");
    assert_eq!(ada.reads(&open("foo")).await.get("nextTimer"), None);
    world.end().await;
}

#[tokio::test]
async fn m34_n41_a_new_connection_ends_the_grace_period_and_a_new_socket_does_not() {
    let world = World::new().await;
    let (mut ada, bo) = pair(&world, &required()).await;
    let old = bo.connection.clone();
    bo.socket.leaves().await;
    assert_eq!(ada.number().await, 3);
    world.pass(GRACE - 1);
    let mut bo = world.player(2).await;
    assert_ne!(bo.connection, old);
    assert_eq!(ada.reads(&open("foo")).await["nextTimer"], after(GRACE), "the socket alone is nothing");
    // The old id is no way back.
    let same = bo.writes(&open("foo"), &me(&json!({"active": true, "connection": old}))).await;
    assert_eq!((number(&same), &same["nextTimer"]), (3, &after(GRACE)), "W-34: it is no change at all");
    let back = bo.joins(&open("foo"), &["everything"]).await;
    assert_eq!((number(&back), back.get("nextTimer")), (4, None));
    assert_eq!(ada.number().await, 4, "the end of it is a change");
    world.pass(GRACE);
    assert_eq!(world.sweeps().await, 0);
    ada.writes(&open("foo"), &note(1)).await;
    assert_eq!((ada.number().await, bo.number().await), (5, 5));
    assert_eq!(state(&ada.reads(&open("foo")).await, 2), "active");
    world.end().await;
}

#[tokio::test]
async fn n41_whoever_keeps_to_the_old_connection_becomes_inactive() {
    let world = World::new().await;
    let (mut ada, bo) = pair(&world, &required()).await;
    let old = bo.connection.clone();
    bo.socket.leaves().await;
    assert_eq!(ada.number().await, 3);
    let bo = world.player(2).await;
    world.pass(GRACE);
    assert_eq!(world.sweeps().await, 1);
    assert_eq!(ada.number().await, 4);
    let again = bo.writes(&open("foo"), &me(&json!({"active": true, "connection": old}))).await;
    assert_eq!((state(&again, 2), &again["nextTimer"]), ("active", &after(2 * GRACE)), "lost from the start");
    assert_eq!(ada.number().await, 5);
    world.pass(GRACE);
    assert_eq!(world.sweeps().await, 1);
    let told = ada.number().await;
    let document = ada.reads(&open("foo")).await;
    assert_eq!((state(&document, 2), number(&document)), ("inactive", told));
    world.end().await;
}

#[tokio::test]
async fn n41_a_connection_that_was_lost_a_moment_before_is_lost() {
    let world = World::new().await;
    let mut ada = host(&world, "foo", &json!({})).await;
    let bo = world.player(2).await;
    bo.socket.leaves().await;
    is_lost(&world, &bo.connection).await;
    let joined = bo.actor.put(&open("foo"), &me(&json!({"active": true, "connection": bo.connection}))).await.expect(200).json();
    assert_eq!(joined["nextTimer"], after(GRACE));
    assert_eq!(ada.number().await, 2);
    world.pass(GRACE);
    assert_eq!(world.sweeps().await, 1);
    assert_eq!(state(&ada.reads(&open("foo")).await, 2), "inactive");
    world.end().await;
}

/// Whoever closes the socket and registers it at the same time is found out, whichever comes first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n40_a_registration_and_the_loss_at_the_same_time() {
    let world = World::new().await;
    let ada = host(&world, "foo", &json!({})).await;
    let mut players = Vec::new();
    for xuid in 10..40 {
        players.push(world.player(xuid).await);
    }
    join_all(players.into_iter().map(async |player| {
        let Player { actor, socket, connection, .. } = player;
        let body = me(&json!({"active": true, "connection": connection}));
        let ((), answer) = tokio::join!(socket.leaves(), async { actor.put(&open("foo"), &body).await });
        answer.expect(200);
    }))
    .await;
    // A write that took it for alive and was slow is found by the second search.
    eventually("all losses are recorded", async || {
        world.clock.advance_real(std::time::Duration::from_secs(1));
        let sids = "select count(*)::text from members where state >= 2 and index > 0";
        sql(&world, sids).await.as_deref() == Some("0") || {
            world.sweeps().await;
            false
        }
    })
    .await;
    let document = ada.reads(&open("foo")).await;
    assert!((10..40).all(|xuid| state(&document, xuid) == "inactive"), "{document}");
    assert_eq!(state(&document, 1), "active");
    world.end().await;
}

#[tokio::test]
async fn n40_a_cut_without_a_word_is_a_loss() {
    let world = World::new().await;
    let (mut ada, bo) = pair(&world, &required()).await;
    drop(bo.socket.stream);
    assert_eq!(ada.number().await, 3);
    assert_eq!(ada.reads(&open("foo")).await["nextTimer"], after(GRACE));
    world.end().await;
}

#[tokio::test]
async fn m32_n42_unknown_connections_are_taken_and_lost_where_one_is_required() {
    let world = World::new().await;
    let mut ada = host(&world, "foo", &required()).await;
    ada.writes(&open("bar"), &making(&ada.listens(&["scheduledtime"]), &json!({}))).await;
    let bo = world.user(2);
    for (name, timer) in [("foo", Some(after(GRACE))), ("bar", None)] {
        let joined = bo.put(&open(name), &me(&json!({"active": true, "connection": UNKNOWN}))).await.expect(200).json();
        let stored = joined["members"]["1"]["properties"]["system"]["connection"].as_str();
        assert_eq!((stored, joined.get("nextTimer").cloned()), (Some(UNKNOWN), timer), "{name}");
        if name == "foo" {
            assert_eq!(ada.number().await, 2, "heard at once, or it may be one tap with the next");
        }
    }
    world.pass(GRACE);
    assert_eq!(world.sweeps().await, 1);
    assert_eq!(ada.number().await, 3);
    assert_eq!(state(&ada.reads(&open("foo")).await, 2), "inactive");
    assert_eq!(state(&ada.reads(&open("bar")).await, 2), "active");
    world.end().await;
}

#[tokio::test]
async fn m33_the_connection_of_another_user_brings_nothing() {
    let world = World::new().await;
    let mut bell = Bell::new(&world).await;
    let mut ada = host(&world, "foo", &required()).await;
    bell.invites(&ada).await;
    // Bo names Ada's connection for subscriptions of his own.
    let bo = world.user(2);
    let subscription = json!({"id": subscription(2), "changeTypes": ["everything"]});
    let secondary = json!({"too": {"changeTypes": ["everything"], "rta": {"connection": ada.connection}}});
    let system =
        json!({"active": true, "connection": ada.connection, "subscription": subscription, "secondarySubscriptions": secondary});
    let joined = bo.put(&open("foo"), &me(&system)).await.expect(200).json();
    assert_eq!(joined["nextTimer"], after(GRACE), "it counts as unknown");
    bo.put(&open("foo"), &note(1)).await.expect(200);
    let told = bell.rings(&mut [&mut ada]).await.remove(0);
    assert!(!told.is_empty() && told.iter().all(|tap| tap.subscription == ada.subscription()), "{told:?}");
    // What happens to Ada's socket does not happen to Bo.
    bo.put(&open("bar"), &making(&system, &json!({}))).await.expect(201);
    let connection = ada.connection.clone();
    ada.socket.leaves().await;
    eventually("the loss is recorded", async || number(&bo.get(&open("foo")).await.json()) == 4).await;
    is_lost(&world, &connection).await;
    world.pass(GRACE);
    world.sweeps().await;
    let document = bo.get(&open("foo")).await.expect(200).json();
    assert_eq!((state(&document, 1), state(&document, 2)), ("inactive", "inactive"));
    assert_eq!(state(&bo.get(&open("bar")).await.json(), 2), "active", "N-42: unknown there, and not required");
    world.end().await;
}

async fn registers(actor: &Actor, name: &str, connection: &str) -> u16 {
    actor.put(&open(name), &making(&json!({"active": true, "connection": connection}), &json!({}))).await.status
}

#[tokio::test]
async fn n36_w81_a_connection_is_registered_in_ten_sessions() {
    let world = World::new().await;
    let (bo, cy) = (world.player(2).await, world.player(3).await);
    let names: Vec<String> = (1..=10).map(|n| format!("s{n}")).collect();
    // What is only asked for does not count.
    let asks = making(&json!({"active": true, "connection": bo.connection}), &json!({}));
    for name in &names {
        bo.actor.put(&format!("{}?nocommit=true", open(&format!("asked-{name}"))), &asks).await.expect(201);
    }
    for name in &names {
        assert_eq!(registers(&bo.actor, name, &bo.connection).await, 201, "{name}");
    }
    let refused = bo.actor.put(&open("s11"), &asks).await.expect(409);
    assert!(refused.text.contains("connection"), "E-02: {refused:?}");
    world.server().get(&open("s11")).await.expect(204);
    bo.actor.put(&format!("{}?nocommit=true", open("s11")), &asks).await.expect(409);
    // Registering again where it is registered is no other session, and other connections have room of their own.
    bo.writes(&open("s10"), &me(&bo.listens(&["everything"]))).await;
    assert_eq!(registers(&cy.actor, "s11", &cy.connection).await, 201);
    assert_eq!(registers(&cy.actor, "s10", &bo.connection).await, 200, "M-33: Bo's means nothing there");
    assert_eq!(bo.actor.put(&open("s11"), &me(&json!({"active": true, "connection": bo.connection}))).await.status, 409);
    let mut other = world.socket(2).await;
    let second = other.connects().await;
    assert_eq!(registers(&bo.actor, "s11", &second).await, 200);
    assert_eq!(
        bo.actor.put(&open("s11"), &me(&json!({"connection": bo.connection}))).await.status,
        409,
        "E-25: nothing is written"
    );
    // Leaving one makes room for one, and so does naming another connection, or none.
    bo.actor.put(&open("s1"), &leaving()).await;
    assert_eq!(registers(&bo.actor, "s11", &bo.connection).await, 200);
    assert_eq!(registers(&bo.actor, "s12", &bo.connection).await, 409);
    bo.writes(&open("s2"), &me(&json!({"connection": second}))).await;
    assert_eq!(registers(&bo.actor, "s12", &bo.connection).await, 201);
    assert_eq!(registers(&bo.actor, "s13", &bo.connection).await, 409);
    bo.writes(&open("s3"), &me(&json!({"connection": null}))).await;
    assert_eq!(registers(&bo.actor, "s13", &bo.connection).await, 201);
    // So does the end of a session.
    let is_server = world.server();
    is_server.delete(&format!("{}/members/0", open("s4"))).await;
    assert_eq!(registers(&bo.actor, "s14", &bo.connection).await, 201);
    assert_eq!(registers(&bo.actor, "s15", &bo.connection).await, 409);
    world.end().await;
}

#[tokio::test]
async fn n34_n40_without_a_subscription_a_connection_still_tells_of_a_disconnect() {
    let world = World::new().await;
    let (mut ada, bo) = pair(&world, &required()).await;
    bo.writes(&open("foo"), &me(&json!({"subscription": null}))).await;
    assert_eq!(ada.number().await, 3);
    bo.socket.leaves().await;
    assert_eq!(ada.number().await, 4);
    assert_eq!(ada.reads(&open("foo")).await["nextTimer"], after(GRACE));
    world.end().await;
}

#[tokio::test]
async fn n40_members_of_large_sessions_are_looked_after_too() {
    let world = World::new().await;
    let (ada, bo) = (world.player(1).await, world.player(2).await);
    let arena = session("Arena", "foo");
    for player in [&ada, &bo] {
        player.writes(&arena, &me(&json!({"active": true, "connection": player.connection}))).await;
    }
    bo.socket.leaves().await;
    let timer = async || ada.reads(&arena).await.get("nextTimer").cloned();
    eventually("the loss is recorded", async || timer().await.is_some()).await;
    assert_eq!(timer().await, Some(after(GRACE)));
    world.pass(GRACE - 1);
    assert_eq!(ada.reads(&arena).await["membersInfo"]["active"], json!(2));
    world.pass(1);
    assert_eq!(world.sweeps().await, 1);
    assert_eq!(ada.reads(&arena).await["membersInfo"]["count"], json!(1), "M-21: not inactive for a moment");
    world.end().await;
}
