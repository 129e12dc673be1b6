//! Golden records with the line each gives, and random ones with apache-avro as the oracle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use efd_schema::{RecordSchema, avro, wire};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::mapping::MappingConfig;

fn plan(text: &str) -> Plan {
    Plan::compile(1, &RecordSchema::parse(text).unwrap(), &MappingConfig::default()).unwrap()
}

fn line(plan: &Plan, body: &[u8]) -> Result<String, PointError> {
    let mut out = Vec::new();
    let point = append(plan, body, &mut out)?;
    assert!(point.values > 0);
    Ok(String::from_utf8(out).unwrap())
}

fn golden() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "avsc"));
    files.sort();
    files
}

fn read(schema: &Path, extension: &str) -> String {
    std::fs::read_to_string(schema.with_extension(extension)).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn every_golden_record_gives_its_line() {
    let files = golden();
    assert!(files.len() >= 8);
    for file in files {
        let bytes = unhex(&read(&file, "hex"));
        let (_, body) = wire::split(&bytes).unwrap();
        let made = line(&plan(&read(&file, "avsc")), body).unwrap();
        assert_eq!(made, read(&file, "lp"), "{}", file.display());
    }
}

/// What is not finite has no number in JSON.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Float(number) if !number.is_finite() => number.to_string().into(),
        Value::Double(number) if !number.is_finite() => number.to_string().into(),
        Value::Array(items) => items.iter().map(json).collect(),
        Value::Record(fields) => fields.iter().map(|(name, value)| (name.clone(), json(value))).collect(),
        Value::Union(_, value) => json(value),
        other => serde_json::Value::try_from(other.clone()).unwrap(),
    }
}

#[test]
fn golden_bytes_hold_the_golden_values() {
    for file in golden() {
        let bytes = unhex(&read(&file, "hex"));
        let (_, mut body) = wire::split(&bytes).unwrap();
        let schema = Schema::parse_str(&read(&file, "avsc")).unwrap();
        let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut body).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&read(&file, "json")).unwrap();
        assert_eq!(json(&value), expected, "{}", file.display());
    }
}

#[test]
fn a_record_cut_anywhere_is_an_error_and_leaves_nothing_behind() {
    for file in golden() {
        let plan = plan(&read(&file, "avsc"));
        let bytes = unhex(&read(&file, "hex"));
        let (_, body) = wire::split(&bytes).unwrap();
        let mut out = b"before".to_vec();
        for end in 0..body.len() {
            assert!(append(&plan, &body[..end], &mut out).is_err(), "{} cut at {end}", file.display());
            assert_eq!(out, b"before");
        }
        let longer = [body, &[0]].concat();
        assert_eq!(append(&plan, &longer, &mut out), Err(PointError::Trailing(1)));
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut random = SmallRng::seed_from_u64(1);
    for file in golden() {
        let plan = plan(&read(&file, "avsc"));
        for _ in 0..2000 {
            let body: Vec<u8> = (0..random.random_range(0..200)).map(|_| random.random()).collect();
            let _ = append(&plan, &body, &mut Vec::new());
        }
    }
}

#[test]
fn what_is_wrong_with_a_body_is_told() {
    let text = r#"{"type":"record","name":"t","fields":[{"name":"private_efdStamp","type":"double"},
        {"name":"u","type":["null","int"]},{"name":"e","type":{"type":"enum","name":"e","symbols":["A"]}}]}"#;
    let plan = plan(text);
    let body = |seconds: f64, branch: i64, symbol: i64| {
        let mut body = Vec::new();
        avro::put_double(&mut body, seconds);
        avro::put_long(&mut body, branch);
        avro::put_long(&mut body, symbol);
        body
    };
    assert_eq!(line(&plan, &body(1.0, 0, 0)).unwrap(), "t private_efdStamp=1,e=\"A\" 1000000000\n");
    assert_eq!(line(&plan, &body(1.0, 2, 0)), Err(PointError::Branch(2)));
    assert_eq!(line(&plan, &body(1.0, 0, 1)), Err(PointError::Symbol(1)));
    assert_eq!(line(&plan, &body(1.0, 0, -1)), Err(PointError::Symbol(-1)));
    assert_eq!(line(&plan, &body(f64::NAN, 0, 0)), Err(PointError::Time(TimeError::Missing)));
    assert_eq!(line(&plan, &body(1e12, 0, 0)), Err(PointError::Time(TimeError::OutOfRange)));
}

#[test]
fn a_false_count_cannot_fill_the_memory() {
    let text = r#"{"type":"record","name":"t","fields":[{"name":"private_efdStamp","type":"double"},
        {"name":"b","type":{"type":"array","items":"boolean"}}]}"#;
    let plan = plan(text);
    let mut body = Vec::new();
    avro::put_double(&mut body, 1.0);
    avro::put_long(&mut body, i64::MAX);
    assert_eq!(line(&plan, &body), Err(PointError::Avro(AvroError::Truncated)));
    body.truncate(8);
    avro::put_long(&mut body, 4 << 20);
    body.resize(body.len() + (4 << 20), 0);
    assert_eq!(line(&plan, &body), Err(PointError::TooLong));
}

/// Around the longest key for a copy of fixed size, around the room for a line, and far beyond.
#[test]
fn keys_of_each_length_are_whole() {
    for length in (1..40).chain([100, 1000, 1024, 1025]) {
        let name = "x".repeat(length);
        let text = format!(
            r#"{{"type":"record","name":"t","fields":[{{"name":"private_efdStamp","type":"double"}},
                {{"name":"{name}","type":"int"}},{{"name":"{name}b","type":"boolean"}},
                {{"name":"{name}d","type":"double"}},{{"name":"{name}s","type":"string"}},{{"name":"{name}l","type":"long"}}]}}"#
        );
        let mut body = Vec::new();
        avro::put_double(&mut body, 1.0);
        avro::put_int(&mut body, 3);
        avro::put_bool(&mut body, true);
        avro::put_double(&mut body, -0.1);
        avro::put_str(&mut body, "s");
        avro::put_long(&mut body, i64::MIN);
        let fields =
            format!("{name}=3i,{name}b=true,{name}d=-0.1,{name}s=\"s\",{name}l=-9223372036854775808i");
        assert_eq!(line(&plan(&text), &body).unwrap(), format!("t private_efdStamp=1,{fields} 1000000000\n"));
    }
}

#[test]
fn a_scalar_whose_name_is_taken_is_passed_over_in_its_row() {
    let text = r#"{"type":"record","name":"t","fields":[{"name":"private_efdStamp","type":"double"},
        {"name":"a","type":{"type":"array","items":"int"},"default":[0,0]},
        {"name":"b","type":"int"},{"name":"a1","type":"int"},{"name":"c","type":"boolean"}]}"#;
    let mut body = Vec::new();
    avro::put_double(&mut body, 1.0);
    avro::put_array_start(&mut body, 2);
    for value in [7, 8] {
        avro::put_int(&mut body, value);
    }
    avro::put_array_end(&mut body);
    avro::put_int(&mut body, 1);
    avro::put_int(&mut body, 2);
    avro::put_bool(&mut body, false);
    let made = append(&plan(text), &body, &mut Vec::new()).unwrap();
    assert_eq!(made.values, 5);
    assert_eq!(
        line(&plan(text), &body).unwrap(),
        "t private_efdStamp=1,a0=7i,a1=8i,b=1i,c=false 1000000000\n"
    );
}

#[test]
fn of_two_elements_beyond_their_schemas_the_first_keeps_the_name() {
    let array = |name: &str| format!(r#"{{"name":"{name}","type":{{"type":"array","items":"int"}}}}"#);
    let text = format!(
        r#"{{"type":"record","name":"t","fields":[{{"name":"private_efdStamp","type":"double"}},{},{},{{"name":"a3","type":"int"}}]}}"#,
        array("a"),
        array("a1")
    );
    let mut body = Vec::new();
    avro::put_double(&mut body, 1.0);
    for values in [0..12, 20..23] {
        avro::put_array_start(&mut body, values.len());
        values.for_each(|value| avro::put_int(&mut body, value));
        avro::put_array_end(&mut body);
    }
    avro::put_int(&mut body, 99);
    // a10 and a11 are of the first array, a12 of the second, and a3 is declared.
    let elements = "a0=0i,a1=1i,a2=2i,a4=4i,a5=5i,a6=6i,a7=7i,a8=8i,a9=9i,a10=10i,a11=11i,a12=22i,a3=99i";
    assert_eq!(line(&plan(&text), &body).unwrap(), format!("t private_efdStamp=1,{elements} 1000000000\n"));
}

/// One random field: its schema, its value, and the fields of the point it gives.
fn random_field(name: &str, random: &mut SmallRng) -> (String, Value, Vec<(String, String)>) {
    let types = ["boolean", "int", "long", "float", "double", "string"];
    let ty = types[random.random_range(0..types.len())];
    let mut scalar = |field: String| {
        let value = random_value(ty, random);
        let text = field_text(&value).map(|text| (field, text));
        (value, text)
    };
    let (value, fields): (Value, Vec<_>) = match name.len() % 2 {
        0 => {
            let (value, text) = scalar(name.to_owned());
            (value, text.into_iter().collect())
        }
        _ => {
            let items: Vec<_> = (0..name.len()).map(|index| scalar(format!("{name}{index}"))).collect();
            let (values, texts): (Vec<_>, Vec<_>) = items.into_iter().unzip();
            (Value::Array(values), texts.into_iter().flatten().collect())
        }
    };
    let ty = if name.len().is_multiple_of(2) {
        format!(r#""{ty}""#)
    } else {
        format!(r#"{{"type":"array","items":"{ty}"}}"#)
    };
    match random.random_range(0..4) {
        0 => (format!(r#"["null",{ty}]"#), Value::Union(1, Box::new(value)), fields),
        1 => (format!(r#"[{ty},"null"]"#), Value::Union(0, Box::new(value)), fields),
        2 => (format!(r#"[{ty},"null"]"#), Value::Union(1, Box::new(Value::Null)), vec![]),
        _ => (ty, value, fields),
    }
}

fn random_value(ty: &str, random: &mut SmallRng) -> Value {
    match ty {
        "boolean" => Value::Boolean(random.random()),
        "int" => Value::Int(random.random::<i32>() >> random.random_range(0..32)),
        "long" => Value::Long(random.random::<i64>() >> random.random_range(0..64)),
        "float" => Value::Float(f32::from_bits(random.random())),
        "double" => Value::Double(f64::from_bits(random.random())),
        _ => Value::String(
            (0..random.random_range(0..9)).map(|_| random.random_range(' '..'\u{ff}')).collect(),
        ),
    }
}

/// A value in the form of [`parse_fields`]; none where it is left out.
fn field_text(value: &Value) -> Option<String> {
    let float = |value: f64| value.is_finite().then(|| format!("float {:?}", value.to_bits()));
    match value {
        Value::Boolean(value) => Some(format!("boolean {value}")),
        Value::Int(value) => Some(format!("integer {value}")),
        Value::Long(value) => Some(format!("integer {value}")),
        Value::Float(value) => float(f64::from(*value)),
        Value::Double(value) => float(*value),
        Value::String(value) => Some(format!("string {value}")),
        other => panic!("{other:?} is no scalar"),
    }
}

/// The fields of a line with their types, by a reader of its own: field by field, quotes and backslashes undone.
fn parse_fields(line: &str) -> BTreeMap<String, String> {
    let (_, mut rest) = line.split_once(' ').unwrap();
    let mut fields = BTreeMap::new();
    loop {
        let (name, after) = rest.split_once('=').unwrap();
        let (value, after) = if let Some(text) = after.strip_prefix('"') {
            let (mut value, mut chars) = (String::from("string "), text.chars());
            loop {
                match chars.next().unwrap() {
                    '\\' => value.push(chars.next().unwrap()),
                    '"' => break (value, chars.as_str()),
                    other => value.push(other),
                }
            }
        } else {
            let (text, _) = after.split_once([',', ' ']).unwrap();
            let value = match text {
                "true" | "false" => format!("boolean {text}"),
                _ if text.ends_with('i') => format!("integer {}", text.trim_end_matches('i')),
                _ => format!("float {:?}", text.parse::<f64>().unwrap().to_bits()),
            };
            (value, &after[text.len()..])
        };
        assert!(fields.insert(name.to_owned(), value).is_none(), "{name} twice");
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return fields,
        }
    }
}

#[test]
fn random_records_have_the_fields_that_apache_avro_encoded() {
    let mut random = SmallRng::seed_from_u64(7);
    for round in 0..300 {
        let names: Vec<String> =
            (0..random.random_range(1..20)).map(|n| format!("f{}", "_".repeat(n))).collect();
        let mut fields = vec![r#"{"name":"private_efdStamp","type":"double"}"#.to_owned()];
        let mut values = vec![("private_efdStamp".to_owned(), Value::Double(f64::from(round)))];
        let mut expected =
            BTreeMap::from([("private_efdStamp".to_owned(), field_text(&values[0].1).unwrap())]);
        for name in names {
            let (ty, value, texts) = random_field(&name, &mut random);
            fields.push(format!(r#"{{"name":"{name}","type":{ty}}}"#));
            values.push((name, value));
            expected.extend(texts);
        }
        let text = format!(r#"{{"type":"record","name":"r","fields":[{}]}}"#, fields.join(","));
        let schema = Schema::parse_str(&text).unwrap();
        let writer = GenericDatumWriter::builder(&schema).build().unwrap();
        let body = writer.write_value_to_vec(Value::Record(values)).unwrap();
        let line = line(&plan(&text), &body).unwrap();
        assert_eq!(parse_fields(&line), expected, "{text}");
        assert!(line.ends_with(&format!(" {}\n", i64::from(round) * 1_000_000_000)));
    }
}
