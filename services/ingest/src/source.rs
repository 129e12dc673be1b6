//! The ways in which samples come in, and what they have in common.

use efd_service::server::tls::ServerCertificate;
use std::sync::Arc;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::sample::SampleTopic;

/// What a source needs of the rest of the service.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Topics that exist and whose schemas are registered.
    pub topics: Vec<Arc<SampleTopic>>,
    /// Time.
    pub clock: Clock,
    /// Instruments.
    pub metrics: Metrics,
    /// What servers show; none where there is no TLS.
    pub certificate: Option<Arc<ServerCertificate>>,
}

/// Where a sample came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Made up here.
    Simulator,
    /// `efd.ingest.v1.IngestService`.
    Grpc,
    /// Kafka REST requests.
    Http,
    /// Text records in Kafka.
    Text,
}

impl Source {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Simulator, Self::Grpc, Self::Http, Self::Text];

    /// Name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simulator => "simulator",
            Self::Grpc => "grpc",
            Self::Http => "http",
            Self::Text => "text",
        }
    }
}
