//! `efd sink plan` and `efd sink status`: who owns which topic, and how each worker fares. Also how the commands reach a worker.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use efd_kafka::Admin;
use efd_proto::sink::v1::sink_service_client::SinkServiceClient;
use efd_proto::sink::v1::{PlanRequest, StatusRequest};
use tonic::transport::{Channel, Endpoint};

use crate::config::Config;
use crate::gateway::refusal;
use crate::output;
use crate::time::format_time;

/// Bound on connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer: a thousand findings, or the topics of an observatory.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Arguments of `efd sink`.
#[derive(Debug, Args)]
pub struct SinkArgs {
    #[command(subcommand)]
    command: SinkCommand,
}

#[derive(Debug, Subcommand)]
enum SinkCommand {
    /// Say which worker owns which topic of Kafka, and which topics `lsst.*` nobody stores; exit code 1 if there are any.
    Plan(PlanArgs),
    /// Say how each worker's destinations fare; exit code 1 if one is not connected.
    Status,
}

/// Arguments of `efd sink plan`.
#[derive(Debug, Args)]
struct PlanArgs {
    /// Settings files of sink workers, instead of asking the workers that run.
    #[arg(long, value_name = "FILE")]
    settings: Vec<PathBuf>,
    /// Only topics that nobody stores, or that several workers store.
    #[arg(long)]
    problems: bool,
}

/// Runs `efd sink`.
pub async fn run(config: &Config, args: &SinkArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        SinkCommand::Plan(args) => plan(config, args).await,
        SinkCommand::Status => status(config).await,
    }
}

/// Connects to a worker by its name in the configuration.
///
/// # Errors
/// When it is not in the configuration, or does not answer.
pub async fn connect(config: &Config, worker: &str) -> anyhow::Result<SinkServiceClient<Channel>> {
    let Some(sink) = config.sinks.get(worker) else {
        let known: Vec<&str> = config.sinks.keys().map(String::as_str).collect();
        bail!("there is no worker {worker} in the configuration, only {}", known.join(", "));
    };
    let address = sink.grpc();
    let channel = Endpoint::from_shared(address.clone())
        .with_context(|| {
            format!("sinks.{worker}.grpc {address} is not an address such as http://localhost:9183")
        })?
        .connect_timeout(CONNECT_TIMEOUT)
        .connect()
        .await
        .with_context(|| {
            format!("sink worker {worker} does not answer at {address}: start it, or set sinks.{worker}.grpc")
        })?;
    Ok(SinkServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER))
}

/// The workers to ask: the one named, else all of the configuration.
pub fn workers(config: &Config, named: Option<&String>) -> Vec<String> {
    named.map_or_else(|| config.sinks.keys().cloned().collect(), |name| vec![name.clone()])
}

/// A time in a worker's answer, for people; nothing when there is none.
pub fn time_of(time: Option<&prost_types::Timestamp>) -> String {
    time.map_or_else(String::new, |time| {
        format_time(time.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(time.nanos)))
    })
}

/// What a worker owns.
struct Owner {
    worker: String,
    topics: Vec<String>,
}

/// Whether somebody should store a topic: it has telemetry, of whatever subname or, as the cameras', of none.
fn is_to_be_stored(topic: &str) -> bool {
    topic.starts_with("lsst.") && !topic.ends_with(".dlq")
}

async fn plan(config: &Config, args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let topics = Admin::new(&config.kafka, "efd-sink-plan")?.topics().await?;
    let names: Vec<String> = topics.into_iter().map(|topic| topic.name).collect();
    let mut owners = Vec::new();
    if args.settings.is_empty() {
        for worker in config.sinks.keys() {
            let plan = connect(config, worker).await?.plan(PlanRequest {}).await;
            let plan = plan.map_err(|status| refusal(&status))?.into_inner();
            owners.push(Owner { worker: plan.worker, topics: plan.owned_topics });
        }
    }
    for file in &args.settings {
        let sink: efd_sink::Config = efd_service::load(Some(file), &efd_service::Env::process())?;
        let topics = names.iter().filter(|name| sink.owns(name)).cloned().collect();
        owners.push(Owner { worker: sink.worker, topics });
    }
    let mut by_topic: BTreeMap<&str, Vec<&str>> =
        names.iter().filter(|name| is_to_be_stored(name)).map(|name| (name.as_str(), Vec::new())).collect();
    for owner in &owners {
        for topic in &owner.topics {
            by_topic.entry(topic).or_default().push(&owner.worker);
        }
    }
    let mut table = output::table(&["topic", "worker"]);
    let (mut unowned, mut shared) = (0, 0);
    for (topic, workers) in &by_topic {
        unowned += usize::from(workers.is_empty());
        shared += usize::from(workers.len() > 1);
        if !args.problems || workers.len() != 1 {
            table.add_row([
                topic.to_string(),
                if workers.is_empty() { "nobody".into() } else { workers.join(", ") },
            ]);
        }
    }
    output::print(&format!("{table}\n"));
    output::print(&format!(
        "{} topics, {} workers; {unowned} topics that nobody stores, {shared} that several workers store\n",
        by_topic.len(),
        owners.len()
    ));
    Ok(if unowned == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn status(config: &Config) -> anyhow::Result<ExitCode> {
    let columns = [
        "worker",
        "destination",
        "connected",
        "lag",
        "seconds",
        "in flight",
        "points",
        "dead letters",
        "last error",
    ];
    let mut table = output::table(&columns);
    let mut is_well = true;
    for worker in config.sinks.keys() {
        let answer = connect(config, worker).await?.status(StatusRequest {}).await;
        let answer = answer.map_err(|status| refusal(&status))?.into_inner();
        for one in answer.destinations {
            is_well &= one.connected;
            let behind = one.lag.map_or(0.0, |lag| lag.seconds as f64 + f64::from(lag.nanos) / 1e9);
            let at = time_of(one.last_error_time.as_ref());
            let error = if at.is_empty() { at } else { format!("{at} {}", one.last_error) };
            table.add_row([
                answer.worker.clone(),
                one.name,
                if one.connected { "yes".into() } else { "no".into() },
                one.lag_records.to_string(),
                format!("{behind:.1}"),
                one.in_flight_bytes.to_string(),
                one.points_written.to_string(),
                one.dead_letters.to_string(),
                error,
            ]);
        }
    }
    output::print(&format!("{table}\n"));
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
