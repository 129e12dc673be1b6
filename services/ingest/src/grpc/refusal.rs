//! Why a sample is refused, and what the client is told.

use efd_proto::ingest::v1 as proto;
use efd_sal::TimeError;
use efd_service::server::credentials::Denied;
use tonic::{Code, Status};

use crate::error::IngestError;
use crate::metrics::RefuseReason;
use crate::misfit::Misfit;
use crate::receipt::Undeliverable;

/// Longest piece of a sample that is repeated to the client; names of topics and fields are never longer.
const MAX_QUOTED: usize = 249;

/// Why a sample is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The client has no good credentials.
    #[error("{0} (metadata authorization)")]
    Denied(Denied),
    /// The client's credentials are for other topics.
    #[error("credential {credential} may not publish {topic}")]
    Forbidden {
        /// Its name.
        credential: String,
        /// The topic.
        topic: String,
    },
    /// There is no such topic, or not here.
    #[error("there is no topic {topic:?} here{hint}")]
    UnknownTopic {
        /// As it was given.
        topic: String,
        /// Near names, or nothing.
        hint: String,
    },
    /// The topic has no such field.
    #[error("topic {topic} has no field {field}{hint}")]
    UnknownField {
        /// The topic.
        topic: String,
        /// As it was given.
        field: String,
        /// Near names, or nothing.
        hint: String,
    },
    /// A value is not what its field holds.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The field cannot hold the value.
    #[error("field {field} cannot be {value}: {reason}")]
    OutOfRange {
        /// Its name.
        field: String,
        /// The value, of an array the first that is out of range.
        value: String,
        /// What it could be.
        reason: String,
    },
    /// The sample was made for another version of the topic.
    #[error("field private_revCode is {found:?}, topic {topic} has {expected}; describe the topic again")]
    WrongRevCode {
        /// The topic.
        topic: String,
        /// Of the topic.
        expected: String,
        /// As it was given.
        found: String,
    },
    /// Kafka takes no record like it.
    #[error("kafka refuses the record: {0}")]
    Undeliverable(Undeliverable),
}

impl Refusal {
    /// A time that the table of leap seconds does not cover.
    pub fn time(field: &str, seconds: f64, error: &TimeError) -> Self {
        Self::OutOfRange { field: field.to_owned(), value: seconds.to_string(), reason: error.to_string() }
    }

    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            Self::Denied(_) => Code::Unauthenticated,
            Self::Forbidden { .. } => Code::PermissionDenied,
            Self::UnknownTopic { .. } => Code::NotFound,
            Self::UnknownField { .. } | Self::Misfit(_) => Code::InvalidArgument,
            Self::OutOfRange { .. } => Code::OutOfRange,
            Self::WrongRevCode { .. } | Self::Undeliverable(_) => Code::FailedPrecondition,
        }
    }

    /// The field it is about; empty for none.
    pub fn field(&self) -> &str {
        match self {
            Self::UnknownField { field, .. } | Self::OutOfRange { field, .. } => field,
            Self::Misfit(misfit) => misfit.field(),
            Self::WrongRevCode { .. } => "private_revCode",
            Self::Denied(_) | Self::Forbidden { .. } | Self::UnknownTopic { .. } | Self::Undeliverable(_) => {
                ""
            }
        }
    }

    /// What it is counted as; none for what the producer counts.
    pub fn reason(&self) -> Option<RefuseReason> {
        Some(match self {
            Self::Denied(_) => RefuseReason::Unauthenticated,
            Self::Forbidden { .. } => RefuseReason::Forbidden,
            Self::UnknownTopic { .. } => RefuseReason::UnknownTopic,
            Self::UnknownField { .. } => RefuseReason::UnknownField,
            Self::Misfit(Misfit::Type { .. }) => RefuseReason::WrongType,
            Self::Misfit(Misfit::Length { .. }) => RefuseReason::WrongLength,
            Self::OutOfRange { .. } => RefuseReason::OutOfRange,
            Self::WrongRevCode { .. } => RefuseReason::WrongRevCode,
            Self::Undeliverable(_) => return None,
        })
    }
}

impl From<&Refusal> for proto::Refusal {
    fn from(refusal: &Refusal) -> Self {
        Self { code: refusal.code() as i32, message: refusal.to_string(), field: refusal.field().to_owned() }
    }
}

/// Why a whole call ends.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// More topics are named than may be.
    #[error("{0} topics are named, at most {1} may be; name components (lsst.sal.<Component>.) or none")]
    TooManyNames(usize, usize),
    /// As many streams publish as may.
    #[error("{0} streams publish, as many as grpc.max_streams allows; try again later")]
    TooManyStreams(usize),
    /// Ingest stops.
    #[error("ingest stops; samples without a result may or may not be in kafka")]
    Stopping,
    /// What was asked for is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The clock cannot be read as TAI.
    #[error("samples cannot be stamped: {0}")]
    Clock(#[from] IngestError),
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        let code = match &error {
            CallError::TooManyNames(..) => Code::InvalidArgument,
            CallError::TooManyStreams(_) => Code::ResourceExhausted,
            CallError::Stopping => Code::Unavailable,
            CallError::Refused(refusal) => refusal.code(),
            CallError::Clock(_) => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

/// What is repeated to the client of a text that it sent: results wait for it in memory, so they are bounded.
pub fn quoted(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_QUOTED)).unwrap_or_default()
}
