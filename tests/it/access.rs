//! Who may come in, read, join and write (A), and the administrators' part in it (R-70).

use openmpsd::domain::names::{Scid, TitleId};
use openmpsd::domain::principal::{Principal, Server, User};
use openmpsd::http::Rules;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Actor, Choices, SCID, TITLE, World, joining, player, publish, session};

/// Base64 for the web of what somebody else's tokens are made of.
const ALG_NONE: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";

fn me() -> Value {
    json!({"members": {"me": {}}})
}

fn custom() -> Value {
    json!({"properties": {"custom": {"touched": true}}})
}

#[tokio::test]
async fn a01_without_a_good_credential_nothing_is_answered() {
    let world = World::new().await;
    let other = World::new().await;
    let card = session("Card", "secret");
    world.user(1).put(&card, &joining("active")).await.expect(201);
    let good = world.token(&Principal::User(player(1)), 3600);
    let parts: Vec<&str> = good.split('.').collect();
    let foreign = other.token(&Principal::User(player(2)), 3600);
    let tampered = format!("{}.{}.{}", parts[0], foreign.split('.').nth(1).unwrap_or_default(), parts[2]);
    let signed_away = format!("{}.{}.", parts[0], parts[1]);
    let none = format!("{ALG_NONE}.{}.", parts[1]);
    let mut cases: Vec<Option<String>> = vec![None];
    cases.extend(
        [
            "",
            " ",
            "XBL3.0",
            "XBL3.0 x=*;",
            "Basic dXNlcjpwYXNz",
            "Bearer",
            "Bearer a.b.c",
            "XBL3.0 x=*;garbage",
            "XBL2.0 x=1;a.b.c",
            &format!("XBL3.0 x=*;{foreign}"),
            &format!("Bearer {tampered}"),
            &format!("Bearer {signed_away}"),
            &format!("Bearer {none}"),
            &format!("XBL3.0 x=*;{none}{}", parts[2]),
            &good,
            &format!("Bearer {good}x"),
            &format!("Bearer {}", "x".repeat(9000)),
        ]
        .map(|case| Some(case.to_owned())),
    );
    let refused =
        [(Method::GET, card.as_str()), (Method::PUT, card.as_str()), (Method::GET, "/nowhere"), (Method::POST, "/handles")];
    for case in cases {
        for (method, path) in &refused {
            let answer = world.nobody().authorized(case.as_deref()).send(method.clone(), path, &[], None).await;
            assert_eq!(answer.status, 401, "{case:?}: {answer:?}");
            assert_eq!(answer.header("www-authenticate"), Some("XBL3.0"), "{case:?}");
            assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{case:?}");
            assert!(!answer.text.is_empty(), "{case:?}");
        }
    }
    for good in [format!("Bearer {good}"), format!("XBL3.0 x=2533274800000001;{good}"), format!("xbl3.0 x=;{good}")] {
        world.nobody().authorized(Some(&good)).get(&card).await.expect(200);
    }
    other.end().await;
    world.end().await;
}

#[tokio::test]
async fn a01_tokens_live_by_real_time_with_a_minute_of_leeway() {
    let world = World::new().await;
    let token = world.token(&Principal::User(player(1)), 600);
    let ada = world.bearer(&token);
    let card = session("Card", "expiry");
    ada.put(&card, &joining("active")).await.expect(201);
    world.pass(10 * 86_400_000);
    ada.get(&card).await.expect(200);
    let seconds = |s: u64| std::time::Duration::from_secs(s);
    world.clock.advance_real(seconds(659));
    ada.get(&card).await.expect(200);
    world.clock.advance_real(seconds(1));
    let expired = ada.get(&card).await.expect(401);
    assert_eq!(expired.header("www-authenticate"), Some("XBL3.0"));
    assert!(expired.text.contains("expired"), "{expired:?}");
    world.user(1).get(&card).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn a01_claims_are_texts_that_can_be_kept() {
    let world = World::new().await;
    let card = session("Card", "claims");
    world.user(1).put(&card, &joining("active")).await.expect(201);
    for odd in ["a\u{1}b", "\u{1f600}", "'; drop table members; --", &"x".repeat(2000)] {
        let user = User { gamertag: Some(odd.to_owned()), device_id: Some(odd.to_owned()), ..player(2) };
        let bo = world.actor(Principal::User(user));
        let joined = bo.put(&card, &joining("active")).await.expect(200).json();
        let index = joined["membersInfo"]["next"].as_u64().expect("a number") - 1;
        assert_eq!(joined["members"][index.to_string()]["gamertag"], odd);
        bo.delete(&format!("{card}/members/me")).await.expect(204);
    }
    for user in
        [User { gamertag: Some("a\0b".to_owned()), ..player(2) }, User { device_id: Some("a\0b".to_owned()), ..player(2) }]
    {
        world.actor(Principal::User(user)).put(&card, &joining("active")).await.expect(401);
    }
    world.end().await;
}

#[tokio::test]
async fn a02_a_service_config_may_be_for_some_titles() {
    const CLUB: &str = "7c0ffee0-0000-4000-8000-0000000000a2";
    let world = World::new().await;
    let ours = format!("titles = [7, \"{TITLE}\"]");
    publish(&world, CLUB, &ours, &[("Club", r#"{"constants":{"system":{}}}"#)]).await;
    let playing = |title: Option<u32>| world.actor(Principal::User(User { title_id: title.map(TitleId), ..player(1) }));
    let club = format!("/serviceconfigs/{CLUB}/sessionTemplates/Club/sessions/a");
    let activity = json!({"type": "activity", "sessionRef": {"scid": CLUB, "templateName": "Club", "name": "a"}});
    let ada = playing(Some(TITLE));
    ada.put(&club, &joining("active")).await.expect(201);
    let made = ada.post("/handles", &activity).await.expect(201).json();
    let handle = format!("/handles/{}", made["id"].as_str().unwrap_or_default());
    playing(Some(7)).get(&club).await.expect(200);
    for stranger in [playing(Some(8)), playing(None), world.admin(), world.server()] {
        let refused = stranger.get(&club).await.expect(403);
        assert!(refused.text.contains("service config"), "{refused:?}");
        assert_eq!(refused.header("content-type"), Some("text/plain; charset=utf-8"));
        stranger.put(&club, &me()).await.expect(403);
        stranger.put(&format!("{club}/properties"), &json!({})).await.expect(403);
        stranger.delete(&format!("{club}/members/me")).await.expect(403);
        stranger.get(&format!("/serviceconfigs/{CLUB}/sessiontemplates")).await.expect(403);
        stranger.get(&format!("/serviceconfigs/{CLUB}/sessiontemplates/Club")).await.expect(403);
        stranger.get(&format!("/serviceconfigs/{CLUB}/sessions?keyword=a")).await.expect(403);
        stranger.post("/handles", &activity).await.expect(403);
        stranger.get(&handle).await.expect(403);
        stranger.delete(&handle).await.expect(403);
        stranger.get(&format!("{handle}/session")).await.expect(403);
        stranger.put(&format!("{handle}/session"), &me()).await.expect(403);
    }
    let everywhere = json!({"type": "activity", "owners": {"xuids": ["1"]}});
    assert_eq!(playing(Some(8)).post("/handles/query", &everywhere).await.expect(200).json(), json!({"results": []}));
    assert_eq!(ada.post("/handles/query", &everywhere).await.expect(200).json()["results"][0]["id"], made["id"]);
    // The shipped ones are for any title.
    playing(Some(8)).put(&session("Card", "any"), &joining("active")).await.expect(201);
    playing(None).get(&session("Card", "any")).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn a03_a_pure_server_is_nobody() {
    let world = World::new().await;
    let (ada, server) = (world.user(1), world.server());
    let card = session("Card", "me");
    ada.put(&card, &joining("active")).await.expect(201);
    server.put(&card, &me()).await.expect(403);
    server.put(&card, &json!({"members": {"me": null}})).await.expect(403);
    server.put(&session("Card", "new"), &me()).await.expect(403);
    server.delete(&format!("{card}/members/me")).await.expect(403);
    let activity = json!({"type": "activity", "sessionRef": {"scid": SCID, "templateName": "Card", "name": "me"}});
    server.post("/handles", &activity).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn a04_a_server_of_the_service_config_bypasses_visibility_but_not_validation() {
    let world = World::new().await;
    let (ada, server) = (world.user(1), world.server());
    let hidden = session("Private", "served");
    let mut body = joining("active");
    body["properties"] = json!({"system": {"closed": true, "joinRestriction": "local", "readRestriction": "local"}});
    let created = ada.put(&hidden, &body).await.expect(201);
    assert_eq!(server.get(&hidden).await.expect(200).text, created.text);
    server.put(&hidden, &custom()).await.expect(200);
    let reserving = json!({"members": {"reserve_0": {"constants": {"system": {"xuid": "2"}}}}});
    assert_eq!(server.put(&hidden, &reserving).await.expect(200).json()["members"]["1"]["reserved"], true);
    server.put(&hidden, &json!({"properties": {"system": {"colour": 1}}})).await.expect(400);
    server.put(&hidden, &json!({"constants": {"system": {"maxMembersCount": 3}}})).await.expect(409);
    server.put_if(&hidden, ("If-Match", "\"x\""), &custom()).await.expect(412);
    assert_eq!(server.put(&hidden, &json!({"members": {"1": null}})).await.expect(200).json()["membersInfo"]["count"], 1);
    ada.put(&hidden, &json!({"members": {"1": null}})).await.expect(403);

    let elsewhere = Scid::parse("4fc10100-5f7a-4470-899b-280835760c07").expect("a GUID");
    let stranger = world.actor(Principal::Server(Server { name: "other".into(), scids: vec![elsewhere] }));
    stranger.get(&hidden).await.expect(403);
    stranger.put(&hidden, &custom()).await.expect(403);
    world.end().await;
}

/// What a caller gets for a GET, for a PUT that adds `me`, and for any other PUT; a status with `true` shows the session.
type Row = (&'static str, [(u16, bool); 3]);

#[tokio::test]
async fn a10_a11_visibility_by_membership_row_by_row() {
    const OK: (u16, bool) = (200, true);
    const SHOWN: (u16, bool) = (403, true);
    const TEXT: (u16, bool) = (403, false);
    let world = World::new().await;
    // Dee follows nobody and is followed by nobody; Eve is followed by Ada.
    world.follows(1, 5).await;
    let who = |name: &str| match name {
        "accepted" => world.user(1),
        "reserved" => world.user(2),
        "stranger" => world.user(4),
        "followed" => world.user(5),
        "server" => world.server(),
        other => panic!("nobody is called {other}"),
    };
    let tables: [(&str, &str, &str, &[Row]); 6] = [
        (
            "open",
            "none",
            "none",
            &[("accepted", [OK, OK, OK]), ("reserved", [OK, OK, OK]), ("stranger", [OK, OK, SHOWN]), ("server", [OK, TEXT, OK])],
        ),
        ("open", "local", "none", &[("stranger", [OK, SHOWN, SHOWN]), ("followed", [OK, SHOWN, SHOWN])]),
        (
            "open",
            "followed",
            "followed",
            &[
                ("accepted", [OK, OK, OK]),
                ("reserved", [OK, OK, OK]),
                ("stranger", [TEXT, TEXT, TEXT]),
                ("followed", [OK, OK, SHOWN]),
            ],
        ),
        (
            "visible",
            "none",
            "none",
            &[
                ("accepted", [OK, OK, OK]),
                ("reserved", [OK, OK, OK]),
                ("stranger", [OK, SHOWN, SHOWN]),
                ("followed", [OK, SHOWN, SHOWN]),
            ],
        ),
        ("visible", "local", "followed", &[("stranger", [TEXT, TEXT, TEXT]), ("followed", [OK, SHOWN, SHOWN])]),
        (
            "private",
            "none",
            "none",
            &[
                ("accepted", [OK, OK, OK]),
                ("reserved", [OK, OK, OK]),
                ("stranger", [TEXT, TEXT, TEXT]),
                ("followed", [TEXT, TEXT, TEXT]),
                ("server", [OK, TEXT, OK]),
            ],
        ),
    ];
    let mut made = 0;
    for (visibility, join, read, rows) in tables {
        for (name, expected) in rows {
            for (kind, (status, shows)) in expected.iter().enumerate() {
                made += 1;
                let path = session("Open", &format!("s{made}"));
                let mut body = joining("active");
                body["constants"] = json!({"system": {"visibility": visibility, "inactiveRemovalTimeout": 60000}});
                body["properties"] = json!({"system": {"joinRestriction": join, "readRestriction": read}});
                body["members"]["reserve_0"] = json!({"constants": {"system": {"xuid": "2"}}});
                world.user(1).put(&path, &body).await.expect(201);
                let actor = who(name);
                let (what, answer) = match kind {
                    0 => ("GET", actor.get(&path).await),
                    1 => ("join", actor.put(&path, &joining("active")).await),
                    _ => ("PUT", actor.put(&path, &custom()).await),
                };
                let label = format!("{visibility}/{join}/{read}: {name} {what}: {answer:?}");
                assert_eq!(answer.status, *status, "{label}");
                // A server that names me is refused, but may read.
                let shows = *shows || *name == "server";
                let json = answer.header("content-type") == Some("application/json; charset=utf-8");
                assert_eq!(json, shows, "A-11: {label}");
                assert_eq!(answer.header("etag").is_some(), shows, "A-11: {label}");
                if *name == "reserved" && what == "PUT" {
                    assert_eq!(answer.json()["members"]["1"]["reserved"], true, "W-33: {label}");
                }
            }
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a14_that_a_private_session_exists_is_no_secret() {
    let world = World::new().await;
    world.user(1).put(&session("Private", "here"), &joining("active")).await.expect(201);
    let bo = world.user(2);
    bo.get(&session("Private", "here")).await.expect(403);
    bo.get(&session("Private", "there")).await.expect(204);
    world.end().await;
}

/// Somebody on the device of the xuid named last.
fn on_device(world: &World, xuid: u64, device: Option<u64>) -> Actor {
    world.actor(Principal::User(User { device_id: device.map(|device| format!("device-{device}")), ..player(xuid) }))
}

#[tokio::test]
async fn a22_a25_local_means_the_device_of_an_active_member() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "local");
    let mut body = joining("active");
    body["properties"] = json!({"system": {"joinRestriction": "local", "readRestriction": "local"}});
    ada.put(&card, &body).await.expect(201);
    let (bo, cy, dee) = (world.user(2), on_device(&world, 3, Some(1)), on_device(&world, 4, None));
    bo.get(&card).await.expect(403);
    dee.get(&card).await.expect(403);
    bo.put(&card, &me()).await.expect(403);
    dee.put(&card, &me()).await.expect(403);
    cy.get(&card).await.expect(200);
    // No longer active, no longer near.
    ada.put(&card, &json!({"members": {"me": {"properties": {"system": {"active": false}}}}})).await.expect(200);
    cy.get(&card).await.expect(403);
    cy.put(&card, &me()).await.expect(403);
    ada.put(&card, &joining("active")).await.expect(200);
    cy.put(&card, &me()).await.expect(200);
    // The device of the last write counts.
    on_device(&world, 1, Some(2)).put(&card, &json!({})).await.expect(200);
    bo.get(&card).await.expect(200);
    bo.put(&card, &me()).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn a23_a24_followed_means_that_a_member_follows_the_caller() {
    let world = World::new().await;
    let (ada, bo, admin) = (world.user(1), world.user(2), world.admin());
    let lobby = session("Lobby", "friends");
    let mut body = joining("active");
    body["properties"] = json!({"system": {"joinRestriction": "followed", "readRestriction": "followed"}});
    ada.put(&lobby, &body).await.expect(201);
    admin.put("/admin/social/2/follows/1", &json!({})).await.expect(204);
    bo.get(&lobby).await.expect(403);
    bo.put(&lobby, &joining("active")).await.expect(403);
    admin.put("/admin/social/1/follows/2", &json!({"favorite": true})).await.expect(204);
    bo.get(&lobby).await.expect(200);
    admin.delete("/admin/social/1/follows/2").await.expect(204);
    bo.get(&lobby).await.expect(403);
    admin.put("/admin/social/1/follows/2", &json!({})).await.expect(204);
    bo.put(&lobby, &joining("active")).await.expect(200);
    // Those whom a mere reservation follows are not followed by a member.
    admin.put("/admin/social/3/follows/4", &json!({})).await.expect(204);
    ada.put(&lobby, &json!({"members": {"reserve_0": {"constants": {"system": {"xuid": "3"}}}}})).await.expect(200);
    let dee = world.user(4);
    dee.put(&lobby, &joining("active")).await.expect(403);
    world.user(3).put(&lobby, &joining("active")).await.expect(200);
    dee.put(&lobby, &joining("active")).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn a40_everybody_may_follow_everybody() {
    let mut choices = Choices::default();
    choices.options.everybody_follows = true;
    let world = World::with(choices).await;
    let lobby = session("Lobby", "village");
    let mut body = joining("active");
    body["properties"] = json!({"system": {"joinRestriction": "followed"}});
    world.user(1).put(&lobby, &body).await.expect(201);
    world.user(2).get(&lobby).await.expect(200);
    world.user(2).put(&lobby, &joining("active")).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn a42_multiplayer_is_a_privilege() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "privilege");
    let mut body = joining("active");
    body["members"]["reserve_0"] = json!({"constants": {"system": {"xuid": "2"}}});
    ada.put(&card, &body).await.expect(201);
    let without = |xuid| world.actor(Principal::User(User { multiplayer: false, ..player(xuid) }));
    without(3).get(&card).await.expect(200);
    let refused = without(3).put(&card, &me()).await.expect(403);
    assert_eq!(refused.json()["membersInfo"]["count"], 2, "A-11");
    without(2).put(&card, &me()).await.expect(403);
    without(1).put(&card, &custom()).await.expect(200);
    let refused = without(3).put(&session("Card", "new"), &joining("active")).await.expect(403);
    assert!(refused.text.contains("privilege"), "{refused:?}");
    world.end().await;
}

#[tokio::test]
async fn a43_banned_users_are_refused_everything() {
    let choices = Choices::default();
    let rules = Rules { banned: vec![2], ..choices.rules };
    let world = World::with(Choices { rules, ..choices }).await;
    let card = session("Card", "banned");
    world.user(1).put(&card, &joining("active")).await.expect(201);
    let bo = world.user(2);
    for (method, path) in [
        (Method::GET, card.as_str()),
        (Method::PUT, &card),
        (Method::POST, "/handles"),
        (Method::GET, &format!("/serviceconfigs/{SCID}/sessiontemplates")),
    ] {
        let refused = bo.send(method, path, &[], None).await.expect(403);
        assert!(refused.text.contains("banned"), "{refused:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn r70_administration_is_for_administrators() {
    let world = World::new().await;
    let routes = [
        (Method::PUT, "/admin/social/1/follows/2"),
        (Method::DELETE, "/admin/social/1/follows/2"),
        (Method::PUT, "/admin/social/1/blocks/2"),
        (Method::DELETE, "/admin/social/1/blocks/2"),
        (Method::GET, "/admin/social/edges"),
        (Method::POST, "/admin/social/edges"),
        (Method::PUT, "/admin/social/edges"),
        (Method::POST, "/admin/dev/clock"),
        (Method::GET, "/admin/sessions"),
        (Method::GET, "/admin/serviceconfigs/x/sessiontemplates/Card/sessions/s"),
        (Method::DELETE, "/admin/serviceconfigs/x/sessiontemplates/Card/sessions/s?reason=x"),
        (Method::DELETE, "/admin/serviceconfigs/x/sessiontemplates/Card/sessions/s/members/0?reason=x"),
        (Method::GET, "/admin/handles"),
        (Method::GET, "/admin/bans"),
        (Method::GET, "/admin/bans/1"),
        (Method::PUT, "/admin/bans/1"),
        (Method::DELETE, "/admin/bans/1?reason=x"),
        (Method::GET, "/admin/audit"),
        (Method::GET, "/admin/serviceconfigs"),
        (Method::PUT, "/admin/serviceconfigs/x"),
        (Method::GET, "/admin/serviceconfigs/x/sessiontemplates/Card"),
        (Method::PUT, "/admin/serviceconfigs/x/sessiontemplates/Card"),
    ];
    for (method, path) in routes {
        world.nobody().send(method.clone(), path, &[], None).await.expect(401);
        for stranger in [world.user(1), world.server()] {
            let refused = stranger.send(method.clone(), path, &[], Some("{".to_owned())).await.expect(403);
            assert_eq!(refused.header("content-type"), Some("text/plain; charset=utf-8"));
        }
    }
    let card = session("Card", "admin");
    world.user(1).put(&card, &joining("active")).await.expect(201);
    world.admin().get(&card).await.expect(403);
    world.admin().put(&card, &me()).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn r70_social_edges_are_put_and_deleted_as_often_as_one_likes() {
    let world = World::new().await;
    let admin = world.admin();
    let no_version = [("x-xbl-contract-version", "")];
    for edge in ["/admin/social/1/follows/2", "/admin/social/1/blocks/2", "/Admin/Social/1/Follows/3/"] {
        admin.send(Method::DELETE, edge, &no_version, None).await.expect(204);
        for _ in 0..2 {
            let put = admin.send(Method::PUT, edge, &no_version, None).await.expect(204);
            assert_eq!(put.text, "");
        }
        for _ in 0..2 {
            admin.delete(edge).await.expect(204);
        }
    }
    let follow = "/admin/social/1/follows/2";
    for body in [json!({}), json!({"favorite": true}), json!({"favorite": false})] {
        admin.put(follow, &body).await.expect(204);
    }
    for body in ["[]", "{", "{\"favorite\":1}", "{\"favorite\":null}", "{\"favourite\":true}", "nonsense"] {
        let refused = admin.send(Method::PUT, follow, &[], Some(body.to_owned())).await.expect(400);
        assert!(!refused.text.is_empty(), "{body}");
    }
    admin.put("/admin/social/1/blocks/2", &json!({"favorite": true})).await.expect(400);
    for edge in ["/admin/social/x/follows/2", "/admin/social/1/follows/-2", "/admin/social/1/follows/18446744073709551616"] {
        admin.put(edge, &json!({})).await.expect(404);
    }
    admin.put("/admin/social/18446744073709551615/follows/9223372036854775808", &json!({})).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn r70_the_development_clock_moves_and_applies_what_is_due() {
    let world = World::new().await;
    let (ada, admin) = (world.user(1), world.admin());
    let card = session("Card", "clock");
    let mut body = joining("active");
    body["members"]["reserve_0"] = json!({"constants": {"system": {"xuid": "2"}}});
    ada.put(&card, &body).await.expect(201);
    let told = admin.post("/admin/dev/clock", &json!({"advanceMs": 0})).await.expect(200);
    assert_eq!(told.json(), json!({"now": "2031-04-05T18:00:00.1230000Z"}));
    let told = admin.post("/admin/dev/clock", &json!({"advanceMs": 29_999})).await.expect(200);
    assert_eq!(told.json(), json!({"now": "2031-04-05T18:00:30.1220000Z"}));
    let query = format!("/serviceconfigs/{SCID}/sessions?xuid=2&reservations=true");
    let of_two = async || world.server().get(&query).await.expect(200).json()["results"].as_array().map(Vec::len);
    assert_eq!(of_two().await, Some(1));
    admin.post("/admin/dev/clock", &json!({"advanceMs": 1})).await.expect(200);
    assert_eq!(world.store.verify().await.expect("the database answers"), Vec::<String>::new());
    assert_eq!(of_two().await, Some(0));
    assert_eq!(ada.get(&card).await.expect(200).json()["changeNumber"], 2);
    // One advance is one evaluation, however far.
    admin.post("/admin/dev/clock", &json!({"advanceMs": 86_400_000})).await.expect(200);
    ada.get(&card).await.expect(200);
    for body in [
        "",
        "{}",
        "[]",
        "{",
        r#"{"advanceMs":-1}"#,
        r#"{"advanceMs":"1"}"#,
        r#"{"advanceMs":1.5}"#,
        r#"{"advanceMs":null}"#,
        r#"{"advanceMs":1e400}"#,
        r#"{"advanceMs":18446744073709551616}"#,
        r#"{"advanceMs":1,"unit":"s"}"#,
        r#"{"advance":1}"#,
    ] {
        let refused = admin.send(Method::POST, "/admin/dev/clock", &[], Some(body.to_owned())).await.expect(400);
        assert!(!refused.text.is_empty(), "{body}");
    }
    world.end().await;
}

#[tokio::test]
async fn r70_without_dev_there_is_no_development_clock() {
    let choices = Choices::default();
    let rules = Rules { dev: false, ..choices.rules };
    let world = World::with(Choices { rules, ..choices }).await;
    world.admin().post("/admin/dev/clock", &json!({"advanceMs": 1})).await.expect(404);
    world.user(1).post("/admin/dev/clock", &json!({"advanceMs": 1})).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn a40_where_everybody_follows_everybody_a_reservation_alone_follows_nobody() {
    let mut choices = Choices::default();
    choices.options.everybody_follows = true;
    let world = World::with(choices).await;
    let card = session("Card", "waiting");
    let body = json!({
        "properties": {"system": {"joinRestriction": "followed", "readRestriction": "followed"}},
        "members": {"reserve_0": {"constants": {"system": {"xuid": "1"}}}},
    });
    world.server().put(&card, &body).await.expect(201);
    let (ada, bo) = (world.user(1), world.user(2));
    bo.get(&card).await.expect(403);
    ada.put(&card, &joining("active")).await.expect(200);
    bo.get(&card).await.expect(200);
    world.end().await;
}
