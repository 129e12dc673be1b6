//! Reads lines on the poll thread and gathers them into batches.
//!
//! When the writer is behind, a full batch waits here and all partitions are paused; polling goes on, so that the consumer
//! stays in its group.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use efd_kafka::{ErrorKind, PollHandler, error_kind};
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, OwnedMessage};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::commits::Rebalances;
use super::config::TextConfig;

/// Memory that a line takes besides its bytes, roughly.
const LINE_OVERHEAD: usize = 128;
/// The same error is told once in this time.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Lines in the order of reading.
#[derive(Debug, Default)]
pub struct LineBatch {
    /// The lines, as they are in Kafka.
    pub lines: Vec<OwnedMessage>,
    bytes: usize,
}

impl LineBatch {
    /// Adds a line.
    pub fn push(&mut self, line: OwnedMessage) {
        let bytes = line.payload().map_or(0, <[u8]>::len) + line.key().map_or(0, <[u8]>::len);
        self.bytes += bytes + LINE_OVERHEAD;
        self.lines.push(line);
    }
}

/// The handler on the poll thread.
#[derive(Debug)]
pub struct LineReader {
    batch: LineBatch,
    /// When its first line was read.
    since: Instant,
    max_lines: usize,
    max_bytes: usize,
    max_age: Duration,
    filled: mpsc::Sender<LineBatch>,
    is_paused: bool,
    told: Option<(String, Instant)>,
    failure: Option<KafkaError>,
}

impl LineReader {
    /// Hands batches to `filled`.
    pub fn new(config: &TextConfig, filled: mpsc::Sender<LineBatch>) -> Self {
        Self {
            batch: LineBatch::default(),
            since: Instant::now(),
            max_lines: config.batch_lines,
            max_bytes: usize::try_from(config.batch_bytes.as_u64()).unwrap_or(usize::MAX),
            max_age: config.batch_age,
            filled,
            is_paused: false,
            told: None,
            failure: None,
        }
    }

    /// Why the thread cannot go on, if it cannot.
    pub fn failure(self) -> Option<KafkaError> {
        self.failure
    }

    fn is_full(&self) -> bool {
        self.batch.lines.len() >= self.max_lines || self.batch.bytes >= self.max_bytes
    }

    fn hand_over(&mut self, consumer: &BaseConsumer<Rebalances>) -> ControlFlow<()> {
        match self.filled.try_send(std::mem::take(&mut self.batch)) {
            Ok(()) if self.is_paused => {
                self.is_paused = false;
                self.tell(consumer.assignment().and_then(|assigned| consumer.resume(&assigned)));
            }
            Ok(()) => {}
            Err(TrySendError::Full(batch)) => self.batch = batch,
            Err(TrySendError::Closed(_)) => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// Also pauses partitions that were assigned meanwhile.
    fn pause(&mut self, consumer: &BaseConsumer<Rebalances>) {
        self.is_paused = true;
        self.tell(consumer.assignment().and_then(|assigned| consumer.pause(&assigned)));
    }

    fn tell(&mut self, result: Result<(), KafkaError>) {
        let Err(error) = result else { return };
        let reason = error.to_string();
        let is_told =
            self.told.as_ref().is_some_and(|(told, at)| *told == reason && at.elapsed() < TELL_AGAIN);
        if !is_told {
            tracing::warn!(error = reason, "text records cannot be read, trying again");
            self.told = Some((reason, Instant::now()));
        }
    }
}

impl PollHandler for LineReader {
    type Context = Rebalances;

    fn record(
        &mut self,
        consumer: &BaseConsumer<Rebalances>,
        record: &BorrowedMessage<'_>,
    ) -> ControlFlow<()> {
        if self.batch.lines.is_empty() {
            self.since = Instant::now();
        }
        self.batch.push(record.detach());
        if !self.is_full() {
            return ControlFlow::Continue(());
        }
        let flow = self.hand_over(consumer);
        if self.is_full() {
            self.pause(consumer);
        }
        flow
    }

    fn tick(&mut self, consumer: &BaseConsumer<Rebalances>) -> ControlFlow<()> {
        // The writer has ended, and says why.
        if self.filled.is_closed() {
            return ControlFlow::Break(());
        }
        let is_due = self.is_full() || self.since.elapsed() >= self.max_age;
        if is_due && !self.batch.lines.is_empty() {
            return self.hand_over(consumer);
        }
        ControlFlow::Continue(())
    }

    fn error(&mut self, error: &KafkaError) -> ControlFlow<()> {
        if error_kind(error) == ErrorKind::Fatal {
            self.failure = Some(error.clone());
            return ControlFlow::Break(());
        }
        self.tell(Err(error.clone()));
        ControlFlow::Continue(())
    }
}
