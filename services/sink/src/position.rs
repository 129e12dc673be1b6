//! Where librdkafka reads on in a partition that was paused.
//!
//! While a partition is paused, by us or by librdkafka itself during a rebalance, what was read ahead of it is thrown away, and it is read
//! on behind the record that was given last. Where none was given since the assignment, librdkafka (2.12) reads on behind what
//! it threw away, and those records are never seen. So such a partition is not paused, and after a rebalance it is read
//! again from where it began.

use std::collections::HashSet;
use std::time::Duration;

use efd_kafka::TopicPartition;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

/// Bound on the question where a group stands.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The owned partitions of which a record was given since they were assigned.
pub fn begun<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> KafkaResult<TopicPartitionList> {
    owned(consumer, |_, offset| matches!(offset, Offset::Offset(_)))
}

/// Reads the partitions of which no record was given yet from where they began. Those that were assigned just now have not
/// been read ahead of.
pub fn begin_again<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    assigned: &[TopicPartition],
) -> KafkaResult<()> {
    let assigned: HashSet<(&str, i32)> =
        assigned.iter().map(|partition| (&*partition.topic, partition.partition)).collect();
    let waiting =
        owned(consumer, |place, offset| !matches!(offset, Offset::Offset(_)) && !assigned.contains(&place))?;
    if waiting.count() == 0 {
        return Ok(());
    }
    for element in consumer.committed_offsets(waiting, TIMEOUT)?.elements() {
        let start = match element.offset() {
            Offset::Offset(next) => Offset::Offset(next),
            _ => Offset::Beginning,
        };
        // Refused where nothing was read yet, and there it is not needed.
        let _ = consumer.seek(element.topic(), element.partition(), start, Duration::ZERO);
    }
    Ok(())
}

fn owned<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    is_wanted: impl Fn((&str, i32), Offset) -> bool,
) -> KafkaResult<TopicPartitionList> {
    let mut wanted = TopicPartitionList::new();
    for element in consumer.position()?.elements() {
        if is_wanted((element.topic(), element.partition()), element.offset()) {
            wanted.add_partition(element.topic(), element.partition());
        }
    }
    Ok(wanted)
}
