//! What a batch says to the account: one fact for each record, in the order in which they are judged. Pure.

use efd_kafka::TopicPartition;

use super::reason_code;
use super::tracker::{Fact, Tracker as Account};
use super::writer::Observed;
use crate::batch::Batch;
use crate::line_writer::Refusal;
use crate::settled::{Fate, Settled};

/// The facts of a batch; records of partitions without a slot are left out.
pub fn of(
    account: &mut Account,
    batch: &Batch,
    refusals: &[Refusal],
    slot_of: impl Fn(&TopicPartition) -> Option<usize>,
) -> Vec<Fact> {
    let records = batch.entries().len() + batch.dead_entries().len() + batch.tombstones();
    let mut facts = Vec::with_capacity(records);
    let mut last: Option<(&TopicPartition, Option<usize>)> = None;
    for settled in batch.settled(refusals) {
        let slot = match last {
            // Records come in runs of one partition.
            Some((partition, slot)) if std::ptr::eq(partition, settled.partition) => slot,
            _ => slot_of(settled.partition),
        };
        last = Some((settled.partition, slot));
        if let Some(slot) = slot {
            facts.push(fact(account, slot, &settled));
        }
    }
    // Records without a point come behind the others, but are judged in their place.
    facts.sort_by_key(|fact| (fact.slot, fact.record.offset));
    facts
}

fn fact(account: &mut Account, slot: usize, settled: &Settled<'_>) -> Fact {
    let dead = match settled.fate {
        Fate::Written | Fate::Tombstone => 0,
        Fate::DeadLettered(reason) => reason_code(reason),
    };
    let private = &settled.private;
    let Some(time) = settled.time_us else {
        let record = Observed { offset: settled.offset, seq: 0, snd: 0, time: 0, dead };
        return Fact { slot, writer: None, record, tags: 0 };
    };
    let seq = if account.has_numbers(slot) { private.seq_num } else { 0 };
    let record = Observed { offset: settled.offset, seq, snd: nanos(private.snd_stamp), time, dead };
    let writer = account.writer(slot, private.sal_index, settled.identity, private.origin);
    Fact { slot, writer, record, tags: settled.tags }
}

/// Seconds as nanoseconds; the order stays, and equal stamps stay equal.
#[expect(clippy::cast_possible_truncation, reason = "a float too large becomes the largest integer, NaN 0")]
fn nanos(seconds: f64) -> i64 {
    (seconds * 1e9) as i64
}
