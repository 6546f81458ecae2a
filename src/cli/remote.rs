//! A running service, asked over HTTP with an administrator's token.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::{Client, Method};

use super::database::SettingsArguments;
use crate::ambient::Clock;
use crate::auth::{SigningKey, Terms};
use crate::domain::principal::Principal;
use crate::json::{self, Json, STORED_DEPTH};
use crate::settings::{Environment, Settings};

/// Where a service listens when nobody says so.
const DEFAULT: &str = "http://127.0.0.1:8080";
/// How long a token that a command makes for itself is good.
const TOKEN_LIFE: Duration = Duration::from_mins(10);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// The most entries of one answer.
const PAGE: usize = 200;

/// Which service, and who asks.
#[derive(Debug, Args)]
pub struct RemoteArguments {
    /// The running service
    #[arg(long, global = true, value_name = "URL", help = "The running service [default: http://127.0.0.1:8080]")]
    url: Option<String>,
    /// An administrator's token
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        help = "An administrator's token [default: OPENMPSD_TOKEN, else one made with the generated key of the data directory]"
    )]
    token: Option<String>,
}

/// Which service, who asks, and how the answer is printed.
#[derive(Debug, Args)]
pub struct AskArguments {
    #[command(flatten)]
    remote: RemoteArguments,
    #[command(flatten)]
    settings: SettingsArguments,
    /// Print JSON instead of a table
    #[arg(long, global = true)]
    pub json: bool,
}

impl AskArguments {
    /// The service to ask.
    pub fn open(self) -> anyhow::Result<Remote> {
        let settings = self.settings.load()?;
        self.remote.open(&settings)
    }
}

impl RemoteArguments {
    /// Whether a service is named.
    pub fn is_given(&self) -> bool {
        self.url.is_some()
    }

    /// The service to ask.
    ///
    /// # Errors
    /// When there is no token, with the three ways to one.
    pub fn open(self, settings: &Settings) -> anyhow::Result<Remote> {
        let base = self.url.as_deref().unwrap_or(DEFAULT).trim_end_matches('/').to_owned();
        let token = match self.token.or_else(|| Some(Environment::of_process().ok()?.token()?.to_owned())) {
            Some(token) => token,
            None => made(settings)?,
        };
        Remote::new(base, &token)
    }
}

/// Makes a token with the key of the data directory. A key that is not there is not generated: no service would believe it.
fn made(settings: &Settings) -> anyhow::Result<String> {
    let data_dir = &settings.embedded.data_dir;
    let path = data_dir.join("keys").join("signing.json");
    let found = SigningKey::find(data_dir).context(
        "cannot make a token with the key of the data directory (give one with --token or OPENMPSD_TOKEN, or name another --data-dir)",
    )?;
    let Some(key) = found else {
        bail!(
            "there is no token to ask with: give one with --token, set OPENMPSD_TOKEN, or name the --data-dir of the service, whose \
             generated key makes one ({} is not there)",
            path.display()
        );
    };
    let terms = Terms {
        issuer: settings.auth.issuer.clone(),
        audience: settings.auth.audience.clone(),
        issued_at: Clock::system().real(),
        lifetime: TOKEN_LIFE,
    };
    Ok(key.issue(&Principal::Admin { name: "admin".to_owned() }, &terms))
}

/// A running service.
pub struct Remote {
    base: String,
    authorization: String,
    client: Client,
}

/// What a service answers that does not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Refused {
    /// The status.
    pub status: u16,
    /// What it says.
    pub text: String,
}

/// Parameters of a query string.
pub type Query = Vec<(&'static str, String)>;

/// What was gathered of a list: its entries, and the token that the rest begins with, if there may be more.
pub struct Gathered {
    /// The entries.
    pub items: Vec<Json>,
    /// Where the rest begins.
    pub next: Option<String>,
}

impl Gathered {
    /// The same in the form of an answer.
    pub fn into_json(self) -> Json {
        let mut fields = json::Object::new();
        fields.insert("items".into(), Json::Array(self.items));
        fields.insert("continuationToken".into(), self.next.map_or(Json::Null, Json::from));
        fields.into()
    }
}

impl Remote {
    fn new(base: String, token: &str) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(PATIENCE)
            // The token goes to the service that was named and to nobody else: to no other address that it answers with, and to no
            // proxy that the environment names.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self { base, authorization: format!("Bearer {token}"), client })
    }

    /// What to call it before people.
    pub fn title(&self) -> &str {
        &self.base
    }

    /// Sends a request and returns what is answered: JSON, or null for an empty answer.
    ///
    /// # Errors
    /// `Refused` with what the service says when it refuses, as it says it; that it cannot be reached, or is no such service.
    pub async fn send(&self, method: Method, path: &str, query: &Query, body: Option<String>) -> anyhow::Result<Json> {
        let mut url = format!("{}{path}", self.base);
        if !query.is_empty() {
            url.push('?');
            url.push_str(&form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish());
        }
        let mut request = self.client.request(method, &url).header("authorization", &self.authorization);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.with_context(|| format!("cannot reach {}: is the service running?", self.base))?;
        let status = answer.status();
        let text = answer.text().await.context("cannot read the answer")?;
        match (status.is_success(), text.trim()) {
            (true, "") => Ok(Json::Null),
            (true, text) => json::parse(text.as_bytes(), STORED_DEPTH).map_err(|error| {
                anyhow::anyhow!("{url} answers with something else than JSON ({}): is this an openmpsd service?", error.why)
            }),
            (false, text) => {
                let text = if text.is_empty() { format!("{url} answers {status}") } else { text.to_owned() };
                Err(Refused { status: status.as_u16(), text }.into())
            }
        }
    }

    /// Gathers entries of a list, page by page, until there are so many.
    pub async fn gather(&self, path: &str, query: &Query, most: usize, from: Option<String>) -> anyhow::Result<Gathered> {
        let mut gathered = Gathered { items: Vec::new(), next: from };
        loop {
            let mut query = query.clone();
            query.push(("take", (most - gathered.items.len()).min(PAGE).to_string()));
            query.extend(gathered.next.take().map(|token| ("continuationToken", token)));
            let answer = self.send(Method::GET, path, &query, None).await?;
            let Some(items) = answer.get("items").and_then(Json::as_array) else {
                bail!("{}{path} answers without a list of items: is this an openmpsd service?", self.base);
            };
            gathered.items.extend(items.iter().cloned());
            gathered.next = answer.get("continuationToken").and_then(Json::as_str).map(std::borrow::Cow::into_owned);
            if gathered.next.is_none() || gathered.items.len() >= most {
                return Ok(gathered);
            }
        }
    }
}

#[cfg(test)]
pub mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// A service that answers one request after another with these statuses and bodies, and closes each connection.
    pub fn answering(answers: &'static [(&'static str, &'static str)]) -> Remote {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for ((status, body), stream) in answers.iter().zip(listener.incoming()) {
                let mut stream = stream.unwrap();
                let mut length = 0;
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                for line in (&mut reader).lines().map(Result::unwrap).take_while(|line| !line.is_empty()) {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                std::io::copy(&mut std::io::Read::take(reader, length), &mut std::io::sink()).unwrap();
                let length = body.len();
                write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").unwrap();
            }
        });
        Remote::new(base, "secret").unwrap()
    }

    #[tokio::test]
    async fn a_list_has_items() {
        let remote = answering(&[("200 OK", r#"{"items":[7],"continuationToken":null}"#), ("200 OK", r#"{"status":"ok"}"#)]);
        let gathered = remote.gather("/admin/bans", &Vec::new(), 5, None).await.unwrap();
        assert_eq!((gathered.items.len(), gathered.next), (1, None));
        let refused = remote.gather("/admin/bans", &Vec::new(), 5, None).await.map(Gathered::into_json).unwrap_err();
        assert!(refused.to_string().contains("answers without a list of items"), "{refused}");
    }

    #[tokio::test]
    async fn a_refusal_has_its_status() {
        let remote = answering(&[("403 Forbidden", "only an administrator may do this")]);
        let refused = remote.send(Method::GET, "/admin/bans", &Vec::new(), None).await.unwrap_err();
        assert_eq!(refused.to_string(), "only an administrator may do this");
        assert_eq!(refused.downcast_ref::<Refused>().map(|refused| refused.status), Some(403));
    }
}
