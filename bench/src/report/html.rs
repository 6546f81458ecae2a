//! The figures as one page that needs nothing beside it: no script, no font, no picture from elsewhere; light and dark.

use std::fmt::Write;

use super::grid::escape;
use super::verdict::{self, Verdict};
use super::{Measured, Setting, bars, lines, number, table};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn page(measured: &Measured<'_>, setting: &Setting) -> String {
    let verdicts = measured.verdicts();
    let (title, about) = words(measured);
    let mut page = format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{STYLE}</style></head><body><main><header><h1>{title}</h1><p>{about}</p><p><b>{}</b></p></header>"#,
        escape(&verdict::summary(&verdicts))
    );
    page.push_str(r#"<section><h2>What was measured on</h2><dl class="facts">"#);
    for (name, value) in setting.facts() {
        let _ = write!(page, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    }
    let (table, note) = (measured.grid().html("Figures"), table::note(measured));
    let _ = write!(page, "</dl></section><section><h2>Figures</h2>{table}<p class=\"muted\">{note}</p></section>");
    if let Measured::Growth(all) = measured {
        let chart = lines::overview(all, "all");
        let _ = write!(
            page,
            "<section><h2>All workloads, as multiples of their figure at the smallest size</h2><div class=\"middle\">{chart}</div></section>"
        );
    }
    let _ = write!(page, r#"<h2>Each workload</h2>{}<div class="cards">"#, legend(measured));
    for (at, (card, verdict)) in cards(measured).iter().zip(&verdicts).enumerate() {
        page.push_str(&card.html(at, *verdict));
    }
    page.push_str("</div></main></body></html>\n");
    page
}

/// The title, and a sentence about what the page shows.
fn words(measured: &Measured<'_>) -> (&'static str, &'static str) {
    match measured {
        Measured::Comparisons(_) => {
            ("openmpsd beside its baselines", "Each workload is measured in turns with its baseline, on the same machine.")
        }
        Measured::Growth(_) => (
            "openmpsd on growing data",
            "The same reads on data sets of several sizes: how much longer they take where more is stored.",
        ),
        Measured::Latency(_) => (
            "Latency of openmpsd at a set rate",
            "How long requests take, from the time they are due, while they come on schedule.",
        ),
    }
}

/// What the signs of the charts mean.
fn legend(measured: &Measured<'_>) -> &'static str {
    match measured {
        Measured::Comparisons(_) => {
            r#"<p class="legend"><span><i class="key ours"></i>ours, median</span><span><i class="key theirs"></i>theirs, median</span><span><i class="round"></i>one round</span><span><i class="rule"></i>goal</span><span><i class="rule dashed"></i>stretch</span><span>axis: ratio to the median of theirs</span></p>"#
        }
        Measured::Growth(_) => {
            r#"<p class="legend"><span><i class="key s1"></i>median</span><span><i class="round"></i>one round</span><span><i class="rule"></i>goal</span><span><i class="rule dashed"></i>stretch</span><span>across: sessions, ten times as many at equal distances</span></p>"#
        }
        Measured::Latency(_) => {
            r#"<p class="legend"><span><i class="key s1"></i>percentile</span><span><i class="rule"></i>goal of p99</span><span>up: milliseconds, powers of ten at equal distances</span></p>"#
        }
    }
}

/// One workload: its name, a line about it, its ratio, and its chart.
struct Card {
    name: String,
    about: String,
    ratio: String,
    chart: String,
}

impl Card {
    fn html(&self, at: usize, verdict: Verdict) -> String {
        let (name, about, ratio) = (escape(&self.name), escape(&self.about), escape(&self.ratio));
        let said = match verdict {
            Verdict::None => String::new(),
            said => format!(r#"<span class="verdict {}">{}</span>"#, said.class(), said.word()),
        };
        let chart = &self.chart;
        format!(
            r#"<section aria-labelledby="w{at}"><div class="head"><h3 id="w{at}">{name}</h3>{said}</div><p class="muted">{about}</p><p class="ratio">{ratio}</p>{chart}</section>"#
        )
    }
}

fn cards(measured: &Measured<'_>) -> Vec<Card> {
    let goals = |goal: Option<f64>, stretch: Option<f64>, less: bool| {
        let named = [("goal", goal), ("stretch", stretch)].into_iter().filter(|(_, border)| border.is_some());
        named.fold(String::new(), |out, (name, border)| format!("{out} · {name} {}", verdict::border(border, less)))
    };
    match measured {
        Measured::Comparisons(all) => {
            let card = |(at, one): (usize, &crate::comparison::Comparison)| {
                let less = one.less_is_better;
                let ratio = verdict::ratio(one.ratio(), one.goal, one.stretch, less);
                let better = if less { "less is better" } else { "more is better" };
                let synced = crate::comparison::median(&one.fdatasync_ms);
                let disk = if one.durable {
                    format!(" · fdatasync\u{a0}{}", number::with_unit(synced, "ms").replace(' ', "\u{a0}"))
                } else {
                    String::new()
                };
                Card {
                    name: one.workload.to_owned(),
                    about: format!("beside {}", one.baseline),
                    ratio: format!("ratio {ratio}{} · {better}{disk}", goals(one.goal, one.stretch, less)),
                    chart: bars::draw(one, &format!("c{at}")),
                }
            };
            all.iter().enumerate().map(card).collect()
        }
        Measured::Growth(all) => {
            let card = |(at, one): (usize, &super::Growth)| {
                let (goal, stretch) = (Some(one.goal), Some(one.stretch));
                Card {
                    name: one.workload.clone(),
                    about: format!("{}, over the number of sessions", one.unit),
                    ratio: format!(
                        "last/first {}{}",
                        verdict::ratio(one.ratio(), goal, stretch, true),
                        goals(goal, stretch, true)
                    ),
                    chart: lines::growth(one, &format!("c{at}")),
                }
            };
            all.iter().enumerate().map(card).collect()
        }
        Measured::Latency(all) => {
            let card = |(at, one): (usize, &super::Latency)| Card {
                name: one.workload.clone(),
                about: format!("at {} requests per second", number::figure(one.rate)),
                ratio: format!(
                    "p99/p50 {}{}",
                    verdict::ratio(one.ratio(), one.goal_ratio, None, true),
                    goals(one.goal_ratio, None, true)
                ),
                chart: lines::latency(one, &format!("c{at}")),
            };
            all.iter().enumerate().map(card).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{comparison, growth, latency, setting};
    use super::*;

    fn pages() -> [String; 3] {
        let comparisons = [comparison(&[500.0, 510.0, 490.0]), comparison(&[700.0; 3]), comparison(&[])];
        let (grown, lasted) = ([growth(2.0), growth(3.0)], [latency(4.0), latency(9.0)]);
        [Measured::Comparisons(&comparisons), Measured::Growth(&grown), Measured::Latency(&lasted)]
            .map(|measured| measured.html(&setting()))
    }

    #[test]
    fn the_pages_stand_alone() {
        for page in pages() {
            for word in ["http:", "https:", "src=", "href=", "@import", "url(", "<script", "NaN"] {
                assert!(!page.contains(word), "{word}");
            }
            assert!(page.contains("prefers-color-scheme: dark") && page.contains("width=device-width"));
        }
    }

    #[test]
    fn the_pages_say_on_what_they_were_measured() {
        for page in pages() {
            for says in [
                "<dt>Processor</dt><dd>Example &lt;CPU&gt; &amp; Co, 4 cores</dd>",
                "<dt>Memory</dt><dd>8.0 GiB</dd>",
                "<dt>Rounds</dt><dd>3 of 10 s each</dd>",
                "<dt>fdatasync, median</dt><dd>1.23 ms</dd>",
            ] {
                assert!(page.contains(says), "{says}");
            }
        }
    }

    #[test]
    fn goals_are_met_and_missed_in_words() {
        let [comparisons, growth, latency] = pages();
        assert!(comparisons.contains("1 of 3 goals met, 1 missed, 1 unknown for want of figures."));
        assert!(comparisons.contains(r#"<span class="verdict bad">✗ missed</span>"#));
        assert!(comparisons.contains(r#"<span class="verdict good">✓ met</span>"#));
        assert!(comparisons.contains("ratio 0.70 · goal ≥ 0.60 · stretch ≥ 0.80 · more is better"));
        assert!(growth.contains("last/first 3.00 · goal ≤ 2.50 · stretch ≤ 1.80"));
        assert!(latency.contains("p99/p50 9.00 · goal ≤ 5.00"));
    }

    #[test]
    fn each_workload_has_a_chart_and_no_id_comes_twice() {
        let [comparisons, growth, latency] = pages();
        assert_eq!([&comparisons, &growth, &latency].map(|page| page.matches("<svg").count()), [2, 3, 2]);
        for page in [comparisons, growth, latency] {
            let mut ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            let all = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), all);
            for tag in ["section", "div", "p", "span", "svg", "table", "main"] {
                let open = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
                assert_eq!(open, page.matches(&format!("</{tag}>")).count(), "{tag}");
            }
        }
    }
}
