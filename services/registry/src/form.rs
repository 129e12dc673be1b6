//! The form in which Avro's Java library prints a schema, so the form in which Confluent's registry stores and compares it. Pure.
//!
//! Keys that Avro knows come in its order, names are split from their namespaces, a namespace that follows from the place is
//! left out, and a primitive type alone in an object is its name. Everything else, known to Avro or not, stays as it is
//! and in its order.

use serde_json::{Map, Value};

type Fields = Map<String, Value>;

/// Keys of a schema, in the order in which they are printed before those that Avro does not know; `aliases` come last.
const SCHEMA_KEYS: [&str; 9] =
    ["type", "name", "namespace", "doc", "fields", "items", "values", "symbols", "size"];
/// Keys of a field of a record, before those that Avro does not know.
const FIELD_KEYS: [&str; 6] = ["name", "type", "doc", "default", "order", "aliases"];
const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// Whether it is the name of a primitive type.
pub fn is_primitive(name: &str) -> bool {
    PRIMITIVES.contains(&name)
}

/// Namespace and simple name of a named type.
pub fn full_name<'a>(fields: &'a Fields, space: &'a str) -> Option<(&'a str, &'a str)> {
    let name = fields.get("name")?.as_str()?;
    Some(name.rsplit_once('.').unwrap_or_else(|| {
        let given = fields.get("namespace").and_then(Value::as_str);
        (given.unwrap_or(space), name)
    }))
}

/// Brings a schema, as it stands inside the namespace `space`, into this form.
pub fn printed(schema: Value, space: &str) -> Value {
    match schema {
        Value::String(name) => Value::String(relative(name, space)),
        Value::Array(branches) => branches.into_iter().map(|branch| printed(branch, space)).collect(),
        Value::Object(fields) => object(fields, space),
        other => other,
    }
}

fn object(mut fields: Fields, space: &str) -> Value {
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or("").to_owned();
    if fields.len() == 1 && is_primitive(&kind) {
        return Value::String(kind);
    }
    let mut inner = space.to_owned();
    if matches!(kind.as_str(), "record" | "error" | "enum" | "fixed") {
        inner = name(&mut fields, space);
    }
    for place in ["items", "values"] {
        if let Some(schema) = fields.get_mut(place) {
            *schema = printed(schema.take(), &inner);
        }
    }
    if let Some(schema) = fields.get_mut("type").filter(|schema| !schema.is_string()) {
        *schema = printed(schema.take(), &inner);
    }
    for member in fields.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::Object(member) = member {
            *member = field(std::mem::take(member), &inner);
        }
    }
    let mut order: Vec<&str> = SCHEMA_KEYS.to_vec();
    if kind == "enum" {
        order.push("default");
    }
    let aliases = fields.shift_remove("aliases").map(|aliases| relative_all(aliases, &inner));
    let mut ordered = in_order(fields, &order);
    ordered.extend(aliases.map(|aliases| ("aliases".to_owned(), aliases)));
    Value::Object(ordered)
}

/// Splits the name from its namespace and leaves out a namespace that follows from the place; gives the namespace.
fn name(fields: &mut Fields, space: &str) -> String {
    let Some((own_space, own_name)) = full_name(fields, space) else { return space.to_owned() };
    let (own_space, own_name) = (own_space.to_owned(), own_name.to_owned());
    fields.insert("name".into(), own_name.into());
    if own_space == space {
        fields.shift_remove("namespace");
    } else {
        fields.insert("namespace".into(), own_space.as_str().into());
    }
    own_space
}

fn field(mut fields: Fields, space: &str) -> Fields {
    if let Some(schema) = fields.get_mut("type") {
        *schema = printed(schema.take(), space);
    }
    if fields.get("order").and_then(Value::as_str) == Some("ascending") {
        fields.shift_remove("order");
    }
    in_order(fields, &FIELD_KEYS)
}

fn in_order(mut fields: Fields, keys: &[&str]) -> Fields {
    let known: Vec<(String, Value)> = keys.iter().filter_map(|key| fields.shift_remove_entry(*key)).collect();
    let mut ordered: Fields = known.into_iter().collect();
    ordered.extend(fields);
    ordered
}

fn relative(name: String, space: &str) -> String {
    match name.rsplit_once('.') {
        Some((own_space, own_name)) if own_space == space => own_name.to_owned(),
        _ => name,
    }
}

fn relative_all(aliases: Value, space: &str) -> Value {
    match aliases {
        Value::Array(names) => {
            let names = names.into_iter().map(|name| match name {
                Value::String(name) => Value::String(relative(name, space)),
                other => other,
            });
            names.collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> String {
        printed(serde_json::from_str(text).unwrap(), "").to_string()
    }

    #[test]
    fn known_keys_come_in_the_order_of_avro_and_unknown_ones_after_them() {
        let table = [
            (
                r#"{"units":"m","fields":[{"z":1,"default":0,"doc":"d","type":"int","order":"ascending","name":"a","aliases":["b"]}],"aliases":["old"],"doc":"x","name":"r","type":"record","a":2}"#,
                r#"{"type":"record","name":"r","doc":"x","fields":[{"name":"a","type":"int","doc":"d","default":0,"aliases":["b"],"z":1}],"units":"m","a":2,"aliases":["old"]}"#,
            ),
            (
                r#"{"default":"A","symbols":["A"],"name":"e","type":"enum","x":1}"#,
                r#"{"type":"enum","name":"e","symbols":["A"],"default":"A","x":1}"#,
            ),
            (
                r#"{"logicalType":"decimal","size":4,"name":"f","type":"fixed"}"#,
                r#"{"type":"fixed","name":"f","size":4,"logicalType":"decimal"}"#,
            ),
            (r#"{"x":1,"items":{"type":"int"},"type":"array"}"#, r#"{"type":"array","items":"int","x":1}"#),
            (r#"{"logicalType":"date","type":"int"}"#, r#"{"type":"int","logicalType":"date"}"#),
        ];
        for (text, expected) in table {
            assert_eq!(form(text), expected);
        }
    }

    #[test]
    fn a_namespace_is_written_once_where_it_begins() {
        let table = [
            (
                r#"{"type":"record","name":"a.b.r","fields":[{"name":"x","type":"a.b.r"},{"name":"y","type":{"type":"fixed","name":"f","namespace":"a.b","size":1}}]}"#,
                r#"{"type":"record","name":"r","namespace":"a.b","fields":[{"name":"x","type":"r"},{"name":"y","type":{"type":"fixed","name":"f","size":1}}]}"#,
            ),
            (
                r#"{"type":"record","name":"r","namespace":"a","fields":[{"name":"x","type":{"type":"enum","name":"c.e","symbols":[]}},{"name":"y","type":["null","c.e"]}]}"#,
                r#"{"type":"record","name":"r","namespace":"a","fields":[{"name":"x","type":{"type":"enum","name":"e","namespace":"c","symbols":[]}},{"name":"y","type":["null","c.e"]}]}"#,
            ),
        ];
        for (text, expected) in table {
            assert_eq!(form(text), expected);
        }
    }
}
