//! A service as a process: the real binary with a settings file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use efd::Metrics;
use efd::servers::{Process, Signal};
use efd_service::http::Client;

use crate::{DEADLINE, eventually};

/// A running service.
#[derive(Debug)]
pub struct Service {
    process: Process,
    admin: String,
    client: Client,
}

/// A binary of the workspace; `make test` builds them before the tests.
///
/// # Errors
/// When it was not built.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let tests = std::env::current_exe()?;
    let target = tests.parent().and_then(Path::parent).context("tests run from target/<profile>/deps")?;
    let path = target.join(name);
    if !path.is_file() {
        bail!("{} is not built: run `cargo build --workspace` first", path.display());
    }
    Ok(path)
}

impl Service {
    /// Starts `efd-<name>` on `settings` (YAML, which names 127.0.0.1:`admin` as admin address) with `environment`.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn start(
        name: &'static str,
        folder: &Path,
        settings: &str,
        admin: u16,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let here = folder.join(name);
        std::fs::create_dir_all(&here)?;
        let file = here.join("settings.yaml");
        std::fs::write(&file, settings)?;
        let mut command = vec!["env".to_owned()];
        command.extend(environment.iter().map(|(name, value)| format!("{name}={value}")));
        command.push(binary(&format!("efd-{name}"))?.to_string_lossy().into_owned());
        command.extend(["--config".into(), file.to_string_lossy().into_owned()]);
        let process = Process::start(name, &here, &command)?;
        Ok(Self { process, admin: format!("http://127.0.0.1:{admin}"), client: Client::new(None)? })
    }

    /// Address of its admin port.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready in time.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let deadline = std::time::Instant::now() + DEADLINE;
        loop {
            self.process.check_alive()?;
            let request = http::Request::get(format!("{}/readyz", self.admin)).body(Bytes::new())?;
            let answer = self.client.send(request, DEADLINE).await;
            if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if std::time::Instant::now() > deadline {
                bail!("not ready: {answer:?}; log: {}", self.process.log_end());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Status and text of its `/readyz`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn readiness(&self) -> anyhow::Result<(u16, String)> {
        let request = http::Request::get(format!("{}/readyz", self.admin)).body(Bytes::new())?;
        let answer = self.client.send(request, DEADLINE).await?;
        Ok((answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned()))
    }

    /// Its metrics.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        Metrics::scrape(&self.client, &self.admin).await
    }

    /// Waits until the sum of a metric over all labels is at least `value`.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn metric_reaches(&self, name: &str, value: f64) -> anyhow::Result<()> {
        eventually(&format!("{name} is {value}"), || async {
            let sum = self.metrics().await?.sum(name, &[]);
            if sum >= value { Ok(true) } else { bail!("{name} is {sum}") }
        })
        .await
    }

    /// Kills it, as a failing machine would.
    pub fn kill(&mut self) {
        self.process.stop(Signal::SIGKILL);
    }

    /// Stops its clock, as a machine does that is out of memory or asleep, until [`resume`](Self::resume).
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.process.signal(Signal::SIGSTOP)
    }

    /// Lets a paused one go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.process.signal(Signal::SIGCONT)
    }

    /// Starts it again with the same settings.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.process.start_again()
    }

    /// Asks it to stop, as Kubernetes does, and gives its exit code; none when it was killed by a signal.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub async fn terminate(&mut self) -> anyhow::Result<Option<i32>> {
        self.process.signal(Signal::SIGTERM)?;
        self.ended().await
    }

    /// Waits until it ends by itself; its exit code.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        let deadline = std::time::Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status.code());
            }
            if std::time::Instant::now() > deadline {
                bail!("still running; log: {}", self.process.log_end());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let pid = self.process.pid().context("it does not run")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024)
    }

    /// Everything it logged.
    ///
    /// # Errors
    /// When there is no log.
    pub fn log(&self) -> anyhow::Result<String> {
        self.process.log()
    }
}
