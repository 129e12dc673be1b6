//! Tests of `main`: each starts this test program again as a service of its own process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Output, Stdio};

use serde::{Deserialize, Serialize};

use super::*;
use crate::{Secret, ServiceConfig};

const BEHAVIOUR: &str = "EFD_TEST_BEHAVIOUR";
const ARGUMENTS: &str = "EFD_TEST_ARGUMENTS";

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    service: ServiceConfig,
    token: Secret,
}

impl Settings for Sample {
    const ADMIN_PORT: u16 = 1;

    fn service(&self) -> &ServiceConfig {
        &self.service
    }

    fn service_mut(&mut self) -> &mut ServiceConfig {
        &mut self.service
    }

    fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        self.token = env.secret("EFD_TEST_TOKEN")?.unwrap_or_default();
        Ok(())
    }
}

async fn run(_config: Sample, context: Context) -> anyhow::Result<()> {
    match Env::process().get(BEHAVIOUR) {
        Some("fail") => Err(anyhow::anyhow!("connection refused")).context("cannot\nreach Kafka"),
        Some("misconfigured") => Err(ConfigError::invalid("sink.topics", "names no topic").into()),
        Some("panic") => {
            // A thread that never ends must not keep the process alive.
            tokio::task::spawn_blocking(|| std::sync::Barrier::new(2).wait());
            panic!("index out of\nbounds");
        }
        Some("obey") => {
            context.stop.requested().await;
            Ok(())
        }
        Some("ignore") => std::future::pending().await,
        _ => Ok(()),
    }
}

#[test]
#[ignore = "the other tests run it, in a process of its own"]
fn service_process() {
    let env = Env::process();
    let program = Program { name: "efd-test", about: "Tests" };
    let arguments = env.get(ARGUMENTS).unwrap_or_default().split_whitespace();
    let line = std::iter::once("efd-test").chain(arguments).map(OsString::from);
    let code = exit_code(program, line, run);
    std::process::exit(code.into());
}

fn command_of(behaviour: &str, arguments: &str) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "start::tests::service_process", "--ignored", "--nocapture", "--quiet"])
        .env(BEHAVIOUR, behaviour)
        .env(ARGUMENTS, arguments)
        .env("EFD_SERVICE_ADMIN", "127.0.0.1:0")
        .env("EFD_SERVICE_LOG_FILTER", "error")
        .env("EFD_TEST_TOKEN", "s3cret")
        .env("RUST_BACKTRACE", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn output_of(behaviour: &str, arguments: &str) -> Output {
    command_of(behaviour, arguments).output().unwrap()
}

#[track_caller]
fn assert_one_line(output: &Output, code: i32, expected: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, format!("efd-test: {expected}\n"));
    assert_eq!(output.status.code(), Some(code));
}

#[test]
fn a_bad_command_line_is_one_line_and_exit_64() {
    let unknown = output_of("", "--configuration x");
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert_eq!(unknown.status.code(), Some(64));
    assert_eq!(said, "efd-test: unexpected argument '--configuration' found, see efd-test --help\n");
}

#[test]
fn bad_settings_are_one_line_and_exit_78() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("efd.yaml");
    std::fs::write(&file, "service:\n  port: 1\n").unwrap();
    let output = output_of("", &format!("--config {}", file.display()));
    let expected = format!(
        "{}:2:3: unknown key service.port, known here: log, admin, otlp_endpoint, grace_period",
        file.display()
    );
    assert_one_line(&output, 78, &expected);
    let missing = "cannot read the settings file /nonexistent: No such file or directory (os error 2)";
    assert_one_line(&output_of("", "--config /nonexistent"), 78, missing);
    assert_one_line(&output_of("misconfigured", ""), 78, "sink.topics names no topic");
}

#[test]
fn print_config_shows_what_is_in_effect_without_secrets() {
    let output = output_of("", "--print-config");
    let printed = String::from_utf8_lossy(&output.stdout);
    for line in ["  admin: 127.0.0.1:0", "    filter: error", "  grace_period: 25s"] {
        assert!(printed.lines().any(|found| found == line), "no {line:?} in:\n{printed}");
    }
    assert!(printed.contains("[redacted]") && !printed.contains("s3cret"), "{printed}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (argument, expected) in [("--help", "--print-config"), ("--version", env!("CARGO_PKG_VERSION"))] {
        let output = output_of("", argument);
        assert!(String::from_utf8_lossy(&output.stdout).contains(expected), "{argument}");
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{argument}");
    }
}

#[test]
fn an_error_or_a_panic_is_one_line_and_exit_1() {
    assert_one_line(&output_of("fail", ""), 1, "cannot reach Kafka: connection refused");
    let output = output_of("panic", "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("efd-test: panicked at "), "{said}");
    assert!(said.ends_with(": index out of bounds\n") && said.lines().count() == 1, "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_port_in_use_is_one_line_and_exit_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let output = command_of("obey", "").env("EFD_SERVICE_ADMIN", address.to_string()).output().unwrap();
    let expected = format!(
        "admin server cannot listen on {address} (setting service.admin): {}",
        "Address already in use (os error 98)"
    );
    assert_one_line(&output, 1, &expected);
}

/// Starts a service that logs at `info`, waits until it has started, and sends it SIGTERM.
fn terminated(behaviour: &str, grace: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = command_of(behaviour, "")
        .env("EFD_SERVICE_LOG_FILTER", "info")
        .env("EFD_SERVICE_GRACE_PERIOD", grace)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"started\"") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it had started");
    }
    send(&child, "TERM");
    (child, log)
}

fn send(child: &Child, signal: &str) {
    let sent = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

fn rest(mut log: BufReader<std::process::ChildStderr>) -> String {
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn sigterm_lets_run_finish_and_exits_0() {
    let (mut child, log) = terminated("obey", "25s");
    let text = rest(log);
    assert!(text.contains("\"stopping\",\"signal\":\"SIGTERM\"") && text.contains("\"stopped\""), "{text}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_service_that_does_not_finish_in_its_grace_period_is_cut_off_with_exit_1() {
    let (mut child, log) = terminated("ignore", "100ms");
    let text = rest(log);
    let expected =
        "efd-test: cut off, not finished 100ms after the request to stop (setting service.grace_period)\n";
    assert!(text.ends_with(expected), "{text}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_second_signal_cuts_off_at_once() {
    let (mut child, mut log) = terminated("ignore", "1h");
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.contains("stopping"), "{line}");
    send(&child, "INT");
    assert!(rest(log).ends_with("efd-test: cut off by a second signal, SIGINT\n"));
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
