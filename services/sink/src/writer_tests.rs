//! What is committed, and when; against a server of the test's choosing and librdkafka's mock broker.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use efd_kafka::{Follower, KafkaConfig, TopicPartition};
use futures::future::BoxFuture;
use rdkafka::Message as _;
use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::CommitMode;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::mocking::MockCluster;

use super::*;
use crate::bounds::RetryConfig;
use crate::config::Config;
use crate::destination::DestinationConfig;
use crate::error::Cause;
use crate::influxdb::InfluxDb;
use crate::settled::{Fate, Tracker};
use crate::testing::{FakeServer, batch, metrics, partition, until};

const PACE: Pace = Pace { max_in_flight: 2, commit_interval: Duration::from_millis(5) };
const RETRY: RetryConfig = RetryConfig { min: Duration::from_millis(1), max: Duration::from_millis(5) };

/// Remembers what was committed; refuses as long as it is told to.
#[derive(Default)]
struct Coordinator {
    committed: Mutex<BTreeMap<String, i64>>,
    refuses: AtomicBool,
}

impl Committer for Coordinator {
    fn commit_offsets(&self, offsets: &TopicPartitionList, _mode: CommitMode) -> KafkaResult<()> {
        if self.refuses.load(Ordering::SeqCst) {
            let code = rdkafka::error::RDKafkaErrorCode::CoordinatorNotAvailable;
            return Err(rdkafka::error::KafkaError::ConsumerCommit(code));
        }
        for element in offsets.elements() {
            let next = element.offset().to_raw().unwrap();
            let before = self.committed.lock().unwrap().insert(element.topic().to_owned(), next);
            assert!(before.is_none_or(|before| before <= next), "offsets went back");
        }
        Ok(())
    }
}

struct Bench {
    coordinator: Arc<Coordinator>,
    commits: Arc<Commits>,
    filled: Option<mpsc::Sender<Filled>>,
    free: std_mpsc::Receiver<Batch>,
    writing: tokio::task::JoinHandle<()>,
}

impl Bench {
    fn start(server: &FakeServer, bootstrap_servers: &str) -> Self {
        Self::tracked(server, bootstrap_servers, None)
    }

    fn tracked(server: &FakeServer, bootstrap_servers: &str, tracker: Option<Arc<dyn Tracker>>) -> Self {
        let kafka =
            KafkaConfig { bootstrap_servers: Some(bootstrap_servers.into()), ..KafkaConfig::default() };
        let config = Config { kafka, retry: RETRY, ..Config::default() };
        let destination =
            DestinationConfig { url: server.url.clone(), create: false, ..DestinationConfig::default() };
        let influxdb = InfluxDb::new(&destination).unwrap();
        let lines = LineWriter::new(influxdb, "influxdb", (RETRY.min, RETRY.max), metrics());
        let (coordinator, commits) = (Arc::new(Coordinator::default()), Arc::new(Commits::default()));
        commits.assigned(&[partition("a"), partition("b")]);
        let (to_free, free) = std_mpsc::channel();
        let dead_letters = DeadLetters::new(&config, "test", "influxdb");
        let committed: (Arc<Commits>, Arc<dyn Committer>) = (commits.clone(), coordinator.clone());
        tracker.into_iter().for_each(|tracker| commits.tracked_by(tracker));
        let writer = Writer::new(lines, dead_letters, committed, metrics(), to_free);
        let (filled, to_writer) = mpsc::channel(8);
        let writing = tokio::spawn(writer.run(to_writer, PACE, || {}));
        Self { coordinator, commits, filled: Some(filled), free, writing }
    }

    fn send(&self, batch: Batch) {
        let id = self.commits.open(batch.next_offsets());
        self.filled.as_ref().unwrap().try_send(Filled { batch, id }).unwrap();
    }

    fn committed(&self, topic: &str) -> Option<i64> {
        self.coordinator.committed.lock().unwrap().get(topic).copied()
    }

    async fn finish(mut self) -> Arc<Coordinator> {
        drop(self.filled.take());
        self.writing.await.unwrap();
        self.coordinator
    }
}

/// A header as text, empty when it is absent.
fn header_text(letter: &BorrowedMessage<'_>, name: &str) -> String {
    let headers = letter.headers().unwrap();
    let value = headers.iter().find(|header| header.key == name).and_then(|header| header.value);
    String::from_utf8(value.unwrap_or_default().to_vec()).unwrap()
}

fn dead_batch(topic: &str) -> Batch {
    let partition = partition(topic);
    let mut batch = batch(topic, 0);
    let source = crate::batch::Source {
        slot: 0,
        partition: &partition,
        component: crate::metrics::ComponentId::default(),
    };
    let record = crate::record::Record {
        offset: 41,
        key: Some(b"key"),
        payload: Some(b"\x01junk"),
        headers: vec![("trace", Some(b"1"))],
        timestamp_ms: Some(1234),
    };
    let cause = Cause { reason: Reason::WireFormat, detail: "first byte is 0x01".into() };
    batch.dead(source, &record, Some(7.into()), cause);
    batch
}

#[tokio::test]
async fn a_written_batch_is_committed_and_comes_back_empty() {
    let server = FakeServer::start(|_| (204, String::new())).await;
    let bench = Bench::start(&server, "127.0.0.1:1");
    bench.send(batch("a", 10));
    until("commit", || bench.committed("a") == Some(10)).await;
    assert!(bench.free.recv().unwrap().is_empty());
    bench.finish().await;
}

/// Notes what it hears, and what was open for commit by then.
#[derive(Debug)]
struct Notes {
    commits: Mutex<Option<Arc<Commits>>>,
    heard: Mutex<Vec<(i64, Fate)>>,
}

impl Follower for Notes {
    fn assigned(&self, _: &[TopicPartition]) {}

    fn revoked(&self, _: &[TopicPartition]) {}
}

impl Tracker for Notes {
    fn settled<'a>(
        &'a self,
        _: BatchId,
        batch: &'a Batch,
        refusals: &'a [Refusal],
        _: Vec<(TopicPartition, i64)>,
    ) -> BoxFuture<'a, ()> {
        let commits = self.commits.lock().unwrap().clone().unwrap();
        assert!(!commits.has_ready(), "offsets were open for commit too early");
        let settled = batch.settled(refusals).map(|settled| (settled.offset, settled.fate));
        self.heard.lock().unwrap().extend(settled);
        Box::pin(std::future::ready(()))
    }

    fn keep(&self) -> BoxFuture<'_, ()> {
        let commits = self.commits.lock().unwrap().clone().unwrap();
        assert!(!commits.has_kept(), "offsets were open for commit before the account was kept");
        Box::pin(std::future::ready(()))
    }

    fn interval(&self) -> Duration {
        Duration::ZERO
    }
}

#[tokio::test]
async fn a_tracker_hears_of_a_record_before_its_offset_may_be_committed() {
    let server = FakeServer::start(|_| (204, String::new())).await;
    let notes = Arc::new(Notes { commits: Mutex::default(), heard: Mutex::default() });
    let bench = Bench::tracked(&server, "127.0.0.1:1", Some(notes.clone()));
    *notes.commits.lock().unwrap() = Some(bench.commits.clone());
    bench.send(batch("a", 2));
    until("commit", || bench.committed("a") == Some(2)).await;
    assert_eq!(*notes.heard.lock().unwrap(), [(0, Fate::Written), (1, Fate::Written)]);
    bench.finish().await;
}

#[tokio::test]
async fn a_failed_write_commits_nothing() {
    let is_broken = Arc::new(AtomicBool::new(true));
    let broken = is_broken.clone();
    // The ping is answered, writes are not.
    let server = FakeServer::start(move |request| {
        let fails = request.path != "/ping" && broken.load(Ordering::SeqCst);
        (if fails { 500 } else { 204 }, String::new())
    })
    .await;
    let bench = Bench::start(&server, "127.0.0.1:1");
    bench.send(batch("a", 10));
    until("some tries", || server.requests().len() > 5).await;
    assert_eq!(bench.committed("a"), None);
    is_broken.store(false, Ordering::SeqCst);
    until("commit", || bench.committed("a") == Some(10)).await;
    bench.finish().await;
}

#[tokio::test]
async fn a_batch_written_early_waits_for_the_one_before_it() {
    let is_held = Arc::new(AtomicBool::new(true));
    let held = is_held.clone();
    // Lines of 20 seconds or more are only in the first batch.
    let server = FakeServer::start(move |request| {
        let fails = request.body.contains("=20 ") && held.load(Ordering::SeqCst);
        (if fails { 503 } else { 204 }, String::new())
    })
    .await;
    let bench = Bench::start(&server, "127.0.0.1:1");
    bench.send(batch("a", 20));
    bench.send(batch("b", 5));
    until("second batch", || bench.free.try_recv().is_ok()).await;
    assert_eq!((bench.committed("a"), bench.committed("b")), (None, None));
    is_held.store(false, Ordering::SeqCst);
    until("commit", || bench.committed("a") == Some(20) && bench.committed("b") == Some(5)).await;
    bench.finish().await;
}

#[tokio::test]
async fn a_closed_channel_ends_the_writer_after_its_last_commit() {
    let server = FakeServer::start(|_| (204, String::new())).await;
    let bench = Bench::start(&server, "127.0.0.1:1");
    for next in 5..=7 {
        bench.send(batch("b", next));
    }
    let coordinator = bench.finish().await;
    assert_eq!(coordinator.committed.lock().unwrap().get("b"), Some(&7));
}

#[tokio::test]
async fn a_writer_with_nothing_to_write_does_not_wait_for_its_destination() {
    let server = FakeServer::start(|_| (503, String::new())).await;
    let bench = Bench::start(&server, "127.0.0.1:1");
    until("a try", || !server.requests().is_empty()).await;
    bench.finish().await;
}

#[tokio::test]
async fn a_refused_commit_is_tried_again() {
    let server = FakeServer::start(|_| (204, String::new())).await;
    let bench = Bench::start(&server, "127.0.0.1:1");
    bench.coordinator.refuses.store(true, Ordering::SeqCst);
    bench.send(batch("a", 10));
    until("write", || bench.free.try_recv().is_ok()).await;
    assert_eq!(bench.committed("a"), None);
    bench.coordinator.refuses.store(false, Ordering::SeqCst);
    until("commit", || bench.committed("a") == Some(10)).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_record_is_delivered_whole_before_its_offset_moves() {
    let cluster = MockCluster::new(1).unwrap();
    let server = FakeServer::start(|request| match request.body.contains("=2 ") {
        true => (400, r#"{"error":"unable to parse 't': bad"}"#.into()),
        false => (204, String::new()),
    })
    .await;
    cluster.create_topic("a.dlq", 1, 1).unwrap();
    cluster.create_topic("b.dlq", 1, 1).unwrap();
    let bench = Bench::start(&server, &cluster.bootstrap_servers());
    bench.send(dead_batch("a"));
    bench.send(batch("b", 3));
    until("commit", || bench.committed("a") == Some(42) && bench.committed("b") == Some(3)).await;

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "reader")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["a.dlq", "b.dlq"]).unwrap();
    let mut letters = BTreeMap::new();
    until("letters", || {
        if let Some(Ok(letter)) = consumer.poll(Duration::from_millis(10)) {
            let text = |name: &str| header_text(&letter, name);
            let names =
                ["trace", "efd.source.topic", "efd.source.partition", "efd.source.offset", "efd.schema_id"];
            let found: Vec<String> = names.map(text).into();
            assert_eq!(letter.key(), Some(&b"key"[..]));
            letters.insert(
                letter.topic().to_owned(),
                (letter.payload().unwrap().to_vec(), found.join(" "), text("efd.reason")),
            );
        }
        letters.len() == 2
    })
    .await;
    let expected = (b"\x01junk".to_vec(), "1 a 0 41 7".to_owned(), "first byte is 0x01".to_owned());
    assert_eq!(letters["a.dlq"], expected);
    let expected =
        (2_f64.to_le_bytes().to_vec(), "1 b 0 1 9".to_owned(), "400: unable to parse 't': bad".to_owned());
    assert_eq!(letters["b.dlq"], expected);
    bench.finish().await;
}

#[tokio::test]
async fn letters_that_cannot_be_delivered_hold_their_offsets_back() {
    let server = FakeServer::start(|_| (204, String::new())).await;
    let bench = Bench::start(&server, "127.0.0.1:1");
    bench.send(dead_batch("a"));
    bench.send(batch("b", 3));
    until("second batch", || bench.free.try_recv().is_ok()).await;
    assert_eq!((bench.committed("a"), bench.committed("b")), (None, None));
    bench.writing.abort();
}
