//! What Kafka says of the offsets of partitions: where they begin, and where they end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use efd_kafka::{QuietContext, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

/// Bound on one question to a broker.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Any consumer; what it reads does not matter.
type Asker = BaseConsumer<QuietContext>;

/// The offset that the next record of a partition will get.
///
/// # Errors
/// When Kafka does not answer.
pub async fn end(asker: &Arc<Asker>, topic: &str, partition: i32) -> KafkaResult<i64> {
    let (asker, topic) = (asker.clone(), topic.to_owned());
    let ask = move || asker.fetch_watermarks(&topic, partition, REQUEST_TIMEOUT);
    let (_, end) = tokio::task::spawn_blocking(ask).await.unwrap_or(Err(KafkaError::Canceled))?;
    Ok(end)
}

/// The oldest offset and the end of those partitions for which both are known: two requests to each broker, however many there are.
///
/// # Errors
/// When Kafka does not answer.
pub async fn extents(
    asker: &Arc<Asker>,
    partitions: &[TopicPartition],
) -> KafkaResult<HashMap<TopicPartition, (i64, i64)>> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for TopicPartition { topic, partition } in partitions {
        asked.add_partition(topic, *partition);
    }
    let asker = asker.clone();
    let ask = move || {
        let oldest = offsets(&asker, &mut asked, Offset::Beginning)?;
        let ends = offsets(&asker, &mut asked, Offset::End)?;
        Ok::<_, KafkaError>((oldest, ends))
    };
    let (oldest, ends) = tokio::task::spawn_blocking(ask).await.unwrap_or(Err(KafkaError::Canceled))?;
    let mut extents = HashMap::with_capacity(oldest.len());
    for (partition, oldest) in oldest {
        if let Some(end) = ends.get(&partition) {
            extents.insert(partition, (oldest, *end));
        }
    }
    Ok(extents)
}

/// The time of "the beginning" and "the end" are the numbers that these offsets have.
fn offsets(
    asker: &Asker,
    asked: &mut TopicPartitionList,
    place: Offset,
) -> KafkaResult<HashMap<TopicPartition, i64>> {
    asked.set_all_offsets(place)?;
    let answer = asker.offsets_for_times(asked.clone(), REQUEST_TIMEOUT)?;
    let mut offsets = HashMap::new();
    for element in answer.elements() {
        if let (Ok(()), Offset::Offset(offset)) = (element.error(), element.offset()) {
            let (topic, partition) = (element.topic().into(), element.partition());
            offsets.insert(TopicPartition { topic, partition }, offset);
        }
    }
    Ok(offsets)
}
