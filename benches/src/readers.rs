//! Those who read a range: a client of gRPC in this process, clients in Python, and curl.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use efd_proto::query::v1::query_range_response::Part;
use efd_proto::query::v1::query_service_client::QueryServiceClient;
use efd_proto::query::v1::{QueryRangeRequest, Selection, TimeRange};
use prost_types::Timestamp;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tonic::transport::Endpoint;

use crate::machine::cpu_time;

/// Bound on one reader.
const PATIENCE: Duration = Duration::from_secs(900);
/// Window of a stream, as `efd` and the Python package have it.
const WINDOW: u32 = 4 << 20;
/// Largest answer.
const MAX_ANSWER: usize = 64 << 20;

/// What is read: all fields of a topic between two times in Unix nanoseconds, both included.
#[derive(Debug, Clone, Copy)]
pub struct Range<'a> {
    /// Name of the topic.
    pub topic: &'a str,
    /// First time.
    pub start: i64,
    /// Last time.
    pub end: i64,
}

/// What reading came to.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Seconds to the first rows.
    pub first: f64,
    /// Seconds to the last.
    pub seconds: f64,
    /// Processor time of the reader, seconds.
    pub cpu: f64,
    /// Rows; curl counts none.
    pub rows: f64,
}

/// A program of Python.
#[derive(Debug, Clone, Copy)]
pub enum Client {
    /// Our package, from the gateway.
    Efd,
    /// `lsst-efd-client`, from InfluxDB itself.
    Lsst,
}

impl Range<'_> {
    /// The same statement that clients send.
    fn statement(&self) -> String {
        let Self { topic, start, end } = self;
        format!("SELECT * FROM autogen.\"{topic}\" WHERE time >= {start} AND time <= {end}")
    }
}

/// Reads over gRPC.
///
/// # Errors
/// When the gateway refuses.
pub async fn grpc(address: &str, range: Range<'_>) -> anyhow::Result<Reading> {
    let endpoint = Endpoint::from_shared(address.to_owned())?
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let client = QueryServiceClient::new(endpoint.connect().await?);
    let time = |nanos: i64| {
        let seconds = nanos.div_euclid(1_000_000_000);
        i32::try_from(nanos.rem_euclid(1_000_000_000)).ok().map(|nanos| Timestamp { seconds, nanos })
    };
    let request = QueryRangeRequest {
        selections: vec![Selection { topic: range.topic.to_owned(), ..Selection::default() }],
        range: Some(TimeRange { start: time(range.start), end: time(range.end), ..TimeRange::default() }),
        ..QueryRangeRequest::default()
    };
    let (started, cpu) = (Instant::now(), cpu_time()?);
    let mut client = client.max_decoding_message_size(MAX_ANSWER);
    let mut answer = client.query_range(request).await?.into_inner();
    let (mut first, mut rows) = (None, 0);
    while let Some(message) = answer.message().await? {
        if let Some(Part::Batch(batch)) = message.part {
            first.get_or_insert_with(|| started.elapsed());
            rows += batch.times.len();
        }
    }
    Ok(Reading {
        first: first.context("no rows came")?.as_secs_f64(),
        seconds: started.elapsed().as_secs_f64(),
        cpu: cpu_time()?.saturating_sub(cpu).as_secs_f64(),
        rows: rows as f64,
    })
}

/// Reads with a client in Python.
///
/// # Errors
/// When its environment cannot be made, or it fails.
pub async fn python(
    client: Client,
    address: &str,
    registry: &str,
    range: Range<'_>,
) -> anyhow::Result<Reading> {
    let clients = root().join("tests/clients");
    let (name, requirements) = match client {
        Client::Efd => ("efd", root().join("python/requirements.txt")),
        Client::Lsst => ("lsst", clients.join("efd-client/requirements.txt")),
    };
    let python = output(Command::new(clients.join("environment")).arg(requirements)).await?;
    let mut command = Command::new(python.trim());
    if matches!(client, Client::Efd) {
        let package = output(&mut Command::new(clients.join("environment-efd"))).await?;
        command.env("PYTHONPATH", package.trim());
    }
    command.arg("-B").arg(root().join("benches/read_range.py")).args([name, "--address", address]);
    let [start, end] = [range.start, range.end].map(|time| time.to_string());
    command.args(["--registry", registry, "--topic", range.topic, "--start", &start, "--end", &end]);
    let document: Value = serde_json::from_str(&output(&mut command).await?)?;
    let number = |key: &str| document.get(key).and_then(Value::as_f64).context("no such number");
    Ok(Reading {
        first: number("first")?,
        seconds: number("seconds")?,
        cpu: number("cpu")?,
        rows: number("rows")?,
    })
}

/// Reads with curl, from the gateway or from InfluxDB itself, in pieces or as one object.
///
/// # Errors
/// When it fails.
pub async fn curl(address: &str, range: Range<'_>, in_pieces: bool) -> anyhow::Result<Reading> {
    let query = format!("q={}", range.statement());
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--fail", "--no-buffer", "--data-urlencode", &query])
        .args(["--data", "db=efd", "--data", "epoch=ns", "--data", &format!("chunked={in_pieces}")])
        .arg(format!("{address}/query"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let started = Instant::now();
    let mut child = command.spawn().context("curl")?;
    let mut out = child.stdout.take().context("curl has no output")?;
    let reading = async {
        let (mut buffer, mut first) = (vec![0; 1 << 16], None);
        while out.read(&mut buffer).await? > 0 {
            first.get_or_insert_with(|| started.elapsed());
        }
        ensure!(child.wait().await?.success(), "curl on {address} failed");
        first.context("curl read nothing")
    };
    let first = tokio::time::timeout(PATIENCE, reading).await.context("curl does not end")??;
    Ok(Reading { first: first.as_secs_f64(), seconds: started.elapsed().as_secs_f64(), cpu: 0.0, rows: 0.0 })
}

/// What a program prints.
async fn output(command: &mut Command) -> anyhow::Result<String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let ended = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = ended.with_context(|| format!("{program} does not end"))?.context(program.clone())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
