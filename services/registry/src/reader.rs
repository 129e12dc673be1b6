//! The thread that reads the log and applies it.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use efd_kafka::{ConsumerThread, KafkaConfig, PollHandler, QuietContext, is_refusal};
use efd_service::{Latch, Stop};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::watch;

use crate::config::SchemasConfig;
use crate::log;
use crate::metrics::{Metrics, SkipReason};
use crate::store::View;

/// Longest wait for a record, so also for the end of the thread.
pub(crate) const POLL: Duration = Duration::from_millis(100);

/// Applies each record to the view.
#[derive(Debug)]
pub(crate) struct LogReader {
    view: watch::Sender<View>,
    metrics: Metrics,
    latch: Option<Latch>,
    started: Instant,
    last_error: Option<KafkaError>,
    cluster_id: Arc<OnceLock<String>>,
}

impl LogReader {
    pub(crate) fn new(
        view: watch::Sender<View>,
        metrics: Metrics,
        latch: Latch,
        cluster_id: Arc<OnceLock<String>>,
    ) -> Self {
        Self { view, metrics, latch: Some(latch), started: Instant::now(), last_error: None, cluster_id }
    }

    /// Starts to read at the first record; blocks as [`consumer`] does.
    pub(crate) fn spawn(
        self,
        kafka: &KafkaConfig,
        config: &SchemasConfig,
        stop: Stop,
    ) -> anyhow::Result<ConsumerThread<Self>> {
        let consumer =
            consumer(kafka, config, "read_committed", Offset::Beginning).context("Kafka consumer")?;
        ConsumerThread::spawn("schemas", Arc::new(consumer), self, stop, POLL)
            .context("thread for the schemas")
    }

    fn apply(&self, record: &BorrowedMessage<'_>) {
        let decoded = log::decode(record.key().unwrap_or_default(), record.payload());
        self.view.send_modify(|view| {
            view.next_offset = record.offset() + 1;
            match decoded {
                Ok(Some(change)) => {
                    if let Err(conflict) = Arc::make_mut(&mut view.state).apply(&change) {
                        self.skip(record, SkipReason::Conflict, &conflict.to_string());
                    }
                }
                Ok(None) => self.skip(record, SkipReason::UnknownKey, "key type not known here"),
                Err(error) => self.skip(record, SkipReason::Malformed, &error.to_string()),
            }
        });
    }

    fn skip(&self, record: &BorrowedMessage<'_>, reason: SkipReason, problem: &str) {
        self.metrics.skipped(reason);
        let key = String::from_utf8_lossy(record.key().unwrap_or_default());
        tracing::warn!(topic = record.topic(), offset = record.offset(), %key, problem, "record skipped");
    }

    fn loaded(&mut self) {
        let Some(latch) = self.latch.take() else { return };
        self.view.send_modify(|view| view.is_loaded = true);
        latch.release();
        let (offset, subjects) = {
            let view = self.view.borrow();
            (view.next_offset, view.state.live_subjects())
        };
        tracing::info!(subjects, offset, seconds = self.started.elapsed().as_secs_f64(), "schemas read");
    }
}

impl PollHandler for LogReader {
    type Context = QuietContext;

    fn record(&mut self, _: &BaseConsumer<QuietContext>, record: &BorrowedMessage<'_>) -> ControlFlow<()> {
        self.last_error = None;
        self.apply(record);
        ControlFlow::Continue(())
    }

    fn tick(&mut self, consumer: &BaseConsumer<QuietContext>) -> ControlFlow<()> {
        if self.cluster_id.get().is_none()
            && let Some(id) = consumer.client().fetch_cluster_id(Duration::ZERO)
        {
            // Nobody else sets it.
            let _ = self.cluster_id.set(id);
        }
        ControlFlow::Continue(())
    }

    fn error(&mut self, error: &KafkaError) -> ControlFlow<()> {
        if matches!(error, KafkaError::PartitionEOF(_)) {
            self.loaded();
        } else if !is_refusal(error) && self.last_error.as_ref() != Some(error) {
            // The same error comes again and again while Kafka is away; once is enough.
            tracing::warn!(error = %error, "schemas cannot be read; what is known is still served");
            self.last_error = Some(error.clone());
        }
        ControlFlow::Continue(())
    }
}

/// A consumer of the log that belongs to no group and commits nothing. Blocks until a broker answers, or for the write timeout.
pub(crate) fn consumer(
    kafka: &KafkaConfig,
    config: &SchemasConfig,
    isolation: &str,
    from: Offset,
) -> Result<BaseConsumer<QuietContext>, KafkaError> {
    let mut client: ClientConfig = kafka.client(&config.transactional_id);
    client
        // rdkafka polls only consumers that have a group; this one is never joined.
        .set("group.id", &config.transactional_id)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        // The end of the log is only noticed after this wait; a new record is sent at once whatever it is.
        .set("fetch.wait.max.ms", "50")
        .set("isolation.level", isolation);
    let consumer: BaseConsumer<QuietContext> = client.create_with_context(kafka.context())?;
    // librdkafka looks for the leader of an assigned partition once a second; if it knows it already, reading starts at once.
    let _ = consumer.fetch_metadata(Some(&config.topic), config.write_timeout);
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(&config.topic, 0, from)?;
    consumer.assign(&place)?;
    Ok(consumer)
}
