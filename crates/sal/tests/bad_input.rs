//! Wrong interface files: each message says file, line, element, what is wrong and what to do.

mod folder;

use std::io;

use efd_sal::Release;
use folder::{Folder, topic};

const TELEMETRY: &str = "Dome/Dome_Telemetry.xml";

fn good() -> Folder {
    Folder::current("no", "csc").with(TELEMETRY, &topic("SALTelemetry", "Dome_azimuth", ""))
}

fn opening(folder: &Folder) -> String {
    folder.open().expect_err("a wrong release").to_string()
}

fn reading(folder: &Folder) -> String {
    folder.release().component("Dome").expect_err("a wrong component").to_string()
}

fn telemetry(text: &str) -> String {
    reading(&good().with(TELEMETRY, text))
}

fn items(items: &str) -> String {
    telemetry(&topic("SALTelemetry", "Dome_azimuth", items))
}

#[test]
fn a_folder_that_is_no_release_says_what_to_give() {
    assert_eq!(
        opening(&good().without("SALSubsystems.xml")),
        "no SALSubsystems.xml in xml (looked in ./, sal_interfaces/, python/lsst/ts/xml/data/sal_interfaces/, \
         data/sal_interfaces/); give the folder of a ts_xml checkout or the one that holds SALSubsystems.xml"
    );
    assert_eq!(
        opening(&good().without("SALGenerics.xml")),
        "xml/SALGenerics.xml is missing; a release has it beside SALSubsystems.xml"
    );
}

#[test]
fn an_unreadable_file_is_not_an_absent_one() {
    let folder = efd_sal::Folder {
        label: "xml".into(),
        read: Box::new(|_| Err(io::ErrorKind::PermissionDenied.into())),
        list: Box::new(|_| Ok(Vec::new())),
    };
    let error = Release::open(folder).unwrap_err();
    assert_eq!(error.to_string(), "cannot read xml/SALSubsystems.xml");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn an_unknown_component_lists_near_names() {
    let release = good().release();
    assert_eq!(
        release.component("dome").unwrap_err().to_string(),
        "unknown component \"dome\": not in xml/SALSubsystems.xml; did you mean Dome?"
    );
    assert_eq!(
        release.component("Watcher").unwrap_err().to_string(),
        "unknown component \"Watcher\": not in xml/SALSubsystems.xml; names are case-sensitive, such as ATCamera"
    );
}

#[test]
fn a_component_without_any_file_is_an_error() {
    assert_eq!(
        reading(&good().without(TELEMETRY)),
        "component Dome has no interface file; xml/Dome should hold at least one of Dome_Commands.xml, \
         Dome_Events.xml, Dome_Telemetry.xml"
    );
}

#[test]
fn malformed_xml_names_file_and_line() {
    let message = telemetry("<SALTelemetrySet>\n<SALTelemetry>\n</SALTelemetrySet>");
    assert!(message.starts_with("xml/Dome/Dome_Telemetry.xml:3: not well-formed XML: "), "{message}");
    assert!(message.ends_with("; correct the file"), "{message}");
    let message = opening(&good().with("SALGenerics.xml", "<SALObjects>"));
    assert!(message.starts_with("xml/SALGenerics.xml:1: not well-formed XML: "), "{message}");
}

#[test]
fn a_misplaced_element_is_not_passed_over() {
    assert_eq!(
        telemetry("<SALEventSet/>"),
        "xml/Dome/Dome_Telemetry.xml:1: <SALEventSet> stands where <SALTelemetrySet> belongs; correct the element \
         or move it to its own file"
    );
    assert!(
        telemetry("<SALTelemetrySet>\n<SALEvent/></SALTelemetrySet>")
            .starts_with("xml/Dome/Dome_Telemetry.xml:2: <SALEvent> stands where <SALTelemetry> belongs")
    );
    assert!(
        opening(&good().with("SALSubsystems.xml", "<SALSubsystemSet>\n<SALSubsytem/></SALSubsystemSet>"))
            .starts_with("xml/SALSubsystems.xml:2: <SALSubsytem> stands where <SALSubsystem> belongs")
    );
}

#[test]
fn a_missing_element_is_named() {
    assert_eq!(
        items("<item>\n<IDL_Type>long</IDL_Type></item>"),
        "xml/Dome/Dome_Telemetry.xml:4: <item> has no text in <EFDB_Name>; add it"
    );
    assert_eq!(
        items("<item><EFDB_Name>a</EFDB_Name><IDL_Type> </IDL_Type></item>"),
        "xml/Dome/Dome_Telemetry.xml:4: <item> has no text in <IDL_Type>; add it"
    );
    assert_eq!(
        telemetry("<SALTelemetrySet>\n<SALTelemetry/></SALTelemetrySet>"),
        "xml/Dome/Dome_Telemetry.xml:2: <SALTelemetry> has no text in <EFDB_Topic>; add it"
    );
    assert_eq!(
        opening(&good().with("SALSubsystems.xml", "<SALSubsystemSet>\n<SALSubsystem/></SALSubsystemSet>")),
        "xml/SALSubsystems.xml:2: <SALSubsystem> has no text in <Name>; add it"
    );
}

#[test]
fn an_unknown_type_lists_the_known_ones() {
    assert_eq!(
        items("<item><EFDB_Name>a</EFDB_Name><IDL_Type>long double</IDL_Type></item>"),
        "xml/Dome/Dome_Telemetry.xml:4: <item>: field a of azimuth has unknown type \"long double\"; use one of \
         boolean, byte, short, int, long, long long, unsigned short, unsigned int, float, double, string, octet, char, \
         unsigned long, unsigned long long"
    );
}

#[test]
fn a_count_that_no_schema_can_have_is_refused() {
    for count in ["0", "-1", "two", "65537", "99999999999999999999", "1.5"] {
        let item =
            format!("<item><EFDB_Name>a</EFDB_Name><IDL_Type>int</IDL_Type><Count>{count}</Count></item>");
        assert_eq!(
            items(&item),
            format!(
                "xml/Dome/Dome_Telemetry.xml:4: <item>: field a of azimuth has count \"{count}\"; give a whole \
                 number from 1 to 65536"
            )
        );
    }
}

#[test]
fn a_name_that_avro_cannot_carry_is_refused() {
    let rule = "is not a name; use letters, digits and underscores, beginning with a letter";
    assert_eq!(
        items("<item><EFDB_Name>a b</EFDB_Name><IDL_Type>int</IDL_Type></item>"),
        format!("xml/Dome/Dome_Telemetry.xml:4: <item>: \"a b\" {rule}")
    );
    assert_eq!(
        telemetry(&topic("SALTelemetry", "Dome_a.b", "")),
        format!("xml/Dome/Dome_Telemetry.xml:2: <SALTelemetry>: \"Dome_a.b\" {rule}")
    );
    let list = "<SALSubsystemSet>\n<SALSubsystem><Name>../Dome</Name></SALSubsystem></SALSubsystemSet>";
    assert_eq!(
        opening(&good().with("SALSubsystems.xml", list)),
        format!("xml/SALSubsystems.xml:2: <SALSubsystem>: \"../Dome\" {rule}")
    );
}

#[test]
fn a_topic_is_named_as_its_kind_is() {
    for (element, file, name, rule) in [
        ("SALCommand", "Commands", "Dome_open", "name it <component>_command_<name>"),
        ("SALEvent", "Events", "Dome_logEvent_open", "name it <component>_logevent_<name>"),
        ("SALTelemetry", "Telemetry", "Dome", "name it <component>_<name>, with a name that begins neither"),
        (
            "SALTelemetry",
            "Telemetry",
            "Dome_logevent_a",
            "name it <component>_<name>, with a name that begins",
        ),
    ] {
        let path = format!("Dome/Dome_{file}.xml");
        let message = reading(&good().with(&path, &topic(element, name, "")));
        let start =
            format!("xml/{path}:2: <{element}>: topic \"{name}\" is not named as its kind is; {rule}");
        assert!(message.starts_with(&start), "{message}");
    }
}

#[test]
fn a_duplicate_field_is_refused_and_private_fields_count() {
    let item = |name| format!("<item><EFDB_Name>{name}</EFDB_Name><IDL_Type>int</IDL_Type></item>\n");
    assert_eq!(
        items(&(item("a") + &item("b") + &item("a"))),
        "xml/Dome/Dome_Telemetry.xml:6: <item>: topic azimuth has a field a already; rename or remove one"
    );
    assert_eq!(
        items(&item("private_seqNum")),
        "xml/Dome/Dome_Telemetry.xml:4: <item>: topic azimuth has a field private_seqNum already; rename or remove one"
    );
    let indexed =
        Folder::current("any", "").with(TELEMETRY, &topic("SALTelemetry", "Dome_azimuth", &item("salIndex")));
    assert!(reading(&indexed).contains("topic azimuth has a field salIndex already"));
}

#[test]
fn a_duplicate_topic_is_refused_and_generic_ones_count() {
    let azimuth = "<SALTelemetry><EFDB_Topic>Dome_azimuth</EFDB_Topic></SALTelemetry>\n";
    assert_eq!(
        telemetry(&format!("<SALTelemetrySet>\n{azimuth}{azimuth}</SALTelemetrySet>")),
        "xml/Dome/Dome_Telemetry.xml:3: <SALTelemetry>: component Dome has a topic azimuth already; rename or remove one"
    );
    let event = topic("SALEvent", "Dome_logevent_heartbeat", "");
    assert!(reading(&good().with("Dome/Dome_Events.xml", &event)).starts_with(
        "xml/Dome/Dome_Events.xml:2: <SALEvent>: component Dome has a topic logevent_heartbeat already"
    ));
    assert!(telemetry(&topic("SALTelemetry", "Dome_ackcmd", "")).contains("has a topic ackcmd already"));
    let twice = Folder::current("no", "csc, command_start").with(TELEMETRY, "<SALTelemetrySet/>");
    assert_eq!(
        reading(&twice),
        "xml/SALSubsystems.xml:2: <SALSubsystem>: component Dome has a topic command_start already; rename or remove one"
    );
}

#[test]
fn an_unknown_generic_lists_near_names_or_the_categories() {
    let adding = |generics| reading(&Folder::current("no", generics).with(TELEMETRY, "<SALTelemetrySet/>"));
    assert_eq!(
        adding("csc, command_entercontrol"),
        "xml/SALSubsystems.xml:2: <SALSubsystem>: component Dome adds unknown generic \"command_entercontrol\"; use \
         command_enterControl"
    );
    assert_eq!(
        adding("everything"),
        "xml/SALSubsystems.xml:2: <SALSubsystem>: component Dome adds unknown generic \"everything\"; use a category \
         (csc, mandatory) or the name of a topic in SALGenerics.xml"
    );
}

#[test]
fn a_component_listed_twice_is_refused() {
    let dome = "<SALSubsystem><Name>Dome</Name></SALSubsystem>\n";
    let list = format!("<SALSubsystemSet>\n{dome}{dome}</SALSubsystemSet>");
    assert_eq!(
        opening(&good().with("SALSubsystems.xml", &list)),
        "xml/SALSubsystems.xml:3: <SALSubsystem>: component Dome is listed already; remove one"
    );
}
