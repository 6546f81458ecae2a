//! Whether values make sense, each alone and all together. The ranges stand in `config/default.toml` as well.

use std::fmt::Display;
use std::ops::RangeInclusive;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::{ServerSettings, Settings, SettingsError, SocialSource, TelemetrySettings, ThrottleSettings};

const MIB: usize = 1024 * 1024;

/// Collects everything that is wrong, so that an operator mends it in one go.
pub fn check(settings: &Settings) -> Result<(), SettingsError> {
    let mut problems = Problems(Vec::new());
    let Settings {
        server,
        database,
        embedded,
        auth,
        timers,
        social,
        handles,
        search,
        limits,
        throttle,
        queues,
        memory,
        feeds,
        log,
        sockets,
        telemetry,
        ..
    } = settings;

    check_server(&mut problems, server);
    problems.url("database.url", database.url.as_ref());
    problems.url("database.migrate_url", database.migrate_url.as_ref());
    if database.migrate_url.is_some() && database.url.is_none() {
        problems.add("database.migrate_url", "needs database.url beside it");
    }
    problems.range("database.pool_max", database.pool_max, 1..=1000);
    problems.range("database.statement_timeout_ms", database.statement_timeout_ms, 100..=600_000);
    problems.range("database.acquire_timeout_ms", database.acquire_timeout_ms, 10..=60_000);
    problems.range("embedded.shared_buffers_mb", embedded.shared_buffers_mb, 16..=65_536);
    problems.filled("services.directory", settings.services.directory.as_os_str().is_empty());
    problems.filled("auth.issuer", auth.issuer.is_empty());
    problems.filled("auth.audience", auth.audience.is_empty());
    problems.range("auth.leeway_s", auth.leeway_s, 0..=600);
    problems.range("auth.cache_bytes", auth.cache_bytes, 0..=1024 * MIB);
    problems.range("timers.grace_ms", timers.grace_ms, 0..=86_400_000);
    problems.range("timers.sweep_interval_ms", timers.sweep_interval_ms, 10..=60_000);
    problems.endpoint("social.url", social.source, social.url.as_ref());
    if social.bearer.is_some() && social.source != SocialSource::Http {
        problems.add("social.bearer", "needs social.source = \"http\"");
    }
    problems.range("social.timeout_ms", social.timeout_ms, 10..=30_000);
    problems.range("social.cache_s", social.cache_s, 1..=86_400);
    problems.range("handles.unbound_activity_ttl_s", handles.unbound_activity_ttl_s, 1..=31_536_000);
    problems.range("search.rows_max", search.rows_max, 100..=10_000_000);
    problems.range("handles.invite_ttl_s", handles.invite_ttl_s, 1..=31_536_000);
    problems.range("limits.request_body_bytes", limits.request_body_bytes, 1024..=64 * MIB);
    problems.range("limits.import_bytes", limits.import_bytes, 1024..=1024 * MIB);
    problems.range("limits.session_bytes", limits.session_bytes, 4096..=64 * MIB);
    for (key, value) in
        [("limits.session_custom_bytes", limits.session_custom_bytes), ("limits.member_custom_bytes", limits.member_custom_bytes)]
    {
        problems.range(key, value, 256..=16 * MIB);
        if value > limits.session_bytes {
            problems.add(key, &format!("{value} is more than limits.session_bytes, {}", limits.session_bytes));
        }
    }
    problems.range("limits.header_bytes", limits.header_bytes, 1024..=128 * 1024);
    problems.range("limits.json_depth", limits.json_depth, 8..=128);
    problems.range("limits.system_array_entries", limits.system_array_entries, 8..=10_000);
    problems.range("limits.change_types", limits.change_types, 8..=1000);
    problems.range("limits.keywords", limits.keywords, 1..=1000);
    problems.throttle(throttle);
    problems.range("queues.per_session", queues.per_session, 1..=65_536);
    problems.range("queues.total", queues.total, 1..=1_048_576);
    if queues.per_session > queues.total {
        problems.add("queues.per_session", &format!("{} is more than queues.total, {}", queues.per_session, queues.total));
    }
    problems.range("memory.sessions_mb", memory.sessions_mb, 0..=65_536);
    problems.range("feeds.open_max", feeds.open_max, 0..=100_000);
    problems.range("feeds.per_caller_max", feeds.per_caller_max, 0..=100_000);
    problems.range("feeds.poll_ms", feeds.poll_ms, 10..=60_000);
    problems.range("feeds.heartbeat_ms", feeds.heartbeat_ms, 100..=600_000);
    problems.range("feeds.lifetime_s", feeds.lifetime_s, 1..=31_536_000);
    problems.range("log.keep_days", log.keep_days, 1..=3650);
    problems.range("sockets.ping_interval_ms", sockets.ping_interval_ms, 100..=3_600_000);
    problems.range("sockets.idle_ms", sockets.idle_ms, 200..=7_200_000);
    // An answer to a ping must have half an interval to arrive.
    let least = sockets.ping_interval_ms.saturating_mul(3).div_ceil(2);
    if sockets.idle_ms < least {
        let text = format!("{} is less than {least}, one and a half times sockets.ping_interval_ms", sockets.idle_ms);
        problems.add("sockets.idle_ms", &text);
    }
    problems.range("sockets.lifetime_s", sockets.lifetime_s, 1..=31_536_000);
    problems.range("sockets.subscriptions_max", sockets.subscriptions_max, 1..=10_000);
    problems.range("sockets.frame_bytes", sockets.frame_bytes, 1024..=MIB);
    problems.range("sockets.send_timeout_ms", sockets.send_timeout_ms, 10..=600_000);
    check_telemetry(&mut problems, telemetry);

    if problems.0.is_empty() { Ok(()) } else { Err(SettingsError::Invalid(problems.0)) }
}

fn check_server(problems: &mut Problems, server: &ServerSettings) {
    problems.range("server.workers", server.workers, 0..=1024);
    problems.range("server.drain_ms", server.drain_ms, 0..=600_000);
    problems.range("server.shutdown_ms", server.shutdown_ms, 0..=600_000);
    problems.range("server.head_timeout_ms", server.head_timeout_ms, 100..=600_000);
    problems.range("server.body_timeout_ms", server.body_timeout_ms, 100..=600_000);
    problems.range("server.request_timeout_ms", server.request_timeout_ms, 100..=600_000);
    problems.range("server.keep_alive_ms", server.keep_alive_ms, 1000..=3_600_000);
    match (&server.tls_cert, &server.tls_key) {
        (Some(_), None) => problems.add("server.tls_cert", "needs server.tls_key beside it"),
        (None, Some(_)) => problems.add("server.tls_key", "needs server.tls_cert beside it"),
        _ => {}
    }
}

fn check_telemetry(problems: &mut Problems, telemetry: &TelemetrySettings) {
    problems.range("telemetry.slow_request_ms", telemetry.slow_request_ms, 0..=600_000);
    problems.range("telemetry.statistics_interval_ms", telemetry.statistics_interval_ms, 1000..=3_600_000);
    problems.range("telemetry.otlp_sample_ratio", telemetry.otlp_sample_ratio, 0.0..=1.0);
    let collector = telemetry.otlp_endpoint.as_ref().map_or("http://", |url| url.expose_secret());
    if !collector.starts_with("http://") && !collector.starts_with("https://") {
        problems.add("telemetry.otlp_endpoint", "must begin with http:// or https://");
    } else if telemetry.otlp_endpoint.is_some()
        && let Err(error) = Url::parse(collector)
    {
        problems.add("telemetry.otlp_endpoint", &format!("is no URL: {error}"));
    }
}

/// What may stand behind the `?` of a PostgreSQL URL. The drivers print what they do not know, with its value.
const PARAMETERS: [&str; 20] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslmode",
    "ssl-mode",
    "statement-cache-capacity",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Whether a parameter wants TLS, in vain.
fn is_tls(name: &str, value: &str) -> bool {
    match name {
        "sslmode" | "ssl-mode" => !matches!(value, "disable" | "allow" | "prefer"),
        _ => name.starts_with("ssl"),
    }
}

/// The name of a parameter, unless it may be a part of a password that was not escaped.
fn shown(name: &str) -> &str {
    if name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'-') {
        name
    } else {
        "…"
    }
}

struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, key: &str, why: &str) {
        self.0.push(format!("{key}: {why}"));
    }

    fn range<N: PartialOrd + Display + Copy>(&mut self, key: &str, value: N, range: RangeInclusive<N>) {
        if !range.contains(&value) {
            self.add(key, &format!("must be {} to {}, not {value}", range.start(), range.end()));
        }
    }

    fn throttle(&mut self, throttle: &ThrottleSettings) {
        self.range("throttle.entries_max", throttle.entries_max, 1000..=100_000_000);
        for (window, max, period_s) in [
            ("throttle.requests_burst", throttle.requests_burst_max, throttle.requests_burst_period_s),
            ("throttle.requests_sustained", throttle.requests_sustained_max, throttle.requests_sustained_period_s),
            ("throttle.search_reads_burst", throttle.search_reads_burst_max, throttle.search_reads_burst_period_s),
            ("throttle.search_reads_sustained", throttle.search_reads_sustained_max, throttle.search_reads_sustained_period_s),
            ("throttle.search_writes_burst", throttle.search_writes_burst_max, throttle.search_writes_burst_period_s),
            ("throttle.search_writes_sustained", throttle.search_writes_sustained_max, throttle.search_writes_sustained_period_s),
        ] {
            self.range(&format!("{window}_max"), max, 0..=1_000_000);
            self.range(&format!("{window}_period_s"), period_s, 1..=86_400);
        }
    }

    fn filled(&mut self, key: &str, is_empty: bool) {
        if is_empty {
            self.add(key, "must not be empty");
        }
    }

    /// A URL that something is appended to; it may hold a password and is not shown.
    fn endpoint(&mut self, key: &str, source: SocialSource, url: Option<&SecretString>) {
        let url = url.map_or("", SecretString::expose_secret);
        let is_http = url.starts_with("http://") || url.starts_with("https://");
        match source {
            SocialSource::Table if !url.is_empty() => self.add(key, "needs social.source = \"http\""),
            SocialSource::Http if !is_http => self.add(key, "must begin with http:// or https://"),
            SocialSource::Http if url.contains(['?', '#']) => self.add(key, "must not hold ? or #: the xuid is appended to it"),
            _ => {}
        }
    }

    /// Never shows the URL: it holds a password.
    fn url(&mut self, key: &str, url: Option<&SecretString>) {
        let is_postgres = |url: &str| url.starts_with("postgres://") || url.starts_with("postgresql://");
        let Some(url) = url.map(SecretString::expose_secret) else { return };
        if !is_postgres(url) {
            return self.add(key, "must begin with postgres:// or postgresql://");
        }
        let parsed = match Url::parse(url) {
            Ok(parsed) => parsed,
            Err(error) => {
                return self.add(key, &format!("cannot be read: {error} (escape special characters of a password, %2F for /)"));
            }
        };
        for (name, value) in parsed.query_pairs() {
            if is_tls(&name, &value) {
                let why = "asks for TLS, which connections to the database cannot speak: let only a private network or a tunnel lie between";
                self.add(key, &format!("{} {why}", shown(&name)));
            } else if !PARAMETERS.contains(&&*name) && !name.starts_with("options[") {
                self.add(key, &format!("has a parameter {:?} that no driver knows: leave it out", shown(&name)));
            }
        }
    }
}
