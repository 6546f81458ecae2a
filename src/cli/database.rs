//! Which database a command works on: the one that `openmpsd serve` would use with the same settings.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use crate::embedded;
use crate::settings::{Environment, Loaded, Overrides, Settings};
use crate::store::{Store, StoreOptions};

/// What names the settings on the command line.
#[derive(Debug, Args)]
pub struct SettingsArguments {
    /// Data directory of the service, for its embedded database [default: /var/lib/openmpsd as root, else
    /// ~/.local/share/openmpsd]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Settings file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl SettingsArguments {
    /// Reads the settings, and says what the operator should hear about them.
    pub fn load(self) -> anyhow::Result<Settings> {
        let overrides = Overrides { config: self.config, data_dir: self.data_dir, ..Overrides::default() };
        let Loaded { settings, warnings } = Settings::load(overrides, &Environment::of_process()?)?;
        for warning in warnings {
            eprintln!("{warning}");
        }
        Ok(settings)
    }
}

/// A database, and what to call it before people.
pub struct Database {
    /// For the service's work.
    pub url: SecretString,
    /// For migrations: past any pooler.
    pub migrate_url: SecretString,
    /// Without anything secret.
    pub title: String,
}

impl Database {
    /// Finds the outside database of the settings or, when there is none, the embedded one of a running service.
    ///
    /// # Errors
    /// When neither is there, with the ways out.
    pub fn find(settings: &Settings) -> anyhow::Result<Self> {
        let data_dir = settings.embedded.data_dir.display();
        if let Some(url) = &settings.database.url {
            let migrate_url = settings.database.migrate_url.as_ref().unwrap_or(url).clone();
            return Ok(Self { url: url.clone(), migrate_url, title: "the database of database.url".to_owned() });
        }
        let running = embedded::find_running(&settings.embedded.data_dir);
        let Some(connection) = running.map_err(|error| anyhow::anyhow!("failed to {error}"))? else {
            bail!(
                "there is no database to work on: no service runs with the data directory {data_dir}, and database.url is not set. \
                 Start the service first, name its --data-dir, or set DATABASE_URL to a PostgreSQL of your own"
            );
        };
        let url = SecretString::from(connection.url());
        Ok(Self { migrate_url: url.clone(), url, title: format!("the embedded database in {data_dir}") })
    }

    /// Opens the store on it, with one connection.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn open(&self, settings: &Settings) -> anyhow::Result<Store> {
        let connect = self.url.expose_secret().parse().context("database.url cannot be understood")?;
        let options = StoreOptions {
            connect,
            pool_max: 1,
            statement_timeout: Duration::from_millis(settings.database.statement_timeout_ms),
            acquire_timeout: Duration::from_millis(settings.database.acquire_timeout_ms),
        };
        Store::connect(options).await.with_context(|| format!("cannot reach {}", self.title))
    }
}

/// Runs what a command has to wait for.
pub fn wait_for<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(work)
}
