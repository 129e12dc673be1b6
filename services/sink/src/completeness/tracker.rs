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

/// Points of a topic that are remembered; two records of the same microsecond lie near each other.
const WINDOW: usize = 512;
/// How many of them are kept over a restart.
const KEPT_POINTS: usize = 8;

/// A record that is done, on its way to its account.
#[derive(Debug, Clone, Copy)]
pub struct Fact {
    /// Partition, as [`Tracker::slot`] has it.
    pub slot: usize,
    /// Writer, as [`Tracker::writer`] has it; none when the bytes do not tell.
    pub writer: Option<usize>,
    /// The record.
    pub record: Observed,
    /// A number that stands for the tags of its point; 0 where there are none.
    pub tags: u64,
}

/// Partitions whose offsets only Kafka can explain, and the offset at which the account of each stands.
pub type Odd = Vec<(TopicPartition, Option<i64>)>;

/// All that is followed.
#[derive(Debug)]
pub struct Tracker {
    bounds: Bounds,
    slots: Vec<Slot>,
    owned: HashSet<TopicPartition>,
    live: HashMap<TopicPartition, usize>,
    points: HashMap<Arc<str>, Points>,
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
            points: HashMap::new(),
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
        let newest = kept.and_then(|kept| kept.writers.values().map(|writer| writer.last_time).max());
        let points = self.points.entry(partition.topic.clone()).or_default();
        points.remember(&state.recent, newest.unwrap_or_default());
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

    /// Takes what is known of a batch, by its place in the order of reading; its facts in the order of partition and offset.
    pub fn done(&mut self, batch: u64, facts: Vec<Fact>) {
        self.waiting.insert(batch, facts);
    }

    /// The batch that is the next in order, if it is done, with the partitions of which [`Tracker::learn`] should hear before
    /// [`Tracker::advance`].
    pub fn next_done(&self) -> Option<(u64, Odd)> {
        let facts = self.waiting.get(&self.next_batch)?;
        let mut odd = Odd::new();
        for of_slot in facts.chunk_by(|one, next| one.slot == next.slot) {
            if let (Some(first), Some(last)) = (of_slot.first(), of_slot.last())
                && let Some(slot) = self.slots.get(first.slot).filter(|slot| slot.is_live)
                && slot.is_odd(first.record.offset, last.record.offset, of_slot.len())
            {
                odd.push((slot.partition.clone(), slot.state.next_offset));
            }
        }
        Some((self.next_batch, odd))
    }

    /// What Kafka said of a partition when its account stood at `next`: its oldest offset and its end. True when it ends before that:
    /// the topic was deleted and made again, so the account starts anew.
    pub fn learn(&mut self, partition: &TopicPartition, next: Option<i64>, extent: (i64, i64)) -> bool {
        let (oldest, end) = extent;
        let slot = self.slot(partition).and_then(|index| self.slots.get_mut(index));
        let Some(slot) = slot.filter(|slot| slot.state.next_offset == next) else { return false };
        let is_new = next.is_some_and(|next| end < next);
        if is_new {
            slot.begin_anew();
        }
        slot.oldest = slot.oldest.max(oldest);
        is_new
    }

    /// Accounts for a batch, if it is the next in order.
    pub fn advance(&mut self, batch: u64) {
        if batch != self.next_batch {
            return;
        }
        let Some(facts) = self.waiting.remove(&batch) else { return };
        self.next_batch += 1;
        for fact in &facts {
            self.account(fact);
        }
    }

    fn account(&mut self, fact: &Fact) {
        let Some(slot) = self.slots.get_mut(fact.slot).filter(|slot| slot.is_live) else { return };
        let record = &fact.record;
        let Some(writer) = fact.writer else {
            return slot.pass(record.offset, record.dead, self.bounds);
        };
        let found = slot.observe(writer, record, self.bounds);
        if !matches!(found, Some(Found::Own | Found::Restored)) || record.dead != 0 {
            return;
        }
        let Some(points) = self.points.get_mut(&slot.partition.topic) else { return };
        if points.is_taken(record.time, fact.tags)
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
            changes.extend(gone.into_iter().map(|key| of(Some(key), None)));
            if std::mem::take(&mut slot.is_anew) {
                // Readers keep what reaches further, so what is of the topic before goes first. The partition goes last: as long as it is
                // there, a successor finds out again.
                changes.extend(slot.writers.iter().map(|writer| of(Some(writer.key.clone()), None)));
                changes.push(of(None, None));
            }
            for writer in slot.writers.iter_mut().filter(|writer| writer.is_dirty) {
                writer.is_dirty = false;
                changes.push(of(Some(writer.key.clone()), Some(Kept::Writer(writer.state.clone()))));
            }
            slot.is_dirty = false;
            let mut state: PartitionState = slot.state.clone();
            state.recent = self.points.get(&slot.partition.topic).map(Points::newest).unwrap_or_default();
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

/// The newest points of a topic. Each is its time, in which the number of its tags is mixed: without tags just the time.
#[derive(Debug, Default)]
struct Points {
    newest: i64,
    window: VecDeque<i64>,
}

impl Points {
    /// Whether another point had this time and these tags; from now on one has.
    fn is_taken(&mut self, time: i64, tags: u64) -> bool {
        let point = time ^ tags.cast_signed();
        let is_taken = time <= self.newest && self.window.contains(&point);
        if !is_taken {
            self.newest = self.newest.max(time);
            self.add(point);
        }
        is_taken
    }

    /// Takes back what was kept, none of it newer than `newest`.
    fn remember(&mut self, kept: &[i64], newest: i64) {
        self.newest = self.newest.max(newest);
        for point in kept {
            if !self.window.contains(point) {
                self.add(*point);
            }
        }
    }

    fn add(&mut self, point: i64) {
        if self.window.len() >= WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(point);
    }

    fn newest(&self) -> Vec<i64> {
        self.window.iter().rev().take(KEPT_POINTS).rev().copied().collect()
    }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
