//! Tests of what InfluxDB and SAL cannot take.

use serde_json::{Value as Json, json};

use super::*;

/// A topic of SAL: its private fields, then these.
fn topic(fields: &[Json]) -> Schema {
    named("forces", fields, &[])
}

fn named(name: &str, fields: &[Json], without: &[&str]) -> Schema {
    let types = |ty: FieldType| match ty.stored() {
        StoredType::Integer => "int",
        StoredType::String => "string",
        _ => "double",
    };
    let private = private_fields(true).into_iter().filter(|field| !without.contains(&field.name.as_str()));
    let mut all: Vec<Json> =
        private.map(|field| json!({"name": field.name, "type": types(field.ty)})).collect();
    all.extend_from_slice(fields);
    let schema = json!({"type": "record", "name": name, "namespace": "lsst.sal.X", "fields": all});
    Schema::parse_str(&schema.to_string()).unwrap()
}

fn scalar(name: &str, ty: &str) -> Json {
    json!({"name": name, "type": ty})
}

fn array(name: &str, ty: &str, length: usize) -> Json {
    let zero = if ty == "int" { json!(0) } else { json!(0.0) };
    json!({"name": name, "type": {"type": "array", "items": ty}, "default": vec![zero; length]})
}

fn texts(new: &Schema, earlier: &[Schema]) -> Vec<String> {
    let earlier: Vec<(u32, Schema)> = (1..).zip(earlier.iter().cloned()).collect();
    findings(new, &earlier).iter().map(ToString::to_string).collect()
}

#[test]
fn a_topic_of_sal_is_taken_and_so_are_its_changes() {
    let first = topic(&[scalar("a", "float"), array("f", "double", 3)]);
    let second = topic(&[
        scalar("a", "double"),
        json!({"name": "b", "type": ["null", "long"], "default": null}),
        array("f", "float", 6),
    ]);
    assert_eq!(texts(&first, &[]), Vec::<String>::new());
    assert_eq!(texts(&second, &[first]), Vec::<String>::new());
}

#[test]
fn a_value_that_changes_its_type_is_named_with_the_latest_version_that_has_it_otherwise() {
    let float = topic(&[scalar("a", "float"), array("f", "double", 3)]);
    let int = topic(&[scalar("a", "int"), array("f", "double", 3)]);
    let told = texts(&int, &[float.clone(), float.clone(), int.clone()]);
    assert_eq!(
        told,
        [
            "field a: InfluxDB has a as float since version 2 and would refuse it as integer; give the field another name"
        ]
    );
    let told = texts(&topic(&[scalar("a", "float"), array("f", "int", 9)]), std::slice::from_ref(&float));
    assert!(told.len() == 1 && told[0].starts_with("field f: InfluxDB has f0 as float"), "{told:?}");
    // A new array whose element has the name of an old scalar.
    let told = texts(&topic(&[array("g", "int", 3)]), &[topic(&[scalar("g2", "double")])]);
    assert!(told.len() == 1 && told[0].starts_with("field g: InfluxDB has g2 as float"), "{told:?}");
    let nullable = topic(&[json!({"name": "a", "type": ["null", "string"], "default": null})]);
    assert!(texts(&nullable, &[float])[0].contains("would refuse it as string"));
}

#[test]
fn another_record_name_is_another_measurement() {
    let float = topic(&[scalar("a", "float")]);
    assert!(texts(&named("other", &[scalar("a", "int")], &[]), &[float]).is_empty());
}

#[test]
fn fields_that_flatten_to_one_name_are_both_named() {
    let told = texts(&topic(&[array("temp", "double", 5), scalar("temp3", "double")]), &[]);
    assert_eq!(
        told,
        [
            "fields temp and temp3: both are stored as temp3, and the values of one are lost; rename one of them"
        ]
    );
    let beyond = topic(&[array("temp", "double", 5), scalar("temp5", "double")]);
    assert!(texts(&beyond, &[]).is_empty(), "beyond the array's end nothing is lost");
    let unknown_length = topic(&[
        json!({"name": "temp", "type": {"type": "array", "items": "double"}}),
        scalar("temp1", "double"),
    ]);
    assert_eq!(texts(&unknown_length, &[]).len(), 1);
}

#[test]
fn private_fields_that_are_missing_or_of_another_type_are_named() {
    let told = texts(&named("forces", &[], &["private_efdStamp", "private_origin"]), &[]);
    assert_eq!(told, ["fields private_efdStamp, private_origin: missing, and every SAL topic has them"]);
    let text = named("forces", &[scalar("private_efdStamp", "string")], &["private_efdStamp"]);
    assert_eq!(texts(&text, &[]), ["field private_efdStamp: SAL's is stored as float"]);
    assert!(texts(&named("forces", &[], &["salIndex"]), &[]).is_empty(), "not every component has an index");
}

#[test]
fn what_influxdb_has_no_type_for_is_named() {
    let map = topic(&[json!({"name": "m", "type": {"type": "map", "values": "int"}})]);
    let told = texts(&map, &[]);
    assert!(told.len() == 1 && told[0].starts_with("field m: type"), "{told:?}");
    assert_eq!(texts(&Schema::String, &[]), ["schema is not a record, so InfluxDB cannot store it"]);
}

#[test]
fn of_many_findings_the_first_are_told() {
    let fields: Vec<Json> = std::iter::once(array("t", "double", 30))
        .chain((0..30).map(|n| scalar(&format!("t{n}"), "int")))
        .collect();
    let found = findings(&topic(&fields), &[]);
    let line = told(&found);
    assert!(found.len() == 30 && line.ends_with("; and 20 more") && !line.contains('\n'), "{line}");
}

#[test]
fn the_longest_prefix_of_a_subject_gives_its_policy() {
    let policies: Policies =
        serde_json::from_str(r#"{"": "warn", "lsst.": "refuse", "lsst.test.": "off"}"#).unwrap();
    let table = [
        ("lsst.sal.X.forces-value", Policy::Refuse),
        ("lsst.test.X.forces-value", Policy::Off),
        ("weather-value", Policy::Warn),
        ("lsst.sal.X.forces-key", Policy::Off),
    ];
    for (subject, policy) in table {
        assert_eq!(policies.of(subject), policy, "{subject}");
    }
    assert_eq!(Policies::default().of("lsst.sal.X.forces-value"), Policy::Warn);
    assert_eq!(Policies::default().of("orders-value"), Policy::Off);
    assert!(serde_json::from_str::<Policies>(r#"{"lsst.": "no"}"#).is_err());
}
