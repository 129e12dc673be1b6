//! Takes SAL samples from its sources and produces them to Kafka as Avro records, whose schemas it registers.
//!
//! The path of a sample, one file per stage: a source makes it ([`simulator`]); it waits in a bounded queue; [`encode`]
//! turns it into bytes, which is pure; [`producer`] sends it to `lsst.<subname>.<Component>.<sal_name>` and awaits the
//! acknowledgement by the batch. Before the first sample, [`initialise`] makes the topics and registers the schemas.
//!
//! Assumes that it is the only writer of its samples' topics with its identity, and that a record sent twice does no
//! harm. On error: while Kafka or the registry cannot be reached, everything waits, at last the source; a sample that
//! does not fit its interface, or that Kafka takes for no size, is dropped with a warning and a count; interfaces or
//! leap seconds that cannot be read, a refused schema and a Kafka client that can never go on end the service.

pub mod account;
pub mod batch;
pub mod clock;
pub mod config;
pub mod encode;
pub mod error;
pub mod initialise;
pub mod interfaces;
pub mod metrics;
pub mod producer;
pub mod publisher;
pub mod sample;
pub mod simulator;
mod startup;
mod tally;
#[cfg(test)]
mod testing;

use std::time::Duration;

use efd_service::{Context, Stop};
use tokio::sync::mpsc;

pub use account::{Account, TopicAccount};
use clock::Clock;
pub use config::Config;
use error::IngestError;
use metrics::Metrics;
use producer::SampleProducer;
use simulator::Simulator;

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
    let components = interfaces::load(&config.interfaces, &config.components)?;
    let metrics = Metrics::new(&ctx.meter, &config.components);
    let Some(topics) = startup::prepare(&components, &config, &ctx).await? else {
        return Ok(Account::default());
    };

    let (samples, mut queue) = mpsc::channel(config.queue_samples);
    let simulator = Simulator::new(&config.simulator, &topics, config.identity.as_deref(), clock);
    let mut producer =
        SampleProducer::new(&config.kafka, &config.producer, config.retry, Account::new(&topics), metrics)?;
    let stop = ctx.stop.clone();
    let source = tokio::spawn(async move {
        if config.simulator.enabled {
            return simulator.run(samples, stop).await;
        }
        stop.requested().await;
        drop(samples); // the end of the queue
        Ok(())
    });

    let outcome = tokio::select! {
        outcome = producer.run(&mut queue) => outcome,
        () = passed(&ctx.stop, delivery_time) => {
            producer.abandon(&mut queue);
            Ok(())
        }
    };
    let account = producer.account().clone();
    tracing::info!(
        taken = account.produced(),
        delivered = account.delivered(),
        rejected = account.rejected(),
        topics = %account,
        "account"
    );
    outcome?;
    source.await??;
    Ok(account)
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
