//! What the consumer of a destination commits, and what its metrics hear of it.

use std::sync::Arc;

use efd_kafka::Observer;

use crate::lag;
use crate::metrics::Metrics;
use crate::settled::Tracker;

/// Offsets of the consumer of a destination.
pub type Commits = efd_kafka::Commits<dyn Tracker>;
/// Its context.
pub type Rebalances = efd_kafka::Rebalances<Watch, dyn Tracker>;

/// Counts what happens to the consumer of a destination.
#[derive(Debug)]
pub struct Watch {
    destination: String,
    metrics: Arc<Metrics>,
}

impl Watch {
    /// For the consumer of this destination.
    pub fn new(destination: &str, metrics: Arc<Metrics>) -> Self {
        Self { destination: destination.to_owned(), metrics }
    }
}

impl Observer for Watch {
    fn owned(&self, partitions: usize) {
        self.metrics.assigned_partitions(&self.destination, partitions);
    }

    fn statistics(&self, json: &[u8]) {
        self.metrics.lag(&self.destination, &lag::lag(json, &self.metrics));
    }
}
