//! The registry against its own description: schemathesis asks everything that the description allows, and much that it does not.

use efd_tests::{Generation, Options, Stack, python_module};

/// What must hold for every answer.
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

#[tokio::test]
async fn every_answer_of_the_registry_is_one_that_its_description_promises() {
    let mut stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    stack.start_registry().await.unwrap();
    let description = format!("{}/openapi.json", stack.registry_url());
    let arguments = [
        "run",
        &description,
        "--checks",
        CHECKS,
        // The same questions each time, and not for ever.
        "--generation-deterministic",
        "--max-examples",
        "15",
        "--no-shrink",
        "--phases",
        "examples,coverage,fuzzing",
        "--request-timeout",
        "30",
        "--suppress-health-check",
        "all",
        "--warnings",
        "off",
        "--no-color",
    ];
    let seen = python_module("schemathesis.cli", &arguments).await.unwrap();
    println!(
        "{}",
        seen.out.lines().rev().take(15).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    );
    assert_eq!(seen.code, Some(0), "{}\n{}", seen.out, seen.err);
    // Nothing was found because nothing was asked would be no proof.
    assert!(seen.out.contains("generated"), "{}", seen.out);
}
