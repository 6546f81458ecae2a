//! What is measured: one workload beside one baseline, round by round.

/// A workload and its baseline, measured in turns.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The workload's name: `get-session`.
    pub workload: &'static str,
    /// What it is compared with, in a few words: `pgbench, the same row by key, 8 clients`.
    pub baseline: &'static str,
    /// What both figures count: `requests/s`; a workload of which less is better says so in `less_is_better`.
    pub unit: &'static str,
    /// Whether the figures are times.
    pub less_is_better: bool,
    /// The ratio that is to be reached, if there is one.
    pub goal: Option<f64>,
    /// And the one beyond it.
    pub stretch: Option<f64>,
    /// Whether each of its units waits for the disk: the time of an `fdatasync` then stands beside the figure.
    pub durable: bool,
    /// Our figure of each round.
    pub ours: Vec<f64>,
    /// The baseline's figure of the same round.
    pub theirs: Vec<f64>,
    /// The median time of one `fdatasync` right before each round, in milliseconds.
    pub fdatasync_ms: Vec<f64>,
}

impl Comparison {
    /// The median of our figures over that of theirs.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        median(&self.ours) / median(&self.theirs)
    }
}

/// The middle of some figures, the mean of the two in the middle of an even number; NaN of none.
#[must_use]
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}
