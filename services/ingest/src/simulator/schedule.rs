//! What is due when, and how that maps to the clock on the wall. Pure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::time::Instant;

use crate::simulator::settings::{Rate, SimulatorConfig};

/// Tasks in the order in which they are due; of those due at the same time, the smaller goes first, so the order is always the same.
#[derive(Debug)]
pub struct Schedule<T> {
    heap: BinaryHeap<Reverse<(Duration, T)>>,
}

impl<T: Ord> Schedule<T> {
    /// Nothing due.
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    /// Adds a task that is due so long after the start.
    pub fn add(&mut self, due: Duration, task: T) {
        self.heap.push(Reverse((due, task)));
    }

    /// When the next task is due.
    pub fn next_due(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes the next task out.
    pub fn take_next(&mut self) -> Option<(Duration, T)> {
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

impl<T: Ord> Default for Schedule<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Turns due times into times of the clock. Each is computed from the start, so no error adds up.
#[derive(Debug, Clone)]
pub struct Pace {
    start: Instant,
    rate: Rate,
    catch_up: Duration,
}

impl Pace {
    /// Due times count from `start`.
    pub fn new(start: Instant, settings: &SimulatorConfig) -> Self {
        Self { start, rate: settings.rate, catch_up: settings.catch_up }
    }

    /// Whether a task is due.
    pub fn is_due(&self, due: Duration, now: Instant) -> bool {
        self.rate.is_unthrottled() || self.time_of(due) <= now
    }

    /// When a task is due.
    pub fn time_of(&self, due: Duration) -> Instant {
        self.start + due.div_f64(self.rate.factor())
    }

    /// When the next task is late by more than may be caught up, moves the start so that it is late by just that much.
    pub fn forgive(&mut self, due: Duration, now: Instant) {
        let late = now.saturating_duration_since(self.time_of(due));
        self.start += late.saturating_sub(self.catch_up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn tasks_come_in_the_order_of_time_then_of_size() {
        let mut schedule = Schedule::new();
        for (due, task) in [(5, 'b'), (1, 'z'), (5, 'a'), (3, 'c')] {
            schedule.add(MS * due, task);
        }
        let order: String = std::iter::from_fn(|| schedule.take_next()).map(|(_, task)| task).collect();
        assert_eq!(order, "zcab");
    }

    #[test]
    fn the_rate_shortens_the_time_and_lateness_is_forgiven_beyond_what_may_be_caught_up() {
        let start = Instant::now();
        let settings =
            SimulatorConfig { rate: Rate::Factor(4.0), catch_up: MS * 100, ..SimulatorConfig::default() };
        let mut pace = Pace::new(start, &settings);
        assert_eq!(pace.time_of(MS * 1000), start + MS * 250);
        pace.forgive(MS * 1000, start + MS * 300);
        assert_eq!(pace.time_of(MS * 1000), start + MS * 250);
        pace.forgive(MS * 1000, start + MS * 1000);
        assert_eq!(pace.time_of(MS * 1000), start + MS * 900);
    }
}
