//! One broker of Apache Kafka (KRaft, broker and controller in one process).

mod properties;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, bail};
use efd_kafka::{Admin, KafkaConfig};
use efd_service::Secret;
use nix::sys::signal::Signal;
use tokio::process::Command;

use super::process::{POLL, Process, server_folder};
use super::{Programs, START_TIMEOUT, free_port};

pub use properties::{Certificates, Security};

/// Any will do: 16 bytes in URL-safe base64.
const CLUSTER_ID: &str = "ZWZkLWRlbW8tY2x1c3Rlcg";

/// A running broker on the loopback interface.
#[derive(Debug)]
pub struct Kafka {
    process: Process,
    folder: PathBuf,
    jars: PathBuf,
    port: u16,
    security: Option<Security>,
}

impl Kafka {
    /// Formats a data folder under `parent` where there is none, starts the broker on a free port and waits until it answers.
    /// Clients need not authenticate.
    ///
    /// # Errors
    /// When Java or the jars are missing, or the broker does not answer within a minute.
    pub async fn start(programs: &Programs, parent: &Path) -> anyhow::Result<Self> {
        Self::start_with(programs, parent, None).await
    }

    /// As [`start`](Self::start), with demands on the clients.
    ///
    /// # Errors
    /// As [`start`](Self::start), or when the broker cannot use the certificates.
    pub async fn start_with(
        programs: &Programs,
        parent: &Path,
        security: Option<Security>,
    ) -> anyhow::Result<Self> {
        let folder = server_folder(parent, "kafka").context("cannot make the folder of Kafka")?;
        let jars = programs.kafka_jars.clone();
        if !jars.is_dir() {
            bail!(
                "no Apache Kafka in {}: run `make servers`, or name its jars in EFD_KAFKA_JARS",
                jars.display()
            );
        }
        let port = free_port()?;
        let properties = folder.join("server.properties");
        let ports = (port, free_port()?);
        fs::write(&properties, properties::server_properties(&folder, ports, security.as_ref()))?;
        let properties = properties.to_string_lossy().into_owned();
        let mut format = vec!["kafka.tools.StorageTool", "format", "--ignore-formatted"];
        format.extend(["-t", CLUSTER_ID, "-c", &properties]);
        let users = security.as_ref().map(Security::format_arguments).unwrap_or_default();
        format.extend(users.iter().map(String::as_str));
        run(&java(&jars, &format)).await.context("Kafka cannot format its data folder")?;
        let process = Process::start("Kafka", &folder, &java(&jars, &["kafka.Kafka", &properties]))?;
        let mut kafka = Self { process, folder, jars, port, security };
        kafka.ready().await?;
        Ok(kafka)
    }

    /// `host:port` of the broker.
    pub fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Settings of a client of this broker.
    pub fn config(&self) -> KafkaConfig {
        let mut config =
            KafkaConfig { bootstrap_servers: Some(self.bootstrap_servers()), ..KafkaConfig::default() };
        if let Some(security) = &self.security {
            security.apply(&mut config);
        }
        config
    }

    /// Gives the clients' user another password, as an operator would; clients that are connected stay so.
    ///
    /// # Errors
    /// When clients need no password, or Kafka's tool fails.
    pub async fn set_password(&mut self, password: &str) -> anyhow::Result<()> {
        let address = self.bootstrap_servers();
        let security = self.security.as_mut().context("this broker demands no password")?;
        let tool = self.folder.join("tool.properties");
        fs::write(&tool, security.tool_properties())?;
        let tool = tool.to_string_lossy();
        let setting = format!("SCRAM-SHA-512=[password={password}]");
        let command =
            ["kafka.admin.ConfigCommand", "--bootstrap-server", &address, "--command-config", &tool];
        let change =
            ["--alter", "--add-config", &setting, "--entity-type", "users", "--entity-name", &security.user];
        let command = java(&self.jars, &[&command[..], &change[..]].concat());
        run(&command).await.context("the password stays as it was")?;
        security.password = Secret::from(password);
        Ok(())
    }

    /// Process id.
    pub fn pid(&self) -> Option<i32> {
        self.process.pid()
    }

    /// Kills the broker.
    pub fn kill(&mut self) {
        self.process.stop(Signal::SIGKILL);
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
        let deadline = Instant::now() + START_TIMEOUT;
        let mut problem = "nobody listens".to_owned();
        while Instant::now() < deadline {
            self.process.check_alive()?;
            // A look at the port first: it is cheap, and a client that was refused waits before it tries again.
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                match Admin::new(&self.config(), "efd")?.brokers().await {
                    Ok(_) => return Ok(()),
                    Err(error) => problem = error.to_string(),
                }
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("Kafka does not answer on port {}: {problem}; its log: {}", self.port, self.process.log_end())
    }
}

/// A command line that runs a class of Kafka's.
fn java(jars: &Path, words: &[&str]) -> Vec<String> {
    let classes = format!("{}/*", jars.display());
    let start = ["java", "-Xms256m", "-Xmx1g", "-XX:+UseG1GC", "-XX:TieredStopAtLevel=4", "-cp", &classes];
    start.iter().chain(words).map(|word| (*word).to_owned()).collect()
}

/// Runs one of Kafka's tools to its end.
async fn run(command: &[String]) -> anyhow::Result<()> {
    let [program, arguments @ ..] = command else { bail!("no command") };
    // In a process group of its own: Ctrl-C in the terminal is for whoever started it.
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    let output = command
        .output()
        .await
        .context("cannot run java: install a Java runtime of version 17 or later (`make servers` does)")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
