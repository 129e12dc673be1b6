//! A text record to a Kafka record, in the form that the settings say. Pure.

use super::current::CurrentForm;
use super::legacy::LegacyForm;
use super::line::{LineError, TextRecord};
use super::scan::ScanError;
use crate::clock::Moment;
use crate::metrics::RejectReason;

/// One of the two forms.
#[derive(Debug)]
pub enum Translator {
    /// As SAL's records are today.
    Current(CurrentForm),
    /// As the first transformer wrote them, in 2019.
    Legacy(LegacyForm),
}

/// Where an encoded record goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded<'a> {
    /// Kafka topic.
    pub topic: &'a str,
    /// Key; records of 2019 have none.
    pub key: Option<String>,
    /// Place of the component in the settings, from 0.
    pub component_id: usize,
}

/// Why a text cannot become a record; it goes to the dead-letter topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// For the metrics.
    pub reason: RejectReason,
    /// For people.
    pub detail: String,
}

impl Reject {
    /// The topic is not one of the components'.
    pub fn unknown(topic: &str) -> Self {
        Self::encode(format!(
            "topic {topic} is not in the interfaces of the components (settings components, interfaces)"
        ))
    }

    /// It is a record, but not one of its topic.
    pub fn encode(detail: String) -> Self {
        Self { reason: RejectReason::Encode, detail }
    }
}

impl From<LineError> for Reject {
    fn from(error: LineError) -> Self {
        Self { reason: RejectReason::Parse, detail: error.to_string() }
    }
}

impl From<ScanError> for Reject {
    fn from(error: ScanError) -> Self {
        Self::encode(error.to_string())
    }
}

impl Translator {
    /// Appends the record to `out`, in the wire format; `now` is when the Kafka record is made.
    ///
    /// # Errors
    /// When the text is no record, or does not fit its topic; `out` is then as before.
    pub fn translate(&self, text: &[u8], now: Moment, out: &mut Vec<u8>) -> Result<Encoded<'_>, Reject> {
        let record = TextRecord::parse(text)?;
        let is_its_own =
            record.topic.strip_prefix(record.component).is_some_and(|rest| rest.starts_with('_'));
        if !is_its_own {
            let detail = format!("topic {} is not one of component {}", record.topic, record.component);
            return Err(Reject { reason: RejectReason::Parse, detail });
        }
        match self {
            Self::Current(form) => form.encode(&record, now, out),
            Self::Legacy(form) => form.encode(&record, now, out),
        }
    }
}
