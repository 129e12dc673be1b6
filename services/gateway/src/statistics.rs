//! Which statistics of which intervals a `QueryWindow` asks for (pure).

use efd_proto::query::v1::{Aggregate, Field, FieldType, QueryWindowRequest};
use prost_types::Duration;

use crate::error::QueryError;
use crate::influxql::Intervals;
use crate::layout::FieldLayout;
use crate::scale::Conversion;
use crate::selection::Chosen;
use crate::time_range::TimeRange;

/// Shortest interval.
const MIN_INTERVAL: i64 = 1_000_000;

/// Which intervals.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// From when to when.
    pub range: TimeRange,
    /// How times of InfluxDB become times of the answer.
    pub answered: Conversion,
    /// Their length, and where they begin.
    pub intervals: Intervals,
    /// Whether intervals without rows are answered, too.
    pub with_empty: bool,
}

/// What is made of the fields of one selection.
#[derive(Debug)]
pub struct Statistics {
    /// One for each field and aggregate, as columns of the answer.
    pub fields: Vec<FieldLayout>,
    aggregates: Vec<Aggregate>,
}

impl Window {
    /// The intervals of a request, at most `max_intervals` of them.
    ///
    /// # Errors
    /// `InvalidArgument` when range or interval are none, or there are too many intervals.
    pub fn new(request: &QueryWindowRequest, max_intervals: usize) -> Result<Self, QueryError> {
        let (range, answered) = TimeRange::new(request.range.as_ref())?;
        let length_ns = interval(request.interval.as_ref())?;
        // Where a multiple of the length in the answer's scale is in InfluxDB's.
        let shift = i128::from(answered.apply(range.start_ns())) - i128::from(range.start_ns());
        let offset = (-shift).rem_euclid(i128::from(length_ns));
        let intervals = Intervals { length_ns, offset_ns: i64::try_from(offset).unwrap_or(0) };
        let window = Self { range, answered, intervals, with_empty: request.empty_intervals };
        let length = i128::from(length_ns);
        let count = (i128::from(range.end_ns()) - i128::from(window.first())) / length + 1;
        if count > max_intervals as i128 {
            return Err(QueryError::InvalidArgument(format!(
                "{count} intervals are more than query.max_intervals ({max_intervals}); ask for longer ones, or for less time"
            )));
        }
        Ok(window)
    }

    /// Beginning of the first interval.
    pub fn first(&self) -> i64 {
        let Intervals { length_ns, offset_ns } = self.intervals;
        let start = i128::from(self.range.start_ns());
        let past = (start - i128::from(offset_ns)).rem_euclid(i128::from(length_ns));
        i64::try_from(start - past).unwrap_or(i64::MIN)
    }

    /// Beginning of the interval after one that begins at `time`; none beyond the range.
    pub fn next(&self, time: i64) -> Option<i64> {
        time.checked_add(self.intervals.length_ns).filter(|next| *next <= self.range.end_ns())
    }
}

impl Statistics {
    /// What a request asks for of the fields of `chosen`; where it named none (`takes_all`), of those that all can be made of.
    ///
    /// # Errors
    /// `InvalidArgument` when no aggregate is named, or one twice, or one that cannot be made of a named field.
    pub fn new(wanted: &[i32], chosen: &mut Chosen, takes_all: bool) -> Result<Self, QueryError> {
        let aggregates = aggregates(wanted)?;
        let refused = |problem: String| Err(QueryError::InvalidArgument(problem));
        let misfit = |layout: &FieldLayout| {
            aggregates.iter().find(|aggregate| result_type(**aggregate, layout.field.r#type()).is_none())
        };
        if takes_all {
            chosen.fields.retain(|layout| misfit(layout).is_none());
            if chosen.fields.is_empty() {
                return refused(format!(
                    "topic {} has no field that all aggregates can be made of",
                    chosen.topic
                ));
            }
        }
        for layout in &chosen.fields {
            if let Some(aggregate) = misfit(layout) {
                return refused(format!(
                    "{} cannot be made of field {} of topic {}, since it has no numbers; ask for COUNT, FIRST or LAST of it",
                    aggregate.as_str_name(),
                    layout.field.name,
                    chosen.topic
                ));
            }
        }
        let columns = |layout: &FieldLayout| {
            let made = |aggregate: &Aggregate| column(layout, *aggregate);
            aggregates.iter().map(made).collect::<Vec<_>>()
        };
        let fields = chosen.fields.iter().flat_map(columns).collect();
        Ok(Self { fields, aggregates })
    }

    /// Functions of InfluxQL and the stored columns that they are of, in the order of the answer.
    pub fn calls(&self, chosen: &Chosen) -> Vec<(&'static str, String)> {
        let calls = |layout: &FieldLayout| {
            let of = |aggregate: &Aggregate| {
                let name = function(*aggregate);
                layout.columns().map(move |column| (name, column)).collect::<Vec<_>>()
            };
            self.aggregates.iter().flat_map(of).collect::<Vec<_>>()
        };
        chosen.fields.iter().flat_map(calls).collect()
    }

    /// Columns of InfluxDB's answer.
    pub fn columns(&self) -> usize {
        self.fields.iter().map(|layout| layout.stored.len()).sum()
    }
}

fn interval(interval: Option<&Duration>) -> Result<i64, QueryError> {
    let refused = |problem: &str| QueryError::InvalidArgument(format!("interval {problem}"));
    let Some(interval) = interval else { return Err(refused("is missing")) };
    let ns = i128::from(interval.seconds) * 1_000_000_000 + i128::from(interval.nanos);
    let ns = i64::try_from(ns).map_err(|_| refused("is longer than InfluxDB can store times"))?;
    if ns < MIN_INTERVAL {
        return Err(refused("is shorter than 1 ms"));
    }
    Ok(ns)
}

fn aggregates(wanted: &[i32]) -> Result<Vec<Aggregate>, QueryError> {
    let refused = |problem: String| QueryError::InvalidArgument(problem);
    if wanted.is_empty() {
        return Err(refused("aggregates are missing".to_owned()));
    }
    let mut aggregates = Vec::with_capacity(wanted.len());
    for number in wanted {
        let known = Aggregate::try_from(*number).ok().filter(|known| *known != Aggregate::Unspecified);
        let aggregate = known.ok_or_else(|| refused(format!("there is no aggregate {number}")))?;
        if aggregates.contains(&aggregate) {
            return Err(refused(format!("{} is named twice", aggregate.as_str_name())));
        }
        aggregates.push(aggregate);
    }
    Ok(aggregates)
}

/// A column of the answer.
fn column(layout: &FieldLayout, aggregate: Aggregate) -> FieldLayout {
    let ty = result_type(aggregate, layout.field.r#type()).unwrap_or(FieldType::Unspecified);
    let keeps_values = matches!(aggregate, Aggregate::First | Aggregate::Last);
    let unit = if aggregate == Aggregate::Count { String::new() } else { layout.field.unit.clone() };
    let symbols = if keeps_values { layout.field.symbols.clone() } else { Vec::new() };
    let field =
        Field { r#type: ty.into(), aggregate: aggregate.into(), unit, symbols, ..layout.field.clone() };
    FieldLayout { field, stored: layout.stored.clone() }
}

/// Type of an aggregate of values of a type; none where there is none.
fn result_type(aggregate: Aggregate, ty: FieldType) -> Option<FieldType> {
    use FieldType::{Double, Float, Int, Long};
    let is_number = matches!(ty, Double | Float | Int | Long);
    match aggregate {
        Aggregate::Count => Some(Long),
        Aggregate::First | Aggregate::Last => Some(ty),
        Aggregate::Min | Aggregate::Max => is_number.then_some(ty),
        Aggregate::Mean | Aggregate::Median | Aggregate::Stddev => is_number.then_some(Double),
        Aggregate::Unspecified => None,
    }
}

fn function(aggregate: Aggregate) -> &'static str {
    match aggregate {
        Aggregate::Unspecified | Aggregate::Count => "count",
        Aggregate::Min => "min",
        Aggregate::Max => "max",
        Aggregate::Mean => "mean",
        Aggregate::Median => "median",
        Aggregate::Stddev => "stddev",
        Aggregate::First => "first",
        Aggregate::Last => "last",
    }
}

#[cfg(test)]
#[path = "statistics_tests.rs"]
mod tests;
