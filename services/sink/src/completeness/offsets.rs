//! What Kafka says of the offsets of partitions: where they begin, and where they end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use efd_kafka::{QuietContext, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};

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
    let (asker, partitions) = (asker.clone(), partitions.to_vec());
    let ask = move || efd_kafka::extents(&asker, &partitions, REQUEST_TIMEOUT);
    let extents = tokio::task::spawn_blocking(ask).await.unwrap_or(Err(KafkaError::Canceled))?;
    Ok(extents.into_iter().filter_map(|(partition, extent)| Some((partition, extent.ok()?))).collect())
}
