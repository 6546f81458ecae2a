//! What is made of measured figures: a table for the terminal and for Markdown, a JSON file, and a page with charts.
//!
//! There are three kinds of figures. A [`Comparison`](crate::comparison::Comparison) is a workload beside a baseline, a [`Growth`]
//! is a workload on data sets of several sizes, and a [`Latency`] is how long requests take at a set rate. Each becomes a
//! [`grid::Grid`] of cells, once, and every table is that grid; the charts are drawn from the figures. All of it is functions from
//! figures to text; only [`write_all`] touches the disk, and nothing here measures, knows the time or looks at the machine: who
//! calls it says so in a [`Setting`].

mod bars;
mod drawing;
mod grid;
mod html;
mod json;
mod lines;
mod number;
mod table;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::comparison::{Comparison, median};

use verdict::Verdict;

/// What was measured on.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// When it began: `2031-05-04 12:30 UTC`.
    pub date: String,
    pub cpu_model: String,
    pub cores: usize,
    pub memory_bytes: u64,
    /// The kernel's name and version: `Linux 6.1.0`.
    pub kernel: String,
    /// PostgreSQL's version alone: `15.8`.
    pub postgresql: String,
    /// What the data set holds, and how many of it: `("sessions", 200_000)`.
    pub data_set: Vec<(String, u64)>,
    pub rounds: usize,
    /// How long each round lasts.
    pub round_seconds: f64,
    /// The median time of one `fdatasync` over the whole run, in milliseconds; NaN where it was not measured.
    pub fdatasync_ms: f64,
}

/// One workload on data sets of several sizes. Less is better: the figures are times or costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Growth {
    pub workload: String,
    /// What the figures count: `ms`.
    pub unit: String,
    /// How many sessions the data set has, smallest first.
    pub sizes: Vec<u32>,
    /// The figure of each round, for each size.
    pub figures: Vec<Vec<f64>>,
    /// How many times the figure of the smallest size that of the largest may be.
    pub goal: f64,
    /// And what is wished for beyond it.
    pub stretch: f64,
}

impl Growth {
    /// The median figure of each size; NaN where there is none.
    #[must_use]
    pub fn medians(&self) -> Vec<f64> {
        let none = Vec::new();
        (0..self.sizes.len()).map(|at| median(self.figures.get(at).unwrap_or(&none))).collect()
    }

    /// The median at the largest size over that at the smallest; NaN of fewer than two sizes.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        match self.medians().as_slice() {
            [first, .., last] => last / first,
            _ => f64::NAN,
        }
    }

    fn verdict(&self) -> Verdict {
        Verdict::of(self.ratio(), Some(self.goal), Some(self.stretch), true)
    }
}

/// How long the requests of one workload took while they came at a set rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    pub workload: String,
    /// Requests per second, sent on schedule.
    pub rate: f64,
    /// The longest of all, in milliseconds.
    pub maximum: f64,
    /// A percentile between 0 and 100, and its time in milliseconds; lowest percentile first.
    pub percentiles: Vec<(f64, f64)>,
    /// How many times the median the 99th percentile may be, if there is a goal.
    pub goal_ratio: Option<f64>,
}

impl Latency {
    /// The time of one percentile, in milliseconds; NaN where it was not measured.
    #[must_use]
    pub fn percentile(&self, wanted: f64) -> f64 {
        let found = self.percentiles.iter().find(|(percentile, _)| (percentile - wanted).abs() < 1e-9);
        found.map_or(f64::NAN, |(_, ms)| *ms)
    }

    /// The 99th percentile over the median.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.percentile(99.0) / self.percentile(50.0)
    }

    fn verdict(&self) -> Verdict {
        Verdict::of(self.ratio(), self.goal_ratio, None, true)
    }
}

/// Figures of one kind, all that one program measured.
#[derive(Debug, Clone, Copy)]
pub enum Measured<'a> {
    Comparisons(&'a [Comparison]),
    Growth(&'a [Growth]),
    Latency(&'a [Latency]),
}

impl Measured<'_> {
    /// What its files are called before the dot.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Comparisons(_) => "results",
            Self::Growth(_) => "growth",
            Self::Latency(_) => "latency",
        }
    }

    /// The table and what became of the goals, for a terminal of 132 columns.
    #[must_use]
    pub fn terminal(&self) -> String {
        let (grid, verdicts) = (self.grid(), self.verdicts());
        let note = grid::wrap(table::note(self), table::WIDTH).join("\n");
        format!("{}\n{note}\n{}\n", grid.terminal(table::WIDTH), verdict::summary(&verdicts))
    }

    /// The same in Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let (grid, verdicts) = (self.grid(), self.verdicts());
        format!("{}\n{}\n{}\n", grid.markdown(), table::note(self), verdict::summary(&verdicts))
    }

    /// The figures as JSON: a list with an object for each workload.
    #[must_use]
    pub fn json(&self) -> String {
        match self {
            Self::Comparisons(all) => json::comparisons(all),
            Self::Growth(all) => json::growth(all),
            Self::Latency(all) => json::latency(all),
        }
    }

    /// The page: one file that needs nothing beside it.
    #[must_use]
    pub fn html(&self, setting: &Setting) -> String {
        html::page(self, setting)
    }

    fn grid(&self) -> grid::Grid {
        match self {
            Self::Comparisons(all) => table::comparisons(all),
            Self::Growth(all) => table::growth(all),
            Self::Latency(all) => table::latency(all),
        }
    }

    fn verdicts(&self) -> Vec<Verdict> {
        match self {
            Self::Comparisons(all) => all.iter().map(Verdict::of_comparison).collect(),
            Self::Growth(all) => all.iter().map(Growth::verdict).collect(),
            Self::Latency(all) => all.iter().map(Latency::verdict).collect(),
        }
    }
}

/// Writes the JSON, the Markdown and the page into a folder, which is made if it is not there, and says what they are called.
///
/// Comparisons become `results.json`, `results.md` and `results.html`, the others `growth.*` and `latency.*`. The Markdown says
/// first what was measured on.
pub fn write_all(folder: &Path, setting: &Setting, measured: Measured<'_>) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("failed to make the folder {}", folder.display()))?;
    let markdown = format!("{}\n{}", setting.markdown(), measured.markdown());
    let texts = [("json", measured.json()), ("md", markdown), ("html", measured.html(setting))];
    texts
        .into_iter()
        .map(|(ending, text)| {
            let path = folder.join(measured.name()).with_extension(ending);
            fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
            Ok(path)
        })
        .collect()
}

impl Setting {
    /// Each fact with its name, in the order in which they are told.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let data: Vec<String> = self.data_set.iter().map(|(what, count)| format!("{} {what}", number::count(*count))).collect();
        vec![
            ("Date", self.date.clone()),
            ("Processor", format!("{}, {} cores", self.cpu_model, self.cores)),
            ("Memory", number::bytes(self.memory_bytes)),
            ("Kernel", self.kernel.clone()),
            ("PostgreSQL", self.postgresql.clone()),
            ("Data set", if data.is_empty() { number::NONE.to_owned() } else { data.join(", ") }),
            ("Rounds", format!("{} of {} s each", self.rounds, number::trimmed(self.round_seconds))),
            ("fdatasync, median", number::with_unit(self.fdatasync_ms, "ms")),
        ]
    }

    fn markdown(&self) -> String {
        let facts = self.facts().into_iter().map(|(name, value)| format!("- {name}: {}\n", grid::in_markdown(&value)));
        facts.collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn setting() -> Setting {
        Setting {
            date: "2031-05-04 12:30 UTC".to_owned(),
            cpu_model: "Example <CPU> & Co".to_owned(),
            cores: 4,
            memory_bytes: 8 << 30,
            kernel: "Linux 6.1.0".to_owned(),
            postgresql: "15.8".to_owned(),
            data_set: vec![("sessions".to_owned(), 200_000), ("members".to_owned(), 1_250_000)],
            rounds: 3,
            round_seconds: 10.0,
            fdatasync_ms: 1.234,
        }
    }

    /// A workload of which more is better, with a goal of 0.6 and a stretch of 0.8, at these figures beside 1,000.
    pub(crate) fn comparison(ours: &[f64]) -> Comparison {
        Comparison {
            workload: "get-session",
            baseline: "pgbench, the same row by key, 8 clients",
            unit: "requests/s",
            less_is_better: false,
            goal: Some(0.6),
            stretch: Some(0.8),
            durable: false,
            ours: ours.to_vec(),
            theirs: vec![1000.0; ours.len()],
            fdatasync_ms: vec![1.5; ours.len()],
        }
    }

    pub(crate) fn growth(last: f64) -> Growth {
        Growth {
            workload: "get-session".to_owned(),
            unit: "ms".to_owned(),
            sizes: vec![20_000, 200_000, 2_000_000],
            figures: vec![vec![1.1, 1.0, 0.9], vec![1.2, 1.3, 1.4], vec![last; 3]],
            goal: 2.5,
            stretch: 1.8,
        }
    }

    pub(crate) fn latency(p99: f64) -> Latency {
        Latency {
            workload: "get-session".to_owned(),
            rate: 2500.0,
            maximum: 61.0,
            percentiles: vec![(50.0, 1.0), (90.0, 1.7), (99.0, p99), (99.9, 12.0)],
            goal_ratio: Some(5.0),
        }
    }

    #[test]
    fn growth_is_the_last_size_over_the_first() {
        assert!((growth(2.0).ratio() - 2.0).abs() < 1e-9);
        let alone = Growth { sizes: vec![20_000], ..growth(2.0) };
        assert!(alone.ratio().is_nan());
        let unfinished = Growth { figures: vec![vec![1.0]], ..growth(2.0) };
        assert!(unfinished.ratio().is_nan() && unfinished.medians().len() == 3);
    }

    #[test]
    fn latency_is_the_99th_percentile_over_the_median() {
        assert!((latency(4.0).ratio() - 4.0).abs() < 1e-9);
        assert!(latency(4.0).percentile(75.0).is_nan());
    }

    #[test]
    fn all_files_are_written_and_the_folder_is_made() {
        let root = std::env::temp_dir().join(format!("openmpsd-bench-report-{}", std::process::id()));
        let folder = root.join("deeper");
        let all = [comparison(&[700.0])];
        let written = write_all(&folder, &setting(), Measured::Comparisons(&all)).unwrap();
        let texts: Vec<String> = written.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        fs::remove_dir_all(&root).unwrap();
        let names: Vec<_> = written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["results.json", "results.md", "results.html"]);
        assert_eq!(texts[0], Measured::Comparisons(&all).json());
        assert!(texts[1].starts_with("- Date: 2031-05-04 12:30 UTC\n"), "{}", texts[1]);
        assert!(texts[1].contains("- Data set: 200,000 sessions, 1,250,000 members\n"), "{}", texts[1]);
        assert!(texts[1].contains("| get-session |"), "{}", texts[1]);
        assert!(texts[2].starts_with("<!doctype html>"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let failure = write_all(Path::new("/dev/null/report"), &setting(), Measured::Growth(&[])).unwrap_err();
        assert_eq!(failure.to_string(), "failed to make the folder /dev/null/report");
    }
}
