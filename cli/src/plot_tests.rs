//! Tests of charts as a whole.

use efd_proto::query::v1::column::Values;
use efd_proto::query::v1::{Column as ColumnMessage, Doubles, Longs};

use super::*;

const SECOND: i64 = 1_000_000_000;

fn field(name: &str, unit: &str) -> Field {
    Field { name: name.into(), unit: unit.into(), r#type: FieldType::Double.into(), ..Field::default() }
}

fn plot(is_coloured: bool, fields: Vec<Field>) -> anyhow::Result<Plot> {
    let start = 1_700_000_000 * SECOND;
    let mut plot = Plot::of(Range { start, end: start + 100 * SECOND }, 80, is_coloured);
    plot.header(Header { topic: "t".into(), fields })?;
    Ok(plot)
}

fn fill(plot: &mut Plot, rows: std::ops::Range<i64>, columns: usize) {
    let times = rows.clone().map(|row| (1_700_000_000 + row) * SECOND).collect();
    let values: Vec<f64> = rows.map(|row| row as f64).collect();
    let column = ColumnMessage { values: Some(Values::Doubles(Doubles { values })), validity: vec![] };
    plot.batch(Batch { times, columns: vec![column; columns] }).unwrap();
}

#[test]
fn a_chart_has_titles_units_values_and_times() {
    let mut plot = plot(false, vec![field("force", "N"), field("level", "unitless")]).unwrap();
    fill(&mut plot, 0..40, 2);
    fill(&mut plot, 60..101, 2);
    let text = plot.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "t, 2023-11-14T22:13:20.000000Z to 2023-11-14T22:15:00.000000Z UTC");
    assert_eq!((lines[1].trim(), lines[13].trim(), lines.len()), ("force (N)", "level", 25), "{text}");
    let times: Vec<&str> = lines[12].split_whitespace().collect();
    assert_eq!(times, ["22:13:20", "22:14:10", "22:15:00"], "{text}");
    assert!(
        lines[2].trim_start().starts_with("102.5│") && lines[10].trim_start().starts_with("-2.5│"),
        "{text}"
    );
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
    // The gap in the middle has no dots at all: two dots of a column of text are a second apart or less.
    let axis = lines[2].chars().position(|letter| letter == '│').unwrap();
    let middle = axis + (80 - axis) / 2;
    let is_blank = |line: &&str| line.chars().nth(middle).is_none_or(|letter| letter == ' ');
    assert!(lines[2..11].iter().all(is_blank), "{text}");
    assert!(!text.contains('\x1b'));
}

#[test]
fn statistics_of_a_field_share_a_panel_and_have_colours() {
    let of = |aggregate: Aggregate| Field {
        aggregate: aggregate.into(),
        ..field(&format!("force_{}", statistic_name(aggregate)), "N")
    };
    let fields = vec![of(Aggregate::Min), of(Aggregate::Max), of(Aggregate::Count)];
    let mut plot = plot(true, fields).unwrap();
    fill(&mut plot, 0..10, 3);
    let text = plot.text();
    assert!(text.contains("force (N): \x1b[38;5;14mmin\x1b[39m, \x1b[38;5;11mmax"), "{text}");
    assert!(text.contains("force_count"), "{text}");
    assert_eq!(plot.panels.len(), 2);
}

#[test]
fn a_long_array_is_drawn_as_its_extent() {
    let array = |length| Field { array_length: Some(length), ..field("a", "m") };
    let mut plot = plot(false, vec![array(2), array(100)]).unwrap();
    let names: Vec<&str> = plot.panels[0].lines.iter().map(|line| line.name.as_str()).collect();
    assert_eq!(names, ["[0]", "[1]", "least element", "mean of elements", "greatest element"]);
    let values = |count: i64| {
        let values = Values::Longs(Longs { values: (0..count).collect() });
        ColumnMessage { values: Some(values), validity: vec![] }
    };
    let batch = Batch { times: vec![1_700_000_001 * SECOND], columns: vec![values(2), values(100)] };
    plot.batch(batch).unwrap();
    let extents: Vec<_> = plot.panels[0].lines.iter().map(|line| line.extent().unwrap().0).collect();
    assert_eq!(extents, [0.0, 1.0, 0.0, 49.5, 99.0]);
}

#[test]
fn what_cannot_be_drawn_is_refused_and_nothing_is_said_so() {
    let text = Field { r#type: FieldType::String.into(), ..field("note", "") };
    let error = plot(false, vec![text]).unwrap_err().to_string();
    assert_eq!(error, "field note is no number: name others with --fields");
    let many = (0..9).map(|number| field(&format!("f{number}"), "")).collect();
    assert!(plot(false, many).is_err());
    assert!(plot(false, vec![field("force", "N")]).unwrap().text().ends_with("force (N): no values\n"));
}
