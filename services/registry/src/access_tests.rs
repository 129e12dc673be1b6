//! Who may do what, as far as the request alone says it.

use axum::http::{HeaderValue, Method};
use bytes::Bytes;

use super::*;

fn credential(name: &str, prefixes: &[&str], read_only: bool) -> Credential {
    Credential {
        name: name.into(),
        prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
        read_only,
        token: Secret::from(name),
    }
}

fn access(limits: &LimitsConfig) -> Access {
    let credentials = [
        credential("admin", &[], false),
        credential("reader", &[], true),
        credential("lab", &["lsst.sal.Lab.", ":.lab:"], false),
        credential("screen", &["lsst.sal.Lab."], true),
    ];
    Access::new(&credentials, limits)
}

fn caller(name: &str) -> Caller {
    let shown = HeaderValue::from_str(&format!("Bearer {name}")).unwrap();
    access(&LimitsConfig::default()).admit(Some(&shown)).unwrap()
}

fn check(name: &str, method: &str, target: &str, body: &'static str) -> u32 {
    let method: Method = method.parse().unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let call = Call::find(&method, path, query).unwrap();
    let request =
        Request { call, method, body: Bytes::from_static(body.as_bytes()), ..Request::get("/").unwrap() };
    caller(name).check(&request).err().map_or(0, |error| error.status_and_code().1)
}

#[test]
fn each_credential_may_do_what_its_settings_say() {
    let own =
        r#"{"schema":"\"int\"","references":[{"name":"a","subject":"lsst.sal.Lab.b-value","version":1}]}"#;
    let foreign =
        r#"{"schema":"\"int\"","references":[{"name":"a","subject":"lsst.sal.X.b-value","version":1}]}"#;
    // For admin, reader, lab and screen, in this order.
    let table = [
        ("GET", "/subjects/lsst.sal.Lab.a-value/versions", "", [0, 0, 0, 0]),
        ("GET", "/subjects/lsst.sal.X.a-value/versions/1", "", [0, 0, 40301, 40301]),
        ("GET", "/subjects/:.:lsst.sal.X.a-value/versions/1/schema", "", [0, 0, 40301, 40301]),
        ("GET", "/contexts/.lab/subjects/a/versions", "", [0, 0, 0, 40301]),
        ("GET", "/contexts/.lab/subjects/:.:lsst.sal.X.a/versions", "", [0, 0, 40301, 40301]),
        ("GET", "/config", "", [0, 0, 0, 0]),
        ("GET", "/config/lsst.sal.X.a-value?defaultToGlobal=true", "", [0, 0, 40301, 40301]),
        ("POST", "/subjects/lsst.sal.Lab.a-value/versions", own, [0, 40301, 0, 40301]),
        ("POST", "/subjects/lsst.sal.Lab.a-value/versions", foreign, [0, 40301, 40301, 40301]),
        ("POST", "/subjects/lsst.sal.X.a-value/versions", own, [0, 40301, 40301, 40301]),
        ("POST", "/subjects/lsst.sal.Lab.a-value", own, [0, 0, 0, 0]),
        ("POST", "/subjects/lsst.sal.Lab.a-value", foreign, [0, 0, 40301, 40301]),
        ("POST", "/compatibility/subjects/lsst.sal.Lab.a-value/versions", foreign, [0, 0, 40301, 40301]),
        ("DELETE", "/subjects/lsst.sal.Lab.a-value", "", [0, 40301, 0, 40301]),
        ("DELETE", "/subjects/lsst.sal.La", "", [0, 40301, 40301, 40301]),
        ("PUT", "/config", "{}", [0, 40301, 40301, 40301]),
        ("PUT", "/mode/:.lab:", "{}", [0, 40301, 0, 40301]),
        ("DELETE", "/mode?recursive=true", "", [0, 40301, 40301, 40301]),
        ("DELETE", "/contexts/.lab", "", [0, 40301, 0, 40301]),
        ("DELETE", "/contexts/.", "", [0, 40301, 40301, 40301]),
        ("PUT", "/config/lsst.sal.Lab.a-value", r#"{"alias":"lsst.sal.Lab.b"}"#, [0, 40301, 0, 40301]),
        ("PUT", "/config/lsst.sal.Lab.a-value", r#"{"alias":"lsst.sal.X.b"}"#, [0, 40301, 40301, 40301]),
    ];
    for (method, target, body, expected) in table {
        let found = ["admin", "reader", "lab", "screen"].map(|name| check(name, method, target, body));
        assert_eq!(found, expected, "{method} {target} {body}");
    }
}

#[test]
fn whoever_shows_nothing_or_the_wrong_thing_is_turned_away() {
    let access = access(&LimitsConfig::default());
    let code = |shown: Option<HeaderValue>| access.admit(shown.as_ref()).unwrap_err().status_and_code();
    assert_eq!(code(None), (401, 40101));
    assert_eq!(code(Some(HeaderValue::from_static("Bearer guessed"))), (401, 40101));
    assert_eq!(code(Some(HeaderValue::from_bytes(b"Bearer \xff").unwrap())), (401, 40101));
    assert_eq!(Access::new(&[], &LimitsConfig::default()).admit(None).unwrap().name(), "anonymous");
}

#[test]
fn one_who_asks_too_much_does_not_keep_others_from_asking() {
    let limits =
        LimitsConfig { requests_per_second: 8, requests_per_second_each: 2, ..LimitsConfig::default() };
    let access = access(&limits);
    let ask = |name: &str| {
        let shown = HeaderValue::from_str(&format!("Bearer {name}")).unwrap();
        access.admit(Some(&shown)).err().map_or(0, |error| error.status_and_code().1)
    };
    assert_eq!(["admin", "admin", "admin", "reader", "guessed"].map(ask), [0, 0, 42901, 0, 40101]);
    // Those that are turned away count among all.
    assert_eq!(["lab", "lab", "guessed", "screen"].map(ask), [0, 0, 40101, 42901]);
}
