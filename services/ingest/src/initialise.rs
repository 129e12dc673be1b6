//! Makes what a component needs before its first sample: Kafka topics and registered schemas.
//!
//! Both steps may be repeated at any time: what exists stays as it is, an equal schema keeps its id.

use std::collections::HashSet;
use std::pin::pin;

use efd_kafka::{Admin, AdminError, ErrorKind, TopicSpec};
use efd_sal::{Component, Topic};
use efd_schema::{RegistryClient, RegistryError, RegistryErrorKind};
use futures::{Stream, StreamExt, TryStreamExt, stream};

/// How topics are made.
#[derive(Debug, Clone)]
pub struct InitialiseOptions {
    /// The `<subname>` of `lsst.<subname>.<Component>.<sal_name>`.
    pub topic_subname: String,
    /// Replicas of a new topic.
    pub replication_factor: i32,
    /// Partitions of a new telemetry topic; all others have 1.
    pub partitions: u16,
    /// Schemas registered at the same time.
    pub concurrent_registrations: usize,
}

/// How far the work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// `done` of `total` topics are there; of these, `created` are new, the others existed.
    TopicsCreated {
        /// Topics that are there.
        done: usize,
        /// New topics.
        created: usize,
        /// All topics.
        total: usize,
    },
    /// `done` of `total` schemas are registered, or refused.
    SchemaRegistered {
        /// Schemas asked for so far.
        done: usize,
        /// All schemas.
        total: usize,
    },
}

/// What was done for one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicReport {
    /// SAL component.
    pub component: String,
    /// Kafka topic.
    pub kafka_name: String,
    /// Subject of its schema.
    pub subject: String,
    /// Whether the topic is new; else it existed and is as it was.
    pub created: bool,
    /// Id of its schema, or why the registry refuses it.
    pub schema: Result<u32, String>,
}

/// Why the work stopped.
#[derive(Debug, thiserror::Error)]
pub enum InitialiseError {
    /// Kafka did not make the topics.
    #[error("kafka topics cannot be created: {0}")]
    Topics(AdminError),
    /// The registry did not take a schema.
    #[error("schema of {subject} cannot be registered: {error}")]
    Schema {
        /// Its subject.
        subject: String,
        /// Why.
        error: RegistryError,
    },
}

impl InitialiseError {
    /// Whether time may heal it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Topics(error) => error.kind() == ErrorKind::Transient,
            Self::Schema { error, .. } => error.kind() != RegistryErrorKind::Refused,
        }
    }
}

/// Creates the topics of `components` and registers their schemas; reports on each topic, in their order. A schema that the registry
/// refuses keeps none of the others from being registered.
///
/// # Errors
/// When Kafka refuses topics, or one of them does not answer. What was done stays, and the call may be repeated.
pub async fn initialise(
    components: &[Component],
    options: &InitialiseOptions,
    admin: &Admin,
    registry: &RegistryClient,
    progress: impl Fn(Progress),
) -> Result<Vec<TopicReport>, InitialiseError> {
    let total = topics(components).count();
    let (mut created, mut done) = (HashSet::new(), 0);
    for component in components {
        created.extend(create_topics(std::slice::from_ref(component), options, admin).await?);
        done += component.topics.len();
        progress(Progress::TopicsCreated { done, created: created.len(), total });
    }
    let mut schemas = Vec::with_capacity(total);
    let mut registered = pin!(registered(components, options, registry));
    while let Some(outcome) = registered.next().await {
        schemas.push(match outcome {
            Ok(id) => Ok(id),
            Err(InitialiseError::Schema { error: error @ RegistryError::Answer { .. }, .. })
                if error.kind() == RegistryErrorKind::Refused =>
            {
                Err(error.to_string())
            }
            Err(error) => return Err(error),
        });
        progress(Progress::SchemaRegistered { done: schemas.len(), total });
    }
    let subname = options.topic_subname.as_str();
    let report = |(topic, schema): (&Topic, Result<u32, String>)| {
        let kafka_name = topic.kafka_name(subname);
        TopicReport {
            component: topic.component.to_string(),
            subject: topic.subject(subname),
            created: created.contains(&kafka_name),
            kafka_name,
            schema,
        }
    };
    Ok(topics(components).zip(schemas).map(report).collect())
}

/// Creates the topics that do not exist and returns their names.
///
/// # Errors
/// When no broker answers, or one refuses.
pub async fn create_topics(
    components: &[Component],
    options: &InitialiseOptions,
    admin: &Admin,
) -> Result<Vec<String>, InitialiseError> {
    let specs: Vec<TopicSpec> = topics(components).map(|topic| topic_spec(topic, options)).collect();
    admin.create_topics(&specs).await.map_err(InitialiseError::Topics)
}

/// Registers the schemas and returns their ids, in the order of the topics.
///
/// # Errors
/// When the registry does not answer, or refuses a schema.
pub async fn register_schemas(
    components: &[Component],
    options: &InitialiseOptions,
    registry: &RegistryClient,
) -> Result<Vec<u32>, InitialiseError> {
    registered(components, options, registry).try_collect().await
}

/// What becomes of each schema, in the order of the topics.
fn registered<'a>(
    components: &'a [Component],
    options: &'a InitialiseOptions,
    registry: &'a RegistryClient,
) -> impl Stream<Item = Result<u32, InitialiseError>> + Send {
    // Futures do nothing before they are polled; a closure inside the stream would not be `Send` for every lifetime.
    let calls: Vec<_> =
        topics(components).map(|topic| register(topic, &options.topic_subname, registry)).collect();
    stream::iter(calls).buffered(options.concurrent_registrations.max(1))
}

/// Registers the schema of one topic and returns its id.
pub(crate) async fn register(
    topic: &Topic,
    subname: &str,
    registry: &RegistryClient,
) -> Result<u32, InitialiseError> {
    let subject = topic.subject(subname);
    let id = registry.register(&subject, &topic.avro_schema()).await;
    id.map_err(|error| InitialiseError::Schema { subject, error })
}

/// The topic as it should be: events keep the last record of each key, and their order matters across publishers.
pub fn topic_spec(topic: &Topic, options: &InitialiseOptions) -> TopicSpec {
    TopicSpec {
        name: topic.kafka_name(&options.topic_subname),
        partitions: topic.partitions(options.partitions).into(),
        replication: options.replication_factor,
        compact: topic.is_compacted(),
    }
}

fn topics(components: &[Component]) -> impl Iterator<Item = &Topic> {
    components.iter().flat_map(|component| &component.topics)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn events_are_compacted_and_only_telemetry_is_spread() {
        let options = InitialiseOptions {
            topic_subname: "lab".into(),
            replication_factor: 3,
            partitions: 4,
            concurrent_registrations: 1,
        };
        let event = topic_spec(&testing::heartbeat(), &options);
        assert_eq!(event.name, "lsst.lab.ATCamera.logevent_heartbeat");
        assert_eq!((event.partitions, event.replication, event.compact), (1, 3, true));
        let telemetry = topic_spec(&testing::arrays(), &options);
        assert_eq!((telemetry.partitions, telemetry.replication, telemetry.compact), (4, 3, false));
    }
}
