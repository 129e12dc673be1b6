//! Here a record becomes a point: the Avro body and the plan of its schema give one line of line protocol. Pure.
//!
//! - Every scalar is a field of the same name, every element of an array one with its index behind the name; there are no tags, unless
//!   the settings name some.
//! - Integers end in `i`; a float is written as the double of the same value, in its shortest text.
//! - Null, NaN and infinities are left out, the other fields of the point stay.
//! - The time is the field `private_efdStamp`, or the one in the settings; see the module `time` for its rounding.
//!
//! So the identity of a point, measurement, tags and time, comes only from the record: writing it twice changes nothing.

use efd_schema::avro::{AvroError, Reader};
use thiserror::Error;

use crate::line::Line;
use crate::plan::Plan;
use crate::private::Private;
use crate::time::TimeError;

/// Why no point can be made of a record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PointError {
    /// The body is not Avro.
    #[error("the body does not fit its schema: {0}")]
    Avro(#[from] AvroError),
    /// A union has two branches, this is neither.
    #[error("the body does not fit its schema: a union has no branch {0}")]
    Branch(i64),
    /// An enum has fewer symbols.
    #[error("the body does not fit its schema: an enum has no symbol {0}")]
    Symbol(i64),
    /// Bytes are left behind the last field.
    #[error("the body does not fit its schema: {0} bytes are left behind its last field")]
    Trailing(usize),
    /// Nothing is left to write.
    #[error("no field of the record has a value, so there is no point")]
    Empty,
    /// The line would pass 64 MiB.
    #[error("the line would be longer than 64 MiB")]
    TooLong,
    /// The record has no time.
    #[error(transparent)]
    Time(#[from] TimeError),
}

/// What was appended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Fields in the line, at least one.
    pub values: usize,
    /// NaN and infinite values left out.
    pub omitted: usize,
    /// Unix nanoseconds.
    pub time: i64,
    /// A number that stands for the tags of the line; 0 where there are none.
    pub tags: u64,
    /// Who sent the record, and as which.
    pub private: Private,
}

/// Appends the line of one record, its newline included; on an error `out` is as before.
///
/// # Errors
/// When the body does not fit the plan's schema, or the record has no time.
pub fn append(plan: &Plan, body: &[u8], out: &mut Vec<u8>) -> Result<Point, PointError> {
    let start = out.len();
    let result = Line::begin(plan, out).write(plan, &mut Reader::new(body));
    if result.is_err() {
        out.truncate(start);
    }
    result
}

#[cfg(test)]
#[path = "point_tests.rs"]
mod tests;
