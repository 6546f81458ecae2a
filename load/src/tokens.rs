//! Who the users are: a token for each, made with the service's generated key or read from a file.
//!
//! Making tokens is the one thing the service's library is used for: it keeps the claims in one place with the code that reads them,
//! and fifty thousand tokens are made in seconds, which as many calls of `openmpsd token` would not be.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openmpsd::ambient::Clock;
use openmpsd::auth::{SigningKey, Terms};
use openmpsd::domain::names::Xuid;
use openmpsd::domain::principal::{Principal, User};
use serde_json::Value;

use crate::cli::Cli;

/// The first xuid that is given to a made user. Every run takes a block behind it, so that runs do not meet.
const FIRST_XUID: u64 = 2_535_400_000_000_000;
/// Users of one run, at most.
const BLOCK: u64 = 100_000;

/// One user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub xuid: String,
    /// The whole header `Authorization`.
    pub authorization: String,
}

/// An identity for every user of the run.
///
/// # Errors
/// When there is no key or no token to be had; in words for the person who started it.
pub fn identities(cli: &Cli, run: u32) -> anyhow::Result<Vec<Identity>> {
    let count = usize::try_from(cli.users).expect("users fit");
    match (&cli.data_dir, &cli.tokens) {
        (Some(data_dir), _) => made(cli, data_dir, run),
        (None, Some(file)) => {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let found = listed(&text).with_context(|| format!("{} is no list of tokens", file.display()))?;
            ensure!(found.len() >= count, "{} has {} tokens: give --users {} or fewer", file.display(), found.len(), found.len());
            Ok(found.into_iter().take(count).collect())
        }
        (None, None) => bail!("give --data-dir or --tokens"),
    }
}

/// Tokens made with the key of a data directory. Opening a key makes one where none is; a mistyped directory must not get one.
fn made(cli: &Cli, data_dir: &Path, run: u32) -> anyhow::Result<Vec<Identity>> {
    let file = data_dir.join("keys/signing.json");
    ensure!(
        file.exists(),
        "{} is not there: --data-dir is the data directory of the service that runs, which has a generated key when auth.keys is \
         empty; otherwise give --tokens",
        file.display()
    );
    let key = SigningKey::open(data_dir).context("cannot open the signing key")?;
    let terms = Terms {
        issuer: cli.issuer.clone(),
        audience: cli.audience.clone(),
        issued_at: Clock::system().real(),
        // Whatever the run takes, and an hour for what follows it.
        lifetime: cli.duration + Duration::from_hours(1),
    };
    let first = FIRST_XUID + u64::from(run) * BLOCK;
    let identity = |number: u32| {
        let xuid = first + u64::from(number);
        let user = User {
            xuid: Xuid(xuid),
            gamertag: Some(format!("Load{number}")),
            title_id: Some(cli.title_id),
            device_id: None,
            device_type: None,
            multiplayer: true,
        };
        let token = key.issue(&Principal::User(user), &terms);
        Identity { xuid: xuid.to_string(), authorization: format!("XBL3.0 x=*;{token}") }
    };
    Ok((0..cli.users).map(identity).collect())
}

/// Tokens as a file lists them. Whom a token speaks for is read from its claims, which the service will verify.
fn listed(text: &str) -> anyhow::Result<Vec<Identity>> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let token = line.trim();
        if token.is_empty() || token.starts_with('#') {
            continue;
        }
        let number = number + 1;
        let xuid = xuid_of(token).with_context(|| format!("line {number} is no token of a user (a JWT with the claim xid)"))?;
        ensure!(seen.insert(xuid.clone()), "line {number} is a second token of the user {xuid}: every user needs one of its own");
        found.push(Identity { xuid, authorization: format!("XBL3.0 x=*;{token}") });
    }
    Ok(found)
}

fn xuid_of(token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let xuid = text("xid").or_else(|| text("sub")?.strip_prefix("xuid:"))?;
    xuid.parse::<u64>().is_ok().then(|| xuid.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_file_lists_a_token_a_line() {
        let text = format!("# ours\n{}\n\n  {} \n", token(r#"{"xid":"25"}"#), token(r#"{"sub":"xuid:26"}"#));
        let found = listed(&text).unwrap();
        assert_eq!(found.iter().map(|one| one.xuid.as_str()).collect::<Vec<_>>(), ["25", "26"]);
        assert!(found[0].authorization.starts_with("XBL3.0 x=*;e30."));
    }

    #[test]
    fn a_line_that_is_no_users_token_is_named() {
        let one = token(r#"{"xid":"25"}"#);
        for (text, says) in [
            ("hello".to_owned(), "line 1"),
            (format!("{one}\n{}", token(r#"{"sub":"svc:x"}"#)), "line 2"),
            (format!("{one}\n\n{one}"), "line 3"),
        ] {
            assert!(format!("{:#}", listed(&text).unwrap_err()).contains(says), "{text}");
        }
    }

    #[test]
    fn no_key_is_made_where_none_is() {
        let folder = std::env::temp_dir().join(format!("openmpsd-load-no-key-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let line = ["x", "--target", "http://h", "--scenario", "mixed", "--data-dir"];
        let cli = clap::Parser::parse_from(line.into_iter().map(Into::into).chain([folder.clone().into_os_string()]));
        let error = identities(&cli, 0).unwrap_err().to_string();
        let is_empty = fs::read_dir(&folder).unwrap().next().is_none();
        fs::remove_dir_all(&folder).unwrap();
        assert!(error.contains("signing.json") && is_empty, "{error}");
    }
}
