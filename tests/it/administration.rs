//! What administrators look at and change: sessions, handles, what is published, and the audit of all that (R-70).

use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::handles::pointing;
use crate::harness::{Actor, Choices, SCID, World, joining, session};
use crate::story::{active, creating, indices, leaving, open, reserving, sql, tagged};
use crate::taps::STAYS;

/// The scid of the other shipped service config.
const OTHER: &str = "4fc10100-5f7a-4470-899b-280835760c07";

/// The administrators' path of a session.
pub fn admin(path: &str) -> String {
    format!("/admin{path}")
}

/// The names of a list's sessions, in its order.
async fn listed(admin: &Actor, query: &str) -> Vec<String> {
    let answer = admin.get(&format!("/admin/sessions?{query}")).await.expect(200).json();
    assert_eq!(answer["continuationToken"], Value::Null, "{query}");
    names(&answer)
}

fn names(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().expect("items is an array");
    items.iter().map(|item| item["sessionRef"]["name"].as_str().expect("a name is text").to_owned()).collect()
}

/// The sorted names of all pages, and how many there were.
async fn all_pages(admin: &Actor, query: &str) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let answer = admin.get(&format!("/admin/sessions?{query}{token}")).await.expect(200).json();
        found.extend(names(&answer));
        pages += 1;
        match answer["continuationToken"].as_str() {
            Some(next) => token = format!("&continuationToken={next}"),
            None => break,
        }
    }
    let count = found.len();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), count, "nothing comes twice");
    (found, pages)
}

/// The audit, newest first, as actions, targets, outcomes and reasons.
pub async fn audit(admin: &Actor, query: &str) -> Vec<[String; 4]> {
    let answer = admin.get(&format!("/admin/audit?{query}")).await.expect(200).json();
    let items = answer["items"].as_array().expect("items is an array").clone();
    let field = |item: &Value, name: &str| item[name].as_str().unwrap_or("-").to_owned();
    items.iter().map(|item| ["action", "target", "outcome", "reason"].map(|name| field(item, name))).collect()
}

#[tokio::test]
async fn r70_sessions_are_listed_across_service_configs_and_filtered() {
    let world = World::new().await;
    let (ada, bo, op) = (world.user(1), world.user(2), world.admin());
    let private = creating(&json!({"visibility": "private", "sessionEmptyTimeout": null}), &json!({}));
    ada.put(&open("Harbor-1"), &tagged("Sea")).await.expect(201);
    ada.put(&open("harbor-2"), &private).await.expect(201);
    bo.put(&session("Card", "table"), &joining("active")).await.expect(201);
    bo.put(&session("Arena", "show"), &joining("active")).await.expect(201);
    let minecraft = format!("/serviceconfigs/{OTHER}/sessionTemplates/MinecraftLobby/sessions/cave");
    bo.put(&minecraft, &joining("active")).await.expect(201);
    ada.put(&open("Harbor-1"), &reserving(&[3])).await.expect(200);
    ada.put(&open("harbor-2"), &leaving()).await.expect(200);
    ada.put(&open("Harbor-1"), &json!({"properties": {"system": {"closed": true}}})).await.expect(200);

    for (query, expected) in [
        ("", vec!["Harbor-1", "cave", "harbor-2", "show", "table"]),
        ("scid=4FC10100-5f7a-4470-899b-280835760c07", vec!["cave"]),
        ("template=open", vec!["Harbor-1", "harbor-2"]),
        ("template=card", vec!["table"]),
        ("name=HARBOR", vec!["Harbor-1", "harbor-2"]),
        ("name=har_or", vec![]),
        ("xuid=1", vec!["Harbor-1"]),
        ("xuid=3&closed=true", vec!["Harbor-1"]),
        ("xuid=2&template=Arena", vec!["show"]),
        ("keyword=SEA", vec!["Harbor-1"]),
        ("keyword=sea&xuid=1", vec!["Harbor-1"]),
        ("keyword=sea&xuid=2", vec![]),
        ("keyword=sea&scid=4fc10100-5f7a-4470-899b-280835760c07", vec![]),
        ("keyword=sea&closed=false", vec![]),
        ("visibility=private", vec!["harbor-2"]),
        ("empty=true", vec!["harbor-2"]),
        ("closed=true", vec!["Harbor-1"]),
        ("large=true", vec!["show"]),
        ("large=false&template=Arena", vec![]),
        ("Large=TRUE&UpdatedSince=2031-04-05T18:00:00Z", vec!["show"]),
        ("updatedSince=2031-04-05T18:00:01Z", vec![]),
    ] {
        let mut found = listed(&op, query).await;
        found.sort();
        assert_eq!(found, expected, "{query}");
    }
    world.pass(5_000);
    bo.put(&session("Card", "table"), &json!({"properties": {"custom": {"map": 1}}})).await.expect(200);
    assert_eq!(listed(&op, "updatedSince=2031-04-05T20:00:01%2B02:00").await, ["table"]);

    let item = op.get("/admin/sessions?name=harbor-1").await.expect(200).json()["items"][0].clone();
    let document = ada.get(&open("Harbor-1")).await.expect(200);
    let shown = document.json();
    assert_eq!(
        item,
        json!({
            "sessionRef": {"scid": SCID, "templateName": "Open", "name": "Harbor-1"},
            "correlationId": shown["correlationId"], "branch": shown["branch"], "changeNumber": 3,
            "startTime": shown["startTime"], "nextTimer": shown["nextTimer"], "visibility": "open", "joinRestriction": "none",
            "readRestriction": "none", "closed": true, "large": false, "membersCount": 2, "acceptedCount": 1,
            "maxMembersCount": shown["constants"]["system"]["maxMembersCount"], "keywords": ["Sea"],
            "bodyBytes": document.text.len(),
        })
    );
    world.end().await;
}

#[tokio::test]
async fn r70_lists_are_read_page_by_page_and_nothing_is_missed() {
    let world = World::new().await;
    let (ada, op) = (world.user(1), world.admin());
    let mut expected = Vec::new();
    for number in 0..23 {
        world.pass(u64::from(number % 3 == 0));
        let name = format!("s{number:02}");
        ada.put(&open(&name), &tagged("all")).await.expect(201);
        expected.push(name);
    }
    for query in ["take=5", "take=5&keyword=all", "take=5&xuid=1", "take=5&keyword=all&xuid=1", "take=23", "take=23&keyword=ALL"]
    {
        let (found, pages) = all_pages(&op, query).await;
        assert_eq!(found, expected, "{query}");
        assert_eq!(pages, if query.starts_with("take=5") { 5 } else { 1 }, "{query}");
    }
    let first = op.get("/admin/sessions?take=1&keyword=all").await.expect(200).json();
    assert_eq!(names(&first), ["s21"], "newest first, then by name");
    // A token belongs to its question.
    let token = first["continuationToken"].as_str().expect("there is more").to_owned();
    let refused = op.get(&format!("/admin/sessions?take=1&continuationToken={token}")).await.expect(400);
    assert!(refused.text.starts_with("continuationToken: "), "{refused:?}");
    world.end().await;
}

#[rstest]
#[case("/admin/sessions?scid=all", "scid: ")]
#[case("/admin/sessions?colour=red", "colour: ")]
#[case("/admin/sessions?take=0", "take: ")]
#[case("/admin/sessions?take=201", "take: ")]
#[case("/admin/sessions?visibility=full", "visibility: ")]
#[case("/admin/sessions?closed=1", "closed: ")]
#[case("/admin/sessions?xuid=me", "xuid: ")]
#[case("/admin/sessions?name=", "name: ")]
#[case("/admin/sessions?template=a/b", "template: ")]
#[case("/admin/sessions?keyword=%00", "keyword: ")]
#[case("/admin/sessions?xuid=1&xuid=2", "xuid: ")]
#[case("/admin/sessions?updatedSince=today", "updatedSince: ")]
#[case("/admin/sessions?keyword=a&continuationToken=1~2", "continuationToken: ")]
#[case("/admin/handles?type=party", "type: ")]
#[case("/admin/handles?continuationToken=1", "continuationToken: ")]
#[case("/admin/audit?actor=", "actor: ")]
#[case("/admin/audit?since=1", "since: ")]
#[case("/admin/audit?continuationToken=1~2", "continuationToken: ")]
#[case("/admin/bans?xuid=1", "xuid: ")]
#[case("/admin/serviceconfigs?take=1", "take: ")]
#[case("/admin/social/edges?take=1", "take: ")]
#[case("/admin/audit?xuid=me", "xuid: ")]
#[tokio::test]
async fn r70_e11_a_bad_parameter_is_named(#[case] path: &str, #[case] start: &str) {
    let world = World::new().await;
    let refused = world.admin().get(path).await.expect(400);
    assert!(refused.text.starts_with(start), "{refused:?}");
    world.end().await;
}

#[tokio::test]
async fn r70_any_session_is_read_with_what_only_the_service_knows() {
    let world = World::new().await;
    let (ada, op) = (world.user(1), world.admin());
    let path = open("secret");
    let constants = json!({"visibility": "private", "reservedRemovalTimeout": 30_000, "inactiveRemovalTimeout": null});
    ada.put(&path, &creating(&constants, &json!({}))).await.expect(201);
    ada.put(&path, &reserving(&[2])).await.expect(200);
    let mut body = pointing("secret");
    ada.post("/handles", &body).await.expect(201);
    body["type"] = json!("invite");
    body["invitedXuid"] = json!("7");
    ada.post("/handles", &body).await.expect(201);

    let shown = op.get(&admin(&path)).await.expect(200).json();
    assert_eq!(shown["session"], ada.get(&path).await.expect(200).json());
    let service = &shown["service"];
    assert_eq!(service["handles"], json!({"activity": 1, "invite": 1, "search": 0, "transfer": 0}));
    assert_eq!((&service["large"], &service["timerFailures"]), (&json!(false), &json!(0)));
    let members = &service["members"];
    assert_eq!(
        members["0"],
        json!({"xuid": "1", "state": "active", "since": "2031-04-05T18:00:00.1230000Z", "deviceId": "device-1"})
    );
    let reserved = json!({"xuid": "2", "state": "reserved", "since": "2031-04-05T18:00:00.1230000Z", "endsAt": "2031-04-05T18:00:30.1230000Z"});
    assert_eq!(members["1"], reserved);

    // What is due is settled first (M-24).
    world.pass(30_000);
    let shown = op.get(&admin(&path)).await.expect(200).json();
    assert_eq!(indices(&shown["session"]), [0]);
    for missing in [open("nowhere"), format!("/serviceconfigs/{OTHER}/sessiontemplates/None/sessions/s")] {
        op.get(&admin(&missing)).await.expect(404);
    }
    op.get("/admin/serviceconfigs/x/sessiontemplates/Open/sessions/s").await.expect(404);
    assert_eq!(audit(&op, "").await, Vec::<[String; 4]>::new(), "reading is not written down");
    world.end().await;
}

#[tokio::test]
async fn r70_a_members_connection_is_shown_as_it_is() {
    let world = World::new().await;
    let mut ada = world.player(1).await;
    let path = open("wired");
    let body = creating(&json!({"inactiveRemovalTimeout": STAYS}), &json!({}));
    ada.writes(&path, &body).await;
    ada.joins(&path, &["everything"]).await;
    let op = world.admin();
    let shown = op.get(&admin(&path)).await.expect(200).json();
    assert_eq!(shown["service"]["members"]["0"]["connection"], json!({"id": ada.connection, "state": "alive"}));
    op.delete(&format!("{}?reason=over", admin(&path))).await.expect(204);
    ada.tap().await;
    world.end().await;
}

#[tokio::test]
async fn w62_n56_an_administrator_ends_a_session_for_everybody() {
    let world = World::new().await;
    let op = world.admin();
    let (mut ada, bo) = (world.player(1).await, world.user(2));
    let path = open("doomed");
    ada.writes(&path, &creating(&json!({"inactiveRemovalTimeout": STAYS}), &json!({"keywords": ["doom"]}))).await;
    ada.joins(&path, &["everything"]).await;
    bo.put(&path, &active()).await.expect(200);
    let number = ada.tap().await.number;
    let activity = crate::handles::id(bo.post("/handles", &pointing("doomed")).await);
    let branch = ada.reads(&path).await["branch"].clone();

    let close = format!("{}?reason=complaints%20%234", admin(&path));
    op.delete(&close).await.expect(204);
    let tap = ada.tap().await;
    assert_eq!((json!(tap.branch), tap.number), (branch.clone(), number + 1), "N-56");
    bo.get(&path).await.expect(204);
    bo.get(&format!("/handles/{activity}")).await.expect(404);
    let found = bo.get(&format!("/serviceconfigs/{SCID}/sessions?keyword=doom")).await.expect(200).json();
    assert_eq!(found["results"], json!([]));
    let row = format!("select actor || ' ' || cause || ' ' || deleted from changes where branch = '{}' and deleted", tap.branch);
    assert_eq!(sql(&world, &row).await.as_deref(), Some("admin:op 0 true"));

    // There is nothing left to end, and that is written down too.
    world.clock.advance_real(Duration::from_secs(1));
    op.delete(&close).await.expect(404);
    let target = format!("/serviceconfigs/{SCID}/sessiontemplates/Open/sessions/doomed");
    let rows = audit(&op, &format!("target={target}")).await;
    let reason = "complaints #4".to_owned();
    assert_eq!(rows[0], ["session.close".to_owned(), target.clone(), "the session does not exist".to_owned(), reason.clone()]);
    assert_eq!(rows[1], ["session.close".to_owned(), target, "done".to_owned(), reason]);
    // The name is free again.
    bo.put(&path, &active()).await.expect(201);
    world.end().await;
}

#[tokio::test]
async fn m40_m93_an_administrator_takes_a_member_out_whatever_the_rules_say_about_that() {
    let world = World::new().await;
    let (ada, bo, op) = (world.user(1), world.user(2), world.admin());
    let path = open("owned");
    let constants = json!({"capabilities": {"hasOwners": true}, "ownershipPolicies": {"migration": "oldest"}});
    ada.put(&path, &creating(&constants, &json!({}))).await.expect(201);
    bo.put(&path, &active()).await.expect(200);
    bo.put(&path, &json!({"members": {"0": null}})).await.expect(403);

    op.delete(&format!("{}/members/0?reason=rude", admin(&path))).await.expect(204);
    let shown = bo.get(&path).await.expect(200).json();
    assert_eq!((indices(&shown), &shown["properties"]["system"]["owners"]), (vec![1], &json!([1])), "M-93");
    for (member, status) in [("0", 404), ("7", 404), ("4294967296", 404), ("me", 404), ("-1", 404)] {
        op.delete(&format!("{}/members/{member}?reason=rude", admin(&path))).await.expect(status);
    }
    // The last one takes the session along (W-60).
    op.delete(&format!("{}/members/1?reason=rude", admin(&path))).await.expect(204);
    bo.get(&path).await.expect(204);
    let rows = audit(&op, "action=member.remove").await;
    let mut outcomes: Vec<&str> = rows.iter().map(|row| row[2].as_str()).collect();
    outcomes.sort_unstable();
    let none = "the session has no member";
    assert_eq!(outcomes, ["done", "done", &format!("{none} 0"), &format!("{none} 4294967295"), &format!("{none} 7")]);
    world.end().await;
}

#[tokio::test]
async fn m95_m97_an_administrator_sees_all_members_of_a_large_session_and_takes_them_out() {
    let world = World::new().await;
    let (ada, op) = (world.user(1), world.admin());
    let path = session("Arena", "crowd");
    ada.put(&path, &joining("active")).await.expect(201);
    for xuid in 2..=40 {
        world.user(xuid).put(&path, &joining("active")).await.expect(200);
    }
    let shown = op.get(&admin(&path)).await.expect(200).json();
    assert_eq!(indices(&shown["session"]), (0..40).collect::<Vec<_>>());
    assert_eq!(shown["session"]["membersInfo"]["count"], 40);
    assert_eq!(shown["session"]["members"]["7"]["gamertag"], "Player8");
    assert_eq!((&shown["service"]["large"], &shown["service"]["members"]["7"]["state"]), (&json!(true), &json!("active")));
    assert_eq!(shown["session"]["changeNumber"], ada.get(&path).await.expect(200).json()["changeNumber"]);
    // Without them it is what somebody sees who is no member.
    let short = op.get(&format!("{}?members=false", admin(&path))).await.expect(200).json();
    assert_eq!(short["session"], world.user(99).get(&path).await.expect(200).json());
    assert_eq!((&short["service"]["members"], &short["service"]["revision"]), (&Value::Null, &shown["service"]["revision"]));
    op.get(&format!("{}?members=some", admin(&path))).await.expect(400);

    op.delete(&format!("{}/members/7?reason=rude", admin(&path))).await.expect(204);
    op.delete(&format!("{}/members/7?reason=rude", admin(&path))).await.expect(404);
    let after = ada.get(&path).await.expect(200).json();
    assert_eq!(after["membersInfo"]["count"], 39);
    assert_eq!(world.user(8).get(&path).await.expect(200).json()["members"], json!({}));
    op.delete(&format!("{}?reason=over", admin(&path))).await.expect(204);
    ada.get(&path).await.expect(204);
    assert_eq!(sql(&world, "select count(*) from members").await.as_deref(), Some("0"));
    world.end().await;
}

#[tokio::test]
async fn r70_reasons_are_needed_where_somebody_is_hit() {
    let world = World::new().await;
    let (ada, op) = (world.user(1), world.admin());
    let path = open("reasons");
    ada.put(&path, &active()).await.expect(201);
    let long = "x".repeat(501);
    for path in [admin(&path), format!("{}/members/0", admin(&path)), "/admin/bans/9".to_owned()] {
        for query in ["", "?reason=", "?reason=%20%20", "?reason=a%00b", &format!("?reason={long}"), "?reason=a&reason=b"] {
            let refused = op.delete(&format!("{path}{query}")).await.expect(400);
            assert!(refused.text.starts_with("reason: "), "{refused:?}");
        }
        let refused = op.delete(&format!("{path}?reason=a&force=true")).await.expect(400);
        assert!(refused.text.starts_with("force: "), "{refused:?}");
    }
    ada.get(&path).await.expect(200);
    assert_eq!(audit(&op, "").await, Vec::<[String; 4]>::new());
    world.end().await;
}

#[tokio::test]
async fn r70_what_was_there_before_is_written_down_too() {
    let world = World::new().await;
    let op = world.admin();
    world.pass(60_000);
    op.put("/admin/social/1/follows/2", &json!({})).await.expect(204);
    op.delete("/admin/social/1/follows/2?reason=wrong").await.expect(204);
    op.put("/admin/social/1/blocks/2", &json!({})).await.expect(204);
    op.delete("/admin/social/1/blocks/2").await.expect(204);
    let lines = r#"{"xuid":"1","follows":"2"}"#;
    for method in [Method::POST, Method::PUT] {
        let headers = [("content-type", "application/x-ndjson")];
        op.send(method, "/admin/social/edges?reason=moved", &headers, Some(lines.to_owned())).await.expect(200);
    }
    op.post("/admin/dev/clock", &json!({"advanceMs": 5})).await.expect(200);
    op.post("/admin/dev/clock", &json!({"advanceMs": "soon"})).await.expect(400);
    let answer = op.get("/admin/audit").await.expect(200).json();
    let items = answer["items"].as_array().expect("items is an array");
    let mut actions: Vec<&str> = items.iter().map(|item| item["action"].as_str().expect("an action is text")).collect();
    actions.sort_unstable();
    let expected = ["block.delete", "block.put", "clock.advance", "edges.add", "edges.replace", "follow.delete", "follow.put"];
    assert_eq!(actions, expected);
    for item in items {
        assert_eq!((&item["actor"], &item["outcome"]), (&json!("admin:op"), &json!("done")), "{item}");
        assert_eq!(item["at"], "2031-04-05T18:00:00.1230000Z", "real time, which the development clock does not move");
    }
    let removed = items.iter().find(|item| item["action"] == "follow.delete").expect("it is there");
    assert_eq!((&removed["target"], &removed["reason"]), (&json!("1/2"), &json!("wrong")));
    let clock = items.iter().find(|item| item["action"] == "clock.advance").expect("it is there");
    assert_eq!(clock["detail"], "advanceMs: 5");
    world.end().await;
}

#[tokio::test]
async fn r70_what_cannot_be_written_down_is_not_done() {
    let world = World::new().await;
    let (ada, op) = (world.user(1), world.admin());
    let path = open("safe");
    ada.put(&path, &active()).await.expect(201);
    sql(&world, "alter table audit rename to audit_elsewhere").await;
    let refused = op.delete(&format!("{}?reason=over", admin(&path))).await.expect(503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    op.put("/admin/bans/1", &json!({"reason": "x"})).await.expect(503);
    op.put("/admin/social/1/follows/2", &json!({})).await.expect(503);
    ada.get(&path).await.expect(200);
    sql(&world, "alter table audit_elsewhere rename to audit").await;
    op.delete(&format!("{}?reason=over", admin(&path))).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn r70_the_audit_is_read_newest_first_and_filtered() {
    let world = World::new().await;
    let op = world.admin();
    let ada = world.actor(openmpsd::domain::principal::Principal::Admin { name: "ada".into() });
    for number in 0..7 {
        world.clock.advance_real(Duration::from_secs(1));
        let actor = if number % 2 == 0 { &op } else { &ada };
        actor.put(&format!("/admin/bans/{number}"), &json!({"reason": "cheats"})).await.expect(201);
    }
    let targets = |rows: &[[String; 4]]| rows.iter().map(|row| row[1].clone()).collect::<Vec<_>>();
    assert_eq!(targets(&audit(&op, "").await), ["6", "5", "4", "3", "2", "1", "0"]);
    assert_eq!(targets(&audit(&op, "actor=admin:ada").await), ["5", "3", "1"]);
    assert_eq!(targets(&audit(&op, "target=4").await), ["4"]);
    assert_eq!(targets(&audit(&op, "target=4&actor=admin:ada").await), Vec::<String>::new());
    assert_eq!(targets(&audit(&op, "action=session.close").await), Vec::<String>::new());
    assert_eq!(targets(&audit(&op, "since=2031-04-05T18:00:06Z").await), ["6", "5"]);
    let (mut token, mut found) = (String::new(), Vec::new());
    loop {
        let answer = op.get(&format!("/admin/audit?take=2{token}")).await.expect(200).json();
        let items = answer["items"].as_array().expect("items is an array");
        found.extend(items.iter().map(|item| item["target"].as_str().expect("a target is text").to_owned()));
        let Some(next) = answer["continuationToken"].as_str() else { break };
        token = format!("&continuationToken={next}");
    }
    assert_eq!(found, ["6", "5", "4", "3", "2", "1", "0"]);
    world.end().await;
}

#[tokio::test]
async fn r70_handles_of_all_types_are_listed() {
    let world = World::new().await;
    let (ada, bo, op) = (world.user(1), world.user(2), world.admin());
    let constants = json!({"capabilities": {"searchable": true}, "inactiveRemovalTimeout": null});
    ada.put(&open("host"), &creating(&constants, &json!({}))).await.expect(201);
    let mut body = pointing("host");
    ada.post("/handles", &body).await.expect(201);
    bo.post("/handles", &pointing("unborn")).await.expect(201);
    body["type"] = json!("search");
    body["searchAttributes"] = json!({"tags": ["Coop"]});
    ada.post("/handles", &body).await.expect(201);
    let mut body = pointing("host");
    body["type"] = json!("invite");
    body["invitedXuid"] = json!("3");
    ada.post("/handles", &body).await.expect(201);

    let list = async |query: &str| {
        let answer = op.get(&format!("/admin/handles?{query}")).await.expect(200).json();
        let items = answer["items"].as_array().expect("items is an array").clone();
        let kind = |item: &Value| item["type"].as_str().expect("a type is text").to_owned();
        let mut types: Vec<String> = items.iter().map(kind).collect();
        types.sort();
        (types, items)
    };
    assert_eq!(list("").await.0, ["activity", "activity", "invite", "search"]);
    assert_eq!(list("xuid=1").await.0, ["activity", "invite", "search"]);
    assert_eq!(list("xuid=3").await.0, ["invite"]);
    assert_eq!(list("xuid=1&type=Search").await.0, ["search"]);
    assert_eq!(list(&format!("scid={OTHER}")).await.0, Vec::<String>::new());
    let (_, invites) = list("type=invite").await;
    let invite = &invites[0];
    assert_eq!(
        (&invite["ownerXuid"], &invite["invitedXuid"], &invite["sessionExists"]),
        (&json!("1"), &json!("3"), &json!(true))
    );
    assert_eq!(invite["sessionRef"], json!({"scid": SCID, "templateName": "Open", "name": "host"}));
    assert!(invite["expiresAt"].is_string() && invite["createTime"].is_string(), "{invite}");
    let (_, unborn) = list("xuid=2").await;
    assert_eq!(unborn[0]["sessionExists"], json!(false));

    let (mut token, mut ids) = (String::new(), Vec::new());
    loop {
        let answer = op.get(&format!("/admin/handles?take=1{token}")).await.expect(200).json();
        ids.extend(answer["items"].as_array().expect("items is an array").iter().map(|item| item["id"].to_string()));
        let Some(next) = answer["continuationToken"].as_str() else { break };
        token = format!("&continuationToken={next}");
    }
    ids.dedup();
    assert_eq!(ids.len(), 4);
    world.end().await;
}

#[tokio::test]
async fn t06_t08_templates_are_judged_published_and_used_at_once() {
    let world = World::new().await;
    let (ada, op) = (world.user(1), world.admin());
    let all = op.get("/admin/serviceconfigs").await.expect(200).json();
    let scids: Vec<&str> = all["items"].as_array().expect("items").iter().filter_map(|item| item["scid"].as_str()).collect();
    assert_eq!(scids, [OTHER, SCID]);
    let path = format!("/admin/serviceconfigs/{SCID}/sessiontemplates/Duel");
    op.get(&path).await.expect(404);

    let bad = json!({"constants": {"system": {"visibility": "closed", "maxMembersCount": 0}}});
    for query in ["", "?dryRun=true"] {
        let refused = op.put(&format!("{path}{query}"), &bad).await.expect(400);
        assert!(refused.text.lines().count() >= 2, "a line for each finding: {refused:?}");
        assert!(refused.text.contains("mistake: body: constants.system.visibility: "), "{refused:?}");
    }
    let refused = op.send(Method::PUT, &path, &[], Some("{\n  ]".to_owned())).await.expect(400);
    assert!(refused.text.starts_with("mistake: body:2:3: is no JSON"), "{refused:?}");
    let duel = json!({"constants": {"system": {"maxMembersCount": 2}, "custom": {}}, "contractVersion": 107});
    assert_eq!(op.put(&format!("{path}?dryRun=true"), &duel).await.expect(200).json(), json!({"remarks": []}));
    op.get(&path).await.expect(404);
    assert_eq!(audit(&op, "").await, Vec::<[String; 4]>::new(), "nothing was changed");

    let revision = op.put(&path, &duel).await.expect(200).json()["revision"].as_u64().expect("a revision");
    assert_eq!(op.get(&path).await.expect(200).json(), duel);
    ada.put(&session("Duel", "at-dawn"), &active()).await.expect(201);
    assert_eq!(op.put(&path, &duel).await.expect(200).json()["revision"], revision + 1);
    world.clock.advance_real(Duration::from_secs(1));
    let unknown = "00000000-0000-0000-0000-00000000000a";
    op.put(&format!("/admin/serviceconfigs/{unknown}/sessiontemplates/Duel"), &duel).await.expect(404);
    op.put(&format!("/admin/serviceconfigs/{SCID}/sessiontemplates/a%2Fb"), &duel).await.expect(404);
    let rows = audit(&op, "action=template.put").await;
    assert_eq!(rows.len(), 3);
    assert!(rows[0][2].contains(unknown) && rows[1][2] == "done", "{rows:?}");

    // Another instance takes it over as well.
    let beside = world.beside().await;
    beside.user(2).put(&session("Duel", "at-dusk"), &active()).await.expect(201);
    beside.end().await;
    world.end().await;
}

#[tokio::test]
async fn a02_service_configs_are_made_and_changed() {
    let world = World::new().await;
    let (ada, op) = (world.user(1), world.admin());
    let scid = "11111111-2222-3333-4444-555555555555";
    let path = format!("/admin/serviceconfigs/{scid}");
    for (body, at) in [
        (json!({}), "titles: "),
        (json!({"titles": "1"}), "titles: "),
        (json!({"titles": ["1", "x"]}), "titles[1]: "),
        (json!({"titles": [4_294_967_296_u64]}), "titles[0]: "),
        (json!({"titles": [], "owner": 1}), "owner: "),
        (json!({"titles": [], "gameTypes": {"uwp": {}}}), "gameTypes.uwp.titleId: "),
        (json!({"titles": [], "throttle": {"requests_burst": 1}}), "throttle.requests_burst: "),
        (json!({"titles": [], "throttle": {"requests_burst_period_s": 0}}), "throttle.requests_burst_period_s: a number from 1"),
        (json!({"titles": [], "throttle": 7}), "throttle: "),
        (json!({"titles": [], "gameTypes": {"uwp": {"titleId": "1", "pfn": 7}}}), "gameTypes.uwp.pfn: "),
        (json!({"titles": [], "gameTypes": {"uwp": {"titleId": "1", "pfm": "a"}}}), "gameTypes.uwp.pfm: "),
    ] {
        let refused = op.put(&path, &body).await.expect(400);
        assert!(refused.text.starts_with(at), "{refused:?}");
    }
    let game_types = json!({"uwp": {"titleId": "7", "pfn": "Maker.Game", "boundPfns": ["Maker.Beta"]}});
    op.put(&path, &json!({"titles": ["7", 7, 8], "gameTypes": game_types, "throttle": {"requests_burst_max": 60}}))
        .await
        .expect(201);
    op.put(&format!("{path}/sessiontemplates/Room"), &json!({"constants": {"system": {}, "custom": {}}})).await.expect(200);
    let room = format!("/serviceconfigs/{scid}/sessiontemplates/Room/sessions/r");
    ada.put(&room, &active()).await.expect(403);
    // What is not given stays; the titles always are.
    op.put(&path, &json!({"titles": []})).await.expect(200);
    ada.put(&room, &active()).await.expect(201);
    let all = op.get("/admin/serviceconfigs").await.expect(200).json();
    let known = all["items"].as_array().expect("items").iter().find(|item| item["scid"] == scid).expect("it is listed").clone();
    assert_eq!(
        known,
        json!({"scid": scid, "titles": [], "gameTypes": game_types, "throttle": {"requests_burst_max": 60}, "templates": ["Room"]})
    );
    op.put(&path, &json!({"titles": ["7"], "gameTypes": null, "throttle": null})).await.expect(200);
    let all = op.get("/admin/serviceconfigs").await.expect(200).json();
    let known = all["items"].as_array().expect("items").iter().find(|item| item["scid"] == scid).expect("it is listed").clone();
    assert_eq!(known, json!({"scid": scid, "titles": ["7"], "gameTypes": {}, "throttle": {}, "templates": ["Room"]}));
    world.end().await;
}

#[tokio::test]
async fn r70_an_import_that_a_source_forbids_is_written_down() {
    let social = openmpsd::social::Source::Http(openmpsd::social::HttpOptions {
        url: "http://127.0.0.1:9".into(),
        bearer: None,
        timeout: Duration::from_millis(100),
        cache: chrono::TimeDelta::seconds(60),
    });
    let world = World::with(Choices { social, ..Choices::default() }).await;
    let op = world.admin();
    op.put("/admin/social/1/follows/2", &json!({})).await.expect(409);
    op.send(Method::POST, "/admin/social/edges", &[], Some(String::new())).await.expect(409);
    let rows = audit(&op, "").await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row[2].starts_with("social.source: ")), "{rows:?}");
    world.end().await;
}
