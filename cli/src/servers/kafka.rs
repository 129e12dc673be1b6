//! One broker of Apache Kafka (KRaft, broker and controller in one process).

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, bail};
use efd_kafka::{Admin, KafkaConfig};
use nix::sys::signal::Signal;
use tokio::process::Command;

use super::process::{POLL, Process, server_folder};
use super::{Programs, START_TIMEOUT, free_port};

/// Any will do: 16 bytes in URL-safe base64.
const CLUSTER_ID: &str = "ZWZkLWRlbW8tY2x1c3Rlcg";

/// A running broker without authentication, on the loopback interface.
#[derive(Debug)]
pub struct Kafka {
    process: Process,
    port: u16,
}

impl Kafka {
    /// Formats a data folder under `parent` where there is none, starts the broker on a free port and waits until it answers.
    ///
    /// # Errors
    /// When Java or the jars are missing, or the broker does not answer within a minute.
    pub async fn start(programs: &Programs, parent: &Path) -> anyhow::Result<Self> {
        let folder = server_folder(parent, "kafka").context("cannot make the folder of Kafka")?;
        let jars = &programs.kafka_jars;
        if !jars.is_dir() {
            bail!(
                "no Apache Kafka in {}: run `make servers`, or name its jars in EFD_KAFKA_JARS",
                jars.display()
            );
        }
        let port = free_port()?;
        let properties = folder.join("server.properties");
        fs::write(&properties, server_properties(&folder, port, free_port()?))?;
        let classes = format!("{}/*", jars.display());
        let properties = properties.to_string_lossy().into_owned();
        let java = |words: &[&str]| {
            let start =
                ["java", "-Xms256m", "-Xmx512m", "-XX:+UseG1GC", "-XX:TieredStopAtLevel=4", "-cp", &classes];
            start.iter().chain(words).map(|word| (*word).to_owned()).collect::<Vec<_>>()
        };
        format_storage(&java, &properties).await?;
        let process = Process::start("Kafka", &folder, &java(&["kafka.Kafka", &properties]))?;
        let mut kafka = Self { process, port };
        kafka.ready().await?;
        Ok(kafka)
    }

    /// `host:port` of the broker.
    pub fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Settings of a client of this broker.
    pub fn config(&self) -> KafkaConfig {
        KafkaConfig { bootstrap_servers: Some(self.bootstrap_servers()), ..KafkaConfig::default() }
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
        while Instant::now() < deadline {
            self.process.check_alive()?;
            // A look at the port first: it is cheap, and a client that was refused waits before it tries again.
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()
                && Admin::new(&self.config(), "efd")?.brokers().await.is_ok_and(|brokers| brokers > 0)
            {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("Kafka does not answer on port {}: {}", self.port, self.process.log_end())
    }
}

async fn format_storage(java: &impl Fn(&[&str]) -> Vec<String>, properties: &str) -> anyhow::Result<()> {
    let words = java(&[
        "kafka.tools.StorageTool",
        "format",
        "--ignore-formatted",
        "-t",
        CLUSTER_ID,
        "-c",
        properties,
    ]);
    let [program, arguments @ ..] = words.as_slice() else { bail!("no command") };
    // In a process group of its own, as the server itself: see `background` in process.rs.
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    let output = command
        .output()
        .await
        .context("cannot run java: install a Java runtime of version 17 or later (`make servers` does)")?;
    if !output.status.success() {
        bail!("Kafka cannot format its data folder: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn server_properties(folder: &Path, port: u16, controller: u16) -> String {
    let data = folder.join("data");
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
",
        data.display()
    )
}
