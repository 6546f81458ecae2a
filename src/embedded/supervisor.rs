//! Keeps the server running: starts it, waits until it answers, starts it again when it ends, stops it at the end.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};
use tracing::{error, info, warn};

use super::cluster::Cluster;
use super::error::{Attempt, EmbeddedError};
use super::lock::DataDirLock;
use super::process::Child;
use super::{Connection, DATABASE, PORT, ballast, leftovers};

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// A server that lived this long was healthy: its end is news, and the next start need not wait long.
const HEALTHY_LIFE: Duration = Duration::from_mins(1);

/// How often it is looked whether the server's log has grown large.
const TIDY_INTERVAL: Duration = Duration::from_mins(10);

/// The steps in which a starting server is asked whether it answers.
const STEP: Duration = Duration::from_millis(25);

/// A cluster with the settings it is served with.
#[derive(Debug)]
pub(super) struct Server {
    pub cluster: Cluster,
    pub connection: Connection,
    pub durable: bool,
    pub max_connections: u32,
    pub extra: Vec<(String, String)>,
}

impl Server {
    /// Starts the server and waits until it answers and has our database, however long its recovery takes.
    pub async fn launch(&self) -> Result<Child, EmbeddedError> {
        self.tend_ballast();
        match self.launch_once().await {
            Err(error) if self.tend_ballast() => {
                warn!("trying again with more room, after: {error}");
                self.launch_once().await
            }
            outcome => outcome,
        }
    }

    fn tend_ballast(&self) -> bool {
        self.durable && ballast::tend(&self.cluster.layout)
    }

    async fn launch_once(&self) -> Result<Child, EmbeddedError> {
        self.clear_leftovers().await?;
        let mut child = Child::spawn(self.command()?).await.attempt("run", &self.cluster.binaries.postgres())?;
        self.wait_until_it_answers(&mut child).await?;
        Ok(child)
    }

    async fn clear_leftovers(&self) -> Result<(), EmbeddedError> {
        let Cluster { layout, account, socket_folder, .. } = &self.cluster;
        leftovers::clear(&layout.pg, socket_folder, account).await
    }

    fn command(&self) -> Result<Command, EmbeddedError> {
        let layout = &self.cluster.layout;
        let log = layout.open_log()?;
        let mut command = self.cluster.command(&self.cluster.binaries.postgres());
        command.arg("-D").arg(&layout.pg);
        command.stdout(log.try_clone().attempt("open", &layout.log)?).stderr(log);
        let mut set = |name: &str, value: OsString| {
            let mut setting = OsString::from(format!("{name}="));
            setting.push(value);
            command.arg("-c").arg(setting);
        };
        for (name, path) in [("hba_file", &layout.hba), ("ident_file", &layout.ident)] {
            set(name, path.into());
        }
        set("unix_socket_directories", quoted(&self.connection.socket_dir));
        set("port", PORT.to_string().into());
        set("max_connections", self.max_connections.to_string().into());
        for (name, value) in SETTINGS {
            set(name, value.into());
        }
        for (name, value) in &self.extra {
            set(name, value.into());
        }
        // The last word: acknowledged means durable, whatever else is set.
        for name in ["fsync", "full_page_writes", "synchronous_commit"] {
            set(name, if self.durable { "on" } else { "off" }.into());
        }
        Ok(command)
    }

    async fn wait_until_it_answers(&self, child: &mut Child) -> Result<(), EmbeddedError> {
        let begun = Instant::now();
        let mut next_word = Duration::from_secs(10);
        loop {
            tokio::select! {
                status = child.wait() => {
                    let layout = &self.cluster.layout;
                    let status = status.to_string();
                    return Err(EmbeddedError::Died { status, log: layout.log.clone(), tail: layout.log_tail() });
                }
                answered = self.ask() => if answered? { return Ok(()) },
            }
            if begun.elapsed() > next_word {
                next_word *= 2;
                info!("PostgreSQL is not ready after {} s; it may be recovering", begun.elapsed().as_secs());
            }
            sleep(STEP).await;
        }
    }

    /// Whether the server takes connections to our database, which is created when it is missing.
    async fn ask(&self) -> Result<bool, EmbeddedError> {
        let mut config = self.connection.config();
        let Ok(outcome) = timeout(Duration::from_secs(10), config.connect(NoTls)).await else {
            return Ok(false);
        };
        match outcome {
            Ok(_) => Ok(true),
            Err(error) => match error.code() {
                // Not listening yet, or not ready.
                None | Some(&SqlState::CANNOT_CONNECT_NOW) => Ok(false),
                // It serves, and more than we want.
                Some(&SqlState::TOO_MANY_CONNECTIONS) => Ok(true),
                Some(&SqlState::INVALID_CATALOG_NAME) => {
                    create_database(config.dbname("postgres")).await?;
                    Ok(true)
                }
                Some(_) => Err(error.into()),
            },
        }
    }

    /// Serves until `stop` speaks or falls, then shuts the server down; `lock` falls last.
    pub async fn supervise(self, first: Child, ready: watch::Sender<bool>, mut stop: oneshot::Receiver<()>, lock: DataDirLock) {
        let mut child = first;
        let mut delay = FIRST_DELAY;
        let mut tidying = interval(TIDY_INTERVAL);
        tidying.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut begun = Instant::now();
        loop {
            tokio::select! {
                _ = tidying.tick() => {
                    if let Err(error) = self.cluster.layout.open_log() {
                        warn!("failed to {error}");
                    }
                    continue;
                }
                status = child.wait() => {
                    error!("PostgreSQL ended with {status}; see {}", self.cluster.layout.log.display());
                    ready.send_replace(false);
                }
                _ = &mut stop => {
                    ready.send_replace(false);
                    let status = child.stop().await;
                    info!("PostgreSQL stopped with {status}");
                    break;
                }
            }
            if begun.elapsed() > HEALTHY_LIFE {
                delay = FIRST_DELAY;
            }
            tokio::select! {
                again = self.relaunch(&mut delay) => child = again,
                _ = &mut stop => {
                    // The launch just given up may have come far.
                    if let Err(error) = self.clear_leftovers().await {
                        warn!("failed to {error}");
                    }
                    break;
                }
            }
            begun = Instant::now();
            ready.send_replace(true);
            info!("PostgreSQL is back, process {}", child.pid());
        }
        drop(lock);
    }

    /// Launches the server again after `delay`, as often as it takes; `delay` grows with each attempt.
    async fn relaunch(&self, delay: &mut Duration) -> Child {
        loop {
            sleep(*delay).await;
            *delay = (*delay * 2).min(LONGEST_DELAY);
            match self.launch().await {
                Ok(child) => return child,
                Err(error) => error!("failed to {error}; trying again in {} s", delay.as_secs()),
            }
        }
    }
}

/// What differs from PostgreSQL's defaults, for a small machine that it shares with the service.
const SETTINGS: [(&str, &str); 13] = [
    ("cluster_name", DATABASE),
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] "),
    // Details of an error show rows, and rows hold what must not be logged.
    ("log_error_verbosity", "terse"),
    ("log_checkpoints", "off"),
    ("shared_buffers", "128MB"),
    ("max_wal_size", "1GB"),
    ("min_wal_size", "128MB"),
    ("random_page_cost", "1.1"),
    // Our statements are short; compiling them takes longer than running them.
    ("jit", "off"),
];

/// A folder as `unix_socket_directories` wants it, where a comma would begin another.
fn quoted(folder: &Path) -> OsString {
    let mut text = OsString::from("\"");
    text.push(folder);
    text.push("\"");
    text
}

async fn create_database(maintenance: &Config) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = maintenance.connect(NoTls).await?;
    let (created, ()) = tokio::join!(
        async {
            let created = client.batch_execute("create database openmpsd").await;
            // Ends the connection, and with it the other half.
            drop(client);
            created
        },
        async {
            if let Err(error) = connection.await {
                warn!(%error, "failed to close the connection that created the database");
            }
        }
    );
    created
}
