//! Edges that come from an endpoint of the operator's (A-40, A-41).

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use openmpsd::domain::names::Xuid;
use openmpsd::social::{self, HttpOptions, Source};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use sqlx::Connection as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tracing::Level;

use crate::endpoint::{Endpoint, Says};
use crate::handles::playing;
use crate::harness::{Actor, Choices, World};
use crate::log::Log;
use crate::story::{active, creating, names, open, sql};

const IN_TIME: Duration = Duration::from_secs(20);
/// Long enough for an answer, and short enough to wait for one that does not come.
const SHORT: Duration = Duration::from_millis(500);

async fn asking(endpoint: &Endpoint, timeout: Duration) -> World {
    World::with(Choices { social: endpoint.source(timeout), ..Choices::default() }).await
}

/// A session that only those may join whom a member follows.
async fn followed(actor: &Actor, name: &str) {
    let body = creating(&json!({}), &json!({"joinRestriction": "followed", "readRestriction": "followed"}));
    actor.put(&open(name), &body).await.expect(201);
}

/// All edges in the tables.
async fn tables(world: &World) -> String {
    let statement = "select string_agg(edge, ' ' order by edge) from (
        select xuid || case when favorite then '*' else '>' end || followed as edge from follows
        union all select xuid || '!' || blocked from blocks) all_edges";
    sql(world, statement).await.unwrap_or_default()
}

fn later(world: &World, seconds: u64) {
    world.clock.advance_real(Duration::from_secs(seconds));
}

#[tokio::test]
async fn a23_a40_who_is_followed_is_known_at_the_endpoint() {
    let endpoint = Endpoint::start().await;
    let world = asking(&endpoint, IN_TIME).await;
    let (ada, bo) = (world.user(1), world.user(2));
    followed(&ada, "foo").await;
    assert_eq!(endpoint.calls().len(), 1, "once per request");
    bo.put(&open("foo"), &active()).await.expect(403);
    let calls = endpoint.calls();
    assert_eq!(calls.len(), 1);
    let head = calls[0].to_ascii_lowercase();
    assert!(head.starts_with("get /people/2 http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\naccept: application/json\r\n") && head.contains("\r\nauthorization: bearer sesame\r\n"), "{head}");

    // What has been said is good for half a minute of real time.
    endpoint.edges(2, json!({"followers": ["1"]}));
    world.pass(3_600_000);
    later(&world, 29);
    bo.put(&open("foo"), &active()).await.expect(403);
    assert_eq!(endpoint.calls().len(), 0);
    later(&world, 1);
    bo.put(&open("foo"), &active()).await.expect(200);
    assert_eq!(endpoint.calls().len(), 1);
    bo.get(&open("foo")).await.expect(200);
    assert_eq!(endpoint.calls().len(), 0);
    assert_eq!(tables(&world).await, "1>2");

    // A template is the same for everybody; administration has no user.
    world.user(3).get(&format!("/serviceconfigs/{}/sessiontemplates", crate::harness::SCID)).await.expect(200);
    world.admin().get("/admin/social/edges").await.expect(200);
    world.server().get(&open("foo")).await.expect(200);
    assert_eq!(endpoint.calls().len(), 0);
    world.end().await;
}

#[tokio::test]
async fn a40_a41_what_is_said_is_written_through_and_nothing_else_is_touched() {
    let endpoint = Endpoint::start().await;
    let world = asking(&endpoint, IN_TIME).await;
    let ada = world.user(1);
    let look = async || ada.get(&open("nothing")).await.expect(204);
    let said =
        json!({"follows": [{"xuid": "2", "favorite": true}, 3, "1"], "followers": ["2", 4], "blocks": ["5"], "blockedBy": [6]});
    endpoint.edges(1, said);
    look().await;
    assert_eq!(tables(&world).await, "1!5 1*2 1>3 2>1 4>1 6!1");
    let versions = async || {
        let statement = "select string_agg(xmin::text, ' ' order by xuid, followed) from follows";
        (sql(&world, statement).await, sql(&world, "select string_agg(xmin::text, ' ' order by xuid) from blocks").await)
    };
    let before = versions().await;
    later(&world, 30);
    look().await;
    assert_eq!(versions().await, before, "the same again");

    // Edges of others stay, and so does what they said of theirs.
    sql(&world, "insert into follows values (7, 8, true); update follows set favorite = true where xuid = 4").await;
    endpoint.edges(1, json!({"follows": ["2", "9"], "followers": ["4"], "blocks": null, "blockedBy": ["5", "6"], "more": 1}));
    later(&world, 30);
    look().await;
    assert_eq!(tables(&world).await, "1>2 1>9 4*1 5!1 6!1 7*8");

    // 404: no edges.
    endpoint.says(1, Says::Text(404, "nobody".into()));
    later(&world, 30);
    look().await;
    assert_eq!(tables(&world).await, "7*8");
    world.end().await;
}

#[tokio::test]
async fn a20_a41_whom_an_owner_blocks_is_known_at_the_endpoint() {
    let endpoint = Endpoint::start().await;
    let world = asking(&endpoint, IN_TIME).await;
    let owned = creating(&json!({"capabilities": {"hasOwners": true}}), &json!({}));
    world.user(1).put(&open("foo"), &owned).await.expect(201);
    endpoint.edges(2, json!({"blockedBy": ["1"]}));
    world.user(2).put(&open("foo"), &active()).await.expect(403);
    world.user(3).put(&open("foo"), &active()).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn h53_h55_people_and_those_a_server_acts_for_are_asked_about() {
    let endpoint = Endpoint::start().await;
    let world = asking(&endpoint, IN_TIME).await;
    playing(&world, 1, "foo").await;
    endpoint.edges(9, json!({"follows": [{"xuid": "1", "favorite": true}]}));
    let people = |moniker: &str, of: Option<u64>| json!({"type": "activity", "owners": {"people": {"moniker": moniker, "monikerXuid": of.map(|xuid| xuid.to_string())}}});
    assert_eq!(names(world.user(9).post("/handles/query", &people("favorites", None)).await), ["foo"]);
    endpoint.calls();
    endpoint.edges(8, json!({"follows": ["1"]}));
    assert_eq!(names(world.server().post("/handles/query", &people("people", Some(8))).await), ["foo"], "H-55");
    assert_eq!(endpoint.calls().len(), 1);
    world.user(9).post("/handles/query", &people("people", Some(7))).await.expect(403);
    assert_eq!(endpoint.calls().len(), 0, "nobody makes us ask about somebody else");

    followed(&world.user(1), "bar").await;
    endpoint.calls();
    endpoint.edges(5, json!({"followers": ["1"]}));
    let acting = world.server().with("X-Xbl-OnBehalfOf-Users", "5;priv=multiplayer,6;priv=multiplayer");
    acting.get(&open("bar")).await.expect(200);
    let mut asked: Vec<String> = endpoint.calls().iter().map(|head| head[..13].to_owned()).collect();
    asked.sort();
    assert_eq!(asked, ["GET /people/5", "GET /people/6"], "R-16: each of them");
    let alone =
        world.server().with("X-Xbl-OnBehalfOf-Users", "5;priv=multiplayer").with("X-Xbl-Deny-Scope", "Multiplayer.Manage");
    alone.get(&open("bar")).await.expect(200);
    assert_eq!(endpoint.calls().len(), 0);
    world.end().await;
}

/// What goes wrong, as the log names it.
#[rstest]
#[case::status(Says::Text(500, "{}".into()), "status 500")]
#[case::forbidden(Says::Text(403, "{}".into()), "status 403")]
#[case::moved(Says::Text(302, "{}".into()), "status 302")]
#[case::empty(Says::Text(204, String::new()), "status 204")]
#[case::slow(Says::Nothing, "no answer in time")]
#[case::broken(Says::Half, "")]
#[case::syntax(Says::Text(200, "{\"follows\":".into()), "malformed: body: ")]
#[case::shape(Says::Text(200, "[]".into()), "malformed: body: ")]
#[case::field(Says::Text(200, "{\"follows\":[{\"xuid\":\"x\"}]}".into()), "malformed: follows[0].xuid: ")]
#[case::large(Says::Text(200, format!("{{}}{}", " ".repeat(1 << 20))), "larger than 1048576 bytes")]
#[tokio::test]
async fn a40_while_the_endpoint_fails_nobody_follows(#[case] says: Says, #[case] why: &str) {
    let endpoint = Endpoint::start().await;
    // Only the endpoint that never answers is to be given up.
    let world = asking(&endpoint, if matches!(says, Says::Nothing) { SHORT } else { IN_TIME }).await;
    let (ada, bo) = (world.user(1), world.user(2));
    for name in ["foo", "bar"] {
        followed(&ada, name).await;
    }
    endpoint.edges(2, json!({"followers": ["1"], "follows": ["1"], "blocks": ["7"]}));
    bo.put(&open("foo"), &active()).await.expect(200);
    sql(&world, "insert into follows values (7, 8, true)").await;

    let (log, before) = (Log::listen(), tables(&world).await);
    later(&world, 30);
    endpoint.says(2, says);
    endpoint.calls();
    bo.put(&open("bar"), &active()).await.expect(403);
    bo.get(&open("foo")).await.expect(200);
    assert_eq!(endpoint.calls().len(), 1, "the failure is good for a while as well");
    assert_eq!(tables(&world).await, before, "nothing is forgotten, for it will probably be said again");
    for _ in 0..2 {
        later(&world, 5);
        bo.put(&open("bar"), &active()).await.expect(403);
        assert_eq!(endpoint.calls().len(), 1, "a short while");
    }
    assert_eq!(log.messages(Level::WARN, "failed to ask the social source"), 1, "told once");
    assert_eq!(log.messages(Level::WARN, why), 1);
    assert_eq!(log.messages(Level::WARN, "sesame"), 0);

    endpoint.edges(2, json!({"followers": ["1"]}));
    later(&world, 4);
    bo.put(&open("bar"), &active()).await.expect(403);
    assert_eq!(log.messages(Level::INFO, "the social source works again"), 0);
    later(&world, 1);
    bo.put(&open("bar"), &active()).await.expect(200);
    assert_eq!(log.messages(Level::INFO, "the social source works again"), 1);
    world.end().await;
}

#[tokio::test]
async fn a40_without_an_endpoint_the_service_goes_on() {
    let endpoint = Endpoint::start().await;
    let world = asking(&endpoint, IN_TIME).await;
    endpoint.stop();
    let log = Log::listen();
    let (ada, bo) = (world.user(1), world.user(2));
    followed(&ada, "foo").await;
    bo.put(&open("foo"), &active()).await.expect(403);
    bo.put(&open("bar"), &active()).await.expect(201);
    assert_eq!(log.messages(Level::WARN, "social source"), 1, "two users, one outage");
    world.end().await;
}

#[tokio::test]
async fn a40_one_user_who_fails_is_told_once_while_others_work() {
    let endpoint = Endpoint::start().await;
    let world = asking(&endpoint, IN_TIME).await;
    let look = async |xuid: u64| world.user(xuid).get(&open("nothing")).await.expect(204);
    endpoint.says(2, Says::Text(500, String::new()));
    let log = Log::listen();
    let told =
        || (log.messages(Level::WARN, "failed to ask the social source"), log.messages(Level::INFO, "social source works again"));
    for _ in 0..3 {
        look(2).await;
        look(3).await;
        later(&world, 30);
    }
    assert_eq!(told(), (1, 0));
    // Whoever it failed for is gone, and it has not failed for a while.
    look(3).await;
    assert_eq!(told(), (1, 0));
    later(&world, 31);
    look(3).await;
    assert_eq!(told(), (1, 1));
    look(2).await;
    assert_eq!(told(), (2, 1), "a failure after that is a new one");
    world.end().await;
}

#[tokio::test]
async fn a40_a_mebibyte_is_no_fault() {
    let endpoint = Endpoint::start().await;
    let world = asking(&endpoint, IN_TIME).await;
    let edges = r#"{"follows":["2"]}"#;
    endpoint.says(1, Says::Text(200, format!("{}{}", edges, " ".repeat((1 << 20) - edges.len()))));
    world.user(1).get(&open("nothing")).await.expect(204);
    assert_eq!(tables(&world).await, "1>2");
    world.end().await;
}

#[tokio::test]
async fn a40_those_who_ask_at_once_share_a_call() {
    let endpoint = Endpoint::start().await;
    let world = asking(&endpoint, IN_TIME).await;
    endpoint.edges(1, json!({"follows": ["2"]}));
    let source = social::open(endpoint.source(IN_TIME), &world.store, &world.clock).expect("the URL is sound");
    // All of them wait before the endpoint, which shares their thread, can say anything.
    let waiting: Vec<_> = (0..10).map(|_| source.refresh(&[Xuid(1), Xuid(2)]).expect("nothing is known yet")).collect();
    join_all(waiting).await;
    assert_eq!(endpoint.calls().len(), 2, "one for each user");
    assert!(source.refresh(&[Xuid(1), Xuid(2)]).is_none());
    later(&world, 30);
    source.refresh(&[Xuid(1)]).expect("it is stale").await;
    assert_eq!(endpoint.calls().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a40_edges_of_an_endpoint_are_not_written_by_hand() {
    let endpoint = Endpoint::start().await;
    let world = asking(&endpoint, IN_TIME).await;
    let admin = world.admin();
    endpoint.edges(1, json!({"follows": ["2"]}));
    world.user(1).get(&open("nothing")).await.expect(204);
    for (method, path) in [
        (Method::PUT, "/admin/social/1/follows/3"),
        (Method::DELETE, "/admin/social/1/follows/2"),
        (Method::PUT, "/admin/social/1/blocks/2"),
        (Method::DELETE, "/admin/social/1/blocks/2"),
        (Method::POST, "/admin/social/edges"),
        (Method::PUT, "/admin/social/edges"),
    ] {
        let refused = admin.send(method, path, &[], Some("{".into())).await.expect(409);
        assert!(refused.text.contains("HTTP endpoint"), "{refused:?}");
    }
    admin.put("/admin/social/x/follows/3", &json!({})).await.expect(404);
    let exported = admin.get("/admin/social/edges").await.expect(200).text;
    assert_eq!(exported, "{\"xuid\":\"1\",\"follows\":\"2\"}\n", "looking is free");
    world.end().await;
}

#[tokio::test]
async fn a40_an_https_endpoint_is_spoken_to_in_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}/people", listener.local_addr().expect("it is bound"));
    let first = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a call");
        let first = stream.read_u8().await.expect("a byte");
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{}").await;
        first
    });
    let source = Source::Http(HttpOptions { url: url.into(), bearer: None, timeout: IN_TIME, cache: TimeDelta::seconds(30) });
    let world = World::with(Choices { social: source, ..Choices::default() }).await;
    let log = Log::listen();
    world.user(1).get(&open("nothing")).await.expect(204);
    assert_eq!(first.await.expect("the endpoint ends well"), 22, "the beginning of a handshake");
    assert_eq!(log.messages(Level::WARN, "failed to ask the social source"), 1, "plain words are no answer");
    world.end().await;
}

#[tokio::test]
async fn a_password_in_the_url_is_not_told() {
    let world = World::new().await;
    for (url, is_one) in [("https://me:hunter2@people.example/", true), ("https://me:hunter2@people.example:x/", false)] {
        let source = Source::Http(HttpOptions { url: url.into(), bearer: None, timeout: IN_TIME, cache: TimeDelta::seconds(30) });
        assert!(!format!("{source:?}").contains("hunter2"), "{source:?}");
        let refused = social::open(source, &world.store, &world.clock).err();
        assert_eq!(refused.is_none(), is_one);
        let told = refused.map(|refused| format!("{refused} {refused:?}")).unwrap_or_default();
        assert!(!told.contains("hunter2") && (is_one || told.contains("port")), "{told}");
    }
    world.end().await;
}

/// The lock that writers of the social graph take turns by.
const TURN: &str = "8030029660659082089";

#[tokio::test]
async fn a40_users_who_wait_for_the_database_are_in_nobodys_way() {
    const USERS: std::ops::Range<u64> = 10..70;
    let endpoint = Endpoint::start().await;
    let world = asking(&endpoint, IN_TIME).await;
    followed(&world.user(1), "foo").await;
    for xuid in USERS {
        endpoint.edges(xuid, json!({"followers": ["1"], "follows": ["1"]}));
    }
    endpoint.calls();
    let mut other = sqlx::PgConnection::connect(world.database.url()).await.expect("the database is there");
    sqlx::query(sqlx::AssertSqlSafe(format!("select pg_advisory_lock({TURN})"))).execute(&mut other).await.expect("it is free");

    let log = Log::listen();
    let look = async |xuid: u64| world.user(xuid).get(&open("foo")).await.status;
    let beside = async {
        while endpoint.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        let begun = std::time::Instant::now();
        for _ in 0..20 {
            world.server().get(&open("foo")).await.expect(200);
            world.admin().get("/admin/social/edges").await.expect(200);
        }
        begun.elapsed()
    };
    let (statuses, beside) = tokio::join!(join_all(USERS.map(look)), beside);
    assert!(beside < IN_TIME / 2, "nobody else waits: {beside:?}");
    assert!(statuses.iter().all(|status| *status == 403), "nobody follows them, as far as is known: {statuses:?}");
    assert_eq!(log.messages(Level::WARN, "failed to ask the social source"), 1, "told once");
    assert_eq!(log.messages(Level::WARN, "could not be written in time"), 1);

    // It is not tried again at once, and what was written too late decides nothing until it is heard again.
    sqlx::query("select pg_advisory_unlock_all()").execute(&mut other).await.expect("it is held");
    endpoint.calls();
    assert_eq!(join_all(USERS.map(look)).await, vec![403; 60]);
    assert_eq!(endpoint.calls().len(), 0);
    later(&world, 5);
    assert_eq!(join_all(USERS.map(look)).await, vec![200; 60]);
    assert_eq!(endpoint.calls().len(), 60);
    assert_eq!(log.messages(Level::INFO, "the social source works again"), 1);
    world.end().await;
}

/// A crowd here is no failure of the endpoint: what it said a moment ago counts on for a while, but not for ever.
#[tokio::test]
async fn a40_who_was_known_a_moment_ago_is_known_in_a_crowd() {
    let endpoint = Endpoint::start().await;
    let world = asking(&endpoint, IN_TIME).await;
    followed(&world.user(1), "foo").await;
    endpoint.edges(2, json!({"followers": ["1"]}));
    let look = async || world.user(2).get(&open("foo")).await.status;
    assert_eq!(look().await, 200);
    endpoint.edges(2, json!({"followers": ["1"], "follows": ["9"]}));
    let mut other = sqlx::PgConnection::connect(world.database.url()).await.expect("the database is there");
    sqlx::query(sqlx::AssertSqlSafe(format!("select pg_advisory_lock({TURN})"))).execute(&mut other).await.expect("it is free");
    later(&world, 31);
    assert_eq!(look().await, 200, "it cannot be written, and was good half a minute ago");
    later(&world, 31);
    assert_eq!(look().await, 403, "that is long ago");
    sqlx::query("select pg_advisory_unlock_all()").execute(&mut other).await.expect("it is held");
    later(&world, 6);
    assert_eq!(look().await, 200);
    world.end().await;
}

#[tokio::test]
async fn a40_only_so_many_calls_are_under_way() {
    let endpoint = Endpoint::start().await;
    let world = asking(&endpoint, SHORT).await;
    for xuid in 1..=1000 {
        endpoint.says(xuid, Says::Nothing);
    }
    let source = social::open(endpoint.source(SHORT), &world.store, &world.clock).expect("the URL is sound");
    let everybody: Vec<Xuid> = (1..=1000).map(Xuid).collect();
    let begun = std::time::Instant::now();
    source.refresh(&everybody).expect("nothing is known yet").await;
    assert!(begun.elapsed() < 10 * SHORT, "nobody waits until all others had their turn");
    // The endpoint may see a call begin before it sees that one is given up.
    let most = endpoint.most_at_once();
    assert!((32..64).contains(&most), "{most}");
    world.end().await;
}
