//! Where the parts of an EFD are: the file that `EFD_CONFIG` or `--config` names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use efd_kafka::{KafkaConfig, ReplicationFactor};
use efd_schema::{RegistryConfig, TopicSubname};
use efd_service::http::is_address;
use efd_service::{Access, ConfigError, Env, LogConfig, LogFormat, ServiceConfig, Settings};
use serde::{Deserialize, Serialize};

use crate::gateway::GatewayAccess;
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
    /// Address of the gateway's gRPC; https where it has a certificate. Default `http://localhost:9180`; environment
    /// `EFD_GATEWAY_URL`.
    pub gateway: String,
    /// Credentials for the gateway.
    pub gateway_access: GatewayAccess,
    /// Sink workers by name, each with the address of its admin port, and with the components and topics that it
    /// owns. Default one worker, `main`, on `http://localhost:9603`.
    pub sinks: BTreeMap<String, SinkConfig>,
    /// Folder with SAL interface files: ours, or a checkout of ts_xml. Default `interfaces`.
    pub interfaces: PathBuf,
    /// Second part of Kafka topic names, `lsst.<subname>.<component>.<name>`. Default `sal`; environment
    /// `EFD_TOPIC_SUBNAME` overrides, `LSST_TOPIC_SUBNAME` fills in.
    pub topic_subname: TopicSubname,
    /// Partitions of a new telemetry topic; events always have one. Default 1.
    pub partitions: u16,
    /// Replication factor of a new topic. Default 1; environment `EFD_KAFKA_REPLICATION_FACTOR` overrides,
    /// `LSST_KAFKA_REPLICATION_FACTOR` fills in.
    pub replication_factor: ReplicationFactor,
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
            gateway_access: GatewayAccess::default(),
            sinks: BTreeMap::from([(
                "main".into(),
                SinkConfig { admin: default_admin(), ..SinkConfig::default() },
            )]),
            interfaces: "interfaces".into(),
            topic_subname: TopicSubname::default(),
            partitions: 1,
            replication_factor: ReplicationFactor::default(),
        }
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
        let GatewayAccess { username, password, token, .. } = &mut self.gateway_access;
        let gateway = Access { url: &mut self.gateway, username, password, token: Some(token) };
        gateway.overlay(env, "EFD_GATEWAY")?;
        self.topic_subname.overlay(env);
        self.replication_factor.overlay(env)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.partitions < 1 {
            return Err(ConfigError::invalid("partitions", "must be at least 1"));
        }
        if !is_address(self.influxdb.url()) {
            let problem = "must be an address such as http://localhost:8086";
            return Err(ConfigError::invalid("influxdb.url", problem));
        }
        self.registry.check()?;
        self.topic_subname.check()?;
        self.replication_factor.check()
    }
}
