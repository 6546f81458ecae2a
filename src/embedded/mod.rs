//! The private PostgreSQL of the embedded default: found, created, started, kept running and stopped by the service itself.
//!
//! A newcomer gets a real database from one command, and an operator of a small server needs no other. The server has no TCP
//! port; it listens on a socket in the data folder that only its account and the service may open. It runs under an
//! unprivileged account when the service is root, ends when the service ends, however that ends, and comes back by itself when
//! it is the one to fall.
//!
//! The life of a start: the data folder is locked (`lock`), an account is chosen (`account`), programs are found that fit the
//! stored version (`binaries`), a cluster is created if there is none (`cluster`), what an earlier run left behind is cleared
//! (`leftovers`), and the server is run and watched (`supervisor`, `process`).
//!
//! `transfer` takes the database out of a data folder as one file and makes a cluster from one, also of another major version;
//! `inspect` looks at a folder without touching it.
//!
//! Deliberately not here: downloading anything, migrations, pools, and upgrades of a cluster in place. An outside database never
//! comes near this room.

mod account;
mod ballast;
mod binaries;
mod cluster;
mod error;
mod inspect;
mod layout;
mod leftovers;
mod lock;
mod process;
mod supervisor;
#[cfg(test)]
mod tests;
mod transfer;

use std::fmt::Write;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_postgres::Config;
use tracing::{error, info};

pub use self::error::EmbeddedError;
pub use self::inspect::{Inspection, inspect};
pub use self::transfer::{Aside, Restoration, dump};

use self::account::Account;
use self::cluster::Cluster;
use self::error::Attempt;
use self::layout::{Layout, socket_in};
use self::lock::DataDirLock;
use self::supervisor::Server;

/// The one role, a superuser of a server that is nobody else's.
const ROLE: &str = "openmpsd";
/// The database of the service.
const DATABASE: &str = "openmpsd";
/// The number in the socket's name; nothing listens on it.
const PORT: u16 = 5432;

/// How to run the private PostgreSQL.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// The folder for the cluster, its socket and its log; created when missing, together with its parents.
    pub data_dir: PathBuf,
    /// The folder of `initdb` and `postgres`; `None` looks at `PG_BIN`, then in the usual places.
    pub binaries: Option<PathBuf>,
    /// Whether a commit is on disk when it is acknowledged. Only tests may say no.
    pub durable: bool,
    /// The most connections the server takes.
    pub max_connections: u32,
    /// Further server settings, name and value; they win over ours, but not over `durable`.
    pub extra: Vec<(String, String)>,
}

/// Where a database is: what sqlx and tokio-postgres are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The folder of the server's socket, absolute.
    pub socket_dir: PathBuf,
    /// The role to log in as; there is no password.
    pub user: String,
    /// The database.
    pub database: String,
}

impl Connection {
    /// The service's database at the server whose socket is in this folder.
    fn in_folder(socket_dir: PathBuf) -> Self {
        Self { socket_dir, user: ROLE.to_owned(), database: DATABASE.to_owned() }
    }

    /// A URL that libpq, sqlx and tokio-postgres understand alike. It leaves nothing to the `PG…` variables of the environment.
    #[must_use]
    pub fn url(&self) -> String {
        let host = percent_encode(&self.socket_dir.to_string_lossy());
        let (user, database) = (percent_encode(&self.user), percent_encode(&self.database));
        format!("postgresql:///{database}?host={host}&port={PORT}&user={user}&sslmode=disable")
    }

    fn config(&self) -> Config {
        let mut config = Config::new();
        config.host_path(&self.socket_dir).port(PORT).user(&self.user).dbname(&self.database);
        config
    }
}

/// Where the database of a data folder is, if a service serves it at this moment. Takes no lock and creates nothing.
///
/// # Errors
/// When something is there that this user may not reach, or that is not the service's.
pub fn find_running(data_dir: &Path) -> Result<Option<Connection>, EmbeddedError> {
    let Some(layout) = Layout::find(data_dir)? else { return Ok(None) };
    let socket_dir = layout.socket_folder();
    let cluster = if_there(fs::metadata(&layout.pg)).attempt("look at", &layout.pg)?;
    let folder = if_there(fs::symlink_metadata(&socket_dir)).attempt("look at", &socket_dir)?;
    let (Some(cluster), Some(folder)) = (cluster, folder) else { return Ok(None) };
    // It may lie in /tmp, where everybody can put a server of their own.
    if !folder.is_dir() || folder.uid() != cluster.uid() {
        return Err(EmbeddedError::ForeignSocketFolder(socket_dir));
    }
    let socket = socket_in(&socket_dir);
    match if_there(UnixStream::connect(&socket)) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(None),
        connected => Ok(connected.attempt("connect to", &socket)?.map(|_| Connection::in_folder(socket_dir))),
    }
}

/// What was found; `None` when it does not exist.
fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// The text with all but the unreserved characters of RFC 3986 written as `%XX`.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    encoded
}

/// The running private PostgreSQL. Dropping it shuts the server down in the background; [`stop`](Self::stop) waits for that.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    connection: Connection,
    ready: watch::Receiver<bool>,
    stop: oneshot::Sender<()>,
    supervisor: JoinHandle<()>,
}

impl EmbeddedPostgres {
    /// Locks the data folder, creates the cluster if there is none, clears what an earlier run left behind, starts the server,
    /// waits until it answers, and creates the database.
    ///
    /// The supervisor is a task of the calling runtime, which must live as long as the database is needed.
    ///
    /// # Errors
    /// Whatever keeps the server from coming up, in words for the operator. Once it is up, it is restarted for ever.
    pub async fn start(options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        Self::start_as(options, None).await
    }

    /// The same under an account that is given, if it is.
    async fn start_as(options: EmbeddedOptions, account: Option<Account>) -> Result<Self, EmbeddedError> {
        let EmbeddedOptions { data_dir, binaries, durable, max_connections, extra } = options;
        let layout = Layout::open(&data_dir)?;
        let lock = DataDirLock::take(&layout.lock).await?;
        let account = account.map_or_else(|| Account::choose(&layout.pg), Ok)?;
        let cluster = Cluster::open(layout, account, binaries, durable).await?;
        let connection = Connection::in_folder(cluster.socket_folder.clone());
        let server = Server { cluster, connection: connection.clone(), durable, max_connections, extra };
        let child = server.launch().await?;
        let Cluster { layout, account, binaries, .. } = &server.cluster;
        info!(
            "PostgreSQL {} from {} serves {} as {}, process {}",
            binaries.major,
            binaries.folder.display(),
            layout.pg.display(),
            account.name,
            child.pid()
        );
        let (set_ready, ready) = watch::channel(true);
        let (stop, stopped) = oneshot::channel();
        let supervisor = tokio::spawn(server.supervise(child, set_ready, stopped, lock));
        Ok(Self { connection, ready, stop, supervisor })
    }

    /// Where the service's database is.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether the server answers; false while it is being restarted.
    #[must_use]
    pub fn is_running(&self) -> bool {
        *self.ready.borrow()
    }

    /// The same as a channel, for those who want to wait for a change.
    #[must_use]
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.ready.clone()
    }

    /// Shuts the server down and waits for it: sessions are cut and the state is written; after 30 s without that.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.supervisor.await {
            error!(%error, "the supervisor of PostgreSQL did not end well");
        }
    }
}
