//! A dead letter, and how all of them are read.

use std::fmt::Write as _;

use efd_kafka::{Admin, dead_letter_header};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use super::CLIENT;
use super::records::{Extent, Records};
use crate::config::Config;
use crate::time::format_time;

/// Bytes of a line of a dump.
const DUMP_WIDTH: usize = 16;

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its topic.
    pub topic: String,
    /// Partition there.
    pub partition: i32,
    /// Offset there.
    pub offset: i64,
    /// Time of the record, Unix milliseconds.
    pub time_ms: Option<i64>,
    /// Topic that it came from.
    pub source_topic: String,
    /// Partition and offset there, as its headers say.
    pub source_place: (Option<String>, Option<String>),
    /// Why, in words.
    pub reason: String,
    /// Key of the record.
    pub key: Option<Vec<u8>>,
    /// Value of the record.
    pub payload: Option<Vec<u8>>,
    /// Headers of the record, without ours.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Ours.
    pub ours: Vec<(String, String)>,
}

/// Which letters are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// SAL components; all when empty.
    pub components: Vec<String>,
    /// Topics that they came from; all when empty.
    pub topics: Vec<String>,
    /// A part of the reason.
    pub reason: Option<String>,
    /// First time, Unix milliseconds.
    pub start: Option<i64>,
    /// Last time.
    pub end: Option<i64>,
}

impl Filter {
    fn has_topic(&self, dead_letter_topic: &str) -> bool {
        let Some(source) = dead_letter_topic.strip_suffix(".dlq") else { return false };
        let component = source.split('.').nth(2).unwrap_or_default();
        (self.components.is_empty() || self.components.iter().any(|one| one == component))
            && (self.topics.is_empty() || self.topics.iter().any(|one| one == source))
    }

    fn has(&self, letter: &Letter) -> bool {
        let is_in_time = letter.time_ms.is_none_or(|time| {
            self.start.is_none_or(|start| time >= start) && self.end.is_none_or(|end| time <= end)
        });
        is_in_time && self.reason.as_ref().is_none_or(|part| letter.reason.contains(part.as_str()))
    }
}

impl Letter {
    fn new(record: &BorrowedMessage<'_>) -> Self {
        let (mut headers, mut ours) = (Vec::new(), Vec::new());
        for header in record.headers().into_iter().flat_map(|headers| headers.iter()) {
            if header.key.starts_with("efd.") {
                let text = String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned();
                ours.push((header.key.to_owned(), text));
            } else {
                headers.push((header.key.to_owned(), header.value.map(<[u8]>::to_vec)));
            }
        }
        // The last one of a name is ours, should the record have brought its own.
        let own = |name: &str| ours.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let topic = record.topic().to_owned();
        let source = topic.strip_suffix(".dlq").unwrap_or_default().to_owned();
        Self {
            partition: record.partition(),
            offset: record.offset(),
            time_ms: record.timestamp().to_millis(),
            source_topic: own(dead_letter_header::SOURCE_TOPIC).unwrap_or(source),
            source_place: (own(dead_letter_header::SOURCE_PARTITION), own(dead_letter_header::SOURCE_OFFSET)),
            reason: own(dead_letter_header::REASON).unwrap_or_default(),
            key: record.key().map(<[u8]>::to_vec),
            payload: record.payload().map(<[u8]>::to_vec),
            topic,
            headers,
            ours,
        }
    }

    /// Whether only the beginning of the record is there.
    pub fn is_cut(&self) -> bool {
        self.ours.iter().any(|(name, _)| name == dead_letter_header::CUT)
    }

    /// Bytes of the record.
    pub fn bytes(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + length(value)).sum();
        length(&self.key) + length(&self.payload) + headers
    }

    /// Where its record was, which is the same for all letters of one record; its own place when it does not say.
    pub fn place(&self) -> String {
        match &self.source_place {
            (Some(partition), Some(offset)) => format!("{}/{partition}/{offset}", self.source_topic),
            _ => format!("{}/{}/{}", self.topic, self.partition, self.offset),
        }
    }

    /// Where it came from.
    pub fn source(&self) -> String {
        let (partition, offset) = &self.source_place;
        let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "?".to_owned());
        format!("{} {}/{}", self.source_topic, text(partition), text(offset))
    }

    /// All that it is, for people.
    pub fn whole(&self, is_redriven: bool) -> String {
        let mut text = format!("{} {}/{}\n", self.topic, self.partition, self.offset);
        let mut line = |name: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        };
        if let Some(ms) = self.time_ms {
            line("time", &format_time(ms.saturating_mul(1_000_000)));
        }
        line("redriven", if is_redriven { "yes" } else { "no" });
        self.ours.iter().for_each(|(name, value)| line(name, value));
        for (name, value) in &self.headers {
            line(&format!("header {name}"), &String::from_utf8_lossy(value.as_deref().unwrap_or_default()));
        }
        match &self.key {
            Some(key) => line("key", &String::from_utf8_lossy(key)),
            None => line("key", "none"),
        }
        let payload = self.payload.as_deref().unwrap_or_default();
        line("bytes", &payload.len().to_string());
        text + &dump(payload)
    }
}

/// Offset, bytes in hexadecimal, and as text.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (row, part) in bytes.chunks(DUMP_WIDTH).enumerate() {
        let hex: Vec<String> = part.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown: String = part
            .iter()
            .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' })
            .collect();
        let _ = writeln!(text, "{:08x}  {:<47}  {shown}", row * DUMP_WIDTH, hex.join(" "));
    }
    text
}

/// The wanted letters that are there when they are asked for, topic by topic, each partition's in order.
pub struct Letters<'a> {
    config: &'a Config,
    filter: Filter,
    /// Topics that are not read yet.
    topics: std::vec::IntoIter<Extent>,
    /// The topic that is read.
    records: Option<Records>,
    total: u64,
    passed: u64,
}

impl<'a> Letters<'a> {
    /// Those that a filter lets through.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn wanted(config: &'a Config, filter: Filter) -> anyhow::Result<Self> {
        let admin = Admin::new(&config.kafka, CLIENT)?;
        let mut topics = admin.topics().await?;
        topics.retain(|topic| filter.has_topic(&topic.name));
        Ok(Self::of(config, filter, Extent::of(&admin, &topics).await?))
    }

    /// All of a dead-letter topic.
    ///
    /// # Errors
    /// When Kafka does not answer, or there is no such topic.
    pub async fn of_topic(config: &'a Config, name: &str) -> anyhow::Result<Self> {
        let admin = Admin::new(&config.kafka, CLIENT)?;
        let Some(topic) = admin.topic(name).await? else {
            anyhow::bail!("there is no topic {name}: no record was dead-lettered there");
        };
        Ok(Self::of(config, Filter::default(), Extent::of(&admin, &[topic]).await?))
    }

    fn of(config: &'a Config, filter: Filter, extents: Vec<Extent>) -> Self {
        let total = extents.iter().map(Extent::length).sum();
        Self { config, filter, topics: extents.into_iter(), records: None, total, passed: 0 }
    }

    /// Letters in the topics, wanted or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of them were looked at.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// The next one; none when all were read.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub fn read(&mut self) -> anyhow::Result<Option<Letter>> {
        while let Some(letter) = self.read_any()? {
            self.passed += 1;
            if self.filter.has(&letter) {
                return Ok(Some(letter));
            }
        }
        Ok(None)
    }

    fn read_any(&mut self) -> anyhow::Result<Option<Letter>> {
        loop {
            let letter = match &mut self.records {
                Some(records) => records.read()?.map(|record| Letter::new(&record)),
                None => None,
            };
            if letter.is_some() {
                return Ok(letter);
            }
            let Some(extent) = self.topics.next() else { return Ok(None) };
            self.records = Some(Records::open(self.config, &extent)?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_knows_component_and_topic_by_name() {
        let filter = Filter { components: vec!["Test".into()], ..Filter::default() };
        assert!(filter.has_topic("lsst.sal.Test.scalars.dlq"));
        assert!(!filter.has_topic("lsst.sal.Test2.scalars.dlq"));
        assert!(!filter.has_topic("lsst.sal.Test.scalars"));
        let filter = Filter { topics: vec!["lsst.sal.Test.scalars".into()], ..Filter::default() };
        assert!(filter.has_topic("lsst.sal.Test.scalars.dlq"));
        assert!(!filter.has_topic("lsst.sal.Test.arrays.dlq"));
    }

    #[test]
    fn bytes_are_shown_as_hexadecimal_and_text() {
        let text = dump(b"\0efd 0123456789ABC");
        assert_eq!(text.lines().count(), 2);
        assert!(text.starts_with("00000000  00 65 66 64 20"), "{text}");
        assert!(text.contains(".efd 0123456789A\n"), "{text}");
    }
}
