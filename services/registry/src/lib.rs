//! A schema registry with Confluent's REST interface, stored in the Kafka topic `_schemas` as Confluent's registry stores it.
//!
//! Path of a registration: [`rest`] takes the request, [`access`] knows the caller, [`route`] finds the call, [`api`] answers it or passes it on; [`body`] reads the schema and brings it
//! into its normal form ([`avro`]). If the [`state`] has it under the subject already, its id is the answer, and Kafka is never asked.
//! Else [`change`] plans the records, the writer of the [`store`] writes them ([`log`] makes the bytes) in a transaction, the reader reads
//! them back and applies them to the state, and [`answer`] gives the id.
//!
//! Assumes: the topic keeps every record (compaction, one partition), and one writer at a time, which a transactional id
//! ensures. Of several registries on one topic one writes, and the others send their writes to it ([`replica`]).
//!
//! On error: without Kafka at the start every request but `GET /` gets 503 until the topic was read; afterwards reads go on from
//! memory and writes fail with 503 within the write timeout, until Kafka is back. A record of the topic that cannot be
//! understood is reported and skipped. A topic that would lose schemas, or a reader that died, ends the process.

mod access;
mod answer;
mod api;
mod audit;
mod avro;
mod body;
mod change;
mod compatibility;
mod config;
mod error;
mod form;
mod front;
#[cfg(test)]
mod golden_tests;
mod grpc;
mod ids;
mod inline;
mod limits;
mod log;
mod metrics;
mod mode;
mod name;
mod normal;
mod proxy;
mod query;
mod reader;
mod replica;
mod rest;
mod route;
mod sal;
mod schema;
mod scope;
mod state;
mod store;
mod subject;
mod tags;
mod topic;
mod transaction;
mod writer;

use std::sync::Arc;

pub use access::Credential;
use anyhow::Context as _;
pub use compatibility::Level;
pub use config::{Config, GrpcConfig, ReplicasConfig, SchemasConfig};
use efd_service::Context;
use efd_service::server::tls::ServerCertificate;
pub use limits::LimitsConfig;
pub use proxy::config::{ShadowConfig, Side, UpstreamConfig, Writes};
pub use sal::{Policies, Policy};
use tokio::net::TcpListener;

use crate::access::Access;
use crate::api::Api;
use crate::front::{Front, Place};
use crate::metrics::Metrics;
use crate::proxy::Proxy;
use crate::proxy::shadow::Shadow;

/// What the service does, in one sentence.
pub const ABOUT: &str =
    "Schema registry with the Confluent REST interface, stored in the Kafka topic _schemas";

/// Runs the registry until a stop is requested; requests under way then have `schemas.write_timeout` to end.
///
/// # Errors
/// When a port is taken, or the log ends as [`store::Log::follow`] says.
pub async fn run(config: Config, ctx: Context) -> anyhow::Result<()> {
    let grpc = grpc::listen(&config).await?;
    let me = grpc::advertised(&config, grpc.local_addr()?);
    let metrics = Metrics::new(&ctx.meter);
    let Parts { place, log, chores } = Parts::open(&config, &ctx, &me, &metrics)?;
    let listener = TcpListener::bind(config.http)
        .await
        .with_context(|| format!("cannot listen on {} (http)", config.http))?;
    let certificate = watched(&config, &ctx, &metrics)?;
    let (tls, credentials) = (certificate.is_some(), config.credentials.len());
    tracing::info!(http = %listener.local_addr()?, grpc = %me, tls, credentials, upstream = config.upstream.url, "registry started");
    let access = Access::new(&config.credentials, &config.limits);
    let front = Arc::new(Front::new(place, access, metrics, config.schemas.max_schema_bytes.as_u64()));
    // The log is followed until both servers have let go of the store.
    let rest = rest::Rest::new(front.clone(), &config.limits);
    let http = async {
        let tls = certificate.as_ref().map(|certificate| certificate.server("http/1.1"));
        rest.serve(listener, tls, ctx.stop.clone()).await;
        anyhow::Ok(())
    };
    let tls = certificate.as_ref().map(|certificate| certificate.server("h2"));
    let calls = grpc::serve((grpc, tls), front, &config, ctx.stop.clone());
    let following = async {
        match log {
            Some(log) => log.follow(me, ctx.stop.clone()).await,
            None => Ok(()),
        }
    };
    let chores = async {
        if let Some(chores) = chores {
            chores.run(ctx.stop.clone()).await;
        }
        anyhow::Ok(())
    };
    let work = async { tokio::try_join!(http, calls, following, chores) };
    let time_is_up = async {
        ctx.stop.requested().await;
        // By then every write that was asked for before has its answer.
        tokio::time::sleep(config.schemas.write_timeout).await;
    };
    tokio::select! {
        outcome = work => outcome.map(|_| ()),
        () = time_is_up => {
            tracing::warn!("clients that do not finish their requests were cut off");
            Ok(())
        }
    }
}

/// The certificate of the settings, which from now on is the one in the files.
fn watched(
    config: &Config,
    ctx: &Context,
    metrics: &Metrics,
) -> anyhow::Result<Option<Arc<ServerCertificate>>> {
    let certificate = ServerCertificate::load(&config.tls)?;
    if let Some(certificate) = &certificate {
        let metrics = metrics.clone();
        let changed = move |is_used| metrics.certificate_reloaded(is_used);
        tokio::spawn(certificate.clone().watch(changed, ctx.stop.clone()));
    }
    Ok(certificate)
}

/// What stands behind the servers, and what keeps it going.
struct Parts {
    place: Place,
    log: Option<store::Log>,
    chores: Option<proxy::Chores>,
}

impl Parts {
    fn open(config: &Config, ctx: &Context, me: &Arc<str>, metrics: &Metrics) -> anyhow::Result<Self> {
        if config.upstream.is_proxy() {
            let (proxy, chores) = Proxy::open(&config.upstream, ctx)?;
            return Ok(Self { place: Place::Proxy(proxy), log: None, chores: Some(chores) });
        }
        let dial = replica::peer::Dial::new(config)?;
        let (store, log) = store::open(config, ctx, dial.clone(), metrics);
        let replicas = replica::Replicas::new(me.clone(), &store, dial, metrics.clone());
        let own = Api { store, replicas, metrics: metrics.clone() };
        let place = if config.upstream.shadow.is_some() {
            Place::Shadow(Arc::new(Shadow::new(own, &config.upstream, ctx)?))
        } else {
            Place::Own(Box::new(own))
        };
        Ok(Self { place, log: Some(log), chores: None })
    }
}
