//! The account that PostgreSQL runs under: it refuses to be root, so root hands it to somebody with fewer rights.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Gid, Uid, User, chown, geteuid};

use super::error::{Attempt, EmbeddedError};

/// An operating system account, and whether it is another than the service's own.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub name: String,
    pub uid: Uid,
    pub gid: Gid,
    /// Whether the service is root and drops to this account.
    dropped: bool,
}

impl Account {
    /// Chooses the account for the cluster in the folder `pg`, which need not exist yet.
    ///
    /// A normal user is its own account. Root takes the owner of an existing cluster, which goes before all else because
    /// PostgreSQL wants to own its folder; then `postgres`, then `nobody`.
    pub fn choose(pg: &Path) -> Result<Self, EmbeddedError> {
        let own = geteuid();
        if !own.is_root() {
            return Self::from_uid(own, false);
        }
        match fs::metadata(pg) {
            Ok(found) if found.uid() != 0 => return Self::from_uid(Uid::from_raw(found.uid()), true),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).attempt("look at", pg),
        }
        Self::named("postgres")
            .or_else(|| Self::named("nobody"))
            .ok_or_else(|| EmbeddedError::NoAccount("neither `postgres` nor `nobody` exists; create one of them".to_owned()))
    }

    /// Chooses the account for a cluster that shall take the place of the one in `pg`: its owner, else the owner of the data folder,
    /// which is a service's own account unless it is root, else as [`choose`](Self::choose) does.
    pub fn inherit(pg: &Path, data_dir: &Path) -> Result<Self, EmbeddedError> {
        let owner = fs::metadata(data_dir).attempt("look at", data_dir)?.uid();
        if pg.exists() || owner == 0 || !geteuid().is_root() {
            return Self::choose(pg);
        }
        Self::from_uid(Uid::from_raw(owner), true)
    }

    /// The account of that name, for root to drop to.
    pub fn named(name: &str) -> Option<Self> {
        User::from_name(name).ok().flatten().map(|user| Self::new(user, true))
    }

    fn from_uid(uid: Uid, dropped: bool) -> Result<Self, EmbeddedError> {
        match User::from_uid(uid) {
            Ok(Some(user)) => Ok(Self::new(user, dropped)),
            _ => Err(EmbeddedError::NoAccount(format!(
                "the user id {uid} has no name, and PostgreSQL wants one; add it to /etc/passwd"
            ))),
        }
    }

    fn new(user: User, dropped: bool) -> Self {
        Self { name: user.name, uid: user.uid, gid: user.gid, dropped }
    }

    /// The names of the operating system users who may log in to the database: this account's and the service's own.
    pub fn logins(&self) -> Vec<&str> {
        if self.dropped { vec!["root", &self.name] } else { vec![&self.name] }
    }

    /// Lets `command` run under this account. The standard library drops the supplementary groups along with root's uid.
    pub fn apply(&self, command: &mut Command) {
        if self.dropped {
            command.gid(self.gid.as_raw()).uid(self.uid.as_raw());
        }
    }

    /// Gives `path` to this account.
    pub fn own(&self, path: &Path) -> Result<(), EmbeddedError> {
        if self.dropped { chown(path, Some(self.uid), Some(self.gid)).attempt("give away", path) } else { Ok(()) }
    }

    /// Checks that this account gets through every folder down to `wanted`, an absolute path without links, and names the
    /// first that is closed. Only what mode bits say is seen.
    pub fn check_reach(&self, wanted: &Path) -> Result<(), EmbeddedError> {
        if !self.dropped {
            return Ok(());
        }
        let mut way: Vec<&Path> = wanted.ancestors().collect();
        way.reverse();
        for folder in way {
            let found = fs::metadata(folder).attempt("look at", folder)?;
            let search = if found.uid() == self.uid.as_raw() {
                0o100
            } else if found.gid() == self.gid.as_raw() {
                0o010
            } else {
                0o001
            };
            if found.mode() & search == 0 {
                return Err(EmbeddedError::Unsearchable {
                    wanted: wanted.to_owned(),
                    closed: folder.to_owned(),
                    account: self.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// Runs `look` with this account's rights to read files.
    ///
    /// Root without `CAP_SYS_PTRACE`, as in most containers, may not see the folders other accounts' processes work in; the
    /// account itself may. Linux keeps these rights per thread, hence a thread that ends with them.
    #[cfg(target_os = "linux")]
    pub fn reading<T: Send>(&self, look: impl FnOnce() -> T + Send) -> T {
        if !self.dropped {
            return look();
        }
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                nix::unistd::setfsgid(self.gid);
                nix::unistd::setfsuid(self.uid);
                look()
            });
            looking.join().expect("looking at files does not panic")
        })
    }

    /// Runs `look`.
    #[cfg(not(target_os = "linux"))]
    pub fn reading<T: Send>(&self, look: impl FnOnce() -> T + Send) -> T {
        look()
    }
}
