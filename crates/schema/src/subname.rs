//! The `<subname>` in the names of Kafka topics and subjects.

use efd_service::{ConfigError, Env};
use serde::{Deserialize, Serialize};

/// Setting `topic_subname`, the second part of `lsst.<subname>.<Component>.<sal_name>`: `EFD_TOPIC_SUBNAME` overrides it,
/// `LSST_TOPIC_SUBNAME` fills in, else it is `sal`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicSubname(Option<String>);

impl TopicSubname {
    /// The name.
    pub fn get(&self) -> &str {
        self.0.as_deref().unwrap_or("sal")
    }

    /// Lets the environment override or fill in.
    pub fn overlay(&mut self, env: &Env) {
        if let Some(name) = env.get("EFD_TOPIC_SUBNAME") {
            self.0 = Some(name.to_owned());
        } else if self.0.is_none() {
            self.0 = env.get("LSST_TOPIC_SUBNAME").map(str::to_owned);
        }
    }

    /// Refuses what would be no single part of a topic's name.
    ///
    /// # Errors
    /// Names the setting.
    pub fn check(&self) -> Result<(), ConfigError> {
        let name = self.get();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return Err(ConfigError::invalid("topic_subname", "must be letters, digits, _ or -"));
        }
        Ok(())
    }
}

impl From<&str> for TopicSubname {
    fn from(name: &str) -> Self {
        Self(Some(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_overrides_and_lsst_only_fills_in() {
        let overlaid = |mut subname: TopicSubname, pairs: &[(&str, &str)]| {
            subname.overlay(&Env::from_pairs(pairs.iter().copied()));
            subname.get().to_owned()
        };
        let lsst = ("LSST_TOPIC_SUBNAME", "lab");
        assert_eq!(overlaid(TopicSubname::default(), &[]), "sal");
        assert_eq!(overlaid(TopicSubname::default(), &[lsst]), "lab");
        assert_eq!(overlaid("file".into(), &[lsst]), "file");
        assert_eq!(overlaid("file".into(), &[lsst, ("EFD_TOPIC_SUBNAME", "env")]), "env");
    }

    #[test]
    fn what_is_no_part_of_a_topics_name_is_refused() {
        TopicSubname::default().check().unwrap();
        for name in ["", "a.b", "a b"] {
            TopicSubname::from(name).check().unwrap_err();
        }
    }

    #[test]
    fn in_a_file_it_is_a_text() {
        let subname: TopicSubname = serde_json::from_str(r#""lab""#).unwrap();
        assert_eq!((subname.get(), serde_json::to_string(&subname).unwrap().as_str()), ("lab", r#""lab""#));
        assert_eq!(serde_json::from_str::<TopicSubname>("null").unwrap(), TopicSubname::default());
    }
}
