//! Samples to Kafka, delivery awaited by the batch.
//!
//! Samples are encoded and handed to the Kafka client one by one, in the order in which they came; a batch is what is
//! confirmed together. At most `in_flight_bytes` wait for their acknowledgement; with more, no sample is taken, so the
//! queue fills and the sources wait. No record is given up: the client itself retries what a broker may heal, in order
//! and without writing twice (idempotence); what it reports as failed nevertheless is sent again from here, after
//! everything behind it has settled. Only a sample that can never be delivered is dropped, with a warning and a count.
//!
//! Idempotence ends where the client gives a record up: it goes on with the records behind it. So of a topic that a
//! failed batch has records of, everything behind is sent again too, also what Kafka has. A partition then has its
//! records in their order, except that it may go back to an earlier one and repeat all from there: no reader that takes
//! the last record of a key, or keeps one record of a time, can tell. A record counts as delivered once.
//!
//! Assumes that a record sent twice does no harm, which holds for all readers of SAL topics.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use efd_kafka::{Batch, ErrorKind, KafkaConfig, OutRecord, Producer, error_kind};
use efd_service::Backoff;
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use rdkafka::error::{KafkaError, KafkaResult};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::account::Account;
use crate::batch::{EncodedBatch, RecordView};
use crate::config::{ProducerConfig, RetryConfig};
use crate::metrics::{Metrics, RejectReason};
use crate::sample::Sample;
use crate::tally::Tally;

/// Samples taken from the queue at once.
const TAKEN_AT_ONCE: usize = 128;
/// Without an acknowledgement for so long, a warning says that ingest waits.
const STALL: Duration = Duration::from_secs(10);

/// The Kafka client can never go on; whoever supervises the service starts a new one.
#[derive(Debug, thiserror::Error)]
#[error("kafka producer cannot go on: {0}")]
pub struct ProducerError(KafkaError);

/// The stage between the queue of samples and Kafka.
pub struct SampleProducer {
    producer: Producer,
    limits: ProducerConfig,
    backoff: Backoff,
    tally: Tally,
    open: Option<OpenBatch>,
    in_flight: FuturesOrdered<Pin<Box<dyn Future<Output = Settled> + Send>>>,
    in_flight_bytes: usize,
    /// Since when the oldest batch in flight is the oldest.
    waiting_since: Instant,
    /// What was last warned of, until Kafka acknowledges again.
    trouble: Option<String>,
}

/// The batch that is being filled; its records are already on their way.
struct OpenBatch {
    records: EncodedBatch,
    delivery: Batch,
    /// Why the client did not even take one of the records; then the whole batch is sent again.
    refused: Option<KafkaError>,
    since: Instant,
}

/// A batch whose deliveries are all known.
struct Settled {
    records: EncodedBatch,
    since: Instant,
    outcome: KafkaResult<()>,
}

impl SampleProducer {
    /// Connects lazily; `account` names the topics that samples may come for.
    ///
    /// # Errors
    /// When a setting is not one the Kafka client takes.
    pub fn new(
        kafka: &KafkaConfig,
        limits: &ProducerConfig,
        retry: RetryConfig,
        account: Account,
        metrics: Metrics,
    ) -> Result<Self, ProducerError> {
        Ok(Self {
            producer: Producer::new(kafka, "efd-ingest", &limits.options()).map_err(ProducerError)?,
            limits: limits.clone(),
            backoff: Backoff::new(retry.min, retry.max),
            tally: Tally::new(account, metrics),
            open: None,
            in_flight: FuturesOrdered::new(),
            in_flight_bytes: 0,
            waiting_since: Instant::now(),
            trouble: None,
        })
    }

    /// What was taken, delivered and rejected so far.
    pub fn account(&self) -> &Account {
        self.tally.account()
    }

    /// Delivers all samples of the queue; ends when the queue is closed and everything taken is acknowledged. It may be
    /// dropped at any await, followed by [`abandon`](Self::abandon).
    ///
    /// # Errors
    /// When the Kafka client can never go on.
    pub async fn run(&mut self, samples: &mut mpsc::Receiver<Sample>) -> Result<(), ProducerError> {
        let mut taken = Vec::with_capacity(TAKEN_AT_ONCE);
        loop {
            let closes_at = self.open.as_ref().map(|open| open.since + self.limits.batch_age);
            tokio::select! {
                biased;
                Some(settled) = self.next_settled() => self.settle(settled).await?,
                () = until(closes_at) => self.close(samples.len()),
                count = samples.recv_many(&mut taken, TAKEN_AT_ONCE) => {
                    if count == 0 {
                        break;
                    }
                    for sample in &taken {
                        self.tally.taken(sample);
                    }
                }
            }
            for sample in taken.drain(..) {
                if self.send(&sample).await? {
                    self.close(samples.len());
                }
                while self.in_flight_bytes as u64 > self.limits.in_flight_bytes.as_u64()
                    && let Some(settled) = self.next_settled().await
                {
                    self.settle(settled).await?;
                }
            }
        }
        self.close(0);
        while let Some(settled) = self.next_settled().await {
            self.settle(settled).await?;
        }
        Ok(())
    }

    /// Gives up what is not acknowledged: closes the queue and enters what is left in it into the account, which then says
    /// exactly how many records are not known to be delivered.
    pub fn abandon(&mut self, samples: &mut mpsc::Receiver<Sample>) {
        samples.close();
        while let Ok(sample) = samples.try_recv() {
            self.tally.taken(&sample);
        }
    }

    /// Encodes one sample into the open batch and sends it; says whether the batch is full.
    async fn send(&mut self, sample: &Sample) -> Result<bool, ProducerError> {
        let open = self.open.get_or_insert_with(|| OpenBatch {
            records: EncodedBatch::default(),
            delivery: self.producer.batch(),
            refused: None,
            since: Instant::now(),
        });
        if let Err(error) = open.records.push(sample) {
            tracing::warn!(topic = sample.topic.kafka_name, %error, "sample rejected");
            if let Some(receipt) = &sample.receipt {
                receipt.undeliverable(error.to_string());
            }
            self.tally.rejected(&sample.topic, sample.source, RejectReason::Encode);
            return Ok(false);
        }
        let Some(record) = open.records.last() else { return Ok(false) };
        if let Err(error) = hand_over(&mut open.delivery, record).await {
            match error_kind(&error) {
                ErrorKind::Fatal => return Err(ProducerError(error)),
                ErrorKind::Transient => open.refused = Some(error),
                ErrorKind::Record => {
                    reject(record, &error);
                    open.records.pop();
                    self.tally.rejected(&sample.topic, sample.source, RejectReason::Kafka);
                    return Ok(false);
                }
            }
        }
        let size = open.records.size() as u64;
        Ok(open.records.len() >= self.limits.batch_records || size >= self.limits.batch_bytes.as_u64())
    }

    /// Ends the open batch; its deliveries are awaited from now on.
    fn close(&mut self, queued: usize) {
        let Some(open) = self.open.take() else { return };
        if self.in_flight.is_empty() {
            self.waiting_since = Instant::now();
        }
        self.in_flight_bytes += open.records.size();
        self.tally.batch_closed(queued, self.in_flight_bytes);
        self.in_flight.push_back(Box::pin(async move {
            let delivered = open.delivery.delivered().await;
            let outcome = open.refused.map_or(delivered, Err);
            Settled { records: open.records, since: open.since, outcome }
        }));
    }

    /// The oldest batch in flight, once its deliveries are known; `None` when there is none. Cancel safe.
    async fn next_settled(&mut self) -> Option<Settled> {
        if !self.in_flight.is_empty() && self.trouble.is_none() {
            let stalls_at = self.waiting_since + STALL;
            match tokio::time::timeout_at(stalls_at, self.in_flight.next()).await {
                Ok(settled) => return self.landed(settled),
                Err(_) => self.warn(format!("no acknowledgement for {} s", STALL.as_secs())),
            }
        }
        let settled = self.in_flight.next().await;
        self.landed(settled)
    }

    fn landed(&mut self, settled: Option<Settled>) -> Option<Settled> {
        self.waiting_since = Instant::now();
        let size = settled.as_ref().map_or(0, |batch| batch.records.size());
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(size);
        settled
    }

    async fn settle(&mut self, settled: Settled) -> Result<(), ProducerError> {
        if settled.outcome.is_ok() {
            self.delivered(&settled);
            return Ok(());
        }
        // What was sent behind the failed batch settles first, so that nothing overtakes what is sent again.
        self.close(0);
        let mut batches = vec![settled];
        while let Some(behind) = self.next_settled().await {
            if behind.outcome.is_ok() {
                self.delivered(&behind);
            }
            batches.push(behind);
        }
        let mut disordered = HashSet::new();
        for batch in batches {
            if batch.outcome.is_ok() {
                self.repeat(&batch.records, &disordered).await?;
            } else {
                disordered.extend(batch.records.iter().map(|record| record.topic.id));
                self.deliver_again(batch).await?;
            }
        }
        Ok(())
    }

    /// Sends what Kafka has of some topics once more, so that it stands behind what was sent again before it.
    async fn repeat(&mut self, records: &EncodedBatch, topics: &HashSet<usize>) -> Result<(), ProducerError> {
        let is_behind = |record: &RecordView<'_>| topics.contains(&record.topic.id);
        let behind: Vec<RecordView<'_>> = records.iter().filter(is_behind).collect();
        if behind.is_empty() {
            return Ok(());
        }
        while let Err(error) = self.attempt(&behind).await {
            match error_kind(&error) {
                ErrorKind::Fatal => return Err(ProducerError(error)),
                ErrorKind::Transient => self.wait(&error).await,
                // Kafka has it, even if it takes no more like it.
                ErrorKind::Record => {
                    tracing::warn!(%error, "records that kafka has are not sent again, they stand before earlier ones");
                    return Ok(());
                }
            }
        }
        self.acknowledged();
        Ok(())
    }

    fn delivered(&mut self, batch: &Settled) {
        self.tally.batch_delivered(&batch.records, batch.since.elapsed(), self.in_flight_bytes);
        self.acknowledged();
    }

    /// Kafka takes records.
    fn acknowledged(&mut self) {
        self.backoff.reset();
        if let Some(trouble) = self.trouble.take() {
            tracing::info!(trouble, "kafka acknowledges again");
        }
    }

    /// Sends a failed batch until it is acknowledged.
    async fn deliver_again(&mut self, mut batch: Settled) -> Result<(), ProducerError> {
        while let Err(error) = batch.outcome {
            match error_kind(&error) {
                ErrorKind::Fatal => return Err(ProducerError(error)),
                ErrorKind::Transient => self.wait(&error).await,
                // Kafka does not say which record it refused.
                ErrorKind::Record => {
                    for record in batch.records.iter() {
                        self.deliver_alone(record).await?;
                    }
                    return Ok(());
                }
            }
            batch.outcome = self.attempt(&batch.records.iter().collect::<Vec<_>>()).await;
        }
        self.delivered(&batch);
        Ok(())
    }

    /// Sends one record until it is acknowledged or refused for good.
    async fn deliver_alone(&mut self, record: RecordView<'_>) -> Result<(), ProducerError> {
        while let Err(error) = self.attempt(&[record]).await {
            match error_kind(&error) {
                ErrorKind::Fatal => return Err(ProducerError(error)),
                ErrorKind::Transient => self.wait(&error).await,
                ErrorKind::Record => {
                    reject(record, &error);
                    self.tally.rejected(record.topic, record.source, RejectReason::Kafka);
                    return Ok(());
                }
            }
        }
        self.tally.record_delivered(record);
        Ok(())
    }

    /// Sends records once more and waits for the outcome.
    async fn attempt(&mut self, records: &[RecordView<'_>]) -> KafkaResult<()> {
        self.tally.retried();
        let mut delivery = self.producer.batch();
        let mut refused = None;
        for record in records {
            if let Err(error) = hand_over(&mut delivery, *record).await {
                refused = Some(error);
                break;
            }
        }
        let delivered = delivery.delivered().await;
        refused.map_or(delivered, Err)
    }

    async fn wait(&mut self, error: &KafkaError) {
        self.warn(error.to_string());
        tokio::time::sleep(self.backoff.next()).await;
    }

    /// Says once what keeps records from being delivered.
    fn warn(&mut self, reason: String) {
        if self.trouble.as_ref() != Some(&reason) {
            tracing::warn!(error = reason, "records are not delivered, ingest waits");
            self.trouble = Some(reason);
        }
    }
}

/// Gives a record to the Kafka client; its source hears as soon as it is acknowledged, not only with the batch.
async fn hand_over(delivery: &mut Batch, record: RecordView<'_>) -> KafkaResult<()> {
    match record.receipt {
        None => delivery.send(out_record(record)).await,
        Some(receipt) => {
            let receipt = receipt.clone();
            let report = move |outcome| {
                // What failed is sent again.
                if let Ok(placed) = outcome {
                    receipt.placed(placed);
                }
            };
            delivery.send_with_report(out_record(record), report).await
        }
    }
}

fn reject(record: RecordView<'_>, error: &KafkaError) {
    tracing::warn!(topic = record.topic.kafka_name, %error, "sample rejected");
    if let Some(receipt) = record.receipt {
        receipt.undeliverable(error.to_string());
    }
}

fn out_record(record: RecordView<'_>) -> OutRecord<'_> {
    OutRecord {
        topic: &record.topic.kafka_name,
        // Telemetry has an empty key, not none: so the Python publishers write it.
        key: Some(record.key.as_bytes()),
        payload: Some(record.payload),
        parent: record.parent,
        ..OutRecord::default()
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "producer_tests.rs"]
mod tests;
