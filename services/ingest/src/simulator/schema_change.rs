//! A schema that changes while samples flow: some topics get a further version with one more field.

use std::sync::Arc;
use std::time::Duration;

use efd_sal::{Field, FieldType, TopicKind};
use efd_schema::RegistryClient;
use efd_service::Stop;
use futures::FutureExt;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use crate::config::Config;
use crate::initialise::register;
use crate::sample::SampleTopic;
use crate::simulator::SimulatorError;
use crate::startup::{Wait, patiently};

/// Name of the field that is added.
pub const ADDED_FIELD: &str = "simulatorAdded";

/// A change that is still to come.
#[derive(Debug)]
pub struct SchemaChange {
    after: Duration,
    topics: usize,
    seed: u64,
    registry: RegistryClient,
    config: Config,
}

impl SchemaChange {
    /// The change that the settings ask for, if any.
    ///
    /// # Errors
    /// When the registry's settings cannot be used.
    pub fn new(config: &Config) -> Result<Option<Self>, SimulatorError> {
        let inject = &config.simulator.inject;
        if inject.schema_changes == 0 {
            return Ok(None);
        }
        Ok(Some(Self {
            after: inject.schema_change_after,
            topics: inject.schema_changes,
            seed: config.simulator.seed,
            registry: RegistryClient::new(&config.registry).map_err(SimulatorError::Registry)?,
            config: config.clone(),
        }))
    }

    /// Whether it comes before a sample that is due then.
    pub fn is_before(&self, due: Duration) -> bool {
        due >= self.after
    }

    /// Registers the further versions of some of the topics, and waits for the registry as long as it takes; `None`
    /// when the service is stopped meanwhile.
    ///
    /// # Errors
    /// When the registry refuses a schema.
    pub async fn register(
        &self,
        topics: Vec<Arc<SampleTopic>>,
        stop: &Stop,
    ) -> Result<Option<Vec<Arc<SampleTopic>>>, SimulatorError> {
        let wait = Wait { retry: self.config.retry, stop, server: self.registry.url() };
        let subname = self.config.topic_subname.get();
        let mut changed = Vec::new();
        for topic in choose(topics, self.topics, self.seed) {
            let mut further = topic.topic.clone();
            further.fields.push(added_field());
            let attempt = || register(&further, subname, &self.registry).boxed();
            let Some(id) = patiently(&wait, attempt).await.map_err(SimulatorError::SchemaChange)? else {
                return Ok(None);
            };
            changed.push(Arc::new(SampleTopic::new(topic.id, topic.component_id, further, subname, id)));
        }
        Ok(Some(changed))
    }
}

/// So many of the topics, as the seed decides.
fn choose(mut topics: Vec<Arc<SampleTopic>>, count: usize, seed: u64) -> Vec<Arc<SampleTopic>> {
    // The schema of a camera's file is text, to which no field can be added.
    topics.retain(|topic| topic.topic.kind == TopicKind::Telemetry && topic.topic.file_schema.is_none());
    topics.shuffle(&mut SmallRng::seed_from_u64(seed));
    topics.truncate(count);
    topics
}

fn added_field() -> Field {
    Field::new(ADDED_FIELD, FieldType::Double, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{arrays, heartbeat, sample_topics, scalars};

    #[test]
    fn the_seed_chooses_telemetry_topics() {
        let topics = sample_topics([heartbeat(), arrays(), scalars()]);
        let chosen = |count, seed| {
            let chosen = choose(topics.clone(), count, seed);
            chosen.iter().map(|topic| topic.id).collect::<Vec<_>>()
        };
        assert_eq!(chosen(1, 7), chosen(1, 7));
        let mut all = chosen(9, 7);
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    }
}
