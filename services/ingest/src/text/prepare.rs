//! What the text source needs before its first line: topics, schemas, and the translator that knows them.

use efd_kafka::{Admin, TopicSpec};
use efd_schema::RegistryClient;
use efd_service::Context;
use futures::FutureExt as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::config::Form;
use super::current::CurrentForm;
use super::interface::{self, LegacyTopic};
use super::legacy::{LegacyForm, RegisteredTopic};
use super::translate::Translator;
use crate::config::Config;
use crate::initialise::InitialiseError;
use crate::interfaces;
use crate::source::Surroundings;
use crate::startup::{Wait, patiently};

/// The translator of the form that the settings say. For the form of 2019, makes its topics and registers its schemas,
/// waiting for Kafka and the registry for as long as it takes; `None` when the service is stopped meanwhile.
///
/// # Errors
/// When the interfaces cannot be used, or Kafka or the registry refuse for good.
pub async fn translator(
    config: &Config,
    ctx: &Context,
    around: &Surroundings,
) -> anyhow::Result<Option<Translator>> {
    if config.text.form == Form::Current {
        let form = CurrentForm::new(&around.topics, around.clock.clone(), config.text.stamps);
        return Ok(Some(Translator::Current(form)));
    }
    let topics = legacy_topics(config)?;
    let admin = Admin::new(&config.kafka, ctx.name)?;
    let registry = RegistryClient::new(&config.registry)?;
    let specs: Vec<TopicSpec> =
        topics.iter().map(|(_, topic)| spec(topic, config.replication_factor.get())).collect();

    let mut wait = Wait { retry: config.retry, stop: &ctx.stop, server: config.kafka.bootstrap_servers() };
    let create = || async { admin.create_topics(&specs).await.map_err(InitialiseError::Topics) }.boxed();
    if patiently(&wait, create).await?.is_none() {
        return Ok(None);
    }
    wait.server = registry.url();
    let register = || register(&topics, &registry, config.concurrent_registrations).boxed();
    let Some(ids) = patiently(&wait, register).await? else { return Ok(None) };
    let registered = topics.into_iter().zip(ids);
    let registered = registered.map(|((component_id, topic), schema_id)| RegisteredTopic {
        topic,
        schema_id,
        component_id,
    });
    Ok(Some(Translator::Legacy(LegacyForm::new(registered))))
}

/// The topics of all components, each with the place of its component.
fn legacy_topics(config: &Config) -> anyhow::Result<Vec<(usize, LegacyTopic)>> {
    let release = interfaces::open(&config.interfaces)?;
    let mut topics = Vec::new();
    for (component_id, component) in config.components.iter().enumerate() {
        if !release.names().any(|name| name == component) {
            // Its error names near ones.
            release.component(component)?;
        }
        let files = release.topic_files(component)?;
        topics.extend(interface::read(component, &files)?.into_iter().map(|topic| (component_id, topic)));
    }
    Ok(topics)
}

/// As in 2019: one partition, nothing compacted.
fn spec(topic: &LegacyTopic, replication: i32) -> TopicSpec {
    TopicSpec { name: topic.full_name.clone(), partitions: 1, replication, compact: false }
}

async fn register(
    topics: &[(usize, LegacyTopic)],
    registry: &RegistryClient,
    concurrent: usize,
) -> Result<Vec<u32>, InitialiseError> {
    // Futures do nothing before they are polled; a closure inside the stream would not be `Send` for every lifetime.
    let calls: Vec<_> = topics.iter().map(|(_, topic)| register_one(topic, registry)).collect();
    stream::iter(calls).buffered(concurrent.max(1)).try_collect().await
}

/// The subject is the full name of the record, without a suffix.
async fn register_one(topic: &LegacyTopic, registry: &RegistryClient) -> Result<u32, InitialiseError> {
    let id = registry.register(&topic.full_name, &topic.schema).await;
    id.map_err(|error| InitialiseError::Schema { subject: topic.full_name.clone(), error })
}
