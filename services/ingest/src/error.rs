//! What ends the ingest service with an error, besides what its parts report.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use efd_sal::TimeError;

/// Why the service ended, or could not start.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The file with leap seconds is not there or not readable.
    #[error("cannot read {} (setting leap_seconds_file)", path.display())]
    LeapSecondsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file with leap seconds is malformed.
    #[error("cannot use {} (setting leap_seconds_file)", path.display())]
    LeapSecondsMalformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: TimeError,
    },
    /// The table of leap seconds does not cover the present, so no TAI time can be given.
    #[error("TAI is not known, name a current leap-seconds.list in setting leap_seconds_file")]
    TaiUnknown(#[source] TimeError),
    /// The service had to end before Kafka acknowledged everything.
    #[error(
        "{records} records are not known to be delivered, kafka did not acknowledge them within {within:?} (setting \
         service.grace_period)"
    )]
    Undelivered {
        /// How many.
        records: u64,
        /// The time there was after the request to stop.
        within: Duration,
    },
}
