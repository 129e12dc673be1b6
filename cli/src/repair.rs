//! `efd repair`: lets a sink worker read records again from Kafka and write those that InfluxDB does not have.

use std::process::ExitCode;

use clap::Args;
use efd_proto::sink::v1::{RepairRequest, RepairResponse};

use crate::config::Config;
use crate::gateway::refusal;
use crate::output;
use crate::range::timestamp;
use crate::sink::{connect, time_of, workers};
use crate::time::{self, UnixNanos};

/// Arguments of `efd repair`.
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// SAL components; with no topics either, all that the worker owns.
    #[arg(value_name = "COMPONENT")]
    components: Vec<String>,
    /// Kafka topic; may be given several times.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// First event time, UTC; from the oldest record in Kafka when not given.
    #[arg(long, value_parser = time::parse_time, allow_hyphen_values = true, value_name = "TIME")]
    start: Option<UnixNanos>,
    /// Last event time, UTC; until the newest record that the worker has written when not given.
    #[arg(long, value_parser = time::parse_time, allow_hyphen_values = true, value_name = "TIME")]
    end: Option<UnixNanos>,
    /// Say what is missing, and write nothing; exit code 1 when anything is.
    #[arg(long)]
    dry_run: bool,
    /// Write every record of the range, without asking InfluxDB what it has.
    #[arg(long)]
    everything: bool,
    /// Records read in a second; the worker's setting when not given.
    #[arg(long, value_name = "RECORDS", default_value_t = 0)]
    rate: u64,
    /// Sink worker; all of the configuration when none is named.
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,
    /// Destination of the worker; the first when none is named.
    #[arg(long, value_name = "NAME", default_value = "")]
    destination: String,
}

/// Repairs; ends when it is done, and the worker stops when this command is.
pub async fn run(config: &Config, args: &RepairArgs) -> anyhow::Result<ExitCode> {
    let mut table = output::table(&["worker", "topic", "missing", "written", "from", "until"]);
    let mut sum = RepairResponse::default();
    for worker in workers(config, args.worker.as_ref()) {
        let done = repair(config, args, &worker).await?;
        for topic in &done.topics {
            table.add_row([
                worker.clone(),
                topic.topic.clone(),
                topic.missing.to_string(),
                topic.written.to_string(),
                time_of(topic.first.as_ref()),
                time_of(topic.last.as_ref()),
            ]);
        }
        sum.records += done.records;
        sum.missing += done.missing;
        sum.written += done.written;
        sum.refused += done.refused;
        sum.topics.extend(done.topics);
    }
    if !sum.topics.is_empty() {
        output::print(&format!("{table}\n"));
    }
    output::print(&format!(
        "{} records read, {} missing in InfluxDB, {} written, {} that cannot be stored\n",
        sum.records, sum.missing, sum.written, sum.refused
    ));
    let is_left = sum.missing > sum.written;
    Ok(if is_left { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn repair(config: &Config, args: &RepairArgs, worker: &str) -> anyhow::Result<RepairResponse> {
    let request = RepairRequest {
        topics: args.topics.clone(),
        components: args.components.clone(),
        start: args.start.map(timestamp),
        end: args.end.map(timestamp),
        destination: args.destination.clone(),
        dry_run: args.dry_run,
        everything: args.everything,
        rate: args.rate,
    };
    let answer = connect(config, worker).await?.repair(request).await;
    let mut stream = answer.map_err(|status| refusal(&status))?.into_inner();
    let bar = output::progress(0, "repair");
    while let Some(part) = stream.message().await.map_err(|status| refusal(&status))? {
        bar.set_length(part.offsets_total);
        bar.set_position(part.offsets_done);
        bar.set_message(format!("{} missing", part.missing));
        if part.done {
            bar.finish_and_clear();
            return Ok(part);
        }
    }
    anyhow::bail!("worker {worker} ended the repair before it was done; what it wrote stays, repair again")
}
