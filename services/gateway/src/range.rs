//! Answers a `QueryRange`: for each selection one statement to InfluxDB, whose rows are sent on as columns while they arrive.

use std::collections::VecDeque;

use efd_proto::query::v1::query_range_response::Part as Kind;
use efd_proto::query::v1::{Header, QueryRangeResponse};

use crate::answer::{Answer, Part};
use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::influxql::{self, Rows};
use crate::reading::{Limits, Reading};
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
}

impl RangeAnswer {
    /// The answer to `selections`, one after the other. Times go out as `answered` has them.
    pub fn new(
        influxdb: InfluxDb,
        limits: Limits,
        selections: Vec<Chosen>,
        (range, answered): (TimeRange, Conversion),
    ) -> Self {
        Self { influxdb, limits, range, answered, selections: selections.into(), reading: None }
    }

    async fn ask(&self, chosen: &Chosen) -> Result<Option<Reading>, QueryError> {
        let columns = chosen.columns();
        if columns.is_empty() || chosen.is_void {
            return Ok(None);
        }
        let source = self.influxdb.source(&chosen.topic);
        let rows = Rows { source, range: self.range, filter: &chosen.filter };
        let statement = influxql::select_range(rows, columns.iter().map(String::as_str));
        Reading::ask(&self.influxdb, &statement, chosen, self.limits).await.map(Some)
    }
}

impl Answer for RangeAnswer {
    type Message = QueryRangeResponse;

    async fn next(&mut self) -> Result<Option<Part<QueryRangeResponse>>, QueryError> {
        if let Some(reading) = &mut self.reading {
            if let Some(read) = reading.batch(&self.influxdb).await? {
                let part = read.into_part(self.answered);
                return Ok(Some(part.map(|batch| QueryRangeResponse {
                    part: Some(Kind::Batch(batch)),
                    ..QueryRangeResponse::default()
                })));
            }
            self.reading = None;
        }
        let Some(chosen) = self.selections.pop_front() else { return Ok(None) };
        self.reading = self.ask(&chosen).await?;
        let fields = chosen.fields.into_iter().map(|layout| layout.field).collect();
        let header = Header { topic: chosen.topic, fields };
        let message =
            QueryRangeResponse { part: Some(Kind::Header(header)), ..QueryRangeResponse::default() };
        Ok(Some(Part::empty(message)))
    }
}
