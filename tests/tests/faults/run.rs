//! One fault on one InfluxDB: servers, load, fault, and the reckoning.

use std::path::PathBuf;

use anyhow::Context as _;
use efd_ingest::simulator::Report;
use efd_tests::proxy::{Proxy, Trouble};
use efd_tests::{Generation, Options, Service, Stack, WORKER, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::account;
use crate::audit::{Destination, Outcome, Sent, audit};
use crate::fault::{Act, Fault, SPOILED};
use crate::{inject, load};

/// Paths of writes, of both generations.
const WRITES: [&str; 2] = ["/write", "/api/v2/write"];
/// Size of InfluxDB's disk when it is to be filled, in MiB.
const DISK: u32 = 768;
/// Database and bucket of the second destination.
const STANDBY: &str = "standby";

/// One fault on one InfluxDB. Services go before servers, and these before the proxies.
pub struct Run {
    /// Which.
    pub fault: &'static Fault,
    /// Further replicas of the sink.
    pub replicas: Vec<Service>,
    /// Servers and services.
    pub stack: Stack,
    /// Between sink and InfluxDB.
    pub influxdb: Proxy,
    /// Between sink and the second destination.
    pub standby: Proxy,
    /// Between sink and registry.
    pub registry: Proxy,
    /// Tombstones sent past the simulator.
    pub tombstones: u64,
    /// Times of points that were written past the sink.
    pub foreign: Vec<i64>,
    generation: Generation,
    account: PathBuf,
    _folder: TempDir,
}

impl Run {
    /// Starts the servers, and no service. The sink's log has what librdkafka tells under `debug`, where given.
    pub async fn new(
        fault: &'static Fault,
        generation: Generation,
        debug: Option<&str>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (rates, account) = (folder.path().join("rates.yaml"), folder.path().join("account.json"));
        std::fs::write(&rates, load::RATES)?;
        let (influxdb, standby) = (Proxy::start(&WRITES).await?, Proxy::start(&WRITES).await?);
        let registry = Proxy::start(&["/"]).await?;
        let mut options = Options::new(generation);
        options.components = load::COMPONENTS.to_vec();
        options.ingest = load::simulator(fault.act, &rates, &account);
        options.sink = sink(fault.act, generation, [&influxdb, &standby, &registry]);
        if let (Some(debug), Value::Object(sink)) = (debug, &mut options.sink) {
            sink.insert("service".to_owned(), json!({"log": {"filter": "info,efd_kafka=debug"}}));
            sink.insert("kafka".to_owned(), json!({"options": {"debug": debug}}));
        }
        options.disk = (fault.act == Act::FullDisk).then_some(DISK);
        let stack = Stack::servers(options).await?;
        influxdb.set_target(stack.influxdb.url());
        standby.set_target(stack.influxdb.url());
        registry.set_target(stack.registry_url());
        let (replicas, foreign) = (Vec::new(), Vec::new());
        Ok(Self {
            fault,
            replicas,
            stack,
            influxdb,
            standby,
            registry,
            tombstones: 0,
            foreign,
            generation,
            account,
            _folder: folder,
        })
    }

    /// Runs the load with the fault in its middle, waits until the sink has nothing left, and compares. What was not good leaves
    /// its logs and data behind, and says where.
    pub async fn execute(mut self) -> anyhow::Result<Vec<Outcome>> {
        let mut result = self.reckon().await;
        let folder = self.stack.folder().display().to_string();
        match &mut result {
            Ok(outcomes) if outcomes.iter().all(Outcome::is_good) => return result,
            Ok(outcomes) => {
                for outcome in outcomes.iter_mut().filter(|outcome| !outcome.is_good()) {
                    outcome.problems.push(format!("logs are in {folder}"));
                }
            }
            Err(_) => result = result.with_context(|| format!("logs are in {folder}")),
        }
        self.stack.keep_folder();
        result
    }

    async fn reckon(&mut self) -> anyhow::Result<Vec<Outcome>> {
        self.start().await?;
        self.delivered_reaches(load::BEFORE).await?;
        inject::inject(self).await.context("the fault did not come about as it should")?;
        self.writes_again().await?;
        let delivered = self.delivered().await?;
        self.delivered_reaches(load::RECORDS.max(delivered + load::AFTER)).await?;
        self.stack.stop_ingest().await?;
        let report = Report::read(&self.account)?;
        inject::was_effective(self, &report).await?;
        let sent = Sent::read(&self.stack).await?;
        let mut outcomes = Vec::new();
        for destination in self.destinations() {
            let drained = self.drained(&destination.group).await;
            let mut outcome = audit(self, &destination, &sent, &report).await?;
            match drained {
                Ok(()) => account::check(self, &destination, &mut outcome).await?,
                Err(error) => outcome.problems.push(format!("{error:#}")),
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Waits until the sink has committed everything.
    async fn drained(&self, group: &str) -> anyhow::Result<()> {
        eventually("the sink has committed everything", || async {
            let behind = self.stack.behind(group, |name| !name.ends_with(".dlq")).await?;
            if behind.is_empty() { Ok(true) } else { anyhow::bail!("behind: {behind:?}") }
        })
        .await
    }

    /// Starts registry, ingest and sink, in the order that the fault needs.
    async fn start(&mut self) -> anyhow::Result<()> {
        self.stack.start_registry().await?;
        if self.fault.act == Act::Conflict {
            // The sink makes the database that a point is to be written to.
            self.stack.start_sink().await?;
            self.foreign.push(inject::conflict(&self.stack).await?);
            self.stack.start_ingest().await?;
        } else {
            if self.fault.act == Act::Spoil {
                self.influxdb.set(Trouble::Spoil(SPOILED));
            }
            self.stack.start_ingest().await?;
            if self.fault.act == Act::LateRegistry {
                self.stack.registry.as_mut().context("the registry runs")?.kill();
            }
            self.stack.start_sink().await?;
        }
        self.influxdb.watch();
        self.standby.watch();
        Ok(())
    }

    fn destinations(&self) -> Vec<Destination> {
        let group = format!("efd-sink-{WORKER}");
        let config = self.stack.influxdb.config();
        let first = Destination {
            fault: self.fault.name.to_owned(),
            generation: self.generation,
            name: "influxdb",
            group: group.clone(),
            config: config.clone(),
            stall: self.influxdb.traffic().worst_stall,
        };
        if self.fault.act != Act::DeadStandby {
            return vec![first];
        }
        let mut second = config;
        second.database = STANDBY.to_owned();
        let standby = Destination {
            fault: format!("{} (the dead one)", self.fault.name),
            generation: self.generation,
            name: STANDBY,
            group: format!("{group}-{STANDBY}"),
            config: second,
            stall: self.standby.traffic().worst_stall,
        };
        vec![Destination { fault: format!("{} (the other)", self.fault.name), ..first }, standby]
    }

    /// Records that Kafka has acknowledged.
    pub async fn delivered(&self) -> anyhow::Result<f64> {
        let ingest = self.stack.ingest.as_ref().context("ingest runs")?;
        Ok(ingest.metrics().await?.sum("efd_ingest_records_delivered_total", &[]))
    }

    /// Waits until Kafka has acknowledged so many.
    pub async fn delivered_reaches(&self, records: f64) -> anyhow::Result<()> {
        let ingest = self.stack.ingest.as_ref().context("ingest runs")?;
        ingest.metric_reaches("efd_ingest_records_delivered_total", records).await
    }

    /// Waits until some more writes are acknowledged.
    pub async fn writes_again(&self) -> anyhow::Result<()> {
        let before = self.influxdb.traffic().acknowledged;
        eventually("the sink writes", || async { Ok(self.influxdb.traffic().acknowledged > before + 5) })
            .await
    }

    /// The sink worker.
    pub fn sink(&mut self) -> anyhow::Result<&mut Service> {
        self.stack.sink.as_mut().context("the sink runs")
    }
}

/// Settings of the sink: it reaches everything but Kafka through the proxies.
fn sink(act: Act, generation: Generation, [influxdb, standby, registry]: [&Proxy; 3]) -> Value {
    // Time-outs shorter than usual, so that the suite is, too.
    let destination = |name: &str, database: &str, proxy: &Proxy| {
        let url = proxy.url();
        match generation {
            Generation::V1 => {
                json!({"name": name, "url": url, "timeout": "3s", "version": 1, "database": database})
            }
            Generation::V2 => {
                let bucket = format!("{database}/autogen");
                json!({"name": name, "url": url, "timeout": "3s", "version": 2, "org": "efd", "bucket": bucket})
            }
        }
    };
    let mut destinations = vec![destination("influxdb", "efd", influxdb)];
    if act == Act::DeadStandby {
        destinations.push(destination(STANDBY, STANDBY, standby));
    }
    json!({"registry": {"url": registry.url()}, "destinations": destinations})
}
