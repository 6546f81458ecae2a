//! An RTA socket of one user: opened, subscribed, listened to, cut.
//!
//! What comes in is read by a task of its own, so that a tap's instant is when it arrived and not when somebody looked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::client::Link;

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The resource that gives a socket its connection id.
pub const CONNECTIONS: &str = "https://sessiondirectory.xboxlive.com/connections/";
const PROTOCOL: &str = "rta.xboxlive.com.V2";
/// Numbers that are kept of one session.
const KEPT: usize = 256;

/// Where invites go that a socket hears.
pub type OnInvite = Arc<dyn Fn(&str, Instant) + Send + Sync>;

/// An open socket. Dropped, it is cut without a word.
pub struct Socket {
    sink: SplitSink<Stream, Message>,
    answers: mpsc::UnboundedReceiver<Value>,
    seen: Arc<Seen>,
    reader: JoinHandle<()>,
    last_seq: u64,
    patience: Duration,
}

/// The taps that have arrived.
#[derive(Default)]
struct Seen {
    /// Per session, in the order of arrival: change number and instant.
    numbers: Mutex<HashMap<String, Vec<(u64, Instant)>>>,
    news: Notify,
    closed: AtomicBool,
}

impl Socket {
    /// Opens a socket.
    ///
    /// # Errors
    /// What went wrong, in a few words that are the same for the same cause.
    pub async fn open(link: &Link, authorization: &str, on_invite: OnInvite) -> Result<Self, String> {
        let mut request = link.target.socket().into_client_request().map_err(|_| "the address is no URL".to_owned())?;
        let authorization = HeaderValue::from_str(authorization).map_err(|_| "the token is no header".to_owned())?;
        request.headers_mut().insert("authorization", authorization);
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(PROTOCOL));
        let stream = match timeout(link.timeout, connect_async(request)).await {
            Ok(Ok((stream, _))) => stream,
            Ok(Err(Error::Http(answer))) => return Err(answer.status().as_u16().to_string()),
            Ok(Err(Error::Io(_))) => return Err("no connection".to_owned()),
            Ok(Err(_)) => return Err("no websocket".to_owned()),
            Err(_) => return Err("timeout".to_owned()),
        };
        let (sink, source) = stream.split();
        let (sender, answers) = mpsc::unbounded_channel();
        let seen = Arc::new(Seen::default());
        let reader = tokio::spawn(read(source, Arc::clone(&seen), sender, on_invite));
        Ok(Self { sink, answers, seen, reader, last_seq: 0, patience: link.timeout })
    }

    /// Subscribes to a resource and returns its data.
    ///
    /// # Errors
    /// What went wrong, in a few words.
    pub async fn subscribe(&mut self, resource: &str) -> Result<Value, String> {
        self.last_seq += 1;
        let seq = self.last_seq;
        let frame = Message::text(json!([1, seq, resource]).to_string());
        let asked = async {
            self.sink.send(frame).await.map_err(|_| "the socket is closed".to_owned())?;
            loop {
                let answer = self.answers.recv().await.ok_or("the socket is closed")?;
                if answer[1].as_u64() == Some(seq) {
                    return match answer[2].as_u64() {
                        Some(0) => Ok(answer[4].clone()),
                        Some(code) => Err(format!("code {code}")),
                        None => Err("an answer without a code".to_owned()),
                    };
                }
            }
        };
        timeout(self.patience, asked).await.unwrap_or_else(|_| Err("timeout".to_owned()))
    }

    /// Whether the other side has ended it.
    pub fn is_closed(&self) -> bool {
        self.seen.closed.load(Ordering::Acquire)
    }

    /// Waits until a session's tap with this number, or a higher one, has arrived, and says when it did.
    pub async fn tapped(&self, resource: &str, number: u64, patience: Duration) -> Option<Instant> {
        let arrived = async {
            loop {
                let news = self.seen.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if let Some(at) = self.seen.when(resource, number) {
                    return Some(at);
                }
                if self.is_closed() {
                    return None;
                }
                news.await;
            }
        };
        timeout(patience, arrived).await.ok().flatten()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The reader holds the other half of the stream.
        self.reader.abort();
    }
}

impl Seen {
    fn when(&self, resource: &str, number: u64) -> Option<Instant> {
        let numbers = self.numbers.lock().expect("nobody panics here");
        numbers.get(resource)?.iter().find(|(seen, _)| *seen >= number).map(|(_, at)| *at)
    }

    fn take(&self, taps: &[Value], now: Instant) {
        let mut numbers = self.numbers.lock().expect("nobody panics here");
        for tap in taps {
            if let (Some(resource), Some(number)) = (tap["resource"].as_str(), tap["changeNumber"].as_u64()) {
                let kept = numbers.entry(resource.to_lowercase()).or_default();
                if kept.len() == KEPT {
                    kept.drain(..KEPT / 2);
                }
                kept.push((number, now));
            }
        }
        drop(numbers);
        self.news.notify_waiters();
    }
}

/// Reads until the socket ends.
async fn read(mut source: SplitStream<Stream>, seen: Arc<Seen>, answers: mpsc::UnboundedSender<Value>, on_invite: OnInvite) {
    while let Some(Ok(message)) = source.next().await {
        let Message::Text(text) = message else { continue };
        let now = Instant::now();
        let Ok(frame) = serde_json::from_str::<Value>(&text) else { continue };
        match frame[0].as_u64() {
            Some(1) => drop(answers.send(frame)),
            Some(3) => {
                if let Some(taps) = frame[2]["shoulderTaps"].as_array() {
                    seen.take(taps, now);
                }
                if let Some(id) = frame[2]["inviteHandle"]["id"].as_str() {
                    on_invite(id, now);
                }
            }
            _ => {}
        }
    }
    seen.closed.store(true, Ordering::Release);
    seen.news.notify_waiters();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_tap_stands_for_an_earlier_one() {
        let seen = Seen::default();
        let (first, second) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let tap = |number: u64| json!({"resource": "S~T~N", "changeNumber": number});
        seen.take(&[tap(2), json!({"resource": "S~T~N"})], first);
        seen.take(&[tap(5)], second);
        assert_eq!([1, 2, 3, 5].map(|number| seen.when("s~t~n", number)), [Some(first), Some(first), Some(second), Some(second)]);
        assert_eq!((seen.when("s~t~n", 6), seen.when("s~t~other", 1)), (None, None));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let seen = Seen::default();
        for number in 0..10_000 {
            seen.take(&[json!({"resource": "a~b~c", "changeNumber": number})], Instant::now());
        }
        assert!(seen.numbers.lock().unwrap()["a~b~c"].len() <= KEPT);
        assert!(seen.when("a~b~c", 9_999).is_some());
    }
}
