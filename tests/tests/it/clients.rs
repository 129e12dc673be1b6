//! Programs that users have, against what ingest writes to Kafka.

use std::collections::HashSet;

use efd_tests::{Collector, Generation, Options, Stack, attribute, eventually, hex, python};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

fn options() -> Options {
    let mut options = Options::new(Generation::V1);
    options.components = vec!["ATCamera", "Test"];
    options
}

#[tokio::test]
async fn confluent_kafka_reads_with_the_registrys_address_alone_and_headers_are_empty() {
    let mut stack = Stack::recording(options()).await.unwrap();
    let records = stack.simulate(1500.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    let seen = consume(&stack, &[]).await;
    assert_eq!(count(&seen), records);
    assert!(
        seen["records"]["ATCamera"].as_u64() > Some(0) && seen["records"]["Test"].as_u64() > Some(0),
        "{seen}"
    );
    // The three forms of a key, and a component with an index and one without.
    let topics = seen["topics"].as_array().unwrap();
    for topic in [
        "lsst.sal.ATCamera.vacuum",
        "lsst.sal.ATCamera.logevent_heartbeat",
        "lsst.sal.Test.scalars",
        "lsst.sal.Test.logevent_heartbeat",
    ] {
        assert!(topics.contains(&json!(topic)), "{topic} is not among {topics:?}");
    }
}

#[tokio::test]
async fn with_a_collector_each_record_names_its_batch_and_the_sinks_writes_link_to_it() {
    let collector = Collector::start().await.unwrap();
    let mut options = options();
    // What is logged does not decide what is traced.
    let service = json!({"otlp_endpoint": collector.endpoint(), "log": {"filter": "warn"}});
    options.ingest["service"] = service.clone();
    options.sink["service"] = service;
    let mut stack = Stack::recording(options).await.unwrap();
    let records = stack.simulate(1500.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    let seen = consume(&stack, &["--traced"]).await;
    assert_eq!(count(&seen), records);
    // What is left is exported when a service ends; ingest has ended.
    assert_eq!(stack.sink.as_mut().unwrap().terminate().await.unwrap(), Some(0));

    let parents: HashSet<String> = seen["parents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parent| parent.as_str().unwrap().to_owned())
        .collect();
    let parent = |trace: &[u8], span: &[u8]| format!("00-{}-{}-01", hex(trace), hex(span));
    // The sink produces its account too.
    let is_ingests = |span: &Span| attribute(span, "messaging.client.id").as_deref() == Some("efd-ingest");
    let produced: Vec<Span> = collector.spans("kafka.produce").into_iter().filter(is_ingests).collect();
    let batches: HashSet<String> =
        produced.iter().map(|span| parent(&span.trace_id, &span.span_id)).collect();
    let differ: Vec<&String> = batches.symmetric_difference(&parents).collect();
    assert!(
        differ.is_empty(),
        "{} batches, {} in headers, in one only: {differ:?}",
        batches.len(),
        parents.len()
    );
    let sent: u64 = produced
        .iter()
        .map(|span| attribute(span, "messaging.batch.message_count").unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(sent, records);
    for (name, value) in [("messaging.system", "kafka"), ("messaging.operation.type", "send")] {
        assert_eq!(attribute(&produced[0], name).as_deref(), Some(value));
    }

    eventually("every batch is linked from a write", || async {
        let links: HashSet<String> = collector
            .spans("sink.write")
            .iter()
            .flat_map(|span| &span.links)
            .map(|link| parent(&link.trace_id, &link.span_id))
            .collect();
        anyhow::ensure!(links == parents, "{} of {} are linked", links.len(), parents.len());
        Ok(true)
    })
    .await
    .unwrap();
}

/// What the client in Python saw, after it compared everything with InfluxDB.
async fn consume(stack: &Stack, more: &[&str]) -> Value {
    let (kafka, registry, influxdb) =
        (stack.kafka.bootstrap_servers(), stack.registry_url(), stack.influxdb.url());
    let arguments = ["--bootstrap-servers", &kafka, "--registry", &registry, "--influxdb", &influxdb];
    let client = python("consume.py", &[&arguments, more].concat()).await.unwrap();
    assert_eq!(client.code, Some(0), "{}", client.err);
    serde_json::from_str(&client.out).unwrap()
}

fn count(seen: &Value) -> u64 {
    seen["records"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}
