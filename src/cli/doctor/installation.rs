//! What the operator has put in place: keys, service configs, and for the embedded database its programs and its folder.

use std::path::Path;

use super::Check;
use crate::auth::{KeySet, SigningKey, Situation};
use crate::embedded;
use crate::services;
use crate::settings::Settings;

/// The longest path of a socket, in bytes, that every system takes.
const SOCKET_PATH_LIMIT: usize = 104;

/// Whether the keys are there that tokens are checked with, and whether they are good enough where the service listens.
pub fn keys(settings: &Settings, dev: bool) -> Vec<Check> {
    let configured = &settings.auth.keys;
    let outside_database = settings.database.url.is_some();
    let situation = Situation { dev, outside_database, listen: settings.server.listen };
    let mut checks = Vec::new();
    if configured.is_empty() {
        if let Err(error) = situation.check(true) {
            let text = error.to_string();
            let (says, remedy) = text.split_once(": ").unwrap_or((&text, "list public keys in auth.keys"));
            checks.push(Check::fail("signing keys", says, remedy));
        }
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
    let path = data_dir.join("keys/signing.json");
    if !path.exists() {
        return Check::fine("signing keys", format!("{} is generated at the first start", path.display()));
    }
    match SigningKey::open(data_dir) {
        Ok(key) => Check::fine("signing keys", format!("the generated key {}, which nobody else can read", key.kid())),
        Err(error) => {
            let remedy = "mend it, or move it away: a new one is generated, and tokens of the old one are void then";
            Check::fail("signing keys", error.to_string(), remedy)
        }
    }
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
