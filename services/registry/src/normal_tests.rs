//! Tests of normalisation: examples, and random schemas.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn what_cannot_matter_is_brought_into_one_order() {
    let table = [
        (
            r#"{"zone":1,"type":"record","name":"r","fields":[{"units":"m","name":"a","type":"int","description":"x","default":0}],"area":{"b":1,"a":2}}"#,
            r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int","default":0,"description":"x","units":"m"}],"area":{"b":1,"a":2},"zone":1}"#,
        ),
        (
            r#"{"type":"record","name":"a.r","doc":"","aliases":["z","b.a","c"],"fields":[{"name":"f","type":"int","aliases":["y","x"]}]}"#,
            r#"{"type":"record","name":"r","namespace":"a","fields":[{"name":"f","type":"int","aliases":["x","y"]}],"aliases":["c","z","b.a"]}"#,
        ),
        (
            r#"{"type":"record","name":"a.r","fields":[{"name":"f","type":"a.r"}]}"#,
            r#"{"type":"record","name":"r","namespace":"a","fields":[{"name":"f","type":"r"}]}"#,
        ),
        (
            r#"{"z":1,"logicalType":"decimal","type":"bytes","scale":2,"precision":4}"#,
            r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2,"z":1}"#,
        ),
        (r#"[{"type":"string"},"null"]"#, r#"["string","null"]"#),
    ];
    for (text, expected) in table {
        assert_eq!(normalized(text).unwrap(), expected);
    }
    assert!(normalized("{").is_err());
}

#[test]
fn what_may_matter_stays() {
    for text in [
        r#"{"type":"record","name":"r","fields":[{"name":"b","type":"int"},{"name":"a","type":"int"}]}"#,
        r#"{"type":"enum","name":"e","symbols":["B","A"],"default":"A"}"#,
        r#"["string","null","int"]"#,
        r#"{"type":"record","name":"r","doc":"d","fields":[{"name":"m","type":{"type":"map","values":"int"},"doc":"","default":{"b":1,"a":2}}]}"#,
    ] {
        assert_eq!(normalized(text).unwrap(), text);
    }
}

/// A schema with attributes, aliases and documentation in any order. Names of types are made unique afterwards.
fn schemas() -> impl Strategy<Value = Value> {
    let primitive =
        prop::sample::select(vec!["null", "boolean", "int", "long", "float", "double", "bytes", "string"]);
    let leaf = prop_oneof![
        4 => primitive.prop_map(|name| json!(name)),
        1 => attributes().prop_map(|extra| with(json!({"type": "long", "logicalType": "timestamp-millis"}), extra)),
        1 => (attributes(), aliases()).prop_map(|(extra, aliases)| {
            with(json!({"symbols": ["B", "A"], "aliases": aliases, "type": "enum", "name": "?"}), extra)
        }),
        1 => attributes().prop_map(|extra| with(json!({"size": 4, "name": "?", "type": "fixed"}), extra)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let field = (inner.clone(), attributes(), prop::option::of("[a-c ]{0,3}"));
        prop_oneof![
            (inner.clone(), attributes()).prop_map(|(items, extra)| with(json!({"items": items, "type": "array"}), extra)),
            (inner, attributes()).prop_map(|(values, extra)| with(json!({"type": "map", "values": values}), extra)),
            (prop::collection::vec(field, 0..4), attributes(), aliases(), prop::sample::select(vec!["", "d"])).prop_map(
                |(fields, extra, aliases, doc)| {
                    let fields: Vec<Value> = fields
                        .into_iter()
                        .enumerate()
                        .map(|(number, (ty, extra, doc))| {
                            let mut field = json!({"type": ty, "name": format!("f{number}")});
                            if let Some(doc) = doc {
                                field["doc"] = doc.into();
                            }
                            with(field, extra)
                        })
                        .collect();
                    let record = json!({"fields": fields, "doc": doc, "aliases": aliases, "name": "?", "type": "record"});
                    with(record, extra)
                }
            ),
        ]
    })
    .prop_map(|mut schema| {
        name_types(&mut schema, &mut 0);
        schema
    })
}

fn attributes() -> impl Strategy<Value = Vec<(String, i32)>> {
    prop::collection::vec(("[u-z]{1,2}", 0..9), 0..3)
}

fn aliases() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("(n\\.)?[A-Z]{6}", 0..3)
}

fn with(mut schema: Value, extra: Vec<(String, i32)>) -> Value {
    schema.as_object_mut().unwrap().extend(extra.into_iter().map(|(name, value)| (name, value.into())));
    schema
}

fn name_types(schema: &mut Value, count: &mut usize) {
    if schema.get("name") == Some(&json!("?")) {
        *count += 1;
        let space = if count.is_multiple_of(2) { "n." } else { "" };
        schema["name"] = format!("{space}T{count}").into();
        if let Some(aliases) = schema.get_mut("aliases").and_then(Value::as_array_mut) {
            // An alias names one type only.
            for (number, alias) in aliases.iter_mut().enumerate() {
                *alias = format!("{}{count}x{number}", alias.as_str().unwrap()).into();
            }
        }
    }
    for place in ["items", "values", "type"] {
        if let Some(part) = schema.get_mut(place).filter(|part| part.is_object()) {
            name_types(part, count);
        }
    }
    for field in schema.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten() {
        name_types(&mut field["type"], count);
    }
}

/// The same with all keys of all objects in the opposite order.
fn reversed(schema: &Value) -> Value {
    match schema {
        Value::Array(parts) => parts.iter().map(reversed).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().rev().map(|(name, part)| (name.clone(), reversed(part))).collect())
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_normalised_schema_means_the_same_and_stays_as_it_is(schema in schemas()) {
        let text = schema.to_string();
        let normal = normalized(&text).unwrap();
        prop_assert_eq!(&normalized(&normal).unwrap(), &normal);
        let before = apache_avro::Schema::parse_str(&text).unwrap();
        let after = apache_avro::Schema::parse_str(&normal).unwrap();
        // The fingerprints of a schema are hashes of this.
        prop_assert_eq!(before.canonical_form(), after.canonical_form());
        let told = crate::compatibility::check(crate::compatibility::Level::Full, &after, &before);
        prop_assert!(told.is_ok(), "{:?}", told);
    }

    #[test]
    fn the_order_of_keys_makes_no_other_schema(schema in schemas()) {
        let turned = reversed(&schema).to_string();
        prop_assert_eq!(normalized(&schema.to_string()).unwrap(), normalized(&turned).unwrap());
    }
}
