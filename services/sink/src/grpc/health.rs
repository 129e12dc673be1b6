//! How each destination fares, as `efd sink status` tells it: what metrics count, and the words of the last trouble.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

/// How one destination fares.
#[derive(Debug)]
pub struct Health {
    is_connected: AtomicBool,
    in_flight: AtomicI64,
    points: AtomicU64,
    newest: AtomicI64,
    trouble: Mutex<Option<(SystemTime, String)>>,
}

/// All of them, by name.
#[derive(Debug, Default)]
pub struct Healths {
    by_destination: RwLock<HashMap<String, Arc<Health>>>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            is_connected: AtomicBool::new(false),
            in_flight: AtomicI64::new(0),
            points: AtomicU64::new(0),
            newest: AtomicI64::new(i64::MIN),
            trouble: Mutex::default(),
        }
    }
}

impl Healths {
    /// That of a destination, made when it is asked for first.
    pub fn of(&self, destination: &str) -> Arc<Health> {
        let known = self.by_destination.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(health) = known.get(destination) {
            return health.clone();
        }
        drop(known);
        let mut known = self.by_destination.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(destination.to_owned()).or_default().clone()
    }
}

impl Health {
    /// Whether it takes what is written.
    pub fn connected(&self, is_connected: bool) {
        self.is_connected.store(is_connected, Ordering::Relaxed);
    }

    /// Lines and records came (positive) or went (negative).
    pub fn in_flight_bytes(&self, change: i64) {
        self.in_flight.fetch_add(change, Ordering::Relaxed);
    }

    /// Points were written, the newest of `newest` (Unix nanoseconds).
    pub fn written(&self, points: u64, newest: i64) {
        self.points.fetch_add(points, Ordering::Relaxed);
        self.newest.fetch_max(newest, Ordering::Relaxed);
    }

    /// A write failed.
    pub fn trouble(&self, reason: &str) {
        let trouble = Some((SystemTime::now(), reason.to_owned()));
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Whether it took the last write.
    pub fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed)
    }

    /// Bytes read and not yet written.
    pub fn in_flight(&self) -> u64 {
        u64::try_from(self.in_flight.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Points written since the start.
    pub fn points(&self) -> u64 {
        self.points.load(Ordering::Relaxed)
    }

    /// Time of the newest point, Unix nanoseconds; none before the first.
    pub fn newest(&self) -> Option<i64> {
        Some(self.newest.load(Ordering::Relaxed)).filter(|newest| *newest > i64::MIN)
    }

    /// When the last write failed, and why.
    pub fn last_trouble(&self) -> Option<(SystemTime, String)> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
