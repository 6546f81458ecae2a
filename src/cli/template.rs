//! `openmpsd template`: judges service configs and session templates, compares them with what is published, and publishes them, in
//! the database of the settings or, with `--url`, by a running service.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use reqwest::Method;
use uuid::Uuid;

use super::database::{Database, SettingsArguments, wait_for};
use super::difference::{Published, about};
use super::remote::{Refused, Remote, RemoteArguments};
use crate::domain::names::{Scid, TemplateName};
use crate::domain::template::Template;
use crate::json::Json;
use crate::services::{self, Finding, ServiceFolder};
use crate::settings::Settings;
use crate::store::rows::{ServiceConfigRow, TemplateRow};
use crate::store::{Publication, Store};

/// What can be typed after `openmpsd template`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    remote: RemoteArguments,
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
    /// Say how service configs and templates differ from what is published; exit with 1 if they do
    Diff(What),
    /// Put service configs and templates into the database, in place of the former ones; running services take them over at once
    Publish(What),
}

#[derive(Debug, Args)]
struct What {
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
    let remote = if arguments.remote.is_given() { Some(arguments.remote.open(&settings)?) } else { None };
    match arguments.action {
        Action::Lint { mut paths } => {
            if paths.is_empty() {
                paths.push(settings.services.directory);
            }
            lint(&paths, remote.as_ref(), &mut io::stdout().lock())
        }
        Action::Diff(what) => {
            let given = Given::read(what)?;
            let published = match &remote {
                Some(remote) => wait_for(Published::of_service(remote, &given.scids()))?,
                None => with_store(&settings, async |store: &Store| Published::of_catalog(&store.load_catalog().await?))?.1,
            };
            diff(&given, &published, &mut io::stdout().lock())
        }
        Action::Publish(what) => {
            let given = Given::read(what)?;
            match &remote {
                Some(remote) => wait_for(publish_to_service(remote, &given)),
                None => publish_to_database(&settings, &given),
            }
        }
    }
}

/// Service configs and templates from files, all valid.
struct Given {
    /// None where a single template is given.
    services: Vec<ServiceConfigRow>,
    templates: Vec<TemplateRow>,
}

impl Given {
    /// Reads what was named, and prints what there is to say about it.
    ///
    /// # Errors
    /// When anything of it is not valid: half of a folder is neither compared nor published.
    fn read(what: What) -> anyhow::Result<Self> {
        let What { scid, name, path } = what;
        if path.is_dir() {
            ensure!(scid.is_none() && name.is_none(), "--scid and --name are for template files: folders say it by their names");
            let folder = read_folder(&path)?;
            print(&folder.report, &mut io::stderr().lock())?;
            let mistakes = folder.mistakes().count();
            ensure!(mistakes == 0, "nothing is published or compared because of the {} above", count(mistakes, "mistake"));
            ensure!(!folder.services.is_empty(), "there are no service configs in {}", path.display());
            return Ok(Self { services: folder.services, templates: folder.templates });
        }
        let scid = scid.context("a template file needs --scid, the service config it belongs to")?;
        let (template, report) = read_file(&path, name)?;
        print(&report, &mut io::stderr().lock())?;
        let template = template.context("nothing is published or compared: the template is not valid (T-08)")?;
        Ok(Self { services: Vec::new(), templates: vec![services::template_row(&scid, &template)] })
    }

    fn scids(&self) -> Vec<Uuid> {
        let services = self.services.iter().map(|service| service.scid);
        services.chain(self.templates.iter().map(|template| template.scid)).collect()
    }

    /// In words: `9 templates of 2 service configs`, or the name of a single one.
    fn title(&self) -> String {
        match (self.services.as_slice(), self.templates.as_slice()) {
            ([], [template]) => format!("{} of {}", template.name, template.scid),
            (services, templates) => {
                format!("{} of {}", count(templates.len(), "template"), count(services.len(), "service config"))
            }
        }
    }
}

/// Prints how files differ from what is published.
///
/// # Errors
/// When they do, so that a script can tell.
fn diff(given: &Given, published: &Published, out: &mut impl Write) -> anyhow::Result<()> {
    let lines = published.differences(&given.services, &given.templates)?;
    for line in &lines {
        writeln!(out, "{line}").context("cannot print the differences")?;
    }
    ensure!(lines.is_empty(), "{}", count(lines.len(), "difference"));
    writeln!(out, "{}: published as they are here", given.title()).context("cannot print the differences")
}

fn publish_to_database(settings: &Settings, given: &Given) -> anyhow::Result<()> {
    let (database, revision) =
        with_store(settings, async |store: &Store| match (given.services.as_slice(), given.templates.as_slice()) {
            ([], [template]) => Ok(match store.publish_template(template).await? {
                Publication::Published(revision) => Some(revision),
                Publication::UnknownServiceConfig => None,
            }),
            (services, templates) => Ok(Some(store.publish_services(services, templates).await?)),
        })?;
    let Some(revision) = revision else {
        let scid = given.templates[0].scid;
        bail!("{database} has no service config {scid}: publish its folder, `openmpsd template publish DIR/{scid}`")
    };
    println!("published {} to {database}, revision {revision}", given.title());
    Ok(())
}

/// Has a running service publish: service configs first, then their templates, each by itself.
async fn publish_to_service(remote: &Remote, given: &Given) -> anyhow::Result<()> {
    for service in &given.services {
        let path = format!("/admin/serviceconfigs/{}", service.scid);
        let body = about(service)?.to_string();
        let done = remote.send(Method::PUT, &path, &Vec::new(), Some(body)).await;
        done.with_context(|| format!("cannot publish {}", service.scid))?;
    }
    let mut revision = Json::Null;
    for template in &given.templates {
        let done = remote.send(Method::PUT, &template_path(template), &Vec::new(), Some(template.document.clone())).await;
        let answer = done.with_context(|| format!("cannot publish {} of {}", template.name, template.scid))?;
        revision = answer.get("revision").cloned().unwrap_or(Json::Null);
    }
    println!("published {} to {}, revision {revision}", given.title(), remote.title());
    Ok(())
}

fn template_path(template: &TemplateRow) -> String {
    format!("/admin/serviceconfigs/{}/sessiontemplates/{}", template.scid, template.name)
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

/// Prints what there is to say about every path, and a summary. A running service judges what is valid here once more: it may be of
/// another version.
///
/// # Errors
/// The summary, when anything is fatal; paths that cannot be read; a service that cannot be asked.
fn lint(paths: &[PathBuf], remote: Option<&Remote>, out: &mut impl Write) -> anyhow::Result<()> {
    let mut tally = Tally::default();
    let mut valid = Vec::new();
    for path in paths {
        let report = if path.is_dir() {
            let ServiceFolder { services, templates, report, .. } = read_folder(path)?;
            tally.services += services.len();
            tally.templates += templates.len();
            valid.extend(templates);
            report
        } else {
            let (template, report) = read_file(path, None)?;
            tally.templates += usize::from(template.is_some());
            // Which service config it would belong to changes nothing about a template.
            valid.extend(template.map(|template| services::template_row(&Uuid::nil().into(), &template)));
            report
        };
        tally.add(&report);
        print(&report, out)?;
    }
    if let Some(remote) = remote {
        for refusal in wait_for(judged_by_service(remote, &valid))? {
            tally.mistakes += 1;
            tally.templates -= 1;
            writeln!(out, "mistake: {refusal}").context("cannot print the report")?;
        }
    }
    let summary = tally.summary();
    ensure!(tally.mistakes == 0, "{summary}");
    writeln!(out, "{summary}").context("cannot print the summary")
}

/// What a running service has against templates, a text for each that it refuses.
async fn judged_by_service(remote: &Remote, templates: &[TemplateRow]) -> anyhow::Result<Vec<String>> {
    // Whoever cannot be asked at all refuses no template.
    remote.send(Method::GET, "/admin/serviceconfigs", &Vec::new(), None).await?;
    let mut refusals = Vec::new();
    for template in templates {
        let dry = vec![("dryRun", "true".to_owned())];
        let Err(error) = remote.send(Method::PUT, &template_path(template), &dry, Some(template.document.clone())).await else {
            continue;
        };
        // Only 400 is about the template.
        match error.downcast::<Refused>() {
            Ok(refused) if refused.status == 400 => {
                refusals.push(format!("{} refuses {}: {refused}", remote.title(), template.name));
            }
            Ok(refused) => bail!("{} does not judge {}: {refused}", remote.title(), template.name),
            Err(error) => return Err(error),
        }
    }
    Ok(refusals)
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

/// Does something with the store, and returns what came of it with the title of its database.
fn with_store<T>(settings: &Settings, work: impl AsyncFnOnce(&Store) -> anyhow::Result<T>) -> anyhow::Result<(String, T)> {
    let database = Database::find(settings)?;
    let done = wait_for(async {
        let store = database.open(settings).await?;
        let done = work(&store).await;
        store.close().await;
        done.with_context(|| format!("cannot work with {} (is its schema up to date? `openmpsd migrate`)", database.title))
    })?;
    Ok((database.title, done))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::super::remote::tests::answering;
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
        let verdict = lint(&[path.to_owned()], None, &mut out).map_err(|error| error.to_string());
        (String::from_utf8(out).unwrap(), verdict)
    }

    #[test]
    fn a_template_file_is_published_under_a_service_config() {
        let line = "openmpsd template publish --scid 5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7 --name Duel d.json --data-dir /d";
        let Action::Publish(What { scid, name, path }) = parse(line).unwrap().action else { panic!("{line}") };
        assert_eq!((name.unwrap().as_str(), path), ("Duel", "d.json".into()));
        assert_eq!(scid.unwrap().as_str(), "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7");
    }

    #[test]
    fn a_running_service_is_named_by_its_url() {
        let arguments = parse("openmpsd template diff config/services --url http://localhost:1 --token t").unwrap();
        assert!(arguments.remote.is_given());
        let Action::Diff(What { scid: None, name: None, path }) = arguments.action else { panic!("a folder is compared") };
        assert_eq!(path, PathBuf::from("config/services"));
        assert!(!parse("openmpsd template lint").unwrap().remote.is_given());
    }

    #[rstest]
    #[case("openmpsd template")]
    #[case("openmpsd template publish")]
    #[case("openmpsd template publish --scid all d.json")]
    #[case("openmpsd template publish --name a/b d.json")]
    #[case("openmpsd template publish a b")]
    #[case("openmpsd template diff")]
    #[case("openmpsd template diff --scid all d.json")]
    fn what_is_missing_or_malformed_is_refused(#[case] line: &str) {
        assert!(parse(line).is_err());
    }

    #[test]
    fn only_400_of_a_service_is_a_mistake_of_the_template() {
        let file = std::env::temp_dir().join(format!("openmpsd-judged-{}.json", std::process::id()));
        fs::write(&file, r#"{"constants":{"system":{},"custom":{}}}"#).unwrap();
        let judged = |answers| {
            let mut out = Vec::new();
            let verdict =
                lint(std::slice::from_ref(&file), Some(&answering(answers)), &mut out).map_err(|error| error.to_string());
            (String::from_utf8(out).unwrap(), verdict.unwrap_err())
        };
        let (report, verdict) = judged(&[("200 OK", "{}"), ("400 Bad Request", "mistake: body: no")]);
        assert!(report.contains(": mistake: body: no\n"), "{report}");
        assert_eq!(verdict, "0 valid templates, 1 mistake, 0 remarks");
        let (report, verdict) = judged(&[("200 OK", "{}"), ("503 Service Unavailable", "try again in a moment")]);
        fs::remove_file(&file).unwrap();
        assert_eq!(report, "");
        assert!(verdict.contains(" does not judge ") && verdict.ends_with(": try again in a moment"), "{verdict}");
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
