//! Questions to InfluxDB itself, over its `/query`: is it there, does the database exist, how many points are in it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use efd_service::http::{Client, basic_authorization};
use efd_service::{Access, ConfigError, Env, Secret};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::UnixNanos;

/// Where InfluxDB is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InfluxDbConfig {
    /// Address. Default `http://localhost:8086`.
    pub url: Option<String>,
    /// Generation: 1 or 2. Default 1.
    pub version: u8,
    /// Database; for 2.x mapped to the bucket `<database>/<retention_policy>`. Default `efd`.
    pub database: String,
    /// Retention policy. Default `autogen`.
    pub retention_policy: String,
    /// Organisation (2.x). Default `efd`.
    pub org: String,
    /// User name (1.x); none means no authentication.
    pub username: Option<String>,
    /// Password (1.x); only from the environment (`EFD_INFLUXDB_PASSWORD` or `EFD_INFLUXDB_PASSWORD_FILE`).
    pub password: Secret,
    /// Token (2.x); only from the environment (`EFD_INFLUXDB_TOKEN` or `EFD_INFLUXDB_TOKEN_FILE`).
    pub token: Secret,
    /// Bound on one query. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for InfluxDbConfig {
    fn default() -> Self {
        Self {
            url: None,
            version: 1,
            database: "efd".into(),
            retention_policy: "autogen".into(),
            org: "efd".into(),
            username: None,
            password: Secret::default(),
            token: Secret::default(),
            timeout: Duration::from_secs(30),
        }
    }
}

impl InfluxDbConfig {
    /// The address, without a slash at its end.
    pub fn url(&self) -> &str {
        self.url.as_deref().unwrap_or("http://localhost:8086").trim_end_matches('/')
    }

    /// Lets `EFD_INFLUXDB_*` override the file.
    ///
    /// # Errors
    /// When a secret's file cannot be read.
    pub fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        let Self { url, username, password, token, .. } = self;
        Access { url, username, password, token: Some(token) }.overlay(env, "EFD_INFLUXDB")
    }
}

/// Asks InfluxDB.
#[derive(Debug, Clone)]
pub struct InfluxDbClient {
    http: Client,
    config: InfluxDbConfig,
}

/// One series of an answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Series {
    /// Measurement.
    #[serde(default)]
    pub name: String,
    /// Names of the columns, `time` first.
    pub columns: Vec<String>,
    /// Rows.
    #[serde(default)]
    pub values: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Statement>,
    // What 2.x says before it has looked at a statement.
    #[serde(alias = "message")]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(default)]
    series: Vec<Series>,
    error: Option<String>,
}

impl InfluxDbClient {
    /// A client; connects at the first question.
    ///
    /// # Errors
    /// When the machine's certificate authorities cannot be read.
    pub fn new(config: &InfluxDbConfig) -> anyhow::Result<Self> {
        Ok(Self { http: Client::new(None)?, config: config.clone() })
    }

    /// Version, as its answer to `/ping` says.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> anyhow::Result<String> {
        let request = http::Request::get(format!("{}/ping", self.config.url())).body(Bytes::new())?;
        let answer = self.http.send(request, self.config.timeout).await?;
        let version = answer.headers().get("x-influxdb-version").and_then(|version| version.to_str().ok());
        Ok(version.unwrap_or("unknown").to_owned())
    }

    /// Databases (1.x) or those that buckets are mapped to (2.x).
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn databases(&self) -> anyhow::Result<Vec<String>> {
        let series = self.query("SHOW DATABASES").await?;
        Ok(series
            .iter()
            .flat_map(|series| &series.values)
            .filter_map(|row| row.first()?.as_str())
            .map(str::to_owned)
            .collect())
    }

    /// How many measurements the database has.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn measurements(&self) -> anyhow::Result<usize> {
        let InfluxDbConfig { database, retention_policy, version, .. } = &self.config;
        // 1.x knows no retention policy here; 2.x finds a bucket such as efd/autogen only with it.
        let policy = if *version == 2 { format!(".\"{retention_policy}\"") } else { String::new() };
        let series = self.query(&format!("SHOW MEASUREMENTS ON \"{database}\"{policy}")).await?;
        Ok(series.iter().map(|series| series.values.len()).sum())
    }

    /// Points of each measurement whose name begins with `prefix` and that are not older than `since`, counted by a field
    /// that every SAL record has.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn count_points(
        &self,
        prefix: &str,
        since: UnixNanos,
    ) -> anyhow::Result<BTreeMap<String, u64>> {
        let pattern = prefix.replace('.', r"\.").replace('/', r"\/");
        let InfluxDbConfig { database, retention_policy, .. } = &self.config;
        let query = format!(
            "SELECT count(private_seqNum) FROM \"{database}\".\"{retention_policy}\"./^{pattern}/ WHERE time >= {since}"
        );
        let series = self.query(&query).await?;
        let count = |series: &Series| series.values.first()?.get(1)?.as_u64();
        Ok(series.iter().filter_map(|series| Some((series.name.clone(), count(series)?))).collect())
    }

    /// The series that an InfluxQL statement gives.
    ///
    /// # Errors
    /// When InfluxDB does not answer, or answers with an error, which is then the message.
    pub async fn query(&self, statement: &str) -> anyhow::Result<Vec<Series>> {
        let encoded = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let InfluxDbConfig { database, retention_policy, .. } = &self.config;
        let place = format!("db={}&rp={}", encoded(database), encoded(retention_policy));
        let body = format!("{place}&epoch=ns&q={}", encoded(statement));
        let mut request = http::Request::post(format!("{}/query", self.config.url()))
            .header("content-type", "application/x-www-form-urlencoded");
        if !self.config.token.is_empty() {
            request = request.header("authorization", format!("Token {}", self.config.token.expose()));
        } else if let Some(user) = &self.config.username {
            request =
                request.header("authorization", basic_authorization(user, self.config.password.expose()));
        }
        let answer = self.http.send(request.body(Bytes::from(body))?, self.config.timeout).await?;
        let status = answer.status();
        let answer: Answer = serde_json::from_slice(answer.body()).with_context(|| {
            format!("InfluxDB at {} answered {status} with something else than JSON", self.config.url())
        })?;
        let mut series = Vec::new();
        if let Some(error) = answer.error {
            bail!("InfluxDB at {}: {error}", self.config.url());
        }
        for statement in answer.results {
            if let Some(error) = statement.error {
                bail!("InfluxDB at {}: {error}", self.config.url());
            }
            series.extend(statement.series);
        }
        Ok(series)
    }
}
