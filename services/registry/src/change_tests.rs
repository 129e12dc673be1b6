//! Tests of planned changes. What is planned is written and read back here by the log's own bytes.

use super::*;
use crate::compatibility::Level;
use crate::log::{self, Fields};

/// A registry without Kafka: the log is a list.
#[derive(Default)]
struct Registry {
    state: State,
    log: Vec<log::Encoded>,
}

impl Registry {
    fn change(&mut self, change: Change) -> Result<Outcome, RegistryError> {
        let (records, outcome) = self.state.plan(&change)?;
        for record in &records {
            let (key, value) = log::encode(record);
            let read = log::decode(&key, value.as_deref()).unwrap().unwrap();
            self.state.apply(&read).unwrap();
            self.log.push((key, value));
        }
        Ok(outcome)
    }

    fn register(&mut self, subject: &str, text: &str) -> Result<Outcome, RegistryError> {
        self.change(Change::Register { subject: subject.into(), schema: Schema::avro(text), wanted: None })
    }

    fn delete(&mut self, subject: &str, permanent: bool) -> Result<Outcome, RegistryError> {
        self.change(Change::DeleteSubject { subject: subject.into(), permanent })
    }

    fn delete_version(
        &mut self,
        subject: &str,
        version: u32,
        permanent: bool,
    ) -> Result<Outcome, RegistryError> {
        let version = VersionRef::Number(version);
        self.change(Change::DeleteVersion { subject: subject.into(), version, permanent })
    }

    fn set_level(&mut self, subject: Option<&str>, level: Level) -> Result<Outcome, RegistryError> {
        let change = ConfigChange { level: Some(level), fields: Fields::new() };
        self.change(Change::SetConfig { subject: subject.map(Arc::from), change })
    }

    fn set_mode(&mut self, subject: Option<&str>, mode: Mode, force: bool) -> Result<Outcome, RegistryError> {
        self.change(Change::SetMode { subject: subject.map(Arc::from), mode, force })
    }

    fn import(
        &mut self,
        subject: &str,
        text: &str,
        id: u32,
        version: Option<u32>,
    ) -> Result<Outcome, RegistryError> {
        let (schema, wanted) = (Schema::avro(text), Some(Wanted { id, version }));
        self.change(Change::Register { subject: subject.into(), schema, wanted })
    }

    fn versions(&self, subject: &str) -> Vec<(u32, u32)> {
        let found = self.state.subject(subject);
        found.map_or_else(Vec::new, |found| {
            found.live().map(|version| (version.version, version.id)).collect()
        })
    }

    /// Key and value of the last records, as text.
    fn last_records(&self, count: usize) -> Vec<(String, Option<String>)> {
        let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
        let last = &self.log[self.log.len() - count..];
        last.iter().map(|(key, value)| (text(key), value.as_ref().map(text))).collect()
    }
}

fn id(result: Result<Outcome, RegistryError>) -> u32 {
    match result {
        Ok(Outcome::Registered { id, .. }) => id,
        other => panic!("not registered: {other:?}"),
    }
}

fn code(result: Result<Outcome, RegistryError>) -> u32 {
    result.expect_err("refused").status_and_code().1
}

const INT: &str = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"}]}"#;
const LONG: &str = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"long"}]}"#;
const TEXT: &str = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"string"}]}"#;

#[test]
fn a_schema_is_registered_once() {
    let mut registry = Registry::default();
    assert_eq!(id(registry.register("a", INT)), 1);
    assert_eq!(id(registry.register("a", LONG)), 2);
    assert_eq!(id(registry.register("b", LONG)), 2);
    let length = registry.log.len();
    assert_eq!(id(registry.register("a", INT)), 1);
    assert_eq!(registry.log.len(), length, "what is known is not written again");
    assert_eq!(registry.versions("a"), [(1, 1), (2, 2)]);
}

#[test]
fn invalid_schemas_and_names_are_refused() {
    let mut registry = Registry::default();
    assert_eq!(code(registry.register("a", r#"{"type":"record"}"#)), 42201);
    for name in ["", "__GLOBAL", "a\nb"] {
        assert_eq!(code(registry.register(name, INT)), 42208, "{name:?}");
        assert_eq!(code(registry.set_level(Some(name), Level::Full)), 42208, "{name:?}");
    }
}

#[test]
fn a_level_is_enforced_against_what_is_not_deleted() {
    let mut registry = Registry::default();
    registry.register("a", INT).unwrap();
    registry.register("a", TEXT).unwrap();
    registry.set_level(Some("a"), Level::Backward).unwrap();
    assert_eq!(code(registry.register("a", LONG)), 40901);
    registry.delete_version("a", 2, false).unwrap();
    assert_eq!(id(registry.register("a", LONG)), 3, "the latest is int again");
    registry.set_level(None, Level::ForwardTransitive).unwrap();
    registry.change(Change::ClearConfig { subject: Some("a".into()) }).unwrap();
    let wider = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"float"}]}"#;
    assert_eq!(code(registry.register("a", wider)), 40901, "neither int nor long reads float");
    assert_eq!(id(registry.register("b", wider)), 4, "the first of a subject has nothing to fit");
}

#[test]
fn a_subject_is_deleted_softly_then_for_good() {
    let mut registry = Registry::default();
    assert_eq!(code(registry.delete("a", false)), 40401);
    registry.register("a", INT).unwrap();
    registry.register("a", LONG).unwrap();
    registry.set_level(Some("a"), Level::Full).unwrap();
    assert_eq!(code(registry.delete("a", true)), 40405);
    assert_eq!(registry.delete("a", false), Ok(Outcome::Versions(vec![1, 2])));
    assert_eq!(code(registry.delete("a", false)), 40404);
    assert_eq!(registry.delete("a", true), Ok(Outcome::Versions(vec![1, 2])));
    assert_eq!(code(registry.delete("a", true)), 40401);
    let keys: Vec<(String, Option<String>)> = registry.last_records(4);
    let expected = [
        (r#"{"keytype":"NOOP","magic":0}"#, Some(r#"{"maxId":2}"#)),
        (r#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}"#, None),
        (r#"{"keytype":"SCHEMA","subject":"a","version":2,"magic":1}"#, None),
        (r#"{"keytype":"CONFIG","subject":"a","magic":0}"#, None),
    ];
    let expected =
        expected.map(|(key, value): (&str, Option<&str>)| (key.to_owned(), value.map(str::to_owned)));
    assert_eq!(keys, expected);
    assert_eq!(id(registry.register("a", INT)), 3, "ids are never given twice");
    assert_eq!(registry.versions("a"), [(1, 3)]);
}

#[test]
fn a_version_is_deleted_softly_then_for_good() {
    let mut registry = Registry::default();
    registry.register("a", INT).unwrap();
    registry.register("a", LONG).unwrap();
    assert_eq!(code(registry.delete_version("b", 1, false)), 40401);
    assert_eq!(code(registry.delete_version("a", 3, false)), 40402);
    assert_eq!(code(registry.delete_version("a", 2, true)), 40407);
    let latest = Change::DeleteVersion { subject: "a".into(), version: VersionRef::Latest, permanent: false };
    assert_eq!(registry.change(latest), Ok(Outcome::Version(2)));
    let value = format!(
        r#"{{"subject":"a","version":2,"id":2,"md5":{},"schema":{},"deleted":true}}"#,
        Schema::avro(LONG).log_fields()["md5"],
        serde_json::json!(LONG)
    );
    assert_eq!(registry.last_records(1)[0].1, Some(value));
    assert_eq!(code(registry.delete_version("a", 2, false)), 40406);
    assert_eq!(registry.versions("a"), [(1, 1)]);
    assert_eq!(registry.delete_version("a", 2, true), Ok(Outcome::Version(2)));
    assert_eq!(id(registry.register("a", TEXT)), 3);
    assert_eq!(registry.versions("a"), [(1, 1), (2, 3)]);
}

#[test]
fn a_softly_deleted_schema_comes_back_with_its_id_and_the_next_version() {
    let mut registry = Registry::default();
    registry.register("a", INT).unwrap();
    registry.register("a", LONG).unwrap();
    registry.delete("a", false).unwrap();
    assert_eq!(id(registry.register("a", INT)), 1);
    assert_eq!(registry.versions("a"), [(3, 1)]);
    let keys: Vec<(String, bool)> =
        registry.last_records(2).into_iter().map(|(key, value)| (key, value.is_some())).collect();
    assert_eq!(
        keys,
        [
            (r#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}"#.to_owned(), false),
            (r#"{"keytype":"SCHEMA","subject":"a","version":3,"magic":1}"#.to_owned(), true),
        ]
    );
}

#[test]
fn levels_are_set_and_taken_back() {
    let mut registry = Registry::default();
    let set = ConfigChange { level: Some(Level::Full), fields: Fields::new() };
    assert_eq!(registry.set_level(None, Level::Full), Ok(Outcome::ConfigSet(set.clone())));
    assert_eq!(registry.set_level(None, Level::Full), Ok(Outcome::ConfigSet(set)));
    assert_eq!(registry.log.len(), 1, "a level that stands is not written again");
    let cleared = ConfigValue { level: Some(Level::Full), fields: Fields::new() };
    assert_eq!(registry.change(Change::ClearConfig { subject: None }), Ok(Outcome::ConfigCleared(cleared)));
    assert_eq!(registry.state.level(None), Level::None);
    assert_eq!(code(registry.change(Change::ClearConfig { subject: Some("a".into()) })), 40401);
}

#[test]
fn a_mode_is_obeyed() {
    let mut registry = Registry::default();
    registry.register("a", INT).unwrap();
    registry.set_mode(None, Mode::ReadOnly, false).unwrap();
    assert_eq!(id(registry.register("a", INT)), 1, "what is known needs no write");
    assert_eq!(code(registry.register("a", LONG)), 42205);
    assert_eq!(code(registry.delete("a", false)), 42205);
    assert_eq!(code(registry.delete_version("a", 1, false)), 42205);
    assert_eq!(code(registry.set_level(Some("a"), Level::Full)), 42205);
    registry.set_mode(Some("a"), Mode::ReadWrite, false).unwrap();
    assert_eq!(id(registry.register("a", LONG)), 2);
    registry.set_mode(None, Mode::ReadOnlyOverride, false).unwrap();
    assert_eq!(code(registry.register("a", TEXT)), 42205, "no subject has it otherwise");
    let clear = |recursive| Change::ClearMode { subject: None, recursive };
    assert_eq!(registry.change(clear(true)), Ok(Outcome::Mode(Mode::ReadOnlyOverride)));
    assert_eq!(registry.state.subjects["a"].mode, None, "that of each subject went too");
    assert_eq!(registry.change(clear(false)), Ok(Outcome::Mode(Mode::ReadWrite)));
    assert_eq!(
        code(registry.change(Change::ClearMode { subject: Some("a".into()), recursive: false })),
        40401
    );
}

#[test]
fn an_import_keeps_ids_and_versions() {
    let mut registry = Registry::default();
    registry.register("a", INT).unwrap();
    assert_eq!(code(registry.import("a", LONG, 7, None)), 42205, "not in import mode");
    assert_eq!(code(registry.set_mode(Some("a"), Mode::Import, false)), 42205, "there are schemas");
    assert_eq!(code(registry.set_mode(None, Mode::Import, false)), 42205);
    registry.set_mode(Some("b"), Mode::Import, false).unwrap();
    let expected = [
        (r#"{"keytype":"CLEAR_SUBJECT","subject":"b","magic":0}"#, r#"{"subject":"b"}"#),
        (r#"{"keytype":"MODE","subject":"b","magic":0}"#, r#"{"subject":"b","mode":"IMPORT"}"#),
    ];
    assert_eq!(registry.last_records(2), expected.map(|(k, v)| (k.to_owned(), Some(v.to_owned()))));
    assert_eq!(code(registry.register("b", LONG)), 42205, "an import says the id");
    assert_eq!(id(registry.import("b", LONG, 40, Some(3))), 40);
    assert_eq!(id(registry.import("b", LONG, 40, Some(3))), 40, "done already");
    assert_eq!(code(registry.import("b", LONG, 41, None)), 42207);
    assert_eq!(code(registry.import("b", TEXT, 40, None)), 42205, "the id is another schema's");
    assert_eq!(code(registry.import("b", TEXT, 42, Some(3))), 42205, "the version is another schema's");
    assert_eq!(id(registry.import("b", TEXT, 42, Some(1))), 42, "an earlier version may come later");
    assert_eq!(registry.versions("b"), [(1, 42), (3, 40)]);
    assert_eq!(id(registry.register("a", LONG)), 40, "an imported id is an id like all others");
    assert_eq!(id(registry.register("a", r#""bytes""#)), 43);
}

#[test]
fn a_schema_may_use_types_of_another_which_is_kept_as_long() {
    let mut registry = Registry::default();
    let point = r#"{"type":"record","name":"point","namespace":"geo","fields":[]}"#;
    let line = r#"{"type":"record","name":"line","fields":[{"name":"a","type":"geo.point"},{"name":"b","type":"geo.point"}]}"#;
    let references = serde_json::json!([{"name": "geo.point", "subject": "point", "version": 1}]);
    let fields: Fields = [("references".to_owned(), references)].into_iter().collect();
    let register = || Change::Register {
        subject: "line".into(),
        schema: Schema::new(line, fields.clone()),
        wanted: None,
    };
    assert_eq!(code(registry.change(register())), 42201, "the other one is not there yet");
    registry.register("point", point).unwrap();
    assert_eq!(id(registry.change(register())), 2);
    assert_eq!(registry.state.referring("point", 1, false), [2]);
    assert_eq!(code(registry.delete("point", false)), 42206);
    assert_eq!(code(registry.delete_version("point", 1, false)), 42206);
    registry.delete("line", false).unwrap();
    registry.delete("point", false).unwrap();
    assert_eq!(code(registry.delete("point", true)), 42206, "a softly deleted schema can still be asked for");
    registry.delete("line", true).unwrap();
    registry.delete("point", true).unwrap();
}

#[test]
fn a_context_has_ids_of_its_own_and_goes_when_it_is_empty() {
    let mut registry = Registry::default();
    registry.register("a", INT).unwrap();
    assert_eq!(id(registry.register(":.lab:a", LONG)), 1);
    let key = r#"{"keytype":"CONTEXT","tenant":"default","context":".lab","magic":0}"#;
    assert_eq!(registry.last_records(2)[0].0, key);
    assert_eq!(id(registry.register(":.lab:b", INT)), 2);
    assert_eq!(code(registry.register(":.lab:", INT)), 42208, "a context is no subject");
    let delete = || Change::DeleteContext { context: ".lab".into() };
    assert_eq!(code(registry.change(delete())), 42211);
    for subject in [":.lab:a", ":.lab:b"] {
        registry.delete(subject, false).unwrap();
        registry.delete(subject, true).unwrap();
    }
    assert_eq!(registry.state.contexts(), [".", ".lab"]);
    assert_eq!(registry.change(delete()), Ok(Outcome::Done));
    assert_eq!(registry.state.contexts(), ["."]);
    assert_eq!(id(registry.register(":.lab:a", TEXT)), 3, "ids are never given twice");
}

#[test]
fn the_last_id_is_not_followed_by_another() {
    let mut registry = Registry::default();
    registry.state.raise_max_ids(&[(Arc::from("."), i32::MAX.unsigned_abs())].into());
    assert_eq!(code(registry.register("a", INT)), 50001);
}

#[test]
fn a_log_read_again_makes_the_same_state() {
    let mut registry = Registry::default();
    registry.register("a", INT).unwrap();
    registry.register("a", LONG).unwrap();
    registry.delete("a", false).unwrap();
    registry.delete("a", true).unwrap();
    registry.register("b", TEXT).unwrap();
    registry.set_level(Some("b"), Level::Full).unwrap();
    let mut again = State::new(Level::None);
    for (key, value) in &registry.log {
        again.apply(&log::decode(key, value.as_deref()).unwrap().unwrap()).unwrap();
    }
    assert_eq!(format!("{:?}", again.subjects), format!("{:?}", registry.state.subjects));
    assert_eq!((again.ids(".").unwrap().max_id(), again.schema_count()), (3, 1));
}
