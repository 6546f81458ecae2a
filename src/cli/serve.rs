//! `openmpsd serve`: runs the service until it is asked to end.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::warn;

use crate::settings::{Environment, Overrides, Settings};
use crate::{app, telemetry};

/// What can be typed after `openmpsd serve`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// For development: a generated signing key also with an outside database, and a clock that can be moved
    #[arg(long)]
    dev: bool,
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the private database and the generated key live [default: /var/lib/openmpsd as root, else
    /// ~/.local/share/openmpsd]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The folder of service configs [default: config/services]
    #[arg(long, value_name = "DIR")]
    services: Option<PathBuf>,
    /// Settings file, on top of the built-in defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the service.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { dev, listen, data_dir, services, config } = arguments;
    let overrides = Overrides { config, listen, data_dir, services };
    let explained = Settings::explain(overrides, &Environment::of_process()?)?;
    let sources = explained.summary();
    let loaded = explained.loaded;
    let _telemetry = telemetry::start(&loaded.settings.telemetry)?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("failed to start the runtime")?;
    runtime.block_on(app::serve(loaded.settings, sources, dev))
}

/// Takes as many open files as the process may have: every socket is one, and what a shell allows by default are few.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        warn!(%error, "failed to raise the limit of open files: fewer sockets can be open");
    }
}
