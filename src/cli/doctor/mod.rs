//! `openmpsd doctor`: looks at everything a service needs and says what is not well, each with its remedy.
//!
//! A check is a value ([`Check`]): its name, what came of it, and what to do. Every check is made, whatever came of those before; one
//! that cannot be made because another failed is not listed. Nothing is changed, nothing secret is printed. Exit code 1 when a check
//! failed; warnings do not count.

mod database;
mod host;
mod installation;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::Exit;
use super::database::wait_for;
use crate::app::{self, Warning};
use crate::settings::{Environment, Explained, Overrides, Settings, SettingsError};

/// What can be typed after `openmpsd doctor`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Compare all sessions with what is derived from them; best while nobody writes
    #[arg(long)]
    verify: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// As `serve` is given it
    #[arg(long)]
    dev: bool,
    /// Address and port, as `serve` is given them
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The folder of service configs, as `serve` is given it
    #[arg(long, value_name = "DIR")]
    services: Option<PathBuf>,
    /// Settings file, as `serve` is given it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory, as `serve` is given it
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// All is well.
    Fine,
    /// It works, but somebody should know.
    Warn,
    /// It does not work, or will not for long.
    Fail,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Check {
    name: &'static str,
    outcome: Outcome,
    /// What was found.
    says: String,
    /// What to do about it; empty when all is well.
    remedy: String,
}

impl Check {
    fn fine(name: &'static str, says: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Fine, says: says.into(), remedy: String::new() }
    }

    fn warn(name: &'static str, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Warn, says: says.into(), remedy: remedy.into() }
    }

    fn fail(name: &'static str, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Fail, says: says.into(), remedy: remedy.into() }
    }
}

/// Makes every check and prints what came of them.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { verify, json, dev, listen, services, config, data_dir } = arguments;
    let overrides = Overrides { config, listen, data_dir, services };
    let explained = Environment::of_process().and_then(|environment| Settings::explain(overrides, &environment));
    let mut checks = settings(&explained, dev);
    checks.push(host::open_files());
    if let Ok(explained) = &explained {
        let settings = &explained.loaded.settings;
        checks.extend(installation::keys(settings, dev));
        checks.extend(installation::telemetry_and_tls(settings));
        checks.push(installation::services(settings));
        wait_for(async {
            checks.push(host::address(settings).await);
            if settings.database.url.is_none() {
                checks.extend(host::disk(&settings.embedded.data_dir));
                checks.extend(installation::embedded(settings));
            }
            checks.extend(database::checks(settings, verify).await);
            Ok(())
        })?;
    }
    let text = if json { format!("{:#}\n", to_json(&checks)) } else { to_text(&checks) };
    io::stdout().lock().write_all(text.as_bytes()).context("cannot print what came of the checks")?;
    if worst(&checks) == Outcome::Fail { Err(Exit(1).into()) } else { Ok(()) }
}

/// Whether there are settings, and what is remarkable about them.
fn settings(explained: &Result<Explained, SettingsError>, dev: bool) -> Vec<Check> {
    match explained {
        Ok(explained) => {
            let mut checks = vec![Check::fine("settings", explained.summary())];
            let remark =
                |says: String| Check::warn("settings", says, "`openmpsd config dump` shows where every value comes from");
            checks.extend(explained.loaded.warnings.iter().cloned().map(remark));
            for Warning { key, says } in app::warnings(&explained.loaded.settings, dev) {
                let (says, remedy) = says.split_once(": ").unwrap_or((&says, "see docs/configuration.md"));
                checks.push(Check::warn("settings", format!("{key}: {says}"), remedy));
            }
            checks
        }
        Err(error) => {
            let remedy = "mend it and run the doctor again: nothing else can be judged before";
            error.problems().into_iter().map(|problem| Check::fail("settings", problem, remedy)).collect()
        }
    }
}

fn worst(checks: &[Check]) -> Outcome {
    checks.iter().map(|check| check.outcome).max().unwrap_or(Outcome::Fine)
}

/// One line per check, and one below with the remedy; a summary at last.
fn to_text(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for Check { name, outcome, says, remedy } in checks {
        let mark = match outcome {
            Outcome::Fine => "ok  ",
            Outcome::Warn => "warn",
            Outcome::Fail => "FAIL",
        };
        // What PostgreSQL says may have several lines.
        let indent = format!("\n{:1$}", "", width + 8);
        lines.push(format!("{mark}  {name:width$}  {}", says.trim_end().replace('\n', &indent)));
        if !remedy.is_empty() {
            lines.push(format!("      {:width$}  -> {remedy}", ""));
        }
    }
    let count = |wanted| checks.iter().filter(|check| check.outcome == wanted).count();
    let (warnings, failures) = (count(Outcome::Warn), count(Outcome::Fail));
    let plural = |number: usize| if number == 1 { "" } else { "s" };
    let summary = match (warnings, failures) {
        (0, 0) => "all is well".to_owned(),
        (some, 0) => format!("{some} warning{}, no failure", plural(some)),
        (some, failed) => format!("{failed} failure{}, {some} warning{}", plural(failed), plural(some)),
    };
    format!("{}\n\n{summary}\n", lines.join("\n"))
}

fn to_json(checks: &[Check]) -> Value {
    let check = |check: &Check| {
        let outcome = match check.outcome {
            Outcome::Fine => "ok",
            Outcome::Warn => "warn",
            Outcome::Fail => "fail",
        };
        json!({"name": check.name, "outcome": outcome, "says": check.says, "remedy": check.remedy})
    };
    json!({"well": worst(checks) != Outcome::Fail, "checks": checks.iter().map(check).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_has_a_line_and_its_remedy_another() {
        let checks = [
            Check::fine("settings", "built-in defaults"),
            Check::warn("disk", "little room", "make some"),
            Check::fail("database", "it says:\nno", "start it"),
        ];
        let expected = "\
ok    settings  built-in defaults
warn  disk      little room
                -> make some
FAIL  database  it says:
                no
                -> start it

1 failure, 1 warning
";
        assert_eq!(to_text(&checks), expected);
        assert_eq!(worst(&checks), Outcome::Fail);
        assert!(to_text(&checks[..2]).ends_with("\n1 warning, no failure\n"));
        assert!(to_text(&checks[..1]).ends_with("\nall is well\n"));
        assert_eq!(worst(&checks[..2]), Outcome::Warn);
        let json = to_json(&checks);
        assert_eq!(json["well"], false);
        assert_eq!(json["checks"][1], json!({"name": "disk", "outcome": "warn", "says": "little room", "remedy": "make some"}));
    }

    #[test]
    fn every_mistake_in_the_settings_is_a_failure_of_its_own() {
        let variables = [("OPENMPSD__SERVER__LISTN", "x"), ("OPENMPSD__DATABASE__POOL_MAX", "0")];
        let explained = Settings::explain(Overrides::default(), &variables.iter().collect());
        let checks = settings(&explained, false);
        let says: Vec<&str> = checks.iter().map(|check| check.says.as_str()).collect();
        let expected = [
            "unknown setting: server.listn in the environment (did you mean server.listen?)",
            "database.pool_max: must be 1 to 1000, not 0",
        ];
        assert_eq!(says, expected);
        assert!(checks.iter().all(|check| check.outcome == Outcome::Fail));
    }
}
