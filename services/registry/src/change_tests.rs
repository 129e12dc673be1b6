//! Tests of planned changes. What is planned is written and read back here by the log's own bytes.

use super::*;
use crate::log;

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
        self.change(Change::Register { subject: subject.into(), schema: Schema::avro(text) })
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
        self.change(Change::SetLevel { subject: subject.map(Arc::from), level })
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

fn code(result: Result<Outcome, RegistryError>) -> u32 {
    result.expect_err("refused").status_and_code().1
}

const INT: &str = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"}]}"#;
const LONG: &str = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"long"}]}"#;
const TEXT: &str = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"string"}]}"#;

#[test]
fn a_schema_is_registered_once() {
    let mut registry = Registry::default();
    assert_eq!(registry.register("a", INT), Ok(Outcome::Id(1)));
    assert_eq!(registry.register("a", LONG), Ok(Outcome::Id(2)));
    assert_eq!(registry.register("b", LONG), Ok(Outcome::Id(2)));
    let length = registry.log.len();
    assert_eq!(registry.register("a", INT), Ok(Outcome::Id(1)));
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
    let mut schema = Schema::avro(INT);
    schema
        .fields
        .insert("references".into(), serde_json::json!([{"name": "n", "subject": "s", "version": 1}]));
    assert_eq!(code(registry.change(Change::Register { subject: "a".into(), schema })), 42201);
}

#[test]
fn a_level_is_enforced_against_what_is_not_deleted() {
    let mut registry = Registry::default();
    registry.register("a", INT).unwrap();
    registry.register("a", TEXT).unwrap();
    registry.set_level(Some("a"), Level::Backward).unwrap();
    assert_eq!(code(registry.register("a", LONG)), 40901);
    registry.delete_version("a", 2, false).unwrap();
    assert_eq!(registry.register("a", LONG), Ok(Outcome::Id(3)), "the latest is int again");
    registry.set_level(None, Level::ForwardTransitive).unwrap();
    registry.change(Change::ClearLevel { subject: Some("a".into()) }).unwrap();
    let wider = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"float"}]}"#;
    assert_eq!(code(registry.register("a", wider)), 40901, "neither int nor long reads float");
    assert_eq!(
        registry.register("b", wider),
        Ok(Outcome::Id(4)),
        "the first of a subject has nothing to fit"
    );
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
    assert_eq!(registry.register("a", INT), Ok(Outcome::Id(3)), "ids are never given twice");
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
        r#"{{"subject":"a","version":2,"id":2,"schema":{},"deleted":true}}"#,
        serde_json::json!(LONG)
    );
    assert_eq!(registry.last_records(1)[0].1, Some(value));
    assert_eq!(code(registry.delete_version("a", 2, false)), 40406);
    assert_eq!(registry.versions("a"), [(1, 1)]);
    assert_eq!(registry.delete_version("a", 2, true), Ok(Outcome::Version(2)));
    assert_eq!(registry.register("a", TEXT), Ok(Outcome::Id(3)));
    assert_eq!(registry.versions("a"), [(1, 1), (2, 3)]);
}

#[test]
fn a_softly_deleted_schema_comes_back_with_its_id_and_the_next_version() {
    let mut registry = Registry::default();
    registry.register("a", INT).unwrap();
    registry.register("a", LONG).unwrap();
    registry.delete("a", false).unwrap();
    assert_eq!(registry.register("a", INT), Ok(Outcome::Id(1)));
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
    assert_eq!(registry.set_level(None, Level::Full), Ok(Outcome::Level(Level::Full)));
    assert_eq!(registry.set_level(None, Level::Full), Ok(Outcome::Level(Level::Full)));
    assert_eq!(registry.log.len(), 1, "a level that stands is not written again");
    assert_eq!(registry.change(Change::ClearLevel { subject: None }), Ok(Outcome::Level(Level::Full)));
    assert_eq!(registry.state.level(None), Level::None);
    assert_eq!(code(registry.change(Change::ClearLevel { subject: Some("a".into()) })), 40401);
}

#[test]
fn a_mode_set_by_another_registry_is_obeyed() {
    let mut registry = Registry::default();
    registry.register("a", INT).unwrap();
    registry.state.apply(&Record::Mode { subject: None, mode: Some("READONLY".into()) }).unwrap();
    assert_eq!(registry.register("a", INT), Ok(Outcome::Id(1)), "what is known needs no write");
    assert_eq!(code(registry.register("a", LONG)), 42205);
    assert_eq!(code(registry.delete("a", false)), 42205);
    assert_eq!(code(registry.delete_version("a", 1, false)), 42205);
    registry
        .state
        .apply(&Record::Mode { subject: Some("a".into()), mode: Some("READWRITE".into()) })
        .unwrap();
    assert_eq!(registry.register("a", LONG), Ok(Outcome::Id(2)));
}

#[test]
fn the_last_id_is_not_followed_by_another() {
    let mut registry = Registry::default();
    registry.state.raise_max_id(i32::MAX.unsigned_abs());
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
    assert_eq!((again.max_id(), again.schema_count()), (3, 1));
}
