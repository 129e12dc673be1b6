//! Keeps the account of one consumer group in a compacted Kafka topic, and reads what all replicas keep there.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use efd_kafka::{
    Admin, AdminError, BatchId, ConsumerThread, Follower, KafkaConfig, OutRecord, PollHandler, Producer,
    ProducerOptions, QuietContext, TopicPartition, TopicSpec,
};
use efd_service::{Backoff, Stop};
use futures::future::BoxFuture;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{OnceCell, watch};

use super::stored::Stored;
use super::summary::Teller;
use super::tracker::{Odd, Tracker as Account};
use super::view::View;
use super::{CompletenessConfig, facts, offsets};
use crate::batch::Batch;
use crate::config::Config;
use crate::error::SinkError;
use crate::line_writer::Refusal;
use crate::metrics::Metrics;
use crate::settled::Tracker;

/// A record of the account that no broker took in this time is sent again.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// A broker gives what there is long before.
const QUIET: Duration = Duration::from_secs(5);
/// Longest wait of the poll thread, so of a stop too.
const POLL: Duration = Duration::from_millis(100);

/// The account of a consumer group.
pub struct Keeper {
    topic: String,
    client_id: String,
    kafka: KafkaConfig,
    config: CompletenessConfig,
    retry: (Duration, Duration),
    account: Mutex<Account>,
    shared: Arc<Shared>,
    consumer: Arc<BaseConsumer<QuietContext>>,
    producer: OnceCell<Producer>,
    teller: Teller,
}

/// How far the topic was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    /// Offset behind the last record; -1 before the topic exists.
    position: i64,
    /// Whether nothing came behind it. Compaction may have removed the topic's last records, so that its end is never reached.
    is_at_end: bool,
}

/// What the poll thread fills.
struct Shared {
    view: Mutex<View>,
    progress: watch::Sender<Progress>,
    /// Records that an earlier owner wrote over ours.
    overwritten: Mutex<Vec<Stored>>,
}

impl Keeper {
    /// The account of the group of a destination. Connects lazily.
    ///
    /// # Errors
    /// When a setting is not one librdkafka takes.
    pub fn new(config: &Config, destination: usize, metrics: Arc<Metrics>) -> Result<Self, SinkError> {
        let group = config.group(destination);
        let name = config.destinations.get(destination).map(|one| one.name.clone()).unwrap_or_default();
        let topic = format!("{group}.completeness");
        let mut client = config.kafka.client(&format!("{group}-completeness"));
        client
            .set("group.id", &topic)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true");
        let consumer = client
            .create_with_context(config.kafka.context())
            .map_err(|source| SinkError::Kafka { destination: name.clone(), source })?;
        let shared = Shared {
            view: Mutex::default(),
            progress: watch::Sender::new(Progress { position: -1, is_at_end: false }),
            overwritten: Mutex::default(),
        };
        Ok(Self {
            topic,
            client_id: group,
            kafka: config.kafka.clone(),
            config: config.completeness,
            retry: (config.retry.min, config.retry.max),
            account: Mutex::new(Account::new(config.completeness.bounds())),
            shared: Arc::new(shared),
            consumer: Arc::new(consumer),
            producer: OnceCell::new(),
            teller: Teller::new(metrics, &name),
        })
    }

    /// Creates the topic if it is not there, and reads it until a stop is requested.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub async fn run(&self, stop: Stop) -> Result<(), SinkError> {
        tokio::select! {
            () = self.ensure_topic() => {}
            () = stop.requested() => return Ok(()),
        }
        let mut all = TopicPartitionList::new();
        let assigned = all
            .add_partition_offset(&self.topic, 0, Offset::Beginning)
            .and_then(|()| self.consumer.assign(&all));
        assigned.map_err(|source| SinkError::Kafka { destination: self.topic.clone(), source })?;
        self.shared.progress.send_replace(Progress { position: 0, is_at_end: false });
        let reader = Reader { shared: self.shared.clone() };
        let name = "completeness";
        let thread = ConsumerThread::spawn(name, self.consumer.clone(), reader, stop.clone(), POLL)
            .map_err(SinkError::Thread)?;
        match thread.joined().await {
            Some(_) => Ok(()),
            None => Err(SinkError::Ended("reader of completeness", self.topic.clone())),
        }
    }

    /// All that is kept, read to the end that the topic has now.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn view(&self) -> KafkaResult<MutexGuard<'_, View>> {
        self.catch_up().await?;
        Ok(self.shared.view())
    }

    async fn ensure_topic(&self) {
        let mut backoff = Backoff::new(self.retry.0, self.retry.1);
        let mut is_told = false;
        while let Err(error) = self.create_topic().await {
            // A refusal is told by the consumer of the group, which gets the same.
            let is_refusal = matches!(error, AdminError::Refused(_));
            if !is_refusal && !std::mem::replace(&mut is_told, true) {
                tracing::warn!(topic = self.topic, %error, "topic for completeness is not there yet, commits wait");
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn create_topic(&self) -> Result<(), AdminError> {
        let admin = Admin::new(&self.kafka, &self.client_id)?;
        // Looked for first: who may write to a topic may not be allowed to create one.
        if admin.topics().await?.iter().any(|topic| topic.name == self.topic) {
            return Ok(());
        }
        let replication = self.config.replication_factor;
        let spec = TopicSpec { name: self.topic.clone(), partitions: 1, replication, compact: true };
        admin.create_topics(&[spec]).await.map(drop)
    }

    async fn catch_up(&self) -> KafkaResult<()> {
        let mut progress = self.shared.progress.subscribe();
        let _ = progress.wait_for(|progress| progress.position >= 0).await;
        let end = offsets::end(&self.consumer, &self.topic, 0).await?;
        loop {
            let seen = *progress.borrow_and_update();
            if seen.position >= end {
                return Ok(());
            }
            let has_changed = tokio::time::timeout(QUIET, progress.changed()).await.is_ok();
            if !has_changed && seen.is_at_end {
                return Ok(());
            }
        }
    }

    /// Goes on from what was kept of partitions that are new here.
    async fn follow(&self, owned: &[(TopicPartition, i64)]) {
        let is_known = |partition: &TopicPartition| self.account().slot(partition).is_some();
        if owned.iter().all(|(partition, _)| is_known(partition)) {
            return;
        }
        let mut backoff = Backoff::new(self.retry.0, self.retry.1);
        while let Err(error) = self.catch_up().await {
            tracing::debug!(%error, "end of the completeness topic is not known");
            tokio::time::sleep(backoff.next()).await;
        }
        let mut account = self.account();
        let view = self.shared.view();
        for (partition, _) in owned {
            if account.slot(partition).is_none() {
                account.follow(partition, view.partition(partition));
            }
        }
    }

    /// Asks Kafka where partitions begin and end whose offsets do not go on where their accounts stand: that tells retention from other
    /// holes, and records that are read again from those of a topic that was made again.
    async fn look_at(&self, odd: Odd) {
        if odd.is_empty() {
            return;
        }
        let (partitions, places): (Vec<_>, Vec<_>) = odd.into_iter().unzip();
        let extents = match offsets::extents(&self.consumer, &partitions).await {
            Ok(extents) => extents,
            Err(error) => {
                tracing::debug!(%error, "where partitions begin and end is not known");
                return;
            }
        };
        let mut account = self.account();
        for (partition, next) in partitions.iter().zip(places) {
            let Some(extent) = extents.get(partition) else { continue };
            if account.learn(partition, next, *extent) {
                let (topic, partition) = (&*partition.topic, partition.partition);
                tracing::warn!(topic, partition, "topic was deleted and made again, its account starts anew");
            }
        }
    }

    async fn settle(
        &self,
        id: BatchId,
        batch: &Batch,
        refusals: &[Refusal],
        owned: Vec<(TopicPartition, i64)>,
    ) {
        self.follow(&owned).await;
        let owned: HashMap<&TopicPartition, Option<usize>> = {
            let account = self.account();
            owned.iter().map(|(partition, _)| (partition, account.slot(partition))).collect()
        };
        let slot_of = |partition: &TopicPartition| owned.get(partition).copied().flatten();
        {
            let mut account = self.account();
            let facts = facts::of(&mut account, batch, refusals, slot_of);
            account.done(id.number(), facts);
        }
        loop {
            let next = self.account().next_done();
            let Some((number, odd)) = next else { break };
            self.look_at(odd).await;
            self.account().advance(number);
        }
    }

    /// Writes what has changed; returns when Kafka has it.
    async fn keep(&self) {
        let horizon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let horizon = horizon.saturating_sub(self.config.keep).as_micros();
        let horizon = i64::try_from(horizon).unwrap_or(i64::MAX);
        let changes = {
            let mut account = self.account();
            for stored in self.shared.overwritten.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                account.touch(&stored.partition, stored.writer.as_ref());
            }
            let view = self.shared.view();
            account.join(|partition, writer| view.elsewhere(partition, writer));
            drop(view);
            self.teller.tell(&account);
            account.take_changes(horizon, self.config.writers)
        };
        if changes.is_empty() {
            return;
        }
        let mut backoff = Backoff::new(self.retry.0, self.retry.1);
        let mut is_told = false;
        while let Err(error) = self.produce(&changes).await {
            if !std::mem::replace(&mut is_told, true) {
                tracing::error!(topic = self.topic, %error, "account of completeness cannot be kept, commits wait");
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn produce(&self, changes: &[Stored]) -> KafkaResult<()> {
        let options = ProducerOptions { delivery_timeout: DELIVERY_TIMEOUT, ..ProducerOptions::default() };
        let make = async || Producer::new(&self.kafka, &self.client_id, &options);
        let mut batch = self.producer.get_or_try_init(make).await?.batch();
        for stored in changes {
            let (key, value) = match stored.encode() {
                Ok(encoded) => encoded,
                Err(error) => {
                    tracing::error!(%error, "account of a writer cannot be kept");
                    continue;
                }
            };
            let record = OutRecord {
                topic: &self.topic,
                partition: Some(0),
                key: Some(&key),
                payload: value.as_deref(),
                ..OutRecord::default()
            };
            batch.send(record).await?;
        }
        batch.delivered().await
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower for Keeper {
    fn assigned(&self, partitions: &[TopicPartition]) {
        self.account().own(partitions);
    }

    fn revoked(&self, partitions: &[TopicPartition]) {
        self.account().leave(partitions);
    }
}

impl Tracker for Keeper {
    fn settled<'a>(
        &'a self,
        id: BatchId,
        batch: &'a Batch,
        refusals: &'a [Refusal],
        owned: Vec<(TopicPartition, i64)>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(self.settle(id, batch, refusals, owned))
    }

    fn keep(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.keep())
    }

    fn interval(&self) -> Duration {
        self.config.interval
    }
}

impl Shared {
    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts what is read into the view.
struct Reader {
    shared: Arc<Shared>,
}

impl PollHandler for Reader {
    type Context = QuietContext;

    fn record(&mut self, _: &BaseConsumer<QuietContext>, record: &BorrowedMessage<'_>) -> ControlFlow<()> {
        match Stored::decode(record.key().unwrap_or_default(), record.payload()) {
            Ok(stored) => {
                let copy = stored.clone();
                if !self.shared.view().apply(stored) {
                    self.shared.overwritten.lock().unwrap_or_else(PoisonError::into_inner).push(copy);
                }
            }
            Err(error) => {
                tracing::warn!(%error, offset = record.offset(), "record of the completeness topic cannot be read");
            }
        }
        self.shared.progress.send_replace(Progress { position: record.offset() + 1, is_at_end: false });
        ControlFlow::Continue(())
    }

    fn tick(&mut self, _: &BaseConsumer<QuietContext>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn error(&mut self, error: &KafkaError) -> ControlFlow<()> {
        if matches!(error, KafkaError::PartitionEOF(_)) {
            self.shared.progress.send_modify(|progress| progress.is_at_end = true);
        } else {
            tracing::debug!(%error, "completeness topic");
        }
        ControlFlow::Continue(())
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("topic", &self.topic).finish_non_exhaustive()
    }
}
