//! Settings of the ingest service.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use efd_kafka::{KafkaConfig, ProducerOptions, ReplicationFactor};
use efd_schema::{RegistryConfig, TopicSubname};
use efd_service::server::credentials;
use efd_service::server::tls::TlsConfig;
use efd_service::{ConfigError, Env, ServiceConfig, Settings};
use serde::{Deserialize, Serialize};

use crate::credentials::Credential;
use crate::grpc::config::GrpcConfig;
use crate::http::config::HttpConfig;
use crate::initialise::InitialiseOptions;
pub use crate::simulator::settings::SimulatorConfig;
use crate::text::config::{Form, TextConfig};

/// How long the queue may be.
const QUEUE: RangeInclusive<usize> = 1..=1_000_000;
/// How old a batch may get.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Settings of the service, one YAML file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Logs, admin port, traces, grace period.
    pub service: ServiceConfig,
    /// SAL components whose topics and schemas are made at start, and whose samples are taken. Not empty.
    pub components: Vec<String>,
    /// Folder with SAL interface files: `SALSubsystems.xml`, `SALGenerics.xml` and a folder per component, or a whole
    /// ts_xml checkout. Default `interfaces`.
    pub interfaces: PathBuf,
    /// The `<subname>` of `lsst.<subname>.<Component>.<sal_name>`. Default `sal`, or `LSST_TOPIC_SUBNAME`.
    pub topic_subname: TopicSubname,
    /// Replicas of a new topic. Default 1, or `LSST_KAFKA_REPLICATION_FACTOR`.
    pub replication_factor: ReplicationFactor,
    /// Partitions of a new topic; events always have 1. Default 1.
    pub partitions: u16,
    /// Schemas registered at the same time at start. Default 16.
    pub concurrent_registrations: usize,
    /// What `private_identity` says instead of `<Component>` or `<Component>:<salIndex>`.
    pub identity: Option<String>,
    /// Leap seconds in the form of the IERS (`leap-seconds.list`), instead of the table built in.
    pub leap_seconds_file: Option<PathBuf>,
    /// Samples that wait between the sources and the producer; a full queue makes the sources wait. Default 1024.
    pub queue_samples: usize,
    /// Where Kafka is.
    pub kafka: KafkaConfig,
    /// Where the schema registry is.
    pub registry: RegistryConfig,
    /// Who may send to the sources that listen on the network. Empty: everybody.
    pub credentials: Vec<Credential>,
    /// Certificate of the sources that listen on the network. None: no TLS.
    pub tls: TlsConfig,
    /// How records are gathered and confirmed.
    pub producer: ProducerConfig,
    /// Wait between two tries while Kafka or the registry cannot be reached.
    pub retry: RetryConfig,
    /// A source that other programs publish to.
    pub grpc: GrpcConfig,
    /// A source for scripts that know the Kafka REST Proxy.
    pub http: HttpConfig,
    /// A source for the text records of 2019.
    pub text: TextConfig,
    /// A source that makes samples up.
    pub simulator: SimulatorConfig,
}

/// How records are gathered, and how many may wait for their acknowledgement.
///
/// There is no time after which a record is given up: it waits, and so does its source.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProducerConfig {
    /// Wait for more records before a request is sent to a broker. Default 5 ms.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// `none`, `lz4`, `zstd`, `snappy` or `gzip`. Default `lz4`.
    pub compression: String,
    /// Bound on what librdkafka holds for the brokers. Default 64 MiB.
    pub buffer_bytes: ByteSize,
    /// Records whose delivery is confirmed together, at most. Default 2000.
    pub batch_records: usize,
    /// Bytes of these records, at most (one record more may pass it). Default 1 MiB.
    pub batch_bytes: ByteSize,
    /// Time after which a batch is closed even if it is small. Default 20 ms.
    #[serde(with = "humantime_serde")]
    pub batch_age: Duration,
    /// Bound on the records that wait for their acknowledgement, kept so that they can be sent again; each counts with
    /// its size and 256 bytes of what belongs to it. More make the sources wait. Default 32 MiB.
    pub in_flight_bytes: ByteSize,
}

/// Back-off between tries: doubling from `min` to `max`, with jitter.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// First wait. Default 200 ms.
    #[serde(with = "humantime_serde")]
    pub min: Duration,
    /// Longest wait. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
}

impl Config {
    /// Whether today's topics of the components are needed, because a source takes samples of them or because there is no
    /// other work.
    pub fn takes_samples(&self) -> bool {
        let reads_text = self.text.enabled && self.text.form == Form::Current;
        let is_idle = !self.http.enabled && !self.text.enabled;
        self.simulator.enabled || self.grpc.enabled || reads_text || is_idle
    }

    /// All but the HTTP source, which knows topics and no components.
    fn needs_components(&self) -> bool {
        self.takes_samples() || self.text.enabled
    }

    /// How topics are made and schemas registered.
    pub fn initialise_options(&self) -> InitialiseOptions {
        InitialiseOptions {
            topic_subname: self.topic_subname.get().to_owned(),
            replication_factor: self.replication_factor.get(),
            partitions: self.partitions,
            concurrent_registrations: self.concurrent_registrations,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            service: ServiceConfig::default(),
            components: Vec::new(),
            interfaces: PathBuf::from("interfaces"),
            topic_subname: TopicSubname::default(),
            replication_factor: ReplicationFactor::default(),
            partitions: 1,
            concurrent_registrations: 16,
            identity: None,
            leap_seconds_file: None,
            queue_samples: 1024,
            kafka: KafkaConfig::default(),
            registry: RegistryConfig::default(),
            credentials: Vec::new(),
            tls: TlsConfig::default(),
            producer: ProducerConfig::default(),
            retry: RetryConfig::default(),
            grpc: GrpcConfig::default(),
            http: HttpConfig::default(),
            text: TextConfig::default(),
            simulator: SimulatorConfig::default(),
        }
    }
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            linger: Duration::from_millis(5),
            compression: "lz4".into(),
            buffer_bytes: ByteSize::mib(64),
            batch_records: 2000,
            batch_bytes: ByteSize::mib(1),
            batch_age: Duration::from_millis(20),
            in_flight_bytes: ByteSize::mib(32),
        }
    }
}

impl ProducerConfig {
    /// The part that the Kafka client needs.
    pub(crate) fn options(&self) -> ProducerOptions {
        ProducerOptions {
            linger: self.linger,
            buffer_bytes: self.buffer_bytes,
            compression: self.compression.clone(),
            // librdkafka reads 0 as never: it retries by itself, in order and without duplicates, for as long as it takes.
            delivery_timeout: Duration::ZERO,
        }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { min: Duration::from_millis(200), max: Duration::from_secs(5) }
    }
}

impl Settings for Config {
    const ADMIN_PORT: u16 = 9601;

    fn service(&self) -> &ServiceConfig {
        &self.service
    }

    fn service_mut(&mut self) -> &mut ServiceConfig {
        &mut self.service
    }

    fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        self.kafka.overlay(env)?;
        self.registry.overlay(env)?;
        credentials::overlay(&mut self.credentials, env)?;
        self.grpc.overlay(env)?;
        self.http.overlay(env)?;
        self.topic_subname.overlay(env);
        self.replication_factor.overlay(env)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            (
                !self.components.is_empty() || !self.needs_components(),
                "components",
                "must name at least one SAL component",
            ),
            (self.partitions > 0, "partitions", "must be at least 1"),
            (self.concurrent_registrations > 0, "concurrent_registrations", "must be at least 1"),
            (QUEUE.contains(&self.queue_samples), "queue_samples", "must be between 1 and 1000000"),
            (self.producer.batch_age <= MAX_AGE, "producer.batch_age", "must not be longer than a minute"),
            (self.producer.batch_records > 0, "producer.batch_records", "must be at least 1"),
            (!self.retry.min.is_zero(), "retry.min", "must be longer than 0"),
            (self.retry.max >= self.retry.min, "retry.max", "must not be less than retry.min"),
        ];
        for (holds, setting, problem) in rules {
            if !holds {
                return Err(ConfigError::invalid(setting, problem));
            }
        }
        self.topic_subname.check()?;
        self.replication_factor.check()?;
        self.registry.check()?;
        credentials::check(&self.credentials, "credentials")?;
        self.tls.check()?;
        self.grpc.check()?;
        self.http.check()?;
        self.text.check()?;
        self.simulator.check()?;
        for (place, component) in self.components.iter().enumerate() {
            if self.components.iter().take(place).any(|earlier| earlier == component) {
                return Err(ConfigError::invalid("components", format!("names {component} twice")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::settings::Rate;

    #[test]
    fn the_sample_configuration_is_valid_and_says_the_defaults() {
        let config: Config = efd_service::parse(include_str!("../config.yaml"), "config.yaml").unwrap();
        config.check().unwrap();
        let mut expected = Config { components: config.components.clone(), ..Config::default() };
        expected.simulator.enabled = true;
        expected.service.admin = Some(([0, 0, 0, 0], Config::ADMIN_PORT).into());
        expected.registry.url = Some(expected.registry.url().to_owned());
        let text = |config: &Config| serde_json::to_value(config).unwrap();
        assert_eq!(text(&config), text(&expected));
    }

    #[test]
    fn the_environment_reaches_every_part() {
        let variables = [
            ("LSST_TOPIC_SUBNAME", "lab"),
            ("LSST_KAFKA_REPLICATION_FACTOR", "3"),
            ("LSST_KAFKA_BROKER_ADDR", "broker:29092"),
            ("LSST_SCHEMA_REGISTRY_URL", "http://registry:8081"),
            ("EFD_INGEST_GRPC", "127.0.0.1:1"),
            ("EFD_INGEST_HTTP", "127.0.0.1:2"),
        ];
        let mut config = Config::default();
        config.overlay(&Env::from_pairs(variables)).unwrap();
        assert_eq!((config.topic_subname.get(), config.replication_factor.get()), ("lab", 3));
        assert_eq!(config.kafka.bootstrap_servers(), "broker:29092");
        assert_eq!(config.registry.url(), "http://registry:8081");
        assert_eq!((config.grpc.address.port(), config.http.address.port()), (1, 2));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_by_name() {
        let valid = Config { components: vec!["Test".into()], ..Config::default() };
        valid.check().unwrap();
        let twice = Config { components: vec!["Test".into(), "Test".into()], ..valid.clone() };
        let none = Config { components: vec![], ..valid.clone() };
        let subname = Config { topic_subname: "a.b".into(), ..valid.clone() };
        let mut rate = valid.clone();
        rate.simulator.rate = Rate::Factor(f64::NAN);
        let cases = [
            (twice, "components"),
            (none, "components"),
            (subname, "topic_subname"),
            (rate, "simulator.rate"),
        ];
        for (config, setting) in cases {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(setting), "{error}");
        }
    }
}
