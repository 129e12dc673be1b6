//! How often each topic is published: a profile, and over it rows of a file.
//!
//! The file is YAML, a list of rows; the first whose pattern fits a topic counts, and a topic that no row fits keeps
//! the rate of the profile:
//!
//! ```yaml
//! - {topics: MTM1M3.forceActuatorData, hertz: 50}
//! - {topics: ESS, hertz: 0.2}              # without a dot: all telemetry of the component
//! - {topics: "*.logevent_*", hertz: 0}     # 0: never
//! ```
//!
//! In a pattern `*` stands for any text. The rate of a command is how often it is given; its acknowledgements follow.
//! States, what goes with them, and log messages have times of their own: a row cannot change them, but 0 turns them off.

use std::path::Path;
use std::sync::Arc;

use efd_sal::{Topic, TopicKind};
use serde::Deserialize;

use crate::sample::SampleTopic;
use crate::simulator::SimulatorError;
use crate::simulator::settings::{Profile, SimulatorConfig};
use crate::simulator::summit;

/// Fastest that a topic may be, in samples a second.
const MAX_HERTZ: f64 = 1e6;
/// One heartbeat a second.
const HEARTBEAT: f64 = 1.0;
/// Every event now and then.
const EVENT: f64 = 1.0 / 60.0;
/// Every command now and then.
const COMMAND: f64 = 1.0 / 120.0;

/// Component, beginning of the topic's SAL name (empty: all), samples per second; the first row that fits counts.
///
/// MTM1M3's control loop publishes at 50 Hz, the mount's at 10 Hz; the camera samples its temperatures and voltages
/// every ten seconds and its vacuum every second.
const TELEMETRY: [(&str, &str, f64); 7] = [
    ("MTM1M3", "", 50.0),
    ("MTMount", "", 10.0),
    ("MTM2", "", 10.0),
    ("Test", "scalars", 10.0),
    ("Test", "arrays", 5.0),
    ("ATCamera", "focal_plane_", 0.1),
    ("ATCamera", "daq_monitor_", 0.2),
];

/// One row of the file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// `Component.sal_name`, or a component alone; `*` stands for any text.
    pub topics: String,
    /// Samples per second, 0 to 1,000,000.
    pub hertz: f64,
}

impl Row {
    fn fits(&self, topic: &Topic) -> bool {
        let component = &topic.component;
        if self.topics.contains('.') {
            matches(&self.topics, &format!("{component}.{}", topic.sal_name))
        } else {
            topic.kind == TopicKind::Telemetry && matches(&self.topics, component)
        }
    }
}

/// Reads a file of rows.
///
/// # Errors
/// When it cannot be read, is not a list of rows, or a rate is out of its range.
pub fn read(path: &Path) -> Result<Vec<Row>, SimulatorError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SimulatorError::RatesFile { path: path.to_owned(), source })?;
    parse(&text).map_err(|problem| SimulatorError::RatesMalformed { path: path.to_owned(), problem })
}

fn parse(text: &str) -> Result<Vec<Row>, String> {
    let rows: Vec<Row> = serde_saphyr::from_str(text).map_err(|error| error.without_snippet().to_string())?;
    match rows.iter().find(|row| !(0.0..=MAX_HERTZ).contains(&row.hertz)) {
        Some(row) => {
            Err(format!("{} has {} hertz, which is not between 0 and {MAX_HERTZ}", row.topics, row.hertz))
        }
        None => Ok(rows),
    }
}

/// Samples per second for each of the topics; 0 is never.
pub fn assign(topics: &[Arc<SampleTopic>], settings: &SimulatorConfig, rows: &[Row]) -> Vec<f64> {
    let profile = match settings.profile {
        Profile::Nominal => topics.iter().map(|topic| nominal(&topic.topic)).collect(),
        Profile::Summit => summit::rates(topics),
    };
    let row = |topic: &Topic| rows.iter().find(|row| row.fits(topic)).map(|row| row.hertz);
    topics.iter().zip(profile).map(|(topic, hertz)| row(&topic.topic).unwrap_or(hertz)).collect()
}

/// What a topic has where nothing else is said.
pub fn nominal(topic: &Topic) -> f64 {
    match topic.kind {
        TopicKind::Telemetry => {
            let row = TELEMETRY.iter().find(|(component, prefix, _)| {
                *component == &*topic.component && topic.sal_name.starts_with(prefix)
            });
            row.map_or(1.0, |(_, _, hertz)| *hertz)
        }
        TopicKind::Event if topic.sal_name == "logevent_heartbeat" => HEARTBEAT,
        TopicKind::Event => EVENT,
        TopicKind::Command => COMMAND,
        // Comes with the commands.
        TopicKind::Ack => 0.0,
    }
}

/// Whether `text` is as the pattern says; each `*` may stand for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(after) = text.strip_prefix(start) else { return false };
    after
        .char_indices()
        .map(|(place, _)| place)
        .chain([after.len()])
        .any(|place| after.get(place..).is_some_and(|tail| matches(rest, tail)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{heartbeat, sample_topics, topic};

    #[test]
    fn wide_fast_topics_and_narrow_slow_ones_have_their_own_rates() {
        let hertz = |component, sal_name| nominal(&topic(component, sal_name, vec![]));
        assert_eq!(hertz("MTM1M3", "forceActuatorData"), 50.0);
        assert_eq!(hertz("ATCamera", "vacuum"), 1.0);
        assert_eq!(hertz("ATCamera", "focal_plane_Reb"), 0.1);
        assert_eq!(hertz("Test", "scalars"), 10.0);
        assert_eq!(hertz("Nobody", "knows"), 1.0);
        assert_eq!((hertz("Test", "logevent_heartbeat"), hertz("Test", "logevent_x")), (1.0, EVENT));
        assert_eq!(hertz("Test", "command_x"), COMMAND);
    }

    #[test]
    fn the_first_row_that_fits_counts_and_other_topics_keep_their_rate() {
        let rows = parse(
            "- {topics: Test.scalars, hertz: 7}\n- {topics: Test, hertz: 0.5}\n\
             - {topics: \"*.logevent_*t\", hertz: 0}\n- {topics: Test.scalars, hertz: 9}\n",
        )
        .unwrap();
        let topics = sample_topics([
            topic("Test", "scalars", vec![]),
            topic("Test", "arrays", vec![]),
            topic("Test", "command_fault", vec![]),
            topic("MTM1M3", "imsData", vec![]),
            topic("MTM1M3", "logevent_warning", vec![]),
            heartbeat(),
        ]);
        let rates = assign(&topics, &SimulatorConfig::default(), &rows);
        assert_eq!(rates, [7.0, 0.5, COMMAND, 50.0, EVENT, 0.0]);
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in
            [("*", ""), ("*", "a.b"), ("a*", "a"), ("a*c*e", "abcde"), ("*.*_x", "A.b_x"), ("é*", "éa")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", "ab"), ("a*b", "ab c"), ("*x", "xy"), ("a*c*e", "ace f")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_place() {
        for (text, part) in [
            ("- {topics: Test, hertz: -1}", "Test has -1 hertz"),
            ("- {topics: Test, hertz: .nan}", "not between 0 and 1000000"),
            ("- {topic: Test, hertz: 1}", "topic"),
            ("- {topics: Test}", "hertz"),
            ("Test: 5", "line 1"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }
}
