//! Settings of the upstream registry.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use efd_service::http::is_address;
use efd_service::{Access, ConfigError, Env, Secret};
use serde::{Deserialize, Serialize};

/// Another registry, which this one stands in front of or beside.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Its address. With one, this registry is a proxy of it and needs no Kafka. Default none.
    pub url: Option<String>,
    /// User name for basic authentication at the upstream; the credentials of clients are never passed on. Default none.
    pub username: Option<String>,
    /// Password; only from the environment (`EFD_REGISTRY_UPSTREAM_PASSWORD` or `EFD_REGISTRY_UPSTREAM_PASSWORD_FILE`).
    pub password: Secret,
    /// Token that is shown to it as `Bearer`, where there is no user name; only from the environment
    /// (`EFD_REGISTRY_UPSTREAM_TOKEN` or `EFD_REGISTRY_UPSTREAM_TOKEN_FILE`).
    pub token: Secret,
    /// File with the certificate authority of the upstream, when its own is not a public one.
    pub ca_file: Option<PathBuf>,
    /// Bound on one request to it. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Time between two looks whether it answers. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub probe_interval: Duration,
    /// How long an answer that may change is given without asking again. Default 5 s; 0 s always asks.
    #[serde(with = "humantime_serde")]
    pub fresh_for: Duration,
    /// How long it is believed that something does not exist. Default 10 s; 0 s always asks.
    #[serde(with = "humantime_serde")]
    pub negative_for: Duration,
    /// File that keeps what is known over a restart. Default none: then it is forgotten.
    pub cache_file: Option<PathBuf>,
    /// Memory for answers, keys included; those not asked for longest go first. The file may be twice as long. Default 256 MiB.
    pub cache_bytes: ByteSize,
    /// Keep the log in Kafka as well, ask both, and report where they differ. Default none: no shadow.
    pub shadow: Option<ShadowConfig>,
}

/// How two registries are compared.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShadowConfig {
    /// Whose answers clients get. Default `upstream`.
    pub answer: Side,
    /// Where writes go: `upstream`, when both have the same log and this one only reads it; or `both`, each with a log of its own. Default `upstream`.
    pub writes: Writes,
    /// Comparisons under way at once; further requests are answered and not compared. 0 counts as 64.
    pub max_comparisons: usize,
}

/// One of the two registries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// This one.
    Own,
    /// The other.
    #[default]
    Upstream,
}

/// Where writes go in shadow mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Writes {
    /// Only to the other one.
    #[default]
    Upstream,
    /// To both.
    Both,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            url: None,
            username: None,
            password: Secret::default(),
            token: Secret::default(),
            ca_file: None,
            timeout: Duration::from_secs(5),
            probe_interval: Duration::from_secs(5),
            fresh_for: Duration::from_secs(5),
            negative_for: Duration::from_secs(10),
            cache_file: None,
            cache_bytes: ByteSize::mib(256),
            shadow: None,
        }
    }
}

impl UpstreamConfig {
    /// The address without a slash at its end; none when this registry is no proxy.
    pub(crate) fn url(&self) -> Option<&str> {
        self.url.as_deref().map(|url| url.trim_end_matches('/'))
    }

    /// Whether this registry has no log of its own.
    pub(crate) fn is_proxy(&self) -> bool {
        self.url.is_some() && self.shadow.is_none()
    }

    pub(crate) fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        let Self { url, username, password, token, .. } = self;
        Access { url, username, password, token: Some(token) }.overlay(env, "EFD_REGISTRY_UPSTREAM")
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            (
                self.url().is_none_or(is_address),
                "upstream.url",
                "must be an address such as http://registry:8081",
            ),
            (self.url().is_none_or(|url| !url.contains('@')), "upstream.url", "must not hold credentials"),
            (
                self.shadow.is_none() || self.url.is_some(),
                "upstream.url",
                "must be set when upstream.shadow is",
            ),
            (!self.timeout.is_zero(), "upstream.timeout", "must be more than 0s"),
            (!self.probe_interval.is_zero(), "upstream.probe_interval", "must be more than 0s"),
            (self.cache_bytes.as_u64() >= 1 << 20, "upstream.cache_bytes", "must be at least 1MiB"),
        ];
        match rules.iter().find(|(holds, ..)| !holds) {
            Some((_, setting, problem)) => Err(ConfigError::invalid(*setting, *problem)),
            None => Ok(()),
        }
    }
}
