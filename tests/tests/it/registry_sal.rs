//! What the registry says of schemas that InfluxDB or SAL cannot take.

use bytes::Bytes;
use efd_service::http::Client;
use efd_tests::{DEADLINE, Generation, Options, Registry, Stack, eventually};
use serde_json::{Value, json};

/// A port where nobody listens, so that a proxy that would ask Kafka fails.
const NOWHERE: &str = "127.0.0.1:1";

async fn register(url: &str, subject: &str, fields: &Value) -> http::Response<Bytes> {
    let schema = json!({"type": "record", "name": "y", "fields": fields}).to_string();
    let request = http::Request::builder()
        .method("POST")
        .uri(format!("{url}/subjects/{subject}/versions"))
        .header("content-type", "application/vnd.schemaregistry.v1+json")
        .body(json!({"schema": schema}).to_string().into())
        .unwrap();
    Client::new(None).unwrap().send(request, DEADLINE).await.unwrap()
}

/// The private fields of SAL and `angle`.
fn fields(angle: &str) -> Value {
    let private = efd_sal::private_fields(false).into_iter();
    let private = private.map(|field| json!({"name": field.name, "type": field.ty.avro_name()}));
    private.chain([json!({"name": "angle", "type": angle})]).collect()
}

fn warning(answer: &http::Response<Bytes>) -> &str {
    assert_eq!(answer.status(), 200);
    answer.headers()["warning"].to_str().unwrap()
}

async fn not_storable(registry: &Registry, outcome: &str) -> f64 {
    let metrics = registry.service.metrics().await.unwrap();
    metrics.sum("efd_registry_not_storable_total", &[("outcome", outcome)])
}

#[tokio::test]
async fn a_sal_schema_that_cannot_be_stored_is_registered_with_a_warning_that_names_the_field() {
    let stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    let mut writer = stack.launch_another_registry("writer", &json!({})).unwrap();
    writer.service.ready().await.unwrap();
    eventually("the first replica writes", || writer.is_writer()).await.unwrap();
    let url = writer.url();
    let good = register(&url, "lsst.sal.X.y-value", &fields("float")).await;
    assert_eq!((good.status().as_u16(), good.headers().get("warning")), (200, None));
    let bad = register(&url, "lsst.sal.X.y-value", &fields("int")).await;
    assert!(warning(&bad).starts_with("299 - \"field angle: InfluxDB has angle as float"), "{bad:?}");
    let again = register(&url, "lsst.sal.X.y-value", &fields("int")).await;
    assert_eq!((again.body(), again.headers().get("warning")), (bad.body(), None), "it is known");
    let without = register(&url, "lsst.sal.X.z-value", &json!([])).await;
    assert!(warning(&without).contains("private_efdStamp"));
    let elsewhere = register(&url, "orders-value", &json!([])).await;
    assert_eq!((elsewhere.status().as_u16(), elsewhere.headers().get("warning")), (200, None));

    // Through another replica, and through a proxy in front, the warning comes as it came from the writer, which counts it.
    let mut other = stack.launch_another_registry("other", &json!({})).unwrap();
    other.service.ready().await.unwrap();
    let forwarded = register(&other.url(), "lsst.sal.X.y-value", &fields("string")).await;
    assert!(warning(&forwarded).contains("field angle: InfluxDB has angle as"), "{forwarded:?}");
    let settings = json!({"upstream": {"url": url}, "kafka": {"bootstrap_servers": NOWHERE}});
    let mut proxy = stack.launch_another_registry("proxy", &settings).unwrap();
    proxy.service.ready().await.unwrap();
    let proxied = register(&proxy.url(), "lsst.sal.X.y-value", &fields("boolean")).await;
    assert!(warning(&proxied).contains("field angle: InfluxDB has angle as"), "{proxied:?}");
    let counted = not_storable(&writer, "warned").await + not_storable(&other, "warned").await;
    assert_eq!((counted, not_storable(&writer, "refused").await), (4.0, 0.0));
}

#[tokio::test]
async fn with_the_policy_refuse_it_is_not_registered_and_the_answer_names_the_field() {
    let stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    let settings = json!({"sal": {"lsst.": "warn", "lsst.sal.": "refuse", "lsst.sal.Old.": "off"}});
    let mut registry = stack.launch_another_registry("registry", &settings).unwrap();
    registry.service.ready().await.unwrap();
    let url = registry.url();
    assert_eq!(register(&url, "lsst.sal.X.y-value", &fields("float")).await.status(), 200);
    let refused = register(&url, "lsst.sal.X.y-value", &fields("int")).await;
    assert_eq!(refused.status(), 422);
    let body: Value = serde_json::from_slice(refused.body()).unwrap();
    assert_eq!(body["error_code"], 42201);
    let message = body["message"].as_str().unwrap();
    assert!(message.contains("field angle: InfluxDB has angle as float"), "{message}");
    let versions = format!("{url}/subjects/lsst.sal.X.y-value/versions");
    let versions = http::Request::builder().uri(versions).body(Bytes::new()).unwrap();
    let versions = Client::new(None).unwrap().send(versions, DEADLINE).await.unwrap();
    assert_eq!(versions.body(), "[1]", "what was refused is not there");
    // The longest beginning that fits says what is done.
    let off = register(&url, "lsst.sal.Old.y-value", &json!([])).await;
    assert_eq!((off.status().as_u16(), off.headers().get("warning")), (200, None));
    assert!(warning(&register(&url, "lsst.other-value", &json!([])).await).contains("private_efdStamp"));
    assert_eq!(not_storable(&registry, "refused").await, 1.0);
    assert_eq!(not_storable(&registry, "warned").await, 1.0);
}
