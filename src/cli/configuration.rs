//! `openmpsd config`: whether the settings are valid, what they are in effect and why, and what there is to set.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use super::Exit;
use crate::app::{self, Warning};
use crate::auth::Situation;
use crate::settings::{DEFAULTS, Entry, Environment, Explained, Overrides, Settings};
use crate::telemetry;

/// The column where a dump says where values come from, unless a value is longer.
const MARGIN: usize = 44;

/// What can be typed after `openmpsd config`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Settings file, on top of the built-in defaults
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory, as `serve` is given it
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say whether the settings are valid, and everything that is wrong with them; exit code 1 then
    Check,
    /// Print every setting in effect, with where it comes from; secrets are masked
    Dump {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a settings file with every key at its default
    Default,
}

/// Does what is asked for.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { action, config, data_dir } = arguments;
    let explain = || {
        let overrides = Overrides { config, data_dir, ..Overrides::default() };
        Environment::of_process().and_then(|environment| Settings::explain(overrides, &environment))
    };
    match action {
        Action::Default => print(DEFAULTS),
        Action::Dump { json } => {
            let entries = explain()?.entries()?;
            print(&if json { dump_json(&entries) } else { dump(&entries) })
        }
        Action::Check => match explain() {
            Ok(explained) => {
                let refusals = refusals(&explained.loaded.settings);
                for (_, refusal) in refusals.iter().filter(|(is_final, _)| *is_final) {
                    eprintln!("{refusal}");
                }
                if refusals.iter().any(|(is_final, _)| *is_final) {
                    return Err(Exit(1).into());
                }
                print(&verdict(&explained, &refusals))
            }
            Err(error) => {
                for problem in error.problems() {
                    eprintln!("{problem}");
                }
                Err(Exit(1).into())
            }
        },
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    io::stdout().lock().write_all(text.as_bytes()).context("cannot print the settings")
}

/// Why a service would not start with settings that are valid each for itself, and whether it would not start with `--dev` either.
fn refusals(settings: &Settings) -> Vec<(bool, String)> {
    let mut refusals = Vec::new();
    if let Err(error) = telemetry::check(&settings.telemetry) {
        refusals.push((true, error.to_string()));
    }
    let is_generated = settings.auth.keys.is_empty();
    let situation = Situation { dev: false, outside_database: settings.database.url.is_some(), listen: settings.server.listen };
    if let Err(error) = situation.check(is_generated) {
        refusals.push((Situation { dev: true, ..situation }.check(is_generated).is_err(), format!("auth.keys: {error}")));
    }
    refusals
}

/// What there is to say about settings that are valid.
fn verdict(explained: &Explained, remarks: &[(bool, String)]) -> String {
    let mut text = format!("ok: {}\n", explained.summary());
    for warning in &explained.loaded.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    for Warning { key, says } in app::warnings(&explained.loaded.settings, false) {
        let _ = writeln!(text, "warning: {key}: {says}");
    }
    for (_, says) in remarks {
        let _ = writeln!(text, "warning: {says}");
    }
    text
}

/// A settings file with everything in effect; each line says where its value comes from.
fn dump(entries: &[Entry]) -> String {
    let mut text =
        "# Every setting in effect. Secrets are masked: this is for reading, and no settings file where they stand.\n".to_owned();
    let mut section = "";
    for entry in entries {
        if entry.section != section {
            section = &entry.section;
            let _ = writeln!(text, "\n[{section}]");
        }
        let _ = writeln!(text, "{:MARGIN$} # {}", entry.line(), entry.source);
    }
    text
}

/// The same for programs: by section and name the value and its source.
fn dump_json(entries: &[Entry]) -> String {
    let mut sections = serde_json::Map::new();
    for Entry { section, name, value, source } in entries {
        let place = sections.entry(section.clone()).or_insert_with(|| json!({}));
        place[name] = json!({"value": value, "source": source.to_string()});
    }
    format!("{:#}\n", serde_json::Value::Object(sections))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::fine(&[], &[])]
    #[case::filter(&[("OPENMPSD__TELEMETRY__FILTER", "openmpsd=loud")], &[(true, "telemetry.filter: ")])]
    #[case::open(&[("OPENMPSD__SERVER__LISTEN", "0.0.0.0:80")], &[(true, "auth.keys: the service would listen on 0.0.0.0:80")])]
    #[case::shared(&[("DATABASE_URL", "postgres://a/x")], &[(false, "auth.keys: a database of your own needs signing keys")])]
    fn what_a_start_refuses_is_told(#[case] variables: &[(&str, &str)], #[case] expected: &[(bool, &str)]) {
        let overrides = Overrides { data_dir: Some("/nowhere".into()), ..Overrides::default() };
        let found = refusals(&Settings::load(overrides, &variables.iter().collect()).unwrap().settings);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((is_final, says), (expected, starts)) in found.iter().zip(expected) {
            assert!(is_final == expected && says.starts_with(starts), "{says}");
        }
    }
}
