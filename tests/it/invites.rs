//! Invites: sending, reading, following and deleting them (H).

use chrono::TimeDelta;
use openmpsd::domain::names::TitleId;
use openmpsd::domain::principal::{Principal, User};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::acting::{acting, denied};
use crate::handles::{handle, id, through};
use crate::harness::{Actor, Choices, SCID, TITLE, World, player};
use crate::story::{active, creating, leaving, open, reserving, results, sql};

/// The id of no handle.
pub const UNKNOWN: &str = "6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01";
/// How long an invite lives, in milliseconds.
pub const DAY: u64 = 86_400_000;

/// The body that invites a user into a session of the open template.
fn inviting(name: &str, invited: u64) -> Value {
    json!({
        "type": "invite", "version": 1, "sessionRef": {"scid": SCID, "templateName": "Open", "name": name},
        "invitedXuid": invited.to_string(),
    })
}

/// The same with `inviteAttributes`.
fn saying(name: &str, attributes: &Value) -> Value {
    let mut body = inviting(name, 2);
    body["inviteAttributes"] = attributes.clone();
    body
}

/// Sends an invite into a session of the open template and returns its id.
pub async fn invite(sender: &Actor, name: &str, invited: u64) -> String {
    id(sender.post("/handles", &inviting(name, invited)).await)
}

/// The ids of a user's inbox.
pub async fn inbox(actor: &Actor, query: &str) -> Vec<String> {
    let items = results(actor.get(&format!("/users/me/invites{query}")).await);
    items.iter().map(|item| item["id"].as_str().expect("an id is text").to_owned()).collect()
}

#[tokio::test]
async fn h30_h33_h35_r50_the_whole_document_comes_back() {
    let world = World::new().await;
    let (ada, bo, eve) = (world.user(1), world.user(2), world.user(9));
    ada.put(&open("Foo"), &creating(&json!({"inviteProtocol": "game"}), &json!({}))).await.expect(201);
    let etag = ada.get(&open("Foo")).await.etag();
    world.pass(5);
    let attributes = json!({
        "titleId": 7, "context": "team%3Dblue", "contextString": "///customstring", "senderString": "", "other": 1,
    });
    let mut body = saying("foo", &attributes);
    (body["type"], body["invitedXuid"], body["more"]) = (json!("INVITE"), json!(2), json!({"a": 1}));
    body["sessionRef"]["templateName"] = json!("oPEN");
    let made = ada.post("/handles", &body).await.expect(201);
    assert_eq!(made.header("cache-control"), Some("no-cache"));
    let made = made.json();
    let a = made["id"].as_str().expect("an id is text");
    assert_eq!((a.len(), a.to_ascii_lowercase().as_str()), (36, a), "S-12");
    let expected = json!({
        "id": a, "type": "invite", "version": 1, "sessionRef": {"scid": SCID, "templateName": "Open", "name": "Foo"},
        "senderXuid": "1", "invitedXuid": "2",
        "inviteAttributes": {
            "titleId": "7", "context": "team%3Dblue", "contextString": "///customstring", "senderString": "",
        },
        "inviteProtocol": "game", "expiration": "2031-04-06T18:00:00.1280000Z", "gameTypes": {},
        "inviteInfo": {
            "sender": "Player1", "senderModernGamertag": "Player1", "senderModernGamertagSuffix": "",
            "senderUniqueModernGamertag": "Player1", "senderImageUrl": "",
        },
    });
    assert_eq!(made, expected, "H-06: numbers come back as strings");
    for actor in [&ada, &bo, &eve, &world.server()] {
        assert_eq!(actor.get(&handle(&a.to_uppercase())).await.expect(200).json(), expected, "R-51, R-57");
    }
    assert_eq!(results(bo.get("/users/me/invites").await), std::slice::from_ref(&expected));

    // With what was asked for beside it (H-05), asked for when it is made and later.
    let all = "?include=relatedInfo,customProperties,roleInfo,activityInfo";
    let again = ada.post(&format!("/handles{all}"), &inviting("foo", 2)).await.expect(201).json();
    assert_eq!((&again["relatedInfo"]["inviteProtocol"], &again["customProperties"]), (&json!("game"), &json!({})));
    assert_eq!((&again["activityInfo"]["titleId"], &again["roleInfo"]["roleTypes"]), (&json!(TITLE.to_string()), &json!({})));
    let shown = bo.get(&format!("{}{all}", handle(again["id"].as_str().expect("an id is text")))).await.expect(200).json();
    assert_eq!(shown, again);
    assert_eq!(ada.get(&open("foo")).await.etag(), etag, "an invite is no change of the session");
    world.end().await;
}

#[tokio::test]
async fn h30_h33_what_is_not_known_is_left_out_or_empty() {
    let world = World::new().await;
    let nameless = world.actor(Principal::User(User { gamertag: None, title_id: None, ..player(1) }));
    nameless.put(&open("foo"), &active()).await.expect(201);
    let made = nameless.post("/handles", &inviting("foo", 2)).await.expect(201).json();
    for absent in ["inviteAttributes", "inviteProtocol", "relatedInfo", "customProperties", "roleInfo", "activityInfo"] {
        assert_eq!(made.get(absent), None, "{absent}");
    }
    let info = made["inviteInfo"].as_object().expect("inviteInfo is an object");
    assert_eq!(info.len(), 5);
    assert!(info.values().all(|text| text == ""), "{info:?}");
    // nothing comes back as null.
    let nulls = json!({"titleId": null, "context": null, "contextString": null, "senderString": null});
    let made = nameless.post("/handles", &saying("foo", &nulls)).await.expect(201).json();
    assert_eq!(made["inviteAttributes"], json!({}));
    let made = nameless.post("/handles", &saying("foo", &Value::Null)).await.expect(201).json();
    assert_eq!(made.get("inviteAttributes"), None);
    world.end().await;
}

#[tokio::test]
async fn h31_a_context_is_as_long_as_it_is_in_a_uri() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("foo"), &active()).await.expect(201);
    for (context, status) in [
        (String::new(), 201),
        ("a".repeat(256), 201),
        ("a".repeat(257), 400),
        ("~-._".repeat(64), 201),
        ("/:?#[]@!$&'()*+,;=".repeat(14), 201),
        (" ".repeat(85), 201),
        (" ".repeat(85) + "a", 201),
        (" ".repeat(86), 400),
        ("%20".repeat(85) + "a", 201),
        ("%20".repeat(85) + "%2a", 400),
        ("%2B%2b".repeat(42), 201),
        ("%".repeat(85), 201),
        ("%".repeat(86), 400),
        ("%2".repeat(64), 201),
        ("%2".repeat(65), 400),
        ("\"".repeat(86), 400),
        ("é".repeat(42), 201),
        ("é".repeat(43), 400),
        ("🎲".repeat(21), 201),
        ("🎲".repeat(22), 400),
    ] {
        let answer = ada.post("/handles", &saying("foo", &json!({"context": context}))).await;
        assert_eq!(answer.status, status, "{context} {answer:?}");
        if status == 201 {
            assert_eq!(answer.json()["inviteAttributes"]["context"], json!(context), "opaque");
        } else {
            assert!(answer.text.starts_with("inviteAttributes.context: "), "E-02: {answer:?}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn h30_h31_bad_invites_are_refused_by_name() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("foo"), &active()).await.expect(201);
    let with = |name: &str, value: Value| {
        let mut body = inviting("foo", 2);
        body[name] = value;
        body
    };
    for (body, named) in [
        (with("invitedXuid", Value::Null), "invitedXuid"),
        (with("invitedXuid", json!("ada")), "invitedXuid"),
        (with("invitedXuid", json!(-1)), "invitedXuid"),
        (with("invitedXuid", json!(["2", "3"])), "invitedXuid"),
        (json!({"type": "invite", "sessionRef": inviting("foo", 2)["sessionRef"]}), "invitedXuid"),
        (with("version", json!(2)), "version"),
        (with("inviteAttributes", json!("text")), "inviteAttributes"),
        (saying("foo", &json!({"titleId": "minesweeper"})), "inviteAttributes.titleId"),
        (saying("foo", &json!({"titleId": true})), "inviteAttributes.titleId"),
        (saying("foo", &json!({"context": 1})), "inviteAttributes.context"),
        (saying("foo", &json!({"context": "a\u{0}b"})), "inviteAttributes.context"),
        (saying("foo", &json!({"contextString": {}})), "inviteAttributes.contextString"),
        (saying("foo", &json!({"senderString": []})), "inviteAttributes.senderString"),
        (saying("foo", &json!({"senderString": "x".repeat(1025)})), "inviteAttributes.senderString"),
        (with("sessionRef", json!({"scid": "x", "templateName": "Open", "name": "foo"})), "sessionRef.scid"),
    ] {
        let refused = ada.post("/handles", &body).await.expect(400);
        assert!(refused.text.starts_with(&format!("{named}: ")), "{body} {refused:?}");
    }
    assert_eq!(sql(&world, "select count(*) from handles").await.as_deref(), Some("0"), "E-06");
    world.end().await;
}

#[tokio::test]
async fn h32_accepted_members_and_servers_invite() {
    let world = World::new().await;
    let (ada, bo, cy, eve) = (world.user(1), world.user(2), world.user(3), world.user(9));
    let body = creating(&json!({"inactiveRemovalTimeout": null, "maxMembersCount": 4}), &json!({}));
    ada.put(&open("foo"), &body).await.expect(201);
    bo.put(&open("foo"), &json!({"members": {"me": {}}})).await.expect(200);
    ada.put(&open("foo"), &reserving(&[3])).await.expect(200);
    for actor in [&ada, &bo, &world.server()] {
        actor.post("/handles", &inviting("foo", 7)).await.expect(201);
    }
    for actor in [&cy, &eve, &world.admin()] {
        actor.post("/handles", &inviting("foo", 7)).await.expect(403);
    }
    // who may read the session is shown it.
    assert_eq!(eve.post("/handles", &inviting("foo", 7)).await.json()["membersInfo"]["count"], 3);
    // Full, closed and locked doors do not keep anybody from inviting.
    cy.put(&open("foo"), &active()).await.expect(200);
    world.user(4).put(&open("foo"), &active()).await.expect(200);
    ada.put(&open("foo"), &json!({"properties": {"system": {"closed": true, "locked": true}}})).await.expect(200);
    bo.post("/handles", &inviting("foo", 7)).await.expect(201);
    bo.put(&open("foo"), &leaving()).await.expect(200);
    bo.post("/handles", &inviting("foo", 7)).await.expect(403);
    for actor in [&ada, &world.server(), &eve] {
        actor.post("/handles", &inviting("nowhere", 7)).await.expect(404);
    }
    let unnamed = json!({"type": "invite", "sessionRef": {"scid": SCID, "templateName": "Open"}, "invitedXuid": "7"});
    ada.post("/handles", &unnamed).await.expect(404);
    world.end().await;
}

#[rstest]
#[case::owners_only(json!({}), 403)]
#[case::everybody(json!({"allowNonOwnerInviteHandles": true}), 201)]
#[tokio::test]
async fn h32_m90_in_a_session_with_owners(#[case] policies: Value, #[case] status: u16) {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let constants = json!({"capabilities": {"hasOwners": true}, "ownershipPolicies": policies});
    ada.put(&open("foo"), &creating(&constants, &json!({}))).await.expect(201);
    bo.put(&open("foo"), &active()).await.expect(200);
    ada.post("/handles", &inviting("foo", 7)).await.expect(201);
    bo.post("/handles", &inviting("foo", 7)).await.expect(status);
    world.server().post("/handles", &inviting("foo", 7)).await.expect(201);
    ada.put(&open("foo"), &json!({"properties": {"system": {"owners": [1]}}})).await.expect(200);
    bo.post("/handles", &inviting("foo", 7)).await.expect(201);
    ada.post("/handles", &inviting("foo", 7)).await.expect(status);
    world.end().await;
}

#[rstest]
#[case::small(json!({}))]
#[case::large(json!({"capabilities": {"large": true}, "maxMembersCount": 200}))]
#[tokio::test]
async fn h36_a41_nobody_invites_whom_a_block_lies_between(#[case] constants: Value) {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("foo"), &creating(&constants, &json!({}))).await.expect(201);
    world.user(2).put(&open("foo"), &active()).await.expect(200);
    for (blocker, blocked) in [(1, 5), (6, 1), (2, 7), (8, 2)] {
        world.store.put_block(blocker, blocked).await.expect("the edge is stored");
    }
    ada.post("/handles", &inviting("foo", 5)).await.expect(403);
    ada.post("/handles", &inviting("foo", 6)).await.expect(403);
    for invited in [7, 8] {
        ada.post("/handles", &inviting("foo", invited)).await.expect(201);
    }
    world.server().post("/handles", &inviting("foo", 5)).await.expect(201);
    acting(&world, &[1]).post("/handles", &inviting("foo", 5)).await.expect(403);
    acting(&world, &[3, 1]).post("/handles", &inviting("foo", 6)).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn h32_r16_servers_invite_for_themselves_and_for_users() {
    let world = World::new().await;
    world.user(1).put(&open("foo"), &active()).await.expect(201);
    world.user(2).put(&open("foo"), &active()).await.expect(200);
    let body = inviting("foo", 7);
    let own = world.server().post("/handles", &body).await.expect(201).json();
    assert_eq!((own.get("senderXuid"), &own["inviteInfo"]["sender"]), (None, &json!("")));
    let one = acting(&world, &[1]).post("/handles", &body).await.expect(201).json();
    assert_eq!(one["senderXuid"], "1");
    let stranger = acting(&world, &[3]).post("/handles", &body).await.expect(201).json();
    assert_eq!(stranger["senderXuid"], "3", "the server's own rights come on top");
    let two = acting(&world, &[1, 2]).post("/handles", &body).await.expect(201).json();
    assert_eq!(two.get("senderXuid"), None, "several do not send one invite");

    let one = denied(&world, &[1]).post("/handles", &body).await.expect(201).json();
    assert_eq!(one["senderXuid"], "1");
    denied(&world, &[3]).post("/handles", &body).await.expect(403);
    denied(&world, &[1, 2]).post("/handles", &body).await.expect(403);
    // Who may delete what a server sent: a server, and the one it was sent to.
    let sent = own["id"].as_str().expect("an id is text");
    world.user(1).delete(&handle(sent)).await.expect(403);
    denied(&world, &[1, 2]).delete(&handle(sent)).await.expect(403);
    denied(&world, &[1, 7]).delete(&handle(sent)).await.expect(204);
    let of_two = two["id"].as_str().expect("an id is text");
    world.server().delete(&handle(of_two)).await.expect(204);
    world.end().await;
}

#[tokio::test]
async fn h07_h08_who_reads_and_who_deletes_an_invite() {
    let world = World::new().await;
    let (ada, bo, cy, eve) = (world.user(1), world.user(2), world.user(3), world.user(9));
    ada.put(&open("foo"), &creating(&json!({"visibility": "private"}), &json!({}))).await.expect(201);
    ada.put(&open("foo"), &reserving(&[3])).await.expect(200);
    cy.put(&open("foo"), &active()).await.expect(200);
    let first = invite(&ada, "foo", 2).await;
    for actor in [&ada, &bo, &cy, &world.server()] {
        let shown = actor.get(&format!("{}?include=relatedInfo", handle(&first))).await.expect(200).json();
        assert_eq!(shown["relatedInfo"]["visibility"], "private");
    }
    let refused = eve.get(&handle(&first)).await.expect(403);
    assert!(!refused.text.contains("foo"), "{refused:?}");
    world.admin().get(&handle(&first)).await.expect(403);
    for actor in [&cy, &eve, &world.admin()] {
        actor.delete(&handle(&first)).await.expect(403);
    }
    let etag = ada.get(&open("foo")).await.etag();
    // The title does not matter, unlike with an activity.
    let elsewhere = world.actor(Principal::User(User { title_id: Some(TitleId(7)), ..player(1) }));
    for (number, actor) in [&elsewhere, &bo, &world.server()].into_iter().enumerate() {
        let sent = if number == 0 { first.clone() } else { invite(&ada, "foo", 2).await };
        assert_eq!(actor.delete(&handle(&sent)).await.expect(204).text, "", "R-52");
        for gone in [&sent, UNKNOWN, "nonsense"] {
            actor.delete(&handle(gone)).await.expect(404);
            actor.get(&handle(gone)).await.expect(404);
        }
    }
    assert_eq!(ada.get(&open("foo")).await.etag(), etag);
    world.end().await;
}

#[tokio::test]
async fn h34_an_invite_lives_a_day() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("foo"), &active()).await.expect(201);
    let a = invite(&ada, "foo", 2).await;
    world.pass(DAY - 1);
    bo.get(&handle(&a)).await.expect(200);
    bo.get(&through(&a)).await.expect(200);
    assert_eq!(inbox(&bo, "").await, std::slice::from_ref(&a));
    assert_eq!(world.running.directory.drop_expired_handles().await.expect("the database answers"), 0);
    world.pass(1);
    for actor in [&ada, &bo, &world.server()] {
        actor.get(&handle(&a)).await.expect(404);
        actor.delete(&handle(&a)).await.expect(404);
        actor.get(&through(&a)).await.expect(404);
        actor.put(&through(&a), &active()).await.expect(404);
    }
    assert_eq!(inbox(&bo, "").await, Vec::<String>::new());
    bo.delete(&format!("/users/me/invites/{a}")).await.expect(404);
    assert_eq!(world.running.directory.drop_expired_handles().await.expect("the database answers"), 1);
    assert_eq!(sql(&world, "select count(*) from handles").await.as_deref(), Some("0"));
    world.end().await;
}

#[tokio::test]
async fn h34_how_long_an_invite_lives_can_be_set() {
    let mut choices = Choices::default();
    choices.options.limits.invite = TimeDelta::minutes(1);
    let world = World::with(choices).await;
    let ada = world.user(1);
    ada.put(&open("foo"), &active()).await.expect(201);
    let made = ada.post("/handles", &inviting("foo", 2)).await.expect(201).json();
    assert_eq!(made["expiration"], "2031-04-05T18:01:00.1230000Z");
    world.pass(60_000);
    ada.get(&handle(made["id"].as_str().expect("an id is text"))).await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn h34_h45_h46_an_invite_outlives_its_session() {
    let world = World::new().await;
    let (ada, bo, eve) = (world.user(1), world.user(2), world.user(9));
    ada.put(&open("Foo"), &creating(&json!({"inviteProtocol": "game"}), &json!({}))).await.expect(201);
    let a = invite(&ada, "foo", 2).await;
    ada.put(&open("foo"), &leaving()).await.expect(204);
    for actor in [&ada, &bo, &world.server()] {
        assert_eq!(actor.get(&handle(&a)).await.expect(200).json()["inviteProtocol"], "game");
        assert_eq!(actor.get(&through(&a)).await.expect(204).text, "");
    }
    eve.get(&handle(&a)).await.expect(403);
    assert_eq!(inbox(&bo, "").await, std::slice::from_ref(&a));
    bo.put_if(&through(&a), ("If-Match", "*"), &active()).await.expect(404);
    bo.put_if(&through(&a), ("If-Match", "\"x.1\""), &active()).await.expect(404);
    bo.put(&format!("{}?nocommit=true", through(&a)), &active()).await.expect(201);
    bo.get(&through(&a)).await.expect(204);
    let made = bo.put(&through(&a), &creating(&json!({}), &json!({"joinRestriction": "local"}))).await.expect(201);
    let location = format!("/serviceconfigs/{SCID}/sessiontemplates/Open/sessions/Foo");
    assert_eq!(made.header("content-location"), Some(location.as_str()));
    // It leads to the new session, and lets in only the one it invites.
    ada.put(&through(&a), &active()).await.expect(403);
    ada.get(&through(&a)).await.expect(200);
    bo.put(&through(&a), &leaving()).await.expect(204);
    world.user(3).put(&open("foo"), &creating(&json!({}), &json!({"joinRestriction": "local"}))).await.expect(201);
    bo.put(&through(&a), &active()).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn h34_m24_an_invite_outlives_a_session_that_nobody_deletes() {
    let world = World::new().await;
    world.server().put(&open("foo"), &reserving(&[1])).await.expect(201);
    let a = invite(&world.server(), "foo", 2).await;
    world.pass(30_000);
    world.user(2).get(&through(&a)).await.expect(204);
    assert_eq!(sql(&world, "select count(*) from sessions").await.as_deref(), Some("0"));
    world.user(2).get(&handle(&a)).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn h34_an_invite_that_was_sent_stays_even_if_the_session_ends_with_it() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let (path, body, leaves) = (open("foo"), inviting("foo", 2), leaving());
    for round in 0..24 {
        ada.put(&path, &active()).await.expect(201);
        // What queues up while something else is committed is decided together.
        let busy = json!({"properties": {"custom": {"n": round}}});
        let leaving = async {
            ada.put(&path, &busy).await.expect(200);
            ada.put(&path, &leaves).await
        };
        let invites = futures_util::future::join_all((0..8).map(|_| ada.post("/handles", &body)));
        let (sent, left) = tokio::join!(invites, leaving);
        left.expect(204);
        for answer in sent {
            // Asked about a session that has just ended it is 404.
            if answer.status != 404 {
                bo.get(&handle(&id(answer))).await.expect(200);
            }
        }
    }
    world.end().await;
}

#[tokio::test]
async fn h34_h41_h48_joining_does_not_consume_an_invite() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("foo"), &creating(&json!({}), &json!({"joinRestriction": "local", "readRestriction": "local"})))
        .await
        .expect(201);
    let a = invite(&ada, "foo", 2).await;
    bo.get(&open("foo")).await.expect(403);
    bo.put(&open("foo"), &active()).await.expect(403);
    let asked = bo.put(&format!("{}?nocommit=true", through(&a)), &active()).await.expect(200);
    assert_eq!(asked.json()["membersInfo"]["count"], 2);
    for count in [2, 2] {
        let read = bo.get(&through(&a)).await.expect(200);
        bo.send(Method::GET, &through(&a), &[("If-None-Match", &read.etag())], None).await.expect(304);
        let joined = bo.put_if(&through(&a), ("If-Match", "*"), &active()).await.expect(200);
        let location = format!("/serviceconfigs/{SCID}/sessiontemplates/Open/sessions/foo");
        assert_eq!(joined.header("content-location"), Some(location.as_str()), "H-47");
        assert_eq!(joined.json()["membersInfo"]["count"], count);
        bo.put_if(&through(&a), ("If-Match", &read.etag()), &active()).await.expect(412);
        bo.put(&through(&a), &leaving()).await.expect(200);
        bo.put_if(&through(&a), ("If-None-Match", "*"), &active()).await.expect(412);
    }
    world.end().await;
}

/// What Bo, who is invited, and Eve, who is not, may do through the invite: read, and join. The session is shown with a refusal to
/// whoever may read it.
#[rstest]
#[case::free(json!({}), json!({}), (200, 200), (200, 200))]
#[case::local(json!({}), json!({"joinRestriction": "local", "readRestriction": "local"}), (200, 200), (403, 403))]
#[case::followed(json!({}), json!({"joinRestriction": "followed", "readRestriction": "followed"}), (200, 200), (403, 403))]
#[case::local_to_join(json!({}), json!({"joinRestriction": "local"}), (200, 200), (200, 403))]
#[case::visible(json!({"visibility": "visible"}), json!({}), (200, 403), (200, 403))]
#[case::visible_local(json!({"visibility": "visible"}), json!({"joinRestriction": "local", "readRestriction": "local"}), (200, 403), (403, 403))]
#[case::private(json!({"visibility": "private"}), json!({}), (200, 403), (403, 403))]
#[case::closed(json!({}), json!({"closed": true, "joinRestriction": "local", "readRestriction": "local"}), (200, 403), (403, 403))]
#[case::closed_only(json!({}), json!({"closed": true}), (200, 403), (200, 403))]
#[case::locked(json!({}), json!({"closed": true, "locked": true}), (200, 403), (200, 403))]
#[case::full(json!({"maxMembersCount": 1}), json!({"joinRestriction": "local", "readRestriction": "local"}), (200, 400), (403, 403))]
#[case::blocked(json!({"capabilities": {"hasOwners": true}}), json!({"joinRestriction": "local", "readRestriction": "local"}), (200, 403), (403, 403))]
#[tokio::test]
async fn h41_what_an_invite_opens(
    #[case] constants: Value,
    #[case] system: Value,
    #[case] invited: (u16, u16),
    #[case] other: (u16, u16),
) {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("foo"), &creating(&constants, &system)).await.expect(201);
    let a = invite(&ada, "foo", 2).await;
    if constants.get("capabilities").is_some() {
        world.store.put_block(1, 2).await.expect("the edge is stored");
    }
    let nothing = json!({"properties": {"custom": {"a": 1}}});
    for (xuid, (reads, joins)) in [(9, other), (2, invited)] {
        let actor = world.user(xuid);
        let read = actor.get(&through(&a)).await.expect(reads);
        assert_eq!(actor.get(&handle(&a)).await.status, reads, "H-07");
        for (body, status) in [(&nothing, 403), (&active(), joins)] {
            let wrote = actor.put(&through(&a), body).await.expect(status);
            assert_eq!(wrote.text.starts_with('{'), reads == 200 && status != 400, "{wrote:?}");
            assert_eq!(wrote.header("etag").is_some(), wrote.text.starts_with('{'));
            if status == 403 && reads == 200 {
                assert_eq!(wrote.etag(), read.etag());
            }
        }
        actor.put(&through(&a), &leaving()).await;
    }
    world.end().await;
}

#[tokio::test]
async fn h41_h44_only_the_invited_and_only_through_the_invite() {
    let world = World::new().await;
    let (ada, bo, cy) = (world.user(1), world.user(2), world.user(3));
    ada.put(&open("foo"), &creating(&json!({}), &json!({"joinRestriction": "local", "readRestriction": "local"})))
        .await
        .expect(201);
    let (to_bo, to_cy) = (invite(&ada, "foo", 2).await, invite(&ada, "foo", 3).await);
    bo.get(&through(&to_cy)).await.expect(403);
    bo.put(&through(&to_cy), &active()).await.expect(403);
    bo.get(&open("foo")).await.expect(403);
    // Servers that act for the invited have what the invited has.
    let both = json!({"members": {"me_all": {"properties": {"system": {"active": true}}}}});
    denied(&world, &[3]).get(&through(&to_bo)).await.expect(403);
    denied(&world, &[3, 2]).get(&through(&to_bo)).await.expect(200);
    denied(&world, &[3, 2]).put(&through(&to_bo), &both).await.expect(403);
    denied(&world, &[2]).put(&through(&to_bo), &active()).await.expect(200);
    // Who is in already may bring somebody along no more than by the session's own path.
    denied(&world, &[3, 2]).put(&through(&to_bo), &both).await.expect(403);
    cy.put(&through(&to_cy), &active()).await.expect(200);
    // Members need no invite.
    ada.put(&through(&to_cy), &json!({"properties": {"custom": {"a": 1}}})).await.expect(200);
    let without = world.actor(Principal::User(User { multiplayer: false, ..player(5) }));
    let to_five = invite(&ada, "foo", 5).await;
    without.get(&through(&to_five)).await.expect(200);
    without.put(&through(&to_five), &active()).await.expect(403);
    world.end().await;
}

#[rstest]
#[case::private(json!({"visibility": "private"}), json!({}))]
#[case::visible(json!({"visibility": "visible"}), json!({}))]
#[case::closed(json!({}), json!({"closed": true}))]
#[case::full(json!({"maxMembersCount": 2}), json!({}))]
#[tokio::test]
async fn h41_a20_a_reservation_beside_an_invite_opens_every_door(#[case] constants: Value, #[case] system: Value) {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("foo"), &creating(&constants, &system)).await.expect(201);
    let a = invite(&ada, "foo", 2).await;
    ada.put(&open("foo"), &reserving(&[2])).await.expect(200);
    bo.get(&through(&a)).await.expect(200);
    assert_eq!(bo.put(&through(&a), &active()).await.expect(200).json()["membersInfo"]["accepted"], 2);
    world.end().await;
}

#[tokio::test]
async fn h41_a_large_session_is_entered_by_invite() {
    let world = World::new().await;
    let (ada, bo, eve) = (world.user(1), world.user(2), world.user(9));
    let constants = json!({"capabilities": {"large": true}, "maxMembersCount": 200, "visibility": "private"});
    ada.put(&open("foo"), &creating(&constants, &json!({}))).await.expect(201);
    let a = invite(&ada, "foo", 2).await;
    eve.get(&through(&a)).await.expect(403);
    assert_eq!(bo.get(&through(&a)).await.expect(200).json()["members"], json!({}));
    bo.put(&through(&a), &active()).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn a02_invites_of_foreign_titles() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("foo"), &active()).await.expect(201);
    let a = invite(&ada, "foo", 2).await;
    world.keeps_for_title(7).await;
    for actor in [&ada, &bo] {
        actor.get(&handle(&a)).await.expect(403);
        actor.delete(&handle(&a)).await.expect(403);
        actor.get(&through(&a)).await.expect(403);
        actor.put(&through(&a), &active()).await.expect(403);
    }
    ada.post("/handles", &inviting("foo", 2)).await.expect(403);
    assert_eq!(inbox(&bo, "").await, Vec::<String>::new());
    let seven = world.actor(Principal::User(User { title_id: Some(TitleId(7)), ..player(2) }));
    assert_eq!(inbox(&seven, "").await, [a]);
    world.end().await;
}
