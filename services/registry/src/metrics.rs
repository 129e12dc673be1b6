//! Instruments of the registry.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};
use tokio::sync::{mpsc, watch};

use crate::sal::Policy;
use crate::store::{View, Write};

/// What can be wrong with a record of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Not what the format allows.
    Malformed,
    /// It gives an id to a second schema.
    Conflict,
    /// A key type that is not known here.
    UnknownKey,
}

impl SkipReason {
    const ALL: [Self; 3] = [Self::Malformed, Self::Conflict, Self::UnknownKey];

    const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Conflict => "conflict",
            Self::UnknownKey => "unknown_key",
        }
    }
}

/// All instruments, made once.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: Counter<u64>,
    writes: Counter<u64>,
    write_seconds: Histogram<f64>,
    log_records_skipped: Counter<u64>,
    writer: Gauge<u64>,
    forwarded: Counter<u64>,
    not_storable: Counter<u64>,
    connections: Gauge<u64>,
    certificate_reloads: Counter<u64>,
}

impl Metrics {
    /// Makes the instruments.
    pub fn new(meter: &Meter) -> Self {
        let metrics = Self {
            requests: meter
                .u64_counter("efd_registry_requests")
                .with_description("requests answered, by route and HTTP status")
                .build(),
            writes: meter
                .u64_counter("efd_registry_writes")
                .with_description("transactions on the topic of the schemas, by result: committed or failed")
                .build(),
            write_seconds: meter
                .f64_histogram("efd_registry_write")
                .with_description("time of a transaction, from its first record until it was read back")
                .with_unit("s")
                .build(),
            log_records_skipped: meter
                .u64_counter("efd_registry_log_records_skipped")
                .with_description("records of the topic that were skipped, by reason")
                .build(),
            writer: meter
                .u64_gauge("efd_registry_writer")
                .with_description("1 while this process may write the topic, else 0")
                .build(),
            forwarded: meter
                .u64_counter("efd_registry_writes_forwarded")
                .with_description("writes sent to the replica that writes, by result: answered or failed")
                .build(),
            not_storable: meter
                .u64_counter("efd_registry_not_storable")
                .with_description(
                    "new schemas that InfluxDB or SAL cannot take, by what became of them: warned or refused",
                )
                .build(),
            connections: meter
                .u64_gauge("efd_registry_connections")
                .with_description("connections to the REST interface; the bound is limits.max_connections")
                .build(),
            certificate_reloads: meter
                .u64_counter("efd_registry_certificate_reloads")
                .with_description(
                    "changes of the certificate's files, by whether the new certificate can be used",
                )
                .build(),
        };
        metrics.zero();
        metrics
    }

    fn zero(&self) {
        for result in ["committed", "failed"] {
            self.writes.add(0, &[KeyValue::new("result", result)]);
        }
        for result in ["answered", "failed"] {
            self.forwarded.add(0, &[KeyValue::new("result", result)]);
        }
        for reason in SkipReason::ALL {
            self.log_records_skipped.add(0, &[KeyValue::new("reason", reason.label())]);
        }
        for outcome in ["warned", "refused"] {
            self.not_storable.add(0, &[KeyValue::new("outcome", outcome)]);
        }
        for outcome in ["used", "refused"] {
            self.certificate_reloads.add(0, &[KeyValue::new("outcome", outcome)]);
        }
        self.writer.record(0, &[]);
        self.connections.record(0, &[]);
    }

    /// A request was answered.
    pub fn request(&self, route: &'static str, status: u16) {
        let labels = [KeyValue::new("route", route), KeyValue::new("status", i64::from(status))];
        self.requests.add(1, &labels);
    }

    /// A transaction ended after `seconds`.
    pub fn write(&self, committed: bool, seconds: f64) {
        let result = if committed { "committed" } else { "failed" };
        self.writes.add(1, &[KeyValue::new("result", result)]);
        self.write_seconds.record(seconds, &[]);
    }

    /// A record of the log was skipped.
    pub fn skipped(&self, reason: SkipReason) {
        self.log_records_skipped.add(1, &[KeyValue::new("reason", reason.label())]);
    }

    /// A write was sent to another replica.
    pub fn forwarded(&self, answered: bool) {
        let result = if answered { "answered" } else { "failed" };
        self.forwarded.add(1, &[KeyValue::new("result", result)]);
    }

    /// A schema was found that InfluxDB or SAL cannot take.
    pub fn not_storable(&self, policy: Policy) {
        let outcome = if policy == Policy::Refuse { "refused" } else { "warned" };
        self.not_storable.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// There are so many connections to the REST interface.
    pub fn connections(&self, count: usize) {
        self.connections.record(count as u64, &[]);
    }

    /// The certificate's files changed.
    pub fn certificate_reloaded(&self, is_used: bool) {
        let outcome = if is_used { "used" } else { "refused" };
        self.certificate_reloads.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// Whether this process may write.
    pub fn writer(&self, is_writer: bool) {
        self.writer.record(u64::from(is_writer), &[]);
    }
}

/// Makes gauges that ask `view` and `queue` when they are read.
pub fn observe(meter: &Meter, view: &watch::Receiver<View>, queue: mpsc::WeakSender<Write>) {
    let subjects = view.clone();
    meter
        .u64_observable_gauge("efd_registry_subjects")
        .with_description("subjects that have a version that is not deleted")
        .with_callback(move |gauge| gauge.observe(subjects.borrow().state.live_subjects() as u64, &[]))
        .build();
    let schemas = view.clone();
    meter
        .u64_observable_gauge("efd_registry_schemas")
        .with_description("schemas known by an id")
        .with_callback(move |gauge| gauge.observe(schemas.borrow().state.schema_count() as u64, &[]))
        .build();
    meter
        .u64_observable_gauge("efd_registry_writes_waiting")
        .with_description("writes that wait for Kafka; the bound is schemas.write_queue")
        .with_callback(move |gauge| {
            // A strong sender here would keep the writer from ever ending.
            let waiting = queue.upgrade().map_or(0, |queue| queue.max_capacity() - queue.capacity());
            gauge.observe(waiting as u64, &[]);
        })
        .build();
}
