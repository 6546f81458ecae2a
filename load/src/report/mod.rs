//! What a run found, as data: `report.json` is this, as it stands here, and the page and the table are drawn from it.

mod chart;
mod html;
pub mod text;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::cli::Cli;
use crate::measure::{Kept, Percentiles, Second};
use crate::runner::Run;
use crate::thresholds::{Verdict, judge};

/// The whole report.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of this shape.
    pub format: u32,
    pub version: &'static str,
    /// Whether every threshold holds.
    pub passed: bool,
    pub run: Settings,
    pub totals: Totals,
    pub thresholds: Vec<Verdict>,
    /// By name; first requests, then spans of time that are none.
    pub requests: Vec<Row>,
    pub taps: Taps,
    pub acknowledged: Kept,
    pub series: Vec<Second>,
}

/// What was asked for, and what became of it.
#[derive(Debug, Serialize)]
pub struct Settings {
    pub name: String,
    pub scenario: String,
    pub targets: Vec<String>,
    pub users: u32,
    pub duration_s: f64,
    pub ramp_up_s: f64,
    /// Requests per second of the schedule; missing when users asked again when answered.
    pub rate: Option<f64>,
    pub timeout_s: f64,
    pub seed: u64,
    pub scid: String,
    pub templates: BTreeMap<&'static str, String>,
    pub large: bool,
    pub started_at: String,
    pub lasted_s: f64,
    pub interrupted: bool,
}

/// All requests together.
#[derive(Debug, Serialize)]
pub struct Totals {
    pub count: u64,
    pub rate: f64,
    pub refused: u64,
    pub throttled: u64,
    pub errors: u64,
    /// Due by the schedule and not sent when the run ended.
    pub unsent: u64,
    #[serde(flatten)]
    pub times: Percentiles,
}

/// One kind of request.
#[derive(Debug, Serialize)]
pub struct Row {
    pub name: &'static str,
    /// Empty for a span of time that is no request.
    pub method: &'static str,
    pub route: &'static str,
    pub count: u64,
    pub rate: f64,
    pub refused: u64,
    pub throttled: BTreeMap<u16, u64>,
    pub errors: BTreeMap<String, u64>,
    /// What the service said the first time, by kind of error.
    pub said: BTreeMap<String, String>,
    #[serde(flatten)]
    pub times: Percentiles,
}

/// From the answer of what caused a tap to the tap.
#[derive(Debug, Serialize)]
pub struct Taps {
    pub count: u64,
    pub missed: u64,
    #[serde(flatten)]
    pub lag: Percentiles,
}

impl Report {
    #[expect(clippy::cast_precision_loss, reason = "counts of requests fit")]
    pub fn new(cli: &Cli, run: &Run) -> Self {
        let lasted_s = run.lasted.as_secs_f64().max(0.001);
        let measured = &run.measured;
        let rate = |count: u64| count as f64 / lasted_s;
        let mut requests: Vec<Row> = measured
            .tallies
            .iter()
            .map(|(name, tally)| Row {
                name,
                method: tally.method,
                route: tally.route,
                count: tally.times.count(),
                rate: rate(tally.times.count()),
                refused: tally.refused,
                throttled: tally.throttled.clone(),
                errors: tally.errors.clone(),
                said: tally.said.clone(),
                times: tally.times.percentiles(),
            })
            .collect();
        requests.sort_by_key(|row| row.method.is_empty());
        let sent = requests.iter().filter(|row| !row.method.is_empty());
        let totals = Totals {
            count: measured.all.count(),
            rate: rate(measured.all.count()),
            refused: sent.clone().map(|row| row.refused).sum(),
            throttled: sent.clone().flat_map(|row| row.throttled.values()).sum(),
            errors: sent.flat_map(|row| row.errors.values()).sum(),
            unsent: run.unsent,
            times: measured.all.percentiles(),
        };
        let thresholds = judge(&cli.thresholds, measured, lasted_s);
        Self {
            format: 1,
            version: env!("CARGO_PKG_VERSION"),
            passed: thresholds.iter().all(|verdict| verdict.holds),
            run: settings(cli, run),
            totals,
            thresholds,
            requests,
            taps: Taps { count: measured.lags.count(), missed: measured.missed, lag: measured.lags.percentiles() },
            acknowledged: measured.kept.clone(),
            series: measured.seconds.clone(),
        }
    }
}

fn settings(cli: &Cli, run: &Run) -> Settings {
    Settings {
        name: run.name.clone(),
        scenario: cli.scenario.to_string(),
        targets: cli.targets.iter().map(|target| target.base.clone()).collect(),
        users: cli.users,
        duration_s: cli.duration.as_secs_f64(),
        ramp_up_s: cli.ramp_up.as_secs_f64(),
        rate: cli.rate,
        timeout_s: cli.timeout.as_secs_f64(),
        seed: cli.seed,
        scid: cli.scid.to_string(),
        templates: BTreeMap::from([
            ("lobby", cli.lobby_template.clone()),
            ("listed", cli.listed_template.clone()),
            ("crowd", cli.crowd_template.clone()),
        ]),
        large: cli.large,
        started_at: run.started_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        lasted_s: run.lasted.as_secs_f64(),
        interrupted: run.interrupted,
    }
}

/// Writes `report.json` and `report.html`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, report: &Report) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report).expect("a report is JSON");
    for (name, text) in [("report.json", json + "\n"), ("report.html", html::render(report))] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    eprintln!("report: {}", folder.join("report.html").display());
    Ok(())
}

/// A value in milliseconds, short.
fn ms(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(ms) if ms < 10.0 => format!("{ms:.2}"),
        Some(ms) if ms < 100.0 => format!("{ms:.1}"),
        Some(ms) => format!("{ms:.0}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::{Duration, Instant};

    use chrono::DateTime;
    use clap::Parser;

    use crate::measure::{Op, Outcome, Recorder};

    use super::*;

    const JOIN: Op = Op::new("join", "PUT", "…/sessions/{name}");
    const BACK: Op = Op::new("back", "", "from the cut");

    /// A report of a small run whose threshold does not hold.
    pub(crate) fn sample() -> Report {
        let line = "x --target http://127.0.0.1:1 --scenario join-storm --data-dir /d --threshold p99<1ms --users 2";
        let cli = Cli::parse_from(line.split(' '));
        let recorder = Recorder::new(Instant::now());
        for count in 0..100 {
            let outcome = match count {
                7 => Outcome::Failed { kind: "500".into(), said: "<&>".into() },
                8 => Outcome::Throttled(503),
                9 => Outcome::Refused,
                _ => Outcome::Fine,
            };
            recorder.request(&JOIN, Duration::from_millis(count + 1), &outcome);
        }
        recorder.request(&BACK, Duration::from_secs(1), &Outcome::Fine);
        recorder.tap(Duration::from_millis(3));
        recorder.compared(Ok(()));
        let run = Run {
            name: "ab12cd34".into(),
            started_at: DateTime::from_timestamp_millis(1_925_000_000_123).unwrap(),
            lasted: Duration::from_secs(10),
            interrupted: false,
            unsent: 0,
            measured: recorder.finish(),
        };
        Report::new(&cli, &run)
    }

    #[test]
    fn the_json_has_the_documented_shape() {
        let report: serde_json::Value = serde_json::to_value(sample()).unwrap();
        assert_eq!((&report["format"], &report["passed"]), (&1.into(), &false.into()));
        assert_eq!(report["run"]["started_at"], "2031-01-01T02:13:20.123Z");
        let join = &report["requests"][0];
        assert_eq!((&join["name"], &join["count"], &join["rate"]), (&"join".into(), &100.into(), &10.0.into()));
        assert_eq!((&join["errors"]["500"], &join["throttled"]["503"], &join["refused"]), (&1.into(), &1.into(), &1.into()));
        assert!(join["p99_9_ms"].as_f64().unwrap() >= join["p50_ms"].as_f64().unwrap());
        assert_eq!((&report["requests"][1]["name"], &report["totals"]["count"]), (&"back".into(), &100.into()));
        assert_eq!((&report["taps"]["count"], &report["acknowledged"]["lost"]), (&1.into(), &0.into()));
        assert_eq!((&report["thresholds"][0]["holds"], &report["thresholds"][1]["holds"]), (&true.into(), &false.into()));
        assert_eq!(report["series"][0]["requests"], 100);
    }

    #[test]
    fn the_files_are_written() {
        let folder = std::env::temp_dir().join(format!("openmpsd-load-report-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        write(&folder, &sample()).unwrap();
        let sizes = ["report.json", "report.html"].map(|name| fs::metadata(folder.join(name)).unwrap().len());
        fs::remove_dir_all(&folder).unwrap();
        assert!(sizes.iter().all(|size| *size > 1000), "{sizes:?}");
        assert!(write(&folder, &sample()).unwrap_err().to_string().contains("report.json"));
    }
}
