//! What a schema compiles to.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

fn schema(fields: &str) -> RecordSchema {
    let text = format!(
        r#"{{"type":"record","name":"t","namespace":"lsst.sal.X","fields":[
            {{"name":"private_efdStamp","type":"double","default":0.0}},{fields}]}}"#
    );
    RecordSchema::parse(&text).unwrap()
}

fn written_keys(plan: &Plan) -> Vec<&str> {
    let text = |key: Key| std::str::from_utf8(key_text(plan.keys(), key)).unwrap();
    plan.steps().iter().flat_map(Step::keys).map(|(key, _)| text(key)).collect()
}

#[test]
fn scalars_keep_their_name_and_elements_get_their_index() {
    let schema = schema(
        r#"{"name":"a","type":"int","default":0},
           {"name":"f","type":{"type":"array","items":"float"},"default":[0.0,0.0]}"#,
    );
    let plan = Plan::compile(7, &schema, &MappingConfig::default()).unwrap();
    assert_eq!((plan.schema_id(), plan.measurement()), (7.into(), "lsst.sal.X.t"));
    assert_eq!(written_keys(&plan), [",private_efdStamp=", ",a=", ",f0=", ",f1="]);
    assert!(plan.collisions().is_empty());
}

#[test]
fn of_two_fields_with_one_name_the_first_declared_keeps_it() {
    let array = r#"{"name":"free","type":{"type":"array","items":"boolean"},"default":[false,false,false]}"#;
    let scalar = r#"{"name":"free1","type":"boolean","default":false}"#;

    let plan = Plan::compile(1, &schema(&format!("{array},{scalar}")), &MappingConfig::default()).unwrap();
    assert_eq!(plan.collisions(), ["free1"]);
    assert_eq!(written_keys(&plan), [",private_efdStamp=", ",free0=", ",free1=", ",free2=", ""]);

    let plan = Plan::compile(1, &schema(&format!("{scalar},{array}")), &MappingConfig::default()).unwrap();
    assert_eq!(plan.collisions(), ["free1"]);
    assert_eq!(written_keys(&plan), [",private_efdStamp=", ",free1=", ",free0=", "", ",free2="]);
}

#[test]
fn of_two_arrays_only_the_elements_that_collide_are_dropped() {
    let long: String = format!("[{}]", vec!["0"; 25].join(","));
    let fields = format!(
        r#"{{"name":"cols","type":{{"type":"array","items":"int"}},"default":{long}}},
           {{"name":"cols2","type":{{"type":"array","items":"int"}},"default":{long}}}"#
    );
    let plan = Plan::compile(1, &schema(&fields), &MappingConfig::default()).unwrap();
    assert_eq!(plan.collisions(), ["cols20", "cols21", "cols22", "cols23", "cols24"]);
    assert!(written_keys(&plan).contains(&",cols25="));
}

#[test]
fn scalars_in_a_row_are_one_step() {
    let schema = schema(
        r#"{"name":"a","type":"int"},{"name":"b","type":"boolean"},{"name":"s","type":"string"},
           {"name":"c","type":["null","int"]},{"name":"d","type":"float"}"#,
    );
    let plan = Plan::compile(1, &schema, &MappingConfig::default()).unwrap();
    let cells = |step: &Step| if let Step::Cells(cells) = step { cells.len() } else { 0 };
    // The time is not only a field.
    assert_eq!(plan.steps().iter().map(cells).collect::<Vec<_>>(), [0, 2, 0, 0, 1]);
}

#[test]
fn unions_remember_which_branch_is_null() {
    let schema = schema(
        r#"{"name":"a","type":["null","double"],"default":null},
           {"name":"b","type":["double","null"],"default":0.0},
           {"name":"c","type":{"type":"array","items":["null","int"]}},
           {"name":"d","type":["null",{"type":"array","items":"int"}]}"#,
    );
    let plan = Plan::compile(1, &schema, &MappingConfig::default()).unwrap();
    let op = |step: &Step| if let Step::Op(op) = step { op.clone() } else { panic!("{step:?}") };
    let ops: Vec<Op> = plan.steps().iter().map(op).collect();
    let branches: Vec<_> = ops.iter().map(|op| op.null_branch).collect();
    assert_eq!(branches, [None, Some(0), Some(1), None, Some(0)]);
    assert!(matches!(&ops[3].shape, Shape::Many(elements) if elements.item_null == Some(0)));
}

#[test]
fn a_schema_without_time_is_refused() {
    for time in [r#""string""#, r#"{"type":"array","items":"double"}"#] {
        let text = format!(
            r#"{{"type":"record","name":"t","fields":[{{"name":"private_efdStamp","type":{time}}}]}}"#
        );
        let schema = RecordSchema::parse(&text).unwrap();
        assert_eq!(
            Plan::compile(1, &schema, &MappingConfig::default()).unwrap_err(),
            PlanError::NoTime("private_efdStamp".into())
        );
    }
}

#[test]
fn arrays_of_arrays_are_refused_by_name() {
    let schema = schema(r#"{"name":"m","type":{"type":"array","items":{"type":"array","items":"int"}}}"#);
    assert_eq!(
        Plan::compile(1, &schema, &MappingConfig::default()).unwrap_err(),
        PlanError::Unsupported("m".into())
    );
}

#[test]
fn special_characters_are_escaped() {
    let mut out = Vec::new();
    escape_into("a b,c=d", b",= ", &mut out);
    assert_eq!(out, br"a\ b\,c\=d");
}

#[test]
fn every_real_schema_has_a_plan_and_the_known_collisions_are_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/avro_golden");
    let Ok(files) = folder.read_dir() else {
        println!("skipped: there is no {}", folder.display());
        return;
    };
    let (mut plans, mut colliding) = (0, BTreeSet::new());
    for file in files {
        for line in std::fs::read_to_string(file.unwrap().path()).unwrap().lines() {
            let topic: serde_json::Value = serde_json::from_str(line).unwrap();
            let schema = RecordSchema::parse(&topic["schema"].to_string()).unwrap();
            let plan = Plan::compile(1, &schema, &MappingConfig::default()).unwrap();
            plans += 1;
            if !plan.collisions().is_empty() {
                colliding.insert(plan.measurement().to_owned());
            }
        }
    }
    assert!(plans > 500);
    let expected = [
        "logevent_afeDecentralizedIOOutputs",
        "logevent_laserDecentralizedIOInput",
        "logevent_laserDecentralizedIOOutputs",
        "logevent_m2cDecentralizedIOInput",
        "logevent_m2cDecentralizedIOOutput",
    ];
    assert_eq!(colliding, expected.map(|name| format!("lsst.sal.GIS.{name}")).into());
}
