//! Every binary obeys SIGTERM, and says what it is.

use efd_tests::{Generation, Options, Stack, binary};
use rstest::rstest;

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
