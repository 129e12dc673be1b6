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

/// Topics that stay empty beside those of the three components: librdkafka names all of them in each fetch.
const FILLERS: usize = 3_000;
/// Topics created at once.
const AT_ONCE: usize = 200;
/// Milliseconds that half of the records and all but one in a hundred may take.
const GOALS: [(f64, &str, f64); 2] = [(0.5, "p50, ms", 60.0), (0.99, "p99, ms", 250.0)];
/// Megabytes that the sink may take.
const MEMORY: f64 = 150.0;
/// Seconds of each run.
const SECONDS: f64 = 20.0;

/// Components of both mixes.
const COMPONENTS: [&str; 3] = ["ATCamera", "MTM1M3", "Test"];
/// Topics of small records, which come at 5,000 a second each.
const SMALL: [&str; 4] =
    ["Test.logevent_heartbeat", "MTM1M3.logevent_heartbeat", "ATCamera.logevent_heartbeat", "Test.scalars"];

/// Rows of both mixes. Each has servers of its own: a new worker reads all that Kafka holds, also what is long past.
pub fn run(room: &Room) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let (summit, small) = (("mix of the Summit", false), ("20,000 small records/s", true));
    for ((case, is_small), fillers) in [(summit, 0), (small, 0), (summit, FILLERS), (small, FILLERS)] {
        let room = room.another()?;
        let config = config(&room, is_small)?;
        rows.extend(room.block_on(measure(&room, case, (config, fillers)))?);
    }
    Ok(rows)
}

/// Settings of ingest.
fn config(room: &Room, is_small: bool) -> anyhow::Result<Config> {
    let components = COMPONENTS.map(str::to_owned).to_vec();
    let mut config = Config { components, interfaces: Room::interfaces(), ..Config::default() };
    config.simulator.rate = Rate::Factor(1.0);
    config.simulator.duration = Some(Duration::from_secs_f64(room.scaled(SECONDS)));
    if is_small {
        let rates = room.folder().join("small.yaml");
        let lines = SMALL.map(|topic| format!("- {{topics: {topic}, hertz: 5000}}\n")).concat();
        std::fs::write(&rates, lines + "- {topics: \"*.*\", hertz: 0}\n")?;
        config.simulator.rates = Some(rates);
    } else {
        config.simulator.profile = Profile::Summit;
    }
    Ok(config)
}

async fn measure(room: &Room, case: &str, (config, fillers): (Config, usize)) -> anyhow::Result<Vec<Row>> {
    let servers = room.servers().await?;
    let influxdb = InfluxDb::start(&Programs::locate(&Env::process()), Generation::V1, room.folder()).await?;
    let topics = create_topics(&servers, &config, fillers).await?;
    let components = [COMPONENTS.as_slice(), &["Filler"]].concat();
    let settings = json!({
        "components": components,
        "destinations": destination(&influxdb.url(), "latency"),
    });
    let mut worker = Worker::start(room, &servers, "latency", &settings)?;
    worker.owns(topics as f64).await?;
    // Once to warm up: a broker that has just started takes seconds to compile what it does in a fetch, and a worker has to look up
    // every schema.
    let warm = simulator::ingest(config.clone(), room, &servers).await?.delivered() as f64;
    worker.writes(warm).await?;
    let before = worker.metrics().await?;
    let delivered = simulator::ingest(config, room, &servers).await?.delivered() as f64;
    worker.writes(warm + delivered).await?;
    let metrics = worker.metrics().await?.since(&before);
    let case = format!("{case}, {topics} topics");
    let mut rows = Vec::new();
    for (quantile, measure, goal) in GOALS {
        let seconds = metrics.quantile("efd_sink_latency_seconds", &[], quantile).unwrap_or(f64::NAN);
        rows.push(Row::new(case.clone(), measure, seconds * 1e3).expected(Goal::AtMost(goal)));
    }
    rows.push(Row::new(case, "memory of the sink, MB", worker.megabytes()?).expected(Goal::AtMost(MEMORY)));
    drop(worker);
    servers.stop().await?;
    Ok(rows)
}

/// Creates the topics of the components and many that stay empty; how many those are altogether. All are there before the
/// worker starts, so that none of its first records waits until it is found.
async fn create_topics(servers: &Servers, config: &Config, fillers: usize) -> anyhow::Result<usize> {
    let admin = Admin::new(&servers.kafka.config(), "efd-benches")?;
    let filler = |number| TopicSpec {
        name: format!("lsst.sal.Filler.topic{number}"),
        partitions: 1,
        replication: 1,
        compact: false,
    };
    let specs: Vec<TopicSpec> = (0..fillers).map(filler).collect();
    for some in specs.chunks(AT_ONCE) {
        admin.create_topics(some).await?;
    }
    let components = efd_ingest::interfaces::load(&config.interfaces, &config.components)?;
    let created =
        efd_ingest::initialise::create_topics(&components, &config.initialise_options(), &admin).await?;
    Ok(specs.len() + created.len())
}
