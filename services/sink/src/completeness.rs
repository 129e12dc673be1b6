//! What is missing, and why: for each topic and writer the sink follows `private_seqNum` beside the offsets it has stored.
//!
//! [`tracker`] accounts for records (pure, with [`runs`], [`writer`], [`partition`] and [`listed`]), [`keeper`] keeps the account in the
//! compacted Kafka topic `<group>.completeness` ([`stored`] is its form), [`view`] is what was read from it, and [`report`] says what
//! is missing; [`summary`] gives the numbers of the metrics. Each partition and each writer in it has one record there, written by the partition's owner alone.
//!
//! # Crashes and moves
//!
//! An offset is committed only after the account of everything below it was acknowledged by Kafka. So the account may be ahead of
//! the committed offset and never behind:
//!
//! - Killed before the account is kept: neither it nor the offset has moved; the records are read and counted again, from where the
//!   account stands.
//! - Killed after it is kept and before the commit: the records are read again. Each kept state says up to which offset it counts, and
//!   what lies below is neither counted nor taken for a duplicate. States of one partition are not kept all at once, therefore each has
//!   that offset of its own.
//! - A partition moves: the old owner commits in the revocation only what is kept. The new owner reads the account to the end that it
//!   has when its first batch is done, which is after the move, and goes on from there.
//! - An old owner that is late (its session ran out) may write an older state over a newer one. Whoever reads keeps the one that counts
//!   further, and the owner writes its own again when it sees that.
//! - Records of a batch that was read before a partition was revoked are left out, since the next owner counts them.
//! - Records that lie below the account were read before, unless the partition ends before it: then its topic was deleted and made again,
//!   and what was kept of it is deleted before the new account is kept.

mod facts;
pub mod keeper;
pub mod listed;
mod offsets;
pub mod partition;
pub mod report;
pub mod runs;
pub mod stored;
pub mod summary;
pub mod tracker;
pub mod view;
pub mod writer;

use std::time::Duration;

use efd_service::ConfigError;
use serde::{Deserialize, Serialize};

pub use keeper::Keeper;

use crate::error::Reason;

/// What is kept about completeness, and how much of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompletenessConfig {
    /// Whether an account is kept. Default true. Without it there is neither `efd completeness` nor its topic.
    pub enabled: bool,
    /// Wait between two writes of what has changed; offsets are committed after it. Default 1 s.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Spans of sequence numbers of a writer in a partition, so about as many gaps are listed. Default 500.
    pub spans: usize,
    /// Entries of each list of a writer: duplicates, late ones, dead letters, merged ones. Default 200.
    pub entries: usize,
    /// Writers of a partition; beyond it the longest silent are forgotten. Default 500.
    pub writers: usize,
    /// A writer is forgotten when it was silent for so long. Default 30 days.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// Replicas of the topic when it is created; -1 leaves it to the broker. Default -1.
    pub replication_factor: i32,
}

impl Default for CompletenessConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(1),
            spans: 500,
            entries: 200,
            writers: 500,
            keep: Duration::from_secs(30 * 24 * 3600),
            replication_factor: -1,
        }
    }
}

impl CompletenessConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            (!self.interval.is_zero(), "completeness.interval", "must be longer than 0"),
            (self.spans > 1, "completeness.spans", "must be at least 2"),
            (self.entries > 0, "completeness.entries", "must be at least 1"),
            (self.writers > 0, "completeness.writers", "must be at least 1"),
            (
                self.replication_factor == -1 || self.replication_factor > 0,
                "completeness.replication_factor",
                "must be -1 or at least 1",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, problem)) => Err(ConfigError::invalid(setting, problem)),
            None => Ok(()),
        }
    }

    pub(crate) fn bounds(&self) -> writer::Bounds {
        writer::Bounds { spans: self.spans, entries: self.entries }
    }
}

/// A reason as lists have it; 0 stands for none. The place in [`Reason::ALL`] is kept in Kafka: new reasons come last.
pub fn reason_code(reason: Reason) -> u8 {
    let place = Reason::ALL.iter().position(|known| *known == reason).unwrap_or_default();
    u8::try_from(place + 1).unwrap_or(u8::MAX)
}

/// The label of a reason in a list.
pub fn reason_label(code: u8) -> &'static str {
    let place = usize::from(code).checked_sub(1);
    place.and_then(|place| Reason::ALL.get(place)).map_or("", |reason| reason.label())
}
