//! Asks InfluxDB which points it has. InfluxQL, because 1.x and 2.x both answer it.

use std::collections::HashSet;

use bytes::Bytes;
use efd_service::http::{Client, HttpError, basic_authorization};
use http::{HeaderValue, Request, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;

use crate::destination::DestinationConfig;

/// Points further apart are asked for one by one, nanoseconds.
const APART: i64 = 3_600_000_000_000;

/// Why it is not known what InfluxDB has.
#[derive(Debug, Error)]
pub enum PresentError {
    /// No answer.
    #[error("influxdb does not say what it has: {0}")]
    Http(#[from] HttpError),
    /// The question cannot be put.
    #[error("influxdb cannot be asked what it has: {0}")]
    Request(#[from] http::Error),
    /// An answer that says no.
    #[error(
        "influxdb does not say what it has: {0}; with version 2 the bucket needs a mapping to a database and retention policy"
    )]
    Refused(String),
}

/// The one who asks.
#[derive(Debug)]
pub struct Present {
    http: Client,
    uri: String,
    authorization: Option<HeaderValue>,
    place: (String, String),
    /// Field with the time, which every point has.
    field: String,
    timeout: std::time::Duration,
}

#[derive(Default, Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Statement>,
    #[serde(alias = "message")]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(default)]
    series: Vec<Series>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Series {
    values: Vec<(i64, IgnoredAny)>,
}

impl Present {
    /// Connects lazily.
    ///
    /// # Errors
    /// When the certificate authority's file or the token cannot be used.
    pub fn new(config: &DestinationConfig, time_field: &str) -> Result<Self, String> {
        let http = Client::new(config.ca_file.as_deref()).map_err(|error| error.to_string())?;
        let authorization = match (config.version, &config.username) {
            (1, Some(user)) => Some(basic_authorization(user, config.password.expose())),
            (2, _) if !config.token.is_empty() => {
                let text = format!("Token {}", config.token.expose());
                let mut value = HeaderValue::try_from(text).map_err(|error| error.to_string())?;
                value.set_sensitive(true);
                Some(value)
            }
            _ => None,
        };
        let place = match config.version {
            1 => (config.database.clone(), config.retention_policy.clone()),
            // A bucket is mapped by its name.
            _ => match config.bucket.split_once('/') {
                Some((database, policy)) => (database.to_owned(), policy.to_owned()),
                None => (config.bucket.clone(), "autogen".to_owned()),
            },
        };
        let uri = format!("{}/query", config.url());
        Ok(Self { http, uri, authorization, place, field: quoted(time_field), timeout: config.timeout })
    }

    /// The times of the points of a measurement around these times, Unix nanoseconds.
    ///
    /// # Errors
    /// See [`PresentError`].
    pub async fn points(&self, measurement: &str, mut times: Vec<i64>) -> Result<HashSet<i64>, PresentError> {
        times.sort_unstable();
        let mut found = HashSet::new();
        for (first, last) in spans(&times) {
            found.extend(self.ask(measurement, first, last).await?);
        }
        Ok(found)
    }

    async fn ask(&self, measurement: &str, first: i64, last: i64) -> Result<Vec<i64>, PresentError> {
        let (database, policy) = &self.place;
        let from = [database.as_str(), policy.as_str(), measurement].map(quoted).join(".");
        let field = &self.field;
        let query = format!("SELECT {field} FROM {from} WHERE time >= {first} AND time <= {last}");
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let place = format!("db={}&rp={}", encoded(database), encoded(policy));
        let body = format!("{place}&epoch=ns&q={}", encoded(&query));
        let mut request =
            Request::post(&self.uri).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        let answer = self.http.send(request.body(Bytes::from(body))?, self.timeout).await?;
        let status = answer.status();
        let parsed: Answer = serde_json::from_slice(answer.body())
            .map_err(|error| PresentError::Refused(format!("HTTP {status}, {error}")))?;
        if let Some(error) = parsed.error {
            return Err(PresentError::Refused(error));
        }
        let mut found = Vec::new();
        for statement in parsed.results {
            match statement.error {
                // A database that was dropped has nothing.
                Some(error) if error.contains("database not found") => {}
                Some(error) if error.contains("retention policy not found") => {}
                Some(error) => return Err(PresentError::Refused(error)),
                None => {}
            }
            let values = statement.series.into_iter().flat_map(|series| series.values);
            found.extend(values.map(|(time, _)| time));
        }
        Ok(found)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Ranges that cover sorted times, cut where two lie far apart.
fn spans(times: &[i64]) -> Vec<(i64, i64)> {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for time in times {
        match spans.last_mut() {
            Some((_, last)) if time.saturating_sub(*last) <= APART => *last = *time,
            _ => spans.push((*time, *time)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_far_apart_are_asked_for_one_by_one() {
        assert_eq!(spans(&[]), []);
        assert_eq!(spans(&[1, 2, 3]), [(1, 3)]);
        assert_eq!(spans(&[1, 5, 6 + APART]), [(1, 5), (6 + APART, 6 + APART)]);
    }

    #[test]
    fn a_name_is_quoted() {
        assert_eq!(quoted(r#"a"b\"#), r#""a\"b\\""#);
    }
}
