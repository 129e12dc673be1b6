//! Keys and values of the topic `_schemas`, byte for byte as Confluent's registry writes them.
//!
//! Pure. The order of a key's fields matters, because compaction compares bytes: `keytype`, `subject`, `version`, `magic`.
//! Everything is compact JSON. What a value holds beyond the fields known here (references, metadata, rules of newer
//! registries) is kept and written back, so a soft delete by us loses nothing.
//!
//! One record is ours: a `NOOP` key may carry the value `{"maxId":N,"contexts":{".lab":N},"writer":"host:port"}`. Confluent's registry
//! never looks at the value of a `NOOP`. The highest ids ever given keep an id from being given twice after its last record was deleted
//! and compacted away; the writer is the replica that the others forward their writes to, and an empty one says that the last
//! has left.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::compatibility::Level;
use crate::mode::Mode;
use crate::name::{DEFAULT_CONTEXT, context_of};
use crate::schema::Schema;

/// Fields of a value in the order in which they stood.
pub type Fields = Map<String, Value>;

/// The highest id ever given in each context.
pub type MaxIds = BTreeMap<Arc<str>, u32>;

/// What one record of the log says.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A version of a subject was registered or softly deleted; no value means it is gone for good.
    Schema {
        /// Subject.
        subject: Arc<str>,
        /// Version, from 1.
        version: u32,
        /// Schema, none for a tombstone.
        value: Option<SchemaValue>,
    },
    /// All versions of a subject up to this one are softly deleted.
    DeleteSubject {
        /// Subject.
        subject: Arc<str>,
        /// Highest version concerned; none for a tombstone, which says nothing.
        version: Option<u32>,
    },
    /// Softly deleted versions are forgotten, to make room for an import.
    ClearSubject {
        /// Subject or context, none for all.
        subject: Option<Arc<str>>,
    },
    /// Compatibility of a subject, or of all that have none of their own.
    Config {
        /// Subject, none for the global setting.
        subject: Option<Arc<str>>,
        /// Setting, none when it was taken back.
        value: Option<Arc<ConfigValue>>,
    },
    /// Whether a subject, or all that have no mode of their own, may be written.
    Mode {
        /// Subject, none for the global mode.
        subject: Option<Arc<str>>,
        /// Mode, none when it was taken back.
        mode: Option<Mode>,
    },
    /// A context exists, also while it is empty.
    Context {
        /// Its name, such as `.lab`.
        context: Arc<str>,
        /// False when it was deleted.
        exists: bool,
    },
    /// Marks a place in the log.
    Noop {
        /// Highest ids ever given, if the record says so.
        max_ids: MaxIds,
        /// Who writes from here on, if the record says so; empty: nobody.
        writer: Option<Arc<str>>,
    },
}

/// Value of a schema record, without subject and version, which the key has.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaValue {
    /// Schema id.
    pub id: u32,
    /// The schema.
    pub schema: Arc<Schema>,
    /// Softly deleted: hidden from its subject, still found by its id.
    pub deleted: bool,
}

/// Value of a config record.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigValue {
    /// Compatibility level; a record may leave it out and set something else.
    pub level: Option<Level>,
    /// Further fields: alias, normalize, metadata and rules of newer registries.
    pub fields: Fields,
}

/// Why a record cannot be understood.
#[derive(Debug, Error)]
pub enum LogError {
    /// Not the JSON that was expected.
    #[error("not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A field is absent, or not of its type.
    #[error("field {0} is missing or invalid")]
    Field(&'static str),
}

/// Key and value of one record; no value is a tombstone.
pub type Encoded = (Vec<u8>, Option<Vec<u8>>);

#[derive(Serialize)]
struct SchemaKey<'a> {
    keytype: &'static str,
    subject: &'a str,
    version: u32,
    magic: u8,
}

#[derive(Serialize)]
struct SubjectKey<'a> {
    keytype: &'static str,
    subject: Option<&'a str>,
    magic: u8,
}

#[derive(Serialize)]
struct ContextKey<'a> {
    keytype: &'static str,
    tenant: &'a str,
    context: &'a str,
    magic: u8,
}

#[derive(Serialize)]
struct NoopKey {
    keytype: &'static str,
    magic: u8,
}

/// Any key, in any order of fields: early registries wrote another one.
#[derive(Deserialize)]
struct AnyKey {
    keytype: String,
    subject: Option<String>,
    version: Option<u32>,
    context: Option<String>,
}

/// The one tenant there is.
const TENANT: &str = "default";

/// Reads a record; none for a key type that is not known here, which is to be skipped.
///
/// # Errors
/// When the record is malformed; it is to be reported and skipped.
pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, LogError> {
    let AnyKey { keytype, subject, version, context } = serde_json::from_slice(key)?;
    let subject: Option<Arc<str>> = subject.map(Arc::from);
    let value = value.map(serde_json::from_slice::<Fields>).transpose()?;
    let record = match keytype.as_str() {
        "SCHEMA" => Record::Schema {
            subject: subject.ok_or(LogError::Field("subject"))?,
            version: version.filter(|version| *version > 0).ok_or(LogError::Field("version"))?,
            value: value.map(schema_value).transpose()?,
        },
        "DELETE_SUBJECT" => Record::DeleteSubject {
            subject: subject.ok_or(LogError::Field("subject"))?,
            version: value.map(|fields| number(&fields, "version")).transpose()?,
        },
        "CLEAR_SUBJECT" => Record::ClearSubject { subject },
        "CONFIG" => {
            let value = value.map(config_value).transpose()?;
            Record::Config { subject, value: value.map(Arc::new) }
        }
        "MODE" => Record::Mode { subject, mode: value.map(|fields| mode(&fields)).transpose()? },
        "CONTEXT" => Record::Context {
            context: context.ok_or(LogError::Field("context"))?.into(),
            exists: value.is_some(),
        },
        "NOOP" => {
            let value = value.unwrap_or_default();
            let writer = value.get("writer").and_then(Value::as_str).map(Arc::from);
            Record::Noop { max_ids: max_ids(&value), writer }
        }
        _ => return Ok(None),
    };
    Ok(Some(record))
}

/// The ids that a record mentions, without reading the rest of it; none also for what is malformed.
pub fn ids_of(key: &[u8], value: Option<&[u8]>) -> MaxIds {
    #[derive(Deserialize)]
    struct Mentioned {
        id: Option<u32>,
        #[serde(rename = "maxId")]
        max_id: Option<u32>,
        #[serde(default)]
        contexts: BTreeMap<String, u32>,
    }
    #[derive(Deserialize)]
    struct Key {
        subject: Option<String>,
    }
    let Some(found) = value.and_then(|value| serde_json::from_slice::<Mentioned>(value).ok()) else {
        return MaxIds::new();
    };
    let subject = serde_json::from_slice::<Key>(key).ok().and_then(|key| key.subject).unwrap_or_default();
    let mut ids: MaxIds = found.contexts.into_iter().map(|(context, id)| (context.into(), id)).collect();
    if let Some(id) = found.id.max(found.max_id) {
        ids.insert(context_of(&subject).into(), id);
    }
    ids
}

/// Key and value as they stand in the topic.
pub fn encode(record: &Record) -> Encoded {
    match record {
        Record::Schema { subject, version, value } => {
            let key = SchemaKey { keytype: "SCHEMA", subject, version: *version, magic: 1 };
            (json(&key), value.as_ref().map(|value| schema_bytes(subject, *version, value)))
        }
        Record::DeleteSubject { subject, version } => {
            let value =
                version.map(|version| json(&serde_json::json!({"subject": &**subject, "version": version})));
            (json(&SubjectKey { keytype: "DELETE_SUBJECT", subject: Some(subject), magic: 0 }), value)
        }
        Record::ClearSubject { subject } => {
            let subject = subject.as_deref();
            let key = SubjectKey { keytype: "CLEAR_SUBJECT", subject, magic: 0 };
            (json(&key), Some(json(&with_subject(subject))))
        }
        Record::Config { subject, value } => {
            let subject = subject.as_deref();
            let key = SubjectKey { keytype: "CONFIG", subject, magic: 0 };
            (json(&key), value.as_ref().map(|value| json(&config_fields(subject, value))))
        }
        Record::Mode { subject, mode } => {
            let subject = subject.as_deref();
            let key = SubjectKey { keytype: "MODE", subject, magic: 0 };
            let value = mode.as_ref().map(|mode| {
                let mut fields = with_subject(subject);
                fields.insert("mode".into(), mode.as_str().into());
                json(&fields)
            });
            (json(&key), value)
        }
        Record::Context { context, exists } => {
            let key = ContextKey { keytype: "CONTEXT", tenant: TENANT, context, magic: 0 };
            let value = exists.then(|| json(&serde_json::json!({"tenant": TENANT, "context": &**context})));
            (json(&key), value)
        }
        Record::Noop { max_ids, writer } => {
            let fields = noop_fields(max_ids, writer.as_deref());
            let value = (!fields.is_empty()).then(|| json(&fields));
            (json(&NoopKey { keytype: "NOOP", magic: 0 }), value)
        }
    }
}

fn noop_fields(max_ids: &MaxIds, writer: Option<&str>) -> Fields {
    let mut others = max_ids.clone();
    let own = others.remove(DEFAULT_CONTEXT);
    let mut fields = Fields::new();
    fields.extend(own.map(|own| ("maxId".to_owned(), own.into())));
    if !others.is_empty() {
        let others = others.iter().map(|(context, id)| (context.to_string(), Value::from(*id)));
        fields.insert("contexts".into(), Value::Object(others.collect()));
    }
    fields.extend(writer.map(|writer| ("writer".to_owned(), writer.into())));
    fields
}

fn max_ids(fields: &Fields) -> MaxIds {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let mut ids = MaxIds::new();
    if let Some(own) = fields.get("maxId").and_then(id) {
        ids.insert(DEFAULT_CONTEXT.into(), own);
    }
    for (context, value) in fields.get("contexts").and_then(Value::as_object).into_iter().flatten() {
        ids.extend(id(value).map(|id| (Arc::from(context.as_str()), id)));
    }
    ids
}

fn schema_value(mut fields: Fields) -> Result<SchemaValue, LogError> {
    let id = number(&fields, "id")?;
    let Some(Value::String(text)) = fields.shift_remove("schema") else {
        return Err(LogError::Field("schema"));
    };
    let deleted = match fields.get("deleted") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(deleted)) => *deleted,
        Some(_) => return Err(LogError::Field("deleted")),
    };
    // The place in the log is added in memory by some registries and then written back; it means nothing here.
    for known in ["subject", "version", "id", "deleted", "offset", "ts"] {
        fields.shift_remove(known);
    }
    fields.retain(|name, value| !is_default(name, value));
    Ok(SchemaValue { id, schema: Arc::new(Schema::stored(&text, fields)), deleted })
}

fn is_default(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::String(text) => name == "schemaType" && text == "AVRO",
        _ => false,
    }
}

/// The text stands in memory as it has to stand here, so that it is copied and not made again.
fn schema_bytes(subject: &str, version: u32, value: &SchemaValue) -> Vec<u8> {
    let mut fields = Fields::new();
    fields.insert("subject".into(), subject.into());
    fields.insert("version".into(), version.into());
    fields.insert("id".into(), value.id.into());
    fields.extend(value.schema.log_fields());
    let mut bytes = json(&fields);
    bytes.pop();
    bytes.extend_from_slice(b",\"schema\":");
    bytes.extend_from_slice(&value.schema.quoted_text());
    bytes.extend_from_slice(if value.deleted { b",\"deleted\":true}" } else { b",\"deleted\":false}" });
    bytes
}

fn config_value(mut fields: Fields) -> Result<ConfigValue, LogError> {
    let level = match fields.get("compatibilityLevel") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let level = value.as_str().and_then(Level::parse);
            Some(level.ok_or(LogError::Field("compatibilityLevel"))?)
        }
    };
    for known in ["subject", "compatibilityLevel", "offset", "ts"] {
        fields.shift_remove(known);
    }
    Ok(ConfigValue { level, fields })
}

fn config_fields(subject: Option<&str>, value: &ConfigValue) -> Fields {
    let mut fields = with_subject(subject);
    if let Some(level) = value.level {
        fields.insert("compatibilityLevel".into(), level.as_str().into());
    }
    fields.extend(value.fields.clone());
    fields
}

fn with_subject(subject: Option<&str>) -> Fields {
    subject.map(|subject| ("subject".to_owned(), Value::from(subject))).into_iter().collect()
}

fn number(fields: &Fields, name: &'static str) -> Result<u32, LogError> {
    let number = fields.get(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    number.ok_or(LogError::Field(name))
}

fn mode(fields: &Fields) -> Result<Mode, LogError> {
    fields.get("mode").and_then(Value::as_str).and_then(Mode::parse).ok_or(LogError::Field("mode"))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings, numbers and maps with string keys always make JSON")
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
