//! Random interfaces all the way: interface files to topics, to schemas, to bytes, and back to the same values by a
//! second Avro library.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::io;

use apache_avro::types::Value as Decoded;
use efd_ingest::encode::RecordPlan;
use efd_sal::{Component, Field, FieldType, Folder, NullBranch, PrivateFields, Release, Topic, Value};
use efd_schema::{RecordSchema, Type, wire};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const IDL_TYPES: [&str; 15] = [
    "boolean",
    "byte",
    "short",
    "int",
    "long",
    "long long",
    "unsigned short",
    "unsigned int",
    "float",
    "double",
    "string",
    "octet",
    "char",
    "unsigned long",
    "unsigned long long",
];
const AVRO_TYPES: [&str; 6] = ["boolean", "int", "long", "float", "double", "string"];
const SCHEMA_ID: u32 = 7;

/// A field as a file states it.
#[derive(Debug, Clone)]
struct Stated {
    name: String,
    ty: usize,
    count: usize,
    null: Option<NullBranch>,
    units: String,
    description: String,
}

/// A release with one component.
#[derive(Debug, Clone)]
struct Stage {
    indexed: bool,
    telemetry: Vec<Stated>,
    event: Vec<Stated>,
    camera: Vec<Stated>,
}

fn stated() -> impl Strategy<Value = Stated> {
    let null = prop_oneof![Just(None), Just(Some(NullBranch::First)), Just(Some(NullBranch::Last))];
    ("[a-z][A-Za-z0-9_]{0,12}", 0..IDL_TYPES.len(), 1..7_usize, null, "(\\PC){0,6}", "(\\PC|\n){0,24}")
        .prop_map(|(name, ty, count, null, units, description)| Stated {
            name,
            ty,
            count,
            null,
            units,
            description,
        })
}

/// Fields with different names.
fn fields() -> impl Strategy<Value = Vec<Stated>> {
    prop::collection::vec(stated(), 0..12).prop_map(|mut fields| {
        for (index, field) in fields.iter_mut().enumerate() {
            field.name = format!("{}_{index}x", field.name);
        }
        fields
    })
}

fn stage() -> impl Strategy<Value = Stage> {
    (any::<bool>(), fields(), fields(), fields()).prop_map(|(indexed, telemetry, event, camera)| Stage {
        indexed,
        telemetry,
        event,
        camera,
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn xml(element: &str, topic: &str, fields: &[Stated]) -> String {
    let item = |field: &Stated| {
        format!(
            "<item><EFDB_Name>{}</EFDB_Name><Description>{}</Description><IDL_Type>{}</IDL_Type><Units>{}</Units>\
             <Count>{}</Count></item>",
            field.name,
            escaped(&field.description),
            IDL_TYPES[field.ty],
            escaped(&field.units),
            field.count
        )
    };
    let items: String = fields.iter().map(item).collect();
    format!(
        "<{element}Set><{element}><EFDB_Topic>Dome_{topic}</EFDB_Topic>{items}</{element}></{element}Set>"
    )
}

/// A camera's Avro file.
fn avro_file(fields: &[Stated]) -> String {
    let field = |field: &Stated| {
        let name = AVRO_TYPES[field.ty % AVRO_TYPES.len()];
        let ty = match field.null {
            None => serde_json::json!(name),
            Some(NullBranch::First) => serde_json::json!(["null", name]),
            Some(NullBranch::Last) => serde_json::json!([name, "null"]),
        };
        serde_json::json!({"name": field.name, "type": ty, "description": field.description, "units": field.units})
    };
    let fields: Vec<_> = fields.iter().map(field).collect();
    serde_json::json!({"type": "record", "name": "any", "namespace": "any", "fields": fields}).to_string()
}

fn component(stage: &Stage) -> Component {
    let indices = if stage.indexed { "any" } else { "no" };
    let list = format!(
        "<SALSubsystemSet><SALSubsystem><Name>Dome</Name><IndexEnumeration>{indices}</IndexEnumeration></SALSubsystem>\
         </SALSubsystemSet>"
    );
    let files = HashMap::from([
        ("SALSubsystems.xml", list),
        ("SALGenerics.xml", "<SALObjects/>".to_owned()),
        ("Dome/Dome_Telemetry.xml", xml("SALTelemetry", "motion", &stage.telemetry)),
        ("Dome/Dome_Events.xml", xml("SALEvent", "logevent_door", &stage.event)),
        ("Dome/avsc/camera.avsc", avro_file(&stage.camera)),
    ]);
    let folder = Folder {
        label: "random".into(),
        read: Box::new(move |path| files.get(path).cloned().ok_or(io::ErrorKind::NotFound.into())),
        list: Box::new(|folder| match folder {
            "Dome/avsc" => Ok(vec!["camera.avsc".into()]),
            _ => Err(io::ErrorKind::NotFound.into()),
        }),
    };
    Release::open(folder).and_then(|release| release.component("Dome")).expect("a right release")
}

/// Any value that a field can hold, every bit pattern of a number among them.
fn value(field: &Field, rng: &mut SmallRng) -> Value {
    if field.null.is_some() && rng.random() {
        return Value::Null;
    }
    let count = field.count;
    match (field.ty, field.is_array()) {
        (FieldType::Boolean, false) => Value::Boolean(rng.random()),
        (FieldType::Int, false) => Value::Int(rng.random()),
        (FieldType::Long, false) => Value::Long(rng.random()),
        (FieldType::Float, false) => Value::Float(f32::from_bits(rng.random())),
        (FieldType::Double, false) => Value::Double(f64::from_bits(rng.random())),
        (FieldType::String, _) => {
            Value::String((0..rng.random_range(0..9)).map(|_| rng.random::<char>()).collect())
        }
        (FieldType::Boolean, true) => Value::Booleans((0..count).map(|_| rng.random()).collect()),
        (FieldType::Int, true) => Value::Ints((0..count).map(|_| rng.random()).collect()),
        (FieldType::Long, true) => Value::Longs((0..count).map(|_| rng.random()).collect()),
        (FieldType::Float, true) => Value::Floats((0..count).map(|_| f32::from_bits(rng.random())).collect()),
        (FieldType::Double, true) => {
            Value::Doubles((0..count).map(|_| f64::from_bits(rng.random())).collect())
        }
    }
}

/// What the other library must give; numbers as their bits, so that NaN equals itself.
fn expected(field: &Field, value: &Value) -> String {
    let value = match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(value) => format!("{value}"),
        Value::Int(value) => format!("{value}"),
        Value::Long(value) => format!("{value}"),
        Value::Float(value) => format!("{:x}", value.to_bits()),
        Value::Double(value) => format!("{:x}", value.to_bits()),
        Value::String(value) => format!("{value:?}"),
        Value::Booleans(values) => format!("{values:?}"),
        Value::Ints(values) => format!("{values:?}"),
        Value::Longs(values) => format!("{values:?}"),
        Value::Floats(values) => list(values.iter().map(|value| format!("{:x}", value.to_bits()))),
        Value::Doubles(values) => list(values.iter().map(|value| format!("{:x}", value.to_bits()))),
    };
    match field.null {
        None => value,
        Some(null) => {
            let branch = usize::from((value == "null") == (null == NullBranch::Last));
            format!("branch {branch}: {value}")
        }
    }
}

fn decoded(value: &Decoded) -> String {
    match value {
        Decoded::Null => "null".to_owned(),
        Decoded::Boolean(value) => format!("{value}"),
        Decoded::Int(value) => format!("{value}"),
        Decoded::Long(value) => format!("{value}"),
        Decoded::Float(value) => format!("{:x}", value.to_bits()),
        Decoded::Double(value) => format!("{:x}", value.to_bits()),
        Decoded::String(value) => format!("{value:?}"),
        Decoded::Array(items) => list(items.iter().map(decoded)),
        Decoded::Union(branch, value) => format!("branch {branch}: {}", decoded(value)),
        other => panic!("{other:?}"),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// Encodes one record of a topic and reads it with the other library.
fn round_trip(topic: &Topic, rng: &mut SmallRng) -> Result<(), TestCaseError> {
    let text = topic.avro_schema();
    let schema = apache_avro::Schema::parse_str(&text)
        .map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
    let own: Vec<&Field> = topic.fields.iter().filter(|field| !field.is_private).collect();
    let values: Vec<Value> = own.iter().map(|field| value(field, rng)).collect();
    let rev_code = topic.rev_code();
    let private = PrivateFields {
        sal_index: topic.indexed.then(|| rng.random()),
        snd_stamp: rng.random(),
        rcv_stamp: rng.random(),
        efd_stamp: rng.random(),
        kafka_stamp: rng.random(),
        seq_num: rng.random(),
        rev_code: &rev_code,
        identity: "Dome:1",
        origin: rng.random(),
    };
    let mut bytes = Vec::new();
    RecordPlan::new(topic, SCHEMA_ID).encode(&private, &values, &mut bytes).expect("values that fit");
    let (id, mut body) = wire::split(&bytes).expect("our own wire format");
    prop_assert_eq!(id, SCHEMA_ID);
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().expect("a reader");
    let record = reader.read_value(&mut body).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert!(body.is_empty(), "{} bytes are left", body.len());
    let Decoded::Record(record) = record else { panic!("not a record") };
    let names: Vec<&str> = record.iter().map(|(name, _)| name.as_str()).collect();
    let declared: Vec<&str> = topic.fields.iter().map(|field| field.name.as_str()).collect();
    prop_assert_eq!(names, declared);
    let read: HashMap<&str, String> =
        record.iter().map(|(name, value)| (name.as_str(), decoded(value))).collect();
    for (field, value) in own.iter().zip(&values) {
        prop_assert_eq!(&read[field.name.as_str()], &expected(field, value), "{}", field.name);
    }
    prop_assert_eq!(&read["private_revCode"], &format!("{rev_code:?}"));
    prop_assert_eq!(&read["private_seqNum"], &private.seq_num.to_string());
    prop_assert_eq!(&read["private_efdStamp"], &format!("{:x}", private.efd_stamp.to_bits()));
    if let Some(index) = private.sal_index {
        prop_assert_eq!(&read["salIndex"], &index.to_string());
    }
    Ok(())
}

/// The schema says of each field what the interface says, as the sink and the gateway read it.
fn reads_alike(topic: &Topic) -> Result<(), TestCaseError> {
    let schema =
        RecordSchema::parse(&topic.avro_schema()).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&schema.name, &topic.measurement());
    for (ours, read) in topic.fields.iter().zip(&schema.fields) {
        prop_assert_eq!(&ours.name, &read.name);
        prop_assert_eq!(&schema_type(ours), &read.ty);
        prop_assert_eq!(ours.is_array().then_some(ours.count), read.length);
        prop_assert_eq!(ours.description.as_str(), read.description.as_deref().unwrap_or_default());
        prop_assert_eq!(Some(ours.units.as_str()), read.units.as_deref());
    }
    prop_assert_eq!(topic.fields.len(), schema.fields.len());
    Ok(())
}

fn schema_type(field: &Field) -> Type {
    let ty = match field.ty {
        FieldType::Boolean => Type::Boolean,
        FieldType::Int => Type::Int,
        FieldType::Long => Type::Long,
        FieldType::Float => Type::Float,
        FieldType::Double => Type::Double,
        FieldType::String => Type::String,
    };
    let ty = if field.is_array() { Type::Array(Box::new(ty)) } else { ty };
    match field.null {
        None => ty,
        Some(null) => {
            Type::Nullable { null_branch: usize::from(null == NullBranch::Last), inner: Box::new(ty) }
        }
    }
}

proptest! {
    #[test]
    fn what_goes_in_comes_out_of_another_avro_library(stage in stage(), seed in any::<u64>()) {
        let component = component(&stage);
        prop_assert_eq!(component.topics.len(), 4);
        let mut rng = SmallRng::seed_from_u64(seed);
        for topic in &component.topics {
            reads_alike(topic)?;
            for _ in 0..3 {
                round_trip(topic, &mut rng)?;
            }
        }
    }
}
