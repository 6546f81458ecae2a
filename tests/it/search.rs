//! Search handles as others find them: `POST /handles/query` with `type: search` (H-71 to H-89).

use openmpsd::domain::names::TitleId;
use openmpsd::domain::principal::{Principal, User};
use serde_json::{Value, json};

use crate::acting::{acting, denied};
use crate::handles::pointing;
use crate::harness::{Actor, Choices, SCID, World, player, publish, session};
use crate::story::{creating, leaving, open, results};

/// Everything that results may tell.
const ALL: &str = "?include=relatedInfo,roleInfo,customProperties";

/// A session of the open template that can be found by everybody, with these search attributes; its handle.
pub async fn listed(actor: &Actor, name: &str, constants: Value, attributes: Value) -> Value {
    let mut constants = constants;
    constants["capabilities"] = json!({"searchable": true});
    actor.put(&open(name), &creating(&constants, &json!({}))).await.expect(201);
    listing(actor, name, attributes).await
}

async fn listing(actor: &Actor, name: &str, attributes: Value) -> Value {
    let mut body = pointing(name);
    body["type"] = json!("search");
    body["searchAttributes"] = attributes;
    actor.post("/handles", &body).await.expect(201).json()
}

/// A query over the open template with this filter and order.
pub fn searching(filter: &str, order: &str) -> Value {
    json!({"type": "search", "scid": SCID, "templateName": "Open", "filter": filter, "orderBy": order})
}

/// The names of the sessions that a search finds, in its order.
pub async fn found(actor: &Actor, body: &Value) -> Vec<String> {
    names(&actor.post("/handles/query", body).await.expect(200).json())
}

fn names(answer: &Value) -> Vec<String> {
    let results = answer["results"].as_array().expect("results is an array").iter();
    results.map(|result| result["sessionRef"]["name"].as_str().expect("a name is text").to_owned()).collect()
}

#[tokio::test]
async fn h71_h74_h78_a_search_tells_what_the_example_tells() {
    let world = World::new().await;
    let (ada, bo) = (world.user(2_533_274_800_000_001), world.user(2_533_274_800_000_002));
    let body = json!({
        "roleTypes": {"class": {"roles": {"healer": {"max": 2, "target": 1}}}},
        "properties": {"custom": {"mode": "raid"}},
        "members": {"me": {"properties": {"system": {"active": true, "connection": "3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01"}},
                           "roles": {"class": "healer"}}},
    });
    world.connects(2_533_274_800_000_001, "3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01").await;
    ada.put(&session("Browse", "browse-77"), &body).await.expect(201);
    world.pass(600_000);
    let example = |name: &str| {
        let path = format!("{}/docs/contract/examples/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the example is there");
        serde_json::from_str::<Value>(&text).expect("it is JSON")
    };
    let made = ada.post("/handles", &example("post-search-handle.request")["body"]).await.expect(201).json();
    let asked = example("query-search-handles.request");
    let answer = bo.post(asked["path"].as_str().expect("a path"), &asked["body"]).await.expect(200).json();
    let mut expected = example("query-search-handles.response")["body"].clone();
    expected["results"][0]["id"] = made["id"].clone();
    expected["results"][0]["createTime"] = made["createTime"].clone();
    expected["results"][0]["relatedInfo"]["postedTime"] = made["createTime"].clone();
    assert_eq!(answer, expected);
    world.end().await;
}

#[tokio::test]
async fn h71_where_is_searched() {
    let world = World::new().await;
    let ada = world.user(1);
    let anywhere = json!({"type": "search", "filter": "session/membersCount ge 0"});
    assert_eq!(found(&ada, &anywhere).await, Vec::<String>::new(), "nothing is listed anywhere");
    listed(&ada, "one", json!({}), json!({"tags": ["a"]})).await;
    world.pass(1);
    let other = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a8";
    let template = r#"{"constants": {"system": {"capabilities": {"searchable": true}}}}"#;
    publish(&world, other, "titles = [\"7\"]", &[("open", template)]).await;
    // The service config of before is gone from what is published, and comes back with the shipped ones.
    openmpsd::services::import(&world.store, concat!(env!("CARGO_MANIFEST_DIR"), "/config/services").as_ref())
        .await
        .expect("the shipped service configs are valid");
    world.running.directory.refresh_catalog().await.expect("the catalog is read");
    let seven = world.actor(Principal::User(User { title_id: Some(TitleId(7)), ..player(2) }));
    let path = format!("/serviceconfigs/{other}/sessionTemplates/open/sessions/two");
    seven.put(&path, &creating(&json!({}), &json!({}))).await.expect(201);
    let mut body = pointing("two");
    body["type"] = json!("search");
    body["sessionRef"]["scid"] = json!(other);
    seven.post("/handles", &body).await.expect(201);

    let query = |scid: Value, template: Value, filter: Value| json!({"type": "search", "scid": scid, "templateName": template, "filter": filter});
    let (none, scid) = (Value::Null, json!(SCID));
    assert_eq!(found(&ada, &query(scid.clone(), json!("oPEN"), none.clone())).await, ["one"]);
    assert_eq!(found(&ada, &query(scid.clone(), none.clone(), none.clone())).await, ["one"]);
    assert_eq!(found(&ada, &query(none.clone(), json!("open"), none.clone())).await, ["one"], "A-02: not those of other titles");
    assert_eq!(found(&seven, &query(none.clone(), json!("open"), json!(" "))).await, ["one", "two"]);
    assert_eq!(found(&seven, &query(none.clone(), none.clone(), json!("session/membersCount eq 1"))).await, ["one", "two"]);
    assert_eq!(found(&ada, &query(none.clone(), json!("nothing"), none.clone())).await, Vec::<String>::new());
    assert_eq!(found(&ada, &query(scid.clone(), json!("Browse"), none.clone())).await, Vec::<String>::new());
    for (body, status) in [
        (query(none.clone(), none.clone(), none.clone()), 400),
        (query(none.clone(), none.clone(), json!("")), 400),
        (query(json!("x"), none.clone(), none.clone()), 400),
        (query(json!(1), none.clone(), none.clone()), 400),
        (query(none.clone(), json!("a b"), none.clone()), 400),
        (query(scid.clone(), none.clone(), json!(1)), 400),
        (query(json!("5f0c1a52-7c1e-4b52-9d0e-00007a11b0ff"), none.clone(), none.clone()), 404),
        (query(scid.clone(), json!("nothing"), none.clone()), 404),
        (query(json!(other), none.clone(), none.clone()), 403),
    ] {
        assert_eq!(ada.post("/handles/query", &body).await.status, status, "{body}");
    }
    world.end().await;
}

#[tokio::test]
async fn h76_orders() {
    let world = World::new().await;
    let ada = world.user(1);
    for (name, attributes) in [
        ("a", json!({"numbers": {"Level": 3}, "strings": {"map": "Harbor"}})),
        ("b", json!({"numbers": {"level": -1.5}})),
        ("c", json!({"strings": {"map": "arena"}})),
        ("d", json!({"numbers": {"LEVEL": 3}, "strings": {"Map": "harbor"}})),
    ] {
        listed(&ada, name, json!({"maxMembersCount": if name == "b" { 2 } else { 9 }}), attributes).await;
        world.pass(1);
    }
    for (order, expected) in [
        ("", "abcd"),
        ("Timestamp asc", "abcd"),
        ("timestamp DESC", "dcba"),
        ("session/postedTime desc", "dcba"),
        ("postedTime", "abcd"),
        ("suggestedLfg", "dcba"),
        ("whatever", "abcd"),
        ("numbers/level asc", "badc"),
        ("numbers/LEVEL", "badc"),
        ("numbers/level desc", "dabc"),
        ("strings/map desc", "dacb"),
        ("string/map asc", "cadb"),
        ("session/maxMembersCount", "bacd"),
        ("session/needs desc", "dcab"),
        ("session/templateName", "abcd"),
        ("session/scid desc", "dcba"),
        ("numbers/nothing desc", "dcba"),
    ] {
        let expected: Vec<String> = expected.chars().map(String::from).collect();
        assert_eq!(found(&ada, &searching("", order)).await, expected, "{order}");
        // The same page by page.
        let mut walked = Vec::new();
        let mut body = searching("", order);
        loop {
            let answer = ada.post("/handles/query?take=1", &body).await.expect(200).json();
            walked.extend(names(&answer));
            match answer.get("continuation") {
                Some(next) => body["continuation"] = next.clone(),
                None => break,
            }
        }
        assert_eq!(walked, expected, "{order}, page by page");
    }
    ada.post("/handles/query", &json!({"type": "search", "scid": SCID, "orderBy": 1})).await.expect(400);
    world.end().await;
}

#[tokio::test]
async fn h73_h77_people() {
    let world = World::new().await;
    let (ada, bo, cy) = (world.user(1), world.user(2), world.user(3));
    for (actor, name) in [(&ada, "ada"), (&bo, "bo")] {
        let constants = json!({"capabilities": {"searchable": true, "hasOwners": true}});
        actor.put(&open(name), &creating(&constants, &json!({}))).await.expect(201);
        listing(actor, name, json!({})).await;
        world.pass(1);
    }
    let with = |people: Value| json!({"type": "search", "scid": SCID, "sessionMembers": {"people": people}});
    let mine = |moniker: &str| with(json!({"moniker": moniker}));
    assert_eq!(found(&cy, &mine("people")).await, Vec::<String>::new());
    world.follows(3, 1).await;
    world.store.put_follow(3, 2, true).await.expect("the edge is stored");
    assert_eq!(found(&cy, &mine("People")).await, ["ada", "bo"]);
    assert_eq!(found(&cy, &mine("favorites")).await, ["bo"]);
    assert_eq!(found(&cy, &with(json!({"moniker": "friends", "monikerXuid": 3}))).await, ["ada", "bo"]);
    assert_eq!(found(&world.server(), &with(json!({"moniker": "people", "monikerXuid": "3"}))).await, ["ada", "bo"]);
    cy.post("/handles/query", &with(json!({"moniker": "people", "monikerXuid": "1"}))).await.expect(403);
    let of_cy = with(json!({"moniker": "people", "monikerXuid": "3"}));
    denied(&world, &[5, 6]).post("/handles/query", &of_cy).await.expect(403);
    assert_eq!(found(&acting(&world, &[5]), &of_cy).await, ["ada", "bo"], "H-55: by the rights of a server");
    assert_eq!(found(&denied(&world, &[5, 3]), &of_cy).await, ["ada", "bo"], "H-55: the own list of one of them");
    cy.post("/handles/query", &mine("foes")).await.expect(400);
    // Neither scid nor template is needed beside people.
    let only = json!({"type": "search", "sessionMembers": {"people": {"moniker": "favorites"}}});
    assert_eq!(found(&cy, &only).await, ["bo"]);
    cy.post("/handles/query", &json!({"type": "search", "scid": SCID, "sessionMembers": 1})).await.expect(400);

    let owned = |owners: Value| json!({"type": "search", "scid": SCID, "sessionOwners": owners});
    assert_eq!(found(&cy, &owned(json!("1"))).await, ["ada"]);
    assert_eq!(found(&cy, &owned(json!(["1", 2, "9"]))).await, ["ada", "bo"]);
    cy.post("/handles/query", &owned(json!(["x"]))).await.expect(400);

    world.store.put_block(1, 3).await.expect("the edge is stored");
    let permitted =
        |required: Value| json!({"type": "search", "scid": SCID, "communicatePermissionRequired": required, "global": true});
    assert_eq!(found(&cy, &permitted(json!(true))).await, ["bo"]);
    assert_eq!(found(&bo, &permitted(json!(true))).await, ["ada", "bo"]);
    assert_eq!(found(&cy, &permitted(json!(false))).await, ["ada", "bo"]);
    cy.post("/handles/query", &permitted(json!("yes"))).await.expect(400);
    world.end().await;
}

#[tokio::test]
async fn h78_h79_what_is_found() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    listed(&ada, "open", json!({}), json!({})).await;
    listed(&ada, "visible", json!({"visibility": "visible"}), json!({})).await;
    listed(&ada, "private", json!({"visibility": "private"}), json!({})).await;
    listed(&ada, "full", json!({"maxMembersCount": 1}), json!({})).await;
    listed(&ada, "closed", json!({}), json!({})).await;
    ada.put(&open("closed"), &json!({"properties": {"system": {"closed": true}}})).await.expect(200);
    listed(&ada, "local", json!({}), json!({})).await;
    let restrict =
        json!({"properties": {"system": {"joinRestriction": "local", "readRestriction": "local"}, "custom": {"a": 1}}});
    ada.put(&open("local"), &restrict).await.expect(200);
    listed(&ada, "over", json!({}), json!({})).await;
    ada.put(&open("over"), &leaving()).await.expect(204);
    for who in [&ada, &bo, &world.server()] {
        let found = results(who.post(&format!("/handles/query{ALL}"), &searching("", "")).await);
        let mut names: Vec<&str> = found.iter().map(|found| found["sessionRef"]["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["closed", "full", "local", "open", "visible"], "H-79");
        let local = found.iter().find(|found| found["sessionRef"]["name"] == "local").expect("it is found");
        assert_eq!(local["customProperties"], json!({"a": 1}), "H-57: a search handle grants reading");
        assert_eq!(local["roleInfo"], json!({"roleTypes": {}}), "H-74");
    }
    // H-75: without the words nothing of it.
    let bare = results(bo.post("/handles/query", &searching("", "")).await);
    assert!(bare.iter().all(|found| found.get("relatedInfo").is_none() && found.get("customProperties").is_none()));
    world.end().await;
}

#[tokio::test]
async fn h78_at_most_a_hundred_and_then_a_continuation() {
    let world = World::new().await;
    let ada = world.user(1);
    for n in 0..103 {
        listed(&ada, &format!("s{n:03}"), json!({}), json!({"numbers": {"n": 1000 - n}})).await;
    }
    let mut body = searching("numbers/n gt 0", "numbers/n desc");
    let first = ada.post("/handles/query", &body).await.expect(200).json();
    assert_eq!(first["results"].as_array().unwrap().len(), 100);
    // What comes and goes before the next page moves nothing.
    ada.put(&open("s000"), &leaving()).await.expect(204);
    listed(&ada, "new", json!({}), json!({"numbers": {"n": 5000}})).await;
    body["continuation"] = first["continuation"].clone();
    let second = ada.post("/handles/query", &body).await.expect(200).json();
    assert_eq!(names(&second), ["s100", "s101", "s102"]);
    assert!(second.get("continuation").is_none());
    assert_eq!(ada.post("/handles/query?take=0", &searching("", "")).await.expect(200).json(), json!({"results": []}));
    ada.post("/handles/query?take=101", &searching("", "")).await.expect(400);

    // A continuation belongs to its query.
    for (name, value) in
        [("filter", json!("numbers/n gt 1")), ("orderBy", json!("numbers/n asc")), ("continuation", json!("AAAA"))]
    {
        let mut other = body.clone();
        other[name] = value;
        let answer = ada.post("/handles/query", &other).await.expect(400);
        assert!(answer.text.starts_with("continuation: "), "{}", answer.text);
    }
    world.end().await;
}

#[tokio::test]
async fn h80_h85_a_malformed_filter_names_its_position() {
    let world = World::new().await;
    let ada = world.user(1);
    for (filter, position) in [
        ("numbers/level gee 1", 15),
        ("tags/any(d:d eq 'x') or tags/any(d:d eq 'y') or tags/any(d:d eq 'z')", 46),
        ("not tags/any(d:d eq 'x')", 1),
        ("numbers/a eq", 13),
        ("session/membersCount eq 'x'", 25),
    ] {
        let answer = ada.post("/handles/query", &searching(filter, "")).await.expect(400);
        assert!(answer.text.starts_with(&format!("filter: at character {position}: ")), "{filter}: {}", answer.text);
    }
    world.end().await;
}

#[tokio::test]
async fn h80_the_extended_grammar_is_asked_for() {
    let world = World::new().await;
    let ada = world.user(1);
    listed(&ada, "a", json!({}), json!({"tags": ["Coop", "EU"], "strings": {"map": "Harbor North"}})).await;
    listed(&ada, "b", json!({}), json!({"tags": ["duel"], "strings": {"map": "Arena"}})).await;
    for (filter, expected) in [
        ("not (tags/any(t: t eq 'coop') or tags/any(t: t eq 'x'))", vec!["b"]),
        ("strings/map in ('arena', 'port')", vec!["b"]),
        ("startswith(strings/map, 'harbor')", vec!["a"]),
        ("contains(strings/map, 'north') and (numbers/x ne 1 or numbers/y eq 2)", vec!["a"]),
        ("tags/any(t: t in ('eu', 'duel'))", vec!["a", "b"]),
    ] {
        let mut body = searching(filter, "");
        ada.post("/handles/query", &body).await.expect(400);
        body["grammar"] = json!("Extended");
        assert_eq!(found(&ada, &body).await, expected, "{filter}");
    }
    let mut body = searching("", "");
    body["grammar"] = json!("sql");
    ada.post("/handles/query", &body).await.expect(400);
    world.end().await;
}

#[tokio::test]
async fn h85_an_expensive_search_names_the_limit() {
    let mut choices = Choices::default();
    choices.options.search_rows = 3;
    let world = World::with(choices).await;
    let ada = world.user(1);
    for name in ["a", "b", "c", "d"] {
        listed(&ada, name, json!({}), json!({"tags": [name]})).await;
        world.pass(1);
    }
    assert_eq!(found(&ada, &searching("strings/map eq 'x' and numbers/level ne 1", "")).await, Vec::<String>::new());
    for name in ["e", "f", "g", "h"] {
        listed(&ada, name, json!({}), json!({"tags": [name]})).await;
        world.pass(1);
    }
    let answer = ada.post("/handles/query", &searching("tags/any(d:tolower(d) ne 'a') and session/membersCount ne 1", "")).await;
    let answer = answer.expect(400);
    assert!(answer.text.starts_with("filter: more than 3 sessions would have to be looked at"), "{}", answer.text);
    assert_eq!(found(&ada, &searching("tags/any(d:d eq 'd') and numbers/level ne 1", "numbers/x")).await, ["d"]);
    // Among those that lack what they are ordered by, a page ends early and says where to go on.
    let mut walked = Vec::new();
    let mut body = searching("tags/any(d:tolower(d) ne 'a')", "numbers/x");
    for _ in 0..20 {
        let answer = ada.post("/handles/query", &body).await.expect(200).json();
        walked.extend(names(&answer));
        match answer.get("continuation") {
            Some(next) => body["continuation"] = next.clone(),
            None => break,
        }
    }
    assert_eq!(walked, ["b", "c", "d", "e", "f", "g", "h"]);
    world.end().await;
}

/// Members of a large session are hidden from each other, so nobody finds out by a search who is there: but for oneself and the owners.
#[tokio::test]
async fn m95_h77_a_search_tells_nothing_of_the_members_of_a_large_session() {
    let world = World::new().await;
    let (ada, bo, cy) = (world.user(1), world.user(2), world.user(3));
    let constants = json!({"maxMembersCount": 200, "capabilities": {"searchable": true, "large": true, "hasOwners": true}});
    ada.put(&open("big"), &creating(&constants, &json!({}))).await.expect(201);
    bo.put(&open("big"), &crate::story::active()).await.expect(200);
    listing(&ada, "big", json!({})).await;
    world.follows(3, 2).await;
    let none = Vec::<String>::new();
    let of = |xuid: u64| searching(&format!("session/memberXuids/any(m:m eq '{xuid}')"), "");
    assert_eq!(found(&cy, &of(2)).await, none);
    assert_eq!(found(&bo, &of(2)).await, ["big"], "one's own entry is known");
    let mut wide = searching("session/memberXuids/any(m: startswith(m, '2'))", "");
    wide["grammar"] = json!("extended");
    assert_eq!(found(&cy, &wide).await, none);
    assert_eq!(found(&bo, &wide).await, ["big"]);
    let people = json!({"type": "search", "scid": SCID, "sessionMembers": {"people": {"moniker": "people"}}});
    assert_eq!(found(&cy, &people).await, none);
    // The owners are told by H-70 anyway.
    assert_eq!(found(&cy, &of(1)).await, ["big"]);
    assert_eq!(found(&cy, &searching("session/memberXuids/any(m:m ne '1')", "")).await, none);
    world.follows(3, 1).await;
    assert_eq!(found(&cy, &people).await, ["big"]);
    assert_eq!(found(&cy, &searching("session/ownerXuids/any(m:m eq '1')", "")).await, ["big"], "H-70 tells the owners");
    assert_eq!(found(&cy, &searching("session/membersCount eq 2", "")).await, ["big"]);
    world.end().await;
}

/// A continuation is made by the service, and yet a value of another kind in it must not reach the database.
#[tokio::test]
async fn h78_forged_continuations_are_refused() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let world = World::new().await;
    let ada = world.user(1);
    for name in ["a", "b"] {
        listed(&ada, name, json!({}), json!({"numbers": {"level": 1}, "strings": {"map": "x"}})).await;
        world.pass(1);
    }
    let values = [
        json!(["1e308"]),
        json!(["NaN"]),
        json!(["-0"]),
        json!("x"),
        json!("\u{10ffff}"),
        json!("x".repeat(3000)),
        Value::Null,
        json!(7),
        json!([]),
        json!({}),
    ];
    for order in
        ["numbers/level", "strings/map desc", "", "session/membersCount", "session/templateName", "session/scheduledTime desc"]
    {
        let mut body = searching("", order);
        let first = ada.post("/handles/query?take=1", &body).await.expect(200).json();
        let token = first["continuation"].as_str().expect("there is another page");
        let sound: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).expect("it is base64")).expect("it is JSON");
        let changed = |at: usize, value: Value| {
            let mut parts = sound.clone();
            parts[at] = value;
            parts
        };
        let mut forged: Vec<Value> = values.iter().map(|value| changed(1, value.clone())).collect();
        forged.extend(["-62135596800000000", "9223372036854775807", "x"].map(|posted| changed(2, json!(posted))));
        forged.push(changed(3, json!("x")));
        for parts in forged {
            body["continuation"] = json!(URL_SAFE_NO_PAD.encode(parts.to_string()));
            let status = ada.post("/handles/query?take=1", &body).await.status;
            assert!(status == 200 || status == 400, "{order}: {parts} is {status}");
        }
    }
    world.end().await;
}

/// What is due is settled before it is looked at, whether or not it would have been found without.
#[tokio::test]
async fn m24_h87_sessions_are_found_by_what_they_are_by_now() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    listed(&ada, "s", json!({"reservedRemovalTimeout": 1000}), json!({})).await;
    ada.put(&open("s"), &crate::story::reserving(&[2])).await.expect(200);
    let one = searching("session/membersCount eq 1", "");
    assert_eq!(found(&bo, &one).await, Vec::<String>::new());
    assert_eq!(found(&bo, &searching("session/memberXuids/any(d:d eq '2')", "")).await, ["s"]);
    world.pass(1001);
    assert_eq!(found(&bo, &one).await, ["s"]);
    assert_eq!(found(&bo, &searching("session/memberXuids/any(d:d eq '2')", "")).await, Vec::<String>::new());
    world.end().await;
}

#[tokio::test]
async fn h84_h86_h87_h88_h89_paths_of_a_live_session() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let mut body = creating(
        &json!({"maxMembersCount": 8, "capabilities": {"searchable": true}}),
        &json!({"keywords": ["EU"],
        "scheduledTime": "2031-04-05T19:00:00Z"}),
    );
    body["roleTypes"] = json!({"class": {"roles": {"healer": {"max": 3, "target": 2}, "tank": {"max": 1}}}});
    body["members"]["me"]["roles"] = json!({"class": "healer"});
    ada.put(&open("s"), &body).await.expect(201);
    listing(&ada, "s", json!({"numbers": {"level": 12}, "strings": {"map": "Harbor"}, "locale": "en-GB"})).await;
    for (filter, is_found) in [
        ("string/map eq 'harbor' and number/level eq 12", true),
        ("strings/map eq 'Harbor'", false),
        ("language eq 'en'", true),
        ("session/roles/class/healer/count eq 1 and session/roles/Class/Healer/needs eq 1", true),
        ("session/roles/class/tank/target eq 1 and session/roles/class/tank/needs eq 1", true),
        ("session/targetMembersCount eq 2 and session/needs eq 1 and session/targetMembersCountRemaining eq 1", true),
        ("session/maxMembersCountRemaining eq 7", true),
        ("session/titleId eq 1739200451 and session/titleId eq '1739200451'", true),
        ("session/keywords/any(k: k eq 'eu') and keywords/any(k: tolower(k) eq 'eu')", true),
        ("session/scheduledTime ge '2031-04-05T18:59:59Z' and session/scheduledTime lt '2031-04-05T21:00:00+01:30'", true),
        ("session/postedTime gt '2031-04-05T18:00:01Z'", false),
        ("session/registrationState eq 'registered'", false),
        ("session/scid eq '5F0C1A52-7C1E-4B52-9D0E-00007A11B0A7' and tolower(session/templateName) eq 'open'", true),
        ("strings/level eq 12", false),
    ] {
        assert_eq!(found(&bo, &searching(filter, "")).await.len(), usize::from(is_found), "{filter}");
    }
    bo.put(&open("s"), &json!({"members": {"me": {"roles": {"class": "healer"}, "properties": {"system": {"active": true}}}}}))
        .await
        .expect(200);
    let full = "session/needs eq 0 and session/roles/class/healer/needs eq 0 and session/membersCount eq 2";
    assert_eq!(found(&bo, &searching(full, "")).await, ["s"]);
    assert_eq!(
        found(&bo, &searching("session/ownerXuids/any(d:d eq '1')", "")).await,
        Vec::<String>::new(),
        "there are no owners"
    );
    world.end().await;
}
