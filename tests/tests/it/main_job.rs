//! The main job: what the simulator sent is in InfluxDB, each record once, and comes back as it was.

use std::collections::BTreeMap;

use efd::influxdb::InfluxDbClient;
use efd_tests::{Generation, Options, Stack, efd};
use rstest::rstest;
use serde_json::Value;

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn every_record_of_three_components_becomes_one_point(#[case] generation: Generation) {
    let mut options = Options::new(generation);
    options.components = vec!["ATCamera", "MTM1M3", "Test"];
    options.ingest = serde_json::json!({"simulator": {"enabled": true}});
    let mut stack = Stack::recording(options).await.unwrap();
    let records = stack.simulate(4000.0).await.unwrap();
    stack.points_reach(records).await.unwrap();

    let sink = stack.sink.as_ref().unwrap().metrics().await.unwrap();
    // A record may be written twice, for example when partitions move; that is the same point.
    assert!(sink.sum("efd_sink_points_written_total", &[]) as u64 >= records);
    assert_eq!(sink.sum("efd_sink_records_dead_total", &[]), 0.0);
    for component in ["ATCamera", "MTM1M3", "Test"] {
        let label = [("component", component)];
        assert!(sink.sum("efd_sink_points_written_total", &label) > 0.0, "{component}");
        let p50 = sink.quantile("efd_sink_latency_seconds", &label, 0.5).unwrap();
        assert!(p50 > 0.0, "{component}: {p50} s");
    }

    fields_are_as_the_schema_says(&stack).await;
    the_gateway_gives_back_what_influxdb_has(&mut stack).await;
}

/// A heartbeat has exactly the fields of its schema, with their types.
async fn fields_are_as_the_schema_says(stack: &Stack) {
    let client = InfluxDbClient::new(&stack.influxdb.config()).unwrap();
    let series = client
        .query("SHOW FIELD KEYS FROM \"efd\".\"autogen\".\"lsst.sal.ATCamera.logevent_heartbeat\"")
        .await
        .unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let fields: BTreeMap<String, String> =
        series[0].values.iter().map(|row| (text(&row[0]), text(&row[1]))).collect();
    let expected = [
        ("heartbeat", "boolean"),
        ("private_efdStamp", "float"),
        ("private_identity", "string"),
        ("private_kafkaStamp", "float"),
        ("private_origin", "integer"),
        ("private_rcvStamp", "float"),
        ("private_revCode", "string"),
        ("private_seqNum", "integer"),
        ("private_sndStamp", "float"),
    ];
    assert_eq!(fields, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())).into());

    // TAI is 37 s ahead of UTC, and the point's time is private_efdStamp to a microsecond.
    let stamps = "SELECT private_sndStamp, private_efdStamp, private_seqNum FROM \"lsst.sal.ATCamera.logevent_heartbeat\"";
    let rows = client.query(stamps).await.unwrap()[0].values.clone();
    for (row, sequence) in rows.iter().zip(1..) {
        let [time, snd, efd, seq] = row.as_slice() else { panic!("{row:?}") };
        let (snd, efd) = (snd.as_f64().unwrap(), efd.as_f64().unwrap());
        assert!((snd - efd - 37.0).abs() < 1e-6, "{snd} {efd}");
        assert!((time.as_i64().unwrap() as f64 / 1e9 - efd).abs() < 1e-6);
        assert_eq!(time.as_i64().unwrap() % 1000, 0);
        assert_eq!(seq.as_i64(), Some(sequence));
    }
}

/// One array as JSON from the command is the same as the pieces that InfluxDB stores.
async fn the_gateway_gives_back_what_influxdb_has(stack: &mut Stack) {
    stack.start_gateway().await.unwrap();
    let config = stack.efd_config().unwrap();
    let topic = "lsst.sal.MTM1M3.forceActuatorData";
    let got = efd(
        Some(&config),
        &["get", topic, "--fields", "xForce,private_seqNum", "--last", "1h", "--format", "json"],
        &[],
    )
    .await
    .unwrap();
    assert_eq!(got.code, Some(0), "{}", got.err);
    let client = InfluxDbClient::new(&stack.influxdb.config()).unwrap();
    let pieces: Vec<String> = (0..12).map(|index| format!("xForce{index}")).collect();
    let query = format!("SELECT private_seqNum, {} FROM \"{topic}\"", pieces.join(", "));
    let stored = client.query(&query).await.unwrap()[0].values.clone();
    let lines: Vec<Value> = got.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), stored.len());
    for (line, row) in lines.iter().zip(stored) {
        assert_eq!(line["private_seqNum"].as_i64(), row[1].as_i64());
        let array: Vec<f64> =
            line["xForce"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let expected: Vec<f64> = row[2..].iter().map(|v| v.as_f64().unwrap()).collect();
        assert_eq!(array, expected);
    }
}
