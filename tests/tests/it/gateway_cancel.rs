//! A client that goes away, or whose deadline passes, ends its query in InfluxDB at once.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use efd_proto::query::v1::{Aggregate, QueryRangeRequest, QueryWindowRequest, Selection};
use efd_schema::{RegistryClient, RegistryConfig};
use efd_service::http::Client;
use efd_tests::{DEADLINE, Generation, Options, Stack, eventually, time_range};
use serde_json::Value;
use tonic::{Code, Request};

const TOPIC: &str = "lsst.sal.X.wide";
const FIELDS: usize = 20;
/// So many that no buffer between InfluxDB and client holds the answer.
const ROWS: usize = 120_000;
const SECOND: i64 = 1_000_000_000;
/// Within this time InfluxDB must be free.
const SOON: Duration = Duration::from_millis(100);
/// Machines are shared, and a look takes time itself: one of these attempts has to be in time.
const ATTEMPTS: usize = 20;

#[tokio::test]
async fn influxdb_1_is_free_within_100_ms_of_a_client_that_goes_away() {
    let stack = recorded(Generation::V1).await;
    let client = stack.query_client().await.unwrap();
    let mut fastest = Duration::MAX;
    for _ in 0..ATTEMPTS {
        let mut stream = client.clone().query_range(everything()).await.unwrap().into_inner();
        stream.message().await.unwrap();
        stream.message().await.unwrap();
        eventually("InfluxDB works", async || Ok(queries(&stack).await? == 1)).await.unwrap();
        let started = Instant::now();
        drop(stream);
        while queries(&stack).await.unwrap() > 0 {
            assert!(started.elapsed() < DEADLINE, "InfluxDB still works");
        }
        fastest = fastest.min(started.elapsed());
        if fastest < SOON {
            break;
        }
    }
    println!("a query ended {fastest:?} after its client went away");
    assert!(fastest < SOON, "{fastest:?}");
    stack.gateway.as_ref().unwrap().metric_reaches("efd_gateway_cancelled_total", 1.0).await.unwrap();
}

#[tokio::test]
async fn influxdb_1_is_free_of_a_query_that_has_not_answered_yet() {
    let stack = recorded(Generation::V1).await;
    let mut client = stack.query_client().await.unwrap();
    let deadline = Duration::from_millis(30);
    // Nothing is answered before the medians of all are made.
    let request = QueryWindowRequest {
        selections: vec![selection()],
        range: time_range(0, ROWS as i64 * SECOND),
        interval: Some(prost_types::Duration { seconds: ROWS as i64 * 2, nanos: 0 }),
        aggregates: vec![Aggregate::Median.into(), Aggregate::Stddev.into()],
        ..QueryWindowRequest::default()
    };
    let mut request = Request::new(request);
    request.set_timeout(deadline);
    let status = match client.query_window(request).await {
        Err(status) => status,
        Ok(answer) => {
            let mut stream = answer.into_inner();
            loop {
                match stream.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("two million values were sorted within {deadline:?}"),
                    Err(status) => break status,
                }
            }
        }
    };
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    eventually("InfluxDB is free", async || Ok(queries(&stack).await? == 0)).await.unwrap();
}

#[tokio::test]
async fn influxdb_2_is_left_by_a_client_that_goes_away() {
    let stack = recorded(Generation::V2).await;
    let mut client = stack.query_client().await.unwrap();
    let mut stream = client.query_range(everything()).await.unwrap().into_inner();
    stream.message().await.unwrap();
    stream.message().await.unwrap();
    let port = stack.influxdb.url().rsplit(':').next().unwrap().parse().unwrap();
    eventually("InfluxDB waits for the gateway", async || Ok(unread(port) == 1)).await.unwrap();
    drop(stream);
    eventually("the connection is closed", async || Ok(unread(port) == 0)).await.unwrap();
}

#[tokio::test]
async fn a_deadline_ends_a_stream_whose_client_takes_nothing() {
    let stack = recorded(Generation::V1).await;
    let mut client = stack.query_client().await.unwrap();
    let mut request = Request::new(everything());
    request.set_timeout(Duration::from_secs(2));
    let stream = client.query_range(request).await.unwrap().into_inner();
    eventually("InfluxDB works", async || Ok(queries(&stack).await? == 1)).await.unwrap();
    eventually("InfluxDB is free", async || Ok(queries(&stack).await? == 0)).await.unwrap();
    drop(stream);
}

async fn recorded(generation: Generation) -> Stack {
    let mut stack = Stack::servers(Options::new(generation)).await.unwrap();
    stack.start_registry().await.unwrap();
    let registry = RegistryConfig { url: Some(stack.registry_url()), ..RegistryConfig::default() };
    let fields: Vec<_> = (0..FIELDS)
        .map(|field| serde_json::json!({"name": format!("d{field}x"), "type": "double"}))
        .collect();
    let schema =
        serde_json::json!({"type": "record", "name": "wide", "namespace": "lsst.sal.X", "fields": fields});
    let registry = RegistryClient::new(&registry).unwrap();
    registry.register(&format!("{TOPIC}-value"), &schema.to_string()).await.unwrap();
    if generation == Generation::V1 {
        stack.query("CREATE DATABASE efd").await.unwrap();
    }
    let mut lines = String::new();
    for row in 0..ROWS {
        lines += TOPIC;
        for field in 0..FIELDS {
            let separator = if field == 0 { ' ' } else { ',' };
            write!(lines, "{separator}d{field}x={}.{row}1", row * 7 % 1000 + field).unwrap();
        }
        writeln!(lines, " {}", row as i64 * SECOND).unwrap();
        if lines.len() > 8 << 20 {
            stack.write_lines(&lines).await.unwrap();
            lines.clear();
        }
    }
    stack.write_lines(&lines).await.unwrap();
    stack.start_gateway().await.unwrap();
    stack
}

fn selection() -> Selection {
    Selection { topic: TOPIC.into(), ..Selection::default() }
}

fn everything() -> QueryRangeRequest {
    let range = time_range(0, ROWS as i64 * SECOND);
    QueryRangeRequest { selections: vec![selection()], range, ..QueryRangeRequest::default() }
}

/// Queries that InfluxDB 1.x works on, without the one that asks.
async fn queries(stack: &Stack) -> anyhow::Result<usize> {
    // A client is long in the making, and this one measures.
    static CLIENT: OnceLock<Client> = OnceLock::new();
    let client = CLIENT.get_or_init(|| Client::new(None).unwrap());
    let request = http::Request::get(format!("{}/query?q=SHOW%20QUERIES", stack.influxdb.url()));
    let answer = client.send(request.body(Bytes::new())?, DEADLINE).await?;
    let answer: Value = serde_json::from_slice(answer.body())?;
    let values = answer["results"][0]["series"][0]["values"].as_array().cloned().unwrap_or_default();
    Ok(values.iter().filter(|query| query[1].as_str().is_some_and(|text| text.contains(TOPIC))).count())
}

/// Connections to a local port on which bytes wait to be read, by the kernel's own table.
fn unread(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let remote = format!(":{port:04X}");
    let waits = |line: &&str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_open = columns.get(3) == Some(&"01");
        let queue = columns.get(4).and_then(|queues| queues.split_once(':')).map_or("", |(_, unread)| unread);
        columns.get(2).is_some_and(|address| address.ends_with(&remote)) && is_open && queue != "00000000"
    };
    table.lines().filter(waits).count()
}
