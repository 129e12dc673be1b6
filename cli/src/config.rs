//! Where the parts of an EFD are: the file that `EFD_CONFIG` or `--config` names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use efd_kafka::KafkaConfig;
use efd_schema::RegistryConfig;
use efd_service::{ConfigError, Env, LogConfig, LogFormat, ServiceConfig, Settings};
use serde::{Deserialize, Serialize};

use crate::influxdb::InfluxDbConfig;
use crate::sinks::{SinkConfig, default_admin};

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
    /// Sink workers by name, each with the address of its admin port, and with the components and topics that it
    /// owns. Default one worker, `main`, on `http://localhost:9603`.
    pub sinks: BTreeMap<String, SinkConfig>,
    /// Folder with SAL interface files: ours, or a checkout of ts_xml. Default `interfaces`.
    pub interfaces: PathBuf,
    /// Second part of Kafka topic names, `lsst.<subname>.<component>.<name>`. Default `sal`; environment
    /// `EFD_TOPIC_SUBNAME` overrides, `LSST_TOPIC_SUBNAME` fills in.
    pub topic_subname: Option<String>,
    /// Partitions of a new telemetry topic; events always have one. Default 1.
    pub partitions: u16,
    /// Replication factor of a new topic. Default 1; environment `EFD_KAFKA_REPLICATION_FACTOR` overrides,
    /// `LSST_KAFKA_REPLICATION_FACTOR` fills in.
    pub replication_factor: Option<i32>,
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
            sinks: BTreeMap::from([(
                "main".into(),
                SinkConfig { admin: default_admin(), ..SinkConfig::default() },
            )]),
            interfaces: "interfaces".into(),
            topic_subname: None,
            partitions: 1,
            replication_factor: None,
        }
    }
}

impl Config {
    /// Second part of Kafka topic names.
    pub fn topic_subname(&self) -> &str {
        self.topic_subname.as_deref().unwrap_or("sal")
    }

    /// Replication factor of a new topic.
    pub fn replication_factor(&self) -> i32 {
        self.replication_factor.unwrap_or(1)
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
        let subname = env.get("EFD_TOPIC_SUBNAME").map(str::to_owned);
        self.topic_subname = subname
            .or(self.topic_subname.take())
            .or_else(|| env.get("LSST_TOPIC_SUBNAME").map(str::to_owned));
        if let Some(factor) = env.parsed("EFD_KAFKA_REPLICATION_FACTOR")? {
            self.replication_factor = Some(factor);
        } else if self.replication_factor.is_none() {
            self.replication_factor = env.parsed("LSST_KAFKA_REPLICATION_FACTOR")?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.partitions < 1 {
            return Err(ConfigError::invalid("partitions", "must be at least 1"));
        }
        if self.replication_factor() < 1 {
            return Err(ConfigError::invalid("replication_factor", "must be at least 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_named_from_the_environment_as_the_services_name_them() {
        let named = |pairs: &[(&str, &str)]| {
            let mut config = Config { topic_subname: Some("file".into()), ..Config::default() };
            config.overlay(&Env::from_pairs(pairs.iter().copied())).unwrap();
            (config.topic_subname().to_owned(), config.replication_factor())
        };
        let lsst = [("LSST_TOPIC_SUBNAME", "lsst"), ("LSST_KAFKA_REPLICATION_FACTOR", "3")];
        assert_eq!(named(&lsst), ("file".into(), 3));
        let efd = [lsst[0], lsst[1], ("EFD_TOPIC_SUBNAME", "efd"), ("EFD_KAFKA_REPLICATION_FACTOR", "2")];
        assert_eq!(named(&efd), ("efd".into(), 2));
    }
}
