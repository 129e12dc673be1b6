//! What stands outside the pods: the command `efd` with ways to the parts, and a control system that publishes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use efd::influxdb::InfluxDbConfig;
use efd_ingest::simulator::Report;
use efd_kafka::KafkaConfig;
use efd_tests::{Output, Service, interfaces};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{COMPONENTS, Cluster, RELEASE};
use crate::tools::{Forward, end_of};

/// Ways to the parts of the release, open while this lives.
#[derive(Debug)]
pub struct Outside {
    registry: Forward,
    influxdb: Forward,
    gateway: Forward,
    sink_admin: Forward,
    sink_grpc: Forward,
    kafka: String,
    user: [String; 2],
    folder: TempDir,
}

impl Outside {
    /// Opens the ways; they lead to the pods of this moment.
    ///
    /// # Errors
    /// When a part is not there.
    pub async fn open(cluster: &Cluster) -> anyhow::Result<Self> {
        let way = |service: &'static str, port| Forward::to(RELEASE, service, port);
        Ok(Self {
            registry: way("service/efd-registry", 8081).await?,
            influxdb: way("service/efd-influxdb", 8086).await?,
            gateway: way("service/efd-gateway", 9180).await?,
            sink_admin: way("service/efd-sink-main", 9603).await?,
            sink_grpc: way("service/efd-sink-main", 9183).await?,
            kafka: cluster.kafka(),
            user: [cluster.influxdb_secret("username").await?, cluster.influxdb_secret("password").await?],
            folder: tempfile::tempdir()?,
        })
    }

    /// Runs `efd`; its standard output.
    ///
    /// # Errors
    /// When its exit code is not 0.
    pub async fn efd(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let Output { code, out, err } = self.efd_may(arguments).await?;
        ensure!(code == Some(0), "efd {}: {}", arguments.join(" "), end_of(&format!("{out}{err}")));
        Ok(out)
    }

    /// Runs `efd`, whatever its exit code is.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn efd_may(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let settings = json!({
            "kafka": {"bootstrap_servers": self.kafka},
            "registry": {"url": self.registry.url},
            "influxdb": {"url": self.influxdb.url, "username": self.user[0]},
            "gateway": self.gateway.url,
            "sinks": {"main": {
                "admin": self.sink_admin.url, "grpc": self.sink_grpc.url, "components": COMPONENTS,
            }},
            "interfaces": interfaces(),
        });
        let file = self.folder.path().join("efd.yaml");
        std::fs::write(&file, settings.to_string())?;
        efd_tests::efd(Some(&file), arguments, &[("EFD_INFLUXDB_PASSWORD", &self.user[1])]).await
    }

    /// How to reach Kafka by its external address.
    pub fn kafka(&self) -> KafkaConfig {
        KafkaConfig { bootstrap_servers: Some(self.kafka.clone()), ..KafkaConfig::default() }
    }

    /// Address of the registry.
    pub fn registry_url(&self) -> &str {
        &self.registry.url
    }

    /// How to reach InfluxDB.
    pub fn influxdb(&self) -> InfluxDbConfig {
        let [username, password] = self.user.clone();
        InfluxDbConfig {
            url: Some(self.influxdb.url.clone()),
            username: Some(username),
            password: password.into(),
            ..InfluxDbConfig::default()
        }
    }

    /// What the sink's account says, summed over all topics.
    ///
    /// # Errors
    /// When the sink does not answer.
    pub async fn completeness(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let answer = self.efd_may(&["completeness", "--format", "json"]).await?;
        let mut sums = BTreeMap::new();
        for line in answer.out.lines() {
            let topic: Value = serde_json::from_str(line).with_context(|| end_of(&answer.err))?;
            for (what, count) in topic.as_object().into_iter().flatten() {
                *sums.entry(what.clone()).or_default() += count.as_u64().unwrap_or_default();
            }
        }
        ensure!(!sums.is_empty(), "no account: {}", end_of(&answer.err));
        Ok(sums)
    }
}

/// A control system: an ingest outside the pods that makes samples up and keeps an account.
#[derive(Debug)]
pub struct ControlSystem {
    service: Service,
    account: PathBuf,
    _registry: Forward,
    _folder: TempDir,
}

impl ControlSystem {
    /// Starts it with rates of topics (YAML) over the nominal ones, and a factor on all.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start(cluster: &Cluster, rates: &str, rate: f64) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (account, file) = (folder.path().join("account.json"), folder.path().join("rates.yaml"));
        std::fs::write(&file, rates)?;
        // Only for its start: schemas are registered once.
        let registry = Forward::to(RELEASE, "service/efd-registry", 8081).await?;
        let admin = efd::servers::free_port()?;
        let settings = json!({
            "service": {"admin": format!("127.0.0.1:{admin}")},
            "components": COMPONENTS,
            "interfaces": interfaces(),
            "kafka": {"bootstrap_servers": cluster.kafka()},
            "registry": {"url": registry.url},
            "simulator": {"enabled": true, "rate": rate, "rates": file, "account": account},
        });
        let mut service = Service::start("ingest", folder.path(), &settings.to_string(), admin, &[])?;
        service.ready().await?;
        Ok(Self { service, account, _registry: registry, _folder: folder })
    }

    /// Records that Kafka has acknowledged.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn delivered(&self) -> anyhow::Result<f64> {
        Ok(self.service.metrics().await?.sum("efd_ingest_records_delivered_total", &[]))
    }

    /// Waits until Kafka has acknowledged so many records.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn delivered_reaches(&self, records: f64) -> anyhow::Result<()> {
        self.service.metric_reaches("efd_ingest_records_delivered_total", records).await
    }

    /// Stops it; what it sent.
    ///
    /// # Errors
    /// When it could not deliver something.
    pub async fn stop(mut self) -> anyhow::Result<Report> {
        let code = self.service.terminate().await?;
        ensure!(code == Some(0), "it ended with {code:?}: {}", end_of(&self.service.log()?));
        let report = Report::read(&self.account)?;
        let lost = report.totals.rejected + report.totals.undelivered;
        ensure!(lost == 0, "it could not deliver {lost} of {} records", report.totals.sent);
        Ok(report)
    }
}
