//! Text records in the form that the transformer of 2019 gave them. Pure.

use std::collections::HashMap;

use efd_schema::{avro, wire};

use super::interface::{LegacyField, LegacyTopic, LegacyType};
use super::line::TextRecord;
use super::scan::{ScanError, Scanner, mismatch};
use super::translate::{Encoded, Reject};
use crate::clock::Moment;

const INT: std::ops::RangeInclusive<i64> = -2_147_483_648..=2_147_483_647;
const LONG: std::ops::RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// A topic whose schema is registered.
#[derive(Debug)]
pub struct RegisteredTopic {
    /// The topic.
    pub topic: LegacyTopic,
    /// Id of its schema.
    pub schema_id: u32,
    /// Place of its component in the settings, from 0.
    pub component_id: usize,
}

/// All topics, by `EFDB_Topic`.
#[derive(Debug)]
pub struct LegacyForm {
    topics: HashMap<String, RegisteredTopic>,
}

impl LegacyForm {
    /// Of these topics.
    pub fn new(topics: impl IntoIterator<Item = RegisteredTopic>) -> Self {
        Self { topics: topics.into_iter().map(|topic| (topic.topic.name.clone(), topic)).collect() }
    }

    /// Appends the record to `out`, in the wire format.
    ///
    /// # Errors
    /// When its topic is not known, or an item does not fit it; `out` is then as before.
    pub fn encode(
        &self,
        record: &TextRecord<'_>,
        now: Moment,
        out: &mut Vec<u8>,
    ) -> Result<Encoded<'_>, Reject> {
        let topic = self.topics.get(record.topic).ok_or_else(|| Reject::unknown(record.topic))?;
        let start = out.len();
        match append(topic, record, now, out) {
            Ok(()) => {
                Ok(Encoded { topic: &topic.topic.full_name, key: None, component_id: topic.component_id })
            }
            Err(error) => {
                out.truncate(start);
                Err(error.into())
            }
        }
    }
}

fn append(
    topic: &RegisteredTopic,
    record: &TextRecord<'_>,
    now: Moment,
    out: &mut Vec<u8>,
) -> Result<(), ScanError> {
    let fields = &topic.topic.fields;
    let expected: usize = fields.iter().map(|field| field.count.unwrap_or(1)).sum();
    let preamble = &record.preamble;
    wire::begin(out, topic.schema_id);
    avro::put_long(out, now.utc_micros.div_euclid(1000));
    avro::put_str(out, preamble.rev_code);
    avro::put_long(out, millis("created", preamble.created)?);
    avro::put_long(out, millis("ingested", preamble.ingested)?);
    avro::put_long(out, preamble.sequence);
    avro::put_int(out, preamble.origin);
    avro::put_int(out, preamble.host);
    let mut items = Scanner::new(&record.items, expected);
    for field in fields {
        if let Some(count) = field.count {
            avro::put_array_start(out, count);
            for _ in 0..count {
                put(field, &mut items, out)?;
            }
            avro::put_array_end(out);
        } else {
            put(field, &mut items, out)?;
        }
    }
    items.end()
}

fn put(field: &LegacyField, items: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<(), ScanError> {
    let name = field.name.as_str();
    match &field.ty {
        LegacyType::Boolean => avro::put_bool(out, items.boolean(name)?),
        LegacyType::Int => avro::put_long(out, items.whole(name, &INT)?),
        LegacyType::Long => avro::put_long(out, items.whole(name, &LONG)?),
        LegacyType::Float => avro::put_float(out, items.single(name)?),
        LegacyType::Double => avro::put_double(out, items.number(name)?),
        // Both are a length and that many bytes.
        LegacyType::String | LegacyType::Bytes => avro::put_str(out, items.text(name)?),
        LegacyType::Enum(symbols) => avro::put_long(out, symbol(name, symbols, items.text(name)?)?),
    }
    Ok(())
}

/// Place of a symbol that is given by its name or by its number.
fn symbol(field: &str, symbols: &[(String, i64)], text: &str) -> Result<i64, ScanError> {
    let word = text.trim();
    let number: Option<i64> = word.parse().ok();
    let place = symbols.iter().position(|(symbol, value)| symbol == word || Some(*value) == number);
    place.and_then(|place| i64::try_from(place).ok()).ok_or_else(|| {
        let names: Vec<&str> = symbols.iter().map(|(symbol, _)| symbol.as_str()).collect();
        mismatch(field, text, &format!("one of {}", names.join(", ")))
    })
}

/// Whole milliseconds of a time that was rounded to a microsecond first, as Python does.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn millis(name: &str, seconds: f64) -> Result<i64, ScanError> {
    let micros = (seconds * 1e6).round();
    // The years 1 to 9999, which is what Python could hold.
    if !(-62_135_596_800e6..=253_402_300_799e6).contains(&micros) {
        return Err(mismatch(name, &seconds.to_string(), "a time of the years 1 to 9999"));
    }
    Ok((micros as i64).div_euclid(1000))
}

#[cfg(test)]
#[path = "legacy_tests.rs"]
mod tests;
