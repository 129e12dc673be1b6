//! The line of one record while it is written. Pure.

use efd_schema::avro::{AvroError, Reader};

use crate::number;
use crate::plan::{Elements, FAST_KEY, Key, Kind, Notes, Op, Plan, Shape, key_text};
use crate::point::{Point, PointError};
use crate::private::Private;
use crate::time::{self, TimeError};

/// Longest line that is made of one record; a valid one is a hundred times shorter.
const MAX_LINE: usize = 64 << 20;
/// Bytes that a value and the digits of its index may take, for the check against [`MAX_LINE`].
const ELEMENT_ROOM: usize = 40;

/// A line at the end of a buffer.
pub struct Line<'a> {
    keys: &'a [u8],
    out: &'a mut Vec<u8>,
    start: usize,
    values: usize,
    omitted: usize,
    time: Result<i64, TimeError>,
    time_power: u32,
    private: Private,
    /// Tags, each behind a comma.
    tags: Vec<u8>,
}

impl<'a> Line<'a> {
    /// An empty one.
    pub fn begin(plan: &'a Plan, out: &'a mut Vec<u8>) -> Self {
        Self {
            keys: plan.keys(),
            start: out.len(),
            out,
            values: 0,
            omitted: 0,
            time: Err(TimeError::Missing),
            time_power: plan.time_power(),
            private: Private::default(),
            tags: Vec::new(),
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When the body does not fit the plan's schema, or the record has no time or no value.
    pub fn write(mut self, plan: &Plan, reader: &mut Reader<'_>) -> Result<Point, PointError> {
        self.out.extend_from_slice(plan.head());
        for op in plan.ops() {
            if is_null(op.null_branch, reader)? {
                continue;
            }
            if let Some(notes) = &op.notes {
                self.note(&op.kind, notes, reader);
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
        if self.values == 0 {
            return Err(PointError::Empty);
        }
        let head = self.start + plan.head().len();
        // The comma before the first field is the blank that ends measurement and tags.
        if let Some(comma) = self.out.get_mut(head) {
            *comma = b' ';
        }
        if !self.tags.is_empty() {
            self.out.splice(head..head, self.tags);
        }
        self.out.push(b' ');
        self.out.extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
        self.out.push(b'\n');
        Ok(Point { values: self.values, omitted: self.omitted, time, private: self.private })
    }

    /// Notes what a value is besides a field; its bytes are next. Those that are not of its type are an error a moment later.
    fn note(&mut self, kind: &Kind, notes: &Notes, reader: &Reader<'_>) {
        if let Some(field) = notes.private {
            self.private.note(field, reader.clone());
        }
        if notes.is_time {
            let value = reader.clone().long().unwrap_or_default();
            self.time = time::nanos_of_integer(value, self.time_power);
        }
        for key in &notes.tags {
            self.tag(key, kind, reader.clone());
        }
    }

    /// Adds a tag, unless its value is empty, NaN or infinite.
    fn tag(&mut self, key: &[u8], kind: &Kind, reader: Reader<'_>) {
        let mut text = Vec::new();
        if tag_text(kind, reader, &mut text).is_ok() && !text.is_empty() {
            self.tags.extend_from_slice(key);
            self.tags.extend_from_slice(&text);
        }
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
            Kind::ShortFloat => {
                let value = reader.float()?;
                if !value.is_finite() {
                    self.omitted += 1;
                } else if self.key(key) {
                    number::put_float(value, self.out);
                }
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
        let mut line = Line { keys: &keys, ..Line::begin(plan, self.out) };
        (line.values, line.omitted) = (self.values, self.omitted);
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
            self.time = time::nanos(text, self.time_power);
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

/// Appends a value as a tag has it.
fn tag_text(kind: &Kind, mut reader: Reader<'_>, out: &mut Vec<u8>) -> Result<(), AvroError> {
    match kind {
        Kind::Boolean => number::put_boolean(reader.boolean()?, out),
        Kind::Int | Kind::Long => {
            out.extend_from_slice(itoa::Buffer::new().format(reader.long()?).as_bytes());
        }
        Kind::Float => put_tag_number(f64::from(reader.float()?), out),
        Kind::ShortFloat => match reader.float()? {
            value if value.is_finite() => number::put_float(value, out),
            _ => {}
        },
        Kind::Double | Kind::Time => put_tag_number(reader.double()?, out),
        Kind::Text => put_tag_text(reader.bytes()?, out),
        Kind::Fixed(size) => put_tag_text(reader.fixed(*size)?, out),
        Kind::Enum(symbols) => {
            let symbol = usize::try_from(reader.long()?).ok().and_then(|index| symbols.get(index));
            put_tag_text(symbol.map_or(b"", |symbol| symbol.as_bytes()), out);
        }
    }
    Ok(())
}

fn put_tag_number(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        number::put_double(value, out);
    }
}

/// A tag can hold neither a line break nor a backslash before a character that needs one, or at its end: the former becomes a
/// blank, the latter is left out.
fn put_tag_text(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        let byte = if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
        if matches!(byte, b',' | b'=' | b' ') {
            while out.last() == Some(&b'\\') {
                out.pop();
            }
            out.push(b'\\');
        }
        out.push(byte);
    }
    while out.last() == Some(&b'\\') {
        out.pop();
    }
}
