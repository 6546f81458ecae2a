//! The bench: the service with its data, the bare handler beside it, and how one figure of either comes about.

use std::path::PathBuf;

use anyhow::{Context, bail};
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};

use crate::bare::Bare;
use crate::baseline::without_comments;
use crate::dataset::Sizes;
use crate::generators::{Until, pgbench, wrk};
use crate::place::{Place, Where};
use crate::report::Setting;
use crate::rig::Rig;
use crate::workloads::Side;
use crate::{dataset, machine, prepare, sweep, taps};

/// How many timers one sweep has to do, where there are as many sessions.
const TIMERS: u32 = 10_000;

/// The service with its data, the bare handler, and a folder for files in between.
pub struct Bench {
    pub rig: Rig,
    /// The folder for files.
    pub folder: PathBuf,
    bare: Bare,
    place: Place,
    timers: u32,
    figures: u32,
}

/// Does something with a bench over a data set, and then ends and removes what was started, whatever came of it.
///
/// # Errors
/// What keeps it from starting, what comes of the work, and that it was interrupted.
pub async fn with<T>(
    wanted: &Where,
    sizes: &Sizes,
    work: impl AsyncFnOnce(&mut Bench) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut place = Place::take(wanted)?;
    let there = place.sessions(sizes)?;
    if there == 0 {
        place.mark(sizes, false)?;
    }
    let started = interruptible(async {
        let rig = Rig::start(&place.data_dir, wanted.shared_buffers_mb).await?;
        Ok((rig, Bare::start().await?))
    });
    let (rig, bare) = match started.await {
        Ok(started) => started,
        Err(failure) => {
            // A folder with a data set may be in use by somebody else.
            if there == 0 {
                place.leave().await?;
            }
            return Err(failure);
        }
    };
    let mut bench = Bench { folder: place.files(), rig, bare, place, timers: TIMERS.min(sizes.sessions), figures: 0 };
    // All that is measured is one large future.
    let outcome = interruptible(Box::pin(async {
        bench.fill(sizes, there).await?;
        work(&mut bench).await
    }));
    let outcome = outcome.await;
    let Bench { rig, place, .. } = bench;
    let stopped = rig.stop().await;
    let left = place.leave().await;
    let outcome = outcome?;
    stopped.and(left)?;
    Ok(outcome)
}

/// Ends some work early when the program is told to end.
async fn interruptible<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    select! {
        outcome = work => outcome,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

impl Bench {
    /// Adds the sessions that are missing.
    ///
    /// # Errors
    /// When the service's directory does not take them.
    pub async fn fill(&mut self, sizes: &Sizes, there: u32) -> anyhow::Result<()> {
        if there < sizes.sessions {
            self.place.mark(sizes, false)?;
            dataset::fill(self.rig.connection().url().parse()?, sizes, there).await?;
            self.place.mark(sizes, true)?;
        }
        Ok(())
    }

    /// Makes the copies that the baselines work on.
    ///
    /// # Errors
    /// When the database does not.
    pub async fn prepare_baselines(&self) -> anyhow::Result<()> {
        let mut database = self.rig.database().await?;
        let script = without_comments(include_str!("../sql/prepare.sql"));
        for statement in script.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            database
                .execute(AssertSqlSafe(statement))
                .await
                .with_context(|| format!("cannot prepare the baselines: {statement}"))?;
        }
        Ok(())
    }

    /// What is measured on, and what.
    ///
    /// # Errors
    /// When the database or the kernel does not say.
    pub async fn setting(&self, sizes: &Sizes, rounds: u32, seconds: u32) -> anyhow::Result<Setting> {
        let version: String = sqlx::query_scalar("show server_version").fetch_one(&mut self.rig.database().await?).await?;
        let setting = machine::setting(&version)?;
        Ok(Setting { data_set: sizes.totals(), rounds: usize::try_from(rounds)?, round_seconds: f64::from(seconds), ..setting })
    }

    /// One figure of one side.
    ///
    /// # Errors
    /// When a generator or the service fails.
    pub async fn figure(&mut self, side: &Side, durable: bool, seconds: u32) -> anyhow::Result<f64> {
        if durable {
            // Each begins after a checkpoint, or one would pay for what the other wrote.
            self.rig.database().await?.execute("checkpoint").await?;
            // The first write to a page after a checkpoint logs all of it. That comes once in minutes, and not in every round: as many
            // seconds again go before those that count.
            if !matches!(side, Side::Sweep | Side::SweepBaseline { .. } | Side::Tap | Side::Answer) {
                self.play(side, seconds).await?;
            }
        }
        self.play(side, seconds).await
    }

    /// What one side does in so many seconds.
    async fn play(&mut self, side: &Side, seconds: u32) -> anyhow::Result<f64> {
        self.figures += 1;
        match side {
            Side::Service { requests, connections, times } => {
                Ok(wrk(&self.rig.address, requests, *connections, seconds).await? * times)
            }
            Side::Bare { requests, connections } => wrk(&self.bare.address, requests, *connections, seconds).await,
            Side::Tagged { name, connections } => {
                let requests = prepare::tag_requests(&self.rig, &self.folder, name).await?;
                wrk(&self.rig.address, &requests, *connections, seconds).await
            }
            Side::Pgbench { scripts, tables, clients, times } => {
                Ok(pgbench(&self.rig, scripts, *tables, *clients, Until::Seconds(seconds)).await? * times)
            }
            Side::Tap => taps::measure(&self.rig, taps::Until::Tap, seconds).await,
            Side::Answer => taps::measure(&self.rig, taps::Until::Answer, seconds).await,
            Side::Sweep => {
                // A word that no other round uses, nor another run on the same data.
                let word = format!("{}-{}", std::process::id(), self.figures);
                sweep::ours(&self.rig, self.timers, &word).await
            }
            Side::SweepBaseline { script } => sweep::theirs(&self.rig, script, self.timers).await,
        }
    }
}
