//! Every metric of the sink: name, meaning, labels. Made once; a series whose labels are known beforehand exists from the start.

mod backlog;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};

use self::backlog::Backlog;
use crate::batch::{Batch, count};
use crate::error::Reason;
use crate::grpc::health::{Health, Healths};

/// Components with a label of their own; SAL has about a hundred. Further ones are counted as `other`.
const MAX_COMPONENTS: usize = 1000;
/// Fields with conflicts of types that have a label of their own. Further ones are counted as `other`.
const MAX_CONFLICTS: usize = 100;

/// Stands for the label of a component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ComponentId(u16);

impl ComponentId {
    /// From 0, without gaps.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The component in a measurement or topic `lsst.<subname>.<Component>.<sal_name>`: its third part.
pub fn component_of(name: &str) -> &str {
    name.split('.').nth(2).filter(|part| !part.is_empty()).unwrap_or("other")
}

#[derive(Debug)]
struct Components {
    ids: HashMap<String, ComponentId>,
    labels: Vec<KeyValue>,
}

/// The instruments, shared by all pipelines.
#[derive(Debug)]
pub struct Metrics {
    consumed: Counter<u64>,
    written: Counter<u64>,
    values: Counter<u64>,
    omitted: Counter<u64>,
    latency: Histogram<f64>,
    backlog: Backlog,
    dead: Counter<u64>,
    skipped: Counter<u64>,
    writes: Counter<u64>,
    retries: Counter<u64>,
    conflicts: Counter<u64>,
    foreseen: Counter<u64>,
    collisions: Counter<u64>,
    write: Histogram<f64>,
    up: Gauge<u64>,
    in_flight: UpDownCounter<i64>,
    paused: Gauge<u64>,
    assigned: Gauge<u64>,
    incomplete: Gauge<u64>,
    commits: Counter<u64>,
    registry_up: Gauge<u64>,
    plans: Gauge<u64>,
    components: RwLock<Components>,
    /// Measurements and fields with a label of their own.
    conflicting: Mutex<HashSet<(String, String)>>,
    healths: Healths,
}

impl Metrics {
    /// Makes the instruments.
    pub fn new(meter: &Meter) -> Self {
        let counter = |name, description| meter.u64_counter(name).with_description(description).build();
        let gauge = |name, description| meter.u64_gauge(name).with_description(description).build();
        let seconds = |name, description| {
            meter.f64_histogram(name).with_unit("s").with_description(description).build()
        };
        let metrics = Self {
            consumed: counter("efd_sink_records_consumed", "Records read from Kafka, by component"),
            written: counter("efd_sink_points_written", "Points that a destination acknowledged"),
            values: counter("efd_sink_values_written", "Fields of these points"),
            omitted: counter("efd_sink_values_omitted", "NaN and infinite values left out of points"),
            latency: seconds("efd_sink_latency", "From private_efdStamp to the acknowledged write"),
            backlog: Backlog::new(meter),
            dead: counter("efd_sink_records_dead", "Records written to a dead-letter topic, by reason"),
            skipped: counter(
                "efd_sink_records_skipped",
                "Records passed without point or dead letter, by reason",
            ),
            writes: counter(
                "efd_sink_writes",
                "Requests to a destination, by HTTP status or kind of failure",
            ),
            retries: counter("efd_sink_write_retries", "Requests that had to be made again"),
            conflicts: counter(
                "efd_sink_type_conflicts",
                "Points refused because a field has another type than before, by the first field that InfluxDB names",
            ),
            foreseen: counter(
                "efd_sink_type_conflicts_foreseen",
                "Fields of new schemas that a destination has with another type",
            ),
            collisions: counter("efd_sink_name_collisions", "Names in new schemas that two fields claim"),
            write: seconds("efd_sink_write", "Duration of one request to a destination"),
            up: gauge("efd_sink_destination_up", "1 while the destination takes what is written, else 0"),
            in_flight: meter
                .i64_up_down_counter("efd_sink_in_flight")
                .with_unit("By")
                .with_description("Lines and records in batches not yet acknowledged")
                .build(),
            paused: gauge("efd_sink_paused_partitions", "Partitions not read: a full queue or no schema"),
            incomplete: gauge("efd_sink_incomplete_records", "Records not as they should be, by kind"),
            assigned: gauge("efd_sink_assigned_partitions", "Partitions that this replica owns"),
            commits: counter("efd_sink_commits", "Offset commits, by status"),
            registry_up: gauge("efd_sink_registry_up", "1 while the schema registry answers, else 0"),
            plans: gauge("efd_sink_plans", "Schema ids in the cache, unknown ones included"),
            components: RwLock::new(Components { ids: HashMap::new(), labels: Vec::new() }),
            conflicting: Mutex::default(),
            healths: Healths::default(),
        };
        for reason in Reason::ALL {
            metrics.dead.add(0, &[KeyValue::new("reason", reason.label())]);
        }
        metrics.skipped.add(0, &[KeyValue::new("reason", "tombstone")]);
        metrics.omitted.add(0, &[]);
        metrics.conflicts.add(0, &[]);
        metrics.registry_up.record(1, &[]);
        metrics
    }

    /// The label of a component, by its name.
    pub fn component(&self, name: &str) -> ComponentId {
        if let Some(id) = self.components().ids.get(name) {
            return *id;
        }
        let mut components = self.components.write().unwrap_or_else(PoisonError::into_inner);
        let name = if components.labels.len() < MAX_COMPONENTS { name } else { "other" };
        if let Some(id) = components.ids.get(name) {
            return *id;
        }
        let id = ComponentId(u16::try_from(components.labels.len()).unwrap_or(u16::MAX));
        components.labels.push(KeyValue::new("component", name.to_owned()));
        components.ids.insert(name.to_owned(), id);
        id
    }

    fn components(&self) -> RwLockReadGuard<'_, Components> {
        self.components.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch left the consumer.
    pub fn batch_consumed(&self, destination: &str, batch: &Batch) {
        let components = self.components();
        for (records, label) in batch.consumed().iter().zip(&components.labels) {
            if *records > 0 {
                self.consumed.add(*records, std::slice::from_ref(label));
            }
        }
        if batch.omitted() > 0 {
            self.omitted.add(batch.omitted() as u64, &[]);
        }
        if batch.tombstones() > 0 {
            self.skipped.add(batch.tombstones() as u64, &[KeyValue::new("reason", "tombstone")]);
        }
        self.in_flight_bytes(destination, i64::try_from(batch.bytes()).unwrap_or(i64::MAX));
    }

    /// The destination has the points of a batch, all but `refused`, whose places in the batch are sorted.
    pub fn batch_written(&self, destination: &str, batch: &Batch, refused: &[usize]) {
        let now = unix_nanos(SystemTime::now());
        let components = self.components();
        let (mut counts, mut newest, mut values) = (Vec::new(), Vec::new(), 0);
        for (index, entry) in batch.entries().iter().enumerate() {
            if !refused.is_empty() && refused.binary_search(&index).is_ok() {
                continue;
            }
            count(&mut counts, entry.component.index(), 1);
            latest(&mut newest, entry.component.index(), entry.time);
            values += entry.values as u64;
            if let Some(label) = components.labels.get(entry.component.index()) {
                self.latency.record(seconds_between(entry.time, now), std::slice::from_ref(label));
            }
        }
        for ((points, newest), label) in counts.iter().zip(&newest).zip(&components.labels) {
            if *points > 0 {
                let labels = [label.clone(), KeyValue::new("destination", destination.to_owned())];
                self.written.add(*points, &labels);
                self.backlog.lag_seconds.record(seconds_between(*newest, now), &labels);
            }
        }
        self.values.add(values, &destination_label(destination));
        let newest = newest.into_iter().max().unwrap_or(i64::MIN);
        self.health(destination).written(counts.iter().sum(), newest);
    }

    /// How a destination fares, as people are told it.
    pub fn health(&self, destination: &str) -> Arc<Health> {
        self.healths.of(destination)
    }

    /// Records that a pipeline has not read yet, by component.
    pub fn lag(&self, destination: &str, records: &HashMap<ComponentId, u64>) {
        let components = self.components();
        for (component, records) in records {
            let Some(label) = components.labels.get(component.index()) else { continue };
            let labels = [label.clone(), KeyValue::new("destination", destination.to_owned())];
            self.backlog.lag_records.record(*records, &labels);
            if *records == 0 {
                self.backlog.lag_seconds.record(0.0, &labels);
            }
        }
    }

    /// A batch goes to its destination: so many points, so many bytes of lines.
    pub fn batch_sent(&self, destination: &str, points: usize, bytes: usize) {
        let destination = destination_label(destination);
        self.backlog.batch_points.record(points as u64, &destination);
        self.backlog.batch_bytes.record(bytes as u64, &destination);
    }

    /// Lines and records of a batch came (positive) or went (negative).
    pub fn in_flight_bytes(&self, destination: &str, change: i64) {
        self.in_flight.add(change, &destination_label(destination));
        self.health(destination).in_flight_bytes(change);
    }

    /// Records were written to dead-letter topics.
    pub fn records_dead(&self, reason: Reason, records: u64) {
        self.dead.add(records, &[KeyValue::new("reason", reason.label())]);
    }

    /// One request to a destination ended.
    pub fn write_ended(&self, destination: &str, status: String, duration: Duration) {
        let destination = destination_label(destination);
        self.write.record(duration.as_secs_f64(), &destination);
        let [destination] = destination;
        self.writes.add(1, &[destination, KeyValue::new("status", status)]);
    }

    /// A request has to be made again.
    pub fn write_retried(&self, destination: &str) {
        self.retries.add(1, &destination_label(destination));
    }

    /// Points were refused because of a field's type.
    pub fn type_conflicts(&self, measurement: &str, field: &str, points: u64) {
        self.conflicts.add(points, &self.field_labels(measurement, field));
    }

    /// A new schema has a field that the destination has with another type.
    pub fn conflict_foreseen(&self, measurement: &str, field: &str) {
        self.foreseen.add(1, &self.field_labels(measurement, field));
    }

    /// A new schema has names that two fields claim.
    pub fn name_collisions(&self, measurement: &str, names: u64) {
        if names > 0 {
            self.collisions.add(names, &[KeyValue::new("measurement", measurement.to_owned())]);
        }
    }

    fn field_labels(&self, measurement: &str, field: &str) -> [KeyValue; 2] {
        let mut seen = self.conflicting.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (measurement.to_owned(), field.to_owned());
        let is_known = seen.contains(&pair) || (seen.len() < MAX_CONFLICTS && seen.insert(pair.clone()));
        let (measurement, field) = if is_known { pair } else { ("other".to_owned(), "other".to_owned()) };
        [KeyValue::new("measurement", measurement), KeyValue::new("field", field)]
    }

    /// Whether a destination takes what is written.
    pub fn destination_up(&self, destination: &str, is_up: bool) {
        self.up.record(u64::from(is_up), &destination_label(destination));
        self.health(destination).connected(is_up);
    }

    /// Partitions that a pipeline does not read now.
    pub fn paused_partitions(&self, destination: &str, partitions: usize) {
        self.paused.record(partitions as u64, &destination_label(destination));
    }

    /// Partitions that a pipeline owns.
    pub fn assigned_partitions(&self, destination: &str, partitions: usize) {
        self.assigned.record(partitions as u64, &destination_label(destination));
    }

    /// Records of a component that are not as they should be, by kind.
    pub fn incomplete(&self, destination: &str, component: &str, kinds: [(&'static str, u64); 5]) {
        let component = self.component(component);
        let components = self.components();
        let Some(component) = components.labels.get(component.index()) else { return };
        for (kind, records) in kinds {
            let destination = KeyValue::new("destination", destination.to_owned());
            let labels = [destination, component.clone(), KeyValue::new("kind", kind)];
            self.incomplete.record(records, &labels);
        }
    }

    /// An offset commit ended.
    pub fn commit_ended(&self, is_ok: bool) {
        self.commits.add(1, &[KeyValue::new("status", if is_ok { "ok" } else { "error" })]);
    }

    /// Whether the registry answers.
    pub fn registry_up(&self, is_up: bool) {
        self.registry_up.record(u64::from(is_up), &[]);
    }

    /// Size of the plan cache.
    pub fn plans(&self, destination: &str, entries: usize) {
        self.plans.record(entries as u64, &destination_label(destination));
    }
}

fn destination_label(destination: &str) -> [KeyValue; 1] {
    [KeyValue::new("destination", destination.to_owned())]
}

fn latest(times: &mut Vec<i64>, index: usize, time: i64) {
    if index >= times.len() {
        times.resize(index + 1, i64::MIN);
    }
    if let Some(latest) = times.get_mut(index) {
        *latest = time.max(*latest);
    }
}

/// From one Unix time in nanoseconds to another; 0 where a clock that is behind would give less.
fn seconds_between(time: i64, now: i64) -> f64 {
    Duration::from_nanos(u64::try_from(now.saturating_sub(time)).unwrap_or(0)).as_secs_f64()
}

fn unix_nanos(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_the_third_part_of_the_name() {
        assert_eq!(component_of("lsst.sal.MTM1M3.forceActuatorData"), "MTM1M3");
        assert_eq!(component_of("lsst.sal..x"), "other");
        assert_eq!(component_of("plain"), "other");
    }

    #[test]
    fn components_beyond_the_bound_share_one_label() {
        let metrics = Metrics::new(&opentelemetry::global::meter("test"));
        let first = metrics.component("c0");
        for n in 0..MAX_COMPONENTS {
            metrics.component(&format!("c{n}"));
        }
        let other = metrics.component("one more");
        assert_eq!(metrics.component("c0"), first);
        assert_eq!(other, metrics.component("and another"));
        assert_eq!(other.index(), MAX_COMPONENTS);
    }
}
