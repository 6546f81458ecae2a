//! A child process that never outlives the service, and is never mistaken for another.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getpid, getppid};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tracing::warn;

/// Makes the kernel send SIGINT to `command`'s process when the service dies, however it dies.
///
/// The signal comes when the *thread* that spawns the command ends, so that thread must stay until the command has ended.
/// To be called after the account is set: a change of user takes the wish back.
pub(super) fn die_with_us(command: &mut Command) {
    let us = getpid();
    let wish = move || {
        #[cfg(target_os = "linux")]
        nix::sys::prctl::set_pdeathsig(Signal::SIGINT)?;
        // We may have died before the wish was heard.
        if getppid() == us { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; `wish` makes two system calls and does not allocate.
    unsafe { command.pre_exec(wish) };
}

/// A running child; dropping it asks the process to shut down, without waiting for it.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    /// Whether the process id is ours no more; locked around every signal.
    reaped: Arc<Mutex<bool>>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Child {
    /// Spawns `command` in a process group of its own, so that Ctrl-C in a terminal reaches the service only.
    ///
    /// A thread spawns it, waits for it, and ends after it: see [`die_with_us`].
    pub async fn spawn(mut command: Command) -> io::Result<Self> {
        command.process_group(0);
        die_with_us(&mut command);
        let (started, start) = oneshot::channel();
        let (end, ended) = watch::channel(None);
        let reaped = Arc::new(Mutex::new(false));
        let keeper_reaped = Arc::clone(&reaped);
        thread::Builder::new().name("postgres-keeper".to_owned()).spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(started.send(Err(error))),
            };
            let pid = Pid::from_raw(child.id().try_into().expect("a process id fits its own type"));
            if started.send(Ok(pid)).is_err() {
                // Nobody waits for the start any more.
                let _ = kill(pid, Signal::SIGINT);
            }
            // Waits without reaping: until it is reaped, the process id cannot become somebody else's.
            while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
            let mut reaped = keeper_reaped.lock().unwrap_or_else(PoisonError::into_inner);
            *reaped = true;
            let status = child.wait().expect("the process has ended and nobody else waits for it");
            end.send_replace(Some(status));
        })?;
        let pid = start.await.expect("the keeper always reports the start")?;
        Ok(Self { pid, reaped, ended })
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends `signal`, unless the process has ended.
    pub fn signal(&self, signal: Signal) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reaped && let Err(error) = kill(self.pid, signal) {
            warn!(%error, "failed to send {signal} to process {}", self.pid);
        }
    }

    /// Waits until the process has ended.
    pub async fn wait(&mut self) -> ExitStatus {
        let status = self.ended.wait_for(Option::is_some).await.expect("the keeper always reports the end");
        status.expect("waited for it")
    }

    /// Ends the process: a fast shutdown, after 30 s an immediate one, and 10 s later the end without a question.
    pub async fn stop(mut self) -> ExitStatus {
        for (signal, patience) in [(Signal::SIGINT, 30), (Signal::SIGQUIT, 10)] {
            self.signal(signal);
            if let Ok(status) = timeout(Duration::from_secs(patience), self.wait()).await {
                return status;
            }
            warn!("PostgreSQL ignores {signal} since {patience} s");
        }
        self.signal(Signal::SIGKILL);
        self.wait().await
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::SIGINT);
    }
}
