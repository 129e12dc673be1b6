//! What each setting changes in a line.

use efd_schema::{RecordSchema, avro};

use super::*;
use crate::plan::{Plan, PlanError};
use crate::point::{self, PointError};

const FIELDS: &str = r#"{"name":"timestamp","type":"long"},{"name":"salIndex","type":"int"},
    {"name":"private_identity","type":"string"},{"name":"Agent","type":["null","string"]},{"name":"f","type":"float"},
    {"name":"private_efdStamp","type":"double"}"#;

fn plan(mapping: &MappingConfig) -> Result<Plan, PlanError> {
    let text = format!(r#"{{"type":"record","name":"m","fields":[{FIELDS}]}}"#);
    Plan::compile(1, &RecordSchema::parse(&text).unwrap(), mapping)
}

fn line(mapping: &MappingConfig, identity: &str, agent: Option<&str>) -> Result<String, PointError> {
    let mut body = Vec::new();
    avro::put_long(&mut body, 1_700_000_000_123);
    avro::put_int(&mut body, 2);
    avro::put_str(&mut body, identity);
    avro::put_long(&mut body, i64::from(agent.is_some()));
    if let Some(agent) = agent {
        avro::put_str(&mut body, agent);
    }
    avro::put_float(&mut body, 0.1);
    avro::put_double(&mut body, 1.5);
    let mut out = Vec::new();
    point::append(&plan(mapping).unwrap(), &body, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn with(change: impl FnOnce(&mut MappingConfig)) -> MappingConfig {
    let mut mapping = MappingConfig::default();
    change(&mut mapping);
    mapping
}

const FIELD_TEXT: &str = r#"timestamp=1700000000123i,salIndex=2i,private_identity="u@h""#;

#[test]
fn without_settings_there_are_no_tags_and_floats_are_exact() {
    let expected =
        format!("m {FIELD_TEXT},Agent=\"a\",f=0.10000000149011612,private_efdStamp=1.5 1500000000\n");
    assert_eq!(line(&MappingConfig::default(), "u@h", Some("a")).unwrap(), expected);
}

#[test]
fn the_time_may_be_another_field_in_another_unit() {
    let table = [
        (TimeFormat::UnixMs, "1700000000123000000"),
        (TimeFormat::UnixUs, "1700000000123000"),
        (TimeFormat::UnixNs, "1700000000000"),
    ];
    for (format, time) in table {
        let mapping = with(|mapping| {
            mapping.time_field = "timestamp".into();
            mapping.time_format = format;
        });
        assert!(line(&mapping, "", None).unwrap().ends_with(&format!(" {time}\n")), "{format:?}");
    }
    let mapping = with(|mapping| mapping.time_field = "Agent".into());
    assert_eq!(plan(&mapping).unwrap_err(), PlanError::NoTime("Agent".into()));
    let mapping = with(|mapping| mapping.time_format = TimeFormat::UnixMs);
    assert!(line(&mapping, "", None).unwrap().ends_with(" 1500000\n"));
}

#[test]
fn a_tag_takes_the_place_of_its_field_and_a_null_one_is_left_out() {
    let mapping = with(|mapping| mapping.tags = vec!["Agent".into(), "salIndex".into(), "absent".into()]);
    let fields =
        r#"timestamp=1700000000123i,private_identity="u@h",f=0.10000000149011612,private_efdStamp=1.5"#;
    let tagged = |tags: &str| format!("m{tags} {fields} 1500000000\n");
    assert_eq!(line(&mapping, "u@h", Some("a b,c=d")).unwrap(), tagged(r",salIndex=2,Agent=a\ b\,c\=d"));
    assert_eq!(line(&mapping, "u@h", None).unwrap(), tagged(",salIndex=2"));
    assert_eq!(line(&mapping, "u@h", Some("")).unwrap(), tagged(",salIndex=2"));
    // What a tag cannot hold.
    assert_eq!(line(&mapping, "u@h", Some("a\n\\\\,b\\")).unwrap(), tagged(r",salIndex=2,Agent=a\ \,b"));
}

#[test]
fn writers_can_be_told_apart_by_tags_beside_their_fields() {
    let mapping = with(|mapping| mapping.writer_tags = vec![WriterTag::SalIndex, WriterTag::Identity]);
    let text = line(&mapping, "u@h", None).unwrap();
    assert!(text.starts_with(&format!("m,writer_index=2,writer_identity=u@h {FIELD_TEXT},")), "{text}");
}

#[test]
fn floats_can_be_short() {
    let mapping = with(|mapping| mapping.floats = Floats::Shortest);
    assert!(line(&mapping, "", None).unwrap().contains(",f=0.1,"));
}

#[test]
fn a_point_without_fields_is_no_point() {
    let all = ["timestamp", "salIndex", "private_identity", "Agent", "f", "private_efdStamp"];
    let mapping = with(|mapping| mapping.tags = all.map(str::to_owned).into());
    assert_eq!(line(&mapping, "u", None), Err(PointError::Empty));
}

#[test]
fn influxdb_has_no_field_of_the_name_time() {
    let text = r#"{"type":"record","name":"m","fields":[{"name":"time","type":"int"},{"name":"private_efdStamp","type":"double"}]}"#;
    let plan = Plan::compile(1, &RecordSchema::parse(text).unwrap(), &MappingConfig::default()).unwrap();
    assert_eq!(plan.collisions(), ["time"]);
}

#[test]
fn settings_are_looked_at() {
    assert!(with(|_| {}).check("mapping").is_ok());
    for bad in [
        with(|mapping| mapping.time_field = String::new()),
        with(|mapping| mapping.tags = vec![String::new()]),
        with(|mapping| mapping.tags = vec!["a".into(), "a".into()]),
    ] {
        assert!(bad.check("mapping").is_err());
    }
}
