//! The registry with the schemas of a whole observatory: how long it takes to start, what it holds, how fast it answers.
//!
//! The schemas are those of our own interface files, under the names of so many components.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use efd::servers::{Kafka, Programs, free_port};
use efd_ingest::interfaces;
use efd_kafka::{Admin, OutRecord, Producer, ProducerOptions, TopicSpec};
use efd_sal::Topic;
use efd_schema::{RegistryClient, RegistryConfig};
use efd_service::Env;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

use crate::load;
use crate::program::{Program, REGISTRY};
use crate::room::Room;
use crate::row::{Goal, Row};

/// Components whose interface files are ours.
const COMPONENTS: [&str; 3] = ["Test", "ATCamera", "MTM1M3"];
/// Topics of the observatory.
const SUBJECTS: f64 = 3188.0;
/// Records of a long log.
const RECORDS: usize = 10_000;
/// Requests at once, as `efd init` makes them.
const AT_ONCE: usize = 16;
/// Connections that ask for schemas.
const CONNECTIONS: usize = 32;
/// How long they ask.
const ASKING: Duration = Duration::from_secs(5);
/// Pause between two looks whether it is ready.
const LOOK: Duration = Duration::from_millis(2);
/// Bound on a start.
const PATIENCE: Duration = Duration::from_secs(60);
/// Starts, of which the fastest counts: the others were disturbed.
const STARTS: usize = 5;

/// What is expected. A start is the whole of it, from the start of the process on: Kafka answers all the while.
const START_MS: f64 = 200.0;
const MEGABYTES: f64 = 25.0;
const GETS: f64 = 50_000.0;
const AGAIN_SECONDS: f64 = 1.0;

/// Measures the registry.
///
/// # Errors
/// When a server does not start, or the registry refuses anything.
pub fn run(room: &Room) -> anyhow::Result<Vec<Row>> {
    let schemas = schemas(room.scaled(SUBJECTS))?;
    let case = format!("{} subjects", schemas.len());
    let bytes: usize = schemas.iter().map(|(_, text)| text.len()).sum();
    let kafka = room.block_on(Kafka::start(&Programs::locate(&Env::process()), room.folder()))?;
    let mut rows = vec![Row::new(&case, "length of a schema, bytes", bytes as f64 / schemas.len() as f64)];

    let registry = Registry::start(room, &kafka, "_schemas")?;
    let first = room.block_on(registry.register(&schemas))?;
    rows.push(Row::new(&case, "registered first, s", first));
    let again = room.block_on(registry.register(&schemas))?;
    rows.push(Row::new(&case, "registered again, s", again).expected(Goal::AtMost(AGAIN_SECONDS)));
    rows.extend(registry.answers(&case, schemas.len())?);
    registry.program.stop();

    let registry = Registry::start(room, &kafka, "_schemas")?;
    let megabytes = registry.program.resident_megabytes()?;
    rows.push(Row::new(&case, "memory after a start, MB", megabytes).expected(Goal::AtMost(MEGABYTES)));
    registry.program.stop();

    room.block_on(write_log(&kafka, "_long", &schemas))?;
    let mut fastest = f64::MAX;
    for _ in 0..STARTS {
        let registry = Registry::start(room, &kafka, "_long")?;
        fastest = fastest.min(registry.start_ms);
        registry.program.stop();
    }
    let case = format!("{RECORDS} records in _schemas");
    rows.push(Row::new(case, "from start to ready, ms", fastest).expected(Goal::AtMost(START_MS)));
    Ok(rows)
}

/// Subjects and texts.
fn schemas(count: f64) -> anyhow::Result<Vec<(String, String)>> {
    let components = interfaces::load(&Room::interfaces(), &COMPONENTS.map(str::to_owned))?;
    let topics: Vec<&Topic> = components.iter().flat_map(|component| &component.topics).collect();
    let copies = (0..).flat_map(|copy| topics.iter().map(move |topic| named(topic, copy)));
    Ok(copies.take(count as usize).collect())
}

/// The topic as if the component had a further name.
fn named(topic: &Topic, copy: usize) -> (String, String) {
    let topic = Topic { component: format!("{}{copy}", topic.component).into(), ..topic.clone() };
    (topic.subject("sal"), topic.avro_schema())
}

/// A registry that is ready.
struct Registry {
    program: Program,
    port: u16,
    /// From its start until it was ready.
    start_ms: f64,
}

impl Registry {
    fn start(room: &Room, kafka: &Kafka, topic: &str) -> anyhow::Result<Self> {
        let port = free_port()?;
        let settings = json!({
            "http": format!("127.0.0.1:{port}"),
            "grpc": "127.0.0.1:0",
            "kafka": {"bootstrap_servers": kafka.bootstrap_servers()},
            "schemas": {"topic": topic, "replication": 1},
        });
        let started = Instant::now();
        let mut program = Program::start(&room.folder().join("registry"), REGISTRY, &settings)?;
        while !program.is_ready() {
            program.process.check_alive()?;
            anyhow::ensure!(started.elapsed() < PATIENCE, "not ready: {}", program.process.log_end());
            room.block_on(async { tokio::time::sleep(LOOK).await });
        }
        let start_ms = started.elapsed().as_secs_f64() * 1e3;
        Ok(Self { program, port, start_ms })
    }

    /// How long it takes to register all.
    async fn register(&self, schemas: &[(String, String)]) -> anyhow::Result<f64> {
        let url = Some(format!("http://127.0.0.1:{}", self.port));
        let client = RegistryClient::new(&RegistryConfig { url, ..RegistryConfig::default() })?;
        let started = Instant::now();
        stream::iter(schemas)
            .map(|(subject, text)| client.register(subject, text))
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// Asks for schemas by their ids.
    fn answers(&self, case: &str, ids: usize) -> anyhow::Result<Vec<Row>> {
        let targets: Vec<String> = (1..=ids).map(|id| format!("/schemas/ids/{id}")).collect();
        let before = self.program.cpu_seconds()?;
        let load = load::gets(self.port, &targets, CONNECTIONS, ASKING).context("GET by id")?;
        let each = |seconds: f64| seconds * 1e6 / load.requests;
        let cpu = each(self.program.cpu_seconds()? - before);
        Ok(vec![
            Row::new(case, "GET by id, requests/s", load.requests / load.seconds)
                .expected(Goal::AtLeast(GETS)),
            Row::new(case, "GET by id, µs of processor each", cpu),
            Row::new(case, "the same of who asks, µs", each(load.cpu_seconds)),
        ])
    }
}

/// Writes a log as Confluent's registry does: each subject's schema again and again, with another description.
async fn write_log(kafka: &Kafka, topic: &str, schemas: &[(String, String)]) -> anyhow::Result<()> {
    let spec = TopicSpec { name: topic.to_owned(), partitions: 1, replication: 1, compact: true };
    Admin::new(&kafka.config(), "efd-bench")?.create_topics(&[spec]).await?;
    let mut batch = Producer::new(&kafka.config(), "efd-bench", &ProducerOptions::default())?.batch();
    for number in 0..RECORDS {
        let (version, place) = (number / schemas.len() + 1, number % schemas.len());
        let (subject, text) = schemas.get(place).context("no schema")?;
        let key = json!({"keytype": "SCHEMA", "subject": subject, "version": version, "magic": 1});
        let text = text.replacen('{', &format!("{{\"doc\":\"{version}\","), 1);
        let value = json!({
            "subject": subject, "version": version, "id": number + 1, "schema": text, "deleted": false,
        });
        let (key, value) = (key.to_string(), value.to_string());
        let (key, payload) = (Some(key.as_bytes()), Some(value.as_bytes()));
        batch.send(OutRecord { topic, key, payload, ..OutRecord::default() }).await?;
    }
    batch.delivered().await?;
    Ok(())
}
