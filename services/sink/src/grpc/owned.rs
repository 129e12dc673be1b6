//! Which topics the worker's settings mean. Pure.

use crate::config::Config;

impl Config {
    /// Whether the worker stores a topic.
    pub fn owns(&self, topic: &str) -> bool {
        let fits = |entry: &String| match entry.strip_prefix('^') {
            // librdkafka takes POSIX expressions; what both understand is the same.
            Some(_) => regex::Regex::new(entry).is_ok_and(|pattern| pattern.is_match(topic)),
            None => entry == topic,
        };
        if topic.ends_with(".dlq") || self.exclude.iter().any(fits) {
            return false;
        }
        self.topics.iter().any(fits)
            || component(self.topic_subname.get(), topic)
                .is_some_and(|component| self.components.iter().any(|owned| owned == component))
    }
}

/// The component of a topic `lsst.<subname>.<component>.<name>`.
pub fn component<'a>(subname: &str, topic: &'a str) -> Option<&'a str> {
    let (component, name) =
        topic.strip_prefix("lsst.")?.strip_prefix(subname)?.strip_prefix('.')?.split_once('.')?;
    (!component.is_empty() && !name.is_empty() && !name.contains('.')).then_some(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_owned_by_component_or_by_name() {
        let config = Config {
            components: vec!["MTM1M3".into()],
            topics: vec!["lsst.sal.Test.scalars".into(), r"^lsst\.sal\.ESS\.temp.*$".into()],
            exclude: vec!["lsst.sal.MTM1M3.pid".into()],
            ..Config::default()
        };
        for topic in ["lsst.sal.MTM1M3.forces", "lsst.sal.Test.scalars", "lsst.sal.ESS.temperature"] {
            assert!(config.owns(topic), "{topic}");
        }
        for topic in [
            "lsst.sal.MTM1M3TS.forces",
            "lsst.sal.MTM1M3.forces.dlq",
            "lsst.sal.MTM1M3",
            "lsst.other.MTM1M3.forces",
            "lsst.sal.Test.arrays",
            "lsst.sal.MTM1M3.pid",
            "lsst.sal.ESS.pressure",
        ] {
            assert!(!config.owns(topic), "{topic}");
        }
    }
}
