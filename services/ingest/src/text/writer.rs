//! Batches of lines to Kafka records; offsets commit when everything of a batch is delivered or in a dead-letter topic.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use efd_kafka::{
    Commits, DeadLetter, DeadLetterOffice, ErrorKind, OutRecord, Producer, TopicPartition, error_kind,
};
use efd_service::Backoff;
use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::OwnedMessage;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::reader::{Filled, Rebalances};
use super::translate::{Encoded, Translator};
use crate::clock::Clock;
use crate::config::RetryConfig;
use crate::error::IngestError;
use crate::metrics::{Metrics, RejectReason};
use crate::source::Source;

/// A source topic's bad lines are told once in this time.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Why the writer cannot go on.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The Kafka client can never go on; whoever supervises the service starts a new one.
    #[error("kafka producer of the text source cannot go on: {0}")]
    Producer(KafkaError),
    /// No TAI.
    #[error(transparent)]
    Clock(#[from] IngestError),
}

/// What the writer works with.
#[derive(Debug)]
pub struct Parts {
    /// Makes records of lines.
    pub translator: Arc<Translator>,
    /// Gives the time of the records.
    pub clock: Clock,
    /// Takes the records.
    pub producer: Producer,
    /// Take the lines that cannot be used.
    pub letters: DeadLetterOffice,
    /// Instruments.
    pub metrics: Metrics,
    /// Components by the source topics that belong to them.
    pub components: HashMap<String, usize>,
}

/// The stage behind the poll thread.
pub struct Writer {
    parts: Parts,
    consumer: Arc<BaseConsumer<Rebalances>>,
    commits: Arc<Commits>,
    commit_interval: Duration,
    backoff: Backoff,
    trouble: Option<String>,
    told: HashMap<String, Instant>,
}

/// A record of a batch: where it goes, its bytes, its line.
struct Record<'a> {
    target: Encoded<'a>,
    bytes: Range<usize>,
    line: usize,
}

impl Writer {
    /// Commits on `consumer`, which `commits` belong to.
    pub fn new(
        parts: Parts,
        consumer: Arc<BaseConsumer<Rebalances>>,
        commits: Arc<Commits>,
        (retry, commit_interval): (RetryConfig, Duration),
    ) -> Self {
        Self {
            parts,
            consumer,
            commits,
            commit_interval,
            backoff: Backoff::new(retry.min, retry.max),
            trouble: None,
            told: HashMap::new(),
        }
    }

    /// Writes batches until no more come.
    ///
    /// # Errors
    /// When it cannot go on; what is not committed is read again after a restart.
    pub async fn run(&mut self, mut batches: mpsc::Receiver<Filled>) -> Result<(), WriteError> {
        let mut commit_tick = tokio::time::interval(self.commit_interval);
        commit_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                // Also without new lines, since a commit that failed is to be repeated.
                _ = commit_tick.tick() => self.commit().await,
                filled = batches.recv() => match filled {
                    Some(filled) => {
                        self.parts.metrics.text_queued(batches.len());
                        self.write(&filled.lines).await?;
                        self.commits.close(filled.batch);
                    }
                    None => return Ok(()),
                }
            }
        }
    }

    async fn commit(&self) {
        self.commits.keep(self.commits.ready());
        // It says by itself when it fails, and the next one comes soon.
        let _ = self.commits.commit_on_thread(self.consumer.clone()).await;
    }

    async fn write(&mut self, lines: &[OwnedMessage]) -> Result<(), WriteError> {
        let since = Instant::now();
        let translator = self.parts.translator.clone();
        let now = self.parts.clock.now()?;
        let mut bytes = Vec::new();
        let mut records = Vec::with_capacity(lines.len());
        let mut letters = Vec::new();
        for (line, message) in lines.iter().enumerate() {
            self.count_taken(message);
            let start = bytes.len();
            match translator.translate(message.payload().unwrap_or_default(), now, &mut bytes) {
                Ok(target) => records.push(Record { target, bytes: start..bytes.len(), line }),
                Err(reject) => {
                    self.reject(message, reject.reason, &reject.detail);
                    letters.push(letter(message, reject.detail));
                }
            }
        }
        for (line, error) in self.deliver(&records, &bytes).await? {
            let Some(message) = lines.get(line) else { continue };
            let reason = format!("kafka refuses the record: {error}");
            self.reject(message, RejectReason::Kafka, &reason);
            letters.push(letter(message, reason));
        }
        if !records.is_empty() {
            self.parts.metrics.batch_delivered(Source::Text, since.elapsed());
        }
        self.parts.letters.deliver(&letters).await;
        Ok(())
    }

    /// Sends the records until each is acknowledged or refused for good; gives the lines of those.
    async fn deliver(
        &mut self,
        records: &[Record<'_>],
        bytes: &[u8],
    ) -> Result<Vec<(usize, KafkaError)>, WriteError> {
        while let Err(error) = self.attempt(records, bytes).await {
            match error_kind(&error) {
                ErrorKind::Fatal => return Err(WriteError::Producer(error)),
                ErrorKind::Transient => self.wait(&error).await,
                // Kafka does not say which record it refused.
                ErrorKind::Record => return self.deliver_one_by_one(records, bytes).await,
            }
        }
        self.delivered(records);
        Ok(Vec::new())
    }

    async fn deliver_one_by_one(
        &mut self,
        records: &[Record<'_>],
        bytes: &[u8],
    ) -> Result<Vec<(usize, KafkaError)>, WriteError> {
        let mut refused = Vec::new();
        for record in records {
            let one = std::slice::from_ref(record);
            let refusal = loop {
                let Err(error) = self.attempt(one, bytes).await else { break None };
                match error_kind(&error) {
                    ErrorKind::Fatal => return Err(WriteError::Producer(error)),
                    ErrorKind::Transient => self.wait(&error).await,
                    ErrorKind::Record => break Some(error),
                }
            };
            match refusal {
                Some(error) => refused.push((record.line, error)),
                None => self.delivered(one),
            }
        }
        Ok(refused)
    }

    async fn attempt(&self, records: &[Record<'_>], bytes: &[u8]) -> KafkaResult<()> {
        let mut batch = self.parts.producer.batch();
        let mut refused = None;
        for record in records {
            let out = OutRecord {
                topic: record.target.topic,
                key: record.target.key.as_ref().map(String::as_bytes),
                payload: bytes.get(record.bytes.clone()),
                ..OutRecord::default()
            };
            if let Err(error) = batch.send(out).await {
                refused = Some(error);
                break;
            }
        }
        let delivered = batch.delivered().await;
        refused.map_or(delivered, Err)
    }

    fn delivered(&mut self, records: &[Record<'_>]) {
        self.backoff.reset();
        if let Some(trouble) = self.trouble.take() {
            tracing::info!(trouble, "kafka acknowledges text records again");
        }
        for record in records {
            self.parts.metrics.delivered(Source::Text, record.target.component_id, 1);
        }
    }

    async fn wait(&mut self, error: &KafkaError) {
        let reason = error.to_string();
        if self.trouble.as_ref() != Some(&reason) {
            tracing::warn!(error = reason, "text records are not delivered, trying again until they are");
            self.trouble = Some(reason);
        }
        tokio::time::sleep(self.backoff.next()).await;
    }

    fn count_taken(&self, line: &OwnedMessage) {
        if let Some(component_id) = self.parts.components.get(line.topic()) {
            self.parts.metrics.taken(Source::Text, *component_id, 1);
        }
    }

    fn reject(&mut self, line: &OwnedMessage, reason: RejectReason, detail: &str) {
        self.parts.metrics.rejected(Source::Text, reason);
        let topic = line.topic();
        if self.told.get(topic).is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
            let offset = line.offset();
            tracing::warn!(
                topic,
                offset,
                reason = detail,
                "text record cannot be used, it goes to the dead-letter topic"
            );
            self.told.insert(topic.to_owned(), Instant::now());
        }
    }
}

/// A line as it is in Kafka, and why it cannot be used.
fn letter(line: &OwnedMessage, reason: String) -> DeadLetter<'_> {
    DeadLetter {
        partition: TopicPartition { topic: line.topic().into(), partition: line.partition() },
        offset: line.offset(),
        reason,
        key: line.key(),
        payload: line.payload(),
        own: line.headers().cloned().unwrap_or_default(),
        more: Vec::new(),
        timestamp_ms: line.timestamp().to_millis(),
    }
}
