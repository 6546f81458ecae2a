//! Activities: making, reading and deleting them, and their sessions (H).

use openmpsd::domain::names::TitleId;
use openmpsd::domain::principal::{Principal, User};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{Actor, Answer, SCID, TITLE, World, joining, player, session};
use crate::story::{active, creating, leaving, open, reserving, results, sql};

/// The service config of Minecraft's lobbies.
const MINECRAFT: &str = "4fc10100-5f7a-4470-899b-280835760c07";
pub const ALL: &str = "?include=relatedInfo,customProperties";

/// How many activities housekeeping will meet.
const UNBOUND: &str = "select count(*) from handles where expires_at is not null";

/// The body that makes a session of the open template the caller's activity.
pub fn pointing(name: &str) -> Value {
    json!({"type": "activity", "version": 1, "sessionRef": {"scid": SCID, "templateName": "Open", "name": name}})
}

pub fn asking(xuids: &[u64]) -> Value {
    let xuids: Vec<String> = xuids.iter().map(u64::to_string).collect();
    json!({"type": "activity", "scid": SCID, "owners": {"xuids": xuids}})
}

pub fn id(answer: Answer) -> String {
    answer.expect(201).json()["id"].as_str().expect("an id is text").to_owned()
}

pub fn handle(id: &str) -> String {
    format!("/handles/{id}")
}

/// The way through a handle to its session.
pub fn through(id: &str) -> String {
    format!("/handles/{id}/session")
}

pub async fn query(actor: &Actor, body: &Value) -> Vec<Value> {
    results(actor.post(&format!("/handles/query{ALL}"), body).await)
}

/// A user who is active in a session of the open template, which is also the user's activity; and the handle's id.
pub async fn playing(world: &World, xuid: u64, name: &str) -> (Actor, String) {
    let actor = world.user(xuid);
    actor.put(&open(name), &active()).await.expect(201);
    let id = id(actor.post("/handles", &pointing(name)).await);
    (actor, id)
}

#[tokio::test]
async fn h05_h06_h70_h72_the_whole_document_comes_back() {
    let world = World::new().await;
    let (ada, eve) = (world.user(1), world.user(9));
    let mut body = creating(
        &json!({"inviteProtocol": "game", "maxMembersCount": 4}),
        &json!({"joinRestriction": "local", "readRestriction": "none", "keywords": ["eu"], "closed": true,
                "description": {"text": "come in", "locale": "en"}}),
    );
    body["properties"]["custom"] = json!({"map": "harbor", "deep": {"n": [1, null]}});
    ada.put(&open("Foo"), &body).await.expect(201);
    world.pass(5);
    let request = json!({"type": "ACTIVITY", "sessionRef": {"scid": SCID, "templateName": "oPEN", "name": "foo"}, "other": 1});
    let bare = ada.post("/handles", &request).await.expect(201).json();
    let id = bare["id"].as_str().expect("an id is text");
    assert_eq!((id.len(), id.to_ascii_lowercase().as_str()), (36, id), "S-12");
    let plain = json!({
        "id": id, "type": "activity", "version": 1,
        "sessionRef": {"scid": SCID, "templateName": "Open", "name": "Foo"},
        "titleId": TITLE.to_string(), "ownerXuid": "1", "createTime": "2031-04-05T18:00:00.1280000Z", "inviteProtocol": "game",
    });
    assert_eq!(bare, plain, "H-75: nothing that was not asked for");
    let related = json!({
        "visibility": "open", "joinRestriction": "local", "closed": true, "maxMembersCount": 4, "membersCount": 1,
        "postedTime": "2031-04-05T18:00:00.1280000Z", "inviteProtocol": "game", "keywords": ["eu"],
        "description": {"text": "come in", "locale": "en"},
    });
    let mut full = plain.clone();
    full["relatedInfo"] = related;
    full["customProperties"] = json!({"map": "harbor", "deep": {"n": [1, null]}});
    assert_eq!(ada.get(&format!("{}{ALL}", handle(id))).await.expect(200).json(), full, "R-51");
    assert_eq!(eve.get(&format!("/handles/{}?include=customproperties,%20RELATEDinfo,x", id.to_uppercase())).await.json(), full);
    assert_eq!(query(&eve, &asking(&[1])).await, [full]);
    assert_eq!(results(eve.post("/handles/query", &asking(&[1])).await), std::slice::from_ref(&plain), "H-75");
    let mut titled = plain;
    titled["activityInfo"] = json!({"titleId": TITLE.to_string()});
    assert_eq!(results(eve.post("/handles/query?include=activityInfo", &asking(&[1])).await), [titled]);
    let again = ada.post(&format!("/handles{ALL}"), &pointing("foo")).await.expect(201).json();
    assert_eq!((&again["relatedInfo"]["closed"], &again["customProperties"]["map"]), (&json!(true), &json!("harbor")), "H-05");
    // Without a claim the title is "0".
    let untitled = world.actor(Principal::User(User { title_id: None, ..player(1) }));
    let made = untitled.post("/handles", &pointing("foo")).await.expect(201).json();
    assert_eq!(made["titleId"], "0");
    world.end().await;
}

#[tokio::test]
async fn h02_h04_bad_requests_and_unknown_places() {
    let world = World::new().await;
    let ada = world.user(1);
    let with = |name: &str, value: Value| {
        let mut body = pointing("foo");
        body[name] = value;
        body
    };
    let reference = |scid: &str, template: &str, name: &str| json!({"scid": scid, "templateName": template, "name": name});
    for (body, status) in [
        (with("type", json!("gift")), 400),
        (with("type", Value::Null), 400),
        (with("version", json!(2)), 400),
        (with("sessionRef", json!("foo")), 400),
        (with("sessionRef", json!({"templateName": "Open", "name": "foo"})), 400),
        (with("sessionRef", json!({"scid": SCID, "name": "foo"})), 400),
        (with("sessionRef", reference("x", "Open", "foo")), 400),
        (with("sessionRef", reference(SCID, "Open", "a b")), 400),
        (with("sessionRef", reference("5f0c1a52-7c1e-4b52-9d0e-00007a11b0a8", "Open", "foo")), 404),
        (with("sessionRef", reference(SCID, "Nothing", "foo")), 404),
        (json!([]), 400),
    ] {
        let answer = ada.post("/handles", &body).await;
        assert_eq!(answer.status, status, "{body} {answer:?}");
    }
    ada.send(Method::POST, "/handles", &[], Some("{".into())).await.expect(400);
    assert_eq!(query(&ada, &asking(&[1])).await, Vec::<Value>::new());
    world.end().await;
}

#[tokio::test]
async fn h03_h04_h21_an_activity_may_point_to_nothing() {
    let world = World::new().await;
    let (ada, eve) = (world.user(1), world.user(9));
    let made = ada
        .post(&format!("/handles{ALL}"), &json!({"type": "activity", "sessionRef": {"scid": SCID, "templateName": "open"}}))
        .await
        .expect(201)
        .json();
    let name = made["sessionRef"]["name"].as_str().expect("a name is text");
    assert_eq!((name.len(), made["sessionRef"]["templateName"].as_str()), (36, Some("Open")), "H-04");
    assert_eq!(made.get("relatedInfo"), None);
    assert_eq!(made["customProperties"], json!({}), "H-72: always present when asked for");
    let id = made["id"].as_str().expect("an id is text");

    ada.get(&open(name)).await.expect(204);
    ada.get(&handle(id)).await.expect(200);
    eve.get(&handle(id)).await.expect(403);
    assert_eq!(query(&ada, &asking(&[1])).await, Vec::<Value>::new(), "invisible with relatedInfo");
    assert_eq!(results(ada.post("/handles/query", &asking(&[1])).await).len(), 1);
    // The session comes to be, but its owner is not active in it.
    let mut body = active();
    body["members"]["reserve_0"] = json!({"constants": {"system": {"xuid": "1"}}});
    eve.put(&open(name), &body).await.expect(201);
    assert_eq!(query(&eve, &asking(&[1])).await, Vec::<Value>::new());
    ada.put(&open(name), &active()).await.expect(200);
    assert_eq!(query(&eve, &asking(&[1])).await.len(), 1);
    world.pass(2 * 3_600_000);
    assert_eq!(query(&eve, &asking(&[1])).await.len(), 1, "bound, it does not die");
    assert_eq!(world.running.directory.drop_expired_handles().await.expect("the database answers"), 0);
    assert_eq!(sql(&world, UNBOUND).await.as_deref(), Some("0"), "housekeeping does not meet it again");
    world.pass(2 * 3_600_000);
    ada.get(&handle(id)).await.expect(200);
    assert_eq!(query(&eve, &asking(&[1])).await.len(), 1);
    ada.put(&open(name), &leaving()).await.expect(200);
    ada.get(&handle(id)).await.expect(404);
    assert_eq!(sql(&world, "select count(*) from handles").await.as_deref(), Some("0"), "H-22");
    world.end().await;
}

/// Housekeeping looks at the handles whose time has come, each once: those of sessions that exist are none of its business.
#[tokio::test]
async fn h21_h34_housekeeping_passes_over_living_activities() {
    let world = World::new().await;
    playing(&world, 1, "foo").await;
    assert_eq!(sql(&world, UNBOUND).await.as_deref(), Some("0"));
    // More than are looked at together, from a release that kept the expiry of bound ones, and unbound ones behind them.
    let many = "insert into handles (id, sid, scid, owner, created_at, expires_at, type, template, name)
         select md5('h' || n)::uuid, s.sid, s.scid, n, s.start_time, s.start_time + n * interval '1 ms', 0, 'Open', s.name
         from sessions s, generate_series(1001, 4600) n where s.name = 'foo';
         insert into members (sid, scid, index, xuid, state, turn, template_key)
         select s.sid, s.scid, n, n, 3, false, 'open' from sessions s, generate_series(1001, 3500) n where s.name = 'foo'";
    sql(&world, many).await;
    world.pass(3_600_000);
    let living = "select count(*) from handles where owner > 1000";
    assert_eq!(world.running.directory.drop_expired_handles().await.expect("the database answers"), 1100);
    assert_eq!((sql(&world, living).await.as_deref(), sql(&world, UNBOUND).await.as_deref()), (Some("2500"), Some("0")));
    assert_eq!(world.running.directory.drop_expired_handles().await.expect("the database answers"), 0);
    sql(&world, "delete from handles where owner > 1000; delete from members where xuid > 1000").await;
    world.end().await;
}

#[tokio::test]
async fn h21_an_unbound_activity_dies_after_an_hour() {
    let world = World::new().await;
    let ada = world.user(1);
    let id = id(ada.post("/handles", &pointing("foo")).await);
    world.pass(3_599_999);
    ada.get(&handle(&id)).await.expect(200);
    world.running.directory.drop_expired_handles().await.expect("the database answers");
    ada.get(&handle(&id)).await.expect(200);
    world.pass(1);
    ada.get(&handle(&id)).await.expect(404);
    ada.delete(&handle(&id)).await.expect(404);
    ada.get(&format!("/handles/{id}/session")).await.expect(404);
    ada.put(&format!("/handles/{id}/session"), &active()).await.expect(404);
    assert_eq!(results(ada.post("/handles/query", &asking(&[1])).await), Vec::<Value>::new());
    assert_eq!(world.running.directory.drop_expired_handles().await.expect("the database answers"), 1);
    assert_eq!(sql(&world, "select count(*) from handles").await.as_deref(), Some("0"));
    world.end().await;
}

#[tokio::test]
async fn h21_a_dead_activity_does_not_come_back() {
    let world = World::new().await;
    let ada = world.user(1);
    let id = id(ada.post("/handles", &pointing("foo")).await);
    world.pass(3_600_000);
    ada.get(&handle(&id)).await.expect(404);
    ada.put(&open("foo"), &active()).await.expect(201);
    ada.get(&handle(&id)).await.expect(404);
    ada.get(&format!("/handles/{id}/session")).await.expect(404);
    assert_eq!(query(&ada, &asking(&[1])).await, Vec::<Value>::new());
    assert_eq!(world.running.directory.drop_expired_handles().await.expect("the database answers"), 1);
    world.end().await;
}

#[tokio::test]
async fn h20_h23_one_activity_per_user_and_service_config() {
    let world = World::new().await;
    let (ada, first) = playing(&world, 1, "foo").await;
    ada.put(&open("bar"), &active()).await.expect(201);
    let again = id(ada.post("/handles", &pointing("foo")).await);
    assert_ne!(first, again, "H-23");
    ada.get(&handle(&first)).await.expect(404);
    let lobby = format!("/serviceconfigs/{MINECRAFT}/sessionTemplates/MinecraftLobby/sessions/world");
    ada.put(&lobby, &active()).await.expect(201);
    let body = json!({"type": "activity", "sessionRef": {"scid": MINECRAFT, "templateName": "minecraftlobby", "name": "world"}});
    let elsewhere = id(ada.post("/handles", &body).await);
    ada.get(&handle(&again)).await.expect(200);
    let moved = id(ada.post("/handles", &pointing("bar")).await);
    ada.get(&handle(&again)).await.expect(404);
    ada.get(&handle(&elsewhere)).await.expect(200);

    let everywhere = query(&ada, &json!({"type": "activity", "owners": {"xuids": ["1"]}})).await;
    let mut ids: Vec<_> = everywhere.iter().map(|item| item["id"].as_str().expect("an id is text")).collect();
    ids.sort_unstable();
    let mut expected = [moved.as_str(), elsewhere.as_str()];
    expected.sort_unstable();
    assert_eq!(ids, expected, "H-51: the scid is optional");
    assert_eq!(query(&ada, &asking(&[1])).await.len(), 1);
    // A session that does not exist takes the activity over as well, and the other way round.
    let unbound = id(ada.post("/handles", &pointing("nowhere")).await);
    ada.get(&handle(&moved)).await.expect(404);
    let bound = id(ada.post("/handles", &pointing("foo")).await);
    ada.get(&handle(&unbound)).await.expect(404);
    ada.get(&handle(&bound)).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn h21_h24_only_active_members_have_an_activity() {
    let world = World::new().await;
    let (ada, bo, cy, eve) = (world.user(1), world.user(2), world.user(3), world.user(9));
    let body = creating(&json!({"inactiveRemovalTimeout": null}), &json!({}));
    ada.put(&open("foo"), &body).await.expect(201);
    bo.put(&open("foo"), &json!({"members": {"me": {"properties": {"system": {"ready": true}}}}})).await.expect(200);
    ada.put(&open("foo"), &reserving(&[3])).await.expect(200);
    for actor in [&bo, &cy, &eve, &world.server(), &world.admin()] {
        actor.post("/handles", &pointing("foo")).await.expect(403);
    }
    world.server().post("/handles", &pointing("nowhere")).await.expect(403);
    let muted = world.actor(Principal::User(User { multiplayer: false, ..player(7) }));
    muted.post("/handles", &pointing("nowhere")).await.expect(403);
    ada.post("/handles", &pointing("foo")).await.expect(201);
    let etag = ada.get(&open("foo")).await.etag();
    ada.post("/handles", &pointing("foo")).await.expect(201);
    assert_eq!(ada.get(&open("foo")).await.etag(), etag, "an activity is no change of the session");
    world.end().await;
}

#[rstest]
#[case::leaves(leaving(), true)]
#[case::becomes_inactive(json!({"members": {"me": {"properties": {"system": {"active": false}}}}}), true)]
#[case::becomes_ready(json!({"members": {"me": {"properties": {"system": {"ready": true}}}}}), true)]
#[case::stays(json!({"members": {"me": {"properties": {"system": {"active": true}, "custom": {"a": 1}}}}}), false)]
#[tokio::test]
async fn h22_an_activity_ends_with_its_owner(#[case] body: Value, #[case] ends: bool) {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("foo"), &creating(&json!({"inactiveRemovalTimeout": 60_000}), &json!({}))).await.expect(201);
    bo.put(&open("foo"), &active()).await.expect(200);
    let (a, b) = (id(ada.post("/handles", &pointing("foo")).await), id(bo.post("/handles", &pointing("foo")).await));
    assert_eq!(ada.put(&format!("{}?nocommit=true", open("foo")), &body).await.expect(200).status, 200);
    ada.get(&handle(&a)).await.expect(200);
    ada.put(&open("foo"), &body).await.expect(200);
    ada.get(&handle(&a)).await.expect(if ends { 404 } else { 200 });
    bo.get(&handle(&b)).await.expect(200);
    assert_eq!(query(&bo, &asking(&[1, 2])).await.len(), if ends { 1 } else { 2 });
    world.end().await;
}

#[tokio::test]
async fn h22_m43_removed_by_others_and_with_the_session() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("foo"), &active()).await.expect(201);
    bo.put(&open("foo"), &active()).await.expect(200);
    let (a, b) = (id(ada.post("/handles", &pointing("foo")).await), id(bo.post("/handles", &pointing("foo")).await));
    world.server().put(&open("foo"), &json!({"members": {"1": null}})).await.expect(200);
    bo.get(&handle(&b)).await.expect(404);
    ada.delete(&format!("{}/members/me", open("foo"))).await.expect(204);
    ada.get(&handle(&a)).await.expect(404);
    ada.get(&open("foo")).await.expect(204);
    assert_eq!(sql(&world, "select count(*) from handles").await.as_deref(), Some("0"));
    world.end().await;
}

#[tokio::test]
async fn h22_w62_a_sweep_that_ends_a_session_ends_its_handles() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let early = id(ada.post("/handles", &pointing("foo")).await);
    let body = json!({
        "constants": {"system": {"inactiveRemovalTimeout": 60_000}},
        "members": {"me": {"properties": {"system": {"ready": true}}}},
    });
    bo.put(&open("foo"), &body).await.expect(201);
    world.pass(180_000);
    assert_eq!(world.running.directory.sweep().await.expect("the database answers"), 1);
    ada.get(&handle(&early)).await.expect(200);
    world.pass(60_000);
    assert_eq!(world.running.directory.sweep().await.expect("the database answers"), 1);
    bo.get(&open("foo")).await.expect(204);
    ada.get(&handle(&early)).await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn h08_only_the_owner_from_its_title_and_servers_delete() {
    let world = World::new().await;
    let (ada, first) = playing(&world, 1, "foo").await;
    let (bo, _) = playing(&world, 2, "bar").await;
    let elsewhere = world.actor(Principal::User(User { title_id: Some(TitleId(7)), ..player(1) }));
    let untitled = world.actor(Principal::User(User { title_id: None, ..player(1) }));
    bo.delete(&handle(&first)).await.expect(403);
    elsewhere.delete(&handle(&first)).await.expect(403);
    world.admin().delete(&handle(&first)).await.expect(403);
    assert_eq!(ada.delete(&handle(&first.to_uppercase())).await.expect(204).text, "");
    ada.delete(&handle(&first)).await.expect(404);
    ada.delete("/handles/nonsense").await.expect(404);
    let second = id(ada.post("/handles", &pointing("foo")).await);
    untitled.delete(&handle(&second)).await.expect(204);
    let third = id(ada.post("/handles", &pointing("foo")).await);
    world.server().delete(&handle(&third)).await.expect(204);
    assert_eq!(ada.get(&open("foo")).await.expect(200).json()["changeNumber"], 1);
    world.end().await;
}

#[tokio::test]
async fn h07_owners_members_readers_and_servers_read_a_handle() {
    let world = World::new().await;
    let (ada, bo, eve) = (world.user(1), world.user(2), world.user(9));
    let body = creating(&json!({"visibility": "private"}), &json!({}));
    ada.put(&open("foo"), &body).await.expect(201);
    ada.put(&open("foo"), &reserving(&[2])).await.expect(200);
    let a = id(ada.post("/handles", &pointing("foo")).await);
    for actor in [&ada, &bo, &world.server()] {
        let shown = actor.get(&format!("{}{ALL}", handle(&a))).await.expect(200).json();
        assert_eq!(shown["relatedInfo"]["visibility"], "private");
    }
    let refused = eve.get(&handle(&a)).await.expect(403);
    assert!(!refused.text.contains("foo"), "{refused:?}");
    world.pass(30_000);
    bo.get(&handle(&a)).await.expect(403);
    eve.get("/handles/6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01").await.expect(404);
    eve.get("/handles/nonsense").await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn h40_h44_h45_h47_a_handle_leads_to_its_session() {
    let world = World::new().await;
    let (ada, a) = playing(&world, 1, "Foo").await;
    let (bo, eve) = (world.user(2), world.user(9));
    let through = format!("/handles/{a}/session");
    let direct = bo.get(&open("foo")).await.expect(200);
    let read = bo.get(&through).await.expect(200);
    assert_eq!((&read.text, read.etag()), (&direct.text, direct.etag()));
    let location = format!("/serviceconfigs/{SCID}/sessiontemplates/Open/sessions/Foo");
    assert_eq!(read.header("content-location"), Some(location.as_str()), "R-12");
    bo.send(Method::GET, &through, &[("If-None-Match", &read.etag())], None).await.expect(304);

    // H-48: asking what would happen, then joining; the handle is not consumed.
    let asked = bo.put(&format!("{through}?nocommit=true"), &joining("active")).await.expect(200);
    assert_eq!((asked.json()["membersInfo"]["count"].clone(), asked.etag()), (json!(2), read.etag()), "R-24");
    let joined = bo.put(&through, &joining("active")).await.expect(200);
    assert_eq!(joined.header("content-location"), Some(location.as_str()), "H-47");
    assert_eq!(joined.json()["membersInfo"]["count"], 2);
    bo.put_if(&through, ("If-Match", &read.etag()), &active()).await.expect(412);
    bo.put_if(&through, ("If-Match", "*"), &leaving()).await.expect(200);
    bo.put_if(&through, ("If-None-Match", "*"), &active()).await.expect(412);
    // No extra right comes with an activity.
    ada.put(&open("foo"), &json!({"properties": {"system": {"closed": true}}})).await.expect(200);
    eve.put(&through, &active()).await.expect(403);
    let local = json!({"properties": {"system": {"closed": false, "joinRestriction": "local", "readRestriction": "local"}}});
    ada.put(&open("foo"), &local).await.expect(200);
    eve.get(&through).await.expect(403);
    eve.put(&through, &active()).await.expect(403);
    ada.put(&through, &leaving()).await.expect(204);
    ada.get(&through).await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn h46_a_handle_to_a_missing_session() {
    let world = World::new().await;
    let ada = world.user(1);
    let body = json!({"type": "activity", "sessionRef": {"scid": SCID, "templateName": "Open", "name": "Later"}});
    let a = id(ada.post("/handles", &body).await);
    let through = format!("/handles/{a}/session");
    ada.get(&through).await.expect(204);
    ada.put_if(&through, ("If-Match", "*"), &active()).await.expect(404);
    ada.put_if(&through, ("If-Match", "\"x.1\""), &active()).await.expect(404);
    ada.put(&format!("{through}?nocommit=true"), &active()).await.expect(201);
    ada.get(&through).await.expect(204);
    let made = ada.put(&through, &active()).await.expect(201);
    let location = format!("/serviceconfigs/{SCID}/sessiontemplates/Open/sessions/Later");
    assert_eq!(made.header("content-location"), Some(location.as_str()));
    assert_eq!(query(&ada, &asking(&[1])).await.len(), 1, "H-21: bound now");
    for unknown in ["6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01", "nonsense"] {
        ada.get(&format!("/handles/{unknown}/session")).await.expect(404);
        ada.put(&format!("/handles/{unknown}/session"), &active()).await.expect(404);
    }
    world.end().await;
}

#[tokio::test]
async fn h19_lobbies_are_shown_by_the_shipped_template() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&session("Lobby", "foo"), &joining("active")).await.expect(201);
    let body = json!({"type": "activity", "sessionRef": {"scid": SCID, "templateName": "Lobby", "name": "foo"}});
    let made = ada.post(&format!("/handles{ALL}"), &body).await.expect(201).json();
    assert_eq!(made.get("gameTypes"), None, "no title is configured with it");
    assert_eq!(made["relatedInfo"]["joinRestriction"], "local");
    assert_eq!(made["relatedInfo"]["closed"], false, "always a boolean");
    world.end().await;
}

#[tokio::test]
async fn h20_activities_posted_at_once_leave_one() {
    let world = World::new().await;
    let ada = world.user(1);
    let spots: Vec<String> = (0..8).map(|n| format!("s{n}")).collect();
    // Half of the sessions exist.
    for name in &spots[..4] {
        ada.put(&open(name), &active()).await.expect(201);
    }
    for _ in 0..4 {
        let bodies: Vec<Value> = spots.iter().map(|name| pointing(name)).collect();
        let made = futures_util::future::join_all(bodies.iter().map(|body| ada.post("/handles", body))).await;
        let ids: Vec<String> = made.into_iter().map(id).collect();
        let mut left = 0;
        for id in &ids {
            left += usize::from(ada.get(&handle(id)).await.status == 200);
        }
        assert_eq!(left, 1);
        assert_eq!(sql(&world, "select count(*) from handles").await.as_deref(), Some("1"));
    }
    world.end().await;
}

#[tokio::test]
async fn h22_nobody_keeps_an_activity_without_being_active() {
    let world = World::new().await;
    let actors: Vec<Actor> = (1..=6).map(|xuid| world.user(xuid)).collect();
    // Joining, posting and leaving race; whatever wins, an activity and an active member go together.
    for _ in 0..6 {
        let stories = actors.iter().map(|actor| async move {
            let path = open("foo");
            let body = pointing("foo");
            let (joins, posts, leaves) = (active(), body, leaving());
            tokio::join!(actor.put(&path, &joins), actor.post("/handles", &posts), actor.put(&path, &leaves))
        });
        for (joined, posted, left) in futures_util::future::join_all(stories).await {
            assert!([200, 201, 204].contains(&joined.status), "{joined:?}");
            assert!([201, 403].contains(&posted.status), "{posted:?}");
            assert!([200, 204].contains(&left.status), "{left:?}");
        }
        let stray =
            "select count(*) from handles h where exists (select from sessions s where s.sid = h.sid) and expires_at is null
            and not exists (select from members m where m.sid = h.sid and m.xuid = h.owner and m.state = 3)";
        assert_eq!(sql(&world, stray).await.as_deref(), Some("0"));
    }
    world.end().await;
}

#[tokio::test]
async fn h22_leaving_another_session_does_not_end_an_activity() {
    let world = World::new().await;
    let (ada, _) = playing(&world, 1, "foo").await;
    ada.put(&open("bar"), &active()).await.expect(201);
    let moved = id(ada.post("/handles", &pointing("bar")).await);
    ada.put(&open("foo"), &leaving()).await.expect(204);
    ada.get(&handle(&moved)).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn h21_m24_a_session_that_is_over_is_none() {
    let world = World::new().await;
    let ada = world.user(1);
    world.server().put(&open("foo"), &reserving(&[1])).await.expect(201);
    ada.post("/handles", &pointing("foo")).await.expect(403);
    world.pass(30_000);
    let made = id(ada.post("/handles", &pointing("foo")).await);
    ada.get(&handle(&made)).await.expect(200);
    ada.get(&format!("/handles/{made}/session")).await.expect(204);
    assert_eq!(sql(&world, "select count(*) from sessions").await.as_deref(), Some("0"));
    world.end().await;
}

#[tokio::test]
async fn a02_handles_of_foreign_titles() {
    let world = World::new().await;
    let (ada, made) = playing(&world, 1, "foo").await;
    world.keeps_for_title(7).await;
    let everywhere = json!({"type": "activity", "owners": {"xuids": ["1"]}});
    ada.get(&handle(&made)).await.expect(403);
    ada.delete(&handle(&made)).await.expect(403);
    ada.get(&format!("/handles/{made}/session")).await.expect(403);
    ada.put(&format!("/handles/{made}/session"), &active()).await.expect(403);
    ada.post("/handles", &pointing("foo")).await.expect(403);
    ada.post("/handles/query", &asking(&[1])).await.expect(403);
    assert_eq!(results(ada.post("/handles/query", &everywhere).await), Vec::<Value>::new());
    let seven = world.actor(Principal::User(User { title_id: Some(TitleId(7)), ..player(1) }));
    assert_eq!(results(seven.post("/handles/query", &everywhere).await).len(), 1);
    world.end().await;
}

#[rstest]
#[case::swept(true)]
#[case::lazily(false)]
#[tokio::test]
async fn h22_m24_a_handle_ends_with_its_session_however_that_is_noticed(#[case] swept: bool) {
    let world = World::new().await;
    let (ada, server) = (world.user(1), world.server());
    let mut handles = Vec::new();
    for (n, user) in (11..15).enumerate() {
        let (user, name) = (world.user(user), format!("s{n}"));
        handles.push(id(user.post("/handles", &pointing(&name)).await));
        server.put(&open(&name), &reserving(&[1])).await.expect(201);
    }
    world.pass(30_000);
    if swept {
        world.running.directory.sweep().await.expect("the database answers");
    }
    world.user(11).get(&handle(&handles[0])).await.expect(404);
    ada.get(&format!("/handles/{}/session", handles[1])).await.expect(404);
    ada.put(&format!("/handles/{}/session", handles[2]), &active()).await.expect(404);
    assert_eq!(results(ada.post("/handles/query", &asking(&[14])).await), Vec::<Value>::new());
    assert_eq!(sql(&world, "select count(*) from handles").await.as_deref(), Some("0"));
    world.end().await;
}
