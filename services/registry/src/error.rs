//! Why a request is refused, with the status and error code that Confluent's registry gives for it.
//!
//! Clients decide by `error_code`; people read the message, so messages that Confluent's registry has are worded as there.

use efd_service::server::credentials::Denied;
use thiserror::Error;

/// A refused or failed request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// No such path.
    #[error("HTTP 404 Not Found")]
    PathNotFound,
    /// The path exists, but not for this method.
    #[error("HTTP 405 Method Not Allowed, allowed: {0}")]
    MethodNotAllowed(String),
    /// The body is not JSON.
    #[error("the body is not valid JSON: {0}")]
    MalformedBody(String),
    /// No version of the subject exists, or none that is not deleted.
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    /// The subject has no such version.
    #[error("Version {0} not found.")]
    VersionNotFound(u32),
    /// No schema has this GUID.
    #[error("Schema {0} not found")]
    GuidNotFound(String),
    /// No schema has this id.
    #[error("Schema {0} not found")]
    SchemaNotFound(u32),
    /// The subject has no such schema.
    #[error("Schema not found")]
    SchemaNotUnderSubject,
    /// All versions are softly deleted already.
    #[error("Subject '{0}' was soft deleted.Set permanent=true to delete permanently")]
    SubjectSoftDeleted(String),
    /// A permanent delete needs a soft one first.
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotSoftDeleted(String),
    /// The version is softly deleted already.
    #[error(
        "Subject '{subject}' Version {version} was soft deleted.Set permanent=true to delete permanently"
    )]
    VersionSoftDeleted {
        /// Subject.
        subject: String,
        /// Version.
        version: u32,
    },
    /// A permanent delete needs a soft one first.
    #[error("Subject '{subject}' Version {version} was not deleted first before being permanently deleted")]
    VersionNotSoftDeleted {
        /// Subject.
        subject: String,
        /// Version.
        version: u32,
    },
    /// The subject has no setting of its own.
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    NoSubjectCompatibility(String),
    /// The subject has no mode of its own.
    #[error("Subject '{0}' does not have subject-level mode configured")]
    NoSubjectMode(String),
    /// The compatibility level forbids the schema.
    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: {reason}"
    )]
    Incompatible {
        /// Subject.
        subject: String,
        /// The earlier version.
        version: u32,
        /// What does not fit.
        reason: String,
    },
    /// InfluxDB or SAL cannot take the schema, and the policy of the subject refuses such.
    #[error("Schema of subject '{subject}' is refused (setting sal): {reason}")]
    NotStorable {
        /// Subject.
        subject: String,
        /// What was found, with the fields.
        reason: String,
    },
    /// Not an Avro schema.
    #[error("Invalid schema: {0}")]
    InvalidSchema(String),
    /// Not a version number, `latest` or `-1`.
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    /// Not one of the seven levels.
    #[error(
        "Invalid compatibility level. Valid values are NONE, BACKWARD, FORWARD, FULL, BACKWARD_TRANSITIVE, FORWARD_TRANSITIVE, and FULL_TRANSITIVE"
    )]
    InvalidCompatibility,
    /// Not one of the modes.
    #[error("Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, IMPORT and FORWARD")]
    InvalidMode,
    /// Another schema refers to the version.
    #[error(
        "One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={subject},version={version}}}."
    )]
    ReferenceExists {
        /// Subject.
        subject: String,
        /// Version.
        version: u32,
    },
    /// An import brings a schema that is known already under another id.
    #[error("Schema already registered with id {known} instead of input id {wanted}")]
    IdDoesNotMatch {
        /// The id it has.
        known: u32,
        /// The id that was asked for.
        wanted: u32,
    },
    /// The context has subjects.
    #[error("The specified context '{0}' is not empty")]
    ContextNotEmpty(String),
    /// The mode of the subject forbids the change.
    #[error("{0}")]
    NotPermitted(String),
    /// Not a name that a subject may have.
    #[error("The specified subject '{0}' is not a valid subject")]
    InvalidSubject(String),
    /// The record would be longer than the topic may hold.
    #[error("schema is too large: more than {0} bytes (setting schemas.max_schema_bytes)")]
    TooLarge(u64),
    /// The log has not been read to its end yet.
    #[error("the Kafka topic '{0}' has not been read yet; is Kafka reachable?")]
    NotLoaded(String),
    /// As many writes are waiting as may wait.
    #[error("{0} writes are waiting for Kafka already; try again later")]
    QueueFull(usize),
    /// Kafka did not confirm the write in time; it may still happen.
    #[error("Kafka did not confirm the write within {0} s; it may or may not be done, so try again")]
    WriteTimedOut(u64),
    /// The broker takes no record as long as this one.
    #[error("schema is too large for the topic {0} (its setting max.message.bytes)")]
    TooLargeForTopic(String),
    /// Kafka refuses writes until somebody changes something there.
    #[error("Kafka refuses the write: {0}")]
    Refused(String),
    /// Kafka refused the write.
    #[error("write to Kafka failed: {0}")]
    WriteFailed(String),
    /// The service is stopping.
    #[error("the registry is stopping; try again")]
    Stopping,
    /// Another replica writes, or none does.
    #[error("no replica of the registry can write at present; try again later")]
    NotWriter,
    /// Another replica took over in the middle of the write.
    #[error("another replica of the registry took over, the write may or may not be done, so try again")]
    Fenced,
    /// The replica that writes did not answer.
    #[error(
        "forwarding to replica {writer} failed, the write may or may not be done, so try again: {reason}"
    )]
    ForwardFailed {
        /// Address of the replica.
        writer: String,
        /// Why.
        reason: String,
    },
    /// The upstream registry of this proxy does not answer, or fails.
    #[error("the upstream registry {url} cannot be asked: {reason}")]
    UpstreamFailed {
        /// Its address.
        url: String,
        /// Why.
        reason: String,
    },
    /// The caller shows no credential, or one that is not known.
    #[error("{0}")]
    Unauthenticated(Denied),
    /// The credential does not allow it.
    #[error("{0}")]
    Forbidden(String),
    /// More is asked than may be.
    #[error("{whose}; try again in {retry_after} s")]
    TooManyRequests {
        /// What there is too much of.
        whose: String,
        /// Seconds after which to try again, at least 1.
        retry_after: u32,
    },
    /// The body of a request came too slowly.
    #[error("the body did not come within {0} s (setting limits.body_timeout)")]
    BodyTimedOut(u64),
    /// Every id was given; this registry can give no more.
    #[error("no schema id is left")]
    NoIdLeft,
}

impl RegistryError {
    /// A schema refers to a version that is not there.
    pub(crate) fn no_reference(subject: &str, version: i64) -> Self {
        let problem = format!("No schema reference found for subject \"{subject}\" and version {version}");
        Self::InvalidSchema(problem)
    }

    /// HTTP status and `error_code`.
    pub const fn status_and_code(&self) -> (u16, u32) {
        match self {
            Self::MalformedBody(_) => (400, 400),
            Self::Unauthenticated(_) => (401, 40101),
            Self::Forbidden(_) => (403, 40301),
            Self::PathNotFound => (404, 404),
            Self::SubjectNotFound(_) => (404, 40401),
            Self::VersionNotFound(_) => (404, 40402),
            Self::SchemaNotFound(_) | Self::GuidNotFound(_) | Self::SchemaNotUnderSubject => (404, 40403),
            Self::SubjectSoftDeleted(_) => (404, 40404),
            Self::SubjectNotSoftDeleted(_) => (404, 40405),
            Self::VersionSoftDeleted { .. } => (404, 40406),
            Self::VersionNotSoftDeleted { .. } => (404, 40407),
            Self::NoSubjectCompatibility(_) => (404, 40408),
            Self::NoSubjectMode(_) => (404, 40409),
            Self::MethodNotAllowed(_) => (405, 405),
            Self::BodyTimedOut(_) => (408, 408),
            Self::Incompatible { .. } => (409, 40901),
            Self::InvalidSchema(_) | Self::NotStorable { .. } => (422, 42201),
            Self::InvalidVersion(_) => (422, 42202),
            Self::InvalidCompatibility => (422, 42203),
            Self::InvalidMode => (422, 42204),
            Self::NotPermitted(_) => (422, 42205),
            Self::ReferenceExists { .. } => (422, 42206),
            Self::IdDoesNotMatch { .. } => (422, 42207),
            Self::InvalidSubject(_) => (422, 42208),
            Self::TooLarge(_) | Self::TooLargeForTopic(_) => (422, 42209),
            Self::TooManyRequests { .. } => (429, 42901),
            Self::Refused(_) => (500, 50001),
            Self::ContextNotEmpty(_) => (422, 42211),
            Self::NotLoaded(_)
            | Self::QueueFull(_)
            | Self::WriteFailed(_)
            | Self::Stopping
            | Self::NoIdLeft => (503, 50001),
            Self::WriteTimedOut(_) => (503, 50002),
            Self::ForwardFailed { .. } | Self::UpstreamFailed { .. } => (503, 50003),
            Self::NotWriter | Self::Fenced => (503, 50004),
        }
    }
}
