//! One InfluxDB, of generation 1.x or 2.x.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::ValueEnum;
use efd_service::Secret;
use efd_service::http::Client;
use nix::sys::signal::Signal;
use serde_json::json;

use super::process::{POLL, Process, server_folder};
use super::{Programs, START_TIMEOUT, free_port};
use crate::influxdb::InfluxDbConfig;

/// Bound on one request while starting.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Token of a test server that nobody else can reach.
const TOKEN: &str = "efd-demo-token";

/// Which InfluxDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Generation {
    /// InfluxDB 1.x: `/write`, a database and a retention policy.
    #[value(name = "1")]
    V1,
    /// InfluxDB 2.x: `/api/v2/write`, an organisation, a bucket and a token.
    #[value(name = "2")]
    V2,
}

/// A running InfluxDB on the loopback interface.
#[derive(Debug)]
pub struct InfluxDb {
    process: Process,
    generation: Generation,
    port: u16,
}

impl InfluxDb {
    /// Starts InfluxDB on a free port under `parent` and waits until it answers; 2.x is also set up with the organisation
    /// `efd`, the bucket `efd/autogen` and a token.
    ///
    /// # Errors
    /// When the program is missing or does not answer within a minute.
    pub async fn start(programs: &Programs, generation: Generation, parent: &Path) -> anyhow::Result<Self> {
        let folder = server_folder(parent, "influxdb").context("cannot make the folder of InfluxDB")?;
        let port = free_port()?;
        let command = match generation {
            Generation::V1 => command_of_1(programs, &folder, port)?,
            Generation::V2 => command_of_2(programs, &folder, port)?,
        };
        let process = Process::start("InfluxDB", &folder, &command)?;
        let mut influxdb = Self { process, generation, port };
        influxdb.ready().await?;
        if generation == Generation::V2 {
            influxdb.set_up().await?;
        }
        Ok(influxdb)
    }

    /// Address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Which InfluxDB.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// How to write and query: address, database, and for 2.x organisation, bucket and token.
    pub fn config(&self) -> InfluxDbConfig {
        let mut config = InfluxDbConfig { url: Some(self.url()), ..InfluxDbConfig::default() };
        if self.generation == Generation::V2 {
            config.version = 2;
            config.token = Secret::from(TOKEN);
        }
        config
    }

    /// Process id.
    pub fn pid(&self) -> Option<i32> {
        self.process.pid()
    }

    /// The script that starts it again after somebody stopped it.
    pub fn run_script(&self) -> std::path::PathBuf {
        self.process.run_script()
    }

    /// Stops it as its operator would (SIGINT: 2.x takes SIGTERM for a kill).
    pub fn stop(&mut self) {
        self.process.stop(Signal::SIGINT);
    }

    /// Starts it again on the same port with the same data, and waits until it answers.
    ///
    /// # Errors
    /// When it does not answer within a minute.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.process.start_again()?;
        self.ready().await
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let client = Client::new(None)?;
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            self.process.check_alive()?;
            let ping = http::Request::get(format!("{}/ping", self.url())).body(Bytes::new())?;
            if client.send(ping, REQUEST_TIMEOUT).await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("InfluxDB does not answer on port {}: {}", self.port, self.process.log_end())
    }

    /// Does nothing on the data of an InfluxDB that was set up before.
    async fn set_up(&self) -> anyhow::Result<()> {
        let client = Client::new(None)?;
        let url = format!("{}/api/v2/setup", self.url());
        let answer = client.send(http::Request::get(&url).body(Bytes::new())?, REQUEST_TIMEOUT).await?;
        let answer: serde_json::Value = serde_json::from_slice(answer.body())?;
        if answer.get("allowed").and_then(serde_json::Value::as_bool) == Some(false) {
            return Ok(());
        }
        let body = json!({"username": "efd", "password": "efd-demo-password", "org": "efd", "bucket": "efd/autogen", "token": TOKEN});
        let request = http::Request::post(url)
            .header("content-type", "application/json")
            .body(Bytes::from(body.to_string()))?;
        let answer = client.send(request, REQUEST_TIMEOUT).await?;
        if !answer.status().is_success() {
            bail!("InfluxDB refused its set-up: {}", String::from_utf8_lossy(answer.body()));
        }
        Ok(())
    }
}

fn command_of_1(programs: &Programs, folder: &Path, port: u16) -> anyhow::Result<Vec<String>> {
    let config = folder.join("influxdb.conf");
    let here = folder.display();
    let text = format!(
        "reporting-disabled = true
bind-address = \"127.0.0.1:{}\"
[meta]
dir = \"{here}/meta\"
[data]
dir = \"{here}/data\"
wal-dir = \"{here}/wal\"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = \"127.0.0.1:{port}\"
log-enabled = false
",
        free_port()?
    );
    fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    Ok([&programs.influxd1, Path::new("-config"), &config]
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect())
}

fn command_of_2(programs: &Programs, folder: &Path, port: u16) -> anyhow::Result<Vec<String>> {
    let program = &programs.influxd2;
    if !program.is_file() {
        bail!(
            "no InfluxDB 2.x at {}: run `make influxdb2`, or name its influxd in EFD_INFLUXD2",
            program.display()
        );
    }
    let here = folder.display();
    Ok(vec![
        program.to_string_lossy().into_owned(),
        format!("--http-bind-address=127.0.0.1:{port}"),
        format!("--bolt-path={here}/influxd.bolt"),
        format!("--sqlite-path={here}/influxd.sqlite"),
        format!("--engine-path={here}/engine"),
        "--reporting-disabled".into(),
        "--log-level=error".into(),
    ])
}
