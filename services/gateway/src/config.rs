//! Settings of the gateway.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use efd_kafka::KafkaConfig;
use efd_schema::{RegistryConfig, TopicSubname};
use efd_service::http::is_address;
use efd_service::server::credentials;
use efd_service::server::tls::TlsConfig;
use efd_service::{Access, ConfigError, Env, Secret, ServiceConfig, Settings};
use serde::{Deserialize, Serialize};

use crate::credentials::Credential;
use crate::http::config::HttpConfig;
use crate::http::discovery::DiscoveryConfig;
use crate::quota::QuotaConfig;

/// Settings of the service, one YAML file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Logs, admin port, traces, grace period.
    pub service: ServiceConfig,
    /// Address of the gRPC server. Default all interfaces, port 9180.
    pub grpc: SocketAddr,
    /// The `<subname>` of Kafka topics, `lsst.<subname>.<Component>.<sal_name>`, by which schemas are found. Default `sal`,
    /// or `LSST_TOPIC_SUBNAME`.
    pub topic_subname: TopicSubname,
    /// Where the schema registry is.
    pub registry: RegistryConfig,
    /// Where Kafka is, for `Tail`.
    pub kafka: KafkaConfig,
    /// Where InfluxDB is.
    pub influxdb: InfluxDbConfig,
    /// Bounds on queries.
    pub query: QueryConfig,
    /// How connections are kept.
    pub server: ServerConfig,
    /// InfluxQL over HTTP.
    pub http: HttpConfig,
    /// Certificate of both servers. None: no TLS.
    pub tls: TlsConfig,
    /// Who may ask; none: everybody.
    pub credentials: Vec<Credential>,
    /// Names by which clients find the gateway.
    pub discovery: DiscoveryConfig,
    /// How much one caller may ask, where its credential does not say.
    pub quota: QuotaConfig,
}

/// Where InfluxDB is, 1.x or 2.x: both answer InfluxQL.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InfluxDbConfig {
    /// Address. Default `http://localhost:8086`.
    pub url: Option<String>,
    /// Database; for 2.x the one that the bucket is mapped to, which for a bucket `a/b` is `a`. Default `efd`.
    pub database: String,
    /// Retention policy; for 2.x the one that the bucket is mapped to, which for a bucket `a/b` is `b`. Default `autogen`.
    pub retention_policy: String,
    /// User name for basic authentication; none means no authentication.
    pub username: Option<String>,
    /// Password; only from the environment (`EFD_INFLUXDB_PASSWORD` or `EFD_INFLUXDB_PASSWORD_FILE`).
    pub password: Secret,
    /// Token of 2.x, used instead of the user name; only from the environment (`EFD_INFLUXDB_TOKEN` or
    /// `EFD_INFLUXDB_TOKEN_FILE`).
    pub token: Secret,
    /// Longest wait for the beginning of an answer, and then for each next piece. Default 3 m, InfluxDB's own limit on a
    /// query at the observatory.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Time between two looks whether InfluxDB answers. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub probe_interval: Duration,
    /// File with the certificate authority of InfluxDB, when its own is not a public one.
    pub ca_file: Option<PathBuf>,
}

/// Bounds on queries. A running query holds at most a few times `batch_bytes` and the longest row.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// Queries that may run at once; more are refused. Default 64.
    pub max_running: usize,
    /// Topics of one query. Default 64.
    pub max_selections: usize,
    /// Stored columns of one topic of a query; the widest SAL topic has 14,495. Default 20,000.
    pub max_columns: usize,
    /// Intervals of a `QueryWindow`. Default 1,000,000.
    pub max_intervals: usize,
    /// How long before the end of history a `Tail` begins to read Kafka: longer than any record is late. Default 5 m.
    #[serde(with = "humantime_serde")]
    pub tail_overlap: Duration,
    /// Time from which on a query is told in the log. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub slow: Duration,
    /// Longest row of InfluxDB's answer. Default 16 MiB.
    pub max_row_bytes: ByteSize,
    /// Values that InfluxDB gathers before it sends them, and looks whether anybody still wants them; eight rows may pass it.
    /// Default 20,000.
    pub chunk_values: usize,
    /// Size of an answer; one row more may pass it. Default 960 KiB.
    pub batch_bytes: ByteSize,
}

/// How connections are kept. Windows of HTTP/2 are the client's to choose: it is the one who receives.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Longest request. Default 1 MiB.
    pub max_request_bytes: ByteSize,
    /// Connections at the same time, at least 1; further ones wait. Default 1024.
    pub max_connections: usize,
    /// Calls at once on one connection. Default 128.
    pub max_streams: u32,
    /// Time without traffic after which a client is asked whether it is there. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub keepalive_interval: Duration,
    /// Time after which a client that does not answer that is given up, and its queries with it. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub keepalive_timeout: Duration,
    /// How long running queries may go on after a stop is requested. Default 15 s; it must be less than `service.grace_period`.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            service: ServiceConfig::default(),
            grpc: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9180),
            topic_subname: TopicSubname::default(),
            registry: RegistryConfig::default(),
            kafka: KafkaConfig::default(),
            influxdb: InfluxDbConfig::default(),
            query: QueryConfig::default(),
            server: ServerConfig::default(),
            http: HttpConfig::default(),
            tls: TlsConfig::default(),
            credentials: Vec::new(),
            discovery: DiscoveryConfig::default(),
            quota: QuotaConfig::default(),
        }
    }
}

impl Default for InfluxDbConfig {
    fn default() -> Self {
        Self {
            url: None,
            database: "efd".into(),
            retention_policy: "autogen".into(),
            username: None,
            password: Secret::default(),
            token: Secret::default(),
            timeout: Duration::from_secs(180),
            probe_interval: Duration::from_secs(5),
            ca_file: None,
        }
    }
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            max_running: 64,
            max_selections: 64,
            max_columns: 20_000,
            max_intervals: 1_000_000,
            tail_overlap: Duration::from_secs(300),
            slow: Duration::from_secs(10),
            max_row_bytes: ByteSize::mib(16),
            chunk_values: 20_000,
            batch_bytes: ByteSize::kib(960),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_request_bytes: ByteSize::mib(1),
            max_connections: 1024,
            max_streams: 128,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(15),
        }
    }
}

impl InfluxDbConfig {
    /// The address, without a slash at its end.
    pub fn url(&self) -> &str {
        self.url.as_deref().unwrap_or("http://localhost:8086").trim_end_matches('/')
    }

    /// Lets `EFD_INFLUXDB_*` override the file.
    fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        let Self { url, username, password, token, .. } = self;
        Access { url, username, password, token: Some(token) }.overlay(env, "EFD_INFLUXDB")
    }
}

impl Config {
    fn check_quotas(&self) -> Result<(), ConfigError> {
        let quotas = self.credentials.iter().filter_map(|credential| credential.quota.as_ref());
        if quotas.chain([&self.quota]).all(QuotaConfig::is_valid) {
            return Ok(());
        }
        Err(ConfigError::invalid("quota", "must let queries through: its numbers must be more than 0"))
    }
}

impl Settings for Config {
    const ADMIN_PORT: u16 = 9604;

    fn service(&self) -> &ServiceConfig {
        &self.service
    }

    fn service_mut(&mut self) -> &mut ServiceConfig {
        &mut self.service
    }

    fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        self.registry.overlay(env)?;
        self.kafka.overlay(env)?;
        self.influxdb.overlay(env)?;
        if let Some(address) = env.parsed("EFD_GATEWAY_GRPC")? {
            self.grpc = address;
        }
        self.http.overlay(env)?;
        credentials::overlay(&mut self.credentials, env)?;
        self.topic_subname.overlay(env);
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Self { influxdb, query, server, .. } = self;
        self.registry.check()?;
        self.topic_subname.check()?;
        self.http.check()?;
        self.tls.check()?;
        credentials::check(&self.credentials, "credentials")?;
        self.discovery.check(&self.http.path, &self.credentials)?;
        self.check_quotas()?;
        let rules = [
            (is_address(influxdb.url()), "influxdb.url", "must be an address such as http://localhost:8086"),
            (!influxdb.database.is_empty(), "influxdb.database", "must not be empty"),
            (!influxdb.retention_policy.is_empty(), "influxdb.retention_policy", "must not be empty"),
            (influxdb.token.expose().is_ascii(), "EFD_INFLUXDB_TOKEN", "must be ASCII"),
            (!influxdb.timeout.is_zero(), "influxdb.timeout", "must be more than 0s"),
            (!influxdb.probe_interval.is_zero(), "influxdb.probe_interval", "must be more than 0s"),
            (query.max_running > 0, "query.max_running", "must be at least 1"),
            (query.max_selections > 0, "query.max_selections", "must be at least 1"),
            (query.max_columns > 0, "query.max_columns", "must be at least 1"),
            (query.max_intervals > 0, "query.max_intervals", "must be at least 1"),
            (query.max_row_bytes.as_u64() >= 4096, "query.max_row_bytes", "must be at least 4KiB"),
            (query.chunk_values > 0, "query.chunk_values", "must be at least 1"),
            (
                query.batch_bytes.as_u64() <= 3 << 20,
                "query.batch_bytes",
                "must be at most 3MiB, since clients take 4MiB",
            ),
            (server.max_connections > 0, "server.max_connections", "must be at least 1"),
            (server.max_streams > 0, "server.max_streams", "must be at least 1"),
            (!server.keepalive_interval.is_zero(), "server.keepalive_interval", "must be more than 0s"),
            (!server.keepalive_timeout.is_zero(), "server.keepalive_timeout", "must be more than 0s"),
            (
                server.drain_timeout < self.service.grace_period,
                "server.drain_timeout",
                "must be less than service.grace_period",
            ),
        ];
        for (holds, setting, problem) in rules {
            if !holds {
                return Err(ConfigError::invalid(setting, problem));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_configuration_is_valid_and_says_the_defaults() {
        let config: Config = efd_service::parse(include_str!("../config.yaml"), "config.yaml").unwrap();
        config.check().unwrap();
        let text = |config: &Config| serde_json::to_value(config).unwrap();
        let mut expected = Config::default();
        expected.service.admin = config.service.admin;
        expected.registry.url = Some(expected.registry.url().to_owned());
        expected.kafka.bootstrap_servers = Some(expected.kafka.bootstrap_servers().to_owned());
        expected.influxdb.url = Some(expected.influxdb.url().to_owned());
        expected.topic_subname = "sal".into();
        assert_eq!(text(&config), text(&expected));
    }

    #[test]
    fn the_environment_gives_addresses_and_secrets() {
        let env = Env::from_pairs([
            ("EFD_INFLUXDB_URL", "http://i:8086/"),
            ("EFD_INFLUXDB_USERNAME", "reader"),
            ("EFD_INFLUXDB_PASSWORD", "pw"),
            ("EFD_INFLUXDB_TOKEN", "s3cret"),
            ("EFD_GATEWAY_GRPC", "127.0.0.1:1"),
            ("LSST_TOPIC_SUBNAME", "lab"),
        ]);
        let mut config = Config::default();
        config.overlay(&env).unwrap();
        let influxdb = &config.influxdb;
        assert_eq!((influxdb.url(), influxdb.username.as_deref()), ("http://i:8086", Some("reader")));
        assert_eq!((influxdb.password.expose(), influxdb.token.expose()), ("pw", "s3cret"));
        assert_eq!((config.grpc.port(), config.topic_subname.get()), (1, "lab"));
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_by_name() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(
            refused(|config| config.influxdb.url = Some("localhost:8086".into())).starts_with("influxdb.url")
        );
        assert!(refused(|config| config.registry.url = Some("r".into())).starts_with("registry.url"));
        assert!(refused(|config| config.query.chunk_values = 0).starts_with("query.chunk_values"));
        assert!(
            refused(|config| config.query.batch_bytes = ByteSize::mib(4)).starts_with("query.batch_bytes")
        );
        let drain = refused(|config| config.server.drain_timeout = config.service.grace_period);
        assert_eq!(drain, "server.drain_timeout must be less than service.grace_period");
    }
}
