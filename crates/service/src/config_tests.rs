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
    let message = parse::<Sample>(yaml, "sink.yaml").unwrap_err().to_string();
    println!("{message}");
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn an_unknown_key_is_refused_with_file_line_column_and_key() {
    println!("{}", message("service:\n  admin: 0.0.0.0:1\nsink:\n  worker: a\n  batches: 4\n"));
    println!("{}", message("sinks: {}\n"));
    println!("{}", message("service: {grace_period: abc}\n"));
    println!("{}", message("service:\n  log:\n    format: xml\n"));
    println!("{}", message("sink:\n  batch: many\n"));
    println!("{}", message("sink:\n  batch: -3\n"));
    println!("{}", message("sink:\n  token: abc\n"));
    println!("{}", message("sink:\n  batch: 1\n  batch: 2\n"));
    println!("{}", message("sink:\n  batch: [\n"));
    println!("{}", message("sink:\n\tbatch: 2\n"));
    println!("{}", message("- a\n"));
    println!("{}", message("a: b\n---\nb: c\n"));
    println!("{}", message("service:\n  admin: here\n"));
}
