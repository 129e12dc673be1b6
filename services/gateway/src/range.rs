//! Answers a `QueryRange`: for each selection one statement to InfluxDB, whose rows are sent on as columns while they arrive.
//!
//! Nothing runs beside the stream: InfluxDB is read only as fast as the client takes the answer, and a client that goes away
//! drops the stream, and with it the connection on which InfluxDB works for it.

use std::collections::VecDeque;

use efd_proto::query::v1::query_range_response::Part;
use efd_proto::query::v1::{QueryRangeBatch, QueryRangeHeader, QueryRangeResponse};
use tokio_util::sync::CancellationToken;

use crate::columns::{BatchBuilder, RowError};
use crate::config::QueryConfig;
use crate::error::QueryError;
use crate::influxdb::{Answer, InfluxDb};
use crate::influxql;
use crate::layout::FieldLayout;
use crate::response::{Item, Scanner};
use crate::time_range::TimeRange;

/// InfluxDB's own default, and the most that makes an answer faster.
const MAX_CHUNK_ROWS: usize = 10_000;

/// What one selection asks for.
#[derive(Debug)]
pub struct TopicRange {
    /// The topic, which is the measurement.
    pub topic: String,
    /// Its fields in the order of the answer.
    pub fields: Vec<FieldLayout>,
    /// Over which time.
    pub range: TimeRange,
}

/// An answer that is being made.
#[derive(Debug)]
pub struct RangeAnswer {
    influxdb: InfluxDb,
    config: QueryConfig,
    /// Ends all answers when the gateway has no more time.
    cut: CancellationToken,
    selections: VecDeque<TopicRange>,
    reading: Option<Reading>,
}

/// A part of the answer, with the size of its rows.
#[derive(Debug)]
pub struct AnswerPart {
    /// What is sent.
    pub response: QueryRangeResponse,
    /// Rows in it.
    pub rows: usize,
    /// Size of the rows.
    pub bytes: usize,
}

/// The rows of one selection.
#[derive(Debug)]
struct Reading {
    topic: String,
    answer: Answer,
    scanner: Scanner,
    builder: BatchBuilder,
    batch_bytes: usize,
}

impl RangeAnswer {
    /// The answer to `selections`, one after the other.
    pub fn new(
        influxdb: InfluxDb,
        config: QueryConfig,
        cut: CancellationToken,
        selections: Vec<TopicRange>,
    ) -> Self {
        Self { influxdb, config, cut, selections: selections.into(), reading: None }
    }

    /// The next part; none at the end. After an error there is no more.
    ///
    /// # Errors
    /// Whatever InfluxDB or its answer gives cause for, and `Stopping`.
    pub async fn next(&mut self) -> Result<Option<AnswerPart>, QueryError> {
        let cut = self.cut.clone();
        tokio::select! {
            biased;
            () = cut.cancelled() => Err(QueryError::Stopping),
            part = self.part() => part,
        }
    }

    async fn part(&mut self) -> Result<Option<AnswerPart>, QueryError> {
        if let Some(reading) = &mut self.reading {
            if let Some(part) = reading.batch(&self.influxdb).await? {
                return Ok(Some(part));
            }
            self.reading = None;
        }
        let Some(selection) = self.selections.pop_front() else { return Ok(None) };
        self.reading = self.ask(&selection).await?;
        let fields = selection.fields.into_iter().map(|layout| layout.field).collect();
        let header = QueryRangeHeader { topic: selection.topic, fields };
        let response = QueryRangeResponse { part: Some(Part::Header(header)) };
        Ok(Some(AnswerPart { response, rows: 0, bytes: 0 }))
    }

    async fn ask(&self, selection: &TopicRange) -> Result<Option<Reading>, QueryError> {
        let columns: Vec<String> = selection.fields.iter().flat_map(FieldLayout::columns).collect();
        if columns.is_empty() {
            return Ok(None);
        }
        let source = self.influxdb.source(&selection.topic);
        let names = columns.iter().map(String::as_str);
        let statement = influxql::select_range(source, names, selection.range);
        let chunk_rows = (self.config.chunk_values / columns.len()).clamp(1, MAX_CHUNK_ROWS);
        Ok(Some(Reading {
            topic: selection.topic.clone(),
            answer: self.influxdb.query(&statement, chunk_rows).await?,
            scanner: Scanner::new(bytes(self.config.max_row_bytes)),
            builder: BatchBuilder::new(&selection.fields),
            batch_bytes: bytes(self.config.batch_bytes),
        }))
    }
}

impl Reading {
    /// The next batch: as soon as it is full, and also where an object of the answer ends, so that rows do not wait for
    /// InfluxDB to find more.
    async fn batch(&mut self, influxdb: &InfluxDb) -> Result<Option<AnswerPart>, QueryError> {
        loop {
            while let Some(item) = self.scanner.next().map_err(|error| influxdb.response_error(error))? {
                let is_due = match item {
                    Item::Row(row) => {
                        self.builder.push(row).map_err(|error| row_error(error, &self.topic, influxdb))?;
                        self.builder.bytes() >= self.batch_bytes
                    }
                    Item::End => true,
                };
                if is_due && !self.builder.is_empty() {
                    return Ok(Some(self.take()));
                }
            }
            let Some(piece) = self.answer.piece().await? else { break };
            self.scanner.push(&piece).map_err(|error| influxdb.response_error(error))?;
        }
        self.scanner.finish().map_err(|error| influxdb.response_error(error))?;
        Ok(None)
    }

    fn take(&mut self) -> AnswerPart {
        let bytes = self.builder.bytes();
        let batch: QueryRangeBatch = self.builder.take();
        let rows = batch.times.len();
        AnswerPart { response: QueryRangeResponse { part: Some(Part::Batch(batch)) }, rows, bytes }
    }
}

fn row_error(error: RowError, topic: &str, influxdb: &InfluxDb) -> QueryError {
    match error {
        RowError::Misfit { field, found, expected } => {
            QueryError::Misfit { topic: topic.to_owned(), field, found, expected }
        }
        RowError::Malformed => influxdb.malformed(error.to_string()).into(),
    }
}

fn bytes(size: bytesize::ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}
