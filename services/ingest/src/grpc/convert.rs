//! Fields as a client gives them to values as the topic has them. Pure.

use std::collections::HashMap;

use efd_proto::ingest::v1 as proto;
use efd_proto::ingest::v1::value::Kind;
use efd_sal::{Field, FieldType, NullBranch, Value};

use crate::grpc::refusal::{Refusal, quoted};
use crate::misfit::Misfit;
use crate::sample::SampleTopic;

/// Private fields that the client gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// Instance.
    pub sal_index: Option<i32>,
    /// TAI, Unix seconds.
    pub snd_stamp: Option<f64>,
    /// TAI, Unix seconds.
    pub rcv_stamp: Option<f64>,
    /// UTC, Unix seconds.
    pub efd_stamp: Option<f64>,
    /// TAI, Unix seconds.
    pub kafka_stamp: Option<f64>,
    /// Sequence number.
    pub seq_num: Option<i32>,
    /// Publisher.
    pub identity: Option<String>,
    /// Process id of the publisher.
    pub origin: Option<i32>,
}

/// One value per field of the topic that is not private, in the topic's order, and what is given of the others.
///
/// # Errors
/// A field that the topic has not, or a value that the field cannot hold.
pub fn convert(
    topic: &SampleTopic,
    mut fields: HashMap<String, proto::Value>,
) -> Result<(Vec<Value>, Given), Refusal> {
    let mut values = Vec::with_capacity(topic.topic.fields.len());
    let mut given = Given::default();
    for field in &topic.topic.fields {
        let value = fields.remove(&field.name).map(|value| convert_value(field, value.kind)).transpose()?;
        if !field.is_private {
            values.push(value.unwrap_or_else(|| default_value(field)));
        } else if let Some(value) = value {
            keep(&mut given, topic, field, value)?;
        }
    }
    match fields.into_keys().min() {
        None => Ok((values, given)),
        Some(unknown) => {
            let field = quoted(&unknown).to_owned();
            let names = topic.topic.fields.iter().map(|field| field.name.as_str());
            let hint = efd_sal::hint(&field, names);
            Err(Refusal::UnknownField { topic: topic.topic.measurement(), field, hint })
        }
    }
}

fn keep(given: &mut Given, topic: &SampleTopic, field: &Field, value: Value) -> Result<(), Refusal> {
    match (field.name.as_str(), value) {
        ("salIndex", Value::Int(index)) => given.sal_index = Some(index),
        ("private_sndStamp", Value::Double(seconds)) => given.snd_stamp = Some(seconds),
        ("private_rcvStamp", Value::Double(seconds)) => given.rcv_stamp = Some(seconds),
        ("private_efdStamp", Value::Double(seconds)) => given.efd_stamp = Some(seconds),
        ("private_kafkaStamp", Value::Double(seconds)) => given.kafka_stamp = Some(seconds),
        ("private_seqNum", Value::Int(number)) => given.seq_num = Some(number),
        ("private_identity", Value::String(identity)) => given.identity = Some(identity),
        ("private_origin", Value::Int(origin)) => given.origin = Some(origin),
        ("private_revCode", Value::String(found)) if found != topic.rev_code => {
            let (topic, expected) = (topic.topic.measurement(), topic.rev_code.clone());
            return Err(Refusal::WrongRevCode { topic, expected, found: quoted(&found).to_owned() });
        }
        _ => {}
    }
    Ok(())
}

/// What a field holds that is left out: what the schema says.
fn default_value(field: &Field) -> Value {
    if field.null == Some(NullBranch::First) {
        return Value::Null;
    }
    let count = field.count;
    match (field.ty, field.is_array()) {
        (FieldType::Boolean, false) => Value::Boolean(false),
        (FieldType::Int, false) => Value::Int(0),
        (FieldType::Long, false) => Value::Long(0),
        (FieldType::Float, false) => Value::Float(0.0),
        (FieldType::Double, false) => Value::Double(0.0),
        (FieldType::String, _) => Value::String(String::new()),
        (FieldType::Boolean, true) => Value::Booleans(vec![false; count]),
        (FieldType::Int, true) => Value::Ints(vec![0; count]),
        (FieldType::Long, true) => Value::Longs(vec![0; count]),
        (FieldType::Float, true) => Value::Floats(vec![0.0; count]),
        (FieldType::Double, true) => Value::Doubles(vec![0.0; count]),
    }
}

fn convert_value(field: &Field, kind: Option<Kind>) -> Result<Value, Refusal> {
    let Some(kind) = kind else {
        return if field.null.is_some() { Ok(Value::Null) } else { Err(wrong_type(field, "nothing")) };
    };
    let value = match (field.ty, field.is_array(), kind) {
        (FieldType::Boolean, false, Kind::BooleanValue(value)) => Value::Boolean(value),
        (FieldType::Int, false, Kind::LongValue(value)) => Value::Int(int(field, value, None)?),
        (FieldType::Long, false, Kind::LongValue(value)) => Value::Long(in_range(field, value, None)?),
        (FieldType::Float, false, Kind::DoubleValue(value)) => Value::Float(float(field, value, None)?),
        (FieldType::Double, false, Kind::DoubleValue(value)) => Value::Double(value),
        (FieldType::String, false, Kind::StringValue(value)) => Value::String(value),
        (FieldType::Boolean, true, Kind::Booleans(array)) => Value::Booleans(sized(field, array.values)?),
        (FieldType::Int, true, Kind::Longs(array)) => {
            Value::Ints(each(field, &sized(field, array.values)?, int)?)
        }
        (FieldType::Long, true, Kind::Longs(array)) => {
            Value::Longs(each(field, &sized(field, array.values)?, in_range)?)
        }
        (FieldType::Float, true, Kind::Floats(array)) => Value::Floats(sized(field, array.values)?),
        (FieldType::Float, true, Kind::Doubles(array)) => {
            Value::Floats(each(field, &sized(field, array.values)?, float)?)
        }
        (FieldType::Double, true, Kind::Doubles(array)) => Value::Doubles(sized(field, array.values)?),
        (_, _, other) => return Err(wrong_type(field, name_of(&other))),
    };
    Ok(value)
}

fn each<T: Copy, U>(
    field: &Field,
    items: &[T],
    convert: impl Fn(&Field, T, Option<usize>) -> Result<U, Refusal>,
) -> Result<Vec<U>, Refusal> {
    items.iter().enumerate().map(|(place, item)| convert(field, *item, Some(place))).collect()
}

fn sized<T>(field: &Field, items: Vec<T>) -> Result<Vec<T>, Refusal> {
    if items.len() == field.count {
        return Ok(items);
    }
    Err(Misfit::Length { field: field.name.clone(), expected: field.count, found: items.len() }.into())
}

fn int(field: &Field, value: i64, place: Option<usize>) -> Result<i32, Refusal> {
    let value = in_range(field, value, place)?;
    // The range of an int is never wider than 32 bits.
    i32::try_from(value).map_err(|_| out_of_range(field, value, place, "it has 32 bits".to_owned()))
}

fn in_range(field: &Field, value: i64, place: Option<usize>) -> Result<i64, Refusal> {
    match &field.range {
        Some(range) if !range.contains(&value) => {
            let reason = format!("it is between {} and {}", range.start(), range.end());
            Err(out_of_range(field, value, place, reason))
        }
        _ => Ok(value),
    }
}

fn float(field: &Field, value: f64, place: Option<usize>) -> Result<f32, Refusal> {
    #[expect(clippy::cast_possible_truncation, reason = "rounding is what the contract says")]
    let narrowed = value as f32;
    if narrowed.is_infinite() && value.is_finite() {
        let reason = format!("as a float it is between {} and {}", f32::MIN, f32::MAX);
        return Err(out_of_range(field, value, place, reason));
    }
    Ok(narrowed)
}

fn out_of_range(
    field: &Field,
    value: impl std::fmt::Display,
    place: Option<usize>,
    reason: String,
) -> Refusal {
    let value = match place {
        None => value.to_string(),
        Some(place) => format!("{value} (element {place})"),
    };
    Refusal::OutOfRange { field: field.name.clone(), value, reason }
}

fn wrong_type(field: &Field, found: &'static str) -> Refusal {
    let name = field.ty.avro_name();
    let (kind, is_array) = (field.ty, field.is_array());
    let wanted = match (kind, is_array) {
        (FieldType::Boolean, false) => "boolean_value",
        (FieldType::Int | FieldType::Long, false) => "long_value",
        (FieldType::Float | FieldType::Double, false) => "double_value",
        (FieldType::String, _) => "string_value",
        (FieldType::Boolean, true) => "booleans",
        (FieldType::Int | FieldType::Long, true) => "longs",
        (FieldType::Float, true) => "floats or doubles",
        (FieldType::Double, true) => "doubles",
    };
    let expected =
        if is_array { format!("an array of {name} ({wanted})") } else { format!("{name} ({wanted})") };
    Misfit::Type { field: field.name.clone(), expected, found }.into()
}

fn name_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::BooleanValue(_) => "boolean_value",
        Kind::LongValue(_) => "long_value",
        Kind::DoubleValue(_) => "double_value",
        Kind::StringValue(_) => "string_value",
        Kind::Booleans(_) => "booleans",
        Kind::Longs(_) => "longs",
        Kind::Doubles(_) => "doubles",
        Kind::Floats(_) => "floats",
    }
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
