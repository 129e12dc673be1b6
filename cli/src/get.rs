//! `efd get`: records of a topic over a range of time, streamed from the gateway to standard output.

mod columns;
mod format;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::{ArgGroup, Args, ValueEnum};
use efd_proto::query::v1::query_range_response::Part;
use efd_proto::query::v1::{QueryRangeRequest, Selection, TimeRange};

use crate::config::Config;
use crate::gateway::{connect, refusal};
use crate::output;
use crate::time::{self, UnixNanos};
pub use format::{Writer, csv_cell};

/// Arguments of `efd get`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("range").args(["start", "last"]).required(true))]
pub struct GetArgs {
    /// Topic, for example lsst.sal.ATCamera.vacuum
    topic: String,
    /// Fields, comma separated, arrays by their base name; all when none is named.
    #[arg(long, short, value_delimiter = ',', value_name = "FIELD")]
    fields: Vec<String>,
    #[command(flatten)]
    range: RangeArgs,
    /// Only records of this index of the component.
    #[arg(long, value_name = "INDEX")]
    index: Option<i64>,
    /// How to print: table, CSV, or JSON lines.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// From when to when.
#[derive(Debug, Args)]
pub struct RangeArgs {
    /// First time, UTC, inclusive, for example 2026-11-24T18:00:00Z
    #[arg(long, value_parser = time::parse_time, allow_hyphen_values = true, value_name = "TIME")]
    start: Option<UnixNanos>,
    /// Last time, UTC, inclusive; now when not given.
    #[arg(long, value_parser = time::parse_time, allow_hyphen_values = true, value_name = "TIME", conflicts_with = "last")]
    end: Option<UnixNanos>,
    /// The time until now, instead of start and end, for example 10m
    #[arg(long, value_parser = time::parse_span, value_name = "SPAN")]
    last: Option<Duration>,
}

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; all rows are held until the last has come.
    Table,
    /// Comma separated, a header line first, an array as JSON in one cell.
    Csv,
    /// One JSON object for each row.
    Json,
}

impl RangeArgs {
    fn bounds(&self) -> anyhow::Result<(UnixNanos, UnixNanos)> {
        let now = time::now();
        let end = self.end.unwrap_or(now);
        let start = match (self.last, self.start) {
            (Some(span), _) => now.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)),
            (None, Some(start)) => start,
            (None, None) => bail!("give --last SPAN, or --start TIME with or without --end TIME"),
        };
        if start > end {
            bail!("start {} is after end {}", time::format_time(start), time::format_time(end));
        }
        Ok((start, end))
    }

    /// As the gateway is asked.
    ///
    /// # Errors
    /// When it begins after its end.
    pub fn time_range(&self) -> anyhow::Result<TimeRange> {
        let (start, end) = self.bounds()?;
        Ok(TimeRange { start: Some(timestamp(start)), end: Some(timestamp(end)), ..TimeRange::default() })
    }
}

/// Streams the rows; an empty range is no error.
pub async fn run(config: &Config, args: &GetArgs) -> anyhow::Result<ExitCode> {
    let range = args.range.time_range()?;
    let (start, end) = args.range.bounds()?;
    let mut gateway = connect(config).await?;
    let selection =
        Selection { topic: args.topic.clone(), fields: args.fields.clone(), sal_index: args.index };
    let request =
        QueryRangeRequest { selections: vec![selection], range: Some(range), ..QueryRangeRequest::default() };
    let mut stream = gateway.query_range(request).await.map_err(|status| refusal(&status))?.into_inner();
    let spinner = output::spinner();
    let mut writer = Writer::new(args.format);
    let mut rows = 0;
    while let Some(answer) = stream.message().await.map_err(|status| refusal(&status))? {
        match answer.part {
            Some(Part::Header(header)) => output::print(&writer.header(header)),
            Some(Part::Batch(batch)) => {
                rows += batch.times.len();
                let text = writer.batch(&batch)?;
                spinner.suspend(|| output::print(&text));
            }
            None => {}
        }
        spinner.set_message(format!("{rows} rows"));
    }
    spinner.finish_and_clear();
    output::print(&writer.end());
    if rows == 0 {
        let range = (time::format_time(start), time::format_time(end));
        output::complain(&format!("no records of {} between {} and {}", args.topic, range.0, range.1));
    }
    Ok(ExitCode::SUCCESS)
}

/// Unix nanoseconds as gRPC has them.
pub fn timestamp(nanos: UnixNanos) -> prost_types::Timestamp {
    let nanos_of_second = i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default();
    prost_types::Timestamp { seconds: nanos.div_euclid(1_000_000_000), nanos: nanos_of_second }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_are_whole_seconds_and_positive_nanoseconds() {
        assert_eq!(timestamp(-1), prost_types::Timestamp { seconds: -1, nanos: 999_999_999 });
        assert_eq!(timestamp(1_500_000_000), prost_types::Timestamp { seconds: 1, nanos: 500_000_000 });
    }
}
