use super::*;

const SCHEMA: &str = r#"{"type":"record","name":"myrecord","fields":[{"name":"f1","type":"string"},{"name":"f2","type":["null",{"type":"array","items":{"type":"record","name":"inner","namespace":"a.b","fields":[{"name":"f1","type":"int"}]}}]}]}"#;

fn change(body: Value) -> TagChange {
    serde_json::from_value(body).unwrap()
}

fn tags(path: &str, kind: &str, tags: &[&str]) -> Value {
    json!([{"schemaEntity": {"entityPath": path, "entityType": kind}, "tags": tags}])
}

#[test]
fn tags_come_and_go_at_a_record_and_at_fields_wherever_they_stand() {
    let plain = Schema::avro(SCHEMA);
    let tagged = change(json!({"tagsToAdd": tags("myrecord", "sr_record", &["A", "B", "A"])}));
    let tagged = tagged.apply(&plain, 2).unwrap();
    assert!(tagged.text().ends_with(r#"}],"confluent:tags":["A","B"]}"#), "{}", tagged.text());
    let less = change(json!({"tagsToRemove": tags("myrecord", "SR_RECORD", &["B"]), "newVersion": 3}));
    let less = less.apply(&tagged, 3).unwrap();
    assert!(less.text().ends_with(r#""confluent:tags":["A"]}"#), "{}", less.text());
    let none = change(json!({"tagsToRemove": tags("myrecord", "sr_record", &["A"])}));
    assert_eq!(none.apply(&less, 4).unwrap().text(), SCHEMA);
    for (path, expected) in [
        ("myrecord.f1", r#"{"name":"f1","type":"string","confluent:tags":["PII"]}"#),
        ("a.b.inner.f1", r#"{"name":"f1","type":"int","confluent:tags":["PII"]}"#),
        ("inner.f1", r#"{"name":"f1","type":"int","confluent:tags":["PII"]}"#),
    ] {
        let tagged = change(json!({"tagsToAdd": tags(path, "sr_field", &["PII"])}));
        let text = tagged.apply(&plain, 2).unwrap().text();
        assert!(text.contains(expected), "{path}: {text}");
    }
}

#[test]
fn the_metadata_says_the_version_and_rules_of_one_name_stand_for_each_other() {
    let fields = json!({"md5": "x", "guid": "y", "references": [{"name": "n", "subject": "s", "version": 1}],
        "metadata": {"tags": {"t": ["u"]}, "properties": {"owner": "x", "confluent:version": "1"}},
        "ruleSet": {"migrationRules": [{"name": "m"}], "domainRules": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}});
    let Value::Object(fields) = fields else { panic!("an object") };
    let schema = Schema::stored(SCHEMA, fields);
    let changed = change(json!({
        "rulesToMerge": {"domainRules": [{"name": "d"}, {"name": "b", "kind": "CONDITION"}], "encodingRules": [{"name": "e"}]},
        "rulesToRemove": ["a", "m"],
    }));
    let changed = changed.apply(&schema, 2).unwrap();
    assert_eq!(changed.text(), SCHEMA);
    let mut fields = changed.log_fields();
    fields.shift_remove("md5");
    assert_eq!(
        Value::from(fields).to_string(),
        r#"{"references":[{"name":"n","subject":"s","version":1}],"metadata":{"tags":{"t":["u"]},"properties":{"owner":"x","confluent:version":"2"}},"ruleSet":{"migrationRules":[],"domainRules":[{"name":"c"},{"name":"d"},{"name":"b","kind":"CONDITION"}],"encodingRules":[{"name":"e"}]}}"#
    );
    let given = change(json!({"metadata": {"properties": {"a": "b"}}, "ruleSet": {"domainRules": []}}));
    let given = given.apply(&schema, 7).unwrap();
    assert_eq!(
        given.field("metadata").unwrap(),
        &json!({"properties": {"a": "b", "confluent:version": "7"}})
    );
    assert_eq!(given.field("ruleSet").unwrap(), &json!({"domainRules": []}));
}

#[test]
fn what_is_not_there_and_another_version_than_the_next_are_refused() {
    let schema = Schema::avro(SCHEMA);
    for body in [
        json!({"tagsToAdd": tags("does.not.exist", "sr_field", &["A"])}),
        json!({"tagsToAdd": tags("a.c.inner", "sr_record", &["A"])}),
        json!({"tagsToAdd": tags("myrecord", "sr_field", &["A"])}),
        json!({"tagsToRemove": tags("", "sr_record", &["A"])}),
        json!({"newVersion": 1}),
        json!({"newVersion": 3}),
    ] {
        let error = change(body.clone()).apply(&schema, 2).expect_err(&body.to_string());
        assert_eq!(error.status_and_code(), (422, 42201), "{body}");
    }
    change(json!({"newVersion": 2})).apply(&schema, 2).unwrap();
    change(json!({"newVersion": 0, "unknown": 1})).apply(&schema, 2).unwrap();
    let mut foreign = Fields::new();
    foreign.insert("schemaType".into(), "JSON".into());
    TagChange::default().apply(&Schema::stored("{}", foreign), 2).unwrap_err();
}
