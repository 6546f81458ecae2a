//! The sweeper: what is due is evaluated without anybody asking (M-27).

use chrono::TimeDelta;
use openmpsd::app::House;
use serde_json::json;
use tracing::Level;

use crate::harness::{World, session};
use crate::log::Log;
use crate::story::{active, create_all, creating, indices, open, reserving, sql};

async fn sweep(world: &World) -> usize {
    world.running.directory.sweep().await.expect("the database answers")
}

#[tokio::test]
async fn m27_only_what_is_due_is_evaluated() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("later"), &active()).await.expect(201);
    world.pass(1);
    for name in ["foo", "bar"] {
        ada.put(&open(name), &active()).await.expect(201);
        ada.put(&open(name), &reserving(&[2])).await.expect(200);
    }
    world.pass(5_000);
    ada.put(&open("later"), &reserving(&[2])).await.expect(200);
    assert_eq!(sweep(&world).await, 0);
    world.pass(24_999);
    assert_eq!(sweep(&world).await, 0, "not a millisecond early");
    world.pass(1);
    assert_eq!(sweep(&world).await, 2);
    assert_eq!(sweep(&world).await, 0);
    let stored = sql(&world, "select string_agg(name || change_number, ' ' order by name) from sessions").await;
    assert_eq!(stored.as_deref(), Some("bar3 foo3 later2"));
    world.end().await;
}

#[tokio::test]
async fn m25_a_sweep_is_an_evaluation() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    for name in ["swept", "read"] {
        ada.put(&session("Card", name), &active()).await.expect(201);
        let ready = json!({"members": {"me": {"properties": {"system": {"ready": true}}}}});
        bo.put(&session("Card", name), &ready).await.expect(200);
    }
    // At each of these instants one is swept and the other read; in the end both tell the same.
    for ms in [200_000, 7_000_000, 200_000] {
        world.pass(ms);
        ada.get(&session("Card", "read")).await.expect(200);
        sweep(&world).await;
        let (mut swept, mut read) = (
            ada.get(&session("Card", "swept")).await.expect(200).json(),
            ada.get(&session("Card", "read")).await.expect(200).json(),
        );
        for document in [&mut swept, &mut read] {
            for name in ["branch", "correlationId"] {
                document.as_object_mut().expect("a document is an object").remove(name);
            }
        }
        assert_eq!(swept, read);
    }
    assert_eq!(indices(&ada.get(&session("Card", "swept")).await.json()), [0]);
    world.end().await;
}

#[tokio::test]
async fn m27_a_thousand_sessions_in_one_sweep() {
    let world = World::new().await;
    let server = world.server();
    let paths: Vec<String> = (0..1000).map(|n| open(&format!("s{n}"))).collect();
    let mut stays = reserving(&[2]);
    stays["constants"] = json!({"system": {"sessionEmptyTimeout": 60_000}});
    create_all(&server, &paths[..500], &reserving(&[2])).await;
    create_all(&server, &paths[500..], &stays).await;
    world.pass(30_000);
    assert_eq!(sweep(&world).await, 1000);
    let left = sql(&world, "select count(*) || ' ' || sum(member_count) || ' ' || sum(change_number) from sessions").await;
    assert_eq!(left.as_deref(), Some("500 0 1000"), "half of them end at once");
    assert_eq!(sql(&world, "select count(*) from timers").await.as_deref(), Some("500"));
    world.pass(60_000);
    assert_eq!(sweep(&world).await, 500, "M-23");
    assert_eq!(sql(&world, "select (select count(*) from sessions) + (select count(*) from timers)").await.as_deref(), Some("0"));
    assert_eq!(sql(&world, "select count(*) from changes where deleted").await.as_deref(), Some("1000"));
    world.end().await;
}

#[tokio::test]
async fn m27_sweeps_and_requests_at_once_evaluate_once() {
    let world = World::new().await;
    let ada = world.user(1);
    let paths: Vec<String> = (0..40).map(|n| open(&format!("s{n}"))).collect();
    let mut body = creating(&json!({}), &json!({"keywords": ["eu"]}));
    body["members"]["reserve_0"] = json!({"constants": {"system": {"xuid": "2"}}});
    create_all(&ada, &paths, &body).await;
    world.pass(30_000);
    let reads = futures_util::future::join_all(paths.iter().map(|path| ada.get(path)));
    let query = crate::story::sessions("keyword=eu");
    let (first, second, read, found) = tokio::join!(sweep(&world), sweep(&world), reads, ada.get(&query));
    assert!(first + second <= 40, "two sweeps never evaluate the same");
    assert!(read.iter().all(|answer| answer.status == 200 && indices(&answer.json()) == [0]));
    assert_eq!(crate::story::results(found).len(), 40);
    let numbers = sql(&world, "select min(change_number) || ' ' || max(change_number) from sessions").await;
    assert_eq!(numbers.as_deref(), Some("2 2"));
    assert_eq!(sql(&world, "select count(*) from changes where actor = 'timer'").await.as_deref(), Some("40"));
    world.end().await;
}

#[tokio::test]
async fn m27_what_cannot_be_settled_does_not_stand_in_the_way() {
    let world = World::new().await;
    let ada = world.user(1);
    for name in ["bad", "good"] {
        ada.put(&open(name), &active()).await.expect(201);
        ada.put(&open(name), &reserving(&[2])).await.expect(200);
    }
    let body = sql(&world, "select body from sessions where name = 'bad'").await.expect("the session is stored");
    sql(&world, "update sessions set body = 'garbage', revision = revision + 1 where name = 'bad'").await;
    sql(&world, "insert into timers (sid, due_at) values (gen_random_uuid(), '2031-04-05T18:00:01Z')").await;
    world.pass(30_000);
    assert_eq!(sweep(&world).await, 1, "the other one is settled");
    assert_eq!(sweep(&world).await, 0, "put off");
    assert_eq!(indices(&ada.get(&open("good")).await.expect(200).json()), [0]);
    ada.get(&open("bad")).await.expect(500);
    ada.put(&open("bad"), &active()).await.expect(500);
    let failures = sql(&world, "select string_agg(failures::text, ' ') from timers").await;
    assert_eq!(failures.as_deref(), Some("1 1"));
    world.pass(1_000);
    assert_eq!(sweep(&world).await, 0);
    sql(&world, &format!("update sessions set body = $garbage${body}$garbage$ where name = 'bad'")).await;
    sql(&world, "delete from timers t where not exists (select from sessions s where s.sid = t.sid)").await;
    assert_eq!(sweep(&world).await, 0, "it waits its turn");
    world.pass(2_000);
    assert_eq!(sweep(&world).await, 1, "mended, it is settled");
    assert_eq!(indices(&ada.get(&open("bad")).await.expect(200).json()), [0]);
    world.end().await;
}

#[tokio::test]
async fn each_part_of_the_house_is_kept_whatever_becomes_of_the_others() {
    let world = World::new().await;
    let log = Log::listen();
    let rename = "alter function ensure_changes_partition(date) rename to away";
    let days = "select count(*) from pg_inherits where inhparent = 'changes'::regclass";
    let nonces = "select count(*) from nonces";
    let seed = "insert into nonces values ('\\x01', '{}', '2000-01-01')";
    sql(&world, seed).await;
    sql(&world, rename).await;
    sql(&world, "alter table handles rename to elsewhere").await;
    assert_eq!(sql(&world, nonces).await.as_deref(), Some("1"));
    assert_eq!(sql(&world, days).await.as_deref(), Some("6"));
    let mut house = House::new(TimeDelta::days(-30_000));
    for _ in 0..2 {
        house.keep(&world.running.directory).await;
        assert_eq!(sql(&world, nonces).await.as_deref(), Some("0"));
        assert_eq!(sql(&world, days).await.as_deref(), Some("1"));
    }
    let told = |text: &str| log.messages(Level::WARN, text);
    assert_eq!(["make partitions", "expired handles", "expired tickets", "old days"].map(told), [1, 1, 0, 0]);
    sql(&world, "alter table elsewhere rename to handles").await;
    house.keep(&world.running.directory).await;
    assert_eq!(log.messages(Level::INFO, "managed again to remove expired handles"), 1);
    world.end().await;
}
