//! Requests that can never succeed get a status that names what is wrong, and nothing else happens.

use efd_proto::query::v1::condition::Value;
use efd_proto::query::v1::query_latest_response::Part;
use efd_proto::query::v1::query_service_client::QueryServiceClient;
use efd_proto::query::v1::{
    Aggregate, Condition, EstimateCostRequest, GetTopicRequest, ListTopicsRequest, Operator,
    QueryAlignedRequest, QueryLatestRequest, QueryPackedRequest, QueryRangeRequest, QueryWindowRequest,
    Selection, TimeRange,
};
use efd_schema::{RegistryClient, RegistryConfig};
use efd_tests::{Generation, Options, Stack, time_range};
use prost_types::Duration;
use rstest::rstest;
use tonic::transport::Channel;
use tonic::{Code, Status};

const TOPIC: &str = "lsst.sal.X.y";
const SCHEMA: &str = r#"{"type":"record","name":"y","namespace":"lsst.sal.X","fields":[
    {"name":"d","type":"double"},{"name":"s","type":"string"},
    {"name":"a","type":{"type":"array","items":"double"},"default":[0.0,0.0]},
    {"name":"b","type":{"type":"array","items":"double"},"default":[0.0,0.0,0.0]}]}"#;

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn bad_queries_get_a_clear_status_and_do_nothing(#[case] generation: Generation) {
    let mut stack = Stack::servers(Options::new(generation)).await.unwrap();
    stack.start_registry().await.unwrap();
    let registry = RegistryConfig { url: Some(stack.registry_url()), ..RegistryConfig::default() };
    RegistryClient::new(&registry).unwrap().register(&format!("{TOPIC}-value"), SCHEMA).await.unwrap();
    if generation == Generation::V1 {
        stack.query("CREATE DATABASE efd").await.unwrap();
    }
    stack.write_lines(&format!("{TOPIC} d=1,s=\"x\" 1000\n")).await.unwrap();
    stack.start_gateway().await.unwrap();
    let mut client = stack.query_client().await.unwrap();

    for (selection, code, message) in selections() {
        let status = range(&mut client, vec![selection], time_range(0, 10)).await.unwrap_err();
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().contains(message), "{status:?}");
    }
    for (range_of, message) in [
        (None, "range is missing"),
        (time_range(2, 1), "start is 0 s after end: exchange them"),
        (time_range(i64::MAX, i64::MAX), "outside the years that InfluxDB can store"),
    ] {
        let status = range(&mut client, vec![select(&[])], range_of).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message().contains(message)),
            (Code::InvalidArgument, true),
            "{status:?}"
        );
    }
    let status = range(&mut client, vec![], time_range(0, 10)).await.unwrap_err();
    assert!(status.message().contains("1 to 64 selections are needed"), "{status:?}");
    other_calls(&mut client).await;
    long_requests(&mut client).await;
    injections(&mut client).await;

    // All is as it was, and the gateway goes on.
    let stored = stack.query("SHOW FIELD KEYS FROM /./").await.unwrap();
    let series = stored["results"][0]["series"].as_array().unwrap();
    assert_eq!(series.iter().map(|series| &series["name"]).collect::<Vec<_>>(), [TOPIC]);
    let mut stream = range(&mut client, vec![select(&["d"])], time_range(0, 2000)).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
}

fn select(fields: &[&str]) -> Selection {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    Selection { topic: TOPIC.into(), fields, ..Selection::default() }
}

fn selections() -> Vec<(Selection, Code, &'static str)> {
    let topic = |topic: &str| Selection { topic: topic.into(), ..Selection::default() };
    let mut indexed = select(&["d"]);
    indexed.sal_index = Some(1);
    vec![
        (topic("lsst.sal.X.z"), Code::NotFound, "there is no topic lsst.sal.X.z; did you mean"),
        (topic("x\"; DROP MEASUREMENT \"lsst.sal.X.y\"; --"), Code::NotFound, "there is no topic"),
        (topic(""), Code::InvalidArgument, "1 to 249 bytes"),
        (topic(&"x".repeat(100_000)), Code::InvalidArgument, "1 to 249 bytes"),
        (select(&["dd"]), Code::InvalidArgument, "has no field dd; did you mean"),
        (select(&["d\" FROM \"z"]), Code::InvalidArgument, "has no field d\" FROM"),
        (select(&["d", "d"]), Code::InvalidArgument, "field d is named twice"),
        (indexed, Code::InvalidArgument, "has no field salIndex"),
    ]
}

async fn range(
    client: &mut QueryServiceClient<Channel>,
    selections: Vec<Selection>,
    range: Option<TimeRange>,
) -> Result<tonic::Streaming<efd_proto::query::v1::QueryRangeResponse>, Status> {
    let request = QueryRangeRequest { selections, range, ..QueryRangeRequest::default() };
    client.query_range(request).await.map(tonic::Response::into_inner)
}

fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, Status>, message: &str) {
    let status = outcome.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains(message), "{status:?}");
}

async fn other_calls(client: &mut QueryServiceClient<Channel>) {
    let latest = |count, fields: &[&str]| QueryLatestRequest {
        selection: Some(select(fields)),
        count,
        ..QueryLatestRequest::default()
    };
    assert_refused(client.query_latest(latest(0, &[])).await, "count is 1 to 100000, not 0");
    assert_refused(client.query_latest(latest(100_001, &[])).await, "count is 1 to 100000");
    let request = QueryLatestRequest { selection: None, ..latest(1, &[]) };
    assert_refused(client.query_latest(request).await, "selection is missing");

    let window = |seconds, aggregate: Aggregate, fields: &[&str]| QueryWindowRequest {
        selections: vec![select(fields)],
        range: time_range(0, 10_000_000_000_000),
        interval: Some(Duration { seconds, nanos: 0 }),
        aggregates: vec![aggregate.into()],
        ..QueryWindowRequest::default()
    };
    assert_refused(client.query_window(window(-5, Aggregate::Min, &[])).await, "shorter than 1 ms");
    let absurd = QueryWindowRequest { range: time_range(0, i64::MAX - 1), ..window(1, Aggregate::Min, &[]) };
    assert_refused(client.query_window(absurd).await, "more than query.max_intervals");
    assert_refused(
        client.query_window(window(1, Aggregate::Mean, &["s"])).await,
        "MEAN cannot be made of field s",
    );
    assert_refused(client.query_window(window(1, Aggregate::Unspecified, &[])).await, "no aggregate 0");

    let packed = |fields: &[&str], reference: &str| QueryPackedRequest {
        selection: Some(select(fields)),
        range: time_range(0, 10),
        reference_field: reference.into(),
        ..QueryPackedRequest::default()
    };
    assert_refused(client.query_packed(packed(&[], "d")).await, "name the arrays");
    assert_refused(client.query_packed(packed(&["a"], "")).await, "has no field cRIO_timestamp");
    assert_refused(client.query_packed(packed(&["a"], "s")).await, "no scalar number");
    assert_refused(client.query_packed(packed(&["a", "b"], "d")).await, "has 3 samples a row and a has 2");
    assert_refused(client.query_packed(packed(&["s"], "d")).await, "is no array");

    let aligned = QueryAlignedRequest {
        selections: vec![select(&[])],
        range: time_range(0, 10),
        ..QueryAlignedRequest::default()
    };
    assert_refused(client.query_aligned(aligned.clone()).await, "2 to 64 selections are needed, not 1");
    let tolerance = Some(Duration { seconds: -1, nanos: 0 });
    assert_refused(
        client.query_aligned(QueryAlignedRequest { tolerance, ..aligned }).await,
        "tolerance is negative",
    );
    assert_refused(client.estimate_cost(EstimateCostRequest::default()).await, "range is missing");

    let request = QueryRangeRequest {
        selections: vec![select(&[])],
        range: time_range(0, 10),
        resume_token: b"nonsense".to_vec(),
    };
    assert_refused(client.query_range(request).await, "resume_token is none of the gateway's");
}

/// Ten megabytes of a name are refused before anything is asked of anybody.
async fn long_requests(client: &mut QueryServiceClient<Channel>) {
    let name = "x".repeat(10 << 20);
    let status = client.get_topic(GetTopicRequest { name: name.clone() }).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{}", status.code());
    let long = range(client, vec![select(&[&name])], time_range(0, 10)).await.unwrap_err();
    assert_eq!(long.code(), Code::OutOfRange, "{}", long.code());
}

/// Names and texts that try to be more than that are just names and texts that nothing has.
async fn injections(client: &mut QueryServiceClient<Channel>) {
    for text in ["x\"; DROP DATABASE efd; --", "/.*/", "lsst.sal.X.y\" WHERE 1=1 --"] {
        let request = ListTopicsRequest { prefix: text.into(), contains: text.into(), activity: true };
        assert_eq!(client.list_topics(request).await.unwrap().into_inner().topics, [], "{text}");
    }
    for value in ["' OR 's' = 's", "x' OR \"s\" = 'x", "x\\' OR \"s\" = 'x"] {
        let condition = Condition {
            field: "s".into(),
            operator: Operator::Equal.into(),
            value: Some(Value::String(value.into())),
        };
        let request = QueryLatestRequest {
            selection: Some(select(&["d"])),
            conditions: vec![condition],
            count: 1,
            ..QueryLatestRequest::default()
        };
        let mut stream = client.query_latest(request).await.unwrap().into_inner();
        let header = stream.message().await.unwrap().and_then(|message| message.part);
        assert!(matches!(header, Some(Part::Header(_))), "{header:?}");
        assert_eq!(stream.message().await.unwrap(), None, "{value}");
    }
}
