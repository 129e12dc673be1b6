//! Answers a `QueryPacked`: arrays whose elements are samples in time become a row for each sample.

use efd_proto::query::v1::query_packed_response::Part as Kind;
use efd_proto::query::v1::{
    FieldType, Header, PackedTimes, QueryPackedRequest, QueryPackedResponse, TimeScale,
};

use crate::answer::{Answer, Part};
use crate::columns::BatchBuilder;
use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::influxql::{self, Rows};
use crate::layout::FieldLayout;
use crate::reading::{Found, Limits, Read, RowStream};
use crate::row::RowReader;
use crate::samples::{PackedRow, SampleClock};
use crate::scale::{Conversion, Scale};
use crate::selection::Chosen;
use crate::time_range::TimeRange;

/// The field with the time of the first sample where none is named.
const REFERENCE: &str = "cRIO_timestamp";

/// What a request asks for beside its selection and range.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Name of the field with the time of the first sample.
    pub reference: String,
    /// How its times become times of the answer.
    samples: Conversion,
    mode: PackedTimes,
    range: TimeRange,
}

/// An answer that is being made.
#[derive(Debug)]
pub struct PackedAnswer {
    influxdb: InfluxDb,
    limits: Limits,
    /// The reference, then the arrays.
    chosen: Chosen,
    asked: Asked,
    clock: SampleClock,
    builder: BatchBuilder,
    state: State,
}

#[derive(Debug)]
enum State {
    Begun,
    Introduced,
    Reading(Box<RowStream>),
    Ended,
}

impl Asked {
    /// What a request asks for.
    ///
    /// # Errors
    /// `InvalidArgument` when it names no fields, or its range is none.
    pub fn new(request: &QueryPackedRequest) -> Result<Self, QueryError> {
        let refused = |problem: &str| Err(QueryError::InvalidArgument(problem.to_owned()));
        let (range, _) = TimeRange::new(request.range.as_ref())?;
        if request.selection.as_ref().is_none_or(|selection| selection.fields.is_empty()) {
            return refused("selection with fields is missing: name the arrays that hold samples");
        }
        let reference = match request.reference_field.as_str() {
            "" => REFERENCE,
            named => named,
        };
        let from = match request.reference_scale() {
            TimeScale::Unspecified => Scale::Tai,
            stated => stated.into(),
        };
        let scale = request.range.as_ref().map(|range| range.scale()).unwrap_or_default();
        let samples = Conversion::new(from, scale.into());
        Ok(Self { reference: reference.to_owned(), samples, mode: request.times(), range })
    }
}

impl PackedAnswer {
    /// The samples of `chosen`, whose first field is the reference.
    ///
    /// # Errors
    /// `InvalidArgument` when the reference is no scalar number, or the others are no arrays of one length.
    pub fn new(
        (influxdb, limits): (InfluxDb, Limits),
        chosen: Chosen,
        asked: Asked,
    ) -> Result<Self, QueryError> {
        let length = check(&chosen)?;
        let clock = SampleClock::new(asked.mode, length, asked.samples);
        let arrays = chosen.fields.get(1..).unwrap_or_default();
        let builder = BatchBuilder::new(arrays);
        Ok(Self { influxdb, limits, chosen, asked, clock, builder, state: State::Begun })
    }

    fn header(&self) -> Part<QueryPackedResponse> {
        let scalar = |layout: &FieldLayout| {
            let mut field = layout.field.clone();
            field.array_length = None;
            field
        };
        let fields = self.chosen.fields.iter().skip(1).map(scalar).collect();
        let header = Header { topic: self.chosen.topic.clone(), fields };
        Part::empty(QueryPackedResponse { part: Some(Kind::Header(header)) })
    }

    async fn ask(&self) -> Result<State, QueryError> {
        if self.chosen.is_void {
            return Ok(State::Ended);
        }
        let columns = self.chosen.columns();
        let source = self.influxdb.source(&self.chosen.topic);
        let rows = Rows { source, range: self.asked.range, filter: &self.chosen.filter };
        let statement = influxql::select_range(rows, columns.iter().map(String::as_str));
        let asked = (&*statement, columns.len());
        let rows = RowStream::ask(&self.influxdb, &self.chosen.topic, asked, self.limits).await?;
        Ok(State::Reading(Box::new(rows)))
    }

    async fn batch(&mut self) -> Result<Option<Read>, QueryError> {
        loop {
            while let Some(row) = self.clock.pop() {
                self.take(&row)?;
                if self.builder.bytes() >= self.limits.batch_bytes {
                    return Ok(Some(Read::take(&mut self.builder)));
                }
            }
            let State::Reading(rows) = &mut self.state else {
                return Ok((!self.builder.is_empty()).then(|| Read::take(&mut self.builder)));
            };
            match rows.advance().await? {
                Found::Row => push(&mut self.clock, rows)?,
                Found::Pause if self.builder.is_empty() => {}
                Found::Pause => return Ok(Some(Read::take(&mut self.builder))),
                Found::End => {
                    self.clock.end();
                    self.state = State::Ended;
                }
            }
        }
    }

    /// Adds the samples of a row.
    fn take(&mut self, row: &PackedRow) -> Result<(), QueryError> {
        let mut reader = RowReader::new(&row.bytes);
        // The time of the row, and the reference.
        let _ = reader.long();
        let _ = reader.double();
        let pushed = self.builder.push_at(&row.times, reader);
        pushed.map_err(|error| error.of_topic(&self.chosen.topic, &self.influxdb))
    }
}

impl Answer for PackedAnswer {
    type Message = QueryPackedResponse;

    async fn next(&mut self) -> Result<Option<Part<QueryPackedResponse>>, QueryError> {
        match self.state {
            State::Begun => {
                self.state = State::Introduced;
                return Ok(Some(self.header()));
            }
            State::Introduced => self.state = self.ask().await?,
            State::Reading(_) | State::Ended => {}
        }
        // Times of samples are in the scale of the answer already.
        let part = self.batch().await?.map(|read| read.into_part(Conversion::default()));
        Ok(part.map(|part| part.map(|batch| QueryPackedResponse { part: Some(Kind::Batch(batch)) })))
    }
}

/// Gives a row to the clock, with the reference that stands behind its time.
fn push(clock: &mut SampleClock, rows: &RowStream) -> Result<(), QueryError> {
    use crate::columns::RowError;

    let mut reader = RowReader::new(rows.row());
    let is_row = reader.long().is_ok();
    let reference = if is_row { reader.double().ok() } else { None };
    let Some(reference) = reference else { return Err(rows.row_error(RowError::Malformed)) };
    clock.push(reference, rows.row());
    Ok(())
}

/// Elements of the arrays, of which all have the same number.
fn check(chosen: &Chosen) -> Result<usize, QueryError> {
    let refused = |problem: String| Err(QueryError::InvalidArgument(problem));
    let topic = &chosen.topic;
    let Some((reference, arrays)) = chosen.fields.split_first() else {
        return refused(format!("topic {topic} has no fields"));
    };
    let ty = reference.field.r#type();
    let is_number = matches!(ty, FieldType::Double | FieldType::Float | FieldType::Int | FieldType::Long);
    if reference.field.array_length.is_some() || !is_number || reference.stored != [true] {
        let name = &reference.field.name;
        return refused(format!("reference_field {name} of topic {topic} is no scalar number of seconds"));
    }
    let mut length: Option<(&str, u32)> = None;
    for layout in arrays {
        let name = layout.field.name.as_str();
        let Some(found) = layout.field.array_length.filter(|found| *found > 0) else {
            return refused(format!("field {name} of topic {topic} is no array, so it has no samples"));
        };
        match length {
            Some((first, expected)) if expected != found => {
                return refused(format!(
                    "field {name} of topic {topic} has {found} samples a row and {first} has {expected}; ask for them one by one"
                ));
            }
            _ => length = Some((name, found)),
        }
    }
    Ok(length.map_or(0, |(_, found)| found as usize))
}
