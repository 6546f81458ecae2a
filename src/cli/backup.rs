//! `openmpsd backup`: the embedded database and the generated key as a folder that `openmpsd restore` takes.
//!
//! The folder holds `database.dump` (PostgreSQL's own portable form), the two halves of the signing key when there is one, and
//! `manifest.json`, written last, with what everything is and the SHA-256 of every file. It appears under its name when it is whole.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::database::{SettingsArguments, wait_for};
use crate::ambient::Clock;
use crate::embedded::{self, Connection, EmbeddedError, EmbeddedOptions, EmbeddedPostgres};
use crate::settings::Settings;
use crate::store::migrate::{self, Standing};

/// The dump in a backup.
pub const DUMP: &str = "database.dump";
/// What tells of the rest.
const MANIFEST: &str = "manifest.json";
/// The files of the generated key, in a backup and in `keys` of a data directory.
pub const KEYS: [&str; 2] = ["signing.json", "public.json"];
/// The form of backups that is written, and read.
const FORMAT: u32 = 1;
/// Enough for a dump and whoever looks on.
const CONNECTIONS: u32 = 20;

/// What can be typed after `openmpsd backup`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder to make; one that exists gets a folder with the time in its name
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    settings: SettingsArguments,
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// The version of the program that made it.
    pub openmpsd: String,
    /// When, RFC 3339.
    pub made_at: String,
    /// The last migration its schema has.
    pub schema: String,
    /// The SHA-256 of every file, in hexadecimal.
    pub files: BTreeMap<String, String>,
}

/// Backs up the embedded database, of a running service or at rest, and prints where the backup is.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { out, settings } = arguments;
    let settings = settings.load()?;
    ensure!(
        settings.database.url.is_none(),
        "database.url names a PostgreSQL of your own: back it up as its server is backed up, with pg_dump for one"
    );
    ensure!(
        !out.join(MANIFEST).exists(),
        "{} is a backup itself, and no folder for backups: name the folder it lies in, or another one",
        out.display()
    );
    let made_at = Clock::system().real();
    let target = if out.is_dir() { out.join(format!("openmpsd-{}", made_at.format("%Y%m%dT%H%M%SZ"))) } else { out };
    ensure!(!target.exists(), "{} is there already: name another folder", target.display());
    let name = target.file_name().context("--out names no folder")?.to_string_lossy().into_owned();
    let draft = target.with_file_name(format!(".{name}.partial-{}", std::process::id()));
    remove_abandoned(draft.parent());
    DirBuilder::new().mode(0o700).create(&draft).with_context(|| format!("cannot create {}", draft.display()))?;
    let made = wait_for(fill(&settings, &draft, made_at.to_rfc3339())).and_then(|manifest| {
        fs::rename(&draft, &target).with_context(|| format!("cannot move the backup to {}", target.display()))?;
        sync(target.parent())?;
        Ok(manifest)
    });
    let manifest = made.inspect_err(|_| drop(fs::remove_dir_all(&draft)))?;
    writeln!(io::stdout(), "{}", target.display()).context("cannot print where the backup is")?;
    let key =
        if manifest.files.contains_key(KEYS[0]) { " with the signing key, so keep it to yourself" } else { ", without a key" };
    eprintln!("backed up the schema {} and everything in it{key}", manifest.schema);
    eprintln!("restore it into an empty data directory: openmpsd restore {} --data-dir DIR", target.display());
    Ok(())
}

/// Removes what backups left behind in a folder whose process was killed; what cannot be removed stays.
fn remove_abandoned(folder: Option<&Path>) {
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some((_, pid)) = name.to_str().filter(|name| name.starts_with('.')).and_then(|name| name.rsplit_once(".partial-"))
        else {
            continue;
        };
        let Ok(pid) = pid.parse::<i32>() else { continue };
        // A process of another user is alive as well, and says no.
        let is_gone = pid > 0 && kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH);
        if is_gone && fs::remove_dir_all(entry.path()).is_ok() {
            eprintln!("removed {}, which a backup that was killed has left", entry.path().display());
        }
    }
}

/// How the private server is run for a backup or a restore.
pub fn options(settings: &Settings) -> EmbeddedOptions {
    EmbeddedOptions {
        data_dir: settings.embedded.data_dir.clone(),
        binaries: settings.embedded.binaries.clone(),
        durable: true,
        max_connections: CONNECTIONS,
        extra: Vec::new(),
    }
}

/// An error of the embedded room, whose messages fit after "failed to".
#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub fn failed(error: EmbeddedError) -> anyhow::Error {
    anyhow::anyhow!("failed to {error}")
}

/// Puts everything into the folder `draft`.
async fn fill(settings: &Settings, draft: &Path, made_at: String) -> anyhow::Result<Manifest> {
    let data_dir = &settings.embedded.data_dir;
    // The service that runs has the lock; if none does, the server is ours for the while.
    let schema = if let Some(connection) = embedded::find_running(data_dir).map_err(failed)? {
        dump(settings, &connection, draft).await?
    } else {
        let state = embedded::inspect(data_dir, settings.embedded.binaries.clone()).map_err(failed)?;
        if state.stored.is_none() {
            return Err(failed(EmbeddedError::NoCluster(data_dir.clone())));
        }
        let private = EmbeddedPostgres::start(options(settings)).await.map_err(failed)?;
        let dumped = dump(settings, private.connection(), draft).await;
        private.stop().await;
        dumped?
    };
    for name in KEYS {
        let from = data_dir.join("keys").join(name);
        if from.exists() {
            let text = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
            create(&draft.join(name))?.write_all(&text).with_context(|| format!("cannot write {name}"))?;
        }
    }
    let mut files = BTreeMap::new();
    for name in [DUMP].into_iter().chain(KEYS) {
        let path = draft.join(name);
        if path.exists() {
            File::open(&path).and_then(|file| file.sync_all()).with_context(|| format!("cannot write {name} to the disk"))?;
            files.insert(name.to_owned(), digest(&path)?);
        }
    }
    let manifest = Manifest { format: FORMAT, openmpsd: env!("CARGO_PKG_VERSION").to_owned(), made_at, schema, files };
    let mut file = create(&draft.join(MANIFEST))?;
    let text = serde_json::to_string_pretty(&manifest).context("cannot write the manifest")?;
    writeln!(file, "{text}").and_then(|()| file.sync_all()).context("cannot write the manifest")?;
    sync(Some(draft))?;
    Ok(manifest)
}

/// Writes the database to the folder, and returns the last migration it has.
async fn dump(settings: &Settings, connection: &Connection, draft: &Path) -> anyhow::Result<String> {
    let states = migrate::status(&connection.url()).await.context("cannot look at the schema")?;
    let applied = states.into_iter().rfind(|state| state.standing != Standing::Pending);
    let schema = applied.context("the database is empty: there is nothing to back up")?.name;
    let file = create(&draft.join(DUMP))?;
    let embedded = &settings.embedded;
    embedded::dump(&embedded.data_dir, embedded.binaries.clone(), connection, file).await.map_err(failed)?;
    Ok(schema)
}

/// A new file that nobody else may read.
fn create(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| format!("cannot create {}", path.display()))
}

/// Writes a folder's entries to the disk.
fn sync(folder: Option<&Path>) -> anyhow::Result<()> {
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| format!("cannot sync {}", folder.display()))
}

/// The SHA-256 of a file, in hexadecimal.
fn digest(path: &Path) -> anyhow::Result<String> {
    use std::fmt::Write as _;

    struct Sink(Sha256);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut sink = Sink(Sha256::new());
    let copied = File::open(path).and_then(|mut file| io::copy(&mut file, &mut sink));
    copied.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(sink.0.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

impl Manifest {
    /// Reads the backup in a folder, and makes sure that it is whole and that this program can take it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(MANIFEST);
        let text = fs::read(&path).with_context(|| format!("{} is no backup: cannot read its {MANIFEST}", folder.display()))?;
        let manifest: Self = serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?;
        if manifest.format != FORMAT {
            bail!("{} has the form {}, and this program reads {FORMAT}: take a newer one", path.display(), manifest.format);
        }
        ensure!(manifest.files.contains_key(DUMP), "{} names no {DUMP}", path.display());
        for (name, sum) in &manifest.files {
            ensure!(
                name == DUMP || KEYS.contains(&name.as_str()),
                "{} names a file {name:?} that belongs in no backup",
                path.display()
            );
            let file = folder.join(name);
            ensure!(digest(&file)? == *sum, "{} is damaged: it is not the file that was backed up", file.display());
        }
        let number = |schema: &str| schema.get(1..4).and_then(|digits| digits.parse::<u32>().ok());
        let ours = migrate::latest();
        ensure!(
            number(&manifest.schema).is_some_and(|theirs| Some(theirs) <= number(&ours)),
            "the backup has the schema {}, and this program knows them up to {ours}: restore it with openmpsd {} or newer",
            manifest.schema,
            manifest.openmpsd
        );
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a backup of these files, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, change: impl FnOnce(&mut Manifest)) -> Self {
            let path = std::env::temp_dir().join(format!("openmpsd-manifest-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join(DUMP), "PGDMP").unwrap();
            let files = BTreeMap::from([(DUMP.to_owned(), digest(&path.join(DUMP)).unwrap())]);
            let mut manifest = Manifest {
                format: FORMAT,
                openmpsd: "0.1.0".into(),
                made_at: "2026-01-01T00:00:00Z".into(),
                schema: "V001__sessions".into(),
                files,
            };
            change(&mut manifest);
            fs::write(path.join(MANIFEST), serde_json::to_string(&manifest).unwrap()).unwrap();
            Self(path)
        }

        fn refusal(&self) -> String {
            Manifest::read(&self.0).unwrap_err().to_string()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_backup_that_is_not_whole_is_refused() {
        let whole = Scratch::new("whole", |_| ());
        assert_eq!(Manifest::read(&whole.0).unwrap().schema, "V001__sessions");
        fs::write(whole.0.join(DUMP), "PGDMQ").unwrap();
        assert!(
            whole.refusal().ends_with("database.dump is damaged: it is not the file that was backed up"),
            "{}",
            whole.refusal()
        );
        fs::remove_file(whole.0.join(DUMP)).unwrap();
        assert!(whole.refusal().starts_with("cannot read "), "{}", whole.refusal());
        fs::write(whole.0.join(MANIFEST), "{").unwrap();
        assert!(whole.refusal().ends_with("manifest.json is damaged"), "{}", whole.refusal());
        fs::remove_file(whole.0.join(MANIFEST)).unwrap();
        assert!(whole.refusal().contains("is no backup"), "{}", whole.refusal());
    }

    #[test]
    fn what_a_killed_backup_has_left_is_removed() {
        let folder = std::env::temp_dir().join(format!("openmpsd-partials-{}", std::process::id()));
        // No process has so high an id.
        let (dead, alive) =
            (folder.join(".backup.partial-2147483647"), folder.join(format!(".x.partial-{}", std::process::id())));
        let others = [folder.join("backup.partial-2147483647"), folder.join(".backup.partial-"), alive];
        for path in others.iter().chain([&dead]) {
            fs::create_dir_all(path.join("sub")).unwrap();
        }
        remove_abandoned(Some(&folder));
        let kept = others.iter().all(|path| path.exists());
        let removed = !dead.exists();
        fs::remove_dir_all(&folder).unwrap();
        assert!(kept && removed);
    }

    #[test]
    fn a_backup_that_this_program_cannot_take_is_refused() {
        let newer = Scratch::new("newer", |manifest| manifest.schema = "V999__tomorrow".into());
        assert!(newer.refusal().starts_with("the backup has the schema V999__tomorrow"), "{}", newer.refusal());
        let form = Scratch::new("form", |manifest| manifest.format = 2);
        assert!(form.refusal().ends_with("has the form 2, and this program reads 1: take a newer one"), "{}", form.refusal());
        let stray = Scratch::new("stray", |manifest| drop(manifest.files.insert("../../etc/passwd".into(), "00".into())));
        assert!(stray.refusal().contains("belongs in no backup"), "{}", stray.refusal());
    }
}
