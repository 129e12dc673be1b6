//! Changes: which records a request adds to the log, or why it is refused. Pure.

use std::sync::Arc;

use crate::avro;
use crate::compatibility::{self, Level};
use crate::error::RegistryError;
use crate::log::{ConfigValue, Fields, Record, SchemaValue};
use crate::state::{Schema, State, Subject, VersionRef};

/// Names that Confluent's registry keeps for itself.
const RESERVED: [&str; 3] = ["__GLOBAL", "__EMPTY", "__DEFAULT"];

/// What a client asks to change.
#[derive(Debug, Clone)]
pub enum Change {
    /// Give a schema an id and a place under a subject.
    Register {
        /// Subject.
        subject: Arc<str>,
        /// The schema, in its normal form.
        schema: Schema,
    },
    /// Delete all versions of a subject.
    DeleteSubject {
        /// Subject.
        subject: Arc<str>,
        /// For good, after a soft delete.
        permanent: bool,
    },
    /// Delete one version.
    DeleteVersion {
        /// Subject.
        subject: Arc<str>,
        /// Which.
        version: VersionRef,
        /// For good, after a soft delete.
        permanent: bool,
    },
    /// Set a compatibility level.
    SetLevel {
        /// Subject, none for the global level.
        subject: Option<Arc<str>>,
        /// Level.
        level: Level,
    },
    /// Take a compatibility level back.
    ClearLevel {
        /// Subject, none for the global level.
        subject: Option<Arc<str>>,
    },
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The id of the registered schema.
    Id(u32),
    /// The versions that were deleted.
    Versions(Vec<u32>),
    /// The version that was deleted.
    Version(u32),
    /// The level that was set, or taken back.
    Level(Level),
}

/// Records to write, in this order and all or none; empty when the log says it already.
pub type Plan = (Vec<Record>, Outcome);

impl State {
    /// Says which records a change needs.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn plan(&self, change: &Change) -> Result<Plan, RegistryError> {
        match change {
            Change::Register { subject, schema } => self.plan_register(subject, schema),
            Change::DeleteSubject { subject, permanent: false } => self.plan_soft_delete(subject),
            Change::DeleteSubject { subject, permanent: true } => self.plan_permanent_delete(subject),
            Change::DeleteVersion { subject, version, permanent } => {
                self.plan_delete_version(subject, *version, *permanent)
            }
            Change::SetLevel { subject, level } => self.plan_set_level(subject.as_ref(), *level),
            Change::ClearLevel { subject } => self.plan_clear_level(subject.as_ref()),
        }
    }

    fn plan_register(&self, subject: &Arc<str>, schema: &Schema) -> Result<Plan, RegistryError> {
        check_name(subject)?;
        if let Some(known) = self.look_up(subject, schema, false) {
            return Ok((Vec::new(), Outcome::Id(known.id)));
        }
        self.check_mode(subject)?;
        if schema.fields.contains_key("references") {
            return Err(RegistryError::InvalidSchema("references to other schemas are not supported".into()));
        }
        let parsed = avro::parse(&schema.text).map_err(RegistryError::InvalidSchema)?;
        let versions = self.subject(subject).map_or(&[][..], |found| &found.versions);
        self.check_compatibility(subject, &parsed)?;
        let id = match self.id_of(schema) {
            Some(id) => id,
            None => self
                .max_id()
                .checked_add(1)
                .filter(|id| i32::try_from(*id).is_ok())
                .ok_or(RegistryError::NoIdLeft)?,
        };
        // The softly deleted version of the same schema goes: the new one stands for it.
        let mut records: Vec<Record> = versions
            .iter()
            .filter(|known| known.id == id)
            .map(|known| Record::Schema { subject: subject.clone(), version: known.version, value: None })
            .collect();
        let version = versions.last().map_or(1, |last| last.version.saturating_add(1));
        let value =
            SchemaValue { id, text: schema.text.clone(), deleted: false, fields: schema.fields.clone() };
        records.push(Record::Schema { subject: subject.clone(), version, value: Some(value) });
        Ok((records, Outcome::Id(id)))
    }

    fn check_compatibility(&self, subject: &str, new: &apache_avro::Schema) -> Result<(), RegistryError> {
        let level = self.level(Some(subject));
        let Some(found) = self.subject(subject).filter(|_| level != Level::None) else { return Ok(()) };
        let compared = if level.is_transitive() { usize::MAX } else { 1 };
        for earlier in found.live().rev().take(compared) {
            let text = self.schema(earlier.id).map_or("", |schema| &schema.text);
            let verdict = avro::parse(text)
                .map_err(|reason| vec![reason])
                .and_then(|parsed| compatibility::check(level, new, &parsed));
            verdict.map_err(|mut reasons| {
                reasons.extend(compatibility::context(level, earlier.version, text));
                RegistryError::Incompatible {
                    subject: subject.to_owned(),
                    version: earlier.version,
                    reason: format!("[{}]", reasons.join(", ")),
                }
            })?;
        }
        Ok(())
    }

    fn plan_soft_delete(&self, subject: &Arc<str>) -> Result<Plan, RegistryError> {
        let found = self.known_subject(subject)?;
        self.check_mode(subject)?;
        let versions: Vec<u32> = found.live().map(|version| version.version).collect();
        let Some(last) = versions.last() else {
            return Err(RegistryError::SubjectSoftDeleted(subject.to_string()));
        };
        let records = vec![Record::DeleteSubject { subject: subject.clone(), version: Some(*last) }];
        Ok((records, Outcome::Versions(versions)))
    }

    fn plan_permanent_delete(&self, subject: &Arc<str>) -> Result<Plan, RegistryError> {
        let found = self.known_subject(subject)?;
        self.check_mode(subject)?;
        if found.live().next().is_some() {
            return Err(RegistryError::SubjectNotSoftDeleted(subject.to_string()));
        }
        let versions: Vec<u32> = found.versions.iter().map(|version| version.version).collect();
        let mut records = vec![self.high_water()];
        records.extend(versions.iter().map(|version| tombstone(subject, *version)));
        records.extend(leftovers(subject, found));
        Ok((records, Outcome::Versions(versions)))
    }

    fn plan_delete_version(
        &self,
        subject: &Arc<str>,
        version: VersionRef,
        permanent: bool,
    ) -> Result<Plan, RegistryError> {
        let found = self.known_subject(subject)?;
        self.check_mode(subject)?;
        let meant = match version {
            VersionRef::Latest => found.visible(permanent).next_back(),
            VersionRef::Number(number) => found.versions.iter().find(|known| known.version == number),
        };
        let Some(meant) = meant else {
            return Err(match version {
                VersionRef::Latest => RegistryError::SubjectNotFound(subject.to_string()),
                VersionRef::Number(number) => RegistryError::VersionNotFound(number),
            });
        };
        let version = meant.version;
        match (permanent, meant.deleted) {
            (false, true) => Err(RegistryError::VersionSoftDeleted { subject: subject.to_string(), version }),
            (true, false) => {
                Err(RegistryError::VersionNotSoftDeleted { subject: subject.to_string(), version })
            }
            (false, false) => {
                let schema = self.schema(meant.id).ok_or(RegistryError::SchemaNotFound(meant.id))?;
                let value = SchemaValue {
                    id: meant.id,
                    text: schema.text.clone(),
                    deleted: true,
                    fields: schema.fields.clone(),
                };
                let record = Record::Schema { subject: subject.clone(), version, value: Some(value) };
                Ok((vec![record], Outcome::Version(version)))
            }
            (true, true) => {
                let mut records = vec![self.high_water(), tombstone(subject, version)];
                if found.versions.len() == 1 {
                    records.extend(leftovers(subject, found));
                }
                Ok((records, Outcome::Version(version)))
            }
        }
    }

    fn plan_set_level(&self, subject: Option<&Arc<str>>, level: Level) -> Result<Plan, RegistryError> {
        if let Some(subject) = subject {
            check_name(subject)?;
        }
        let known = self.own_config(subject);
        if known.and_then(|config| config.level) == Some(level) {
            return Ok((Vec::new(), Outcome::Level(level)));
        }
        let fields = known.map_or_else(Fields::new, |config| config.fields.clone());
        let value = Some(ConfigValue { level: Some(level), fields });
        Ok((vec![Record::Config { subject: subject.cloned(), value }], Outcome::Level(level)))
    }

    fn plan_clear_level(&self, subject: Option<&Arc<str>>) -> Result<Plan, RegistryError> {
        let known = self.own_config(subject);
        let level = known.and_then(|config| config.level).unwrap_or_else(|| self.level(None));
        match (subject, known) {
            (Some(subject), None) => Err(RegistryError::SubjectNotFound(subject.to_string())),
            (None, None) => Ok((Vec::new(), Outcome::Level(level))),
            (_, Some(_)) => {
                Ok((vec![Record::Config { subject: subject.cloned(), value: None }], Outcome::Level(level)))
            }
        }
    }

    fn own_config(&self, subject: Option<&Arc<str>>) -> Option<&ConfigValue> {
        match subject {
            Some(subject) => self.subjects.get(subject)?.config.as_ref(),
            None => self.config.as_ref(),
        }
    }

    fn known_subject(&self, subject: &str) -> Result<&Subject, RegistryError> {
        self.subject(subject).ok_or_else(|| RegistryError::SubjectNotFound(subject.to_owned()))
    }

    /// Any mode but `READWRITE` was set to keep writers away; this registry cannot set modes, but obeys them.
    fn check_mode(&self, subject: &str) -> Result<(), RegistryError> {
        let own = self.subjects.get(subject).and_then(|found| found.mode.as_ref());
        match own.or(self.mode.as_ref()) {
            Some(mode) if &**mode != "READWRITE" => {
                Err(RegistryError::NotPermitted(format!("Subject {subject} is in {mode} mode")))
            }
            _ => Ok(()),
        }
    }

    /// Goes with every permanent delete: compaction may take away the last record that shows the highest id.
    fn high_water(&self) -> Record {
        // Compaction keeps only the last record of this key, so it says again who writes.
        Record::Noop { max_id: Some(self.max_id()), writer: self.writer().cloned() }
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

fn check_name(subject: &str) -> Result<(), RegistryError> {
    let is_valid = !subject.is_empty() && !subject.contains(char::is_control) && !RESERVED.contains(&subject);
    if is_valid { Ok(()) } else { Err(RegistryError::InvalidSubject(subject.to_owned())) }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
