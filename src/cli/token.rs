//! `openmpsd token`: makes a token with the signing key of the data directory and prints it, and nothing else, to standard output.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::lifetime;
use crate::ambient::Clock;
use crate::auth::{KeySet, SigningKey, Terms};
use crate::domain::names::{NotAName, Scid, TitleId, Xuid, is_name};
use crate::domain::principal::{Principal, Server, User};
use crate::settings::{Environment, Loaded, Overrides, Settings};

/// What can be typed after `openmpsd token`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    subject: Subject,
    /// How long the token is good: 90s, 30m, 8h, 1d
    #[arg(long, global = true, value_name = "DURATION", default_value = "8h", value_parser = lifetime::parse)]
    ttl: Duration,
    /// Data directory with the signing key, generated when missing [default: /var/lib/openmpsd as root, else
    /// ~/.local/share/openmpsd]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Settings file, for auth.issuer and auth.audience
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// A token for a user
    User {
        /// The user's id
        #[arg(long, value_name = "NUMBER", value_parser = Xuid::parse)]
        xuid: Xuid,
        /// The name other users see
        #[arg(long, value_name = "NAME")]
        gamertag: Option<String>,
        /// The title the user plays
        #[arg(long, value_name = "NUMBER", value_parser = TitleId::parse)]
        title_id: Option<TitleId>,
        /// The device the user plays on
        #[arg(long, value_name = "ID")]
        device_id: Option<String>,
        /// The kind of device, as `access.weak_device_types` names it
        #[arg(long, value_name = "TYPE")]
        device_type: Option<String>,
    },
    /// A token for a title's own server
    Server {
        /// The server's name
        #[arg(long, value_parser = name)]
        name: String,
        /// A service config it may act for; may be given several times
        #[arg(long = "scid", value_name = "GUID", required = true, value_parser = Scid::parse)]
        scids: Vec<Scid>,
    },
    /// A token for the administrative routes
    Admin {
        /// The administrator's name, for the audit
        #[arg(long, default_value = "admin", value_parser = name)]
        name: String,
    },
}

impl From<Subject> for Principal {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::User { xuid, gamertag, title_id, device_id, device_type } => {
                Self::User(User { xuid, gamertag, title_id, device_id, device_type, multiplayer: true })
            }
            Subject::Server { name, scids } => Self::Server(Server { name, scids }),
            Subject::Admin { name } => Self::Admin { name },
        }
    }
}

fn name(text: &str) -> Result<String, NotAName> {
    let says = NotAName("a name is 1 to 100 characters of A-Z a-z 0-9 - _ . ( ), the first a letter or digit");
    if is_name(text) { Ok(text.to_owned()) } else { Err(says) }
}

/// Prints a token for the subject.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { subject, ttl, data_dir, config } = arguments;
    let overrides = Overrides { config, data_dir, ..Overrides::default() };
    let Loaded { settings, .. } = Settings::load(overrides, &Environment::of_process()?)?;
    let key = SigningKey::open(&settings.embedded.data_dir).context("cannot open the signing key")?;
    for remark in remarks(&key, &settings.auth.keys)? {
        eprintln!("{remark}");
    }
    let terms = Terms {
        issuer: settings.auth.issuer,
        audience: settings.auth.audience,
        issued_at: Clock::system().real(),
        lifetime: ttl,
    };
    let token = key.issue(&Principal::from(subject), &terms);
    writeln!(io::stdout(), "{token}").context("cannot print the token")
}

/// What whoever asks for a token should hear when a service might not believe it.
fn remarks(key: &SigningKey, configured: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut remarks = Vec::new();
    if key.is_new() {
        let path = key.path().display();
        remarks.push(format!("generated {path}: only a service with the same data directory believes this token"));
    }
    if !configured.is_empty() && !KeySet::load(configured)?.contains(key.kid()) {
        let public = key.public_path();
        remarks.push(format!("auth.keys does not list {}: the service will not believe this token", public.display()));
    }
    Ok(remarks)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::super::{Cli, Command};
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        match Cli::try_parse_from(line.split_whitespace())?.command {
            Command::Token(arguments) => Ok(arguments),
            other => panic!("{line} is {other:?}"),
        }
    }

    #[test]
    fn a_user_has_title_and_device() {
        let line = "openmpsd token user --xuid 25 --gamertag Ada --title-id 7 --device-id F4 --ttl 30m --data-dir /d";
        let arguments = parse(line).unwrap();
        assert_eq!((arguments.ttl, arguments.data_dir), (Duration::from_mins(30), Some("/d".into())));
        let user = User {
            xuid: Xuid(25),
            gamertag: Some("Ada".into()),
            title_id: Some(TitleId(7)),
            device_id: Some("F4".into()),
            device_type: None,
            multiplayer: true,
        };
        assert_eq!(Principal::from(arguments.subject), Principal::User(user));
    }

    #[test]
    fn a_server_has_scids_and_an_administrator_a_name() {
        let [one, two] = ["5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7", "4fc10100-5f7a-4470-899b-280835760c07"];
        let arguments = parse(&format!("openmpsd token server --name arbiter --scid {one} --scid {two}")).unwrap();
        let scids = [one, two].map(|scid| Scid::parse(scid).unwrap());
        let server = Server { name: "arbiter".into(), scids: scids.to_vec() };
        assert_eq!(Principal::from(arguments.subject), Principal::Server(server));
        let arguments = parse("openmpsd token admin --ttl 1d").unwrap();
        assert_eq!(Principal::from(arguments.subject), Principal::Admin { name: "admin".into() });
    }

    #[rstest]
    #[case("openmpsd token")]
    #[case("openmpsd token user")]
    #[case("openmpsd token user --xuid me")]
    #[case("openmpsd token user --xuid 1 --title-id 4294967296")]
    #[case("openmpsd token user --xuid 1 --ttl forever")]
    #[case("openmpsd token server --name arbiter")]
    #[case("openmpsd token server --name arbiter --scid all")]
    #[case("openmpsd token admin --name a/b")]
    fn what_is_missing_or_malformed_is_refused(#[case] line: &str) {
        assert!(parse(line).is_err());
    }
}
