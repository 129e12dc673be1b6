//! Which sequence numbers of a writer were seen. Pure.
//!
//! The numbers of a run rise by one. A number that falls while the writer's clock rises begins a new run: the writer was
//! restarted, or its numbers began again behind the last. Late numbers find the run of their time. Holes between the numbers of a run
//! are what is missing; nothing is known of numbers before the first and behind the last.

use serde::{Deserialize, Serialize};

/// What the offsets say of the hole before a span: why numbers may be missing there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Before {
    /// Every offset was read: the numbers were never in Kafka.
    #[default]
    Contiguous,
    /// Offsets are missing too: compacted away, of an aborted transaction, or never given to a record.
    OffsetHole,
    /// Kafka's retention had deleted records that were not read yet.
    Retention,
}

impl Before {
    fn code(self) -> u8 {
        match self {
            Self::Contiguous => 0,
            Self::OffsetHole => 1,
            Self::Retention => 2,
        }
    }

    fn of_code(code: u8) -> Self {
        match code {
            0 => Self::Contiguous,
            2 => Self::Retention,
            _ => Self::OffsetHole,
        }
    }
}

/// Consecutive numbers that were all seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SpanText", into = "SpanText")]
pub struct Span {
    /// First number.
    pub first: i64,
    /// Last number.
    pub last: i64,
    /// Time of the first one's point, Unix microseconds.
    pub first_time: i64,
    /// Time of the last one's point.
    pub last_time: i64,
    /// What the offsets say of the hole before.
    pub before: Before,
}

/// As it is written: first number, further numbers, time of the first, time until the last, hole before.
type SpanText = (i64, i64, i64, i64, u8);

impl From<SpanText> for Span {
    fn from((first, more, first_time, until, before): SpanText) -> Self {
        let (last, last_time) = (first.saturating_add(more.max(0)), first_time.saturating_add(until));
        Self { first, last, first_time, last_time, before: Before::of_code(before) }
    }
}

impl From<Span> for SpanText {
    fn from(span: Span) -> Self {
        let until = span.last_time.saturating_sub(span.first_time);
        (span.first, span.last.saturating_sub(span.first), span.first_time, until, span.before.code())
    }
}

/// Numbers that were not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// First number.
    pub first: i64,
    /// Last number.
    pub last: i64,
    /// Time of the point before.
    pub after: i64,
    /// Time of the point behind.
    pub until: i64,
    /// What the offsets say.
    pub before: Before,
}

impl Gap {
    /// Whether Kafka's retention made it.
    pub fn is_of_retention(&self) -> bool {
        self.before == Before::Retention
    }

    /// How many numbers.
    pub fn count(&self) -> u64 {
        u64::try_from(self.last.saturating_sub(self.first).saturating_add(1)).unwrap_or_default()
    }
}

/// One number with its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// The number, from 1.
    pub seq: i64,
    /// `private_sndStamp`, nanoseconds.
    pub snd: i64,
    /// Time of its point, Unix microseconds.
    pub time: i64,
    /// What the offsets say of what was read since the writer's last record.
    pub before: Before,
}

/// What a number is among those seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Higher than all of its run.
    InOrder,
    /// Not seen before, but overtaken by a higher one.
    Late,
    /// Seen before.
    Again,
}

/// Numbers between two restarts of the writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// `private_sndStamp` of the lowest number, nanoseconds.
    #[serde(rename = "f")]
    first_snd: i64,
    /// That of the highest.
    #[serde(rename = "l")]
    last_snd: i64,
    /// In order, at least one.
    #[serde(rename = "s")]
    spans: Vec<Span>,
}

impl Run {
    fn new(number: &Number) -> Self {
        let (seq, time) = (number.seq, number.time);
        let span = Span { first: seq, last: seq, first_time: time, last_time: time, before: number.before };
        Self { first_snd: number.snd, last_snd: number.snd, spans: vec![span] }
    }

    fn first(&self) -> i64 {
        self.spans.first().map_or(i64::MAX, |span| span.first)
    }

    fn last(&self) -> i64 {
        self.spans.last().map_or(i64::MIN, |span| span.last)
    }

    /// What is missing between the spans.
    pub fn gaps(&self) -> impl Iterator<Item = Gap> + '_ {
        self.spans.iter().zip(self.spans.iter().skip(1)).map(|(below, above)| Gap {
            first: below.last + 1,
            last: above.first - 1,
            after: below.last_time,
            until: above.first_time,
            before: above.before,
        })
    }

    fn add(&mut self, number: &Number) -> Seen {
        let Number { seq, time, .. } = *number;
        if let Some(top) = self.spans.last_mut()
            && seq > top.last
        {
            if seq == top.last + 1 {
                (top.last, top.last_time) = (seq, time);
            } else {
                let before = number.before;
                self.spans.push(Span { first: seq, last: seq, first_time: time, last_time: time, before });
            }
            self.last_snd = number.snd;
            return Seen::InOrder;
        }
        let above = self.spans.partition_point(|span| span.last < seq);
        let upper = self.spans.get(above);
        if upper.is_some_and(|span| span.first <= seq) {
            return Seen::Again;
        }
        // The hole it falls into was judged when its upper end came.
        let before = upper.map_or(number.before, |span| span.before);
        self.insert(Span { first: seq, last: seq, first_time: time, last_time: time, before });
        if seq == self.first() {
            self.first_snd = number.snd;
        }
        Seen::Late
    }

    /// Adds a span and joins it with those it touches.
    fn insert(&mut self, span: Span) {
        let from = self.spans.partition_point(|known| known.last < span.first.saturating_sub(1));
        let to = self.spans.partition_point(|known| known.first <= span.last.saturating_add(1));
        let mut joined = span;
        for known in self.spans.get(from..to).unwrap_or_default() {
            if known.first <= joined.first {
                (joined.first, joined.first_time, joined.before) =
                    (known.first, known.first_time, known.before);
            }
            if known.last >= joined.last {
                (joined.last, joined.last_time) = (known.last, known.last_time);
            }
        }
        self.spans.splice(from..to.max(from), [joined]);
    }

    fn absorb(&mut self, other: &Self) {
        if other.first() < self.first() {
            self.first_snd = other.first_snd;
        }
        if other.last() > self.last() {
            self.last_snd = other.last_snd;
        }
        for span in &other.spans {
            self.insert(*span);
        }
    }
}

/// All runs of a writer, in the order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Runs {
    runs: Vec<Run>,
}

impl Runs {
    /// Takes a number.
    pub fn add(&mut self, number: &Number) -> Seen {
        match self.place(number).and_then(|index| self.runs.get_mut(index)) {
            Some(run) => run.add(number),
            None => {
                self.runs.push(Run::new(number));
                Seen::InOrder
            }
        }
    }

    /// The run that a number belongs to; none means that it begins a new one.
    fn place(&self, number: &Number) -> Option<usize> {
        let newest = self.runs.last()?;
        let end = self.runs.len() - 1;
        if number.snd >= newest.last_snd {
            let goes_on = number.seq > newest.last() || number.snd == newest.last_snd;
            return goes_on.then_some(end);
        }
        if number.seq > newest.last() && (end == 0 || number.snd >= newest.first_snd) {
            return Some(end);
        }
        let begun = self.runs.iter().rposition(|run| run.first_snd <= number.snd);
        let Some(index) = begun else { return Some(0) };
        let ends_before = self.runs.get(index).is_some_and(|run| run.last_snd < number.snd);
        let is_below = self.runs.get(index).is_some_and(|run| number.seq <= run.last());
        // Between two runs, a number that this one has passed already can only be the beginning of the next.
        Some(if ends_before && is_below { (index + 1).min(end) } else { index })
    }

    /// Joins what others saw of the same writer in other partitions of its topic.
    pub fn absorb(&mut self, others: &[&Self]) {
        let mut all: Vec<Run> = std::mem::take(&mut self.runs);
        all.extend(others.iter().flat_map(|other| other.runs.iter().cloned()));
        all.sort_by_key(|run| run.first_snd);
        for run in all {
            match self.runs.last_mut() {
                Some(last) if run.first_snd <= last.last_snd || run.first() > last.last() => {
                    last.absorb(&run)
                }
                _ => self.runs.push(run),
            }
        }
    }

    /// The runs, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter()
    }

    /// Forgets the oldest holes until no more than `bound` spans are left; gives how many missing numbers were forgotten.
    pub fn shrink(&mut self, bound: usize) -> u64 {
        let mut forgotten = 0;
        let mut spans: usize = self.runs.iter().map(|run| run.spans.len()).sum();
        while spans > bound.max(1) {
            let Some(oldest) = self.runs.first_mut() else { break };
            let gap = oldest.gaps().next();
            match gap {
                Some(gap) => {
                    forgotten += gap.count();
                    let below = oldest.spans.remove(0);
                    if let Some(above) = oldest.spans.first_mut() {
                        (above.first, above.first_time, above.before) =
                            (below.first, below.first_time, below.before);
                    }
                }
                None => drop(self.runs.remove(0)),
            }
            spans -= 1;
        }
        forgotten
    }
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;
