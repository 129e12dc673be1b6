//! Time as SAL stamps it: UTC in whole microseconds, and TAI.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use efd_sal::{LeapSeconds, TimeError};

use crate::error::IngestError;

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// UTC, Unix microseconds.
    pub utc_micros: i64,
    /// Whole seconds that TAI is ahead of UTC.
    pub tai_minus_utc: i32,
}

impl Moment {
    /// UTC, Unix seconds.
    pub fn utc(self) -> f64 {
        self.utc_micros as f64 / 1e6
    }

    /// TAI, Unix seconds; exactly a whole number of seconds ahead of [`utc`](Self::utc), since both have the same exponent until
    /// 2038 and the same grid of a quarter of a microsecond.
    pub fn tai(self) -> f64 {
        self.utc() + f64::from(self.tai_minus_utc)
    }
}

/// The system's clock with a table of leap seconds.
#[derive(Debug, Clone)]
pub struct Clock {
    leap_seconds: LeapSeconds,
}

impl Clock {
    /// A clock with the table in `file`, by default the one built in.
    ///
    /// # Errors
    /// When the file cannot be read, or the table does not cover the present.
    pub fn new(file: Option<&Path>) -> Result<Self, IngestError> {
        let leap_seconds = match file {
            None => LeapSeconds::builtin(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| IngestError::LeapSecondsFile { path: path.to_owned(), source })?;
                LeapSeconds::parse(&text)
                    .map_err(|source| IngestError::LeapSecondsMalformed { path: path.to_owned(), source })?
            }
        };
        let clock = Self { leap_seconds };
        clock.now()?;
        Ok(clock)
    }

    /// The present.
    ///
    /// # Errors
    /// When it is beyond the end of the table, or the system's clock stands before 1972.
    pub fn now(&self) -> Result<Moment, IngestError> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let utc_micros = i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX);
        let tai_minus_utc = self.leap_seconds.tai_minus_utc_at_utc(since_1970.as_secs_f64());
        let tai_minus_utc = tai_minus_utc.map_err(IngestError::TaiUnknown)?;
        Ok(Moment { utc_micros, tai_minus_utc })
    }

    /// UTC Unix seconds of TAI Unix seconds.
    ///
    /// # Errors
    /// When the table of leap seconds does not cover the time.
    pub fn utc_from_tai(&self, tai: f64) -> Result<f64, TimeError> {
        self.leap_seconds.utc_from_tai(tai)
    }

    /// TAI Unix seconds of UTC Unix seconds.
    ///
    /// # Errors
    /// When the table of leap seconds does not cover the time.
    pub fn tai_from_utc(&self, utc: f64) -> Result<f64, TimeError> {
        self.leap_seconds.tai_from_utc(utc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tai_is_a_whole_number_of_seconds_ahead_and_no_microsecond_is_lost() {
        for utc_micros in (1_700_000_000_123_456..1_700_000_000_200_000).step_by(7) {
            let moment = Moment { utc_micros, tai_minus_utc: 37 };
            assert_eq!(moment.tai() - moment.utc(), 37.0);
            assert_eq!((moment.utc() * 1e6 + 0.5).floor() as i64, utc_micros);
        }
    }

    #[test]
    fn an_expired_table_names_the_setting() {
        let leap_seconds = LeapSeconds::parse("#@ 3944332800\n2272060800 10\n").unwrap();
        let error = anyhow::Error::new(Clock { leap_seconds }.now().unwrap_err());
        assert!(format!("{error:#}").contains("leap_seconds_file"), "{error:#}");
        assert!(format!("{error:#}").contains("expires"), "{error:#}");
    }

    #[test]
    fn a_missing_file_names_the_setting_and_the_file() {
        let error = Clock::new(Some(Path::new("/nowhere/leap-seconds.list"))).unwrap_err().to_string();
        assert!(
            error.contains("leap_seconds_file") && error.contains("/nowhere/leap-seconds.list"),
            "{error}"
        );
    }
}
