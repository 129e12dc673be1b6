//! What the registry knows: subjects, their versions, schemas by id, compatibility, modes. Pure.
//!
//! The state changes only by [`State::apply`], record by record, as they stand in the log; so two registries that read the same
//! log know the same. [`State::plan`] says which records a change needs, or why it is refused; it changes nothing.
//!
//! An id is given once. It belongs to a text together with what else makes a schema (references, metadata, rules): the same
//! schema under two subjects has one id. The next id is one more than the highest that was ever seen.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::compatibility::Level;
use crate::error::RegistryError;
use crate::log::{ConfigValue, Fields, Record, SchemaValue};

/// Fields of a stored schema that are part of what it is; `md5` and `guid` only follow from it.
const IDENTIFYING: [&str; 4] = ["schemaType", "references", "metadata", "ruleSet"];

/// Everything the log says, in memory.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Level of subjects for which neither they nor the log have one.
    pub(crate) default_level: Level,
    pub(crate) subjects: BTreeMap<Arc<str>, Arc<Subject>>,
    schemas: HashMap<u32, Arc<Schema>>,
    ids: HashMap<Arc<str>, u32>,
    pub(crate) config: Option<ConfigValue>,
    pub(crate) mode: Option<Arc<str>>,
    max_id: u32,
    writer: Option<Arc<str>>,
}

/// A subject. One with a setting but without versions does not exist for clients.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// In rising order, softly deleted ones too.
    pub versions: Vec<Version>,
    pub(crate) config: Option<ConfigValue>,
    pub(crate) mode: Option<Arc<str>>,
}

/// One version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Number, from 1.
    pub version: u32,
    /// Schema id.
    pub id: u32,
    /// Softly deleted.
    pub deleted: bool,
}

/// A schema and everything that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// Text in the form in which it stands in the log.
    pub text: Arc<str>,
    /// Further fields, see [`SchemaValue`].
    pub fields: Fields,
}

/// Which version is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionRef {
    /// The highest one.
    Latest,
    /// This one.
    Number(u32),
}

/// A record that contradicts what stands before it in the log; it is reported and ignored.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("id {id} is another schema already")]
pub struct Conflict {
    /// The id.
    pub id: u32,
}

impl State {
    /// Knows nothing yet. `default_level` is the compatibility where the log says none.
    pub fn new(default_level: Level) -> Self {
        Self { default_level, ..Self::default() }
    }

    /// Takes in one record of the log.
    ///
    /// # Errors
    /// When the record gives an id to a second schema.
    pub fn apply(&mut self, record: &Record) -> Result<(), Conflict> {
        match record {
            Record::Schema { subject, version, value: Some(value) } => {
                self.store(subject, *version, value)?
            }
            Record::Schema { subject, version, value: None } => self.remove(subject, *version),
            Record::DeleteSubject { subject, version: Some(last) } => {
                if let Some(found) = self.subjects.get_mut(subject) {
                    let versions = Arc::make_mut(found).versions.iter_mut();
                    versions
                        .filter(|version| version.version <= *last)
                        .for_each(|version| version.deleted = true);
                }
            }
            Record::DeleteSubject { version: None, .. } => {}
            Record::Config { subject: None, value } => self.config.clone_from(value),
            Record::Config { subject: Some(subject), value } => {
                self.set_up(subject, |found| found.config.clone_from(value))
            }
            Record::Mode { subject: None, mode } => self.mode.clone_from(mode),
            Record::Mode { subject: Some(subject), mode } => {
                self.set_up(subject, |found| found.mode.clone_from(mode))
            }
            Record::Noop { max_id, writer } => {
                self.raise_max_id(max_id.unwrap_or(0));
                if let Some(writer) = writer {
                    self.writer = Some(writer.clone()).filter(|writer| !writer.is_empty());
                }
            }
        }
        Ok(())
    }

    /// Ids up to this one are taken.
    pub fn raise_max_id(&mut self, id: u32) {
        self.max_id = self.max_id.max(id);
    }

    /// The highest id ever seen.
    pub fn max_id(&self) -> u32 {
        self.max_id
    }

    /// The replica that writes, `host:port` of its gRPC server, if one has said so and not left.
    pub fn writer(&self) -> Option<&Arc<str>> {
        self.writer.as_ref()
    }

    /// Subjects that have a version that is not deleted.
    pub fn live_subjects(&self) -> usize {
        self.subjects.values().filter(|subject| subject.live().next().is_some()).count()
    }

    /// Schemas known by an id.
    pub fn schema_count(&self) -> usize {
        self.schemas.len()
    }

    /// A schema by its id; also one whose versions are all softly deleted.
    pub fn schema(&self, id: u32) -> Option<&Arc<Schema>> {
        self.schemas.get(&id)
    }

    /// Id of a schema, under whatever subject.
    pub fn id_of(&self, schema: &Schema) -> Option<u32> {
        self.ids.get(&schema.identity()).copied()
    }

    /// A subject, if it has any version.
    pub fn subject(&self, name: &str) -> Option<&Subject> {
        self.subjects.get(name).map(|subject| &**subject).filter(|subject| !subject.versions.is_empty())
    }

    /// Finds a schema under a subject: its highest version, softly deleted ones only on demand.
    pub fn look_up(&self, subject: &str, schema: &Schema, deleted: bool) -> Option<Version> {
        let id = self.id_of(schema)?;
        self.subject(subject)?.visible(deleted).rfind(|version| version.id == id).copied()
    }

    /// Each subject and version that has this schema.
    pub fn uses(&self, id: u32, deleted: bool) -> Vec<(Arc<str>, u32)> {
        let mut uses = Vec::new();
        for (name, subject) in &self.subjects {
            let versions = subject.visible(deleted).filter(|version| version.id == id);
            uses.extend(versions.map(|version| (name.clone(), version.version)));
        }
        uses
    }

    /// The level that counts for a subject: its own, else the global one, else the default.
    pub fn level(&self, subject: Option<&str>) -> Level {
        let own =
            subject.and_then(|name| self.subjects.get(name)).and_then(|subject| subject.config.as_ref());
        let level = own
            .and_then(|config| config.level)
            .or_else(|| self.config.as_ref().and_then(|config| config.level));
        level.unwrap_or(self.default_level)
    }

    fn store(&mut self, name: &Arc<str>, version: u32, value: &SchemaValue) -> Result<(), Conflict> {
        self.raise_max_id(value.id);
        let schema = Schema { text: value.text.clone(), fields: value.fields.clone() };
        let identity = schema.identity();
        match self.schemas.get(&value.id) {
            Some(known) if known.identity() != identity => return Err(Conflict { id: value.id }),
            Some(_) => {}
            None => {
                self.ids.entry(identity).or_insert(value.id);
                self.schemas.insert(value.id, Arc::new(schema));
            }
        }
        let subject = Arc::make_mut(self.subjects.entry(name.clone()).or_default());
        let entry = Version { version, id: value.id, deleted: value.deleted };
        let replaced = match subject.versions.binary_search_by_key(&version, |known| known.version) {
            Ok(place) => subject.versions.get_mut(place).map(|known| std::mem::replace(known, entry)),
            Err(place) => {
                subject.versions.insert(place, entry);
                None
            }
        };
        if let Some(replaced) = replaced.filter(|replaced| replaced.id != value.id) {
            self.forget_unused(replaced.id);
        }
        Ok(())
    }

    fn remove(&mut self, name: &Arc<str>, version: u32) {
        let Some(found) = self.subjects.get_mut(name) else { return };
        let subject = Arc::make_mut(found);
        let Ok(place) = subject.versions.binary_search_by_key(&version, |known| known.version) else {
            return;
        };
        let removed = subject.versions.remove(place);
        if subject.is_blank() {
            self.subjects.remove(name);
        }
        self.forget_unused(removed.id);
    }

    fn forget_unused(&mut self, id: u32) {
        if !self.uses(id, true).is_empty() {
            return;
        }
        if let Some(schema) = self.schemas.remove(&id) {
            let identity = schema.identity();
            if self.ids.get(&identity) == Some(&id) {
                self.ids.remove(&identity);
            }
        }
    }

    fn set_up(&mut self, name: &Arc<str>, set: impl FnOnce(&mut Subject)) {
        let subject = Arc::make_mut(self.subjects.entry(name.clone()).or_default());
        set(subject);
        if subject.is_blank() {
            self.subjects.remove(name);
        }
    }
}

impl Subject {
    /// The versions that are not deleted.
    pub fn live(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.visible(false)
    }

    /// The versions that are not deleted, or all.
    pub fn visible(&self, deleted: bool) -> impl DoubleEndedIterator<Item = &Version> {
        self.versions.iter().filter(move |version| deleted || !version.deleted)
    }

    fn is_blank(&self) -> bool {
        self.versions.is_empty() && self.config.is_none() && self.mode.is_none()
    }
}

impl Schema {
    /// An Avro schema of which nothing but its text is known.
    pub fn avro(text: &str) -> Self {
        Self { text: text.into(), fields: Fields::new() }
    }

    /// What makes it this schema and no other: the text, and what identifies it beyond.
    fn identity(&self) -> Arc<str> {
        let mut beyond = Fields::new();
        for name in IDENTIFYING {
            if let Some(value) = self.fields.get(name) {
                beyond.insert(name.into(), value.clone());
            }
        }
        if beyond.is_empty() {
            return self.text.clone();
        }
        // No schema's text has this character, so no text is taken for another one with its references.
        format!("{}\0{}", self.text, serde_json::Value::Object(beyond)).into()
    }
}

impl VersionRef {
    /// Reads `latest`, `-1` or a number from 1 to 2^31-1.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        if text == "latest" || text == "-1" {
            return Ok(Self::Latest);
        }
        let number = text.parse().ok().filter(|number| (1..=i32::MAX.unsigned_abs()).contains(number));
        number.map(Self::Number).ok_or_else(|| RegistryError::InvalidVersion(text.to_owned()))
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
