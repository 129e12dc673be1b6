//! The sink on a backlog: into a server that throws everything away, and into InfluxDB beside a bare loader of the same requests.

use std::time::{Duration, Instant};

use bytes::Bytes;
use efd::servers::{Generation, InfluxDb, Programs};
use efd_ingest::Config;
use efd_ingest::simulator::settings::{Max, Rate};
use efd_service::Env;
use efd_service::http::Client;
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::discard::Discard;
use crate::interfaces::{COMPONENT, sal_name, write};
use crate::room::{Room, Servers};
use crate::row::{Goal, Row};
use crate::simulator;
use crate::worker::Worker;

/// Records a second of 48 fields into nothing.
const RECORDS: f64 = 300_000.0;
/// Nanoseconds of processor time for a value.
const CPU: f64 = 100.0;
/// Part of what a bare loader reaches, in percent.
const SHARE: f64 = 85.0;
/// Writes at the same time, as the sink has them.
const CONNECTIONS: usize = 2;
/// Bound on one write of the loader.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Seconds of the mix at these rates: 805,000 records.
const MIX: f64 = 50.0;
const RATES: &str = "- {topics: Test.scalars, hertz: 4000}
- {topics: ATCamera.vacuum, hertz: 4000}
- {topics: MTM1M3.hardpointActuatorData, hertz: 4000}
- {topics: MTM1M3.logevent_heartbeat, hertz: 4000}
- {topics: MTM1M3.forceActuatorData, hertz: 100}
- {topics: \"*.*\", hertz: 0}
";

/// Rows of all runs.
pub fn run(room: &Room) -> anyhow::Result<Vec<Row>> {
    room.block_on(async {
        let servers = room.servers().await?;
        let mut rows = narrow(room, &servers).await?;
        let records = fill_mix(room, &servers).await?;
        let (more, bodies) = discarded_mix(room, &servers, records).await?;
        rows.extend(more);
        rows.extend(stored_mix(room, &servers, records, bodies).await?);
        servers.stop().await?;
        Ok(rows)
    })
}

/// Settings for one destination of version 1.
pub fn destination(url: &str, database: &str) -> Value {
    json!([{"url": url, "database": database, "create": !database.is_empty() && database != "none"}])
}

async fn narrow(room: &Room, servers: &Servers) -> anyhow::Result<Vec<Row>> {
    let rates =
        format!("- {{topics: {COMPONENT}.{}, hertz: 1000}}\n- {{topics: \"*.*\", hertz: 0}}\n", sal_name(48));
    let config = Config {
        components: vec![COMPONENT.to_owned()],
        interfaces: write(room.folder())?,
        ..Config::default()
    };
    let records = fill(room, servers, (config, &rates), room.scaled(1_000.0)).await?;
    let discard = Discard::start(false).await?;
    let settings = json!({"components": [COMPONENT], "destinations": destination(&discard.url, "none")});
    let run = Worker::start(room, servers, "narrow", &settings)?.writes(records).await?;
    let case = "48 fields and 8 private, into nothing";
    Ok(vec![
        Row::new(case, "records/s", run.points_per_second).expected(Goal::AtLeast(RECORDS)),
        Row::new(case, "values/s", run.values_per_second),
        Row::new(case, "CPU of the sink, ns per value", run.cpu_per_value).expected(Goal::AtMost(CPU)),
    ])
}

/// Puts the mix into Kafka; how many records those are.
async fn fill_mix(room: &Room, servers: &Servers) -> anyhow::Result<f64> {
    let components = ["ATCamera", "MTM1M3", "Test"].map(str::to_owned).to_vec();
    let config = Config { components, interfaces: Room::interfaces(), ..Config::default() };
    fill(room, servers, (config, RATES), room.scaled(MIX)).await
}

/// Puts the records of so many seconds at these rates into Kafka, as fast as it takes them; how many those are.
pub async fn fill(
    room: &Room,
    servers: &Servers,
    (mut config, rates): (Config, &str),
    seconds: f64,
) -> anyhow::Result<f64> {
    let file = room.folder().join("sink-rates.yaml");
    std::fs::write(&file, rates)?;
    config.simulator.rates = Some(file);
    config.simulator.rate = Rate::Unthrottled(Max::Max);
    config.simulator.duration = Some(Duration::from_secs_f64(seconds));
    Ok(simulator::ingest(config, room, servers).await?.delivered() as f64)
}

async fn discarded_mix(
    room: &Room,
    servers: &Servers,
    records: f64,
) -> anyhow::Result<(Vec<Row>, Vec<Bytes>)> {
    let discard = Discard::start(true).await?;
    let run =
        mix_worker(room, servers, "discarded", destination(&discard.url, "none"))?.writes(records).await?;
    let case = format!("mix of {records} records, into nothing");
    let rows = vec![
        Row::new(case.clone(), "records/s", run.points_per_second),
        Row::new(case.clone(), "values/s", run.values_per_second),
        Row::new(case, "CPU of the sink, ns per value", run.cpu_per_value).expected(Goal::AtMost(CPU)),
    ];
    Ok((rows, discard.take()))
}

async fn stored_mix(
    room: &Room,
    servers: &Servers,
    records: f64,
    bodies: Vec<Bytes>,
) -> anyhow::Result<Vec<Row>> {
    let bytes: usize = bodies.iter().map(Bytes::len).sum();
    // Each has a server of its own, so that none works on what the other left it to put in order.
    let influxdb = influxdb(room, "bare").await?;
    let seconds = load(&influxdb.url(), bodies).await?;
    drop(influxdb);
    let influxdb = self::influxdb(room, "stored").await?;
    let run =
        mix_worker(room, servers, "worker", destination(&influxdb.url(), "stored"))?.writes(records).await?;
    let case = format!("mix of {records} records, InfluxDB 1.x");
    let row = |measure, value| Row::new(case.clone(), measure, value);
    let bare = records / seconds;
    Ok(vec![
        row("bare loader of the same requests, records/s", bare),
        row("bare loader, MB/s", bytes as f64 / seconds / 1e6),
        row("sink, records/s", run.points_per_second),
        row("sink, values/s", run.values_per_second),
        row("sink, % of the bare loader", 100.0 * run.points_per_second / bare)
            .expected(Goal::AtLeast(SHARE)),
        row("CPU of the sink, ns per value", run.cpu_per_value).expected(Goal::AtMost(CPU)),
        row("memory of the sink, MB", run.megabytes),
    ])
}

async fn influxdb(room: &Room, folder: &str) -> anyhow::Result<InfluxDb> {
    let folder = room.folder().join(folder);
    std::fs::create_dir(&folder)?;
    InfluxDb::start(&Programs::locate(&Env::process()), Generation::V1, &folder).await
}

fn mix_worker(room: &Room, servers: &Servers, name: &str, destinations: Value) -> anyhow::Result<Worker> {
    let settings = json!({"components": ["ATCamera", "MTM1M3", "Test"], "destinations": destinations});
    Worker::start(room, servers, name, &settings)
}

/// Writes requests that were made before, as fast as InfluxDB takes them; the seconds that takes.
async fn load(url: &str, bodies: Vec<Bytes>) -> anyhow::Result<f64> {
    let client = Client::new(None)?;
    let post = |uri: String, body: Bytes| {
        let client = client.clone();
        async move {
            let request = http::Request::post(uri)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body)?;
            let answer = client.send(request, TIMEOUT).await?;
            anyhow::ensure!(answer.status().is_success(), "{}", String::from_utf8_lossy(answer.body()));
            Ok(())
        }
    };
    post(format!("{url}/query"), Bytes::from_static(b"q=CREATE%20DATABASE%20bare")).await?;
    let start = Instant::now();
    let writes =
        bodies.into_iter().map(|body| post(format!("{url}/write?db=bare&rp=autogen&precision=ns"), body));
    let mut writes = futures::stream::iter(writes).buffer_unordered(CONNECTIONS);
    while let Some(written) = writes.next().await {
        written?;
    }
    Ok(start.elapsed().as_secs_f64())
}
