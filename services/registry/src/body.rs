//! Bodies of requests. Pure. Fields that are not known are ignored: clients send ever more of them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::error::Category;

use crate::avro;
use crate::compatibility::Level;
use crate::error::RegistryError;
use crate::log::Fields;
use crate::state::Schema;

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
}

/// Another schema that a schema uses.
#[derive(Debug, Deserialize, Serialize)]
struct Reference {
    name: String,
    subject: String,
    version: u32,
}

/// Body that sets a compatibility level.
#[derive(Debug, Deserialize)]
pub struct LevelBody {
    compatibility: Option<String>,
}

impl SchemaBody {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not JSON, or a field is of another type.
    pub fn parse(body: &[u8]) -> Result<Self, RegistryError> {
        parse(body, |problem| RegistryError::InvalidSchema(problem.to_string()))
    }

    /// The schema in its normal form.
    ///
    /// # Errors
    /// When there is none, or it is not JSON, or not Avro.
    pub fn schema(self) -> Result<Schema, RegistryError> {
        let schema_type = self.schema_type.as_deref().unwrap_or("AVRO");
        if !schema_type.eq_ignore_ascii_case("AVRO") {
            let problem = format!("schema type {schema_type} is not supported, only AVRO is");
            return Err(RegistryError::InvalidSchema(problem));
        }
        let text = self.schema.filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| RegistryError::InvalidSchema("Empty schema".into()))?;
        let text =
            avro::normal_form(&text).map_err(|problem| RegistryError::InvalidSchema(problem.to_string()))?;
        let mut schema = Schema::avro(&text);
        schema.fields = further_fields(self.references, self.metadata, self.rule_set);
        Ok(schema)
    }

    /// The schema in its normal form, of a client that leaves the choice of the id to the registry.
    ///
    /// # Errors
    /// As [`SchemaBody::schema`], and when the client wants a certain id.
    pub fn schema_without_id(self, subject: &str) -> Result<Schema, RegistryError> {
        if self.id.is_some_and(|id| id >= 0) {
            return Err(RegistryError::NotPermitted(format!("Subject {subject} is not in import mode")));
        }
        self.schema()
    }
}

impl LevelBody {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not JSON, or a field is of another type.
    pub fn parse(body: &[u8]) -> Result<Self, RegistryError> {
        parse(body, |_| RegistryError::InvalidCompatibility)
    }

    /// The level.
    ///
    /// # Errors
    /// When there is none, or none of the seven.
    pub fn level(&self) -> Result<Level, RegistryError> {
        self.compatibility.as_deref().and_then(Level::parse).ok_or(RegistryError::InvalidCompatibility)
    }
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
fn further_fields(
    references: Option<Vec<Reference>>,
    metadata: Option<Value>,
    rule_set: Option<Value>,
) -> Fields {
    let mut fields = Fields::new();
    let references = references.unwrap_or_default();
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
        SchemaBody::parse(body.as_bytes())?.schema_without_id("s")
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
        }
    }

    #[test]
    fn references_metadata_and_rules_are_part_of_a_schema() {
        let body = r#"{"schema":"\"int\"","ruleSet":{"a":1},"metadata":{"b":2},"references":[{"version":1,"name":"n","subject":"s","x":1}]}"#;
        let fields = serde_json::to_string(&schema(body).unwrap().fields).unwrap();
        assert_eq!(
            fields,
            r#"{"references":[{"name":"n","subject":"s","version":1}],"metadata":{"b":2},"ruleSet":{"a":1}}"#
        );
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
            (r#"{"schema":"\"int\"","id":7}"#, 42205),
        ];
        for (body, code) in table {
            assert_eq!(schema(body).unwrap_err().status_and_code().1, code, "{body}");
        }
        for (body, code) in
            [("", 400), ("{}", 42203), (r#"{"compatibility":7}"#, 42203), (r#"{"compatibility":"x"}"#, 42203)]
        {
            let error = LevelBody::parse(body.as_bytes()).and_then(|body| body.level()).unwrap_err();
            assert_eq!(error.status_and_code().1, code, "{body}");
        }
        assert_eq!(LevelBody::parse(br#"{"compatibility":"full"}"#).unwrap().level().unwrap(), Level::Full);
    }
}
