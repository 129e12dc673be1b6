//! Install, look at every part from outside, get data out; and uninstall.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use efd::influxdb::InfluxDbClient;
use serde_json::Value;

use crate::audit::audit;
use crate::cluster::{COMPONENTS, Cluster, RELEASE};
use crate::outside::{ControlSystem, Outside};
use crate::steps::Steps;
use crate::tools::{run as program, until};

/// The topic that the control system sends often.
const TOPIC: &str = "lsst.sal.Test.scalars";
/// Records that it sends.
const RECORDS: f64 = 2_000.0;

/// From nothing to data in hand.
pub async fn run(cluster: &Cluster, steps: &mut Steps) -> anyhow::Result<()> {
    steps.must("helm install, all pods ready", installed(cluster)).await?;
    steps.must("helm test", tested()).await?;
    steps.must("efd check from outside", checked(cluster)).await?;
    steps.must("records of the simulator in the cluster are in InfluxDB", simulated(cluster)).await?;
    steps.must("a client outside publishes by Kafka's external address", published(cluster)).await?;
    steps.must("efd get by the gateway's gRPC", got(cluster)).await
}

/// Nothing but volumes is left, and those go by the command that the notes of the release tell.
pub async fn uninstall(cluster: &Cluster, steps: &mut Steps) -> anyhow::Result<()> {
    steps.must("helm uninstall leaves the volumes", uninstalled(cluster)).await?;
    steps.must("the volumes are deleted", volumes_deleted(cluster)).await
}

async fn installed(cluster: &Cluster) -> anyhow::Result<String> {
    cluster.upgrade(&[&format!("image.tag={}", cluster.version)]).await?;
    let pods = cluster.pods("app.kubernetes.io/instance=efd").await?;
    ensure!(pods.len() == 6 && pods.values().all(|ready| *ready), "not six ready pods: {pods:?}");
    Ok(format!("{} pods", pods.len()))
}

async fn tested() -> anyhow::Result<String> {
    let log = program("helm", &["test", RELEASE, "--namespace", RELEASE, "--logs"]).await?;
    let line = log.lines().find(|line| line.starts_with("back after")).context("no sample came back")?;
    Ok(line.trim_end_matches(':').to_owned())
}

async fn checked(cluster: &Cluster) -> anyhow::Result<String> {
    let table = Outside::open(cluster).await?.efd(&["check"]).await?;
    let looks = table.lines().filter(|line| line.contains(" ok ")).count();
    for part in ["kafka", "registry", "sink", "influxdb", "gateway"] {
        ensure!(table.contains(part), "no line about {part}: {table}");
    }
    Ok(format!("{looks} looks, all good"))
}

/// Stops the simulator that the values turned on, so that what it sent is complete.
async fn simulated(cluster: &Cluster) -> anyhow::Result<String> {
    let outside = Outside::open(cluster).await?;
    until("each component has points", || async {
        for component in COMPONENTS {
            let count = points(&outside, &format!("lsst.sal.{component}.")).await?;
            ensure!(count > 50, "{component}: {count}");
        }
        Ok(())
    })
    .await?;
    let off = ["ingest.config.simulator.enabled=false", &format!("image.tag={}", cluster.version)];
    cluster.upgrade(&off).await?;
    cluster.pods_are("app.kubernetes.io/component=ingest", 1).await?;
    let found = audit(&outside).await?;
    Ok(format!("{} records of {}, {} points", found.records, COMPONENTS.join(", "), found.stored))
}

async fn published(cluster: &Cluster) -> anyhow::Result<String> {
    let before = points(&Outside::open(cluster).await?, "lsst.sal.").await?;
    let rates = format!("- {{topics: {}, hertz: 100}}\n", TOPIC.trim_start_matches("lsst.sal."));
    let client = ControlSystem::start(cluster, &rates, 1.0).await?;
    client.delivered_reaches(RECORDS).await?;
    let report = client.stop().await?;
    let after = audit(&Outside::open(cluster).await?).await?;
    let new = after.stored - before;
    ensure!(new == report.totals.sent, "it sent {} records, and {new} points came", report.totals.sent);
    Ok(format!("{new} records, all in InfluxDB"))
}

async fn got(cluster: &Cluster) -> anyhow::Result<String> {
    let outside = Outside::open(cluster).await?;
    let rows = outside.efd(&["get", TOPIC, "--last", "1h", "--format", "csv"]).await?;
    let count = rows.lines().count().saturating_sub(1);
    let expected = points(&outside, TOPIC).await?;
    ensure!(count > 0 && count as u64 == expected, "{count} rows of {expected} points");
    Ok(format!("{count} rows of {TOPIC}"))
}

/// Points of SAL topics whose names begin so.
async fn points(outside: &Outside, prefix: &str) -> anyhow::Result<u64> {
    Ok(InfluxDbClient::new(&outside.influxdb())?.count_points(prefix, 0).await?.values().sum())
}

async fn uninstalled(cluster: &Cluster) -> anyhow::Result<String> {
    program("helm", &["uninstall", RELEASE, "--namespace", RELEASE, "--wait", "--timeout", "5m"]).await?;
    let mut kinds =
        program("kubectl", &["api-resources", "--namespaced", "--verbs=list", "--output=name"]).await?;
    // Kinds that only show others.
    kinds = kinds.lines().filter(|kind| !kind.contains("metrics.k8s.io")).collect::<Vec<_>>().join(",");
    until("only volumes are left", || async {
        let list = cluster.get(&[&kinds, "--selector", "app.kubernetes.io/instance=efd"]).await?;
        let items = list.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default();
        let kinds: BTreeSet<&str> = items.iter().filter_map(|item| item.pointer("/kind")?.as_str()).collect();
        ensure!(kinds == BTreeSet::from(["PersistentVolumeClaim"]), "left: {kinds:?}");
        Ok(())
    })
    .await?;
    let claims = cluster.get(&["persistentvolumeclaims"]).await?;
    Ok(format!("{} claims", claims.pointer("/items").and_then(Value::as_array).map_or(0, Vec::len)))
}

async fn volumes_deleted(cluster: &Cluster) -> anyhow::Result<String> {
    cluster.kubectl(&["delete", "pvc", "--selector", "app.kubernetes.io/instance=efd"]).await?;
    until("no volume is left", || async {
        let volumes = cluster.get(&["persistentvolumes"]).await?;
        let count = volumes.pointer("/items").and_then(Value::as_array).map_or(0, |items| {
            items.iter().filter(|it| it.pointer("/spec/claimRef/namespace") == Some(&RELEASE.into())).count()
        });
        ensure!(count == 0, "{count} volumes");
        Ok(())
    })
    .await?;
    Ok("none left".to_owned())
}
