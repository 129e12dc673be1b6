//! Settings: one YAML file, then the environment, then checks.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_saphyr::{DefaultMessageFormatter, MessageFormatter};
use thiserror::Error;

use crate::Env;

/// The settings of one service: a struct with `#[serde(default, deny_unknown_fields)]`, all the way down,
/// that holds a [`ServiceConfig`] under the key `service`.
pub trait Settings: Default + DeserializeOwned + Serialize + Send + 'static {
    /// Port of the admin server where `service.admin` is not set.
    const ADMIN_PORT: u16;

    /// The part every service has.
    fn service(&self) -> &ServiceConfig;

    /// The part every service has, to change it.
    fn service_mut(&mut self) -> &mut ServiceConfig;

    /// Lets the environment override what the file says; [`load`] has done so for [`ServiceConfig`] already.
    ///
    /// # Errors
    /// When a variable has a value that cannot be used.
    fn overlay(&mut self, env: &Env) -> Result<(), ConfigError>;

    /// Checks the rules that types cannot express, such as those over several fields.
    ///
    /// # Errors
    /// When a rule is broken.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// What every service has under the key `service`; `EFD_SERVICE_<KEY>` in the environment overrides each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceConfig {
    /// Logs, written to standard error.
    pub log: LogConfig,
    /// Address of the admin server. Default: all interfaces, the service's own port.
    pub admin: Option<SocketAddr>,
    /// Address of an OTLP gRPC collector for traces, `http://host:4317`. Default: none, no traces are
    /// exported.
    pub otlp_endpoint: Option<String>,
    /// How long `run` may take to finish after a stop is requested. Default 25 s, inside Kubernetes' 30 s.
    #[serde(with = "humantime_serde")]
    pub grace_period: Duration,
}

/// How logs are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Form of a line. Default `json`.
    pub format: LogFormat,
    /// Levels by target, such as `info,efd_sink=debug`. Default `info`.
    pub filter: String,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    #[default]
    Json,
    /// Text, coloured on a terminal.
    Human,
}

/// Why settings cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not YAML, or not of the right shape, or has an unknown key.
    #[error("{file}:{line}:{column}: {problem}")]
    Parse {
        /// The file.
        file: String,
        /// Line, from 1; 0 when unknown.
        line: u64,
        /// Column, from 1; 0 when unknown.
        column: u64,
        /// What is wrong, with the key it is wrong at.
        problem: String,
    },
    /// A setting or variable has a value that cannot be used.
    #[error("{setting} {problem}")]
    Invalid {
        /// Dotted path of the setting, or name of the variable.
        setting: String,
        /// What is wrong, to be read after the name: "must not be empty".
        problem: String,
    },
}

impl ConfigError {
    /// A setting that breaks a rule; `problem` is read after the name: `sink.worker must not be empty`.
    pub fn invalid(setting: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { setting: setting.into(), problem: problem.into() }
    }
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            log: LogConfig::default(),
            admin: None,
            otlp_endpoint: None,
            grace_period: Duration::from_secs(25),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::default(), filter: "info".to_owned() }
    }
}

impl std::str::FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "human" => Ok(Self::Human),
            _ => Err("must be json or human"),
        }
    }
}

impl ServiceConfig {
    fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        if let Some(format) = env.parsed("EFD_SERVICE_LOG_FORMAT")? {
            self.log.format = format;
        }
        if let Some(filter) = env.get("EFD_SERVICE_LOG_FILTER") {
            filter.clone_into(&mut self.log.filter);
        }
        if let Some(admin) = env.parsed("EFD_SERVICE_ADMIN")? {
            self.admin = Some(admin);
        }
        if let Some(endpoint) = env.get("EFD_SERVICE_OTLP_ENDPOINT") {
            self.otlp_endpoint = Some(endpoint.to_owned());
        }
        if let Some(period) =
            env.parsed::<humantime_serde::re::humantime::Duration>("EFD_SERVICE_GRACE_PERIOD")?
        {
            self.grace_period = period.into();
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        crate::telemetry::check(self)?;
        if self.grace_period.is_zero() {
            return Err(ConfigError::invalid("service.grace_period", "must be more than 0s"));
        }
        Ok(())
    }
}

/// Reads the file (none: defaults), lets the environment override it, and checks the result.
///
/// # Errors
/// See [`ConfigError`]; each says where and what in one line.
pub fn load<C: Settings>(path: Option<&Path>, env: &Env) -> Result<C, ConfigError> {
    let mut config = match path {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
            parse(&text, &path.display().to_string())?
        }
        None => C::default(),
    };
    let service = config.service_mut();
    service.overlay(env)?;
    service.admin.get_or_insert(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), C::ADMIN_PORT));
    config.overlay(env)?;
    config.service().check()?;
    config.check()?;
    Ok(config)
}

/// Reads settings from YAML, without environment and checks; an empty text gives the defaults.
/// `file` is only named in errors.
///
/// # Errors
/// [`ConfigError::Parse`].
pub fn parse<C: Settings>(yaml: &str, file: &str) -> Result<C, ConfigError> {
    let mut track = serde_path_to_error::Track::new();
    let parsed = serde_saphyr::with_deserializer_from_str(yaml, |deserializer| {
        Option::<C>::deserialize(serde_path_to_error::Deserializer::new(deserializer, &mut track))
    });
    match parsed {
        Ok(config) => Ok(config.unwrap_or_default()),
        Err(error) => Err(parse_error(file, &track.path(), &error)),
    }
}

fn parse_error(file: &str, path: &serde_path_to_error::Path, error: &serde_saphyr::Error) -> ConfigError {
    // A path ends in `?` where the error came before the key was read, and is `.` for the whole file.
    let path = path.to_string();
    let key = path.trim_end_matches('?').trim_matches('.');
    let problem = match error.without_snippet() {
        serde_saphyr::Error::SerdeUnknownField { expected, .. } => {
            format!("unknown key {key}, known here: {}", expected.join(", "))
        }
        serde_saphyr::Error::DuplicateMappingKey { key: Some(repeated), .. } => {
            format!("key {repeated} is given twice")
        }
        serde_saphyr::Error::MultipleDocuments { .. } => "more than one YAML document".to_owned(),
        other if key.is_empty() => DefaultMessageFormatter.format_message(other).into_owned(),
        other => format!("{key}: {}", DefaultMessageFormatter.format_message(other)),
    };
    let location = error.location();
    ConfigError::Parse {
        file: file.to_owned(),
        line: location.map_or(0, |location| location.line()),
        column: location.map_or(0, |location| location.column()),
        problem,
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
