//! A tail gives every record once: what InfluxDB has, what only Kafka has yet, and what comes; of several topics, from several partitions,
//! and from a Kafka that wants to know who asks.

use std::collections::HashSet;

use efd_proto::query::v1::tail_response::Part;
use efd_proto::query::v1::{Selection, TailRequest, TailResponse};
use efd_tests::{Answered, DEADLINE, Generation, Options, Protection, Stack, timestamp};
use rstest::rstest;
use serde_json::{Value, json};
use tonic::Streaming;

const TOPICS: [&str; 2] = ["lsst.sal.Test.arrays", "lsst.sal.Test.scalars"];

#[rstest]
#[case::influxdb_1(Generation::V1, Protection::None, 1)]
#[case::influxdb_2_with_scram_and_partitions(Generation::V2, Protection::Scram, 3)]
#[tokio::test]
async fn history_and_present_meet_without_gap_or_duplicate(
    #[case] generation: Generation,
    #[case] protection: Protection,
    #[case] partitions: u16,
) {
    let ingest = json!({"partitions": partitions, "simulator": {"enabled": true, "rate": 10.0}});
    let options = Options { protection, ingest, ..Options::new(generation) };
    let mut stack = Stack::recording(options).await.unwrap();
    stack.start_gateway().await.unwrap();
    stack.start_ingest().await.unwrap();
    wait_for_more(&stack, 30).await;
    // What comes from here on is in Kafka alone, for some time.
    stack.sink.as_mut().unwrap().kill();
    let before = wait_for_more(&stack, 30).await;

    let mut tail = Tail::start(&stack, Some(0)).await;
    let mut live = Tail::start(&stack, None).await;
    tail.until(|tail| tail.is_live).await;
    for (answered, before) in tail.answered.iter().zip(&before) {
        assert!(answered.rows.len() as u64 >= *before, "{}", answered.rows.len());
    }
    live.until(|live| live.is_live).await;
    assert!(live.answered.iter().all(|answered| answered.rows.is_empty()), "nothing of before");
    // Also while the sink catches up and writes what the tail has given already.
    let sink = stack.sink.as_mut().unwrap();
    sink.start_again().unwrap();
    sink.ready().await.unwrap();
    let surely_live = wait_for_more(&stack, 30).await;
    wait_for_more(&stack, 10).await;
    stack.stop_ingest().await.unwrap();
    let records = counts(&stack).await;
    tail.until(|tail| tail.has(&records)).await;
    live.until(|live| live.has_all_between(&surely_live, &records)).await;

    let mut again = Tail::start(&stack, Some(0)).await;
    again.until(|again| again.is_live && again.has(&records)).await;
    for selection in 0..TOPICS.len() {
        let (rows, records) = (tail.rows(selection), records[selection]);
        let numbers: Vec<&Value> = rows.iter().map(|(_, values)| &values[0]).collect();
        assert_eq!(numbers, (1..=records).map(Value::from).collect::<Vec<_>>().iter().collect::<Vec<_>>());
        let times: HashSet<i64> = rows.iter().map(|(time, _)| *time).collect();
        assert_eq!(times.len() as u64, records);
        // The last rows, which Kafka gave, are the same as those that InfluxDB has now.
        assert_eq!(again.rows(selection), rows);
        let live = live.rows(selection);
        assert!(live.len() < rows.len() && live.iter().all(|row| rows.contains(row)));
        let times: HashSet<i64> = live.iter().map(|(time, _)| *time).collect();
        assert_eq!(times.len(), live.len());
    }
}

/// Records of each topic in Kafka.
async fn counts(stack: &Stack) -> Vec<u64> {
    let mut counts = Vec::new();
    for topic in TOPICS {
        counts.push(stack.records_of(topic).await.unwrap());
    }
    counts
}

/// Waits until each topic has so many records more than now; gives how many it has then.
async fn wait_for_more(stack: &Stack, more: u64) -> Vec<u64> {
    let now = counts(stack).await;
    let enough = async || Ok(counts(stack).await.iter().zip(&now).all(|(count, now)| *count >= now + more));
    efd_tests::eventually(&format!("{more} more records"), enough).await.unwrap();
    counts(stack).await
}

struct Tail {
    stream: Streaming<TailResponse>,
    answered: Vec<Answered>,
    is_live: bool,
}

impl Tail {
    async fn start(stack: &Stack, since: Option<i64>) -> Self {
        let select = |topic: &str, fields: &[&str]| {
            let fields =
                [&["private_seqNum"], fields].concat().iter().map(|field| (*field).to_owned()).collect();
            Selection { topic: topic.into(), fields, ..Selection::default() }
        };
        let [arrays, scalars] = TOPICS;
        let request = TailRequest {
            selections: vec![
                select(arrays, &["int0", "float0", "boolean0"]),
                select(scalars, &["double0", "string0"]),
            ],
            since: since.and_then(timestamp),
            ..TailRequest::default()
        };
        let mut client = stack.query_client().await.unwrap();
        let stream = client.tail(request).await.unwrap().into_inner();
        Self { stream, answered: Vec::new(), is_live: false }
    }

    async fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        let reading = async {
            while !holds(self) {
                match self.stream.message().await.unwrap().unwrap().part.unwrap() {
                    Part::Header(header) => self.answered.push(Answered::of(header)),
                    Part::Batch(batch) => {
                        let answered = &mut self.answered[batch.selection as usize];
                        answered.add(&batch.batch.unwrap()).unwrap();
                    }
                    Part::Live(_) => self.is_live = true,
                }
            }
        };
        tokio::time::timeout(DEADLINE, reading).await.expect("the tail goes on");
    }

    /// Whether it has so many rows of each topic.
    fn has(&self, records: &[u64]) -> bool {
        self.answered.iter().zip(records).all(|(answered, records)| answered.rows.len() as u64 >= *records)
    }

    /// Whether it has every record of each topic whose number is between these.
    fn has_all_between(&self, after: &[u64], up_to: &[u64]) -> bool {
        self.answered.iter().zip(after.iter().zip(up_to)).all(|(answered, (after, up_to))| {
            let numbers = answered.column("private_seqNum");
            let seen: HashSet<u64> = numbers.iter().filter_map(Value::as_u64).collect();
            (after + 1..=*up_to).all(|number| seen.contains(&number))
        })
    }

    /// Rows of a topic in the order of time: partitions have none between them, and where history and present meet, a few rows may
    /// come before older ones.
    fn rows(&self, selection: usize) -> Vec<(i64, Vec<Value>)> {
        let mut rows = self.answered[selection].rows.clone();
        rows.sort_by_key(|(time, _)| *time);
        rows
    }
}
