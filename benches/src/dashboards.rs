//! Dashboards that poll through the gateway beside ingest: what they cost it, how many polls are answered, and what becomes of the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use efd::servers::{Generation, InfluxDb, Programs};
use efd_ingest::Config;
use efd_ingest::simulator::settings::{Profile, Rate};
use efd_service::Env;
use efd_service::http::Client;
use http::{Request, StatusCode, header};
use serde_json::json;
use tokio::task::JoinSet;

use crate::gateway::Gateway;
use crate::room::{Room, Servers};
use crate::row::{Goal, Row};
use crate::simulator;
use crate::sink::destination;
use crate::worker::Worker;

/// Dashboards, each of which polls once a second.
const DASHBOARDS: u64 = 200;
/// Seconds of each run.
const SECONDS: f64 = 20.0;
/// Polls a second that must be answered.
const ANSWERED: f64 = 20.0;
/// What ingest must keep of its rate alone, in percent.
const KEPT: f64 = 95.0;
/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a panel of a dashboard asks; a space is `+` in a form.
const POLL: &str = "db=dashboards&q=SELECT+mean(double0)+FROM+%22lsst.sal.Test.scalars%22+WHERE+time+%3E+now()-1m+GROUP+BY+time(5s)+fill(null)";

/// What became of the polls.
#[derive(Debug, Default)]
struct Polls {
    answered: AtomicU64,
    refused: AtomicU64,
    other: AtomicU64,
    is_over: AtomicBool,
}

/// Rows of ingest alone, and beside the dashboards.
pub fn run(room: &Room) -> anyhow::Result<Vec<Row>> {
    room.block_on(async {
        let servers = room.servers().await?;
        let programs = Programs::locate(&Env::process());
        let influxdb = InfluxDb::start(&programs, Generation::V1, room.folder()).await?;
        let settings = json!({
            "components": ["ATCamera", "MTM1M3", "Test"],
            "destinations": destination(&influxdb.url(), "dashboards"),
            "kafka": {"bootstrap_servers": servers.kafka.bootstrap_servers()},
        });
        let mut worker = Worker::start(room, &servers, "dashboards", &settings)?;
        // Schemas, plans and the broker's code are new in the first run.
        ingest(room, &servers, (&mut worker, 0.0), 0.2).await?;
        let written = points(&worker).await?;
        let alone = ingest(room, &servers, (&mut worker, written), 1.0).await?;

        let gateway = Gateway::start(room, &servers, &influxdb, "dashboards").await?;
        let polls = Arc::new(Polls::default());
        let mut dashboards = JoinSet::new();
        let client = Client::new(None)?;
        for number in 0..DASHBOARDS {
            dashboards.spawn(dashboard(number, client.clone(), gateway.http.clone(), polls.clone()));
        }
        let started = Instant::now();
        let written = points(&worker).await?;
        let beside = ingest(room, &servers, (&mut worker, written), 1.0).await?;
        let seconds = started.elapsed().as_secs_f64();
        polls.is_over.store(true, Ordering::Relaxed);
        while dashboards.join_next().await.is_some() {}
        gateway.program.stop();
        servers.stop().await?;

        let case = format!("{DASHBOARDS} dashboards, mix of the Summit");
        let row = |measure: &'static str, value: f64| Row::new(case.clone(), measure, value);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64 / seconds;
        Ok(vec![
            row("ingest alone, points/s", alone),
            row("ingest beside them, points/s", beside),
            row("kept, %", 100.0 * beside / alone).expected(Goal::AtLeast(KEPT)),
            row("polls answered/s", count(&polls.answered)).expected(Goal::AtLeast(ANSWERED)),
            row("polls refused by quota/s", count(&polls.refused)),
            row("polls failed otherwise/s", count(&polls.other)).expected(Goal::AtMost(0.0)),
        ])
    })
}

/// Points a second that came from the simulator into InfluxDB.
async fn ingest(
    room: &Room,
    servers: &Servers,
    (worker, written): (&mut Worker, f64),
    part: f64,
) -> anyhow::Result<f64> {
    let components = ["ATCamera", "MTM1M3", "Test"].map(str::to_owned).to_vec();
    let mut config = Config { components, interfaces: Room::interfaces(), ..Config::default() };
    config.simulator.profile = Profile::Summit;
    config.simulator.rate = Rate::Factor(1.0);
    config.simulator.duration = Some(Duration::from_secs_f64(room.scaled(SECONDS * part)));
    let started = Instant::now();
    let delivered = simulator::ingest(config, room, servers).await?.delivered() as f64;
    worker.writes(written + delivered * 0.99).await?;
    Ok(delivered / started.elapsed().as_secs_f64())
}

async fn points(worker: &Worker) -> anyhow::Result<f64> {
    Ok(worker.metrics().await?.sum("efd_sink_points_written_total", &[]))
}

/// Polls each second, at a moment of its own.
async fn dashboard(number: u64, client: Client, address: String, polls: Arc<Polls>) {
    let offset = Duration::from_secs(1) * u32::try_from(number).unwrap_or_default() / 200;
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + offset, Duration::from_secs(1));
    while !polls.is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        let request = Request::post(format!("{address}/query"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from_static(POLL.as_bytes()));
        let Ok(request) = request else { return };
        let counter = match client.send(request, PATIENCE).await.map(|answer| answer.status()) {
            Ok(StatusCode::OK) => &polls.answered,
            Ok(StatusCode::TOO_MANY_REQUESTS) => &polls.refused,
            _ => &polls.other,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
