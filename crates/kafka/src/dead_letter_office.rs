//! Sends dead letters to `<topic>.dlq` until Kafka has every one.
//!
//! A topic is created at its first letter. A letter that cannot be delivered is sent again for ever, so that its offset is not
//! committed before. One that Kafka refuses for its length is cut, and a header says so: the whole record stays in its own
//! topic for as long as Kafka keeps it.

use std::collections::HashSet;
use std::time::Duration;

use efd_service::Backoff;
use rdkafka::error::{KafkaError, KafkaResult};
use tokio::sync::{Mutex, oneshot};

use crate::{
    Admin, AdminError, Batch, DeadLetter, ErrorKind, KafkaConfig, OutRecord, Placed, Producer,
    ProducerOptions, TopicSpec, dead_letter_topic, error_kind,
};

/// A letter that no broker took in this time is sent again, and its failure is told.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that are left of a record at first, when Kafka takes no longer letter.
const LONGEST_CUT: usize = 64 * 1024;

/// Where it will be told what became of a letter.
type Outcome = oneshot::Receiver<KafkaResult<Placed>>;

/// A letter on its way.
struct Posted<'a> {
    letter: &'a DeadLetter<'a>,
    /// Bytes of its record that are sent, at most, where Kafka took no longer letter.
    longest: Option<usize>,
}

/// Where dead letters are left; connects at the first.
#[derive(Debug)]
pub struct DeadLetterOffice {
    kafka: KafkaConfig,
    client_id: String,
    replication: i32,
    retry: (Duration, Duration),
    tools: Mutex<Tools>,
}

/// What is made at the first letter, and anew after a failure.
#[derive(Debug, Default)]
struct Tools {
    admin: Option<Admin>,
    producer: Option<Producer>,
    /// Topics that are known to exist.
    topics: HashSet<String>,
}

impl DeadLetterOffice {
    /// Topics get this replication factor; a failure is tried again after the first of `retry`, at last after the second.
    pub fn new(kafka: KafkaConfig, client_id: &str, replication: i32, retry: (Duration, Duration)) -> Self {
        Self { kafka, client_id: client_id.to_owned(), replication, retry, tools: Mutex::default() }
    }

    /// Returns when every letter is acknowledged.
    pub async fn deliver(&self, letters: &[DeadLetter<'_>]) {
        if letters.is_empty() {
            return;
        }
        let mut tools = self.tools.lock().await;
        let mut backoff = Backoff::new(self.retry.0, self.retry.1);
        let mut is_told = false;
        let mut waiting: Vec<Posted<'_>> = letters.iter().map(Posted::whole).collect();
        while let Err(error) = self.deliver_once(&mut tools, &mut waiting).await {
            if !is_told {
                tracing::error!(%error, records = waiting.len(), "dead letters cannot be delivered, their offsets wait");
                is_told = true;
            }
            // A topic may be gone, the producer broken: both are looked at anew.
            *tools = Tools::default();
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// Sends what waits until nothing does; what is acknowledged waits no more, and is not sent again after an error.
    async fn deliver_once<'a>(
        &self,
        tools: &mut Tools,
        waiting: &mut Vec<Posted<'a>>,
    ) -> Result<(), AdminError> {
        for posted in waiting.iter() {
            self.ensure_topic(tools, posted.letter).await?;
        }
        let producer = match &tools.producer {
            Some(producer) => producer.clone(),
            None => tools.producer.insert(self.producer()?).clone(),
        };
        while !waiting.is_empty() {
            let mut batch = producer.batch();
            let mut outcomes = Vec::with_capacity(waiting.len());
            for posted in waiting.iter() {
                outcomes.push(posted.send(&mut batch).await);
            }
            // Every letter says what became of it.
            let _ = batch.delivered().await;
            let mut failure = None;
            for (posted, outcome) in std::mem::take(waiting).into_iter().zip(outcomes) {
                let outcome =
                    outcome.and_then(|mut outcome| outcome.try_recv().unwrap_or(Err(KafkaError::Canceled)));
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

    fn producer(&self) -> KafkaResult<Producer> {
        let options = ProducerOptions { delivery_timeout: DELIVERY_TIMEOUT, ..ProducerOptions::default() };
        Producer::new(&self.kafka, &self.client_id, &options)
    }

    async fn ensure_topic(&self, tools: &mut Tools, letter: &DeadLetter<'_>) -> Result<(), AdminError> {
        let name = dead_letter_topic(&letter.partition.topic);
        if tools.topics.contains(&name) {
            return Ok(());
        }
        let admin = match tools.admin.take() {
            Some(admin) => admin,
            None => Admin::new(&self.kafka, &self.client_id)?,
        };
        let admin = tools.admin.insert(admin);
        // Looked for before it is created: who may produce to a topic may not be allowed to create one.
        if !admin.topics().await?.iter().any(|found| found.name == name) {
            let spec = TopicSpec {
                name: name.clone(),
                partitions: 1,
                replication: self.replication,
                compact: false,
            };
            admin.create_topics(&[spec]).await?;
        }
        tracing::warn!(
            topic = &*letter.partition.topic,
            offset = letter.offset,
            reason = letter.reason,
            "first record of this topic that cannot be used"
        );
        tools.topics.insert(name);
        Ok(())
    }
}

impl<'a> Posted<'a> {
    fn whole(letter: &'a DeadLetter<'a>) -> Self {
        Self { letter, longest: None }
    }

    fn can_be_shorter(&self) -> bool {
        self.longest != Some(0)
    }

    /// Cut, or cut once more.
    fn shorter(self) -> Self {
        let longest = self.longest.map_or(LONGEST_CUT, |longest| longest / 8);
        tracing::warn!(
            topic = &*self.letter.partition.topic,
            offset = self.letter.offset,
            bytes = longest,
            "kafka takes no dead letter of this length, only the beginning of its record is sent"
        );
        Self { longest: Some(longest), ..self }
    }

    /// Hands it to the producer; gives where its outcome will be told.
    async fn send(&self, batch: &mut Batch) -> KafkaResult<Outcome> {
        let letter = self.letter;
        let (key, payload, headers) = match self.longest {
            None => (letter.key, letter.payload, letter.headers()),
            Some(longest) => {
                let whole = letter.payload.unwrap_or_default();
                (None, whole.get(..longest.min(whole.len())), letter.headers_of_cut())
            }
        };
        let topic = dead_letter_topic(&letter.partition.topic);
        let record = OutRecord {
            topic: &topic,
            key,
            payload,
            headers: Some(headers),
            timestamp_ms: letter.timestamp_ms,
            ..OutRecord::default()
        };
        let (sender, outcome) = oneshot::channel();
        let report = move |placed| {
            // Nobody waits any more when the receiver is gone.
            let _ = sender.send(placed);
        };
        batch.send_with_report(record, report).await?;
        Ok(outcome)
    }
}

#[cfg(test)]
#[path = "dead_letter_office_tests.rs"]
mod tests;
