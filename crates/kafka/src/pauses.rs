//! Which partitions of a consumer are paused, and how that is told to librdkafka so that it stays true.
//!
//! librdkafka numbers every order to a partition (start, pause, resume) in the thread that gives it, and drops one that arrives
//! behind a higher number (its issues 2190 and 5591). An order of ours given while it gives its own may be lost, or may
//! make that one lost; a partition whose start is lost is never read. So no order is given to a partition before it gave a
//! record, which it does only when it was started; and after each rebalance, whose orders may have crossed ours, ours are given
//! again. A pause that is lost before does no harm: it is ordered again at the next record.

use std::collections::HashSet;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaResult;

use crate::TopicPartition;

/// What is to be paused; lives on the poll thread.
#[derive(Debug, Default)]
pub struct Pauses {
    /// Gave a record since they were assigned.
    read: HashSet<TopicPartition>,
    /// To be paused whatever the others are.
    held: HashSet<TopicPartition>,
    is_all: bool,
}

impl Pauses {
    /// Whether all partitions are to be paused.
    pub fn is_all(&self) -> bool {
        self.is_all
    }

    /// Partitions that are to be paused.
    pub fn count(&self) -> usize {
        if self.is_all { self.read.len() } else { self.held.len() }
    }

    /// A partition gave a record: at its first, and at each one while all are to be paused.
    ///
    /// # Errors
    /// When librdkafka cannot pause it.
    pub fn read<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        partition: &TopicPartition,
    ) -> KafkaResult<()> {
        if !self.read.contains(partition) {
            self.read.insert(partition.clone());
        }
        if self.is_all { consumer.pause(&list([partition])) } else { Ok(()) }
    }

    /// Pauses all partitions, also those that come.
    ///
    /// # Errors
    /// When librdkafka cannot.
    pub fn pause_all<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>) -> KafkaResult<()> {
        self.is_all = true;
        self.order(consumer)
    }

    /// Reads all partitions on but those that are held.
    ///
    /// # Errors
    /// When librdkafka cannot.
    pub fn resume_all<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>) -> KafkaResult<()> {
        self.is_all = false;
        self.order(consumer)
    }

    /// Pauses one that gave a record, until it is released.
    ///
    /// # Errors
    /// When librdkafka cannot.
    pub fn hold<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        partition: &TopicPartition,
    ) -> KafkaResult<()> {
        if !self.held.contains(partition) {
            self.held.insert(partition.clone());
        }
        consumer.pause(&list([partition]))
    }

    /// Reads those of them on that are held, unless all are to be paused.
    ///
    /// # Errors
    /// When librdkafka cannot.
    pub fn release<'a, C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> KafkaResult<()> {
        let mut released = TopicPartitionList::new();
        for partition in partitions.into_iter().filter(|partition| self.held.remove(*partition)) {
            released.add_partition(&partition.topic, partition.partition);
        }
        if self.is_all || released.count() == 0 { Ok(()) } else { consumer.resume(&released) }
    }

    /// After each rebalance: forgets what went, and orders again.
    ///
    /// # Errors
    /// When librdkafka cannot pause or resume.
    pub fn follow<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        revoked: &HashSet<TopicPartition>,
    ) -> KafkaResult<()> {
        self.read.retain(|partition| !revoked.contains(partition));
        self.held.retain(|partition| !revoked.contains(partition));
        self.order(consumer)
    }

    fn order<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>) -> KafkaResult<()> {
        if self.is_all {
            return consumer.pause(&list(&self.read));
        }
        consumer.resume(&list(self.read.difference(&self.held)))?;
        if self.held.is_empty() { Ok(()) } else { consumer.pause(&list(&self.held)) }
    }
}

fn list<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}
