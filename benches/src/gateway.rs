//! The gateway in a process of its own, with its usual settings.

use std::time::{Duration, Instant};

use anyhow::ensure;
use efd::servers::{InfluxDb, free_port};
use serde_json::json;

use crate::program::{GATEWAY, Program};
use crate::room::{Room, Servers};

/// Bound on its start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway that is ready.
#[derive(Debug)]
pub struct Gateway {
    /// Its process.
    pub program: Program,
    /// Address of its gRPC.
    pub grpc: String,
    /// Address of its HTTP.
    pub http: String,
}

impl Gateway {
    /// Starts it before a database of InfluxDB 1.x.
    ///
    /// # Errors
    /// When it is not ready in time.
    pub async fn start(
        room: &Room,
        servers: &Servers,
        influxdb: &InfluxDb,
        database: &str,
    ) -> anyhow::Result<Self> {
        let (grpc, http) = (free_port()?, free_port()?);
        let settings = json!({
            "grpc": format!("127.0.0.1:{grpc}"),
            "http": {"address": format!("127.0.0.1:{http}")},
            "registry": {"url": servers.registry},
            "kafka": {"bootstrap_servers": servers.kafka.bootstrap_servers()},
            "influxdb": {"url": influxdb.url(), "database": database},
        });
        let mut program = Program::start(&room.folder().join("gateway"), GATEWAY, &settings)?;
        let started = Instant::now();
        while !program.is_ready() {
            program.process.check_alive()?;
            ensure!(started.elapsed() < PATIENCE, "the gateway is not ready: {}", program.process.log_end());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let local = |port| format!("http://127.0.0.1:{port}");
        Ok(Self { program, grpc: local(grpc), http: local(http) })
    }
}
