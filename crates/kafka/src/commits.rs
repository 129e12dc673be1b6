//! Which offsets of a consumer may be committed, and the commit itself. Only who writes records closes their batches, after every
//! record in them was accepted or dead-lettered.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

use crate::{BatchId, OffsetLedger, TopicPartition};

/// Takes offsets that may be committed to the group's coordinator.
pub trait Committer: Send + Sync {
    /// Hands the offsets over; in `Async` mode nobody hears the outcome.
    ///
    /// # Errors
    /// When the coordinator refuses them, or nothing could be handed over.
    fn commit_offsets(&self, offsets: &TopicPartitionList, mode: CommitMode) -> KafkaResult<()>;
}

impl<C: ConsumerContext + 'static> Committer for BaseConsumer<C> {
    fn commit_offsets(&self, offsets: &TopicPartitionList, mode: CommitMode) -> KafkaResult<()> {
        self.commit(offsets, mode)
    }
}

/// Hears which partitions a consumer gets and gives up. Called on the poll thread, so it must not wait.
pub trait Follower: Send + Sync + fmt::Debug {
    /// These partitions belong to the consumer now.
    fn assigned(&self, partitions: &[TopicPartition]);

    /// These partitions belong to another consumer now.
    fn revoked(&self, partitions: &[TopicPartition]);
}

/// Offsets of one consumer: which batches are open, what may be committed, which partitions are owned. Where there is a tracker `T`,
/// which keeps account of records, nothing is committed before it is accounted for.
#[derive(Debug)]
pub struct Commits<T: ?Sized = dyn Follower> {
    state: Mutex<CommitState>,
    /// Told whenever a batch is done, or accounted for.
    is_closed: Condvar,
    tracker: OnceLock<Arc<T>>,
}

impl<T: ?Sized> Default for Commits<T> {
    fn default() -> Self {
        Self { state: Mutex::default(), is_closed: Condvar::default(), tracker: OnceLock::new() }
    }
}

#[derive(Debug, Default)]
struct CommitState {
    ledger: OffsetLedger,
    /// Done, and perhaps not accounted for yet.
    ready: BTreeMap<TopicPartition, i64>,
    /// Accounted for: may be committed.
    kept: BTreeMap<TopicPartition, i64>,
    /// What the coordinator was asked to take last.
    asked: BTreeMap<TopicPartition, i64>,
    owned: HashSet<TopicPartition>,
    /// Nobody writes any more: there is nothing to wait for.
    has_ended: bool,
}

impl<T: Follower + ?Sized + 'static> Commits<T> {
    /// [`Commits::commit`] on a thread that may block.
    ///
    /// # Errors
    /// As there.
    pub async fn commit_on_thread(self: &Arc<Self>, committer: Arc<dyn Committer>) -> KafkaResult<usize> {
        let commits = self.clone();
        let ended = tokio::task::spawn_blocking(move || commits.commit(&*committer)).await;
        // Nobody cancels it, and it does not panic.
        ended.unwrap_or(Err(KafkaError::Canceled)).inspect_err(|error| {
            tracing::info!(%error, "offset commit failed, it is tried again");
        })
    }
}

impl<T: Follower + ?Sized> Commits<T> {
    fn state(&self) -> MutexGuard<'_, CommitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something is done and waits to be accounted for.
    pub fn has_ready(&self) -> bool {
        !self.state().ready.is_empty()
    }

    /// Whether something is accounted for and waits to be committed.
    pub fn has_kept(&self) -> bool {
        !self.state().kept.is_empty()
    }

    /// Nothing is committed before `tracker` keeps it; it also hears which partitions come and go. To be called before the first do.
    pub fn tracked_by(&self, tracker: Arc<T>) {
        // Set once; whoever comes second would be the same.
        let _ = self.tracker.set(tracker);
    }

    /// Who keeps account, if anybody does.
    pub fn tracker(&self) -> Option<&T> {
        self.tracker.get().map(|tracker| &**tracker)
    }

    /// Registers a batch before it goes to the writer, in the order of reading.
    pub fn open(&self, next_offsets: Vec<(TopicPartition, i64)>) -> BatchId {
        self.state().ledger.open(next_offsets)
    }

    /// The consumer owns these partitions now; gives how many it owns altogether.
    pub fn assigned(&self, partitions: &[TopicPartition]) -> usize {
        if let Some(tracker) = self.tracker() {
            tracker.assigned(partitions);
        }
        let mut state = self.state();
        state.owned.extend(partitions.iter().cloned());
        state.owned.len()
    }

    /// Waits until what was read of these partitions is done and accounted for, for `timeout` at most. False when something is left.
    pub fn drained(&self, partitions: &[TopicPartition], timeout: Duration) -> bool {
        let state = self.state();
        let is_left = |state: &CommitState| {
            let is_uncounted = |partition| self.tracker().is_some() && state.ready.contains_key(partition);
            state.ledger.holds(partitions) || partitions.iter().any(is_uncounted)
        };
        let is_busy = |state: &mut CommitState| !state.has_ended && is_left(state);
        let waited = self.is_closed.wait_timeout_while(state, timeout, is_busy);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !is_left(&state)
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
            state.asked.remove(partition);
            // What is not accounted for is left to the next owner, which accounts for it.
            let ready = state.ready.remove(partition).filter(|_| self.tracker().is_none());
            if let Some(next) = ready.or(state.kept.remove(partition)) {
                add_offset(&mut offsets, partition, next);
            }
        }
        let owned = state.owned.len();
        drop(state);
        if let Some(tracker) = self.tracker() {
            tracker.revoked(partitions);
        }
        if offsets.count() > 0 {
            // Not waited for: when it fails, the next owner reads these records again.
            let _ = committer.commit_offsets(&offsets, CommitMode::Async);
        }
        owned
    }

    /// A commit failed; its offsets are tried again with the next one, if they are the last that the coordinator was asked to take
    /// since the partition came. A failure that is heard of later must not bring older offsets back: the group would stand
    /// behind what is written.
    fn failed(&self, offsets: &TopicPartitionList) {
        let mut state = self.state();
        for element in offsets.elements() {
            let partition = TopicPartition { topic: element.topic().into(), partition: element.partition() };
            if let Offset::Offset(next) = element.offset()
                && state.asked.get(&partition) == Some(&next)
            {
                state.kept.entry(partition).or_insert(next);
            }
        }
    }

    /// The partitions of an open batch that are still owned, each with the offset behind its last record.
    pub fn open_offsets(&self, batch: BatchId) -> Vec<(TopicPartition, i64)> {
        self.state().ledger.next_offsets(batch)
    }

    /// What is done by now.
    pub fn ready(&self) -> BTreeMap<TopicPartition, i64> {
        self.state().ready.clone()
    }

    /// What was `ready` is accounted for and may be committed, unless its partition went meanwhile.
    pub fn keep(&self, ready: BTreeMap<TopicPartition, i64>) {
        let mut state = self.state();
        for (partition, next) in ready {
            match state.ready.get(&partition).copied() {
                None => continue,
                Some(newest) if newest == next => drop(state.ready.remove(&partition)),
                Some(_) => {}
            }
            state.kept.insert(partition, next);
        }
        drop(state);
        self.is_closed.notify_all();
    }

    /// Commits what may be committed, and waits for the coordinator; gives of how many partitions. Only a commit that is waited for
    /// tells that it failed, as it does when it crosses a rebalance: librdkafka gives the event interface that rdkafka uses no
    /// outcome of others.
    ///
    /// # Errors
    /// When the coordinator does not take it, or cannot be asked; it is tried again with the next commit.
    pub fn commit(&self, committer: &dyn Committer) -> KafkaResult<usize> {
        let kept = {
            let mut state = self.state();
            let kept = std::mem::take(&mut state.kept);
            state.asked.extend(kept.iter().map(|(partition, next)| (partition.clone(), *next)));
            kept
        };
        if kept.is_empty() {
            return Ok(0);
        }
        let mut offsets = TopicPartitionList::with_capacity(kept.len());
        for (partition, next) in &kept {
            add_offset(&mut offsets, partition, *next);
        }
        let committed = committer.commit_offsets(&offsets, CommitMode::Sync);
        committed.inspect_err(|_| self.failed(&offsets)).map(|()| kept.len())
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

/// Commits what may be committed and lets the last owner of a consumer leave its group, on a thread that may block; not longer than
/// `within`.
pub async fn leave<C, T>(consumer: Arc<BaseConsumer<C>>, commits: Arc<Commits<T>>, within: Duration)
where
    C: ConsumerContext + 'static,
    T: Follower + ?Sized + 'static,
{
    let leaving = tokio::task::spawn_blocking(move || {
        if let Err(error) = commits.commit(&*consumer) {
            tracing::warn!(%error, "last commit failed, some records are written again after the next start");
        }
        drop(consumer);
    });
    if tokio::time::timeout(within, leaving).await.is_err() {
        tracing::warn!("kafka did not answer while the consumer left its group");
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
