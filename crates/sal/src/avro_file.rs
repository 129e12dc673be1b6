//! Camera topics that a release gives as Avro files (`.avsc`) instead of XML.
//!
//! SAL takes such a schema as it is, but for three things: the name is that of the file, the keys of record and
//! fields come in an order of its own, and the private fields stand at the end. Since text and revCode depend on
//! the file alone, both are made once, when it is read.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::InterfaceError;
use crate::field::{Field, FieldType, MAX_COUNT, NullBranch, UNITLESS, private_fields};
use crate::json::Json;
use crate::schema;
use crate::topic::{Topic, TopicKind};
use crate::xml::{is_name, line_at};

/// The schema of a topic that an Avro file defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSchema {
    text: Arc<str>,
    rev_code: Arc<str>,
}

impl FileSchema {
    /// The text that SAL registers.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn rev_code(&self) -> &str {
        &self.rev_code
    }
}

/// An Avro file and the topic it defines, whose name is that of the file.
pub(crate) struct AvroFile<'a> {
    /// File, as a person would open it.
    pub(crate) file: &'a str,
    pub(crate) sal_name: &'a str,
    pub(crate) text: &'a str,
}

impl AvroFile<'_> {
    /// Reads the topic for a component.
    pub(crate) fn topic(&self, component: &Arc<str>, indexed: bool) -> Result<Topic, InterfaceError> {
        if !is_name(self.sal_name) {
            let problem = "the name of the file is that of the topic; use letters, digits and underscores";
            return Err(self.invalid(1, problem));
        }
        let record = self.record()?;
        let Some(Value::Array(declared)) = record.get("fields") else {
            return Err(self.invalid(1, "the record has no list \"fields\""));
        };
        let private = private_fields(indexed);
        let mut taken: HashSet<&str> = private.iter().map(|field| field.name.as_str()).collect();
        let mut fields = Vec::with_capacity(declared.len() + private.len());
        for declared in declared {
            let field = self.field(declared)?;
            if declared.get("name").and_then(Value::as_str).is_some_and(|name| !taken.insert(name)) {
                let problem = format!(
                    "topic {} has a field {} already; rename or remove one",
                    self.sal_name, field.name
                );
                return Err(self.invalid(self.line_of(&field.name), problem));
            }
            fields.push(field);
        }
        let description =
            ["description", "doc"].iter().find_map(|key| record.get(*key)).and_then(Value::as_str);
        let mut topic = Topic {
            component: Arc::clone(component),
            sal_name: self.sal_name.to_owned(),
            kind: TopicKind::of(self.sal_name),
            indexed,
            description: description.unwrap_or_default().to_owned(),
            fields,
            file_schema: None,
        };
        let write = |json: Json| write_schema(&topic.namespace(), self.sal_name, &record, &private, json);
        let text = Arc::from(write(Json::one_line()));
        let rev_code = Arc::from(schema::rev_code_of(&write(Json::indented(schema::REV_CODE_INDENT))));
        topic.file_schema = Some(FileSchema { text, rev_code });
        topic.fields.extend(private);
        Ok(topic)
    }

    fn record(&self) -> Result<Map<String, Value>, InterfaceError> {
        let value: Value = serde_json::from_str(self.text).map_err(|error| {
            let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
            self.invalid(line, format!("not JSON: {error}"))
        })?;
        match value {
            Value::Object(record) if record.get("type").and_then(Value::as_str) == Some("record") => {
                Ok(record)
            }
            _ => Err(self.invalid(1, "the schema is not that of a record")),
        }
    }

    fn field(&self, declared: &Value) -> Result<Field, InterfaceError> {
        let text = |key: &str| declared.get(key).and_then(Value::as_str);
        let Some(name) = text("name").filter(|name| is_name(name)) else {
            let problem = format!("a field has no usable \"name\": {declared}");
            return Err(self.invalid(1, problem));
        };
        let shape = declared.get("type").and_then(read_type);
        let Some(Shape { ty, null, is_array }) = shape else {
            let found = declared.get("type").unwrap_or(&Value::Null);
            let problem = format!(
                "field {name} of {} has type {found}, which SAL does not carry; use boolean, int, long, float, \
                 double, string, an array of one of them, or a union of one of them and null",
                self.sal_name
            );
            return Err(self.invalid(self.line_of(name), problem));
        };
        let count =
            if is_array { declared.get("default").and_then(Value::as_array).map_or(0, Vec::len) } else { 1 };
        // An array of one element would be taken for a scalar.
        if !(1..=MAX_COUNT).contains(&count) || is_array && count == 1 {
            let problem = format!(
                "field {name} of {} is an array; its default must list 2 to {MAX_COUNT} elements, which fixes its \
                 length",
                self.sal_name
            );
            return Err(self.invalid(self.line_of(name), problem));
        }
        Ok(Field {
            units: text("units").unwrap_or(UNITLESS).to_owned(),
            description: text("description").or(text("doc")).unwrap_or_default().to_owned(),
            null,
            ..Field::new(name, ty, count)
        })
    }

    /// Line of the first place where a name stands in quotes, for messages.
    fn line_of(&self, name: &str) -> u32 {
        self.text.find(&format!("\"{name}\"")).map_or(1, |at| line_at(self.text, at))
    }

    fn invalid(&self, line: u32, problem: impl Into<String>) -> InterfaceError {
        InterfaceError::InvalidAvroFile { file: self.file.to_owned(), line, problem: problem.into() }
    }
}

struct Shape {
    ty: FieldType,
    null: Option<NullBranch>,
    is_array: bool,
}

/// The type of a field, if SAL can carry it. A logical type is passed over: the number itself counts.
fn read_type(ty: &Value) -> Option<Shape> {
    match ty {
        Value::String(name) => Some(Shape { ty: FieldType::from_avro(name)?, null: None, is_array: false }),
        Value::Object(complex) => match complex.get("type")? {
            Value::String(name) if name == "array" => {
                let items = read_type(complex.get("items")?)?;
                let is_plain = items.null.is_none() && !items.is_array && items.ty != FieldType::String;
                is_plain.then_some(Shape { is_array: true, ..items })
            }
            inner => read_type(inner),
        },
        Value::Array(branches) => {
            let is_null = |branch: &Value| branch.as_str() == Some("null");
            let (null, other) = match branches.as_slice() {
                [first, other] if is_null(first) => (NullBranch::First, other),
                [other, last] if is_null(last) => (NullBranch::Last, other),
                _ => return None,
            };
            let inner = read_type(other).filter(|inner| inner.null.is_none() && !inner.is_array)?;
            Some(Shape { null: Some(null), ..inner })
        }
        _ => None,
    }
}

/// Keys of a field that come last, in this order; whatever else it has comes before.
const LAST_KEYS: [&str; 3] = ["default", "name", "type"];
/// Keys of the record that have their place.
const RECORD_KEYS: [&str; 4] = ["type", "name", "fields", "namespace"];

fn write_schema(
    namespace: &str,
    sal_name: &str,
    record: &Map<String, Value>,
    private: &[Field],
    mut json: Json,
) -> String {
    json.open('{');
    json.key("type");
    json.string("record");
    json.key("name");
    json.string(sal_name);
    json.key("fields");
    json.open('[');
    for declared in record.get("fields").and_then(Value::as_array).into_iter().flatten() {
        json.item();
        write_declared(declared, &mut json);
    }
    for field in private {
        json.item();
        schema::write_field(field, &mut json);
    }
    json.close(']');
    json.key("namespace");
    json.string(namespace);
    for (key, value) in record.iter().filter(|(key, _)| !RECORD_KEYS.contains(&key.as_str())) {
        json.key(key);
        json.value(value);
    }
    json.close('}');
    json.finish()
}

fn write_declared(field: &Value, json: &mut Json) {
    let Value::Object(field) = field else {
        return json.value(field);
    };
    json.open('{');
    let others = field.iter().filter(|(key, _)| !LAST_KEYS.contains(&key.as_str()));
    let last = LAST_KEYS.iter().filter_map(|key| field.get_key_value(*key));
    for (key, value) in others.chain(last) {
        json.key(key);
        json.value(value);
    }
    json.close('}');
}
