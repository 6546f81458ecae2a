//! What the service counts and measures, for `GET /metrics`.
//!
//! One value per service, handed to the rooms that have something to count: nothing global, so that two services in one process do not
//! mix. Counting costs an atomic or a short lock and never waits. Every name stands here once; docs/metrics.md says what each is for.
//! What is *not* here: who reads it (`http`), and numbers that others keep anyway (the pool, the hub), which are asked for when
//! somebody reads.

mod process;

use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use process::Process;

/// From half a millisecond to ten seconds.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How late a timer may be: the sweeper comes by every second.
const LATE_SECONDS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];
/// How many share something.
const SIZES: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    process: Process,
    /// Requests that were answered.
    pub requests: Family<Request, Counter>,
    /// From the head of a request to the head of its answer.
    pub request_seconds: Family<Operation, Histogram, fn() -> Histogram>,
    /// Requests that are being answered.
    pub in_flight: Gauge,
    /// Connections to the database, by whether somebody uses them.
    pub pool: Family<PoolState, Gauge>,
    /// How many there may be.
    pub pool_max: Gauge,
    /// How long a commit of gathered writes takes.
    pub commit_seconds: Histogram,
    /// How many sessions share a commit.
    pub commit_sessions: Histogram,
    /// How many commands are decided in one round.
    pub round_commands: Histogram,
    /// Saves that another process was ahead of.
    pub races_lost: Counter,
    /// Sessions that were decided on as they had been saved last, and not loaded.
    pub sessions_remembered: Counter,
    /// Sessions that were loaded to be decided on.
    pub sessions_loaded: Counter,
    /// Writes that wait, or are under way.
    pub write_queue: Gauge,
    /// How many requests share one statement that reads.
    pub read_batch: Histogram,
    /// Sweeps for due timers, and how long each takes.
    pub sweep_seconds: Histogram,
    /// Sessions that a sweep has settled.
    pub swept_sessions: Counter,
    /// How late a due timer was noticed by the sweeper.
    pub lateness_seconds: Histogram,
    /// Sockets that are open.
    pub sockets: Gauge,
    /// Sockets that were opened.
    pub sockets_opened: Counter,
    /// Sockets that ended, by why.
    pub sockets_closed: Family<Cause, Counter>,
    /// Subscriptions of the sockets, of all resources.
    pub subscriptions: Gauge,
    /// Taps that were sent.
    pub taps: Counter,
    /// From the decision on a change, on whichever instance, to the tap on the socket.
    pub tap_lag_seconds: Histogram,
    /// Change feeds that are open.
    pub feeds: Gauge,
    /// Connections of this instance that were lost.
    pub connections_lost: Counter,
    /// Lost connections, of any instance, whose members have not all been dealt with.
    pub ghosts: Gauge,
    /// Hints that were sent to other instances, and that came from them.
    pub hints_sent: Counter,
    /// The other direction.
    pub hints_received: Counter,
    /// Requests refused by a rate limit, by which.
    pub throttled: Family<Limit, Counter>,
    /// Instances on the database, this one included.
    pub instances: Gauge,
    /// How many rows a table has, roughly.
    pub table_rows: Family<Table, Gauge>,
    /// How much room a table takes, with its indexes.
    pub table_bytes: Family<Table, Gauge>,
    /// Whether the database answered when it was last asked.
    pub database_up: Gauge,
    /// Whether the service takes requests: 0 while it drains.
    pub ready: Gauge,
}

/// What is told apart of requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Request {
    /// The route with the names of its variable parts; `none` for unknown paths.
    pub route: &'static str,
    /// The verb; `other` for those that no route has.
    pub method: &'static str,
    /// The status.
    pub status: u16,
}

/// What is told apart of how long requests take.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Operation {
    /// As in [`Request`].
    pub route: &'static str,
    /// As in [`Request`].
    pub method: &'static str,
}

/// Whether a connection to the database is in use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PoolState {
    /// `used` or `idle`.
    pub state: InUse,
}

/// Whether something is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the labels")]
pub enum InUse {
    /// Somebody has it.
    used,
    /// Nobody has it.
    idle,
}

/// Why a socket ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Cause {
    /// In a word.
    pub cause: &'static str,
}

/// Which limit refused a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Limit {
    /// Its name.
    pub limit: &'static str,
}

/// Which table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Table {
    /// Its name.
    pub table: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let process = Process::register(&mut registry);
        let ours = registry.sub_registry_with_prefix("openmpsd");
        // Who serves has been answered by the database, when it looked at the schema.
        let answered = Gauge::default();
        answered.set(1);
        let metrics = Self {
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            in_flight: Gauge::default(),
            pool: Family::default(),
            pool_max: Gauge::default(),
            commit_seconds: seconds(),
            commit_sessions: Histogram::new(SIZES),
            round_commands: Histogram::new(SIZES),
            races_lost: Counter::default(),
            sessions_remembered: Counter::default(),
            sessions_loaded: Counter::default(),
            write_queue: Gauge::default(),
            read_batch: Histogram::new(SIZES),
            sweep_seconds: seconds(),
            swept_sessions: Counter::default(),
            lateness_seconds: Histogram::new(LATE_SECONDS),
            sockets: Gauge::default(),
            sockets_opened: Counter::default(),
            sockets_closed: Family::default(),
            subscriptions: Gauge::default(),
            taps: Counter::default(),
            tap_lag_seconds: seconds(),
            feeds: Gauge::default(),
            connections_lost: Counter::default(),
            ghosts: Gauge::default(),
            hints_sent: Counter::default(),
            hints_received: Counter::default(),
            throttled: Family::default(),
            instances: Gauge::default(),
            table_rows: Family::default(),
            table_bytes: Family::default(),
            database_up: answered,
            ready: Gauge::default(),
            registry: Registry::default(),
            process,
        };
        metrics.register(ours);
        Self { registry, ..metrics }
    }

    /// Names them all. The library adds `_total` to counters, and `_info` to facts.
    fn register(&self, ours: &mut Registry) {
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        ours.register("build", "The version of the service", version);
        ours.register("http_requests", "Requests that were answered", self.requests.clone());
        let spent = "From the head of a request to the head of its answer";
        ours.register("http_request_duration_seconds", spent, self.request_seconds.clone());
        ours.register("http_requests_in_flight", "Requests that are being answered", self.in_flight.clone());
        ours.register("pool_connections", "Connections to the database", self.pool.clone());
        ours.register("pool_connections_max", "How many connections to the database there may be", self.pool_max.clone());
        ours.register("commit_seconds", "How long a commit of gathered writes takes", self.commit_seconds.clone());
        ours.register("commit_sessions", "How many sessions share a commit", self.commit_sessions.clone());
        ours.register("commit_commands", "How many commands are decided in one round", self.round_commands.clone());
        ours.register("races_lost", "Saves that another process was ahead of, decided again", self.races_lost.clone());
        let remembered = "Sessions that were decided on as they had been saved last, without loading them";
        ours.register("sessions_remembered", remembered, self.sessions_remembered.clone());
        ours.register("sessions_loaded", "Sessions that were loaded to be decided on", self.sessions_loaded.clone());
        ours.register("write_queue_length", "Writes that wait or are under way", self.write_queue.clone());
        ours.register("read_batch_requests", "How many requests share one statement that reads", self.read_batch.clone());
        ours.register("sweep_seconds", "How long a sweep for due timers takes", self.sweep_seconds.clone());
        ours.register("sweep_sessions", "Sessions that sweeps have settled", self.swept_sessions.clone());
        ours.register("timer_lateness_seconds", "How late the sweeper came to a due timer", self.lateness_seconds.clone());
        ours.register("sockets_open", "Sockets that are open", self.sockets.clone());
        ours.register("sockets_opened", "Sockets that were opened", self.sockets_opened.clone());
        ours.register("sockets_closed", "Sockets that ended", self.sockets_closed.clone());
        ours.register("subscriptions", "Subscriptions of the open sockets", self.subscriptions.clone());
        ours.register("taps", "Taps that were sent", self.taps.clone());
        let lag = "From the decision on a change, on any instance, to the tap on the socket";
        ours.register("tap_lag_seconds", lag, self.tap_lag_seconds.clone());
        ours.register("feeds_open", "Change feeds that are open", self.feeds.clone());
        ours.register("connections_lost", "Connections of this instance that were lost", self.connections_lost.clone());
        let ghosts = "Lost connections, of any instance, whose members have not all been dealt with";
        ours.register("ghosts", ghosts, self.ghosts.clone());
        ours.register("hints_sent", "Hints of changes that were sent to other instances", self.hints_sent.clone());
        ours.register("hints_received", "Hints of changes that came from other instances", self.hints_received.clone());
        ours.register("throttled", "Requests that a rate limit refused", self.throttled.clone());
        ours.register("instances", "Instances on the database, this one included", self.instances.clone());
        ours.register("table_rows", "Rows of a table, estimated", self.table_rows.clone());
        ours.register("table_bytes", "Room that a table takes with its indexes", self.table_bytes.clone());
        ours.register("database_up", "Whether the database answered when it was last asked", self.database_up.clone());
        ours.register("ready", "Whether the service takes requests and can answer them", self.ready.clone());
    }

    /// All of it as text, in the `OpenMetrics` format.
    ///
    /// # Panics
    /// Never: writing into a string does not fail.
    #[must_use]
    pub fn render(&self) -> String {
        self.process.look();
        let mut text = String::with_capacity(16 << 10);
        encode(&mut text, &self.registry).expect("a string takes everything");
        text
    }

    /// Notes how far a tap was behind its change.
    pub fn tapped(&self, behind: TimeDelta) {
        self.taps.inc();
        self.tap_lag_seconds.observe(span(behind));
    }

    /// Notes how late a due timer was come to.
    pub fn late(&self, by: TimeDelta) {
        self.lateness_seconds.observe(span(by));
    }

    /// Notes of how many sessions it was remembered how they are, and how many were loaded.
    pub fn decided(&self, remembered: usize, loaded: usize) {
        self.sessions_remembered.inc_by(u64::try_from(remembered).unwrap_or(u64::MAX));
        self.sessions_loaded.inc_by(u64::try_from(loaded).unwrap_or(u64::MAX));
    }

    /// Notes a commit of so many sessions.
    pub fn committed(&self, sessions: usize, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
        self.commit_sessions.observe(size(sessions));
    }
}

/// A number of things as histograms take it.
#[must_use]
pub fn size(number: usize) -> f64 {
    u32::try_from(number).unwrap_or(u32::MAX).into()
}

/// A number of things as gauges take it.
#[must_use]
pub fn level(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn span(time: TimeDelta) -> f64 {
    time.to_std().map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered_under_its_name() {
        let metrics = Metrics::new();
        metrics.requests.get_or_create(&Request { route: "/handles", method: "POST", status: 201 }).inc();
        metrics.request_seconds.get_or_create(&Operation { route: "/handles", method: "POST" }).observe(0.003);
        metrics.pool.get_or_create(&PoolState { state: InUse::idle }).set(3);
        metrics.tapped(TimeDelta::milliseconds(-4));
        metrics.committed(3, Duration::from_millis(7));
        let text = metrics.render();
        for line in [
            r#"openmpsd_http_requests_total{route="/handles",method="POST",status="201"} 1"#,
            r#"openmpsd_http_request_duration_seconds_bucket{le="0.005",route="/handles",method="POST"} 1"#,
            r#"openmpsd_pool_connections{state="idle"} 3"#,
            "openmpsd_taps_total 1",
            r#"openmpsd_tap_lag_seconds_bucket{le="0.0005"} 1"#,
            r#"openmpsd_commit_sessions_bucket{le="4.0"} 1"#,
            "openmpsd_races_lost_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_process_tells_of_itself() {
        let text = Metrics::new().render();
        let value = |name: &str| -> f64 {
            let line =
                text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{name} in\n{text}"));
            line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a value is a number")
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_cpu_seconds_total") > 0.0);
        assert!(value("process_start_time_seconds") > 1.7e9);
    }
}
