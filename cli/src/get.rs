//! `efd get`: records of a topic over a range of time, streamed from the gateway to standard output or a file.

use std::process::ExitCode;

use clap::{ArgGroup, Args};
use efd_proto::query::v1::{QueryRangeRequest, Selection};

use crate::config::Config;
use crate::gateway::{connect, refusal};
use crate::output;
use crate::progress::Progress;
use crate::range::RangeArgs;
use crate::rows::{self, Output, OutputArgs};
use crate::time::format_time;

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
    #[command(flatten)]
    output: OutputArgs,
    /// Draw the fields over time, instead of printing them.
    #[arg(long, requires = "fields", conflicts_with_all = ["format", "output"])]
    plot: bool,
}

/// Streams the rows; an empty range is no error.
pub async fn run(config: &Config, args: &GetArgs) -> anyhow::Result<ExitCode> {
    let range = args.range.range()?;
    let output = if args.plot { Output::plot(range) } else { Output::open(&args.output)? };
    let selection =
        Selection { topic: args.topic.clone(), fields: args.fields.clone(), sal_index: args.index };
    let request = QueryRangeRequest {
        selections: vec![selection],
        range: Some(range.asked()),
        ..QueryRangeRequest::default()
    };
    let asked = async {
        let answer = connect(config).await?.query_range(request).await;
        Ok(answer.map_err(|status| refusal(&status))?.into_inner())
    };
    let rows = rows::receive(asked, output, Progress::over(range)).await?;
    if rows == 0 {
        let (start, end) = (format_time(range.start), format_time(range.end));
        output::complain(&format!("no records of {} between {start} and {end}", args.topic));
    }
    Ok(ExitCode::SUCCESS)
}
