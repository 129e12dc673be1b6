//! Where partitions begin and end, and how far a group is behind.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::admin::REQUEST_TIMEOUT;
use crate::{GroupLag, QuietContext, TopicPartition};

/// Offsets by partition, or why Kafka does not tell one.
type Offsets = BTreeMap<TopicPartition, KafkaResult<i64>>;

/// The oldest offset of each partition and the one that its next record will get: two requests to each broker, however many partitions
/// there are. Blocks.
///
/// # Errors
/// When Kafka does not answer in time; for one partition, why it does not tell.
pub fn extents(
    consumer: &BaseConsumer<QuietContext>,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> KafkaResult<BTreeMap<TopicPartition, KafkaResult<(i64, i64)>>> {
    if partitions.is_empty() {
        // librdkafka does not take an empty list.
        return Ok(BTreeMap::new());
    }
    let mut asked = list(partitions);
    // The time of "the beginning" and "the end" are the numbers that these offsets have.
    let mut ask = |place| {
        asked.set_all_offsets(place)?;
        Ok::<_, KafkaError>(offsets(&consumer.offsets_for_times(asked.clone(), timeout)?))
    };
    let (oldest, mut ends) = (ask(Offset::Beginning)?, ask(Offset::End)?);
    let unknown = || Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition));
    let extent = |(partition, oldest): (TopicPartition, KafkaResult<i64>)| {
        let end = ends.remove(&partition).unwrap_or_else(unknown);
        let extent = oldest.and_then(|oldest| Ok((oldest, end?)));
        (partition, extent)
    };
    Ok(oldest.into_iter().map(extent).collect())
}

/// Three requests to each broker, however many partitions there are.
pub(crate) fn lag_of(
    consumer: &BaseConsumer<QuietContext>,
    partitions: &[TopicPartition],
) -> KafkaResult<Vec<GroupLag>> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let mut all = offsets(&consumer.committed_offsets(list(partitions), REQUEST_TIMEOUT)?);
    let mut extents = extents(consumer, partitions, REQUEST_TIMEOUT)?;
    let mut lags = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let committed = all.remove(partition).transpose()?;
        let Some(extent) = extents.remove(partition) else {
            return Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition));
        };
        let (oldest, end) = extent?;
        let records = (end - committed.unwrap_or(oldest).max(oldest)).max(0);
        lags.push(GroupLag { partition: partition.clone(), committed, end, records });
    }
    Ok(lags)
}

fn list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for TopicPartition { topic, partition } in partitions {
        list.add_partition(topic, *partition);
    }
    list
}

/// Those of a list that it has.
fn offsets(list: &TopicPartitionList) -> Offsets {
    let offset = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        let offset = match (element.error(), element.offset()) {
            (Err(error), _) => Err(error),
            (Ok(()), Offset::Offset(offset)) => Ok(offset),
            (Ok(()), _) => return None,
        };
        let (topic, partition) = (element.topic().into(), element.partition());
        Some((TopicPartition { topic, partition }, offset))
    };
    list.elements().into_iter().filter_map(offset).collect()
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::CommitMode;
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::admin::on_thread;
    use crate::{Admin, KafkaConfig, OutRecord, Producer, ProducerOptions};

    #[tokio::test(flavor = "multi_thread")]
    async fn the_lag_of_a_partition_is_what_is_behind_the_commit_or_all_that_is_there() {
        let cluster = MockCluster::new(2).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let config =
            KafkaConfig { bootstrap_servers: Some(cluster.bootstrap_servers()), ..KafkaConfig::default() };
        let mut batch = Producer::new(&config, "test", &ProducerOptions::default()).unwrap().batch();
        for partition in [0, 0, 0, 1, 1] {
            let record = OutRecord {
                topic: "t",
                partition: Some(partition),
                payload: Some(b"x"),
                ..OutRecord::default()
            };
            batch.send(record).await.unwrap();
        }
        batch.delivered().await.unwrap();
        let mut client = config.client("test");
        client.set("group.id", "group");
        let consumer: BaseConsumer = client.create().unwrap();
        let mut commit = TopicPartitionList::new();
        commit.add_partition_offset("t", 0, Offset::Offset(1)).unwrap();
        on_thread(move || consumer.commit(&commit, CommitMode::Sync)).await.unwrap();

        let admin = Admin::new(&config, "test").unwrap();
        let topics = admin.topics().await.unwrap();
        let lags = admin.lag("group", &topics).await.unwrap();
        let told: Vec<_> =
            lags.iter().map(|lag| (lag.partition.partition, lag.committed, lag.end, lag.records)).collect();
        assert_eq!(told, [(0, Some(1), 3, 2), (1, None, 2, 2)]);
        assert!(admin.lag("group", &[]).await.unwrap().is_empty());
    }
}
