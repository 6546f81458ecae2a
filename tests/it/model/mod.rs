//! The whole store against its model: random histories from two directories over one database, with wires that break between a
//! statement and its answer, and servers that end connections. Afterwards every answer has to be explained by the change log, and
//! the log by replaying `decide` in the order of its numbers (`judge`).
//!
//! `OPENMPSD_MODEL` says how many histories to run, `OPENMPSD_MODEL_SEED` which is the first; what overlaps with what is up to the
//! scheduler, so a seed repeats the wishes and not the interleaving.

mod judge;
mod player;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use openmpsd::ambient::{Clock, Ids};
use openmpsd::directory::{Directory, Options};
use openmpsd::domain::names::Scid;
use openmpsd::domain::principal::Principal;
use openmpsd::services;
use openmpsd::store::{Store, StoreError, StoreOptions, migrate};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_postgres::NoTls;
use uuid::Uuid;

use self::judge::Verdict;
use self::player::{Op, Player};
use crate::chance::{Chance, setting};
use crate::cluster::{self, TestDatabase};
use crate::harness::{Choices, SCID, connect, player, start_of_time};
use crate::proxy::Proxy;

/// Histories that share a database.
const WORLD: u64 = 250;
/// Histories that run at the same time.
const ABREAST: usize = 12;
/// Writing statements in a thousand that go wrong.
const FAULTS: u64 = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_acknowledged_answer_is_explained_by_the_log() {
    let count = setting("OPENMPSD_MODEL", 40);
    let first = setting("OPENMPSD_MODEL_SEED", Ids::random().uuid().as_u64_pair().0 >> 24);
    println!("{count} histories with the seeds from OPENMPSD_MODEL_SEED={first}");
    let begun = Instant::now();
    let mut verdict = Verdict::default();
    let mut faults = 0;
    for world in (first..first + count).step_by(usize::try_from(WORLD).expect("a small number")) {
        let seeds = world..(world + WORLD).min(first + count);
        let world = ModelWorld::new(world).await;
        verdict += world.run(seeds).await;
        faults += world.end().await;
    }
    println!("{count} histories in {:.1} s: {verdict:?}, {faults} faults", begun.elapsed().as_secs_f64());
    assert!(verdict.written > 0 && verdict.made > 0, "nothing was written");
}

/// One database with two directories, each at the end of a wire of its own.
struct ModelWorld {
    database: TestDatabase,
    /// Past the wires, for the judge.
    store: Store,
    clock: Clock,
    directories: Vec<Arc<Directory>>,
    proxies: Vec<Proxy>,
    killer: tokio::task::JoinHandle<()>,
    /// Orders beginnings and ends of commands.
    steps: Arc<AtomicU64>,
}

impl ModelWorld {
    async fn new(seed: u64) -> Self {
        let database = cluster::database(async |url: &str| migrate::migrate(url).await.map(drop)).await;
        let clock = Clock::manual(start_of_time());
        let store = connect(&database).await;
        store.ensure_partitions(clock.now()).await.expect("partitions are made");
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/services");
        services::import(&store, shipped.as_ref()).await.expect("the shipped service configs are valid");
        let mut directories = Vec::new();
        let mut proxies = Vec::new();
        for at in 0..2 {
            let proxy = Proxy::start(database.url(), seed * 2 + at, 0);
            let options = StoreOptions {
                connect: proxy.options(),
                pool_max: 6,
                statement_timeout: Duration::from_secs(20),
                acquire_timeout: Duration::from_secs(20),
            };
            let store = Store::connect(options).await.expect("the database is there");
            let options = Options { limits: player::limits(), ..Choices::default().options };
            let directory = Directory::start(store, clock.clone(), Ids::random(), options);
            directory.ready().await.expect("the catalog is there");
            proxy.set_permille(FAULTS);
            directories.push(Arc::new(directory));
            proxies.push(proxy);
        }
        let killer = tokio::spawn(end_connections(database.url().to_owned(), Chance::new(seed)));
        Self { database, store, clock, directories, proxies, killer, steps: Arc::default() }
    }

    async fn run(&self, seeds: std::ops::Range<u64>) -> Verdict {
        let mut running = JoinSet::new();
        let mut histories = Vec::new();
        for seed in seeds {
            let known = player::lost(seed);
            let (known, now) = ([(known.id.0, known.owner.0)], self.clock.real());
            // The connection that it goes over may be one that is ended.
            while let Err(error) = self.store.open_connections(Uuid::nil(), &known, now).await {
                assert!(matches!(error, StoreError::Unavailable(_)), "the row is not stored: {error}");
            }
            if running.len() >= ABREAST {
                histories.push(running.join_next().await.expect("some run").expect("a history does not panic"));
            }
            running.spawn(history(seed, self.directories.clone(), self.clock.clone(), Arc::clone(&self.steps)));
        }
        while let Some(history) = running.join_next().await {
            histories.push(history.expect("a history does not panic"));
        }
        self.killer.abort();
        self.proxies.iter().for_each(Proxy::mend);
        self.fall_silent().await;
        let mut verdict = Verdict::default();
        let scid = Scid::parse(SCID).expect("a GUID");
        let anybody = Principal::User(player(1));
        let service = self.directories[0].catalog().service(&scid, &anybody).expect("everybody may use it");
        let template = service.template("Open").expect("it is shipped");
        for (seed, ops) in histories {
            verdict += judge::judge(seed, &self.store, template, &ops).await;
        }
        let differences = self.store.verify().await.expect("the database answers");
        assert_eq!(differences, Vec::<String>::new(), "projection check");
        verdict
    }

    /// Waits until statements that were late have come and gone.
    async fn fall_silent(&self) {
        let client = raw(self.database.url()).await;
        let busy = "select count(*) from pg_stat_activity where datname = current_database() and state <> 'idle' \
                    and pid <> pg_backend_pid()";
        let mut silent = 0;
        while silent < 3 {
            sleep(Duration::from_millis(25)).await;
            let busy: i64 = client.query_one(busy, &[]).await.expect("the server answers").get(0);
            silent = if busy == 0 { silent + 1 } else { 0 };
        }
    }

    async fn end(self) -> u64 {
        for directory in &self.directories {
            directory.store().close().await;
        }
        self.store.close().await;
        self.proxies.iter().map(Proxy::fault_count).sum()
    }
}

async fn raw(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the database is there");
    tokio::spawn(connection);
    client
}

/// Ends connections of the directories at the server's side, whatever they are doing.
async fn end_connections(url: String, mut chance: Chance) {
    let client = raw(&url).await;
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
               and application_name = 'openmpsd' and state = 'active' limit 1";
    loop {
        sleep(Duration::from_millis(20 + chance.below(80))).await;
        client.batch_execute(end).await.expect("the server answers");
    }
}

/// One history: a few players on a few sessions, all at the same time.
async fn history(seed: u64, directories: Vec<Arc<Directory>>, clock: Clock, steps: Arc<AtomicU64>) -> (u64, Vec<Op>) {
    let mut chance = Chance::new(seed);
    let sessions = 2 + chance.below(2);
    let mut players = JoinSet::new();
    for number in 0..4 {
        let directory = Arc::clone(chance.pick(&directories));
        let player = Player::new(seed, number, sessions, chance.next(), directory, clock.clone(), Arc::clone(&steps));
        players.spawn(player.play(7));
    }
    let mut ops: Vec<Op> = players.join_all().await.into_iter().flatten().collect();
    ops.sort_by_key(|op| op.begun);
    (seed, ops)
}

/// The next step of the world.
fn step(steps: &AtomicU64) -> u64 {
    steps.fetch_add(1, Ordering::SeqCst)
}
