use super::*;

const TELEMETRY: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="x.xsl"?>
<SALTelemetrySet>
  <SALTelemetry>
    <Subsystem>ATCamera</Subsystem>
    <Version>3.9.0</Version>
    <Author> A. Person </Author>
    <Alias></Alias>
    <EFDB_Topic>ATCamera_mixture</EFDB_Topic>
    <Explanation>http://example.org/help.html</Explanation>
    <item>
      <EFDB_Name>flag</EFDB_Name><Description>Ein
      Schalter</Description><IDL_Type>boolean</IDL_Type><Units></Units><Count>1</Count>
    </item>
    <!--CCSMETA: no topic-->
    <item>
      <EFDB_Name>counts</EFDB_Name><IDL_Type>unsigned int</IDL_Type><Units>adu</Units><Count>3</Count>
      <Frequency>0.05</Frequency><Publishers>2</Publishers><Needed_by_DM>Yes</Needed_by_DM><Needed_by_OCS>true</Needed_by_OCS>
    </item>
    <item><EFDB_Name>big</EFDB_Name><IDL_Type>long</IDL_Type></item>
    <item><EFDB_Name>raw</EFDB_Name><IDL_Type>octet</IDL_Type></item>
    <item><EFDB_Name>labels</EFDB_Name><IDL_Type>string</IDL_Type><Count>2</Count></item>
    <item><EFDB_Name>state</EFDB_Name><IDL_Type>long</IDL_Type><Enumeration>Off, On=5,
      Fault</Enumeration></item>
    <item><EFDB_Name>odd</EFDB_Name><IDL_Type>short</IDL_Type><Enumeration>not a name, x</Enumeration></item>
  </SALTelemetry>
</SALTelemetrySet>"#;

const GENERICS: &str = r"<SALObjects><SALEventSet>
  <SALEvent><EFDB_Topic>SALGeneric_logevent_errorCode</EFDB_Topic>
    <item><EFDB_Name>errorCode</EFDB_Name><IDL_Type>long</IDL_Type></item></SALEvent>
  <SALEvent><EFDB_Topic>SALGeneric_mixture</EFDB_Topic></SALEvent>
</SALEventSet></SALObjects>";

fn files() -> Vec<(String, String)> {
    vec![("SALGenerics.xml".into(), GENERICS.into()), ("ATCamera_Telemetry.xml".into(), TELEMETRY.into())]
}

#[test]
fn a_topic_has_the_types_and_attributes_of_2019() {
    let topics = read("ATCamera", &files()).unwrap();
    let names: Vec<&str> = topics.iter().map(|topic| topic.full_name.as_str()).collect();
    assert_eq!(names, ["lsst.sal.ATCamera_logevent_errorCode", "lsst.sal.ATCamera_mixture"]);
    let topic = &topics[1];
    let fields: Vec<(&str, &LegacyType, Option<usize>)> =
        topic.fields.iter().map(|field| (field.name.as_str(), &field.ty, field.count)).collect();
    let symbols = LegacyType::Enum(vec![("Off".into(), 1), ("On".into(), 5), ("Fault".into(), 6)]);
    let expected = [
        ("flag", &LegacyType::Boolean, None),
        ("counts", &LegacyType::Int, Some(3)),
        ("big", &LegacyType::Long, None),
        ("raw", &LegacyType::Bytes, None),
        ("labels", &LegacyType::String, Some(2)),
        ("state", &symbols, None),
        ("odd", &LegacyType::Int, None),
    ];
    assert_eq!(fields, expected);

    let schema: Value = serde_json::from_str(&topic.schema).unwrap();
    assert_eq!(schema["namespace"], "lsst.sal");
    assert_eq!(schema["name"], "ATCamera_mixture");
    assert_eq!(schema["doc"], "http://example.org/help.html");
    assert_eq!(schema["sal_topic_type"], "SALTelemetry");
    assert_eq!((&schema["sal_version"], &schema["sal_author"]), (&json!("3.9.0"), &json!("A. Person")));
    assert!(schema.get("sal_alias").is_none(), "what is empty is left out");
    let fields = schema["fields"].as_array().unwrap();
    let names: Vec<&str> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
    assert_eq!(
        names[..8],
        [
            "kafka_timestamp",
            "sal_revcode",
            "sal_created",
            "sal_ingested",
            "sal_sequence",
            "sal_origin",
            "sal_host",
            "flag"
        ]
    );
    let counts = &fields[8];
    let expected = json!({
        "name": "counts", "sal_frequency": 0.05, "sal_index": 1, "sal_needed_by_dm": "Yes", "sal_needed_by_ocs": true,
        "sal_publishers": 2, "sal_units": "adu", "type": {"items": "int", "sal_count": 3, "type": "array"},
    });
    assert_eq!(*counts, expected);
    assert_eq!(
        fields[12]["type"],
        json!({"name": "state", "symbols": ["Off", "On", "Fault"], "type": "enum"})
    );
    apache_avro::Schema::parse_str(&topic.schema).unwrap();
}

#[test]
fn what_is_wrong_is_told_with_file_and_line() {
    let cases = [
        ("<SALEventSet>", "is not XML"),
        ("<S>\n<SALEvent></SALEvent></S>", ":2: EFDB_Topic is missing"),
        (
            "<S><SALEvent><EFDB_Topic>A_b</EFDB_Topic>\n\n<item><EFDB_Name>x</EFDB_Name></item></SALEvent></S>",
            ":3: IDL_Type of x",
        ),
        (
            "<S><SALEvent><EFDB_Topic>A_b</EFDB_Topic><item><EFDB_Name>x</EFDB_Name><IDL_Type>quad</IDL_Type></item></SALEvent></S>",
            "is quad",
        ),
        (
            "<S><SALEvent><EFDB_Topic>A_b</EFDB_Topic><item><EFDB_Name>x</EFDB_Name><IDL_Type>int</IDL_Type><Count>9999999999</Count></item></SALEvent></S>",
            "Count of x",
        ),
        (
            "<S><SALEvent><EFDB_Topic>A_b</EFDB_Topic><item><EFDB_Name>sal_host</EFDB_Name><IDL_Type>int</IDL_Type></item></SALEvent></S>",
            "two fields sal_host",
        ),
    ];
    for (text, expected) in cases {
        let message = read("A", &[("A_Events.xml".into(), text.into())]).unwrap_err().to_string();
        assert!(message.contains("A_Events.xml") && message.contains(expected), "{message}");
    }
}

#[test]
fn every_topic_of_the_projects_interfaces_is_a_schema() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interfaces");
    let release = crate::interfaces::open(&root).unwrap();
    for component in ["ATCamera", "MTM1M3", "Test"] {
        let topics = read(component, &release.topic_files(component).unwrap()).unwrap();
        assert!(topics.len() > 10, "{component}");
        for topic in topics {
            apache_avro::Schema::parse_str(&topic.schema)
                .unwrap_or_else(|error| panic!("{}: {error}", topic.name));
        }
    }
}
