//! Answers a `QueryAligned`: the rows of the first topic, each with the newest row of every other topic that is not after it.
//!
//! All topics are read at once, each in the order of time, so that of each other topic two rows are held.

use efd_proto::query::v1::query_aligned_response::Part as Kind;
use efd_proto::query::v1::{AlignedHeader, Batch, Header, QueryAlignedResponse};
use prost_types::Duration;

use crate::answer::{Answer, Part};
use crate::columns::BatchBuilder;
use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::influxql::{self, Rows};
use crate::reading::{Found, Limits, Read, RowStream};
use crate::scale::Conversion;
use crate::selection::Chosen;
use crate::time_range::{EARLIEST, TimeRange};

/// How old a value may be where the request does not say, one minute.
const TOLERANCE: i64 = 60_000_000_000;

/// An answer that is being made.
#[derive(Debug)]
pub struct AlignedAnswer {
    influxdb: InfluxDb,
    limits: Limits,
    range: TimeRange,
    answered: Conversion,
    tolerance: i64,
    chosen: Vec<Chosen>,
    state: State,
}

#[derive(Debug)]
enum State {
    Begun,
    Introduced,
    Reading(Box<Topics>),
    Ended,
}

/// What is read.
#[derive(Debug)]
struct Topics {
    base: RowStream,
    base_rows: BatchBuilder,
    others: Vec<Other>,
}

/// A topic whose rows are looked up.
#[derive(Debug)]
struct Other {
    rows: Option<RowStream>,
    /// The newest row that is not after the last of the base.
    current: Option<(i64, Vec<u8>)>,
    /// Time of the row that was found last, which is later.
    next: Option<i64>,
    builder: BatchBuilder,
    topic: String,
    influxdb: InfluxDb,
}

impl AlignedAnswer {
    /// The rows of the first of `chosen`, and values of the others that are no older than `tolerance` nanoseconds.
    pub fn new(
        (influxdb, limits): (InfluxDb, Limits),
        chosen: Vec<Chosen>,
        (range, answered): (TimeRange, Conversion),
        tolerance: i64,
    ) -> Self {
        Self { influxdb, limits, range, answered, tolerance, chosen, state: State::Begun }
    }

    fn header(&self) -> Part<QueryAlignedResponse> {
        let header = |chosen: &Chosen| Header {
            topic: chosen.topic.clone(),
            fields: chosen.fields.iter().map(|layout| layout.field.clone()).collect(),
        };
        let topics = self.chosen.iter().map(header).collect();
        Part::empty(QueryAlignedResponse { part: Some(Kind::Header(AlignedHeader { topics })) })
    }

    async fn ask(&self) -> Result<State, QueryError> {
        let Some((base, others)) = self.chosen.split_first() else { return Ok(State::Ended) };
        let Some(rows) = self.rows(base, self.range).await? else { return Ok(State::Ended) };
        let earlier = self.range.start_ns().saturating_sub(self.tolerance).max(EARLIEST);
        let range = TimeRange::from_ns(earlier, self.range.end_ns())?;
        let mut topics =
            Topics { base: rows, base_rows: BatchBuilder::new(&base.fields), others: Vec::new() };
        for chosen in others {
            let rows = self.rows(chosen, range).await?;
            let builder = BatchBuilder::new(&chosen.fields);
            let (topic, influxdb) = (chosen.topic.clone(), self.influxdb.clone());
            topics.others.push(Other { rows, current: None, next: None, builder, topic, influxdb });
        }
        Ok(State::Reading(Box::new(topics)))
    }

    async fn rows(&self, chosen: &Chosen, range: TimeRange) -> Result<Option<RowStream>, QueryError> {
        let columns = chosen.columns();
        if columns.is_empty() || chosen.is_void {
            return Ok(None);
        }
        let rows = Rows { source: self.influxdb.source(&chosen.topic), range, filter: &chosen.filter };
        let statement = influxql::select_range(rows, columns.iter().map(String::as_str));
        let asked = (&*statement, columns.len());
        RowStream::ask(&self.influxdb, &chosen.topic, asked, self.limits).await.map(Some)
    }
}

impl Topics {
    async fn batch(&mut self, tolerance: i64, limits: Limits) -> Result<Option<Read>, QueryError> {
        loop {
            match self.base.advance().await? {
                Found::Row => {
                    let time = self.base.time()?;
                    let pushed = self.base_rows.push(self.base.row());
                    pushed.map_err(|error| self.base.row_error(error))?;
                    for other in &mut self.others {
                        other.join(time, tolerance).await?;
                    }
                    if self.bytes() >= limits.batch_bytes {
                        return Ok(Some(self.take()));
                    }
                }
                Found::Pause if self.base_rows.is_empty() => {}
                Found::Pause => return Ok(Some(self.take())),
                Found::End => return Ok((!self.base_rows.is_empty()).then(|| self.take())),
            }
        }
    }

    fn bytes(&self) -> usize {
        self.base_rows.bytes() + self.others.iter().map(|other| other.builder.bytes()).sum::<usize>()
    }

    fn take(&mut self) -> Read {
        let mut read = Read::take(&mut self.base_rows);
        for other in &mut self.others {
            let Read { batch: Batch { columns, .. }, values, bytes } = Read::take(&mut other.builder);
            read.batch.columns.extend(columns);
            read.values += values;
            read.bytes += bytes;
        }
        read
    }
}

impl Other {
    /// Adds the newest row that is not after `time`, or that there is none.
    async fn join(&mut self, time: i64, tolerance: i64) -> Result<(), QueryError> {
        while let Some(rows) = &mut self.rows {
            if let Some(next) = self.next {
                if next > time {
                    break;
                }
                let mut row = self.current.take().map(|(_, row)| row).unwrap_or_default();
                row.clear();
                row.extend_from_slice(rows.row());
                self.current = Some((next, row));
            }
            if rows.next().await? {
                self.next = Some(rows.time()?);
            } else {
                (self.rows, self.next) = (None, None);
            }
        }
        let is_fresh = |found: &i64| time.saturating_sub(*found) <= tolerance;
        match &self.current {
            Some((found, row)) if is_fresh(found) => {
                let pushed = self.builder.push(row);
                pushed.map_err(|error| error.of_topic(&self.topic, &self.influxdb))
            }
            _ => {
                self.builder.push_empty(time);
                Ok(())
            }
        }
    }
}

impl Answer for AlignedAnswer {
    type Message = QueryAlignedResponse;

    async fn next(&mut self) -> Result<Option<Part<QueryAlignedResponse>>, QueryError> {
        match self.state {
            State::Begun => {
                self.state = State::Introduced;
                return Ok(Some(self.header()));
            }
            State::Introduced => self.state = self.ask().await?,
            State::Reading(_) | State::Ended => {}
        }
        let State::Reading(topics) = &mut self.state else { return Ok(None) };
        let Some(read) = topics.batch(self.tolerance, self.limits).await? else {
            self.state = State::Ended;
            return Ok(None);
        };
        let part = read.into_part(self.answered);
        Ok(Some(part.map(|batch| QueryAlignedResponse { part: Some(Kind::Batch(batch)) })))
    }
}

/// How old values may be, in nanoseconds.
///
/// # Errors
/// `InvalidArgument` when it is negative or longer than InfluxDB can store times.
pub fn tolerance(asked: Option<&Duration>) -> Result<i64, QueryError> {
    let Some(asked) = asked else { return Ok(TOLERANCE) };
    let ns = i128::from(asked.seconds) * 1_000_000_000 + i128::from(asked.nanos);
    i64::try_from(ns).ok().filter(|ns| *ns >= 0).ok_or_else(|| {
        QueryError::InvalidArgument(
            "tolerance is negative, or longer than InfluxDB can store times".to_owned(),
        )
    })
}
