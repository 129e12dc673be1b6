//! How far a group is behind.

use std::collections::BTreeMap;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::admin::REQUEST_TIMEOUT;
use crate::{GroupLag, QuietContext, TopicPartition};

/// Three requests to each broker, however many partitions there are.
pub(crate) fn lag_of(
    consumer: &BaseConsumer<QuietContext>,
    partitions: &[(String, i32)],
) -> KafkaResult<Vec<GroupLag>> {
    if partitions.is_empty() {
        // librdkafka does not take an empty list.
        return Ok(Vec::new());
    }
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        asked.add_partition(topic, *partition);
    }
    let committed = offsets(&consumer.committed_offsets(asked.clone(), REQUEST_TIMEOUT)?)?;
    // The time of "the beginning" and "the end" are the numbers that these offsets have.
    let mut ends = [BTreeMap::new(), BTreeMap::new()];
    for (place, end) in [Offset::Beginning, Offset::End].into_iter().zip(&mut ends) {
        asked.set_all_offsets(place)?;
        *end = offsets(&consumer.offsets_for_times(asked.clone(), REQUEST_TIMEOUT)?)?;
    }
    let [oldest, newest] = ends;
    let of = |offsets: &Offsets, place| offsets.get(place).copied();
    let mut lags = Vec::with_capacity(partitions.len());
    for place in partitions {
        let (Some(oldest), Some(end)) = (of(&oldest, place), of(&newest, place)) else {
            return Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition));
        };
        let committed = of(&committed, place);
        let records = (end - committed.unwrap_or(oldest).max(oldest)).max(0);
        let (topic, partition) = place;
        let place = TopicPartition { topic: topic.as_str().into(), partition: *partition };
        lags.push(GroupLag { partition: place, committed, end, records });
    }
    Ok(lags)
}

/// Offsets by topic and partition.
type Offsets = BTreeMap<(String, i32), i64>;

/// Those of a list that it has.
fn offsets(list: &TopicPartitionList) -> KafkaResult<Offsets> {
    let mut offsets = Offsets::new();
    for element in list.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            offsets.insert((element.topic().to_owned(), element.partition()), offset);
        }
    }
    Ok(offsets)
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
