//! `openmpsd session`: lists, shows and ends sessions of a running service.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::Context;
use clap::{Args, Subcommand};
use reqwest::Method;

use super::database::wait_for;
use super::remote::{AskArguments, Query, Remote};
use super::table::{self, Column, at};
use crate::domain::names::{MemberIndex, Scid, SessionName, SessionReference, TemplateName, Xuid};
use crate::json::Json;

/// What can be typed after `openmpsd session`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    ask: AskArguments,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List sessions of all service configs
    List(List),
    /// Show one session with its members, and what only the service knows of it; those of a large one with --json only
    Show(Named),
    /// End a session: it is gone for everybody, with its handles
    Close {
        #[command(flatten)]
        named: Named,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Take a member out of a session
    RemoveMember {
        #[command(flatten)]
        named: Named,
        /// The member's index
        #[arg(value_name = "INDEX")]
        index: MemberIndex,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Args)]
struct List {
    /// Only in this service config
    #[arg(long, value_name = "GUID", value_parser = Scid::parse)]
    scid: Option<Scid>,
    /// Only of this template
    #[arg(long, value_name = "NAME", value_parser = TemplateName::parse)]
    template: Option<TemplateName>,
    /// Only those whose name begins so
    #[arg(long, value_name = "PREFIX")]
    name: Option<String>,
    /// Only those with this member, reservations included
    #[arg(long, value_name = "NUMBER", value_parser = Xuid::parse)]
    xuid: Option<Xuid>,
    /// Only those with this keyword
    #[arg(long, value_name = "WORD")]
    keyword: Option<String>,
    /// Only of this visibility: open, visible or private
    #[arg(long, value_name = "WORD")]
    visibility: Option<String>,
    /// Only closed ones, or with `--closed false` only others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    closed: Option<bool>,
    /// Only large ones, or only others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    large: Option<bool>,
    /// Only those without members, or only others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    empty: Option<bool>,
    /// Only those that have changed since an instant like 2031-04-05T18:00:00Z
    #[arg(long, value_name = "INSTANT")]
    updated_since: Option<String>,
    #[command(flatten)]
    page: Page,
}

/// How much of a list is wanted.
#[derive(Debug, Args)]
pub struct Page {
    /// How many entries at most
    #[arg(long, value_name = "NUMBER", default_value = "50", value_parser = clap::value_parser!(u32).range(1..))]
    pub take: u32,
    /// Go on where an earlier list ended, with the same filters
    #[arg(long = "continue", value_name = "TOKEN")]
    pub from: Option<String>,
}

impl Page {
    /// Gathers the entries of a list.
    pub async fn gather(self, remote: &Remote, path: &str, query: &Query) -> anyhow::Result<super::remote::Gathered> {
        remote.gather(path, query, self.take as usize, self.from).await
    }
}

#[derive(Debug, Args)]
struct Named {
    /// The service config
    #[arg(value_name = "SCID", value_parser = Scid::parse)]
    scid: Scid,
    /// The template
    #[arg(value_name = "TEMPLATE", value_parser = TemplateName::parse)]
    template: TemplateName,
    /// The session's name
    #[arg(value_name = "NAME", value_parser = SessionName::parse)]
    name: SessionName,
}

impl From<Named> for SessionReference {
    fn from(named: Named) -> Self {
        Self { scid: named.scid, template: named.template, name: named.name }
    }
}

impl From<List> for (Query, Page) {
    fn from(list: List) -> Self {
        let List { scid, template, name, xuid, keyword, visibility, closed, large, empty, updated_since, page } = list;
        let given = [
            ("scid", scid.map(|scid| scid.to_string())),
            ("template", template.map(|template| template.to_string())),
            ("name", name),
            ("xuid", xuid.map(|xuid| xuid.to_string())),
            ("keyword", keyword),
            ("visibility", visibility),
            ("closed", closed.map(|flag| flag.to_string())),
            ("large", large.map(|flag| flag.to_string())),
            ("empty", empty.map(|flag| flag.to_string())),
            ("updatedSince", updated_since),
        ];
        (given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(), page)
    }
}

const COLUMNS: &[Column] = &[
    ("SCID", |item| at(item, &["sessionRef", "scid"])),
    ("TEMPLATE", |item| at(item, &["sessionRef", "templateName"])),
    ("NAME", |item| at(item, &["sessionRef", "name"])),
    ("MEMBERS", |item| format!("{}/{}", at(item, &["membersCount"]), at(item, &["maxMembersCount"]))),
    ("CHANGE", |item| at(item, &["changeNumber"])),
    ("STARTED", |item| at(item, &["startTime"])),
    ("VISIBILITY", |item| at(item, &["visibility"])),
    ("JOIN", |item| at(item, &["joinRestriction"])),
    ("CLOSED", |item| at(item, &["closed"])),
    ("LARGE", |item| at(item, &["large"])),
    ("KEYWORDS", |item| at(item, &["keywords"])),
];

/// Does what was typed.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let json = arguments.ask.json;
    let remote = arguments.ask.open()?;
    wait_for(async {
        match arguments.action {
            Action::List(list) => {
                let (query, page) = list.into();
                table::list(page.gather(&remote, "/admin/sessions", &query).await?, COLUMNS, json)
            }
            Action::Show(named) => {
                let path = format!("/admin{}", SessionReference::from(named).path());
                // A table of thousands of members is no overview.
                let query = if json { Vec::new() } else { vec![("members", "false".to_owned())] };
                let shown = remote.send(Method::GET, &path, &query, None).await?;
                let text = if json { format!("{shown}\n") } else { overview(&shown) };
                write!(io::stdout(), "{text}").context("cannot print the session")
            }
            Action::Close { named, reason } => {
                let path = format!("/admin{}", SessionReference::from(named).path());
                remote.send(Method::DELETE, &path, &vec![("reason", reason)], None).await?;
                eprintln!("the session is gone");
                Ok(())
            }
            Action::RemoveMember { named, index, reason } => {
                let path = format!("/admin{}/members/{index}", SessionReference::from(named).path());
                remote.send(Method::DELETE, &path, &vec![("reason", reason)], None).await?;
                eprintln!("member {index} is gone");
                Ok(())
            }
        }
    })
}

/// What people want to know first about a session: its facts, and a line per member.
fn overview(shown: &Json) -> String {
    let mut out = String::new();
    if shown.get("unreadable").is_some() {
        let _ = writeln!(out, "the session is stored and cannot be read: {}", at(shown, &["unreadable"]));
        let _ = writeln!(out, "--json shows what is stored; `openmpsd session close` deletes it");
        return out;
    }
    for (name, path) in [
        ("correlationId", &["session", "correlationId"] as &[&str]),
        ("branch", &["session", "branch"]),
        ("changeNumber", &["session", "changeNumber"]),
        ("revision", &["service", "revision"]),
        ("startTime", &["session", "startTime"]),
        ("nextTimer", &["session", "nextTimer"]),
        ("emptySince", &["service", "emptySince"]),
        ("visibility", &["session", "constants", "system", "visibility"]),
        ("joinRestriction", &["session", "properties", "system", "joinRestriction"]),
        ("readRestriction", &["session", "properties", "system", "readRestriction"]),
        ("closed", &["session", "properties", "system", "closed"]),
        ("keywords", &["session", "properties", "system", "keywords"]),
        ("large", &["service", "large"]),
        ("maxMembersCount", &["session", "constants", "system", "maxMembersCount"]),
        ("membersCount", &["session", "membersInfo", "count"]),
        ("handles", &["service", "handles"]),
        ("timerFailures", &["service", "timerFailures"]),
    ] {
        let _ = writeln!(out, "{name:<17}{}", at(shown, path));
    }
    out.push('\n');
    let members = shown.get("service").and_then(|service| service.get("members")).and_then(Json::as_object);
    let Some(members) = members else {
        out.push_str("--json shows the members\n");
        return out;
    };
    let entries = members.iter().map(|(index, known)| {
        let mut entry = crate::json::Object::new();
        let index = index.to_string();
        let document = shown.get("session").and_then(|session| session.get("members")?.get(&index));
        entry.insert("document".into(), document.cloned().unwrap_or(Json::Null));
        entry.insert("known".into(), known.clone());
        entry.insert("index".into(), index.into());
        Json::from(entry)
    });
    let columns: &[Column] = &[
        ("INDEX", |item| at(item, &["index"])),
        ("XUID", |item| at(item, &["known", "xuid"])),
        ("GAMERTAG", |item| at(item, &["document", "gamertag"])),
        ("STATE", |item| at(item, &["known", "state"])),
        ("SINCE", |item| at(item, &["known", "since"])),
        ("ENDS", |item| at(item, &["known", "endsAt"])),
        ("CONNECTION", |item| at(item, &["known", "connection", "state"])),
    ];
    out.push_str(&table::table(&entries.collect::<Vec<_>>(), columns));
    out
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::super::{Cli, Command};
    use super::*;
    use crate::json;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        match Cli::try_parse_from(line.split_whitespace())?.command {
            Command::Session(arguments) => Ok(arguments),
            other => panic!("{line} is {other:?}"),
        }
    }

    #[test]
    fn filters_become_parameters() {
        let line = "openmpsd session list --scid 5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7 --name har --xuid 25 --closed --large false \
                    --take 300 --json --url http://localhost:1";
        let arguments = parse(line).unwrap();
        assert!(arguments.ask.json);
        let Action::List(list) = arguments.action else { panic!("{line}") };
        let (query, page) = list.into();
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let scid = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7";
        assert_eq!(query, [("scid", scid), ("name", "har"), ("xuid", "25"), ("closed", "true"), ("large", "false")]);
        assert_eq!((page.take, page.from), (300, None));
    }

    #[test]
    fn a_member_is_named_by_the_session_and_its_index() {
        let line = "openmpsd session remove-member 5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7 Card harbor-1 3 --reason rude";
        let Action::RemoveMember { named, index, reason } = parse(line).unwrap().action else { panic!("{line}") };
        let path = "/serviceconfigs/5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7/sessiontemplates/Card/sessions/harbor-1";
        assert_eq!((SessionReference::from(named).path().as_str(), index, reason.as_str()), (path, 3, "rude"));
    }

    #[rstest]
    #[case("openmpsd session")]
    #[case("openmpsd session list --take 0")]
    #[case("openmpsd session list --closed perhaps")]
    #[case("openmpsd session list --scid all")]
    #[case("openmpsd session show Card harbor-1")]
    #[case("openmpsd session close 5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7 Card harbor-1")]
    #[case("openmpsd session close 5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7 Card a/b --reason x")]
    #[case("openmpsd session remove-member 5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7 Card harbor-1 me --reason x")]
    fn what_is_missing_or_malformed_is_refused(#[case] line: &str) {
        assert!(parse(line).is_err());
    }

    #[test]
    fn an_overview_has_a_line_per_member() {
        let shown = r#"{"session":{"changeNumber":7,"members":{"2":{"gamertag":"Ada"}}},
            "service":{"large":false,"members":{"2":{"xuid":"25","state":"active","connection":{"state":"lost"}}}}}"#;
        let text = overview(&json::parse(shown.as_bytes(), 8).unwrap());
        assert!(text.contains("changeNumber     7\n"), "{text}");
        assert!(text.ends_with("2      25    Ada       active  -      -     lost\n"), "{text}");
    }

    #[test]
    fn an_overview_of_a_large_or_unreadable_session_says_where_the_rest_is() {
        let large = r#"{"session":{"membersInfo":{"count":9000}},"service":{"large":true}}"#;
        let text = overview(&json::parse(large.as_bytes(), 8).unwrap());
        assert!(text.contains("membersCount     9000\n") && text.ends_with("\n\n--json shows the members\n"), "{text}");
        let broken = r#"{"session":null,"unreadable":"private.large","stored":{"body":"{}"}}"#;
        let text = overview(&json::parse(broken.as_bytes(), 8).unwrap());
        assert!(text.starts_with("the session is stored and cannot be read: private.large\n"), "{text}");
    }
}
