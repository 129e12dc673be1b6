//! Letters to a mock cluster that fails on purpose.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::*;
use crate::{TopicPartition, dead_letter_header};

const TOPIC: &str = "ATCamera_event";
const DEADLINE: Duration = Duration::from_secs(60);

fn letter(payload: &[u8], offset: i64) -> DeadLetter<'_> {
    DeadLetter {
        partition: TopicPartition { topic: TOPIC.into(), partition: 0 },
        offset,
        reason: "no record".to_owned(),
        key: None,
        payload: Some(payload),
        own: OwnedHeaders::new(),
        more: Vec::new(),
        timestamp_ms: Some(1),
    }
}

fn office(cluster: &MockCluster<'static, rdkafka::producer::DefaultProducerContext>) -> DeadLetterOffice {
    let kafka = KafkaConfig {
        bootstrap_servers: Some(cluster.bootstrap_servers()),
        options: [
            ("message_max_bytes".to_owned(), "70000".to_owned()),
            // Every letter is a request of its own.
            ("batch_num_messages".to_owned(), "1".to_owned()),
        ]
        .into(),
        ..KafkaConfig::default()
    };
    DeadLetterOffice::new(kafka, "test", 1, (Duration::from_millis(10), Duration::from_millis(50)))
}

/// Length, `efd.source.offset` and `efd.cut` of the letters that there are.
fn delivered(bootstrap_servers: &str, at_least: usize) -> Vec<(usize, String, Option<String>)> {
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", bootstrap_servers).set("group.id", "reader");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(&dead_letter_topic(TOPIC), 0, Offset::Beginning).unwrap();
    consumer.assign(&partitions).unwrap();
    let mut letters = Vec::new();
    let start = std::time::Instant::now();
    while letters.len() < at_least && start.elapsed() < DEADLINE {
        let Some(Ok(record)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let header = |name| {
            let header = record.headers().unwrap().iter().find(|header| header.key == name)?;
            Some(String::from_utf8(header.value.unwrap().to_vec()).unwrap())
        };
        let offset = header(dead_letter_header::SOURCE_OFFSET).unwrap();
        letters.push((record.payload_len(), offset, header(dead_letter_header::CUT)));
    }
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_too_long_is_cut_and_says_so() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(&dead_letter_topic(TOPIC), 1, 1).unwrap();
    let long = vec![b'x'; 100_000];
    let all = [letter(b"no record", 5), letter(&long, 6)];
    tokio::time::timeout(DEADLINE, office(&cluster).deliver(&all)).await.expect("not tried for ever");
    let cut = (LONGEST_CUT, "6".to_owned(), Some("100000".to_owned()));
    assert_eq!(delivered(&cluster.bootstrap_servers(), 2), [(9, "5".to_owned(), None), cut]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_only_what_failed_is_sent_again() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(&dead_letter_topic(TOPIC), 1, 1).unwrap();
    let office = office(&cluster);
    let all: Vec<_> = (0..3).map(|offset| letter(b"no record", offset)).collect();
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS];
    cluster.request_errors(RDKafkaApiKey::Produce, &refusals);
    tokio::time::timeout(DEADLINE, office.deliver(&all)).await.expect("delivered in time");
    // One more, so that a letter that was sent twice would stand before it.
    office.deliver(&[letter(b"no record", 3)]).await;
    let offsets: Vec<_> =
        delivered(&cluster.bootstrap_servers(), 4).into_iter().map(|(_, offset, _)| offset).collect();
    assert_eq!(offsets, ["1", "2", "0", "3"]);
}
