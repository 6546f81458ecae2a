//! Activities as others find them: `POST /handles/query` (H).

use openmpsd::domain::names::TitleId;
use openmpsd::domain::principal::{Principal, User};
use reqwest::Method;
use serde_json::{Value, json};

use crate::acting::{acting, denied};
use crate::handles::{ALL, asking, playing, pointing, query};
use crate::harness::{Actor, Choices, SCID, World, player, publish};
use crate::story::{active, creating, names, open, reserving, results, sessions, sql};

const NONE: [&str; 0] = [];

fn people(moniker: &str) -> Value {
    json!({"type": "activity", "scid": SCID, "owners": {"people": {"moniker": moniker}}})
}

#[tokio::test]
async fn h50_to_h56_what_a_query_may_ask() {
    let world = World::new().await;
    let (ada, _) = playing(&world, 1, "foo").await;
    let xuids = |count: u64| (1..=count).collect::<Vec<u64>>();
    for (body, status) in [
        (json!({"type": "activity"}), 400),
        (json!({"owners": {"xuids": ["1"]}}), 400),
        (json!({"type": "invite", "owners": {"xuids": ["1"]}}), 400),
        (json!({"type": "activity", "owners": {"xuids": []}}), 400),
        (json!({"type": "activity", "owners": {"xuids": ["x"]}}), 400),
        (json!({"type": "activity", "owners": {"xuids": ["1"], "people": {"moniker": "people"}}}), 400),
        (json!({"type": "activity", "scid": "x", "owners": {"xuids": ["1"]}}), 400),
        (json!({"type": "activity", "scid": "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a8", "owners": {"xuids": ["1"]}}), 404),
        (json!({"type": "activity", "owners": {"people": {"moniker": "foes"}}}), 400),
        (json!({"type": "activity", "owners": {"people": {"moniker": "People", "monikerXuid": "2"}}}), 403),
        (json!({"type": "activity", "owners": {"people": {"moniker": "PEOPLE", "monikerXuid": 1}}}), 200),
        (json!({"type": "Activity", "owners": {"xuids": [1]}}), 200),
        (asking(&xuids(100)), 200),
        (asking(&xuids(101)), 400),
    ] {
        let answer = ada.post("/handles/query", &body).await;
        assert_eq!(answer.status, status, "{body} {answer:?}");
    }
    let by_parameter = ada.post("/handles/query?xuid=1", &json!({"type": "activity"})).await;
    assert_eq!(results(by_parameter).len(), 1, "H-54");
    assert_eq!(results(ada.post("/handles/query?take=0", &asking(&[1])).await).len(), 0, "H-56");
    ada.post("/handles/query?take=101", &asking(&[1])).await.expect(400);
    assert_eq!(results(ada.post("/handles/query?private=maybe&keyword=", &asking(&[1])).await).len(), 1, "H-56: ignored");
    assert_eq!(ada.post(&format!("/handles/query{ALL}"), &asking(&[8])).await.expect(200).text, r#"{"results":[]}"#, "H-58");
    let without = [("content-type", "")];
    ada.send(Method::POST, "/handles/query", &without, Some(asking(&[1]).to_string())).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn h52_h59_results_come_as_the_xuids_were_given() {
    let world = World::new().await;
    for xuid in [3, 1, 2] {
        playing(&world, xuid, &format!("s{xuid}")).await;
        world.pass(1);
    }
    let eve = world.user(9);
    let ask = async |xuids: &[u64], query: &str| names(eve.post(&format!("/handles/query{query}"), &asking(xuids)).await);
    assert_eq!(ask(&[2, 7, 3, 2, 1, 3], "").await, ["s2", "s3", "s1"], "each once");
    assert_eq!(ask(&[1, 2, 3], "?take=2").await, ["s1", "s2"]);
    assert_eq!(ask(&[7], "").await, NONE);
    world.end().await;
}

#[tokio::test]
async fn h53_h55_the_activities_of_people_one_follows() {
    let world = World::new().await;
    for xuid in [1, 2, 3] {
        playing(&world, xuid, &format!("s{xuid}")).await;
        world.pass(1);
    }
    let eve = world.user(9);
    let ask = async |moniker: &str| names(eve.post("/handles/query", &people(moniker)).await);
    assert_eq!(ask("people").await, NONE, "nobody is followed yet");
    world.store.put_follow(9, 1, true).await.expect("the edge is stored");
    world.store.put_follow(9, 3, false).await.expect("the edge is stored");
    world.follows(2, 9).await;
    assert_eq!(ask("people").await, ["s3", "s1"], "H-59: newest first");
    assert_eq!(ask("FRIENDS").await, ["s3", "s1"]);
    assert_eq!(ask("Favorites").await, ["s1"]);
    let of =
        |xuid: u64| json!({"type": "activity", "owners": {"people": {"moniker": "people", "monikerXuid": xuid.to_string()}}});
    assert_eq!(names(eve.post("/handles/query", &of(9)).await), ["s3", "s1"]);
    eve.post("/handles/query", &of(1)).await.expect(403);
    assert_eq!(names(world.server().post("/handles/query", &of(9)).await), ["s3", "s1"], "H-55: a server may");
    world.server().post("/handles/query", &people("people")).await.expect(403);

    // Whoever acts for users has their own lists, and those of others only by the rights of a server.
    world.follows(8, 1).await;
    world.follows(6, 3).await;
    for users in [&[5, 6][..], &[5]] {
        denied(&world, users).post("/handles/query", &of(8)).await.expect(403);
        assert_eq!(names(acting(&world, users).post("/handles/query", &of(8)).await), ["s1"]);
    }
    assert_eq!(names(denied(&world, &[5, 6]).post("/handles/query", &of(6)).await), ["s3"]);
    world.end().await;
}

#[tokio::test]
async fn h59_newest_first_of_thousands_and_at_most_a_hundred() {
    let world = World::new().await;
    let made = format!(
        "insert into handles (id, sid, scid, owner, created_at, expires_at, type, template, name)
         select md5('h' || n)::uuid, md5('s' || n)::uuid, '{SCID}', n, timestamptz '2031-04-05T17:00:00Z' + n * interval '1 ms',
            '2031-04-06', 0, 'Open', 's' || n
         from generate_series(1001, 7000) n;
         insert into follows select 9, n, false from generate_series(1001, 7000) n"
    );
    sql(&world, &made).await;
    let eve = world.user(9);
    let newest: Vec<String> = (6901..=7000).rev().map(|n| format!("s{n}")).collect();
    let ask = async |take: &str| names(eve.post(&format!("/handles/query{take}"), &people("people")).await);
    assert_eq!(ask("").await, newest);
    assert_eq!(ask("?take=100").await, newest);
    assert_eq!(ask("?take=3").await, newest[..3]);
    assert_eq!(ask("?take=0").await, NONE);
    assert_eq!(query(&eve, &people("people")).await, Vec::<Value>::new(), "H-21: nobody plays there");
    // One owner after another, there are a hundred at most as well.
    let xuids: Vec<u64> = (1001..=1100).collect();
    let elsewhere = "insert into handles (id, sid, scid, owner, created_at, expires_at, type, template, name)
         select md5('m' || n)::uuid, md5('t' || n)::uuid, '4fc10100-5f7a-4470-899b-280835760c07', n, '2031-04-05', '2031-04-06', 0,
            'MinecraftLobby', 'm' || n
         from generate_series(1001, 1100) n";
    sql(&world, elsewhere).await;
    let mut anywhere = asking(&xuids);
    anywhere.as_object_mut().expect("an object").remove("scid");
    let found = names(eve.post("/handles/query", &anywhere).await);
    assert_eq!((found.len(), found[0].as_str(), found[1].as_str(), found[99].as_str()), (100, "s1001", "m1001", "m1050"));
    sql(&world, "delete from handles").await;
    world.end().await;
}

#[tokio::test]
async fn h57_h59_what_is_hidden_takes_no_place() {
    let world = World::new().await;
    let hidden = creating(&json!({"visibility": "private"}), &json!({}));
    for xuid in 1..=80 {
        let (actor, name) = (world.user(xuid), format!("s{xuid}"));
        let body = if xuid % 20 == 0 { active() } else { hidden.clone() };
        actor.put(&open(&name), &body).await.expect(201);
        actor.post("/handles", &pointing(&name)).await.expect(201);
    }
    // What is due is evaluated first, and what ends by that takes no place either.
    world.user(40).put(&open("s40"), &reserving(&[90])).await.expect(200);
    world.pass(30_000);
    let xuids: Vec<u64> = (1..=80).collect();
    let eve = world.user(99);
    for include in ["", "&include=relatedInfo", "&include=customProperties", "&include=roleInfo"] {
        let ask = async |take: &str| names(eve.post(&format!("/handles/query?take={take}{include}"), &asking(&xuids)).await);
        assert_eq!(ask("100").await, ["s20", "s40", "s60", "s80"]);
        assert_eq!(ask("3").await, ["s20", "s40", "s60"]);
        assert_eq!(ask("1").await, ["s20"]);
    }
    assert_eq!(query(&eve, &asking(&[40])).await[0]["relatedInfo"]["membersCount"], 1, "M-24");
    world.end().await;
}

#[tokio::test]
async fn h57_what_strangers_are_shown() {
    let world = World::new().await;
    let (bo, eve) = (world.user(2), world.user(9));
    let mut bodies = Vec::new();
    for (visibility, system) in [
        ("private", json!({})),
        ("visible", json!({"closed": true})),
        ("open", json!({"joinRestriction": "local", "readRestriction": "local"})),
        ("open", json!({"joinRestriction": "followed", "readRestriction": "followed"})),
    ] {
        let mut body = creating(&json!({"visibility": visibility, "maxMembersCount": 2}), &system);
        body["properties"]["custom"] = json!({"map": "harbor"});
        bodies.push(body);
    }
    for (n, body) in bodies.iter().enumerate() {
        let owner = world.user(n as u64 + 11);
        let name = format!("s{n}");
        owner.put(&open(&name), body).await.expect(201);
        owner.put(&open(&name), &reserving(&[2])).await.expect(200);
        owner.post("/handles", &pointing(&name)).await.expect(201);
    }
    let shown = async |actor: &Actor| -> Vec<(String, String, Value)> {
        let items = query(actor, &asking(&[11, 12, 13, 14])).await;
        assert!(items.iter().all(|item| item["relatedInfo"]["membersCount"] == 2), "{items:?}");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let one = |item: &Value| {
            let visibility = text(&item["relatedInfo"]["visibility"]);
            (text(&item["sessionRef"]["name"]), visibility, item["customProperties"].clone())
        };
        items.iter().map(one).collect()
    };
    let (map, nothing) = (json!({"map": "harbor"}), json!({}));
    let row = |n: usize, visibility: &str, custom: &Value| (format!("s{n}"), visibility.to_owned(), custom.clone());
    let strange = [row(1, "visible", &map), row(2, "full", &nothing), row(3, "full", &nothing)];
    assert_eq!(shown(&eve).await, strange, "the private one is hidden, unreadable custom properties are {{}}");
    let all = [row(0, "private", &map), row(1, "visible", &map), row(2, "full", &map), row(3, "full", &map)];
    assert_eq!(shown(&bo).await, all, "reserved members see it all");
    assert_eq!(shown(&world.server()).await, all);
    world.follows(14, 9).await;
    assert_eq!(shown(&eve).await[2], row(3, "full", &map), "A-23");
    world.end().await;
}

/// Only roles take a whole session to tell. What else is told is read from columns and parts of the document, and is the same to the byte,
/// whatever stands beside it in the document, for every reader.
#[tokio::test]
async fn h57_h70_h72_a_part_of_a_session_tells_what_all_of_it_does() {
    let world = World::new().await;
    let told = json!({
        "keywords": ["e\"u", "café"], "description": {"text": "come \\ in", "locale": "en"}, "scheduledTime": "2031-05-01T10:00:00Z",
        "searchHandleVisibility": "xboxlive", "closed": true, "joinRestriction": "local", "readRestriction": "local",
    });
    let broadcast = json!({"visibility": "private", "maxMembersCount": 500, "capabilities": {"large": true, "broadcast": true}, "broadcastViewerTitleIds": [77]});
    let sessions = [
        (json!({}), json!({})),
        (json!({"maxMembersCount": 1, "inviteProtocol": "game"}), json!({"keywords": []})),
        (json!({"capabilities": {"hasOwners": true, "searchable": true}}), told),
        (json!({"maxMembersCount": 200, "capabilities": {"hasOwners": true, "large": true}}), json!({"keywords": ["eu"]})),
        (json!({"visibility": "private"}), json!({})),
        (json!({"visibility": "visible"}), json!({"joinRestriction": "followed", "readRestriction": "followed"})),
        (broadcast, json!({})),
    ];
    let xuids: Vec<u64> = (1..=sessions.len() as u64).collect();
    for (xuid, (constants, properties)) in xuids.iter().zip(&sessions) {
        let (mut body, name) = (creating(constants, properties), xuid.to_string());
        let trap = json!({"properties": {"system": {"keywords": ["trap"]}, "custom": 1}, "system": {"owners": [7]}});
        body["constants"]["custom"] = trap.clone();
        body["properties"]["custom"] = json!({"lone": "LONE", "number": "NUMBER", "system": trap});
        body["roleTypes"] = json!({"class": {"roles": {"healer": {"max": 3}}}});
        // What a general reader of JSON loses is kept as well (W-16, S-96).
        let text = body.to_string().replace("LONE", r"\ud800").replace(r#""NUMBER""#, "1.10");
        let owner = world.user(*xuid);
        owner.send(Method::PUT, &open(&name), &[], Some(text)).await.expect(201);
        owner.post("/handles", &pointing(&name)).await.expect(201);
    }
    world.follows(6, 21).await;
    let viewer = world.actor(Principal::User(User { title_id: Some(TitleId(77)), ..player(23) }));
    let readers = [world.user(1), world.user(3), world.user(4), world.user(21), world.user(22), viewer, world.server()];
    for (n, reader) in readers.iter().enumerate() {
        for xuid in &xuids {
            let ask = async |include: &str| {
                reader.post(&format!("/handles/query?include={include}"), &asking(&[*xuid])).await.expect(200).text
            };
            let related = ask("relatedInfo").await;
            let (both, all) = (ask("relatedInfo,customProperties").await, ask("relatedInfo,customProperties,roleInfo").await);
            let Some(related) = related.strip_suffix("}]}") else {
                assert_eq!([&*related, &*both, &*all], [r#"{"results":[]}"#; 3]);
                continue;
            };
            assert!(related.contains(r#""membersCount":1,"#) && all.starts_with(related), "{n} {xuid}\n{related}\n{all}");
            let custom = |text: &str| text.rsplit_once(r#","customProperties":"#).map(|(_, custom)| custom.to_owned());
            assert!(both.starts_with(related), "{n} {xuid}\n{related}\n{both}");
            assert_eq!(custom(&both), custom(&all), "{n} {xuid}");
            assert_eq!(
                both.contains(r#"{"lone":"\ud800","number":1.10,"#),
                all.contains("roleInfo"),
                "{n} {xuid}\n{both}\n{all}"
            );
            assert!(!related.contains("trap"), "{related}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn h57_m24_a_query_evaluates_what_is_due() {
    let world = World::new().await;
    let (ada, _) = playing(&world, 1, "foo").await;
    let hidden = creating(&json!({"visibility": "private"}), &json!({}));
    let cy = world.user(3);
    cy.put(&open("bar"), &hidden).await.expect(201);
    cy.put(&open("bar"), &reserving(&[2])).await.expect(200);
    cy.post("/handles", &pointing("bar")).await.expect(201);
    ada.put(&open("foo"), &reserving(&[2])).await.expect(200);
    let bo = world.user(2);
    let counts = async |actor: &Actor| -> Vec<Value> {
        let items = query(actor, &asking(&[1, 3])).await;
        items.iter().map(|item| item["relatedInfo"]["membersCount"].clone()).collect()
    };
    assert_eq!(counts(&bo).await, [2, 2]);
    world.pass(30_000);
    assert_eq!(counts(&bo).await, [1], "the reservation is over in both, and the private one hidden from its former holder");
    assert_eq!(ada.get(&open("foo")).await.json()["changeNumber"], 3);
    world.end().await;
}

#[tokio::test]
async fn h58_one_unreadable_session_does_not_fail_a_result() {
    let world = World::new().await;
    let (ada, _) = playing(&world, 1, "bad").await;
    playing(&world, 2, "good").await;
    ada.put(&open("bad"), &reserving(&[5])).await.expect(200);
    let body = sql(&world, "select body from sessions where name = 'bad'").await.expect("the session is stored");
    sql(&world, "update sessions set body = 'garbage', revision = revision + 1 where name = 'bad'").await;
    for (passed, moment) in [(0, "not due"), (30_000, "due")] {
        world.pass(passed);
        for include in ["relatedInfo", "customProperties", "roleInfo"] {
            let found = world.user(9).post(&format!("/handles/query?include={include}"), &asking(&[1, 2])).await;
            assert_eq!(names(found), ["good"], "{moment} {include}");
        }
    }
    sql(&world, &format!("update sessions set body = $garbage${body}$garbage$ where name = 'bad'")).await;
    assert_eq!(query(&world.user(9), &asking(&[1, 2])).await.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn a40_everybody_may_count_as_follower_of_owners() {
    let mut choices = Choices::default();
    choices.options.everybody_follows = true;
    let world = World::with(choices).await;
    let ada = world.user(1);
    let mut body = creating(&json!({}), &json!({"joinRestriction": "followed", "readRestriction": "followed"}));
    body["properties"]["custom"] = json!({"map": "harbor"});
    ada.put(&open("foo"), &body).await.expect(201);
    ada.post("/handles", &pointing("foo")).await.expect(201);
    assert_eq!(query(&world.user(9), &asking(&[1])).await[0]["customProperties"], json!({"map": "harbor"}));
    assert_eq!(names(world.user(9).get(&sessions("xuid=1")).await), ["foo"]);

    // Nobody follows anybody where nobody is accepted (A-23).
    let cy = world.user(3);
    cy.post("/handles", &pointing("waiting")).await.expect(201);
    body["members"] = reserving(&[3])["members"].clone();
    world.server().put(&open("waiting"), &body).await.expect(201);
    let shown = async |actor: &Actor| {
        let answer = actor.post("/handles/query?include=customProperties", &asking(&[3])).await;
        results(answer)[0]["customProperties"].clone()
    };
    world.user(9).get(&open("waiting")).await.expect(403);
    assert_eq!(shown(&world.user(9)).await, json!({}));
    assert_eq!(shown(&cy).await, json!({"map": "harbor"}));
    world.end().await;
}

#[tokio::test]
async fn a40_h53_everybody_is_among_ones_people() {
    let mut choices = Choices::default();
    choices.options.everybody_follows = true;
    let world = World::with(choices).await;
    for xuid in [1, 3, 9, 2] {
        playing(&world, xuid, &format!("s{xuid}")).await;
        world.pass(1);
    }
    let hidden = creating(&json!({"visibility": "private"}), &json!({}));
    world.user(4).put(&open("s4"), &hidden).await.expect(201);
    world.user(4).post("/handles", &pointing("s4")).await.expect(201);
    let eve = world.user(9);
    let ask = async |moniker: &str| names(eve.post("/handles/query", &people(moniker)).await);
    assert_eq!(ask("people").await, ["s2", "s3", "s1"], "H-59: newest first; oneself is not among them");
    assert_eq!(ask("Friends").await, ["s2", "s3", "s1"]);
    assert_eq!(names(eve.post("/handles/query?take=1", &people("people")).await), ["s2"]);
    assert_eq!(ask("favorites").await, NONE, "favourites stay what is marked");
    world.store.put_follow(9, 1, true).await.expect("the edge is stored");
    assert_eq!(ask("favorites").await, ["s1"]);

    let elsewhere = json!({"scid": "4fc10100-5f7a-4470-899b-280835760c07", "templateName": "MinecraftLobby", "name": "m3"});
    world.pass(1);
    world.user(3).post("/handles", &json!({"type": "activity", "sessionRef": elsewhere})).await.expect(201);
    assert_eq!(ask("people").await, ["s2", "s3", "s1"], "only in the service config that was asked for");
    let anywhere = json!({"type": "activity", "owners": {"people": {"moniker": "people"}}});
    assert_eq!(names(eve.post("/handles/query", &anywhere).await), ["m3", "s2", "s3", "s1"]);
    let of =
        |xuid: &str| json!({"type": "activity", "scid": SCID, "owners": {"people": {"moniker": "people", "monikerXuid": xuid}}});
    eve.post("/handles/query", &of("1")).await.expect(403);
    assert_eq!(names(world.server().post("/handles/query", &of("1")).await), ["s4", "s2", "s9", "s3"], "H-55");
    world.end().await;
}

#[tokio::test]
async fn h21_m24_an_unbound_activity_is_shown_before_and_after_an_evaluation() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.post("/handles", &pointing("foo")).await.expect(201);
    bo.put(&open("foo"), &active()).await.expect(201);
    bo.put(&open("foo"), &reserving(&[1])).await.expect(200);
    for passed in [0, 30_000, 1] {
        world.pass(passed);
        assert_eq!(names(bo.post("/handles/query", &asking(&[1])).await), ["foo"]);
        assert_eq!(query(&bo, &asking(&[1])).await, Vec::<Value>::new());
    }
    world.end().await;
}

#[tokio::test]
async fn h19_game_types_are_shown_where_they_are_configured() {
    let world = World::new().await;
    let (ada, id) = playing(&world, 1, "foo").await;
    let read = async || ada.get(&format!("/handles/{id}")).await.expect(200).json();
    assert_eq!(read().await.get("gameTypes"), None);
    let open = r#"{"constants":{"system":{"maxMembersCount":8}}}"#;
    let about = "[game_types.uwp]\ntitle_id = 7\npfn = \"Maker.Game\"\nbound_pfns = [\"Maker.Beta\"]";
    publish(&world, SCID, about, &[("Other", open)]).await;
    let expected = json!({"uwp": {"titleId": "7", "pfn": "Maker.Game", "boundPfns": ["Maker.Beta"]}});
    assert_eq!(read().await["gameTypes"], expected);
    assert_eq!(query(&world.user(9), &asking(&[1])).await[0]["gameTypes"], expected);
    assert_eq!(ada.post("/handles", &pointing("foo")).await.expect(201).json()["gameTypes"], expected);
    publish(&world, SCID, "", &[("Other", open)]).await;
    assert_eq!(query(&world.user(9), &asking(&[1])).await[0].get("gameTypes"), None);
    world.end().await;
}
