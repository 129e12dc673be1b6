//! What `normalize=true` asks for: schemas that differ only in what cannot matter to anybody become one text. Pure.
//!
//! Beyond the form in which every schema is kept ([`avro::normal_form`], which also resolves namespaces): attributes that Avro does not
//! know are sorted by name and stand behind those that it knows, aliases are sorted by full name, an empty documentation of a named type goes.
//! Values of attributes, defaults and documentation stay as they are. Facts: Confluent's registry does the same before it takes
//! the schema's MD5.

use serde_json::{Map, Value};

use crate::avro;
use crate::form::full_name;

/// Attributes of a schema that Avro knows; those of a logical type count as such where they have their order.
const KNOWN: [&str; 14] = [
    "type",
    "name",
    "namespace",
    "doc",
    "fields",
    "items",
    "values",
    "symbols",
    "size",
    "default",
    "aliases",
    "logicalType",
    "precision",
    "scale",
];
/// Attributes of a field that Avro knows.
const KNOWN_OF_FIELD: [&str; 6] = ["name", "type", "doc", "default", "order", "aliases"];

/// The normalised text of a schema. Once more gives the same.
///
/// # Errors
/// When the text is not JSON.
pub fn normalized(text: &str) -> Result<String, serde_json::Error> {
    let mut schema: Value = serde_json::from_str(text)?;
    sort(&mut schema, "");
    avro::normal_form(&schema.to_string())
}

/// Walks only where a schema may stand, inside the namespace `space`.
fn sort(schema: &mut Value, space: &str) {
    match schema {
        Value::Array(branches) => branches.iter_mut().for_each(|branch| sort(branch, space)),
        Value::Object(fields) => sort_object(fields, space),
        _ => {}
    }
}

fn sort_object(fields: &mut Map<String, Value>, space: &str) {
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or("");
    let is_named = matches!(kind, "record" | "error" | "enum" | "fixed");
    let own = full_name(fields, space).filter(|_| is_named).map(|(own, _)| own.to_owned());
    let inner = own.as_deref().unwrap_or(space);
    if is_named {
        if fields.get("doc").and_then(Value::as_str) == Some("") {
            fields.shift_remove("doc");
        }
        let full = |alias: &str| match inner {
            "" => alias.to_owned(),
            _ if alias.contains('.') => alias.to_owned(),
            space => format!("{space}.{alias}"),
        };
        sort_aliases(fields, full);
    }
    for place in ["type", "items", "values"] {
        if let Some(part) = fields.get_mut(place) {
            sort(part, inner);
        }
    }
    for member in fields.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten() {
        let Value::Object(member) = member else { continue };
        if let Some(ty) = member.get_mut("type") {
            sort(ty, inner);
        }
        sort_aliases(member, str::to_owned);
        sort_unknown(member, &KNOWN_OF_FIELD);
    }
    sort_unknown(fields, &KNOWN);
}

fn sort_aliases(fields: &mut Map<String, Value>, full: impl Fn(&str) -> String) {
    if let Some(aliases) = fields.get_mut("aliases").and_then(Value::as_array_mut) {
        aliases.sort_by_cached_key(|alias| alias.as_str().map(&full));
        aliases.dedup();
    }
}

/// Attributes that Avro knows first and as they stand, then the others by name.
fn sort_unknown(fields: &mut Map<String, Value>, known: &[&str]) {
    let (mut sorted, mut unknown): (Vec<_>, Vec<_>) =
        std::mem::take(fields).into_iter().partition(|(name, _)| known.contains(&name.as_str()));
    sorted.sort_by_key(|(name, _)| known.iter().position(|other| other == name));
    unknown.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields.extend(sorted.into_iter().chain(unknown));
}

#[cfg(test)]
#[path = "normal_tests.rs"]
mod tests;
