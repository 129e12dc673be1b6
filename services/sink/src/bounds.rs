//! Settings that bound memory, load and waiting.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// A batch is handed on at the first of these limits.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Records. Default 5000.
    pub points: usize,
    /// Fields of all points. Default 250,000.
    pub values: usize,
    /// Bytes of line protocol. Default 4 MiB.
    pub bytes: ByteSize,
    /// Time since its first record. Default 20 ms.
    #[serde(with = "humantime_serde")]
    pub age: Duration,
}

/// Bounds on what librdkafka has read and the sink has not taken yet. Each such record costs about 500 bytes besides its own.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadAheadConfig {
    /// Records at which no more are fetched (`queued.min.messages`). Default 20,000.
    pub records: u32,
    /// Bytes of records (`queued.max.messages.kbytes`). Default 16 MiB.
    pub bytes: ByteSize,
    /// Bytes of one fetch, compressed as they are in Kafka (`fetch.max.bytes`); a larger record comes nevertheless. Default 1 MiB.
    pub fetch_bytes: ByteSize,
}

/// Back-off between tries, which go on for ever: doubling from `min` to `max`, with jitter.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// Shortest wait. Default 100 ms.
    #[serde(with = "humantime_serde")]
    pub min: Duration,
    /// Longest wait. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
}

/// Topics `<topic>.dlq` are created when their first record comes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterConfig {
    /// Replicas of each; -1 leaves it to the broker. Default -1.
    pub replication_factor: i32,
    /// Largest record that can be dead-lettered (`message.max.bytes` of the producer). Default 64 MiB.
    pub max_record_bytes: ByteSize,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { points: 5000, values: 250_000, bytes: ByteSize::mib(4), age: Duration::from_millis(20) }
    }
}

impl Default for ReadAheadConfig {
    fn default() -> Self {
        Self { records: 20_000, bytes: ByteSize::mib(16), fetch_bytes: ByteSize::mib(1) }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { min: Duration::from_millis(100), max: Duration::from_secs(5) }
    }
}

impl Default for DeadLetterConfig {
    fn default() -> Self {
        Self { replication_factor: -1, max_record_bytes: ByteSize::mib(64) }
    }
}
