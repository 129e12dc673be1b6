//! The clients of a schema registry that people use, unchanged, against ours. Each registers, evolves, looks up and deletes; what they
//! check stands in their scripts.

use efd_tests::{Generation, Options, Output, Stack, node, python};
use serde_json::Value;

async fn stack() -> Stack {
    let mut stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    stack.start_registry().await.unwrap();
    stack
}

/// A client that found all as it should be says which ids it was given.
fn ids(output: &Output) -> Vec<u64> {
    assert_eq!(output.code, Some(0), "{}\n{}", output.out, output.err);
    let seen: Value = serde_json::from_str(&output.out).unwrap();
    seen["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect()
}

#[tokio::test]
async fn confluent_kafka_registers_with_and_without_its_serialiser() {
    let stack = stack().await;
    let seen = python("registry_confluent.py", &["--registry", &stack.registry_url()]).await.unwrap();
    assert_eq!(ids(&seen), [1, 2]);
}

#[tokio::test]
async fn one_registry_serves_kafkit_and_python_schema_registry_client_and_both_clients_of_node() {
    let stack = stack().await;
    let url = stack.registry_url();
    let kafkit = ids(&python("registry_kafkit.py", &["--registry", &url]).await.unwrap());
    let python = ids(&python("registry_python.py", &["--registry", &url]).await.unwrap());
    let kafkajs = ids(&node("kafkajs.js", &[&url]).await.unwrap());
    let confluent = ids(&node("confluent.js", &[&url]).await.unwrap());
    assert_eq!(kafkit.len(), 2);
    // The schemas are the same for all of them, so is what they mean: a text that was registered before keeps its id.
    for (client, ids) in [("python", python), ("kafkajs", kafkajs), ("confluent", confluent)] {
        assert_eq!(ids.len(), 2, "{client}: {ids:?}");
    }
}
