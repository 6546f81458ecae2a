//! Players with sockets on services that run as processes: what each of them was told, and how their sockets end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::NoTls;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::session;
use crate::process::Caller;
use crate::rta_client::Socket;

/// How long a service that is there may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A player with a socket that is read all the time. Dropped, the network connection is cut without a word.
pub struct Member {
    pub caller: Caller,
    /// Where the socket is.
    pub base: String,
    /// The connection id.
    pub connection: String,
    heard: Arc<Mutex<Heard>>,
    reading: JoinHandle<()>,
}

/// What came over a socket.
#[derive(Debug, Default)]
struct Heard {
    /// The last change number of each session, by its name.
    numbers: BTreeMap<String, u64>,
    /// What must not come.
    wrong: Vec<String>,
    /// How the socket ended.
    end: Option<String>,
}

impl Heard {
    fn take(&mut self, text: &str) {
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        let Some(taps) = message[2]["shoulderTaps"].as_array() else { return self.wrong.push(text.to_owned()) };
        for tap in taps {
            let name = tap["resource"].as_str().and_then(|resource| resource.rsplit('~').next()).unwrap_or_default();
            let number = tap["changeNumber"].as_u64().unwrap_or_default();
            // N-55; no test here begins a second life of a session.
            if self.numbers.insert(name.to_owned(), number).is_some_and(|before| before >= number) {
                self.wrong.push(format!("not newer than the one before: {text}"));
            }
        }
    }
}

impl Member {
    /// Opens a socket and asks for its connection id.
    pub async fn open(caller: &Caller, base: &str) -> Self {
        let mut socket = caller.socket(base).await;
        let connection = socket.connects().await;
        Self::over(caller, base, socket, connection)
    }

    /// Reads a socket that has a connection id already.
    pub fn over(caller: &Caller, base: &str, socket: Socket, connection: String) -> Self {
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let reading = tokio::spawn(read(socket, Arc::clone(&heard)));
        Self { caller: caller.clone(), base: base.to_owned(), connection, heard, reading }
    }

    /// Opens sockets for all of them at once.
    pub async fn open_all(callers: &[Caller], base: &str) -> Vec<Self> {
        join_all(callers.iter().map(|caller| Self::open(caller, base))).await
    }

    /// Joins a session, or writes how it is to be reached now; returns the session.
    pub async fn registers(&self, base: &str, name: &str) -> Value {
        write(&self.caller, base, name, &registering(self.caller.xuid, &self.connection, REMOVAL)).await
    }

    /// The last number it was told of a session.
    pub fn last(&self, name: &str) -> Option<u64> {
        self.heard().numbers.get(name).copied()
    }

    /// How the socket ended, if it did.
    pub fn end(&self) -> Option<String> {
        self.heard().end.clone()
    }

    /// Insists that the socket is open and told nothing wrong.
    #[track_caller]
    pub fn is_well(&self) {
        let heard = self.heard();
        let (end, wrong) = (&heard.end, &heard.wrong);
        assert!(end.is_none() && wrong.is_empty(), "the socket of {} on {}: {end:?}, {wrong:?}", self.caller.xuid, self.base);
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().expect("nobody panics here")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn read(mut socket: Socket, heard: Arc<Mutex<Heard>>) {
    let end = loop {
        match socket.stream.next().await {
            Some(Ok(Message::Text(text))) => heard.lock().expect("nobody panics here").take(&text),
            Some(Ok(Message::Close(frame))) => {
                let frame = frame.map(|frame| (u16::from(frame.code), frame.reason.to_string()));
                break format!("closed with {frame:?}");
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => break format!("broken: {error}"),
            None => break "ended".to_owned(),
        }
    };
    heard.lock().expect("nobody panics here").end = Some(end);
}

/// How long inactive members stay in most sessions, in milliseconds: longer than any test.
pub const REMOVAL: u64 = 3_600_000;

/// A PUT that makes the caller active with a connection and a subscription to everything.
pub fn registering(xuid: u64, connection: &str, removal: u64) -> Value {
    let subscription = json!({"id": format!("6a1d9c3e-0f4b-4e27-8f6d-{xuid:012}"), "changeTypes": ["everything"]});
    let system = json!({"active": true, "connection": connection, "subscription": subscription});
    json!({
        "constants": {"system": {"inactiveRemovalTimeout": removal}},
        "members": {"me": {"properties": {"system": system}}}
    })
}

/// A PUT that changes something of the caller's.
pub fn counting(count: u64) -> Value {
    json!({"members": {"me": {"properties": {"custom": {"count": count}}}}})
}

/// Writes until it is answered well; returns the session.
pub async fn write(caller: &Caller, base: &str, name: &str, body: &Value) -> Value {
    until(&format!("{} writes {name}", caller.xuid), PATIENCE, async || {
        match caller.put(base, &session("Open", name), body).await {
            Some(reply) if matches!(reply.status, 200 | 201) => Ok(reply.body),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

/// Reads until it is answered; an empty value stands for a session that is not there.
pub async fn view(caller: &Caller, base: &str, name: &str) -> Value {
    until(&format!("{} reads {name}", caller.xuid), PATIENCE, async || match caller.get(base, &session("Open", name)).await {
        Some(reply) if reply.status == 200 => Ok(reply.body),
        Some(reply) if reply.status == 204 => Ok(Value::Null),
        other => Err(format!("{other:?}")),
    })
    .await
}

/// A session's change number.
#[track_caller]
pub fn number(document: &Value) -> u64 {
    document["changeNumber"].as_u64().unwrap_or_else(|| panic!("no change number in {document}"))
}

/// The xuids of the active members of a session.
pub fn active(document: &Value) -> BTreeSet<u64> {
    let members = document["members"].as_object().into_iter().flat_map(serde_json::Map::values);
    let active = members.filter(|member| member["properties"]["system"]["active"] == true);
    active.filter_map(|member| member["constants"]["system"]["xuid"].as_str()?.parse().ok()).collect()
}

/// Waits until nobody but these are active in a session; returns when that was seen, and the session.
pub async fn until_active(caller: &Caller, base: &str, name: &str, xuids: &[u64], limit: Duration) -> (Instant, Value) {
    let wanted: BTreeSet<u64> = xuids.iter().copied().collect();
    until(&format!("{wanted:?} and nobody else are active in {name}"), limit, async || {
        let document = view(caller, base, name).await;
        let found = active(&document);
        if found == wanted { Ok((Instant::now(), document)) } else { Err(format!("active are {found:?}")) }
    })
    .await
}

/// Waits until all of them know a change number of a session; returns how long that took.
pub async fn all_know(members: &[Member], name: &str, number: u64, limit: Duration) -> Duration {
    let begun = Instant::now();
    until(&format!("all know change {number} of {name}"), limit, async || {
        let late: Vec<_> = members.iter().filter(|one| one.last(name) < Some(number)).collect();
        if late.is_empty() {
            return Ok(begun.elapsed());
        }
        let late = late.iter().map(|one| format!("{} on {}: {:?}, {:?}", one.caller.xuid, one.base, one.last(name), one.end()));
        Err(late.collect::<Vec<_>>().join("; "))
    })
    .await
}

/// Looks again and again until it is good, or fails with what was wrong last.
pub async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(wrong) => assert!(begun.elapsed() < limit, "not within {limit:?}: {what}. {wrong}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Runs a query that answers with one number.
pub async fn count(url: &str, query: &str) -> i64 {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the database is there");
    let connection = tokio::spawn(connection);
    let row = client.query_one(query, &[]).await.expect("the query is sound");
    connection.abort();
    row.get(0)
}
