//! Metrics of one service: OpenTelemetry instruments, read as Prometheus text.

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};

/// Bounds for what is measured in seconds: 0.1 ms to a minute, six to a decade from 1 ms on, where neighbours
/// differ by at most two thirds, so that p50 and p99 can be read from the buckets.
const SECONDS: [f64; 34] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07,
    0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];

/// Bounds for what is measured in bytes: 256 B to 64 MiB by factors of 4.
const BYTES: [f64; 10] = [
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// The instruments of one service and their present values.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, OTelSdkError> {
        let registry = Registry::new();
        // One registry is one service: scope and target would repeat on every line what the scrape's labels
        // say.
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_target_info()
            .scope_info_enabled(false)
            .build()?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).with_view(buckets).build();
        Ok(Self { registry, provider })
    }

    pub(crate) fn meter(&self, name: &'static str) -> Meter {
        self.provider.meter(name)
    }

    /// The present values as Prometheus text.
    pub(crate) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn buckets(instrument: &Instrument) -> Option<Stream> {
    let boundaries: &[f64] = match (instrument.kind(), instrument.unit()) {
        (InstrumentKind::Histogram, "s") => &SECONDS,
        (InstrumentKind::Histogram, "By") => &BYTES,
        _ => return None,
    };
    let aggregation =
        Aggregation::ExplicitBucketHistogram { boundaries: boundaries.to_vec(), record_min_max: false };
    Stream::builder().with_aggregation(aggregation).build().ok()
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;

    use super::*;

    #[test]
    fn names_follow_prometheus_and_carry_no_scope_or_target() {
        let metrics = Metrics::new().unwrap();
        let meter = metrics.meter("efd-sink");
        meter.u64_counter("efd_sink_points_written").build().add(3, &[KeyValue::new("component", "Test")]);
        meter.f64_histogram("efd_sink_write").with_unit("s").build().record(0.02, &[]);
        meter.u64_gauge("efd_sink_in_flight").with_unit("By").build().record(7, &[]);
        let text = metrics.text().unwrap();
        let has = |line: &str| assert!(text.lines().any(|found| found == line), "no {line} in:\n{text}");
        has(r#"efd_sink_points_written_total{component="Test"} 3"#);
        has(r#"efd_sink_write_seconds_bucket{le="0.015"} 0"#);
        has(r#"efd_sink_write_seconds_bucket{le="0.02"} 1"#);
        has(r#"efd_sink_write_seconds_bucket{le="60"} 1"#);
        has("efd_sink_in_flight_bytes 7");
        assert!(!text.contains("target_info") && !text.contains("scope"), "{text}");
    }

    #[test]
    fn two_services_in_one_process_do_not_share_metrics() {
        let (first, second) = (Metrics::new().unwrap(), Metrics::new().unwrap());
        first.meter("efd-sink").u64_counter("efd_sink_writes").build().add(1, &[]);
        second.meter("efd-gateway").u64_counter("efd_gateway_queries").build().add(1, &[]);
        assert!(!second.text().unwrap().contains("efd_sink"));
        assert!(!first.text().unwrap().contains("efd_gateway"));
    }

    #[test]
    fn the_bounds_of_buckets_grow() {
        assert!(SECONDS.is_sorted() && BYTES.is_sorted());
    }
}
