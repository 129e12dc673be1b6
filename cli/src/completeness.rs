//! `efd completeness`: what is missing, duplicated, late, dead-lettered or merged, and why.

use std::process::ExitCode;

use clap::Args;
use efd_proto::sink::v1::{Cause, CompletenessRequest, Counts, Finding, Kind};
use serde_json::json;

use crate::config::Config;
use crate::gateway::refusal;
use crate::output;
use crate::range::timestamp;
use crate::rows::{TextFormat, csv_cell};
use crate::sink::{connect, time_of, workers};
use crate::time::{self, UnixNanos};

/// Arguments of `efd completeness`.
#[derive(Debug, Args)]
pub struct CompletenessArgs {
    /// SAL components; all when none is named.
    #[arg(value_name = "COMPONENT")]
    components: Vec<String>,
    /// First event time, UTC, for example 2026-11-24T18:00:00Z
    #[arg(long, value_parser = time::parse_time, allow_hyphen_values = true, value_name = "TIME")]
    start: Option<UnixNanos>,
    /// Last event time, UTC.
    #[arg(long, value_parser = time::parse_time, allow_hyphen_values = true, value_name = "TIME")]
    end: Option<UnixNanos>,
    /// Sink worker; all of the configuration when none is named.
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,
    /// Destination of the worker; the first when none is named.
    #[arg(long, value_name = "NAME", default_value = "")]
    destination: String,
    /// How to print: a table of what was found, CSV, or one JSON object for each topic.
    #[arg(long, value_enum, default_value = "table")]
    format: TextFormat,
}

/// One topic as it was answered.
struct TopicAnswer {
    worker: String,
    topic: String,
    counts: Counts,
    findings: Vec<Finding>,
}

/// Asks the workers; exit code 1 when anything is missing in InfluxDB.
pub async fn run(config: &Config, args: &CompletenessArgs) -> anyhow::Result<ExitCode> {
    let mut topics: Vec<TopicAnswer> = Vec::new();
    for worker in workers(config, args.worker.as_ref()) {
        let request = CompletenessRequest {
            components: args.components.clone(),
            start: args.start.map(timestamp),
            end: args.end.map(timestamp),
            destination: args.destination.clone(),
        };
        let answer = connect(config, &worker).await?.completeness(request).await;
        let mut stream = answer.map_err(|status| refusal(&status))?.into_inner();
        while let Some(part) = stream.message().await.map_err(|status| refusal(&status))? {
            match part.counts {
                Some(counts) => topics.push(TopicAnswer {
                    worker: worker.clone(),
                    topic: part.topic,
                    counts,
                    findings: part.findings,
                }),
                None => topics
                    .last_mut()
                    .into_iter()
                    .for_each(|topic| topic.findings.extend(part.findings.clone())),
            }
        }
    }
    match args.format {
        TextFormat::Table => print_table(&topics),
        TextFormat::Csv => print_csv(&topics),
        TextFormat::Json => topics.iter().for_each(|topic| output::print(&format!("{}\n", json_of(topic)))),
    }
    let is_missing = |counts: &Counts| {
        let never_came = counts.missing + counts.forgotten + counts.lost;
        never_came + counts.dead_lettered + counts.not_yet_written > 0
    };
    let is_complete = !topics.iter().any(|topic| is_missing(&topic.counts));
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_table(topics: &[TopicAnswer]) {
    let mut table = output::table(&["topic", "what", "why", "writer", "numbers", "count", "from", "until"]);
    let mut sum = Counts::default();
    for TopicAnswer { topic, counts, findings, .. } in topics {
        add(&mut sum, counts);
        for finding in findings {
            table.add_row([
                topic.clone(),
                kind(finding).to_owned(),
                why(finding),
                writer(finding),
                numbers(finding),
                finding.count.to_string(),
                time_of(finding.start.as_ref()),
                time_of(finding.end.as_ref()),
            ]);
        }
    }
    if topics.iter().any(|topic| !topic.findings.is_empty()) {
        output::print(&format!("{table}\n"));
    }
    let Counts {
        records,
        missing,
        duplicated,
        late,
        dead_lettered,
        merged,
        not_yet_written,
        forgotten,
        lost,
        ..
    } = sum;
    output::print(&format!(
        "{} topics, {records} records: {missing} missing, {dead_lettered} dead-lettered, {not_yet_written} not yet written, {duplicated} duplicated, {late} late, {merged} merged\n",
        topics.len()
    ));
    if forgotten > 0 {
        output::print(&format!("{forgotten} more are missing in gaps that are no longer listed\n"));
    }
    if lost > 0 {
        output::print(&format!(
            "{lost} offsets were deleted by Kafka's retention before they were read; missing are those of their records whose numbers tell\n"
        ));
    }
    if topics.iter().any(|topic| !topic.counts.listed) {
        output::print(
            "not all are listed: the sink's settings completeness.spans and .entries bound its lists\n",
        );
    }
}

fn add(sum: &mut Counts, counts: &Counts) {
    sum.records += counts.records;
    sum.missing += counts.missing;
    sum.duplicated += counts.duplicated;
    sum.late += counts.late;
    sum.dead_lettered += counts.dead_lettered;
    sum.merged += counts.merged;
    sum.not_yet_written += counts.not_yet_written;
    sum.forgotten += counts.forgotten;
    sum.lost += counts.lost;
}

fn print_csv(topics: &[TopicAnswer]) {
    let mut text =
        "worker,topic,what,why,sal_index,identity,origin,numbers,first,last,count,from,until\n".to_owned();
    for TopicAnswer { worker, topic, findings, .. } in topics {
        for finding in findings {
            let cells = [
                worker.clone(),
                topic.clone(),
                kind(finding).to_owned(),
                why(finding),
                finding.sal_index.to_string(),
                finding.identity.clone(),
                finding.origin.to_string(),
                if finding.offsets { "offset".into() } else { "private_seqNum".into() },
                finding.first.to_string(),
                finding.last.to_string(),
                finding.count.to_string(),
                time_of(finding.start.as_ref()),
                time_of(finding.end.as_ref()),
            ];
            text += &cells.map(|cell| csv_cell(&cell)).join(",");
            text.push('\n');
        }
    }
    output::print(&text);
}

fn json_of(topic: &TopicAnswer) -> serde_json::Value {
    let counts = &topic.counts;
    let findings: Vec<serde_json::Value> = topic
        .findings
        .iter()
        .map(|finding| {
            json!({
                "what": kind(finding),
                "why": why(finding),
                "sal_index": finding.sal_index,
                "identity": finding.identity,
                "origin": finding.origin,
                "numbers": if finding.offsets { "offset" } else { "private_seqNum" },
                "partition": if finding.offsets { Some(finding.partition) } else { None },
                "first": finding.first,
                "last": finding.last,
                "count": finding.count,
                "from": time_of(finding.start.as_ref()),
                "until": time_of(finding.end.as_ref()),
            })
        })
        .collect();
    json!({
        "worker": topic.worker,
        "topic": topic.topic,
        "records": counts.records,
        "missing": counts.missing,
        "duplicated": counts.duplicated,
        "late": counts.late,
        "dead_lettered": counts.dead_lettered,
        "merged": counts.merged,
        "not_yet_written": counts.not_yet_written,
        "restored": counts.restored,
        "forgotten": counts.forgotten,
        "lost": counts.lost,
        "listed": counts.listed,
        "findings": findings,
    })
}

fn kind(finding: &Finding) -> &'static str {
    match finding.kind() {
        Kind::Unspecified => "unknown",
        Kind::Missing => "missing",
        Kind::Duplicated => "duplicated",
        Kind::Late => "late",
        Kind::DeadLettered => "dead-lettered",
        Kind::Merged => "merged",
        Kind::NotYetWritten => "not yet written",
        Kind::Lost => "lost",
    }
}

fn why(finding: &Finding) -> String {
    match finding.cause() {
        Cause::Unspecified => String::new(),
        Cause::Producer => "producer: never in Kafka".into(),
        Cause::KafkaRetention => "Kafka's retention deleted it".into(),
        Cause::OffsetHole => "compacted away, aborted, or never in Kafka".into(),
        Cause::Refused => format!("refused: {}", finding.reason),
        Cause::Lag => "the worker is behind".into(),
    }
}

fn writer(finding: &Finding) -> String {
    if finding.identity.is_empty() && finding.origin == 0 {
        return String::new();
    }
    let index =
        if finding.sal_index == 0 { String::new() } else { format!(" salIndex {}", finding.sal_index) };
    format!("{} pid {}{index}", finding.identity, finding.origin)
}

fn numbers(finding: &Finding) -> String {
    let range = if finding.first == finding.last {
        finding.first.to_string()
    } else {
        format!("{}..{}", finding.first, finding.last)
    };
    if finding.offsets { format!("offset {}/{range}", finding.partition) } else { range }
}
