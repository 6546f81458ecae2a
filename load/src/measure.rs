//! What is measured: every request by its name, second by second, and the lag of taps.
//!
//! Latencies are kept in histograms of microseconds with three digits, errors included: a request that timed out was slow. Only the
//! caller knows when a request began; with a schedule that is when it was due, not when there was room to send it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest time that is told from longer ones.
const LONGEST_US: u64 = 600_000_000;
/// How many different kinds of error, and examples of what was lost, are kept.
const KINDS_MAX: usize = 64;

/// One kind of request, as reports name it.
#[derive(Debug)]
pub struct Op {
    pub name: &'static str,
    /// The method; empty for a span of time that is no request.
    pub method: &'static str,
    pub route: &'static str,
}

impl Op {
    pub const fn new(name: &'static str, method: &'static str, route: &'static str) -> Self {
        Self { name, method, route }
    }

    fn is_request(&self) -> bool {
        !self.method.is_empty()
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Answered as the scenario wants it.
    Fine,
    /// Answered with a no that the contract gives for what others did in between: a full session, a handle that is gone.
    Refused,
    /// Answered with 429 or 503.
    Throttled(u16),
    /// Answered with anything else, or not at all: the kind of failure, and what the service said.
    Failed { kind: String, said: String },
}

impl Outcome {
    /// A failure about which the service has said nothing.
    pub fn failed(kind: impl Into<String>) -> Self {
        Self::Failed { kind: kind.into(), said: String::new() }
    }
}

/// A histogram of durations.
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are sound"))
    }
}

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST_US).clamp(1, LONGEST_US));
    }

    /// The duration that `percent` of all are not longer than, in milliseconds; `None` when there is none.
    #[expect(clippy::cast_precision_loss, reason = "microseconds of minutes fit")]
    pub fn percentile_ms(&self, percent: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(percent / 100.0) as f64 / 1000.0)
    }

    pub fn percentiles(&self) -> Percentiles {
        let at = |percent| self.percentile_ms(percent);
        Percentiles { p50_ms: at(50.0), p90_ms: at(90.0), p99_ms: at(99.0), p99_9_ms: at(99.9), max_ms: at(100.0) }
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.reset();
    }
}

/// Percentiles in milliseconds; `None` when nothing was measured.
#[expect(clippy::struct_field_names, reason = "the report carries the unit in its names")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    pub p50_ms: Option<f64>,
    pub p90_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub p99_9_ms: Option<f64>,
    pub max_ms: Option<f64>,
}

/// One second of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Second {
    /// Seconds since the beginning.
    pub at: u64,
    pub requests: u64,
    pub refused: u64,
    pub throttled: u64,
    pub errors: u64,
    pub p50_ms: Option<f64>,
    pub p90_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub max_ms: Option<f64>,
    pub taps: u64,
    pub taps_p99_ms: Option<f64>,
}

/// What is known of one kind of request.
pub struct Tally {
    pub method: &'static str,
    pub route: &'static str,
    pub times: Times,
    pub refused: u64,
    /// By status: 429, 503.
    pub throttled: BTreeMap<u16, u64>,
    pub errors: BTreeMap<String, u64>,
    /// What the service said the first time, by kind.
    pub said: BTreeMap<String, String>,
}

impl Tally {
    pub fn is_request(&self) -> bool {
        !self.method.is_empty()
    }

    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    pub fn throttled_count(&self) -> u64 {
        self.throttled.values().sum()
    }
}

/// Everything measured, at the end.
pub struct Measured {
    pub tallies: BTreeMap<&'static str, Tally>,
    /// All requests together.
    pub all: Times,
    pub seconds: Vec<Second>,
    /// From the answer of what caused a tap to the tap.
    pub lags: Times,
    pub missed: u64,
    pub kept: Kept,
}

/// Whether what was acknowledged was found again.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Kept {
    /// Acknowledged states that were compared with what is there.
    pub checked: u64,
    pub lost: u64,
    /// What could not be read back at the end.
    pub unread: u64,
    pub examples: Vec<String>,
}

/// A few seconds of the run, for the line of progress.
#[derive(Default)]
pub struct Glance {
    pub requests: u64,
    pub errors: u64,
    pub throttled: u64,
    pub taps: u64,
    pub times: Times,
    pub elapsed: Duration,
}

/// Takes what users measure. One lock is enough: it is held for a microsecond.
pub struct Recorder {
    begun: Instant,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    tallies: BTreeMap<&'static str, Tally>,
    all: Times,
    seconds: Vec<Second>,
    second: Second,
    second_times: Times,
    second_lags: Times,
    glance: Glance,
    lags: Times,
    missed: u64,
    kept: Kept,
}

impl Recorder {
    pub fn new(begun: Instant) -> Self {
        Self { begun, inner: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().expect("nobody panics while recording");
        inner.turn(self.begun.elapsed().as_secs());
        inner
    }

    /// Takes a request that took `time`.
    pub fn request(&self, op: &Op, time: Duration, outcome: &Outcome) {
        self.lock().request(op, time, outcome);
    }

    /// Takes what was wrong with a request that has been taken already, or that nobody made.
    pub fn error(&self, op: &Op, kind: &str) {
        self.lock().error(op, kind, "");
    }

    /// Takes a tap that came so long after the answer of what caused it.
    pub fn tap(&self, lag: Duration) {
        let mut inner = self.lock();
        inner.lags.add(lag);
        inner.second_lags.add(lag);
        inner.second.taps += 1;
        inner.glance.taps += 1;
    }

    /// Takes taps that did not come.
    pub fn missed(&self, count: u64) {
        self.lock().missed += count;
    }

    /// Takes what a comparison with the service has shown: `Ok` as acknowledged, `Err` otherwise.
    pub fn compared(&self, outcome: Result<(), String>) {
        let mut inner = self.lock();
        inner.kept.checked += 1;
        if let Err(example) = outcome {
            inner.kept.lost += 1;
            if inner.kept.examples.len() < KINDS_MAX {
                inner.kept.examples.push(example);
            }
        }
    }

    /// Takes a state that could not be read back.
    pub fn unread(&self) {
        self.lock().kept.unread += 1;
    }

    /// What has happened since the last call.
    pub fn glance(&self) -> Glance {
        let mut inner = self.lock();
        Glance { elapsed: self.begun.elapsed(), ..std::mem::take(&mut inner.glance) }
    }

    /// Ends the recording.
    pub fn finish(&self) -> Measured {
        let mut inner = std::mem::take(&mut *self.lock());
        inner.close();
        let Inner { tallies, all, seconds, lags, missed, kept, .. } = inner;
        Measured { tallies, all, seconds, lags, missed, kept }
    }
}

impl Inner {
    /// Closes the seconds before `now`.
    fn turn(&mut self, now: u64) {
        while self.second.at < now {
            self.close();
        }
    }

    fn close(&mut self) {
        let next = self.second.at + 1;
        let mut second = std::mem::replace(&mut self.second, Second { at: next, ..Second::default() });
        if self.second_times.count() > 0 {
            let shown = self.second_times.percentiles();
            (second.p50_ms, second.p90_ms, second.p99_ms, second.max_ms) =
                (shown.p50_ms, shown.p90_ms, shown.p99_ms, shown.max_ms);
            self.second_times.clear();
        }
        if self.second_lags.count() > 0 {
            second.taps_p99_ms = self.second_lags.percentile_ms(99.0);
            self.second_lags.clear();
        }
        self.seconds.push(second);
    }

    fn tally(&mut self, op: &Op) -> &mut Tally {
        self.tallies.entry(op.name).or_insert_with(|| Tally {
            method: op.method,
            route: op.route,
            times: Times::default(),
            refused: 0,
            throttled: BTreeMap::new(),
            errors: BTreeMap::new(),
            said: BTreeMap::new(),
        })
    }

    fn error(&mut self, op: &Op, kind: &str, said: &str) {
        let tally = self.tally(op);
        let room = tally.errors.len() < KINDS_MAX;
        let kind = if room || tally.errors.contains_key(kind) { kind } else { "other" };
        *tally.errors.entry(kind.to_owned()).or_default() += 1;
        if !said.is_empty() {
            tally.said.entry(kind.to_owned()).or_insert_with(|| said.to_owned());
        }
        self.second.errors += 1;
        self.glance.errors += 1;
    }

    fn request(&mut self, op: &Op, time: Duration, outcome: &Outcome) {
        let tally = self.tally(op);
        tally.times.add(time);
        let failure = match outcome {
            Outcome::Fine => None,
            Outcome::Refused => {
                tally.refused += 1;
                self.second.refused += 1;
                None
            }
            Outcome::Throttled(status) => {
                *tally.throttled.entry(*status).or_default() += 1;
                self.second.throttled += 1;
                self.glance.throttled += 1;
                None
            }
            Outcome::Failed { kind, said } => Some((kind, said)),
        };
        if let Some((kind, said)) = failure {
            self.error(op, kind, said);
        }
        if op.is_request() {
            self.all.add(time);
            self.second_times.add(time);
            self.glance.times.add(time);
            self.second.requests += 1;
            self.glance.requests += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Op = Op::new("read", "GET", "/x");
    const BACK: Op = Op::new("back", "", "");

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn percentiles_are_those_of_what_was_measured() {
        let recorder = Recorder::new(Instant::now());
        for count in 1..=1000 {
            recorder.request(&READ, ms(count), &Outcome::Fine);
        }
        recorder.request(&BACK, ms(60_000), &Outcome::Fine);
        let measured = recorder.finish();
        let shown = measured.all.percentiles();
        for (value, expected) in [(shown.p50_ms, 500.0), (shown.p90_ms, 900.0), (shown.p99_ms, 990.0), (shown.max_ms, 1000.0)] {
            let off = (value.unwrap() - expected).abs() / expected;
            assert!(off < 0.002, "{value:?} is {expected}");
        }
        assert_eq!(measured.all.count(), 1000, "a span that is no request is none");
        assert!(Times::default().percentile_ms(50.0).is_none());
    }

    #[test]
    fn what_became_of_requests_is_counted_apart() {
        let recorder = Recorder::new(Instant::now());
        for outcome in [
            Outcome::Fine,
            Outcome::Refused,
            Outcome::Throttled(429),
            Outcome::failed("500"),
            Outcome::failed("500"),
            Outcome::failed("timeout"),
        ] {
            recorder.request(&READ, ms(1), &outcome);
        }
        recorder.tap(ms(2));
        recorder.missed(3);
        recorder.compared(Ok(()));
        recorder.compared(Err("gone".into()));
        let glance = recorder.glance();
        assert_eq!((glance.requests, glance.errors, glance.throttled, glance.taps), (6, 3, 1, 1));
        assert_eq!(recorder.glance().requests, 0, "a glance begins where the last ended");
        let measured = recorder.finish();
        let tally = &measured.tallies["read"];
        assert_eq!((tally.refused, tally.throttled_count(), tally.error_count()), (1, 1, 3));
        assert_eq!(tally.errors, BTreeMap::from([("500".to_owned(), 2), ("timeout".to_owned(), 1)]));
        let second: u64 = measured.seconds.iter().map(|second| second.errors).sum();
        assert_eq!((second, measured.missed, measured.lags.count()), (3, 3, 1));
        assert_eq!((measured.kept.checked, measured.kept.lost), (2, 1));
    }

    #[test]
    fn quiet_seconds_are_seconds_too() {
        let mut inner = Inner::default();
        inner.request(&READ, ms(1), &Outcome::Fine);
        inner.turn(3);
        inner.request(&READ, ms(4), &Outcome::Fine);
        inner.turn(4);
        let shown: Vec<(u64, u64, bool)> = inner.seconds.iter().map(|one| (one.at, one.requests, one.p50_ms.is_some())).collect();
        assert_eq!(shown, [(0, 1, true), (1, 0, false), (2, 0, false), (3, 1, true)]);
    }

    #[test]
    fn what_is_longer_than_the_longest_counts_as_that() {
        let mut times = Times::default();
        times.add(Duration::from_hours(5));
        assert!((600_000.0..601_000.0).contains(&times.percentile_ms(100.0).unwrap()));
    }
}
