//! What the consumer remembers of each partition: the plan of its last record, and records whose schema is not known yet.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use efd_kafka::TopicPartition;

use crate::metrics::{ComponentId, Metrics, component_of};
use crate::record::{Packed, Record, pack, unpack};
use crate::schemas::Known;

/// A partition.
#[derive(Debug)]
pub struct Slot {
    /// Which.
    pub partition: TopicPartition,
    /// The component in the name of its topic.
    pub component: ComponentId,
    /// Plan of its last record; the next one most likely has the same.
    pub known: Option<Arc<Known>>,
    /// Records that wait for their schema. One, since the partition is paused then; more only if the client had them already.
    pub held: VecDeque<Held>,
    /// Whether it gave a record since it was assigned.
    pub is_read: bool,
}

impl Slot {
    /// Keeps a record.
    pub fn hold(&mut self, record: &Record<'_>) {
        let mut bytes = Vec::new();
        let packed = pack(record, &mut bytes);
        self.held.push_back(Held { packed, bytes });
    }
}

/// A record on its own.
#[derive(Debug)]
pub struct Held {
    packed: Packed,
    bytes: Vec<u8>,
}

impl Held {
    /// The record.
    pub fn record(&self) -> Record<'_> {
        unpack(self.packed, &self.bytes)
    }
}

/// All partitions ever seen; a slot is never given to another partition.
#[derive(Debug)]
pub struct Partitions {
    slots: Vec<Slot>,
    by_topic: HashMap<Arc<str>, Vec<usize>>,
    last: usize,
    metrics: Arc<Metrics>,
}

impl Partitions {
    /// None yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { slots: Vec::new(), by_topic: HashMap::new(), last: 0, metrics }
    }

    /// The slot of a partition.
    pub fn find(&mut self, topic: &str, partition: i32) -> usize {
        let is_it = |slot: &Slot| slot.partition.partition == partition && *slot.partition.topic == *topic;
        // Records come in runs of one partition.
        if self.slots.get(self.last).is_some_and(is_it) {
            return self.last;
        }
        let of_topic = self.by_topic.get(topic);
        let found =
            of_topic.and_then(|slots| slots.iter().find(|slot| self.slots.get(**slot).is_some_and(is_it)));
        self.last = match found {
            Some(slot) => *slot,
            None => self.add(topic, partition),
        };
        self.last
    }

    fn add(&mut self, topic: &str, partition: i32) -> usize {
        let topic =
            self.by_topic.get_key_value(topic).map_or_else(|| Arc::from(topic), |(topic, _)| topic.clone());
        let slot = self.slots.len();
        self.by_topic.entry(topic.clone()).or_default().push(slot);
        let component = self.metrics.component(component_of(&topic));
        let partition = TopicPartition { topic, partition };
        self.slots.push(Slot { partition, component, known: None, held: VecDeque::new(), is_read: false });
        slot
    }

    /// Drops what is held of partitions that went.
    pub fn forget(&mut self, revoked: &HashSet<TopicPartition>) {
        for slot in self.slots.iter_mut().filter(|slot| revoked.contains(&slot.partition)) {
            slot.held.clear();
            slot.is_read = false;
        }
    }

    /// The content of a slot.
    pub fn get(&self, slot: usize) -> Option<&Slot> {
        self.slots.get(slot)
    }

    /// The content of a slot.
    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Slot> {
        self.slots.get_mut(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_one_slot() {
        let metrics = Arc::new(Metrics::new(&opentelemetry::global::meter("test")));
        let mut partitions = Partitions::new(metrics);
        let first = partitions.find("lsst.sal.Test.a", 0);
        let second = partitions.find("lsst.sal.Test.a", 1);
        let third = partitions.find("lsst.sal.Test.b", 0);
        assert_eq!((first, second, third), (0, 1, 2));
        assert_eq!(partitions.find("lsst.sal.Test.a", 1), second);
        assert_eq!(partitions.find("lsst.sal.Test.a", 0), first);
        let slot = partitions.get(second).unwrap();
        assert_eq!((&*slot.partition.topic, slot.partition.partition), ("lsst.sal.Test.a", 1));
    }
}
