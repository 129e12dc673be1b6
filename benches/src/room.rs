//! Where a benchmark runs: a folder, and the servers that it asks for.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use efd::servers::{Kafka, Programs, free_port};
use efd_service::{Env, Instance};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Bound on the start of a service.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A folder that goes with the benchmark, and a runtime.
#[derive(Debug)]
pub struct Room {
    folder: TempDir,
    runtime: Runtime,
    size: f64,
}

/// Kafka, and a registry in this process.
#[derive(Debug)]
pub struct Servers {
    /// The broker.
    pub kafka: Kafka,
    /// Address of the registry.
    pub registry: String,
    instance: Instance,
    service: JoinHandle<anyhow::Result<()>>,
}

impl Room {
    /// An empty one; `size` is the factor on the amount of work.
    pub fn new(size: f64) -> anyhow::Result<Self> {
        Ok(Self {
            folder: tempfile::Builder::new().prefix("efd-bench-").tempdir()?,
            // As the services have it.
            runtime: tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
            size,
        })
    }

    /// Another empty one, for work that must not see what this one's servers hold.
    pub fn another(&self) -> anyhow::Result<Self> {
        Self::new(self.size)
    }

    /// Where files may be put.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// So much work, more or less as the user asked for.
    pub fn scaled(&self, amount: f64) -> f64 {
        (amount * self.size).max(1.0)
    }

    /// Waits for something.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Our own interface files.
    pub fn interfaces() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../interfaces")
    }

    /// Starts Kafka and a registry.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn servers(&self) -> anyhow::Result<Servers> {
        let programs = Programs::locate(&Env::process());
        let kafka = Kafka::start(&programs, self.folder()).await?;
        let port = free_port()?;
        let mut config = efd_registry::Config { http: ([127, 0, 0, 1], port).into(), ..Default::default() };
        config.grpc = ([127, 0, 0, 1], 0).into();
        config.kafka = kafka.config();
        config.schemas.replication = 1;
        let instance = Instance::start("efd-registry", ([127, 0, 0, 1], 0).into())?;
        // On a thread of its own, as in its own process.
        let (runtime, context) = (tokio::runtime::Handle::current(), instance.context());
        let service =
            tokio::task::spawn_blocking(move || runtime.block_on(efd_registry::run(config, context)));
        let servers = Servers { kafka, registry: format!("http://127.0.0.1:{port}"), instance, service };
        servers.ready(port).await?;
        Ok(servers)
    }
}

impl Servers {
    async fn ready(&self, port: u16) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if self.service.is_finished() || Instant::now() > deadline {
                bail!("the registry does not answer");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Stops them.
    ///
    /// # Errors
    /// When the registry failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.instance.context().stop.request();
        let outcome = self.service.await.context("the registry panicked")?;
        self.instance.shutdown().await;
        outcome
    }
}
