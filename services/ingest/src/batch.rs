//! Encoded records whose delivery is confirmed together, kept so that they can be sent again. Pure.

use std::sync::Arc;

use opentelemetry::trace::SpanContext;

use crate::encode::EncodeError;
use crate::receipt::Receipt;
use crate::sample::{Sample, SampleTopic};
use crate::source::Source;

/// Memory that a record takes besides its bytes, here and in the Kafka client, roughly.
const RECORD_OVERHEAD: usize = 256;

/// A group of encoded records in the order of their samples.
#[derive(Debug, Default)]
pub struct EncodedBatch {
    bytes: Vec<u8>,
    records: Vec<EncodedRecord>,
}

#[derive(Debug)]
struct EncodedRecord {
    topic: Arc<SampleTopic>,
    key: String,
    /// Where its bytes end; they begin where those of the record before end.
    end: usize,
    source: Source,
    receipt: Option<Receipt>,
    parent: Option<Arc<SpanContext>>,
}

/// One record of a batch.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    /// Where it goes.
    pub topic: &'a SampleTopic,
    /// Key as SAL writes it; empty for telemetry.
    pub key: &'a str,
    /// Wire format and Avro body.
    pub payload: &'a [u8],
    /// Where its sample came from.
    pub source: Source,
    /// What the source waits for.
    pub receipt: Option<&'a Receipt>,
    /// The span in which its publisher sent it.
    pub parent: Option<&'a SpanContext>,
}

impl EncodedBatch {
    /// Encodes a sample at the end of the batch.
    ///
    /// # Errors
    /// When the sample does not fit its interface; the batch is as before.
    pub fn push(&mut self, sample: &Sample) -> Result<(), EncodeError> {
        sample.topic.plan.encode(&sample.private_fields(), &sample.values, &mut self.bytes)?;
        let key = sample.topic.topic.key(sample.stamps.sal_index);
        self.records.push(EncodedRecord {
            topic: sample.topic.clone(),
            key,
            end: self.bytes.len(),
            source: sample.source,
            receipt: sample.receipt.clone(),
            parent: sample.parent.clone(),
        });
        Ok(())
    }

    /// Takes the last record out again.
    pub fn pop(&mut self) {
        self.records.pop();
        self.bytes.truncate(self.records.last().map_or(0, |record| record.end));
    }

    /// The last record.
    pub fn last(&self) -> Option<RecordView<'_>> {
        self.get(self.records.len().checked_sub(1)?)
    }

    /// The record at a place, from 0.
    pub fn get(&self, place: usize) -> Option<RecordView<'_>> {
        let record = self.records.get(place)?;
        let before = place.checked_sub(1).and_then(|place| self.records.get(place));
        let start = before.map_or(0, |before| before.end);
        let payload = self.bytes.get(start..record.end).unwrap_or_default();
        Some(RecordView {
            topic: &record.topic,
            key: &record.key,
            payload,
            source: record.source,
            receipt: record.receipt.as_ref(),
            parent: record.parent.as_deref(),
        })
    }

    /// All records in order.
    pub fn iter(&self) -> impl Iterator<Item = RecordView<'_>> {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Size of all records, with what belongs to them.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.records.len() * RECORD_OVERHEAD
    }
}
