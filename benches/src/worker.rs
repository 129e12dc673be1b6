//! The sink in a process of its own.

use std::time::{Duration, Instant};

use anyhow::bail;
use efd::Metrics;
use serde_json::{Value, json};

use crate::program::{Program, SINK};
use crate::room::{Room, Servers};

/// Bound on anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(600);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A sink worker.
#[derive(Debug)]
pub struct Worker(Program);

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
        let mut all = json!({
            "worker": name,
            "kafka": {"bootstrap_servers": servers.kafka.bootstrap_servers()},
            "registry": {"url": servers.registry},
        });
        if let (Some(all), Some(more)) = (all.as_object_mut(), settings.as_object()) {
            all.extend(more.clone());
        }
        Ok(Self(Program::start(&room.folder().join(name), SINK, &all)?))
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
            cpu_per_value: self.0.cpu_seconds()? * 1e9 / last_values,
            megabytes: self.0.most_megabytes()?,
        })
    }

    /// Waits until it owns so many partitions.
    ///
    /// # Errors
    /// When it ends or takes longer than ten minutes.
    pub async fn owns(&mut self, partitions: f64) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.0.process.check_alive()?;
            let owned = self.metrics().await.map(|metrics| metrics.sum("efd_sink_assigned_partitions", &[]));
            if owned.is_ok_and(|owned| owned >= partitions) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("it does not own {partitions} partitions in time: {}", self.0.process.log_end());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn reaches(&mut self, wanted: f64) -> anyhow::Result<(Metrics, f64, f64, Instant)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.0.process.check_alive()?;
            if let Ok(metrics) = self.metrics().await {
                let points = metrics.sum("efd_sink_points_written_total", &[]);
                let values = metrics.sum("efd_sink_values_written_total", &[]);
                if points >= wanted {
                    return Ok((metrics, points, values, Instant::now()));
                }
            }
            if Instant::now() > deadline {
                bail!("{wanted} points were not written in time: {}", self.0.process.log_end());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Its metrics.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        self.0.metrics().await
    }

    /// Largest resident memory so far.
    ///
    /// # Errors
    /// When it does not run.
    pub fn megabytes(&self) -> anyhow::Result<f64> {
        self.0.most_megabytes()
    }
}
