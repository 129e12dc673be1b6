//! The settings files of the demo's services, written where a person can read them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::DemoArgs;
use crate::config::Config;
use crate::influxdb::InfluxDbConfig;
use crate::servers::free_port;

/// Name of the demo's only sink worker.
const WORKER: &str = "demo";

/// Files and addresses of one demo.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    ports: Ports,
    /// `host:port` of Kafka.
    pub kafka: String,
    /// Address of InfluxDB.
    pub influxdb: String,
    /// Token of an InfluxDB 2.x, for the second terminal's environment; empty for 1.x.
    pub token: String,
    /// Components that are simulated.
    pub components: Vec<String>,
}

/// Ports on the loopback interface, all free when they were chosen.
#[derive(Debug)]
struct Ports {
    registry: u16,
    gateway: u16,
    gateway_http: u16,
    registry_admin: u16,
    sink_admin: u16,
    sink_grpc: u16,
    gateway_admin: u16,
    ingest_admin: u16,
}

impl Files {
    /// Chooses ports and writes `registry.yaml`, `sink.yaml`, `gateway.yaml`, `ingest.yaml` and `efd.yaml`.
    pub fn write(
        folder: &Path,
        config: &Config,
        args: &DemoArgs,
        kafka: &str,
        influxdb: &InfluxDbConfig,
    ) -> anyhow::Result<Self> {
        let files = Self {
            folder: std::path::absolute(folder)?,
            ports: Ports::choose()?,
            kafka: kafka.to_owned(),
            influxdb: influxdb.url().to_owned(),
            token: influxdb.token.expose().to_owned(),
            components: args.components.clone(),
        };
        files.put("registry", &files.registry_settings())?;
        files.put("sink", &files.sink_settings(influxdb))?;
        files.put("gateway", &files.gateway_settings(influxdb))?;
        files.put("ingest", &files.ingest_settings(config, args))?;
        files.put("efd", &files.command_settings(config, influxdb))?;
        Ok(files)
    }

    /// The settings file of `service`, or of the command itself (`efd`).
    pub fn path(&self, service: &str) -> PathBuf {
        self.folder.join(format!("{service}.yaml"))
    }

    /// Address of the registry's REST interface.
    pub fn registry(&self) -> String {
        local(self.ports.registry)
    }

    /// Address of the gateway's gRPC.
    pub fn gateway(&self) -> String {
        local(self.ports.gateway)
    }

    /// Address of the gateway for clients of InfluxDB.
    pub fn gateway_http(&self) -> String {
        local(self.ports.gateway_http)
    }

    /// Address of ingest's admin port.
    pub fn ingest_admin(&self) -> String {
        local(self.ports.ingest_admin)
    }

    /// Address of the sink worker's admin port.
    pub fn sink_admin(&self) -> String {
        local(self.ports.sink_admin)
    }

    fn put(&self, name: &str, settings: &Value) -> anyhow::Result<()> {
        let path = self.path(name);
        let yaml = serde_saphyr::to_string(settings)?;
        fs::write(&path, yaml).with_context(|| format!("cannot write {}", path.display()))
    }

    fn registry_settings(&self) -> Value {
        json!({
            "service": service(self.ports.registry_admin),
            "http": format!("127.0.0.1:{}", self.ports.registry),
            "grpc": "127.0.0.1:0",
            "kafka": self.kafka_settings(),
        })
    }

    fn sink_settings(&self, influxdb: &InfluxDbConfig) -> Value {
        let mut destination = json!({"name": "influxdb", "url": influxdb.url(), "version": influxdb.version});
        let details = if influxdb.version == 2 {
            json!({"org": influxdb.org, "bucket": format!("{}/{}", influxdb.database, influxdb.retention_policy)})
        } else {
            json!({"database": influxdb.database, "retention_policy": influxdb.retention_policy, "username": influxdb.username})
        };
        merge(&mut destination, details);
        json!({
            "service": service(self.ports.sink_admin),
            "grpc": format!("127.0.0.1:{}", self.ports.sink_grpc),
            "worker": WORKER,
            "components": self.components,
            "kafka": self.kafka_settings(),
            "registry": {"url": self.registry()},
            "destinations": [destination],
        })
    }

    fn gateway_settings(&self, influxdb: &InfluxDbConfig) -> Value {
        json!({
            "service": service(self.ports.gateway_admin),
            "grpc": format!("127.0.0.1:{}", self.ports.gateway),
            "http": {"address": format!("127.0.0.1:{}", self.ports.gateway_http)},
            "registry": {"url": self.registry()},
            "kafka": {"bootstrap_servers": self.kafka},
            "influxdb": {
                "url": influxdb.url(),
                "database": influxdb.database,
                "retention_policy": influxdb.retention_policy,
                "username": influxdb.username,
            },
        })
    }

    fn ingest_settings(&self, config: &Config, args: &DemoArgs) -> Value {
        json!({
            "service": service(self.ports.ingest_admin),
            "components": self.components,
            "interfaces": config.interfaces,
            "kafka": self.kafka_settings(),
            "registry": {"url": self.registry()},
            "simulator": {"enabled": true, "rate": args.rate},
        })
    }

    fn command_settings(&self, config: &Config, influxdb: &InfluxDbConfig) -> Value {
        json!({
            "kafka": self.kafka_settings(),
            "registry": {"url": self.registry()},
            "influxdb": {
                "url": influxdb.url(),
                "version": influxdb.version,
                "database": influxdb.database,
                "retention_policy": influxdb.retention_policy,
                "org": influxdb.org,
                "username": influxdb.username,
            },
            "gateway": self.gateway(),
            "sinks": {WORKER: {
                "admin": self.sink_admin(),
                "grpc": local(self.ports.sink_grpc),
                "components": self.components,
            }},
            "interfaces": config.interfaces,
            "topic_subname": "sal",
        })
    }

    fn kafka_settings(&self) -> Value {
        json!({"bootstrap_servers": self.kafka})
    }
}

impl Ports {
    fn choose() -> anyhow::Result<Self> {
        Ok(Self {
            registry: free_port()?,
            gateway: free_port()?,
            gateway_http: free_port()?,
            registry_admin: free_port()?,
            sink_admin: free_port()?,
            sink_grpc: free_port()?,
            gateway_admin: free_port()?,
            ingest_admin: free_port()?,
        })
    }
}

fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn service(admin: u16) -> Value {
    json!({"admin": format!("127.0.0.1:{admin}")})
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
