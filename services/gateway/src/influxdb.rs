//! Asks InfluxDB, 1.x or 2.x, over its `/query`.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use efd_service::http::{Client, HttpError, basic_authorization};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;

use crate::config::InfluxDbConfig;
use crate::influxql::{self, Source};
use crate::response::{Item, ResponseError, Scanner, error_text};
use crate::row::RowReader;

/// Longest body of an answer with an error status that is read for its message.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// The header in which InfluxDB tells which it is.
const VERSION_HEADER: &str = "x-influxdb-version";

/// Longest name of a measurement or field that is taken.
const MAX_NAME: usize = 1024 * 1024;

/// Why InfluxDB gave no answer, or not the one hoped for.
#[derive(Debug, Clone, Error)]
pub enum InfluxDbError {
    /// No answer.
    #[error(
        "InfluxDB at {url} cannot be reached: {reason}; check that it runs, and the gateway's setting influxdb.url"
    )]
    Unreachable {
        /// Address.
        url: String,
        /// Why.
        reason: String,
    },
    /// It does not let the gateway in.
    #[error(
        "InfluxDB at {url} refuses the gateway's credentials: {message}; check EFD_INFLUXDB_USERNAME and EFD_INFLUXDB_PASSWORD, or EFD_INFLUXDB_TOKEN"
    )]
    Credentials {
        /// Address.
        url: String,
        /// What it says.
        message: String,
    },
    /// It, or a proxy before it, is overloaded or starting.
    #[error("InfluxDB at {url} is not able to answer now: {message}")]
    Busy {
        /// Address.
        url: String,
        /// What it says.
        message: String,
    },
    /// It does not answer in time.
    #[error("InfluxDB at {url} gave nothing for {}; ask for less, or raise the gateway's setting influxdb.timeout", humantime_serde::re::humantime::format_duration(*timeout))]
    TimedOut {
        /// Address.
        url: String,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// It answered with an error.
    #[error("InfluxDB at {url}: {message}")]
    Refused {
        /// Address.
        url: String,
        /// What it says.
        message: String,
    },
    /// Its answer broke off.
    #[error("the answer of InfluxDB at {url} broke off: {reason}; ask again")]
    BrokenOff {
        /// Address.
        url: String,
        /// Why.
        reason: String,
    },
    /// Its answer is not what the interface promises.
    #[error("the answer of InfluxDB at {url} cannot be used: {reason}")]
    Malformed {
        /// Address.
        url: String,
        /// Why.
        reason: String,
    },
}

/// A client; clones share its connections.
#[derive(Debug, Clone)]
pub struct InfluxDb {
    http: Client,
    config: Arc<InfluxDbConfig>,
    /// What it said last.
    version: Arc<RwLock<Option<Version>>>,
}

/// Which InfluxDB answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// In its own words, such as `1.8.10` or `v2.7.1`.
    pub text: String,
    /// Whether it is 2.x, where a bucket has the place of database and retention policy.
    pub is_second: bool,
}

/// What comes of a form that is passed on.
#[derive(Debug)]
pub enum Passed {
    /// The head of an answer, whose body still arrives.
    Answer(http::response::Parts, Answer),
    /// InfluxDB refuses it with this status and message.
    Says(StatusCode, String),
}

/// An answer whose body still arrives. Dropping it closes the connection, which ends the query in InfluxDB.
#[derive(Debug)]
pub struct Answer {
    body: Incoming,
    url: String,
    timeout: Duration,
}

impl InfluxDb {
    /// Connects at the first request.
    ///
    /// # Errors
    /// When the certificate authority's file cannot be used.
    pub fn new(config: &InfluxDbConfig) -> Result<Self, HttpError> {
        let http = Client::new(config.ca_file.as_deref())?;
        Ok(Self { http, config: Arc::new(config.clone()), version: Arc::default() })
    }

    /// Where the topic of this measurement is stored.
    pub fn source<'a>(&'a self, measurement: &'a str) -> Source<'a> {
        Source {
            database: &self.config.database,
            retention_policy: &self.config.retention_policy,
            measurement,
        }
    }

    /// Address.
    pub fn url(&self) -> &str {
        self.config.url()
    }

    /// Whether it answers at all.
    ///
    /// # Errors
    /// See [`InfluxDbError`].
    pub async fn ping(&self, timeout: Duration) -> Result<(), InfluxDbError> {
        let request = Request::get(format!("{}/ping", self.url())).body(Bytes::new());
        let request = request.map_err(|error| self.unreachable(&error))?;
        let answer = self.http.send(request, timeout).await.map_err(|error| self.failed(error))?;
        if !answer.status().is_success() {
            return Err(self.refusal(answer.status(), answer.body()));
        }
        self.note_version(answer.headers());
        Ok(())
    }

    /// Which InfluxDB it is, where it has answered before.
    pub fn known_version(&self) -> Option<Version> {
        self.version.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which InfluxDB it is; asks where that is not known.
    ///
    /// # Errors
    /// See [`InfluxDbError`].
    pub async fn version(&self, timeout: Duration) -> Result<Version, InfluxDbError> {
        if let Some(version) = self.known_version() {
            return Ok(version);
        }
        self.ping(timeout).await?;
        self.known_version().ok_or_else(|| self.malformed("it does not tell its version".to_owned()))
    }

    fn note_version(&self, headers: &HeaderMap) {
        let Some(text) = headers.get(VERSION_HEADER).and_then(|value| value.to_str().ok()) else { return };
        let mut known = self.version.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|version| version.text != text) {
            let major =
                text.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
            *known =
                Some(Version { text: text.to_owned(), is_second: major.is_some_and(|major| major >= 2) });
        }
    }

    /// Passes on a form with parameters of `/query`, and gives the answer as it comes, in a media type that `accept` names.
    ///
    /// # Errors
    /// See [`InfluxDbError`]; not when InfluxDB finds fault with the query itself.
    pub async fn pass(&self, form: String, accept: Option<&HeaderValue>) -> Result<Passed, InfluxDbError> {
        let any = HeaderValue::from_static("*/*");
        let request = self.post(form, accept.unwrap_or(&any))?;
        let timeout = self.config.timeout;
        let answer = self.http.stream(request, timeout).await.map_err(|error| self.failed(error))?;
        self.note_version(answer.headers());
        let status = answer.status();
        if status.is_success() {
            let (head, body) = answer.into_parts();
            return Ok(Passed::Answer(head, Answer { body, url: self.url().to_owned(), timeout }));
        }
        let body = error_body(answer, timeout).await;
        match self.refusal(status, &body) {
            InfluxDbError::Refused { .. } => Ok(Passed::Says(status, error_text(&body))),
            error => Err(error),
        }
    }

    /// Names of all measurements.
    ///
    /// # Errors
    /// See [`InfluxDbError`].
    pub async fn measurements(&self) -> Result<Vec<String>, InfluxDbError> {
        let InfluxDbConfig { database, retention_policy, .. } = &*self.config;
        match self.names(&influxql::show_measurements_of_policy(database, retention_policy)).await {
            // InfluxDB 1.x does not parse it, and has only one form for all policies.
            Err(InfluxDbError::Refused { .. }) => self.names(&influxql::show_measurements(database)).await,
            outcome => outcome,
        }
    }

    /// Names of the stored fields of a measurement.
    ///
    /// # Errors
    /// See [`InfluxDbError`].
    pub async fn field_keys(&self, measurement: &str) -> Result<Vec<String>, InfluxDbError> {
        self.names(&influxql::show_field_keys(self.source(measurement))).await
    }

    /// Asks, and gives the answer while it still arrives, in objects of at most `chunk_rows` rows.
    ///
    /// # Errors
    /// See [`InfluxDbError`]; further errors may stand in the answer.
    pub async fn query(&self, statement: &str, chunk_rows: usize) -> Result<Answer, InfluxDbError> {
        let request = self.request(statement, &format!("&chunked=true&chunk_size={chunk_rows}"))?;
        let timeout = self.config.timeout;
        let answer = self.http.stream(request, timeout).await.map_err(|error| self.failed(error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(self.refusal(status, &error_body(answer, timeout).await));
        }
        Ok(Answer { body: answer.into_body(), url: self.url().to_owned(), timeout })
    }

    /// Explains what is wrong with an answer.
    pub fn response_error(&self, error: ResponseError) -> InfluxDbError {
        let url = self.url().to_owned();
        match error {
            ResponseError::Refused(message) => InfluxDbError::Refused { url, message },
            ResponseError::Ended => InfluxDbError::BrokenOff { url, reason: error.to_string() },
            ResponseError::Malformed(_) | ResponseError::TooLong(_) => self.malformed(error.to_string()),
        }
    }

    /// An answer that is not what was asked for.
    pub fn malformed(&self, reason: String) -> InfluxDbError {
        InfluxDbError::Malformed { url: self.url().to_owned(), reason }
    }

    /// The first column of the answer to a statement that lists names.
    async fn names(&self, statement: &str) -> Result<Vec<String>, InfluxDbError> {
        let request = self.request(statement, "")?;
        let answer =
            self.http.send(request, self.config.timeout).await.map_err(|error| self.failed(error))?;
        if !answer.status().is_success() {
            return Err(self.refusal(answer.status(), answer.body()));
        }
        first_column(answer.body()).map_err(|error| self.response_error(error))
    }

    fn request(&self, statement: &str, more: &str) -> Result<Request<Bytes>, InfluxDbError> {
        let config = &*self.config;
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let body = format!("db={}&epoch=ns{more}&q={}", encoded(&config.database), encoded(statement));
        self.post(body, &HeaderValue::from_static("application/json"))
    }

    fn post(&self, body: String, accept: &HeaderValue) -> Result<Request<Bytes>, InfluxDbError> {
        let config = &*self.config;
        let mut request = Request::post(format!("{}/query", self.url()))
            .header(ACCEPT, accept)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if !config.token.is_empty() {
            let mut value = HeaderValue::from_str(&format!("Token {}", config.token.expose()))
                .map_err(|error| self.unreachable(&error))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        } else if let Some(user) = &config.username {
            request = request.header(AUTHORIZATION, basic_authorization(user, config.password.expose()));
        }
        request.body(Bytes::from(body)).map_err(|error| self.unreachable(&error))
    }

    fn failed(&self, error: HttpError) -> InfluxDbError {
        let url = self.url().to_owned();
        match error {
            HttpError::TimedOut { timeout, .. } => InfluxDbError::TimedOut { url, timeout },
            HttpError::TooLarge { .. } => InfluxDbError::Malformed { url, reason: error.to_string() },
            HttpError::Body { reason, .. } => InfluxDbError::BrokenOff { url, reason },
            // Their own text would name the address once more.
            HttpError::Connect { reason, .. } => InfluxDbError::Unreachable { url, reason },
            HttpError::Request { reason, .. } => InfluxDbError::Unreachable { url, reason },
            HttpError::CaFile { .. } => self.unreachable(&error),
        }
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> InfluxDbError {
        InfluxDbError::Unreachable { url: self.url().to_owned(), reason: error.to_string() }
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> InfluxDbError {
        let url = self.url().to_owned();
        let message = format!("{} ({status})", error_text(body));
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => InfluxDbError::Credentials { url, message },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                InfluxDbError::Busy { url, message }
            }
            _ if status.is_server_error() => InfluxDbError::Busy { url, message },
            _ => InfluxDbError::Refused { url, message },
        }
    }
}

impl Answer {
    /// Says that what came cannot be the whole answer.
    pub fn broken_off(&self, reason: &impl std::fmt::Display) -> InfluxDbError {
        InfluxDbError::BrokenOff { url: self.url.clone(), reason: reason.to_string() }
    }

    /// The next piece of the body; none at its end.
    ///
    /// # Errors
    /// `TimedOut` and `BrokenOff`.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, InfluxDbError> {
        loop {
            let url = || self.url.clone();
            let Ok(frame) = tokio::time::timeout(self.timeout, self.body.frame()).await else {
                return Err(InfluxDbError::TimedOut { url: url(), timeout: self.timeout });
            };
            match frame {
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(InfluxDbError::BrokenOff { url: url(), reason: error.to_string() });
                }
                Some(Ok(frame)) => {
                    // Trailers carry no data.
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }
}

async fn error_body(answer: Response<Incoming>, timeout: Duration) -> Bytes {
    let body = Limited::new(answer.into_body(), MAX_ERROR_BODY).collect();
    match tokio::time::timeout(timeout, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        // The status says enough.
        Ok(Err(_)) | Err(_) => Bytes::new(),
    }
}

fn first_column(body: &[u8]) -> Result<Vec<String>, ResponseError> {
    let mut scanner = Scanner::new(MAX_NAME);
    let mut names = Vec::new();
    scanner.push(body)?;
    while let Some(item) = scanner.next()? {
        if let Item::Row(row) = item {
            let name = RowReader::new(row).text().ok().flatten();
            let name = name.ok_or_else(|| ResponseError::Malformed("a row without a name".to_owned()))?;
            names.push(name.into_owned());
        }
    }
    scanner.finish()?;
    Ok(names)
}
