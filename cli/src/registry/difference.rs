//! Which fields differ between two versions of a schema. Pure.

use std::collections::HashMap;

use efd_schema::{Field, RecordSchema, Type};
use serde::Serialize;

/// One difference.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Field; empty for the record as a whole.
    pub field: String,
    /// `added`, `removed`, `type`, `unit`, `description`, `name` or `order`.
    pub what: &'static str,
    /// As it was.
    pub old: String,
    /// As it is.
    pub new: String,
}

/// All differences: of the record, then of its fields in the order of the new schema, then of the fields that are gone.
pub fn changes(old: &RecordSchema, new: &RecordSchema) -> Vec<Change> {
    let mut changes = Vec::new();
    differs("", "name", &old.name, &new.name, &mut changes);
    differs("", "description", &text(&old.description), &text(&new.description), &mut changes);
    let earlier: HashMap<&str, &Field> =
        old.fields.iter().map(|field| (field.name.as_str(), field)).collect();
    for field in &new.fields {
        match earlier.get(field.name.as_str()) {
            None => changes.push(change(&field.name, "added", "", &type_text(field))),
            Some(before) => {
                let name = &field.name;
                differs(name, "type", &type_text(before), &type_text(field), &mut changes);
                differs(name, "unit", &text(&before.units), &text(&field.units), &mut changes);
                differs(
                    name,
                    "description",
                    &text(&before.description),
                    &text(&field.description),
                    &mut changes,
                );
            }
        }
    }
    let is_gone = |field: &&Field| new.fields.iter().all(|other| other.name != field.name);
    changes.extend(
        old.fields.iter().filter(is_gone).map(|field| change(&field.name, "removed", &type_text(field), "")),
    );
    let order = |schema: &RecordSchema, other: &RecordSchema| {
        let both = schema.fields.iter().filter(|field| other.fields.iter().any(|it| it.name == field.name));
        both.map(|field| field.name.clone()).collect::<Vec<_>>().join(" ")
    };
    differs("", "order", &order(old, new), &order(new, old), &mut changes);
    changes
}

/// The type of a field for people: `double[3]`, `int or null`.
pub fn type_text(field: &Field) -> String {
    let length = field.length.map(|length| length.to_string()).unwrap_or_default();
    text_of(&field.ty, &length)
}

fn text_of(ty: &Type, length: &str) -> String {
    match ty {
        Type::Boolean => "boolean".into(),
        Type::Int => "int".into(),
        Type::Long => "long".into(),
        Type::Float => "float".into(),
        Type::Double => "double".into(),
        Type::String => "string".into(),
        Type::Bytes => "bytes".into(),
        Type::Fixed(size) => format!("fixed({size})"),
        Type::Enum(symbols) => format!("enum({})", symbols.join(", ")),
        Type::Array(items) => format!("{}[{length}]", text_of(items, "")),
        Type::Nullable { inner, .. } => format!("{} or null", text_of(inner, length)),
    }
}

fn text(text: &Option<String>) -> String {
    text.as_deref().unwrap_or_default().trim().to_owned()
}

fn change(field: &str, what: &'static str, old: &str, new: &str) -> Change {
    Change { field: field.to_owned(), what, old: old.to_owned(), new: new.to_owned() }
}

fn differs(field: &str, what: &'static str, old: &str, new: &str, changes: &mut Vec<Change>) {
    if old != new {
        changes.push(change(field, what, old, new));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &str) -> RecordSchema {
        RecordSchema::parse(&format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#)).unwrap()
    }

    #[test]
    fn fields_that_come_go_or_change_are_told_once_each() {
        let old = record(
            r#"{"name":"a","type":"int","units":"m"},{"name":"b","type":"string"},{"name":"f","type":{"type":"array","items":"double"},"default":[0.0]}"#,
        );
        let new = record(
            r#"{"name":"a","type":["null","long"],"units":"mm","description":"x"},{"name":"c","type":{"type":"enum","name":"e","symbols":["A","B"]}},{"name":"f","type":{"type":"array","items":"double"},"default":[0.0,0.0]}"#,
        );
        let found = changes(&old, &new);
        let found: Vec<_> =
            found.iter().map(|it| (it.field.as_str(), it.what, it.old.as_str(), it.new.as_str())).collect();
        assert_eq!(
            found,
            [
                ("a", "type", "int", "long or null"),
                ("a", "unit", "m", "mm"),
                ("a", "description", "", "x"),
                ("c", "added", "", "enum(A, B)"),
                ("f", "type", "double[1]", "double[2]"),
                ("b", "removed", "string", ""),
            ]
        );
        assert!(changes(&new, &new).is_empty());
    }

    #[test]
    fn another_order_of_the_same_fields_is_a_difference() {
        let (a, b) = (r#"{"name":"a","type":"int"}"#, r#"{"name":"b","type":"int"}"#);
        let found = changes(&record(&format!("{a},{b}")), &record(&format!("{b},{a}")));
        assert_eq!(found, [change("", "order", "a b", "b a")]);
    }
}
