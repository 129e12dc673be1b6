//! Real servers for the demo and the tests: Apache Kafka and InfluxDB 1.x or 2.x as processes of this machine.
//!
//! Each server has a folder with its configuration, its data, its log, its process id (`pid`) and a script (`run`) that starts
//! it again by hand with the same addresses. Servers are stopped by process id, and when their value is dropped.

mod influxdb;
mod kafka;
mod process;

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use efd_service::Env;

pub use influxdb::{Generation, InfluxDb};
pub use kafka::{Certificates, Kafka, Security};
pub use nix::sys::signal::Signal;
pub use process::Process;

/// Bound on the start of one server.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the servers' programs are; `make` puts them there.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Folder with the jars of Apache Kafka.
    pub kafka_jars: PathBuf,
    /// `influxd` of InfluxDB 1.x.
    pub influxd1: PathBuf,
    /// `influxd` of InfluxDB 2.x.
    pub influxd2: PathBuf,
}

impl Programs {
    /// The places where `make` puts them, or what `EFD_KAFKA_JARS`, `EFD_INFLUXD1` and `EFD_INFLUXD2` name.
    pub fn locate(env: &Env) -> Self {
        let home = env.get("HOME").unwrap_or("/").to_owned();
        let cache =
            env.get("XDG_CACHE_HOME").map_or_else(|| PathBuf::from(home).join(".cache"), PathBuf::from);
        let place = |name: &str, default: PathBuf| env.get(name).map_or(default, PathBuf::from);
        Self {
            kafka_jars: place("EFD_KAFKA_JARS", cache.join("efd/kafka-4.3.1")),
            influxd1: place("EFD_INFLUXD1", PathBuf::from("influxd")),
            influxd2: place("EFD_INFLUXD2", cache.join("efd/influxdb2-2.8.0/influxd")),
        }
    }
}

/// A TCP port of the loopback interface that nobody listens on now, and none of those that the system gives to connections that go
/// out: one of them could take it before its server listens.
///
/// # Errors
/// When the system has none left.
pub fn free_port() -> anyhow::Result<u16> {
    const FIRST: u16 = 10_000;
    const PORTS: u16 = 20_000;
    const TRIES: u16 = 100;
    let bind = |port: u16| TcpListener::bind(("127.0.0.1", port));
    let mut given = 0;
    for _ in 0..TRIES {
        // The system's own choice is as good as chance.
        given = bind(0).context("no free port on 127.0.0.1")?.local_addr()?.port();
        let port = FIRST + given % PORTS;
        if bind(port).is_ok() {
            return Ok(port);
        }
    }
    Ok(given)
}
