//! Servers that act for users (R-16, W-19), and what callers' titles, devices and privileges decide (A-02, A-31, A-33).

use openmpsd::domain::names::{Scid, TitleId};
use openmpsd::domain::principal::{Principal, Server, User};
use reqwest::Method;
use serde_json::{Value, json};

use crate::handles::{asking, pointing, query};
use crate::harness::{Actor, Choices, World, player, publish, session};
use crate::story::{active, creating, names, open, reserving, sessions};

pub const USERS: &str = "X-Xbl-OnBehalfOf-Users";
pub const TITLE_OF_USERS: &str = "X-Xbl-OnBehalfOf-Title";
const DENY_SCOPE: &str = "X-Xbl-Deny-Scope";
const MANAGE: &str = "Multiplayer.Manage";

/// The sample server, acting for these users with the multiplayer privilege.
pub fn acting(world: &World, xuids: &[u64]) -> Actor {
    let list: Vec<String> = xuids.iter().map(|xuid| format!("{xuid};priv=multiplayer")).collect();
    world.server().with(USERS, &list.join(","))
}

/// The same without rights of its own.
pub fn denied(world: &World, xuids: &[u64]) -> Actor {
    acting(world, xuids).with(DENY_SCOPE, MANAGE)
}

/// A PUT with one entry of `members`.
fn member(key: &str, entry: &Value) -> Value {
    json!({"members": {key: entry}})
}

/// The entry of an active member.
fn is_active() -> Value {
    json!({"properties": {"system": {"active": true}}})
}

/// The members of a document in their order: xuids.
fn xuids(document: &Value) -> Vec<String> {
    let members = document["members"].as_object().expect("members is an object");
    let mut found: Vec<(u64, String)> = members
        .iter()
        .map(|(index, member)| {
            let xuid = member["constants"]["system"]["xuid"].as_str().expect("an xuid is text");
            (index.parse().expect("keys are indices"), xuid.to_owned())
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, xuid)| xuid).collect()
}

#[tokio::test]
async fn r16_a_server_joins_its_users_and_keeps_its_own_rights() {
    let world = World::new().await;
    let lobby = session("Private", "acting");
    let server = acting(&world, &[7]).with(TITLE_OF_USERS, "1739200451");
    let created = server.put(&lobby, &active()).await.expect(201).json();
    assert_eq!(created["members"]["0"]["constants"]["system"]["xuid"], "7");
    assert_eq!(created["members"]["0"]["activeTitleId"], "1739200451");
    assert_eq!(created["members"]["0"].get("gamertag"), None, "the header names nobody");
    let both = json!({"members": {"me": {}}, "servers": {"arena": {"properties": {"custom": {"a": 1}}}}});
    let written = server.put(&lobby, &both).await.expect(200).json();
    assert_eq!(written["servers"]["arena"]["properties"]["custom"], json!({"a": 1}), "W-36");
    assert_eq!(world.user(7).get(&lobby).await.expect(200).json(), written, "the user is a member like any other");
    server.get(&format!("{lobby}/members/me")).await.expect(200);
    server.delete(&format!("{lobby}/members/me")).await.expect(204);
    world.server().get(&lobby).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn r16_header_forms_and_whom_they_concern() {
    let world = World::new().await;
    let card = session("Card", "forms");
    let named = |value: &str| world.server().with(USERS, value);
    let joined =
        named("\"5;priv=multiplayer\" , 6 ; priv=multiplayer,5").put(&card, &member("me_all", &is_active())).await.expect(201);
    assert_eq!(xuids(&joined.json()), ["5", "6"]);
    let lines = world.server().with(USERS, "8;priv=multiplayer").with(USERS, "7;priv=multiplayer");
    let joined = lines.put(&card, &member("me_all", &is_active())).await.expect(200);
    assert_eq!(xuids(&joined.json()), ["5", "6", "8", "7"]);

    for (name, value) in [(USERS, "ada"), (USERS, "5;priv=chat"), (TITLE_OF_USERS, "minesweeper")] {
        let server = world.server().with(name, value);
        for (method, path) in [(Method::GET, card.as_str()), (Method::GET, "/handles/nonsense"), (Method::PUT, card.as_str())] {
            let refused = server.send(method, path, &[], None).await.expect(400);
            assert!(refused.text.starts_with(&format!("{name}: ")), "{refused:?}");
        }
        // E-10: route, verb and contract version come first.
        server.get("/nowhere").await.expect(404);
        server.delete(&card).await.expect(405);
        server.send(Method::GET, &card, &[("x-xbl-contract-version", "103")], None).await.expect(406);
        let user = world.user(5).with(name, value);
        user.get(&card).await.expect(200);
        let admin = world.admin().with(name, value);
        admin.put("/admin/social/1/follows/2", &json!({})).await.expect(204);
    }
    // A title without users is looked at, and that is all.
    world.server().with(TITLE_OF_USERS, "1").get(&card).await.expect(200);
    world.server().with(TITLE_OF_USERS, "1").put(&card, &active()).await.expect(403);
    world.user(1).with(USERS, "5").with(DENY_SCOPE, MANAGE).put(&card, &member("me_5", &is_active())).await.expect(400);
    let own = world.user(1).with(USERS, "5").put(&session("Card", "mine"), &active()).await.expect(201);
    assert_eq!(xuids(&own.json()), ["1"], "for a user the header does not count");
    world.end().await;
}

#[tokio::test]
async fn r16_without_the_scope_a_server_is_as_its_users_are() {
    let world = World::new().await;
    let (hidden, shut) = (session("Private", "scope"), session("Card", "shut"));
    for path in [&hidden, &shut] {
        world.user(1).put(path, &active()).await.expect(201);
    }
    world.user(1).put(&shut, &json!({"properties": {"system": {"closed": true}}})).await.expect(200);
    let join = member("me_all", &is_active());

    for (scope, value) in [("another scope", "Other.Manage"), ("none", "")] {
        let server = acting(&world, &[2, 3]).with(DENY_SCOPE, value);
        server.get(&hidden).await.expect(200);
        server.put(&shut, &json!({"properties": {"custom": {"scope": scope}}})).await.expect(200);
    }
    let server = acting(&world, &[2, 3]).with(DENY_SCOPE, "multiplayer.MANAGE");
    server.get(&hidden).await.expect(403);
    server.put(&hidden, &join).await.expect(403);
    assert!(server.put(&shut, &join).await.expect(403).text.starts_with('{'), "A-11: they may read it");
    server.put(&shut, &json!({"servers": {"arena": {}}})).await.expect(403);
    server.delete(&format!("{shut}/members/0")).await.expect(403);
    server.put(&session("Card", "theirs"), &join).await.expect(201);

    // One of them is a member: reading and writing is as for that one.
    assert_eq!(denied(&world, &[1]).get(&hidden).await.expect(200).json()["membersInfo"]["count"], 1);
    denied(&world, &[2, 1]).get(&hidden).await.expect(200);
    denied(&world, &[2, 1]).get(&format!("{hidden}/properties")).await.expect(200);
    denied(&world, &[2, 1]).put(&hidden, &json!({"properties": {"custom": {"a": 1}}})).await.expect(200);

    let nobody = world.server().with(DENY_SCOPE, MANAGE);
    let refused = nobody.get(&shut).await.expect(403);
    assert!(refused.text.contains(DENY_SCOPE), "{refused:?}");
    nobody.get("/nowhere").await.expect(404);
    // With the rights of the server on top, doors are open.
    acting(&world, &[2, 3]).put(&hidden, &join).await.expect(200);
    acting(&world, &[2, 3]).put(&shut, &join).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn r16_a23_restrictions_ask_who_follows_each_acting_user() {
    let world = World::new().await;
    let lobby = open("followed");
    let followed = json!({"joinRestriction": "followed", "readRestriction": "followed"});
    world.user(1).put(&lobby, &creating(&json!({}), &followed)).await.expect(201);
    let join = member("me_all", &is_active());
    denied(&world, &[2, 3]).get(&lobby).await.expect(403);
    denied(&world, &[2, 3]).put(&lobby, &join).await.expect(403);
    world.follows(1, 2).await;
    denied(&world, &[3, 2]).get(&lobby).await.expect(200);
    denied(&world, &[2, 3]).put(&lobby, &join).await.expect(403);
    world.follows(1, 3).await;
    denied(&world, &[2, 3]).put(&lobby, &join).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn r16_a20_each_user_needs_the_multiplayer_privilege() {
    let world = World::new().await;
    let card = session("Card", "privilege");
    world.user(1).put(&card, &active()).await.expect(201);
    let half = world.server().with(USERS, "5;priv=multiplayer,6");
    half.put(&card, &member("me_all", &is_active())).await.expect(403);
    half.put(&card, &member("me_6", &is_active())).await.expect(403);
    half.put(&card, &member("me_5", &is_active())).await.expect(200);
    half.put(&session("Card", "other"), &member("me_all", &is_active())).await.expect(403);
    half.put(&card, &member("me_allInSession", &is_active())).await.expect(200);
    world.server().with(USERS, "5,5;priv=multiplayer").put(&card, &member("me_all", &Value::Null)).await.expect(200);
    world.server().with(USERS, "5,5;priv=multiplayer").put(&card, &active()).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn w19_keys_of_acting_users() {
    let world = World::new().await;
    let card = session("Card", "keys");
    let server = acting(&world, &[30, 10, 20]);
    let created = server.put(&card, &member("me_20", &is_active())).await.expect(201);
    assert_eq!(xuids(&created.json()), ["20"]);
    let joined = server.put(&card, &member("me_all", &is_active())).await.expect(200);
    assert_eq!(xuids(&joined.json()), ["20", "30", "10"], "new members come in the order of the header");
    let again = server.put(&card, &member("me_all", &is_active())).await.expect(200);
    assert_eq!(again.etag(), joined.etag(), "W-34");

    let noted = json!({"properties": {"custom": {"n": 1}}});
    let more = acting(&world, &[40, 10]).put(&card, &member("me_allInSession", &noted)).await.expect(200).json();
    assert_eq!(more["members"]["2"]["properties"]["custom"], json!({"n": 1}));
    assert_eq!(xuids(&more), ["20", "30", "10"], "who is not there stays away");

    let refused = server.put(&card, &member("me_99", &is_active())).await.expect(403);
    assert!(refused.text.starts_with('{'), "A-11");
    let refused = server.put(&card, &active()).await.expect(400);
    assert!(refused.text.starts_with("members.me: "), "{refused:?}");
    server.put(&card, &json!({"members": {"me_all": {}, "me_10": {}}})).await.expect(400);
    server.put(&card, &member("me_nobody", &json!({}))).await.expect(400);
    for key in ["me_all", "me_allInSession", "me_1"] {
        let refused = world.user(1).put(&card, &member(key, &is_active())).await.expect(400);
        assert!(refused.text.starts_with(&format!("members.{key}: ")), "{refused:?}");
        world.server().put(&card, &member(key, &is_active())).await.expect(403);
    }

    let left = server.put(&card, &member("me_10", &Value::Null)).await.expect(200);
    assert_eq!(xuids(&left.json()), ["20", "30"]);
    let left = acting(&world, &[20, 60]).put(&card, &member("me_allInSession", &Value::Null)).await.expect(200);
    assert_eq!(xuids(&left.json()), ["30"]);
    server.put(&card, &member("me_all", &Value::Null)).await.expect(204);
    world.server().get(&card).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn w19_reservations_and_servers_beside_acting_users() {
    let world = World::new().await;
    let card = session("Card", "beside");
    let body = json!({
        "members": {"me_all": is_active(), "reserve_0": {"constants": {"system": {"xuid": "9"}}}},
        "servers": {"arena": {}},
    });
    let created = acting(&world, &[3, 2]).put(&card, &body).await.expect(201).json();
    assert_eq!(xuids(&created), ["3", "2", "9"], "W-07, W-38");
    let index = format!("{card}/members/1");
    let edited = acting(&world, &[2]).put(&index, &json!({"properties": {"custom": {"own": true}}})).await.expect(200).json();
    assert_eq!(edited["members"]["1"]["properties"]["custom"], json!({"own": true}), "W-06: the own index is the own entry");
    acting(&world, &[2]).put(&format!("{card}/members/0"), &json!({"properties": {"custom": {}}})).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn w19_a43_a_large_session_takes_one_acting_user() {
    let world = World::new().await;
    let arena = open("large");
    let constants = json!({"capabilities": {"large": true}});
    acting(&world, &[1]).put(&arena, &creating(&constants, &json!({}))).await.expect(201);
    let joined = acting(&world, &[2]).put(&arena, &active()).await.expect(200).json();
    assert_eq!(joined["members"]["me"]["constants"]["system"]["xuid"], "2");
    for key in ["me_all", "me_1", "me_allInSession"] {
        acting(&world, &[1, 2]).put(&arena, &member(key, &is_active())).await.expect(403);
    }
    acting(&world, &[1, 2]).get(&arena).await.expect(403);
    denied(&world, &[1, 2]).get(&arena).await.expect(403);
    acting(&world, &[2]).put(&arena, &member("me_2", &Value::Null)).await.expect(200);
    assert_eq!(acting(&world, &[1]).get(&arena).await.expect(200).json()["membersInfo"]["count"], 1);
    world.end().await;
}

#[tokio::test]
async fn a43_bans_follow_users_behind_servers() {
    let mut choices = Choices::default();
    choices.rules.banned = vec![13];
    let world = World::with(choices).await;
    let card = session("Card", "banned");
    world.user(13).get(&card).await.expect(403);
    acting(&world, &[1, 13]).get(&card).await.expect(403);
    acting(&world, &[13]).put(&card, &active()).await.expect(403);
    acting(&world, &[1]).put(&card, &active()).await.expect(201);
    world.user(1).with(USERS, "13").get(&card).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn a02_titles_of_acting_users() {
    let world = World::new().await;
    let scid = "11111111-2222-3333-4444-555555555555";
    let template = r#"{"constants":{"system":{"inactiveRemovalTimeout":7200000},"custom":{}}}"#;
    publish(&world, scid, "titles = [\"77\"]\n", &[("Card", template)]).await;
    let path = format!("/serviceconfigs/{scid}/sessiontemplates/Card/sessions/titled");
    let scids = vec![Scid::parse(scid).expect("the scid is a GUID")];
    let server = world.actor(Principal::Server(Server { name: "arena".into(), scids })).with(USERS, "5;priv=multiplayer");
    let title = |server: &Actor, title: &str| server.clone().with(TITLE_OF_USERS, title);
    let bare = server.clone().with(DENY_SCOPE, MANAGE);
    bare.put(&path, &active()).await.expect(403);
    title(&bare, "78").put(&path, &active()).await.expect(403);
    let created = title(&bare, "77").put(&path, &active()).await.expect(201);
    assert_eq!(created.json()["members"]["0"]["activeTitleId"], "77");
    title(&server, "78").get(&path).await.expect(200);
    server.get(&path).await.expect(200);
    acting(&world, &[5]).with(TITLE_OF_USERS, "77").get(&path).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn a03_what_needs_a_user() {
    let world = World::new().await;
    let card = session("Card", "user");
    world.user(1).put(&card, &active()).await.expect(201);
    let own = format!("{card}/members/me");
    for server in [world.server(), world.server().with(TITLE_OF_USERS, "1")] {
        server.get(&own).await.expect(403);
        server.put(&own, &is_active()).await.expect(403);
        server.delete(&own).await.expect(403);
        server.put(&card, &active()).await.expect(403);
    }
    let two = acting(&world, &[1, 2]);
    two.get(&own).await.expect(400);
    two.put(&own, &is_active()).await.expect(400);
    two.delete(&own).await.expect(400);
    acting(&world, &[1]).get(&own).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn a31_weak_devices_need_user_authorization_where_the_switch_is_on() {
    let of = |device: Option<&str>, xuid: u64| Principal::User(User { device_type: device.map(str::to_owned), ..player(xuid) });
    let authorized = creating(&json!({"capabilities": {"userAuthorizationStyle": true}}), &json!({}));
    let plain = creating(&json!({}), &json!({}));

    let world = World::new().await;
    world.actor(of(Some("Win32"), 1)).put(&open("off"), &plain).await.expect(201);
    world.end().await;

    let mut choices = Choices::default();
    choices.options.limits.weak_device_types = vec!["Win32".into(), "Android".into()];
    let world = World::with(choices).await;
    let (console, phone) = (world.actor(of(Some("Scarlett"), 1)), world.actor(of(Some("android"), 2)));
    phone.put(&open("plain"), &plain).await.expect(403);
    console.put(&open("plain"), &plain).await.expect(201);
    assert!(phone.put(&open("plain"), &active()).await.expect(403).text.starts_with('{'), "A-11");
    phone.put(&open("authorized"), &authorized).await.expect(201);
    world.user(3).put(&open("unknown"), &plain).await.expect(201);
    acting(&world, &[4]).put(&open("plain"), &active()).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn a33_titles_that_view_a_broadcast_read_it() {
    let world = World::new().await;
    let of = |xuid: u64, title: u32| Principal::User(User { title_id: Some(TitleId(title)), ..player(xuid) });
    let constants = json!({
        "visibility": "private",
        "capabilities": {"large": true, "broadcast": true},
        "broadcastViewerTitleIds": [77],
    });
    // It has the name of its broadcaster (W-26).
    let path = open("1");
    world.user(1).put(&path, &creating(&constants, &json!({}))).await.expect(201);
    world.actor(of(2, 78)).get(&path).await.expect(403);
    world.actor(of(2, 77)).get(&path).await.expect(200);
    world.actor(of(2, 77)).put(&path, &active()).await.expect(403);
    world.server().with(USERS, "3").with(TITLE_OF_USERS, "77").with(DENY_SCOPE, MANAGE).get(&path).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn r16_q34_a50_queries_find_what_one_of_several_may_read() {
    let world = World::new().await;
    let (ada, eve) = (world.user(1), world.user(9));
    for restriction in ["local", "followed"] {
        let properties = json!({"joinRestriction": restriction, "readRestriction": restriction, "keywords": ["eu"]});
        ada.put(&open(restriction), &creating(&json!({}), &properties)).await.expect(201);
    }
    ada.put(&open("local"), &reserving(&[2])).await.expect(200);
    world.follows(1, 8).await;
    let all = ["followed", "local"];
    for (users, found) in [(&[7, 1][..], &all[..]), (&[7, 2], &all[1..]), (&[7, 8], &all[..1]), (&[8, 2], &all), (&[6, 7], &[])] {
        let several = denied(&world, users);
        for name in all {
            several.get(&open(name)).await.expect(if found.contains(&name) { 200 } else { 403 });
        }
        for by in ["keyword=eu", "xuid=1", "xuid=1&keyword=eu"] {
            assert_eq!(names(several.get(&sessions(by)).await), found, "{users:?} {by}");
        }
    }
    assert_eq!(names(acting(&world, &[6, 7]).get(&sessions("keyword=eu")).await), all, "A-04");
    denied(&world, &[1, 2]).get(&sessions("xuid=1&private=true")).await.expect(403);

    // Activities are shown by the same measure (H-57).
    let mut hidden = creating(&json!({"visibility": "private"}), &json!({}));
    hidden["properties"]["custom"] = json!({"map": "harbor"});
    eve.put(&open("hidden"), &hidden).await.expect(201);
    eve.put(&open("hidden"), &reserving(&[2])).await.expect(200);
    eve.post("/handles", &pointing("hidden")).await.expect(201);
    assert_eq!(query(&denied(&world, &[7, 2]), &asking(&[9])).await[0]["customProperties"], json!({"map": "harbor"}));
    assert_eq!(names(denied(&world, &[7, 2]).post("/handles/query", &asking(&[9])).await), ["hidden"]);
    assert_eq!(query(&denied(&world, &[7, 8]), &asking(&[9])).await, Vec::<Value>::new());
    world.end().await;
}
