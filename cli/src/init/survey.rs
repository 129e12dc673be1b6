//! What is there of the topics and schemas that some components need, and what differs from what they need.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use efd_ingest::initialise::{InitialiseOptions, topic_spec};
use efd_kafka::{Admin, TopicInfo, TopicSpec};
use efd_sal::{Component, Topic, TopicKind};
use efd_schema::{Compatibility, RegistryClient, RegistryError};
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;

use crate::config::Config;

/// The setting of a topic that says which records Kafka keeps.
const CLEANUP_POLICY: &str = "cleanup.policy";
/// Keeps the last record of each key.
const COMPACT: &str = "compact";

/// One topic before anything was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    /// SAL component.
    pub component: String,
    /// Kafka topic.
    pub kafka_name: String,
    /// It exists.
    pub exists: bool,
    /// What differs from what would be made; nothing for one that does not exist.
    pub differences: Vec<Difference>,
    /// What the registry has of its schema.
    pub schema: SchemaState,
    /// What the registry would do with the schema; none where that was not asked.
    pub compatibility: Option<Compatibility>,
}

/// What the registry has of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaState {
    /// This schema, with this id.
    Known(u32),
    /// Other schemas of the subject: this one becomes the next version.
    NextVersion,
    /// No schema of the subject.
    Unknown,
}

/// What the registry has of a schema, and what it would do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFinding {
    /// What it has.
    pub state: SchemaState,
    /// What it would do with one that it has not; none where that was not asked.
    pub compatibility: Option<Compatibility>,
}

/// How an existing topic differs from the one that would be made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// It has fewer partitions.
    FewerPartitions {
        /// As it is.
        found: usize,
        /// As it would be made.
        wanted: usize,
    },
    /// It has several partitions although the order of its records matters across publishers.
    MorePartitions {
        /// As it is.
        found: usize,
    },
    /// It has fewer replicas.
    FewerReplicas {
        /// As it is.
        found: usize,
        /// As it would be made.
        wanted: usize,
    },
    /// Events are not kept as the last record of each key, or other records are not all kept.
    CleanupPolicy {
        /// As it is.
        found: String,
        /// It should be `compact`.
        compact: bool,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewerPartitions { found, wanted } => write!(
                f,
                "partitions {found}, wanted {wanted}: add them with kafka-topics --alter --partitions {wanted}"
            ),
            Self::MorePartitions { found } => {
                write!(f, "partitions {found}, wanted 1 to keep the order of records: make the topic anew")
            }
            Self::FewerReplicas { found, wanted } => {
                write!(f, "replicas {found}, wanted {wanted}: add them with kafka-reassign-partitions")
            }
            Self::CleanupPolicy { found, compact: true } => write!(
                f,
                "{CLEANUP_POLICY} is {found}, wanted {COMPACT} so that late readers see the last event: kafka-configs \
                 --alter --add-config {CLEANUP_POLICY}={COMPACT}"
            ),
            Self::CleanupPolicy { found, compact: false } => write!(
                f,
                "{CLEANUP_POLICY} is {found}, which loses records with equal keys: kafka-configs --alter --add-config \
                 {CLEANUP_POLICY}=delete"
            ),
        }
    }
}

/// Looks at the brokers and the registry; moves the bar by one for each topic. Before a run that makes nothing the registry is
/// asked whether it would take each schema that it has not; else registering it tells.
pub async fn survey(
    config: &Config,
    components: &[Component],
    (options, is_dry): (&InitialiseOptions, bool),
    bar: &ProgressBar,
) -> anyhow::Result<Vec<TopicState>> {
    let wanted: Vec<(&Topic, TopicSpec)> = components
        .iter()
        .flat_map(|component| &component.topics)
        .map(|topic| (topic, topic_spec(topic, options)))
        .collect();
    let admin = Admin::new(&config.kafka, "efd-init")?;
    let found: HashMap<String, TopicInfo> =
        admin.topics().await?.into_iter().map(|topic| (topic.name.clone(), topic)).collect();
    let existing: Vec<String> =
        wanted.iter().map(|(_, spec)| spec.name.clone()).filter(|name| found.contains_key(name)).collect();
    let policies = if existing.is_empty() {
        BTreeMap::new()
    } else {
        admin.topic_settings(&existing, CLEANUP_POLICY).await?
    };
    let schemas = schemas(config, &wanted, (options, is_dry), bar).await?;
    let state = |((topic, spec), schema): ((&Topic, TopicSpec), SchemaFinding)| {
        let info = found.get(&spec.name);
        let policy = policies.get(&spec.name).map(String::as_str);
        TopicState {
            component: topic.component.to_string(),
            exists: info.is_some(),
            differences: info.map(|info| differences(topic.kind, &spec, info, policy)).unwrap_or_default(),
            kafka_name: spec.name,
            schema: schema.state,
            compatibility: schema.compatibility,
        }
    };
    Ok(wanted.into_iter().zip(schemas).map(state).collect())
}

/// What is found of each schema, in the order of the topics.
async fn schemas(
    config: &Config,
    wanted: &[(&Topic, TopicSpec)],
    (options, is_dry): (&InitialiseOptions, bool),
    bar: &ProgressBar,
) -> Result<Vec<SchemaFinding>, RegistryError> {
    let registry = RegistryClient::new(&config.registry)?;
    let subjects: BTreeSet<String> = registry.subjects().await?.into_iter().collect();
    let finding = async |topic: &Topic| {
        let (subject, schema) = (topic.subject(&options.topic_subname), topic.avro_schema());
        let state = if subjects.contains(&subject) {
            let known = registry.look_up(&subject, &schema).await?;
            known.map_or(SchemaState::NextVersion, |version| SchemaState::Known(version.id))
        } else {
            SchemaState::Unknown
        };
        let is_asked = is_dry && !matches!(state, SchemaState::Known(_));
        let compatibility =
            if is_asked { Some(registry.compatibility(&subject, &schema).await?) } else { None };
        bar.inc(1);
        Ok(SchemaFinding { state, compatibility })
    };
    // Futures do nothing before they are polled.
    let calls: Vec<_> = wanted.iter().map(|(topic, _)| finding(topic)).collect();
    stream::iter(calls).buffered(options.concurrent_registrations).try_collect().await
}

/// More partitions of telemetry or more replicas than wanted do no harm: someone wanted them.
fn differences(
    kind: TopicKind,
    wanted: &TopicSpec,
    found: &TopicInfo,
    policy: Option<&str>,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let partitions = found.partitions.len();
    let of = |number: i32| usize::try_from(number).unwrap_or_default();
    if partitions < of(wanted.partitions) {
        differences.push(Difference::FewerPartitions { found: partitions, wanted: of(wanted.partitions) });
    } else if kind != TopicKind::Telemetry && partitions > 1 {
        differences.push(Difference::MorePartitions { found: partitions });
    }
    if found.replication < of(wanted.replication) {
        let (found, wanted) = (found.replication, of(wanted.replication));
        differences.push(Difference::FewerReplicas { found, wanted });
    }
    let is_right = |policy: &str| if wanted.compact { policy == COMPACT } else { !policy.contains(COMPACT) };
    if let Some(policy) = policy.filter(|policy| !is_right(policy)) {
        differences.push(Difference::CleanupPolicy { found: policy.to_owned(), compact: wanted.compact });
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(partitions: i32, compact: bool) -> TopicSpec {
        TopicSpec { name: "t".into(), partitions, replication: 3, compact }
    }

    fn info(partitions: i32, replication: usize) -> TopicInfo {
        TopicInfo {
            name: "t".into(),
            partitions: (0..partitions).collect(),
            replication,
            under_replicated: 0,
        }
    }

    fn telemetry(found: &TopicInfo, policy: &str) -> Vec<Difference> {
        differences(TopicKind::Telemetry, &spec(4, false), found, Some(policy))
    }

    fn event(found: &TopicInfo, policy: &str) -> Vec<Difference> {
        differences(TopicKind::Event, &spec(1, true), found, Some(policy))
    }

    #[test]
    fn a_topic_as_it_would_be_made_or_larger_does_not_differ() {
        assert!(telemetry(&info(4, 3), "delete").is_empty());
        assert!(telemetry(&info(8, 5), "delete").is_empty());
        assert!(event(&info(1, 3), "compact").is_empty());
    }

    #[test]
    fn too_few_partitions_and_replicas_differ_and_so_do_several_partitions_of_an_event() {
        assert_eq!(
            telemetry(&info(1, 1), "delete"),
            [
                Difference::FewerPartitions { found: 1, wanted: 4 },
                Difference::FewerReplicas { found: 1, wanted: 3 }
            ]
        );
        assert_eq!(event(&info(2, 3), "compact"), [Difference::MorePartitions { found: 2 }]);
    }

    #[test]
    fn events_are_compacted_and_nothing_else_is() {
        let policy =
            |found: &str, compact| vec![Difference::CleanupPolicy { found: found.to_owned(), compact }];
        for wrong in ["delete", "compact,delete"] {
            assert_eq!(event(&info(1, 3), wrong), policy(wrong, true));
        }
        for wrong in ["compact", "compact,delete"] {
            assert_eq!(telemetry(&info(4, 3), wrong), policy(wrong, false));
        }
        let message = Difference::CleanupPolicy { found: "delete".into(), compact: true }.to_string();
        assert!(message.contains("--add-config cleanup.policy=compact"), "{message}");
    }
}
