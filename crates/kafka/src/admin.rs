//! Topics and consumer groups: what exists, what to create, how far a group is behind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tokio::sync::OnceCell;

use crate::lag::lag_of;
use crate::refusal::reason;
use crate::{ErrorKind, KafkaConfig, QuietContext, Refusal, TopicPartition, error_kind};

/// Bound on one request to the brokers.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Topics created by one request; a broker answers some thousands slowly.
const TOPICS_PER_REQUEST: usize = 200;
/// Pause between two looks at what the client has to tell while it is waited for.
const LOOK: Duration = Duration::from_millis(20);

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
    /// Replicas of the partition that has fewest.
    pub replication: usize,
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

/// Why Kafka did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AdminError {
    /// A broker does not let this client in.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No broker could be asked, within 15 s.
    #[error("no kafka broker answers at {bootstrap_servers}: {reason}")]
    Unreachable {
        /// Who was asked.
        bootstrap_servers: String,
        /// What was last heard of a connection.
        reason: String,
    },
    /// A broker said no, or a setting is not one librdkafka takes.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
}

impl AdminError {
    /// What to do about it. A refusal is transient: the password may be corrected at the broker.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(_) | Self::Unreachable { .. } => ErrorKind::Transient,
            Self::Kafka(error) => error_kind(error),
        }
    }
}

/// Looks at topics and creates them.
///
/// A broker that refuses the client is an error of the call at once, and is not logged here.
pub struct Admin {
    consumer: Arc<BaseConsumer<Listener>>,
    /// Made when a broker has let us in: what it has to tell is heard by nobody.
    client: OnceCell<AdminClient<QuietContext>>,
    config: KafkaConfig,
    client_id: String,
}

impl Admin {
    /// Connects lazily.
    ///
    /// # Errors
    /// When a setting is not one librdkafka takes.
    pub fn new(config: &KafkaConfig, client_id: &str) -> KafkaResult<Self> {
        let listener = Listener { quiet: config.context(), heard: Mutex::default() };
        Ok(Self {
            // It belongs to no group, so its poll gives what the client has to tell and no records.
            consumer: Arc::new(config.client(client_id).create_with_context(listener)?),
            client: OnceCell::new(),
            config: config.clone(),
            client_id: client_id.to_owned(),
        })
    }

    /// Creates the topics that do not exist; returns the names of those it made. An existing topic is left as it is.
    ///
    /// # Errors
    /// The first refusal of a broker, or none reachable within 15 s.
    pub async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<String>, AdminError> {
        let client = self.client().await?;
        let options = AdminOptions::new()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .operation_timeout(Some(REQUEST_TIMEOUT));
        let mut created = Vec::new();
        for part in specs.chunks(TOPICS_PER_REQUEST) {
            let topics: Vec<NewTopic<'_>> = part.iter().map(new_topic).collect();
            for result in client.create_topics(&topics, &options).await? {
                match result {
                    Ok(name) => created.push(name),
                    Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    Err((_, code)) => return Err(KafkaError::AdminOp(code).into()),
                }
            }
        }
        Ok(created)
    }

    /// All topics of the cluster but its internal ones.
    ///
    /// # Errors
    /// When no broker answers within 15 s.
    pub async fn topics(&self) -> Result<Vec<TopicInfo>, AdminError> {
        let mut topics = self
            .ask(|consumer| {
                let metadata = consumer.fetch_metadata(None, REQUEST_TIMEOUT)?;
                Ok(metadata.topics().iter().map(topic_info).collect::<Vec<_>>())
            })
            .await?;
        topics.retain(|topic| !topic.name.starts_with("__"));
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// A topic, if it exists.
    ///
    /// # Errors
    /// When no broker answers within 15 s.
    pub async fn topic(&self, name: &str) -> Result<Option<TopicInfo>, AdminError> {
        let name = name.to_owned();
        self.ask(move |consumer| {
            let metadata = consumer.fetch_metadata(Some(&name), REQUEST_TIMEOUT)?;
            // One that does not exist is answered with an error in place of partitions.
            let there = metadata.topics().iter().find(|topic| !topic.partitions().is_empty());
            Ok(there.map(topic_info))
        })
        .await
    }

    /// The value of a setting of each topic, such as `cleanup.policy`, which may be the cluster's default; by the name
    /// of the topic. A topic that does not exist is left out.
    ///
    /// # Errors
    /// When a broker refuses to tell, or none answers within 15 s.
    pub async fn topic_settings(
        &self,
        topics: &[String],
        name: &str,
    ) -> Result<BTreeMap<String, String>, AdminError> {
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let mut values = BTreeMap::new();
        for part in topics.chunks(TOPICS_PER_REQUEST) {
            let asked: Vec<_> = part.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
            for answer in self.client().await?.describe_configs(&asked, &options).await? {
                let resource = match answer {
                    Ok(resource) => resource,
                    Err(RDKafkaErrorCode::UnknownTopicOrPartition) => continue,
                    Err(code) => return Err(KafkaError::AdminOp(code).into()),
                };
                let value = resource.get(name).and_then(|entry| entry.value.clone());
                if let (OwnedResourceSpecifier::Topic(topic), Some(value)) = (resource.specifier, value) {
                    values.insert(topic, value);
                }
            }
        }
        Ok(values)
    }

    /// Number of brokers that the cluster says it has.
    ///
    /// # Errors
    /// When no broker answers within 15 s.
    pub async fn brokers(&self) -> Result<usize, AdminError> {
        self.ask(|consumer| Ok(consumer.fetch_metadata(Some("-"), REQUEST_TIMEOUT)?.brokers().len())).await
    }

    /// How far `group` is behind in each partition of `topics`.
    ///
    /// # Errors
    /// When no broker answers within 15 s.
    pub async fn lag(&self, group: &str, topics: &[TopicInfo]) -> Result<Vec<GroupLag>, AdminError> {
        self.brokers().await?;
        let mut config = self.config.client(&self.client_id);
        config.set("group.id", group).set("enable.auto.commit", "false");
        let context = self.config.context();
        let partitions_of = |topic: &TopicInfo| {
            let name: Arc<str> = topic.name.as_str().into();
            let partition = |number: &i32| TopicPartition { topic: name.clone(), partition: *number };
            topic.partitions.iter().map(partition).collect::<Vec<_>>()
        };
        let partitions: Vec<TopicPartition> = topics.iter().flat_map(partitions_of).collect();
        Ok(on_thread(move || lag_of(&config.create_with_context(context)?, &partitions)).await?)
    }

    async fn client(&self) -> Result<&AdminClient<QuietContext>, AdminError> {
        self.brokers().await?;
        let make = async || self.config.client(&self.client_id).create_with_context(self.config.context());
        Ok(self.client.get_or_try_init(make).await?)
    }

    /// Asks the brokers on a thread, and listens meanwhile. When the client is refused, the thread is left to its timeout:
    /// librdkafka goes on trying, and so heals what is corrected.
    async fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(&BaseConsumer<Listener>) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, AdminError> {
        let consumer = self.consumer.clone();
        let answer = tokio::select! {
            answer = on_thread(move || call(&consumer)) => answer,
            refusal = self.refused() => return Err(refusal.into()),
        };
        match answer {
            Ok(answer) => {
                *self.heard() = Heard::default();
                Ok(answer)
            }
            Err(error) => Err(self.explained(error)),
        }
    }

    /// Waits until a broker refuses the client.
    async fn refused(&self) -> Refusal {
        loop {
            // Takes no time and gives no record, but makes the client tell what it has heard.
            let _ = self.consumer.poll(Duration::ZERO);
            let heard = {
                let mut heard = self.heard();
                if std::mem::take(&mut heard.is_new) { heard.refusal.clone() } else { None }
            };
            if let Some(refusal) = heard {
                return refusal;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A call only says that nobody answered; what was heard says why.
    fn explained(&self, error: KafkaError) -> AdminError {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            Some(
                Code::BrokerTransportFailure | Code::AllBrokersDown | Code::OperationTimedOut | Code::Resolve,
            ) => {}
            _ => return error.into(),
        }
        let heard = self.heard();
        if let Some(refusal) = &heard.refusal {
            return refusal.clone().into();
        }
        AdminError::Unreachable {
            bootstrap_servers: self.config.bootstrap_servers().to_owned(),
            reason: heard.reason.clone().unwrap_or_else(|| error.to_string()),
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.consumer.context().heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("bootstrap_servers", &self.config.bootstrap_servers()).finish()
    }
}

/// Keeps what the client tells, for the error of a call.
struct Listener {
    quiet: QuietContext,
    heard: Mutex<Heard>,
}

/// What was heard since the last answer.
#[derive(Debug, Default)]
struct Heard {
    refusal: Option<Refusal>,
    is_new: bool,
    reason: Option<String>,
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.quiet.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, text: &str) {
        tracing::debug!(%error, text, "librdkafka");
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refusal) = self.quiet.refusal(&error, text) {
            (heard.refusal, heard.is_new) = (Some(refusal), true);
        } else if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            heard.reason = Some(reason(text));
        }
    }
}

impl ConsumerContext for Listener {}

pub(crate) async fn on_thread<T: Send + 'static>(
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
        replication: topic.partitions().iter().map(|p| p.replicas().len()).min().unwrap_or_default(),
        under_replicated: topic.partitions().iter().filter(|p| p.isr().len() < p.replicas().len()).count(),
    }
}
