//! Topics and consumer groups: what exists, what to create, how far a group is behind.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::{KafkaConfig, QuietContext, TopicPartition};

/// Bound on one request to the brokers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Topics created by one request; a broker answers some thousands slowly.
const TOPICS_PER_REQUEST: usize = 200;

/// A topic as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Name.
    pub name: String,
    /// Partitions, at least 1.
    pub partitions: i32,
    /// Replication factor, at least 1.
    pub replication: i32,
    /// `cleanup.policy=compact` instead of the broker's default.
    pub compact: bool,
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Name.
    pub name: String,
    /// Numbers of its partitions.
    pub partitions: Vec<i32>,
    /// Partitions that have fewer replicas in sync than they should.
    pub under_replicated: usize,
}

/// How far a consumer group is behind in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLag {
    /// Where.
    pub partition: TopicPartition,
    /// Next offset to read, if the group ever committed one.
    pub committed: Option<i64>,
    /// Offset that the next record will get.
    pub end: i64,
    /// Records not yet read: from the committed offset, else from the oldest record kept.
    pub records: i64,
}

/// Looks at topics and creates them.
pub struct Admin {
    client: AdminClient<QuietContext>,
    config: KafkaConfig,
    client_id: String,
}

impl Admin {
    /// Connects lazily.
    ///
    /// # Errors
    /// When a setting is not one librdkafka takes.
    pub fn new(config: &KafkaConfig, client_id: &str) -> KafkaResult<Self> {
        Ok(Self {
            client: config.client(client_id).create_with_context(QuietContext)?,
            config: config.clone(),
            client_id: client_id.to_owned(),
        })
    }

    /// Creates the topics that do not exist; returns the names of those it made. An existing topic is left as it is.
    ///
    /// # Errors
    /// The first refusal of a broker, or none reachable within 15 s.
    pub async fn create_topics(&self, specs: &[TopicSpec]) -> KafkaResult<Vec<String>> {
        let options = AdminOptions::new()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .operation_timeout(Some(REQUEST_TIMEOUT));
        let mut created = Vec::new();
        for part in specs.chunks(TOPICS_PER_REQUEST) {
            let topics: Vec<NewTopic<'_>> = part.iter().map(new_topic).collect();
            for result in self.client.create_topics(&topics, &options).await? {
                match result {
                    Ok(name) => created.push(name),
                    Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    Err((_, code)) => return Err(KafkaError::AdminOp(code)),
                }
            }
        }
        Ok(created)
    }

    /// All topics of the cluster but its internal ones.
    ///
    /// # Errors
    /// When no broker answers within 15 s.
    pub async fn topics(&self) -> KafkaResult<Vec<TopicInfo>> {
        let mut topics = self
            .blocking(|consumer| {
                let metadata = consumer.fetch_metadata(None, REQUEST_TIMEOUT)?;
                Ok(metadata.topics().iter().map(topic_info).collect::<Vec<_>>())
            })
            .await?;
        topics.retain(|topic| !topic.name.starts_with("__"));
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Number of brokers that the cluster says it has.
    ///
    /// # Errors
    /// When no broker answers within 15 s.
    pub async fn brokers(&self) -> KafkaResult<usize> {
        self.blocking(|consumer| Ok(consumer.fetch_metadata(Some("-"), REQUEST_TIMEOUT)?.brokers().len()))
            .await
    }

    /// How far `group` is behind in each partition of `topics`.
    ///
    /// # Errors
    /// When no broker answers within 15 s.
    pub async fn lag(&self, group: &str, topics: &[TopicInfo]) -> KafkaResult<Vec<GroupLag>> {
        let mut config = self.config.client(&self.client_id);
        config.set("group.id", group).set("enable.auto.commit", "false");
        let partitions: Vec<(String, i32)> = topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.name.clone(), *partition)))
            .collect();
        on_thread(move || lag_of(&config.create_with_context(QuietContext)?, &partitions)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&BaseConsumer<QuietContext>) -> KafkaResult<T> + Send + 'static,
    ) -> KafkaResult<T> {
        let config = self.config.client(&self.client_id);
        on_thread(move || call(&config.create_with_context(QuietContext)?)).await
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("bootstrap_servers", &self.config.bootstrap_servers()).finish()
    }
}

async fn on_thread<T: Send + 'static>(
    call: impl FnOnce() -> KafkaResult<T> + Send + 'static,
) -> KafkaResult<T> {
    tokio::task::spawn_blocking(call).await.unwrap_or(Err(KafkaError::Global(RDKafkaErrorCode::Fail)))
}

fn new_topic(spec: &TopicSpec) -> NewTopic<'_> {
    let topic = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(spec.replication));
    if spec.compact { topic.set("cleanup.policy", "compact") } else { topic }
}

fn topic_info(topic: &rdkafka::metadata::MetadataTopic) -> TopicInfo {
    TopicInfo {
        name: topic.name().to_owned(),
        partitions: topic.partitions().iter().map(|partition| partition.id()).collect(),
        under_replicated: topic.partitions().iter().filter(|p| p.isr().len() < p.replicas().len()).count(),
    }
}

fn lag_of(consumer: &BaseConsumer<QuietContext>, partitions: &[(String, i32)]) -> KafkaResult<Vec<GroupLag>> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        asked.add_partition(topic, *partition);
    }
    let committed: BTreeMap<(String, i32), i64> = consumer
        .committed_offsets(asked, REQUEST_TIMEOUT)?
        .elements()
        .iter()
        .filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some(((element.topic().to_owned(), element.partition()), offset)),
            _ => None,
        })
        .collect();
    let mut lags = Vec::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        let (oldest, end) = consumer.fetch_watermarks(topic, *partition, REQUEST_TIMEOUT)?;
        let committed = committed.get(&(topic.clone(), *partition)).copied();
        let records = (end - committed.unwrap_or(oldest).max(oldest)).max(0);
        let place = TopicPartition { topic: topic.as_str().into(), partition: *partition };
        lags.push(GroupLag { partition: place, committed, end, records });
    }
    Ok(lags)
}
