//! How fast the simulator gets records into a real broker: the whole ingest service with its producer.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use efd_ingest::Config;
use efd_ingest::simulator::Report;
use efd_ingest::simulator::settings::{Max, Profile, Rate};
use efd_service::Instance;

use crate::encoding;
use crate::interfaces::{COMPONENT, WIDTHS, sal_name, write};
use crate::machine::cpu_time;
use crate::room::{Room, Servers};
use crate::row::{Goal, Row};

/// Records a second of the narrow kind.
const GOAL: f64 = 100_000.0;
/// Nominal rate of the only topic; with `rate: max` it says how many records a second of the duration stands for.
const HERTZ: f64 = 1_000.0;
/// Fields of one case, over all its records.
const FIELDS: f64 = 60e6;
/// Runs of the case with a goal; the median counts.
const RUNS: usize = 3;
/// Records before the first run: the broker's code is not compiled yet.
const WARM_UP: f64 = 300_000.0;

/// What one run came to.
#[derive(Debug)]
pub struct Run {
    report: Report,
    cpu: Duration,
}

impl Run {
    /// Records that Kafka acknowledged.
    pub fn delivered(&self) -> u64 {
        self.report.totals.delivered
    }
}

/// Records, values and bytes a second of each width, and what part of the work is encoding.
pub fn run(room: &Room) -> anyhow::Result<Vec<Row>> {
    let interfaces = write(room.folder())?;
    let mut rows = Vec::new();
    room.block_on(async {
        let servers = room.servers().await?;
        let simulate = |width, records| Case { width, records }.run(room, &servers, &interfaces);
        simulate(12, WARM_UP).await?;
        for width in WIDTHS {
            let runs = if width == 12 { RUNS } else { 1 };
            let mut done = Vec::with_capacity(runs);
            for _ in 0..runs {
                done.push(simulate(width, room.scaled(FIELDS / width as f64)).await?);
            }
            done.sort_by(|a, b| a.report.seconds.total_cmp(&b.report.seconds));
            let median = done.get(runs / 2).context("at least one run")?;
            rows.extend(describe(width, median, &encoding::measure(room, width)?));
        }
        rows.extend(summit(room, &servers).await?);
        servers.stop().await
    })?;
    Ok(rows)
}

/// One topic, as many records.
#[derive(Debug, Clone, Copy)]
struct Case {
    width: usize,
    records: f64,
}

impl Case {
    async fn run(self, room: &Room, servers: &Servers, interfaces: &Path) -> anyhow::Result<Run> {
        let rates = room.folder().join("rates.yaml");
        let topic = sal_name(self.width);
        fs::write(
            &rates,
            format!("- {{topics: {COMPONENT}.{topic}, hertz: {HERTZ}}}\n- {{topics: \"*.*\", hertz: 0}}\n"),
        )?;
        let mut config = Config { components: vec![COMPONENT.to_owned()], ..Config::default() };
        config.interfaces = interfaces.to_owned();
        config.simulator.rates = Some(rates);
        config.simulator.duration = Some(Duration::from_secs_f64(self.records / HERTZ));
        config.simulator.rate = Rate::Unthrottled(Max::Max);
        ingest(config, room, servers).await
    }
}

/// The mix of the Summit, as fast as it goes.
async fn summit(room: &Room, servers: &Servers) -> anyhow::Result<Vec<Row>> {
    let components = ["ATCamera", "MTM1M3", "Test"].map(str::to_owned);
    let mut config = Config { components: components.to_vec(), ..Config::default() };
    config.interfaces = Room::interfaces();
    config.simulator.profile = Profile::Summit;
    config.simulator.duration = Some(Duration::from_secs_f64(room.scaled(FIELDS / 250_000.0)));
    config.simulator.rate = Rate::Unthrottled(Max::Max);
    let run = ingest(config, room, servers).await?;
    let Report { seconds, totals, .. } = run.report;
    let case = "mix of the Summit";
    Ok(vec![
        Row::new(case, "records/s", totals.delivered as f64 / seconds),
        Row::new(case, "values/s", totals.values as f64 / seconds).expected(Goal::AtLeast(250_000.0)),
        Row::new(case, "CPU of ingest, ns per value", run.cpu.as_secs_f64() * 1e9 / totals.values as f64),
    ])
}

/// Runs the service until the simulator is through and everything is acknowledged.
///
/// # Errors
/// When something was not delivered.
pub async fn ingest(mut config: Config, room: &Room, servers: &Servers) -> anyhow::Result<Run> {
    let account = room.folder().join("account.json");
    config.kafka = servers.kafka.config();
    config.registry.url = Some(servers.registry.clone());
    config.simulator.enabled = true;
    config.simulator.account = Some(PathBuf::from(&account));
    let instance = Instance::start("efd-ingest", ([127, 0, 0, 1], 0).into())?;
    let before = cpu_time()?;
    efd_ingest::run(config, instance.context()).await?;
    let cpu = cpu_time()?.saturating_sub(before);
    instance.shutdown().await;
    let report = Report::read(&account)?;
    anyhow::ensure!(
        report.totals.delivered == report.totals.sent,
        "not all was delivered: {:?}",
        report.totals
    );
    Ok(Run { report, cpu })
}

fn describe(width: usize, run: &Run, encoding: &encoding::Cost) -> Vec<Row> {
    let Report { seconds, totals, .. } = &run.report;
    let case = format!("{width} fields and {} private", encoding.fields - width);
    let records = totals.delivered as f64;
    let row = |measure, value| Row::new(case.clone(), measure, value);
    let cpu = run.cpu.as_secs_f64() * 1e9;
    let goal = if width == 12 { Goal::AtLeast(GOAL) } else { Goal::None };
    vec![
        row("records/s", records / seconds).expected(goal),
        row("values/s", totals.values as f64 / seconds),
        row("MB/s of payloads", records * encoding.bytes / seconds / 1e6),
        row("CPU of ingest, µs per record", cpu / records / 1e3),
        row("encoding, % of the CPU of ingest", 100.0 * encoding.nanos * records / cpu),
    ]
}
