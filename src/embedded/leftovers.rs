//! What an earlier run left behind: a server still running, a pid file, a socket.
//!
//! Pid files lie: a zombie that nobody reaps makes PostgreSQL refuse to start. The folder a process works in does not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::account::Account;
use super::error::{Attempt, EmbeddedError};
use super::layout::{remove_file, socket_in};

/// Ends the servers that work in the cluster's folder `pg` and removes their pid file and socket.
///
/// The caller holds the lock of the data folder, so whatever runs there has lost its service.
pub(super) async fn clear(pg: &Path, socket_folder: &Path, account: &Account) -> Result<(), EmbeddedError> {
    end_processes(pg, account).await?;
    let socket = socket_in(socket_folder);
    let mut socket_lock = socket.clone().into_os_string();
    socket_lock.push(".lock");
    for path in [pg.join("postmaster.pid"), socket, PathBuf::from(socket_lock)] {
        remove_file(&path)?;
    }
    Ok(())
}

/// Ends every PostgreSQL process that works in `folder`: asked politely first, at last not asked.
pub(super) async fn end_processes(folder: &Path, account: &Account) -> Result<(), EmbeddedError> {
    for (signal, patience) in [(Signal::SIGINT, 30), (Signal::SIGQUIT, 10), (Signal::SIGKILL, 5)] {
        let found = servers_in(folder, account)?;
        if found.is_empty() {
            return Ok(());
        }
        warn!("found PostgreSQL left over in {}; sending {signal} to process {}", folder.display(), list(&found));
        // The first servers take their backends along; a backend whose server is gone ends by itself or by its own signal.
        for (pid, parent) in &found {
            if signal == Signal::SIGKILL || !found.iter().any(|(other, _)| other == parent) {
                // It may have ended since we looked.
                let _ = kill(*pid, signal);
            }
        }
        let deadline = Instant::now() + Duration::from_secs(patience);
        while Instant::now() < deadline {
            if servers_in(folder, account)?.is_empty() {
                return Ok(());
            }
            sleep(Duration::from_millis(25)).await;
        }
    }
    let pids = list(&servers_in(folder, account)?);
    Err(EmbeddedError::Immortal { folder: folder.to_owned(), pids })
}

fn list(found: &[(Pid, Pid)]) -> String {
    found.iter().map(|(pid, _)| pid.to_string()).collect::<Vec<_>>().join(", ")
}

/// The PostgreSQL processes that work in `folder`, each with its parent. Zombies work nowhere and are not among them.
pub(super) fn servers_in(folder: &Path, account: &Account) -> Result<Vec<(Pid, Pid)>, EmbeddedError> {
    let processes = Path::new("/proc");
    let entries = fs::read_dir(processes).attempt("list the processes in", processes)?;
    Ok(account.reading(|| {
        entries
            .flatten()
            .filter_map(|entry| {
                let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
                let process = entry.path();
                let works_here = fs::read_link(process.join("cwd")).ok()? == folder;
                // An administrator's shell may stand in the folder as well.
                let is_server = fs::read_to_string(process.join("comm")).ok()?.starts_with("postgres");
                (works_here && is_server).then_some((Pid::from_raw(pid), parent_of(&process)?))
            })
            .collect()
    }))
}

/// The parent in `stat`: `pid (name) state parent …`, where the name may hold anything.
fn parent_of(process: &Path) -> Option<Pid> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(1)?.parse().ok().map(Pid::from_raw)
}
