//! Replicas of one sink worker share its partitions, and go on when one of them dies.

use std::time::{Duration, Instant};

use efd_tests::{Generation, Options, Service, Stack, eventually};
use rstest::rstest;

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn three_replicas_share_the_partitions_and_two_take_over_those_of_a_dead_one(
    #[case] generation: Generation,
) {
    let mut options = Options::new(generation);
    options.sink = serde_json::json!({"session_timeout": "6s"});
    let mut stack = Stack::recording(options).await.unwrap();
    let mut first = stack.sink.take().unwrap();
    let (second, third) = (stack.another_sink().await.unwrap(), stack.another_sink().await.unwrap());
    stack.start_ingest().await.unwrap();
    let all = all_partitions(&[&first, &second, &third]).await;
    assert!(all >= 3.0, "{all}");

    let ingest = stack.ingest.as_ref().unwrap();
    ingest.metric_reaches("efd_ingest_records_delivered_total", 300.0).await.unwrap();
    first.kill();
    let killed = Instant::now();
    eventually("two replicas own all partitions", || async {
        let owned = [assigned(&second).await?, assigned(&third).await?];
        if owned.iter().sum::<f64>() == all { Ok(true) } else { anyhow::bail!("{owned:?} of {all}") }
    })
    .await
    .unwrap();
    // The time-out of 6 s and what the members take to join again; without the setting it would be 45 s.
    assert!(killed.elapsed() < Duration::from_secs(30), "{:?}", killed.elapsed());
    let ingest = stack.ingest.as_ref().unwrap();
    let before = ingest.metrics().await.unwrap().sum("efd_ingest_records_delivered_total", &[]);
    ingest.metric_reaches("efd_ingest_records_delivered_total", before + 300.0).await.unwrap();
    stack.stop_ingest().await.unwrap();
    let records = stack.records_in_kafka().await.unwrap();
    stack.points_reach(records).await.unwrap();
    assert_eq!(stack.dead_letters().await.unwrap(), 0);
}

#[tokio::test]
async fn a_replica_that_comes_and_goes_by_the_new_protocol_of_groups_loses_nothing() {
    let mut options = Options::new(Generation::V1);
    options.sink = serde_json::json!({"group_protocol": "consumer"});
    let mut stack = Stack::recording(options).await.unwrap();
    let first = stack.sink.take().unwrap();
    stack.start_ingest().await.unwrap();
    let mut second = stack.another_sink().await.unwrap();
    let all = all_partitions(&[&first, &second]).await;
    let ingest = stack.ingest.as_ref().unwrap();
    ingest.metric_reaches("efd_ingest_records_delivered_total", 300.0).await.unwrap();
    assert_eq!(second.terminate().await.unwrap(), Some(0));
    eventually("the one that stays owns all partitions", || async {
        let owned = assigned(&first).await?;
        if owned == all { Ok(true) } else { anyhow::bail!("{owned} of {all}") }
    })
    .await
    .unwrap();
    stack.stop_ingest().await.unwrap();
    let records = stack.records_in_kafka().await.unwrap();
    stack.points_reach(records).await.unwrap();
    assert_eq!(stack.dead_letters().await.unwrap(), 0);
}

#[tokio::test]
async fn a_static_member_that_restarts_keeps_its_partitions() {
    let mut options = Options::new(Generation::V1);
    options.sink = serde_json::json!({"group_instance_id": "replica-0", "session_timeout": "45s"});
    let mut stack = Stack::recording(options).await.unwrap();
    stack.start_ingest().await.unwrap();
    let owned = all_partitions(&[stack.sink.as_ref().unwrap()]).await;
    assert_eq!(stack.sink.take().unwrap().terminate().await.unwrap(), Some(0));
    stack.start_sink().await.unwrap();
    let sink = stack.sink.as_ref().unwrap();
    eventually("the same partitions are owned again", || async { Ok(assigned(sink).await? == owned) })
        .await
        .unwrap();
    stack.stop_ingest().await.unwrap();
    let records = stack.records_in_kafka().await.unwrap();
    stack.points_reach(records).await.unwrap();
}

async fn assigned(replica: &Service) -> anyhow::Result<f64> {
    Ok(replica.metrics().await?.sum("efd_sink_assigned_partitions", &[]))
}

/// Waits until each replica owns a part, and the sum stays the same from one look to the next; gives the sum.
async fn all_partitions(replicas: &[&Service]) -> f64 {
    let last = std::cell::Cell::new(0.0);
    eventually("each replica owns some partitions", || async {
        let mut owned = Vec::new();
        for replica in replicas {
            owned.push(assigned(replica).await?);
        }
        let sum = owned.iter().sum::<f64>();
        let is_shared = owned.iter().all(|owned| *owned > 0.0) && last.replace(sum) == sum;
        if is_shared { Ok(true) } else { anyhow::bail!("{owned:?}") }
    })
    .await
    .unwrap();
    last.get()
}
