//! Bodies of answers: what the state says to a call, as JSON. Pure.

mod list;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::avro;
use crate::body::{ConfigChange, SchemaBody};
use crate::change::Outcome;
use crate::compatibility::Level;
use crate::error::RegistryError;
use crate::log::{ConfigValue, Fields};
use crate::name::context_of;
use crate::normal::normalized;
use crate::route::{ById, Call, OfVersion};
use crate::schema::{Schema, parse_guid};
use crate::state::State;
use crate::subject::{Subject, Version, VersionRef};

/// Body of an answer.
pub type Answer = Bytes;

/// The description of the interface.
const OPENAPI: &[u8] = include_bytes!("../openapi.json");

/// Answers a call for which nothing has to be known.
pub fn fixed(call: &Call) -> Option<Answer> {
    match call {
        Call::Root | Call::Probe => Some(Bytes::from_static(b"{}")),
        Call::OpenApi => Some(Bytes::from_static(OPENAPI)),
        Call::SchemaTypes => Some(Bytes::from_static(b"[\"AVRO\"]")),
        Call::RegistryVersion => {
            Some(bytes(&json!({"version": env!("CARGO_PKG_VERSION"), "commitId": "efd-registry"})))
        }
        Call::Deployment => Some(Bytes::from_static(b"{\"attributes\":[]}")),
        _ => None,
    }
}

/// Answers a call that changes nothing.
///
/// # Errors
/// When what is asked for does not exist, or the body is not usable.
pub fn read(state: &State, call: &Call, body: &[u8]) -> Result<Answer, RegistryError> {
    match call {
        Call::Schema { by, max_id: false } => Ok(by_id(state, by)?.answer()),
        Call::Schema { by, max_id: true } => {
            let max_id = state.ids(&by.context).map_or(0, |ids| ids.max_id());
            Ok(joined(&json!({"maxId": max_id}), by_id(state, by)?))
        }
        Call::SchemaText { by } => Ok(by_id(state, by)?.text().into()),
        Call::SchemaVersions { by, subject, deleted, page } => {
            let uses = list::uses(state, by, subject.as_deref(), *deleted)?;
            let uses =
                uses.into_iter().map(|(subject, version)| json!({"subject": subject, "version": version}));
            Ok(bytes(&page.of(uses).collect::<Vec<_>>()))
        }
        Call::SchemaSubjects { by, subject, deleted, page } => {
            let uses = list::uses(state, by, subject.as_deref(), *deleted)?;
            let mut names: Vec<&str> = uses.into_iter().map(|(subject, _)| subject).collect();
            names.dedup();
            Ok(bytes(&page.of(names.into_iter()).collect::<Vec<_>>()))
        }
        Call::Guid { guid } => Ok(list::of_guid(state, guid)?.answer()),
        Call::GuidIds { guid } => {
            list::of_guid(state, guid)?;
            let identity = parse_guid(guid).unwrap_or_default();
            let ids = state.of_guid(&identity).map(|(context, id, _)| json!({"context": context, "id": id}));
            Ok(bytes(&ids.collect::<Vec<_>>()))
        }
        Call::Contexts { prefix, page } => {
            let names = state.contexts().into_iter().filter(|name| name.starts_with(&**prefix));
            Ok(bytes(&page.of(names).collect::<Vec<_>>()))
        }
        Call::Subjects { which, prefix, page } => Ok(list::subjects(state, *which, prefix, *page)),
        Call::Schemas(wanted) => Ok(list::schemas(state, wanted)),
        Call::Config { subject, default_to_global } => config(state, subject.as_deref(), *default_to_global),
        Call::Mode { subject, default_to_global } => mode(state, subject.as_deref(), *default_to_global),
        _ => of_subject(state, call, body),
    }
}

/// Calls about one subject. A name that is an alias stands for another subject.
fn of_subject(state: &State, call: &Call, body: &[u8]) -> Result<Answer, RegistryError> {
    match call {
        Call::Versions { subject, which, page } => {
            list::versions(state, state.resolve(subject), *which, *page)
        }
        Call::Version(of) => {
            let (subject, version, schema) = version_of(state, of)?;
            Ok(version_answer(subject, version, schema))
        }
        Call::VersionText(of) => Ok(version_of(state, of)?.2.text().into()),
        Call::ReferencedBy { of, page } => {
            // A softly deleted version may still be referred to.
            let any = OfVersion { deleted: true, ..of.clone() };
            let (subject, version, _) = version_of(state, &any)?;
            let ids = state.referring(subject, version.version, of.deleted);
            Ok(bytes(&page.of(ids.into_iter()).collect::<Vec<_>>()))
        }
        Call::LatestWith { subject, properties, deleted } => {
            list::latest_with(state, state.resolve(subject), properties, *deleted)
        }
        Call::LookUp { subject, deleted, normalize } => {
            look_up(state, state.resolve(subject), (*deleted, *normalize), body)
        }
        Call::Compatibility { subject, version, normalize, verbose } => {
            let schema = schema_in(state, body, subject, *normalize)?;
            compatibility(state, state.resolve(subject), (*version, *verbose), &schema)
        }
        _ => fixed(call).ok_or(RegistryError::PathNotFound),
    }
}

/// Answers a call that changed something.
pub fn outcome(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Registered { id, version, guid } => {
            bytes(&json!({"id": id, "version": version, "guid": guid}))
        }
        Outcome::Versions(versions) => bytes(versions),
        Outcome::Version(version) => bytes(version),
        // What is set is called compatibility, what is got or taken back compatibilityLevel.
        Outcome::ConfigSet(ConfigChange { level, fields }) => config_answer("compatibility", *level, fields),
        Outcome::ConfigCleared(ConfigValue { level, fields }) => {
            config_answer("compatibilityLevel", *level, fields)
        }
        Outcome::Mode(mode) => bytes(&json!({"mode": mode.as_str()})),
        Outcome::Done => Bytes::new(),
    }
}

/// Answers a call that was refused or failed.
pub fn error(error: &RegistryError) -> Answer {
    let (_, code) = error.status_and_code();
    bytes(&json!({"error_code": code, "message": error.to_string()}))
}

/// The schema in a body, in the form in which it is stored and compared.
///
/// # Errors
/// When it cannot be one.
pub fn schema_in(
    state: &State,
    body: &[u8],
    subject: &str,
    is_normalized: bool,
) -> Result<Schema, RegistryError> {
    let latest = |name: &str| Some(state.subject(name)?.live().next_back()?.version);
    let schema = SchemaBody::parse(body)?.schema(context_of(subject), latest)?;
    if is_normalized || state.normalizes(subject) { normal(&schema) } else { Ok(schema) }
}

/// The schema normalised, with its references in order.
fn normal(schema: &Schema) -> Result<Schema, RegistryError> {
    let mut fields = schema.log_fields();
    fields.shift_remove("md5");
    if let Some(Value::Array(references)) = fields.get_mut("references") {
        references.sort_by_cached_key(|reference| {
            ["name", "subject", "version"].map(|key| reference.get(key).map(Value::to_string))
        });
    }
    let text = normalized(&schema.text()).map_err(|error| RegistryError::InvalidSchema(error.to_string()))?;
    Ok(Schema::new(&text, fields))
}

fn by_id<'a>(state: &'a State, by: &ById) -> Result<&'a Schema, RegistryError> {
    let schema = state.schema(&by.context, by.id);
    schema.map(|schema| &**schema).ok_or(RegistryError::SchemaNotFound(by.id))
}

/// The fields, then those of the schema's answer.
fn joined(fields: &Value, schema: &Schema) -> Answer {
    let mut answer = serde_json::to_vec(fields).unwrap_or_default();
    answer.pop();
    answer.push(b',');
    answer.extend_from_slice(schema.answer().get(1..).unwrap_or_default());
    answer.into()
}

fn version_answer(subject: &str, version: Version, schema: &Schema) -> Answer {
    let mut fields = json!({"subject": subject, "version": version.version, "id": version.id});
    if let (true, Some(fields)) = (version.deleted, fields.as_object_mut()) {
        fields.insert("deleted".into(), true.into());
    }
    joined(&fields, schema)
}

fn known_subject<'a>(state: &'a State, subject: &str, deleted: bool) -> Result<&'a Subject, RegistryError> {
    let found = state.subject(subject).filter(|found| found.visible(deleted).next().is_some());
    found.ok_or_else(|| RegistryError::SubjectNotFound(subject.to_owned()))
}

fn version_of<'a>(
    state: &'a State,
    of: &'a OfVersion,
) -> Result<(&'a str, Version, &'a Schema), RegistryError> {
    let subject = state.resolve(&of.subject);
    let mut visible = known_subject(state, subject, of.deleted)?.visible(of.deleted);
    let found = match of.version {
        VersionRef::Latest => visible.next_back(),
        VersionRef::Number(number) => visible.find(|known| known.version == number),
    };
    let missing = match of.version {
        VersionRef::Latest => RegistryError::SubjectNotFound(subject.to_owned()),
        VersionRef::Number(number) => RegistryError::VersionNotFound(number),
    };
    let found = *found.ok_or(missing)?;
    let schema = state.schema_of(subject, found).ok_or(RegistryError::SchemaNotFound(found.id))?;
    Ok((subject, found, schema))
}

fn look_up(
    state: &State,
    subject: &str,
    (deleted, is_normalized): (bool, bool),
    body: &[u8],
) -> Result<Answer, RegistryError> {
    let wanted = schema_in(state, body, subject, is_normalized)?;
    if let Some(found) = state.look_up(subject, &wanted, deleted) {
        let schema = state.schema_of(subject, found).ok_or(RegistryError::SchemaNotFound(found.id))?;
        return Ok(version_answer(subject, found, schema));
    }
    known_subject(state, subject, deleted)?;
    avro::parse_with(&wanted.text(), &state.dependencies(&wanted)?).map_err(RegistryError::InvalidSchema)?;
    Err(RegistryError::SchemaNotUnderSubject)
}

fn compatibility(
    state: &State,
    subject: &str,
    (version, verbose): (Option<VersionRef>, bool),
    schema: &Schema,
) -> Result<Answer, RegistryError> {
    let parsed = avro::parse_with(&schema.text(), &state.dependencies(schema)?);
    let parsed = parsed.map_err(RegistryError::InvalidSchema)?;
    let level = state.level(Some(subject));
    let earlier: Vec<Version> = match version {
        Some(version) => {
            let of = OfVersion { subject: subject.into(), version, deleted: false };
            vec![version_of(state, &of)?.1]
        }
        None => {
            let compared = if level.is_transitive() { usize::MAX } else { 1 };
            let live = state.subject(subject).map(|found| found.live().rev().take(compared).copied());
            live.map(Iterator::collect).unwrap_or_default()
        }
    };
    let mut messages = Vec::new();
    for earlier in earlier {
        if level != Level::None
            && let Err(reasons) = state.compare(level, &parsed, (subject, earlier))
        {
            messages.extend(reasons);
        }
    }
    let mut answer = json!({"is_compatible": messages.is_empty()});
    if let (true, Some(fields)) = (verbose, answer.as_object_mut()) {
        fields.insert("messages".into(), messages.into());
    }
    Ok(bytes(&answer))
}

fn config(state: &State, subject: Option<&str>, default_to_global: bool) -> Result<Answer, RegistryError> {
    let own = match subject {
        Some(subject) => state.subjects.get(subject).and_then(|found| found.config.as_deref()),
        None => state.config.as_deref(),
    };
    if let (Some(subject), None, false) = (subject, own, default_to_global) {
        return Err(RegistryError::NoSubjectCompatibility(subject.to_owned()));
    }
    let fields = own.map_or_else(Fields::new, |config| config.fields.clone());
    Ok(config_answer("compatibilityLevel", Some(state.level(subject)), &fields))
}

fn config_answer(name: &str, level: Option<Level>, fields: &Fields) -> Answer {
    let mut answer = fields.clone();
    if let Some(level) = level {
        answer.insert(name.to_owned(), level.as_str().into());
    }
    bytes(&answer)
}

fn mode(state: &State, subject: Option<&str>, default_to_global: bool) -> Result<Answer, RegistryError> {
    let own = match subject {
        Some(subject) => state.subjects.get(subject).and_then(|found| found.mode),
        None => state.mode,
    };
    if let (Some(subject), None, false) = (subject, own, default_to_global) {
        return Err(RegistryError::NoSubjectMode(subject.to_owned()));
    }
    let mode = own.unwrap_or_else(|| state.mode(subject));
    Ok(bytes(&json!({"mode": mode.as_str()})))
}

fn bytes(value: &(impl Serialize + ?Sized)) -> Answer {
    serde_json::to_vec(value).expect("strings, numbers and maps with string keys always make JSON").into()
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
