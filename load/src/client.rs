//! HTTP to one target: no redirects, no proxies, one pool of connections for all users.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde_json::Value;

use crate::cli::Target;

const CONTRACT: HeaderName = HeaderName::from_static("x-xbl-contract-version");
/// Shorter than servers usually keep idle connections, so that none is used while it is being closed.
const IDLE: Duration = Duration::from_secs(4);
/// After this many requests in a row without an answer in time a target counts as silent.
const SILENT: u32 = 3;

/// A way to one target.
pub struct Link {
    http: Client,
    pub target: Target,
    pub timeout: Duration,
    /// Requests in a row that were not answered in time.
    unanswered: AtomicU32,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Answered {
        status: u16,
        body: Vec<u8>,
    },
    /// Nothing, or half an answer, and why in a word.
    Broken(&'static str),
}

/// A request as it is sent.
pub struct Outgoing<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub authorization: &'a str,
    pub body: Option<&'a Value>,
    /// Sends `If-Match: *`.
    pub only_if_there: bool,
}

impl Link {
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new(target: Target, timeout: Duration) -> anyhow::Result<Self> {
        let http = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(usize::MAX)
            .build()?;
        Ok(Self { http, target, timeout, unanswered: AtomicU32::new(0) })
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, outgoing: Outgoing<'_>) -> Reply {
        let reply = match self.try_send(outgoing).await {
            Ok(reply) => reply,
            Err(error) if error.is_timeout() => Reply::Broken("timeout"),
            Err(error) if error.is_connect() => Reply::Broken("no connection"),
            Err(_) => Reply::Broken("broken connection"),
        };
        match &reply {
            Reply::Broken("timeout") => _ = self.unanswered.fetch_add(1, Ordering::Relaxed),
            _ => self.unanswered.store(0, Ordering::Relaxed),
        }
        reply
    }

    /// From now on only what is not answered from here counts.
    pub fn begin_anew(&self) {
        self.unanswered.store(0, Ordering::Relaxed);
    }

    /// Whether the target has left some requests in a row unanswered: one more would only wait for its time to pass.
    pub fn is_silent(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) >= SILENT
    }

    async fn try_send(&self, outgoing: Outgoing<'_>) -> reqwest::Result<Reply> {
        let method = Method::from_bytes(outgoing.method.as_bytes()).expect("methods are those of the table");
        let mut request = self.http.request(method, format!("{}{}", self.target.base, outgoing.path));
        request = request.header(AUTHORIZATION, outgoing.authorization).header(CONTRACT, HeaderValue::from_static("107"));
        if outgoing.only_if_there {
            request = request.header(IF_MATCH, "*");
        }
        if let Some(body) = outgoing.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok(Reply::Answered { status, body: response.bytes().await?.to_vec() })
    }
}

impl Reply {
    /// Whether the service has certainly not done what was asked.
    pub fn is_certain_no(&self) -> bool {
        matches!(self, Self::Answered { status: 400..=499, .. })
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        match self {
            Self::Answered { body, .. } => serde_json::from_slice(body).unwrap_or_default(),
            Self::Broken(_) => Value::Null,
        }
    }
}
