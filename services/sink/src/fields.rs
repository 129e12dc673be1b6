//! Keys and values of a line, one behind the other. Here most of the sink's time goes.

use efd_schema::avro::{AvroError, Reader};

use crate::appender::{Appender, KEY, Short};
use crate::number;
use crate::plan::{Cell, Key, Kind, Plain, key_text};
use crate::point::PointError;

/// The fields of a line that is being written.
#[derive(Debug)]
pub struct Fields<'a> {
    /// Text of all prepared keys.
    pub keys: &'a [u8],
    /// Where they are written.
    pub out: Appender<'a>,
    /// Written so far.
    pub values: usize,
    /// NaN and infinite values left out so far.
    pub omitted: usize,
}

/// How far fields have come.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    len: usize,
    values: usize,
    omitted: usize,
}

impl<'a> Fields<'a> {
    /// The same for a while; [`resume`](Self::resume) tells these how far the others came.
    pub fn lend(&mut self) -> Fields<'_> {
        Fields { keys: self.keys, out: self.out.lend(), ..*self }
    }

    /// How far they have come.
    pub fn ended(&self) -> Ended {
        Ended { len: self.out.len(), values: self.values, omitted: self.omitted }
    }

    /// Goes on where others ended.
    pub fn resume(&mut self, ended: Ended) {
        self.out.set_len(ended.len);
        (self.values, self.omitted) = (ended.values, ended.omitted);
    }

    /// Scalars that follow one another in the schema.
    ///
    /// # Errors
    /// When the bytes do not fit their types.
    pub fn cells(&mut self, cells: &[Cell], reader: &mut Reader<'_>) -> Result<(), AvroError> {
        self.each(cells.iter().map(|cell| (cell.plain, cell.key)), reader)
    }

    /// Elements of an array.
    ///
    /// # Errors
    /// When the bytes do not fit their type.
    pub fn elements(&mut self, plain: Plain, keys: &[Key], reader: &mut Reader<'_>) -> Result<(), AvroError> {
        // A loop for each type.
        match plain {
            Plain::Boolean => self.each(keys.iter().map(|key| (Plain::Boolean, *key)), reader),
            Plain::Int => self.each(keys.iter().map(|key| (Plain::Int, *key)), reader),
            Plain::Long => self.each(keys.iter().map(|key| (Plain::Long, *key)), reader),
            Plain::Float => self.each(keys.iter().map(|key| (Plain::Float, *key)), reader),
            Plain::Double => self.each(keys.iter().map(|key| (Plain::Double, *key)), reader),
        }
    }

    /// What the loop changes is its own, so that it stays in registers; and it does only where nothing of the common way is a
    /// call. The compiler would make calls of it, hence `always`: that halves the time.
    #[inline(always)]
    fn each(
        &mut self,
        cells: impl Iterator<Item = (Plain, Key)>,
        reader: &mut Reader<'_>,
    ) -> Result<(), AvroError> {
        let mut rest = reader.clone();
        let mut fields = self.lend();
        for (plain, key) in cells {
            fields.plain(plain, key, &mut rest)?;
        }
        let ended = fields.ended();
        self.resume(ended);
        *reader = rest;
        Ok(())
    }

    /// Decodes one value and writes it, unless it is NaN or infinite or another field has its name.
    ///
    /// # Errors
    /// When the bytes do not fit its type.
    pub fn value(&mut self, kind: &Kind, key: Key, reader: &mut Reader<'_>) -> Result<(), PointError> {
        match kind {
            Kind::Plain(plain) => self.plain(*plain, key, reader)?,
            Kind::ShortFloat => {
                let value = reader.float()?;
                if !value.is_finite() {
                    self.omitted += 1;
                } else if self.key(key) {
                    number::put_float(value, &mut self.out);
                }
            }
            Kind::Time => self.double(key, reader.double()?),
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

    #[inline(always)]
    fn plain(&mut self, plain: Plain, key: Key, reader: &mut Reader<'_>) -> Result<(), AvroError> {
        match plain {
            Plain::Boolean => self.short(key, number::boolean(reader.boolean()?)),
            Plain::Int => self.integer(key, i64::from(reader.int()?)),
            Plain::Long => self.integer(key, reader.long()?),
            Plain::Float => self.double(key, f64::from(reader.float()?)),
            Plain::Double => self.double(key, reader.double()?),
        }
        Ok(())
    }

    #[inline(always)]
    fn integer(&mut self, key: Key, value: i64) {
        if let Some(short) = number::short_integer(value) {
            self.short(key, short);
        } else if self.key(key) {
            self.out.apart(|out| number::put_integer(value, out));
        }
    }

    #[inline(always)]
    fn double(&mut self, key: Key, value: f64) {
        if !value.is_finite() {
            self.omitted += 1;
        } else if let Some(short) = number::short_double(value) {
            self.short(key, short);
        } else if self.key(key) {
            self.out.apart(|out| number::put_double(value, out));
        }
    }

    /// Writes a key and a short value.
    #[inline(always)]
    fn short(&mut self, key: Key, value: Short) {
        if let Some(prepared) = self.short_key(key).filter(|_| key.len > 0) {
            self.values += 1;
            self.out.put_pair((prepared, key.len as usize), value);
        } else if self.key(key) {
            self.out.put_short(value);
        }
    }

    /// Writes a text in quotes.
    fn text(&mut self, key: Key, text: &[u8]) {
        if !self.key(key) {
            return;
        }
        self.out.put_byte(b'"');
        if text.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
            for byte in text {
                if matches!(byte, b'"' | b'\\') {
                    self.out.put_byte(b'\\');
                }
                self.out.put_byte(*byte);
            }
        } else {
            self.out.put(text);
        }
        self.out.put_byte(b'"');
    }

    /// Writes a key and counts its value; false when another field has the name.
    #[inline]
    pub fn key(&mut self, key: Key) -> bool {
        if key.len == 0 {
            return false;
        }
        self.values += 1;
        if let Some(prepared) = self.short_key(key) {
            self.out.put_first(prepared, key.len as usize);
        } else {
            let text = key_text(self.keys, key);
            self.out.apart(|out| out.put(text));
        }
        true
    }

    /// The key and what happens to stand behind it, unless it is too long for a copy of fixed size.
    #[inline]
    fn short_key(&self, key: Key) -> Option<&'a [u8; KEY]> {
        self.keys.get(key.start as usize..)?.first_chunk().filter(|_| key.len as usize <= KEY)
    }
}
