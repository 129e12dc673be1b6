//! Everything the simulator publishes, in the order in which it is due. Pure: the time comes in as an argument.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use efd_sal::TopicKind;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::clock::Moment;
use crate::sample::{Sample, SampleTopic};
use crate::simulator::commands::{Answer, CommandId, way};
use crate::simulator::inject::Injector;
use crate::simulator::lifecycle::{Lifecycle, is_lifecycle};
use crate::simulator::made::Made;
use crate::simulator::schedule::Schedule;
use crate::simulator::settings::{InjectConfig, SimulatorConfig};
use crate::simulator::stream::Stream;

/// Every telemetry topic has its first sample within this time, also the slow ones.
const FIRST: Duration = Duration::from_secs(1);

/// All components and what they publish next.
#[derive(Debug)]
pub struct Scene {
    streams: Vec<Stream>,
    components: Vec<Lifecycle>,
    /// Component of each stream, as its place in the list.
    component_of: Vec<usize>,
    schedule: Schedule<Task>,
    /// What was made or ordered and waits for its time.
    waiting: BTreeMap<u64, Waiting>,
    next_waiting: u64,
    injector: Injector,
    rng: SmallRng,
}

/// What is due; the number is a place in the list of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    State(usize),
    LogMessage(usize),
    Stream(usize),
    Waiting(u64),
}

/// Something that is due once.
#[derive(Debug)]
enum Waiting {
    /// A sample that is held back.
    Late(Vec<Made>),
    /// An answer to a command of a component.
    Answer { component: usize, command: CommandId, answer: Answer },
}

impl Scene {
    /// All telemetry, events and commands of `topics`, which are sorted by component, at `rates` in samples a second.
    pub fn new(
        settings: &SimulatorConfig,
        topics: &[Arc<SampleTopic>],
        rates: &[f64],
        identity: Option<&str>,
    ) -> Self {
        let mut scene = Self::empty(settings.seed, &settings.inject);
        let mut rates = rates;
        for component in topics.chunk_by(|a, b| a.component_id == b.component_id) {
            let (own, rest) = rates.split_at_checked(component.len()).unwrap_or((rates, &[]));
            rates = rest;
            let place = scene.components.len();
            let lifecycle = Lifecycle::new(scene.rng.random(), component, own, identity);
            scene.components.push(lifecycle);
            scene.schedule.add(Duration::ZERO, Task::State(place));
            let first_message = scene.rng.random_range(Duration::ZERO..FIRST);
            scene.schedule.add(first_message, Task::LogMessage(place));
            for (topic, hertz) in component.iter().zip(own) {
                scene.add_stream(settings.seed, topic, *hertz, identity);
            }
        }
        scene
    }

    fn empty(seed: u64, inject: &InjectConfig) -> Self {
        Self {
            streams: Vec::new(),
            components: Vec::new(),
            component_of: Vec::new(),
            schedule: Schedule::new(),
            waiting: BTreeMap::new(),
            next_waiting: 0,
            injector: Injector::new(seed, inject),
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    fn add_stream(&mut self, seed: u64, topic: &Arc<SampleTopic>, hertz: f64, identity: Option<&str>) {
        // Drawn in any case, so that a rate of 0 changes nothing for the other topics.
        let phase: f64 = self.rng.random();
        if hertz <= 0.0 || topic.topic.kind == TopicKind::Ack || is_lifecycle(&topic.topic.sal_name) {
            return;
        }
        let period = Duration::try_from_secs_f64(1.0 / hertz).unwrap_or(Duration::MAX);
        // Spread, so that the topics of a component do not all come in the same millisecond.
        let spread = if topic.topic.kind == TopicKind::Telemetry { period.min(FIRST) } else { period };
        let phase = spread.mul_f64(phase);
        self.schedule.add(phase, Task::Stream(self.streams.len()));
        self.streams.push(Stream::new(topic, seed, identity, phase, period));
        self.component_of.push(self.components.len() - 1);
    }

    /// When the next sample is due, as time since the start.
    pub fn next_due(&self) -> Option<Duration> {
        self.schedule.next_due()
    }

    /// Makes what is due next, whatever the time is; it is stamped with `now`.
    pub fn make_next(&mut self, now: Moment, made: &mut Vec<Made>) {
        let Some((due, task)) = self.schedule.take_next() else { return };
        let mut samples = Vec::new();
        let next = match task {
            Task::Stream(place) => self.make_of_stream(place, due, now, made),
            Task::Waiting(id) => {
                self.release(id, now, made);
                None
            }
            Task::State(place) => {
                self.components.get_mut(place).map(|component| due + component.next_state(now, &mut samples))
            }
            Task::LogMessage(place) => {
                self.components.get_mut(place).map(|component| due + component.log_message(now, &mut samples))
            }
        };
        made.extend(samples.into_iter().map(Made::from));
        if let Some(next) = next {
            self.schedule.add(next, task);
        }
    }

    /// Makes what still waits, as if it were due: samples that are held back, answers to commands.
    pub fn finish(&mut self, now: Moment, made: &mut Vec<Made>) {
        while let Some((_, task)) = self.schedule.take_next() {
            if let Task::Waiting(id) = task {
                self.release(id, now, made);
            }
        }
    }

    /// The telemetry topics in the versions that are published now.
    pub fn telemetry(&self) -> impl Iterator<Item = &Arc<SampleTopic>> {
        self.streams.iter().map(Stream::topic).filter(|topic| topic.topic.kind == TopicKind::Telemetry)
    }

    /// Publishes another version of a topic from now on.
    pub fn change(&mut self, topic: &Arc<SampleTopic>) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.topic().id == topic.id) {
            stream.change(topic.clone());
        }
    }

    /// Makes the sample of a stream that is due; returns when the next is due.
    fn make_of_stream(
        &mut self,
        place: usize,
        due: Duration,
        now: Moment,
        made: &mut Vec<Made>,
    ) -> Option<Duration> {
        let stream = self.streams.get_mut(place)?;
        let kind = stream.topic().topic.kind;
        if kind == TopicKind::Telemetry {
            let held = stream.make_with(&mut self.injector, due, now, made);
            let next = stream.next_due();
            if let Some(held) = held {
                self.wait(due + held.delay, Waiting::Late(held.records));
            }
            return Some(next);
        }
        let sample = stream.make(due, now);
        let next = stream.next_due();
        if kind == TopicKind::Command {
            self.order_answers(place, due, &sample);
        }
        made.push(sample.into());
        Some(next)
    }

    fn order_answers(&mut self, stream: usize, due: Duration, command: &Sample) {
        let Some(component) = self.component_of.get(stream).copied() else { return };
        let Some(lifecycle) = self.components.get(component) else { return };
        let command = lifecycle.acknowledger.identify(command);
        let mut time = due;
        for (after, answer) in way(&mut self.rng) {
            time += after;
            self.wait(time, Waiting::Answer { component, command: command.clone(), answer });
        }
    }

    fn wait(&mut self, due: Duration, waiting: Waiting) {
        self.waiting.insert(self.next_waiting, waiting);
        self.schedule.add(due, Task::Waiting(self.next_waiting));
        self.next_waiting += 1;
    }

    fn release(&mut self, id: u64, now: Moment, made: &mut Vec<Made>) {
        match self.waiting.remove(&id) {
            Some(Waiting::Late(records)) => made.extend(records),
            Some(Waiting::Answer { component, command, answer }) => {
                let component = self.components.get_mut(component);
                let answer = component.and_then(|c| c.acknowledger.answer(now, &command, &answer));
                made.extend(answer.map(Made::from));
            }
            None => {}
        }
    }
}

#[cfg(test)]
#[path = "scene_tests.rs"]
mod tests;
