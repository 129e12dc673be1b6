//! Scales of time (pure).

use std::sync::LazyLock;

use efd_proto::query::v1::TimeScale;
use efd_sal::LeapSeconds;

const SECOND: i64 = 1_000_000_000;

/// 1972, when whole leap seconds began, in Unix seconds, and TAI minus UTC then and before.
const FIRST: (f64, i32) = (63_072_000.0, 10);

static LEAP_SECONDS: LazyLock<LeapSeconds> = LazyLock::new(LeapSeconds::builtin);

/// A scale of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// UTC, without leap seconds.
    #[default]
    Utc,
    /// TAI.
    Tai,
}

/// The way from one scale to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conversion {
    from: Scale,
    to: Scale,
}

impl From<TimeScale> for Scale {
    fn from(scale: TimeScale) -> Self {
        match scale {
            TimeScale::Unspecified | TimeScale::Utc => Self::Utc,
            TimeScale::Tai => Self::Tai,
        }
    }
}

impl Conversion {
    /// From times of `from` to times of `to`.
    pub fn new(from: Scale, to: Scale) -> Self {
        Self { from, to }
    }

    /// The way back.
    pub fn inverse(self) -> Self {
        Self { from: self.to, to: self.from }
    }

    /// A time in nanoseconds since 1970. Before 1972 the leap seconds of 1972 hold, and beyond the end of the table those of its end: a
    /// query may have an end in a future whose leap seconds nobody knows. What would pass the ends of 64 bits stays there.
    pub fn apply(self, ns: i64) -> i64 {
        let seconds = ns.div_euclid(SECOND);
        match (self.from, self.to) {
            (Scale::Utc, Scale::Utc) | (Scale::Tai, Scale::Tai) => ns,
            (Scale::Utc, Scale::Tai) => ns.saturating_add(i64::from(at_utc(seconds)) * SECOND),
            (Scale::Tai, Scale::Utc) => ns.saturating_sub(i64::from(at_tai(seconds)) * SECOND),
        }
    }
}

/// TAI minus UTC at a time in whole UTC seconds.
fn at_utc(seconds: i64) -> i32 {
    let seconds = within(seconds);
    LEAP_SECONDS.tai_minus_utc_at_utc(seconds).unwrap_or(FIRST.1)
}

/// TAI minus UTC at a time in whole TAI seconds.
fn at_tai(seconds: i64) -> i32 {
    let seconds = within(seconds);
    let utc = LEAP_SECONDS.utc_from_tai(seconds).unwrap_or(seconds - f64::from(FIRST.1));
    (seconds - utc) as i32
}

/// A time for which the table speaks.
fn within(seconds: i64) -> f64 {
    (seconds.min(LEAP_SECONDS.expires() - 1) as f64).max(FIRST.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO_TAI: Conversion = Conversion { from: Scale::Utc, to: Scale::Tai };

    #[test]
    fn tai_is_ahead_by_the_leap_seconds_of_the_time() {
        // 2016-12-31T23:59:59 had 36, the second after the leap second has 37.
        for (utc, offset) in [(1_483_228_799, 36), (1_483_228_800, 37), (1_700_000_000, 37), (63_072_000, 10)]
        {
            let ns = utc * SECOND + 123_456_789;
            assert_eq!(TO_TAI.apply(ns), ns + offset * SECOND, "{utc}");
            assert_eq!(TO_TAI.inverse().apply(ns + offset * SECOND), ns, "{utc}");
        }
    }

    #[test]
    fn what_no_table_knows_has_the_nearest_offset() {
        assert_eq!(TO_TAI.apply(-SECOND), 9 * SECOND);
        assert_eq!(TO_TAI.inverse().apply(9 * SECOND), -SECOND);
        let far = 4_000_000_000 * SECOND;
        assert_eq!(TO_TAI.apply(far), far + 37 * SECOND);
        assert_eq!(TO_TAI.inverse().apply(far + 37 * SECOND), far);
        assert_eq!(TO_TAI.apply(i64::MAX - 1), i64::MAX);
    }

    #[test]
    fn a_scale_is_itself() {
        for scale in [Scale::Utc, Scale::Tai] {
            assert_eq!(Conversion::new(scale, scale).apply(7), 7);
        }
    }
}
