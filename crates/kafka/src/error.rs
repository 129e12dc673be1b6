//! What to do about a Kafka error: wait, give the record up, or stop.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// What an error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Time may heal it: try again with back-off. The safe answer where nothing else is certain.
    Transient,
    /// This one record will never be accepted: dead-letter it and go on.
    Record,
    /// The client cannot go on: stop, and let the supervisor start a new one.
    Fatal,
}

/// The kind of a Kafka error. Unknown errors are transient: waiting loses nothing.
pub fn error_kind(error: &KafkaError) -> ErrorKind {
    if matches!(error, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) | KafkaError::Nul(_)) {
        return ErrorKind::Fatal;
    }
    let code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    match code {
        Some(
            Code::MessageSizeTooLarge
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::InvalidTimestamp,
        ) => ErrorKind::Record,
        Some(
            Code::Fatal
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::UnsupportedVersion
            | Code::UnsupportedSASLMechanism
            | Code::FencedInstanceId
            | Code::InvalidArgument
            // What a broker says of a topic to be created that it will never create.
            | Code::InvalidReplicationFactor
            | Code::InvalidPartitions
            | Code::InvalidConfig
            | Code::InvalidTopic
            | Code::PolicyViolation,
        ) => ErrorKind::Fatal,
        _ => ErrorKind::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_what_to_do() {
        let table = [
            (Code::BrokerTransportFailure, ErrorKind::Transient),
            (Code::AllBrokersDown, ErrorKind::Transient),
            (Code::MessageTimedOut, ErrorKind::Transient),
            (Code::QueueFull, ErrorKind::Transient),
            (Code::UnknownTopicOrPartition, ErrorKind::Transient),
            (Code::Authentication, ErrorKind::Transient),
            (Code::NotEnoughReplicas, ErrorKind::Transient),
            (Code::MessageSizeTooLarge, ErrorKind::Record),
            (Code::InvalidRecord, ErrorKind::Record),
            (Code::Fatal, ErrorKind::Fatal),
            (Code::ProducerFenced, ErrorKind::Fatal),
            (Code::InvalidReplicationFactor, ErrorKind::Fatal),
        ];
        for (code, kind) in table {
            assert_eq!(error_kind(&KafkaError::MessageProduction(code)), kind, "{code:?}");
            assert_eq!(error_kind(&KafkaError::Global(code)), kind, "{code:?}");
            assert_eq!(error_kind(&KafkaError::AdminOp(code)), kind, "{code:?}");
        }
    }
}
