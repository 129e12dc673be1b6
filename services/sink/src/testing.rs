//! What several tests need: a small HTTP server with answers of the test's choosing, metrics, batches of simple lines.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use efd_kafka::TopicPartition;
use efd_schema::{RecordSchema, avro};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::batch::{Batch, Limits, Source};
use crate::mapping::MappingConfig;
use crate::metrics::{ComponentId, Metrics};
use crate::plan::Plan;
use crate::record::Record;

/// Limits that no test reaches.
pub const LIMITS: Limits =
    Limits { points: 100_000, values: 10_000_000, bytes: 1 << 30, age: Duration::from_millis(20) };

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    pub body: String,
}

type Answer = Box<dyn Fn(&Seen) -> (u16, String) + Send + Sync>;

/// An HTTP server; every request is answered by the closure and remembered.
pub struct FakeServer {
    pub url: String,
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

impl FakeServer {
    pub async fn start(answer: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::default());
        let (answer, log): (Arc<Answer>, _) = (Arc::new(Box::new(answer)), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), Arc::clone(&log)));
            }
        });
        Self { url, seen }
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, answer: Arc<Answer>, seen: Arc<Mutex<Vec<Seen>>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        let lower = head.to_lowercase();
        let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).await.ok()?;
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let request = Seen { path, body: String::from_utf8(body).unwrap() };
        let (status, text) = answer(&request);
        seen.lock().unwrap().push(request);
        let reply = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        stream.get_mut().write_all(reply.as_bytes()).await.ok()?;
    }
}

pub fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(&opentelemetry::global::meter("test")))
}

pub fn partition(topic: &str) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition: 0 }
}

/// A plan whose only field is the time.
pub fn plan() -> Plan {
    let text = r#"{"type":"record","name":"t","fields":[{"name":"private_efdStamp","type":"double"}]}"#;
    Plan::compile(9, &RecordSchema::parse(text).unwrap(), &MappingConfig::default()).unwrap()
}

/// A batch of one partition whose lines are `t private_efdStamp=<n> <n>000000000` with `n` from 1 on.
pub fn batch(topic: &str, records: u32) -> Batch {
    let (partition, mut batch) = (partition(topic), Batch::new(LIMITS));
    let source = Source { slot: 0, partition: &partition, component: ComponentId::default() };
    for n in 1..=records {
        let mut body = Vec::new();
        avro::put_double(&mut body, f64::from(n));
        let record = Record {
            offset: i64::from(n) - 1,
            key: Some(b"key"),
            payload: Some(&body),
            headers: vec![("trace", Some(b"1"))],
            timestamp_ms: Some(5),
        };
        batch.point(source, &record, (&plan(), ComponentId::default()), &body);
    }
    batch
}

/// Polls until the condition holds, for a minute: far longer than anything takes, since machines are shared.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while std::time::Instant::now() < deadline {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within a minute: {what}");
}
