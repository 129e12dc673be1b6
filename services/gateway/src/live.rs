//! Reads topics from Kafka, partition by partition at given offsets, with a consumer that belongs to no group.
//!
//! It reads when asked, so that a client that takes nothing stops the reading; librdkafka then holds a few MiB.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use efd_kafka::{ErrorKind, KafkaConfig, QuietContext, error_kind};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::OwnedMessage;
use rdkafka::{Offset, TopicPartitionList};

use crate::error::QueryError;

/// Bound on one question to a broker.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for the next record, so that a call that ends leaves its thread soon.
const WAIT: Duration = Duration::from_millis(200);

/// Records of one chunk.
const CHUNK: usize = 1000;

/// Bytes of one chunk; one record more may pass them.
const CHUNK_BYTES: usize = 1 << 20;

/// A partition of a topic.
pub type Partition = (String, i32);

/// Offsets of partitions.
pub type Offsets = HashMap<Partition, i64>;

/// Reads topics.
#[derive(Clone)]
pub struct Live {
    consumer: Arc<BaseConsumer<QuietContext>>,
    config: KafkaConfig,
    servers: String,
    has_read: bool,
}

/// Some records, and which partitions have come to their ends.
#[derive(Debug, Default)]
pub struct Chunk {
    /// In the order of each partition.
    pub records: Vec<OwnedMessage>,
    /// Numbers of partitions that have no more.
    pub ended: Vec<i32>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl Live {
    /// Connects at the first question.
    ///
    /// # Errors
    /// When librdkafka does not take a setting.
    pub fn new(config: &KafkaConfig) -> Result<Self, QueryError> {
        let servers = config.bootstrap_servers().to_owned();
        let consumer = Arc::new(consumer(config).map_err(|error| failed(&servers, &error))?);
        Ok(Self { consumer, config: config.clone(), servers, has_read: false })
    }

    /// Reads on with a new consumer, if this one has read anything. What an earlier assignment left behind, as the end of a partition,
    /// does not say of which topic it is.
    ///
    /// # Errors
    /// When librdkafka does not take a setting.
    pub fn renew(&mut self) -> Result<(), QueryError> {
        if self.has_read {
            let old = std::mem::replace(self, Self::new(&self.config)?);
            // It closes its connections.
            tokio::task::spawn_blocking(move || drop(old));
        }
        Ok(())
    }

    /// The present ends of all partitions of topics.
    ///
    /// # Errors
    /// When Kafka does not answer, or has no such topic.
    pub async fn ends(&self, topics: Vec<String>) -> Result<Offsets, QueryError> {
        let ends = self.on_thread(move |consumer| {
            let mut ends = Offsets::new();
            for topic in topics {
                let metadata = consumer.fetch_metadata(Some(&topic), REQUEST_TIMEOUT)?;
                let found = metadata.topics().iter().find(|found| found.name() == topic);
                let partitions = found.map(rdkafka::metadata::MetadataTopic::partitions).unwrap_or_default();
                if partitions.is_empty() {
                    return Ok(Err(topic));
                }
                for partition in partitions {
                    let (_, end) = consumer.fetch_watermarks(&topic, partition.id(), REQUEST_TIMEOUT)?;
                    ends.insert((topic.clone(), partition.id()), end);
                }
            }
            Ok(Ok(ends))
        });
        ends.await?.map_err(|topic| QueryError::NoKafkaTopic { topic, servers: self.servers.clone() })
    }

    /// The first offsets of a topic's partitions that were produced at or after a time in Unix milliseconds; where there are none, `ends`.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn since(&self, topic: &str, millis: i64, ends: &Offsets) -> Result<Offsets, QueryError> {
        let mut asked = TopicPartitionList::new();
        let ends: Offsets =
            ends.iter().filter(|(part, _)| part.0 == topic).map(|(p, e)| (p.clone(), *e)).collect();
        for (topic, partition) in ends.keys() {
            let added = asked.add_partition_offset(topic, *partition, Offset::Offset(millis.max(0)));
            added.map_err(|error| failed(&self.servers, &error))?;
        }
        let found =
            self.on_thread(move |consumer| consumer.offsets_for_times(asked, REQUEST_TIMEOUT)).await?;
        let offset = |partition: &Partition, end: i64| {
            let element = found.find_partition(&partition.0, partition.1);
            match element.map(|element| element.offset()) {
                Some(Offset::Offset(offset)) => offset.min(end),
                _ => end,
            }
        };
        Ok(ends.iter().map(|(partition, end)| (partition.clone(), offset(partition, *end))).collect())
    }

    /// Reads on from these offsets, and nothing else.
    ///
    /// # Errors
    /// When the partitions cannot be assigned.
    pub fn assign(&mut self, offsets: &Offsets) -> Result<(), QueryError> {
        self.has_read = true;
        let mut list = TopicPartitionList::new();
        let mut assign = || {
            for ((topic, partition), offset) in offsets {
                list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
            }
            self.consumer.assign(&list)
        };
        assign().map_err(|error| failed(&self.servers, &error))
    }

    /// The next records: what is there, or the first that comes within a moment.
    ///
    /// # Errors
    /// When Kafka refuses for good.
    pub async fn chunk(&self) -> Result<Chunk, QueryError> {
        self.on_thread(|consumer| {
            let mut chunk = Chunk::default();
            let (mut bytes, until) = (0, Instant::now() + WAIT);
            while chunk.records.len() < CHUNK && bytes < CHUNK_BYTES {
                let is_first = chunk.records.is_empty() && chunk.ended.is_empty();
                let wait =
                    if is_first { until.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
                match consumer.poll(wait) {
                    Some(Ok(record)) => {
                        bytes += record.payload_len();
                        chunk.records.push(record.detach());
                    }
                    Some(Err(KafkaError::PartitionEOF(partition))) => chunk.ended.push(partition),
                    // librdkafka connects again by itself, and so does a client that hears nothing.
                    Some(Err(error)) if error_kind(&error) == ErrorKind::Transient && !is_refusal(&error) => {
                    }
                    Some(Err(error)) => return Err(error),
                    None => break,
                }
            }
            Ok(chunk)
        })
        .await
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        call: impl FnOnce(&BaseConsumer<QuietContext>) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, QueryError> {
        let consumer = Arc::clone(&self.consumer);
        let outcome = tokio::task::spawn_blocking(move || call(&consumer)).await;
        outcome.unwrap_or(Err(KafkaError::Canceled)).map_err(|error| failed(&self.servers, &error))
    }
}

fn consumer(config: &KafkaConfig) -> KafkaResult<BaseConsumer<QuietContext>> {
    let mut client = config.client("efd-gateway");
    client
        // Never joined: only assigned partitions are read, and nothing is committed.
        .set("group.id", "efd-gateway-tail")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "100")
        .set("queued.max.messages.kbytes", "4096");
    client.create_with_context(config.context())
}

/// Whether waiting would not help a client that hears nothing meanwhile.
fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{Authentication, TopicAuthorizationFailed, UnknownTopicOrPartition};
    let code = error.rdkafka_error_code();
    matches!(code, Some(Authentication | TopicAuthorizationFailed | UnknownTopicOrPartition))
}

fn failed(servers: &str, error: &KafkaError) -> QueryError {
    QueryError::Kafka { servers: servers.to_owned(), reason: error.to_string() }
}
