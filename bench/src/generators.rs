//! The load generators, each a well-kept program of its own: wrk for HTTP, pgbench for SQL.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, bail, ensure};
use openmpsd::ambient::Clock;
use serde::Deserialize;
use tokio::process::Command;

use crate::rig::Rig;

/// Threads of a generator: they share the machine with what they measure.
const THREADS: u32 = 2;

/// What one run of wrk came to.
#[derive(Debug, Deserialize)]
pub struct Played {
    requests: u64,
    micros: u64,
    refused: u64,
    broken: u64,
}

/// Plays requests from a file for some seconds and returns the requests a second.
///
/// # Errors
/// When wrk is missing, or an answer is 400 or above, or a connection breaks: a figure with errors in it says nothing.
pub async fn wrk(address: &str, requests: &Path, connections: u32, seconds: u32) -> anyhow::Result<f64> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("wrk/replay.lua");
    let mut command = Command::new("wrk");
    command.args(["--threads", &THREADS.to_string(), "--connections", &connections.to_string()]);
    command.args(["--duration", &format!("{seconds}s"), "--timeout", "10s", "--script"]).arg(script);
    command.arg(format!("http://{address}/")).arg("--").arg(requests).args([THREADS.to_string(), word()]);
    let output = run(command, "wrk").await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rev().find(|line| line.starts_with('{'));
    let played: Played = serde_json::from_str(line.with_context(|| format!("wrk said something else:\n{text}"))?)?;
    ensure!(
        played.refused == 0 && played.broken == 0,
        "of {} requests {} were answered with 400 or above, {} not at all",
        played.requests,
        played.refused,
        played.broken
    );
    Ok(per_second(played.requests, played.micros))
}

/// A word that no other run uses.
fn word() -> String {
    Clock::system().real().timestamp_micros().to_string()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn per_second(count: u64, micros: u64) -> f64 {
    count as f64 * 1e6 / micros as f64
}

/// How long pgbench goes on.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    Seconds(u32),
    /// So many transactions of each client.
    Transactions(u32),
}

/// Runs scripts by pgbench, each as often as the others, and returns the transactions a second.
///
/// # Errors
/// When pgbench is missing or a transaction fails.
pub async fn pgbench(rig: &Rig, scripts: &[PathBuf], clients: u32, until: Until) -> anyhow::Result<f64> {
    let connection = &rig.connection;
    let mut command = Command::new(find_pgbench()?);
    // As the service's own connections are set up.
    command.env("PGOPTIONS", "-c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off");
    command.arg("--host").arg(&connection.socket_dir).args(["--port", "5432", "--username", &connection.user]);
    command.args(["--no-vacuum", "--protocol", "prepared", "--client", &clients.to_string()]);
    command.args(["--jobs", &THREADS.min(clients).to_string()]);
    match until {
        Until::Seconds(seconds) => command.args(["--time", &seconds.to_string()]),
        Until::Transactions(count) => command.args(["--transactions", &count.to_string()]),
    };
    for script in scripts {
        command.arg("--file").arg(script);
    }
    command.arg(&connection.database);
    let output = run(command, "pgbench").await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    let failed = text.lines().any(|line| line.starts_with("number of failed transactions") && !line.contains(": 0 "));
    ensure!(!failed, "transactions of the baseline failed:\n{text}");
    tps.with_context(|| format!("pgbench said something else:\n{text}"))
}

fn find_pgbench() -> anyhow::Result<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        installed.map(|folder| folder.path().join("bin/pgbench")).filter(|path| path.exists()).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        found.pop().or_else(|| std::env::split_paths(&path).map(|folder| folder.join("pgbench")).find(|path| path.exists()));
    found.context("found no pgbench: install PostgreSQL's server package, or run scripts/ensure-bench")
}

/// Runs a program to its end.
async fn run(mut command: Command, name: &str) -> anyhow::Result<Output> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("cannot run {name}: scripts/ensure-bench installs it"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name} ended with {}:\n{}", output.status, said.lines().take(20).collect::<Vec<_>>().join("\n"));
    }
    Ok(output)
}
