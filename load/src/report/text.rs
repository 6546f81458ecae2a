//! The table on standard output.

use std::fmt::Write;

use super::{Report, Row, ms};

/// The whole summary.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let line = |out: &mut String, text: std::fmt::Arguments<'_>| {
        let _ = writeln!(out, "{text}");
    };
    let widest = report.requests.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(7);
    let header = format!(
        "{:<widest$}  {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8}  {:>7} {:>9} {:>7}",
        "request", "count", "per s", "p50 ms", "p90 ms", "p99 ms", "p99.9", "max ms", "refused", "throttled", "errors"
    );
    line(&mut out, format_args!("{header}"));
    for row in &report.requests {
        let times = [row.times.p50_ms, row.times.p90_ms, row.times.p99_ms, row.times.p99_9_ms, row.times.max_ms].map(ms);
        let (throttled, errors): (u64, u64) = (row.throttled.values().sum(), row.errors.values().sum());
        line(
            &mut out,
            format_args!(
                "{:<widest$}  {:>9} {:>9.1} {:>8} {:>8} {:>8} {:>8} {:>8}  {:>7} {:>9} {:>7}",
                row.name, row.count, row.rate, times[0], times[1], times[2], times[3], times[4], row.refused, throttled, errors
            ),
        );
    }
    let totals = &report.totals;
    let times =
        [totals.times.p50_ms, totals.times.p90_ms, totals.times.p99_ms, totals.times.p99_9_ms, totals.times.max_ms].map(ms);
    line(
        &mut out,
        format_args!(
            "{:<widest$}  {:>9} {:>9.1} {:>8} {:>8} {:>8} {:>8} {:>8}  {:>7} {:>9} {:>7}",
            "all",
            totals.count,
            totals.rate,
            times[0],
            times[1],
            times[2],
            times[3],
            times[4],
            totals.refused,
            totals.throttled,
            totals.errors
        ),
    );
    out.push('\n');
    for row in &report.requests {
        for (kind, count) in &row.errors {
            line(&mut out, format_args!("error in {}: {kind}, {count} times{}", row.name, said(row, kind)));
        }
    }
    if totals.unsent > 0 {
        line(&mut out, format_args!("{} requests were due and not sent when the run ended", totals.unsent));
    }
    let taps = &report.taps;
    if taps.count + taps.missed > 0 {
        let (p50, p99, max) = (ms(taps.lag.p50_ms), ms(taps.lag.p99_ms), ms(taps.lag.max_ms));
        line(&mut out, format_args!("taps: {}, {} missed; lag p50 {p50}, p99 {p99}, max {max} ms", taps.count, taps.missed));
    }
    for example in report.acknowledged.examples.iter().take(5) {
        line(&mut out, format_args!("lost: {example}"));
    }
    for verdict in &report.thresholds {
        let says = if verdict.holds { "holds" } else { "FAILS" };
        line(&mut out, format_args!("{says}  {}  ({})", verdict.rule, verdict.found));
    }
    out
}

/// What the service said to an error of this kind.
fn said(row: &Row, kind: &str) -> String {
    row.said.get(kind).map(|said| format!("; first: {said}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn the_summary_says_what_failed() {
        let text = render(&sample());
        for says in
            ["join ", "all ", "error in join: 500, 1 times; first: <&>", "taps: 1, 0 missed", "holds  lost=0", "FAILS  p99<1ms"]
        {
            assert!(text.contains(says), "{says} in\n{text}");
        }
        let mut report = sample();
        report.totals.unsent = 4;
        report.acknowledged.examples.push("a seat".into());
        let text = render(&report);
        assert!(text.contains("4 requests were due") && text.contains("lost: a seat"));
    }
}
