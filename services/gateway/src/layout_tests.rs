//! Tests of the layout of topics.

use super::*;

fn array(name: &str, length: usize) -> String {
    let default = vec!["0"; length].join(",");
    format!(r#"{{"name":"{name}","type":{{"type":"array","items":"int"}},"default":[{default}]}}"#)
}

fn scalar(name: &str, ty: &str) -> String {
    format!(r#"{{"name":"{name}","type":{ty},"units":"deg","description":"what"}}"#)
}

fn layout(fields: &[String]) -> Layout {
    let text =
        format!(r#"{{"type":"record","name":"y","namespace":"lsst.sal.X","fields":[{}]}}"#, fields.join(","));
    Layout::new(&RecordSchema::parse(&text).unwrap())
}

fn columns(layout: &Layout, name: &str) -> Vec<String> {
    let selected = layout.select(&[name.to_owned()], "lsst.sal.X.y").unwrap();
    selected.iter().flat_map(FieldLayout::columns).collect()
}

#[test]
fn scalars_keep_their_names_and_arrays_are_expanded_from_the_schema() {
    let layout = layout(&[scalar("a1", "\"double\""), array("b", 3)]);
    let all: Vec<String> = layout.select(&[], "t").unwrap().iter().flat_map(FieldLayout::columns).collect();
    assert_eq!(all, ["a1", "b0", "b1", "b2"]);
    let fields: Vec<&Field> = layout.fields().collect();
    assert_eq!((fields[0].r#type(), fields[0].array_length), (FieldType::Double, None));
    assert_eq!((fields[0].unit.as_str(), fields[0].description.as_str()), ("deg", "what"));
    assert_eq!((fields[1].r#type(), fields[1].array_length), (FieldType::Int, Some(3)));
}

#[test]
fn the_field_declared_first_has_a_name_that_two_claim() {
    let array_first = layout(&[array("free", 3), scalar("free1", "\"boolean\"")]);
    assert_eq!(columns(&array_first, "free"), ["free0", "free1", "free2"]);
    assert!(columns(&array_first, "free1").is_empty());
    let scalar_first = layout(&[scalar("free1", "\"boolean\""), array("free", 3)]);
    assert_eq!(columns(&scalar_first, "free"), ["free0", "free2"]);
    let free = &scalar_first.select(&["free".into()], "t").unwrap()[0];
    assert_eq!(free.stored, [true, false, true]);
    let arrays = layout(&[array("cols", 21), array("cols2", 2)]);
    assert_eq!(arrays.select(&["cols2".into()], "t").unwrap()[0].stored, [false, true]);
}

#[test]
fn a_field_called_time_is_never_stored() {
    assert!(columns(&layout(&[scalar("time", "\"long\"")]), "time").is_empty());
}

#[test]
fn a_union_with_null_is_the_type_beside_null() {
    let layout = layout(&[
        scalar("a", r#"["null","long"]"#),
        scalar("e", r#"{"type":"enum","name":"E","symbols":["ON","OFF"]}"#),
        scalar("x", r#"{"type":"fixed","name":"F","size":4}"#),
    ]);
    let types: Vec<FieldType> = layout.fields().map(Field::r#type).collect();
    assert_eq!(types, [FieldType::Long, FieldType::Enum, FieldType::Bytes]);
}

#[test]
fn a_length_the_schema_does_not_state_comes_from_what_is_stored() {
    let unknown = r#"{"name":"v","type":["null",{"type":"array","items":"double"}],"default":null}"#;
    let mut layout = layout(&[scalar("v1", "\"double\""), unknown.to_owned()]);
    assert!(layout.select(&["v".into()], "t").unwrap()[0].lacks_length());
    let stored = ["v0", "v1", "v3", "v01", "v+2", "vx", "v", "w5", "v4000000000"].map(str::to_owned);
    layout.find_lengths(&stored);
    assert_eq!(columns(&layout, "v"), ["v0", "v3"]);
    assert_eq!(layout.select(&["v".into()], "t").unwrap()[0].field.array_length, Some(4));
}

#[test]
fn an_unknown_field_is_named_with_what_may_have_been_meant() {
    let layout = layout(&[scalar("pressure", "\"double\""), scalar("temperature", "\"double\"")]);
    let error = layout.select(&["presure".into()], "lsst.sal.X.y").unwrap_err().to_string();
    assert_eq!(error, "topic lsst.sal.X.y has no field presure; did you mean pressure?");
    let twice = layout.select(&["pressure".into(), "pressure".into()], "t").unwrap_err().to_string();
    assert_eq!(twice, "field pressure is named twice");
}
