//! Reads the rows of one statement, and gathers them into batches.

use std::time::{Duration, Instant};

use efd_proto::query::v1::Batch;

use crate::answer::Part;
use crate::columns::{BatchBuilder, RowError};
use crate::config::QueryConfig;
use crate::error::QueryError;
use crate::influxdb::{Answer, InfluxDb};
use crate::layout::FieldLayout;
use crate::response::{Item, ResponseError, Scanner};
use crate::row::RowReader;
use crate::scale::Conversion;

/// InfluxDB's own default, and the most that makes an answer faster.
const MAX_CHUNK_ROWS: usize = 10_000;

/// With fewer rows, the names of columns before them would be much of the answer.
const MIN_CHUNK_ROWS: usize = 8;

/// How long rows wait for more to make a larger batch with; the first do not wait.
const WAIT: Duration = Duration::from_millis(100);

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

/// The rows of one statement about one topic, while they arrive.
#[derive(Debug)]
pub struct RowStream {
    influxdb: InfluxDb,
    topic: String,
    answer: Answer,
    scanner: Scanner,
    row: Vec<u8>,
    /// Until when rows that were found may wait for more.
    due: Option<Instant>,
    /// How long rows may wait.
    wait: Duration,
}

/// What [`RowStream::advance`] came upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A row, see [`RowStream::row`].
    Row,
    /// The next may take a while, and what was found has waited long enough.
    Pause,
    /// The end.
    End,
}

/// What came of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    /// A piece of the answer.
    Piece,
    /// Nothing, and rows are due.
    Due,
    /// The end.
    End,
}

/// The rows of one statement, as batches.
#[derive(Debug)]
pub struct Reading {
    rows: RowStream,
    builder: BatchBuilder,
    batch_bytes: usize,
    /// Rows at the beginning that are passed over: so many that have this time.
    skip: (i64, u32),
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

impl RowStream {
    /// Asks for `columns` columns of a topic.
    ///
    /// # Errors
    /// When InfluxDB does not answer.
    pub async fn ask(
        influxdb: &InfluxDb,
        topic: &str,
        (statement, columns): (&str, usize),
        limits: Limits,
    ) -> Result<Self, QueryError> {
        let chunk_rows = (limits.chunk_values / columns.max(1)).clamp(MIN_CHUNK_ROWS, MAX_CHUNK_ROWS);
        Ok(Self {
            influxdb: influxdb.clone(),
            topic: topic.to_owned(),
            answer: influxdb.query(statement, chunk_rows).await?,
            scanner: Scanner::new(limits.row_bytes),
            row: Vec::new(),
            due: None,
            wait: Duration::ZERO,
        })
    }

    /// Goes on to the next row.
    ///
    /// # Errors
    /// Whatever InfluxDB or its answer gives cause for.
    pub async fn advance(&mut self) -> Result<Found, QueryError> {
        loop {
            let is_end = match self.scanner.next() {
                Ok(Some(Item::Row(row))) => {
                    self.row.clear();
                    self.row.extend_from_slice(row);
                    self.found();
                    return Ok(Found::Row);
                }
                Ok(item) => item.is_some(),
                Err(error) => return Err(self.response_error(error)),
            };
            if is_end && self.is_due() {
                return Ok(Found::Pause);
            }
            if is_end {
                continue;
            }
            match self.more().await? {
                More::Piece => {}
                More::Due => return Ok(Found::Pause),
                More::End => return Ok(Found::End),
            }
        }
    }

    /// Goes on to the next row, however long it takes; false at the end.
    ///
    /// # Errors
    /// As with [`RowStream::advance`].
    pub async fn next(&mut self) -> Result<bool, QueryError> {
        loop {
            match self.advance().await? {
                Found::Row => return Ok(true),
                Found::Pause => {}
                Found::End => return Ok(false),
            }
        }
    }

    /// The row that was found last.
    pub fn row(&self) -> &[u8] {
        &self.row
    }

    /// The time of the row that was found last.
    ///
    /// # Errors
    /// When it has none.
    pub fn time(&self) -> Result<i64, QueryError> {
        time_of(&self.row).map_err(|error| self.row_error(error))
    }

    /// What a row that cannot be taken means for the query.
    pub fn row_error(&self, error: RowError) -> QueryError {
        error.of_topic(&self.topic, &self.influxdb)
    }

    /// A row was found.
    fn found(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + self.wait);
    }

    /// Whether rows have waited long enough; they are then taken for given out.
    fn is_due(&mut self) -> bool {
        let is_due = self.due.is_some_and(|due| due <= Instant::now());
        if is_due {
            self.given_out();
        }
        is_due
    }

    /// No rows wait any more.
    fn given_out(&mut self) {
        (self.due, self.wait) = (None, WAIT);
    }

    /// Takes the next piece of the answer, as long as no rows are due.
    async fn more(&mut self) -> Result<More, QueryError> {
        let piece = match self.due {
            None => self.answer.piece().await?,
            Some(due) => match tokio::time::timeout_at(due.into(), self.answer.piece()).await {
                Ok(piece) => piece?,
                Err(_) => {
                    self.given_out();
                    return Ok(More::Due);
                }
            },
        };
        let Some(piece) = piece else {
            self.scanner.finish().map_err(|error| self.response_error(error))?;
            return Ok(More::End);
        };
        self.scanner.push(&piece).map_err(|error| self.response_error(error))?;
        Ok(More::Piece)
    }

    fn response_error(&self, error: ResponseError) -> QueryError {
        self.influxdb.response_error(error).into()
    }
}

impl Reading {
    /// Rows with the columns of `fields`. The first `skip.1` of those with the time `skip.0` are passed over.
    pub fn new(rows: RowStream, fields: &[FieldLayout], limits: Limits, skip: (i64, u32)) -> Self {
        Self { rows, builder: BatchBuilder::new(fields), batch_bytes: limits.batch_bytes, skip }
    }

    /// The next batch: as soon as it is full, and also when its rows have waited long enough for InfluxDB to find more.
    ///
    /// # Errors
    /// Whatever InfluxDB or its answer gives cause for.
    pub async fn batch(&mut self) -> Result<Option<Read>, QueryError> {
        loop {
            if self.gather()? {
                return Ok(Some(self.take()));
            }
            match self.rows.more().await? {
                More::Piece => {}
                More::Due | More::End if !self.builder.is_empty() => return Ok(Some(self.take())),
                More::Due => {}
                More::End => return Ok(None),
            }
        }
    }

    fn take(&mut self) -> Read {
        self.rows.given_out();
        Read::take(&mut self.builder)
    }

    /// Takes the rows that are there, without copying them; whether a batch is due.
    fn gather(&mut self) -> Result<bool, QueryError> {
        let Self { rows, builder, .. } = self;
        loop {
            let outcome = match rows.scanner.next() {
                Ok(Some(Item::Row(row))) if self.skip.1 > 0 && time_of(row) == Ok(self.skip.0) => {
                    self.skip.1 -= 1;
                    continue;
                }
                Ok(Some(Item::Row(row))) => builder.push(row).map(|()| {
                    rows.found();
                    builder.bytes() >= self.batch_bytes
                }),
                Ok(Some(Item::End)) => Ok(rows.is_due()),
                Ok(None) => return Ok(false),
                Err(error) => return Err(rows.response_error(error)),
            };
            if outcome.map_err(|error| rows.row_error(error))? && !builder.is_empty() {
                return Ok(true);
            }
        }
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

/// The time of a row, `[time,…]`.
fn time_of(row: &[u8]) -> Result<i64, RowError> {
    RowReader::new(row).long().ok().flatten().ok_or(RowError::Malformed)
}

fn bytes(size: bytesize::ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}
