//! What a batch remembers, and when it is full.

use efd_schema::{RecordSchema, avro};

use super::*;
use crate::mapping::MappingConfig;

const LIMITS: Limits = Limits { points: 3, values: 100, bytes: 10_000, age: Duration::from_millis(20) };

fn partition(name: &str) -> TopicPartition {
    TopicPartition { topic: name.into(), partition: 0 }
}

fn source(slot: usize, partition: &TopicPartition) -> Source<'_> {
    Source { slot, partition, component: ComponentId::default() }
}

fn plan() -> Plan {
    let text = r#"{"type":"record","name":"t","fields":[{"name":"private_efdStamp","type":"double"}]}"#;
    Plan::compile(9, &RecordSchema::parse(text).unwrap(), &MappingConfig::default()).unwrap()
}

fn add(batch: &mut Batch, source: Source<'_>, offset: i64, seconds: f64) {
    let mut body = Vec::new();
    avro::put_double(&mut body, seconds);
    let record = Record { offset, payload: Some(&body), key: Some(b"key"), ..Record::default() };
    batch.point(source, &record, (&plan(), ComponentId::default()), &body);
}

#[test]
fn a_batch_knows_how_far_it_reaches_in_each_partition() {
    let (a, b) = (partition("a"), partition("b"));
    let mut batch = Batch::new(LIMITS);
    add(&mut batch, source(0, &a), 10, 1.5);
    batch.tombstone(source(5, &b), 7);
    add(&mut batch, source(0, &a), 11, f64::NAN);
    assert_eq!(batch.tombstone_offsets().collect::<Vec<_>>(), [(&b, 7)]);
    assert_eq!(batch.next_offsets(), [(a.clone(), 12), (b, 8)]);
    assert_eq!((batch.entries().len(), batch.dead_entries().len(), batch.tombstones()), (1, 1, 1));
    assert_eq!(batch.consumed(), [3]);
    let dead = &batch.dead_entries()[0];
    assert_eq!((dead.cause.reason, dead.schema_id), (Reason::Time, Some(9.into())));
    let (partition, record) = batch.dead_record(dead).unwrap();
    assert_eq!((partition, record.offset, record.key), (&a, 11, Some(&b"key"[..])));
}

#[test]
fn lines_and_records_of_an_entry_belong_together() {
    let a = partition("a");
    let mut batch = Batch::new(LIMITS);
    add(&mut batch, source(0, &a), 1, 1.0);
    add(&mut batch, source(0, &a), 2, 20.0);
    let (first, second) = (batch.line_range(0, 1), batch.line_range(1, 2));
    let record = batch.record(&batch.entries()[1]).unwrap().1;
    assert_eq!(record.payload, Some(&20_f64.to_le_bytes()[..]));
    let lines = batch.take_lines();
    assert_eq!(&lines[first], b"t private_efdStamp=1 1000000000\n");
    assert_eq!(&lines[second], b"t private_efdStamp=20 20000000000\n");
}

#[test]
fn each_limit_fills_a_batch() {
    let a = partition("a");
    for limits in [
        Limits { points: 2, ..LIMITS },
        Limits { values: 2, ..LIMITS },
        Limits { bytes: 40, ..LIMITS },
        Limits { points: usize::MAX, values: usize::MAX, bytes: 22, age: LIMITS.age },
    ] {
        let mut batch = Batch::new(limits);
        add(&mut batch, source(0, &a), 1, 1.0);
        add(&mut batch, source(0, &a), 2, 1.0);
        assert!(batch.is_full(), "{limits:?}");
    }
    let mut batch = Batch::new(LIMITS);
    add(&mut batch, source(0, &a), 1, 1.0);
    assert!(!batch.is_full());
}

#[test]
fn dead_records_and_tombstones_count_as_records() {
    let a = partition("a");
    let mut batch = Batch::new(LIMITS);
    for offset in 0..2 {
        let cause = Cause { reason: Reason::WireFormat, detail: String::new() };
        batch.dead(source(0, &a), &Record { offset, ..Record::default() }, None, cause);
        assert!(!batch.is_full());
    }
    batch.tombstone(source(0, &a), 2);
    assert!(batch.is_full());
}

#[test]
fn points_are_told_apart_by_the_values_of_their_tags_in_any_order() {
    let fields = [r#"{"name":"a","type":"string"}"#, r#"{"name":"b","type":"string"}"#];
    let plan = |tags: &[&str], fields: [&str; 2]| {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let mapping = MappingConfig { tags, ..MappingConfig::default() };
        let text = format!(
            r#"{{"type":"record","name":"t","fields":[{},{},{{"name":"private_efdStamp","type":"double"}}]}}"#,
            fields[0], fields[1]
        );
        Plan::compile(9, &RecordSchema::parse(&text).unwrap(), &mapping).unwrap()
    };
    let partition = partition("a");
    let mut batch = Batch::new(LIMITS);
    let mut add = |plan: &Plan, values: [&str; 2]| {
        let mut body = Vec::new();
        values.iter().for_each(|value| avro::put_str(&mut body, value));
        avro::put_double(&mut body, 1.0);
        let record = Record { payload: Some(&body), ..Record::default() };
        batch.point(source(0, &partition), &record, (plan, ComponentId::default()), &body);
        batch.entries().last().unwrap().tags
    };
    let [first, second] = fields;
    assert_eq!(add(&plan(&[], [first, second]), ["1", "2"]), 0);
    let tagged = plan(&["a", "b"], [first, second]);
    let tags = add(&tagged, ["1", "2"]);
    assert_ne!(tags, add(&tagged, ["2", "1"]));
    assert_eq!(tags, add(&tagged, ["1", "2"]));
    assert_eq!(tags, add(&plan(&["a", "b"], [second, first]), ["2", "1"]));
}

#[test]
fn the_age_begins_with_the_first_record() {
    let a = partition("a");
    let mut batch = Batch::new(LIMITS);
    let start = Instant::now();
    assert!(!batch.is_due(start + LIMITS.age * 9));
    batch.tombstone(source(0, &a), 1);
    assert!(!batch.is_due(start + LIMITS.age * 10));
    assert!(!batch.is_due(start + LIMITS.age * 10 + LIMITS.age / 2));
    assert!(batch.is_due(start + LIMITS.age * 11));
}

#[test]
fn a_revoked_partition_is_left_to_its_new_owner() {
    let (a, b) = (partition("a"), partition("b"));
    let mut batch = Batch::new(LIMITS);
    add(&mut batch, source(0, &a), 10, f64::NAN);
    batch.tombstone(source(0, &a), 11);
    add(&mut batch, source(1, &b), 20, 1.0);
    batch.forget(&HashSet::from([a.clone()]));
    assert_eq!(batch.next_offsets(), [(b.clone(), 21)]);
    assert!(batch.dead_entries().is_empty());
    assert_eq!(batch.tombstones(), 0);
    // Assigned again, it is read from its last commit.
    add(&mut batch, source(0, &a), 9, 1.0);
    assert_eq!(batch.next_offsets(), [(b, 21), (a, 10)]);
}

#[test]
fn a_cleared_batch_is_empty_and_keeps_its_memory() {
    let a = partition("a");
    let mut batch = Batch::new(LIMITS);
    for offset in 0..100 {
        add(&mut batch, source(3, &a), offset, 1.0);
    }
    let capacity = batch.lines.capacity();
    let lines = batch.take_lines();
    batch.clear(lines);
    assert!(batch.is_empty());
    assert_eq!((batch.bytes(), batch.values(), batch.consumed().iter().sum::<u64>()), (0, 0, 0));
    assert_eq!(batch.lines.capacity(), capacity);
    add(&mut batch, source(3, &a), 7, 1.0);
    assert_eq!(batch.next_offsets(), [(a, 8)]);
}

#[test]
fn memory_of_a_giant_record_is_given_back() {
    let a = partition("a");
    let mut batch = Batch::new(Limits { bytes: 1000, ..LIMITS });
    let giant = vec![0; 1 << 20];
    let cause = Cause { reason: Reason::WireFormat, detail: String::new() };
    batch.dead(source(0, &a), &Record { payload: Some(&giant), ..Record::default() }, None, cause);
    batch.clear(Bytes::new());
    assert!(batch.packed.capacity() <= 2000);
}
