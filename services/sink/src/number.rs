//! Numbers and booleans as text, appended to a buffer.
//!
//! Short texts are made in a register. Most values of a telescope are short: switches, states, counts, and floating-point
//! numbers that are whole.

use crate::appender::{Appender, Short};

/// Below this, integers are short.
const FEW: usize = 1000;

/// The digits of each number below [`FEW`] and an `i`, the first in the lowest byte.
const TEXTS: [u32; FEW] = texts();

const fn texts() -> [u32; FEW] {
    let mut texts = [0; FEW];
    let mut n = 0;
    while n < FEW {
        #[expect(clippy::cast_possible_truncation, reason = "below FEW")]
        let (hundreds, tens, ones) = (n as u32 / 100 + 48, n as u32 / 10 % 10 + 48, n as u32 % 10 + 48);
        let i = b'i' as u32;
        #[expect(clippy::indexing_slicing, reason = "below FEW")]
        {
            texts[n] = match n {
                0..10 => ones | i << 8,
                10..100 => tens | ones << 8 | i << 16,
                _ => hundreds | tens << 8 | ones << 16 | i << 24,
            };
        }
        n += 1;
    }
    texts
}

/// `true` or `false`.
#[inline]
pub fn boolean(value: bool) -> Short {
    const WORDS: [u64; 2] = [u64::from_le_bytes(*b"false\0\0\0"), u64::from_le_bytes(*b"true\0\0\0\0")];
    // Looked up, not chosen: a switch is as good as random, and to guess it wrong takes longer than all the rest. The compiler
    // makes a branch of any choice, even of one that it is told nobody can predict.
    let text = WORDS.get(usize::from(value)).copied().unwrap_or_default();
    Short { text, len: 5 - usize::from(value) }
}

/// An integer of up to three digits and an `i`.
#[inline]
pub fn short_integer(value: i64) -> Option<Short> {
    let magnitude = usize::try_from(value.unsigned_abs()).ok()?;
    let text = u64::from(*TEXTS.get(magnitude)?);
    let len = 2 + usize::from(magnitude >= 10) + usize::from(magnitude >= 100);
    Some(if value < 0 {
        Short { text: text << 8 | u64::from(b'-'), len: len + 1 }
    } else {
        Short { text, len }
    })
}

/// As [`put_double`] writes it, if it is a whole number of up to three digits.
#[inline]
pub fn short_double(value: f64) -> Option<Short> {
    // The cast saturates; then, as with negative zero, what comes back is another number.
    #[expect(clippy::cast_possible_truncation, reason = "compared with what went in")]
    let whole = value as i32;
    if f64::from(whole).to_bits() != value.to_bits() {
        return None;
    }
    // Without the `i`.
    short_integer(i64::from(whole)).map(|short| Short { len: short.len - 1, ..short })
}

/// Appends an integer and an `i`.
pub fn put_integer(value: i64, out: &mut Appender<'_>) {
    put_digits(value, out);
    out.put_byte(b'i');
}

/// Appends an integer without an `i`.
pub fn put_digits(value: i64, out: &mut Appender<'_>) {
    out.put(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the shortest text that reads back as `value`, which is finite, without the `.0` of a whole number.
pub fn put_double(value: f64, out: &mut Appender<'_>) {
    let mut buffer = zmij::Buffer::new();
    out.put(shortest(&mut buffer, value));
}

/// Appends the shortest text that reads back as the same `float`.
pub fn put_float(value: f32, out: &mut Appender<'_>) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value).as_bytes();
    out.put(text.strip_suffix(b".0").unwrap_or(text));
}

/// The text of [`put_double`].
#[inline]
pub fn shortest(buffer: &mut zmij::Buffer, value: f64) -> &[u8] {
    let text = buffer.format_finite(value).as_bytes();
    text.strip_suffix(b".0").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(put: impl FnOnce(&mut Appender<'_>)) -> String {
        let mut buffer = b"=".to_vec();
        let mut out = Appender::behind(&mut buffer);
        put(&mut out);
        out.finish();
        String::from_utf8(buffer).unwrap()
    }

    /// A short text where there is one must be what the long way writes.
    fn same(short: Option<Short>, long: String) -> String {
        if let Some(Short { text, len }) = short {
            assert_eq!(std::str::from_utf8(&text.to_le_bytes()[..len]).unwrap(), &long[1..]);
        }
        long
    }

    fn integer(value: i64) -> String {
        same(short_integer(value), text(|out| put_integer(value, out)))
    }

    fn double(value: f64) -> String {
        same(short_double(value), text(|out| put_double(value, out)))
    }

    #[test]
    fn integers_around_each_length_are_exact() {
        let powers = (0..19).map(|n| 10_i64.pow(n));
        let around = powers.flat_map(|power| [power - 1, power, power + 1, -power, 1 - power, -power - 1]);
        for value in around.chain(-10_001..10_001).chain([i64::MIN, i64::MAX]) {
            assert_eq!(integer(value), format!("={value}i"));
        }
    }

    #[test]
    fn small_whole_numbers_are_short() {
        assert!((-999..1000).all(|value| short_integer(value).is_some()));
        assert!((-999..1000).map(f64::from).all(|value| short_double(value).is_some()));
        assert_eq!((short_integer(1000), short_double(-0.0), short_double(0.5)), (None, None, None));
    }

    #[test]
    fn whole_doubles_have_no_point_and_all_read_back() {
        for value in (-10_001..10_001).map(f64::from) {
            assert_eq!(double(value), format!("={value}"));
        }
        let table = [
            (-0.0, "=-0"),
            (0.1, "=0.1"),
            (1e5, "=100000"),
            (f64::from(0.1_f32), "=0.10000000149011612"),
            (2_147_483_648.0, "=2147483648"),
        ];
        for (value, expected) in table {
            assert_eq!(double(value), expected);
        }
        for value in [1e-300, 5e-324, f64::MAX, f64::MIN, 123.456, 1e16, 9_007_199_254_740_993.0, -2.5e9] {
            let back: f64 = double(value)[1..].parse().unwrap();
            assert_eq!(back.to_bits(), value.to_bits());
        }
    }

    #[test]
    fn floats_can_be_as_short_as_they_are() {
        for (value, expected) in
            [(0.1, "=0.1"), (3.0, "=3"), (-0.0, "=-0"), (1e10, "=10000000000"), (1e-7, "=1e-7")]
        {
            assert_eq!(text(|out| put_float(value, out)), expected);
        }
    }

    #[test]
    fn booleans_are_words() {
        for value in [true, false] {
            let Short { text, len } = boolean(value);
            assert_eq!(std::str::from_utf8(&text.to_le_bytes()[..len]).unwrap(), value.to_string());
        }
    }
}
