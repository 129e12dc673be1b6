//! Look-ups against a registry of the test's choosing.

use std::sync::atomic::{AtomicU16, AtomicUsize};

use efd_schema::RegistryConfig;

use super::*;
use crate::bounds::RetryConfig;
use crate::testing::{FakeServer, metrics, until};

const SCHEMA: &str = r#"{"schema":"{\"type\":\"record\",\"name\":\"lsst.sal.Test.t\",\"fields\":[{\"name\":\"private_efdStamp\",\"type\":\"double\"}]}"}"#;
const UNKNOWN: &str = r#"{"error_code":40403,"message":"Schema not found"}"#;

fn schemas(server: &FakeServer, change: impl FnOnce(&mut Config)) -> Schemas {
    let registry = RegistryConfig { url: Some(server.url.clone()), ..RegistryConfig::default() };
    let mut config = Config {
        retry: RetryConfig { min: Duration::from_millis(1), max: Duration::from_millis(5) },
        schema_wait: Duration::from_millis(50),
        unknown_schema_ttl: Duration::from_secs(60),
        registry,
        ..Config::default()
    };
    change(&mut config);
    let client = RegistryClient::new(&config.registry).unwrap();
    let types = FieldTypes::new(None, (config.retry.min, config.retry.max));
    Schemas::new(client, types, &config, ("influxdb", metrics()), Stop::new())
}

fn is_waiting(schemas: &Schemas, id: u32) -> bool {
    matches!(schemas.get(id.into()), Lookup::Waiting)
}

fn dead_reason(schemas: &Schemas, id: u32) -> Option<Reason> {
    match schemas.get(id.into()) {
        Lookup::Dead(cause) => Some(cause.reason),
        _ => None,
    }
}

#[tokio::test]
async fn many_questions_are_one_look_up_and_the_plan_is_kept() {
    let server = FakeServer::start(|_| (200, SCHEMA.into())).await;
    let schemas = schemas(&server, |_| {});
    let finished = schemas.finished();
    for _ in 0..100 {
        assert!(is_waiting(&schemas, 7));
    }
    until("plan", || finished.try_recv() == Ok(7.into())).await;
    let Lookup::Ready(known) = schemas.get(7.into()) else { panic!("no plan") };
    assert_eq!((known.plan.schema_id(), known.plan.measurement()), (7.into(), "lsst.sal.Test.t"));
    assert_eq!(known.component, schemas.shared.metrics.component("Test"));
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].path, "/schemas/ids/7");
}

#[tokio::test]
async fn a_registry_that_is_away_is_asked_for_ever() {
    let status = Arc::new(AtomicU16::new(500));
    let answer = status.clone();
    let server = FakeServer::start(move |_| match answer.load(Ordering::SeqCst) {
        200 => (200, SCHEMA.into()),
        other => (other, String::new()),
    })
    .await;
    let schemas = schemas(&server, |config| config.schema_wait = Duration::ZERO);
    assert!(is_waiting(&schemas, 1));
    // A 404 without the registry's own error code is that of a proxy.
    for other in [503, 401, 404] {
        let seen = server.requests().len();
        until("more tries", || server.requests().len() > seen + 5).await;
        assert!(is_waiting(&schemas, 1));
        status.store(other, Ordering::SeqCst);
    }
    status.store(200, Ordering::SeqCst);
    until("plan", || matches!(schemas.get(1.into()), Lookup::Ready(_))).await;
}

#[tokio::test]
async fn an_unknown_id_is_asked_again_for_a_while_and_then_dead() {
    let server = FakeServer::start(|_| (404, UNKNOWN.into())).await;
    let schemas = schemas(&server, |_| {});
    assert!(is_waiting(&schemas, 1));
    until("dead", || dead_reason(&schemas, 1) == Some(Reason::SchemaUnknown)).await;
    let asked = server.requests().len();
    assert!(asked > 3, "{asked}");
    for _ in 0..10 {
        assert!(dead_reason(&schemas, 1).is_some());
    }
    assert_eq!(server.requests().len(), asked);
}

#[tokio::test]
async fn a_schema_that_comes_late_is_found() {
    let left = AtomicUsize::new(5);
    let server = FakeServer::start(move |_| {
        let is_there = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_err();
        if is_there { (200, SCHEMA.into()) } else { (404, UNKNOWN.into()) }
    })
    .await;
    let schemas = schemas(&server, |config| config.schema_wait = Duration::from_secs(30));
    assert!(is_waiting(&schemas, 1));
    until("plan", || matches!(schemas.get(1.into()), Lookup::Ready(_))).await;
}

#[tokio::test]
async fn a_dead_id_is_asked_for_again_when_its_time_is_over() {
    let is_known = Arc::new(AtomicBool::new(false));
    let known = is_known.clone();
    let server = FakeServer::start(move |_| match known.load(Ordering::SeqCst) {
        true => (200, SCHEMA.into()),
        false => (404, UNKNOWN.into()),
    })
    .await;
    let schemas = schemas(&server, |config| {
        config.schema_wait = Duration::ZERO;
        config.unknown_schema_ttl = Duration::from_millis(100);
    });
    assert!(is_waiting(&schemas, 1));
    until("dead", || dead_reason(&schemas, 1).is_some()).await;
    is_known.store(true, Ordering::SeqCst);
    until("plan", || matches!(schemas.get(1.into()), Lookup::Ready(_))).await;
}

#[tokio::test]
async fn a_schema_without_points_is_dead_for_good() {
    for schema in [r#"{\"type\":\"record\",\"name\":\"t\",\"fields\":[]}"#, r#"\"int\""#, "no schema"] {
        let server = FakeServer::start(move |_| (200, format!(r#"{{"schema":"{schema}"}}"#))).await;
        let schemas = schemas(&server, |config| config.unknown_schema_ttl = Duration::ZERO);
        assert!(is_waiting(&schemas, 1));
        until("dead", || dead_reason(&schemas, 1) == Some(Reason::SchemaUnusable)).await;
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn the_cache_is_bounded() {
    let server = FakeServer::start(|_| (404, UNKNOWN.into())).await;
    let schemas = schemas(&server, |config| {
        config.plan_cache = 10;
        config.schema_wait = Duration::ZERO;
    });
    for id in 0..100 {
        schemas.get(id.into());
        until("dead", || dead_reason(&schemas, id).is_some()).await;
        assert!(schemas.shared.entries().len() <= 10);
    }
}
