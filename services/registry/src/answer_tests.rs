//! Tests of answers, as bodies that clients see.

use axum::http::Method;

use super::*;
use crate::compatibility::Level;
use crate::log;

const ARRAYS: &str = r#"{"type":"array","items":"int"}"#;

fn state() -> State {
    let key = |subject: &str, version: u32| {
        format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":{version},"magic":1}}"#)
    };
    let value = |id: u32, text: &str, deleted: bool| {
        Some(serde_json::json!({"id": id, "schema": text, "deleted": deleted}).to_string())
    };
    let referring =
        r#"{"id":3,"md5":"x","references":[{"name":"n","subject":"a","version":1}],"schema":"\"long\""}"#;
    let log = [
        (key("a", 1), value(1, "\"int\"", true)),
        (key("a", 2), value(2, ARRAYS, false)),
        (key("b", 1), value(1, "\"int\"", false)),
        (key("c", 1), value(1, "\"int\"", true)),
        (key("d", 1), Some(referring.to_owned())),
        (
            r#"{"keytype":"CONFIG","subject":"b","magic":0}"#.into(),
            Some(r#"{"compatibilityLevel":"FULL","compatibilityGroup":"x"}"#.into()),
        ),
        (r#"{"keytype":"NOOP","magic":0}"#.into(), Some(r#"{"maxId":9}"#.into())),
    ];
    let mut state = State::new(Level::Backward);
    for (key, value) in log {
        let record = log::decode(key.as_bytes(), value.as_deref().map(str::as_bytes)).unwrap().unwrap();
        state.apply(&record).unwrap();
    }
    state
}

/// Body of the answer, or that of the error.
fn ask(method: Method, path: &str, body: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let result = Call::find(&method, path, query).and_then(|call| read(&state(), &call, body.as_bytes()));
    let answer = String::from_utf8(result.unwrap_or_else(|refused| error(&refused)).to_vec()).unwrap();
    // GUIDs have tests of their own, and are the same in every answer about a schema.
    match answer.split_once("\"guid\":\"") {
        Some((before, rest)) => format!("{before}{}", rest.get(38..).unwrap()),
        None => answer,
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_asked_is_answered() {
    let table = [
        ("/", "{}"),
        ("/schemas/types", r#"["AVRO"]"#),
        ("/schemas/ids/2", r#"{"schema":"{\"type\":\"array\",\"items\":\"int\"}"}"#),
        ("/schemas/ids/1?fetchMaxId=true", r#"{"maxId":9,"schema":"\"int\""}"#),
        ("/schemas/ids/3", r#"{"references":[{"name":"n","subject":"a","version":1}],"schema":"\"long\""}"#),
        ("/schemas/ids/2/schema", ARRAYS),
        ("/schemas/ids/1/versions", r#"[{"subject":"b","version":1}]"#),
        (
            "/schemas/ids/1/versions?deleted=true",
            r#"[{"subject":"a","version":1},{"subject":"b","version":1},{"subject":"c","version":1}]"#,
        ),
        ("/schemas/ids/1/subjects?deleted=true", r#"["a","b","c"]"#),
        ("/schemas/ids/4", r#"{"error_code":40403,"message":"Schema 4 not found"}"#),
        ("/schemas/ids/4/versions", r#"{"error_code":40403,"message":"Schema 4 not found"}"#),
        ("/subjects", r#"["a","b","d"]"#),
        ("/subjects?deleted=true", r#"["a","b","c","d"]"#),
        ("/subjects?deletedOnly=true", r#"["c"]"#),
        ("/subjects?subjectPrefix=:*:b", r#"["b"]"#),
        ("/subjects/a/versions", "[2]"),
        ("/subjects/a/versions?deleted=true", "[1,2]"),
        ("/subjects/a/versions?deletedOnly=true", "[1]"),
        ("/subjects/c/versions", r#"{"error_code":40401,"message":"Subject 'c' not found."}"#),
        ("/subjects/x/versions?deleted=true", r#"{"error_code":40401,"message":"Subject 'x' not found."}"#),
        ("/subjects/b/versions/latest", r#"{"subject":"b","version":1,"id":1,"schema":"\"int\""}"#),
        ("/subjects/a/versions/1", r#"{"error_code":40402,"message":"Version 1 not found."}"#),
        (
            "/subjects/a/versions/1?deleted=true",
            r#"{"subject":"a","version":1,"id":1,"deleted":true,"schema":"\"int\""}"#,
        ),
        ("/subjects/a/versions/2/schema", ARRAYS),
        ("/subjects/x/versions/1", r#"{"error_code":40401,"message":"Subject 'x' not found."}"#),
        ("/config", r#"{"compatibilityLevel":"BACKWARD"}"#),
        ("/config/b", r#"{"compatibilityGroup":"x","compatibilityLevel":"FULL"}"#),
        (
            "/config/a",
            r#"{"error_code":40408,"message":"Subject 'a' does not have subject-level compatibility configured"}"#,
        ),
        ("/config/a?defaultToGlobal=true", r#"{"compatibilityLevel":"BACKWARD"}"#),
        ("/mode", r#"{"mode":"READWRITE"}"#),
        (
            "/mode/a",
            r#"{"error_code":40409,"message":"Subject 'a' does not have subject-level mode configured"}"#,
        ),
        ("/mode/a?defaultToGlobal=true", r#"{"mode":"READWRITE"}"#),
        ("/contexts", r#"["."]"#),
        ("/subjects?offset=1&limit=1", r#"["b"]"#),
        ("/subjects?offset=9", "[]"),
        ("/subjects?limit=-1&offset=x", r#"["a","b","d"]"#),
        ("/subjects/a/versions?deleted=true&offset=1", "[2]"),
        (
            "/schemas?latestOnly=true&subjectPrefix=b",
            r#"[{"subject":"b","version":1,"id":1,"schema":"\"int\""}]"#,
        ),
        ("/schemas?subjectPrefix=x", "[]"),
        ("/subjects/a/versions/1/referencedby", "[3]"),
        ("/subjects/a/versions/2/referencedby", "[]"),
        ("/subjects/x/versions/2/referencedby", r#"{"error_code":40401,"message":"Subject 'x' not found."}"#),
        ("/schemas/ids/1/versions?subject=b", r#"[{"subject":"b","version":1}]"#),
        ("/schemas/ids/1?subject=:.lab:", r#"{"error_code":40403,"message":"Schema 1 not found"}"#),
        ("/schemas/guids/ef524ea1-b91e-7317-3d93-8ade36c1db32", r#"{"schema":"\"int\""}"#),
        ("/schemas/guids/ef524ea1-b91e-7317-3d93-8ade36c1db32/ids", r#"[{"context":".","id":1}]"#),
        ("/schemas/guids/x/ids", r#"{"error_code":40403,"message":"Schema x not found"}"#),
        ("/subjects/b/metadata?key=owner&value=x", r#"{"error_code":40403,"message":"Schema not found"}"#),
        ("/subjects/b/metadata", r#"{"subject":"b","version":1,"id":1,"schema":"\"int\""}"#),
    ];
    for (path, body) in table {
        assert_eq!(ask(Method::GET, path, ""), body, "{path}");
    }
}

#[test]
fn a_schema_is_looked_up_under_its_subject() {
    let spaced = r#"{"schema":"{\"type\" : \"array\", \"items\": {\"type\":\"int\"}}"}"#;
    let found = r#"{"subject":"a","version":2,"id":2,"schema":"{\"type\":\"array\",\"items\":\"int\"}"}"#;
    let int = r#"{"schema":"\"int\""}"#;
    let table = [
        ("/subjects/a", spaced, found),
        ("/subjects/a", int, r#"{"error_code":40403,"message":"Schema not found"}"#),
        (
            "/subjects/a?deleted=true",
            int,
            r#"{"subject":"a","version":1,"id":1,"deleted":true,"schema":"\"int\""}"#,
        ),
        ("/subjects/c", int, r#"{"error_code":40401,"message":"Subject 'c' not found."}"#),
        ("/subjects/x", int, r#"{"error_code":40401,"message":"Subject 'x' not found."}"#),
        ("/subjects/a", "{}", r#"{"error_code":42201,"message":"Invalid schema: Empty schema"}"#),
    ];
    for (path, body, answer) in table {
        assert_eq!(ask(Method::POST, path, body), answer, "{path} {body}");
    }
}

#[test]
fn outcomes_have_the_shape_that_clients_read() {
    let full = ConfigChange { level: Some(Level::Full), fields: Fields::new() };
    let cleared = ConfigValue { level: Some(Level::Full), fields: Fields::new() };
    let table = [
        (Outcome::Registered { id: 7, version: 2, guid: "g".into() }, r#"{"id":7,"version":2,"guid":"g"}"#),
        (Outcome::Versions(vec![1, 3]), "[1,3]"),
        (Outcome::Version(3), "3"),
        (Outcome::ConfigSet(full), r#"{"compatibility":"FULL"}"#),
        (Outcome::ConfigCleared(cleared), r#"{"compatibilityLevel":"FULL"}"#),
        (Outcome::Mode(crate::mode::Mode::Import), r#"{"mode":"IMPORT"}"#),
        (Outcome::Done, ""),
    ];
    for (result, body) in table {
        assert_eq!(outcome(&result), body);
    }
}

#[test]
fn a_schema_is_compared_without_being_registered() {
    let wider = r#"{"schema":"\"long\""}"#;
    let other = r#"{"schema":"\"string\""}"#;
    let yes = r#"{"is_compatible":true}"#;
    let table = [
        ("/compatibility/subjects/b/versions/latest", r#"{"schema":"\"int\""}"#, yes),
        ("/compatibility/subjects/b/versions/1", wider, r#"{"is_compatible":false}"#),
        ("/compatibility/subjects/b/versions", other, r#"{"is_compatible":false}"#),
        ("/compatibility/subjects/x/versions", other, yes),
        (
            "/compatibility/subjects/b/versions/latest?verbose=true",
            r#"{"schema":"\"int\""}"#,
            r#"{"is_compatible":true,"messages":[]}"#,
        ),
        (
            "/compatibility/subjects/b/versions/7",
            other,
            r#"{"error_code":40402,"message":"Version 7 not found."}"#,
        ),
        (
            "/compatibility/subjects/x/versions/1",
            other,
            r#"{"error_code":40401,"message":"Subject 'x' not found."}"#,
        ),
    ];
    for (path, body, answer) in table {
        assert_eq!(ask(Method::POST, path, body), answer, "{path} {body}");
    }
    let told = ask(Method::POST, "/compatibility/subjects/b/versions/latest?verbose=true", other);
    assert!(told.starts_with(r#"{"is_compatible":false,"messages":[""#), "{told}");
}
