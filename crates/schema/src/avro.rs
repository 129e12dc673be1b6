//! Avro's binary encoding without a schema: what each primitive looks like.
//!
//! Source of the rules: Avro specification 1.12, "Binary Encoding".

use thiserror::Error;

/// Why bytes are not Avro.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AvroError {
    /// The bytes end inside a value.
    #[error("the bytes end inside a value")]
    Truncated,
    /// A varint of more than ten bytes, or out of the range of its type.
    #[error("an integer is too large for its type")]
    IntegerRange,
    /// A byte that is neither 0 nor 1.
    #[error("a boolean is {0}, not 0 or 1")]
    Boolean(u8),
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A negative length.
    #[error("a length is negative")]
    NegativeLength,
}

/// Appends a boolean.
pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// Appends an int.
#[inline]
pub fn put_int(out: &mut Vec<u8>, value: i32) {
    put_long(out, i64::from(value));
}

/// Appends a long: zigzag, then seven bits a byte, lowest first.
#[inline]
#[expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "zigzag maps to unsigned, masked to 7 bits"
)]
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a float.
pub fn put_float(out: &mut Vec<u8>, value: f32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a double.
pub fn put_double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a string.
pub fn put_str(out: &mut Vec<u8>, value: &str) {
    put_long(out, i64::try_from(value.len()).unwrap_or(i64::MAX));
    out.extend_from_slice(value.as_bytes());
}

/// Begins an array of `count` items in one block; the items follow, then [`put_array_end`]. An empty array has no block.
pub fn put_array_start(out: &mut Vec<u8>, count: usize) {
    if count > 0 {
        put_long(out, i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// Ends an array.
pub fn put_array_end(out: &mut Vec<u8>) {
    out.push(0);
}

/// Reads values off the front of a slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// A long.
    ///
    /// # Errors
    /// When the bytes end or more than 64 bits come.
    #[inline]
    pub fn long(&mut self) -> Result<i64, AvroError> {
        // Most integers of a telescope need a byte or two. Which of both is decided without a branch, since a count around 64
        // needs now one, now the other.
        if let Some(&[first, second]) = self.rest.first_chunk()
            && (first & second) < 0x80
        {
            let is_two = first >> 7;
            let value = i64::from(first & 0x7f) | i64::from(second & is_two.wrapping_neg()) << 7;
            self.rest = self.rest.get(1 + usize::from(is_two)..).unwrap_or_default();
            return Ok((value >> 1) ^ -(value & 1));
        }
        self.long_of_many()
    }

    fn long_of_many(&mut self) -> Result<i64, AvroError> {
        let mut value = 0_u64;
        for (place, byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte has room for one bit.
            if place == 9 && *byte > 1 {
                return Err(AvroError::IntegerRange);
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(place + 1..).unwrap_or_default();
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(AvroError::Truncated)
    }

    /// An int.
    ///
    /// # Errors
    /// When the bytes end or the value needs more than 32 bits.
    #[inline]
    pub fn int(&mut self) -> Result<i32, AvroError> {
        i32::try_from(self.long()?).map_err(|_| AvroError::IntegerRange)
    }

    /// A boolean.
    ///
    /// # Errors
    /// When the bytes end or the byte is neither 0 nor 1.
    #[inline]
    pub fn boolean(&mut self) -> Result<bool, AvroError> {
        let [byte] = self.chunk()?;
        // Not by cases: a switch is as good as random, and to guess it wrong takes longer than all the rest.
        if byte > 1 { Err(AvroError::Boolean(byte)) } else { Ok(byte == 1) }
    }

    /// A float.
    ///
    /// # Errors
    /// When the bytes end.
    #[inline]
    pub fn float(&mut self) -> Result<f32, AvroError> {
        Ok(f32::from_le_bytes(self.chunk()?))
    }

    /// A double.
    ///
    /// # Errors
    /// When the bytes end.
    #[inline]
    pub fn double(&mut self) -> Result<f64, AvroError> {
        Ok(f64::from_le_bytes(self.chunk()?))
    }

    /// Bytes behind their length.
    ///
    /// # Errors
    /// When the bytes end or the length is negative.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], AvroError> {
        let length = usize::try_from(self.long()?).map_err(|_| AvroError::NegativeLength)?;
        self.fixed(length)
    }

    /// A string.
    ///
    /// # Errors
    /// When the bytes end, the length is negative, or it is not UTF-8.
    #[inline]
    pub fn string(&mut self) -> Result<&'a str, AvroError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| AvroError::Utf8)
    }

    /// `length` bytes.
    ///
    /// # Errors
    /// When fewer are left.
    #[inline]
    pub fn fixed(&mut self, length: usize) -> Result<&'a [u8], AvroError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(AvroError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Items in the next block of an array, 0 at its end. A negative count, behind which the block's size in bytes stands, means
    /// the same without its sign.
    ///
    /// # Errors
    /// When the bytes end or the count has no positive twin.
    pub fn block(&mut self) -> Result<usize, AvroError> {
        let count = self.long()?;
        if count < 0 {
            self.long()?;
        }
        usize::try_from(count.unsigned_abs()).map_err(|_| AvroError::IntegerRange)
    }

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], AvroError> {
        let (chunk, rest) = self.rest.split_first_chunk::<N>().ok_or(AvroError::Truncated)?;
        self.rest = rest;
        Ok(*chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_match_the_specification() {
        let table: [(i64, &[u8]); 8] = [
            (0, &[0]),
            (-1, &[1]),
            (1, &[2]),
            (-64, &[0x7f]),
            (64, &[0x80, 1]),
            (1234, &[0xa4, 0x13]),
            (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ];
        for (value, bytes) in table {
            let mut out = Vec::new();
            put_long(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(Reader::new(bytes).long(), Ok(value));
        }
    }

    #[test]
    fn every_length_of_a_long_is_read_back_and_nothing_behind_it_is() {
        let around = (0..63).flat_map(|bits| [(1_i64 << bits) - 1, 1 << bits]);
        for value in (-130..130).chain(around.clone()).chain(around.map(i64::wrapping_neg)) {
            let mut bytes = Vec::new();
            put_long(&mut bytes, value);
            bytes.push(0xff);
            let mut reader = Reader::new(&bytes);
            assert_eq!((reader.long(), reader.remaining()), (Ok(value), 1));
        }
    }

    #[test]
    fn bad_bytes_are_errors() {
        assert_eq!(Reader::new(&[]).long(), Err(AvroError::Truncated));
        assert_eq!(Reader::new(&[0x80]).long(), Err(AvroError::Truncated));
        assert_eq!(Reader::new(&[0xff; 11]).long(), Err(AvroError::IntegerRange));
        assert_eq!(Reader::new(&[0xfe, 0xff, 0xff, 0xff, 0x1f]).int(), Err(AvroError::IntegerRange));
        assert_eq!(Reader::new(&[2]).boolean(), Err(AvroError::Boolean(2)));
        assert_eq!(Reader::new(&[0, 0, 0]).float(), Err(AvroError::Truncated));
        assert_eq!(Reader::new(&[1]).bytes(), Err(AvroError::NegativeLength));
        assert_eq!(Reader::new(&[8, b'a']).string(), Err(AvroError::Truncated));
        assert_eq!(Reader::new(&[2, 0xff]).string(), Err(AvroError::Utf8));
    }

    #[test]
    fn arrays_may_come_in_several_blocks_and_with_sizes() {
        // Two items, then a block of one item with its size, then the end.
        let mut reader = Reader::new(&[4, 2, 4, 1, 2, 6, 0]);
        assert_eq!(reader.block(), Ok(2));
        assert_eq!((reader.int(), reader.int()), (Ok(1), Ok(2)));
        assert_eq!(reader.block(), Ok(1));
        assert_eq!(reader.int(), Ok(3));
        assert_eq!(reader.block(), Ok(0));
        assert!(reader.is_empty());
    }
}
