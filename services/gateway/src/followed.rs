//! A selection that is followed: records of its topic become rows of it.

use std::collections::{HashMap, HashSet};

use efd_proto::query::v1::{Header, TailBatch, TailLive, TailResponse, tail_response};
use efd_schema::{RecordSchema, RegistryClient, RegistryErrorKind, SchemaRef, wire};
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};

use crate::answer::Part;
use crate::columns::BatchBuilder;
use crate::decode::{Decoder, Row};
use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::reading::Read;
use crate::scale::Conversion;
use crate::selection::{Chosen, index_names};

/// Rows of a topic that are remembered where history and present meet.
const MAX_SEEN: usize = 1_000_000;

/// A selection that is followed.
#[derive(Debug)]
pub struct Followed {
    /// What it means.
    pub chosen: Chosen,
    /// Its topic in Kafka.
    pub kafka: String,
    /// From this time on, records of before the call come from Kafka, too.
    pub join: i64,
    number: u32,
    sal_index: Option<String>,
    /// The columns of the answer, then those with the index of the component.
    columns: Vec<String>,
    /// Times of rows of history that Kafka may have, too.
    seen: HashSet<i64>,
    /// By schema; none for what no row can be made with.
    decoders: HashMap<SchemaRef, Option<Decoder>>,
    builder: BatchBuilder,
}

impl Followed {
    /// The selection of this number.
    pub fn new(number: usize, chosen: Chosen, kafka: String, sal_index: Option<i64>) -> Self {
        let mut columns = chosen.columns();
        columns.extend(index_names(&chosen.topic));
        Self {
            kafka,
            join: i64::MIN,
            number: u32::try_from(number).unwrap_or(u32::MAX),
            sal_index: sal_index.map(|index| index.to_string()),
            columns,
            seen: HashSet::new(),
            decoders: HashMap::new(),
            builder: BatchBuilder::new(&chosen.fields),
            chosen,
        }
    }

    /// What its batches are.
    pub fn header(&self) -> Part<TailResponse> {
        let fields = self.chosen.fields.iter().map(|layout| layout.field.clone()).collect();
        let header = Header { topic: self.chosen.topic.clone(), fields };
        Part::empty(TailResponse { part: Some(tail_response::Part::Header(header)) })
    }

    /// Remembers rows of history from [`Followed::join`] on.
    ///
    /// # Errors
    /// `TooDense` when these are too many.
    pub fn remember(&mut self, times: &[i64]) -> Result<(), QueryError> {
        let join = self.join;
        self.seen.extend(times.iter().filter(|time| **time >= join));
        if self.seen.len() > MAX_SEEN { Err(QueryError::TooDense(MAX_SEEN)) } else { Ok(()) }
    }

    /// Forgets them: no record that comes now can be one of them.
    pub fn forget(&mut self) {
        self.seen = HashSet::new();
    }

    /// Takes a record, unless history had it. One of before the call counts only from [`Followed::join`] on.
    ///
    /// # Errors
    /// When the registry does not answer, or a value is not of the type that the latest schema says.
    pub async fn take(
        &mut self,
        record: &OwnedMessage,
        is_new: bool,
        (registry, influxdb): (&RegistryClient, &InfluxDb),
    ) -> Result<(), QueryError> {
        let Some(row) = self.row(record, registry).await? else { return Ok(()) };
        if self.seen.contains(&row.time) || (!is_new && row.time < self.join) || !self.is_of_index(&row) {
            return Ok(());
        }
        let width = self.columns.len() - index_names(&self.chosen.topic).len();
        let pushed = self.builder.push(row.text(width).as_bytes());
        pushed.map_err(|error| error.of_topic(&self.chosen.topic, influxdb))
    }

    /// The rows that were taken; none if there are none.
    pub fn batch(&mut self, answered: Conversion) -> Option<Part<TailResponse>> {
        (!self.builder.is_empty())
            .then(|| Read::take(&mut self.builder))
            .map(|read| self.part(read, answered))
    }

    /// Rows of it as a part of the answer.
    pub fn part(&self, read: Read, answered: Conversion) -> Part<TailResponse> {
        let selection = self.number;
        read.into_part(answered).map(|batch| {
            let batch = TailBatch { selection, batch: Some(batch) };
            TailResponse { part: Some(tail_response::Part::Batch(batch)) }
        })
    }

    fn is_of_index(&self, row: &Row) -> bool {
        let Some(index) = &self.sal_index else { return true };
        let width = self.columns.len() - index_names(&self.chosen.topic).len();
        (width..self.columns.len()).any(|place| row.cell(place) == index)
    }

    /// The row of a record; none for one that the sink does not store either, but puts among the dead letters.
    async fn row(
        &mut self,
        record: &OwnedMessage,
        registry: &RegistryClient,
    ) -> Result<Option<Row>, QueryError> {
        let Some((schema, body)) = schema_and_body(record) else { return Ok(None) };
        if !self.decoders.contains_key(&schema) {
            let decoder = decoder(schema, &self.columns, registry).await?;
            self.decoders.insert(schema, decoder);
        }
        let decoder = self.decoders.get(&schema).and_then(Option::as_ref);
        let row = decoder.map(|decoder| decoder.row(body)).transpose();
        Ok(row.unwrap_or_else(|error| {
            let (topic, offset) = (record.topic(), record.offset());
            tracing::debug!(topic, offset, error = %error, "a record has no row");
            None
        }))
    }
}

/// What stands between history and present.
pub fn live() -> Part<TailResponse> {
    Part::empty(TailResponse { part: Some(tail_response::Part::Live(TailLive {})) })
}

fn schema_and_body(record: &OwnedMessage) -> Option<(SchemaRef, &[u8])> {
    let payload = record.payload()?;
    let mut headers = record.headers().into_iter().flat_map(|headers| headers.iter());
    match headers.find(|header| header.key == wire::VALUE_SCHEMA_HEADER).and_then(|header| header.value) {
        Some(header) => wire::header(header).ok().map(|schema| (schema, payload)),
        None => wire::split(payload).ok().map(|(id, body)| (SchemaRef::Id(id), body)),
    }
}

async fn decoder(
    schema: SchemaRef,
    columns: &[String],
    registry: &RegistryClient,
) -> Result<Option<Decoder>, QueryError> {
    let found = match registry.schema(schema).await {
        Ok(found) => found,
        Err(error) if error.kind() == RegistryErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(QueryError::Registry(error)),
    };
    let parsed = RecordSchema::parse_with(&found.text, &found.references);
    Ok(parsed.ok().map(|parsed| Decoder::new(parsed, columns)))
}
