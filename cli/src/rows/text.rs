//! Rows as a table, CSV (RFC 4180), or JSON lines.

use std::fmt::Write as _;

use clap::ValueEnum;
use comfy_table::Table;
use efd_proto::query::v1::{Batch, Field, Header};
use serde_json::{Map, Value};

use super::columns::FieldValues;
use crate::output;
use crate::time::format_time;

/// Array elements that a table shows; CSV and JSON have them all.
const TABLE_ELEMENTS: usize = 4;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TextFormat {
    /// For people; all rows are held until the last has come.
    Table,
    /// Comma separated, a header line first, an array as JSON in one cell.
    Csv,
    /// One JSON object for each row.
    Json,
}

/// Turns the parts of an answer into text.
#[derive(Debug)]
pub struct TextWriter {
    format: TextFormat,
    fields: Vec<Field>,
    table: Option<Table>,
}

impl TextWriter {
    /// Nothing was answered yet.
    pub fn new(format: TextFormat) -> Self {
        Self { format, fields: Vec::new(), table: None }
    }

    /// The header of the answer: for CSV the header line.
    pub fn header(&mut self, header: Header) -> String {
        self.fields = header.fields;
        match self.format {
            TextFormat::Csv => {
                let names = self.fields.iter().map(|field| csv_cell(&field.name));
                std::iter::once("time".to_owned()).chain(names).collect::<Vec<_>>().join(",") + "\n"
            }
            TextFormat::Table => {
                let titles: Vec<String> = self.fields.iter().map(title).collect();
                let columns: Vec<&str> =
                    std::iter::once("time").chain(titles.iter().map(String::as_str)).collect();
                self.table = Some(output::table(&columns));
                String::new()
            }
            TextFormat::Json => String::new(),
        }
    }

    /// A batch of rows.
    ///
    /// # Errors
    /// When its columns are not those of the header.
    pub fn batch(&mut self, batch: &Batch) -> anyhow::Result<String> {
        if batch.columns.len() != self.fields.len() {
            anyhow::bail!("{} columns came for {} fields", batch.columns.len(), self.fields.len());
        }
        let rows = batch.times.len();
        let columns = self
            .fields
            .iter()
            .zip(&batch.columns)
            .map(|(field, column)| FieldValues::new(field, column, rows))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut text = String::new();
        for (row, time) in batch.times.iter().enumerate() {
            let time = format_time(*time);
            let values = columns.iter().map(|column| column.value(row));
            match self.format {
                TextFormat::Csv => {
                    let cells = values.map(|value| csv_value(&value));
                    let line = std::iter::once(time).chain(cells).collect::<Vec<_>>().join(",");
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "{line}");
                }
                TextFormat::Json => {
                    let names = self.fields.iter().map(|field| field.name.clone());
                    let object: Map<String, Value> = std::iter::once(("time".to_owned(), Value::from(time)))
                        .chain(names.zip(values))
                        .collect();
                    let _ = writeln!(text, "{}", Value::Object(object));
                }
                TextFormat::Table => {
                    let cells: Vec<String> =
                        std::iter::once(time).chain(values.map(|value| short(&value))).collect();
                    if let Some(table) = &mut self.table {
                        table.add_row(cells);
                    }
                }
            }
        }
        Ok(text)
    }

    /// What is left to print at the end: the table.
    pub fn end(&mut self) -> String {
        self.table.take().map_or_else(String::new, |table| format!("{table}\n"))
    }
}

fn title(field: &Field) -> String {
    if field.unit.is_empty() || field.unit == "unitless" {
        field.name.clone()
    } else {
        format!("{} ({})", field.name, field.unit)
    }
}

fn csv_value(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => csv_cell(text),
        other => csv_cell(&other.to_string()),
    }
}

/// A cell of CSV, quoted where it has to be.
pub fn csv_cell(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(elements) => {
            let shown: Vec<String> = elements.iter().take(TABLE_ELEMENTS).map(short).collect();
            let more = elements.len().saturating_sub(TABLE_ELEMENTS);
            let rest = if more > 0 { format!(" … {more} more") } else { String::new() };
            format!("[{}{rest}]", shown.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use efd_proto::query::v1::column::Values;
    use efd_proto::query::v1::{Column, Doubles, Strings};

    use super::*;

    fn answer(format: TextFormat) -> String {
        let mut writer = TextWriter::new(format);
        let array =
            Field { name: "force".into(), unit: "N".into(), array_length: Some(2), ..Field::default() };
        let text = Field { name: "note".into(), ..Field::default() };
        let mut out = writer.header(Header { topic: "t".into(), fields: vec![array, text] });
        let columns = vec![
            Column { values: Some(Values::Doubles(Doubles { values: vec![0.5, -1.0] })), validity: vec![] },
            Column {
                values: Some(Values::Strings(Strings { values: vec!["a \"b\"".into()] })),
                validity: vec![],
            },
        ];
        out += &writer.batch(&Batch { times: vec![1_700_000_000_123_456_000], columns }).unwrap();
        out + &writer.end()
    }

    #[test]
    fn csv_quotes_what_it_must() {
        assert_eq!(
            answer(TextFormat::Csv),
            "time,force,note\n2023-11-14T22:13:20.123456Z,\"[0.5,-1.0]\",\"a \"\"b\"\"\"\n"
        );
    }

    #[test]
    fn json_lines_keep_arrays() {
        assert_eq!(
            answer(TextFormat::Json),
            "{\"time\":\"2023-11-14T22:13:20.123456Z\",\"force\":[0.5,-1.0],\"note\":\"a \\\"b\\\"\"}\n"
        );
    }

    #[test]
    fn a_table_shows_units() {
        let table = answer(TextFormat::Table);
        assert!(table.contains("force (N)") && table.contains("[0.5, -1.0]"), "{table}");
    }
}
