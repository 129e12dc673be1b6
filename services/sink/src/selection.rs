//! Which topics a worker owns: those of its components, those that it names, less those that it excludes, and never one that
//! ends in `.dlq`.

use efd_service::ConfigError;

use crate::config::{Config, GroupProtocol, is_name};

/// Dead letters are as if they did not exist.
const DEAD_LETTERS: &str = r"\.dlq$";

impl Config {
    /// What the consumers subscribe to: an anchored expression for each component, and what `topics` has. A name of a topic that ends
    /// in `.dlq` has five parts and fits no component's expression.
    pub fn subscription(&self) -> Vec<String> {
        let subname = self.topic_subname.get();
        let components =
            self.components.iter().map(|component| format!(r"^lsst\.{subname}\.{component}\.[^.]+$"));
        components.chain(self.topics.iter().cloned()).collect()
    }

    /// Expressions of topics that the consumers never see (librdkafka `topic.blacklist`).
    pub(crate) fn hidden(&self) -> String {
        let exact = |name: &String| format!("^{}$", name.replace('.', r"\."));
        let excluded =
            self.exclude.iter().map(|entry| if is_pattern(entry) { entry.clone() } else { exact(entry) });
        excluded.chain([DEAD_LETTERS.to_owned()]).collect::<Vec<_>>().join(",")
    }
}

fn is_pattern(entry: &str) -> bool {
    entry.starts_with('^')
}

/// Looks at what the worker owns and excludes.
pub(crate) fn check(config: &Config) -> Result<(), ConfigError> {
    for component in &config.components {
        if !component.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || component.is_empty() {
            let problem = format!("has {component:?}, which is not the name of a SAL component");
            return Err(ConfigError::invalid("components", problem));
        }
    }
    for (setting, entries) in [("topics", &config.topics), ("exclude", &config.exclude)] {
        for entry in entries {
            check_entry(setting, entry)?;
        }
    }
    for topic in &config.topics {
        if topic.trim_end_matches('$').ends_with(".dlq") {
            let problem = format!("has {topic}: dead letters are not stored, redrive them into their topic");
            return Err(ConfigError::invalid("topics", problem));
        }
    }
    let has_patterns = config.topics.iter().any(|topic| is_pattern(topic)) || !config.exclude.is_empty();
    if has_patterns && config.group_protocol == GroupProtocol::Consumer {
        let problem =
            "consumer lets the broker find topics: name them exactly and exclude none, or use classic";
        return Err(ConfigError::invalid("group_protocol", problem));
    }
    Ok(())
}

fn check_entry(setting: &str, entry: &str) -> Result<(), ConfigError> {
    let is_topic = is_name(&entry.replace('.', "-")) && !entry.starts_with('.') && entry.len() <= 249;
    if is_topic || (fits_whole_names(entry) && !entry.contains(',')) {
        return Ok(());
    }
    let problem = format!(
        "has {entry:?}, which is neither the name of a Kafka topic nor a regular expression from ^ to $ without a comma, alternatives in parentheses"
    );
    Err(ConfigError::invalid(setting, problem))
}

/// Whether the `^` and `$` around an expression hold for every match. They do not where an alternative stands outside of parentheses,
/// as in `^a|b$`, or where the `$` is a plain character.
fn fits_whole_names(entry: &str) -> bool {
    let Some(inner) = entry.strip_prefix('^').and_then(|rest| rest.strip_suffix('$')) else { return false };
    let (mut depth, mut is_escaped, mut is_in_set) = (0_usize, false, false);
    for c in inner.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            // A plain character to librdkafka, but not to whoever else asks what the worker owns.
            '\\' if is_in_set => return false,
            '\\' => is_escaped = true,
            '[' | ']' => is_in_set = c == '[',
            _ if is_in_set => {}
            '(' => depth += 1,
            '|' if depth == 0 => return false,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    !is_escaped && !is_in_set && depth == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(topics: &[&str], exclude: &[&str]) -> Config {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Config { topics: owned(topics), exclude: owned(exclude), ..Config::default() }
    }

    #[test]
    fn topics_are_names_or_anchored_expressions() {
        for good in ["lsst.sal.Test.scalars", r"^lsst\.sal\.MT.*$", "plain"] {
            assert!(check(&with(&[good], &[good])).is_ok(), "{good}");
        }
        for bad in ["", "lsst.sal.*", "^lsst", "a b", r"^a{1,2}$", ".a", "^a|b$"] {
            assert!(check(&with(&[bad], &[])).is_err(), "{bad}");
            assert!(check(&with(&[], &[bad])).is_err(), "{bad}");
        }
        for dead in ["lsst.sal.Test.a.dlq", r"^lsst\..*\.dlq$"] {
            assert!(check(&with(&[dead], &[])).is_err(), "{dead}");
        }
    }

    #[test]
    fn an_expression_fits_whole_names_only() {
        for good in ["^(a|b)$", "^((a|b)|c)d$", r"^a\|b$", "^[a|b]$", r"^lsst\.[[:alpha:]]+$", "^(a$|^b)$"] {
            assert!(fits_whole_names(good), "{good}");
        }
        for bad in ["^a|b$", "^(a)|(b)$", "^a)|(b$", "^(a$", r"^a\$", "^[a$", r"^[\]|b[c]$"] {
            assert!(!fits_whole_names(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_excluded_and_dead_letters_are_hidden() {
        let config = with(&[], &["lsst.sal.Test.scalars", r"^lsst\.sal\.Test\.log.*$"]);
        assert_eq!(config.hidden(), r"^lsst\.sal\.Test\.scalars$,^lsst\.sal\.Test\.log.*$,\.dlq$");
        assert_eq!(Config::default().hidden(), r"\.dlq$");
    }

    #[test]
    fn the_brokers_choice_of_topics_knows_no_exclusion() {
        let mut config = with(&["a"], &["b"]);
        config.group_protocol = GroupProtocol::Consumer;
        assert!(check(&config).is_err());
        config.exclude.clear();
        assert!(check(&config).is_ok());
    }
}
