//! Why a request is not answered, worded as InfluxDB words it: a status and `{"error":…}`.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use efd_service::chain;
use efd_service::server::credentials::Denied;
use serde_json::json;
use tonic::Code;

use super::rules::Refusal;
use super::statement::SyntaxError;
use crate::influxdb::InfluxDbError;
use crate::quota::OverQuota;

/// The header in which InfluxDB repeats an error.
pub const ERROR_HEADER: &str = "x-influxdb-error";
/// Longest text in it.
const MAX_HEADER: usize = 1000;
/// When to come again after the gateway or InfluxDB had no room.
const RETRY_BUSY: Duration = Duration::from_secs(1);

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No credentials, where some are asked for.
    #[error("unable to parse authentication credentials: {0}")]
    Missing(Denied),
    /// Unknown ones.
    #[error("authorization failed: {0}")]
    Unknown(Denied),
    /// There is nothing at this path.
    #[error("there is nothing at {0}; the gateway answers /query, /ping and /health")]
    NoSuchPath(String),
    /// The path knows other methods only.
    #[error("method {method} is not allowed here, only {allowed}")]
    Method {
        /// The one used.
        method: String,
        /// Those there are.
        allowed: &'static str,
    },
    /// Somebody wants to write points.
    #[error("the gateway only reads; write to InfluxDB itself, or send records through ingest")]
    WritePath,
    /// No query.
    #[error("missing required parameter \"q\"")]
    NoQuery,
    /// The request is too long.
    #[error("the request is longer than {0} bytes (setting http.max_query_bytes); ask for less in one query")]
    TooLong(u64),
    /// The body does not come.
    #[error("the request did not come within {0} s (setting http.body_timeout)")]
    BodyTimedOut(u64),
    /// The client went away while it sent its request.
    #[error("the request broke off")]
    BrokenOff,
    /// A body in a form that is not read.
    #[error("a body of type {0} is not read, send a form (application/x-www-form-urlencoded)")]
    MediaType(String),
    /// The query is not understood.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// The caller may not ask it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller asks too much.
    #[error("{over}; try again in {seconds} s", seconds = seconds(over.retry_after()))]
    OverQuota {
        /// Which quota.
        over: OverQuota,
    },
    /// There is no room for any query.
    #[error(
        "{0} queries run and no place came free in time (settings http.max_running, .max_waiting, .max_wait); try again"
    )]
    Busy(usize),
    /// The query takes too long.
    #[error("the query takes longer than {} (setting http.max_time); ask for less", humantime_serde::re::humantime::format_duration(*.0))]
    TooSlow(Duration),
    /// The gateway stops.
    #[error("the gateway stops; try again")]
    Stopping,
    /// There is no such label.
    #[error("no credentials available for {0}")]
    NoSuchLabel(String),
    /// InfluxDB answers with an error of its own.
    #[error("{1}")]
    InfluxDbSays(StatusCode, String),
    /// InfluxDB does not answer.
    #[error(transparent)]
    InfluxDb(#[from] InfluxDbError),
}

impl From<Denied> for HttpError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Missing => Self::Missing(denied),
            Denied::Unknown => Self::Unknown(denied),
        }
    }
}

impl From<OverQuota> for HttpError {
    fn from(over: OverQuota) -> Self {
        Self::OverQuota { over }
    }
}

impl HttpError {
    /// Status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Missing(_) | Self::Unknown(_) => StatusCode::UNAUTHORIZED,
            Self::NoSuchPath(_) | Self::NoSuchLabel(_) => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::WritePath | Self::Refused(_) => StatusCode::FORBIDDEN,
            Self::NoQuery | Self::Syntax(_) | Self::BrokenOff => StatusCode::BAD_REQUEST,
            Self::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimedOut(_) => StatusCode::REQUEST_TIMEOUT,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::OverQuota { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy(_) | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::InfluxDbSays(status, _) => *status,
            Self::TooSlow(_) | Self::InfluxDb(InfluxDbError::TimedOut { .. }) => StatusCode::GATEWAY_TIMEOUT,
            Self::InfluxDb(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The same as a code of gRPC, for metrics that have both.
    pub fn code(&self) -> Code {
        match self.status() {
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
            StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            status if status.is_client_error() => Code::InvalidArgument,
            _ => Code::Internal,
        }
    }

    /// When the client may come again, where that helps.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::OverQuota { over } => Some(over.retry_after()),
            Self::Busy(_) | Self::Stopping | Self::InfluxDb(_) => Some(RETRY_BUSY),
            _ => None,
        }
    }

    /// The answer.
    pub fn response(&self) -> Response {
        let message = chain(self);
        let mut response = Response::new(Body::from(format!("{}\n", json!({"error": message}))));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let short = message.get(..message.floor_char_boundary(MAX_HEADER)).unwrap_or_default();
        if let Ok(value) = HeaderValue::from_str(short) {
            headers.insert(ERROR_HEADER, value);
        }
        if let Some(after) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(after)));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            let schemes = HeaderValue::from_static("Basic realm=\"InfluxDB\", Bearer");
            headers.insert(header::WWW_AUTHENTICATE, schemes);
        }
        if let Self::Method { allowed, .. } = self {
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        response
    }
}

/// Whole seconds, at least one, as `Retry-After` has them.
fn seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}
