//! Benchmarks of openmpsd beside the database itself.

mod bare;
mod baseline;
mod comparison;
mod dataset;
mod generators;
mod listings;
mod machine;
mod prepare;
mod report;
mod requests;
mod rig;
mod run;
mod sweep;
mod taps;
mod workloads;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use dataset::Sizes;
use run::{Bench, Plan};

/// Benchmarks of openmpsd beside the database itself.
#[derive(Debug, Parser)]
#[command(name = "openmpsd-bench", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure every workload beside its baseline
    Run(Run),
    /// Serve the handler that does nothing
    #[command(hide = true)]
    Bare,
}

/// Where, and on what.
#[derive(Debug, Clone, Args)]
struct Place {
    /// The folder for the cluster; on a disk, not in memory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Leave the cluster for the next run, which then need not fill it
    #[arg(long)]
    keep: bool,
    /// PostgreSQL's `shared_buffers` in megabytes, for both sides
    #[arg(long, value_name = "MB", default_value_t = 1024)]
    shared_buffers_mb: u32,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    sizes: Sizes,
    #[command(flatten)]
    place: Place,
    /// Only these workloads, separated by commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How often each side is measured
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3)]
    seconds: u32,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let Command::Bare = cli.command {
        return bare::serve();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Run(run) => measure(run).await,
            Command::Bare => unreachable!("it is served above"),
        }
    })
}

async fn measure(run: Run) -> anyhow::Result<()> {
    let Run { sizes, place, only, rounds, seconds } = run;
    let folder = place.data_dir.unwrap_or_else(|| std::env::temp_dir().join("openmpsd-bench"));
    let mut bench = Bench::start(&folder, sizes, place.shared_buffers_mb).await?;
    bench.prepare_baselines().await?;
    bench.measure(&Plan { only, rounds, seconds }).await?;
    bench.stop().await
}
