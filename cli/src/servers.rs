//! Real servers for the demo and the tests: Apache Kafka and InfluxDB 1.x or 2.x as processes of this machine.
//!
//! Each server has a folder with its configuration, its data, its log, its process id (`pid`) and a script (`run`) that starts
//! it again by hand with the same addresses. Servers are stopped by process id, and when their value is dropped.

mod influxdb;
mod kafka;
mod process;

use std::collections::VecDeque;
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
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
/// out: one of them could take it before its server listens. This process gives no port twice, and other processes that ask here
/// leave its last ones alone: their UDP ports of the same numbers stay taken as long as this process runs.
///
/// # Errors
/// When there is none left.
pub fn free_port() -> anyhow::Result<u16> {
    const FIRST: u16 = 10_000;
    const PORTS: u16 = 20_000;
    /// More than the servers of all tests that run at once.
    const RESERVED: usize = 256;
    static GIVEN: Mutex<(Option<u16>, VecDeque<UdpSocket>)> = Mutex::new((None, VecDeque::new()));

    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let (last, reserved) = &mut *given;
    for _ in 0..PORTS {
        let next = match *last {
            Some(port) => port - FIRST + 1,
            // The system's own choice is as good as chance.
            None => {
                TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?.local_addr()?.port()
            }
        };
        let port = FIRST + next % PORTS;
        *last = Some(port);
        let Ok(reservation) = UdpSocket::bind(("127.0.0.1", port)) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            reserved.truncate(RESERVED - 1);
            reserved.push_front(reservation);
            return Ok(port);
        }
    }
    bail!("no free port from {FIRST} on 127.0.0.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_nor_to_another_process() {
        let mut ports: Vec<u16> = (0..300).map(|_| free_port().unwrap()).collect();
        let last = *ports.last().unwrap();
        UdpSocket::bind(("127.0.0.1", last)).unwrap_err();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 300);
    }
}
