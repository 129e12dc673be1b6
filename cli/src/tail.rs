//! `efd tail`: what is being recorded of a topic, until it is interrupted.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use efd_proto::query::v1::tail_response::Part;
use efd_proto::query::v1::{Selection, TailRequest};

use crate::config::Config;
use crate::gateway::{connect, refusal};
use crate::output;
use crate::range::timestamp;
use crate::rows::{TextFormat, TextWriter};
use crate::time;

/// Arguments of `efd tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Topic, for example lsst.sal.ATCamera.vacuum
    topic: String,
    /// Fields, comma separated, arrays by their base name; all when none is named.
    #[arg(long, short, value_delimiter = ',', value_name = "FIELD")]
    fields: Vec<String>,
    /// Show what was recorded over this time first, for example 10m
    #[arg(long, value_parser = time::parse_span, value_name = "SPAN")]
    last: Option<Duration>,
    /// Only records of this index of the component.
    #[arg(long, value_name = "INDEX")]
    index: Option<i64>,
    /// End after so many records.
    #[arg(long, short = 'n', value_name = "NUMBER")]
    count: Option<usize>,
    /// How to print: CSV or JSON lines.
    #[arg(long, value_enum, default_value = "csv")]
    format: TextFormat,
}

/// Streams the records.
pub async fn run(config: &Config, args: &TailArgs) -> anyhow::Result<ExitCode> {
    if args.format == TextFormat::Table {
        bail!("a table has no end here: use --format csv or json");
    }
    let mut gateway = connect(config).await?;
    let since = args.last.map(|span| {
        let nanos = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        timestamp(time::now().saturating_sub(nanos))
    });
    let selection =
        Selection { topic: args.topic.clone(), fields: args.fields.clone(), sal_index: args.index };
    let request = TailRequest { selections: vec![selection], since, ..TailRequest::default() };
    let mut stream = gateway.tail(request).await.map_err(|status| refusal(&status))?.into_inner();
    let mut writer = TextWriter::new(args.format);
    let mut left = args.count;
    while left != Some(0) {
        let Some(answer) = stream.message().await.map_err(|status| refusal(&status))? else { break };
        match answer.part {
            Some(Part::Header(header)) => output::print(&writer.header(header)),
            Some(Part::Batch(batch)) => {
                let text = writer.batch(&batch.batch.unwrap_or_default())?;
                let lines: String = text.split_inclusive('\n').take(left.unwrap_or(usize::MAX)).collect();
                left = left.map(|left| left.saturating_sub(lines.lines().count()));
                output::print(&lines);
            }
            Some(Part::Live(_)) | None => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}
