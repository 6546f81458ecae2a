//! The log and the traces: where their lines go and what they look like. Metrics are a room of their own (`metrics`).

use std::io::{self, IsTerminal};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use secrecy::ExposeSecret as _;
use tracing::Subscriber;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, registry};

use crate::settings::{LogFormat, TelemetrySettings};

/// How long the last spans may take to be sent.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is none.
    #[error("telemetry.filter: {0:?} is no filter such as info,openmpsd=debug: {1}")]
    Filter(String, String),
    /// Spans cannot be sent there.
    #[error("telemetry.otlp_endpoint: {0}")]
    Export(String),
    /// The process has a log already.
    #[error("the log is already set up")]
    Twice,
}

/// Sends the last spans when it is dropped, at the end of the process.
#[derive(Debug)]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.as_ref().map(|provider| provider.shutdown_with_timeout(LAST_SPANS)) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Sends what the filter lets through to standard error, for the whole process, and spans to the collector, if there is one. Standard
/// output stays free for answers.
///
/// # Errors
/// When the filter or the collector's address cannot be read, or on a second call.
pub fn start(settings: &TelemetrySettings) -> Result<Telemetry, TelemetryError> {
    let exporting = exporter(settings)?;
    let tracer = exporting.as_ref().map(|provider| {
        global::set_text_map_propagator(TraceContextPropagator::new());
        tracing_opentelemetry::layer().with_tracer(provider.tracer("openmpsd"))
    });
    let started = registry().with(filter(&settings.filter)?).with(tracer).with(lines(settings.format)).try_init();
    started.map_err(|_| TelemetryError::Twice)?;
    Ok(Telemetry(exporting))
}

/// The lines on standard error.
fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync> {
    // A log that cannot be written, because nobody reads it any more, must not end the process.
    let lines = fmt::layer().with_writer(io::stderr).log_internal_errors(false);
    match format {
        LogFormat::Pretty => lines.with_ansi(io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    }
}

fn filter(directives: &str) -> Result<EnvFilter, TelemetryError> {
    let filter = EnvFilter::builder().parse(directives);
    filter.map_err(|error| TelemetryError::Filter(directives.to_owned(), error.to_string()))
}

/// What sends spans, from a thread of its own, where a collector is named.
fn exporter(settings: &TelemetrySettings) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = &settings.otlp_endpoint else { return Ok(None) };
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
    let exporter = exporter.with_endpoint(endpoint.expose_secret()).build();
    let exporter = exporter.map_err(|error| TelemetryError::Export(error.to_string()))?;
    let about = Resource::builder().with_service_name("openmpsd");
    let about = about.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.otlp_sample_ratio)));
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(about).with_sampler(sampler);
    Ok(Some(provider.build()))
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
