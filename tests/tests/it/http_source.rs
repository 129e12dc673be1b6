//! Scripts that know the Kafka REST Proxy: what they post with curl is in InfluxDB, and errors have the proxy's codes.

use std::process::Stdio;

use efd::influxdb::InfluxDbClient;
use efd::servers::free_port;
use efd_tests::{CLIENT_TOKEN, Generation, Options, Stack, efd, eventually};
use rdkafka::Message as _;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::process::Command;

const TOPIC: &str = "lsst.sal.Test.weather";
const AVRO: &str = "Content-Type: application/vnd.kafka.avro.v2+json";
const JSON: &str = "Content-Type: application/json";

/// What a script of the observatory would register: a time, a union, an array and an enumeration.
fn schema() -> String {
    let fields = json!([
        {"name": "private_efdStamp", "type": "double"},
        {"name": "private_seqNum", "type": "int"},
        {"name": "temperature", "type": ["null", "double"], "default": null},
        {"name": "wind", "type": {"type": "array", "items": "float"}, "default": [0.0, 0.0]},
        {"name": "band", "type": {"type": "enum", "name": "band", "symbols": ["g", "r"]}},
        {"name": "note", "type": "string"},
    ]);
    json!({"type": "record", "name": "weather", "namespace": "lsst.sal.Test", "fields": fields}).to_string()
}

fn body(note: &str) -> Value {
    let stamp = efd_tests::now_nanos() as f64 / 1e9;
    let value = json!({
        "private_efdStamp": stamp, "private_seqNum": 1, "temperature": {"double": -3.25}, "wind": [1.5, 2.5],
        "band": "r", "note": note,
    });
    json!({"value_schema": schema(), "records": [{"value": value}]})
}

/// The HTTP source of a stack, asked by curl.
struct Curl {
    url: String,
    more: Vec<String>,
}

impl Curl {
    /// Status, content type and body of an answer.
    async fn ask(&self, path: &str, headers: &[&str], body: Option<&Value>) -> (u16, String, Value) {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--write-out", "\n%{http_code} %{content_type}"]);
        command.args(&self.more).args(headers.iter().flat_map(|header| ["--header", *header]));
        if let Some(body) = body {
            command.args(["--data", &body.to_string()]);
        }
        let output = command.arg(format!("{}{path}", self.url)).stdin(Stdio::null()).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (answer, last) = text.rsplit_once('\n').unwrap();
        let (status, media_type) = last.split_once(' ').unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        let answer = serde_json::from_str(answer).unwrap_or_else(|_| panic!("{path}: {text} {error}"));
        (status.parse().unwrap(), media_type.to_owned(), answer)
    }

    async fn code(&self, path: &str, headers: &[&str], body: Option<&Value>) -> (u16, u64) {
        let (status, _, answer) = self.ask(path, headers, body).await;
        assert!(answer["message"].is_string(), "{answer}");
        (status, answer["error_code"].as_u64().unwrap())
    }
}

/// A stack whose ingest only serves HTTP; `more` is merged over its settings.
async fn stack(generation: Generation, more: Value) -> (Stack, Curl) {
    let port = free_port().unwrap();
    let mut options = Options::new(generation);
    let mut http =
        json!({"enabled": true, "address": format!("127.0.0.1:{port}"), "prefixes": ["lsst.sal.Test."]});
    http.as_object_mut().unwrap().extend(more["http"].as_object().cloned().unwrap_or_default());
    let mut settings = json!({"http": http});
    let beside = more.as_object().unwrap().iter().filter(|(key, _)| *key != "http");
    settings.as_object_mut().unwrap().extend(beside.map(|(key, value)| (key.clone(), value.clone())));
    options.ingest = settings;
    let mut stack = Stack::recording(options).await.unwrap();
    stack.start_ingest().await.unwrap();
    (stack, Curl { url: format!("http://localhost:{port}"), more: vec![] })
}

async fn create_topic(curl: &Curl, name: &str) -> String {
    let (status, _, clusters) = curl.ask("/v3/clusters", &[], None).await;
    assert_eq!((status, clusters["kind"].as_str()), (200, Some("KafkaClusterList")), "{clusters}");
    let id = clusters["data"][0]["cluster_id"].as_str().unwrap().to_owned();
    let topic = json!({
        "topic_name": name, "partitions_count": 2, "replication_factor": 1,
        "configs": [{"name": "retention.ms", "value": "86400000"}],
    });
    let path = format!("/v3/clusters/{id}/topics");
    let (status, media_type, created) = curl.ask(&path, &[JSON], Some(&topic)).await;
    assert_eq!((status, media_type.as_str()), (201, "application/json"), "{created}");
    assert_eq!(
        (&created["topic_name"], &created["partitions_count"]),
        (&json!(name), &json!(2)),
        "{created}"
    );
    id
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn a_record_posted_by_curl_is_in_influxdb(#[case] generation: Generation) {
    let (mut stack, curl) = stack(generation, json!({})).await;
    create_topic(&curl, TOPIC).await;
    let path = format!("/topics/{TOPIC}");
    let note = "comma, \"quote\" and ü";
    let (status, media_type, answer) =
        curl.ask(&path, &[AVRO, "Accept: application/vnd.kafka.v2+json"], Some(&body(note))).await;
    assert_eq!((status, media_type.as_str()), (200, "application/vnd.kafka.v2+json"), "{answer}");
    let id = answer["value_schema_id"].as_u64().unwrap();
    let partition = answer["offsets"][0]["partition"].as_i64().unwrap();
    let expected = json!({"partition": partition, "offset": 0, "error_code": null, "error": null});
    assert_eq!(answer["offsets"], json!([expected]));
    assert_eq!(answer["key_schema_id"], Value::Null);

    // The id does instead of the text; each record says where it goes, and a null value is a tombstone.
    let mut by_id = body("second");
    let (_, value) = (by_id["value_schema"].take(), by_id["records"][0]["value"].clone());
    let records = json!([{"key": "k", "value": value, "partition": 1}, {"key": "k", "partition": 1}]);
    let by_id = json!({"value_schema_id": id, "key_schema": "\"string\"", "records": records});
    let (status, _, answer) = curl.ask(&path, &[AVRO], Some(&by_id)).await;
    assert_eq!((status, &answer["value_schema_id"]), (200, &json!(id)), "{answer}");
    assert!(answer["key_schema_id"].is_u64());
    for offset in answer["offsets"].as_array().unwrap() {
        assert_eq!((&offset["partition"], &offset["error_code"]), (&json!(1), &Value::Null));
    }

    stack.points_reach(2).await.unwrap();
    let client = InfluxDbClient::new(&stack.influxdb.config()).unwrap();
    let select = format!("SELECT temperature, wind0, wind1, band, note FROM \"{TOPIC}\"");
    let rows = client.query(&select).await.unwrap()[0].values.clone();
    assert_eq!(rows[0][1..], [json!(-3.25), json!(1.5), json!(2.5), json!("r"), json!(note)]);

    let (status, _, topic) = curl.ask(&path, &[], None).await;
    assert_eq!((status, &topic["configs"]["retention.ms"]), (200, &json!("86400000")), "{topic}");
    assert_eq!(topic["partitions"].as_array().unwrap().len(), 2);
    let (_, _, topics) = curl.ask("/topics", &[], None).await;
    assert_eq!(topics, json!([TOPIC]), "only topics that may be written to");
    let metrics = stack.ingest.as_ref().unwrap().metrics().await.unwrap();
    let delivered = [("source", "http"), ("component", "Test")];
    assert_eq!(metrics.sum("efd_ingest_records_delivered_total", &delivered), 3.0);
    let posts = [("route", "/topics/{topic}"), ("status", "200")];
    assert_eq!(metrics.sum("efd_ingest_http_requests_total", &posts), 3.0);
    stack.stop_ingest().await.unwrap();
}

#[tokio::test]
async fn a_record_without_a_sequence_number_is_not_missing_once_it_is_stored() {
    let (stack, curl) = stack(Generation::V1, json!({})).await;
    let topic = "lsst.sal.Test.bare";
    create_topic(&curl, topic).await;
    let fields = json!([{"name": "private_efdStamp", "type": "double"}, {"name": "note", "type": "string"}]);
    let schema = json!({"type": "record", "name": "bare", "namespace": "lsst.sal.Test", "fields": fields});
    let value = json!({"private_efdStamp": efd_tests::now_nanos() as f64 / 1e9, "note": "x"});
    let body = json!({"value_schema": schema.to_string(), "records": [{"value": value}]});
    let (status, _, answer) = curl.ask(&format!("/topics/{topic}"), &[AVRO], Some(&body)).await;
    assert_eq!(status, 200, "{answer}");
    let config = stack.efd_config().unwrap();
    eventually("a repair finds nothing missing", || async {
        let repair = efd(Some(&config), &["repair", "--topic", topic, "--dry-run"], &[]).await?;
        let is_whole = repair.out.contains("1 records read, 0 missing");
        if is_whole { Ok(true) } else { anyhow::bail!("{} {}", repair.out, repair.err) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn json_and_binary_records_are_written_as_they_are() {
    let (stack, curl) = stack(Generation::V1, json!({})).await;
    let topic = "lsst.sal.Test.raw";
    create_topic(&curl, topic).await;
    let json_body = json!({"records": [{"key": {"a": 1}, "value": [1, "x"], "partition": 0}]});
    let binary = json!({"records": [{"value": "AP8="}]});
    let as_json = "Content-Type: application/vnd.kafka.json.v2+json";
    let as_binary = "Content-Type: application/vnd.kafka.binary.v2+json";
    let path = format!("/topics/{topic}");
    let (status, _, answer) = curl.ask(&path, &[as_json], Some(&json_body)).await;
    assert_eq!((status, &answer["value_schema_id"]), (200, &Value::Null), "{answer}");
    let (status, _, answer) = curl.ask(&format!("{path}/partitions/0"), &[as_binary], Some(&binary)).await;
    assert_eq!((status, &answer["offsets"][0]["offset"]), (200, &json!(1)), "{answer}");
    let records = stack.read(topic, 2).await.unwrap();
    assert_eq!((records[0].key(), records[0].payload()), (Some(&b"{\"a\":1}"[..]), Some(&b"[1,\"x\"]"[..])));
    assert_eq!((records[1].key(), records[1].payload()), (None, Some(&[0, 255][..])));
}

#[tokio::test]
async fn errors_have_the_codes_of_the_proxy() {
    let more =
        json!({"http": {"max_body_bytes": "4KiB", "delivery_timeout": "2s", "metadata_refresh": "60s"}});
    let (mut stack, curl) = stack(Generation::V1, more).await;
    let id = create_topic(&curl, TOPIC).await;
    let path = format!("/topics/{TOPIC}");
    let records = json!([{"value": {"private_efdStamp": 1.0}}]);
    let mut unknown_field = body("x");
    unknown_field["records"][0]["value"]["humidity"] = json!(1);
    let mut missing_field = body("x");
    missing_field["records"][0]["value"].as_object_mut().unwrap().remove("band");
    let mut no_partition = body("x");
    no_partition["records"][0]["partition"] = json!(7);
    let bad_schema = json!({"value_schema": "{\"type\": \"recor\"}", "records": records});
    let unknown_id = json!({"value_schema_id": 4711, "records": records});
    let keyed = json!({"value_schema": schema(), "records": [{"key": "k", "value": body("x")["records"][0]["value"]}]});
    let cases = [
        (path.as_str(), vec![AVRO], json!({"records": records}), (422, 42202)),
        (&path, vec![AVRO], keyed, (422, 42201)),
        (&path, vec![AVRO], unknown_field.clone(), (422, 42203)),
        (&path, vec![AVRO], missing_field, (422, 42203)),
        (&path, vec![AVRO], bad_schema, (422, 42205)),
        (&path, vec![AVRO], unknown_id, (408, 40801)),
        (&path, vec![AVRO], json!({"records": []}), (422, 422)),
        (&path, vec![AVRO], no_partition, (404, 40402)),
        (&path, vec![AVRO], body(&"x".repeat(5000)), (413, 413)),
        (&path, vec![], body("x"), (415, 415)),
        ("/topics/lsst.sal.Test.nowhere", vec![AVRO], body("x"), (404, 40401)),
        ("/topics/lsst.sal.ATCamera.vacuum", vec![AVRO], body("x"), (403, 40301)),
        ("/consumers/group", vec![AVRO], body("x"), (404, 404)),
        ("/v3/clusters/other/topics", vec![JSON], json!({"topic_name": "lsst.sal.Test.x"}), (404, 404)),
    ];
    for (path, headers, body, expected) in cases {
        assert_eq!(curl.code(path, &headers, Some(&body)).await, expected, "{path} {body}");
    }
    let (_, _, answer) = curl.ask(&path, &[AVRO], Some(&unknown_field)).await;
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("record 0") && message.contains("field humidity"), "{message}");
    let (_, _, answer) = curl.ask("/topics/lsst.sal.ATCamera.vacuum", &[AVRO], Some(&body("x"))).await;
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("begin with lsst.sal.Test. (setting http.prefixes)"), "{message}");
    let metrics = stack.ingest.as_ref().unwrap().metrics().await.unwrap();
    for (reason, requests) in [("misfit", 3.0), ("forbidden", 2.0), ("schema", 4.0), ("unknown_topic", 2.0)] {
        let labels = [("source", "http"), ("reason", reason)];
        assert_eq!(metrics.sum("efd_ingest_samples_refused_total", &labels), requests, "{reason}");
    }
    let topics = format!("/v3/clusters/{id}/topics");
    let again = json!({"topic_name": TOPIC});
    assert_eq!(curl.code(&topics, &[JSON], Some(&again)).await, (400, 40002));
    let foreign = json!({"topic_name": "lsst.sal.MTM1M3.x"});
    assert_eq!(curl.code(&topics, &[JSON], Some(&foreign)).await, (403, 40301));
    assert_eq!(stack.records_in_kafka().await.unwrap(), 0, "nothing of a bad request is sent");

    // Kafka is gone: each record says that it may be sent again, and so it is.
    curl.ask(&path, &[AVRO], Some(&body("before"))).await;
    stack.kafka.kill();
    let (status, _, answer) = curl.ask(&path, &[AVRO], Some(&body("while"))).await;
    assert_eq!((status, &answer["offsets"][0]["error_code"]), (200, &json!(50003)), "{answer}");
    stack.kafka.start_again().await.unwrap();
    let (_, _, answer) = curl.ask(&path, &[AVRO], Some(&body("after"))).await;
    assert_eq!(answer["offsets"][0]["error_code"], Value::Null, "{answer}");
    assert_eq!(stack.records_in_kafka().await.unwrap(), 2);
}

#[tokio::test]
async fn only_known_tokens_are_let_in_and_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&certificate, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let more = json!({
        "http": {"prefixes": ["lsst.sal."]},
        "tls": {"certificate_file": certificate, "key_file": key},
        "credentials": [{"name": "client", "prefixes": ["lsst.sal.Test."]}],
    });
    let (_stack, curl) = stack(Generation::V1, more).await;
    let more = vec!["--cacert".to_owned(), certificate.to_string_lossy().into_owned()];
    let curl = Curl { url: curl.url.replace("http:", "https:"), more };
    let bearer = format!("Authorization: Bearer {CLIENT_TOKEN}");
    assert_eq!(curl.code("/topics", &[], None).await, (401, 40101));
    assert_eq!(curl.code("/topics", &["Authorization: Bearer wrong"], None).await, (401, 40101));
    let (status, _, topics) = curl.ask("/topics", &[&bearer], None).await;
    assert_eq!((status, topics), (200, json!([])));
    let basic = ["--user".to_owned(), format!("client:{CLIENT_TOKEN}")];
    let with_password =
        Curl { url: curl.url.clone(), more: curl.more.iter().cloned().chain(basic).collect() };
    let (status, _, clusters) = with_password.ask("/v3/clusters", &[], None).await;
    assert_eq!(status, 200);
    let link = clusters["data"][0]["topics"]["related"].as_str().unwrap();
    assert!(link.starts_with(&curl.url), "{link}");
    let foreign = with_password.code("/topics/lsst.sal.ATCamera.vacuum", &[AVRO], Some(&body("x"))).await;
    assert_eq!(foreign, (403, 40301));
}
