//! Types that fields have already: InfluxDB refuses a point whose field has another type than in its shard, so that is looked at when a
//! schema is new, before its first record is written.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use efd_sal::StoredType;
use efd_service::Backoff;
use http::Method;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::influxdb::{InfluxDb, PrepareError, encoded, quoted};
use crate::schemas::Known;

/// For each field the types that it has, in one shard or another.
pub type Stored = HashMap<String, Vec<StoredType>>;

/// Questions to the destination at once: at the start every topic has one.
const AT_ONCE: usize = 8;

/// What one destination has, and what is about to be written to it.
#[derive(Debug)]
pub struct FieldTypes {
    influxdb: Option<InfluxDb>,
    retry: (Duration, Duration),
    /// Plans in use, by measurement.
    plans: Mutex<HashMap<String, Vec<Weak<Known>>>>,
    questions: Semaphore,
    is_told: AtomicBool,
}

impl FieldTypes {
    /// Nothing is asked yet. Without an InfluxDB only plans in use count.
    pub fn new(influxdb: Option<InfluxDb>, retry: (Duration, Duration)) -> Self {
        let questions = Semaphore::new(AT_ONCE);
        Self { influxdb, retry, plans: Mutex::default(), questions, is_told: AtomicBool::new(false) }
    }

    /// Types of the fields of a measurement. Waits for a destination that is away, which takes no points either; one that does not tell
    /// is told of once.
    pub async fn stored(&self, measurement: &str) -> Stored {
        let Some(influxdb) = &self.influxdb else { return Stored::new() };
        let mut backoff = Backoff::new(self.retry.0, self.retry.1);
        loop {
            let permit = self.questions.acquire().await;
            let answer = influxdb.field_types(measurement).await;
            drop(permit);
            match answer {
                Ok(Some(stored)) => return stored,
                Ok(None) => {
                    if !self.is_told.swap(true, Ordering::AcqRel) {
                        tracing::info!(
                            "destination does not tell the types of its fields, conflicts show when it refuses points"
                        );
                    }
                    return Stored::new();
                }
                Err(_) => tokio::time::sleep(backoff.next()).await,
            }
        }
    }

    /// Adds the types of plans in use to `stored`, calls `compile` with all, and remembers the plan that it makes.
    pub fn compiled<E>(
        &self,
        measurement: &str,
        mut stored: Stored,
        compile: impl FnOnce(&Stored) -> Result<Known, E>,
    ) -> Result<Arc<Known>, E> {
        // Held while compiling, so that of two new schemas one sees the other.
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = plans.entry(measurement.to_owned()).or_default();
        earlier.retain(|plan| plan.strong_count() > 0);
        for known in earlier.iter().filter_map(Weak::upgrade) {
            for (name, ty) in known.plan.field_types() {
                let types = stored.entry(name.to_owned()).or_default();
                if !types.contains(&ty) {
                    types.push(ty);
                }
            }
        }
        let known = Arc::new(compile(&stored)?);
        earlier.push(Arc::downgrade(&known));
        Ok(known)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    results: Vec<Statement>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Statement {
    series: Vec<Series>,
    error: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Series {
    values: Vec<(String, String)>,
}

impl InfluxDb {
    /// Types of the fields of a measurement; none where the server answers and does not tell, for example for want of a right to read.
    ///
    /// # Errors
    /// When it is away or has too much to do.
    pub async fn field_types(&self, measurement: &str) -> Result<Option<Stored>, PrepareError> {
        let (database, policy) = self.read_names();
        let statement = format!("SHOW FIELD KEYS FROM {}", quoted(measurement));
        let path =
            format!("/query?db={}&rp={}&q={}", encoded(database), encoded(policy), encoded(&statement));
        let answer = self.call(Method::GET, &path, Bytes::new()).await?;
        if answer.status().is_server_error() {
            return Err(PrepareError::Refused {
                what: "asking for field types",
                reason: answer.status().to_string(),
            });
        }
        let parsed = serde_json::from_slice::<Answer>(answer.body()).ok();
        let Some(statement) = parsed.and_then(|answer| answer.results.into_iter().next()) else {
            return Ok(None);
        };
        match statement.error {
            Some(reason) if is_passing(&reason) => {
                return Err(PrepareError::Refused { what: "asking for field types", reason });
            }
            Some(_) => return Ok(None),
            None => {}
        }
        let mut stored = Stored::new();
        for (name, ty) in statement.series.into_iter().flat_map(|series| series.values) {
            stored.entry(name).or_default().extend(stored_type(&ty));
        }
        Ok(Some(stored))
    }
}

/// Whether a statement failed for want of time or room: its words about limits on queries, their time-out and their end by hand.
fn is_passing(reason: &str) -> bool {
    ["limit exceeded", "timeout", "interrupted", "killed"].iter().any(|word| reason.contains(word))
}

fn stored_type(name: &str) -> Option<StoredType> {
    let all = [StoredType::Boolean, StoredType::Integer, StoredType::Float, StoredType::String];
    all.into_iter().find(|ty| ty.name() == name)
}

#[cfg(test)]
#[path = "field_types_tests.rs"]
mod tests;
