//! Bounds of what clients may ask for: connections, bodies, and requests in a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use efd_service::ConfigError;
use efd_service::server::connections::Bounds;
use serde::{Deserialize, Serialize};

/// Bounds on clients.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests in a second of all callers together, REST and gRPC, in a burst at most as many at once. Default 0: no bound.
    pub requests_per_second: u32,
    /// The same for each credential. Default 0: no bound.
    pub requests_per_second_each: u32,
    /// Connections to the REST interface, and as many to the gRPC server; further ones wait until one ends. Default 1024.
    pub max_connections: usize,
    /// How long a connection may be without a request, and the head of one may take to come; then it is closed. Default 75 s.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long the body of a request may take to come. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// Bodies of the requests worked on at the same time, together; with more, a client is told to try again (429). Default
    /// 64 MiB, and never less than one body may have.
    pub max_in_flight_bytes: ByteSize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            requests_per_second: 0,
            requests_per_second_each: 0,
            max_connections: 1024,
            header_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(10),
            max_in_flight_bytes: ByteSize::mib(64),
        }
    }
}

impl LimitsConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            (self.max_connections > 0, "limits.max_connections"),
            (!self.header_timeout.is_zero(), "limits.header_timeout"),
            (!self.body_timeout.is_zero(), "limits.body_timeout"),
        ];
        for (holds, setting) in rules {
            if !holds {
                return Err(ConfigError::invalid(setting, "must be more than 0"));
            }
        }
        Ok(())
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { max_connections: self.max_connections, header_timeout: self.header_timeout }
    }
}

/// Lets so many requests through in a second; those that were not used in the last second may come at once.
#[derive(Debug)]
pub(crate) struct Rate {
    started: Instant,
    /// Nanoseconds that one request takes.
    each: u64,
    /// When, in nanoseconds after the start, all that were let through are used up.
    used_until: AtomicU64,
}

/// Unused time that is kept.
const BURST: u64 = 1_000_000_000;

impl Rate {
    /// None for 0, which is no bound.
    pub(crate) fn new(per_second: u32) -> Option<Self> {
        let each = BURST.checked_div(per_second.into())?;
        Some(Self { started: Instant::now(), each, used_until: AtomicU64::new(0) })
    }

    /// Lets a request through.
    ///
    /// # Errors
    /// After how long it would be let through.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        self.take_at(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn take_at(&self, now: u64) -> Result<(), Duration> {
        let after = |used_until: u64| used_until.max(now).saturating_add(self.each);
        let has_room = |used_until: u64| Some(after(used_until)).filter(|after| after - now <= BURST);
        let taken = self.used_until.fetch_update(Ordering::AcqRel, Ordering::Acquire, has_room);
        taken.map(|_| ()).map_err(|used_until| Duration::from_nanos(after(used_until) - now - BURST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_requests_and_no_more() {
        let rate = Rate::new(4).unwrap();
        let second = BURST;
        let taken = |now: u64, count: usize| (0..count).filter(|_| rate.take_at(now).is_ok()).count();
        assert_eq!(taken(0, 10), 4);
        assert_eq!(rate.take_at(0), Err(Duration::from_millis(250)));
        assert_eq!(taken(second / 2, 10), 2);
        assert_eq!(taken(10 * second, 10), 4, "what was not used is kept for a second only");
        assert!(Rate::new(0).is_none());
    }

    #[test]
    fn bounds_that_let_nobody_in_are_refused_by_name() {
        LimitsConfig::default().check().unwrap();
        let none = LimitsConfig { max_connections: 0, ..LimitsConfig::default() };
        assert!(none.check().unwrap_err().to_string().contains("limits.max_connections"));
    }
}
