//! Says how much a `QueryRange` would answer: rows are counted, those of a long range in some parts of it.

use efd_proto::query::v1::{FieldType, TopicCost};

use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::influxql::{self, Rows};
use crate::layout::FieldLayout;
use crate::newest::{self, Wanted};
use crate::reading::{Limits, RowStream};
use crate::row::RowReader;
use crate::selection::Chosen;
use crate::time_range::TimeRange;

/// Longest range whose rows are all counted: a day.
const COUNTED: i64 = 86_400_000_000_000;

/// Parts of a longer range in which rows are counted, together a day.
const PARTS: i64 = 24;

/// Counts rows.
#[derive(Debug)]
pub struct Estimator {
    influxdb: InfluxDb,
    limits: Limits,
    range: TimeRange,
    now: i64,
}

impl Estimator {
    /// Counts rows of `range`; `now` says where the newest are looked for first.
    pub fn new((influxdb, limits): (InfluxDb, Limits), range: TimeRange, now: i64) -> Self {
        Self { influxdb, limits, range, now }
    }

    /// How much the selection would be.
    ///
    /// # Errors
    /// Whatever InfluxDB or its answer gives cause for.
    pub async fn estimate(&self, chosen: &Chosen) -> Result<TopicCost, QueryError> {
        let (rows, exact) = match &chosen.witness {
            Some(column) if !chosen.is_void => self.rows(chosen, column).await?,
            _ => (0, true),
        };
        let values: usize = chosen.fields.iter().map(|layout| layout.stored.len()).sum();
        let row_bytes = size_of::<i64>() + chosen.fields.iter().map(field_bytes).sum::<usize>();
        Ok(TopicCost {
            topic: chosen.topic.clone(),
            rows,
            values: rows.saturating_mul(values as u64),
            bytes: rows.saturating_mul(row_bytes as u64),
            exact,
        })
    }

    /// Rows, and whether all were counted.
    async fn rows(&self, chosen: &Chosen, column: &str) -> Result<(u64, bool), QueryError> {
        let range = match self.recorded(chosen, column).await? {
            Some(range) => range,
            None => return Ok((0, true)),
        };
        let parts = parts(range);
        let counted: u64 = self.count(chosen, column, &parts).await?;
        let length = |range: &TimeRange| i128::from(range.end_ns()) - i128::from(range.start_ns()) + 1;
        if let [_] = parts[..] {
            return Ok((counted, true));
        }
        let seen: i128 = parts.iter().map(length).sum();
        let scaled = i128::from(counted) * length(&range) / seen.max(1);
        Ok((u64::try_from(scaled).unwrap_or(u64::MAX), false))
    }

    /// The part of the range from its first row to its last; none if there is no row.
    async fn recorded(&self, chosen: &Chosen, column: &str) -> Result<Option<TimeRange>, QueryError> {
        let (start, end) = (self.range.start_ns(), self.range.end_ns());
        if end.saturating_sub(start) < COUNTED {
            return Ok(Some(self.range));
        }
        let columns = [column.to_owned()];
        let wanted = Wanted {
            topic: &chosen.topic,
            columns: &columns,
            filter: &chosen.filter,
            from: start,
            to: end,
            count: 1,
            max_bytes: 0,
        };
        let newest = newest::newest(&self.influxdb, self.limits, wanted, self.now).await?;
        let Some((newest, _)) = newest.span else { return Ok(None) };
        let statement = influxql::select_oldest(self.of(chosen, self.range), column);
        let mut rows = self.ask(chosen, &statement).await?;
        let oldest = if rows.next().await? { rows.time()? } else { newest };
        TimeRange::from_ns(oldest.min(newest), newest).map(Some)
    }

    async fn count(&self, chosen: &Chosen, column: &str, parts: &[TimeRange]) -> Result<u64, QueryError> {
        let ranges = parts.iter().map(|range| self.of(chosen, *range));
        let mut rows = self.ask(chosen, &influxql::count(ranges, column)).await?;
        let mut count: u64 = 0;
        while rows.next().await? {
            let mut reader = RowReader::new(rows.row());
            let number = reader.long().and_then(|_| reader.long());
            let number = number.map_err(|_| rows.row_error(crate::columns::RowError::Malformed))?;
            count += number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
        }
        Ok(count)
    }

    async fn ask(&self, chosen: &Chosen, statement: &str) -> Result<RowStream, QueryError> {
        RowStream::ask(&self.influxdb, &chosen.topic, (statement, 1), self.limits).await
    }

    fn of<'a>(&'a self, chosen: &'a Chosen, range: TimeRange) -> Rows<'a> {
        Rows { source: self.influxdb.source(&chosen.topic), range, filter: &chosen.filter }
    }
}

/// The whole range, or parts of a longer one, evenly spread.
fn parts(range: TimeRange) -> Vec<TimeRange> {
    let (start, end) = (range.start_ns(), range.end_ns());
    let length = end.saturating_sub(start);
    if length < COUNTED {
        return vec![range];
    }
    let (each, step) = (COUNTED / PARTS, length / PARTS);
    let part = |index: i64| {
        let first = start.saturating_add(step.saturating_mul(index));
        TimeRange::from_ns(first, first.saturating_add(each - 1).min(end)).ok()
    };
    (0..PARTS).filter_map(part).collect()
}

/// Size of a value in a message, about.
fn field_bytes(layout: &FieldLayout) -> usize {
    let each = match layout.field.r#type() {
        FieldType::Float | FieldType::Double => 8,
        FieldType::Int | FieldType::Long => 3,
        FieldType::Boolean => 1,
        FieldType::String | FieldType::Bytes | FieldType::Enum | FieldType::Unspecified => 20,
    };
    each * layout.stored.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_range_is_counted_in_parts_that_lie_in_it() {
        let short = TimeRange::from_ns(5, COUNTED).unwrap();
        assert_eq!(parts(short), [short]);
        let year = TimeRange::from_ns(7, 7 + 365 * COUNTED).unwrap();
        let found = parts(year);
        assert_eq!((found.len(), found[0].start_ns()), (24, 7));
        assert!(found.windows(2).all(|pair| pair[0].end_ns() < pair[1].start_ns()));
        assert!(found.iter().all(|part| part.end_ns() - part.start_ns() == COUNTED / PARTS - 1));
        assert!(found[23].end_ns() <= year.end_ns());
    }
}
