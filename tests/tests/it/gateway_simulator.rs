//! What the simulator sent is what `QueryRange` returns: every topic, every row, every field, every value.

use std::collections::{BTreeMap, HashMap};

use efd_proto::query::v1::query_range_response::Part;
use efd_proto::query::v1::{FieldType, ListTopicsRequest, QueryRangeRequest, Selection};
use efd_tests::oracle::{Expected, FieldValue, Oracle, Row};
use efd_tests::{Answered, Generation, Options, Stack, time_range};
use rdkafka::Message as _;
use rstest::rstest;
use serde_json::Value;

/// Rows of each topic by their times.
type Rows = BTreeMap<String, HashMap<i64, Row>>;

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn every_value_that_was_sent_comes_back(#[case] generation: Generation) {
    let mut options = Options::new(generation);
    options.components = vec!["Test", "MTM1M3", "ATCamera"];
    options.sink = serde_json::json!({"components": ["Test", "MTM1M3", "ATCamera"]});
    let mut stack = Stack::recording(options).await.unwrap();
    stack.start_gateway().await.unwrap();
    let records = stack.simulate(4000.0).await.unwrap();
    stack.points_reach(records).await.unwrap();

    let topics = stack.topics(|name| !name.ends_with(".dlq")).await.unwrap();
    let oracle = Oracle::new(stack.registry_url()).unwrap();
    let (_, sent) = stack
        .read_all(topics, (oracle, Rows::new()), |(oracle, sent), record| {
            match oracle.expects(record.payload())? {
                Expected::Point { measurement, nanos, row } => {
                    sent.entry(measurement.to_string()).or_default().insert(nanos, row);
                }
                other => anyhow::bail!("{other:?} in {}", record.topic()),
            }
            Ok(())
        })
        .await
        .unwrap();
    assert!(sent.len() > 40, "{} topics", sent.len());

    let mut client = stack.query_client().await.unwrap();
    let listed = client.list_topics(ListTopicsRequest::default()).await.unwrap().into_inner().topics;
    let with_data = listed.into_iter().filter(|topic| topic.has_data).map(|topic| topic.name);
    assert_eq!(with_data.collect::<Vec<_>>(), sent.keys().cloned().collect::<Vec<_>>());
    for (topic, rows) in &sent {
        let request = QueryRangeRequest {
            selections: vec![Selection { topic: topic.clone(), ..Selection::default() }],
            range: time_range(0, i64::MAX - 1),
            ..QueryRangeRequest::default()
        };
        let mut stream = client.query_range(request).await.unwrap().into_inner();
        let mut found = HashMap::new();
        let mut answered = Answered::default();
        while let Some(response) = stream.message().await.unwrap() {
            match response.part.unwrap() {
                Part::Header(header) => answered = Answered::of(header),
                Part::Batch(batch) => {
                    answered.add(&batch).unwrap();
                    let rows = std::mem::take(&mut answered.rows);
                    found.extend(rows.into_iter().map(|(time, values)| (time, row(&answered, &values))));
                }
            }
        }
        let differ = rows.iter().filter(|(time, row)| found.get(time) != Some(row)).count();
        assert_eq!((differ, found.len()), (0, rows.len()), "{topic}");
    }
    println!("{records} records of {} topics came back", sent.len());
}

/// The row as InfluxDB holds it, the elements of arrays each a field.
fn row(answered: &Answered, values: &[Value]) -> Row {
    let mut row = Row::default();
    for (field, value) in answered.fields.iter().zip(values) {
        match value {
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    add(&mut row, &format!("{}{index}", field.name), element, field.r#type());
                }
            }
            scalar => add(&mut row, &field.name, scalar, field.r#type()),
        }
    }
    row
}

fn add(row: &mut Row, name: &str, value: &Value, ty: FieldType) {
    let value = match (value, ty) {
        (Value::Null, _) => return,
        (Value::Bool(value), FieldType::Boolean) => FieldValue::Boolean(*value),
        (Value::String(value), FieldType::String) => FieldValue::Text(value),
        (Value::Number(value), FieldType::Int | FieldType::Long) => {
            FieldValue::Integer(value.as_i64().unwrap())
        }
        (Value::Number(value), FieldType::Float | FieldType::Double) => {
            FieldValue::Float(value.as_f64().unwrap())
        }
        other => panic!("{name} is {other:?}"),
    };
    row.add(name, value);
}
