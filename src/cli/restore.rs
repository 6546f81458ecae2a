//! `openmpsd restore`: makes the embedded database of a data directory from a backup, whatever major version of PostgreSQL made it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::backup::{DUMP, KEYS, Manifest, failed, options, sync};
use super::database::{SettingsArguments, wait_for};
use crate::ambient::Clock;
use crate::embedded::Restoration;
use crate::settings::Settings;
use crate::store::migrate::{self, Standing};
use crate::store::{Store, StoreOptions};

/// How long one statement of the projection check may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// What can be typed after `openmpsd restore`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The backup: the folder that `openmpsd backup` made
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// Replace the database and the key that are there; they are moved aside
    #[arg(long)]
    replace: bool,
    /// Bring the schema up to date and compare all sessions with what is derived from them, before anything is put in place
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    settings: SettingsArguments,
}

/// Restores a backup and says what became of it.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { backup, replace, verify, settings } = arguments;
    // First of all: a backup that is not whole must not cost anything.
    let manifest = Manifest::read(&backup)?;
    let settings = settings.load()?;
    ensure!(
        settings.database.url.is_none(),
        "database.url names a PostgreSQL of your own: unset it to restore the embedded one, or restore {} there with pg_restore",
        backup.join(DUMP).display()
    );
    let keys = settings.embedded.data_dir.join("keys");
    let key = manifest.files.contains_key(KEYS[0]).then(|| fs::read(backup.join(KEYS[0]))).transpose();
    let key = key.context("cannot read the backup's signing key")?;
    let old_key = fs::read(keys.join(KEYS[0])).ok();
    let key_changes = key.is_some() && old_key != key;
    if key_changes && old_key.is_some() && !replace {
        bail!(
            "{} holds another signing key than the backup: move it away, or let --replace do so (tokens of the other key are void then)",
            keys.display()
        );
    }
    let aside = format!("before-{}", Clock::system().real().format("%Y%m%dT%H%M%SZ"));
    let old = wait_for(put_back(&settings, &backup, replace, verify, &aside))?;
    if let Some(old) = old {
        eprintln!("the database that was there is in {}: remove it when you are content", old.display());
    }
    if key_changes {
        if old_key.is_some() {
            let old = keys.with_file_name(format!("keys.{aside}"));
            fs::rename(&keys, &old).with_context(|| format!("cannot move {} aside", keys.display()))?;
            eprintln!("the key that was there is in {}", old.display());
        }
        put_keys(&backup, &keys)?;
    }
    let data_dir = settings.embedded.data_dir.display();
    let Manifest { made_at, schema, .. } = manifest;
    writeln!(io::stdout(), "{data_dir}").context("cannot print where the data is")?;
    eprintln!("restored the schema {schema} as of {made_at}; serve it: openmpsd serve --data-dir {data_dir}");
    Ok(())
}

/// Makes the cluster, looks at it, and puts it in its place; returns where the old one went.
async fn put_back(
    settings: &Settings,
    backup: &Path,
    replace: bool,
    verify: bool,
    aside: &str,
) -> anyhow::Result<Option<PathBuf>> {
    let path = backup.join(DUMP);
    let dump = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let restoration = Restoration::begin(options(settings), replace).await.map_err(failed)?;
    let sound = match restoration.load(dump).await.map_err(failed) {
        Ok(()) => check(&restoration.connection().url(), verify).await,
        Err(error) => Err(error),
    };
    if let Err(error) = sound {
        restoration.abandon().await;
        return Err(error.context("nothing was restored"));
    }
    restoration.finish(aside).await.map_err(failed)
}

/// Whether what was restored fits this program, and with `verify` also itself.
async fn check(url: &str, verify: bool) -> anyhow::Result<()> {
    let states = migrate::status(url).await.context("cannot look at the restored schema")?;
    let foreign = states.iter().find(|state| !matches!(state.standing, Standing::Applied(_) | Standing::Pending));
    if let Some(state) = foreign {
        bail!("the restored schema does not fit this program: see {}", state.name);
    }
    migrate::settle_restored(url).await.context("cannot settle the restored schema")?;
    if !verify {
        return Ok(());
    }
    for name in migrate::migrate(url).await.context("cannot bring the restored schema up to date")? {
        eprintln!("applied {name}");
    }
    let connect = url.parse().context("the private server's URL cannot be understood")?;
    let options = StoreOptions { connect, pool_max: 1, statement_timeout: PATIENCE, acquire_timeout: PATIENCE };
    let store = Store::connect(options).await.context("cannot reach the restored database")?;
    let differences = store.verify().await;
    store.close().await;
    let differences = differences.context("cannot check the restored sessions")?;
    for difference in &differences {
        eprintln!("{difference}");
    }
    ensure!(differences.is_empty(), "the restored sessions and what is derived from them differ");
    eprintln!("all sessions agree with what is derived from them");
    Ok(())
}

/// Puts the backup's key into the folder `keys`: the private half first readable by nobody else.
fn put_keys(backup: &Path, keys: &Path) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(keys).with_context(|| format!("cannot create {}", keys.display()))?;
    for (name, mode) in KEYS.into_iter().zip([0o600, 0o644]) {
        let from = backup.join(name);
        if !from.exists() {
            continue;
        }
        let text = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        let to = keys.join(name);
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&to).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.with_context(|| format!("cannot write {}", to.display()))?;
    }
    sync(Some(keys))
}
