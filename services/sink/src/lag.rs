//! What a consumer has not read yet, from librdkafka's statistics, and what a group has not committed, from Kafka.

use std::collections::HashMap;

use efd_kafka::{Admin, AdminError, ErrorKind, GroupLag, TopicInfo};
use efd_service::Backoff;
use serde::Deserialize;

use crate::bounds::RetryConfig;
use crate::metrics::{ComponentId, Metrics, component_of};

/// The few of its numbers that are needed.
#[derive(Deserialize)]
struct Statistics<'a> {
    #[serde(borrow)]
    topics: HashMap<&'a str, Topic<'a>>,
}

#[derive(Deserialize)]
struct Topic<'a> {
    #[serde(borrow)]
    partitions: HashMap<&'a str, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    /// Records behind; -1 where it is not known, or the partition is another member's.
    consumer_lag: i64,
}

/// Kafka is asked so often again for what may be known in a moment.
const TRIES: u32 = 5;

/// How far a group is behind. A broker that has just got a topic or lost a leader is asked again.
///
/// # Errors
/// When it does not say in time.
pub async fn of_group(
    admin: &Admin,
    retry: &RetryConfig,
    (group, topics): (&str, &[TopicInfo]),
) -> Result<Vec<GroupLag>, AdminError> {
    let mut backoff = Backoff::new(retry.min, retry.max);
    for _ in 0..TRIES {
        match admin.lag(group, topics).await {
            Err(error) if error.kind() == ErrorKind::Transient => tokio::time::sleep(backoff.next()).await,
            answer => return answer,
        }
    }
    admin.lag(group, topics).await
}

/// Records behind, by component; nothing of what cannot be read.
pub fn lag(statistics: &[u8], metrics: &Metrics) -> HashMap<ComponentId, u64> {
    let mut records = HashMap::new();
    let Ok(statistics) = serde_json::from_slice::<Statistics<'_>>(statistics) else { return records };
    for (name, topic) in statistics.topics {
        let known =
            topic.partitions.values().filter_map(|partition| u64::try_from(partition.consumer_lag).ok());
        let mut known = known.peekable();
        if known.peek().is_some() {
            *records.entry(metrics.component(component_of(name))).or_default() += known.sum::<u64>();
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn lag_is_summed_by_component_over_what_is_known() {
        let text = br#"{"name":"x","topics":{
            "lsst.sal.A.x":{"age":1,"partitions":{"0":{"partition":0,"consumer_lag":5},"-1":{"consumer_lag":-1}}},
            "lsst.sal.A.y":{"partitions":{"0":{"consumer_lag":7}}},
            "lsst.sal.B.x":{"partitions":{"0":{"consumer_lag":0}}},
            "lsst.sal.C.x":{"partitions":{"0":{"consumer_lag":-1}}}}}"#;
        let metrics = testing::metrics();
        let expected = HashMap::from([(metrics.component("A"), 12), (metrics.component("B"), 0)]);
        assert_eq!(lag(text, &metrics), expected);
        assert!(lag(b"{", &metrics).is_empty());
    }
}
