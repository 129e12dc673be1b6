//! The Kafka cluster as clients see it: its id, its topics, and how topics are created.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use efd_kafka::{KafkaConfig, QuietContext};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use tokio::sync::{Mutex, OnceCell};

use super::body::TopicBody;

/// Bound on one request to the brokers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// A topic that is not known is looked for anew, but not more often than this.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Number, from 0.
    pub id: i32,
    /// Broker that leads it; −1: none does now.
    pub leader: i32,
    /// Brokers that keep it.
    pub replicas: Vec<i32>,
    /// Those of them that are up to date.
    pub in_sync: Vec<i32>,
}

/// Topics by name, each with its partitions.
pub type Topics = BTreeMap<String, Vec<Partition>>;

/// Asks the brokers; what they say of topics is kept for a while.
pub struct Cluster {
    client: Arc<AdminClient<QuietContext>>,
    refresh: Duration,
    id: OnceCell<String>,
    /// Locked while brokers are asked, so that all who wait share the answer.
    known: Mutex<Known>,
}

/// What was last heard of the topics.
#[derive(Default)]
struct Known {
    topics: Option<(Instant, Arc<Topics>)>,
    failure: Option<(Instant, KafkaError)>,
}

impl Cluster {
    /// Connects lazily; lists of topics may be as old as `refresh`.
    ///
    /// # Errors
    /// When a setting is not one the Kafka client takes.
    pub fn new(config: &KafkaConfig, client_id: &str, refresh: Duration) -> KafkaResult<Self> {
        let client = Arc::new(config.client(client_id).create_with_context(config.context())?);
        Ok(Self { client, refresh, id: OnceCell::new(), known: Mutex::default() })
    }

    /// Id of the cluster.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn id(&self) -> KafkaResult<&str> {
        let ask = || async {
            let client = self.client.clone();
            let id = on_thread(move || Ok(client.inner().fetch_cluster_id(REQUEST_TIMEOUT))).await?;
            id.ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut))
        };
        Ok(self.id.get_or_try_init(ask).await?)
    }

    /// All topics.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn topics(&self) -> KafkaResult<Arc<Topics>> {
        self.topics_not_older_than(self.refresh).await
    }

    /// The partitions of a topic; none where there is no such topic.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn topic(&self, name: &str) -> KafkaResult<Option<Vec<Partition>>> {
        let known = self.topics().await?.get(name).cloned();
        if known.is_some() {
            return Ok(known);
        }
        Ok(self.topics_not_older_than(LOOK_AGAIN).await?.get(name).cloned())
    }

    async fn topics_not_older_than(&self, age: Duration) -> KafkaResult<Arc<Topics>> {
        let asked = Instant::now();
        let mut known = self.known.lock().await;
        if let Some((at, topics)) = &known.topics
            && at.elapsed() < age
        {
            return Ok(topics.clone());
        }
        if let Some((at, error)) = &known.failure
            && *at >= asked
        {
            return Err(error.clone());
        }
        let client = self.client.clone();
        // All at once: to ask for one that is not there would create it where brokers do so.
        let fetched = on_thread(move || {
            let metadata = client.inner().fetch_metadata(None, REQUEST_TIMEOUT)?;
            Ok(metadata.topics().iter().map(topic_of).collect::<Topics>())
        });
        match fetched.await {
            Ok(topics) => {
                let topics = Arc::new(topics);
                known.topics = Some((Instant::now(), topics.clone()));
                Ok(topics)
            }
            Err(error) => {
                known.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// The settings of a topic, those of the cluster included.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn settings(&self, topic: &str) -> KafkaResult<BTreeMap<String, Option<String>>> {
        let asked = [ResourceSpecifier::Topic(topic)];
        let mut settings = BTreeMap::new();
        for answer in self.client.describe_configs(&asked, &options()).await? {
            let resource = answer.map_err(KafkaError::AdminOp)?;
            settings.extend(resource.entries.into_iter().map(|entry| (entry.name, entry.value)));
        }
        Ok(settings)
    }

    /// Creates a topic, or only asks whether it could be.
    ///
    /// # Errors
    /// When a broker refuses, or none answers.
    pub async fn create(&self, body: &TopicBody) -> KafkaResult<()> {
        // Both −1 mean: as the broker says.
        let replication = TopicReplication::Fixed(body.replication_factor.unwrap_or(-1));
        let mut topic = NewTopic::new(&body.topic_name, body.partitions_count.unwrap_or(-1), replication);
        for setting in &body.configs {
            if let Some(value) = &setting.value {
                topic = topic.set(&setting.name, value);
            }
        }
        let options = options().validate_only(body.validate_only);
        for created in self.client.create_topics(&[topic], &options).await? {
            created.map_err(|(_, code)| KafkaError::AdminOp(code))?;
        }
        self.known.lock().await.topics = None;
        Ok(())
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("id", &self.id.get()).finish_non_exhaustive()
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT))
}

fn topic_of(topic: &MetadataTopic) -> (String, Vec<Partition>) {
    let partition = |partition: &MetadataPartition| Partition {
        id: partition.id(),
        leader: partition.leader(),
        replicas: partition.replicas().to_vec(),
        in_sync: partition.isr().to_vec(),
    };
    let mut partitions: Vec<Partition> = topic.partitions().iter().map(partition).collect();
    partitions.sort_by_key(|partition| partition.id);
    (topic.name().to_owned(), partitions)
}

async fn on_thread<T: Send + 'static>(
    call: impl FnOnce() -> KafkaResult<T> + Send + 'static,
) -> KafkaResult<T> {
    tokio::task::spawn_blocking(call).await.unwrap_or(Err(KafkaError::Global(RDKafkaErrorCode::Fail)))
}
