//! The table that comes out.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, TableComponent, presets};

use crate::audit::Outcome;
use crate::digit;

/// All runs, one line each; what is wrong follows below the table.
pub fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_style(TableComponent::HeaderLines, '─');
    table.set_header([
        "fault",
        "InfluxDB",
        "values/s",
        "records sent",
        "stored",
        "dead-lettered",
        "skipped",
        "lost",
        "worst stall",
        "result",
    ]);
    for outcome in outcomes {
        table.add_row([
            outcome.fault.clone(),
            digit(outcome.generation).to_owned(),
            format!("{:.0}", outcome.values_per_second),
            outcome.sent.to_string(),
            outcome.stored.to_string(),
            outcome.dead.to_string(),
            outcome.skipped.to_string(),
            outcome.lost.to_string(),
            format!("{:.1} s", outcome.stall.as_secs_f64()),
            if outcome.is_good() { "good" } else { "NOT GOOD" }.to_owned(),
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(8) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// What is wrong, one line for each run that is not good.
pub fn problems(outcomes: &[Outcome]) -> String {
    let line = |outcome: &Outcome| {
        format!("{} on InfluxDB {}: {}\n", outcome.fault, digit(outcome.generation), outcome.result())
    };
    outcomes.iter().filter(|outcome| !outcome.is_good()).map(line).collect()
}

/// What the table comes to, in one line.
pub fn summary(outcomes: &[Outcome], time: Duration) -> String {
    let bad = outcomes.iter().filter(|outcome| !outcome.is_good()).count();
    let (sent, lost) = (sum(outcomes, |outcome| outcome.sent), sum(outcomes, |outcome| outcome.lost));
    let verdict = if bad == 0 { "all good".to_owned() } else { format!("{bad} NOT good") };
    format!(
        "{} runs, {sent} records sent, {lost} lost, {verdict}, {:.0} s",
        outcomes.len(),
        time.as_secs_f64()
    )
}

fn sum(outcomes: &[Outcome], of: impl Fn(&Outcome) -> u64) -> u64 {
    outcomes.iter().map(of).sum()
}
