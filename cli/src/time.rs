//! Times on the command line and in output: UTC, ISO 8601.

use std::str::FromStr as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hifitime::{Epoch, TimeScale};

/// UTC as Unix nanoseconds.
pub type UnixNanos = i64;

/// Reads `2026-11-24T18:00:00Z`, `2026-11-24 18:00:00`, `2026-11-24` (all UTC), or `now`.
///
/// # Errors
/// With the text and the forms that are understood.
pub fn parse_time(text: &str) -> Result<UnixNanos, String> {
    if text == "now" {
        return Ok(now());
    }
    let trimmed = text.trim().trim_end_matches('Z').replace(' ', "T");
    let full = if trimmed.contains('T') { trimmed } else { format!("{trimmed}T00:00:00") };
    let epoch = Epoch::from_str(&format!("{full} UTC")).map_err(|_| {
        format!("{text} is not a UTC time such as 2026-11-24T18:00:00Z, 2026-11-24 18:00 or now")
    })?;
    nanos_of(epoch).ok_or_else(|| format!("{text} is out of range"))
}

/// Reads `10m`, `1h 30m`, `500ms`.
///
/// # Errors
/// With the text and the forms that are understood.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("{text} is not a time span such as 10s, 5m or 2h"))
}

/// The machine's clock.
pub fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// `2026-11-24T18:00:00.123456Z`: ISO 8601 in UTC with microseconds, which is how exact recorded times are.
pub fn format_time(nanos: UnixNanos) -> String {
    let since_1970 = hifitime::Duration::from_truncated_nanoseconds(nanos);
    let (year, month, day, hour, minute, second, fraction) =
        Epoch::from_unix_duration(since_1970).to_gregorian_utc();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", fraction / 1000)
}

fn nanos_of(epoch: Epoch) -> Option<UnixNanos> {
    let since = epoch.to_time_scale(TimeScale::UTC).to_unix_duration();
    i64::try_from(since.total_nanoseconds()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_as_they_went_in() {
        for text in
            ["2026-11-24T18:00:00.123456Z", "1970-01-01T00:00:00.000000Z", "2016-12-31T23:59:59.000001Z"]
        {
            assert_eq!(format_time(parse_time(text).unwrap()), text);
        }
        assert_eq!(parse_time("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000_000_000));
        assert_eq!(parse_time("2023-11-14 22:13:20"), Ok(1_700_000_000_000_000_000));
        assert_eq!(parse_time("2023-11-14"), Ok(1_699_920_000_000_000_000));
    }

    #[test]
    fn what_is_no_time_is_named() {
        assert!(parse_time("yesterday").unwrap_err().starts_with("yesterday is not a UTC time"));
        assert!(parse_span("ten").unwrap_err().starts_with("ten is not a time span"));
        assert_eq!(parse_span("10m"), Ok(Duration::from_secs(600)));
    }
}
