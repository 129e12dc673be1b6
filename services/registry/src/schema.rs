//! One schema, as it is kept in memory: once, in the form in which it is most often asked for, and packed. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};
use serde_json::Value;

use crate::log::Fields;

/// Fields of a stored schema that are part of what it is; `md5` and `guid` only follow from it.
const IDENTIFYING: [&str; 4] = ["schemaType", "references", "metadata", "ruleSet"];

/// Room for the rest of an answer beside the text.
const ROOM: usize = 256;

/// What makes a schema this one and no other: MD5 of its text and of what identifies it beyond.
pub type Identity = [u8; 16];

/// A schema and everything that belongs to it. Its text is kept as JSON, inside the answer to who asks by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The answer, packed: an object, with the text as its last field.
    packed: Box<[u8]>,
    /// Length of the answer.
    length: usize,
    /// Where in the answer the text begins, as a JSON string with its quotes.
    text_at: usize,
    identity: Identity,
    /// The log has the MD5 beside it.
    has_md5: bool,
    /// Further fields, none for nearly all schemas: `schemaType` unless Avro, `references`, `metadata`, `ruleSet`, `guid`.
    fields: Option<Box<Fields>>,
}

/// A version of another schema that a schema uses by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Name of the type.
    pub name: String,
    /// Subject that has it.
    pub subject: String,
    /// Version there.
    pub version: u32,
}

impl Schema {
    /// A schema that is new: it will be written with its MD5.
    pub fn new(text: &str, fields: Fields) -> Self {
        let mut schema = Self::stored(text, fields);
        schema.has_md5 = true;
        schema
    }

    /// A schema as the log has it, with the further fields that stand there.
    pub fn stored(text: &str, mut fields: Fields) -> Self {
        let identity = identity(text, &fields);
        let has_md5 =
            fields.get("md5").and_then(Value::as_str).is_some_and(|md5| md5 == STANDARD.encode(identity));
        if has_md5 {
            fields.shift_remove("md5");
        }
        let mut shown = Fields::new();
        shown.insert("guid".into(), fields.get("guid").cloned().unwrap_or_else(|| uuid(&identity).into()));
        shown.extend(fields.iter().filter(|(name, _)| *name != "md5").map(|(k, v)| (k.clone(), v.clone())));
        let mut answer = Vec::with_capacity(text.len() + text.len() / 4 + ROOM);
        write_json(&mut answer, &shown);
        // The brace that closes the object makes room for the text.
        answer.pop();
        answer.extend_from_slice(b",\"schema\":");
        let text_at = answer.len();
        write_json(&mut answer, text);
        answer.push(b'}');
        let fields = (!fields.is_empty()).then(|| Box::new(fields));
        // A copy, so that what is kept is no longer than it has to be.
        let packed = Box::from(lz4_flex::block::compress(&answer).as_slice());
        Self { packed, length: answer.len(), text_at, identity, has_md5, fields }
    }

    /// An Avro schema of which nothing but its text is known.
    #[cfg(test)]
    pub fn avro(text: &str) -> Self {
        Self::new(text, Fields::new())
    }

    /// What makes it this schema and no other.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The identity as clients write it.
    pub fn guid(&self) -> String {
        let stored = self.fields.as_ref().and_then(|fields| fields.get("guid")).and_then(Value::as_str);
        stored.map_or_else(|| uuid(&self.identity), str::to_owned)
    }

    /// The answer to who asks for it by id: an object whose last field is the text.
    pub fn answer(&self) -> Bytes {
        lz4_flex::block::decompress(&self.packed, self.length)
            .expect("it was packed from so many bytes")
            .into()
    }

    /// The text as a JSON string.
    pub fn quoted_text(&self) -> Bytes {
        self.answer().slice(self.text_at..self.length - 1)
    }

    /// The text.
    pub fn text(&self) -> String {
        serde_json::from_slice(&self.quoted_text()).expect("it was written as a JSON string")
    }

    /// Further fields, with the MD5, in the order in which they are written to the log.
    pub fn log_fields(&self) -> Fields {
        let mut fields = Fields::new();
        if self.has_md5 {
            fields.insert("md5".into(), STANDARD.encode(self.identity).into());
        }
        fields.extend(self.fields.as_deref().cloned().unwrap_or_default());
        fields
    }

    /// A further field, such as `metadata`.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.as_ref()?.get(name)
    }

    /// Whether it is an Avro schema; a log written by others may hold different ones.
    pub fn is_avro(&self) -> bool {
        self.field("schemaType").is_none()
    }

    /// The schemas it uses by name.
    pub fn references(&self) -> Vec<Reference> {
        let list = self.field("references").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        list.iter().filter_map(reference).collect()
    }
}

fn reference(value: &Value) -> Option<Reference> {
    Some(Reference {
        name: value.get("name")?.as_str()?.to_owned(),
        subject: value.get("subject")?.as_str()?.to_owned(),
        version: u32::try_from(value.get("version")?.as_u64()?).ok()?,
    })
}

fn identity(text: &str, fields: &Fields) -> Identity {
    let mut digest = Md5::new();
    digest.update(text);
    for name in IDENTIFYING {
        if let Some(value) = fields.get(name) {
            digest.update(name);
            digest.update(json(value));
        }
    }
    digest.finalize().into()
}

/// Reads an identity as clients write it, with or without dashes.
pub fn parse_guid(text: &str) -> Option<Identity> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    let is_hex = digits.len() == 32 && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(&digits).ok().filter(|_| is_hex)?;
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}

fn uuid(identity: &Identity) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(*identity));
    let parts =
        [digits.get(..8), digits.get(8..12), digits.get(12..16), digits.get(16..20), digits.get(20..)];
    parts.map(Option::unwrap_or_default).join("-")
}

fn json(value: &Value) -> Vec<u8> {
    let mut json = Vec::new();
    write_json(&mut json, value);
    json
}

fn write_json(to: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    serde_json::to_writer(to, value).expect("strings, numbers and maps with string keys always make JSON");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_gives_its_text_back_and_its_answer() {
        let text = "{\"type\":\"enum\",\"name\":\"é\",\"doc\":\"a \\\"b\\\"\\n\"}";
        let schema = Schema::avro(text);
        assert_eq!(schema.text(), text);
        let answer: Value = serde_json::from_slice(&schema.answer()).unwrap();
        assert_eq!(answer["schema"], text);
        assert_eq!(answer["guid"], schema.guid());
    }

    #[test]
    fn the_identity_is_the_md5_of_the_text_and_a_guid_to_clients() {
        // As `md5sum` says it of the eight characters.
        let schema = Schema::avro("\"string\"");
        assert_eq!(schema.guid(), "095d71cf-1255-6b9d-5e33-0ad575b3df5d");
        assert_eq!(parse_guid(&schema.guid()), Some(schema.identity()));
        for text in ["", "x", "+0000000000000000000000000000000", "00000000-0000-0000-0000-0000000000000"] {
            assert_eq!(parse_guid(text), None, "{text}");
        }
    }

    #[test]
    fn an_md5_that_is_ours_is_not_kept_twice_and_another_one_stays() {
        let fields = Schema::avro("\"int\"").log_fields();
        assert_eq!(Schema::stored("\"int\"", fields), Schema::avro("\"int\""));
        let other: Fields = [("md5".to_owned(), Value::from("mm=="))].into_iter().collect();
        assert_eq!(Schema::stored("\"int\"", other.clone()).log_fields(), other);
    }
}
