//! What Prometheus expects to hear of any process.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};
use nix::unistd::{SysconfVar, sysconf};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Looked up when somebody reads.
#[derive(Debug, Default)]
pub struct Process {
    cpu: Counter<f64, AtomicU64>,
    memory: Gauge,
    files: Gauge,
    files_max: Gauge,
    started: Gauge,
}

impl Process {
    /// Names them as everybody does.
    pub fn register(registry: &mut Registry) -> Self {
        let process = Self::default();
        registry.register("process_cpu_seconds", "Processor time used", process.cpu.clone());
        registry.register("process_resident_memory_bytes", "Memory in use", process.memory.clone());
        registry.register("process_open_fds", "Open files, sockets among them", process.files.clone());
        registry.register("process_max_fds", "How many files may be open", process.files_max.clone());
        registry.register("process_start_time_seconds", "When the process began, since 1970", process.started.clone());
        process.started.set(started_at().unwrap_or_default());
        process
    }

    /// Brings the numbers up to date. What this system does not tell stays 0.
    pub fn look(&self) {
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let used = seconds(usage.user_time()) + seconds(usage.system_time());
            // Set, not raised: the system counts by itself.
            self.cpu.inner().store(used.to_bits(), Ordering::Relaxed);
        }
        self.memory.set(resident().unwrap_or_default());
        let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        self.files.set(i64::try_from(open).unwrap_or(i64::MAX));
        if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            self.files_max.set(i64::try_from(soft).unwrap_or(i64::MAX));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "processor time stays far below what a double holds exactly")]
fn seconds(time: TimeVal) -> f64 {
    time.num_microseconds() as f64 / 1e6
}

/// Resident memory, in bytes.
fn resident() -> Option<i64> {
    let pages: i64 = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * sysconf(SysconfVar::PAGE_SIZE).ok()??)
}

/// When the process began, in seconds since 1970.
fn started_at() -> Option<i64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name before it may hold anything but ends with the last parenthesis; the start is the 22nd field, in ticks since boot.
    let ticks: i64 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let kernel = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = kernel.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + ticks / sysconf(SysconfVar::CLK_TCK).ok()??)
}
