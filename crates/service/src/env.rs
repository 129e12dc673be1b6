//! The environment, read once and only here.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::{ConfigError, Secret};

/// A copy of environment variables. An empty variable counts as unset, since that is how charts and shells
/// unset one.
#[derive(Clone, Default)]
pub struct Env {
    variables: BTreeMap<String, String>,
}

impl Env {
    /// The environment of this process, without variables that are not UTF-8.
    pub fn process() -> Self {
        let pairs = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::from_pairs(pairs)
    }

    /// An environment of the given variables.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables = pairs.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { variables: variables.filter(|(_, value)| !value.is_empty()).collect() }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The value of a variable as a number, address or anything else that has a text form.
    ///
    /// # Errors
    /// When the text is not one.
    pub fn parsed<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, ConfigError> {
        self.get(name)
            .map(|text| {
                text.parse().map_err(|error| ConfigError::invalid(name, format!("is {text:?}: {error}")))
            })
            .transpose()
    }

    /// A secret: the value of `<name>`, or the content of the file that `<name>_FILE` names, without its last
    /// newline.
    ///
    /// # Errors
    /// When both are set, or the file cannot be read.
    pub fn secret(&self, name: &str) -> Result<Option<Secret>, ConfigError> {
        let file_name = format!("{name}_FILE");
        match (self.get(name), self.get(&file_name)) {
            (Some(_), Some(_)) => Err(ConfigError::invalid(
                name,
                format!("is set together with {file_name}, unset one of the two"),
            )),
            (Some(value), None) => Ok(Some(Secret::from(value))),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    ConfigError::invalid(file_name, format!("cannot read {file}: {error}"))
                })?;
                let value = text.strip_suffix('\n').unwrap_or(&text);
                Ok(Some(Secret::from(value.strip_suffix('\r').unwrap_or(value))))
            }
            (None, None) => Ok(None),
        }
    }
}

/// Names only: values may be secrets.
impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_from_its_variable_or_from_a_file_without_the_last_newline() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "s3cret \n").unwrap();
        let env = Env::from_pairs([("A", "direct"), ("B_FILE", file.to_str().unwrap()), ("EMPTY", "")]);
        assert_eq!(env.secret("A").unwrap().unwrap().expose(), "direct");
        assert_eq!(env.secret("B").unwrap().unwrap().expose(), "s3cret ");
        assert_eq!(env.secret("EMPTY").unwrap(), None);
    }

    #[test]
    fn a_secret_given_twice_or_from_a_missing_file_is_refused_by_name() {
        let env = Env::from_pairs([("A", "x"), ("A_FILE", "/x"), ("B_FILE", "/nonexistent/password")]);
        assert_eq!(
            env.secret("A").unwrap_err().to_string(),
            "A is set together with A_FILE, unset one of the two"
        );
        let message = env.secret("B").unwrap_err().to_string();
        assert!(message.starts_with("B_FILE cannot read /nonexistent/password"), "{message}");
    }

    #[test]
    fn debug_shows_no_values() {
        let env = Env::from_pairs([("EFD_TOKEN", "s3cret")]);
        assert_eq!(format!("{env:?}"), r#"{"EFD_TOKEN"}"#);
    }

    #[test]
    fn a_value_that_does_not_parse_names_its_variable() {
        let env = Env::from_pairs([("EFD_PORT", "many")]);
        assert_eq!(
            env.parsed::<u16>("EFD_PORT").unwrap_err().to_string(),
            "EFD_PORT is \"many\": invalid digit found in string"
        );
    }
}
