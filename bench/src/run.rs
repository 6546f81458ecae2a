//! `run`: every workload beside its baseline, in turns.

use anyhow::Context;

use crate::bench::Bench;
use crate::comparison::{Comparison, median};
use crate::dataset::Sizes;
use crate::report::Setting;
use crate::workloads::{Side, Workload};
use crate::{machine, prepare};

/// What is measured, and how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The workloads that are wanted; none: all.
    pub only: Vec<String>,
    /// How often each side is measured.
    pub rounds: u32,
    /// Seconds of each measurement.
    pub seconds: u32,
}

impl Plan {
    /// Whether a workload is wanted.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }
}

/// What came of a run.
pub struct Outcome {
    pub setting: Setting,
    pub comparisons: Vec<Comparison>,
    /// The workloads that failed, and have no figures.
    pub failed: Vec<&'static str>,
}

/// Measures all workloads that are wanted. One that fails is told and left out.
///
/// # Errors
/// When something fails that all need.
pub async fn run(bench: &mut Bench, sizes: &Sizes, plan: &Plan) -> anyhow::Result<Outcome> {
    eprintln!("preparing the baselines and the requests");
    bench.prepare_baselines().await?;
    let workloads = prepare::workloads(&bench.rig, sizes, &bench.folder).await?;
    let mut outcome =
        Outcome { setting: bench.setting(sizes, plan.rounds, plan.seconds).await?, comparisons: Vec::new(), failed: Vec::new() };
    for workload in workloads.iter().filter(|workload| plan.wants(workload.name)) {
        match compare(bench, workload, plan).await {
            Ok(comparison) => outcome.comparisons.push(comparison),
            Err(failure) => {
                eprintln!("{:<16}  failed: {failure:#}", workload.name);
                outcome.failed.push(workload.name);
            }
        }
    }
    let syncs: Vec<f64> = outcome.comparisons.iter().flat_map(|one| one.fdatasync_ms.iter().copied()).collect();
    outcome.setting.fdatasync_ms = median(&syncs);
    Ok(outcome)
}

async fn compare(bench: &mut Bench, workload: &Workload, plan: &Plan) -> anyhow::Result<Comparison> {
    let mut comparison = workload.comparison();
    let name = workload.name;
    for side in [&workload.ours, &workload.theirs] {
        // A turn as long as a round, which does not count. A sweep has an end of its own: there is no short one.
        if !matches!(side, Side::Sweep | Side::SweepBaseline { .. }) {
            eprintln!("{name:<16}  warming up {}", word(side));
            bench.figure(side, false, plan.seconds).await.context("warming up")?;
        }
    }
    for round in 1..=plan.rounds {
        eprintln!("{name:<16}  round {round} of {} …", plan.rounds);
        comparison.fdatasync_ms.push(machine::fdatasync_ms(&bench.folder)?);
        let mut turns = [(&workload.ours, &mut comparison.ours), (&workload.theirs, &mut comparison.theirs)];
        if round % 2 == 0 {
            turns.reverse();
        }
        for (side, figures) in turns {
            let figure = bench.figure(side, workload.durable, plan.seconds).await;
            figures.push(figure.with_context(|| format!("round {round}, {}", word(side)))?);
        }
    }
    let (ours, theirs) = (median(&comparison.ours), median(&comparison.theirs));
    eprintln!("{name:<16}  {ours:.1} beside {theirs:.1} {}: {:.2}", workload.unit, comparison.ratio());
    Ok(comparison)
}

/// Who is measured.
fn word(side: &Side) -> &'static str {
    match side {
        Side::Service { .. } | Side::Tagged { .. } | Side::Tap | Side::Answer | Side::Sweep => "the service",
        Side::Bare { .. } => "the bare handler",
        Side::Pgbench { .. } | Side::SweepBaseline { .. } => "pgbench",
    }
}
