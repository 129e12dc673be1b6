//! Settings of the HTTP source.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytesize::ByteSize;
use efd_service::{ConfigError, Env};
use serde::{Deserialize, Serialize};

/// The HTTP source, compatible with the Kafka REST Proxy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Whether it is served at all. Default false.
    pub enabled: bool,
    /// Address. Default all interfaces, port 8082; `EFD_INGEST_HTTP` overrides.
    pub address: SocketAddr,
    /// Beginnings of the Kafka topics that may be written to and created. Not empty when it is enabled.
    pub prefixes: Vec<String>,
    /// Longest body of a request. Default 4 MiB.
    pub max_body_bytes: ByteSize,
    /// Bodies of the requests worked on at the same time, together; with more, a client is told to try again (429). Default
    /// 32 MiB.
    pub max_in_flight_bytes: ByteSize,
    /// Requests worked on at the same time; with more, a client is told to try again (429). Default 64.
    pub max_requests: usize,
    /// Connections at the same time; further ones wait until one ends. Default 256.
    pub max_connections: usize,
    /// How long a connection may be without a request, and the head of one may take to come; then it is closed. Default
    /// 30 s.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long the body of a request may take to come. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// How long Kafka may take to acknowledge a record; then the client is told to send it again. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub delivery_timeout: Duration,
    /// Texts of schemas kept ready, so that the registry is not asked for each request. Default 16 MiB.
    pub schema_cache_bytes: ByteSize,
    /// How old the list of topics may be. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub metadata_refresh: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8082)),
            prefixes: Vec::new(),
            max_body_bytes: ByteSize::mib(4),
            max_in_flight_bytes: ByteSize::mib(32),
            max_requests: 64,
            max_connections: 256,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(10),
            delivery_timeout: Duration::from_secs(30),
            schema_cache_bytes: ByteSize::mib(16),
            metadata_refresh: Duration::from_secs(5),
        }
    }
}

impl HttpConfig {
    /// Lets `EFD_INGEST_HTTP` override the address.
    ///
    /// # Errors
    /// When it is no address.
    pub fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        if let Some(address) = env.parsed("EFD_INGEST_HTTP")? {
            self.address = address;
        }
        Ok(())
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// Names the setting that breaks one.
    pub fn check(&self) -> Result<(), ConfigError> {
        let is_named = !self.prefixes.is_empty() && !self.prefixes.iter().any(String::is_empty);
        let rules = [
            (
                !self.enabled || is_named,
                "http.prefixes",
                "must name what topics begin with that may be written to, such as lsst.square.",
            ),
            (self.max_body_bytes.as_u64() > 0, "http.max_body_bytes", "must be at least 1"),
            (self.max_requests > 0, "http.max_requests", "must be at least 1"),
            (self.max_connections > 0, "http.max_connections", "must be at least 1"),
            (!self.header_timeout.is_zero(), "http.header_timeout", "must be longer than 0"),
            (!self.body_timeout.is_zero(), "http.body_timeout", "must be longer than 0"),
            // librdkafka reads 0 as never.
            (self.delivery_timeout.as_millis() > 0, "http.delivery_timeout", "must be at least 1ms"),
            (
                self.max_in_flight_bytes >= self.max_body_bytes,
                "http.max_in_flight_bytes",
                "must not be less than http.max_body_bytes",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, problem)) => Err(ConfigError::invalid(setting, problem)),
            None => Ok(()),
        }
    }

    /// Whether a topic begins as one of the prefixes.
    pub fn allows(&self, topic: &str) -> bool {
        self.prefixes.iter().any(|prefix| topic.starts_with(prefix.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_prefixes_it_cannot_be_enabled() {
        HttpConfig::default().check().unwrap();
        let without = HttpConfig { enabled: true, ..HttpConfig::default() };
        assert!(without.check().unwrap_err().to_string().starts_with("http.prefixes"));
        let with = HttpConfig { prefixes: vec!["lsst.x.".into()], ..without };
        with.check().unwrap();
        assert!(with.allows("lsst.x.y") && !with.allows("lsst.xy"));
        let all = HttpConfig { prefixes: vec![String::new()], ..with };
        all.check().unwrap_err();
    }
}
