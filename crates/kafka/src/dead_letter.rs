//! A record that can never be used: where it goes, and what its headers say; the same for every service.

use rdkafka::message::{Header, OwnedHeaders};

use crate::TopicPartition;

/// What the name of a dead-letter topic ends in.
const SUFFIX: &str = ".dlq";

/// Headers that say where a dead letter came from and why it is one.
pub mod dead_letter_header {
    /// Topic of the record.
    pub const SOURCE_TOPIC: &str = "efd.source.topic";
    /// Its partition.
    pub const SOURCE_PARTITION: &str = "efd.source.partition";
    /// Its offset.
    pub const SOURCE_OFFSET: &str = "efd.source.offset";
    /// Why, for people.
    pub const REASON: &str = "efd.reason";
    /// Bytes of the record, where the letter has only the first of them because Kafka takes no longer one.
    pub const CUT: &str = "efd.cut";
}

/// The topic for dead letters of a topic.
pub fn dead_letter_topic(topic: &str) -> String {
    format!("{topic}{SUFFIX}")
}

/// A record that can never be used, and why.
#[derive(Debug)]
pub struct DeadLetter<'a> {
    /// Where it came from.
    pub partition: TopicPartition,
    /// Its offset there.
    pub offset: i64,
    /// Why it cannot be used, for people.
    pub reason: String,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value; none is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Headers of the record.
    pub own: OwnedHeaders,
    /// What else its service tells: names of headers and their values.
    pub more: Vec<(&'static str, String)>,
    /// Time in the record's envelope, Unix milliseconds.
    pub timestamp_ms: Option<i64>,
}

impl DeadLetter<'_> {
    /// The headers of the record, and behind them ours.
    pub(crate) fn headers(&self) -> OwnedHeaders {
        self.add_ours(self.own.clone())
    }

    /// Ours alone, with the length of the whole record.
    pub(crate) fn headers_of_cut(&self) -> OwnedHeaders {
        let bytes = self.payload.unwrap_or_default().len().to_string();
        let ours = self.add_ours(OwnedHeaders::new());
        ours.insert(Header { key: dead_letter_header::CUT, value: Some(&bytes) })
    }

    fn add_ours(&self, mut headers: OwnedHeaders) -> OwnedHeaders {
        use dead_letter_header::{REASON, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC};
        let (partition, offset) = (self.partition.partition.to_string(), self.offset.to_string());
        let ours = [
            (SOURCE_TOPIC, &*self.partition.topic),
            (SOURCE_PARTITION, partition.as_str()),
            (SOURCE_OFFSET, offset.as_str()),
            (REASON, self.reason.as_str()),
        ];
        let more = self.more.iter().map(|(key, value)| (*key, value.as_str()));
        for (key, value) in ours.into_iter().chain(more) {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers as _;

    use super::*;

    fn texts(headers: &OwnedHeaders) -> Vec<(&str, &str)> {
        headers
            .iter()
            .map(|header| (header.key, std::str::from_utf8(header.value.unwrap()).unwrap()))
            .collect()
    }

    #[test]
    fn a_dead_letter_keeps_its_headers_and_says_where_it_came_from() {
        let letter = DeadLetter {
            partition: TopicPartition { topic: "ATCamera_event".into(), partition: 2 },
            offset: 7,
            reason: "no record".to_owned(),
            key: None,
            payload: Some(b"twelve bytes"),
            own: OwnedHeaders::new().insert(Header { key: "traceparent", value: Some("00-1") }),
            more: vec![("efd.schema_id", "9".to_owned())],
            timestamp_ms: None,
        };
        let ours = [
            ("efd.source.topic", "ATCamera_event"),
            ("efd.source.partition", "2"),
            ("efd.source.offset", "7"),
            ("efd.reason", "no record"),
            ("efd.schema_id", "9"),
        ];
        let headers = letter.headers();
        assert_eq!(texts(&headers), [&[("traceparent", "00-1")][..], &ours].concat());
        let headers = letter.headers_of_cut();
        assert_eq!(texts(&headers), [&ours[..], &[("efd.cut", "12")]].concat());
        assert_eq!(dead_letter_topic("ATCamera_event"), "ATCamera_event.dlq");
    }
}
