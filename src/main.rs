//! The program: parses the command line and has `cli` do what it says.

use std::process::ExitCode;

use clap::Parser;
use openmpsd::cli::{self, Cli, Exit};

/// Documents are many small values that come and go on several threads: the C library's allocator takes a third of the time for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(Exit(code)) = error.downcast_ref() {
                return ExitCode::from(*code);
            }
            eprintln!("openmpsd: {error:#}");
            ExitCode::FAILURE
        }
    }
}
