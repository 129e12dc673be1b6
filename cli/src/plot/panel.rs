//! A panel of a chart as text: lines of braille dots, an axis with values, an axis with UTC times.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Widget as _};

use super::series::Series;
use crate::range::Range;
use crate::time::{UnixNanos, format_time};

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;
/// Colours of the lines of a panel, among the 16 that every terminal has: cyan, yellow, green, magenta, blue, red.
const COLOURS: [u8; 6] = [14, 11, 10, 13, 12, 9];

/// What all panels of a chart share.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Range of the axis of time.
    pub range: Range,
    /// Columns of text.
    pub width: u16,
    /// Lines of text.
    pub height: u16,
    /// Whether lines are told apart by colour.
    pub is_coloured: bool,
}

/// Lines on one axis of values.
#[derive(Debug)]
pub struct Panel {
    /// Name and unit.
    pub title: String,
    /// Its lines.
    pub lines: Vec<Series>,
}

impl Frame {
    /// What and when, in full.
    pub fn heading(&self, topic: &str) -> String {
        format!("{topic}, {} to {} UTC", format_time(self.range.start), format_time(self.range.end))
    }

    /// Times at the beginning, in the middle and at the end, as short as the range allows.
    fn times(&self) -> [String; 3] {
        let Range { start, end } = self.range;
        let middle = UnixNanos::midpoint(start, end);
        let part = match self.range.length() {
            length if length < 10 * SECOND => 11..23,
            length if length < DAY => 11..19,
            _ => 0..16,
        };
        [start, middle, end].map(|time| {
            let text = format_time(time);
            text.get(part.clone()).unwrap_or(&text).replace('T', " ")
        })
    }
}

impl Panel {
    /// Without lines yet.
    pub fn new(title: String) -> Self {
        Self { title, lines: Vec::new() }
    }

    /// Draws it.
    pub fn text(&self, frame: Frame) -> String {
        let extents = self.lines.iter().filter_map(Series::extent);
        let extent = extents.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
        let Some((least, greatest)) = extent else {
            return format!("{}: no values\n", self.title);
        };
        let strokes: Vec<(usize, Vec<(f64, f64)>)> = self
            .lines
            .iter()
            .enumerate()
            .flat_map(|(line, series)| series.strokes().into_iter().map(move |stroke| (line, stroke)))
            .collect();
        let datasets = strokes.iter().map(|(line, stroke)| {
            Dataset::default()
                .marker(Marker::Braille)
                .graph_type(GraphType::Line)
                .style(style(*line))
                .data(stroke)
        });
        let bounds = padded(least, greatest);
        let values = labels(bounds);
        let x_axis = Axis::default()
            .bounds([0.0, 1.0])
            .labels(frame.times().map(Line::from))
            .labels_alignment(Alignment::Right);
        let y_axis = Axis::default().bounds(bounds).labels(values).labels_alignment(Alignment::Right);
        let chart = Chart::new(datasets.collect())
            .block(Block::new().title_top(self.heading()))
            .legend_position(None)
            .x_axis(x_axis)
            .y_axis(y_axis);
        let area = Rect::new(0, 0, frame.width, frame.height);
        let mut buffer = Buffer::empty(area);
        chart.render(area, &mut buffer);
        text(&buffer, frame.is_coloured)
    }

    /// `force (N): min, mean, max`; the title alone where one line has the same name.
    fn heading(&self) -> Line<'_> {
        let mut spans = vec![Span::raw(self.title.as_str())];
        let is_named = |line: &Series| self.title.starts_with(&line.name);
        if !matches!(self.lines.as_slice(), [line] if is_named(line)) {
            for (place, line) in self.lines.iter().enumerate() {
                spans.push(Span::raw(if place == 0 { ": " } else { ", " }));
                spans.push(Span::styled(line.name.as_str(), style(place)));
            }
        }
        Line::from(spans)
    }
}

fn style(line: usize) -> Style {
    let colour = COLOURS.get(line % COLOURS.len()).copied().unwrap_or_default();
    Style::new().fg(Color::Indexed(colour))
}

/// Bounds of an axis with some room; never the same, and never of a length that is no number.
fn padded(least: f64, greatest: f64) -> [f64; 2] {
    if least == greatest {
        let room = if least == 0.0 { 1.0 } else { least.abs() / 10.0 };
        return [least - room, greatest + room];
    }
    // In halves, since the difference of two numbers may be too large for one.
    let room = (greatest / 2.0 - least / 2.0) * 0.05;
    [(least - room).max(f64::MIN / 4.0), (greatest + room).min(f64::MAX / 4.0)]
}

/// The least, the middle and the greatest value of an axis, with the digits that tell them apart.
fn labels([least, greatest]: [f64; 2]) -> [String; 3] {
    let step = (greatest / 2.0 - least / 2.0).max(f64::MIN_POSITIVE);
    let largest = least.abs().max(greatest.abs());
    let middle = least / 2.0 + greatest / 2.0;
    // Digits behind the point, until the step has three.
    let decimals = 2.0 - step.log10().floor();
    if largest >= 1e10 || !(0.0..=9.0).contains(&decimals.max(0.0)) {
        let digits = (largest.log10() - step.log10()).ceil().clamp(0.0, 15.0) as usize + 1;
        return [least, middle, greatest].map(|value| format!("{value:.digits$e}"));
    }
    let decimals = decimals.max(0.0) as usize;
    [least, middle, greatest].map(|value| format!("{value:.decimals$}"))
}

/// Lines of text, with colours as terminals take them.
fn text(buffer: &Buffer, is_coloured: bool) -> String {
    let area = buffer.area;
    let mut text = String::new();
    for y in area.top()..area.bottom() {
        let mut line = String::new();
        let mut colour = Color::Reset;
        for x in area.left()..area.right() {
            let Some(cell) = buffer.cell((x, y)) else { continue };
            if is_coloured && cell.fg != colour {
                colour = cell.fg;
                line += &match colour {
                    Color::Indexed(number) => format!("\x1b[38;5;{number}m"),
                    _ => "\x1b[39m".to_owned(),
                };
            }
            line += cell.symbol();
        }
        text += line.trim_end();
        if colour != Color::Reset {
            text += "\x1b[39m";
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_tell_values_apart() {
        assert_eq!(labels([0.0, 10.0]), ["0.00", "5.00", "10.00"]);
        assert_eq!(labels([1000.0, 3000.0]), ["1000", "2000", "3000"]);
        assert_eq!(labels([273.15, 273.151]), ["273.150000", "273.150500", "273.151000"]);
        assert_eq!(labels([0.0, 2e12]), ["0.00e0", "1.00e12", "2.00e12"]);
        assert_eq!(labels([-1e-12, 1e-12]), ["-1.0e-12", "0.0e0", "1.0e-12"]);
    }

    #[test]
    fn an_axis_has_a_length_whatever_the_values() {
        for (least, greatest) in [(0.0, 0.0), (5.0, 5.0), (-1e308, 1e308), (f64::MIN, f64::MAX), (1.0, 2.0)] {
            let [low, high] = padded(least, greatest);
            assert!(low < high && (high - low).is_finite(), "{least} {greatest}");
            assert!(labels([low, high]).iter().all(|label| !label.contains("NaN")));
        }
    }

    #[test]
    fn times_are_as_short_as_the_range_allows() {
        let start = 1_700_000_000_123_000_000;
        let frame = |length: i64| Frame {
            range: Range { start, end: start + length * 1_000_000_000 },
            width: 80,
            height: 12,
            is_coloured: false,
        };
        assert_eq!(frame(2).times(), ["22:13:20.123", "22:13:21.123", "22:13:22.123"]);
        assert_eq!(frame(3600).times()[2], "23:13:20");
        assert_eq!(frame(86_400 * 2).times()[1], "2023-11-15 22:13");
    }
}
