//! A throw-away PostgreSQL for the tests of this room: one cluster per test process, one migrated database per test.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::store::{Store, StoreOptions, migrate};

/// Starts a server that lives until its standard input is closed, which the end of the test process does whatever happens.
const SCRIPT: &str = r#"
set -e
initdb -D "$1/pg" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$1/log"
postgres -D "$1/pg" -k "$1" -c listen_addresses= -c fsync=off -c max_connections=200 >>"$1/log" 2>&1 &
server=$!
until pg_isready -q -h "$1"; do kill -0 $server; sleep 0.05; done
echo ready
cat >/dev/null
kill -INT $server
wait $server || true
rm -rf "$1"
"#;

struct Cluster {
    folder: PathBuf,
    /// Its standard input is closed when the process ends.
    _alive: Child,
}

/// A migrated database of its own.
pub struct Database {
    pub url: String,
    pub store: Store,
}

impl Database {
    /// A new database with the current schema.
    pub async fn new() -> Self {
        static TEMPLATE: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
        TEMPLATE
            .get_or_init(async || {
                create("migrated", "template0").await;
                migrate::migrate(&url_of("migrated")).await.expect("the template database is migrated");
            })
            .await;
        Self::made_from("migrated").await
    }

    /// A connection beside the pool.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the database is there")
    }

    async fn made_from(template: &str) -> Self {
        let url = empty_from(template).await;
        let store = Store::connect(StoreOptions {
            connect: url.parse().expect("the address is well-formed"),
            pool_max: 4,
            statement_timeout: Duration::from_secs(30),
            acquire_timeout: Duration::from_secs(10),
        })
        .await
        .expect("the store connects");
        Self { url, store }
    }
}

/// The address of a new database without a schema.
pub async fn empty() -> String {
    empty_from("template0").await
}

/// What the server logs.
pub fn log() -> PathBuf {
    cluster().folder.join("log")
}

async fn empty_from(template: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    create(&name, template).await;
    url_of(&name)
}

async fn create(name: &str, template: &str) {
    let mut connection = PgConnection::connect(&url_of("postgres")).await.expect("the cluster is up");
    let statement = format!("create database {name} template {template} strategy file_copy");
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.expect("a database can be made");
}

fn url_of(name: &str) -> String {
    format!("postgresql:///{name}?host={}&user=postgres", cluster().folder.display())
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(start)
}

fn start() -> Cluster {
    let base = if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    let folder = base.join(format!("openmpsd-store-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("a folder for the cluster");
    let root = nix::unistd::geteuid().is_root();
    let mut command = Command::new(if root { "setpriv" } else { "sh" });
    if root {
        let postgres = nix::unistd::User::from_name("postgres").expect("readable accounts").expect("the account postgres");
        std::os::unix::fs::chown(&folder, Some(postgres.uid.as_raw()), Some(postgres.gid.as_raw())).expect("root may");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
    }
    let path = format!("{}:/usr/bin:/bin", binaries().display());
    let mut child = command
        .args(["-c", SCRIPT, "cluster"])
        .arg(&folder)
        .env("PATH", path)
        .env_remove("PGDATA")
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
    let log = folder.join("log");
    assert_eq!(line.trim(), "ready", "the cluster starts: {}", std::fs::read_to_string(&log).unwrap_or_default());
    Cluster { folder, _alive: child }
}

/// The newest installed server.
fn binaries() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("postgres").exists())
        .collect();
    found.sort();
    found.pop().expect("PostgreSQL is installed under /usr/lib/postgresql")
}
