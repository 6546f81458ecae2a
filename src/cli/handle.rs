//! `openmpsd handle`: lists handles of a running service.

use clap::{Args, Subcommand, ValueEnum};

use super::database::wait_for;
use super::remote::{AskArguments, Query};
use super::session::Page;
use super::table::{self, Column, at};
use crate::domain::names::{Scid, Xuid};

/// What can be typed after `openmpsd handle`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    ask: AskArguments,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List handles of all types
    List {
        /// Only of this type
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<Kind>,
        /// Only those that this user owns, or is invited by
        #[arg(long, value_name = "NUMBER", value_parser = Xuid::parse)]
        xuid: Option<Xuid>,
        /// Only in this service config
        #[arg(long, value_name = "GUID", value_parser = Scid::parse)]
        scid: Option<Scid>,
        #[command(flatten)]
        page: Page,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Activity,
    Invite,
    Search,
    Transfer,
}

const COLUMNS: &[Column] = &[
    ("ID", |item| at(item, &["id"])),
    ("TYPE", |item| at(item, &["type"])),
    ("OWNER", |item| at(item, &["ownerXuid"])),
    ("INVITED", |item| at(item, &["invitedXuid"])),
    ("SCID", |item| at(item, &["sessionRef", "scid"])),
    ("TEMPLATE", |item| at(item, &["sessionRef", "templateName"])),
    ("NAME", |item| at(item, &["sessionRef", "name"])),
    ("SESSION", |item| (if at(item, &["sessionExists"]) == "true" { "exists" } else { "missing" }).to_owned()),
    ("MADE", |item| at(item, &["createTime"])),
    ("EXPIRES", |item| at(item, &["expiresAt"])),
];

/// Does what was typed.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let json = arguments.ask.json;
    let remote = arguments.ask.open()?;
    let (query, page) = arguments.action.into();
    wait_for(async { table::list(page.gather(&remote, "/admin/handles", &query).await?, COLUMNS, json) })
}

impl From<Action> for (Query, Page) {
    fn from(Action::List { kind, xuid, scid, page }: Action) -> Self {
        let kind = kind.and_then(|kind| Some(kind.to_possible_value()?.get_name().to_owned()));
        let given = [("type", kind), ("xuid", xuid.map(|xuid| xuid.to_string())), ("scid", scid.map(|scid| scid.to_string()))];
        (given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(), page)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::super::{Cli, Command};
    use super::*;

    #[test]
    fn handles_are_filtered() {
        let line = "openmpsd handle list --type invite --xuid 5 --take 3";
        let Command::Handle(arguments) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else { panic!("{line}") };
        let (query, page): (Query, Page) = arguments.action.into();
        assert_eq!(query, [("type", "invite".to_owned()), ("xuid", "5".to_owned())]);
        assert_eq!((page.take, page.from), (3, None));
    }

    #[rstest]
    #[case("openmpsd handle")]
    #[case("openmpsd handle list --type party")]
    #[case("openmpsd handle list --xuid me")]
    fn what_is_missing_or_malformed_is_refused(#[case] line: &str) {
        assert!(Cli::try_parse_from(line.split_whitespace()).is_err());
    }
}
