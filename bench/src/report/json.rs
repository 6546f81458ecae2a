//! The figures as JSON. The keys and their order are part of what is promised to programs that read them.
//!
//! JSON has no number that is none: such a figure is `null`.

use serde::Serialize;

use crate::comparison::{Comparison, median};

use super::{Growth, Latency};

#[derive(Serialize)]
struct Compared<'a> {
    workload: &'a str,
    baseline: &'a str,
    ours: f64,
    theirs: f64,
    ratio: f64,
    rounds: usize,
    fdatasync_ms: f64,
    unit: &'a str,
    goal: Option<f64>,
    stretch: Option<f64>,
    each: Each<'a>,
}

#[derive(Serialize)]
struct Each<'a> {
    ours: &'a [f64],
    theirs: &'a [f64],
}

#[derive(Serialize)]
struct Grown<'a> {
    workload: &'a str,
    unit: &'a str,
    ratio: f64,
    goal: f64,
    stretch: f64,
    sizes: Vec<Size<'a>>,
}

#[derive(Serialize)]
struct Size<'a> {
    sessions: u32,
    median: f64,
    each: &'a [f64],
}

#[derive(Serialize)]
struct Lasted<'a> {
    workload: &'a str,
    rate: f64,
    percentiles: Vec<Percentile>,
    max_ms: f64,
    /// The 99th percentile over the median.
    ratio: f64,
    goal: Option<f64>,
}

#[derive(Serialize)]
struct Percentile {
    percentile: f64,
    ms: f64,
}

/// `results.json`.
pub fn comparisons(all: &[Comparison]) -> String {
    let one = |one: &Comparison| {
        written(&Compared {
            workload: one.workload,
            baseline: one.baseline,
            ours: median(&one.ours),
            theirs: median(&one.theirs),
            ratio: one.ratio(),
            rounds: one.ours.len(),
            fdatasync_ms: median(&one.fdatasync_ms),
            unit: one.unit,
            goal: one.goal,
            stretch: one.stretch,
            each: Each { ours: &one.ours, theirs: &one.theirs },
        })
    };
    list(all.iter().map(one))
}

/// `growth.json`.
pub fn growth(all: &[Growth]) -> String {
    let one = |one: &Growth| {
        let rounds = one.figures.iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..]));
        let sizes = one.sizes.iter().zip(rounds).map(|(sessions, each)| Size { sessions: *sessions, median: median(each), each });
        written(&Grown {
            workload: &one.workload,
            unit: &one.unit,
            ratio: one.ratio(),
            goal: one.goal,
            stretch: one.stretch,
            sizes: sizes.collect(),
        })
    };
    list(all.iter().map(one))
}

/// `latency.json`.
pub fn latency(all: &[Latency]) -> String {
    let one = |one: &Latency| {
        let percentiles = one.percentiles.iter().map(|&(percentile, ms)| Percentile { percentile, ms });
        written(&Lasted {
            workload: &one.workload,
            rate: one.rate,
            percentiles: percentiles.collect(),
            max_ms: one.maximum,
            ratio: one.ratio(),
            goal: one.goal_ratio,
        })
    };
    list(all.iter().map(one))
}

fn written(one: &impl Serialize) -> String {
    serde_json::to_string(one).expect("texts and numbers, under keys that are texts")
}

/// A list with a line for each element, so that two files can be compared line by line.
fn list(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { "[]\n".to_owned() } else { format!("[\n  {}\n]\n", lines.join(",\n  ")) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{comparison, growth as grown, latency as lasted};
    use super::*;

    #[test]
    fn results_have_their_keys_in_order() {
        let text = comparisons(&[comparison(&[600.0, 650.5, 700.0])]);
        let expected = r#"[
  {"workload":"get-session","baseline":"pgbench, the same row by key, 8 clients","ours":650.5,"theirs":1000.0,"ratio":0.6505,"rounds":3,"fdatasync_ms":1.5,"unit":"requests/s","goal":0.6,"stretch":0.8,"each":{"ours":[600.0,650.5,700.0],"theirs":[1000.0,1000.0,1000.0]}}
]
"#;
        assert_eq!(text, expected);
        assert_eq!(comparisons(&[]), "[]\n");
    }

    #[test]
    fn a_figure_that_is_none_is_null() {
        let text = comparisons(&[Comparison { goal: None, stretch: None, ..comparison(&[]) }, comparison(&[f64::NAN])]);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        for key in ["ours", "theirs", "ratio", "fdatasync_ms", "goal", "stretch"] {
            assert!(read[0][key].is_null(), "{key} of {text}");
        }
        assert_eq!((&read[0]["rounds"], &read[1]["rounds"]), (&0.into(), &1.into()));
        assert!(read[1]["ours"].is_null() && read[1]["each"]["ours"][0].is_null(), "{text}");
        assert_eq!(read[1]["theirs"], 1000.0);
    }

    #[test]
    fn growth_and_latency_have_their_keys_in_order() {
        let text = growth(&[Growth { figures: vec![vec![1.0, 3.0]], sizes: vec![20, 200], ..grown(2.0) }]);
        let expected = r#"{"workload":"get-session","unit":"ms","ratio":null,"goal":2.5,"stretch":1.8,"sizes":[{"sessions":20,"median":2.0,"each":[1.0,3.0]},{"sessions":200,"median":null,"each":[]}]}"#;
        assert!(text.contains(expected), "{text}");
        let text = latency(&[Latency { percentiles: vec![(50.0, 1.5), (99.0, 6.0)], ..lasted(6.0) }]);
        let expected = r#"{"workload":"get-session","rate":2500.0,"percentiles":[{"percentile":50.0,"ms":1.5},{"percentile":99.0,"ms":6.0}],"max_ms":61.0,"ratio":4.0,"goal":5.0}"#;
        assert!(text.contains(expected), "{text}");
    }
}
