//! A service as a process of its own, so that its processor time and memory are its own: this program under another name.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use efd::Metrics;
use efd::servers::{Process, Signal, free_port};
use efd_service::http::Client;
use serde_json::{Value, json};

use crate::machine::cpu_seconds;

/// The name under which this program is the sink.
pub const SINK: &str = "efd-sink";
/// The name under which it is the registry.
pub const REGISTRY: &str = "efd-registry";
/// The name under which it is the gateway.
pub const GATEWAY: &str = "efd-gateway";
/// A service.
#[derive(Debug)]
pub struct Program {
    pub process: Process,
    admin: String,
    client: Client,
}

/// Is the service whose name this program was started under; none when that is its own.
pub fn service() -> Option<ExitCode> {
    let program = std::env::args_os().next().map(std::path::PathBuf::from)?;
    match program.file_name()?.to_str()? {
        SINK => Some(efd_service::main(SINK, "The sink, measured", efd_sink::run)),
        REGISTRY => Some(efd_service::main(REGISTRY, "The registry, measured", efd_registry::run)),
        GATEWAY => Some(efd_service::main(GATEWAY, "The gateway, measured", efd_gateway::run)),
        _ => None,
    }
}

impl Program {
    /// Starts the service `name` in a folder, with `settings` over those that each has; ready or not.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(folder: &Path, name: &'static str, settings: &Value) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let program = folder.join(name);
        if !program.exists() {
            std::os::unix::fs::symlink(std::env::current_exe()?, &program)?;
        }
        let admin = format!("127.0.0.1:{}", free_port()?);
        let mut all = json!({"service": {"admin": admin, "log": {"filter": "warn"}}});
        if let (Some(all), Some(more)) = (all.as_object_mut(), settings.as_object()) {
            all.extend(more.clone());
        }
        let file = folder.join("config.yaml");
        // JSON is YAML too.
        fs::write(&file, all.to_string())?;
        let words = [program.as_path(), Path::new("--config"), &file].map(|word| word.display().to_string());
        let process = Process::start(name, folder, &words)?;
        Ok(Self { process, admin: format!("http://{admin}"), client: Client::new(None)? })
    }

    /// Whether it says that it is ready.
    pub fn is_ready(&self) -> bool {
        let ask = || {
            let mut stream = TcpStream::connect(self.admin.trim_start_matches("http://"))?;
            stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            std::io::Result::Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Its metrics.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        Metrics::scrape(&self.client, &self.admin).await
    }

    /// Processor time so far, seconds.
    ///
    /// # Errors
    /// When it does not run.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        cpu_seconds(self.pid()?)
    }

    /// Largest resident memory so far, megabytes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn most_megabytes(&self) -> anyhow::Result<f64> {
        self.megabytes("VmHWM:")
    }

    /// Resident memory now, megabytes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resident_megabytes(&self) -> anyhow::Result<f64> {
        self.megabytes("VmRSS:")
    }

    /// Ends it cleanly.
    pub fn stop(mut self) {
        self.process.stop(Signal::SIGTERM);
    }

    fn megabytes(&self, name: &'static str) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context(name)?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1e3 * 1.024)
    }

    fn pid(&self) -> anyhow::Result<i32> {
        self.process.pid().context("the service does not run")
    }
}
