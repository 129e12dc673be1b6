//! The topic of the schemas on a real Kafka: a log that was written by hand after Confluent's format is read, the same calls write the same
//! bytes, and Kafka may go away.

use bytes::Bytes;
use efd_kafka::{Admin, OutRecord, TopicSpec};
use efd_service::http::Client;
use efd_tests::{DEADLINE, Generation, Options, Stack, eventually};
use rdkafka::Message as _;
use rdkafka::message::OwnedMessage;
use serde::Deserialize;
use serde_json::{Value, json};

const TOPIC: &str = "_schemas";
const INT: &str = r#"{"type":"record","name":"r","namespace":"lab","fields":[{"name":"a","type":"int","doc":"é","default":0,"units":"m"}]}"#;
const LINE: &str = r#"{"type":"record","name":"line","fields":[{"name":"b","type":"lab.r"}]}"#;

/// Key and value of each record; no value is a tombstone.
type Records = Vec<(String, Option<String>)>;

#[derive(Deserialize)]
struct Golden {
    log: Records,
    /// A mark, a key type that is not known, half of a value.
    foreign: Records,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../services/registry/tests/golden_log.json")).unwrap()
}

async fn call(url: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let request = http::Request::builder().method(method).uri(format!("{url}{path}")).body(body).unwrap();
    let answer = Client::new(None).unwrap().send(request, DEADLINE).await.unwrap();
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or(Value::Null))
}

async fn get(url: &str, path: &str) -> Value {
    call(url, "GET", path, Value::Null).await.1
}

#[tokio::test]
async fn a_log_that_confluents_registry_could_have_written_is_gone_on_with() {
    let mut stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    let spec = TopicSpec { name: TOPIC.into(), partitions: 1, replication: 1, compact: true };
    Admin::new(&stack.kafka.config(), "efd-tests").unwrap().create_topics(&[spec]).await.unwrap();
    let Golden { log, foreign } = golden();
    let mut batch = stack.producer().unwrap().batch();
    for (key, value) in log.iter().chain(&foreign) {
        let (key, payload) = (Some(key.as_bytes()), value.as_deref().map(str::as_bytes));
        batch.send(OutRecord { topic: TOPIC, key, payload, ..OutRecord::default() }).await.unwrap();
    }
    batch.delivered().await.unwrap();

    stack.start_registry().await.unwrap();
    let url = stack.registry_url();
    assert_eq!(get(&url, "/subjects").await, json!([":.lab:a", "a", "b", "e"]));
    assert_eq!(get(&url, "/subjects?deleted=true").await, json!([":.lab:a", "a", "b", "c", "e"]));
    assert_eq!(get(&url, "/subjects/a/versions?deleted=true").await, json!([1, 2]));
    assert_eq!(get(&url, "/subjects/e/versions/7").await["id"], 40);
    assert_eq!(get(&url, "/subjects/a/versions/1/referencedby").await, json!([2]));
    assert_eq!(get(&url, "/schemas/ids/1").await["schema"], INT);
    assert_eq!(get(&url, "/schemas/ids/4").await["error_code"], 40403);
    assert_eq!(get(&url, "/contexts").await, json!([".", ".lab"]));
    assert_eq!(get(&url, "/mode").await, json!({"mode": "READONLY"}));
    assert_eq!(get(&url, "/mode/e").await, json!({"mode": "IMPORT"}));
    assert_eq!(get(&url, "/config/a").await["error_code"], 40408);
    let metrics = stack.registry.as_ref().unwrap().metrics().await.unwrap();
    for reason in ["malformed", "unknown_key"] {
        let skipped = metrics.sum("efd_registry_log_records_skipped_total", &[("reason", reason)]);
        assert_eq!(skipped, 1.0, "{reason}");
    }
    // It goes on where the other one stopped.
    assert_eq!(call(&url, "PUT", "/mode", json!({"mode": "READWRITE"})).await.0, 200);
    let (status, answer) = call(&url, "POST", "/subjects/f/versions", json!({"schema": "\"long\""})).await;
    assert_eq!((status, &answer["id"]), (200, &json!(41)), "{answer}");
}

#[tokio::test]
async fn the_same_calls_write_the_same_bytes() {
    let mut stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    stack.start_registry().await.unwrap();
    let url = stack.registry_url();
    let long = INT.replace("\"int\"", "\"long\"");
    let references = json!([{"name": "lab.r", "subject": "a", "version": 1}]);
    let schema = |text: &str| json!({"schema": text});
    let calls = [
        ("PUT", "/config", json!({"compatibility": "NONE"})),
        ("POST", "/subjects/a/versions", schema(INT)),
        ("POST", "/subjects/b/versions", json!({"schema": LINE, "references": references})),
        ("POST", "/subjects/a/versions", schema(&long)),
        ("DELETE", "/subjects/a/versions/2", Value::Null),
        ("PUT", "/config/a", json!({"compatibility": "FULL"})),
        ("DELETE", "/config/a", Value::Null),
        ("POST", "/subjects/c/versions", schema(INT)),
        ("DELETE", "/subjects/c", Value::Null),
        ("POST", "/subjects/d/versions", schema("\"string\"")),
        ("DELETE", "/subjects/d", Value::Null),
        ("DELETE", "/subjects/d?permanent=true", Value::Null),
        ("PUT", "/mode/e", json!({"mode": "IMPORT"})),
        ("POST", "/subjects/e/versions", json!({"schema": "\"bytes\"", "id": 40, "version": 7})),
        ("POST", "/contexts/.lab/subjects/a/versions", schema(&long)),
        ("PUT", "/mode", json!({"mode": "READONLY"})),
    ];
    for (method, path, body) in calls {
        let (status, answer) = call(&url, method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let pair = |record: &OwnedMessage| (text(record.key().unwrap_or_default()), record.payload().map(text));
    let expected = golden().log;
    // Up to the last call's record; how many marks there are before it is nobody's promise.
    let mut written = Records::new();
    for marks in 2.. {
        written = stack.read(TOPIC, expected.len() + marks).await.unwrap().iter().map(pair).collect();
        if written.last() == expected.last() {
            break;
        }
    }
    // The marks in between are ours, and nothing to Confluent's registry.
    written.retain(|(key, _)| key != r#"{"keytype":"NOOP","magic":0}"#);
    assert_eq!(written, expected);
}

#[tokio::test]
async fn reads_go_on_without_kafka_and_writes_when_it_is_back() {
    let mut stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    let settings = json!({"schemas": {"write_timeout": "3s"}});
    let mut registry = stack.launch_another_registry("alone", &settings).unwrap();
    registry.service.ready().await.unwrap();
    let url = registry.url();
    let register = |subject: &str, text: &str| {
        let (url, path, body) =
            (url.clone(), format!("/subjects/{subject}/versions"), json!({"schema": text}));
        async move { call(&url, "POST", &path, body).await }
    };
    let (status, first) = register("a", INT).await;
    assert_eq!(status, 200, "{first}");

    stack.kafka.kill();
    for _ in 0..2 {
        let (status, refused) = register("a", "\"int\"").await;
        let code = refused["error_code"].as_u64().unwrap();
        assert!(status == 503 && (50001..=50004).contains(&code), "{status} {refused}");
        assert_eq!(get(&url, &format!("/schemas/ids/{}", first["id"])).await["schema"], INT);
        assert_eq!(get(&url, "/subjects").await, json!(["a"]));
        assert_eq!(register("a", INT).await, (200, first.clone()), "what is known is registered again");
    }
    assert_eq!(registry.service.readiness().await.unwrap().0, 200);

    stack.kafka.start_again().await.unwrap();
    eventually("writes work again", || async { Ok(register("a", "\"int\"").await.0 == 200) }).await.unwrap();
    assert_eq!(get(&url, "/subjects/a/versions").await, json!([1, 2]));
}
