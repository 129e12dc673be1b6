//! Tests of statistics and their intervals.

use efd_proto::query::v1::{TimeRange as RequestRange, TimeScale};
use efd_schema::RecordSchema;
use prost_types::Timestamp;

use super::*;
use crate::influxql::Filter;
use crate::layout::Layout;

const SCHEMA: &str = r#"{"type":"record","name":"y","namespace":"lsst.sal.X","fields":[
    {"name":"d","type":"float","units":"m"},{"name":"s","type":"string"},
    {"name":"a","type":{"type":"array","items":"int"},"default":[0,0]}]}"#;

fn chosen() -> Chosen {
    let layout = Layout::new(&RecordSchema::parse(SCHEMA).unwrap());
    let fields = layout.select(&[], "lsst.sal.X.y").unwrap();
    Chosen { topic: "lsst.sal.X.y".into(), fields, filter: Filter::default(), is_void: false, witness: None }
}

fn request(start: i64, end: i64, scale: TimeScale) -> QueryWindowRequest {
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let range =
        RequestRange { start: at(start), end: at(end), scale: scale.into(), ..RequestRange::default() };
    let interval = Some(Duration { seconds: 10, nanos: 0 });
    QueryWindowRequest { range: Some(range), interval, ..QueryWindowRequest::default() }
}

fn numbers(aggregates: &[Aggregate]) -> Vec<i32> {
    aggregates.iter().map(|aggregate| (*aggregate).into()).collect()
}

#[test]
fn each_field_has_a_column_for_each_aggregate() {
    let mut chosen = chosen();
    let wanted = numbers(&[Aggregate::Mean, Aggregate::Count, Aggregate::Max]);
    let statistics = Statistics::new(&wanted, &mut chosen, true).unwrap();
    let columns: Vec<_> = statistics
        .fields
        .iter()
        .map(|layout| (layout.field.name.as_str(), layout.field.r#type(), layout.field.unit.as_str()))
        .collect();
    use FieldType::{Double, Float, Int, Long};
    let expected = [
        ("d", Double, "m"),
        ("d", Long, ""),
        ("d", Float, "m"),
        ("a", Double, ""),
        ("a", Long, ""),
        ("a", Int, ""),
    ];
    assert_eq!(columns, expected);
    let calls: Vec<String> =
        statistics.calls(&chosen).iter().map(|(function, column)| format!("{function} {column}")).collect();
    let expected =
        ["mean d", "count d", "max d", "mean a0", "mean a1", "count a0", "count a1", "max a0", "max a1"];
    assert_eq!(calls, expected);
    assert_eq!(statistics.columns(), 9);
}

#[test]
fn aggregates_that_cannot_be_made_are_refused_by_name() {
    let refused = |wanted: &[i32], takes_all| {
        Statistics::new(wanted, &mut chosen(), takes_all).unwrap_err().to_string()
    };
    assert_eq!(refused(&[], true), "aggregates are missing");
    assert_eq!(refused(&[99], true), "there is no aggregate 99");
    assert_eq!(refused(&[0], true), "there is no aggregate 0");
    assert_eq!(refused(&[1, 1], true), "AGGREGATE_MIN is named twice");
    let error = refused(&numbers(&[Aggregate::Mean]), false);
    assert!(error.starts_with("AGGREGATE_MEAN cannot be made of field s of topic lsst.sal.X.y"), "{error}");
    assert!(Statistics::new(&numbers(&[Aggregate::Last]), &mut chosen(), false).is_ok());
}

#[test]
fn intervals_begin_at_multiples_in_the_scale_of_the_request() {
    const SECOND: i64 = 1_000_000_000;
    let utc = Window::new(&request(1_700_000_003, 1_700_000_025, TimeScale::Utc), 100).unwrap();
    assert_eq!((utc.first(), utc.intervals.offset_ns), (1_700_000_000 * SECOND, 0));
    assert_eq!(utc.next(1_700_000_010 * SECOND), Some(1_700_000_020 * SECOND));
    assert_eq!(utc.next(1_700_000_020 * SECOND), None);
    let tai = Window::new(&request(1_700_000_043, 1_700_000_060, TimeScale::Tai), 100).unwrap();
    assert_eq!(tai.answered.apply(tai.first()), 1_700_000_040 * SECOND);
    assert_eq!(tai.intervals.offset_ns, 3 * SECOND);
}

#[test]
fn absurd_windows_are_refused() {
    let refused = |request: QueryWindowRequest| Window::new(&request, 3).unwrap_err().to_string();
    let base = || request(0, 20, TimeScale::Utc);
    assert!(Window::new(&base(), 3).is_ok());
    assert!(
        refused(request(0, 30, TimeScale::Utc))
            .starts_with("4 intervals are more than query.max_intervals (3)")
    );
    assert_eq!(refused(QueryWindowRequest { interval: None, ..base() }), "interval is missing");
    for (seconds, nanos) in [(0, 999_999), (-1, 0), (0, 0)] {
        let interval = Some(Duration { seconds, nanos });
        assert_eq!(refused(QueryWindowRequest { interval, ..base() }), "interval is shorter than 1 ms");
    }
    let interval = Some(Duration { seconds: i64::MAX, nanos: 0 });
    assert!(refused(QueryWindowRequest { interval, ..base() }).starts_with("interval is longer"));
    assert_eq!(refused(QueryWindowRequest { range: None, ..base() }), "range is missing");
}
