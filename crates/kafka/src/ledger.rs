//! Which offsets may be committed, when batches finish in another order than they were filled.
//!
//! A batch holds consecutive records of each partition in it. Batches are opened in the order in which their records
//! were read. An offset may be committed once its batch and every batch opened before it are closed: then everything
//! below it was accepted or dead-lettered. After a revocation the partition's offsets are forgotten: its new owner
//! reads again from the last commit, and writing a record twice changes nothing.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition, from 0.
    pub partition: i32,
}

/// A batch in the order of opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(u64);

impl BatchId {
    /// Its place in that order, from 0 and without gaps.
    pub fn number(self) -> u64 {
        self.0
    }
}

#[derive(Debug)]
struct OpenBatch {
    next: Vec<(TopicPartition, i64)>,
    is_closed: bool,
}

/// The open batches of one consumer; pure, no clock and no client.
#[derive(Debug, Default)]
pub struct OffsetLedger {
    first: u64,
    batches: VecDeque<OpenBatch>,
}

impl OffsetLedger {
    /// Registers a batch whose records end just below the offsets in `next` (the next offset to read, per partition).
    pub fn open(&mut self, next: Vec<(TopicPartition, i64)>) -> BatchId {
        self.batches.push_back(OpenBatch { next, is_closed: false });
        BatchId(self.first + self.batches.len() as u64 - 1)
    }

    /// Marks a batch as accepted; returns the offsets that may be committed now, one per partition, none if an earlier
    /// batch is still open. Closing an unknown batch, or one twice, changes nothing.
    pub fn close(&mut self, batch: BatchId) -> Vec<(TopicPartition, i64)> {
        let place = batch.0.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(open) = place.and_then(|place| self.batches.get_mut(place)) {
            open.is_closed = true;
        }
        let mut ready = BTreeMap::new();
        while self.batches.front().is_some_and(|front| front.is_closed) {
            if let Some(front) = self.batches.pop_front() {
                self.first += 1;
                ready.extend(front.next);
            }
        }
        ready.into_iter().collect()
    }

    /// The offsets of an open batch that may be committed one day: those of partitions that were not revoked since.
    pub fn next_offsets(&self, batch: BatchId) -> Vec<(TopicPartition, i64)> {
        let place = batch.0.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.batches.get(place)).map(|open| open.next.clone()).unwrap_or_default()
    }

    /// Forgets the offsets of partitions that this consumer no longer owns.
    pub fn revoke(&mut self, partitions: &[TopicPartition]) {
        let revoked: HashSet<&TopicPartition> = partitions.iter().collect();
        for batch in &mut self.batches {
            batch.next.retain(|(partition, _)| !revoked.contains(partition));
        }
    }

    /// Whether one of these partitions has records in a batch that is not committable yet.
    pub fn holds(&self, partitions: &[TopicPartition]) -> bool {
        let asked: HashSet<&TopicPartition> = partitions.iter().collect();
        self.batches.iter().any(|batch| batch.next.iter().any(|(partition, _)| asked.contains(partition)))
    }

    /// Batches opened and not yet committable.
    pub fn open_batches(&self) -> usize {
        self.batches.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(topic: &str, partition: i32, offset: i64) -> (TopicPartition, i64) {
        (TopicPartition { topic: topic.into(), partition }, offset)
    }

    #[test]
    fn nothing_is_committed_past_an_open_batch() {
        let mut ledger = OffsetLedger::default();
        let first = ledger.open(vec![at("a", 0, 10)]);
        let second = ledger.open(vec![at("a", 0, 20), at("b", 0, 5)]);
        assert_eq!(ledger.close(second), vec![]);
        assert_eq!(ledger.close(first), vec![at("a", 0, 20), at("b", 0, 5)]);
        assert_eq!(ledger.open_batches(), 0);
    }

    #[test]
    fn batches_in_order_commit_one_by_one() {
        let mut ledger = OffsetLedger::default();
        let first = ledger.open(vec![at("a", 0, 10)]);
        assert_eq!(ledger.close(first), vec![at("a", 0, 10)]);
        let second = ledger.open(vec![at("a", 1, 3)]);
        assert_eq!(ledger.close(second), vec![at("a", 1, 3)]);
    }

    #[test]
    fn a_revoked_partition_is_not_committed() {
        let mut ledger = OffsetLedger::default();
        let batch = ledger.open(vec![at("a", 0, 10), at("b", 0, 7)]);
        ledger.revoke(&[TopicPartition { topic: "a".into(), partition: 0 }]);
        assert_eq!(ledger.next_offsets(batch), vec![at("b", 0, 7)]);
        assert_eq!(ledger.close(batch), vec![at("b", 0, 7)]);
    }

    #[test]
    fn a_partition_is_held_until_every_batch_before_its_last_one_is_closed() {
        let mut ledger = OffsetLedger::default();
        let (a, b) = (at("a", 0, 1).0, at("b", 0, 1).0);
        let first = ledger.open(vec![at("b", 0, 3)]);
        let second = ledger.open(vec![at("a", 0, 10)]);
        ledger.close(second);
        assert!(ledger.holds(std::slice::from_ref(&a)) && ledger.holds(std::slice::from_ref(&b)));
        ledger.close(first);
        assert!(!ledger.holds(&[a, b]));
    }

    #[test]
    fn closing_twice_or_the_unknown_changes_nothing() {
        let mut ledger = OffsetLedger::default();
        let batch = ledger.open(vec![at("a", 0, 10)]);
        assert_eq!(ledger.close(BatchId(7)), vec![]);
        assert_eq!(ledger.close(batch).len(), 1);
        assert_eq!(ledger.close(batch), vec![]);
        assert_eq!(ledger.open_batches(), 0);
    }
}
