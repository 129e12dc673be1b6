//! Plans by schema id: looked up once, whoever asks, and kept.
//!
//! A registry that cannot be reached is asked again for ever, and the records wait: nothing is skipped because something was away.
//! An id that a reachable registry does not know is asked again for `schema_wait`, since a schema may arrive
//! after its first record; then its records are dead until `unknown_schema_ttl` has passed. A schema never changes
//! under its id, so a plan is good for ever, and so is the finding that no plan can be made.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use efd_schema::{
    RecordSchema, RegisteredSchema, RegistryClient, RegistryError, RegistryErrorKind, SchemaRef,
};
use efd_service::{Backoff, Stop};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::error::{Cause, Reason};
use crate::field_types::FieldTypes;
use crate::mapping::MappingConfig;
use crate::metrics::{ComponentId, Metrics, component_of};
use crate::plan::Plan;

/// Look-ups at the same time; the worker of a whole observatory starts with some thousands.
const LOOK_UPS: usize = 32;

/// A plan, and whom its points are counted for.
#[derive(Debug)]
pub struct Known {
    /// The plan.
    pub plan: Plan,
    /// The component in its measurement.
    pub component: ComponentId,
}

/// What is known of a schema id.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// Points can be made.
    Ready(Arc<Known>),
    /// Being looked up; [`Schemas::finished`] tells when to ask again.
    Waiting,
    /// Its records are dead.
    Dead(Arc<Cause>),
}

#[derive(Debug)]
struct Entry {
    lookup: Lookup,
    /// When a dead id is asked for again; none for what is known for ever.
    until: Option<Instant>,
}

/// The cache; clones share it.
#[derive(Debug, Clone)]
pub struct Schemas {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: RegistryClient,
    types: FieldTypes,
    destination: String,
    retry: (Duration, Duration),
    mapping: MappingConfig,
    wait: Duration,
    unknown_ttl: Duration,
    capacity: usize,
    entries: Mutex<HashMap<SchemaRef, Entry>>,
    listeners: Mutex<Vec<mpsc::Sender<SchemaRef>>>,
    look_ups: Semaphore,
    is_up: AtomicBool,
    runtime: Handle,
    stop: Stop,
    metrics: Arc<Metrics>,
}

impl Schemas {
    /// An empty cache over a registry. Has to be called inside a Tokio runtime, which does the look-ups until `stop` is
    /// requested.
    pub fn new(
        client: RegistryClient,
        types: FieldTypes,
        config: &Config,
        (destination, metrics): (&str, Arc<Metrics>),
        stop: Stop,
    ) -> Self {
        let shared = Shared {
            client,
            types,
            destination: destination.to_owned(),
            retry: (config.retry.min, config.retry.max),
            mapping: config.mapping.clone(),
            wait: config.schema_wait,
            unknown_ttl: config.unknown_schema_ttl,
            capacity: config.plan_cache,
            entries: Mutex::default(),
            listeners: Mutex::default(),
            look_ups: Semaphore::new(LOOK_UPS),
            is_up: AtomicBool::new(true),
            runtime: Handle::current(),
            stop,
            metrics,
        };
        Self { shared: Arc::new(shared) }
    }

    /// What is known of the id; the first question starts the look-up. Never waits.
    pub fn get(&self, id: SchemaRef) -> Lookup {
        let shared = &self.shared;
        let mut entries = shared.entries();
        if let Some(entry) = entries.get(&id)
            && entry.until.is_none_or(|until| Instant::now() < until)
        {
            return entry.lookup.clone();
        }
        if entries.len() >= shared.capacity {
            make_room(&mut entries, shared.capacity);
        }
        entries.insert(id, Entry { lookup: Lookup::Waiting, until: None });
        shared.metrics.plans(&shared.destination, entries.len());
        drop(entries);
        let (stop, look_up) = (shared.stop.clone(), look_up(shared.clone(), id));
        shared.runtime.spawn(async move {
            tokio::select! {
                () = stop.requested() => {}
                () = look_up => {}
            }
        });
        Lookup::Waiting
    }

    /// Gives every id whose look-up ends from now on, one for each look-up.
    pub fn finished(&self) -> mpsc::Receiver<SchemaRef> {
        let (sender, receiver) = mpsc::channel();
        self.shared.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        receiver
    }
}

impl Shared {
    fn entries(&self) -> MutexGuard<'_, HashMap<SchemaRef, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells once that the registry went, and once that it is back.
    fn registry_is(&self, error: Option<&RegistryError>) {
        let was_up = self.is_up.swap(error.is_none(), Ordering::AcqRel);
        self.metrics.registry_up(error.is_none());
        match error {
            Some(error) if was_up => {
                tracing::warn!(%error, "schema registry is away, records of new schemas wait");
            }
            None if !was_up => tracing::info!(url = self.client.url(), "schema registry is back"),
            _ => {}
        }
    }
}

/// Dead ids go first, then plans: whoever works with a plan keeps it. Look-ups under way stay.
fn make_room(entries: &mut HashMap<SchemaRef, Entry>, capacity: usize) {
    entries.retain(|_, entry| !matches!(entry.lookup, Lookup::Dead(_)));
    if entries.len() >= capacity {
        entries.retain(|_, entry| matches!(entry.lookup, Lookup::Waiting));
    }
}

async fn look_up(shared: Arc<Shared>, id: SchemaRef) {
    let (lookup, until) = match fetch(&shared, id).await {
        Ok(registered) => {
            let lookup = compile(&shared, id, &registered).await;
            shared.client.forget(id);
            (lookup, None)
        }
        Err(error) => {
            tracing::warn!(schema_id = %id, %error, "schema id is unknown, its records are dead-lettered");
            let cause = Cause { reason: Reason::SchemaUnknown, detail: error.to_string() };
            (Lookup::Dead(Arc::new(cause)), Some(Instant::now() + shared.unknown_ttl))
        }
    };
    shared.entries().insert(id, Entry { lookup, until });
    shared
        .listeners
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|listener| listener.send(id).is_ok());
}

/// The text of the schema, or the error of a registry that does not know it even after the wait.
async fn fetch(shared: &Shared, id: SchemaRef) -> Result<Arc<RegisteredSchema>, RegistryError> {
    let (min, max) = shared.retry;
    let mut backoff = Backoff::new(min, max);
    let mut unknown_since = None;
    loop {
        let permit = shared.look_ups.acquire().await;
        let answer = shared.client.schema(id).await;
        drop(permit);
        match answer {
            Ok(text) => {
                shared.registry_is(None);
                return Ok(text);
            }
            Err(error) if error.kind() == RegistryErrorKind::NotFound => {
                shared.registry_is(None);
                let since = *unknown_since.get_or_insert_with(Instant::now);
                let left = shared.wait.saturating_sub(since.elapsed());
                if left.is_zero() {
                    return Err(error);
                }
                tokio::time::sleep(backoff.next().min(left)).await;
            }
            Err(error) => {
                shared.registry_is(Some(&error));
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

async fn compile(shared: &Shared, id: SchemaRef, registered: &RegisteredSchema) -> Lookup {
    let schema = RecordSchema::parse_with(&registered.text, &registered.references);
    let known = match schema.map_err(|error| Cause::from(&error)) {
        Ok(schema) => {
            let stored = shared.types.stored(&schema.name).await;
            shared.types.compiled(&schema.name, stored, |stored| {
                let plan = Plan::compile_beside(id, &schema, &shared.mapping, stored)
                    .map_err(|error| Cause::from(&error))?;
                let component = shared.metrics.component(component_of(plan.measurement()));
                Ok(Known { plan, component })
            })
        }
        Err(cause) => Err(cause),
    };
    match known {
        Ok(known) => {
            tell(shared, &known.plan);
            Lookup::Ready(known)
        }
        Err(cause) => {
            tracing::warn!(
                schema_id = %id,
                error = cause.detail,
                "no points can be made with this schema, its records are dead-lettered"
            );
            Lookup::Dead(Arc::new(cause))
        }
    }
}

/// Tells once what of a schema is not written, or not under its name.
fn tell(shared: &Shared, plan: &Plan) {
    let (schema_id, measurement) = (plan.schema_id(), plan.measurement());
    shared.metrics.name_collisions(measurement, plan.collisions().len() as u64);
    if let Some(first) = plan.collisions().first() {
        let collisions = plan.collisions().len();
        tracing::warn!(
            %schema_id,
            measurement,
            collisions,
            first,
            "two fields claim the same name, the one declared first keeps it"
        );
    }
    for field in plan.conflicts() {
        shared.metrics.conflict_foreseen(measurement, field);
    }
    if let Some(first) = plan.conflicts().first() {
        let (conflicts, destination) = (plan.conflicts().len(), &shared.destination);
        tracing::warn!(
            %schema_id,
            measurement,
            destination,
            conflicts,
            first,
            "the destination has other types under the names of fields"
        );
    }
}

#[cfg(test)]
#[path = "schemas_tests.rs"]
mod tests;
