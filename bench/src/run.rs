//! The benchmark: every workload beside its baseline, in turns.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sqlx::Executor as _;

use crate::bare::Bare;
use crate::comparison::Comparison;
use crate::dataset::Sizes;
use crate::generators::{Until, pgbench, wrk};
use crate::rig::Rig;
use crate::workloads::{Side, Workload};
use crate::{machine, prepare, sweep, taps};

/// How many timers one sweep has to do.
const TIMERS: u32 = 10_000;

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
    fn wants(&self, workload: &Workload) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == workload.name)
    }
}

/// The service with its data, the bare handler, and a folder for files in between.
pub struct Bench {
    pub rig: Rig,
    pub bare: Bare,
    pub sizes: Sizes,
    pub folder: PathBuf,
    round: u32,
}

impl Bench {
    /// Starts the service and fills its database, unless it is filled.
    ///
    /// # Errors
    /// What keeps one of them from it.
    pub async fn start(data_dir: &Path, sizes: Sizes, shared_buffers_mb: u32) -> anyhow::Result<Self> {
        let folder = data_dir.join("bench");
        fs::create_dir_all(data_dir).with_context(|| format!("cannot make {}", data_dir.display()))?;
        let rig = Rig::start(data_dir, shared_buffers_mb, &data_dir.join("service.log")).await?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let bench = Self { rig, bare: Bare::start().await?, sizes, folder, round: 0 };
        bench.fill().await?;
        Ok(bench)
    }

    /// Adds the sessions that are missing.
    async fn fill(&self) -> anyhow::Result<()> {
        let mark = self.folder.join("filled");
        let there: u32 = fs::read_to_string(&mark).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        if there < self.sizes.sessions {
            crate::dataset::fill(self.rig.connection.url().parse()?, &self.sizes, there).await?;
            fs::write(&mark, self.sizes.sessions.to_string())?;
        }
        Ok(())
    }

    /// Copies the tables that baselines write to.
    pub async fn prepare_baselines(&self) -> anyhow::Result<()> {
        let mut database = self.rig.database().await?;
        for statement in include_str!("../sql/prepare.sql").split_inclusive(';').map(str::trim).filter(|text| !text.is_empty()) {
            database.execute(statement).await.context("cannot prepare the baselines")?;
        }
        Ok(())
    }

    /// Measures all workloads that are wanted.
    ///
    /// # Errors
    /// When a generator or the service fails; what was measured until then is lost, because it cannot be trusted.
    pub async fn measure(&mut self, plan: &Plan) -> anyhow::Result<Vec<Comparison>> {
        let workloads = prepare::workloads(&self.rig, &self.sizes, &self.folder).await?;
        let mut comparisons = Vec::new();
        for workload in workloads.iter().filter(|workload| plan.wants(workload)) {
            let mut comparison = workload.comparison();
            for round in 0..plan.rounds {
                comparison.fdatasync_ms.push(machine::fdatasync_ms(&self.folder)?);
                for (side, figures) in [(&workload.ours, &mut comparison.ours), (&workload.theirs, &mut comparison.theirs)] {
                    let figure = self.figure(side, workload.durable, plan.seconds).await;
                    figures.push(figure.with_context(|| format!("{}, round {}", workload.name, round + 1))?);
                }
            }
            println!(
                "{:<16} {:<52} {:>10.1} {:>10.1} {:<10} ratio {:.2}",
                workload.name,
                workload.baseline,
                crate::comparison::median(&comparison.ours),
                crate::comparison::median(&comparison.theirs),
                workload.unit,
                comparison.ratio()
            );
            comparisons.push(comparison);
        }
        Ok(comparisons)
    }

    /// One figure of one side.
    pub async fn figure(&mut self, side: &Side, durable: bool, seconds: u32) -> anyhow::Result<f64> {
        self.round += 1;
        if durable {
            // Each begins after a checkpoint, or one would pay for what the other wrote.
            self.rig.database().await?.execute("checkpoint").await?;
        }
        match side {
            Side::Service { requests, connections, times } => {
                Ok(wrk(&self.rig.address, requests, *connections, seconds).await? * times)
            }
            Side::Bare { requests, connections } => wrk(&self.bare.address, requests, *connections, seconds).await,
            Side::Tagged { name, connections } => {
                let requests = prepare::tag_requests(&self.rig, &self.folder, name).await?;
                wrk(&self.rig.address, &requests, *connections, seconds).await
            }
            Side::Pgbench { scripts, clients, times } => {
                Ok(pgbench(&self.rig, scripts, *clients, Until::Seconds(seconds)).await? * times)
            }
            Side::Tap => taps::measure(&self.rig, taps::Until::Tap, seconds).await,
            Side::Answer => taps::measure(&self.rig, taps::Until::Answer, seconds).await,
            Side::Sweep => sweep::ours(&self.rig, self.timers(), &self.word()).await,
            Side::SweepBaseline { script } => sweep::theirs(&self.rig, script, self.timers()).await,
        }
    }

    fn timers(&self) -> u32 {
        TIMERS.min(self.sizes.sessions)
    }

    /// A word that no other round uses.
    fn word(&self) -> String {
        format!("{}-{}", std::process::id(), self.round)
    }

    /// Ends what was started.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.rig.stop().await
    }
}
