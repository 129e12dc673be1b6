//! Puts the schemas that a schema refers to into it, so that it can be read alone. Pure.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::form::{full_name, is_primitive};

/// The schema `text` with the definition of each named type that stands in `others` at the place of its first use.
///
/// # Errors
/// When a text is not JSON.
pub fn inlined(text: &str, others: &[String]) -> Result<String, serde_json::Error> {
    let mut known = HashMap::new();
    for other in others {
        collect(&serde_json::from_str(other)?, "", &mut known);
    }
    let schema: Value = serde_json::from_str(text)?;
    let mut inliner = Inliner { known, defined: HashSet::new() };
    Ok(inliner.schema(schema, "").to_string())
}

/// Notes every named type by its full name, with its namespace written out.
fn collect(schema: &Value, space: &str, known: &mut HashMap<String, Value>) {
    match schema {
        Value::Array(branches) => branches.iter().for_each(|branch| collect(branch, space, known)),
        Value::Object(fields) => {
            let mut inner = space;
            if let Some((own_space, name)) = full_name(fields, space).filter(|_| is_named(fields)) {
                let mut definition = fields.clone();
                definition.insert("name".into(), name.into());
                definition.insert("namespace".into(), own_space.into());
                known.insert(join(own_space, name), Value::Object(definition));
                inner = own_space;
            }
            inner_schemas(fields).for_each(|schema| collect(schema, inner, known));
        }
        _ => {}
    }
}

struct Inliner {
    known: HashMap<String, Value>,
    defined: HashSet<String>,
}

impl Inliner {
    fn schema(&mut self, schema: Value, space: &str) -> Value {
        match schema {
            Value::String(name) => self.name(name, space),
            Value::Array(branches) => branches.into_iter().map(|branch| self.schema(branch, space)).collect(),
            Value::Object(fields) => Value::Object(self.object(fields, space)),
            other => other,
        }
    }

    fn name(&mut self, name: String, space: &str) -> Value {
        let full = if name.contains('.') { name.clone() } else { join(space, &name) };
        let is_here = is_primitive(&name) || self.defined.contains(&full);
        match self.known.get(&full).filter(|_| !is_here).cloned() {
            Some(definition) => self.schema(definition, space),
            None => Value::String(name),
        }
    }

    fn object(&mut self, mut fields: Map<String, Value>, space: &str) -> Map<String, Value> {
        let mut inner = space.to_owned();
        if let Some((own_space, name)) = full_name(&fields, space).filter(|_| is_named(&fields)) {
            self.defined.insert(join(own_space, name));
            inner = own_space.to_owned();
        }
        for place in ["type", "items", "values"] {
            let is_kind = place == "type" && fields.get(place).is_some_and(Value::is_string);
            if let Some(schema) = fields.get_mut(place).filter(|_| !is_kind) {
                *schema = self.schema(schema.take(), &inner);
            }
        }
        for member in fields.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(schema) = member.get_mut("type") {
                *schema = self.schema(schema.take(), &inner);
            }
        }
        fields
    }
}

fn is_named(fields: &Map<String, Value>) -> bool {
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or("");
    matches!(kind, "record" | "error" | "enum" | "fixed")
}

fn inner_schemas(fields: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let members = fields.get("fields").and_then(Value::as_array).into_iter().flatten();
    let places = ["type", "items", "values"].into_iter().filter_map(|place| fields.get(place));
    places.chain(members.filter_map(|member| member.get("type")))
}

fn join(space: &str, name: &str) -> String {
    if space.is_empty() { name.to_owned() } else { format!("{space}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_of_another_schema_is_defined_where_it_is_first_used() {
        let other = r#"{"type":"record","name":"point","namespace":"geo","fields":[{"name":"x","type":{"type":"enum","name":"axis","symbols":["X"]}},{"name":"next","type":["null","point"]}]}"#;
        let text = r#"{"type":"record","name":"line","namespace":"lab","fields":[{"name":"a","type":"geo.point"},{"name":"b","type":"geo.point"},{"name":"c","type":"geo.axis"}]}"#;
        let alone = inlined(text, &[other.to_owned()]).unwrap();
        apache_avro::Schema::parse_str(&alone).unwrap();
        assert_eq!(alone.matches("\"symbols\"").count(), 1, "{alone}");
        let members: Value = serde_json::from_str(&alone).unwrap();
        assert_eq!(members["fields"][1]["type"], "geo.point");
        assert_eq!(inlined(text, &[]).unwrap(), text, "nothing to put in");
    }
}
