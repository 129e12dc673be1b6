//! A call that is being answered: its measures, and a line in the log if it was slow.

use std::time::{Duration, Instant};

use tonic::Code;

use crate::metrics::{Kind, Metrics, status_name};

/// Longest text of what a slow query asked for, in bytes.
const MAX_ABOUT: usize = 400;

/// A call that is being answered. What it was is recorded when it is dropped; unless told otherwise, the client went away.
#[derive(Debug)]
pub struct Running {
    metrics: Metrics,
    kind: Kind,
    slow: Duration,
    request: String,
    started: Instant,
    status: Code,
    rows: usize,
    bytes: usize,
}

impl Running {
    /// A call begins. One that takes `slow` or longer is logged.
    pub fn begin(metrics: &Metrics, kind: Kind, slow: Duration) -> Self {
        metrics.begins(kind);
        Self {
            metrics: metrics.clone(),
            kind,
            slow,
            request: String::new(),
            started: Instant::now(),
            status: Code::Cancelled,
            rows: 0,
            bytes: 0,
        }
    }

    /// What it asks for, should it be slow.
    pub fn about(&mut self, request: impl std::fmt::Display) {
        self.request = request.to_string();
        self.request.truncate(self.request.floor_char_boundary(MAX_ABOUT));
    }

    /// What it ends with.
    pub fn ends(&mut self, status: Code) {
        self.status = status;
    }

    /// Rows are sent.
    pub fn batch(&mut self, rows: usize, values: usize, bytes: usize) {
        if self.rows == 0 {
            self.metrics.first_batch(self.kind, self.started.elapsed());
        }
        self.rows += rows;
        self.bytes += bytes;
        self.metrics.batch(rows, values, bytes);
    }

    /// Which call.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.metrics.ended(self.kind, self.status, took);
        // What follows the present has no end to be late for.
        if took >= self.slow && self.kind != Kind::Tail {
            tracing::warn!(
                kind = self.kind.name(),
                status = status_name(self.status),
                seconds = took.as_secs_f64(),
                rows = self.rows,
                bytes = self.bytes,
                request = self.request,
                "slow query"
            );
        }
    }
}
