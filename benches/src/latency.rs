//! From the time of a sample to its point in InfluxDB, with the topics of a whole observatory owned; and the memory that takes.

use std::time::Duration;

use efd::servers::{Generation, InfluxDb, Programs};
use efd_ingest::Config;
use efd_ingest::simulator::settings::{Profile, Rate};
use efd_kafka::{Admin, TopicSpec};
use efd_service::Env;
use serde_json::json;

use crate::room::{Room, Servers};
use crate::row::{Goal, Row};
use crate::simulator;
use crate::sink::destination;
use crate::worker::Worker;

/// Topics that SAL has altogether; those of the three components come besides.
const TOPICS: usize = 3_000;
/// Topics created at once.
const AT_ONCE: usize = 200;
/// Milliseconds that half of the records and all but one in a hundred may take.
const GOALS: [(f64, &str, f64); 2] = [(0.5, "p50, ms", 60.0), (0.99, "p99, ms", 250.0)];
/// Megabytes that the sink may take.
const MEMORY: f64 = 150.0;
/// Seconds of each run.
const SECONDS: f64 = 20.0;

/// Rows of both mixes.
pub fn run(room: &Room) -> anyhow::Result<Vec<Row>> {
    room.block_on(async {
        let servers = room.servers().await?;
        create_topics(&servers).await?;
        let programs = Programs::locate(&Env::process());
        let influxdb = InfluxDb::start(&programs, Generation::V1, room.folder()).await?;
        let components = ["ATCamera", "MTM1M3", "Test"].map(str::to_owned).to_vec();
        let mut summit =
            Config { components: components.clone(), interfaces: Room::interfaces(), ..Config::default() };
        summit.simulator.profile = Profile::Summit;
        let mut small = summit.clone();
        let rates = room.folder().join("small.yaml");
        let mut lines = String::new();
        for topic in [
            "Test.logevent_heartbeat",
            "MTM1M3.logevent_heartbeat",
            "ATCamera.logevent_heartbeat",
            "Test.scalars",
        ] {
            lines += &format!("- {{topics: {topic}, hertz: 5000}}\n");
        }
        std::fs::write(&rates, lines + "- {topics: \"*.*\", hertz: 0}\n")?;
        small.simulator.rates = Some(rates);
        let mut rows = Vec::new();
        for (name, config) in [("mix of the Summit", summit), ("20,000 small records/s", small)] {
            let folder = if rows.is_empty() { "summit" } else { "small" };
            rows.extend(measure(room, (&servers, &influxdb), (name, folder), config).await?);
        }
        servers.stop().await?;
        Ok(rows)
    })
}

async fn measure(
    room: &Room,
    (servers, influxdb): (&Servers, &InfluxDb),
    (case, folder): (&str, &str),
    mut config: Config,
) -> anyhow::Result<Vec<Row>> {
    let settings = json!({
        "components": ["ATCamera", "MTM1M3", "Test", "Filler"],
        "destinations": destination(&influxdb.url(), folder),
        // Of the other mix, records may be in Kafka: they are not of now.
        "kafka": {"bootstrap_servers": servers.kafka.bootstrap_servers(), "options": {"auto_offset_reset": "latest"}},
    });
    let mut worker = Worker::start(room, servers, folder, &settings)?;
    worker.owns(TOPICS as f64).await?;
    config.simulator.rate = Rate::Factor(1.0);
    config.simulator.duration = Some(Duration::from_secs_f64(room.scaled(SECONDS)));
    let delivered = simulator::ingest(config, room, servers).await?.delivered() as f64;
    worker.writes(delivered * 0.99).await?;
    let metrics = worker.metrics().await?;
    let case = format!("{case}, {TOPICS} topics");
    let mut rows = Vec::new();
    for (quantile, measure, goal) in GOALS {
        let seconds = metrics.quantile("efd_sink_latency_seconds", &[], quantile).unwrap_or(f64::NAN);
        rows.push(Row::new(case.clone(), measure, seconds * 1e3).expected(Goal::AtMost(goal)));
    }
    rows.push(Row::new(case, "memory of the sink, MB", worker.megabytes()?).expected(Goal::AtMost(MEMORY)));
    Ok(rows)
}

async fn create_topics(servers: &Servers) -> anyhow::Result<()> {
    let admin = Admin::new(&servers.kafka.config(), "efd-benches")?;
    let topic = |number| TopicSpec {
        name: format!("lsst.sal.Filler.topic{number}"),
        partitions: 1,
        replication: 1,
        compact: false,
    };
    let topics: Vec<TopicSpec> = (0..TOPICS).map(topic).collect();
    for some in topics.chunks(AT_ONCE) {
        admin.create_topics(some).await?;
    }
    Ok(())
}
