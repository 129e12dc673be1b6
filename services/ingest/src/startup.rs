//! Start of the service: waits for Kafka and the registry, and gives the topics that samples can be taken for.

use std::sync::Arc;

use efd_kafka::Admin;
use efd_sal::Component;
use efd_schema::RegistryClient;
use efd_service::{Backoff, Context, Stop};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::config::{Config, RetryConfig};
use crate::initialise::{InitialiseError, create_topics, register_schemas};
use crate::sample::SampleTopic;

/// Creates topics and registers schemas, waiting for Kafka and the registry for as long as it takes, and tells the
/// readiness endpoint how far it is. `None` when the service is stopped meanwhile.
///
/// # Errors
/// When a client cannot be made of its settings, or Kafka or the registry refuse for good.
pub async fn prepare(
    components: &[Component],
    config: &Config,
    ctx: &Context,
) -> anyhow::Result<Option<Vec<Arc<SampleTopic>>>> {
    let kafka_is_ready = ctx.ready.latch("kafka");
    let registry_is_ready = ctx.ready.latch("registry");
    let admin = Admin::new(&config.kafka, ctx.name)?;
    let registry = RegistryClient::new(&config.registry)?;
    let options = config.initialise_options();

    let mut wait = Wait { retry: config.retry, stop: &ctx.stop, server: config.kafka.bootstrap_servers() };
    let create = || create_topics(components, &options, &admin).boxed();
    let Some(created) = patiently(&wait, create).await? else { return Ok(None) };
    kafka_is_ready.release();
    wait.server = registry.url();
    let register = || register_schemas(components, &options, &registry).boxed();
    let Some(ids) = patiently(&wait, register).await? else { return Ok(None) };
    registry_is_ready.release();

    let topics = sample_topics(components, &options.topic_subname, &ids);
    tracing::info!(topics = topics.len(), created = created.len(), "topics and schemas are in place");
    Ok(Some(topics))
}

/// How to wait, until when, and for whom.
pub(crate) struct Wait<'a> {
    pub(crate) retry: RetryConfig,
    pub(crate) stop: &'a Stop,
    /// Address, for the log.
    pub(crate) server: &'a str,
}

/// Tries until it works, until it never will, or until the service is stopped (`None`). Speaks only when the reason
/// changes, not at every try.
pub(crate) async fn patiently<'a, T>(
    wait: &Wait<'_>,
    attempt: impl Fn() -> BoxFuture<'a, Result<T, InitialiseError>>,
) -> Result<Option<T>, InitialiseError> {
    let mut backoff = Backoff::new(wait.retry.min, wait.retry.max);
    let mut last_reason = String::new();
    loop {
        let outcome = tokio::select! {
            () = wait.stop.requested() => return Ok(None),
            outcome = attempt() => outcome,
        };
        let error = match outcome {
            Ok(value) => {
                if !last_reason.is_empty() {
                    tracing::info!(server = wait.server, "reached, going on");
                }
                return Ok(Some(value));
            }
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(error),
        };
        let reason = error.to_string();
        if reason != last_reason {
            tracing::warn!(server = wait.server, error = %reason, "not reachable yet, trying again until it is");
            last_reason = reason;
        }
        tokio::select! {
            () = wait.stop.requested() => return Ok(None),
            () = tokio::time::sleep(backoff.next()) => {}
        }
    }
}

fn sample_topics(components: &[Component], subname: &str, ids: &[u32]) -> Vec<Arc<SampleTopic>> {
    let topics = components.iter().enumerate().flat_map(|(component_id, component)| {
        component.topics.iter().map(move |topic| (component_id, topic))
    });
    let topics = topics.zip(ids).enumerate();
    topics
        .map(|(id, ((component_id, topic), schema_id))| {
            Arc::new(SampleTopic::new(id, component_id, topic.clone(), subname, *schema_id))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use rdkafka::error::{KafkaError, RDKafkaErrorCode};

    use super::*;

    fn wait(stop: &Stop) -> Wait<'_> {
        let retry = RetryConfig { min: Duration::from_millis(100), max: Duration::from_secs(5) };
        Wait { retry, stop, server: "nowhere" }
    }

    fn failure(code: RDKafkaErrorCode) -> InitialiseError {
        InitialiseError::Topics(KafkaError::Global(code).into())
    }

    #[tokio::test(start_paused = true)]
    async fn what_time_may_heal_is_tried_until_it_works() {
        let tries = AtomicUsize::new(0);
        let attempt = || {
            let is_last = tries.fetch_add(1, Ordering::Relaxed) == 19;
            let outcome = if is_last { Ok(7) } else { Err(failure(RDKafkaErrorCode::OperationTimedOut)) };
            ready(outcome).boxed()
        };
        let outcome = patiently(&wait(&Stop::default()), attempt).await;
        assert!(matches!(outcome, Ok(Some(7))));
        assert_eq!(tries.into_inner(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_not_tried_again() {
        let attempt = || ready(Err::<(), _>(failure(RDKafkaErrorCode::UnsupportedVersion))).boxed();
        assert!(patiently(&wait(&Stop::default()), attempt).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_waiting() {
        let stop = Stop::default();
        let attempt = || {
            stop.request();
            ready(Err::<(), _>(failure(RDKafkaErrorCode::OperationTimedOut))).boxed()
        };
        assert!(matches!(patiently(&wait(&stop), attempt).await, Ok(None)));
    }
}
