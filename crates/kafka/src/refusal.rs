//! A broker that lets nobody in: who was refused, where and why, and how often that is told.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// A refusal is told once in this time, however many clients are refused.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Why a broker does not let a client in. Waiting alone does not heal it: a person corrects a setting, or the secret is
/// rotated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// User name, password or mechanism is not one that the broker takes.
    #[error(
        "authentication failed for user {user:?} at kafka broker {broker}: {reason}; correct kafka.sasl_username, \
         kafka.sasl_mechanism or EFD_KAFKA_SASL_PASSWORD"
    )]
    Authentication {
        /// Who was refused.
        user: String,
        /// `host:port`.
        broker: String,
        /// What the broker said.
        reason: String,
    },
    /// The broker's certificate is not trusted, or it does not speak TLS.
    #[error(
        "no TLS connection to kafka broker {broker}: {reason}; correct kafka.ssl_ca_location or kafka.security_protocol"
    )]
    Tls {
        /// `host:port`.
        broker: String,
        /// What librdkafka said.
        reason: String,
    },
}

impl Refusal {
    /// The refusal that librdkafka tells of, if it is one; `text` reads `<protocol>://<broker>/<id>: <reason> (<state>)`.
    pub(crate) fn from_librdkafka(error: &KafkaError, text: &str, user: &str) -> Option<Self> {
        let broker = broker(text);
        let reason = reason(text);
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                Some(Self::Authentication { user: user.to_owned(), broker, reason })
            }
            Some(RDKafkaErrorCode::SSL) => Some(Self::Tls { broker, reason }),
            _ => None,
        }
    }
}

/// Whether an error of a call or a poll only says that a broker does not let the client in: the client's context tells that.
pub fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{Authentication, SSL, SaslAuthenticationFailed};
    matches!(error.rdkafka_error_code(), Some(Authentication | SaslAuthenticationFailed | SSL))
}

/// `host:port` of the broker that librdkafka names first.
fn broker(text: &str) -> String {
    let after = text.split_once("://").map_or(text, |(_, after)| after);
    let end = after.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(after.len());
    after.get(..end).unwrap_or(after).trim_end_matches(':').to_owned()
}

/// The text without the broker before it and the state of the connection, which differs every time, behind it.
pub(crate) fn reason(text: &str) -> String {
    let end = text.rfind(" (after ").unwrap_or(text.len());
    let text = text.get(..end).unwrap_or(text);
    let is_broker = |head: &str| head.contains("://") || head.starts_with("GroupCoordinator");
    let reason = match text.split_once(": ") {
        Some((head, rest)) if is_broker(head) => rest,
        _ => text,
    };
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// When a refusal was last told; clones share it, so that the clients of one service tell it once.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<Option<Instant>>>);

impl Told {
    /// Whether it is time to tell; then it counts as told.
    pub(crate) fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= TELL_AGAIN);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_user_broker_and_reason_and_nothing_that_changes() {
        let error = KafkaError::Global(RDKafkaErrorCode::Authentication);
        let text = "sasl_ssl://kafka-0:9093/bootstrap: SASL authentication error: Authentication failed during \
                    authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512 (after 309ms in state \
                    AUTH_REQ, 2 identical error(s) suppressed)";
        let refusal = Refusal::from_librdkafka(&error, text, "efd").unwrap();
        assert_eq!(
            refusal.to_string(),
            "authentication failed for user \"efd\" at kafka broker kafka-0:9093: SASL authentication error: \
             Authentication failed during authentication due to invalid credentials with SASL mechanism \
             SCRAM-SHA-512; correct kafka.sasl_username, kafka.sasl_mechanism or EFD_KAFKA_SASL_PASSWORD"
        );
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_a_refusal_and_a_lost_connection_is_none() {
        let text =
            "ssl://10.0.0.7:9093/1: SSL handshake failed: certificate verify failed (after 3ms in state SSL)";
        let refusal = Refusal::from_librdkafka(&KafkaError::Global(RDKafkaErrorCode::SSL), text, "");
        let expected = Refusal::Tls {
            broker: "10.0.0.7:9093".into(),
            reason: "SSL handshake failed: certificate verify failed".into(),
        };
        assert_eq!(refusal, Some(expected));
        let lost = KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure);
        assert_eq!(Refusal::from_librdkafka(&lost, text, ""), None);
    }

    #[test]
    fn a_text_of_another_form_is_kept_whole() {
        assert_eq!(reason("no host"), "no host");
        assert_eq!(broker(""), "");
        assert_eq!(broker("GroupCoordinator: sasl_plaintext://b:1/9: x"), "b:1");
        assert_eq!(broker("sasl_plaintext://[::1]:9092/bootstrap: x"), "[::1]:9092");
    }

    #[test]
    fn clients_with_the_same_settings_tell_once() {
        let told = Told::default();
        assert!(told.clone().is_due());
        assert!(!told.is_due());
        assert!(Told::default().is_due());
    }
}
