//! A tail gives every record once: what InfluxDB has, what only Kafka has yet, and what comes.

use std::collections::HashSet;

use efd_proto::query::v1::tail_response::Part;
use efd_proto::query::v1::{Selection, TailRequest, TailResponse};
use efd_tests::{Answered, DEADLINE, Generation, Options, Stack, timestamp};
use rstest::rstest;
use serde_json::Value;
use tonic::Streaming;

const TOPIC: &str = "lsst.sal.Test.arrays";

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn history_and_present_meet_without_gap_or_duplicate(#[case] generation: Generation) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    stack.start_gateway().await.unwrap();
    stack.start_ingest().await.unwrap();
    wait_for_records(&stack, 50).await;
    // What comes from here on is in Kafka alone, for some time.
    stack.sink.as_mut().unwrap().kill();
    let before = stack.records_of(TOPIC).await.unwrap();
    wait_for_records(&stack, before + 50).await;

    let mut tail = Tail::start(&stack, Some(0)).await;
    let mut live = Tail::start(&stack, None).await;
    tail.until(|tail| tail.is_live).await;
    assert!(tail.answered.rows.len() as u64 >= before + 50, "{}", tail.answered.rows.len());
    live.until(|live| live.is_live).await;
    assert_eq!(live.answered.rows.len(), 0, "nothing of before");
    // Also while the sink catches up and writes what the tail has given already.
    let sink = stack.sink.as_mut().unwrap();
    sink.start_again().unwrap();
    sink.ready().await.unwrap();
    let now = stack.records_of(TOPIC).await.unwrap();
    wait_for_records(&stack, now + 50).await;
    stack.stop_ingest().await.unwrap();
    let records = stack.records_of(TOPIC).await.unwrap();
    tail.until(|tail| tail.answered.rows.len() as u64 >= records).await;
    let last = tail.answered.rows.last().cloned().unwrap();
    live.until(|live| live.answered.rows.last() == Some(&last)).await;

    let times: HashSet<i64> = tail.answered.times().into_iter().collect();
    assert_eq!((times.len() as u64, tail.answered.rows.len() as u64), (records, records));
    let numbers = tail.answered.column("private_seqNum");
    assert_eq!(numbers, (1..=records).map(Value::from).collect::<Vec<_>>());
    // The last rows, which Kafka gave, are the same as those that InfluxDB has now.
    let records = usize::try_from(records).unwrap();
    let mut again = Tail::start(&stack, Some(0)).await;
    again.until(|again| again.answered.rows.len() >= records && again.is_live).await;
    assert_eq!(again.answered.rows, tail.answered.rows);
    let from = records - live.answered.rows.len();
    assert_eq!(live.answered.rows, tail.answered.rows[from..]);
}

struct Tail {
    stream: Streaming<TailResponse>,
    answered: Answered,
    is_live: bool,
}

impl Tail {
    async fn start(stack: &Stack, since: Option<i64>) -> Self {
        let fields = ["private_seqNum", "int0", "float0", "boolean0"].map(str::to_owned).to_vec();
        let request = TailRequest {
            selections: vec![Selection { topic: TOPIC.into(), fields, ..Selection::default() }],
            since: since.and_then(timestamp),
            ..TailRequest::default()
        };
        let mut client = stack.query_client().await.unwrap();
        let stream = client.tail(request).await.unwrap().into_inner();
        Self { stream, answered: Answered::default(), is_live: false }
    }

    async fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        let reading = async {
            while !holds(self) {
                match self.stream.message().await.unwrap().unwrap().part.unwrap() {
                    Part::Header(header) => self.answered = Answered::of(header),
                    Part::Batch(batch) => self.answered.add(&batch.batch.unwrap()).unwrap(),
                    Part::Live(_) => self.is_live = true,
                }
            }
        };
        tokio::time::timeout(DEADLINE, reading).await.expect("the tail goes on");
    }
}

async fn wait_for_records(stack: &Stack, count: u64) {
    let enough = async || Ok(stack.records_of(TOPIC).await? >= count);
    efd_tests::eventually(&format!("{count} records"), enough).await.unwrap();
}
