//! Which offsets may be committed, and when partitions come and go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use efd_kafka::{BatchId, OffsetLedger, QuietContext, TopicPartition};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

/// Offsets between the delivery of their lines and the commit.
#[derive(Debug, Default)]
pub struct Commits(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ledger: OffsetLedger,
    ready: BTreeMap<TopicPartition, i64>,
}

impl Commits {
    /// A batch begins to be written; `next` is the offset behind its last line, per partition.
    pub fn open(&self, next: Vec<(TopicPartition, i64)>) -> BatchId {
        self.state().ledger.open(next)
    }

    /// Everything in a batch is delivered, or in a dead-letter topic.
    pub fn close(&self, batch: BatchId) {
        let mut state = self.state();
        let ready = state.ledger.close(batch);
        state.ready.extend(ready);
    }

    /// Whether there is anything to commit.
    pub fn has_ready(&self) -> bool {
        !self.state().ready.is_empty()
    }

    /// Commits what may be. A failure loses nothing: these lines are at worst written twice.
    pub fn commit<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>, mode: CommitMode) {
        let ready = std::mem::take(&mut self.state().ready);
        if ready.is_empty() {
            return;
        }
        if let Err(error) = list(&ready).and_then(|offsets| consumer.commit(&offsets, mode)) {
            tracing::warn!(%error, "offsets of text records are not committed, trying again");
            // Newer offsets that came meanwhile stay.
            let mut state = self.state();
            for (partition, offset) in ready {
                state.ready.entry(partition).or_insert(offset);
            }
        }
    }

    /// Forgets partitions that this consumer no longer owns, after a last commit.
    fn revoked<C: ConsumerContext>(&self, partitions: &[TopicPartition], consumer: &BaseConsumer<C>) {
        self.commit(consumer, CommitMode::Sync);
        let mut state = self.state();
        state.ledger.revoke(partitions);
        state.ready.retain(|partition, _| !partitions.contains(partition));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list(offsets: &BTreeMap<TopicPartition, i64>) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, offset) in offsets {
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}

/// The context of the consumer: hears of rebalances on the poll thread.
#[derive(Debug)]
pub struct Rebalances {
    quiet: QuietContext,
    commits: Arc<Commits>,
}

impl Rebalances {
    /// `commits` belongs to the same consumer.
    pub fn new(quiet: QuietContext, commits: Arc<Commits>) -> Self {
        Self { quiet, commits }
    }
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.quiet.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.quiet.error(error, reason);
    }
}

impl ConsumerContext for Rebalances {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let of = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| TopicPartition {
                topic: element.topic().into(),
                partition: element.partition(),
            };
            let partitions: Vec<TopicPartition> = list.elements().into_iter().map(of).collect();
            self.commits.revoked(&partitions, consumer);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            // The next commit covers them.
            tracing::warn!(%error, "commit of offsets of text records failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_ready_once_its_batch_and_all_before_are_closed() {
        let at = |offset| vec![(TopicPartition { topic: "t".into(), partition: 0 }, offset)];
        let commits = Commits::default();
        let (first, second) = (commits.open(at(5)), commits.open(at(9)));
        commits.close(second);
        assert!(!commits.has_ready());
        commits.close(first);
        assert_eq!(commits.state().ready.values().collect::<Vec<_>>(), [&9]);
    }
}
