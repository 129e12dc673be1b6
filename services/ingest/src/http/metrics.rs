//! The metrics of the HTTP source: its own of requests, and those of all sources of records.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter, UpDownCounter};

use super::answer::RecordOutcome;
use super::error::{ProxyError, RETRIABLE};
use crate::config::Config;
use crate::metrics::{Metrics, Open, RejectReason};
use crate::source::Source;

/// The instruments; made once.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    requests: Counter<u64>,
    connections: Gauge<u64>,
    in_progress: UpDownCounter<i64>,
    in_flight: UpDownCounter<i64>,
    records: Metrics,
    /// What topics of components begin with, up to the component.
    namespace: String,
    components: Vec<String>,
}

impl HttpMetrics {
    /// Counts records in `records`.
    pub fn new(meter: &Meter, records: Metrics, config: &Config) -> Self {
        let requests = meter
            .u64_counter("efd_ingest_http_requests")
            .with_description("Requests answered by the HTTP source")
            .build();
        let connections = meter
            .u64_gauge("efd_ingest_http_connections")
            .with_description("Connections to the HTTP source")
            .build();
        let in_progress = meter
            .i64_up_down_counter("efd_ingest_http_requests_in_progress")
            .with_description("Requests that the HTTP source works on")
            .build();
        let in_flight = meter
            .i64_up_down_counter("efd_ingest_http_in_flight")
            .with_unit("By")
            .with_description("Bodies of the requests that the HTTP source works on")
            .build();
        in_progress.add(0, &[]);
        in_flight.add(0, &[]);
        let namespace = format!("lsst.{}.", config.topic_subname.get());
        let components = config.components.clone();
        Self { requests, connections, in_progress, in_flight, records, namespace, components }
    }

    /// A request was answered.
    pub fn request(&self, route: &'static str, status: u16) {
        let labels = [KeyValue::new("route", route), KeyValue::new("status", i64::from(status))];
        self.requests.add(1, &labels);
    }

    /// Work on a request begins, whose body has so many bytes at most; it ends when what is returned is dropped.
    pub fn begun(&self, body_bytes: u64) -> [Open; 2] {
        let bytes = i64::try_from(body_bytes).unwrap_or(i64::MAX);
        [Open::new(&self.in_progress, 1), Open::new(&self.in_flight, bytes)]
    }

    /// A request with records was refused as a whole; its records may not even be known, so it counts as one.
    pub fn refused(&self, error: &ProxyError) {
        self.records.refused(Source::Http, error.reason());
    }

    /// So many connections are open.
    pub fn connections(&self, count: usize) {
        self.connections.record(count as u64, &[]);
    }

    /// The records of a request are on their way to Kafka.
    pub fn taken(&self, topic: &str, records: usize) {
        self.records.taken(Source::Http, self.component_id(topic), records as u64);
    }

    /// The outcomes of a request's records are known.
    pub fn settled(&self, topic: &str, outcomes: &[RecordOutcome], after: Duration) {
        let component_id = self.component_id(topic);
        let delivered = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        self.records.delivered(Source::Http, component_id, delivered as u64);
        for (code, _) in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            let is_retriable = *code == RETRIABLE;
            let reason = if is_retriable { RejectReason::Unacknowledged } else { RejectReason::Kafka };
            self.records.rejected(Source::Http, reason);
        }
        self.records.batch_delivered(Source::Http, after);
    }

    /// Place of the component that a topic belongs to; behind the last where it belongs to none.
    fn component_id(&self, topic: &str) -> usize {
        let component = topic.strip_prefix(&self.namespace).and_then(|rest| rest.split('.').next());
        let place = component.and_then(|name| self.components.iter().position(|known| known == name));
        place.unwrap_or(self.components.len())
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::global::meter;

    use super::*;

    #[test]
    fn a_topic_counts_for_its_component_or_for_no_configured_one() {
        let config = Config { components: vec!["MTM1M3".into(), "Test".into()], ..Config::default() };
        let metrics = HttpMetrics::new(&meter("t"), Metrics::new(&meter("t"), &config.components), &config);
        let cases = [
            ("lsst.sal.Test.weather", 1),
            ("lsst.sal.MTM1M3.x", 0),
            ("lsst.sal.MTM1M3TS.x", 2),
            ("lsst.square.metrics", 2),
            ("lsst.lab.Test.weather", 2),
        ];
        for (topic, place) in cases {
            assert_eq!(metrics.component_id(topic), place, "{topic}");
        }
    }
}
