//! The command line: what can be typed, and the one function that does it.
//!
//! A new command is a variant of `Command` with its arguments, a file beside this one, and a line in [`run`]. Answers go to standard
//! output and nothing else does, so that they can be taken into a variable; everything said to a person goes to standard error.

mod database;
mod lifetime;
mod migrate;
mod openapi;
mod serve;
mod template;
mod token;

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
    /// Bring the schema of the database up to date
    Migrate(migrate::Arguments),
    /// Print the description of the HTTP interface, in OpenAPI 3.1
    Openapi,
    /// Run the service
    Serve(serve::Arguments),
    /// Check and publish service configs and session templates
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
        Command::Migrate(arguments) => migrate::run(arguments),
        Command::Openapi => openapi::run(),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Template(arguments) => template::run(arguments),
        Command::Token(arguments) => token::run(arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
