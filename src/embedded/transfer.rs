//! The database of a data folder as one file, and a cluster made from such a file.
//!
//! The file is what `pg_dump` makes: one snapshot, taken while the service goes on, and readable by every newer major version of
//! PostgreSQL. A restored cluster is made beside the place of the old one and moved there whole, so that whatever happens on the way,
//! the data folder holds either the one or the other.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown, fchown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::geteuid;
use tokio_postgres::NoTls;

use super::account::Account;
use super::binaries::{Binaries, Search};
use super::cluster::{command_for, stored_major};
use super::error::{Attempt, EmbeddedError};
use super::layout::{Layout, sync_folder};
use super::lock::DataDirLock;
use super::process::die_with_us;
use super::{Connection, EmbeddedOptions, EmbeddedPostgres, PORT, leftovers};
use crate::settings::default_data_dir;

/// Where in a data folder a cluster is restored until it is whole.
const STAGING: &str = "restoring";

/// Writes the database of a running server to `file`. Roles and rights are left out: whoever restores it makes them anew.
///
/// # Errors
/// When the programs at hand have no `pg_dump`, or that fails.
pub async fn dump(data_dir: &Path, configured: Option<PathBuf>, from: &Connection, file: File) -> Result<(), EmbeddedError> {
    let layout = Layout::find(data_dir)?.ok_or_else(|| EmbeddedError::NoCluster(data_dir.to_owned()))?;
    let account = Account::choose(&layout.pg)?;
    let program = programs(&layout, configured, &account)?.tool("pg_dump")?;
    let mut command = command_for(&account, &program);
    // Not every build that may restore it has every method of compression.
    command.args(["--format=custom", "--no-owner", "--no-privileges", "--no-toast-compression", "--no-password"]);
    address(&mut command, from);
    command.stdout(file);
    run(command, &program).await
}

/// What a restore has moved aside.
#[derive(Debug, Default)]
pub struct Aside {
    /// The cluster that was there.
    pub cluster: Option<PathBuf>,
    /// The folder that was there in place of the one [`put_beside`](Restoration::put_beside) has made.
    pub beside: Option<PathBuf>,
}

/// A cluster that is being restored, with its server running; dropped before [`finish`](Self::finish), it changes nothing.
#[derive(Debug)]
pub struct Restoration {
    layout: Layout,
    staging: PathBuf,
    /// The folder in `staging` that is put in place together with the cluster.
    beside: Option<&'static str>,
    account: Account,
    pg_restore: PathBuf,
    private: EmbeddedPostgres,
    lock: DataDirLock,
}

impl Restoration {
    /// Locks the data folder and starts an empty server in it, beside the cluster that is there only if it is to be replaced.
    ///
    /// # Errors
    /// When a service runs on the folder, when it holds a cluster that is not to be replaced, and whatever keeps a server from coming
    /// up.
    pub async fn begin(options: EmbeddedOptions, replace: bool) -> Result<Self, EmbeddedError> {
        let layout = Layout::open(&options.data_dir)?;
        let lock = DataDirLock::take(&layout.lock).await?;
        if !replace && layout.pg.exists() {
            return Err(EmbeddedError::NotEmpty(layout.data_dir));
        }
        // Whoever owns what is there owns what takes its place, also when root restores it.
        give_to_owner(&layout.lock, &layout.data_dir)?;
        let account = Account::inherit(&layout.pg, &layout.data_dir)?;
        // The newest programs there are, whatever wrote the cluster that goes.
        let default = default_data_dir().unwrap_or_else(|_| layout.data_dir.clone());
        let binaries = Search::new(options.binaries.clone(), &[&layout.data_dir, &default]).find(None, &account)?;
        let pg_restore = binaries.tool("pg_restore")?;
        let staging = layout.data_dir.join(STAGING);
        if staging.exists() {
            leftovers::end_processes(&staging.join("pg"), &account).await?;
            fs::remove_dir_all(&staging).attempt("remove what an earlier restore left in", &staging)?;
        }
        let options = EmbeddedOptions { data_dir: staging.clone(), binaries: Some(binaries.folder), ..options };
        let private = EmbeddedPostgres::start_as(options, Some(account.clone())).await?;
        Ok(Self { layout, staging, beside: None, account, pg_restore, private, lock })
    }

    /// Where the database is that is being restored.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.private.connection()
    }

    /// Fills the database from a file that [`dump`] made: wholly or not at all.
    ///
    /// # Errors
    /// When the file is none, or the server refuses it.
    pub async fn load(&self, file: File) -> Result<(), EmbeddedError> {
        let mut command = command_for(&self.account, &self.pg_restore);
        command.args(["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-password"]);
        address(&mut command, self.connection());
        command.stdin(file);
        run(command, &self.pg_restore).await?;
        // A dump knows nothing about how values are distributed.
        let (client, connection) = self.connection().config().connect(NoTls).await?;
        let driver = tokio::spawn(connection);
        client.batch_execute("analyze").await?;
        drop(client);
        let _ = driver.await;
        Ok(())
    }

    /// Makes a folder with these files (name, mode, contents), closed to others, that [`finish`](Self::finish) puts into the data folder
    /// together with the cluster. It belongs to whoever owns the data folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_beside(&mut self, name: &'static str, files: &[(&str, u32, Vec<u8>)]) -> Result<(), EmbeddedError> {
        let folder = self.staging.join(name);
        DirBuilder::new().mode(0o700).create(&folder).attempt("create", &folder)?;
        let owner = owner_to_be(&self.layout.data_dir)?;
        for (name, mode, contents) in files {
            let path = folder.join(name);
            let written = OpenOptions::new().write(true).create_new(true).mode(*mode).open(&path).and_then(|mut file| {
                file.write_all(contents)?;
                if let Some((user, group)) = owner {
                    fchown(&file, Some(user), Some(group))?;
                }
                file.sync_all()
            });
            written.attempt("write", &path)?;
        }
        give_to_owner(&folder, &self.layout.data_dir)?;
        sync_folder(&folder)?;
        self.beside = Some(name);
        Ok(())
    }

    /// Stops the server and puts the cluster in its place, then the folder beside it; what is there is moved to `….{aside}`.
    ///
    /// Each is put in place whole. Between the two lies one moment: killed there, a restore has put the cluster in place and not yet the
    /// folder, and is to be made again.
    ///
    /// # Errors
    /// When the folders cannot be moved.
    pub async fn finish(self, aside: &str) -> Result<Aside, EmbeddedError> {
        let Self { layout, staging, beside, private, lock, .. } = self;
        stop(private).await;
        if layout.pg.exists() {
            // A server whose service was killed may still work in it.
            leftovers::end_processes(&layout.pg, &Account::choose(&layout.pg)?).await?;
        }
        let cluster = put_in_place(&staging.join("pg"), &layout.pg, aside)?;
        let beside = match beside {
            Some(name) => put_in_place(&staging.join(name), &layout.data_dir.join(name), aside)?,
            None => None,
        };
        sync_folder(&layout.data_dir)?;
        fs::remove_dir_all(&staging).attempt("remove", &staging)?;
        drop(lock);
        Ok(Aside { cluster, beside })
    }

    /// Stops the server and removes what was restored.
    pub async fn abandon(self) {
        stop(self.private).await;
        // What stays is removed by the next restore.
        let _ = fs::remove_dir_all(&self.staging);
    }
}

/// Moves a folder to its place; one that is there is moved to the same name with `.{aside}`, which is returned.
fn put_in_place(restored: &Path, place: &Path, aside: &str) -> Result<Option<PathBuf>, EmbeddedError> {
    if !place.exists() {
        fs::rename(restored, place).attempt("move what was restored to", place)?;
        return Ok(None);
    }
    let mut old = place.as_os_str().to_owned();
    old.push(format!(".{aside}"));
    let old = PathBuf::from(old);
    fs::rename(restored, &old).attempt("move what was restored to", &old)?;
    exchange(&old, place).attempt("move what was restored to", place)?;
    Ok(Some(old))
}

/// To whom root gives what it makes in a data folder: the folder's owner, if that is another.
fn owner_to_be(data_dir: &Path) -> Result<Option<(u32, u32)>, EmbeddedError> {
    let found = fs::metadata(data_dir).attempt("look at", data_dir)?;
    Ok((geteuid().is_root() && found.uid() != 0).then(|| (found.uid(), found.gid())))
}

fn give_to_owner(path: &Path, data_dir: &Path) -> Result<(), EmbeddedError> {
    match owner_to_be(data_dir)? {
        Some((user, group)) => chown(path, Some(user), Some(group)).attempt("give away", path),
        None => Ok(()),
    }
}

/// Stops the server of a restoration. Its socket's folder is not needed again; it lies elsewhere when the path is long.
async fn stop(private: EmbeddedPostgres) {
    let folder = private.connection().socket_dir.clone();
    private.stop().await;
    let _ = fs::remove_dir(folder);
}

/// Lets two folders change their names. Where the system can, nobody ever finds only one of them.
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
        if renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE).is_ok() {
            return Ok(());
        }
    }
    let mut between = one.as_os_str().to_owned();
    between.push(".tmp");
    fs::rename(one, &between)?;
    fs::rename(other, one)?;
    fs::rename(&between, other)
}

fn programs(layout: &Layout, configured: Option<PathBuf>, account: &Account) -> Result<Binaries, EmbeddedError> {
    let stored = stored_major(&layout.pg)?.ok_or_else(|| EmbeddedError::NoCluster(layout.data_dir.clone()))?;
    let default = default_data_dir().unwrap_or_else(|_| layout.data_dir.clone());
    Search::new(configured, &[&layout.data_dir, &default]).find(Some((stored, &layout.pg)), account)
}

fn address(command: &mut Command, server: &Connection) {
    command.arg("--host").arg(&server.socket_dir).args(["--port", &PORT.to_string(), "--username", &server.user]);
    command.args(["--dbname", &server.database]);
}

/// Runs a program to its end; what it says is the error.
async fn run(mut command: Command, program: &Path) -> Result<(), EmbeddedError> {
    command.stderr(Stdio::piped());
    die_with_us(&mut command);
    // The thread that spawns it is the one that waits for it: see `die_with_us`.
    let ended = tokio::task::spawn_blocking(move || command.spawn()?.wait_with_output()).await;
    let output = ended.expect("running a program does not panic").attempt("run", program)?;
    if output.status.success() {
        return Ok(());
    }
    let says = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(EmbeddedError::Tool { program: program.to_owned(), status: output.status.to_string(), says })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_put_in_place_and_the_one_there_kept() {
        let scratch = std::env::temp_dir().join(format!("openmpsd-place-{}", std::process::id()));
        let (restored, place) = (scratch.join("restored"), scratch.join("keys"));
        for (name, aside) in [("one", None), ("two", Some(scratch.join("keys.before")))] {
            fs::create_dir_all(&restored).unwrap();
            fs::write(restored.join("name"), name).unwrap();
            assert_eq!(put_in_place(&restored, &place, "before").unwrap(), aside);
        }
        let names = [&place, &scratch.join("keys.before")].map(|path| fs::read_to_string(path.join("name")).unwrap());
        let gone = !restored.exists();
        fs::remove_dir_all(&scratch).unwrap();
        assert!(gone);
        assert_eq!(names, ["two", "one"]);
    }

    #[test]
    fn two_folders_change_their_names() {
        let folder = std::env::temp_dir().join(format!("openmpsd-exchange-{}", std::process::id()));
        let (one, other) = (folder.join("one"), folder.join("other"));
        for path in [&one, &other] {
            fs::create_dir_all(path).unwrap();
            fs::write(path.join("name"), path.file_name().unwrap().to_str().unwrap()).unwrap();
        }
        exchange(&one, &other).unwrap();
        let names = [&one, &other].map(|path| fs::read_to_string(path.join("name")).unwrap());
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(names, ["other", "one"]);
    }
}
