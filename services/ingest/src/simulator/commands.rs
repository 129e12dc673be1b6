//! Commands and their acknowledgements. Pure.
//!
//! Whoever gives a command publishes it on the command's topic; the component answers on its one topic `ackcmd`. An
//! answer carries the command's sequence number, identity and origin and the command's place in the alphabetical list
//! of the component's commands, so that whoever gave it knows which one is meant.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use efd_sal::{Topic, TopicKind, Value};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::clock::Moment;
use crate::publisher::Publisher;
use crate::sample::{Sample, SampleTopic};
use crate::simulator::SAL_INDEX;
use crate::simulator::values::{text, values};

/// `private_identity` of whoever gives the commands.
pub const OPERATOR: &str = "operator@simulator";

/// Codes of acknowledgements, as SAL numbers them.
const ACK: i32 = 300;
const IN_PROGRESS: i32 = 301;
const STALLED: i32 = 302;
const COMPLETE: i32 = 303;
const NO_PERMISSION: i32 = -300;
const FAILED: i32 = -302;
const ABORTED: i32 = -303;
const TIMED_OUT: i32 = -304;

/// One step on the way of a command: code, error code, text, seconds the rest will take.
type Step = (i32, i32, &'static str, f64);

/// Ways that commands go, each with how many of a hundred go it.
const WAYS: [(u32, &[Step]); 7] = [
    (80, &[(ACK, 0, "", 0.0), (COMPLETE, 0, "", 0.0)]),
    (10, &[(ACK, 0, "", 0.0), (IN_PROGRESS, 0, "", 2.0), (COMPLETE, 0, "done", 0.0)]),
    (4, &[(ACK, 0, "", 0.0), (FAILED, 1, "failed: not possible in this state", 0.0)]),
    (2, &[(NO_PERMISSION, 0, "no permission: another one has control", 0.0)]),
    (2, &[(ACK, 0, "", 0.0), (STALLED, 0, "waiting for the controller", 5.0), (COMPLETE, 0, "done", 0.0)]),
    (1, &[(ACK, 0, "", 0.0), (ABORTED, 2, "aborted", 0.0)]),
    (1, &[(ACK, 0, "", 0.0), (IN_PROGRESS, 0, "", 2.0), (TIMED_OUT, 3, "timed out", 0.0)]),
];
/// Milliseconds before the first answer, and before each further one.
const FIRST_ANSWER: Range<u64> = 2..20;
const NEXT_ANSWER: Range<u64> = 20..800;

/// One answer to a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// `ack`.
    pub code: i32,
    /// `error`; 0 unless the command failed.
    pub error: i32,
    /// `result`.
    pub result: &'static str,
    /// `timeout`: seconds that the rest will take.
    pub timeout: f64,
}

impl Answer {
    /// The command was received.
    pub const RECEIVED: Self = Self { code: ACK, error: 0, result: "", timeout: 0.0 };
    /// The command is done.
    pub const DONE: Self = Self { code: COMPLETE, error: 0, result: "", timeout: 0.0 };
}

/// What an answer repeats of its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandId {
    seq_num: i32,
    identity: Arc<str>,
    origin: i32,
    command_type: i32,
}

/// Answers the commands of one component.
#[derive(Debug)]
pub struct Acknowledger {
    ackcmd: Option<Publisher>,
    /// SAL names of the commands, in alphabetical order.
    commands: Vec<String>,
}

impl Acknowledger {
    /// That of the component whose topics these are.
    pub fn new(topics: &[Arc<SampleTopic>], identity: Option<&str>) -> Self {
        let ackcmd = topics.iter().find(|topic| topic.topic.kind == TopicKind::Ack);
        let is_command = |topic: &&Arc<SampleTopic>| topic.topic.kind == TopicKind::Command;
        let mut commands: Vec<String> =
            topics.iter().filter(is_command).map(|topic| topic.topic.sal_name.clone()).collect();
        commands.sort_unstable();
        Self { ackcmd: ackcmd.map(|topic| Publisher::new(topic, SAL_INDEX, identity)), commands }
    }

    /// What the answers to a command will repeat.
    pub fn identify(&self, command: &Sample) -> CommandId {
        let place = self.commands.binary_search(&command.topic.topic.sal_name);
        CommandId {
            seq_num: command.stamps.seq_num,
            identity: command.stamps.identity.clone(),
            origin: command.stamps.origin,
            command_type: place.ok().and_then(|place| i32::try_from(place).ok()).unwrap_or(-1),
        }
    }

    /// An answer; none from a component without `ackcmd`.
    pub fn answer(&mut self, now: Moment, command: &CommandId, answer: &Answer) -> Option<Sample> {
        let publisher = self.ackcmd.as_mut()?;
        let values = ack_values(&publisher.topic().topic, command, answer);
        let mut sample = publisher.sample(now, values);
        sample.stamps.seq_num = command.seq_num;
        Some(sample)
    }
}

/// How a command goes: its answers, each with the time after the one before.
pub fn way(rng: &mut SmallRng) -> Vec<(Duration, Answer)> {
    let mut dice = rng.random_range(0..WAYS.iter().map(|(percent, _)| percent).sum());
    let mut steps: &[Step] = &[];
    for (percent, way) in WAYS {
        steps = way;
        if dice < percent {
            break;
        }
        dice -= percent;
    }
    let mut answers = Vec::with_capacity(steps.len());
    for (code, error, result, timeout) in steps {
        let wait = if answers.is_empty() { FIRST_ANSWER } else { NEXT_ANSWER };
        let answer = Answer { code: *code, error: *error, result, timeout: *timeout };
        answers.push((Duration::from_millis(rng.random_range(wait)), answer));
    }
    answers
}

fn ack_values(topic: &Topic, command: &CommandId, answer: &Answer) -> Vec<Value> {
    let set = [
        ("ack", Value::Int(answer.code)),
        ("error", Value::Int(answer.error)),
        ("result", text(answer.result)),
        ("identity", text(&command.identity)),
        ("origin", Value::Int(command.origin)),
        ("cmdtype", Value::Int(command.command_type)),
        ("timeout", Value::Double(answer.timeout)),
    ];
    values(topic, &set)
}

#[cfg(test)]
mod tests {
    use efd_sal::FieldType;
    use rand::SeedableRng;

    use super::*;
    use crate::testing::{ackcmd, sample_topics, topic};

    const NOW: Moment = Moment { utc_micros: 1_700_000_000_000_000, tai_minus_utc: 37 };

    #[test]
    fn an_answer_repeats_what_identifies_its_command() {
        let command = |name| topic("Test", name, vec![]);
        let topics = sample_topics([command("command_wait"), command("command_fault"), ackcmd("Test")]);
        let mut acknowledger = Acknowledger::new(&topics, None);
        let mut operator = Publisher::new(&topics[0], SAL_INDEX, Some(OPERATOR));
        operator.sample(NOW, vec![]);
        let command = operator.sample(NOW, vec![]);
        let id = acknowledger.identify(&command);
        let failed = Answer { code: FAILED, error: 1, result: "no", timeout: 0.0 };
        let answer = acknowledger.answer(NOW, &id, &failed).unwrap();
        assert_eq!(answer.stamps.seq_num, 2);
        assert_eq!((&*answer.stamps.identity, answer.stamps.sal_index), ("Test:1", Some(1)));
        let expected = [
            Value::Int(-302),
            Value::Int(1),
            text("no"),
            text(OPERATOR),
            Value::Int(command.stamps.origin),
            // fault comes before wait
            Value::Int(1),
            Value::Double(0.0),
        ];
        assert_eq!(answer.values, expected);
    }

    #[test]
    fn without_ackcmd_nothing_is_answered() {
        let topics = sample_topics([topic(
            "Test",
            "command_wait",
            vec![("x", FieldType::Int)].into_iter().map(|(n, t)| crate::testing::field(n, t, 1)).collect(),
        )]);
        let mut acknowledger = Acknowledger::new(&topics, None);
        let command = Publisher::new(&topics[0], SAL_INDEX, None).sample(NOW, vec![Value::Int(1)]);
        let id = acknowledger.identify(&command);
        assert!(acknowledger.answer(NOW, &id, &Answer::DONE).is_none());
    }

    #[test]
    fn every_way_ends_and_most_end_well() {
        let mut rng = SmallRng::seed_from_u64(1);
        let is_final = |answer: &Answer| ![ACK, IN_PROGRESS, STALLED].contains(&answer.code);
        let mut complete = 0;
        for _ in 0..10_000 {
            let way = way(&mut rng);
            let (last, before) = way.split_last().unwrap();
            assert!(is_final(&last.1) && !before.iter().any(|(_, answer)| is_final(answer)), "{way:?}");
            complete += u32::from(last.1.code == COMPLETE);
        }
        assert!((9000..9400).contains(&complete), "{complete}");
    }
}
