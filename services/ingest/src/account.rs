//! What was taken, delivered and rejected, per topic: every sample has exactly one end.

use std::fmt;
use std::sync::Arc;

use crate::sample::SampleTopic;

/// Counts of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicAccount {
    /// SAL component.
    pub component: Arc<str>,
    /// SAL name.
    pub sal_name: String,
    /// Kafka topic.
    pub kafka_name: String,
    /// Measurement that its records have in InfluxDB.
    pub measurement: String,
    /// Samples taken from the sources.
    pub produced: u64,
    /// Records that Kafka acknowledged, each counted once.
    pub delivered: u64,
    /// Samples that can never be delivered: not as the interface says, or larger than Kafka takes.
    pub rejected: u64,
}

impl TopicAccount {
    /// Taken, neither acknowledged nor rejected.
    pub fn undelivered(&self) -> u64 {
        self.produced.saturating_sub(self.delivered + self.rejected)
    }
}

/// Counts of all topics, in the order of the components and their interfaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// One entry per topic, also for those without a sample.
    pub topics: Vec<TopicAccount>,
}

impl Account {
    /// An account with nothing in it.
    pub fn new(topics: &[Arc<SampleTopic>]) -> Self {
        let entry = |topic: &Arc<SampleTopic>| TopicAccount {
            component: topic.topic.component.clone(),
            sal_name: topic.topic.sal_name.clone(),
            kafka_name: topic.kafka_name.clone(),
            measurement: topic.topic.measurement(),
            produced: 0,
            delivered: 0,
            rejected: 0,
        };
        Self { topics: topics.iter().map(entry).collect() }
    }

    /// Samples taken from the sources.
    pub fn produced(&self) -> u64 {
        self.topics.iter().map(|topic| topic.produced).sum()
    }

    /// Records that Kafka acknowledged.
    pub fn delivered(&self) -> u64 {
        self.topics.iter().map(|topic| topic.delivered).sum()
    }

    /// Samples that can never be delivered.
    pub fn rejected(&self) -> u64 {
        self.topics.iter().map(|topic| topic.rejected).sum()
    }

    /// Samples that were taken and are neither acknowledged nor rejected.
    pub fn undelivered(&self) -> u64 {
        self.topics.iter().map(TopicAccount::undelivered).sum()
    }

    pub(crate) fn topic(&mut self, topic: &SampleTopic) -> Option<&mut TopicAccount> {
        self.topics.get_mut(topic.id)
    }
}

/// `lsst.sal.Test.scalars=120 lsst.sal.Test.arrays=12`: records delivered, only topics that had a sample.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for topic in self.topics.iter().filter(|topic| topic.produced > 0) {
            write!(f, "{separator}{}={}", topic.kafka_name, topic.delivered)?;
            separator = " ";
        }
        Ok(())
    }
}
