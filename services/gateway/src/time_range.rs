//! A range of time that InfluxDB can be asked for (pure).

use efd_proto::query::v1;
use prost_types::Timestamp;

use crate::error::QueryError;
use crate::scale::Conversion;

/// First nanosecond that InfluxDB can store.
pub const EARLIEST: i64 = i64::MIN + 2;

/// Last nanosecond that InfluxDB can store.
pub const LATEST: i64 = i64::MAX - 1;

/// A range of time, both ends included, in nanoseconds since 1970, in the scale in which InfluxDB has its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    start_ns: i64,
    end_ns: i64,
}

impl TimeRange {
    /// The range of a request, and how times of InfluxDB become times of the answer.
    ///
    /// # Errors
    /// `InvalidArgument` when a bound is missing, no time, or outside what InfluxDB can store, or when the bounds are reversed.
    pub fn new(range: Option<&v1::TimeRange>) -> Result<(Self, Conversion), QueryError> {
        let missing = || QueryError::InvalidArgument("range is missing".to_owned());
        let range = range.ok_or_else(missing)?;
        let answered = Conversion::new(range.stored_scale().into(), range.scale().into());
        let start = nanoseconds("start", range.start.as_ref())?;
        let end = nanoseconds("end", range.end.as_ref())?;
        Ok((Self::from_ns(stored(start, answered), stored(end, answered))?, answered))
    }

    /// The range between two times.
    ///
    /// # Errors
    /// `InvalidArgument` when `start_ns` is after `end_ns`.
    pub fn from_ns(start_ns: i64, end_ns: i64) -> Result<Self, QueryError> {
        if start_ns > end_ns {
            let seconds = start_ns.abs_diff(end_ns) / 1_000_000_000;
            return Err(QueryError::InvalidArgument(format!(
                "start is {seconds} s after end: exchange them"
            )));
        }
        Ok(Self { start_ns, end_ns })
    }

    /// First time.
    pub fn start_ns(self) -> i64 {
        self.start_ns
    }

    /// Last time.
    pub fn end_ns(self) -> i64 {
        self.end_ns
    }
}

/// A bound of a request in the scale of InfluxDB, where it stays within what can be stored.
pub fn stored(ns: i64, answered: Conversion) -> i64 {
    answered.inverse().apply(ns).clamp(EARLIEST, LATEST)
}

/// Nanoseconds since 1970 of the time called `name`.
///
/// # Errors
/// `InvalidArgument` when it is missing, no time, or outside what InfluxDB can store.
pub fn nanoseconds(name: &str, time: Option<&Timestamp>) -> Result<i64, QueryError> {
    let Some(time) = time else {
        return Err(QueryError::InvalidArgument(format!("{name} is missing")));
    };
    if !(0..1_000_000_000).contains(&time.nanos) {
        return Err(QueryError::InvalidArgument(format!(
            "{name} has {} nanoseconds; a second has 0 to 999999999",
            time.nanos
        )));
    }
    // In 128 bits, because the seconds before the earliest time are themselves out of range.
    let wide = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    i64::try_from(wide).ok().filter(|ns| (EARLIEST..=LATEST).contains(ns)).ok_or_else(|| {
        QueryError::InvalidArgument(format!(
            "{name} is outside the years that InfluxDB can store, 1677-09-21 to 2262-04-11"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(seconds: i64, nanos: i32) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos })
    }

    fn range(start: Option<Timestamp>, end: Option<Timestamp>) -> Result<(i64, i64), String> {
        TimeRange::new(Some(&v1::TimeRange { start, end, ..v1::TimeRange::default() }))
            .map(|(range, _)| (range.start_ns(), range.end_ns()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn bounds_are_exact_to_the_nanosecond() {
        assert_eq!(range(stamp(1, 5), stamp(1, 5)), Ok((1_000_000_005, 1_000_000_005)));
        assert_eq!(range(stamp(-1, 999_999_999), stamp(0, 0)), Ok((-1, 0)));
        let whole = range(stamp(-9_223_372_037, 145_224_194), stamp(9_223_372_036, 854_775_806));
        assert_eq!(whole, Ok((EARLIEST, LATEST)));
    }

    #[test]
    fn bounds_that_make_no_range_are_refused_by_name() {
        let cases = [
            (None, stamp(0, 0), "start is missing"),
            (stamp(0, 0), None, "end is missing"),
            (stamp(3, 0), stamp(1, 0), "start is 2 s after end"),
            (stamp(0, 0), stamp(0, 1_000_000_000), "end has 1000000000 nanoseconds"),
            (stamp(0, -1), stamp(0, 0), "start has -1 nanoseconds"),
            (stamp(i64::MIN, 0), stamp(0, 0), "start is outside"),
            (stamp(0, 0), stamp(9_223_372_036, 854_775_807), "end is outside"),
            (stamp(-9_223_372_037, 145_224_193), stamp(0, 0), "start is outside"),
        ];
        for (start, end, message) in cases {
            let error = range(start, end).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn bounds_in_tai_are_asked_for_as_influxdb_has_its_times() {
        let request = |scale: v1::TimeScale, stored: v1::TimeScale| v1::TimeRange {
            start: stamp(1_700_000_037, 5),
            end: stamp(1_700_000_038, 0),
            scale: scale.into(),
            stored_scale: stored.into(),
        };
        let start = |request| TimeRange::new(Some(&request)).unwrap().0.start_ns();
        let (utc, tai) = (v1::TimeScale::Utc, v1::TimeScale::Tai);
        assert_eq!(start(request(tai, utc)), 1_700_000_000_000_000_005);
        assert_eq!(start(request(tai, tai)), 1_700_000_037_000_000_005);
        assert_eq!(start(request(utc, tai)), 1_700_000_074_000_000_005);
        assert_eq!(TimeRange::new(None).unwrap_err().to_string(), "range is missing");
    }
}
