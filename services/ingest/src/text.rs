//! A source for the text records that SAL's own writer put into Kafka in 2019, the first form of the DM-EFD's data.
//!
//! Path of a record: [`reader`] polls `<component>_command`, `_event` and `_telemetry` and gathers lines into batches;
//! [`line`] takes a text apart, [`translate`] makes a record of it in today's form ([`current`]) or in that of 2019
//! ([`legacy`]), both pure; [`writer`] sends the records in their order and awaits them; then their offsets commit.
//!
//! Assumes that a record written twice does no harm: after a crash, lines whose offsets were not committed are read again.
//! On error: a line that is no record, or does not fit its topic, goes to `<topic>.dlq` with the reason and stops
//! nothing; while Kafka does not take records everything waits, at last the reading.

pub mod config;
pub mod current;
pub mod interface;
pub mod legacy;
pub mod line;
pub mod prepare;
pub mod reader;
pub mod scan;
pub mod translate;
pub mod writer;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use efd_kafka::{Commits, ConsumerThread, DeadLetterOffice, Producer};
use efd_service::{Context, Latch};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use tokio::sync::mpsc;

use crate::config::Config;
use crate::source::Surroundings;
use reader::{LineReader, Rebalances};
use writer::{Parts, Writer};

/// Name of the clients at the brokers.
const CLIENT_ID: &str = "efd-ingest-text";
/// Kinds of text topics of a component.
const KINDS: [&str; 3] = ["command", "event", "telemetry"];
/// A dead letter is as long as its line, and its headers come on top.
const MAX_RECORD_BYTES: &str = "67108864";
/// Longest wait for what is under way of a partition that goes to another member.
const DRAIN: Duration = Duration::from_secs(5);
/// Longest wait for the last commit and for leaving the group, which is part of the time there is after a stop.
const LEAVE: Duration = Duration::from_secs(2);
/// Longest wait for a line; a stop is noticed within it.
const MAX_POLL: Duration = Duration::from_millis(100);

/// Reads and writes until a stop is requested, and finishes the batches under way within `finish_within`.
///
/// # Errors
/// When the interfaces or a setting of Kafka cannot be used, or a Kafka client can never go on.
pub async fn run(
    (config, ctx): (&Config, &Context),
    is_reading: Latch,
    around: Surroundings,
    finish_within: Duration,
) -> anyhow::Result<()> {
    let Some(translator) = prepare::translator(config, ctx, &around).await? else { return Ok(()) };
    let commits = Arc::new(Commits::default());
    let consumer = Arc::new(subscribe(config, commits.clone())?);
    let (filled, batches) = mpsc::channel(config.text.queue_batches);
    let reader = LineReader::new(&config.text, filled, commits.clone(), around.metrics.clone());
    let poll = (config.text.batch_age / 2).clamp(Duration::from_millis(1), MAX_POLL);
    let thread = ConsumerThread::spawn(CLIENT_ID, consumer.clone(), reader, ctx.stop.clone(), poll)?;
    is_reading.release();
    tracing::info!(components = config.components.len(), form = ?config.text.form, "text source started");

    let mut writer = Writer::new(
        parts(config, around, translator)?,
        consumer.clone(),
        commits.clone(),
        (config.retry, config.text.commit_interval),
    );
    // The queue ends when the thread has, and its handler is gone.
    let reading = async { thread.joined().await.map(LineReader::failure) };
    let leave_within = LEAVE.min(finish_within / 4);
    let outcome = tokio::select! {
        outcome = async { tokio::join!(writer.run(batches), reading) } => Some(outcome),
        () = crate::passed(&ctx.stop, finish_within - leave_within) => None,
    };
    drop(writer);
    commits.ended();
    commits.keep(commits.ready());
    efd_kafka::leave(consumer, commits, leave_within).await;
    let Some((written, read)) = outcome else { return Ok(()) };
    written?;
    match read.context("poll thread of the text source panicked")? {
        Some(error) => Err(error).context("kafka consumer of the text source cannot go on"),
        None => Ok(()),
    }
}

fn subscribe(config: &Config, commits: Arc<Commits>) -> KafkaResult<BaseConsumer<Rebalances>> {
    let text = &config.text;
    let mut client = config.kafka.client(CLIENT_ID);
    client
        .set("group.id", &text.group_id)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", text.auto_offset_reset.name())
        .set("topic.metadata.refresh.interval.ms", text.metadata_refresh.as_millis().to_string());
    let context = Rebalances::new(config.kafka.context(), (), commits, DRAIN);
    let consumer: BaseConsumer<Rebalances> = client.create_with_context(context)?;
    // As patterns, topics that do not exist yet are no error and are found when they do.
    let patterns: Vec<String> = text_topics(config).map(|(topic, _)| format!("^{topic}$")).collect();
    consumer.subscribe(&patterns.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(consumer)
}

/// The text topics, and the place of the component of each.
fn text_topics(config: &Config) -> impl Iterator<Item = (String, usize)> {
    let components = config.components.iter().enumerate();
    components.flat_map(|(id, component)| KINDS.map(|kind| (format!("{component}_{kind}"), id)))
}

fn parts(config: &Config, around: Surroundings, translator: translate::Translator) -> KafkaResult<Parts> {
    let mut kafka = config.kafka.clone();
    kafka.options.entry("message_max_bytes".into()).or_insert(MAX_RECORD_BYTES.into());
    let producer = Producer::new(&kafka, CLIENT_ID, &config.producer.options())?;
    let replication = config.replication_factor.get();
    Ok(Parts {
        translator: Arc::new(translator),
        clock: around.clock,
        letters: DeadLetterOffice::new(kafka, CLIENT_ID, replication, (config.retry.min, config.retry.max)),
        producer,
        metrics: around.metrics,
        components: text_topics(config).collect::<HashMap<_, _>>(),
    })
}
