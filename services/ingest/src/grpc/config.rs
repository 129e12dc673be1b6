//! Settings of the gRPC source.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use efd_service::{ConfigError, Env};
use serde::{Deserialize, Serialize};

/// How many connections and streams there may be, and samples or writers of one.
const COUNT: RangeInclusive<usize> = 1..=1_000_000;

/// The gRPC source, which other programs publish to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// Whether it is served at all. Default false.
    pub enabled: bool,
    /// Address. Default all interfaces, port 9182; `EFD_INGEST_GRPC` overrides.
    pub address: SocketAddr,
    /// Connections at the same time; further ones wait until one ends. Default 256.
    pub max_connections: usize,
    /// Streams that may publish at once, of all clients; more are refused. Default 64.
    pub max_streams: usize,
    /// Samples of one stream that may wait for their results; with more, the stream is not read. Default 4096.
    pub max_pending_samples: usize,
    /// Longest request. Default 1 MiB.
    pub max_request_bytes: ByteSize,
    /// Writers of one topic whose `private_seqNum` is kept; of more, the one that has been silent longest is forgotten, and
    /// counts from 1 again. Default 1000.
    pub max_writers: usize,
    /// Time without traffic after which a client is asked whether it is there. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub keepalive_interval: Duration,
    /// Time after which a client that does not answer that is given up. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub keepalive_timeout: Duration,
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9182)),
            max_connections: 256,
            max_streams: 64,
            max_pending_samples: 4096,
            max_request_bytes: ByteSize::mib(1),
            max_writers: 1000,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
        }
    }
}

impl GrpcConfig {
    /// Lets `EFD_INGEST_GRPC` override the address.
    ///
    /// # Errors
    /// When it is no address.
    pub fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        if let Some(address) = env.parsed("EFD_INGEST_GRPC")? {
            self.address = address;
        }
        Ok(())
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// Names the setting.
    pub fn check(&self) -> Result<(), ConfigError> {
        let counts = "must be between 1 and 1000000";
        let rules = [
            (COUNT.contains(&self.max_connections), "grpc.max_connections", counts),
            (COUNT.contains(&self.max_streams), "grpc.max_streams", counts),
            (COUNT.contains(&self.max_pending_samples), "grpc.max_pending_samples", counts),
            (COUNT.contains(&self.max_writers), "grpc.max_writers", counts),
            (self.max_request_bytes.as_u64() >= 1024, "grpc.max_request_bytes", "must be at least 1KiB"),
            (!self.keepalive_interval.is_zero(), "grpc.keepalive_interval", "must be more than 0s"),
            (!self.keepalive_timeout.is_zero(), "grpc.keepalive_timeout", "must be more than 0s"),
        ];
        for (holds, setting, problem) in rules {
            if !holds {
                return Err(ConfigError::invalid(setting, problem));
            }
        }
        Ok(())
    }
}
