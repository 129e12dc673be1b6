//! `efd registry import`: registers what was exported, each schema under its id and version.
//!
//! Each subject is in mode `IMPORT` while its versions are registered, and has its mode back afterwards, also when something failed.
//! What the registry has already is left as it is, so an import may be repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use efd_schema::{RegistryClient, RegistryError, encoded_subject};
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use serde_json::{Map, Value, json};

use super::version::{self, Version};
use super::{CONCURRENCY, ImportArgs};
use crate::output;

/// Fields of a version that are sent with its schema. Others only follow from it.
const SENT: [&str; 4] = ["schemaType", "references", "metadata", "ruleSet"];

/// What the registry has in the place of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Nothing.
    New,
    /// The same.
    Same,
    /// Something else: what.
    Conflict(String),
}

/// Imports, or says what an import would do. Exit code 1 if anything is in the way or failed.
pub async fn run(client: &RegistryClient, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let versions = read(&args.file)?;
    let bar = output::progress(versions.len() as u64, "looked up");
    let states: Vec<State> = stream::iter(&versions)
        .map(|version| async {
            let state = state(client, version).await?;
            bar.inc(1);
            anyhow::Ok(state)
        })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    bar.finish_and_clear();
    let mut problems = Vec::new();
    let mut new = Vec::new();
    for (version, state) in versions.iter().zip(&states) {
        match state {
            State::New => new.push(version),
            State::Same => {}
            State::Conflict(what) => {
                problems.push(format!("{} version {}: {what}", version.subject, version.version));
            }
        }
    }
    let same = states.iter().filter(|state| **state == State::Same).count();
    let mut registered = new.len();
    if !args.dry_run {
        let failed = register(client, &new).await?;
        registered = registered.saturating_sub(failed.len());
        problems.extend(failed);
    }
    let what = if args.dry_run { "would be registered" } else { "registered" };
    output::print(&format!(
        "{registered} versions {what}, {same} are there already, {} problems\n",
        problems.len()
    ));
    for problem in &problems {
        output::complain(problem);
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The versions of a file, those first that others may refer to: a schema had its id before anything could refer to it.
fn read(file: &Path) -> anyhow::Result<Vec<Version>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut versions = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("{} line {}", file.display(), number + 1);
        versions.push(serde_json::from_str::<Version>(line).with_context(place)?);
    }
    versions.sort_by_key(|version| (version.id, version.version));
    Ok(versions)
}

async fn state(client: &RegistryClient, wanted: &Version) -> Result<State, RegistryError> {
    let found = version::version(client, &wanted.subject, &wanted.version.to_string()).await?;
    let Some(found) = found else {
        return Ok(match client.schema_by_id(wanted.id).await {
            Ok(text) if !is_same(&text, &wanted.schema) => {
                State::Conflict(format!("id {} is another schema there", wanted.id))
            }
            Err(error) if error.kind() != efd_schema::RegistryErrorKind::NotFound => return Err(error),
            _ => State::New,
        });
    };
    Ok(if found.id == wanted.id && is_same(&found.schema, &wanted.schema) {
        State::Same
    } else {
        State::Conflict(format!("this version is another schema there, with id {}", found.id))
    })
}

/// The same JSON, whatever its white space and the order of its keys.
fn is_same(one: &str, other: &str) -> bool {
    let value = serde_json::from_str::<Value>;
    one == other || matches!((value(one), value(other)), (Ok(one), Ok(other)) if one == other)
}

/// Registers versions; gives what failed.
async fn register(client: &RegistryClient, versions: &[&Version]) -> anyhow::Result<Vec<String>> {
    let subjects: BTreeSet<&str> = versions.iter().map(|version| version.subject.as_str()).collect();
    let mut modes: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let mut problems = Vec::new();
    for subject in subjects {
        let mode = own_mode(client, subject).await?;
        match set_mode(client, subject, Some("IMPORT")).await {
            Ok(()) => drop(modes.insert(subject, mode)),
            Err(error) => {
                problems.push(format!("{subject}: {error}"));
                break;
            }
        }
    }
    if problems.is_empty() {
        let bar = output::progress(versions.len() as u64, "registered");
        for version in versions {
            if let Err(error) = register_one(client, version).await {
                problems.push(format!("{} version {}: {error}", version.subject, version.version));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
    }
    for (subject, mode) in modes {
        if let Err(error) = set_mode(client, subject, mode.as_deref()).await {
            problems.push(format!("{subject} is still in mode IMPORT: {error}"));
        }
    }
    Ok(problems)
}

async fn register_one(client: &RegistryClient, version: &Version) -> Result<(), RegistryError> {
    let mut body = Map::new();
    body.insert("schema".into(), version.schema.clone().into());
    body.insert("id".into(), version.id.into());
    body.insert("version".into(), version.version.into());
    for name in SENT {
        if let Some(value) = version.further.get(name) {
            body.insert(name.into(), value.clone());
        }
    }
    let path = format!("/subjects/{}/versions", encoded_subject(&version.subject));
    client.call::<Value>(Method::POST, &path, Some(&Value::Object(body))).await?;
    if version.deleted {
        client.call::<Value>(Method::DELETE, &format!("{path}/{}", version.version), None).await?;
    }
    Ok(())
}

/// The mode that a subject has of its own.
async fn own_mode(client: &RegistryClient, subject: &str) -> Result<Option<String>, RegistryError> {
    let path = format!("/mode/{}", encoded_subject(subject));
    match client.call::<Value>(Method::GET, &path, None).await {
        Ok(mode) => Ok(mode.get("mode").and_then(Value::as_str).map(str::to_owned)),
        Err(RegistryError::Answer { status: 404, code: 40401 | 40409, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn set_mode(client: &RegistryClient, subject: &str, mode: Option<&str>) -> Result<(), RegistryError> {
    let path = format!("/mode/{}", encoded_subject(subject));
    match mode {
        Some(mode) => {
            let path = format!("{path}?force=true");
            client.call::<Value>(Method::PUT, &path, Some(&json!({"mode": mode}))).await?;
        }
        None => drop(client.call::<Value>(Method::DELETE, &path, None).await?),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_in_the_order_of_ids_and_a_bad_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("schemas.jsonl");
        let line = |id: u32| format!(r#"{{"subject":"s","version":{id},"id":{id},"schema":"\"int\""}}"#);
        std::fs::write(&file, format!("{}\n\n{}\n", line(7), line(3))).unwrap();
        let ids: Vec<u32> = read(&file).unwrap().iter().map(|version| version.id).collect();
        assert_eq!(ids, [3, 7]);
        std::fs::write(&file, format!("{}\nnonsense\n", line(7))).unwrap();
        assert!(format!("{:#}", read(&file).unwrap_err()).contains("schemas.jsonl line 2"));
    }

    #[test]
    fn white_space_and_the_order_of_keys_make_no_other_schema() {
        assert!(is_same(r#"{"type": "record","name":"r"}"#, r#"{"name":"r","type":"record"}"#));
        assert!(!is_same("\"int\"", "\"long\""));
        assert!(is_same("syntax = 3", "syntax = 3") && !is_same("a", "b"));
    }
}
