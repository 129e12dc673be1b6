//! Tests of the keys and values of `_schemas`.

use super::*;

fn schema(version: u32, value: Option<SchemaValue>) -> Record {
    Record::Schema { subject: "lsst.sal.Test.arrays-value".into(), version, value }
}

fn int(id: u32, deleted: bool) -> SchemaValue {
    SchemaValue { id, schema: Arc::new(Schema::avro("\"int\"")), deleted }
}

fn config(level: Level) -> Option<Arc<ConfigValue>> {
    Some(Arc::new(ConfigValue { level: Some(level), fields: Fields::new() }))
}

fn ids(of_contexts: &[(&str, u32)]) -> MaxIds {
    of_contexts.iter().map(|(context, id)| (Arc::from(*context), *id)).collect()
}

/// Each record with the key and value that Confluent's registry writes for it.
#[expect(clippy::too_many_lines, reason = "a table")]
fn table() -> Vec<(Record, &'static str, Option<&'static str>)> {
    vec![
        (
            schema(1, Some(int(7, false))),
            r#"{"keytype":"SCHEMA","subject":"lsst.sal.Test.arrays-value","version":1,"magic":1}"#,
            Some(
                r#"{"subject":"lsst.sal.Test.arrays-value","version":1,"id":7,"md5":"71JOobkecxc9k4reNsHbMg==","schema":"\"int\"","deleted":false}"#,
            ),
        ),
        (
            schema(2, Some(int(7, true))),
            r#"{"keytype":"SCHEMA","subject":"lsst.sal.Test.arrays-value","version":2,"magic":1}"#,
            Some(
                r#"{"subject":"lsst.sal.Test.arrays-value","version":2,"id":7,"md5":"71JOobkecxc9k4reNsHbMg==","schema":"\"int\"","deleted":true}"#,
            ),
        ),
        (
            schema(3, None),
            r#"{"keytype":"SCHEMA","subject":"lsst.sal.Test.arrays-value","version":3,"magic":1}"#,
            None,
        ),
        (
            Record::DeleteSubject { subject: "s".into(), version: Some(4) },
            r#"{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}"#,
            Some(r#"{"subject":"s","version":4}"#),
        ),
        (
            Record::Config { subject: None, value: config(Level::None) },
            r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
            Some(r#"{"compatibilityLevel":"NONE"}"#),
        ),
        (
            Record::Config { subject: Some("s".into()), value: config(Level::FullTransitive) },
            r#"{"keytype":"CONFIG","subject":"s","magic":0}"#,
            Some(r#"{"subject":"s","compatibilityLevel":"FULL_TRANSITIVE"}"#),
        ),
        (
            Record::Config { subject: Some("s".into()), value: None },
            r#"{"keytype":"CONFIG","subject":"s","magic":0}"#,
            None,
        ),
        (
            Record::Mode { subject: None, mode: Some(Mode::ReadOnly) },
            r#"{"keytype":"MODE","subject":null,"magic":0}"#,
            Some(r#"{"mode":"READONLY"}"#),
        ),
        (
            Record::ClearSubject { subject: Some("s".into()) },
            r#"{"keytype":"CLEAR_SUBJECT","subject":"s","magic":0}"#,
            Some(r#"{"subject":"s"}"#),
        ),
        (
            Record::Context { context: ".lab".into(), exists: true },
            r#"{"keytype":"CONTEXT","tenant":"default","context":".lab","magic":0}"#,
            Some(r#"{"tenant":"default","context":".lab"}"#),
        ),
        (Record::Noop { max_ids: MaxIds::new(), writer: None }, r#"{"keytype":"NOOP","magic":0}"#, None),
        (
            Record::Noop { max_ids: ids(&[(".", 12)]), writer: None },
            r#"{"keytype":"NOOP","magic":0}"#,
            Some(r#"{"maxId":12}"#),
        ),
        (
            Record::Noop { max_ids: ids(&[(".", 12)]), writer: Some("a:9181".into()) },
            r#"{"keytype":"NOOP","magic":0}"#,
            Some(r#"{"maxId":12,"writer":"a:9181"}"#),
        ),
        (
            Record::Noop { max_ids: ids(&[(".", 3), (".lab", 12)]), writer: None },
            r#"{"keytype":"NOOP","magic":0}"#,
            Some(r#"{"maxId":3,"contexts":{".lab":12}}"#),
        ),
    ]
}

#[test]
fn records_have_the_bytes_that_confluent_writes_and_read_back_the_same() {
    for (record, key, value) in table() {
        let (our_key, our_value) = encode(&record);
        assert_eq!(String::from_utf8(our_key).unwrap(), key);
        assert_eq!(our_value.map(|value| String::from_utf8(value).unwrap()).as_deref(), value, "{key}");
        assert_eq!(decode(key.as_bytes(), value.map(str::as_bytes)).unwrap(), Some(record), "{key}");
    }
}

#[test]
fn what_a_newer_registry_adds_to_a_schema_is_written_back_in_its_place() {
    let key = br#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#;
    let value = r#"{"subject":"s","version":1,"id":7,"md5":"mm==","references":[{"name":"a","subject":"b","version":1}],"metadata":{"tags":{"x":["PII"]}},"schema":"\"int\"","deleted":true}"#;
    let record = decode(key, Some(value.as_bytes())).unwrap().unwrap();
    assert_eq!(String::from_utf8(encode(&record).1.unwrap()).unwrap(), value);
}

#[test]
fn fields_that_say_nothing_are_left_out() {
    let key = br#"{"magic":1,"keytype":"SCHEMA","version":1,"subject":"s"}"#;
    let value = br#"{"subject":"s","version":1,"id":7,"schemaType":"AVRO","references":[],"metadata":null,"md5":"71JOobkecxc9k4reNsHbMg==","schema":"\"int\"","offset":3,"ts":9}"#;
    let record = decode(key, Some(value)).unwrap().unwrap();
    assert_eq!(record, Record::Schema { subject: "s".into(), version: 1, value: Some(int(7, false)) });
}

#[test]
fn an_unknown_key_type_is_skipped() {
    let key = br#"{"keytype":"ASSOC","tenant":"default","guid":"x","magic":0}"#;
    assert_eq!(decode(key, Some(br#"{"tenant":"default"}"#)).unwrap(), None);
}

#[test]
fn malformed_records_are_errors_that_name_the_field() {
    let key = r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#;
    let table = [
        ("", Some("{}"), "JSON"),
        ("7", None, "JSON"),
        (r#"{"keytype":"SCHEMA","version":1,"magic":1}"#, None, "subject"),
        (r#"{"keytype":"SCHEMA","subject":"s","magic":1}"#, None, "version"),
        (r#"{"keytype":"SCHEMA","subject":"s","version":0,"magic":1}"#, None, "version"),
        (key, Some("not json"), "JSON"),
        (key, Some("[]"), "JSON"),
        (key, Some(r#"{"schema":"\"int\""}"#), "id"),
        (key, Some(r#"{"id":-1,"schema":"\"int\""}"#), "id"),
        (key, Some(r#"{"id":1}"#), "schema"),
        (key, Some(r#"{"id":1,"schema":"\"int\"","deleted":"x"}"#), "deleted"),
        (r#"{"keytype":"CONFIG"}"#, Some(r#"{"compatibilityLevel":"SOMETIMES"}"#), "compatibilityLevel"),
        (r#"{"keytype":"MODE"}"#, Some("{}"), "mode"),
        (r#"{"keytype":"DELETE_SUBJECT","subject":"s"}"#, Some("{}"), "version"),
    ];
    for (key, value, word) in table {
        let error = decode(key.as_bytes(), value.map(str::as_bytes)).expect_err(key).to_string();
        assert!(error.contains(word), "{key} {value:?}: {error}");
    }
}

#[test]
fn the_ids_of_a_record_are_found_without_reading_the_schema() {
    let schema = br#"{"subject":"s","version":1,"id":7,"schema":"\"int\"","deleted":false}"#;
    let key =
        |subject: &str| format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}"#);
    assert_eq!(ids_of(key("s").as_bytes(), Some(schema)), ids(&[(".", 7)]));
    assert_eq!(ids_of(key(":.lab:s").as_bytes(), Some(schema)), ids(&[(".lab", 7)]));
    let noop = br#"{"keytype":"NOOP","magic":0}"#;
    assert_eq!(ids_of(noop, Some(br#"{"maxId":12,"contexts":{".lab":3}}"#)), ids(&[(".", 12), (".lab", 3)]));
    for value in [Some(&br#"{"compatibilityLevel":"NONE"}"#[..]), Some(b"not json"), None] {
        assert_eq!(ids_of(noop, value), MaxIds::new());
    }
}
