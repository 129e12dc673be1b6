//! Answers a `QueryRange`: for each selection one statement to InfluxDB, whose rows are sent on as columns while they arrive.

use std::collections::VecDeque;

use efd_proto::query::v1::query_range_response::Part as Kind;
use efd_proto::query::v1::{Header, QueryRangeResponse};

use crate::answer::{Answer, Part};
use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::influxql::{self, Rows};
use crate::reading::{Limits, Read, Reading, RowStream};
use crate::resume::{Position, Sum};
use crate::scale::Conversion;
use crate::selection::Chosen;
use crate::time_range::TimeRange;

/// An answer that is being made.
#[derive(Debug)]
pub struct RangeAnswer {
    influxdb: InfluxDb,
    limits: Limits,
    range: TimeRange,
    answered: Conversion,
    selections: VecDeque<Chosen>,
    reading: Option<Reading>,
    sum: Sum,
    position: Position,
    /// Where the answer goes on, until it has.
    resumed: Option<Position>,
}

impl RangeAnswer {
    /// The answer to `selections`, one after the other. Times go out as the conversion beside the range has them.
    pub fn new(
        (influxdb, limits): (InfluxDb, Limits),
        selections: Vec<Chosen>,
        (range, answered): (TimeRange, Conversion),
        sum: Sum,
    ) -> Self {
        Self {
            influxdb,
            limits,
            range,
            answered,
            selections: selections.into(),
            reading: None,
            sum,
            position: Position::default(),
            resumed: None,
        }
    }

    /// Goes on behind a place of an earlier answer.
    pub fn resume(&mut self, position: Position) {
        let passed = self.selections.len().min(position.selection as usize);
        self.selections.drain(..passed);
        self.position = position;
        self.resumed = Some(position);
    }

    async fn ask(&mut self, chosen: &Chosen) -> Result<Option<Reading>, QueryError> {
        let columns = chosen.columns();
        let resumed = self.resumed.take();
        if columns.is_empty() || chosen.is_void {
            return Ok(None);
        }
        let mut range = self.range;
        if let Some(position) = resumed {
            range = TimeRange::from_ns(position.time.max(range.start_ns()), range.end_ns())?;
        }
        let rows = Rows { source: self.influxdb.source(&chosen.topic), range, filter: &chosen.filter };
        let statement = influxql::select_range(rows, columns.iter().map(String::as_str));
        let asked = (&*statement, columns.len());
        let rows = RowStream::ask(&self.influxdb, &chosen.topic, asked, self.limits).await?;
        let skip = resumed.map_or((0, 0), |position| (position.time, position.rows));
        Ok(Some(Reading::new(rows, &chosen.fields, self.limits, skip)))
    }

    fn batch(&mut self, read: Read) -> Part<QueryRangeResponse> {
        self.position = self.position.after(&read.batch.times);
        let resume_token = self.sum.token(self.position);
        let part = read.into_part(self.answered);
        part.map(|batch| QueryRangeResponse { part: Some(Kind::Batch(batch)), resume_token })
    }
}

impl Answer for RangeAnswer {
    type Message = QueryRangeResponse;

    async fn next(&mut self) -> Result<Option<Part<QueryRangeResponse>>, QueryError> {
        if let Some(reading) = &mut self.reading {
            if let Some(read) = reading.batch().await? {
                return Ok(Some(self.batch(read)));
            }
            self.reading = None;
            self.position = Position { selection: self.position.selection + 1, ..Position::default() };
        }
        let Some(chosen) = self.selections.pop_front() else { return Ok(None) };
        self.reading = self.ask(&chosen).await?;
        if self.reading.is_none() {
            self.position = Position { selection: self.position.selection + 1, ..Position::default() };
        }
        let fields = chosen.fields.into_iter().map(|layout| layout.field).collect();
        let header = Header { topic: chosen.topic, fields };
        let message =
            QueryRangeResponse { part: Some(Kind::Header(header)), ..QueryRangeResponse::default() };
        Ok(Some(Part::empty(message)))
    }
}
