//! The lock on a data folder: one service per cluster, for as long as the service lives.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::{Attempt, EmbeddedError};

/// How long a taken lock is waited for: a process just killed may hold it for a moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// The held lock; it falls with this value, or with the process however that ends.
#[derive(Debug)]
pub(super) struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Takes the lock file at `path`, writing our process id into it.
    ///
    /// # Errors
    /// `InUse`, naming the process in the way, when the lock is still taken after five seconds.
    pub async fn take(path: &Path) -> Result<Self, EmbeddedError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(path)
            .attempt("open the lock file", path)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(Duration::from_millis(50)).await,
                Err(TryLockError::WouldBlock) => {
                    return Err(EmbeddedError::InUse { lock: path.to_owned(), holder: name_holder(&mut file) });
                }
                Err(TryLockError::Error(error)) => return Err(error).attempt("lock", path),
            }
        }
        file.set_len(0).attempt("empty", path)?;
        writeln!(file, "{}", std::process::id()).attempt("write our process id to", path)?;
        Ok(Self { _file: file })
    }
}

/// Who holds the lock, from the process id in the file: `process 4711 (openmpsd)`.
fn name_holder(file: &mut File) -> String {
    let mut text = String::new();
    let pid = file.rewind().and_then(|()| file.read_to_string(&mut text)).ok().and_then(|_| text.trim().parse::<u32>().ok());
    match pid {
        Some(pid) => match fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(name) => format!("process {pid} ({})", name.trim()),
            Err(_) => format!("process {pid}"),
        },
        None => "another process".to_owned(),
    }
}
