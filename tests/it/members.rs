//! Members and their timers over the service: evaluated lazily and by sweeps, to the same effect (M).

use chrono::{DateTime, TimeDelta, Utc};
use openmpsd::domain::names::{Scid, SessionName, SessionReference, TemplateName};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::harness::{Actor, Answer, Choices, SCID, World, connect, joining, session, start_of_time};
use crate::story::{active, creating, indices, leaving, names, open, reserving, sessions, sid, sql};

/// A PUT that sets the caller's flag.
fn flag(name: &str, value: bool) -> Value {
    json!({"members": {"me": {"properties": {"system": {name: value}}}}})
}

/// The form in which documents show an instant.
fn shown(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6f0Z").to_string()
}

/// Checks `nextTimer` and `Expires` against the milliseconds since the start of the test.
#[track_caller]
fn next_timer(answer: &Answer, ms: Option<i64>) {
    let due = ms.map(|ms| start_of_time() + TimeDelta::milliseconds(ms));
    assert_eq!(answer.json().get("nextTimer"), due.map(|due| json!(shown(due))).as_ref(), "S-25, M-29");
    let expires = due.map(|due| due.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    assert_eq!(answer.header("expires"), expires.as_deref(), "R-13");
}

#[tokio::test]
async fn m20_a_reservation_ends_after_its_time() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("foo"), &active()).await.expect(201);
    let made = ada.put(&open("foo"), &reserving(&[2, 3])).await.expect(200);
    next_timer(&made, Some(30_000));
    assert_eq!(made.json()["membersInfo"], json!({"first": 0, "next": 3, "count": 3, "accepted": 1, "active": 1}));
    world.pass(29_999);
    assert_eq!(ada.get(&open("foo")).await.etag(), made.etag(), "not a millisecond early");
    bo.put(&open("foo"), &active()).await.expect(200);
    world.pass(1);
    let after = ada.get(&open("foo")).await.expect(200);
    assert_eq!(indices(&after.json()), [0, 1], "M-20: the one that was not taken up is gone, at once");
    assert_eq!(after.json()["membersInfo"], json!({"first": 0, "next": 3, "count": 2, "accepted": 2, "active": 2}));
    assert_eq!(after.json()["members"]["1"]["next"], 3, "M-40, S-60");
    assert_eq!(after.json()["changeNumber"], 4, "S-22: once per change");
    next_timer(&after, None);
    let back = ada.put(&open("foo"), &reserving(&[3])).await.expect(200).json();
    assert_eq!(indices(&back), [0, 1, 3], "M-40: no index comes back");
    world.end().await;
}

#[tokio::test]
async fn m21_m22_m25_timeouts_are_not_stacked() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let card = session("Card", "foo");
    ada.put(&card, &active()).await.expect(201);
    let ready = bo.put(&card, &flag("ready", true)).await.expect(200);
    next_timer(&ready, Some(180_000));
    world.pass(3 * 3_600_000);
    let late = ada.get(&card).await.expect(200);
    assert_eq!(late.json()["changeNumber"], 3);
    assert_eq!(late.json()["members"]["1"]["properties"]["system"], json!({}), "M-22: inactive, not removed");
    next_timer(&late, Some(5 * 3_600_000));
    world.pass(2 * 3_600_000 - 1);
    assert_eq!(ada.get(&card).await.etag(), late.etag());
    world.pass(1);
    let gone = ada.get(&card).await.expect(200);
    assert_eq!((indices(&gone.json()), gone.json()["changeNumber"].clone()), (vec![0], json!(4)), "M-21");
    world.end().await;
}

#[tokio::test]
async fn m26_zero_timeouts_work_at_once() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("foo"), &json!({"members": {"me": {}}})).await.expect(204);
    ada.get(&open("foo")).await.expect(204);
    ada.put(&open("foo"), &active()).await.expect(201);
    let idle = bo.put(&open("foo"), &json!({"members": {"me": {}}})).await.expect(200).json();
    assert_eq!(indices(&idle), [0], "who joins without a flag is removed in the same PUT");
    bo.put(&open("foo"), &flag("ready", true)).await.expect(200);
    world.pass(180_000);
    let after = ada.get(&open("foo")).await.expect(200).json();
    assert_eq!(indices(&after), [0], "ready ends, and the zero timeout of inactive applies in the same evaluation");
    ada.put(&open("foo"), &flag("active", false)).await.expect(204);
    ada.get(&open("foo")).await.expect(204);
    // A reservation that ends at once is none (M-20).
    let body = creating(&json!({"reservedRemovalTimeout": 0, "readyRemovalTimeout": 0}), &json!({}));
    ada.put(&open("foo"), &body).await.expect(201);
    assert_eq!(indices(&ada.put(&open("foo"), &reserving(&[2])).await.expect(200).json()), [0]);
    assert_eq!(indices(&bo.put(&open("foo"), &flag("ready", true)).await.expect(200).json()), [0]);
    world.end().await;
}

#[rstest]
#[case::at_once(json!(0))]
#[case::later(json!(60_000))]
#[case::never(Value::Null)]
#[tokio::test]
async fn m23_w60_an_empty_session_ends_after_its_time(#[case] timeout: Value) {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let body = creating(&json!({"sessionEmptyTimeout": timeout}), &json!({}));
    let made = ada.put(&open("foo"), &body).await.expect(201).json();
    world.pass(5);
    if timeout == 0 {
        ada.put(&open("foo"), &leaving()).await.expect(204);
    } else {
        let left = ada.put(&open("foo"), &leaving()).await.expect(200);
        assert_eq!(left.json()["membersInfo"], json!({"first": 1, "next": 1, "count": 0, "accepted": 0, "active": 0}));
        next_timer(&left, timeout.as_i64().map(|wait| wait + 5));
        // Whoever comes in between stops the timer.
        world.pass(59_999);
        next_timer(&bo.put(&open("foo"), &active()).await.expect(200), None);
        world.pass(60_000);
        bo.put(&open("foo"), &leaving()).await.expect(200);
        world.pass(59_999);
        bo.get(&open("foo")).await.expect(200);
        world.pass(1);
    }
    if timeout.is_null() {
        world.pass(1_000_000_000);
        bo.get(&open("foo")).await.expect(200);
    } else {
        bo.get(&open("foo")).await.expect(204);
        // W-61: the same reference, another life.
        let again = bo.put(&open("FOO"), &active()).await.expect(201).json();
        assert_eq!(again["correlationId"], made["correlationId"], "S-23");
        assert_ne!(again["branch"], made["branch"], "S-21");
        assert_ne!(again["startTime"], made["startTime"], "S-24");
        assert_eq!((again["changeNumber"].clone(), indices(&again)), (json!(1), vec![0]));
    }
    world.end().await;
}

#[tokio::test]
async fn m29_the_earliest_of_all_timers() {
    let world = World::new().await;
    let (ada, bo, cy) = (world.user(1), world.user(2), world.user(3));
    let times = json!({"reservedRemovalTimeout": 50_000, "readyRemovalTimeout": 40_000, "inactiveRemovalTimeout": 90_000});
    let made = ada.put(&open("foo"), &creating(&times, &json!({}))).await.expect(201);
    next_timer(&made, None);
    next_timer(&ada.put(&open("foo"), &reserving(&[2])).await, Some(50_000));
    world.pass(1_000);
    next_timer(&cy.put(&open("foo"), &flag("ready", true)).await, Some(41_000));
    next_timer(&bo.put(&open("foo"), &flag("active", true)).await, Some(41_000));
    next_timer(&cy.put(&open("foo"), &flag("ready", false)).await, Some(91_000));
    next_timer(&cy.put(&open("foo"), &flag("active", true)).await, None);
    // What is due at one instant happens in one evaluation.
    ada.put(&open("foo"), &reserving(&[4, 5])).await.expect(200);
    let before = cy.put(&open("foo"), &flag("ready", true)).await.expect(200).json()["changeNumber"].as_u64();
    world.pass(50_000);
    let after = ada.get(&open("foo")).await.expect(200);
    assert_eq!(after.json()["changeNumber"].as_u64(), before.map(|number| number + 1));
    assert_eq!(indices(&after.json()), [0, 1, 2]);
    next_timer(&after, Some(141_000));
    world.end().await;
}

/// How a due session is come across.
#[derive(Clone, Copy, PartialEq)]
enum Glance {
    Get,
    Match,
    Handle,
    Query,
    Nocommit,
    Refused,
    Noop,
    Sweep,
}

#[rstest]
#[case::get(Glance::Get)]
#[case::not_modified(Glance::Match)]
#[case::handle(Glance::Handle)]
#[case::query(Glance::Query)]
#[case::nocommit(Glance::Nocommit)]
#[case::refused(Glance::Refused)]
#[case::noop(Glance::Noop)]
#[case::sweep(Glance::Sweep)]
#[tokio::test]
async fn m24_m27_every_glance_evaluates_and_to_the_same_effect(#[case] glance: Glance) {
    let world = World::new().await;
    let (ada, bo, eve) = (world.user(1), world.user(2), world.user(9));
    let times = json!({"readyRemovalTimeout": 10_000, "inactiveRemovalTimeout": 70_000});
    ada.put(&open("foo"), &creating(&times, &json!({"keywords": ["eu"], "turn": [0]}))).await.expect(201);
    let reference = json!({"scid": SCID, "templateName": "Open", "name": "foo"});
    let made = ada.post("/handles", &json!({"type": "activity", "sessionRef": reference})).await.expect(201).json();
    let handle = format!("/handles/{}/session", made["id"].as_str().expect("an id is text"));
    bo.put(&open("foo"), &flag("ready", true)).await.expect(200);
    let mut body = reserving(&[3]);
    body["properties"] = json!({"system": {"turn": [0, 1]}});
    let before = ada.put(&open("foo"), &body).await.expect(200);
    let etag = |number: u64| format!("\"{}.{number}\"", before.json()["branch"].as_str().expect("a branch is text"));
    assert_eq!(before.etag(), etag(3));
    // Ready ends late, with the reservation; both in one evaluation, and from there inactive counts (M-25).
    world.pass(45_000);
    match glance {
        Glance::Get => drop(eve.get(&open("foo")).await.expect(200)),
        Glance::Match => {
            let seen = eve.send(Method::GET, &open("foo"), &[("If-None-Match", "*")], None).await.expect(304);
            assert_eq!(seen.etag(), etag(4));
            eve.send(Method::GET, &open("foo"), &[("If-None-Match", &etag(3))], None).await.expect(200);
        }
        Glance::Handle => drop(eve.get(&handle).await.expect(200)),
        Glance::Query => assert_eq!(names(eve.get(&sessions("keyword=eu")).await), ["foo"]),
        Glance::Nocommit => {
            let path = format!("{}?nocommit=true", open("foo"));
            let asked = eve.put(&path, &active()).await.expect(200);
            assert_eq!((asked.etag(), asked.json()["changeNumber"].clone()), (etag(4), json!(5)), "R-24");
            assert_eq!(asked.json()["membersInfo"]["count"], 3);
        }
        Glance::Refused => {
            let refused = ada.put_if(&open("foo"), ("If-Match", &etag(3)), &leaving()).await.expect(412);
            assert_eq!(refused.etag(), etag(4), "E-06: what was evaluated before stays");
            eve.put(&open("foo"), &json!({"properties": {"custom": {"a": 1}}})).await.expect(403);
        }
        Glance::Noop => drop(ada.put(&open("foo"), &active()).await.expect(200)),
        Glance::Sweep => assert_eq!(world.running.directory.sweep().await.expect("the database answers"), 1),
    }
    let stored = sql(&world, "select change_number from sessions").await;
    assert_eq!(stored.as_deref(), Some("4"), "it is stored, not only shown");
    assert_eq!(world.running.directory.sweep().await.expect("the database answers"), 0, "nothing is left to do");
    let after = ada.get(&open("foo")).await.expect(200);
    let mut expected = before.json();
    expected["changeNumber"] = json!(4);
    expected["nextTimer"] = json!(shown(start_of_time() + TimeDelta::milliseconds(115_000)));
    expected["membersInfo"] = json!({"first": 0, "next": 3, "count": 2, "accepted": 2, "active": 1});
    expected["members"]["1"]["properties"]["system"] = json!({});
    expected["members"]["1"]["next"] = json!(3);
    expected["members"].as_object_mut().expect("members is an object").remove("2");
    assert_eq!((after.json(), after.etag()), (expected, etag(4)));
    world.end().await;
}

#[tokio::test]
async fn m24_a_write_settles_first_and_both_are_numbered() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let body = creating(&json!({"maxMembersCount": 2}), &json!({}));
    ada.put(&open("foo"), &body).await.expect(201);
    ada.put(&open("foo"), &reserving(&[3])).await.expect(200);
    bo.put(&open("foo"), &active()).await.expect(400);
    world.pass(30_000);
    let joined = bo.put(&open("foo"), &active()).await.expect(200).json();
    assert_eq!(joined["changeNumber"], 4, "once for the evaluation, once for the request");
    assert_eq!(indices(&joined), [0, 2]);
    // The one whose reservation is over is a stranger again.
    world.user(3).put(&open("foo"), &active()).await.expect(400);
    world.end().await;
}

#[tokio::test]
async fn m24_a_write_on_what_is_over_begins_anew() {
    let world = World::new().await;
    let (ada, server) = (world.user(1), world.server());
    let old = server.put(&open("foo"), &reserving(&[1])).await.expect(201).json();
    world.pass(30_000);
    ada.put_if(&open("foo"), ("If-Match", "*"), &active()).await.expect(412);
    let new = ada.put_if(&open("foo"), ("If-None-Match", "*"), &active()).await.expect(201).json();
    assert_ne!(new["branch"], old["branch"]);
    assert_eq!(new["startTime"], shown(start_of_time() + TimeDelta::milliseconds(30_000)), "S-24");
    let changes = world.store.load_changes(sid(&new), 10).await.expect("the log is read");
    let told: Vec<_> = changes.iter().map(|change| (change.actor.as_str(), change.deleted)).collect();
    assert_eq!(told.iter().filter(|told| **told == ("timer", true)).count(), 1, "{told:?}");
    assert_eq!(told.len(), 3);
    world.end().await;
}

/// Applies a delta of the log to a document (W-10): fields as wholes, `null` takes one away, nothing deeper than bags.
fn apply(document: &mut Value, delta: &Value) {
    fn fields(into: &mut Map<String, Value>, from: &Value, merge: &dyn Fn(&str, &mut Value, &Value) -> bool) {
        for (name, value) in from.as_object().expect("a part of a delta is an object") {
            if value.is_null() {
                into.remove(name);
            } else if !into.get_mut(name).is_some_and(|old| merge(name, old, value)) {
                into.insert(name.clone(), value.clone());
            }
        }
    }
    fn object(value: &mut Value) -> &mut Map<String, Value> {
        value.as_object_mut().expect("a part of a document is an object")
    }
    fn inner(_: &str, old: &mut Value, new: &Value) -> bool {
        let both = old.is_object() && new.is_object();
        if both {
            fields(object(old), new, &|_, _, _| false);
        }
        both
    }
    fn bag(_: &str, old: &mut Value, new: &Value) -> bool {
        fields(object(old), new, &inner);
        true
    }
    fn member(name: &str, old: &mut Value, new: &Value) -> bool {
        ["constants", "properties"].contains(&name) && bag(name, old, new)
    }
    fn members(_: &str, old: &mut Value, new: &Value) -> bool {
        fields(object(old), new, &member);
        true
    }
    fields(object(document), delta, &|name, old, new| match name {
        "properties" => bag(name, old, new),
        "members" => {
            fields(object(old), new, &members);
            true
        }
        _ => false,
    });
}

#[tokio::test]
async fn w10_the_log_tells_the_whole_story() {
    let world = World::new().await;
    let (ada, bo, cy) = (world.user(1), world.user(2), world.user(3));
    let mut body = creating(&json!({"inactiveRemovalTimeout": 60_000}), &json!({"keywords": ["eu"]}));
    body["properties"]["custom"] = json!({"map": "harbor", "deep": {"a": 1, "b": [1, null]}, "n": 1.5e300});
    let mut documents = vec![ada.put(&open("foo"), &body).await.expect(201)];
    let steps: Vec<(u64, &Actor, Value)> = vec![
        (0, &ada, reserving(&[2, 3])),
        (0, &ada, json!({"properties": {"custom": {"deep": {"a": 2}, "map": null, "new": "x"}, "system": {"closed": true}}})),
        (10, &bo, joining("ready")),
        (0, &bo, json!({"members": {"me": {"properties": {"custom": {"a": {"b": null}}}}}})),
        (0, &bo, json!({"members": {"me": {"properties": {"custom": {"a": {"c": 1}, "z": "text"}}}}})),
        (0, &ada, json!({"properties": {"custom": "a bare string", "system": {"closed": false, "turn": [0, 1]}}})),
        (0, &ada, json!({"properties": {"custom": {"again": {"an": "object"}}}})),
        (40_000, &ada, json!({"properties": {"system": {"keywords": null}}})),
        (200_000, &bo, active()),
        (0, &cy, json!({"members": {"me": {"constants": {"custom": {"k": 1}}, "properties": {"system": {"active": true}}}}})),
        (0, &bo, leaving()),
        (0, &ada, json!({"properties": {"custom": null}})),
        (0, &cy, flag("active", false)),
    ];
    for (ms, actor, body) in steps {
        world.pass(ms);
        documents.push(actor.put(&open("foo"), &body).await.expect(200));
    }
    world.pass(60_000);
    documents.push(ada.get(&open("foo")).await.expect(200));

    let last = documents.last().expect("there are some").json();
    let changes = world.store.load_changes(sid(&last), 100).await.expect("the log is read");
    assert_eq!(changes.len() as u64, last["changeNumber"].as_u64().expect("a number"), "every change has its row");
    let delta = |n: usize| -> Value {
        let text = changes[n].delta.as_deref().expect("only an end has no delta");
        serde_json::from_str(text).expect("a delta is JSON")
    };
    let mut replayed = delta(0);
    let mut seen = documents.iter().map(Answer::json).peekable();
    for (n, (change, number)) in changes.iter().zip(1..).enumerate() {
        assert_eq!((change.change_number, change.deleted), (number, false));
        if n > 0 {
            apply(&mut replayed, &delta(n));
        }
        // Some changes were seen by nobody: what was settled on the way to a write.
        while let Some(document) = seen.next_if(|document| document["changeNumber"] == number) {
            assert_eq!(replayed, document, "after change {number}");
        }
    }
    assert_eq!(seen.next(), None);
    assert!(changes.iter().any(|change| change.actor == "timer"));

    ada.put(&open("foo"), &leaving()).await.expect(204);
    let changes = world.store.load_changes(sid(&last), 100).await.expect("the log is read");
    let end = changes.last().expect("there are some");
    assert_eq!((end.deleted, end.delta.as_deref(), end.actor.as_str()), (true, None, "xuid:1"));
    world.end().await;
}

#[tokio::test]
async fn s05_spellings_of_creation_are_echoed() {
    let world = World::new().await;
    let ada = world.user(1);
    let upper = format!("/serviceconfigs/{}/SESSIONTEMPLATES/oPEN/Sessions/FoO", SCID.to_uppercase());
    let made = ada.put(&upper, &active()).await.expect(201);
    let location = format!("/serviceconfigs/{}/sessiontemplates/Open/sessions/FoO", SCID.to_uppercase());
    assert_eq!(made.header("content-location"), Some(location.as_str()));
    let read = ada.get(&open("foo")).await.expect(200);
    assert_eq!((read.header("content-location"), &read.text), (Some(location.as_str()), &made.text));
    let joined = world.user(2).put(&open("fOO"), &active()).await.expect(200);
    assert_eq!(joined.header("content-location"), Some(location.as_str()), "by whatever name it is written");
    let found = crate::story::results(ada.get(&sessions("xuid=1")).await);
    assert_eq!(found[0]["sessionRef"], json!({"scid": SCID.to_uppercase(), "templateName": "Open", "name": "FoO"}));

    let lower = json!({"type": "activity", "sessionRef": {"scid": SCID, "templateName": "open", "name": "foo"}});
    let made = ada.post("/handles", &lower).await.expect(201).json();
    assert_eq!(made["sessionRef"], found[0]["sessionRef"]);
    let queried = ada.post("/handles/query", &json!({"type": "activity", "scid": SCID, "owners": {"xuids": ["1"]}})).await;
    assert_eq!(crate::story::results(queried)[0]["sessionRef"], found[0]["sessionRef"]);
    world.end().await;
}

#[tokio::test]
async fn s07_s20_to_s30_s60_what_every_document_tells() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let made = ada.put(&open("Foo"), &creating(&json!({"version": 3}), &json!({}))).await.expect(201).json();
    assert_eq!(made["contractVersion"], 307, "S-20");
    let reference = SessionReference {
        scid: Scid::parse(SCID).expect("the scid is a GUID"),
        template: TemplateName::parse("oPEN").expect("it is a name"),
        name: SessionName::parse("fOO").expect("it is a name"),
    };
    assert_eq!(made["correlationId"], reference.sid().to_string(), "S-23: by the reference in lower case");
    assert_eq!(made["startTime"], "2031-04-05T18:00:00.1230000Z", "S-07");
    assert_eq!(made["membersInfo"], json!({"first": 0, "next": 1, "count": 1, "accepted": 1, "active": 1}), "S-30");
    assert_eq!(made["changeNumber"], 1, "S-22");
    for name in ["branch", "correlationId"] {
        let guid = made[name].as_str().expect("a GUID is text");
        assert_eq!((guid.len(), guid.to_lowercase().as_str()), (36, guid), "S-12");
    }
    world.pass(1);
    ada.put(&open("foo"), &reserving(&[2, 3])).await.expect(200);
    bo.put(&open("foo"), &active()).await.expect(200);
    let later = ada.put(&open("foo"), &leaving()).await.expect(200).json();
    assert_eq!((&later["branch"], &later["startTime"]), (&made["branch"], &made["startTime"]), "S-21, S-24");
    assert_eq!(later["changeNumber"], 4);
    assert_eq!(later["membersInfo"], json!({"first": 1, "next": 3, "count": 2, "accepted": 1, "active": 1}));
    assert_eq!((&later["members"]["1"]["next"], &later["members"]["2"]["next"]), (&json!(2), &json!(3)), "S-60");
    assert_eq!(later["members"]["2"]["joinTime"], "2031-04-05T18:00:00.1240000Z", "S-64");
    // The walk from first by next meets every member and ends at next.
    let (mut at, mut walked) = (later["membersInfo"]["first"].as_u64().expect("an index"), Vec::new());
    while at != later["membersInfo"]["next"] {
        walked.push(at);
        at = later["members"][at.to_string()]["next"].as_u64().expect("an index");
    }
    assert_eq!(walked, indices(&later));
    world.end().await;
}

#[tokio::test]
async fn w47_nothing_acknowledged_is_lost_when_the_queue_is_short() {
    let mut choices = Choices::default();
    choices.options.queue_per_session = 1;
    let world = World::with(choices).await;
    let ada = world.user(1);
    ada.put(&open("foo"), &active()).await.expect(201);
    let write = async |n: usize| {
        let answer = ada.put(&open("foo"), &json!({"properties": {"custom": {format!("n{n}"): n}}})).await;
        (n, answer)
    };
    let (mut kept, mut refused) = (Vec::new(), 0);
    for round in 0..20 {
        for (n, answer) in futures_util::future::join_all((0..24).map(|n| write(round * 24 + n))).await {
            match answer.status {
                200 => kept.push(n),
                503 => {
                    assert!(answer.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()), "{answer:?}");
                    refused += 1;
                }
                _ => panic!("{answer:?}"),
            }
        }
        if refused > 0 && !kept.is_empty() {
            break;
        }
    }
    assert!(refused > 0, "24 writes at once fit into a queue of one");
    let stored = ada.get(&open("foo")).await.expect(200).json();
    let custom = stored["properties"]["custom"].as_object().expect("custom is an object");
    let mut found: Vec<String> = custom.values().map(Value::to_string).collect();
    found.sort_unstable();
    let mut told: Vec<String> = kept.iter().map(usize::to_string).collect();
    told.sort_unstable();
    assert_eq!(found, told, "what was acknowledged, and nothing else");
    assert_eq!(stored["changeNumber"], kept.len() + 1);
    world.end().await;
}

#[tokio::test]
async fn m25_timers_outlive_the_process() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let card = session("Card", "foo");
    ada.put(&card, &active()).await.expect(201);
    bo.put(&card, &flag("ready", true)).await.expect(200);
    world.pass(100_000);
    let World { running, database, clock, .. } = world;
    running.stop().await;
    let store = connect(&database).await;
    let world = World::over(database, store, clock, Choices::default()).await;
    let ada = world.user(1);
    world.pass(79_999);
    next_timer(&ada.get(&card).await, Some(180_000));
    world.pass(1);
    next_timer(&ada.get(&card).await, Some(180_000 + 7_200_000));
    world.pass(7_200_000);
    assert_eq!(world.running.directory.sweep().await.expect("the database answers"), 1);
    assert_eq!(indices(&ada.get(&card).await.json()), [0]);
    world.end().await;
}

#[tokio::test]
async fn w47_lives_of_one_name_follow_each_other() {
    let world = World::new().await;
    let ada = world.user(1);
    for _ in 0..8 {
        let (joins, leaves) = (active(), leaving());
        let path = open("foo");
        let (one, two, three, four) = tokio::join!(
            ada.put(&path, &joins),
            ada.put(&path, &leaves),
            ada.put_if(&path, ("If-None-Match", "*"), &joins),
            ada.delete("/handles/nonsense"),
        );
        assert!([200, 201].contains(&one.status), "{one:?}");
        assert_eq!(two.status, 204, "{two:?}");
        assert!([201, 412].contains(&three.status), "{three:?}");
        four.expect(404);
        ada.put(&path, &leaves).await.expect(204);
    }
    // Every life in the log begins with 1, counts up by one and ends.
    let rows = "select count(*) filter (where n <> change_number) || ' ' || count(*) filter (where last and not deleted)
        from (select change_number, deleted, row_number() over life as n, lead(change_number) over life is null as last
        from changes window life as (partition by branch order by change_number)) told";
    assert_eq!(sql(&world, rows).await.as_deref(), Some("0 0"));
    world.end().await;
}
