//! Numbers and booleans as text, appended to a buffer.
//!
//! Short texts are put together in a register and copied with a fixed size, then cut to length: that takes a fraction of the
//! time of a copy whose length is only known while it runs. Most values of a telescope are short: switches, states,
//! counts, and floating-point numbers that are whole.

/// Below this, integers take the short way.
const SHORT: usize = 1000;

/// The text of each number below [`SHORT`]: first digit in the lowest byte, length in the highest.
const TEXTS: [u32; SHORT] = texts();

const fn texts() -> [u32; SHORT] {
    let mut texts = [0; SHORT];
    let mut n = 0;
    while n < SHORT {
        let (hundreds, tens, ones) = (n / 100, n / 10 % 10, n % 10);
        let (digits, len) = match n {
            0..10 => ([ones, 0, 0], 1),
            10..100 => ([tens, ones, 0], 2),
            _ => ([hundreds, tens, ones], 3),
        };
        let [a, b, c] = digits;
        let [a, b, c] = [a + 48, if len > 1 { b + 48 } else { 0 }, if len > 2 { c + 48 } else { 0 }];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::indexing_slicing,
            reason = "digits are below 58, n below SHORT"
        )]
        {
            texts[n] = (a | b << 8 | c << 16 | len << 24) as u32;
        }
        n += 1;
    }
    texts
}

/// Appends `true` or `false`.
#[inline]
pub fn put_boolean(value: bool, out: &mut Vec<u8>) {
    let (text, len) = if value { (b"true\0\0\0\0", 4) } else { (b"false\0\0\0", 5) };
    put_short(*text, len, out);
}

/// Appends an integer and an `i`.
#[inline]
pub fn put_integer(value: i64, out: &mut Vec<u8>) {
    if let Some((text, len)) = short(value) {
        put_short((text | u64::from(b'i') << (8 * len)).to_le_bytes(), len + 1, out);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        out.push(b'i');
    }
}

/// Appends the shortest text that reads back as `value`, which is finite, without the `.0` of a whole number.
#[inline]
pub fn put_double(value: f64, out: &mut Vec<u8>) {
    // The cast saturates; then, as with negative zero, what comes back is another number.
    #[expect(clippy::cast_possible_truncation, reason = "compared with what went in")]
    let whole = value as i32;
    if f64::from(whole).to_bits() == value.to_bits()
        && let Some((text, len)) = short(i64::from(whole))
    {
        put_short(text.to_le_bytes(), len, out);
    } else {
        let mut buffer = zmij::Buffer::new();
        out.extend_from_slice(shortest(&mut buffer, value));
    }
}

/// Appends the shortest text that reads back as the same `float`.
pub fn put_float(value: f32, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value).as_bytes();
    out.extend_from_slice(text.strip_suffix(b".0").unwrap_or(text));
}

/// The text of [`put_double`].
#[inline]
pub fn shortest(buffer: &mut zmij::Buffer, value: f64) -> &[u8] {
    let text = buffer.format_finite(value).as_bytes();
    text.strip_suffix(b".0").unwrap_or(text)
}

/// Up to three digits and a sign, first character in the lowest byte, and how many they are; none for longer numbers.
#[inline]
fn short(value: i64) -> Option<(u64, usize)> {
    let text = TEXTS.get(usize::try_from(value.unsigned_abs()).ok()?)?;
    let (digits, len) = (u64::from(text & 0x00ff_ffff), (text >> 24) as usize);
    Some(if value < 0 { (digits << 8 | u64::from(b'-'), len + 1) } else { (digits, len) })
}

#[inline]
fn put_short(text: [u8; 8], len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&text);
    out.truncate(out.len() - (text.len() - len.min(text.len())));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(put: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"=".to_vec();
        put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_around_each_length_are_exact() {
        let powers = (0..19).map(|n| 10_i64.pow(n));
        let around = powers.flat_map(|power| [power - 1, power, power + 1, -power, 1 - power, -power - 1]);
        for value in around.chain(-10_001..10_001).chain([i64::MIN, i64::MAX]) {
            assert_eq!(text(|out| put_integer(value, out)), format!("={value}i"));
        }
    }

    #[test]
    fn whole_doubles_have_no_point_and_all_read_back() {
        for value in (-10_001..10_001).map(f64::from) {
            assert_eq!(text(|out| put_double(value, out)), format!("={value}"));
        }
        let table = [
            (-0.0, "=-0"),
            (0.1, "=0.1"),
            (1e5, "=100000"),
            (f64::from(0.1_f32), "=0.10000000149011612"),
            (2_147_483_648.0, "=2147483648"),
        ];
        for (value, expected) in table {
            assert_eq!(text(|out| put_double(value, out)), expected);
        }
        for value in [1e-300, 5e-324, f64::MAX, f64::MIN, 123.456, 1e16, 9_007_199_254_740_993.0, -2.5e9] {
            let back: f64 = text(|out| put_double(value, out))[1..].parse().unwrap();
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
        assert_eq!(text(|out| put_boolean(true, out)), "=true");
        assert_eq!(text(|out| put_boolean(false, out)), "=false");
    }
}
