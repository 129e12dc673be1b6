//! TAI and UTC: SAL stamps records in TAI, InfluxDB indexes them in UTC.
//!
//! All times are Unix seconds, of TAI or of UTC. UTC seconds repeat during a leap second, as POSIX has it;
//! nothing is smeared.

use hifitime::Epoch;
use hifitime::leap_seconds::LatestLeapSeconds;

/// Seconds from 1900, the epoch of the leap-second tables, to 1970, that of Unix time.
const NTP_TO_UNIX: i64 = 2_208_988_800;

/// 2027-06-28, when the IERS list expires that has the same entries as the table inside hifitime 4.3. A later
/// list without a new entry moves only this number.
const BUILTIN_EXPIRES: i64 = 1_814_140_800;

/// The last second that a table may name, the end of the year 9999: a slip in a file is an error, not a date
/// nobody can print.
const MAX_UNIX: i64 = 253_402_300_799;

/// Why a time cannot be converted, or a table not be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TimeError {
    /// The time is not a number, or is infinite.
    #[error("{seconds} is not a time; give Unix seconds")]
    NotATime {
        /// The time that was given.
        seconds: f64,
    },
    /// The time lies before the first entry.
    #[error("{seconds} (Unix seconds) lies before {first}, where the leap-second table begins")]
    BeforeTable {
        /// The time that was given.
        seconds: f64,
        /// Where the table begins, UTC.
        first: String,
    },
    /// The table does not say whether there are leap seconds before that time.
    #[error(
        "{seconds} (Unix seconds) lies beyond {expires}, where the leap-second table expires; give a current \
         leap-seconds.list"
    )]
    Expired {
        /// The time that was given.
        seconds: f64,
        /// When the table expires, UTC.
        expires: String,
    },
    /// A line of the file is not what the format has.
    #[error("leap-seconds.list line {line}: {problem}; fetch the file again")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The file as a whole lacks something.
    #[error("leap-seconds.list has no {missing}; fetch the file again")]
    Incomplete {
        /// What it lacks.
        missing: &'static str,
    },
}

/// Difference between TAI and UTC from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// UTC Unix seconds.
    from: i64,
    /// TAI minus UTC, whole seconds.
    offset: i32,
}

/// The leap seconds since 1972, and to when the table is known to be complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeapSeconds {
    /// In order of time, never empty.
    entries: Vec<Entry>,
    /// UTC Unix seconds.
    expires: i64,
}

impl LeapSeconds {
    /// The table this program was built with; expires on 2027-06-28.
    pub fn builtin() -> LeapSeconds {
        // The table holds whole numbers where the IERS announced them; the others are older than 1972.
        #[expect(clippy::cast_possible_truncation, reason = "both are small whole numbers")]
        let entries = LatestLeapSeconds::default()
            .filter(|leap| leap.announced_by_iers)
            .map(|leap| Entry {
                from: leap.timestamp_tai_s as i64 - NTP_TO_UNIX,
                offset: leap.delta_at as i32,
            })
            .collect();
        LeapSeconds { entries, expires: BUILTIN_EXPIRES }
    }

    /// Reads the text of a `leap-seconds.list` as the IERS publishes it: `#@` and the expiry, then lines of
    /// time and offset, times in seconds since 1900.
    ///
    /// # Errors
    /// A line that is not of this form, entries that are not in order, no entry, or no expiry.
    pub fn parse(text: &str) -> Result<LeapSeconds, TimeError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut expires = None;
        for (index, content) in text.lines().enumerate() {
            let line = index + 1;
            let malformed = |problem| TimeError::Malformed { line, problem };
            if let Some(expiry) = content.strip_prefix("#@") {
                expires = Some(unix_seconds(expiry).ok_or(malformed("the expiry is not a time"))?);
                continue;
            }
            let content = content.split('#').next().unwrap_or_default();
            let mut columns = content.split_whitespace();
            let Some(time) = columns.next() else {
                continue;
            };
            let from = unix_seconds(time).ok_or(malformed("the first column is not a time"))?;
            let offset = columns.next().and_then(|column| column.parse().ok());
            let offset = offset.ok_or(malformed("the second column is not a number of seconds"))?;
            if entries.last().is_some_and(|last| last.from >= from) {
                return Err(malformed("the time is not after that of the line before"));
            }
            entries.push(Entry { from, offset });
        }
        if entries.is_empty() {
            return Err(TimeError::Incomplete { missing: "line with a time and an offset" });
        }
        let expires =
            expires.ok_or(TimeError::Incomplete { missing: "expiry (a line that begins with #@)" })?;
        Ok(LeapSeconds { entries, expires })
    }

    /// From when on conversions fail, UTC Unix seconds.
    pub fn expires(&self) -> i64 {
        self.expires
    }

    /// TAI minus UTC, in whole seconds, at a time in UTC Unix seconds.
    ///
    /// # Errors
    /// A time outside the table.
    pub fn tai_minus_utc_at_utc(&self, utc: f64) -> Result<i32, TimeError> {
        self.offset(utc, |_| 0)
    }

    /// TAI Unix seconds of a time in UTC Unix seconds.
    ///
    /// # Errors
    /// A time outside the table.
    pub fn tai_from_utc(&self, utc: f64) -> Result<f64, TimeError> {
        Ok(utc + f64::from(self.tai_minus_utc_at_utc(utc)?))
    }

    /// UTC Unix seconds of a time in TAI Unix seconds. A leap second has the seconds of the one after it.
    ///
    /// # Errors
    /// A time outside the table.
    pub fn utc_from_tai(&self, tai: f64) -> Result<f64, TimeError> {
        Ok(tai - f64::from(self.offset(tai, |offset| offset)?))
    }

    /// The offset at a time of a clock that is ahead of UTC by `ahead` of the offset.
    fn offset(&self, seconds: f64, ahead: fn(i32) -> i32) -> Result<i32, TimeError> {
        if !seconds.is_finite() {
            return Err(TimeError::NotATime { seconds });
        }
        let begins = |entry: &Entry| as_seconds(entry.from + i64::from(ahead(entry.offset)));
        let Some(entry) = self.entries.iter().rev().find(|entry| begins(entry) <= seconds) else {
            let first = self.entries.first().map_or(0, |entry| entry.from);
            return Err(TimeError::BeforeTable { seconds, first: date(first) });
        };
        if seconds >= as_seconds(self.expires + i64::from(ahead(entry.offset))) {
            return Err(TimeError::Expired { seconds, expires: date(self.expires) });
        }
        Ok(entry.offset)
    }
}

/// Exact: times of a table end with the year 9999, far below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn as_seconds(unix: i64) -> f64 {
    unix as f64
}

/// Unix seconds of a number of seconds since 1900.
fn unix_seconds(ntp: &str) -> Option<i64> {
    let ntp: i64 = ntp.trim().parse().ok()?;
    let unix = ntp.checked_sub(NTP_TO_UNIX)?;
    (-NTP_TO_UNIX..=MAX_UNIX).contains(&unix).then_some(unix)
}

fn date(unix: i64) -> String {
    Epoch::from_unix_seconds(as_seconds(unix)).to_string()
}

#[cfg(test)]
mod tests;
