//! Search handles: listing a session, what it shows of that, and how strangers come in by it (H).

use futures_util::future::join_all;
use openmpsd::domain::principal::{Principal, User};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::acting::{acting, denied};
use crate::handles::{handle, id, through};
use crate::harness::{Actor, SCID, TITLE, World, joining, player, publish, session};
use crate::story::{active, creating, leaving, open, reserving, sid, sql};

const ALL: &str = "?include=relatedInfo,customProperties,roleInfo,activityInfo";

/// The body that lists a session of the open template.
fn listing(name: &str, attributes: &Value) -> Value {
    json!({
        "type": "search", "version": 1, "sessionRef": {"scid": SCID, "templateName": "Open", "name": name},
        "searchAttributes": attributes,
    })
}

/// Constants of a session that can be found, with these further ones.
pub fn searchable(constants: &Value) -> Value {
    let mut constants = constants.clone();
    constants["capabilities"]["searchable"] = json!(true);
    constants
}

/// Constants of a session with owners.
pub fn owned() -> Value {
    json!({"capabilities": {"hasOwners": true}})
}

async fn list(actor: &Actor, name: &str) -> String {
    id(actor.post("/handles", &listing(name, &json!({"tags": ["Casual"]}))).await)
}

/// Ada's session with these constants and properties, and its search handle.
async fn listed(world: &World, constants: &Value, system: &Value) -> (Actor, String) {
    let ada = world.user(1);
    ada.put(&open("foo"), &creating(&searchable(constants), system)).await.expect(201);
    let made = list(&ada, "foo").await;
    (ada, made)
}

/// The rows that are left of search handles, their values and their terms.
async fn rows(world: &World) -> String {
    let count =
        "select (select count(*) from handles where type = 2) || ' ' || (select count(*) > 0 from search_values) || ' ' ||
        (select count(*) from search_terms)";
    sql(world, count).await.expect("a row comes back")
}

/// The handle that a session shows, if any.
fn shown(document: &Value) -> Option<&str> {
    document.get("searchHandle").map(|handle| handle.as_str().expect("a handle is text"))
}

#[tokio::test]
async fn h62_h65_s26_r50_the_whole_document_comes_back() {
    let world = World::new().await;
    let (ada, eve) = (world.user(1), world.user(9));
    let mut body = creating(&searchable(&owned()), &json!({"searchHandleVisibility": "xboxlive", "keywords": ["eu"]}));
    body["properties"]["custom"] = json!({"map": "harbor"});
    let before = ada.put(&open("Foo"), &body).await.expect(201);
    assert_eq!(shown(&before.json()), None, "S-26: only while there is one");
    world.pass(5);
    let attributes = json!({
        "tags": ["Casual", "CoopOnly", "CASUAL"], "strings": {"map": "Harbor Bay", "Empty": ""},
        "numbers": {"level": 12, "Ratio": -0.50}, "achievementIds": ["7"], "locale": "en-US", "other": 1,
    });
    let mut request = listing("foo", &attributes);
    (request["type"], request["more"]) = (json!("SEARCH"), json!([]));
    let made = ada.post("/handles", &request).await.expect(201).json();
    let a = made["id"].as_str().expect("an id is text");
    assert_eq!((a.len(), a.to_ascii_lowercase().as_str()), (36, a), "S-12");
    let mut expected = json!({
        "id": a, "type": "search", "version": 1, "sessionRef": {"scid": SCID, "templateName": "Open", "name": "Foo"},
        "titleId": TITLE.to_string(), "ownerXuid": "1", "createTime": "2031-04-05T18:00:00.1280000Z",
        "searchAttributes": {
            "tags": ["Casual", "CoopOnly"], "strings": {"map": "Harbor Bay", "Empty": ""},
            "numbers": {"level": 12, "Ratio": -0.50}, "achievementIds": ["7"], "locale": "en-US",
        },
    });
    assert_eq!(made, expected, "H-63: case is kept");
    assert_eq!(eve.get(&handle(&a.to_uppercase())).await.expect(200).json(), expected, "R-51, R-57");

    let after = ada.get(&open("foo")).await.expect(200);
    let document = after.json();
    assert_eq!((shown(&document), &document["changeNumber"]), (Some(a), &json!(2)), "S-26");
    assert_ne!(after.etag(), before.etag());
    let delta = sql(&world, "select delta from changes where change_number = 2").await.expect("the change is logged");
    let delta: Value = serde_json::from_str(&delta).expect("a delta is JSON");
    assert_eq!(delta, json!({"changeNumber": 2, "searchHandle": a}));
    let log = sql(&world, "select actor || ' ' || cause || ' ' || kinds from changes where change_number = 2").await;
    assert_eq!(log.as_deref(), Some("xuid:1 0 0"));

    expected["relatedInfo"] = json!({
        "visibility": "open", "joinRestriction": "none", "closed": false, "maxMembersCount": 100, "membersCount": 1,
        "postedTime": "2031-04-05T18:00:00.1280000Z", "keywords": ["eu"], "sessionOwners": ["1"], "searchHandleVisibility": "xboxlive",
    });
    expected["customProperties"] = json!({"map": "harbor"});
    expected["roleInfo"] = json!({"roleTypes": {}});
    expected["activityInfo"] = json!({"titleId": TITLE.to_string()});
    assert_eq!(eve.get(&format!("{}{ALL}", handle(a))).await.expect(200).json(), expected, "H-64, H-75");
    // H-62: another one takes its place, under a new id; by H-05 with what is asked for.
    let again = ada.post(&format!("/handles{ALL}"), &listing("foo", &json!({}))).await.expect(201).json();
    let b = again["id"].as_str().expect("an id is text");
    assert_ne!(a, b);
    assert_eq!((&again["searchAttributes"], &again["customProperties"]), (&json!({}), &json!({"map": "harbor"})));
    ada.get(&handle(a)).await.expect(404);
    ada.get(&through(a)).await.expect(404);
    let document = ada.get(&open("foo")).await.expect(200).json();
    assert_eq!((shown(&document), &document["changeNumber"]), (Some(b), &json!(3)));
    assert_eq!(rows(&world).await.split(' ').next(), Some("1"));
    world.end().await;
}

#[tokio::test]
async fn h65_what_is_not_given_is_not_shown() {
    let world = World::new().await;
    let untitled = world.actor(Principal::User(User { title_id: None, ..player(1) }));
    untitled.put(&open("foo"), &creating(&searchable(&json!({})), &json!({}))).await.expect(201);
    let empty = json!({"tags": [], "strings": {}, "numbers": {}, "achievementIds": [], "locale": null});
    for attributes in [Value::Null, json!({}), empty] {
        let made = untitled.post("/handles", &listing("foo", &attributes)).await.expect(201).json();
        assert_eq!((&made["searchAttributes"], &made["titleId"]), (&json!({}), &json!("0")));
    }
    let mut bare = listing("foo", &Value::Null);
    bare.as_object_mut().expect("a body is an object").remove("searchAttributes");
    untitled.post("/handles", &bare).await.expect(201);
    world.end().await;
}

#[tokio::test]
async fn h63_bad_attributes_are_refused_by_name() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("foo"), &creating(&searchable(&json!({})), &json!({}))).await.expect(201);
    let many = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>();
    let map = |count: usize, value: Value| -> Value { many(count).into_iter().map(|name| (name, value.clone())).collect() };
    let named = |name: &str, value: Value| -> Value { [(name.to_owned(), value)].into_iter().collect() };
    let long = |count: usize| "x".repeat(count);
    for (attributes, at) in [
        (json!("text"), "searchAttributes"),
        (json!(["tags"]), "searchAttributes"),
        (json!({"tags": "Casual"}), "searchAttributes.tags"),
        (json!({"tags": {"0": "Casual"}}), "searchAttributes.tags"),
        (json!({"tags": ["ok", 1]}), "searchAttributes.tags[1]"),
        (json!({"tags": [null]}), "searchAttributes.tags[0]"),
        (json!({"tags": [""]}), "searchAttributes.tags[0]"),
        (json!({"tags": ["1st"]}), "searchAttributes.tags[0]"),
        (json!({"tags": ["_x"]}), "searchAttributes.tags[0]"),
        (json!({"tags": ["a b"]}), "searchAttributes.tags[0]"),
        (json!({"tags": ["a\tb"]}), "searchAttributes.tags[0]"),
        (json!({"tags": ["a\u{0}b"]}), "searchAttributes.tags[0]"),
        (json!({"tags": ["ok", long(100)]}), "searchAttributes.tags[1]"),
        (json!({"tags": many(33)}), "searchAttributes.tags"),
        (json!({"strings": []}), "searchAttributes.strings"),
        (json!({"strings": {"1st": "x"}}), "searchAttributes.strings.1st"),
        (json!({"strings": {"": "x"}}), "searchAttributes.strings."),
        (json!({"strings": {"a b": "x"}}), "searchAttributes.strings.a b"),
        (json!({"strings": {"map": 1}}), "searchAttributes.strings.map"),
        (json!({"strings": {"map": null}}), "searchAttributes.strings.map"),
        (json!({"strings": {"map": long(1025)}}), "searchAttributes.strings.map"),
        (json!({"strings": {"map": "x", "Map": "y"}}), "searchAttributes.strings.map"),
        (json!({"strings": map(33, json!("x"))}), "searchAttributes.strings"),
        (json!({"strings": named(&long(100), json!("x"))}), "searchAttributes.strings.xxx"),
        (json!({"numbers": 12}), "searchAttributes.numbers"),
        (json!({"numbers": {"level": "12"}}), "searchAttributes.numbers.level"),
        (json!({"numbers": {"level": true}}), "searchAttributes.numbers.level"),
        (json!({"numbers": {"1": 12}}), "searchAttributes.numbers.1"),
        (json!({"numbers": map(33, json!(1))}), "searchAttributes.numbers"),
        (json!({"numbers": named(&long(100), json!(1))}), "searchAttributes.numbers.xxx"),
        (json!({"achievementIds": "7"}), "searchAttributes.achievementIds"),
        (json!({"achievementIds": [7]}), "searchAttributes.achievementIds[0]"),
        (json!({"achievementIds": many(33)}), "searchAttributes.achievementIds"),
        (json!({"locale": 7}), "searchAttributes.locale"),
        (json!({"language": {}}), "searchAttributes.language"),
    ] {
        let refused = ada.post("/handles", &listing("foo", &attributes)).await.expect(400);
        assert!(refused.text.starts_with(at), "{attributes} {refused:?}");
    }
    let huge = listing("foo", &json!({"numbers": {"level": 4}})).to_string().replace(":4}", ":4e999}");
    ada.send(Method::POST, "/handles", &[], Some(huge)).await.expect(400);
    for attributes in [
        json!({"tags": many(32), "strings": map(32, json!(long(1024))), "numbers": map(32, json!(-1e300))}),
        json!({"tags": [long(99), "ä-b_c.d", "É"], "strings": named(&long(99), json!("free text\n \"of\" any kind"))}),
        json!({"achievementIds": many(32), "language": "en", "numbers": {"a": 0, "b": 1e-300, "c": 9_007_199_254_740_993_u64}}),
    ] {
        let made = ada.post("/handles", &listing("foo", &attributes)).await.expect(201).json();
        assert_eq!(made["searchAttributes"], attributes, "as given");
        assert_eq!(ada.get(&handle(made["id"].as_str().expect("an id is text"))).await.json()["searchAttributes"], attributes);
    }
    world.end().await;
}

#[tokio::test]
async fn h61_owners_or_accepted_members_list_a_session() {
    let world = World::new().await;
    let (ada, bo, cy, eve) = (world.user(1), world.user(2), world.user(3), world.user(9));
    for (name, constants) in [("owned", owned()), ("free", json!({})), ("hidden", json!({}))] {
        let mut constants = searchable(&constants);
        constants["inactiveRemovalTimeout"] = Value::Null;
        if name == "hidden" {
            constants["capabilities"] = json!({});
        }
        ada.put(&open(name), &creating(&constants, &json!({}))).await.expect(201);
        bo.put(&open(name), &json!({"members": {"me": {}}})).await.expect(200);
        ada.put(&open(name), &reserving(&[3])).await.expect(200);
    }
    let empty = json!({});
    for (name, actor, status) in [
        ("owned", &ada, 201),
        ("owned", &bo, 403),
        ("owned", &cy, 403),
        ("owned", &eve, 403),
        ("free", &ada, 201),
        ("free", &bo, 201),
        ("free", &cy, 403),
        ("free", &eve, 403),
        ("free", &world.server(), 403),
        ("free", &world.admin(), 403),
        ("free", &acting(&world, &[1]), 201),
        ("free", &acting(&world, &[9]), 403),
        ("free", &acting(&world, &[1, 2]), 403),
        ("free", &denied(&world, &[2]), 201),
        ("hidden", &ada, 403),
        ("nowhere", &ada, 404),
    ] {
        let answer = actor.post("/handles", &listing(name, &empty)).await;
        assert_eq!(answer.status, status, "{name} {answer:?}");
    }
    let unnamed = json!({"type": "search", "sessionRef": {"scid": SCID, "templateName": "Open"}});
    ada.post("/handles", &unnamed).await.expect(404);
    // Whoever becomes an owner may, whoever is none any more may not.
    ada.put(&open("owned"), &json!({"properties": {"system": {"owners": [1]}}})).await.expect(200);
    bo.post("/handles", &listing("owned", &empty)).await.expect(201);
    ada.post("/handles", &listing("owned", &empty)).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn h61_t30_browse_sessions_are_listed_by_their_owner() {
    let world = World::new().await;
    let (ada, bo, eve) = (world.user(1), world.user(2), world.user(9));
    let path = session("Browse", "seven");
    ada.put(&path, &joining("active")).await.expect(201);
    let mut body = listing("seven", &json!({"tags": ["Casual"]}));
    body["sessionRef"]["templateName"] = json!("Browse");
    let made = id(ada.post("/handles", &body).await);
    // H-44: the way of strangers is the handle, as the restrictions are local by default.
    bo.get(&path).await.expect(403);
    bo.put(&path, &joining("active")).await.expect(403);
    bo.get(&through(&made)).await.expect(200);
    let joined = bo.put(&through(&made), &joining("active")).await.expect(200);
    let location = format!("/serviceconfigs/{SCID}/sessiontemplates/Browse/sessions/seven");
    assert_eq!(joined.header("content-location"), Some(location.as_str()), "H-47");
    bo.post("/handles", &body).await.expect(403);
    eve.put_if(&through(&made), ("If-Match", "\"x.1\""), &joining("active")).await.expect(412);
    eve.put_if(&through(&made), ("If-Match", "*"), &joining("active")).await.expect(200);
    world.end().await;
}

#[rstest]
#[case::creator(1, 204)]
#[case::owner(2, 204)]
#[case::other_member(3, 403)]
#[case::reserved(4, 403)]
#[case::stranger(9, 403)]
#[tokio::test]
async fn h08_who_deletes_a_search_handle(#[case] xuid: u64, #[case] status: u16) {
    let world = World::new().await;
    let (ada, made) = listed(&world, &json!({"capabilities": {"hasOwners": true}}), &json!({})).await;
    for other in [2, 3] {
        world.user(other).put(&open("foo"), &active()).await.expect(200);
    }
    ada.put(&open("foo"), &reserving(&[4])).await.expect(200);
    ada.put(&open("foo"), &json!({"properties": {"system": {"owners": [1]}}})).await.expect(200);
    ada.put(&open("foo"), &leaving()).await.expect(200);
    let before = world.user(2).get(&open("foo")).await.expect(200).json();
    assert_eq!(shown(&before), Some(made.as_str()), "H-66: its creator has left");
    world.user(xuid).delete(&handle(&made)).await.expect(status);
    let after = world.user(2).get(&open("foo")).await.expect(200).json();
    if status == 204 {
        assert_eq!(
            (shown(&after), after["changeNumber"].as_u64()),
            (None, before["changeNumber"].as_u64().map(|n| n + 1)),
            "S-26"
        );
        assert_eq!(rows(&world).await, "0 false 0");
        let delta = sql(&world, "select delta from changes order by change_number desc limit 1").await.expect("it is logged");
        let delta: Value = serde_json::from_str(&delta).expect("a delta is JSON");
        assert_eq!(delta, json!({"changeNumber": after["changeNumber"], "searchHandle": null}));
        for gone in [handle(&made), through(&made)] {
            world.user(2).get(&gone).await.expect(404);
        }
        world.user(xuid).delete(&handle(&made)).await.expect(404);
    } else {
        assert_eq!(after, before);
    }
    world.end().await;
}

#[tokio::test]
async fn h08_servers_delete_search_handles_and_others_do_not() {
    let world = World::new().await;
    let (ada, made) = listed(&world, &json!({}), &json!({})).await;
    for actor in [&world.admin(), &denied(&world, &[8, 9])] {
        actor.delete(&handle(&made)).await.expect(403);
    }
    let refused = world.user(9).delete(&handle(&made)).await.expect(403);
    assert_eq!(refused.etag(), ada.get(&open("foo")).await.etag(), "A-11");
    assert_eq!(world.server().delete(&handle(&made.to_uppercase())).await.expect(204).text, "", "R-52");
    let again = list(&ada, "foo").await;
    ada.delete(&handle(&made)).await.expect(404);
    denied(&world, &[9, 1]).delete(&handle(&again)).await.expect(204);
    ada.delete("/handles/nonsense").await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn h07_who_reads_a_search_handle() {
    let world = World::new().await;
    let (ada, made) = listed(&world, &json!({"visibility": "private"}), &json!({})).await;
    ada.put(&open("foo"), &reserving(&[2])).await.expect(200);
    for actor in [&ada, &world.user(2), &world.server()] {
        actor.get(&handle(&made)).await.expect(200);
    }
    for actor in [&world.user(9), &world.admin()] {
        actor.get(&handle(&made)).await.expect(403);
    }
    world.end().await;
}

/// What a stranger may do through a search handle: read, and join.
#[rstest]
#[case::free(json!({}), json!({}), 200, 200)]
#[case::local(json!({}), json!({"joinRestriction": "local", "readRestriction": "local"}), 200, 200)]
#[case::followed(json!({}), json!({"joinRestriction": "followed", "readRestriction": "followed"}), 200, 200)]
#[case::local_to_join(json!({}), json!({"joinRestriction": "local"}), 200, 200)]
#[case::visible(json!({"visibility": "visible"}), json!({}), 200, 403)]
#[case::visible_local(json!({"visibility": "visible"}), json!({"joinRestriction": "local", "readRestriction": "local"}), 200, 403)]
#[case::private(json!({"visibility": "private"}), json!({}), 403, 403)]
#[case::closed(json!({}), json!({"closed": true}), 200, 403)]
#[case::closed_local(json!({}), json!({"closed": true, "joinRestriction": "local", "readRestriction": "local"}), 200, 403)]
#[case::locked(json!({}), json!({"closed": true, "locked": true}), 200, 403)]
#[case::full(json!({"maxMembersCount": 1}), json!({"joinRestriction": "local", "readRestriction": "local"}), 200, 400)]
#[case::blocked(json!({"capabilities": {"hasOwners": true}}), json!({"joinRestriction": "local", "readRestriction": "local"}), 200, 403)]
#[tokio::test]
async fn h42_what_a_search_handle_opens(#[case] constants: Value, #[case] system: Value, #[case] reads: u16, #[case] joins: u16) {
    let world = World::new().await;
    let (ada, made) = listed(&world, &constants, &system).await;
    let bo = world.user(2);
    if constants.get("capabilities").is_some() {
        world.store.put_block(1, 2).await.expect("the edge is stored");
    }
    let etag = bo.get(&through(&made)).await.expect(reads).header("etag").map(str::to_owned);
    bo.get(&handle(&made)).await.expect(reads);
    if let Some(etag) = &etag {
        bo.send(Method::GET, &through(&made), &[("If-None-Match", etag)], None).await.expect(304);
    }
    for (body, status) in [(json!({"properties": {"custom": {"a": 1}}}), 403), (active(), joins)] {
        let wrote = bo.put(&through(&made), &body).await.expect(status);
        assert_eq!(wrote.text.starts_with('{'), reads == 200 && status != 400, "{wrote:?}");
        if status == 403 && reads == 200 {
            assert_eq!(Some(wrote.etag()), etag);
        }
    }
    // H-66: whatever the doors are, the session stays listed, and H-48: the handle is not consumed.
    assert_eq!(shown(&ada.get(&open("foo")).await.json()), Some(made.as_str()));
    let beside = json!({"visibility": "open"});
    if joins != 200 && constants.get("visibility").unwrap_or(&beside["visibility"]) == "open" && system.get("closed").is_some() {
        ada.put(&open("foo"), &reserving(&[2])).await.expect(200);
        bo.put(&through(&made), &active()).await.expect(200);
    }
    world.end().await;
}

#[tokio::test]
async fn h42_m87_locked_doors_know_former_members_by_any_way() {
    let world = World::new().await;
    let (ada, made) = listed(&world, &json!({}), &json!({})).await;
    let bo = world.user(2);
    bo.put(&through(&made), &active()).await.expect(200);
    bo.put(&through(&made), &leaving()).await.expect(200);
    ada.put(&open("foo"), &json!({"properties": {"system": {"closed": true, "locked": true}}})).await.expect(200);
    world.user(9).put(&through(&made), &active()).await.expect(403);
    bo.put(&through(&made), &active()).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn h42_r16_servers_take_their_users_along() {
    let world = World::new().await;
    let (_, made) = listed(&world, &json!({}), &json!({"joinRestriction": "local", "readRestriction": "local"})).await;
    let all = json!({"members": {"me_all": {"properties": {"system": {"active": true}}}}});
    denied(&world, &[2, 3]).get(&open("foo")).await.expect(403);
    denied(&world, &[2, 3]).get(&through(&made)).await.expect(200);
    assert_eq!(denied(&world, &[2, 3]).put(&through(&made), &all).await.expect(200).json()["membersInfo"]["count"], 3);
    let without = world.actor(Principal::User(User { multiplayer: false, ..player(5) }));
    without.get(&through(&made)).await.expect(200);
    without.put(&through(&made), &active()).await.expect(403);
    world.admin().get(&through(&made)).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn h66_w62_a_listing_ends_with_its_session() {
    let world = World::new().await;
    let (ada, made) = listed(&world, &json!({}), &json!({"keywords": ["eu"]})).await;
    assert_eq!(rows(&world).await, "1 true 2");
    ada.put(&open("foo"), &leaving()).await.expect(204);
    assert_eq!(rows(&world).await, "0 false 0");
    for actor in [&ada, &world.server()] {
        actor.get(&handle(&made)).await.expect(404);
        actor.delete(&handle(&made)).await.expect(404);
        actor.get(&through(&made)).await.expect(404);
        actor.put(&through(&made), &active()).await.expect(404);
    }
    // The one that comes after it under its name is another.
    let born = ada.put(&open("foo"), &creating(&searchable(&json!({})), &json!({}))).await.expect(201).json();
    assert_eq!(shown(&born), None);
    ada.get(&handle(&made)).await.expect(404);
    world.end().await;
}

#[rstest]
#[case::swept(true)]
#[case::lazily(false)]
#[tokio::test]
async fn h66_m24_a_listing_ends_however_the_end_is_noticed(#[case] swept: bool) {
    let world = World::new().await;
    let constants = searchable(&json!({"inactiveRemovalTimeout": 60_000, "sessionEmptyTimeout": 60_000}));
    let ada = world.user(1);
    let mut made = Vec::new();
    for name in ["one", "two", "three", "four"] {
        ada.put(&open(name), &creating(&constants, &json!({}))).await.expect(201);
        made.push(list(&ada, name).await);
        ada.put(&open(name), &leaving()).await.expect(200);
        ada.get(&handle(made.last().expect("one was made"))).await.expect(200);
    }
    world.pass(60_000);
    if swept {
        world.running.directory.sweep().await.expect("the database answers");
    }
    ada.get(&handle(&made[0])).await.expect(404);
    ada.get(&through(&made[1])).await.expect(404);
    ada.put(&through(&made[2]), &active()).await.expect(404);
    ada.delete(&handle(&made[3])).await.expect(404);
    assert_eq!(rows(&world).await, "0 false 0");
    world.end().await;
}

#[tokio::test]
async fn h62_h66_a_listing_stays_until_it_is_replaced() {
    let world = World::new().await;
    let (ada, first) = listed(&world, &json!({"maxMembersCount": 2, "inactiveRemovalTimeout": null}), &json!({})).await;
    let bo = world.user(2);
    bo.put(&open("foo"), &active()).await.expect(200);
    ada.put(&open("foo"), &json!({"properties": {"system": {"closed": true}}})).await.expect(200);
    ada.put(&open("foo"), &leaving()).await.expect(200);
    world.pass(30 * 86_400_000);
    assert_eq!(world.running.directory.drop_expired_handles().await.expect("the database answers"), 0);
    assert_eq!(shown(&bo.get(&open("foo")).await.json()), Some(first.as_str()));
    let second = list(&bo, "foo").await;
    ada.get(&handle(&first)).await.expect(404);
    // Who made the one before has no word on this one.
    ada.delete(&handle(&second)).await.expect(403);
    bo.delete(&handle(&second)).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn h62_listings_posted_at_once_leave_one() {
    let world = World::new().await;
    let (ada, _) = listed(&world, &json!({}), &json!({})).await;
    let bodies: Vec<Value> = (0..12).map(|n| listing("foo", &json!({"tags": [format!("t{n}")], "numbers": {"n": n}}))).collect();
    for _ in 0..3 {
        let made = join_all(bodies.iter().map(|body| ada.post("/handles", body))).await;
        let ids: Vec<String> = made.into_iter().map(id).collect();
        let document = ada.get(&open("foo")).await.json();
        for id in &ids {
            let status = if shown(&document) == Some(id) { 200 } else { 404 };
            ada.get(&handle(id)).await.expect(status);
        }
        assert_eq!(rows(&world).await, "1 true 1");
        // Deleting and posting race; what the session shows is what there is.
        let last = shown(&document).expect("it is listed").to_owned();
        let path = handle(&last);
        let (deleted, posted) = tokio::join!(ada.delete(&path), ada.post("/handles", &bodies[0]));
        assert!([204, 404].contains(&deleted.status), "{deleted:?}");
        let posted = id(posted);
        assert_eq!(shown(&ada.get(&open("foo")).await.json()), Some(posted.as_str()));
    }
    world.end().await;
}

#[tokio::test]
async fn h66_m87_listings_of_large_sessions() {
    let world = World::new().await;
    let roles = json!({"class": {"roles": {"healer": {"max": 2}, "tank": {"max": 60}}}});
    let template = json!({"contractVersion": 107, "constants": {"system": {}, "custom": {}}, "roleTypes": roles}).to_string();
    let scid = "0f0c1a52-7c1e-4b52-9d0e-00007a11b0a9";
    publish(&world, scid, "", &[("Crowd", &template)]).await;
    let path = format!("/serviceconfigs/{scid}/sessionTemplates/Crowd/sessions/foo");
    let ada = world.user(1);
    let constants = json!({
        "capabilities": {"large": true, "hasOwners": true, "searchable": true}, "maxMembersCount": 200,
        "ownershipPolicies": {"migration": "oldest"}, "inactiveRemovalTimeout": 0,
    });
    let mut body = creating(&constants, &json!({}));
    body["members"]["me"]["roles"] = json!({"class": "healer"});
    ada.put(&path, &body).await.expect(201);
    let mut request = listing("foo", &json!({"tags": ["Casual"], "numbers": {"level": 12}}));
    request["sessionRef"] = json!({"scid": scid, "templateName": "Crowd", "name": "foo"});
    let made = id(ada.post("/handles", &request).await);
    let tank = json!({"members": {"me": {"roles": {"class": "tank"}, "properties": {"system": {"active": true}}}}});
    let crowd: Vec<Actor> = (10..40).map(|xuid| world.user(xuid)).collect();
    for joined in join_all(crowd.iter().map(|actor| actor.put(&path, &tank))).await {
        assert_eq!(shown(&joined.expect(200).json()), Some(made.as_str()));
    }
    let count = "select number::int::text from search_values where attribute =";
    assert_eq!(sql(&world, &format!("{count} 'session/memberscount'")).await.as_deref(), Some("31"));
    assert_eq!(sql(&world, &format!("{count} 'session/roles/class/tank/count'")).await.as_deref(), Some("30"));

    // H-74, S-56: members of a large session are hidden from each other.
    for actor in [&crowd[0], &world.user(9), &ada] {
        let found = actor.get(&format!("{}{ALL}", handle(&made))).await.expect(200).json();
        let class = &found["roleInfo"]["roleTypes"]["class"]["roles"];
        let (healer, tank) = (&class["healer"], &class["tank"]);
        assert_eq!((&healer["count"], &tank["count"]), (&json!(1), &json!(30)));
        assert_eq!((&healer["memberXuids"], &tank["memberXuids"]), (&json!([]), &json!([])), "{found}");
        assert_eq!(found["relatedInfo"]["membersCount"], 31);
    }
    crowd[3].delete(&handle(&made)).await.expect(403);
    ada.put(&path, &leaving()).await.expect(200);
    assert_eq!(sql(&world, &format!("{count} 'session/roles/class/healer/count'")).await.as_deref(), Some("0"));
    // The oldest inherits, and with that a word on the listing.
    let oldest = sql(&world, "select xuid from members where owner").await.expect("somebody inherits");
    let heir = world.user(oldest.parse().expect("an xuid"));
    heir.delete(&handle(&made)).await.expect(204);
    assert_eq!(shown(&heir.get(&path).await.json()), None);
    assert_eq!(rows(&world).await, "0 false 0");
    world.end().await;
}

#[tokio::test]
async fn s26_the_handle_is_the_services_to_write() {
    let world = World::new().await;
    let (ada, made) = listed(&world, &json!({}), &json!({})).await;
    ada.put(&open("foo"), &json!({"searchHandle": made})).await.expect(400);
    let written = ada.put(&open("foo"), &json!({"properties": {"custom": {"a": 1}}})).await.expect(200).json();
    assert_eq!(shown(&written), Some(made.as_str()));
    let document = ada.get(&open("foo")).await.expect(200).json();
    assert_eq!(written, document);
    let key = sid(&document);
    assert_eq!(sql(&world, &format!("select id from handles where sid = '{key}'")).await.as_deref(), Some(made.as_str()));
    let old = [("x-xbl-contract-version", "105")];
    let old = ada.send(Method::GET, &open("foo"), &old, None).await.expect(200).json();
    assert_eq!(shown(&old), Some(made.as_str()));
    // nocommit asks about the session, not its handle.
    let asked = ada.put(&format!("{}?nocommit=true", through(&made)), &leaving()).await.expect(204);
    assert_eq!(asked.text, "");
    ada.get(&handle(&made)).await.expect(200);
    world.end().await;
}
