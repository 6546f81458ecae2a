//! A client of the RTA socket, with the verbs of the contract.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::harness::World;
use crate::process::Caller;

/// The resource of the connection, as most clients spell it.
pub const CONNECTIONS: &str = "https://sessiondirectory.xboxlive.com/connections/";
/// The sub-protocol of the contract.
pub const PROTOCOL: &str = "rta.xboxlive.com.V2";
/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request for a socket.
pub struct Dialing {
    url: String,
    headers: Vec<(String, String)>,
}

/// An open socket; it is large, and lives in many futures.
pub struct Socket {
    pub stream: Box<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    /// The sub-protocol that the service chose.
    pub protocol: Option<String>,
    last_seq: u64,
}

/// A subscription as it was answered.
#[derive(Debug)]
pub struct Subscribed {
    pub id: u64,
    pub data: Value,
}

impl World {
    /// A request for a socket at a path, without any header of its own.
    pub fn dials(&self, path: &str) -> Dialing {
        Dialing { url: format!("ws://{}{path}", self.running.address), headers: Vec::new() }
    }

    /// A socket of a player.
    pub async fn socket(&self, xuid: u64) -> Socket {
        let token = self.token(&openmpsd::domain::principal::Principal::User(crate::harness::player(xuid)), 8 * 3600);
        self.dials("/connect").bearer(&token).with("sec-websocket-protocol", PROTOCOL).open().await
    }
}

impl Caller {
    /// A socket on a service that runs as a process.
    pub async fn socket(&self, base: &str) -> Socket {
        let dialing = Dialing { url: format!("{}/connect", base.replacen("http", "ws", 1)), headers: Vec::new() };
        dialing.with("authorization", self.authorization()).with("sec-websocket-protocol", PROTOCOL).open().await
    }
}

impl Dialing {
    /// The same with a header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a credential.
    pub fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("XBL3.0 x=*;{token}"))
    }

    async fn dial(self) -> Result<(WebSocketStream<MaybeTlsStream<TcpStream>>, Response), Error> {
        let mut request = self.url.into_client_request().expect("the URL is well-formed");
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name.as_str()).expect("a header's name");
            request.headers_mut().append(name, HeaderValue::from_str(value).expect("a header's value"));
        }
        timeout(PATIENCE, connect_async(request)).await.expect("the service answers")
    }

    /// Opens the socket.
    pub async fn open(self) -> Socket {
        let (stream, answer) = Box::pin(self.dial()).await.unwrap_or_else(|error| panic!("no socket: {error}"));
        let protocol = answer.headers().get("sec-websocket-protocol");
        let protocol = protocol.map(|value| value.to_str().expect("headers are ASCII").to_owned());
        Socket { stream: Box::new(stream), protocol, last_seq: 0 }
    }

    /// Insists on being refused with a status.
    pub async fn refused(self, status: u16) -> Response {
        match self.dial().await {
            Err(Error::Http(answer)) => {
                assert_eq!(answer.status().as_u16(), status, "{answer:?}");
                *answer
            }
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("the socket is open"),
        }
    }
}

impl Socket {
    /// Sends a text frame.
    pub async fn says(&mut self, text: impl Into<String>) {
        self.sends(Message::text(text.into())).await;
    }

    /// Sends any frame.
    pub async fn sends(&mut self, message: Message) {
        timeout(PATIENCE, self.stream.send(message)).await.expect("the service reads").expect("the socket is open");
    }

    /// Leaves little room for what is not read: the less fits in between, the sooner the service waits.
    pub fn narrows(&self) {
        let MaybeTlsStream::Plain(stream) = self.stream.get_ref() else { panic!("no test uses TLS") };
        socket2::SockRef::from(stream).set_recv_buffer_size(8 << 10).expect("the system sets buffers");
    }

    /// Sends bytes past everything that makes frames of them.
    pub async fn raw(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.stream.get_mut().write_all(bytes)).await.expect("the service reads").expect("the socket is open");
    }

    /// Asks as fast as it can for something that is refused, and takes none of the answers, until the connection breaks. Says how
    /// many times it asked.
    pub async fn babbles(&mut self) -> usize {
        const BLOCK: usize = 1000;
        let ask = br#"[1,7,"https://a/b"]"#;
        let mut frame = vec![0x81, 0x80 | u8::try_from(ask.len()).expect("it is short"), 0, 0, 0, 0];
        frame.extend(ask);
        let block = frame.repeat(BLOCK);
        self.narrows();
        let mut asked = 0;
        while self.stream.get_mut().write_all(&block).await.is_ok() {
            asked += BLOCK;
        }
        asked
    }

    /// The next frame of any kind.
    pub async fn message(&mut self) -> Message {
        let message = timeout(PATIENCE, self.stream.next()).await.expect("the service sends something");
        message.expect("the socket is open").expect("the frame is sound")
    }

    /// The next text frame, as it is.
    pub async fn text(&mut self) -> String {
        loop {
            match self.message().await {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("no text: {other:?}"),
            }
        }
    }

    /// The next text frame.
    pub async fn next(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// Subscribes, and insists that it works.
    pub async fn subscribes(&mut self, uri: &str) -> Subscribed {
        let answer = self.asks(uri).await;
        assert_eq!((answer[2].as_u64(), answer.as_array().map(Vec::len)), (Some(0), Some(5)), "{answer}");
        Subscribed { id: answer[3].as_u64().expect("the id is a number"), data: answer[4].clone() }
    }

    /// Subscribes to the connection and returns its id.
    pub async fn connects(&mut self) -> String {
        let subscribed = self.subscribes(CONNECTIONS).await;
        subscribed.data["ConnectionId"].as_str().expect("the id is a text").to_owned()
    }

    /// Subscribes, and returns the answer, good or bad.
    pub async fn asks(&mut self, uri: &str) -> Value {
        self.last_seq += 1;
        let seq = self.last_seq;
        self.says(json!([1, seq, uri]).to_string()).await;
        let answer = self.next().await;
        assert_eq!((&answer[0], &answer[1]), (&json!(1), &json!(seq)), "{answer}");
        answer
    }

    /// Ends a subscription and returns the code.
    pub async fn unsubscribes(&mut self, id: u64) -> u64 {
        self.last_seq += 1;
        let seq = self.last_seq;
        self.says(json!([2, seq, id]).to_string()).await;
        let answer = self.next().await;
        assert_eq!((&answer[0], &answer[1]), (&json!(2), &json!(seq)), "{answer}");
        answer[2].as_u64().expect("the code is a number")
    }

    /// Insists that the service closes the socket with this code; returns the reason.
    pub async fn closed(&mut self, code: u16) -> String {
        loop {
            match self.message().await {
                Message::Close(Some(frame)) => {
                    assert_eq!(u16::from(frame.code), code, "{frame:?}");
                    return frame.reason.to_string();
                }
                Message::Close(None) => panic!("closed without a code"),
                _ => {}
            }
        }
    }

    /// Closes the socket and waits until the service has, too.
    pub async fn leaves(mut self) {
        let _ = self.stream.as_mut().close(None).await;
        while let Some(Ok(_)) = timeout(PATIENCE, self.stream.next()).await.expect("the service closes") {}
    }
}
