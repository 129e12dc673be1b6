//! Redriving: letters are sent, and when Kafka has them, it is remembered which.

use std::collections::HashSet;
use std::process::ExitCode;

use anyhow::Context as _;
use efd_kafka::{Admin, OutRecord, Producer, ProducerOptions, TopicSpec, dead_letter_header};
use rdkafka::error::KafkaResult;
use rdkafka::message::{Header, Message as _, OwnedHeaders};

use super::letter::{self, Letter};
use super::{RedriveArgs, add_row, table};
use crate::config::Config;
use crate::output;

/// Where it is remembered which letters were redriven; key `<topic>/<partition>/<offset>`.
const MEMORY: &str = "efd-dead-letters.redriven";
/// Letters that are sent, and then remembered, together.
const PART: usize = 100;

/// Redrives the letters that are chosen and were not redriven before.
pub async fn run(config: &Config, args: &RedriveArgs) -> anyhow::Result<ExitCode> {
    let redriven = remembered(config).await?;
    let (mut chosen, mut before, mut cut) = (Vec::new(), 0, 0);
    letter::read(config, &args.choice.filter(), |letter| {
        if redriven.contains(&letter.place()) {
            before += 1;
        } else if letter.is_cut() {
            cut += 1;
        } else {
            chosen.push(letter);
        }
        args.limit.is_none_or(|limit| chosen.len() < limit)
    })
    .await?;
    if cut > 0 {
        output::complain(&format!(
            "efd dead-letters: {cut} are left, since only the beginning of their record is there (header {})",
            dead_letter_header::CUT
        ));
    }
    if let Some(limit) = args.limit {
        chosen.truncate(limit);
    }
    if args.dry_run {
        let mut table = table();
        chosen.iter().for_each(|letter| add_row(&mut table, letter, false));
        output::print(&format!("{table}\n{} would be redriven, {before} were before\n", chosen.len()));
        return Ok(ExitCode::SUCCESS);
    }
    ensure_memory(config).await?;
    let producer = producer(config)?;
    let bar = output::progress(chosen.len() as u64, "redriving");
    for part in chosen.chunks(PART) {
        redrive(&producer, part).await.with_context(
            || "redriving was broken off; what was redriven before is remembered, run it again for the rest",
        )?;
        bar.inc(part.len() as u64);
    }
    bar.finish_and_clear();
    output::print(&format!("{} redriven, {before} were before\n", chosen.len()));
    Ok(ExitCode::SUCCESS)
}

/// The places of all letters that were redriven.
///
/// # Errors
/// When Kafka does not answer.
pub async fn remembered(config: &Config) -> anyhow::Result<HashSet<String>> {
    let topics = Admin::new(&config.kafka, "efd-dead-letters")?.topics().await?;
    let mut places = HashSet::new();
    if let Some(memory) = topics.iter().find(|topic| topic.name == MEMORY) {
        letter::read_records(config, memory, &mut |record| {
            places.insert(String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned());
            true
        })?;
    }
    Ok(places)
}

async fn ensure_memory(config: &Config) -> anyhow::Result<()> {
    let replication = config.replication_factor.get();
    let spec = TopicSpec { name: MEMORY.into(), partitions: 1, replication, compact: true };
    Admin::new(&config.kafka, "efd-dead-letters")?.create_topics(&[spec]).await?;
    Ok(())
}

fn producer(config: &Config) -> anyhow::Result<Producer> {
    let mut kafka = config.kafka.clone();
    // As large as the sink may have written.
    kafka.options.entry("message_max_bytes".into()).or_insert_with(|| (64 * 1024 * 1024).to_string());
    Ok(Producer::new(&kafka, "efd-dead-letters", &ProducerOptions::default())?)
}

/// Sends some letters, and remembers them once Kafka has all.
async fn redrive(producer: &Producer, part: &[Letter]) -> KafkaResult<()> {
    let mut letters = producer.batch();
    for letter in part {
        let mut headers = OwnedHeaders::new_with_capacity(letter.headers.len());
        for (key, value) in &letter.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        let record = OutRecord {
            topic: &letter.source_topic,
            key: letter.key.as_deref(),
            payload: letter.payload.as_deref(),
            headers: Some(headers),
            ..OutRecord::default()
        };
        letters.send(record).await?;
    }
    letters.delivered().await?;
    let mut memory = producer.batch();
    for letter in part {
        let place = letter.place();
        let record = OutRecord {
            topic: MEMORY,
            key: Some(place.as_bytes()),
            payload: Some(letter.source_topic.as_bytes()),
            ..OutRecord::default()
        };
        memory.send(record).await?;
    }
    memory.delivered().await
}
