//! `efd init` on real Kafka and the real registry: what it makes, what it says differs, who owns what, and how fast.

use std::time::Instant;

use efd_kafka::{Admin, TopicSpec};
use efd_schema::{RegistryClient, RegistryConfig};
use efd_tests::{Generation, Options, Output, Stack, efd, eventually, interfaces, release, write_release};
use http::Method;
use serde_json::json;

/// All topics of a release of the real size, on one broker.
const WHOLE_SET_SECONDS: u64 = 60;

async fn stack() -> Stack {
    let mut stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    stack.start_registry().await.unwrap();
    stack
}

fn row<'a>(output: &'a Output, name: &str) -> Vec<&'a str> {
    let line = output.out.lines().find(|line| line.trim_start().starts_with(name));
    line.unwrap_or_else(|| panic!("no {name}: {}{}", output.out, output.err)).split_whitespace().collect()
}

/// The stack's settings of the command, with one worker for the component `Test` and four partitions for telemetry.
fn settings(stack: &Stack) -> std::path::PathBuf {
    let path = stack.efd_config().unwrap();
    let mut settings: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    settings["sinks"] = json!({"main": {"admin": "http://127.0.0.1:1", "components": ["Test"]}});
    settings["partitions"] = json!(4);
    std::fs::write(&path, settings.to_string()).unwrap();
    path
}

#[tokio::test]
async fn a_dry_run_makes_nothing_and_then_everything_is_made_once() {
    let stack = stack().await;
    let config = settings(&stack);
    let run = async |arguments: &[&str]| efd(Some(&config), arguments, &[]).await.unwrap();
    let admin = Admin::new(&stack.kafka.config(), "efd-tests").unwrap();

    let dry = run(&["init", "Test", "--dry-run"]).await;
    assert_eq!(dry.code, Some(0), "{}", dry.err);
    assert_eq!(row(&dry, "Test"), ["Test", "24", "24", "0", "0", "24", "0", "main"]);
    assert!(dry.out.ends_with("nothing was made: --dry-run\n"), "{}", dry.out);
    assert!(admin.topics().await.unwrap().iter().all(|topic| !topic.name.starts_with("lsst.")));

    let first = run(&["init", "Test"]).await;
    assert_eq!(row(&first, "Test"), ["Test", "24", "24", "0", "0", "24", "0", "main"], "{}", first.err);
    let topics = admin.topics().await.unwrap();
    let partitions = |name: &str| topics.iter().find(|topic| topic.name == name).unwrap().partitions.len();
    assert_eq!((partitions("lsst.sal.Test.scalars"), partitions("lsst.sal.Test.logevent_scalars")), (4, 1));

    for arguments in [&["init", "Test", "--dry-run"][..], &["init", "Test"]] {
        let again = run(arguments).await;
        assert_eq!(row(&again, "Test"), ["Test", "24", "0", "24", "0", "0", "24", "main"], "{}", again.err);
    }
    let by_topic = run(&["init", "Test", "--topics", "--dry-run"]).await;
    assert_eq!(row(&by_topic, "lsst.sal.Test.scalars")[1..3], ["existed", "id"]);

    let other = run(&["init", "ATCamera", "--dry-run"]).await;
    assert_eq!(row(&other, "ATCamera").last(), Some(&"none"));
    assert!(other.out.contains("\nno owner: lsst.sal.ATCamera."), "{}", other.out);
}

#[tokio::test]
async fn what_differs_is_said_and_left_as_it_is() {
    let stack = stack().await;
    let config = settings(&stack);
    let admin = Admin::new(&stack.kafka.config(), "efd-tests").unwrap();
    let spec = |name: &str, partitions, compact| TopicSpec {
        name: format!("lsst.sal.Test.{name}"),
        partitions,
        replication: 1,
        compact,
    };
    let wrong = [spec("scalars", 1, true), spec("logevent_scalars", 2, false), spec("arrays", 8, false)];
    admin.create_topics(&wrong).await.unwrap();
    // A broker knows of them a little later than the controller that made them.
    eventually("the topics are there", || async { Ok(stack.topics(|_| true).await?.len() == wrong.len()) })
        .await
        .unwrap();
    for _ in 0..2 {
        let answer = efd(Some(&config), &["init", "Test"], &[]).await.unwrap();
        assert_eq!(answer.code, Some(0), "{}", answer.err);
        assert_eq!(row(&answer, "Test")[4], "2", "topics that differ");
        let mut differences: Vec<&str> =
            answer.out.lines().filter_map(|line| line.strip_prefix("differs: lsst.sal.Test.")).collect();
        differences.sort_unstable();
        let starts = [
            "logevent_scalars: cleanup.policy is delete, wanted compact ",
            "logevent_scalars: partitions 2, wanted 1 to keep the order",
            "scalars: cleanup.policy is compact, which loses records",
            "scalars: partitions 1, wanted 4: ",
        ];
        assert_eq!(differences.len(), starts.len(), "{}", answer.out);
        assert!(
            differences.iter().zip(starts).all(|(line, start)| line.starts_with(start)),
            "{differences:#?}"
        );
    }
    let topics: Vec<String> = wrong.iter().map(|spec| spec.name.clone()).collect();
    let policies = admin.topic_settings(&topics, "cleanup.policy").await.unwrap();
    assert_eq!(policies.into_values().collect::<Vec<_>>(), ["delete", "delete", "compact"]);
}

#[tokio::test]
async fn a_schema_that_the_registry_refuses_keeps_no_other_from_being_registered() {
    let stack = stack().await;
    let config = settings(&stack);
    let registry = RegistryConfig { url: Some(stack.registry_url()), ..RegistryConfig::default() };
    let registry = RegistryClient::new(&registry).unwrap();
    let field = json!({"name": "salIndex", "type": "string"});
    let other = json!({"type": "record", "name": "scalars", "namespace": "lsst.sal.Test", "fields": [field]});
    let subject = "lsst.sal.Test.scalars-value";
    registry.register(subject, &other.to_string()).await.unwrap();
    let level = json!({"compatibility": "FULL"});
    let path = format!("/config/{subject}");
    let _: serde_json::Value = registry.call(Method::PUT, &path, Some(&level)).await.unwrap();

    let answer = efd(Some(&config), &["init", "Test"], &[]).await.unwrap();
    assert_eq!(answer.code, Some(1), "{}", answer.err);
    assert_eq!(row(&answer, "Test"), ["Test", "24", "24", "0", "0", "23", "0", "main"]);
    let refused: Vec<&str> = answer.out.lines().filter(|line| line.starts_with("refused: ")).collect();
    let is_the_one =
        refused.iter().all(|line| line.contains("lsst.sal.Test.scalars: the registry does not take"));
    assert!(refused.len() == 1 && is_the_one, "{refused:#?}");
    assert_eq!(registry.subjects().await.unwrap().len(), 24);
}

#[tokio::test]
async fn a_whole_release_is_initialised_in_time_and_again_without_a_change() {
    let stack = stack().await;
    let config = stack.efd_config().unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_release(folder.path(), &interfaces().join("SALGenerics.xml")).unwrap();
    let folder = folder.path().to_string_lossy().into_owned();
    let arguments = ["init", "--all", "--interfaces", &folder];

    let start = Instant::now();
    let first = efd(Some(&config), &arguments, &[]).await.unwrap();
    let took = start.elapsed();
    eprintln!("{} topics initialised in {:.1} s", release::TOPICS, took.as_secs_f64());
    assert_eq!(row(&first, "all"), ["all", "3188", "3188", "0", "0", "3188", "0"], "{}", first.err);
    assert!(took.as_secs() < WHOLE_SET_SECONDS, "{took:?}");

    let start = Instant::now();
    let second = efd(Some(&config), &arguments, &[]).await.unwrap();
    eprintln!("again in {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(row(&second, "all"), ["all", "3188", "0", "3188", "0", "0", "3188"], "{}", second.err);
}
