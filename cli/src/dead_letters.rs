//! `efd dead-letters`: records that could not be stored, straight from the topics that end in `.dlq`, so that it works when no sink
//! runs.
//!
//! Redriving produces a letter's key, bytes and headers, without ours, to the topic it came from. The places of redriven records in that
//! topic are remembered in the compacted topic `efd-dead-letters.redriven`, so that none is redriven again: a record has several
//! letters when several destinations gave it up, or a sink was killed before its commit. Letters are sent first and remembered when Kafka
//! has them: broken off in between, up to a hundred may be sent twice, which changes nothing, because a record written twice is one
//! point. A transaction would make that impossible, but its markers take offsets, and then nobody could see that a worker has read
//! everything.

mod letter;
mod records;
mod redrive;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::Config;
use crate::output;
use crate::time::{self, UnixNanos, format_time};
use letter::{Filter, Letter, Letters};

/// The name that Kafka knows the command by.
const CLIENT: &str = "efd-dead-letters";

/// Arguments of `efd dead-letters`.
#[derive(Debug, Args)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    command: DeadLettersCommand,
}

#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// List dead letters, oldest first in each topic.
    List(ListArgs),
    /// Show one dead letter whole.
    Show(ShowArgs),
    /// Produce the records of dead letters again to the topics they came from, each record once.
    Redrive(RedriveArgs),
}

/// Which dead letters.
#[derive(Debug, Clone, Default, Args)]
pub struct Choice {
    /// SAL component that the record was of.
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<String>,
    /// Kafka topic that the record came from.
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// A part of the reason, for example "type conflict".
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Produced at this time or later, UTC.
    #[arg(long, value_parser = time::parse_time, allow_hyphen_values = true, value_name = "TIME")]
    start: Option<UnixNanos>,
    /// Produced at this time or before, UTC.
    #[arg(long, value_parser = time::parse_time, allow_hyphen_values = true, value_name = "TIME")]
    end: Option<UnixNanos>,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    choice: Choice,
    /// No more than so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    limit: usize,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The dead-letter topic, or the topic that the record came from.
    topic: String,
    /// Offset in the dead-letter topic, as `list` has it.
    offset: i64,
    /// Partition of the dead-letter topic.
    #[arg(long, default_value_t = 0)]
    partition: i32,
}

#[derive(Debug, Args)]
struct RedriveArgs {
    #[command(flatten)]
    choice: Choice,
    /// No more than so many; all when not given.
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// Say which would be redriven, and produce nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Choice {
    fn filter(&self) -> Filter {
        let millis = |nanos: UnixNanos| nanos.div_euclid(1_000_000);
        Filter {
            components: self.component.clone(),
            topics: self.topic.clone(),
            reason: self.reason.clone(),
            start: self.start.map(millis),
            end: self.end.map(millis),
        }
    }
}

/// Runs `efd dead-letters`.
pub async fn run(config: &Config, args: &DeadLettersArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        DeadLettersCommand::List(args) => list(config, args).await,
        DeadLettersCommand::Show(args) => show(config, args).await,
        DeadLettersCommand::Redrive(args) => redrive::run(config, args).await,
    }
}

async fn list(config: &Config, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let mut table = table();
    let mut count = 0;
    let redriven = redrive::remembered(config).await?;
    let mut letters = Letters::wanted(config, args.choice.filter()).await?;
    while count < args.limit
        && let Some(letter) = letters.read()?
    {
        count += 1;
        add_row(&mut table, &letter, redriven.contains(&letter.place()));
    }
    output::print(&format!("{table}\n"));
    if count == args.limit {
        output::complain(&format!("the first {count} dead letters; --limit shows more"));
    }
    Ok(ExitCode::SUCCESS)
}

fn table() -> comfy_table::Table {
    output::table(&["dead-letter topic", "offset", "time", "source", "redriven", "reason"])
}

fn add_row(table: &mut comfy_table::Table, letter: &Letter, is_redriven: bool) {
    table.add_row([
        letter.topic.clone(),
        format!("{}/{}", letter.partition, letter.offset),
        letter.time_ms.map_or_else(String::new, |ms| format_time(ms.saturating_mul(1_000_000))),
        letter.source(),
        if is_redriven { "yes".into() } else { String::new() },
        letter.reason.clone(),
    ]);
}

async fn show(config: &Config, args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let topic = if args.topic.ends_with(".dlq") { args.topic.clone() } else { format!("{}.dlq", args.topic) };
    let mut letters = Letters::of_topic(config, &topic).await?;
    let found = loop {
        match letters.read()? {
            Some(letter) if (letter.partition, letter.offset) != (args.partition, args.offset) => {}
            found => break found,
        }
    };
    let Some(letter) = found else {
        anyhow::bail!("there is no dead letter {}/{} in {topic}", args.partition, args.offset);
    };
    let is_redriven = redrive::remembered(config).await?.contains(&letter.place());
    output::print(&letter.whole(is_redriven));
    Ok(ExitCode::SUCCESS)
}
