//! Lines that can never become records go to `<topic>.dlq`, whole, with the reason in a header.
//!
//! The topic is created at its first letter. A batch counts as done only when its letters are delivered, so a letter that
//! cannot be delivered holds its offsets back; it is sent again for ever, perhaps twice. One that Kafka refuses for its
//! length is cut, and a header says so: the whole line stays in its own topic for as long as Kafka keeps it.

use std::collections::HashSet;

use efd_kafka::{
    Admin, AdminError, Batch, DeadLetterOrigin, ErrorKind, KafkaConfig, OutRecord, Placed, Producer,
    TopicPartition, TopicSpec, dead_letter_header, dead_letter_headers, dead_letter_topic, error_kind,
};
use efd_service::Backoff;
use rdkafka::Message as _;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
use tokio::sync::oneshot;

use crate::config::RetryConfig;

/// Bytes that are left of a line at first, when Kafka takes no longer letter.
const LONGEST_CUT: usize = 64 * 1024;

/// Where it will be told what became of a letter.
type Told = oneshot::Receiver<KafkaResult<Placed>>;

/// A line and why it cannot be used.
#[derive(Debug)]
pub struct Letter<'a> {
    /// The line, as it is in Kafka.
    pub line: &'a OwnedMessage,
    /// For people.
    pub reason: String,
}

/// A letter on its way.
struct Posted<'a> {
    letter: &'a Letter<'a>,
    /// Bytes of its line that are sent, at most, where Kafka took no longer letter.
    longest: Option<usize>,
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
        let mut waiting: Vec<Posted<'_>> = letters.iter().map(Posted::whole).collect();
        while let Err(error) = self.deliver_once(&mut waiting).await {
            if !is_told {
                tracing::error!(%error, records = waiting.len(), "dead letters cannot be delivered, their offsets wait");
                is_told = true;
            }
            // It may have been deleted.
            self.topics.clear();
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// Sends what waits until nothing does; what is acknowledged waits no more, and is not sent again after an error.
    async fn deliver_once<'a>(&mut self, waiting: &mut Vec<Posted<'a>>) -> Result<(), AdminError> {
        for posted in waiting.iter() {
            self.ensure_topic(&dead_letter_topic(posted.letter.line.topic())).await?;
        }
        while !waiting.is_empty() {
            let mut batch = self.producer.batch();
            let mut told = Vec::with_capacity(waiting.len());
            for posted in waiting.iter() {
                told.push(post(&mut batch, posted).await);
            }
            // Every letter says what became of it.
            let _ = batch.delivered().await;
            let mut failure = None;
            let posted = std::mem::take(waiting).into_iter().zip(told);
            for (posted, told) in posted {
                let outcome = told.and_then(|mut told| told.try_recv().unwrap_or(Err(KafkaError::Canceled)));
                match outcome {
                    Ok(_) => {}
                    Err(error) if error_kind(&error) == ErrorKind::Record && posted.can_be_shorter() => {
                        waiting.push(posted.shorter());
                    }
                    Err(error) => {
                        failure = Some(error);
                        waiting.push(posted);
                    }
                }
            }
            if let Some(error) = failure {
                return Err(error.into());
            }
        }
        Ok(())
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

impl<'a> Posted<'a> {
    fn whole(letter: &'a Letter<'a>) -> Self {
        Self { letter, longest: None }
    }

    fn can_be_shorter(&self) -> bool {
        self.longest != Some(0)
    }

    /// Cut, or cut once more.
    fn shorter(self) -> Self {
        let longest = self.longest.map_or(LONGEST_CUT, |longest| longest / 8);
        tracing::warn!(
            topic = self.letter.line.topic(),
            offset = self.letter.line.offset(),
            bytes = longest,
            "kafka takes no dead letter of this length, only the beginning of its line is sent"
        );
        Self { longest: Some(longest), ..self }
    }
}

/// Hands one letter to the producer; gives where its outcome will be told.
async fn post(batch: &mut Batch, posted: &Posted<'_>) -> KafkaResult<Told> {
    let Posted { letter, longest } = posted;
    let line = letter.line;
    let partition = TopicPartition { topic: line.topic().into(), partition: line.partition() };
    let origin = DeadLetterOrigin { partition: &partition, offset: line.offset(), reason: &letter.reason };
    let (key, payload, headers) = match *longest {
        None => (line.key(), line.payload(), dead_letter_headers(line.headers(), &origin)),
        Some(longest) => {
            let whole = line.payload().unwrap_or_default();
            let bytes = whole.len().to_string();
            let headers = dead_letter_headers(None::<&OwnedHeaders>, &origin)
                .insert(Header { key: dead_letter_header::CUT, value: Some(&bytes) });
            (None, whole.get(..longest.min(whole.len())), headers)
        }
    };
    let topic = dead_letter_topic(line.topic());
    let record = OutRecord {
        topic: &topic,
        key,
        payload,
        headers: Some(headers),
        timestamp_ms: line.timestamp().to_millis(),
        ..OutRecord::default()
    };
    let (sender, told) = oneshot::channel();
    let report = move |outcome| {
        // Nobody waits any more when the receiver is gone.
        let _ = sender.send(outcome);
    };
    batch.send_with_report(record, report).await?;
    Ok(told)
}

#[cfg(test)]
#[path = "dead_letter_tests.rs"]
mod tests;
