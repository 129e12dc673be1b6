//! The sink as a process of its own, so that its processor time and memory are its own: this program under another name.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use efd::Metrics;
use efd::servers::{Process, free_port};
use efd_service::http::Client;
use serde_json::{Value, json};

use crate::room::{Room, Servers};

/// The name under which this program is the sink.
pub const NAME: &str = "efd-sink";
/// Bound on anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(600);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Ticks of processor time in a second, as Linux counts for its users.
const TICKS: f64 = 100.0;

/// A sink worker.
#[derive(Debug)]
pub struct Worker {
    process: Process,
    admin: String,
    client: Client,
}

/// What a run came to.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Points a second, from the first ones to the last.
    pub points_per_second: f64,
    /// Values a second likewise.
    pub values_per_second: f64,
    /// Nanoseconds of processor time for a value, start and all included.
    pub cpu_per_value: f64,
    /// Largest resident memory, megabytes.
    pub megabytes: f64,
}

impl Worker {
    /// Starts it on its own group, with `settings` over those for the servers; ready or not.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(room: &Room, servers: &Servers, name: &str, settings: &Value) -> anyhow::Result<Self> {
        let folder = room.folder().join(name);
        fs::create_dir_all(&folder)?;
        let program = folder.join(NAME);
        if !program.exists() {
            std::os::unix::fs::symlink(std::env::current_exe()?, &program)?;
        }
        let port = free_port()?;
        let admin = format!("127.0.0.1:{port}");
        let mut all = json!({
            "service": {"admin": admin, "log": {"filter": "warn"}},
            "worker": name,
            "kafka": {"bootstrap_servers": servers.kafka.bootstrap_servers()},
            "registry": {"url": servers.registry},
        });
        if let (Some(all), Some(more)) = (all.as_object_mut(), settings.as_object()) {
            all.extend(more.clone());
        }
        let file = folder.join("config.yaml");
        // JSON is YAML too.
        fs::write(&file, all.to_string())?;
        let words = [program.as_path(), Path::new("--config"), &file].map(|word| word.display().to_string());
        let process = Process::start("sink", &folder, &words)?;
        Ok(Self { process, admin: format!("http://{admin}"), client: Client::new(None)? })
    }

    /// Waits until it has written all of `points`; what that came to.
    ///
    /// # Errors
    /// When it ends or takes longer than ten minutes.
    pub async fn writes(&mut self, points: f64) -> anyhow::Result<Run> {
        let (_, first_points, first_values, start) = self.reaches(1.0).await?;
        let (metrics, last_points, last_values, end) = self.reaches(points).await?;
        anyhow::ensure!(metrics.sum("efd_sink_records_dead_total", &[]) == 0.0, "records were dead-lettered");
        let seconds = end.duration_since(start).as_secs_f64();
        Ok(Run {
            points_per_second: (last_points - first_points) / seconds,
            values_per_second: (last_values - first_values) / seconds,
            cpu_per_value: self.cpu_seconds()? * 1e9 / last_values,
            megabytes: self.megabytes()?,
        })
    }

    /// Waits until it owns so many partitions.
    ///
    /// # Errors
    /// When it ends or takes longer than ten minutes.
    pub async fn owns(&mut self, partitions: f64) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.process.check_alive()?;
            let owned = self.metrics().await.map(|metrics| metrics.sum("efd_sink_assigned_partitions", &[]));
            if owned.is_ok_and(|owned| owned >= partitions) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("it does not own {partitions} partitions in time: {}", self.process.log_end());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn reaches(&mut self, wanted: f64) -> anyhow::Result<(Metrics, f64, f64, Instant)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.process.check_alive()?;
            if let Ok(metrics) = self.metrics().await {
                let points = metrics.sum("efd_sink_points_written_total", &[]);
                let values = metrics.sum("efd_sink_values_written_total", &[]);
                if points >= wanted {
                    return Ok((metrics, points, values, Instant::now()));
                }
            }
            if Instant::now() > deadline {
                bail!("{wanted} points were not written in time: {}", self.process.log_end());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Its metrics.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        Metrics::scrape(&self.client, &self.admin).await
    }

    fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()?))?;
        // The name in parentheses may hold blanks.
        let (_, rest) = stat.rsplit_once(')').context("no name in stat")?;
        let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<f64, _>>()? / TICKS)
    }

    /// Largest resident memory so far.
    ///
    /// # Errors
    /// When it does not run.
    pub fn megabytes(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1e3 * 1.024)
    }

    fn pid(&self) -> anyhow::Result<i32> {
        self.process.pid().context("the sink does not run")
    }
}
