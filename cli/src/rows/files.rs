//! Rows into a destination as text, as an Arrow file, as a Parquet file: batch by batch, so that memory is bounded.

use std::io::{BufWriter, IntoInnerError, Write as _};
use std::sync::Arc;

use arrow_ipc::writer::FileWriter;
use arrow_schema::Schema;
use efd_proto::query::v1::{Batch, Field, Header};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::destination::Destination;
use super::text::TextWriter;
use super::{Rows, record};

/// Rows of a row group of Parquet at most: it is in memory, encoded, until it is whole.
const GROUP_ROWS: usize = 128 * 1024;
/// Its bytes at most, for rows with many values.
const GROUP_BYTES: usize = 32 * 1024 * 1024;

/// Rows as text.
#[derive(Debug)]
pub struct Text {
    writer: TextWriter,
    out: Destination,
}

impl Text {
    /// Nothing is written yet.
    pub fn new(writer: TextWriter, out: Destination) -> Self {
        Self { writer, out }
    }

    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush())?)
    }
}

impl Rows for Text {
    fn header(&mut self, header: Header) -> anyhow::Result<()> {
        let text = self.writer.header(header);
        self.write(&text)
    }

    fn batch(&mut self, batch: Batch) -> anyhow::Result<()> {
        let text = self.writer.batch(&batch)?;
        self.write(&text)
    }

    fn end(mut self: Box<Self>) -> anyhow::Result<()> {
        let text = self.writer.end();
        self.write(&text)?;
        Ok(self.out.keep()?)
    }
}

/// A file whose columns are not known before the header.
enum Columnar<W> {
    Waiting(Destination),
    Writing { writer: W, fields: Vec<Field>, schema: Arc<Schema> },
    Broken,
}

impl<W> Columnar<W> {
    fn begin(
        &mut self,
        header: Header,
        open: impl FnOnce(Destination, &Arc<Schema>) -> anyhow::Result<W>,
    ) -> anyhow::Result<()> {
        let schema = Arc::new(record::schema(&header)?);
        if let Self::Waiting(out) = std::mem::replace(self, Self::Broken) {
            let writer = open(out, &schema)?;
            *self = Self::Writing { writer, fields: header.fields, schema };
        }
        Ok(())
    }

    fn add(
        &mut self,
        batch: Batch,
        write: impl FnOnce(&mut W, &arrow_array::RecordBatch) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Writing { writer, fields, schema } => write(writer, &record::batch(fields, schema, batch)?),
            Self::Waiting(_) | Self::Broken => anyhow::bail!("rows came before their header"),
        }
    }

    fn end(self, close: impl FnOnce(W) -> anyhow::Result<Destination>) -> anyhow::Result<()> {
        match self {
            Self::Writing { writer, .. } => Ok(close(writer)?.keep()?),
            Self::Waiting(_) | Self::Broken => anyhow::bail!("the answer has no header"),
        }
    }
}

/// Rows as an Arrow IPC file.
pub struct Arrow(Columnar<FileWriter<BufWriter<Destination>>>);

impl Arrow {
    /// Nothing is written yet.
    pub fn new(out: Destination) -> Self {
        Self(Columnar::Waiting(out))
    }
}

impl Rows for Arrow {
    fn header(&mut self, header: Header) -> anyhow::Result<()> {
        self.0.begin(header, |out, schema| Ok(FileWriter::try_new_buffered(out, schema)?))
    }

    fn batch(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.0.add(batch, |writer, rows| Ok(writer.write(rows)?))
    }

    fn end(self: Box<Self>) -> anyhow::Result<()> {
        self.0.end(|writer| Ok(writer.into_inner()?.into_inner().map_err(IntoInnerError::into_error)?))
    }
}

/// Rows as a Parquet file.
pub struct Parquet(Columnar<ArrowWriter<Destination>>);

impl Parquet {
    /// Nothing is written yet.
    pub fn new(out: Destination) -> Self {
        Self(Columnar::Waiting(out))
    }
}

impl Rows for Parquet {
    fn header(&mut self, header: Header) -> anyhow::Result<()> {
        let properties = WriterProperties::builder()
            .set_created_by(format!("efd {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            .build();
        self.0
            .begin(header, |out, schema| Ok(ArrowWriter::try_new(out, Arc::clone(schema), Some(properties))?))
    }

    fn batch(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.0.add(batch, |writer, rows| Ok(writer.write(rows)?))
    }

    fn end(self: Box<Self>) -> anyhow::Result<()> {
        self.0.end(|writer| Ok(writer.into_inner()?))
    }
}
