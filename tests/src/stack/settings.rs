//! Settings of the services and of the command, in a file and in the environment.

use std::path::PathBuf;

use efd::influxdb::InfluxDbConfig;
use serde_json::{Value, json};

use super::{CLIENT_TOKEN, GATEWAY_TOKENS, Options, REGISTRY_TOKENS, Stack, WORKER, interfaces, local};

impl Stack {
    /// Writes a settings file for the command `efd` with all addresses of this stack.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn efd_config(&self) -> anyhow::Result<PathBuf> {
        let InfluxDbConfig { version, .. } = self.influxdb.config();
        let settings = json!({
            "kafka": self.kafka_settings(),
            "registry": self.registry_settings(),
            "influxdb": {"url": self.influxdb.url(), "version": version},
            "gateway": self.gateway_url(),
            "sinks": {WORKER: {
                "admin": format!("http://{}", local(self.sink_admin)),
                "grpc": self.sink_grpc_url(),
            }},
            "interfaces": interfaces(),
        });
        let path = self.folder().join("efd.yaml");
        std::fs::write(&path, settings.to_string())?;
        Ok(path)
    }

    /// Environment that gives services and command the credentials for InfluxDB and for Kafka.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let Options { protection, told, password, .. } = self.options;
        let address = self.kafka.bootstrap_servers();
        let mut environment = protection.environment(told, &address, (password, self.folder()));
        environment.push(("EFD_INGEST_TOKEN_CLIENT", CLIENT_TOKEN.to_owned()));
        let [(_, admin), (_, reader), (_, lab)] = REGISTRY_TOKENS;
        let shown = ["EFD_REGISTRY_TOKEN_ADMIN", "EFD_REGISTRY_TOKEN", "EFD_REGISTRY_UPSTREAM_TOKEN"];
        environment.extend(shown.map(|name| (name, admin.to_owned())));
        environment.push(("EFD_REGISTRY_TOKEN_READER", reader.to_owned()));
        environment.push(("EFD_REGISTRY_TOKEN_LAB", lab.to_owned()));
        let [(_, notebooks), (_, dashboards)] = GATEWAY_TOKENS;
        environment.push(("EFD_GATEWAY_TOKEN_NOTEBOOKS", notebooks.to_owned()));
        environment.push(("EFD_GATEWAY_TOKEN_DASHBOARDS", dashboards.to_owned()));
        let token = self.influxdb.config().token;
        if !token.is_empty() {
            // A second destination, where there is one, is called standby.
            for name in ["EFD_INFLUXDB_TOKEN", "EFD_INFLUXDB_STANDBY_TOKEN"] {
                environment.push((name, token.expose().to_owned()));
            }
        }
        environment
    }

    pub(super) fn sink_settings(&self) -> Value {
        let InfluxDbConfig { version, .. } = self.influxdb.config();
        let mut destination = json!({"name": "influxdb", "url": self.influxdb.url(), "version": version});
        let place = if version == 2 {
            json!({"org": "efd", "bucket": "efd/autogen"})
        } else {
            json!({"database": "efd"})
        };
        merge(&mut destination, &place);
        let mut registry = self.registry_settings();
        merge(&mut registry, &json!({"timeout": "2s"}));
        let mut settings = json!({
            "service": {"admin": local(self.sink_admin)},
            // Any; only one replica can have the port that the command knows.
            "grpc": local(0),
            "worker": WORKER,
            "components": self.options.components,
            "kafka": self.kafka_settings(),
            "registry": registry,
            "destinations": [destination],
        });
        merge(&mut settings, &self.options.sink);
        settings
    }

    /// How services and command reach the registry.
    pub(super) fn registry_settings(&self) -> Value {
        json!({"url": self.registry_url(), "ca_file": self.registry_authority})
    }

    pub(super) fn kafka_settings(&self) -> Value {
        let Options { protection, told, .. } = self.options;
        protection.settings(told, &self.kafka.bootstrap_servers(), self.folder())
    }
}

/// Merges objects, the second over the first.
pub(super) fn merge(into: &mut Value, over: &Value) {
    match (into, over) {
        (Value::Object(into), Value::Object(over)) => {
            for (key, value) in over {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, over) => *into = over.clone(),
    }
}
