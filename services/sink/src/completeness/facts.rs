//! What a batch says to the account: one fact for each record, in the order in which they are judged. Pure.

use std::collections::HashMap;

use efd_kafka::TopicPartition;

use super::reason_code;
use super::tracker::{Fact, Tracker as Account};
use super::writer::Observed;
use crate::batch::Batch;
use crate::line_writer::Refusal;
use crate::settled::{Fate, Settled};

/// What has to be known of a partition to tell holes in its offsets.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Lowest offset.
    pub lowest: i64,
    /// Highest offset.
    pub highest: i64,
    /// Records.
    pub count: i64,
}

/// The facts of a batch; records of partitions without a slot are left out.
pub fn of(
    account: &mut Account,
    batch: &Batch,
    refusals: &[Refusal],
    slot_of: impl Fn(&TopicPartition) -> Option<usize>,
) -> Vec<Fact> {
    let mut facts = Vec::with_capacity(batch.entries().len() + batch.dead_entries().len());
    for (settled, slot) in with_slots(batch, refusals, slot_of) {
        facts.push(fact(account, slot, &settled));
    }
    // Dead letters come behind the others, but are judged in their place.
    facts.sort_by_key(|fact| (fact.slot, fact.record.offset));
    facts
}

/// How far the records of a batch reach in each partition that has a slot.
pub fn extents(
    batch: &Batch,
    refusals: &[Refusal],
    slot_of: impl Fn(&TopicPartition) -> Option<usize>,
) -> HashMap<usize, (TopicPartition, Extent)> {
    let mut extents: HashMap<usize, (TopicPartition, Extent)> = HashMap::new();
    for (settled, slot) in with_slots(batch, refusals, slot_of) {
        let offset = settled.offset;
        let (_, extent) = extents.entry(slot).or_insert_with(|| {
            (settled.partition.clone(), Extent { lowest: offset, highest: offset, count: 0 })
        });
        extent.lowest = extent.lowest.min(offset);
        extent.highest = extent.highest.max(offset);
        extent.count += 1;
    }
    extents
}

fn with_slots<'a>(
    batch: &'a Batch,
    refusals: &'a [Refusal],
    slot_of: impl Fn(&TopicPartition) -> Option<usize>,
) -> impl Iterator<Item = (Settled<'a>, usize)> {
    let mut last: Option<(&TopicPartition, Option<usize>)> = None;
    batch.settled(refusals).filter_map(move |settled| {
        let slot = match last {
            // Records come in runs of one partition.
            Some((partition, slot)) if std::ptr::eq(partition, settled.partition) => slot,
            _ => slot_of(settled.partition),
        };
        last = Some((settled.partition, slot));
        slot.map(|slot| (settled, slot))
    })
}

fn fact(account: &mut Account, slot: usize, settled: &Settled<'_>) -> Fact {
    let dead = match settled.fate {
        Fate::Written => 0,
        Fate::DeadLettered(reason) => reason_code(reason),
    };
    let private = &settled.private;
    let Some(time) = settled.time_us else {
        let record = Observed { offset: settled.offset, seq: 0, snd: 0, time: 0, dead };
        return Fact { slot, writer: None, record };
    };
    let seq = if account.has_numbers(slot) { private.seq_num } else { 0 };
    let record = Observed { offset: settled.offset, seq, snd: nanos(private.snd_stamp), time, dead };
    let writer = account.writer(slot, private.sal_index, settled.identity, private.origin);
    Fact { slot, writer, record }
}

/// Seconds as nanoseconds; the order stays, and equal stamps stay equal.
#[expect(clippy::cast_possible_truncation, reason = "a float too large becomes the largest integer, NaN 0")]
fn nanos(seconds: f64) -> i64 {
    (seconds * 1e9) as i64
}
