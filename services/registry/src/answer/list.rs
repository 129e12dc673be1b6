//! Lists.

use serde_json::Value;

use super::{Answer, bytes, known_subject, version_answer};
use crate::error::RegistryError;
use crate::name::matches_prefix;
use crate::query::Page;
use crate::route::{AllSchemas, ById};
use crate::schema::{Schema, parse_guid};
use crate::state::State;
use crate::subject::{Subject, Version, Which};

/// Subjects and versions that have a schema, of one subject if it is named, in order.
pub(super) fn uses<'a>(
    state: &'a State,
    by: &ById,
    subject: Option<&str>,
    deleted: bool,
) -> Result<Vec<(&'a str, u32)>, RegistryError> {
    let ids = state.ids(&by.context).filter(|ids| ids.schema(by.id).is_some());
    let ids = ids.ok_or(RegistryError::SchemaNotFound(by.id))?;
    let uses = ids.uses(by.id).iter().map(|(name, version)| (&**name, *version));
    let is_meant = |(name, version): &(&str, u32)| {
        subject.is_none_or(|subject| subject == *name) && (deleted || state.is_live(name, *version))
    };
    let mut uses: Vec<(&str, u32)> = uses.filter(is_meant).collect();
    uses.sort_unstable();
    Ok(uses)
}

/// A schema by its GUID, in whatever context.
pub(super) fn of_guid<'a>(state: &'a State, guid: &str) -> Result<&'a Schema, RegistryError> {
    let missing = || RegistryError::GuidNotFound(guid.to_owned());
    let identity = parse_guid(guid).ok_or_else(missing)?;
    let ids = state.of_guid(&identity).map(|(context, id, _)| (context.to_owned(), id)).next();
    let (context, id) = ids.ok_or_else(missing)?;
    state.schema(&context, id).map(|schema| &**schema).ok_or_else(missing)
}

pub(super) fn subjects(state: &State, which: Which, prefix: &str, page: Page) -> Answer {
    let is_meant = |(name, subject): &(&std::sync::Arc<str>, &std::sync::Arc<Subject>)| {
        let is_live = subject.live().next().is_some();
        !subject.versions.is_empty() && which.has(!is_live) && matches_prefix(name, prefix)
    };
    let names = state.subjects.iter().filter(is_meant).map(|(name, _)| &**name);
    bytes(&page.of(names).collect::<Vec<_>>())
}

pub(super) fn versions(
    state: &State,
    subject: &str,
    which: Which,
    page: Page,
) -> Result<Answer, RegistryError> {
    let found = known_subject(state, subject, which != Which::Live)?;
    let versions = found.versions.iter().filter(|version| which.has(version.deleted));
    Ok(bytes(&page.of(versions.map(|version| version.version)).collect::<Vec<_>>()))
}

/// Every version of every subject. The entries are joined as they are, not read and written again.
pub(super) fn schemas(state: &State, wanted: &AllSchemas) -> Answer {
    let named = state.subjects.iter().filter(|(name, _)| matches_prefix(name, &wanted.prefix));
    let versions = named.flat_map(|(name, subject)| {
        let count = if wanted.latest_only { 1 } else { usize::MAX };
        let mut meant: Vec<Version> = subject.visible(wanted.deleted).rev().take(count).copied().collect();
        meant.reverse();
        meant.into_iter().map(move |version| (name, version))
    });
    let mut list = vec![b'['];
    for (name, version) in wanted.page.of(versions) {
        let Some(schema) = state.schema_of(name, version) else { continue };
        if list.len() > 1 {
            list.push(b',');
        }
        list.extend_from_slice(&version_answer(name, version, schema));
    }
    list.push(b']');
    list.into()
}

/// The highest version whose metadata has all these properties.
pub(super) fn latest_with(
    state: &State,
    subject: &str,
    properties: &[(String, String)],
    deleted: bool,
) -> Result<Answer, RegistryError> {
    let found = known_subject(state, subject, deleted)?;
    let has_all = |schema: &Schema| {
        let own = schema.field("metadata").and_then(|metadata| metadata.get("properties"));
        properties.iter().all(|(key, value)| {
            own.and_then(|own| own.get(key)).and_then(Value::as_str) == Some(value.as_str())
        })
    };
    for version in found.visible(deleted).rev() {
        if let Some(schema) = state.schema_of(subject, *version).filter(|schema| has_all(schema)) {
            return Ok(version_answer(subject, *version, schema));
        }
    }
    Err(RegistryError::SchemaNotUnderSubject)
}
