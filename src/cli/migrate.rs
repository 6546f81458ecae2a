//! `openmpsd migrate`: brings the schema of the database up to date and prints the names of the migrations that it took, or says how
//! every migration stands.

use std::io::{self, Write};

use anyhow::Context;
use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use super::Exit;
use super::database::{Database, SettingsArguments, wait_for};
use crate::store::migrate::{Standing, migrate, status};

/// The exit code of `status` when something is pending: told apart from failures.
const PENDING: u8 = 3;

/// What can be typed after `openmpsd migrate`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    settings: SettingsArguments,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Action {
    /// Apply what is missing; so does `openmpsd migrate` alone
    Up,
    /// Say of every migration whether it is applied; exit code 3 when one is pending, 1 when the schema is none of ours
    Status,
}

/// Migrates the database of the settings, or looks at it.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let settings = arguments.settings.load()?;
    let database = Database::find(&settings)?;
    match arguments.action.unwrap_or(Action::Up) {
        Action::Up => up(&database),
        Action::Status => tell(&database),
    }
}

fn up(database: &Database) -> anyhow::Result<()> {
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

fn tell(database: &Database) -> anyhow::Result<()> {
    let states = wait_for(async {
        let states = status(database.migrate_url.expose_secret()).await;
        states.with_context(|| format!("cannot look at {}", database.title))
    })?;
    let width = states.iter().map(|state| state.name.len()).max().unwrap_or(0);
    let mut out = io::stdout().lock();
    for state in &states {
        let says = match &state.standing {
            Standing::Applied(at) => at.clone(),
            Standing::Pending => "pending".to_owned(),
            Standing::Divergent(at) => format!("DIVERGENT: another migration of this number was applied, {at}"),
            Standing::Unknown(at) => format!("UNKNOWN to this program, which is older than the schema: applied {at}"),
        };
        writeln!(out, "{:width$}   {says}", state.name).context("cannot print the migrations")?;
    }
    let any = |wanted: fn(&Standing) -> bool| states.iter().any(|state| wanted(&state.standing));
    if any(|standing| matches!(standing, Standing::Divergent(_) | Standing::Unknown(_))) {
        eprintln!("{} does not fit this program: run the version that made its schema, or a newer one", database.title);
        return Err(Exit(1).into());
    }
    if any(|standing| *standing == Standing::Pending) {
        eprintln!("{} is behind: run `openmpsd migrate up`, or start the service", database.title);
        return Err(Exit(PENDING).into());
    }
    eprintln!("{} is up to date", database.title);
    Ok(())
}
