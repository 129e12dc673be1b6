//! The private fields that tell who sent a record, and which of its records it is. They are noted while a record becomes a
//! point, so that completeness need not decode it again.

use efd_schema::Type;
use efd_schema::avro::Reader;

/// A private field that is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateField {
    /// `salIndex`
    SalIndex,
    /// `private_seqNum`
    SeqNum,
    /// `private_origin`
    Origin,
    /// `private_sndStamp`
    SndStamp,
    /// `private_identity`
    Identity,
}

impl PrivateField {
    /// The one of this name, if its type is the one that SAL gives it.
    pub fn of(name: &str, ty: &Type) -> Option<Self> {
        let found = match name {
            "salIndex" => Self::SalIndex,
            "private_seqNum" => Self::SeqNum,
            "private_origin" => Self::Origin,
            "private_sndStamp" => Self::SndStamp,
            "private_identity" => Self::Identity,
            _ => return None,
        };
        let is_its_type = match found {
            Self::SalIndex | Self::SeqNum | Self::Origin => matches!(ty, Type::Int | Type::Long),
            Self::SndStamp => *ty == Type::Double,
            Self::Identity => *ty == Type::String,
        };
        is_its_type.then_some(found)
    }
}

/// Who sent a record, and which of its records it is. A field that is null, or that the schema does not have, is 0 or empty.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Private {
    /// `salIndex`: instance of an indexed component, from 1.
    pub sal_index: i64,
    /// `private_seqNum`: number of the record among those of its writer, from 1, 1 again behind the last.
    pub seq_num: i64,
    /// `private_origin`: process id of the writer.
    pub origin: i64,
    /// `private_sndStamp`: Unix seconds TAI.
    pub snd_stamp: f64,
    /// Where `private_identity` begins and ends, in bytes before the end of the body.
    identity: (u32, u32),
}

impl Private {
    /// Notes a value whose bytes begin where `reader` stands; bytes that are not its type are somebody else's error.
    #[inline]
    pub fn note(&mut self, field: PrivateField, mut reader: Reader<'_>) {
        match field {
            PrivateField::SalIndex => self.sal_index = reader.long().unwrap_or_default(),
            PrivateField::SeqNum => self.seq_num = reader.long().unwrap_or_default(),
            PrivateField::Origin => self.origin = reader.long().unwrap_or_default(),
            PrivateField::SndStamp => self.snd_stamp = reader.double().unwrap_or_default(),
            PrivateField::Identity => {
                let length = reader.bytes().map_or(0, <[u8]>::len);
                let end = reader.remaining();
                // A record of 4 GiB passes no broker.
                let place = |bytes| u32::try_from(bytes).unwrap_or_default();
                self.identity = (place(end + length), place(end));
            }
        }
    }

    /// `private_identity`, such as `MTM1M3` or `user@host`. `payload` is the whole record, or its body.
    pub fn identity<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        let (begin, end) = self.identity;
        let place = |before_end: u32| payload.len().checked_sub(before_end as usize);
        let range = place(begin).zip(place(end));
        range.and_then(|(begin, end)| payload.get(begin..end)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use efd_schema::{RecordSchema, avro};

    use super::*;
    use crate::mapping::MappingConfig;
    use crate::plan::Plan;
    use crate::point;

    #[test]
    fn who_sent_a_record_is_known_when_its_line_is_made() {
        let text = r#"{"type":"record","name":"t","fields":[{"name":"salIndex","type":"int"},
            {"name":"private_sndStamp","type":"double"},{"name":"private_efdStamp","type":"double"},
            {"name":"private_seqNum","type":["int","null"]},{"name":"private_identity","type":"string"},
            {"name":"private_origin","type":"int"},{"name":"x","type":"int"}]}"#;
        let plan = Plan::compile(1, &RecordSchema::parse(text).unwrap(), &MappingConfig::default()).unwrap();
        let mut payload = vec![0, 0, 0, 0, 1];
        avro::put_int(&mut payload, 2);
        avro::put_double(&mut payload, 37.5);
        avro::put_double(&mut payload, 0.5);
        avro::put_long(&mut payload, 0);
        avro::put_int(&mut payload, 70_000);
        avro::put_str(&mut payload, "user@host");
        avro::put_int(&mut payload, 4711);
        avro::put_int(&mut payload, 1);
        let point = point::append(&plan, &payload[5..], &mut Vec::new()).unwrap();
        let private = point.private;
        let numbers = (private.sal_index, private.seq_num, private.origin, private.snd_stamp);
        assert_eq!(numbers, (2, 70_000, 4711, 37.5));
        assert_eq!(private.identity(&payload), b"user@host");
        assert_eq!(private.identity(&payload[5..]), b"user@host");
        assert_eq!(private.identity(b""), b"");
    }

    #[test]
    fn a_schema_without_them_gives_none_and_another_type_is_not_taken_for_one() {
        assert_eq!(PrivateField::of("private_seqNum", &Type::String), None);
        assert_eq!(PrivateField::of("private_seqNum", &Type::Long), Some(PrivateField::SeqNum));
        assert_eq!(PrivateField::of("seqNum", &Type::Int), None);
        assert_eq!(Private::default().identity(b"abc"), b"");
    }
}
