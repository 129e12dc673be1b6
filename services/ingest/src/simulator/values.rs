//! Values of fields by name, for topics whose fields mean something. Pure.

use std::mem::discriminant;

use efd_sal::{Field, FieldType, Topic, Value};

/// One value per field that is not private; fields not in `set`, or of another type there, have their defaults.
pub fn values(topic: &Topic, set: &[(&str, Value)]) -> Vec<Value> {
    let fields = topic.fields.iter().filter(|field| !field.is_private);
    let value = |field: &Field| {
        let default = default_value(field);
        let given = set.iter().find(|(name, _)| *name == field.name).map(|(_, value)| value);
        let same_type = |value: &&Value| discriminant(*value) == discriminant(&default);
        given.filter(same_type).cloned().unwrap_or(default)
    };
    fields.map(value).collect()
}

/// A string.
pub fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// What SAL sends for a field that nobody set.
fn default_value(field: &Field) -> Value {
    match (field.ty, field.count) {
        (FieldType::Boolean, 1) => Value::Boolean(false),
        (FieldType::Int, 1) => Value::Int(0),
        (FieldType::Long, 1) => Value::Long(0),
        (FieldType::Float, 1) => Value::Float(0.0),
        (FieldType::Double, 1) => Value::Double(0.0),
        (FieldType::String, _) => Value::String(String::new()),
        (FieldType::Boolean, count) => Value::Booleans(vec![false; count]),
        (FieldType::Int, count) => Value::Ints(vec![0; count]),
        (FieldType::Long, count) => Value::Longs(vec![0; count]),
        (FieldType::Float, count) => Value::Floats(vec![0.0; count]),
        (FieldType::Double, count) => Value::Doubles(vec![0.0; count]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{field, topic};

    #[test]
    fn a_field_of_another_type_gets_its_default() {
        let fields = vec![field("summaryState", FieldType::Long, 1), field("mode", FieldType::Int, 1)];
        let topic = topic("ATCamera", "logevent_summaryState", fields);
        let set = [("summaryState", Value::Int(5)), ("mode", Value::Int(7)), ("other", Value::Int(1))];
        assert_eq!(values(&topic, &set), [Value::Long(0), Value::Int(7)]);
    }
}
