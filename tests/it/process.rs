//! The program itself as a child: started, watched, asked over HTTP, and ended in every way there is.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use openmpsd::ambient::Clock;
use openmpsd::auth::{SigningKey, Terms};
use openmpsd::domain::principal::Principal;
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::harness::player;

/// A folder that goes with this value.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("openmpsd-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    /// A folder that somebody else made and will remove, if this value is forgotten.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A token signed with the key of this data folder.
    pub fn token(&self, principal: &Principal) -> String {
        let key = SigningKey::open(&self.0).expect("the data folder has a key, or gets one");
        let terms = Terms {
            issuer: "openmpsd".into(),
            audience: "openmpsd".into(),
            issued_at: Clock::system().real(),
            lifetime: Duration::from_hours(8),
        };
        key.issue(principal, &terms)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running `openmpsd serve`. Dropped, it is killed.
pub struct Process {
    child: Child,
    /// `http://127.0.0.1:port`
    pub base: String,
    /// From the start of the process until it listened.
    pub start: Duration,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts the program on a free port and waits until it listens.
    ///
    /// # Errors
    /// What it said, if it ended instead.
    pub async fn start(data_dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self, String> {
        let begun = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_openmpsd"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir).args(arguments);
        command.arg("--services").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/config/services"));
        command.env_remove("DATABASE_URL").env_remove("OPENMPSD__DATABASE__URL").envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program is built with its tests");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let listening = async {
            while let Ok(Some(line)) = lines.next_line().await {
                let base =
                    line.split_once("listens on ").map(|(_, base)| base.split(['"', ' ']).next().unwrap_or(base).to_owned());
                log.lock().expect("nobody panics here").push(line);
                if base.is_some() {
                    return base;
                }
            }
            None
        };
        let base = timeout(Duration::from_mins(1), listening).await.ok().flatten();
        let Some(base) = base else {
            let _ = child.start_kill();
            let said = log.lock().expect("nobody panics here").join("\n");
            return Err(said);
        };
        let start = begun.elapsed();
        let heard = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.lock().expect("nobody panics here").push(line);
            }
        });
        Ok(Self { child, base, start, log })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Everything it has said so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("nobody panics here").join("\n")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("it runs");
        kill(Pid::from_raw(pid.cast_signed()), signal).expect("it is our child");
    }

    /// Kills it as nothing can be prepared for.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it is our child");
    }

    /// Asks it to end (SIGTERM) and waits for that: how it ended, and after how long.
    pub async fn end(mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        self.signal(Signal::SIGTERM);
        let ended = timeout(Duration::from_mins(1), self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("it ignores SIGTERM:\n{}", self.log())).expect("it is our child");
        (status, begun.elapsed())
    }
}

impl Drop for Process {
    /// A test that fails shows what the program said.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} said:\n{}\n", self.base, self.log());
        }
    }
}

/// The private database of a service that runs on this data folder.
pub fn private_url(data_dir: &Path) -> String {
    let socket = data_dir.join("sock").display().to_string().replace('/', "%2F");
    format!("postgresql:///openmpsd?host={socket}&port=5432&user=openmpsd&sslmode=disable")
}

/// The PostgreSQL processes that work in a cluster's folder: the server first, then its backends.
pub fn servers_in(cluster: &Path) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == cluster) {
            found.push(Pid::from_raw(pid));
        }
    }
    let first = std::fs::read_to_string(cluster.join("postmaster.pid")).unwrap_or_default();
    let first = first.lines().next().and_then(|pid| pid.trim().parse().ok()).map(Pid::from_raw);
    found.sort_by_key(|pid| (Some(*pid) != first, *pid));
    found
}

/// Kills a process of a test's own cluster with SIGKILL. It may have ended by itself.
pub fn kill_server(pid: Pid) {
    let _ = kill(pid, Signal::SIGKILL);
}

/// Waits until no PostgreSQL works in a cluster's folder.
pub async fn until_gone(cluster: &Path) {
    let begun = Instant::now();
    while !servers_in(cluster).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "PostgreSQL outlives its service: {:?}", servers_in(cluster));
        sleep(Duration::from_millis(20)).await;
    }
}

/// Somebody who sends requests to a service that may not be there.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    authorization: String,
    pub xuid: u64,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub etag: Option<String>,
    pub retry_after: Option<String>,
    pub body: Value,
}

impl Caller {
    pub fn new(folder: &Folder, xuid: u64) -> Self {
        Self::with(Client::new(), folder, xuid)
    }

    /// Many that share their connections.
    pub fn many(folder: &Folder, count: u64) -> Vec<Self> {
        let client = Client::new();
        (1..=count).map(|xuid| Self::with(client.clone(), folder, xuid)).collect()
    }

    fn with(client: Client, folder: &Folder, xuid: u64) -> Self {
        let token = folder.token(&Principal::User(player(xuid)));
        Self { client, authorization: format!("XBL3.0 x=*;{token}"), xuid }
    }

    /// The credential, as a header says it.
    pub fn authorization(&self) -> &str {
        &self.authorization
    }

    /// Sends a request; `None` when there is no answer.
    pub async fn send(
        &self,
        base: &str,
        method: Method,
        path: &str,
        condition: Option<(&str, &str)>,
        body: Option<&Value>,
    ) -> Option<Reply> {
        let mut request = self.client.request(method, format!("{base}{path}"));
        request = request.header("authorization", &self.authorization).header("x-xbl-contract-version", "107");
        if let Some((name, value)) = condition {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.timeout(Duration::from_secs(30)).send().await.ok()?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, etag, retry_after) = (response.status().as_u16(), header("etag"), header("retry-after"));
        let text = response.text().await.ok()?;
        Some(Reply { status, etag, retry_after, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    pub async fn put(&self, base: &str, path: &str, body: &Value) -> Option<Reply> {
        self.send(base, Method::PUT, path, None, Some(body)).await
    }

    pub async fn get(&self, base: &str, path: &str) -> Option<Reply> {
        self.send(base, Method::GET, path, None, None).await
    }
}
