//! Real clusters, in folders of their own, killed and brought back. They run as root and as a normal user.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use sqlx::{Connection as _, Executor, PgConnection, Row};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::NoTls;

use super::account::Account;
use super::binaries::Search;
use super::layout::Layout;
use super::process::Child;
use super::*;
use crate::settings::default_data_dir;

/// Longer than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A data folder that goes away with the test, with whatever runs in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self::named(&format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    fn named(name: &str) -> Self {
        let path = Self::path_of(name);
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn path_of(name: &str) -> PathBuf {
        let shm = Path::new("/dev/shm");
        let parent = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
        parent.join(format!("openmpsd-embedded-{name}"))
    }

    fn options(&self) -> EmbeddedOptions {
        let extra = vec![("shared_buffers".to_owned(), "8MB".to_owned())];
        EmbeddedOptions { data_dir: self.0.clone(), binaries: None, durable: false, max_connections: 20, extra }
    }

    async fn start(&self) -> EmbeddedPostgres {
        EmbeddedPostgres::start(self.options()).await.unwrap()
    }

    async fn fails_to_start(&self) -> String {
        EmbeddedPostgres::start(self.options()).await.unwrap_err().to_string()
    }

    fn server_pid(&self) -> Pid {
        let text = fs::read_to_string(self.0.join("pg/postmaster.pid")).unwrap();
        Pid::from_raw(text.lines().next().unwrap().parse().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Only a test that failed leaves a server; a quick end removes its shared memory.
        let pg = self.0.join("pg");
        let serving = || leftovers::servers_in(&pg, &Account::choose(&pg).ok()?).ok();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        for (pid, _) in serving().unwrap_or_default() {
            let _ = kill(pid, Signal::SIGQUIT);
        }
        while serving().is_some_and(|found| !found.is_empty()) && std::time::Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn connect(postgres: &EmbeddedPostgres) -> PgConnection {
    PgConnection::connect(&postgres.connection().url()).await.unwrap()
}

async fn becomes(ready: &mut watch::Receiver<bool>, wanted: bool) {
    timeout(PATIENCE, ready.wait_for(|ready| *ready == wanted)).await.expect("in time").unwrap();
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_first_start_makes_a_database_and_a_second_keeps_it() {
    let folder = Folder::new();
    let postgres = folder.start().await;
    assert!(postgres.is_running());
    connect(&postgres).await.execute("create table kept (n int); insert into kept values (7)").await.unwrap();
    postgres.stop().await;
    assert!(!folder.0.join("pg/postmaster.pid").exists(), "a stopped server leaves no pid file");

    let postgres = folder.start().await;
    let row = connect(&postgres).await.fetch_one("select n, current_database(), session_user::text from kept").await.unwrap();
    assert_eq!((row.get::<i32, _>(0), row.get(1), row.get(2)), (7, DATABASE, ROLE));
    postgres.stop().await;
}

#[tokio::test]
async fn sqlx_and_tokio_postgres_both_take_the_url() {
    let folder = Folder::new();
    let postgres = folder.start().await;
    let url = postgres.connection().url();
    let mut with_sqlx = PgConnection::connect(&url).await.unwrap();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let asked = "select current_setting('listen_addresses') || '|' || current_setting('unix_socket_permissions')";
    assert_eq!(with_sqlx.fetch_one(asked).await.unwrap().get::<String, _>(0), "|0700");
    assert_eq!(client.query_one(asked, &[]).await.unwrap().get::<_, String>(0), "|0700");
    drop(client);
    driver.await.unwrap().unwrap();
    postgres.stop().await;
}

#[test]
fn an_unusual_path_survives_in_the_url() {
    let socket_dir = PathBuf::from("/srv/ä b/c+d%20&e=f?#");
    let connection = Connection { socket_dir: socket_dir.clone(), user: ROLE.to_owned(), database: DATABASE.to_owned() };
    let for_sqlx: sqlx::postgres::PgConnectOptions = connection.url().parse().unwrap();
    assert_eq!(for_sqlx.get_socket(), Some(&socket_dir));
    assert_eq!((for_sqlx.get_username(), for_sqlx.get_database(), for_sqlx.get_port()), (ROLE, Some(DATABASE), PORT));
    let for_tokio: tokio_postgres::Config = connection.url().parse().unwrap();
    assert_eq!(for_tokio.get_hosts(), [tokio_postgres::config::Host::Unix(socket_dir)]);
    assert_eq!((for_tokio.get_user(), for_tokio.get_dbname(), for_tokio.get_ports()), (Some(ROLE), Some(DATABASE), &[PORT][..]));
}

#[tokio::test]
async fn a_killed_server_comes_back_with_what_was_acknowledged() {
    let folder = Folder::new();
    let mut options = folder.options();
    options.durable = true;
    let postgres = EmbeddedPostgres::start(options).await.unwrap();
    let mut ready = postgres.readiness();
    let mut connection = connect(&postgres).await;
    let settings = "select string_agg(name || '=' || setting, ' ' order by name) from pg_settings \
                    where name in ('fsync', 'full_page_writes', 'synchronous_commit')";
    let durable: String = connection.fetch_one(settings).await.unwrap().get(0);
    assert_eq!(durable, "fsync=on full_page_writes=on synchronous_commit=on");
    connection.execute("create table kept (n int); insert into kept values (7)").await.unwrap();

    kill(folder.server_pid(), Signal::SIGKILL).unwrap();
    becomes(&mut ready, false).await;
    becomes(&mut ready, true).await;
    let kept = connect(&postgres).await.fetch_one("select n from kept").await.unwrap();
    assert_eq!(kept.get::<i32, _>(0), 7);
    postgres.stop().await;
}

#[tokio::test]
async fn a_server_that_lost_its_service_is_taken_over() {
    let folder = Folder::new();
    folder.start().await.stop().await;
    let layout = Layout::open(&folder.0).unwrap();
    let account = Account::choose(&layout.pg).unwrap();
    let cluster = Cluster::open(layout, account, None, false).await.unwrap();
    let connection =
        Connection { socket_dir: cluster.socket_folder.clone(), user: ROLE.to_owned(), database: DATABASE.to_owned() };
    let server = Server { cluster, connection, durable: false, max_connections: 20, extra: vec![] };
    let mut lost: Child = server.launch().await.unwrap();

    let postgres = folder.start().await;
    timeout(PATIENCE, lost.wait()).await.expect("the lost server is told to end");
    assert_ne!(folder.server_pid(), lost.pid());
    connect(&postgres).await.ping().await.unwrap();
    postgres.stop().await;
}

#[tokio::test]
async fn a_server_ends_with_its_service_even_when_that_is_killed() {
    let folder = Folder::named(&format!("killed-{}", std::process::id()));
    folder.start().await.stop().await;
    let account = Account::choose(&folder.0.join("pg")).unwrap();
    let serving = || leftovers::servers_in(&folder.0.join("pg"), &account).unwrap();
    let mut service = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "embedded::tests::a_service_to_be_killed", "--ignored"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // The first process of a server is joined by others when it is well.
    eventually("the service serves", || serving().len() > 3).await;
    service.kill().unwrap();
    service.wait().unwrap();
    eventually("the server ends", || serving().is_empty()).await;
    folder.start().await.stop().await;
}

/// The other half of the test above, in a process of its own; the folder is named after its parent.
#[tokio::test]
#[ignore = "runs until it is killed"]
async fn a_service_to_be_killed() {
    let folder = Folder(Folder::path_of(&format!("killed-{}", nix::unistd::getppid())));
    if folder.0.exists() {
        let _postgres = folder.start().await;
        std::future::pending::<()>().await;
    }
}

/// The first look comes at once; a running server is not disturbed by it.
#[tokio::test]
async fn a_log_that_has_grown_large_is_emptied_under_a_running_server() {
    let folder = Folder::new();
    let layout = Layout::open(&folder.0).unwrap();
    let account = Account::choose(&layout.pg).unwrap();
    let cluster = Cluster::open(layout.clone(), account, None, false).await.unwrap();
    let connection =
        Connection { socket_dir: cluster.socket_folder.clone(), user: ROLE.to_owned(), database: DATABASE.to_owned() };
    let server = Server { cluster, connection, durable: false, max_connections: 20, extra: vec![] };
    let child = server.launch().await.unwrap();
    fs::OpenOptions::new().write(true).open(&layout.log).unwrap().set_len(17 << 20).unwrap();
    let (ready, _) = watch::channel(true);
    let (stop, stopped) = oneshot::channel();
    let lock = DataDirLock::take(&layout.lock).await.unwrap();
    let supervisor = tokio::spawn(server.supervise(child, ready, stopped, lock));
    let length = || fs::metadata(&layout.log).unwrap().len();
    eventually("the log is emptied", || length() < 1 << 20).await;
    drop(stop);
    supervisor.await.unwrap();
    assert!(length() > 0, "the server has written on");
}

#[tokio::test]
async fn a_cluster_of_another_account_is_no_rubbish() {
    let folder = Folder::new();
    let pg = folder.0.join("pg");
    fs::create_dir_all(&pg).unwrap();
    assert!(matches!(cluster::stored_major(&pg), Err(EmbeddedError::NotACluster(_))), "there is nothing in it");
    fs::write(pg.join("PG_VERSION"), "fifteen\n").unwrap();
    assert!(matches!(cluster::stored_major(&pg), Err(EmbeddedError::NotACluster(_))), "it says nothing");
    fs::write(pg.join("PG_VERSION"), "15\n").unwrap();
    fs::set_permissions(&pg, fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads everything; the account it would drop to does not.
    let account = Account::choose(Path::new("/nowhere")).unwrap();
    let says = account.reading(|| cluster::stored_major(&pg)).unwrap_err().to_string();
    fs::set_permissions(&pg, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(says.contains("Run as the user that owns it: ") && !says.contains("Move it away"), "{says}");
    assert_eq!(cluster::stored_major(&pg).unwrap(), Some(15));
}

#[tokio::test]
async fn what_root_restores_belongs_to_whoever_had_it() {
    let folder = Folder::new();
    let keeper = Account::named("nobody").filter(|_| geteuid().is_root());
    folder.start().await.stop().await;
    let pg = folder.0.join("pg");
    let Some(keeper) = keeper else { return }; // A normal user has one account only.
    // The data folder of a service that has an account of its own.
    fs::remove_dir_all(&pg).unwrap();
    keeper.own(&folder.0).unwrap();
    for replace in [false, true] {
        let mut restoration = Restoration::begin(folder.options(), replace).await.unwrap();
        restoration.put_beside("keys", &[("signing.json", 0o600, b"{}".to_vec())]).unwrap();
        let aside = restoration.finish("before").await.unwrap();
        assert_eq!((aside.cluster.is_some(), aside.beside.is_some()), (replace, replace));
        for path in ["pg", "pg/PG_VERSION", "keys", "keys/signing.json", "lock"] {
            assert_eq!(fs::metadata(folder.0.join(path)).unwrap().uid(), keeper.uid.as_raw(), "{path}");
        }
        // From now on the cluster says whose it is.
        fs::rename(folder.0.join("keys"), folder.0.join(format!("kept-{replace}"))).unwrap();
        if !replace {
            fs::create_dir(folder.0.join("keys")).unwrap();
        }
    }
}

#[tokio::test]
async fn a_stale_pid_file_is_no_obstacle() {
    let folder = Folder::new();
    folder.start().await.stop().await;
    fs::write(folder.0.join("pg/postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
    fs::create_dir(folder.0.join("pg.init")).unwrap();
    folder.start().await.stop().await;
}

#[tokio::test]
async fn a_second_service_is_told_who_is_in_the_way() {
    let folder = Folder::new();
    let postgres = folder.start().await;
    let says = folder.fails_to_start().await;
    assert!(says.starts_with(&format!("lock {}", folder.0.join("lock").display())), "{says}");
    assert!(says.contains(&format!("process {} (", std::process::id())), "{says}");
    postgres.stop().await;
    folder.start().await.stop().await;
}

#[tokio::test]
async fn another_major_version_is_refused() {
    let folder = Folder::new();
    fs::create_dir_all(folder.0.join("pg")).unwrap();
    fs::write(folder.0.join("pg/PG_VERSION"), "14\n").unwrap();
    if geteuid().is_root() {
        Account::choose(Path::new("/nowhere")).unwrap().own(&folder.0.join("pg")).unwrap();
    }
    let says = folder.fails_to_start().await;
    assert!(says.contains("PostgreSQL 14 wrote it"), "{says}");
    assert!(says.contains("programs found are of 1"), "{says}");
}

#[tokio::test]
async fn a_folder_closed_to_the_account_is_named() {
    if !geteuid().is_root() {
        return; // A normal user runs PostgreSQL itself.
    }
    let folder = Folder::new();
    let closed = folder.0.join("closed");
    fs::create_dir_all(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let mut options = folder.options();
    options.data_dir = closed.join("data");
    let says = EmbeddedPostgres::start(options).await.unwrap_err().to_string();
    assert!(says.contains(&format!("the folder {} is closed", closed.display())), "{says}");
}

#[tokio::test]
async fn a_long_path_gets_a_short_socket_folder() {
    let folder = Folder::new();
    let mut options = folder.options();
    options.data_dir = folder.0.join("so, this is \"long\"".repeat(6));
    let postgres = EmbeddedPostgres::start(options).await.unwrap();
    let socket_dir = postgres.connection().socket_dir.clone();
    assert!(socket_dir.starts_with("/tmp"), "{}", socket_dir.display());
    connect(&postgres).await.ping().await.unwrap();
    postgres.stop().await;
    fs::remove_dir(socket_dir).unwrap();
}

#[tokio::test]
async fn a_server_that_will_not_start_says_why() {
    let folder = Folder::new();
    let mut options = folder.options();
    options.extra = vec![("no_such_setting".to_owned(), "1".to_owned())];
    let says = EmbeddedPostgres::start(options).await.unwrap_err().to_string();
    assert!(says.contains("no_such_setting"), "{says}");
}

#[tokio::test]
async fn root_and_the_account_may_log_in_and_nobody_else() {
    let folder = Folder::new();
    let postgres = folder.start().await;
    let account = Account::choose(&folder.0.join("pg")).unwrap();
    let programs = Search::new(None, &[&default_data_dir().unwrap()]).find(None, &account).unwrap();
    let psql = programs.folder.join("psql");
    let asks = |account: Option<&Account>| {
        let mut command = Command::new(&psql);
        command.arg(postgres.connection().url()).args(["-Atc", "select session_user"]).current_dir("/");
        if let Some(account) = account {
            account.apply(&mut command);
        }
        command.output().unwrap()
    };
    for who in [None, Some(&account)] {
        assert_eq!(String::from_utf8_lossy(&asks(who).stdout), "openmpsd\n", "as {who:?}");
    }
    if let Some(nobody) = Account::named("nobody").filter(|nobody| geteuid().is_root() && nobody.uid != account.uid) {
        assert!(!asks(Some(&nobody)).status.success(), "a stranger got in");
    }
    postgres.stop().await;
}

#[tokio::test]
async fn a_visitor_finds_the_database_of_a_running_service_only() {
    let folder = Folder::new();
    assert_eq!(find_running(&folder.0).unwrap(), None);
    assert!(!folder.0.exists(), "looking creates nothing");
    let postgres = folder.start().await;
    let found = find_running(&folder.0).unwrap();
    assert_eq!(found.as_ref(), Some(postgres.connection()));
    let (client, connection) = tokio_postgres::connect(&found.unwrap().url(), NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    client.batch_execute("select 1").await.unwrap();
    drop(client);
    driver.await.unwrap().unwrap();
    postgres.stop().await;
    assert_eq!(find_running(&folder.0).unwrap(), None);
}
