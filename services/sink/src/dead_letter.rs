//! Records that can never become points go to `<topic>.dlq`, whole: key, bytes, headers, and why.
//!
//! The topic is created at its first letter. A batch counts as done only when its letters are delivered, so a
//! letter that cannot be delivered holds its offsets back; it is sent again for ever, perhaps twice.

use std::collections::HashSet;
use std::time::Duration;

use efd_kafka::{
    Admin, AdminError, KafkaConfig, OutRecord, Producer, ProducerOptions, TopicPartition, TopicSpec,
    dead_letter_header, dead_letter_topic,
};
use efd_schema::SchemaRef;
use efd_service::Backoff;
use rdkafka::message::{Header, OwnedHeaders};
use tokio::sync::Mutex;

use crate::config::Config;
use crate::error::Cause;
use crate::record::Record;

/// A letter that no broker took in this time is sent again, and its failure is told.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// A record that cannot be stored.
#[derive(Debug)]
pub struct Letter<'a> {
    /// Where it came from.
    pub partition: &'a TopicPartition,
    /// The record.
    pub record: Record<'a>,
    /// Its schema, where its bytes tell.
    pub schema_id: Option<SchemaRef>,
    /// Why.
    pub cause: &'a Cause,
}

/// Where letters are left.
pub struct DeadLetters {
    kafka: KafkaConfig,
    client_id: String,
    destination: String,
    replication: i32,
    retry: (Duration, Duration),
    office: Mutex<Office>,
}

/// What is made at the first letter.
#[derive(Default)]
struct Office {
    admin: Option<Admin>,
    producer: Option<Producer>,
    topics: HashSet<String>,
}

impl DeadLetters {
    /// Connects at the first letter.
    pub fn new(config: &Config, client_id: &str, destination: &str) -> Self {
        let mut kafka = config.kafka.clone();
        let max_bytes = config.dead_letters.max_record_bytes.as_u64().to_string();
        kafka.options.entry("message_max_bytes".into()).or_insert(max_bytes);
        Self {
            kafka,
            client_id: client_id.to_owned(),
            destination: destination.to_owned(),
            replication: config.dead_letters.replication_factor,
            retry: (config.retry.min, config.retry.max),
            office: Mutex::default(),
        }
    }

    /// Returns when every letter is acknowledged.
    pub async fn deliver(&self, letters: &[Letter<'_>]) {
        if letters.is_empty() {
            return;
        }
        let mut office = self.office.lock().await;
        let mut backoff = Backoff::new(self.retry.0, self.retry.1);
        let mut is_told = false;
        while let Err(error) = self.deliver_once(&mut office, letters).await {
            if !is_told {
                tracing::error!(%error, records = letters.len(), "dead letters cannot be delivered, their offsets wait");
                is_told = true;
            }
            // The topic may be gone, the producer broken: both are looked at anew.
            *office = Office::default();
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn deliver_once(&self, office: &mut Office, letters: &[Letter<'_>]) -> Result<(), AdminError> {
        let producer = match &office.producer {
            Some(producer) => producer.clone(),
            None => {
                let options =
                    ProducerOptions { delivery_timeout: DELIVERY_TIMEOUT, ..ProducerOptions::default() };
                office.producer.insert(Producer::new(&self.kafka, &self.client_id, &options)?).clone()
            }
        };
        let mut batch = producer.batch();
        for letter in letters {
            let topic = dead_letter_topic(&letter.partition.topic);
            if !office.topics.contains(&topic) {
                self.ensure_topic(office, &topic).await?;
                tracing::warn!(
                    topic = &*letter.partition.topic,
                    offset = letter.record.offset,
                    reason = letter.cause.detail,
                    "first record of this topic that cannot be stored"
                );
            }
            let record = OutRecord {
                topic: &topic,
                key: letter.record.key,
                payload: letter.record.payload,
                headers: Some(self.headers(letter)),
                timestamp_ms: letter.record.timestamp_ms,
                ..OutRecord::default()
            };
            batch.send(record).await?;
        }
        Ok(batch.delivered().await?)
    }

    async fn ensure_topic(&self, office: &mut Office, topic: &str) -> Result<(), AdminError> {
        let admin = match office.admin.take() {
            Some(admin) => admin,
            None => Admin::new(&self.kafka, &self.client_id)?,
        };
        // Looked for before it is created: who may produce to a topic may not be allowed to create one.
        let exists = admin.topics().await?.iter().any(|found| found.name == topic);
        if !exists {
            let spec = TopicSpec {
                name: topic.to_owned(),
                partitions: 1,
                replication: self.replication,
                compact: false,
            };
            admin.create_topics(&[spec]).await?;
        }
        office.topics.insert(topic.to_owned());
        office.admin = Some(admin);
        Ok(())
    }

    /// The headers of the record, and behind them ours.
    fn headers(&self, letter: &Letter<'_>) -> OwnedHeaders {
        let mut headers = OwnedHeaders::new_with_capacity(letter.record.headers.len() + 6);
        for (key, value) in &letter.record.headers {
            headers = headers.insert(Header { key, value: *value });
        }
        let ours = [
            (dead_letter_header::SOURCE_TOPIC, Some(letter.partition.topic.to_string())),
            (dead_letter_header::SOURCE_PARTITION, Some(letter.partition.partition.to_string())),
            (dead_letter_header::SOURCE_OFFSET, Some(letter.record.offset.to_string())),
            ("efd.schema_id", letter.schema_id.map(|id| id.to_string())),
            ("efd.destination", Some(self.destination.clone())),
            (dead_letter_header::REASON, Some(letter.cause.detail.clone())),
        ];
        for (key, value) in &ours {
            if let Some(value) = value {
                headers = headers.insert(Header { key, value: Some(value) });
            }
        }
        headers
    }
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetters").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}
