//! Every binary obeys SIGTERM, and says what it is.

use efd::servers::free_port;
use efd_tests::{Generation, Options, Stack, binary};
use rstest::rstest;
use serde_json::json;

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn every_service_stops_cleanly_on_sigterm(#[case] generation: Generation) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    stack.start_gateway().await.unwrap();
    stack.start_ingest().await.unwrap();
    let sink = stack.sink.as_ref().unwrap();
    sink.metric_reaches("efd_sink_points_written_total", 50.0).await.unwrap();
    // In the order in which records flow, so that each has work to finish.
    for service in [&mut stack.ingest, &mut stack.sink, &mut stack.gateway, &mut stack.registry] {
        let service = service.as_mut().unwrap();
        let code = service.terminate().await.unwrap();
        assert_eq!(code, Some(0), "{}", service.log().unwrap());
        let log = service.log().unwrap();
        assert!(!log.contains("panic"), "{log}");
    }
}

#[tokio::test]
async fn without_kafka_ingest_still_ends_in_time_and_tells_its_account() {
    let folder = tempfile::tempdir().unwrap();
    let account = folder.path().join("account.json");
    let mut options = Options::new(Generation::V1);
    let address = |port: u16| format!("127.0.0.1:{port}");
    options.ingest = json!({
        "service": {"grace_period": "10s"},
        "http": {"enabled": true, "address": address(free_port().unwrap()), "prefixes": ["lsst.sal.Test."]},
        "grpc": {"enabled": true, "address": address(free_port().unwrap())},
        "text": {"enabled": true},
        "simulator": {"enabled": true, "account": account},
    });
    let mut stack = Stack::recording(options).await.unwrap();
    stack.start_ingest().await.unwrap();
    let ingest = stack.ingest.as_mut().unwrap();
    ingest.metric_reaches("efd_ingest_records_delivered_total", 100.0).await.unwrap();
    stack.kafka.kill();
    ingest.metric_reaches("efd_ingest_outstanding_records", 1.0).await.unwrap();
    let code = ingest.terminate().await.unwrap();
    let log = ingest.log().unwrap();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("are not known to be delivered") && !log.contains("cut off, not finished"), "{log}");
    let report = efd_ingest::simulator::report::Report::read(&account).unwrap();
    assert!(report.totals.undelivered > 0 && report.totals.delivered >= 100, "{:?}", report.totals);
}

#[test]
fn binaries_tell_their_version_and_settings() {
    for name in ["efd-ingest", "efd-registry", "efd-sink", "efd-gateway", "efd"] {
        let run = |argument: &str| {
            std::process::Command::new(binary(name).unwrap()).arg(argument).output().unwrap()
        };
        let version = run("--version");
        assert!(version.status.success());
        assert_eq!(
            String::from_utf8_lossy(&version.stdout).trim(),
            format!("{name} {}", env!("CARGO_PKG_VERSION"))
        );
        let help = String::from_utf8(run("--help").stdout).unwrap();
        assert!(help.contains("--config") && help.contains("--print-config"), "{help}");
    }
}
