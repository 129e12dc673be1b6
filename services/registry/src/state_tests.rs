//! Tests of what the log makes known.

use super::*;
use crate::log;
use crate::log::Fields;
use crate::subject::VersionRef;

fn schema(subject: &str, version: u32, id: u32, text: &str) -> Record {
    let value = SchemaValue { id, schema: Arc::new(Schema::avro(text)), deleted: false };
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

fn id_of(state: &State, text: &str) -> Option<u32> {
    state.ids(".")?.id_of(&Schema::avro(text).identity())
}

fn max_id(state: &State) -> u32 {
    state.ids(".").unwrap().max_id()
}

#[test]
fn one_schema_under_two_subjects_has_one_id() {
    let state =
        state(&[schema("a", 1, 1, "\"int\""), schema("b", 1, 1, "\"int\""), schema("b", 2, 2, "\"long\"")]);
    assert_eq!(id_of(&state, "\"int\""), Some(1));
    assert_eq!(state.ids(".").unwrap().uses(1), [("a".into(), 1), ("b".into(), 1)]);
    assert_eq!((state.live_subjects(), state.schema_count(), max_id(&state)), (2, 2, 2));
}

#[test]
fn a_softly_deleted_schema_is_found_by_its_id_only() {
    let mut state = state(&[schema("a", 1, 1, "\"int\""), schema("a", 2, 2, "\"long\"")]);
    state.apply(&Record::DeleteSubject { subject: "a".into(), version: Some(2) }).unwrap();
    assert_eq!(state.live_subjects(), 0);
    assert_eq!(state.look_up("a", &Schema::avro("\"int\""), false), None);
    assert_eq!(state.look_up("a", &Schema::avro("\"int\""), true).unwrap().version, 1);
    assert_eq!(state.schema(".", 2).unwrap().text(), "\"long\"");
    state.apply(&schema("a", 3, 1, "\"int\"")).unwrap();
    assert_eq!(state.look_up("a", &Schema::avro("\"int\""), false).unwrap().version, 3);
    assert_eq!(state.live_subjects(), 1);
}

#[test]
fn a_schema_gone_for_good_leaves_its_id_taken() {
    let mut state =
        state(&[schema("a", 1, 1, "\"int\""), schema("a", 2, 2, "\"long\""), schema("b", 1, 1, "\"int\"")]);
    state.apply(&tombstone("a", 2)).unwrap();
    assert_eq!(state.schema(".", 2), None);
    assert_eq!(id_of(&state, "\"long\""), None);
    assert_eq!(max_id(&state), 2);
    state.apply(&tombstone("a", 1)).unwrap();
    assert!(state.subject("a").is_none());
    assert!(state.schema(".", 1).is_some(), "b still uses it");
}

#[test]
fn an_id_that_changes_its_schema_is_a_conflict_and_changes_nothing() {
    let mut state = state(&[schema("a", 1, 1, "\"int\"")]);
    assert_eq!(state.apply(&schema("b", 1, 1, "\"long\"")), Err(Conflict { id: 1 }));
    assert_eq!(state.schema(".", 1).unwrap().text(), "\"int\"");
    assert!(state.subject("b").is_none());
}

#[test]
fn the_same_text_with_other_references_is_another_schema() {
    let key = br#"{"keytype":"SCHEMA","subject":"a","version":2,"magic":1}"#;
    let value = br#"{"subject":"a","version":2,"id":2,"md5":"x","references":[{"name":"n","subject":"s","version":1}],"schema":"\"int\"","deleted":false}"#;
    let with_references = log::decode(key, Some(value)).unwrap().unwrap();
    let state = state(&[schema("a", 1, 1, "\"int\""), with_references]);
    assert_eq!(id_of(&state, "\"int\""), Some(1));
    let mut fields = state.schema(".", 2).unwrap().log_fields();
    fields.shift_remove("md5");
    assert_eq!(state.ids(".").unwrap().id_of(&Schema::new("\"int\"", fields).identity()), Some(2));
}

#[test]
fn a_version_written_again_replaces_the_one_before() {
    let mut state = state(&[schema("a", 1, 1, "\"int\"")]);
    state.apply(&schema("a", 1, 2, "\"long\"")).unwrap();
    assert_eq!(state.subject("a").unwrap().versions, [Version { version: 1, id: 2, deleted: false }]);
    assert_eq!(state.schema(".", 1), None);
}

#[test]
fn a_subject_with_only_a_setting_does_not_exist() {
    let full = Some(Arc::new(ConfigValue { level: Some(Level::Full), fields: Fields::new() }));
    let mut state = state(&[Record::Config { subject: Some("a".into()), value: full.clone() }]);
    assert!(state.subject("a").is_none());
    assert_eq!((state.level(Some("a")), state.level(Some("b"))), (Level::Full, Level::None));
    state.apply(&Record::Config { subject: None, value: full }).unwrap();
    state.apply(&Record::Config { subject: Some("a".into()), value: None }).unwrap();
    assert_eq!((state.level(Some("a")), state.subjects.len()), (Level::Full, 0));
}

#[test]
fn the_highest_id_comes_from_a_noop_too() {
    let noop = Record::Noop { max_ids: [(Arc::from("."), 9)].into(), writer: None };
    assert_eq!(max_id(&state(&[noop, Record::Noop { max_ids: MaxIds::new(), writer: None }])), 9);
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
fn each_context_has_ids_of_its_own() {
    let state = state(&[
        Record::Context { context: ".empty".into(), exists: true },
        schema("a", 1, 1, "\"int\""),
        schema(":.lab:a", 1, 1, "\"long\""),
        schema(":.lab:b", 1, 2, "\"int\""),
    ]);
    assert_eq!(state.contexts(), [".", ".empty", ".lab"]);
    assert_eq!(state.schema(".", 1).unwrap().text(), "\"int\"");
    assert_eq!(state.schema(".lab", 1).unwrap().text(), "\"long\"");
    let int = Schema::avro("\"int\"").identity();
    let places: Vec<(&str, u32)> = state.of_guid(&int).map(|(context, id, _)| (context, id)).collect();
    assert_eq!(places, [(".", 1), (".lab", 2)]);
    assert_eq!(state.max_ids(), [(".".into(), 1), (".empty".into(), 0), (".lab".into(), 2)].into());
}

#[test]
fn a_schema_with_two_ids_keeps_the_other_when_one_goes() {
    let mut state = state(&[schema("a", 1, 1, "\"int\""), schema("b", 1, 5, "\"int\"")]);
    assert_eq!(state.look_up("b", &Schema::avro("\"int\""), false).unwrap().id, 5);
    state.apply(&tombstone("a", 1)).unwrap();
    assert_eq!(id_of(&state, "\"int\""), Some(5));
}

#[test]
fn what_is_cleared_is_only_what_was_softly_deleted() {
    let mut state = state(&[schema("a", 1, 1, "\"int\""), schema("a", 2, 2, "\"long\"")]);
    state.apply(&Record::DeleteSubject { subject: "a".into(), version: Some(1) }).unwrap();
    state.apply(&Record::ClearSubject { subject: Some("a".into()) }).unwrap();
    assert_eq!((state.schema(".", 1), state.subject("a").unwrap().versions.len()), (None, 1));
}

#[test]
fn a_setting_of_the_context_comes_before_the_global_one() {
    let setting = |level| Some(Arc::new(ConfigValue { level: Some(level), fields: Fields::new() }));
    let state = state(&[
        Record::Config { subject: None, value: setting(Level::Full) },
        Record::Config { subject: Some(":.lab:".into()), value: setting(Level::Forward) },
        Record::Mode { subject: Some(":.lab:".into()), mode: Some(Mode::ReadOnly) },
        Record::Mode { subject: Some(":.lab:a".into()), mode: Some(Mode::Import) },
    ]);
    assert_eq!([state.level(Some("a")), state.level(Some(":.lab:a"))], [Level::Full, Level::Forward]);
    let modes = ["a", ":.lab:a", ":.lab:b"].map(|subject| state.mode(Some(subject)));
    assert_eq!(modes, [Mode::ReadWrite, Mode::Import, Mode::ReadOnly]);
}
