//! Conflicts of types found before a point is written.

use std::sync::atomic::AtomicUsize;

use efd_schema::RecordSchema;

use super::*;
use crate::destination::DestinationConfig;
use crate::mapping::{MappingConfig, TypeConflict};
use crate::metrics::ComponentId;
use crate::plan::{Plan, PlanError};
use crate::point;
use crate::testing::FakeServer;

const RETRY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(5));

fn compile(ty: &str, conflict: TypeConflict, stored: &Stored) -> Result<Known, PlanError> {
    let text = format!(
        r#"{{"type":"record","name":"m","fields":[{{"name":"private_efdStamp","type":"double"}},{{"name":"x","type":"{ty}"}}]}}"#
    );
    let mapping = MappingConfig { type_conflict: conflict, ..MappingConfig::default() };
    let plan = Plan::compile_beside(1, &RecordSchema::parse(&text).unwrap(), &mapping, stored)?;
    Ok(Known { plan, component: ComponentId::default() })
}

fn line(known: &Known) -> String {
    let mut body = 1_f64.to_le_bytes().to_vec();
    body.push(6);
    let mut out = Vec::new();
    point::append(&known.plan, &body, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

async fn types(answer: (u16, &'static str)) -> (FieldTypes, FakeServer) {
    let server = FakeServer::start(move |_| (answer.0, answer.1.to_owned())).await;
    let config = DestinationConfig { url: server.url.clone(), ..DestinationConfig::default() };
    (FieldTypes::new(Some(InfluxDb::new(&config).unwrap()), RETRY), server)
}

#[tokio::test]
async fn a_field_of_another_type_is_found_and_written_under_another_name_if_that_is_wanted() {
    let text = r#"{"results":[{"statement_id":0,"series":[{"name":"m","columns":["fieldKey","fieldType"],
        "values":[["private_efdStamp","float"],["x","float"]]}]}]}"#;
    let (types, server) = types((200, text)).await;
    let stored = types.stored("m").await;
    assert_eq!(server.requests()[0].path, "/query?db=efd&rp=autogen&q=SHOW%20FIELD%20KEYS%20FROM%20%22m%22");
    let kept =
        types.compiled("m", stored.clone(), |all| compile("int", TypeConflict::DeadLetter, all)).unwrap();
    assert_eq!(kept.plan.conflicts(), ["x"]);
    assert_eq!(line(&kept), "m private_efdStamp=1,x=3i 1000000000\n");
    let renamed = types.compiled("m", stored, |all| compile("int", TypeConflict::Suffix, all)).unwrap();
    // The plan before is in use, and its integers are known by now.
    assert_eq!(line(&renamed), "m private_efdStamp=1,x=3i 1000000000\n");
    drop((kept, renamed));
    let stored = types.stored("m").await;
    let renamed = types.compiled("m", stored, |all| compile("int", TypeConflict::Suffix, all)).unwrap();
    assert_eq!(renamed.plan.conflicts(), ["x"]);
    assert_eq!(line(&renamed), "m private_efdStamp=1,x_integer=3i 1000000000\n");
}

#[tokio::test]
async fn a_plan_in_use_counts_before_its_first_point_is_written() {
    let types = FieldTypes::new(None, RETRY);
    let stored = types.stored("m").await;
    let first = types.compiled("m", stored, |all| compile("int", TypeConflict::Suffix, all)).unwrap();
    assert!(first.plan.conflicts().is_empty());
    let second =
        types.compiled("m", Stored::new(), |all| compile("boolean", TypeConflict::Suffix, all)).unwrap();
    assert_eq!(second.plan.conflicts(), ["x"]);
    let same = types.compiled("m", Stored::new(), |all| compile("int", TypeConflict::Suffix, all)).unwrap();
    assert!(same.plan.conflicts().is_empty());
}

#[tokio::test]
async fn a_server_that_does_not_tell_holds_nothing_up() {
    for answer in [(401, "unauthorized"), (200, r#"{"results":[{"error":"database not found"}]}"#), (204, "")]
    {
        assert!(types(answer).await.0.stored("m").await.is_empty(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_server_with_too_many_queries_is_asked_again() {
    let asked = AtomicUsize::new(0);
    let server = FakeServer::start(move |_| {
        let text = match asked.fetch_add(1, Ordering::SeqCst) {
            0 => r#"{"results":[{"error":"max-concurrent-queries limit exceeded(2, 1)"}]}"#,
            _ => r#"{"results":[{"series":[{"name":"m","columns":["fieldKey","fieldType"],"values":[["x","float"]]}]}]}"#,
        };
        (200, text.to_owned())
    })
    .await;
    let config = DestinationConfig { url: server.url.clone(), ..DestinationConfig::default() };
    let types = FieldTypes::new(Some(InfluxDb::new(&config).unwrap()), RETRY);
    assert_eq!(types.stored("m").await["x"], [StoredType::Float]);
}
