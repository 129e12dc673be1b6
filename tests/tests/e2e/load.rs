//! Scaling, killing, upgrading, rolling back and rolling under load: nothing is lost, nothing comes twice.

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::audit::audit;
use crate::cluster::{Cluster, RELEASE};
use crate::freshness::Freshness;
use crate::outside::{ControlSystem, Outside};
use crate::steps::Steps;
use crate::tools::{run as program, until};

/// Pods of the sink worker.
const SINK: &str = "efd/workload=sink-main";
/// Its Deployment.
const DEPLOYMENT: &str = "deployment/efd-sink-main";
/// Rates over the nominal ones; what is watched comes often, and the widest topics seldom.
const RATES: &str = "
- {topics: MTM1M3.hardpointActuatorData, hertz: 100}
- {topics: MTM1M3, hertz: 1}
- {topics: ATCamera.vacuum, hertz: 100}
- {topics: Test.scalars, hertz: 200}
- {topics: Test.arrays, hertz: 50}
";
/// Factor for a load that is too much for one pod of the autoscaler's target, and for one that is not.
const HEAVY: f64 = 12.0;
const LIGHT: f64 = 0.05;
/// Records before anything happens.
const BEFORE: f64 = 2_000.0;

/// The autoscaler; its target is 50 thousandths of a core, so that the load of a small machine is enough.
const AUTOSCALING: [&str; 6] = [
    "sink.autoscaling.by=cpu",
    "sink.autoscaling.min=1",
    "sink.autoscaling.max=3",
    "sink.autoscaling.target=50",
    "sink.autoscaling.stabilization=15",
    "sink.resources.requests.cpu=100m",
];

/// Everything, then the reckoning.
pub async fn run(cluster: &Cluster, steps: &mut Steps) -> anyhow::Result<()> {
    let load = ControlSystem::start(cluster, RATES, 1.0).await?;
    load.delivered_reaches(BEFORE).await?;
    {
        let outside = Outside::open(cluster).await?;
        until("the watched topics have points", || async { Freshness::watch(&outside).await.map(drop) })
            .await?;
        steps.freshness = Some(Freshness::watch(&outside).await?);
    }
    let outcome = under_load(cluster, steps, load).await;
    steps.freshness = None;
    outcome
}

async fn under_load(cluster: &Cluster, steps: &mut Steps, load: ControlSystem) -> anyhow::Result<()> {
    steps.must("quiet: nothing happens", grows(&load)).await?;
    steps.may("kubectl scale: 1 to 3", scaled(cluster, &load, 3)).await;
    steps.may("kubectl scale: 3 to 1", scaled(cluster, &load, 1)).await;
    steps.may("a pod is killed", killed(cluster, &load)).await;
    steps.may("helm upgrade: another setting, another image", upgraded(cluster, &load)).await;
    steps.may("helm rollback", rolled_back(cluster, &load)).await;
    steps.may("registry and gateway are rolled", rolled(cluster, &load)).await;
    let mut sent = load.stop().await?.totals.sent;
    let heavy = ControlSystem::start(cluster, RATES, HEAVY).await?;
    heavy.delivered_reaches(BEFORE).await?;
    let grew = steps.may("autoscaler: 1 to 3", autoscaled_up(cluster, &heavy)).await;
    sent += heavy.stop().await?.totals.sent;
    let light = ControlSystem::start(cluster, RATES, LIGHT).await?;
    light.delivered_reaches(BEFORE / 20.0).await?;
    if grew {
        steps.may("autoscaler: 3 to 1", autoscaled_down(cluster)).await;
    }
    sent += light.stop().await?.totals.sent;
    if let Some(freshness) = steps.freshness.take() {
        let gap = freshness.oldest_ever().as_secs_f64();
        crate::steps::say(&format!("longest gap in freshness: {gap:.1} s"));
    }
    steps.may("0 lost, 0 duplicates", reckoned(cluster, sent)).await;
    Ok(())
}

/// Some more records are delivered, so that a step is not over before the load has seen it.
async fn grows(load: &ControlSystem) -> anyhow::Result<String> {
    let now = load.delivered().await?;
    load.delivered_reaches(now + BEFORE).await?;
    Ok(format!("{now:.0} records so far"))
}

async fn scaled(cluster: &Cluster, load: &ControlSystem, replicas: usize) -> anyhow::Result<String> {
    cluster.kubectl(&["scale", DEPLOYMENT, &format!("--replicas={replicas}")]).await?;
    cluster.pods_are(SINK, replicas).await?;
    grows(load).await
}

async fn killed(cluster: &Cluster, load: &ControlSystem) -> anyhow::Result<String> {
    let pods = cluster.pods(SINK).await?;
    let victim = pods.keys().next().context("no pod")?.clone();
    cluster.kubectl(&["delete", "pod", &victim, "--grace-period=0", "--force", "--wait=false"]).await?;
    until("another pod is ready", || async {
        let pods = cluster.pods(SINK).await?;
        ensure!(
            pods.len() == 1 && !pods.contains_key(&victim) && pods.values().all(|ready| *ready),
            "{pods:?}"
        );
        Ok(())
    })
    .await?;
    grows(load).await
}

async fn upgraded(cluster: &Cluster, load: &ControlSystem) -> anyhow::Result<String> {
    let tag = format!("image.tag={}", cluster.next_version);
    cluster
        .upgrade(&["ingest.config.simulator.enabled=false", &tag, "sink.config.batch.points=4000"])
        .await?;
    cluster.pods_are(SINK, 1).await?;
    ensure!(runs(cluster).await? == (cluster.next_version.clone(), true), "{:?}", runs(cluster).await?);
    grows(load).await
}

async fn rolled_back(cluster: &Cluster, load: &ControlSystem) -> anyhow::Result<String> {
    program("helm", &["rollback", RELEASE, "--namespace", RELEASE, "--wait", "--timeout", "10m"]).await?;
    cluster.pods_are(SINK, 1).await?;
    ensure!(runs(cluster).await? == (cluster.version.clone(), false), "{:?}", runs(cluster).await?);
    grows(load).await
}

/// Tag of the image that the sink's pod runs, and whether it has the changed setting.
async fn runs(cluster: &Cluster) -> anyhow::Result<(String, bool)> {
    let list = cluster.get(&["pods", "--selector", SINK]).await?;
    let image =
        list.pointer("/items/0/spec/containers/0/image").and_then(Value::as_str).context("no image")?;
    let name = list.pointer("/items/0/metadata/name").and_then(Value::as_str).context("no name")?;
    let config = "/etc/efd/config/config.yaml";
    let print = ["exec", name, "--", "/usr/local/bin/efd-sink", "--config", config, "--print-config"];
    let settings = cluster.kubectl(&print).await?;
    let (_, tag) = image.rsplit_once(':').context("no tag")?;
    Ok((tag.to_owned(), settings.contains("points: 4000")))
}

async fn rolled(cluster: &Cluster, load: &ControlSystem) -> anyhow::Result<String> {
    for deployment in ["deployment/efd-registry", "deployment/efd-gateway"] {
        cluster.kubectl(&["rollout", "restart", deployment]).await?;
    }
    for deployment in ["deployment/efd-registry", "deployment/efd-gateway"] {
        cluster.kubectl(&["rollout", "status", deployment, "--timeout=300s"]).await?;
    }
    let found = grows(load).await?;
    Outside::open(cluster).await?.efd(&["get", "lsst.sal.Test.scalars", "--last", "10s"]).await?;
    Ok(found)
}

async fn autoscaled_up(cluster: &Cluster, load: &ControlSystem) -> anyhow::Result<String> {
    let tag = format!("image.tag={}", cluster.version);
    let mut settings = vec!["ingest.config.simulator.enabled=false", &tag];
    settings.extend(AUTOSCALING);
    cluster.upgrade(&settings).await?;
    cluster.pods_are(SINK, 3).await.with_context(|| "see kubectl get hpa")?;
    grows(load).await
}

async fn autoscaled_down(cluster: &Cluster) -> anyhow::Result<String> {
    cluster.pods_are(SINK, 1).await?;
    Ok("with a light load".to_owned())
}

async fn reckoned(cluster: &Cluster, sent: u64) -> anyhow::Result<String> {
    let outside = Outside::open(cluster).await?;
    let found = audit(&outside).await?;
    let account = outside.completeness().await?;
    let count = |what: &str| account.get(what).copied().unwrap_or_default();
    for what in ["missing", "duplicated", "dead_lettered", "not_yet_written", "forgotten"] {
        if count(what) > 0 {
            bail!("the sink's account has {} {what}", count(what));
        }
    }
    Ok(format!(
        "{sent} records under load, {} in Kafka, {} points; the sink's account of {} has none missing, none duplicated",
        found.records,
        found.stored,
        count("records")
    ))
}
