//! Lines that can never become records go to `<topic>.dlq`, whole, with the reason in a header.
//!
//! The topic is created at its first letter. A batch counts as done only when its letters are delivered, so a letter that
//! cannot be delivered holds its offsets back; it is sent again for ever, perhaps twice.

use std::collections::HashSet;

use efd_kafka::{
    Admin, AdminError, DeadLetterOrigin, KafkaConfig, OutRecord, Producer, TopicPartition, TopicSpec,
    dead_letter_headers, dead_letter_topic,
};
use efd_service::Backoff;
use rdkafka::Message as _;
use rdkafka::error::KafkaResult;
use rdkafka::message::OwnedMessage;

use crate::config::RetryConfig;

/// A line and why it cannot be used.
#[derive(Debug)]
pub struct Letter<'a> {
    /// The line, as it is in Kafka.
    pub line: &'a OwnedMessage,
    /// For people.
    pub reason: String,
}

/// Where letters are left.
#[derive(Debug)]
pub struct DeadLetters {
    admin: Admin,
    producer: Producer,
    replication: i32,
    retry: RetryConfig,
    /// Topics that are known to exist.
    topics: HashSet<String>,
}

impl DeadLetters {
    /// Connects lazily; sends with `producer`.
    ///
    /// # Errors
    /// When a setting is not one the Kafka client takes.
    pub fn new(
        kafka: &KafkaConfig,
        producer: Producer,
        replication: i32,
        retry: RetryConfig,
    ) -> KafkaResult<Self> {
        let admin = Admin::new(kafka, "efd-ingest-text")?;
        Ok(Self { admin, producer, replication, retry, topics: HashSet::new() })
    }

    /// Returns when every letter is acknowledged.
    pub async fn deliver(&mut self, letters: &[Letter<'_>]) {
        let mut backoff = Backoff::new(self.retry.min, self.retry.max);
        let mut is_told = false;
        while let Err(error) = self.deliver_once(letters).await {
            if !is_told {
                tracing::error!(%error, records = letters.len(), "dead letters cannot be delivered, their offsets wait");
                is_told = true;
            }
            // It may have been deleted.
            self.topics.clear();
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn deliver_once(&mut self, letters: &[Letter<'_>]) -> Result<(), AdminError> {
        let mut batch = self.producer.batch();
        for letter in letters {
            let topic = dead_letter_topic(letter.line.topic());
            self.ensure_topic(&topic).await?;
            let origin = DeadLetterOrigin {
                partition: &TopicPartition {
                    topic: letter.line.topic().into(),
                    partition: letter.line.partition(),
                },
                offset: letter.line.offset(),
                reason: &letter.reason,
            };
            let record = OutRecord {
                topic: &topic,
                key: letter.line.key(),
                payload: letter.line.payload(),
                headers: Some(dead_letter_headers(letter.line.headers(), &origin)),
                timestamp_ms: letter.line.timestamp().to_millis(),
                ..OutRecord::default()
            };
            batch.send(record).await?;
        }
        Ok(batch.delivered().await?)
    }

    async fn ensure_topic(&mut self, topic: &str) -> Result<(), AdminError> {
        if self.topics.contains(topic) {
            return Ok(());
        }
        // Looked for before it is created: who may produce to a topic may not be allowed to create one.
        let exists = self.admin.topics().await?.iter().any(|found| found.name == topic);
        if !exists {
            let spec = TopicSpec {
                name: topic.to_owned(),
                partitions: 1,
                replication: self.replication,
                compact: false,
            };
            self.admin.create_topics(&[spec]).await?;
        }
        self.topics.insert(topic.to_owned());
        Ok(())
    }
}
