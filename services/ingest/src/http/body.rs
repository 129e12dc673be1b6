//! What requests say: the form of their bodies. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::LengthLimitError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

use super::avro_json::{Encoder, Mismatch};
use super::error::ProxyError;

/// How keys and values are written in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Avro's JSON form; in Kafka the wire format.
    Avro,
    /// Any JSON; in Kafka its text.
    Json,
    /// Text in base64; in Kafka the bytes.
    Binary,
}

impl Format {
    /// Of a header `Content-Type`; without an embedded format it is binary, as in the proxy. None for anything else.
    pub fn of(content_type: Option<&str>) -> Option<Self> {
        let media_type = content_type?.split(';').next()?.trim();
        match media_type.to_ascii_lowercase().as_str() {
            "application/vnd.kafka.avro.v2+json" => Some(Self::Avro),
            "application/vnd.kafka.json.v2+json" => Some(Self::Json),
            "application/vnd.kafka.binary.v2+json"
            | "application/vnd.kafka.v2+json"
            | "application/vnd.kafka+json"
            | "application/json" => Some(Self::Binary),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Avro => "Avro",
            Self::Json => "JSON",
            Self::Binary => "binary",
        }
    }
}

/// `POST /topics/{topic}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProduceBody {
    /// Text of the schema of all keys.
    pub key_schema: Option<String>,
    /// Its id, instead.
    pub key_schema_id: Option<u32>,
    /// Text of the schema of all values.
    pub value_schema: Option<String>,
    /// Its id, instead.
    pub value_schema_id: Option<u32>,
    /// At least one.
    pub records: Vec<ProduceRecord>,
}

/// One record to produce.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProduceRecord {
    /// Absent or null: none.
    pub key: Option<Value>,
    /// Absent or null: a tombstone.
    pub value: Option<Value>,
    /// Absent: by key.
    pub partition: Option<i32>,
}

/// `POST /v3/clusters/{id}/topics`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicBody {
    /// Name of the new topic.
    pub topic_name: String,
    /// Absent: as the broker says.
    pub partitions_count: Option<i32>,
    /// Absent: as the broker says.
    pub replication_factor: Option<i32>,
    /// Settings of the topic.
    #[serde(default)]
    pub configs: Vec<TopicSetting>,
    /// Only ask whether it could be created.
    #[serde(default)]
    pub validate_only: bool,
}

/// A setting of a topic, such as `cleanup.policy`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicSetting {
    /// Name.
    pub name: String,
    /// Absent: the default.
    pub value: Option<String>,
}

/// Why a body did not come whole: it has more bytes than `longest`, or its connection or encoding broke.
pub fn unreadable(error: &axum::Error, longest: u64) -> ProxyError {
    let mut cause = Some(error as &dyn std::error::Error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return ProxyError::TooLarge(longest);
        }
        cause = error.source();
    }
    ProxyError::BodyUnreadable(efd_service::chain(error))
}

/// Reads a body.
///
/// # Errors
/// When it is not JSON, or JSON of another form; says what and where.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ProxyError> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => ProxyError::InvalidBody(error.to_string()),
        _ => ProxyError::MalformedBody(error.to_string()),
    })
}

/// The schemas of a request, where it has any.
#[derive(Debug, Clone, Copy)]
pub struct Encoders<'a> {
    /// Of the keys.
    pub key: Option<&'a Encoder>,
    /// Of the values.
    pub value: Option<&'a Encoder>,
}

/// A record as it goes to Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRecord {
    /// Key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Value; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Where it has to go.
    pub partition: Option<i32>,
}

/// Encodes all records of a request; nothing is sent of a request with a bad record.
///
/// # Errors
/// The first record that cannot be encoded, with its place and field.
pub fn encode(
    records: &[ProduceRecord],
    format: Format,
    encoders: Encoders<'_>,
) -> Result<Vec<EncodedRecord>, ProxyError> {
    let mut encoded = Vec::with_capacity(records.len());
    for (record, given) in records.iter().enumerate() {
        let part = |part, value: &Option<Value>, encoder, missing| {
            let Some(value) = value else { return Ok(None) };
            let bytes = match (format, encoder) {
                (Format::Avro, None) => return Err(missing),
                (Format::Avro, Some(encoder)) => Encoder::encode(encoder, value),
                (Format::Json, _) => Ok(value.to_string().into_bytes()),
                (Format::Binary, _) => decode(value),
            };
            let conversion =
                |mismatch| ProxyError::Conversion { format: format.name(), record, part, mismatch };
            bytes.map(Some).map_err(conversion)
        };
        encoded.push(EncodedRecord {
            key: part("key", &given.key, encoders.key, ProxyError::KeySchemaMissing)?,
            value: part("value", &given.value, encoders.value, ProxyError::ValueSchemaMissing)?,
            partition: given.partition,
        });
    }
    Ok(encoded)
}

fn decode(value: &Value) -> Result<Vec<u8>, Mismatch> {
    let mismatch = |problem: String| Mismatch { field: String::new(), problem };
    let text = value.as_str().ok_or_else(|| mismatch("expected a string in base64".into()))?;
    STANDARD.decode(text).map_err(|error| mismatch(format!("not base64: {error}")))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde_json::json;

    use super::*;

    fn records(records: &Value) -> Vec<ProduceRecord> {
        parse::<ProduceBody>(json!({"records": records}).to_string().as_bytes()).unwrap().records
    }

    const NONE: Encoders<'_> = Encoders { key: None, value: None };

    #[tokio::test]
    async fn only_a_body_that_is_too_long_is_said_to_be() {
        let error = axum::body::to_bytes(Body::from("12345"), 4).await.unwrap_err();
        assert_eq!(unreadable(&error, 4), ProxyError::TooLarge(4));
        let parts = [Ok("12"), Err(std::io::Error::other("connection reset"))];
        let broken = Body::from_stream(futures::stream::iter(parts));
        let error = axum::body::to_bytes(broken, 4).await.unwrap_err();
        let told = unreadable(&error, 4);
        assert_eq!(
            (told.status_and_code(), told.to_string().contains("connection reset")),
            ((400, 400), true)
        );
    }

    #[test]
    fn the_format_follows_from_the_content_type() {
        let table = [
            (Some("application/vnd.kafka.avro.v2+json"), Some(Format::Avro)),
            (Some("Application/vnd.kafka.JSON.v2+json; charset=utf-8"), Some(Format::Json)),
            (Some("application/vnd.kafka.binary.v2+json"), Some(Format::Binary)),
            (Some("application/json"), Some(Format::Binary)),
            (Some("application/vnd.kafka.protobuf.v2+json"), None),
            (Some("application/x-www-form-urlencoded"), None),
            (None, None),
        ];
        for (content_type, format) in table {
            assert_eq!(Format::of(content_type), format, "{content_type:?}");
        }
    }

    #[test]
    fn a_body_of_another_form_says_what_is_wrong() {
        let code = |body: &str| {
            let error = parse::<ProduceBody>(body.as_bytes()).unwrap_err();
            (error.status_and_code().1, error.to_string())
        };
        assert_eq!(code("{\"records\": [").0, 400);
        assert_eq!(code("").0, 400);
        let (number, message) = code(r#"{"records": [{"valeu": 1}]}"#);
        assert!(number == 422 && message.contains("valeu"), "{message}");
        let (number, message) = code(r#"{"value_schema_id": 1}"#);
        assert!(number == 422 && message.contains("records"), "{message}");
    }

    #[test]
    fn json_goes_as_its_text_and_binary_as_its_bytes() {
        let json =
            records(&json!([{"key": "k", "value": {"a": [1, null]}}, {"value": null, "partition": 2}]));
        let encoded = encode(&json, Format::Json, NONE).unwrap();
        let expected = [
            EncodedRecord {
                key: Some(b"\"k\"".into()),
                value: Some(b"{\"a\":[1,null]}".into()),
                partition: None,
            },
            EncodedRecord { key: None, value: None, partition: Some(2) },
        ];
        assert_eq!(encoded, expected);
        let binary = encode(&records(&json!([{"value": "AP8="}])), Format::Binary, NONE).unwrap();
        assert_eq!(binary[0].value.as_deref(), Some(&[0, 255][..]));
        let error =
            encode(&records(&json!([{"value": "AP8="}, {"value": "?"}])), Format::Binary, NONE).unwrap_err();
        assert!(error.to_string().contains("record 1, value: not base64"), "{error}");
    }

    #[test]
    fn avro_needs_a_schema_for_each_key_and_value_that_is_there() {
        let of = |value: Value| encode(&records(&value), Format::Avro, NONE);
        assert_eq!(of(json!([{"value": 1}])).unwrap_err(), ProxyError::ValueSchemaMissing);
        assert_eq!(of(json!([{"key": "k"}])).unwrap_err(), ProxyError::KeySchemaMissing);
        assert_eq!(of(json!([{"value": null}])).unwrap()[0].value, None);
        let encoder =
            Encoder::new(7, r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"}]}"#).unwrap();
        let with_schema = |value: Value| {
            encode(&records(&value), Format::Avro, Encoders { key: None, value: Some(&encoder) })
        };
        assert_eq!(with_schema(json!([{"value": {"a": 1}}])).unwrap()[0].value, Some(vec![0, 0, 0, 0, 7, 2]));
        let error = with_schema(json!([{"value": {"a": 1}}, {"value": {"a": 1, "b": 2}}])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Conversion of JSON to Avro failed: record 1, value: field b: is not in the schema"
        );
    }
}
