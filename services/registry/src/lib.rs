//! A schema registry with Confluent's REST interface, stored in the Kafka topic `_schemas` as Confluent's registry stores it.
//!
//! Path of a registration: [`rest`] takes the request, [`route`] finds the call, [`api`] answers it or passes it on; [`body`] reads the schema and brings it
//! into its normal form ([`avro`]). If the [`state`] has it under the subject already, its id is the answer, and Kafka is never asked.
//! Else [`change`] plans the records, the writer of the [`store`] writes them ([`log`] makes the bytes) in a transaction, the reader reads
//! them back and applies them to the state, and [`answer`] gives the id.
//!
//! Assumes: the topic keeps every record (compaction, one partition), and one writer at a time, which a transactional id
//! ensures. Several registries may read one topic.
//!
//! On error: without Kafka at the start every request but `GET /` gets 503 until the topic was read; afterwards reads go on from
//! memory and writes fail with 503 within the write timeout, until Kafka is back. A record of the topic that cannot be
//! understood is reported and skipped. A topic that would lose schemas, or a reader that died, ends the process.

mod answer;
mod api;
mod avro;
mod body;
mod change;
mod compatibility;
mod config;
mod error;
mod log;
mod metrics;
mod reader;
mod rest;
mod route;
pub mod sal;
mod state;
mod store;
mod topic;
mod transaction;
mod writer;

use anyhow::Context as _;
pub use compatibility::Level;
pub use config::{Config, SchemasConfig};
use efd_service::Context;
use tokio::net::TcpListener;

/// What the service does, in one sentence.
pub const ABOUT: &str =
    "Schema registry with the Confluent REST interface, stored in the Kafka topic _schemas";

/// Runs the registry until a stop is requested; requests under way then have `schemas.write_timeout` to end.
///
/// # Errors
/// When the port is taken, or the log ends as [`store::Log::follow`] says.
pub async fn run(config: Config, ctx: Context) -> anyhow::Result<()> {
    let (store, log, metrics) = store::open(&config, &ctx);
    let listener = TcpListener::bind(config.http)
        .await
        .with_context(|| format!("cannot listen on {} (http)", config.http))?;
    tracing::info!(http = %listener.local_addr()?, topic = config.schemas.topic, "registry started");
    let api = api::Api { store, metrics, max_schema_bytes: config.schemas.max_schema_bytes.as_u64() };
    let http = async { rest::serve(listener, api, ctx.stop.clone()).await.context("REST interface") };
    let work = async { tokio::try_join!(http, log.follow(ctx.stop.clone())) };
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
