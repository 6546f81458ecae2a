//! The folder of a benchmark: on a disk, made for it, marked as its own, and gone when it is over.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::dataset::Sizes;

/// How often a folder is emptied in which somebody still writes, and how long between.
const REMOVALS: (u32, Duration) = (50, Duration::from_millis(200));

/// Where, and on what.
#[derive(Debug, Clone, clap::Args)]
pub struct Where {
    /// The folder for the cluster, on a disk; made if it is not there, and removed in the end [default: under /var/tmp]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Leave the cluster for the next run, which then need not fill it
    #[arg(long)]
    pub keep: bool,
    /// Take a folder in memory too, where no write waits for a disk: the figures of writes then say nothing
    #[arg(long)]
    pub allow_memory: bool,
    /// PostgreSQL's `shared_buffers` in megabytes, for both sides
    #[arg(long, value_name = "MB", default_value_t = 1024)]
    pub shared_buffers_mb: u32,
    /// The folder for the results
    #[arg(long, value_name = "DIR", default_value = "bench/out")]
    pub out: PathBuf,
}

/// What a folder says of itself.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Mark {
    sizes: Sizes,
    /// Whether all of it is there: a filling can be interrupted.
    complete: bool,
}

/// A folder that belongs to this run.
#[derive(Debug)]
pub struct Place {
    /// The data folder of the service.
    pub data_dir: PathBuf,
    keep: bool,
    filled: Option<Sizes>,
}

impl Place {
    /// Takes the folder, if it is empty or an earlier run has left it complete.
    ///
    /// # Errors
    /// In words for the person who chose it: it lies in memory, or holds something else.
    pub fn take(wanted: &Where) -> anyhow::Result<Self> {
        let data_dir = match &wanted.data_dir {
            Some(folder) => std::path::absolute(folder)?,
            None => usual()?,
        };
        let shown = data_dir.display();
        let there = data_dir.ancestors().find(|folder| folder.exists()).context("there is no file system")?;
        let in_memory =
            statfs(there).with_context(|| format!("cannot look at {}", there.display()))?.filesystem_type() == TMPFS_MAGIC;
        ensure!(
            !in_memory || wanted.allow_memory,
            "{shown} lies in memory, where a write waits for no disk: choose a folder on a disk with --data-dir"
        );
        let mark = read(&data_dir)?;
        let empty = match fs::read_dir(&data_dir) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(error).with_context(|| format!("cannot look into {shown}")),
        };
        let filled = match mark {
            Some(mark) if mark.complete => Some(mark.sizes),
            Some(_) => bail!("the filling of {shown} was interrupted: remove it, or choose another folder with --data-dir"),
            None if empty => None,
            None => bail!("{shown} holds something else: choose an empty folder, or one that is not there yet, with --data-dir"),
        };
        Ok(Self { data_dir, keep: wanted.keep, filled })
    }

    /// The folder for files that are no part of the cluster.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.data_dir.join("bench")
    }

    /// How many sessions are there: all that are wanted, or none yet.
    ///
    /// # Errors
    /// When it is another data set, with both in words.
    pub fn sessions(&self, wanted: &Sizes) -> anyhow::Result<u32> {
        let Some(filled) = &self.filled else { return Ok(0) };
        let words = |sizes: &Sizes| {
            let totals = sizes.totals().into_iter().map(|(what, count)| format!("{count} {what}"));
            totals.collect::<Vec<_>>().join(", ")
        };
        ensure!(
            filled == wanted,
            "{} holds another data set, {}, and not {}: remove it, or choose another folder with --data-dir",
            self.data_dir.display(),
            words(filled),
            words(wanted)
        );
        Ok(filled.sessions)
    }

    /// Says on the disk what the folder holds, or is about to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn mark(&mut self, sizes: &Sizes, complete: bool) -> anyhow::Result<()> {
        fs::create_dir_all(self.files()).with_context(|| format!("cannot make {}", self.files().display()))?;
        let path = mark_of(&self.data_dir);
        let text = serde_json::to_string(&Mark { sizes: sizes.clone(), complete })?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        self.filled = complete.then(|| sizes.clone());
        Ok(())
    }

    /// Removes the folder, unless it is to be kept.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn leave(self) -> anyhow::Result<()> {
        let shown = self.data_dir.display();
        if self.keep && self.filled.is_some() {
            eprintln!("kept: {shown}");
            return Ok(());
        }
        let (most, pause) = REMOVALS;
        for attempt in 1.. {
            match fs::remove_dir_all(&self.data_dir) {
                Err(error) if error.kind() != ErrorKind::NotFound && attempt == most => {
                    return Err(error).with_context(|| format!("cannot remove {shown}"));
                }
                // The server of a service that was killed ends a little later.
                Err(error) if error.kind() != ErrorKind::NotFound => sleep(pause).await,
                _ => break,
            }
        }
        Ok(())
    }
}

/// A folder that other users' benchmarks do not use, on a disk on every system.
fn usual() -> anyhow::Result<PathBuf> {
    let user = fs::metadata("/proc/self").context("cannot tell who runs this")?.uid();
    let name = if user == 0 { "openmpsd-bench".to_owned() } else { format!("openmpsd-bench-{user}") };
    Ok(Path::new("/var/tmp").join(name))
}

fn mark_of(data_dir: &Path) -> PathBuf {
    data_dir.join("bench/data-set.json")
}

fn read(data_dir: &Path) -> anyhow::Result<Option<Mark>> {
    let path = mark_of(data_dir);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sessions: u32) -> Sizes {
        Sizes { sessions, members: None, keywords: None, handles: None, listed: None }
    }

    /// A folder under the build's own, which lies on a disk wherever the sources do.
    fn wanted(name: &str) -> Where {
        let folder = std::env::temp_dir().join(format!("openmpsd-bench-place-{}-{name}", std::process::id()));
        Where { data_dir: Some(folder), keep: false, allow_memory: true, shared_buffers_mb: 128, out: PathBuf::new() }
    }

    #[tokio::test]
    async fn a_folder_that_is_kept_is_taken_again_for_the_same_data_set() {
        let wanted = Where { keep: true, ..wanted("kept") };
        let mut place = Place::take(&wanted).unwrap();
        assert_eq!(place.sessions(&of(300)).unwrap(), 0);
        place.mark(&of(300), true).unwrap();
        place.leave().await.unwrap();
        let place = Place::take(&Where { keep: false, ..wanted.clone() }).unwrap();
        assert_eq!(place.sessions(&of(300)).unwrap(), 300);
        let said = place.sessions(&Sizes { members: Some(900), ..of(300) }).unwrap_err().to_string();
        assert!(
            said.contains("holds another data set, 300 sessions, 1200 members") && said.contains("not 300 sessions, 900"),
            "{said}"
        );
        assert!(place.sessions(&of(400)).is_err());
        place.leave().await.unwrap();
        assert!(!wanted.data_dir.unwrap().exists());
    }

    #[tokio::test]
    async fn a_folder_that_was_not_filled_to_the_end_is_named_and_not_kept() {
        let wanted = Where { keep: true, ..wanted("half") };
        let mut place = Place::take(&wanted).unwrap();
        place.mark(&of(300), false).unwrap();
        assert!(Place::take(&wanted).unwrap_err().to_string().contains("was interrupted: remove it"));
        place.leave().await.unwrap();
        assert!(!wanted.data_dir.unwrap().exists());
    }

    #[test]
    fn a_folder_with_something_else_is_left_alone() {
        let wanted = wanted("else");
        let folder = wanted.data_dir.clone().unwrap();
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("letter"), "dear").unwrap();
        let said = Place::take(&wanted).unwrap_err().to_string();
        fs::remove_dir_all(&folder).unwrap();
        assert!(
            said.ends_with("holds something else: choose an empty folder, or one that is not there yet, with --data-dir"),
            "{said}"
        );
    }

    #[test]
    fn a_folder_in_memory_is_refused() {
        let folder = Path::new("/dev/shm/openmpsd-bench-never-made");
        let wanted = Where { data_dir: Some(folder.to_owned()), allow_memory: false, ..wanted("memory") };
        if statfs("/dev/shm").is_ok_and(|found| found.filesystem_type() == TMPFS_MAGIC) {
            assert!(Place::take(&wanted).unwrap_err().to_string().contains("lies in memory"));
        }
        assert!(!folder.exists());
    }
}
