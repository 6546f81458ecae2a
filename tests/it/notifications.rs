//! Taps: from a change to the sockets of those who subscribed to it (N-25 to N-57).

use std::time::Duration;

use futures_util::future::join_all;
use openmpsd::rta;
use serde_json::{Value, json};

use crate::harness::{Choices, SCID, World, session};
use crate::rta_client::CONNECTIONS;
use crate::story::{active, leaving, open, reserving};
use crate::taps::{Bell, Player, STAYS, Tap, making, me, note, number, resource, subscription, taps};

/// Every change type of the contract.
const TYPES: [&str; 13] = [
    "everything",
    "host",
    "initialization",
    "matchmakingStatus",
    "membersList",
    "membersStatus",
    "joinability",
    "customProperty",
    "membersCustomProperty",
    "roles",
    "scheduledtime",
    "tournamentPropertyChange",
    "arbitrationPropertyChange",
];

/// The older profiles, and the types that each stands for.
const PROFILES: [(&str, &[&str]); 6] = [
    ("party", &["membersList", "membersStatus", "joinability"]),
    ("roster", &["membersList", "membersStatus", "joinability"]),
    ("matchmaking", &["matchmakingStatus", "membersList"]),
    ("queue", &["matchmakingStatus", "membersList"]),
    ("queuehost", &["matchmakingStatus", "membersList"]),
    ("initialization", &["initialization"]),
];

/// The spelling that a client may use.
fn spelled(name: &str, xuid: u64) -> String {
    match xuid % 3 {
        0 => name.to_owned(),
        1 => name.to_uppercase(),
        _ => name.to_lowercase(),
    }
}

/// One listener for every type, one for every profile, and one who asks for what does not exist.
struct Audience {
    players: Vec<Player>,
    bell: Bell,
}

impl Audience {
    async fn new(world: &World) -> Self {
        let bell = Bell::new(world).await;
        let mut players = Vec::new();
        for n in 0..=TYPES.len() + PROFILES.len() {
            let player = world.player(100 + n as u64).await;
            bell.invites(&player).await;
            players.push(player);
        }
        Self { players, bell }
    }

    /// What the listener with a number is there for.
    fn name(n: usize) -> &'static str {
        let profile = n.checked_sub(TYPES.len()).and_then(|n| PROFILES.get(n));
        TYPES.get(n).copied().or(profile.map(|(name, _)| *name)).unwrap_or("unheardOf")
    }

    fn registers(&self, n: usize) -> Value {
        let player = &self.players[n];
        if n < TYPES.len() {
            return player.listens(&["unheardOf", &spelled(TYPES[n], player.xuid)]);
        }
        match PROFILES.get(n - TYPES.len()) {
            Some((profile, _)) => {
                let subscriptions = json!({player.subscription(): {"profile": profile}});
                json!({"active": true, "connection": player.connection, "subscriptions": subscriptions})
            }
            None => player.listens(&["unheardOf", "everythingElse", ""]),
        }
    }

    /// Everybody joins a session, which the first one makes.
    async fn joins(&mut self, path: &str, made: &Value) {
        for n in 0..self.players.len() {
            let mut body = me(&self.registers(n));
            if n == 0 {
                for (name, value) in made.as_object().expect("a body is an object") {
                    body[name] = value.clone();
                }
                if made.get("me").is_some() {
                    body["members"]["me"]["constants"] = made["me"].clone();
                    body.as_object_mut().expect("a body is an object").remove("me");
                }
            }
            self.players[n].writes(path, &body).await;
        }
        self.told().await;
    }

    /// What everybody was told until now.
    async fn told(&mut self) -> Vec<Vec<Tap>> {
        let mut guests: Vec<&mut Player> = self.players.iter_mut().collect();
        self.bell.rings(&mut guests).await
    }

    /// Insists that a change, which was answered with this document, was told to those it concerns, once, and to nobody else.
    async fn heard(&mut self, what: &str, document: &Value, types: &[&str]) {
        let told = self.told().await;
        for (n, taps) in told.iter().enumerate() {
            let profile = n.checked_sub(TYPES.len()).and_then(|n| PROFILES.get(n));
            let concerns = match profile {
                Some((_, stands_for)) => stands_for.iter().any(|name| types.contains(name)),
                None => n == 0 || types.contains(&Self::name(n)),
            };
            let numbers: Vec<u64> = taps.iter().map(|tap| tap.number).collect();
            let expected: &[u64] = if concerns { &[number(document)] } else { &[] };
            assert_eq!(numbers, expected, "{what} for {}", Self::name(n));
        }
    }
}

#[tokio::test]
async fn n30_n50_n51_n52_n53_n54_what_a_tap_says() {
    let world = World::new().await;
    let (mut ada, bo) = (world.player(1).await, world.user(2));
    let lobby = session("OPEN", "Lobby-1");
    let created = ada.writes(&lobby, &making(&ada.listens(&["everything"]), &json!({}))).await;
    let event = ada.socket.next().await;
    let (subscribed, connection, subscription) = (ada.subscribed, ada.connection.clone(), ada.subscription());
    let tap = |number: u64, timestamp: &str| {
        json!([3, subscribed, {
            "ncid": connection,
            "shoulderTaps": [{
                "timestamp": timestamp,
                "subscription": subscription,
                "resourceType": "mpsd/session",
                "resource": format!("{SCID}~Open~Lobby-1"),
                "branch": created["branch"],
                "changeNumber": number,
            }],
        }])
    };
    // The template is called as its service config spells it, the session as its creator did.
    assert_eq!(event, tap(1, "2031-04-05T18:00:00.1230000Z"), "N-54: whoever writes is tapped as well");
    world.pass(1_500);
    bo.put(&session("open", "lobby-1"), &active()).await.expect(200);
    assert_eq!(ada.socket.next().await, tap(2, "2031-04-05T18:00:01.6230000Z"));
    assert_eq!(number(&ada.reads(&lobby).await), 2);
    world.end().await;
}

#[tokio::test]
async fn n53_one_commit_is_one_tap_however_many_types_match() {
    let world = World::new().await;
    let (mut ada, bo) = (world.player(1).await, world.user(2));
    let types = ["membersList", "membersStatus", "everything", "membersCustomProperty", "MEMBERSLIST"];
    ada.writes(&open("foo"), &making(&ada.listens(&types), &json!({}))).await;
    assert_eq!(ada.number().await, 1);
    let mut joining = active();
    joining["members"]["me"]["properties"]["custom"] = json!({"ship": "red"});
    for (body, expected) in [(joining, 2), (leaving(), 3), (active(), 4)] {
        bo.put(&open("foo"), &body).await.expect(200);
        assert_eq!(ada.number().await, expected);
    }
    // What changes nothing is no commit, and neither is what only asks.
    bo.put(&open("foo"), &active()).await.expect(200);
    bo.put(&format!("{}?nocommit=true", open("foo")), &note(9)).await.expect(200);
    bo.put(&open("foo"), &note(1)).await.expect(200);
    assert_eq!(ada.number().await, 5);
    world.end().await;
}

#[tokio::test]
async fn n37_n38_every_type_fires_for_its_own_changes() {
    let world = World::new().await;
    let mut audience = Audience::new(&world).await;
    let foo = open("foo");
    audience
        .joins(&foo, &json!({"constants": {"system": {"inactiveRemovalTimeout": STAYS, "capabilities": {"connectivity": true}}}}))
        .await;
    let (bo, cy, server) = (world.user(2), world.user(3), world.server());
    let system = |fields: Value| json!({"properties": {"system": fields}});
    let own = |fields: Value| json!({"members": {"me": {"properties": {"system": fields}}}});
    let list_and_status = &["membersList", "membersStatus"][..];
    let address = "AAAAAAAA0123456789abcdef0123456789abcdef";
    let rows: Vec<(&str, &crate::harness::Actor, Value, &[&str])> = vec![
        ("a member joins", &bo, own(json!({"active": true})), list_and_status),
        ("a member reserves", &bo, reserving(&[3]), &["membersList"]),
        ("a reservation is accepted", &cy, own(json!({})), list_and_status),
        ("an inactive member is ready", &cy, own(json!({"ready": true})), &["membersStatus"]),
        ("a ready member is active", &cy, own(json!({"active": true})), &["membersStatus"]),
        ("an active member is inactive", &cy, own(json!({"active": false})), &["membersStatus"]),
        (
            "a member's custom properties",
            &cy,
            json!({"members": {"me": {"properties": {"custom": {"a": 1}}}}}),
            &["membersCustomProperty"],
        ),
        ("an address", &cy, own(json!({"secureDeviceAddress": address})), &[]),
        ("custom properties", &bo, json!({"properties": {"custom": {"a": 1}}}), &["customProperty"]),
        ("custom properties again", &bo, json!({"properties": {"custom": {"a": null, "b": [1]}}}), &["customProperty"]),
        ("keywords", &bo, system(json!({"keywords": ["eu"]})), &[]),
        ("a turn", &bo, system(json!({"turn": [0]})), &[]),
        ("closed", &bo, system(json!({"closed": true})), &["joinability"]),
        ("locked", &bo, system(json!({"locked": true})), &["joinability"]),
        ("open again", &bo, system(json!({"locked": false, "closed": false})), &["joinability"]),
        ("who may join", &bo, system(json!({"joinRestriction": "local"})), &["joinability"]),
        ("who may read", &bo, system(json!({"readRestriction": "followed"})), &["joinability"]),
        ("everybody again", &bo, system(json!({"joinRestriction": "none", "readRestriction": "none"})), &["joinability"]),
        ("a time", &bo, system(json!({"scheduledTime": "2031-05-01T00:00:00Z"})), &["scheduledtime"]),
        ("a server", &server, json!({"servers": {"arena": {"properties": {"custom": {"a": 1}}}}}), &[]),
        (
            "matchmaking",
            &server,
            json!({"servers": {"matchmaking": {"properties": {"system": {"status": "searching"}}}}}),
            &["matchmakingStatus"],
        ),
        ("Matchmaking", &server, json!({"servers": {"Matchmaking": null}}), &["matchmakingStatus"]),
        ("tournaments", &server, json!({"servers": {"tournaments": {}}}), &["tournamentPropertyChange"]),
        ("arbitration", &server, json!({"servers": {"arbitration": {}}}), &["arbitrationPropertyChange"]),
        ("results", &cy, own(json!({"arbitration": {"results": {"red": {"outcome": "win"}}}})), &["arbitrationPropertyChange"]),
        (
            "two at once",
            &bo,
            json!({"properties": {"custom": {"c": 1}, "system": {"closed": true}}}),
            &["customProperty", "joinability"],
        ),
    ];
    for (what, actor, body, types) in &rows {
        let document = actor.put(&foo, body).await.expect(200).json();
        audience.heard(what, &document, types).await;
    }
    let document = cy.get(&foo).await.expect(200).json();
    let members = document["members"].as_object().expect("members is an object");
    let token = members.values().find_map(|member| member["deviceToken"].as_str()).expect("cy has an address");
    let document = bo.put(&foo, &system(json!({"host": token}))).await.expect(200).json();
    audience.heard("a host", &document, &["host"]).await;
    // No member's properties are others than before when one leaves.
    let document = cy.put(&foo, &leaving()).await.expect(200).json();
    audience.heard("a host leaves", &document, &["host", "membersList", "membersStatus"]).await;
    world.end().await;
}

#[tokio::test]
async fn n37_a_session_that_becomes_full_or_not() {
    let world = World::new().await;
    let mut audience = Audience::new(&world).await;
    let foo = open("foo");
    let max = audience.players.len() + 2;
    audience.joins(&foo, &json!({"constants": {"system": {"inactiveRemovalTimeout": STAYS, "maxMembersCount": max}}})).await;
    let (bo, cy) = (world.user(2), world.user(3));
    let document = bo.put(&foo, &active()).await.expect(200).json();
    audience.heard("one place is left", &document, &["membersList", "membersStatus"]).await;
    let document = bo.put(&foo, &reserving(&[3])).await.expect(200).json();
    audience.heard("the last place is reserved", &document, &["membersList", "joinability"]).await;
    let document = cy.put(&foo, &active()).await.expect(200).json();
    audience.heard("and taken", &document, &["membersList", "membersStatus"]).await;
    let document = cy.put(&foo, &leaving()).await.expect(200).json();
    audience.heard("and free", &document, &["membersList", "membersStatus", "joinability"]).await;
    world.end().await;
}

#[tokio::test]
async fn n37_roles_and_initialization() {
    let world = World::new().await;
    let mut audience = Audience::new(&world).await;
    let (bo, cy) = (world.user(2), world.user(3));
    let own = |fields: Value| json!({"members": {"me": fields}});
    let is_active = json!({"system": {"active": true}});

    let foo = open("foo");
    let made = json!({
        "constants": {"system": {"inactiveRemovalTimeout": STAYS, "capabilities": {"hasOwners": true}}},
        "roleTypes": {"class": {"mutableRoleSettings": ["max"], "roles": {"healer": {"max": 3}, "tank": {"max": 2}}}},
    });
    audience.joins(&foo, &made).await;
    let document = bo.put(&foo, &own(json!({"properties": is_active, "roles": {"class": "healer"}}))).await.expect(200).json();
    audience.heard("a healer joins", &document, &["membersList", "membersStatus", "roles"]).await;
    let document = bo.put(&foo, &own(json!({"roles": {"class": "tank"}}))).await.expect(200).json();
    audience.heard("another role", &document, &["roles"]).await;
    let more = json!({"roleTypes": {"class": {"roles": {"healer": {"max": 4}}}}});
    let document = audience.players[0].writes(&foo, &more).await;
    audience.heard("a role for more", &document, &["roles"]).await;
    let document = bo.put(&foo, &leaving()).await.expect(200).json();
    audience.heard("a tank leaves", &document, &["membersList", "membersStatus", "roles"]).await;

    let bar = open("bar");
    let initialization = json!({"membersNeededToStart": 1, "joinTimeout": 10_000});
    let made = json!({
        "constants": {"system": {"inactiveRemovalTimeout": STAYS, "memberInitialization": initialization}},
        "me": {"system": {"initialize": true}},
    });
    audience.joins(&bar, &made).await;
    let mut reserves = reserving(&[2]);
    reserves["members"]["reserve_0"]["constants"]["system"]["initialize"] = json!(true);
    let document = audience.players[0].writes(&bar, &reserves).await;
    audience.heard("an episode begins", &document, &["membersList", "initialization"]).await;
    let document = bo.put(&bar, &own(json!({"properties": is_active}))).await.expect(200).json();
    audience.heard("an episode ends", &document, &["membersList", "membersStatus", "initialization"]).await;
    reserves["members"]["reserve_0"]["constants"]["system"]["xuid"] = json!("3");
    audience.players[0].writes(&bar, &reserves).await;
    audience.told().await;
    world.pass(10_000);
    assert_eq!(world.sweeps().await, 1);
    let document = audience.players[0].reads(&bar).await;
    audience.heard("nobody came (N-57)", &document, &["membersList", "membersStatus", "initialization"]).await;
    let joins = own(json!({"constants": {"system": {"initialize": true}}, "properties": is_active}));
    let document = cy.put(&bar, &joins).await.expect(200).json();
    audience.heard("an episode of a moment", &document, &["membersList", "membersStatus"]).await;
    world.end().await;
}

#[tokio::test]
async fn n39_who_only_registers_is_told_to_others_who_hear_everything() {
    let world = World::new().await;
    let mut audience = Audience::new(&world).await;
    let foo = open("foo");
    audience.joins(&foo, &json!({"constants": {"system": {"inactiveRemovalTimeout": STAYS}}})).await;
    let mut bo = world.player(2).await;
    audience.bell.invites(&bo).await;
    let joined = bo.joins(&foo, &["everything"]).await;
    audience.told().await;
    let mut again = world.socket(2).await;
    let secondary = json!({"s": {"changeTypes": ["host"], "rta": {"connection": bo.connection}}});
    let rows = [
        ("another subscription", json!({"subscription": {"id": bo.subscription(), "changeTypes": ["everything", "host"]}})),
        ("a secondary one", json!({"secondarySubscriptions": secondary})),
        (
            "both",
            json!({"subscription": {"id": bo.subscription(), "changeTypes": ["everything"]}, "secondarySubscriptions": null}),
        ),
    ];
    for (n, (what, fields)) in rows.into_iter().enumerate() {
        let document = bo.writes(&foo, &me(&fields)).await;
        assert_eq!(number(&document), number(&joined) + 1 + n as u64, "it is a change: {what}");
        audience.heard(what, &document, &[]).await;
    }
    let told = audience.bell.rings(&mut [&mut bo]).await.remove(0);
    let numbers: Vec<u64> = told.iter().map(|tap| tap.number).collect();
    assert_eq!(numbers, [number(&joined)], "none of one's own registrations");
    // Another connection is one, too, and what is more than a registration is a change like any other.
    let connection = again.connects().await;
    let document = bo.writes(&foo, &me(&json!({"connection": connection}))).await;
    audience.heard("another connection", &document, &[]).await;
    let document = bo.writes(&foo, &me(&json!({"connection": bo.connection, "active": false}))).await;
    audience.heard("more than that", &document, &["membersStatus"]).await;
    let mut both = me(&json!({"connection": connection, "active": true}));
    both["properties"] = note(1)["properties"].clone();
    let document = bo.writes(&foo, &both).await;
    audience.heard("and much more", &document, &["membersStatus", "customProperty"]).await;
    assert_eq!(taps(&again.next().await)[0].number, number(&document));
    world.end().await;
}

#[tokio::test]
async fn n25_only_active_members_are_tapped() {
    let world = World::new().await;
    let mut bell = Bell::new(&world).await;
    let (mut ada, bo) = (world.player(1).await, world.user(2));
    bell.invites(&ada).await;
    bo.put(&open("foo"), &making(&json!({"active": true}), &json!({}))).await.expect(201);
    let subscribes = ada.listens(&["everything"]);
    let listens = |flag: &str| {
        let mut system = subscribes.clone();
        let fields = system.as_object_mut().expect("it is an object");
        fields.remove("active");
        if !flag.is_empty() {
            fields.insert(flag.to_owned(), json!(true));
        }
        me(&system)
    };
    for flag in ["", "ready"] {
        ada.writes(&open("foo"), &listens(flag)).await;
        bo.put(&open("foo"), &note(flag.len() as u64)).await.expect(200);
        assert_eq!(bell.rings(&mut [&mut ada]).await, [[]], "{flag}");
    }
    // N-32: who is active is looked at when the tap is sent, so that it may be told what came right before as well.
    let written = number(&ada.writes(&open("foo"), &listens("active")).await);
    assert_rising(&ada.taps_until(&resource("Open", "foo"), written).await);
    bo.put(&open("foo"), &note(8)).await.expect(200);
    assert_eq!(ada.number().await, written + 1);
    ada.writes(&open("foo"), &me(&json!({"active": false}))).await;
    bo.put(&open("foo"), &note(9)).await.expect(200);
    assert_eq!(bell.rings(&mut [&mut ada]).await, [[]]);
    world.end().await;
}

#[tokio::test]
async fn n31_n34_a_subscription_is_told_by_its_own_id_while_it_has_a_connection() {
    let world = World::new().await;
    let mut bell = Bell::new(&world).await;
    let (mut ada, bo) = (world.player(1).await, world.user(2));
    bell.invites(&ada).await;
    bo.put(&open("foo"), &making(&json!({"active": true}), &json!({}))).await.expect(201);
    // Without a connection it is kept, and that is all.
    let subscription = |id: &str| json!({"id": id, "changeTypes": ["everything"]});
    let mixed = "6a1d9C3E-0F4b-4e27-8F6D-aBcDeF012345";
    let body = me(&json!({"active": true, "subscription": subscription(mixed)}));
    let stored = ada.writes(&open("foo"), &body).await;
    assert_eq!(stored["members"]["1"]["properties"]["system"]["subscription"]["id"], json!(mixed));
    bo.put(&open("foo"), &note(1)).await.expect(200);
    assert_eq!(bell.rings(&mut [&mut ada]).await, [[]]);
    ada.writes(&open("foo"), &me(&json!({"connection": ada.connection}))).await;
    let told = number(&bo.put(&open("foo"), &note(2)).await.expect(200).json());
    let tap = ada.tap().await;
    assert_eq!((tap.subscription.as_str(), tap.number), (mixed, told));
    // N-34: none is none; the connection is still that of the member.
    ada.writes(&open("foo"), &me(&json!({"subscription": null}))).await;
    bo.put(&open("foo"), &note(3)).await.expect(200);
    assert_eq!(bell.rings(&mut [&mut ada]).await, [[]]);
    let another = crate::taps::subscription(77);
    ada.writes(&open("foo"), &me(&json!({"subscription": subscription(&another)}))).await;
    let told = number(&bo.put(&open("foo"), &note(4)).await.expect(200).json());
    let tap = ada.tap().await;
    assert_eq!((tap.subscription, tap.number), (another, told));
    ada.writes(&open("foo"), &me(&json!({"connection": null}))).await;
    bo.put(&open("foo"), &note(5)).await.expect(200);
    assert_eq!(bell.rings(&mut [&mut ada]).await, [[]]);
    world.end().await;
}

#[tokio::test]
async fn n33_one_connection_serves_many_sessions() {
    let world = World::new().await;
    let (mut ada, bo) = (world.player(1).await, world.user(2));
    let in_session = |name: &str| subscription(name.bytes().map(u64::from).sum());
    for name in ["foo", "bar", "baz"] {
        let mut system = ada.listens(&["customProperty"]);
        system["subscription"]["id"] = json!(in_session(name));
        ada.writes(&open(name), &making(&system, &json!({}))).await;
    }
    for (n, name) in ["baz", "foo", "bar", "foo"].into_iter().enumerate() {
        let mut body = active();
        body["properties"] = note(n as u64)["properties"].clone();
        let document = bo.put(&open(name), &body).await.expect(200).json();
        let expected = Tap {
            resource: resource("Open", name),
            subscription: in_session(name),
            branch: document["branch"].as_str().expect("a branch is text").to_owned(),
            number: number(&document),
        };
        assert_eq!(ada.tap().await, expected);
    }
    // Another user on the same device has a socket of its own.
    let mut cy = world.player(3).await;
    cy.joins(&open("foo"), &["customProperty"]).await;
    let told = number(&bo.put(&open("foo"), &note(9)).await.expect(200).json());
    assert_eq!((ada.number().await, cy.number().await), (told, told));
    world.end().await;
}

#[tokio::test]
async fn n32_every_subscription_of_a_socket_is_told_before_and_after() {
    let world = World::new().await;
    let (mut ada, bo) = (world.player(1).await, world.user(2));
    ada.writes(&open("foo"), &making(&ada.listens(&["customProperty"]), &json!({}))).await;
    let second = ada.socket.subscribes(CONNECTIONS).await;
    assert_eq!(second.data, json!({"ConnectionId": ada.connection}), "N-16");
    let told = number(&bo.put(&open("foo"), &active()).await.expect(200).json()) + 1;
    bo.put(&open("foo"), &note(1)).await.expect(200);
    let mut events = [ada.socket.next().await, ada.socket.next().await];
    events.sort_by_key(|event| event[1].as_u64());
    assert_eq!(events.each_ref().map(|event| event[1].as_u64()), [Some(ada.subscribed), Some(second.id)]);
    assert!(events.iter().all(|event| taps(event)[0].number == told), "{events:?}");
    // One of them is enough, N-14: the other is told nothing any more.
    assert_eq!(ada.socket.unsubscribes(ada.subscribed).await, 0);
    bo.put(&open("foo"), &note(2)).await.expect(200);
    let event = ada.socket.next().await;
    assert_eq!((event[1].as_u64(), taps(&event)[0].number), (Some(second.id), told + 1));
    world.end().await;
}

#[tokio::test]
async fn n35_large_sessions_have_no_subscriptions() {
    let world = World::new().await;
    let ada = world.player(1).await;
    let arena = session("Arena", "foo");
    let older = json!({ada.subscription(): {"profile": "party"}});
    for fields in [ada.listens(&["everything"]), json!({"active": true, "connection": ada.connection, "subscriptions": older})] {
        let refused = ada.actor.put(&arena, &me(&fields)).await.expect(400);
        assert!(refused.text.contains("subscription"), "{refused:?}");
    }
    ada.actor.put(&arena, &me(&json!({"active": true, "connection": ada.connection}))).await.expect(201);
    ada.actor.put(&arena, &me(&ada.listens(&["everything"]))).await.expect(400);
    world.end().await;
}

/// Numbers of one life, each later than the one before.
fn assert_rising(taps: &[Tap]) {
    assert!(taps.windows(2).all(|two| two[0].number < two[1].number), "{taps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n55_n56_a_burst_may_merge_and_ends_with_the_last_number() {
    let world = World::new().await;
    let mut players = Vec::new();
    for xuid in 1..=4 {
        let player = world.player(xuid).await;
        player.writes(&open("foo"), &making(&player.listens(&["everything"]), &json!({}))).await;
        players.push(player);
    }
    let writers: Vec<_> = (11..=18).map(|xuid| world.user(xuid)).collect();
    let joins =
        join_all(writers.iter().map(async |writer| number(&writer.put(&open("foo"), &active()).await.expect(200).json())));
    let first = joins.await.into_iter().max().expect("somebody joins");
    let foo = open("foo");
    let burst = join_all(writers.iter().enumerate().map(async |(n, writer)| {
        for round in 0..12 {
            writer.put(&foo, &note(100 * n as u64 + round)).await.expect(200);
        }
    }));
    let last = first + 8 * 12;
    let listening = join_all(players.iter_mut().map(async |player| {
        let mut heard: Vec<Tap> = Vec::new();
        while heard.last().is_none_or(|tap| tap.number < last) {
            for tap in player.event().await {
                let read = number(&player.reads(&open("foo")).await);
                assert!(read >= tap.number, "N-56: {read} after {tap:?}");
                heard.push(tap);
            }
        }
        heard
    }));
    let (_, told) = tokio::join!(burst, listening);
    for heard in &told {
        assert_rising(heard);
        assert_eq!(heard.last().map(|tap| tap.number), Some(last));
    }
    // With a rest in between nothing is left to merge.
    for n in 1..=5 {
        let written = number(&writers[0].put(&open("foo"), &note(1000 + n)).await.expect(200).json());
        assert_eq!(written, last + n);
        for player in &mut players {
            assert_eq!(player.number().await, written);
        }
    }
    world.end().await;
}

#[tokio::test]
async fn n56_the_end_of_a_session_is_told_and_its_next_life() {
    let world = World::new().await;
    let (mut ada, mut cy) = (world.player(1).await, world.player(3).await);
    let constants = json!({"capabilities": {"hasOwners": true}});
    let mut lives = Vec::new();
    for _ in 0..3 {
        let created = ada.writes(&open("foo"), &making(&ada.listens(&["everything"]), &constants)).await;
        let branch = created["branch"].as_str().expect("a branch is text").to_owned();
        assert!(!lives.contains(&branch));
        let tap = ada.tap().await;
        assert_eq!((&tap.branch, tap.number), (&branch, 1));
        // Whatever it subscribed to, the end concerns it.
        cy.joins(&open("foo"), &["scheduledtime"]).await;
        assert_eq!(ada.number().await, 2);
        let host = number(&ada.writes(&open("foo"), &note(lives.len() as u64)).await);
        assert_eq!((host, ada.number().await), (3, 3));
        // The last owner leaves, and everybody with it (M-93).
        ada.actor.put(&open("foo"), &leaving()).await.expect(204);
        for player in [&mut ada, &mut cy] {
            let tap = player.tap().await;
            assert_eq!((&tap.branch, tap.number), (&branch, 4));
            player.actor.get(&open("foo")).await.expect(204);
        }
        lives.push(branch);
    }
    world.end().await;
}

#[tokio::test]
async fn n56_a_member_is_told_of_its_removal_and_of_nothing_after() {
    let world = World::new().await;
    let mut bell = Bell::new(&world).await;
    let (mut ada, mut bo) = (world.player(1).await, world.player(2).await);
    bell.invites(&bo).await;
    let constants = json!({"capabilities": {"hasOwners": true}});
    ada.writes(&open("foo"), &making(&ada.listens(&["everything"]), &constants)).await;
    for (n, by_server) in [false, true].into_iter().enumerate() {
        let joined = bo.joins(&open("foo"), &["customProperty"]).await;
        let index = joined["membersInfo"]["next"].as_u64().expect("next is a number") - 1;
        let path = format!("{}/members/{index}", open("foo"));
        let remover = if by_server { world.server() } else { ada.actor.clone() };
        remover.delete(&path).await.expect(204);
        let removal = number(&joined) + 1;
        assert_eq!(bo.number().await, removal);
        assert_eq!(ada.taps_until(&resource("Open", "foo"), removal).await.last().map(|tap| tap.number), Some(removal));
        ada.writes(&open("foo"), &note(n as u64)).await;
        assert_eq!(bell.rings(&mut [&mut bo]).await, [[]]);
    }
    world.end().await;
}

/// However often it is compared with the database what was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n55_n56_comings_and_goings_are_told_once_and_in_order() {
    let world = World::with(Choices { reconcile: Duration::from_millis(1), ..Choices::default() }).await;
    let mut bell = Bell::new(&world).await;
    let (mut ada, mut bo) = (world.player(1).await, world.player(2).await);
    for player in [&ada, &bo] {
        bell.invites(player).await;
    }
    ada.writes(&open("foo"), &making(&ada.listens(&["everything"]), &json!({}))).await;
    for _ in 0..40 {
        let joined = bo.joins(&open("foo"), &["everything"]).await;
        let index = joined["membersInfo"]["next"].as_u64().expect("next is a number") - 1;
        world.server().delete(&format!("{}/members/{index}", open("foo"))).await.expect(204);
    }
    let last = number(&ada.reads(&open("foo")).await);
    for told in bell.rings(&mut [&mut ada, &mut bo]).await {
        assert_rising(&told);
        assert_eq!(told.last().map(|tap| tap.number), Some(last));
    }
    world.end().await;
}

#[tokio::test]
async fn n57_what_a_timer_does_is_told() {
    let world = World::new().await;
    let (mut ada, bo) = (world.player(1).await, world.user(2));
    ada.writes(&open("foo"), &making(&ada.listens(&["membersList", "membersStatus"]), &json!({}))).await;
    assert_eq!(ada.number().await, 1);
    bo.put(&open("foo"), &me(&json!({"ready": true}))).await.expect(200);
    assert_eq!(ada.number().await, 2);
    ada.writes(&open("foo"), &reserving(&[3])).await;
    assert_eq!(ada.number().await, 3);
    // The sweeper lets the reservation go, a reader the readiness.
    world.pass(30_000);
    assert_eq!(world.sweeps().await, 1);
    assert_eq!(ada.number().await, 4);
    world.pass(150_000);
    bo.get(&open("foo")).await.expect(200);
    assert_eq!(ada.number().await, 5);
    // Of what is due before a write both are told, the newer for both.
    world.pass(STAYS);
    let written = number(&ada.writes(&open("foo"), &reserving(&[4])).await);
    assert_eq!(written, 7);
    let told = ada.taps_until(&resource("Open", "foo"), 7).await;
    assert_rising(&told);
    // The last timer of all ends the session.
    ada.writes(&open("foo"), &me(&json!({"active": true}))).await;
    world.end().await;
}

#[tokio::test]
async fn n57_a_session_that_ends_by_a_timer_is_told_to_whoever_it_had() {
    let world = World::new().await;
    let mut bell = Bell::new(&world).await;
    let mut ada = world.player(1).await;
    bell.invites(&ada).await;
    ada.actor
        .put(&open("foo"), &making(&ada.listens(&["everything"]), &json!({"sessionEmptyTimeout": 60_000})))
        .await
        .expect(201);
    assert_eq!(ada.number().await, 1);
    ada.actor.put(&open("foo"), &leaving()).await.expect(200);
    assert_eq!(ada.number().await, 2, "N-56: its own leaving");
    world.pass(60_000);
    assert_eq!(world.sweeps().await, 1);
    ada.actor.get(&open("foo")).await.expect(204);
    assert_eq!(bell.rings(&mut [&mut ada]).await, [[]], "nobody subscribed any more");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_up_nobody() {
    let sockets = rta::Options { send_timeout: Duration::from_secs(1), ..Choices::default().sockets };
    let world = World::with(Choices { sockets, ..Choices::default() }).await;
    let (mut ada, mut slow) = (world.player(1).await, world.player(2).await);
    ada.writes(&open("foo"), &making(&ada.listens(&["everything"]), &json!({}))).await;
    assert_eq!(ada.number().await, 1);
    slow.joins(&open("foo"), &["customProperty"]).await;
    assert_eq!(ada.number().await, 2);
    // Every tap is sent on each of its subscriptions, and it reads none of them.
    for _ in 1..500 {
        slow.socket.subscribes(CONNECTIONS).await;
    }
    slow.socket.narrows();
    let mut count = 0;
    let lost = loop {
        count += 1;
        let written = number(&ada.writes(&open("foo"), &note(count)).await);
        assert_rising(&ada.taps_until(&resource("Open", "foo"), written).await);
        let document = ada.reads(&open("foo")).await;
        if let Some(timer) = document.get("nextTimer") {
            break timer.clone();
        }
        assert!(count < 5000, "it is served for ever");
    };
    assert_eq!(lost, json!("2031-04-05T18:00:30.1230000Z"), "its socket is closed, and its connection lost");
    world.end().await;
}
