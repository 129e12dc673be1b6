//! Schemas of requests: from their text or id to an encoder, with a bounded cache before the registry.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use efd_schema::{RegistryClient, RegistryError};

use super::avro_json::Encoder;
use super::error::ProxyError;

/// What a schema counts besides its text.
const OVERHEAD: usize = 1024;

/// How a request names a schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SchemaName {
    /// By id.
    Id(u32),
    /// By its text, which is registered under a subject.
    Text {
        /// `<topic>-value` or `<topic>-key`.
        subject: Arc<str>,
        /// Schema.
        text: Arc<str>,
    },
}

/// Looks schemas up and registers them.
#[derive(Debug)]
pub struct Schemas {
    registry: RegistryClient,
    cache: Mutex<Cache>,
}

impl Schemas {
    /// Keeps schemas ready as long as their texts have no more than `capacity` bytes.
    pub fn new(registry: RegistryClient, capacity: usize) -> Self {
        Self { registry, cache: Mutex::new(Cache::new(capacity)) }
    }

    /// The encoder of a schema; one given by its text is registered first.
    ///
    /// # Errors
    /// When it is not a schema, or the registry does not take or know it, or cannot be asked.
    pub async fn encoder(&self, name: SchemaName) -> Result<Arc<Encoder>, ProxyError> {
        if let Some(encoder) = self.cache().encoders.get(&name) {
            return Ok(encoder.clone());
        }
        let (id, text) = match &name {
            SchemaName::Id(id) => {
                (*id, self.registry.schema_by_id(*id).await.map_err(|error| lookup(&error))?)
            }
            SchemaName::Text { subject, text } => {
                // Before it is registered: the registry may be less strict, or more.
                Encoder::new(0, text).map_err(ProxyError::InvalidSchema)?;
                (self.registry.register(subject, text).await.map_err(|error| refused(&error))?, text.clone())
            }
        };
        let encoder = Arc::new(Encoder::new(id, &text).map_err(ProxyError::InvalidSchema)?);
        self.cache().keep(name, encoder.clone(), text.len() + OVERHEAD);
        Ok(encoder)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the oldest when it is full.
#[derive(Debug)]
struct Cache {
    capacity: usize,
    bytes: usize,
    encoders: HashMap<SchemaName, Arc<Encoder>>,
    order: VecDeque<(SchemaName, usize)>,
}

impl Cache {
    fn new(capacity: usize) -> Self {
        Self { capacity, bytes: 0, encoders: HashMap::new(), order: VecDeque::new() }
    }

    fn keep(&mut self, name: SchemaName, encoder: Arc<Encoder>, bytes: usize) {
        if self.encoders.insert(name.clone(), encoder).is_some() {
            return;
        }
        self.order.push_back((name, bytes));
        self.bytes += bytes;
        while self.bytes > self.capacity
            && let Some((oldest, freed)) = self.order.pop_front()
        {
            self.encoders.remove(&oldest);
            self.bytes = self.bytes.saturating_sub(freed);
        }
    }
}

fn lookup(error: &RegistryError) -> ProxyError {
    ProxyError::SchemaLookup(error.to_string())
}

/// The registry says that it is no schema; every other failure is one of the look-up, as in the proxy.
fn refused(error: &RegistryError) -> ProxyError {
    match error {
        RegistryError::Answer { code: 42201, message, .. } => ProxyError::InvalidSchema(message.clone()),
        _ => lookup(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_forgets_the_oldest_schemas_when_it_is_full() {
        let mut cache = Cache::new(5000);
        for (id, bytes) in [(1, 2000), (2, 2000), (2, 2000), (3, 3000), (4, 6000), (5, 1000)] {
            cache.keep(SchemaName::Id(id), Arc::new(Encoder::new(id, "\"int\"").unwrap()), bytes);
            assert!(cache.bytes <= 5000);
            let is_kept = cache.encoders.contains_key(&SchemaName::Id(id));
            assert_eq!(is_kept, bytes <= 5000, "what is larger than the cache is not kept");
        }
        assert_eq!((cache.bytes, cache.order.len(), cache.encoders.len()), (1000, 1, 1));
    }

    #[test]
    fn only_a_schema_that_the_registry_calls_invalid_is_the_clients_mistake() {
        let answer = |status, code| RegistryError::Answer {
            url: String::new(),
            what: String::new(),
            status,
            code,
            message: "why".into(),
        };
        assert_eq!(refused(&answer(422, 42201)).status_and_code(), (422, 42205));
        assert_eq!(refused(&answer(409, 40901)).status_and_code(), (408, 40801));
        assert_eq!(refused(&answer(503, 50001)).status_and_code(), (408, 40801));
    }
}
