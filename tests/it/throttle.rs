//! Rate limits: who is counted for what, and what those hear who call too often (W-80, E-20).

use std::time::Duration;

use openmpsd::domain::names::TitleId;
use openmpsd::domain::principal::{Principal, User};
use openmpsd::domain::throttle::{Limit, Window};
use openmpsd::http::{Rules, ThrottleRules};
use openmpsd::store::rows::ServiceConfigRow;
use reqwest::Method;
use serde_json::{Value, json};

use crate::acting::{TITLE_OF_USERS, USERS, acting};
use crate::handles::{asking, pointing};
use crate::harness::{Actor, Answer, Choices, SCID, TITLE, World, player, publish, session};
use crate::search::{listed, searching};
use crate::story::open;

/// A service config of another title.
const OTHER: &str = "0e4ae0b4-6a39-4b33-9d0a-0000c0ffee01";
/// A template that leaves everything open.
const PLAIN: &str = r#"{"constants":{"system":{}}}"#;

/// The choices of an installation with these rate limits.
fn limiting(throttle: ThrottleRules) -> Choices {
    let choices = Choices::default();
    Choices { rules: Rules { throttle: ThrottleRules { enabled: true, ..throttle }, ..choices.rules }, ..choices }
}

/// The limits of the contract, but so many requests at a time and in all.
fn requests(burst: u32, sustained: u32) -> ThrottleRules {
    let mut rules = ThrottleRules::default();
    let window = |max, period_s| Window { max, period_s };
    rules.numbers.requests = Limit { burst: window(burst, 15), sustained: window(sustained, 300) };
    rules
}

/// A service with these rate limits.
async fn limited(throttle: ThrottleRules) -> World {
    World::with(limiting(throttle)).await
}

/// Lets real time pass.
fn wait(world: &World, seconds: u64) {
    world.clock.advance_real(Duration::from_secs(seconds));
}

/// A path that costs nobody anything: there is no such session.
fn nothing() -> String {
    session("Card", "nothing")
}

/// Sends as many requests and insists that none is turned away.
async fn call(actor: &Actor, count: u32) {
    for _ in 0..count {
        actor.get(&nothing()).await.expect(204);
    }
}

/// Insists on a refusal with this count, maximum and period, and this wait.
#[track_caller]
fn refused(answer: Answer, (count, max, period_s): (u32, u32, u32), wait_s: u32) {
    let answer = answer.expect(429);
    let body = json!({
        "version": 1, "currentRequests": count, "maxRequests": max, "periodInSeconds": period_s, "limitType": "rate"
    });
    assert_eq!(answer.json(), body);
    assert_eq!(answer.header("retry-after"), Some(wait_s.to_string().as_str()));
    assert_eq!(left(&answer), Some((max, 0, wait_s)));
}

/// What an answer says of the limits: the maximum, what is left, and when the count begins anew.
fn left(answer: &Answer) -> Option<(u32, u32, u32)> {
    let number = |name| answer.header(name).map(|text| text.parse().expect("a number"));
    Some((number("ratelimit-limit")?, number("ratelimit-remaining")?, number("ratelimit-reset")?))
}

#[tokio::test]
async fn w80_rate_limits_are_off_unless_they_are_switched_on() {
    let world = World::new().await;
    let ada = world.user(1);
    for _ in 0..40 {
        let answer = ada.get(&nothing()).await.expect(204);
        assert_eq!((left(&answer), answer.header("retry-after")), (None, None));
    }
    world.end().await;
}

#[tokio::test]
async fn e20_w80_the_31st_request_in_fifteen_seconds_is_turned_away() {
    let world = limited(ThrottleRules::default()).await;
    let ada = world.user(1);
    assert_eq!(left(&ada.get(&nothing()).await.expect(204)), Some((30, 29, 15)));
    wait(&world, 6);
    call(&ada, 28).await;
    assert_eq!(left(&ada.get(&nothing()).await.expect(204)), Some((30, 0, 9)));
    let answer = ada.get(&nothing()).await.expect(429);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/contract/examples/throttled.response.json");
    let example: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("the example is there")).expect("JSON");
    assert_eq!(answer.json(), example["body"]);
    assert_eq!(answer.text, r#"{"version":1,"currentRequests":31,"maxRequests":30,"periodInSeconds":15,"limitType":"rate"}"#);
    for (name, value) in example["headers"].as_object().expect("an object") {
        assert_eq!(answer.header(&name.to_lowercase()), value.as_str(), "{name}");
    }

    // Only real time counts.
    world.pass(3_600_000);
    refused(ada.get(&nothing()).await, (32, 30, 15), 9);
    wait(&world, 8);
    refused(ada.get(&nothing()).await, (33, 30, 15), 1);
    wait(&world, 1);
    assert_eq!(left(&ada.get(&nothing()).await.expect(204)), Some((30, 29, 15)));
    world.end().await;
}

#[tokio::test]
async fn w80_both_windows_count_what_was_turned_away() {
    let world = limited(requests(5, 8)).await;
    let ada = world.user(1);
    call(&ada, 5).await;
    for count in 6..8 {
        refused(ada.get(&nothing()).await, (count, 5, 15), 15);
    }
    // Five came through and three did not: the long window is full, and waiting for the short one would be in vain.
    let last = ada.get(&nothing()).await.expect(429);
    assert_eq!((last.json()["currentRequests"].as_u64(), last.json()["periodInSeconds"].as_u64()), (Some(8), Some(15)));
    assert_eq!((last.header("retry-after"), left(&last)), (Some("300"), Some((8, 0, 300))));
    wait(&world, 15);
    refused(ada.get(&nothing()).await, (9, 8, 300), 285);
    wait(&world, 285);
    call(&ada, 1).await;
    world.end().await;
}

#[tokio::test]
async fn w80_each_user_has_an_allowance_in_each_title() {
    let world = limited(requests(2, 20)).await;
    let playing = |xuid, title_id| world.actor(Principal::User(User { title_id, ..player(xuid) }));
    for (xuid, title) in [(1, Some(TitleId(TITLE))), (1, Some(TitleId(7))), (1, None), (2, Some(TitleId(TITLE)))] {
        call(&playing(xuid, title), 2).await;
        refused(playing(xuid, title).get(&nothing()).await, (3, 2, 15), 15);
    }
    // Another device of the same user is the same caller.
    let elsewhere = world.actor(Principal::User(User { device_id: Some("other".into()), ..player(1) }));
    refused(elsewhere.get(&nothing()).await, (4, 2, 15), 15);
    world.end().await;
}

#[tokio::test]
async fn w80_a_service_config_may_have_numbers_of_its_own() {
    let world = limited(requests(3, 300)).await;
    publish(&world, OTHER, "[throttle]\nrequests_burst_max = 5\nrequests_burst_period_s = 60", &[("Card", PLAIN)]).await;
    let ada = world.user(1);
    let other = format!("/serviceconfigs/{OTHER}/sessiontemplates");
    call(&ada, 3).await;
    refused(ada.get(&nothing()).await, (4, 3, 15), 15);
    for left_over in (0..5).rev() {
        assert_eq!(left(&ada.get(&other).await.expect(200)), Some((5, left_over, 60)));
    }
    refused(ada.get(&other).await, (6, 5, 60), 60);

    // Without numbers of its own it counts together with all others.
    publish(&world, OTHER, "", &[("Card", PLAIN)]).await;
    refused(ada.get(&other).await, (5, 3, 15), 15);
    // What is stored and makes no sense is not taken for no limit.
    let broken = ServiceConfigRow {
        scid: OTHER.parse().expect("a GUID"),
        titles: Vec::new(),
        game_types: None,
        throttle: Some(r#"{"requests_burst_max": "many"}"#.into()),
    };
    world.store.publish_services(&[broken], &[]).await.expect("it is stored");
    world.running.directory.refresh_catalog().await.expect("the catalog is read");
    refused(ada.get(&other).await, (6, 3, 15), 15);
    // Zero is no bound.
    publish(&world, OTHER, "[throttle]\nrequests_burst_max = 0\nrequests_sustained_max = 0", &[("Card", PLAIN)]).await;
    for _ in 0..10 {
        assert_eq!(left(&ada.get(&other).await.expect(200)), None);
    }
    world.end().await;
}

#[tokio::test]
async fn w80_searches_have_limits_besides() {
    let world = limited(ThrottleRules::default()).await;
    let (ada, bo) = (world.user(1), world.user(2));
    listed(&ada, "one", json!({}), json!({"tags": ["coop"]})).await;
    let search = searching("", "");
    let found = bo.post("/handles/query", &search).await.expect(200);
    assert_eq!((found.json()["results"].as_array().map(Vec::len), left(&found)), (Some(1), Some((1, 0, 15))));
    refused(bo.post("/handles/query", &search).await, (2, 1, 15), 15);
    // Other queries are other requests, and the two searches count among those.
    assert_eq!(left(&bo.post("/handles/query", &asking(&[1])).await.expect(200)), Some((30, 27, 15)));
    // A search that cannot be read is none yet.
    bo.post("/handles/query", &json!({"type": "search", "scid": "x"})).await.expect(400);
    wait(&world, 15);
    bo.post("/handles/query", &search).await.expect(200);

    // Making such handles is counted apart from searching, and from making others.
    let mut body = pointing("one");
    body["type"] = json!("search");
    ada.post("/handles/query", &search).await.expect(200);
    ada.post("/handles", &body).await.expect(201);
    refused(ada.post("/handles", &body).await, (2, 1, 15), 15);
    ada.post("/handles", &pointing("one")).await.expect(201);
    world.end().await;
}

#[tokio::test]
async fn w80_a_search_is_counted_by_the_numbers_of_its_service_config() {
    let world = limited(ThrottleRules::default()).await;
    publish(&world, SCID, "[throttle]\nsearch_reads_burst_max = 2\nsearch_writes_burst_max = 3", &[("Card", PLAIN)]).await;
    let ada = world.user(1);
    for _ in 0..2 {
        ada.post("/handles/query", &searching("", "")).await.expect(200);
    }
    refused(ada.post("/handles/query", &searching("", "")).await, (3, 2, 15), 15);
    listed(&ada, "one", json!({}), json!({})).await;
    let mut body = pointing("one");
    body["type"] = json!("search");
    let answer = ada.post("/handles", &body).await.expect(201);
    assert_eq!(left(&answer), Some((3, 1, 15)));
    world.end().await;
}

#[tokio::test]
async fn w80_r16_a_request_of_a_server_counts_for_the_users_it_acts_for() {
    let world = limited(requests(3, 300)).await;
    call(&world.server(), 10).await;
    assert_eq!(left(&world.server().get(&nothing()).await.expect(204)), None, "a server is no user");
    let titled = acting(&world, &[1, 2]).with(TITLE_OF_USERS, &TITLE.to_string());
    call(&titled, 1).await;
    call(&world.user(2), 1).await;
    assert_eq!(left(&titled.get(&nothing()).await.expect(204)), Some((3, 0, 15)), "the one who has least");
    refused(titled.get(&nothing()).await, (4, 3, 15), 15);
    refused(world.user(2).get(&nothing()).await, (5, 3, 15), 15);
    refused(world.user(1).get(&nothing()).await, (4, 3, 15), 15);
    // Without a title it is another allowance.
    call(&acting(&world, &[1, 2]), 3).await;
    // Whom a server acts for is known after version and headers have been read.
    titled.send(Method::GET, &nothing(), &[("x-xbl-contract-version", "103")], None).await.expect(406);
    world.server().with(USERS, "ada").get(&nothing()).await.expect(400);
    world.end().await;

    let world = limited(ThrottleRules { acting_users: false, ..requests(3, 300) }).await;
    call(&acting(&world, &[1]), 10).await;
    assert_eq!(left(&acting(&world, &[1]).get(&nothing()).await.expect(204)), None);
    call(&world.user(1), 3).await;
    world.user(1).get(&nothing()).await.expect(429);
    world.end().await;
}

#[tokio::test]
async fn w80_e10_the_throttle_comes_after_the_credential_and_before_all_else() {
    let rules =
        Rules { throttle: ThrottleRules { enabled: true, ..requests(4, 300) }, banned: vec![9], ..Choices::default().rules };
    let world = World::with(Choices { rules, ..Choices::default() }).await;
    let ada = world.user(1);
    // Whatever is wrong with them, these are requests.
    ada.get("/nowhere").await.expect(404);
    ada.delete(&nothing()).await.expect(405);
    ada.send(Method::GET, &nothing(), &[("x-xbl-contract-version", "103")], None).await.expect(406);
    let answer = ada.get("/serviceconfigs/none/sessions?keyword=x").await.expect(404);
    assert_eq!(left(&answer), Some((4, 0, 15)), "refusals tell, too, what is left");
    let mut count = 4;
    for (method, path) in [(Method::GET, "/nowhere"), (Method::DELETE, &nothing()), (Method::POST, "/handles")] {
        count += 1;
        refused(ada.send(method, path, &[("x-xbl-contract-version", "103")], None).await, (count, 4, 15), 15);
    }
    // Whoever is not let in is not counted.
    for _ in 0..5 {
        world.bearer("nonsense").get(&nothing()).await.expect(401);
        assert_eq!(left(&world.user(9).get(&nothing()).await.expect(403)), None);
    }
    world.end().await;
}

#[tokio::test]
async fn w80_health_sockets_and_administration_are_not_limited() {
    let world = limited(requests(1, 1)).await;
    let ada = world.user(1);
    call(&ada, 1).await;
    ada.get(&nothing()).await.expect(429);
    for path in ["/health", "/health/ready", "/nonce"] {
        for _ in 0..3 {
            assert_eq!(left(&ada.get(path).await.expect(200)), None, "{path}");
        }
    }
    for _ in 0..3 {
        assert_eq!(left(&world.admin().get("/admin/social/edges").await.expect(200)), None);
        ada.get("/admin/social/edges").await.expect(403);
    }
    world.end().await;
}

#[tokio::test]
async fn w80_a_feed_is_one_request_and_each_instance_counts_by_itself() {
    let world = limited(requests(2, 20)).await;
    let other = world.beside_with(limiting(requests(2, 20))).await;
    let ada = world.user(1);
    ada.put(&open("one"), &crate::story::active()).await.expect(201);
    let feed = ada.ask(Method::GET, &format!("{}/changes", open("one")), &[], None).await;
    assert_eq!(feed.status(), 200);
    assert_eq!(feed.headers().get("ratelimit-remaining").and_then(|left| left.to_str().ok()), Some("0"));
    drop(feed);
    refused(ada.get(&open("one")).await, (3, 2, 15), 15);
    let there = other.user(1);
    for remaining in [1, 0] {
        assert_eq!(left(&there.get(&open("one")).await.expect(200)), Some((2, remaining, 15)));
    }
    other.end().await;
    world.end().await;
}
