//! Reads lines on the poll thread and gathers them into batches.
//!
//! When the writer is behind, a full batch waits here and all partitions are paused; polling goes on, so that the consumer
//! stays in its group. Lines of a partition that goes to another member are forgotten where they wait here: it reads them again.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use efd_kafka::{BatchId, Commits, ErrorKind, Pauses, PollHandler, TopicPartition, error_kind};
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, OwnedMessage};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::config::TextConfig;
use crate::metrics::Metrics;

/// Memory that a line takes besides its bytes, roughly.
const LINE_OVERHEAD: usize = 128;
/// The same error is told once in this time.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// The context of the consumer.
pub type Rebalances = efd_kafka::Rebalances<()>;

/// Lines in the order of reading.
#[derive(Debug, Default)]
pub struct LineBatch {
    lines: Vec<OwnedMessage>,
    bytes: usize,
}

/// Lines to be written, and the batch that their offsets are committed with.
#[derive(Debug)]
pub struct Filled {
    /// The lines, as they are in Kafka.
    pub lines: Vec<OwnedMessage>,
    /// Closed when every line is delivered, or in a dead-letter topic.
    pub batch: BatchId,
}

impl LineBatch {
    /// Adds a line.
    pub fn push(&mut self, line: OwnedMessage) {
        self.bytes += bytes_of(&line);
        self.lines.push(line);
    }

    /// Leaves out the lines of some partitions.
    fn forget(&mut self, partitions: &HashSet<TopicPartition>) {
        self.lines.retain(|line| !partitions.contains(&partition_of(line)));
        self.bytes = self.lines.iter().map(bytes_of).sum();
    }

    /// The offset behind the last line, per partition.
    fn next_offsets(&self) -> Vec<(TopicPartition, i64)> {
        let mut next = HashMap::new();
        for line in &self.lines {
            next.insert((line.topic(), line.partition()), line.offset() + 1);
        }
        let place = |((topic, partition), offset): ((&str, i32), i64)| {
            (TopicPartition { topic: topic.into(), partition }, offset)
        };
        next.into_iter().map(place).collect()
    }
}

fn bytes_of(line: &OwnedMessage) -> usize {
    line.payload().map_or(0, <[u8]>::len) + line.key().map_or(0, <[u8]>::len) + LINE_OVERHEAD
}

fn partition_of(line: &OwnedMessage) -> TopicPartition {
    TopicPartition { topic: line.topic().into(), partition: line.partition() }
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
    filled: mpsc::Sender<Filled>,
    commits: Arc<Commits>,
    metrics: Metrics,
    pauses: Pauses,
    told: Option<(String, Instant)>,
    failure: Option<KafkaError>,
}

impl LineReader {
    /// Hands batches to `filled`, and opens them in `commits`, which belong to the consumer.
    pub fn new(
        config: &TextConfig,
        filled: mpsc::Sender<Filled>,
        commits: Arc<Commits>,
        metrics: Metrics,
    ) -> Self {
        Self {
            batch: LineBatch::default(),
            since: Instant::now(),
            max_lines: config.batch_lines,
            max_bytes: usize::try_from(config.batch_bytes.as_u64()).unwrap_or(usize::MAX),
            max_age: config.batch_age,
            filled,
            commits,
            metrics,
            pauses: Pauses::default(),
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
        let room = match self.filled.try_reserve() {
            Ok(room) => room,
            Err(TrySendError::Full(())) => return ControlFlow::Continue(()),
            Err(TrySendError::Closed(())) => return ControlFlow::Break(()),
        };
        let filled = std::mem::take(&mut self.batch);
        let batch = self.commits.open(filled.next_offsets());
        room.send(Filled { lines: filled.lines, batch });
        self.metrics.text_queued(self.filled.max_capacity() - self.filled.capacity());
        if self.pauses.is_all() {
            let resumed = self.pauses.resume_all(consumer);
            self.tell(resumed);
        }
        ControlFlow::Continue(())
    }

    /// Forgets what went with a partition.
    fn follow_rebalance(&mut self, consumer: &BaseConsumer<Rebalances>) {
        let Some(revoked) = consumer.context().take_changes() else { return };
        let revoked = revoked.into_iter().collect();
        let followed = self.pauses.follow(consumer, &revoked);
        self.tell(followed);
        self.batch.forget(&revoked);
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
        self.follow_rebalance(consumer);
        if self.batch.lines.is_empty() {
            self.since = Instant::now();
        }
        let line = record.detach();
        let read = self.pauses.read(consumer, &partition_of(&line));
        self.tell(read);
        self.batch.push(line);
        if !self.is_full() {
            return ControlFlow::Continue(());
        }
        let flow = self.hand_over(consumer);
        if self.is_full() && !self.pauses.is_all() {
            let paused = self.pauses.pause_all(consumer);
            self.tell(paused);
        }
        flow
    }

    fn tick(&mut self, consumer: &BaseConsumer<Rebalances>) -> ControlFlow<()> {
        // The writer has ended, and says why.
        if self.filled.is_closed() {
            return ControlFlow::Break(());
        }
        self.follow_rebalance(consumer);
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

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;

    use super::*;

    #[test]
    fn lines_of_a_partition_that_went_are_neither_written_nor_committed_from_here() {
        let mut batch = LineBatch::default();
        for (partition, offset) in [(0, 5), (1, 8), (0, 6)] {
            let line = (Some(vec![b'x'; 10]), None, "ATCamera_event".into(), Timestamp::NotAvailable);
            batch.push(OwnedMessage::new(line.0, line.1, line.2, line.3, partition, offset, None));
        }
        let at = |partition| TopicPartition { topic: "ATCamera_event".into(), partition };
        batch.forget(&[at(0)].into());
        assert_eq!(batch.next_offsets(), [(at(1), 9)]);
        assert_eq!((batch.lines.len(), batch.bytes), (1, 10 + LINE_OVERHEAD));
    }
}
