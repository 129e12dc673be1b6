//! Answers of the gateway's `QueryService` as rows, as a client sees them.

use std::time::Duration;

use anyhow::{Context as _, bail};
use efd_proto::query::v1::column::Values;
use efd_proto::query::v1::query_service_client::QueryServiceClient;
use efd_proto::query::v1::{Batch, Column, Field, Header, TimeRange};
use prost_types::Timestamp;
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};

use crate::stack::Stack;

/// Largest answer.
const MAX_ANSWER: usize = 64 << 20;

/// Rows of one topic.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answered {
    /// The topic.
    pub topic: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Time of each row, and one value for each field: an array, or a scalar; null where none was recorded.
    pub rows: Vec<(i64, Vec<Value>)>,
}

impl Stack {
    /// A client of the gateway.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn query_client(&self) -> anyhow::Result<QueryServiceClient<Channel>> {
        let endpoint = Endpoint::from_shared(self.gateway_url())?.connect_timeout(Duration::from_secs(20));
        let channel = endpoint.connect().await?;
        Ok(QueryServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER))
    }
}

impl Answered {
    /// What the batches behind a header are of.
    pub fn of(header: Header) -> Self {
        Self { topic: header.topic, fields: header.fields, rows: Vec::new() }
    }

    /// Takes a batch.
    ///
    /// # Errors
    /// When it does not fit the header.
    pub fn add(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let (fields, columns) = (self.fields.len(), batch.columns.len());
        anyhow::ensure!(fields == columns, "{columns} columns of {fields} fields");
        let count = batch.times.len();
        let pairs = self.fields.iter().zip(&batch.columns);
        let columns: Vec<Vec<Value>> =
            pairs.map(|(field, column)| values(field, column, count)).collect::<anyhow::Result<_>>()?;
        for (row, time) in batch.times.iter().enumerate() {
            let values = columns.iter().filter_map(|column| column.get(row).cloned()).collect();
            self.rows.push((*time, values));
        }
        Ok(())
    }

    /// Times of all rows.
    pub fn times(&self) -> Vec<i64> {
        self.rows.iter().map(|(time, _)| *time).collect()
    }

    /// All values of a field.
    pub fn column(&self, name: &str) -> Vec<Value> {
        let place = self.fields.iter().position(|field| field.name == name);
        self.rows.iter().filter_map(|(_, values)| values.get(place?).cloned()).collect()
    }
}

/// A range of time in UTC, in Unix nanoseconds.
pub fn time_range(start: i64, end: i64) -> Option<TimeRange> {
    Some(TimeRange { start: timestamp(start), end: timestamp(end), ..TimeRange::default() })
}

/// Unix nanoseconds as gRPC has them.
pub fn timestamp(ns: i64) -> Option<Timestamp> {
    let nanos = i32::try_from(ns.rem_euclid(1_000_000_000)).unwrap_or_default();
    Some(Timestamp { seconds: ns.div_euclid(1_000_000_000), nanos })
}

fn values(field: &Field, column: &Column, rows: usize) -> anyhow::Result<Vec<Value>> {
    let flat: Vec<Value> = match column.values.as_ref().context("a column without values")? {
        Values::Doubles(doubles) => doubles.values.iter().map(|value| Value::from(*value)).collect(),
        Values::Longs(longs) => longs.values.iter().map(|value| Value::from(*value)).collect(),
        Values::Booleans(booleans) => booleans.values.iter().map(|value| Value::from(*value)).collect(),
        Values::Strings(strings) => strings.values.iter().map(|value| Value::from(value.as_str())).collect(),
    };
    let length = field.array_length.map(|length| length as usize);
    if flat.len() != rows * length.unwrap_or(1) {
        bail!("{} values of {} for {rows} rows", flat.len(), field.name);
    }
    let is_valid = |place: usize| match column.validity.get(place / 8) {
        Some(byte) => byte & (1 << (place % 8)) != 0,
        None => column.validity.is_empty(),
    };
    let values: Vec<Value> = flat
        .into_iter()
        .enumerate()
        .map(|(place, value)| if is_valid(place) { value } else { Value::Null })
        .collect();
    Ok(match length {
        None => values,
        Some(0) => vec![Value::Array(Vec::new()); rows],
        Some(length) => values.chunks(length).map(|chunk| Value::Array(chunk.to_vec())).collect(),
    })
}
