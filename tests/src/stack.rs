//! Kafka, InfluxDB and the services of one test.

mod contents;
mod registries;
mod settings;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use efd::servers::{Generation, InfluxDb, Kafka, Programs, free_port};
use efd_service::Env;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::disk::Disk;
use crate::protection::{self, PASSWORD, Protection, Told};
use crate::service::Service;
pub use registries::Registry;
use settings::merge;

/// The sink worker of the tests.
pub const WORKER: &str = "test";

/// Token of the credential `client`, for the sources of ingest that listen on the network.
pub const CLIENT_TOKEN: &str = "client-token";

/// Names and tokens of the credentials that a registry may be given. Whoever asks the registry shows the first.
pub const REGISTRY_TOKENS: [(&str, &str); 3] =
    [("admin", "admin-token"), ("reader", "reader-token"), ("lab", "lab-token")];

/// Names and tokens of credentials of the gateway.
pub const GATEWAY_TOKENS: [(&str, &str); 2] =
    [("notebooks", "notebooks-token"), ("dashboards", "dashboards-token")];

/// What a test runs, and with which deviations from the usual settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which InfluxDB.
    pub generation: Generation,
    /// Components of sink and ingest.
    pub components: Vec<&'static str>,
    /// More settings of the sink, merged over the usual ones.
    pub sink: Value,
    /// More settings of ingest, merged over the usual ones.
    pub ingest: Value,
    /// What Kafka demands.
    pub protection: Protection,
    /// How services and commands learn it.
    pub told: Told,
    /// The password that they are told.
    pub password: &'static str,
    /// A disk of its own for InfluxDB, in MiB; takes root.
    pub disk: Option<u32>,
}

impl Options {
    /// The usual settings: component `Test`, the simulator at ten times its nominal rates.
    pub fn new(generation: Generation) -> Self {
        let ingest = json!({"simulator": {"enabled": true, "rate": 10.0}});
        Self {
            generation,
            components: vec!["Test"],
            sink: json!({}),
            ingest,
            protection: Protection::None,
            told: Told::BySettings,
            password: PASSWORD,
            disk: None,
        }
    }
}

/// Real servers and services with a data folder of their own; everything is stopped when dropped.
#[derive(Debug)]
pub struct Stack {
    // Services before servers, the folder last: dropped in this order.
    /// The query gateway, when started.
    pub gateway: Option<Service>,
    /// The sink worker, when started.
    pub sink: Option<Service>,
    /// Ingest, when started.
    pub ingest: Option<Service>,
    /// The schema registry, when started.
    pub registry: Option<Service>,
    /// Kafka.
    pub kafka: Kafka,
    /// InfluxDB.
    pub influxdb: InfluxDb,
    /// Where InfluxDB has its data, when it is a disk of its own.
    pub disk: Option<Disk>,
    options: Options,
    registry_port: u16,
    /// Where the registry speaks TLS: its authority.
    registry_authority: Option<PathBuf>,
    registry_grpc_port: u16,
    sink_admin: u16,
    sink_grpc: u16,
    gateway_port: u16,
    gateway_http_port: u16,
    folder: TempDir,
}

impl Stack {
    /// Starts Kafka and InfluxDB; no service yet.
    ///
    /// # Errors
    /// When a server does not start.
    pub async fn servers(options: Options) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("efd-test-").tempdir()?;
        let programs = Programs::locate(&Env::process());
        protection::write_password(folder.path(), options.password)?;
        let security = options.protection.security(folder.path())?;
        let kafka = Kafka::start_with(&programs, folder.path(), security).await?;
        let place = folder.path().join("influxdb");
        let disk = options.disk.map(|size| Disk::mount(&place, size)).transpose()?;
        let influxdb = InfluxDb::start(&programs, options.generation, folder.path()).await?;
        Ok(Self {
            gateway: None,
            sink: None,
            ingest: None,
            registry: None,
            kafka,
            influxdb,
            disk,
            options,
            registry_port: free_port()?,
            registry_authority: None,
            registry_grpc_port: free_port()?,
            sink_admin: free_port()?,
            sink_grpc: free_port()?,
            gateway_port: free_port()?,
            gateway_http_port: free_port()?,
            folder,
        })
    }

    /// Starts Kafka, InfluxDB, registry and sink, and waits until they are ready.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn recording(options: Options) -> anyhow::Result<Self> {
        let mut stack = Self::servers(options).await?;
        stack.start_registry().await?;
        stack.start_sink().await?;
        Ok(stack)
    }

    /// Starts the registry and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_registry(&mut self) -> anyhow::Result<()> {
        self.launch_registry()?.ready().await
    }

    /// Starts the registry and does not wait.
    ///
    /// # Errors
    /// When its binary is missing.
    pub fn launch_registry(&mut self) -> anyhow::Result<&mut Service> {
        let admin = free_port()?;
        let settings = json!({
            "service": {"admin": local(admin)},
            "http": local(self.registry_port),
            "grpc": local(self.registry_grpc_port),
            "kafka": self.kafka_settings(),
        });
        Ok(self.registry.insert(self.start("registry", &settings, admin)?))
    }

    /// Starts the sink worker and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_sink(&mut self) -> anyhow::Result<()> {
        self.launch_sink()?.ready().await
    }

    /// Starts the sink worker and does not wait.
    ///
    /// # Errors
    /// When its binary is missing.
    pub fn launch_sink(&mut self) -> anyhow::Result<&mut Service> {
        let mut settings = self.sink_settings();
        merge(&mut settings, &json!({"grpc": local(self.sink_grpc)}));
        Ok(self.sink.insert(self.start("sink", &settings, self.sink_admin)?))
    }

    /// Starts one more replica of the sink worker, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn another_sink(&self) -> anyhow::Result<Service> {
        let admin = free_port()?;
        let mut settings = self.sink_settings();
        merge(&mut settings, &json!({"service": {"admin": local(admin)}}));
        let folder = self.folder().join(format!("replica-{admin}"));
        let environment = self.environment();
        let pairs: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut replica = Service::start("sink", &folder, &settings.to_string(), admin, &pairs)?;
        replica.ready().await?;
        Ok(replica)
    }

    /// Starts ingest; it is ready once topics and schemas are there.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_ingest(&mut self) -> anyhow::Result<()> {
        self.launch_ingest()?.ready().await
    }

    /// Starts ingest and does not wait.
    ///
    /// # Errors
    /// When its binary is missing.
    pub fn launch_ingest(&mut self) -> anyhow::Result<&mut Service> {
        let admin = free_port()?;
        let mut settings = json!({
            "service": {"admin": local(admin)},
            "components": self.options.components,
            "interfaces": interfaces(),
            "kafka": self.kafka_settings(),
            "registry": self.registry_settings(),
        });
        merge(&mut settings, &self.options.ingest);
        Ok(self.ingest.insert(self.start("ingest", &settings, admin)?))
    }

    /// Starts the gateway and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_gateway(&mut self) -> anyhow::Result<()> {
        self.start_gateway_with(&json!({})).await
    }

    /// Starts the gateway with more settings, and waits until it is ready. Its credentials may have the names in
    /// [`GATEWAY_TOKENS`].
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_gateway_with(&mut self, more: &Value) -> anyhow::Result<()> {
        let admin = free_port()?;
        let mut settings = json!({
            "service": {"admin": local(admin)},
            "grpc": local(self.gateway_port),
            "http": {"address": local(self.gateway_http_port)},
            "registry": self.registry_settings(),
            "kafka": self.kafka_settings(),
            "influxdb": {"url": self.influxdb.url()},
        });
        merge(&mut settings, more);
        self.gateway.insert(self.start("gateway", &settings, admin)?).ready().await
    }

    /// Lets the simulator run for a while and stops ingest cleanly; gives the records that Kafka took by its own count.
    ///
    /// # Errors
    /// When ingest fails, or fewer than `records` come in time.
    pub async fn simulate(&mut self, records: f64) -> anyhow::Result<u64> {
        self.start_ingest().await?;
        let ingest = self.ingest.as_mut().context("ingest was started")?;
        ingest.metric_reaches("efd_ingest_records_delivered_total", records).await?;
        self.stop_ingest().await?;
        self.records_in_kafka().await
    }

    /// Stops ingest, which must end cleanly.
    ///
    /// # Errors
    /// When its exit code is not 0.
    pub async fn stop_ingest(&mut self) -> anyhow::Result<()> {
        let mut ingest = self.ingest.take().context("ingest was started")?;
        let code = ingest.terminate().await?;
        anyhow::ensure!(code == Some(0), "ingest ended with {code:?}: {}", ingest.log()?);
        Ok(())
    }

    /// Address of the registry.
    pub fn registry_url(&self) -> String {
        let scheme = if self.registry_authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", local(self.registry_port))
    }

    /// Address of the sink's gRPC server.
    pub fn sink_grpc_url(&self) -> String {
        format!("http://{}", local(self.sink_grpc))
    }

    /// Address of the registry's gRPC server.
    pub fn registry_grpc_url(&self) -> String {
        format!("http://{}", local(self.registry_grpc_port))
    }

    /// Lets sink and ingest use another registry, when they are started next.
    pub fn use_registry(&mut self, other: &Registry) {
        self.registry_port = other.port();
        self.registry_authority = other.authority().cloned();
    }

    /// Address of the gateway.
    pub fn gateway_url(&self) -> String {
        format!("http://{}", local(self.gateway_port))
    }

    /// Host and port of the gateway for clients of InfluxDB.
    pub fn gateway_http(&self) -> String {
        local(self.gateway_http_port)
    }

    /// Folder of this test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the folder where it is when the test ends, for a person who looks for what went wrong.
    pub fn keep_folder(&mut self) {
        self.folder.disable_cleanup(true);
    }

    fn start(&self, name: &'static str, settings: &Value, admin: u16) -> anyhow::Result<Service> {
        let environment = self.environment();
        let pairs: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // JSON is YAML too.
        Service::start(name, self.folder(), &settings.to_string(), admin, &pairs)
    }
}

/// The project's own interface files.
pub fn interfaces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../interfaces")
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
