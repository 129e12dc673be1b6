//! The time of a point, from the decimal text of its seconds.
//!
//! The rule is that of the system whose data ours has to equal: the shortest decimal text of the double, floored to a nanosecond,
//! then rounded half up to a microsecond. The text is at hand, because the field itself is written with it, so the
//! time is computed from its digits, exactly, in integers.

use thiserror::Error;

/// Earliest time that InfluxDB stores, Unix nanoseconds.
pub const MIN_NANOS: i64 = i64::MIN + 2;
/// Latest time that InfluxDB stores, Unix nanoseconds.
pub const MAX_NANOS: i64 = i64::MAX - 1;

/// Why a record has no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TimeError {
    /// Null, NaN or infinite.
    #[error("the time is null, NaN or infinite")]
    Missing,
    /// Before 1677 or after 2262.
    #[error("the time is outside of what InfluxDB stores, 1677-09-21 to 2262-04-11")]
    OutOfRange,
}

/// Unix nanoseconds, a whole number of microseconds, from the shortest decimal text of a time: digits with an optional
/// sign, point and exponent. Its unit is a nanosecond times ten to `power`.
///
/// # Errors
/// When the time is outside of what InfluxDB stores.
pub fn nanos(text: &[u8], power: u32) -> Result<i64, TimeError> {
    let (digits, exponent, is_negative) = decimal(text);
    rounded(scale(digits, exponent.saturating_add_unsigned(power), is_negative)?)
}

/// The same from a whole number.
///
/// # Errors
/// When the time is outside of what InfluxDB stores.
pub fn nanos_of_integer(value: i64, power: u32) -> Result<i64, TimeError> {
    let scaled = 10_i64.checked_pow(power).and_then(|factor| value.checked_mul(factor));
    rounded(scaled.ok_or(TimeError::OutOfRange)?)
}

fn rounded(nanos: i64) -> Result<i64, TimeError> {
    let rest = nanos.rem_euclid(1000);
    let step = if rest < 500 { -rest } else { 1000 - rest };
    nanos
        .checked_add(step)
        .filter(|nanos| (MIN_NANOS..=MAX_NANOS).contains(nanos))
        .ok_or(TimeError::OutOfRange)
}

/// The text as `digits * 10^exponent` and a sign. At most 17 digits come, so they fit.
fn decimal(text: &[u8]) -> (u64, i32, bool) {
    let (mut digits, mut exponent, mut is_negative) = (0_u64, 0, false);
    let mut step = 0;
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'0'..=b'9' => {
                digits = digits.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                exponent -= step;
            }
            b'.' => step = 1,
            b'-' => is_negative = true,
            _ => {
                exponent +=
                    std::str::from_utf8(rest.as_slice()).ok().and_then(|e| e.parse().ok()).unwrap_or(0);
                break;
            }
        }
    }
    (digits, exponent, is_negative)
}

/// `digits * 10^exponent` with its sign, floored to a whole number.
fn scale(digits: u64, exponent: i32, is_negative: bool) -> Result<i64, TimeError> {
    let digits = i64::try_from(digits).map_err(|_| TimeError::OutOfRange)?;
    let signed = if is_negative { -digits } else { digits };
    if exponent < 0 {
        // Beyond this every number with 17 digits is smaller than one.
        return Ok(signed.div_euclid(10_i64.pow(exponent.unsigned_abs().min(18))));
    }
    if signed == 0 {
        return Ok(0);
    }
    let factor = 10_i64.checked_pow(exponent.unsigned_abs());
    factor.and_then(|factor| signed.checked_mul(factor)).ok_or(TimeError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seconds: f64) -> Result<i64, TimeError> {
        nanos(zmij::Buffer::new().format(seconds).as_bytes(), 9)
    }

    #[test]
    fn times_are_floored_to_nanoseconds_and_rounded_half_up_to_microseconds() {
        let table = [
            (1_656_632_100.123_456, 1_656_632_100_123_456_000),
            (1_656_632_100.123_456_7, 1_656_632_100_123_457_000),
            (1_625_491_200.999_999_8, 1_625_491_201_000_000_000),
            (1_700_000_000.5, 1_700_000_000_500_000_000),
            (1_700_000_000.0, 1_700_000_000_000_000_000),
            (0.0, 0),
            (-0.0, 0),
            // Halves go up, also below zero.
            (0.000_000_5, 1_000),
            (0.000_000_499, 0),
            (-0.000_000_5, 0),
            (-0.000_001_5, -1_000),
            // Floored first: -0.5000001 µs is -501 ns, which rounds down.
            (-0.000_000_500_000_1, -1_000),
            (1e-300, 0),
            (-1e-300, 0),
            (1e-7, 0),
            (9e9, 9_000_000_000_000_000_000),
            (-9e9, -9_000_000_000_000_000_000),
        ];
        for (seconds, nanos) in table {
            assert_eq!(of(seconds), Ok(nanos), "{seconds:e}");
        }
    }

    #[test]
    fn what_influxdb_cannot_store_is_an_error() {
        for seconds in [9.3e9, -9.3e9, 1e16, 1e22, 1e300, -1e300, f64::MAX, f64::MIN] {
            assert_eq!(of(seconds), Err(TimeError::OutOfRange), "{seconds:e}");
        }
    }

    #[test]
    fn text_with_and_without_exponent_is_the_same_time() {
        assert_eq!(nanos(b"1.5e3", 9), nanos(b"1500", 9));
        assert_eq!(nanos(b"1.5e+3", 9), nanos(b"1500.0", 9));
        assert_eq!(nanos(b"25e-2", 9), nanos(b"0.25", 9));
    }

    #[test]
    fn every_unit_gives_the_same_time() {
        let second = 1_700_000_000;
        for (power, units) in [(9, 1), (6, 1000), (3, 1_000_000), (0, 1_000_000_000)] {
            let expected = Ok(second * 1_000_000_000);
            assert_eq!(nanos_of_integer(second * units, power), expected);
            assert_eq!(nanos((second * units).to_string().as_bytes(), power), expected);
        }
        assert_eq!(nanos(b"1700000000123.4567", 6), Ok(1_700_000_000_123_457_000));
        assert_eq!(nanos_of_integer(1499, 0), Ok(1000));
        assert_eq!(nanos_of_integer(1500, 0), Ok(2000));
        // The first and the last microsecond that can be stored.
        assert_eq!(nanos_of_integer(MIN_NANOS + 600, 0), Ok(-9_223_372_036_854_775_000));
        assert_eq!(nanos_of_integer(MAX_NANOS - 400, 0), Ok(9_223_372_036_854_775_000));
        assert_eq!(nanos_of_integer(i64::MAX, 0), Err(TimeError::OutOfRange));
        assert_eq!(nanos_of_integer(i64::MAX, 9), Err(TimeError::OutOfRange));
    }
}
