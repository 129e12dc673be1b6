//! Settings of the text source.

use std::time::Duration;

use bytesize::ByteSize;
use efd_service::ConfigError;
use serde::{Deserialize, Serialize};

/// Longest time that a batch may be filled.
const MAX_AGE: Duration = Duration::from_secs(60);

/// The text source: the records that SAL wrote in 2019, one Kafka topic per component and kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextConfig {
    /// Whether text records are read at all: `<component>_command`, `_event` and `_telemetry` of all `components`.
    /// Default false.
    pub enabled: bool,
    /// What is made of them. Default `current`.
    pub form: Form,
    /// What the times in the text count. Default `utc`.
    pub stamps: Stamps,
    /// Consumer group. Default `efd-ingest-text`.
    pub group_id: String,
    /// Where to begin without a committed offset. Default `earliest`.
    pub auto_offset_reset: OffsetReset,
    /// Lines whose delivery is awaited together, at most. Default 2000.
    pub batch_lines: usize,
    /// Bytes of these lines, at most (one line more may pass it). Default 1 MiB.
    pub batch_bytes: ByteSize,
    /// Time after which a batch is closed even if it is small. Default 20 ms.
    #[serde(with = "humantime_serde")]
    pub batch_age: Duration,
    /// Batches read ahead while one is written; then reading pauses. Default 2.
    pub queue_batches: usize,
    /// Time between two commits of offsets. Default 500 ms.
    #[serde(with = "humantime_serde")]
    pub commit_interval: Duration,
    /// How often new text topics are looked for. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub metadata_refresh: Duration,
}

/// Form of the records that are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Topics, schemas and private fields as SAL has them today; sink and gateway know them.
    #[default]
    Current,
    /// Topics `lsst.sal.<EFDB_Topic>`, schemas and types as in 2019, for readers of that time.
    Legacy,
}

/// What a time in the text counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stamps {
    /// Unix seconds of UTC.
    #[default]
    Utc,
    /// Unix seconds of TAI, as SAL counts since September 2019.
    Tai,
}

/// Where to begin without a committed offset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OffsetReset {
    /// With the oldest line there is.
    #[default]
    Earliest,
    /// With the next line that comes.
    Latest,
}

impl OffsetReset {
    /// As librdkafka calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Earliest => "earliest",
            Self::Latest => "latest",
        }
    }
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            form: Form::default(),
            stamps: Stamps::default(),
            group_id: "efd-ingest-text".into(),
            auto_offset_reset: OffsetReset::default(),
            batch_lines: 2000,
            batch_bytes: ByteSize::mib(1),
            batch_age: Duration::from_millis(20),
            queue_batches: 2,
            commit_interval: Duration::from_millis(500),
            metadata_refresh: Duration::from_secs(5),
        }
    }
}

impl TextConfig {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// Names the setting.
    pub fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            (!self.group_id.is_empty(), "text.group_id", "must not be empty"),
            (self.batch_lines > 0, "text.batch_lines", "must be at least 1"),
            (self.batch_age <= MAX_AGE, "text.batch_age", "must not be longer than a minute"),
            (self.queue_batches > 0, "text.queue_batches", "must be at least 1"),
            (self.commit_interval.as_millis() > 0, "text.commit_interval", "must be at least 1ms"),
            (self.metadata_refresh.as_millis() >= 10, "text.metadata_refresh", "must be at least 10ms"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, problem)) => Err(ConfigError::invalid(setting, problem)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_make_no_sense_are_refused_by_name() {
        TextConfig::default().check().unwrap();
        let no_group = TextConfig { group_id: String::new(), ..TextConfig::default() };
        assert!(no_group.check().unwrap_err().to_string().contains("text.group_id"));
        let no_batch = TextConfig { batch_lines: 0, ..TextConfig::default() };
        assert!(no_batch.check().unwrap_err().to_string().contains("text.batch_lines"));
    }
}
