//! Reads the rows of one statement, and gathers them into batches.

use efd_proto::query::v1::Batch;

use crate::answer::Part;
use crate::columns::{BatchBuilder, RowError};
use crate::config::QueryConfig;
use crate::error::QueryError;
use crate::influxdb::{Answer, InfluxDb};
use crate::response::{Item, Scanner};
use crate::scale::Conversion;
use crate::selection::Chosen;

/// InfluxDB's own default, and the most that makes an answer faster.
const MAX_CHUNK_ROWS: usize = 10_000;

/// Bounds on what is held of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest row in bytes.
    row_bytes: usize,
    /// Size of a batch in bytes.
    pub batch_bytes: usize,
    /// Values that InfluxDB gathers.
    chunk_values: usize,
}

/// The rows of one statement.
#[derive(Debug)]
pub struct Reading {
    topic: String,
    answer: Answer,
    scanner: Scanner,
    builder: BatchBuilder,
    batch_bytes: usize,
}

/// Rows of one topic, with what they are in numbers.
#[derive(Debug)]
pub struct Read {
    /// The rows.
    pub batch: Batch,
    /// Places for values in them.
    pub values: usize,
    /// Their size.
    pub bytes: usize,
}

impl From<&QueryConfig> for Limits {
    fn from(config: &QueryConfig) -> Self {
        Self {
            row_bytes: bytes(config.max_row_bytes),
            batch_bytes: bytes(config.batch_bytes),
            chunk_values: config.chunk_values,
        }
    }
}

impl Limits {
    /// Rows of so many columns that InfluxDB gathers before it sends them.
    pub fn chunk_rows(self, columns: usize) -> usize {
        (self.chunk_values / columns.max(1)).clamp(1, MAX_CHUNK_ROWS)
    }

    /// Finds rows that are no longer than may be.
    pub fn scanner(self) -> Scanner {
        Scanner::new(self.row_bytes)
    }
}

impl Reading {
    /// Asks for the columns of `chosen`.
    ///
    /// # Errors
    /// When InfluxDB does not answer.
    pub async fn ask(
        influxdb: &InfluxDb,
        statement: &str,
        chosen: &Chosen,
        limits: Limits,
    ) -> Result<Self, QueryError> {
        let columns = chosen.fields.iter().map(|field| field.stored.len()).sum();
        Ok(Self {
            topic: chosen.topic.clone(),
            answer: influxdb.query(statement, limits.chunk_rows(columns)).await?,
            scanner: limits.scanner(),
            builder: BatchBuilder::new(&chosen.fields),
            batch_bytes: limits.batch_bytes,
        })
    }

    /// The next batch: as soon as it is full, and also where an object of the answer ends, so that rows do not wait for
    /// InfluxDB to find more.
    ///
    /// # Errors
    /// Whatever InfluxDB or its answer gives cause for.
    pub async fn batch(&mut self, influxdb: &InfluxDb) -> Result<Option<Read>, QueryError> {
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
                    return Ok(Some(Read::take(&mut self.builder)));
                }
            }
            let Some(piece) = self.answer.piece().await? else { break };
            self.scanner.push(&piece).map_err(|error| influxdb.response_error(error))?;
        }
        self.scanner.finish().map_err(|error| influxdb.response_error(error))?;
        Ok(None)
    }
}

impl Read {
    /// All rows of a builder.
    pub fn take(builder: &mut BatchBuilder) -> Self {
        let (bytes, values) = (builder.bytes(), builder.values());
        Self { batch: builder.take(), values, bytes }
    }

    /// A part of an answer, with times as `answered` has them.
    pub fn into_part(mut self, answered: Conversion) -> Part<Batch> {
        for time in &mut self.batch.times {
            *time = answered.apply(*time);
        }
        let rows = self.batch.times.len();
        Part { message: self.batch, rows, values: self.values, bytes: self.bytes }
    }
}

/// What a row of InfluxDB that cannot be taken means for the query.
pub fn row_error(error: RowError, topic: &str, influxdb: &InfluxDb) -> QueryError {
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
