//! Tests of paths and query parameters.

use std::collections::BTreeSet;

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
    let register = Call::Register { subject: subject(), normalize: false };
    let latest = Call::Version(OfVersion { subject: subject(), version: VersionRef::Latest, deleted: false });
    let by = || ById { context: ".".into(), id: 7 };
    let page = Page::default();
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
            Call::LookUp { subject: subject(), deleted: false, normalize: false },
        ),
        ("GET", "/subjects/lsst.sal.Test.arrays-value/versions/latest", latest.clone()),
        ("GET", "/subjects/lsst.sal.Test.arrays-value/versions/-1/", latest),
        (
            "GET",
            "/schemas/ids/7?subject=lsst.sal.Test.arrays-value",
            Call::Schema { by: by(), max_id: false },
        ),
        ("GET", "/schemas/ids/7?fetchMaxId=true", Call::Schema { by: by(), max_id: true }),
        ("GET", "/schemas/ids/7/schema", Call::SchemaText { by: by() }),
        (
            "GET",
            "/schemas/ids/7/versions?deleted=TRUE",
            Call::SchemaVersions { by: by(), subject: None, deleted: true, page },
        ),
        ("GET", "/subjects", Call::Subjects { which: Which::Live, prefix: String::new(), page }),
        (
            "GET",
            "/subjects/?deleted=true&subjectPrefix=a%2Fb+c",
            Call::Subjects { which: Which::All, prefix: "a/b c".into(), page },
        ),
        (
            "GET",
            "/subjects/a%2Fb/versions?deletedOnly=true",
            Call::Versions { subject: "a/b".into(), which: Which::Deleted, page },
        ),
        ("GET", "", Call::Root),
        ("HEAD", "/", Call::Root),
        ("GET", "/schemas/types", Call::SchemaTypes),
        ("PUT", "/config", Call::SetConfig { subject: None }),
        (
            "GET",
            "/config/lsst.sal.Test.arrays-value?defaultToGlobal=true",
            Call::Config { subject: Some(subject()), default_to_global: true },
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
        ("GET", "/contexts/.lab", 405),
        ("GET", "/contexts/lab/subjects", 404),
        ("POST", "/subjects/a/versions/1/schema", 405),
        ("GET", "/subjects/a/versions/0", 42202),
        ("POST", "/compatibility/subjects/a/versions/x", 42202),
        ("DELETE", "/subjects/a/versions/x", 42202),
    ];
    for (method, path, code) in table {
        assert_eq!(find(method, path).unwrap_err().status_and_code().1, code, "{method} {path}");
    }
}

#[test]
fn a_context_in_front_of_a_path_is_that_of_its_names() {
    let lab = |name: &str| Some(Arc::from(format!(":.lab:{name}")));
    let table = [
        ("GET", "/contexts/.lab/config", Call::Config { subject: lab(""), default_to_global: false }),
        ("GET", "/contexts/:.lab:/mode/a", Call::Mode { subject: lab("a"), default_to_global: false }),
        ("PUT", "/contexts/./config", Call::SetConfig { subject: None }),
        (
            "POST",
            "/contexts/.lab/subjects/a/versions",
            Call::Register { subject: lab("a").unwrap(), normalize: false },
        ),
        (
            "GET",
            "/contexts/.lab/schemas/ids/3/schema",
            Call::SchemaText { by: ById { context: ".lab".into(), id: 3 } },
        ),
        (
            "GET",
            "/schemas/ids/3/schema?subject=:.lab:a",
            Call::SchemaText { by: ById { context: ".lab".into(), id: 3 } },
        ),
        (
            "GET",
            "/contexts/.lab/subjects",
            Call::Subjects { which: Which::Live, prefix: ":.lab:".into(), page: Page::default() },
        ),
        ("DELETE", "/contexts/.lab", Call::DeleteContext { context: ".lab".into() }),
    ];
    for (method, path, call) in table {
        assert_eq!(find(method, path).as_ref(), Ok(&call), "{method} {path}");
    }
}

/// Every route there is, from the text of [`Call::route`].
fn routes() -> BTreeSet<&'static str> {
    let source = include_str!("route.rs");
    let names = source.lines().filter_map(|line| line.split_once("=> \""));
    names.filter_map(|(_, rest)| rest.strip_suffix("\",")).collect()
}

#[test]
fn the_description_has_every_route_and_no_other() {
    let description: serde_json::Value = serde_json::from_str(include_str!("../openapi.json")).unwrap();
    let mut described = BTreeSet::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        let filled = path
            .replace("{version}", "1")
            .replace("{id}", "1")
            .replace("{context}", ".lab")
            .replace("{subject}", "a")
            .replace("{guid}", "g");
        for method in operations.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let call = find(&method, &filled).unwrap();
            assert_eq!(call.route(), format!("{method} {path}"));
            described.insert(call.route());
        }
    }
    assert_eq!(described, routes());
}
