//! Ranges of time on the command line.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use efd_proto::query::v1::TimeRange;

use crate::time::{self, UnixNanos};

/// From when to when.
#[derive(Debug, Args)]
pub struct RangeArgs {
    /// First time, UTC, inclusive, for example 2026-11-24T18:00:00Z
    #[arg(long, value_parser = time::parse_time, allow_hyphen_values = true, value_name = "TIME")]
    start: Option<UnixNanos>,
    /// Last time, UTC, inclusive; now when not given.
    #[arg(long, value_parser = time::parse_time, allow_hyphen_values = true, value_name = "TIME", conflicts_with = "last")]
    end: Option<UnixNanos>,
    /// The time until now, instead of start and end, for example 10m
    #[arg(long, value_parser = time::parse_span, value_name = "SPAN")]
    last: Option<Duration>,
}

/// A range of time in UTC, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First time.
    pub start: UnixNanos,
    /// Last time, not before the first.
    pub end: UnixNanos,
}

impl RangeArgs {
    /// The range that was asked for.
    ///
    /// # Errors
    /// When it begins after its end.
    pub fn range(&self) -> anyhow::Result<Range> {
        let now = time::now();
        let end = self.end.unwrap_or(now);
        let start = match (self.last, self.start) {
            (Some(span), _) => now.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)),
            (None, Some(start)) => start,
            (None, None) => bail!("give --last SPAN, or --start TIME with or without --end TIME"),
        };
        if start > end {
            bail!("start {} is after end {}", time::format_time(start), time::format_time(end));
        }
        Ok(Range { start, end })
    }
}

impl Range {
    /// As the gateway is asked.
    pub fn asked(self) -> TimeRange {
        TimeRange {
            start: Some(timestamp(self.start)),
            end: Some(timestamp(self.end)),
            ..TimeRange::default()
        }
    }

    /// Its length in nanoseconds.
    pub fn length(self) -> u64 {
        self.start.abs_diff(self.end)
    }
}

/// Unix nanoseconds as gRPC has them.
pub fn timestamp(nanos: UnixNanos) -> prost_types::Timestamp {
    let nanos_of_second = i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default();
    prost_types::Timestamp { seconds: nanos.div_euclid(1_000_000_000), nanos: nanos_of_second }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_are_whole_seconds_and_positive_nanoseconds() {
        assert_eq!(timestamp(-1), prost_types::Timestamp { seconds: -1, nanos: 999_999_999 });
        assert_eq!(timestamp(1_500_000_000), prost_types::Timestamp { seconds: 1, nanos: 500_000_000 });
    }
}
