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
struct Played {
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
    requests_per_second(&String::from_utf8_lossy(&output.stdout))
}

/// What wrk's script has to say, out of what wrk says.
fn requests_per_second(text: &str) -> anyhow::Result<f64> {
    let line = text.lines().rev().find(|line| line.starts_with('{'));
    let played: Played = serde_json::from_str(line.with_context(|| format!("wrk said something else:\n{text}"))?)?;
    ensure!(
        played.refused == 0 && played.broken == 0,
        "of {} requests {} were answered with 400 or above, {} not at all",
        played.requests,
        played.refused,
        played.broken
    );
    ensure!(played.requests > 0, "no request was answered");
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

/// Which tables scripts work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// The copies with computed keys.
    Copies,
    /// The service's own.
    Own,
}

/// Runs scripts by pgbench, each as often as the others, and returns the transactions a second.
///
/// # Errors
/// When pgbench is missing or a transaction fails.
pub async fn pgbench(rig: &Rig, scripts: &[PathBuf], tables: Tables, clients: u32, until: Until) -> anyhow::Result<f64> {
    let connection = rig.connection();
    let mut command = Command::new(find_pgbench()?);
    let path = match tables {
        Tables::Copies => "baseline,public",
        Tables::Own => "public",
    };
    // But for the path as the service's own connections are set up.
    let options = "-c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off";
    command.env("PGOPTIONS", format!("{options} -c search_path={path}"));
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
    transactions_per_second(&String::from_utf8_lossy(&output.stdout))
}

/// The transactions a second, out of what pgbench says.
fn transactions_per_second(text: &str) -> anyhow::Result<f64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn played(line: &str) -> anyhow::Result<f64> {
        requests_per_second(&format!("Running 2s test @ http://127.0.0.1:1/\n  2 threads and 64 connections\n\n{line}\n"))
    }

    #[test]
    fn the_requests_a_second_come_from_the_line_of_the_script() {
        let figure = played(r#"{"requests":5000,"micros":2000000,"refused":0,"broken":0,"p50":1,"p99":2,"max":3}"#).unwrap();
        assert!((figure - 2500.0).abs() < 1e-9, "{figure}");
    }

    #[test]
    fn a_run_of_wrk_with_errors_is_no_figure() {
        for (line, said) in [
            (r#"{"requests":50,"micros":1000000,"refused":3,"broken":0}"#, "of 50 requests 3 were answered with 400 or above"),
            (r#"{"requests":50,"micros":1000000,"refused":0,"broken":2}"#, "2 not at all"),
            (r#"{"requests":0,"micros":1000000,"refused":0,"broken":0}"#, "no request was answered"),
            ("unable to connect", "wrk said something else"),
        ] {
            let failure = played(line).unwrap_err().to_string();
            assert!(failure.contains(said), "{failure}");
        }
    }

    fn ran(failed: &str) -> String {
        format!(
            "pgbench (15.8)\ntransaction type: multiple scripts\nnumber of transactions actually processed: 52\n\
            number of failed transactions: {failed}\nlatency average = 2.1 ms\ninitial connection time = 3.4 ms\n\
            tps = 4321.500000 (without initial connection time)\nSQL script 1: a.sql\n - 26 transactions (50.0% of total, tps = 7)\n"
        )
    }

    #[test]
    fn the_transactions_a_second_are_those_of_all_scripts() {
        let figure = transactions_per_second(&ran("0 (0.000%)")).unwrap();
        assert!((figure - 4321.5).abs() < 1e-9, "{figure}");
    }

    #[test]
    fn a_run_of_pgbench_with_failures_is_no_figure() {
        assert!(
            transactions_per_second(&ran("3 (5.769%)")).unwrap_err().to_string().contains("transactions of the baseline failed")
        );
        assert!(transactions_per_second("pgbench (15.8)\n").unwrap_err().to_string().contains("pgbench said something else"));
    }
}
