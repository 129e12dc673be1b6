//! Where records go that can never be used, and what their headers say; the same for every service.

use rdkafka::message::{Header, Headers, OwnedHeaders};

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

/// Where a dead letter came from, and why it is one.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetterOrigin<'a> {
    /// Topic and partition.
    pub partition: &'a TopicPartition,
    /// Offset.
    pub offset: i64,
    /// For people.
    pub reason: &'a str,
}

/// The headers of the record, and behind them ours.
pub fn dead_letter_headers<H: Headers>(own: Option<&H>, origin: &DeadLetterOrigin<'_>) -> OwnedHeaders {
    use dead_letter_header::{REASON, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC};
    let mut headers = OwnedHeaders::new();
    for header in own.into_iter().flat_map(|own| own.iter()) {
        headers = headers.insert(Header { key: header.key, value: header.value });
    }
    let (partition, offset) = (origin.partition.partition.to_string(), origin.offset.to_string());
    let ours = [
        (SOURCE_TOPIC, &*origin.partition.topic),
        (SOURCE_PARTITION, partition.as_str()),
        (SOURCE_OFFSET, offset.as_str()),
        (REASON, origin.reason),
    ];
    for (key, value) in ours {
        headers = headers.insert(Header { key, value: Some(value) });
    }
    headers
}

#[cfg(test)]
mod tests {
    use rdkafka::message::BorrowedHeaders;

    use super::*;

    #[test]
    fn a_dead_letter_keeps_its_headers_and_says_where_it_came_from() {
        let own = OwnedHeaders::new().insert(Header { key: "traceparent", value: Some("00-1") });
        let partition = TopicPartition { topic: "ATCamera_event".into(), partition: 2 };
        let origin = DeadLetterOrigin { partition: &partition, offset: 7, reason: "no record" };
        let headers = dead_letter_headers(Some(&own), &origin);
        let all: Vec<(&str, &str)> = headers
            .iter()
            .map(|header| (header.key, std::str::from_utf8(header.value.unwrap()).unwrap()))
            .collect();
        let expected = [
            ("traceparent", "00-1"),
            ("efd.source.topic", "ATCamera_event"),
            ("efd.source.partition", "2"),
            ("efd.source.offset", "7"),
            ("efd.reason", "no record"),
        ];
        assert_eq!(all, expected);
        assert_eq!(dead_letter_topic("ATCamera_event"), "ATCamera_event.dlq");
        let none: Option<&BorrowedHeaders> = None;
        assert_eq!(dead_letter_headers(none, &origin).count(), 4);
    }
}
