//! Compatibility of a new schema with earlier ones. Pure.
//!
//! The judge is apache-avro's `SchemaCompatibility`. It knows a third verdict, "partly": some values could be read and others
//! not. For a registry that is incompatible.

use std::fmt::Write;

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use serde::{Deserialize, Serialize};

/// Longest text about one incompatibility; the library prints whole schemas.
const LONGEST_REASON: usize = 500;

/// Which earlier schemas a new one is compared with, and in which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// Not compared. The observatory runs its registry so: a SAL interface may change in any way.
    #[default]
    None,
    /// The new schema reads what the latest one wrote.
    Backward,
    /// The new schema reads what any earlier one wrote.
    BackwardTransitive,
    /// The latest schema reads what the new one writes.
    Forward,
    /// Every earlier schema reads what the new one writes.
    ForwardTransitive,
    /// Backward and forward.
    Full,
    /// Backward and forward with every earlier schema.
    FullTransitive,
}

impl Level {
    /// All levels.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// The level of a name, in upper or lower case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(name))
    }

    /// Its name in the interface and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// Whether all earlier versions count, not only the latest.
    pub const fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }

    const fn is_backward(self) -> bool {
        matches!(self, Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive)
    }

    const fn is_forward(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }
}

/// Compares `new` with one earlier schema.
///
/// # Errors
/// What does not fit, in words.
pub fn check(level: Level, new: &Schema, earlier: &Schema) -> Result<(), String> {
    if level.is_backward() {
        can_read(new, earlier)
            .map_err(|reason| format!("the new schema cannot read data of the earlier one: {reason}"))?;
    }
    if level.is_forward() {
        can_read(earlier, new)
            .map_err(|reason| format!("the earlier schema cannot read data of the new one: {reason}"))?;
    }
    Ok(())
}

fn can_read(reader: &Schema, writer: &Schema) -> Result<(), String> {
    match SchemaCompatibility::can_read(writer, reader) {
        Ok(Compatibility::Full) => Ok(()),
        Ok(Compatibility::Partial) => {
            Err("only some values of a union or an enumeration could be read".into())
        }
        Err(error) => Err(reason(&error)),
    }
}

/// The chain of an error's messages on one line, cut to a bearable length.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let separator = if text.is_empty() { "" } else { ": " };
        // Writing to a String never fails.
        let _ = write!(text, "{separator}{error}");
        next = error.source();
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &str) -> Schema {
        Schema::parse_str(&format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#)).unwrap()
    }

    const A: &str = r#"{"name":"a","type":"int"}"#;
    const A_LONG: &str = r#"{"name":"a","type":"long"}"#;
    const A_STRING: &str = r#"{"name":"a","type":"string"}"#;
    const B: &str = r#"{"name":"b","type":"int"}"#;
    const B_DEFAULT: &str = r#"{"name":"b","type":"int","default":0}"#;

    fn accepted(new: &Schema, earlier: &Schema) -> Vec<Level> {
        Level::ALL
            .into_iter()
            .filter(|level| !level.is_transitive() && check(*level, new, earlier).is_ok())
            .collect()
    }

    #[test]
    fn each_level_looks_in_its_direction() {
        use Level::{Backward, Forward, Full, None};
        let both = |first: &str, second: &str| record(&format!("{first},{second}"));
        let table = [
            (
                "a field with a default is added",
                both(A, B_DEFAULT),
                record(A),
                vec![None, Backward, Forward, Full],
            ),
            ("a field without a default is added", both(A, B), record(A), vec![None, Forward]),
            ("a field without a default is removed", record(A), both(A, B), vec![None, Backward]),
            ("int becomes long", record(A_LONG), record(A), vec![None, Backward]),
            ("long becomes int", record(A), record(A_LONG), vec![None, Forward]),
            ("int becomes string", record(A_STRING), record(A), vec![None]),
            ("nothing changes", record(A), record(A), vec![None, Backward, Forward, Full]),
        ];
        for (what, new, earlier, levels) in table {
            assert_eq!(accepted(&new, &earlier), levels, "{what}");
        }
    }

    #[test]
    fn a_schema_that_reads_only_some_values_is_incompatible() {
        let float = record(r#"{"name":"a","type":"float"}"#);
        let nullable = record(r#"{"name":"a","type":["float","null"]}"#);
        assert_eq!(accepted(&float, &nullable), [Level::None, Level::Forward]);
    }

    #[test]
    fn the_reason_names_the_field_and_stays_short() {
        let reason = check(Level::Backward, &record(A_STRING), &record(A)).unwrap_err();
        assert!(reason.contains("'a'") && !reason.contains('\n'), "{reason}");
        assert!(reason.len() < LONGEST_REASON + 100, "{}", reason.len());
    }

    #[test]
    fn levels_are_read_in_any_case() {
        for level in Level::ALL {
            assert_eq!(Level::parse(&level.as_str().to_lowercase()), Some(level));
        }
        assert_eq!(Level::parse("SOMETIMES"), Option::None);
    }
}
