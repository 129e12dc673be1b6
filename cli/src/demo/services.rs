//! The four services, running in this process.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use efd_service::http::Client;
use efd_service::{Context, Env, Instance, Settings};
use tokio::task::JoinHandle;

use super::DemoArgs;
use super::files::Files;
use crate::config::Config;
use crate::influxdb::InfluxDbConfig;
use crate::init;

/// Bound on the time until a service is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two looks at readiness.
const LOOK: Duration = Duration::from_millis(50);
/// Bound on the clean stop of a service.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// What a Kafka that the demo did not start may need, besides its address.
const KAFKA_CREDENTIALS: &[&str] = &[
    "EFD_KAFKA_SECURITY_PROTOCOL",
    "EFD_KAFKA_SASL_MECHANISM",
    "EFD_KAFKA_SASL_USERNAME",
    "EFD_KAFKA_SASL_PASSWORD",
    "EFD_KAFKA_SASL_PASSWORD_FILE",
    "EFD_KAFKA_REPLICATION_FACTOR",
    "LSST_KAFKA_SECURITY_PROTOCOL",
    "LSST_KAFKA_SECURITY_MECHANISM",
    "LSST_KAFKA_SECURITY_USERNAME",
    "LSST_KAFKA_SECURITY_PASSWORD",
    "LSST_KAFKA_SECURITY_PASSWORD_FILE",
    "LSST_KAFKA_REPLICATION_FACTOR",
];

/// One service in this process.
#[derive(Debug)]
struct Running {
    name: &'static str,
    instance: Instance,
    task: JoinHandle<anyhow::Result<()>>,
}

/// The services of a demo; ingest can be stopped before the others.
#[derive(Debug)]
pub struct Services {
    ingest: Option<Running>,
    others: Vec<Running>,
}

impl Services {
    /// Starts registry, sink, gateway and ingest, each from its file, and waits until each is ready.
    pub async fn start(files: &Files, env: &Env) -> anyhow::Result<Self> {
        // What the command line says is in this file: it is refused before anything runs.
        let _: efd_ingest::Config = efd_service::load(Some(&files.path("ingest")), env)?;
        let mut services = Self { ingest: None, others: Vec::new() };
        services.others.push(start("registry", files, env, efd_registry::run).await?);
        // As an operator does it: a worker that starts before its topics finds them only some seconds after they came.
        let config: Config = efd_service::load(Some(&files.path("efd")), env)?;
        init::create(&config, &config.interfaces, &files.components).await?;
        services.others.push(start("sink", files, env, efd_sink::run).await?);
        services.others.push(start("gateway", files, env, efd_gateway::run).await?);
        services.ingest = Some(start("ingest", files, env, efd_ingest::run).await?);
        Ok(services)
    }

    /// Waits until a service ends by itself, which none should.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        let running = self.others.iter_mut().chain(&mut self.ingest);
        let tasks = running.map(|running| Box::pin(ended(running)));
        futures::future::select_all(tasks).await.0
    }

    /// Stops ingest; when this returns, Kafka has acknowledged everything that the simulator made. Its admin port stays open,
    /// so that its counters can still be read.
    pub async fn stop_ingest(&mut self) -> anyhow::Result<()> {
        match &mut self.ingest {
            Some(ingest) => finish(ingest).await,
            None => Ok(()),
        }
    }

    /// Stops everything.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for running in &mut self.others {
            outcome = outcome.and(finish(running).await);
        }
        for running in self.others.into_iter().chain(self.ingest) {
            running.instance.shutdown().await;
        }
        outcome
    }
}

/// The environment of the demo's services: credentials for servers that the demo did not start, and nothing else. An address in
/// the environment is that of another EFD, which simulated records must never reach.
pub fn environment(args: &DemoArgs, influxdb: &InfluxDbConfig, process: &Env) -> Env {
    let (token, password) = (influxdb.token.expose(), influxdb.password.expose());
    let kafka = if args.kafka.is_some() { kafka(process) } else { Vec::new() };
    let own = [("EFD_INFLUXDB_TOKEN", token), ("EFD_INFLUXDB_PASSWORD", password)];
    Env::from_pairs(kafka.into_iter().chain(own))
}

/// What the environment says of a Kafka that the demo did not start, except where it is.
pub fn kafka_credentials(process: &Env) -> Env {
    Env::from_pairs(kafka(process))
}

fn kafka(process: &Env) -> Vec<(&'static str, &str)> {
    KAFKA_CREDENTIALS.iter().filter_map(|name| Some((*name, process.get(name)?))).collect()
}

async fn start<C, F, Fut>(name: &'static str, files: &Files, env: &Env, run: F) -> anyhow::Result<Running>
where
    C: Settings,
    F: FnOnce(C, Context) -> Fut + Send + 'static,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let config: C = efd_service::load(Some(&files.path(name)), env)?;
    let admin = config.service().admin.context("the demo's files name an admin port")?;
    let instance = Instance::start(name, admin)?;
    // On a thread of its own, as in its own process: `run` need not be movable between threads.
    let (runtime, context) = (tokio::runtime::Handle::current(), instance.context());
    let task = tokio::task::spawn_blocking(move || runtime.block_on(run(config, context)));
    let mut running = Running { name, instance, task };
    ready(&mut running).await?;
    Ok(running)
}

async fn ready(running: &mut Running) -> anyhow::Result<()> {
    let client = Client::new(None)?;
    let url = format!("http://{}/readyz", running.instance.admin_addr());
    let deadline = Instant::now() + READY_TIMEOUT;
    loop {
        if running.task.is_finished() {
            return ended(running).await;
        }
        let answer = client.send(http::Request::get(&url).body(Bytes::new())?, READY_TIMEOUT).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let waits = String::from_utf8_lossy(answer.body()).trim().replace('\n', ", ");
            bail!("{} is not ready after {} s: {waits}", running.name, READY_TIMEOUT.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn ended(running: &mut Running) -> anyhow::Result<()> {
    let name = running.name;
    (&mut running.task).await.context("it panicked").flatten().with_context(|| format!("{name} failed"))?;
    bail!("{name} ended by itself")
}

async fn finish(running: &mut Running) -> anyhow::Result<()> {
    let name = running.name;
    running.instance.context().stop.request();
    if running.task.is_finished() {
        return Ok(());
    }
    let outcome = tokio::time::timeout(STOP_TIMEOUT, &mut running.task)
        .await
        .with_context(|| format!("{name} did not stop within {} s", STOP_TIMEOUT.as_secs()))?;
    outcome.context("it panicked").flatten().with_context(|| format!("{name} failed while stopping"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DemoArgs,
    }

    #[test]
    fn an_address_of_another_efd_never_reaches_the_services() {
        let process = Env::from_pairs([
            ("EFD_INFLUXDB_URL", "http://summit:8086"),
            ("EFD_REGISTRY_URL", "http://summit:8081"),
            ("EFD_KAFKA_BOOTSTRAP_SERVERS", "summit:9092"),
            ("LSST_KAFKA_SECURITY_USERNAME", "ts-salkafka"),
        ]);
        let influxdb = InfluxDbConfig { token: "own".into(), ..InfluxDbConfig::default() };
        let names = |words: &[&str]| {
            let env = environment(&Line::parse_from(words).args, &influxdb, &process);
            format!("{env:?}")
        };
        assert_eq!(names(&["efd"]), r#"{"EFD_INFLUXDB_TOKEN"}"#);
        let given = names(&["efd", "--kafka", "localhost:9092"]);
        assert_eq!(given, r#"{"EFD_INFLUXDB_TOKEN", "LSST_KAFKA_SECURITY_USERNAME"}"#);
    }
}
