//! Rows become columns (pure).

use efd_proto::query::v1::column::Values as ColumnValues;
use efd_proto::query::v1::{Aggregate, Batch, Booleans, Column, Doubles, FieldType, Longs, Strings};
use thiserror::Error;

use crate::error::QueryError;
use crate::influxdb::InfluxDb;
use crate::layout::FieldLayout;
use crate::row::{RowReader, ValueError};

/// Why a row cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RowError {
    /// It does not have a time and one value for each stored element.
    #[error("a row has not the values that were asked for")]
    Malformed,
    /// A value is not of the type that the schema says.
    #[error("field {field}: {found} is no {expected}")]
    Misfit {
        /// The field.
        field: String,
        /// The value.
        found: String,
        /// The type.
        expected: &'static str,
    },
}

impl RowError {
    /// What it means for a query of `topic`.
    pub fn of_topic(self, topic: &str, influxdb: &InfluxDb) -> QueryError {
        match self {
            Self::Misfit { field, found, expected } => {
                QueryError::Misfit { topic: topic.to_owned(), field, found, expected }
            }
            Self::Malformed => influxdb.malformed(self.to_string()).into(),
        }
    }
}

/// Gathers rows until they are taken as a batch.
#[derive(Debug)]
pub struct BatchBuilder {
    times: Vec<i64>,
    columns: Vec<ColumnBuilder>,
    bytes: usize,
    values: usize,
}

#[derive(Debug)]
struct ColumnBuilder {
    name: String,
    /// For each element whether the row has a value for it.
    stored: Vec<bool>,
    /// Whether it counts values, so that none is 0.
    is_count: bool,
    values: Values,
    validity: Validity,
}

#[derive(Debug)]
enum Values {
    Doubles(Vec<f64>),
    Longs(Vec<i64>),
    Booleans(Vec<bool>),
    Strings(Vec<String>),
}

/// Which values were recorded. The bits are made only once one is missing, which is rare.
#[derive(Debug, Default)]
struct Validity {
    bits: Vec<u8>,
    length: usize,
    has_gaps: bool,
}

impl BatchBuilder {
    /// A builder for rows with a time and the columns of `fields` in their order.
    pub fn new(fields: &[FieldLayout]) -> Self {
        let columns = fields.iter().map(ColumnBuilder::new).collect();
        Self { times: Vec::new(), columns, bytes: 0, values: 0 }
    }

    /// Adds a row, `[time,value,…]`. After an error the builder must not be used any more.
    ///
    /// # Errors
    /// See [`RowError`].
    pub fn push(&mut self, row: &[u8]) -> Result<(), RowError> {
        let mut reader = RowReader::new(row);
        let time = reader.long().ok().flatten().ok_or(RowError::Malformed)?;
        self.push_at(&[time], reader)
    }

    /// Adds the values that `reader` is before, at these times: one time for a row, or as many as arrays have elements to make each
    /// element a row. After an error the builder must not be used any more.
    ///
    /// # Errors
    /// See [`RowError`].
    pub fn push_at(&mut self, times: &[i64], mut reader: RowReader<'_>) -> Result<(), RowError> {
        self.times.extend_from_slice(times);
        self.bytes += size_of_val(times);
        for column in &mut self.columns {
            self.bytes += column.push(&mut reader).map_err(|error| column.error(error))?;
            self.values += column.stored.len();
        }
        reader.end().map_err(|_| RowError::Malformed)
    }

    /// Adds a row of which nothing was recorded but counts, which are 0.
    pub fn push_empty(&mut self, time: i64) {
        self.times.push(time);
        self.bytes += size_of::<i64>();
        for column in &mut self.columns {
            self.bytes += column.push_empty();
            self.values += column.stored.len();
        }
    }

    /// Size of the batch as a message, within a few percent.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Places for values in the batch.
    pub fn values(&self) -> usize {
        self.values
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Takes all rows out.
    pub fn take(&mut self) -> Batch {
        (self.bytes, self.values) = (0, 0);
        let times = std::mem::take(&mut self.times);
        let columns = self.columns.iter_mut().map(ColumnBuilder::take).collect();
        Batch { times, columns }
    }
}

impl ColumnBuilder {
    fn new(layout: &FieldLayout) -> Self {
        let values = match layout.field.r#type() {
            FieldType::Float | FieldType::Double => Values::Doubles(Vec::new()),
            FieldType::Int | FieldType::Long => Values::Longs(Vec::new()),
            FieldType::Boolean => Values::Booleans(Vec::new()),
            FieldType::String | FieldType::Bytes | FieldType::Enum | FieldType::Unspecified => {
                Values::Strings(Vec::new())
            }
        };
        Self {
            name: layout.field.name.clone(),
            stored: layout.stored.clone(),
            is_count: layout.field.aggregate() == Aggregate::Count,
            values,
            validity: Validity::default(),
        }
    }

    /// Reads the values of one row and gives their size.
    fn push(&mut self, reader: &mut RowReader<'_>) -> Result<usize, ValueError> {
        let (stored, validity, is_count) = (&self.stored, &mut self.validity, self.is_count);
        match &mut self.values {
            Values::Doubles(values) => {
                gather(values, stored, validity, || reader.double())?;
                Ok(stored.len() * size_of::<f64>())
            }
            Values::Longs(values) => {
                let before = values.len();
                gather(values, stored, validity, || Ok(reader.long()?.or(is_count.then_some(0))))?;
                Ok(values.iter().skip(before).map(|value| varint_length(*value)).sum())
            }
            Values::Booleans(values) => {
                gather(values, stored, validity, || reader.boolean())?;
                Ok(stored.len())
            }
            Values::Strings(values) => {
                let before = values.len();
                gather(values, stored, validity, || Ok(reader.text()?.map(std::borrow::Cow::into_owned)))?;
                // Tag and length take two bytes or three.
                Ok(values.iter().skip(before).map(|value| value.len() + 3).sum())
            }
        }
    }

    fn push_empty(&mut self) -> usize {
        let count = self.stored.len();
        for _ in 0..count {
            self.validity.push(self.is_count);
        }
        match &mut self.values {
            Values::Doubles(values) => values.resize(values.len() + count, 0.0),
            Values::Longs(values) => values.resize(values.len() + count, 0),
            Values::Booleans(values) => values.resize(values.len() + count, false),
            Values::Strings(values) => values.resize(values.len() + count, String::new()),
        }
        count
    }

    fn take(&mut self) -> Column {
        let values = match &mut self.values {
            Values::Doubles(values) => ColumnValues::Doubles(Doubles { values: std::mem::take(values) }),
            Values::Longs(values) => ColumnValues::Longs(Longs { values: std::mem::take(values) }),
            Values::Booleans(values) => ColumnValues::Booleans(Booleans { values: std::mem::take(values) }),
            Values::Strings(values) => ColumnValues::Strings(Strings { values: std::mem::take(values) }),
        };
        Column { values: Some(values), validity: std::mem::take(&mut self.validity).bits }
    }

    fn error(&self, error: ValueError) -> RowError {
        match error {
            ValueError::Malformed => RowError::Malformed,
            ValueError::Misfit(found) => {
                let expected = match self.values {
                    Values::Doubles(_) => "number",
                    Values::Longs(_) => "integer",
                    Values::Booleans(_) => "boolean",
                    Values::Strings(_) => "text",
                };
                RowError::Misfit { field: self.name.clone(), found, expected }
            }
        }
    }
}

/// Reads one value for each stored element; what is missing gets the type's default in its place.
fn gather<T: Default>(
    values: &mut Vec<T>,
    stored: &[bool],
    validity: &mut Validity,
    mut read: impl FnMut() -> Result<Option<T>, ValueError>,
) -> Result<(), ValueError> {
    for is_stored in stored {
        let value = if *is_stored { read()? } else { None };
        validity.push(value.is_some());
        values.push(value.unwrap_or_default());
    }
    Ok(())
}

impl Validity {
    fn push(&mut self, is_valid: bool) {
        if !self.has_gaps {
            if is_valid {
                self.length += 1;
                return;
            }
            self.has_gaps = true;
            self.bits = vec![u8::MAX; self.length / 8];
            if !self.length.is_multiple_of(8) {
                self.bits.push((1 << (self.length % 8)) - 1);
            }
        }
        let bit = u8::from(is_valid) << (self.length % 8);
        match self.bits.last_mut() {
            Some(last) if !self.length.is_multiple_of(8) => *last |= bit,
            _ => self.bits.push(bit),
        }
        self.length += 1;
    }
}

/// Bytes of an integer in zigzag varint coding: seven bits a byte.
fn varint_length(value: i64) -> usize {
    let zigzag = (value << 1) ^ (value >> 63);
    let bits = u64::BITS - (zigzag.cast_unsigned() | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

#[cfg(test)]
#[path = "columns_tests.rs"]
mod tests;
