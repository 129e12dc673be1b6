//! What becomes of the rows that the gateway answers: text, an Arrow or Parquet file, or a chart.

mod columns;
mod destination;
mod files;
mod record;
mod text;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use efd_proto::query::v1::{
    Batch, Header, QueryLatestResponse, QueryPackedResponse, QueryRangeResponse, query_latest_response,
    query_packed_response, query_range_response,
};
use tonic::Streaming;

use crate::gateway::refusal;
use crate::plot::Plot;
use crate::progress::Progress;
use crate::range::Range;
pub use columns::FieldValues;
use destination::Destination;
pub use text::{TextFormat, TextWriter, csv_cell};

/// How rows are given, and where.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Table, CSV, JSON lines, Arrow file or Parquet file. Without it the ending of --output says it, and else it is a table.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to this file, which has its name only once it is whole; - is standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How rows are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people; all rows are held until the last has come.
    Table,
    /// Comma separated, a header line first, an array as JSON in one cell.
    Csv,
    /// One JSON object for each row.
    Json,
    /// Arrow IPC file (Feather): columns with units and descriptions, arrays as lists.
    Arrow,
    /// Parquet file with the same columns, smaller.
    Parquet,
}

/// Part of an answer.
#[derive(Debug)]
pub enum Part {
    /// Says what the columns are; comes first.
    Header(Header),
    /// Rows.
    Batch(Batch),
}

/// A message of a streamed answer.
pub trait Answer {
    /// What it has; none in one of a later version.
    fn part(self) -> Option<Part>;
}

/// The messages that have a header or a batch and nothing to be changed in them.
macro_rules! answers {
    ($($message:ident, $part:path);+) => {$(
        impl Answer for $message {
            fn part(self) -> Option<Part> {
                use $part as Kind;
                Some(match self.part? {
                    Kind::Header(header) => Part::Header(header),
                    Kind::Batch(batch) => Part::Batch(batch),
                })
            }
        }
    )+};
}

answers! {
    QueryRangeResponse, query_range_response::Part;
    QueryLatestResponse, query_latest_response::Part;
    QueryPackedResponse, query_packed_response::Part
}

/// Takes an answer part by part.
pub trait Rows {
    /// What the columns are; comes once, first.
    ///
    /// # Errors
    /// When such columns cannot be written.
    fn header(&mut self, header: Header) -> anyhow::Result<()>;

    /// Rows.
    ///
    /// # Errors
    /// When they do not fit the header, or cannot be written.
    fn batch(&mut self, batch: Batch) -> anyhow::Result<()>;

    /// There are no more.
    ///
    /// # Errors
    /// When what is left cannot be written.
    fn end(self: Box<Self>) -> anyhow::Result<()>;
}

/// Where an answer goes.
pub struct Output {
    rows: Box<dyn Rows>,
    /// What an error is about.
    what: String,
    /// The file that is being made.
    file: Option<PathBuf>,
}

impl OutputArgs {
    fn format(&self) -> Format {
        let ending = self.output.as_deref().and_then(Path::extension).and_then(|ending| ending.to_str());
        let by_ending = match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("csv") => Format::Csv,
            Some("json" | "jsonl" | "ndjson") => Format::Json,
            Some("arrow" | "feather") => Format::Arrow,
            Some("parquet") => Format::Parquet,
            _ => Format::Table,
        };
        self.format.unwrap_or(by_ending)
    }
}

impl Output {
    /// As the command line says.
    ///
    /// # Errors
    /// When the file cannot be written, or the format is none for a terminal.
    pub fn open(args: &OutputArgs) -> anyhow::Result<Self> {
        let destination = Destination::open(args.output.as_deref())?;
        let format = args.format();
        if matches!(format, Format::Arrow | Format::Parquet) && destination.is_terminal() {
            bail!("an Arrow or Parquet file is nothing for a terminal: give --output FILE");
        }
        let file = destination.file().map(Path::to_owned);
        let name = file.as_deref().map_or("the output".into(), Path::to_string_lossy);
        let what = format!("cannot write {name}");
        let text = |format, out| Box::new(files::Text::new(TextWriter::new(format), out));
        let rows: Box<dyn Rows> = match format {
            Format::Table => text(TextFormat::Table, destination),
            Format::Csv => text(TextFormat::Csv, destination),
            Format::Json => text(TextFormat::Json, destination),
            Format::Arrow => Box::new(files::Arrow::new(destination)),
            Format::Parquet => Box::new(files::Parquet::new(destination)),
        };
        Ok(Self { rows, what, file })
    }

    /// A chart on standard output.
    pub fn plot(range: Range) -> Self {
        Self { rows: Box::new(Plot::new(range)), what: "no chart".into(), file: None }
    }

    fn end(self, count: u64) -> anyhow::Result<()> {
        self.rows.end().context(self.what)?;
        if let Some(file) = self.file {
            let bytes = indicatif::BinaryBytes(std::fs::metadata(&file)?.len());
            crate::output::print(&format!("{}: {count} rows, {bytes}\n", file.display()));
        }
        Ok(())
    }
}

/// Asks, takes the answer to its end, and gives the number of its rows. A file that was begun is removed where that fails or is
/// interrupted.
pub async fn receive<A: Answer>(
    asked: impl Future<Output = anyhow::Result<Streaming<A>>>,
    output: Output,
    progress: Progress,
) -> anyhow::Result<u64> {
    if output.file.is_none() {
        // What goes to standard output needs no care, so that a signal ends the process.
        return take(asked.await?, output, progress).await;
    }
    tokio::select! {
        biased;
        error = crate::output::interrupted() => Err(error),
        rows = async { take(asked.await?, output, progress).await } => rows,
    }
}

async fn take<A: Answer>(
    mut stream: Streaming<A>,
    mut output: Output,
    mut progress: Progress,
) -> anyhow::Result<u64> {
    while let Some(answer) = stream.message().await.map_err(|status| refusal(&status))? {
        match answer.part() {
            Some(Part::Header(header)) => {
                progress.suspend(|| output.rows.header(header)).with_context(|| output.what.clone())?;
            }
            Some(Part::Batch(batch)) => {
                progress.add(&batch);
                progress.suspend(|| output.rows.batch(batch)).with_context(|| output.what.clone())?;
            }
            None => {}
        }
    }
    progress.end();
    output.end(progress.rows())?;
    Ok(progress.rows())
}
