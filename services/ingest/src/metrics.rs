//! The metrics of ingest. Labels are bounded: components that are configured, reasons of an enum.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

/// Why a sample was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// It does not fit its interface.
    Encode,
    /// Kafka takes no record like it, for example for its size.
    Kafka,
}

impl RejectReason {
    const ALL: [Self; 2] = [Self::Encode, Self::Kafka];

    fn label(self) -> KeyValue {
        let value = match self {
            Self::Encode => "encode",
            Self::Kafka => "kafka",
        };
        KeyValue::new("reason", value)
    }
}

/// The instruments; made once.
#[derive(Debug, Clone)]
pub struct Metrics {
    components: Vec<[KeyValue; 1]>,
    samples_taken: Counter<u64>,
    records_delivered: Counter<u64>,
    records_rejected: Counter<u64>,
    delivery_retries: Counter<u64>,
    delivery: Histogram<f64>,
    outstanding_records: Gauge<u64>,
    in_flight: Gauge<u64>,
    queued_samples: Gauge<u64>,
}

impl Metrics {
    /// Makes the instruments and sets every series to 0, so that it exists before its first event.
    pub fn new(meter: &Meter, components: &[String]) -> Self {
        let counter =
            |name: &'static str, text: &'static str| meter.u64_counter(name).with_description(text).build();
        let gauge =
            |name: &'static str, text: &'static str| meter.u64_gauge(name).with_description(text).build();
        let metrics = Self {
            components: components.iter().map(|c| [KeyValue::new("component", c.clone())]).collect(),
            samples_taken: counter("efd_ingest_samples_taken", "Samples taken from the sources"),
            records_delivered: counter("efd_ingest_records_delivered", "Records that Kafka acknowledged"),
            records_rejected: counter("efd_ingest_records_rejected", "Samples that can never be delivered"),
            delivery_retries: counter("efd_ingest_delivery_retries", "Batches that were sent once more"),
            delivery: meter
                .f64_histogram("efd_ingest_delivery")
                .with_unit("s")
                .with_description("Time from the first record of a batch to the acknowledgement of its last")
                .build(),
            outstanding_records: gauge(
                "efd_ingest_outstanding_records",
                "Records taken and not yet acknowledged",
            ),
            in_flight: meter
                .u64_gauge("efd_ingest_in_flight")
                .with_unit("By")
                .with_description("Memory of the records that wait for Kafka")
                .build(),
            queued_samples: gauge(
                "efd_ingest_queued_samples",
                "Samples between the sources and the producer",
            ),
        };
        for component in &metrics.components {
            metrics.samples_taken.add(0, component);
            metrics.records_delivered.add(0, component);
        }
        for reason in RejectReason::ALL {
            metrics.records_rejected.add(0, &[reason.label()]);
        }
        metrics.delivery_retries.add(0, &[]);
        metrics.outstanding(0, 0);
        metrics.queued(0);
        metrics
    }

    /// Samples of a component were taken; the component by its place in the configuration.
    pub(crate) fn taken(&self, component_id: usize, count: u64) {
        if let Some(component) = self.components.get(component_id) {
            self.samples_taken.add(count, component);
        }
    }

    /// Records of a component were acknowledged.
    pub(crate) fn delivered(&self, component_id: usize, count: u64) {
        if let Some(component) = self.components.get(component_id) {
            self.records_delivered.add(count, component);
        }
    }

    /// A sample was rejected.
    pub(crate) fn rejected(&self, reason: RejectReason) {
        self.records_rejected.add(1, &[reason.label()]);
    }

    /// A batch is sent once more.
    pub(crate) fn retried(&self) {
        self.delivery_retries.add(1, &[]);
    }

    /// A batch was acknowledged.
    pub(crate) fn batch_delivered(&self, after: Duration) {
        self.delivery.record(after.as_secs_f64(), &[]);
    }

    /// Records taken and not yet acknowledged, and the memory of those that wait for Kafka.
    pub(crate) fn outstanding(&self, records: u64, in_flight_bytes: u64) {
        self.outstanding_records.record(records, &[]);
        self.in_flight.record(in_flight_bytes, &[]);
    }

    /// Samples that wait in the queue.
    pub(crate) fn queued(&self, samples: u64) {
        self.queued_samples.record(samples, &[]);
    }
}
