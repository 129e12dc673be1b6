//! The Python package: its own tests, types and lints, and its answers on real servers beside those of `lsst-efd-client` and InfluxDB.

use efd_tests::{Generation, Options, Output, Stack, efd_python, lsst_python};
use serde_json::{Value, json};

/// It ended well.
fn well(output: &Output) {
    assert_eq!(output.code, Some(0), "{}\n{}", output.out, output.err);
}

#[tokio::test]
async fn its_own_tests_types_and_lints_pass() {
    well(&efd_python(&["-m", "pytest", "--quiet"], &[]).await.unwrap());
    well(&efd_python(&["-m", "ruff", "check", "--no-cache", "."], &[]).await.unwrap());
    well(&efd_python(&["-m", "ruff", "format", "--no-cache", "--check", "."], &[]).await.unwrap());
    well(&efd_python(&["-m", "mypy", "--cache-dir", "/dev/null"], &[]).await.unwrap());
}

#[tokio::test]
async fn each_call_of_lsst_efd_client_gives_the_same_values_and_units_and_the_notebook_runs() {
    let mut stack = recorded().await;
    stack.start_gateway().await.unwrap();
    let (address, influxdb) = (stack.gateway_url(), stack.influxdb.url());
    let (registry, lsst) = (stack.registry_url(), lsst_python().await.unwrap());
    let arguments = ["../tests/clients/efd_package.py", "--address", &address, "--influxdb", &influxdb];
    let more = ["--registry", registry.as_str(), "--lsst-python", lsst.as_str()];
    let output = efd_python(&[&arguments[..], &more[..]].concat(), &[]).await.unwrap();
    well(&output);
    let seen: Value = serde_json::from_str(&output.out).unwrap();
    for (what, least) in [("calls", 20), ("compared", 2000), ("read", 10_000)] {
        assert!(seen[what].as_u64() >= Some(least), "{what}: {seen}");
    }
    well(&efd_python(&["examples/run_notebook.py"], &[("EFD_ADDRESS", &address)]).await.unwrap());
}

/// Records of three components in InfluxDB, those of `Test` fast enough that some seconds give many.
async fn recorded() -> Stack {
    let folder = tempfile::tempdir().unwrap();
    let rates = folder.path().join("rates.yaml");
    let rows = json!([
        {"topics": "Test", "hertz": 20},
        {"topics": "MTM1M3.forceActuatorData", "hertz": 10},
        {"topics": "ATCamera.vacuum", "hertz": 10},
        {"topics": "MTM1M3", "hertz": 1},
        {"topics": "*.logevent_heartbeat", "hertz": 1},
        {"topics": "*.logevent_*", "hertz": 0},
        {"topics": "*.command_*", "hertz": 0},
    ]);
    // JSON is YAML too.
    std::fs::write(&rates, rows.to_string()).unwrap();
    let mut options = Options::new(Generation::V1);
    options.components = vec!["ATCamera", "MTM1M3", "Test"];
    options.ingest = json!({"simulator": {"enabled": true, "rates": rates}});
    let mut stack = Stack::recording(options).await.unwrap();
    let records = stack.simulate(1500.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    stack
}
