//! The account of the simulator as people and programs read it: lines in the log, and one JSON file.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::simulator::SimulatorError;
use crate::simulator::account::{Listed, SchemaSent, SentAccount, TopicSent, UndecodableSent};

/// Everything that was sent, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Seed of the values.
    pub seed: u64,
    /// Whether the simulated time ended by itself; else the simulator was stopped before.
    pub complete: bool,
    /// From the first sample to the last acknowledgement.
    pub seconds: f64,
    /// Sums over all topics.
    pub totals: Totals,
    /// The topics that something was sent to.
    pub topics: Vec<TopicReport>,
}

/// Sums over all topics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Records handed to the producer: samples, duplicates, undecodable ones.
    pub sent: u64,
    /// Records that Kafka acknowledged.
    pub delivered: u64,
    /// Records that can never be delivered.
    pub rejected: u64,
    /// Records of which neither is known.
    pub undelivered: u64,
    /// Samples, each counted once.
    pub samples: u64,
    /// Values of the samples, private fields included.
    pub values: u64,
    /// Samples with NaN.
    pub nan: u64,
    /// Samples with an infinity.
    pub infinity: u64,
    /// Samples sent twice.
    pub duplicates: u64,
    /// Samples overtaken by later ones.
    pub late: u64,
    /// Records that nobody can decode.
    pub undecodable: u64,
    /// Sequence numbers that were never sent.
    pub missing: u64,
    /// Schemas that got a further version.
    pub schema_changes: u64,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicReport {
    /// Kafka topic.
    pub topic: String,
    /// SAL component.
    pub component: String,
    /// SAL name.
    pub sal_name: String,
    /// Measurement of its points.
    pub measurement: String,
    /// Records handed to the producer: samples, duplicates, undecodable ones.
    pub sent: u64,
    /// Records that Kafka acknowledged, of all sources together.
    pub delivered: u64,
    /// Records that can never be delivered, of all sources together.
    pub rejected: u64,
    /// Samples, each counted once: the points there must be.
    pub samples: u64,
    /// Values of the samples, private fields included.
    pub values: u64,
    /// Sequence numbers; none for acknowledgements, which repeat those of the commands.
    pub seq_nums: Option<SequenceReport>,
    /// Samples with NaN.
    pub nan: Listed,
    /// Samples with an infinity.
    pub infinity: Listed,
    /// Samples sent twice.
    pub duplicates: Listed,
    /// Samples overtaken by later ones.
    pub late: Listed,
    /// Records that nobody can decode.
    pub undecodable: UndecodableSent,
    /// Versions of the schema.
    pub schemas: Vec<SchemaSent>,
    /// Whether all lists are whole; else `simulator.account_entries` was too small, and only the counts are exact.
    pub lists_complete: bool,
}

/// The sequence numbers of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceReport {
    /// Smallest.
    pub first: i32,
    /// Largest.
    pub last: i32,
    /// Numbers between these that were never sent.
    pub missing: u64,
    /// First and last number of each gap.
    pub gaps: Vec<[i32; 2]>,
}

impl Report {
    /// Puts together what was sent and what became of it.
    pub fn new(
        seed: u64,
        complete: bool,
        seconds: Duration,
        sent: &SentAccount,
        delivered: &Account,
    ) -> Self {
        let mut totals = Totals::default();
        let mut topics = Vec::new();
        for (place, topic) in sent.topics().iter().enumerate().filter(|(_, topic)| topic.records > 0) {
            let outcome = delivered.topics.get(place);
            let report = TopicReport::new(
                topic,
                outcome.map_or(0, |outcome| outcome.delivered),
                outcome.map_or(0, |outcome| outcome.rejected),
            );
            totals.add(&report);
            topics.push(report);
        }
        Self { seed, complete, seconds: seconds.as_secs_f64(), totals, topics }
    }

    /// Reads a file that [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// When there is none, or it is another file.
    pub fn read(path: &Path) -> Result<Self, SimulatorError> {
        let error = |source| SimulatorError::AccountFile { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(error)?;
        serde_json::from_str(&text).map_err(|source| error(source.into()))
    }

    /// Writes the JSON file, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), SimulatorError> {
        let error = |source| SimulatorError::AccountFile { path: path.to_owned(), source };
        let text = serde_json::to_string_pretty(self).map_err(|source| error(source.into()))?;
        let mut partial = path.to_owned().into_os_string();
        partial.push(".partial");
        std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, path)).map_err(error)
    }

    /// Says it in the log: the sums, then one line per topic.
    pub fn log(&self) {
        let totals = &self.totals;
        tracing::info!(
            complete = self.complete,
            seconds = self.seconds,
            sent = totals.sent,
            delivered = totals.delivered,
            rejected = totals.rejected,
            undelivered = totals.undelivered,
            samples = totals.samples,
            values = totals.values,
            injected = injected(totals.injected()),
            "simulator sent"
        );
        for topic in &self.topics {
            tracing::info!(
                topic = topic.topic,
                sent = topic.sent,
                delivered = topic.delivered,
                rejected = topic.rejected,
                samples = topic.samples,
                injected = injected(topic.injected()),
                "simulator sent to topic"
            );
        }
    }
}

impl Totals {
    fn add(&mut self, topic: &TopicReport) {
        self.sent += topic.sent;
        self.delivered += topic.delivered;
        self.rejected += topic.rejected;
        self.undelivered += topic.sent.saturating_sub(topic.delivered + topic.rejected);
        self.samples += topic.samples;
        self.values += topic.values;
        let [nan, infinity, duplicates, late, undecodable, missing, schema_changes] =
            topic.injected().map(|(_, count)| count);
        self.nan += nan;
        self.infinity += infinity;
        self.duplicates += duplicates;
        self.late += late;
        self.undecodable += undecodable;
        self.missing += missing;
        self.schema_changes += schema_changes;
    }

    fn injected(&self) -> [(&'static str, u64); 7] {
        [
            ("nan", self.nan),
            ("infinity", self.infinity),
            ("duplicates", self.duplicates),
            ("late", self.late),
            ("undecodable", self.undecodable),
            ("missing", self.missing),
            ("schema_changes", self.schema_changes),
        ]
    }
}

impl TopicReport {
    fn new(sent: &TopicSent, delivered: u64, rejected: u64) -> Self {
        let lists = [&sent.nan, &sent.infinity, &sent.duplicates, &sent.late];
        let sequence = sent.sequence.as_ref();
        let seq_nums = sequence.and_then(|sequence| {
            let [first, last] = sequence.ends()?;
            Some(SequenceReport { first, last, missing: sequence.missing(), gaps: sequence.gaps().to_vec() })
        });
        Self {
            topic: sent.topic.kafka_name.clone(),
            component: sent.topic.topic.component.to_string(),
            sal_name: sent.topic.topic.sal_name.clone(),
            measurement: sent.topic.topic.measurement(),
            sent: sent.records,
            delivered,
            rejected,
            samples: sent.samples,
            values: sent.values,
            seq_nums,
            nan: sent.nan.clone(),
            infinity: sent.infinity.clone(),
            duplicates: sent.duplicates.clone(),
            late: sent.late.clone(),
            undecodable: sent.undecodable,
            schemas: sent.schemas.clone(),
            lists_complete: lists.into_iter().all(Listed::is_complete)
                && sequence.is_none_or(crate::simulator::sequence::Sequence::is_complete),
        }
    }

    fn injected(&self) -> [(&'static str, u64); 7] {
        [
            ("nan", self.nan.count),
            ("infinity", self.infinity.count),
            ("duplicates", self.duplicates.count),
            ("late", self.late.count),
            ("undecodable", self.undecodable.all()),
            ("missing", self.seq_nums.as_ref().map_or(0, |seq_nums| seq_nums.missing)),
            ("schema_changes", (self.schemas.len() as u64).saturating_sub(1)),
        ]
    }
}

/// `nan=3 late=1`; what did not happen is left out.
fn injected(counts: [(&'static str, u64); 7]) -> String {
    let mut text = String::new();
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{name}={count}", if text.is_empty() { "" } else { " " });
    }
    text
}
