//! The line of one record while it is written. Pure.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use efd_schema::avro::{AvroError, Reader};

use crate::appender::{Appender, KEY};
use crate::fields::Fields;
use crate::number;
use crate::plan::{Elements, Key, Kind, Notes, Op, Plain, Plan, Shape, Step};
use crate::point::{Point, PointError};
use crate::private::Private;
use crate::time::{self, TimeError};

/// Longest line that is made of one record; a valid one is a hundred times shorter.
const MAX_LINE: usize = 64 << 20;
/// Bytes that a value and the digits of its index may take, for the check against [`MAX_LINE`].
const ELEMENT_ROOM: usize = 40;

/// A line at the end of a buffer.
pub struct Line<'a> {
    fields: Fields<'a>,
    start: usize,
    time: Result<i64, TimeError>,
    time_power: u32,
    private: Private,
    /// Tags, each behind a comma.
    tags: Vec<u8>,
    tag_set: u64,
    /// Keys that were made for this line, where two arrays can make the same.
    unprepared: HashSet<Vec<u8>>,
}

impl<'a> Line<'a> {
    /// An empty one.
    pub fn begin(plan: &'a Plan, out: &'a mut Vec<u8>) -> Self {
        Self {
            start: out.len(),
            fields: Fields { keys: plan.keys(), out: Appender::behind(out), values: 0, omitted: 0 },
            time: Err(TimeError::Missing),
            time_power: plan.time_power(),
            private: Private::default(),
            tags: Vec::new(),
            tag_set: 0,
            unprepared: HashSet::new(),
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When the body does not fit the plan's schema, or the record has no time or no value.
    pub fn write(mut self, plan: &Plan, reader: &mut Reader<'_>) -> Result<Point, PointError> {
        self.fields.out.put(plan.head());
        for step in plan.steps() {
            match step {
                Step::Cells(cells) => self.fields.cells(cells, reader)?,
                Step::Op(op) => self.op(plan, op, reader)?,
            }
        }
        if !reader.is_empty() {
            return Err(PointError::Trailing(reader.remaining()));
        }
        let time = self.time?;
        let (values, omitted) = (self.fields.values, self.fields.omitted);
        if values == 0 {
            return Err(PointError::Empty);
        }
        self.fields.out.put_byte(b' ');
        number::put_digits(time, &mut self.fields.out);
        self.fields.out.put_byte(b'\n');
        let out = self.fields.out.finish();
        let head = self.start + plan.head().len();
        // The comma before the first field is the blank that ends measurement and tags.
        if let Some(comma) = out.get_mut(head) {
            *comma = b' ';
        }
        if !self.tags.is_empty() {
            out.splice(head..head, self.tags);
        }
        Ok(Point { values, omitted, time, tags: self.tag_set, private: self.private })
    }

    /// One field of the record, with whatever it is besides.
    fn op(&mut self, plan: &Plan, op: &Op, reader: &mut Reader<'_>) -> Result<(), PointError> {
        if is_null(op.null_branch, reader)? {
            return Ok(());
        }
        if let Some(notes) = &op.notes {
            self.note(&op.kind, notes, reader);
        }
        match &op.shape {
            Shape::One(key) => self.value(&op.kind, *key, reader),
            Shape::Many(elements) => self.elements(plan, op, elements, reader),
        }
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
            let mut hasher = DefaultHasher::new();
            (key, &text).hash(&mut hasher);
            // A sum, since InfluxDB does not look at the order of tags.
            self.tag_set = self.tag_set.wrapping_add(hasher.finish());
        }
    }

    /// Decodes one value and writes it, unless it is NaN or infinite or another field has its name.
    #[inline]
    fn value(&mut self, kind: &Kind, key: Key, reader: &mut Reader<'_>) -> Result<(), PointError> {
        if *kind == Kind::Time {
            let value = reader.double()?;
            self.time(key, value);
            return Ok(());
        }
        self.fields.value(kind, key, reader)
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
            if self.fields.out.len() - self.start + count.saturating_mul(elements.base.len() + ELEMENT_ROOM)
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

    /// Elements with prepared keys.
    fn block(
        &mut self,
        kind: &Kind,
        item_null: Option<u8>,
        keys: &[Key],
        reader: &mut Reader<'_>,
    ) -> Result<(), PointError> {
        if let (Kind::Plain(plain), None) = (kind, item_null) {
            return Ok(self.fields.elements(*plain, keys, reader)?);
        }
        for key in keys {
            if !is_null(item_null, reader)? {
                self.value(kind, *key, reader)?;
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
        let is_taken =
            plan.has_key(&keys) || plan.has_rival_arrays() && !self.unprepared.insert(keys.clone());
        let len = if is_taken { 0 } else { u32::try_from(keys.len()).unwrap_or_default() };
        let key = Key { start: 0, len };
        keys.extend_from_slice(&[0; KEY]);
        let mut fields = Fields { keys: &keys, ..self.fields.lend() };
        fields.value(&op.kind, key, reader)?;
        let ended = fields.ended();
        self.fields.resume(ended);
        Ok(())
    }

    fn time(&mut self, key: Key, value: f64) {
        if value.is_finite() {
            let mut buffer = zmij::Buffer::new();
            let text = number::shortest(&mut buffer, value);
            self.time = time::nanos(text, self.time_power);
            if self.fields.key(key) {
                self.fields.out.put(text);
            }
        } else {
            self.fields.omitted += 1;
        }
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
fn tag_text(kind: &Kind, mut reader: Reader<'_>, text: &mut Vec<u8>) -> Result<(), AvroError> {
    let mut out = Appender::behind(text);
    match kind {
        Kind::Plain(Plain::Boolean) => out.put_short(number::boolean(reader.boolean()?)),
        Kind::Plain(Plain::Int | Plain::Long) => number::put_digits(reader.long()?, &mut out),
        Kind::Plain(Plain::Float) => put_tag_number(f64::from(reader.float()?), &mut out),
        Kind::ShortFloat => match reader.float()? {
            value if value.is_finite() => number::put_float(value, &mut out),
            _ => {}
        },
        Kind::Plain(Plain::Double) | Kind::Time => put_tag_number(reader.double()?, &mut out),
        Kind::Text => put_tag_text(reader.bytes()?, &mut out),
        Kind::Fixed(size) => put_tag_text(reader.fixed(*size)?, &mut out),
        Kind::Enum(symbols) => {
            let symbol = usize::try_from(reader.long()?).ok().and_then(|index| symbols.get(index));
            put_tag_text(symbol.map_or(b"", |symbol| symbol.as_bytes()), &mut out);
        }
    }
    out.finish();
    Ok(())
}

fn put_tag_number(value: f64, out: &mut Appender<'_>) {
    if value.is_finite() {
        number::put_double(value, out);
    }
}

/// A tag can hold neither a line break nor a backslash before a character that needs one, or at its end: the former becomes a
/// blank, the latter is left out.
fn put_tag_text(text: &[u8], out: &mut Appender<'_>) {
    for byte in text {
        let byte = if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
        if matches!(byte, b',' | b'=' | b' ') {
            out.trim_end(b'\\');
            out.put_byte(b'\\');
        }
        out.put_byte(byte);
    }
    out.trim_end(b'\\');
}
