//! The gateway gives back what was recorded: over gRPC (`efd.query.v1.QueryService`), in columns, with units, arrays as arrays.
//!
//! # Path of a query
//!
//! 1. [`service`] checks the request; [`selection`] finds the latest schemas of its topics by [`topics`], in the registry.
//! 2. [`layout`] says where each field stands in InfluxDB, [`influxql`] builds the statement, [`influxdb`] asks it.
//! 3. [`response`] takes the answer apart while it arrives, [`row`] reads values, [`columns`] gathers them by field, [`reading`] by batch.
//! 4. [`range`] makes the answer of them, and [`answer`] streams it to the client.
//!
//! # Assumes
//!
//! That the sink wrote as it does: the measurement is the topic, a scalar is a field of its name, element `i` of an array `a` is `ai`,
//! and of two fields that claim one name the first has it. Nothing is kept between calls, so that replicas need not know of each other.
//!
//! # On error
//!
//! A call fails with a status that names what is wrong and what to do; the gateway goes on. Without InfluxDB or registry it
//! serves all the same and answers `UNAVAILABLE`. Only a port in use or a damaged certificate file keeps it from starting.

mod answer;
mod columns;
mod config;
mod deadline;
mod error;
mod influxdb;
mod influxql;
mod layout;
mod metrics;
mod probe;
mod range;
mod reading;
mod response;
mod row;
mod running;
mod scale;
mod selection;
mod server;
mod service;
mod time_range;
mod topics;

use efd_schema::RegistryClient;
use efd_service::Context;
use tokio_util::sync::CancellationToken;

pub use config::{Config, InfluxDbConfig, QueryConfig, ServerConfig};

use crate::influxdb::InfluxDb;
use crate::metrics::Metrics;
use crate::probe::Probe;
use crate::server::Drain;
use crate::service::Service;
use crate::topics::Topics;

/// Serves until a stop is requested; running queries then have `server.drain_timeout` to end.
///
/// # Errors
/// When the port is in use, or a client cannot be made of its settings.
pub async fn run(config: Config, ctx: Context) -> anyhow::Result<()> {
    let latch = ctx.ready.latch("influxdb");
    let metrics = Metrics::new(&ctx.meter);
    let influxdb = InfluxDb::new(&config.influxdb)?;
    let registry = RegistryClient::new(&config.registry)?;
    let incoming = server::listen(config.grpc)?;
    let address = incoming.local_addr()?;

    let cut = CancellationToken::new();
    let topics = Topics::new(registry, influxdb.clone(), config.topic_subname.get());
    let service = Service::new(topics, influxdb.clone(), &config.query, metrics.clone(), cut.clone());
    let (health, health_server) = tonic_health::server::health_reporter();
    let router = server::router(service, health_server, &config.server)?;
    tracing::info!(%address, influxdb = influxdb.url(), "serving gRPC");

    let probe = Probe::new(influxdb, latch, health, metrics);
    let probing = probe.watch(config.influxdb.probe_interval, ctx.stop.clone());
    let drain = Drain { stop: ctx.stop.clone(), timeout: config.server.drain_timeout, cut };
    let serving = async {
        let outcome = server::serve(router, incoming, drain).await;
        // A server that failed by itself must end the probe too.
        ctx.stop.request();
        outcome
    };
    let ((), outcome) = tokio::join!(probing, serving);
    outcome
}
