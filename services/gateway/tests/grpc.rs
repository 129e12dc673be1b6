//! The whole gateway over gRPC, in front of servers that answer as InfluxDB and the registry do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use efd_gateway::Config;
use efd_proto::query::v1::column::Values;
use efd_proto::query::v1::query_range_response::Part;
use efd_proto::query::v1::query_service_client::QueryServiceClient;
use efd_proto::query::v1::{
    GetTopicRequest, ListTopicsRequest, QueryRangeRequest, QueryRangeResponse, Selection, TimeRange,
};
use efd_service::Instance;
use futures::stream;
use prost_types::Timestamp;
use serde_json::json;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const DEADLINE: Duration = Duration::from_secs(20);
const TOPIC: &str = "lsst.sal.X.y";
const SCHEMA: &str = r#"{"type":"record","name":"y","namespace":"lsst.sal.X","description":"what","fields":[
    {"name":"forces","type":{"type":"array","items":"float"},"default":[0.0,0.0],"units":"N","description":"at each point"},
    {"name":"count","type":"int","default":0}]}"#;
const FIRST: &str = r#"{"results":[{"statement_id":0,"series":[{"name":"lsst.sal.X.y","columns":["time","forces0","forces1","count"],"values":[[1,0.5,1,7],[2,null,2.5,8]],"partial":true}],"partial":true}]}
"#;
const LAST: &str = r#"{"results":[{"statement_id":0,"series":[{"name":"lsst.sal.X.y","columns":["time","forces0","forces1","count"],"values":[[3,1,1,9]]}]}]}
"#;

/// What InfluxDB does with a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Three rows in two objects.
    Rows,
    /// Rows without end.
    Endless,
}

/// InfluxDB and registry in one.
#[derive(Clone)]
struct Servers {
    mode: Mode,
    open_answers: Arc<AtomicUsize>,
}

/// Counts the answers that InfluxDB is still giving.
struct OpenAnswer(Arc<AtomicUsize>);

impl Drop for OpenAnswer {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Gateway {
    instance: Instance,
    run: JoinHandle<anyhow::Result<()>>,
    channel: Channel,
}

impl Servers {
    async fn start(mode: Mode) -> (Self, SocketAddr) {
        let servers = Self { mode, open_answers: Arc::default() };
        let router = Router::new()
            .route("/ping", get(|| async { StatusCode::NO_CONTENT }))
            .route("/query", post(query))
            .route(
                "/subjects",
                get(|| async { Json(json!([format!("{TOPIC}-value"), "lsst.sal.X.z-value"])) }),
            )
            .route("/subjects/{subject}/versions/latest", get(latest))
            .with_state(servers.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (servers, address)
    }
}

async fn latest(Path(subject): Path<String>) -> (StatusCode, Json<serde_json::Value>) {
    if subject == format!("{TOPIC}-value") {
        (StatusCode::OK, Json(json!({"subject": subject, "version": 3, "id": 42, "schema": SCHEMA})))
    } else {
        (StatusCode::NOT_FOUND, Json(json!({"error_code": 40401, "message": "Subject not found."})))
    }
}

async fn query(State(servers): State<Servers>, form: String) -> (StatusCode, Body) {
    if form.contains("SHOW") {
        let names = json!({"results": [{"series": [{"columns": ["name"], "values": [[TOPIC], ["lsst.sal.X.old"]]}]}]});
        return (StatusCode::OK, Body::from(names.to_string()));
    }
    if servers.mode == Mode::Rows {
        return (StatusCode::OK, Body::from(format!("{FIRST}{LAST}")));
    }
    servers.open_answers.fetch_add(1, Ordering::SeqCst);
    let open = OpenAnswer(servers.open_answers);
    let objects = stream::unfold(open, |open| async move {
        tokio::task::yield_now().await;
        Some((Ok::<_, Infallible>(Bytes::from(FIRST)), open))
    });
    (StatusCode::OK, Body::from_stream(objects))
}

impl Gateway {
    async fn start(servers: SocketAddr, change: impl FnOnce(&mut Config)) -> Self {
        let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = Some(format!("http://{servers}"));
        let mut config = Config { grpc: SocketAddr::from(([127, 0, 0, 1], port)), ..Config::default() };
        config.http.address = SocketAddr::from(([127, 0, 0, 1], 0));
        config.influxdb.url.clone_from(&url);
        config.registry.url = url;
        change(&mut config);
        let instance = Instance::start("efd-gateway", SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let run = tokio::spawn(efd_gateway::run(config, instance.context()));
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let deadline = Instant::now() + DEADLINE;
        let channel = loop {
            match endpoint.connect().await {
                Ok(channel) => break channel,
                Err(error) => assert!(Instant::now() < deadline, "gateway does not serve: {error}"),
            }
            tokio::task::yield_now().await;
        };
        Self { instance, run, channel }
    }

    fn client(&self) -> QueryServiceClient<Channel> {
        QueryServiceClient::new(self.channel.clone())
    }

    async fn range(&self, topic: &str, fields: &[&str]) -> Result<Streaming<QueryRangeResponse>, Status> {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        let request = QueryRangeRequest {
            selections: vec![Selection { topic: topic.to_owned(), fields, ..Selection::default() }],
            range: Some(TimeRange {
                start: Some(Timestamp { seconds: 0, nanos: 0 }),
                end: Some(Timestamp { seconds: 1, nanos: 0 }),
                ..TimeRange::default()
            }),
            ..QueryRangeRequest::default()
        };
        self.client().query_range(request).await.map(tonic::Response::into_inner)
    }

    async fn stop(self) {
        self.instance.context().stop.request();
        tokio::time::timeout(DEADLINE, self.run).await.expect("run ends").unwrap().unwrap();
        self.instance.shutdown().await;
    }
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn all(mut answer: Streaming<QueryRangeResponse>) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(response) = answer.message().await.unwrap() {
        parts.push(response.part.unwrap());
    }
    parts
}

#[tokio::test]
async fn a_range_comes_back_as_a_header_and_columns() {
    let (_, servers) = Servers::start(Mode::Rows).await;
    let gateway = Gateway::start(servers, |_| ()).await;
    let parts = all(gateway.range(TOPIC, &[]).await.unwrap()).await;
    let [Part::Header(header), Part::Batch(first), Part::Batch(last)] = &parts[..] else {
        panic!("{parts:?}");
    };
    assert_eq!(header.topic, TOPIC);
    let fields: Vec<_> = header
        .fields
        .iter()
        .map(|field| (field.name.as_str(), field.unit.as_str(), field.array_length))
        .collect();
    assert_eq!(fields, [("forces", "N", Some(2)), ("count", "", None)]);
    assert_eq!((&first.times[..], &last.times[..]), (&[1, 2][..], &[3][..]));
    let Some(Values::Doubles(forces)) = &first.columns[0].values else { panic!("{first:?}") };
    assert_eq!(forces.values, [0.5, 1.0, 0.0, 2.5]);
    assert_eq!(first.columns[0].validity, [0b1011]);
    gateway.stop().await;
}

#[tokio::test]
async fn topics_are_listed_and_described() {
    let (_, servers) = Servers::start(Mode::Rows).await;
    let gateway = Gateway::start(servers, |_| ()).await;
    let listed =
        gateway.client().list_topics(ListTopicsRequest::default()).await.unwrap().into_inner().topics;
    let found: Vec<_> =
        listed.iter().map(|topic| (topic.name.as_str(), topic.has_data, topic.has_schema)).collect();
    let expected = [("lsst.sal.X.old", true, false), (TOPIC, true, true), ("lsst.sal.X.z", false, true)];
    assert_eq!(found, expected);
    let request = GetTopicRequest { name: TOPIC.to_owned() };
    let topic = gateway.client().get_topic(request).await.unwrap().into_inner().topic.unwrap();
    assert_eq!((topic.description.as_str(), topic.schema_id, topic.schema_version), ("what", 42, 3));
    assert_eq!(topic.fields.len(), 2);
    assert_eq!(topic.fields.iter().map(|field| field.stored_names.len()).collect::<Vec<_>>(), [2, 1]);
    assert!(topic.schema.starts_with('{'), "{}", topic.schema);
    gateway.stop().await;
}

#[tokio::test]
async fn what_does_not_exist_is_named_with_what_may_have_been_meant() {
    let (_, servers) = Servers::start(Mode::Rows).await;
    let gateway = Gateway::start(servers, |_| ()).await;
    let table = [
        (
            "lsst.sal.X.yy",
            "count",
            Code::NotFound,
            "there is no topic lsst.sal.X.yy; did you mean lsst.sal.X.y?",
        ),
        (
            "lsst.sal.X.old",
            "count",
            Code::NotFound,
            "InfluxDB has data of it, but the registry has no subject",
        ),
        (TOPIC, "cont", Code::InvalidArgument, "topic lsst.sal.X.y has no field cont; did you mean count?"),
        ("", "count", Code::InvalidArgument, "the name of a topic has 1 to 249 bytes"),
    ];
    for (topic, field, code, message) in table {
        let status = gateway.range(topic, &[field]).await.unwrap_err();
        assert_eq!(status.code(), code, "{topic} {field}");
        assert!(status.message().contains(message), "{}", status.message());
    }
    let status = gateway.client().query_range(QueryRangeRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "range is missing"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_query_in_influxdb() {
    let (state, servers) = Servers::start(Mode::Endless).await;
    let gateway = Gateway::start(servers, |_| ()).await;
    let mut answer = gateway.range(TOPIC, &[]).await.unwrap();
    for _ in 0..3 {
        answer.message().await.unwrap();
    }
    assert_eq!(state.open_answers.load(Ordering::SeqCst), 1);
    drop(answer);
    eventually("InfluxDB's answer ends", async || state.open_answers.load(Ordering::SeqCst) == 0).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_stop_ends_a_query_that_would_go_on() {
    let (_, servers) = Servers::start(Mode::Endless).await;
    let short = Duration::from_millis(50);
    let gateway = Gateway::start(servers, |config| config.server.drain_timeout = short).await;
    let mut answer = gateway.range(TOPIC, &[]).await.unwrap();
    answer.message().await.unwrap();
    gateway.instance.context().stop.request();
    let status = loop {
        match answer.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("an endless answer ended"),
            Err(status) => break status,
        }
    };
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "the gateway stops; try again"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_does_not_hold_up_a_stop() {
    let (state, servers) = Servers::start(Mode::Endless).await;
    let gateway = Gateway::start(servers, |config| config.server.drain_timeout = Duration::ZERO).await;
    let answer = gateway.range(TOPIC, &[]).await.unwrap();
    eventually("InfluxDB is asked", async || state.open_answers.load(Ordering::SeqCst) == 1).await;
    gateway.stop().await;
    drop(answer);
}

#[tokio::test]
async fn more_queries_than_may_run_are_refused() {
    let (_, servers) = Servers::start(Mode::Endless).await;
    let gateway = Gateway::start(servers, |config| {
        config.query.max_running = 1;
        config.server.drain_timeout = Duration::ZERO;
    })
    .await;
    let answer = gateway.range(TOPIC, &[]).await.unwrap();
    let status = gateway.range(TOPIC, &[]).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("query.max_running"), "{}", status.message());
    drop(answer);
    eventually("there is room again", async || gateway.range(TOPIC, &[]).await.is_ok()).await;
    gateway.stop().await;
}

#[tokio::test]
async fn without_influxdb_it_serves_and_says_what_is_wrong() {
    let (_, servers) = Servers::start(Mode::Rows).await;
    let nobody = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway =
        Gateway::start(servers, |config| config.influxdb.url = Some(format!("http://{nobody}"))).await;
    assert_eq!(gateway.instance.context().ready.waiting(), ["influxdb"]);
    let mut answer = gateway.range(TOPIC, &[]).await.unwrap();
    let status = answer.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("influxdb.url"), "{}", status.message());
    let health =
        HealthClient::new(gateway.channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(health.into_inner().status(), ServingStatus::NotServing);
    let request = GetTopicRequest { name: TOPIC.to_owned() };
    assert!(gateway.client().get_topic(request).await.is_ok(), "a description needs no data");
    gateway.stop().await;
}

#[tokio::test]
async fn it_is_ready_and_healthy_once_influxdb_answers() {
    let (_, servers) = Servers::start(Mode::Rows).await;
    let gateway = Gateway::start(servers, |_| ()).await;
    eventually("ready", async || gateway.instance.context().ready.is_ready()).await;
    let mut client = HealthClient::new(gateway.channel.clone());
    eventually("healthy", async || {
        let answer = client.check(HealthCheckRequest::default()).await.unwrap().into_inner();
        answer.status() == ServingStatus::Serving
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn without_registry_it_says_so() {
    let (_, servers) = Servers::start(Mode::Rows).await;
    let nobody = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway =
        Gateway::start(servers, |config| config.registry.url = Some(format!("http://{nobody}"))).await;
    let status = gateway.range(TOPIC, &[]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("registry.url"), "{}", status.message());
    gateway.stop().await;
}
