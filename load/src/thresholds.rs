//! What must hold at the end of a run: `p99[join]<50ms`, `errors<0.1%`, `rate>500`.
//!
//! A threshold on something that was never measured does not hold: a run that did nothing has shown nothing.

use std::fmt;

use serde::Serialize;

use crate::cli::span;
use crate::measure::{Measured, Tally};

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    metric: Metric,
    /// The kind of request it is about; `None` means all requests.
    request: Option<String>,
    below: bool,
    /// In milliseconds, percent, or plainly, as the metric has it.
    limit: f64,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Metric {
    Percentile(f64),
    TapsPercentile(f64),
    /// Percent of the requests.
    Errors,
    Throttled,
    Refused,
    /// Percent of the taps that were waited for.
    Missed,
    /// Requests per second.
    Rate,
    Count,
}

/// How a value of a metric is written.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Milliseconds,
    Percent,
    Plain,
}

/// A threshold and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    pub rule: String,
    /// What was measured, in words.
    pub found: String,
    pub holds: bool,
}

const PERCENTILES: [(&str, f64); 5] = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)];

impl Metric {
    fn parse(text: &str) -> Option<Self> {
        let percentile = |text| PERCENTILES.iter().find(|(name, _)| *name == text).map(|(_, percent)| *percent);
        match text {
            "errors" => Some(Self::Errors),
            "throttled" => Some(Self::Throttled),
            "refused" => Some(Self::Refused),
            "missed" => Some(Self::Missed),
            "rate" => Some(Self::Rate),
            "count" => Some(Self::Count),
            _ => match text.strip_prefix("taps.") {
                Some(rest) => percentile(rest).map(Self::TapsPercentile),
                None => percentile(text).map(Self::Percentile),
            },
        }
    }

    fn unit(self) -> Unit {
        match self {
            Self::Percentile(_) | Self::TapsPercentile(_) => Unit::Milliseconds,
            Self::Errors | Self::Throttled | Self::Refused | Self::Missed => Unit::Percent,
            Self::Rate | Self::Count => Unit::Plain,
        }
    }

    fn is_about_taps(self) -> bool {
        matches!(self, Self::TapsPercentile(_) | Self::Missed)
    }
}

impl Threshold {
    /// Reads a rule.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let at = text.find(['<', '>']).ok_or("a threshold has < or >, such as p99<50ms")?;
        let (subject, limit) = (text[..at].trim(), text[at + 1..].trim());
        let (metric, request) = match subject.split_once('[') {
            Some((metric, request)) => {
                let request = request.strip_suffix(']').filter(|name| !name.is_empty());
                (metric, Some(request.ok_or("a request is named like p99[join]<50ms")?.to_owned()))
            }
            None => (subject, None),
        };
        let known =
            "the metrics are p50 p90 p99 p99.9 max, the same with taps. before them, errors throttled refused missed rate count";
        let metric = Metric::parse(metric).ok_or_else(|| format!("{metric} is no metric: {known}"))?;
        if metric.is_about_taps() && request.is_some() {
            return Err("taps are not of one kind of request: leave the brackets out".to_owned());
        }
        let number = |text: &str| {
            let number: Option<f64> = text.parse().ok();
            number.filter(|number| number.is_finite() && *number >= 0.0)
        };
        let limit = match metric.unit() {
            Unit::Milliseconds => match limit.strip_suffix("ms").and_then(number) {
                Some(limit) => limit,
                None => span(limit)?.as_secs_f64() * 1000.0,
            },
            Unit::Percent => limit.strip_suffix('%').and_then(number).ok_or("its value is a percentage, such as 0.1%")?,
            Unit::Plain => number(limit).ok_or("its value is a number")?,
        };
        Ok(Self { metric, request, below: text.as_bytes()[at] == b'<', limit, text: text.to_owned() })
    }

    /// Whether it holds.
    pub fn judge(&self, measured: &Measured, seconds: f64) -> Verdict {
        let verdict = |found: String, holds| Verdict { rule: self.text.clone(), found, holds };
        match self.measure(measured, seconds) {
            Some(value) => {
                let holds = if self.below { value < self.limit } else { value > self.limit };
                verdict(Value(value, self.metric.unit()).to_string(), holds)
            }
            None => verdict("nothing was measured".to_owned(), false),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of requests fit")]
    fn measure(&self, measured: &Measured, seconds: f64) -> Option<f64> {
        let tallies: Vec<&Tally> = match &self.request {
            Some(name) => vec![measured.tallies.get(name.as_str())?],
            None => measured.tallies.values().filter(|tally| tally.is_request()).collect(),
        };
        let times = |percent| match &self.request {
            Some(_) => tallies[0].times.percentile_ms(percent),
            None => measured.all.percentile_ms(percent),
        };
        let count: u64 = tallies.iter().map(|tally| tally.times.count()).sum();
        let share = |part: u64| (count > 0).then(|| 100.0 * part as f64 / count as f64);
        match self.metric {
            Metric::Percentile(percent) => times(percent),
            Metric::TapsPercentile(percent) => measured.lags.percentile_ms(percent),
            Metric::Errors => share(tallies.iter().map(|tally| tally.error_count()).sum()),
            Metric::Throttled => share(tallies.iter().map(|tally| tally.throttled_count()).sum()),
            Metric::Refused => share(tallies.iter().map(|tally| tally.refused).sum()),
            Metric::Missed => {
                let all = measured.lags.count() + measured.missed;
                (all > 0).then(|| 100.0 * measured.missed as f64 / all as f64)
            }
            Metric::Rate => Some(count as f64 / seconds),
            Metric::Count => Some(count as f64),
        }
    }
}

/// The threshold that is always there: what was acknowledged is found again, all of it.
pub fn nothing_is_lost(measured: &Measured) -> Verdict {
    let kept = &measured.kept;
    let mut found = format!("{} of {} compared", kept.lost, kept.checked);
    if kept.unread > 0 {
        found = format!("{found}; {} could not be read back", kept.unread);
    }
    Verdict { rule: "lost=0".to_owned(), found, holds: kept.lost == 0 && kept.unread == 0 }
}

/// Every verdict, the one that is always there first.
pub fn judge(thresholds: &[Threshold], measured: &Measured, seconds: f64) -> Vec<Verdict> {
    let asked = thresholds.iter().map(|threshold| threshold.judge(measured, seconds));
    std::iter::once(nothing_is_lost(measured)).chain(asked).collect()
}

/// A value of a metric.
struct Value(f64, Unit);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Unit::Milliseconds => write!(f, "{:.2} ms", self.0),
            Unit::Percent => write!(f, "{:.3}%", self.0),
            Unit::Plain => write!(f, "{:.1}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use crate::measure::{Op, Outcome, Recorder};

    use super::*;

    const JOIN: Op = Op::new("join", "PUT", "/x");
    const READ: Op = Op::new("read", "GET", "/x");

    /// 100 reads of 1 to 100 ms, one of which failed, and 10 joins of 200 ms, one of which was throttled; 3 taps, one missing.
    fn measured() -> Measured {
        let recorder = Recorder::new(Instant::now());
        for count in 1..=100 {
            let outcome = if count == 7 { Outcome::failed("500") } else { Outcome::Fine };
            recorder.request(&READ, Duration::from_millis(count), &outcome);
        }
        for count in 0..10 {
            let outcome = if count == 3 { Outcome::Throttled(429) } else { Outcome::Fine };
            recorder.request(&JOIN, Duration::from_millis(200), &outcome);
        }
        for lag in [1, 2, 9] {
            recorder.tap(Duration::from_millis(lag));
        }
        recorder.missed(1);
        recorder.compared(Ok(()));
        recorder.finish()
    }

    fn holds(rule: &str) -> bool {
        Threshold::parse(rule).unwrap().judge(&measured(), 10.0).holds
    }

    #[test]
    fn rules_are_about_what_they_name() {
        for rule in [
            "p50<70ms",
            "p99[read]<100ms",
            "p99 < 1s",
            "max[join]>199.5ms",
            "errors<1%",
            "errors[read]>0.99%",
            "errors[join]<0.001%",
            "throttled[join]>9%",
            "throttled<1%",
            "refused<0.1%",
            "rate>10.9",
            "rate[join]<1.1",
            "count[read]>99",
            "taps.p50<3ms",
            "taps.max>8ms",
            "missed>24%",
        ] {
            assert!(holds(rule), "{rule}");
            let swapped: String = rule
                .chars()
                .map(|c| {
                    if c == '<' {
                        '>'
                    } else if c == '>' {
                        '<'
                    } else {
                        c
                    }
                })
                .collect();
            assert!(!holds(&swapped), "{swapped}");
        }
    }

    #[test]
    fn a_rule_on_nothing_does_not_hold() {
        for rule in ["p99[leave]<1h", "errors[leave]<100%", "count[leave]<5"] {
            let verdict = Threshold::parse(rule).unwrap().judge(&measured(), 10.0);
            assert!(!verdict.holds && verdict.found == "nothing was measured", "{rule}");
        }
        let nothing = Recorder::new(Instant::now()).finish();
        assert!(!Threshold::parse("taps.p99<1s").unwrap().judge(&nothing, 1.0).holds);
    }

    #[test]
    fn rules_that_say_nothing_are_refused() {
        for rule in [
            "p99",
            "p99=5ms",
            "p98<5ms",
            "p99<5",
            "p99<-5ms",
            "p99<5%",
            "errors<1",
            "errors<ms%",
            "rate>x",
            "p99[<5ms",
            "p99[]<5ms",
            "taps.p99[join]<5ms",
            "missed[join]<5%",
            "taps<5ms",
            "rate>inf",
            "<5ms",
            "p99<NaNms",
        ] {
            assert!(Threshold::parse(rule).is_err(), "{rule}");
        }
    }

    #[test]
    fn what_was_lost_or_not_read_back_fails_every_run() {
        let mut measured = measured();
        assert!(judge(&[], &measured, 1.0)[0].holds);
        measured.kept.unread = 1;
        assert!(!nothing_is_lost(&measured).holds);
        (measured.kept.unread, measured.kept.lost) = (0, 1);
        assert!(!judge(&[], &measured, 1.0)[0].holds);
    }
}
