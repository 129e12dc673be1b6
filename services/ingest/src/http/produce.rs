//! `POST /topics/{topic}`: from the body of a request to its answer.

use std::sync::Arc;

use opentelemetry::trace::SpanContext;
use serde_json::Value;

use super::answer;
use super::avro_json::Encoder;
use super::body::{self, EncodedRecord, Encoders, Format, ProduceBody};
use super::cluster::Partition;
use super::delivery::Delivery;
use super::error::ProxyError;
use super::schemas::{SchemaName, Schemas};

/// Where the records go, and how they are written.
#[derive(Debug)]
pub struct Wanted {
    /// Kafka topic; it exists, and the caller may write to it.
    pub topic: String,
    /// Partition that the path names.
    pub partition: Option<i32>,
    /// From the content type.
    pub format: Format,
    /// The span that the client is in, if it said so.
    pub parent: Option<SpanContext>,
}

/// Encodes and sends the records of a body, and says what became of each.
///
/// # Errors
/// When the body, a schema or a record cannot be used; then nothing was sent.
pub async fn produce(
    wanted: Wanted,
    body: &[u8],
    partitions: &[Partition],
    (schemas, delivery): (&Schemas, &Delivery),
) -> Result<Value, ProxyError> {
    let body: ProduceBody = body::parse(body)?;
    if body.records.is_empty() {
        return Err(ProxyError::InvalidBody("records may not be empty".to_owned()));
    }
    let (mut key, mut value) = (None, None);
    if wanted.format == Format::Avro {
        let topic = &wanted.topic;
        key = encoder(schemas, format!("{topic}-key"), body.key_schema_id, body.key_schema).await?;
        value = encoder(schemas, format!("{topic}-value"), body.value_schema_id, body.value_schema).await?;
    }
    let encoders = Encoders { key: key.as_deref(), value: value.as_deref() };
    let mut records = body::encode(&body.records, wanted.format, encoders)?;
    place(&mut records, &wanted, partitions)?;
    let outcomes = delivery.deliver(&wanted.topic, &records, wanted.parent.as_ref()).await;
    let id = |encoder: Option<Arc<Encoder>>| encoder.map(|encoder| encoder.id());
    Ok(answer::produced(&outcomes, id(key), id(value)))
}

/// The id counts where both are given, as in the proxy.
async fn encoder(
    schemas: &Schemas,
    subject: String,
    id: Option<u32>,
    text: Option<String>,
) -> Result<Option<Arc<Encoder>>, ProxyError> {
    let name = match (id, text) {
        (Some(id), _) => SchemaName::Id(id),
        (None, Some(text)) => SchemaName::Text { subject: subject.into(), text: text.into() },
        (None, None) => return Ok(None),
    };
    schemas.encoder(name).await.map(Some)
}

/// Sends every record to the partition of the path, and refuses partitions that there are not.
fn place(records: &mut [EncodedRecord], wanted: &Wanted, partitions: &[Partition]) -> Result<(), ProxyError> {
    for record in records {
        record.partition = wanted.partition.or(record.partition);
        if let Some(partition) = record.partition
            && !partitions.iter().any(|existing| existing.id == partition)
        {
            return Err(ProxyError::PartitionNotFound { topic: wanted.topic.clone(), partition });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_there_is_not_is_refused_before_anything_is_sent() {
        let record = |partition| EncodedRecord { key: None, value: None, partition };
        let partitions = [0, 1].map(|id| Partition { id, leader: 0, replicas: vec![], in_sync: vec![] });
        let wanted = |partition| Wanted { topic: "t".into(), partition, format: Format::Json, parent: None };
        let mut records = [record(None), record(Some(1))];
        place(&mut records, &wanted(None), &partitions).unwrap();
        assert_eq!(records, [record(None), record(Some(1))]);
        place(&mut records, &wanted(Some(0)), &partitions).unwrap();
        assert_eq!(records, [record(Some(0)), record(Some(0))]);
        let error = place(&mut [record(Some(2))], &wanted(None), &partitions).unwrap_err();
        assert_eq!(error.status_and_code(), (404, 40402));
        place(&mut [record(Some(-1))], &wanted(None), &partitions).unwrap_err();
    }
}
