//! What the registry knows: subjects, their versions, schemas by id, compatibility, modes. Pure.
//!
//! The state changes only by [`State::apply`], record by record, as they stand in the log; so two registries that read the same
//! log know the same. [`State::plan`] says which records a change needs, or why it is refused; it changes nothing.
//!
//! An id is given once in a context. It belongs to a text together with what else makes a schema (references, metadata,
//! rules): the same schema under two subjects has one id. The next id is one more than the highest that was ever seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::compatibility::Level;
use crate::ids::Ids;
use crate::log::{ConfigValue, MaxIds, Record, SchemaValue};
use crate::mode::Mode;
use crate::name::{DEFAULT_CONTEXT, context_of, context_settings};
use crate::sal::Policies;
use crate::schema::{Identity, Schema};
use crate::subject::{Subject, Version};

/// Everything the log says, in memory.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Level of subjects for which neither they nor the log have one.
    pub(crate) default_level: Level,
    /// By name, with the context in it.
    pub(crate) subjects: BTreeMap<Arc<str>, Arc<Subject>>,
    contexts: BTreeMap<Arc<str>, Arc<Ids>>,
    pub(crate) config: Option<Arc<ConfigValue>>,
    pub(crate) mode: Option<Mode>,
    writer: Option<Arc<str>>,
    /// What to do with schemas that InfluxDB or SAL cannot take.
    pub(crate) policies: Arc<Policies>,
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

    /// Looks at schemas with these policies.
    pub fn with_policies(mut self, policies: &Policies) -> Self {
        self.policies = Arc::new(policies.clone());
        self
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
            Record::DeleteSubject { subject, version: Some(last) } => self.hide(subject, *last),
            Record::DeleteSubject { version: None, .. } => {}
            Record::ClearSubject { subject } => self.clear(subject.as_deref()),
            Record::Config { subject: None, value } => self.config.clone_from(value),
            Record::Config { subject: Some(subject), value } => {
                self.set_up(subject, |found| found.config.clone_from(value));
            }
            Record::Mode { subject: None, mode } => self.mode = *mode,
            Record::Mode { subject: Some(subject), mode } => self.set_up(subject, |found| found.mode = *mode),
            Record::Context { context, exists } => self.declare(context, *exists),
            Record::Noop { max_ids, writer } => {
                self.raise_max_ids(max_ids);
                if let Some(writer) = writer {
                    self.writer = Some(writer.clone()).filter(|writer| !writer.is_empty());
                }
            }
        }
        Ok(())
    }

    /// Ids up to these are taken.
    pub fn raise_max_ids(&mut self, max_ids: &MaxIds) {
        for (context, id) in max_ids {
            self.ids_mut(context).raise_max_id(*id);
        }
    }

    /// The highest id ever seen in each context.
    pub fn max_ids(&self) -> MaxIds {
        self.contexts.iter().map(|(context, ids)| (context.clone(), ids.max_id())).collect()
    }

    /// The ids of a context, if anything is known of it.
    pub fn ids(&self, context: &str) -> Option<&Ids> {
        self.contexts.get(context).map(|ids| &**ids)
    }

    /// The contexts that have a record, a schema or a setting; the default one always.
    pub fn contexts(&self) -> Vec<&str> {
        let mut names = vec![DEFAULT_CONTEXT];
        let known = self.contexts.iter().filter(|(_, ids)| ids.is_declared || ids.len() > 0);
        names.extend(known.map(|(name, _)| &**name));
        names.extend(self.subjects.keys().map(|subject| context_of(subject)));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The replica that writes, `host:port` of its gRPC server, if one has said so and not left.
    pub fn writer(&self) -> Option<&Arc<str>> {
        self.writer.as_ref()
    }

    /// Subjects that have a version that is not deleted.
    pub fn live_subjects(&self) -> usize {
        self.subjects.values().filter(|subject| subject.live().next().is_some()).count()
    }

    /// Schemas known by an id, in all contexts.
    pub fn schema_count(&self) -> usize {
        self.contexts.values().map(|ids| ids.len()).sum()
    }

    /// A schema by its id in a context; also one whose versions are all softly deleted.
    pub fn schema(&self, context: &str, id: u32) -> Option<&Arc<Schema>> {
        self.ids(context)?.schema(id)
    }

    /// The schema of a version of a subject.
    pub fn schema_of(&self, subject: &str, version: Version) -> Option<&Arc<Schema>> {
        self.schema(context_of(subject), version.id)
    }

    /// Every schema of this identity, or of this GUID in the log, with its context and id.
    pub fn of_guid<'a>(
        &'a self,
        guid: &'a Identity,
    ) -> impl Iterator<Item = (&'a str, u32, &'a Arc<Schema>)> {
        let of_context = move |(context, ids): (&'a Arc<str>, &'a Arc<Ids>)| {
            let direct = ids.id_of(guid).and_then(|id| Some((id, ids.schema(id)?)));
            let found = direct.or_else(|| {
                let has_it = |schema: &Schema| {
                    schema.field("guid").is_some() && crate::schema::parse_guid(&schema.guid()) == Some(*guid)
                };
                ids.all().find(|(_, schema)| has_it(schema))
            });
            found.map(|(id, schema)| (&**context, id, schema))
        };
        self.contexts.iter().filter_map(of_context)
    }

    /// A subject, if it has any version.
    pub fn subject(&self, name: &str) -> Option<&Subject> {
        self.subjects.get(name).map(|subject| &**subject).filter(|subject| !subject.versions.is_empty())
    }

    /// Finds a schema under a subject: its highest version, softly deleted ones only on demand.
    pub fn look_up(&self, subject: &str, schema: &Schema, deleted: bool) -> Option<Version> {
        let ids = self.ids(context_of(subject))?;
        let identity = schema.identity();
        ids.id_of(&identity)?;
        let is_it =
            |version: &&Version| ids.schema(version.id).is_some_and(|known| known.identity() == identity);
        self.subject(subject)?.visible(deleted).rfind(is_it).copied()
    }

    /// The level that counts for a subject: its own, its context's, the global one, else the default.
    pub fn level(&self, subject: Option<&str>) -> Level {
        self.setting(subject, |config| config.level).unwrap_or(self.default_level)
    }

    /// Whether schemas of a subject are to be normalised although the client did not ask for it.
    pub fn normalizes(&self, subject: &str) -> bool {
        let setting =
            |config: &ConfigValue| config.fields.get("normalize").and_then(serde_json::Value::as_bool);
        self.setting(Some(subject), setting).unwrap_or(false)
    }

    /// The mode that counts for a subject: the global one if it overrides, its own, its context's, the global one.
    pub fn mode(&self, subject: Option<&str>) -> Mode {
        if self.mode == Some(Mode::ReadOnlyOverride) {
            return Mode::ReadOnlyOverride;
        }
        let own = self.levels_of(subject).find_map(|found| found.mode);
        own.or(self.mode).unwrap_or_default()
    }

    /// The subject that is meant by a name that stands for another one by its setting `alias`.
    pub fn resolve<'a>(&'a self, subject: &'a str) -> &'a str {
        let alias = self.subjects.get(subject).and_then(|found| found.config.as_ref());
        alias.and_then(|config| config.fields.get("alias")?.as_str()).unwrap_or(subject)
    }

    fn setting<T>(&self, subject: Option<&str>, get: impl Fn(&ConfigValue) -> Option<T>) -> Option<T> {
        let own = self.levels_of(subject).find_map(|found| get(found.config.as_deref()?));
        own.or_else(|| get(self.config.as_deref()?))
    }

    /// The subject, then its context.
    fn levels_of<'a>(&'a self, subject: Option<&'a str>) -> impl Iterator<Item = &'a Subject> {
        let names = [subject, subject.and_then(context_settings)];
        names.into_iter().flatten().filter_map(|name| self.subjects.get(name).map(|found| &**found))
    }

    fn ids_mut(&mut self, context: &str) -> &mut Ids {
        if !self.contexts.contains_key(context) {
            self.contexts.insert(context.into(), Arc::default());
        }
        let ids = self.contexts.get_mut(context).expect("it was inserted just now, unless it was there");
        Arc::make_mut(ids)
    }

    fn store(&mut self, name: &Arc<str>, version: u32, value: &SchemaValue) -> Result<(), Conflict> {
        let context = context_of(name);
        self.ids_mut(context).add(value.id, &value.schema, (name.clone(), version))?;
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
            self.ids_mut(context).remove(replaced.id, &(name.clone(), version));
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
        self.ids_mut(context_of(name)).remove(removed.id, &(name.clone(), version));
    }

    fn hide(&mut self, name: &Arc<str>, last: u32) {
        let Some(found) = self.subjects.get_mut(name) else { return };
        let versions = Arc::make_mut(found).versions.iter_mut();
        versions.filter(|version| version.version <= last).for_each(|version| version.deleted = true);
    }

    /// Forgets softly deleted versions: of a subject, of all in a context, or of all.
    fn clear(&mut self, subject: Option<&str>) {
        let of_context = |name: &str| subject.is_none_or(|given| context_settings(name) == Some(given));
        let mut gone = Vec::new();
        for (name, found) in &self.subjects {
            if subject == Some(&**name) || of_context(name) {
                gone.extend(found.versions.iter().filter(|v| v.deleted).map(|v| (name.clone(), v.version)));
            }
        }
        for (name, version) in gone {
            self.remove(&name, version);
        }
    }

    fn declare(&mut self, context: &str, exists: bool) {
        self.ids_mut(context).is_declared = exists;
    }

    fn set_up(&mut self, name: &Arc<str>, set: impl FnOnce(&mut Subject)) {
        let subject = Arc::make_mut(self.subjects.entry(name.clone()).or_default());
        set(subject);
        if subject.is_blank() {
            self.subjects.remove(name);
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
