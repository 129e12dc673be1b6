//! The sink writes Kafka records to InfluxDB, and commits only what was accepted.
//!
//! # Path of a record
//!
//! ```text
//! consumer     polls on its own thread                        -> bytes, topic, partition, offset
//! schemas      schema id -> plan (a miss pauses only that partition)
//! point        bytes + plan -> one line of line protocol      (pure)   <== here a record becomes a point
//! batch        lines with their records and offsets           (pure)
//! line_writer  written, until each line is stored or refused
//! dead_letter  what can never be stored goes to <topic>.dlq, whole
//! writer       then, and only then, offsets commit
//! ```
//!
//! Assumes records in Confluent's wire format whose schemas are records with a field `private_efdStamp`, and that writing a
//! point twice changes nothing. On trouble with Kafka, the registry or a destination it waits, without end and within bounded memory; bytes that
//! can never become a point are dead-lettered. Each destination is a pipeline of its own, so that one that is
//! away does not hold up another.

mod appender;
mod batch;
mod bounds;
mod compiler;
mod completeness;
mod config;
mod consumer;
mod dead_letter;
mod destination;
mod error;
mod field_types;
mod fields;
mod grpc;
mod gzip;
mod influxdb;
mod lag;
mod line;
mod line_writer;
mod mapping;
mod metrics;
mod number;
mod part;
mod partitions;
mod pipeline;
mod plan;
mod point;
mod private;
mod rebalance;
mod record;
mod repair;
mod schemas;
mod selection;
mod settled;
#[cfg(test)]
mod testing;
mod time;
mod trace;
mod writer;

use std::sync::Arc;

use efd_kafka::{Admin, AdminError};
use efd_schema::RegistryClient;
use efd_service::{Backoff, Context, Latch, Stop};
use futures::future::try_join_all;
use tokio_util::sync::CancellationToken;

pub use batch::{Batch, Limits, Source};
pub use bounds::{BatchConfig, DeadLetterConfig, ReadAheadConfig, RetryConfig};
pub use completeness::CompletenessConfig;
pub use config::{Config, GroupProtocol};
pub use destination::{Compression, DestinationConfig};
pub use error::{Cause, Reason, SinkError};
pub use mapping::{Floats, MappingConfig, TimeFormat, TypeConflict, WriterTag};
pub use plan::{Plan, PlanError};
pub use point::{Point, PointError, append};
pub use private::Private;
pub use record::Record;
pub use repair::RepairConfig;

use crate::completeness::Keeper;
use crate::error::SinkError as Error;
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::settled::Tracker;

/// Runs the sink until a stop is requested: one pipeline for each destination, over one cache of plans.
///
/// Ready when Kafka has answered and one destination could be written to.
///
/// # Errors
/// What no waiting heals: a setting that a client refuses, or a part that broke down.
pub async fn run(config: Config, ctx: Context) -> anyhow::Result<()> {
    let kafka = ctx.ready.latch("kafka");
    let influxdb = Arc::new(FirstOf::new(ctx.ready.latch("influxdb")));
    let metrics = Arc::new(Metrics::new(&ctx.meter));
    let registry = RegistryClient::new(&config.registry).map_err(Error::from)?;
    let (mut pipelines, mut keepers, mut schemas) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..config.destinations.len() {
        let pipeline = Pipeline::new(&config, index, registry.clone(), metrics.clone(), ctx.stop.clone())?;
        schemas.push(pipeline.schemas());
        let mut tracker: Option<Arc<dyn Tracker>> = None;
        if config.completeness.enabled {
            let keeper = Arc::new(Keeper::new(&config, index, metrics.clone())?);
            keepers.push(keeper.clone());
            tracker = Some(keeper);
        }
        pipelines.push(pipeline.run(ctx.stop.clone(), influxdb.clone(), tracker));
    }
    let cut = CancellationToken::new();
    let service = grpc::Service::new(&config, metrics, schemas, keepers.clone(), cut.clone())?;
    let serving = grpc::serve(service, config.grpc, ctx.stop.clone(), cut);
    // The account is still read while the last batches are written.
    let written = Stop::new();
    let keeping = try_join_all(keepers.iter().map(|keeper| keeper.run(written.clone())));
    let writing = async {
        let outcome = try_join_all(pipelines).await;
        written.request();
        // When one pipeline breaks down, the threads of the others have to end too.
        ctx.stop.request();
        outcome
    };
    let kafka_answers = release_when_kafka_answers(&config, &ctx, kafka);
    let keeping = async { keeping.await.map_err(anyhow::Error::from) };
    let outcome = tokio::try_join!(writing, keeping, serving, kafka_answers);
    ctx.stop.request();
    written.request();
    outcome.map(drop)
}

/// A latch that several may release; the first does.
#[derive(Debug)]
pub(crate) struct FirstOf {
    latch: std::sync::Mutex<Option<Latch>>,
}

impl FirstOf {
    fn new(latch: Latch) -> Self {
        Self { latch: std::sync::Mutex::new(Some(latch)) }
    }

    pub(crate) fn release(&self) {
        let latch = self.latch.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(latch) = latch {
            latch.release();
        }
    }
}

/// A consumer whose topics do not exist yet hears nothing of its group, so the brokers are asked.
async fn release_when_kafka_answers(config: &Config, ctx: &Context, latch: Latch) -> anyhow::Result<()> {
    let admin = Admin::new(&config.kafka, ctx.name)?;
    let mut backoff = Backoff::new(config.retry.min, config.retry.max);
    let mut is_told = false;
    loop {
        let answer = tokio::select! {
            answer = admin.brokers() => answer,
            () = ctx.stop.requested() => return Ok(()),
        };
        match answer {
            Ok(_) => {
                latch.release();
                return Ok(());
            }
            // The consumers are refused as well, and one of them tells it.
            Err(AdminError::Refused(_)) => {}
            Err(error) if !is_told => {
                is_told = true;
                tracing::warn!(%error, "kafka does not answer, waiting for it");
            }
            Err(_) => {}
        }
        tokio::time::sleep(backoff.next()).await;
    }
}
