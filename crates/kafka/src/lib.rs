//! Everything the services share about Kafka: client settings, producer, consumer thread, topic administration,
//! what to do about an error, and which offsets may be committed.
//!
//! Assumes an Apache Kafka broker of version 2.8 or later. Nothing here decodes a record, and nothing here commits:
//! the ledger says which offsets may be committed, the owner of the consumer does it.

mod admin;
mod config;
mod consumer;
mod context;
mod error;
mod ledger;
mod producer;

pub use admin::{Admin, GroupLag, TopicInfo, TopicSpec};
pub use config::KafkaConfig;
pub use consumer::{ConsumerThread, PollHandler};
pub use context::QuietContext;
pub use error::{ErrorKind, error_kind};
pub use ledger::{BatchId, OffsetLedger, TopicPartition};
pub use producer::{Batch, OutRecord, Producer, ProducerOptions};
