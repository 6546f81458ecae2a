//! `openmpsd audit`: lists what administrators did to a running service.

use clap::Args;

use super::database::wait_for;
use super::remote::{AskArguments, Query};
use super::session::Page;
use super::table::{self, Column, at};
use crate::domain::names::Xuid;

/// What can be typed after `openmpsd audit`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only by this administrator, as in admin:ada
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Only this, as in session.close
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only to this: the path of a session, a xuid, a template
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Only about this user: banned, taken out of a session, at an end of an edge
    #[arg(long, value_name = "NUMBER", value_parser = Xuid::parse)]
    xuid: Option<Xuid>,
    /// Only since an instant like 2031-04-05T18:00:00Z
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    ask: AskArguments,
}

const COLUMNS: &[Column] = &[
    ("AT", |item| at(item, &["at"])),
    ("ACTOR", |item| at(item, &["actor"])),
    ("ACTION", |item| at(item, &["action"])),
    ("TARGET", |item| at(item, &["target"])),
    ("DETAIL", |item| at(item, &["detail"])),
    ("OUTCOME", |item| at(item, &["outcome"])),
    ("REASON", |item| at(item, &["reason"])),
];

/// Does what was typed.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { actor, action, target, xuid, since, page, ask } = arguments;
    let json = ask.json;
    let remote = ask.open()?;
    let xuid = xuid.map(|xuid| xuid.to_string());
    let given = [("actor", actor), ("action", action), ("target", target), ("xuid", xuid), ("since", since)];
    let query: Query = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    wait_for(async { table::list(page.gather(&remote, "/admin/audit", &query).await?, COLUMNS, json) })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};

    #[test]
    fn actions_are_filtered() {
        let line = "openmpsd audit --actor admin:ada --action ban.put --since 2031-04-05T18:00:00Z --take 5 --json";
        let Command::Audit(arguments) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else { panic!("{line}") };
        assert_eq!((arguments.actor.as_deref(), arguments.page.take), (Some("admin:ada"), 5));
        assert!(Cli::try_parse_from(["openmpsd", "audit", "everything"]).is_err());
        assert!(Cli::try_parse_from(["openmpsd", "audit", "--xuid", "me"]).is_err());
    }
}
