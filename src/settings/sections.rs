//! The sections of the settings, key by key as in `config/default.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{parse, show};

/// Everything an operator may set.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `[server]`: where requests come in.
    pub server: ServerSettings,
    /// `[database]`: a PostgreSQL of the operator's own.
    pub database: DatabaseSettings,
    /// `[embedded]`: the PostgreSQL the service runs by itself.
    pub embedded: EmbeddedSettings,
    /// `[services]`: where service configs are imported from.
    pub services: ServiceSettings,
    /// `[auth]`: whose tokens are believed.
    pub auth: AuthSettings,
    /// `[sessions]`: how session documents are read.
    pub sessions: SessionSettings,
    /// `[timers]`: the sweeper.
    pub timers: TimerSettings,
    /// `[social]`: who follows whom.
    pub social: SocialSettings,
    /// `[handles]`: lifetimes of handles.
    pub handles: HandleSettings,
    /// `[search]`: what searches may cost.
    pub search: SearchSettings,
    /// `[access]`: who is refused.
    pub access: AccessSettings,
    /// `[limits]`: sizes of requests and documents (S-95).
    pub limits: LimitSettings,
    /// `[throttle]`: how often users may call (W-80).
    pub throttle: ThrottleSettings,
    /// `[queues]`: how many writes may wait.
    pub queues: QueueSettings,
    /// `[memory]`: what is kept of sessions that were just written.
    pub memory: MemorySettings,
    /// `[feeds]`: change feeds.
    pub feeds: FeedSettings,
    /// `[log]`: the change log.
    pub log: LogSettings,
    /// `[sockets]`: how long sockets live and how much they may.
    pub sockets: SocketSettings,
    /// `[telemetry]`: the log, the metrics and the traces.
    pub telemetry: TelemetrySettings,
}

/// `[server]`: where requests come in.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// Address and port; port 0 takes a free one.
    #[serde(deserialize_with = "parse::address")]
    pub listen: SocketAddr,
    /// Worker threads; 0 means one per core.
    pub workers: usize,
    /// How long the service answers on at shutdown, not ready any more, before it stops listening, in milliseconds.
    pub drain_ms: u64,
    /// How long running requests may take to finish after that, in milliseconds.
    pub shutdown_ms: u64,
    /// How long the head of a request may take to come, in milliseconds.
    pub head_timeout_ms: u64,
    /// How long the next part of a body may be waited for, in milliseconds.
    pub body_timeout_ms: u64,
    /// How long a request may take until its answer begins, in milliseconds.
    pub request_timeout_ms: u64,
    /// How long an idle connection is kept, in milliseconds.
    pub keep_alive_ms: u64,
    /// The certificate chain, a PEM file; `None` means no TLS.
    #[serde(deserialize_with = "parse::path", serialize_with = "show::path")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key, a PEM file.
    #[serde(deserialize_with = "parse::path", serialize_with = "show::path")]
    pub tls_key: Option<PathBuf>,
}

/// `[database]`: a PostgreSQL of the operator's own.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Its URL; `None` means the embedded one.
    #[serde(deserialize_with = "parse::secret", serialize_with = "show::secret")]
    pub url: Option<SecretString>,
    /// The same database for migrations, past any transaction pooler; `None` means `url`.
    #[serde(deserialize_with = "parse::secret", serialize_with = "show::secret")]
    pub migrate_url: Option<SecretString>,
    /// Connections in the pool.
    pub pool_max: u32,
    /// When PostgreSQL gives up on a statement, in milliseconds.
    pub statement_timeout_ms: u64,
    /// How long a request waits for a free connection, in milliseconds.
    pub acquire_timeout_ms: u64,
}

/// `[embedded]`: the PostgreSQL the service runs by itself.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedSettings {
    /// Where its data, the generated signing key and the lock live; never empty once loaded.
    pub data_dir: PathBuf,
    /// Folder with the PostgreSQL programs; `None` means to look for one.
    #[serde(deserialize_with = "parse::path", serialize_with = "show::path")]
    pub binaries: Option<PathBuf>,
    /// PostgreSQL's `shared_buffers`, in mebibytes.
    pub shared_buffers_mb: u32,
}

/// `[services]`: where service configs are imported from.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSettings {
    /// The folder.
    pub directory: PathBuf,
}

/// `[auth]`: whose tokens are believed.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSettings {
    /// What `iss` must say.
    pub issuer: String,
    /// What `aud` must say or contain.
    pub audience: String,
    /// Files and folders with public keys; empty means the generated key.
    #[serde(deserialize_with = "parse::list")]
    pub keys: Vec<PathBuf>,
    /// How far token times may be off, in seconds.
    pub leeway_s: u32,
    /// Room for verified tokens, in bytes; 0 means none.
    pub cache_bytes: usize,
}

/// `[sessions]`: how session documents are read.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSettings {
    /// What becomes of unknown system fields (S-09).
    #[serde(deserialize_with = "parse::word", serialize_with = "show::word")]
    pub unknown_system_fields: UnknownFields,
}

/// What becomes of unknown fields in system objects (S-09).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownFields {
    /// The request is refused with 400.
    Reject,
    /// They are dropped.
    Ignore,
}

/// `[timers]`: the sweeper.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TimerSettings {
    /// Pause between two sweeps (M-27), in milliseconds.
    pub sweep_interval_ms: u64,
    /// How long a member stays active whose connection is lost (N-40), in milliseconds.
    pub grace_ms: u32,
}

/// `[social]`: who follows whom.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SocialSettings {
    /// Whether every user counts as following every other.
    pub everybody_follows_everybody: bool,
    /// Where it is known who follows and blocks whom.
    #[serde(deserialize_with = "parse::word", serialize_with = "show::word")]
    pub source: SocialSource,
    /// The endpoint of the source `http`; a user's xuid is appended behind a slash. It may hold a password.
    #[serde(deserialize_with = "parse::secret", serialize_with = "show::secret")]
    pub url: Option<SecretString>,
    /// A bearer token for it.
    #[serde(deserialize_with = "parse::secret", serialize_with = "show::secret")]
    pub bearer: Option<SecretString>,
    /// How long a call of it may take, in milliseconds.
    pub timeout_ms: u64,
    /// How long its answers are good, in seconds.
    pub cache_s: u32,
}

/// Where it is known who follows and blocks whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocialSource {
    /// In our tables, which administrators fill.
    Table,
    /// At an endpoint that is asked about each user.
    Http,
}

/// `[search]`: what searches may cost.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SearchSettings {
    /// How many sessions one search may look at.
    pub rows_max: u32,
}

/// `[handles]`: lifetimes of handles.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HandleSettings {
    /// How long an activity lives that no connection is bound to (H-21), in seconds.
    pub unbound_activity_ttl_s: u32,
    /// How long an invite lives (H-34), in seconds.
    pub invite_ttl_s: u32,
}

/// `[access]`: who is refused.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AccessSettings {
    /// Users who are refused everywhere, by xuid.
    #[serde(deserialize_with = "parse::list", serialize_with = "show::texts")]
    pub banned_xuids: Vec<u64>,
    /// Kinds of device that need `userAuthorizationStyle`, as tokens name them.
    #[serde(deserialize_with = "parse::list")]
    pub weak_device_types: Vec<String>,
}

/// `[limits]`: sizes of requests and documents (S-95).
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// A request's body, in bytes.
    pub request_body_bytes: usize,
    /// The body of an import of the social graph, in bytes.
    pub import_bytes: usize,
    /// The custom bag of a session, in bytes.
    pub session_custom_bytes: usize,
    /// The custom bag of a member, in bytes.
    pub member_custom_bytes: usize,
    /// A whole stored session that is not large, in bytes.
    pub session_bytes: usize,
    /// The headers of a request, names and values, in bytes.
    pub header_bytes: usize,
    /// How deep JSON may nest, in levels.
    pub json_depth: usize,
    /// Entries of an array in a system object.
    pub system_array_entries: usize,
    /// Entries of a member's `changeTypes`.
    pub change_types: usize,
    /// Keywords of a session (S-44).
    pub keywords: usize,
}

/// `[throttle]`: how often users may call (W-80).
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ThrottleSettings {
    /// Whether there are rate limits at all.
    pub enabled: bool,
    /// Whether a request of a server that acts for users counts for them.
    pub acting_users: bool,
    /// How many callers are remembered.
    pub entries_max: usize,
    /// The most requests in the short window; 0 means any number.
    pub requests_burst_max: u32,
    /// How long that window lasts, in seconds.
    pub requests_burst_period_s: u32,
    /// The most requests in the long window; 0 means any number.
    pub requests_sustained_max: u32,
    /// How long that window lasts, in seconds.
    pub requests_sustained_period_s: u32,
    /// The most searches in the short window; 0 means any number.
    pub search_reads_burst_max: u32,
    /// How long that window lasts, in seconds.
    pub search_reads_burst_period_s: u32,
    /// The most searches in the long window; 0 means any number.
    pub search_reads_sustained_max: u32,
    /// How long that window lasts, in seconds.
    pub search_reads_sustained_period_s: u32,
    /// The most search handles made in the short window; 0 means any number.
    pub search_writes_burst_max: u32,
    /// How long that window lasts, in seconds.
    pub search_writes_burst_period_s: u32,
    /// The most search handles made in the long window; 0 means any number.
    pub search_writes_sustained_max: u32,
    /// How long that window lasts, in seconds.
    pub search_writes_sustained_period_s: u32,
}

/// `[queues]`: how many writes may wait to be gathered into a commit.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// For one session.
    pub per_session: usize,
    /// In all.
    pub total: usize,
}

/// `[memory]`: what is kept of sessions that were just written.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MemorySettings {
    /// Room for it, in mebibytes.
    pub sessions_mb: usize,
}

/// `[feeds]`: how sessions are followed.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FeedSettings {
    /// How many feeds may be open.
    pub open_max: usize,
    /// How many of them one user, or one server, may have.
    pub per_caller_max: usize,
    /// How often a feed looks by itself whether its session has changed, in milliseconds.
    pub poll_ms: u64,
    /// How often a silent feed says that it lives, in milliseconds.
    pub heartbeat_ms: u64,
    /// After how long a feed ends, for its reader to come back, in seconds.
    pub lifetime_s: u64,
}

/// `[log]`: the history of sessions.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// How many whole days of it are kept.
    pub keep_days: u32,
}

/// `[sockets]`: how long sockets live and how much they may.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SocketSettings {
    /// How often clients are pinged (N-19), in milliseconds.
    pub ping_interval_ms: u64,
    /// After how long without any frame a client is given up (N-19), in milliseconds; also the TCP user timeout of all connections.
    pub idle_ms: u64,
    /// After how long a socket is closed (N-18), in seconds.
    pub lifetime_s: u64,
    /// Subscriptions of a socket (N-17).
    pub subscriptions_max: usize,
    /// A frame of a client (N-04), in bytes.
    pub frame_bytes: usize,
    /// How long sending may wait for a client that does not read, in milliseconds.
    pub send_timeout_ms: u64,
}

/// `[telemetry]`: the log.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Its form.
    #[serde(deserialize_with = "parse::word", serialize_with = "show::word")]
    pub format: LogFormat,
    /// What is logged, as in `info,openmpsd=debug`.
    pub filter: String,
    /// After which an answered request is logged as slow, in milliseconds; 0 means never.
    pub slow_request_ms: u64,
    /// What whoever reads `/metrics` has to bring as a bearer token; `None` means nothing.
    #[serde(deserialize_with = "parse::secret", serialize_with = "show::secret")]
    pub metrics_bearer: Option<SecretString>,
    /// How often sizes of tables and the like are asked of the database for the metrics, in milliseconds.
    pub statistics_interval_ms: u64,
    /// Where spans are sent by OTLP over HTTP; `None` means nowhere.
    #[serde(deserialize_with = "parse::secret", serialize_with = "show::secret")]
    pub otlp_endpoint: Option<SecretString>,
    /// Whether traces are continued that callers began.
    pub otlp_join_callers: bool,
    /// Which part of the traces that begin here is sent, 0 to 1.
    pub otlp_sample_ratio: f64,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl parse::Word for UnknownFields {
    const WORDS: &'static [(&'static str, Self)] = &[("reject", Self::Reject), ("ignore", Self::Ignore)];
}

impl parse::Word for SocialSource {
    const WORDS: &'static [(&'static str, Self)] = &[("table", Self::Table), ("http", Self::Http)];
}

impl parse::Word for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("pretty", Self::Pretty), ("json", Self::Json)];
}
