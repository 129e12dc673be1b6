//! Reads records straight from Kafka.

use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::OwnedMessage;
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
