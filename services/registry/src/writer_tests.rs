//! Tests of how a group of changes shares a transaction.

use super::*;
use crate::compatibility::Level;
use crate::schema::Schema;

fn register(subject: &str, text: &str) -> Change {
    Change::Register { subject: subject.into(), schema: Schema::avro(text), wanted: None }
}

fn registered(id: u32, text: &str) -> Outcome {
    Outcome::Registered { id, version: 1, guid: Schema::avro(text).guid() }
}

#[test]
fn each_change_of_a_group_builds_on_those_before() {
    let delete = Change::DeleteSubject { subject: "a".into(), permanent: false };
    let changes = [
        register("a", "\"int\""),
        register("a", "\"int\""),
        register("b", "\"long\""),
        delete.clone(),
        delete,
    ];
    let plan = plan_group(&State::new(Level::None), &changes, 1000);
    assert_eq!(
        plan.answers,
        [
            Ok(registered(1, "\"int\"")),
            Ok(registered(1, "\"int\"")),
            Ok(registered(2, "\"long\"")),
            Ok(Outcome::Versions(vec![1])),
            Err(RegistryError::SubjectSoftDeleted("a".into())),
        ]
    );
    assert_eq!(plan.records.len(), 3);
}

#[test]
fn a_refused_change_leaves_the_others_alone() {
    let long_text = format!("{{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"{}\"]}}", "A".repeat(2000));
    let changes = [register("a", "\"nothing\""), register("a", &long_text), register("a", "\"int\"")];
    let plan = plan_group(&State::new(Level::None), &changes, 1000);
    let codes: Vec<u32> = plan
        .answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .map(|e| e.status_and_code().1)
        .collect();
    assert_eq!(codes, [42201, 42209]);
    assert_eq!(plan.answers.last(), Some(&Ok(registered(1, "\"int\""))), "a refused schema takes no id");
    assert_eq!(plan.records.len(), 1);
}
