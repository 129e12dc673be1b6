//! Settings of the sink.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use efd_kafka::KafkaConfig;
use efd_schema::{RegistryConfig, TopicSubname};
use efd_service::{ConfigError, Env, ServiceConfig, Settings};
use serde::{Deserialize, Serialize};

use crate::batch::Limits;
use crate::bounds::{BatchConfig, DeadLetterConfig, ReadAheadConfig, RetryConfig};
use crate::completeness::CompletenessConfig;
use crate::destination::DestinationConfig;
use crate::mapping::MappingConfig;
use crate::repair::RepairConfig;
use crate::selection;

/// Settings of the service, one YAML file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Logs, admin port, traces, grace period.
    pub service: ServiceConfig,
    /// Name of the worker: all replicas with this name share one consumer group and thereby the partitions. Default `main`.
    pub worker: String,
    /// The group is `<group_prefix>-<worker>`, for further destinations `<group_prefix>-<worker>-<destination>`. Default `efd-sink`.
    pub group_prefix: String,
    /// SAL components whose topics the worker owns, by exact name; topics that appear later are found.
    pub components: Vec<String>,
    /// Kafka topics that the worker owns besides: exact names, or regular expressions from `^` to `$`.
    pub topics: Vec<String>,
    /// Topics that it does not own nevertheless, named likewise: so a component can be split over workers.
    pub exclude: Vec<String>,
    /// The `<subname>` of `lsst.<subname>.<Component>.<sal_name>`. Default `sal`, or `LSST_TOPIC_SUBNAME`.
    pub topic_subname: TopicSubname,
    /// Where Kafka is.
    pub kafka: KafkaConfig,
    /// Where the schema registry is.
    pub registry: RegistryConfig,
    /// How records become points.
    pub mapping: MappingConfig,
    /// Where points are written; each destination is a pipeline of its own. At least one.
    pub destinations: Vec<DestinationConfig>,
    /// When a batch is handed to the writer.
    pub batch: BatchConfig,
    /// Writes to a destination at the same time. Default 2.
    pub max_in_flight_writes: usize,
    /// Batches that wait for the writer; when they are full, partitions are paused. Default 2.
    pub queue_batches: usize,
    /// Wait between two tries of a write, a look-up or a dead letter.
    pub retry: RetryConfig,
    /// For so long a schema id that a reachable registry does not know is asked for again. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub schema_wait: Duration,
    /// For so long after that, its records are dead-lettered without asking again. Default 5 min.
    #[serde(with = "humantime_serde")]
    pub unknown_schema_ttl: Duration,
    /// Schema ids kept, unknown ones included. Default 20,000; SAL has about 3,200.
    pub plan_cache: usize,
    /// Wait between two commits of the offsets that may be committed. Default 500 ms.
    #[serde(with = "humantime_serde")]
    pub commit_interval: Duration,
    /// Time within which a new topic is found (librdkafka `topic.metadata.refresh.interval.ms`). Default 5 s.
    #[serde(with = "humantime_serde")]
    pub metadata_refresh: Duration,
    /// Time after which the group gives the partitions of a replica that died to the others, or to its successor
    /// (librdkafka `session.timeout.ms`; brokers allow 6 s to 30 min). Default 10 s.
    #[serde(with = "humantime_serde")]
    pub session_timeout: Duration,
    /// How often the lag is looked at, which costs milliseconds with thousands of topics; 0 never. Default 15 s.
    #[serde(with = "humantime_serde")]
    pub lag_interval: Duration,
    /// How the replicas share partitions. Default `classic`.
    pub group_protocol: GroupProtocol,
    /// Name of this replica in its group, different for each: its partitions wait for it over a restart that is shorter than
    /// `session_timeout`. None means that a replica which stops gives its partitions away at once. Also `EFD_GROUP_INSTANCE_ID`.
    pub group_instance_id: Option<String>,
    /// When partitions are taken away, for so long what is on its way to the destination is waited for and committed, so that the new
    /// owner does not write it again. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// What librdkafka may read ahead of the batches.
    pub read_ahead: ReadAheadConfig,
    /// How dead-letter topics are made.
    pub dead_letters: DeadLetterConfig,
    /// What is kept about completeness.
    pub completeness: CompletenessConfig,
    /// How InfluxDB is repaired from Kafka.
    pub repair: RepairConfig,
    /// Address of the gRPC server. Default all interfaces, port 9183.
    pub grpc: SocketAddr,
}

/// How the members of a group agree who reads what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupProtocol {
    /// One of the members decides, cooperatively: only partitions that move stop.
    Classic,
    /// The broker decides (KIP-848, Kafka 4); session and heartbeat are the broker's settings then.
    Consumer,
}

impl Config {
    /// The consumer group of a destination, by its place in the list.
    pub fn group(&self, destination: usize) -> String {
        let group = format!("{}-{}", self.group_prefix, self.worker);
        match self.destinations.get(destination) {
            Some(further) if destination > 0 => format!("{group}-{}", further.name),
            _ => group,
        }
    }

    fn check_destinations(&self) -> Result<(), ConfigError> {
        let mut names = HashSet::new();
        for (index, destination) in self.destinations.iter().enumerate() {
            destination.check(&format!("destinations[{index}]"))?;
            if !names.insert(&destination.name) {
                return Err(ConfigError::invalid("destinations", format!("has {} twice", destination.name)));
            }
        }
        Ok(())
    }

    /// Limits of a batch.
    pub fn limits(&self) -> Limits {
        Limits {
            points: self.batch.points,
            values: self.batch.values,
            bytes: usize::try_from(self.batch.bytes.as_u64()).unwrap_or(usize::MAX),
            age: self.batch.age,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            service: ServiceConfig::default(),
            worker: "main".into(),
            group_prefix: "efd-sink".into(),
            components: Vec::new(),
            topics: Vec::new(),
            exclude: Vec::new(),
            topic_subname: TopicSubname::default(),
            kafka: KafkaConfig::default(),
            registry: RegistryConfig::default(),
            mapping: MappingConfig::default(),
            destinations: vec![DestinationConfig::default()],
            batch: BatchConfig::default(),
            max_in_flight_writes: 2,
            queue_batches: 2,
            retry: RetryConfig::default(),
            schema_wait: Duration::from_secs(30),
            unknown_schema_ttl: Duration::from_secs(300),
            plan_cache: 20_000,
            commit_interval: Duration::from_millis(500),
            metadata_refresh: Duration::from_secs(5),
            session_timeout: Duration::from_secs(10),
            lag_interval: Duration::from_secs(15),
            group_protocol: GroupProtocol::Classic,
            group_instance_id: None,
            drain_timeout: Duration::from_secs(5),
            read_ahead: ReadAheadConfig::default(),
            dead_letters: DeadLetterConfig::default(),
            completeness: CompletenessConfig::default(),
            repair: RepairConfig::default(),
            grpc: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9183),
        }
    }
}

impl Settings for Config {
    const ADMIN_PORT: u16 = 9603;

    fn service(&self) -> &ServiceConfig {
        &self.service
    }

    fn service_mut(&mut self) -> &mut ServiceConfig {
        &mut self.service
    }

    fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        self.kafka.overlay(env)?;
        self.registry.overlay(env)?;
        self.topic_subname.overlay(env);
        if let Some(id) = env.get("EFD_GROUP_INSTANCE_ID") {
            self.group_instance_id = Some(id.to_owned());
        }
        for (index, destination) in self.destinations.iter_mut().enumerate() {
            destination.overlay(env, index == 0)?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            (is_name(&self.worker), "worker", "must be letters, digits, _ or -"),
            (is_name(&self.group_prefix), "group_prefix", "must be letters, digits, _ or -"),
            (
                !(self.components.is_empty() && self.topics.is_empty()),
                "components",
                "and topics are both empty: name what the worker shall store",
            ),
            (!self.destinations.is_empty(), "destinations", "must have at least one entry"),
            (self.batch.points > 0, "batch.points", "must be at least 1"),
            (self.batch.values > 0, "batch.values", "must be at least 1"),
            (SIZES.contains(&self.batch.bytes), "batch.bytes", "must be between 1MiB and 1GiB"),
            (SIZES.contains(&self.read_ahead.bytes), "read_ahead.bytes", "must be between 1MiB and 1GiB"),
            (
                SIZES.contains(&self.read_ahead.fetch_bytes),
                "read_ahead.fetch_bytes",
                "must be between 1MiB and 1GiB",
            ),
            (READ_AHEAD.contains(&self.read_ahead.records), "read_ahead.records", "must be 1 to 10000000"),
            (
                SIZES.contains(&self.dead_letters.max_record_bytes),
                "dead_letters.max_record_bytes",
                "must be between 1MiB and 1GiB",
            ),
            (
                self.dead_letters.replication_factor == -1 || self.dead_letters.replication_factor > 0,
                "dead_letters.replication_factor",
                "must be -1 or at least 1",
            ),
            (self.max_in_flight_writes > 0, "max_in_flight_writes", "must be at least 1"),
            (self.queue_batches > 0, "queue_batches", "must be at least 1"),
            (self.plan_cache > 0, "plan_cache", "must be at least 1"),
            (!self.commit_interval.is_zero(), "commit_interval", "must be longer than 0"),
            (self.metadata_refresh.as_millis() > 0, "metadata_refresh", "must be at least 1ms"),
            (self.session_timeout >= Duration::from_secs(1), "session_timeout", "must be at least 1s"),
            (
                self.group_instance_id.as_deref().is_none_or(is_name),
                "group_instance_id",
                "must be letters, digits, _ or -",
            ),
            (self.drain_timeout < MAX_DRAIN, "drain_timeout", "must be less than 4min"),
            (!self.retry.min.is_zero(), "retry.min", "must be longer than 0"),
            (self.retry.max >= self.retry.min, "retry.max", "must not be less than retry.min"),
        ];
        for (holds, setting, problem) in rules {
            if !holds {
                return Err(ConfigError::invalid(setting, problem));
            }
        }
        self.topic_subname.check()?;
        self.registry.check()?;
        selection::check(self)?;
        self.completeness.check()?;
        self.repair.check()?;
        self.mapping.check("mapping")?;
        self.check_destinations()
    }
}

const SIZES: RangeInclusive<ByteSize> = ByteSize::mib(1)..=ByteSize::gib(1);
/// A poll that is later than 5 min costs the consumer its place in the group.
const MAX_DRAIN: Duration = Duration::from_secs(240);
/// What librdkafka takes.
const READ_AHEAD: RangeInclusive<u32> = 1..=10_000_000;

/// Whether the text can be part of a group, a topic and a label.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
