//! What a request means to a proxy: which answers are the same, which can change, what a write concerns. Pure.
//!
//! It looks at paths only as far as this needs, so that a proxy passes on also what this registry itself does not do.

use std::sync::Arc;

use axum::http::Method;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::Request;

/// A request as the proxy sees it.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) request: &'a Request,
    pub(super) kind: Kind,
    /// Method for the upstream, and path and query without needless slashes.
    pub(super) method: Method,
    pub(super) target: String,
    /// Subject that it is about, with its context.
    pub(super) subject: Option<Arc<str>>,
}

/// What to do with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The answer may be kept under this key; a lasting one for ever.
    Read { key: Arc<str>, lasting: bool },
    /// A registration; once answered, the answer is the same until the subject is deleted.
    Register { key: Arc<str> },
    /// Goes upstream.
    Write,
}

impl<'a> Asked<'a> {
    pub(super) fn new(request: &'a Request) -> Self {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let target = format!("/{}{mark}{query}", segments.join("/"));
        let subject = subject_of(&segments);
        let method = if request.method == Method::HEAD { Method::GET } else { request.method.clone() };
        let kind = match (&method, without_context(&segments)) {
            (&Method::GET, rest) => {
                Kind::Read { key: target.as_str().into(), lasting: is_lasting(rest, query) }
            }
            (&Method::POST, ["subjects", _, "versions"]) => {
                let key = subject.as_ref().and_then(|subject| body_key(subject, &request.body, query));
                key.map_or(Kind::Write, |key| Kind::Register { key })
            }
            (&Method::POST, ["subjects", _] | ["compatibility", ..]) => {
                let key = format!("POST {target} {}", hash(&request.body));
                Kind::Read { key: key.into(), lasting: false }
            }
            _ => Kind::Write,
        };
        Self { request, kind, method, target, subject }
    }
}

/// What an answer to a read says about registrations: their keys, and the id.
pub(super) fn registrations_in(asked: &Asked<'_>, body: &[u8]) -> Vec<(Arc<str>, u64)> {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let is_version = matches!(without_context(&segments), ["subjects", _] | ["subjects", _, "versions", _]);
    let Some(subject) = asked.subject.as_ref().filter(|_| is_version && !has_flag(query, "deleted")) else {
        return Vec::new();
    };
    let Some(id) = id_in(body) else { return Vec::new() };
    // The schema as it stands, and as the client asked for it.
    let given = body_key(subject, body_without_numbers(body).as_bytes(), "");
    let asked_for = body_key(subject, &asked.request.body, query);
    given.into_iter().chain(asked_for).map(|key| (key, id)).collect()
}

/// The schema id in an answer.
pub(super) fn id_in(body: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Value>(body).ok()?.get("id")?.as_u64()
}

/// Key of the registration of a schema; none when the client chooses the id, when the upstream decides what the schema is, or the
/// body is none.
fn body_key(subject: &str, body: &[u8], query: &str) -> Option<Arc<str>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let chosen = |name: &str| body.get(name).and_then(Value::as_i64).is_some_and(|number| number > 0);
    let has = |list: &str, is_it: fn(&Value) -> bool| {
        body.get(list).and_then(Value::as_array).is_some_and(|items| items.iter().any(is_it))
    };
    let is_latest = |reference: &Value| reference.get("version").and_then(Value::as_i64) == Some(-1);
    if chosen("id") || chosen("version") || has("references", is_latest) {
        return None;
    }
    if has("schemaTagsToAdd", |_| true) || has("schemaTagsToRemove", |_| true) {
        return None;
    }
    let text = body.get("schema")?.as_str()?;
    // White space does not count, the order of keys does.
    let text =
        serde_json::from_str::<Value>(text).map_or_else(|_| text.to_owned(), |schema| schema.to_string());
    let is_said = |value: &&Value| !value.is_null() && **value != Value::Array(Vec::new());
    let further = ["references", "metadata", "ruleSet"].map(|name| body.get(name).filter(is_said));
    let schema_type = body.get("schemaType").and_then(Value::as_str).unwrap_or("AVRO");
    let identity = serde_json::json!([text, schema_type, further, has_flag(query, "normalize")]);
    Some(format!("REGISTER {subject} {}", hash(identity.to_string().as_bytes())).into())
}

fn body_without_numbers(body: &[u8]) -> String {
    let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(fields) = body.as_object_mut() {
        fields.shift_remove("id");
        fields.shift_remove("version");
    }
    body.to_string()
}

fn without_context<'a, 'b>(segments: &'a [&'b str]) -> &'a [&'b str] {
    match segments {
        ["contexts", _, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    }
}

fn subject_of(segments: &[&str]) -> Option<Arc<str>> {
    let (["subjects" | "config" | "mode", subject, ..] | ["compatibility", "subjects", subject, ..]) =
        without_context(segments)
    else {
        return None;
    };
    let subject = percent_decode_str(subject).decode_utf8_lossy();
    match segments {
        ["contexts", context, _, ..] => Some(format!(":{context}:{subject}").into()),
        _ => Some(subject.into()),
    }
}

/// Whether an answer that is there stays as it is.
fn is_lasting(segments: &[&str], query: &str) -> bool {
    let is_by_id =
        matches!(segments, ["schemas", "ids", _] | ["schemas", "ids", _, "schema"] | ["schemas", "guids", _]);
    is_by_id && !has_flag(query, "fetchMaxId")
}

fn has_flag(query: &str, name: &str) -> bool {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.any(|(known, value)| known == name && value.eq_ignore_ascii_case("true"))
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, target: &str, body: &str) -> Request {
        Request { method, target: target.into(), body: body.to_owned().into(), ..Request::get("/").unwrap() }
    }

    fn kind(method: Method, target: &str, body: &str) -> Kind {
        Asked::new(&request(method, target, body)).kind
    }

    #[test]
    fn only_what_an_id_stands_for_never_changes() {
        for (target, expected) in [
            ("/schemas/ids/7", true),
            ("//schemas/ids/7/schema/", true),
            ("/contexts/.a/schemas/ids/7", true),
            ("/schemas/guids/x", true),
            ("/schemas/ids/7?fetchMaxId=True", false),
            ("/schemas/ids/7/versions", false),
            ("/subjects/a/versions/1", false),
            ("/config", false),
        ] {
            assert!(
                matches!(kind(Method::GET, target, ""), Kind::Read { lasting, .. } if lasting == expected),
                "{target}"
            );
        }
    }

    #[test]
    fn registrations_of_the_same_schema_are_the_same() {
        let key = |target: &str, body: &str| match kind(Method::POST, target, body) {
            Kind::Register { key } => Some(key),
            Kind::Write => None,
            Kind::Read { .. } => panic!("a registration is no read"),
        };
        let plain =
            key("/subjects/a/versions", r#"{"schema":"{\"type\": \"map\", \"values\": \"int\"}"}"#).unwrap();
        let same = r#"{"schemaType":"AVRO","references":[],"metadata":null,"id":-1,"schema":"{\"type\":\"map\",\"values\":\"int\"}"}"#;
        assert_eq!(key("//subjects/a/versions/?normalize=False", same), Some(plain.clone()));
        for (target, body) in [
            ("/subjects/b/versions", same),
            ("/contexts/.c/subjects/a/versions", same),
            ("/subjects/a/versions?normalize=true", same),
            ("/subjects/a/versions", r#"{"schema":"{\"values\":\"int\",\"type\":\"map\"}"}"#),
            (
                "/subjects/a/versions",
                r#"{"schema":"{\"type\":\"map\",\"values\":\"int\"}","metadata":{"a":1}}"#,
            ),
            (
                "/subjects/a/versions",
                r#"{"schema":"{\"type\":\"map\",\"values\":\"int\"}","schemaType":"JSON"}"#,
            ),
        ] {
            assert_ne!(key(target, body).unwrap(), plain, "{target} {body}");
        }
        for body in [
            "",
            "[]",
            "{}",
            r#"{"schema":"\"int\"","id":7,"version":1}"#,
            r#"{"schema":"\"int\"","references":[{"name":"n","subject":"s","version":-1}]}"#,
            r#"{"schema":"\"int\"","schemaTagsToAdd":[{"tags":["PII"]}]}"#,
        ] {
            assert_eq!(key("/subjects/a/versions", body), None, "{body}");
        }
    }

    #[test]
    fn a_version_that_was_read_is_known_to_be_registered() {
        let register = request(Method::POST, "/subjects/a%2Fb/versions", r#"{"schema":"\"int\""}"#);
        let Kind::Register { key } = Asked::new(&register).kind else { panic!("a registration") };
        let answer = br#"{"subject":"a/b","version":3,"id":7,"schema":"\"int\""}"#;
        let version = request(Method::GET, "/subjects/a%2Fb/versions/latest", "");
        assert_eq!(registrations_in(&Asked::new(&version), answer), [(key.clone(), 7)]);
        let look_up = request(Method::POST, "/subjects/a%2Fb?normalize=False", r#"{"schema":" \"int\" "}"#);
        assert_eq!(registrations_in(&Asked::new(&look_up), answer), [(key.clone(), 7), (key, 7)]);
        for target in
            ["/subjects/a%2Fb/versions/3?deleted=true", "/schemas/ids/7", "/subjects/a%2Fb/versions/3/schema"]
        {
            let other = request(Method::GET, target, "");
            assert_eq!(registrations_in(&Asked::new(&other), answer), [], "{target}");
        }
    }

    #[test]
    fn everything_else_goes_upstream_with_its_subject() {
        let table = [
            (Method::DELETE, "/subjects/a", Some("a")),
            (Method::PUT, "/config/a", Some("a")),
            (Method::PUT, "/config", None),
            (Method::DELETE, "/contexts/.c", None),
            (Method::DELETE, "/contexts/.c/subjects/a/versions/1", Some(":.c:a")),
            (Method::POST, "/subjects/a/versions/1/tags", Some("a")),
        ];
        for (method, target, subject) in table {
            let request = request(method, target, "{}");
            let asked = Asked::new(&request);
            assert_eq!((asked.kind, asked.subject.as_deref()), (Kind::Write, subject), "{target}");
        }
        let look_up = |body: &str| kind(Method::POST, "/subjects/a", body);
        assert_ne!(look_up("1"), look_up("2"));
        assert!(matches!(look_up("1"), Kind::Read { lasting: false, .. }));
    }
}
