//! A dead letter, and how all of them are read.

use std::fmt::Write as _;
use std::time::Duration;

use efd_kafka::{Admin, TopicInfo, dead_letter_header};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::config::Config;
use crate::time::format_time;

/// Bound on the wait for a record that is there.
const POLL_TIMEOUT: Duration = Duration::from_secs(15);
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

    /// Where it lies, as it is remembered.
    pub fn place(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
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

/// Gives the wanted letters to `take`, topic by topic, each in order, until it says that it has enough.
///
/// # Errors
/// When Kafka does not answer.
pub async fn read(
    config: &Config,
    filter: &Filter,
    mut take: impl FnMut(Letter) -> bool,
) -> anyhow::Result<()> {
    let topics = Admin::new(&config.kafka, "efd-dead-letters")?.topics().await?;
    for topic in topics.iter().filter(|topic| filter.has_topic(&topic.name)) {
        let mut goes_on = true;
        read_records(config, topic, &mut |record| {
            let letter = Letter::new(record);
            goes_on = !filter.has(&letter) || take(letter);
            goes_on
        })?;
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// Gives all letters of a dead-letter topic to `take`, until it says that it has enough.
///
/// # Errors
/// When Kafka does not answer, or there is no such topic.
pub async fn read_topic(
    config: &Config,
    name: &str,
    mut take: impl FnMut(Letter) -> bool,
) -> anyhow::Result<()> {
    let topics = Admin::new(&config.kafka, "efd-dead-letters")?.topics().await?;
    let Some(topic) = topics.iter().find(|topic| topic.name == name) else {
        anyhow::bail!("there is no topic {name}: no record was dead-lettered there");
    };
    read_records(config, topic, &mut |record| take(Letter::new(record)))
}

/// Gives all records of a topic to `take`, until it says that it has enough.
///
/// # Errors
/// When Kafka does not answer.
pub fn read_records(
    config: &Config,
    topic: &TopicInfo,
    take: &mut dyn FnMut(&BorrowedMessage<'_>) -> bool,
) -> anyhow::Result<()> {
    let mut client = config.kafka.client("efd-dead-letters");
    client
        // Never joined: only assigned partitions are read, and nothing is committed.
        .set("group.id", "efd-dead-letters")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true");
    let consumer: BaseConsumer<_> = client.create_with_context(config.kafka.context())?;
    let mut all = TopicPartitionList::new();
    for partition in &topic.partitions {
        all.add_partition_offset(&topic.name, *partition, Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    let mut open = topic.partitions.len();
    while open > 0 {
        match consumer.poll(POLL_TIMEOUT) {
            Some(Ok(record)) => {
                if !take(&record) {
                    return Ok(());
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) if efd_kafka::error_kind(&error) == efd_kafka::ErrorKind::Transient => {}
            Some(Err(error)) => return Err(error.into()),
            None => anyhow::bail!("kafka did not give the records of {} within {POLL_TIMEOUT:?}", topic.name),
        }
    }
    Ok(())
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
