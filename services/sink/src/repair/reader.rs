//! Reads a range of offsets of one partition at a time, with a consumer that belongs to no group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use efd_kafka::{ErrorKind, KafkaConfig, QuietContext, TopicPartition, error_kind};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::patience::Patience;
use crate::record::Record;

/// Bound on one question to a broker, and on the wait for a record that is there.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Some records in order.
#[derive(Debug)]
pub struct Chunk {
    /// The records.
    pub records: Vec<Read>,
    /// Offset behind the last of them, or the end of what is to be read.
    pub next: i64,
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
    wait: Duration,
    patience: Patience,
}

impl Reader {
    /// Connects lazily.
    ///
    /// # Errors
    /// When a setting is not one librdkafka takes.
    pub fn new(kafka: &KafkaConfig, group: &str, chunk: usize, patience: Patience) -> KafkaResult<Self> {
        let mut client = kafka.client(&format!("{group}-repair"));
        client
            // Never joined: only assigned partitions are read, and nothing is committed.
            .set("group.id", format!("{group}-repair"))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true")
            .set("queued.min.messages", "10000")
            .set("queued.max.messages.kbytes", "16384");
        let consumer = Arc::new(client.create_with_context(kafka.context())?);
        Ok(Self { consumer, chunk, wait: REQUEST_TIMEOUT, patience })
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
        range: (Option<i64>, Option<i64>),
        slack: Duration,
    ) -> KafkaResult<(i64, i64)> {
        self.patience.ask(heals, || self.look(partition, committed, range, slack)).await
    }

    async fn look(
        &self,
        partition: &TopicPartition,
        committed: i64,
        (start, end): (Option<i64>, Option<i64>),
        slack: Duration,
    ) -> KafkaResult<(i64, i64)> {
        let (consumer, partition, wait) = (self.consumer.clone(), partition.clone(), self.wait);
        let slack = i64::try_from(slack.as_millis()).unwrap_or(i64::MAX);
        on_thread(move || {
            let (topic, number) = (&*partition.topic, partition.partition);
            let (oldest, _) = consumer.fetch_watermarks(topic, number, wait)?;
            let at = |micros: i64, slack: i64| -> KafkaResult<Option<i64>> {
                let mut asked = TopicPartitionList::new();
                let millis = micros.div_euclid(1000).saturating_add(slack).max(0);
                asked.add_partition_offset(topic, number, Offset::Offset(millis))?;
                let found = consumer.offsets_for_times(asked, wait)?;
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

    /// The next records below an offset, at least one unless there is none.
    ///
    /// # Errors
    /// When Kafka does not give them in time.
    pub async fn chunk(&self, to: i64) -> KafkaResult<Chunk> {
        self.patience.ask(heals, || self.poll(to)).await
    }

    /// What comes within the wait: records that were polled do not come again, so an error is told only when there are none.
    async fn poll(&self, to: i64) -> KafkaResult<Chunk> {
        let (consumer, size, wait) = (self.consumer.clone(), self.chunk, self.wait);
        on_thread(move || {
            let (mut records, mut next): (Vec<Read>, Option<i64>) = (Vec::new(), None);
            let mut trouble = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
            let start = Instant::now();
            while records.len() < size && next.is_none_or(|next| next < to) {
                let left = wait.saturating_sub(start.elapsed());
                match consumer.poll(left) {
                    Some(Ok(record)) if record.offset() >= to => next = Some(to),
                    Some(Ok(record)) => {
                        next = Some(record.offset() + 1);
                        records.push(Read(record.detach()));
                    }
                    // The rest is compacted away, or markers of transactions.
                    Some(Err(KafkaError::PartitionEOF(_))) => next = Some(to),
                    Some(Err(error)) if !heals(&error) => return Err(error),
                    Some(Err(error)) if !left.is_zero() => trouble = error,
                    Some(Err(_)) | None => break,
                }
            }
            next.map(|next| Chunk { records, next }).ok_or(trouble)
        })
        .await
    }
}

fn heals(error: &KafkaError) -> bool {
    error_kind(error) == ErrorKind::Transient
}

async fn on_thread<T: Send + 'static>(
    call: impl FnOnce() -> KafkaResult<T> + Send + 'static,
) -> KafkaResult<T> {
    tokio::task::spawn_blocking(call).await.unwrap_or(Err(KafkaError::Canceled))
}

#[cfg(test)]
mod tests {
    use efd_kafka::{OutRecord, Producer, ProducerOptions};
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::bounds::RetryConfig;
    use crate::testing::partition;

    #[tokio::test]
    async fn a_broker_that_is_away_for_a_while_costs_no_record() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let servers = Some(cluster.bootstrap_servers());
        let kafka = KafkaConfig { bootstrap_servers: servers, ..KafkaConfig::default() };
        let mut batch = Producer::new(&kafka, "test", &ProducerOptions::default()).unwrap().batch();
        for _ in 0..10 {
            let record = OutRecord { topic: "t", payload: Some(b"x"), ..OutRecord::default() };
            batch.send(record).await.unwrap();
        }
        batch.delivered().await.unwrap();

        cluster.broker_down(1).unwrap();
        let retry = RetryConfig { min: Duration::from_millis(1), max: Duration::from_millis(2) };
        let hasty = Patience { retry, limit: Duration::ZERO };
        let reader = Reader::new(&kafka, "g", 4, hasty).unwrap();
        let reader = Reader { wait: Duration::from_millis(50), ..reader };
        reader.seek(&partition("t"), 2).unwrap();
        assert!(reader.chunk(9).await.is_err());

        cluster.broker_up(1).unwrap();
        let reader = Reader { patience: Patience::new(retry), ..reader };
        let (mut offsets, mut next) = (Vec::new(), 2);
        while next < 9 {
            let chunk = reader.chunk(9).await.unwrap();
            offsets.extend(chunk.records.iter().map(|read| read.view().offset));
            next = chunk.next;
        }
        assert_eq!(offsets, [2, 3, 4, 5, 6, 7, 8]);
    }
}
