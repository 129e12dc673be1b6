//! The gateway's gRPC client, and its errors as a person reads them.

use std::time::Duration;

use anyhow::Context as _;
use efd_proto::query::v1::query_service_client::QueryServiceClient;
use efd_proto::query::v1::{Aggregate, Field, FieldType};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use crate::config::Config;

/// Bound on connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Window of a stream: an answer is about 1 MiB, so some are on their way at once.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// Largest answer: a single row may be longer than the usual 1 MiB.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Connects to the gateway.
pub async fn connect(config: &Config) -> anyhow::Result<QueryServiceClient<Channel>> {
    let endpoint = Endpoint::from_shared(config.gateway.clone())
        .with_context(|| {
            format!("gateway {} is not an address such as http://localhost:9180", config.gateway)
        })?
        .connect_timeout(CONNECT_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW);
    let channel = endpoint
        .connect()
        .await
        .with_context(|| format!("gateway {} does not answer: start it, or set `gateway`", config.gateway))?;
    Ok(QueryServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER))
}

/// What the gateway said, without gRPC's wrapping.
pub fn refusal(status: &Status) -> anyhow::Error {
    anyhow::anyhow!("{}", status.message())
}

/// `double`, or `double[5]` for an array.
pub fn type_name(field: &Field) -> String {
    let name = scalar_type_name(field.r#type());
    match field.array_length {
        None => name.to_owned(),
        Some(0) => format!("{name}[]"),
        Some(length) => format!("{name}[{length}]"),
    }
}

/// Avro's name of a type, such as `double`.
pub fn scalar_type_name(ty: FieldType) -> &'static str {
    match ty {
        FieldType::Unspecified => "unknown",
        FieldType::Boolean => "boolean",
        FieldType::Int => "int",
        FieldType::Long => "long",
        FieldType::Float => "float",
        FieldType::Double => "double",
        FieldType::String => "string",
        FieldType::Bytes => "bytes",
        FieldType::Enum => "enum",
    }
}

/// Name of a statistic, such as `mean`.
pub fn statistic_name(aggregate: Aggregate) -> String {
    aggregate.as_str_name().trim_start_matches("AGGREGATE_").to_lowercase()
}
