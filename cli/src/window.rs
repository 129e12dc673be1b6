//! `efd window`: statistics of a topic's fields for each interval of a range of time.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use efd_proto::query::v1::query_window_response::Part as Kind;
use efd_proto::query::v1::{Aggregate, Field, QueryWindowRequest, QueryWindowResponse, Selection};

use crate::config::Config;
use crate::gateway::{connect, refusal, statistic_name};
use crate::progress::Progress;
use crate::range::RangeArgs;
use crate::rows::{self, Answer, Output, OutputArgs, Part};
use crate::time;

/// Arguments of `efd window`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("range").args(["start", "last"]).required(true))]
pub struct WindowArgs {
    /// Topic, for example lsst.sal.ATCamera.vacuum
    topic: String,
    /// Length of an interval, for example 10s
    #[arg(long, short, value_parser = time::parse_span, value_name = "SPAN")]
    interval: Duration,
    /// Fields, comma separated, arrays by their base name; all with numbers when none is named.
    #[arg(long, short, value_delimiter = ',', value_name = "FIELD")]
    fields: Vec<String>,
    /// What to make of the values of each interval.
    #[arg(
        long,
        short,
        value_enum,
        value_delimiter = ',',
        default_value = "min,mean,max",
        value_name = "STATISTIC"
    )]
    statistics: Vec<Statistic>,
    #[command(flatten)]
    range: RangeArgs,
    /// Only records of this index of the component.
    #[arg(long, value_name = "INDEX")]
    index: Option<i64>,
    /// Also show intervals without records.
    #[arg(long)]
    empty: bool,
    #[command(flatten)]
    output: OutputArgs,
    /// Draw the statistics over time, instead of printing them.
    #[arg(long, requires = "fields", conflicts_with_all = ["format", "output"])]
    plot: bool,
}

/// What the values of an interval are made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Statistic {
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// Arithmetic mean.
    Mean,
    /// Median.
    Median,
    /// Standard deviation of a sample.
    Stddev,
    /// Number of values.
    Count,
    /// The earliest.
    First,
    /// The latest.
    Last,
}

impl From<Statistic> for Aggregate {
    fn from(statistic: Statistic) -> Self {
        match statistic {
            Statistic::Min => Self::Min,
            Statistic::Max => Self::Max,
            Statistic::Mean => Self::Mean,
            Statistic::Median => Self::Median,
            Statistic::Stddev => Self::Stddev,
            Statistic::Count => Self::Count,
            Statistic::First => Self::First,
            Statistic::Last => Self::Last,
        }
    }
}

/// Streams the intervals; a range without any is no error.
pub async fn run(config: &Config, args: &WindowArgs) -> anyhow::Result<ExitCode> {
    let range = args.range.range()?;
    let output = if args.plot { Output::plot(range) } else { Output::open(&args.output)? };
    let selection =
        Selection { topic: args.topic.clone(), fields: args.fields.clone(), sal_index: args.index };
    let request = QueryWindowRequest {
        selections: vec![selection],
        range: Some(range.asked()),
        interval: Some(prost_types::Duration::try_from(args.interval)?),
        aggregates: args.statistics.iter().map(|statistic| Aggregate::from(*statistic).into()).collect(),
        empty_intervals: args.empty,
    };
    let asked = async {
        let answer = connect(config).await?.query_window(request).await;
        Ok(answer.map_err(|status| refusal(&status))?.into_inner())
    };
    rows::receive(asked, output, Progress::over(range)).await?;
    Ok(ExitCode::SUCCESS)
}

impl Answer for QueryWindowResponse {
    fn part(self) -> Option<Part> {
        Some(match self.part? {
            Kind::Header(mut header) => {
                header.fields.iter_mut().for_each(name_statistic);
                Part::Header(header)
            }
            Kind::Batch(batch) => Part::Batch(batch),
        })
    }
}

/// Several columns are of one field, so each is called `<field>_<statistic>`.
fn name_statistic(field: &mut Field) {
    field.name = format!("{}_{}", field.name, statistic_name(field.aggregate()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_say_which_statistic_they_are() {
        let mut field =
            Field { name: "force".into(), aggregate: Aggregate::Stddev.into(), ..Field::default() };
        name_statistic(&mut field);
        assert_eq!(field.name, "force_stddev");
    }
}
