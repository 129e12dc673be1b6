//! What is known of one partition of a topic, and of the writers whose records lie in it. Pure.

use std::collections::HashMap;

use efd_kafka::TopicPartition;
use serde::{Deserialize, Serialize};

use super::listed::{Item, Listed};
use super::runs::Before;
use super::writer::{Bounds, Found, Observed, WriterState};

/// Who sent a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriterKey {
    /// `salIndex`; 0 where the component is not indexed.
    pub sal_index: i64,
    /// `private_identity`.
    pub identity: Box<str>,
    /// `private_origin`.
    pub origin: i64,
}

/// What is known of a partition itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionState {
    /// Offset behind the last record accounted for; none before the first.
    #[serde(rename = "o")]
    pub next_offset: Option<i64>,
    /// Offset of the record behind the newest hole in the offsets; 0 for none.
    #[serde(rename = "hole", default)]
    pub hole_at: i64,
    /// Oldest offset that Kafka still had when records were found to be deleted before they were read; 0 for never.
    #[serde(rename = "lost", default)]
    pub lost_at: i64,
    /// Offsets that Kafka deleted before they were read, with the times of the points around them.
    #[serde(rename = "deleted", default, skip_serializing_if = "Listed::is_empty")]
    pub lost: Listed,
    /// Dead letters whose bytes do not tell who sent them, by their offsets.
    #[serde(rename = "dead", default, skip_serializing_if = "Listed::is_empty")]
    pub undecodable: Listed,
    /// The newest points, as the tracker tells them apart, so that a restart does not hide two records of the same microsecond.
    #[serde(rename = "t", default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<i64>,
}

impl PartitionState {
    /// What the offsets say of what was read since a writer's last record.
    pub fn since(&self, next_offset: i64) -> Before {
        if self.lost_at > next_offset {
            Before::Retention
        } else if self.hole_at > next_offset {
            Before::OffsetHole
        } else {
            Before::Contiguous
        }
    }
}

/// A writer that is followed.
#[derive(Debug)]
pub struct Followed {
    /// Who.
    pub key: WriterKey,
    /// What is known.
    pub state: WriterState,
    /// Changed since it was kept.
    pub is_dirty: bool,
}

/// A partition that is followed.
#[derive(Debug)]
pub struct Slot {
    /// Which.
    pub partition: TopicPartition,
    /// Still this consumer's.
    pub is_live: bool,
    /// Its records have numbers of their own; acknowledgements repeat those of their commands.
    pub has_numbers: bool,
    /// What is known of it.
    pub state: PartitionState,
    /// Changed since it was kept.
    pub is_dirty: bool,
    /// Oldest offset that Kafka had when it was last asked.
    pub oldest: i64,
    /// What is kept of it is of a topic that was deleted.
    pub is_anew: bool,
    /// Its writers; no place is ever given to another.
    pub writers: Vec<Followed>,
    by_key: HashMap<WriterKey, usize>,
    last: usize,
}

impl Slot {
    /// Follows a partition from what was kept of it.
    pub fn new(
        partition: TopicPartition,
        state: PartitionState,
        writers: impl IntoIterator<Item = (WriterKey, WriterState)>,
    ) -> Self {
        let writers: Vec<Followed> =
            writers.into_iter().map(|(key, state)| Followed { key, state, is_dirty: false }).collect();
        let by_key = writers.iter().enumerate().map(|(index, writer)| (writer.key.clone(), index)).collect();
        let has_numbers = !partition.topic.ends_with(".ackcmd");
        Self {
            partition,
            is_live: true,
            has_numbers,
            state,
            is_dirty: false,
            oldest: 0,
            is_anew: false,
            writers,
            by_key,
            last: 0,
        }
    }

    /// The place of a writer.
    pub fn writer(&mut self, sal_index: i64, identity: &[u8], origin: i64) -> usize {
        let is_it = |writer: &Followed| {
            let key = &writer.key;
            key.origin == origin && key.sal_index == sal_index && key.identity.as_bytes() == identity
        };
        // Most topics have one writer.
        if self.writers.get(self.last).is_some_and(is_it) {
            return self.last;
        }
        let identity = String::from_utf8_lossy(identity).into_owned().into_boxed_str();
        let key = WriterKey { sal_index, identity, origin };
        self.last = match self.by_key.get(&key) {
            Some(index) => *index,
            None => {
                let index = self.writers.len();
                self.by_key.insert(key.clone(), index);
                self.writers.push(Followed { key, state: WriterState::default(), is_dirty: false });
                index
            }
        };
        self.last
    }

    /// Accounts for a record of a writer.
    pub fn observe(&mut self, writer: usize, record: &Observed, bounds: Bounds) -> Option<Found> {
        self.reach(record.offset, Some(record.time), bounds);
        let followed = self.writers.get_mut(writer)?;
        // A writer's state may have been kept later than its partition's, so each knows how far it reaches.
        let before = self.state.since(followed.state.next_offset);
        let found = followed.state.observe(record, before, bounds);
        followed.is_dirty |= found != Found::Reread;
        Some(found)
    }

    /// Accounts for a record that does not tell who sent it: a dead letter, or a tombstone, whose `reason` is 0.
    pub fn pass(&mut self, offset: i64, reason: u8, bounds: Bounds) {
        if self.reach(offset, None, bounds) && reason != 0 {
            self.state.undecodable.add(offset, None, reason, bounds.entries);
        }
    }

    /// Moves on to a record; false if it was accounted for before.
    fn reach(&mut self, offset: i64, time: Option<i64>, bounds: Bounds) -> bool {
        let next = self.state.next_offset.unwrap_or(offset);
        if offset < next {
            return false;
        }
        if offset > next {
            self.skip(next, offset, time, bounds);
        }
        self.state.next_offset = Some(offset + 1);
        self.is_dirty = true;
        true
    }

    /// Notes that offsets from `next` on were not read before the record at `offset`.
    fn skip(&mut self, next: i64, offset: i64, time: Option<i64>, bounds: Bounds) {
        self.state.hole_at = offset;
        if self.oldest <= next {
            return;
        }
        self.state.lost_at = offset;
        let known = self.writers.iter().map(|writer| &writer.state).filter(|state| state.records > 0);
        let times = known.map(|state| state.last_time).max().zip(time);
        let item = Item {
            first: next,
            last: self.oldest.min(offset) - 1,
            // Another writer's clock may be ahead.
            first_time: times.map(|(before, behind)| before.min(behind)),
            last_time: times.map(|(before, behind)| before.max(behind)),
            reason: 0,
        };
        self.state.lost.add_all(item, bounds.entries);
    }

    /// Whether only Kafka can tell what the offsets mean that were read next: some before or between them were not read and are not
    /// known to be deleted, or they come again.
    pub fn is_odd(&self, first: i64, last: i64, count: usize) -> bool {
        let next = self.state.next_offset.unwrap_or(first);
        let is_whole = first <= next && usize::try_from(last - first).is_ok_and(|more| more + 1 == count);
        first < next || !(is_whole || self.oldest > next)
    }

    /// Forgets everything, since it is of a topic that was deleted. Writers keep their places: facts that wait refer to them.
    pub fn begin_anew(&mut self) {
        self.state = PartitionState::default();
        for writer in &mut self.writers {
            (writer.state, writer.is_dirty) = (WriterState::default(), false);
        }
        (self.oldest, self.is_anew) = (0, true);
    }

    /// Forgets writers whose newest point is older than `horizon` (Unix microseconds), and the longest silent ones beyond `bound`;
    /// gives their keys.
    pub fn forget(&mut self, horizon: i64, bound: usize) -> Vec<WriterKey> {
        let age = |writer: &Followed| writer.state.last_time;
        let mut times: Vec<i64> = self.writers.iter().map(age).collect();
        times.sort_unstable();
        let too_many = times.len().saturating_sub(bound.max(1));
        let oldest_kept = times.get(too_many).copied().unwrap_or(i64::MAX).max(horizon);
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.writers).into_iter().partition(|writer| age(writer) >= oldest_kept);
        self.writers = kept;
        if !gone.is_empty() {
            self.last = 0;
            self.by_key =
                self.writers.iter().enumerate().map(|(index, one)| (one.key.clone(), index)).collect();
        }
        gone.into_iter().map(|writer| writer.key).collect()
    }
}
