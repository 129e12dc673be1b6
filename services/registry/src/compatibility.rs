//! Compatibility of a new schema with earlier ones. Pure.
//!
//! The rules are those of Avro Java's `SchemaCompatibility`, which Confluent's registry uses: aliases of records, enumerations
//! and fields, promotions, unions either way, defaults, recursive types. apache-avro's own check knows no aliases, and
//! compares names without their namespaces; so it parses here, and [`check`] judges.
//!
//! Every comparison is bounded in time, memory and stack, whatever the schemas are.

mod check;
mod difference;
mod graph;

use apache_avro::Schema;
use serde::{Deserialize, Serialize};

use self::difference::Reader;
use self::graph::Graph;

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

/// Compares `new` with one earlier schema. Each has to define every type it uses.
///
/// # Errors
/// Why `new` may not follow it at this level, in Confluent's manner; what concerns the new schema as the reader comes first.
pub fn check(level: Level, new: &Schema, earlier: &Schema) -> Result<(), Vec<String>> {
    if level == Level::None {
        return Ok(());
    }
    let graph = |schema| Graph::new(schema).map_err(|reason| vec![reason]);
    let (new, earlier) = (graph(new)?, graph(earlier)?);
    let mut told = Vec::new();
    if level.is_backward() {
        let found = check::differences(&new, &earlier);
        told.extend(found.iter().map(|difference| difference.told(Reader::New).to_string()));
    }
    if level.is_forward() {
        let found = check::differences(&earlier, &new);
        told.extend(found.iter().map(|difference| difference.told(Reader::Old).to_string()));
    }
    if told.is_empty() { Ok(()) } else { Err(told) }
}

/// What Confluent's registry says behind the differences: with which version, and at which level.
pub fn context(level: Level, version: u32, earlier: &str) -> [String; 3] {
    [
        format!("{{oldSchemaVersion: {version}}}"),
        format!("{{oldSchema: '{earlier}'}}"),
        format!("{{validateFields: 'false', compatibility: '{}'}}", level.as_str()),
    ]
}

#[cfg(test)]
#[path = "compatibility_tests.rs"]
mod tests;
