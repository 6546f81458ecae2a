//! The report as one page that needs nothing beside it: no script, no font, no picture from elsewhere; light and dark.

use std::fmt::Write;

use crate::measure::{Percentiles, Second};

use super::chart::{Chart, Line};
use super::{Report, ms};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn render(report: &Report) -> String {
    let run = &report.run;
    let mut page = String::new();
    let title = format!("{} · {} users", run.scenario, run.users);
    let _ = write!(
        page,
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title} · openmpsd-load</title><style>{STYLE}</style></head><body><main>"#
    );
    let (class, word) = if report.passed { ("good", "passed") } else { ("bad", "failed") };
    let _ = write!(page, r#"<header><h1>{title}</h1><span class="verdict {class}">{word}</span></header>"#);
    let targets: Vec<String> = run.targets.iter().map(|target| escape(target)).collect();
    let how = run.rate.map_or_else(
        || "each user asks again when answered".to_owned(),
        |rate| format!("{rate} requests per second on schedule"),
    );
    let interrupted = if run.interrupted { ", ended by hand" } else { "" };
    let _ = write!(
        page,
        r#"<p class="muted">{} · {} · {how} · {:.1} s{interrupted} · run {} · openmpsd-load {}</p>"#,
        targets.join(", "),
        escape(&run.started_at),
        run.lasted_s,
        escape(&run.name),
        report.version
    );
    tiles(&mut page, report);
    thresholds(&mut page, report);
    charts(&mut page, report);
    requests(&mut page, report);
    errors(&mut page, report);
    page.push_str("</main></body></html>\n");
    page
}

fn tiles(page: &mut String, report: &Report) {
    let (totals, taps, kept) = (&report.totals, &report.taps, &report.acknowledged);
    page.push_str(r#"<div class="tiles">"#);
    let mut tile = |name: &str, value: String, more: String| {
        let _ = write!(page, r"<div><span>{name}</span><b>{value}</b><span>{more}</span></div>");
    };
    tile("requests per second", format!("{:.0}", totals.rate), format!("{} requests", totals.count));
    tile("p50", format!("{} ms", ms(totals.times.p50_ms)), format!("p90 {} ms", ms(totals.times.p90_ms)));
    tile("p99", format!("{} ms", ms(totals.times.p99_ms)), format!("longest {} ms", ms(totals.times.max_ms)));
    tile("errors", totals.errors.to_string(), format!("{} throttled, {} refused", totals.throttled, totals.refused));
    if taps.count + taps.missed > 0 {
        tile("lag of taps, p99", format!("{} ms", ms(taps.lag.p99_ms)), format!("{} taps, {} missed", taps.count, taps.missed));
    }
    tile("acknowledged and lost", kept.lost.to_string(), format!("{} compared", kept.checked));
    if report.run.rate.is_some() {
        tile("due and not sent", totals.unsent.to_string(), "when the run ended".to_owned());
    }
    page.push_str("</div>");
}

fn thresholds(page: &mut String, report: &Report) {
    page.push_str("<section><h2>Thresholds</h2><table><tr><th>Rule</th><th>Found</th><th></th></tr>");
    for verdict in &report.thresholds {
        let (class, word) = if verdict.holds { ("good", "✓ holds") } else { ("bad", "✗ fails") };
        let (rule, found) = (escape(&verdict.rule), escape(&verdict.found));
        let _ = write!(page, r#"<tr><td><code>{rule}</code></td><td>{found}</td><td class="{class}">{word}</td></tr>"#);
    }
    page.push_str("</table></section>");
}

/// The charts, over the whole seconds of the load; what came after it is not the load's.
fn charts(page: &mut String, report: &Report) {
    let lasted = report.run.lasted_s;
    let whole: Vec<&Second> = report.series.iter().filter(|second| lossy(second.at) + 1.0 <= lasted + 0.05).collect();
    let seconds = if whole.is_empty() { report.series.iter().take(1).collect() } else { whole };
    let line = |name, value: &dyn Fn(&Second) -> Option<f64>| Line {
        name,
        values: seconds.iter().map(|second| value(second)).collect(),
    };
    let counted = |name, value: &dyn Fn(&Second) -> u64| line(name, &|second| Some(lossy(value(second))));
    let mut chart = |title: &str, lines, unit, logarithmic, worst| {
        let drawn = Chart { lines, unit, logarithmic, worst }.render();
        let _ = write!(page, "<section><h2>{title}</h2>{drawn}</section>");
    };
    chart("Rate", vec![counted("requests", &|second| second.requests)], "per second", false, false);
    let latency =
        vec![line("p50", &|second| second.p50_ms), line("p90", &|second| second.p90_ms), line("p99", &|second| second.p99_ms)];
    chart("Latency", latency, "milliseconds, powers of ten", true, true);
    if seconds.iter().any(|second| second.errors + second.throttled + second.refused > 0) {
        let answers = vec![
            counted("refused", &|second| second.refused),
            counted("throttled", &|second| second.throttled),
            counted("errors", &|second| second.errors),
        ];
        chart("Errors", answers, "per second", false, false);
    } else {
        page.push_str("<section><h2>Errors</h2><p>No errors; nothing throttled, nothing refused.</p></section>");
    }
    taps(page, report, &seconds);
}

fn taps(page: &mut String, report: &Report, seconds: &[&Second]) {
    if report.taps.count > 0 {
        let values = seconds.iter().map(|second| second.taps_p99_ms).collect();
        let lines = vec![Line { name: "p99", values }];
        let unit = "milliseconds from answer to tap";
        let drawn = Chart { lines, unit, logarithmic: false, worst: true }.render();
        let _ = write!(page, "<section><h2>Lag of taps</h2>{drawn}</section>");
    }
}

fn requests(page: &mut String, report: &Report) {
    page.push_str(
        r#"<section><h2>Requests</h2><div class="wide"><table class="numbers"><tr><th>Request</th><th>Route</th><th>Count</th>
<th>Per s</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>Max ms</th><th>Refused</th><th>Throttled</th><th>Errors</th></tr>"#,
    );
    let mut row = |name: &str, route: &str, count: u64, rate: f64, times: &Percentiles, rest: [u64; 3]| {
        let _ = write!(page, "<tr><td>{}</td><td>{}</td><td>{count}</td><td>{rate:.1}</td>", escape(name), escape(route));
        for time in [times.p50_ms, times.p90_ms, times.p99_ms, times.p99_9_ms, times.max_ms] {
            let _ = write!(page, "<td>{}</td>", ms(time));
        }
        for count in rest {
            let _ = write!(page, "<td>{count}</td>");
        }
        page.push_str("</tr>");
    };
    for one in &report.requests {
        let rest = [one.refused, one.throttled.values().sum(), one.errors.values().sum()];
        row(one.name, &format!("{} {}", one.method, one.route), one.count, one.rate, &one.times, rest);
    }
    let totals = &report.totals;
    let rest = [totals.refused, totals.throttled, totals.errors];
    row("all", "", totals.count, totals.rate, &totals.times, rest);
    page.push_str("</table></div></section>");
}

fn errors(page: &mut String, report: &Report) {
    let mut rows = String::new();
    let mut row = |name: &str, kind: &str, said: &str, count: u64| {
        let (name, kind, said) = (escape(name), escape(kind), escape(said));
        let _ = write!(rows, "<tr><td>{name}</td><td>{kind}</td><td>{said}</td><td>{count}</td></tr>");
    };
    for one in &report.requests {
        for (kind, count) in &one.errors {
            let said = one.said.get(kind).map(String::as_str).unwrap_or_default();
            row(one.name, kind, said, *count);
        }
        for (status, count) in &one.throttled {
            row(one.name, &format!("throttled with {status}"), "", *count);
        }
    }
    for example in &report.acknowledged.examples {
        row("lost", example, "", 1);
    }
    if !rows.is_empty() {
        let _ = write!(
            page,
            "<section><h2>What went wrong</h2><table><tr><th>Request</th><th>Kind</th><th>First answer</th><th>Count</th></tr>{rows}</table></section>"
        );
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[expect(clippy::cast_precision_loss, reason = "counts of a second fit")]
fn lossy(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn the_page_stands_alone() {
        let page = render(&sample());
        for word in ["http://", "https://", "src=", "href=", "@import", "url(", "<script"] {
            let elsewhere = page.replace("http://127.0.0.1:1", "").contains(word);
            assert!(!elsewhere, "{word}");
        }
        assert!(page.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn the_page_says_what_the_report_says() {
        let page = render(&sample());
        for says in ["join-storm · 2 users", "failed", "✗ fails", "&lt;&amp;&gt;", "throttled with 503", "Lag of taps", "Latency"]
        {
            assert!(page.contains(says), "{says}");
        }
        assert_eq!(page.matches("<svg").count(), 4);
        assert_eq!(page.matches("<section>").count(), page.matches("</section>").count());
    }

    #[test]
    fn a_run_without_errors_says_so() {
        let mut report = sample();
        for second in &mut report.series {
            (second.errors, second.throttled, second.refused) = (0, 0, 0);
        }
        assert!(render(&report).contains("No errors"));
    }
}
