//! What sockets and taps cost, with real processes over a durable cluster: measurements, run by hand and in release:
//! `cargo test --release --test it tap_cost -- --ignored --nocapture --test-threads 1`.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _, future::join_all};
use openmpsd::embedded::{EmbeddedOptions, EmbeddedPostgres};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use openmpsd::domain::principal::Principal;

use crate::harness::{SCID, player};
use crate::process::{Caller, Folder, Process};

/// Processes over a durable cluster of their own.
struct Ground {
    processes: Vec<Process>,
    folder: Arc<Folder>,
    postgres: EmbeddedPostgres,
    _cluster: Folder,
}

impl Ground {
    async fn with(processes: usize) -> Self {
        let cluster = Folder::new("tap-cost");
        let options = EmbeddedOptions {
            data_dir: cluster.path().to_owned(),
            binaries: None,
            durable: true,
            max_connections: 60,
            extra: vec![("shared_buffers".to_owned(), "128MB".to_owned())],
        };
        let postgres = EmbeddedPostgres::start(options).await.unwrap_or_else(|error| panic!("failed to {error}"));
        let url = postgres.connection().url();
        let folder = Arc::new(Folder::new("tap-cost-keys"));
        Caller::new(&folder, 0);
        let keys = folder.path().join("keys/public.json").display().to_string();
        let mut started = Vec::new();
        for number in 0..processes {
            let data_dir = folder.path().join(number.to_string());
            let variables = [("OPENMPSD__DATABASE__URL", url.as_str()), ("OPENMPSD__AUTH__KEYS", keys.as_str())];
            let process = Process::start(&data_dir, &[], &variables).await;
            started.push(process.unwrap_or_else(|said| panic!("it does not start:\n{said}")));
        }
        Self { processes: started, folder, postgres, _cluster: cluster }
    }

    async fn end(self) {
        for process in self.processes {
            process.end().await;
        }
        self.postgres.stop().await;
    }
}

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A socket of a user with its connection id.
async fn dial(base: &str, token: &str) -> (Stream, String) {
    let mut request = format!("{}/connect", base.replacen("http", "ws", 1)).into_client_request().expect("a URL");
    request.headers_mut().insert("authorization", format!("XBL3.0 x=*;{token}").parse().expect("a header"));
    let (mut stream, _) = connect_async(request).await.expect("the service takes the socket");
    stream.send(Message::text(r#"[1,1,"https://sessiondirectory.xboxlive.com/connections/"]"#)).await.expect("it reads");
    loop {
        if let Some(Ok(Message::Text(text))) = stream.next().await {
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            return (stream, answer[4]["ConnectionId"].as_str().expect("an id").to_owned());
        }
    }
}

fn path(name: &str) -> String {
    format!("/serviceconfigs/{SCID}/sessionTemplates/Open/sessions/{name}")
}

fn joining(connection: &str, subscribes: bool) -> Value {
    let mut system = json!({"active": true, "connection": connection});
    if subscribes {
        system["subscription"] = json!({"id": "6A1D9C3E-0F4B-4E27-8F6D-1B2C3D4E5F01", "changeTypes": ["everything"]});
    }
    json!({"constants": {"system": {"maxMembersCount": 100}}, "members": {"me": {"properties": {"system": system}}}})
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
    let at = (sorted.len() as f64 * q) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// What a socket has been told, by session: the last number.
type Told = Arc<Mutex<HashMap<(u64, String), u64>>>;
/// When a write was answered and by which instance, by session and number.
type Answered = Arc<Mutex<HashMap<(String, u64), (Instant, usize)>>>;
/// When a tap arrived: the session, the number, the instance of the socket.
type Arrivals = Arc<Mutex<Vec<(String, u64, usize, Instant)>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of a minute and more"]
async fn taps_of_two_thousand_sockets_on_two_instances() {
    const SOCKETS: u64 = 2000;
    const PER_SESSION: u64 = 50;
    let seconds = 60;
    let ground = Ground::with(2).await;
    let (told, answered, arrivals) = (Told::default(), Answered::default(), Arrivals::default());
    let callers = Caller::many(&ground.folder, SOCKETS);
    let mut listening = JoinSet::new();
    for chunk in callers.chunks(50) {
        let dialled = chunk.iter().map(async |caller| {
            let instance = usize::try_from(caller.xuid % 2).expect("0 or 1");
            let base = &ground.processes[instance].base;
            let token = ground.folder.token(&Principal::User(player(caller.xuid)));
            let (stream, connection) = dial(base, &token).await;
            let name = format!("s{}", (caller.xuid - 1) / PER_SESSION);
            // Through the other instance, to have it know of a socket that is elsewhere.
            let other = &ground.processes[1 - instance].base;
            let joined = caller.put(other, &path(&name), &joining(&connection, true)).await.expect("it answers");
            assert!(joined.status < 300, "{joined:?}");
            (caller.xuid, instance, stream)
        });
        for (xuid, instance, stream) in join_all(dialled).await {
            listening.spawn(listen(xuid, instance, stream, Arc::clone(&told), Arc::clone(&arrivals)));
        }
    }
    println!("{SOCKETS} sockets are there");
    let mut last: HashMap<String, u64> = HashMap::new();
    let mut ticks = interval(Duration::from_millis(5));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begun = Instant::now();
    let mut writing: JoinSet<(String, u64)> = JoinSet::new();
    let mut count = 0_u64;
    while begun.elapsed() < Duration::from_secs(seconds) {
        ticks.tick().await;
        count += 1;
        let writer = callers[usize::try_from(count * 7919 % SOCKETS).expect("small")].clone();
        let instance = usize::from(count.is_multiple_of(2));
        let base = ground.processes[instance].base.clone();
        let answered = Arc::clone(&answered);
        writing.spawn(async move {
            let name = format!("s{}", (writer.xuid - 1) / PER_SESSION);
            let body = json!({"properties": {"custom": {"n": count}}});
            let reply = writer.put(&base, &path(&name), &body).await.expect("it answers");
            let now = Instant::now();
            assert_eq!(reply.status, 200, "{reply:?}");
            let number = reply.body["changeNumber"].as_u64().expect("a number");
            answered.lock().expect("sound").insert((name.clone(), number), (now, instance));
            (name, number)
        });
        while let Some(done) = writing.try_join_next() {
            let (name, number) = done.expect("no panic");
            let known = last.entry(name).or_default();
            *known = number.max(*known);
        }
    }
    while let Some(done) = writing.join_next().await {
        let (name, number) = done.expect("no panic");
        let known = last.entry(name).or_default();
        *known = number.max(*known);
    }
    let ended = Instant::now();
    loop {
        let behind = {
            let told = told.lock().expect("sound");
            let knows = |xuid: u64| {
                let name = format!("s{}", (xuid - 1) / PER_SESSION);
                told.get(&(xuid, name.clone())).copied().unwrap_or(0) >= last[&name]
            };
            (1..=SOCKETS).filter(|xuid| !knows(*xuid)).count()
        };
        if behind == 0 {
            break;
        }
        assert!(ended.elapsed() < Duration::from_secs(10), "{behind} sockets do not know the last number");
        sleep(Duration::from_millis(5)).await;
    }
    println!("{count} writes in {seconds} s; every subscriber knew the last number {:?} after the last answer", ended.elapsed());
    let answered = answered.lock().expect("sound").clone();
    let mut delays: HashMap<bool, Vec<f64>> = HashMap::new();
    for (name, number, instance, at) in arrivals.lock().expect("sound").iter() {
        let Some((committed, by)) = answered.get(&(name.clone(), *number)) else { continue };
        let ms = at.checked_duration_since(*committed).unwrap_or_default().as_secs_f64() * 1000.0;
        delays.entry(by == instance).or_default().push(ms);
    }
    for (same, values) in &mut delays {
        values.sort_by(f64::total_cmp);
        let whose = if *same { "the same" } else { "the other" };
        let (p50, p99) = (quantile(values, 0.5), quantile(values, 0.99));
        println!("{} taps on {whose} instance: p50 {p50:.2} ms, p99 {p99:.2} ms after the answer", values.len());
    }
    listening.shutdown().await;
    ground.end().await;
}

async fn listen(xuid: u64, instance: usize, mut stream: Stream, told: Told, arrivals: Arrivals) {
    while let Some(Ok(message)) = stream.next().await {
        let at = Instant::now();
        let Message::Text(text) = message else { continue };
        let event: Value = serde_json::from_str(&text).expect("JSON");
        for tap in event[2]["shoulderTaps"].as_array().into_iter().flatten() {
            let name = tap["resource"].as_str().and_then(|name| name.split('~').nth(2)).expect("three parts").to_owned();
            let number = tap["changeNumber"].as_u64().expect("a number");
            let mut told = told.lock().expect("sound");
            let known = told.entry((xuid, name.clone())).or_default();
            assert!(*known < number, "an older number after a newer one, or twice: {known} and {number}");
            *known = number;
            drop(told);
            arrivals.lock().expect("sound").push((name, number, instance, at));
        }
    }
}

/// Resident memory in KiB and processor time in clock ticks of a process.
fn usage(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it is there");
    let resident = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name in parentheses").split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    (resident, ticks(11) + ticks(12))
}

/// A child that holds sockets open and reads what comes.
struct Crowd(Child);

impl Crowd {
    async fn start(base: &str, folder: &Folder, first: u64, count: u64) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--ignored", "--exact", "tap_cost::idle_clients", "--nocapture"]);
        command.env("OPENMPSD_IDLE_CLIENTS", format!("{base} {} {first} {count}", folder.path().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("this program runs");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        while let Some(line) = lines.next_line().await.expect("it can be read") {
            if line.contains("all are there") {
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Self(child);
            }
        }
        panic!("the clients did not come");
    }

    async fn end(mut self) {
        drop(self.0.stdin.take());
        let _ = timeout(Duration::from_secs(30), self.0.wait()).await;
    }
}

/// Not a test: what a child of a measurement does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the clients of a measurement, in a process of their own"]
async fn idle_clients() {
    #[expect(clippy::disallowed_methods, reason = "what a child is told is no setting of the service")]
    let Ok(told) = std::env::var("OPENMPSD_IDLE_CLIENTS") else { return };
    let parts: Vec<&str> = told.split(' ').collect();
    let (base, folder) = (parts[0].to_owned(), parts[1].to_owned());
    let (first, count): (u64, u64) = (parts[2].parse().expect("a number"), parts[3].parse().expect("a number"));
    let folder = Folder::at(folder.into());
    let mut open = JoinSet::new();
    let xuids: Vec<u64> = (first..first + count).collect();
    for chunk in xuids.chunks(50) {
        let dialled = chunk.iter().map(async |xuid| {
            let token = folder.token(&Principal::User(player(*xuid)));
            dial(&base, &token).await.0
        });
        for mut stream in join_all(dialled).await {
            open.spawn(async move { while let Some(Ok(_)) = stream.next().await {} });
        }
    }
    println!("all are there");
    let closed = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    let _ = closed.await;
    assert_eq!(open.len() as u64, count, "nobody was closed");
    std::mem::forget(folder);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of two minutes"]
async fn ten_thousand_idle_sockets() {
    const SOCKETS: u64 = 10_000;
    let ground = Ground::with(1).await;
    let process = &ground.processes[0];
    let pid = process.pid();
    let callers = Caller::many(&ground.folder, 64);
    let writers = async |seconds: u64| throughput(&process.base, &callers, "quiet", 64, seconds).await;
    prepare(&process.base, &callers, "quiet").await;
    writers(3).await;
    let mut before = [writers(4).await, writers(4).await, writers(4).await];
    let (resident, _) = usage(pid);
    let half = SOCKETS / 2;
    let begun = Instant::now();
    let (one, two) = tokio::join!(
        Crowd::start(&process.base, &ground.folder, 1_000_000, half),
        Crowd::start(&process.base, &ground.folder, 2_000_000, half)
    );
    println!("{SOCKETS} sockets opened in {:?}", begun.elapsed());
    sleep(Duration::from_secs(5)).await;
    let (full, ticks) = usage(pid);
    sleep(Duration::from_secs(30)).await;
    let (later, spent) = usage(pid);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (per_socket, share) = ((full - resident) as f64 / SOCKETS as f64, (spent - ticks) as f64 / 30.0);
    println!("resident: {resident} KiB before, {full} KiB after ({per_socket:.1} KiB each), {later} KiB half a minute later");
    println!("processor while idle: {share:.2} % of one core (clock ticks of 10 ms)");
    let mut after = [writers(4).await, writers(4).await, writers(4).await];
    before.sort_by(f64::total_cmp);
    after.sort_by(f64::total_cmp);
    println!(
        "updates/s, medians of three: {:.0} without, {:.0} with idle sockets, ratio {:.2}",
        before[1],
        after[1],
        after[1] / before[1]
    );
    one.end().await;
    two.end().await;
    sleep(Duration::from_secs(3)).await;
    let mut again = [writers(4).await, writers(4).await, writers(4).await];
    again.sort_by(f64::total_cmp);
    println!("and {:.0} when they have gone: ratio {:.2}", again[1], after[1] / again[1]);
    ground.end().await;
}

/// Makes a session for each caller.
async fn prepare(base: &str, callers: &[Caller], prefix: &str) {
    for caller in callers {
        let name = format!("{prefix}-{}", caller.xuid);
        let body = json!({"members": {"me": {"properties": {"system": {"active": true}}}}});
        let reply = caller.put(base, &path(&name), &body).await.expect("it answers");
        assert!(reply.status < 300, "{reply:?}");
    }
}

/// Updates per second of callers that write a property of their own session, one after another.
async fn throughput(base: &str, callers: &[Caller], prefix: &str, at_once: usize, seconds: u64) -> f64 {
    let (done, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut writing = JoinSet::new();
    for caller in callers.iter().take(at_once).cloned() {
        let (base, name) = (base.to_owned(), format!("{prefix}-{}", caller.xuid));
        let (done, ended) = (Arc::clone(&done), Arc::clone(&ended));
        writing.spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                let body = json!({"properties": {"custom": {"n": done.fetch_add(1, Ordering::Relaxed)}}});
                let reply = caller.send(&base, Method::PUT, &path(&name), None, Some(&body)).await.expect("it answers");
                assert_eq!(reply.status, 200, "{reply:?}");
            }
        });
    }
    let begun = Instant::now();
    sleep(Duration::from_secs(seconds)).await;
    let count = done.load(Ordering::Relaxed);
    let elapsed = begun.elapsed();
    ended.store(true, Ordering::Relaxed);
    while writing.join_next().await.is_some() {}
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = count as f64 / elapsed.as_secs_f64();
    rate
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of a minute"]
async fn writes_that_tap_another_instance() {
    const WRITERS: u64 = 64;
    const ROUNDS: usize = 5;
    let ground = Ground::with(2).await;
    let (here, there) = (ground.processes[0].base.clone(), ground.processes[1].base.clone());
    let callers = Caller::many(&ground.folder, WRITERS);
    let mut listening = JoinSet::new();
    for prefix in ["quiet", "heard"] {
        prepare(&here, &callers, prefix).await;
        for caller in &callers {
            // A member beside the writer, whose socket is on the other instance; in the quiet sessions it does not subscribe.
            let listener = Caller::new(&ground.folder, 10_000 + caller.xuid + if prefix == "heard" { 1000 } else { 0 });
            let token = ground.folder.token(&Principal::User(player(listener.xuid)));
            let (mut stream, connection) = dial(&there, &token).await;
            let name = format!("{prefix}-{}", caller.xuid);
            let reply = listener.put(&there, &path(&name), &joining(&connection, prefix == "heard")).await.expect("it answers");
            assert!(reply.status < 300, "{reply:?}");
            listening.spawn(async move {
                let mut taps = 0_u64;
                while let Some(Ok(message)) = stream.next().await {
                    taps += u64::from(message.is_text());
                }
                taps
            });
        }
    }
    let round = async |prefix: &str| throughput(&here, &callers, prefix, callers.len(), 4).await;
    round("quiet").await;
    round("heard").await;
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (quiet, heard) = (round("quiet").await, round("heard").await);
        println!("{quiet:.0}/s without subscribers, {heard:.0}/s with taps to the other instance: {:.3}", heard / quiet);
        ratios.push(heard / quiet);
        rates.push(heard);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.3}", ratios[ROUNDS / 2]);
    listening.shutdown().await;
    ground.end().await;
}
