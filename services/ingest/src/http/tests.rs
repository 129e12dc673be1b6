//! The source in front of a mock cluster that can go away.

use std::time::Instant;

use efd_kafka::KafkaConfig;
use efd_service::{Instance, Stop};
use rdkafka::mocking::MockCluster;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::metrics::Metrics;

const DEADLINE: Duration = Duration::from_secs(60);
const TOPIC: &str = "lsst.square.weather";

/// Posts one record over a connection of its own.
async fn post(address: std::net::SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    let body = r#"{"records":[{"value":1}]}"#;
    let head = format!(
        "POST /topics/{TOPIC} HTTP/1.1\r\nHost: efd\r\nConnection: close\r\nContent-Type: \
         application/vnd.kafka.json.v2+json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write_all((head + body).as_bytes()).await.unwrap();
    client
}

/// The status of the answer.
async fn status(mut client: TcpStream) -> String {
    let mut answer = String::new();
    let read = tokio::time::timeout(DEADLINE, client.read_to_string(&mut answer)).await;
    read.expect("an answer in time").unwrap();
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_holds_its_place_until_its_delivery_is_done_though_its_client_hangs_up() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let kafka =
        KafkaConfig { bootstrap_servers: Some(cluster.bootstrap_servers()), ..KafkaConfig::default() };
    let mut config = Config { kafka, ..Config::default() };
    config.http.prefixes = vec!["lsst.square.".into()];
    config.http.max_requests = 1;
    // Longer than the test: the list of topics stays known, and nothing is given up.
    (config.http.metadata_refresh, config.http.delivery_timeout) = (DEADLINE * 10, DEADLINE * 10);
    let instance = Instance::start("test", ([127, 0, 0, 1], 0).into()).unwrap();
    let meter = &instance.context().meter;
    let metrics = HttpMetrics::new(meter, Metrics::new(meter, &[]), &config);
    let api = Arc::new(Api::new(&config, "http", metrics).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bounds = Bounds { max_connections: 8, header_timeout: DEADLINE };
    let stop = Stop::default();
    let server = tokio::spawn(connections::serve(listener, bounds, api.clone(), stop.clone()));
    assert_eq!(status(post(address).await).await, "200");

    cluster.broker_down(1).unwrap();
    let client = post(address).await;
    let start = Instant::now();
    while api.room.available_permits() > 0 {
        assert!(start.elapsed() < DEADLINE, "the request is not worked on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(client);
    assert_eq!(status(post(address).await).await, "429");
    cluster.broker_up(1).unwrap();
    let start = Instant::now();
    while status(post(address).await).await != "200" {
        assert!(start.elapsed() < DEADLINE, "its place is not free again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.request();
    server.await.unwrap();
}
