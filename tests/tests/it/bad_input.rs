//! Wrong input and missing parts: one clear line each, an exit code other than 0, no panic.

use std::path::Path;

use efd_tests::{Service, efd};

/// One line on standard error that says all of `says`.
fn is_one_clear_line(text: &str, says: &[&str]) {
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    for word in says {
        assert!(text.contains(word), "{word} is missing: {text}");
    }
    assert!(!text.contains("panic") && !text.contains("backtrace"), "{text}");
}

async fn init(folder: &Path, component: &str, says: &[&str]) {
    let interfaces = folder.to_string_lossy();
    let answer = efd(None, &["init", component, "--interfaces", &interfaces], &[]).await.unwrap();
    assert_eq!(answer.code, Some(1), "{}", answer.err);
    is_one_clear_line(&answer.err, says);
}

#[tokio::test]
async fn wrong_interfaces_are_named_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    init(here, "Test", &["SALSubsystems.xml"]).await;
    init(&efd_tests::interfaces(), "Tset", &["Tset", "Test"]).await;

    for file in ["SALSubsystems.xml", "SALGenerics.xml"] {
        std::fs::copy(efd_tests::interfaces().join(file), here.join(file)).unwrap();
    }
    init(here, "Test", &["Test_"]).await;
    std::fs::create_dir(here.join("Test")).unwrap();
    let malformed = "<?xml version=\"1.0\"?>\n<SALTelemetrySet>\n  <SALTelemetry>\n  </SALTelemetrySet>\n";
    std::fs::write(here.join("Test/Test_Telemetry.xml"), malformed).unwrap();
    init(here, "Test", &["Test_Telemetry.xml:4"]).await;
}

#[tokio::test]
async fn unknown_settings_are_named_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "# comment\nworker: x\ncomponents: [Test]\nsurprise: 1\n";
    let mut sink = Service::start("sink", folder.path(), settings, 1, &[]).unwrap();
    assert_eq!(sink.ended().await.unwrap(), Some(78));
    is_one_clear_line(&sink.log().unwrap(), &["settings.yaml:4", "surprise"]);

    let file = folder.path().join("efd.yaml");
    std::fs::write(&file, "kafka:\n  bootstrap_server: x\n").unwrap();
    let answer = efd(Some(&file), &["check"], &[]).await.unwrap();
    assert_eq!(answer.code, Some(78));
    is_one_clear_line(&answer.err, &["efd.yaml:2", "bootstrap_server"]);
    let answer = efd(Some(Path::new("/nowhere/efd.yaml")), &["check"], &[]).await.unwrap();
    assert_eq!(answer.code, Some(78));
    is_one_clear_line(&answer.err, &["/nowhere/efd.yaml"]);
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let settings = format!("service: {{admin: \"127.0.0.1:{port}\"}}\n");
    for name in ["registry", "gateway"] {
        let mut service = Service::start(name, folder.path(), &settings, port, &[]).unwrap();
        assert_eq!(service.ended().await.unwrap(), Some(1));
        let log = service.log().unwrap();
        let last = log.lines().last().unwrap();
        is_one_clear_line(last, &[&port.to_string(), "service.admin"]);
    }
    let settings = format!("service: {{admin: \"127.0.0.1:0\"}}\ngrpc: \"127.0.0.1:{port}\"\n");
    let mut gateway = Service::start("gateway", folder.path(), &settings, port, &[]).unwrap();
    assert_eq!(gateway.ended().await.unwrap(), Some(1));
    let log = gateway.log().unwrap();
    is_one_clear_line(log.lines().last().unwrap(), &[&port.to_string(), "grpc"]);
}

#[tokio::test]
async fn unreachable_parts_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = efd::servers::free_port().unwrap();
    let file = folder.path().join("efd.yaml");
    let settings = format!(
        "kafka: {{bootstrap_servers: \"127.0.0.1:{nobody}\"}}
registry: {{url: \"http://127.0.0.1:{nobody}\"}}
influxdb: {{url: \"http://127.0.0.1:{nobody}\"}}
gateway: \"http://127.0.0.1:{nobody}\"
sinks: {{main: \"http://127.0.0.1:{nobody}\"}}
interfaces: {}\n",
        efd_tests::interfaces().display()
    );
    std::fs::write(&file, settings).unwrap();
    let address = format!("127.0.0.1:{nobody}");
    let check = efd(Some(&file), &["check"], &[]).await.unwrap();
    assert_eq!(check.code, Some(1), "{}", check.err);
    for remedy in
        ["start Kafka", "start the registry", "start InfluxDB", "start the gateway", "start the worker"]
    {
        let flat: String = check.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(remedy), "{remedy}: {}", check.out);
    }
    for arguments in
        [vec!["init", "Test"], vec!["topics"], vec!["get", "lsst.sal.Test.scalars", "--last", "1m"]]
    {
        let answer = efd(Some(&file), &arguments, &[]).await.unwrap();
        assert_eq!(answer.code, Some(1), "{arguments:?}");
        is_one_clear_line(&answer.err, &[&address]);
    }
}

#[tokio::test]
async fn a_wrong_command_line_is_explained() {
    for arguments in [vec!["get"], vec!["init"], vec!["nonsense"], vec!["get", "t", "--last", "soon"]] {
        let answer = efd(None, &arguments, &[]).await.unwrap();
        assert_eq!(answer.code, Some(2), "{arguments:?}");
        assert!(answer.err.starts_with("error:"), "{}", answer.err);
    }
}
