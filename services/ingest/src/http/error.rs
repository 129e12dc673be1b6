//! Why a request is refused, with the status and code that Confluent's REST Proxy gives for it.
//!
//! Clients decide by `error_code`; people read the message. Source of the codes: REST Proxy API reference, v2 and v3.

use efd_kafka::{ErrorKind, error_kind};
use efd_service::server::credentials::Denied;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use thiserror::Error;

use super::avro_json::Mismatch;
use crate::metrics::RefuseReason;

/// Code of a record that may be sent again.
pub const RETRIABLE: u32 = 50003;
/// Code of a record that Kafka will never take.
const NOT_RETRIABLE: u32 = 50002;

/// A refused or failed request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProxyError {
    /// The body is not JSON.
    #[error("the body is not valid JSON: {0}")]
    MalformedBody(String),
    /// Kafka does not create such a topic.
    #[error("{0}")]
    BadTopic(String),
    /// No or wrong credentials.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The topic is not one of this source's, or of the caller's.
    #[error("topic {topic} is not allowed: it has to begin with {allowed} ({rule})")]
    Forbidden {
        /// Kafka topic.
        topic: String,
        /// Prefixes.
        allowed: String,
        /// The setting that says so.
        rule: String,
    },
    /// No such path.
    #[error("HTTP 404 Not Found")]
    PathNotFound,
    /// No such topic.
    #[error("Topic {0} not found.")]
    TopicNotFound(String),
    /// The topic has fewer partitions.
    #[error("Partition {partition} of topic {topic} not found.")]
    PartitionNotFound {
        /// Kafka topic.
        topic: String,
        /// Asked for.
        partition: i32,
    },
    /// Not the cluster that is served.
    #[error("Cluster {0} cannot be found.")]
    ClusterNotFound(String),
    /// The path exists, but not for this method.
    #[error("HTTP 405 Method Not Allowed")]
    MethodNotAllowed,
    /// The body did not come in time.
    #[error("the body did not come within {0} s")]
    BodyTimedOut(u64),
    /// The body ended before its end, or is not encoded as its head says.
    #[error("the body cannot be read: {0}")]
    BodyUnreadable(String),
    /// The registry did not take or give a schema.
    #[error("Schema registration or lookup failed: {0}")]
    SchemaLookup(String),
    /// The body is longer than allowed.
    #[error("the body is longer than {0} bytes (setting http.max_body_bytes)")]
    TooLarge(u64),
    /// Not a media type that can be taken.
    #[error(
        "HTTP 415 Unsupported Media Type: send application/vnd.kafka.avro.v2+json, .json.v2+json or .binary.v2+json"
    )]
    UnsupportedMediaType,
    /// The body is JSON of another form.
    #[error("{0}")]
    InvalidBody(String),
    /// A key without a schema.
    #[error("Request includes keys but does not include key schema")]
    KeySchemaMissing,
    /// A value without a schema.
    #[error("Request includes values but does not include value schema")]
    ValueSchemaMissing,
    /// A value does not fit its schema.
    #[error("Conversion of JSON to {format} failed: record {record}, {part}: {mismatch}")]
    Conversion {
        /// `Avro` or `binary`.
        format: &'static str,
        /// Place in the request, from 0.
        record: usize,
        /// `key` or `value`.
        part: &'static str,
        /// Where and why.
        mismatch: Mismatch,
    },
    /// Not a schema.
    #[error("Invalid schema: {0}")]
    InvalidSchema(String),
    /// As much is worked on as may be.
    #[error(
        "as many requests are worked on as may be (settings http.max_requests, http.max_in_flight_bytes), try again later"
    )]
    Busy,
    /// A broker says no, and will again.
    #[error("Kafka error: {0}")]
    Kafka(String),
    /// No broker could be asked; later one may.
    #[error("Retriable Kafka error: {0}")]
    KafkaRetriable(String),
}

impl ProxyError {
    /// HTTP status and `error_code`.
    pub const fn status_and_code(&self) -> (u16, u32) {
        match self {
            Self::MalformedBody(_) | Self::BodyUnreadable(_) => (400, 400),
            Self::BadTopic(_) => (400, 40002),
            Self::Denied(_) => (401, 40101),
            Self::Forbidden { .. } => (403, 40301),
            Self::PathNotFound | Self::ClusterNotFound(_) => (404, 404),
            Self::TopicNotFound(_) => (404, 40401),
            Self::PartitionNotFound { .. } => (404, 40402),
            Self::MethodNotAllowed => (405, 405),
            Self::BodyTimedOut(_) => (408, 408),
            Self::SchemaLookup(_) => (408, 40801),
            Self::TooLarge(_) => (413, 413),
            Self::UnsupportedMediaType => (415, 415),
            Self::InvalidBody(_) => (422, 422),
            Self::KeySchemaMissing => (422, 42201),
            Self::ValueSchemaMissing => (422, 42202),
            Self::Conversion { .. } => (422, 42203),
            Self::InvalidSchema(_) => (422, 42205),
            Self::Busy => (429, 42901),
            Self::Kafka(_) => (500, NOT_RETRIABLE),
            Self::KafkaRetriable(_) => (500, RETRIABLE),
        }
    }

    /// What a refused record counts as.
    pub(crate) const fn reason(&self) -> RefuseReason {
        match self {
            Self::Denied(_) => RefuseReason::Unauthenticated,
            Self::Forbidden { .. } => RefuseReason::Forbidden,
            Self::TopicNotFound(_) | Self::PartitionNotFound { .. } => RefuseReason::UnknownTopic,
            Self::SchemaLookup(_)
            | Self::KeySchemaMissing
            | Self::ValueSchemaMissing
            | Self::InvalidSchema(_) => RefuseReason::Schema,
            Self::Conversion { .. } => RefuseReason::Misfit,
            Self::Busy => RefuseReason::Busy,
            Self::Kafka(_) | Self::KafkaRetriable(_) => RefuseReason::Kafka,
            // Those that cannot come of a request with records are malformed as well.
            Self::MalformedBody(_)
            | Self::BodyUnreadable(_)
            | Self::BodyTimedOut(_)
            | Self::TooLarge(_)
            | Self::UnsupportedMediaType
            | Self::InvalidBody(_)
            | Self::BadTopic(_)
            | Self::PathNotFound
            | Self::ClusterNotFound(_)
            | Self::MethodNotAllowed => RefuseReason::Malformed,
        }
    }
}

impl From<KafkaError> for ProxyError {
    fn from(error: KafkaError) -> Self {
        let code = match &error {
            KafkaError::AdminOp(code) => Some(*code),
            other => other.rdkafka_error_code(),
        };
        match code {
            Some(
                Code::TopicAlreadyExists
                | Code::InvalidTopic
                | Code::InvalidPartitions
                | Code::InvalidReplicationFactor
                | Code::InvalidConfig
                | Code::PolicyViolation,
            ) => Self::BadTopic(error.to_string()),
            _ if error_kind(&error) == ErrorKind::Transient => Self::KafkaRetriable(error.to_string()),
            _ => Self::Kafka(error.to_string()),
        }
    }
}

/// `error_code` of a record that Kafka did not take.
pub fn record_code(error: &KafkaError) -> u32 {
    match error.rdkafka_error_code() {
        Some(Code::Authentication | Code::SaslAuthenticationFailed) => 40101,
        Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => 40301,
        // A client that can never go on is replaced, so the next try may succeed.
        _ if error_kind(error) == ErrorKind::Record => NOT_RETRIABLE,
        _ => RETRIABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_record_says_whether_it_may_be_sent_again() {
        let table = [
            (Code::MessageTimedOut, 50003),
            (Code::MessageSizeTooLarge, 50002),
            (Code::TopicAuthorizationFailed, 40301),
            (Code::Fatal, 50003),
        ];
        for (code, expected) in table {
            assert_eq!(record_code(&KafkaError::MessageProduction(code)), expected, "{code:?}");
        }
    }

    #[test]
    fn a_topic_that_kafka_refuses_is_the_clients_mistake() {
        let of = |code| ProxyError::from(KafkaError::AdminOp(code)).status_and_code();
        assert_eq!(of(Code::TopicAlreadyExists), (400, 40002));
        assert_eq!(of(Code::InvalidReplicationFactor), (400, 40002));
        assert_eq!(of(Code::OperationTimedOut), (500, 50003));
        assert_eq!(of(Code::UnsupportedVersion), (500, 50002));
    }
}
