//! What a large session costs beside an ordinary one, over a durable cluster: a measurement, run by hand and in release.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use openmpsd::ambient::{Clock, Ids};
use openmpsd::directory::{Directory, WriteRequest, Written};
use openmpsd::domain::access::Pass;
use openmpsd::domain::command::{Preconditions, Target, Write};
use openmpsd::domain::decide::Outcome;
use openmpsd::domain::names::{Scid, SessionName, SessionReference};
use openmpsd::domain::principal::Principal;
use openmpsd::domain::template::Form;
use openmpsd::embedded::{EmbeddedOptions, EmbeddedPostgres};
use openmpsd::services;
use openmpsd::store::{Store, StoreOptions, migrate};
use openmpsd::wire::request::read_delta;
use serde_json::{Value, json};

use crate::harness::{Choices, SCID, player};
use crate::process::Folder;

const MEMBERS: u64 = 10_000;
const ROUNDS: usize = 5;
const WRITES: u64 = 400;

/// A directory over a cluster of its own that waits for the disk.
struct Bench {
    directory: Directory,
    postgres: EmbeddedPostgres,
    store: Store,
    _folder: Folder,
}

impl Bench {
    async fn start() -> Self {
        let folder = Folder::new("large-cost");
        let options = EmbeddedOptions {
            data_dir: folder.path().to_owned(),
            binaries: None,
            durable: true,
            max_connections: 50,
            extra: Vec::new(),
        };
        let postgres = EmbeddedPostgres::start(options).await.unwrap_or_else(|error| panic!("failed to {error}"));
        let url = postgres.connection().url();
        migrate::migrate(&url).await.expect("the database is empty");
        let store = Store::connect(StoreOptions {
            connect: url.parse().expect("the URL is well-formed"),
            pool_max: 8,
            statement_timeout: Duration::from_secs(20),
            acquire_timeout: Duration::from_secs(20),
        })
        .await
        .expect("the database is there");
        let clock = Clock::system();
        store.ensure_partitions(clock.now()).await.expect("partitions are made");
        let shipped: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/services");
        services::import(&store, &shipped).await.expect("the shipped service configs are valid");
        let directory = Directory::start(store.clone(), clock, Ids::random(), Choices::default().options);
        directory.ready().await.expect("the catalog is read");
        Self { directory, postgres, store, _folder: folder }
    }

    async fn write(&self, name: &str, xuid: u64, body: &Value) -> Written {
        let scid = Scid::parse(SCID).expect("the scid is a GUID");
        let principal = Arc::new(Principal::User(player(xuid)));
        let service = self.directory.catalog().service(&scid, &principal).expect("it is shipped");
        let template = Arc::clone(service.template("Open").expect("it is shipped"));
        let name = SessionName::parse(name).expect("the name is sound");
        let delta = read_delta(body.to_string().as_bytes(), 32).expect("the body is sound");
        let request = WriteRequest {
            reference: SessionReference { scid, template: template.name.clone(), name },
            template,
            principal,
            write: Write { delta, preconditions: Preconditions::default(), target: Target::Session, form: Form::New },
            nocommit: false,
            pass: Pass::Nothing,
        };
        self.directory.write(request).await.expect("the write is sound")
    }

    /// Everybody from 1 to `members` is in the session, the first of them as its owner where it has owners.
    async fn fill(&self, name: &str, members: u64, capabilities: Value) {
        let constants = json!({"maxMembersCount": members.min(10_000), "capabilities": capabilities});
        let active = json!({"me": {"properties": {"system": {"active": true}, "custom": {"skill": 1200, "colour": "red"}}}});
        self.write(name, 1, &json!({"constants": {"system": constants}, "members": active})).await;
        let join = json!({"members": active});
        for from in (2..=members).step_by(200) {
            join_all((from..(from + 200).min(members + 1)).map(|xuid| self.write(name, xuid, &join))).await;
        }
    }

    /// The time of one update of an own custom property, one after another.
    async fn updates(&self, name: &str, members: u64, round: usize) -> Duration {
        let begun = Instant::now();
        for n in 0..WRITES {
            let xuid = 1 + n * 7919 % members;
            let body = json!({"members": {"me": {"properties": {"custom": {"skill": round as u64 * 10_000 + n}}}}});
            assert_eq!(self.write(name, xuid, &body).await.outcome, Outcome::Updated);
        }
        begun.elapsed() / u32::try_from(WRITES).expect("a small number")
    }

    /// The same with 64 writers at a time, who share commits.
    async fn crowd(&self, name: &str, members: u64, round: usize) -> Duration {
        let begun = Instant::now();
        for part in 0..WRITES / 64 {
            let writes = (0..64).map(|n| {
                let skill = 1_000_000 + round as u64 * 10_000 + part * 64 + n;
                let body = json!({"members": {"me": {"properties": {"custom": {"skill": skill}}}}});
                async move { self.write(name, 1 + (part * 64 + n) % members, &body).await }
            });
            join_all(writes).await;
        }
        begun.elapsed() / u32::try_from(WRITES / 64 * 64).expect("a small number")
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn cost_of_a_large_session() {
    let bench = Bench::start().await;
    let begun = Instant::now();
    bench.fill("large", MEMBERS, json!({"large": true, "hasOwners": true})).await;
    println!("{MEMBERS} joins in {:?}", begun.elapsed());
    bench.fill("small", 8, json!({"hasOwners": true})).await;
    let (mut large, mut small, mut large_crowd, mut small_crowd) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let times = [
            bench.updates("small", 8, round).await,
            bench.updates("large", MEMBERS, round).await,
            bench.crowd("small", 8, round).await,
            bench.crowd("large", MEMBERS, round).await,
        ];
        // The first round warms up.
        if round > 0 {
            println!(
                "round {round}: small {:?}, large {:?}; 64 at a time: small {:?}, large {:?}",
                times[0], times[1], times[2], times[3]
            );
            [&mut small, &mut large, &mut small_crowd, &mut large_crowd]
                .into_iter()
                .zip(times)
                .for_each(|(all, time)| all.push(time));
        }
    }
    for (what, small, large) in [("one at a time", &mut small, &mut large), ("64 at a time", &mut small_crowd, &mut large_crowd)]
    {
        let (small, large) = (median(small), median(large));
        let ratio = large.as_secs_f64() / small.as_secs_f64();
        println!("{what}: an update takes {small:?} among 8 and {large:?} among {MEMBERS}: {ratio:.2} times as long");
    }
    let begun = Instant::now();
    let left = bench.write("large", 1, &json!({"members": {"me": null}})).await;
    println!("the session of {} ends in {:?}", MEMBERS, begun.elapsed());
    assert_eq!(left.outcome, Outcome::Gone);
    assert_eq!(bench.store.verify().await.expect("the database answers"), Vec::<String>::new());
    bench.store.close().await;
    bench.postgres.stop().await;
}
