//! Every reason why the private PostgreSQL does not come up.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use super::binaries::OLDEST_MAJOR;

/// Why the private PostgreSQL cannot be started; each message is whole and names the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No folder with server binaries of a usable version was found.
    #[error(
        "find the server programs of PostgreSQL {OLDEST_MAJOR} or newer. Three ways out: install the `postgresql` package of \
         your distribution; start with `make run`, which obtains them; or set DATABASE_URL (or OPENMPSD__DATABASE__URL) to a \
         server you already have. Looked in: {looked_in}"
    )]
    NoBinaries {
        /// The folders looked into, each with what was wrong with it.
        looked_in: String,
    },
    /// The folder named by the configuration or by `PG_BIN` does not serve.
    #[error("use the PostgreSQL programs in {}: {why}", folder.display())]
    UnusableBinaries {
        /// The folder that was named.
        folder: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The stored cluster was made by another major version than the programs at hand.
    #[error(
        "open the cluster in {}: PostgreSQL {stored} wrote it, but the programs found are of {found}. Install PostgreSQL \
         {stored} beside; to move on from it, `openmpsd backup` with its programs and `openmpsd restore` with newer ones", folder.display()
    )]
    OtherMajor {
        /// The cluster's folder.
        folder: PathBuf,
        /// What `PG_VERSION` says.
        stored: u32,
        /// The version or versions found, with their folders.
        found: String,
    },
    /// The folder where the cluster belongs holds something else.
    #[error("open the cluster in {}: the folder has no readable PG_VERSION. Move it away to begin with an empty cluster", .0.display())]
    NotACluster(PathBuf),
    /// There may be a cluster, which another account owns.
    #[error("open the cluster in {}: it is closed to this user. Run as the user that owns it: {}", .0.display(), owner_of(.0))]
    Foreign(PathBuf),
    /// There is no cluster where one is needed.
    #[error("find a database in {}: there is none yet. Name the data folder of the service with --data-dir", .0.display())]
    NoCluster(PathBuf),
    /// There is a cluster where none is wanted.
    #[error(
        "restore into {}: there is a database already. Name another data folder with --data-dir, or replace it with --replace, \
         which moves the old one aside", .0.display()
    )]
    NotEmpty(PathBuf),
    /// The programs found are not all there are.
    #[error(
        "find {name} in {}: install the client programs of PostgreSQL {major} there (the package `postgresql-client` or \
         `postgresql` of your distribution), or name a folder that has them in embedded.binaries", folder.display()
    )]
    NoTool {
        /// The program.
        name: String,
        /// Where the others are.
        folder: PathBuf,
        /// Their major version.
        major: u32,
    },
    /// A program refused.
    #[error("run {}: it ended with {status} and says: {says}", program.display())]
    Tool {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: String,
        /// What it printed.
        says: String,
    },
    /// Another process has the data folder.
    #[error("lock {}: {holder} is using this data folder. Stop it, or choose another data folder", lock.display())]
    InUse {
        /// The lock file.
        lock: PathBuf,
        /// The process in the way, as far as it is known.
        holder: String,
    },
    /// The unprivileged account cannot reach a folder it needs.
    #[error(
        "reach {} as the account `{account}`, under which PostgreSQL runs when the service runs as root: the folder {} is \
         closed to it. Open it with `chmod o+x`, or choose a data folder elsewhere, such as /var/lib/openmpsd",
        wanted.display(), closed.display()
    )]
    Unsearchable {
        /// The folder that is needed.
        wanted: PathBuf,
        /// The first folder on the way that does not let the account through.
        closed: PathBuf,
        /// The account's name.
        account: String,
    },
    /// No account that PostgreSQL can run under.
    #[error("find an account for PostgreSQL: {0}")]
    NoAccount(String),
    /// The short socket folder exists but is not ours.
    #[error("use the socket folder {}: it exists and belongs to somebody else. Remove it, or choose a data folder with a shorter path", .0.display())]
    ForeignSocketFolder(PathBuf),
    /// Processes of an earlier run do not end.
    #[error("end the PostgreSQL left over in {} (process {pids}): it ignores every signal", folder.display())]
    Immortal {
        /// The folder they work in.
        folder: PathBuf,
        /// Their process ids.
        pids: String,
    },
    /// `initdb` refused.
    #[error("create the cluster in {}: initdb says:\n{output}", folder.display())]
    Initdb {
        /// The folder of the cluster to be.
        folder: PathBuf,
        /// Everything initdb printed.
        output: String,
    },
    /// The server ended before it answered.
    #[error("start PostgreSQL: it ended with {status}; the last lines of {}:\n{tail}", log.display())]
    Died {
        /// How it ended.
        status: String,
        /// The server's log.
        log: PathBuf,
        /// The end of the log.
        tail: String,
    },
    /// The server answers, but refuses us.
    #[error("log in to the embedded PostgreSQL: {0}")]
    Refused(String),
    /// A file or folder did not obey.
    #[error("{what}: {cause}")]
    Io {
        /// What was attempted, with the path.
        what: String,
        /// The system's answer.
        cause: io::Error,
    },
}

impl From<tokio_postgres::Error> for EmbeddedError {
    /// The driver's own words are only "db error"; the server's say what it is about.
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Refused(error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string))
    }
}

/// The name of the account that owns a folder, as far as it can be known.
fn owner_of(folder: &Path) -> String {
    let Ok(found) = std::fs::metadata(folder) else { return "unknown".to_owned() };
    let user = User::from_uid(Uid::from_raw(found.uid())).ok().flatten();
    user.map_or_else(|| format!("user {}", found.uid()), |user| user.name)
}

/// Adds what was attempted, and where, to an I/O error.
pub(super) trait Attempt<T> {
    /// `verb` is what was attempted on `path`: "create", "read".
    fn attempt(self, verb: &str, path: &Path) -> Result<T, EmbeddedError>;
}

impl<T, E: Into<io::Error>> Attempt<T> for Result<T, E> {
    fn attempt(self, verb: &str, path: &Path) -> Result<T, EmbeddedError> {
        self.map_err(|error| EmbeddedError::Io { what: format!("{verb} {}", path.display()), cause: error.into() })
    }
}
