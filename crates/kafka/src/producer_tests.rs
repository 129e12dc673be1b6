//! What a batch hears of its records.

use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

fn record<'a>() -> OutRecord<'a> {
    OutRecord { topic: "t", payload: Some(b"x"), ..OutRecord::default() }
}

#[tokio::test]
async fn a_send_that_was_given_up_is_not_waited_for() {
    let mut config = KafkaConfig { bootstrap_servers: Some("127.0.0.1:1".into()), ..KafkaConfig::default() };
    config.options.insert("queue_buffering_max_messages".into(), "1".into());
    let options =
        ProducerOptions { delivery_timeout: Duration::from_millis(500), ..ProducerOptions::default() };
    let mut batch = Producer::new(&config, "test", &options).unwrap().batch();
    batch.send(record()).await.unwrap();
    let waits_for_room = tokio::time::timeout(Duration::from_millis(20), batch.send(record())).await;
    assert!(waits_for_room.is_err());
    let delivered = tokio::time::timeout(DEADLINE, batch.delivered()).await;
    assert!(delivered.expect("only the first record is waited for").is_err());
}

#[tokio::test]
async fn a_refused_record_is_not_delivered_because_a_later_one_of_its_partition_is() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    // What was refused is sent again only long after the one behind it has been acknowledged.
    let wait = ["retry_backoff_ms", "retry_backoff_max_ms"].map(|name| (name.to_owned(), "5000".to_owned()));
    let config = KafkaConfig {
        bootstrap_servers: Some(cluster.bootstrap_servers()),
        options: wait.into(),
        ..KafkaConfig::default()
    };
    let options = ProducerOptions { linger: Duration::ZERO, ..ProducerOptions::default() };
    let producer = Producer::new(&config, "test", &options).unwrap();
    let mut known = producer.batch();
    known.send(record()).await.unwrap();
    known.delivered().await.unwrap();
    // The first one is refused when the second one is already on its way.
    cluster.broker_round_trip_time(1, Duration::from_secs(2)).unwrap();
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION],
    );
    let (mut refused, mut taken) = (producer.batch(), producer.batch());
    refused.send(record()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    taken.send(record()).await.unwrap();
    tokio::time::timeout(DEADLINE, taken.delivered()).await.unwrap().unwrap();
    tokio::time::timeout(DEADLINE, refused.delivered()).await.unwrap().unwrap_err();
}
