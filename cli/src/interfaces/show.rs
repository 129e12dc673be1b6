//! `efd interfaces list` and `show`.

use std::path::Path;
use std::process::ExitCode;

use efd_ingest::interfaces;
use efd_sal::{Component, EnumItem, Field, Topic};

use super::library::{Library, Sizes, kind_name, own_fields, type_name};
use crate::output;

/// Lists the components.
pub fn list(folder: &Path) -> anyhow::Result<ExitCode> {
    let library = Library::load(folder)?;
    let mut table = output::table(&[
        "component",
        "indexed",
        "commands",
        "events",
        "telemetry",
        "topics",
        "fields",
        "values",
    ]);
    for component in &library.components {
        let sizes = Sizes::of(&component.topics);
        let indexed = if component.indexed { "yes" } else { "no" };
        table.add_row([component.name.to_string(), indexed.to_owned()].into_iter().chain(cells(sizes)));
    }
    let indexed = library.components.iter().filter(|component| component.indexed).count();
    let total = [format!("{} components", library.components.len()), format!("{indexed}")];
    table.add_row(total.into_iter().chain(cells(Sizes::of(library.topics()))));
    output::print(&format!("{table}\n"));
    if !library.absent.is_empty() {
        output::print(&format!("listed, without interface files here: {}\n", library.absent.join(", ")));
    }
    for error in &library.errors {
        output::complain(&format!("efd interfaces list: {error}"));
    }
    Ok(if library.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cells(sizes: Sizes) -> [String; 6] {
    let Sizes { commands, events, telemetry, topics, fields, values } = sizes;
    [commands, events, telemetry, topics, fields, values].map(|count| count.to_string())
}

/// Shows a component and its topics.
pub fn component(folder: &Path, name: &str) -> anyhow::Result<ExitCode> {
    let component = interfaces::open(folder)?.component(name)?;
    let sizes = Sizes::of(&component.topics);
    let indexed = if component.indexed { "indexed" } else { "not indexed" };
    output::print(&format!(
        "{}: {}\n{indexed}, {} topics, {} fields, {} values\n",
        component.name,
        one_line(&component.description),
        sizes.topics,
        sizes.fields,
        sizes.values
    ));
    let mut table = output::table(&["topic", "kind", "fields", "values", "revCode", "description"]);
    for topic in &component.topics {
        let sizes = Sizes::of([topic]);
        table.add_row([
            topic.sal_name.clone(),
            kind_name(topic.kind).to_owned(),
            sizes.fields.to_string(),
            sizes.values.to_string(),
            topic.rev_code(),
            one_line(&topic.description),
        ]);
    }
    output::print(&format!("{table}\n"));
    show_enumerations(&component);
    Ok(ExitCode::SUCCESS)
}

fn show_enumerations(component: &Component) {
    for enumeration in &component.enumerations {
        output::print(&format!("{}: {}\n", enumeration.name, items(&enumeration.items)));
    }
}

/// Shows one topic with its fields, or its schema alone.
pub fn topic(folder: &Path, component: &str, name: &str, schema: bool) -> anyhow::Result<ExitCode> {
    let component = interfaces::open(folder)?.component(component)?;
    let Some(topic) = component.topic(name) else {
        let near = efd_sal::suggestions(name, component.topics.iter().map(|topic| topic.sal_name.as_str()));
        let hint = if near.is_empty() {
            format!("`efd interfaces show {}` lists them", component.name)
        } else {
            format!("did you mean {}?", near.join(" or "))
        };
        anyhow::bail!("component {} has no topic {name:?}; {hint}", component.name);
    };
    if schema {
        output::print(&format!("{}\n", topic.avro_schema()));
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&heading(topic));
    let mut table = output::table(&["field", "type", "unit", "names", "description"]);
    for field in &topic.fields {
        table.add_row(row(field));
    }
    output::print(&format!("{table}\n"));
    Ok(ExitCode::SUCCESS)
}

fn heading(topic: &Topic) -> String {
    let sizes = Sizes { fields: own_fields(topic).count(), ..Sizes::of([topic]) };
    let key = match topic.key(topic.indexed.then_some(1)) {
        empty if empty.is_empty() => "empty".to_owned(),
        key if topic.indexed => format!("{key} for index 1"),
        key => key,
    };
    let kept =
        if topic.is_compacted() { "the last record of each key" } else { "as long as the broker does" };
    format!(
        "{}: {}\nkind         {}; fields {}, values {}\nKafka topic  {}, kept: {kept}\nsubject      {}\nkey          {key}\n\
         measurement  {}\nrevCode      {}\n",
        topic.sal_name,
        one_line(&topic.description),
        kind_name(topic.kind),
        sizes.fields,
        sizes.values,
        topic.kafka_name("sal"),
        topic.subject("sal"),
        topic.measurement(),
        topic.rev_code(),
    )
}

fn row(field: &Field) -> [String; 5] {
    let unit = if field.units == "unitless" { String::new() } else { field.units.clone() };
    [field.name.clone(), type_name(field), unit, items(&field.enumeration), one_line(&field.description)]
}

/// `1 IDLE, 2 BUSY`
fn items(items: &[EnumItem]) -> String {
    items.iter().map(|item| format!("{} {}", item.value, item.name)).collect::<Vec<_>>().join(", ")
}

/// Text of several lines as one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
