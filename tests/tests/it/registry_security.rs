//! Credentials, TLS and limits of the registry: its REST interface, its gRPC server, its replicas, and a proxy.

use bytes::Bytes;
use efd_proto::registry::v1::forward_service_client::ForwardServiceClient;
use efd_proto::registry::v1::schema_service_client::SchemaServiceClient;
use efd_proto::registry::v1::{ForwardRequest, GetSchemaRequest, WatchVersionsRequest};
use efd_service::http::Client;
use efd_tests::{
    DEADLINE, Generation, Options, REGISTRY_TOKENS, Registry, Stack, certificates, efd, eventually, python,
};
use http::HeaderMap;
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

const SCHEMA: &str = r#"{"type":"record","name":"y","fields":[{"name":"a","type":"int"}]}"#;
const OTHER: &str = r#"{"type":"record","name":"z","fields":[{"name":"a","type":"int"}]}"#;
/// Subjects of the credential `lab`.
const LAB: [&str; 2] = ["lsst.sal.Lab.", "lsst.sal.Confluent."];

/// Settings of a registry that asks for credentials and speaks TLS.
fn secured(stack: &Stack) -> Value {
    let files = certificates(stack.folder()).unwrap();
    json!({
        "credentials": [
            {"name": "admin"},
            {"name": "reader", "read_only": true},
            {"name": "lab", "prefixes": LAB},
        ],
        "tls": {"certificate_file": files.keystore, "key_file": files.keystore},
        "replicas": {"ca_file": files.authority},
    })
}

async fn start(stack: &Stack, label: &str, settings: &Value) -> Registry {
    let mut registry = stack.launch_another_registry(label, settings).unwrap();
    registry.service.ready().await.unwrap();
    registry
}

fn token(name: &str) -> &'static str {
    REGISTRY_TOKENS.iter().find(|(known, _)| *known == name).unwrap().1
}

async fn call(
    registry: &Registry,
    name: &str,
    (method, path): (&str, &str),
    body: Value,
) -> (u16, Value, HeaderMap) {
    let mut request = http::Request::builder().method(method).uri(format!("{}{path}", registry.url()));
    if !name.is_empty() {
        request = request.header("authorization", format!("Bearer {}", token(name)));
    }
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let client = Client::new(registry.authority().map(std::path::PathBuf::as_path)).unwrap();
    let answer = client.send(request.body(body).unwrap(), DEADLINE).await.unwrap();
    let body = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
    (answer.status().as_u16(), body, answer.headers().clone())
}

async fn get(registry: &Registry, name: &str, path: &str) -> (u16, Value) {
    let (status, body, _) = call(registry, name, ("GET", path), Value::Null).await;
    (status, body)
}

/// Status and error code of a registration.
async fn register(registry: &Registry, name: &str, subject: &str, schema: &str) -> (u16, Value) {
    let path = format!("/subjects/{subject}/versions");
    let (status, answer, _) = call(registry, name, ("POST", &path), json!({"schema": schema})).await;
    (status, answer["error_code"].clone())
}

async fn channel(registry: &Registry) -> Channel {
    let authority = std::fs::read(registry.authority().unwrap()).unwrap();
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
    Endpoint::from_shared(registry.grpc_url()).unwrap().tls_config(tls).unwrap().connect().await.unwrap()
}

fn shown<T>(name: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let value = format!("Bearer {}", token(name)).parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// The replica that writes, then the other one.
async fn replicas(stack: &Stack) -> (Registry, Registry) {
    let settings = secured(stack);
    let writer = start(stack, "first", &settings).await;
    eventually("the first one writes", || writer.is_writer()).await.unwrap();
    let other = start(stack, "second", &settings).await;
    (writer, other)
}

#[tokio::test]
async fn a_credential_allows_what_its_settings_say_at_every_replica() {
    let stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    let (writer, other) = replicas(&stack).await;
    for registry in [&writer, &other] {
        let (status, answer, headers) = call(registry, "", ("GET", "/subjects"), Value::Null).await;
        assert_eq!((status, &answer["error_code"]), (401, &json!(40101)), "{answer}");
        assert!(headers["www-authenticate"].to_str().unwrap().contains("Basic"), "{headers:?}");
        assert_eq!(get(registry, "", "/nowhere").await.0, 401, "a stranger learns nothing");
        let refused = (403, json!(40301));
        assert_eq!(register(registry, "reader", "lsst.sal.Lab.y-value", SCHEMA).await, refused);
        assert_eq!(register(registry, "lab", "lsst.sal.X.y-value", SCHEMA).await, refused);
    }
    // The other one has both written by the writer, in the name of its client.
    assert_eq!(register(&other, "lab", "lsst.sal.Lab.y-value", SCHEMA).await.0, 200);
    assert_eq!(register(&other, "admin", "lsst.sal.X.z-value", OTHER).await.0, 200);
    let log = writer.service.log().unwrap();
    let audit = |caller: &str, id: u32| {
        let line = |line: &str| line.contains("schema registered") && line.contains(&format!("\"id\":{id}"));
        log.lines().any(|text| line(text) && text.contains(&format!("\"caller\":\"{caller}\"")))
    };
    assert!(audit("lab", 1) && audit("admin", 2), "{log}");
    assert!(log.contains("40301") && !log.contains(token("lab")), "{log}");

    for registry in [&writer, &other] {
        assert_eq!(get(registry, "lab", "/subjects").await, (200, json!(["lsst.sal.Lab.y-value"])));
        let all = json!(["lsst.sal.Lab.y-value", "lsst.sal.X.z-value"]);
        assert_eq!(get(registry, "reader", "/subjects").await, (200, all));
        assert_eq!(get(registry, "lab", "/schemas/ids/1").await.0, 200);
        let (status, answer) = get(registry, "lab", "/schemas/ids/2").await;
        assert_eq!((status, &answer["error_code"]), (403, &json!(40301)), "{answer}");
        assert_eq!(get(registry, "lab", "/schemas/ids/3").await.1["error_code"], 40403);
        let (_, schemas) = get(registry, "lab", "/schemas").await;
        assert_eq!((schemas.as_array().unwrap().len(), &schemas[0]["id"]), (1, &json!(1)), "{schemas}");
        assert_eq!(get(registry, "lab", "/contexts").await.1, json!(["."]));
    }
    // The same schema under a subject of another's does not show that one.
    assert_eq!(register(&writer, "admin", "lsst.sal.X.y-value", SCHEMA).await.0, 200);
    let subjects = get(&writer, "lab", "/schemas/ids/1/subjects").await;
    assert_eq!(subjects, (200, json!(["lsst.sal.Lab.y-value"])));
    assert_eq!(get(&writer, "admin", "/schemas/ids/1/subjects").await.1.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn grpc_is_no_way_around_the_credentials() {
    let stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    let writer = start(&stack, "first", &secured(&stack)).await;
    eventually("it writes", || writer.is_writer()).await.unwrap();
    assert_eq!(register(&writer, "admin", "lsst.sal.X.z-value", OTHER).await.0, 200);
    let mut forward = ForwardServiceClient::new(channel(&writer).await);
    let write = |subject: &str| ForwardRequest {
        method: "POST".into(),
        target: format!("/subjects/{subject}/versions"),
        body: json!({"schema": SCHEMA}).to_string().into(),
    };
    let answer = forward.forward(write("lsst.sal.Lab.y-value")).await.unwrap().into_inner();
    assert_eq!(answer.status, 401);
    for (name, subject, status) in [
        ("reader", "lsst.sal.Lab.y-value", 403),
        ("lab", "lsst.sal.X.y-value", 403),
        ("lab", "lsst.sal.Lab.y-value", 200),
    ] {
        let answer = forward.forward(shown(name, write(subject))).await.unwrap().into_inner();
        assert_eq!(answer.status, status, "{name} {subject}");
    }

    let mut schemas = SchemaServiceClient::new(channel(&writer).await);
    let stranger = schemas.get_schema(GetSchemaRequest { id: 1 }).await.unwrap_err();
    assert_eq!(stranger.code(), Code::Unauthenticated, "{stranger}");
    let foreign = schemas.get_schema(shown("lab", GetSchemaRequest { id: 1 })).await.unwrap_err();
    assert_eq!(foreign.code(), Code::PermissionDenied, "{foreign}");
    schemas.get_schema(shown("lab", GetSchemaRequest { id: 2 })).await.unwrap();
    let all = || WatchVersionsRequest { subject_prefix: String::new(), include_known: true };
    assert_eq!(schemas.watch_versions(all()).await.unwrap_err().code(), Code::Unauthenticated);
    let mut watched = schemas.watch_versions(shown("lab", all())).await.unwrap().into_inner();
    for id in [2, 3] {
        let next = tokio::time::timeout(DEADLINE, watched.message()).await.unwrap().unwrap();
        assert_eq!(next.unwrap().version.unwrap().id, id, "only its own");
        assert_eq!(register(&writer, "admin", "lsst.sal.X.more-value", SCHEMA).await.0, 200);
        assert_eq!(
            register(&writer, "lab", "lsst.sal.Lab.more-value", &SCHEMA.replace("int", "long")).await.0,
            200
        );
    }
}

#[tokio::test]
async fn clients_show_user_and_password_or_a_token_over_tls() {
    let mut stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    let registry = start(&stack, "first", &secured(&stack)).await;
    let authority = registry.authority().unwrap().to_str().unwrap().to_owned();
    let user = format!("lab:{}", token("lab"));
    let url = registry.url();
    let arguments = ["--registry", &url, "--user", &user, "--authority", &authority];
    let seen = python("registry_confluent.py", &arguments).await.unwrap();
    assert_eq!(seen.code, Some(0), "{}\n{}", seen.out, seen.err);

    let curl = tokio::process::Command::new("curl")
        .args(["-sS", "--cacert", &authority, "-H"])
        .args([format!("Authorization: Bearer {}", token("reader")), format!("{url}/subjects?deleted=true")])
        .output()
        .await
        .unwrap();
    let listed: Value = serde_json::from_slice(&curl.stdout).unwrap();
    assert!(listed.as_array().is_some_and(|subjects| !subjects.is_empty()), "{listed}");

    // Ingest, sink and command show the token of the environment.
    stack.use_registry(&registry);
    stack.start_sink().await.unwrap();
    let records = stack.simulate(200.0).await.unwrap();
    stack.points_reach(records).await.unwrap();
    let environment = [("EFD_REGISTRY_TOKEN", token("reader"))];
    let config = stack.efd_config().unwrap();
    let output = efd(Some(&config), &["registry", "subjects", "lsst.sal.Test"], &environment).await.unwrap();
    assert_eq!(output.code, Some(0), "{}", output.err);
    assert!(output.out.contains("lsst.sal.Test.scalars-value"), "{}", output.out);
    let stranger = efd(Some(&config), &["registry", "subjects"], &[]).await.unwrap();
    assert!(stranger.code == Some(1) && stranger.err.contains("40101"), "{}", stranger.err);
}

#[tokio::test]
async fn whoever_asks_too_much_is_told_when_to_come_back() {
    let stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    let mut settings = secured(&stack);
    settings["limits"] = json!({"requests_per_second_each": 1});
    let registry = start(&stack, "first", &settings).await;
    // At once, so that it is too much on a slow machine too.
    let calls = (0..20).map(|_| call(&registry, "lab", ("GET", "/mode"), Value::Null));
    let answers = futures::future::join_all(calls).await;
    let (turned_away, answered): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.0 == 429);
    assert!(!turned_away.is_empty() && answered.iter().all(|answer| answer.0 == 200), "{answered:?}");
    for (_, answer, headers) in turned_away {
        assert_eq!((&answer["error_code"], headers["retry-after"].to_str().unwrap()), (&json!(42901), "1"));
    }
    assert_eq!(get(&registry, "reader", "/mode").await.0, 200, "others are not concerned");
    eventually("lab may ask again", || async { Ok(get(&registry, "lab", "/mode").await.0 == 200) })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_proxy_asks_for_credentials_of_its_own_and_shows_others_upstream() {
    let stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    let mut upstream = start(&stack, "first", &secured(&stack)).await;
    assert_eq!(register(&upstream, "admin", "lsst.sal.X.z-value", OTHER).await.0, 200);
    let settings = json!({
        "credentials": [{"name": "reader", "read_only": true}, {"name": "lab", "prefixes": LAB}],
        "upstream": {"url": upstream.url(), "ca_file": upstream.authority().unwrap(), "fresh_for": "0s"},
    });
    let proxy = start(&stack, "proxy", &settings).await;
    assert_eq!(get(&proxy, "", "/subjects").await.0, 401);
    assert_eq!(get(&proxy, "admin", "/subjects").await.0, 401, "only the upstream knows this one");
    assert_eq!(register(&proxy, "reader", "lsst.sal.Lab.y-value", SCHEMA).await, (403, json!(40301)));
    assert_eq!(register(&proxy, "lab", "lsst.sal.X.y-value", SCHEMA).await, (403, json!(40301)));
    // It is another one upstream, who could do more.
    assert_eq!(register(&proxy, "lab", "lsst.sal.Lab.y-value", SCHEMA).await.0, 200);
    for upstream_is_there in [true, false] {
        assert_eq!(get(&proxy, "lab", "/subjects").await, (200, json!(["lsst.sal.Lab.y-value"])));
        assert_eq!(get(&proxy, "lab", "/schemas/ids/2").await.0, 200);
        assert_eq!(get(&proxy, "lab", "/schemas/ids/1").await.0, 403);
        assert_eq!(get(&proxy, "reader", "/schemas/ids/1").await.0, 200);
        if upstream_is_there {
            upstream.service.kill();
        }
    }
    let log = proxy.service.log().unwrap();
    let is_audit = |line: &&str| line.contains("passed on upstream") && line.contains("\"caller\":\"lab\"");
    assert_eq!(log.lines().filter(is_audit).count(), 1, "{log}");
}
