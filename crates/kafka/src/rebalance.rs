//! The context of a consumer: hears which partitions come and go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{ClientContext, TopicPartitionList};

use crate::{Commits, Follower, QuietContext, TopicPartition};

/// Hears of what happens to a consumer, for its metrics. Called on the poll thread, so it must not wait.
pub trait Observer: Send + Sync + 'static {
    /// The consumer owns so many partitions now.
    fn owned(&self, _partitions: usize) {}

    /// What librdkafka tells about itself, in JSON, where that is asked for.
    fn statistics(&self, _json: &[u8]) {}
}

/// Nobody.
impl Observer for () {}

/// Called by librdkafka on the poll thread, inside a poll.
#[derive(Debug)]
pub struct Rebalances<O, T: ?Sized = dyn Follower> {
    quiet: QuietContext,
    observer: O,
    commits: Arc<Commits<T>>,
    drain_timeout: Duration,
    has_changed: AtomicBool,
    revoked: Mutex<Vec<TopicPartition>>,
}

impl<O, T: ?Sized> Rebalances<O, T> {
    /// `commits` belongs to the same consumer. Partitions that go are held for `drain_timeout` at most, until what was read of them
    /// is done.
    pub fn new(quiet: QuietContext, observer: O, commits: Arc<Commits<T>>, drain_timeout: Duration) -> Self {
        Self {
            quiet,
            observer,
            commits,
            drain_timeout,
            has_changed: AtomicBool::new(false),
            revoked: Mutex::default(),
        }
    }

    /// The partitions revoked since the last call; none when the assignment has not changed at all.
    pub fn take_changes(&self) -> Option<Vec<TopicPartition>> {
        // Set and taken on the same thread; the flag only saves the lock.
        if !self.has_changed.load(Ordering::Relaxed) {
            return None;
        }
        self.has_changed.store(false, Ordering::Relaxed);
        Some(std::mem::take(&mut *self.revoked.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl<O: Observer, T: Follower + ?Sized + 'static> ClientContext for Rebalances<O, T> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.quiet.log(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.observer.statistics(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // All but a refusal comes as an error of a poll too, and is told there.
        self.quiet.error(error, reason);
    }
}

impl<O: Observer, T: Follower + ?Sized + 'static> ConsumerContext for Rebalances<O, T> {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let partitions = partitions(list);
            tracing::info!(partitions = partitions.len(), "partitions revoked");
            // What is lost belongs to another member already, whose commits must not be overwritten.
            if !consumer.assignment_lost() && !self.commits.drained(&partitions, self.drain_timeout) {
                tracing::info!("not everything was written in time, the next owner reads the rest again");
            }
            // One that is paused would stay so, and not be read when it comes back; librdkafka gives it no orders until this returns.
            if let Err(error) = consumer.resume(list) {
                tracing::warn!(%error, "partitions that go cannot be resumed");
            }
            let owned = self.commits.revoked(&partitions, consumer);
            self.observer.owned(owned);
            self.revoked.lock().unwrap_or_else(PoisonError::into_inner).extend(partitions);
            self.has_changed.store(true, Ordering::Relaxed);
        }
    }

    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = partitions(list);
                tracing::info!(partitions = partitions.len(), "partitions assigned");
                let owned = self.commits.assigned(&partitions);
                self.observer.owned(owned);
                self.has_changed.store(true, Ordering::Relaxed);
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let of = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| TopicPartition {
        topic: element.topic().into(),
        partition: element.partition(),
    };
    list.elements().into_iter().map(of).collect()
}
