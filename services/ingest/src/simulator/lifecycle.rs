//! What every component says about itself: its state and the commands that change it, versions, log messages. Pure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use efd_sal::Value;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::clock::Moment;
use crate::publisher::Publisher;
use crate::sample::{Sample, SampleTopic};
use crate::simulator::SAL_INDEX;
use crate::simulator::commands::{Acknowledger, Answer, CommandId, OPERATOR};
use crate::simulator::values::{text, values};

/// `summaryState` as SAL numbers it.
const DISABLED: i32 = 1;
const ENABLED: i32 = 2;
const FAULT: i32 = 3;
const OFFLINE: i32 = 4;
const STANDBY: i32 = 5;

/// States a component goes through: the command that leads there, the state, the seconds it lasts; then from the
/// beginning. The first time nobody gives the first command. A fault comes by itself.
const CYCLE: [(&str, i32, u64); 10] = [
    ("command_enterControl", STANDBY, 2),
    ("command_start", DISABLED, 2),
    ("command_enable", ENABLED, 52),
    ("command_disable", DISABLED, 2),
    ("command_standby", STANDBY, 2),
    ("command_start", DISABLED, 2),
    ("command_enable", ENABLED, 50),
    ("", FAULT, 4),
    ("command_standby", STANDBY, 2),
    ("command_exitControl", OFFLINE, 2),
];

/// Python's number of the level INFO, which SAL uses.
const LEVEL_INFO: i32 = 20;
const MESSAGES: [&str; 4] = [
    "configuration loaded",
    "connection to the controller is up",
    "loop time within limits",
    "published a summary",
];

/// Topics that are published from here and nowhere else.
const TOPICS: [&str; 14] = [
    "logevent_summaryState",
    "logevent_errorCode",
    "logevent_configurationApplied",
    "logevent_configurationsAvailable",
    "logevent_softwareVersions",
    "logevent_simulationMode",
    "logevent_logLevel",
    "logevent_logMessage",
    "command_start",
    "command_enable",
    "command_disable",
    "command_standby",
    "command_enterControl",
    "command_exitControl",
];

/// The life of one component. A component whose interface lacks a topic does without it.
#[derive(Debug)]
pub struct Lifecycle {
    publishers: HashMap<&'static str, Publisher>,
    /// Answers all commands of the component.
    pub acknowledger: Acknowledger,
    /// Place in the cycle of states.
    step: usize,
    has_started: bool,
    rng: SmallRng,
}

/// Whether a topic is published from here.
pub fn is_lifecycle(sal_name: &str) -> bool {
    TOPICS.contains(&sal_name)
}

impl Lifecycle {
    /// The life of the component whose topics these are; those with the rate 0 are not published.
    pub fn new(seed: u64, topics: &[Arc<SampleTopic>], rates: &[f64], identity: Option<&str>) -> Self {
        let mut publishers = HashMap::new();
        for name in TOPICS {
            let mut found = topics.iter().zip(rates).filter(|(topic, _)| topic.topic.sal_name == name);
            if let Some((topic, hertz)) = found.next()
                && *hertz > 0.0
            {
                let identity = if name.starts_with("command_") { Some(OPERATOR) } else { identity };
                publishers.insert(name, Publisher::new(topic, SAL_INDEX, identity));
            }
        }
        Self {
            publishers,
            acknowledger: Acknowledger::new(topics, identity),
            step: 0,
            has_started: false,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// Goes to the next state of the cycle; returns how long it lasts.
    pub fn next_state(&mut self, now: Moment, made: &mut Vec<Sample>) -> Duration {
        let (command, state, seconds) = CYCLE.get(self.step).copied().unwrap_or(("", STANDBY, 2));
        self.step = (self.step + 1) % CYCLE.len();
        let given = if self.has_started { self.command(command, now, made) } else { None };
        if !self.has_started {
            self.has_started = true;
            self.announce(now, made);
        }
        if command == "command_start" {
            let applied = [("configurations", text("_init.yaml")), ("version", text("simulated"))];
            self.publish("logevent_configurationApplied", &applied, now, made);
        }
        if state == FAULT {
            let error = [("errorCode", Value::Int(1)), ("errorReport", text("simulated fault"))];
            self.publish("logevent_errorCode", &error, now, made);
        }
        self.publish("logevent_summaryState", &[("summaryState", Value::Int(state))], now, made);
        if let Some(command) = given {
            made.extend(self.acknowledger.answer(now, &command, &Answer::DONE));
        }
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

    /// Gives a command and says that it was received; what the further answer has to repeat.
    fn command(&mut self, sal_name: &str, now: Moment, made: &mut Vec<Sample>) -> Option<CommandId> {
        let publisher = self.publishers.get_mut(sal_name)?;
        let values = values(&publisher.topic().topic, &[]);
        let command = publisher.sample(now, values);
        let id = self.acknowledger.identify(&command);
        made.push(command);
        made.extend(self.acknowledger.answer(now, &id, &Answer::RECEIVED));
        Some(id)
    }

    /// Publishes an event if the component has it.
    fn publish(&mut self, sal_name: &str, set: &[(&str, Value)], now: Moment, made: &mut Vec<Sample>) {
        if let Some(publisher) = self.publishers.get_mut(sal_name) {
            let values = values(&publisher.topic().topic, set);
            made.push(publisher.sample(now, values));
        }
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
}

#[cfg(test)]
mod tests {
    use efd_sal::FieldType;

    use super::*;
    use crate::testing::{ackcmd, field, sample_topics, topic};

    const NOW: Moment = Moment { utc_micros: 1_700_000_000_000_000, tai_minus_utc: 37 };

    fn topics() -> Vec<Arc<SampleTopic>> {
        let int = |topic_name, field_name| {
            topic("ATCamera", topic_name, vec![field(field_name, FieldType::Int, 1)])
        };
        let command = |name| topic("ATCamera", name, vec![]);
        sample_topics([
            int("logevent_summaryState", "summaryState"),
            int("logevent_simulationMode", "mode"),
            int("logevent_errorCode", "errorCode"),
            command("command_start"),
            command("command_enable"),
            command("command_disable"),
            command("command_standby"),
            command("command_enterControl"),
            command("command_exitControl"),
            ackcmd("ATCamera"),
        ])
    }

    fn lifecycle(topics: &[Arc<SampleTopic>]) -> Lifecycle {
        Lifecycle::new(1, topics, &vec![1.0; topics.len()], None)
    }

    /// What is published in the first round and how long it lasts: topic, and the first value.
    fn round(lifecycle: &mut Lifecycle) -> (Vec<(String, Option<Value>)>, Duration) {
        let mut made = Vec::new();
        let lasted = (0..CYCLE.len()).map(|_| lifecycle.next_state(NOW, &mut made)).sum();
        let essence = |sample: Sample| (sample.topic.topic.sal_name.clone(), sample.values.first().cloned());
        (made.into_iter().map(essence).collect(), lasted)
    }

    #[test]
    fn a_component_goes_through_all_states_and_each_is_ordered_by_a_command_that_is_answered() {
        let topics = topics();
        let mut lifecycle = lifecycle(&topics);
        let (made, lasted) = round(&mut lifecycle);
        assert_eq!(lasted, Duration::from_secs(120));
        assert_eq!(made[0].0, "logevent_simulationMode");
        let states: Vec<i32> = made
            .iter()
            .filter(|(name, _)| name == "logevent_summaryState")
            .map(|(_, value)| if let Some(Value::Int(state)) = value { *state } else { 0 })
            .collect();
        assert_eq!(states, [5, 1, 2, 1, 5, 1, 2, 3, 5, 4]);
        let at = made.iter().position(|(name, _)| name == "command_enable").unwrap();
        let names: Vec<&str> = made[at..at + 4].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["command_enable", "ackcmd", "logevent_summaryState", "ackcmd"]);
        assert_eq!((&made[at + 1].1, &made[at + 3].1), (&Some(Value::Int(300)), &Some(Value::Int(303))));
        let fault = made.iter().position(|(name, _)| name == "logevent_errorCode").unwrap();
        assert_eq!(made[fault + 1].1, Some(Value::Int(FAULT)));
        // Now it is offline, and comes back by a command.
        assert_eq!(round(&mut lifecycle).0[0].0, "command_enterControl");
    }

    #[test]
    fn what_the_interface_does_not_have_or_the_rates_turn_off_is_left_out() {
        let mut made = Vec::new();
        lifecycle(&topics()).log_message(NOW, &mut made);
        assert!(made.is_empty());
        let topics = topics();
        let rates: Vec<f64> =
            topics.iter().map(|topic| f64::from(topic.topic.sal_name == "logevent_summaryState")).collect();
        let (made, _) = round(&mut Lifecycle::new(1, &topics, &rates, None));
        assert_eq!(made.len(), CYCLE.len(), "{made:?}");
    }
}
