//! A producer that confirms delivery by the batch.
//!
//! Idempotent, `acks=all`: librdkafka keeps the order of each partition and writes no record twice by itself. It retries for
//! `message.timeout.ms` (5 minutes); after that the caller hears of the failure and decides.
//!
//! With one exception, which the caller hears of as a failure too: see [`Placed::of`].
//!
//! A single record may be sent with a report, which says where Kafka put it or why not; records without one cost nothing more.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytesize::ByteSize;
use opentelemetry::trace::SpanContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Message as _};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::trace::BatchTrace;
use crate::{KafkaConfig, QuietContext};

/// Wait before a full buffer is tried again.
const FULL_BUFFER_WAIT: Duration = Duration::from_millis(2);

/// How records are gathered before they are sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProducerOptions {
    /// Wait for more records before a batch is sent (librdkafka `linger.ms`). Default 5 ms.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// Bound on records that wait for the broker (librdkafka `queue.buffering.max.kbytes`). Default 64 MiB.
    pub buffer_bytes: ByteSize,
    /// `none`, `lz4`, `zstd`, `snappy` or `gzip`. Default `lz4`.
    pub compression: String,
    /// Time after which a record that no broker took is reported as failed (librdkafka `message.timeout.ms`).
    /// Default 5 minutes.
    #[serde(with = "humantime_serde")]
    pub delivery_timeout: Duration,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            linger: Duration::from_millis(5),
            buffer_bytes: ByteSize::mib(64),
            compression: "lz4".into(),
            delivery_timeout: Duration::from_secs(300),
        }
    }
}

/// One record to produce.
#[derive(Debug, Default)]
pub struct OutRecord<'a> {
    /// Kafka topic.
    pub topic: &'a str,
    /// Partition; none lets the partitioner choose by key.
    pub partition: Option<i32>,
    /// Key; an empty one is not the same as none.
    pub key: Option<&'a [u8]>,
    /// Value; none is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Headers; none means the trace context of the batch, if traces are exported.
    pub headers: Option<OwnedHeaders>,
    /// The span in which its publisher sent it; the batch's span for such records is a child of it.
    pub parent: Option<&'a SpanContext>,
    /// Time of creation, Unix milliseconds; none means now.
    pub timestamp_ms: Option<i64>,
}

/// Where Kafka put a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Partition.
    pub partition: i32,
    /// Place in the partition, from 0.
    pub offset: i64,
}

impl Placed {
    /// What an idempotent producer's report of a delivery says.
    ///
    /// A record that librdkafka reports as delivered without a place need not be in Kafka. It concludes from the acknowledgement
    /// of a later request that the broker has an earlier one whose outcome was an error, since a broker refuses what comes
    /// before its turn. But a broker takes any number from a producer that the partition does not know yet: of a topic that
    /// was just created, the first request may be refused (not yet the leader) and the next one taken. So the record has to
    /// be sent again, even if Kafka may have it twice then.
    ///
    /// # Errors
    /// Why the record is not delivered; `OutOfOrderSequenceNumber` when that is not known.
    pub fn of(report: &DeliveryResult<'_>) -> KafkaResult<Self> {
        match report {
            Ok(record) if record.offset() < 0 => {
                Err(KafkaError::MessageProduction(RDKafkaErrorCode::OutOfOrderSequenceNumber))
            }
            Ok(record) => Ok(Self { partition: record.partition(), offset: record.offset() }),
            Err((error, _)) => Err(error.clone()),
        }
    }
}

/// What is called once it is known what became of a record.
type Report = Box<dyn FnOnce(KafkaResult<Placed>) + Send>;

/// Deliveries of one batch that are still awaited.
#[derive(Debug, Default)]
struct Pending {
    count: AtomicUsize,
    error: OnceLock<KafkaError>,
    changed: Notify,
}

/// Who hears of a delivery: the batch, and for a record that was sent with a report whoever waits for it.
#[derive(Default)]
struct Listeners {
    batch: Arc<Pending>,
    report: Mutex<Option<Report>>,
}

/// The owner of the batch hears of a record that was not delivered.
struct Deliveries(QuietContext);

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Listeners>;

    fn delivery(&self, result: &DeliveryResult<'_>, listeners: Self::DeliveryOpaque) {
        let pending = &listeners.batch;
        let outcome = Placed::of(result);
        if let Err(error) = &outcome {
            // Only the first error is kept; that one fails the batch.
            let _ = pending.error.set(error.clone());
        }
        let report = listeners.report.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(report) = report {
            report(outcome);
        }
        if pending.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            pending.changed.notify_one();
        }
    }
}

/// An idempotent producer; clones share one connection.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<ThreadedProducer<Deliveries>>,
    client_id: Arc<str>,
}

impl Producer {
    /// Connects lazily: an unreachable broker is no error here, the records wait.
    ///
    /// # Errors
    /// When a setting is not one librdkafka takes.
    pub fn new(config: &KafkaConfig, client_id: &str, options: &ProducerOptions) -> KafkaResult<Self> {
        let mut client = config.client(client_id);
        client
            .set("enable.idempotence", "true")
            .set("linger.ms", options.linger.as_millis().to_string())
            .set("queue.buffering.max.kbytes", (options.buffer_bytes.as_u64() / 1024).max(1).to_string())
            .set("queue.buffering.max.messages", "1000000")
            .set("compression.type", &options.compression)
            .set("message.timeout.ms", options.delivery_timeout.as_millis().to_string());
        // What the operator set by hand wins.
        for (name, value) in &config.options {
            client.set(name.replace('_', "."), value);
        }
        // But for this: with less, nothing would be known of a delivery.
        client.set("acks", "all");
        let inner = client.create_with_context(Deliveries(config.context()))?;
        Ok(Self { inner: Arc::new(inner), client_id: client_id.into() })
    }

    /// An empty batch.
    pub fn batch(&self) -> Batch {
        let trace = BatchTrace::new(self.client_id.clone());
        Batch { producer: self.clone(), listeners: Arc::default(), trace }
    }

    /// Waits until everything sent was delivered or failed.
    ///
    /// # Errors
    /// When records still wait after `timeout`.
    pub async fn flush(&self, timeout: Duration) -> KafkaResult<()> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || inner.flush(timeout))
            .await
            .unwrap_or(Err(KafkaError::Flush(RDKafkaErrorCode::Fail)))
    }

    /// Whether a fatal error ended this producer; then a new one has to be made.
    pub fn fatal_error(&self) -> Option<String> {
        self.inner.client().fatal_error().map(|(_, reason)| reason)
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("in_flight", &self.inner.in_flight_count()).finish()
    }
}

/// Records whose delivery is awaited together.
pub struct Batch {
    producer: Producer,
    listeners: Arc<Listeners>,
    trace: BatchTrace,
}

impl Batch {
    /// Hands a record to the producer; waits while its buffer is full, which is the back-pressure to the source.
    ///
    /// # Errors
    /// When librdkafka refuses the record, for example for its size; the batch itself stays usable. It also does when
    /// the call is dropped while it waits; then the record is not in the batch.
    pub async fn send(&mut self, record: OutRecord<'_>) -> KafkaResult<()> {
        self.send_to(record, self.listeners.clone()).await
    }

    /// As [`send`](Self::send); `report` is called as soon as Kafka has the record or the client gives it up, on a thread
    /// of the client, so it must not wait for anything. It is dropped uncalled when the client does not take the record.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_with_report(
        &mut self,
        record: OutRecord<'_>,
        report: impl FnOnce(KafkaResult<Placed>) + Send + 'static,
    ) -> KafkaResult<()> {
        let report: Report = Box::new(report);
        let listeners = Listeners { batch: self.listeners.batch.clone(), report: Mutex::new(Some(report)) };
        self.send_to(record, Arc::new(listeners)).await
    }

    async fn send_to(&mut self, record: OutRecord<'_>, listeners: Arc<Listeners>) -> KafkaResult<()> {
        let mut base: BaseRecord<'_, [u8], [u8], Arc<Listeners>> =
            BaseRecord::with_opaque_to(record.topic, listeners);
        base.key = record.key;
        base.payload = record.payload;
        base.partition = record.partition;
        base.timestamp = record.timestamp_ms;
        base.headers = self.trace.headers_of(record.parent, record.headers);
        loop {
            // Before the record is taken, since it may be delivered before the call returns.
            self.pending().count.fetch_add(1, Ordering::AcqRel);
            let Err((error, refused)) = self.producer.inner.send(base) else {
                self.trace.sent(record.parent, record.topic);
                return Ok(());
            };
            // Before the wait too: a caller that gives up in it must not leave a record to wait for for ever.
            self.pending().count.fetch_sub(1, Ordering::AcqRel);
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error);
            }
            base = refused;
            tokio::time::sleep(FULL_BUFFER_WAIT).await;
        }
    }

    /// Waits until every record of the batch was acknowledged.
    ///
    /// # Errors
    /// The first failure, after all deliveries are known; which records failed is not told, the whole batch may be sent again.
    pub async fn delivered(self) -> KafkaResult<()> {
        let pending = self.pending();
        while pending.count.load(Ordering::Acquire) > 0 {
            pending.changed.notified().await;
        }
        let outcome = pending.error.get().cloned().map_or(Ok(()), Err);
        self.trace.end(&outcome);
        outcome
    }

    fn pending(&self) -> &Pending {
        &self.listeners.batch
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("producer", &self.producer).field("pending", self.pending()).finish()
    }
}

#[cfg(test)]
#[path = "producer_tests.rs"]
mod tests;
