//! A service of one's own for every test: a fresh database, real sockets, a clock that stands still, and people who use it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use openmpsd::ambient::{Clock, Ids};
use openmpsd::app::{Parts, Running, Seat};
use openmpsd::auth::{KeySet, Rules as TokenRules, SigningKey, Terms, Verifier};
use openmpsd::directory::Options;
use openmpsd::domain::limits::Limits;
use openmpsd::domain::names::{Scid, TitleId, Xuid};
use openmpsd::domain::principal::{Principal, Server, User};
use openmpsd::http::{FeedRules, Patience, Rules, ThrottleRules};
use openmpsd::rta;
use openmpsd::services;
use openmpsd::social::Source;
use openmpsd::store::rows::ServiceConfigRow;
use openmpsd::store::{Import, Store, StoreOptions, migrate};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::cluster::{self, TestDatabase};

/// The service config of the contract's samples.
pub const SCID: &str = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7";
/// The title every user plays unless told otherwise.
pub const TITLE: u32 = 1_739_200_451;

/// When every test begins.
pub fn start_of_time() -> DateTime<Utc> {
    "2031-04-05T18:00:00.123Z".parse().expect("the instant is well-formed")
}

/// A service over a database of its own.
pub struct World {
    pub clock: Clock,
    pub store: Store,
    pub running: Running,
    pub database: Arc<TestDatabase>,
    key: Arc<SigningKey>,
    client: Client,
}

/// What a test may want different from the default installation.
pub struct Choices {
    pub options: Options,
    pub rules: Rules,
    pub sockets: rta::Options,
    pub social: Source,
    /// How often it is compared with the database what sockets were told.
    pub reconcile: Duration,
    /// How long running requests may take at the end.
    pub shutdown: Duration,
    /// How long it answers on before that.
    pub drain: Duration,
    /// Whether its worker reads for itself; 0 if not.
    pub readers: usize,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            options: Options {
                limits: Limits::default(),
                everybody_follows: false,
                search_rows: 40_000,
                searches: 4,
                queries: 4,
                gatherers: 2,
                queue_per_session: 256,
                queue_total: 8192,
                memory_bytes: 64 << 20,
                metrics: Arc::default(),
            },
            rules: Rules {
                body_bytes: 256 << 10,
                import_bytes: 1 << 20,
                json_depth: 32,
                header_bytes: 32 << 10,
                patience: Patience {
                    request: Duration::from_secs(30),
                    body: Duration::from_secs(10),
                    slow: Duration::from_secs(5),
                },
                exports_spans: false,
                joins_traces: false,
                metrics_bearer: None,
                banned: Vec::new(),
                feeds: FeedRules {
                    open_max: 8,
                    per_caller_max: 8,
                    poll: Duration::from_millis(20),
                    heartbeat: Duration::from_secs(5),
                    lifetime: Duration::from_hours(2),
                },
                throttle: ThrottleRules::default(),
                dev: true,
            },
            sockets: rta::Options { tick: Duration::from_millis(20), ..rta::Options::default() },
            social: Source::Table,
            reconcile: Duration::from_millis(100),
            shutdown: Duration::from_secs(1),
            drain: Duration::ZERO,
            readers: 1,
        }
    }
}

impl World {
    /// A service with the shipped templates.
    pub async fn new() -> Self {
        Self::with(Choices::default()).await
    }

    /// The same with other choices.
    pub async fn with(choices: Choices) -> Self {
        let database = cluster::database(async |url: &str| migrate::migrate(url).await.map(drop)).await;
        let clock = Clock::manual(start_of_time());
        let store = connect(&database).await;
        store.ensure_partitions(clock.now()).await.expect("partitions are made");
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/services");
        services::import(&store, shipped.as_ref()).await.expect("the shipped service configs are valid");
        Self::over(Arc::new(database), store, clock, choices).await
    }

    /// A service over a database that is filled already.
    pub async fn over(database: Arc<TestDatabase>, store: Store, clock: Clock, choices: Choices) -> Self {
        static KEYS: AtomicU32 = AtomicU32::new(0);
        let folder =
            std::env::temp_dir().join(format!("openmpsd-keys-{}-{}", std::process::id(), KEYS.fetch_add(1, Ordering::Relaxed)));
        let key = SigningKey::open(&folder).expect("a key can be generated");
        let _ = std::fs::remove_dir_all(&folder);
        Self::start(database, store, clock, Arc::new(key), choices).await
    }

    async fn start(database: Arc<TestDatabase>, store: Store, clock: Clock, key: Arc<SigningKey>, choices: Choices) -> Self {
        let parts = Parts {
            store: store.clone(),
            clock: clock.clone(),
            ids: Ids::random(),
            verifier: verifier(&key),
            social: choices.social,
            options: choices.options,
            rules: choices.rules,
            sockets: choices.sockets,
            seat: Seat::take(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port is free"),
            certificate: None,
            workers: 1,
            readers: choices.readers,
            queries_each: 1,
            shutdown: choices.shutdown,
            drain: choices.drain,
            head_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(75),
            reconcile: choices.reconcile,
            alone: false,
            straggle: Duration::from_secs(15),
        };
        let running = parts.start().await.expect("the service starts");
        Self { clock, store, running, database, key, client: Client::new() }
    }

    /// Another instance of the service on the same database, with the same clock, once both know of each other. It ends like this one.
    pub async fn beside(&self) -> Self {
        self.beside_with(Choices::default()).await
    }

    /// The same with other choices.
    pub async fn beside_with(&self, choices: Choices) -> Self {
        let store = connect(&self.database).await;
        let other = Self::start(Arc::clone(&self.database), store, self.clock.clone(), Arc::clone(&self.key), choices).await;
        for instance in [self, &other] {
            eventually("they know of each other", async || instance.running.notifier.hub().has_peers()).await;
        }
        other
    }

    /// A player on a device of its own, named after the xuid.
    pub fn user(&self, xuid: u64) -> Actor {
        self.actor(Principal::User(player(xuid)))
    }

    /// Anybody.
    #[expect(clippy::needless_pass_by_value, reason = "a principal is made for the call")]
    pub fn actor(&self, principal: Principal) -> Actor {
        self.bearer(&self.token(&principal, 8 * 3600))
    }

    /// A token made now, good for some seconds.
    pub fn token(&self, principal: &Principal, seconds: u64) -> String {
        let terms = Terms {
            issuer: "openmpsd".into(),
            audience: "openmpsd".into(),
            issued_at: self.clock.real(),
            lifetime: Duration::from_secs(seconds),
        };
        self.key.issue(principal, &terms)
    }

    /// Somebody with this token, good or bad.
    pub fn bearer(&self, token: &str) -> Actor {
        Actor {
            base: format!("http://{}", self.running.address),
            authorization: Some(format!("XBL3.0 x=*;{token}")),
            headers: Vec::new(),
            client: self.client.clone(),
        }
    }

    /// Somebody without a credential.
    pub fn nobody(&self) -> Actor {
        self.bearer("").authorized(None)
    }

    /// A title's own server for the sample service config.
    pub fn server(&self) -> Actor {
        let scids = vec![Scid::parse(SCID).expect("the scid is a GUID")];
        self.actor(Principal::Server(Server { name: "arena".into(), scids }))
    }

    /// An operator.
    pub fn admin(&self) -> Actor {
        self.actor(Principal::Admin { name: "op".into() })
    }

    /// Lets the service's time pass; nothing is evaluated by that.
    pub fn pass(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }

    /// Lets one user follow another.
    pub async fn follows(&self, xuid: u64, followed: u64) {
        self.store.put_follow(xuid, followed, false).await.expect("the edge is stored");
    }

    /// Makes a connection id known as that of a socket of a user on this instance.
    pub async fn connects(&self, xuid: u64, connection: &str) {
        let instance = self.running.notifier.hub().instance();
        let id = connection.parse().expect("a connection id is a GUID");
        self.store.open_connections(instance, &[(id, xuid)], self.clock.real()).await.expect("the row is stored");
    }

    /// From now on only this title may use the sample service config.
    pub async fn keeps_for_title(&self, title: u32) {
        let scid = SCID.parse().expect("the scid is a GUID");
        let service = ServiceConfigRow { scid, titles: vec![title], game_types: None, throttle: None };
        self.store.publish_services(&[service], &[]).await.expect("the service config is stored");
        self.running.directory.refresh_catalog().await.expect("the catalog is read");
    }

    /// Checks that every row says what its session says, and takes the service down. Every test ends with it.
    pub async fn end(self) {
        let differences = self.store.verify().await.expect("the database answers");
        assert_eq!(differences, Vec::<String>::new(), "projection check");
        self.running.stop().await;
        drop(self.database);
    }
}

/// Publishes a further service config: its scid, its `service.toml`, and templates by name.
pub async fn publish(world: &World, scid: &str, about: &str, templates: &[(&str, &str)]) {
    static FOLDERS: AtomicU32 = AtomicU32::new(0);
    let folder = std::env::temp_dir().join(format!(
        "openmpsd-services-{}-{}",
        std::process::id(),
        FOLDERS.fetch_add(1, Ordering::Relaxed)
    ));
    let service = folder.join(scid);
    std::fs::create_dir_all(service.join("templates")).expect("the folder is made");
    std::fs::write(service.join("service.toml"), about).expect("the file is written");
    for (name, document) in templates {
        std::fs::write(service.join("templates").join(format!("{name}.json")), document).expect("the file is written");
    }
    let imported = services::import(&world.store, &folder).await;
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    assert!(matches!(imported, Ok(Some(Import::Imported(_)))), "{imported:?}");
    world.running.directory.refresh_catalog().await.expect("the catalog is read");
}

/// A player's claims: gamertag, title and a device of its own.
pub fn player(xuid: u64) -> User {
    User {
        xuid: Xuid(xuid),
        gamertag: Some(format!("Player{xuid}")),
        title_id: Some(TitleId(TITLE)),
        device_id: Some(format!("device-{xuid}")),
        device_type: None,
        multiplayer: true,
    }
}

pub async fn connect(database: &TestDatabase) -> Store {
    let options = StoreOptions {
        connect: database.url().parse().expect("the URL is well-formed"),
        pool_max: 8,
        statement_timeout: Duration::from_secs(20),
        acquire_timeout: Duration::from_secs(20),
    };
    Store::connect(options).await.expect("the database is there")
}

fn verifier(key: &SigningKey) -> Verifier {
    let rules = TokenRules { issuer: "openmpsd".into(), audience: "openmpsd".into(), leeway: TimeDelta::seconds(60) };
    Verifier::new(KeySet::generated(key), rules, 1 << 20)
}

/// Waits for something that comes about by itself and that nobody tells of.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

/// Somebody who sends requests.
#[derive(Clone)]
pub struct Actor {
    base: String,
    authorization: Option<String>,
    headers: Vec<(String, String)>,
    client: Client,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// A header's text, or nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("headers are ASCII"))
    }

    /// The tag, with its quotes.
    pub fn etag(&self) -> String {
        self.header("etag").unwrap_or_else(|| panic!("no ETag on {self:?}")).to_owned()
    }

    /// Insists on a status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// Reads a whole answer with a body of announced length, until the service closes the connection.
pub async fn answer_of(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A reset after the answer does not unsay it.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).expect("answers are UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("an answer starts with its status");
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").expect("headers are names and values");
        headers.append(HeaderName::try_from(name).expect("a header's name"), value.parse().expect("a header's value"));
    }
    Answer { status, headers, text: body.to_owned() }
}

/// The path of a session of the sample service config.
pub fn session(template: &str, name: &str) -> String {
    format!("/serviceconfigs/{SCID}/sessionTemplates/{template}/sessions/{name}")
}

/// A PUT that joins with this state flag: `active` or `ready`.
pub fn joining(flag: &str) -> Value {
    serde_json::json!({"members": {"me": {"properties": {"system": {flag: true, "connection": "3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01"}}}}})
}

impl Actor {
    /// The same with another `Authorization` header, or none.
    pub fn authorized(self, authorization: Option<&str>) -> Self {
        Self { authorization: authorization.map(str::to_owned), ..self }
    }

    /// The same with a header on every request beside those it has.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends a request head and body byte by byte as given, over a connection of its own: the method with the path, then whatever
    /// headers the test cares for. Credential and contract version are added.
    pub async fn raw(&self, request: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut stream = self.dial(request, headers).await;
        // A service that has said no already may have stopped listening.
        let _ = stream.write_all(body).await;
        answer_of(&mut stream).await
    }

    /// Opens a connection and sends a request head, and nothing else yet.
    pub async fn dial(&self, request: &str, headers: &[&str]) -> TcpStream {
        let address = self.base.trim_start_matches("http://");
        let host = format!("Host: {address}");
        let authorization = self.authorization.as_ref().map(|authorization| format!("Authorization: {authorization}"));
        let first = format!("{request} HTTP/1.1");
        let mut lines = vec![first.as_str(), "Connection: close", "X-Xbl-Contract-Version: 107"];
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            lines.push(&host);
        }
        lines.extend(authorization.as_deref());
        lines.extend(headers);
        lines.push("\r\n");
        let head = lines.join("\r\n");
        let mut stream = TcpStream::connect(address).await.expect("the service listens");
        stream.write_all(head.as_bytes()).await.expect("the service reads");
        stream
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, &[], Some(body.to_string())).await
    }

    pub async fn put_if(&self, path: &str, header: (&str, &str), body: &Value) -> Answer {
        self.send(Method::PUT, path, &[header], Some(body.to_string())).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[], Some(body.to_string())).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], None).await
    }

    /// Sends anything; contract version 107 and a JSON content type unless the headers say otherwise (an empty value leaves one out).
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Answer {
        let response = self.ask(method, path, headers, body).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.expect("the body is text") }
    }

    /// The same, with a body that may not have come yet.
    pub async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let named = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let has = |name: &str| named(name) || self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !has("x-xbl-contract-version") {
            request = request.header("x-xbl-contract-version", "107");
        }
        if body.is_some() && !named("content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in self.headers.iter().filter(|(name, _)| !named(name)) {
            request = request.header(name, value);
        }
        for (name, value) in headers.iter().filter(|(name, value)| !value.is_empty() || name.starts_with("If-")) {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        request.send().await.expect("the service answers")
    }
}
