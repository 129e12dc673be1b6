//! Reading of interface files: order, defaults, old layouts.

mod folder;

use efd_sal::{FieldType, TopicKind};
use folder::{Folder, topic};

fn names(folder: &Folder, component: &str) -> Vec<String> {
    let component = folder.release().component(component).expect("the test's own component");
    component.topics.into_iter().map(|topic| topic.sal_name).collect()
}

#[test]
fn topics_come_in_sals_order() {
    let folder = Folder::current("any", "csc, command_enterControl")
        .with("Dome/Dome_Telemetry.xml", &topic("SALTelemetry", "Dome_azimuth", ""))
        .with("Dome/Dome_Events.xml", &topic("SALEvent", "Dome_logevent_doorOpened", ""))
        .with("Dome/Dome_Commands.xml", &topic("SALCommand", "Dome_command_open", ""));
    assert_eq!(
        names(&folder, "Dome"),
        [
            "logevent_heartbeat",
            "command_start",
            "logevent_summaryState",
            "command_enterControl",
            "command_open",
            "logevent_doorOpened",
            "azimuth",
            "ackcmd",
        ]
    );
    let dome = folder.release().component("Dome").unwrap();
    let kinds: Vec<TopicKind> = dome.topics.iter().map(|topic| topic.kind).collect();
    use TopicKind::{Ack, Command, Event, Telemetry};
    assert_eq!(kinds, [Event, Command, Event, Command, Command, Event, Telemetry, Ack]);
    assert!(dome.indexed);
}

#[test]
fn private_fields_come_first_and_the_index_only_where_there_are_instances() {
    let item = "<item><EFDB_Name>angle</EFDB_Name><IDL_Type>double</IDL_Type></item>";
    let text = topic("SALTelemetry", "Dome_azimuth", item);
    let fields = |indices| {
        let folder = Folder::current(indices, "").with("Dome/Dome_Telemetry.xml", &text);
        let dome = folder.release().component("Dome").unwrap();
        let fields = dome.topic("azimuth").unwrap().fields.clone();
        (fields.iter().filter(|field| field.is_private).count(), fields)
    };
    let (private, plain) = fields(" no ");
    assert_eq!((private, plain.len()), (8, 9));
    assert_eq!(plain[0].name, "private_sndStamp");
    let (private, indexed) = fields("MT=1, AT=2");
    assert_eq!((private, indexed.len()), (9, 10));
    assert_eq!(indexed[0].name, "salIndex");
    assert_eq!(indexed[9].name, "angle");
}

#[test]
fn absent_and_empty_elements_give_the_defaults_and_text_is_verbatim() {
    let items = "\
        <item><EFDB_Name>a</EFDB_Name><IDL_Type>long</IDL_Type></item>\
        <item><EFDB_Name>b</EFDB_Name><IDL_Type>unsigned int</IDL_Type><Units></Units><Description/><Count></Count></item>\
        <item><EFDB_Name>c</EFDB_Name><IDL_Type>float</IDL_Type><Units> m </Units><Description>one\n  <!-- x -->two</Description><Count>3</Count></item>\
        <item><EFDB_Name>d</EFDB_Name><IDL_Type>string</IDL_Type><Count>7</Count></item>";
    let folder = Folder::current("no", "")
        .with("Dome/Dome_Telemetry.xml", &topic("SALTelemetry", "Dome_azimuth", items));
    let dome = folder.release().component("Dome").unwrap();
    let fields = &dome.topic("azimuth").unwrap().fields[8..];
    let summary: Vec<_> = fields
        .iter()
        .map(|field| (field.ty, field.count, field.units.as_str(), field.description.as_str()))
        .collect();
    assert_eq!(
        summary,
        [
            (FieldType::Int, 1, "unitless", ""),
            (FieldType::Long, 1, "unitless", ""),
            (FieldType::Float, 3, " m ", "one\n  two"),
            (FieldType::String, 1, "unitless", ""),
        ]
    );
}

#[test]
fn a_schema_escapes_text_and_lists_every_default_of_an_array() {
    let item = "<item><EFDB_Name>level</EFDB_Name><IDL_Type>float</IDL_Type><Units>in. H\u{2082}O</Units>\
                <Description>\"wide\"\n\u{1d6fc}</Description><Count>2</Count></item>";
    let folder = Folder::current("no", "")
        .with("Dome/Dome_Telemetry.xml", &topic("SALTelemetry", "Dome_azimuth", item));
    let dome = folder.release().component("Dome").unwrap();
    let schema = dome.topic("azimuth").unwrap().avro_schema();
    assert!(
        schema.starts_with(
            r#"{"type": "record", "name": "azimuth", "namespace": "lsst.sal.Dome", "fields": [{"#
        )
    );
    assert!(schema.ends_with(
        r#"{"name": "level", "type": {"type": "array", "items": "float"}, "default": [0.0, 0.0], "description": "\"wide\"\n\ud835\udefc", "units": "in. H\u2082O"}], "description": "about azimuth"}"#
    ));
}

#[test]
fn names_and_keys_are_those_of_sal() {
    let text = topic("SALTelemetry", "Dome_azimuth", "");
    let dome = |indices| {
        let folder = Folder::current(indices, "").with("Dome/Dome_Telemetry.xml", &text);
        folder.release().component("Dome").unwrap()
    };
    let plain = dome("no");
    let heartbeat = plain.topic("logevent_heartbeat").unwrap();
    assert_eq!(heartbeat.kafka_name("test"), "lsst.test.Dome.logevent_heartbeat");
    assert_eq!(heartbeat.subject("test"), "lsst.test.Dome.logevent_heartbeat-value");
    assert_eq!(heartbeat.measurement(), "lsst.sal.Dome.logevent_heartbeat");
    assert_eq!(heartbeat.key(Some(3)), r#"{ "name": "Dome", "topic": "logevent_heartbeat" }"#);
    assert_eq!(plain.topic("ackcmd").unwrap().key(None), r#"{ "name": "Dome", "topic": "ackcmd" }"#);
    assert_eq!(plain.topic("azimuth").unwrap().key(None), "");

    let indexed = dome("any");
    let heartbeat = indexed.topic("logevent_heartbeat").unwrap();
    assert_eq!(heartbeat.key(Some(3)), r#"{ "name": "Dome", "index": 3, "topic": "logevent_heartbeat" }"#);
    assert_eq!(indexed.topic("azimuth").unwrap().key(Some(3)), "");
}

#[test]
fn only_events_are_compacted_and_only_telemetry_is_spread() {
    let folder = Folder::current("no", "csc")
        .with("Dome/Dome_Telemetry.xml", &topic("SALTelemetry", "Dome_azimuth", ""));
    let dome = folder.release().component("Dome").unwrap();
    for (name, compacted, partitions) in [
        ("logevent_heartbeat", true, 1),
        ("azimuth", false, 4),
        ("command_start", false, 1),
        ("ackcmd", false, 1),
    ] {
        let topic = dome.topic(name).unwrap();
        assert_eq!((topic.is_compacted(), topic.partitions(4)), (compacted, partitions), "{name}");
    }
    assert_eq!(dome.topic("azimuth").unwrap().partitions(0), 1);
}

#[test]
fn every_known_layout_is_found() {
    let text = topic("SALTelemetry", "Dome_azimuth", "");
    for layout in ["", "sal_interfaces/", "data/sal_interfaces/", "python/lsst/ts/xml/data/sal_interfaces/"] {
        let folder = Folder::current("no", "").with("Dome/Dome_Telemetry.xml", &text).under(layout);
        assert_eq!(folder.release().names().collect::<Vec<_>>(), ["Dome"], "{layout}");
        assert_eq!(names(&folder, "Dome").len(), 3, "{layout}");
    }
}

#[test]
fn old_lists_say_yes_or_no_to_generics() {
    let old = |generics: &str, indices: &str| {
        let list = format!(
            "<SALSubsystems><Subsystem><Name>Dome</Name><Description></Description>\
             <Enumeration>{indices}</Enumeration><Generics>{generics}</Generics></Subsystem></SALSubsystems>"
        );
        Folder::current("no", "")
            .with("SALSubsystems.xml", &list)
            .with("Dome/Dome_Telemetry.xml", &topic("SALTelemetry", "Dome_azimuth", ""))
    };
    assert_eq!(names(&old("no", ""), "Dome"), ["azimuth", "ackcmd"]);
    assert_eq!(names(&old("yes", ""), "Dome").len(), 6);
    assert_eq!(names(&old("logevent_heartbeat", ""), "Dome"), ["logevent_heartbeat", "azimuth", "ackcmd"]);
    assert!(!old("yes", "").release().component("Dome").unwrap().indexed);
    assert!(old("yes", "first,second").release().component("Dome").unwrap().indexed);
}
