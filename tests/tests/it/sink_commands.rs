//! `efd sink`: who owns what, and how the workers fare.

use efd_kafka::{Admin, TopicSpec};
use efd_tests::{Generation, Options, Stack, efd, eventually};
use rstest::rstest;

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn plan_and_status_say_what_is_owned_and_how_it_fares(#[case] generation: Generation) {
    let mut stack = Stack::recording(Options::new(generation)).await.unwrap();
    let records = stack.simulate(300.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    let config = stack.efd_config().unwrap();
    let run = async |arguments: &[&str]| efd(Some(&config), arguments, &[]).await.unwrap();
    let plan = run(&["sink", "plan"]).await;
    assert_eq!(plan.code, Some(0), "{} {}", plan.out, plan.err);
    assert!(plan.out.contains("0 topics that nobody stores"), "{}", plan.out);

    // A component that no worker has, and a camera that publishes beside SAL.
    let specs = ["lsst.sal.MTM1M3.forces", "lsst.ATCamera.vacuum", "lsst.ATCamera.vacuum.dlq"]
        .map(|name| TopicSpec { name: name.to_owned(), partitions: 1, replication: 1, compact: false });
    Admin::new(&stack.kafka.config(), "efd-tests").unwrap().create_topics(&specs).await.unwrap();
    let plan = run(&["sink", "plan", "--problems"]).await;
    assert_eq!(plan.code, Some(1));
    assert!(plan.out.contains("2 topics that nobody stores"), "{}", plan.out);
    for topic in ["lsst.sal.MTM1M3.forces", "lsst.ATCamera.vacuum"] {
        let line = plan.out.lines().find(|line| line.contains(topic)).unwrap();
        assert!(line.contains("nobody"), "{}", plan.out);
    }
    assert!(!plan.out.contains("Test.scalars") && !plan.out.contains(".dlq"), "{}", plan.out);
    let settings = stack.folder().join("sink/settings.yaml");
    let from_file = run(&["sink", "plan", "--problems", "--settings", settings.to_str().unwrap()]).await;
    assert_eq!((from_file.code, from_file.out), (Some(1), plan.out));

    let status = run(&["sink", "status"]).await;
    assert_eq!(status.code, Some(0), "{} {}", status.out, status.err);
    let line = status.out.lines().last().unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells[..4], ["test", "influxdb", "yes", "0"], "{}", status.out);
    assert_eq!((cells[6], cells[7]), (records.to_string().as_str(), "0"), "{}", status.out);
    stack.influxdb.stop();
    stack.start_ingest().await.unwrap();
    eventually("the status tells of the trouble", || async {
        let status = run(&["sink", "status"]).await;
        anyhow::ensure!(status.code == Some(1), "{}", status.out);
        Ok(status.out.contains(" no "))
    })
    .await
    .unwrap();
}
