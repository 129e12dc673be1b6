//! The Avro schema of a topic, byte for byte as SAL writes it, and the revCode taken from it.

use std::fmt::Write;

use md5::{Digest, Md5};

use crate::field::{Field, FieldType, NullBranch};
use crate::json::Json;
use crate::topic::Topic;

/// SAL takes the revCode from the text with this indentation, although it registers the one-line text.
pub(crate) const REV_CODE_INDENT: usize = 4;

/// Bytes of the MD5 that make the revCode: eight hexadecimal digits.
const REV_CODE_BYTES: usize = 4;

/// The text that SAL registers.
pub(crate) fn one_line(topic: &Topic) -> String {
    write_schema(topic, Json::one_line())
}

/// First eight hexadecimal digits of the MD5 of the indented text.
pub(crate) fn rev_code(topic: &Topic) -> String {
    rev_code_of(&write_schema(topic, Json::indented(REV_CODE_INDENT)))
}

/// As [`rev_code`], of a text that is indented already.
pub(crate) fn rev_code_of(indented: &str) -> String {
    let digest = Md5::digest(indented);
    let mut code = String::with_capacity(2 * REV_CODE_BYTES);
    for byte in digest.iter().take(REV_CODE_BYTES) {
        // Writing to a String cannot fail.
        let _ = write!(code, "{byte:02x}");
    }
    code
}

/// The order of the keys is SAL's; the namespace is the same whatever the subname of the Kafka topic is.
fn write_schema(topic: &Topic, mut json: Json) -> String {
    json.open('{');
    json.key("type");
    json.string("record");
    json.key("name");
    json.string(&topic.sal_name);
    json.key("namespace");
    json.string(&topic.namespace());
    json.key("fields");
    json.open('[');
    for field in &topic.fields {
        json.item();
        write_field(field, &mut json);
    }
    json.close(']');
    json.key("description");
    json.string(&topic.description);
    json.close('}');
    json.finish()
}

pub(crate) fn write_field(field: &Field, json: &mut Json) {
    json.open('{');
    json.key("name");
    json.string(&field.name);
    json.key("type");
    match field.null {
        None => write_type(field, json),
        Some(branch) => {
            json.open('[');
            for is_null in [branch == NullBranch::First, branch == NullBranch::Last] {
                json.item();
                if is_null {
                    json.string("null");
                } else {
                    write_type(field, json);
                }
            }
            json.close(']');
        }
    }
    json.key("default");
    if field.null == Some(NullBranch::First) {
        // A default is of the first branch.
        json.literal("null");
    } else if field.is_array() {
        json.open('[');
        for _ in 0..field.count {
            json.item();
            json.literal(default_text(field.ty));
        }
        json.close(']');
    } else {
        json.literal(default_text(field.ty));
    }
    json.key("description");
    json.string(&field.description);
    json.key("units");
    json.string(&field.units);
    json.close('}');
}

fn write_type(field: &Field, json: &mut Json) {
    if !field.is_array() {
        return json.string(field.ty.avro_name());
    }
    json.open('{');
    json.key("type");
    json.string("array");
    json.key("items");
    json.string(field.ty.avro_name());
    json.close('}');
}

fn default_text(ty: FieldType) -> &'static str {
    match ty {
        FieldType::Boolean => "false",
        FieldType::Int | FieldType::Long => "0",
        FieldType::Float | FieldType::Double => "0.0",
        FieldType::String => "\"\"",
    }
}
