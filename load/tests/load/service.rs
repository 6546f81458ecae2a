//! The service that the tests load: this very test program, started once more, with the service's command line instead of tests.
//!
//! So it is always the service of the sources at hand, whichever packages were built. It ends when its standard input does, at the
//! latest with the tests, which wait for that; it has a private PostgreSQL, or a database of its own on the server that `OPENMPSD_TEST_DATABASE_URL` names.

use std::ffi::c_int;
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Write, stdin};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::thread;

use clap::Parser;
use nix::sys::signal::{Signal, raise};
use tokio_postgres::NoTls;

/// A service that runs.
pub struct Service {
    /// `http://127.0.0.1:port`
    pub base: String,
    pub data_dir: PathBuf,
    /// Its standard input is held open for as long as it is to run.
    child: Mutex<Child>,
}

static SERVICE: OnceLock<Service> = OnceLock::new();

/// The service of all tests, started with the first call.
pub fn service() -> &'static Service {
    SERVICE.get_or_init(start)
}

unsafe extern "C" {
    safe fn atexit(callback: extern "C" fn()) -> c_int;
}

/// The end of the tests, which Rust does not announce otherwise.
extern "C" fn stop() {
    if let Some(service) = SERVICE.get()
        && let Ok(mut child) = service.child.lock()
    {
        drop(child.stdin.take());
        let _ = child.wait();
    }
}

fn start() -> Service {
    let data_dir = std::env::temp_dir().join(format!("openmpsd-load-test-{}", std::process::id()));
    fs::create_dir_all(&data_dir).expect("a folder can be made");
    let home = outside_url().unwrap_or_default();
    let mut config = String::new();
    if !home.is_empty() {
        statement(&home, &format!("create database {}", database()));
        config = format!("[database]\nurl = {:?}\n", with_database(&home, &database()));
    }
    fs::write(data_dir.join("openmpsd.toml"), config).expect("a file can be written");
    let mut command = Command::new(std::env::current_exe().expect("this program is a file"));
    command.args(["service::serves", "--exact", "--ignored", "--nocapture"]);
    command.env_remove("DATABASE_URL").env_remove("OPENMPSD__DATABASE__URL");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("this program starts");
    atexit(stop);
    let leash = child.stdin.as_mut().expect("it is piped");
    writeln!(leash, "{}\n{home}\n{}", data_dir.display(), database()).expect("it reads");
    let mut said = Vec::new();
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
    let base = lines.by_ref().find_map(|line| {
        let base = line.split_once("listens on ").map(|(_, base)| base.trim().to_owned());
        said.push(line);
        base
    });
    let base = base.unwrap_or_else(|| panic!("the service does not start:\n{}", said.join("\n")));
    thread::spawn(move || lines.for_each(drop));
    Service { base, data_dir, child: Mutex::new(child) }
}

fn database() -> String {
    format!("openmpsd_load_test_{}", std::process::id())
}

#[test]
#[ignore = "is the service that the other tests start"]
fn serves() {
    if stdin().is_terminal() {
        return;
    }
    let mut lines = BufReader::new(stdin()).lines().map_while(Result::ok);
    let (Some(folder), Some(home), Some(database)) = (lines.next(), lines.next(), lines.next()) else { return };
    thread::spawn(move || {
        lines.for_each(drop);
        raise(Signal::SIGTERM).expect("a process may end itself");
    });
    let services = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/services");
    let config = format!("{folder}/openmpsd.toml");
    let arguments = [
        "openmpsd",
        "serve",
        "--dev",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        &folder,
        "--services",
        services,
        "--config",
        &config,
    ];
    let ended = openmpsd::cli::run(openmpsd::cli::Cli::parse_from(arguments));
    if !home.is_empty() {
        statement(&home, &format!("drop database {database} with (force)"));
    }
    let _ = fs::remove_dir_all(Path::new(&folder));
    ended.expect("the service ends in order");
}

#[expect(clippy::disallowed_methods, reason = "the one setting of the tests")]
fn outside_url() -> Option<String> {
    std::env::var("OPENMPSD_TEST_DATABASE_URL").ok().filter(|url| !url.is_empty())
}

fn statement(url: &str, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the server takes connections");
        tokio::spawn(connection);
        client.batch_execute(sql).await.expect("the role may create databases");
    });
}

/// The same URL, for another database.
fn with_database(url: &str, database: &str) -> String {
    let (base, parameters) = url.split_at(url.find('?').unwrap_or(url.len()));
    let (scheme, rest) = base.split_once("://").expect("a database is named by a URL like postgresql://user@host/database");
    let authority = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{authority}/{database}{parameters}")
}
