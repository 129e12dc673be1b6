//! Takes SAL samples from its sources and produces them to Kafka as Avro records, whose schemas it registers.
//!
//! The path of a sample, one file per stage: a source makes or takes it ([`simulator`], [`grpc`]); it waits in a bounded queue; [`encode`]
//! turns it into bytes, which is pure; [`producer`] sends it to `lsst.<subname>.<Component>.<sal_name>` and awaits the
//! acknowledgement by the batch. Before the first sample, [`initialise`] makes the topics and registers the schemas. Two sources have
//! paths of their own: [`http`] takes records of any topic, and [`text`] reads the text records of 2019.
//!
//! Assumes that it is the only writer of its samples' topics with its identity, and that a record sent twice does no
//! harm. On error: while Kafka or the registry cannot be reached, everything waits, at last the source; a sample that
//! does not fit its interface, or that Kafka takes for no size, is dropped with a warning and a count; interfaces or
//! leap seconds that cannot be read, a refused schema and a Kafka client that can never go on end the service.

pub mod account;
pub mod batch;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod damage;
mod direct;
pub mod encode;
pub mod error;
pub mod grpc;
pub mod http;
pub mod initialise;
pub mod interfaces;
pub mod metrics;
pub mod misfit;
pub mod producer;
pub mod publisher;
pub mod receipt;
pub mod sample;
pub mod simulator;
pub mod source;
mod startup;
mod tally;
#[cfg(test)]
mod testing;
pub mod text;
mod trace;

use std::time::Duration;

use anyhow::Context as _;
use efd_service::server::tls::ServerCertificate;
use efd_service::{Context, Stop};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use account::{Account, TopicAccount};
use clock::Clock;
pub use config::Config;
use direct::{Awaited, DirectSources};
use error::IngestError;
use grpc::GrpcSource;
use metrics::Metrics;
use producer::SampleProducer;
use simulator::{Sent, Simulator, SimulatorError};
use source::Surroundings;

/// Time that clients have, after their last result is known, to take it and close.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// Runs the service until it is stopped or its source ends, and delivers everything that was taken until then.
///
/// # Errors
/// When the service cannot start or go on, or had to end with records that are not known to be delivered.
pub async fn run(config: Config, ctx: Context) -> anyhow::Result<()> {
    let within = delivery_time(&config);
    let account = run_with_account(config, ctx).await?;
    match account.undelivered() {
        0 => Ok(()),
        records => Err(IngestError::Undelivered { records, within }.into()),
    }
}

/// As [`run`], and says at the end what was taken, delivered and rejected, per topic; undelivered records are not an
/// error here.
///
/// # Errors
/// When the service cannot start or go on.
pub async fn run_with_account(config: Config, ctx: Context) -> anyhow::Result<Account> {
    let delivery_time = delivery_time(&config);
    let clock = Clock::new(config.leap_seconds_file.as_deref())?;
    let components = if config.takes_samples() {
        interfaces::load(&config.interfaces, &config.components)?
    } else {
        Vec::new()
    };
    let metrics = Metrics::new(&ctx.meter, &config.components);
    let certificate = ServerCertificate::load(&config.tls)?;
    if let Some(certificate) = &certificate {
        let metrics = metrics.clone();
        let changed = move |is_used| metrics.certificate_reloaded(is_used);
        tokio::spawn(certificate.clone().watch(changed, ctx.stop.clone()));
    }
    let awaited = Awaited::new(&config, &ctx);
    let Some(topics) = startup::prepare(&components, &config, &ctx).await? else {
        return Ok(Account::default());
    };

    let (samples, mut queue) = mpsc::channel(config.queue_samples);
    let around =
        Surroundings { topics: topics.clone(), clock: clock.clone(), metrics: metrics.clone(), certificate };
    let mut grpc = GrpcSource::start_if_enabled(&config, &around, &samples, &ctx.stop)?;
    let mut direct = DirectSources::start((&config, &ctx), awaited, around, delivery_time);
    let simulator =
        if config.simulator.enabled { Some(Simulator::new(&config, &topics, clock)?) } else { None };
    let mut producer =
        SampleProducer::new(&config.kafka, &config.producer, config.retry, Account::new(&topics), metrics)?;
    let simulation =
        simulator.map(|simulator| tokio::spawn(simulator.run(samples.clone(), ctx.stop.clone())));
    let is_open = grpc.is_some() || direct.is_open() || simulation.is_none();
    let stop = ctx.stop.clone();
    tokio::spawn(async move {
        if is_open {
            stop.requested().await;
        }
        drop(samples); // the end of the queue, when no source is left
    });

    let outcome = tokio::select! {
        outcome = producer.run(&mut queue) => outcome.map_err(anyhow::Error::from),
        error = failed(&mut grpc) => Err(error),
        error = direct.failed() => Err(error),
        () = passed(&ctx.stop, delivery_time) => {
            producer.abandon(&mut queue);
            Ok(())
        }
    };
    let account = producer.account().clone();
    log(&account);
    // What is not delivered by now is not waited for any more, neither here nor by the clients.
    drop((producer, queue));
    // Before anything that waits for Kafka: whatever keeps the service from ending in time, the account is told.
    let simulated = match simulation {
        Some(simulation) => told(simulation, &account).await,
        None => Ok(()),
    };
    let close = CLOSE_GRACE.min((config.service.grace_period - delivery_time) / 2);
    let (direct, grpc) = tokio::join!(direct.finish(), finish(grpc, close));
    outcome.and(simulated).and(direct).and(grpc)?;
    Ok(account)
}

/// Tells what was simulated, and what became of it.
async fn told(simulation: JoinHandle<Result<Sent, SimulatorError>>, account: &Account) -> anyhow::Result<()> {
    simulation.await.context("simulator ended unexpectedly")??.report(account)?;
    Ok(())
}

async fn finish(grpc: Option<GrpcSource>, within: Duration) -> anyhow::Result<()> {
    match grpc {
        Some(grpc) => grpc.finish(within).await,
        None => Ok(()),
    }
}

fn log(account: &Account) {
    tracing::info!(
        taken = account.produced(),
        delivered = account.delivered(),
        rejected = account.rejected(),
        topics = %account,
        "account"
    );
}

/// Waits until the gRPC source fails, for ever if it does not.
async fn failed(grpc: &mut Option<GrpcSource>) -> anyhow::Error {
    if let Some(grpc) = grpc
        && let Err(error) = grpc.ended().await
    {
        return error;
    }
    std::future::pending().await
}

/// Time there is for deliveries after the request to stop; what is left of the grace period is for telemetry.
fn delivery_time(config: &Config) -> Duration {
    config.service.grace_period.mul_f64(0.9)
}

/// Waits for the request to stop and some time more.
async fn passed(stop: &Stop, time: Duration) {
    stop.requested().await;
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_can_be_spawned_beside_others() {
        fn spawnable(_: impl Future + Send + 'static) {}
        // Only has to compile.
        let _ = |config, ctx| spawnable(run_with_account(config, ctx));
    }
}
