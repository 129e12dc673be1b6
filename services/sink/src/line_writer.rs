//! Writes lines until each of them is stored or refused for good.
//!
//! A refused write is taken apart until the lines at fault stand alone, so one bad line costs no other. A
//! write that is too large, or twice too slow, is cut likewise. Everything else that goes wrong is waited for, without end: then the gauge
//! `efd_sink_destination_up` is 0 and nothing is lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use efd_service::Backoff;

use crate::batch::Batch;
use crate::error::{Cause, Reason};
use crate::influxdb::{InfluxDb, Outcome, PrepareError};
use crate::metrics::Metrics;
use crate::part::{self, Next, Part};

/// Writes of the same lines that may take too long before they are cut in halves.
const SLOW: u32 = 2;

/// A line that the destination will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Place of its entry in the batch.
    pub entry: usize,
    /// Why.
    pub cause: Cause,
}

/// A destination as somewhere to leave lines.
#[derive(Debug)]
pub struct LineWriter {
    influxdb: InfluxDb,
    destination: String,
    creates: bool,
    retry: (Duration, Duration),
    metrics: Arc<Metrics>,
    is_up: AtomicBool,
    /// Writes begun so far.
    begun: AtomicU64,
    /// Number of the latest-begun write that was accepted: what tells a bad line from a server that refuses everything. One that
    /// began before a refusal says nothing, however late it was answered.
    accepted: AtomicU64,
}

impl LineWriter {
    /// `retry` is the shortest and the longest wait between two tries.
    pub fn new(
        influxdb: InfluxDb,
        destination: &str,
        retry: (Duration, Duration),
        metrics: Arc<Metrics>,
    ) -> Self {
        metrics.destination_up(destination, false);
        Self {
            creates: influxdb.creates(),
            influxdb,
            destination: destination.to_owned(),
            retry,
            metrics,
            is_up: AtomicBool::new(true),
            begun: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
        }
    }

    /// Name of the destination.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// Waits until the destination can be written to, as far as that can be told without writing.
    pub async fn prepare(&self) {
        let mut backoff = self.backoff();
        loop {
            match self.influxdb.prepare().await {
                Ok(()) => return self.is_fine(),
                // Who may only write may not create; if nothing is there, the writes say so.
                Err(error @ PrepareError::Denied { .. }) => {
                    tracing::warn!(
                        destination = self.destination,
                        %error,
                        "what is missing cannot be created, points are written all the same"
                    );
                    return;
                }
                Err(error) => {
                    self.is_down(&error.to_string());
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }

    /// Writes all lines of a batch; returns those that were refused, in their order.
    pub async fn write(&self, batch: &Batch, lines: &Bytes) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let mut parts: VecDeque<Part> = Part::whole(batch).into_iter().collect();
        let mut backoff = self.backoff();
        while let Some(part) = parts.pop_back() {
            let accepted_before = self.accepted.load(Ordering::Acquire);
            let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
            let outcome = self.answered(part.lines(batch, lines), part.entries.len()).await;
            let refused_at = part.refused_at.or(Some(self.begun.load(Ordering::Acquire)));
            let (next, cause, is_certain) = match outcome {
                Outcome::Refused { reason, is_about_lines } => {
                    let next = Part { refused_at, ..part.clone() }.refused(batch, lines, &reason);
                    (next, Cause { reason: Reason::Refused, detail: reason }, is_about_lines)
                }
                Outcome::TooLarge { reason } if part.entries.len() == 1 => {
                    let cause = Cause { reason: Reason::TooLarge, detail: reason };
                    (Next::Refused(part.entries.clone()), cause, true)
                }
                Outcome::TooLarge { reason } => {
                    let cause = Cause { reason: Reason::TooLarge, detail: reason };
                    (Part { refused_at, ..part.clone() }.halves(), cause, true)
                }
                // Too slow for so many lines: nothing was refused.
                Outcome::Retry { .. } => {
                    let Next::Write(halves) = part.halves() else { continue };
                    parts.extend(halves.into_iter().rev());
                    continue;
                }
                Outcome::Written => {
                    self.accepted.fetch_max(number, Ordering::AcqRel);
                    continue;
                }
            };
            match next {
                Next::Write(next) => parts.extend(next.into_iter().rev()),
                Next::Refused(entries)
                    if is_certain || part.refused_at.is_some_and(|at| at < accepted_before) =>
                {
                    self.count_conflicts(&cause, entries.len());
                    refusals.extend(entries.into_iter().map(|entry| Refusal { entry, cause: cause.clone() }));
                }
                Next::Refused(_) => {
                    // In words that are not InfluxDB's: perhaps everything is refused. The line is believed to be bad only
                    // when another write was begun and accepted between two refusals; it goes behind the other parts to let that happen.
                    self.is_down(&cause.detail);
                    parts.push_front(Part { refused_at, ..part });
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
        refusals.sort_by_key(|refusal| refusal.entry);
        refusals
    }

    fn count_conflicts(&self, cause: &Cause, lines: usize) {
        if let Some((field, measurement)) = part::conflict(&cause.detail) {
            self.metrics.type_conflicts(measurement, field, lines as u64);
        }
    }

    /// Writes until the answer is about what was written, or until the destination was twice too slow for more than one line.
    async fn answered(&self, lines: Bytes, count: usize) -> Outcome {
        let mut backoff = self.backoff();
        let mut slow = 0;
        let body = self.influxdb.body(lines).await;
        loop {
            let start = Instant::now();
            let answer = self.influxdb.write(body.clone()).await;
            let is_slow = matches!(answer.status.as_str(), "timeout" | "408");
            self.metrics.write_ended(&self.destination, answer.status, start.elapsed());
            let Outcome::Retry { reason, after, is_missing } = &answer.outcome else {
                self.is_fine();
                return answer.outcome;
            };
            self.metrics.write_retried(&self.destination);
            self.is_down(reason);
            slow += u32::from(is_slow);
            if slow >= SLOW && count > 1 {
                return answer.outcome;
            }
            let wait = backoff.next().max(after.unwrap_or_default());
            if *is_missing && self.creates && self.influxdb.prepare().await.is_ok() {
                tracing::info!(destination = self.destination, "created what was missing");
            }
            tokio::time::sleep(wait).await;
        }
    }

    fn backoff(&self) -> Backoff {
        let (min, max) = self.retry;
        Backoff::new(min, max)
    }

    /// Told once, when it goes down.
    fn is_down(&self, reason: &str) {
        self.metrics.destination_up(&self.destination, false);
        self.metrics.health(&self.destination).trouble(reason);
        if self.is_up.swap(false, Ordering::AcqRel) {
            tracing::warn!(
                destination = self.destination,
                reason,
                "destination takes nothing, records wait in Kafka"
            );
        }
    }

    fn is_fine(&self) {
        self.metrics.destination_up(&self.destination, true);
        if !self.is_up.swap(true, Ordering::AcqRel) {
            tracing::info!(destination = self.destination, "destination takes points again");
        }
    }
}

#[cfg(test)]
#[path = "line_writer_tests.rs"]
mod tests;
