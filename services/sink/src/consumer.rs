//! Reads records on the poll thread, makes points of them straight into the batch, and hands full batches to the writer.
//!
//! When no free batch is left, all partitions are paused, and polling goes on, so that the consumer stays in its group. When
//! the schema of a record is not known yet, only its partition is paused; the record is held until the look-up ends.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use efd_kafka::{ErrorKind, Pauses, PollHandler, TopicPartition, error_kind, is_refusal};
use efd_schema::SchemaRef;
use efd_schema::wire::{self, WireError};
use efd_service::Stop;
use rdkafka::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use tokio::sync::mpsc;

use crate::batch::{Batch, Source};
use crate::error::Cause;
use crate::metrics::Metrics;
use crate::partitions::{Partitions, Slot};
use crate::rebalance::{Commits, Rebalances};
use crate::record::Record;
use crate::schemas::{Lookup, Schemas};
use crate::writer::Filled;

/// Wait for a free batch before partitions are paused: a pause throws away what librdkafka has read ahead.
const PATIENCE: Duration = Duration::from_millis(250);
/// How often that wait looks for a request to stop.
const STOP_CHECK: Duration = Duration::from_millis(25);
/// Records between two looks at the clock.
const CLOCK_RECORDS: u32 = 8;
/// The same error is told once in this time.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// The two ends through which batches go round; their number bounds the memory.
#[derive(Debug)]
pub struct Buffers {
    /// Batches to fill.
    pub free: Receiver<Batch>,
    /// Batches to write; has room for all there are.
    pub filled: mpsc::Sender<Filled>,
}

/// The handler on the poll thread of one destination.
#[derive(Debug)]
pub struct Consumer {
    destination: String,
    partitions: Partitions,
    batch: Batch,
    buffers: Buffers,
    schemas: Schemas,
    /// Schema ids that became known.
    finished: Receiver<SchemaRef>,
    /// Slots with held records by the schema id that they wait for, and perhaps some whose partition went.
    waiting: HashMap<SchemaRef, Vec<usize>>,
    /// All partitions are paused for want of a free batch, those with held records for want of their schema.
    pauses: Pauses,
    /// Whether the poll before this tick gave a record.
    has_polled: bool,
    records_since_clock: u32,
    commits: Arc<Commits>,
    metrics: Arc<Metrics>,
    stop: Stop,
    told: Option<(RDKafkaErrorCode, Instant)>,
    failure: Option<KafkaError>,
}

impl PollHandler for Consumer {
    type Context = Rebalances;

    fn record(
        &mut self,
        consumer: &BaseConsumer<Rebalances>,
        record: &BorrowedMessage<'_>,
    ) -> ControlFlow<()> {
        self.follow_rebalance(consumer);
        let slot = self.partitions.find(record.topic(), record.partition());
        self.note_read(consumer, slot);
        let has_held = self.partitions.get(slot).is_some_and(|slot| !slot.held.is_empty());
        let record = view(record);
        let missing = if has_held { None } else { self.take(slot, &record) };
        if has_held || missing.is_some() {
            self.hold(consumer, slot, (&record, missing));
        }
        self.has_polled = true;
        self.records_since_clock += 1;
        if self.batch.is_full() { self.hand_on(consumer) } else { ControlFlow::Continue(()) }
    }

    fn tick(&mut self, consumer: &BaseConsumer<Rebalances>) -> ControlFlow<()> {
        self.follow_rebalance(consumer);
        // While records come, the clock is looked at now and then, else at every tick.
        if std::mem::take(&mut self.has_polled) && self.records_since_clock < CLOCK_RECORDS {
            return ControlFlow::Continue(());
        }
        self.records_since_clock = 0;
        self.release_held(consumer);
        let is_due = self.batch.is_due(Instant::now());
        if is_due || self.pauses.is_all() { self.hand_on(consumer) } else { ControlFlow::Continue(()) }
    }

    fn error(&mut self, error: &KafkaError) -> ControlFlow<()> {
        if error_kind(error) == ErrorKind::Fatal || matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            self.failure = Some(error.clone());
            return ControlFlow::Break(());
        }
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        if is_refusal(error) {
            // Told by the context; that no broker is left follows from it.
            self.told = Some((RDKafkaErrorCode::AllBrokersDown, Instant::now()));
        } else if code == RDKafkaErrorCode::UnknownTopicOrPartition {
            tracing::debug!(%error, "an owned topic does not exist yet");
        } else if self.told.is_none_or(|(told, at)| told != code || at.elapsed() >= TELL_AGAIN) {
            self.told = Some((code, Instant::now()));
            tracing::warn!(destination = self.destination, %error, "kafka consumer");
        }
        ControlFlow::Continue(())
    }
}

impl Consumer {
    /// A handler with an empty first batch.
    pub fn new(
        destination: &str,
        buffers: Buffers,
        (first, commits): (Batch, Arc<Commits>),
        (schemas, metrics): (Schemas, Arc<Metrics>),
        stop: Stop,
    ) -> Self {
        Self {
            destination: destination.to_owned(),
            partitions: Partitions::new(metrics.clone()),
            batch: first,
            buffers,
            finished: schemas.finished(),
            schemas,
            waiting: HashMap::new(),
            pauses: Pauses::default(),
            has_polled: false,
            records_since_clock: 0,
            commits,
            metrics,
            stop,
            told: None,
            failure: None,
        }
    }

    /// Hands the last batch on, when the thread has ended. Held records are read again by the next owner.
    ///
    /// # Errors
    /// What ended the thread, when it was not a request to stop.
    pub fn finish(mut self) -> Result<(), KafkaError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if !self.batch.is_empty() {
            let empty = Batch::new(self.batch.limits());
            let batch = std::mem::replace(&mut self.batch, empty);
            // The writer may have ended before; then these records are read again.
            let _ = self.send(batch);
        }
        Ok(())
    }

    /// Puts a record into the batch; returns the id of its schema when that is not known yet.
    fn take(&mut self, slot: usize, record: &Record<'_>) -> Option<SchemaRef> {
        let Slot { partition, component, known, .. } = self.partitions.get_mut(slot)?;
        let source = Source { slot, partition, component: *component };
        let Some(payload) = record.payload else {
            self.batch.tombstone(source, record.offset);
            return None;
        };
        let (id, body) = match schema_of(record, payload) {
            Ok(parts) => parts,
            Err(error) => {
                self.batch.dead(source, record, None, Cause::from(&error));
                return None;
            }
        };
        if known.as_ref().is_none_or(|known| known.plan.schema_id() != id) {
            match self.schemas.get(id) {
                Lookup::Ready(found) => *known = Some(found),
                Lookup::Waiting => return Some(id),
                Lookup::Dead(cause) => {
                    self.batch.dead(source, record, Some(id), (*cause).clone());
                    return None;
                }
            }
        }
        if let Some(known) = known {
            self.batch.point(source, record, (&known.plan, known.component), body);
        }
        None
    }

    /// Keeps a record until its schema is known, and stops reading its partition. `missing` is the id, for the first one.
    fn hold(
        &mut self,
        consumer: &BaseConsumer<Rebalances>,
        index: usize,
        (record, missing): (&Record<'_>, Option<SchemaRef>),
    ) {
        let Some(slot) = self.partitions.get_mut(index) else { return };
        slot.hold(record);
        if let Some(id) = missing {
            self.waiting.entry(id).or_default().push(index);
        }
        told_pause(&self.destination, self.pauses.hold(consumer, &slot.partition));
        self.show_paused();
    }

    /// Takes held records whose schema is known by now, and reads their partitions on.
    fn release_held(&mut self, consumer: &BaseConsumer<Rebalances>) {
        let mut released = Vec::new();
        while let Ok(id) = self.finished.try_recv() {
            for index in self.waiting.remove(&id).unwrap_or_default() {
                if self.take_held(index) {
                    released.push(index);
                }
            }
        }
        if released.is_empty() {
            return;
        }
        let slots = released.iter().filter_map(|index| self.partitions.get(*index));
        let released = self.pauses.release(consumer, slots.map(|slot| &slot.partition));
        told_pause(&self.destination, released);
        self.show_paused();
    }

    /// Takes the held records of a partition; false when one of them waits for another schema.
    fn take_held(&mut self, index: usize) -> bool {
        while let Some(held) = self.partitions.get_mut(index).and_then(|slot| slot.held.pop_front()) {
            let Some(missing) = self.take(index, &held.record()) else { continue };
            self.waiting.entry(missing).or_default().push(index);
            if let Some(slot) = self.partitions.get_mut(index) {
                slot.held.push_front(held);
            }
            return false;
        }
        true
    }

    /// Gives the batch to the writer and goes on with a free one; without one, pauses until there is one.
    fn hand_on(&mut self, consumer: &BaseConsumer<Rebalances>) -> ControlFlow<()> {
        let Some(free) = self.free_batch() else {
            if !self.pauses.is_all() {
                told_pause(&self.destination, self.pauses.pause_all(consumer));
                self.show_paused();
            }
            return ControlFlow::Continue(());
        };
        let batch = std::mem::replace(&mut self.batch, free);
        if self.pauses.is_all() {
            told_pause(&self.destination, self.pauses.resume_all(consumer));
            self.show_paused();
        }
        self.send(batch)
    }

    fn send(&self, batch: Batch) -> ControlFlow<()> {
        self.metrics.batch_consumed(&self.destination, &batch);
        let id = self.commits.open(batch.next_offsets());
        match self.buffers.filled.try_send(Filled { batch, id }) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn free_batch(&self) -> Option<Batch> {
        if self.pauses.is_all() {
            return self.buffers.free.try_recv().ok();
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.buffers.free.recv_timeout(STOP_CHECK) {
                Ok(batch) => return Some(batch),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if self.stop.is_requested() || Instant::now() >= deadline => {
                    return None;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn follow_rebalance(&mut self, consumer: &BaseConsumer<Rebalances>) {
        let Some(revoked) = consumer.context().take_changes() else { return };
        let revoked: HashSet<TopicPartition> = revoked.into_iter().collect();
        if !revoked.is_empty() {
            self.batch.forget(&revoked);
            self.partitions.forget(&revoked);
        }
        told_pause(&self.destination, self.pauses.follow(consumer, &revoked));
        self.show_paused();
    }

    /// Tells [`Pauses`] of a record, where it has to know.
    fn note_read(&mut self, consumer: &BaseConsumer<Rebalances>, index: usize) {
        let Some(slot) = self.partitions.get_mut(index) else { return };
        if std::mem::replace(&mut slot.is_read, true) && !self.pauses.is_all() {
            return;
        }
        told_pause(&self.destination, self.pauses.read(consumer, &slot.partition));
    }

    fn show_paused(&self) {
        self.metrics.paused_partitions(&self.destination, self.pauses.count());
    }
}

fn told_pause(destination: &str, result: KafkaResult<()>) {
    if let Err(error) = result {
        tracing::warn!(destination, %error, "partitions cannot be paused or resumed");
    }
}

/// What names the schema, and the Avro body.
pub fn schema_of<'a>(record: &Record<'_>, payload: &'a [u8]) -> Result<(SchemaRef, &'a [u8]), WireError> {
    match record.headers.iter().find(|(name, _)| *name == wire::VALUE_SCHEMA_HEADER) {
        Some((_, value)) => Ok((wire::header(value.unwrap_or_default())?, payload)),
        None => wire::split(payload).map(|(id, body)| (id.into(), body)),
    }
}

fn view<'a>(record: &'a BorrowedMessage<'_>) -> Record<'a> {
    let timestamp_ms = match record.timestamp() {
        Timestamp::NotAvailable => None,
        Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) => Some(ms),
    };
    let headers = record
        .headers()
        .map(|headers| headers.iter().map(|header| (header.key, header.value)).collect())
        .unwrap_or_default();
    Record { offset: record.offset(), timestamp_ms, key: record.key(), payload: record.payload(), headers }
}
