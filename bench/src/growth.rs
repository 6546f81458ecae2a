//! `growth`: what a request costs as the data set grows.
//!
//! A few connections ask one request after another, so that requests wait for each other as little as they do at any size; the figure is
//! the time of one, and less is better.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::timeout;

use crate::bench::Bench;
use crate::dataset::Sizes;
use crate::prepare;
use crate::report::{Growth, Setting};
use crate::workloads::{NAMES, Side, Workload};

/// How many requests are under way.
const CONNECTIONS: u32 = 8;
/// Seconds of the turn before the first round, which does not count: it brings into memory what is asked for.
const WARM_UP: u32 = 3;
/// How long all of it may take, the filling included.
const MOST: Duration = Duration::from_hours(2);
/// How many times the figure of the smallest size that of the largest may be, and what is wished for.
const WANTED: (f64, f64) = (2.5, 1.8);
/// The workloads that write. They are measured at the smallest and the largest size, after all that read: they leave something behind.
const WRITES: [&str; 2] = ["put-update", "create-4"];

/// What is measured, and how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many sessions there are, smallest first.
    pub sizes: Vec<u32>,
    pub rounds: u32,
    /// Seconds of each measurement.
    pub seconds: u32,
}

/// So many sessions, and of everything else as much as belongs to them.
#[must_use]
pub fn of(sessions: u32) -> Sizes {
    Sizes { sessions, members: None, keywords: None, handles: None, listed: None }
}

/// Measures at each size and fills up to the next.
///
/// # Errors
/// When anything fails or takes too long: sizes are not compared with sizes that are missing.
pub async fn run(bench: &mut Bench, plan: &Plan) -> anyhow::Result<(Setting, Vec<Growth>)> {
    match timeout(MOST, measure(bench, plan)).await {
        Ok(outcome) => outcome,
        Err(_) => bail!("it took more than {} minutes: choose smaller --sizes", MOST.as_secs() / 60),
    }
}

async fn measure(bench: &mut Bench, plan: &Plan) -> anyhow::Result<(Setting, Vec<Growth>)> {
    let (Some(first), Some(last)) = (plan.sizes.first(), plan.sizes.last()) else { bail!("there is no size") };
    let reads = NAMES.iter().take_while(|name| **name != WRITES[0]).copied();
    let mut grown: Vec<Growth> = reads.map(|name| nothing_yet(name, &plan.sizes)).collect();
    grown.extend(WRITES.map(|name| nothing_yet(name, &[*first, *last])));
    for (at, sessions) in plan.sizes.iter().enumerate() {
        let sizes = of(*sessions);
        if at > 0 {
            bench.fill(&sizes, plan.sizes[at - 1]).await?;
        }
        let workloads = prepare::workloads(&bench.rig, &sizes, &bench.folder).await?;
        for one in grown.iter_mut().filter(|one| one.sizes.contains(sessions)) {
            let workload = workloads.iter().find(|workload| workload.name == one.workload);
            let workload = workload.with_context(|| format!("there is no workload {}", one.workload))?;
            let figures = figures(bench, workload, *sessions, plan).await.with_context(|| one.workload.clone())?;
            one.figures.push(figures);
        }
    }
    Ok((bench.setting(&of(*last), plan.rounds, plan.seconds).await?, grown))
}

fn nothing_yet(workload: &str, sizes: &[u32]) -> Growth {
    let (goal, stretch) = WANTED;
    Growth { workload: workload.to_owned(), unit: "ms".to_owned(), sizes: sizes.to_vec(), figures: Vec::new(), goal, stretch }
}

async fn figures(bench: &mut Bench, workload: &Workload, sessions: u32, plan: &Plan) -> anyhow::Result<Vec<f64>> {
    let name = workload.name;
    let Side::Service { requests, .. } = &workload.ours else { bail!("it is no series of requests") };
    let side = Side::Service { requests: requests.clone(), connections: CONNECTIONS, times: 1.0 };
    eprintln!("{name:<16}  {sessions} sessions, warming up");
    bench.figure(&side, workload.durable, WARM_UP).await?;
    let mut figures = Vec::new();
    for round in 1..=plan.rounds {
        eprintln!("{name:<16}  {sessions} sessions, round {round} of {} …", plan.rounds);
        let per_second = bench.figure(&side, workload.durable, plan.seconds).await?;
        figures.push(f64::from(CONNECTIONS) * 1e3 / per_second);
    }
    Ok(figures)
}
