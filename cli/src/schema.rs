//! `efd schema`: what a topic is made of, by its latest schema.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use efd_proto::query::v1::{Field, GetTopicRequest, Topic};
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::gateway::{connect, refusal, scalar_type_name, type_name};
use crate::output;

/// Arguments of `efd schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Topic, for example lsst.sal.ATCamera.vacuum
    topic: String,
    /// Table, JSON, or the Avro schema itself.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// How a schema is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Fields, for people.
    Table,
    /// Fields and Avro schema, for programs.
    Json,
    /// The Avro schema as it is in the registry.
    Avro,
}

/// Prints it.
pub async fn run(config: &Config, args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    let mut gateway = connect(config).await?;
    let request = GetTopicRequest { name: args.topic.clone() };
    let answer = gateway.get_topic(request).await.map_err(|status| refusal(&status))?;
    let topic = answer.into_inner().topic.context("the gateway describes no topic")?;
    output::print(&match args.format {
        Format::Table => table(&topic),
        Format::Json => format!("{:#}\n", json_of(&topic)),
        Format::Avro => format!("{:#}\n", avro(&topic)),
    });
    Ok(ExitCode::SUCCESS)
}

fn table(topic: &Topic) -> String {
    let mut table = output::table(&["field", "type", "unit", "in InfluxDB", "description"]);
    for field in &topic.fields {
        let unit = if field.unit == "unitless" { "" } else { &field.unit };
        let symbols = field.symbols.join(", ");
        let description = if symbols.is_empty() {
            one_line(&field.description)
        } else {
            format!("{} [{symbols}]", one_line(&field.description)).trim().to_owned()
        };
        table.add_row([&field.name, &type_name(field), unit, &stored(field), &description]);
    }
    let Topic { name, schema_id, schema_version, .. } = topic;
    let description = one_line(&topic.description);
    let about = if description.is_empty() { name.clone() } else { format!("{name}: {description}") };
    format!("{about}\nschema {schema_id} (version {schema_version})\n{table}\n")
}

/// `a0 … a5`, or what is left of them where others have some of the names.
fn stored(field: &Field) -> String {
    let names = &field.stored_names;
    let all = field.array_length.unwrap_or(1) as usize;
    match names.as_slice() {
        _ if field.array_length == Some(0) => format!("{0}0 …", field.name),
        [] => "not stored: the name is taken".into(),
        [name] => name.clone(),
        [first, .., last] if names.len() == all => format!("{first} … {last}"),
        [first, .., last] => format!("{first} … {last}, {} of {all}", names.len()),
    }
}

fn json_of(topic: &Topic) -> Value {
    json!({
        "topic": topic.name,
        "description": topic.description,
        "schema_id": topic.schema_id,
        "version": topic.schema_version,
        "fields": topic.fields.iter().map(field_json).collect::<Vec<_>>(),
        "schema": avro(topic),
    })
}

fn field_json(field: &Field) -> Value {
    let mut object = Map::from_iter([
        ("name".to_owned(), json!(field.name)),
        ("type".to_owned(), json!(scalar_type_name(field.r#type()))),
        ("unit".to_owned(), json!(field.unit)),
        ("description".to_owned(), json!(field.description)),
        ("influxdb".to_owned(), json!(field.stored_names)),
    ]);
    if let Some(length) = field.array_length {
        // Null: the schema does not state it.
        object.insert("length".to_owned(), json!(Some(length).filter(|length| *length > 0)));
    }
    if !field.symbols.is_empty() {
        object.insert("symbols".to_owned(), json!(field.symbols));
    }
    Value::Object(object)
}

fn avro(topic: &Topic) -> Value {
    serde_json::from_str(&topic.schema).unwrap_or_else(|_| topic.schema.clone().into())
}

/// Text of several lines as one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(length: Option<u32>, stored: &[&str]) -> Field {
        let stored_names = stored.iter().map(|name| (*name).to_owned()).collect();
        Field { name: "a".into(), array_length: length, stored_names, ..Field::default() }
    }

    #[test]
    fn stored_names_are_told_shortly() {
        assert_eq!(stored(&field(None, &["a"])), "a");
        assert_eq!(stored(&field(Some(1), &["a0"])), "a0");
        assert_eq!(stored(&field(Some(3), &["a0", "a1", "a2"])), "a0 … a2");
        assert_eq!(stored(&field(Some(3), &["a0", "a2"])), "a0 … a2, 2 of 3");
        assert_eq!(stored(&field(Some(0), &[])), "a0 …");
        assert_eq!(stored(&field(None, &[])), "not stored: the name is taken");
    }

    #[test]
    fn json_has_what_a_program_needs() {
        let fields = vec![field(Some(2), &["a0", "a1"]), field(Some(0), &[]), field(None, &["a"])];
        let topic =
            Topic { name: "t".into(), fields, schema: "{\"type\":\"record\"}".into(), ..Topic::default() };
        let found = json_of(&topic);
        assert_eq!(found["schema"]["type"], "record");
        assert_eq!((&found["fields"][0]["length"], &found["fields"][1]["length"]), (&json!(2), &Value::Null));
        assert_eq!(found["fields"][0]["influxdb"], json!(["a0", "a1"]));
        assert!(found["fields"][2].get("length").is_none());
    }
}
