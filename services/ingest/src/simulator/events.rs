//! The events that every component publishes: heartbeat, state, versions, log messages. Pure.

use std::sync::Arc;
use std::time::Duration;

use efd_sal::{Field, FieldType, Topic, Value};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::clock::Moment;
use crate::publisher::Publisher;
use crate::sample::{Sample, SampleTopic};

/// Time between two heartbeats.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// `summaryState` as SAL numbers it.
const DISABLED: i32 = 1;
const ENABLED: i32 = 2;
const STANDBY: i32 = 5;

/// States a component goes through, each with the seconds it lasts; then from the beginning.
const CYCLE: [(i32, u64); 5] = [(STANDBY, 2), (DISABLED, 2), (ENABLED, 52), (DISABLED, 2), (STANDBY, 2)];

/// Python's number of the level INFO, which SAL uses.
const LEVEL_INFO: i32 = 20;
const MESSAGES: [&str; 4] = [
    "configuration loaded",
    "connection to the controller is up",
    "loop time within limits",
    "published a summary",
];

/// The events of one component. A component whose interface lacks one of them does without it.
#[derive(Debug)]
pub struct ComponentEvents {
    publishers: Vec<Publisher>,
    /// Place in the cycle of states.
    step: usize,
    has_started: bool,
    rng: SmallRng,
}

impl ComponentEvents {
    /// The events among the topics of one component.
    pub fn new(seed: u64, topics: &[Arc<SampleTopic>], sal_index: i32, identity: Option<&str>) -> Self {
        let events = topics.iter().filter(|topic| topic.topic.is_compacted());
        let publishers = events.map(|topic| Publisher::new(topic, sal_index, identity)).collect();
        Self { publishers, step: 0, has_started: false, rng: SmallRng::seed_from_u64(seed) }
    }

    /// One heartbeat.
    pub fn heartbeat(&mut self, now: Moment, made: &mut Vec<Sample>) {
        self.publish("logevent_heartbeat", &[], now, made);
    }

    /// Goes to the next state of the cycle; returns how long it lasts.
    pub fn next_state(&mut self, now: Moment, made: &mut Vec<Sample>) -> Duration {
        if !self.has_started {
            self.has_started = true;
            self.announce(now, made);
        }
        let (state, seconds) = CYCLE.get(self.step).copied().unwrap_or((STANDBY, 2));
        if state == DISABLED {
            let applied = [("configurations", text("_init.yaml")), ("version", text("simulated"))];
            self.publish("logevent_configurationApplied", &applied, now, made);
        }
        self.publish("logevent_summaryState", &[("summaryState", Value::Int(state))], now, made);
        self.step = (self.step + 1) % CYCLE.len();
        Duration::from_secs(seconds)
    }

    /// One log message; returns the time until the next.
    pub fn log_message(&mut self, now: Moment, made: &mut Vec<Sample>) -> Duration {
        let place = self.rng.random_range(0..MESSAGES.len());
        let message = MESSAGES.get(place).copied().unwrap_or_default();
        let process = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
        let values = [
            ("name", text("simulator")),
            ("level", Value::Int(LEVEL_INFO)),
            ("message", text(message)),
            ("process", Value::Int(process)),
            ("timestamp", Value::Double(now.tai())),
        ];
        self.publish("logevent_logMessage", &values, now, made);
        Duration::from_millis(self.rng.random_range(7_000..20_000))
    }

    /// What a component says once, when it starts.
    fn announce(&mut self, now: Moment, made: &mut Vec<Sample>) {
        let version = text(env!("CARGO_PKG_VERSION"));
        self.publish("logevent_softwareVersions", &[("cscVersion", version)], now, made);
        self.publish("logevent_simulationMode", &[("mode", Value::Int(1))], now, made);
        self.publish("logevent_logLevel", &[("level", Value::Int(LEVEL_INFO))], now, made);
        let available = [("overrides", text("simulated.yaml")), ("version", text("simulated"))];
        self.publish("logevent_configurationsAvailable", &available, now, made);
    }

    /// Publishes an event if the component has it; fields not in `set`, or of another type there, have their defaults.
    fn publish(&mut self, sal_name: &str, set: &[(&str, Value)], now: Moment, made: &mut Vec<Sample>) {
        let publisher =
            self.publishers.iter_mut().find(|publisher| publisher.topic().topic.sal_name == sal_name);
        if let Some(publisher) = publisher {
            let values = values(&publisher.topic().topic, set);
            made.push(publisher.sample(now, values));
        }
    }
}

fn values(topic: &Topic, set: &[(&str, Value)]) -> Vec<Value> {
    let fields = topic.fields.iter().filter(|field| !field.is_private);
    let value = |field: &Field| {
        let default = default_value(field);
        let given = set.iter().find(|(name, _)| *name == field.name).map(|(_, value)| value);
        let same_type = |value: &&Value| std::mem::discriminant(*value) == std::mem::discriminant(&default);
        given.filter(same_type).cloned().unwrap_or(default)
    };
    fields.map(value).collect()
}

/// What SAL sends for a field that nobody set.
fn default_value(field: &Field) -> Value {
    match (field.ty, field.count) {
        (FieldType::Boolean, 1) => Value::Boolean(false),
        (FieldType::Int, 1) => Value::Int(0),
        (FieldType::Long, 1) => Value::Long(0),
        (FieldType::Float, 1) => Value::Float(0.0),
        (FieldType::Double, 1) => Value::Double(0.0),
        (FieldType::String, _) => Value::String(String::new()),
        (FieldType::Boolean, count) => Value::Booleans(vec![false; count]),
        (FieldType::Int, count) => Value::Ints(vec![0; count]),
        (FieldType::Long, count) => Value::Longs(vec![0; count]),
        (FieldType::Float, count) => Value::Floats(vec![0.0; count]),
        (FieldType::Double, count) => Value::Doubles(vec![0.0; count]),
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{field, heartbeat, sample_topics, topic};

    const NOW: Moment = Moment { utc_micros: 1_700_000_000_000_000, tai_minus_utc: 37 };

    fn events() -> ComponentEvents {
        let state =
            topic("ATCamera", "logevent_summaryState", vec![field("summaryState", FieldType::Int, 1)]);
        let mode = topic("ATCamera", "logevent_simulationMode", vec![field("mode", FieldType::Int, 1)]);
        let topics = sample_topics([heartbeat(), state, mode]);
        ComponentEvents::new(1, &topics, 1, None)
    }

    #[test]
    fn a_component_starts_in_standby_is_enabled_and_comes_back_to_standby() {
        let mut events = events();
        let mut made = Vec::new();
        let mut lasted = Duration::ZERO;
        for _ in 0..CYCLE.len() {
            lasted += events.next_state(NOW, &mut made);
        }
        assert_eq!(made.remove(0).topic.topic.sal_name, "logevent_simulationMode");
        let states: Vec<_> = made.into_iter().map(|sample| sample.values).collect();
        let expected = [STANDBY, DISABLED, ENABLED, DISABLED, STANDBY].map(|state| vec![Value::Int(state)]);
        assert_eq!(states, expected);
        assert_eq!(lasted, Duration::from_secs(60));
    }

    #[test]
    fn an_event_the_interface_does_not_have_is_left_out() {
        let mut made = Vec::new();
        events().log_message(NOW, &mut made);
        assert!(made.is_empty());
        events().heartbeat(NOW, &mut made);
        assert_eq!(made.first().map(|sample| sample.values.clone()), Some(vec![Value::Boolean(false)]));
    }

    #[test]
    fn a_field_of_another_type_gets_its_default() {
        let topic =
            topic("ATCamera", "logevent_summaryState", vec![field("summaryState", FieldType::Long, 1)]);
        assert_eq!(values(&topic, &[("summaryState", Value::Int(5))]), [Value::Long(0)]);
    }
}
