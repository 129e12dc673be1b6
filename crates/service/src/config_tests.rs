//! Tests of settings: file, environment, checks, and what is printed of them.

use super::*;
use crate::Secret;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    service: ServiceConfig,
    sink: Part,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Part {
    worker: String,
    batch: u32,
    token: Secret,
}

impl Settings for Sample {
    const ADMIN_PORT: u16 = 9603;

    fn service(&self) -> &ServiceConfig {
        &self.service
    }

    fn service_mut(&mut self) -> &mut ServiceConfig {
        &mut self.service
    }

    fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        if let Some(worker) = env.get("EFD_SINK_WORKER") {
            worker.clone_into(&mut self.sink.worker);
        }
        if let Some(token) = env.secret("EFD_SINK_TOKEN")? {
            self.sink.token = token;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.sink.worker == "bad" {
            return Err(ConfigError::invalid("sink.worker", "must not be bad"));
        }
        Ok(())
    }
}

fn message(yaml: &str) -> String {
    parse::<Sample>(yaml, "sink.yaml").unwrap_err().to_string()
}

fn load_sample(yaml: &str, pairs: &[(&str, &str)]) -> Result<Sample, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sink.yaml");
    std::fs::write(&path, yaml).unwrap();
    load(Some(&path), &Env::from_pairs(pairs.iter().copied()))
}

#[test]
fn an_unknown_key_is_refused_with_file_line_column_and_key() {
    assert_eq!(
        message("service:\n  admin: 0.0.0.0:1\nsink:\n  worker: a\n  batches: 4\n"),
        "sink.yaml:5:3: unknown key sink.batches, known here: worker, batch, token"
    );
    assert_eq!(message("sinks: {}\n"), "sink.yaml:1:1: unknown key sinks, known here: service, sink");
}

#[test]
fn a_wrong_value_is_refused_in_one_line_that_names_its_place_and_key() {
    for (yaml, start) in [
        ("service: {grace_period: abc}\n", "sink.yaml:1:11: service.grace_period: "),
        ("service:\n  admin: here\n", "sink.yaml:2:10: service.admin: "),
        ("service:\n  log:\n    format: xml\n", "sink.yaml:3:13: service.log.format: "),
        ("sink:\n  batch: -3\n", "sink.yaml:2:10: sink.batch: "),
        ("sink:\n  batch: [\n", "sink.yaml:2:10: sink.batch: "),
        ("sink:\n  batch: 1\n  batch: 2\n", "sink.yaml:3:3: key batch is given twice"),
        ("sink:\n\tbatch: 2\n", "sink.yaml:2:2: tabs "),
        ("- a\n", "sink.yaml:1:1: expected mapping"),
        ("sink: {}\n---\nsink: {}\n", "sink.yaml:3:1: more than one YAML document"),
    ] {
        let message = message(yaml);
        assert!(
            message.starts_with(start) && !message.contains('\n'),
            "{message} does not start with {start}"
        );
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = load::<Sample>(Some(Path::new("/nonexistent/sink.yaml")), &Env::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the settings file /nonexistent/sink.yaml");
}

#[test]
fn an_empty_file_gives_the_defaults_and_load_fills_in_the_admin_port() {
    for yaml in ["", "# nothing is set\n", "---\n"] {
        assert_eq!(parse::<Sample>(yaml, "sink.yaml").unwrap(), Sample::default(), "{yaml:?}");
    }
    let config = load::<Sample>(None, &Env::default()).unwrap();
    assert_eq!(config.service.admin, Some("0.0.0.0:9603".parse().unwrap()));
}

#[test]
fn the_environment_overrides_the_file() {
    let yaml = "service: {admin: '127.0.0.1:1', grace_period: 1s}\nsink: {worker: from-file, batch: 7}\n";
    let config = load_sample(
        yaml,
        &[
            ("EFD_SERVICE_ADMIN", "127.0.0.1:2"),
            ("EFD_SERVICE_LOG_FORMAT", "human"),
            ("EFD_SERVICE_LOG_FILTER", "warn,efd_sink=debug"),
            ("EFD_SERVICE_OTLP_ENDPOINT", "http://collector:4317"),
            ("EFD_SERVICE_GRACE_PERIOD", "2m"),
            ("EFD_SINK_WORKER", "from-environment"),
        ],
    )
    .unwrap();
    let service = ServiceConfig {
        log: LogConfig { format: LogFormat::Human, filter: "warn,efd_sink=debug".to_owned() },
        admin: Some("127.0.0.1:2".parse().unwrap()),
        otlp_endpoint: Some("http://collector:4317".to_owned()),
        grace_period: Duration::from_mins(2),
    };
    let sink = Part { worker: "from-environment".to_owned(), batch: 7, token: Secret::default() };
    assert_eq!(config, Sample { service, sink });
}

#[test]
fn rules_are_checked_after_the_environment_and_name_the_setting() {
    for (yaml, pairs, expected) in [
        ("", vec![("EFD_SINK_WORKER", "bad")], "sink.worker must not be bad"),
        ("service: {grace_period: 0s}", vec![], "service.grace_period must be more than 0s"),
        (
            "service: {otlp_endpoint: 'collector:4317'}",
            vec![],
            "service.otlp_endpoint must be a URL such as http://collector:4317, not \"collector:4317\"",
        ),
        (
            "service: {log: {filter: 'efd_sink=loud'}}",
            vec![],
            concat!(
                "service.log.filter is \"efd_sink=loud\": error parsing level filter: expected one of ",
                "\"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5"
            ),
        ),
        (
            "",
            vec![("EFD_SERVICE_LOG_FORMAT", "xml")],
            "EFD_SERVICE_LOG_FORMAT is \"xml\": must be json or human",
        ),
    ] {
        assert_eq!(load_sample(yaml, &pairs).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_secret_is_neither_printed_nor_read_from_the_file() {
    let config = load_sample("", &[("EFD_SINK_TOKEN", "s3cret")]).unwrap();
    assert_eq!(config.sink.token.expose(), "s3cret");
    let printed = serde_saphyr::to_string(&config).unwrap();
    assert!(!format!("{config:?}{printed}").contains("s3cret"), "{config:?} {printed}");
    assert!(printed.contains("[redacted]"), "{printed}");
    assert!(
        message("sink: {token: s3cret}").contains("sink.token: a secret is not written in the settings file")
    );
}

#[test]
fn what_is_printed_can_be_read_again() {
    let config = load_sample("sink: {worker: a}", &[("EFD_SINK_TOKEN", "s3cret")]).unwrap();
    let printed = serde_saphyr::to_string(&config).unwrap();
    let mut again = parse::<Sample>(&printed, "printed.yaml").unwrap();
    again.sink.token = Secret::from("s3cret");
    assert_eq!(again, config);
}
