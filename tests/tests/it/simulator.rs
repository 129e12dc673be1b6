//! The simulator's account, on which all other tests may rely: it agrees with Kafka to the record, whatever is injected
//! and although the broker goes away under load.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use apache_avro::types::Value as AvroValue;
use efd_ingest::simulator::report::TopicReport;
use efd_ingest::simulator::{ADDED_FIELD, Report};
use efd_kafka::Admin;
use efd_schema::{RegistryClient, RegistryConfig};
use efd_service::Env;
use efd_tests::{Generation, Options, Stack, eventually};
use rdkafka::Message as _;
use serde_json::{Value, json};

/// How long the broker is away; `EFD_TEST_OUTAGE` (seconds) makes it longer.
const OUTAGE: Duration = Duration::from_secs(10);
/// Bound on the memory of ingest while the broker is away: its queues are bounded.
const INGEST_MEMORY: u64 = 250 * 1024 * 1024;

/// Options whose simulator writes an account to a file of this test.
fn options(components: &[&'static str], simulator: Value) -> (Options, tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let account = folder.path().join("account.json");
    let mut options = Options::new(Generation::V1);
    options.components = components.to_vec();
    let mut settings = json!({"enabled": true, "account": account});
    settings.as_object_mut().unwrap().extend(simulator.as_object().unwrap().clone());
    options.ingest = json!({"simulator": settings});
    (options, folder, account)
}

/// Records of each topic that has any, as Kafka counts them.
async fn counts_in_kafka(stack: &Stack) -> BTreeMap<String, u64> {
    let admin = Admin::new(&stack.kafka.config(), "efd-tests").unwrap();
    let mut topics = admin.topics().await.unwrap();
    topics.retain(|topic| topic.name.starts_with("lsst.") && !topic.name.ends_with(".dlq"));
    let mut counts = BTreeMap::new();
    for lag in admin.lag("efd-tests-count", &topics).await.unwrap().iter().filter(|lag| lag.records > 0) {
        *counts.entry(lag.partition.topic.to_string()).or_default() += u64::try_from(lag.records).unwrap();
    }
    counts
}

async fn assert_agrees(report: &Report, stack: &Stack) {
    let sent: BTreeMap<String, u64> =
        report.topics.iter().map(|topic| (topic.topic.clone(), topic.sent)).collect();
    assert_eq!(sent, counts_in_kafka(stack).await);
    assert!(report.topics.iter().all(|topic| topic.delivered == topic.sent), "{:?}", report.totals);
    assert_eq!((report.totals.rejected, report.totals.undelivered), (0, 0));
}

#[tokio::test]
async fn with_every_injection_the_account_agrees_with_kafka_and_influxdb_to_the_record() {
    let inject = json!({
        "nan": 0.02, "infinity": 0.02, "gaps": 0.02, "duplicates": 0.02, "late": 0.02, "late_by": "2s",
        "undecodable": {"count": 20}, "schema_changes": 5, "schema_change_after": "60s",
    });
    let (options, _folder, account) =
        options(&["ATCamera", "Test"], json!({"rate": 20.0, "duration": "6s", "inject": inject}));
    let mut stack = Stack::recording(options).await.unwrap();
    stack.start_ingest().await.unwrap();
    let ingest = stack.ingest.as_mut().unwrap();
    assert_eq!(ingest.ended().await.unwrap(), Some(0), "{}", ingest.log().unwrap());
    let log = ingest.log().unwrap();
    assert!(log.contains("simulator sent to topic") && log.contains("schema_changes=1"), "{log}");

    let report = Report::read(&account).unwrap();
    assert!(report.complete);
    let totals = report.totals;
    assert_eq!((totals.undecodable, totals.schema_changes), (20, 5));
    for count in [totals.nan, totals.infinity, totals.duplicates, totals.late, totals.missing] {
        assert!(count > 10, "{totals:?}");
    }
    assert_agrees(&report, &stack).await;
    for topic in report.topics.iter().filter(|topic| topic.seq_nums.is_some()) {
        bytes_say_what_the_account_says(&stack, topic).await;
    }
    // Each sample is one point; duplicates are none, and what cannot be decoded is a dead letter.
    stack.points_reach(totals.samples).await.unwrap();
    eventually("all dead letters are there", || async {
        Ok(stack.dead_letters().await? == totals.undecodable)
    })
    .await
    .unwrap();
}

/// What a reader finds in the records of a topic is what the account lists.
async fn bytes_say_what_the_account_says(stack: &Stack, report: &TopicReport) {
    let registry = RegistryConfig { url: Some(stack.registry_url()), ..RegistryConfig::default() };
    let registry = RegistryClient::new(&registry).unwrap();
    let mut seen: Vec<i32> = Vec::new();
    let mut with_added_field = BTreeSet::new();
    let mut undecodable = 0;
    for record in stack.read(&report.topic, usize::MAX).await.unwrap() {
        let Ok((id, mut body)) = efd_schema::wire::split(record.payload().unwrap()) else {
            undecodable += 1;
            continue;
        };
        let schema = registry.schema_by_id(id).await.unwrap();
        let schema = apache_avro::Schema::parse_str(&schema).unwrap();
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
        let Ok(AvroValue::Record(fields)) = reader.read_value(&mut body) else {
            undecodable += 1;
            continue;
        };
        let value = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let Some(AvroValue::Int(seq_num)) = value("private_seqNum") else { panic!("{fields:?}") };
        seen.push(*seq_num);
        if value(ADDED_FIELD).is_some() {
            with_added_field.insert(*seq_num);
        }
    }
    let topic = &report.topic;
    let distinct: BTreeSet<i32> = seen.iter().copied().collect();
    assert_eq!(undecodable, report.undecodable.all(), "{topic}");
    assert_eq!(distinct.len() as u64, report.samples, "{topic}");
    assert_eq!((seen.len() - distinct.len()) as u64, report.duplicates.count, "{topic}");
    let numbers = report.seq_nums.as_ref().unwrap();
    let missing: BTreeSet<i32> = numbers.gaps.iter().flat_map(|[first, last]| *first..=*last).collect();
    let all: BTreeSet<i32> = (numbers.first..=numbers.last).collect();
    assert_eq!(all.difference(&distinct).copied().collect::<BTreeSet<i32>>(), missing, "{topic}");
    let changed_from = report.schemas.get(1).map(|schema| schema.from_seq_num);
    assert_eq!(with_added_field.is_empty(), changed_from.is_none(), "{topic}");
    assert!(changed_from.is_none_or(|number| with_added_field.contains(&number)), "{topic}");
}

#[tokio::test]
async fn a_broker_that_goes_away_under_load_costs_no_record_and_slows_the_source() {
    let outage = Env::process().get("EFD_TEST_OUTAGE").map_or(OUTAGE, |text| {
        Duration::from_secs(text.parse().expect("EFD_TEST_OUTAGE is a number of seconds"))
    });
    // More than the bounds hold within the outage: 9,500 records and 9 MB a second.
    let (options, _folder, account) = options(&["MTM1M3"], json!({"rate": 10.0}));
    let mut stack = Stack::servers(options).await.unwrap();
    stack.start_registry().await.unwrap();
    stack.start_ingest().await.unwrap();
    let delivered = "efd_ingest_records_delivered_total";
    stack.ingest.as_ref().unwrap().metric_reaches(delivered, 20_000.0).await.unwrap();

    stack.kafka.kill();
    let acknowledged = held_up(&stack, outage).await;
    stack.kafka.start_again().await.unwrap();
    let ingest = stack.ingest.as_ref().unwrap();
    ingest.metric_reaches(delivered, acknowledged + 100_000.0).await.unwrap();
    stack.stop_ingest().await.unwrap();

    let report = Report::read(&account).unwrap();
    assert!(!report.complete, "it was stopped");
    assert!(report.totals.delivered as f64 >= acknowledged + 100_000.0);
    assert_eq!(report.totals.missing, 0);
    assert_agrees(&report, &stack).await;
}

/// Looks at ingest while the broker is away: its memory is bounded, and in the end it takes no more samples. Gives the
/// number of records that were acknowledged.
async fn held_up(stack: &Stack, outage: Duration) -> f64 {
    let ingest = stack.ingest.as_ref().unwrap();
    let start = Instant::now();
    let mut taken = (-1.0, start);
    let mut memory = 0;
    loop {
        let metrics = ingest.metrics().await.unwrap();
        let now_taken = metrics.sum("efd_ingest_samples_taken_total", &[]);
        if now_taken != taken.0 {
            taken = (now_taken, Instant::now());
        }
        memory = memory.max(ingest.resident_bytes().unwrap());
        if start.elapsed() >= outage {
            let still = taken.1.elapsed();
            assert!(memory < INGEST_MEMORY, "{memory} bytes");
            assert!(still > Duration::from_secs(2), "samples were taken {still:?} ago");
            return metrics.sum("efd_ingest_records_delivered_total", &[]);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
