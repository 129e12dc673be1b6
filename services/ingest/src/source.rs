//! The ways in which samples come in.

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
