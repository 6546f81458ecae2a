//! The command line: what can be typed, and the one function that does it.
//!
//! A new command is a variant of `Command` with its arguments, a file beside this one, and a line in [`run`]. Answers go to standard
//! output and nothing else does, so that they can be taken into a variable; everything said to a person goes to standard error.

mod audit;
mod backup;
mod ban;
mod configuration;
mod database;
mod difference;
mod doctor;
mod handle;
mod health;
mod key;
mod lifetime;
mod migrate;
mod openapi;
mod remote;
mod restore;
mod serve;
mod session;
mod table;
mod template;
mod token;

use std::fmt;

use clap::{Parser, Subcommand};

/// An open, self-hosted Multiplayer Session Directory.
#[derive(Debug, Parser)]
#[command(name = "openmpsd", version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what administrators did to a running service
    Audit(audit::Arguments),
    /// Back up the embedded database and the generated key
    Backup(backup::Arguments),
    /// Ban users from a running service, and list who is banned
    Ban(ban::Arguments),
    /// Check and show the settings
    Config(configuration::Arguments),
    /// Look for whatever keeps the service from running well, and say the remedy
    Doctor(doctor::Arguments),
    /// List the handles of a running service
    Handle(handle::Arguments),
    /// Ask a running service whether it is well
    Health(health::Arguments),
    /// Make the key that tokens of this service are signed with
    Key(key::Arguments),
    /// Bring the schema of the database up to date
    Migrate(migrate::Arguments),
    /// Print the description of the HTTP interface, in OpenAPI 3.1
    Openapi,
    /// Restore a backup into a data directory
    Restore(restore::Arguments),
    /// Run the service
    Serve(serve::Arguments),
    /// List, show and end the sessions of a running service
    Session(session::Arguments),
    /// Check, compare and publish service configs and session templates
    Template(template::Arguments),
    /// Make a token for a user, a server or an administrator, and print it
    Token(token::Arguments),
}

/// Does what the command line says.
///
/// # Errors
/// When it cannot be done; the chain of causes is meant for the person who typed it.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Audit(arguments) => audit::run(arguments),
        Command::Backup(arguments) => backup::run(arguments),
        Command::Ban(arguments) => ban::run(arguments),
        Command::Config(arguments) => configuration::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Handle(arguments) => handle::run(arguments),
        Command::Health(arguments) => health::run(arguments),
        Command::Key(arguments) => key::run(arguments),
        Command::Migrate(arguments) => migrate::run(arguments),
        Command::Openapi => openapi::run(),
        Command::Restore(arguments) => restore::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Session(arguments) => session::run(arguments),
        Command::Template(arguments) => template::run(arguments),
        Command::Token(arguments) => token::run(arguments),
    }
}

/// The end of a command that has said everything already: only the exit code is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl std::error::Error for Exit {}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
