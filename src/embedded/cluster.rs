//! Makes a cluster ready to be served: created if there is none, matched with programs of its version.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tracing::info;

use super::account::Account;
use super::binaries::{Binaries, Search, variable};
use super::error::{Attempt, EmbeddedError};
use super::layout::{Layout, sync_folder};
use super::process::die_with_us;
use super::{ROLE, leftovers};
use crate::settings::default_data_dir;

/// A cluster on disk, with all that is needed to serve it.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub layout: Layout,
    pub account: Account,
    pub binaries: Binaries,
    pub socket_folder: PathBuf,
}

impl Cluster {
    /// Opens the cluster of `layout`, creating it when there is none. The caller holds the lock of the data folder.
    pub async fn open(
        layout: Layout,
        account: Account,
        configured: Option<PathBuf>,
        durable: bool,
    ) -> Result<Self, EmbeddedError> {
        account.check_reach(&layout.data_dir)?;
        let stored = stored_major(&layout.pg)?;
        // `make run` unpacks programs into the default data folder, whatever the folder of this cluster is.
        let default = default_data_dir().unwrap_or_else(|_| layout.data_dir.clone());
        let search = Search::new(configured, &[&layout.data_dir, &default]);
        let binaries = search.find(stored.map(|major| (major, layout.pg.as_path())), &account)?;
        let socket_folder = layout.prepare_socket_folder(&account)?;
        layout.write_access(&account)?;
        let cluster = Self { layout, account, binaries, socket_folder };
        if stored.is_none() {
            cluster.create(durable).await?;
        }
        Ok(cluster)
    }

    /// Creates the cluster beside its place and moves it there whole, so that a half-made one is never taken for one.
    async fn create(&self, durable: bool) -> Result<(), EmbeddedError> {
        let Layout { pg, pg_init, data_dir, .. } = &self.layout;
        leftovers::end_processes(pg_init, &self.account).await?;
        if pg_init.exists() {
            fs::remove_dir_all(pg_init).attempt("remove the half-made cluster", pg_init)?;
        }
        DirBuilder::new().mode(0o700).create(pg_init).attempt("create", pg_init)?;
        self.account.own(pg_init)?;

        let mut command = self.command(&self.binaries.initdb());
        command.arg("-D").arg(pg_init).args([
            "-U",
            ROLE,
            "-A",
            "peer",
            "--auth-host=reject",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-k",
        ]);
        if !durable {
            command.arg("--no-sync");
        }
        die_with_us(&mut command);
        // The thread that spawns initdb is the one that waits for it: see `die_with_us`.
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("running initdb does not panic");
        let output = output.attempt("run", &self.binaries.initdb())?;
        if !output.status.success() {
            let output = [output.stdout, output.stderr].concat();
            return Err(EmbeddedError::Initdb { folder: pg.clone(), output: String::from_utf8_lossy(&output).into_owned() });
        }
        fs::rename(pg_init, pg).attempt("move the new cluster to", pg)?;
        if durable {
            sync_folder(data_dir)?;
        }
        info!("created a cluster of PostgreSQL {} in {}", self.binaries.major, pg.display());
        Ok(())
    }

    /// A command under the cluster's account.
    pub fn command(&self, program: &Path) -> Command {
        command_for(&self.account, program)
    }
}

/// A command under an account, with nothing of our environment that PostgreSQL would listen to.
pub(super) fn command_for(account: &Account, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir("/").stdin(Stdio::null());
    for name in ["PATH", "LD_LIBRARY_PATH"] {
        if let Some(value) = variable(name) {
            command.env(name, value);
        }
    }
    account.apply(&mut command);
    command
}

/// The major version that wrote the cluster in `pg`; `None` when there is no cluster.
pub(super) fn stored_major(pg: &Path) -> Result<Option<u32>, EmbeddedError> {
    if !pg.try_exists().attempt("look at", pg)? {
        return Ok(None);
    }
    match fs::read_to_string(pg.join("PG_VERSION")) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| EmbeddedError::NotACluster(pg.to_owned())),
        Err(error) => Err(match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::InvalidData => {
                EmbeddedError::NotACluster(pg.to_owned())
            }
            ErrorKind::PermissionDenied => EmbeddedError::Foreign(pg.to_owned()),
            _ => return Err(error).attempt("read PG_VERSION in", pg),
        }),
    }
}
