//! Soft and permanent deletes.

use std::sync::Arc;

use super::{Outcome, Plan};
use crate::error::RegistryError;
use crate::log::{Record, SchemaValue};
use crate::name::{DEFAULT_CONTEXT, context_of};
use crate::state::State;
use crate::subject::{Subject, VersionRef};

impl State {
    pub(super) fn plan_soft_delete(&self, subject: &Arc<str>) -> Result<Plan, RegistryError> {
        let found = self.known_subject(subject)?;
        self.mode(Some(subject)).check_change(subject)?;
        let versions: Vec<u32> = found.live().map(|version| version.version).collect();
        let Some(last) = versions.last() else {
            return Err(RegistryError::SubjectSoftDeleted(subject.to_string()));
        };
        self.check_not_referred_to(subject, &versions, false)?;
        let records = vec![Record::DeleteSubject { subject: subject.clone(), version: Some(*last) }];
        Ok((records, Outcome::Versions(versions)))
    }

    pub(super) fn plan_permanent_delete(&self, subject: &Arc<str>) -> Result<Plan, RegistryError> {
        let found = self.known_subject(subject)?;
        self.mode(Some(subject)).check_change(subject)?;
        if found.live().next().is_some() {
            return Err(RegistryError::SubjectNotSoftDeleted(subject.to_string()));
        }
        let versions: Vec<u32> = found.versions.iter().map(|version| version.version).collect();
        self.check_not_referred_to(subject, &versions, true)?;
        let mut records = vec![self.high_water()];
        records.extend(versions.iter().map(|version| tombstone(subject, *version)));
        records.extend(leftovers(subject, found));
        Ok((records, Outcome::Versions(versions)))
    }

    pub(super) fn plan_delete_version(
        &self,
        subject: &Arc<str>,
        version: VersionRef,
        permanent: bool,
    ) -> Result<Plan, RegistryError> {
        let found = self.known_subject(subject)?;
        self.mode(Some(subject)).check_change(subject)?;
        let meant = match version {
            VersionRef::Latest => found.visible(permanent).next_back(),
            VersionRef::Number(number) => found.version(number),
        };
        let Some(meant) = meant else {
            return Err(match version {
                VersionRef::Latest => RegistryError::SubjectNotFound(subject.to_string()),
                VersionRef::Number(number) => RegistryError::VersionNotFound(number),
            });
        };
        let version = meant.version;
        match (permanent, meant.deleted) {
            (false, true) => {
                return Err(RegistryError::VersionSoftDeleted { subject: subject.to_string(), version });
            }
            (true, false) => {
                return Err(RegistryError::VersionNotSoftDeleted { subject: subject.to_string(), version });
            }
            _ => self.check_not_referred_to(subject, &[version], permanent)?,
        }
        let mut records = Vec::new();
        if permanent {
            records.extend([self.high_water(), tombstone(subject, version)]);
            if found.versions.len() == 1 {
                records.extend(leftovers(subject, found));
            }
        } else {
            let schema = self.schema_of(subject, *meant).ok_or(RegistryError::SchemaNotFound(meant.id))?;
            let value = SchemaValue { id: meant.id, schema: schema.clone(), deleted: true };
            records.push(Record::Schema { subject: subject.clone(), version, value: Some(value) });
        }
        Ok((records, Outcome::Version(version)))
    }

    pub(super) fn plan_delete_context(&self, context: &Arc<str>) -> Result<Plan, RegistryError> {
        if self.subjects.keys().any(|subject| context_of(subject) == &**context) {
            return Err(RegistryError::ContextNotEmpty(context.to_string()));
        }
        let is_known = self.ids(context).is_some_and(|ids| ids.is_declared);
        if &**context == DEFAULT_CONTEXT || !is_known {
            return Ok((Vec::new(), Outcome::Done));
        }
        let records = vec![self.high_water(), Record::Context { context: context.clone(), exists: false }];
        Ok((records, Outcome::Done))
    }

    /// Ids of the schemas that refer to a version; with `deleted` also those that are softly deleted themselves. In rising order.
    pub fn referring(&self, subject: &str, version: u32, deleted: bool) -> Vec<u32> {
        let mut found = Vec::new();
        for context in self.contexts() {
            let Some(ids) = self.ids(context) else { continue };
            for (id, schema) in ids.all().filter(|(_, schema)| schema.field("references").is_some()) {
                let refers =
                    schema.references().iter().any(|it| it.version == version && it.subject == subject);
                if refers && ids.uses(id).iter().any(|(name, number)| deleted || self.is_live(name, *number))
                {
                    found.push(id);
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// Whether a version exists and is not softly deleted.
    pub fn is_live(&self, subject: &str, version: u32) -> bool {
        let found = self.subject(subject).and_then(|found| found.version(version));
        found.is_some_and(|version| !version.deleted)
    }

    fn check_not_referred_to(
        &self,
        subject: &str,
        versions: &[u32],
        deleted: bool,
    ) -> Result<(), RegistryError> {
        for version in versions {
            if !self.referring(subject, *version, deleted).is_empty() {
                return Err(RegistryError::ReferenceExists {
                    subject: subject.to_owned(),
                    version: *version,
                });
            }
        }
        Ok(())
    }

    /// Goes with every permanent delete: compaction may take away the last record that shows the highest id.
    fn high_water(&self) -> Record {
        // Compaction keeps only the last record of this key, so it says again who writes.
        Record::Noop { max_ids: self.max_ids(), writer: self.writer().cloned() }
    }
}

fn tombstone(subject: &Arc<str>, version: u32) -> Record {
    Record::Schema { subject: subject.clone(), version, value: None }
}

/// The settings of a subject go with its last version.
fn leftovers(subject: &Arc<str>, found: &Subject) -> Vec<Record> {
    let mut records = Vec::new();
    if found.mode.is_some() {
        records.push(Record::Mode { subject: Some(subject.clone()), mode: None });
    }
    if found.config.is_some() {
        records.push(Record::Config { subject: Some(subject.clone()), value: None });
    }
    records
}
