//! Appends to a buffer by copies of fixed size.
//!
//! A copy whose length is only known while it runs costs several times one of fixed size. So the buffer is kept a little longer than
//! what is written, the copy is made as long as always, and what it wrote too much is written over by the next one.

/// Bytes by which the buffer grows at once, at least.
const STEP: usize = 1024;

/// Longest key for a copy of fixed size.
pub const KEY: usize = 32;
/// Longest short text.
pub const SHORT: usize = 8;

/// A text of a few bytes, in two registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    /// Its bytes, the first in the lowest; those behind its length mean nothing. A number, since an array would go through memory.
    pub text: u64,
    /// How many they are.
    pub len: usize,
}

/// A buffer whose first `len` bytes are written; what is behind them means nothing, and stays there unless the appender is
/// [finished](Self::finish).
#[derive(Debug)]
pub struct Appender<'a> {
    buffer: &'a mut Vec<u8>,
    len: usize,
}

impl<'a> Appender<'a> {
    /// Writes behind what is there.
    pub fn behind(buffer: &'a mut Vec<u8>) -> Self {
        Self { len: buffer.len(), buffer }
    }

    /// A second one for the same buffer; [`set_len`](Self::set_len) tells this one where it ended.
    ///
    /// A loop that has one for itself, and gives no reference to it away, keeps its length in a register.
    #[inline]
    pub fn lend(&mut self) -> Appender<'_> {
        Appender { buffer: self.buffer, len: self.len }
    }

    /// Bytes written.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Goes on where another one ended, or goes back.
    #[inline]
    pub fn set_len(&mut self, len: usize) {
        self.len = len;
    }

    /// Takes back as many of these bytes as stand at the end.
    pub fn trim_end(&mut self, byte: u8) {
        while self.buffer.get(..self.len).is_some_and(|written| written.last() == Some(&byte)) {
            self.len -= 1;
        }
    }

    /// Leaves in the buffer only what was written.
    pub fn finish(self) -> &'a mut Vec<u8> {
        self.buffer.truncate(self.len);
        self.buffer
    }

    /// Appends the first `len` of these bytes.
    #[inline]
    pub fn put_first<const N: usize>(&mut self, bytes: &[u8; N], len: usize) {
        match self.buffer.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut) {
            Some(room) => *room = *bytes,
            None => grow(self.buffer, self.len, bytes),
        }
        self.len += len.min(N);
    }

    /// Appends the first `len` bytes of a key and the first of a value; looks for room only once.
    #[inline]
    pub fn put_pair(&mut self, (key, len): (&[u8; KEY], usize), value: Short) {
        let len = len.min(KEY);
        let room = self.buffer.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut::<{ KEY + SHORT }>);
        if let Some(room) = room {
            if let Some(room) = room.first_chunk_mut() {
                *room = *key;
            }
            if let Some(room) = room.get_mut(len..).and_then(<[u8]>::first_chunk_mut) {
                *room = value.text.to_le_bytes();
            }
        } else {
            grow(self.buffer, self.len, key);
            grow(self.buffer, self.len + len, &value.text.to_le_bytes());
        }
        self.len += len + value.len.min(SHORT);
    }

    /// Appends a short text.
    #[inline]
    pub fn put_short(&mut self, value: Short) {
        self.put_first(&value.text.to_le_bytes(), value.len);
    }

    /// Appends with an appender of its own, and out of line, so that the short ways of the caller stay small and in registers.
    #[inline(always)]
    pub fn apart(&mut self, put: impl FnOnce(&mut Appender<'_>)) {
        self.len = end_of(self.lend(), put);
    }

    /// Appends one byte.
    #[inline]
    pub fn put_byte(&mut self, byte: u8) {
        self.put_first(&[byte], 1);
    }

    /// Appends all of these bytes.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        match self.buffer.get_mut(self.len..self.len + bytes.len()) {
            Some(room) => room.copy_from_slice(bytes),
            None => grow(self.buffer, self.len, bytes),
        }
        self.len += bytes.len();
    }
}

/// Where it ends when this was put.
#[inline(never)]
fn end_of(mut out: Appender<'_>, put: impl FnOnce(&mut Appender<'_>)) -> usize {
    put(&mut out);
    out.len
}

/// Appends behind the first `len` bytes, and makes room for more.
#[cold]
#[inline(never)]
fn grow(buffer: &mut Vec<u8>, len: usize, bytes: &[u8]) {
    buffer.truncate(len);
    buffer.extend_from_slice(bytes);
    buffer.resize(buffer.len() + STEP, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_each_length_stand_one_behind_the_other() {
        let text: Vec<u8> = (b'a'..=b'z').cycle().take(3 * STEP).collect();
        let (key, digits) = (b"abcdefghijklmnopqrstuvwxyz012345", b"12345678");
        let (mut buffer, mut expected) = (b"=".to_vec(), b"=".to_vec());
        let mut out = Appender::behind(&mut buffer);
        for len in (0..300).chain([STEP - 1, STEP, STEP + 1, 3 * STEP]) {
            let part = text.get(..len).unwrap();
            out.put(part);
            out.put_byte(b';');
            out.put_first(digits, len % 9);
            out.put_pair((key, len % 33), Short { text: u64::from_le_bytes(*digits), len: len % 9 });
            let (key, digits) = (&key[..len % 33], &digits[..len % 9]);
            expected.extend([part, b";", digits, key, digits].concat());
            assert_eq!(out.len(), expected.len());
        }
        assert_eq!(out.finish(), &expected);
    }

    #[test]
    fn what_was_lent_ends_where_it_is_told() {
        let mut buffer = Vec::new();
        let mut out = Appender::behind(&mut buffer);
        out.put(b"one");
        let mut lent = out.lend();
        lent.put(b"two");
        let len = lent.len();
        lent.put(b"three");
        out.set_len(len);
        out.put(b"!??");
        out.trim_end(b'?');
        assert_eq!(out.finish(), b"onetwo!");
    }
}
