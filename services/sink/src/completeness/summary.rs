//! How many records are not as they should be, by component: what the metrics say of the account. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::runs::{Gap, Run};
use super::tracker::Tracker;
use crate::metrics::{Metrics, component_of};

/// Records of a component, in the partitions that this replica owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Numbers that never came, and records that Kafka deleted before they were read.
    pub missing: u64,
    /// Numbers that came again.
    pub duplicated: u64,
    /// Numbers that were overtaken.
    pub late: u64,
    /// Records whose point replaced that of another record.
    pub merged: u64,
    /// Records in the dead-letter topic that were not redriven.
    pub dead_lettered: u64,
}

impl Summary {
    /// The numbers with the names that their series have.
    pub fn kinds(&self) -> [(&'static str, u64); 5] {
        [
            ("missing", self.missing),
            ("duplicated", self.duplicated),
            ("late", self.late),
            ("merged", self.merged),
            ("dead_lettered", self.dead_lettered),
        ]
    }
}

/// The account is summed up at most so often.
const INTERVAL: Duration = Duration::from_secs(10);

/// Sets the series.
#[derive(Debug)]
pub struct Teller {
    metrics: Arc<Metrics>,
    destination: String,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    components: BTreeSet<String>,
}

impl Teller {
    /// Of the account of one destination.
    pub fn new(metrics: Arc<Metrics>, destination: &str) -> Self {
        Self { metrics, destination: destination.to_owned(), told: Mutex::default() }
    }

    /// Sets the series of all components now and then; those of one that is not owned any more to 0.
    pub fn tell(&self, account: &Tracker) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.at.is_some_and(|at| at.elapsed() < INTERVAL) {
            return;
        }
        told.at = Some(Instant::now());
        let summaries = of(account);
        let nothing = Summary::default().kinds();
        for gone in told.components.iter().filter(|component| !summaries.contains_key(component.as_str())) {
            self.metrics.incomplete(&self.destination, gone, nothing);
        }
        told.components = summaries.keys().map(|component| (*component).to_owned()).collect();
        for (component, summary) in summaries {
            self.metrics.incomplete(&self.destination, component, summary.kinds());
        }
    }
}

/// By component.
pub fn of(account: &Tracker) -> BTreeMap<&str, Summary> {
    let mut summaries: BTreeMap<&str, Summary> = BTreeMap::new();
    for slot in account.followed() {
        let summary = summaries.entry(component_of(&slot.partition.topic)).or_default();
        summary.missing += slot.state.lost.count();
        summary.dead_lettered += slot.state.undecodable.count();
        for writer in &slot.writers {
            let state = &writer.state;
            let gaps = state.runs.iter().flat_map(Run::gaps);
            // What retention deleted is counted with the offsets of the partition.
            let missing = gaps.filter(|gap| !gap.is_of_retention()).map(|gap| Gap::count(&gap)).sum::<u64>();
            summary.missing += missing + state.forgotten;
            summary.duplicated += state.duplicates.count();
            summary.late += state.late.count();
            summary.merged += state.merged.count();
            summary.dead_lettered += state.dead.count();
        }
    }
    summaries
}

#[cfg(test)]
mod tests {
    use efd_kafka::TopicPartition;

    use super::super::tracker::Fact;
    use super::super::writer::{Bounds, Observed};
    use super::*;

    #[test]
    fn what_is_owned_is_summed_by_component() {
        let mut account = Tracker::new(Bounds { spans: 9, entries: 9 });
        let partition = TopicPartition { topic: "lsst.sal.Test.scalars".into(), partition: 0 };
        account.own(std::slice::from_ref(&partition));
        account.follow(&partition, None);
        let slot = account.slot(&partition).unwrap();
        let writer = account.writer(slot, 0, b"Test", 1);
        let fact = |offset, seq, dead| {
            let record = Observed { offset, seq, snd: seq, time: seq * 10, dead };
            Fact { slot, writer, record, tags: 0 }
        };
        account.done(0, vec![fact(0, 1, 0), fact(1, 5, 0), fact(2, 5, 0), fact(3, 6, 1)]);
        account.advance(0);
        let expected = Summary { missing: 3, duplicated: 1, dead_lettered: 1, ..Summary::default() };
        assert_eq!(of(&account), BTreeMap::from([("Test", expected)]));
        account.leave(&[partition]);
        assert!(of(&account).is_empty());
    }
}
