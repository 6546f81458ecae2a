//! A social endpoint as an operator would run it: a tiny HTTP server on loopback that says what the test tells it to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use openmpsd::social::{HttpOptions, Source};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the endpoint does when it is asked about somebody.
#[derive(Debug, Clone)]
pub enum Says {
    /// 200 and these edges.
    Edges(Value),
    /// This status, and this body.
    Text(u16, String),
    /// It takes the call and never answers.
    Nothing,
    /// It begins an answer and breaks off.
    Half,
}

/// The endpoint; it ends with this value.
pub struct Endpoint {
    url: String,
    told: Arc<Told>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Told {
    /// By xuid; who is not in it has no edges.
    answers: Mutex<HashMap<u64, Says>>,
    /// The heads of the calls.
    calls: Mutex<Vec<String>>,
    /// How many calls are under way, and how many there have been at once at most.
    open: Mutex<(usize, usize)>,
}

impl Endpoint {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/people", listener.local_addr().expect("it is bound"));
        let told = Arc::new(Told::default());
        let for_calls = Arc::clone(&told);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&for_calls)));
            }
        });
        Self { url, told, serving }
    }

    /// The source that asks here; its answers are good for half a minute.
    pub fn source(&self, timeout: Duration) -> Source {
        Source::Http(HttpOptions {
            url: format!("{}/", self.url).into(),
            bearer: Some("sesame".to_owned().into()),
            timeout,
            cache: TimeDelta::seconds(30),
        })
    }

    /// From now on this is what is said about somebody.
    pub fn says(&self, xuid: u64, says: Says) {
        self.told.answers.lock().expect("telling does not panic").insert(xuid, says);
    }

    pub fn edges(&self, xuid: u64, edges: Value) {
        self.says(xuid, Says::Edges(edges));
    }

    /// The heads of the calls since this was asked last.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.calls.lock().expect("telling does not panic"))
    }

    /// How many calls there have been at once at most.
    pub fn most_at_once(&self) -> usize {
        self.told.open.lock().expect("telling does not panic").1
    }

    /// Nobody listens any more.
    pub fn stop(&self) {
        self.serving.abort();
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A call that is under way.
struct Open<'a>(&'a Told);

impl<'a> Open<'a> {
    fn count(told: &'a Told) -> Self {
        let mut open = told.open.lock().expect("telling does not panic");
        open.0 += 1;
        open.1 = open.1.max(open.0);
        Self(told)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.lock().expect("telling does not panic").0 -= 1;
    }
}

async fn answer(mut stream: TcpStream, told: Arc<Told>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).expect("calls are ASCII");
    let xuid = head.split(' ').nth(1).and_then(|path| path.strip_prefix("/people/")?.parse().ok());
    told.calls.lock().expect("telling does not panic").push(head);
    let _open = Open::count(&told);
    let says = told.answers.lock().expect("telling does not panic").get(&xuid.expect("a xuid is asked about")).cloned();
    let (status, body) = match says {
        None => (404, String::new()),
        Some(Says::Edges(edges)) => (200, edges.to_string()),
        Some(Says::Text(status, body)) => (status, body),
        Some(Says::Nothing) => {
            // Until the other side gives up.
            let _ = stream.read_u8().await;
            return;
        }
        Some(Says::Half) => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"follows\"").await;
            return;
        }
    };
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} Said\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    let _ = stream.write_all(answer.as_bytes()).await;
}
