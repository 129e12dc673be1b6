//! Columns of the gateway's answer as Arrow's (pure).
//!
//! The same as those of the Python package: `time` in nanoseconds UTC, integers as `int64`, floating-point numbers as `float64`, arrays as
//! lists of one length; a field says its type, unit and description in its metadata. Numbers are not touched one by one.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeListArray, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampNanosecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field as ArrowField, Schema, TimeUnit};
use efd_proto::query::v1::column::Values;
use efd_proto::query::v1::{Aggregate, Batch, Column, Field, FieldType, Header};

use super::columns::FieldValues;
use crate::gateway::{scalar_type_name, statistic_name};

/// Name of the column of times.
const TIME: &str = "time";
/// Their scale.
const UTC: &str = "UTC";
/// Name of the elements of a list, as Parquet has it.
const ELEMENT: &str = "element";

/// The columns of an answer.
///
/// # Errors
/// When a field is of a type that this version does not know.
pub fn schema(header: &Header) -> anyhow::Result<Schema> {
    let time = ArrowField::new(TIME, DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())), false);
    let fields = header.fields.iter().map(|field| {
        Ok(ArrowField::new(&field.name, data_type(field)?, true).with_metadata(field_metadata(field)))
    });
    let fields = std::iter::once(Ok(time)).chain(fields).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Schema::new(fields).with_metadata(HashMap::from([("topic".to_owned(), header.topic.clone())])))
}

/// The rows of a batch.
///
/// # Errors
/// When its columns are not those of the header.
pub fn batch(fields: &[Field], schema: &Arc<Schema>, batch: Batch) -> anyhow::Result<RecordBatch> {
    if batch.columns.len() != fields.len() {
        bail!("{} columns came for {} fields", batch.columns.len(), fields.len());
    }
    let rows = batch.times.len();
    let times = TimestampNanosecondArray::from(batch.times).with_timezone(UTC);
    let columns = fields.iter().zip(batch.columns).map(|(field, column)| array(field, column, rows));
    let first: anyhow::Result<ArrayRef> = Ok(Arc::new(times));
    let columns = std::iter::once(first).chain(columns).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn data_type(field: &Field) -> anyhow::Result<DataType> {
    let element = match field.r#type() {
        FieldType::Boolean => DataType::Boolean,
        // A stored value may be larger than the schema of today allows.
        FieldType::Int | FieldType::Long => DataType::Int64,
        FieldType::Float | FieldType::Double => DataType::Float64,
        FieldType::String | FieldType::Bytes | FieldType::Enum => DataType::Utf8,
        FieldType::Unspecified => bail!("field {} is of a type that this efd does not know", field.name),
    };
    Ok(match field.array_length {
        None => element,
        // Nothing was recorded of an array of unknown length.
        Some(0) => DataType::List(element_field(element)),
        Some(length) => DataType::FixedSizeList(element_field(element), length_of(field, length)?),
    })
}

fn element_field(element: DataType) -> Arc<ArrowField> {
    Arc::new(ArrowField::new(ELEMENT, element, true))
}

fn length_of(field: &Field, length: u32) -> anyhow::Result<i32> {
    i32::try_from(length).with_context(|| format!("array {} is too long", field.name))
}

/// What a column says of itself.
fn field_metadata(field: &Field) -> HashMap<String, String> {
    let mut metadata = HashMap::from([
        ("type".to_owned(), scalar_type_name(field.r#type()).to_owned()),
        ("unit".to_owned(), field.unit.clone()),
        ("description".to_owned(), field.description.clone()),
    ]);
    if !field.symbols.is_empty() {
        let symbols = serde_json::Value::from(field.symbols.clone());
        metadata.insert("symbols".to_owned(), symbols.to_string());
    }
    if field.aggregate() != Aggregate::Unspecified {
        metadata.insert("aggregate".to_owned(), statistic_name(field.aggregate()));
    }
    metadata
}

fn array(field: &Field, column: Column, rows: usize) -> anyhow::Result<ArrayRef> {
    FieldValues::new(field, &column, rows)?;
    let elements = flat(column)?;
    let kind = element_field(elements.data_type().clone());
    Ok(match field.array_length {
        None => elements,
        Some(0) => {
            let offsets = OffsetBuffer::new_zeroed(rows);
            Arc::new(ListArray::try_new(kind, offsets, elements, None)?)
        }
        Some(length) => {
            Arc::new(FixedSizeListArray::try_new(kind, length_of(field, length)?, elements, None)?)
        }
    })
}

/// All values of a column, one after the other.
fn flat(column: Column) -> anyhow::Result<ArrayRef> {
    let validity = column.validity;
    Ok(match column.values.context("a column is empty")? {
        Values::Doubles(doubles) => {
            let nulls = nulls(validity, doubles.values.len());
            Arc::new(Float64Array::try_new(doubles.values.into(), nulls)?)
        }
        Values::Longs(longs) => {
            let nulls = nulls(validity, longs.values.len());
            Arc::new(Int64Array::try_new(longs.values.into(), nulls)?)
        }
        Values::Booleans(booleans) => {
            let nulls = nulls(validity, booleans.values.len());
            Arc::new(BooleanArray::new(BooleanBuffer::from(booleans.values), nulls))
        }
        Values::Strings(strings) => {
            let nulls = nulls(validity, strings.values.len());
            let (offsets, bytes, _) = StringArray::from_iter_values(strings.values).into_parts();
            Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
        }
    })
}

/// Which values were recorded: bits of the same order as Arrow's.
fn nulls(mut validity: Vec<u8>, count: usize) -> Option<NullBuffer> {
    if validity.is_empty() {
        return None;
    }
    validity.resize(count.div_ceil(8), 0);
    Some(NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(validity), 0, count)))
}

#[cfg(test)]
mod tests {
    use efd_proto::query::v1::{Booleans, Doubles, Longs, Strings};

    use super::*;

    fn field(name: &str, ty: FieldType) -> Field {
        Field { name: name.into(), r#type: ty.into(), ..Field::default() }
    }

    fn header() -> Header {
        let force = Field {
            unit: "N".into(),
            description: "pull".into(),
            array_length: Some(2),
            ..field("force", FieldType::Float)
        };
        let state = Field { symbols: vec!["OFF".into(), "\"ON\"".into()], ..field("state", FieldType::Enum) };
        let count = Field { aggregate: Aggregate::Max.into(), ..field("count_max", FieldType::Int) };
        let unknown = Field { array_length: Some(0), ..field("unknown", FieldType::Boolean) };
        Header { topic: "t".into(), fields: vec![force, state, count, unknown] }
    }

    fn column(values: Values, validity: &[u8]) -> Column {
        Column { values: Some(values), validity: validity.to_vec() }
    }

    #[test]
    fn columns_say_what_they_are() {
        let schema = schema(&header()).unwrap();
        let types: Vec<String> = schema.fields().iter().map(|field| field.data_type().to_string()).collect();
        assert_eq!(types[0], "Timestamp(ns, \"UTC\")");
        assert_eq!(types[1], "FixedSizeList(2 x Float64, field: 'element')");
        assert_eq!(types[4], "List(Boolean, field: 'element')");
        let said = |place: usize, key: &str| schema.field(place).metadata().get(key).cloned();
        assert_eq!((said(1, "type").as_deref(), said(1, "unit").as_deref()), (Some("float"), Some("N")));
        assert_eq!(said(1, "description").as_deref(), Some("pull"));
        assert_eq!(said(2, "symbols").as_deref(), Some("[\"OFF\",\"\\\"ON\\\"\"]"));
        assert_eq!((said(3, "aggregate").as_deref(), said(2, "aggregate")), (Some("max"), None));
        assert_eq!(schema.metadata()["topic"], "t");
    }

    #[test]
    fn values_and_gaps_are_those_of_the_answer() {
        let header = header();
        let schema = Arc::new(schema(&header).unwrap());
        let columns = vec![
            column(Values::Doubles(Doubles { values: vec![0.5, 1.0, 0.0, 2.0] }), &[0b1011]),
            column(Values::Strings(Strings { values: vec!["OFF".into(), String::new()] }), &[0b01]),
            column(Values::Longs(Longs { values: vec![7, -1] }), &[]),
            column(Values::Booleans(Booleans { values: vec![] }), &[]),
        ];
        let rows = batch(&header.fields, &schema, Batch { times: vec![1, 2], columns }).unwrap();
        let lists: &FixedSizeListArray = rows.column(1).as_any().downcast_ref().unwrap();
        let elements: &Float64Array = lists.values().as_any().downcast_ref().unwrap();
        assert_eq!(elements.iter().collect::<Vec<_>>(), [Some(0.5), Some(1.0), None, Some(2.0)]);
        let states: &StringArray = rows.column(2).as_any().downcast_ref().unwrap();
        assert_eq!(states.iter().collect::<Vec<_>>(), [Some("OFF"), None]);
        assert_eq!((rows.num_rows(), rows.column(3).null_count(), rows.column(4).len()), (2, 0, 2));
    }

    #[test]
    fn a_batch_of_other_columns_is_refused() {
        let header = header();
        let schema = Arc::new(schema(&header).unwrap());
        let none = Batch { times: vec![1], columns: vec![] };
        assert!(batch(&header.fields, &schema, none).is_err());
        let short = column(Values::Doubles(Doubles { values: vec![0.5] }), &[]);
        let wrong =
            Batch { times: vec![1], columns: vec![short.clone(), short.clone(), short.clone(), short] };
        let error = batch(&header.fields, &schema, wrong).unwrap_err().to_string();
        assert!(error.contains("column force has 1 values instead of 2"), "{error}");
    }
}
