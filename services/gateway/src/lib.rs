//! The gateway gives back what was recorded: over gRPC (`efd.query.v1.QueryService`), in columns, with units, arrays as arrays.
//!
//! # Path of a query
//!
//! 1. [`service`] checks the request; [`selection`] finds the latest schemas of its topics by [`topics`], in the registry.
//! 2. [`layout`] says where each field stands in InfluxDB, [`influxql`] builds the statement, [`influxdb`] asks it.
//! 3. [`response`] takes the answer apart while it arrives, [`row`] reads values, [`columns`] gathers them by field, [`reading`] by batch.
//! 4. [`range`], [`latest`], [`window`], [`packed`] or [`aligned`] makes the answer of them, and [`answer`] streams it to the client.
//! 5. [`tail`] goes on with what comes: [`live`] reads Kafka, [`decode`] makes of a record the row that InfluxDB would give.
//!
//! [`http`] answers InfluxQL as InfluxDB does, for the clients there are: it finds out whether a statement may be asked, and passes the
//! answer on. [`credentials`] and [`quota`] are the same for both, [`guard`] checks them for gRPC.
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

mod activity;
mod aligned;
mod answer;
mod columns;
mod condition;
mod config;
mod credentials;
mod deadline;
mod decode;
mod error;
mod estimate;
mod followed;
mod guard;
mod http;
mod influxdb;
mod influxql;
mod latest;
mod layout;
mod live;
mod metrics;
mod newest;
mod packed;
mod probe;
mod quota;
mod range;
mod reading;
mod response;
mod resume;
mod row;
mod running;
mod samples;
mod scale;
mod selection;
mod server;
mod service;
mod shelf;
mod statistics;
mod tail;
mod time_range;
mod topics;
mod window;

use efd_schema::RegistryClient;
use efd_service::Context;
use efd_service::server::tls::ServerCertificate;
use tokio_util::sync::CancellationToken;

pub use config::{Config, InfluxDbConfig, QueryConfig, ServerConfig};
pub use credentials::Credential;
pub use http::config::HttpConfig;
pub use http::discovery::{DiscoveryConfig, Label};
pub use quota::QuotaConfig;

use crate::credentials::Access;
use crate::guard::Guarded;
use crate::http::metrics::HttpMetrics;
use crate::http::{HttpServer, Shared};
use crate::influxdb::InfluxDb;
use crate::metrics::Metrics;
use crate::probe::Probe;
use crate::quota::Quotas;
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
    let http_metrics = HttpMetrics::new(&ctx.meter);
    let influxdb = InfluxDb::new(&config.influxdb)?;
    let registry = RegistryClient::new(&config.registry)?;
    let certificate = ServerCertificate::load(&config.tls)?;
    if let Some(certificate) = &certificate {
        let metrics = http_metrics.clone();
        let changed = move |is_used| metrics.certificate_reloaded(is_used);
        tokio::spawn(certificate.clone().watch(changed, ctx.stop.clone()));
    }
    let cut = CancellationToken::new();
    let shared = Shared {
        access: Access::new(&config.credentials),
        quotas: Quotas::new(&config.credentials, config.quota),
        metrics: metrics.clone(),
        cut: cut.clone(),
    };
    let (access, quotas) = (shared.access.clone(), shared.quotas.clone());
    let http =
        HttpServer::listen(&config, influxdb.clone(), shared, http_metrics, certificate.clone()).await?;

    let listener = server::listen(config.grpc).await?;
    let address = listener.local_addr()?;
    let topics = Topics::new(registry, influxdb.clone(), config.topic_subname.get());
    let service = Service::new(topics, influxdb.clone(), &config, metrics.clone(), cut.clone());
    let (health, health_server) = tonic_health::server::health_reporter();
    let guard = |service| Guarded::new(service, access, quotas, &config.influxdb.database);
    let router = server::router(service, guard, health_server, &config.server)?;
    let (tls, credentials) = (certificate.is_some(), config.credentials.len());
    tracing::info!(%address, tls, credentials, influxdb = influxdb.url(), "serving gRPC");

    let probe = Probe::new(influxdb, latch, health, metrics);
    let probing = probe.watch(config.influxdb.probe_interval, ctx.stop.clone());
    let drain = Drain { stop: ctx.stop.clone(), timeout: config.server.drain_timeout, cut };
    let max_connections = config.server.max_connections;
    let serving = async {
        let grpc = async {
            let outcome =
                server::serve(router, listener, certificate, max_connections, ctx.stop.clone()).await;
            // A server that failed by itself must end everything else too.
            ctx.stop.request();
            outcome
        };
        let http = async {
            if let Some(http) = http {
                http.serve(ctx.stop.clone()).await;
            }
        };
        let (outcome, ()) = tokio::join!(grpc, http);
        outcome
    };
    let ((), outcome) = tokio::join!(probing, server::drained(serving, drain));
    outcome
}
