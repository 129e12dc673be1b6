//! A client context that leaves talking to the owner of the client, but for what needs a person.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use crate::refusal::{Refusal, Told};

/// librdkafka reconnects by itself and tells of every try; its owner hears of what matters as an error of a call. Only a
/// broker that refuses the client is told here, once a minute for all clients with the same settings: librdkafka tries
/// again for ever, so no call would say more than that it took too long.
#[derive(Debug, Clone)]
pub struct QuietContext {
    user: String,
    told: Told,
}

impl QuietContext {
    pub(crate) fn new(user: Option<&str>, told: Told) -> Self {
        Self { user: user.unwrap_or_default().to_owned(), told }
    }

    /// The refusal that an error of librdkafka tells of, if it does.
    pub(crate) fn refusal(&self, error: &KafkaError, reason: &str) -> Option<Refusal> {
        Refusal::from_librdkafka(error, reason, &self.user)
    }
}

impl ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
        if let Some(refusal) = self.refusal(&error, reason)
            && self.told.is_due()
        {
            tracing::error!(error = %refusal, "kafka does not let this service in, it waits");
        }
    }
}

impl ConsumerContext for QuietContext {}
