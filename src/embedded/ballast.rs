//! A file that takes up room, so that there is some to give away when the disk is full.
//!
//! A PostgreSQL that cannot write its log ends itself, and cannot even recover without a little room.

use std::fs::File;
use std::io;
use std::path::Path;

use nix::fcntl::posix_fallocate;
use nix::sys::statvfs::statvfs;
use tracing::{debug, info, warn};

use super::layout::Layout;

/// The size of the ballast, in bytes.
const SIZE: i64 = 64 << 20;
/// With less room than this, in bytes, the disk is as good as full.
const FULL: u64 = 16 << 20;
/// With more room than this, in bytes, ballast may be taken aboard.
const ROOMY: u64 = 1 << 30;

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Take,
    Release,
    Leave,
}

fn judge(free: u64, aboard: bool) -> Verdict {
    match aboard {
        true if free < FULL => Verdict::Release,
        false if free > ROOMY => Verdict::Take,
        _ => Verdict::Leave,
    }
}

/// Gives the ballast away when the disk is full, takes it aboard when there is room; true when room was made.
///
/// Failing is no reason not to start, so it is only logged.
pub(super) fn tend(layout: &Layout) -> bool {
    let ballast = &layout.ballast;
    let free = match free_bytes(&layout.data_dir) {
        Ok(free) => free,
        Err(error) => {
            warn!(%error, "failed to see how much room {} has", layout.data_dir.display());
            return false;
        }
    };
    match judge(free, ballast.exists()) {
        Verdict::Leave => false,
        Verdict::Take => {
            if let Err(error) = allocate(ballast) {
                debug!(%error, "failed to set {} aside", ballast.display());
                // A part of the ballast would pass for the whole at the next start.
                let _ = std::fs::remove_file(ballast);
            }
            false
        }
        Verdict::Release => {
            let released = std::fs::remove_file(ballast);
            match &released {
                Ok(()) => warn!(free, "the disk of {} is full; gave the ballast away", layout.data_dir.display()),
                Err(error) => warn!(%error, "failed to give {} away on a full disk", ballast.display()),
            }
            released.is_ok()
        }
    }
}

fn allocate(ballast: &Path) -> io::Result<()> {
    let file = File::create_new(ballast)?;
    posix_fallocate(&file, 0, SIZE)?;
    info!("set {} aside for a full disk", ballast.display());
    Ok(())
}

/// The room, in bytes, that is left to accounts other than root.
pub(super) fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = statvfs(folder)?;
    Ok(disk.blocks_available() * disk.fragment_size())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(2 << 30, false, Verdict::Take)]
    #[case(2 << 30, true, Verdict::Leave)]
    #[case(512 << 20, false, Verdict::Leave)]
    #[case(512 << 20, true, Verdict::Leave)]
    #[case(1 << 20, true, Verdict::Release)]
    #[case(1 << 20, false, Verdict::Leave)]
    fn ballast_is_for_a_full_disk(#[case] free: u64, #[case] aboard: bool, #[case] verdict: Verdict) {
        assert_eq!(judge(free, aboard), verdict);
    }
}
