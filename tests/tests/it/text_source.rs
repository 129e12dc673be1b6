//! The text records of 2019: what they say is in InfluxDB, and none of the old transformer's defects is.

use std::collections::BTreeMap;

use efd::influxdb::InfluxDbClient;
use efd_kafka::{Admin, OutRecord, TopicSpec};
use efd_schema::{RegistryClient, RegistryConfig};
use efd_tests::{Generation, Options, Stack, eventually};
use rdkafka::Message as _;
use rdkafka::message::{Headers as _, OwnedMessage};
use rstest::rstest;
use serde_json::{Value, json};

const TELEMETRY: &str = "Test_telemetry";
const EVENT: &str = "Test_event";
const SCALARS: &str = "lsst.sal.Test.scalars";

/// A line of `Test_scalars`, all but three of its values fixed.
fn scalars(number: u32, boolean: &str, double: &str, text: &str) -> String {
    let created = 1_548_000_000 + number;
    format!(
        "Test Test_scalars:( 'abcd1234', '{created}.5', '{created}.75', '{number}', '7', '4242', '{boolean}', '1', '-2', \
         '3', '-4', '5000000000', '6', '4000000000', '0.5', '{double}', '{text}' )"
    )
}

async fn send(stack: &Stack, topic: &str, lines: &[&[u8]]) {
    let spec = TopicSpec { name: topic.into(), partitions: 1, replication: 1, compact: false };
    Admin::new(&stack.kafka.config(), "efd-tests").unwrap().create_topics(&[spec]).await.unwrap();
    let mut batch = stack.producer().unwrap().batch();
    for line in lines {
        batch.send(OutRecord { topic, payload: Some(line), ..OutRecord::default() }).await.unwrap();
    }
    batch.delivered().await.unwrap();
}

fn options(generation: Generation, form: &str) -> Options {
    let mut options = Options::new(generation);
    options.ingest = json!({"text": {"enabled": true, "form": form, "metadata_refresh": "500ms"}});
    options
}

fn header(record: &OwnedMessage, name: &str) -> String {
    let headers = record.headers().unwrap();
    let found = headers.iter().find(|header| header.key == name).unwrap();
    String::from_utf8_lossy(found.value.unwrap()).into_owned()
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn text_lines_are_in_influxdb_without_the_four_defects(#[case] generation: Generation) {
    let mut stack = Stack::recording(options(generation, "current")).await.unwrap();
    stack.start_ingest().await.unwrap();
    let texts = [
        ("0", "1.5", "zero is false"),
        ("false", "2.5", "a comma, and 'quotes' and \"more\", shift nothing"),
        ("False", "3.5", "any: [character] {in} <a> (text) = fine; ü ☃ + * / \\ & % $ # @ !"),
        ("1", "nan", ""),
    ];
    let lines: Vec<String> = texts
        .iter()
        .zip(1..)
        .map(|((boolean, double, text), number)| scalars(number, boolean, double, text))
        .collect();
    // Lines that cannot be used stand between good ones and stop nothing.
    let bad: [&[u8]; 4] = [
        b"this is no record",
        b"\xff\xfe",
        b"Test Test_unheard:( 'r', 1548000000, 1548000000, 1, 1, 1, 2 )",
        b"Test Test_scalars:( 'r', 1548000000, 1548000000, 1, 1, 1, maybe )",
    ];
    let mixed: Vec<&[u8]> = lines.iter().zip(bad).flat_map(|(good, bad)| [bad, good.as_bytes()]).collect();
    send(&stack, TELEMETRY, &mixed).await;
    let state = "Test Test_logevent_summaryState:( 'r', 1548000100, 1548000100, 9, 1, 1, 2 )";
    send(&stack, EVENT, &[state.as_bytes()]).await;

    stack.points_reach(5).await.unwrap();
    let client = InfluxDbClient::new(&stack.influxdb.config()).unwrap();
    let fields = "boolean0, longLong0, unsignedInt0, double0, string0, private_sndStamp, private_seqNum, private_origin";
    let rows = client.query(&format!("SELECT {fields} FROM \"{SCALARS}\"")).await.unwrap()[0].values.clone();
    for (row, ((boolean, double, text), number)) in rows.iter().zip(texts.iter().zip(1..)) {
        let double = double.parse::<f64>().ok().filter(|double| double.is_finite());
        let expected = [
            json!((1_548_000_000_i64 + number) * 1_000_000_000 + 500_000_000),
            json!(*boolean == "1"),
            json!(5_000_000_000_i64),
            json!(4_000_000_000_i64),
            json!(double),
            json!(text),
            json!((1_548_000_037 + number) as f64 + 0.5),
            json!(number),
            json!(4242),
        ];
        assert_eq!(*row, expected);
    }
    assert_eq!(rows.len(), 4);

    let letters = dead_letters(&stack, 4).await;
    for (letter, (payload, place)) in letters.iter().zip(bad.iter().zip(0..)) {
        assert_eq!(letter.payload(), Some(*payload));
        assert_eq!(header(letter, "efd.source.topic"), TELEMETRY);
        assert_eq!(header(letter, "efd.source.offset"), (place * 2).to_string());
    }
    let reasons: Vec<String> = letters.iter().map(|letter| header(letter, "efd.reason")).collect();
    let expected = ["is missing", "UTF-8", "Test_unheard", "field boolean0 is \"maybe\""];
    for (reason, expected) in reasons.iter().zip(expected) {
        assert!(reason.contains(expected), "{reason}");
    }
    let metrics = stack.ingest.as_ref().unwrap().metrics().await.unwrap();
    let text = ("source", "text");
    let sum = |name: &str, label| metrics.sum(name, &[text, label]);
    assert_eq!(sum("efd_ingest_samples_taken_total", ("component", "Test")), 9.0);
    assert_eq!(sum("efd_ingest_records_delivered_total", ("component", "Test")), 5.0);
    assert_eq!(sum("efd_ingest_records_rejected_total", ("reason", "parse")), 2.0);
    assert_eq!(sum("efd_ingest_records_rejected_total", ("reason", "encode")), 2.0);

    nothing_is_read_twice_or_lost_over_a_restart(&mut stack).await;
}

async fn dead_letters(stack: &Stack, count: usize) -> Vec<OwnedMessage> {
    let topic = format!("{TELEMETRY}.dlq");
    eventually("the dead letters are there", || async {
        let topics = Admin::new(&stack.kafka.config(), "efd-tests")?.topics().await?;
        let exists = topics.iter().any(|found| found.name == topic);
        Ok(exists && stack.read(&topic, count).await?.len() == count)
    })
    .await
    .unwrap();
    stack.read(&topic, count).await.unwrap()
}

async fn nothing_is_read_twice_or_lost_over_a_restart(stack: &mut Stack) {
    let before = stack.records_in_kafka().await.unwrap();
    stack.stop_ingest().await.unwrap();
    let line = scalars(50, "1", "0", "while it was away");
    send(stack, TELEMETRY, &[line.as_bytes()]).await;
    stack.start_ingest().await.unwrap();
    stack.points_reach(6).await.unwrap();
    assert_eq!(stack.records_in_kafka().await.unwrap(), before + 1);

    // Killed in the middle of its work, it may write again what it had not committed, which is the same points.
    let lines: Vec<String> = (100..2100).map(|number| scalars(number, "1", "0", "many")).collect();
    send(stack, TELEMETRY, &lines.iter().map(String::as_bytes).collect::<Vec<_>>()).await;
    let ingest = stack.ingest.as_mut().unwrap();
    ingest.metric_reaches("efd_ingest_records_delivered_total", 100.0).await.unwrap();
    ingest.kill();
    ingest.start_again().unwrap();
    ingest.ready().await.unwrap();
    eventually("every line is a point", || async { Ok(stack.points().await? == 2006) }).await.unwrap();
}

#[tokio::test]
async fn the_form_of_2019_is_written_where_its_readers_look() {
    let mut stack = Stack::servers(options(Generation::V1, "legacy")).await.unwrap();
    stack.start_registry().await.unwrap();
    stack.start_ingest().await.unwrap();
    let line = scalars(1, "0", "2.5", "a, b");
    // The upper half of 32 bits has no place in the type of that time; what fits is written.
    let fitting = line.replace("4000000000", "2000000000");
    send(&stack, TELEMETRY, &[line.as_bytes(), fitting.as_bytes()]).await;
    let letters = dead_letters(&stack, 1).await;
    assert!(
        header(&letters[0], "efd.reason").contains("unsignedInt0"),
        "{}",
        header(&letters[0], "efd.reason")
    );

    let topic = "lsst.sal.Test_scalars";
    eventually("the record is there", || async { Ok(stack.records_of(topic).await? == 1) }).await.unwrap();
    let record = stack.read(topic, 1).await.unwrap().remove(0);
    assert_eq!(record.key(), None);
    let registry =
        RegistryClient::new(&RegistryConfig { url: Some(stack.registry_url()), ..RegistryConfig::default() })
            .unwrap();
    let subject = registry.latest(topic).await.unwrap();
    let (id, mut body) = efd_schema::wire::split(record.payload().unwrap()).unwrap();
    assert_eq!(id, subject.id);
    let schema = apache_avro::Schema::parse_str(&subject.schema).unwrap();
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
    let value = Value::try_from(reader.read_value(&mut body).unwrap()).unwrap();
    let fields: BTreeMap<String, Value> = serde_json::from_value(value).unwrap();
    assert_eq!(fields["sal_created"], json!(1_548_000_001_500_i64));
    assert_eq!((&fields["sal_host"], &fields["sal_origin"]), (&json!(7), &json!(4242)));
    assert_eq!((&fields["boolean0"], &fields["string0"]), (&json!(false), &json!("a, b")));
    // Names of today are not made for a source that does not use them.
    assert_eq!(stack.records_of(SCALARS).await.unwrap(), 0);
    assert!(registry.latest(&format!("{SCALARS}-value")).await.is_err());
    stack.stop_ingest().await.unwrap();
}
