//! Every call of the gateway on a few rows that are written past the sink, so that each answer is known.

pub mod rows;

use efd_proto::query::v1::condition::Value as ConditionValue;
use efd_proto::query::v1::query_aligned_response::Part as AlignedPart;
use efd_proto::query::v1::query_latest_response::Part as LatestPart;
use efd_proto::query::v1::query_packed_response::Part as PackedPart;
use efd_proto::query::v1::query_range_response::Part as RangePart;
use efd_proto::query::v1::query_service_client::QueryServiceClient;
use efd_proto::query::v1::query_window_response::Part as WindowPart;
use efd_proto::query::v1::{
    Aggregate, Condition, EstimateCostRequest, FieldType, Header, ListTopicsRequest, Operator, PackedTimes,
    QueryAlignedRequest, QueryLatestRequest, QueryPackedRequest, QueryRangeRequest, QueryWindowRequest,
    Selection, TimeRange, TimeScale,
};
use efd_schema::{RegistryClient, RegistryConfig};
use efd_tests::{Answered, Generation, Options, Stack, time_range, timestamp};
use prost_types::Duration;
use rstest::rstest;
use serde_json::{Value, json};
use tonic::transport::Channel;

use rows::{FIRST, MAIN, MAIN_SCHEMA, OTHER, OTHER_SCHEMA, PACKED, PACKED_SCHEMA, ROWS, SECOND, lines};

pub struct Gateway {
    pub stack: Stack,
    pub client: QueryServiceClient<Channel>,
}

impl Gateway {
    pub async fn start(generation: Generation) -> Self {
        let mut stack = Stack::servers(Options::new(generation)).await.unwrap();
        stack.start_registry().await.unwrap();
        let registry = RegistryConfig { url: Some(stack.registry_url()), ..RegistryConfig::default() };
        let registry = RegistryClient::new(&registry).unwrap();
        for (topic, schema) in [(MAIN, MAIN_SCHEMA), (OTHER, OTHER_SCHEMA), (PACKED, PACKED_SCHEMA)] {
            registry.register(&format!("{topic}-value"), schema).await.unwrap();
        }
        if generation == Generation::V1 {
            stack.query("CREATE DATABASE efd").await.unwrap();
        }
        stack.write_lines(&lines()).await.unwrap();
        stack.start_gateway().await.unwrap();
        let client = stack.query_client().await.unwrap();
        Self { stack, client }
    }

    async fn range(&mut self, request: QueryRangeRequest) -> (Vec<Answered>, Vec<Vec<u8>>) {
        let mut stream = self.client.query_range(request).await.unwrap().into_inner();
        let (mut answers, mut tokens) = (Vec::new(), Vec::new());
        while let Some(response) = stream.message().await.unwrap() {
            match response.part.unwrap() {
                RangePart::Header(header) => answers.push(Answered::of(header)),
                RangePart::Batch(batch) => {
                    answers.last_mut().unwrap().add(&batch).unwrap();
                    tokens.push(response.resume_token);
                }
            }
        }
        (answers, tokens)
    }

    async fn latest(&mut self, request: QueryLatestRequest) -> Answered {
        let mut stream = self.client.query_latest(request).await.unwrap().into_inner();
        let mut answered = Answered::default();
        while let Some(response) = stream.message().await.unwrap() {
            match response.part.unwrap() {
                LatestPart::Header(header) => answered = Answered::of(header),
                LatestPart::Batch(batch) => answered.add(&batch).unwrap(),
            }
        }
        answered
    }

    async fn window(&mut self, request: QueryWindowRequest) -> Answered {
        let mut stream = self.client.query_window(request).await.unwrap().into_inner();
        let mut answered = Answered::default();
        while let Some(response) = stream.message().await.unwrap() {
            match response.part.unwrap() {
                WindowPart::Header(header) => answered = Answered::of(header),
                WindowPart::Batch(batch) => answered.add(&batch).unwrap(),
            }
        }
        answered
    }

    async fn packed(&mut self, request: QueryPackedRequest) -> Answered {
        let mut stream = self.client.query_packed(request).await.unwrap().into_inner();
        let mut answered = Answered::default();
        while let Some(response) = stream.message().await.unwrap() {
            match response.part.unwrap() {
                PackedPart::Header(header) => answered = Answered::of(header),
                PackedPart::Batch(batch) => answered.add(&batch).unwrap(),
            }
        }
        answered
    }

    async fn aligned(&mut self, request: QueryAlignedRequest) -> Answered {
        let mut stream = self.client.query_aligned(request).await.unwrap().into_inner();
        let mut answered = Answered::default();
        while let Some(response) = stream.message().await.unwrap() {
            match response.part.unwrap() {
                AlignedPart::Header(header) => {
                    let fields = header.topics.into_iter().flat_map(|topic| topic.fields).collect();
                    answered = Answered::of(Header { topic: String::new(), fields });
                }
                AlignedPart::Batch(batch) => answered.add(&batch).unwrap(),
            }
        }
        answered
    }
}

fn select(topic: &str, fields: &[&str]) -> Selection {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    Selection { topic: topic.into(), fields, ..Selection::default() }
}

fn seconds(row: i64) -> i64 {
    FIRST + row * SECOND
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn each_call_answers_what_was_recorded(#[case] generation: Generation) {
    let mut gateway = Gateway::start(generation).await;
    ranges(&mut gateway).await;
    latest(&mut gateway).await;
    windows(&mut gateway).await;
    packed(&mut gateway).await;
    aligned(&mut gateway).await;
    costs_and_activity(&mut gateway).await;
}

async fn ranges(gateway: &mut Gateway) {
    let request = QueryRangeRequest {
        selections: vec![select(MAIN, &[]), select(OTHER, &["level"])],
        range: time_range(seconds(1), seconds(3)),
        ..QueryRangeRequest::default()
    };
    let (answers, tokens) = gateway.range(request.clone()).await;
    let [main, other] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(main.times(), [seconds(1), seconds(2), seconds(3)]);
    assert_eq!(
        main.rows[0].1,
        [
            json!(null),
            json!(1.5),
            json!(1),
            json!(false),
            json!("note 1 \"q\""),
            json!("IDLE"),
            json!([1.0, null, 0.25]),
            json!(1_700_000_001.0)
        ]
    );
    let state = &main.fields[5];
    assert_eq!(
        (state.r#type(), &state.symbols[..]),
        (FieldType::Enum, &["OFF".to_owned(), "IDLE".to_owned()][..])
    );
    assert_eq!((main.fields[1].unit.as_str(), main.fields[1].description.as_str()), ("N", "pull"));
    assert_eq!((other.times(), other.fields.len()), (vec![], 1));

    // Behind the only batch there are only the header and what is left.
    let resumed = QueryRangeRequest { resume_token: tokens[0].clone(), ..request };
    let (answers, _) = gateway.range(resumed).await;
    assert_eq!(answers.iter().map(|answer| answer.rows.len()).collect::<Vec<_>>(), [0, 0]);

    for (index, first) in [(1, 0), (2, 1)] {
        let mut selection = select(MAIN, &["count"]);
        selection.sal_index = Some(index);
        let request = QueryRangeRequest {
            selections: vec![selection],
            range: time_range(seconds(0), seconds(3)),
            ..QueryRangeRequest::default()
        };
        assert_eq!(gateway.range(request).await.0[0].column("count"), [json!(first), json!(first + 2)]);
    }

    let tai = TimeRange {
        start: timestamp(seconds(37)),
        end: timestamp(seconds(38)),
        scale: TimeScale::Tai.into(),
        ..TimeRange::default()
    };
    let request = QueryRangeRequest {
        selections: vec![select(MAIN, &["count"])],
        range: Some(tai),
        ..QueryRangeRequest::default()
    };
    let (answers, _) = gateway.range(request).await;
    assert_eq!(
        (answers[0].times(), answers[0].column("count")),
        (vec![seconds(37), seconds(38)], vec![json!(0), json!(1)])
    );
}

async fn latest(gateway: &mut Gateway) {
    let base = QueryLatestRequest {
        selection: Some(select(MAIN, &["count"])),
        count: 3,
        ..QueryLatestRequest::default()
    };
    let newest = gateway.latest(base.clone()).await;
    assert_eq!(newest.column("count"), [json!(37), json!(38), json!(39)]);
    let before = QueryLatestRequest { before: timestamp(seconds(5)), ..base.clone() };
    assert_eq!(gateway.latest(before).await.column("count"), [json!(2), json!(3), json!(4)]);
    let condition = |field: &str, operator: Operator, value| Condition {
        field: field.into(),
        operator: operator.into(),
        value: Some(value),
    };
    let cases = [
        (condition("force", Operator::Less, ConditionValue::Double(2.5)), vec![0, 1]),
        (condition("count", Operator::LessOrEqual, ConditionValue::Long(2)), vec![0, 1, 2]),
        (condition("on", Operator::NotEqual, ConditionValue::Boolean(true)), vec![35, 37, 39]),
        (condition("note", Operator::Equal, ConditionValue::String("note 7 \"q\"".into())), vec![7]),
        (condition("a0", Operator::Equal, ConditionValue::Double(9.0)), vec![9]),
        (condition("note", Operator::Equal, ConditionValue::String("' OR '1'='1".into())), vec![]),
        // Element 1 was never stored, so that it differs from nothing.
        (condition("a1", Operator::NotEqual, ConditionValue::Double(9.0)), vec![]),
    ];
    for (condition, expected) in cases {
        let what = format!("{condition:?}");
        let request = QueryLatestRequest { conditions: vec![condition], ..base.clone() };
        let expected: Vec<Value> = expected.into_iter().map(Value::from).collect();
        assert_eq!(gateway.latest(request).await.column("count"), expected, "{what}");
    }
    let all = QueryLatestRequest { count: 100_000, ..base };
    assert_eq!(gateway.latest(all).await.rows.len() as i64, ROWS);
}

async fn windows(gateway: &mut Gateway) {
    let all = [
        Aggregate::Min,
        Aggregate::Max,
        Aggregate::Mean,
        Aggregate::Median,
        Aggregate::Stddev,
        Aggregate::Count,
        Aggregate::First,
        Aggregate::Last,
    ];
    let base = QueryWindowRequest {
        selections: vec![select(MAIN, &["count", "a"])],
        range: time_range(seconds(0), seconds(19)),
        interval: Some(Duration { seconds: 10, nanos: 0 }),
        aggregates: all.map(i32::from).to_vec(),
        ..QueryWindowRequest::default()
    };
    let answered = gateway.window(base.clone()).await;
    assert_eq!(answered.times(), [seconds(0), seconds(10)]);
    let stddev = (55.0_f64 / 6.0).sqrt();
    let expected =
        [json!(10), json!(19), json!(14.5), json!(14.5), json!(stddev), json!(10), json!(10), json!(19)];
    for (found, expected) in answered.rows[1].1.iter().zip(&expected) {
        let is_near = found.as_f64().zip(expected.as_f64()).is_some_and(|(a, b)| (a - b).abs() < 1e-9);
        assert!(is_near && found.is_i64() == expected.is_i64(), "{found} {expected}");
    }
    let array = &answered.rows[0].1[8..];
    assert_eq!((&array[0], &array[5]), (&json!([0.0, null, 0.25]), &json!([10, 0, 10])));
    assert_eq!(answered.fields[8].aggregate(), Aggregate::Min);

    // Rows from 39 s on and none behind them; with and without the intervals that have none.
    let mut few = QueryWindowRequest {
        selections: vec![select(MAIN, &[])],
        range: time_range(seconds(35), seconds(65)),
        aggregates: vec![Aggregate::Count.into(), Aggregate::Last.into()],
        ..base.clone()
    };
    let answered = gateway.window(few.clone()).await;
    assert_eq!(answered.times(), [seconds(30)]);
    assert_eq!(answered.rows[0].1[2..4], [json!(5), json!(39.5)]);
    few.empty_intervals = true;
    let answered = gateway.window(few.clone()).await;
    assert_eq!(answered.times(), [seconds(30), seconds(40), seconds(50), seconds(60)]);
    assert_eq!(answered.rows[2].1[2..4], [json!(0), json!(null)]);
    few.range = time_range(seconds(100), seconds(119));
    assert_eq!(gateway.window(few).await.times(), [seconds(100), seconds(110)]);

    // One function alone, and one value, of which there is no deviation.
    let one = QueryWindowRequest {
        selections: vec![select(MAIN, &["count"])],
        range: time_range(seconds(5), seconds(5)),
        aggregates: vec![Aggregate::Stddev.into(), Aggregate::Max.into()],
        ..base.clone()
    };
    let answered = gateway.window(one.clone()).await;
    assert_eq!(answered.rows, [(seconds(0), vec![json!(null), json!(5)])]);
    let alone = QueryWindowRequest { aggregates: vec![Aggregate::Max.into()], ..one };
    assert_eq!(gateway.window(alone).await.rows, [(seconds(0), vec![json!(5)])]);
}

async fn packed(gateway: &mut Gateway) {
    let base = QueryPackedRequest {
        selection: Some(select(PACKED, &["x", "y"])),
        range: time_range(seconds(0), seconds(10)),
        ..QueryPackedRequest::default()
    };
    let answered = gateway.packed(base.clone()).await;
    let quarter = SECOND / 4;
    assert_eq!(answered.times(), (0..8).map(|sample| FIRST + sample * quarter).collect::<Vec<_>>());
    assert_eq!(answered.column("x")[..4], [json!(0.0), json!(0.5), json!(1.0), json!(1.5)]);
    assert_eq!(answered.column("y")[..4], [json!(0), json!(7), json!(1), json!(7)]);
    assert!(answered.fields.iter().all(|field| field.array_length.is_none()));
    let old = QueryPackedRequest { times: PackedTimes::FirstRows.into(), ..base };
    assert_eq!(gateway.packed(old).await.rows, answered.rows);
}

async fn aligned(gateway: &mut Gateway) {
    let request = QueryAlignedRequest {
        selections: vec![select(MAIN, &["count"]), select(OTHER, &[]), select(MAIN, &["a"])],
        range: time_range(seconds(0), seconds(39)),
        tolerance: Some(Duration { seconds: 5, nanos: 0 }),
    };
    let answered = gateway.aligned(request).await;
    assert_eq!(answered.rows.len() as i64, ROWS);
    let levels = answered.column("level");
    // Level n was recorded half a second behind second 10 n, and is good for 5 s.
    for (row, level) in levels.iter().enumerate() {
        let expected = if (1..=5).contains(&(row % 10)) { json!(row / 10) } else { json!(null) };
        assert_eq!(*level, expected, "row {row}");
    }
    assert_eq!(answered.column("a")[5], json!([5.0, null, 0.25]));
}

async fn costs_and_activity(gateway: &mut Gateway) {
    let mut request = EstimateCostRequest {
        selections: vec![select(MAIN, &["count", "a"]), select(OTHER, &[])],
        range: time_range(seconds(0), seconds(9)),
    };
    let costs = gateway.client.estimate_cost(request.clone()).await.unwrap().into_inner().topics;
    let found: Vec<_> = costs.iter().map(|cost| (cost.rows, cost.values, cost.exact)).collect();
    assert_eq!(found, [(10, 40, true), (1, 1, true)]);
    // Of a long range only the recorded part is looked at.
    request.range = time_range(0, seconds(1_000_000));
    let costs = gateway.client.estimate_cost(request).await.unwrap().into_inner().topics;
    assert_eq!((costs[0].rows, costs[1].rows, costs[0].exact), (40, 4, true));

    let now = i64::try_from(efd_tests::now_nanos()).unwrap();
    gateway
        .stack
        .write_lines(&format!("lsst.sal.X.bare v=1i {now}\n{OTHER} level=9i {now}\n"))
        .await
        .unwrap();
    let request = ListTopicsRequest { prefix: "lsst.sal.".into(), contains: "x.".into(), activity: true };
    let topics = gateway.client.list_topics(request).await.unwrap().into_inner().topics;
    let names: Vec<_> = topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(names, ["lsst.sal.X.bare", MAIN, OTHER, PACKED]);
    assert_eq!(topics[1].newest, timestamp(seconds(ROWS - 1)));
    assert_eq!((topics[1].rate, topics[0].newest), (Some(0.0), timestamp(now)));
    assert!(topics[2].rate.is_some_and(|rate| rate > 0.0), "{:?}", topics[2]);
    let request = ListTopicsRequest { contains: "OTHER".into(), ..ListTopicsRequest::default() };
    assert_eq!(gateway.client.list_topics(request).await.unwrap().into_inner().topics.len(), 1);
}
