//! The producer against a mock cluster that fails on purpose.

use std::sync::Arc;
use std::time::Duration;

use efd_sal::{FieldType, Value};
use efd_service::Instance;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::*;
use crate::clock::Moment;
use crate::publisher::Publisher;
use crate::receipt::Receipt;
use crate::sample::SampleTopic;
use crate::testing;

const DEADLINE: Duration = Duration::from_secs(20);
/// A source that waits for so long for room in the queue is held up.
const HELD_UP: Duration = Duration::from_millis(500);
const NOW: Moment = Moment { utc_micros: 1_700_000_000_000_000, tai_minus_utc: 37 };

struct Rig {
    cluster: MockCluster<'static, DefaultProducerContext>,
    topic: Arc<SampleTopic>,
    publisher: Publisher,
    /// Records in one request of the Kafka client, at most.
    records_at_once: usize,
}

impl Rig {
    fn new() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        let fields =
            vec![testing::field("number", FieldType::Int, 1), testing::field("text", FieldType::String, 1)];
        let topic = testing::sample_topic(testing::topic("ATCamera", "counts", fields));
        cluster.create_topic(&topic.kafka_name, 1, 1).unwrap();
        let publisher = Publisher::new(&topic, 1, None);
        Self { cluster, topic, publisher, records_at_once: 1000 }
    }

    fn sample(&mut self, number: i32, text: &str) -> Sample {
        self.publisher.sample(NOW, vec![Value::Int(number), Value::String(text.to_owned())])
    }

    async fn producer(&self, limits: &ProducerConfig) -> SampleProducer {
        let kafka = KafkaConfig {
            bootstrap_servers: Some(self.cluster.bootstrap_servers()),
            options: [
                ("message_max_bytes".to_owned(), "2000".to_owned()),
                ("batch_num_messages".to_owned(), self.records_at_once.to_string()),
            ]
            .into(),
            ..KafkaConfig::default()
        };
        let instance = Instance::start("test", ([127, 0, 0, 1], 0).into()).unwrap();
        let metrics = Metrics::new(&instance.context().meter, &["ATCamera".to_owned()]);
        let retry = RetryConfig { min: Duration::from_millis(10), max: Duration::from_millis(50) };
        let account = Account::new(std::slice::from_ref(&self.topic));
        SampleProducer::new(&kafka, limits, retry, account, metrics).unwrap()
    }

    /// Delivers the samples; gives the producer back for its account.
    async fn deliver(&self, samples: Vec<Sample>) -> SampleProducer {
        let limits = ProducerConfig { batch_records: 4, ..ProducerConfig::default() };
        let mut producer = self.producer(&limits).await;
        let (sender, mut queue) = mpsc::channel(samples.len());
        for sample in samples {
            sender.try_send(sample).unwrap();
        }
        drop(sender);
        tokio::time::timeout(DEADLINE, producer.run(&mut queue)).await.expect("delivered in time").unwrap();
        producer
    }

    /// What the topic holds: key, sequence number, in the order of the log.
    fn records(&self, at_least: usize) -> Vec<(Option<Vec<u8>>, i32)> {
        let mut config = rdkafka::ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.bootstrap_servers()).set("group.id", "reader");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(&self.topic.kafka_name, 0, Offset::Beginning).unwrap();
        consumer.assign(&partitions).unwrap();
        let mut records = Vec::new();
        let start = std::time::Instant::now();
        while records.len() < at_least && start.elapsed() < DEADLINE {
            let Some(record) = consumer.poll(Duration::from_millis(100)) else { continue };
            let Ok(record) = record else { continue };
            let (_, body) = efd_schema::wire::split(record.payload().unwrap()).unwrap();
            let mut reader = efd_schema::avro::Reader::new(body);
            reader.fixed(32).unwrap();
            records.push((record.key().map(<[u8]>::to_vec), reader.int().unwrap()));
        }
        records
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_arrive_once_and_in_order_with_an_empty_key() {
    let mut rig = Rig::new();
    let samples = (0..10).map(|number| rig.sample(number, "")).collect();
    let producer = rig.deliver(samples).await;
    let topic = &producer.account().topics[0];
    assert_eq!((topic.produced, topic.delivered, topic.rejected), (10, 10, 0));
    assert_eq!(producer.account().to_string(), "lsst.sal.ATCamera.counts=10");
    let expected: Vec<_> = (1..=10).map(|number| (Some(Vec::new()), number)).collect();
    assert_eq!(rig.records(10), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_refuses_for_a_while_is_sent_again_until_it_is_taken() {
    let mut rig = Rig::new();
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 3];
    rig.cluster.request_errors(RDKafkaApiKey::Produce, &refusals);
    let samples = (0..10).map(|number| rig.sample(number, "")).collect();
    let producer = rig.deliver(samples).await;
    assert_eq!(producer.account().delivered(), 10);
    let mut numbers: Vec<i32> = rig.records(10).into_iter().map(|(_, number)| number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>(), "none is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_overtook_a_refused_batch_of_its_topic_is_sent_again_behind_it_and_counted_once() {
    let mut rig = Rig::new();
    rig.records_at_once = 4;
    let mut samples: Vec<Sample> = (0..12).map(|number| rig.sample(number, "")).collect();
    let (receipt, mut outcome) = Receipt::new();
    samples[11].receipt = Some(receipt);
    // The client gives these four up at once, and nothing behind them.
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS];
    rig.cluster.request_errors(RDKafkaApiKey::Produce, &refusals);
    let producer = rig.deliver(samples).await;
    let account = producer.account();
    assert_eq!((account.produced(), account.delivered(), account.undelivered()), (12, 12, 0));
    assert!(outcome.try_recv().unwrap().is_ok());
    // What was behind the refused four, then everything from the first on, in order.
    let numbers: Vec<i32> = rig.records(20).into_iter().map(|(_, number)| number).collect();
    let again = numbers.split_at(numbers.len() - 12).1;
    assert!(numbers.len() > 12 && again == (1..=12).collect::<Vec<_>>(), "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_refused_for_its_size_every_record_is_tried_alone() {
    let mut rig = Rig::new();
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 2];
    rig.cluster.request_errors(RDKafkaApiKey::Produce, &refusals);
    let samples = (0..4).map(|number| rig.sample(number, "")).collect();
    let producer = rig.deliver(samples).await;
    let account = producer.account();
    // The second refusal meets the first record alone.
    assert_eq!((account.delivered(), account.rejected(), account.undelivered()), (3, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_that_can_never_be_delivered_is_dropped_and_counted() {
    let mut rig = Rig::new();
    let mut misfit = rig.sample(1, "");
    misfit.values.pop();
    let samples = vec![rig.sample(0, ""), misfit, rig.sample(2, &"x".repeat(5000)), rig.sample(3, "")];
    let producer = rig.deliver(samples).await;
    let account = producer.account();
    assert_eq!((account.produced(), account.delivered(), account.rejected()), (4, 2, 2));
    assert_eq!(rig.records(2).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_tells_where_kafka_put_the_sample_or_why_it_never_will() {
    let mut rig = Rig::new();
    let mut misfit = rig.sample(1, "");
    misfit.values.pop();
    let mut samples = vec![rig.sample(0, ""), misfit, rig.sample(2, &"x".repeat(5000)), rig.sample(3, "")];
    let outcomes: Vec<_> = samples
        .iter_mut()
        .map(|sample| {
            let (receipt, outcome) = Receipt::new();
            sample.receipt = Some(receipt);
            outcome
        })
        .collect();
    rig.deliver(samples).await;
    let outcomes: Vec<_> = outcomes.into_iter().map(|mut outcome| outcome.try_recv().unwrap()).collect();
    let offsets: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().ok().map(|at| at.offset)).collect();
    assert_eq!(offsets, [Some(0), None, None, Some(1)]);
    let why = |place: usize| outcomes[place].as_ref().unwrap_err().to_string();
    assert!(why(1).contains("field text has no value"), "{}", why(1));
    assert!(why(2).contains("too large"), "{}", why(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_the_source_is_held_up_and_nothing_is_forgotten() {
    let mut rig = Rig::new();
    rig.cluster.broker_down(1).unwrap();
    let limits = ProducerConfig {
        batch_records: 10,
        in_flight_bytes: bytesize::ByteSize::kib(4),
        ..ProducerConfig::default()
    };
    let mut producer = rig.producer(&limits).await;
    let (sender, mut queue) = mpsc::channel(5);
    let source = async {
        let mut sent = 0;
        while tokio::time::timeout(HELD_UP, sender.send(rig.sample(0, ""))).await.is_ok() {
            sent += 1;
        }
        sent
    };
    let sent = tokio::select! {
        sent = source => sent,
        _ = producer.run(&mut queue) => panic!("nothing can be delivered"),
        () = tokio::time::sleep(DEADLINE) => panic!("the source is not held up"),
    };
    producer.abandon(&mut queue);
    let account = producer.account();
    assert_eq!((account.produced(), account.delivered()), (sent, 0));
    assert_eq!(account.undelivered(), sent);
    // In flight or being filled (256 bytes and more each), what was taken at once, and the queue.
    assert!(sent <= 4096 / 256 + 10 + TAKEN_AT_ONCE as u64 + 5, "{sent} samples were taken");
}
