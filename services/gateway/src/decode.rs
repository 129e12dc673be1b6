//! A record from Kafka becomes the row that InfluxDB would give of it (pure).
//!
//! The row has the form of InfluxDB's answers, `[time,value,…]`, so that one reader makes columns of both, and nothing can differ between
//! history and present: what the sink leaves out (null, NaN, infinities, a name that another field has) is null here, too.

use std::collections::HashMap;
use std::fmt::Write as _;

use efd_schema::avro::{AvroError, Reader};
use efd_schema::point_time::{TimeError, nanos};
use efd_schema::{Field, RecordSchema, Type};
use thiserror::Error;

/// The field with the time of a record, in seconds UTC.
const TIME_FIELD: &str = "private_efdStamp";

/// Why formatting into a string is expected to succeed.
const INFALLIBLE: &str = "writing to a string cannot fail";

/// Why a record has no row.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes are not what the schema says.
    #[error("the record does not fit its schema: {0}")]
    Avro(#[from] AvroError),
    /// A union or an enum has no such number.
    #[error("the record does not fit its schema: there is no choice {0}")]
    Choice(i64),
    /// An array of arrays.
    #[error("the schema has an array of arrays")]
    Nested,
    /// It has no time.
    #[error("the record has no time: {0}")]
    Time(#[from] TimeError),
}

/// How records of one schema become rows.
#[derive(Debug)]
pub struct Decoder {
    fields: Vec<Field>,
    /// Places of wanted columns by stored name; the first field that has a name takes it.
    places: HashMap<String, usize>,
    columns: usize,
}

/// A record as a row.
#[derive(Debug, Default)]
pub struct Row {
    /// Time, as InfluxDB has it.
    pub time: i64,
    cells: Vec<String>,
}

impl Decoder {
    /// For the stored columns of a row, in order.
    pub fn new(schema: RecordSchema, columns: &[String]) -> Self {
        let places = columns.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect();
        Self { fields: schema.fields, places, columns: columns.len() }
    }

    /// The row of a record's Avro body.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn row(&self, body: &[u8]) -> Result<Row, DecodeError> {
        let mut reader = Reader::new(body);
        let mut row = Row { time: 0, cells: vec![String::new(); self.columns] };
        let mut time = None;
        for field in &self.fields {
            let Some(ty) = present(&field.ty, &mut reader)? else { continue };
            if let Type::Array(items) = ty {
                self.array(&field.name, items, &mut reader, &mut row)?;
                continue;
            }
            let text = scalar(ty, &mut reader)?;
            if field.name == TIME_FIELD {
                time = text.as_deref().map(|text| nanos(text.as_bytes(), 9)).transpose()?;
            }
            self.put(&field.name, text, &mut row);
        }
        row.time = time.ok_or(TimeError::Missing)?;
        Ok(row)
    }

    fn array(
        &self,
        name: &str,
        items: &Type,
        reader: &mut Reader<'_>,
        row: &mut Row,
    ) -> Result<(), DecodeError> {
        let mut stored = String::new();
        let mut index = 0_usize;
        loop {
            let count = reader.block()?;
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                let text = match present(items, reader)? {
                    Some(Type::Array(_)) => return Err(DecodeError::Nested),
                    Some(item) => scalar(item, reader)?,
                    None => None,
                };
                stored.clear();
                write!(stored, "{name}{index}").expect(INFALLIBLE);
                self.put(&stored, text, row);
                index += 1;
            }
        }
    }

    fn put(&self, name: &str, text: Option<String>, row: &mut Row) {
        let cell = self.places.get(name).and_then(|place| row.cells.get_mut(*place));
        if let (Some(cell), Some(text)) = (cell, text)
            && cell.is_empty()
        {
            *cell = text;
        }
    }
}

impl Row {
    /// The text of one of its columns; empty where there is no value.
    pub fn cell(&self, place: usize) -> &str {
        self.cells.get(place).map_or("", String::as_str)
    }

    /// The first `columns` columns as InfluxDB writes them.
    pub fn text(&self, columns: usize) -> String {
        let mut text = format!("[{}", self.time);
        for cell in self.cells.iter().take(columns) {
            text.push(',');
            text.push_str(if cell.is_empty() { "null" } else { cell });
        }
        text.push(']');
        text
    }
}

/// The type of the value that comes; none for null.
fn present<'a>(ty: &'a Type, reader: &mut Reader<'_>) -> Result<Option<&'a Type>, DecodeError> {
    let Type::Nullable { null_branch, inner } = ty else { return Ok(Some(ty)) };
    match reader.long()? {
        branch if usize::try_from(branch) == Ok(*null_branch) => Ok(None),
        0 | 1 => Ok(Some(inner)),
        other => Err(DecodeError::Choice(other)),
    }
}

/// A value as JSON; none for what InfluxDB cannot hold.
fn scalar(ty: &Type, reader: &mut Reader<'_>) -> Result<Option<String>, DecodeError> {
    let double = |value: f64| value.is_finite().then(|| value.to_string());
    let text = |bytes: &[u8]| Some(serde_json::Value::from(String::from_utf8_lossy(bytes)).to_string());
    Ok(match ty {
        Type::Boolean => Some(reader.boolean()?.to_string()),
        Type::Int => Some(reader.int()?.to_string()),
        Type::Long => Some(reader.long()?.to_string()),
        Type::Float => double(f64::from(reader.float()?)),
        Type::Double => double(reader.double()?),
        Type::String | Type::Bytes => text(reader.bytes()?),
        Type::Fixed(length) => text(reader.fixed(*length)?),
        Type::Enum(symbols) => {
            let number = reader.long()?;
            let symbol = usize::try_from(number).ok().and_then(|number| symbols.get(number));
            text(symbol.ok_or(DecodeError::Choice(number))?.as_bytes())
        }
        Type::Array(_) | Type::Nullable { .. } => return Err(DecodeError::Nested),
    })
}

#[cfg(test)]
mod tests {
    use efd_schema::avro::{put_array_end, put_array_start, put_double, put_float, put_long, put_str};

    use super::*;

    const SCHEMA: &str = r#"{"type":"record","name":"y","namespace":"lsst.sal.X","fields":[
        {"name":"private_efdStamp","type":"double"},{"name":"a","type":{"type":"array","items":"float"}},
        {"name":"a1","type":"int"},{"name":"s","type":"string"},{"name":"n","type":["null","double"]},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["ON","OFF"]}}]}"#;

    fn body(time: f64, symbol: i64) -> Vec<u8> {
        let mut body = Vec::new();
        put_double(&mut body, time);
        put_array_start(&mut body, 3);
        for item in [0.5, f32::NAN, 0.1] {
            put_float(&mut body, item);
        }
        put_array_end(&mut body);
        put_long(&mut body, 7);
        put_str(&mut body, "q\"\n");
        put_long(&mut body, 0);
        put_long(&mut body, symbol);
        body
    }

    fn decoder() -> Decoder {
        let columns = ["a0", "a1", "a2", "s", "n", "e", "gone"].map(str::to_owned);
        Decoder::new(RecordSchema::parse(SCHEMA).unwrap(), &columns)
    }

    #[test]
    fn a_record_is_the_row_that_influxdb_would_give() {
        let row = decoder().row(&body(1_700_000_000.123_456_7, 1)).unwrap();
        assert_eq!(row.time, 1_700_000_000_123_457_000);
        assert_eq!(row.text(7), r#"[1700000000123457000,0.5,7,0.10000000149011612,"q\"\n",null,"OFF",null]"#);
        assert_eq!((row.cell(1), row.cell(6), row.cell(9)), ("7", "", ""));
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        assert_eq!(decoder().row(&body(1.0, 5)).unwrap_err(), DecodeError::Choice(5));
        assert_eq!(decoder().row(&body(f64::NAN, 0)).unwrap_err(), DecodeError::Time(TimeError::Missing));
        assert_eq!(decoder().row(&[1, 2]).unwrap_err(), DecodeError::Avro(AvroError::Truncated));
    }
}
