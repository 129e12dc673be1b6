//! How the account is kept in Kafka: one record for each partition and for each writer in it, as JSON, so that anybody can read it.
//!
//! Key `[topic, partition]` or `[topic, partition, salIndex, identity, origin]`. A newer version of this program may write another
//! version; it is left alone, and so is what cannot be read.

use efd_kafka::TopicPartition;
use serde::{Deserialize, Serialize};

use super::partition::{PartitionState, WriterKey};
use super::writer::WriterState;

/// What this program writes.
const VERSION: u8 = 1;

/// What is kept under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Of a partition.
    Partition(PartitionState),
    /// Of a writer in it.
    Writer(WriterState),
}

/// One record of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The partition.
    pub partition: TopicPartition,
    /// The writer; none for the partition itself.
    pub writer: Option<WriterKey>,
    /// What is known; none for what is forgotten.
    pub kept: Option<Kept>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Writer(String, i32, i64, String, i64),
    Partition(String, i32),
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u8,
    #[serde(flatten)]
    kept: T,
}

impl Stored {
    /// Puts it together.
    pub fn new(partition: &TopicPartition, writer: Option<WriterKey>, kept: Option<Kept>) -> Self {
        Self { partition: partition.clone(), writer, kept }
    }

    /// Key and value of its record; no value deletes what was kept.
    ///
    /// # Errors
    /// Never with what is kept here: no map has keys other than text.
    pub fn encode(&self) -> serde_json::Result<(Vec<u8>, Option<Vec<u8>>)> {
        let (topic, partition) = (self.partition.topic.to_string(), self.partition.partition);
        let key = match &self.writer {
            None => Key::Partition(topic, partition),
            Some(WriterKey { sal_index, identity, origin }) => {
                Key::Writer(topic, partition, *sal_index, identity.to_string(), *origin)
            }
        };
        let value = match &self.kept {
            None => None,
            Some(Kept::Partition(kept)) => Some(serde_json::to_vec(&Versioned { v: VERSION, kept })?),
            Some(Kept::Writer(kept)) => Some(serde_json::to_vec(&Versioned { v: VERSION, kept })?),
        };
        Ok((serde_json::to_vec(&key)?, value))
    }

    /// What a record holds.
    ///
    /// # Errors
    /// When it is none of ours, or of another version.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> serde_json::Result<Self> {
        let (topic, partition, writer) = match serde_json::from_slice(key)? {
            Key::Partition(topic, partition) => (topic, partition, None),
            Key::Writer(topic, partition, sal_index, identity, origin) => {
                let identity = identity.into_boxed_str();
                (topic, partition, Some(WriterKey { sal_index, identity, origin }))
            }
        };
        let kept = match (value, &writer) {
            (None, _) => None,
            (Some(value), None) => Some(Kept::Partition(of_version(value)?)),
            (Some(value), Some(_)) => Some(Kept::Writer(of_version(value)?)),
        };
        Ok(Self { partition: TopicPartition { topic: topic.into(), partition }, writer, kept })
    }
}

fn of_version<T: serde::de::DeserializeOwned>(value: &[u8]) -> serde_json::Result<T> {
    let Versioned { v, kept } = serde_json::from_slice(value)?;
    if v == VERSION {
        return Ok(kept);
    }
    Err(serde::de::Error::custom(format!("version {v} is not {VERSION}, the one that is understood here")))
}

#[cfg(test)]
mod tests {
    use super::super::runs::Before;
    use super::super::writer::{Bounds, Observed};
    use super::*;

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        let bounds = Bounds { spans: 10, entries: 10 };
        let mut state = WriterState::default();
        for (offset, seq) in [(0, 1), (1, 2), (2, 7), (3, 7), (4, 5)] {
            let dead = u8::from(seq == 5);
            let observed = Observed { offset, seq, snd: 1_700_000_000_123_456_789 + seq, time: seq, dead };
            state.observe(&observed, Before::OffsetHole, bounds);
        }
        let partition = TopicPartition { topic: "lsst.sal.Test.scalars".into(), partition: 3 };
        let key = WriterKey { sal_index: 1, identity: "Test:1".into(), origin: -1 };
        let of_partition = PartitionState { next_offset: Some(5), recent: vec![1, 2], ..Default::default() };
        for stored in [
            Stored::new(&partition, Some(key.clone()), Some(Kept::Writer(state))),
            Stored::new(&partition, None, Some(Kept::Partition(of_partition))),
            Stored::new(&partition, Some(key), None),
        ] {
            let (key, value) = stored.encode().unwrap();
            assert_eq!(Stored::decode(&key, value.as_deref()).unwrap(), stored);
        }
    }

    #[test]
    fn another_version_and_what_is_not_ours_are_refused() {
        let key = br#"["a",0]"#;
        assert!(Stored::decode(key, Some(br#"{"v":1,"o":5}"#)).is_ok());
        assert!(
            Stored::decode(key, Some(br#"{"v":2,"o":5}"#)).unwrap_err().to_string().contains("version 2")
        );
        assert!(Stored::decode(b"a", None).is_err());
        assert!(Stored::decode(key, Some(b"\0")).is_err());
    }
}
