//! What the registry says of schemas that InfluxDB or SAL cannot take.

use efd_service::http::Client;
use efd_tests::{DEADLINE, Generation, Options, Stack};
use serde_json::{Value, json};

async fn register(stack: &Stack, subject: &str, fields: &Value) -> http::Response<bytes::Bytes> {
    let schema = json!({"type": "record", "name": "y", "fields": fields}).to_string();
    let request = http::Request::builder()
        .method("POST")
        .uri(format!("{}/subjects/{subject}/versions", stack.registry_url()))
        .header("content-type", "application/vnd.schemaregistry.v1+json")
        .body(json!({"schema": schema}).to_string().into())
        .unwrap();
    Client::new(None).unwrap().send(request, DEADLINE).await.unwrap()
}

#[tokio::test]
async fn a_sal_schema_that_cannot_be_stored_is_registered_with_a_warning_that_names_the_field() {
    let mut stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    stack.start_registry().await.unwrap();
    let private = efd_sal::private_fields(false).into_iter();
    let private: Vec<Value> =
        private.map(|field| json!({"name": field.name, "type": field.ty.avro_name()})).collect();
    let with = |ty: &str| {
        let mut fields = private.clone();
        fields.push(json!({"name": "angle", "type": ty}));
        Value::from(fields)
    };
    let good = register(&stack, "lsst.sal.X.y-value", &with("float")).await;
    assert_eq!((good.status().as_u16(), good.headers().get("warning")), (200, None));
    let bad = register(&stack, "lsst.sal.X.y-value", &with("int")).await;
    assert_eq!(bad.status(), 200);
    let warning = bad.headers()["warning"].to_str().unwrap();
    assert!(warning.starts_with("299 - \"field angle: InfluxDB has angle as float"), "{warning}");
    let without = register(&stack, "lsst.sal.X.z-value", &json!([])).await;
    assert!(without.headers()["warning"].to_str().unwrap().contains("private_efdStamp"));
    let elsewhere = register(&stack, "orders-value", &json!([])).await;
    assert_eq!((elsewhere.status().as_u16(), elsewhere.headers().get("warning")), (200, None));
}
