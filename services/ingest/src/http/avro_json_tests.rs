use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;

use super::*;

/// What Apache's own reader makes of the bytes.
fn decoded(schema: &str, bytes: &[u8]) -> Avro {
    let (id, mut body) = wire::split(bytes).unwrap();
    assert_eq!(id, 7);
    let schema = Schema::parse_str(schema).unwrap();
    let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut body).unwrap();
    assert!(body.is_empty(), "{body:?} is left over");
    value
}

fn encode(schema: &str, value: &Value) -> Result<Vec<u8>, Mismatch> {
    Encoder::new(7, schema).unwrap().encode(value)
}

#[test]
fn a_record_with_every_kind_of_field_is_what_apache_reads() {
    let schema = r#"{"type": "record", "name": "r", "namespace": "lsst.x", "fields": [
        {"name": "n", "type": "null"}, {"name": "b", "type": "boolean"}, {"name": "i", "type": "int"},
        {"name": "l", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "f", "type": "float"}, {"name": "d", "type": "double"}, {"name": "s", "type": "string"},
        {"name": "y", "type": "bytes"}, {"name": "x", "type": {"type": "fixed", "name": "four", "size": 4}},
        {"name": "e", "type": {"type": "enum", "name": "band", "symbols": ["g", "r"]}},
        {"name": "a", "type": {"type": "array", "items": ["null", "double"]}},
        {"name": "m", "type": {"type": "map", "values": "int"}},
        {"name": "o", "type": ["null", "long", {"type": "record", "name": "p", "fields": [
            {"name": "x", "type": "int"}, {"name": "next", "type": ["null", "p"]}]}]},
        {"name": "q", "type": "p"}]}"#;
    let value = json!({
        "n": null, "b": true, "i": -5, "l": 1_700_000_000_123_i64, "f": 0.5, "d": "NaN", "s": "ü\n", "y": "\u{0}ÿ", "x": "abcd",
        "e": "r", "a": [null, {"double": 2}, {"double": "-Infinity"}], "m": {"k": 1},
        "o": {"lsst.x.p": {"x": 1, "next": {"lsst.x.p": {"x": 2, "next": null}}}}, "q": {"x": 3, "next": null},
    });
    let Avro::Record(fields) = decoded(schema, &encode(schema, &value).unwrap()) else {
        panic!("not a record")
    };
    let p = |x, next| Avro::Record(vec![("x".into(), Avro::Int(x)), ("next".into(), next)]);
    let null = || Avro::Union(0, Box::new(Avro::Null));
    let expected = [
        Avro::Null,
        Avro::Boolean(true),
        Avro::Int(-5),
        Avro::TimestampMillis(1_700_000_000_123),
        Avro::Float(0.5),
        Avro::Double(f64::NAN),
        Avro::String("ü\n".into()),
        Avro::Bytes(vec![0, 255]),
        Avro::Fixed(4, b"abcd".to_vec()),
        Avro::Enum(1, "r".into()),
        Avro::Array(vec![
            null(),
            Avro::Union(1, Box::new(Avro::Double(2.0))),
            Avro::Union(1, Box::new(Avro::Double(f64::NEG_INFINITY))),
        ]),
        Avro::Map([("k".to_owned(), Avro::Int(1))].into()),
        Avro::Union(2, Box::new(p(1, Avro::Union(1, Box::new(p(2, null())))))),
        p(3, null()),
    ];
    for ((name, found), expected) in fields.iter().zip(expected) {
        // NaN is not equal to itself.
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{name}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_path_of_the_field() {
    let schema = r#"{"type": "record", "name": "r", "fields": [
        {"name": "i", "type": "int"}, {"name": "u", "type": ["null", "double"]},
        {"name": "s", "type": {"type": "array", "items": {"type": "record", "name": "p", "fields": [
            {"name": "x", "type": "float"}, {"name": "e", "type": {"type": "enum", "name": "band", "symbols": ["g"]}}]}}}]}"#;
    let good = json!({"i": 1, "u": null, "s": [{"x": 1, "e": "g"}]});
    encode(schema, &good).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    let mut surplus = good.clone();
    surplus["s"][0]["w"] = json!(1);
    let cases = [
        (with("/i", json!(1.5)), "field i: expected an int, found 1.5"),
        (with("/i", json!(2_147_483_648_i64)), "field i: 2147483648 is out of the range of int"),
        (with("/i", json!("1")), "field i: expected an int, found a string"),
        (with("/u", json!(1.5)), "field u: expected null or {\"double\": …}, found 1.5"),
        (
            with("/u", json!({"float": 1.5})),
            "field u: expected null or {\"double\": …}, found an object with \"float\"",
        ),
        (with("/u", json!({"double": "x"})), "field u: expected a double, found a string"),
        (with("/s/0/x", json!(1e39)), "field s[0].x: 1e+39 is out of the range of float"),
        (with("/s/0/e", json!("z")), "field s[0].e: \"z\" is not one of g"),
        (with("/s", json!([{"x": 1, "e": "g"}, {"x": 1}])), "field s[1].e: is missing"),
        (surplus, "field s[0].w: is not in the schema"),
        (json!([]), "expected an object, found an array"),
    ];
    for (value, expected) in cases {
        assert_eq!(encode(schema, &value).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_schema_that_is_none_is_refused_with_the_reason() {
    for text in [
        "",
        "{",
        r#"{"type": "recor"}"#,
        r#"{"type": "record", "name": "r", "fields": [{"name": "a", "type": "b"}]}"#,
    ] {
        assert!(!Encoder::new(7, text).unwrap_err().is_empty(), "{text}");
    }
}

#[test]
fn no_schema_or_value_is_deep_enough_to_overflow_the_stack() {
    let text = r#"{"type": "record", "name": "R", "fields": [{"name": "r", "type": "R", "default": {}}]}"#;
    if let Ok(encoder) = Encoder::new(7, text) {
        assert_eq!(encoder.encode(&json!({})).unwrap_err().to_string(), "field r: is missing");
    }
    let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(20_000), "}".repeat(20_000));
    Encoder::new(7, &deep).unwrap_err();
    let recursive = r#"{"type": "record", "name": "R", "fields": [{"name": "r", "type": ["null", "R"]}]}"#;
    let deep = format!("{}null{}", r#"{"r":{"R":"#.repeat(50), "}}".repeat(50));
    let value: Value = serde_json::from_str(&deep).unwrap();
    assert_eq!(encode(recursive, &value).unwrap_err().to_string().matches("r.").count(), 49);
}

#[test]
fn random_values_of_random_schemas_are_what_apache_reads() {
    for seed in 0..500 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut names = 0;
        let (schema, value, expected) = sample(&mut random, 3, &mut names);
        let schema = schema.to_string();
        let bytes =
            encode(&schema, &value).unwrap_or_else(|error| panic!("{seed}: {schema} {value}: {error}"));
        assert_eq!(decoded(&schema, &bytes), expected, "{seed}: {schema} {value}");
    }
}

/// A schema, a value of it in JSON, and the same value as Apache has it.
type Sample = (Value, Value, Avro);

fn sample(random: &mut SmallRng, depth: u32, names: &mut u32) -> Sample {
    let kinds = if depth == 0 { 6 } else { 10 };
    match random.random_range(0..kinds) {
        0 => {
            let value = random.random::<i32>() >> random.random_range(0..32);
            (json!("int"), json!(value), Avro::Int(value))
        }
        1 => {
            let value = random.random::<i64>() >> random.random_range(0..64);
            (json!("long"), json!(value), Avro::Long(value))
        }
        2 => {
            let value = random.random_range(-1e9..1e9);
            (json!("double"), json!(value), Avro::Double(value))
        }
        3 => {
            let value = random.random::<f32>();
            (json!("float"), json!(value), Avro::Float(value))
        }
        4 => {
            let value: String = (0..random.random_range(0..9)).map(|_| random.random::<char>()).collect();
            (json!("string"), json!(value), Avro::String(value))
        }
        5 => {
            let value: Vec<u8> = (0..random.random_range(0..9)).map(|_| random.random()).collect();
            let text: String = value.iter().map(|byte| char::from(*byte)).collect();
            (json!("bytes"), json!(text), Avro::Bytes(value))
        }
        6 => array_or_map(random, depth, names),
        7 => nullable_record(random, depth, names),
        _ => record(random, depth, names),
    }
}

fn array_or_map(random: &mut SmallRng, depth: u32, names: &mut u32) -> Sample {
    let (schema, value, expected) = sample(random, depth - 1, names);
    let count = random.random_range(0..4);
    if random.random() {
        let key = "k".repeat(count);
        let expected = Avro::Map([(key.clone(), expected)].into());
        return (json!({"type": "map", "values": schema}), json!({key: value}), expected);
    }
    (json!({"type": "array", "items": schema}), json!(vec![value; count]), Avro::Array(vec![expected; count]))
}

fn nullable_record(random: &mut SmallRng, depth: u32, names: &mut u32) -> Sample {
    *names += 1;
    let name = format!("r{names}");
    let (schema, value, expected) = sample(random, depth - 1, names);
    let fields = json!([{"name": "a", "type": schema}]);
    let schema = json!({"type": "record", "name": name, "namespace": "lsst.y", "fields": fields});
    let is_null = random.random();
    let branch = if is_null { json!(null) } else { json!({format!("lsst.y.{name}"): {"a": value}}) };
    let inner = if is_null { Avro::Null } else { Avro::Record(vec![("a".into(), expected)]) };
    (json!([schema, "null"]), branch, Avro::Union(u32::from(is_null), Box::new(inner)))
}

fn record(random: &mut SmallRng, depth: u32, names: &mut u32) -> Sample {
    *names += 1;
    let name = format!("r{names}");
    let (mut fields, mut members, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for place in 0..random.random_range(1..5) {
        let (schema, value, avro) = sample(random, depth - 1, names);
        let field = format!("f{place}");
        fields.push(json!({"name": field, "type": schema}));
        members.push((field.clone(), value));
        expected.push((field, avro));
    }
    // The order of the members is not the order of the fields.
    let value = Value::Object(members.into_iter().rev().collect());
    let schema = json!({"type": "record", "name": name, "namespace": "lsst.x", "fields": fields});
    (schema, value, Avro::Record(expected))
}
