//! Everything the services share about Kafka: client settings, producer, consumer thread, topic administration,
//! what to do about an error, and which offsets may be committed.
//!
//! Assumes an Apache Kafka broker of version 2.8 or later. Nothing here decodes a record, and nothing is committed by itself:
//! who writes records closes their batches and asks for the commit.

mod admin;
mod commits;
mod config;
mod consumer;
mod context;
mod dead_letter;
mod dead_letter_office;
mod error;
mod lag;
mod ledger;
mod pauses;
mod producer;
mod rebalance;
mod refusal;
mod replication;
mod trace;

pub use admin::{Admin, AdminError, GroupLag, TopicInfo, TopicSpec};
pub use commits::{Commits, Committer, Follower, leave};
pub use config::KafkaConfig;
pub use consumer::{ConsumerThread, PollHandler};
pub use context::QuietContext;
pub use dead_letter::{DeadLetter, dead_letter_header, dead_letter_topic};
pub use dead_letter_office::DeadLetterOffice;
pub use error::{ErrorKind, error_kind};
pub use lag::extents;
pub use ledger::{BatchId, OffsetLedger, TopicPartition};
pub use pauses::Pauses;
pub use producer::{Batch, OutRecord, Placed, Producer, ProducerOptions};
pub use rebalance::{Observer, Rebalances};
pub use refusal::{Refusal, Told, is_refusal};
pub use replication::ReplicationFactor;
