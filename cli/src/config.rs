//! Where the parts of an EFD are: the file that `EFD_CONFIG` or `--config` names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use efd_kafka::KafkaConfig;
use efd_schema::RegistryConfig;
use efd_service::{ConfigError, Env, LogConfig, LogFormat, ServiceConfig, Settings};
use serde::{Deserialize, Serialize};

use crate::influxdb::InfluxDbConfig;

/// Addresses that the commands use. Everything has a default, so a file is needed only where a part is elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Logs and telemetry of the command itself.
    pub service: ServiceConfig,
    /// The Kafka cluster.
    pub kafka: KafkaConfig,
    /// The schema registry.
    pub registry: RegistryConfig,
    /// InfluxDB.
    pub influxdb: InfluxDbConfig,
    /// Address of the gateway's gRPC. Default `http://localhost:9180`.
    pub gateway: String,
    /// Sink workers by name, each with the address of its admin port. Default one worker, `main`, on
    /// `http://localhost:9603`.
    pub sinks: BTreeMap<String, String>,
    /// Folder with SAL interface files: ours, or a checkout of ts_xml. Default `interfaces`.
    pub interfaces: PathBuf,
    /// Second part of Kafka topic names, `lsst.<subname>.<component>.<name>`. Default `sal`; environment
    /// `LSST_TOPIC_SUBNAME`.
    pub topic_subname: Option<String>,
    /// Partitions of a new telemetry topic; events always have one. Default 1.
    pub partitions: u16,
    /// Replication factor of a new topic. Default 1; environment `LSST_KAFKA_REPLICATION_FACTOR`.
    pub replication: Option<i32>,
}

impl Default for Config {
    fn default() -> Self {
        let log = LogConfig { filter: "warn".into(), format: LogFormat::Human };
        Self {
            service: ServiceConfig { log, ..ServiceConfig::default() },
            kafka: KafkaConfig::default(),
            registry: RegistryConfig::default(),
            influxdb: InfluxDbConfig::default(),
            gateway: "http://localhost:9180".into(),
            sinks: BTreeMap::from([("main".into(), "http://localhost:9603".into())]),
            interfaces: "interfaces".into(),
            topic_subname: None,
            partitions: 1,
            replication: None,
        }
    }
}

impl Config {
    /// Second part of Kafka topic names.
    pub fn topic_subname(&self) -> &str {
        self.topic_subname.as_deref().unwrap_or("sal")
    }

    /// Replication factor of a new topic.
    pub fn replication(&self) -> i32 {
        self.replication.unwrap_or(1)
    }
}

impl Settings for Config {
    const ADMIN_PORT: u16 = 0;

    fn service(&self) -> &ServiceConfig {
        &self.service
    }

    fn service_mut(&mut self) -> &mut ServiceConfig {
        &mut self.service
    }

    fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        self.kafka.overlay(env)?;
        self.registry.overlay(env)?;
        self.influxdb.overlay(env)?;
        if let Some(url) = env.get("EFD_GATEWAY_URL") {
            url.clone_into(&mut self.gateway);
        }
        if self.topic_subname.is_none() {
            self.topic_subname = env.get("LSST_TOPIC_SUBNAME").map(str::to_owned);
        }
        if self.replication.is_none()
            && let Some(text) = env.get("LSST_KAFKA_REPLICATION_FACTOR")
        {
            let factor = text.parse().map_err(|_| {
                ConfigError::invalid("LSST_KAFKA_REPLICATION_FACTOR", format!("{text} is not a whole number"))
            })?;
            self.replication = Some(factor);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.partitions < 1 {
            return Err(ConfigError::invalid("partitions", "must be at least 1"));
        }
        if self.replication() < 1 {
            return Err(ConfigError::invalid("replication", "must be at least 1"));
        }
        Ok(())
    }
}
