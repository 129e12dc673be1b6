//! Sample to bytes: the Avro body behind the Confluent wire format. Pure.
//!
//! The plan of a topic is made once; encoding walks it and allocates nothing but room in the buffer. Types and the
//! lengths of arrays are checked, because Avro itself cannot enforce a length.

use efd_sal::{Field, FieldType, NullBranch, PrivateFields, Topic, Value};
use efd_schema::{avro, wire};

use crate::damage::Damage;
use crate::misfit::Misfit;

/// Why a sample cannot be encoded; each names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// There are fewer values than fields.
    #[error("field {field} has no value")]
    Missing {
        /// The first field without a value.
        field: String,
    },
    /// There are more values than fields.
    #[error("{surplus} values more than fields, the last field is {field}")]
    Surplus {
        /// Name of the last field.
        field: String,
        /// How many values are left over.
        surplus: usize,
    },
    /// A value is not what its field holds.
    #[error(transparent)]
    Misfit(#[from] Misfit),
}

/// The fields of one topic in the order of its schema, and where the value of each comes from.
#[derive(Debug, Clone)]
pub struct RecordPlan {
    schema_id: u32,
    fields: Vec<PlannedField>,
    damage: Option<Damage>,
}

#[derive(Debug, Clone)]
struct PlannedField {
    name: String,
    source: Source,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    SalIndex,
    SndStamp,
    RcvStamp,
    EfdStamp,
    KafkaStamp,
    SeqNum,
    RevCode,
    Identity,
    Origin,
    Value(Shape),
}

/// What the bytes of a value are.
#[derive(Debug, Clone, Copy)]
struct Shape {
    ty: FieldType,
    count: usize,
    null: Option<NullBranch>,
}

impl RecordPlan {
    /// The plan of `topic`, whose schema has the id `schema_id` in the registry.
    pub fn new(topic: &Topic, schema_id: u32) -> Self {
        let fields = topic.fields.iter().map(|f| PlannedField { name: f.name.clone(), source: source(f) });
        Self { schema_id, fields: fields.collect(), damage: None }
    }

    /// The same plan, but nobody can decode what it encodes.
    pub fn damaged(self, damage: Damage) -> Self {
        Self { damage: Some(damage), ..self }
    }

    /// Id that the registry gave the schema.
    pub fn schema_id(&self) -> u32 {
        self.schema_id
    }

    /// Appends one record to `out`: magic byte, schema id, Avro body. `values` holds one value per field that is not
    /// private, in the topic's order. After an error `out` is as before.
    ///
    /// # Errors
    /// When a value is missing, left over, of another type or of another length than the interface says.
    pub fn encode(
        &self,
        private: &PrivateFields<'_>,
        values: &[Value],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        let result = self.append(private, values, out);
        match (&result, self.damage) {
            (Err(_), _) => out.truncate(start),
            (Ok(()), Some(damage)) => damage.apply(start, out),
            (Ok(()), None) => {}
        }
        result
    }

    fn append(
        &self,
        private: &PrivateFields<'_>,
        values: &[Value],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        wire::begin(out, self.schema_id);
        let mut rest = values.iter();
        for field in &self.fields {
            match field.source {
                Source::SalIndex => match private.sal_index {
                    Some(index) => avro::put_int(out, index),
                    None => return Err(EncodeError::Missing { field: field.name.clone() }),
                },
                Source::SndStamp => avro::put_double(out, private.snd_stamp),
                Source::RcvStamp => avro::put_double(out, private.rcv_stamp),
                Source::EfdStamp => avro::put_double(out, private.efd_stamp),
                Source::KafkaStamp => avro::put_double(out, private.kafka_stamp),
                Source::SeqNum => avro::put_int(out, private.seq_num),
                Source::RevCode => avro::put_str(out, private.rev_code),
                Source::Identity => avro::put_str(out, private.identity),
                Source::Origin => avro::put_int(out, private.origin),
                Source::Value(shape) => match rest.next() {
                    Some(value) => put_field(out, &field.name, shape, value)?,
                    None => return Err(EncodeError::Missing { field: field.name.clone() }),
                },
            }
        }
        match rest.len() {
            0 => Ok(()),
            surplus => {
                let field = self.fields.last().map(|field| field.name.clone()).unwrap_or_default();
                Err(EncodeError::Surplus { field, surplus })
            }
        }
    }
}

fn source(field: &Field) -> Source {
    let value = Source::Value(Shape { ty: field.ty, count: field.count, null: field.null });
    if !field.is_private {
        return value;
    }
    match field.name.as_str() {
        "salIndex" => Source::SalIndex,
        "private_sndStamp" => Source::SndStamp,
        "private_rcvStamp" => Source::RcvStamp,
        "private_efdStamp" => Source::EfdStamp,
        "private_kafkaStamp" => Source::KafkaStamp,
        "private_seqNum" => Source::SeqNum,
        "private_revCode" => Source::RevCode,
        "private_identity" => Source::Identity,
        "private_origin" => Source::Origin,
        _ => value,
    }
}

/// A value behind the number of its branch, where the field is a union; else the value alone.
fn put_field(out: &mut Vec<u8>, field: &str, shape: Shape, value: &Value) -> Result<(), Misfit> {
    let Some(null) = shape.null else {
        return put_value(out, field, shape, value);
    };
    let is_null = *value == Value::Null;
    avro::put_long(out, i64::from(is_null == (null == NullBranch::Last)));
    if is_null { Ok(()) } else { put_value(out, field, shape, value) }
}

fn put_value(out: &mut Vec<u8>, field: &str, shape: Shape, value: &Value) -> Result<(), Misfit> {
    let Shape { ty, count, .. } = shape;
    let is_array = count > 1;
    match (ty, is_array, value) {
        (FieldType::Boolean, false, Value::Boolean(value)) => avro::put_bool(out, *value),
        (FieldType::Int, false, Value::Int(value)) => avro::put_int(out, *value),
        (FieldType::Long, false, Value::Long(value)) => avro::put_long(out, *value),
        (FieldType::Float, false, Value::Float(value)) => avro::put_float(out, *value),
        (FieldType::Double, false, Value::Double(value)) => avro::put_double(out, *value),
        (FieldType::String, false, Value::String(value)) => avro::put_str(out, value),
        (FieldType::Boolean, true, Value::Booleans(items)) => {
            put_array(out, field, count, items, avro::put_bool)?;
        }
        (FieldType::Int, true, Value::Ints(items)) => {
            put_array(out, field, count, items, avro::put_int)?;
        }
        (FieldType::Long, true, Value::Longs(items)) => {
            put_array(out, field, count, items, avro::put_long)?;
        }
        (FieldType::Float, true, Value::Floats(items)) => {
            put_array(out, field, count, items, avro::put_float)?;
        }
        (FieldType::Double, true, Value::Doubles(items)) => {
            put_array(out, field, count, items, avro::put_double)?;
        }
        _ => {
            let expected =
                if is_array { format!("an array of {}", ty.avro_name()) } else { ty.avro_name().to_owned() };
            return Err(Misfit::Type { field: field.to_owned(), expected, found: kind(value) });
        }
    }
    Ok(())
}

fn put_array<T: Copy>(
    out: &mut Vec<u8>,
    field: &str,
    count: usize,
    items: &[T],
    put: impl Fn(&mut Vec<u8>, T),
) -> Result<(), Misfit> {
    if items.len() != count {
        return Err(Misfit::Length { field: field.to_owned(), expected: count, found: items.len() });
    }
    out.reserve(size_of_val(items) + 8);
    avro::put_array_start(out, count);
    for item in items {
        put(out, *item);
    }
    avro::put_array_end(out);
    Ok(())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Boolean(_) => "boolean",
        Value::Int(_) => "int",
        Value::Long(_) => "long",
        Value::Float(_) => "float",
        Value::Double(_) => "double",
        Value::String(_) => "string",
        Value::Booleans(_) => "an array of boolean",
        Value::Ints(_) => "an array of int",
        Value::Longs(_) => "an array of long",
        Value::Floats(_) => "an array of float",
        Value::Doubles(_) => "an array of double",
    }
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
