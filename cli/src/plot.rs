//! `--plot`: fields over time as a chart of text, one panel for each field.
//!
//! Memory is bounded: of each line only what the columns of the chart can show is kept, so that no peak is lost.

mod panel;
mod series;

use std::io::IsTerminal as _;

use anyhow::bail;
use efd_proto::query::v1::{Aggregate, Batch, Field, FieldType, Header};

use crate::gateway::statistic_name;
use crate::output;
use crate::range::Range;
use crate::rows::{FieldValues, Rows};
use panel::{Frame, Panel};
use series::Series;

/// Panels of a chart; more would not be looked at.
const MAX_PANELS: usize = 8;
/// Elements of an array that have a line each; of a longer one the least, the mean and the greatest element of each row have.
const MAX_ELEMENTS: u32 = 6;
/// Lines of text of a panel that is alone, and of each of several.
const HEIGHTS: (u16, u16) = (20, 12);
/// Narrowest and widest chart.
const WIDTHS: (u16, u16) = (40, 240);

/// A chart that is being made.
#[derive(Debug)]
pub struct Plot {
    range: Range,
    width: u16,
    is_coloured: bool,
    topic: String,
    columns: Vec<Column>,
    panels: Vec<Panel>,
}

/// A column of the answer, and which lines its values belong to.
#[derive(Debug)]
struct Column {
    field: Field,
    panel: usize,
    /// The first of its lines there.
    line: usize,
    /// Whether its lines are the least, the mean and the greatest element.
    is_spread: bool,
}

impl Plot {
    /// A chart over a range, as wide as the terminal; 80 columns and no colours where standard output is none.
    pub fn new(range: Range) -> Self {
        let is_coloured =
            std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        Self::of(range, output::width().clamp(WIDTHS.0, WIDTHS.1), is_coloured)
    }

    fn of(range: Range, width: u16, is_coloured: bool) -> Self {
        let (topic, columns, panels) = (String::new(), Vec::new(), Vec::new());
        Self { range, width, is_coloured, topic, columns, panels }
    }

    /// Gives a field its lines: in the panel of its name, where several statistics of it are asked for.
    fn add_field(&mut self, field: Field) -> anyhow::Result<()> {
        let is_text = matches!(field.r#type(), FieldType::String | FieldType::Bytes);
        if is_text || field.r#type() == FieldType::Unspecified {
            bail!("field {} is no number: name others with --fields", field.name);
        }
        let title = title(&field);
        let panel = self.panels.iter().position(|panel| panel.title == title).unwrap_or(self.panels.len());
        if panel == self.panels.len() {
            self.panels.push(Panel::new(title));
        }
        if self.panels.len() > MAX_PANELS {
            bail!("more than {MAX_PANELS} panels: name fewer with --fields");
        }
        let is_spread = field.array_length.is_some_and(|length| length > MAX_ELEMENTS);
        let Some(found) = self.panels.get_mut(panel) else { return Ok(()) };
        let line = found.lines.len();
        let new = |name: String| Series::new(name, self.range, usize::from(self.width) * 2);
        found.lines.extend(line_names(&field, is_spread).into_iter().map(new));
        self.columns.push(Column { field, panel, line, is_spread });
        Ok(())
    }

    fn text(&self) -> String {
        let height = if self.panels.len() > 1 { HEIGHTS.1 } else { HEIGHTS.0 };
        let frame = Frame { range: self.range, width: self.width, height, is_coloured: self.is_coloured };
        let mut text = format!("{}\n", frame.heading(&self.topic));
        text.extend(self.panels.iter().map(|panel| panel.text(frame)));
        text
    }
}

impl Rows for Plot {
    fn header(&mut self, header: Header) -> anyhow::Result<()> {
        self.topic = header.topic;
        header.fields.into_iter().try_for_each(|field| self.add_field(field))
    }

    fn batch(&mut self, batch: Batch) -> anyhow::Result<()> {
        if batch.columns.len() != self.columns.len() {
            bail!("{} columns came for {} fields", batch.columns.len(), self.columns.len());
        }
        for (column, values) in self.columns.iter().zip(&batch.columns) {
            let values = FieldValues::new(&column.field, values, batch.times.len())?;
            let lines = self.panels.get_mut(column.panel).map(|panel| panel.lines.iter_mut());
            let mut lines: Vec<&mut Series> = lines.into_iter().flatten().skip(column.line).collect();
            for (row, time) in batch.times.iter().enumerate() {
                let numbers = values.numbers(row, &column.field.symbols);
                if column.is_spread {
                    let spread = spread(numbers);
                    lines.iter_mut().zip(spread).for_each(|(line, value)| line.add(*time, value));
                } else {
                    lines.iter_mut().zip(numbers).for_each(|(line, value)| line.add(*time, value));
                }
            }
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> anyhow::Result<()> {
        output::print(&self.text());
        Ok(())
    }
}

/// Name of the panel of a field: counts and deviations are no values, so they have one of their own, as arrays have.
fn title(field: &Field) -> String {
    let statistic = statistic_name(field.aggregate());
    let base = field.name.strip_suffix(&format!("_{statistic}")).unwrap_or(&field.name);
    let shares =
        field.array_length.is_none() && !matches!(field.aggregate(), Aggregate::Count | Aggregate::Stddev);
    let name = if shares { base } else { &field.name };
    let has_unit = !matches!(field.unit.as_str(), "" | "unitless") && field.aggregate() != Aggregate::Count;
    if has_unit { format!("{name} ({})", field.unit) } else { name.to_owned() }
}

fn line_names(field: &Field, is_spread: bool) -> Vec<String> {
    match field.array_length {
        None if field.aggregate() == Aggregate::Unspecified => vec![field.name.clone()],
        None => vec![statistic_name(field.aggregate())],
        Some(_) if is_spread => {
            ["least element", "mean of elements", "greatest element"].map(str::to_owned).to_vec()
        }
        Some(length) => (0..length).map(|element| format!("[{element}]")).collect(),
    }
}

/// The least, the mean and the greatest of the numbers that are there.
fn spread(numbers: impl Iterator<Item = Option<f64>>) -> [Option<f64>; 3] {
    let (mut least, mut greatest, mut sum, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0.0);
    for number in numbers.flatten() {
        least = least.min(number);
        greatest = greatest.max(number);
        sum += number;
        count += 1.0;
    }
    if count > 0.0 { [least, sum / count, greatest].map(Some) } else { [None; 3] }
}

#[cfg(test)]
#[path = "plot_tests.rs"]
mod tests;
