//! `openmpsd ban`: bans users from a running service, and lists who is banned.

use clap::{Args, Subcommand};
use reqwest::Method;

use super::database::wait_for;
use super::remote::{AskArguments, Gathered};
use super::session::Page;
use super::table::{self, Column, at};
use crate::domain::names::Xuid;
use crate::json::{Json, Object};

/// What can be typed after `openmpsd ban`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    ask: AskArguments,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List who is banned, those whose ban has expired too
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Show the ban of a user
    Show {
        /// The user
        #[arg(value_name = "XUID", value_parser = Xuid::parse)]
        xuid: Xuid,
    },
    /// Ban a user, or change a ban
    Add {
        /// The user
        #[arg(value_name = "XUID", value_parser = Xuid::parse)]
        xuid: Xuid,
        /// Why, for the list and the audit
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Until when, as in 2031-04-05T18:00:00Z [default: for good]
        #[arg(long, value_name = "INSTANT")]
        expires_at: Option<String>,
    },
    /// End a ban
    Remove {
        /// The user
        #[arg(value_name = "XUID", value_parser = Xuid::parse)]
        xuid: Xuid,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

const COLUMNS: &[Column] = &[
    ("XUID", |item| at(item, &["xuid"])),
    ("EXPIRES", |item| at(item, &["expiresAt"])),
    ("SINCE", |item| at(item, &["createdAt"])),
    ("BY", |item| at(item, &["createdBy"])),
    ("REASON", |item| at(item, &["reason"])),
];

/// Does what was typed.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let json = arguments.ask.json;
    let remote = arguments.ask.open()?;
    wait_for(async {
        match arguments.action {
            Action::List { page } => table::list(page.gather(&remote, "/admin/bans", &Vec::new()).await?, COLUMNS, json),
            Action::Show { xuid } => {
                let ban = remote.send(Method::GET, &format!("/admin/bans/{xuid}"), &Vec::new(), None).await?;
                show(ban, json)
            }
            Action::Add { xuid, reason, expires_at } => {
                let body = body(reason, expires_at).to_string();
                let ban = remote.send(Method::PUT, &format!("/admin/bans/{xuid}"), &Vec::new(), Some(body)).await?;
                show(ban, json)
            }
            Action::Remove { xuid, reason } => {
                remote.send(Method::DELETE, &format!("/admin/bans/{xuid}"), &vec![("reason", reason)], None).await?;
                eprintln!("{xuid} is not banned any more");
                Ok(())
            }
        }
    })
}

/// Prints one ban; the table says of one that was looked up whether it has expired.
fn show(ban: Json, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{ban}");
        return Ok(());
    }
    let mut columns = COLUMNS.to_vec();
    if ban.get("expired").is_some() {
        columns.insert(2, ("EXPIRED", |item| at(item, &["expired"])));
    }
    table::list(Gathered { items: vec![ban], next: None }, &columns, false)
}

fn body(reason: String, expires_at: Option<String>) -> Json {
    let mut fields = Object::new();
    fields.insert("reason".into(), reason.into());
    if let Some(at) = expires_at {
        fields.insert("expiresAt".into(), at.into());
    }
    fields.into()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::super::{Cli, Command};
    use super::*;

    #[test]
    fn a_ban_has_a_reason_and_perhaps_an_end() {
        let line = "openmpsd ban add 25 --reason cheats --expires-at 2031-04-05T18:00:00Z --token t";
        let Command::Ban(arguments) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else { panic!("{line}") };
        let Action::Add { xuid, reason, expires_at } = arguments.action else { panic!("{line}") };
        assert_eq!(xuid, Xuid(25));
        assert_eq!(body(reason, expires_at).to_string(), r#"{"reason":"cheats","expiresAt":"2031-04-05T18:00:00Z"}"#);
    }

    #[rstest]
    #[case("openmpsd ban")]
    #[case("openmpsd ban add 25")]
    #[case("openmpsd ban add me --reason x")]
    #[case("openmpsd ban remove 25")]
    #[case("openmpsd ban show")]
    #[case("openmpsd ban show me")]
    fn what_is_missing_or_malformed_is_refused(#[case] line: &str) {
        assert!(Cli::try_parse_from(line.split_whitespace()).is_err());
    }
}
