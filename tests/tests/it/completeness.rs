//! What `efd completeness` says is exactly what the simulator did wrong on purpose, also when the sink is killed in between.

use std::collections::{BTreeMap, BTreeSet};

use apache_avro::types::Value as AvroValue;
use efd_ingest::simulator::Report;
use efd_ingest::simulator::report::TopicReport;
use efd_kafka::OutRecord;
use efd_schema::{RegistryClient, RegistryConfig};
use efd_tests::{Generation, Options, Stack, efd, eventually};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use rstest::rstest;
use serde_json::{Value, json};

const TOPIC: &str = "lsst.sal.Test.scalars";

/// What `efd completeness` says, by topic, once the worker is not behind.
async fn completeness(stack: &Stack) -> (Option<i32>, BTreeMap<String, Value>) {
    let config = stack.efd_config().unwrap();
    let mut found = (None, BTreeMap::new());
    eventually("the worker has accounted for everything", || {
        let (config, stack) = (&config, &stack);
        async move {
            let answer = efd(Some(config), &["completeness", "--format", "json"], &[]).await?;
            let behind: u64 =
                of_topics(&answer.out)?.values().map(|topic| number(topic, "not_yet_written")).sum();
            anyhow::ensure!(
                behind == 0,
                "{behind} records behind; {} {}",
                answer.err,
                stack.folder().display()
            );
            Ok(true)
        }
    })
    .await
    .unwrap();
    let answer = efd(Some(&config), &["completeness", "--format", "json"], &[]).await.unwrap();
    found.0 = answer.code;
    found.1 = of_topics(&answer.out).unwrap();
    found
}

fn of_topics(text: &str) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut topics = BTreeMap::new();
    for line in text.lines() {
        let topic: Value = serde_json::from_str(line)?;
        topics.insert(topic["topic"].as_str().unwrap_or_default().to_owned(), topic);
    }
    anyhow::ensure!(!topics.is_empty(), "no topics");
    Ok(topics)
}

fn number(topic: &Value, name: &str) -> u64 {
    topic[name].as_u64().unwrap_or_else(|| panic!("{name} in {topic}"))
}

fn listed(topic: &Value, what: &str) -> BTreeSet<i32> {
    let findings = topic["findings"].as_array().unwrap().iter().filter(|finding| finding["what"] == what);
    findings
        .flat_map(|finding| {
            let end = |name: &str| i32::try_from(finding[name].as_i64().unwrap()).unwrap();
            end("first")..=end("last")
        })
        .collect()
}

fn numbers(listed: &[i32]) -> BTreeSet<i32> {
    listed.iter().copied().collect()
}

async fn agrees(stack: &Stack, sent: &TopicReport, said: &Value) {
    let topic = &sent.topic;
    assert!(sent.lists_complete && said["listed"] == json!(true), "{topic}");
    assert_eq!(number(said, "records"), sent.sent, "{topic}");
    assert_eq!(number(said, "merged"), 0, "{topic}: {said}");
    assert_eq!(number(said, "dead_lettered"), sent.undecodable.all(), "{topic}");
    let Some(sequence) = &sent.seq_nums else {
        assert_eq!(number(said, "missing") + number(said, "duplicated") + number(said, "late"), 0, "{topic}");
        return;
    };
    let missing: BTreeSet<i32> = sequence.gaps.iter().flat_map(|[first, last]| *first..=*last).collect();
    assert_eq!(listed(said, "missing"), missing, "{topic}");
    assert_eq!(number(said, "missing"), sequence.missing, "{topic}");
    let causes: BTreeSet<&str> = said["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["what"] == "missing")
        .map(|finding| finding["why"].as_str().unwrap())
        .collect();
    assert!(
        causes.is_empty() || causes == BTreeSet::from(["producer: never in Kafka"]),
        "{topic}: {causes:?}"
    );
    assert_eq!(listed(said, "duplicated"), numbers(&sent.duplicates.seq_nums), "{topic}");
    assert_eq!(number(said, "duplicated"), sent.duplicates.count, "{topic}");
    let late = listed(said, "late");
    assert_eq!(number(said, "late"), late.len() as u64, "{topic}");
    // Those that were held back, but for the ones that no other sample of a slow topic has overtaken meanwhile.
    let held = numbers(&sent.late.seq_nums);
    assert!(late.is_subset(&held), "{topic}: {late:?} are not of {held:?}");
    if late != held {
        assert_eq!(late, overtaken(stack, topic).await, "{topic}");
    }
}

/// Sequence numbers that lie in Kafka behind higher ones.
async fn overtaken(stack: &Stack, topic: &str) -> BTreeSet<i32> {
    let registry = RegistryConfig { url: Some(stack.registry_url()), ..RegistryConfig::default() };
    let registry = RegistryClient::new(&registry).unwrap();
    let (mut overtaken, mut top) = (BTreeSet::new(), 0);
    let mut seen = BTreeSet::new();
    for record in stack.read(topic, usize::MAX).await.unwrap() {
        let Ok((id, mut body)) = efd_schema::wire::split(record.payload().unwrap()) else { continue };
        let schema = registry.schema_by_id(id).await.unwrap();
        let schema = apache_avro::Schema::parse_str(&schema).unwrap();
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
        let Ok(AvroValue::Record(fields)) = reader.read_value(&mut body) else { continue };
        let number = fields.iter().find(|(name, _)| name == "private_seqNum").map(|(_, value)| value);
        let Some(AvroValue::Int(number)) = number else { panic!("{fields:?}") };
        if *number < top && seen.insert(*number) {
            overtaken.insert(*number);
        }
        seen.insert(*number);
        top = top.max(*number);
    }
    overtaken
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn it_finds_exactly_what_was_injected_although_the_sink_is_killed(#[case] generation: Generation) {
    let folder = tempfile::tempdir().unwrap();
    let account = folder.path().join("account.json");
    let inject = json!({
        "gaps": 0.02, "duplicates": 0.02, "late": 0.02, "late_by": "20s", "undecodable": {"count": 15},
    });
    let mut options = Options::new(generation);
    options.components = vec!["ATCamera", "Test"];
    options.ingest = json!({"simulator":
        {"enabled": true, "account": account, "rate": 20.0, "duration": "12s", "inject": inject}});
    options.sink = json!({"completeness": {"entries": 10_000, "spans": 10_000}});
    let mut stack = Stack::recording(options).await.unwrap();
    stack.start_ingest().await.unwrap();
    for written in [400.0, 300.0] {
        let sink = stack.sink.as_mut().unwrap();
        sink.metric_reaches("efd_sink_points_written_total", written).await.unwrap();
        sink.kill();
        sink.start_again().unwrap();
    }
    let ingest = stack.ingest.as_mut().unwrap();
    assert_eq!(ingest.ended().await.unwrap(), Some(0), "{}", ingest.log().unwrap());
    let sent = Report::read(&account).unwrap();
    let totals = sent.totals;
    assert!(totals.missing > 10 && totals.duplicates > 10 && totals.late > 10, "{totals:?}");
    stack.points_reach(totals.samples).await.unwrap();

    let (code, said) = completeness(&stack).await;
    assert_eq!(code, Some(1), "gaps are missing");
    for topic in &sent.topics {
        agrees(&stack, topic, &said[&topic.topic]).await;
    }
    // Once more from nothing but what is kept.
    let sink = stack.sink.as_mut().unwrap();
    sink.kill();
    sink.start_again().unwrap();
    sink.ready().await.unwrap();
    let (_, again) = completeness(&stack).await;
    assert_eq!(again, said);
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn of_traffic_without_a_fault_nothing_is_missing(#[case] generation: Generation) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    let records = stack.simulate(400.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    let (code, said) = completeness(&stack).await;
    assert_eq!(code, Some(0), "{said:?}");
    assert_eq!(said.values().map(|topic| number(topic, "records")).sum::<u64>(), records);
    let config = stack.efd_config().unwrap();
    let table = efd(Some(&config), &["completeness", "Test"], &[]).await.unwrap();
    assert!(
        table.out.contains(&format!("{records} records: 0 missing, 0 dead-lettered, 0 not yet written")),
        "{}",
        table.out
    );
    let unknown = efd(Some(&config), &["completeness", "--destination", "other"], &[]).await.unwrap();
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("has no destination other"), "{}", unknown.err);
    // A tombstone at the end is not waited for.
    let mut batch = stack.producer().unwrap().batch();
    batch.send(OutRecord { topic: TOPIC, key: Some(b"tombstone"), ..OutRecord::default() }).await.unwrap();
    batch.delivered().await.unwrap();
    let (code, again) = completeness(&stack).await;
    assert_eq!((code, &again), (Some(0), &said));
}

/// Lets Kafka delete the records below an offset, as its retention does.
async fn delete_below(stack: &Stack, topic: &str, offset: i64) {
    let admin: AdminClient<DefaultClientContext> = stack.kafka.config().client("efd-tests").create().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    let deleted = admin.delete_records(&offsets, &AdminOptions::new()).await.unwrap();
    deleted.elements().iter().for_each(|element| element.error().unwrap());
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn records_that_retention_deleted_are_lost_although_no_number_is_missing(
    #[case] generation: Generation,
) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    let records = stack.simulate(200.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    let (code, said) = completeness(&stack).await;
    assert_eq!(code, Some(0), "{said:?}");
    stack.sink.as_mut().unwrap().kill();
    // Copies, so all their numbers were seen.
    let next = i64::try_from(stack.records_of(TOPIC).await.unwrap()).unwrap();
    assert_eq!(stack.copy_records(TOPIC, 3).await.unwrap(), 3);
    delete_below(&stack, TOPIC, next + 2).await;
    let sink = stack.sink.as_mut().unwrap();
    sink.start_again().unwrap();
    sink.ready().await.unwrap();
    let (code, said) = completeness(&stack).await;
    let topic = &said[TOPIC];
    assert_eq!(code, Some(1), "{topic}");
    let [missing, duplicated, lost] = ["missing", "duplicated", "lost"].map(|name| number(topic, name));
    assert_eq!((missing, duplicated, lost), (0, 1, 2), "{topic}");
    let last = i32::try_from(next).unwrap() + 1;
    assert_eq!(listed(topic, "lost"), numbers(&[last - 1, last]));
}
