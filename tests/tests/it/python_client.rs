//! The Python package: its own tests, types and lints, and its answers on real servers beside those of InfluxDB.

use efd_tests::{Output, efd_python};

/// It ended well.
fn well(output: &Output) {
    assert_eq!(output.code, Some(0), "{}\n{}", output.out, output.err);
}

#[tokio::test]
async fn its_own_tests_types_and_lints_pass() {
    well(&efd_python(&["-m", "pytest", "--quiet"]).await.unwrap());
    well(&efd_python(&["-m", "ruff", "check", "--no-cache", "."]).await.unwrap());
    well(&efd_python(&["-m", "ruff", "format", "--no-cache", "--check", "."]).await.unwrap());
    well(&efd_python(&["-m", "mypy", "--cache-dir", "/dev/null"]).await.unwrap());
}
