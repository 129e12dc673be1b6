//! The thread that reads the log and applies it.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use efd_kafka::{ConsumerThread, KafkaConfig, PollHandler, QuietContext, is_refusal};
use efd_service::Stop;
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
/// Records that a consumer holds before they are applied, beside those of one answer of a broker.
const QUEUED_KBYTES: &str = "1024";

/// How far a consumer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To the end of the log, which is told at once.
    End,
    /// On and on. The end of the log is told late, a new record is given at once.
    Endless,
}

/// Applies each record to the view.
#[derive(Debug)]
pub(crate) struct LogReader {
    view: watch::Sender<View>,
    metrics: Metrics,
    started: Instant,
    last_error: Option<KafkaError>,
    cluster_id: Arc<OnceLock<String>>,
}

impl LogReader {
    pub(crate) fn new(
        view: watch::Sender<View>,
        metrics: Metrics,
        cluster_id: Arc<OnceLock<String>>,
    ) -> Self {
        Self { view, metrics, started: Instant::now(), last_error: None, cluster_id }
    }

    /// Reads on from what is known: to the end of the log at first, then for ever.
    ///
    /// # Errors
    /// When a setting is not one librdkafka takes, or there is no thread.
    pub(crate) async fn spawn(
        mut self,
        kafka: &KafkaConfig,
        config: &SchemasConfig,
        stop: &Stop,
    ) -> anyhow::Result<Reading> {
        self.started = Instant::now();
        let (reach, offset) = {
            let view = self.view.borrow();
            (if view.is_loaded { Reach::Endless } else { Reach::End }, view.next_offset)
        };
        let from = if offset == 0 { Offset::Beginning } else { Offset::Offset(offset) };
        let (kafka, config) = (kafka.clone(), config.clone());
        let made =
            tokio::task::spawn_blocking(move || consumer(&kafka, &config, "read_committed", (reach, from)));
        let consumer = Arc::new(made.await.context("start of the reader")?.context("Kafka consumer")?);
        let thread = ConsumerThread::spawn("schemas", consumer.clone(), self, stop.clone(), POLL);
        Ok(Reading { thread: thread.context("thread for the schemas")?, consumer })
    }

    fn apply(&self, record: &BorrowedMessage<'_>) {
        let decoded = log::decode(record.key().unwrap_or_default(), record.payload());
        self.view.send_if_modified(|view| {
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
            // Until then nobody waits for a record, and to wake those who wait for the end costs more than the record.
            view.is_loaded
        });
    }

    fn skip(&self, record: &BorrowedMessage<'_>, reason: SkipReason, problem: &str) {
        self.metrics.skipped(reason);
        let key = String::from_utf8_lossy(record.key().unwrap_or_default());
        tracing::warn!(topic = record.topic(), offset = record.offset(), %key, problem, "record skipped");
    }

    fn loaded(&self) {
        self.view.send_modify(|view| view.is_loaded = true);
        let (offset, subjects) = {
            let view = self.view.borrow();
            (view.next_offset, view.state.live_subjects())
        };
        tracing::info!(subjects, offset, seconds = self.started.elapsed().as_secs_f64(), "schemas read");
    }
}

/// A reader at work.
pub(crate) struct Reading {
    thread: ConsumerThread<LogReader>,
    /// Lives longer than the thread: it takes its time to end, for which nobody has to wait.
    consumer: Arc<BaseConsumer<QuietContext>>,
}

impl Reading {
    /// Waits until the reader ends: at the end of the log, where that is its reach, else when it is told to stop.
    ///
    /// # Errors
    /// When its thread has died.
    pub(crate) async fn ended(self) -> anyhow::Result<LogReader> {
        let ended = self.thread.joined().await;
        let consumer = self.consumer;
        drop(tokio::task::spawn_blocking(move || drop(consumer)));
        ended.context("the thread that reads the schemas has died")
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
        let is_loaded = self.view.borrow().is_loaded;
        if matches!(error, KafkaError::PartitionEOF(_)) {
            if !is_loaded {
                self.loaded();
                return ControlFlow::Break(());
            }
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
    (reach, from): (Reach, Offset),
) -> Result<BaseConsumer<QuietContext>, KafkaError> {
    let mut client: ClientConfig = kafka.client(&config.transactional_id);
    // The broker tells the end only after this wait.
    let wait = if reach == Reach::End { "1" } else { "500" };
    client
        // rdkafka polls only consumers that have a group; this one is never joined.
        .set("group.id", &config.transactional_id)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", wait)
        .set("queued.max.messages.kbytes", QUEUED_KBYTES)
        // How long it waits when it holds so many before it asks for more.
        .set("fetch.queue.backoff.ms", "1")
        .set("isolation.level", isolation);
    let consumer: BaseConsumer<QuietContext> = client.create_with_context(kafka.context())?;
    // librdkafka looks for the leader of an assigned partition once a second; if it knows it already, reading starts at once.
    let _ = consumer.fetch_metadata(Some(&config.topic), config.write_timeout);
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(&config.topic, 0, from)?;
    consumer.assign(&place)?;
    Ok(consumer)
}
