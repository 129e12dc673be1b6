//! Repairs InfluxDB from Kafka: reads records again with a consumer of its own, asks InfluxDB which of their points it has, and writes
//! the others. The worker, its consumer group and its commits are not touched.
//!
//! Only records below the committed offset are looked at: what lies above, the worker still has to write. A point counts as
//! present when InfluxDB has one of its measurement, tags and time: with the same `private_seqNum` it is the record's own, with another
//! it is one that replaced it, and writing would only take turns.

mod patience;
mod present;
mod reader;
mod series;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use efd_kafka::{Admin, AdminError, GroupLag, TopicPartition};
use efd_proto::sink::v1::{RepairResponse, RepairedTopic};
use efd_schema::SchemaRef;
use efd_service::ConfigError;
use rdkafka::error::KafkaError;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::batch::{Batch, Source};
use crate::completeness::report::timestamp;
use crate::config::Config;
use crate::consumer::schema_of;
use crate::influxdb::InfluxDb;
use crate::lag;
use crate::line_writer::LineWriter;
use crate::metrics::Metrics;
use crate::point;
use crate::record::Record;
use crate::schemas::{Known, Lookup, Schemas};
use patience::Patience;
use present::Present;
pub use present::PresentError;
use reader::{Chunk, Reader};
use series::Tags;

/// Wait between two looks whether a schema was found.
const LOOK: Duration = Duration::from_millis(20);

/// How InfluxDB is repaired from Kafka.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepairConfig {
    /// Records read in a second at most, unless the command says otherwise. Default 20,000.
    pub rate: u64,
    /// Records read, asked for and written together. Default 2000.
    pub chunk: usize,
    /// A record is looked for from so long before the range of time until so long after it, since its time in Kafka is not its
    /// event time. Default 10 min.
    #[serde(with = "humantime_serde")]
    pub slack: Duration,
}

impl Default for RepairConfig {
    fn default() -> Self {
        Self { rate: 20_000, chunk: 2000, slack: Duration::from_secs(600) }
    }
}

impl RepairConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.rate == 0 {
            return Err(ConfigError::invalid("repair.rate", "must be at least 1"));
        }
        if !(1..=100_000).contains(&self.chunk) {
            return Err(ConfigError::invalid("repair.chunk", "must be 1 to 100000"));
        }
        Ok(())
    }
}

/// Why a repair ends early.
#[derive(Debug, Error)]
pub enum RepairError {
    /// Kafka does not answer or refuses.
    #[error("kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// Kafka does not answer or refuses.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// InfluxDB does not say what it has.
    #[error(transparent)]
    Present(#[from] PresentError),
    /// A setting of the destination cannot be used.
    #[error("destination: {0}")]
    Destination(String),
    /// Nobody waits for the outcome any more.
    #[error("the client went away")]
    Gone,
    /// It had begun.
    #[error("{cause}; {done} of {total} offsets done, {written} points written: repair again for the rest")]
    Interrupted {
        /// What went wrong.
        cause: Box<RepairError>,
        /// Offsets passed.
        done: u64,
        /// Offsets to pass in all.
        total: u64,
        /// Points written.
        written: u64,
    },
}

/// What is to be repaired.
#[derive(Debug, Clone)]
pub struct Order {
    /// Kafka topics.
    pub topics: Vec<String>,
    /// First event time, Unix microseconds.
    pub start: Option<i64>,
    /// Last event time.
    pub end: Option<i64>,
    /// Place of the destination.
    pub destination: usize,
    /// Nothing is written.
    pub dry_run: bool,
    /// InfluxDB is not asked.
    pub everything: bool,
    /// Records in a second; 0 for the setting.
    pub rate: u64,
}

impl Order {
    fn has(&self, micros: i64) -> bool {
        self.start.is_none_or(|start| micros >= start) && self.end.is_none_or(|end| micros <= end)
    }
}

/// Where the outcome goes; false when nobody takes it any more.
pub type Tell<'a> = dyn FnMut(RepairResponse) -> futures::future::BoxFuture<'a, bool> + Send + 'a;

/// One repair.
pub struct Repair<'a> {
    config: &'a Config,
    order: Order,
    schemas: Schemas,
    present: Present,
    lines: LineWriter,
    limits: crate::batch::Limits,
    progress: RepairResponse,
    topics: BTreeMap<String, RepairedTopic>,
}

impl<'a> Repair<'a> {
    /// Makes the clients; none of them connects before it is used.
    ///
    /// # Errors
    /// When the settings of the destination cannot be used.
    pub fn new(config: &'a Config, schemas: Schemas, order: Order) -> Result<Self, RepairError> {
        let settings = config.destinations.get(order.destination).cloned().unwrap_or_default();
        let influxdb = InfluxDb::new(&settings).map_err(RepairError::Destination)?;
        // What the repair writes is counted by its own progress, not among what the worker writes.
        let metrics = Arc::new(Metrics::new(&opentelemetry::global::meter("repair")));
        let retry = (config.retry.min, config.retry.max);
        let present = Present::new(influxdb.clone(), &config.mapping, Patience::new(config.retry));
        let lines = LineWriter::new(influxdb, &settings.name, retry, metrics);
        Ok(Self {
            config,
            order,
            schemas,
            present,
            lines,
            limits: config.limits(),
            progress: RepairResponse::default(),
            topics: BTreeMap::new(),
        })
    }

    /// Does it; `tell` hears of the progress.
    ///
    /// # Errors
    /// See [`RepairError`]; what was written until then stays.
    pub async fn run(mut self, tell: &mut Tell<'_>) -> Result<(), RepairError> {
        let group = self.config.group(self.order.destination);
        let admin = Admin::new(&self.config.kafka, &format!("{group}-repair"))?;
        let mut topics = admin.topics().await?;
        topics.retain(|topic| self.order.topics.contains(&topic.name));
        if !self.order.dry_run {
            self.lines.prepare().await;
        }
        let patience = Patience::new(self.config.retry);
        let reader = Reader::new(&self.config.kafka, &group, self.config.repair.chunk, patience)?;
        let mut parts = Vec::new();
        for GroupLag { partition, committed, .. } in
            lag::of_group(&admin, &self.config.retry, (&group, &topics)).await?
        {
            let Some(committed) = committed else { continue };
            let range = (self.order.start, self.order.end);
            let (from, to) = reader.range(&partition, committed, range, self.config.repair.slack).await?;
            if from < to {
                self.progress.offsets_total += u64::try_from(to - from).unwrap_or_default();
                parts.push((partition, from, to));
            }
        }
        for (partition, from, to) in parts {
            let outcome = self.partition(&reader, &partition, (from, to), tell).await;
            outcome.map_err(|cause| RepairError::Interrupted {
                cause: Box::new(cause),
                done: self.progress.offsets_done,
                total: self.progress.offsets_total,
                written: self.progress.written,
            })?;
        }
        self.progress.topic.clear();
        self.progress.done = true;
        self.progress.topics = std::mem::take(&mut self.topics).into_values().collect();
        if tell(self.progress.clone()).await { Ok(()) } else { Err(RepairError::Gone) }
    }

    async fn partition(
        &mut self,
        reader: &Reader,
        partition: &TopicPartition,
        (from, to): (i64, i64),
        tell: &mut Tell<'_>,
    ) -> Result<(), RepairError> {
        reader.seek(partition, from)?;
        let rate = if self.order.rate > 0 { self.order.rate } else { self.config.repair.rate };
        let mut next = from;
        while next < to {
            let start = Instant::now();
            let chunk = reader.chunk(to).await?;
            let read = chunk.records.len();
            self.chunk(partition, &chunk).await?;
            let passed = chunk.next.min(to);
            self.progress.offsets_done += u64::try_from(passed - next).unwrap_or_default();
            next = passed;
            self.progress.topic = partition.topic.to_string();
            if !tell(self.progress.clone()).await {
                return Err(RepairError::Gone);
            }
            let due = Duration::from_secs_f64(read as f64 / rate as f64);
            tokio::time::sleep(due.saturating_sub(start.elapsed())).await;
        }
        Ok(())
    }

    async fn chunk(&mut self, partition: &TopicPartition, chunk: &Chunk) -> Result<(), RepairError> {
        let mut by_measurement: BTreeMap<String, Vec<Candidate<'_>>> = BTreeMap::new();
        let mut scratch = Vec::new();
        for read in &chunk.records {
            let record = read.view();
            let Some(payload) = record.payload else { continue };
            let Ok((id, body)) = schema_of(&record, payload) else {
                self.progress.refused += 1;
                continue;
            };
            let Some(known) = self.plan(id).await else {
                self.progress.refused += 1;
                continue;
            };
            scratch.clear();
            match point::append(&known.plan, body, &mut scratch) {
                Ok(point) if self.order.has(point.time.div_euclid(1000)) => {
                    self.progress.records += 1;
                    let measurement = known.plan.measurement().to_owned();
                    let tags = series::tags(&scratch, known.plan.head().len());
                    let candidate = Candidate { record, known, tags, time: point.time };
                    by_measurement.entry(measurement).or_default().push(candidate);
                }
                Ok(_) => {}
                Err(_) => self.progress.refused += 1,
            }
        }
        for (measurement, candidates) in by_measurement {
            let missing = self.missing(&measurement, candidates).await?;
            self.write(partition, missing).await;
        }
        Ok(())
    }

    async fn plan(&self, id: SchemaRef) -> Option<Arc<Known>> {
        loop {
            match self.schemas.get(id) {
                Lookup::Ready(known) => return Some(known),
                Lookup::Dead(_) => return None,
                Lookup::Waiting => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Those of which InfluxDB has no point.
    async fn missing<'r>(
        &self,
        measurement: &str,
        mut candidates: Vec<Candidate<'r>>,
    ) -> Result<Vec<Candidate<'r>>, RepairError> {
        if self.order.everything {
            return Ok(candidates);
        }
        let times = candidates.iter().map(|candidate| candidate.time).collect();
        let present = self.present.points(measurement, times).await?;
        candidates.retain(|candidate| !present.has(&candidate.tags, candidate.time));
        Ok(candidates)
    }

    async fn write(&mut self, partition: &TopicPartition, missing: Vec<Candidate<'_>>) {
        if missing.is_empty() {
            return;
        }
        let count = missing.len() as u64;
        let mut batch = Batch::new(self.limits);
        let topic = self.topics.entry(partition.topic.to_string()).or_default();
        topic.topic = partition.topic.to_string();
        for Candidate { record, known, time, .. } in &missing {
            let time = timestamp(time.div_euclid(1000));
            let key = |time: &prost_types::Timestamp| (time.seconds, time.nanos);
            if topic.first.as_ref().is_none_or(|first| key(&time) < key(first)) {
                topic.first = Some(time);
            }
            if topic.last.as_ref().is_none_or(|last| key(&time) > key(last)) {
                topic.last = Some(time);
            }
            let body = record
                .payload
                .and_then(|payload| schema_of(record, payload).ok())
                .map_or(&[][..], |(_, body)| body);
            let source = Source { slot: 0, partition, component: known.component };
            batch.point(source, record, (&known.plan, known.component), body);
        }
        topic.missing += count;
        self.progress.missing += count;
        if self.order.dry_run {
            return;
        }
        let lines = batch.take_lines();
        let refused = self.lines.write(&batch, &lines).await.len() as u64;
        topic.written += count - refused;
        self.progress.written += count - refused;
        self.progress.refused += refused;
    }
}

/// A record of the range.
struct Candidate<'a> {
    record: Record<'a>,
    known: Arc<Known>,
    tags: Tags,
    time: i64,
}
