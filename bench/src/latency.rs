//! `latency`: how long requests take that come on a schedule, at half the rate that the service can do.

use anyhow::{Context, bail};

use crate::bench::Bench;
use crate::dataset::Sizes;
use crate::prepare;
use crate::report::{Latency, Setting};
use crate::requests;
use crate::schedule::{self, Times};
use crate::workloads::Side;

/// What is measured, and how many times the median the 99th percentile may be.
const WORKLOADS: [(&str, Option<f64>); 4] =
    [("get-session", Some(8.0)), ("get-by-handle", None), ("query-keyword", None), ("put-update", None)];
/// Connections of both the search for the maximum and the schedule.
const CONNECTIONS: u32 = 64;
/// Seconds on schedule that do not count.
const WARM_UP: u32 = 1;
/// Seconds of the search for the maximum.
const MAXIMUM: u32 = 3;
/// The percentiles that are told, beside the longest of all.
const PERCENTILES: [f64; 4] = [50.0, 90.0, 99.0, 99.9];

/// Measures each workload for some seconds.
///
/// # Errors
/// When a request fails.
pub async fn run(bench: &mut Bench, sizes: &Sizes, seconds: u32) -> anyhow::Result<(Setting, Vec<Latency>)> {
    let workloads = prepare::workloads(&bench.rig, sizes, &bench.folder).await?;
    let mut all = Vec::new();
    for (name, goal_ratio) in WORKLOADS {
        let workload = workloads.iter().find(|workload| workload.name == name);
        let workload = workload.with_context(|| format!("there is no workload {name}"))?;
        let Side::Service { requests, .. } = &workload.ours else { bail!("{name} is no series of requests") };
        eprintln!("{name:<16}  looking for the maximum");
        let side = Side::Service { requests: requests.clone(), connections: CONNECTIONS, times: 1.0 };
        bench.figure(&side, workload.durable, WARM_UP).await.with_context(|| name)?;
        let rate = bench.figure(&side, workload.durable, MAXIMUM).await.with_context(|| name)? / 2.0;
        eprintln!("{name:<16}  {seconds} s at {rate:.0} requests/s …");
        let requests = requests::read(requests)?;
        let address = bench.rig.address.clone();
        let played = move || {
            schedule::play(&address, &requests, CONNECTIONS, rate, WARM_UP)?;
            schedule::play(&address, &requests, CONNECTIONS, rate, seconds)
        };
        let times = tokio::task::spawn_blocking(played).await.context("the schedule broke down")?.with_context(|| name)?;
        all.push(latency(name, rate, goal_ratio, &times));
    }
    Ok((bench.setting(sizes, 1, seconds).await?, all))
}

fn latency(name: &str, rate: f64, goal_ratio: Option<f64>, times: &Times) -> Latency {
    let at = |percent| (percent, times.percentile_ms(percent));
    Latency {
        workload: name.to_owned(),
        rate,
        maximum: times.percentile_ms(100.0),
        percentiles: PERCENTILES.map(at).to_vec(),
        goal_ratio,
    }
}
