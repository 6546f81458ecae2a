//! `openmpsd-load`: loads a service with users who do what players do, judges every answer, and says whether it held.
//!
//! `cli` is what can be typed, `runner` a run. A `user` of the shared `world` goes through one of the `scenarios`, over HTTP (`client`)
//! and a `socket`, keeps in its `ledger` what was acknowledged, and tells `measure`. At the end `thresholds` are judged and `report`
//! writes. `tokens` makes tokens with the library of the service, of which the other rooms take but names, clock and ids.

mod cli;
mod client;
mod ledger;
mod measure;
mod progress;
mod report;
mod runner;
mod scenarios;
mod socket;
mod thresholds;
mod tokens;
mod user;
mod world;

use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::cli::Cli;
use crate::report::Report;

/// The exit code of a run whose thresholds do not all hold.
const THRESHOLD_FAILED: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(why) = cli.check() {
        Cli::command().error(clap::error::ErrorKind::ValueValidation, why).exit();
    }
    match load(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(THRESHOLD_FAILED),
        Err(error) => {
            eprintln!("openmpsd-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs and reports; says whether every threshold holds.
fn load(cli: &Cli) -> anyhow::Result<bool> {
    raise_file_limit();
    if let Some(folder) = &cli.report {
        // Before the run: afterwards it would be too late to say that there is nowhere to write.
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("failed to start the runtime")?;
    let run = runtime.block_on(runner::run(cli))?;
    let report = Report::new(cli, &run);
    print!("{}", report::text::render(&report));
    if let Some(folder) = &cli.report {
        report::write(folder, &report)?;
    }
    Ok(report.passed)
}

/// Takes as many open files as the process may have: every socket and every connection is one.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        eprintln!("cannot raise the limit of open files ({error}): fewer users can be connected");
    }
}
