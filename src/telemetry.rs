//! The log: where its lines go and what they look like. Metrics are not here yet.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogFormat, TelemetrySettings};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is none.
    #[error("telemetry.filter: {0:?} is no filter such as info,openmpsd=debug: {1}")]
    Filter(String, String),
    /// The process has a log already.
    #[error("the log is already set up")]
    Twice,
}

/// Sends what the filter lets through to standard error, for the whole process. Standard output stays free for answers.
///
/// # Errors
/// When the filter cannot be read, or on a second call.
pub fn start(settings: &TelemetrySettings) -> Result<(), TelemetryError> {
    let lines = fmt().with_writer(io::stderr).with_env_filter(filter(&settings.filter)?);
    let started = match settings.format {
        LogFormat::Pretty => lines.with_ansi(io::stderr().is_terminal()).with_target(false).finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).finish().try_init(),
    };
    started.map_err(|_| TelemetryError::Twice)
}

fn filter(directives: &str) -> Result<EnvFilter, TelemetryError> {
    let filter = EnvFilter::builder().parse(directives);
    filter.map_err(|error| TelemetryError::Filter(directives.to_owned(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_named_with_its_key() {
        assert!(filter("info,openmpsd=debug").is_ok());
        let message = filter("openmpsd=loud").unwrap_err().to_string();
        assert!(message.starts_with("telemetry.filter: \"openmpsd=loud\" is no filter"), "{message}");
    }
}
