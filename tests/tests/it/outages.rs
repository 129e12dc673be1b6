//! Parts that die or go away while records flow: nothing is lost, nothing is there twice.

use efd_tests::{Generation, Options, Stack, efd, eventually};
use rstest::rstest;

/// Bound on the sink's memory while InfluxDB is away: its buffers are bounded, so this does not grow with the backlog.
const SINK_MEMORY: u64 = 200 * 1024 * 1024;

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn a_killed_sink_loses_nothing_and_duplicates_nothing(#[case] generation: Generation) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    stack.start_ingest().await.unwrap();
    for round in 1..=3 {
        let sink = stack.sink.as_mut().unwrap();
        // Killed in the middle of its work: it wrote something since its start, and more is on its way.
        sink.metric_reaches("efd_sink_points_written_total", 150.0 * f64::from(round)).await.unwrap();
        sink.kill();
        sink.start_again().unwrap();
        sink.ready().await.unwrap();
    }
    stack.stop_ingest().await.unwrap();
    let records = stack.records_in_kafka().await.unwrap();
    assert!(records > 450, "{records}");
    stack.points_reach(records).await.unwrap();
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn records_wait_while_influxdb_is_away(#[case] generation: Generation) {
    let mut options = Options::new(generation);
    options.components = vec!["MTM1M3"];
    options.ingest = serde_json::json!({"simulator": {"enabled": true}});
    let mut stack = Stack::recording(options).await.unwrap();
    stack.start_gateway().await.unwrap();
    stack.start_ingest().await.unwrap();
    let config = stack.efd_config().unwrap();
    let environment = stack.environment();
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let sink = stack.sink.as_ref().unwrap();
    sink.metric_reaches("efd_sink_points_written_total", 500.0).await.unwrap();
    let good = efd(Some(&config), &["check"], &environment).await.unwrap();
    assert_eq!(good.code, Some(0), "{}{}", good.out, good.err);

    stack.influxdb.stop();
    let ingest = stack.ingest.as_ref().unwrap();
    let delivered = ingest.metrics().await.unwrap().sum("efd_ingest_records_delivered_total", &[]);
    ingest.metric_reaches("efd_ingest_records_delivered_total", delivered + 5000.0).await.unwrap();
    let bad = efd(Some(&config), &["check"], &environment).await.unwrap();
    assert_eq!(bad.code, Some(1), "{}{}", bad.out, bad.err);
    assert!(bad.out.contains("start InfluxDB"), "{}", bad.out);
    let sink = stack.sink.as_ref().unwrap();
    assert_eq!(sink.metrics().await.unwrap().sum("efd_sink_destination_up", &[]), 0.0);
    let resident = sink.resident_bytes().unwrap();
    assert!(resident < SINK_MEMORY, "{resident} bytes");

    stack.influxdb.start_again().await.unwrap();
    stack.stop_ingest().await.unwrap();
    let records = stack.records_in_kafka().await.unwrap();
    stack.points_reach(records).await.unwrap();
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn records_wait_while_the_registry_is_away(#[case] generation: Generation) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    let records = stack.simulate(300.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    // A new sink knows no schema, and there is nobody to ask.
    stack.registry.as_mut().unwrap().kill();
    stack.sink.as_mut().unwrap().kill();
    // More records of schemas that the new sink has not seen.
    let topic = "lsst.sal.Test.scalars";
    let again = stack.copy_records(topic, 100).await.unwrap();
    let sink = stack.sink.as_mut().unwrap();
    sink.start_again().unwrap();
    eventually("the sink waits for a schema", || async {
        Ok(stack.sink.as_ref().unwrap().metrics().await?.sum("efd_sink_paused_partitions", &[]) > 0.0)
    })
    .await
    .unwrap();
    assert_eq!(stack.dead_letters().await.unwrap(), 0);
    stack.registry.as_mut().unwrap().start_again().unwrap();
    let sink = stack.sink.as_ref().unwrap();
    sink.metric_reaches("efd_sink_points_written_total", again as f64).await.unwrap();
    // The same records again are the same points.
    stack.points_reach(records).await.unwrap();
    assert_eq!(stack.dead_letters().await.unwrap(), 0);
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn records_wait_while_kafka_is_away(#[case] generation: Generation) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    stack.start_ingest().await.unwrap();
    let ingest = stack.ingest.as_ref().unwrap();
    ingest.metric_reaches("efd_ingest_records_delivered_total", 200.0).await.unwrap();
    stack.kafka.kill();
    stack.kafka.start_again().await.unwrap();
    let ingest = stack.ingest.as_ref().unwrap();
    let before = ingest.metrics().await.unwrap().sum("efd_ingest_records_delivered_total", &[]);
    ingest.metric_reaches("efd_ingest_records_delivered_total", before + 300.0).await.unwrap();
    let delivered = {
        let mut ingest = stack.ingest.take().unwrap();
        assert_eq!(ingest.terminate().await.unwrap(), Some(0), "{}", ingest.log().unwrap());
        stack.records_in_kafka().await.unwrap()
    };
    assert!(delivered as f64 >= before + 300.0);
    stack.points_reach(delivered).await.unwrap();
}
