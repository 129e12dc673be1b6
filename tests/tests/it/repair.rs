//! `efd repair` writes exactly what InfluxDB does not have, from what Kafka still has, and leaves the worker alone.

use efd::influxdb::InfluxDbClient;
use efd_tests::{Generation, Options, Output, Stack, efd};
use rstest::rstest;
use serde_json::{Value, json};

const TOPIC: &str = "lsst.sal.Test.scalars";

async fn run(stack: &Stack, arguments: &[&str]) -> Output {
    let config = stack.efd_config().unwrap();
    efd(Some(&config), arguments, &[]).await.unwrap()
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn what_influxdb_lost_comes_back_from_kafka(#[case] generation: Generation) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    let records = stack.simulate(600.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    let of_topic = stack.records_of(TOPIC).await.unwrap();
    let whole = run(&stack, &["repair", "--dry-run"]).await;
    assert_eq!(whole.code, Some(0), "{} {}", whole.out, whole.err);
    assert!(whole.out.contains(&format!("{records} records read, 0 missing")), "{}", whole.out);

    stack.drop_measurement(TOPIC).await.unwrap();
    assert_eq!(stack.points().await.unwrap(), records - of_topic);
    let dry = run(&stack, &["repair", "--dry-run"]).await;
    assert_eq!(dry.code, Some(1), "{} {}", dry.out, dry.err);
    assert!(
        dry.out.contains(&format!("{of_topic} missing in InfluxDB, 0 written")),
        "{}",
        dry.out + &dry.err
    );
    assert_eq!(stack.points().await.unwrap(), records - of_topic, "a dry run writes nothing");

    let repaired = run(&stack, &["repair", "Test"]).await;
    assert_eq!(repaired.code, Some(0), "{} {}", repaired.out, repaired.err);
    assert!(
        repaired.out.contains(&format!("{of_topic} missing in InfluxDB, {of_topic} written")),
        "{}",
        repaired.out
    );
    stack.points_reach(records).await.unwrap();
    // The worker counts its own writes only, and was not disturbed.
    let metrics = stack.sink.as_ref().unwrap().metrics().await.unwrap();
    assert_eq!(metrics.sum("efd_sink_points_written_total", &[]), records as f64);
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn a_range_of_time_and_topics_is_repaired_and_nothing_else(#[case] generation: Generation) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    let records = stack.simulate(600.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    let of_topic = stack.records_of(TOPIC).await.unwrap();
    stack.drop_measurement(TOPIC).await.unwrap();
    let foreign = run(&stack, &["repair", "--topic", "lsst.sal.MTM1M3.forces"]).await;
    assert_eq!(foreign.code, Some(1));
    assert!(foreign.err.contains("does not own topic"), "{}", foreign.err);
    let past = run(&stack, &["repair", "--topic", TOPIC, "--end", "2001-01-01"]).await;
    assert!(past.out.contains("0 records read, 0 missing"), "{}", past.out);
    let other = run(&stack, &["repair", "--topic", "lsst.sal.Test.arrays"]).await;
    assert!(other.out.contains("0 missing in InfluxDB, 0 written"), "{}", other.out);
    let all = run(&stack, &["repair", "--topic", TOPIC, "--start", "2001-01-01", "--everything"]).await;
    assert!(all.out.contains(&format!("{of_topic} missing in InfluxDB, {of_topic} written")), "{}", all.out);
    stack.points_reach(records).await.unwrap();
}

#[tokio::test]
async fn a_database_that_was_dropped_is_filled_again() {
    let mut stack = Stack::recording(Options::new(Generation::V1)).await.unwrap();
    let records = stack.simulate(400.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    let influxdb = InfluxDbClient::new(&stack.influxdb.config()).unwrap();
    influxdb.query("DROP DATABASE efd").await.unwrap();
    let repaired = run(&stack, &["repair"]).await;
    assert_eq!(repaired.code, Some(0), "{} {}", repaired.out, repaired.err);
    assert!(
        repaired.out.contains(&format!("{records} missing in InfluxDB, {records} written")),
        "{}",
        repaired.out
    );
    stack.points_reach(records).await.unwrap();
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn with_tags_a_point_of_another_writer_hides_nothing(#[case] generation: Generation) {
    let mut options = Options::new(generation);
    options.sink = json!({"mapping": {"writer_tags": ["sal_index", "identity"]}});
    let mut stack = Stack::recording(options).await.unwrap();
    let records = stack.simulate(400.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    let of_topic = stack.records_of(TOPIC).await.unwrap();
    let whole = run(&stack, &["repair", "--dry-run"]).await;
    assert!(whole.out.contains(&format!("{records} records read, 0 missing")), "{}{}", whole.out, whole.err);

    let influxdb = InfluxDbClient::new(&stack.influxdb.config()).unwrap();
    let stored = influxdb.query(&format!("SELECT private_efdStamp FROM \"{TOPIC}\"")).await.unwrap();
    // The same times in a series of its own, without the field by which points are counted.
    let line = |row: &Vec<Value>| format!("{TOPIC},writer_identity=other private_efdStamp=1 {}\n", row[0]);
    let others: String = stored[0].values.iter().map(line).collect();
    stack.drop_measurement(TOPIC).await.unwrap();
    stack.write_lines(&others).await.unwrap();
    let repaired = run(&stack, &["repair"]).await;
    assert!(
        repaired.out.contains(&format!("{of_topic} missing in InfluxDB, {of_topic} written")),
        "{}{}",
        repaired.out,
        repaired.err
    );
    stack.points_reach(records).await.unwrap();
}
