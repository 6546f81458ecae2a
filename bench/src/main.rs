//! Benchmarks of openmpsd beside the database itself.

mod bare;
mod baseline;
mod bench;
mod comparison;
mod dataset;
mod generators;
mod listings;
mod machine;
mod place;
mod prepare;
mod report;
mod requests;
mod rig;
mod run;
mod sweep;
mod taps;
mod workloads;

use std::path::PathBuf;
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
    /// The folder for the results
    #[arg(long, value_name = "DIR", default_value = "bench/out")]
    out: PathBuf,
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
        Command::Bare => bare::serve().map(|()| ExitCode::SUCCESS),
    }
}

async fn compare(run: Run) -> anyhow::Result<ExitCode> {
    let Run { sizes, place, out, only, quick: _, rounds, seconds } = run;
    check(&sizes)?;
    let plan = Plan { only, rounds, seconds };
    let outcome = bench::with(&place, &sizes, false, async |bench| run::run(bench, &sizes, &plan).await).await?;
    tell(&out, &outcome.setting, Measured::Comparisons(&outcome.comparisons))?;
    if outcome.failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("failed: {}", outcome.failed.join(", "));
    Ok(ExitCode::FAILURE)
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
fn tell(out: &std::path::Path, setting: &Setting, measured: Measured<'_>) -> anyhow::Result<()> {
    let written = write_all(out, setting, measured)?;
    println!("{}", measured.terminal());
    for path in written {
        println!("{}", path.display());
    }
    Ok(())
}
