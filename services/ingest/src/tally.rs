//! Counts every sample once on its way in and once at its end, in the account and in the metrics.

use std::time::Duration;

use crate::account::Account;
use crate::batch::{EncodedBatch, RecordView};
use crate::metrics::{Metrics, RejectReason};
use crate::sample::{Sample, SampleTopic};
use crate::source::Source;

/// The account, and the metrics that follow it batch by batch, since a metric costs more than a record.
#[derive(Debug)]
pub(crate) struct Tally {
    account: Account,
    metrics: Metrics,
    /// Samples taken since the metrics were last brought up to date.
    taken: Counts,
}

/// Counts per source and component.
#[derive(Debug, Default)]
struct Counts([Vec<u64>; Source::ALL.len()]);

impl Tally {
    pub(crate) fn new(account: Account, metrics: Metrics) -> Self {
        Self { account, metrics, taken: Counts::default() }
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// A sample came in.
    pub(crate) fn taken(&mut self, sample: &Sample) {
        self.taken.add(sample.source, sample.topic.component_id);
        if let Some(entry) = self.account.topic(&sample.topic) {
            entry.produced += 1;
        }
    }

    /// A sample will never be delivered.
    pub(crate) fn rejected(&mut self, topic: &SampleTopic, source: Source, reason: RejectReason) {
        self.metrics.rejected(source, reason);
        if let Some(entry) = self.account.topic(topic) {
            entry.rejected += 1;
        }
    }

    /// Kafka acknowledged one record.
    pub(crate) fn record_delivered(&mut self, record: RecordView<'_>) {
        self.metrics.delivered(record.source, record.topic.component_id, 1);
        if let Some(entry) = self.account.topic(record.topic) {
            entry.delivered += 1;
        }
    }

    /// Kafka acknowledged a batch; so many bytes are still in flight.
    pub(crate) fn batch_delivered(&mut self, batch: &EncodedBatch, after: Duration, in_flight_bytes: usize) {
        let mut delivered = Counts::default();
        for record in batch.iter() {
            delivered.add(record.source, record.topic.component_id);
            if let Some(entry) = self.account.topic(record.topic) {
                entry.delivered += 1;
            }
        }
        for source in delivered.sources() {
            self.metrics.batch_delivered(source, after);
        }
        delivered.drain(|source, component_id, count| self.metrics.delivered(source, component_id, count));
        self.metrics.in_flight(in_flight_bytes as u64);
    }

    /// A batch is sent once more.
    pub(crate) fn retried(&self) {
        self.metrics.retried();
    }

    /// Brings the metrics of what came in up to date; `queued` samples still wait in the queue.
    pub(crate) fn batch_closed(&mut self, queued: usize, in_flight_bytes: usize) {
        self.taken.drain(|source, component_id, count| self.metrics.taken(source, component_id, count));
        self.metrics.in_flight(in_flight_bytes as u64);
        self.metrics.queued(queued as u64);
    }
}

impl Counts {
    fn add(&mut self, source: Source, component_id: usize) {
        let Some(counts) = self.0.get_mut(source as usize) else { return };
        if counts.len() <= component_id {
            counts.resize(component_id + 1, 0);
        }
        if let Some(count) = counts.get_mut(component_id) {
            *count += 1;
        }
    }

    /// The sources that something was counted for.
    fn sources(&self) -> impl Iterator<Item = Source> {
        Source::ALL
            .into_iter()
            .zip(&self.0)
            .filter(|(_, counts)| !counts.is_empty())
            .map(|(source, _)| source)
    }

    /// Hands over every count and starts from 0.
    fn drain(&mut self, mut take: impl FnMut(Source, usize, u64)) {
        for (source, counts) in Source::ALL.into_iter().zip(&mut self.0) {
            for (component_id, count) in counts.drain(..).enumerate().filter(|(_, count)| *count > 0) {
                take(source, component_id, count);
            }
        }
    }
}
