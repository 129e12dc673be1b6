//! Settings of how a record becomes a point; the defaults are those of SAL.

use std::collections::HashSet;

use efd_service::ConfigError;
use serde::{Deserialize, Serialize};

/// How records become points. All replicas of a worker, and a worker that reads the same topics again, must agree in it, else a record
/// gives two points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MappingConfig {
    /// Field with the time of a point: `double`, `int` or `long`. Default `private_efdStamp`.
    pub time_field: String,
    /// Unit of that field. Default `unix`, seconds.
    pub time_format: TimeFormat,
    /// Scalar fields that are written as tags instead of fields; one that is null or empty is not written.
    pub tags: Vec<String>,
    /// Tags that keep apart what two writers send at the same microsecond, which InfluxDB merges otherwise; the fields stay. Changing
    /// them makes other points of the same records.
    pub writer_tags: Vec<WriterTag>,
    /// Text of a `float`. Default `exact`.
    pub floats: Floats,
    /// What becomes of a field that has another type in the destination. Default `dead_letter`.
    pub type_conflict: TypeConflict,
}

/// Unit of the time field, counted from 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// Seconds.
    Unix,
    /// Milliseconds.
    UnixMs,
    /// Microseconds.
    UnixUs,
    /// Nanoseconds; like all others they are rounded to a microsecond.
    UnixNs,
}

impl TimeFormat {
    /// The unit is a nanosecond times ten to this power.
    pub fn power(self) -> u32 {
        match self {
            Self::Unix => 9,
            Self::UnixMs => 6,
            Self::UnixUs => 3,
            Self::UnixNs => 0,
        }
    }
}

/// What tells writers apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriterTag {
    /// Tag `writer_index` from `salIndex`.
    SalIndex,
    /// Tag `writer_identity` from `private_identity`.
    Identity,
}

impl WriterTag {
    /// The field it is taken from, and the tag.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::SalIndex => ("salIndex", "writer_index"),
            Self::Identity => ("private_identity", "writer_identity"),
        }
    }
}

/// Text of a `float`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Floats {
    /// That of the double of exactly the same value, as in all data so far: 0.1 is 0.10000000149011612.
    Exact,
    /// The shortest that reads back as the same `float`: 0.1. It makes lines and files of InfluxDB smaller.
    Shortest,
}

/// What becomes of a field whose type is another one than what the destination has under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeConflict {
    /// It is written; a point that the destination refuses for it is a dead letter. In a new shard it is not refused.
    DeadLetter,
    /// It is written under its name, an underscore and its type: `x_integer`.
    Suffix,
}

impl Default for MappingConfig {
    fn default() -> Self {
        Self {
            time_field: "private_efdStamp".into(),
            time_format: TimeFormat::Unix,
            tags: Vec::new(),
            writer_tags: Vec::new(),
            floats: Floats::Exact,
            type_conflict: TypeConflict::DeadLetter,
        }
    }
}

impl MappingConfig {
    /// `place` names this part of the settings in errors.
    pub(crate) fn check(&self, place: &str) -> Result<(), ConfigError> {
        let distinct: HashSet<&String> = self.tags.iter().collect();
        let rules = [
            (!self.time_field.is_empty(), "time_field", "must not be empty"),
            (!self.tags.iter().any(String::is_empty), "tags", "must not have an empty name"),
            (distinct.len() == self.tags.len(), "tags", "has a name twice"),
        ];
        for (holds, setting, problem) in rules {
            if !holds {
                return Err(ConfigError::invalid(format!("{place}.{setting}"), problem));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
