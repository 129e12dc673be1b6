//! Writes batches to one destination, several at a time, and commits. The only place where offsets are committed: after every record
//! below them was accepted or dead-lettered.

use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use efd_kafka::{BatchId, Committer};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tracing::Instrument as _;

use crate::batch::Batch;
use crate::dead_letter::{DeadLetters, Letter};
use crate::error::Reason;
use crate::line_writer::{LineWriter, Refusal};
use crate::metrics::Metrics;
use crate::rebalance::Commits;
use crate::trace;

/// A batch on its way from the consumer.
#[derive(Debug)]
pub struct Filled {
    /// The batch.
    pub batch: Batch,
    /// Its place in the ledger.
    pub id: BatchId,
}

/// The writer of one destination.
pub struct Writer {
    lines: LineWriter,
    dead_letters: DeadLetters,
    commits: Arc<Commits>,
    committer: Arc<dyn Committer>,
    metrics: Arc<Metrics>,
    free: std_mpsc::Sender<Batch>,
}

/// How a writer works.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Writes at the same time.
    pub max_in_flight: usize,
    /// Wait between two commits.
    pub commit_interval: Duration,
}

impl Writer {
    /// `free` takes each batch back when it is done.
    pub fn new(
        lines: LineWriter,
        dead_letters: DeadLetters,
        commits: (Arc<Commits>, Arc<dyn Committer>),
        metrics: Arc<Metrics>,
        free: std_mpsc::Sender<Batch>,
    ) -> Self {
        let (commits, committer) = commits;
        Self { lines, dead_letters, commits, committer, metrics, free }
    }

    /// Writes what comes until the channel is closed and everything is written. `on_ready` is called once, when the destination
    /// can be written to.
    pub async fn run(self, mut filled: mpsc::Receiver<Filled>, pace: Pace, on_ready: impl FnOnce() + Send) {
        let first = tokio::select! {
            () = self.lines.prepare() => None,
            next = filled.recv() => match next {
                // Nothing was read, so there is nothing to wait for.
                None => return,
                first => {
                    self.lines.prepare().await;
                    first
                }
            },
        };
        on_ready();
        let interval = self.commits.tracker().map_or(Duration::ZERO, |tracker| tracker.interval());
        let mut commit_tick = tokio::time::interval(pace.commit_interval.max(interval));
        commit_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut writes: FuturesUnordered<_> = first.into_iter().map(|filled| self.write(filled)).collect();
        // At most one commit at a time, while writes go on.
        let mut commits: FuturesUnordered<_> = FuturesUnordered::new();
        let mut is_open = true;
        while is_open || !writes.is_empty() {
            tokio::select! {
                next = filled.recv(), if is_open && writes.len() < pace.max_in_flight => match next {
                    Some(filled) => writes.push(self.write(filled)),
                    None => is_open = false,
                },
                Some(()) = writes.next(), if !writes.is_empty() => {}
                Some(()) = commits.next(), if !commits.is_empty() => {}
                _ = commit_tick.tick(), if commits.is_empty() => commits.push(self.commit()),
            }
        }
        drop(writes);
        while commits.next().await.is_some() {}
        self.commit().await;
    }

    /// Sees to it that what is done is accounted for, then commits it.
    async fn commit(&self) {
        let ready = self.commits.ready();
        if let Some(tracker) = self.commits.tracker()
            && !ready.is_empty()
        {
            tracker.keep().await;
        }
        self.commits.keep(ready);
        match self.commits.commit_on_thread(self.committer.clone()).await {
            Ok(0) => {}
            outcome => self.metrics.commit_ended(outcome.is_ok()),
        }
    }

    async fn write(&self, filled: Filled) {
        let Filled { mut batch, id } = filled;
        let destination = self.lines.destination();
        let bytes = i64::try_from(batch.bytes()).unwrap_or(i64::MAX);
        let span = tracing::info_span!(
            "sink.write",
            destination,
            points = batch.entries().len(),
            values = batch.values(),
            bytes
        );
        trace::link_producers(&span, &batch);
        let lines = batch.take_lines();
        self.metrics.batch_sent(destination, batch.entries().len(), lines.len());
        let refusals = self.lines.write(&batch, &lines).instrument(span).await;
        let refused: Vec<usize> = refusals.iter().map(|refusal| refusal.entry).collect();
        self.metrics.batch_written(destination, &batch, &refused);
        self.bury(&batch, &refusals).await;
        if let Some(tracker) = self.commits.tracker() {
            tracker.settled(id, &batch, &refusals, self.commits.open_offsets(id)).await;
        }
        self.commits.close(id);
        self.metrics.in_flight_bytes(destination, -bytes);
        batch.clear(lines);
        // Without a consumer nobody needs the batch.
        let _ = self.free.send(batch);
    }

    /// Dead-letters what has no line and what was refused.
    async fn bury(&self, batch: &Batch, refusals: &[Refusal]) {
        let dead = batch.dead_entries().iter().filter_map(|dead| {
            let (partition, record) = batch.dead_record(dead)?;
            Some(Letter { partition, record, schema_id: dead.schema_id, cause: &dead.cause })
        });
        let refused = refusals.iter().filter_map(|refusal| {
            let entry = batch.entries().get(refusal.entry)?;
            let (partition, record) = batch.record(entry)?;
            Some(Letter { partition, record, schema_id: Some(entry.schema_id), cause: &refusal.cause })
        });
        let letters: Vec<Letter<'_>> = dead.chain(refused).collect();
        self.dead_letters.deliver(&letters).await;
        for reason in Reason::ALL {
            let count = letters.iter().filter(|letter| letter.cause.reason == reason).count();
            if count > 0 {
                self.metrics.records_dead(reason, count as u64);
            }
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("lines", &self.lines).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
