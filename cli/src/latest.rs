//! `efd latest`: the newest records of a topic.

use std::process::ExitCode;

use clap::Args;
use efd_proto::query::v1::{QueryLatestRequest, Selection};

use crate::config::Config;
use crate::gateway::{connect, refusal};
use crate::output;
use crate::progress::Progress;
use crate::range::timestamp;
use crate::rows::{self, Output, OutputArgs};
use crate::time::{self, UnixNanos};

/// Arguments of `efd latest`.
#[derive(Debug, Args)]
pub struct LatestArgs {
    /// Topic, for example lsst.sal.ATCamera.vacuum
    topic: String,
    /// How many records.
    #[arg(long, short = 'n', default_value = "1", value_name = "NUMBER")]
    count: u32,
    /// Fields, comma separated, arrays by their base name; all when none is named.
    #[arg(long, short, value_delimiter = ',', value_name = "FIELD")]
    fields: Vec<String>,
    /// Only records before this time, UTC, for example 2026-11-24T18:00:00Z
    #[arg(long, value_parser = time::parse_time, allow_hyphen_values = true, value_name = "TIME")]
    before: Option<UnixNanos>,
    /// Only records of this index of the component.
    #[arg(long, value_name = "INDEX")]
    index: Option<i64>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints them in the order of time; none is no error.
pub async fn run(config: &Config, args: &LatestArgs) -> anyhow::Result<ExitCode> {
    let output = Output::open(&args.output)?;
    let selection =
        Selection { topic: args.topic.clone(), fields: args.fields.clone(), sal_index: args.index };
    let request = QueryLatestRequest {
        selection: Some(selection),
        count: args.count,
        before: args.before.map(timestamp),
        ..QueryLatestRequest::default()
    };
    let asked = async {
        let answer = connect(config).await?.query_latest(request).await;
        Ok(answer.map_err(|status| refusal(&status))?.into_inner())
    };
    if rows::receive(asked, output, Progress::endless()).await? == 0 {
        output::complain(&format!("there are no such records of {}", args.topic));
    }
    Ok(ExitCode::SUCCESS)
}
