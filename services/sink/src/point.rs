//! Here a record becomes a point: the Avro body and the plan of its schema give one line of line protocol. Pure.
//!
//! - Every scalar is a field of the same name, every element of an array one with its index behind the name; there are no tags.
//! - Integers end in `i`; a float is written as the double of the same value, in its shortest text.
//! - Null, NaN and infinities are left out, the other fields of the point stay.
//! - The time is the field `private_efdStamp`; see the module `time` for its rounding.
//!
//! So the identity of a point, measurement and time, comes only from the record: writing it twice changes nothing.

use efd_schema::avro::{AvroError, Reader};
use thiserror::Error;

use crate::number;
use crate::plan::{Elements, FAST_KEY, Key, Kind, Op, Plan, Shape, key_text};
use crate::time::{self, TimeError};

/// Longest line that is made of one record; a valid one is a hundred times shorter.
const MAX_LINE: usize = 64 << 20;
/// Bytes that a value and the digits of its index may take, for the check against [`MAX_LINE`].
const ELEMENT_ROOM: usize = 40;

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
    /// The line would pass 64 MiB.
    #[error("the line would be longer than 64 MiB")]
    TooLong,
    /// The record has no time.
    #[error(transparent)]
    Time(#[from] TimeError),
}

/// What was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Fields in the line, at least one.
    pub values: usize,
    /// NaN and infinite values left out.
    pub omitted: usize,
    /// Unix nanoseconds.
    pub time: i64,
}

/// Appends the line of one record, its newline included; on an error `out` is as before.
///
/// # Errors
/// When the body does not fit the plan's schema, or the record has no time.
pub fn append(plan: &Plan, body: &[u8], out: &mut Vec<u8>) -> Result<Point, PointError> {
    let start = out.len();
    let line = Line { keys: plan.keys(), out, start, values: 0, omitted: 0, time: Err(TimeError::Missing) };
    let result = line.write(plan, &mut Reader::new(body));
    if result.is_err() {
        out.truncate(start);
    }
    result
}

struct Line<'a> {
    keys: &'a [u8],
    out: &'a mut Vec<u8>,
    start: usize,
    values: usize,
    omitted: usize,
    time: Result<i64, TimeError>,
}

impl Line<'_> {
    fn write(mut self, plan: &Plan, reader: &mut Reader<'_>) -> Result<Point, PointError> {
        self.out.extend_from_slice(plan.head());
        for op in plan.ops() {
            if is_null(op.null_branch, reader)? {
                continue;
            }
            match &op.shape {
                Shape::One(key) => self.value(&op.kind, *key, reader)?,
                Shape::Many(elements) => self.elements(plan, op, elements, reader)?,
            }
        }
        if !reader.is_empty() {
            return Err(PointError::Trailing(reader.remaining()));
        }
        let time = self.time?;
        // No tags: the comma before the first field is the blank that ends the measurement.
        if let Some(comma) = self.out.get_mut(self.start + plan.head().len()) {
            *comma = b' ';
        }
        self.out.push(b' ');
        self.out.extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
        self.out.push(b'\n');
        Ok(Point { values: self.values, omitted: self.omitted, time })
    }

    /// Decodes one value and writes it, unless it is NaN or infinite or another field has its name.
    #[inline]
    fn value(&mut self, kind: &Kind, key: Key, reader: &mut Reader<'_>) -> Result<(), PointError> {
        match kind {
            Kind::Boolean => {
                let value = reader.boolean()?;
                self.boolean(key, value);
            }
            Kind::Int => {
                let value = i64::from(reader.int()?);
                self.integer(key, value);
            }
            Kind::Long => {
                let value = reader.long()?;
                self.integer(key, value);
            }
            Kind::Float => {
                let value = f64::from(reader.float()?);
                self.double(key, value);
            }
            Kind::Double => {
                let value = reader.double()?;
                self.double(key, value);
            }
            Kind::Time => {
                let value = reader.double()?;
                self.time(key, value);
            }
            Kind::Text => self.text(key, reader.bytes()?),
            Kind::Fixed(size) => self.text(key, reader.fixed(*size)?),
            Kind::Enum(symbols) => {
                let index = reader.long()?;
                let symbol = usize::try_from(index).ok().and_then(|index| symbols.get(index));
                self.text(key, symbol.ok_or(PointError::Symbol(index))?.as_bytes());
            }
        }
        Ok(())
    }

    fn elements(
        &mut self,
        plan: &Plan,
        op: &Op,
        elements: &Elements,
        reader: &mut Reader<'_>,
    ) -> Result<(), PointError> {
        let mut prepared = &*elements.keys;
        let mut index = 0;
        loop {
            let count = reader.block()?;
            if count == 0 {
                return Ok(());
            }
            // An item takes a byte at least; that bounds what a false count can cost.
            if count > reader.remaining() {
                return Err(AvroError::Truncated.into());
            }
            if self.out.len() - self.start + count.saturating_mul(elements.base.len() + ELEMENT_ROOM)
                > MAX_LINE
            {
                return Err(PointError::TooLong);
            }
            let (block, rest) = prepared.split_at(count.min(prepared.len()));
            prepared = rest;
            self.block(&op.kind, elements.item_null, block, reader)?;
            index += block.len();
            for _ in block.len()..count {
                if !is_null(elements.item_null, reader)? {
                    self.unprepared(plan, op, (&elements.base, index), reader)?;
                }
                index += 1;
            }
        }
    }

    /// Elements with prepared keys. One loop for each of the common types, since here most of the time goes.
    fn block(
        &mut self,
        kind: &Kind,
        item_null: Option<u8>,
        keys: &[Key],
        reader: &mut Reader<'_>,
    ) -> Result<(), PointError> {
        match (kind, item_null) {
            (Kind::Boolean, None) => {
                for key in keys {
                    let value = reader.boolean()?;
                    self.boolean(*key, value);
                }
            }
            (Kind::Int, None) => {
                for key in keys {
                    let value = reader.int()?;
                    self.integer(*key, i64::from(value));
                }
            }
            (Kind::Float, None) => {
                for key in keys {
                    let value = reader.float()?;
                    self.double(*key, f64::from(value));
                }
            }
            (Kind::Double, None) => {
                for key in keys {
                    let value = reader.double()?;
                    self.double(*key, value);
                }
            }
            _ => {
                for key in keys {
                    if !is_null(item_null, reader)? {
                        self.value(kind, *key, reader)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// An element beyond the length in the schema: its key is made here.
    #[cold]
    fn unprepared(
        &mut self,
        plan: &Plan,
        op: &Op,
        (base, index): (&[u8], usize),
        reader: &mut Reader<'_>,
    ) -> Result<(), PointError> {
        let mut keys = base.to_vec();
        keys.extend_from_slice(itoa::Buffer::new().format(index).as_bytes());
        keys.push(b'=');
        let len = if plan.has_key(&keys) { 0 } else { u32::try_from(keys.len()).unwrap_or_default() };
        let key = Key { start: 0, len };
        keys.extend_from_slice(&[0; FAST_KEY]);
        let mut line = Line {
            keys: &keys,
            out: &mut *self.out,
            start: self.start,
            values: self.values,
            omitted: self.omitted,
            time: self.time,
        };
        line.value(&op.kind, key, reader)?;
        (self.values, self.omitted) = (line.values, line.omitted);
        Ok(())
    }

    #[inline]
    fn boolean(&mut self, key: Key, value: bool) {
        if self.key(key) {
            number::put_boolean(value, self.out);
        }
    }

    #[inline]
    fn integer(&mut self, key: Key, value: i64) {
        if self.key(key) {
            number::put_integer(value, self.out);
        }
    }

    #[inline]
    fn double(&mut self, key: Key, value: f64) {
        if !value.is_finite() {
            self.omitted += 1;
        } else if self.key(key) {
            number::put_double(value, self.out);
        }
    }

    #[inline]
    fn time(&mut self, key: Key, value: f64) {
        if value.is_finite() {
            let mut buffer = zmij::Buffer::new();
            let text = number::shortest(&mut buffer, value);
            self.time = time::nanos(text);
            if self.key(key) {
                self.out.extend_from_slice(text);
            }
        } else {
            self.omitted += 1;
        }
    }

    fn text(&mut self, key: Key, text: &[u8]) {
        if !self.key(key) {
            return;
        }
        self.out.push(b'"');
        if text.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
            for byte in text {
                if matches!(byte, b'"' | b'\\') {
                    self.out.push(b'\\');
                }
                self.out.push(*byte);
            }
        } else {
            self.out.extend_from_slice(text);
        }
        self.out.push(b'"');
    }

    /// Writes a key and counts its value; false when another field has the name.
    #[inline]
    fn key(&mut self, key: Key) -> bool {
        if key.len == 0 {
            return false;
        }
        self.values += 1;
        // A copy of fixed size, cut back, costs half of one whose length is only known here.
        let len = key.len as usize;
        let fast = self.keys.get(key.start as usize..).and_then(<[u8]>::first_chunk::<FAST_KEY>);
        if let Some(chunk) = fast.filter(|_| len <= FAST_KEY) {
            self.out.extend_from_slice(chunk);
            self.out.truncate(self.out.len() - (FAST_KEY - len));
        } else {
            self.out.extend_from_slice(key_text(self.keys, key));
        }
        true
    }
}

/// Whether there is a union and its branch is null; reads the branch.
#[inline]
fn is_null(null_branch: Option<u8>, reader: &mut Reader<'_>) -> Result<bool, PointError> {
    let Some(null_branch) = null_branch else { return Ok(false) };
    match reader.long()? {
        branch @ 0..=1 => Ok(branch == i64::from(null_branch)),
        other => Err(PointError::Branch(other)),
    }
}

#[cfg(test)]
#[path = "point_tests.rs"]
mod tests;
