//! Bodies of answers: what the state says to a call, as JSON. Pure.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::body::SchemaBody;
use crate::change::Outcome;
use crate::error::RegistryError;
use crate::log::Fields;
use crate::route::{Call, Which};
use crate::state::{Schema, State, Subject, Version, VersionRef};

/// Body of an answer.
pub type Answer = Vec<u8>;

/// Answers a call for which nothing has to be known.
pub fn fixed(call: &Call) -> Option<Answer> {
    match call {
        Call::Root => Some(b"{}".to_vec()),
        Call::SchemaTypes => Some(bytes(&["AVRO"])),
        _ => None,
    }
}

/// Answers a call that changes nothing.
///
/// # Errors
/// When what is asked for does not exist, or the body is not usable.
pub fn read(state: &State, call: &Call, body: &[u8]) -> Result<Answer, RegistryError> {
    match call {
        Call::Schema { id, max_id } => {
            let mut fields = schema_fields(schema(state, *id)?);
            if *max_id {
                fields.insert("maxId".into(), state.max_id().into());
            }
            Ok(bytes(&fields))
        }
        Call::SchemaText { id } => Ok(schema(state, *id)?.text.as_bytes().to_vec()),
        Call::SchemaVersions { id, deleted } => {
            let uses = uses(state, *id, *deleted)?;
            let list =
                uses.iter().map(|(subject, version)| json!({"subject": &**subject, "version": version}));
            Ok(bytes(&list.collect::<Vec<_>>()))
        }
        Call::SchemaSubjects { id, deleted } => {
            let uses = uses(state, *id, *deleted)?;
            let mut names: Vec<&str> = uses.iter().map(|(subject, _)| &**subject).collect();
            names.dedup();
            Ok(bytes(&names))
        }
        Call::Subjects { which, prefix } => Ok(bytes(&subjects(state, *which, prefix))),
        Call::Versions { subject, which } => versions(state, subject, *which),
        Call::Version { subject, version, deleted } => {
            let found = version_of(state, subject, *version, *deleted)?;
            Ok(bytes(&version_fields(subject, found, schema(state, found.id)?)))
        }
        Call::VersionText { subject, version, deleted } => {
            let found = version_of(state, subject, *version, *deleted)?;
            Ok(schema(state, found.id)?.text.as_bytes().to_vec())
        }
        Call::LookUp { subject, deleted } => look_up(state, subject, *deleted, body),
        Call::Level { subject, default_to_global } => level(state, subject.as_deref(), *default_to_global),
        _ => fixed(call).ok_or(RegistryError::MethodNotAllowed),
    }
}

/// Answers a call that changed something.
pub fn outcome(outcome: &Outcome, call: &Call) -> Answer {
    match outcome {
        Outcome::Id(id) => bytes(&json!({"id": id})),
        Outcome::Versions(versions) => bytes(versions),
        Outcome::Version(version) => bytes(version),
        Outcome::Level(level) => {
            // What is set is called compatibility, what is got or taken back compatibilityLevel.
            let name =
                if matches!(call, Call::SetLevel { .. }) { "compatibility" } else { "compatibilityLevel" };
            bytes(&json!({name: level.as_str()}))
        }
    }
}

/// Answers a call that was refused or failed.
pub fn error(error: &RegistryError) -> Answer {
    let (_, code) = error.status_and_code();
    bytes(&json!({"error_code": code, "message": error.to_string()}))
}

fn schema(state: &State, id: u32) -> Result<&Arc<Schema>, RegistryError> {
    state.schema(id).ok_or(RegistryError::SchemaNotFound(id))
}

fn uses(state: &State, id: u32, deleted: bool) -> Result<Vec<(Arc<str>, u32)>, RegistryError> {
    schema(state, id)?;
    Ok(state.uses(id, deleted))
}

/// What belongs to a schema and is of use to clients.
fn schema_fields(schema: &Schema) -> Fields {
    let mut fields = schema.fields.clone();
    fields.shift_remove("md5");
    fields.insert("schema".into(), (&*schema.text).into());
    fields
}

fn version_fields(subject: &str, version: Version, schema: &Schema) -> Fields {
    let mut fields = Fields::new();
    fields.insert("subject".into(), subject.into());
    fields.insert("version".into(), version.version.into());
    fields.insert("id".into(), version.id.into());
    fields.extend(schema_fields(schema));
    fields
}

fn subjects<'a>(state: &'a State, which: Which, prefix: &str) -> Vec<&'a str> {
    // ":*:" stands for all contexts, and there are no others than the default one.
    let prefix = prefix.strip_prefix(":*:").unwrap_or(prefix);
    let subjects = state.subjects.iter().filter(|(name, subject)| {
        let is_live = subject.live().next().is_some();
        let is_meant = match which {
            Which::Live => is_live,
            Which::All => !subject.versions.is_empty(),
            Which::Deleted => !is_live && !subject.versions.is_empty(),
        };
        is_meant && name.starts_with(prefix)
    });
    subjects.map(|(name, _)| &**name).collect()
}

fn known_subject<'a>(state: &'a State, subject: &str, deleted: bool) -> Result<&'a Subject, RegistryError> {
    let found = state.subject(subject).filter(|found| found.visible(deleted).next().is_some());
    found.ok_or_else(|| RegistryError::SubjectNotFound(subject.to_owned()))
}

fn versions(state: &State, subject: &str, which: Which) -> Result<Answer, RegistryError> {
    let found = known_subject(state, subject, which != Which::Live)?;
    let versions =
        found.visible(which != Which::Live).filter(|version| which != Which::Deleted || version.deleted);
    Ok(bytes(&versions.map(|version| version.version).collect::<Vec<_>>()))
}

fn version_of(
    state: &State,
    subject: &str,
    version: VersionRef,
    deleted: bool,
) -> Result<Version, RegistryError> {
    let mut visible = known_subject(state, subject, deleted)?.visible(deleted);
    let found = match version {
        VersionRef::Latest => {
            visible.next_back().ok_or_else(|| RegistryError::SubjectNotFound(subject.to_owned()))
        }
        VersionRef::Number(number) => {
            visible.find(|known| known.version == number).ok_or(RegistryError::VersionNotFound(number))
        }
    };
    found.copied()
}

fn look_up(state: &State, subject: &str, deleted: bool, body: &[u8]) -> Result<Answer, RegistryError> {
    let wanted = SchemaBody::parse(body)?.schema()?;
    match state.look_up(subject, &wanted, deleted) {
        Some(found) => Ok(bytes(&version_fields(subject, found, schema(state, found.id)?))),
        None => {
            known_subject(state, subject, deleted)?;
            Err(RegistryError::SchemaNotUnderSubject)
        }
    }
}

fn level(state: &State, subject: Option<&str>, default_to_global: bool) -> Result<Answer, RegistryError> {
    let own = match subject {
        Some(subject) => state.subjects.get(subject).and_then(|found| found.config.as_ref()),
        None => state.config.as_ref(),
    };
    if let (Some(subject), None, false) = (subject, own, default_to_global) {
        return Err(RegistryError::NoSubjectCompatibility(subject.to_owned()));
    }
    let mut fields = own.map_or_else(Fields::new, |config| config.fields.clone());
    fields.insert("compatibilityLevel".into(), Value::from(state.level(subject).as_str()));
    Ok(bytes(&fields))
}

fn bytes(value: &(impl Serialize + ?Sized)) -> Answer {
    serde_json::to_vec(value).expect("strings, numbers and maps with string keys always make JSON")
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
