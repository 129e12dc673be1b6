//! What the account says: topic by topic, what is missing and why. Pure.

use std::collections::BTreeMap;

use efd_kafka::TopicPartition;
use efd_proto::sink::v1::{Cause, CompletenessResponse, Counts, Finding, Kind};

use super::listed::{Item, Listed};
use super::partition::WriterKey;
use super::reason_label;
use super::runs::{Before, Run, Runs};
use super::view::{PartitionView, View};
use super::writer::WriterState;

/// Findings of one response.
const FINDINGS: usize = 1000;

/// Which topics, and which times.
#[derive(Debug, Clone, Default)]
pub struct Range {
    /// First event time, Unix microseconds.
    pub start: Option<i64>,
    /// Last event time.
    pub end: Option<i64>,
}

impl Range {
    fn is_all(&self) -> bool {
        self.start.is_none() && self.end.is_none()
    }

    /// Whether something that lasted from `first` to `last` lies in it, if only in part; what has no time always does.
    fn has(&self, first: Option<i64>, last: Option<i64>) -> bool {
        let begins = self.end.is_none_or(|end| first.is_none_or(|first| first <= end));
        let ends = self.start.is_none_or(|start| last.is_none_or(|last| last >= start));
        begins && ends
    }
}

/// What is said of one topic. `ends` are the offsets that the next record of each partition will get, for all partitions that exist;
/// `oldest` those of the oldest record kept.
pub fn topic(
    view: &View,
    name: &str,
    ends: &BTreeMap<i32, (i64, i64)>,
    range: &Range,
) -> Vec<CompletenessResponse> {
    let mut report =
        Report { range, counts: Counts { listed: true, ..Counts::default() }, findings: Vec::new() };
    let mut writers: BTreeMap<&WriterKey, Vec<&WriterState>> = BTreeMap::new();
    let nothing = PartitionView::default();
    for (partition, (oldest, end)) in ends {
        let place = TopicPartition { topic: name.into(), partition: *partition };
        let kept = view.partition(&place).unwrap_or(&nothing);
        report.partition(*partition, kept, *oldest, *end);
        for (key, state) in &kept.writers {
            writers.entry(key).or_default().push(state);
        }
    }
    let has_numbers = !name.ends_with(".ackcmd");
    for (key, states) in writers {
        report.writer(key, &states, has_numbers);
    }
    report.responses(name)
}

struct Report<'a> {
    range: &'a Range,
    counts: Counts,
    findings: Vec<Finding>,
}

impl Report<'_> {
    fn partition(&mut self, partition: i32, kept: &PartitionView, oldest: i64, end: i64) {
        let state = kept.state.clone().unwrap_or_default();
        let writers = kept.writers.values().map(|writer| writer.records).sum::<u64>();
        self.counts.records += writers + state.undecodable.count();
        let next = state.next_offset.unwrap_or(oldest).max(oldest);
        if end > next {
            let waiting = u64::try_from(end - next).unwrap_or_default();
            self.counts.not_yet_written += waiting;
            self.findings.push(Finding {
                kind: Kind::NotYetWritten.into(),
                cause: Cause::Lag.into(),
                first: next,
                last: end - 1,
                count: waiting,
                offsets: true,
                partition,
                ..Finding::default()
            });
        }
        let who = Finding { offsets: true, partition, ..Finding::default() };
        let mut lost = state.lost;
        if let Some(next) = state.next_offset
            && oldest > next
        {
            // Not in the account before the worker reads on, and nobody knows whether there is something to read.
            let before = kept.writers.values().map(|writer| writer.last_time).max();
            let item = Item { first: next, last: oldest - 1, first_time: before, last_time: None, reason: 0 };
            lost.add_all(item, usize::MAX);
        }
        self.counts.lost += self.list(&lost, Kind::Lost, &who);
        self.counts.dead_lettered += self.list(&state.undecodable, Kind::DeadLettered, &who);
    }

    fn writer(&mut self, key: &WriterKey, states: &[&WriterState], has_numbers: bool) {
        let who = Finding {
            sal_index: key.sal_index,
            identity: key.identity.to_string(),
            origin: key.origin,
            offsets: !has_numbers,
            ..Finding::default()
        };
        let mut runs = Runs::default();
        runs.absorb(&states.iter().map(|state| &state.runs).collect::<Vec<_>>());
        for gap in runs.iter().flat_map(Run::gaps) {
            if !self.range.has(Some(gap.after), Some(gap.until)) {
                continue;
            }
            let cause = match gap.before {
                Before::Contiguous => Cause::Producer,
                Before::OffsetHole => Cause::OffsetHole,
                Before::Retention => Cause::KafkaRetention,
            };
            self.counts.missing += gap.count();
            self.findings.push(Finding {
                kind: Kind::Missing.into(),
                cause: cause.into(),
                first: gap.first,
                last: gap.last,
                count: gap.count(),
                start: Some(timestamp(gap.after)),
                end: Some(timestamp(gap.until)),
                ..who.clone()
            });
        }
        for state in states {
            self.counts.duplicated += self.list(&state.duplicates, Kind::Duplicated, &who);
            self.counts.late += self.list(&state.late, Kind::Late, &who);
            self.counts.merged += self.list(&state.merged, Kind::Merged, &who);
            self.counts.dead_lettered += self.list(&state.dead, Kind::DeadLettered, &who);
            self.counts.restored += state.restored;
            self.counts.forgotten += state.forgotten;
            self.counts.listed &= state.forgotten == 0;
        }
    }

    /// Adds the items of a list; gives how many records that is.
    fn list(&mut self, listed: &Listed, kind: Kind, who: &Finding) -> u64 {
        let mut all = 0;
        let mut chosen = 0;
        for item in listed.items() {
            let count = item.count();
            all += count;
            if self.range.has(item.first_time, item.last_time) {
                chosen += count;
                self.findings.push(finding(item, kind, count, who));
            }
        }
        self.counts.listed &= all == listed.count();
        if self.range.is_all() { listed.count() } else { chosen }
    }

    fn responses(mut self, topic: &str) -> Vec<CompletenessResponse> {
        let order = |finding: &Finding| {
            let start = finding.start.as_ref().map(|start| (start.seconds, start.nanos));
            (finding.kind, start, finding.first)
        };
        self.findings.sort_by_key(order);
        let response = |counts, findings| CompletenessResponse { topic: topic.to_owned(), counts, findings };
        let mut parts = self.findings.chunks(FINDINGS).map(<[Finding]>::to_vec);
        let mut responses = vec![response(Some(self.counts), parts.next().unwrap_or_default())];
        responses.extend(parts.map(|part| response(None, part)));
        responses
    }
}

fn finding(item: &Item, kind: Kind, count: u64, who: &Finding) -> Finding {
    let cause = match kind {
        Kind::DeadLettered => Cause::Refused,
        Kind::Lost => Cause::KafkaRetention,
        _ => Cause::Unspecified,
    };
    Finding {
        kind: kind.into(),
        cause: cause.into(),
        first: item.first,
        last: item.last,
        count,
        start: item.first_time.map(timestamp),
        end: item.last_time.map(timestamp),
        reason: reason_label(item.reason).to_owned(),
        ..who.clone()
    }
}

/// Unix microseconds as a timestamp.
pub fn timestamp(micros: i64) -> prost_types::Timestamp {
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or_default();
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

/// A timestamp as Unix microseconds.
pub fn micros(time: &prost_types::Timestamp) -> i64 {
    time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos) / 1000)
}

/// Offsets of partitions by topic: the oldest, and the one that the next record will get.
pub type Extents = BTreeMap<String, BTreeMap<i32, (i64, i64)>>;

#[cfg(test)]
mod tests {
    use super::super::partition::PartitionState;
    use super::super::stored::{Kept, Stored};
    use super::super::writer::{Bounds, Observed};
    use super::*;

    const TOPIC: &str = "lsst.sal.Test.scalars";

    fn view(partitions: &[&[(i64, i64)]]) -> View {
        let mut view = View::default();
        for (number, seqs) in partitions.iter().enumerate() {
            let partition = TopicPartition { topic: TOPIC.into(), partition: i32::try_from(number).unwrap() };
            let mut state = WriterState::default();
            for (offset, seq) in *seqs {
                let record = Observed { offset: *offset, seq: *seq, snd: *seq, time: *seq, dead: 0 };
                state.observe(&record, Before::Contiguous, Bounds { spans: 9, entries: 9 });
            }
            let key = WriterKey { sal_index: 0, identity: "Test".into(), origin: 1 };
            view.apply(Stored::new(&partition, Some(key), Some(Kept::Writer(state))));
        }
        view
    }

    #[test]
    fn a_number_that_lies_in_another_partition_is_not_missing() {
        let view = view(&[&[(0, 1), (1, 3), (2, 5)], &[(0, 2), (1, 6)]]);
        let ends = BTreeMap::from([(0, (0, 3)), (1, (0, 2))]);
        let responses = topic(&view, TOPIC, &ends, &Range::default());
        let missing: Vec<_> = responses[0].findings.iter().filter(|f| f.kind() == Kind::Missing).collect();
        assert_eq!((missing.len(), missing[0].first, missing[0].last), (1, 4, 4));
        assert_eq!(missing[0].cause(), Cause::Producer);
        assert_eq!(responses[0].counts.as_ref().unwrap().missing, 1);
    }

    #[test]
    fn what_retention_deleted_is_listed_by_offset_and_not_added_to_the_gaps() {
        let mut view = view(&[&[(0, 1), (1, 2)]]);
        let partition = TopicPartition { topic: TOPIC.into(), partition: 0 };
        let mut state = PartitionState { next_offset: Some(20), ..PartitionState::default() };
        let times = (Some(2), Some(9));
        let item = Item { first: 5, last: 9, first_time: times.0, last_time: times.1, reason: 0 };
        state.lost.add_all(item, 9);
        view.apply(Stored::new(&partition, None, Some(Kept::Partition(state))));
        // What follows is deleted too, and the worker has not come to it.
        let ends = BTreeMap::from([(0, (30, 30))]);
        let responses = topic(&view, TOPIC, &ends, &Range::default());
        let counts = responses[0].counts.as_ref().unwrap();
        assert_eq!((counts.lost, counts.missing, counts.not_yet_written, counts.listed), (15, 0, 0, true));
        let lost: Vec<_> = responses[0].findings.iter().filter(|f| f.kind() == Kind::Lost).collect();
        let seen: Vec<_> = lost.iter().map(|one| (one.first, one.last, one.offsets, one.cause())).collect();
        let why = Cause::KafkaRetention;
        assert_eq!(seen, [(5, 9, true, why), (20, 29, true, why)]);
        let range = Range { start: Some(10), end: None };
        let responses = topic(&view, TOPIC, &ends, &range);
        assert_eq!(responses[0].counts.as_ref().unwrap().lost, 10);
        let range = Range { start: None, end: Some(1) };
        let responses = topic(&view, TOPIC, &ends, &range);
        assert_eq!(responses[0].counts.as_ref().unwrap().lost, 0);
    }

    #[test]
    fn only_what_lies_in_the_range_is_said() {
        let view = view(&[&[(0, 1), (1, 5), (2, 9), (3, 9)]]);
        let ends = BTreeMap::from([(0, (0, 10))]);
        let range = Range { start: Some(6), end: Some(8) };
        let responses = topic(&view, TOPIC, &ends, &range);
        let counts = responses[0].counts.as_ref().unwrap();
        assert_eq!((counts.missing, counts.duplicated, counts.records), (3, 0, 4));
    }
}
