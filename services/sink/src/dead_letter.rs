//! Records that can never become points go to `<topic>.dlq`, whole: key, bytes, headers, and why.
//!
//! A batch counts as done only when its letters are delivered, so a letter that cannot be delivered holds its offsets back.

use efd_kafka::{DeadLetter, DeadLetterOffice, TopicPartition};
use efd_schema::SchemaRef;
use rdkafka::message::{Header, OwnedHeaders};

use crate::config::Config;
use crate::error::Cause;
use crate::record::Record;

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

/// Where the letters of one destination are left.
#[derive(Debug)]
pub struct DeadLetters {
    office: DeadLetterOffice,
    destination: String,
}

impl DeadLetters {
    /// Connects at the first letter.
    pub fn new(config: &Config, client_id: &str, destination: &str) -> Self {
        let mut kafka = config.kafka.clone();
        let max_bytes = config.dead_letters.max_record_bytes.as_u64().to_string();
        kafka.options.entry("message_max_bytes".into()).or_insert(max_bytes);
        let (replication, retry) = (config.dead_letters.replication_factor, config.retry);
        let office = DeadLetterOffice::new(kafka, client_id, replication, (retry.min, retry.max));
        Self { office, destination: destination.to_owned() }
    }

    /// Returns when every letter is acknowledged.
    pub async fn deliver(&self, letters: &[Letter<'_>]) {
        let letters: Vec<DeadLetter<'_>> = letters.iter().map(|letter| self.dead(letter)).collect();
        self.office.deliver(&letters).await;
    }

    fn dead<'a>(&self, letter: &Letter<'a>) -> DeadLetter<'a> {
        let Letter { partition, record, schema_id, cause } = letter;
        let mut own = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            own = own.insert(Header { key, value: *value });
        }
        let mut more = vec![("efd.destination", self.destination.clone())];
        more.extend(schema_id.map(|id| ("efd.schema_id", id.to_string())));
        DeadLetter {
            partition: (*partition).clone(),
            offset: record.offset,
            reason: cause.detail.clone(),
            key: record.key,
            payload: record.payload,
            own,
            more,
            timestamp_ms: record.timestamp_ms,
        }
    }
}
