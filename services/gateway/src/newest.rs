//! The newest rows of a topic, found backwards in ranges of time that grow, so that months of older data cost nothing.

use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::influxql::{self, Filter, Rows};
use crate::reading::{Limits, RowStream};
use crate::time_range::{EARLIEST, TimeRange};

/// Length of the first range.
const FIRST: i64 = 60_000_000_000;

/// How many times longer each range is than the one before.
const GROWTH: i64 = 12;

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Stored columns.
    pub columns: &'a [String],
    /// Which rows.
    pub filter: &'a Filter,
    /// Not before this time.
    pub from: i64,
    /// Not after this time.
    pub to: i64,
    /// How many.
    pub count: usize,
    /// Bytes of rows that may be held.
    pub max_bytes: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Newest {
    /// The rows, newest first; none where they were too long to be held.
    pub rows: Option<Vec<Vec<u8>>>,
    /// Times of the oldest and of the newest of them.
    pub span: Option<(i64, i64)>,
    found: usize,
    bytes: usize,
}

/// Looks for the newest rows. `now` only says where to look first: rows with later times are found, too.
///
/// # Errors
/// Whatever InfluxDB or its answer gives cause for.
pub async fn newest(
    influxdb: &InfluxDb,
    limits: Limits,
    wanted: Wanted<'_>,
    now: i64,
) -> Result<Newest, QueryError> {
    let mut newest = Newest { rows: Some(Vec::new()), ..Newest::default() };
    for range in ranges(wanted.from, wanted.to, now) {
        let source = influxdb.source(wanted.topic);
        let rows = Rows { source, range, filter: wanted.filter };
        let columns = wanted.columns.iter().map(String::as_str);
        let statement = influxql::select_newest(rows, columns, wanted.count - newest.found);
        let asked = (&*statement, wanted.columns.len());
        let mut rows = RowStream::ask(influxdb, wanted.topic, asked, limits).await?;
        while rows.next().await? {
            newest.take(&rows, wanted.max_bytes)?;
        }
        if newest.found >= wanted.count {
            break;
        }
    }
    Ok(newest)
}

impl Newest {
    fn take(&mut self, found: &RowStream, max_bytes: usize) -> Result<(), QueryError> {
        let time = found.time()?;
        let newest = self.span.map_or(time, |(_, newest)| newest);
        self.span = Some((time, newest));
        self.found += 1;
        self.bytes += found.row().len();
        if self.bytes > max_bytes {
            self.rows = None;
        }
        if let Some(rows) = &mut self.rows {
            rows.push(found.row().to_vec());
        }
        Ok(())
    }
}

/// The ranges from `to` back to `from`, without gap or overlap; the first has the last minute before `now`, or before `to` where that
/// is earlier.
fn ranges(from: i64, to: i64, now: i64) -> impl Iterator<Item = TimeRange> {
    let mut end = Some(to);
    let mut start = to.min(now).saturating_sub(FIRST);
    let mut length = FIRST;
    std::iter::from_fn(move || {
        let last = end.filter(|end| *end >= from)?;
        let first = start.clamp(from.max(EARLIEST), last.max(EARLIEST));
        end = first.checked_sub(1).filter(|end| *end >= EARLIEST);
        length = length.saturating_mul(GROWTH);
        start = first.saturating_sub(length);
        TimeRange::from_ns(first, last).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_backwards_and_meet() {
        let now = 1_700_000_000_000_000_000;
        let found: Vec<_> = ranges(EARLIEST, i64::MAX - 1, now).collect();
        assert_eq!((found[0].start_ns(), found[0].end_ns()), (now - FIRST, i64::MAX - 1));
        assert!(found.len() < 12, "{}", found.len());
        for pair in found.windows(2) {
            assert_eq!(pair[1].end_ns() + 1, pair[0].start_ns());
        }
        assert_eq!(found.last().unwrap().start_ns(), EARLIEST);
    }

    #[test]
    fn a_bound_in_the_past_is_where_it_begins() {
        let found: Vec<_> = ranges(0, 5 * FIRST, 1000 * FIRST).collect();
        let bounds: Vec<_> = found.iter().map(|range| (range.start_ns(), range.end_ns())).collect();
        assert_eq!(bounds, [(4 * FIRST, 5 * FIRST), (0, 4 * FIRST - 1)]);
        assert_eq!(ranges(7, 7, 100).count(), 1);
        assert_eq!(ranges(EARLIEST, EARLIEST, 0).count(), 1);
    }
}
