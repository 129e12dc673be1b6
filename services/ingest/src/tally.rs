//! Counts every sample once on its way in and once at its end, in the account and in the metrics.

use std::time::Duration;

use crate::account::Account;
use crate::batch::EncodedBatch;
use crate::metrics::{Metrics, RejectReason};
use crate::sample::SampleTopic;

/// The account, and the metrics that follow it batch by batch, since a metric costs more than a record.
#[derive(Debug)]
pub(crate) struct Tally {
    account: Account,
    metrics: Metrics,
    outstanding: u64,
    /// Per component: samples taken since the metrics were last brought up to date.
    taken: Vec<u64>,
}

impl Tally {
    pub(crate) fn new(account: Account, metrics: Metrics) -> Self {
        Self { account, metrics, outstanding: 0, taken: Vec::new() }
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// A sample came in.
    pub(crate) fn taken(&mut self, topic: &SampleTopic) {
        self.outstanding += 1;
        add(&mut self.taken, topic.component_id);
        if let Some(entry) = self.account.topic(topic) {
            entry.produced += 1;
        }
    }

    /// A sample will never be delivered.
    pub(crate) fn rejected(&mut self, topic: &SampleTopic, reason: RejectReason) {
        self.outstanding = self.outstanding.saturating_sub(1);
        self.metrics.rejected(reason);
        if let Some(entry) = self.account.topic(topic) {
            entry.rejected += 1;
        }
    }

    /// Kafka acknowledged one record.
    pub(crate) fn record_delivered(&mut self, topic: &SampleTopic) {
        self.outstanding = self.outstanding.saturating_sub(1);
        self.metrics.delivered(topic.component_id, 1);
        if let Some(entry) = self.account.topic(topic) {
            entry.delivered += 1;
        }
    }

    /// Kafka acknowledged a batch; so many bytes are still in flight.
    pub(crate) fn batch_delivered(&mut self, batch: &EncodedBatch, after: Duration, in_flight_bytes: usize) {
        let mut delivered = Vec::new();
        for record in batch.iter() {
            add(&mut delivered, record.topic.component_id);
            if let Some(entry) = self.account.topic(record.topic) {
                entry.delivered += 1;
            }
        }
        for (component_id, count) in delivered.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            self.metrics.delivered(component_id, count);
        }
        self.outstanding = self.outstanding.saturating_sub(batch.len() as u64);
        self.metrics.batch_delivered(after);
        self.metrics.outstanding(self.outstanding, in_flight_bytes as u64);
    }

    /// A batch is sent once more.
    pub(crate) fn retried(&self) {
        self.metrics.retried();
    }

    /// Brings the metrics of what came in up to date; `queued` samples still wait in the queue.
    pub(crate) fn batch_closed(&mut self, queued: usize, in_flight_bytes: usize) {
        for (component_id, count) in self.taken.drain(..).enumerate().filter(|(_, count)| *count > 0) {
            self.metrics.taken(component_id, count);
        }
        self.metrics.outstanding(self.outstanding, in_flight_bytes as u64);
        self.metrics.queued(queued as u64);
    }
}

fn add(counts: &mut Vec<u64>, place: usize) {
    if counts.len() <= place {
        counts.resize(place + 1, 0);
    }
    if let Some(count) = counts.get_mut(place) {
        *count += 1;
    }
}
