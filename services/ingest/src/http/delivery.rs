//! The records of a request to Kafka; every one hears its own outcome.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use efd_kafka::{Batch, KafkaConfig, OutRecord, Placed, Producer, ProducerOptions};
use opentelemetry::trace::SpanContext;
use rdkafka::error::{KafkaError, KafkaResult};
use tokio::sync::oneshot;

use super::answer::RecordOutcome;
use super::body::EncodedRecord;
use super::config::HttpConfig;
use super::error::record_code;
use super::metrics::HttpMetrics;
use crate::config::ProducerConfig;

/// Name of the client at the brokers.
const CLIENT_ID: &str = "efd-ingest-http";

/// Where it will be told what became of a record.
type Told = oneshot::Receiver<KafkaResult<Placed>>;

/// Sends records; clones share one producer.
#[derive(Debug, Clone)]
pub struct Delivery {
    kafka: KafkaConfig,
    options: ProducerOptions,
    producer: Arc<Mutex<Producer>>,
    metrics: HttpMetrics,
}

impl Delivery {
    /// Connects lazily.
    ///
    /// # Errors
    /// When a setting is not one the Kafka client takes.
    pub fn new(
        kafka: &KafkaConfig,
        producer: &ProducerConfig,
        http: &HttpConfig,
        metrics: HttpMetrics,
    ) -> KafkaResult<Self> {
        // A client waits for its answer, so that what Kafka does not take in time has to be told, not kept.
        let options = ProducerOptions { delivery_timeout: http.delivery_timeout, ..producer.options() };
        let first = Producer::new(kafka, CLIENT_ID, &options)?;
        Ok(Self { kafka: kafka.clone(), options, producer: Arc::new(Mutex::new(first)), metrics })
    }

    /// Sends the records in their order, as children of the client's span, and waits until each was acknowledged or failed. The
    /// task of the request goes on to the end even when its client does not wait any more.
    pub async fn deliver(
        &self,
        topic: &str,
        records: &[EncodedRecord],
        parent: Option<&SpanContext>,
    ) -> Vec<RecordOutcome> {
        let since = Instant::now();
        self.metrics.taken(topic, records.len());
        let producer = self.producer().clone();
        let mut batch = producer.batch();
        let mut waiting = Vec::with_capacity(records.len());
        for record in records {
            waiting.push(send(&mut batch, topic, record, parent).await);
        }
        // Every record says what became of it.
        let _ = batch.delivered().await;
        if producer.fatal_error().is_some() {
            self.replace();
        }
        let outcomes: Vec<RecordOutcome> = waiting.into_iter().map(outcome).collect();
        self.metrics.settled(topic, &outcomes, since.elapsed());
        outcomes
    }

    fn producer(&self) -> std::sync::MutexGuard<'_, Producer> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A producer with a fatal error takes no record any more.
    fn replace(&self) {
        let mut producer = self.producer();
        let Some(reason) = producer.fatal_error() else { return };
        tracing::warn!(reason, "kafka producer of the HTTP source cannot go on, a new one is made");
        match Producer::new(&self.kafka, CLIENT_ID, &self.options) {
            Ok(fresh) => *producer = fresh,
            Err(error) => tracing::error!(%error, "no new kafka producer can be made"),
        }
    }
}

/// Hands one record to the producer; gives where its place will be told.
async fn send(
    batch: &mut Batch,
    topic: &str,
    record: &EncodedRecord,
    parent: Option<&SpanContext>,
) -> KafkaResult<Told> {
    let (sender, told) = oneshot::channel();
    let out = OutRecord {
        topic,
        partition: record.partition,
        key: record.key.as_deref(),
        payload: record.value.as_deref(),
        parent,
        ..OutRecord::default()
    };
    let report = move |outcome| {
        // Nobody waits any more when the receiver is gone.
        let _ = sender.send(outcome);
    };
    batch.send_with_report(out, report).await?;
    Ok(told)
}

/// What became of a record, when all deliveries are known; one that the client did not take was never on its way.
fn outcome(record: KafkaResult<Told>) -> RecordOutcome {
    let outcome = record.and_then(|mut told| told.try_recv().unwrap_or(Err(KafkaError::Canceled)));
    match outcome {
        Ok(placed) => Ok((placed.partition, placed.offset)),
        Err(error) => Err((record_code(&error), error.to_string())),
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
