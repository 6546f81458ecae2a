//! How long a shoulder tap takes, beside the answer to the write that causes it.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::comparison::median;
use crate::requests::{accepted, session};
use crate::rig::Rig;

/// The session of the two: one listens, one writes.
const NAME: &str = "taps";
/// Who listens.
const LISTENER: u64 = 7_500_000;
/// Who writes.
const WRITER: u64 = 7_500_001;
/// How long an answer or a tap may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long after one write the next is sent.
const BETWEEN: Duration = Duration::from_millis(50);
/// The resource that gives a socket its connection id.
const CONNECTIONS: &str = "https://sessiondirectory.xboxlive.com/connections/";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What is timed of each write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Its tap has arrived on the listener's socket.
    Tap,
    /// Its answer has arrived.
    Answer,
}

/// Writes for some seconds, one write after another, and returns the median time of one in milliseconds.
///
/// # Errors
/// When a write is refused or a tap does not come.
pub async fn measure(rig: &Rig, until: Until, seconds: u32) -> anyhow::Result<f64> {
    let client = Client::new();
    let (mut socket, connection) = listen(rig).await?;
    let system = json!({
        "active": true,
        "connection": connection,
        "subscription": {"id": "5b2e3c40-6b38-4a8f-9f0e-6d0f4f0f9f3a", "changeTypes": ["everything"]},
    });
    put(&client, rig, LISTENER, &json!({"members": {"me": {"properties": {"system": system}}}})).await?;
    put(&client, rig, WRITER, &json!({"members": {"me": {"properties": {"system": {"active": true}}}}})).await?;
    let begun = Instant::now();
    let mut times = Vec::new();
    let mut value = 0_u64;
    // The tap of the writer's own coming is not one of those that are timed.
    while timeout(Duration::from_millis(200), tap(&mut socket)).await.is_ok() {}
    while begun.elapsed() < Duration::from_secs(u64::from(seconds)) {
        value += 1;
        let body = json!({"properties": {"custom": {"tick": value}}});
        let sent = Instant::now();
        let answer = async {
            put(&client, rig, WRITER, &body).await?;
            Ok::<_, anyhow::Error>(sent.elapsed())
        };
        let tapped = async {
            timeout(PATIENCE, tap(&mut socket)).await.context("a tap does not come")??;
            Ok::<_, anyhow::Error>(sent.elapsed())
        };
        let (answered, tapped) = tokio::try_join!(answer, tapped)?;
        // Taps of changes in quick succession are merged; this is about those that come alone.
        sleep(BETWEEN).await;
        let took = if until == Until::Tap { tapped } else { answered };
        times.push(took.as_secs_f64() * 1e3);
    }
    Ok(median(&times))
}

async fn put(client: &Client, rig: &Rig, xuid: u64, body: &Value) -> anyhow::Result<()> {
    let url = format!("http://{}{}", rig.address, session(NAME));
    let put = client.put(url).header("Authorization", rig.user(xuid)).header("X-Xbl-Contract-Version", "107");
    let answer = put.header("Content-Type", "application/json").body(body.to_string()).send().await?;
    accepted(answer).await.context("a write is refused")?;
    Ok(())
}

/// Opens the listener's socket and returns it with its connection id.
async fn listen(rig: &Rig) -> anyhow::Result<(Socket, String)> {
    let mut request = format!("ws://{}/connect", rig.address).into_client_request()?;
    request.headers_mut().insert("authorization", HeaderValue::from_str(&rig.user(LISTENER))?);
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("rta.xboxlive.com.V2"));
    let (mut socket, _) = connect_async(request).await.context("the socket is refused")?;
    socket.send(Message::text(json!([1, 1, CONNECTIONS]).to_string())).await?;
    let answer = frame(&mut socket).await?;
    let connection = answer[4]["ConnectionId"].as_str().with_context(|| format!("no connection id in {answer}"))?;
    Ok((socket, connection.to_owned()))
}

/// Waits for the next tap.
async fn tap(socket: &mut Socket) -> anyhow::Result<()> {
    while frame(socket).await?[0] != 3 {}
    Ok(())
}

async fn frame(socket: &mut Socket) -> anyhow::Result<Value> {
    loop {
        match timeout(PATIENCE, socket.next()).await.context("nothing comes on the socket")? {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text)?),
            Some(Ok(Message::Close(_))) | None => bail!("the socket was closed"),
            Some(other) => drop(other?),
        }
    }
}
