//! A source that makes samples up: all telemetry of the components at nominal rates, heartbeats, state events and log
//! messages, with values that look like signals.
//!
//! What is made and in which order follows from the seed alone; only the stamps come from the clock. The simulator
//! keeps to a schedule, so a late sample delays no later one. When the queue is full it waits; it then catches up by
//! no more than `catch_up`, and what was due before that is never made, so nothing piles up anywhere.

pub mod events;
pub mod rates;
pub mod scene;
pub mod schedule;
pub mod signals;

use std::sync::Arc;
use std::time::Duration;

use efd_service::Stop;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::SimulatorConfig;
use crate::error::IngestError;
use crate::sample::{Sample, SampleTopic};
use scene::Scene;
use schedule::Pace;

/// Samples made before the clock is read again, when many are due.
const MADE_AT_ONCE: usize = 256;

/// The simulator of all components of this service.
#[derive(Debug)]
pub struct Simulator {
    scene: Scene,
    settings: SimulatorConfig,
    clock: Clock,
}

impl Simulator {
    /// A simulator of all telemetry and the usual events of `topics`.
    pub fn new(
        settings: &SimulatorConfig,
        topics: &[Arc<SampleTopic>],
        identity: Option<&str>,
        clock: Clock,
    ) -> Self {
        Self { scene: Scene::new(settings.seed, topics, identity), settings: settings.clone(), clock }
    }

    /// Puts samples into the queue when they are due, until a stop, until the end of the queue, or until the
    /// configured duration is over.
    ///
    /// # Errors
    /// When the clock passes the end of the table of leap seconds.
    pub async fn run(mut self, samples: mpsc::Sender<Sample>, stop: Stop) -> Result<(), IngestError> {
        let mut pace = Pace::new(Instant::now(), self.settings.rate, self.settings.catch_up);
        let mut made = Vec::with_capacity(MADE_AT_ONCE);
        while let Some(due) = self.next_due() {
            tokio::select! {
                biased;
                () = stop.requested() => return Ok(()),
                () = tokio::time::sleep_until(pace.time_of(due)) => {}
            }
            let now = Instant::now();
            pace.forgive(due, now);
            self.make(&pace, now, &mut made)?;
            for sample in made.drain(..) {
                tokio::select! {
                    biased;
                    () = stop.requested() => return Ok(()),
                    sent = samples.send(sample) => if sent.is_err() { return Ok(()) },
                }
            }
        }
        Ok(())
    }

    /// Makes what is due at `now`, in order, but not too much at once.
    fn make(&mut self, pace: &Pace, now: Instant, made: &mut Vec<Sample>) -> Result<(), IngestError> {
        let moment = self.clock.now()?;
        while made.len() < MADE_AT_ONCE
            && let Some(due) = self.next_due()
            && pace.time_of(due) <= now
        {
            self.scene.make_next(moment, made);
        }
        Ok(())
    }

    /// When the next sample is due, as time since the start at nominal rates; `None` at the end.
    fn next_due(&self) -> Option<Duration> {
        let due = self.scene.next_due()?;
        let end = self.settings.duration.map(|duration| duration.as_secs_f64() * self.settings.rate);
        end.is_none_or(|end| due.as_secs_f64() < end).then_some(due)
    }
}

#[cfg(test)]
#[path = "simulator_tests.rs"]
mod tests;
