//! Kafka itself, and how far each sink worker is behind in it.

use efd_kafka::{Admin, TopicInfo};
use efd_service::http::Client;

use super::Finding;
use crate::config::Config;
use crate::metrics::Metrics;

/// A worker that is more records behind than this is in trouble: some seconds of the Summit's traffic.
const MAX_LAG_RECORDS: i64 = 30_000;

/// Are the brokers there, and the topics of SAL components on them?
pub async fn brokers_and_topics(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let address = config.kafka.bootstrap_servers().to_owned();
    let admin = Admin::new(&config.kafka, "efd-check")?;
    let topics = match admin.topics().await {
        Ok(topics) => topics,
        Err(error) => {
            let remedy = "start Kafka, or correct kafka.bootstrap_servers and the security settings";
            return Ok(vec![Finding::bad("kafka", format!("brokers {address}"), error.to_string(), remedy)]);
        }
    };
    let brokers = admin.brokers().await?;
    let mut findings =
        vec![Finding::good("kafka", format!("brokers {address}"), format!("{brokers} in the cluster"))];
    let sal = sal_topics(&topics, config.topic_subname.get());
    let what = format!("topics lsst.{}.*", config.topic_subname.get());
    findings.push(if sal.is_empty() {
        Finding::bad("kafka", what, "none", "create them: efd init COMPONENT")
    } else {
        Finding::good("kafka", what, format!("{} of {} components", sal.len(), components(&sal).len()))
    });
    let behind: usize = topics.iter().map(|topic| topic.under_replicated).sum();
    findings.push(if behind > 0 {
        let remedy = "a broker is down or slow: look at its log";
        Finding::bad("kafka", "replicas", format!("{behind} partitions under-replicated"), remedy)
    } else {
        Finding::good("kafka", "replicas", "all in sync")
    });
    let dead: Vec<&str> =
        topics.iter().map(|topic| topic.name.as_str()).filter(|name| name.ends_with(".dlq")).collect();
    if !dead.is_empty() {
        let found =
            format!("{} dead-letter topics, first {}", dead.len(), dead.first().copied().unwrap_or_default());
        findings.push(Finding::good("kafka", "dead letters", found));
    }
    Ok(findings)
}

/// Is each sink worker ready, how far is it behind, does it write, has it given records up?
pub async fn sinks(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let client = Client::new(None)?;
    // If there are none, the look at Kafka tells why.
    let topics = Admin::new(&config.kafka, "efd-check")?.topics().await.unwrap_or_default();
    let mut findings = Vec::new();
    for (worker, sink) in &config.sinks {
        match Metrics::scrape(&client, &sink.admin).await {
            Ok(metrics) => {
                findings.extend(worker_state(worker, &metrics));
                findings.push(lag(config, worker, &metrics, &topics).await?);
            }
            Err(error) => {
                let remedy = format!("start the worker, or correct sinks.{worker} in the configuration");
                findings.push(Finding::bad("sink", format!("worker {worker}"), format!("{error:#}"), remedy));
            }
        }
    }
    Ok(findings)
}

fn worker_state(worker: &str, metrics: &Metrics) -> Vec<Finding> {
    let written = metrics.sum("efd_sink_points_written_total", &[]);
    let mut findings =
        vec![Finding::good("sink", format!("worker {worker}"), format!("{written} points written"))];
    for destination in metrics.label_values("efd_sink_destination_up", "destination") {
        let what = format!("{worker} to {destination}");
        let up = metrics.sum("efd_sink_destination_up", &[("destination", &destination)]) > 0.0;
        findings.push(if up {
            Finding::good("sink", what, "writes are accepted")
        } else {
            let remedy =
                "records wait in Kafka, none is lost: see `efd check influxdb`, then the worker's log";
            Finding::bad("sink", what, "writes are not accepted", remedy)
        });
    }
    let dead = metrics.sum("efd_sink_records_dead_total", &[]);
    if dead > 0.0 {
        let remedy = "see `efd dead-letters list` for the reasons, and redrive them once these are mended";
        findings.push(Finding::bad(
            "sink",
            format!("{worker} dead letters"),
            format!("{dead} records"),
            remedy,
        ));
    }
    findings
}

async fn lag(
    config: &Config,
    worker: &str,
    metrics: &Metrics,
    topics: &[TopicInfo],
) -> anyhow::Result<Finding> {
    let written = metrics.label_values("efd_sink_points_written_total", "component");
    let owned: Vec<TopicInfo> = sal_topics(topics, config.topic_subname.get())
        .into_iter()
        .filter(|topic| component(&topic.name).is_some_and(|name| written.iter().any(|owned| owned == name)))
        .cloned()
        .collect();
    let what = format!("{worker} lag");
    let lags = match Admin::new(&config.kafka, "efd-check")?.lag(&format!("efd-sink-{worker}"), &owned).await
    {
        Ok(lags) => lags,
        Err(error) => {
            return Ok(Finding::bad("sink", what, error.to_string(), "see `efd check kafka`"));
        }
    };
    let records: i64 = lags.iter().map(|lag| lag.records).sum();
    let found = format!("{records} records in {} topics", owned.len());
    Ok(if records > MAX_LAG_RECORDS {
        let remedy =
            "the worker is slower than its topics: give it replicas, or split its components over workers";
        Finding::bad("sink", what, found, remedy)
    } else {
        Finding::good("sink", what, found)
    })
}

fn sal_topics<'a>(topics: &'a [TopicInfo], subname: &str) -> Vec<&'a TopicInfo> {
    let prefix = format!("lsst.{subname}.");
    topics.iter().filter(|topic| topic.name.starts_with(&prefix) && !topic.name.ends_with(".dlq")).collect()
}

fn components<'a>(topics: &[&'a TopicInfo]) -> std::collections::BTreeSet<&'a str> {
    topics.iter().filter_map(|topic| component(&topic.name)).collect()
}

/// Third part of `lsst.<subname>.<component>.<name>`.
fn component(topic: &str) -> Option<&str> {
    topic.split('.').nth(2)
}
