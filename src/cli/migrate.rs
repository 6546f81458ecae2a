//! `openmpsd migrate`: brings the schema of the database up to date and prints the names of the migrations that it took.

use std::io::{self, Write};

use anyhow::Context;
use clap::Args;
use secrecy::ExposeSecret;

use super::database::{Database, SettingsArguments, wait_for};
use crate::store::migrate::migrate;

/// What can be typed after `openmpsd migrate`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
}

/// Migrates the database of the settings.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let settings = arguments.settings.load()?;
    let database = Database::find(&settings)?;
    let applied = wait_for(async {
        let applied = migrate(database.migrate_url.expose_secret()).await;
        applied.with_context(|| format!("cannot migrate {}", database.title))
    })?;
    let mut out = io::stdout().lock();
    for name in &applied {
        writeln!(out, "{name}").context("cannot print what was applied")?;
    }
    match applied.len() {
        0 => eprintln!("{} is up to date", database.title),
        count => eprintln!("applied {count} migrations to {}", database.title),
    }
    Ok(())
}
