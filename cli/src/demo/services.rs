//! The four services, running in this process.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use efd_service::http::Client;
use efd_service::{Context, Env, Instance, Settings};
use tokio::task::JoinHandle;

use super::files::Files;
use crate::config::Config;
use crate::init;

/// Bound on the time until a service is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two looks at readiness.
const LOOK: Duration = Duration::from_millis(50);
/// Bound on the clean stop of a service.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

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
        // The token of the demo's own InfluxDB reaches the services as it does in production.
        let own = [("EFD_INFLUXDB_TOKEN", files.token.as_str())];
        let env = if files.token.is_empty() { env.clone() } else { Env::from_pairs(own) };
        let mut services = Self { ingest: None, others: Vec::new() };
        services.others.push(start("registry", files, &env, efd_registry::run).await?);
        // As an operator does it: a worker that starts before its topics finds them only some seconds after they came.
        let config: Config = efd_service::load(Some(&files.path("efd")), &env)?;
        init::create(&config, &config.interfaces, &files.components).await?;
        services.others.push(start("sink", files, &env, efd_sink::run).await?);
        services.others.push(start("gateway", files, &env, efd_gateway::run).await?);
        services.ingest = Some(start("ingest", files, &env, efd_ingest::run).await?);
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
