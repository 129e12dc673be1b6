//! Logs and traces of the process.

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::{ConfigError, LogConfig, LogFormat, ServiceConfig};

/// Bound on the links of a span; further ones are dropped. OpenTelemetry's default of 128 is less than the batches of
/// producers that one write of a sink can hold.
pub const MAX_LINKS: u32 = 1024;

/// Bound on sending the last spans at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Why telemetry cannot start.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The exporter of traces cannot be built.
    #[error("cannot export traces to {endpoint} (setting service.otlp_endpoint)")]
    Otlp {
        /// Address of the collector.
        endpoint: String,
        /// Why.
        source: opentelemetry_otlp::ExporterBuildError,
    },
}

/// Sends the last spans when dropped, for at most two seconds. Drop it outside of async code, or on a
/// multi-threaded runtime: the runtime must still run to send them.
#[derive(Debug)]
#[must_use = "dropping it ends the export of traces"]
pub struct TelemetryGuard {
    traces: Option<SdkTracerProvider>,
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        let Some(traces) = self.traces.take() else { return };
        if let Err(error) = traces.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// Sets up logs to standard error, W3C trace context, and traces over OTLP where an endpoint is set, all for
/// the whole process; in a process that has a subscriber already, logs stay as they are. Must be called
/// inside a Tokio runtime.
///
/// # Errors
/// When the log filter or the endpoint cannot be used.
pub fn init_telemetry(name: &'static str, config: &ServiceConfig) -> Result<TelemetryGuard, TelemetryError> {
    let filter = filter(&config.log)?;
    let traces = config.otlp_endpoint.as_deref().map(|endpoint| traces(name, endpoint)).transpose()?;
    let lines = lines(&config.log).with_filter(filter);
    // What is logged does not decide what is traced.
    let export = traces.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer(name)).with_filter(LevelFilter::INFO)
    });
    // An error means that a test or a demo has its subscriber already.
    let _ = tracing_subscriber::registry().with(lines).with(export).try_init();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    Ok(TelemetryGuard { traces })
}

/// Checks what [`init_telemetry`] would refuse.
pub(crate) fn check(config: &ServiceConfig) -> Result<(), ConfigError> {
    filter(&config.log)?;
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(()) };
    let uri: Option<http::Uri> = endpoint.parse().ok();
    match uri.as_ref().and_then(http::Uri::scheme_str) {
        Some("http" | "https") => Ok(()),
        _ => Err(ConfigError::invalid(
            "service.otlp_endpoint",
            format!("must be a URL such as http://collector:4317, not {endpoint:?}"),
        )),
    }
}

fn filter(log: &LogConfig) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(&log.filter)
        .map_err(|error| ConfigError::invalid("service.log.filter", format!("is {:?}: {error}", log.filter)))
}

fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(log: &LogConfig) -> Box<dyn Layer<S> + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Human => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    }
}

fn traces(name: &'static str, endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|source| TelemetryError::Otlp { endpoint: endpoint.to_owned(), source })?;
    let resource = Resource::builder().with_service_name(name).build();
    let traces = SdkTracerProvider::builder().with_resource(resource).with_max_links_per_span(MAX_LINKS);
    Ok(traces.with_batch_exporter(exporter).build())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    // The only test here that calls `init_telemetry`: the first call in a process is the one that counts.
    #[tokio::test(flavor = "multi_thread")]
    async fn trace_context_is_w3c_and_spans_reach_the_collector_when_the_guard_is_dropped() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let log = LogConfig { filter: "error".to_owned(), ..LogConfig::default() };
        let config = ServiceConfig { otlp_endpoint: Some(endpoint), log, ..ServiceConfig::default() };
        let guard = init_telemetry("efd-test", &config).unwrap();
        opentelemetry::global::get_text_map_propagator(|propagator| {
            assert_eq!(propagator.fields().collect::<Vec<_>>(), ["traceparent", "tracestate"]);
        });
        tracing::info_span!("sink.write").in_scope(|| ());
        // The flush waits for an answer that this collector never gives.
        let dropped = tokio::task::spawn_blocking(|| drop(guard));
        let received = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            while !(contains(&bytes, b"sink.write") && contains(&bytes, b"efd-test")) {
                assert!(socket.read_buf(&mut bytes).await.unwrap() > 0, "the exporter hung up");
            }
        };
        tokio::time::timeout(Duration::from_secs(10), received).await.unwrap();
        tokio::time::timeout(FLUSH_TIMEOUT * 4, dropped).await.unwrap().unwrap();
    }

    fn contains(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }
}
