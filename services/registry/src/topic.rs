//! The topic of the schemas: made if absent, refused if it would lose schemas.

use efd_kafka::{Admin, KafkaConfig, QuietContext, TopicSpec};
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::config::SchemasConfig;

/// Why the topic cannot be used.
#[derive(Debug, Error)]
pub enum TopicError {
    /// Kafka did not answer, or not yet: try again.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
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

/// Makes the topic if it is absent, and checks that it keeps every schema, in order.
///
/// # Errors
/// When Kafka cannot be asked, or the topic is not fit.
pub async fn ensure(admin: &Admin, kafka: &KafkaConfig, config: &SchemasConfig) -> Result<(), TopicError> {
    // Both at once: each connects anew, and start-up waits for them.
    let (topics, policy) = tokio::join!(admin.topics(), cleanup_policy(kafka, config));
    let policy =
        match topics?.iter().find(|topic| topic.name == config.topic).map(|topic| topic.partitions.len()) {
            Some(1) => policy?,
            Some(partitions) => {
                return Err(TopicError::Partitioned { topic: config.topic.clone(), partitions });
            }
            None => {
                create(admin, config).await?;
                cleanup_policy(kafka, config).await?
            }
        };
    if policy != "compact" {
        return Err(TopicError::NotCompacted { topic: config.topic.clone(), policy });
    }
    Ok(())
}

async fn create(admin: &Admin, config: &SchemasConfig) -> Result<(), KafkaError> {
    let brokers = i32::try_from(admin.brokers().await?).unwrap_or(i32::MAX);
    let replication = config.replication.min(brokers.max(1));
    let spec = TopicSpec { name: config.topic.clone(), partitions: 1, replication, compact: true };
    for topic in admin.create_topics(&[spec]).await? {
        tracing::info!(topic, replication, "topic created");
    }
    Ok(())
}

async fn cleanup_policy(kafka: &KafkaConfig, config: &SchemasConfig) -> Result<String, KafkaError> {
    let client: AdminClient<QuietContext> =
        kafka.client(&config.transactional_id).create_with_context(QuietContext)?;
    let options = AdminOptions::new().request_timeout(Some(config.write_timeout));
    let answers = client.describe_configs([&ResourceSpecifier::Topic(&config.topic)], &options).await?;
    let mut policy = String::new();
    for answer in answers {
        let resource = answer.map_err(KafkaError::AdminOp)?;
        policy = resource.get("cleanup.policy").and_then(|entry| entry.value.clone()).unwrap_or_default();
    }
    Ok(policy)
}
