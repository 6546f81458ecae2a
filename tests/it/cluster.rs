//! The databases of the tests: one private cluster per run, one migrated template in it, a clone per test.
//!
//! The cluster is served by the same supervisor as the embedded default, from a thread with a runtime of its own, because every
//! test has another runtime that ends with the test. `OPENMPSD_TEST_DATABASE_URL` names a server to use instead, as a role that
//! may create databases.

use std::ffi::c_int;
use std::fmt::Debug;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use openmpsd::embedded::{EmbeddedOptions, EmbeddedPostgres};
use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, mpsc as tasks};
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

/// The room, in bytes, that `/dev/shm` must have to be chosen.
const ROOM: u64 = 2 << 30;

/// The folders of runs are called this, and the process id.
const FOLDER: &str = "openmpsd-test-";

/// A database of one test, dropped with this value.
pub struct TestDatabase {
    name: String,
    url: String,
}

/// Clones the migrated template. The first call of a run makes the template, with `migrate`, which is given the URL of an empty
/// database and must close its connections to it.
pub async fn database<E: Debug>(migrate: impl AsyncFnOnce(&str) -> Result<(), E>) -> TestDatabase {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let make = async || make_template(format!("openmpsd_template_{}", schema_version()), migrate).await;
    clone_of(TEMPLATE.get_or_init(make).await).await
}

async fn clone_of(template: &str) -> TestDatabase {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("openmpsd_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let clone = format!("create database {name} template {template} strategy file_copy");
    server().client().await.batch_execute(&clone).await.expect("the template can be cloned");
    TestDatabase { url: server().url(&name), name }
}

impl TestDatabase {
    /// The database's URL, for sqlx and tokio-postgres alike.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestDatabase {
    /// Leaves the work to the cluster's thread, since this one's runtime may be ending.
    fn drop(&mut self) {
        let _ = server().tasks.send(Task::Drop(self.name.clone()));
    }
}

/// Makes the template `name` unless there is one, and returns the name. It is made under another name and then renamed: whoever
/// sees it sees it whole, and of two runs on one outside server either may be first.
async fn make_template<E: Debug>(name: String, migrate: impl AsyncFnOnce(&str) -> Result<(), E>) -> String {
    let client = server().client().await;
    let known = client.query("select from pg_database where datname = $1", &[&name]).await.expect("the server answers");
    if known.is_empty() {
        let draft = format!("{name}_{}", std::process::id());
        client.batch_execute(&format!("drop database if exists {draft} with (force)")).await.expect("an old draft goes");
        client.batch_execute(&format!("create database {draft}")).await.expect("the role may create databases");
        migrate(&server().url(&draft)).await.expect("the migrations run on an empty database");
        client.batch_execute(&format!("alter database {draft} allow_connections false")).await.expect("the draft is ours");
        match client.batch_execute(&format!("alter database {draft} rename to {name}")).await {
            Err(error) if error.code() == Some(&SqlState::DUPLICATE_DATABASE) => {
                client.batch_execute(&format!("drop database {draft}")).await.expect("nobody knows the draft");
            }
            renamed => renamed.expect("nobody is connected to the draft"),
        }
    }
    name
}

/// A hash over the names and texts of `migrations/`, in their order.
fn schema_version() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(file.file_name().unwrap().as_encoded_bytes());
        digest.update(fs::read(file).unwrap());
    }
    let start = digest.finalize()[..8].try_into().unwrap();
    format!("{:016x}", u64::from_be_bytes(start))
}

/// The server of this run.
struct Server {
    /// The URL of a database that is always there.
    home: String,
    tasks: tasks::UnboundedSender<Task>,
}

/// What the cluster's thread is asked to do.
enum Task {
    Drop(String),
    /// The answer comes when nothing of this run is left.
    Stop(mpsc::Sender<()>),
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// Starts the server with the first call.
fn server() -> &'static Server {
    SERVER.get_or_init(|| {
        let (tasks, queue) = tasks::unbounded_channel();
        let (started, start) = mpsc::channel();
        thread::Builder::new().name("cluster".to_owned()).spawn(move || serve(&started, queue)).unwrap();
        let home = start.recv().expect("the cluster starts; if not, its thread says above why");
        atexit(stop_server);
        Server { home, tasks }
    })
}

unsafe extern "C" {
    safe fn atexit(callback: extern "C" fn()) -> c_int;
}

/// The end of the run, which Rust's tests do not announce otherwise.
extern "C" fn stop_server() {
    let (done, wait) = mpsc::channel();
    if let Some(server) = SERVER.get()
        && server.tasks.send(Task::Stop(done)).is_ok()
    {
        let _ = wait.recv_timeout(Duration::from_secs(20));
    }
}

impl Server {
    async fn client(&self) -> Client {
        connect(&self.home).await.expect("the server of the tests takes connections")
    }

    fn url(&self, database: &str) -> String {
        with_database(&self.home, database)
    }
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The same URL, for another database.
fn with_database(url: &str, database: &str) -> String {
    let (base, parameters) = url.split_at(url.find('?').unwrap_or(url.len()));
    let (scheme, rest) = base.split_once("://").expect("a database is named by a URL like postgresql://user@host/database");
    let authority = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{authority}/{database}{parameters}")
}

/// The body of the cluster's thread, until the run ends.
#[tokio::main(flavor = "current_thread")]
async fn serve(started: &mpsc::Sender<String>, mut queue: tasks::UnboundedReceiver<Task>) {
    let mut own = None;
    let home = match outside_url() {
        Some(url) => url,
        None => own.insert(OwnCluster::start().await).postgres.connection().url(),
    };
    started.send(home.clone()).expect("the first test waits for it");
    let mut drops = JoinSet::new();
    while let Some(task) = queue.recv().await {
        match task {
            Task::Drop(name) => drop(drops.spawn(drop_database(home.clone(), name))),
            Task::Stop(done) => {
                match own.take() {
                    Some(own) => {
                        // Its databases go with it.
                        drops.shutdown().await;
                        own.stop().await;
                    }
                    None => while drops.join_next().await.is_some() {},
                }
                let _ = done.send(());
                return;
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one setting of the tests")]
fn outside_url() -> Option<String> {
    std::env::var("OPENMPSD_TEST_DATABASE_URL").ok().filter(|url| !url.is_empty())
}

/// Drops a database with all connections to it.
async fn drop_database(home: String, name: String) {
    let statement = format!("drop database if exists {name} with (force)");
    let dropped = async { connect(&home).await?.batch_execute(&statement).await };
    if let Err(error) = dropped.await {
        eprintln!("failed to drop the database {name}: {error}");
    }
}

/// The private cluster of this run.
struct OwnCluster {
    folder: PathBuf,
    postgres: EmbeddedPostgres,
}

impl OwnCluster {
    async fn start() -> Self {
        let roomy = statvfs("/dev/shm").is_ok_and(|disk| disk.blocks_available() * disk.fragment_size() >= ROOM);
        let parent = if roomy { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
        sweep(&parent);
        let folder = parent.join(format!("{FOLDER}{}", std::process::id()));
        let extra = [("wal_level", "minimal"), ("max_wal_senders", "0"), ("autovacuum", "off")];
        let options = EmbeddedOptions {
            data_dir: folder.clone(),
            binaries: None,
            durable: false,
            max_connections: 400,
            extra: extra.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        match EmbeddedPostgres::start(options).await {
            Ok(postgres) => Self { folder, postgres },
            Err(error) => panic!("failed to {error}"),
        }
    }

    async fn stop(self) {
        self.postgres.stop().await;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes the folders of runs that were killed. Their servers end by themselves, and nobody else has a use for the folders.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(FOLDER)) else { continue };
        let abandoned = match File::open(entry.path().join("lock")) {
            Ok(lock) => lock.try_lock().is_ok(),
            // Not yet there, or no more.
            Err(_) => !Path::new("/proc").join(pid).exists(),
        };
        if abandoned {
            // It may be another user's; then it is theirs to remove.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[tokio::test]
async fn every_test_has_a_database_of_its_own() {
    let migrate = async |url: &str| connect(url).await?.batch_execute("create table migrated ()").await;
    let template = make_template(format!("openmpsd_template_small_{}", std::process::id()), migrate).await;
    let (first, second) = (clone_of(&template).await, clone_of(&template).await);
    let client = connect(first.url()).await.unwrap();
    client.batch_execute("create table here ()").await.unwrap();
    let asked = "select current_database(), to_regclass('migrated') is not null, to_regclass('here') is not null";
    for (test, has_table) in [(&first, true), (&second, false)] {
        let row = connect(test.url()).await.unwrap().query_one(asked, &[]).await.unwrap();
        assert_eq!((row.get(0), row.get(1), row.get(2)), (test.name.as_str(), true, has_table));
    }
    drop(first);
    while client.batch_execute("select 1").await.is_ok() {} // The database goes, and takes its connections along.
    connect(second.url()).await.unwrap();
    drop(TestDatabase { name: template, url: String::new() });
}

#[test]
fn the_version_of_the_schema_is_a_name() {
    assert!(schema_version().len() == 16 && schema_version() == schema_version());
}

#[test]
fn a_url_is_turned_to_another_database() {
    for (url, turned) in [
        ("postgresql:///a?host=%2Frun&user=u", "postgresql:///b?host=%2Frun&user=u"),
        ("postgres://u:p@h:5433/a", "postgres://u:p@h:5433/b"),
        ("postgres://h", "postgres://h/b"),
    ] {
        assert_eq!(with_database(url, "b"), turned);
    }
}
