//! The registry in front of another one, which goes away.

use std::path::PathBuf;

use bytes::Bytes;
use efd_schema::{RegistryClient, RegistryConfig, RegistryErrorKind};
use efd_service::http::Client;
use efd_tests::{DEADLINE, Generation, Options, Registry, Stack, eventually};
use http::HeaderMap;
use rstest::rstest;
use serde_json::{Value, json};

const SCHEMA: &str =
    r#"{"type": "record", "name": "y", "fields": [{"name": "a", "type": "int", "units": "m"}]}"#;
/// A port where nobody listens, so that a proxy that would ask Kafka fails.
const NOWHERE: &str = "127.0.0.1:1";

fn client(url: &str) -> RegistryClient {
    let config = RegistryConfig { url: Some(url.to_owned()), ..RegistryConfig::default() };
    RegistryClient::new(&config).unwrap()
}

async fn call(url: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value, HeaderMap) {
    let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
    let request = http::Request::builder().method(method).uri(format!("{url}{path}")).body(body).unwrap();
    let answer = Client::new(None).unwrap().send(request, DEADLINE).await.unwrap();
    let body = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
    (answer.status().as_u16(), body, answer.headers().clone())
}

async fn get(url: &str, path: &str) -> (u16, Value, HeaderMap) {
    call(url, "GET", path, None).await
}

fn cache_file(stack: &Stack) -> PathBuf {
    stack.folder().join("cache")
}

/// A proxy of the stack's registry, without Kafka.
async fn proxy(stack: &Stack, settings: Value) -> Registry {
    let mut upstream = json!({
        "url": stack.registry_url(),
        "cache_file": cache_file(stack),
        "probe_interval": "100ms",
        "fresh_for": "0s",
        "negative_for": "0s",
    });
    for (name, value) in settings.as_object().unwrap() {
        upstream[name] = value.clone();
    }
    let settings = json!({"upstream": upstream, "kafka": {"bootstrap_servers": NOWHERE}});
    let mut proxy = stack.launch_another_registry("proxy", &settings).unwrap();
    proxy.service.ready().await.unwrap();
    proxy
}

async fn stack() -> Stack {
    let mut stack = Stack::servers(Options::new(Generation::V1)).await.unwrap();
    stack.start_registry().await.unwrap();
    stack
}

async fn restart(proxy: &mut Registry) {
    proxy.service.kill();
    proxy.service.start_again().unwrap();
    proxy.service.ready().await.unwrap();
}

async fn metric(proxy: &Registry, name: &str, labels: &[(&str, &str)]) -> f64 {
    proxy.service.metrics().await.unwrap().sum(name, labels)
}

/// Waits until the proxy has noticed that its upstream is away, or back.
async fn upstream_is(proxy: &Registry, up: f64) {
    eventually("the proxy notices", || async {
        Ok(metric(proxy, "efd_registry_upstream_up", &[]).await == up)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_was_seen_is_served_without_the_upstream_also_after_a_kill() {
    let mut stack = stack().await;
    let mut proxy = proxy(&stack, json!({})).await;
    let url = proxy.url();
    let id = client(&url).register("a-value", SCHEMA).await.unwrap();
    assert_eq!(client(&stack.registry_url()).latest("a-value").await.unwrap().id, id, "the upstream has it");
    // Never read through the proxy, but given out by it: fetched without being asked.
    proxy.service.metric_reaches("efd_registry_proxy_entries", 2.0).await.unwrap();
    let (_, latest, headers) = get(&url, "/subjects/a-value/versions/latest").await;
    assert!(headers.get("x-efd-stale").is_none());
    stack.registry.as_mut().unwrap().kill();
    for _ in 0..2 {
        restart(&mut proxy).await;
        upstream_is(&proxy, 0.0).await;
        let (status, schema, headers) = get(&url, &format!("/schemas/ids/{id}")).await;
        assert_eq!(status, 200);
        let text: Value = serde_json::from_str(schema["schema"].as_str().unwrap()).unwrap();
        assert_eq!(text, serde_json::from_str::<Value>(SCHEMA).unwrap());
        assert!(headers["x-efd-stale"].to_str().unwrap().parse::<u64>().is_ok());
        let (status, again, headers) = get(&url, "/subjects/a-value/versions/latest").await;
        assert_eq!((status, &again), (200, &latest));
        assert!(headers["x-efd-stale"].to_str().unwrap().parse::<u64>().is_ok());
        assert_eq!(client(&url).register("a-value", SCHEMA).await.unwrap(), id);
        let unknown = client(&url).register("b-value", SCHEMA).await.unwrap_err();
        assert_eq!(unknown.kind(), RegistryErrorKind::Transient, "{unknown}");
        let (status, answer, _) = get(&url, "/schemas/ids/99").await;
        assert_eq!(
            (status, &answer["error_code"]),
            (503, &json!(50003)),
            "not asked is not unknown: {answer}"
        );
        assert!(metric(&proxy, "efd_registry_upstream_silence_seconds", &[]).await > 0.0);
        assert!(metric(&proxy, "efd_registry_proxy_answers_total", &[("source", "stale")]).await >= 1.0);
    }
    let registry = stack.registry.as_mut().unwrap();
    registry.start_again().unwrap();
    registry.ready().await.unwrap();
    upstream_is(&proxy, 1.0).await;
    client(&url).register("b-value", SCHEMA).await.unwrap();
    let (status, _, headers) = get(&url, "/schemas/ids/99").await;
    assert_eq!((status, headers.get("x-efd-stale")), (404, None));
}

#[tokio::test]
async fn only_what_is_not_known_goes_upstream_and_once() {
    let stack = stack().await;
    let proxy = proxy(&stack, json!({"fresh_for": "10m", "negative_for": "10m"})).await;
    let url = proxy.url();
    let upstream = async |route: &'static str, method: &'static str| {
        let metrics = stack.registry.as_ref().unwrap().metrics().await.unwrap();
        let route = format!("{method} {route}");
        metrics.sum("efd_registry_requests_total", &[("route", &route)])
    };
    let id = client(&url).register("a-value", SCHEMA).await.unwrap();
    for _ in 0..5 {
        let spaced = SCHEMA.replace(": ", ":  ");
        assert_eq!(client(&url).register("a-value", &spaced).await.unwrap(), id);
    }
    assert_eq!(upstream("/subjects/{subject}/versions", "POST").await, 1.0);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let url = url.clone();
        tasks.spawn(async move { get(&url, "/schemas/ids/77").await.0 });
        let proxy = url_of(&proxy);
        tasks.spawn(async move { client(&proxy).schema_by_id(id).await.map_or(0, |_| 200) });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[49], statuses[50], statuses[99]), (200, 200, 404, 404));
    assert_eq!(upstream("/schemas/ids/{id}", "GET").await, 2.0, "one of each id");

    // A write through the proxy makes it ask again.
    get(&url, "/subjects/a-value/versions").await;
    let wider = SCHEMA.replace("\"int\"", "\"long\"");
    client(&url).register("a-value", &wider).await.unwrap();
    assert_eq!(get(&url, "/subjects/a-value/versions").await.1, json!([1, 2]));
    assert_eq!(call(&url, "DELETE", "/subjects/a-value", None).await.1, json!([1, 2]));
    assert_eq!(get(&url, "/subjects/a-value/versions").await.0, 404);
    client(&url).register("a-value", SCHEMA).await.unwrap();
    assert_eq!(client(&stack.registry_url()).latest("a-value").await.unwrap().version, 3, "registered again");
    let (status, answer, _) =
        call(&url, "PUT", "/config/a-value", Some(json!({"compatibility": "BACKWARD"}))).await;
    assert_eq!((status, answer), (200, json!({"compatibility": "BACKWARD"})));
    let refused =
        client(&url).register("a-value", &SCHEMA.replace("\"int\"", "\"string\"")).await.unwrap_err();
    assert_eq!(refused.kind(), RegistryErrorKind::Refused, "{refused}");
}

fn url_of(proxy: &Registry) -> String {
    proxy.url()
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn ingest_and_sink_go_on_through_a_proxy_whose_upstream_stopped(#[case] generation: Generation) {
    let mut stack = Stack::servers(Options::new(generation)).await.unwrap();
    stack.start_registry().await.unwrap();
    let mut proxy = proxy(&stack, json!({})).await;
    stack.use_registry(&proxy);
    stack.start_sink().await.unwrap();
    let records = stack.simulate(200.0).await.unwrap();
    stack.points_reach(records).await.unwrap();

    let registry = stack.registry.as_mut().unwrap();
    assert_eq!(registry.terminate().await.unwrap(), Some(0), "{}", registry.log().unwrap());
    restart(&mut proxy).await;
    // A new sink and a new ingest know no schema: they ask the proxy for all of them.
    let sink = stack.sink.as_mut().unwrap();
    sink.kill();
    sink.start_again().unwrap();
    sink.ready().await.unwrap();
    let more = stack.simulate(200.0).await.unwrap();
    assert!(more > records);
    stack.points_reach(more).await.unwrap();
    assert_eq!(stack.dead_letters().await.unwrap(), 0);
    assert_eq!(metric(&proxy, "efd_registry_upstream_up", &[]).await, 0.0);
}

#[tokio::test]
async fn a_shadow_answers_from_one_side_and_tells_what_differs() {
    let stack = stack().await;
    let upstream = json!({"url": stack.registry_url(), "shadow": {"answer": "upstream", "writes": "both"}});
    // A log of its own.
    let schemas = json!({"topic": "_own_schemas", "transactional_id": "own"});
    let settings = json!({"upstream": upstream, "schemas": schemas});
    let mut shadow = stack.launch_another_registry("shadow", &settings).unwrap();
    shadow.service.ready().await.unwrap();
    let url = shadow.url();
    let id = client(&url).register("a-value", SCHEMA).await.unwrap();
    assert_eq!(client(&stack.registry_url()).latest("a-value").await.unwrap().id, id);
    get(&url, "/subjects/a-value/versions/latest").await;
    let compared = |result: &'static str| {
        let shadow = &shadow;
        async move { metric(shadow, "efd_registry_shadow_comparisons_total", &[("result", result)]).await }
    };
    eventually("the write and the read were compared", || async { Ok(compared("equal").await >= 2.0) })
        .await
        .unwrap();
    assert_eq!(compared("different").await, 0.0);

    // What only the upstream has.
    client(&stack.registry_url()).register("b-value", SCHEMA).await.unwrap();
    assert_eq!(get(&url, "/subjects").await.1, json!(["a-value", "b-value"]), "the upstream's answer");
    eventually("the difference is counted", || async { Ok(compared("different").await >= 1.0) })
        .await
        .unwrap();
    let log = shadow.service.log().unwrap();
    assert!(log.contains("the registries differ") && log.contains("b-value"), "{log}");
}

#[tokio::test]
async fn a_shadow_on_the_same_log_only_reads_it() {
    let stack = stack().await;
    let settings = json!({"upstream": {"url": stack.registry_url(), "shadow": {"answer": "own"}}});
    let mut shadow = stack.launch_another_registry("shadow", &settings).unwrap();
    shadow.service.ready().await.unwrap();
    let url = shadow.url();
    let id = client(&url).register("a-value", SCHEMA).await.unwrap();
    eventually("the shadow has read it", || async { Ok(client(&url).schema_by_id(id).await.is_ok()) })
        .await
        .unwrap();
    assert!(!shadow.is_writer().await.unwrap());
    client(&stack.registry_url()).register("b-value", SCHEMA).await.unwrap();
}
