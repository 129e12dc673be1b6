//! Text records in the form SAL's records have today. Pure.
//!
//! What SAL added goes to the private fields: `created` gives `private_sndStamp` and `private_efdStamp`, `ingested`
//! gives `private_rcvStamp`, the identity is the component. The number of the host has no place in this form.

use std::collections::HashMap;
use std::sync::Arc;

use efd_sal::{Field, FieldType, PrivateFields, Value};

use super::config::Stamps;
use super::line::TextRecord;
use super::scan::{ScanError, Scanner};
use super::translate::{Encoded, Reject};
use crate::clock::{Clock, Moment};
use crate::sample::SampleTopic;

/// The topics of today's interfaces, by `EFDB_Topic`.
#[derive(Debug)]
pub struct CurrentForm {
    topics: HashMap<String, Arc<SampleTopic>>,
    clock: Clock,
    stamps: Stamps,
}

impl CurrentForm {
    /// Of these topics, which exist and whose schemas are registered.
    pub fn new(topics: &[Arc<SampleTopic>], clock: Clock, stamps: Stamps) -> Self {
        let name = |topic: &SampleTopic| format!("{}_{}", topic.topic.component, topic.topic.sal_name);
        Self { topics: topics.iter().map(|topic| (name(topic), topic.clone())).collect(), clock, stamps }
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
        let own = topic.topic.fields.iter().filter(|field| !field.is_private);
        let expected: usize = own.clone().map(|field| field.count).sum();
        // Records of an indexed component may begin with the index.
        let has_index = topic.topic.indexed && record.items.len() == expected + 1;
        let mut items = Scanner::new(&record.items, expected + usize::from(has_index));
        let index = if has_index { int(items.whole("salIndex", &INT)?) } else { 0 };
        let values = own.map(|field| value(field, &mut items)).collect::<Result<Vec<_>, _>>()?;
        items.end()?;

        let (created_utc, created_tai) = self.times(record.preamble.created)?;
        let (_, ingested_tai) = self.times(record.preamble.ingested)?;
        let sequence = i32::try_from(record.preamble.sequence)
            .map_err(|_| Reject::encode(format!("sequence {} is too large", record.preamble.sequence)))?;
        let private = PrivateFields {
            sal_index: topic.topic.indexed.then_some(index),
            snd_stamp: created_tai,
            rcv_stamp: ingested_tai,
            efd_stamp: created_utc,
            kafka_stamp: now.tai(),
            seq_num: sequence,
            rev_code: record.preamble.rev_code,
            identity: &topic.topic.component,
            origin: record.preamble.origin,
        };
        topic.plan.encode(&private, &values, out).map_err(|error| Reject::encode(error.to_string()))?;
        let key = topic.topic.key(private.sal_index);
        Ok(Encoded { topic: &topic.kafka_name, key: Some(key), component_id: topic.component_id })
    }

    /// UTC and TAI of a time in the text.
    fn times(&self, seconds: f64) -> Result<(f64, f64), Reject> {
        let times = match self.stamps {
            Stamps::Utc => self.clock.tai_from_utc(seconds).map(|tai| (seconds, tai)),
            Stamps::Tai => self.clock.utc_from_tai(seconds).map(|utc| (utc, seconds)),
        };
        times.map_err(|error| Reject::encode(error.to_string()))
    }
}

const INT: std::ops::RangeInclusive<i64> = -2_147_483_648..=2_147_483_647;

fn value(field: &Field, items: &mut Scanner<'_>) -> Result<Value, ScanError> {
    let name = field.name.as_str();
    let range = field.range.clone().or(field.ty.range()).unwrap_or(INT);
    if field.count == 1 {
        return Ok(match field.ty {
            FieldType::Boolean => Value::Boolean(items.boolean(name)?),
            FieldType::Int => Value::Int(int(items.whole(name, &range)?)),
            FieldType::Long => Value::Long(items.whole(name, &range)?),
            FieldType::Float => Value::Float(items.single(name)?),
            FieldType::Double => Value::Double(items.number(name)?),
            FieldType::String => Value::String(items.text(name)?.to_owned()),
        });
    }
    let places = 0..field.count;
    Ok(match field.ty {
        FieldType::Boolean => Value::Booleans(places.map(|_| items.boolean(name)).collect::<Result<_, _>>()?),
        FieldType::Int => {
            Value::Ints(places.map(|_| items.whole(name, &range).map(int)).collect::<Result<_, _>>()?)
        }
        FieldType::Long => Value::Longs(places.map(|_| items.whole(name, &range)).collect::<Result<_, _>>()?),
        FieldType::Float => Value::Floats(places.map(|_| items.single(name)).collect::<Result<_, _>>()?),
        FieldType::Double => Value::Doubles(places.map(|_| items.number(name)).collect::<Result<_, _>>()?),
        // There are no arrays of strings.
        FieldType::String => Value::String(items.text(name)?.to_owned()),
    })
}

/// The range of an int field is within 32 bits.
fn int(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

#[cfg(test)]
#[path = "current_tests.rs"]
mod tests;
