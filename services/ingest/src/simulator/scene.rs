//! Everything the simulator publishes, in the order in which it is due. Pure: the time comes in as an argument.

use std::sync::Arc;
use std::time::Duration;

use efd_sal::TopicKind;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::clock::Moment;
use crate::publisher::Publisher;
use crate::sample::{Sample, SampleTopic};
use crate::simulator::events::{ComponentEvents, HEARTBEAT};
use crate::simulator::rates;
use crate::simulator::schedule::Schedule;
use crate::simulator::signals::{Signals, Tick};

/// Instance that an indexed component is.
const SAL_INDEX: i32 = 1;
/// Every topic has its first sample within this time, also the slow ones.
const FIRST: Duration = Duration::from_secs(1);

/// All components and what they publish next.
#[derive(Debug)]
pub struct Scene {
    telemetry: Vec<Telemetry>,
    components: Vec<ComponentEvents>,
    schedule: Schedule<Task>,
}

/// One telemetry topic.
#[derive(Debug)]
struct Telemetry {
    publisher: Publisher,
    signals: Signals,
    phase: Duration,
    period_nanos: u64,
    number: u64,
}

/// What is due; the number is a place in the list of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    State(usize),
    Heartbeat(usize),
    LogMessage(usize),
    Telemetry(usize),
}

impl Scene {
    /// All telemetry and the usual events of `topics`, which are sorted by component.
    pub fn new(seed: u64, topics: &[Arc<SampleTopic>], identity: Option<&str>) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut scene = Self { telemetry: Vec::new(), components: Vec::new(), schedule: Schedule::new() };
        for component in topics.chunk_by(|a, b| a.component_id == b.component_id) {
            let place = scene.components.len();
            scene.components.push(ComponentEvents::new(rng.random(), component, SAL_INDEX, identity));
            scene.schedule.add(Duration::ZERO, Task::State(place));
            scene.schedule.add(rng.random_range(Duration::ZERO..HEARTBEAT), Task::Heartbeat(place));
            scene.schedule.add(rng.random_range(Duration::ZERO..FIRST), Task::LogMessage(place));
            for topic in component.iter().filter(|topic| topic.topic.kind == TopicKind::Telemetry) {
                scene.add_telemetry(seed, topic, identity, &mut rng);
            }
        }
        scene
    }

    fn add_telemetry(
        &mut self,
        seed: u64,
        topic: &Arc<SampleTopic>,
        identity: Option<&str>,
        rng: &mut SmallRng,
    ) {
        let period = rates::period(&topic.topic.component, &topic.topic.sal_name);
        // Spread, so that the topics of a component do not all come in the same millisecond.
        let phase = rng.random_range(Duration::ZERO..period.min(FIRST));
        self.schedule.add(phase, Task::Telemetry(self.telemetry.len()));
        let publisher = Publisher::new(topic, SAL_INDEX, identity);
        let signals = Signals::new(seed, &topic.topic);
        let period_nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        self.telemetry.push(Telemetry { publisher, signals, phase, period_nanos, number: 0 });
    }

    /// When the next sample is due, as time since the start.
    pub fn next_due(&self) -> Option<Duration> {
        self.schedule.next_due()
    }

    /// Makes what is due next, whatever the time is; it is stamped with `now`.
    pub fn make_next(&mut self, now: Moment, made: &mut Vec<Sample>) {
        let Some((due, task)) = self.schedule.take_next() else { return };
        let next = match task {
            Task::Telemetry(place) => {
                self.telemetry.get_mut(place).map(|telemetry| telemetry.make(due, now, made))
            }
            Task::Heartbeat(place) => self.components.get_mut(place).map(|component| {
                component.heartbeat(now, made);
                due + HEARTBEAT
            }),
            Task::State(place) => {
                self.components.get_mut(place).map(|component| due + component.next_state(now, made))
            }
            Task::LogMessage(place) => {
                self.components.get_mut(place).map(|component| due + component.log_message(now, made))
            }
        };
        if let Some(next) = next {
            self.schedule.add(next, task);
        }
    }
}

impl Telemetry {
    /// Makes the sample due now; returns when the next is due, computed from the first so that no rounding adds up.
    fn make(&mut self, due: Duration, now: Moment, made: &mut Vec<Sample>) -> Duration {
        let tick = Tick { number: self.number, since_start: due, tai: now.tai() };
        made.push(self.publisher.sample(now, self.signals.values(tick)));
        self.number += 1;
        self.phase + Duration::from_nanos(self.period_nanos.saturating_mul(self.number))
    }
}

#[cfg(test)]
#[path = "scene_tests.rs"]
mod tests;
