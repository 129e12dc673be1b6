//! One destination from Kafka to InfluxDB: consumer, plan, point, batch, writer, commit.

use std::sync::Arc;
use std::time::Duration;

use efd_kafka::ConsumerThread;
use efd_schema::RegistryClient;
use efd_service::Stop;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use tokio::sync::mpsc;

use crate::FirstOf;
use crate::batch::{Batch, Limits};
use crate::config::{Config, GroupProtocol};
use crate::consumer::{Buffers, Consumer};
use crate::dead_letter::DeadLetters;
use crate::error::SinkError;
use crate::field_types::FieldTypes;
use crate::influxdb::InfluxDb;
use crate::line_writer::LineWriter;
use crate::metrics::Metrics;
use crate::rebalance::{Commits, Rebalances, Watch};
use crate::schemas::Schemas;
use crate::settled::Tracker;
use crate::writer::{Pace, Writer};

/// What is left of the grace period for the last commit and for leaving the group.
const LEAVE: Duration = Duration::from_secs(3);

/// A pipeline that is connected and not yet started.
pub(crate) struct Pipeline {
    destination: String,
    consumer: Arc<BaseConsumer<Rebalances>>,
    commits: Arc<Commits>,
    lines: LineWriter,
    dead_letters: DeadLetters,
    schemas: Schemas,
    metrics: Arc<Metrics>,
    limits: Limits,
    batches: usize,
    pace: Pace,
    grace: Duration,
}

impl Pipeline {
    /// Makes the clients of a destination; none of them connects before it is used.
    pub(crate) fn new(
        config: &Config,
        index: usize,
        registry: RegistryClient,
        metrics: Arc<Metrics>,
        stop: Stop,
    ) -> Result<Self, SinkError> {
        let group = config.group(index);
        let settings = config.destinations.get(index).cloned().unwrap_or_default();
        let destination = settings.name.clone();
        let commits = Arc::new(Commits::default());
        let context = Rebalances::new(
            config.kafka.context(),
            Watch::new(&destination, metrics.clone()),
            commits.clone(),
            config.drain_timeout,
        );
        let consumer = connect(config, &group, context)
            .map_err(|source| SinkError::Kafka { destination: destination.clone(), source })?;
        let influxdb = InfluxDb::new(&settings)
            .map_err(|problem| SinkError::Destination { destination: destination.clone(), problem })?;
        let retry = (config.retry.min, config.retry.max);
        let types = FieldTypes::new(Some(influxdb.clone()), retry);
        let schemas = Schemas::new(registry, types, config, (&destination, metrics.clone()), stop);
        let lines = LineWriter::new(influxdb, &destination, retry, metrics.clone());
        Ok(Self {
            destination,
            consumer: Arc::new(consumer),
            commits,
            lines,
            dead_letters: DeadLetters::new(config, &group, &settings.name),
            schemas,
            metrics,
            limits: config.limits(),
            // One is filled, some wait, some are written.
            batches: 1 + config.queue_batches + config.max_in_flight_writes,
            pace: Pace {
                max_in_flight: config.max_in_flight_writes,
                commit_interval: config.commit_interval,
            },
            grace: config.service.grace_period.saturating_sub(LEAVE),
        })
    }

    /// The plans of its destination.
    pub(crate) fn schemas(&self) -> Schemas {
        self.schemas.clone()
    }

    /// Runs until a stop is requested; then the last batch is written, within the grace period, and committed. `tracker` hears of
    /// every record before that.
    pub(crate) async fn run(
        self,
        stop: Stop,
        ready: Arc<FirstOf>,
        tracker: Option<Arc<dyn Tracker>>,
    ) -> anyhow::Result<()> {
        let ended = |part| SinkError::Ended(part, self.destination.clone());
        tracker.into_iter().for_each(|tracker| self.commits.tracked_by(tracker));
        let (to_consumer, free) = std::sync::mpsc::channel();
        let (filled, to_writer) = mpsc::channel(self.batches);
        for _ in 1..self.batches {
            let _ = to_consumer.send(Batch::new(self.limits));
        }

        let handler = Consumer::new(
            &self.destination,
            Buffers { free, filled },
            (Batch::new(self.limits), self.commits.clone()),
            (self.schemas, self.metrics.clone()),
            stop.clone(),
        );
        // A batch is looked at four times in its age.
        let poll = (self.limits.age / 4).clamp(Duration::from_millis(1), Duration::from_millis(100));
        let name = format!("poll {}", self.destination);
        let thread = ConsumerThread::spawn(&name, self.consumer.clone(), handler, stop, poll)
            .map_err(SinkError::Thread)?;

        let writer = Writer::new(
            self.lines,
            self.dead_letters,
            (self.commits.clone(), self.consumer.clone()),
            self.metrics,
            to_consumer,
        );
        let mut writing = tokio::spawn(writer.run(to_writer, self.pace, move || ready.release()));

        let handler = thread.joined().await.ok_or_else(|| ended("poll thread"))?;
        let finished = handler.finish();
        match tokio::time::timeout(self.grace, &mut writing).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(ended("writer").into()),
            Err(_) => {
                tracing::warn!(
                    destination = self.destination,
                    "not everything could be written in the grace period, it is read again after the next start"
                );
                writing.abort();
                // Ends at once; it holds the consumer.
                let _ = writing.await;
            }
        }
        self.commits.ended();
        efd_kafka::leave(self.consumer, self.commits, LEAVE).await;
        finished.map_err(|source| SinkError::Kafka { destination: self.destination, source })?;
        Ok(())
    }
}

fn connect(config: &Config, group: &str, context: Rebalances) -> KafkaResult<BaseConsumer<Rebalances>> {
    let mut client = config.kafka.client(group);
    client
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("topic.metadata.refresh.interval.ms", config.metadata_refresh.as_millis().to_string())
        .set("queued.min.messages", config.read_ahead.records.to_string())
        .set("queued.max.messages.kbytes", (config.read_ahead.bytes.as_u64() / 1024).to_string())
        .set("fetch.max.bytes", config.read_ahead.fetch_bytes.as_u64().to_string())
        // Default 1 s: after a full queue, a partition would not be read for so long.
        .set("fetch.queue.backoff.ms", "5");
    if !config.lag_interval.is_zero() {
        client.set("statistics.interval.ms", config.lag_interval.as_millis().to_string());
    }
    match config.group_protocol {
        GroupProtocol::Classic => client
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", config.session_timeout.as_millis().to_string())
            .set("heartbeat.interval.ms", (config.session_timeout / 4).as_millis().to_string())
            .set("topic.blacklist", config.hidden()),
        // The broker finds the topics; one that is hidden here could still be assigned.
        GroupProtocol::Consumer => client.set("group.protocol", "consumer"),
    };
    if let Some(id) = &config.group_instance_id {
        client.set("group.instance.id", id);
    }
    // What the operator set by hand wins.
    for (name, value) in &config.kafka.options {
        client.set(name.replace('_', "."), value);
    }
    let consumer = BaseConsumer::from_config_and_context(&client, context)?;
    let subscription = config.subscription();
    consumer.subscribe(&subscription.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(consumer)
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
