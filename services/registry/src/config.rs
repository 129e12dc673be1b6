//! Settings of the registry.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytesize::ByteSize;
use efd_kafka::KafkaConfig;
use efd_service::{ConfigError, Env, ServiceConfig, Settings};
use serde::{Deserialize, Serialize};

use crate::compatibility::Level;

/// Settings of the registry; see `config.yaml` beside the crate for all of them with their defaults.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What every service has.
    pub service: ServiceConfig,
    /// Address of the REST interface. Default `0.0.0.0:8081`.
    pub http: SocketAddr,
    /// Where Kafka is.
    pub kafka: KafkaConfig,
    /// The topic that holds the schemas.
    pub schemas: SchemasConfig,
    /// Compatibility of subjects for which nobody set one. Default `NONE`.
    pub compatibility: Level,
}

/// The topic that holds the schemas, and how it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchemasConfig {
    /// Topic. Default `_schemas`.
    pub topic: String,
    /// Replicas the topic is created with, at most one for each broker there is. Default 3.
    pub replication: i32,
    /// Transactional id; of two registries with the same one only the later can write. Default `efd-registry`.
    pub transactional_id: String,
    /// Bound on a write, from the request to its answer, and on each step of it. 1 s to 5 min, default 10 s.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// Writes that may wait for Kafka; further ones are refused. Default 500.
    pub write_queue: usize,
    /// Writes that may share one transaction. Default 100.
    pub write_group: usize,
    /// Longest record in the topic; the topic's `max.message.bytes` must allow for it. Default 1 MB.
    pub max_schema_bytes: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            service: ServiceConfig::default(),
            http: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8081)),
            kafka: KafkaConfig::default(),
            schemas: SchemasConfig::default(),
            compatibility: Level::None,
        }
    }
}

impl Default for SchemasConfig {
    fn default() -> Self {
        Self {
            topic: "_schemas".into(),
            replication: 3,
            transactional_id: "efd-registry".into(),
            write_timeout: Duration::from_secs(10),
            write_queue: 500,
            write_group: 100,
            max_schema_bytes: ByteSize::mb(1),
        }
    }
}

impl Settings for Config {
    const ADMIN_PORT: u16 = 9602;

    fn service(&self) -> &ServiceConfig {
        &self.service
    }

    fn service_mut(&mut self) -> &mut ServiceConfig {
        &mut self.service
    }

    fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        if let Some(http) = env.parsed("EFD_REGISTRY_HTTP")? {
            self.http = http;
        }
        self.kafka.overlay(env)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let schemas = &self.schemas;
        let longest = Duration::from_secs(300);
        if schemas.topic.is_empty() {
            return Err(ConfigError::invalid("schemas.topic", "must not be empty"));
        }
        if schemas.transactional_id.is_empty() {
            return Err(ConfigError::invalid("schemas.transactional_id", "must not be empty"));
        }
        if schemas.replication < 1 {
            return Err(ConfigError::invalid("schemas.replication", "must be at least 1"));
        }
        if !(Duration::from_secs(1)..=longest).contains(&schemas.write_timeout) {
            return Err(ConfigError::invalid("schemas.write_timeout", "must be from 1s to 5min"));
        }
        if schemas.write_queue == 0 || schemas.write_group == 0 {
            return Err(ConfigError::invalid(
                "schemas.write_queue and schemas.write_group",
                "must be at least 1",
            ));
        }
        if !(1024..=100_000_000).contains(&schemas.max_schema_bytes.as_u64()) {
            return Err(ConfigError::invalid("schemas.max_schema_bytes", "must be from 1KiB to 100MB"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../config.yaml");

    #[test]
    fn the_sample_shows_every_setting_with_its_default() {
        let sample: Config = efd_service::parse(SAMPLE, "config.yaml").unwrap();
        sample.check().unwrap();
        let mut defaults = Config::default();
        defaults.service.admin.get_or_insert(SocketAddr::from((Ipv4Addr::UNSPECIFIED, Config::ADMIN_PORT)));
        defaults.kafka.bootstrap_servers.get_or_insert_with(|| "localhost:9092".into());
        assert_eq!(serde_json::to_value(&sample).unwrap(), serde_json::to_value(&defaults).unwrap());
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        let table = [
            ("schemas: {topic: ''}", "schemas.topic"),
            ("schemas: {transactional_id: ''}", "schemas.transactional_id"),
            ("schemas: {replication: 0}", "schemas.replication"),
            ("schemas: {write_timeout: 100ms}", "schemas.write_timeout"),
            ("schemas: {write_timeout: 10min}", "schemas.write_timeout"),
            ("schemas: {write_queue: 0}", "schemas.write_queue"),
            ("schemas: {write_group: 0}", "schemas.write_group"),
            ("schemas: {max_schema_bytes: 10B}", "schemas.max_schema_bytes"),
        ];
        for (yaml, setting) in table {
            let error =
                efd_service::parse::<Config>(yaml, "x.yaml").and_then(|config| config.check()).unwrap_err();
            assert!(error.to_string().contains(setting), "{yaml}: {error}");
        }
    }

    #[test]
    fn the_environment_moves_the_port() {
        let mut config = Config::default();
        config.overlay(&Env::from_pairs([("EFD_REGISTRY_HTTP", "127.0.0.1:9")])).unwrap();
        assert_eq!(config.http.port(), 9);
        config.overlay(&Env::from_pairs([("EFD_REGISTRY_HTTP", "9")])).unwrap_err();
    }
}
