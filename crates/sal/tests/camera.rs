//! Camera topics from Avro files: where they are found, what SAL makes of them, what is refused.

mod folder;

use efd_sal::{FieldType, NullBranch, TopicKind};
use folder::{Folder, topic};

const TELEMETRY: &str = "Dome/Dome_Telemetry.xml";

const PRESSURE: &str = r#"{
  "type" : "record",
  "namespace" : "somewhere.else",
  "name" : "other",
  "fields" : [
    {"name" : "timestamp", "type" : {"type": "long", "logicalType": "timestamp-millis"}, "units" : "millisecond"},
    {"name" : "cold", "type" : ["null", "double"], "default" : null, "description" : "° of cold", "units" : "K"},
    {"name" : "warm", "default" : 1e-7, "type" : ["float", "null"], "doc" : "warm\nside"},
    {"name" : "steps", "type" : {"type": "array", "items": "int"}, "default" : [0, 0]},
    {"name" : "Raft", "type" : "string", "description" : "This is a tag"}
  ]
}"#;

fn dome() -> Folder {
    let set = topic("SALTelemetry", "Dome_pressure", "").replace(
        "</SALTelemetrySet>",
        "<SALTelemetry><EFDB_Topic>Dome_azimuth</EFDB_Topic></SALTelemetry></SALTelemetrySet>",
    );
    Folder::current("no", "").with(TELEMETRY, &set)
}

fn names(folder: &Folder) -> Vec<String> {
    let dome = folder.release().component("Dome").expect("the test's own component");
    dome.topics.into_iter().map(|topic| topic.sal_name).collect()
}

fn problem(text: &str) -> String {
    let folder = dome().with("Dome/avsc/pressure.avsc", text);
    folder.release().component("Dome").expect_err("a wrong file").to_string()
}

fn field_problem(field: &str) -> String {
    problem(&format!("{{\"type\": \"record\", \"name\": \"pressure\", \"fields\": [\n{field}\n]}}"))
}

#[test]
fn an_avro_file_takes_the_place_of_its_xml_topic_and_others_come_last() {
    let folder = dome()
        .with("Dome/avsc/pressure.avsc", PRESSURE)
        .with("Dome/avsc/zeta.avsc", PRESSURE)
        .with("Dome/avsc/alpha.avsc", PRESSURE)
        .with("Dome/avsc/README.md", "not a topic");
    assert_eq!(names(&folder), ["logevent_heartbeat", "pressure", "azimuth", "ackcmd", "alpha", "zeta"]);
    let dome = folder.release().component("Dome").unwrap();
    let pressure = dome.topic("pressure").unwrap();
    assert_eq!((pressure.kind, pressure.fields.len()), (TopicKind::Telemetry, 13));
    assert_eq!(pressure.measurement(), "lsst.sal.Dome.pressure");
}

#[test]
fn the_fields_of_the_file_come_first_and_know_their_null() {
    let dome = dome().with("Dome/avsc/pressure.avsc", PRESSURE).release().component("Dome").unwrap();
    let fields = &dome.topic("pressure").unwrap().fields;
    let summary: Vec<_> = fields
        .iter()
        .take(6)
        .map(|field| (field.name.as_str(), field.ty, field.count, field.null, field.is_private))
        .collect();
    assert_eq!(
        summary,
        [
            ("timestamp", FieldType::Long, 1, None, false),
            ("cold", FieldType::Double, 1, Some(NullBranch::First), false),
            ("warm", FieldType::Float, 1, Some(NullBranch::Last), false),
            ("steps", FieldType::Int, 2, None, false),
            ("Raft", FieldType::String, 1, None, false),
            ("private_sndStamp", FieldType::Double, 1, None, true),
        ]
    );
    assert_eq!(fields.iter().map(|field| field.units.as_str()).nth(4), Some("unitless"));
}

#[test]
fn the_schema_is_the_file_with_keys_in_sals_order() {
    let dome = dome().with("Dome/avsc/pressure.avsc", PRESSURE).release().component("Dome").unwrap();
    let schema = dome.topic("pressure").unwrap().avro_schema();
    let start = r#"{"type": "record", "name": "pressure", "fields": [{"units": "millisecond", "name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}}, {"description": "\u00b0 of cold", "units": "K", "default": null, "name": "cold", "type": ["null", "double"]}, {"doc": "warm\nside", "default": 1e-07, "name": "warm", "type": ["float", "null"]}, {"default": [0, 0], "name": "steps", "type": {"type": "array", "items": "int"}}, {"description": "This is a tag", "name": "Raft", "type": "string"}, {"name": "private_sndStamp", "type": "double", "default": 0.0, "#;
    assert!(schema.starts_with(start), "{schema}");
    assert!(schema.ends_with(r#""units": "unitless"}], "namespace": "lsst.sal.Dome"}"#), "{schema}");
}

#[test]
fn the_files_are_found_in_every_layout() {
    let layouts = [
        ("", "../interfaces/Dome/"),
        ("", "Dome/avsc/"),
        ("sal_interfaces/", "interfaces/Dome/"),
        ("data/sal_interfaces/", "data/interfaces/Dome/"),
        ("python/lsst/ts/xml/data/sal_interfaces/", "python/lsst/ts/xml/data/interfaces/Dome/"),
    ];
    for (layout, place) in layouts {
        let folder = dome().under(layout).with(&format!("{place}alpha.avsc"), PRESSURE);
        assert_eq!(names(&folder).last().map(String::as_str), Some("alpha"), "{place}");
    }
}

#[test]
fn a_component_may_have_nothing_but_avro_files() {
    let folder = dome().without(TELEMETRY).with("Dome/avsc/alpha.avsc", PRESSURE);
    assert_eq!(names(&folder), ["logevent_heartbeat", "ackcmd", "alpha"]);
}

#[test]
fn what_is_no_record_of_fields_is_refused_with_its_line() {
    assert_eq!(
        problem("{\n\"type\": \"record\",\n}"),
        "xml/Dome/avsc/pressure.avsc:3: not JSON: trailing comma at line 3 column 1"
    );
    for text in ["[]", "{\"type\": \"enum\"}", "\"string\""] {
        assert_eq!(problem(text), "xml/Dome/avsc/pressure.avsc:1: the schema is not that of a record");
    }
    assert!(
        problem("{\"type\": \"record\", \"fields\": {}}").ends_with(":1: the record has no list \"fields\"")
    );
    let folder = dome().with("Dome/avsc/a-b.avsc", PRESSURE);
    let message = folder.release().component("Dome").unwrap_err().to_string();
    assert!(
        message.starts_with("xml/Dome/avsc/a-b.avsc:1: the name of the file is that of the topic"),
        "{message}"
    );
}

#[test]
fn a_field_that_sal_cannot_carry_is_named() {
    for ty in [
        "\"bytes\"",
        "[\"null\",\"int\",\"long\"]",
        "[\"int\",\"long\"]",
        "[\"null\",[\"null\",\"int\"]]",
        "{\"type\":\"map\",\"values\":\"int\"}",
        "{\"type\":\"array\",\"items\":\"string\"}",
        "null",
    ] {
        let message = field_problem(&format!("{{\"name\": \"a\", \"type\": {ty}}}"));
        let start = format!(
            "xml/Dome/avsc/pressure.avsc:2: field a of pressure has type {ty}, which SAL does not carry; use boolean, "
        );
        assert!(message.starts_with(&start), "{message}");
    }
    let array = r#"{"name": "a", "type": {"type": "array", "items": "int"}, "default": [0]}"#;
    let message = field_problem(array);
    assert!(
        message.contains(":2: field a of pressure is an array; its default must list 2 to 65536"),
        "{message}"
    );
    for field in ["{\"type\": \"int\"}", "{\"name\": \"a b\", \"type\": \"int\"}", "7"] {
        assert!(field_problem(field).contains("a field has no usable \"name\""), "{field}");
    }
}

#[test]
fn a_duplicate_field_is_refused_and_private_fields_count() {
    for name in ["a", "private_seqNum"] {
        let field = format!("{{\"name\": \"{name}\", \"type\": \"int\"}}");
        let message = field_problem(&format!("{field},\n{field}"));
        assert_eq!(
            message,
            format!(
                "xml/Dome/avsc/pressure.avsc:2: topic pressure has a field {name} already; rename or remove one"
            )
        );
    }
}
