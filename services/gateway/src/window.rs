//! Answers a `QueryWindow`: InfluxDB makes statistics of each interval, the gateway names them and fills in empty intervals.

use std::collections::VecDeque;

use efd_proto::query::v1::query_window_response::Part as Kind;
use efd_proto::query::v1::{Header, QueryWindowResponse};

use crate::answer::{Answer, Part};
use crate::columns::BatchBuilder;
use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::influxql::{self, Rows};
use crate::reading::{Found, Limits, Read, RowStream};
use crate::selection::Chosen;
use crate::statistics::{Statistics, Window};

/// An answer that is being made.
#[derive(Debug)]
pub struct WindowAnswer {
    influxdb: InfluxDb,
    limits: Limits,
    window: Window,
    selections: VecDeque<(Chosen, Statistics)>,
    reading: Option<Intervals>,
}

/// The intervals of one selection.
#[derive(Debug)]
struct Intervals {
    topic: String,
    rows: Option<RowStream>,
    builder: BatchBuilder,
    /// Beginning of the next interval that is answered without rows; none where they are left out, or after the last.
    empty: Option<i64>,
    /// Whether the row that was found last is still to be taken.
    has_row: bool,
}

impl WindowAnswer {
    /// Statistics of all selections, one after the other.
    pub fn new(
        (influxdb, limits): (InfluxDb, Limits),
        window: Window,
        selections: Vec<(Chosen, Statistics)>,
    ) -> Self {
        Self { influxdb, limits, window, selections: selections.into(), reading: None }
    }

    async fn ask(&self, chosen: &Chosen, statistics: &Statistics) -> Result<Intervals, QueryError> {
        let calls = statistics.calls(chosen);
        let mut rows = None;
        if !calls.is_empty() && !chosen.is_void {
            let source = self.influxdb.source(&chosen.topic);
            let asked = Rows { source, range: self.window.range, filter: &chosen.filter };
            let names = calls.iter().map(|(function, column)| (*function, column.as_str()));
            let statement = influxql::select_intervals(asked, names, self.window.intervals);
            let asked = (&*statement, calls.len());
            rows = Some(RowStream::ask(&self.influxdb, &chosen.topic, asked, self.limits).await?);
        }
        let empty = self.window.with_empty.then(|| self.window.first());
        let builder = BatchBuilder::new(&statistics.fields);
        Ok(Intervals { topic: chosen.topic.clone(), rows, builder, empty, has_row: false })
    }

    async fn batch(&mut self) -> Result<Option<Read>, QueryError> {
        let Some(reading) = &mut self.reading else { return Ok(None) };
        loop {
            let found = reading.advance().await?;
            match found {
                Found::Row => reading.take(self.window, self.limits, &self.influxdb)?,
                Found::Pause => {}
                Found::End => {
                    reading.rows = None;
                    reading.fill(self.window, i64::MAX, self.limits);
                }
            }
            let is_due = found != Found::Row || reading.builder.bytes() >= self.limits.batch_bytes;
            if is_due && !reading.builder.is_empty() {
                return Ok(Some(Read::take(&mut reading.builder)));
            }
            if found == Found::End {
                return Ok(None);
            }
        }
    }
}

impl Intervals {
    /// Goes on to the next row, unless one is still to be taken.
    async fn advance(&mut self) -> Result<Found, QueryError> {
        if self.has_row {
            return Ok(Found::Row);
        }
        let found = match &mut self.rows {
            Some(rows) => rows.advance().await?,
            None => Found::End,
        };
        self.has_row = found == Found::Row;
        Ok(found)
    }

    /// Takes the row that was found, unless the batch is full of the empty intervals before it.
    fn take(&mut self, window: Window, limits: Limits, influxdb: &InfluxDb) -> Result<(), QueryError> {
        let Some(time) = self.rows.as_ref().map(RowStream::time).transpose()? else { return Ok(()) };
        if self.fill(window, time, limits) {
            let row = self.rows.as_ref().map(RowStream::row).unwrap_or_default();
            self.builder.push(row).map_err(|error| error.of_topic(&self.topic, influxdb))?;
            self.has_row = false;
            self.empty = self.empty.and_then(|_| window.next(time));
        }
        Ok(())
    }

    /// Adds the empty intervals before a time, until the batch is full; whether all were added.
    fn fill(&mut self, window: Window, before: i64, limits: Limits) -> bool {
        while let Some(empty) = self.empty.filter(|empty| *empty < before) {
            if self.builder.bytes() >= limits.batch_bytes {
                return false;
            }
            self.builder.push_empty(empty);
            self.empty = window.next(empty);
        }
        true
    }
}

impl Answer for WindowAnswer {
    type Message = QueryWindowResponse;

    async fn next(&mut self) -> Result<Option<Part<QueryWindowResponse>>, QueryError> {
        if let Some(read) = self.batch().await? {
            let part = read.into_part(self.window.answered);
            return Ok(Some(part.map(|batch| QueryWindowResponse { part: Some(Kind::Batch(batch)) })));
        }
        let Some((chosen, statistics)) = self.selections.pop_front() else { return Ok(None) };
        self.reading = Some(self.ask(&chosen, &statistics).await?);
        let fields = statistics.fields.into_iter().map(|layout| layout.field).collect();
        let header = Header { topic: chosen.topic, fields };
        Ok(Some(Part::empty(QueryWindowResponse { part: Some(Kind::Header(header)) })))
    }
}
