//! What is known of one writer in one partition: which of its records came, came twice, came late, went to the dead-letter topic. Pure.

use serde::{Deserialize, Serialize};

use super::listed::Listed;
use super::runs::{Before, Number, Runs, Seen};

/// Bounds on what is kept of each writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Spans of sequence numbers, so about as many gaps.
    pub spans: usize,
    /// Entries of each list.
    pub entries: usize,
}

/// One record that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// Its offset.
    pub offset: i64,
    /// `private_seqNum`; 0 where the topic has no numbers of its own.
    pub seq: i64,
    /// `private_sndStamp`, nanoseconds.
    pub snd: i64,
    /// Time of its point, Unix microseconds.
    pub time: i64,
    /// Why it is a dead letter, as [`code`](crate::completeness::reason_code) has it; 0 when it was written.
    pub dead: u8,
}

/// What a record was for its writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Accounted for before: read again after a restart of the sink.
    Reread,
    /// A record of its own.
    Own,
    /// Its number was seen before.
    Duplicate,
    /// A dead letter that was redriven and is written now.
    Restored,
}

/// What is known of a writer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterState {
    /// Offset behind the last record accounted for.
    #[serde(rename = "o")]
    pub next_offset: i64,
    /// Records, duplicates and dead letters included.
    #[serde(rename = "r")]
    pub records: u64,
    /// Sequence numbers seen.
    #[serde(rename = "s")]
    pub runs: Runs,
    /// Numbers seen again.
    #[serde(rename = "dup", default, skip_serializing_if = "Listed::is_empty")]
    pub duplicates: Listed,
    /// Numbers that were overtaken.
    #[serde(rename = "late", default, skip_serializing_if = "Listed::is_empty")]
    pub late: Listed,
    /// Records whose point replaced that of another record.
    #[serde(rename = "merged", default, skip_serializing_if = "Listed::is_empty")]
    pub merged: Listed,
    /// Dead letters that were not redriven.
    #[serde(rename = "dead", default, skip_serializing_if = "Listed::is_empty")]
    pub dead: Listed,
    /// Dead letters that were redriven and are written.
    #[serde(rename = "back", default)]
    pub restored: u64,
    /// Missing numbers in gaps that are no longer listed.
    #[serde(rename = "gone", default)]
    pub forgotten: u64,
    /// `private_sndStamp` of the last record in order, nanoseconds. Numbers of other partitions are joined into `runs`, but only a
    /// record of this one can overtake another.
    #[serde(rename = "top", default)]
    top_snd: i64,
    /// Time of the newest point, Unix microseconds.
    #[serde(rename = "t", default)]
    pub last_time: i64,
}

impl WriterState {
    /// Accounts for a record. `before` is what the offsets say of what was read since the writer's last record.
    pub fn observe(&mut self, record: &Observed, before: Before, bounds: Bounds) -> Found {
        if record.offset < self.next_offset {
            return Found::Reread;
        }
        self.next_offset = record.offset + 1;
        self.records += 1;
        self.last_time = self.last_time.max(record.time);
        if record.seq <= 0 {
            if record.dead != 0 {
                self.dead.add(record.offset, Some(record.time), record.dead, bounds.entries);
            }
            return Found::Own;
        }
        let number = Number { seq: record.seq, snd: record.snd, time: record.time, before };
        let seen = self.runs.add(&number);
        self.forgotten += self.runs.shrink(bounds.spans);
        let time = Some(record.time);
        match seen {
            Seen::Again if self.dead.contains(record.seq) => {
                if record.dead != 0 {
                    return Found::Own;
                }
                self.dead.remove(record.seq);
                self.restored += 1;
                return Found::Restored;
            }
            Seen::Again => {
                self.duplicates.add(record.seq, time, 0, bounds.entries);
                return Found::Duplicate;
            }
            Seen::Late if record.snd < self.top_snd => {
                self.late.add(record.seq, time, 0, bounds.entries);
            }
            Seen::Late | Seen::InOrder => self.top_snd = record.snd,
        }
        if record.dead != 0 {
            self.dead.add(record.seq, time, record.dead, bounds.entries);
        }
        Found::Own
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
