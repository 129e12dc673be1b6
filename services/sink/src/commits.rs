//! Which offsets of a consumer may be committed, and the commit itself. Only the writer closes batches, after every record in
//! them was accepted or dead-lettered.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use efd_kafka::{BatchId, OffsetLedger, TopicPartition};
use rdkafka::consumer::{CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

/// Takes offsets that may be committed to the group's coordinator.
pub trait Committer: Send + Sync {
    /// Hands the offsets over; in `Async` mode the outcome comes later.
    ///
    /// # Errors
    /// When the coordinator refuses them, or nothing could be handed over.
    fn commit_offsets(&self, offsets: &TopicPartitionList, mode: CommitMode) -> KafkaResult<()>;
}

impl<C: ConsumerContext + 'static> Committer for rdkafka::consumer::BaseConsumer<C> {
    fn commit_offsets(&self, offsets: &TopicPartitionList, mode: CommitMode) -> KafkaResult<()> {
        self.commit(offsets, mode)
    }
}

/// Offsets of one consumer: which batches are open, what may be committed, which partitions are owned.
#[derive(Debug, Default)]
pub struct Commits {
    state: Mutex<CommitState>,
    /// Told whenever a batch is done.
    is_closed: Condvar,
}

#[derive(Debug, Default)]
struct CommitState {
    ledger: OffsetLedger,
    ready: BTreeMap<TopicPartition, i64>,
    owned: HashSet<TopicPartition>,
    /// Nobody writes any more: there is nothing to wait for.
    has_ended: bool,
}

impl Commits {
    fn state(&self) -> MutexGuard<'_, CommitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn has_ready(&self) -> bool {
        !self.state().ready.is_empty()
    }

    /// Registers a batch before it goes to the writer, in the order of reading.
    pub fn open(&self, next_offsets: Vec<(TopicPartition, i64)>) -> BatchId {
        self.state().ledger.open(next_offsets)
    }

    /// The consumer owns these partitions now; gives how many it owns altogether.
    pub fn assigned(&self, partitions: &[TopicPartition]) -> usize {
        let mut state = self.state();
        state.owned.extend(partitions.iter().cloned());
        state.owned.len()
    }

    /// Waits until what was read of these partitions is done, for `timeout` at most. False when something is left.
    pub fn drained(&self, partitions: &[TopicPartition], timeout: Duration) -> bool {
        let state = self.state();
        let is_busy = |state: &mut CommitState| !state.has_ended && state.ledger.holds(partitions);
        let waited = self.is_closed.wait_timeout_while(state, timeout, is_busy);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.ledger.holds(partitions)
    }

    /// The writer has ended; what it has not closed by now, it never will.
    pub fn ended(&self) {
        self.state().has_ended = true;
        self.is_closed.notify_all();
    }

    /// The consumer gives these partitions up: what is ready is committed, what is open is left to the next owner. Gives how many it
    /// still owns.
    pub fn revoked(&self, partitions: &[TopicPartition], committer: &dyn Committer) -> usize {
        let mut state = self.state();
        state.ledger.revoke(partitions);
        let mut offsets = TopicPartitionList::new();
        for partition in partitions {
            state.owned.remove(partition);
            if let Some(next) = state.ready.remove(partition) {
                add_offset(&mut offsets, partition, next);
            }
        }
        let owned = state.owned.len();
        drop(state);
        if offsets.count() > 0 {
            // Not waited for: when it fails, the next owner reads these records again.
            let _ = committer.commit_offsets(&offsets, CommitMode::Async);
        }
        owned
    }

    /// A commit failed; its offsets are tried again with the next one, unless newer ones came or the partition went.
    pub fn failed(&self, offsets: &TopicPartitionList) {
        let mut state = self.state();
        for element in offsets.elements() {
            let partition = TopicPartition { topic: element.topic().into(), partition: element.partition() };
            if let Offset::Offset(next) = element.offset()
                && state.owned.contains(&partition)
            {
                state.ready.entry(partition).or_insert(next);
            }
        }
    }

    /// Commits what may be committed. Returns whether the coordinator took it, or in `Async` mode, will be asked.
    pub fn commit(&self, committer: &dyn Committer, mode: CommitMode) -> KafkaResult<()> {
        let ready = std::mem::take(&mut self.state().ready);
        if ready.is_empty() {
            return Ok(());
        }
        let mut offsets = TopicPartitionList::with_capacity(ready.len());
        for (partition, next) in &ready {
            add_offset(&mut offsets, partition, *next);
        }
        committer.commit_offsets(&offsets, mode).inspect_err(|_| self.failed(&offsets))
    }

    /// Everything in the batch was accepted or dead-lettered.
    pub fn close(&self, batch: BatchId) {
        let mut state = self.state();
        let offsets = state.ledger.close(batch);
        state.ready.extend(offsets);
        drop(state);
        self.is_closed.notify_all();
    }
}

fn add_offset(offsets: &mut TopicPartitionList, partition: &TopicPartition, next: i64) {
    let added = offsets.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(next));
    if let Err(error) = added {
        tracing::error!(topic = &*partition.topic, next, %error, "offset cannot be committed");
    }
}

#[cfg(test)]
#[path = "commits_tests.rs"]
mod tests;
