//! Settings of one destination: an InfluxDB 1.x database, or an InfluxDB 2.x bucket.

use std::path::PathBuf;
use std::time::Duration;

use efd_service::{Access, ConfigError, Env, Secret};
use http::Uri;
use serde::{Deserialize, Serialize};

use crate::config::is_name;

/// Where points are written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DestinationConfig {
    /// Name in metrics and logs, and in the consumer group of every destination but the first. Default `influxdb`.
    pub name: String,
    /// Address. Default `http://localhost:8086`.
    pub url: String,
    /// 1: `/write` with database and retention policy; 2: `/api/v2/write` with organisation, bucket and token. Default 1.
    pub version: u8,
    /// Database (version 1). Default `efd`.
    pub database: String,
    /// Retention policy (version 1). Default `autogen`.
    pub retention_policy: String,
    /// User name (version 1); none means no authentication.
    pub username: Option<String>,
    /// Password (version 1); only from the environment.
    #[serde(skip_deserializing)]
    pub password: Secret,
    /// Organisation (version 2).
    pub org: String,
    /// Bucket (version 2). Default `efd/autogen`.
    pub bucket: String,
    /// Token (version 2); only from the environment.
    #[serde(skip_deserializing)]
    pub token: Secret,
    /// Whether a missing database or bucket is created. Default true.
    pub create: bool,
    /// Whether requests are compressed. Default `auto`.
    pub compression: Compression,
    /// Bound on one request. Default 15 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// File with the certificate authority of the server, when its own is not a public one.
    pub ca_file: Option<PathBuf>,
}

/// Whether requests are compressed (gzip).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Unless the destination is on this machine.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl Default for DestinationConfig {
    fn default() -> Self {
        Self {
            name: "influxdb".into(),
            url: "http://localhost:8086".into(),
            version: 1,
            database: "efd".into(),
            retention_policy: "autogen".into(),
            username: None,
            password: Secret::default(),
            org: String::new(),
            bucket: "efd/autogen".into(),
            token: Secret::default(),
            create: true,
            compression: Compression::Auto,
            timeout: Duration::from_secs(15),
            ca_file: None,
        }
    }
}

impl DestinationConfig {
    /// The address, without a slash at its end.
    pub fn url(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// Whether requests are compressed.
    pub(crate) fn compresses(&self) -> bool {
        match self.compression {
            Compression::Auto => !is_loopback(self.url()),
            Compression::On => true,
            Compression::Off => false,
        }
    }

    /// Lets the environment override the file: `EFD_INFLUXDB_URL`, `_USERNAME`, `_PASSWORD` and `_TOKEN` for the first destination,
    /// `EFD_INFLUXDB_<NAME>_URL` and so on for each by its name, in capitals and with `_` for `-`.
    ///
    /// # Errors
    /// When a secret's file cannot be read.
    pub(crate) fn overlay(&mut self, env: &Env, is_first: bool) -> Result<(), ConfigError> {
        let own = format!("EFD_INFLUXDB_{}", self.name.to_ascii_uppercase().replace('-', "_"));
        let prefixes: &[&str] = if is_first { &["EFD_INFLUXDB", &own] } else { &[&own] };
        for prefix in prefixes {
            let Self { url, username, password, token, .. } = &mut *self;
            Access { url, username, password, token: Some(token) }.overlay(env, prefix)?;
        }
        Ok(())
    }

    /// `place` names this destination in errors.
    pub(crate) fn check(&self, place: &str) -> Result<(), ConfigError> {
        let rules = [
            (is_name(&self.name), "name", "must be letters, digits, _ or -"),
            (is_url(self.url()), "url", "must be http:// or https://, a host, and nothing behind the port"),
            (matches!(self.version, 1 | 2), "version", "must be 1 or 2"),
            (self.version != 1 || !self.database.is_empty(), "database", "must not be empty"),
            (self.version != 2 || !self.org.is_empty(), "org", "must not be empty"),
            (self.version != 2 || !self.bucket.is_empty(), "bucket", "must not be empty"),
            (!self.timeout.is_zero(), "timeout", "must be longer than 0"),
            (
                header_safe(self.token.expose()),
                "token",
                "must not have characters that no HTTP header can carry",
            ),
        ];
        for (holds, setting, problem) in rules {
            if !holds {
                return Err(ConfigError::invalid(format!("{place}.{setting}"), problem));
            }
        }
        Ok(())
    }
}

fn is_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let Some(authority) = uri.authority() else { return false };
    let host = authority.host();
    let is_host = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
        || host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    let is_port = authority.as_str() == host || authority.port_u16().is_some();
    matches!(uri.scheme_str(), Some("http" | "https"))
        && !host.is_empty()
        && is_host
        && is_port
        && uri.path() == "/"
}

fn is_loopback(url: &str) -> bool {
    let uri = url.parse::<Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn header_safe(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        for good in
            ["http://localhost:8086", "https://influx.example.org", "http://[::1]:8086", "http://10.0.0.1:1"]
        {
            assert!(is_url(good), "{good}");
        }
        for bad in [
            "",
            "localhost:8086",
            "ftp://a",
            "http://",
            "http://a:x",
            "http://a:99999",
            "http://a/b",
            "http://u:p@a",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
    }

    #[test]
    fn what_goes_over_a_network_is_compressed() {
        for (url, compresses) in [
            ("http://localhost:8086", false),
            ("http://127.0.0.1:8086", false),
            ("http://[::1]:8086", false),
            ("http://influxdb:8086", true),
            ("https://10.0.0.1", true),
        ] {
            let config = DestinationConfig { url: url.into(), ..DestinationConfig::default() };
            assert_eq!(config.compresses(), compresses, "{url}");
        }
    }

    #[test]
    fn the_first_destination_answers_to_the_short_names() {
        let env = Env::from_pairs([
            ("EFD_INFLUXDB_URL", "http://a:1"),
            ("EFD_INFLUXDB_USERNAME", "efd"),
            ("EFD_INFLUXDB_STAND_BY_URL", "http://b:2"),
            ("EFD_INFLUXDB_STAND_BY_TOKEN", "secret"),
        ]);
        let mut first = DestinationConfig::default();
        first.overlay(&env, true).unwrap();
        assert_eq!((first.url(), first.username.as_deref()), ("http://a:1", Some("efd")));
        let mut second = DestinationConfig { name: "stand-by".into(), ..DestinationConfig::default() };
        second.overlay(&env, false).unwrap();
        assert_eq!((second.url(), second.username.as_deref()), ("http://b:2", None));
        assert_eq!(second.token.expose(), "secret");
        assert!(!format!("{second:?}").contains("secret"));
    }
}
