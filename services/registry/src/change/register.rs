//! Registrations.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Outcome, Plan, check_name};
use crate::avro;
use crate::body::Wanted;
use crate::compatibility::{self, Level};
use crate::error::RegistryError;
use crate::log::{Record, SchemaValue};
use crate::name::{DEFAULT_CONTEXT, context_of};
use crate::schema::Schema;
use crate::state::State;
use crate::subject::{Subject, Version, VersionRef};
use crate::tags::TagChange;

impl State {
    pub(super) fn plan_register(
        &self,
        subject: &Arc<str>,
        schema: &Schema,
        wanted: Option<Wanted>,
    ) -> Result<Plan, RegistryError> {
        check_name(subject)?;
        let outcome = |id, version| Outcome::Registered { id, version, guid: schema.guid() };
        if let Some(known) = self.look_up(subject, schema, false) {
            return match wanted.filter(|wanted| wanted.id != known.id) {
                None => Ok((Vec::new(), outcome(known.id, known.version))),
                Some(wanted) => Err(RegistryError::IdDoesNotMatch { known: known.id, wanted: wanted.id }),
            };
        }
        self.mode(Some(subject)).check_registration(subject, wanted.is_some())?;
        let parsed = avro::parse_with(&schema.text(), &self.dependencies(schema)?)
            .map_err(RegistryError::InvalidSchema)?;
        let id = match wanted {
            Some(wanted) => self.check_import(subject, schema, wanted)?,
            None => {
                self.check_compatibility(subject, &parsed)?;
                self.check_storable(subject, &parsed)?;
                self.next_id(subject, schema)?
            }
        };
        let next = self.subject(subject).map_or(1, next_version);
        let version = wanted.and_then(|wanted| wanted.version).unwrap_or(next);
        let mut records = self.new_context(subject);
        records.extend(self.replaced(subject, schema, version));
        let value = SchemaValue { id, schema: Arc::new(schema.clone()), deleted: false };
        records.push(Record::Schema { subject: subject.clone(), version, value: Some(value) });
        Ok((records, outcome(id, version)))
    }

    pub(super) fn plan_change_tags(
        &self,
        subject: &Arc<str>,
        version: VersionRef,
        change: &TagChange,
    ) -> Result<Plan, RegistryError> {
        let found = self.known_subject(subject)?;
        let last =
            found.live().next_back().ok_or_else(|| RegistryError::SubjectNotFound(subject.to_string()))?;
        let meant = match version {
            VersionRef::Latest => last,
            VersionRef::Number(number) => found
                .version(number)
                .filter(|version| !version.deleted)
                .ok_or(RegistryError::VersionNotFound(number))?,
        };
        let schema = self.schema_of(subject, *meant).ok_or(RegistryError::SchemaNotFound(meant.id))?;
        let schema = change.apply(schema, next_version(found))?;
        self.plan_register(subject, &schema, None)
    }

    /// The first schema of a context makes it known.
    fn new_context(&self, subject: &str) -> Vec<Record> {
        let context = context_of(subject);
        let is_known = context == DEFAULT_CONTEXT || self.ids(context).is_some_and(|ids| ids.is_declared);
        if is_known { Vec::new() } else { vec![Record::Context { context: context.into(), exists: true }] }
    }

    /// The softly deleted versions of the same schema go: the new one stands for them.
    fn replaced(&self, subject: &Arc<str>, schema: &Schema, version: u32) -> Vec<Record> {
        let versions = self.subject(subject).map_or(&[][..], |found| &found.versions);
        let is_same = |known: &&Version| {
            known.version != version
                && known.deleted
                && self.schema_of(subject, **known).is_some_and(|it| it.identity() == schema.identity())
        };
        let gone = |known: &Version| Record::Schema {
            subject: subject.clone(),
            version: known.version,
            value: None,
        };
        versions.iter().filter(is_same).map(gone).collect()
    }

    fn next_id(&self, subject: &str, schema: &Schema) -> Result<u32, RegistryError> {
        let Some(ids) = self.ids(context_of(subject)) else { return Ok(1) };
        if let Some(known) = ids.id_of(&schema.identity()) {
            return Ok(known);
        }
        let next = ids.max_id().checked_add(1).filter(|id| i32::try_from(*id).is_ok());
        next.ok_or(RegistryError::NoIdLeft)
    }

    /// An import may not change what an id or a version means.
    fn check_import(&self, subject: &str, schema: &Schema, wanted: Wanted) -> Result<u32, RegistryError> {
        let known = self.schema(context_of(subject), wanted.id);
        if known.is_some_and(|known| known.identity() != schema.identity()) {
            let problem = format!("Overwrite new schema with id {} is not permitted.", wanted.id);
            return Err(RegistryError::NotPermitted(problem));
        }
        let version = wanted.version.and_then(|version| self.subject(subject)?.version(version));
        if let Some(version) = version.filter(|version| !version.deleted) {
            let problem =
                format!("Overwrite version {} of subject {subject} is not permitted.", version.version);
            return Err(RegistryError::NotPermitted(problem));
        }
        Ok(wanted.id)
    }

    /// Texts of all schemas that a schema refers to, and that those refer to.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn dependencies(&self, schema: &Schema) -> Result<Vec<String>, RegistryError> {
        let mut texts = Vec::new();
        let mut seen = HashSet::new();
        let mut open = schema.references();
        while let Some(reference) = open.pop() {
            if !seen.insert((reference.subject.clone(), reference.version)) {
                continue;
            }
            let found = self.subject(&reference.subject).and_then(|found| found.version(reference.version));
            let found = found.and_then(|version| self.schema_of(&reference.subject, *version));
            let Some(found) = found else {
                return Err(RegistryError::no_reference(&reference.subject, reference.version.into()));
            };
            texts.push(found.text());
            open.extend(found.references());
        }
        Ok(texts)
    }

    fn check_compatibility(&self, subject: &str, new: &apache_avro::Schema) -> Result<(), RegistryError> {
        let level = self.level(Some(subject));
        let Some(found) = self.subject(subject).filter(|_| level != Level::None) else { return Ok(()) };
        let compared = if level.is_transitive() { usize::MAX } else { 1 };
        for earlier in found.live().rev().take(compared) {
            self.compare(level, new, (subject, *earlier)).map_err(|reasons| RegistryError::Incompatible {
                subject: subject.to_owned(),
                version: earlier.version,
                reason: format!("[{}]", reasons.join(", ")),
            })?;
        }
        Ok(())
    }

    /// Compares a new schema with an earlier version.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn compare(
        &self,
        level: Level,
        new: &apache_avro::Schema,
        (subject, earlier): (&str, Version),
    ) -> Result<(), Vec<String>> {
        let Some(schema) = self.schema_of(subject, earlier).filter(|schema| schema.is_avro()) else {
            return Err(vec![format!("version {} is not an Avro schema", earlier.version)]);
        };
        let others = self.dependencies(schema).map_err(|error| vec![error.to_string()])?;
        let text = schema.text();
        let verdict = avro::parse_with(&text, &others).map_err(|reason| vec![reason]);
        verdict.and_then(|parsed| compatibility::check(level, new, &parsed)).map_err(|mut reasons| {
            reasons.extend(compatibility::context(level, earlier.version, &text));
            reasons
        })
    }
}

/// The number that a further version gets.
fn next_version(subject: &Subject) -> u32 {
    subject.versions.last().map_or(1, |last| last.version.saturating_add(1))
}
