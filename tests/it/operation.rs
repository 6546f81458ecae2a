//! What an operator types and reads: the start, settings, the doctor, migrations and health, of the program as it is installed.

use std::path::Path;
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::process::Command;

use crate::harness::{eventually, session};
use crate::process::{Caller, Folder, Process, private_url};

/// Runs the program to its end.
pub async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openmpsd"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env_remove("DATABASE_URL").env_remove("OPENMPSD__DATABASE__URL").envs(variables.iter().copied());
    command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("the program is built with its tests")
}

/// What it answered, and its exit code.
pub fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

async fn serve(folder: &Folder, variables: &[(&str, &str)]) -> Process {
    Process::start(folder.path(), &["--dev"], variables).await.unwrap_or_else(|said| panic!("it does not start:\n{said}"))
}

#[tokio::test]
async fn the_start_says_what_the_service_is_made_of_and_what_is_insecure() {
    let folder = Folder::new("start");
    let service = serve(&folder, &[]).await;
    let log = service.log();
    let address = service.base.trim_start_matches("http://").to_owned();
    for line in [
        "  configuration   built-in defaults, --data-dir, --listen, --services".to_owned(),
        format!("  database        embedded in {}, PostgreSQL 1", folder.path().display()),
        "applied now: V001__sessions to V".to_owned(),
        "  services        2 service configs with 9 templates from ".to_owned(),
        format!("  socket          ws://{address}/connect"),
        format!("  health          http://{address}/health"),
        " WARN --dev: ".to_owned(),
        " WARN auth.keys: tokens are signed with a generated key".to_owned(),
    ] {
        assert!(log.contains(&line), "{line} is missing in\n{log}");
    }
    assert!(log.lines().last().is_some_and(|line| line.contains("listens on http://")), "{log}");
    let (status, _) = service.end().await;
    assert!(status.success(), "{status}");

    let again = serve(&folder, &[("OPENMPSD__TELEMETRY__FORMAT", "json")]).await;
    let lines: Vec<Value> = again.log().lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect();
    let started = lines.iter().find(|line| line["message"] == "started").expect("it says that it has started");
    assert_eq!((&started["service_configs"], &started["migrations_applied"]), (&json!(2), &json!(0)));
    assert!(started["configuration"].as_str().is_some_and(|says| says.contains("OPENMPSD__TELEMETRY__FORMAT")), "{started}");
    assert!(lines.iter().any(|line| line["key"] == "auth.keys" && line["level"] == "WARN"), "{lines:?}");
    let (status, _) = again.end().await;
    assert!(status.success(), "{status}");
}

/// The program with a data folder, given that address.
fn serving(data_dir: &Path, listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openmpsd"));
    command.args(["serve", "--listen", listen, "--data-dir"]).arg(data_dir).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env_remove("DATABASE_URL").env_remove("OPENMPSD__DATABASE__URL").stdin(Stdio::null()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn a_start_that_cannot_succeed_touches_nothing() {
    let folder = Folder::new("vain");
    let data_dir = folder.path().join("data");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has an address").to_string();
    let (code, _, says) = said(&serving(&data_dir, &address).output().await.expect("it runs"));
    assert!(code == Some(1) && says.contains(&format!("failed to listen on {address}: ")) && says.contains("--listen"), "{says}");
    assert!(!data_dir.exists(), "the address comes first");

    // Whoever has the data folder may be putting a key there just now.
    let service = serve(&folder, &[]).await;
    let keys = folder.path().join("keys");
    std::fs::remove_dir_all(&keys).expect("there is a key");
    let (code, _, says) = said(&serving(folder.path(), "127.0.0.1:0").output().await.expect("it runs"));
    assert!(code == Some(1) && says.contains("is using this data folder"), "{says}");
    assert!(!keys.exists(), "the lock comes before the key");
    let (status, _) = service.end().await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_first_start_can_be_interrupted() {
    let folder = Folder::new("interrupted");
    let data_dir = folder.path().join("data");
    let child = serving(&data_dir, "127.0.0.1:0").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    eventually("the cluster is being made", async || data_dir.join("pg.init").exists()).await;
    let pid = child.id().expect("it runs").cast_signed();
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it is our child");
    let (code, _, says) = said(&child.wait_with_output().await.expect("it ends"));
    assert_eq!(code, Some(0), "{says}");
    assert!(says.contains("ended") && !says.contains(" serves "), "no server is started any more: {says}");
    let again = Process::start(&data_dir, &[], &[]).await.unwrap_or_else(|said| panic!("it does not start:\n{said}"));
    let (status, _) = again.end().await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn chores_go_on_while_a_service_drains() {
    let folder = Folder::new("drains");
    let service = serve(&folder, &[("OPENMPSD__SERVER__DRAIN_MS", "5000")]).await;
    let mut connection = PgConnection::connect(&private_url(folder.path())).await.expect("PostgreSQL serves us too");
    service.signal(Signal::SIGTERM);
    eventually("it drains", async || service.log().contains("draining for 5000 ms")).await;
    let mut lease = async || {
        let row = connection.fetch_one("select expires_at::text from dev_lease").await;
        row.expect("the service goes on").get::<String, _>(0)
    };
    let (first, mut renewed) = (lease().await, 0);
    let mut last = first;
    eventually("the lease of the clock is renewed", async || {
        let now = lease().await;
        renewed += u32::from(now != last);
        last = now;
        // Once may have been under way when the signal came.
        renewed == 2
    })
    .await;
    let (status, _) = service.end().await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn settings_are_checked_and_shown_with_where_they_come_from() {
    let folder = Folder::new("settings");
    let file = folder.path().join("openmpsd.toml");
    std::fs::write(&file, "[server]\nworkers = 3\nshutdown_ms = 1\n[auth]\nkeys = [\"/etc/keys\"]\n").expect("it can be written");
    let file = file.to_str().expect("the path is text");
    let variables = [("OPENMPSD__SERVER__SHUTDOWN_MS", "2"), ("DATABASE_URL", "postgres://ada:hunter2@db.example/x")];

    let (code, dumped, _) = said(&run(&["config", "dump", "--config", file, "--data-dir", "/data"], &variables).await);
    assert_eq!(code, Some(0));
    let source = |key: &str| {
        let line =
            dumped.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap_or_else(|| panic!("{key}: {dumped}"));
        line.rsplit_once(" # ").expect("every line says where its value comes from").1.to_owned()
    };
    assert_eq!(source("workers"), format!("{file}:2"));
    assert_eq!(source("shutdown_ms"), "OPENMPSD__SERVER__SHUTDOWN_MS", "the environment wins over the file");
    assert_eq!(source("data_dir"), "--data-dir");
    assert_eq!(source("pool_max"), "default");
    assert!(dumped.contains("url = \"postgres://ada:***@db.example/x\"") && !dumped.contains("hunter2"), "{dumped}");
    assert_eq!(source("url"), "DATABASE_URL");
    let (_, json, _) = said(&run(&["config", "dump", "--json", "--config", file], &variables).await);
    let json: Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["server"]["workers"], json!({"value": 3, "source": format!("{file}:2")}));

    let (code, verdict, _) = said(&run(&["config", "check", "--config", file], &variables).await);
    assert_eq!(code, Some(0));
    assert!(verdict.starts_with(&format!("ok: built-in defaults, {file} (2 keys), DATABASE_URL, ")), "{verdict}");
    assert!(verdict.contains("\nwarning: database.url: nothing between here and db.example is encrypted"), "{verdict}");
    let bad = [("OPENMPSD__SERVER__WORKRES", "2"), ("OPENMPSD__SERVER__LISTEN", "here"), ("OPENMPSD__LIMITS__JSON_DEPTH", "1")];
    let (code, out, problems) = said(&run(&["config", "check"], &bad).await);
    assert_eq!((code, out.as_str(), problems.lines().count()), (Some(1), "", 3), "{problems}");
    assert!(problems.contains("server.workres in the environment (did you mean server.workers?)"), "{problems}");
    let (code, _, missing) = said(&run(&["config", "check", "--config", "/nowhere/openmpsd.toml"], &[]).await);
    assert!(code == Some(1) && missing.contains("/nowhere/openmpsd.toml"), "{missing}");

    let (code, default, _) = said(&run(&["config", "default"], &[]).await);
    assert_eq!((code, default.as_str()), (Some(0), include_str!("../../config/default.toml")));
}

#[tokio::test]
async fn the_doctor_finds_nothing_in_a_service_that_is_well_and_what_is_broken() {
    let folder = Folder::new("doctor");
    let data_dir = folder.path().to_str().expect("the path is text");
    let service = serve(&folder, &[]).await;
    let address = service.base.trim_start_matches("http://").to_owned();
    let ada = Caller::new(&folder, 1);
    let body = json!({"members": {"me": {"properties": {"system": {"active": true}}}}});
    assert_eq!(ada.put(&service.base, &session("Open", "ward"), &body).await.expect("it answers").status, 201);

    let verify = ["doctor", "--verify", "--json", "--listen", &address, "--data-dir", data_dir];
    let (code, report, problems) = said(&run(&verify, &[]).await);
    let report: Value = serde_json::from_str(&report).expect("it is JSON");
    assert_eq!((code, &report["well"]), (Some(0), &json!(true)), "{report:#}\n{problems}");
    let outcome = |report: &Value, name: &str| {
        let checks = report["checks"].as_array().expect("there are checks");
        let outcomes: Vec<String> = checks
            .iter()
            .filter(|check| check["name"] == name)
            .map(|check| check["outcome"].as_str().unwrap_or("").to_owned())
            .collect();
        outcomes.join(" ")
    };
    for name in ["signing keys", "services", "address", "socket", "migrations", "database", "clock", "instances", "sessions"] {
        assert_eq!(outcome(&report, name), "ok", "{name}: {report:#}");
    }

    let mut connection = PgConnection::connect(&private_url(folder.path())).await.expect("PostgreSQL serves us too");
    connection.execute("update sessions set member_count = member_count + 1").await.expect("the row is there");
    let (code, report, _) = said(&run(&verify, &[]).await);
    let report: Value = serde_json::from_str(&report).expect("it is JSON");
    assert_eq!((code, outcome(&report, "sessions").as_str()), (Some(1), "fail fail"), "{report:#}");
    connection.execute("update sessions set member_count = member_count - 1").await.expect("the row is there");

    let (status, _) = service.end().await;
    assert!(status.success(), "{status}");
    let (code, text, _) = said(&run(&["doctor", "--listen", &address, "--data-dir", data_dir], &[]).await);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("warn  database      no service runs on this data directory\n"), "{text}");
    let (code, text, _) = said(&run(&["doctor"], &[("OPENMPSD__SERVER__LISTN", "x")]).await);
    assert!(code == Some(1) && text.contains("FAIL  settings") && text.contains("open files"), "{text}");
    let outside = [("DATABASE_URL", "postgres://ada:hunter2@127.0.0.1:1/x"), ("OPENMPSD__SERVER__LISTEN", "127.0.0.1:0")];
    let (code, text, _) = said(&run(&["doctor"], &outside).await);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("FAIL  database") && text.contains("FAIL  migrations") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn migrations_and_health_are_told_by_exit_code() {
    let folder = Folder::new("standing");
    let data_dir = folder.path().to_str().expect("the path is text");
    let service = serve(&folder, &[]).await;
    let base = service.base.clone();
    for arguments in [&["health", "--url", &base][..], &["health", "--ready", "--url", &base]] {
        let (code, says, _) = said(&run(arguments, &[]).await);
        assert_eq!(code, Some(0), "{says}");
        assert!(says.starts_with("{\"status\":"), "{says}");
    }

    let status = ["migrate", "status", "--data-dir", data_dir];
    let (code, says, _) = said(&run(&status, &[]).await);
    assert!(code == Some(0) && says.starts_with("V001__sessions ") && !says.contains("pending"), "{says}");
    let mut connection = PgConnection::connect(&private_url(folder.path())).await.expect("PostgreSQL serves us too");
    connection
        .execute("create table kept as select * from refinery_schema_history order by version desc limit 1")
        .await
        .expect("kept");
    connection.execute("delete from refinery_schema_history h using kept k where h.version = k.version").await.expect("deleted");
    let (code, says, advice) = said(&run(&status, &[]).await);
    assert!(code == Some(3) && says.trim_end().ends_with("pending") && advice.contains("migrate up"), "{says}\n{advice}");
    connection.execute("insert into refinery_schema_history select * from kept").await.expect("inserted");
    connection
        .execute("insert into refinery_schema_history select 99, name, applied_on, checksum from kept")
        .await
        .expect("inserted");
    let (code, says, _) = said(&run(&status, &[]).await);
    assert!(code == Some(1) && says.contains("UNKNOWN to this program"), "{says}");
    connection.execute("delete from refinery_schema_history where version = 99").await.expect("deleted");
    for up in [&["migrate", "--data-dir", data_dir][..], &["migrate", "up", "--data-dir", data_dir]] {
        let (code, says, advice) = said(&run(up, &[]).await);
        assert!(code == Some(0) && says.is_empty() && advice.contains("is up to date"), "{says}\n{advice}");
    }

    let (ended, _) = service.end().await;
    assert!(ended.success(), "{ended}");
    let (code, _, why) = said(&run(&["health", "--url", &base], &[]).await);
    assert!(code == Some(1) && why.contains("no answer from"), "{why}");
}
