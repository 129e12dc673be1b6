//! Compares topics with files of schemas that SAL's own classes made: one JSON object a line.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use efd_sal::{Component, Topic};
use serde::Deserialize;

/// What came out.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Lines read.
    pub total: usize,
    /// Lines that a topic equals in all points.
    pub equal: usize,
    /// What differs, one line each.
    pub differences: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Line {
    kafka_name: String,
    subject: String,
    rev_code: String,
}

/// Compares the topics of `components` with every line of `files`.
pub fn compare(components: &[Component], files: &[PathBuf]) -> anyhow::Result<Comparison> {
    let topics: HashMap<String, &Topic> = components
        .iter()
        .flat_map(|component| &component.topics)
        .map(|topic| (topic.kafka_name("sal"), topic))
        .collect();
    let mut comparison = Comparison::default();
    for file in files {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        for (line, number) in text.lines().zip(1..) {
            comparison.total += 1;
            match difference(&topics, line).with_context(|| place(file, number))? {
                None => comparison.equal += 1,
                Some(difference) => comparison.differences.push(difference),
            }
        }
    }
    Ok(comparison)
}

fn difference(topics: &HashMap<String, &Topic>, line: &str) -> anyhow::Result<Option<String>> {
    let golden: Line = serde_json::from_str(line).context("not a golden line")?;
    // The schema's own bytes count, so it is not parsed.
    let schema = line.split_once("\"schema\": ").and_then(|(_, rest)| rest.strip_suffix('}'));
    let schema = schema.context("a golden line ends with its schema")?;
    let Some(topic) = topics.get(&golden.kafka_name) else {
        return Ok(Some(format!("{}: no interface file defines it", golden.kafka_name)));
    };
    let ours = topic.avro_schema();
    let name = &golden.kafka_name;
    Ok(if ours != schema {
        let same = ours.bytes().zip(schema.bytes()).take_while(|(ours, golden)| ours == golden).count();
        Some(format!("{name}: the schema differs from byte {same}: {}", around(&ours, same)))
    } else if topic.rev_code() != golden.rev_code {
        Some(format!("{name}: revCode {}, golden {}", topic.rev_code(), golden.rev_code))
    } else if topic.subject("sal") != golden.subject {
        Some(format!("{name}: subject {}, golden {}", topic.subject("sal"), golden.subject))
    } else {
        None
    })
}

/// A schema is ASCII, so every byte is a place to cut.
fn around(schema: &str, at: usize) -> &str {
    let end = schema.len().min(at + 40);
    schema.get(at..end).unwrap_or_default()
}

fn place(file: &Path, line: usize) -> String {
    format!("{}:{line}", file.display())
}
