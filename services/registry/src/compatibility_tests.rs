//! Tests of the compatibility levels: a table of pairs, and schemas made to do harm.

use std::collections::BTreeMap;

use apache_avro::Schema;
use serde::Deserialize;
use serde_json::Value;

use super::*;

/// Every pair with the levels that allow it and the source of that.
const TABLE: &str = include_str!("../tests/compatibility.json");

/// A pair of schemas. `new` follows `old`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    name: String,
    old: Value,
    new: Value,
    /// The new schema reads the old one's data.
    backward: bool,
    /// The old schema reads the new one's data.
    forward: bool,
    /// What an explanation must have in it, where there is one.
    #[serde(default)]
    because: Vec<String>,
    source: String,
}

fn parsed(schema: &Value) -> Schema {
    Schema::parse_str(&schema.to_string()).unwrap_or_else(|error| panic!("{schema}: {error}"))
}

fn reasons(level: Level, new: &Schema, earlier: &Schema) -> Vec<String> {
    check(level, new, earlier).err().unwrap_or_default()
}

fn told(level: Level, new: &str, earlier: &str) -> Vec<String> {
    reasons(level, &Schema::parse_str(new).unwrap(), &Schema::parse_str(earlier).unwrap())
}

fn table() -> Vec<Pair> {
    serde_json::from_str(TABLE).unwrap()
}

#[test]
fn every_pair_of_the_table_has_its_verdict_at_every_level() {
    let table = table();
    let mut wrong = Vec::new();
    for pair in &table {
        let (new, old) = (parsed(&pair.new), parsed(&pair.old));
        for level in Level::ALL {
            let expected = match level {
                Level::None => true,
                Level::Backward | Level::BackwardTransitive => pair.backward,
                Level::Forward | Level::ForwardTransitive => pair.forward,
                Level::Full | Level::FullTransitive => pair.backward && pair.forward,
            };
            let told = reasons(level, &new, &old);
            if told.is_empty() != expected {
                wrong.push(format!("{}, {}: {told:?}", pair.name, level.as_str()));
            }
            if level == Level::Full {
                let missing =
                    pair.because.iter().filter(|words| !told.iter().any(|told| told.contains(*words)));
                wrong.extend(missing.map(|words| format!("{}: {words} is not in {told:?}", pair.name)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.len(), wrong.join("\n"));
}

#[test]
fn the_table_is_large_and_says_where_each_verdict_comes_from() {
    let table = table();
    assert!(table.len() >= 150, "{} pairs", table.len());
    let mut names = BTreeMap::new();
    for pair in &table {
        assert!(names.insert(&pair.name, ()).is_none(), "{} twice", pair.name);
        let known = ["Avro specification", "Avro Java", "Confluent", "Karapace", "Apicurio", "SAL"];
        assert!(known.iter().any(|source| pair.source.starts_with(source)), "{}: {}", pair.name, pair.source);
        if !(pair.backward && pair.forward) {
            assert!(!pair.because.is_empty(), "{} gives no reason", pair.name);
        }
    }
}

#[test]
fn a_schema_can_read_its_own_data() {
    for pair in table() {
        for schema in [&pair.old, &pair.new] {
            let told = reasons(Level::Full, &parsed(schema), &parsed(schema));
            // A field that takes one of another name too reads two fields of its own schema: Avro Java gives up as well.
            assert!(told.iter().all(|told| told.contains("AMBIGUOUS_FIELD")), "{}: {told:?}", pair.name);
        }
    }
}

#[test]
fn a_difference_is_told_as_confluent_tells_it() {
    let table = [
        (
            Level::Backward,
            r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"b","type":"int"}]}"#,
            r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"}]}"#,
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'b'}",
        ),
        (
            Level::Forward,
            r#"{"type":"record","name":"r","fields":[]}"#,
            r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"}]}"#,
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'a' at path '/fields/0' in the old schema has no default value and is missing in the new schema', additionalInfo:'a'}",
        ),
        (
            Level::Backward,
            "\"boolean\"",
            "\"int\"",
            "{errorType:'TYPE_MISMATCH', description:'The type (path '/') of a field in the new schema does not match with the old schema', additionalInfo:'reader type: BOOLEAN not compatible with writer type: INT'}",
        ),
    ];
    for (level, new, old, expected) in table {
        assert_eq!(told(level, new, old), [expected]);
    }
    assert_eq!(
        context(Level::FullTransitive, 3, "\"int\""),
        [
            "{oldSchemaVersion: 3}",
            "{oldSchema: '\"int\"'}",
            "{validateFields: 'false', compatibility: 'FULL_TRANSITIVE'}"
        ]
    );
}

/// `[r0, r1, …]`, each of which holds the next one.
fn chain(length: usize, last: &str) -> String {
    let record = |number: usize| {
        let ty = if number == 0 { last.to_owned() } else { format!("\"r{}\"", number - 1) };
        format!(r#"{{"type":"record","name":"r{number}","fields":[{{"name":"f","type":{ty}}}]}}"#)
    };
    format!("[{}]", (0..length).map(record).collect::<Vec<_>>().join(","))
}

#[test]
fn hostile_schemas_cost_neither_stack_nor_time() {
    // Three thousand records, each in the next: a recursive comparison would need as many frames.
    let (ints, strings) = (chain(3_000, "\"int\""), chain(3_000, "\"string\""));
    let (ints, strings) = (Schema::parse_str(&ints).unwrap(), Schema::parse_str(&strings).unwrap());
    let told = reasons(Level::Backward, &ints, &strings);
    assert!(!told.is_empty() && told.len() <= 50, "{}", told.len());
    // Every record with every other: the pairs are counted, and there are too many.
    assert!(told.iter().any(|told| told.contains("TOO_LARGE")), "{told:?}");

    let deep = |ty: &str| format!("{}{ty}{}", r#"{"type":"array","items":"#.repeat(110), "}".repeat(110));
    let told = told_of(&deep("\"int\""), &deep("\"string\""));
    assert_eq!(told.len(), 1, "{told:?}");

    let field = |number: usize, ty: &str| format!(r#"{{"name":"f{number}","type":"{ty}"}}"#);
    let wide = |ty: &str| {
        let fields: Vec<String> = (0..20_000).map(|number| field(number, ty)).collect();
        format!(r#"{{"type":"record","name":"r","fields":[{}]}}"#, fields.join(","))
    };
    assert_eq!(told_of(&wide("int"), &wide("string")).len(), 50);
}

fn told_of(new: &str, old: &str) -> Vec<String> {
    told(Level::Backward, new, old)
}

#[test]
fn a_chain_of_records_is_followed_to_its_end() {
    let wrap = |last: &str| {
        let chain = chain(300, last);
        format!(
            r#"{{"type":"record","name":"top","fields":[{{"name":"all","type":{chain}}},{{"name":"one","type":"r299"}}]}}"#
        )
    };
    assert!(told_of(&wrap("\"long\""), &wrap("\"int\"")).is_empty());
    let told = told_of(&wrap("\"int\""), &wrap("\"long\""));
    assert!(told.iter().any(|told| told.contains("MISSING_UNION_BRANCH")), "{told:?}");
}

#[test]
fn a_name_that_nothing_defines_is_named() {
    let schema = Schema::Ref { name: apache_avro::schema::Name::new("a.b").unwrap() };
    assert!(Graph::new(&schema).unwrap_err().contains("a.b"));
}

#[test]
fn levels_are_read_in_any_case() {
    for level in Level::ALL {
        assert_eq!(Level::parse(&level.as_str().to_lowercase()), Some(level));
    }
    assert_eq!(Level::parse("SOMETIMES"), Option::None);
}
