//! Tags of Confluent's data contracts: from a version, a schema whose record or fields carry other `confluent:tags`. Pure.
//!
//! The new schema is another one than that it was made from, and becomes the next version; its metadata says which, as Confluent's
//! registry has it.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::avro;
use crate::error::RegistryError;
use crate::form::full_name;
use crate::log::Fields;
use crate::schema::Schema;

/// Attribute of a record or a field that holds its tags.
const TAGS: &str = "confluent:tags";
/// Property in the metadata: the version that was made so.
const VERSION: &str = "confluent:version";

/// What is to be other than in the version that it starts from.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagChange {
    new_version: Option<i64>,
    tags_to_add: Option<Vec<Tagged>>,
    tags_to_remove: Option<Vec<Tagged>>,
    metadata: Option<Fields>,
    rule_set: Option<Fields>,
    rules_to_merge: Option<Fields>,
    rules_to_remove: Option<Vec<String>>,
}

/// Tags and what has them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tagged {
    schema_entity: Entity,
    tags: Vec<String>,
}

/// A record or a field, by its full name: `lsst.sal.Test.scalars`, `lsst.sal.Test.scalars.int0`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entity {
    entity_path: String,
    entity_type: EntityType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum EntityType {
    #[serde(rename = "sr_record", alias = "SR_RECORD")]
    Record,
    #[serde(rename = "sr_field", alias = "SR_FIELD")]
    Field,
}

impl TagChange {
    /// Makes the schema of version `next`.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSchema`] when another version is wanted, or there is nothing of a given path.
    pub fn apply(&self, schema: &Schema, next: u32) -> Result<Schema, RegistryError> {
        let invalid = |problem: &str| Err(RegistryError::InvalidSchema(problem.into()));
        if self.new_version.is_some_and(|wanted| wanted > 0 && wanted != i64::from(next)) {
            return invalid("Version is not one more than previous version");
        }
        if !schema.is_avro() {
            return invalid("only an Avro schema can have tags");
        }
        let unreadable = |error: serde_json::Error| RegistryError::InvalidSchema(error.to_string());
        let mut tree: Value = serde_json::from_str(&schema.text()).map_err(unreadable)?;
        for tagged in self.tags_to_add.iter().flatten() {
            tagged.change(&mut tree, |known, tag| {
                if !known.contains(tag) {
                    known.push(tag.clone());
                }
            })?;
        }
        for tagged in self.tags_to_remove.iter().flatten() {
            tagged.change(&mut tree, |known, tag| known.retain(|other| other != tag))?;
        }
        let text = avro::normal_form(&tree.to_string()).map_err(unreadable)?;
        let mut fields = Fields::new();
        let parts = [
            ("references", schema.field("references").cloned()),
            ("metadata", Some(self.metadata(schema, next))),
            ("ruleSet", self.rules(schema)),
        ];
        fields.extend(parts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(Schema::new(&text, fields))
    }

    fn metadata(&self, schema: &Schema, next: u32) -> Value {
        let given = self.metadata.clone().or_else(|| schema.field("metadata")?.as_object().cloned());
        let mut metadata = given.unwrap_or_default();
        let mut properties =
            metadata.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        properties.insert(VERSION.into(), next.to_string().into());
        metadata.insert("properties".into(), properties.into());
        metadata.into()
    }

    /// Rules of one name stand for each other; new ones come last.
    fn rules(&self, schema: &Schema) -> Option<Value> {
        let mut rules = match &self.rule_set {
            Some(given) => given.clone(),
            None => schema.field("ruleSet").and_then(Value::as_object).cloned().unwrap_or_default(),
        };
        let merged = self.rules_to_merge.iter().flatten();
        for (kind, new) in merged.filter_map(|(kind, new)| Some((kind, new.as_array()?))) {
            let known = rules.entry(kind.as_str()).or_insert_with(|| json!([]));
            if let Value::Array(known) = known {
                known.retain(|rule| !new.iter().any(|other| other.get("name") == rule.get("name")));
                known.extend(new.iter().cloned());
            }
        }
        let is_removed = |rule: &Value| {
            let name = rule.get("name").and_then(Value::as_str);
            self.rules_to_remove.iter().flatten().any(|removed| Some(removed.as_str()) == name)
        };
        for known in rules.values_mut().filter_map(Value::as_array_mut) {
            known.retain(|rule| !is_removed(rule));
        }
        (!rules.is_empty()).then(|| rules.into())
    }
}

impl Tagged {
    /// Makes another list of the tags that the entity has.
    fn change(
        &self,
        schema: &mut Value,
        change: impl Fn(&mut Vec<String>, &String),
    ) -> Result<(), RegistryError> {
        let Entity { entity_path: path, entity_type } = &self.schema_entity;
        let (record, field) = match (entity_type, path.rsplit_once('.')) {
            (EntityType::Record, _) => (path.as_str(), None),
            (EntityType::Field, Some((record, field))) => (record, Some(field)),
            (EntityType::Field, None) => ("", Some(path.as_str())),
        };
        let (space, name) = record.rsplit_once('.').unwrap_or(("", record));
        let wanted = Wanted { space, name, field };
        let found = wanted.find(schema, "").ok_or_else(|| {
            RegistryError::InvalidSchema(format!("No matching path '{path}' found in the schema"))
        })?;
        let known = found.get(TAGS).and_then(Value::as_array).into_iter().flatten();
        let mut tags: Vec<String> = known.filter_map(Value::as_str).map(str::to_owned).collect();
        self.tags.iter().for_each(|tag| change(&mut tags, tag));
        if tags.is_empty() {
            found.shift_remove(TAGS);
        } else {
            found.insert(TAGS.into(), tags.into());
        }
        Ok(())
    }
}

/// What is looked for: a record, or a field of it. Without a namespace it may be in any.
struct Wanted<'a> {
    space: &'a str,
    name: &'a str,
    field: Option<&'a str>,
}

impl Wanted<'_> {
    /// Looks wherever a schema may stand, inside the namespace `space`.
    fn find<'s>(&self, schema: &'s mut Value, space: &str) -> Option<&'s mut Fields> {
        match schema {
            Value::Array(branches) => branches.iter_mut().find_map(|branch| self.find(branch, space)),
            Value::Object(fields) => self.find_in(fields, space),
            _ => None,
        }
    }

    fn find_in<'s>(&self, fields: &'s mut Fields, space: &str) -> Option<&'s mut Fields> {
        let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if kind != "record" && kind != "error" {
            let place = match kind.as_str() {
                "array" => "items",
                "map" => "values",
                _ => "type",
            };
            return self.find(fields.get_mut(place)?, space);
        }
        let (own, name) = full_name(fields, space)?;
        let (own, is_it) =
            (own.to_owned(), name == self.name && (self.space.is_empty() || self.space == own));
        if is_it && self.field.is_none() {
            return Some(fields);
        }
        let members = fields.get_mut("fields")?.as_array_mut()?.iter_mut();
        let mut members = members.filter_map(Value::as_object_mut);
        if is_it {
            return members.find(|member| member.get("name").and_then(Value::as_str) == self.field);
        }
        members.find_map(|member| self.find(member.get_mut("type")?, &own))
    }
}

#[cfg(test)]
#[path = "tags_tests.rs"]
mod tests;
