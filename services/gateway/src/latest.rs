//! Answers a `QueryLatest`: the newest rows are found backwards and sent in the order of time.

use efd_proto::query::v1::query_latest_response::Part as Kind;
use efd_proto::query::v1::{Header, QueryLatestRequest, QueryLatestResponse};

use crate::answer::{Answer, Part};
use crate::columns::BatchBuilder;
use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::influxql::{self, Rows};
use crate::newest::{self, Wanted};
use crate::reading::{Limits, Read, Reading, RowStream};
use crate::scale::Conversion;
use crate::selection::Chosen;
use crate::time_range::{EARLIEST, LATEST, TimeRange, nanoseconds, stored};

/// Most rows of an answer.
const MAX_COUNT: u32 = 100_000;

/// Batches whose rows are held until they are sent; longer answers are asked for a second time, in the order of time.
const HELD_BATCHES: usize = 4;

/// How many rows, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Rows.
    count: usize,
    /// Last time, as InfluxDB has it.
    to: i64,
    /// How times of InfluxDB become times of the answer.
    answered: Conversion,
}

/// An answer that is being made.
#[derive(Debug)]
pub struct LatestAnswer {
    influxdb: InfluxDb,
    limits: Limits,
    chosen: Chosen,
    asked: Asked,
    now: i64,
    state: State,
}

#[derive(Debug)]
enum State {
    Begun,
    /// Nothing was asked yet.
    Introduced,
    /// Rows that are left, newest first.
    Held(Vec<Vec<u8>>, BatchBuilder),
    Read(Box<Reading>),
    Ended,
}

impl Asked {
    /// What a request asks for.
    ///
    /// # Errors
    /// `InvalidArgument` when the count or the time are none.
    pub fn new(request: &QueryLatestRequest) -> Result<Self, QueryError> {
        if !(1..=MAX_COUNT).contains(&request.count) {
            let problem = format!("count is 1 to {MAX_COUNT}, not {}", request.count);
            return Err(QueryError::InvalidArgument(problem));
        }
        let answered = Conversion::new(request.stored_scale().into(), request.scale().into());
        let to = match &request.before {
            None => LATEST,
            // Exclusive, and never before the earliest, where nothing can be.
            Some(before) => {
                stored(nanoseconds("before", Some(before))?, answered).saturating_sub(1).max(EARLIEST)
            }
        };
        Ok(Self { count: request.count as usize, to, answered })
    }
}

impl LatestAnswer {
    /// The newest rows of `chosen`; `now` says where to look first.
    pub fn new((influxdb, limits): (InfluxDb, Limits), chosen: Chosen, asked: Asked, now: i64) -> Self {
        Self { influxdb, limits, chosen, asked, now, state: State::Begun }
    }

    fn header(&self) -> Part<QueryLatestResponse> {
        let fields = self.chosen.fields.iter().map(|layout| layout.field.clone()).collect();
        let header = Header { topic: self.chosen.topic.clone(), fields };
        Part::empty(QueryLatestResponse { part: Some(Kind::Header(header)) })
    }

    async fn search(&self) -> Result<State, QueryError> {
        let columns = self.chosen.columns();
        if columns.is_empty() || self.chosen.is_void {
            return Ok(State::Ended);
        }
        let wanted = Wanted {
            topic: &self.chosen.topic,
            columns: &columns,
            filter: &self.chosen.filter,
            from: EARLIEST,
            to: self.asked.to,
            count: self.asked.count,
            max_bytes: HELD_BATCHES * self.limits.batch_bytes,
        };
        let found = newest::newest(&self.influxdb, self.limits, wanted, self.now).await?;
        let Some((oldest, newest)) = found.span else { return Ok(State::Ended) };
        if let Some(rows) = found.rows {
            return Ok(State::Held(rows, BatchBuilder::new(&self.chosen.fields)));
        }
        let range = TimeRange::from_ns(oldest, newest)?;
        let source = self.influxdb.source(&self.chosen.topic);
        let rows = Rows { source, range, filter: &self.chosen.filter };
        let statement = influxql::select_range(rows, columns.iter().map(String::as_str));
        let asked = (&*statement, columns.len());
        let rows = RowStream::ask(&self.influxdb, &self.chosen.topic, asked, self.limits).await?;
        Ok(State::Read(Box::new(Reading::new(rows, &self.chosen.fields, self.limits, (0, 0)))))
    }

    fn held(&mut self) -> Result<Option<Read>, QueryError> {
        let State::Held(rows, builder) = &mut self.state else { return Ok(None) };
        while let Some(row) = rows.pop() {
            let pushed = builder.push(&row);
            pushed.map_err(|error| error.of_topic(&self.chosen.topic, &self.influxdb))?;
            if builder.bytes() >= self.limits.batch_bytes {
                break;
            }
        }
        Ok((!builder.is_empty()).then(|| Read::take(builder)))
    }

    async fn batch(&mut self) -> Result<Option<Read>, QueryError> {
        match &mut self.state {
            State::Held(..) => self.held(),
            State::Read(reading) => reading.batch().await,
            State::Begun | State::Introduced | State::Ended => Ok(None),
        }
    }
}

impl Answer for LatestAnswer {
    type Message = QueryLatestResponse;

    async fn next(&mut self) -> Result<Option<Part<QueryLatestResponse>>, QueryError> {
        match self.state {
            State::Begun => {
                self.state = State::Introduced;
                return Ok(Some(self.header()));
            }
            State::Introduced => self.state = self.search().await?,
            _ => {}
        }
        let part = self.batch().await?.map(|read| read.into_part(self.asked.answered));
        Ok(part.map(|part| part.map(|batch| QueryLatestResponse { part: Some(Kind::Batch(batch)) })))
    }
}
