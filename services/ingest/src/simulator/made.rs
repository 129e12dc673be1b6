//! What the simulator made: a sample, and what is special about the record it becomes.

use crate::damage::Damage;
use crate::sample::Sample;

/// One record on its way to the producer.
#[derive(Debug, Clone)]
pub struct Made {
    /// The sample; that of an undecodable record has a plan that spoils its bytes.
    pub sample: Sample,
    /// What the account has to know about it.
    pub mark: Mark,
}

/// What is special about a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Whether it is a sample of its own.
    pub kind: Kind,
    /// One of its floats is no number.
    pub not_finite: Option<NotFinite>,
    /// Later samples of its topic were sent before it.
    pub late: bool,
}

/// What a record is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// A sample that was not sent before.
    #[default]
    Sample,
    /// A sample once more.
    Duplicate,
    /// No sample, but bytes that nobody can decode.
    Undecodable(Damage),
}

/// What a float is that is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFinite {
    /// NaN.
    Nan,
    /// Plus or minus infinity.
    Infinity,
}

impl Made {
    /// The same, held back.
    pub fn late(self) -> Self {
        Self { mark: Mark { late: true, ..self.mark }, ..self }
    }
}

impl From<Sample> for Made {
    fn from(sample: Sample) -> Self {
        Self { sample, mark: Mark::default() }
    }
}
