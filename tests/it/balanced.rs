//! Two instances with the settings of the compose file, behind the real balancer with the configuration of deploy/, on one durable
//! PostgreSQL: what players get to see of it when one instance after the other is restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use openmpsd::embedded::{EmbeddedOptions, EmbeddedPostgres};
use openmpsd::store::{Store, StoreOptions};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::deploy::{self, BALANCER, PORT};
use crate::harness::{eventually, session};
use crate::process::{Caller, Folder, Process, Reply};
use crate::taps::{me, note, number, subscription, taps};

const WRITERS: u64 = 6;
const LISTENERS: u64 = 6;
/// Sessions that all writers write.
const SHARED: u64 = 3;
/// Members of the lobby have higher numbers than writers.
const FIRST_LISTENER: u64 = 101;
const SCRIBE: u64 = 201;
/// What the balancer says of an instance that still answers, but that it is not ready.
const NOT_READY: &str = "DOWN, reason: Layer7 wrong status, code: 503";

/// A port that nobody has. Below those that the system gives out, so that it is still free when an instance comes back to it.
fn free_ports() -> [u16; 3] {
    let mut free = (18400..18500).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    [0; 3].map(|_| free.next().expect("three of a hundred ports are free"))
}

/// An instance of the compose file, as a process here.
struct Instance {
    name: String,
    port: u16,
    variables: Vec<(String, String)>,
    process: Option<Process>,
}

impl Instance {
    /// Takes its settings from the compose file; only what names other containers and their folders is another.
    fn of_compose(name: String, service: &Value, port: u16, database: &str, data_dir: &Path) -> Self {
        let mut variables = BTreeMap::from_iter(deploy::environment(service));
        let replaced = [
            ("OPENMPSD__DATABASE__URL", database.to_owned()),
            ("OPENMPSD__AUTH__KEYS", data_dir.join("keys/public.json").display().to_string()),
        ];
        for (variable, value) in replaced {
            assert!(variables.insert(variable.to_owned(), value).is_some(), "{name} has {variable}");
        }
        // The image sets these.
        variables.insert("OPENMPSD__SERVER__LISTEN".to_owned(), format!("127.0.0.1:{port}"));
        variables.insert("XDG_DATA_HOME".to_owned(), data_dir.display().to_string());
        Self { name, port, variables: variables.into_iter().collect(), process: None }
    }

    async fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openmpsd"));
        command.arg("serve").current_dir(deploy::root()).env_remove("DATABASE_URL");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let started = Process::run(command).await;
        self.process = Some(started.unwrap_or_else(|said| panic!("{} does not start:\n{said}", self.name)));
    }

    /// Ends it as an operator or an engine does.
    async fn end(&mut self) -> Duration {
        let process = self.process.take().expect("it runs");
        let log = process.log();
        let (status, took) = process.end().await;
        assert!(status.success(), "{} ended with {status}:\n{log}", self.name);
        took
    }
}

/// The balancer.
struct Balancer {
    _process: Child,
    base: String,
    /// What it has said.
    said: Arc<Mutex<Vec<String>>>,
}

impl Balancer {
    /// Starts it with the configuration of deploy/, in which only addresses are others.
    fn start(folder: &Folder, port: u16, instances: &[Instance]) -> Self {
        let mut text = deploy::text("deploy/haproxy/haproxy.cfg");
        let mut replace = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        };
        replace(&format!("bind :{PORT}"), &format!("bind 127.0.0.1:{port}"));
        for Instance { name, port, .. } in instances {
            replace(&format!(" {name}:{PORT}"), &format!(" 127.0.0.1:{port}"));
        }
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, text).expect("the file is written");
        let mut command = Command::new(BALANCER);
        command.args(["-db", "-f"]).arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.kill_on_drop(true).spawn().expect("haproxy is there: scripts/ensure-deployment");
        let mut lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.lock().expect("nobody panics here").push(line);
            }
        });
        Self { _process: process, base: format!("http://127.0.0.1:{port}"), said }
    }

    /// How often it has said that an instance is up or down.
    fn told(&self, instance: &str, state: &str) -> usize {
        let line = format!("Server requests/{instance} is {state}");
        self.said.lock().expect("nobody panics here").iter().filter(|said| said.contains(&line)).count()
    }
}

/// What was promised to players, and what they saw.
#[derive(Default)]
struct Ledger {
    /// The last counter acknowledged to a writer, by session.
    counters: Mutex<BTreeMap<(String, u64), u64>>,
    acknowledged: AtomicU64,
    /// Answers that no player should have got.
    surprises: Mutex<Vec<String>>,
    /// The last change of the lobby that each listener was tapped for.
    tapped: Mutex<BTreeMap<u64, u64>>,
    /// Sockets that the service closed.
    closed: AtomicU64,
    /// Listeners whose socket is open and registered.
    listening: Mutex<BTreeSet<u64>>,
    done: AtomicBool,
}

impl Ledger {
    fn surprise(&self, what: String) {
        self.surprises.lock().expect("nobody panics here").push(what);
    }

    /// Takes an answer that has to be good.
    fn judge(&self, what: &str, reply: Option<Reply>) -> Option<Reply> {
        match reply {
            Some(reply) if matches!(reply.status, 200 | 201) => Some(reply),
            other => {
                self.surprise(format!("{what}: {other:?}"));
                None
            }
        }
    }

    fn everybody_listens(&self) -> bool {
        self.listening.lock().expect("nobody panics here").len() as u64 == LISTENERS
    }

    fn everybody_heard(&self, number: u64) -> bool {
        let tapped = self.tapped.lock().expect("nobody panics here");
        tapped.len() as u64 == LISTENERS && tapped.values().all(|heard| *heard >= number)
    }
}

/// Writes as fast as answers come: into sessions of its own, which it makes, and into those of all.
async fn write(caller: Caller, base: String, ledger: Arc<Ledger>) {
    let mut count = 0;
    while !ledger.done.load(Ordering::SeqCst) {
        count += 1;
        let body = json!({"members": {"me": {"properties": {"system": {"active": true}, "custom": {"count": count}}}}});
        let (path, condition) = if count % 20 == 0 {
            // Done twice it would be refused: whoever sends it again without being asked is found out.
            (session("Open", &format!("made-{}-{count}", caller.xuid)), Some(("if-none-match", "*")))
        } else {
            (session("Open", &format!("shared-{}", count % SHARED)), None)
        };
        let reply = caller.send(&base, Method::PUT, &path, condition, Some(&body)).await;
        if ledger.judge(&path, reply).is_some() {
            ledger.counters.lock().expect("nobody panics here").insert((path, caller.xuid), count);
            ledger.acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// What a listener says of itself in the lobby.
fn listening(xuid: u64, connection: &str) -> Value {
    me(&json!({
        "active": true,
        "connection": connection,
        "subscription": {"id": subscription(xuid), "changeTypes": ["customProperty"]},
    }))
}

/// Keeps a socket, and comes back with another when the service closes it.
async fn listen(caller: Caller, base: String, lobby: String, ledger: Arc<Ledger>) {
    while !ledger.done.load(Ordering::SeqCst) {
        let mut socket = caller.socket(&base).await;
        let connection = socket.connects().await;
        let reply = caller.put(&base, &lobby, &listening(caller.xuid, &connection)).await;
        let Some(reply) = ledger.judge("register", reply) else { return };
        // Whoever comes back reads what it missed.
        ledger.tapped.lock().expect("nobody panics here").insert(caller.xuid, number(&reply.body));
        ledger.listening.lock().expect("nobody panics here").insert(caller.xuid);
        let code = loop {
            match socket.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    let event: Value = serde_json::from_str(&text).expect("a frame is JSON");
                    let latest = taps(&event).iter().map(|tap| tap.number).max().expect("an event has a tap");
                    ledger.tapped.lock().expect("nobody panics here").insert(caller.xuid, latest);
                }
                Some(Ok(Message::Close(frame))) => break frame.map(|frame| u16::from(frame.code)),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break None,
            }
        };
        ledger.listening.lock().expect("nobody panics here").remove(&caller.xuid);
        ledger.closed.fetch_add(1, Ordering::SeqCst);
        if code != Some(1001) {
            ledger.surprise(format!("the socket of {} ended with {code:?}", caller.xuid));
        }
    }
}

/// Follows the lobby, comes back where it was cut off, and returns the numbers of all changes it was told.
async fn follow(caller: Caller, base: String, lobby: String, ledger: Arc<Ledger>) -> Vec<u64> {
    let client = reqwest::Client::new();
    let (mut last, mut told): (Option<String>, Vec<u64>) = (None, Vec::new());
    while !ledger.done.load(Ordering::SeqCst) {
        let mut request = client.get(format!("{base}{lobby}/changes"));
        request = request.header("authorization", caller.authorization()).header("x-xbl-contract-version", "107");
        if let Some(last) = &last {
            request = request.header("last-event-id", last);
        }
        let mut response = match request.send().await {
            Ok(response) if response.status() == 200 => response,
            other => {
                ledger.surprise(format!("the feed: {other:?}"));
                return told;
            }
        };
        let mut text = String::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            text.push_str(std::str::from_utf8(&chunk).expect("events of ours are ASCII"));
            while let Some((block, rest)) = text.split_once("\n\n") {
                if let Some(id) = block.lines().find_map(|line| line.strip_prefix("id: ")) {
                    let number =
                        id.rsplit_once('.').and_then(|(_, number)| number.parse().ok()).expect("an id ends with a number");
                    told.push(number);
                    last = Some(id.to_owned());
                }
                text = rest.to_owned();
            }
        }
    }
    told
}

/// Whether everything is there that has been acknowledged so far.
async fn check(ledger: &Ledger, reader: &Caller, base: &str) {
    let counters = ledger.counters.lock().expect("nobody panics here").clone();
    let mut documents: BTreeMap<String, Value> = BTreeMap::new();
    for ((path, xuid), count) in counters {
        if !documents.contains_key(&path) {
            let reply = reader.get(base, &path).await.expect("the service answers");
            assert_eq!(reply.status, 200, "{path} is lost: {reply:?}");
            documents.insert(path.clone(), reply.body);
        }
        let members = documents[&path]["members"].as_object().unwrap_or_else(|| panic!("{path} has nobody"));
        let xuid = xuid.to_string();
        let member = members.values().find(|member| member["constants"]["system"]["xuid"] == *xuid);
        let stored = member.and_then(|member| member["properties"]["custom"]["count"].as_u64());
        assert!(stored >= Some(count), "{path} has {stored:?} for {xuid}: {count} was acknowledged");
    }
}

/// When each member of the lobby joined: a member who was lost and came back has another instant. All are active.
fn seats(document: &Value) -> BTreeMap<String, String> {
    let members = document["members"].as_object().unwrap_or_else(|| panic!("the lobby has nobody: {document}"));
    let seat = |member: &Value| {
        assert_eq!(member["properties"]["system"]["active"], true, "{member}");
        (member["constants"]["system"]["xuid"].to_string(), member["joinTime"].to_string())
    };
    members.values().map(seat).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_behind_the_balancer_loses_nothing() {
    let folder = Folder::new("balanced");
    let options = EmbeddedOptions {
        data_dir: folder.path().to_owned(),
        binaries: None,
        durable: true,
        max_connections: 100,
        extra: Vec::new(),
    };
    let postgres = EmbeddedPostgres::start(options).await.unwrap_or_else(|error| panic!("failed to {error}"));
    let database = postgres.connection().url();
    let ports = free_ports();
    let mut instances: Vec<Instance> = deploy::instances()
        .into_iter()
        .zip([ports[1], ports[2]])
        .map(|((name, service), port)| Instance::of_compose(name, &service, port, &database, folder.path()))
        .collect();
    let scribe = Caller::new(&folder, SCRIBE);
    for instance in &mut instances {
        instance.start().await;
    }
    let balancer = Balancer::start(&folder, ports[0], &instances);
    let base = balancer.base.clone();
    eventually("the balancer listens", async || {
        scribe.get(&base, "/health/ready").await.is_some_and(|reply| reply.status == 200)
    })
    .await;

    for path in ["/metrics", "/%6detrics"] {
        let reply = scribe.get(&base, path).await.expect("the balancer answers");
        assert_eq!(reply.status, 404, "metrics are for the house: {reply:?}");
    }

    let ledger = Arc::new(Ledger::default());
    let lobby = session("Open", "lobby");
    let made = scribe.put(&base, &lobby, &me(&json!({"active": true}))).await.expect("the service answers");
    assert_eq!(made.status, 201, "{made:?}");
    let mut people = JoinSet::new();
    for caller in Caller::many(&folder, WRITERS) {
        people.spawn(write(caller, base.clone(), Arc::clone(&ledger)));
    }
    let mut audience = JoinSet::new();
    for xuid in FIRST_LISTENER..FIRST_LISTENER + LISTENERS {
        let caller = Caller::new(&folder, xuid);
        audience.spawn(listen(caller, base.clone(), lobby.clone(), Arc::clone(&ledger)));
    }
    eventually("everybody listens", async || ledger.everybody_listens()).await;
    let feed = tokio::spawn(follow(scribe.clone(), base.clone(), lobby.clone(), Arc::clone(&ledger)));
    let before = seats(&scribe.get(&base, &lobby).await.expect("the service answers").body);
    assert_eq!(before.len() as u64, LISTENERS + 1);

    let mut cut_off = Vec::new();
    for (round, at) in [0, 1].into_iter().enumerate() {
        everybody_is_told(&ledger, &scribe, &base, &lobby, round as u64).await;
        progress(&ledger).await;
        let (closed, name) = (ledger.closed.load(Ordering::SeqCst), instances[at].name.clone());
        let (downs, ups) = (balancer.told(&name, NOT_READY), balancer.told(&name, "UP"));
        let took = instances[at].end().await;
        assert!(balancer.told(&name, NOT_READY) > downs, "it did not just vanish: {:?}", balancer.said);
        progress(&ledger).await;
        eventually("everybody is back on the other instance", async || ledger.everybody_listens()).await;
        everybody_is_told(&ledger, &scribe, &base, &lobby, 10 + round as u64).await;
        instances[at].start().await;
        eventually("the balancer has it back", async || balancer.told(&name, "UP") > ups).await;
        progress(&ledger).await;
        check(&ledger, &scribe, &base).await;
        cut_off.push(ledger.closed.load(Ordering::SeqCst) - closed);
        println!("{name} on port {}: ended after {took:?}", instances[at].port);
    }
    everybody_is_told(&ledger, &scribe, &base, &lobby, 20).await;
    assert_eq!(seats(&scribe.get(&base, &lobby).await.expect("the service answers").body), before, "nobody lost the seat");
    assert!(cut_off[0] > 0 && cut_off[0] < LISTENERS, "both instances had sockets: {cut_off:?}");
    assert_eq!(cut_off[1], LISTENERS, "all had come to the second instance");

    ledger.done.store(true, Ordering::SeqCst);
    while let Some(ended) = people.join_next().await {
        ended.expect("writers do not panic");
    }
    check(&ledger, &scribe, &base).await;
    let surprises = ledger.surprises.lock().expect("nobody panics here").clone();
    assert_eq!(surprises, Vec::<String>::new(), "of {} writes", ledger.acknowledged.load(Ordering::SeqCst));
    let last = number(&scribe.get(&base, &lobby).await.expect("the service answers").body);
    let [first, second] = &mut instances[..] else { unreachable!("there are two") };
    tokio::join!(first.end(), second.end());
    let told = timeout(Duration::from_secs(10), feed).await.expect("the feed ends with the service").expect("it does not panic");
    let all: Vec<u64> = (told[0]..=last).collect();
    assert_eq!(told, all, "the feed missed nothing and repeated nothing");
    audience.shutdown().await;
    println!("{} acknowledged writes; sockets closed: {cut_off:?}", ledger.acknowledged.load(Ordering::SeqCst));

    let options = StoreOptions {
        connect: database.parse().expect("the URL is well-formed"),
        pool_max: 1,
        statement_timeout: Duration::from_secs(20),
        acquire_timeout: Duration::from_secs(20),
    };
    let store = Store::connect(options).await.expect("PostgreSQL is still there");
    let differences = store.verify().await.expect("it answers");
    store.close().await;
    assert_eq!(differences, Vec::<String>::new(), "projection check");
    postgres.stop().await;
}

/// Changes the lobby, and waits until every listener has been tapped for it.
async fn everybody_is_told(ledger: &Ledger, scribe: &Caller, base: &str, lobby: &str, what: u64) {
    let reply = scribe.put(base, lobby, &note(what)).await.expect("the service answers");
    assert_eq!(reply.status, 200, "{reply:?}");
    let number = number(&reply.body);
    eventually("everybody is tapped", async || ledger.everybody_heard(number)).await;
}

/// Waits for a few more acknowledged writes.
async fn progress(ledger: &Ledger) {
    let goal = ledger.acknowledged.load(Ordering::SeqCst) + 100;
    eventually("writes are acknowledged", async || ledger.acknowledged.load(Ordering::SeqCst) >= goal).await;
}
