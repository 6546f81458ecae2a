//! `openmpsd key`: the signing key of the data directory, for those who run the service on more than one machine.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};

use super::database::SettingsArguments;
use crate::auth::SigningKey;

/// What can be typed after `openmpsd key`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    settings: SettingsArguments,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the key that `openmpsd token` signs with, unless there is one, and print the file of its public half, for auth.keys
    Generate,
}

/// Does what was typed.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let settings = arguments.settings.load()?;
    match arguments.action {
        Action::Generate => {
            let public = generate(&settings.embedded.data_dir)?;
            writeln!(io::stdout(), "{}", public.display()).context("cannot print where the public half is")
        }
    }
}

/// Makes the key of a data directory, or finds it, and tells where its public half is.
fn generate(data_dir: &Path) -> anyhow::Result<PathBuf> {
    let key = SigningKey::open(data_dir).context("cannot make the signing key")?;
    let what = if key.is_new() { "generated" } else { "left as it is" };
    eprintln!("{what}: {}, key id {}", key.path().display(), key.kid());
    Ok(key.public_path())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use clap::Parser;

    use super::super::{Cli, Command};
    use super::*;
    use crate::ambient::Ids;
    use crate::auth::KeySet;

    #[test]
    fn a_key_is_made_once_and_its_public_half_can_be_configured() {
        let data_dir = std::env::temp_dir().join(format!("openmpsd-key-{}", Ids::random().uuid()));
        let public = generate(&data_dir).unwrap();
        assert_eq!(public, data_dir.join("keys/public.json"));
        let (private, text) = (data_dir.join("keys/signing.json"), fs::read_to_string(&public).unwrap());
        assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);
        let kept = fs::read(&private).unwrap();
        assert_eq!(generate(&data_dir).unwrap(), public, "a second time nothing is made");
        assert_eq!((fs::read(&private).unwrap(), fs::read_to_string(&public).unwrap()), (kept, text));
        let key = SigningKey::open(&data_dir).unwrap();
        assert!(KeySet::load(&[public]).unwrap().contains(key.kid()), "what is printed is good for auth.keys");
        fs::remove_dir_all(&data_dir).unwrap();
    }

    #[test]
    fn where_no_key_can_be_made_the_reason_is_said() {
        let file = std::env::temp_dir().join(format!("openmpsd-key-{}", Ids::random().uuid()));
        fs::write(&file, "no folder").unwrap();
        let error = format!("{:#}", generate(&file).unwrap_err());
        fs::remove_file(&file).unwrap();
        assert!(error.starts_with("cannot make the signing key: cannot ") && error.contains("keys/signing.json"), "{error}");
    }

    #[test]
    fn there_is_no_key_command_without_an_action() {
        assert!(matches!(
            Cli::try_parse_from(["openmpsd", "key", "generate", "--data-dir", "/d"]).unwrap().command,
            Command::Key(Arguments { action: Action::Generate, .. })
        ));
        assert!(Cli::try_parse_from(["openmpsd", "key"]).is_err());
    }
}
