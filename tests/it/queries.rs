//! Session queries (Q).

use openmpsd::domain::names::{Scid, TitleId};
use openmpsd::domain::principal::{Principal, Server, User};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{Actor, Choices, SCID, World, player, session};
use crate::story::{active, create_all, creating, leaving, names, open, reserving, results, sessions, sql, tagged};

const NONE: [&str; 0] = [];

#[tokio::test]
async fn q01_one_template_or_all_of_them() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("foo"), &active()).await.expect(201);
    ada.put(&session("Card", "bar"), &active()).await.expect(201);
    assert_eq!(names(ada.get(&sessions("xuid=1")).await), ["bar", "foo"]);
    let of = |template: &str| format!("/serviceconfigs/{SCID}/sessiontemplates/{template}/sessions?xuid=1");
    assert_eq!(names(ada.get(&of("Open")).await), ["foo"]);
    let found = results(ada.get(&of("cARD")).await);
    assert_eq!(found[0]["sessionRef"], json!({"scid": SCID, "templateName": "Card", "name": "bar"}));
    assert_eq!(names(ada.get(&of("Private")).await), NONE);
    ada.get(&of("Nothing")).await.expect(404);
    ada.get("/serviceconfigs/5f0c1a52-7c1e-4b52-9d0e-00007a11b0a8/sessions?xuid=1").await.expect(404);
    ada.get("/serviceconfigs/nonsense/sessions?xuid=1").await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn q02_asking_changes_nothing_that_is_not_due() {
    let world = World::new().await;
    let ada = world.user(1);
    let made = ada.put(&open("foo"), &active()).await.expect(201);
    world.pass(86_400_000);
    assert_eq!(names(ada.get(&sessions("xuid=1")).await), ["foo"]);
    let read = ada.get(&open("foo")).await.expect(200);
    assert_eq!((read.etag(), read.text), (made.etag(), made.text));
    world.end().await;
}

#[tokio::test]
async fn q10_keywords_match_exactly_and_without_case() {
    let world = World::new().await;
    let (ada, eve) = (world.user(1), world.user(9));
    let keywords = json!({"keywords": ["EU-West", "Überraum", "two words", "百夜"]});
    ada.put(&open("foo"), &creating(&json!({}), &keywords)).await.expect(201);
    for keyword in ["EU-West", "eu-west", "%C3%9CBERRAUM", "%c3%bcberraum", "Two+Words", "two%20words", "%E7%99%BE%E5%A4%9C"] {
        assert_eq!(names(eve.get(&sessions(&format!("keyword={keyword}"))).await), ["foo"], "{keyword}");
    }
    for keyword in ["eu", "eu-wes", "eu-westl", "uberraum", "*", "%25", "eu_west"] {
        assert_eq!(names(eve.get(&sessions(&format!("keyword={keyword}"))).await), NONE, "{keyword}");
    }
    let found = results(eve.get(&sessions("KEYWORD=eu-west")).await);
    assert_eq!(found[0]["keywords"], keywords["keywords"], "the spelling is the writer's");
    ada.put(&open("foo"), &json!({"properties": {"system": {"keywords": ["us"]}}})).await.expect(200);
    assert_eq!(names(eve.get(&sessions("keyword=eu-west")).await), NONE);
    assert_eq!(names(eve.get(&sessions("keyword=US")).await), ["foo"]);
    world.end().await;
}

#[tokio::test]
async fn q10_to_q21_bad_parameters_are_400() {
    let world = World::new().await;
    let ada = world.user(1);
    let long = format!("keyword={}", "k".repeat(65));
    let bad = [
        ("keyword=", "Q-10"),
        (long.as_str(), "Q-10"),
        ("xuid=", "Q-11"),
        ("xuid=-1", "Q-11"),
        ("xuid=1.0", "Q-11"),
        ("xuid=18446744073709551616", "Q-11"),
        ("xuid=1&visibility=closed", "Q-15"),
        ("xuid=1&visibility=private", "Q-15"),
        ("xuid=1&version=0", "Q-16"),
        ("xuid=1&version=8", "Q-16"),
        ("xuid=1&version=one", "Q-16"),
        ("xuid=1&take=-1", "Q-17"),
        ("xuid=1&take=101", "Q-17"),
        ("xuid=1&take=", "Q-17"),
        ("", "Q-18"),
        ("take=5&version=1", "Q-18"),
        ("xuid=1&private=1", "Q-19"),
        ("xuid=1&inactive=yes", "Q-19"),
        ("xuid=1&reservations=", "Q-19"),
        ("keyword=eu&reservations=true", "Q-21"),
        ("keyword=eu&inactive=true", "Q-21"),
        ("xuid=1&xuid=1", "given twice"),
        ("xuid=1&take=1&TAKE=1", "given twice"),
    ];
    for (query, rule) in bad {
        let answer = ada.get(&sessions(query)).await;
        assert_eq!(answer.status, 400, "{rule} {query}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{rule}");
    }
    let good = [
        "xuid=18446744073709551615",
        "XUID=1&Take=100&Version=7&VISIBILITY=Open",
        "xuid=1&private=TRUE&visibility=PRIVATE",
        "xuid=1&reservations=False&inactive=false&private=false",
        "xuid=2&reservations=false&private=false",
        "xuid=1&unknown=1&unknown=2",
        "xuid=1&take=0",
    ];
    for query in good {
        let answer = ada.get(&sessions(query)).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"results":[]}"#), "Q-48 {query}");
    }
    let old = ada.send(Method::GET, &sessions("xuid=1&version=6"), &[("X-Xbl-Contract-Version", "105")], None).await;
    assert_eq!(old.status, 400, "Q-16: up to the minor version asked with");
    world.end().await;
}

#[tokio::test]
async fn q16_version_bounds_from_above() {
    let world = World::new().await;
    let ada = world.user(1);
    for version in [1, 2, 3] {
        let body = creating(&json!({"version": version}), &json!({}));
        ada.put(&open(&format!("v{version}")), &body).await.expect(201);
    }
    assert_eq!(names(ada.get(&sessions("xuid=1&version=2")).await), ["v1", "v2"]);
    assert_eq!(names(ada.get(&sessions("xuid=1&version=7")).await), ["v1", "v2", "v3"]);
    assert_eq!(names(ada.get(&sessions("xuid=1")).await), ["v1", "v2", "v3"]);
    world.end().await;
}

#[tokio::test]
async fn q17_q35_newest_first_then_by_name_and_take_cuts_after_that() {
    let world = World::new().await;
    let ada = world.user(1);
    for name in ["c", "a", "b"] {
        ada.put(&open(name), &tagged("eu")).await.expect(201);
    }
    world.pass(1);
    for name in ["z", "y"] {
        ada.put(&open(name), &tagged("eu")).await.expect(201);
    }
    for by in ["xuid=1", "keyword=eu", "xuid=1&keyword=eu"] {
        let ask = async |take: &str| names(ada.get(&sessions(&format!("{by}{take}"))).await);
        assert_eq!(ask("").await, ["y", "z", "a", "b", "c"]);
        assert_eq!(ask("&take=3").await, ["y", "z", "a"]);
        assert_eq!(ask("&take=0").await, NONE);
    }
    // A session that begins anew is new.
    world.pass(1);
    ada.put(&open("c"), &leaving()).await.expect(204);
    ada.put(&open("c"), &tagged("eu")).await.expect(201);
    assert_eq!(names(ada.get(&sessions("keyword=eu")).await), ["c", "y", "z", "a", "b"]);
    world.end().await;
}

#[rstest]
#[case("xuid=1&private=true", 200, 403, 200)]
#[case("xuid=1&reservations=true", 200, 403, 200)]
#[case("keyword=eu&private=true", 403, 403, 200)]
#[case("xuid=1&keyword=eu&private=true", 200, 403, 200)]
#[case("xuid=1&inactive=true", 200, 200, 200)]
#[case("xuid=1&private=true&take=0", 200, 403, 200)]
#[tokio::test]
async fn q20_private_and_reservations_of_others_are_403(
    #[case] query: &str,
    #[case] own: u16,
    #[case] stranger: u16,
    #[case] server: u16,
) {
    let world = World::new().await;
    let (ada, eve) = (world.user(1), world.user(9));
    let elsewhere = Scid::parse("4fc10100-5f7a-4470-899b-280835760c07").expect("the scid is a GUID");
    let foreign = world.actor(Principal::Server(Server { name: "minecraft".into(), scids: vec![elsewhere] }));
    for exists in [false, true] {
        if exists {
            let body = creating(&json!({"visibility": "private"}), &json!({}));
            ada.put(&open("foo"), &body).await.expect(201);
        }
        let path = sessions(query);
        ada.get(&path).await.expect(own);
        let answer = eve.get(&path).await.expect(stranger);
        assert!(!answer.text.contains("foo"));
        world.server().get(&path).await.expect(server);
        foreign.get(&path).await.expect(403);
    }
    world.end().await;
}

#[tokio::test]
async fn q22_checks_come_in_their_order() {
    let world = World::new().await;
    let eve = world.user(9);
    let missing = "/serviceconfigs/5f0c1a52-7c1e-4b52-9d0e-00007a11b0a8/sessions?take=x";
    let old = [("X-Xbl-Contract-Version", "103")];
    world.nobody().send(Method::GET, missing, &old, None).await.expect(401);
    eve.send(Method::GET, missing, &old, None).await.expect(406);
    eve.get(missing).await.expect(404);
    let unknown = format!("/serviceconfigs/{SCID}/sessiontemplates/Nothing/sessions?take=x");
    eve.get(&unknown).await.expect(404);
    eve.get(&sessions("private=true&take=x")).await.expect(400);
    eve.get(&sessions("private=true")).await.expect(400);
    eve.get(&sessions("keyword=eu&inactive=true&private=true")).await.expect(400);
    eve.get(&sessions("xuid=1&private=true")).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn q30_membership_decides_what_is_found_by_xuid() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let waiting = json!({"inactiveRemovalTimeout": 7_200_000});
    for (name, state) in [("inactive", json!({})), ("ready", json!({"ready": true})), ("active", json!({"active": true}))] {
        ada.put(&open(name), &creating(&waiting, &json!({}))).await.expect(201);
        bo.put(&open(name), &json!({"members": {"me": {"properties": {"system": state}}}})).await.expect(200);
    }
    ada.put(&open("reserved"), &creating(&waiting, &json!({}))).await.expect(201);
    ada.put(&open("reserved"), &reserving(&[2])).await.expect(200);
    ada.put(&open("without"), &active()).await.expect(201);

    let found = async |actor: &Actor, flags: &str| -> Vec<(String, String)> {
        let items = results(actor.get(&sessions(&format!("xuid=2{flags}"))).await);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        items.iter().map(|item| (text(&item["sessionRef"]["name"]), text(&item["status"]))).collect()
    };
    let of = |items: &[(&str, &str)]| items.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
    let idle = [("active", "active"), ("inactive", "inactive"), ("ready", "inactive")];
    assert_eq!(found(&bo, "").await, of(&[("active", "active")]));
    assert_eq!(found(&bo, "&inactive=true").await, of(&idle), "Q-13: ready counts as inactive");
    assert_eq!(found(&ada, "&inactive=true").await, of(&idle), "Q-20: anybody may ask that");
    assert_eq!(found(&bo, "&reservations=true").await, of(&[("active", "active"), ("reserved", "reserved")]));
    let all = [&idle[..], &[("reserved", "reserved")]].concat();
    assert_eq!(found(&bo, "&reservations=true&inactive=true").await, of(&all));
    assert_eq!(found(&world.server(), "&reservations=true&inactive=true").await, of(&all));
    world.end().await;
}

#[tokio::test]
async fn q31_q32_q33_keywords_xuids_and_private_sessions() {
    let world = World::new().await;
    let (ada, bo, eve) = (world.user(1), world.user(2), world.user(9));
    ada.put(&open("a-eu"), &tagged("eu")).await.expect(201);
    ada.put(&open("a-us"), &tagged("us")).await.expect(201);
    bo.put(&open("b-eu"), &tagged("eu")).await.expect(201);
    let hidden = creating(&json!({"visibility": "private"}), &json!({}));
    ada.put(&open("a-private"), &hidden).await.expect(201);
    ada.put(&open("a-private"), &json!({"properties": {"system": {"keywords": ["eu"]}}})).await.expect(400);

    assert_eq!(names(eve.get(&sessions("keyword=eu")).await), ["a-eu", "b-eu"], "Q-31");
    assert_eq!(names(eve.get(&sessions("keyword=eu&xuid=1")).await), ["a-eu"], "Q-32");
    assert_eq!(names(ada.get(&sessions("xuid=1")).await), ["a-eu", "a-us"], "Q-33: not even one's own");
    assert_eq!(names(ada.get(&sessions("xuid=1&private=true")).await), ["a-eu", "a-private", "a-us"], "Q-33: beside the others");
    assert_eq!(names(ada.get(&sessions("xuid=1&private=true&visibility=private")).await), ["a-private"], "Q-15");
    assert_eq!(names(ada.get(&sessions("xuid=1&private=true&keyword=eu")).await), ["a-eu"]);
    let server = world.server();
    assert_eq!(names(server.get(&sessions("keyword=eu&private=true")).await), ["a-eu", "b-eu"]);
    assert_eq!(names(server.get(&sessions("xuid=1&private=true")).await), ["a-eu", "a-private", "a-us"]);
    let bystander = results(server.get(&sessions("xuid=1&private=true&visibility=private")).await);
    assert_eq!(bystander[0]["visibility"], "private");
    assert_eq!(bystander[0].get("joinRestriction"), None, "Q-46");
    world.end().await;
}

#[tokio::test]
async fn q34_what_the_caller_could_not_read_is_left_out() {
    let world = World::new().await;
    let (ada, eve) = (world.user(1), world.user(9));
    let beside = world.actor(Principal::User(User { device_id: Some("device-1".into()), ..player(8) }));
    let restricted = |join: &str, read: &str| {
        creating(&json!({}), &json!({"joinRestriction": join, "readRestriction": read, "keywords": ["eu"]}))
    };
    ada.put(&open("local"), &restricted("local", "local")).await.expect(201);
    ada.put(&open("followed"), &restricted("followed", "followed")).await.expect(201);
    ada.put(&open("readable"), &restricted("local", "none")).await.expect(201);
    let visible = creating(&json!({"visibility": "visible"}), &json!({"keywords": ["eu"], "closed": true}));
    ada.put(&open("visible"), &visible).await.expect(201);

    for by in ["keyword=eu", "xuid=1"] {
        let path = sessions(by);
        assert_eq!(names(eve.get(&path).await), ["readable", "visible"], "closed and visible do not matter");
        assert_eq!(names(ada.get(&path).await), ["followed", "local", "readable", "visible"], "one's own are never left out");
        assert_eq!(names(beside.get(&path).await), ["followed", "local", "readable", "visible"], "A-22");
        assert_eq!(names(world.server().get(&path).await), ["followed", "local", "readable", "visible"], "A-04");
    }
    world.follows(9, 1).await;
    assert_eq!(names(eve.get(&sessions("xuid=1")).await), ["readable", "visible"], "A-24: the other direction");
    world.follows(1, 9).await;
    assert_eq!(names(eve.get(&sessions("xuid=1")).await), ["followed", "readable", "visible"], "A-23");
    // A reservation makes a member of the caller (A-26).
    ada.put(&open("local"), &reserving(&[9])).await.expect(200);
    assert_eq!(names(eve.get(&sessions("xuid=1")).await), ["followed", "local", "readable", "visible"]);
    world.end().await;
}

#[tokio::test]
async fn a40_everybody_may_count_as_follower() {
    let mut choices = Choices::default();
    choices.options.everybody_follows = true;
    let world = World::with(choices).await;
    let (ada, eve) = (world.user(1), world.user(9));
    for restriction in ["local", "followed"] {
        let properties = json!({"joinRestriction": restriction, "readRestriction": restriction, "keywords": ["eu"]});
        ada.put(&open(restriction), &creating(&json!({}), &properties)).await.expect(201);
    }
    assert_eq!(names(eve.get(&sessions("keyword=eu")).await), ["followed"]);
    eve.get(&open("local")).await.expect(403);
    eve.put(&open("local"), &active()).await.expect(403);
    eve.get(&open("followed")).await.expect(200);
    eve.put(&open("followed"), &active()).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn q36_q42_visibility_as_it_is_reported() {
    let world = World::new().await;
    let (ada, eve) = (world.user(1), world.user(9));
    for (visibility, most) in [("open", 2), ("visible", 2), ("visible", 1), ("private", 1)] {
        let body = creating(&json!({"visibility": visibility, "maxMembersCount": most}), &json!({}));
        ada.put(&open(&format!("{visibility}-{most}")), &body).await.expect(201);
    }
    let body = creating(&json!({"maxMembersCount": 2}), &json!({}));
    ada.put(&open("taken-2"), &body).await.expect(201);
    ada.put(&open("taken-2"), &reserving(&[2])).await.expect(200);

    let ask = async |actor: &Actor, filter: &str| names(actor.get(&sessions(&format!("xuid=1{filter}"))).await);
    assert_eq!(ask(&eve, "&visibility=open").await, ["open-2"], "Q-36");
    assert_eq!(ask(&eve, "&visibility=full").await, ["taken-2"], "reservations count");
    assert_eq!(ask(&eve, "&visibility=Visible").await, ["visible-1", "visible-2"], "visible stays visible when it is full");
    assert_eq!(ask(&ada, "&private=true&visibility=private").await, ["private-1"]);
    let found = results(eve.get(&sessions("xuid=1")).await);
    let reported: Vec<_> = found.iter().map(|item| item["visibility"].as_str().expect("a text")).collect();
    assert_eq!(reported, ["open", "full", "visible", "visible"]);
    world.end().await;
}

#[tokio::test]
async fn q41_to_q47_what_a_result_tells() {
    let world = World::new().await;
    let (ada, bo, eve) = (world.user(1), world.user(2), world.user(9));
    let properties = json!({"joinRestriction": "local", "readRestriction": "none", "keywords": ["EU", "ranked"], "turn": [0]});
    ada.put(&open("Foo"), &creating(&json!({"maxMembersCount": 3}), &properties)).await.expect(201);
    world.pass(7);
    let mut guests = reserving(&[2, 3]);
    guests["members"]["me"] = json!({});
    ada.put(&open("foo"), &guests).await.expect(200);
    bo.put(&open("FOO"), &active()).await.expect(200);
    let common = json!({
        "startTime": "2031-04-05T18:00:00.1230000Z",
        "sessionRef": {"scid": SCID, "templateName": "Open", "name": "Foo"},
        "accepted": 2,
        "visibility": "full",
        "joinRestriction": "local",
        "keywords": ["EU", "ranked"],
    });
    let with = |more: Value| {
        let mut all = common.clone();
        all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        vec![all]
    };
    let ask = async |query: &str| results(eve.get(&sessions(query)).await);
    assert_eq!(ask("keyword=eu").await, with(json!({})), "Q-43, Q-44, Q-45");
    assert_eq!(ask("xuid=1").await, with(json!({"xuid": "1", "status": "active", "myTurn": true})));
    assert_eq!(ask("xuid=2&keyword=eu").await, with(json!({"xuid": "2", "status": "active"})), "Q-45: only when true");
    let own = results(world.user(3).get(&sessions("xuid=3&reservations=true")).await);
    assert_eq!(own, with(json!({"xuid": "3", "status": "reserved"})));

    // Neither keywords nor a restriction: neither field (Q-46, Q-47).
    ada.put(&open("bar"), &active()).await.expect(201);
    ada.put(&open("baz"), &creating(&json!({"visibility": "visible"}), &properties)).await.expect(201);
    let found = ask("xuid=1&take=2").await;
    let bare = json!({
        "xuid": "1",
        "startTime": "2031-04-05T18:00:00.1300000Z",
        "sessionRef": {"scid": SCID, "templateName": "Open", "name": "bar"},
        "accepted": 1,
        "status": "active",
        "visibility": "open",
    });
    assert_eq!(found[0], bare);
    assert_eq!((&found[1]["visibility"], found[1].get("joinRestriction")), (&json!("visible"), None), "Q-46");
    world.end().await;
}

#[tokio::test]
async fn q35_more_candidates_than_a_page() {
    let world = World::new().await;
    let (ada, eve) = (world.user(1), world.user(9));
    let properties = json!({"keywords": ["eu"], "joinRestriction": "local", "readRestriction": "local"});
    let few: Vec<String> = (0..3).map(|n| open(&format!("old-{n}"))).collect();
    create_all(&ada, &few, &tagged("eu")).await;
    world.pass(1);
    let restricted = creating(&json!({}), &properties);
    let many: Vec<String> = (0..210).map(|n| open(&format!("m-{n:03}"))).collect();
    // Two instants, so that pages end within one instant and between two.
    create_all(&ada, &many[..110], &restricted).await;
    world.pass(1);
    create_all(&ada, &many[110..], &restricted).await;
    for by in ["keyword=eu", "xuid=1", "xuid=1&keyword=EU"] {
        assert_eq!(names(eve.get(&sessions(by)).await), ["old-0", "old-1", "old-2"]);
        assert_eq!(names(eve.get(&sessions(&format!("{by}&take=2"))).await), ["old-0", "old-1"]);
        let all = names(ada.get(&sessions(by)).await);
        let expected: Vec<String> = (110..210).map(|n| format!("m-{n:03}")).collect();
        assert_eq!(all, expected);
    }
    world.end().await;
}

#[tokio::test]
async fn m24_a_query_sees_nothing_that_is_over() {
    let world = World::new().await;
    let (ada, bo, cy) = (world.user(1), world.user(2), world.user(3));
    ada.put(&open("foo"), &creating(&json!({"maxMembersCount": 2}), &json!({"keywords": ["eu"]}))).await.expect(201);
    ada.put(&open("foo"), &reserving(&[2])).await.expect(200);
    world.server().put(&open("gone"), &reserving(&[2])).await.expect(201);
    let body = creating(&json!({"inactiveRemovalTimeout": 60_000}), &json!({}));
    ada.put(&open("lazy"), &body).await.expect(201);
    cy.put(&open("lazy"), &json!({"members": {"me": {"properties": {"system": {"ready": true}}}}})).await.expect(200);

    let reserved = sessions("xuid=2&reservations=true");
    assert_eq!(names(bo.get(&reserved).await), ["foo", "gone"]);
    assert_eq!(names(ada.get(&sessions("xuid=1&visibility=full")).await), ["foo"]);
    world.pass(30_000);
    assert_eq!(names(bo.get(&reserved).await), NONE, "reservations that ran out are no reservations");
    assert_eq!(names(ada.get(&sessions("xuid=1&visibility=open")).await), ["foo", "lazy"], "the slot is free again");
    assert_eq!(ada.get(&open("foo")).await.expect(200).json()["changeNumber"], 3, "Q-02: settled once");
    ada.get(&open("gone")).await.expect(204);

    world.pass(150_000);
    let found = results(cy.get(&sessions("xuid=3&inactive=true")).await);
    assert_eq!((found.len(), &found[0]["status"]), (1, &json!("inactive")), "the ready member is inactive now");
    assert_eq!(ada.get(&open("lazy")).await.json()["changeNumber"], 3);
    world.pass(60_000);
    assert_eq!(names(cy.get(&sessions("xuid=3&inactive=true")).await), NONE);
    world.end().await;
}

#[tokio::test]
async fn m24_a_page_is_filled_again_when_sessions_on_it_end() {
    let world = World::new().await;
    let (ada, server) = (world.user(1), world.server());
    let few: Vec<String> = (0..3).map(|n| open(&format!("old-{n}"))).collect();
    create_all(&ada, &few, &tagged("eu")).await;
    world.pass(1);
    // More than are settled in the rounds a page is read for.
    let many: Vec<String> = (0..150).map(|n| open(&format!("m-{n:03}"))).collect();
    let mut body = reserving(&[2]);
    body["properties"] = json!({"system": {"keywords": ["eu"]}});
    create_all(&server, &many, &body).await;
    assert_eq!(names(server.get(&sessions("keyword=eu&take=2")).await), ["m-000", "m-001"]);
    world.pass(30_000);
    assert_eq!(names(ada.get(&sessions("keyword=eu&take=2")).await), ["old-0", "old-1"]);
    assert_eq!(names(server.get(&sessions("keyword=eu")).await), ["old-0", "old-1", "old-2"]);
    world.end().await;
}

#[tokio::test]
async fn one_unreadable_row_does_not_fail_a_result() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    for name in ["good", "bad"] {
        ada.put(&open(name), &tagged("eu")).await.expect(201);
        ada.put(&open(name), &reserving(&[2])).await.expect(200);
    }
    let body = sql(&world, "select body from sessions where name = 'bad'").await.expect("the session is stored");
    sql(&world, "update sessions set body = 'garbage', revision = revision + 1 where name = 'bad'").await;
    for by in ["keyword=eu", "xuid=1"] {
        assert_eq!(names(bo.get(&sessions(by)).await), ["bad", "good"], "the columns are there");
    }
    world.pass(30_000);
    for by in ["keyword=eu", "xuid=1"] {
        assert_eq!(names(bo.get(&sessions(by)).await), ["good"], "what is due and cannot be settled is left out");
    }
    sql(&world, &format!("update sessions set body = $garbage${body}$garbage$ where name = 'bad'")).await;
    assert_eq!(names(bo.get(&sessions("keyword=eu")).await), ["bad", "good"]);
    world.end().await;
}

#[tokio::test]
async fn a02_a_title_asks_only_where_it_may() {
    let world = World::new().await;
    world.keeps_for_title(7).await;
    world.user(1).get(&sessions("xuid=1&take=x")).await.expect(403);
    let seven = world.actor(Principal::User(User { title_id: Some(TitleId(7)), ..player(1) }));
    seven.get(&sessions("xuid=1&take=x")).await.expect(400);
    seven.get(&sessions("xuid=1")).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn q10_s44_odd_keywords_break_nothing() {
    let world = World::new().await;
    let ada = world.user(1);
    let twice = json!({"keywords": ["eu", "EU", "Eu"]});
    ada.put(&open("twice"), &creating(&json!({}), &twice)).await.expect(201);
    assert_eq!(names(ada.get(&sessions("keyword=eu")).await), ["twice"], "once, however often it is written");
    for keyword in ["%00", "a%00b", "%FF", "%F0%9F%8E%B2", "'%22%5C;--", "%EF%BF%BF"] {
        let answer = ada.get(&sessions(&format!("keyword={keyword}"))).await;
        assert!([200, 400].contains(&answer.status), "{keyword} {answer:?}");
    }
    for (n, keyword) in ["a\u{0}b", "🎲", "' or \"\\", "\u{ffff}", "ΟΔΟΣ", "İstanbul"].into_iter().enumerate() {
        let path = open(&format!("odd-{n}"));
        let made = ada.put(&path, &tagged(keyword)).await;
        match made.status {
            201 => {
                let query: String = form_urlencoded::byte_serialize(keyword.as_bytes()).collect();
                assert_eq!(names(ada.get(&sessions(&format!("keyword={query}"))).await), [format!("odd-{n}")], "{keyword:?}");
                assert_eq!(made.json()["properties"]["system"]["keywords"], json!([keyword]));
            }
            status => assert_eq!(status, 400, "{keyword:?} {made:?}"),
        }
    }
    world.end().await;
}

#[tokio::test]
async fn s35_s96_a_zero_in_a_text_breaks_nothing() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("foo"), &creating(&json!({"inviteProtocol": "ga\u{0}me"}), &json!({}))).await.expect(400);
    let body = json!({"custom": {"zero": "a\u{0}b"}});
    let bar = json!({"properties": body, "members": active()["members"]});
    ada.put(&open("bar"), &bar).await.expect(201);
    let activity = json!({"type": "activity", "sessionRef": {"scid": SCID, "templateName": "Open", "name": "bar"}});
    let made = ada.post("/handles?include=customProperties,relatedInfo", &activity).await.expect(201);
    assert_eq!(made.json()["customProperties"], json!({"zero": "a\u{0}b"}));
    let half = r#"{"properties":{"custom":{"half":"\ud83c"}}}"#;
    ada.send(Method::PUT, &open("bar"), &[], Some(half.into())).await.expect(200);
    let text =
        ada.post("/handles/query?include=customProperties", &json!({"type": "activity", "owners": {"xuids": ["1"]}})).await;
    assert!(text.expect(200).text.contains(r#""half":"\ud83c""#));
    world.end().await;
}

#[tokio::test]
async fn q11_the_largest_xuid() {
    let world = World::new().await;
    let max = world.user(u64::MAX);
    max.put(&open("foo"), &active()).await.expect(201);
    world.follows(u64::MAX, 9).await;
    let body = json!({"properties": {"system": {"joinRestriction": "followed", "readRestriction": "followed"}}});
    max.put(&open("foo"), &body).await.expect(200);
    let found = results(world.user(9).get(&sessions(&format!("xuid={}", u64::MAX))).await);
    assert_eq!(found[0]["xuid"], u64::MAX.to_string());
    world.end().await;
}

#[tokio::test]
async fn q37_large_sessions_take_part_like_any_other() {
    let world = World::new().await;
    let large = json!({"capabilities": {"large": true}});
    world.user(1).put(&open("arena"), &creating(&large, &json!({"keywords": ["eu"]}))).await.expect(201);
    world.user(2).put(&open("arena"), &active()).await.expect(200);
    assert_eq!(names(world.user(3).get(&sessions("keyword=eu")).await), ["arena"]);
    assert_eq!(names(world.user(2).get(&sessions("xuid=2")).await), ["arena"]);
    assert_eq!(names(world.user(1).get(&sessions("xuid=2")).await), ["arena"]);
    world.user(2).put(&open("arena"), &leaving()).await.expect(200);
    assert!(names(world.user(2).get(&sessions("xuid=2")).await).is_empty());
    world.end().await;
}
