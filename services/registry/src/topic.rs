//! The topic of the schemas: made if absent, refused if it would lose schemas.

use efd_kafka::{Admin, AdminError, TopicSpec};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use thiserror::Error;

use crate::config::SchemasConfig;

/// Why the topic cannot be used.
#[derive(Debug, Error)]
pub enum TopicError {
    /// Kafka did not answer, or not yet: try again.
    #[error("Kafka: {0}")]
    Kafka(#[from] AdminError),
    /// Records would be deleted by age or size.
    #[error("topic {topic} has cleanup.policy={policy} and would lose schemas; set it to compact")]
    NotCompacted {
        /// Topic.
        topic: String,
        /// Its policy.
        policy: String,
    },
    /// The order of records would be lost.
    #[error("topic {topic} has {partitions} partitions; the schemas need a topic with one")]
    Partitioned {
        /// Topic.
        topic: String,
        /// How many.
        partitions: usize,
    },
}

/// Makes the topic if it is absent, and says whether it did; one that is there keeps the order of records.
///
/// # Errors
/// When Kafka cannot be asked, or the topic is not fit.
pub async fn ensure(admin: &Admin, config: &SchemasConfig) -> Result<bool, TopicError> {
    match admin.topic(&config.topic).await?.map(|topic| topic.partitions.len()) {
        Some(1) => Ok(false),
        Some(partitions) => Err(TopicError::Partitioned { topic: config.topic.clone(), partitions }),
        None => Ok(create(admin, config).await?),
    }
}

/// Whether the topic keeps every schema.
///
/// # Errors
/// When Kafka cannot be asked, or the topic is not fit.
pub async fn check_compacted(admin: &Admin, config: &SchemasConfig) -> Result<(), TopicError> {
    let settings = admin.topic_settings(std::slice::from_ref(&config.topic), "cleanup.policy").await?;
    let unknown = || KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopicOrPartition);
    let policy = settings.get(&config.topic).cloned().ok_or_else(unknown).map_err(AdminError::from)?;
    if policy != "compact" {
        return Err(TopicError::NotCompacted { topic: config.topic.clone(), policy });
    }
    Ok(())
}

/// Whether it was made just now; it may be that another registry was faster.
async fn create(admin: &Admin, config: &SchemasConfig) -> Result<bool, AdminError> {
    let brokers = i32::try_from(admin.brokers().await?).unwrap_or(i32::MAX);
    let replication = config.replication.min(brokers.max(1));
    let spec = TopicSpec { name: config.topic.clone(), partitions: 1, replication, compact: true };
    let created = admin.create_topics(&[spec]).await?;
    for topic in &created {
        tracing::info!(topic, replication, "topic created");
    }
    Ok(!created.is_empty())
}
