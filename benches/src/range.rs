//! 50 million values back out of InfluxDB 1.x: through the gateway, beside `lsst-efd-client` and curl on InfluxDB itself.
//!
//! The values came from the simulator through Kafka and the sink. `lsst-efd-client` reads a tenth of the range: it holds an answer as text
//! and as objects, and InfluxDB gathers it first, so that of all of it no machine of ours would have the memory.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use efd::servers::{Generation, InfluxDb, Programs};
use efd_ingest::Config;
use efd_service::Env;
use efd_service::http::Client as Http;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::interfaces::{COMPONENT, WIDEST, sal_name, write};
use crate::machine::cpu_seconds;
use crate::readers::{self, Client, Range, Reading};
use crate::room::{Room, Servers};
use crate::row::{Goal, Row};
use crate::sink::{destination, fill};
use crate::worker::Worker;

/// Values of the whole range.
const VALUES: f64 = 50e6;
/// Fields of the topic, private ones included.
const FIELDS: f64 = WIDEST as f64 + 8.0;
/// Records that stand for a second.
const HERTZ: f64 = 1000.0;
/// Megabytes that the gateway may take.
const MEMORY: f64 = 64.0;
/// Bound on a question to InfluxDB.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// What was recorded.
#[derive(Debug, Clone, Copy)]
struct Recorded {
    rows: f64,
    start: i64,
    end: i64,
}

/// Rows of all readers.
///
/// # Errors
/// When a server does not start, or a reader does not get what was recorded.
pub fn run(room: &Room) -> anyhow::Result<Vec<Row>> {
    room.block_on(async {
        let servers = room.servers().await?;
        let influxdb =
            InfluxDb::start(&Programs::locate(&Env::process()), Generation::V1, room.folder()).await?;
        let topic = format!("lsst.sal.{COMPONENT}.{}", sal_name(WIDEST));
        let recorded = record(room, &servers, &influxdb, &topic).await?;
        let gateway = Gateway::start(room, &servers, &influxdb, "efd").await?;
        let whole = Range { topic: &topic, start: recorded.start, end: recorded.end };
        // `lsst-efd-client` asks for bounds in whole milliseconds.
        let [start, end] = [whole.start, whole.start + (whole.end - whole.start) / 10].map(millisecond);
        let tenth = Range { start, end, ..whole };
        let (mut rows, seconds) = through_gateway(&gateway, whole, recorded.rows).await?;
        rows.extend(beside(&gateway, (&servers, &influxdb), whole, (recorded.rows, seconds)).await?);
        rows.extend(of_a_tenth(&gateway, (&servers, &influxdb), tenth).await?);
        gateway.program.stop();
        servers.stop().await?;
        Ok(rows)
    })
}

/// Records from the simulator through Kafka and the sink.
async fn record(
    room: &Room,
    servers: &Servers,
    influxdb: &InfluxDb,
    topic: &str,
) -> anyhow::Result<Recorded> {
    let name = sal_name(WIDEST);
    let rates =
        format!("- {{topics: {COMPONENT}.{name}, hertz: {HERTZ}}}\n- {{topics: \"*.*\", hertz: 0}}\n");
    let config = Config {
        components: vec![COMPONENT.to_owned()],
        interfaces: write(room.folder())?,
        ..Config::default()
    };
    let sent = fill(room, servers, (config, &rates), room.scaled(VALUES) / FIELDS / HERTZ).await?;
    let settings = json!({"components": [COMPONENT], "destinations": destination(&influxdb.url(), "efd")});
    let mut worker = Worker::start(room, servers, "range", &settings)?;
    worker.writes(sent).await?;
    let ask =
        ["count", "first", "last"].map(|what| format!("SELECT {what}(private_seqNum) FROM \"{topic}\""));
    let request = format!("{}/query?db=efd&epoch=ns&q={}", influxdb.url(), encoded(&ask.join(";")));
    let answer = Http::new(None)?.send(http::Request::get(request).body(Bytes::new())?, PATIENCE).await?;
    let answer: Value = serde_json::from_slice(answer.body())?;
    let number = |statement: usize, column: usize| {
        answer.pointer(&format!("/results/{statement}/series/0/values/0/{column}")).and_then(Value::as_i64)
    };
    let (Some(rows), Some(start), Some(end)) = (number(0, 1), number(1, 0), number(2, 0)) else {
        anyhow::bail!("InfluxDB has no rows: {answer}");
    };
    Ok(Recorded { rows: rows as f64, start, end })
}

fn encoded(text: &str) -> impl std::fmt::Display {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}

/// `QueryRange`, read by a client that does nothing with it; and the seconds that took.
async fn through_gateway(gateway: &Gateway, range: Range<'_>, rows: f64) -> anyhow::Result<(Vec<Row>, f64)> {
    let case = format!("{}, QueryRange", values(rows));
    let before = gateway.program.cpu_seconds()?;
    let read = readers::grpc(&gateway.grpc, range).await?;
    ensure!(read.rows == rows, "{} rows came of {rows}", read.rows);
    let cpu = gateway.program.cpu_seconds()? - before;
    let mut made = described(&case, read, rows);
    made.push(Row::new(&case, "CPU of the gateway, ns per value", each(cpu, rows)));
    let memory = gateway.program.most_megabytes()?;
    made.push(Row::new(&case, "most memory of the gateway, MB", memory).expected(Goal::AtMost(MEMORY)));
    Ok((made, read.seconds))
}

/// The same query by others: our Python package, curl on InfluxDB in pieces, since it would gather one object in its memory, and curl on
/// the gateway as one object, as most clients ask.
async fn beside(
    gateway: &Gateway,
    (servers, influxdb): (&Servers, &InfluxDb),
    range: Range<'_>,
    (rows, ours): (f64, f64),
) -> anyhow::Result<Vec<Row>> {
    let values = values(rows);
    let read = readers::python(Client::Efd, &gateway.grpc, &servers.registry, range).await?;
    ensure!(read.rows == rows, "{} rows came of {rows}", read.rows);
    let mut made = described(&format!("{values}, efd-client in parts"), read, rows);
    let pid = influxdb.pid().context("InfluxDB does not run")?;
    let case = format!("{values}, curl on InfluxDB");
    let before = cpu_seconds(pid)?;
    let own = readers::curl(&influxdb.url(), range, true).await?;
    made.extend(described(&case, own, rows));
    made.push(Row::new(&case, "CPU of InfluxDB, ns per value", each(cpu_seconds(pid)? - before, rows)));
    made.push(Row::new(&case, "QueryRange is faster, times", own.seconds / ours));
    let case = format!("{values}, curl on the gateway, one object");
    let before = gateway.program.cpu_seconds()?;
    let passed = readers::curl(&gateway.http, range, false).await?;
    made.extend(described(&case, passed, rows));
    let cpu = each(gateway.program.cpu_seconds()? - before, rows);
    made.push(Row::new(&case, "CPU of the gateway, ns per value", cpu));
    made.push(Row::new(&case, "values/s, % of InfluxDB's own", 100.0 * own.seconds / passed.seconds));
    let memory = gateway.program.most_megabytes()?;
    made.push(Row::new(&case, "most memory of the gateway, MB", memory).expected(Goal::AtMost(MEMORY)));
    Ok(made)
}

/// What fits into memory: `lsst-efd-client`, and the same rows by `QueryRange`.
async fn of_a_tenth(
    gateway: &Gateway,
    (servers, influxdb): (&Servers, &InfluxDb),
    range: Range<'_>,
) -> anyhow::Result<Vec<Row>> {
    let ours = readers::grpc(&gateway.grpc, range).await?;
    let values = values(ours.rows);
    let mut made = described(&format!("{values}, QueryRange"), ours, ours.rows);
    let theirs = readers::python(Client::Lsst, &influxdb.url(), &servers.registry, range).await?;
    ensure!(theirs.rows == ours.rows, "{} rows came of {}", theirs.rows, ours.rows);
    let case = format!("{values}, lsst-efd-client");
    made.extend(described(&case, theirs, theirs.rows));
    let faster = (theirs.seconds / theirs.rows) / (ours.seconds / ours.rows);
    made.push(Row::new(&case, "QueryRange is faster, times", faster).expected(Goal::AtLeast(1.0)));
    Ok(made)
}

fn described(case: &str, read: Reading, rows: f64) -> Vec<Row> {
    let mut made = vec![
        Row::new(case, "first rows, ms", read.first * 1e3),
        Row::new(case, "values/s", rows * FIELDS / read.seconds),
    ];
    if read.cpu > 0.0 {
        made.push(Row::new(case, "CPU of the reader, ns per value", each(read.cpu, rows)));
    }
    made
}

/// The whole millisecond at or before a time.
fn millisecond(nanos: i64) -> i64 {
    nanos - nanos.rem_euclid(1_000_000)
}

/// How many values so many rows have, for people.
fn values(rows: f64) -> String {
    let millions = rows * FIELDS / 1e6;
    format!("{millions:.*}M values", usize::from(millions < 10.0))
}

/// Nanoseconds for a value.
fn each(seconds: f64, rows: f64) -> f64 {
    seconds * 1e9 / (rows * FIELDS)
}
