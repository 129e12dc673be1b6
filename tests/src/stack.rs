//! Kafka, InfluxDB and the services of one test.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use efd::influxdb::{InfluxDbClient, InfluxDbConfig};
use efd::servers::{Generation, InfluxDb, Kafka, Programs, free_port};
use efd_kafka::{Admin, OutRecord, Producer, ProducerOptions};
use efd_service::Env;
use efd_service::http::Client;
use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::OwnedMessage;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::service::Service;
use crate::{DEADLINE, records};

/// The sink worker of the tests.
pub const WORKER: &str = "test";

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
}

impl Options {
    /// The usual settings: component `Test`, the simulator at ten times its nominal rates.
    pub fn new(generation: Generation) -> Self {
        let ingest = json!({"simulator": {"enabled": true, "rate": 10.0}});
        Self { generation, components: vec!["Test"], sink: json!({}), ingest }
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
    options: Options,
    registry_port: u16,
    sink_admin: u16,
    gateway_port: u16,
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
        let kafka = Kafka::start(&programs, folder.path()).await?;
        let influxdb = InfluxDb::start(&programs, options.generation, folder.path()).await?;
        Ok(Self {
            gateway: None,
            sink: None,
            ingest: None,
            registry: None,
            kafka,
            influxdb,
            options,
            registry_port: free_port()?,
            sink_admin: free_port()?,
            gateway_port: free_port()?,
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
        let admin = free_port()?;
        let settings = json!({
            "service": {"admin": local(admin)},
            "http": local(self.registry_port),
            "kafka": self.kafka_settings(),
        });
        self.registry.insert(self.start("registry", &settings, admin)?).ready().await
    }

    /// Starts the sink worker and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_sink(&mut self) -> anyhow::Result<()> {
        let settings = self.sink_settings();
        self.sink.insert(self.start("sink", &settings, self.sink_admin)?).ready().await
    }

    /// Starts ingest; it is ready once topics and schemas are there.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_ingest(&mut self) -> anyhow::Result<()> {
        let admin = free_port()?;
        let mut settings = json!({
            "service": {"admin": local(admin)},
            "components": self.options.components,
            "interfaces": interfaces(),
            "kafka": self.kafka_settings(),
            "registry": {"url": self.registry_url()},
        });
        merge(&mut settings, &self.options.ingest);
        self.ingest.insert(self.start("ingest", &settings, admin)?).ready().await
    }

    /// Starts the gateway and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_gateway(&mut self) -> anyhow::Result<()> {
        let admin = free_port()?;
        let settings = json!({
            "service": {"admin": local(admin)},
            "grpc": local(self.gateway_port),
            "registry": {"url": self.registry_url()},
            "influxdb": {"url": self.influxdb.url()},
        });
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

    /// Records in all topics of SAL components, dead letters aside, counted by Kafka. Compaction has not begun when a test
    /// counts, so every offset is a record.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn records_in_kafka(&self) -> anyhow::Result<u64> {
        self.count_in_kafka(|name| !name.ends_with(".dlq")).await
    }

    /// Records in one topic, counted by Kafka.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn records_of(&self, topic: &str) -> anyhow::Result<u64> {
        self.count_in_kafka(|name| name == topic).await
    }

    /// Records in the dead-letter topics.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn dead_letters(&self) -> anyhow::Result<u64> {
        self.count_in_kafka(|name| name.ends_with(".dlq")).await
    }

    async fn count_in_kafka(&self, wanted: impl Fn(&str) -> bool) -> anyhow::Result<u64> {
        // A group that never committed is behind by every record there is.
        self.lag("efd-tests-count", wanted).await
    }

    async fn lag(&self, group: &str, wanted: impl Fn(&str) -> bool) -> anyhow::Result<u64> {
        let admin = Admin::new(&self.kafka.config(), "efd-tests")?;
        let mut topics = admin.topics().await?;
        topics.retain(|topic| topic.name.starts_with("lsst.") && wanted(&topic.name));
        let records: i64 = admin.lag(group, &topics).await?.iter().map(|lag| lag.records).sum();
        Ok(u64::try_from(records)?)
    }

    /// Points in InfluxDB of all SAL measurements.
    ///
    /// # Errors
    /// When InfluxDB does not answer.
    pub async fn points(&self) -> anyhow::Result<u64> {
        Ok(InfluxDbClient::new(&self.influxdb.config())?.count_points("lsst.sal.", 0).await?.values().sum())
    }

    /// Waits until InfluxDB has this many points, then looks that the sink has nothing left and the count stays exact.
    ///
    /// # Errors
    /// When the points do not come, or are more.
    pub async fn points_reach(&self, records: u64) -> anyhow::Result<()> {
        crate::eventually(&format!("InfluxDB has {records} points"), || async {
            let points = self.points().await?;
            anyhow::ensure!(points <= records, "{points} points are more than {records} records");
            if points == records { Ok(true) } else { anyhow::bail!("{points} points") }
        })
        .await?;
        let group = format!("efd-sink-{WORKER}");
        crate::eventually("the sink has committed everything", || async {
            let behind = self.lag(&group, |name| !name.ends_with(".dlq")).await?;
            if behind == 0 { Ok(true) } else { anyhow::bail!("{behind} records behind") }
        })
        .await?;
        let points = self.points().await?;
        anyhow::ensure!(points == records, "{points} points of {records} records");
        Ok(())
    }

    /// Writes line protocol to InfluxDB, past the sink.
    ///
    /// # Errors
    /// When InfluxDB refuses it.
    pub async fn write_lines(&self, lines: &str) -> anyhow::Result<()> {
        let url = format!("{}/write?db=efd&rp=autogen&precision=ns", self.influxdb.url());
        let token = self.influxdb.config().token;
        let request = http::Request::post(url)
            .header("authorization", format!("Token {}", token.expose()))
            .body(Bytes::from(lines.to_owned()))?;
        let answer = Client::new(None)?.send(request, DEADLINE).await?;
        anyhow::ensure!(answer.status().is_success(), "{}", String::from_utf8_lossy(answer.body()));
        Ok(())
    }

    /// A producer of the test's own.
    ///
    /// # Errors
    /// Never with the test's settings.
    pub fn producer(&self) -> anyhow::Result<Producer> {
        Ok(Producer::new(&self.kafka.config(), "efd-tests", &ProducerOptions::default())?)
    }

    /// Reads the oldest records of a topic, at most `count`.
    ///
    /// # Errors
    /// When Kafka does not answer, or has none within the deadline.
    pub async fn read(&self, topic: &str, count: usize) -> anyhow::Result<Vec<OwnedMessage>> {
        let consumer: BaseConsumer =
            self.kafka.config().client("efd-tests").set("group.id", "efd-tests").create()?;
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || records::read(&consumer, &topic, count)).await?
    }

    /// Produces the oldest records of a topic again, as they are; how many those were.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn copy_records(&self, topic: &str, count: usize) -> anyhow::Result<usize> {
        let records = self.read(topic, count).await?;
        let mut batch = self.producer()?.batch();
        for record in &records {
            let (key, payload) = (record.key(), record.payload());
            batch.send(OutRecord { topic, key, payload, ..OutRecord::default() }).await?;
        }
        batch.delivered().await?;
        Ok(records.len())
    }

    /// Address of the registry.
    pub fn registry_url(&self) -> String {
        format!("http://{}", local(self.registry_port))
    }

    /// Address of the gateway.
    pub fn gateway_url(&self) -> String {
        format!("http://{}", local(self.gateway_port))
    }

    /// Folder of this test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a settings file for the command `efd` with all addresses of this stack.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn efd_config(&self) -> anyhow::Result<PathBuf> {
        let InfluxDbConfig { version, .. } = self.influxdb.config();
        let settings = json!({
            "kafka": self.kafka_settings(),
            "registry": {"url": self.registry_url()},
            "influxdb": {"url": self.influxdb.url(), "version": version},
            "gateway": self.gateway_url(),
            "sinks": {WORKER: format!("http://{}", local(self.sink_admin))},
            "interfaces": interfaces(),
        });
        let path = self.folder().join("efd.yaml");
        std::fs::write(&path, settings.to_string())?;
        Ok(path)
    }

    /// Environment that gives services and command the credentials for InfluxDB.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let token = self.influxdb.config().token;
        if token.is_empty() { Vec::new() } else { vec![("EFD_INFLUXDB_TOKEN", token.expose().to_owned())] }
    }

    fn sink_settings(&self) -> Value {
        let InfluxDbConfig { version, .. } = self.influxdb.config();
        let mut destination = json!({"name": "influxdb", "url": self.influxdb.url(), "version": version});
        let place = if version == 2 {
            json!({"org": "efd", "bucket": "efd/autogen"})
        } else {
            json!({"database": "efd"})
        };
        merge(&mut destination, &place);
        let mut settings = json!({
            "service": {"admin": local(self.sink_admin)},
            "worker": WORKER,
            "components": self.options.components,
            "kafka": self.kafka_settings(),
            "registry": {"url": self.registry_url(), "timeout": "2s"},
            "destinations": [destination],
        });
        merge(&mut settings, &self.options.sink);
        settings
    }

    fn kafka_settings(&self) -> Value {
        json!({"bootstrap_servers": self.kafka.bootstrap_servers()})
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

/// Merges objects, the second over the first.
fn merge(into: &mut Value, over: &Value) {
    match (into, over) {
        (Value::Object(into), Value::Object(over)) => {
            for (key, value) in over {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, over) => *into = over.clone(),
    }
}
