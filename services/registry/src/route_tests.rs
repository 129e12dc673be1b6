//! Tests of paths and query parameters.

use super::*;

fn find(method: &str, path: &str) -> Result<Call, RegistryError> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Call::find(&method.parse().unwrap(), path, query)
}

fn subject() -> Arc<str> {
    "lsst.sal.Test.arrays-value".into()
}

#[test]
fn requests_of_real_clients_find_their_call() {
    let register = Call::Register { subject: subject() };
    let latest = Call::Version { subject: subject(), version: VersionRef::Latest, deleted: false };
    let table = [
        ("POST", "/subjects/lsst.sal.Test.arrays-value/versions?normalize=False", register.clone()),
        (
            "POST",
            "/subjects/lsst%2Esal%2ETest%2Earrays%2Dvalue/versions?normalize=false&new=1",
            register.clone(),
        ),
        ("POST", "//subjects//lsst.sal.Test.arrays-value//versions/", register),
        (
            "POST",
            "/subjects/lsst.sal.Test.arrays-value?normalize=False&deleted=False",
            Call::LookUp { subject: subject(), deleted: false },
        ),
        ("GET", "/subjects/lsst.sal.Test.arrays-value/versions/latest", latest.clone()),
        ("GET", "/subjects/lsst.sal.Test.arrays-value/versions/-1/", latest),
        ("GET", "/schemas/ids/7?subject=lsst.sal.Test.arrays-value", Call::Schema { id: 7, max_id: false }),
        ("GET", "/schemas/ids/7?fetchMaxId=true", Call::Schema { id: 7, max_id: true }),
        ("GET", "/schemas/ids/7/schema", Call::SchemaText { id: 7 }),
        ("GET", "/schemas/ids/7/versions?deleted=TRUE", Call::SchemaVersions { id: 7, deleted: true }),
        ("GET", "/subjects", Call::Subjects { which: Which::Live, prefix: String::new() }),
        (
            "GET",
            "/subjects/?deleted=true&subjectPrefix=a%2Fb+c",
            Call::Subjects { which: Which::All, prefix: "a/b c".into() },
        ),
        (
            "GET",
            "/subjects/a%2Fb/versions?deletedOnly=true",
            Call::Versions { subject: "a/b".into(), which: Which::Deleted },
        ),
        ("GET", "", Call::Root),
        ("HEAD", "/", Call::Root),
        ("GET", "/schemas/types", Call::SchemaTypes),
        ("PUT", "/config", Call::SetLevel { subject: None }),
        (
            "GET",
            "/config/lsst.sal.Test.arrays-value?defaultToGlobal=true",
            Call::Level { subject: Some(subject()), default_to_global: true },
        ),
        (
            "DELETE",
            "/subjects/lsst.sal.Test.arrays-value/versions/3?permanent=true",
            Call::DeleteVersion { subject: subject(), version: VersionRef::Number(3), permanent: true },
        ),
    ];
    for (method, path, call) in table {
        assert_eq!(find(method, path).as_ref(), Ok(&call), "{method} {path}");
    }
}

#[test]
fn other_requests_are_refused_with_the_right_code() {
    let table = [
        ("GET", "/nowhere", 404),
        ("GET", "/schemas/ids/x", 404),
        ("GET", "/schemas/ids/99999999999", 404),
        ("GET", "/subjects/%FF/versions", 404),
        ("GET", "/subjects/a/versions/1/other", 404),
        ("PATCH", "/subjects", 405),
        ("POST", "/schemas/ids/1", 405),
        ("GET", "/subjects/a", 405),
        ("PUT", "/subjects/a/versions/1", 405),
        ("GET", "/subjects/a/versions/0", 42202),
        ("DELETE", "/subjects/a/versions/x", 42202),
    ];
    for (method, path, code) in table {
        assert_eq!(find(method, path).unwrap_err().status_and_code().1, code, "{method} {path}");
    }
}
