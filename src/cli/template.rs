//! `openmpsd template`: judges service configs and session templates, and publishes them.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};

use super::database::{Database, SettingsArguments, wait_for};
use crate::domain::names::{Scid, TemplateName};
use crate::domain::template::Template;
use crate::services::{self, Finding, ServiceFolder};
use crate::settings::Settings;
use crate::store::{Publication, Store};

/// What can be typed after `openmpsd template`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    settings: SettingsArguments,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what is wrong with service configs and templates; exit with 1 if anything cannot be served
    Lint {
        /// Services folders, folders of one service config, or template files [default: services.directory of the settings]
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Put service configs and templates into the database, in place of the former ones; running services take them over at once
    Publish(Publish),
}

#[derive(Debug, Args)]
struct Publish {
    /// The service config that a template file belongs to; folders say it by their names
    #[arg(long, value_name = "GUID", value_parser = Scid::parse)]
    scid: Option<Scid>,
    /// The name of the template in a file [default: the file's name without .json]
    #[arg(long, value_name = "NAME", value_parser = TemplateName::parse)]
    name: Option<TemplateName>,
    /// A template file, the folder of one service config, or a services folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// Does what was typed.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let settings = arguments.settings.load()?;
    match arguments.action {
        Action::Lint { mut paths } => {
            if paths.is_empty() {
                paths.push(settings.services.directory);
            }
            lint(&paths, &mut io::stdout().lock())
        }
        Action::Publish(Publish { scid, name, path }) if path.is_dir() => {
            ensure!(scid.is_none() && name.is_none(), "--scid and --name are for template files: folders say it by their names");
            publish_folder(&settings, &path)
        }
        Action::Publish(Publish { scid, name, path }) => {
            let scid = scid.context("a template file needs --scid, the service config it belongs to")?;
            publish_file(&settings, &scid, name, &path)
        }
    }
}

/// What was looked at.
#[derive(Default)]
struct Tally {
    services: usize,
    /// Valid ones.
    templates: usize,
    mistakes: usize,
    remarks: usize,
}

impl Tally {
    fn add(&mut self, report: &[Finding]) {
        let mistakes = report.iter().filter(|finding| finding.fatal).count();
        self.mistakes += mistakes;
        self.remarks += report.len() - mistakes;
    }

    /// In words: `9 valid templates of 2 service configs, nothing to remark`.
    fn summary(&self) -> String {
        let mut summary = count(self.templates, "valid template");
        if self.services > 0 {
            summary = format!("{summary} of {}", count(self.services, "service config"));
        }
        match (self.mistakes, self.remarks) {
            (0, 0) => format!("{summary}, nothing to remark"),
            (mistakes, remarks) => format!("{summary}, {}, {}", count(mistakes, "mistake"), count(remarks, "remark")),
        }
    }
}

/// A number of things, the name of one given.
fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// Prints what there is to say about every path, and a summary.
///
/// # Errors
/// The summary, when anything is fatal; paths that cannot be read.
fn lint(paths: &[PathBuf], out: &mut impl Write) -> anyhow::Result<()> {
    let mut tally = Tally::default();
    for path in paths {
        let report = if path.is_dir() {
            let ServiceFolder { services, templates, report, .. } = read_folder(path)?;
            tally.services += services.len();
            tally.templates += templates.len();
            report
        } else {
            let (template, report) = read_file(path, None)?;
            tally.templates += usize::from(template.is_some());
            report
        };
        tally.add(&report);
        print(&report, out)?;
    }
    let summary = tally.summary();
    ensure!(tally.mistakes == 0, "{summary}");
    writeln!(out, "{summary}").context("cannot print the summary")
}

/// One line per finding, the grave ones marked.
fn print(report: &[Finding], out: &mut impl Write) -> anyhow::Result<()> {
    for finding in report {
        let grade = if finding.fatal { "mistake" } else { "remark" };
        writeln!(out, "{grade}: {finding}").context("cannot print the report")?;
    }
    Ok(())
}

fn read_folder(path: &Path) -> anyhow::Result<ServiceFolder> {
    services::read(path).with_context(|| format!("cannot read the folder {}", path.display()))
}

/// Reads a template file, whose name is the template's when no other is given.
fn read_file(path: &Path, name: Option<TemplateName>) -> anyhow::Result<(Option<Template>, Vec<Finding>)> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = match name.map_or_else(|| services::template_name(path), Ok) {
        Ok(name) => name,
        Err(finding) => return Ok((None, vec![finding])),
    };
    Ok(services::read_template(path, name, &text))
}

fn publish_folder(settings: &Settings, path: &Path) -> anyhow::Result<()> {
    let folder = read_folder(path)?;
    print(&folder.report, &mut io::stderr().lock())?;
    let mistakes = folder.mistakes().count();
    ensure!(mistakes == 0, "nothing is published because of the {} above", count(mistakes, "mistake"));
    ensure!(!folder.services.is_empty(), "there is nothing to publish in {}", path.display());
    let ServiceFolder { services, templates, .. } = folder;
    let (database, revision) =
        with_store(settings, async |store: &Store| Ok(store.publish_services(&services, &templates).await?))?;
    let (templates, services) = (count(templates.len(), "template"), count(services.len(), "service config"));
    println!("published {templates} of {services} to {database}, revision {revision}");
    Ok(())
}

fn publish_file(settings: &Settings, scid: &Scid, name: Option<TemplateName>, path: &Path) -> anyhow::Result<()> {
    let (template, report) = read_file(path, name)?;
    print(&report, &mut io::stderr().lock())?;
    let template = template.context("the template is not published: it is not valid (T-08)")?;
    let row = services::template_row(scid, &template);
    let (database, publication) = with_store(settings, async |store: &Store| Ok(store.publish_template(&row).await?))?;
    match publication {
        Publication::Published(revision) => println!("published {} of {scid} to {database}, revision {revision}", row.name),
        Publication::UnknownServiceConfig => {
            bail!("{database} has no service config {scid}: publish its folder, `openmpsd template publish DIR/{scid}`")
        }
    }
    Ok(())
}

/// Does something with the store, and returns what came of it with the title of its database.
fn with_store<T>(settings: &Settings, work: impl AsyncFnOnce(&Store) -> anyhow::Result<T>) -> anyhow::Result<(String, T)> {
    let database = Database::find(settings)?;
    let done = wait_for(async {
        let store = database.open(settings).await?;
        let done = work(&store).await;
        store.close().await;
        done.with_context(|| format!("cannot publish to {} (is its schema up to date? `openmpsd migrate`)", database.title))
    })?;
    Ok((database.title, done))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::super::{Cli, Command};
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        match Cli::try_parse_from(line.split_whitespace())?.command {
            Command::Template(arguments) => Ok(arguments),
            other => panic!("{line} is {other:?}"),
        }
    }

    /// What lint prints, and what it says at last.
    fn lint_of(path: &Path) -> (String, Result<(), String>) {
        let mut out = Vec::new();
        let verdict = lint(&[path.to_owned()], &mut out).map_err(|error| error.to_string());
        (String::from_utf8(out).unwrap(), verdict)
    }

    #[test]
    fn a_template_file_is_published_under_a_service_config() {
        let line = "openmpsd template publish --scid 5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7 --name Duel d.json --data-dir /d";
        let Action::Publish(Publish { scid, name, path }) = parse(line).unwrap().action else { panic!("{line}") };
        assert_eq!((name.unwrap().as_str(), path), ("Duel", "d.json".into()));
        assert_eq!(scid.unwrap().as_str(), "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7");
    }

    #[rstest]
    #[case("openmpsd template")]
    #[case("openmpsd template publish")]
    #[case("openmpsd template publish --scid all d.json")]
    #[case("openmpsd template publish --name a/b d.json")]
    #[case("openmpsd template publish a b")]
    fn what_is_missing_or_malformed_is_refused(#[case] line: &str) {
        assert!(parse(line).is_err());
    }

    #[test]
    fn t08_lint_prints_the_report_and_fails_with_the_summary() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/services");
        let clean = "9 valid templates of 2 service configs, nothing to remark\n";
        assert_eq!(lint_of(&shipped), (clean.to_owned(), Ok(())));

        let file = std::env::temp_dir().join(format!("openmpsd-lint-{}.json", std::process::id()));
        fs::write(&file, r#"{"constants":{"system":{"visibility":"closed","capabilities":{"fly":true}}}}"#).unwrap();
        let (report, verdict) = lint_of(&file);
        fs::remove_file(&file).unwrap();
        let path = file.display();
        assert!(report.contains(&format!("mistake: {path}: constants.system.visibility: ")), "{report}");
        assert!(report.contains(&format!("remark: {path}: constants.system.capabilities.fly: ")), "{report}");
        assert_eq!(verdict, Err("0 valid templates, 1 mistake, 1 remark".to_owned()));
        assert!(lint_of(&file).1.unwrap_err().starts_with("cannot read"));
    }
}
