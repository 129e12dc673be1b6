//! The whole sink over librdkafka's mock broker and a server that plays registry and InfluxDB.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use efd_kafka::{KafkaConfig, OutRecord, Producer, ProducerOptions};
use efd_schema::{RegistryConfig, avro, wire};
use efd_service::{Instance, Settings as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::bounds::{BatchConfig, RetryConfig};
use crate::completeness::CompletenessConfig;
use crate::destination::DestinationConfig;
use crate::testing::{FakeServer, until};

const SCHEMA: &str = r#"{"schema":"{\"type\":\"record\",\"name\":\"lsst.sal.Test.t\",\"fields\":[{\"name\":\"private_efdStamp\",\"type\":\"double\"}]}"}"#;
const KNOWN: u32 = 1;
const LATE: u32 = 2;

/// Plays registry and InfluxDB; remembers the stored lines.
struct World {
    cluster: MockCluster<'static, rdkafka::producer::DefaultProducerContext>,
    server: FakeServer,
    stored: Arc<Mutex<Vec<String>>>,
    takes_points: Arc<AtomicBool>,
    knows_late: Arc<AtomicBool>,
}

impl World {
    async fn new(topics: &[&str]) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        for topic in topics {
            cluster.create_topic(topic, 1, 1).unwrap();
        }
        let (stored, takes_points, knows_late) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(AtomicBool::new(true)),
            Arc::new(AtomicBool::new(false)),
        );
        let (lines, takes, knows) = (stored.clone(), takes_points.clone(), knows_late.clone());
        let server = FakeServer::start(move |request| {
            let is_known = request.path.ends_with("/1")
                || request.path == "/schemas/guids/00112233-4455-6677-8899-aabbccddeeff"
                || knows.load(Ordering::SeqCst);
            if request.path.starts_with("/schemas/") {
                return if is_known { (200, SCHEMA.into()) } else { (503, String::new()) };
            }
            if request.path.starts_with("/write") && !takes.load(Ordering::SeqCst) {
                return (503, String::new());
            }
            lines.lock().unwrap().extend(request.body.lines().map(str::to_owned));
            (204, String::new())
        })
        .await;
        Self { cluster, server, stored, takes_points, knows_late }
    }

    fn kafka(&self) -> KafkaConfig {
        KafkaConfig { bootstrap_servers: Some(self.cluster.bootstrap_servers()), ..KafkaConfig::default() }
    }

    fn config(&self) -> Config {
        let config = Config {
            components: vec!["Test".into()],
            kafka: self.kafka(),
            registry: RegistryConfig { url: Some(self.server.url.clone()), ..RegistryConfig::default() },
            destinations: vec![DestinationConfig {
                url: self.server.url.clone(),
                create: false,
                ..DestinationConfig::default()
            }],
            retry: RetryConfig { min: Duration::from_millis(5), max: Duration::from_millis(20) },
            metadata_refresh: Duration::from_millis(200),
            commit_interval: Duration::from_millis(20),
            // The mock broker creates no topics, so there is no place for an account.
            completeness: CompletenessConfig { enabled: false, ..CompletenessConfig::default() },
            grpc: "127.0.0.1:0".parse().unwrap(),
            ..Config::default()
        };
        config.check().unwrap();
        config
    }

    async fn produce(&self, topic: &str, schema_id: u32, seconds: std::ops::Range<u32>) {
        self.produce_to(|_| topic.to_owned(), schema_id, seconds).await;
    }

    async fn produce_to(&self, topic: impl Fn(u32) -> String, schema_id: u32, seconds: std::ops::Range<u32>) {
        let producer = Producer::new(&self.kafka(), "test", &ProducerOptions::default()).unwrap();
        let mut batch = producer.batch();
        for n in seconds {
            let topic = &*topic(n);
            let mut payload = Vec::new();
            wire::begin(&mut payload, schema_id);
            avro::put_double(&mut payload, f64::from(n));
            batch.send(OutRecord { topic, payload: Some(&payload), ..OutRecord::default() }).await.unwrap();
        }
        batch.delivered().await.unwrap();
    }

    /// The offset from which the group goes on.
    fn committed(&self, topic: &str) -> Option<i64> {
        let mut client = self.kafka().client("test");
        client.set("group.id", "efd-sink-main");
        let consumer: BaseConsumer = client.create().unwrap();
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition(topic, 0);
        let list = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
        list.elements()[0].offset().to_raw().filter(|offset| *offset >= 0)
    }

    /// Seconds of all stored points, each once.
    fn stored(&self) -> BTreeSet<u32> {
        let seconds = |line: &String| line.split(['=', ' ']).nth(2).and_then(|text| text.parse().ok());
        self.stored.lock().unwrap().iter().filter_map(seconds).collect()
    }
}

struct Running {
    instance: Instance,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Running {
    fn start(config: Config) -> Self {
        let instance = Instance::start("efd-sink", "127.0.0.1:0".parse().unwrap()).unwrap();
        let task = tokio::spawn(crate::run(config, instance.context()));
        Self { instance, task }
    }

    /// Waits until so many partitions are paused.
    async fn waits_with(&self, partitions: usize) {
        self.shows("paused", partitions).await;
    }

    /// Waits until it owns so many partitions.
    async fn owns(&self, partitions: u32) {
        self.shows("assigned", partitions as usize).await;
    }

    async fn shows(&self, state: &str, partitions: usize) {
        let metrics = format!("http://{}/metrics", self.instance.admin_addr());
        let client = efd_service::http::Client::new(None).unwrap();
        let wanted = format!("efd_sink_{state}_partitions{{destination=\"influxdb\"}} {partitions}\n");
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        let mut text = String::new();
        while !text.contains(&wanted) {
            assert!(std::time::Instant::now() < deadline, "not within a minute: {wanted}{text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
            let request = http::Request::get(&metrics).body(bytes::Bytes::new()).unwrap();
            let answer = client.send(request, Duration::from_secs(10)).await.unwrap();
            text = String::from_utf8_lossy(answer.body()).into_owned();
        }
    }

    /// Asks the sink to stop and waits until it has.
    async fn stop(self) {
        self.instance.context().stop.request();
        self.task.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_owned_topics_are_stored_and_committed() {
    let world =
        World::new(&["lsst.sal.Test.a", "lsst.sal.Test.b", "lsst.sal.TestX.a", "lsst.sal.Test.a.dlq"]).await;
    world.produce("lsst.sal.Test.a", KNOWN, 0..100).await;
    world.produce("lsst.sal.Test.b", KNOWN, 100..110).await;
    world.produce("lsst.sal.TestX.a", KNOWN, 1000..1010).await;
    world.produce("lsst.sal.Test.a.dlq", KNOWN, 2000..2010).await;
    let running = Running::start(world.config());
    until("points", || world.stored().len() == 110).await;
    assert!(running.instance.context().ready.is_ready());
    running.stop().await;
    assert_eq!(world.stored(), (0..110).collect());
    assert_eq!(world.stored.lock().unwrap().len(), 110, "nothing twice");
    assert_eq!(
        (world.committed("lsst.sal.Test.a"), world.committed("lsst.sal.Test.b")),
        (Some(100), Some(10))
    );
    assert_eq!((world.committed("lsst.sal.TestX.a"), world.committed("lsst.sal.Test.a.dlq")), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_writes_the_last_batch() {
    let world = World::new(&["lsst.sal.Test.a"]).await;
    let batch = BatchConfig { points: 40, age: Duration::from_secs(3600), ..BatchConfig::default() };
    let running = Running::start(Config { batch, ..world.config() });
    world.produce("lsst.sal.Test.a", KNOWN, 0..50).await;
    until("the first, full batch", || world.stored().len() == 40).await;
    running.stop().await;
    // The other ten were most likely read by then; what was not is neither stored nor committed.
    let stored = i64::try_from(world.stored().len()).unwrap();
    assert_eq!(world.committed("lsst.sal.Test.a"), Some(stored));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_schema_holds_up_only_its_partition() {
    let world = World::new(&["lsst.sal.Test.a", "lsst.sal.Test.b"]).await;
    world.produce("lsst.sal.Test.a", KNOWN, 0..5).await;
    world.produce("lsst.sal.Test.a", LATE, 5..20).await;
    world.produce("lsst.sal.Test.a", KNOWN, 20..25).await;
    world.produce("lsst.sal.Test.b", KNOWN, 100..150).await;
    let running = Running::start(world.config());
    until("the other partition", || world.stored().len() == 55).await;
    world.produce("lsst.sal.Test.b", KNOWN, 150..160).await;
    until("still the other partition", || world.stored().len() == 65).await;
    assert!(world.stored().iter().all(|n| *n < 5 || *n >= 100));
    world.knows_late.store(true, Ordering::SeqCst);
    until("everything", || world.stored().len() == 85).await;
    running.stop().await;
    assert_eq!(world.stored.lock().unwrap().len(), 85, "nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_was_paused_when_it_went_is_read_when_it_comes_back() {
    let world = World::new(&["lsst.sal.Test.a", "lsst.sal.Test.b"]).await;
    world.produce("lsst.sal.Test.a", LATE, 0..10).await;
    world.produce("lsst.sal.Test.b", LATE, 10..20).await;
    let first = Running::start(world.config());
    first.waits_with(2).await;
    let second = Running::start(world.config());
    second.waits_with(1).await;
    first.waits_with(1).await;
    second.stop().await;
    first.waits_with(2).await;
    world.knows_late.store(true, Ordering::SeqCst);
    until("everything", || world.stored().len() == 20).await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_away_fills_the_queue_and_loses_nothing() {
    let world = World::new(&["lsst.sal.Test.a", "lsst.sal.Test.b"]).await;
    world.takes_points.store(false, Ordering::SeqCst);
    let batch = BatchConfig { points: 10, ..BatchConfig::default() };
    let running = Running::start(Config { batch, ..world.config() });
    world.produce("lsst.sal.Test.a", KNOWN, 0..300).await;
    world.produce("lsst.sal.Test.b", KNOWN, 300..400).await;
    until("tries", || {
        world.server.requests().iter().filter(|request| request.path.starts_with("/write")).count() > 20
    })
    .await;
    world.takes_points.store(true, Ordering::SeqCst);
    until("everything", || world.stored().len() == 400).await;
    running.stop().await;
    assert_eq!(world.stored.lock().unwrap().len(), 400, "nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_refused_is_tried_again_also_when_no_more_records_come() {
    let world = World::new(&["lsst.sal.Test.a"]).await;
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    world.cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[refusal, refusal]);
    world.produce("lsst.sal.Test.a", KNOWN, 0..5).await;
    let running = Running::start(world.config());
    until("points", || world.stored().len() == 5).await;
    until("commit", || world.committed("lsst.sal.Test.a") == Some(5)).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_come_while_all_are_paused_are_read_after_that() {
    const NEW: u32 = 40;
    let world = World::new(&["lsst.sal.Test.a"]).await;
    world.takes_points.store(false, Ordering::SeqCst);
    let batch = BatchConfig { points: 10, ..BatchConfig::default() };
    let running = Running::start(Config { batch, ..world.config() });
    world.produce("lsst.sal.Test.a", KNOWN, 0..300).await;
    running.waits_with(1).await;
    let topic = |n| format!("lsst.sal.Test.new{n}");
    for n in 300..300 + NEW {
        world.cluster.create_topic(&topic(n), 1, 1).unwrap();
    }
    world.produce_to(topic, KNOWN, 300..300 + NEW).await;
    running.owns(1 + NEW).await;
    world.takes_points.store(true, Ordering::SeqCst);
    until("everything", || world.stored().len() == 340).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_destination_does_not_hold_up_another() {
    let world = World::new(&["lsst.sal.Test.a"]).await;
    let mut config = world.config();
    let dead = DestinationConfig {
        name: "dead".into(),
        url: "http://127.0.0.1:1".into(),
        ..config.destinations[0].clone()
    };
    config.destinations.insert(0, dead);
    config.service_mut().grace_period = Duration::from_secs(4);
    let running = Running::start(config);
    world.produce("lsst.sal.Test.a", KNOWN, 0..100).await;
    until("everything", || world.stored().len() == 100).await;
    assert!(running.instance.context().ready.is_ready());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_appears_later_is_found() {
    let world = World::new(&[]).await;
    let running = Running::start(world.config());
    until("readiness", || running.instance.context().ready.is_ready()).await;
    world.cluster.create_topic("lsst.sal.Test.new", 1, 1).unwrap();
    world.produce("lsst.sal.Test.new", KNOWN, 0..10).await;
    until("points", || world.stored().len() == 10).await;
    running.stop().await;
}

#[tokio::test]
async fn a_setting_that_kafka_refuses_is_an_error_at_once() {
    let world = World::new(&[]).await;
    let mut config = world.config();
    config.kafka.options.insert("no_such_setting".into(), "1".into());
    let running = Running::start(config);
    let error = running.task.await.unwrap().unwrap_err();
    assert!(format!("{error:#}").contains("no.such.setting"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_and_excluded_topics_are_never_consumed() {
    let (own, dead, excluded) = ("lsst.sal.Test.t", "lsst.sal.Test.t.dlq", "lsst.sal.Test.u");
    let world = World::new(&[own, dead, excluded]).await;
    world.produce(dead, KNOWN, 100..110).await;
    world.produce(excluded, KNOWN, 200..210).await;
    world.produce(own, KNOWN, 1..6).await;
    let config = Config {
        components: vec![],
        topics: vec![r"^lsst\.sal\..*$".into()],
        exclude: vec![excluded.into()],
        ..world.config()
    };
    config.check().unwrap();
    let sink = Running::start(config);
    until("commit", || world.committed(own) == Some(5)).await;
    sink.stop().await;
    assert_eq!(world.stored(), (1..6).collect());
    assert_eq!((world.committed(dead), world.committed(excluded)), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_may_name_the_schema_by_its_id_or_its_guid() {
    let topic = "lsst.sal.Test.a";
    let world = World::new(&[topic, "lsst.sal.Test.a.dlq"]).await;
    let guid: Vec<u8> = [1].into_iter().chain((0..16).map(|n| n * 17)).collect();
    let producer = Producer::new(&world.kafka(), "test", &ProducerOptions::default()).unwrap();
    let mut batch = producer.batch();
    for (second, header) in [(1.0_f64, &guid[..]), (2.0, &[0, 0, 0, 0, 1]), (3.0, &[7])] {
        let header = Header { key: wire::VALUE_SCHEMA_HEADER, value: Some(header) };
        let headers = Some(OwnedHeaders::new().insert(header));
        let payload = second.to_le_bytes();
        batch
            .send(OutRecord { topic, payload: Some(&payload), headers, ..OutRecord::default() })
            .await
            .unwrap();
    }
    batch.delivered().await.unwrap();
    let running = Running::start(world.config());
    // The third has neither, so it is a dead letter.
    until("commit", || world.committed(topic) == Some(3)).await;
    running.stop().await;
    assert_eq!(world.stored(), BTreeSet::from([1, 2]));
}
