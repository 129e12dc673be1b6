//! The account of all partitions of one consumer, in memory. Pure: what was kept of a partition comes in, what is to be kept goes out.
//!
//! Batches are done in any order, but numbers can only be judged in the order of reading. So what is known of a batch waits
//! until all batches before it are done.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use efd_kafka::TopicPartition;

use super::partition::{PartitionState, Slot, WriterKey};
use super::stored::{Kept, Stored};
use super::view::PartitionView;
use super::writer::{Bounds, Found, Observed};

/// Points of a topic whose times are remembered; two records of the same microsecond lie near each other.
const WINDOW: usize = 512;
/// How many of them are kept over a restart.
const KEPT_TIMES: usize = 8;

/// A record that is done, on its way to its account.
#[derive(Debug, Clone, Copy)]
pub struct Fact {
    /// Partition, as [`Tracker::slot`] has it.
    pub slot: usize,
    /// Writer, as [`Tracker::writer`] has it; none when the bytes do not tell.
    pub writer: Option<usize>,
    /// The record.
    pub record: Observed,
}

/// All that is followed.
#[derive(Debug)]
pub struct Tracker {
    bounds: Bounds,
    slots: Vec<Slot>,
    owned: HashSet<TopicPartition>,
    live: HashMap<TopicPartition, usize>,
    times: HashMap<Arc<str>, Times>,
    waiting: BTreeMap<u64, Vec<Fact>>,
    next_batch: u64,
}

impl Tracker {
    /// Nothing followed yet.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            slots: Vec::new(),
            owned: HashSet::new(),
            live: HashMap::new(),
            times: HashMap::new(),
            waiting: BTreeMap::new(),
            next_batch: 0,
        }
    }

    /// Place of a partition that is followed.
    pub fn slot(&self, partition: &TopicPartition) -> Option<usize> {
        self.live.get(partition).copied()
    }

    /// These partitions are the consumer's now.
    pub fn own(&mut self, partitions: &[TopicPartition]) {
        self.owned.extend(partitions.iter().cloned());
    }

    /// Follows a partition from what was kept; one that went to another owner meanwhile is not followed.
    pub fn follow(&mut self, partition: &TopicPartition, kept: Option<&PartitionView>) {
        if !self.owned.contains(partition) {
            return;
        }
        let state = kept.and_then(|kept| kept.state.clone()).unwrap_or_default();
        let times = self.times.entry(partition.topic.clone()).or_default();
        for time in &state.recent {
            times.is_taken(*time);
        }
        let writers = kept.into_iter().flat_map(|kept| kept.writers.clone());
        let slot = Slot::new(partition.clone(), state, writers);
        // A place that nothing refers to any more may be given to another partition.
        let is_free = |slot: &Slot| !slot.is_live;
        let index = match self.slots.iter().position(is_free).filter(|_| self.waiting.is_empty()) {
            Some(index) => index,
            None => self.slots.len(),
        };
        match self.slots.get_mut(index) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        self.live.insert(partition.clone(), index);
    }

    /// Leaves partitions to their next owner.
    pub fn leave(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.owned.remove(partition);
            if let Some(slot) = self.live.remove(partition).and_then(|index| self.slots.get_mut(index)) {
                slot.is_live = false;
                slot.writers.clear();
            }
        }
    }

    /// The partitions that are followed.
    pub fn followed(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.is_live)
    }

    /// Place of a writer in a partition.
    pub fn writer(&mut self, slot: usize, sal_index: i64, identity: &[u8], origin: i64) -> Option<usize> {
        Some(self.slots.get_mut(slot)?.writer(sal_index, identity, origin))
    }

    /// Whether the records of a partition have numbers of their own.
    pub fn has_numbers(&self, slot: usize) -> bool {
        self.slots.get(slot).is_some_and(|slot| slot.has_numbers)
    }

    /// Next offset of a partition, and the oldest that Kafka was known to have.
    pub fn offsets(&self, slot: usize) -> Option<(Option<i64>, i64)> {
        self.slots.get(slot).map(|slot| (slot.state.next_offset, slot.oldest))
    }

    /// Kafka says which is the oldest offset it has.
    pub fn oldest(&mut self, slot: usize, oldest: i64) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.oldest = slot.oldest.max(oldest);
        }
    }

    /// Takes what is known of a batch, by its place in the order of reading.
    pub fn done(&mut self, batch: u64, facts: Vec<Fact>) {
        self.waiting.insert(batch, facts);
        while let Some(facts) = self.waiting.remove(&self.next_batch) {
            self.next_batch += 1;
            for fact in &facts {
                self.account(fact);
            }
        }
    }

    fn account(&mut self, fact: &Fact) {
        let Some(slot) = self.slots.get_mut(fact.slot).filter(|slot| slot.is_live) else { return };
        let record = &fact.record;
        let Some(writer) = fact.writer else {
            return slot.undecodable(record.offset, record.dead, self.bounds);
        };
        let found = slot.observe(writer, record, self.bounds);
        if !matches!(found, Some(Found::Own | Found::Restored)) || record.dead != 0 {
            return;
        }
        let Some(times) = self.times.get_mut(&slot.partition.topic) else { return };
        if times.is_taken(record.time)
            && let Some(writer) = slot.writers.get_mut(writer)
        {
            let number = if record.seq > 0 { record.seq } else { record.offset };
            writer.state.merged.add(number, Some(record.time), 0, self.bounds.entries);
        }
    }

    /// What has changed since the last call, and what is forgotten: writers silent since `horizon` (Unix microseconds) and
    /// the longest silent ones of a partition beyond `writers`.
    pub fn take_changes(&mut self, horizon: i64, writers: usize) -> Vec<Stored> {
        let mut changes = Vec::new();
        let is_idle = self.waiting.is_empty();
        for slot in self.slots.iter_mut().filter(|slot| slot.is_live && slot.is_dirty) {
            // Facts that wait refer to writers by their places.
            let gone = if is_idle { slot.forget(horizon, writers) } else { Vec::new() };
            let of = |writer: Option<WriterKey>, kept| Stored::new(&slot.partition, writer, kept);
            for writer in slot.writers.iter_mut().filter(|writer| writer.is_dirty) {
                writer.is_dirty = false;
                changes.push(of(Some(writer.key.clone()), Some(Kept::Writer(writer.state.clone()))));
            }
            changes.extend(gone.into_iter().map(|key| of(Some(key), None)));
            slot.is_dirty = false;
            let mut state: PartitionState = slot.state.clone();
            state.recent = self.times.get(&slot.partition.topic).map(Times::newest).unwrap_or_default();
            changes.push(of(None, Some(Kept::Partition(state))));
        }
        changes
    }

    /// Joins what was kept of other partitions of a topic into each writer's numbers, so that numbers that lie there leave no holes
    /// here. Only what is kept for good may be joined: else numbers of records that are read again would be seen twice.
    pub fn join(&mut self, others: impl Fn(&TopicPartition, &WriterKey) -> Vec<super::runs::Runs>) {
        for slot in self.slots.iter_mut().filter(|slot| slot.is_live && slot.is_dirty) {
            for writer in slot.writers.iter_mut().filter(|writer| writer.is_dirty) {
                let others = others(&slot.partition, &writer.key);
                if !others.is_empty() {
                    writer.state.runs.absorb(&others.iter().collect::<Vec<_>>());
                }
            }
        }
    }

    /// Somebody who owned a partition before wrote after us: what is ours is written again.
    pub fn touch(&mut self, partition: &TopicPartition, writer: Option<&WriterKey>) {
        let Some(slot) = self.slot(partition).and_then(|index| self.slots.get_mut(index)) else { return };
        slot.is_dirty = true;
        for followed in slot.writers.iter_mut().filter(|followed| Some(&followed.key) == writer) {
            followed.is_dirty = true;
        }
    }
}

/// Times of the newest points of a topic.
#[derive(Debug, Default)]
struct Times {
    newest: i64,
    window: VecDeque<i64>,
}

impl Times {
    /// Whether another point had this time; from now on one has.
    fn is_taken(&mut self, time: i64) -> bool {
        let is_taken = time <= self.newest && self.window.contains(&time);
        if !is_taken {
            self.newest = self.newest.max(time);
            if self.window.len() >= WINDOW {
                self.window.pop_front();
            }
            self.window.push_back(time);
        }
        is_taken
    }

    fn newest(&self) -> Vec<i64> {
        self.window.iter().rev().take(KEPT_TIMES).rev().copied().collect()
    }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
