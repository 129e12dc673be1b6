//! The points that records must become, worked out apart from the sink: apache-avro decodes, and the rules of the mapping stand here once more.
//!
//! A row is kept as a number: the sum of one hash for each field, of its name, its type and its value. So millions of values are
//! compared in little memory, and no field can be missing, added or changed without the row being another. Interfaces
//! whose fields claim the same name in InfluxDB are not for this oracle.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use efd_schema::{RegistryClient, RegistryConfig};

/// The field whose value is the time.
const TIME_FIELD: &str = "private_efdStamp";

/// A value as InfluxDB holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldValue<'a> {
    /// Integer.
    Integer(i64),
    /// Float.
    Float(f64),
    /// Boolean.
    Boolean(bool),
    /// String.
    Text(&'a str),
}

/// All fields of a point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Row {
    /// How many.
    pub fields: u32,
    /// Which: the order does not count.
    pub hash: u64,
}

/// What the bytes of a record must become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A point.
    Point {
        /// Measurement.
        measurement: Arc<str>,
        /// Unix nanoseconds.
        nanos: i64,
        /// Its fields.
        row: Row,
    },
    /// A dead letter.
    Undecodable,
    /// Nothing.
    Tombstone,
}

/// Knows the schemas of a registry.
#[derive(Debug)]
pub struct Oracle {
    registry: RegistryClient,
    runtime: tokio::runtime::Handle,
    schemas: HashMap<u32, Known>,
}

#[derive(Debug)]
struct Known {
    measurement: Arc<str>,
    schema: Schema,
}

impl Row {
    /// One field more.
    pub fn add(&mut self, name: &str, value: FieldValue<'_>) {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        match value {
            FieldValue::Integer(value) => (0_u8, value).hash(&mut hasher),
            FieldValue::Float(value) => (1_u8, value.to_bits()).hash(&mut hasher),
            FieldValue::Boolean(value) => (2_u8, value).hash(&mut hasher),
            FieldValue::Text(value) => (3_u8, value).hash(&mut hasher),
        }
        self.hash = self.hash.wrapping_add(hasher.finish());
        self.fields += 1;
    }
}

impl Oracle {
    /// Asks this registry; the oracle works on a thread that may block.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn new(registry_url: String) -> anyhow::Result<Self> {
        let config = RegistryConfig { url: Some(registry_url), ..RegistryConfig::default() };
        let registry = RegistryClient::new(&config)?;
        Ok(Self { registry, runtime: tokio::runtime::Handle::current(), schemas: HashMap::new() })
    }

    /// What a record with these bytes must become.
    ///
    /// # Errors
    /// When the registry does not answer, or a value is of a kind that SAL does not have.
    pub fn expects(&mut self, payload: Option<&[u8]>) -> anyhow::Result<Expected> {
        let Some(payload) = payload else { return Ok(Expected::Tombstone) };
        let [0, a, b, c, d, body @ ..] = payload else { return Ok(Expected::Undecodable) };
        let id = u32::from_be_bytes([*a, *b, *c, *d]);
        if !self.schemas.contains_key(&id) {
            let known = self.runtime.block_on(schema(&self.registry, id))?;
            self.schemas.insert(id, known);
        }
        let known = self.schemas.get(&id).context("the schema was found")?;
        let reader = GenericDatumReader::builder(&known.schema).build()?;
        let mut rest = body;
        let Ok(Value::Record(fields)) = reader.read_value(&mut rest) else {
            return Ok(Expected::Undecodable);
        };
        let mut row = Row::default();
        let mut nanos = None;
        for (name, value) in &fields {
            if name == TIME_FIELD
                && let Value::Double(seconds) = plain(value)
            {
                nanos = Some(time(*seconds)?);
            }
            flatten(&mut row, name, value)?;
        }
        let nanos = nanos.with_context(|| format!("{} has no {TIME_FIELD}", known.measurement))?;
        Ok(Expected::Point { measurement: known.measurement.clone(), nanos, row })
    }
}

async fn schema(registry: &RegistryClient, id: u32) -> anyhow::Result<Known> {
    let text = registry.schema_by_id(id).await?;
    let schema = Schema::parse_str(&text)?;
    let name = schema.name().with_context(|| format!("schema {id} is no record"))?;
    let measurement = name.fullname(None).into();
    Ok(Known { measurement, schema })
}

/// What stands in a union.
fn plain(value: &Value) -> &Value {
    match value {
        Value::Union(_, inner) => plain(inner),
        other => other,
    }
}

/// Adds a field; an array as one field for each element, and nothing for what InfluxDB cannot hold.
fn flatten(row: &mut Row, name: &str, value: &Value) -> anyhow::Result<()> {
    let value = match plain(value) {
        Value::Null => return Ok(()),
        Value::Array(elements) => {
            return elements
                .iter()
                .enumerate()
                .try_for_each(|(place, element)| flatten(row, &format!("{name}{place}"), element));
        }
        Value::Int(value) => FieldValue::Integer((*value).into()),
        Value::Long(value) => FieldValue::Integer(*value),
        Value::Float(value) => FieldValue::Float((*value).into()),
        Value::Double(value) => FieldValue::Float(*value),
        Value::Boolean(value) => FieldValue::Boolean(*value),
        Value::String(value) | Value::Enum(_, value) => FieldValue::Text(value),
        other => bail!("field {name} is {other:?}, which the oracle does not know"),
    };
    if !matches!(value, FieldValue::Float(value) if !value.is_finite()) {
        row.add(name, value);
    }
    Ok(())
}

/// Unix nanoseconds: the shortest decimal text of the seconds, floored to a nanosecond, rounded half up to a microsecond.
fn time(seconds: f64) -> anyhow::Result<i64> {
    let text = seconds.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanos: i64 = format!("{whole}{fraction}").parse().with_context(|| format!("time {text}"))?;
    anyhow::ensure!(nanos >= 0, "time {text} is before 1970");
    Ok((nanos + 500) / 1000 * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_floored_to_nanoseconds_and_rounded_half_up_to_microseconds() {
        let cases = [
            (1_656_632_100.123_456, 1_656_632_100_123_456_000),
            (1_656_632_100.123_456_7, 1_656_632_100_123_457_000),
            (1_625_491_200.999_999_8, 1_625_491_201_000_000_000),
            (0.0, 0),
        ];
        for (seconds, nanos) in cases {
            assert_eq!(time(seconds).unwrap(), nanos, "{seconds}");
        }
        assert!(time(-1.5).is_err() && time(f64::NAN).is_err());
    }

    #[test]
    fn a_row_is_another_when_a_name_a_type_or_a_value_is() {
        let row = |fields: &[(&str, FieldValue<'_>)]| {
            let mut row = Row::default();
            fields.iter().for_each(|(name, value)| row.add(name, *value));
            row
        };
        let [a, b] = [("a", FieldValue::Integer(1)), ("b", FieldValue::Text("x"))];
        assert_eq!(row(&[a, b]), row(&[b, a]));
        let others = [
            vec![a],
            vec![a, ("b", FieldValue::Text("y"))],
            vec![("a", FieldValue::Float(1.0)), b],
            vec![("c", FieldValue::Integer(1)), b],
        ];
        for other in others {
            assert_ne!(row(&[a, b]), row(&other));
        }
    }

    #[test]
    fn arrays_become_fields_and_what_is_no_number_is_left_out() {
        let mut row = Row::default();
        let array = Value::Array(vec![Value::Float(0.1), Value::Float(f32::NAN), Value::Float(-0.5)]);
        flatten(&mut row, "x", &array).unwrap();
        flatten(&mut row, "none", &Value::Union(1, Box::new(Value::Null))).unwrap();
        flatten(&mut row, "some", &Value::Union(0, Box::new(Value::Int(7)))).unwrap();
        let mut expected = Row::default();
        expected.add("x0", FieldValue::Float(0.100_000_001_490_116_12));
        expected.add("x2", FieldValue::Float(-0.5));
        expected.add("some", FieldValue::Integer(7));
        assert_eq!(row, expected);
    }
}
