//! Administration where things are spelled in another way, not known here yet, or broken.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::administration::{admin, audit};
use crate::handles::pointing;
use crate::harness::{SCID, World, joining, session};
use crate::story::{active, open, reserving, sql};

#[tokio::test]
async fn r70_the_audit_names_things_in_one_way_and_is_searched_by_user() {
    let world = World::new().await;
    let (ada, op) = (world.user(1), world.admin());
    ada.put(&open("Harbor"), &active()).await.expect(201);
    ada.put(&open("Harbor"), &reserving(&[25])).await.expect(200);
    let typed = format!("/serviceConfigs/{}/sessionTemplates/oPEN/sessions/HARBOR", SCID.to_uppercase());
    op.delete(&format!("{}/members/1?reason=rude", admin(&typed))).await.expect(204);
    world.clock.advance_real(Duration::from_secs(1));
    op.delete(&format!("{}?reason=over", admin(&typed))).await.expect(204);
    world.clock.advance_real(Duration::from_secs(1));
    op.delete(&format!("{}?reason=over", admin(&typed))).await.expect(404);
    let path = |name: &str| format!("/serviceconfigs/{SCID}/sessiontemplates/Open/sessions/{name}");
    let targets: Vec<String> = audit(&op, &format!("target={typed}")).await.into_iter().map(|row| row[1].clone()).collect();
    assert_eq!(targets, [path("harbor"), path("Harbor"), path("Harbor")]);

    op.put("/admin/social/25/blocks/1", &json!({})).await.expect(204);
    op.put("/admin/bans/25", &json!({"reason": "rude"})).await.expect(201);
    let answer = op.get("/admin/audit?xuid=25").await.expect(200).json();
    let items = answer["items"].as_array().expect("items is an array");
    let mut found: Vec<(&str, &str)> =
        items.iter().map(|item| (item["action"].as_str().expect("an action"), item["detail"].as_str().unwrap_or("-"))).collect();
    found.sort_unstable();
    assert_eq!(found, [("ban.put", "-"), ("block.put", "-"), ("member.remove", "member 1, xuid 25")]);
    assert_eq!(audit(&op, "xuid=1").await.len(), 1);
    world.end().await;
}

#[tokio::test]
async fn r70_a_parameter_that_does_not_exist_is_refused_before_anything_is_done() {
    let world = World::new().await;
    let op = world.admin();
    let body = Some("{}".to_owned());
    for (method, path) in [
        (Method::PUT, "/admin/social/1/follows/2"),
        (Method::DELETE, "/admin/social/1/blocks/2"),
        (Method::POST, "/admin/social/edges"),
        (Method::POST, "/admin/dev/clock"),
    ] {
        for (query, at) in [("reasn=x", "reasn: "), ("reason=a&Reason=b", "reason: "), ("reason=", "reason: ")] {
            let refused = op.send(method.clone(), &format!("{path}?{query}"), &[], body.clone()).await.expect(400);
            assert!(refused.text.starts_with(at), "{refused:?}");
        }
    }
    assert_eq!(audit(&op, "").await, Vec::<[String; 4]>::new());
    world.end().await;
}

#[tokio::test]
async fn a02_what_another_instance_has_just_changed_stays() {
    let world = World::new().await;
    let op = world.admin();
    let path = "/admin/serviceconfigs/11111111-2222-3333-4444-555555555555";
    // Behind the back of this instance, as by another one a moment ago.
    sql(
        &world,
        "insert into service_configs (scid, titles, game_types, throttle, revision)
        values ('11111111-2222-3333-4444-555555555555', '{}', '{\"uwp\":{\"titleId\":\"7\",\"pfn\":\"\",\"boundPfns\":[]}}',
            '{\"requests_burst_max\":60}', 1)",
    )
    .await;
    op.put(path, &json!({"titles": ["7"], "throttle": null})).await.expect(200);
    let all = op.get("/admin/serviceconfigs").await.expect(200).json();
    let known = all["items"].as_array().expect("items").iter().find(|item| item["titles"] == json!(["7"])).expect("it is there");
    assert_eq!((&known["gameTypes"]["uwp"]["titleId"], &known["throttle"]), (&json!("7"), &json!({})));
    let answer = op.get("/admin/audit?action=service.put").await.expect(200).json();
    assert_eq!(answer["items"][0]["detail"], "titles: [7], throttle: null");
    world.end().await;
}

#[tokio::test]
async fn r70_a_session_that_cannot_be_read_is_shown_as_it_is_stored_and_can_be_closed() {
    let world = World::new().await;
    let (ada, op) = (world.user(1), world.admin());
    let listed = json!({"constants": {"system": {"capabilities": {"searchable": true}}},
        "properties": {"system": {"keywords": ["Lost"]}}, "members": {"me": {"properties": {"system": {"active": true}}}}});
    ada.put(&open("bad"), &listed).await.expect(201);
    ada.post("/handles", &pointing("bad")).await.expect(201);
    let mut search = pointing("bad");
    search["type"] = json!("search");
    search["searchAttributes"] = json!({"tags": ["coop"], "numbers": {"level": 3}});
    ada.post("/handles", &search).await.expect(201);
    ada.put(&session("Arena", "bad"), &joining("active")).await.expect(201);
    sql(&world, "update sessions set body = 'garbage' where name = 'bad'").await;

    for path in [open("bad"), session("Arena", "bad")] {
        let shown = op.get(&admin(&path)).await.expect(200).json();
        assert_eq!((&shown["session"], &shown["stored"]["body"]), (&Value::Null, &json!("garbage")));
        assert!(shown["unreadable"].is_string() && shown["stored"]["members"]["0"]["xuid"] == "1", "{shown}");
        op.delete(&format!("{}?reason=broken", admin(&path))).await.expect(204);
        op.delete(&format!("{}?reason=broken", admin(&path))).await.expect(404);
        op.get(&admin(&path)).await.expect(404);
    }
    let rest = "select (select count(*) from sessions) + (select count(*) from members) + (select count(*) from keywords)
        + (select count(*) from timers) + (select count(*) from handles) + (select count(*) from search_values)
        + (select count(*) from search_terms)";
    assert_eq!(sql(&world, rest).await.as_deref(), Some("0"));
    let rows = "select count(*) from changes where deleted and actor = 'admin:op'";
    assert_eq!(sql(&world, rows).await.as_deref(), Some("2"));
    ada.put(&open("bad"), &active()).await.expect(201);
    world.end().await;
}
