//! What an operator may set, read once at start and plain data ever after.
//!
//! Every key stands with its unit and default in `config/default.toml`, which the program carries inside itself. On top of it come,
//! later ones winning, the file given with `--config`, the environment (`OPENMPSD__SECTION__KEY`, and `DATABASE_URL` for the one
//! thing everybody calls so) and the command line's flags. Unknown keys and impossible values are refused by name, all at once.
//! Deliberately not here: `--dev`, which no file and no variable may switch on by accident, and what the settings are used for.

mod data_dir;
mod environment;
mod layers;
mod parse;
mod sections;
mod show;
mod sources;
mod validate;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use data_dir::{default_data_dir, make_data_dir};
pub use environment::Environment;
pub use sections::{
    AccessSettings, AuthSettings, DatabaseSettings, EmbeddedSettings, HandleSettings, LimitSettings, LogFormat, QueueSettings,
    ServerSettings, ServiceSettings, SessionSettings, Settings, SocialSettings, SocialSource, SocketSettings, TelemetrySettings,
    ThrottleSettings, TimerSettings, UnknownFields,
};
pub use show::masked;
pub use sources::{Entry, Explained, Source};

/// Every key with its default and what it means; operators read the same file.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// What the command line's flags say; they win over everything else.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`: the file between the built-in defaults and the environment.
    pub config: Option<PathBuf>,
    /// `--listen`: for `server.listen`.
    pub listen: Option<SocketAddr>,
    /// `--data-dir`: for `embedded.data_dir`.
    pub data_dir: Option<PathBuf>,
    /// `--services`: for `services.directory`.
    pub services: Option<PathBuf>,
}

/// Settings, and what the operator should hear about them once there is a log.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings, valid and complete.
    pub settings: Settings,
    /// Sentences to log as warnings.
    pub warnings: Vec<String>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file given with `--config` is missing, unreadable or no TOML.
    #[error("cannot read the settings file: {0}")]
    File(String),
    /// A variable meant for us is not valid UTF-8.
    #[error("the environment variable {0} is not valid UTF-8")]
    NotText(String),
    /// Keys that do not exist, each with where it stands and the nearest one that does.
    #[error("unknown settings: {}", .0.join("; "))]
    Unknown(Vec<String>),
    /// A value of the wrong type.
    #[error("{0}")]
    Type(String),
    /// Values out of range or at odds with each other, each beginning with its key.
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
    /// There is no home directory to put the data in.
    #[error("there is no home directory for the data: set --data-dir or embedded.data_dir")]
    NoDataDir,
    /// A value that cannot be shown as text.
    #[error("the settings cannot be shown: {0}")]
    Unshowable(String),
    /// More than one of the above.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<SettingsError>),
}

impl SettingsError {
    /// Everything that is wrong, a line each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Unknown(keys) => keys.iter().map(|key| format!("unknown setting: {key}")).collect(),
            Self::Invalid(problems) => problems.clone(),
            Self::Several(errors) => errors.iter().flat_map(Self::problems).collect(),
            other => vec![other.to_string()],
        }
    }
}

impl Settings {
    /// Reads the built-in defaults, the file, the environment and the flags, in this order, later ones winning.
    ///
    /// # Errors
    /// When a source cannot be read, a key is unknown or a value impossible; every message names the key.
    pub fn load(overrides: Overrides, environment: &Environment) -> Result<Loaded, SettingsError> {
        Self::explain(overrides, environment).map(|explained| explained.loaded)
    }

    /// The same, with where each value comes from.
    ///
    /// # Errors
    /// As `load`; everything that is wrong is said at once.
    pub fn explain(overrides: Overrides, environment: &Environment) -> Result<Explained, SettingsError> {
        let layers::Layers { mut settings, mut problems, warnings, mut given } =
            layers::read(overrides.config.as_deref(), environment)?;
        if let Some(listen) = overrides.listen {
            settings.server.listen = listen;
            given.insert("server.listen".to_owned(), Source::Flag("--listen"));
        }
        if let Some(services) = overrides.services {
            settings.services.directory = services;
            given.insert("services.directory".to_owned(), Source::Flag("--services"));
        }
        if let Some(data_dir) = overrides.data_dir {
            settings.embedded.data_dir = data_dir;
            given.insert("embedded.data_dir".to_owned(), Source::Flag("--data-dir"));
        }
        if settings.embedded.data_dir.as_os_str().is_empty() {
            settings.embedded.data_dir = data_dir::default_in(environment)?;
        }
        problems.extend(validate::check(&settings).err());
        match problems.len() {
            0 => Ok(Explained { loaded: Loaded { settings, warnings }, given }),
            1 => Err(problems.remove(0)),
            _ => Err(SettingsError::Several(problems)),
        }
    }
}

#[cfg(test)]
mod tests;
