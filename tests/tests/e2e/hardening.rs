//! What the pods may do, asked of Kubernetes and inside them, and where secrets must not be seen.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::steps::Steps;

/// All pods of the release.
const PODS: &str = "app.kubernetes.io/instance=efd";
/// User and group of all processes.
const USER: &str = "10001";
/// Who it is, what it may, and whether it can write beside its volumes.
const LOOK: &str = "id -u; id -g; sed -n 's/^Cap[A-Z][a-z]*:\\t//p' /proc/1/status; touch /usr/x 2>&1; true";

/// Both.
pub async fn run(cluster: &Cluster, steps: &mut Steps) -> anyhow::Result<()> {
    steps.may("pods: no root, read-only root, no capabilities", confined(cluster)).await;
    steps.may("secrets: not in describe, logs or --print-config", silent(cluster)).await;
    Ok(())
}

async fn confined(cluster: &Cluster) -> anyhow::Result<String> {
    let list = cluster.get(&["pods", "--selector", PODS]).await?;
    let mut count = 0;
    for pod in items(&list) {
        let name = text(pod, "/metadata/name")?;
        ensure!(
            pod.pointer("/spec/securityContext/runAsNonRoot") == Some(&true.into()),
            "{name} may be root"
        );
        let token = pod.pointer("/spec/automountServiceAccountToken");
        ensure!(token == Some(&false.into()), "{name} has a token for Kubernetes");
        for place in ["/spec/initContainers", "/spec/containers"] {
            for container in pod.pointer(place).and_then(Value::as_array).into_iter().flatten() {
                is_confined(container).with_context(|| name.to_owned())?;
                count += 1;
            }
        }
        let seen = cluster.kubectl(&["exec", name, "--", "sh", "-c", LOOK]).await?;
        let mut lines = seen.lines();
        ensure!([lines.next(), lines.next()] == [Some(USER); 2], "{name} is another user: {seen}");
        let (capabilities, touch): (Vec<&str>, Vec<&str>) =
            lines.partition(|line| line.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let none = capabilities.iter().all(|set| set.bytes().all(|byte| byte == b'0'));
        ensure!(capabilities.len() == 5 && none, "{name} has capabilities: {capabilities:?}");
        ensure!(touch.iter().any(|line| line.contains("Read-only")), "{name} can write to /usr: {touch:?}");
    }
    ensure!(count > 0, "no containers");
    Ok(format!("{count} containers"))
}

fn is_confined(container: &Value) -> anyhow::Result<()> {
    let context = container.pointer("/securityContext").context("no security context")?;
    ensure!(context.pointer("/readOnlyRootFilesystem") == Some(&true.into()), "its root can be written to");
    ensure!(context.pointer("/allowPrivilegeEscalation") == Some(&false.into()), "it may gain privileges");
    ensure!(context.pointer("/capabilities/drop/0") == Some(&"ALL".into()), "it keeps capabilities");
    Ok(())
}

async fn silent(cluster: &Cluster) -> anyhow::Result<String> {
    let password = cluster.influxdb_secret("password").await?;
    let list = cluster.get(&["pods", "--selector", PODS]).await?;
    let mut texts = vec![(
        "describe".to_owned(),
        cluster.kubectl(&["describe", "all,configmaps,secrets,networkpolicies,events"]).await?,
    )];
    let mut printed = 0;
    for pod in items(&list) {
        let name = text(pod, "/metadata/name")?;
        let log = cluster.kubectl(&["logs", name, "--all-containers", "--prefix"]).await?;
        texts.push((format!("the log of {name}"), log));
        let service = text(pod, "/metadata/labels/app.kubernetes.io~1component")?;
        if ["kafka", "influxdb"].contains(&service) {
            continue;
        }
        let program = format!("/usr/local/bin/efd-{service}");
        let print = [&*program, "--config", "/etc/efd/config/config.yaml", "--print-config"];
        let config = cluster.kubectl(&[&["exec", name, "--"], &print[..]].concat()).await?;
        ensure!(config.starts_with("service:"), "{name} printed no settings: {config}");
        texts.push((format!("--print-config of {name}"), config));
        printed += 1;
        if service == "sink" {
            // Else the search below would prove nothing.
            let known = cluster.kubectl(&["exec", name, "--", "printenv", "EFD_INFLUXDB_PASSWORD"]).await?;
            ensure!(known.trim() == password, "the sink does not have the password");
        }
    }
    ensure!(password.len() >= 16 && printed >= 4, "too little to look at");
    for (place, found) in &texts {
        ensure!(!found.contains(&password), "the password is in {place}");
    }
    Ok(format!("{} texts", texts.len()))
}

fn items(list: &Value) -> &[Value] {
    list.pointer("/items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(object: &'a Value, pointer: &str) -> anyhow::Result<&'a str> {
    object.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer}"))
}
