//! Samples published over gRPC by a client in Python are in InfluxDB as they were sent, and bad ones are refused.

use efd::servers::free_port;
use efd_tests::{CLIENT_TOKEN, Collector, Generation, Options, Stack, contracts, hex, python};
use rstest::rstest;
use serde_json::{Value, json};

/// Good samples that the client publishes.
const SAMPLES: u64 = 100_000;
/// The client's trace, and the span it is in.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn a_python_client_publishes_and_reads_the_same_values_back(#[case] generation: Generation) {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&certificate, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let port = free_port().unwrap();
    let collector = Collector::start().await.unwrap();
    let mut options = Options::new(generation);
    options.components = vec!["Test", "ATCamera"];
    options.ingest = json!({
        "service": {"otlp_endpoint": collector.endpoint()},
        "grpc": {"enabled": true, "address": format!("127.0.0.1:{port}")},
        "tls": {"certificate_file": certificate, "key_file": key},
        "credentials": [{"name": "client", "prefixes": ["lsst.sal.Test."]}],
    });
    let mut stack = Stack::recording(options).await.unwrap();
    stack.start_ingest().await.unwrap();

    let (proto, address, count) = (contracts(), format!("localhost:{port}"), SAMPLES.to_string());
    let influxdb = (stack.influxdb.url(), stack.influxdb.config().token);
    let arguments = [
        "--proto",
        proto.to_str().unwrap(),
        "--address",
        &address,
        "--ca",
        certificate.to_str().unwrap(),
        "--token",
        CLIENT_TOKEN,
        "--influxdb",
        &influxdb.0,
        "--influxdb-token",
        influxdb.1.expose(),
        "--count",
        &count,
        "--traceparent",
        &format!("00-{TRACE}-{SPAN}-01"),
    ];
    let client = python("publish.py", &arguments).await.unwrap();
    assert_eq!(client.code, Some(0), "{}{}", client.err, stack.ingest.as_ref().unwrap().log().unwrap());
    let told: Value = serde_json::from_str(&client.out).unwrap();
    println!("published over gRPC: {told}");
    assert_eq!(told["delivered"], SAMPLES);

    let ingest = stack.ingest.as_ref().unwrap().metrics().await.unwrap();
    let grpc = ("source", "grpc");
    let whole = |name: &str, labels: &[(&str, &str)]| ingest.sum(name, labels) as u64;
    assert_eq!(whole("efd_ingest_samples_taken_total", &[grpc, ("component", "Test")]), SAMPLES);
    assert_eq!(whole("efd_ingest_records_delivered_total", &[grpc]), SAMPLES);
    let refused = told["refused"].as_u64().unwrap() + 3;
    assert_eq!(whole("efd_ingest_samples_refused_total", &[grpc]), refused);
    assert_eq!(whole("efd_ingest_samples_refused_total", &[grpc, ("reason", "unauthenticated")]), 3);
    assert_eq!(whole("efd_ingest_grpc_streams", &[]), 0);
    stack.stop_ingest().await.unwrap();
    let batches = collector.spans("kafka.produce");
    assert!(!batches.is_empty());
    for span in batches {
        assert_eq!((hex(&span.trace_id).as_str(), hex(&span.parent_span_id).as_str()), (TRACE, SPAN));
    }
    assert_eq!(stack.records_in_kafka().await.unwrap(), SAMPLES);
    stack.points_reach(SAMPLES).await.unwrap();
}
