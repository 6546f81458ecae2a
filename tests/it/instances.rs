//! Several instances of the service on one database: what one commits the sockets of all are told, and connections outlive none of
//! them (N-39, N-40, N-43, N-44, N-55, N-60).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use openmpsd::ambient::Ids;
use openmpsd::directory::{Directory, WriteRequest};
use openmpsd::domain::access::Pass;
use openmpsd::domain::command::{Preconditions, Target, Write};
use openmpsd::domain::names::{Scid, SessionName, SessionReference};
use openmpsd::domain::principal::Principal;
use openmpsd::domain::template::Form;
use openmpsd::wire::request;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{Choices, SCID, TITLE, World, eventually, player};
use crate::invites::invite;
use crate::story::{active, leaving, open};
use crate::taps::{Player, Tap, making, me, note, number, resource};

/// So long a time between two comparisons that there is none in a test.
fn never_compares() -> Choices {
    Choices { reconcile: Duration::from_hours(1), ..Choices::default() }
}

/// Somebody who writes to the database and tells nobody of it.
struct Silent {
    directory: Directory,
}

impl Silent {
    async fn new(world: &World) -> Self {
        let store = crate::harness::connect(&world.database).await;
        let directory = Directory::start(store, world.clock.clone(), Ids::random(), Choices::default().options);
        directory.ready().await.expect("the catalog is there");
        Self { directory }
    }

    /// A PUT of a player on a session of the open template.
    async fn put(&self, xuid: u64, name: &str, body: &Value) {
        let principal = Arc::new(Principal::User(player(xuid)));
        let scid = Scid::parse(SCID).expect("the scid is a GUID");
        let service = self.directory.catalog().service(&scid, &principal).expect("everybody may use it");
        let template = Arc::clone(service.template("Open").expect("it is shipped"));
        let delta = request::read_delta(body.to_string().as_bytes(), 16).expect("the body is sound");
        let write = Write { delta, preconditions: Preconditions::default(), target: Target::Session, form: Form::New };
        let name = SessionName::parse(name).expect("a name");
        let reference = SessionReference { scid, template: template.name.clone(), name };
        let request = WriteRequest { reference, template, principal, write, nocommit: false, pass: Pass::Nothing };
        self.directory.write(request).await.expect("it is written");
    }

    async fn ends(self) {
        self.directory.store().close().await;
    }
}

/// Ada on one instance and Bo on the other, in one session that both hear everything of; all that is told.
async fn split(here: &World, there: &World) -> (Player, Player) {
    let (mut ada, mut bo) = (here.player(1).await, there.player(2).await);
    ada.writes(&open("foo"), &making(&ada.listens(&["everything"]), &json!({}))).await;
    assert_eq!(ada.number().await, 1);
    bo.joins(&open("foo"), &["everything"]).await;
    assert_eq!((ada.number().await, bo.number().await), (2, 2));
    (ada, bo)
}

/// Both are told what either instance commits, one after the other.
async fn both_are_told(choices: fn() -> Choices) {
    let here = World::with(choices()).await;
    let there = here.beside_with(choices()).await;
    let (mut ada, mut bo) = split(&here, &there).await;
    let mut expected = 2;
    for n in 0..6 {
        // Ada's requests go to this instance and Bo's to the other; either may have the members of either changed.
        let actor = if n % 2 == 0 { &ada.actor } else { &bo.actor };
        expected += 1;
        assert_eq!(number(&actor.put(&open("foo"), &note(n)).await.expect(200).json()), expected);
        for player in [&mut ada, &mut bo] {
            assert_eq!(player.number().await, expected);
            // N-56, wherever it is read.
            for world in [&here, &there] {
                assert!(number(&world.user(player.xuid).get(&open("foo")).await.expect(200).json()) >= expected);
            }
        }
    }
    there.end().await;
    here.end().await;
}

#[tokio::test]
async fn n43_members_on_two_instances_are_told_what_either_commits() {
    both_are_told(Choices::default).await;
}

#[tokio::test]
async fn n43_hints_alone_tell_the_other_instance() {
    both_are_told(never_compares).await;
}

#[tokio::test]
async fn n32_n43_registered_on_one_instance_with_a_socket_on_the_other() {
    let here = World::with(never_compares()).await;
    let there = here.beside_with(never_compares()).await;
    let (ada, mut bo) = (here.user(1), there.player(2).await);
    bo.actor = here.user(2);
    ada.put(&open("foo"), &making(&json!({"active": true}), &json!({}))).await.expect(201);
    bo.joins(&open("foo"), &["customProperty"]).await;
    for n in 1..=3 {
        let written = number(&ada.put(&open("foo"), &note(n)).await.expect(200).json());
        assert_eq!(bo.number().await, written);
    }
    // What it does not ask for is not told, and what it asks for anew is, from then on.
    ada.put(&open("foo"), &json!({"properties": {"system": {"closed": true}}})).await.expect(200);
    let written = number(&ada.put(&open("foo"), &note(4)).await.expect(200).json());
    assert_eq!(bo.number().await, written);
    bo.joins(&open("foo"), &["joinability"]).await;
    ada.put(&open("foo"), &note(5)).await.expect(200);
    let written = number(&ada.put(&open("foo"), &json!({"properties": {"system": {"closed": false}}})).await.expect(200).json());
    assert_eq!(bo.number().await, written);
    // N-56: its removal is told there, and so is the end of another session.
    ada.put(&open("foo"), &json!({"properties": {"custom": {"x": 1}}})).await.expect(200);
    here.server().delete(&format!("{}/members/1", open("foo"))).await.expect(204);
    let tap = bo.tap().await;
    assert_eq!((tap.resource, tap.number), (resource("Open", "foo"), written + 2));
    let owned = json!({"capabilities": {"hasOwners": true}});
    for _ in 0..2 {
        let made = ada.put(&open("bar"), &making(&json!({"active": true}), &owned)).await.expect(201).json();
        bo.joins(&open("bar"), &["joinability"]).await;
        ada.put(&open("bar"), &json!({"properties": {"system": {"closed": true}}})).await.expect(200);
        assert_eq!(bo.number().await, 3);
        ada.put(&open("bar"), &leaving()).await.expect(204);
        let tap = bo.tap().await;
        assert_eq!((json!(tap.branch), tap.number), (made["branch"].clone(), 4));
        bo.actor.get(&open("bar")).await.expect(204);
    }
    there.end().await;
    here.end().await;
}

#[tokio::test]
async fn n39_n43_a_registration_is_told_to_others_on_both_instances() {
    let here = World::new().await;
    let there = here.beside().await;
    let (mut ada, mut bo) = split(&here, &there).await;
    let mut cy = there.player(3).await;
    cy.joins(&open("foo"), &["membersList"]).await;
    let mut dee = there.player(4).await;
    dee.joins(&open("foo"), &["everything"]).await;
    for player in [&mut ada, &mut bo, &mut cy, &mut dee] {
        player.taps_until(&resource("Open", "foo"), 4).await;
    }
    // Bo registers anew by way of the instance that does not have its socket.
    let types = ["everything", "host"];
    let written = number(&here.user(2).put(&open("foo"), &me(&bo.listens(&types))).await.expect(200).json());
    assert_eq!((ada.number().await, dee.number().await), (written, written));
    let joined = number(&here.user(5).put(&open("foo"), &active()).await.expect(200).json());
    for player in [&mut ada, &mut bo, &mut cy, &mut dee] {
        assert_eq!(player.number().await, joined, "of {}", player.xuid);
    }
    there.end().await;
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n55_n56_a_burst_from_two_instances_is_told_in_order() {
    let here = World::new().await;
    let there = here.beside().await;
    let (mut ada, mut bo) = split(&here, &there).await;
    let foo = open("foo");
    let writers: Vec<_> = (11..=16).map(|xuid| if xuid % 2 == 0 { here.user(xuid) } else { there.user(xuid) }).collect();
    join_all(writers.iter().map(async |writer| drop(writer.put(&foo, &active()).await.expect(200)))).await;
    let burst = join_all(writers.iter().enumerate().map(async |(n, writer)| {
        for round in 0..12 {
            writer.put(&foo, &note(100 * n as u64 + round)).await.expect(200);
        }
    }));
    let last = 2 + 6 + 6 * 12;
    let listening = join_all([&mut ada, &mut bo].map(async |player| {
        let mut heard: Vec<Tap> = Vec::new();
        while heard.last().is_none_or(|tap| tap.number < last) {
            for tap in player.event().await {
                for world in [&here, &there] {
                    let read = number(&world.user(player.xuid).get(&foo).await.expect(200).json());
                    assert!(read >= tap.number, "N-56: {read} after {tap:?}");
                }
                heard.push(tap);
            }
        }
        heard
    }));
    let (_, told) = tokio::join!(burst, listening);
    for heard in told {
        assert!(heard.windows(2).all(|two| two[0].number < two[1].number), "{heard:?}");
        assert_eq!(heard.last().map(|tap| tap.number), Some(last));
    }
    there.end().await;
    here.end().await;
}

#[tokio::test]
async fn n43_what_nobody_tells_of_is_found_by_comparing() {
    let world = World::new().await;
    let silent = Silent::new(&world).await;
    let mut bo = world.player(2).await;
    let foo = resource("Open", "foo");
    let owned = json!({"capabilities": {"hasOwners": true}});
    let mut lives = Vec::new();
    for life in 0..2 {
        silent.put(1, "foo", &making(&json!({"active": true}), &owned)).await;
        silent.put(2, "foo", &me(&bo.listens(&["customProperty"]))).await;
        // What it does not ask for comes before what it does.
        silent.put(1, "foo", &json!({"properties": {"system": {"keywords": [format!("k{life}")]}}})).await;
        silent.put(1, "foo", &note(life)).await;
        let tap = bo.tap().await;
        assert_eq!((&tap.resource, tap.number), (&foo, 4));
        lives.push(tap.branch);
        silent.put(1, "foo", &note(7)).await;
        assert_eq!(bo.number().await, 5);
        // Told of, or not, it is told once.
        assert_eq!(number(&world.user(1).put(&open("foo"), &note(8)).await.expect(200).json()), 6);
        assert_eq!(bo.number().await, 6);
        if life == 0 {
            silent.put(1, "foo", &leaving()).await;
            let tap = bo.tap().await;
            assert_eq!((&tap.branch, tap.number), (&lives[0], 7), "the end of it");
        } else {
            silent.put(2, "foo", &leaving()).await;
            assert_eq!(bo.number().await, 7, "its own leaving");
        }
    }
    assert_ne!(lives[0], lives[1]);
    // A session that ended and began again, unheard of, is another one.
    silent.put(2, "foo", &me(&bo.listens(&["customProperty"]))).await;
    silent.put(1, "foo", &note(9)).await;
    assert_eq!(bo.number().await, 9);
    silent.ends().await;
    world.end().await;
}

/// Connections of an instance that has gone, one way or another, have the grace period.
async fn come_to_grief(ada: &mut Player, world: &World) {
    let lost = ada.number().await;
    let document = ada.reads(&open("foo")).await;
    assert_eq!((number(&document), &document["nextTimer"]), (lost, &json!("2031-04-05T18:00:30.1230000Z")));
    world.pass(30_000);
    assert_eq!(world.sweeps().await, 1);
    assert_eq!(ada.number().await, lost + 1);
    let members = &ada.reads(&open("foo")).await["members"];
    assert_eq!(members["1"]["properties"]["system"].get("active"), None, "{members}");
    assert_eq!(members["0"]["properties"]["system"]["active"], json!(true), "{members}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n40_n43_an_instance_that_stops_loses_its_connections() {
    let here = World::new().await;
    let there = here.beside_with(Choices { shutdown: Duration::from_mins(5), ..Choices::default() }).await;
    let (mut ada, mut bo) = split(&here, &there).await;
    // One reads what it is told, one reads nothing, and one has no subscription at all.
    let (deaf, mut idle) = (there.player(3).await, there.socket(4).await);
    let ((), reason, _) =
        timeout(Duration::from_secs(20), async { tokio::join!(there.end(), bo.socket.closed(1001), idle.closed(1001)) })
            .await
            .expect("nobody waits for the whole of the time that requests may take");
    assert!(reason.contains("connect again"), "{reason}");
    drop(deaf);
    come_to_grief(&mut ada, &here).await;
    here.end().await;
}

#[tokio::test]
async fn n43_n44_an_instance_that_is_taken_for_dead_starts_anew() {
    let here = World::new().await;
    let there = here.beside().await;
    let (mut ada, mut bo) = split(&here, &there).await;
    let id = there.running.notifier.hub().instance();
    let buried = here.store.bury(&[(id, None)], here.clock.real()).await.expect("the database answers");
    assert_eq!(buried, (1, 1));
    come_to_grief(&mut ada, &here).await;
    assert!(bo.socket.closed(1001).await.contains("connect again"));
    assert_ne!(there.running.notifier.hub().instance(), id);
    // Its sockets come back to it, and are told as before.
    let mut bo = there.player(2).await;
    let back = bo.joins(&open("foo"), &["everything"]).await;
    assert_eq!((ada.number().await, bo.number().await), (number(&back), number(&back)));
    let written = number(&ada.writes(&open("foo"), &note(1)).await);
    assert_eq!((ada.number().await, bo.number().await), (written, written));
    here.pass(30_000);
    assert_eq!(here.sweeps().await, 0, "it is there to stay");
    there.end().await;
    here.end().await;
}

#[tokio::test]
async fn n43_after_a_restart_members_have_time_to_come_back() {
    let world = World::new().await;
    let other = world.user(9);
    other.put(&open("else"), &active()).await.expect(201);
    let (ada, bo) = (world.player(1).await, world.player(2).await);
    ada.writes(&open("foo"), &making(&ada.listens(&["everything"]), &json!({}))).await;
    bo.joins(&open("foo"), &["everything"]).await;
    let World { running, database, clock, .. } = world;
    running.stop().await;
    clock.advance(Duration::from_hours(1));
    let store = crate::harness::connect(&database).await;
    let world = World::over(database, store, clock, Choices::default()).await;
    let reader = world.user(1);
    eventually("the losses are recorded", async || reader.get(&open("foo")).await.json().get("nextTimer").is_some()).await;
    let document = reader.get(&open("foo")).await.expect(200).json();
    assert_eq!(document["nextTimer"], json!("2031-04-05T19:00:30.1230000Z"), "from the start on, not from the end");
    let mut again = world.player(1).await;
    assert_ne!(again.connection, ada.connection);
    // N-39: it is not told that it registers.
    let back = number(&again.joins(&open("foo"), &["everything"]).await);
    world.pass(30_000);
    assert_eq!(world.sweeps().await, 1);
    assert_eq!(again.number().await, back + 1);
    let members = &again.reads(&open("foo")).await["members"];
    let is_active = |index: &str| members[index]["properties"]["system"].get("active").is_some();
    assert_eq!((is_active("0"), is_active("1")), (true, false), "{members}");
    drop(bo);
    world.end().await;
}

/// The resource of a user's invites for a title.
fn invites(xuid: u64, title: u32) -> String {
    format!("https://notify.xboxlive.com/users/xuid({xuid})/deviceId/current/titleId/{title}")
}

#[tokio::test]
async fn n60_an_invite_reaches_the_sockets_of_its_user_on_every_instance() {
    let here = World::new().await;
    let there = here.beside().await;
    let ada = here.user(1);
    let constants = json!({"system": {"inviteProtocol": "game"}});
    let mut made = active();
    made["constants"] = constants;
    ada.put(&open("foo"), &made).await.expect(201);
    let (mut near, mut far, mut cy) = (here.socket(2).await, there.socket(2).await, there.socket(3).await);
    let mut subscriptions = Vec::new();
    for (socket, xuid) in [(&mut near, 2), (&mut far, 2), (&mut cy, 3)] {
        assert_eq!(socket.asks(&invites(5 - xuid, TITLE)).await[2], json!(1), "nobody hears of another user's");
        let subscribed = socket.subscribes(&invites(xuid, TITLE)).await;
        assert_eq!(subscribed.data, json!({}));
        subscriptions.push(subscribed.id);
    }
    let body = json!({
        "type": "invite", "version": 1, "sessionRef": {"scid": SCID, "templateName": "Open", "name": "foo"},
        "invitedXuid": "2", "inviteAttributes": {"titleId": TITLE.to_string(), "context": "from ada"},
    });
    ada.post("/handles", &body).await.expect(201);
    let inbox = here.user(2).get("/users/me/invites").await.expect(200).json();
    let handle = inbox["results"][0].clone();
    for field in
        ["id", "sessionRef", "senderXuid", "invitedXuid", "inviteProtocol", "expiration", "inviteAttributes", "inviteInfo"]
    {
        assert!(handle.get(field).is_some(), "{field} of {handle}");
    }
    for (socket, id) in [(&mut near, subscriptions[0]), (&mut far, subscriptions[1])] {
        assert_eq!(socket.next().await, json!([3, id, {"inviteHandle": handle}]));
    }
    // Only now is there one for Cy, and it comes by way of the other instance.
    let second = invite(&ada, "foo", 3).await;
    let event = cy.next().await;
    assert_eq!((&event[1], &event[2]["inviteHandle"]["id"]), (&json!(subscriptions[2]), &json!(second)));
    // A title that may not use the service config hears nothing of its sessions.
    here.keeps_for_title(TITLE).await;
    there.running.directory.refresh_catalog().await.expect("the catalog is read");
    for socket in [&mut near, &mut far] {
        let other = socket.subscribes(&invites(2, 77)).await;
        assert_eq!(other.data, json!({}), "which title asks is nobody's secret");
    }
    let third = invite(&ada, "foo", 2).await;
    let fourth = invite(&ada, "foo", 2).await;
    for (socket, id) in [(&mut near, subscriptions[0]), (&mut far, subscriptions[1])] {
        for expected in [&third, &fourth] {
            let event = socket.next().await;
            assert_eq!((&event[1], &event[2]["inviteHandle"]["id"]), (&json!(id), &json!(expected)));
        }
        // Nobody listens any more.
        assert_eq!(socket.unsubscribes(id).await, 0);
    }
    invite(&ada, "foo", 2).await;
    let last = invite(&ada, "foo", 3).await;
    assert_eq!(cy.next().await[2]["inviteHandle"]["id"], json!(last));
    for socket in [&mut near, &mut far] {
        assert_eq!(socket.asks("https://a/nothing").await[2], json!(1), "nothing came before this answer");
    }
    there.end().await;
    here.end().await;
}
