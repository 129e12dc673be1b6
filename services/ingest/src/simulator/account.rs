//! What the simulator sent, per topic and exactly: so that a test can account for each record. Pure.
//!
//! Everything follows from the records themselves in the order in which they were sent. A gap is what is missing among
//! the sequence numbers at the end; a late sample fills the gap that it left.

use std::sync::Arc;

use efd_sal::{Topic, TopicKind};
use serde::{Deserialize, Serialize};

use crate::damage::Damage;
use crate::sample::{Sample, SampleTopic};
use crate::simulator::made::{Kind, Made, NotFinite};
use crate::simulator::sequence::Sequence;
use crate::simulator::summit::value_count;

/// What was sent so far.
#[derive(Debug)]
pub struct SentAccount {
    topics: Vec<TopicSent>,
    /// Bound on each list.
    entries: usize,
}

/// What was sent to one topic.
#[derive(Debug, Clone)]
pub struct TopicSent {
    /// The topic, in the version sent last.
    pub topic: Arc<SampleTopic>,
    /// Records: samples, duplicates and undecodable ones.
    pub records: u64,
    /// Samples, each counted once.
    pub samples: u64,
    /// Values of the samples, private fields included.
    pub values: u64,
    /// Which sequence numbers were sent; not kept of acknowledgements, which repeat those of the commands.
    pub sequence: Option<Sequence>,
    /// Samples in which one float is NaN.
    pub nan: Listed,
    /// Samples in which one float is infinite.
    pub infinity: Listed,
    /// Samples that were sent twice.
    pub duplicates: Listed,
    /// Samples that were overtaken by later ones.
    pub late: Listed,
    /// Undecodable records.
    pub undecodable: UndecodableSent,
    /// Versions of the schema, each from which sample on.
    pub schemas: Vec<SchemaSent>,
    values_per_sample: u64,
}

/// A count, and the sequence numbers of the first of what was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// How many.
    pub count: u64,
    /// Which.
    pub seq_nums: Vec<i32>,
}

/// Undecodable records by what is wrong with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndecodableSent {
    /// Not in the wire format.
    pub magic: u64,
    /// End in the middle of the body.
    pub truncated: u64,
    /// Too short for a schema id.
    pub short: u64,
}

/// One version of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaSent {
    /// Id in the registry.
    pub id: u32,
    /// Sequence number of the first sample with it.
    pub from_seq_num: i32,
}

impl SentAccount {
    /// Nothing sent; lists will have no more than `entries` entries.
    pub fn new(topics: &[Arc<SampleTopic>], entries: usize) -> Self {
        Self { topics: topics.iter().map(|topic| TopicSent::new(topic, entries)).collect(), entries }
    }

    /// One record was handed to the producer.
    pub fn sent(&mut self, made: &Made) {
        if let Some(topic) = self.topics.get_mut(made.sample.topic.id) {
            topic.sent(made, self.entries);
        }
    }

    /// All topics, in their order.
    pub fn topics(&self) -> &[TopicSent] {
        &self.topics
    }

    /// Records in all topics.
    pub fn records(&self) -> u64 {
        self.topics.iter().map(|topic| topic.records).sum()
    }
}

impl TopicSent {
    fn new(topic: &Arc<SampleTopic>, entries: usize) -> Self {
        Self {
            topic: topic.clone(),
            records: 0,
            samples: 0,
            values: 0,
            sequence: (topic.topic.kind != TopicKind::Ack).then(|| Sequence::new(entries)),
            nan: Listed::default(),
            infinity: Listed::default(),
            duplicates: Listed::default(),
            late: Listed::default(),
            undecodable: UndecodableSent::default(),
            schemas: Vec::new(),
            values_per_sample: values_per_sample(&topic.topic),
        }
    }

    fn sent(&mut self, made: &Made, entries: usize) {
        self.records += 1;
        let seq_num = made.sample.stamps.seq_num;
        match made.mark.kind {
            Kind::Undecodable(damage) => {
                self.undecodable.add(damage);
                return;
            }
            Kind::Duplicate => {
                self.duplicates.add(seq_num, entries);
                return;
            }
            Kind::Sample => {}
        }
        self.version(&made.sample);
        self.samples += 1;
        self.values += self.values_per_sample;
        if let Some(sequence) = &mut self.sequence {
            sequence.sent(seq_num);
        }
        match made.mark.not_finite {
            Some(NotFinite::Nan) => self.nan.add(seq_num, entries),
            Some(NotFinite::Infinity) => self.infinity.add(seq_num, entries),
            None => {}
        }
        if made.mark.late {
            self.late.add(seq_num, entries);
        }
    }

    /// Notes which version of the schema a sample has, when it is the first with it.
    fn version(&mut self, sample: &Sample) {
        let id = sample.topic.plan.schema_id();
        if self.schemas.iter().any(|schema| schema.id == id) {
            return;
        }
        self.schemas.push(SchemaSent { id, from_seq_num: sample.stamps.seq_num });
        self.topic = sample.topic.clone();
        self.values_per_sample = values_per_sample(&sample.topic.topic);
    }
}

impl Listed {
    fn add(&mut self, seq_num: i32, entries: usize) {
        self.count += 1;
        if self.seq_nums.len() < entries {
            self.seq_nums.push(seq_num);
        }
    }

    /// Whether everything that was counted is in the list.
    pub fn is_complete(&self) -> bool {
        self.count == self.seq_nums.len() as u64
    }
}

impl UndecodableSent {
    fn add(&mut self, damage: Damage) {
        match damage {
            Damage::Magic => self.magic += 1,
            Damage::Truncated => self.truncated += 1,
            Damage::Short => self.short += 1,
        }
    }

    /// All of them.
    pub fn all(&self) -> u64 {
        self.magic + self.truncated + self.short
    }
}

fn values_per_sample(topic: &Topic) -> u64 {
    value_count(topic) as u64
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
