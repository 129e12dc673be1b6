//! Transactions on the log, and the scan for ids. Every call blocks, for at most the write timeout.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use efd_kafka::{KafkaConfig, Placed, QuietContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Offset};

use crate::config::SchemasConfig;
use crate::log::{self, Encoded, MaxIds};
use crate::reader::{POLL, Reach, consumer};

/// Room for the headers of a record, beside key and value.
const RECORD_OVERHEAD: u64 = 1024;
/// Pause between two looks at whether all records were delivered.
const DELIVERY_LOOK: Duration = Duration::from_micros(200);

/// A producer that holds the transactional id. After an error it must be thrown away.
pub(crate) struct Transactions {
    producer: ThreadedProducer<Deliveries>,
    topic: String,
    timeout: Duration,
}

/// What is known of the ids in the log, committed or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Offset of the next record to look at.
    pub(crate) next_offset: i64,
    /// The highest id of each context in the records before.
    pub(crate) max_ids: MaxIds,
}

impl Scanned {
    fn note(&mut self, ids: MaxIds) {
        for (context, id) in ids {
            let known = self.max_ids.entry(context).or_insert(0);
            *known = id.max(*known);
        }
    }
}

/// How the records of one transaction fared.
#[derive(Debug, Default)]
struct Delivered {
    last_offset: AtomicI64,
    error: OnceLock<KafkaError>,
}

/// Whoever waits for the transaction hears of its failure.
struct Deliveries(QuietContext);

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Delivered>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivered: Self::DeliveryOpaque) {
        match Placed::of(result) {
            Ok(placed) => {
                delivered.last_offset.fetch_max(placed.offset, Ordering::AcqRel);
            }
            Err(error) => {
                // The first error says why; the others follow from it.
                let _ = delivered.error.set(error);
            }
        }
    }
}

impl Transactions {
    /// Takes the transactional id: any other holder is fenced, and its open transaction is ended.
    pub(crate) fn open(kafka: &KafkaConfig, config: &SchemasConfig) -> KafkaResult<Self> {
        let timeout_ms = config.write_timeout.as_millis().to_string();
        let mut client = kafka.client(&config.transactional_id);
        client
            .set("transactional.id", &config.transactional_id)
            .set("transaction.timeout.ms", &timeout_ms)
            .set("message.timeout.ms", &timeout_ms)
            .set("message.max.bytes", (config.max_schema_bytes.as_u64() + RECORD_OVERHEAD).to_string())
            .set("linger.ms", "0");
        let producer: ThreadedProducer<Deliveries> =
            client.create_with_context(Deliveries(kafka.context()))?;
        producer.init_transactions(config.write_timeout)?;
        Ok(Self { producer, topic: config.topic.clone(), timeout: config.write_timeout })
    }

    /// Writes all records or none; returns the offset of the last one.
    pub(crate) fn write(&self, records: &[Encoded]) -> KafkaResult<i64> {
        // Of a producer that is fenced, records only hear that they were purged; the cause is more of use.
        let fatal = || self.producer.client().fatal_error().map(|(code, _)| KafkaError::Global(code));
        self.try_write(records).map_err(|error| fatal().unwrap_or(error))
    }

    fn try_write(&self, records: &[Encoded]) -> KafkaResult<i64> {
        let deadline = Instant::now() + self.timeout;
        let delivered = Arc::new(Delivered { last_offset: AtomicI64::new(-1), error: OnceLock::new() });
        self.producer.begin_transaction()?;
        for (key, value) in records {
            let mut record: BaseRecord<'_, [u8], [u8], Arc<Delivered>> =
                BaseRecord::with_opaque_to(&self.topic, delivered.clone()).partition(0).key(key);
            record.payload = value.as_deref();
            self.producer.send(record).map_err(|(error, _)| error)?;
        }
        self.settle(deadline)?;
        if let Some(error) = delivered.error.get() {
            return Err(error.clone());
        }
        self.producer.commit_transaction(deadline.saturating_duration_since(Instant::now()))?;
        Ok(delivered.last_offset.load(Ordering::Acquire))
    }

    /// Waits until every record was delivered or failed. `commit_transaction` would too, but it looks only ten times a second.
    fn settle(&self, deadline: Instant) -> KafkaResult<()> {
        while self.producer.in_flight_count() > 0 {
            if Instant::now() >= deadline {
                return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
            }
            std::thread::park_timeout(DELIVERY_LOOK);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Transactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transactions").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// Looks at the ids of all records from where the last scan ended to the end of the log, aborted ones too.
pub(crate) fn scan(kafka: &KafkaConfig, config: &SchemasConfig, from: Scanned) -> KafkaResult<Scanned> {
    let start = if from.next_offset == 0 { Offset::Beginning } else { Offset::Offset(from.next_offset) };
    let consumer = consumer(kafka, config, "read_uncommitted", (Reach::End, start))?;
    let mut scanned = from;
    let mut deadline = Instant::now() + config.write_timeout;
    while Instant::now() < deadline {
        match consumer.poll(POLL) {
            Some(Ok(record)) => {
                scanned.next_offset = record.offset() + 1;
                scanned.note(log::ids_of(record.key().unwrap_or_default(), record.payload()));
                deadline = Instant::now() + config.write_timeout;
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(scanned),
            // librdkafka reconnects by itself; the deadline bounds the wait.
            Some(Err(_)) | None => {}
        }
    }
    Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut))
}
