//! `efd registry subjects`, `show` and `diff`.

use std::process::ExitCode;

use anyhow::Context as _;
use efd_schema::{RecordSchema, RegistryClient, encoded_subject};
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use serde_json::{Value, json};

use super::difference::{self, type_text};
use super::version::{Version, Which, numbers, subjects as names, version};
use super::{CONCURRENCY, DiffArgs, Format, ShowArgs, SubjectsArgs};
use crate::output;

/// Lists subjects.
pub async fn subjects(client: &RegistryClient, args: &SubjectsArgs) -> anyhow::Result<ExitCode> {
    let which = if args.deleted { Which::All } else { Which::Live };
    let found = names(client, args.prefix.as_deref().unwrap_or_default(), which).await?;
    let bar = output::progress(found.len() as u64, "subjects");
    let rows: Vec<(String, Vec<u32>, Vec<u32>)> = stream::iter(found)
        .map(|subject| async {
            let live = numbers(client, &subject, Which::Live).await?;
            let all = if args.deleted { numbers(client, &subject, Which::All).await? } else { live.clone() };
            bar.inc(1);
            let deleted = all.into_iter().filter(|number| !live.contains(number)).collect();
            anyhow::Ok((subject, live, deleted))
        })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    bar.finish_and_clear();
    match args.format {
        Format::Json => {
            let rows = rows.iter().map(
                |(subject, live, deleted)| json!({"subject": subject, "versions": live, "deleted": deleted}),
            );
            output::print(&format!("{:#}\n", Value::from_iter(rows)));
        }
        Format::Table => {
            let mut table = output::table(&["subject", "versions", "deleted"]);
            for (subject, live, deleted) in &rows {
                table.add_row([subject, &ranges(live), &ranges(deleted)]);
            }
            output::print(&format!("{table}\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows one version.
pub async fn show(client: &RegistryClient, args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let found = known_version(client, &args.subject, &args.version).await?;
    if args.schema {
        output::print(&format!("{:#}\n", schema_value(&found)));
        return Ok(ExitCode::SUCCESS);
    }
    let path = format!("/config/{}?defaultToGlobal=true", encoded_subject(&args.subject));
    let config: Value = client.call(Method::GET, &path, None).await?;
    let level = config.get("compatibilityLevel").and_then(Value::as_str).unwrap_or("unknown");
    if args.format == Format::Json {
        let mut shown = serde_json::to_value(&found)?;
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("schema".into(), schema_value(&found));
            fields.insert("compatibilityLevel".into(), level.into());
        }
        output::print(&format!("{shown:#}\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let head = format!(
        "{} version {}, schema id {}, compatibility {level}\n",
        found.subject, found.version, found.id
    );
    let Ok(record) = RecordSchema::parse(&found.schema) else {
        // Not a record as SAL has them: the text says it best.
        output::print(&format!("{head}{:#}\n", schema_value(&found)));
        return Ok(ExitCode::SUCCESS);
    };
    let mut table = output::table(&["field", "type", "unit", "description"]);
    for field in &record.fields {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        table.add_row([field.name.clone(), type_text(field), text(&field.units), text(&field.description)]);
    }
    let description = record.description.unwrap_or_default();
    output::print(&format!("{head}{}: {}\n{table}\n", record.name, description.trim()));
    Ok(ExitCode::SUCCESS)
}

/// Shows what differs between two versions.
pub async fn diff(client: &RegistryClient, args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let known = numbers(client, &args.subject, Which::Live).await?;
    let new = args.new.or_else(|| known.last().copied());
    let new = new.with_context(|| format!("subject {} is not in the registry", args.subject))?;
    let old = args.old.or_else(|| known.iter().rev().find(|number| **number < new).copied());
    let old = old.with_context(|| format!("subject {} has no version before {new}", args.subject))?;
    let old = known_version(client, &args.subject, &old.to_string()).await?;
    let new = known_version(client, &args.subject, &new.to_string()).await?;
    let record = |version: &Version| {
        RecordSchema::parse(&version.schema)
            .with_context(|| format!("{} version {}", version.subject, version.version))
    };
    let changes = difference::changes(&record(&old)?, &record(&new)?);
    match args.format {
        Format::Json => {
            output::print(&format!("{:#}\n", serde_json::to_value(&changes)?));
        }
        Format::Table if changes.is_empty() => output::print("no field differs\n"),
        Format::Table => {
            let mut table = output::table(&["field", "change", "old", "new"]);
            for change in &changes {
                table.add_row([&change.field, change.what, &change.old, &change.new]);
            }
            output::print(&format!(
                "{}: version {} to version {}\n{table}\n",
                args.subject, old.version, new.version
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn known_version(client: &RegistryClient, subject: &str, number: &str) -> anyhow::Result<Version> {
    let found = version(client, subject, number).await?;
    found.with_context(|| {
        format!("{subject} has no version {number}: `efd registry subjects` lists what there is")
    })
}

fn schema_value(version: &Version) -> Value {
    serde_json::from_str(&version.schema).unwrap_or_else(|_| version.schema.clone().into())
}

/// `1-3, 5` for 1, 2, 3 and 5.
fn ranges(numbers: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*number) => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let text = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_a_range() {
        for (numbers, text) in [(&[][..], ""), (&[3], "3"), (&[1, 2, 3, 5, 7, 8], "1-3, 5, 7-8")] {
            assert_eq!(ranges(numbers), text);
        }
    }
}
