//! Tests of what the log makes known.

use super::*;
use crate::log;

fn schema(subject: &str, version: u32, id: u32, text: &str) -> Record {
    let value = SchemaValue { id, text: text.into(), deleted: false, fields: Fields::new() };
    Record::Schema { subject: subject.into(), version, value: Some(value) }
}

fn tombstone(subject: &str, version: u32) -> Record {
    Record::Schema { subject: subject.into(), version, value: None }
}

fn state(records: &[Record]) -> State {
    let mut state = State::new(Level::None);
    for record in records {
        state.apply(record).unwrap();
    }
    state
}

#[test]
fn one_schema_under_two_subjects_has_one_id() {
    let state =
        state(&[schema("a", 1, 1, "\"int\""), schema("b", 1, 1, "\"int\""), schema("b", 2, 2, "\"long\"")]);
    assert_eq!(state.id_of(&Schema::avro("\"int\"")), Some(1));
    assert_eq!(state.uses(1, false), [("a".into(), 1), ("b".into(), 1)]);
    assert_eq!((state.live_subjects(), state.schema_count(), state.max_id()), (2, 2, 2));
}

#[test]
fn a_softly_deleted_schema_is_found_by_its_id_only() {
    let mut state = state(&[schema("a", 1, 1, "\"int\""), schema("a", 2, 2, "\"long\"")]);
    state.apply(&Record::DeleteSubject { subject: "a".into(), version: Some(2) }).unwrap();
    assert_eq!(state.live_subjects(), 0);
    assert_eq!(state.look_up("a", &Schema::avro("\"int\""), false), None);
    assert_eq!(state.look_up("a", &Schema::avro("\"int\""), true).unwrap().version, 1);
    assert_eq!(&*state.schema(2).unwrap().text, "\"long\"");
    state.apply(&schema("a", 3, 1, "\"int\"")).unwrap();
    assert_eq!(state.look_up("a", &Schema::avro("\"int\""), false).unwrap().version, 3);
    assert_eq!(state.live_subjects(), 1);
}

#[test]
fn a_schema_gone_for_good_leaves_its_id_taken() {
    let mut state =
        state(&[schema("a", 1, 1, "\"int\""), schema("a", 2, 2, "\"long\""), schema("b", 1, 1, "\"int\"")]);
    state.apply(&tombstone("a", 2)).unwrap();
    assert_eq!(state.schema(2), None);
    assert_eq!(state.id_of(&Schema::avro("\"long\"")), None);
    assert_eq!(state.max_id(), 2);
    state.apply(&tombstone("a", 1)).unwrap();
    assert!(state.subject("a").is_none());
    assert!(state.schema(1).is_some(), "b still uses it");
}

#[test]
fn an_id_that_changes_its_schema_is_a_conflict_and_changes_nothing() {
    let mut state = state(&[schema("a", 1, 1, "\"int\"")]);
    assert_eq!(state.apply(&schema("b", 1, 1, "\"long\"")), Err(Conflict { id: 1 }));
    assert_eq!(&*state.schema(1).unwrap().text, "\"int\"");
    assert!(state.subject("b").is_none());
}

#[test]
fn the_same_text_with_other_references_is_another_schema() {
    let key = br#"{"keytype":"SCHEMA","subject":"a","version":2,"magic":1}"#;
    let value = br#"{"subject":"a","version":2,"id":2,"md5":"x","references":[{"name":"n","subject":"s","version":1}],"schema":"\"int\"","deleted":false}"#;
    let with_references = log::decode(key, Some(value)).unwrap().unwrap();
    let state = state(&[schema("a", 1, 1, "\"int\""), with_references]);
    assert_eq!(state.id_of(&Schema::avro("\"int\"")), Some(1));
    let mut wanted = Schema { fields: state.schema(2).unwrap().fields.clone(), ..Schema::avro("\"int\"") };
    wanted.fields.shift_remove("md5");
    assert_eq!(state.id_of(&wanted), Some(2));
}

#[test]
fn a_version_written_again_replaces_the_one_before() {
    let mut state = state(&[schema("a", 1, 1, "\"int\"")]);
    state.apply(&schema("a", 1, 2, "\"long\"")).unwrap();
    assert_eq!(state.subject("a").unwrap().versions, [Version { version: 1, id: 2, deleted: false }]);
    assert_eq!(state.schema(1), None);
}

#[test]
fn a_subject_with_only_a_setting_does_not_exist() {
    let full = Some(ConfigValue { level: Some(Level::Full), fields: Fields::new() });
    let mut state = state(&[Record::Config { subject: Some("a".into()), value: full.clone() }]);
    assert!(state.subject("a").is_none());
    assert_eq!((state.level(Some("a")), state.level(Some("b"))), (Level::Full, Level::None));
    state.apply(&Record::Config { subject: None, value: full }).unwrap();
    state.apply(&Record::Config { subject: Some("a".into()), value: None }).unwrap();
    assert_eq!((state.level(Some("a")), state.subjects.len()), (Level::Full, 0));
}

#[test]
fn the_highest_id_comes_from_a_noop_too() {
    let noop = |max_id| Record::Noop { max_id, writer: None };
    assert_eq!(state(&[noop(Some(9)), noop(None)]).max_id(), 9);
}

#[test]
fn records_about_what_is_not_there_change_nothing() {
    let state = state(&[
        tombstone("a", 1),
        Record::DeleteSubject { subject: "a".into(), version: Some(3) },
        Record::DeleteSubject { subject: "a".into(), version: None },
        Record::Mode { subject: Some("a".into()), mode: None },
    ]);
    assert!(state.subjects.is_empty());
}

#[test]
fn versions_are_numbers_or_latest() {
    for latest in ["latest", "-1"] {
        assert_eq!(VersionRef::parse(latest).unwrap(), VersionRef::Latest);
    }
    assert_eq!(VersionRef::parse("2147483647").unwrap(), VersionRef::Number(2_147_483_647));
    for bad in ["", "0", "-2", "2147483648", "99999999999", "1.0", "x"] {
        assert_eq!(VersionRef::parse(bad).unwrap_err().status_and_code(), (422, 42202), "{bad}");
    }
}

#[test]
fn the_last_writer_that_did_not_leave_is_the_writer() {
    let noop = |writer: Option<&str>| Record::Noop { max_id: None, writer: writer.map(Arc::from) };
    let writer = |records: &[Record]| state(records).writer().map(ToString::to_string);
    assert_eq!(writer(&[]), None);
    assert_eq!(writer(&[noop(Some("a:1")), noop(Some("b:2")), noop(None)]), Some("b:2".into()));
    assert_eq!(writer(&[noop(Some("a:1")), noop(Some(""))]), None);
}
