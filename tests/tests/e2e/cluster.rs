//! The cluster as kubectl and helm show it, and the one release in it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;

use crate::tools::{run, until};

/// Name of the release and of its namespace.
pub const RELEASE: &str = "efd";
/// Components whose interface files are in the images.
pub const COMPONENTS: [&str; 3] = ["ATCamera", "MTM1M3", "Test"];
/// The port of every node that leads to Kafka.
pub const KAFKA_PORT: u16 = 31090;

/// Where the test runs.
#[derive(Debug)]
pub struct Cluster {
    /// Address of a node.
    pub node: String,
    /// Tag of the images.
    pub version: String,
    /// Another tag of them.
    pub next_version: String,
}

impl Cluster {
    /// Asks the cluster for a node's address.
    ///
    /// # Errors
    /// When no cluster answers.
    pub async fn find(version: &str, next_version: &str) -> anyhow::Result<Self> {
        let path = "jsonpath={.items[0].status.addresses[?(@.type==\"InternalIP\")].address}";
        let node = run("kubectl", &["get", "nodes", "--output", path]).await?;
        anyhow::ensure!(!node.is_empty(), "no node has an address");
        Ok(Self { node, version: version.to_owned(), next_version: next_version.to_owned() })
    }

    /// kubectl in the release's namespace.
    ///
    /// # Errors
    /// When it fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        run("kubectl", &[&["--namespace", RELEASE], arguments].concat()).await
    }

    /// Objects as JSON.
    ///
    /// # Errors
    /// When kubectl fails.
    pub async fn get(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let text = self.kubectl(&[&["get", "--output", "json"], arguments].concat()).await?;
        serde_json::from_str(&text).context("kubectl printed something else than JSON")
    }

    /// Installs or upgrades the release and waits until everything is ready.
    ///
    /// # Errors
    /// When helm fails.
    pub async fn upgrade(&self, settings: &[&str]) -> anyhow::Result<String> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let (chart, site) = (format!("{root}/helm/efd"), format!("{root}/helm/sites/test-stand.yaml"));
        let values = format!("{root}/tests/cluster/values.yaml");
        let host = format!("kafka.external.host={}", self.node);
        let mut arguments = vec!["upgrade", "--install", RELEASE, &chart, "--namespace", RELEASE];
        arguments.extend(["--create-namespace", "--wait", "--timeout", "10m", "--values", &site]);
        arguments.extend(["--values", &values, "--set", &host]);
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        run("helm", &arguments).await
    }

    /// Pods of the release that are ready, and all of them, by name.
    ///
    /// # Errors
    /// When kubectl fails.
    pub async fn pods(&self, selector: &str) -> anyhow::Result<BTreeMap<String, bool>> {
        let list = self.get(&["pods", "--selector", selector]).await?;
        let pods = list.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_ready = |pod: &Value| {
            let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
            conditions.is_some_and(|all| {
                all.iter().any(|it| {
                    it.pointer("/type") == Some(&"Ready".into())
                        && it.pointer("/status") == Some(&"True".into())
                })
            })
        };
        let name = |pod: &Value| pod.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
        Ok(pods.iter().filter_map(|pod| Some((name(pod)?, is_ready(pod)))).collect())
    }

    /// Waits until exactly so many pods are there, and all are ready.
    ///
    /// # Errors
    /// When they are not in time.
    pub async fn pods_are(&self, selector: &str, count: usize) -> anyhow::Result<()> {
        until(&format!("{count} pods of {selector} are ready"), || async {
            let pods = self.pods(selector).await?;
            anyhow::ensure!(pods.len() == count && pods.values().all(|ready| *ready), "{pods:?}");
            Ok(())
        })
        .await
    }

    /// A value of the Secret with the credentials for InfluxDB.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn influxdb_secret(&self, key: &str) -> anyhow::Result<String> {
        let template = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
        self.kubectl(&["get", "secret", "efd-influxdb", "--output", &template]).await
    }

    /// Kafka's address for clients outside the pods.
    pub fn kafka(&self) -> String {
        format!("{}:{KAFKA_PORT}", self.node)
    }
}
