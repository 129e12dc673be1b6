//! Bodies of requests. Pure. Fields that are not known are ignored: clients send ever more of them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::error::Category;

use crate::avro;
use crate::compatibility::Level;
use crate::error::RegistryError;
use crate::log::Fields;
use crate::mode::Mode;
use crate::name::qualified;
use crate::schema::Schema;
use crate::tags::TagChange;

/// Whether a value is of the right type.
type IsRight = fn(&Value) -> bool;

/// Settings of a subject beside its level that are kept for clients, and what each has to be; they come and go in this order.
const FURTHER_SETTINGS: [(&str, IsRight); 10] = [
    ("alias", Value::is_string),
    ("normalize", Value::is_boolean),
    ("validateFields", Value::is_boolean),
    ("validateRules", Value::is_boolean),
    ("compatibilityGroup", Value::is_string),
    ("compatibilityPolicy", Value::is_string),
    ("defaultMetadata", Value::is_object),
    ("overrideMetadata", Value::is_object),
    ("defaultRuleSet", Value::is_object),
    ("overrideRuleSet", Value::is_object),
];

/// Body of a registration and of a look-up.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaBody {
    schema: Option<String>,
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    metadata: Option<Value>,
    rule_set: Option<Value>,
    id: Option<i64>,
    version: Option<i64>,
}

/// Another schema that a schema uses.
#[derive(Debug, Deserialize, Serialize)]
struct Reference {
    name: String,
    subject: String,
    /// From 1, or [`LATEST`].
    version: i64,
}

/// Stands in a reference for the highest version there is.
const LATEST: i64 = -1;

/// Id and version of the client's choice, for an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Id.
    pub id: u32,
    /// Version, none for the next one.
    pub version: Option<u32>,
}

/// What a setting of a subject is to become.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigChange {
    /// Level, none to leave it.
    pub level: Option<Level>,
    /// Further settings.
    pub fields: Fields,
}

impl SchemaBody {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not JSON, or a field is of another type.
    pub fn parse(body: &[u8]) -> Result<Self, RegistryError> {
        parse(body, |problem| RegistryError::InvalidSchema(problem.to_string()))
    }

    /// The schema in the form in which it is stored. `context` is where it will be, `latest` the highest version of a subject.
    ///
    /// # Errors
    /// When there is none, or it is not JSON, or not Avro, or refers to a version that cannot be.
    pub fn schema(
        self,
        context: &str,
        latest: impl Fn(&str) -> Option<u32>,
    ) -> Result<Schema, RegistryError> {
        let schema_type = self.schema_type.as_deref().unwrap_or("AVRO");
        if !schema_type.eq_ignore_ascii_case("AVRO") {
            let problem = format!("schema type {schema_type} is not supported, only AVRO is");
            return Err(RegistryError::InvalidSchema(problem));
        }
        let text = self.schema.filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| RegistryError::InvalidSchema("Empty schema".into()))?;
        let text =
            avro::normal_form(&text).map_err(|problem| RegistryError::InvalidSchema(problem.to_string()))?;
        let mut references = self.references.unwrap_or_default();
        for reference in &mut references {
            reference.subject = qualified(Some(context), &reference.subject).into_owned();
            reference.version = match reference.version {
                LATEST => latest(&reference.subject).map(i64::from).ok_or_else(|| reference.missing())?,
                number if (1..=i64::from(i32::MAX)).contains(&number) => number,
                _ => return Err(reference.missing()),
            };
        }
        Ok(Schema::new(&text, further_fields(&references, self.metadata, self.rule_set)))
    }

    /// Id and version that the client wants; none where it leaves them to the registry.
    ///
    /// # Errors
    /// When one of them cannot be.
    pub fn wanted(&self) -> Result<Option<Wanted>, RegistryError> {
        let Some(id) = self.id.filter(|id| *id >= 0) else { return Ok(None) };
        let id = u32::try_from(id).ok().filter(|id| (1..=i32::MAX.unsigned_abs()).contains(id));
        let id = id.ok_or_else(|| RegistryError::InvalidSchema("id must be from 1 to 2^31-1".into()))?;
        let version = self.version.filter(|version| *version > 0);
        let valid = |version: i64| u32::try_from(version).ok().filter(|v| i32::try_from(*v).is_ok());
        let invalid = |version: i64| RegistryError::InvalidVersion(version.to_string());
        let version = version.map(|version| valid(version).ok_or_else(|| invalid(version))).transpose()?;
        Ok(Some(Wanted { id, version }))
    }
}

impl Reference {
    fn missing(&self) -> RegistryError {
        RegistryError::no_reference(&self.subject, self.version)
    }
}

impl ConfigChange {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not a JSON object, sets nothing, or has a level that is none of the seven.
    pub fn parse(body: &[u8]) -> Result<Self, RegistryError> {
        let mut given: Fields = parse(body, |_| RegistryError::InvalidCompatibility)?;
        let level = given.shift_remove("compatibility").or_else(|| given.shift_remove("compatibilityLevel"));
        let level = match level {
            None | Some(Value::Null) => None,
            Some(name) => {
                let level = name.as_str().and_then(Level::parse);
                Some(level.ok_or(RegistryError::InvalidCompatibility)?)
            }
        };
        let mut fields = Fields::new();
        for (name, is_right) in FURTHER_SETTINGS {
            let Some(value) = given.shift_remove(name).filter(|value| !value.is_null()) else { continue };
            if !is_right(&value) {
                return Err(RegistryError::MalformedBody(format!("{name} is of another type")));
            }
            fields.insert(name.into(), value);
        }
        if level.is_none() && fields.is_empty() {
            return Err(RegistryError::InvalidCompatibility);
        }
        Ok(Self { level, fields })
    }
}

/// Reads the body that changes tags.
///
/// # Errors
/// When it is not JSON, or a field is of another type.
pub fn tags(body: &[u8]) -> Result<TagChange, RegistryError> {
    parse(body, |problem| RegistryError::InvalidSchema(problem.to_string()))
}

/// Reads the body that sets a mode.
///
/// # Errors
/// When it is not JSON, or has none of the modes.
pub fn mode(body: &[u8]) -> Result<Mode, RegistryError> {
    #[derive(Deserialize)]
    struct ModeBody {
        mode: Option<String>,
    }
    let body: ModeBody = parse(body, |_| RegistryError::InvalidMode)?;
    body.mode.as_deref().and_then(Mode::parse).ok_or(RegistryError::InvalidMode)
}

fn parse<T: DeserializeOwned>(
    body: &[u8],
    misfit: impl FnOnce(serde_json::Error) -> RegistryError,
) -> Result<T, RegistryError> {
    serde_json::from_slice(body).map_err(|problem| match problem.classify() {
        Category::Data => misfit(problem),
        Category::Io | Category::Syntax | Category::Eof => RegistryError::MalformedBody(problem.to_string()),
    })
}

/// What identifies a schema beyond its text, in the order of the log.
fn further_fields(references: &[Reference], metadata: Option<Value>, rule_set: Option<Value>) -> Fields {
    let mut fields = Fields::new();
    if !references.is_empty() {
        fields.insert("references".into(), serde_json::json!(references));
    }
    for (name, value) in [("metadata", metadata), ("ruleSet", rule_set)] {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            fields.insert(name.into(), value);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(body: &str) -> Result<Schema, RegistryError> {
        SchemaBody::parse(body.as_bytes())?.schema(".", |subject| (subject == "s").then_some(4))
    }

    #[test]
    fn what_clients_send_beside_the_schema_does_no_harm() {
        let bodies = [
            r#"{"schema":"{\"type\": \"string\"}"}"#,
            r#"{"schema":"\"string\"","schemaType":"AVRO","references":[],"metadata":null,"ruleSet":null,"id":-1,"version":-1}"#,
            r#"{"schema":"\"string\"","schemaTagsToAdd":[],"propagateSchemaTags":false,"guid":"x","new":{"in":["2030"]}}"#,
        ];
        for body in bodies {
            assert_eq!(schema(body).unwrap(), Schema::avro("\"string\""), "{body}");
            assert_eq!(SchemaBody::parse(body.as_bytes()).unwrap().wanted(), Ok(None));
        }
    }

    #[test]
    fn references_metadata_and_rules_are_part_of_a_schema() {
        let body = r#"{"schema":"\"int\"","ruleSet":{"a":1},"metadata":{"b":2},"references":[{"version":1,"name":"n","subject":"s","x":1}]}"#;
        let mut fields = schema(body).unwrap().log_fields();
        fields.shift_remove("md5").unwrap();
        assert_eq!(
            serde_json::to_string(&fields).unwrap(),
            r#"{"references":[{"name":"n","subject":"s","version":1}],"metadata":{"b":2},"ruleSet":{"a":1}}"#
        );
        let there = SchemaBody::parse(body.as_bytes()).unwrap().schema(".lab", |_| None).unwrap();
        assert_eq!(there.references()[0].subject, ":.lab:s", "a reference stays in its context");
    }

    #[test]
    fn a_reference_to_the_latest_version_is_kept_with_its_number() {
        let latest =
            schema(r#"{"schema":"\"int\"","references":[{"name":"n","subject":"s","version":-1}]}"#).unwrap();
        let numbered =
            schema(r#"{"schema":"\"int\"","references":[{"name":"n","subject":"s","version":4}]}"#).unwrap();
        assert_eq!(latest, numbered);
        assert_eq!(latest.references()[0].version, 4);
    }

    #[test]
    fn an_import_has_id_and_version() {
        let wanted = |body: &str| SchemaBody::parse(body.as_bytes()).unwrap().wanted();
        assert_eq!(wanted(r#"{"id":7}"#), Ok(Some(Wanted { id: 7, version: None })));
        assert_eq!(wanted(r#"{"id":7,"version":3}"#), Ok(Some(Wanted { id: 7, version: Some(3) })));
        for (body, code) in [
            (r#"{"id":0}"#, 42201),
            (r#"{"id":4294967296}"#, 42201),
            (r#"{"id":1,"version":4294967296}"#, 42202),
        ] {
            assert_eq!(wanted(body).unwrap_err().status_and_code().1, code, "{body}");
        }
    }

    #[test]
    fn unusable_bodies_have_their_codes() {
        let table = [
            ("", 400),
            ("{", 400),
            ("[]", 42201),
            ("{}", 42201),
            (r#"{"schema":7}"#, 42201),
            (r#"{"schema":" "}"#, 42201),
            (r#"{"schema":"not json"}"#, 42201),
            (r#"{"schema":"\"int\"","schemaType":"PROTOBUF"}"#, 42201),
            (r#"{"schema":"{}","schemaType":"JSON"}"#, 42201),
            (r#"{"schema":"\"int\"","references":[{"name":"a","subject":"b","version":-1}]}"#, 42201),
            (r#"{"schema":"\"int\"","references":[{"name":"a","subject":"s","version":0}]}"#, 42201),
            (r#"{"schema":"\"int\"","references":[{"name":"a","subject":"s","version":4294967297}]}"#, 42201),
        ];
        for (body, code) in table {
            assert_eq!(schema(body).unwrap_err().status_and_code().1, code, "{body}");
        }
        let table = [
            ("", 400),
            ("{}", 42203),
            ("[]", 42203),
            (r#"{"compatibility":7}"#, 42203),
            (r#"{"compatibility":"x"}"#, 42203),
            (r#"{"compatibility":null,"new":1}"#, 42203),
            (r#"{"compatibility":"NONE","normalize":{}}"#, 400),
        ];
        for (body, code) in table {
            assert_eq!(ConfigChange::parse(body.as_bytes()).unwrap_err().status_and_code().1, code, "{body}");
        }
        for (body, code) in [("", 400), ("{}", 42204), (r#"{"mode":"x"}"#, 42204), (r#"{"mode":1}"#, 42204)] {
            assert_eq!(mode(body.as_bytes()).unwrap_err().status_and_code().1, code, "{body}");
        }
    }

    #[test]
    fn settings_are_read_in_any_case_and_in_their_order() {
        let change =
            ConfigChange::parse(br#"{"normalize":true,"new":1,"alias":"b","compatibility":"full"}"#).unwrap();
        assert_eq!(change.level, Some(Level::Full));
        assert_eq!(serde_json::to_string(&change.fields).unwrap(), r#"{"alias":"b","normalize":true}"#);
        assert_eq!(mode(br#"{"mode":"import"}"#), Ok(Mode::Import));
    }
}
