//! Releases of all ages, in samples written from what is known of their form.

mod folder;

use efd_sal::{Component, Enumeration, FieldType};
use folder::Folder;

/// v3.9: generics yes or no, authors and versions everywhere, sizes and rates on items, and a style sheet.
fn v3_9() -> Folder {
    let list = r#"<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="http://example.org/schema/SALSubsystems.xsl"?>
<SALSubsystems xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://example.org/a.xsd">
<Subsystem><Name>Dome</Name><Description></Description><Enumeration></Enumeration><Generics>yes</Generics>
  <Version></Version><Author></Author></Subsystem>
<Subsystem><Name>Stage</Name><Description></Description><Enumeration>first,second</Enumeration><Generics>no</Generics>
  <Version></Version><Author></Author></Subsystem>
</SALSubsystems>"#;
    let generics = r#"<SALObjects>
<SALCommandSet>
<SALCommand><Subsystem>SALGeneric</Subsystem><Version>3.9</Version><Author>someone</Author>
  <EFDB_Topic>SALGeneric_command_setValue</EFDB_Topic><Alias>setValue</Alias><Device></Device><Property>setValue</Property>
  <Action></Action><Value></Value><Explanation>https://example.org</Explanation>
  <item><EFDB_Name>parametersAndValues</EFDB_Name><Description></Description><IDL_Type>string</IDL_Type>
    <IDL_Size>1024</IDL_Size><Units></Units><Count>1</Count></item></SALCommand>
</SALCommandSet>
<SALEventSet>
<SALEvent><EFDB_Topic>SALGeneric_logevent_settingVersions</EFDB_Topic><Alias>settingVersions</Alias></SALEvent>
</SALEventSet>
</SALObjects>"#;
    let telemetry = r#"<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="http://example.org/schema/SALTelemetrySet.xsl"?>
<SALTelemetrySet xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<SALTelemetry>
  <Subsystem>Dome</Subsystem><Version>3.9.0</Version><Author>someone</Author>
  <EFDB_Topic>Dome_motors</EFDB_Topic>
  <item><EFDB_Name>raw</EFDB_Name><Description></Description><IDL_Type>octet</IDL_Type><Units></Units><Count>4</Count>
    <Size_in_bytes>4</Size_in_bytes><Frequency>0.054</Frequency><Publishers>1</Publishers>
    <Values_per_Publisher>4</Values_per_Publisher><Conversion></Conversion><Sensor_location>top</Sensor_location>
    <Instances_per_night>1750</Instances_per_night><Bytes_per_night>7000</Bytes_per_night><Needed_by_DM>yes</Needed_by_DM></item>
  <item><EFDB_Name>serial</EFDB_Name><IDL_Type>char</IDL_Type><IDL_Size>32</IDL_Size><Count>32</Count></item>
  <item><EFDB_Name>ticks</EFDB_Name><IDL_Type>unsigned long</IDL_Type><Count>1</Count></item>
  <item><EFDB_Name>total</EFDB_Name><IDL_Type>unsigned long long</IDL_Type><Count>1</Count></item>
</SALTelemetry>
</SALTelemetrySet>"#;
    Folder::current("no", "")
        .with("SALSubsystems.xml", list)
        .with("SALGenerics.xml", generics)
        .with("Dome/Dome_Telemetry.xml", telemetry)
        .with("Stage/Stage_Telemetry.xml", "<SALTelemetrySet/>")
        .under("sal_interfaces/")
}

/// v7 to v20: each component lists its generics in full, and indices are `no`, `any` or a list.
fn v7(layout: &str) -> Folder {
    let list = "<SALSubsystemSet>\
        <SALSubsystem><Name>Dome</Name><Description>turns</Description><IndexEnumeration>no</IndexEnumeration>\
        <Generics>command_start, logevent_heartbeat</Generics></SALSubsystem>\
        <SALSubsystem><Name>Stage</Name><IndexEnumeration> MT=1, AT=2 </IndexEnumeration><Generics>yes</Generics></SALSubsystem>\
        </SALSubsystemSet>";
    Folder::current("no", "")
        .with("SALSubsystems.xml", list)
        .with("Dome/Dome_Events.xml", "<SALEventSet/>")
        .with("Stage/Stage_Commands.xml", "<SALCommandSet/>")
        .under(layout)
}

fn component(folder: &Folder, name: &str) -> Component {
    folder.release().component(name).expect("the test's own component")
}

fn names(component: &Component) -> Vec<&str> {
    component.topics.iter().map(|topic| topic.sal_name.as_str()).collect()
}

#[test]
fn the_oldest_releases_load_with_their_extra_elements() {
    let folder = v3_9();
    let dome = component(&folder, "Dome");
    assert_eq!(names(&dome), ["command_setValue", "logevent_settingVersions", "motors", "ackcmd"]);
    assert!(!dome.indexed);
    let stage = component(&folder, "Stage");
    assert_eq!((names(&stage), stage.indexed), (vec!["ackcmd"], true));
    let value = dome.topics[0].fields.last().expect("a field");
    assert_eq!((value.name.as_str(), value.units.as_str()), ("parametersAndValues", "unitless"));
}

#[test]
fn types_that_are_gone_today_become_the_nearest_there_is() {
    let dome = component(&v3_9(), "Dome");
    let fields: Vec<_> = dome
        .topic("motors")
        .expect("the test's own topic")
        .fields
        .iter()
        .filter(|field| !field.is_private)
        .map(|field| (field.name.as_str(), field.ty, field.count, field.range.clone()))
        .collect();
    assert_eq!(
        fields,
        [
            ("raw", FieldType::Int, 4, Some(0..=255)),
            ("serial", FieldType::String, 1, None),
            ("ticks", FieldType::Long, 1, Some(0..=4_294_967_295)),
            ("total", FieldType::Long, 1, Some(0..=i64::MAX)),
        ]
    );
}

#[test]
fn lists_of_generics_by_name_load_in_both_places_they_were_kept() {
    for layout in ["sal_interfaces/", "python/lsst/ts/xml/data/sal_interfaces/"] {
        let folder = v7(layout);
        let dome = component(&folder, "Dome");
        assert_eq!(names(&dome), ["command_start", "logevent_heartbeat", "ackcmd"], "{layout}");
        assert_eq!((dome.description.as_str(), dome.indexed), ("turns", false));
        let stage = component(&folder, "Stage");
        assert_eq!((names(&stage).len(), stage.indexed), (5, true), "all four generics and ackcmd");
    }
}

#[test]
fn enumerations_are_kept_beside_the_integers() {
    let events = "<SALEventSet>\n<Enumeration>\n  Door_Open=1,\n  Door_Shut=2,\n</Enumeration>\n<Enumeration/>\n<SALEvent>\
        <EFDB_Topic>Dome_logevent_door</EFDB_Topic><item><EFDB_Name>state</EFDB_Name><IDL_Type>long</IDL_Type>\
        <Enumeration>OPEN, SHUT=5</Enumeration></item></SALEvent></SALEventSet>";
    let dome = component(&Folder::current("no", "").with("Dome/Dome_Events.xml", events), "Dome");
    let pairs = |enumeration: &Enumeration| {
        enumeration.items.iter().map(|item| (item.name.clone(), item.value)).collect::<Vec<_>>()
    };
    assert_eq!(dome.enumerations.len(), 1, "an empty one is none");
    assert_eq!(dome.enumerations[0].name, "Door");
    assert_eq!(pairs(&dome.enumerations[0]), [("Open".to_owned(), 1), ("Shut".to_owned(), 2)]);
    let state = dome.topic("logevent_door").and_then(|topic| topic.fields.last()).expect("a field");
    let items: Vec<_> = state.enumeration.iter().map(|item| (item.name.as_str(), item.value)).collect();
    assert_eq!(items, [("OPEN", 1), ("SHUT", 5)]);
    assert!(!dome.topic("logevent_door").expect("a topic").avro_schema().contains("SHUT"));
}
