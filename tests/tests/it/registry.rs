//! The registry as its clients see it, and what it keeps over a restart.

use bytes::Bytes;
use efd_schema::{RegistryClient, RegistryConfig, RegistryErrorKind};
use efd_service::http::Client;
use efd_tests::{DEADLINE, Generation, Options, Stack};
use serde_json::{Value, json};

const SCHEMA: &str = r#"{"type": "record", "name": "y", "namespace": "lsst.sal.X", "fields": [{"name": "a", "type": "int", "default": 0, "description": "é", "units": "m"}], "description": "d"}"#;
const SUBJECT: &str = "lsst.sal.X.y-value";

async fn stack() -> Stack {
    let mut stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    stack.start_registry().await.unwrap();
    stack
}

fn client(stack: &Stack) -> RegistryClient {
    RegistryClient::new(&RegistryConfig { url: Some(stack.registry_url()), ..RegistryConfig::default() })
        .unwrap()
}

async fn call(stack: &Stack, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("{}{path}", stack.registry_url()))
        .header("content-type", "application/vnd.schemaregistry.v1+json")
        .body(body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())))
        .unwrap();
    let answer = Client::new(None).unwrap().send(request, DEADLINE).await.unwrap();
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or(Value::Null))
}

#[tokio::test]
async fn schemas_survive_a_restart_with_their_ids() {
    let mut stack = stack().await;
    let id = client(&stack).register(SUBJECT, SCHEMA).await.unwrap();
    let other =
        client(&stack).register("lsst.sal.X.z-value", &SCHEMA.replace("\"y\"", "\"z\"")).await.unwrap();
    assert_ne!(id, other);
    assert_eq!(client(&stack).register(SUBJECT, SCHEMA).await.unwrap(), id, "the same schema keeps its id");
    assert_eq!(
        client(&stack).register("elsewhere-value", SCHEMA).await.unwrap(),
        id,
        "in another subject too"
    );

    let registry = stack.registry.as_mut().unwrap();
    registry.kill();
    registry.start_again().unwrap();
    registry.ready().await.unwrap();
    let client = client(&stack);
    let kept: Value = serde_json::from_str(&client.schema_by_id(id).await.unwrap()).unwrap();
    assert_eq!(kept, serde_json::from_str::<Value>(SCHEMA).unwrap(), "unknown attributes are kept");
    assert_eq!(client.register(SUBJECT, SCHEMA).await.unwrap(), id);
    let latest = client.latest(SUBJECT).await.unwrap();
    assert_eq!((latest.id, latest.version), (id, 1));
    let third = client.register(SUBJECT, &SCHEMA.replace("\"int\"", "\"long\"")).await.unwrap();
    assert!(third > other, "a new id is larger than all before");
    assert_eq!(client.latest(SUBJECT).await.unwrap().version, 2);
    let mut subjects = client.subjects().await.unwrap();
    subjects.sort();
    assert_eq!(subjects, ["elsewhere-value", SUBJECT, "lsst.sal.X.z-value"]);
}

#[tokio::test]
async fn errors_are_those_that_clients_know() {
    let stack = stack().await;
    let client = client(&stack);
    assert_eq!(client.schema_by_id(77).await.unwrap_err().kind(), RegistryErrorKind::NotFound);
    assert_eq!(client.latest("nobody").await.unwrap_err().kind(), RegistryErrorKind::NotFound);
    assert_eq!(
        client.register(SUBJECT, "{\"type\": \"recor\"}").await.unwrap_err().kind(),
        RegistryErrorKind::Refused
    );

    let expect = |answer: (u16, Value), status: u16, code: u64| {
        assert_eq!((answer.0, answer.1["error_code"].as_u64()), (status, Some(code)), "{}", answer.1);
        assert!(answer.1["message"].is_string());
    };
    expect(call(&stack, "GET", "/schemas/ids/77", None).await, 404, 40403);
    expect(call(&stack, "GET", "/subjects/nobody/versions", None).await, 404, 40401);
    client.register(SUBJECT, SCHEMA).await.unwrap();
    expect(call(&stack, "GET", &format!("/subjects/{SUBJECT}/versions/9"), None).await, 404, 40402);
    expect(call(&stack, "GET", &format!("/subjects/{SUBJECT}/versions/x"), None).await, 422, 42202);
    expect(call(&stack, "PUT", "/config", Some(json!({"compatibility": "SOMETIMES"}))).await, 422, 42203);
}

#[tokio::test]
async fn compatibility_is_kept_and_enforced_when_it_is_set() {
    let mut stack = stack().await;
    assert_eq!(call(&stack, "GET", "/config", None).await, (200, json!({"compatibilityLevel": "NONE"})));
    let client_before = client(&stack);
    client_before.register(SUBJECT, SCHEMA).await.unwrap();
    let path = format!("/config/{SUBJECT}");
    let set = call(&stack, "PUT", &path, Some(json!({"compatibility": "BACKWARD"}))).await;
    assert_eq!(set, (200, json!({"compatibility": "BACKWARD"})));
    let registry = stack.registry.as_mut().unwrap();
    assert_eq!(registry.terminate().await.unwrap(), Some(0));
    registry.start_again().unwrap();
    registry.ready().await.unwrap();
    let incompatible = SCHEMA.replace("\"int\"", "\"string\"").replace("0,", "\"\",");
    let body = json!({"schema": incompatible, "unknown": {"clients": "send more"}});
    let (status, answer) =
        call(&stack, "POST", &format!("/subjects/{SUBJECT}/versions?normalize=False"), Some(body)).await;
    assert_eq!(status, 409, "{answer}");
    let widened = SCHEMA.replace("\"int\"", "\"long\"");
    client(&stack).register(SUBJECT, &widened).await.unwrap();
    let found = call(
        &stack,
        "POST",
        &format!("/subjects/{SUBJECT}?normalize=false&deleted=False"),
        Some(json!({"schema": SCHEMA})),
    )
    .await;
    assert_eq!((found.0, found.1["version"].as_u64()), (200, Some(1)), "{}", found.1);
    assert_eq!(
        call(&stack, "GET", &format!("//subjects/{SUBJECT}/versions/"), None).await,
        (200, json!([1, 2]))
    );
}

#[tokio::test]
async fn a_reference_to_the_latest_version_gets_its_number_and_tags_make_a_further_version() {
    let stack = stack().await;
    let registered = client(&stack);
    registered.register(SUBJECT, SCHEMA).await.unwrap();
    registered.register(SUBJECT, &SCHEMA.replace("\"int\"", "\"long\"")).await.unwrap();
    let user = json!({"type": "record", "name": "user", "fields": [{"name": "y", "type": "lsst.sal.X.y"}]});
    let reference = json!([{"name": "lsst.sal.X.y", "subject": SUBJECT, "version": -1}]);
    let user = json!({"schema": user.to_string(), "references": reference});
    let (status, first) = call(&stack, "POST", "/subjects/user/versions", Some(user.clone())).await;
    assert_eq!(status, 200, "{first}");
    let (_, kept) = call(&stack, "GET", "/subjects/user/versions/1", None).await;
    assert_eq!(kept["references"][0]["version"], 2, "{kept}");
    assert_eq!(call(&stack, "POST", "/subjects/user/versions", Some(user.clone())).await, (200, first));

    let tags = |path: &str| json!({"tagsToAdd": [{"schemaEntity": {"entityPath": path, "entityType": "sr_field"}, "tags": ["PII"]}]});
    let path = |subject: &str, version: &str| format!("/subjects/{subject}/versions/{version}/tags");
    let good = tags("lsst.sal.X.y.a");
    let (status, tagged) = call(&stack, "POST", &path(SUBJECT, "latest"), Some(good.clone())).await;
    assert_eq!((status, &tagged["version"]), (200, &json!(3)), "{tagged}");
    let (_, kept) = call(&stack, "GET", &format!("/subjects/{SUBJECT}/versions/latest"), None).await;
    let schema: Value = serde_json::from_str(kept["schema"].as_str().unwrap()).unwrap();
    assert_eq!(schema["fields"][0]["confluent:tags"], json!(["PII"]), "{kept}");
    assert_eq!(kept["metadata"]["properties"]["confluent:version"], "3", "{kept}");
    for (path, body, expected) in [
        (path("nobody", "1"), &good, (404, 40401)),
        (path(SUBJECT, "9"), &good, (404, 40402)),
        (path(SUBJECT, "x"), &good, (422, 42202)),
        (path(SUBJECT, "1"), &tags("does.not.exist"), (422, 42201)),
    ] {
        let (status, answer) = call(&stack, "POST", &path, Some(body.clone())).await;
        assert_eq!((status, answer["error_code"].as_u64()), (expected.0, Some(expected.1)), "{answer}");
    }
    // The next one who means the latest means another one now.
    let (_, second) = call(&stack, "POST", "/subjects/user/versions", Some(user)).await;
    assert_eq!(second["version"], 2, "{second}");
}

#[tokio::test]
async fn concurrent_registrations_never_share_an_id() {
    let stack = stack().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let client = client(&stack);
        tasks.spawn(async move {
            let schema = SCHEMA.replace("\"y\"", &format!("\"y{number}\""));
            client.register(&format!("lsst.sal.X.y{number}-value"), &schema).await.unwrap()
        });
    }
    let mut ids = tasks.join_all().await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 200);
    // The log is Confluent's: one partition, compacted, JSON keys.
    let log = stack.read("_schemas", 1).await.unwrap();
    let key = rdkafka::Message::key(log.first().unwrap()).unwrap();
    let key: Value = serde_json::from_slice(key).unwrap();
    assert!(key["keytype"].is_string(), "{key}");
}
