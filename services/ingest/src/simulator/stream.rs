//! One topic that is published at a steady rate, with everything that may go wrong with it on purpose. Pure.

use std::sync::Arc;
use std::time::Duration;

use efd_sal::TopicKind;

use crate::clock::Moment;
use crate::damage::Damage;
use crate::publisher::Publisher;
use crate::sample::{Sample, SampleTopic};
use crate::simulator::SAL_INDEX;
use crate::simulator::commands::OPERATOR;
use crate::simulator::inject::Injector;
use crate::simulator::made::{Kind, Made, Mark};
use crate::simulator::signals::{Signals, Tick};
use crate::simulator::values::values;

/// A topic with signals for values: telemetry, an event that comes now and then, or a command.
#[derive(Debug)]
pub struct Stream {
    publisher: Publisher,
    signals: Signals,
    seed: u64,
    phase: Duration,
    period_nanos: u64,
    number: u64,
    /// The topic with each kind of damage that was made so far.
    damaged: [Option<Arc<SampleTopic>>; Damage::ALL.len()],
}

/// A sample that is held back, and for how long.
#[derive(Debug)]
pub struct Held {
    /// The sample, and perhaps its duplicate.
    pub records: Vec<Made>,
    /// How long.
    pub delay: Duration,
}

impl Stream {
    /// A topic that is published every `period`, for the first time after `phase`.
    pub fn new(
        topic: &Arc<SampleTopic>,
        seed: u64,
        identity: Option<&str>,
        phase: Duration,
        period: Duration,
    ) -> Self {
        let identity = if topic.topic.kind == TopicKind::Command { Some(OPERATOR) } else { identity };
        Self {
            publisher: Publisher::new(topic, SAL_INDEX, identity),
            signals: Signals::new(seed, &topic.topic),
            seed,
            phase,
            // A rate of a million a second is a period of a thousand nanoseconds.
            period_nanos: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX).max(1),
            number: 0,
            damaged: [const { None }; Damage::ALL.len()],
        }
    }

    /// The topic in the version that is published now.
    pub fn topic(&self) -> &Arc<SampleTopic> {
        self.publisher.topic()
    }

    /// Publishes another version of the topic from now on; the sequence numbers go on.
    pub fn change(&mut self, topic: Arc<SampleTopic>) {
        self.signals = Signals::new(self.seed, &topic.topic);
        self.publisher.change(topic);
        self.damaged = [const { None }; Damage::ALL.len()];
    }

    /// Makes the sample due now, as it should be.
    pub fn make(&mut self, due: Duration, now: Moment) -> Sample {
        let values = self.signals.values(self.tick(due, now));
        self.number += 1;
        self.publisher.sample(now, values)
    }

    /// Makes the sample due now with what is to be injected; a sample that is held back is given back instead.
    pub fn make_with(
        &mut self,
        injector: &mut Injector,
        due: Duration,
        now: Moment,
        made: &mut Vec<Made>,
    ) -> Option<Held> {
        for _ in 0..injector.gap() {
            self.publisher.skip();
        }
        let mut values = self.signals.values(self.tick(due, now));
        self.number += 1;
        let mark = Mark { not_finite: injector.spoil(&mut values), ..Mark::default() };
        let sample = self.publisher.sample(now, values);
        let duplicate = injector
            .is_duplicated()
            .then(|| Made { sample: sample.clone(), mark: Mark { kind: Kind::Duplicate, ..mark } });
        let records = std::iter::once(Made { sample, mark }).chain(duplicate);
        let mut held = None;
        match injector.delay() {
            Some(delay) => held = Some(Held { records: records.map(Made::late).collect(), delay }),
            None => made.extend(records),
        }
        if let Some(damage) = injector.damage() {
            made.push(self.undecodable(damage, now));
        }
        held
    }

    /// When the next sample is due, computed from the first so that no rounding adds up.
    pub fn next_due(&self) -> Duration {
        self.phase.saturating_add(Duration::from_nanos(self.period_nanos.saturating_mul(self.number)))
    }

    fn tick(&self, due: Duration, now: Moment) -> Tick {
        Tick { number: self.number, since_start: due, tai: now.tai() }
    }

    /// A record that cannot be decoded. It takes no sequence number of the topic.
    fn undecodable(&mut self, damage: Damage, now: Moment) -> Made {
        let topic = self.publisher.topic().clone();
        let values = values(&topic.topic, &[]);
        let place = self.damaged.get_mut(damage as usize);
        let damaged = match place {
            Some(place) => place.get_or_insert_with(|| Arc::new(topic.damaged(damage))).clone(),
            None => Arc::new(topic.damaged(damage)),
        };
        let sample = Publisher::new(&damaged, SAL_INDEX, None).sample(now, values);
        Made { sample, mark: Mark { kind: Kind::Undecodable(damage), ..Mark::default() } }
    }
}
