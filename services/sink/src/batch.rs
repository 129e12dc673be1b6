//! Records gathered until they are written together: their lines, the records themselves, and how far they reach in each
//! partition. Pure: time comes as an argument, and what to do with a full batch is somebody else's affair.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use efd_kafka::TopicPartition;
use efd_schema::SchemaRef;

use crate::error::{Cause, Reason};
use crate::metrics::ComponentId;
use crate::plan::Plan;
use crate::point;
use crate::private::Private;
use crate::record::{Packed, Record, pack, payload, unpack};

/// When a batch is handed on; whatever comes first.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Records.
    pub points: usize,
    /// Fields of all points.
    pub values: usize,
    /// Bytes of line protocol, and likewise of the records kept beside it.
    pub bytes: usize,
    /// Time since the first record.
    pub age: Duration,
}

/// The partition a record comes from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// A number that stands for the partition as long as the consumer lives, from 0 and without gaps.
    pub slot: usize,
    /// Topic and partition.
    pub partition: &'a TopicPartition,
    /// Whom its records are counted for.
    pub component: ComponentId,
}

/// A record with a line.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// End of its line; it begins where the line before ends.
    end: usize,
    record: Packed,
    place: usize,
    /// Schema of the record.
    pub schema_id: SchemaRef,
    /// Whom its point is counted for.
    pub component: ComponentId,
    /// Fields of the point.
    pub values: usize,
    /// Time of the point, Unix nanoseconds.
    pub time: i64,
    /// A number that stands for its tags, as [`point::Point`] has it.
    pub tags: u64,
    /// Who sent the record, and as which.
    pub private: Private,
}

impl Entry {
    /// Offset of the record in its partition.
    pub fn offset(&self) -> i64 {
        self.record.offset
    }
}

/// A record without a line.
#[derive(Debug)]
pub struct DeadEntry {
    record: Packed,
    place: usize,
    /// Schema of the record, where its bytes tell.
    pub schema_id: Option<SchemaRef>,
    /// Why.
    pub cause: Cause,
}

/// A record without a value.
#[derive(Debug, Clone, Copy)]
struct Tombstone {
    place: usize,
    offset: i64,
}

/// How far the batch reaches in a partition.
#[derive(Debug)]
struct Place {
    slot: usize,
    partition: TopicPartition,
    /// Offset behind the last record; none after a revocation.
    next: Option<i64>,
}

/// The batch. Cleared, it keeps its memory for the next records.
#[derive(Debug)]
pub struct Batch {
    limits: Limits,
    lines: Vec<u8>,
    packed: Vec<u8>,
    entries: Vec<Entry>,
    dead: Vec<DeadEntry>,
    places: Vec<Place>,
    /// Per slot its place plus one, 0 for none.
    place_of: Vec<usize>,
    consumed: Vec<u64>,
    values: usize,
    omitted: usize,
    tombstones: Vec<Tombstone>,
    opened: Option<Instant>,
}

impl Batch {
    /// An empty batch, which takes its memory as it needs it.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            lines: Vec::new(),
            packed: Vec::new(),
            entries: Vec::new(),
            dead: Vec::new(),
            places: Vec::new(),
            place_of: Vec::new(),
            consumed: Vec::new(),
            values: 0,
            omitted: 0,
            tombstones: Vec::new(),
            opened: None,
        }
    }

    /// Makes a point of the record, or a dead entry where that is impossible.
    pub fn point(
        &mut self,
        source: Source<'_>,
        record: &Record<'_>,
        plan: (&Plan, ComponentId),
        body: &[u8],
    ) {
        let (plan, component) = plan;
        match point::append(plan, body, &mut self.lines) {
            Ok(point) => {
                self.values += point.values;
                self.omitted += point.omitted;
                let place = self.touch(source, record.offset);
                let packed = pack(record, &mut self.packed);
                let entry = Entry {
                    end: self.lines.len(),
                    record: packed,
                    place,
                    schema_id: plan.schema_id(),
                    component,
                    values: point.values,
                    time: point.time,
                    tags: point.tags,
                    private: point.private,
                };
                self.entries.push(entry);
            }
            Err(error) => self.dead(source, record, Some(plan.schema_id()), Cause::from(&error)),
        }
    }

    /// Takes a record that can never become a point.
    pub fn dead(
        &mut self,
        source: Source<'_>,
        record: &Record<'_>,
        schema_id: Option<SchemaRef>,
        cause: Cause,
    ) {
        let place = self.touch(source, record.offset);
        let packed = pack(record, &mut self.packed);
        self.dead.push(DeadEntry { record: packed, place, schema_id, cause });
    }

    /// Passes a tombstone: no point, no dead letter, only its offset counts.
    pub fn tombstone(&mut self, source: Source<'_>, offset: i64) {
        let place = self.touch(source, offset);
        self.tombstones.push(Tombstone { place, offset });
    }

    /// Counts the record and moves the partition's offset behind it.
    fn touch(&mut self, source: Source<'_>, offset: i64) -> usize {
        count(&mut self.consumed, source.component.index(), 1);
        if source.slot >= self.place_of.len() {
            self.place_of.resize(source.slot + 1, 0);
        }
        let found = self.place_of.get(source.slot).and_then(|place| place.checked_sub(1));
        if let Some(index) = found
            && let Some(place) = self.places.get_mut(index)
        {
            place.next = Some(offset + 1);
            return index;
        }
        let index = self.places.len();
        let partition = source.partition.clone();
        self.places.push(Place { slot: source.slot, partition, next: Some(offset + 1) });
        if let Some(place) = self.place_of.get_mut(source.slot) {
            *place = index + 1;
        }
        index
    }

    /// Leaves offsets, dead entries and tombstones of partitions that the consumer no longer owns to their new owner. Their lines stay:
    /// to write them twice changes nothing.
    pub fn forget(&mut self, revoked: &HashSet<TopicPartition>) {
        for place in &mut self.places {
            if revoked.contains(&place.partition) {
                place.next = None;
                if let Some(of_slot) = self.place_of.get_mut(place.slot) {
                    *of_slot = 0;
                }
            }
        }
        let places = &self.places;
        let is_ours = |place: usize| places.get(place).is_some_and(|place| place.next.is_some());
        self.dead.retain(|dead| is_ours(dead.place));
        self.tombstones.retain(|tombstone| is_ours(tombstone.place));
    }

    /// Its limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether a limit other than the age is reached.
    pub fn is_full(&self) -> bool {
        let limits = &self.limits;
        self.entries.len() + self.dead.len() + self.tombstones.len() >= limits.points
            || self.values >= limits.values
            || self.lines.len() >= limits.bytes
            || self.packed.len() >= limits.bytes
    }

    /// Whether the batch is old enough at `now`. The first call after the first record starts its age.
    pub fn is_due(&mut self, now: Instant) -> bool {
        if self.is_empty() {
            return false;
        }
        now.saturating_duration_since(*self.opened.get_or_insert(now)) >= self.limits.age
    }

    /// Bytes held: lines and records.
    pub fn bytes(&self) -> usize {
        self.lines.len() + self.packed.len()
    }

    /// Fields of all points.
    pub fn values(&self) -> usize {
        self.values
    }

    /// NaN and infinite values left out.
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// How many records have no value.
    pub fn tombstones(&self) -> usize {
        self.tombstones.len()
    }

    /// Where the records without a value came from, with their offsets.
    pub fn tombstone_offsets(&self) -> impl Iterator<Item = (&TopicPartition, i64)> {
        self.tombstones.iter().filter_map(|tombstone| {
            let place = self.places.get(tombstone.place)?;
            Some((&place.partition, tombstone.offset))
        })
    }

    /// Records taken, by the index of their component.
    pub fn consumed(&self) -> &[u64] {
        &self.consumed
    }

    /// Records with a line, in the order of the lines.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Records without a line.
    pub fn dead_entries(&self) -> &[DeadEntry] {
        &self.dead
    }

    /// The next offset to read in each partition, once the whole batch is stored.
    pub fn next_offsets(&self) -> Vec<(TopicPartition, i64)> {
        self.places.iter().filter_map(|place| Some((place.partition.clone(), place.next?))).collect()
    }

    /// Where the lines of entries `from..to` stand in [`Batch::take_lines`].
    pub fn line_range(&self, from: usize, to: usize) -> std::ops::Range<usize> {
        let end_before = |index: usize| {
            index.checked_sub(1).and_then(|last| self.entries.get(last)).map_or(0, |entry| entry.end)
        };
        end_before(from)..end_before(to)
    }

    /// The record of an entry and where it came from.
    pub fn record(&self, entry: &Entry) -> Option<(&TopicPartition, Record<'_>)> {
        self.places.get(entry.place).map(|place| (&place.partition, unpack(entry.record, &self.packed)))
    }

    /// The bytes of an entry's record and where it came from; cheaper than the whole record.
    pub fn payload(&self, entry: &Entry) -> Option<(&TopicPartition, &[u8])> {
        self.places.get(entry.place).map(|place| (&place.partition, payload(entry.record, &self.packed)))
    }

    /// The record of a dead entry and where it came from.
    pub fn dead_record(&self, dead: &DeadEntry) -> Option<(&TopicPartition, Record<'_>)> {
        self.places.get(dead.place).map(|place| (&place.partition, unpack(dead.record, &self.packed)))
    }

    /// Dead entries by reason.
    pub fn dead_by_reason(&self) -> impl Iterator<Item = Reason> + '_ {
        self.dead.iter().map(|dead| dead.cause.reason)
    }

    /// Takes the lines out, to be sent without a copy; [`Batch::clear`] takes their memory back.
    pub fn take_lines(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.lines))
    }

    /// Empties the batch. `lines` is what [`Batch::take_lines`] gave; its memory is used again if nobody else holds it.
    pub fn clear(&mut self, mut lines: Bytes) {
        if lines.is_unique() {
            // Cut first, so that next to nothing is copied on the way back; cut to nothing, the memory would be freed.
            lines.truncate(1);
            self.lines = Vec::from(lines);
        }
        for buffer in [&mut self.lines, &mut self.packed] {
            buffer.clear();
            // One giant record must not hold its memory for ever.
            buffer.shrink_to(self.limits.bytes.saturating_mul(2));
        }
        self.entries.clear();
        self.dead.clear();
        self.tombstones.clear();
        for place in self.places.drain(..) {
            if let Some(of_slot) = self.place_of.get_mut(place.slot) {
                *of_slot = 0;
            }
        }
        self.consumed.fill(0);
        (self.values, self.omitted, self.opened) = (0, 0, None);
    }
}

/// Adds to one of the counts, which are as many as needed.
pub fn count(counts: &mut Vec<u64>, index: usize, n: u64) {
    if index >= counts.len() {
        counts.resize(index + 1, 0);
    }
    if let Some(count) = counts.get_mut(index) {
        *count += n;
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
