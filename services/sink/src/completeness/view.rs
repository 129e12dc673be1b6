//! What is kept of all partitions of a worker, as far as it was read from its topic. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use efd_kafka::TopicPartition;

use super::partition::{PartitionState, WriterKey};
use super::runs::Runs;
use super::stored::{Kept, Stored};
use super::writer::WriterState;

/// What is kept of a partition.
#[derive(Debug, Clone, Default)]
pub struct PartitionView {
    /// Of itself.
    pub state: Option<PartitionState>,
    /// Of its writers.
    pub writers: HashMap<WriterKey, WriterState>,
}

/// All that is kept.
#[derive(Debug, Default)]
pub struct View {
    topics: BTreeMap<Arc<str>, BTreeMap<i32, PartitionView>>,
}

impl View {
    /// Takes a record of the topic. False when more is known already: an earlier owner of the partition wrote late.
    pub fn apply(&mut self, stored: Stored) -> bool {
        let Stored { partition: TopicPartition { topic, partition }, writer, kept } = stored;
        let view = self.topics.entry(topic).or_default().entry(partition).or_default();
        match (writer, kept) {
            (None, Some(Kept::Partition(state))) => {
                let is_news = view.state.as_ref().is_none_or(|known| state.next_offset >= known.next_offset);
                if is_news {
                    view.state = Some(state);
                }
                is_news
            }
            (Some(key), Some(Kept::Writer(state))) => {
                let is_news =
                    view.writers.get(&key).is_none_or(|known| state.next_offset >= known.next_offset);
                if is_news {
                    view.writers.insert(key, state);
                }
                is_news
            }
            (Some(key), _) => {
                view.writers.remove(&key);
                true
            }
            (None, _) => {
                view.state = None;
                true
            }
        }
    }

    /// What is kept of a partition.
    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionView> {
        self.topics.get(&partition.topic)?.get(&partition.partition)
    }

    /// Numbers of a writer in the other partitions of a topic.
    pub fn elsewhere(&self, partition: &TopicPartition, writer: &WriterKey) -> Vec<Runs> {
        let Some(partitions) = self.topics.get(&partition.topic).filter(|all| all.len() > 1) else {
            return Vec::new();
        };
        let others = partitions.iter().filter(|(number, _)| **number != partition.partition);
        others.filter_map(|(_, view)| view.writers.get(writer).map(|state| state.runs.clone())).collect()
    }
}
