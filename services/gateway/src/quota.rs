//! How much one caller may ask: queries at once, and queries a second.
//!
//! A caller over its quota is refused at once and told when to come again, so that dashboards that poll too often hear of it, and
//! InfluxDB does not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::credentials::{Caller, Credential};

/// When a caller that has too many queries running may come again.
const RETRY_RUNNING: Duration = Duration::from_secs(1);

/// What one caller may ask.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaConfig {
    /// Queries at once. Default 16.
    pub max_running: usize,
    /// Queries a second over a longer time. Default 50.
    pub per_second: f64,
    /// Queries that may come at once after a pause. Default 100.
    pub burst: u32,
}

/// Why a caller has to wait.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum OverQuota {
    /// Too many at once.
    #[error(
        "{0} queries of these credentials are running, as many as their quota allows (quota.max_running)"
    )]
    Running(usize),
    /// Too many in a short time.
    #[error("these credentials may ask {per_second} queries a second (quota.per_second)")]
    Rate {
        /// The quota.
        per_second: f64,
        /// When the next one may come.
        retry_after: Duration,
    },
}

/// The quotas of all callers; clones share them.
#[derive(Debug, Clone)]
pub struct Quotas {
    users: Arc<HashMap<String, Arc<User>>>,
    /// Everybody who shows no credentials, together.
    anybody: Arc<User>,
}

/// A place among the queries of a caller that run, until it is dropped.
#[derive(Debug)]
pub struct Place(Arc<User>);

#[derive(Debug)]
struct User {
    quota: QuotaConfig,
    used: Mutex<Used>,
}

#[derive(Debug)]
struct Used {
    running: usize,
    /// Queries that may be asked now.
    room: f64,
    /// When that was so.
    at: Option<Instant>,
}

impl Default for QuotaConfig {
    fn default() -> Self {
        Self { max_running: 16, per_second: 50.0, burst: 100 }
    }
}

impl QuotaConfig {
    /// Whether it lets anything through.
    pub fn is_valid(&self) -> bool {
        self.max_running > 0 && self.per_second > 0.0 && self.per_second.is_finite() && self.burst > 0
    }
}

impl OverQuota {
    /// When to come again.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Running(_) => RETRY_RUNNING,
            Self::Rate { retry_after, .. } => *retry_after,
        }
    }

    /// The value of the label `reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Running(_) => "quota_running",
            Self::Rate { .. } => "quota_rate",
        }
    }
}

impl Quotas {
    /// Of these credentials; `default` is for those that say nothing, and for callers without credentials.
    pub fn new(credentials: &[Credential], default: QuotaConfig) -> Self {
        let user = |quota: Option<QuotaConfig>| Arc::new(User::new(quota.unwrap_or(default)));
        let users = credentials.iter().map(|credential| (credential.name.clone(), user(credential.quota)));
        Self { users: Arc::new(users.collect()), anybody: user(None) }
    }

    /// Lets a query of this caller begin.
    ///
    /// # Errors
    /// When it has to wait.
    pub fn admit(&self, caller: &Caller, now: Instant) -> Result<Place, OverQuota> {
        let user = self.users.get(caller.name()).unwrap_or(&self.anybody);
        user.begin(now)?;
        Ok(Place(user.clone()))
    }
}

impl User {
    fn new(quota: QuotaConfig) -> Self {
        Self { quota, used: Mutex::new(Used { running: 0, room: f64::from(quota.burst), at: None }) }
    }

    fn begin(&self, now: Instant) -> Result<(), OverQuota> {
        let QuotaConfig { max_running, per_second, burst } = self.quota;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.running >= max_running {
            return Err(OverQuota::Running(max_running));
        }
        let since = used.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let room = (used.room + since.as_secs_f64() * per_second).min(f64::from(burst));
        used.at = Some(used.at.map_or(now, |at| at.max(now)));
        used.room = room;
        if room < 1.0 {
            let retry_after = Duration::try_from_secs_f64((1.0 - room) / per_second).unwrap_or(Duration::MAX);
            return Err(OverQuota::Rate { per_second, retry_after });
        }
        used.room = room - 1.0;
        used.running += 1;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner).running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use efd_service::Secret;

    use super::*;
    use crate::credentials::Access;

    fn callers() -> (Quotas, Caller, Caller) {
        let quota = QuotaConfig { max_running: 2, per_second: 10.0, burst: 3 };
        let credential = |name: &str, quota| Credential {
            name: name.into(),
            token: Secret::from(name),
            quota,
            ..Credential::default()
        };
        let wide = QuotaConfig { max_running: 100, per_second: 1000.0, burst: 1000 };
        let credentials = [credential("a", None), credential("b", Some(wide))];
        let access = Access::new(&credentials);
        let caller = |token| access.named(None, token).unwrap();
        (Quotas::new(&credentials, quota), caller("a"), caller("b"))
    }

    #[test]
    fn a_caller_has_so_many_queries_at_once() {
        let (quotas, a, b) = callers();
        let now = Instant::now();
        let places = [quotas.admit(&a, now).unwrap(), quotas.admit(&a, now).unwrap()];
        assert_eq!(quotas.admit(&a, now).unwrap_err(), OverQuota::Running(2));
        let others: Vec<_> = (0..50).map(|_| quotas.admit(&b, now).unwrap()).collect();
        assert_eq!(others.len(), 50);
        drop(places);
        quotas.admit(&a, now).unwrap();
    }

    #[test]
    fn a_caller_has_so_many_queries_a_second_after_a_burst() {
        let (quotas, a, _) = callers();
        let start = Instant::now();
        for _ in 0..3 {
            quotas.admit(&a, start).unwrap();
        }
        let refusal = quotas.admit(&a, start).unwrap_err();
        assert_eq!(refusal, OverQuota::Rate { per_second: 10.0, retry_after: Duration::from_millis(100) });
        let mut answered = 0;
        for step in 1..=1000 {
            let now = start + Duration::from_millis(step);
            answered += u32::from(quotas.admit(&a, now).is_ok());
        }
        assert!((9..=10).contains(&answered), "{answered}");
        let later = start + Duration::from_secs(3600);
        assert_eq!((0..10).filter(|_| quotas.admit(&a, later).is_ok()).count(), 3);
    }

    #[test]
    fn everybody_without_credentials_shares_one_quota() {
        let quotas = Quotas::new(&[], QuotaConfig { max_running: 1, ..QuotaConfig::default() });
        let now = Instant::now();
        let _place = quotas.admit(&Caller::default(), now).unwrap();
        assert_eq!(quotas.admit(&Caller::default(), now).unwrap_err(), OverQuota::Running(1));
    }
}
