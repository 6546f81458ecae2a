//! What lies where in a data folder, and who owns it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use sha2::{Digest, Sha256};

use super::account::Account;
use super::error::{Attempt, EmbeddedError};
use super::{PORT, ROLE, if_there};
use crate::settings::make_data_dir;

/// The largest server log that is kept, in bytes.
const LOG_LIMIT: u64 = 16 << 20;

/// The longest socket path, in bytes, that every system takes.
const SOCKET_PATH_LIMIT: usize = 104;

/// The files and folders in a data folder; all paths are absolute.
///
/// Root owns all but `pg` and the socket folder, and never writes into those two: their owner could plant links there.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub data_dir: PathBuf,
    /// Held while a service runs.
    pub lock: PathBuf,
    /// The cluster.
    pub pg: PathBuf,
    /// A cluster in the making.
    pub pg_init: PathBuf,
    pub log: PathBuf,
    pub hba: PathBuf,
    pub ident: PathBuf,
    pub ballast: PathBuf,
}

impl Layout {
    /// Creates the data folder if there is none. An existing one keeps its mode.
    pub fn open(data_dir: &Path) -> Result<Self, EmbeddedError> {
        make_data_dir(data_dir).attempt("create the data folder", data_dir)?;
        Ok(Self::of(fs::canonicalize(data_dir).attempt("resolve", data_dir)?))
    }

    /// The layout of a data folder that may or may not be there; nothing is created.
    pub fn find(data_dir: &Path) -> Result<Option<Self>, EmbeddedError> {
        Ok(if_there(fs::canonicalize(data_dir)).attempt("resolve", data_dir)?.map(Self::of))
    }

    /// The layout of a data folder at an absolute path.
    pub fn of(data_dir: PathBuf) -> Self {
        Self {
            lock: data_dir.join("lock"),
            pg: data_dir.join("pg"),
            pg_init: data_dir.join("pg.init"),
            log: data_dir.join("postgres.log"),
            hba: data_dir.join("pg_hba.conf"),
            ident: data_dir.join("pg_ident.conf"),
            ballast: data_dir.join("ballast"),
            data_dir,
        }
    }

    /// Where the folder of the server's socket belongs: `sock` in the data folder, unless its path is too long for a socket or cannot
    /// stand in a URL; then a folder under `/tmp` named after the data folder.
    pub fn socket_folder(&self) -> PathBuf {
        let usual = self.data_dir.join("sock");
        let fits = socket_in(&usual).as_os_str().len() < SOCKET_PATH_LIMIT;
        let plain = usual.to_str().is_some_and(|path| !path.contains([',', '"']));
        if fits && plain { usual } else { self.short_socket_folder() }
    }

    /// Creates the folder of the server's socket, open to `account` only, and returns it.
    pub fn prepare_socket_folder(&self, account: &Account) -> Result<PathBuf, EmbeddedError> {
        let folder = self.socket_folder();
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                // Everybody may write to /tmp, so what lies there may be a trap.
                let found = fs::symlink_metadata(&folder).attempt("look at", &folder)?;
                let ours = [account.uid.as_raw(), geteuid().as_raw()].contains(&found.uid());
                if !found.is_dir() || !ours {
                    return Err(EmbeddedError::ForeignSocketFolder(folder));
                }
            }
            Err(error) => return Err(error).attempt("create the socket folder", &folder),
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).attempt("close", &folder)?;
        account.own(&folder)?;
        Ok(folder)
    }

    fn short_socket_folder(&self) -> PathBuf {
        let digest = Sha256::digest(self.data_dir.as_os_str().as_bytes());
        let id = u64::from_be_bytes(digest[..8].try_into().expect("a digest has more than eight bytes"));
        PathBuf::from(format!("/tmp/openmpsd-{id:016x}"))
    }

    /// Writes who may log in: the account and the service's own user, both as the one role, by what the socket says of them.
    pub fn write_access(&self, account: &Account) -> Result<(), EmbeddedError> {
        let hba = format!("local all {ROLE} peer map=service\n");
        let ident: Vec<String> = account.logins().iter().map(|login| format!("service \"{login}\" {ROLE}\n")).collect();
        for (path, text) in [(&self.hba, hba), (&self.ident, ident.concat())] {
            fs::write(path, text).attempt("write", path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).attempt("open", path)?;
        }
        Ok(())
    }

    /// Opens the server's log for appending, emptied when it has grown large. A running server goes on at its new end.
    pub fn open_log(&self) -> Result<File, EmbeddedError> {
        let log = OpenOptions::new().append(true).create(true).mode(0o640).open(&self.log).attempt("open", &self.log)?;
        if log.metadata().attempt("look at", &self.log)?.len() > LOG_LIMIT {
            log.set_len(0).attempt("empty", &self.log)?;
        }
        Ok(log)
    }

    /// The last lines of the server's log, for a message.
    pub fn log_tail(&self) -> String {
        let read = || {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(4096)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map(|_| bytes)
        };
        let bytes: Vec<u8> = read().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

/// The socket a server with our port opens in `folder`.
pub(super) fn socket_in(folder: &Path) -> PathBuf {
    folder.join(format!(".s.PGSQL.{PORT}"))
}

/// Removes a file that may not exist.
pub(super) fn remove_file(path: &Path) -> Result<(), EmbeddedError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).attempt("remove", path),
        _ => Ok(()),
    }
}

/// Writes a folder's entries to the disk, so that a rename in it survives a power cut.
pub(super) fn sync_folder(folder: &Path) -> Result<(), EmbeddedError> {
    File::open(folder).and_then(|folder| folder.sync_all()).attempt("sync", folder)
}
