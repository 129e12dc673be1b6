//! `efd dead-letters`: what could not be stored is listed, shown, and redriven once.

use efd_kafka::OutRecord;
use efd_tests::{Generation, Options, Output, Stack, efd, eventually};
use rdkafka::Message as _;
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rstest::rstest;

const TOPIC: &str = "lsst.sal.Test.scalars";

async fn run(stack: &Stack, arguments: &[&str]) -> Output {
    let config = stack.efd_config().unwrap();
    efd(Some(&config), arguments, &[]).await.unwrap()
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn records_with_a_type_conflict_are_stored_once_it_is_mended(#[case] generation: Generation) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    // The field has another type in the database: every record of this topic is refused.
    stack.write_lines(&format!("{TOPIC} int0=\"text\" {}", efd_tests::now_nanos())).await.unwrap();
    let records = stack.simulate(600.0).await.unwrap();
    let refused = stack.records_of(TOPIC).await.unwrap();
    eventually("every refused record is a dead letter", || async {
        Ok(stack.dead_letters().await? == refused)
    })
    .await
    .unwrap();
    stack.points_reach(records - refused).await.unwrap();
    let incomplete = run(&stack, &["completeness"]).await;
    assert_eq!(incomplete.code, Some(1));
    assert!(incomplete.out.contains(&format!("0 missing, {refused} dead-lettered")), "{}", incomplete.out);

    let list = run(&stack, &["dead-letters", "list", "--component", "Test", "--reason", "int0"]).await;
    assert_eq!(list.out.matches(&format!("{TOPIC}.dlq")).count() as u64, refused, "{}", list.out);
    let none = run(&stack, &["dead-letters", "list", "--component", "ATCamera"]).await;
    assert_eq!(none.out.matches(".dlq").count(), 0, "{}", none.out);
    let limited = run(&stack, &["dead-letters", "list", "--limit", "2"]).await;
    assert_eq!(limited.out.matches(".dlq").count(), 2, "{}", limited.out);
    let shown = run(&stack, &["dead-letters", "show", TOPIC, "0"]).await;
    assert!(shown.out.contains("efd.reason: ") && shown.out.contains("redriven: no"), "{}", shown.out);

    stack.drop_measurement(TOPIC).await.unwrap();
    let dry = run(&stack, &["dead-letters", "redrive", "--dry-run"]).await;
    assert!(dry.out.contains(&format!("{refused} would be redriven, 0 were before")), "{}", dry.out);
    let part = run(&stack, &["dead-letters", "redrive", "--limit", "3"]).await;
    assert!(part.out.contains("3 redriven, 0 were before"), "{} {}", part.out, part.err);
    let rest = run(&stack, &["dead-letters", "redrive", "--topic", TOPIC]).await;
    assert!(
        rest.out.contains(&format!("{} redriven, 3 were before", refused - 3)),
        "{} {}",
        rest.out,
        rest.err
    );
    let again = run(&stack, &["dead-letters", "redrive"]).await;
    assert!(again.out.contains(&format!("0 redriven, {refused} were before")), "{}", again.out);
    eventually("InfluxDB has all points", || async { Ok(stack.points().await? == records) }).await.unwrap();
    eventually("nothing is dead-lettered any more", || async {
        let complete = run(&stack, &["completeness"]).await;
        anyhow::ensure!(complete.code == Some(0), "{}", complete.out);
        Ok(complete.out.contains("0 missing, 0 dead-lettered, 0 not yet written, 0 duplicated"))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_redriven_record_is_the_one_that_was_dead_lettered() {
    let mut stack = Stack::recording(Options::new(Generation::V1)).await.unwrap();
    stack.simulate(50.0).await.unwrap();
    let before = stack.records_of(TOPIC).await.unwrap();
    let headers = OwnedHeaders::new().insert(Header { key: "origin", value: Some("a test") });
    let record = OutRecord {
        topic: TOPIC,
        key: Some(b"the key"),
        payload: Some(b"\x01 no record"),
        headers: Some(headers),
        ..OutRecord::default()
    };
    let mut batch = stack.producer().unwrap().batch();
    batch.send(record).await.unwrap();
    batch.delivered().await.unwrap();
    eventually("it is a dead letter", || async { Ok(stack.dead_letters().await? == 1) }).await.unwrap();
    // Without a sink the command works all the same.
    stack.sink = None;
    // As a second destination would have done, or a sink that was killed before its commit.
    let dead = format!("{TOPIC}.dlq");
    let letter = stack.read(&dead, 1).await.unwrap().remove(0);
    let further = OutRecord {
        topic: &dead,
        key: letter.key(),
        payload: letter.payload(),
        headers: letter.headers().cloned(),
        ..OutRecord::default()
    };
    let mut batch = stack.producer().unwrap().batch();
    batch.send(further).await.unwrap();
    batch.delivered().await.unwrap();
    let redriven = run(&stack, &["dead-letters", "redrive"]).await;
    assert!(redriven.out.contains("1 redriven, 0 were before"), "{} {}", redriven.out, redriven.err);
    assert!(redriven.err.contains("1 are further letters of the same records"), "{}", redriven.err);
    let again = run(&stack, &["dead-letters", "redrive"]).await;
    assert!(again.out.contains("0 redriven, 2 were before"), "{} {}", again.out, again.err);
    let all = stack.read(TOPIC, usize::MAX).await.unwrap();
    assert_eq!(all.len() as u64, before + 2);
    let last = all.last().unwrap();
    assert_eq!((last.key(), last.payload()), (Some(&b"the key"[..]), Some(&b"\x01 no record"[..])));
    let names: Vec<&str> = last.headers().unwrap().iter().map(|header| header.key).collect();
    assert_eq!(names, ["origin"]);
}
