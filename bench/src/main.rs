//! Benchmarks of openmpsd beside the database itself.

mod bare;
mod baseline;
mod bench;
mod comparison;
mod dataset;
mod generators;
mod growth;
mod latency;
mod listings;
mod machine;
mod place;
mod prepare;
mod report;
mod requests;
mod rig;
mod run;
mod schedule;
mod sweep;
mod taps;
mod workloads;

use std::path::Path;
use std::process::ExitCode;

use anyhow::ensure;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use dataset::Sizes;
use place::Where;
use report::{Measured, Setting, write_all};
use run::Plan;

/// The fewest sessions, and activities among them, that requests can be made of.
const FEWEST: u32 = 100;

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
    /// Measure what a request costs as the data set grows, to 2,000,000 sessions: about half an hour
    Growth(Grow),
    /// Measure how long requests take that come on schedule, at half the rate that the service can do
    Latency(Delay),
    /// Serve the handler that does nothing
    #[command(hide = true)]
    Bare,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    sizes: Sizes,
    #[command(flatten)]
    place: Where,
    /// Only these workloads, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = PossibleValuesParser::new(workloads::NAMES))]
    only: Vec<String>,
    /// Less of everything: 20,000 sessions, 3 rounds of 1 second
    #[arg(long)]
    quick: bool,
    /// How often each side is measured
    #[arg(long, value_name = "N", default_value_t = 5, default_value_if("quick", "true", "3"), value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, value_name = "N", default_value_t = 2, default_value_if("quick", "true", "1"), value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

#[derive(Debug, Args)]
struct Grow {
    #[command(flatten)]
    place: Where,
    /// How many sessions there are, smallest first, separated by commas
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "20000,200000,2000000")]
    sizes: Vec<u32>,
    /// How often each workload is measured at each size
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

#[derive(Debug, Args)]
struct Delay {
    #[command(flatten)]
    sizes: Sizes,
    #[command(flatten)]
    place: Where,
    /// Less of everything: 20,000 sessions, 3 seconds
    #[arg(long)]
    quick: bool,
    /// Seconds on schedule
    #[arg(long, value_name = "N", default_value_t = 10, default_value_if("quick", "true", "3"), value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

fn main() -> ExitCode {
    done(Cli::parse().command).unwrap_or_else(|failure| {
        eprintln!("openmpsd-bench: {failure:#}");
        ExitCode::FAILURE
    })
}

fn done(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        Command::Run(run) => runtime.block_on(compare(run)),
        Command::Growth(grow) => runtime.block_on(growing(grow)),
        Command::Latency(delay) => runtime.block_on(delays(delay)),
        Command::Bare => bare::serve().map(|()| ExitCode::SUCCESS),
    }
}

async fn compare(run: Run) -> anyhow::Result<ExitCode> {
    let Run { sizes, place, only, quick: _, rounds, seconds } = run;
    check(&sizes)?;
    let plan = Plan { only, rounds, seconds };
    let outcome = bench::with(&place, &sizes, async |bench| run::run(bench, &sizes, &plan).await).await?;
    tell(&place.out, &outcome.setting, Measured::Comparisons(&outcome.comparisons))?;
    if outcome.failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("failed: {}", outcome.failed.join(", "));
    Ok(ExitCode::FAILURE)
}

async fn growing(grow: Grow) -> anyhow::Result<ExitCode> {
    let Grow { place, sizes, rounds, seconds } = grow;
    ensure!(sizes.len() > 1 && sizes.is_sorted_by(|a, b| a < b), "--sizes wants at least two numbers, smallest first");
    let first = growth::of(sizes[0]);
    check(&first)?;
    let plan = growth::Plan { sizes, rounds, seconds };
    let (setting, grown) = bench::with(&place, &first, async |bench| growth::run(bench, &plan).await).await?;
    tell(&place.out, &setting, Measured::Growth(&grown))?;
    Ok(ExitCode::SUCCESS)
}

async fn delays(delay: Delay) -> anyhow::Result<ExitCode> {
    let Delay { sizes, place, quick: _, seconds } = delay;
    check(&sizes)?;
    let (setting, all) = bench::with(&place, &sizes, async |bench| latency::run(bench, &sizes, seconds).await).await?;
    tell(&place.out, &setting, Measured::Latency(&all))?;
    Ok(ExitCode::SUCCESS)
}

fn check(sizes: &Sizes) -> anyhow::Result<()> {
    sizes.check().map_err(anyhow::Error::msg)?;
    ensure!(
        sizes.activities() >= FEWEST,
        "requests are made of at least {FEWEST} sessions that are activities: --sessions and --handles say {}",
        sizes.activities()
    );
    Ok(())
}

/// Writes the figures into a folder and prints them.
fn tell(out: &Path, setting: &Setting, measured: Measured<'_>) -> anyhow::Result<()> {
    let written = write_all(out, setting, measured)?;
    println!("{}", measured.terminal());
    for path in written {
        println!("{}", path.display());
    }
    Ok(())
}
