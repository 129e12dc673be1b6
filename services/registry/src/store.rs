//! The store: what the registry knows, and the way to change it. Its log is the Kafka topic `_schemas`.
//!
//! Reads come from memory and need no Kafka once the log was read. A thread ([`reader`]) reads the topic and applies each
//! record; nothing else changes what is known. A task ([`writer`]) writes: it takes the changes that wait, plans their records
//! one on top of the other, writes all of them in one transaction and answers when the reader has read them back. So an
//! answer is given only for what every registry on this log will say.
//!
//! # Ids
//!
//! An id is one more than the highest ever seen, and is never given twice, not even one of a write that was aborted:
//! somebody who reads without regard for transactions, as Confluent's registry does, may have seen it.
//!
//! - The reader reads committed records only: an aborted write is never part of what is known.
//! - Before a writer writes it takes over: it initialises its transactional id, which fences any earlier writer and ends that
//!   one's open transaction, then scans the log to its end without regard for transactions, for the ids, then writes the
//!   highest as a `NOOP` record and waits until the reader has read that back. After this it knows everything committed and
//!   every id ever written, and nobody else can add to it.
//! - After any failed transaction the producer is thrown away and the writer takes over again.
//! - A permanent delete writes the highest id too, because compaction may remove the last record that shows it.
//!
//! Of several registries on one log one is the writer at a time, see [`crate::replica`].
//!
//! What this cannot prevent: compaction removing an aborted record while no registry runs, before one took over.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use efd_kafka::{Admin, KafkaConfig};
use efd_service::{Backoff, Context, Latch, Stop};
use tokio::sync::{mpsc, oneshot, watch};

use crate::change::{Change, Outcome};
use crate::config::{Config, ReplicasConfig, SchemasConfig};
use crate::error::RegistryError;
use crate::metrics::{self, Metrics};
use crate::proxy::config::Writes;
use crate::reader::{self, LogReader};
use crate::replica::election::Election;
use crate::replica::peer::Dial;
use crate::state::State;
use crate::topic::{self, TopicError};
use crate::writer;

/// Bounds of the wait before Kafka is tried again.
pub(crate) const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What is known, and how much of the log it comes from.
#[derive(Debug, Clone)]
pub struct View {
    /// What the log says.
    pub state: Arc<State>,
    /// Offset of the next record to apply.
    pub next_offset: i64,
    /// The log was read to its end once.
    pub is_loaded: bool,
}

/// A change that waits to be written.
#[derive(Debug)]
pub struct Write {
    /// What to change.
    pub change: Change,
    /// Who waits for the outcome.
    pub reply: oneshot::Sender<Result<Outcome, RegistryError>>,
}

/// What requests are answered from.
#[derive(Debug, Clone)]
pub struct Store {
    view: watch::Receiver<View>,
    queue: mpsc::Sender<Write>,
    topic: Arc<str>,
    write_timeout: Duration,
    is_writer: watch::Receiver<bool>,
    cluster_id: Arc<OnceLock<String>>,
}

/// The log's side of a store; it does nothing until it is followed.
#[derive(Debug)]
pub struct Log {
    pub(crate) kafka: KafkaConfig,
    pub(crate) config: SchemasConfig,
    pub(crate) metrics: Metrics,
    view: watch::Sender<View>,
    queue: mpsc::Receiver<Write>,
    latch: Latch,
    cluster_id: Arc<OnceLock<String>>,
    is_writer: watch::Sender<bool>,
    /// False where another registry writes this log.
    may_write: bool,
    replicas: (ReplicasConfig, Dial),
}

/// Makes a store that knows nothing yet. It holds the latch `schemas`.
pub fn open(config: &Config, ctx: &Context, dial: Dial, metrics: &Metrics) -> (Store, Log) {
    let state = Arc::new(State::new(config.compatibility).with_policies(&config.sal));
    let (view, seen) = watch::channel(View { state, next_offset: 0, is_loaded: false });
    let (sender, queue) = mpsc::channel(config.schemas.write_queue);
    let (is_writer, writes) = watch::channel(false);
    metrics::observe(&ctx.meter, &seen, sender.downgrade());
    let store = Store {
        view: seen,
        queue: sender,
        topic: config.schemas.topic.as_str().into(),
        write_timeout: config.schemas.write_timeout,
        is_writer: writes,
        cluster_id: Arc::default(),
    };
    let log = Log {
        cluster_id: store.cluster_id.clone(),
        kafka: config.kafka.clone(),
        config: config.schemas.clone(),
        metrics: metrics.clone(),
        view,
        queue,
        latch: ctx.ready.latch("schemas"),
        is_writer,
        may_write: config.upstream.shadow.as_ref().is_none_or(|shadow| shadow.writes == Writes::Both),
        replicas: (config.replicas.clone(), dial),
    };
    (store, log)
}

impl Store {
    /// What is known now.
    ///
    /// # Errors
    /// Before the log was read to its end once.
    pub fn state(&self) -> Result<Arc<State>, RegistryError> {
        let view = self.view.borrow();
        if view.is_loaded {
            Ok(view.state.clone())
        } else {
            Err(RegistryError::NotLoaded(self.topic.to_string()))
        }
    }

    /// What is known, and each change of it.
    pub(crate) fn watch(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Bound on a write.
    pub(crate) fn write_timeout(&self) -> Duration {
        self.write_timeout
    }

    /// Whether this replica writes the log.
    pub(crate) fn is_writer(&self) -> bool {
        *self.is_writer.borrow()
    }

    /// The outcome of a change that the log says already. A refusal is none: another replica may know better.
    ///
    /// # Errors
    /// Before the log was read to its end once.
    pub(crate) fn known(&self, change: &Change) -> Result<Option<Outcome>, RegistryError> {
        let planned = self.state()?.plan(change);
        Ok(planned.ok().filter(|(records, _)| records.is_empty()).map(|(_, outcome)| outcome))
    }

    /// Id of the Kafka cluster that holds the log; empty until it was reached.
    pub fn cluster_id(&self) -> &str {
        self.cluster_id.get().map_or("", String::as_str)
    }

    /// Makes a change. One that is refused, or that the log says already, never touches Kafka.
    ///
    /// # Errors
    /// Why it is refused, or why it may not have been written.
    pub async fn change(&self, change: Change) -> Result<Outcome, RegistryError> {
        let (records, outcome) = self.state()?.plan(&change)?;
        if records.is_empty() {
            return Ok(outcome);
        }
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Write { change, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RegistryError::QueueFull(self.queue.max_capacity()),
            mpsc::error::TrySendError::Closed(_) => RegistryError::Stopping,
        })?;
        match tokio::time::timeout(self.write_timeout, answer).await {
            Ok(answer) => answer.unwrap_or(Err(RegistryError::Stopping)),
            Err(_) => Err(RegistryError::WriteTimedOut(self.write_timeout.as_secs())),
        }
    }
}

impl Log {
    /// Reads and writes the log until every store is dropped, or a stop is requested while Kafka is away. Other replicas reach this
    /// one at `me`.
    ///
    /// # Errors
    /// When the topic is not fit to hold schemas, or the reader died.
    pub async fn follow(self, me: Arc<str>, stop: Stop) -> anyhow::Result<()> {
        // The reader outlives the request to stop: the last writes are answered when they were read back.
        let reader_stop = Stop::new();
        let seen = self.view.subscribe();
        let reader = reader::LogReader::new(self.view, self.metrics.clone(), self.cluster_id);
        let loading = load(reader, &self.kafka, &self.config, &reader_stop);
        let loaded = tokio::select! {
            () = stop.requested() => None,
            loaded = loading => Some(loaded?),
        };
        let Some(reader) = loaded else {
            reader_stop.request();
            return Ok(());
        };
        self.latch.release();
        let reading = reader.spawn(&self.kafka, &self.config, &reader_stop).await?;
        let election = Election::new(me, seen.clone(), self.replicas, self.may_write);
        let writer = writer::Writer {
            election,
            is_writer: self.is_writer,
            kafka: self.kafka,
            config: Arc::new(self.config),
            metrics: self.metrics,
            queue: self.queue,
            view: seen,
            scanned: writer::Scanned::default(),
            alone: VecDeque::new(),
            stop,
        };
        tokio::select! {
            () = writer.run() => {}
            ended = reading.ended() => {
                ended?;
            }
        }
        reader_stop.request();
        Ok(())
    }
}

/// Reads the log to its end, for however long Kafka lets it wait, and looks meanwhile whether the topic is fit.
async fn load(
    reader: LogReader,
    kafka: &KafkaConfig,
    config: &SchemasConfig,
    stop: &Stop,
) -> anyhow::Result<LogReader> {
    let admin = Admin::new(kafka, &config.transactional_id).context("Kafka settings")?;
    let is_new = insist(|| topic::ensure(&admin, config)).await?;
    let checked = async {
        // Made as it should be; its settings may not be known to the broker yet.
        if is_new { Ok(()) } else { insist(|| topic::check_compacted(&admin, config)).await }
    };
    let read = async { reader.spawn(kafka, config, stop).await?.ended().await };
    let (reader, ()) = tokio::try_join!(read, checked)?;
    Ok(reader)
}

/// Waits for Kafka for as long as it takes.
async fn insist<T, F>(ask: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = Result<T, TopicError>>,
{
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    let mut told = String::new();
    loop {
        let problem = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(TopicError::Kafka(error)) => error.to_string(),
            Err(unfit) => return Err(unfit.into()),
        };
        if problem != told {
            tracing::warn!(error = problem, "schemas cannot be read yet, trying again until they can");
            told = problem;
        }
        tokio::time::sleep(backoff.next()).await;
    }
}
