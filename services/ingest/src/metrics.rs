//! The metrics of ingest. Labels are bounded: components that are configured, reasons of an enum.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};

use crate::source::Source;

/// Component of topics that belong to none of the configured ones; its place is behind theirs.
const OTHER: &str = "other";

/// Why a sample was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// It is a text that is no record at all.
    Parse,
    /// It does not fit its interface.
    Encode,
    /// Kafka takes no record like it, for example for its size.
    Kafka,
    /// Kafka did not acknowledge it in time, and who sent it was told so.
    Unacknowledged,
}

impl RejectReason {
    const ALL: [Self; 4] = [Self::Parse, Self::Encode, Self::Kafka, Self::Unacknowledged];

    fn label(self) -> KeyValue {
        let value = match self {
            Self::Parse => "parse",
            Self::Encode => "encode",
            Self::Kafka => "kafka",
            Self::Unacknowledged => "unacknowledged",
        };
        KeyValue::new("reason", value)
    }
}

/// Why a source turns a sample away, and says so to whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefuseReason {
    /// Credentials are missing or not known.
    Unauthenticated,
    /// The credentials are for other topics.
    Forbidden,
    /// There is no such topic here.
    UnknownTopic,
    /// The topic has no such field.
    UnknownField,
    /// The value is of another kind than the field.
    WrongType,
    /// The array is longer or shorter than the field.
    WrongLength,
    /// The field cannot hold the value.
    OutOfRange,
    /// It was made for another version of the topic.
    WrongRevCode,
    /// Over HTTP: the body is none that can be read.
    Malformed,
    /// Over HTTP: there is no schema, or none that can be used or that the registry gives.
    Schema,
    /// Over HTTP: a value does not fit the schema.
    Misfit,
    /// Over HTTP: as many requests are worked on as may be.
    Busy,
    /// Over HTTP: no broker could be asked for the topic.
    Kafka,
}

impl RefuseReason {
    const GRPC: [Self; 8] = [
        Self::Unauthenticated,
        Self::Forbidden,
        Self::UnknownTopic,
        Self::UnknownField,
        Self::WrongType,
        Self::WrongLength,
        Self::OutOfRange,
        Self::WrongRevCode,
    ];
    const HTTP: [Self; 8] = [
        Self::Unauthenticated,
        Self::Forbidden,
        Self::UnknownTopic,
        Self::Malformed,
        Self::Schema,
        Self::Misfit,
        Self::Busy,
        Self::Kafka,
    ];

    fn label(self) -> KeyValue {
        let value = match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::UnknownTopic => "unknown_topic",
            Self::UnknownField => "unknown_field",
            Self::WrongType => "wrong_type",
            Self::WrongLength => "wrong_length",
            Self::OutOfRange => "out_of_range",
            Self::WrongRevCode => "wrong_rev_code",
            Self::Malformed => "malformed",
            Self::Schema => "schema",
            Self::Misfit => "misfit",
            Self::Busy => "busy",
            Self::Kafka => "kafka",
        };
        KeyValue::new("reason", value)
    }
}

/// Counts something as long as it lives.
#[derive(Debug)]
pub struct Open {
    counter: UpDownCounter<i64>,
    size: i64,
}

impl Open {
    /// Adds `size` until it is dropped.
    pub(crate) fn new(counter: &UpDownCounter<i64>, size: i64) -> Self {
        counter.add(size, &[]);
        Self { counter: counter.clone(), size }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counter.add(-self.size, &[]);
    }
}

/// The instruments; made once.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Labels of each source and component, in their order.
    components: [Vec<[KeyValue; 2]>; Source::ALL.len()],
    samples_taken: Counter<u64>,
    records_delivered: Counter<u64>,
    records_rejected: Counter<u64>,
    samples_refused: Counter<u64>,
    grpc_streams: UpDownCounter<i64>,
    grpc_connections: UpDownCounter<i64>,
    delivery_retries: Counter<u64>,
    delivery: Histogram<f64>,
    outstanding_records: UpDownCounter<i64>,
    in_flight: Gauge<u64>,
    queued_samples: Gauge<u64>,
    text_queued_batches: Gauge<u64>,
    certificate_reloads: Counter<u64>,
}

impl Metrics {
    /// Makes the instruments and sets every series to 0, so that it exists before its first event.
    pub fn new(meter: &Meter, components: &[String]) -> Self {
        let counter =
            |name: &'static str, text: &'static str| meter.u64_counter(name).with_description(text).build();
        let gauge =
            |name: &'static str, text: &'static str| meter.u64_gauge(name).with_description(text).build();
        let metrics = Self {
            components: Source::ALL.map(|source| {
                let labels = |name: &str| [source_label(source), KeyValue::new("component", name.to_owned())];
                // The HTTP source takes records of any topic.
                let other = (source == Source::Http).then_some(OTHER);
                components.iter().map(String::as_str).chain(other).map(labels).collect()
            }),
            samples_taken: counter("efd_ingest_samples_taken", "Samples taken from the sources"),
            records_delivered: counter("efd_ingest_records_delivered", "Records that Kafka acknowledged"),
            records_rejected: counter("efd_ingest_records_rejected", "Samples that can never be delivered"),
            samples_refused: counter("efd_ingest_samples_refused", "Samples that a source turned away"),
            grpc_streams: meter
                .i64_up_down_counter("efd_ingest_grpc_streams")
                .with_description("Streams that publish over gRPC")
                .build(),
            grpc_connections: meter
                .i64_up_down_counter("efd_ingest_grpc_connections")
                .with_description("Connections to the gRPC source")
                .build(),
            delivery_retries: counter("efd_ingest_delivery_retries", "Batches that were sent once more"),
            delivery: meter
                .f64_histogram("efd_ingest_delivery")
                .with_unit("s")
                .with_description("Time from the first record of a batch to the acknowledgement of its last")
                .build(),
            outstanding_records: meter
                .i64_up_down_counter("efd_ingest_outstanding_records")
                .with_description("Records taken and not yet acknowledged")
                .build(),
            in_flight: meter
                .u64_gauge("efd_ingest_in_flight")
                .with_unit("By")
                .with_description("Memory of the records that wait for Kafka")
                .build(),
            queued_samples: gauge(
                "efd_ingest_queued_samples",
                "Samples between the sources and the producer",
            ),
            text_queued_batches: gauge(
                "efd_ingest_text_queued_batches",
                "Batches of text records that wait to be written",
            ),
            certificate_reloads: counter(
                "efd_ingest_certificate_reloads",
                "Changes of the certificate's files, by whether the new certificate can be used",
            ),
        };
        metrics.zero();
        metrics
    }

    fn zero(&self) {
        for labels in self.components.iter().flatten() {
            self.samples_taken.add(0, labels);
            self.records_delivered.add(0, labels);
        }
        for source in Source::ALL {
            for reason in RejectReason::ALL {
                self.records_rejected.add(0, &[source_label(source), reason.label()]);
            }
        }
        for (source, reasons) in [(Source::Grpc, RefuseReason::GRPC), (Source::Http, RefuseReason::HTTP)] {
            for reason in reasons {
                self.samples_refused.add(0, &[source_label(source), reason.label()]);
            }
        }
        self.grpc_streams.add(0, &[]);
        self.grpc_connections.add(0, &[]);
        self.delivery_retries.add(0, &[]);
        for outcome in ["used", "refused"] {
            self.certificate_reloads.add(0, &[KeyValue::new("outcome", outcome)]);
        }
        for source in Source::ALL {
            self.outstanding(source, 0);
        }
        self.in_flight(0);
        self.queued(0);
        self.text_queued(0);
    }

    /// Samples of a component were taken, and are outstanding; the component by its place in the configuration.
    pub(crate) fn taken(&self, source: Source, component_id: usize, count: u64) {
        self.outstanding(source, signed(count));
        if let Some(labels) = self.labels(source, component_id) {
            self.samples_taken.add(count, labels);
        }
    }

    /// Records of a component were acknowledged; they are not outstanding any more.
    pub(crate) fn delivered(&self, source: Source, component_id: usize, count: u64) {
        self.outstanding(source, -signed(count));
        if let Some(labels) = self.labels(source, component_id) {
            self.records_delivered.add(count, labels);
        }
    }

    fn labels(&self, source: Source, component_id: usize) -> Option<&[KeyValue; 2]> {
        self.components.get(source as usize)?.get(component_id)
    }

    /// A sample was rejected; it is not outstanding any more.
    pub(crate) fn rejected(&self, source: Source, reason: RejectReason) {
        self.outstanding(source, -1);
        self.records_rejected.add(1, &[source_label(source), reason.label()]);
    }

    /// A source turned a sample away.
    pub(crate) fn refused(&self, source: Source, reason: RefuseReason) {
        self.samples_refused.add(1, &[source_label(source), reason.label()]);
    }

    /// A gRPC stream begins; it ends when what is returned is dropped.
    pub(crate) fn open_stream(&self) -> Open {
        Open::new(&self.grpc_streams, 1)
    }

    /// A gRPC connection begins; it ends when what is returned is dropped.
    pub(crate) fn open_connection(&self) -> Open {
        Open::new(&self.grpc_connections, 1)
    }

    /// A batch is sent once more.
    pub(crate) fn retried(&self) {
        self.delivery_retries.add(1, &[]);
    }

    /// A batch was acknowledged that had records of this source.
    pub(crate) fn batch_delivered(&self, source: Source, after: Duration) {
        self.delivery.record(after.as_secs_f64(), &[source_label(source)]);
    }

    /// Records of a source were taken, or if negative, had their end.
    pub(crate) fn outstanding(&self, source: Source, change: i64) {
        self.outstanding_records.add(change, &[source_label(source)]);
    }

    /// Memory of the records that wait for Kafka.
    pub(crate) fn in_flight(&self, bytes: u64) {
        self.in_flight.record(bytes, &[]);
    }

    /// Samples that wait in the queue.
    pub(crate) fn queued(&self, samples: u64) {
        self.queued_samples.record(samples, &[]);
    }

    /// Batches of text records that wait to be written.
    pub(crate) fn text_queued(&self, batches: usize) {
        self.text_queued_batches.record(batches as u64, &[]);
    }

    /// The certificate's files changed.
    pub(crate) fn certificate_reloaded(&self, is_used: bool) {
        let outcome = if is_used { "used" } else { "refused" };
        self.certificate_reloads.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn source_label(source: Source) -> KeyValue {
    KeyValue::new("source", source.name())
}
