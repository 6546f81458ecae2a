//! `openmpsd restore`: makes the embedded database of a data directory from a backup, whatever major version of PostgreSQL made it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::backup::{DUMP, KEYS, Manifest, failed, options};
use super::database::{SettingsArguments, wait_for};
use crate::ambient::Clock;
use crate::embedded::{Aside, Restoration};
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
    let key_files = if key_changes { read_keys(&backup)? } else { Vec::new() };
    let old = wait_for(put_back(&settings, &backup, &key_files, replace, verify))?;
    if let Some(old) = old.cluster {
        eprintln!("the database that was there is in {}: remove it when you are content", old.display());
    }
    if let Some(old) = old.beside {
        eprintln!("the key that was there is in {}", old.display());
    }
    let data_dir = settings.embedded.data_dir.display();
    let Manifest { made_at, schema, .. } = manifest;
    writeln!(io::stdout(), "{data_dir}").context("cannot print where the data is")?;
    eprintln!("restored the schema {schema} as of {made_at}; serve it: openmpsd serve --data-dir {data_dir}");
    Ok(())
}

/// Makes the cluster, looks at it, and puts it in its place, together with the key; returns where the old ones went.
async fn put_back(
    settings: &Settings,
    backup: &Path,
    keys: &[(&str, u32, Vec<u8>)],
    replace: bool,
    verify: bool,
) -> anyhow::Result<Aside> {
    let path = backup.join(DUMP);
    let dump = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut restoration = Restoration::begin(options(settings), replace).await.map_err(failed)?;
    let sound = async {
        restoration.load(dump).await.map_err(failed)?;
        check(&restoration.connection().url(), verify).await?;
        if keys.is_empty() { Ok(()) } else { restoration.put_beside("keys", keys).map_err(failed) }
    }
    .await;
    if let Err(error) = sound {
        restoration.abandon().await;
        return Err(error.context("nothing was restored"));
    }
    let aside = format!("before-{}", Clock::system().real().format("%Y%m%dT%H%M%SZ"));
    restoration.finish(&aside).await.map_err(failed)
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

/// The files of the backup's key, each with its mode: nobody else may read the private half.
fn read_keys(backup: &Path) -> anyhow::Result<Vec<(&'static str, u32, Vec<u8>)>> {
    let files = KEYS.into_iter().zip([0o600, 0o644]).filter(|(name, _)| backup.join(name).exists());
    let read = |(name, mode)| {
        let from = backup.join(name);
        Ok((name, mode, fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?))
    };
    files.map(read).collect()
}
