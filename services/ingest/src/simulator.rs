//! A source that makes samples up: telemetry, events and commands of the components with values that look like signals,
//! and on request things that are wrong. It is the load generator of benchmarks and tests, so it keeps an exact account.
//!
//! What is made and in which order follows from the seed alone; only the stamps come from the clock. The simulator
//! keeps to a schedule, so a late sample delays no later one. When the queue is full it waits; it then catches up by
//! no more than `catch_up`, and what was due before that is never made, so nothing piles up anywhere.
//!
//! [`scene`] says what comes next: [`stream`]s with [`signals`], spoiled by [`inject`], the [`lifecycle`] of each
//! component, its [`commands`] and their answers. [`rates`] and [`summit`] say how often. [`account`] counts what was
//! sent, [`report`] tells it.

pub mod account;
pub mod commands;
mod error;
pub mod inject;
pub mod lifecycle;
pub mod made;
pub mod rates;
pub mod report;
pub mod scene;
pub mod schedule;
mod schema_change;
pub mod sequence;
pub mod settings;
pub mod signals;
pub mod stream;
pub mod summit;
mod values;

use std::sync::Arc;
use std::time::Duration;

use efd_service::Stop;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::account::Account;
use crate::clock::Clock;
use crate::config::Config;
use crate::sample::{Sample, SampleTopic};
use account::SentAccount;
pub use error::SimulatorError;
use made::Made;
pub use report::Report;
use scene::Scene;
use schedule::Pace;
pub use schema_change::ADDED_FIELD;
use schema_change::SchemaChange;
use settings::SimulatorConfig;

/// Instance that an indexed component is.
const SAL_INDEX: i32 = 1;
/// Samples made before the clock is read again, when many are due.
const MADE_AT_ONCE: usize = 256;

/// The simulator of all components of this service.
#[derive(Debug)]
pub struct Simulator {
    scene: Scene,
    settings: SimulatorConfig,
    clock: Clock,
    schema_change: Option<SchemaChange>,
    sent: SentAccount,
}

/// What a simulator sent until it ended.
#[derive(Debug)]
pub struct Sent {
    account: SentAccount,
    settings: SimulatorConfig,
    started: Instant,
    is_complete: bool,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Goes,
    /// A stop was requested, or nobody takes samples any more.
    Ends,
}

impl Simulator {
    /// A simulator of all `topics`, which are sorted by component.
    ///
    /// # Errors
    /// When the file with rates cannot be used.
    pub fn new(config: &Config, topics: &[Arc<SampleTopic>], clock: Clock) -> Result<Self, SimulatorError> {
        let settings = config.simulator.clone();
        let rows = settings.rates.as_deref().map(rates::read).transpose()?.unwrap_or_default();
        let rates = rates::assign(topics, &settings, &rows);
        Ok(Self {
            scene: Scene::new(&settings, topics, &rates, config.identity.as_deref()),
            schema_change: SchemaChange::new(config)?,
            sent: SentAccount::new(topics, settings.account_entries),
            settings,
            clock,
        })
    }

    /// Puts samples into the queue when they are due, until a stop, until the end of the queue, or until the
    /// configured duration is over; then says what it sent.
    ///
    /// # Errors
    /// When the clock passes the end of the table of leap seconds, or the registry refuses a changed schema.
    pub async fn run(mut self, samples: mpsc::Sender<Sample>, stop: Stop) -> Result<Sent, SimulatorError> {
        let started = Instant::now();
        let mut pace = Pace::new(started, &self.settings);
        let mut made = Vec::with_capacity(MADE_AT_ONCE);
        while let Some(due) = self.next_due() {
            let flow = self.step(due, &mut pace, &stop, &mut made).await?;
            if flow == Flow::Ends || self.send(&mut made, &samples, &stop).await == Flow::Ends {
                return Ok(self.ended(started, false));
            }
        }
        self.scene.finish(self.clock.now()?, &mut made);
        let is_complete = self.send(&mut made, &samples, &stop).await == Flow::Goes;
        Ok(self.ended(started, is_complete))
    }

    /// Waits until the next sample is due, and makes it and all others that are due by then.
    async fn step(
        &mut self,
        due: Duration,
        pace: &mut Pace,
        stop: &Stop,
        made: &mut Vec<Made>,
    ) -> Result<Flow, SimulatorError> {
        if !pace.is_due(due, Instant::now()) {
            tokio::select! {
                biased;
                () = stop.requested() => return Ok(Flow::Ends),
                () = tokio::time::sleep_until(pace.time_of(due)) => {}
            }
        }
        if self.change_schemas(due, stop).await? == Flow::Ends {
            return Ok(Flow::Ends);
        }
        if !self.settings.rate.is_unthrottled() {
            pace.forgive(due, Instant::now());
        }
        self.make(pace, made)?;
        Ok(Flow::Goes)
    }

    /// Makes what is due now, in order, but not too much at once.
    fn make(&mut self, pace: &Pace, made: &mut Vec<Made>) -> Result<(), SimulatorError> {
        let (now, moment) = (Instant::now(), self.clock.now()?);
        while made.len() < MADE_AT_ONCE
            && let Some(due) = self.next_due()
            && pace.is_due(due, now)
            && !self.schema_change.as_ref().is_some_and(|change| change.is_before(due))
        {
            self.scene.make_next(moment, made);
        }
        Ok(())
    }

    /// Puts everything into the queue, as fast as there is room.
    async fn send(&mut self, made: &mut Vec<Made>, samples: &mpsc::Sender<Sample>, stop: &Stop) -> Flow {
        let mut rest = made.drain(..).peekable();
        while rest.peek().is_some() {
            let room = rest.len().min(samples.max_capacity());
            let permits = tokio::select! {
                biased;
                () = stop.requested() => return Flow::Ends,
                permits = samples.reserve_many(room) => permits,
            };
            let Ok(permits) = permits else { return Flow::Ends };
            for (permit, made) in permits.zip(&mut rest) {
                self.sent.sent(&made);
                permit.send(made.sample);
            }
        }
        Flow::Goes
    }

    /// Changes schemas when their time has come.
    async fn change_schemas(&mut self, due: Duration, stop: &Stop) -> Result<Flow, SimulatorError> {
        let Some(change) = self.schema_change.take_if(|change| change.is_before(due)) else {
            return Ok(Flow::Goes);
        };
        let topics = self.scene.telemetry().cloned().collect();
        let Some(changed) = change.register(topics, stop).await? else { return Ok(Flow::Ends) };
        for topic in &changed {
            self.scene.change(topic);
        }
        Ok(Flow::Goes)
    }

    /// When the next sample is due, as time since the start at the profile's rates; `None` at the end.
    fn next_due(&self) -> Option<Duration> {
        let due = self.scene.next_due()?;
        let end = self.settings.duration.map(|duration| duration.as_secs_f64() * self.settings.rate.factor());
        end.is_none_or(|end| due.as_secs_f64() < end).then_some(due)
    }

    fn ended(self, started: Instant, is_complete: bool) -> Sent {
        Sent { account: self.sent, settings: self.settings, started, is_complete }
    }
}

impl Sent {
    /// Tells what was sent and what became of it: in the log, and in the file that the settings name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn report(&self, delivered: &Account) -> Result<Report, SimulatorError> {
        let seconds = self.started.elapsed();
        let report = Report::new(self.settings.seed, self.is_complete, seconds, &self.account, delivered);
        report.log();
        if let Some(path) = &self.settings.account {
            report.write(path)?;
        }
        Ok(report)
    }
}

#[cfg(test)]
#[path = "simulator_tests.rs"]
mod tests;
