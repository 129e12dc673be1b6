//! `efd registry` against real registries.

use std::path::Path;

use efd_tests::{Generation, Options, Output, Stack, efd};
use serde_json::{Value, json};

const SUBJECT: &str = "lsst.sal.X.y-value";

fn schema(fields: &Value) -> String {
    json!({"type": "record", "name": "y", "namespace": "lsst.sal.X", "fields": fields, "description": "Forces"})
        .to_string()
}

fn first() -> String {
    schema(
        &json!([{"name": "a", "type": "int", "default": 0, "description": "é", "units": "m"}, {"name": "b", "type": "string", "default": ""}]),
    )
}

fn second() -> String {
    schema(
        &json!([{"name": "a", "type": "long", "default": 0, "description": "é", "units": "mm"}, {"name": "c", "type": {"type": "array", "items": "double"}, "default": [0.0, 0.0]}]),
    )
}

async fn stack() -> Stack {
    let mut stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    stack.start_registry().await.unwrap();
    stack
}

async fn run(stack: &Stack, arguments: &[&str]) -> Output {
    let url = stack.registry_url();
    let mut all = vec!["registry"];
    all.extend_from_slice(arguments);
    all.extend(["--url", &url]);
    efd(None, &all, &[]).await.unwrap()
}

async fn good(stack: &Stack, arguments: &[&str]) -> String {
    let output = run(stack, arguments).await;
    assert_eq!(output.code, Some(0), "{arguments:?}: {}{}", output.out, output.err);
    output.out
}

/// Two versions of one subject, one of another that has the first schema too, and one that is deleted softly.
async fn fill(stack: &Stack) {
    let client = efd_schema::RegistryClient::new(&efd_schema::RegistryConfig {
        url: Some(stack.registry_url()),
        ..efd_schema::RegistryConfig::default()
    })
    .unwrap();
    client.register(SUBJECT, &first()).await.unwrap();
    client.register("gone-value", "\"string\"").await.unwrap();
    client.register(SUBJECT, &second()).await.unwrap();
    client.register("lsst.sal.X.other-value", &first()).await.unwrap();
    good(stack, &["delete", "gone-value"]).await;
}

#[tokio::test]
async fn subjects_versions_and_differences_are_shown() {
    let stack = stack().await;
    fill(&stack).await;
    let table = good(&stack, &["subjects", "lsst.sal."]).await;
    let rows: Vec<Vec<&str>> = table.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows, [vec!["lsst.sal.X.other-value", "1"], vec![SUBJECT, "1-2"]], "{table}");
    let all: Value =
        serde_json::from_str(&good(&stack, &["subjects", "--deleted", "--format", "json"]).await).unwrap();
    assert_eq!(all[0], json!({"subject": "gone-value", "versions": [], "deleted": [1]}));

    let shown = good(&stack, &["show", SUBJECT]).await;
    for words in ["version 2, schema id 3, compatibility NONE", "lsst.sal.X.y: Forces", "double[2]", "mm"] {
        assert!(shown.contains(words), "{words} is not in {shown}");
    }
    let text = good(&stack, &["show", SUBJECT, "1", "--schema"]).await;
    let (text, expected): (Value, Value) =
        (serde_json::from_str(&text).unwrap(), serde_json::from_str(&first()).unwrap());
    assert_eq!(text, expected);

    let changes: Value =
        serde_json::from_str(&good(&stack, &["diff", SUBJECT, "--format", "json"]).await).unwrap();
    let changes: Vec<[&str; 2]> = changes
        .as_array()
        .unwrap()
        .iter()
        .map(|change| [change["field"].as_str().unwrap(), change["what"].as_str().unwrap()])
        .collect();
    assert_eq!(changes, [["a", "type"], ["a", "unit"], ["c", "added"], ["b", "removed"]]);
    assert!(good(&stack, &["diff", SUBJECT, "1", "2"]).await.contains("version 1 to version 2"));
    let unknown = run(&stack, &["show", "nobody"]).await;
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("nobody has no version latest"), "{}", unknown.err);
}

#[tokio::test]
async fn a_schema_that_cannot_follow_is_told_why_and_gives_exit_code_1() {
    let stack = stack().await;
    fill(&stack).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, schema: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, schema).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // `c` of version 2 has a default, `a` of version 1 does not take a long: so only the level decides.
    let same = file("same.avsc", &second());
    assert_eq!(good(&stack, &["compat", SUBJECT, &same]).await, "compatible\n");
    let client = efd_service::http::Client::new(None).unwrap();
    let request = http::Request::builder()
        .method("PUT")
        .uri(format!("{}/config/{SUBJECT}", stack.registry_url()))
        .header("content-type", "application/json")
        .body(json!({"compatibility": "BACKWARD"}).to_string().into())
        .unwrap();
    assert_eq!(client.send(request, efd_tests::DEADLINE).await.unwrap().status(), 200);
    let other = file("other.avsc", &schema(&json!([{"name": "d", "type": "int"}])));
    let output = run(&stack, &["compat", SUBJECT, &other]).await;
    assert_eq!(output.code, Some(1), "{}", output.err);
    assert!(
        output.out.contains("READER_FIELD_MISSING_DEFAULT_VALUE") && output.out.contains("'d'"),
        "{}",
        output.out
    );
}

#[tokio::test]
async fn nothing_is_deleted_for_good_without_a_yes_nor_by_a_dry_run() {
    let stack = stack().await;
    fill(&stack).await;
    let refused = run(&stack, &["delete", SUBJECT, "--permanent"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    let dry = good(&stack, &["delete", SUBJECT, "--permanent", "--dry-run"]).await;
    assert!(dry.contains("1, 2") && dry.contains("nothing was deleted"), "{dry}");
    assert!(good(&stack, &["subjects"]).await.contains("1-2"));
    good(&stack, &["delete", SUBJECT, "--version", "1"]).await;
    good(&stack, &["delete", SUBJECT, "--permanent", "--yes"]).await;
    assert!(!good(&stack, &["subjects", "--deleted"]).await.contains(SUBJECT));
    let gone = run(&stack, &["delete", SUBJECT]).await;
    assert!(gone.code == Some(1) && gone.err.contains("deleted already"), "{}", gone.err);
}

#[tokio::test]
async fn what_is_exported_is_imported_with_its_ids_and_once() {
    let source = stack().await;
    fill(&source).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (exported, again) = (path("a.jsonl"), path("b.jsonl"));
    assert_eq!(good(&source, &["export", &exported]).await, "4 versions of 3 subjects\n");

    let target = stack().await;
    let dry = good(&target, &["import", &exported, "--dry-run"]).await;
    assert_eq!(dry, "4 versions would be registered, 0 are there already, 0 problems\n");
    assert!(!good(&target, &["subjects", "--deleted"]).await.contains(SUBJECT), "a dry run changes nothing");
    let done = good(&target, &["import", &exported]).await;
    assert_eq!(done, "4 versions registered, 0 are there already, 0 problems\n");
    good(&target, &["export", &again]).await;
    assert_eq!(lines(&exported), lines(&again));
    let repeated = good(&target, &["import", &exported]).await;
    assert_eq!(repeated, "0 versions registered, 4 are there already, 0 problems\n");
    // Modes are as before: who registers now gets an id of the registry's choice, behind the imported ones.
    fill(&target).await;

    let conflict = path("c.jsonl");
    let line = json!({"subject": SUBJECT, "version": 1, "id": 9, "schema": "\"int\""});
    std::fs::write(&conflict, format!("{line}\n")).unwrap();
    let output = run(&target, &["import", &conflict]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.err.contains("this version is another schema there, with id 1"), "{}", output.err);
}

fn lines(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(Path::new(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
