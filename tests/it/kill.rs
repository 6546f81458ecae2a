//! What is acknowledged is durable: the service, its PostgreSQL, or both are killed in the middle of writes, again and again.
//!
//! `OPENMPSD_KILLS` says how often.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use openmpsd::ambient::Ids;
use openmpsd::store::{Store, StoreOptions};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::chance::{Chance, setting};
use crate::harness::session;
use crate::process::{Caller, Folder, Process, kill_server, private_url, servers_in, until_gone};

const WRITERS: u64 = 6;
const SESSIONS: u64 = 3;

/// What has been acknowledged, and where the service is.
struct Ledger {
    base: Mutex<String>,
    /// The last counter acknowledged to a member, by session and xuid.
    counters: Mutex<BTreeMap<(u64, u64), u64>>,
    /// Paths of sessions whose creation was acknowledged, with their creators.
    created: Mutex<Vec<(String, u64)>>,
    acknowledged: AtomicU64,
    unavailable: AtomicU64,
    done: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_survives_kills() {
    let kills = setting("OPENMPSD_KILLS", 3);
    let mut chance = Chance::new(setting("OPENMPSD_KILLS_SEED", Ids::random().uuid().as_u64_pair().0));
    let folder = Folder::new("kill");
    let cluster = folder.path().join("pg");
    let mut service = start(&folder).await;
    println!("first start: {:?}", service.start);
    let ledger = Arc::new(Ledger {
        base: Mutex::new(service.base.clone()),
        counters: Mutex::default(),
        created: Mutex::default(),
        acknowledged: AtomicU64::new(0),
        unavailable: AtomicU64::new(0),
        done: AtomicBool::new(false),
    });
    let callers: Vec<Caller> = (1..=WRITERS).map(|xuid| Caller::new(&folder, xuid)).collect();
    let mut writers = JoinSet::new();
    for caller in &callers {
        writers.spawn(write(caller.clone(), Arc::clone(&ledger), Chance::new(chance.next())));
    }
    for round in 0..kills {
        progress(&ledger).await;
        sleep(Duration::from_millis(chance.below(300))).await;
        let victim = *chance.pick(&["service", "postgres", "both", "backend"]);
        let before = ledger.acknowledged.load(Ordering::SeqCst);
        match victim {
            "service" => service.kill().await,
            "postgres" => kill_first(&cluster),
            "both" if chance.permille(500) => {
                kill_first(&cluster);
                service.kill().await;
            }
            "both" => {
                service.kill().await;
                kill_first(&cluster);
            }
            // PostgreSQL ends all connections then, and recovers.
            _ => kill_server(*chance.pick(&servers_in(&cluster))),
        }
        if matches!(victim, "service" | "both") {
            service = start(&folder).await;
            ledger.base.lock().expect("nobody panics here").clone_from(&service.base);
        }
        let begun = Instant::now();
        progress(&ledger).await;
        println!(
            "round {round}: {victim} killed after {before} acknowledged writes; start {:?}, then a write after {:?}",
            service.start,
            begun.elapsed()
        );
        check(&ledger, &callers).await;
    }
    ledger.done.store(true, Ordering::SeqCst);
    writers.join_all().await;
    check(&ledger, &callers).await;
    let found = differences(folder.path()).await;
    assert_eq!(found, Vec::<String>::new(), "projection check\n{}", service.log());
    let (status, took) = service.end().await;
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(8), "ending took {took:?}");
    assert_eq!(servers_in(&cluster), [], "PostgreSQL is still there");
    println!(
        "{kills} kills, {} acknowledged writes, {} answers 503; ended in {took:?}",
        ledger.acknowledged.load(Ordering::SeqCst),
        ledger.unavailable.load(Ordering::SeqCst)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgres_is_gone_requests_are_told_to_come_back() {
    let folder = Folder::new("outage");
    let service = start(&folder).await;
    let ada = Caller::new(&folder, 1);
    let lobby = session("Open", "lobby");
    let body = json!({"members": {"me": {"properties": {"system": {"active": true}}}}});
    assert_eq!(ada.put(&service.base, &lobby, &body).await.expect("it answers").status, 201);
    kill_first(&folder.path().join("pg"));
    let (mut told, begun) = (0, Instant::now());
    loop {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not recover:\n{}", service.log());
        let read = ada.get(&service.base, &lobby).await.expect("the service is there");
        let write = ada.put(&service.base, &lobby, &body).await.expect("the service is there");
        for reply in [&read, &write] {
            assert!(matches!(reply.status, 200 | 503), "{reply:?}");
            assert_eq!(reply.status == 503, reply.retry_after.is_some(), "{reply:?}");
            told += u32::from(reply.status == 503);
        }
        // A database that is back soon is waited for, and nobody is told anything.
        if service.log().contains("PostgreSQL is back") && read.status == 200 && write.status == 200 {
            break;
        }
    }
    println!("{told} requests were told to come back; recovered after {:?}", begun.elapsed());
    let (status, _) = service.end().await;
    assert!(status.success(), "{status}");
    let again = start(&folder).await;
    println!("second start: {:?}", again.start);
    assert!(again.start < Duration::from_secs(3), "the second start took {:?}", again.start);
    assert_eq!(ada.get(&again.base, &lobby).await.expect("it answers").status, 200);
    let (status, took) = again.end().await;
    assert!(status.success() && took < Duration::from_secs(8), "{status} after {took:?}");
    until_gone(&folder.path().join("pg")).await;
}

async fn start(folder: &Folder) -> Process {
    match Process::start(folder.path(), &["--dev"], &[]).await {
        Ok(service) => service,
        Err(said) => panic!("the service does not start:\n{said}"),
    }
}

fn kill_first(cluster: &Path) {
    kill_server(*servers_in(cluster).first().expect("PostgreSQL runs"));
}

/// Waits for a few more acknowledged writes.
async fn progress(ledger: &Ledger) {
    let goal = ledger.acknowledged.load(Ordering::SeqCst) + 20;
    let begun = Instant::now();
    while ledger.acknowledged.load(Ordering::SeqCst) < goal {
        assert!(begun.elapsed() < Duration::from_mins(1), "no write is acknowledged any more");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Writes as fast as answers come, and notes what is acknowledged.
async fn write(caller: Caller, ledger: Arc<Ledger>, mut chance: Chance) {
    let mut count = 0;
    while !ledger.done.load(Ordering::SeqCst) {
        count += 1;
        let base = ledger.base.lock().expect("nobody panics here").clone();
        let reply = if chance.permille(200) {
            let path = session("Open", &format!("made-{}-{count}", caller.xuid));
            let reply = caller.send(&base, Method::PUT, &path, Some(("if-none-match", "*")), Some(&entry(count))).await;
            if reply.as_ref().is_some_and(|reply| reply.status == 201) {
                ledger.created.lock().expect("nobody panics here").push((path, caller.xuid));
            }
            reply
        } else {
            let shared = chance.below(SESSIONS);
            let reply = caller.put(&base, &session("Open", &format!("shared-{shared}")), &entry(count)).await;
            if reply.as_ref().is_some_and(|reply| matches!(reply.status, 200 | 201)) {
                ledger.counters.lock().expect("nobody panics here").insert((shared, caller.xuid), count);
            }
            reply
        };
        match reply {
            Some(reply) if matches!(reply.status, 200 | 201) => drop(ledger.acknowledged.fetch_add(1, Ordering::SeqCst)),
            Some(reply) if reply.status == 503 => {
                assert!(reply.retry_after.is_some(), "{reply:?}");
                ledger.unavailable.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_millis(20)).await;
            }
            Some(reply) => panic!("{reply:?}"),
            None => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The writer's own entry, active and with its counter.
fn entry(count: u64) -> Value {
    json!({"members": {"me": {"properties": {"system": {"active": true}, "custom": {"count": count}}}}})
}

/// Whether everything acknowledged by now is there.
async fn check(ledger: &Ledger, callers: &[Caller]) {
    let base = ledger.base.lock().expect("nobody panics here").clone();
    let counters = ledger.counters.lock().expect("nobody panics here").clone();
    for ((shared, xuid), count) in counters {
        let document = read(&callers[0], &base, &session("Open", &format!("shared-{shared}"))).await;
        let members = document["members"].as_object().unwrap_or_else(|| panic!("shared-{shared} is gone: {document}"));
        let xuid = xuid.to_string();
        let member = members.values().find(|member| member["constants"]["system"]["xuid"] == *xuid);
        let stored = member.and_then(|member| member["properties"]["custom"]["count"].as_u64());
        assert!(stored >= Some(count), "shared-{shared} has {stored:?} for {xuid}: {count} was acknowledged");
    }
    let created = std::mem::take(&mut *ledger.created.lock().expect("nobody panics here"));
    for (path, xuid) in created {
        let document = read(&callers[0], &base, &path).await;
        let creator = &document["members"]["0"]["constants"]["system"]["xuid"];
        assert_eq!(*creator, xuid.to_string(), "{path} was created: {document}");
    }
}

async fn read(caller: &Caller, base: &str, path: &str) -> Value {
    let begun = Instant::now();
    loop {
        match caller.get(base, path).await {
            Some(reply) if reply.status == 503 && begun.elapsed() < Duration::from_secs(30) => {
                sleep(Duration::from_millis(20)).await;
            }
            Some(reply) => return reply.body,
            None => panic!("the service does not answer"),
        }
    }
}

/// The projection check, on the private PostgreSQL of the service.
async fn differences(data_dir: &Path) -> Vec<String> {
    let options = StoreOptions {
        connect: private_url(data_dir).parse().expect("the URL is well-formed"),
        pool_max: 1,
        statement_timeout: Duration::from_secs(20),
        acquire_timeout: Duration::from_secs(20),
    };
    let store = Store::connect(options).await.expect("PostgreSQL serves us too");
    let differences = store.verify().await.expect("the database answers");
    store.close().await;
    differences
}
