//! Large sessions over the service: their members are hidden from each other, loaded in part and settled in chunks (M-95 to M-99).

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Actor, Answer, SCID, World, joining, session};
use crate::story::{creating, leaving, names, open, reserving, results, sessions, sid, sql};

/// A session of the template for large ones.
fn arena(name: &str) -> String {
    session("Arena", name)
}

/// A PUT that creates a large session with these further constants, the caller active in it.
fn large(constants: &Value, capabilities: &Value) -> Value {
    let mut constants = constants.clone();
    let mut all = json!({"large": true});
    let more = capabilities.as_object().expect("capabilities are an object").clone();
    all.as_object_mut().expect("an object was made").extend(more);
    constants["capabilities"] = all;
    creating(&constants, &json!({}))
}

/// A PUT that sets the caller's flag.
fn flag(name: &str, value: bool) -> Value {
    json!({"members": {"me": {"properties": {"system": {name: value}}}}})
}

/// A PUT that writes the session's owners.
fn owners(indices: &Value) -> Value {
    json!({"properties": {"system": {"owners": indices}}})
}

/// Everybody joins with this body, in batches, and nothing but 200 comes back.
async fn all_put(world: &World, xuids: std::ops::Range<u64>, path: &str, body: &Value) {
    let actors: Vec<Actor> = xuids.map(|xuid| world.user(xuid)).collect();
    for part in actors.chunks(128) {
        for answer in join_all(part.iter().map(|actor| actor.put(path, body))).await {
            answer.expect(200);
        }
    }
}

/// The caller's own entry, which must be all that is shown of the members.
#[track_caller]
fn me(answer: &Answer) -> Value {
    let members = answer.json()["members"].clone();
    let members = members.as_object().expect("members is an object");
    assert_eq!(members.keys().collect::<Vec<_>>(), ["me"], "M-95");
    members["me"].clone()
}

#[track_caller]
fn info(answer: &Answer, first: u64, next: u64, count: u64, active: u64) {
    let expected = json!({"first": first, "next": next, "count": count, "accepted": count, "active": active});
    assert_eq!(answer.json()["membersInfo"], expected, "M-95");
}

async fn changes(world: &World, cause: &str) -> u64 {
    let count = sql(world, &format!("select count(*) from changes where cause = {cause}")).await;
    count.expect("a count is a row").parse().expect("a count is a number")
}

#[tokio::test]
async fn m95_m96_everybody_sees_the_own_entry_only() {
    let world = World::new().await;
    let (ada, bo, cy, eve) = (world.user(1), world.user(2), world.user(3), world.user(9));
    let path = arena("hall");
    let created = ada.put(&path, &joining("active")).await.expect(201);
    info(&created, 0, 1, 1, 1);
    assert_eq!(me(&created)["next"], 1);
    bo.put(&path, &joining("active")).await.expect(200);
    let third = cy.put(&path, &joining("ready")).await.expect(200);
    info(&third, 2, 3, 3, 2);
    let own = me(&third);
    assert_eq!((&own["next"], &own["gamertag"]), (&json!(3), &json!("Player3")));
    assert_eq!(own["constants"]["system"], json!({"xuid": "3", "index": 2}), "M-96");

    // A read shows what the write showed, and to everybody something else under the same tag.
    let read = cy.get(&path).await.expect(200);
    assert_eq!((&read.text, read.etag()), (&third.text, third.etag()));
    let other = bo.get(&path).await.expect(200);
    info(&other, 1, 3, 3, 2);
    assert_eq!((me(&other)["constants"]["system"]["index"].clone(), other.etag()), (json!(1), third.etag()));
    for stranger in [&eve, &world.server()] {
        let shown = stranger.get(&path).await.expect(200);
        info(&shown, 3, 3, 3, 2);
        assert_eq!(shown.json()["members"], json!({}), "M-95");
        assert!(!shown.text.contains("Player"), "nobody is named: {}", shown.text);
    }

    let custom = json!({"members": {"me": {"properties": {"custom": {"colour": "red"}}}}});
    let updated = bo.put(&path, &custom).await.expect(200);
    assert_eq!(me(&updated)["properties"]["custom"], json!({"colour": "red"}));
    assert_ne!(updated.etag(), third.etag(), "the document changed, though others do not see how");
    assert_eq!(me(&cy.get(&path).await.expect(200)), own);
    assert_eq!(bo.put(&path, &custom).await.expect(200).etag(), updated.etag(), "W-34");

    // Refusals show the session as its caller may see it.
    let refused = eve.put(&path, &json!({"properties": {"custom": {"a": 1}}})).await.expect(403);
    assert_eq!(refused.json()["members"], json!({}));
    let stale = bo.put_if(&path, ("If-Match", "\"old\""), &custom).await.expect(412);
    assert_eq!(me(&stale)["constants"]["system"]["index"], 1);
    let preview = bo.send(Method::PUT, &format!("{path}?nocommit=true"), &[], Some(flag("ready", true).to_string())).await;
    assert_eq!(me(&preview.expect(200))["constants"]["system"]["index"], 1);

    let left = ada.put(&path, &leaving()).await.expect(200);
    info(&left, 3, 3, 2, 1);
    assert_eq!(left.json()["members"], json!({}));
    info(&bo.get(&path).await.expect(200), 1, 3, 2, 1);
    info(&ada.put(&path, &joining("active")).await.expect(200), 3, 4, 3, 2);
    for actor in [&ada, &bo] {
        actor.put(&path, &leaving()).await.expect(200);
    }
    cy.put(&path, &leaving()).await.expect(204);
    cy.get(&path).await.expect(204);
    assert_eq!(sql(&world, "select count(*) from members").await.as_deref(), Some("0"));
    world.end().await;
}

#[tokio::test]
async fn m97_others_are_neither_added_nor_removed() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let path = arena("closed");
    ada.put(&path, &joining("active")).await.expect(201);
    bo.put(&path, &joining("active")).await.expect(200);
    for actor in [&ada, &world.server()] {
        actor.put(&path, &reserving(&[3])).await.expect(409);
        actor.put(&path, &json!({"members": {"1": null}})).await.expect(409);
    }
    // The own index is another word for me.
    let own = json!({"members": {"1": {"properties": {"custom": {"a": 1}}}}});
    assert_eq!(me(&bo.put(&path, &own).await.expect(200))["properties"]["custom"], json!({"a": 1}));
    for system in [json!({"turn": [0]}), json!({"host": "x"}), json!({"joinRestriction": "local"})] {
        ada.put(&path, &json!({"properties": {"system": system}})).await.expect(400);
    }
    for system in [
        json!({"subscription": {"id": "3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01", "changeTypes": ["everything"]}}),
        json!({"initializationGroup": [0]}),
    ] {
        ada.put(&path, &json!({"members": {"me": {"properties": {"system": system}}}})).await.expect(400);
    }
    let groups = json!({"members": {"me": {"properties": {"system": {"groups": ["red"], "encounters": ["hello"]}}}}});
    let grouped = me(&ada.put(&path, &groups).await.expect(200));
    assert_eq!(grouped["properties"]["system"]["groups"], json!(["red"]), "M-98");
    assert_eq!(grouped["properties"]["system"].get("encounters"), None, "M-98");
    info(&ada.get(&path).await, 0, 2, 2, 2);
    world.end().await;
}

#[tokio::test]
async fn m20_m21_m22_timers_of_members_nobody_loads() {
    let world = World::new().await;
    let (ada, bo, cy, dee) = (world.user(1), world.user(2), world.user(3), world.user(4));
    let path = open("timed");
    let constants = json!({"readyRemovalTimeout": 40_000, "inactiveRemovalTimeout": 90_000, "maxMembersCount": 1000});
    ada.put(&path, &large(&constants, &json!({}))).await.expect(201);
    bo.put(&path, &flag("ready", true)).await.expect(200);
    world.pass(10_000);
    let joined = cy.put(&path, &json!({"members": {"me": {}}})).await.expect(200);
    assert_eq!(joined.json()["nextTimer"], "2031-04-05T18:00:40.1230000Z", "M-29: of a member that is not loaded");
    world.pass(29_999);
    info(&ada.get(&path).await, 0, 3, 3, 1);
    world.pass(1);
    let due = ada.get(&path).await.expect(200);
    assert_eq!(due.json()["nextTimer"], "2031-04-05T18:01:40.1230000Z", "M-22: bo is inactive now, cy goes first");
    assert_eq!(due.json()["changeNumber"], 4);
    assert_eq!(me(&bo.get(&path).await)["properties"]["system"], json!({}), "M-22");
    // Who joins meets the state after evaluation (M-24).
    world.pass(60_000);
    info(&dee.put(&path, &flag("active", true)).await.expect(200), 3, 4, 3, 2);
    assert_eq!(cy.get(&path).await.json()["members"], json!({}), "M-21");
    world.pass(30_000);
    assert_eq!(world.running.directory.sweep().await.expect("the database answers"), 1, "M-27");
    let rest = ada.get(&path).await.expect(200);
    info(&rest, 0, 4, 2, 2);
    assert_eq!(rest.json().get("nextTimer"), None);
    assert_eq!(changes(&world, "1").await, 3);
    world.end().await;
}

#[tokio::test]
async fn m24_hundreds_that_are_due_at_once_are_settled_in_chunks() {
    let world = World::new().await;
    let ada = world.user(1);
    for (name, joined, commits) in [("five", 500, 1), ("twelve", 1200, 3)] {
        let path = open(name);
        let constants = json!({"readyRemovalTimeout": 60_000, "maxMembersCount": 2000});
        ada.put(&path, &large(&constants, &json!({}))).await.expect(201);
        all_put(&world, 10..10 + joined, &path, &flag("ready", true)).await;
        info(&ada.get(&path).await, 0, joined + 1, joined + 1, 1);
        let before = changes(&world, "1").await;
        world.pass(60_000);
        // All of these wait for the same evaluation, and none sees a part of it.
        let readers: Vec<Actor> = (0..8).map(|n| world.user(10 + n)).chain([ada.clone()]).collect();
        let reads = join_all(readers.iter().map(|reader| reader.get(&path)));
        let custom = json!({"properties": {"custom": {"a": 1}}});
        let (reads, written) = tokio::join!(reads, ada.put(&path, &custom));
        for read in reads {
            let read = read.expect(200);
            let own = read.json()["members"].get("me").is_some();
            info(&read, if own { 0 } else { joined + 1 }, joined + 1, 1, 1);
        }
        info(&written.expect(200), 0, joined + 1, 1, 1);
        assert_eq!(changes(&world, "1").await - before, commits, "M-24: {joined} members that were due");
        let rows = sql(&world, "select count(*) from members where not owner and due_at is null").await;
        assert_eq!(rows.as_deref(), Some(if name == "five" { "1" } else { "2" }), "only ada is left");
    }
    world.end().await;
}

#[tokio::test]
async fn m93_m99_the_oldest_inherits_though_nobody_loads_it() {
    let world = World::new().await;
    let (ada, bo, cy) = (world.user(1), world.user(2), world.user(3));
    let path = open("inherited");
    let constants = json!({"ownershipPolicies": {"migration": "oldest"}, "maxMembersCount": 1000});
    let created = ada.put(&path, &large(&constants, &json!({"hasOwners": true}))).await.expect(201);
    assert_eq!(created.json()["properties"]["system"]["owners"], json!([0]), "M-91");
    world.pass(1);
    for actor in [&bo, &cy] {
        actor.put(&path, &flag("active", true)).await.expect(200);
        world.pass(1);
    }
    all_put(&world, 10..40, &path, &flag("active", true)).await;
    // Owners are known by index only (M-99), and may name somebody who is not loaded otherwise.
    bo.put(&path, &owners(&json!([0, 1]))).await.expect(403);
    ada.put(&path, &owners(&json!([0, 999]))).await.expect(400);
    let named = ada.put(&path, &owners(&json!([0, 2]))).await.expect(200);
    assert_eq!(named.json()["properties"]["system"]["owners"], json!([0, 2]));
    cy.put(&path, &leaving()).await.expect(200);
    assert_eq!(bo.get(&path).await.json()["properties"]["system"]["owners"], json!([0]), "M-41");
    ada.put(&path, &leaving()).await.expect(200);
    let heir = bo.get(&path).await.expect(200);
    assert_eq!(heir.json()["properties"]["system"]["owners"], json!([1]), "M-93");
    let marked = sql(&world, "select string_agg(index::text, ' ') from members where owner").await;
    assert_eq!(marked.as_deref(), Some("1"));
    // Owners that leave one after another in one batch.
    let next = sql(&world, "select min(index) from members where not owner").await.expect("there are others");
    let after = sql(&world, &format!("select xuid from members where index = {next}")).await.expect("it has a user");
    let heir = world.user(after.parse().expect("a xuid is a number"));
    let (one, two) = (leaving(), leaving());
    let (first, second) = tokio::join!(bo.put(&path, &one), heir.put(&path, &two));
    first.expect(200);
    second.expect(200);
    let left = world.user(39).get(&path).await.expect(200);
    info(&left, 32, 33, 29, 29);
    assert_eq!(left.json()["properties"]["system"]["owners"].as_array().map(Vec::len), Some(1), "M-93");
    world.end().await;
}

#[tokio::test]
async fn m93_a_session_ends_with_its_owner_and_leaves_no_row() {
    let world = World::new().await;
    let ada = world.user(1);
    let path = open("ended");
    let constants = json!({"inactiveRemovalTimeout": 60_000, "maxMembersCount": 1000});
    let body = large(&constants, &json!({"hasOwners": true}));
    for by_timer in [false, true] {
        ada.put(&path, &body).await.expect(201);
        all_put(&world, 10..60, &path, &flag("active", true)).await;
        if by_timer {
            ada.put(&path, &flag("active", false)).await.expect(200);
            world.pass(60_000);
            world.user(10).get(&path).await.expect(204);
        } else {
            ada.put(&path, &leaving()).await.expect(204);
        }
        let rows = "select (select count(*) from members) + (select count(*) from sessions) + (select count(*) from timers)";
        assert_eq!(sql(&world, rows).await.as_deref(), Some("0"), "M-93");
    }
    // Its end and another life behind it in one batch: no row of the first may survive.
    for round in 0..10 {
        ada.put(&path, &body).await.expect(201);
        all_put(&world, 10..20, &path, &flag("active", true)).await;
        let bo = world.user(2);
        let (leave, again) = (leaving(), body.clone());
        let (gone, made) = tokio::join!(ada.put(&path, &leave), bo.put(&path, &again));
        gone.expect(204);
        assert!(matches!(made.status, 200 | 201), "{made:?}");
        let there = sql(&world, "select coalesce(sum(member_count), 0) - (select count(*) from members) from sessions").await;
        assert_eq!(there.as_deref(), Some("0"), "round {round}");
        if made.status == 201 {
            info(&made, 0, 1, 1, 1);
            bo.put(&path, &leaving()).await.expect(204);
        }
    }
    world.end().await;
}

#[tokio::test]
async fn m83_m86_roles_are_counted_over_all_members() {
    let world = World::new().await;
    let ada = world.user(1);
    let path = open("roles");
    let mut body = large(&json!({"maxMembersCount": 1000}), &json!({}));
    body["roleTypes"] = json!({"class": {"roles": {"medic": {"max": 5}, "scout": {"max": 100, "target": 50}}}});
    let role = |name: &str| json!({"members": {"me": {"properties": {"system": {"active": true}}, "roles": {"class": name}}}});
    body["members"] = role("medic")["members"].clone();
    let created = ada.put(&path, &body).await.expect(201).json();
    assert_eq!(created["roleTypes"]["class"]["roles"]["medic"], json!({"max": 5, "count": 1, "memberXuids": ["1"]}), "M-86");
    all_put(&world, 10..14, &path, &role("medic")).await;
    all_put(&world, 20..30, &path, &role("scout")).await;
    let bo = world.user(2);
    bo.put(&path, &role("medic")).await.expect(409);
    let shown = bo.get(&path).await.expect(200).json();
    let roles = &shown["roleTypes"]["class"]["roles"];
    assert_eq!(roles["medic"], json!({"max": 5, "count": 5, "memberXuids": []}), "M-95: only the caller is named");
    assert_eq!(roles["scout"], json!({"max": 100, "target": 50, "count": 10, "memberXuids": []}));
    ada.put(&path, &json!({"members": {"me": {"roles": {"class": "scout"}}}})).await.expect(200);
    let joined = bo.put(&path, &role("medic")).await.expect(200).json();
    assert_eq!(joined["roleTypes"]["class"]["roles"]["medic"], json!({"max": 5, "count": 5, "memberXuids": ["2"]}));
    world.user(10).put(&path, &leaving()).await.expect(200);
    let left = ada.get(&path).await.expect(200).json();
    assert_eq!(left["roleTypes"]["class"]["roles"]["medic"]["count"], 4, "M-42");
    assert_eq!(
        left["roleTypes"]["class"]["roles"]["scout"],
        json!({"max": 100, "target": 50, "count": 11, "memberXuids": ["1"]})
    );
    world.end().await;
}

#[tokio::test]
async fn q37_large_sessions_are_found_like_others() {
    let world = World::new().await;
    let (ada, bo, eve) = (world.user(1), world.user(2), world.user(9));
    for (name, keyword) in [("a", "eu"), ("b", "us")] {
        let mut body = large(&json!({"readyRemovalTimeout": 30_000, "maxMembersCount": 500}), &json!({}));
        body["properties"] = json!({"system": {"keywords": [keyword]}});
        ada.put(&open(name), &body).await.expect(201);
        bo.put(&open(name), &flag("ready", true)).await.expect(200);
    }
    let found = results(eve.get(&sessions("keyword=eu")).await);
    assert_eq!((found.len(), &found[0]["accepted"]), (1, &json!(2)), "{found:?}");
    // One in which the user counts, though the caller is a stranger and the state is due.
    world.pass(30_000);
    let mine = results(eve.get(&sessions("xuid=2")).await);
    assert_eq!(mine.len(), 0, "who is inactive at once is no member any more (M-21, M-24)");
    assert_eq!(names(eve.get(&sessions("xuid=1&keyword=us")).await), ["b"]);
    assert_eq!(names(ada.get(&sessions("xuid=1")).await).len(), 2);
    assert_eq!(results(eve.get(&sessions("keyword=eu")).await)[0]["accepted"], 1);
    world.end().await;
}

#[tokio::test]
async fn h21_h70_activities_of_large_sessions() {
    let world = World::new().await;
    let (ada, bo, eve) = (world.user(1), world.user(2), world.user(9));
    let constants = json!({"readyRemovalTimeout": 30_000, "maxMembersCount": 500, "ownershipPolicies": {"migration": "oldest"}});
    for (name, capabilities) in [("big", json!({"hasOwners": true, "large": true})), ("small", json!({"hasOwners": true}))] {
        let mut constants = constants.clone();
        constants["capabilities"] = capabilities;
        if name == "small" {
            constants["maxMembersCount"] = json!(50);
        }
        let body = creating(&constants, &json!({}));
        ada.put(&open(name), &body).await.expect(201);
        bo.put(&open(name), &flag("active", true)).await.expect(200);
        ada.put(&open(name), &owners(&json!([1, 0]))).await.expect(200);
        let activity =
            json!({"type": "activity", "version": 1, "sessionRef": {"scid": SCID, "templateName": "Open", "name": name}});
        eve.post("/handles", &activity).await.expect(403);
        let made = bo.post("/handles?include=relatedInfo", &activity).await.expect(201).json();
        let owners = json!(["2", "1"]);
        assert_eq!(made["relatedInfo"]["sessionOwners"], owners, "H-70");
        let query = json!({"type": "activity", "scid": SCID, "owners": {"xuids": ["2"]}});
        let search = async || results(eve.post("/handles/query?include=relatedInfo,customProperties", &query).await);
        let found = search().await;
        assert_eq!(found.len(), 1, "H-21: its owner is active");
        assert_eq!((&found[0]["relatedInfo"]["sessionOwners"], &found[0]["relatedInfo"]["membersCount"]), (&owners, &json!(2)));
        // The same while something is due, so that the session is settled for the answer.
        world.user(3).put(&open(name), &flag("ready", true)).await.expect(200);
        world.pass(30_000);
        let found = search().await;
        assert_eq!((found.len(), &found[0]["relatedInfo"]["sessionOwners"]), (1, &owners));
        let through = format!("/handles/{}/session", made["id"].as_str().expect("an id is text"));
        let read = eve.get(&through).await.expect(200).json();
        assert_eq!(read["membersInfo"]["count"], 2);
        if name == "big" {
            assert_eq!(read["members"], json!({}));
            info(&bo.get(&through).await.expect(200), 1, 3, 2, 2);
        }
        bo.put(&open(name), &leaving()).await.expect(200);
        assert_eq!(search().await, Vec::<Value>::new(), "H-22");
        let alone = ada.post("/handles?include=relatedInfo", &activity).await.expect(201).json();
        assert_eq!(alone["relatedInfo"]["sessionOwners"], json!(["1"]), "H-70");
    }
    world.end().await;
}

#[tokio::test]
async fn m87_a_former_member_of_a_locked_session_may_return() {
    let world = World::new().await;
    let (ada, bo, cy) = (world.user(1), world.user(2), world.user(3));
    let path = open("locked");
    ada.put(&path, &large(&json!({"maxMembersCount": 200, "inactiveRemovalTimeout": 0}), &json!({}))).await.expect(201);
    bo.put(&path, &flag("active", true)).await.expect(200);
    ada.put(&path, &json!({"properties": {"system": {"closed": true, "locked": true}}})).await.expect(200);
    bo.put(&path, &leaving()).await.expect(200);
    cy.put(&path, &flag("active", true)).await.expect(403);
    info(&bo.put(&path, &flag("active", true)).await.expect(200), 2, 3, 2, 2);
    world.end().await;
}

#[tokio::test]
async fn a41_an_owner_that_nobody_loads_otherwise_keeps_out_whom_it_blocks() {
    let world = World::new().await;
    let (ada, bo, cy) = (world.user(1), world.user(2), world.user(3));
    let path = open("blocking");
    ada.put(&path, &large(&json!({"maxMembersCount": 200}), &json!({"hasOwners": true}))).await.expect(201);
    bo.put(&path, &flag("active", true)).await.expect(200);
    world.store.put_block(1, 3).await.expect("the edge is stored");
    world.store.put_block(2, 4).await.expect("the edge is stored");
    cy.put(&path, &flag("active", true)).await.expect(403);
    world.user(4).put(&path, &flag("active", true)).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn s32_m88_a_large_session_is_full_by_its_count() {
    let world = World::new().await;
    let path = open("full");
    world.user(1).put(&path, &large(&json!({"maxMembersCount": 120}), &json!({}))).await.expect(201);
    all_put(&world, 10..129, &path, &flag("active", true)).await;
    world.user(2).put(&path, &flag("active", true)).await.expect(400);
    let full = world.user(50).put(&path, &leaving()).await.expect(200);
    info(&full, 120, 120, 119, 119);
    world.user(2).put(&path, &flag("active", true)).await.expect(200);
    let made = world.user(1).get(&path).await.expect(200).json();
    let columns = "select member_count || ' ' || accepted_count || ' ' || large from sessions where sid";
    let row = sql(&world, &format!("{columns} = '{}'", sid(&made))).await;
    assert_eq!(row.as_deref(), Some("120 120 true"));
    world.end().await;
}

/// The owner goes by its timer together with more members than one commit settles, and with those who joined before the others.
#[tokio::test]
async fn m93_m24_who_stays_inherits_behind_hundreds_that_go_with_the_owner() {
    let world = World::new().await;
    let (ada, zoe) = (world.user(1), world.user(2000));
    let path = open("exodus");
    let constants =
        json!({"ownershipPolicies": {"migration": "oldest"}, "maxMembersCount": 1000, "inactiveRemovalTimeout": 5000});
    ada.put(&path, &large(&constants, &json!({"hasOwners": true}))).await.expect(201);
    all_put(&world, 10..630, &path, &flag("active", true)).await;
    world.pass(1);
    zoe.put(&path, &flag("active", true)).await.expect(200);
    all_put(&world, 10..630, &path, &flag("active", false)).await;
    ada.put(&path, &flag("active", false)).await.expect(200);
    world.pass(5000);
    // Somebody looks who is no member, so that nobody is loaded but for the timers.
    let seen = world.user(3000).get(&path).await.expect(200);
    info(&seen, 622, 622, 1, 1);
    assert_eq!(seen.json()["properties"]["system"]["owners"], json!([621]), "M-93: Zoe");
    zoe.put(&path, &leaving()).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn r27_w06_another_members_entry_is_written_though_nobody_sees_it() {
    let world = World::new().await;
    let (ada, bo, server) = (world.user(1), world.user(2), world.server());
    let path = open("directed");
    ada.put(&path, &large(&json!({}), &json!({}))).await.expect(201);
    bo.put(&path, &flag("active", true)).await.expect(200);
    let ready = json!({"properties": {"system": {"ready": true}}});
    let written = server.put(&format!("{path}/members/1"), &ready).await.expect(200);
    assert_eq!(written.json()["members"], json!({}), "M-95");
    assert_eq!(me(&bo.get(&path).await)["properties"]["system"], json!({"ready": true}));
    let rests = json!({"properties": {"system": {"ready": false}}});
    server.put(&format!("{path}/members/1"), &rests).await.expect(204);
    info(&ada.get(&path).await.expect(200), 0, 2, 1, 1);
    world.end().await;
}
