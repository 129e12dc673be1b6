//! Reads records straight from Kafka.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message as _, OwnedMessage};
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::DEADLINE;

/// The oldest records of partition 0 of a topic, at most `count`; ends early at the topic's present end.
pub fn read(consumer: &BaseConsumer, topic: &str, count: usize) -> anyhow::Result<Vec<OwnedMessage>> {
    let (oldest, end) = consumer.fetch_watermarks(topic, 0, DEADLINE)?;
    let wanted = count.min(usize::try_from(end - oldest)?);
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&partitions)?;
    let deadline = Instant::now() + DEADLINE;
    let mut records = Vec::with_capacity(wanted);
    while records.len() < wanted {
        anyhow::ensure!(Instant::now() < deadline, "{} of {wanted} records of {topic} came", records.len());
        if let Some(record) = consumer.poll(Duration::from_millis(100)) {
            records.push(record?.detach());
        }
    }
    Ok(records)
}

/// Gives every record of all partitions of some topics, up to their present ends; the topics have no holes.
///
/// # Errors
/// When Kafka does not answer, or `take` fails.
pub fn for_each(
    consumer: &BaseConsumer,
    topics: &[efd_kafka::TopicInfo],
    mut take: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut ends = HashMap::new();
    let mut partitions = TopicPartitionList::new();
    for topic in topics {
        for partition in &topic.partitions {
            let (oldest, end) = consumer.fetch_watermarks(&topic.name, *partition, DEADLINE)?;
            if end > oldest {
                partitions.add_partition_offset(&topic.name, *partition, Offset::Beginning)?;
                ends.insert((topic.name.as_str(), *partition), end);
            }
        }
    }
    consumer.assign(&partitions)?;
    let mut deadline = Instant::now() + DEADLINE;
    while !ends.is_empty() {
        anyhow::ensure!(Instant::now() < deadline, "no more records of {:?} came", ends.keys());
        let Some(record) = consumer.poll(Duration::from_millis(100)) else { continue };
        let record = record?;
        let place = (record.topic(), record.partition());
        if let Some(end) = ends.get(&place).filter(|end| record.offset() < **end) {
            let is_last = record.offset() + 1 == *end;
            take(&record)?;
            if is_last {
                ends.retain(|other, _| *other != place);
            }
            deadline = Instant::now() + DEADLINE;
        }
    }
    Ok(())
}
