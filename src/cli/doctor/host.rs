//! What the machine gives the service: an address to listen on, open files, room on the disk.

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::Check;
use crate::cli::health::{Place, ask};
use crate::settings::Settings;

const MIB: u64 = 1024 * 1024;
/// Below this much room a warning is in place, and below the second the service soon stands still, in mebibytes.
const ROOM: [u64; 2] = [1024, 192];
/// The same for entries of the file system.
const INODES: [u64; 2] = [10_000, 500];
/// Every socket, feed and connection is an open file; below this many a warning is in place.
const FILES: u64 = 8192;

/// Whether the service can listen where it is told to, or does so already.
pub async fn address(settings: &Settings) -> Check {
    let listen = settings.server.listen;
    match TcpListener::bind(listen) {
        Ok(_) => Check::fine("address", format!("{listen} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let answered = match Place::own(settings) {
                Ok(place) => ask(&place, false).await.is_ok_and(|answer| answer.well && answer.says.contains("\"status\"")),
                Err(_) => false,
            };
            if answered {
                return Check::fine("address", format!("a service answers on {listen}"));
            }
            let remedy = "end that program, or choose another address with --listen or server.listen";
            Check::fail("address", format!("another program has {listen}, and it is no service of this kind"), remedy)
        }
        Err(error) => unusable(&listen.to_string(), &error),
    }
}

fn unusable(listen: &str, error: &io::Error) -> Check {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => "take a port above 1023, or let a proxy have the small one",
        ErrorKind::AddrNotAvailable => "this machine has no such address: take one of its own, or 0.0.0.0 for all of them",
        _ => "choose another address with --listen or server.listen",
    };
    Check::fail("address", format!("cannot listen on {listen}: {error}"), remedy)
}

/// How many files the process may have open. The service raises the soft limit by itself.
pub fn open_files() -> Check {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) => open_files_of(soft, hard),
        Err(error) => Check::warn("open files", format!("cannot ask for the limit: {error}"), "see `ulimit -n`"),
    }
}

fn open_files_of(soft: u64, hard: u64) -> Check {
    let says = format!("at most {hard} (now {soft}; the service takes all it may): each socket and connection is one");
    if hard >= FILES {
        return Check::fine("open files", says);
    }
    Check::warn(
        "open files",
        says,
        "raise the hard limit: LimitNOFILE= of a systemd unit, --ulimit nofile= of a container, `ulimit -Hn`",
    )
}

/// How much room there is for the embedded database.
pub fn disk(data_dir: &Path) -> Vec<Check> {
    let Some(folder) = data_dir.ancestors().find(|folder| folder.is_dir()) else { return Vec::new() };
    match statvfs(folder) {
        Ok(found) => {
            let room = found.blocks_available().saturating_mul(found.fragment_size()) / MIB;
            // A file system that makes entries as it goes tells of none.
            let inodes = (found.files() > 0).then(|| found.files_available());
            vec![disk_of(&folder.display().to_string(), room, inodes)]
        }
        Err(error) => vec![Check::warn("disk", format!("cannot ask for the room in {}: {error}", folder.display()), "see `df`")],
    }
}

fn disk_of(folder: &str, room: u64, inodes: Option<u64>) -> Check {
    let entries = inodes.map(|count| format!(" and {count} inodes")).unwrap_or_default();
    let says = format!("{room} MiB{entries} are free in {folder}");
    let below = |level: usize| room < ROOM[level] || inodes.is_some_and(|count| count < INODES[level]);
    let remedy = "make room: without it PostgreSQL stops, and nothing can be written";
    if below(1) {
        Check::fail("disk", says, remedy)
    } else if below(0) {
        Check::warn("disk", says, remedy)
    } else {
        Check::fine("disk", says)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::Outcome;
    use super::*;

    #[rstest]
    #[case(5000, Some(100_000), Outcome::Fine)]
    #[case(5000, None, Outcome::Fine)]
    #[case(1000, Some(100_000), Outcome::Warn)]
    #[case(5000, Some(9000), Outcome::Warn)]
    #[case(100, Some(100_000), Outcome::Fail)]
    #[case(5000, Some(10), Outcome::Fail)]
    fn a_disk_that_fills_up_is_told_in_time(#[case] room: u64, #[case] inodes: Option<u64>, #[case] outcome: Outcome) {
        let check = disk_of("/data", room, inodes);
        assert_eq!((check.outcome, check.remedy.is_empty()), (outcome, outcome == Outcome::Fine), "{check:?}");
    }

    #[rstest]
    #[case(1024, 20_000, Outcome::Fine)]
    #[case(1024, 4096, Outcome::Warn)]
    fn few_open_files_are_told(#[case] soft: u64, #[case] hard: u64, #[case] outcome: Outcome) {
        assert_eq!(open_files_of(soft, hard).outcome, outcome);
    }

    #[test]
    fn why_an_address_cannot_be_used_decides_the_remedy() {
        let remedy = |kind| unusable("192.0.2.1:80", &io::Error::from(kind)).remedy;
        assert!(remedy(ErrorKind::PermissionDenied).contains("above 1023"));
        assert!(remedy(ErrorKind::AddrNotAvailable).contains("0.0.0.0"));
    }
}
