//! Asks InfluxDB which points it has. InfluxQL, because 1.x and 2.x both answer it.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use efd_service::http::HttpError;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;

use super::patience::Patience;
use super::series::Tags;
use crate::influxdb::{InfluxDb, PrepareError, encoded, quoted, reason};
use crate::mapping::MappingConfig;

/// Points further apart are asked for one by one, nanoseconds.
const APART: i64 = 3_600_000_000_000;

/// Why it is not known what InfluxDB has.
#[derive(Debug, Error)]
pub enum PresentError {
    /// No answer.
    #[error("influxdb does not say what it has: {0}")]
    Silent(#[from] PrepareError),
    /// An answer that another moment may change.
    #[error("influxdb does not say what it has: {0}")]
    Failed(String),
    /// An answer that says no.
    #[error(
        "influxdb does not say what it has: {0}; with version 2 the bucket needs a mapping to a database and retention policy"
    )]
    Refused(String),
}

impl PresentError {
    /// Whether the same question may be answered later.
    pub fn heals(&self) -> bool {
        match self {
            Self::Silent(PrepareError::Http(error)) => {
                !matches!(error, HttpError::CaFile { .. } | HttpError::TooLarge { .. })
            }
            Self::Silent(_) | Self::Refused(_) => false,
            Self::Failed(_) => true,
        }
    }
}

/// Points that InfluxDB has: their times, Unix nanoseconds, by the tags of their series.
#[derive(Debug, Default)]
pub struct Points(HashMap<Tags, HashSet<i64>>);

impl Points {
    /// Whether this one is there.
    pub fn has(&self, tags: &Tags, time: i64) -> bool {
        self.0.get(tags).is_some_and(|times| times.contains(&time))
    }

    fn add(&mut self, mut series: Series) {
        // A series without a tag that others of the measurement have is listed with an empty one.
        series.tags.retain(|_, value| !value.is_empty());
        self.0.entry(series.tags).or_default().extend(series.values.into_iter().map(|(time, _)| time));
    }
}

/// The one who asks.
#[derive(Debug)]
pub struct Present {
    influxdb: InfluxDb,
    /// Field with the time, which every point has.
    field: String,
    /// Empty without tags in the mapping: then a point counts whatever tags somebody else gave it.
    group: &'static str,
    patience: Patience,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Statement>,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(default)]
    series: Vec<Series>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    tags: Tags,
    values: Vec<(i64, IgnoredAny)>,
}

impl Present {
    /// Nothing is asked yet.
    pub fn new(influxdb: InfluxDb, mapping: &MappingConfig, patience: Patience) -> Self {
        let has_tags = !(mapping.tags.is_empty() && mapping.writer_tags.is_empty());
        let group = if has_tags { " GROUP BY *" } else { "" };
        Self { influxdb, field: quoted(&mapping.time_field), group, patience }
    }

    /// The points of a measurement around these times, Unix nanoseconds.
    ///
    /// # Errors
    /// See [`PresentError`].
    pub async fn points(&self, measurement: &str, mut times: Vec<i64>) -> Result<Points, PresentError> {
        times.sort_unstable();
        let mut points = Points::default();
        for span in spans(&times) {
            let question = self.question(measurement, span);
            for series in self.patience.ask(PresentError::heals, || self.asked(&question)).await? {
                points.add(series);
            }
        }
        Ok(points)
    }

    fn question(&self, measurement: &str, (first, last): (i64, i64)) -> Bytes {
        let Self { field, group, .. } = self;
        let (database, policy) = self.influxdb.read_names();
        // Nothing between the dots is the default policy, as for a write.
        let between = if policy.is_empty() { String::new() } else { quoted(policy) };
        let from = [quoted(database), between, quoted(measurement)].join(".");
        let query = format!("SELECT {field} FROM {from} WHERE time >= {first} AND time <= {last}{group}");
        let place = format!("db={}&rp={}", encoded(database), encoded(policy));
        Bytes::from(format!("{place}&epoch=ns&q={}", encoded(&query)))
    }

    async fn asked(&self, question: &Bytes) -> Result<Vec<Series>, PresentError> {
        let answer = self.influxdb.call(Method::POST, "/query", question.clone()).await?;
        let status = answer.status();
        if !status.is_success() {
            let said = reason(status, answer.body());
            let is_refused = status.is_client_error()
                && !matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
            return Err(if is_refused { PresentError::Refused(said) } else { PresentError::Failed(said) });
        }
        let parsed: Answer = serde_json::from_slice(answer.body())
            .map_err(|error| PresentError::Failed(format!("{status}, {error}")))?;
        let mut found = Vec::new();
        for statement in parsed.results {
            match statement.error {
                None => found.extend(statement.series),
                // A database that was dropped has nothing.
                Some(error) if error.contains("database not found") => {}
                Some(error) if error.contains("retention policy not found") => {}
                // Load and a server that stops are told in this place too.
                Some(error) => return Err(PresentError::Failed(error)),
            }
        }
        Ok(found)
    }
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
#[path = "present_tests.rs"]
mod tests;
