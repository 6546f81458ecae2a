//! What the operator has put in place: keys, service configs, and for the embedded database its programs and its folder.

use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, eaccess};

use super::Check;
use crate::app::{Certificate, TlsFiles};
use crate::auth::{KeyError, KeySet, SigningKey, Situation};
use crate::embedded;
use crate::services;
use crate::settings::Settings;
use crate::telemetry;

/// The longest path of a socket, in bytes, that every system takes.
const SOCKET_PATH_LIMIT: usize = 104;

/// Whether the keys are there that tokens are checked with, and whether they are good enough where the service listens.
pub fn keys(settings: &Settings, dev: bool) -> Vec<Check> {
    let configured = &settings.auth.keys;
    let outside_database = settings.database.url.is_some();
    let situation = Situation { dev, outside_database, listen: settings.server.listen };
    let mut checks = Vec::new();
    if let Err(error) = situation.check(configured.is_empty()) {
        let text = error.to_string();
        let (says, remedy) = text.split_once(": ").unwrap_or((&text, "list public keys in auth.keys"));
        checks.push(Check::fail("signing keys", says, remedy));
    }
    if configured.is_empty() {
        checks.push(generated_key(&settings.embedded.data_dir));
    } else {
        checks.push(match KeySet::load(configured) {
            Ok(keys) => Check::fine("signing keys", format!("tokens are believed that are signed with one of {keys:?}")),
            Err(error) => Check::fail("signing keys", error.to_string(), "mend or remove what auth.keys names"),
        });
    }
    checks
}

/// The key of the data directory, which is not made if it is missing.
fn generated_key(data_dir: &Path) -> Check {
    match SigningKey::find(data_dir) {
        Ok(None) => {
            let path = data_dir.join("keys/signing.json");
            Check::fine("signing keys", format!("{} is generated at the first start", path.display()))
        }
        Err(error @ KeyError::Unreadable { .. }) => {
            Check::fail("signing keys", error.to_string(), "run the doctor as the user that runs the service")
        }
        Ok(Some(key)) => Check::fine("signing keys", format!("the generated key {}, which nobody else can read", key.kid())),
        Err(error) => {
            let remedy = "mend it, or move it away: a new one is generated, and tokens of the old one are void then";
            Check::fail("signing keys", error.to_string(), remedy)
        }
    }
}

/// Whether there will be a log, and TLS if it is wanted.
pub fn telemetry_and_tls(settings: &Settings) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Err(error) = telemetry::check(&settings.telemetry) {
        checks.push(Check::fail("settings", error.to_string(), "write a filter such as info,openmpsd=debug"));
    }
    if let Some((cert, key)) = settings.server.tls_cert.clone().zip(settings.server.tls_key.clone()) {
        let says = format!("the certificate {} goes with its key", cert.display());
        checks.push(match Certificate::open(TlsFiles { cert, key }) {
            Ok(_) => Check::fine("TLS", says),
            Err(error) => {
                Check::fail("TLS", error.to_string(), "name PEM files that this user can read and that belong together")
            }
        });
    }
    checks
}

/// Whether this user may write to the data directory, or make it.
fn writable(data_dir: &Path) -> Option<Check> {
    let lock = data_dir.join("lock");
    let existing = data_dir.ancestors().find(|folder| folder.exists())?;
    let folder = eaccess(existing, AccessFlags::W_OK | AccessFlags::X_OK).err().map(|errno| (existing, errno));
    let closed = folder.or_else(|| match eaccess(&lock, AccessFlags::R_OK | AccessFlags::W_OK) {
        Err(errno) if errno != Errno::ENOENT => Some((lock.as_path(), errno)),
        _ => None,
    });
    closed.map(|(path, errno)| {
        let says = format!("this user cannot write to {}: {}", path.display(), errno.desc());
        Check::fail("data directory", says, "run as the user that owns it, or choose another one with --data-dir")
    })
}

/// What restores have left in a data directory.
fn leftovers(data_dir: &Path) -> Vec<Check> {
    let entries = std::fs::read_dir(data_dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let mut checks = Vec::new();
    if names.iter().any(|name| name == "restoring") {
        let says = format!("{} is there: a restore is under way, or was killed", data_dir.join("restoring").display());
        checks.push(Check::warn("restore", says, "if none is under way, make it again, or remove the folder"));
    }
    names.retain(|name| name.starts_with("pg.before-") || name.starts_with("keys.before-"));
    if !names.is_empty() {
        let says = format!("{} in {} were moved aside by a restore and take room", names.join(", "), data_dir.display());
        checks.push(Check::warn("restore", says, "remove them when you are content with what was restored"));
    }
    checks
}

/// Whether the service configs can be imported.
pub fn services(settings: &Settings) -> Check {
    let folder = settings.services.directory.as_path();
    let shown = folder.display();
    match services::read(folder) {
        Ok(found) => {
            let (mistakes, remarks) = (found.mistakes().count(), found.report.len() - found.mistakes().count());
            let says = format!("{} service configs with {} templates in {shown}", found.services.len(), found.templates.len());
            let remedy = format!("`openmpsd template lint {shown}` names every place");
            match (mistakes, remarks) {
                (0, 0) => Check::fine("services", says),
                (0, _) => Check::warn("services", format!("{says}, with {remarks} remarks"), remedy),
                _ => Check::fail("services", format!("{says}, and {mistakes} mistakes: what they are in is left out"), remedy),
            }
        }
        Err(error) => {
            let remedy = "name the folder with --services or services.directory";
            Check::fail("services", format!("cannot read the folder {shown}: {error}"), remedy)
        }
    }
}

/// Whether the embedded PostgreSQL could be started.
pub fn embedded(settings: &Settings) -> Vec<Check> {
    let data_dir = &settings.embedded.data_dir;
    let found = match embedded::inspect(data_dir, settings.embedded.binaries.clone()) {
        Ok(found) => found,
        Err(error) => {
            return vec![Check::fail("data directory", format!("failed to {error}"), "choose another one with --data-dir")];
        }
    };
    let mut checks = Vec::new();
    checks.push(match (&found.programs, found.stored) {
        (Ok((folder, major)), Some(stored)) if *major == stored => {
            Check::fine("PostgreSQL", format!("{major} from {} serves the cluster in {}", folder.display(), data_dir.display()))
        }
        (Ok((folder, major)), _) => {
            Check::fine("PostgreSQL", format!("{major} from {} makes the cluster at the first start", folder.display()))
        }
        (Err(error), _) => {
            let remedy = "install the PostgreSQL of that version, or point embedded.binaries or PG_BIN at it";
            Check::fail("PostgreSQL", format!("failed to {error}"), remedy)
        }
    });
    checks.extend(writable(data_dir));
    checks.extend(leftovers(data_dir));
    if let Err(error) = &found.reach {
        let remedy = format!("every folder on the way must let the account {} through", found.account);
        checks.push(Check::fail("data directory", format!("failed to {error}"), remedy));
    }
    let (socket, length) = (found.socket.display(), found.socket.as_os_str().len());
    checks.push(if length >= SOCKET_PATH_LIMIT {
        Check::fail(
            "socket",
            format!("{socket} has {length} bytes, and {} are the most", SOCKET_PATH_LIMIT - 1),
            "choose a shorter --data-dir",
        )
    } else if found.socket_is_elsewhere {
        let remedy = "a shorter --data-dir keeps it there; nothing is wrong otherwise";
        Check::warn("socket", format!("the data directory's path is too long for a socket, so it is {socket}"), remedy)
    } else {
        Check::fine("socket", format!("{socket}, {length} bytes of {}", SOCKET_PATH_LIMIT - 1))
    });
    checks
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use rstest::rstest;

    use super::super::Outcome;
    use super::*;
    use crate::settings::Overrides;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("openmpsd-doctor-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let overrides = Overrides { data_dir: Some("/nowhere".into()), ..Overrides::default() };
        Settings::load(overrides, &variables.iter().collect()).unwrap().settings
    }

    #[rstest]
    #[case::filter(&[("OPENMPSD__TELEMETRY__FILTER", "openmpsd=loud")], "telemetry.filter: ")]
    #[case::tls(&[("OPENMPSD__SERVER__TLS_CERT", "/nowhere/c"), ("OPENMPSD__SERVER__TLS_KEY", "/nowhere/k")], "server.tls_cert = ")]
    fn what_a_start_refuses_is_a_failure(#[case] variables: &[(&str, &str)], #[case] starts: &str) {
        let checks = telemetry_and_tls(&settings(variables));
        assert!(matches!(&checks[..], [check] if check.outcome == Outcome::Fail && check.says.starts_with(starts)), "{checks:?}");
    }

    #[test]
    fn development_before_strangers_is_a_failure_also_with_configured_keys() {
        let variables = [("OPENMPSD__SERVER__LISTEN", "0.0.0.0:1"), ("OPENMPSD__AUTH__KEYS", "/nowhere/keys")];
        let checks = keys(&settings(&variables), true);
        assert!(checks[0].outcome == Outcome::Fail && checks[0].says.starts_with("--dev serves loopback"), "{checks:?}");
    }

    #[test]
    fn a_key_is_looked_at_and_nothing_is_made() {
        let scratch = Scratch::new("key");
        let data_dir = scratch.0.join("data");
        assert!(generated_key(&data_dir).says.ends_with("is generated at the first start"));
        assert!(!data_dir.exists());
        SigningKey::open(&data_dir).unwrap();
        fs::remove_file(data_dir.join("keys/public.json")).unwrap();
        assert_eq!(generated_key(&data_dir).outcome, Outcome::Fine);
        assert!(!data_dir.join("keys/public.json").exists(), "looking changes nothing");
        // A folder in its place cannot be read as a file, whoever asks.
        fs::remove_file(data_dir.join("keys/signing.json")).unwrap();
        fs::create_dir(data_dir.join("keys/signing.json")).unwrap();
        let check = generated_key(&data_dir);
        assert!(check.outcome == Outcome::Fail && check.says.starts_with("cannot read "), "{check:?}");
    }

    #[test]
    fn what_restores_have_left_is_told() {
        let scratch = Scratch::new("leftovers");
        assert_eq!(leftovers(&scratch.0), []);
        for name in ["restoring", "pg", "pg.before-1", "keys.before-1"] {
            fs::create_dir(scratch.0.join(name)).unwrap();
        }
        let says: Vec<String> = leftovers(&scratch.0).into_iter().map(|check| check.says).collect();
        assert!(says[0].contains("restoring is there") && says[1].starts_with("keys.before-1, pg.before-1 in "), "{says:?}");
    }

    #[test]
    fn a_data_directory_that_cannot_be_written_is_told() {
        let scratch = Scratch::new("closed");
        assert_eq!(writable(&scratch.0.join("data")), None);
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o500)).unwrap();
        // Root may write everywhere but below a file.
        let check = if nix::unistd::geteuid().is_root() {
            fs::write(scratch.0.join("file"), "").unwrap();
            fs::set_permissions(scratch.0.join("file"), fs::Permissions::from_mode(0o600)).unwrap();
            writable(&scratch.0.join("file/data"))
        } else {
            writable(&scratch.0.join("data"))
        };
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(check.is_some_and(|check| check.outcome == Outcome::Fail && check.says.contains("cannot write to")));
    }
}
