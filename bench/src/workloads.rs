//! The workloads: what is asked of the service, what of the baseline, and which ratio is wanted.

use std::path::PathBuf;

use crate::comparison::Comparison;
use crate::generators::Tables;

/// The names of all workloads, in the order in which they are measured.
pub const NAMES: [&str; 17] = [
    "get-session",
    "get-not-modified",
    "get-by-handle",
    "query-xuid",
    "query-keyword",
    "query-both",
    "batch-16",
    "activities-16",
    "search-3",
    "put-update",
    "put-cas",
    "put-join-leave",
    "create-4",
    "join-storm",
    "hot-update",
    "tap-lag",
    "sweep-10k",
];

/// How a figure of one side comes about.
#[derive(Debug, Clone)]
pub enum Side {
    /// Requests to the service; `times` things are done by each.
    Service { requests: PathBuf, connections: u32, times: f64 },
    /// The same requests to a handler that does nothing.
    Bare { requests: PathBuf, connections: u32 },
    /// Writes under the entity tag of each session's last answer.
    Tagged { name: &'static str, connections: u32 },
    /// Scripts, each as often as the others; `times` things are done by each transaction.
    Pgbench { scripts: Vec<PathBuf>, tables: Tables, clients: u32, times: f64 },
    /// From the sending of a write to the tap on another socket, in milliseconds.
    Tap,
    /// From the sending of the same write to its answer.
    Answer,
    /// Timers that fall due at one instant, by the service's own sweep.
    Sweep,
    /// As many, by pgbench, 100 per commit.
    SweepBaseline { script: PathBuf },
}

/// A workload: its two sides and what is wanted of their ratio.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// What it is compared with.
    pub baseline: &'static str,
    /// What both figures count.
    pub unit: &'static str,
    /// The ratios of the design: the goal, and the one beyond.
    pub wanted: Option<(f64, f64)>,
    /// Whether it waits for the disk.
    pub durable: bool,
    /// Ours.
    pub ours: Side,
    /// Theirs.
    pub theirs: Side,
}

impl Workload {
    /// A comparison without figures yet.
    #[must_use]
    pub fn comparison(&self) -> Comparison {
        Comparison {
            workload: self.name,
            baseline: self.baseline,
            unit: self.unit,
            less_is_better: matches!(self.ours, Side::Tap),
            goal: self.wanted.map(|(goal, _)| goal),
            stretch: self.wanted.map(|(_, stretch)| stretch),
            durable: self.durable,
            ours: Vec::new(),
            theirs: Vec::new(),
            fdatasync_ms: Vec::new(),
        }
    }
}
