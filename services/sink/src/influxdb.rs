//! InfluxDB over HTTP: writes of 1.x and 2.x, and what each answer means.
//!
//! What is known of the answers: 1.x writes the good lines of a request with a bad one and answers 400; 2.x writes nothing and answers
//! 400 when a line cannot be read, but writes the good ones and answers 422 when a field has another type than before.
//! A full cache and a slow disk are 500.

use std::time::Duration;

use bytes::Bytes;
use efd_service::http::{Client, HttpError, basic_authorization};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use thiserror::Error;

use crate::destination::DestinationConfig;
use crate::gzip::{self, Body};

/// Characters of an answer that are kept as a reason: so many of its beginning, so many of its end.
const REASON: (usize, usize) = (200, 400);
/// A server that asks for patience gets at most this much.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is stored.
    Written,
    /// At least one of the lines will never be taken; others may be stored.
    Refused {
        /// What the server said.
        reason: String,
        /// Whether its words are those of InfluxDB about a line. Otherwise the request itself may be at fault.
        is_about_lines: bool,
    },
    /// Too many bytes at once.
    TooLarge {
        /// What the server said.
        reason: String,
    },
    /// Nothing is known to be wrong with the lines: write them again.
    Retry {
        /// What the server said, or why it said nothing.
        reason: String,
        /// The wait it asks for.
        after: Option<Duration>,
        /// Whether database, bucket or organisation is missing.
        is_missing: bool,
    },
}

/// One write and its outcome.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status, or kind of failure.
    pub status: String,
    /// What it means.
    pub outcome: Outcome,
}

/// Why a destination is not ready to be written to.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The request cannot be made.
    #[error("request cannot be made: {0}")]
    Request(#[from] http::Error),
    /// An answer that says no.
    #[error("{what} failed: {reason}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// What the server said.
        reason: String,
    },
    /// The server lets this user or token not ask. Points may be welcome all the same.
    #[error("{what} is not allowed: {reason}")]
    Denied {
        /// What was asked.
        what: &'static str,
        /// What the server said.
        reason: String,
    },
}

/// Client of one destination.
#[derive(Debug, Clone)]
pub struct InfluxDb {
    http: Client,
    config: DestinationConfig,
    write_uri: Uri,
    compresses: bool,
    authorization: Option<HeaderValue>,
}

impl InfluxDb {
    /// Connects lazily.
    ///
    /// # Errors
    /// When the certificate authority's file or the address cannot be used.
    pub fn new(config: &DestinationConfig) -> Result<Self, String> {
        let http = Client::new(config.ca_file.as_deref()).map_err(|error| error.to_string())?;
        let path = match config.version {
            1 => format!(
                "/write?db={}&rp={}&precision=ns",
                encoded(&config.database),
                encoded(&config.retention_policy)
            ),
            _ => format!(
                "/api/v2/write?org={}&bucket={}&precision=ns",
                encoded(&config.org),
                encoded(&config.bucket)
            ),
        };
        let write_uri = format!("{}{path}", config.url()).parse().map_err(|error| format!("{error}"))?;
        let authorization = match (config.version, &config.username) {
            (1, Some(user)) => Some(basic_authorization(user, config.password.expose())),
            (2, _) if !config.token.is_empty() => Some(token_authorization(config.token.expose())?),
            _ => None,
        };
        let compresses = config.compresses();
        Ok(Self { http, config: config.clone(), write_uri, compresses, authorization })
    }

    /// Whether a missing database or bucket is created.
    pub fn creates(&self) -> bool {
        self.config.create
    }

    /// Lines as they are sent, to be written as often as needed.
    pub async fn body(&self, lines: Bytes) -> Body {
        if self.compresses { gzip::compressed(lines).await } else { Body::plain(lines) }
    }

    /// Writes lines of line protocol.
    pub async fn write(&self, body: Body) -> Answer {
        let request =
            self.request(Method::POST, self.write_uri.clone(), "text/plain; charset=utf-8", body.bytes);
        let request = request.map(|mut request| {
            if body.is_compressed {
                request.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            request
        });
        let failed = |status: &str, reason: String| {
            let outcome = Outcome::Retry { reason, after: None, is_missing: false };
            Answer { status: status.to_owned(), outcome }
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => return failed("request", error.to_string()),
        };
        match self.http.send(request, self.config.timeout).await {
            Ok(answer) => Answer {
                status: answer.status().as_u16().to_string(),
                outcome: classify(answer.status(), retry_after(&answer), answer.body()),
            },
            Err(error) => failed(failure_kind(&error), error.to_string()),
        }
    }

    /// Sees to it that the destination can be written to: creates the database or bucket if it is missing and that is allowed,
    /// else only asks whether the server is there.
    ///
    /// # Errors
    /// See [`PrepareError`]; all may heal.
    pub async fn prepare(&self) -> Result<(), PrepareError> {
        match (self.config.create, self.config.version) {
            (true, 1) => self.create_database().await,
            (true, _) => self.create_bucket().await,
            _ => self.ping().await,
        }
    }

    async fn ping(&self) -> Result<(), PrepareError> {
        let answer = self.call(Method::GET, "/ping", Bytes::new()).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(PrepareError::Refused { what: "ping", reason: reason(answer.status(), answer.body()) })
    }

    async fn create_database(&self) -> Result<(), PrepareError> {
        let (database, policy) = (quoted(&self.config.database), quoted(&self.config.retention_policy));
        let mut statement = format!("CREATE DATABASE {database}");
        // Every new database has autogen.
        if !matches!(self.config.retention_policy.as_str(), "" | "autogen") {
            statement +=
                &format!("; CREATE RETENTION POLICY {policy} ON {database} DURATION INF REPLICATION 1");
        }
        let answer =
            self.call(Method::POST, "/query", Bytes::from(format!("q={}", encoded(&statement)))).await?;
        let results: QueryAnswer = serde_json::from_slice(answer.body()).unwrap_or_default();
        let error = results.results.into_iter().filter_map(|result| result.error).next();
        match error {
            Some(error) if error.contains("already exists") => Ok(()),
            None if answer.status().is_success() => Ok(()),
            said => {
                let what = "creating the database";
                let is_denied = matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
                let reason = said.unwrap_or_else(|| reason(answer.status(), answer.body()));
                Err(if is_denied {
                    PrepareError::Denied { what, reason }
                } else {
                    PrepareError::Refused { what, reason }
                })
            }
        }
    }

    async fn create_bucket(&self) -> Result<(), PrepareError> {
        let config = &self.config;
        let refused = |what, reason: String| PrepareError::Refused { what, reason };
        let token = config.token.expose();
        let client = influxdb2::ClientBuilder::new(config.url(), &config.org, token)
            .build()
            .map_err(|error| refused("client", error.to_string()))?;
        let create = async {
            let find = influxdb2::api::buckets::ListBucketsRequest {
                name: Some(config.bucket.clone()),
                org: Some(config.org.clone()),
                ..Default::default()
            };
            let found = client.list_buckets(Some(find)).await;
            if found.is_ok_and(|found| found.buckets.iter().any(|bucket| bucket.name == config.bucket)) {
                return Ok(());
            }
            let find = influxdb2::api::organization::ListOrganizationRequest {
                org: Some(config.org.clone()),
                ..Default::default()
            };
            let found = client.list_organizations(find).await;
            let found = found.map_err(|error| failed("finding the organisation", &error))?;
            let id = found.orgs.into_iter().find_map(|org| org.id.filter(|_| org.name == config.org));
            // A token sees only what it may read.
            let id = id.ok_or_else(|| PrepareError::Denied {
                what: "finding the organisation",
                reason: format!("the token sees no organisation {}", config.org),
            })?;
            let bucket = influxdb2::models::PostBucketRequest::new(id, config.bucket.clone());
            let created = client.create_bucket(Some(bucket)).await;
            created.map_err(|error| failed("creating the bucket", &error))
        };
        tokio::time::timeout(config.timeout, create)
            .await
            .unwrap_or_else(|_| Err(refused("creating the bucket", "no answer in time".to_owned())))
    }

    /// Database and retention policy for a query in InfluxQL; a bucket has both in its name, or the default policy.
    pub(crate) fn read_names(&self) -> (&str, &str) {
        if self.config.version == 1 {
            return (&self.config.database, &self.config.retention_policy);
        }
        self.config.bucket.split_once('/').unwrap_or((&self.config.bucket, "autogen"))
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Bytes>, PrepareError> {
        let uri = format!("{}{path}", self.config.url()).parse::<Uri>().map_err(http::Error::from)?;
        let request = self.request(method, uri, "application/x-www-form-urlencoded", body)?;
        Ok(self.http.send(request, self.config.timeout).await?)
    }

    fn request(
        &self,
        method: Method,
        uri: Uri,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Request<Bytes>, http::Error> {
        let mut request =
            Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, content_type);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        request.body(body)
    }
}

#[derive(Default, Deserialize)]
struct QueryAnswer {
    #[serde(default)]
    results: Vec<QueryResult>,
}

#[derive(Deserialize)]
struct QueryResult {
    error: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorAnswer {
    error: Option<String>,
    message: Option<String>,
}

/// What an answer to a write means. The lines are doubted only when the answer is about them; whatever else is
/// wrong, they are written again.
pub fn classify(status: StatusCode, after: Option<Duration>, body: &[u8]) -> Outcome {
    let reason = reason(status, body);
    match status.as_u16() {
        200..=299 => Outcome::Written,
        400 | 422 => Outcome::Refused { is_about_lines: is_about_lines(&reason), reason },
        413 => Outcome::TooLarge { reason },
        // Everything else may heal, or a person has to act: credentials, rights, a missing database, load, a broken disk.
        other => Outcome::Retry { reason, after, is_missing: other == 404 },
    }
}

fn is_about_lines(reason: &str) -> bool {
    ["unable to parse", "partial write", "field type conflict", "dropped="]
        .iter()
        .any(|words| reason.contains(words))
}

/// What the server said: the message in its JSON, else the text.
pub(crate) fn reason(status: StatusCode, body: &[u8]) -> String {
    let json: ErrorAnswer = serde_json::from_slice(body).unwrap_or_default();
    let text = json.error.or(json.message).unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
    if text.is_empty() { status.to_string() } else { format!("{}: {}", status.as_u16(), shortened(&text)) }
}

/// InfluxDB repeats the line it refuses, which may be 100 KB, and says what is wrong behind it.
fn shortened(text: &str) -> String {
    let (head, tail) = REASON;
    let count = text.chars().count();
    if count <= head + tail {
        return text.to_owned();
    }
    let begin: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(count - tail).collect();
    format!("{begin} … {end}")
}

fn failed(what: &'static str, error: &influxdb2::RequestError) -> PrepareError {
    let reason = shortened(&error.to_string());
    match error {
        influxdb2::RequestError::Http { status, .. } if matches!(status.as_u16(), 401 | 403 | 404) => {
            PrepareError::Denied { what, reason }
        }
        _ => PrepareError::Refused { what, reason },
    }
}

fn retry_after(answer: &Response<Bytes>) -> Option<Duration> {
    let seconds = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

fn failure_kind(error: &HttpError) -> &'static str {
    match error {
        HttpError::Connect { .. } => "connect",
        HttpError::TimedOut { .. } => "timeout",
        _ => "broken",
    }
}

fn token_authorization(token: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::from_str(&format!("Token {token}")).map_err(|_| "token is not text".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

pub(crate) fn encoded(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

/// An identifier of InfluxQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', r"\\").replace('"', r#"\""#))
}

#[cfg(test)]
#[path = "influxdb_tests.rs"]
mod tests;
