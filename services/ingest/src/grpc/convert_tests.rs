//! Conversion of what clients give.

use efd_proto::ingest::v1::{Booleans, Doubles, Floats, Longs};
use tonic::Code;

use super::*;
use crate::testing;

fn fields<const N: usize>(pairs: [(&str, Kind); N]) -> HashMap<String, proto::Value> {
    pairs.into_iter().map(|(name, kind)| (name.to_owned(), proto::Value { kind: Some(kind) })).collect()
}

fn topic() -> std::sync::Arc<SampleTopic> {
    let mut byte = testing::field("byte0", FieldType::Int, 1);
    byte.range = FieldType::idl_range("byte");
    let mut shorts = testing::field("unsignedShort0", FieldType::Int, 3);
    shorts.range = FieldType::idl_range("unsigned short");
    let mut measured = testing::field("measured", FieldType::Double, 1);
    measured.null = Some(NullBranch::First);
    let more = [
        byte,
        testing::field("long0", FieldType::Int, 1),
        testing::field("longLong0", FieldType::Long, 1),
        testing::field("float0", FieldType::Float, 1),
        testing::field("floats0", FieldType::Float, 2),
        testing::field("double0", FieldType::Double, 1),
        testing::field("boolean0", FieldType::Boolean, 2),
        testing::field("string0", FieldType::String, 1),
        shorts,
        measured,
    ];
    testing::sample_topic(testing::topic("Test", "mixed", more.to_vec()))
}

#[test]
fn values_come_in_the_order_of_the_topic_and_what_is_left_out_has_its_default() {
    let given = fields([
        ("string0", Kind::StringValue("a".into())),
        ("byte0", Kind::LongValue(255)),
        ("float0", Kind::DoubleValue(0.1)),
        ("floats0", Kind::Doubles(Doubles { values: vec![0.1, f64::NAN] })),
        ("unsignedShort0", Kind::Longs(Longs { values: vec![0, 65_535, 7] })),
        ("salIndex", Kind::LongValue(3)),
        ("private_seqNum", Kind::LongValue(41)),
        ("private_identity", Kind::StringValue("me@here".into())),
    ]);
    let (values, private) = convert(&topic(), given).unwrap();
    let [byte, long, long_long, float, floats, double, booleans, string, shorts, measured] = &values[..]
    else {
        panic!("{values:?}")
    };
    assert_eq!((byte, long, long_long), (&Value::Int(255), &Value::Int(0), &Value::Long(0)));
    assert_eq!((float, double), (&Value::Float(0.1), &Value::Double(0.0)));
    let Value::Floats(floats) = floats else { panic!("{floats:?}") };
    assert!(floats[0] == 0.1 && floats[1].is_nan(), "{floats:?}");
    assert_eq!(booleans, &Value::Booleans(vec![false, false]));
    assert_eq!((string, shorts), (&Value::String("a".into()), &Value::Ints(vec![0, 65_535, 7])));
    assert_eq!(measured, &Value::Null);
    let expected =
        Given { sal_index: Some(3), seq_num: Some(41), identity: Some("me@here".into()), ..Given::default() };
    assert_eq!(private, expected);
}

#[test]
fn a_value_that_does_not_fit_is_refused_with_its_field() {
    let floats = |values: &[f32]| Kind::Floats(Floats { values: values.to_vec() });
    let longs = |values: &[i64]| Kind::Longs(Longs { values: values.to_vec() });
    let (bad, wrong) = (Code::OutOfRange, Code::InvalidArgument);
    let cases = [
        ("byte0", Kind::LongValue(300), bad, "field byte0 cannot be 300: it is between 0 and 255"),
        ("byte0", Kind::LongValue(-1), bad, "field byte0 cannot be -1"),
        (
            "unsignedShort0",
            longs(&[0, 70_000, 0]),
            bad,
            "field unsignedShort0 cannot be 70000 (element 1): it is between 0 and 65535",
        ),
        ("long0", Kind::LongValue(1 << 31), bad, "between -2147483648 and 2147483647"),
        ("float0", Kind::DoubleValue(1e39), bad, "field float0 cannot be 1"),
        ("private_origin", Kind::LongValue(1 << 40), bad, "field private_origin cannot be"),
        ("float0", Kind::LongValue(1), wrong, "field float0 is float (double_value), not long_value"),
        ("byte0", Kind::DoubleValue(1.0), wrong, "field byte0 is int (long_value), not double_value"),
        ("double0", floats(&[1.0]), wrong, "field double0 is double (double_value), not floats"),
        (
            "floats0",
            Kind::DoubleValue(1.0),
            wrong,
            "field floats0 is an array of float (floats or doubles), not double_value",
        ),
        ("floats0", floats(&[1.0]), wrong, "field floats0 has 2 elements, not 1"),
        (
            "boolean0",
            Kind::Booleans(Booleans { values: vec![true; 3] }),
            wrong,
            "field boolean0 has 2 elements, not 3",
        ),
        ("private_sndStamp", Kind::LongValue(1), wrong, "private_sndStamp is double"),
        ("string1", Kind::StringValue(String::new()), wrong, "did you mean string0?"),
    ];
    for (field, kind, code, message) in cases {
        let refusal = convert(&topic(), fields([(field, kind)])).unwrap_err();
        assert_eq!((refusal.code(), refusal.field()), (code, field), "{refusal}");
        assert!(refusal.to_string().contains(message), "{refusal}");
        assert!(refusal.reason().is_some());
    }
}

#[test]
fn a_refusal_repeats_no_more_than_a_name_may_be_long() {
    let long = "ä".repeat(100_000);
    let refusal = convert(&topic(), fields([(&long, Kind::LongValue(1))])).unwrap_err();
    assert!(refusal.to_string().len() < 400 && refusal.field().len() < 250, "{}", refusal.to_string().len());
}

#[test]
fn only_a_nullable_field_takes_a_value_without_a_kind() {
    let nothing = |field: &str| HashMap::from([(field.to_owned(), proto::Value { kind: None })]);
    assert!(convert(&topic(), nothing("measured")).is_ok());
    let refusal = convert(&topic(), nothing("double0")).unwrap_err();
    assert_eq!(refusal.to_string(), "field double0 is double (double_value), not nothing");
}

#[test]
fn the_revision_must_be_that_of_the_topic() {
    let topic = topic();
    let revision = |text: &str| fields([("private_revCode", Kind::StringValue(text.into()))]);
    assert!(convert(&topic, revision(&topic.rev_code)).is_ok());
    let refusal = convert(&topic, revision("00000000")).unwrap_err();
    assert_eq!((refusal.code(), refusal.field()), (Code::FailedPrecondition, "private_revCode"));
}
