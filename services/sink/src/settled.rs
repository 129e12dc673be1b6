//! What became of each record of a batch, for whoever keeps account of it: told when the whole batch is stored or
//! dead-lettered, and before its offsets may be committed.

use std::time::Duration;

use efd_kafka::{BatchId, Follower, TopicPartition};
use futures::future::BoxFuture;

use crate::batch::Batch;
use crate::error::Reason;
use crate::line_writer::Refusal;
use crate::private::Private;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The destination has its point.
    Written,
    /// It lies in the dead-letter topic.
    DeadLettered(Reason),
    /// It has no value: there is nothing to write.
    Tombstone,
}

/// A record that is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settled<'a> {
    /// Where it came from.
    pub partition: &'a TopicPartition,
    /// Offset in its partition.
    pub offset: i64,
    /// What became of it.
    pub fate: Fate,
    /// Who sent it and as which; all zero where its bytes could not be read.
    pub private: Private,
    /// `private_identity`; empty where there is none.
    pub identity: &'a [u8],
    /// Time of its point, Unix microseconds; none where it has no point.
    pub time_us: Option<i64>,
    /// A number that stands for the tags of its point; 0 where there are none.
    pub tags: u64,
}

/// Keeps account of records.
pub trait Tracker: Follower {
    /// All records of `batch` are stored or dead-lettered. Batches are done in any order; `id` says in which order they were read.
    /// `refusals` are those of its lines that the destination refused, in order: pass them to [`Batch::settled`]. `owned` are the
    /// partitions in it that still belong to the consumer. No offset of the batch is committed before this ends.
    fn settled<'a>(
        &'a self,
        id: BatchId,
        batch: &'a Batch,
        refusals: &'a [Refusal],
        owned: Vec<(TopicPartition, i64)>,
    ) -> BoxFuture<'a, ()>;

    /// Makes safe what was settled so far; then its offsets are committed.
    fn keep(&self) -> BoxFuture<'_, ()>;

    /// Shortest wait between two calls of [`Tracker::keep`].
    fn interval(&self) -> Duration;
}

impl Batch {
    /// What became of its records: those with a line, those without one, tombstones, each in the order of reading. Records of revoked
    /// partitions, which their new owner reads again, are still here if they have a line.
    pub fn settled<'a>(&'a self, refusals: &'a [Refusal]) -> impl Iterator<Item = Settled<'a>> {
        let mut refused = refusals.iter().peekable();
        let written = self.entries().iter().enumerate().filter_map(move |(index, entry)| {
            let refusal = refused.next_if(|refusal| refusal.entry == index);
            let fate = refusal.map_or(Fate::Written, |refusal| Fate::DeadLettered(refusal.cause.reason));
            let (partition, payload) = self.payload(entry)?;
            let identity = entry.private.identity(payload);
            Some(Settled {
                partition,
                offset: entry.offset(),
                fate,
                private: entry.private,
                identity,
                time_us: Some(entry.time.div_euclid(1000)),
                tags: entry.tags,
            })
        });
        let dead = self.dead_entries().iter().filter_map(|dead| {
            let (partition, record) = self.dead_record(dead)?;
            Some(pointless(partition, record.offset, Fate::DeadLettered(dead.cause.reason)))
        });
        let tombstones =
            self.tombstone_offsets().map(|(partition, offset)| pointless(partition, offset, Fate::Tombstone));
        written.chain(dead).chain(tombstones)
    }
}

/// A record without a point.
fn pointless(partition: &TopicPartition, offset: i64, fate: Fate) -> Settled<'_> {
    Settled { partition, offset, fate, private: Private::default(), identity: b"", time_us: None, tags: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Cause;
    use crate::testing;

    #[test]
    fn every_record_of_a_batch_is_settled_once() {
        let mut batch = testing::batch("a", 3);
        let partition = testing::partition("b");
        let source = crate::batch::Source {
            slot: 1,
            partition: &partition,
            component: crate::metrics::ComponentId::default(),
        };
        let record = crate::record::Record { offset: 41, payload: Some(b"\x01junk"), ..Default::default() };
        batch.dead(source, &record, None, Cause { reason: Reason::WireFormat, detail: String::new() });
        batch.tombstone(source, 42);
        let refusal = Refusal { entry: 1, cause: Cause { reason: Reason::Refused, detail: String::new() } };
        let refusals = [refusal];
        let settled: Vec<_> = batch.settled(&refusals).collect();
        let seen: Vec<_> = settled.iter().map(|one| (&*one.partition.topic, one.offset, one.fate)).collect();
        let dead = Fate::DeadLettered;
        let expected = [
            ("a", 0, Fate::Written),
            ("a", 1, dead(Reason::Refused)),
            ("a", 2, Fate::Written),
            ("b", 41, dead(Reason::WireFormat)),
            ("b", 42, Fate::Tombstone),
        ];
        assert_eq!(seen, expected);
        assert_eq!(settled[2].time_us, Some(3_000_000));
    }
}
