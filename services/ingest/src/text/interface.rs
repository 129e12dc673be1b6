//! SAL's interface files as the transformer of 2019 read them: every element counts, and types map otherwise than today. Pure.
//!
//! A topic gives a record schema in the namespace `lsst.sal`, named as its `EFDB_Topic`, with what SAL adds to each sample in
//! front of the fields. Texts of elements become attributes of the schema, `sal_` and the name of the element in lower case.

use std::collections::{BTreeMap, HashMap};

use roxmltree::{Document, Node};
use serde_json::{Value, json};
use thiserror::Error;

/// Namespace of all records.
const NAMESPACE: &str = "lsst.sal";
/// Component of the generic topics in their file; each component has them under its own name.
const GENERIC: &str = "SALGeneric";
/// Elements that are topics.
const TOPICS: [&str; 3] = ["SALCommand", "SALEvent", "SALTelemetry"];
/// Longest array, as for today's topics: a slip in one `Count` must not make a record of gigabytes.
const MAX_COUNT: usize = efd_sal::MAX_COUNT;

/// Elements of a topic that become attributes of its schema.
const TOPIC_ATTRIBUTES: [&str; 8] =
    ["Subsystem", "Version", "Author", "Alias", "Device", "Property", "Action", "Value"];
/// Elements of an item that become attributes of its field.
const ITEM_ATTRIBUTES: [&str; 13] = [
    "Frequency",
    "Publishers",
    "Values_per_Publisher",
    "Size_in_bytes",
    "Conversion",
    "Sensor_location",
    "Instances_per_night",
    "Bytes_per_night",
    "Needed_by_DM",
    "Needed_by_Camera",
    "Needed_by_OCS",
    "Needed_by_TCS",
    "Needed_by_EPO",
];

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LegacyError {
    /// Not XML.
    #[error("{file} is not XML: {reason}")]
    Xml {
        /// The file.
        file: String,
        /// Where and why.
        reason: String,
    },
    /// An element is missing, or says what it cannot.
    #[error("{file}:{line}: {problem}")]
    Element {
        /// The file.
        file: String,
        /// Line, from 1.
        line: u32,
        /// What is wrong.
        problem: String,
    },
}

/// A topic as the transformer of 2019 knew it.
#[derive(Debug, Clone, PartialEq)]
pub struct LegacyTopic {
    /// `EFDB_Topic`.
    pub name: String,
    /// Kafka topic, subject of the schema and full name of the record: `lsst.sal.<EFDB_Topic>`.
    pub full_name: String,
    /// The Avro schema, keys sorted.
    pub schema: String,
    /// The fields behind those that SAL adds.
    pub fields: Vec<LegacyField>,
}

/// One field of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyField {
    /// Name.
    pub name: String,
    /// Type of the value, or of each element.
    pub ty: LegacyType,
    /// Elements of an array; none for a scalar.
    pub count: Option<usize>,
}

/// Avro types of the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegacyType {
    /// `boolean`
    Boolean,
    /// `int`; also what is unsigned and has 32 bits
    Int,
    /// `long`; also SAL's `long`, which has 32 bits
    Long,
    /// `float`
    Float,
    /// `double`
    Double,
    /// `string`
    String,
    /// `bytes`; bytes and characters, which come as text
    Bytes,
    /// `enum`, each symbol with its number
    Enum(Vec<(String, i64)>),
}

impl LegacyType {
    /// Of an `IDL_Type`.
    fn of(idl: &str) -> Option<Self> {
        Some(match idl {
            "boolean" => Self::Boolean,
            "short" | "int" | "unsigned short" | "unsigned int" => Self::Int,
            "long" | "long long" | "unsigned long" | "unsigned long long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "string" => Self::String,
            "bytes" | "byte" | "char" | "octet" => Self::Bytes,
            _ => return None,
        })
    }

    fn avro(&self, field: &str) -> Value {
        match self {
            Self::Boolean => json!("boolean"),
            Self::Int => json!("int"),
            Self::Long => json!("long"),
            Self::Float => json!("float"),
            Self::Double => json!("double"),
            Self::String => json!("string"),
            Self::Bytes => json!("bytes"),
            Self::Enum(symbols) => {
                let symbols: Vec<&str> = symbols.iter().map(|(symbol, _)| symbol.as_str()).collect();
                sorted([("type", json!("enum")), ("name", json!(field)), ("symbols", json!(symbols))])
            }
        }
    }
}

/// The topics of a component in its files, name and text of each; a topic of its own comes before a generic one of the same
/// name.
///
/// # Errors
/// The first thing that is wrong, with file and line.
pub fn read(component: &str, files: &[(String, String)]) -> Result<Vec<LegacyTopic>, LegacyError> {
    let mut topics: HashMap<String, usize> = HashMap::new();
    let mut list: Vec<LegacyTopic> = Vec::new();
    for (file, text) in files {
        let document = Document::parse(text)
            .map_err(|error| LegacyError::Xml { file: file.clone(), reason: error.to_string() })?;
        for element in document.descendants().filter(|node| TOPICS.contains(&node.tag_name().name())) {
            let topic = read_topic(component, element).map_err(|(node, problem)| {
                let line = document.text_pos_at(node.range().start).row;
                LegacyError::Element { file: file.clone(), line, problem }
            })?;
            match topics.get(&topic.name).and_then(|place| list.get_mut(*place)) {
                Some(generic) => *generic = topic,
                None => {
                    topics.insert(topic.name.clone(), list.len());
                    list.push(topic);
                }
            }
        }
    }
    Ok(list)
}

/// Where something is wrong, and what.
type Problem<'d, 'a> = (Node<'d, 'a>, String);

fn read_topic<'d, 'a>(component: &str, element: Node<'d, 'a>) -> Result<LegacyTopic, Problem<'d, 'a>> {
    let name = text(element, "EFDB_Topic").ok_or((element, "EFDB_Topic is missing".to_owned()))?;
    let name = match name.strip_prefix(GENERIC) {
        Some(rest) => format!("{component}{rest}"),
        None => name.to_owned(),
    };
    let mut schema = BTreeMap::from([
        ("type".to_owned(), json!("record")),
        ("namespace".to_owned(), json!(NAMESPACE)),
        ("name".to_owned(), json!(name)),
        ("sal_topic_type".to_owned(), json!(element.tag_name().name())),
    ]);
    copy(element, "Explanation", "doc", &mut schema);
    for tag in TOPIC_ATTRIBUTES {
        copy(element, tag, &attribute(tag), &mut schema);
    }
    let mut avro_fields = added_fields();
    let mut fields: Vec<LegacyField> = Vec::new();
    for (index, item) in element.children().filter(|node| node.has_tag_name("item")).enumerate() {
        let (field, avro) = read_item(index, item)?;
        if avro_fields.iter().any(|earlier| earlier.get("name") == avro.get("name")) {
            return Err((item, format!("topic {name} has two fields {}", field.name)));
        }
        fields.push(field);
        avro_fields.push(avro);
    }
    schema.insert("fields".to_owned(), Value::Array(avro_fields));
    let schema = Value::Object(schema.into_iter().collect()).to_string();
    Ok(LegacyTopic { full_name: format!("{NAMESPACE}.{name}"), name, schema, fields })
}

fn read_item<'d, 'a>(index: usize, item: Node<'d, 'a>) -> Result<(LegacyField, Value), Problem<'d, 'a>> {
    let name = text(item, "EFDB_Name").ok_or((item, "EFDB_Name is missing".to_owned()))?;
    let idl = text(item, "IDL_Type").ok_or((item, format!("IDL_Type of {name} is missing")))?;
    let plain =
        LegacyType::of(idl).ok_or((item, format!("IDL_Type of {name} is {idl}, which is not known")))?;
    let count: usize = match text(item, "Count") {
        None => 1,
        Some(count) => count
            .parse()
            .ok()
            .filter(|count| (1..=MAX_COUNT).contains(count))
            .ok_or((item, format!("Count of {name} is {count}, not 1 to {MAX_COUNT}")))?,
    };
    let symbols = text(item, "Enumeration").and_then(symbols);
    // Symbols make it one value, whatever the count is.
    let (ty, count) = match symbols {
        Some(symbols) => (LegacyType::Enum(symbols), None),
        None => (plain, (count > 1).then_some(count)),
    };
    let avro_type = match count {
        Some(count) => {
            sorted([("type", json!("array")), ("items", ty.avro(name)), ("sal_count", json!(count))])
        }
        None => ty.avro(name),
    };
    let mut avro = BTreeMap::from([
        ("name".to_owned(), json!(name)),
        ("type".to_owned(), avro_type),
        ("sal_index".to_owned(), json!(index)),
    ]);
    copy(item, "Description", "doc", &mut avro);
    copy(item, "Units", "sal_units", &mut avro);
    for tag in ITEM_ATTRIBUTES {
        copy(item, tag, &attribute(tag), &mut avro);
    }
    Ok((LegacyField { name: name.to_owned(), ty, count }, Value::Object(avro.into_iter().collect())))
}

/// The fields that come first in every record, in their order.
fn added_fields() -> Vec<Value> {
    let millis = || sorted([("type", json!("long")), ("logicalType", json!("timestamp-millis"))]);
    let fields = [
        ("kafka_timestamp", millis(), "Timestamp when the Kafka message was created."),
        ("sal_revcode", json!("string"), "SAL revision code."),
        ("sal_created", millis(), "Time when SAL created the message."),
        ("sal_ingested", millis(), "Time when SAL ingested the message."),
        ("sal_sequence", json!("long"), "SAL sequence number."),
        ("sal_origin", json!("int"), "SAL origin."),
        ("sal_host", json!("int"), "SAL host."),
    ];
    fields.map(|(name, ty, doc)| sorted([("name", json!(name)), ("type", ty), ("doc", json!(doc))])).to_vec()
}

/// Symbols and their numbers, which go up from 1 where none is given; none where they are not names that Avro takes.
fn symbols(text: &str) -> Option<Vec<(String, i64)>> {
    let mut symbols: Vec<(String, i64)> = Vec::new();
    let mut number = 0;
    for part in text.split(',') {
        let (symbol, value) = match part.split_once('=') {
            Some((symbol, value)) => (symbol.trim(), Some(value.trim().parse().ok()?)),
            None => (part.trim(), None),
        };
        let is_name = symbol.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && symbol.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !is_name || symbols.iter().any(|(earlier, _)| earlier == symbol) {
            return None;
        }
        number = value.unwrap_or(number + 1);
        symbols.push((symbol.to_owned(), number));
    }
    Some(symbols)
}

fn attribute(tag: &str) -> String {
    format!("sal_{}", tag.to_lowercase())
}

/// Puts the text of an element into a schema, where there is one: a number or a boolean where it is one.
fn copy(element: Node<'_, '_>, tag: &str, key: &str, into: &mut BTreeMap<String, Value>) {
    let Some(text) = text(element, tag) else { return };
    let is_text = matches!(key, "doc" | "sal_units") || TOPIC_ATTRIBUTES.contains(&tag);
    let value = match text.to_lowercase().as_str() {
        "true" if !is_text => json!(true),
        "false" if !is_text => json!(false),
        number if !is_text => {
            serde_json::from_str::<serde_json::Number>(number).map_or(json!(text), Value::Number)
        }
        _ => json!(text),
    };
    into.insert(key.to_owned(), value);
}

/// The text of a child, without the white space around it; none where there is no child or no text.
fn text<'a>(element: Node<'a, '_>, tag: &str) -> Option<&'a str> {
    let child = element.children().find(|node| node.has_tag_name(tag))?;
    child.text().map(str::trim).filter(|text| !text.is_empty())
}

fn sorted<const N: usize>(mut entries: [(&str, Value); N]) -> Value {
    entries.sort_by_key(|(key, _)| *key);
    Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

#[cfg(test)]
#[path = "interface_tests.rs"]
mod tests;
