//! Settings of the registry.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::uri::Authority;
use bytesize::ByteSize;
use efd_kafka::KafkaConfig;
use efd_service::server::credentials;
use efd_service::server::tls::TlsConfig;
use efd_service::{ConfigError, Env, ServiceConfig, Settings};
use serde::{Deserialize, Serialize};

use crate::access::Credential;
use crate::compatibility::Level;
use crate::limits::LimitsConfig;
use crate::proxy::config::UpstreamConfig;
use crate::sal::Policies;

/// Settings of the registry; see `config.yaml` beside the crate for all of them with their defaults.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What every service has.
    pub service: ServiceConfig,
    /// Address of the REST interface. Default `0.0.0.0:8081`.
    pub http: SocketAddr,
    /// Address of the gRPC server, for services and for other replicas. Default `0.0.0.0:9181`; port 0 takes any free one.
    pub grpc: SocketAddr,
    /// Bounds of the gRPC server.
    pub grpc_limits: GrpcConfig,
    /// Several registries on one log.
    pub replicas: ReplicasConfig,
    /// Who may ask, over REST and gRPC. None: everybody.
    pub credentials: Vec<Credential>,
    /// Certificate of both servers. None: no TLS.
    pub tls: TlsConfig,
    /// Bounds on clients.
    pub limits: LimitsConfig,
    /// Another registry, which this one stands in front of.
    pub upstream: UpstreamConfig,
    /// Where Kafka is.
    pub kafka: KafkaConfig,
    /// The topic that holds the schemas.
    pub schemas: SchemasConfig,
    /// Compatibility of subjects for which nobody set one. Default `NONE`.
    pub compatibility: Level,
    /// What to do with schemas that InfluxDB or SAL cannot take, by the beginning of their subjects: `off`, `warn` or
    /// `refuse`. Default `warn` for `lsst.`, `off` for others.
    pub sal: Policies,
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

/// Bounds of the gRPC server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// Calls at once on one connection. Default 128.
    pub max_streams: u32,
    /// Streams of new versions at once, over all clients; further ones are refused. Default 256.
    pub max_watches: usize,
    /// Longest that a call which is no stream may take. Default 30 s, and never less than `schemas.write_timeout`.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Time without traffic after which a client is asked whether it is there; it then has as long to answer. Default 20 s.
    #[serde(with = "humantime_serde")]
    pub keepalive: Duration,
}

/// Several registries on one log: one writes, the others forward their writes to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplicasConfig {
    /// `host:port` at which other replicas reach the gRPC server of this one. Default: the address from which this machine
    /// reaches Kafka, and the port of `grpc`.
    pub advertise: Option<String>,
    /// File with the authority of the other replicas' certificate, when TLS is on and that is not a public one. Default none.
    pub ca_file: Option<PathBuf>,
    /// Name in the certificate of the other replicas. Default: the host that each advertises.
    pub server_name: Option<String>,
    /// Time between two looks at whether the writer is there. Default 500 ms.
    #[serde(with = "humantime_serde")]
    pub probe_interval: Duration,
    /// Time without an answer of the writer after which another replica takes over; each adds up to a third of its own. Default 3 s.
    #[serde(with = "humantime_serde")]
    pub takeover_after: Duration,
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            max_streams: 128,
            max_watches: 256,
            timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(20),
        }
    }
}

impl Default for ReplicasConfig {
    fn default() -> Self {
        Self {
            advertise: None,
            ca_file: None,
            server_name: None,
            probe_interval: Duration::from_millis(500),
            takeover_after: Duration::from_secs(3),
        }
    }
}

impl ReplicasConfig {
    fn overlay(&mut self, env: &Env) {
        if let Some(address) = env.get("EFD_REGISTRY_ADVERTISE") {
            self.advertise = Some(address.to_owned());
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let is_address =
            |address: &str| address.parse::<Authority>().is_ok_and(|address| address.port().is_some());
        if self.advertise.as_deref().is_some_and(|address| !is_address(address)) {
            return Err(ConfigError::invalid("replicas.advertise", "must be host:port"));
        }
        if self.probe_interval < Duration::from_millis(50) || self.takeover_after < self.probe_interval * 2 {
            let problem = "must be at least 50ms, and twice that at least";
            return Err(ConfigError::invalid("replicas.probe_interval and replicas.takeover_after", problem));
        }
        Ok(())
    }
}

impl GrpcConfig {
    fn check(&self) -> Result<(), ConfigError> {
        if self.max_streams == 0 || self.timeout.is_zero() || self.keepalive.is_zero() {
            let problem = "must be more than 0";
            return Err(ConfigError::invalid("grpc_limits.max_streams, .timeout and .keepalive", problem));
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            service: ServiceConfig::default(),
            http: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8081)),
            grpc: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9181)),
            grpc_limits: GrpcConfig::default(),
            replicas: ReplicasConfig::default(),
            credentials: Vec::new(),
            tls: TlsConfig::default(),
            limits: LimitsConfig::default(),
            upstream: UpstreamConfig::default(),
            kafka: KafkaConfig::default(),
            schemas: SchemasConfig::default(),
            compatibility: Level::None,
            sal: Policies::default(),
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
        if let Some(grpc) = env.parsed("EFD_REGISTRY_GRPC")? {
            self.grpc = grpc;
        }
        self.replicas.overlay(env);
        credentials::overlay(&mut self.credentials, env)?;
        self.upstream.overlay(env)?;
        if self.upstream.is_proxy() {
            // A proxy never asks Kafka, so nothing about it can be missing.
            return Ok(());
        }
        self.kafka.overlay(env)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.replicas.check()?;
        self.upstream.check()?;
        self.grpc_limits.check()?;
        self.limits.check()?;
        self.tls.check()?;
        credentials::check(&self.credentials, "credentials")?;
        let mut prefixes = self.credentials.iter().flat_map(|credential| &credential.prefixes);
        if prefixes.any(|prefix| prefix.starts_with(":.:") || prefix.starts_with(":*:")) {
            let problem = "names of the default context have nothing in front, those of another :.name:";
            return Err(ConfigError::invalid("credentials.prefixes", problem));
        }
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
            ("upstream: {url: somewhere}", "upstream.url"),
            ("upstream: {url: 'ftp://registry:8081'}", "upstream.url"),
            ("upstream: {shadow: {}}", "upstream.url"),
            ("upstream: {url: 'http://a:b@c'}", "upstream.url"),
            ("upstream: {timeout: 0s}", "upstream.timeout"),
            ("upstream: {cache_bytes: 10B}", "upstream.cache_bytes"),
            ("replicas: {advertise: somewhere}", "replicas.advertise"),
            ("replicas: {takeover_after: 600ms}", "replicas.takeover_after"),
            ("grpc_limits: {max_streams: 0}", "grpc_limits.max_streams"),
            ("limits: {body_timeout: 0s}", "limits.body_timeout"),
            ("tls: {key_file: k.pem}", "tls.certificate_file"),
            ("credentials: [{name: a}]", "EFD_REGISTRY_TOKEN_A"),
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
