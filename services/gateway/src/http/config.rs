//! Settings of InfluxQL over HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytesize::ByteSize;
use efd_service::{ConfigError, Env};
use serde::{Deserialize, Serialize};

/// InfluxQL over HTTP, as InfluxDB 1.x speaks it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Whether it is served at all. Default true.
    pub enabled: bool,
    /// Address. Default all interfaces, port 8080; `EFD_GATEWAY_HTTP` overrides.
    pub address: SocketAddr,
    /// Path before `/query`, `/ping` and `/health`, such as `/influxdb/`. Default `/`.
    pub path: String,
    /// Longest request: text of the query and what stands beside it. Default 1 MiB.
    pub max_query_bytes: ByteSize,
    /// Queries that InfluxDB works on at the same time for all clients. Default 16.
    pub max_running: usize,
    /// Queries that may wait for one of these to end. Default 64.
    pub max_waiting: usize,
    /// How long one may wait; then the client is told to try again. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub max_wait: Duration,
    /// How long a query may take until the end of its answer, also where the client is what is slow. Default 15 m, as long as
    /// `lsst-efd-client` waits.
    #[serde(with = "humantime_serde")]
    pub max_time: Duration,
    /// Rows that InfluxDB gathers before it sends them, and looks whether anybody still wants them, where the client does not say.
    /// Default 250.
    pub chunk_rows: usize,
    /// Connections at the same time; further ones wait until one ends. Default 1024.
    pub max_connections: usize,
    /// How long a connection may be without a request, and the head of one may take to come; then it is closed. Default
    /// 60 s.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long the body of a request may take to come. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            path: "/".to_owned(),
            max_query_bytes: ByteSize::mib(1),
            max_running: 16,
            max_waiting: 64,
            max_wait: Duration::from_secs(2),
            max_time: Duration::from_secs(900),
            chunk_rows: 250,
            max_connections: 1024,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(10),
        }
    }
}

impl HttpConfig {
    /// Lets the environment override the file.
    ///
    /// # Errors
    /// When the address is none.
    pub fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        if let Some(address) = env.parsed("EFD_GATEWAY_HTTP")? {
            self.address = address;
        }
        Ok(())
    }

    /// Whether every setting makes sense.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            (is_folder(&self.path), "http.path", "must begin and end with /"),
            (self.max_query_bytes.as_u64() > 0, "http.max_query_bytes", "must be more than 0"),
            (self.max_running > 0, "http.max_running", "must be more than 0"),
            (!self.max_time.is_zero(), "http.max_time", "must be more than 0s"),
            (self.chunk_rows > 0, "http.chunk_rows", "must be more than 0"),
            (self.max_connections > 0, "http.max_connections", "must be more than 0"),
            (!self.header_timeout.is_zero(), "http.header_timeout", "must be more than 0s"),
            (!self.body_timeout.is_zero(), "http.body_timeout", "must be more than 0s"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, problem)) => Err(ConfigError::invalid(setting, problem)),
            None => Ok(()),
        }
    }
}

/// Whether a path begins and ends with a slash and needs no escapes.
pub fn is_folder(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~');
    path.starts_with('/') && path.ends_with('/') && path.chars().all(is_plain)
}
