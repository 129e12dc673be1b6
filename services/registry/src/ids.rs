//! The schemas of one context by their ids. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use crate::schema::{Identity, Schema};
use crate::state::Conflict;

/// The ids of a context.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    schemas: HashMap<u32, Arc<Entry>>,
    /// One id of each schema. A log may give a schema a second id, by import.
    by_identity: HashMap<Identity, u32>,
    /// The log has a record of the context.
    pub(crate) is_declared: bool,
    max_id: u32,
}

#[derive(Debug, Clone)]
struct Entry {
    schema: Arc<Schema>,
    uses: Vec<Use>,
}

/// A subject and the number of one of its versions.
pub type Use = (Arc<str>, u32);

impl Ids {
    /// Ids up to this one are taken.
    pub fn raise_max_id(&mut self, id: u32) {
        self.max_id = self.max_id.max(id);
    }

    /// The highest id ever seen.
    pub fn max_id(&self) -> u32 {
        self.max_id
    }

    /// Schemas known by an id.
    pub fn len(&self) -> usize {
        self.schemas.len()
    }

    /// A schema by its id; also one whose versions are all softly deleted.
    pub fn schema(&self, id: u32) -> Option<&Arc<Schema>> {
        self.schemas.get(&id).map(|entry| &entry.schema)
    }

    /// An id of a schema.
    pub fn id_of(&self, identity: &Identity) -> Option<u32> {
        self.by_identity.get(identity).copied()
    }

    /// The subjects and versions that have a schema, in no order.
    pub fn uses(&self, id: u32) -> &[Use] {
        self.schemas.get(&id).map_or(&[], |entry| &entry.uses)
    }

    /// All schemas with their ids, in no order.
    pub fn all(&self) -> impl Iterator<Item = (u32, &Arc<Schema>)> {
        self.schemas.iter().map(|(id, entry)| (*id, &entry.schema))
    }

    /// Notes that a version has a schema.
    pub(crate) fn add(&mut self, id: u32, schema: &Arc<Schema>, used: Use) -> Result<(), Conflict> {
        self.raise_max_id(id);
        if let Some(known) = self.schemas.get_mut(&id) {
            if known.schema.identity() != schema.identity() {
                return Err(Conflict { id });
            }
            if !known.uses.contains(&used) {
                Arc::make_mut(known).uses.push(used);
            }
            return Ok(());
        }
        self.by_identity.entry(schema.identity()).or_insert(id);
        self.schemas.insert(id, Arc::new(Entry { schema: schema.clone(), uses: vec![used] }));
        Ok(())
    }

    /// Notes that a version no longer has a schema, and forgets the schema with its last version.
    pub(crate) fn remove(&mut self, id: u32, used: &Use) {
        let Some(entry) = self.schemas.get_mut(&id) else { return };
        let entry = Arc::make_mut(entry);
        entry.uses.retain(|known| known != used);
        if !entry.uses.is_empty() {
            return;
        }
        let identity = entry.schema.identity();
        self.schemas.remove(&id);
        if self.by_identity.get(&identity) == Some(&id) {
            self.by_identity.remove(&identity);
            let may_have_another = self.schemas.len() > self.by_identity.len();
            let another = self.all().find(|(_, schema)| may_have_another && schema.identity() == identity);
            if let Some(other) = another.map(|(id, _)| id) {
                self.by_identity.insert(identity, other);
            }
        }
    }
}
