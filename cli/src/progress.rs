//! How far an answer has come, on standard error where that is a terminal.

use efd_proto::query::v1::Batch;
use indicatif::ProgressBar;

use crate::output;
use crate::range::Range;
use crate::time::UnixNanos;

/// A bar over a range of time, or rows that are counted.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// Where the bar begins; none where no end is known.
    start: Option<UnixNanos>,
    rows: u64,
}

impl Progress {
    /// Of an answer over a range: the time of its rows says how far it is.
    pub fn over(range: Range) -> Self {
        Self { bar: output::share(range.length().max(1)), start: Some(range.start), rows: 0 }
    }

    /// Of an answer whose end is not known.
    pub fn endless() -> Self {
        Self { bar: output::spinner(), start: None, rows: 0 }
    }

    /// Counts a batch.
    pub fn add(&mut self, batch: &Batch) {
        self.rows = self.rows.saturating_add(batch.times.len() as u64);
        if let (Some(start), Some(last)) = (self.start, batch.times.last()) {
            self.bar.set_position(last.abs_diff(start));
        }
        self.bar.set_message(format!("{} rows", self.rows));
    }

    /// Rows until now.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Does what may write to the terminal while nothing is drawn there.
    pub fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        self.bar.suspend(work)
    }

    /// Takes it away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
