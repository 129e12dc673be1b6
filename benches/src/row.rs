//! One line of the table.

use comfy_table::{CellAlignment, Table, TableComponent, presets};

/// One number, and what is expected of it.
#[derive(Debug, Clone)]
pub struct Row {
    case: String,
    measure: &'static str,
    value: f64,
    goal: Goal,
}

/// What is expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Nothing; the number is for information.
    None,
    /// At least this much.
    AtLeast(f64),
    /// At most this much.
    AtMost(f64),
}

impl Row {
    /// A number for information; the measure names its unit.
    pub fn new(case: impl Into<String>, measure: &'static str, value: f64) -> Self {
        Self { case: case.into(), measure, value, goal: Goal::None }
    }

    /// The same, with an expectation.
    pub fn expected(self, goal: Goal) -> Self {
        Self { goal, ..self }
    }

    fn verdict(&self) -> &'static str {
        let is_met = match self.goal {
            Goal::None => return "",
            Goal::AtLeast(limit) => self.value >= limit,
            Goal::AtMost(limit) => self.value <= limit,
        };
        if is_met { "met" } else { "missed" }
    }
}

/// All rows, each with the name of its benchmark.
pub fn table(rows: &[(&str, Row)]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_style(TableComponent::HeaderLines, '─');
    table.set_header(["benchmark", "case", "measure", "result", "goal", ""]);
    for (name, row) in rows {
        let goal = match row.goal {
            Goal::None => String::new(),
            Goal::AtLeast(limit) => format!("≥ {}", number(limit)),
            Goal::AtMost(limit) => format!("≤ {}", number(limit)),
        };
        table.add_row([name, row.case.as_str(), row.measure, &number(row.value), &goal, row.verdict()]);
    }
    for column in table.column_iter_mut().skip(3).take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Three digits that count, or all digits of a large whole number in groups of three.
fn number(value: f64) -> String {
    let decimals = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_large_ones_are_grouped() {
        let cases =
            [(0.0, "0.00"), (2.345, "2.35"), (23.45, "23.4"), (234.5, "234"), (1_234_567.8, "1,234,568")];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!(number(-123_456.0), "-123,456");
    }

    #[test]
    fn a_goal_is_met_or_missed() {
        let row = |value, goal| Row::new("", "", value).expected(goal).verdict();
        assert_eq!(
            [row(5.0, Goal::None), row(5.0, Goal::AtLeast(5.0)), row(5.0, Goal::AtLeast(6.0))],
            ["", "met", "missed"]
        );
        assert_eq!([row(5.0, Goal::AtMost(5.0)), row(f64::NAN, Goal::AtMost(5.0))], ["met", "missed"]);
    }
}
