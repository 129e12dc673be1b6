//! A generated record of every schema of our interfaces, and of every golden schema if they are there, written to InfluxDB as the sink
//! writes it and read back: the same measurement, fields, types, values and time.

use std::collections::BTreeMap;
use std::path::Path;

use apache_avro::Schema;
use apache_avro::schema::RecordField;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use efd_schema::RecordSchema;
use efd_sink::{MappingConfig, Plan};
use efd_tests::{Generation, Options, Stack};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rstest::rstest;
use serde_json::Value;

/// Statements in one query.
const STATEMENTS: usize = 40;
/// Bytes of lines in one write.
const WRITE: usize = 1 << 20;

/// A point as it must come back: for each field type and value.
#[derive(Debug, Clone, PartialEq)]
struct Point {
    time: i64,
    fields: BTreeMap<String, Field>,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Boolean(bool),
    Integer(i64),
    /// `float` and `double`: bits of the number, of the `float` where it was one.
    Float(u64),
    Text(String),
}

#[rstest]
#[case::influxdb_1(Generation::V1)]
#[case::influxdb_2(Generation::V2)]
#[tokio::test]
async fn every_schema_gives_the_prescribed_point(#[case] generation: Generation) {
    let (mut schemas, golden) = (ours(), golden());
    if golden.is_empty() {
        println!("skipped: there are no golden schemas, only those of our interfaces are looked at");
    }
    let count = if golden.is_empty() { 100 } else { 500 };
    schemas.extend(golden);
    let stack = Stack::servers(Options::new(generation)).await.unwrap();
    if generation == Generation::V1 {
        stack.query("CREATE DATABASE efd").await.unwrap();
    }
    let mut random = SmallRng::seed_from_u64(3);
    let (mut lines, mut expected) = (Vec::new(), BTreeMap::new());
    for (number, text) in schemas.iter().enumerate() {
        if expected.contains_key(&measurement(text)) {
            continue;
        }
        let (schema, parsed) = (Schema::parse_str(text).unwrap(), RecordSchema::parse(text).unwrap());
        let (record, point) = generate(&schema, i64::try_from(number).unwrap(), &mut random);
        let body = GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(record).unwrap();
        let plan = Plan::compile(1, &parsed, &MappingConfig::default()).unwrap();
        efd_sink::append(&plan, &body, &mut lines).unwrap();
        expected.insert(measurement(text), point);
        if lines.len() > WRITE {
            write(&stack, &mut lines).await;
        }
    }
    write(&stack, &mut lines).await;
    assert!(expected.len() > count, "{}", expected.len());

    let names: Vec<&String> = expected.keys().collect();
    for names in names.chunks(STATEMENTS) {
        let types = stack.query(&statements(names, "SHOW FIELD KEYS FROM")).await.unwrap();
        let points = stack.query(&statements(names, "SELECT * FROM")).await.unwrap();
        for (place, name) in names.iter().enumerate() {
            let found = point(&types["results"][place], &points["results"][place], &expected[*name]);
            assert_eq!(found, expected[*name], "{name}");
        }
    }
}

async fn write(stack: &Stack, lines: &mut Vec<u8>) {
    if !lines.is_empty() {
        stack.write_lines(std::str::from_utf8(lines).unwrap()).await.unwrap();
        lines.clear();
    }
}

fn statements(names: &[&String], statement: &str) -> String {
    names.iter().map(|name| format!("{statement} \"{name}\"")).collect::<Vec<_>>().join(";")
}

/// Texts of the schemas of our own interfaces.
fn ours() -> Vec<String> {
    let components = ["ATCamera", "MTM1M3", "Test"].map(str::to_owned);
    let components = efd_ingest::interfaces::load(&efd_tests::interfaces(), &components).unwrap();
    components.iter().flat_map(|component| &component.topics).map(|topic| topic.avro_schema()).collect()
}

/// Texts of all golden schemas.
fn golden() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/avro_golden");
    let Ok(files) = folder.read_dir() else { return Vec::new() };
    let text = |line: &str| serde_json::from_str::<Value>(line).unwrap()["schema"].to_string();
    files
        .flat_map(|file| {
            let lines = std::fs::read_to_string(file.unwrap().path()).unwrap();
            lines.lines().map(text).collect::<Vec<_>>()
        })
        .collect()
}

fn measurement(text: &str) -> String {
    let schema: Value = serde_json::from_str(text).unwrap();
    let name = schema["name"].as_str().unwrap();
    schema["namespace"].as_str().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}.{name}"))
}

/// A record of a schema with values of all kinds, and its point by the rules: of two fields with one name the first declared
/// keeps it; null, NaN and infinities are left out.
fn generate(schema: &Schema, number: i64, random: &mut SmallRng) -> (Avro, Point) {
    let Schema::Record(record) = schema else { panic!("not a record") };
    let time = (1_700_000_000 + number) * 1_000_000_000 + 123_456_000;
    let mut point = Point { time, fields: BTreeMap::new() };
    let mut values = Vec::new();
    for field in &record.fields {
        let value = if field.name == "private_efdStamp" {
            Avro::Double(format!("{}.123456", 1_700_000_000 + number).parse().unwrap())
        } else {
            value_of(&field.schema, field, random)
        };
        note(&field.name, &value, &mut point.fields);
        values.push((field.name.clone(), value));
    }
    (Avro::Record(values), point)
}

fn value_of(schema: &Schema, field: &RecordField, random: &mut SmallRng) -> Avro {
    match schema {
        Schema::Boolean => Avro::Boolean(random.random()),
        Schema::Int => Avro::Int(random.random::<i32>() >> random.random_range(0..32)),
        Schema::Long => Avro::Long(random.random::<i64>() >> random.random_range(0..64)),
        Schema::Float if random.random_bool(0.1) => Avro::Float(f32::NAN),
        Schema::Float => Avro::Float(random.random_range(-1e6..1e6)),
        Schema::Double if random.random_bool(0.1) => Avro::Double(f64::NEG_INFINITY),
        // Fifteen digits, which every reader of JSON gets exactly.
        Schema::Double => Avro::Double(random.random_range(-1e14_f64..1e14).trunc() / 1000.0),
        Schema::String => {
            let letters = ['a', 'Z', ' ', ',', '=', '"', '\\', '\n', 'é', '日'];
            let length = random.random_range(0..12);
            Avro::String((0..length).map(|_| letters[random.random_range(0..letters.len())]).collect())
        }
        Schema::Array(array) => {
            let length = field.default.as_ref().and_then(Value::as_array).map_or(2, Vec::len);
            Avro::Array((0..length).map(|_| value_of(&array.items, field, random)).collect())
        }
        Schema::Union(union) => {
            let branch = random.random_range(0..2);
            let value = value_of(&union.variants()[branch], field, random);
            Avro::Union(u32::try_from(branch).unwrap(), Box::new(value))
        }
        Schema::Null => Avro::Null,
        other => panic!("{other:?} is new in the golden schemas"),
    }
}

fn note(name: &str, value: &Avro, fields: &mut BTreeMap<String, Field>) {
    let field = match value {
        Avro::Union(_, value) => return note(name, value, fields),
        Avro::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                note(&format!("{name}{index}"), item, fields);
            }
            return;
        }
        Avro::Boolean(value) => Field::Boolean(*value),
        Avro::Int(value) => Field::Integer(i64::from(*value)),
        Avro::Long(value) => Field::Integer(*value),
        Avro::Float(value) if value.is_finite() => Field::Float(u64::from(value.to_bits())),
        Avro::Double(value) if value.is_finite() => Field::Float(value.to_bits()),
        Avro::String(value) => Field::Text(value.clone()),
        _ => return,
    };
    fields.entry(name.to_owned()).or_insert(field);
}

/// What InfluxDB has. A number is taken for a `float` where one is expected, since its text is that of the double of the same value.
fn point(types: &Value, points: &Value, expected: &Point) -> Point {
    let types: BTreeMap<&str, &str> = types["series"][0]["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row[0].as_str().unwrap(), row[1].as_str().unwrap()))
        .collect();
    let series = &points["series"][0];
    let rows = series["values"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{series}");
    let mut found = Point { time: rows[0][0].as_i64().unwrap(), fields: BTreeMap::new() };
    for (column, value) in
        series["columns"].as_array().unwrap().iter().zip(rows[0].as_array().unwrap()).skip(1)
    {
        let name = column.as_str().unwrap();
        let field = match types[name] {
            "boolean" => Field::Boolean(value.as_bool().unwrap()),
            "integer" => Field::Integer(value.as_i64().unwrap()),
            "string" => Field::Text(value.as_str().unwrap().to_owned()),
            _ => {
                let number = value.as_f64().unwrap();
                let is_float =
                    matches!(expected.fields.get(name), Some(Field::Float(bits)) if *bits >> 32 == 0);
                #[expect(clippy::cast_possible_truncation, reason = "it was a float")]
                let bits = if is_float { u64::from((number as f32).to_bits()) } else { number.to_bits() };
                Field::Float(bits)
            }
        };
        found.fields.insert(name.to_owned(), field);
    }
    found
}
