//! Client of a schema registry with Confluent's REST interface.
//!
//! A schema never changes under its id, so what was fetched is kept as long as there is room; concurrent look-ups of one
//! id share one request. Nothing is retried here: the caller knows whether to wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use efd_service::http::{Client, HttpError, authorization, is_address};
use efd_service::{Access, ConfigError, Env, Secret};
use http::{Method, Request, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::OnceCell;

use crate::references::RegisteredSchema;
use crate::wire::SchemaRef;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// Where the registry is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryConfig {
    /// Address. Default `http://localhost:8081`.
    pub url: Option<String>,
    /// User name for basic authentication; none means a token, or no authentication.
    pub username: Option<String>,
    /// Password; only from the environment (`EFD_REGISTRY_PASSWORD` or `EFD_REGISTRY_PASSWORD_FILE`).
    pub password: Secret,
    /// Token that is shown as `Bearer`, where there is no user name; only from the environment (`EFD_REGISTRY_TOKEN` or
    /// `EFD_REGISTRY_TOKEN_FILE`).
    pub token: Secret,
    /// Bound on one request. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// File with the certificate authority of the registry, when its own is not a public one.
    pub ca_file: Option<std::path::PathBuf>,
    /// Schemas whose texts are kept, so that the registry is not asked again; of more, any one is dropped. Default 1000.
    pub cached_schemas: usize,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            url: None,
            username: None,
            password: Secret::default(),
            token: Secret::default(),
            timeout: Duration::from_secs(10),
            ca_file: None,
            cached_schemas: 1000,
        }
    }
}

impl RegistryConfig {
    /// The address, without a slash at its end.
    pub fn url(&self) -> &str {
        self.url.as_deref().unwrap_or("http://localhost:8081").trim_end_matches('/')
    }

    /// Lets `EFD_REGISTRY_*` override the file; `LSST_SCHEMA_REGISTRY_URL` fills in an address left unset.
    ///
    /// # Errors
    /// When a secret's file cannot be read.
    pub fn overlay(&mut self, env: &Env) -> Result<(), ConfigError> {
        if self.url.is_none() {
            self.url = env.get("LSST_SCHEMA_REGISTRY_URL").map(str::to_owned);
        }
        let Self { url, username, password, token, .. } = self;
        Access { url, username, password, token: Some(token) }.overlay(env, "EFD_REGISTRY")
    }

    /// Refuses what cannot be asked; the settings stand under `registry`.
    ///
    /// # Errors
    /// Names the setting.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !is_address(self.url()) {
            let problem = "must be an address such as http://localhost:8081";
            return Err(ConfigError::invalid("registry.url", problem));
        }
        if self.timeout.is_zero() {
            return Err(ConfigError::invalid("registry.timeout", "must be longer than 0"));
        }
        if self.cached_schemas == 0 {
            return Err(ConfigError::invalid("registry.cached_schemas", "must be at least 1"));
        }
        Ok(())
    }
}

/// What an error of the registry asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryErrorKind {
    /// Unreachable, overloaded, or refusing our credentials: try again with back-off.
    Transient,
    /// A reachable registry does not have it.
    NotFound,
    /// It will never take it, for example an incompatible schema.
    Refused,
}

/// Why the registry gave no answer, or not the one hoped for.
#[derive(Debug, Clone, Error)]
pub enum RegistryError {
    /// No answer.
    #[error("schema registry {url} does not answer: {reason}")]
    Unreachable {
        /// Address.
        url: String,
        /// Why.
        reason: String,
    },
    /// It answered with an error.
    #[error("schema registry {url} answered {status} to {what}: {message} (error code {code})")]
    Answer {
        /// Address.
        url: String,
        /// What was asked.
        what: String,
        /// HTTP status.
        status: u16,
        /// Confluent's error code, 0 when there was none.
        code: u32,
        /// Its message.
        message: String,
    },
    /// The answer is not what the interface promises.
    #[error("schema registry {url} gave an answer to {what} that cannot be read: {reason}")]
    Malformed {
        /// Address.
        url: String,
        /// What was asked.
        what: String,
        /// Why.
        reason: String,
    },
    /// The settings of the client are wrong.
    #[error("schema registry client: {0}")]
    Settings(String),
}

impl RegistryError {
    /// What to do about it.
    pub fn kind(&self) -> RegistryErrorKind {
        match self {
            Self::Answer { status: 404, code: 40401..=40403, .. } => RegistryErrorKind::NotFound,
            Self::Answer { status: 409 | 422, .. } | Self::Settings(_) => RegistryErrorKind::Refused,
            _ => RegistryErrorKind::Transient,
        }
    }
}

/// One version of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SubjectVersion {
    /// Subject, `<topic>-value`.
    pub subject: String,
    /// Version, from 1.
    pub version: u32,
    /// Schema id.
    pub id: u32,
    /// Text of the schema.
    pub schema: String,
}

/// A client; clones share connections and cache.
#[derive(Debug, Clone)]
pub struct RegistryClient {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    http: Client,
    config: RegistryConfig,
    /// One cell for each schema that is kept or asked for; unknown ones are taken out again.
    schemas: Mutex<Schemas>,
}

type Schemas = HashMap<SchemaRef, Arc<OnceCell<Arc<RegisteredSchema>>>>;

#[derive(Deserialize)]
struct IdAnswer {
    id: u32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorAnswer {
    error_code: u32,
    message: String,
}

impl RegistryClient {
    /// Connects lazily.
    ///
    /// # Errors
    /// When the certificate authority's file cannot be used.
    pub fn new(config: &RegistryConfig) -> Result<Self, RegistryError> {
        let http = Client::new(config.ca_file.as_deref())
            .map_err(|error| RegistryError::Settings(error.to_string()))?;
        let shared = Shared { http, config: config.clone(), schemas: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The registry's address.
    pub fn url(&self) -> &str {
        self.shared.config.url()
    }

    /// Registers a schema under a subject; the same schema again gives the same id.
    ///
    /// # Errors
    /// See [`RegistryError`]; an invalid or incompatible schema is of kind `Refused`.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let path = format!("/subjects/{}/versions?normalize=False", encoded(subject));
        let answer: IdAnswer = self.call(Method::POST, &path, Some(&json!({"schema": schema}))).await?;
        Ok(answer.id)
    }

    /// The version of a subject that has this schema; `None` where the registry has no such.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn look_up(
        &self,
        subject: &str,
        schema: &str,
    ) -> Result<Option<SubjectVersion>, RegistryError> {
        let path = format!("/subjects/{}?normalize=False&deleted=False", encoded(subject));
        match self.call(Method::POST, &path, Some(&json!({"schema": schema}))).await {
            Ok(version) => Ok(Some(version)),
            Err(error) if error.kind() == RegistryErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The text of a schema; cached, concurrent calls share one request.
    ///
    /// # Errors
    /// See [`RegistryError`]; an id the registry does not know is of kind `NotFound`. Errors are not cached.
    pub async fn schema_by_id(&self, id: u32) -> Result<Arc<str>, RegistryError> {
        Ok(self.schema(SchemaRef::Id(id)).await?.text.clone())
    }

    /// A schema and those it names types of; cached until [`RegistryClient::forget`], concurrent calls share one request.
    ///
    /// # Errors
    /// See [`RegistryError`]; one that the registry does not know is of kind `NotFound`. Errors are not cached.
    pub async fn schema(&self, schema: SchemaRef) -> Result<Arc<RegisteredSchema>, RegistryError> {
        let cell = self.cell(schema);
        let fetched = cell.get_or_try_init(|| async { self.fetch(schema).await.map(Arc::new) }).await;
        if fetched.is_err() {
            self.schemas().remove(&schema);
        }
        fetched.cloned()
    }

    /// Takes a schema out of the cache, for whoever has made of it what it needs: texts are large.
    pub fn forget(&self, schema: SchemaRef) {
        self.schemas().remove(&schema);
    }

    /// The latest version of a subject.
    ///
    /// # Errors
    /// See [`RegistryError`]; an unknown subject is of kind `NotFound`.
    pub async fn latest(&self, subject: &str) -> Result<SubjectVersion, RegistryError> {
        self.call(Method::GET, &format!("/subjects/{}/versions/latest", encoded(subject)), None).await
    }

    /// All subjects.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        self.call(Method::GET, "/subjects", None).await
    }

    fn cell(&self, schema: SchemaRef) -> Arc<OnceCell<Arc<RegisteredSchema>>> {
        let mut schemas = self.schemas();
        if schemas.len() >= self.shared.config.cached_schemas && !schemas.contains_key(&schema) {
            // Whoever waits for it has its cell, and gets the answer.
            let any = schemas.keys().next().copied();
            any.and_then(|any| schemas.remove(&any));
        }
        schemas.entry(schema).or_default().clone()
    }

    fn schemas(&self) -> std::sync::MutexGuard<'_, Schemas> {
        self.shared.schemas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Any call of the registry's interface, for what has no method here. Names in `path` are encoded, see [`encoded`].
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, RegistryError> {
        let what = format!("{method} {path}");
        let request =
            self.request(method, path, body).map_err(|error| RegistryError::Settings(error.to_string()))?;
        let config = &self.shared.config;
        let answer = self.shared.http.send(request, config.timeout).await.map_err(|error: HttpError| {
            RegistryError::Unreachable { url: config.url().to_owned(), reason: error.to_string() }
        })?;
        let url = config.url().to_owned();
        if !answer.status().is_success() {
            let error: ErrorAnswer = serde_json::from_slice(answer.body()).unwrap_or_default();
            let status = answer.status().as_u16();
            return Err(RegistryError::Answer {
                url,
                what,
                status,
                code: error.error_code,
                message: error.message,
            });
        }
        serde_json::from_slice(answer.body()).map_err(|error| RegistryError::Malformed {
            url,
            what,
            reason: error.to_string(),
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Bytes>, http::Error> {
        let config = &self.shared.config;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", config.url()))
            .header(header::ACCEPT, MEDIA_TYPE);
        if let Some(shown) = authorization(config.username.as_deref(), &config.password, &config.token) {
            request = request.header(header::AUTHORIZATION, shown);
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, MEDIA_TYPE);
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        request.body(body)
    }
}

/// A name of a subject as it stands in a path.
pub fn encoded(subject: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(subject, NON_ALPHANUMERIC)
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
