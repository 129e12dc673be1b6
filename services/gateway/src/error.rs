//! Why a query fails, and what the client is told.

use efd_schema::{RegistryError, RegistryErrorKind, SchemaError};
use efd_service::chain;
use thiserror::Error;
use tonic::{Code, Status};

use crate::influxdb::InfluxDbError;

/// Longest text of a status in bytes: it travels in a header, and those are bounded everywhere.
const MAX_MESSAGE: usize = 2000;

/// Why a query fails.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The request can never succeed as it stands.
    #[error("{0}")]
    InvalidArgument(String),
    /// The registry has no schema of the topic.
    #[error("there is no topic {topic}{hint}")]
    UnknownTopic {
        /// The topic.
        topic: String,
        /// Near names, or what to do.
        hint: String,
    },
    /// Nobody is known to have asked.
    #[error("who asks is not known")]
    Unauthenticated,
    /// The caller's credentials do not reach the topic.
    #[error("these credentials may not read topic {topic}, only what begins with {allowed}")]
    ForbiddenTopic {
        /// The topic.
        topic: String,
        /// Beginnings of topics.
        allowed: String,
    },
    /// The caller's credentials do not reach the database.
    #[error("these credentials may not read database {0}, which the gateway answers from")]
    ForbiddenDatabase(String),
    /// A schema that no topic can be described by.
    #[error("the latest schema of topic {topic} cannot be used")]
    Schema {
        /// The topic.
        topic: String,
        /// Why.
        source: SchemaError,
    },
    /// What InfluxDB holds is not what the schema says.
    #[error(
        "field {field} of topic {topic}: InfluxDB holds {found} where the latest schema says {expected}; ask without this field"
    )]
    Misfit {
        /// The topic.
        topic: String,
        /// The field.
        field: String,
        /// What InfluxDB answered.
        found: String,
        /// What the schema promises.
        expected: &'static str,
    },
    /// As many queries run as may run.
    #[error("{0} queries are running, as many as query.max_running allows; try again later")]
    TooManyQueries(usize),
    /// The gateway stops, and the time to finish is over.
    #[error("the gateway stops; try again")]
    Stopping,
    /// The client's own deadline passed.
    #[error("the deadline of the call has passed; ask for less, or give it longer")]
    Deadline,
    /// The registry does not answer, or not as it should.
    #[error("{0}; check that it runs, and the gateway's setting registry.url")]
    Registry(RegistryError),
    /// Kafka does not answer, or refuses.
    #[error("Kafka at {servers}: {reason}; check that it runs, and the gateway's settings kafka")]
    Kafka {
        /// Brokers.
        servers: String,
        /// Why.
        reason: String,
    },
    /// Kafka has no topic of that name, though there is a schema.
    #[error("Kafka at {servers} has no topic {topic}; `efd init` makes it")]
    NoKafkaTopic {
        /// Name of the Kafka topic.
        topic: String,
        /// Brokers.
        servers: String,
    },
    /// There are too many rows where history and present meet.
    #[error(
        "more than {0} rows of one topic where history and present meet; lower query.tail_overlap, or ask without since"
    )]
    TooDense(usize),
    /// InfluxDB does not answer, or not as it should.
    #[error(transparent)]
    InfluxDb(#[from] InfluxDbError),
}

impl QueryError {
    /// Its gRPC status code.
    pub fn code(&self) -> Code {
        match self {
            Self::InvalidArgument(_) => Code::InvalidArgument,
            Self::UnknownTopic { .. } => Code::NotFound,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::ForbiddenTopic { .. } | Self::ForbiddenDatabase(_) => Code::PermissionDenied,
            Self::Schema { .. } | Self::Misfit { .. } => Code::FailedPrecondition,
            Self::NoKafkaTopic { .. } => Code::FailedPrecondition,
            Self::TooManyQueries(_) | Self::TooDense(_) => Code::ResourceExhausted,
            Self::Stopping | Self::Kafka { .. } => Code::Unavailable,
            Self::Deadline => Code::DeadlineExceeded,
            Self::Registry(error) => match error.kind() {
                RegistryErrorKind::Transient => Code::Unavailable,
                RegistryErrorKind::NotFound | RegistryErrorKind::Refused => Code::Internal,
            },
            Self::InfluxDb(error) => influxdb_code(error),
        }
    }
}

impl From<&QueryError> for Status {
    fn from(error: &QueryError) -> Self {
        let mut message = chain(error);
        if message.len() > MAX_MESSAGE {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE));
            message.push('…');
        }
        Self::new(error.code(), message)
    }
}

fn influxdb_code(error: &InfluxDbError) -> Code {
    match error {
        InfluxDbError::Unreachable { .. }
        | InfluxDbError::Credentials { .. }
        | InfluxDbError::BrokenOff { .. }
        | InfluxDbError::Busy { .. } => Code::Unavailable,
        InfluxDbError::TimedOut { .. } => Code::DeadlineExceeded,
        InfluxDbError::Refused { message, .. } => refusal_code(message),
        InfluxDbError::Malformed { .. } => Code::Internal,
    }
}

/// What InfluxDB means by the text of an error; it has no codes.
fn refusal_code(message: &str) -> Code {
    let says = |part: &str| message.contains(part);
    if says("database not found") || says("retention policy not found") {
        Code::FailedPrecondition
    } else if says("query-timeout limit exceeded") || says("timeout") {
        Code::DeadlineExceeded
    } else if says("limit exceeded")
        || says("limit exceed:")
        || says("max-select-")
        || says("max-concurrent-queries")
    {
        Code::ResourceExhausted
    } else if says("query interrupted") || says("killed") || says("shutdown") {
        Code::Unavailable
    } else {
        Code::Internal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: &str) -> QueryError {
        InfluxDbError::Refused { url: "http://i".into(), message: message.into() }.into()
    }

    fn registry(status: u16, code: u32) -> QueryError {
        QueryError::Registry(RegistryError::Answer {
            url: "http://r".into(),
            what: "GET /subjects".into(),
            status,
            code,
            message: "no".into(),
        })
    }

    #[test]
    fn every_error_has_the_status_that_says_what_to_do() {
        let url = || "http://i".to_owned();
        let unreachable = RegistryError::Unreachable { url: "http://r".into(), reason: "refused".into() };
        let table: Vec<(QueryError, Code)> = vec![
            (QueryError::InvalidArgument("start is missing".into()), Code::InvalidArgument),
            (QueryError::UnknownTopic { topic: "t".into(), hint: String::new() }, Code::NotFound),
            (QueryError::TooManyQueries(64), Code::ResourceExhausted),
            (QueryError::ForbiddenDatabase("efd".into()), Code::PermissionDenied),
            (QueryError::Stopping, Code::Unavailable),
            (QueryError::Deadline, Code::DeadlineExceeded),
            (QueryError::Registry(unreachable), Code::Unavailable),
            (registry(503, 0), Code::Unavailable),
            (registry(422, 42201), Code::Internal),
            (InfluxDbError::Unreachable { url: url(), reason: String::new() }.into(), Code::Unavailable),
            (InfluxDbError::Credentials { url: url(), message: String::new() }.into(), Code::Unavailable),
            (InfluxDbError::BrokenOff { url: url(), reason: String::new() }.into(), Code::Unavailable),
            (InfluxDbError::Busy { url: url(), message: String::new() }.into(), Code::Unavailable),
            (refused("database not found: efd"), Code::FailedPrecondition),
            (refused("query-timeout limit exceeded"), Code::DeadlineExceeded),
            (refused("max-concurrent-queries limit exceeded(10, 10)"), Code::ResourceExhausted),
            (refused("max-select-point limit exceed: (10/5)"), Code::ResourceExhausted),
            (refused("query interrupted"), Code::Unavailable),
            (refused("something else"), Code::Internal),
        ];
        for (error, code) in table {
            assert_eq!(Status::from(&error).code(), code, "{error}");
        }
    }

    #[test]
    fn messages_name_the_part_and_what_to_check() {
        let unreachable = RegistryError::Unreachable { url: "http://r".into(), reason: "refused".into() };
        assert_eq!(
            Status::from(&QueryError::Registry(unreachable)).message(),
            "schema registry http://r does not answer: refused; check that it runs, and the gateway's setting registry.url"
        );
        let unreachable = InfluxDbError::Unreachable { url: "http://i".into(), reason: "refused".into() };
        let message = Status::from(&QueryError::from(unreachable)).message().to_owned();
        assert!(message.contains("http://i") && message.contains("influxdb.url"), "{message}");
    }

    #[test]
    fn a_message_stays_short_whatever_it_quotes() {
        let error = QueryError::InvalidArgument("ä".repeat(5000));
        assert!(Status::from(&error).message().len() < MAX_MESSAGE + 10);
    }
}
