//! Deliveries to a mock cluster that fails on purpose.

use efd_service::Instance;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::config::Config;
use crate::metrics::Metrics;

const TOPIC: &str = "lsst.sal.Test.weather";

fn delivery(cluster: &MockCluster<'static, rdkafka::producer::DefaultProducerContext>) -> Delivery {
    let kafka = KafkaConfig {
        bootstrap_servers: Some(cluster.bootstrap_servers()),
        options: [
            ("message_max_bytes".to_owned(), "2000".to_owned()),
            // Every record is a request of its own.
            ("batch_num_messages".to_owned(), "1".to_owned()),
        ]
        .into(),
        ..KafkaConfig::default()
    };
    let instance = Instance::start("test", ([127, 0, 0, 1], 0).into()).unwrap();
    let config = Config::default();
    let meter = &instance.context().meter;
    let metrics = HttpMetrics::new(meter, Metrics::new(meter, &[]), &config);
    Delivery::new(&kafka, &config.producer, &config.http, metrics).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_of_a_request_hears_its_own_outcome() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let delivery = delivery(&cluster);
    let record = |value: &[u8]| EncodedRecord { key: None, value: Some(value.to_vec()), partition: None };
    let first = delivery.deliver(TOPIC, &[record(b"first")], None).await;
    assert_eq!(first, [Ok((0, 0))]);

    let refusals = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
    ];
    cluster.request_errors(RDKafkaApiKey::Produce, &refusals);
    let records = [record(b"1"), record(b"2"), record(b"3"), record(&[0; 5000])];
    let outcomes = delivery.deliver(TOPIC, &records, None).await;
    let codes: Vec<_> =
        outcomes.iter().map(|outcome| outcome.as_ref().err().map(|(code, _)| *code)).collect();
    assert_eq!(codes, [Some(50003), Some(50002), None, Some(50002)], "{outcomes:?}");
}
