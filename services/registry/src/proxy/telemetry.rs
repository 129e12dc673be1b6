//! Instruments of a proxy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::memory::Memory;
use super::now;

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Known, and good.
    Memory,
    /// Asked for.
    Upstream,
    /// Known, and could not be asked for again.
    Stale,
    /// There was none.
    Failed,
}

impl Source {
    const ALL: [Self; 4] = [Self::Memory, Self::Upstream, Self::Stale, Self::Failed];

    const fn label(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Upstream => "upstream",
            Self::Stale => "stale",
            Self::Failed => "failed",
        }
    }
}

/// All instruments, made once.
#[derive(Debug, Clone)]
pub(super) struct Telemetry {
    answers: Counter<u64>,
    evicted: Counter<u64>,
    file_errors: Counter<u64>,
    upstream_seconds: Histogram<f64>,
    up: Arc<AtomicU64>,
    /// When the upstream last answered, in milliseconds since 1970.
    last_answer: Arc<AtomicU64>,
}

impl Telemetry {
    pub(super) fn new(meter: &Meter, memory: &Arc<Mutex<Memory>>) -> Self {
        let telemetry = Self {
            answers: meter
                .u64_counter("efd_registry_proxy_answers")
                .with_description("answers of a proxy, by source: memory, upstream, stale or failed")
                .build(),
            evicted: meter
                .u64_counter("efd_registry_proxy_evicted")
                .with_description("answers that had to go because of upstream.cache_bytes")
                .build(),
            file_errors: meter
                .u64_counter("efd_registry_proxy_file_errors")
                .with_description("writes of the cache file that failed")
                .build(),
            upstream_seconds: meter
                .f64_histogram("efd_registry_upstream_request")
                .with_description("time of a request to the upstream registry")
                .with_unit("s")
                .build(),
            up: Arc::default(),
            last_answer: Arc::new(AtomicU64::new(now())),
        };
        for source in Source::ALL {
            telemetry.answers.add(0, &[KeyValue::new("source", source.label())]);
        }
        telemetry.evicted.add(0, &[]);
        telemetry.file_errors.add(0, &[]);
        telemetry.observe(meter, memory);
        telemetry
    }

    fn observe(&self, meter: &Meter, memory: &Arc<Mutex<Memory>>) {
        let up = self.up.clone();
        meter
            .u64_observable_gauge("efd_registry_upstream_up")
            .with_description("1 while the upstream registry answers, else 0")
            .with_callback(move |gauge| gauge.observe(up.load(Ordering::Relaxed), &[]))
            .build();
        let (up, last) = (self.up.clone(), self.last_answer.clone());
        meter
            .f64_observable_gauge("efd_registry_upstream_silence")
            .with_description(
                "time since the upstream registry last answered, while it is away: how stale answers may be",
            )
            .with_unit("s")
            .with_callback(move |gauge| {
                let silent = Duration::from_millis(now().saturating_sub(last.load(Ordering::Relaxed)));
                let is_up = up.load(Ordering::Relaxed) == 1;
                gauge.observe(if is_up { 0.0 } else { silent.as_secs_f64() }, &[]);
            })
            .build();
        let entries = memory.clone();
        meter
            .u64_observable_gauge("efd_registry_proxy_entries")
            .with_description("answers in memory")
            .with_callback(move |gauge| gauge.observe(lock(&entries).len() as u64, &[]))
            .build();
        let bytes = memory.clone();
        meter
            .u64_observable_gauge("efd_registry_proxy_cache")
            .with_description("memory of the answers; the bound is upstream.cache_bytes")
            .with_unit("By")
            .with_callback(move |gauge| gauge.observe(lock(&bytes).bytes(), &[]))
            .build();
    }

    pub(super) fn answered(&self, source: Source) {
        self.answers.add(1, &[KeyValue::new("source", source.label())]);
    }

    pub(super) fn evicted(&self, entries: u64) {
        self.evicted.add(entries, &[]);
    }

    pub(super) fn file_failed(&self) {
        self.file_errors.add(1, &[]);
    }

    pub(super) fn asked(&self, took: Duration) {
        self.upstream_seconds.record(took.as_secs_f64(), &[]);
    }

    pub(super) fn upstream(&self, is_up: bool) {
        self.up.store(u64::from(is_up), Ordering::Relaxed);
        if is_up {
            self.last_answer.store(now(), Ordering::Relaxed);
        }
    }
}

fn lock(memory: &Mutex<Memory>) -> std::sync::MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}
