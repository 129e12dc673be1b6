//! Why a record cannot be stored, and why the sink cannot run.

use efd_schema::wire::WireError;
use efd_schema::{RegistryError, SchemaError};
use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::plan::PlanError;
use crate::point::PointError;

/// Why a record went to the dead-letter topic; a label of `efd_sink_records_dead_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The value does not begin with magic byte and schema id.
    WireFormat,
    /// A reachable registry does not know the schema id.
    SchemaUnknown,
    /// The schema is known, but no point can be made with it.
    SchemaUnusable,
    /// The body does not fit its schema.
    Body,
    /// The record has no time that InfluxDB stores.
    Time,
    /// InfluxDB refused the line.
    Refused,
    /// The line alone is larger than InfluxDB takes.
    TooLarge,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::WireFormat,
        Self::SchemaUnknown,
        Self::SchemaUnusable,
        Self::Body,
        Self::Time,
        Self::Refused,
        Self::TooLarge,
    ];

    /// The value of the label.
    pub fn label(self) -> &'static str {
        match self {
            Self::WireFormat => "wire_format",
            Self::SchemaUnknown => "schema_unknown",
            Self::SchemaUnusable => "schema_unusable",
            Self::Body => "body",
            Self::Time => "time",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
        }
    }
}

impl From<&PointError> for Reason {
    fn from(error: &PointError) -> Self {
        match error {
            PointError::Time(_) => Self::Time,
            PointError::TooLong => Self::TooLarge,
            PointError::Avro(_)
            | PointError::Branch(_)
            | PointError::Symbol(_)
            | PointError::Trailing(_)
            | PointError::Empty => Self::Body,
        }
    }
}

/// Why a record is dead: the reason as a label, and in words for its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The label.
    pub reason: Reason,
    /// The words.
    pub detail: String,
}

impl From<&WireError> for Cause {
    fn from(error: &WireError) -> Self {
        Self { reason: Reason::WireFormat, detail: error.to_string() }
    }
}

impl From<&PointError> for Cause {
    fn from(error: &PointError) -> Self {
        Self { reason: error.into(), detail: error.to_string() }
    }
}

impl From<&SchemaError> for Cause {
    fn from(error: &SchemaError) -> Self {
        Self { reason: Reason::SchemaUnusable, detail: error.to_string() }
    }
}

impl From<&PlanError> for Cause {
    fn from(error: &PlanError) -> Self {
        Self { reason: Reason::SchemaUnusable, detail: error.to_string() }
    }
}

/// Why the sink cannot go on. Nothing that time may heal is here.
#[derive(Debug, Error)]
pub enum SinkError {
    /// Kafka refuses a setting, or the client broke down.
    #[error("kafka client of destination {destination}")]
    Kafka {
        /// Whose pipeline.
        destination: String,
        /// Why.
        source: KafkaError,
    },
    /// The registry's client cannot be made.
    #[error("schema registry client")]
    Registry(#[from] RegistryError),
    /// A destination's client cannot be made.
    #[error("client of destination {destination}: {problem}")]
    Destination {
        /// Which.
        destination: String,
        /// Why.
        problem: String,
    },
    /// The operating system gives no thread.
    #[error("cannot start the poll thread")]
    Thread(#[from] std::io::Error),
    /// A part ended that never ends by itself.
    #[error("{0} of destination {1} ended unexpectedly")]
    Ended(&'static str, String),
}
