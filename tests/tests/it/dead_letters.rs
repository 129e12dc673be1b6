//! Records that can never become a point: kept whole with the reason, and no other record suffers.

use efd_kafka::OutRecord;
use efd_tests::{Generation, Options, Stack, eventually};
use rdkafka::Message as _;
use rdkafka::message::{Headers as _, OwnedMessage};
use rstest::rstest;

const TOPIC: &str = "lsst.sal.Test.scalars";

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn undecodable_records_go_to_the_dead_letter_topic_whole(#[case] generation: Generation) {
    let mut options = Options::new(generation);
    options.sink = serde_json::json!({"schema_wait": "1s"});
    let mut stack = Stack::recording(options).await.unwrap();
    let records = stack.simulate(200.0).await.unwrap();
    let bad: [(&[u8], &str); 4] = [
        (b"", "short"),
        (b"{\"not\": \"Avro\"}", "magic"),
        (&[0, 0, 0, 0x7f, 0xff, 1, 2], "unknown schema"),
        (&[0, 0, 0, 0, 1, 0xff], "truncated"),
    ];
    let mut batch = stack.producer().unwrap().batch();
    for (payload, key) in bad {
        let record = OutRecord {
            topic: TOPIC,
            key: Some(key.as_bytes()),
            payload: Some(payload),
            ..OutRecord::default()
        };
        batch.send(record).await.unwrap();
    }
    // A tombstone is legal on compacted topics: no point, no dead letter.
    let tombstone = OutRecord { topic: TOPIC, key: Some(b"tombstone"), ..OutRecord::default() };
    batch.send(tombstone).await.unwrap();
    batch.delivered().await.unwrap();
    let again = stack.copy_records(TOPIC, 1).await.unwrap();
    assert_eq!(again, 1);

    eventually("four dead letters are there", || async {
        let dead = stack.dead_letters().await?;
        anyhow::ensure!(dead <= 4, "{dead}");
        Ok(dead == 4)
    })
    .await
    .unwrap();
    stack.points_reach(records).await.unwrap();
    for letter in stack.read(&format!("{TOPIC}.dlq"), 4).await.unwrap() {
        let key = std::str::from_utf8(letter.key().unwrap()).unwrap();
        let (payload, _) = bad.iter().find(|(_, name)| *name == key).unwrap();
        assert_eq!(letter.payload().unwrap_or_default(), *payload, "{key}");
        assert_eq!(header(&letter, "efd.source.topic").as_deref(), Some(TOPIC));
        assert_eq!(header(&letter, "efd.source.partition").as_deref(), Some("0"));
        assert!(header(&letter, "efd.source.offset").is_some());
        assert!(!header(&letter, "efd.reason").unwrap().is_empty());
    }
    let sink = stack.sink.as_ref().unwrap().metrics().await.unwrap();
    assert_eq!(sink.sum("efd_sink_records_dead_total", &[]), 4.0);
    assert_eq!(sink.sum("efd_sink_records_skipped_total", &[]), 1.0);
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn a_point_that_influxdb_refuses_costs_no_other_point(#[case] generation: Generation) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    // The field has another type in the database: every record of this topic will be refused.
    let conflict = format!("{TOPIC} int0=\"text\" {}", efd_tests::now_nanos());
    stack.write_lines(&conflict).await.unwrap();
    let records = stack.simulate(600.0).await.unwrap();
    let refused = stack.records_of(TOPIC).await.unwrap();
    assert!(refused > 5, "{refused}");
    eventually("every refused record is a dead letter", || async {
        let dead = stack.dead_letters().await?;
        anyhow::ensure!(dead <= refused, "{dead} of {refused}");
        Ok(dead == refused)
    })
    .await
    .unwrap();
    stack.points_reach(records - refused).await.unwrap();
    let letters = stack.read(&format!("{TOPIC}.dlq"), 1).await.unwrap();
    let reason = header(letters.first().unwrap(), "efd.reason").unwrap();
    assert!(reason.contains("int0"), "{reason}");
}

fn header(record: &OwnedMessage, name: &str) -> Option<String> {
    let headers = record.headers()?;
    let found = headers.iter().find(|header| header.key == name)?;
    Some(String::from_utf8_lossy(found.value?).into_owned())
}
