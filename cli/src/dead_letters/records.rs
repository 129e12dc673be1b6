//! Records of topics, as far as the topics reach when they are asked for: so reading ends, even when what is done with a record puts
//! another one behind it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use efd_kafka::{Admin, AdminError, QuietContext, TopicInfo, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::CLIENT;
use crate::config::Config;

/// Bound on the wait for a record that is there.
const POLL_TIMEOUT: Duration = Duration::from_secs(15);

/// What of a topic is read.
#[derive(Debug)]
pub struct Extent {
    topic: Arc<str>,
    /// Offsets of each partition that has any; not each needs to have a record.
    partitions: BTreeMap<i32, Range<i64>>,
}

impl Extent {
    /// All that is in some topics now, by their names; a topic without records is left out.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn of(admin: &Admin, topics: &[TopicInfo]) -> Result<Vec<Self>, AdminError> {
        let mut extents: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        // A group that never commits is behind by all that is there.
        for lag in admin.lag(CLIENT, topics).await? {
            let TopicPartition { topic, partition } = lag.partition;
            if lag.records > 0 {
                extents.entry(topic).or_default().insert(partition, lag.end - lag.records..lag.end);
            }
        }
        Ok(extents.into_iter().map(|(topic, partitions)| Self { topic, partitions }).collect())
    }

    /// Number of its offsets.
    pub fn length(&self) -> u64 {
        self.partitions.values().map(|offsets| offsets.start.abs_diff(offsets.end)).sum()
    }
}

/// The records of one topic, each partition's in order.
pub struct Records {
    consumer: BaseConsumer<QuietContext>,
    topic: Arc<str>,
    /// Where reading of a partition ends; none of those that are read.
    ends: BTreeMap<i32, i64>,
}

impl Records {
    /// Those of an extent.
    ///
    /// # Errors
    /// When a setting is not one librdkafka takes.
    pub fn open(config: &Config, extent: &Extent) -> anyhow::Result<Self> {
        let mut client = config.kafka.client(CLIENT);
        client
            // Never joined: only assigned partitions are read, and nothing is committed.
            .set("group.id", CLIENT)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true");
        let consumer: BaseConsumer<_> = client.create_with_context(config.kafka.context())?;
        let mut all = TopicPartitionList::new();
        for (partition, offsets) in &extent.partitions {
            all.add_partition_offset(&extent.topic, *partition, Offset::Offset(offsets.start))?;
        }
        consumer.assign(&all)?;
        let ends = extent.partitions.iter().map(|(partition, offsets)| (*partition, offsets.end)).collect();
        Ok(Self { consumer, topic: extent.topic.clone(), ends })
    }

    /// The next one; none when all were read.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub fn read(&mut self) -> anyhow::Result<Option<BorrowedMessage<'_>>> {
        while !self.ends.is_empty() {
            match self.consumer.poll(POLL_TIMEOUT) {
                Some(Ok(record)) => {
                    let Some(end) = self.ends.get(&record.partition()).copied() else { continue };
                    if record.offset() + 1 >= end {
                        self.ends.remove(&record.partition());
                    }
                    if record.offset() < end {
                        return Ok(Some(record));
                    }
                }
                // The last offsets may have no record.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.ends.remove(&partition);
                }
                Some(Err(error)) if efd_kafka::error_kind(&error) == efd_kafka::ErrorKind::Transient => {}
                Some(Err(error)) => return Err(error.into()),
                None => {
                    anyhow::bail!("kafka did not give the records of {} within {POLL_TIMEOUT:?}", self.topic)
                }
            }
        }
        Ok(None)
    }
}
