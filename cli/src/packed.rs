//! `efd packed`: samples that are packed in arrays, one row for each sample.

use std::process::ExitCode;

use clap::{ArgGroup, Args, ValueEnum};
use efd_proto::query::v1::{PackedTimes, QueryPackedRequest, Selection, TimeScale};

use crate::config::Config;
use crate::gateway::{connect, refusal};
use crate::output;
use crate::progress::Progress;
use crate::range::RangeArgs;
use crate::rows::{self, Output, OutputArgs};
use crate::time::format_time;

/// Arguments of `efd packed`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("range").args(["start", "last"]).required(true))]
pub struct PackedArgs {
    /// Topic, for example lsst.sal.MTM1M3.accelerometerData
    topic: String,
    /// Arrays of samples, comma separated, all of one length.
    #[arg(long, short, value_delimiter = ',', required = true, value_name = "FIELD")]
    fields: Vec<String>,
    #[command(flatten)]
    range: RangeArgs,
    /// Field with the time of the first sample of a record, in seconds.
    #[arg(long, default_value = "cRIO_timestamp", value_name = "FIELD")]
    reference: String,
    /// Scale of that time.
    #[arg(long, value_enum, default_value = "tai", value_name = "SCALE")]
    reference_scale: ReferenceScale,
    /// Take the time between the first two records for all of them, as `select_packed_time_series` of lsst-efd-client does, instead of
    /// the true one.
    #[arg(long)]
    first_rows: bool,
    /// Only records of this index of the component.
    #[arg(long, value_name = "INDEX")]
    index: Option<i64>,
    #[command(flatten)]
    output: OutputArgs,
    /// Draw the samples over time, instead of printing them.
    #[arg(long, conflicts_with_all = ["format", "output"])]
    plot: bool,
}

/// A scale of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReferenceScale {
    /// International Atomic Time, as SAL has it.
    Tai,
    /// Coordinated Universal Time.
    Utc,
}

/// Streams the samples; an empty range is no error.
pub async fn run(config: &Config, args: &PackedArgs) -> anyhow::Result<ExitCode> {
    let range = args.range.range()?;
    let output = if args.plot { Output::plot(range) } else { Output::open(&args.output)? };
    let selection =
        Selection { topic: args.topic.clone(), fields: args.fields.clone(), sal_index: args.index };
    let scale = match args.reference_scale {
        ReferenceScale::Tai => TimeScale::Tai,
        ReferenceScale::Utc => TimeScale::Utc,
    };
    let times = if args.first_rows { PackedTimes::FirstRows } else { PackedTimes::True };
    let request = QueryPackedRequest {
        selection: Some(selection),
        range: Some(range.asked()),
        reference_field: args.reference.clone(),
        reference_scale: scale.into(),
        times: times.into(),
    };
    let asked = async {
        let answer = connect(config).await?.query_packed(request).await;
        Ok(answer.map_err(|status| refusal(&status))?.into_inner())
    };
    let samples = rows::receive(asked, output, Progress::over(range)).await?;
    if samples == 0 {
        let (start, end) = (format_time(range.start), format_time(range.end));
        output::complain(&format!("no samples of {} between {start} and {end}", args.topic));
    }
    Ok(ExitCode::SUCCESS)
}
