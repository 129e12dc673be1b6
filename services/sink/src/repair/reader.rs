//! Reads a range of offsets of one partition at a time, with a consumer that belongs to no group.

use std::sync::Arc;
use std::time::Duration;

use efd_kafka::{KafkaConfig, QuietContext, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};
use rdkafka::{Offset, TopicPartitionList};

use crate::record::Record;

/// Bound on one question to a broker, and on the wait for a record that is there.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Some records in order.
#[derive(Debug)]
pub struct Chunk {
    /// The records.
    pub records: Vec<Read>,
    /// Offset behind the last of them, or the end of what is to be read.
    pub next: Option<i64>,
}

/// A record on its own.
#[derive(Debug)]
pub struct Read(OwnedMessage);

impl Read {
    /// As the pipeline takes it; the key does not matter for a point.
    pub fn view(&self) -> Record<'_> {
        let headers = self.0.headers().into_iter().flat_map(|headers| headers.iter());
        let headers = headers.map(|header| (header.key, header.value)).collect();
        Record { offset: self.0.offset(), payload: self.0.payload(), headers, ..Record::default() }
    }
}

/// The reader.
pub struct Reader {
    consumer: Arc<BaseConsumer<QuietContext>>,
    chunk: usize,
}

impl Reader {
    /// Connects lazily.
    ///
    /// # Errors
    /// When a setting is not one librdkafka takes.
    pub fn new(kafka: &KafkaConfig, group: &str, chunk: usize) -> KafkaResult<Self> {
        let mut client = kafka.client(&format!("{group}-repair"));
        client
            // Never joined: only assigned partitions are read, and nothing is committed.
            .set("group.id", format!("{group}-repair"))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true")
            .set("queued.min.messages", "10000")
            .set("queued.max.messages.kbytes", "16384");
        Ok(Self { consumer: Arc::new(client.create_with_context(kafka.context())?), chunk })
    }

    /// The offsets to read: from the oldest record, or from what was produced before the range begins; until `committed`, or what was
    /// produced after it ends. Times are Unix microseconds.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn range(
        &self,
        partition: &TopicPartition,
        committed: i64,
        (start, end): (Option<i64>, Option<i64>),
        slack: Duration,
    ) -> KafkaResult<(i64, i64)> {
        let (consumer, partition) = (self.consumer.clone(), partition.clone());
        let slack = i64::try_from(slack.as_millis()).unwrap_or(i64::MAX);
        on_thread(move || {
            let (topic, number) = (&*partition.topic, partition.partition);
            let (oldest, _) = consumer.fetch_watermarks(topic, number, REQUEST_TIMEOUT)?;
            let at = |micros: i64, slack: i64| -> KafkaResult<Option<i64>> {
                let mut asked = TopicPartitionList::new();
                let millis = micros.div_euclid(1000).saturating_add(slack).max(0);
                asked.add_partition_offset(topic, number, Offset::Offset(millis))?;
                let found = consumer.offsets_for_times(asked, REQUEST_TIMEOUT)?;
                Ok(found.elements().iter().find_map(|element| match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                }))
            };
            let from = match start {
                // Nothing was produced since.
                Some(start) => at(start, -slack)?.unwrap_or(committed),
                None => oldest,
            };
            let to = match end {
                Some(end) => at(end, slack)?.unwrap_or(committed),
                None => committed,
            };
            Ok((from.max(oldest), to.min(committed)))
        })
        .await
    }

    /// The next chunk begins at an offset.
    ///
    /// # Errors
    /// When the partition cannot be assigned.
    pub fn seek(&self, partition: &TopicPartition, offset: i64) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(offset))?;
        self.consumer.assign(&list)
    }

    /// The next records below an offset.
    ///
    /// # Errors
    /// When Kafka does not give them in time.
    pub async fn chunk(&self, to: i64) -> KafkaResult<Chunk> {
        let (consumer, size) = (self.consumer.clone(), self.chunk);
        on_thread(move || {
            let mut chunk = Chunk { records: Vec::new(), next: None };
            while chunk.records.len() < size && chunk.next.is_none_or(|next| next < to) {
                match consumer.poll(REQUEST_TIMEOUT) {
                    Some(Ok(record)) if record.offset() >= to => chunk.next = Some(to),
                    Some(Ok(record)) => {
                        chunk.next = Some(record.offset() + 1);
                        chunk.records.push(Read(record.detach()));
                    }
                    // The rest is compacted away, or markers of transactions.
                    Some(Err(KafkaError::PartitionEOF(_))) => chunk.next = Some(to),
                    Some(Err(error)) if efd_kafka::error_kind(&error) == efd_kafka::ErrorKind::Transient => {}
                    Some(Err(error)) => return Err(error),
                    None => {
                        let code = rdkafka::types::RDKafkaErrorCode::OperationTimedOut;
                        return Err(KafkaError::MessageConsumption(code));
                    }
                }
            }
            Ok(chunk)
        })
        .await
    }
}

async fn on_thread<T: Send + 'static>(
    call: impl FnOnce() -> KafkaResult<T> + Send + 'static,
) -> KafkaResult<T> {
    tokio::task::spawn_blocking(call).await.unwrap_or(Err(KafkaError::Canceled))
}
