//! Encoding against worked messages and against a second Avro library.

use std::path::Path;
use std::time::Duration;

use apache_avro::types::Value as AvroValue;

use super::*;
use crate::clock::Moment;
use crate::interfaces;
use crate::sample::{Sample, SampleTopic};
use crate::simulator::scene::Scene;
use crate::simulator::settings::SimulatorConfig;
use crate::testing;

const HEARTBEAT: &str = "000000002ab4e64749fc54d9410000000000000000b4e60740fc54d941b4e64749fc54d94102103134376233616439\
                         10415443616d657261a41300";

const ARRAYS: &str = "00000000070200006049fc54d941000000000000000000002040fc54d94100006049fc54d941feffffff0f106466663631\
                      3537350c546573743a31010a0001000100000a0001040508000a0001040508000a0001040508000a0001040508000a0001\
                      040508000a0001040508000a0001040508000a0000003f0000c03f000020400000604000009040000a000000000000e03f\
                      000000000000f83f00000000000004400000000000000c40000000000000124000";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn private(identity: &str, sal_index: Option<i32>) -> PrivateFields<'_> {
    PrivateFields {
        sal_index,
        snd_stamp: 1_700_000_037.5,
        rcv_stamp: 0.0,
        efd_stamp: 1_700_000_000.5,
        kafka_stamp: 1_700_000_037.5,
        seq_num: i32::MAX,
        rev_code: "dff61575",
        identity,
        origin: -1,
    }
}

fn array_values() -> Vec<Value> {
    let ints = Value::Ints(vec![0, -1, 2, -3, 4]);
    let longs = Value::Longs(vec![0, -1, 2, -3, 4]);
    let doubles = vec![0.5, 1.5, 2.5, 3.5, 4.5];
    vec![
        Value::Booleans(vec![false, true, false, true, false]),
        ints.clone(),
        ints.clone(),
        ints.clone(),
        ints.clone(),
        longs.clone(),
        ints,
        longs,
        Value::Floats(doubles.iter().map(|value| *value as f32).collect()),
        Value::Doubles(doubles),
    ]
}

#[test]
fn the_worked_heartbeat_has_exactly_the_given_bytes() {
    let private = PrivateFields {
        sal_index: None,
        snd_stamp: 1_700_000_037.123_456,
        efd_stamp: 1_700_000_000.123_456,
        kafka_stamp: 1_700_000_037.123_456,
        seq_num: 1,
        rev_code: "147b3ad9",
        origin: 1234,
        ..private("ATCamera", None)
    };
    let mut out = Vec::new();
    RecordPlan::new(&testing::heartbeat(), 42).encode(&private, &[Value::Boolean(false)], &mut out).unwrap();
    assert_eq!(out.len(), 59);
    assert_eq!(hex(&out), HEARTBEAT);
    assert_eq!(testing::heartbeat().key(None), r#"{ "name": "ATCamera", "topic": "logevent_heartbeat" }"#);
}

#[test]
fn the_worked_arrays_have_exactly_the_given_bytes() {
    let mut out = Vec::new();
    let plan = RecordPlan::new(&testing::arrays(), 7);
    plan.encode(&private("Test:1", Some(1)), &array_values(), &mut out).unwrap();
    assert_eq!(out.len(), 180);
    assert_eq!(hex(&out), ARRAYS);
    assert_eq!(testing::arrays().key(Some(1)), "");
}

#[test]
fn errors_name_the_field_and_leave_the_buffer_as_it_was() {
    let plan = RecordPlan::new(&testing::arrays(), 7);
    let with = |place: usize, value: Value| {
        let mut values = array_values();
        values[place] = value;
        values
    };
    let cases = [
        (with(8, Value::Doubles(vec![0.0; 5])), "field float0 is an array of float, not an array of double"),
        (with(3, Value::Int(1)), "field int0 is an array of int, not int"),
        (with(9, Value::Doubles(vec![0.0; 4])), "field double0 has 5 elements, not 4"),
        (array_values()[..9].to_vec(), "field double0 has no value"),
        (
            [array_values(), vec![Value::Int(1)]].concat(),
            "1 values more than fields, the last field is double0",
        ),
    ];
    for (values, message) in cases {
        let mut out = b"before".to_vec();
        let error = plan.encode(&private("Test:1", Some(1)), &values, &mut out).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(out, b"before");
    }
    let error = plan.encode(&private("Test", None), &array_values(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "field salIndex has no value");
}

/// What a second library reads must be what was put in.
fn assert_decodes(topic: &SampleTopic, bytes: &[u8], private: &PrivateFields<'_>, values: &[Value]) {
    let schema = apache_avro::Schema::parse_str(&topic.topic.avro_schema()).unwrap();
    let (id, mut body) = efd_schema::wire::split(bytes).unwrap();
    assert_eq!(id, 7);
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
    let decoded = reader.read_value(&mut body).unwrap();
    assert!(body.is_empty(), "{}: {} bytes left", topic.kafka_name, body.len());
    let AvroValue::Record(decoded) = decoded else { panic!("not a record") };
    let expected: Vec<AvroValue> = private
        .sal_index
        .map(AvroValue::Int)
        .into_iter()
        .chain(private_values(private))
        .chain(values.iter().map(avro_value))
        .collect();
    assert_eq!(decoded.len(), expected.len());
    for ((name, decoded), expected) in decoded.into_iter().zip(expected) {
        assert_eq!(decoded, expected, "{}.{name}", topic.kafka_name);
    }
}

fn private_values(private: &PrivateFields<'_>) -> Vec<AvroValue> {
    vec![
        AvroValue::Double(private.snd_stamp),
        AvroValue::Double(private.rcv_stamp),
        AvroValue::Double(private.efd_stamp),
        AvroValue::Double(private.kafka_stamp),
        AvroValue::Int(private.seq_num),
        AvroValue::String(private.rev_code.to_owned()),
        AvroValue::String(private.identity.to_owned()),
        AvroValue::Int(private.origin),
    ]
}

fn avro_value(value: &Value) -> AvroValue {
    match value {
        Value::Null => AvroValue::Null,
        Value::Boolean(value) => AvroValue::Boolean(*value),
        Value::Int(value) => AvroValue::Int(*value),
        Value::Long(value) => AvroValue::Long(*value),
        Value::Float(value) => AvroValue::Float(*value),
        Value::Double(value) => AvroValue::Double(*value),
        Value::String(value) => AvroValue::String(value.clone()),
        Value::Booleans(items) => {
            AvroValue::Array(items.iter().map(|item| AvroValue::Boolean(*item)).collect())
        }
        Value::Ints(items) => AvroValue::Array(items.iter().map(|item| AvroValue::Int(*item)).collect()),
        Value::Longs(items) => AvroValue::Array(items.iter().map(|item| AvroValue::Long(*item)).collect()),
        Value::Floats(items) => AvroValue::Array(items.iter().map(|item| AvroValue::Float(*item)).collect()),
        Value::Doubles(items) => {
            AvroValue::Array(items.iter().map(|item| AvroValue::Double(*item)).collect())
        }
    }
}

#[test]
fn what_the_simulator_makes_reads_the_same_in_another_avro_library() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../interfaces"));
    let names = ["ATCamera", "MTM1M3", "Test"].map(str::to_owned);
    let components = interfaces::load(folder, &names).unwrap();
    let topics = testing::sample_topics(components.into_iter().flat_map(|component| component.topics));
    let rates = vec![0.1; topics.len()];
    let mut scene = Scene::new(&SimulatorConfig::default(), &topics, &rates, None);
    let mut made = Vec::new();
    while scene.next_due().is_some_and(|due| due < Duration::from_secs(125)) {
        let now = Moment { utc_micros: 1_700_000_000_000_000 + made.len() as i64, tai_minus_utc: 37 };
        scene.make_next(now, &mut made);
    }
    let mut made: Vec<Sample> = made.into_iter().map(|made| made.sample).collect();
    for topic in &topics {
        assert!(made.iter().any(|sample| sample.topic.id == topic.id), "no sample of {}", topic.kafka_name);
    }
    // One sample of a topic is as good as fifty.
    made.sort_by_key(|sample| sample.topic.id);
    made.dedup_by_key(|sample| sample.topic.id);
    for sample in made {
        let mut out = Vec::new();
        sample.topic.plan.encode(&sample.private_fields(), &sample.values, &mut out).unwrap();
        assert_decodes(&sample.topic, &out, &sample.private_fields(), &sample.values);
    }
}

#[test]
fn extreme_values_read_the_same_in_another_avro_library() {
    let topic = testing::sample_topic(testing::scalars());
    let cases = [
        (i32::MIN, i64::MIN, f32::MIN, f64::MIN_POSITIVE, ""),
        (i32::MAX, i64::MAX, f32::INFINITY, f64::NEG_INFINITY, "with \"quotes\", a comma,\na line and µ"),
        (0, -1, -0.0, f64::EPSILON, "plain"),
    ];
    for (int, long, float, double, text) in cases {
        let values = vec![
            Value::Boolean(int == 0),
            Value::Int(int),
            Value::Long(long),
            Value::Float(float),
            Value::Double(double),
            Value::String(text.to_owned()),
        ];
        let mut out = Vec::new();
        let private = private("Test:1", Some(i32::MIN));
        topic.plan.encode(&private, &values, &mut out).unwrap();
        assert_decodes(&topic, &out, &private, &values);
    }
}

#[test]
fn a_field_of_a_camera_may_be_null_and_its_private_fields_come_last() {
    let mut topic = testing::topic(
        "ATCamera",
        "power",
        vec![
            Field { null: Some(NullBranch::First), ..testing::field("volts", FieldType::Double, 1) },
            Field { null: Some(NullBranch::Last), ..testing::field("steps", FieldType::Int, 1) },
            testing::field("agent", FieldType::String, 1),
        ],
    );
    topic.fields.rotate_left(8);
    let topic = testing::sample_topic(topic);
    let text = Value::String("ats".into());
    let cases = [
        (Value::Double(1.5), Value::Int(-7), [(1, AvroValue::Double(1.5)), (0, AvroValue::Int(-7))]),
        (Value::Null, Value::Null, [(0, AvroValue::Null), (1, AvroValue::Null)]),
    ];
    for (volts, steps, unions) in cases {
        let private = private("ATCamera", None);
        let mut out = Vec::new();
        topic.plan.encode(&private, &[volts, steps, text.clone()], &mut out).unwrap();
        let schema = apache_avro::Schema::parse_str(&topic.topic.avro_schema()).unwrap();
        let (_, mut body) = efd_schema::wire::split(&out).unwrap();
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
        let AvroValue::Record(decoded) = reader.read_value(&mut body).unwrap() else {
            panic!("not a record")
        };
        let decoded: Vec<AvroValue> = decoded.into_iter().map(|(_, value)| value).collect();
        let unions = unions.map(|(branch, value)| AvroValue::Union(branch, Box::new(value)));
        let expected = unions.into_iter().chain([avro_value(&text)]).chain(private_values(&private));
        assert_eq!(decoded, expected.collect::<Vec<_>>());
        assert!(body.is_empty());
    }
}

#[test]
fn null_is_an_error_where_the_field_is_not_nullable_and_so_is_another_type_where_it_is() {
    let nullable = Field { null: Some(NullBranch::First), ..testing::field("volts", FieldType::Double, 1) };
    let topic =
        testing::topic("ATCamera", "power", vec![nullable, testing::field("steps", FieldType::Int, 1)]);
    let plan = RecordPlan::new(&topic, 7);
    let error = |values: [Value; 2]| {
        plan.encode(&private("ATCamera", None), &values, &mut Vec::new()).unwrap_err().to_string()
    };
    assert_eq!(error([Value::Double(1.0), Value::Null]), "field steps is int, not null");
    assert_eq!(error([Value::Int(1), Value::Int(1)]), "field volts is double, not int");
}
